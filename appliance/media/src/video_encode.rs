//! One rung at work: from raw pictures to an encode that legs share.
//!
//! ```text
//!  feed ──► appsrc ──► [fewer frames] ──► scale ──► encoder ──► h264parse ──► appsink ──► fan-out
//! ```
//!
//! Each rung is a pipeline of its own, so that one comes, goes or fails without the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gst::prelude::*;
use room::media_plan::{Rung, RungName, VideoRole};
use room::units::{Bitrate, FrameRate};

use crate::clock::MediaClock;
use crate::encode_inlets::EncodeInlet;
use crate::encoded_sink::encoded_sink;
use crate::encoder::{EncoderKind, Encoders};
use crate::error::MediaError;
use crate::fan_out::VideoFanOut;
use crate::graph_input::GraphInputs;
use crate::keyframe_gate::{KeyframeGate, KeyframeVerdict};
use crate::pipeline::{OwnedPipeline, PipelineId, PipelineRole, link, live_source};

/// Raw pictures that may wait for the encoder; older ones give way.
const QUEUE: u64 = 2;

/// One rung at work.
#[derive(Debug)]
pub(crate) struct VideoEncode {
    name: RungName,
    pipeline: OwnedPipeline,
    inlet: Arc<EncodeInlet>,
    rung: Rung,
    kind: EncoderKind,
    encoder: gst::Element,
    gate: KeyframeGate,
    /// Encoded pictures.
    encoded: Arc<AtomicU64>,
}

/// With what an encode begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// With the capture: whoever sees it waits for the first picture.
    OfCapture,
    /// Beside or in the place of another, whose pictures it is to match.
    OfEncode,
}

/// What an encode needs of its surroundings.
pub(crate) struct EncodeSurroundings<'a> {
    pub(crate) role: VideoRole,
    pub(crate) beginning: Beginning,
    /// The rate of the source.
    pub(crate) frame_rate: FrameRate,
    pub(crate) encoders: &'a Encoders,
    pub(crate) fan_out: &'a Arc<VideoFanOut>,
    pub(crate) clock: &'a MediaClock,
    pub(crate) inputs: &'a GraphInputs,
}

impl VideoEncode {
    /// Builds the pipeline and starts it. It waits for its first picture.
    ///
    /// # Errors
    /// No encoder, or an element is missing.
    pub(crate) fn start(
        name: RungName,
        rung: Rung,
        around: &EncodeSurroundings<'_>,
    ) -> Result<Self, MediaError> {
        let pipeline = OwnedPipeline::new(
            PipelineRole::VideoEncode(around.role, name),
            around.clock,
            around.inputs,
        );
        let source = pipeline.add(live_source("camera", QUEUE, Duration::ZERO))?;
        let kind = around.encoders.best_for(&rung)?;
        let encoder = pipeline.add(kind.make(&rung)?)?;
        match around.beginning {
            Beginning::OfCapture => kind.begin_small(&encoder, &rung),
            Beginning::OfEncode => {}
        }
        let encoded = Arc::new(AtomicU64::new(0));
        let (fan_out, id) = (Arc::clone(around.fan_out), pipeline.id());
        let sink = encoded_sink(&encoded, move |picture| fan_out.distribute(id, picture));
        let sink = pipeline.add(sink)?;
        link_encode(&pipeline, source.upcast_ref(), &encoder, &sink, rung)?;
        pipeline.play()?;
        let inlet = Arc::new(EncodeInlet::new(
            pipeline.id(),
            source,
            rung.frame_rate,
            around.frame_rate,
        ));
        Ok(Self {
            name,
            pipeline,
            inlet,
            rung,
            kind,
            encoder,
            gate: KeyframeGate::Open,
            encoded,
        })
    }

    /// The pipeline's identity.
    pub(crate) fn id(&self) -> PipelineId {
        self.pipeline.id()
    }

    /// Where raw pictures enter.
    pub(crate) fn inlet(&self) -> &Arc<EncodeInlet> {
        &self.inlet
    }

    /// The name of its rung.
    pub(crate) fn name(&self) -> RungName {
        self.name
    }

    /// What it encodes.
    pub(crate) fn rung(&self) -> &Rung {
        &self.rung
    }

    /// The kind of its encoder.
    pub(crate) fn kind(&self) -> EncoderKind {
        self.kind
    }

    /// Its encoder's element.
    pub(crate) fn encoder(&self) -> &gst::Element {
        &self.encoder
    }

    /// How many pictures were encoded.
    pub(crate) fn encoded(&self) -> u64 {
        self.encoded.load(Ordering::Relaxed)
    }

    /// Changes the target while it runs.
    pub(crate) fn set_bitrate(&mut self, bitrate: Bitrate) {
        self.rung.bitrate = bitrate;
        self.kind.set_bitrate(&self.encoder, bitrate);
    }

    /// A leg asks for a keyframe.
    pub(crate) fn request_keyframe(&mut self, now: Instant) {
        if self.gate.request(now) == KeyframeVerdict::MakeNow {
            self.force_keyframe();
        }
    }

    /// A leg joins that has seen nothing yet: it does not wait for the gate.
    pub(crate) fn make_keyframe(&mut self, now: Instant) {
        self.gate.made(now);
        self.force_keyframe();
    }

    /// When a deferred keyframe is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.gate.deadline()
    }

    /// Makes the keyframe that is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.gate.take_due(now) {
            self.force_keyframe();
        }
    }

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

fn link_encode(
    pipeline: &OwnedPipeline,
    source: &gst::Element,
    encoder: &gst::Element,
    sink: &gst_app::AppSink,
    rung: Rung,
) -> Result<(), MediaError> {
    let scale = pipeline.make("videoscale", |b| b.property("add-borders", true))?;
    let mut size = crate::camera_feed::raw_caps(rung.resolution, rung.frame_rate);
    if let Some(structure) = size.make_mut().structure_mut(0) {
        // The camera's, or what is left of it where pictures enter.
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
    let mut chain = vec![source];
    chain.extend([
        &scale,
        &size,
        encoder,
        &profile,
        &parser,
        &format,
        sink.upcast_ref(),
    ]);
    link(&chain)
}
