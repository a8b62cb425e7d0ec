//! Hands each encode to every leg that takes it.
//!
//! Buffers are shared, never copied. A leg that does not drain its queue drops pictures until the
//! next keyframe; capture never waits for it, and the other legs do not notice.
//!
//! ```text
//!                     keyframe of the wanted encode: it is taken from here on
//!   AwaitingKeyframe ────────────────────────────────────────────────────────► Flowing ◄─┐
//!          ▲                                                                     │ │     │ keyframe of
//!          │  the queue is full, the gate is closed, or the encode ends          │ └─────┘ another encode
//!          └─────────────────────────────────────────────────────────────────────┘         that is wanted
//! ```
//!
//! A leg that is to change to another encode takes the one that it has until the other one's
//! keyframe: its pictures go on without a gap.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use room::ids::LegId;
use room::media_plan::{RungName, VideoRole};

use crate::encode_inlets::EncodeInlet;
use crate::gate::Gate;
use crate::graph_input::{GraphInput, GraphInputs};
use crate::leg::LegHub;
use crate::pipeline::PipelineId;

/// Encoded pictures that may wait in one leg.
const QUEUE: u64 = 8;

/// What two pictures of a leg are apart at least: of two encoders, the later picture may come out
/// first.
const LEAST_INTERVAL: gst::ClockTime = gst::ClockTime::from_mseconds(1);

/// The legs that take encodes. One instance serves all rungs of the camera, one that of the slides.
#[derive(Debug)]
pub(crate) struct VideoFanOut {
    role: VideoRole,
    state: Mutex<FanOutState>,
    inputs: GraphInputs,
}

#[derive(Debug, Default)]
struct FanOutState {
    branches: Vec<VideoBranch>,
    /// The encode of each rung.
    rungs: BTreeMap<RungName, Arc<EncodeInlet>>,
    /// Encodes that go as soon as nobody takes them.
    retiring: Vec<Arc<EncodeInlet>>,
    /// Legs whose gate is closed, and whether a keyframe is needed when it opens.
    closed: BTreeMap<LegId, KeyframeAtOpening>,
}

/// One leg's share.
#[derive(Debug)]
struct VideoBranch {
    leg: Arc<LegHub>,
    inlet: gst_app::AppSrc,
    /// The rung that it is to take.
    rung: RungName,
    /// The encode that it takes; `None` before the first keyframe.
    encode: Option<PipelineId>,
    state: BranchState,
    /// When its last picture was captured.
    last: Option<gst::ClockTime>,
}

/// A decoder can only begin with a keyframe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BranchState {
    AwaitingKeyframe,
    Flowing,
}

/// Whether a peer asked for a keyframe while it gets no pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyframeAtOpening {
    NotAsked,
    Asked,
}

/// How a leg came to a rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attached {
    /// It has seen nothing yet.
    Anew,
    /// It has pictures until the rung's next keyframe.
    FromOther,
    /// It was there already.
    Before,
}

impl VideoFanOut {
    /// Nobody takes anything yet.
    pub(crate) fn new(role: VideoRole, inputs: GraphInputs) -> Self {
        Self {
            role,
            state: Mutex::default(),
            inputs,
        }
    }

    /// A leg takes this rung from its next keyframe on.
    pub(crate) fn attach(
        &self,
        leg: Arc<LegHub>,
        rung: RungName,
        inlet: gst_app::AppSrc,
    ) -> Attached {
        let mut state = self.lock();
        let mut branches = state.branches.iter_mut();
        let known = branches.find(|b| b.leg.id() == leg.id() && b.inlet == inlet);
        let attached = match known {
            Some(branch) if branch.rung == rung => Attached::Before,
            Some(branch) => {
                branch.rung = rung;
                Attached::FromOther
            }
            None => {
                state.branches.retain(|branch| branch.leg.id() != leg.id());
                state.branches.push(VideoBranch {
                    leg,
                    inlet,
                    rung,
                    encode: None,
                    state: BranchState::AwaitingKeyframe,
                    last: None,
                });
                Attached::Anew
            }
        };
        state.update_skips();
        attached
    }

    /// A leg takes nothing any more.
    pub(crate) fn detach(&self, leg: LegId) {
        let mut state = self.lock();
        state.branches.retain(|branch| branch.leg.id() != leg);
        state.update_skips();
    }

    /// A leg is over: nor is its gate known any more.
    pub(crate) fn forget(&self, leg: LegId) {
        self.detach(leg);
        self.lock().closed.remove(&leg);
    }

    /// Opens or closes a leg's gate. Gives the encode of which it needs a keyframe.
    pub(crate) fn set_gate(&self, leg: LegId, gate: Gate) -> Option<PipelineId> {
        let mut state = self.lock();
        let opened = match gate {
            Gate::Open => state.closed.remove(&leg),
            Gate::Closed => {
                let closed = state.closed.entry(leg);
                closed.or_insert(KeyframeAtOpening::NotAsked);
                None
            }
        };
        state.update_skips();
        let (asked, branch) = (opened?, state.branch(leg)?);
        let needs = asked == KeyframeAtOpening::Asked
            || branch.state == BranchState::AwaitingKeyframe
            || !state.is_at_rung(branch);
        needs.then(|| state.next_encode(branch))?
    }

    /// Whether a keyframe for this leg is of no use before its gate opens: then it gets one, and the
    /// other legs are spared this one.
    pub(crate) fn defers_keyframe(&self, leg: LegId) -> bool {
        let mut state = self.lock();
        let closed = state.closed.get_mut(&leg);
        closed
            .map(|asked| *asked = KeyframeAtOpening::Asked)
            .is_some()
    }

    /// The encode of a rung begins, perhaps in the place of another, which retires.
    pub(crate) fn begin(&self, rung: RungName, inlet: Arc<EncodeInlet>) {
        let mut state = self.lock();
        let before = state.rungs.insert(rung, inlet);
        state.retiring.extend(before);
        state.update_skips();
    }

    /// There is no such rung any more. Its encode goes on for the legs that take it, until they have
    /// another.
    pub(crate) fn retire(&self, rung: RungName) {
        let mut state = self.lock();
        let before = state.rungs.remove(&rung);
        state.retiring.extend(before);
        state.update_skips();
    }

    /// An encode has ended: what was decoded so far is no reference any more.
    pub(crate) fn end(&self, encode: PipelineId) {
        let mut state = self.lock();
        state.rungs.retain(|_, inlet| inlet.encode() != encode);
        state.retiring.retain(|inlet| inlet.encode() != encode);
        for branch in &mut state.branches {
            if branch.encode == Some(encode) {
                branch.encode = None;
                branch.state = BranchState::AwaitingKeyframe;
            }
        }
        state.update_skips();
    }

    /// Whether a leg takes an encode.
    pub(crate) fn is_taken(&self, encode: PipelineId) -> bool {
        let state = self.lock();
        state.branches.iter().any(|b| b.encode == Some(encode))
    }

    /// The encode that a leg takes.
    pub(crate) fn encode_of(&self, leg: LegId) -> Option<PipelineId> {
        self.lock().branch(leg)?.encode
    }

    /// The encode that a leg takes next, by which alone a keyframe helps it.
    pub(crate) fn next_encode_of(&self, leg: LegId) -> Option<PipelineId> {
        let state = self.lock();
        state.next_encode(state.branch(leg)?)
    }

    /// One encoded picture for every leg that takes the encode. Runs on its streaming thread.
    pub(crate) fn distribute(&self, encode: PipelineId, picture: &gst::Sample) {
        let delta = picture
            .buffer()
            .is_none_or(|buffer| buffer.flags().contains(gst::BufferFlags::DELTA_UNIT));
        let mut state = self.lock();
        let FanOutState {
            branches,
            rungs,
            retiring,
            closed,
        } = &mut *state;
        let of_rung = rungs.iter().find(|(_, inlet)| inlet.encode() == encode);
        let retiring = retiring.iter().find(|inlet| inlet.encode() == encode);
        // What was in the encoder when the last gate was closed still goes to all: they lack no
        // reference then.
        let skips = of_rung
            .map(|(_, inlet)| inlet)
            .or(retiring)
            .is_some_and(|inlet| inlet.skips());
        let mut left = false;
        for branch in branches {
            let is_open = skips || !closed.contains_key(&branch.leg.id());
            if branch.encode != Some(encode) {
                let is_wanted = of_rung.is_some_and(|(rung, _)| *rung == branch.rung);
                if delta || !is_wanted || !is_open {
                    continue;
                }
                left |= branch.encode.replace(encode).is_some();
            }
            if !is_open {
                branch.state = BranchState::AwaitingKeyframe;
            } else if !delta || branch.state == BranchState::Flowing {
                self.hand(branch, picture);
            }
        }
        if left {
            self.inputs.send(GraphInput::EncodeLeft(self.role));
        }
    }

    fn hand(&self, branch: &mut VideoBranch, picture: &gst::Sample) {
        let meters = branch.leg.meters().video.get(self.role);
        if branch.inlet.current_level_buffers() >= QUEUE {
            meters.dropped_pictures.fetch_add(1, Ordering::Relaxed);
            branch.state = BranchState::AwaitingKeyframe;
            let wanted = GraphInput::KeyframeWanted(branch.leg.id(), self.role);
            self.inputs.send(wanted);
            return;
        }
        branch.state = BranchState::Flowing;
        let later = branch
            .last
            .and_then(|last| not_before(picture, last + LEAST_INTERVAL));
        let picture = later.as_ref().unwrap_or(picture);
        branch.last = picture.buffer().and_then(gst::BufferRef::pts);
        if branch.inlet.push_sample(picture).is_ok() {
            meters.sent_pictures.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, FanOutState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FanOutState {
    fn branch(&self, leg: LegId) -> Option<&VideoBranch> {
        self.branches.iter().find(|branch| branch.leg.id() == leg)
    }

    /// Whether a leg takes the encode that it is to take.
    fn is_at_rung(&self, branch: &VideoBranch) -> bool {
        let wanted = self.rungs.get(&branch.rung).map(|inlet| inlet.encode());
        wanted == branch.encode
    }

    fn next_encode(&self, branch: &VideoBranch) -> Option<PipelineId> {
        let wanted = self.rungs.get(&branch.rung).map(|inlet| inlet.encode());
        wanted.or(branch.encode)
    }

    /// An encode all of whose legs are closed skips pictures.
    fn update_skips(&self) {
        for inlet in self.rungs.values().chain(&self.retiring) {
            let encode = inlet.encode();
            let takes = |branch: &&VideoBranch| {
                branch.encode == Some(encode) || self.next_encode(branch) == Some(encode)
            };
            let mut legs = self.branches.iter().filter(takes).peekable();
            let skips = legs.peek().is_some()
                && legs.all(|branch| self.closed.contains_key(&branch.leg.id()));
            inlet.set_skips(skips);
        }
    }
}

/// The picture with a later time, if its own is before this one.
fn not_before(picture: &gst::Sample, earliest: gst::ClockTime) -> Option<gst::Sample> {
    let buffer = picture
        .buffer()
        .filter(|buffer| buffer.pts().is_some_and(|pts| pts < earliest))?;
    // The memory is shared; only the times are its own.
    let mut buffer = buffer.copy();
    {
        let buffer = buffer.get_mut()?;
        buffer.set_pts(earliest);
        buffer.set_dts(earliest);
    }
    let caps = picture.caps_owned()?;
    Some(gst::Sample::builder().buffer(&buffer).caps(&caps).build())
}
