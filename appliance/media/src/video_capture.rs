//! From raw pictures to the encodes that legs share.
//!
//! ```text
//!  camera ──► feed ──► appsrc ──► scale ──► encoder ──► h264parse ──► appsink ──► fan-out
//!                         │ (a tee and a queue for each rung when there are two)
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use gst::prelude::*;
use room::media_plan::{Rung, VideoRole};
use room::units::Bitrate;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::camera_feed::{CameraFeed, CameraFeedSettings};
use crate::clock::running_time_of;
use crate::device::VideoFrame;
use crate::encoder::{EncoderKind, Encoders};
use crate::error::MediaError;
use crate::fan_out::VideoFanOut;
use crate::keyframe_gate::{KeyframeGate, KeyframeVerdict};
use crate::pipeline::{OwnedPipeline, PipelineId, PipelineRole, link};
use crate::recording::{Recording, Supply, no_frames};
use crate::shape::VideoCaptureShape;

/// Raw pictures that may wait for the encoder; older ones give way.
const QUEUE: u64 = 2;

/// The running capture.
#[derive(Debug)]
pub(crate) struct VideoCapture {
    built: BuiltCapture,
    feed: CameraFeed,
    supply: Supply,
}

/// A capture whose pipeline runs and waits for its first frame.
#[derive(Debug)]
pub(crate) struct BuiltCapture {
    pipeline: OwnedPipeline,
    source: gst_app::AppSrc,
    encodes: Vec<Encode>,
}

/// One rung at work.
#[derive(Debug)]
struct Encode {
    rung: Rung,
    kind: EncoderKind,
    encoder: gst::Element,
    gate: KeyframeGate,
    /// Encoded pictures.
    encoded: Arc<AtomicU64>,
}

/// Where the frames come from.
pub(crate) enum CameraFrames {
    Device(Option<mpsc::Receiver<VideoFrame>>),
    /// A recording, which [`VideoCapture::play`] begins.
    Recording,
}

impl CameraFrames {
    /// The device's frames, when they were not needed.
    pub(crate) fn into_device(self) -> Option<mpsc::Receiver<VideoFrame>> {
        match self {
            Self::Device(frames) => frames,
            Self::Recording => None,
        }
    }
}

impl BuiltCapture {
    /// Lets the frames in.
    pub(crate) fn start(
        self,
        frames: CameraFrames,
        runtime: &Handle,
        settings: CameraFeedSettings,
    ) -> VideoCapture {
        let (frames, supply) = match frames {
            CameraFrames::Device(frames) => (frames, Supply::Device),
            CameraFrames::Recording => (Some(no_frames()), Supply::SilentRecording),
        };
        let feed = CameraFeed::start(runtime, settings, frames, self.source.clone());
        VideoCapture {
            built: self,
            feed,
            supply,
        }
    }
}

impl VideoCapture {
    /// Builds the pipeline and starts it.
    ///
    /// # Errors
    /// No encoder, or an element is missing.
    pub(crate) fn build(
        role: VideoRole,
        shape: &VideoCaptureShape,
        encoders: &Encoders,
        fan_out: &Arc<VideoFanOut>,
        settings: &CameraFeedSettings,
    ) -> Result<BuiltCapture, MediaError> {
        let pipeline = OwnedPipeline::new(
            PipelineRole::VideoCapture(role),
            &settings.clock,
            &settings.inputs,
        );
        let source = pipeline.add(raw_source())?;
        let heads = encode_heads(&pipeline, source.upcast_ref(), shape.rungs.len())?;
        let encodes = shape
            .rungs
            .iter()
            .zip(heads)
            .enumerate()
            .map(|(index, (rung, head))| {
                encode(&pipeline, &head, index, *rung, shape, encoders, fan_out)
            })
            .collect::<Result<Vec<_>, _>>()?;
        fan_out.restart();
        pipeline.play()?;
        Ok(BuiltCapture {
            pipeline,
            source,
            encodes,
        })
    }

    /// Stops, and gives a device's frames back.
    pub(crate) fn stop(self) -> Option<mpsc::Receiver<VideoFrame>> {
        let frames = self.feed.stop();
        match self.supply {
            Supply::Device => frames,
            Supply::Recording(_) | Supply::SilentRecording => None,
        }
    }

    /// The pipeline's identity.
    pub(crate) fn id(&self) -> PipelineId {
        self.built.pipeline.id()
    }

    /// Where the frames come from.
    pub(crate) fn supply(&self) -> &Supply {
        &self.supply
    }

    /// Shows a recording in the camera's place.
    pub(crate) fn play(&mut self, recording: Recording, frames: mpsc::Receiver<VideoFrame>) {
        self.feed.replace(frames);
        self.supply = Supply::Recording(recording);
    }

    /// Ends the recording; the slate is sent until another one plays.
    pub(crate) fn silence_recording(&mut self) {
        self.supply.silence();
    }

    /// Changes the target of a running encode.
    pub(crate) fn set_bitrate(&mut self, rung: usize, bitrate: Bitrate) {
        if let Some(encode) = self.built.encodes.get_mut(rung) {
            encode.rung.bitrate = bitrate;
            encode.kind.set_bitrate(&encode.encoder, bitrate);
        }
    }

    /// A leg asks for a keyframe of its rung.
    pub(crate) fn request_keyframe(&mut self, rung: usize, now: Instant) {
        if let Some(encode) = self.built.encodes.get_mut(rung)
            && encode.gate.request(now) == KeyframeVerdict::MakeNow
        {
            encode.force_keyframe();
        }
    }

    /// A leg joins that has seen nothing yet: it does not wait for the gate.
    pub(crate) fn make_keyframe(&mut self, rung: usize, now: Instant) {
        if let Some(encode) = self.built.encodes.get_mut(rung) {
            encode.gate.made(now);
            encode.force_keyframe();
        }
    }

    /// When a deferred keyframe is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.built
            .encodes
            .iter()
            .filter_map(|encode| encode.gate.deadline())
            .min()
    }

    /// Makes the keyframes that are due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for encode in &mut self.built.encodes {
            if encode.gate.take_due(now) {
                encode.force_keyframe();
            }
        }
    }

    /// How many pictures were encoded, by the rung that gave the fewest.
    pub(crate) fn encoded(&self) -> u64 {
        let encodes = self.built.encodes.iter();
        let fewest = encodes.map(|e| e.encoded.load(Ordering::Relaxed)).min();
        fewest.unwrap_or(0)
    }

    /// Size and encoder of a rung.
    pub(crate) fn rung(&self, rung: usize) -> Option<(Rung, EncoderKind)> {
        self.built
            .encodes
            .get(rung)
            .map(|encode| (encode.rung, encode.kind))
    }

    /// The first rung's encoder, for tests that let it fail.
    #[cfg(test)]
    pub(crate) fn encoder_of_first_rung(&self) -> Option<gst::Element> {
        let first = self.built.encodes.first()?;
        Some(first.encoder.clone())
    }

    /// The element name of the first rung's encoder.
    pub(crate) fn first_encoder(&self) -> Option<String> {
        self.built
            .encodes
            .first()
            .map(|encode| encode.encoder.name().to_string())
    }

    /// The encoder whose element has this name, for when the pipeline failed.
    pub(crate) fn encoder_named(&self, element: &str) -> Option<EncoderKind> {
        self.built
            .encodes
            .iter()
            .find(|e| e.encoder.name() == element)
            .map(|encode| encode.kind)
    }
}

impl Encode {
    fn force_keyframe(&self) {
        let event = gst_video::UpstreamForceKeyUnitEvent::builder()
            .all_headers(true)
            .build();
        let sent = self
            .encoder
            .static_pad("src")
            .is_some_and(|pad| pad.send_event(event));
        if !sent {
            tracing::warn!(
                encoder = self.kind.factory(),
                "the encoder takes no keyframe request"
            );
        }
    }
}

fn raw_source() -> gst_app::AppSrc {
    gst_app::AppSrc::builder()
        .name("camera")
        .format(gst::Format::Time)
        .is_live(true)
        .min_latency(0)
        .max_buffers(QUEUE)
        .max_bytes(0)
        .leaky_type(gst_app::AppLeakyType::Downstream)
        .build()
}

/// The element that each rung's chain begins after. A single rung needs no thread of its own.
fn encode_heads(
    pipeline: &OwnedPipeline,
    source: &gst::Element,
    rungs: usize,
) -> Result<Vec<gst::Element>, MediaError> {
    if rungs <= 1 {
        return Ok(vec![source.clone()]);
    }
    let tee = pipeline.make("tee", |b| b)?;
    link(&[source, &tee])?;
    let queue = |_| {
        let queue = pipeline.make("queue", |b| {
            b.property("max-size-buffers", QUEUE as u32)
                .property_from_str("leaky", "downstream")
        })?;
        link(&[&tee, &queue])?;
        Ok(queue)
    };
    (0..rungs).map(queue).collect()
}

fn encode(
    pipeline: &OwnedPipeline,
    head: &gst::Element,
    index: usize,
    rung: Rung,
    shape: &VideoCaptureShape,
    encoders: &Encoders,
    fan_out: &Arc<VideoFanOut>,
) -> Result<Encode, MediaError> {
    let kind = encoders.best_for(&rung)?;
    let encoder = pipeline.add(kind.make(&rung)?)?;
    let scale = pipeline.make("videoscale", |b| b.property("add-borders", true))?;
    let mut size = crate::camera_feed::raw_caps(rung.resolution, rung.frame_rate);
    if let Some(structure) = size.make_mut().structure_mut(0) {
        // The camera's rate, or what the rate limit made of it.
        structure.remove_field("framerate");
    }
    let size = pipeline.make("capsfilter", |b| b.property("caps", size))?;
    let parser = pipeline.make("h264parse", |b| b.property("config-interval", -1))?;
    let format = gst::Caps::builder("video/x-h264")
        .field("stream-format", "byte-stream")
        .field("alignment", "au")
        .build();
    let profile = gst::Caps::builder("video/x-h264")
        .field("profile", "constrained-baseline")
        .build();
    let profile = pipeline.make("capsfilter", |b| b.property("caps", profile))?;
    let format = pipeline.make("capsfilter", |b| b.property("caps", format))?;
    let encoded = Arc::new(AtomicU64::new(0));
    let sink = encoded_sink(index, Arc::clone(fan_out), Arc::clone(&encoded));
    let sink = pipeline.add(sink)?;
    let mut chain = vec![head];
    let rate = rate_limit(pipeline, rung, shape)?;
    chain.extend(&rate);
    chain.extend([
        &scale,
        &size,
        &encoder,
        &profile,
        &parser,
        &format,
        sink.upcast_ref(),
    ]);
    link(&chain)?;
    Ok(Encode {
        rung,
        kind,
        encoder,
        gate: KeyframeGate::Open,
        encoded,
    })
}

/// A rung slower than the camera skips frames before they are encoded.
fn rate_limit(
    pipeline: &OwnedPipeline,
    rung: Rung,
    shape: &VideoCaptureShape,
) -> Result<Vec<gst::Element>, MediaError> {
    if rung.frame_rate >= shape.frame_rate {
        return Ok(Vec::new());
    }
    let rate = pipeline.make("videorate", |b| {
        b.property("drop-only", true)
            .property("max-rate", rung.frame_rate.0 as i32)
    })?;
    Ok(vec![rate])
}

fn encoded_sink(
    rung: usize,
    fan_out: Arc<VideoFanOut>,
    encoded: Arc<AtomicU64>,
) -> gst_app::AppSink {
    let sink = gst_app::AppSink::builder()
        .name(format!("encoded-{rung}"))
        .sync(false)
        .build();
    sink.set_property("async", false);
    sink.set_property("enable-last-sample", false);
    sink.set_callbacks(
        gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                if let Some(picture) = in_running_time(&sample) {
                    encoded.fetch_add(1, Ordering::Relaxed);
                    fan_out.distribute(rung, &picture);
                }
                Ok(gst::FlowSuccess::Ok)
            })
            .build(),
    );
    sink
}

/// The same sample with its timestamps in running time, which every pipeline shares.
pub(crate) fn in_running_time(sample: &gst::Sample) -> Option<gst::Sample> {
    let running_time = running_time_of(sample)?;
    let mut buffer = sample.buffer_owned()?;
    let is_decoding_time = |dts| dts == running_time;
    if buffer.pts() == Some(running_time) && buffer.dts().is_none_or(is_decoding_time) {
        // As it is: a buffer whose memory a copy shares never goes back to its pool, and each
        // picture would be decoded into fresh memory.
        return Some(sample.clone());
    }
    {
        let buffer = buffer.make_mut();
        buffer.set_pts(running_time);
        buffer.set_dts(running_time);
    }
    Some(
        gst::Sample::builder()
            .buffer(&buffer)
            .caps(&sample.caps_owned()?)
            .build(),
    )
}
