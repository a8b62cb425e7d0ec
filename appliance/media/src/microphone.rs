//! From the microphone to the encodes of its sound: front end, mute, level.
//!
//! ```text
//!  microphone ──► [front end] ──► [mute] ──► 20 ms ──► every encode of sound
//!                      ▲              └► level
//!  loudspeaker tap ────┘ reference
//! ```
//!
//! The stage runs on a thread of its own, because it computes, and gives sound without a gap: a
//! microphone that is gone is replaced by silence, so that far ends hear no stutter.
//!
//! ```text
//!             no frame for 100 ms          no frame for 0.9 s: SourceGone
//!   Giving ─────────────────────► Bridging ─────────────────────► Gone
//!     ▲                              │                              │
//!     └────────── a frame ───────────┴────── a frame: SourceBack ───┘
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use acoustics::{Frame, FrontEnd};
use room::media_plan::MicrophoneState;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;

use crate::audio_fan_out::AudioFanOut;
use crate::clock::MediaClock;
use crate::device::{AUDIO_FRAME_SAMPLES, AudioFrame};
use crate::error::MediaError;
use crate::event::{MediaEvent, Source};
use crate::graph_input::{GraphInput, GraphInputs};
use crate::loudness::LoudnessMeter;
use crate::loudspeaker_tap::LoudspeakerTap;
use crate::sample_timeline::{self, SampleTimeline};

const FRAME_TIME: Duration = Duration::from_millis(10);
/// Frames in one buffer for the encoders: their packets carry 20 ms.
const FRAMES_A_BUFFER: usize = 2;
/// A late frame is waited for; longer, and silence takes its place.
const BRIDGE_AFTER: Duration = Duration::from_millis(100);
/// As with a camera, the snapshot says within a second that it is gone.
const GONE_AFTER: Duration = crate::camera_feed::GONE_AFTER;
/// Frames between two level reports: five a second.
const LEVEL_FRAMES: u32 = 20;

/// Whether the microphone is heard; changed while it runs.
#[derive(Debug)]
pub(crate) struct MicrophoneSwitch(AtomicBool);

impl MicrophoneSwitch {
    pub(crate) fn new(state: MicrophoneState) -> Self {
        Self(AtomicBool::new(state == MicrophoneState::Open))
    }

    pub(crate) fn set(&self, state: MicrophoneState) {
        self.0
            .store(state == MicrophoneState::Open, Ordering::Release);
    }

    fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What the stage needs of its surroundings.
pub(crate) struct MicrophoneSettings {
    pub(crate) switch: Arc<MicrophoneSwitch>,
    pub(crate) fan_out: Arc<AudioFanOut>,
    pub(crate) tap: Arc<LoudspeakerTap>,
    pub(crate) clock: MediaClock,
    pub(crate) inputs: GraphInputs,
    pub(crate) events: mpsc::Sender<MediaEvent>,
}

/// What the stage owns while it runs and gives back when it ends.
pub(crate) struct MicrophoneParts {
    pub(crate) front_end: Box<dyn FrontEnd>,
    pub(crate) frames: Option<mpsc::Receiver<AudioFrame>>,
}

/// The running stage.
#[derive(Debug)]
pub(crate) struct MicrophoneStage {
    stop: oneshot::Sender<()>,
    replace: mpsc::Sender<mpsc::Receiver<AudioFrame>>,
    thread: JoinHandle<MicrophoneParts>,
}

impl MicrophoneStage {
    /// Starts the thread.
    pub(crate) fn start(
        settings: MicrophoneSettings,
        parts: MicrophoneParts,
    ) -> Result<Self, MediaError> {
        let thread_error = |source| MediaError::Thread {
            name: "media-microphone",
            source,
        };
        let (stop, stopped) = oneshot::channel();
        let (replace, replacements) = mpsc::channel(1);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(thread_error)?;
        let thread = thread::Builder::new()
            .name("media-microphone".to_owned())
            .spawn(move || runtime.block_on(Stage::new(settings, parts).run(replacements, stopped)))
            .map_err(thread_error)?;
        Ok(Self {
            stop,
            replace,
            thread,
        })
    }

    /// Takes the frames from elsewhere.
    pub(crate) fn replace(&self, frames: mpsc::Receiver<AudioFrame>) {
        if self.replace.try_send(frames).is_err() {
            tracing::error!("the microphone stage takes no other frames");
        }
    }

    /// Stops the thread and gives its parts back; `None` when it had crashed.
    pub(crate) fn stop(self) -> Option<MicrophoneParts> {
        drop(self.stop);
        self.thread.join().ok()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Microphone {
    Giving { last: Instant },
    Bridging { last: Instant, next: Instant },
    Gone { next: Instant },
}

struct Stage {
    settings: MicrophoneSettings,
    parts: MicrophoneParts,
    microphone: Microphone,
    pending: Vec<i16>,
    /// When the first waiting sample was heard.
    pending_since: gst::ClockTime,
    front_end_latency: gst::ClockTime,
    timeline: SampleTimeline,
    level: LoudnessMeter,
    frames_since_level: u32,
}

impl Stage {
    fn new(settings: MicrophoneSettings, parts: MicrophoneParts) -> Self {
        let now = Instant::now();
        let latency = parts.front_end.latency().as_nanos();
        let front_end_latency = gst::ClockTime::from_nseconds(latency as u64);
        let microphone = if parts.frames.is_some() {
            Microphone::Giving { last: now }
        } else {
            Microphone::Gone { next: now }
        };
        Self {
            settings,
            parts,
            microphone,
            pending: Vec::with_capacity(AUDIO_FRAME_SAMPLES * FRAMES_A_BUFFER),
            pending_since: gst::ClockTime::ZERO,
            front_end_latency,
            timeline: SampleTimeline::default(),
            level: LoudnessMeter::default(),
            frames_since_level: 0,
        }
    }

    async fn run(
        mut self,
        mut replacements: mpsc::Receiver<mpsc::Receiver<AudioFrame>>,
        mut stopped: oneshot::Receiver<()>,
    ) -> MicrophoneParts {
        if self.parts.frames.is_none() {
            self.settings
                .inputs
                .send(GraphInput::SourceGone(Source::Microphone));
        }
        self.drop_stale_frames();
        loop {
            let deadline = self.deadline();
            tokio::select! {
                biased;
                _ = &mut stopped => return self.parts,
                Some(replacement) = replacements.recv() => self.parts.frames = Some(replacement),
                frame = next_frame(&mut self.parts.frames) => self.heard(&frame),
                () = sleep_until(deadline.into()) => self.handle_timeout(Instant::now()),
            }
        }
    }

    /// What was heard before the call is nobody's business.
    fn drop_stale_frames(&mut self) {
        while let Some(frames) = &mut self.parts.frames
            && frames.try_recv().is_ok()
        {}
    }

    fn deadline(&self) -> Instant {
        match self.microphone {
            Microphone::Giving { last } => last + BRIDGE_AFTER,
            Microphone::Bridging { next, .. } | Microphone::Gone { next } => next,
        }
    }

    fn heard(&mut self, frame: &AudioFrame) {
        match self.microphone {
            Microphone::Giving { .. } | Microphone::Bridging { .. } => {}
            Microphone::Gone { .. } => {
                self.settings
                    .inputs
                    .send(GraphInput::SourceBack(Source::Microphone));
            }
        }
        self.microphone = Microphone::Giving {
            last: Instant::now(),
        };
        self.process(&acoustics::from_pcm16(&frame.samples), frame.captured);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.microphone = match self.microphone {
            Microphone::Giving { last } => {
                // The silence begins where the sound ended.
                let mut next = last + FRAME_TIME;
                while next + FRAME_TIME < now {
                    self.silence(next);
                    next += FRAME_TIME;
                }
                Microphone::Bridging { last, next }
            }
            Microphone::Bridging { last, next } if now < last + GONE_AFTER => {
                self.silence(next);
                Microphone::Bridging {
                    last,
                    next: next + FRAME_TIME,
                }
            }
            Microphone::Bridging { next, .. } => {
                self.settings
                    .inputs
                    .send(GraphInput::SourceGone(Source::Microphone));
                Microphone::Gone { next }
            }
            Microphone::Gone { next } => {
                self.silence(next);
                Microphone::Gone {
                    next: next + FRAME_TIME,
                }
            }
        };
    }

    /// The silence that ends at this moment.
    fn silence(&mut self, end: Instant) {
        let begin = end.checked_sub(FRAME_TIME).unwrap_or(end);
        self.process(&[0.0; AUDIO_FRAME_SAMPLES], begin);
    }

    fn process(&mut self, microphone: &Frame, captured: Instant) {
        let captured = self.settings.clock.running_time(captured);
        let Some(at) = self.timeline.place(captured) else {
            return;
        };
        let mut out = [0.0; AUDIO_FRAME_SAMPLES];
        match self.settings.tap.take_frame() {
            Some(reference) => {
                self.parts
                    .front_end
                    .process(&[microphone], &[&reference], &mut out);
            }
            None => self.parts.front_end.process(&[microphone], &[], &mut out),
        }
        let samples = if self.settings.switch.is_open() {
            acoustics::to_pcm16(&out)
        } else {
            // Also what waits for its second half was heard before the mute, and stays here.
            self.pending.fill(0);
            [0; AUDIO_FRAME_SAMPLES]
        };
        self.measure(&samples);
        if self.pending.is_empty() {
            self.pending_since = at.saturating_sub(self.front_end_latency);
        }
        self.pending.extend_from_slice(&samples);
        if self.pending.len() == AUDIO_FRAME_SAMPLES * FRAMES_A_BUFFER {
            self.send();
        }
    }

    fn send(&mut self) {
        let bytes: Vec<u8> = self.pending.drain(..).flat_map(i16::to_le_bytes).collect();
        let mut sound = gst::Buffer::from_mut_slice(bytes);
        if let Some(sound) = sound.get_mut() {
            sound.set_pts(self.pending_since);
            sound.set_duration(sample_timeline::FRAME * FRAMES_A_BUFFER as u64);
        }
        self.settings.fan_out.distribute(&sound);
    }

    fn measure(&mut self, samples: &[i16]) {
        self.level.add(samples);
        self.frames_since_level += 1;
        if self.frames_since_level == LEVEL_FRAMES {
            self.frames_since_level = 0;
            let microphone = self.level.take();
            let loudspeaker = self.settings.tap.take_level();
            // Full: the owner is behind, and the next levels are newer.
            let _ = self.settings.events.try_send(MediaEvent::Levels {
                microphone,
                loudspeaker,
            });
        }
    }
}

/// The microphone's next frame. Waits for ever when there is no microphone, or when it hung up.
async fn next_frame(frames: &mut Option<mpsc::Receiver<AudioFrame>>) -> AudioFrame {
    if let Some(receiver) = frames {
        if let Some(frame) = receiver.recv().await {
            return frame;
        }
        *frames = None;
    }
    std::future::pending().await
}
