//! Size and rate of an encoded picture: what decoders take of it, and what it needs to be good.

use crate::h264_level::H264Level;
use crate::units::{Bitrate, FrameRate, Resolution};

/// The sizes that a picture may be scaled to, as fractions of its sides. Two thirds take 1080p to
/// 720p.
const SCALES: [(u32, u32); 8] = [
    (1, 1),
    (3, 4),
    (2, 3),
    (1, 2),
    (3, 8),
    (1, 3),
    (1, 4),
    (1, 8),
];

/// Size and rate of an encode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PictureFormat {
    pub(crate) resolution: Resolution,
    pub(crate) frame_rate: FrameRate,
}

impl PictureFormat {
    /// The largest picture that all levels take at the full frame rate; when even the smallest is
    /// too much, the smallest at whatever rate is left.
    pub(crate) fn within(full: Self, levels: &[H264Level]) -> Self {
        let mut sizes = full.sizes();
        sizes
            .find(|size| size.most_frames(levels) == full.frame_rate)
            .unwrap_or_else(|| full.smallest().slowed_for(levels))
    }

    /// The same rate in every size, the largest first.
    pub(crate) fn sizes(self) -> impl Iterator<Item = Self> {
        SCALES.into_iter().map(move |scale| self.scaled(scale))
    }

    /// The smallest size.
    pub(crate) fn smallest(self) -> Self {
        self.scaled(SCALES[SCALES.len() - 1])
    }

    /// Half the frames.
    pub(crate) fn halved(self) -> Self {
        Self {
            frame_rate: FrameRate(self.frame_rate.0 / 2).max(FrameRate(1)),
            ..self
        }
    }

    /// No more frames than all levels take, but one a second.
    pub(crate) fn slowed_for(self, levels: &[H264Level]) -> Self {
        Self {
            frame_rate: self.most_frames(levels).max(FrameRate(1)),
            ..self
        }
    }

    /// Whether all levels take it.
    pub(crate) fn is_taken_by(self, levels: &[H264Level]) -> bool {
        self.most_frames(levels) == self.frame_rate
    }

    /// The bitrate at which it has this many bits for a thousand pixels.
    pub(crate) fn bitrate(self, bits_in_thousand_pixels: u64) -> Bitrate {
        let Resolution { width, height } = self.resolution;
        let pixels = u64::from(width).saturating_mul(u64::from(height));
        let rate = pixels.saturating_mul(u64::from(self.frame_rate.0));
        Bitrate::bps(rate.saturating_mul(bits_in_thousand_pixels) / 1_000)
    }

    /// Its own rate, or less where a level takes less; zero where one does not take the size.
    fn most_frames(self, levels: &[H264Level]) -> FrameRate {
        let most = |level: &H264Level| {
            let most = level.max_frame_rate(self.resolution);
            most.unwrap_or(FrameRate(0))
        };
        levels
            .iter()
            .map(most)
            .fold(self.frame_rate, FrameRate::min)
    }

    /// With both sides scaled, kept even as 4:2:0 sampling needs them.
    fn scaled(self, (numerator, denominator): (u32, u32)) -> Self {
        let side = |side: u32| {
            let scaled = u64::from(side) * u64::from(numerator) / u64::from(denominator);
            u32::try_from(scaled).map_or(side, |scaled| (scaled & !1).max(2))
        };
        Self {
            resolution: Resolution {
                width: side(self.resolution.width),
                height: side(self.resolution.height),
            },
            ..self
        }
    }
}
