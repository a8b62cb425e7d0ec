//! Pictures as luma, and how alike two of them are.

use std::io::{BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use hal_core::burnt_clock::{self, Stamp};

use crate::child_process::run;

/// The brightness of a picture: rows from the top, 16 (black) to 235 (white).
#[derive(Clone, PartialEq, Eq)]
pub struct Luma {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width * height` values.
    pub pixels: Vec<u8>,
}

impl std::fmt::Debug for Luma {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Luma({}x{})", self.width, self.height)
    }
}

/// A reference frame that a picture looks like, and how much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// Number of the frame in the reference.
    pub frame: usize,
    /// Peak signal-to-noise ratio in dB; above 30 is a good copy, below 15 another picture.
    pub psnr: f64,
}

impl Luma {
    /// Reads a PNG file in RGB, such as baresip's snapshots.
    ///
    /// # Errors
    /// When it is no such file.
    pub fn read_png(path: &Path) -> Result<Self> {
        let file =
            std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut reader = png::Decoder::new(BufReader::new(file)).read_info()?;
        let mut data = vec![
            0;
            reader
                .output_buffer_size()
                .context("the picture is too large")?
        ];
        let info = reader.next_frame(&mut data)?;
        let channels = match (info.color_type, info.bit_depth) {
            (png::ColorType::Rgb, png::BitDepth::Eight) => 3,
            (png::ColorType::Rgba, png::BitDepth::Eight) => 4,
            other => bail!("{} is no 8-bit RGB picture: {other:?}", path.display()),
        };
        let pixels = data[..info.buffer_size()]
            .chunks_exact(channels)
            .map(luma_of_rgb)
            .collect();
        Ok(Self {
            width: info.width as usize,
            height: info.height as usize,
            pixels,
        })
    }

    /// Reads a JPEG file, such as roomd's pictures.
    ///
    /// # Errors
    /// When GStreamer cannot decode it.
    pub fn read_jpeg(path: &Path) -> Result<Self> {
        let png = path.with_extension("png");
        // By way of RGB, as baresip's snapshots: JPEG has luma of the full range.
        run(Command::new("gst-launch-1.0")
            .args(["--quiet", "filesrc"])
            .arg(format!("location={}", path.display()))
            .args([
                "!",
                "jpegdec",
                "!",
                "videoconvert",
                "!",
                "video/x-raw,format=RGB",
            ])
            .args(["!", "pngenc", "!", "filesink"])
            .arg(format!("location={}", png.display())))?;
        Self::read_png(&png)
    }

    /// Peak signal-to-noise ratio in dB beside a picture of the same size; infinite for equal ones.
    ///
    /// # Errors
    /// When the sizes differ.
    pub fn psnr(&self, other: &Self) -> Result<f64> {
        ensure!(
            (self.width, self.height) == (other.width, other.height),
            "{self:?} and {other:?} cannot be compared"
        );
        Ok(psnr(self.squared_error(other, 1), self.pixels.len()))
    }

    /// The frame of the recording that this picture looks most like.
    ///
    /// # Errors
    /// When the recording cannot be decoded.
    pub fn best_match(&self, recording: &Path) -> Result<Match> {
        let frames = decode(recording, self.width, self.height)?;
        // Every seventh pixel tells which frame it is; only that one is compared in full.
        let (frame, best) = frames
            .iter()
            .enumerate()
            .min_by_key(|(_, frame)| self.squared_error(frame, 7))
            .context("the recording has no frames")?;
        Ok(Match {
            frame,
            psnr: self.psnr(best)?,
        })
    }

    /// The stamp of the clock that a simulated camera burns in, or `None` where there is none that
    /// checks.
    #[must_use]
    pub fn stamp(&self) -> Option<Stamp> {
        burnt_clock::read(&self.pixels, self.width)
    }

    fn squared_error(&self, other: &Self, step: usize) -> u64 {
        let pairs = self.pixels.iter().zip(&other.pixels).step_by(step);
        pairs.map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum()
    }
}

fn psnr(squared_error: u64, pixels: usize) -> f64 {
    if squared_error == 0 {
        return f64::INFINITY;
    }
    let mean = squared_error as f64 / pixels as f64;
    10.0 * (255.0 * 255.0 / mean).log10()
}

/// BT.601, limited range, as camera pictures have it.
fn luma_of_rgb(pixel: &[u8]) -> u8 {
    let weighted = |weight: u32, channel: usize| weight * u32::from(pixel[channel]);
    let sum = weighted(66, 0) + weighted(129, 1) + weighted(25, 2) + 128;
    (16 + (sum >> 8)).min(255) as u8
}

/// Every frame of a recording, scaled to that size.
///
/// # Errors
/// When GStreamer cannot decode it.
pub fn decode(recording: &Path, width: usize, height: usize) -> Result<Vec<Luma>> {
    let mut child = Command::new("gst-launch-1.0")
        .args([
            "--quiet",
            "filesrc",
            &format!("location={}", recording.display()),
        ])
        .args(["!", "decodebin", "!", "videoconvert", "!", "videoscale"])
        .args([
            "!",
            &format!("video/x-raw,format=I420,width={width},height={height}"),
        ])
        .args(["!", "fdsink", "fd=1"])
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start gst-launch-1.0")?;
    let mut pipe = child.stdout.take().context("standard output is a pipe")?;
    let mut frames = Vec::new();
    // I420: luma, then two planes of a quarter of it each. Odd sizes would be padded.
    ensure!(
        width.is_multiple_of(8) && height.is_multiple_of(2),
        "{width}x{height} is padded"
    );
    let mut frame = vec![0; width * height * 3 / 2];
    while pipe.read_exact(&mut frame).is_ok() {
        frames.push(Luma {
            width,
            height,
            pixels: frame[..width * height].to_vec(),
        });
    }
    let status = child.wait()?;
    ensure!(status.success(), "gst-launch-1.0 ended with {status}");
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use hal_core::burnt_clock::{self, Stamp};

    use super::Luma;

    fn picture(value: impl Fn(usize) -> u8) -> Luma {
        Luma {
            width: 16,
            height: 16,
            pixels: (0..256).map(value).collect(),
        }
    }

    #[test]
    fn equal_pictures_have_an_infinite_ratio() {
        let one = picture(|n| n as u8);
        assert_eq!(one.psnr(&one).unwrap(), f64::INFINITY);
    }

    #[test]
    fn an_error_of_one_step_everywhere_is_48_db() {
        let psnr = picture(|_| 100).psnr(&picture(|_| 101)).unwrap();
        assert!((psnr - 48.13).abs() < 0.01, "{psnr}");
    }

    #[test]
    fn another_picture_is_far_away() {
        let psnr = picture(|n| n as u8)
            .psnr(&picture(|n| 255 - n as u8))
            .unwrap();
        assert!(psnr < 10.0, "{psnr}");
    }

    #[test]
    fn pictures_of_different_sizes_are_not_compared() {
        let small = Luma {
            width: 8,
            height: 8,
            pixels: vec![0; 64],
        };
        assert!(picture(|_| 0).psnr(&small).is_err());
    }

    #[test]
    fn the_burnt_in_clock_is_read_where_there_is_one() {
        let mut picture = Luma {
            width: 1280,
            height: 720,
            pixels: vec![90; 1280 * 720],
        };
        assert_eq!(picture.stamp(), None);
        assert!(burnt_clock::write(
            &mut picture.pixels,
            1280,
            Stamp::new(123_456)
        ));
        assert_eq!(picture.stamp(), Some(Stamp::new(123_456)));
    }
}
