//! The tables of what is captured and played: `[camera]`, `[slides]`, `[microphone]`, `[playout]`.

use std::path::PathBuf;

use room::media_plan::{AudioSink, AudioSource, VideoSink, VideoSource};
use room::units::{Bitrate, FrameRate, Resolution, Volume};

use super::checker::Checker;
use super::file;
use super::read;
use super::words::{self, Source};
use crate::error::{ProblemCause, Rule};
use crate::location::KeyPath;
use crate::settings::{CameraSettings, MicrophoneSettings, PlayoutSettings, SlidesSettings};

/// The clock in simulated pictures takes so many pixels.
const SIMULATED_WIDTH: u32 = 640;

impl Checker<'_> {
    pub(super) fn camera(&mut self, at: &KeyPath, camera: file::Camera) -> CameraSettings {
        let pictures = self.pictures(
            at,
            PictureKeys {
                source: camera.source,
                file: camera.file,
                resolution: camera.resolution,
                frame_rate: camera.frame_rate,
                bitrate_kbps: camera.bitrate_kbps,
            },
            (
                words::DEFAULT_CAMERA_FRAME_RATE,
                words::DEFAULT_CAMERA_BITRATE_KBPS,
            ),
        );
        CameraSettings {
            source: pictures.source,
            resolution: pictures.resolution,
            frame_rate: pictures.frame_rate,
            bitrate: pictures.bitrate,
        }
    }

    pub(super) fn slides(&mut self, at: &KeyPath, slides: file::Slides) -> SlidesSettings {
        let pictures = self.pictures(
            at,
            PictureKeys {
                source: slides.source,
                file: slides.file,
                resolution: slides.resolution,
                frame_rate: slides.frame_rate,
                bitrate_kbps: slides.bitrate_kbps,
            },
            (
                words::DEFAULT_SLIDES_FRAME_RATE,
                words::DEFAULT_SLIDES_BITRATE_KBPS,
            ),
        );
        SlidesSettings {
            source: pictures.source,
            resolution: pictures.resolution,
            frame_rate: pictures.frame_rate,
            bitrate: pictures.bitrate,
        }
    }

    /// The keys that the camera and the slides have alike, with their defaults for pictures a second
    /// and kbit/s.
    fn pictures(
        &mut self,
        at: &KeyPath,
        keys: PictureKeys,
        (default_rate, default_kbps): (i64, i64),
    ) -> Pictures {
        let source = match self.source(at, keys.source, keys.file) {
            SourceAndFile::Simulated => VideoSource::Simulated,
            SourceAndFile::File(file) => VideoSource::File(file),
            SourceAndFile::None => VideoSource::None,
        };
        let resolution = self.value(
            at,
            "resolution",
            keys.resolution,
            Rule::Resolution,
            read::resolution,
        );
        let resolution = resolution.unwrap_or(Resolution::HD720);
        if source == VideoSource::Simulated && resolution.width < SIMULATED_WIDTH {
            let found = format!("{}x{}", resolution.width, resolution.height);
            let rule = Rule::SimulatedResolution;
            self.note(at.key("resolution"), ProblemCause::BadValue { found, rule });
        }
        let rate = self.number(at, "frame_rate", keys.frame_rate, (1, 60), default_rate);
        let kbps = self.number(
            at,
            "bitrate_kbps",
            keys.bitrate_kbps,
            (64, 20_000),
            default_kbps,
        );
        Pictures {
            source,
            resolution,
            frame_rate: FrameRate(u32::try_from(rate).expect("1 to 60")),
            bitrate: Bitrate::kbps(kbps.unsigned_abs()),
        }
    }

    pub(super) fn microphone(
        &mut self,
        at: &KeyPath,
        microphone: file::Microphone,
    ) -> MicrophoneSettings {
        let source = match self.source(at, microphone.source, microphone.file) {
            SourceAndFile::Simulated => AudioSource::Simulated,
            SourceAndFile::File(file) => AudioSource::File(file),
            SourceAndFile::None => AudioSource::None,
        };
        MicrophoneSettings { source }
    }

    /// `source` and `file`, which all that is captured has alike.
    fn source(
        &mut self,
        at: &KeyPath,
        source: Option<String>,
        file: Option<String>,
    ) -> SourceAndFile {
        let source = self.choice_if_valid(at, "source", source, words::SOURCES, Source::None);
        let given = ("file", file.is_some());
        let path = self.path(at, "file", file);
        match source {
            None => return SourceAndFile::None,
            Some(source) => self.go_together(at, given, (WITH_FILE, source == Source::File)),
        }
        match (source, path) {
            (Some(Source::Simulated), _) => SourceAndFile::Simulated,
            (Some(Source::File), Some(path)) => SourceAndFile::File(path),
            (Some(Source::File), None) | (Some(Source::None) | None, _) => SourceAndFile::None,
        }
    }

    pub(super) fn playout(&mut self, at: &KeyPath, playout: file::Playout) -> PlayoutSettings {
        let volume = playout.volume;
        let volume = self.number(at, "volume", volume, (0, 100), words::DEFAULT_VOLUME);
        let audio = self.choice(
            at,
            "audio",
            playout.audio,
            words::AUDIO_SINKS,
            AudioSink::Loudspeaker,
        );
        if playout.recording.is_some() && audio != AudioSink::Simulated {
            let unless = "audio = \"simulated\"";
            self.note(at.key("recording"), ProblemCause::Pointless { unless });
        }
        PlayoutSettings {
            video: self.choice(
                at,
                "video",
                playout.video,
                words::VIDEO_SINKS,
                VideoSink::Display,
            ),
            audio,
            recording: self.path(at, "recording", playout.recording),
            volume: u8::try_from(volume)
                .ok()
                .and_then(Volume::percent)
                .expect("0 to 100"),
        }
    }
}

/// What asks for the key `file`.
const WITH_FILE: &str = "source = \"file\"";

enum SourceAndFile {
    Simulated,
    File(PathBuf),
    None,
}

/// The keys of a source of pictures.
struct PictureKeys {
    source: Option<String>,
    file: Option<String>,
    resolution: Option<String>,
    frame_rate: Option<i64>,
    bitrate_kbps: Option<i64>,
}

/// A source of pictures, checked.
struct Pictures {
    source: VideoSource,
    resolution: Resolution,
    frame_rate: FrameRate,
    bitrate: Bitrate,
}
