//! What both kinds of peer send: a film and speech, longer than any call.
//!
//! The few seconds of real footage that there are have 25 pictures a second. They are converted to
//! the 30 that both peers are asked for, in a form that costs little to decode: a camera gives raw
//! pictures, and the film stands in for one. baresip pauses for the length of a film when it starts
//! it anew, so they become one long film then. roomd is given the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use system::baresip::Video;
use system::cache;
use system::child_process::run;
use system::footage::{self, Recording};
use system::sound::Sound;

/// Pictures a second of the film.
const FRAME_RATE: u32 = 30;
/// How often the footage of 5.3 s is repeated: 95 s.
const REPETITIONS: usize = 18;

/// How much of the film there is for Chromium.
const MOTION_JPEG_SECONDS: u32 = 80;

/// Recordings as files, and the speech as samples.
#[derive(Clone, Debug)]
pub(crate) struct Recordings {
    /// 1280x720, 30 pictures a second.
    pub(crate) video: PathBuf,
    /// 48 kHz, one channel.
    pub(crate) audio: PathBuf,
    /// The same as `audio`.
    pub(crate) speech: Sound,
}

impl Recordings {
    /// Fetches footage and speech, and makes the long film once. The speech goes into `folder`.
    pub(crate) fn prepare(folder: &Path) -> Result<Self> {
        let speech = footage::speech()?;
        let audio = folder.join("speech.wav");
        speech.write(&audio)?;
        let film = cache::folder("long-footage-3", |folder| {
            let round = folder.join("bigbuckbunny-30.mp4");
            convert(&Recording::BigBuckBunny.file()?, &round)?;
            repeat(&round, &film_in(folder))
        })?;
        Ok(Self {
            video: film_in(&film),
            audio,
            speech,
        })
    }

    /// The film, for Chromium's camera.
    pub(crate) fn chromium_video(&self) -> Result<PathBuf> {
        let name = "bigbuckbunny.mjpeg";
        let folder = cache::folder("motion-jpeg-footage-1", |folder| {
            motion_jpeg(&self.video, &folder.join(name))
        })?;
        Ok(folder.join(name))
    }

    /// The film, for baresip.
    pub(crate) fn baresip_video(&self) -> Video {
        Video::Recording(self.video.clone())
    }
}

/// The film as Motion JPEG, for Chromium's camera. It is longer than any call with it: that camera stops at the end
/// of some films.
fn motion_jpeg(film: &Path, to: &Path) -> Result<()> {
    let mut command = Command::new("gst-launch-1.0");
    command
        .arg("--quiet")
        .arg("filesrc")
        .arg(format!("location={}", film.display()))
        .args(["!", "qtdemux", "!", "h264parse", "!", "avdec_h264"])
        .args(["!", "identity"])
        .arg(format!("eos-after={}", MOTION_JPEG_SECONDS * FRAME_RATE))
        .args(["!", "videoconvert", "!", "video/x-raw,format=I420"])
        .args(["!", "jpegenc", "quality=75", "!", "filesink"])
        .arg(format!("location={}", to.display()));
    run(&mut command)
}

fn film_in(folder: &Path) -> PathBuf {
    folder.join("bigbuckbunny-long.mp4")
}

/// Converts the footage to the film's frame rate. Of H.264 it uses what decodes fast (no arithmetic
/// coding, no loop filter), at a quality that leaves the pictures as they are to the eye.
fn convert(footage: &Path, to: &Path) -> Result<()> {
    let mut command = Command::new("gst-launch-1.0");
    command
        .arg("--quiet")
        .arg("filesrc")
        .arg(format!("location={}", footage.display()));
    command.args(["!", "qtdemux", "!", "h264parse", "!", "avdec_h264"]);
    command
        .args(["!", "videorate", "!"])
        .arg(format!("video/x-raw,framerate={FRAME_RATE}/1"));
    command.args(["!", "x264enc", "speed-preset=medium", "tune=fastdecode"]);
    command.args(["pass=qual", "quantizer=23", "bframes=0", "key-int-max=60"]);
    command.args(["!", "h264parse", "!", "mp4mux", "!", "filesink"]);
    run(command.arg(format!("location={}", to.display())))
}

/// Joins the film with itself into one file, as it is: nothing is encoded anew.
fn repeat(film: &Path, to: &Path) -> Result<()> {
    let mut command = Command::new("gst-launch-1.0");
    command.args(["--quiet", "concat", "name=all", "!", "film.video_0"]);
    command.args(["mp4mux", "name=film", "!", "filesink"]);
    command.arg(format!("location={}", to.display()));
    for _ in 0..REPETITIONS {
        command
            .arg("filesrc")
            .arg(format!("location={}", film.display()));
        command.args(["!", "qtdemux", "!", "h264parse", "!", "all."]);
    }
    run(&mut command)
}
