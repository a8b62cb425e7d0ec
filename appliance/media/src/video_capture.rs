//! A source of pictures with its encodes.
//!
//! ```text
//!  camera ──► feed ──┬──► encode of the high rung ──┐
//!                    └──► encode of the low rung ───┴──► fan-out
//! ```
//!
//! An encode that is not wanted any more *retires*: it goes on until the legs that take it have a
//! keyframe of another, or for [`LONGEST_RETIREMENT`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gst::prelude::*;
use room::media_plan::{Rung, RungName};
use room::units::Bitrate;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::camera_feed::{CameraFeed, CameraFeedSettings};
use crate::device::VideoFrame;
use crate::encode_inlets::EncodeInlets;
use crate::encoder::EncoderKind;
use crate::error::MediaError;
use crate::fan_out::VideoFanOut;
use crate::pipeline::PipelineId;
use crate::recording::{Recording, Supply, no_frames};
use crate::shape::VideoCaptureShape;
use crate::video_encode::{EncodeSurroundings, VideoEncode};

/// An encode that takes the place of another has given a keyframe by then.
const LONGEST_RETIREMENT: Duration = Duration::from_secs(2);

/// The running capture.
#[derive(Debug)]
pub(crate) struct VideoCapture {
    feed: CameraFeed,
    supply: Supply,
    inlets: Arc<EncodeInlets>,
    fan_out: Arc<VideoFanOut>,
    encodes: BTreeMap<RungName, VideoEncode>,
    retiring: Vec<RetiringEncode>,
}

/// An encode that is not wanted any more.
#[derive(Debug)]
struct RetiringEncode {
    encode: VideoEncode,
    until: Instant,
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

impl VideoCapture {
    /// Builds all encodes of a shape.
    ///
    /// # Errors
    /// No encoder, or an element is missing.
    pub(crate) fn build_encodes(
        shape: &VideoCaptureShape,
        around: &EncodeSurroundings<'_>,
    ) -> Result<BTreeMap<RungName, VideoEncode>, MediaError> {
        let encodes = shape.rungs.iter();
        encodes
            .map(|(name, rung)| Ok((*name, VideoEncode::start(*name, *rung, around)?)))
            .collect()
    }

    /// Lets the frames in.
    pub(crate) fn start(
        encodes: BTreeMap<RungName, VideoEncode>,
        frames: CameraFrames,
        fan_out: &Arc<VideoFanOut>,
        runtime: &Handle,
        settings: CameraFeedSettings,
    ) -> Self {
        let (frames, supply) = match frames {
            CameraFrames::Device(frames) => (frames, Supply::Device),
            CameraFrames::Recording => (Some(no_frames()), Supply::SilentRecording),
        };
        let inlets = Arc::<EncodeInlets>::default();
        for (name, encode) in &encodes {
            inlets.add(Arc::clone(encode.inlet()));
            fan_out.begin(*name, Arc::clone(encode.inlet()));
        }
        let feed = CameraFeed::start(runtime, settings, frames, Arc::clone(&inlets));
        Self {
            feed,
            supply,
            inlets,
            fan_out: Arc::clone(fan_out),
            encodes,
            retiring: Vec::new(),
        }
    }

    /// Stops, and gives a device's frames back.
    pub(crate) fn stop(mut self) -> Option<mpsc::Receiver<VideoFrame>> {
        let retiring = self.retiring.drain(..).map(|retiring| retiring.encode);
        for encode in std::mem::take(&mut self.encodes)
            .into_values()
            .chain(retiring)
        {
            self.fan_out.end(encode.id());
        }
        let frames = self.feed.stop();
        match self.supply {
            Supply::Device => frames,
            Supply::Recording(_) | Supply::SilentRecording => None,
        }
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

    /// Starts the encode of a rung.
    ///
    /// # Errors
    /// No encoder, or an element is missing.
    pub(crate) fn start_encode(
        &mut self,
        name: RungName,
        rung: Rung,
        around: &EncodeSurroundings<'_>,
    ) -> Result<(), MediaError> {
        let encode = VideoEncode::start(name, rung, around)?;
        self.inlets.add(Arc::clone(encode.inlet()));
        self.fan_out.begin(name, Arc::clone(encode.inlet()));
        self.encodes.insert(name, encode);
        Ok(())
    }

    /// The encode of a rung is not wanted any more.
    pub(crate) fn retire_encode(&mut self, name: RungName, now: Instant) {
        if let Some(encode) = self.encodes.remove(&name) {
            self.fan_out.retire(name);
            let until = now + LONGEST_RETIREMENT;
            self.retiring.push(RetiringEncode { encode, until });
            self.end_retired(now);
        }
    }

    /// Drops the encode of a rung that has failed.
    pub(crate) fn drop_encode(&mut self, id: PipelineId) {
        self.inlets.remove(id);
        self.fan_out.end(id);
        self.encodes.retain(|_, encode| encode.id() != id);
        self.retiring.retain(|retiring| retiring.encode.id() != id);
    }

    /// Ends the encodes that nobody takes any more.
    pub(crate) fn end_retired(&mut self, now: Instant) {
        let fan_out = &self.fan_out;
        let is_over = |retiring: &mut RetiringEncode| {
            retiring.until <= now || !fan_out.is_taken(retiring.encode.id())
        };
        for retired in self.retiring.extract_if(.., is_over) {
            self.inlets.remove(retired.encode.id());
            fan_out.end(retired.encode.id());
        }
    }

    /// Changes the target of a running encode.
    pub(crate) fn set_bitrate(&mut self, name: RungName, bitrate: Bitrate) {
        if let Some(encode) = self.encodes.get_mut(&name) {
            encode.set_bitrate(bitrate);
        }
    }

    /// A leg asks for a keyframe of the encode that it takes.
    pub(crate) fn request_keyframe(&mut self, id: PipelineId, now: Instant) {
        if let Some(encode) = self.encode_mut(id) {
            encode.request_keyframe(now);
        }
    }

    /// A leg joins that has seen nothing yet: it does not wait for the gate.
    pub(crate) fn make_keyframe(&mut self, id: PipelineId, now: Instant) {
        if let Some(encode) = self.encode_mut(id) {
            encode.make_keyframe(now);
        }
    }

    /// When a deferred keyframe is due, or an encode ends.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let keyframes = self.all().filter_map(VideoEncode::next_deadline);
        let ends = self.retiring.iter().map(|retiring| retiring.until);
        keyframes.chain(ends).min()
    }

    /// Makes the keyframes that are due, and ends what is over.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let retiring = self
            .retiring
            .iter_mut()
            .map(|retiring| &mut retiring.encode);
        for encode in self.encodes.values_mut().chain(retiring) {
            encode.handle_timeout(now);
        }
        self.end_retired(now);
    }

    /// Whether an encode is wanted, and does not only go on for a moment.
    pub(crate) fn is_wanted(&self, id: PipelineId) -> bool {
        self.encodes.values().any(|encode| encode.id() == id)
    }

    /// The encodes that are wanted.
    pub(crate) fn encodes(&self) -> impl Iterator<Item = (RungName, &VideoEncode)> {
        self.encodes.iter().map(|(name, encode)| (*name, encode))
    }

    /// An encode that runs.
    pub(crate) fn encode(&self, id: PipelineId) -> Option<&VideoEncode> {
        self.all().find(|encode| encode.id() == id)
    }

    /// The kind of the encoder whose element has this name, for when the encode failed.
    pub(crate) fn encoder_named(&self, id: PipelineId, element: &str) -> Option<EncoderKind> {
        let encode = self.encode(id)?;
        (encode.encoder().name() == element).then(|| encode.kind())
    }

    fn all(&self) -> impl Iterator<Item = &VideoEncode> {
        let retiring = self.retiring.iter().map(|retiring| &retiring.encode);
        self.encodes.values().chain(retiring)
    }

    fn encode_mut(&mut self, id: PipelineId) -> Option<&mut VideoEncode> {
        let retiring = self
            .retiring
            .iter_mut()
            .map(|retiring| &mut retiring.encode);
        let mut all = self.encodes.values_mut().chain(retiring);
        all.find(|encode| encode.id() == id)
    }
}
