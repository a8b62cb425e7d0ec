//! The owner's handle on the media thread.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use room::codec::PacketizationMode;
use room::dtmf::DtmfDigits;
use room::ids::LegId;
use room::media_plan::{MediaPlan, VideoRole};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

use crate::by_role::ByRole;
use crate::camera_feed::SentPicture;
use crate::clock::MediaClock;
use crate::datagram::LegDatagrams;
use crate::decoded_frame::DecodedFrame;
use crate::device::DeviceStreams;
use crate::encoder::Encoders;
use crate::error::MediaError;
use crate::event::MediaEvent;
use crate::gate::Gate;
use crate::graph::{Graph, GraphSurroundings};
use crate::graph_input::{GraphInput, GraphInputs};
use crate::leg::{LegHub, pump};
use crate::settings::MediaSettings;

/// Datagrams that may wait in either direction of a leg: a keyframe of 1 Mbyte fits.
const DATAGRAMS: usize = 1_024;
/// RTCP datagrams for congestion control that may wait: they come twenty times a second and stream.
const CONTROL_DATAGRAMS: usize = 32;
/// Events that may wait for the owner.
const EVENTS: usize = 1_024;
/// Decoded pictures that may wait for an observer.
const TAPPED: usize = 8;
/// How long a JPEG may take.
const PICTURE_TIME: gst::ClockTime = gst::ClockTime::from_seconds(2);
/// How long shut-down may take.
const SHUT_DOWN_TIME: Duration = Duration::from_secs(4);

/// Which picture to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PictureOf {
    /// What a far end shows.
    FarEnd(LegId),
    /// What we send, slate included.
    Sent,
    /// The slides that a far end shows.
    FarEndSlides(LegId),
    /// The slides that we send.
    SentSlides,
}

/// The place where the newest plan waits for the media thread.
#[derive(Debug, Default)]
pub(crate) struct PlanSlot(Mutex<Option<MediaPlan>>);

impl PlanSlot {
    /// Takes the plan that waits.
    pub(crate) fn take(&self) -> Option<MediaPlan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, plan: MediaPlan) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(plan);
    }
}

/// The legs that are open. A leg is in here before the plan that names it is given, so that the
/// media thread, which always takes the newest plan, never finds it missing.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenLegs(Arc<Mutex<HashMap<LegId, Arc<LegHub>>>>);

impl OpenLegs {
    /// The leg has ended.
    pub(crate) fn remove(&self, leg: LegId) -> Option<Arc<LegHub>> {
        self.lock().remove(&leg)
    }

    /// All legs have ended.
    pub(crate) fn remove_all(&self) -> Vec<Arc<LegHub>> {
        self.lock().drain().map(|(_, hub)| hub).collect()
    }

    /// An open leg.
    pub(crate) fn get(&self, leg: LegId) -> Option<Arc<LegHub>> {
        self.lock().get(&leg).cloned()
    }

    /// A leg is open.
    pub(crate) fn insert(&self, hub: Arc<LegHub>) -> Option<Arc<LegHub>> {
        self.lock().insert(hub.id(), hub)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LegId, Arc<LegHub>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The media graph. All state changes of GStreamer happen on its own thread; nothing here waits
/// for them but [`shut_down`](Self::shut_down).
#[derive(Debug)]
pub struct Media {
    inputs: GraphInputs,
    plan: Arc<PlanSlot>,
    legs: OpenLegs,
    sent: ByRole<Arc<SentPicture>>,
    packetization_modes: Vec<PacketizationMode>,
    /// Taken only when the handle is dropped.
    runtime: Option<Runtime>,
    thread: Option<JoinHandle<()>>,
}

impl Media {
    /// Starts the media thread with an empty graph, and gives the events that it tells.
    ///
    /// # Errors
    /// GStreamer does not start, no encoder passes its self-test, or no thread can be had.
    pub fn start(
        settings: MediaSettings,
        devices: DeviceStreams,
    ) -> Result<(Self, mpsc::Receiver<MediaEvent>), MediaError> {
        gst::init().map_err(MediaError::Initialization)?;
        let encoders = Encoders::choose()?;
        let (inputs, queue) = GraphInputs::new();
        let (events, receiver) = mpsc::channel(EVENTS);
        let thread_error = |source| MediaError::Thread {
            name: "media-datagrams",
            source,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("media-datagrams")
            .enable_time()
            .build()
            .map_err(thread_error)?;
        let (plan, legs) = (Arc::new(PlanSlot::default()), OpenLegs::default());
        let sent = ByRole::<Arc<SentPicture>>::default();
        let surroundings = GraphSurroundings {
            clock: MediaClock::start(),
            inputs: inputs.clone(),
            events,
            runtime: runtime.handle().clone(),
            plan: Arc::clone(&plan),
            legs: legs.clone(),
            sent: sent.clone(),
        };
        let packetization_modes = encoders.packetization_modes();
        let graph = Graph::new(surroundings, settings, devices, encoders);
        let thread = thread::Builder::new()
            .name("media".to_owned())
            .spawn(move || graph.run(&queue))
            .map_err(|source| MediaError::Thread {
                name: "media",
                source,
            })?;
        let (runtime, thread) = (Some(runtime), Some(thread));
        Ok((
            Self {
                inputs,
                plan,
                legs,
                sent,
                packetization_modes,
                runtime,
                thread,
            },
            receiver,
        ))
    }

    /// How the encoders of this machine let a stream be cut into packets, best first: what an offer
    /// may name.
    #[must_use]
    pub fn packetization_modes(&self) -> &[PacketizationMode] {
        &self.packetization_modes
    }

    /// Opens a leg: call before the first plan that names it. The leg ends, and `outgoing` with
    /// it, with the first plan that names it no more, or with [`close_leg`](Self::close_leg).
    #[must_use]
    pub fn open_leg(&self, leg: LegId) -> LegDatagrams {
        let (incoming, to_leg) = mpsc::channel(DATAGRAMS);
        let (to_network, outgoing) = mpsc::channel(DATAGRAMS);
        let (control, received_control) = mpsc::channel(CONTROL_DATAGRAMS);
        let (feedback, own_feedback) = mpsc::channel(CONTROL_DATAGRAMS);
        let hub = LegHub::new(leg, to_network, control, self.inputs.clone());
        if let Some(before) = self.legs.insert(Arc::clone(&hub)) {
            before.close();
        }
        if let Some(runtime) = &self.runtime {
            let inlets = hub.watch_inlets();
            runtime.spawn(pump(Arc::downgrade(&hub), inlets, to_leg, own_feedback));
        }
        LegDatagrams {
            incoming,
            outgoing,
            received_control,
            feedback,
        }
    }

    /// Closes a leg that no plan names.
    pub fn close_leg(&self, leg: LegId) {
        self.inputs.send(GraphInput::LegClosed(leg));
    }

    /// Asks for this graph. Only the newest plan counts; [`MediaEvent::Applied`] follows.
    pub fn apply(&self, plan: MediaPlan) {
        self.plan.put(plan);
        self.inputs.send(GraphInput::PlanWaiting);
    }

    /// Sends telephone keys on a leg whose peer takes them.
    pub fn send_dtmf(&self, leg: LegId, digits: &DtmfDigits) {
        self.inputs.send(GraphInput::SendDtmf(leg, digits.clone()));
    }

    /// Asks for a keyframe of each picture on a leg, as a peer does by RTCP feedback. Requests that come close
    /// together make one keyframe.
    pub fn request_keyframe(&self, leg: LegId) {
        for role in VideoRole::ALL {
            self.inputs.send(GraphInput::KeyframeWanted(leg, role));
        }
    }

    /// Opens or closes the way of a picture to a leg, which is open at first. The other legs go on
    /// as they were. A gate stays as it is while the leg is open, through holds too.
    pub fn gate(&self, leg: LegId, role: VideoRole, gate: Gate) {
        self.inputs.send(GraphInput::Gate(leg, role, gate));
    }

    /// Takes a picture as JPEG.
    ///
    /// # Synchronization
    /// Encodes on the calling thread for some ten milliseconds: not for an async worker.
    ///
    /// # Errors
    /// There is no such leg, or nothing was seen of it yet.
    pub fn picture(&self, of: PictureOf) -> Result<Vec<u8>, MediaError> {
        self.pictures().take(of)
    }

    /// What takes pictures, to be kept where the handle itself is not.
    #[must_use]
    pub fn pictures(&self) -> PictureTaker {
        PictureTaker {
            legs: self.legs.clone(),
            sent: self.sent.clone(),
        }
    }

    /// A copy of every decoded picture of a leg's main stream or slides, until the receiver is dropped; what it does not
    /// take in time is dropped. Replaces the tap before it.
    ///
    /// # Errors
    /// There is no such leg.
    pub fn tap_decoded(
        &self,
        leg: LegId,
        role: VideoRole,
    ) -> Result<mpsc::Receiver<DecodedFrame>, MediaError> {
        let hub = self.legs.get(leg).ok_or(MediaError::UnknownLeg(leg))?;
        let (tap, frames) = mpsc::channel(TAPPED);
        hub.set_tap(role, tap);
        Ok(frames)
    }

    /// Empties the graph and ends the media thread.
    ///
    /// # Errors
    /// The thread had ended before, or something in the graph hangs: it is left to the process's
    /// end.
    pub async fn shut_down(mut self) -> Result<(), MediaError> {
        let (done, empty) = oneshot::channel();
        self.inputs.send(GraphInput::ShutDown(done));
        match tokio::time::timeout(SHUT_DOWN_TIME, empty).await {
            Ok(Ok(())) => {
                if let Some(thread) = self.thread.take() {
                    // It ends right after its answer.
                    thread.join().map_err(|_| MediaError::Ended)?;
                }
                Ok(())
            }
            Ok(Err(_)) => Err(MediaError::Ended),
            Err(_) => Err(MediaError::ShutDownTimedOut),
        }
    }
}

impl Drop for Media {
    /// The safety net: an owner that shuts down properly has left nothing to do.
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take()
            && !thread.is_finished()
        {
            let (done, _) = oneshot::channel();
            self.inputs.send(GraphInput::ShutDown(done));
        }
        if let Some(runtime) = self.runtime.take() {
            // Dropping it would wait, which an async owner must not.
            runtime.shutdown_background();
        }
    }
}

/// Takes pictures of what is seen.
#[derive(Clone, Debug)]
pub struct PictureTaker {
    legs: OpenLegs,
    sent: ByRole<Arc<SentPicture>>,
}

impl PictureTaker {
    /// Takes a picture as JPEG; see [`Media::picture`].
    ///
    /// # Errors
    /// There is no such leg, or nothing was seen of it yet.
    pub fn take(&self, of: PictureOf) -> Result<Vec<u8>, MediaError> {
        let far_end = |leg: LegId, role| {
            let hub = self.legs.get(leg).ok_or(MediaError::UnknownLeg(leg))?;
            Ok(hub.latest_picture(role))
        };
        let sample = match of {
            PictureOf::Sent => self.sent.main.latest(),
            PictureOf::SentSlides => self.sent.slides.latest(),
            PictureOf::FarEnd(leg) => far_end(leg, VideoRole::Main)?,
            PictureOf::FarEndSlides(leg) => far_end(leg, VideoRole::Slides)?,
        };
        let sample = sample.ok_or(MediaError::NoPicture)?;
        let jpeg = gst::Caps::new_empty_simple("image/jpeg");
        let picture = gst_video::convert_sample(&sample, &jpeg, Some(PICTURE_TIME))
            .map_err(MediaError::Picture)?;
        let bytes = picture
            .buffer()
            .and_then(|buffer| buffer.map_readable().ok());
        bytes
            .map(|bytes| bytes.to_vec())
            .ok_or(MediaError::NoPicture)
    }
}
