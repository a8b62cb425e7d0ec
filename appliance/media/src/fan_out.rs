//! Hands one encode to every leg that takes it.
//!
//! Buffers are shared, never copied. A leg that does not drain its queue drops pictures until the
//! next keyframe; capture never waits for it, and the other legs do not notice.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use room::ids::LegId;
use room::media_plan::VideoRole;

use crate::graph_input::{GraphInput, GraphInputs};
use crate::leg::LegHub;

/// Encoded pictures that may wait in one leg.
const QUEUE: u64 = 8;

/// The legs that take encodes. One instance serves all rungs of the camera, one that of the slides.
#[derive(Debug)]
pub(crate) struct VideoFanOut {
    role: VideoRole,
    branches: Mutex<Vec<VideoBranch>>,
    inputs: GraphInputs,
}

/// One leg's share.
#[derive(Debug)]
struct VideoBranch {
    leg: Arc<LegHub>,
    inlet: gst_app::AppSrc,
    rung: usize,
    state: BranchState,
}

/// A decoder can only begin with a keyframe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BranchState {
    AwaitingKeyframe,
    Flowing,
}

impl VideoFanOut {
    /// Nobody takes anything yet.
    pub(crate) fn new(role: VideoRole, inputs: GraphInputs) -> Self {
        Self {
            role,
            branches: Mutex::default(),
            inputs,
        }
    }

    /// A leg takes this rung from the next keyframe on, and no other any more.
    pub(crate) fn attach(&self, leg: Arc<LegHub>, rung: usize, inlet: gst_app::AppSrc) {
        let mut branches = self.lock();
        branches.retain(|branch| branch.leg.id() != leg.id());
        branches.push(VideoBranch {
            leg,
            inlet,
            rung,
            state: BranchState::AwaitingKeyframe,
        });
    }

    /// A leg takes nothing any more.
    pub(crate) fn detach(&self, leg: LegId) {
        self.lock().retain(|branch| branch.leg.id() != leg);
    }

    /// The encoder of this rung was replaced: what was decoded so far is no reference any more.
    pub(crate) fn restart(&self) {
        for branch in self.lock().iter_mut() {
            branch.state = BranchState::AwaitingKeyframe;
        }
    }

    /// The rung that a leg takes.
    pub(crate) fn rung_of(&self, leg: LegId) -> Option<usize> {
        self.lock()
            .iter()
            .find(|branch| branch.leg.id() == leg)
            .map(|branch| branch.rung)
    }

    /// One encoded picture for every leg of the rung. Runs on the encoder's streaming thread.
    pub(crate) fn distribute(&self, rung: usize, picture: &gst::Sample) {
        let delta = picture
            .buffer()
            .is_none_or(|buffer| buffer.flags().contains(gst::BufferFlags::DELTA_UNIT));
        for branch in self.lock().iter_mut().filter(|branch| branch.rung == rung) {
            if delta && branch.state == BranchState::AwaitingKeyframe {
                continue;
            }
            let meters = branch.leg.meters().video.get(self.role);
            if branch.inlet.current_level_buffers() >= QUEUE {
                meters.dropped_pictures.fetch_add(1, Ordering::Relaxed);
                branch.state = BranchState::AwaitingKeyframe;
                let wanted = GraphInput::KeyframeWanted(branch.leg.id(), self.role);
                self.inputs.send(wanted);
                continue;
            }
            branch.state = BranchState::Flowing;
            if branch.inlet.push_sample(picture).is_ok() {
                meters.sent_pictures.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<VideoBranch>> {
        self.branches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The legs that take the microphone's sound.
#[derive(Debug, Default)]
pub(crate) struct AudioFanOut {
    branches: Mutex<Vec<(Arc<LegHub>, gst_app::AppSrc)>>,
}

impl AudioFanOut {
    /// A leg takes the sound from now on.
    pub(crate) fn attach(&self, leg: Arc<LegHub>, inlet: gst_app::AppSrc) {
        let mut branches = self.lock();
        branches.retain(|(other, _)| other.id() != leg.id());
        branches.push((leg, inlet));
    }

    /// A leg takes it no more.
    pub(crate) fn detach(&self, leg: LegId) {
        self.lock().retain(|(other, _)| other.id() != leg);
    }

    /// One stretch of sound for every leg. A leg's own queue drops the oldest when it is full.
    pub(crate) fn distribute(&self, sound: &gst::Buffer) {
        for (leg, inlet) in self.lock().iter() {
            let offered = &leg.meters().offered_sounds;
            offered.fetch_add(1, Ordering::Relaxed);
            // Refused only while the leg is being taken down.
            let _ = inlet.push_buffer(sound.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Arc<LegHub>, gst_app::AppSrc)>> {
        self.branches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
