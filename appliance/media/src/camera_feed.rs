//! Brings pictures to the encodes: from the camera, or a slate in its place.
//!
//! ```text
//!             a frame: SourceBack         no frame for 0.9 s, or three intervals: SourceGone
//!   Awaited ──────────────────────► Giving ───────────────────────────────────► Gone
//!      │                              ▲                                           │
//!      │                              └──────────────── a frame: SourceBack ──────┘
//!      └── none for as long: SourceGone ──► Gone
//!
//!   sent:   camera on and Giving: the camera's frames      otherwise: the slate
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use room::media_plan::{CameraState, VideoRole};
use room::units::{FrameRate, Resolution};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use crate::clock::MediaClock;
use crate::device::VideoFrame;
use crate::encode_inlets::EncodeInlets;
use crate::event::Source;
use crate::graph_input::{GraphInput, GraphInputs};
use crate::slate;

/// A camera that gives nothing for so long is gone: within a second, the snapshot says so.
pub(crate) const GONE_AFTER: Duration = Duration::from_millis(900);
const _: () = assert!(GONE_AFTER.as_millis() < 1_000);
/// Slates a second are few, but enough for a keyframe to come soon after it is asked for.
const SLATE_INTERVAL: Duration = Duration::from_millis(100);
/// Frames that waited longer than this before capture started show the past.
const STALE_AFTER: Duration = Duration::from_millis(200);

/// Whether the camera is shown; changed while it runs.
#[derive(Debug)]
pub(crate) struct CameraSwitch(AtomicBool);

impl CameraSwitch {
    pub(crate) fn new(state: CameraState) -> Self {
        Self(AtomicBool::new(state == CameraState::On))
    }

    pub(crate) fn set(&self, state: CameraState) {
        self.0.store(state == CameraState::On, Ordering::Release);
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The raw picture as it is sent, for whoever wants to see it.
#[derive(Debug, Default)]
pub(crate) struct SentPicture {
    latest: Mutex<Option<gst::Sample>>,
    self_view: Mutex<Option<gst_app::AppSrc>>,
}

impl SentPicture {
    /// The last picture, while capture runs.
    pub(crate) fn latest(&self) -> Option<gst::Sample> {
        self.latest
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Where the own picture is shown.
    pub(crate) fn set_self_view(&self, inlet: Option<gst_app::AppSrc>) {
        *self
            .self_view
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = inlet;
    }

    fn put(&self, picture: Option<gst::Sample>) {
        if let Some(picture) = &picture
            && let Some(inlet) = self
                .self_view
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .as_ref()
        {
            // Refused only while playout is being taken down.
            let _ = inlet.push_sample(picture);
        }
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = picture;
    }
}

/// What the feed needs of its surroundings.
pub(crate) struct CameraFeedSettings {
    pub(crate) role: VideoRole,
    pub(crate) resolution: Resolution,
    pub(crate) frame_rate: FrameRate,
    pub(crate) switch: Arc<CameraSwitch>,
    pub(crate) sent: Arc<SentPicture>,
    pub(crate) clock: MediaClock,
    pub(crate) inputs: GraphInputs,
}

/// A running feed. It owns the camera's frames and gives them back when it is stopped.
#[derive(Debug)]
pub(crate) struct CameraFeed {
    stop: oneshot::Sender<()>,
    replace: mpsc::Sender<mpsc::Receiver<VideoFrame>>,
    task: JoinHandle<Option<mpsc::Receiver<VideoFrame>>>,
    runtime: Handle,
}

impl CameraFeed {
    /// Starts to feed `target`. Without frames it feeds the slate.
    pub(crate) fn start(
        runtime: &Handle,
        settings: CameraFeedSettings,
        frames: Option<mpsc::Receiver<VideoFrame>>,
        target: Arc<EncodeInlets>,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (replace, replacements) = mpsc::channel(1);
        let feed = Feed::new(settings, target);
        let task = runtime.spawn(feed.run(frames, replacements, stopped));
        Self {
            stop,
            replace,
            task,
            runtime: runtime.clone(),
        }
    }

    /// Takes the frames from elsewhere.
    pub(crate) fn replace(&self, frames: mpsc::Receiver<VideoFrame>) {
        if self.replace.try_send(frames).is_err() {
            tracing::error!("the camera feed takes no other frames");
        }
    }

    /// Stops and gives the frames back.
    pub(crate) fn stop(self) -> Option<mpsc::Receiver<VideoFrame>> {
        drop(self.stop);
        self.runtime.block_on(self.task).ok().flatten()
    }
}

/// How long a source may give nothing: a slow one, such as one of slides, some of its intervals.
fn gone_after(frame_rate: FrameRate) -> Duration {
    let interval = Duration::from_secs(1) / frame_rate.0.max(1);
    GONE_AFTER.max(interval * 3)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Camera {
    /// Nothing was seen of it yet.
    Awaited {
        since: Instant,
    },
    Giving {
        last: Instant,
    },
    Gone,
}

struct Feed {
    settings: CameraFeedSettings,
    gone_after: Duration,
    target: Arc<EncodeInlets>,
    camera: Camera,
    next_slate: Instant,
    slate: Option<gst::Buffer>,
    caps: Option<(Resolution, gst::Caps)>,
    started: Instant,
}

impl Feed {
    fn new(settings: CameraFeedSettings, target: Arc<EncodeInlets>) -> Self {
        let now = Instant::now();
        let camera = Camera::Awaited { since: now };
        Self {
            gone_after: gone_after(settings.frame_rate),
            settings,
            target,
            camera,
            next_slate: now,
            slate: None,
            caps: None,
            started: now,
        }
    }

    async fn run(
        mut self,
        mut frames: Option<mpsc::Receiver<VideoFrame>>,
        mut replacements: mpsc::Receiver<mpsc::Receiver<VideoFrame>>,
        mut stopped: oneshot::Receiver<()>,
    ) -> Option<mpsc::Receiver<VideoFrame>> {
        if frames.is_none() {
            self.gone();
        }
        loop {
            let deadline = self.deadline();
            tokio::select! {
                biased;
                _ = &mut stopped => break,
                Some(replacement) = replacements.recv() => frames = Some(replacement),
                frame = next_frame(&mut frames) => self.frame(&frame),
                () = sleep_until(deadline.into()) => self.handle_timeout(Instant::now()),
            }
        }
        self.settings.sent.put(None);
        frames
    }

    fn deadline(&self) -> Instant {
        match self.camera {
            Camera::Giving { last } | Camera::Awaited { since: last }
                if self.settings.switch.is_on() =>
            {
                last + self.gone_after
            }
            Camera::Giving { .. } | Camera::Awaited { .. } | Camera::Gone => self.next_slate,
        }
    }

    fn frame(&mut self, frame: &VideoFrame) {
        if !frame.is_well_formed() {
            tracing::debug!(resolution = %frame.resolution, "a malformed camera frame is dropped");
            return;
        }
        if frame.captured + STALE_AFTER < self.started {
            return;
        }
        // It may have been gone when another feed saw it last.
        if matches!(self.camera, Camera::Gone | Camera::Awaited { .. }) {
            let source = Source::of_video(self.settings.role);
            self.settings.inputs.send(GraphInput::SourceBack(source));
        }
        let now = Instant::now();
        self.camera = Camera::Giving { last: now };
        if self.settings.switch.is_on() {
            let buffer = gst::Buffer::from_slice(frame.i420.clone());
            self.push(frame.resolution, buffer, frame.captured);
        } else if self.next_slate <= now {
            // Frames come faster than slates are due, so the deadline alone would starve.
            self.push_slate(now);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self.camera {
            Camera::Giving { last } | Camera::Awaited { since: last }
                if last + self.gone_after <= now =>
            {
                self.gone();
            }
            Camera::Giving { .. } | Camera::Awaited { .. } | Camera::Gone => {}
        }
        if self.next_slate <= now {
            self.push_slate(now);
        }
    }

    fn gone(&mut self) {
        self.camera = Camera::Gone;
        let source = Source::of_video(self.settings.role);
        self.settings.inputs.send(GraphInput::SourceGone(source));
    }

    fn push_slate(&mut self, now: Instant) {
        self.next_slate = now + SLATE_INTERVAL;
        let resolution = self.settings.resolution;
        let slate = self
            .slate
            .get_or_insert_with(|| gst::Buffer::from_slice(slate::draw(resolution)));
        let slate = slate.copy();
        self.push(resolution, slate, now);
    }

    fn push(&mut self, resolution: Resolution, mut buffer: gst::Buffer, captured: Instant) {
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(self.settings.clock.running_time(captured));
        }
        let caps = match &self.caps {
            Some((size, caps)) if *size == resolution => caps.clone(),
            Some(_) | None => {
                let caps = raw_caps(resolution, self.settings.frame_rate);
                self.caps = Some((resolution, caps.clone()));
                caps
            }
        };
        let sample = gst::Sample::builder().buffer(&buffer).caps(&caps).build();
        self.target.push(&sample);
        self.settings.sent.put(Some(sample));
    }
}

/// The camera's next frame. Waits for ever when there is no camera, or when it hung up.
async fn next_frame(frames: &mut Option<mpsc::Receiver<VideoFrame>>) -> VideoFrame {
    if let Some(receiver) = frames {
        if let Some(frame) = receiver.recv().await {
            return frame;
        }
        *frames = None;
    }
    std::future::pending().await
}

/// The caps of raw frames. The rate has to be named even though a camera keeps its own: without
/// one, x264 takes the rate for variable and holds every picture back until the next.
pub(crate) fn raw_caps(resolution: Resolution, frame_rate: FrameRate) -> gst::Caps {
    gst_video::VideoCapsBuilder::new()
        .format(gst_video::VideoFormat::I420)
        .width(resolution.width as i32)
        .height(resolution.height as i32)
        .framerate(gst::Fraction::new(frame_rate.0 as i32, 1))
        .pixel_aspect_ratio(gst::Fraction::new(1, 1))
        .field("interlace-mode", "progressive")
        .build()
}
