//! The media thread: it owns every part of the graph and is the only one that builds, changes or
//! takes down any of them.
//!
//! ```text
//!  plan ──► wanted shape ──► diff ──► changes, one by one ──► parts
//!  streaming threads, owner ──► inputs ──► this thread ──► events
//! ```
//!
//! A part that fails is dropped, and with it its place in the shape. The last plan is then applied
//! again, so that the same diff that follows plans also repairs: at once the first time, after a
//! pause when it fails again.

mod changes;
mod repair;
mod sound;
mod watch;
mod watchdog;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use room::dtmf::DtmfDigits;
use room::ids::LegId;
use room::media_plan::{CameraState, MediaPlan, VideoRole};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::audio_encode::AudioEncode;
use crate::audio_fan_out::AudioFanOut;
use crate::audio_playout::AudioPlayout;
use crate::by_role::ByRole;
use crate::camera_feed::{CameraSwitch, SentPicture};
use crate::clock::MediaClock;
use crate::device::{AudioFrame, DeviceStreams, VideoFrame};
use crate::diff::diff;
use crate::encoder::Encoders;
use crate::event::MediaEvent;
use crate::fan_out::VideoFanOut;
use crate::gate::Gate;
use crate::graph::repair::Repairs;
use crate::graph::watch::Watch;
use crate::graph_input::{GraphInput, GraphInputs};
use crate::leg::Leg;
use crate::loudspeaker_tap::LoudspeakerTap;
use crate::media::{OpenLegs, PlanSlot};
use crate::microphone::{MicrophoneParts, MicrophoneStage, MicrophoneSwitch};
use crate::pipeline::PipelineId;
use crate::recording::Supply;
use crate::settings::MediaSettings;
use crate::shape::GraphShape;
use crate::video_capture::VideoCapture;
use crate::video_playout::VideoPlayout;
use crate::warm_up::warm_up;

/// What the graph shares with its owner.
pub(crate) struct GraphSurroundings {
    pub(crate) clock: MediaClock,
    pub(crate) inputs: GraphInputs,
    pub(crate) events: mpsc::Sender<MediaEvent>,
    pub(crate) runtime: Handle,
    pub(crate) plan: Arc<PlanSlot>,
    pub(crate) legs: OpenLegs,
    pub(crate) sent: ByRole<Arc<SentPicture>>,
}

/// The graph as it is.
pub(crate) struct Graph {
    surroundings: GraphSurroundings,
    encoders: Encoders,
    shape: GraphShape,
    /// The newest plan, for repairs.
    plan: Option<MediaPlan>,
    parts: Parts,
    devices: Devices,
    switches: Switches,
    video_fan_outs: ByRole<Arc<VideoFanOut>>,
    audio_fan_out: Arc<AudioFanOut>,
    tap: Arc<LoudspeakerTap>,
    watch: Watch,
    repairs: Repairs,
    phase: Phase,
}

/// What runs.
#[derive(Default)]
struct Parts {
    video_captures: ByRole<Option<VideoCapture>>,
    microphone: Option<RunningMicrophone>,
    audio_encodes: Vec<AudioEncode>,
    video_playout: Option<VideoPlayout>,
    audio_playout: Option<AudioPlayout>,
    legs: HashMap<LegId, Leg>,
}

/// The microphone stage, with the recording that plays in the device's place.
struct RunningMicrophone {
    stage: MicrophoneStage,
    supply: Supply,
    /// The device's frames while a recording plays.
    unused: Option<mpsc::Receiver<AudioFrame>>,
}

/// What belongs to devices and waits here while it is not in use.
struct Devices {
    pictures: ByRole<Option<mpsc::Receiver<VideoFrame>>>,
    microphone: Option<MicrophoneParts>,
    loudspeaker: Option<mpsc::Sender<AudioFrame>>,
}

struct Switches {
    /// Slides are never hidden: they are not sent at all.
    pictures: ByRole<Arc<CameraSwitch>>,
    microphone: Arc<MicrophoneSwitch>,
}

/// Whether the graph still follows plans.
enum Phase {
    Running,
    /// The owner waits for the last pipeline to be gone.
    ShuttingDown(oneshot::Sender<()>),
}

impl Graph {
    /// An empty graph.
    pub(crate) fn new(
        surroundings: GraphSurroundings,
        settings: MediaSettings,
        devices: DeviceStreams,
        encoders: Encoders,
    ) -> Self {
        let shape = GraphShape::empty();
        let MediaSettings { front_end } = settings;
        let DeviceStreams {
            camera,
            slides,
            microphone,
            loudspeaker,
        } = devices;
        let microphone = Some(MicrophoneParts {
            front_end,
            frames: microphone,
        });
        Self {
            switches: Switches {
                pictures: ByRole {
                    main: Arc::new(CameraSwitch::new(shape.camera)),
                    slides: Arc::new(CameraSwitch::new(CameraState::On)),
                },
                microphone: Arc::new(MicrophoneSwitch::new(shape.microphone)),
            },
            video_fan_outs: ByRole::new(|role| {
                Arc::new(VideoFanOut::new(role, surroundings.inputs.clone()))
            }),
            audio_fan_out: Arc::default(),
            tap: Arc::default(),
            watch: Watch::default(),
            repairs: Repairs::default(),
            phase: Phase::Running,
            plan: None,
            parts: Parts::default(),
            devices: Devices {
                pictures: ByRole {
                    main: camera,
                    slides,
                },
                microphone,
                loudspeaker,
            },
            shape,
            encoders,
            surroundings,
        }
    }

    /// Runs until it is shut down.
    pub(crate) fn run(mut self, inputs: &Receiver<GraphInput>) {
        warm_up();
        loop {
            let input = match self.next_deadline() {
                None => inputs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(deadline) => {
                    let wait = deadline.saturating_duration_since(Instant::now());
                    inputs.recv_timeout(wait)
                }
            };
            match input {
                Ok(input) => self.handle(input),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.handle_timeout(Instant::now());
            if self.is_empty()
                && let Phase::ShuttingDown(done) =
                    std::mem::replace(&mut self.phase, Phase::Running)
            {
                // Nobody waits when the owner has given up.
                let _ = done.send(());
                return;
            }
        }
    }

    fn is_empty(&self) -> bool {
        let Parts {
            video_captures,
            microphone,
            audio_encodes,
            video_playout,
            audio_playout,
            legs,
        } = &self.parts;
        video_captures.present().next().is_none()
            && microphone.is_none()
            && audio_encodes.is_empty()
            && video_playout.is_none()
            && audio_playout.is_none()
            && legs.is_empty()
            && self.watch.nothing_leaving()
    }

    fn handle(&mut self, input: GraphInput) {
        let now = Instant::now();
        match input {
            GraphInput::PlanWaiting => self.take_plan(),
            GraphInput::LegClosed(leg) => {
                if !self.shape.legs.contains_key(&leg) {
                    self.close_leg(leg);
                }
            }
            GraphInput::SendDtmf(leg, digits) => self.send_dtmf(leg, &digits),
            GraphInput::ShutDown(done) => self.shut_down(done),
            GraphInput::KeyframeWanted(leg, role) => self.keyframe_wanted(leg, role, now),
            GraphInput::Gate(leg, role, gate) => self.set_gate(leg, role, gate, now),
            GraphInput::EncodeLeft(role) => {
                if let Some(capture) = self.parts.video_captures.get_mut(role) {
                    capture.end_retired(now);
                }
            }
            GraphInput::PictureNeeded(leg) => self.picture_needed(leg, now),
            GraphInput::BitrateRequested(leg, role, most) => {
                self.tell(MediaEvent::BitrateRequested { leg, role, most });
            }
            GraphInput::FirstFrame(leg) => self.tell(MediaEvent::FirstFrame { leg }),
            GraphInput::SourceGone(source) => self.tell(MediaEvent::SourceGone(source)),
            GraphInput::SourceBack(source) => self.tell(MediaEvent::SourceBack(source)),
            GraphInput::PipelineFailed { id, element, text } => {
                self.pipeline_failed(id, element, text, now);
            }
            GraphInput::LatencyChanged(id) => self.latency_changed(id),
            GraphInput::EndOfStream(id) => self.end_of_stream(id),
            GraphInput::PipelineLeaving(id) => self.watch.leaving(id, now),
            GraphInput::PipelineGone(id) => self.watch.gone(id),
        }
    }

    fn take_plan(&mut self) {
        let Some(plan) = self.surroundings.plan.take() else {
            return;
        };
        match self.phase {
            Phase::Running => {}
            Phase::ShuttingDown(_) => return,
        }
        let generation = plan.generation;
        self.plan = Some(plan);
        self.follow_plan();
        self.tell(MediaEvent::Applied { generation });
        // The room may have begun to wait for them anew while plans overtook each other.
        self.tell_what_flows();
    }

    /// Brings the graph to the newest plan. What cannot be built is told as a fault and left out.
    fn follow_plan(&mut self) {
        let Some(plan) = &self.plan else { return };
        let mut wanted = GraphShape::wanted(plan);
        wanted.legs.retain(|leg, _| {
            let open = self.surroundings.legs.get(*leg).is_some();
            if !open {
                tracing::error!(%leg, "the plan names a leg that was not opened");
            }
            open
        });
        self.change_to(&wanted);
    }

    fn change_to(&mut self, wanted: &GraphShape) {
        let gone: Vec<LegId> = self
            .shape
            .legs
            .keys()
            .filter(|leg| !wanted.legs.contains_key(leg))
            .copied()
            .collect();
        for change in diff(&self.shape, wanted) {
            tracing::debug!(?change, "changing the graph");
            match self.carry_out(&change) {
                Ok(()) => self.shape.follow(&change),
                Err(error) => self.change_failed(&change, &error),
            }
        }
        self.follow_sound();
        for leg in gone {
            self.close_leg(leg);
        }
    }

    fn close_leg(&mut self, leg: LegId) {
        self.watch.forget(leg);
        for (_, fan_out) in self.video_fan_outs.iter() {
            fan_out.forget(leg);
        }
        if let Some(hub) = self.surroundings.legs.remove(leg) {
            hub.close();
        }
    }

    fn shut_down(&mut self, done: oneshot::Sender<()>) {
        self.plan = None;
        self.change_to(&GraphShape::empty());
        for hub in self.surroundings.legs.remove_all() {
            hub.close();
        }
        self.phase = Phase::ShuttingDown(done);
    }

    fn send_dtmf(&mut self, leg: LegId, digits: &DtmfDigits) {
        let sent = self
            .parts
            .legs
            .get(&leg)
            .is_some_and(|leg| leg.send_dtmf(digits));
        if !sent {
            let text = "the peer takes no telephone-event".to_owned();
            self.tell(MediaEvent::Fault {
                leg: Some(leg),
                element: "dtmf".to_owned(),
                text,
            });
        }
    }

    fn keyframe_wanted(&mut self, leg: LegId, role: VideoRole, now: Instant) {
        let fan_out = self.video_fan_outs.get(role);
        if fan_out.defers_keyframe(leg) {
            return;
        }
        let (taken, next) = (fan_out.encode_of(leg), fan_out.next_encode_of(leg));
        if let Some(capture) = self.parts.video_captures.get_mut(role) {
            // The one that it changes to, too: whichever keyframe comes first helps it.
            let taken = taken.filter(|taken| Some(*taken) != next);
            for encode in taken.into_iter().chain(next) {
                capture.request_keyframe(encode, now);
            }
        }
    }

    fn set_gate(&mut self, leg: LegId, role: VideoRole, gate: Gate, now: Instant) {
        if self.surroundings.legs.get(leg).is_none() {
            return;
        }
        let needed = self.video_fan_outs.get(role).set_gate(leg, gate);
        let capture = self.parts.video_captures.get_mut(role).as_mut();
        if let Some((capture, encode)) = capture.zip(needed) {
            capture.request_keyframe(encode, now);
        }
    }

    fn picture_needed(&mut self, leg: LegId, now: Instant) {
        if self.parts.legs.contains_key(&leg) && self.watch.picture_needed(leg, now) {
            self.tell(MediaEvent::PictureNeeded { leg });
        }
    }

    fn latency_changed(&self, id: PipelineId) {
        if let Some(playout) = self.parts.audio_playout.as_ref().filter(|p| p.id() == id) {
            playout.recalculate_latency();
        }
        if let Some(playout) = self.parts.video_playout.as_ref().filter(|p| p.id() == id) {
            playout.recalculate_latency();
        }
    }

    fn end_of_stream(&self, id: PipelineId) {
        let captures = self.parts.video_captures.present();
        let pictures = captures.filter_map(|capture| capture.supply().recording());
        let microphone = self
            .parts
            .microphone
            .as_ref()
            .and_then(|microphone| microphone.supply.recording());
        if let Some(recording) = pictures.chain(microphone).find(|r| r.id() == id) {
            recording.rewind();
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let captures = self.parts.video_captures.present();
        captures
            .filter_map(VideoCapture::next_deadline)
            .chain(self.watch.next_deadline())
            .chain(self.repairs.next_deadline())
            .min()
    }

    fn handle_timeout(&mut self, now: Instant) {
        for role in VideoRole::ALL {
            if let Some(capture) = self.parts.video_captures.get_mut(role) {
                capture.handle_timeout(now);
            }
        }
        self.look_around(now);
        if self.repairs.take_due(now) {
            self.follow_plan();
            self.follow_sound();
            self.play_recordings();
        }
    }

    fn tell(&self, event: MediaEvent) {
        if let Err(mpsc::error::TrySendError::Full(event)) =
            self.surroundings.events.try_send(event)
        {
            tracing::error!(?event, "the owner does not take events");
        }
    }
}

/// How long packets of a leg are held: what the leg measured, or the first guess.
fn delay_of(legs: &HashMap<LegId, Leg>, leg: LegId) -> Duration {
    legs.get(&leg)
        .map_or(crate::leg::FIRST_DELAY, Leg::playout_delay)
}
