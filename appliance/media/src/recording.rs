//! A recording in a device's place, played in a loop at its own speed.
//!
//! ```text
//!  filesrc ──► decodebin ──► convert, scale, rate ──► appsink (in time) ──► frames
//!                 ▲                                        │
//!                 └──────── seek to the start ◄── end ─────┘
//! ```

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use gst::prelude::*;
use room::media_plan::VideoRole;
use room::units::{FrameRate, Resolution};
use tokio::sync::mpsc;

use crate::camera_feed::raw_caps;
use crate::clock::MediaClock;
use crate::device::{AUDIO_FRAME_SAMPLES, AudioFrame, SAMPLE_RATE_HZ, VideoFrame};
use crate::error::MediaError;
use crate::graph_input::GraphInputs;
use crate::pipeline::{OwnedPipeline, PipelineId, PipelineRole, link};

/// Frames that may wait; what does not fit is dropped, as by a camera.
const QUEUE: usize = 4;
/// 10 ms frames of sound that may wait.
const AUDIO_QUEUE: usize = 20;

/// A recording that plays.
#[derive(Debug)]
pub(crate) struct Recording {
    pipeline: OwnedPipeline,
}

/// Where the frames of a capture come from.
#[derive(Debug)]
pub(crate) enum Supply {
    /// From a device, which keeps them while nothing captures.
    Device,
    /// From a recording in the device's place.
    Recording(Recording),
    /// From a recording that does not play, or not yet. The capture runs on without it, as without
    /// a device that is gone.
    SilentRecording,
}

impl Supply {
    /// The recording, while one plays.
    pub(crate) fn recording(&self) -> Option<&Recording> {
        match self {
            Self::Recording(recording) => Some(recording),
            Self::Device | Self::SilentRecording => None,
        }
    }

    /// Ends a recording.
    pub(crate) fn silence(&mut self) {
        match self {
            Self::Recording(_) => *self = Self::SilentRecording,
            Self::Device | Self::SilentRecording => {}
        }
    }

    /// Whether a recording is to be played and none plays.
    pub(crate) fn lacks_recording(&self) -> bool {
        match self {
            Self::SilentRecording => true,
            Self::Device | Self::Recording(_) => false,
        }
    }
}

/// Frames of a recording that does not play yet.
pub(crate) fn no_frames<T>() -> mpsc::Receiver<T> {
    mpsc::channel(1).1
}

impl Recording {
    /// Plays pictures.
    pub(crate) fn of_pictures(
        role: VideoRole,
        file: &Path,
        resolution: Resolution,
        frame_rate: FrameRate,
        clock: &MediaClock,
        inputs: &GraphInputs,
    ) -> Result<(Self, mpsc::Receiver<VideoFrame>), MediaError> {
        let pipeline = OwnedPipeline::new(PipelineRole::VideoRecording(role), clock, inputs);
        let convert = pipeline.make("videoconvert", |b| b)?;
        let scale = pipeline.make("videoscale", |b| b.property("add-borders", true))?;
        let rate = pipeline.make("videorate", |b| b)?;
        let caps = raw_caps(resolution, frame_rate);
        let caps = pipeline.make("capsfilter", |b| b.property("caps", caps))?;
        let (frames, receiver) = mpsc::channel(QUEUE);
        let sink = pipeline.add(timed_sink(move |buffer, captured| {
            let Ok(planes) = buffer.into_mapped_buffer_readable() else {
                return;
            };
            let i420 = Bytes::from_owner(planes);
            // Full: the feed is behind, and the next frame is newer.
            let _ = frames.try_send(VideoFrame {
                captured,
                resolution,
                i420,
            });
        }))?;
        link(&[&convert, &scale, &rate, &caps, sink.upcast_ref()])?;
        Ok((Self::play(pipeline, file, &convert, "video/")?, receiver))
    }

    /// Plays sound.
    pub(crate) fn of_sound(
        file: &Path,
        clock: &MediaClock,
        inputs: &GraphInputs,
    ) -> Result<(Self, mpsc::Receiver<AudioFrame>), MediaError> {
        let pipeline = OwnedPipeline::new(PipelineRole::MicrophoneRecording, clock, inputs);
        let convert = pipeline.make("audioconvert", |b| b)?;
        let resample = pipeline.make("audioresample", |b| b)?;
        let caps = pipeline.make("capsfilter", |b| b.property("caps", sound_caps()))?;
        let split = pipeline.make("audiobuffersplit", |b| {
            b.property("output-buffer-duration", gst::Fraction::new(1, 100))
        })?;
        let (frames, receiver) = mpsc::channel(AUDIO_QUEUE);
        let sink = pipeline.add(timed_sink(move |buffer, captured| {
            if let Some(samples) = samples_of(&buffer) {
                // Full: the microphone stage is behind; sound that is late is of no use.
                let _ = frames.try_send(AudioFrame { captured, samples });
            }
        }))?;
        link(&[&convert, &resample, &caps, &split, sink.upcast_ref()])?;
        Ok((Self::play(pipeline, file, &convert, "audio/")?, receiver))
    }

    fn play(
        pipeline: OwnedPipeline,
        file: &Path,
        target: &gst::Element,
        media_type: &'static str,
    ) -> Result<Self, MediaError> {
        let source = pipeline.make("filesrc", |b| b.property("location", file))?;
        let decoder = pipeline.make("decodebin", |b| b)?;
        link(&[&source, &decoder])?;
        // Frame threads would each hold pictures, and cost more than they gain at camera sizes.
        let decodes = decoder.clone().downcast::<gst::Bin>();
        if let Ok(decodes) = decodes {
            decodes.connect_deep_element_added(|_, _, element| {
                if element.has_property("max-threads") {
                    element.set_property_from_str("max-threads", "1");
                }
                // Frames are handed on as rows without gaps, so that the decoder copies each picture
                // in any case: this way into memory that it had before.
                if element.has_property("direct-rendering") {
                    element.set_property("direct-rendering", false);
                }
            });
        }
        let target = target.downgrade();
        decoder.connect_pad_added(move |_, pad| {
            let Some(sink) = target
                .upgrade()
                .and_then(|target| target.static_pad("sink"))
            else {
                return;
            };
            let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
            let fits = caps
                .structure(0)
                .is_some_and(|s| s.name().starts_with(media_type));
            if fits && !sink.is_linked() && pad.link(&sink).is_err() {
                tracing::warn!(pad = %pad.path_string(), "the recording could not be linked");
            }
        });
        // A recording's own time begins at zero with each round.
        pipeline.gst().set_start_time(gst::ClockTime::ZERO);
        pipeline.play()?;
        Ok(Self { pipeline })
    }

    /// The pipeline's identity.
    pub(crate) fn id(&self) -> PipelineId {
        self.pipeline.id()
    }

    /// Begins the next round.
    pub(crate) fn rewind(&self) {
        let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT;
        if self
            .pipeline
            .gst()
            .seek_simple(flags, gst::ClockTime::ZERO)
            .is_err()
        {
            tracing::warn!("the recording cannot be played again: it does not seek");
        }
    }
}

/// A sink that gives each buffer when it is due.
fn timed_sink(mut take: impl FnMut(gst::Buffer, Instant) + Send + 'static) -> gst_app::AppSink {
    let sink = gst_app::AppSink::builder()
        .sync(true)
        .max_buffers(1)
        .build();
    sink.set_property("enable-last-sample", false);
    sink.set_callbacks(
        gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                if let Some(buffer) = sample.buffer_owned() {
                    take(buffer, Instant::now());
                }
                Ok(gst::FlowSuccess::Ok)
            })
            .build(),
    );
    sink
}

/// The caps of all sound between devices, encoders and decoders.
pub(crate) fn sound_caps() -> gst::Caps {
    gst::Caps::builder("audio/x-raw")
        .field("format", "S16LE")
        .field("rate", SAMPLE_RATE_HZ as i32)
        .field("channels", 1)
        .field("layout", "interleaved")
        .build()
}

/// The samples of a 10 ms buffer; `None` for any other length.
pub(crate) fn samples_of(buffer: &gst::BufferRef) -> Option<[i16; AUDIO_FRAME_SAMPLES]> {
    let bytes = buffer.map_readable().ok()?;
    if bytes.len() != AUDIO_FRAME_SAMPLES * 2 {
        return None;
    }
    let mut samples = [0; AUDIO_FRAME_SAMPLES];
    for (sample, pair) in samples.iter_mut().zip(bytes.chunks_exact(2)) {
        *sample = i16::from_le_bytes([pair[0], pair[1]]);
    }
    Some(samples)
}
