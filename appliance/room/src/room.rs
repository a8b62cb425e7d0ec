//! The room's machine: it admits requests, takes facts, and keeps legs, controls and media plan
//! in step.
//!
//! ```text
//!              Call, Join, or an answered call
//!   Idle ────────────────────────────────────────► InMeeting ◄─┐
//!    ▲  ▲                                              │       │ a new call is dialed or answered
//!    │  └── the last leg ended by the far end ─────────┤       │
//!    │                                                 ▼       │
//!    └──────── signalling confirmed, or time-out ── Leaving ───┘
//!                                                      ▲
//!                        the last leg is hung up here ─┤
//!                        ShutDown, in any state ───────┘ and then for good (see `shutdown`)
//! ```
//!
//! [`RoomState`] is no machine of its own: it follows from the states of the legs (see `leg`) and
//! from the shutdown. So do the media plan, tones included, and the remembered values: after each
//! input they are derived anew, and a command goes out for each that differs from what was last
//! ordered.

mod availability;
mod guests;
mod interrupted;
mod refused_calls;
mod slides;
mod transfers;

use std::collections::VecDeque;
use std::time::Instant;

use crate::command::{AnswerMode, Command, Remembered};
use crate::fact::{Fact, MediaFault, Prevails, RegistrationState};
use crate::guest::LegKind;
use crate::ids::{Generation, LegId};
use crate::ladder::{Ladder, SendingLeg};
use crate::leg::{IncomingCall, Leg};
use crate::leg_state::{EndReason, LegState};
use crate::media_plan::{EncodeLadder, LegPlan, MediaPlan, SlidesState};
use crate::peer::AnswerWish;
use crate::plan::{Controls, Shown, media_plan, most_of_camera, tone};
use crate::policy::{CallTarget, RoomPolicy};
use crate::request::{Admission, DeniedReason, Request};
use crate::resumption::WantedCall;
use crate::shutdown::{Progress, Shutdown};
use crate::snapshot::{DeviceState, RoomSnapshot, RoomState, VideoFlow};
use crate::transfer::Transfer;
use crate::turn::Turn;

/// The most legs that are kept at a time, those included that only wait for the far end's last
/// word. Calls beyond are refused.
const MAX_LEGS: usize = 64;

/// The longest address that can be called, in bytes.
const MAX_TARGET: usize = 1_024;

/// The room. See the crate's documentation for the loop that drives it.
#[derive(Debug)]
pub struct Room {
    policy: RoomPolicy,
    /// In the order in which they came. Legs that are over leave at the end of each input.
    legs: Vec<Leg>,
    last_leg: LegId,
    /// Calls remembered from before a restart that nobody has placed again or given up.
    not_resumed: Vec<WantedCall>,
    transfers: Vec<Transfer>,
    ladder: Ladder,
    /// Whether users of the room want its slides shown.
    slides: SlidesState,
    shutdown: Shutdown,
    ordered: Ordered,
    /// The newest values that the store has spoken about.
    stored: Generation,
    commands: VecDeque<Command>,
    /// The snapshot as it will be published at the end of the input. It is also the one place
    /// where the controls, the devices and what was measured are kept.
    current: RoomSnapshot,
    published: RoomSnapshot,
}

/// What was last ordered, so that only changes become commands.
#[derive(Debug)]
struct Ordered {
    plan: MediaPlan,
    remembered: Remembered,
    remembered_generation: Generation,
}

/// What becomes of a call that comes in.
#[derive(Debug)]
enum Reception {
    /// Refused: the room is about to be gone.
    ShuttingDown,
    /// Refused as busy.
    Busy,
    /// Answered unasked.
    Answer {
        /// A call that was asked for here and that this one fulfils.
        placed: Option<WantedCall>,
    },
    /// Refused: somebody would have to answer it, and the caller does not want that.
    NotUnasked,
    /// Somebody has to answer it.
    Ring,
}

impl Room {
    /// A room in which nothing goes on, with what was remembered from before. Its first command
    /// is the idle media plan. Remembered calls are kept, but not placed: that is the driver's
    /// decision, by [`Request::Call`].
    #[must_use]
    pub fn new(policy: RoomPolicy, initial: Remembered) -> Self {
        let current = RoomSnapshot::idle(&policy.media, &initial);
        let plan = media_plan(
            current.media_wanted,
            &policy.media,
            Controls::of(&current),
            Vec::new(),
            EncodeLadder::NONE,
            Shown::default(),
        );
        Self {
            policy,
            legs: Vec::new(),
            last_leg: LegId(0),
            not_resumed: initial.wanted.clone(),
            transfers: Vec::new(),
            ladder: Ladder::default(),
            slides: SlidesState::Off,
            shutdown: Shutdown::Running,
            commands: VecDeque::from([Command::ApplyMedia(plan.clone())]),
            ordered: Ordered {
                plan,
                remembered: initial,
                remembered_generation: Generation::default(),
            },
            stored: Generation::default(),
            published: current.clone(),
            current,
        }
    }

    /// A fresh id for a call that comes in, before [`Fact::Incoming`] tells of it.
    pub fn reserve_leg(&mut self) -> LegId {
        // Ids begin anew after four thousand million calls; one that is in use is passed by.
        loop {
            self.last_leg = LegId(self.last_leg.0.wrapping_add(1));
            if self.legs.iter().all(|leg| leg.id() != self.last_leg) {
                return self.last_leg;
            }
        }
    }

    /// Judges a request, and acts on it when it is accepted. Only an accepted request has effects.
    pub fn request(&mut self, now: Instant, request: Request) -> Admission {
        let admission = if self.shutdown.is_running() {
            self.admit(now, request)
        } else if request == Request::ShutDown {
            Admission::AlreadySo
        } else {
            Admission::Denied(DeniedReason::ShuttingDown)
        };
        self.settle(now);
        admission
    }

    /// Takes note of what has happened. Once [`Command::ShutDownComplete`] is out, nothing matters
    /// any more.
    pub fn fact(&mut self, now: Instant, fact: Fact) {
        if self.shutdown != Shutdown::ShutDown {
            self.note(now, fact);
            self.settle(now);
        }
    }

    /// Acts on every deadline that has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.each_leg(now, Leg::handle_timeout);
        self.settle(now);
    }

    /// When [`Room::handle_timeout`] must be called at the latest; `None` while nothing is waited
    /// for.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let legs = self.legs.iter().filter_map(Leg::next_deadline);
        let transfers = self.transfers.iter().filter_map(Transfer::next_deadline);
        legs.chain(transfers)
            .chain(self.ladder.next_deadline())
            .chain(self.shutdown.next_deadline())
            .min()
    }

    /// Takes the next command. Drain it after every input.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// The last [`Command::Remember`]. An answer to a client that is given out before the store has
    /// spoken about it may not hold after a crash.
    #[must_use]
    pub const fn remembered_generation(&self) -> Generation {
        self.ordered.remembered_generation
    }

    /// The newest [`Command::Remember`] that the store has spoken about, be it that it failed.
    #[must_use]
    pub const fn stored_generation(&self) -> Generation {
        self.stored
    }

    /// The room as it is now.
    #[must_use]
    pub fn snapshot(&self) -> RoomSnapshot {
        self.published.clone()
    }

    // Requests.

    fn admit(&mut self, now: Instant, request: Request) -> Admission {
        match request {
            Request::Call { target, account } => {
                let call = CallTarget { target, account };
                let admission = self.call(now, &call);
                self.forget_unless_placed(&call, admission);
                admission
            }
            Request::Join => self.join(now),
            Request::Answer { leg } => self.ask_leg(now, leg, Leg::answer),
            Request::Decline { leg } => self.decline(now, leg),
            Request::Register { account } => self.register(account),
            Request::HangUp { leg: Some(leg) } => self.hang_up(now, leg),
            Request::HangUp { leg: None } => self.hang_up_all(now),
            Request::SetMicrophone(state) => set(&mut self.current.microphone, state),
            Request::SetCamera(state) => set(&mut self.current.camera, state),
            Request::SetSlides(state) => self.set_slides(now, state),
            Request::SetVolume(volume) => set(&mut self.current.volume, volume),
            Request::SetLayout(layout) => set(&mut self.current.layout, layout),
            Request::Hold { leg } => self.ask_leg(now, leg, Leg::hold),
            Request::Resume { leg } => self.ask_leg(now, leg, Leg::resume),
            Request::SendDtmf { leg, digits } => {
                self.ask_leg(now, leg, |leg, turn| leg.send_dtmf(digits, turn))
            }
            Request::ShutDown => self.shut_down(now),
        }
    }

    fn join(&mut self, now: Instant) -> Admission {
        match self.policy.join.clone() {
            Some(call) => self.call(now, &call),
            None => Admission::Denied(DeniedReason::NothingToJoin),
        }
    }

    fn call(&mut self, now: Instant, call: &CallTarget) -> Admission {
        if let Err(reason) = self.check_target(call) {
            return Admission::Denied(reason);
        }
        if self
            .legs
            .iter()
            .any(|leg| !leg.is_ending() && leg.is_call_to(call))
        {
            return Admission::AlreadySo;
        }
        if self.is_remembered_as_answered(call) && !self.has_free_leg() {
            return Admission::Denied(DeniedReason::NoFreeLeg);
        }
        if let Err(reason) = self.make_room_for_call(now) {
            return Admission::Denied(reason);
        }
        let wanted = self.take_remembered(call);
        let id = self.reserve_leg();
        let account = wanted.call.account.clone();
        let account = account.or_else(|| self.policy.accounts.first().cloned());
        let otherwise = wanted.if_forgotten();
        let leg = Leg::dial(id, wanted, account, otherwise, &mut self.turn(now));
        self.legs.push(leg);
        Admission::Accepted { leg: Some(id) }
    }

    fn check_target(&self, call: &CallTarget) -> Result<(), DeniedReason> {
        let target = &call.target;
        let is_text = !target.is_empty() && !target.contains(char::is_control);
        if !is_text || target.len() > MAX_TARGET {
            return Err(DeniedReason::InvalidTarget);
        }
        match &call.account {
            Some(account) if !self.policy.accounts.contains(account) => {
                Err(DeniedReason::UnknownAccount)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Finds a free leg for a call of our own. It outranks a caller who still rings, for else one
    /// who keeps calling could keep the room from its meeting.
    fn make_room_for_call(&mut self, now: Instant) -> Result<(), DeniedReason> {
        if self.has_free_leg() {
            return Ok(());
        }
        let ringing = self
            .legs
            .iter()
            .position(|leg| leg.kind() == LegKind::Sip && leg.state() == LegState::Incoming);
        match ringing {
            Some(index) if self.taken_legs(LegKind::Sip) <= self.policy.second_call.max_legs() => {
                self.at_leg(now, index, Leg::refuse_busy);
                Ok(())
            }
            Some(_) | None => Err(DeniedReason::NoFreeLeg),
        }
    }

    /// Whether policy allows one more leg.
    fn has_free_leg(&self) -> bool {
        self.taken_legs(LegKind::Sip) < self.policy.second_call.max_legs()
            && self.legs.len() < MAX_LEGS
    }

    /// The legs of a kind that count. Those that only wait for the far end's last word do not, so that one
    /// call can follow another without a pause.
    fn taken_legs(&self, kind: LegKind) -> usize {
        let taken = |leg: &&Leg| leg.kind() == kind && !leg.is_ending();
        self.legs.iter().filter(taken).count()
    }

    fn decline(&mut self, now: Instant, id: LegId) -> Admission {
        match self.end_reason(id) {
            Some(EndReason::Declined) => Admission::AlreadySo,
            Some(_) | None => self.ask_leg(now, id, Leg::decline),
        }
    }

    fn hang_up(&mut self, now: Instant, id: LegId) -> Admission {
        match self.end_reason(id) {
            Some(_) => Admission::AlreadySo,
            None => self.ask_leg(now, id, Leg::hang_up),
        }
    }

    /// Why a leg ended that clients may still see, and ask about because they have not heard yet.
    fn end_reason(&self, id: LegId) -> Option<EndReason> {
        let ended = self.current.last_ended.iter().find(|leg| leg.id == id)?;
        ended.state.end_reason()
    }

    fn hang_up_all(&mut self, now: Instant) -> Admission {
        let live = self.legs.iter().any(|leg| !leg.is_ending());
        if !live && self.not_resumed.is_empty() {
            return Admission::AlreadySo;
        }
        self.not_resumed.clear();
        self.each_leg(now, |leg, turn| {
            leg.hang_up(turn);
        });
        Admission::Accepted { leg: None }
    }

    fn shut_down(&mut self, now: Instant) -> Admission {
        self.shutdown = Shutdown::HangingUp;
        self.not_resumed.clear();
        self.each_leg(now, |leg, turn| leg.end(EndReason::ShutDown, turn));
        Admission::Accepted { leg: None }
    }

    // Facts.

    fn note(&mut self, now: Instant, fact: Fact) {
        match fact {
            Fact::Incoming {
                leg,
                peer,
                account,
                security,
                trust,
                wish,
                glare,
            } => {
                let call = IncomingCall {
                    peer,
                    account,
                    security,
                    trust,
                    wish,
                    glare,
                };
                self.incoming(now, leg, call);
            }
            Fact::GuestKnocks { leg, guest } => self.guest_knocks(now, leg, &guest),
            Fact::Ringing { leg } => self.tell_leg(leg, Leg::far_end_rings),
            Fact::EarlyMedia { leg, streams } => {
                self.tell_leg(leg, |leg| leg.early_media(streams));
            }
            Fact::Answered { leg, streams } => {
                self.tell_leg(leg, |leg| leg.answered(streams));
            }
            Fact::Established {
                leg,
                streams,
                security,
            } => {
                self.tell_leg(leg, |leg| leg.established(now, streams, security));
            }
            Fact::DialogNamed { leg, way_back } => {
                self.tell_leg(leg, |leg| leg.dialog_named(way_back));
            }
            Fact::StreamsChanged { leg, streams } => {
                self.tell_leg(leg, |leg| leg.streams_changed(streams));
            }
            Fact::HoldSucceeded { leg } => self.tell_leg(leg, Leg::hold_succeeded),
            Fact::HoldFailed { leg } => self.tell_leg(leg, Leg::hold_failed),
            Fact::ResumeSucceeded { leg } => self.tell_leg(leg, Leg::resume_succeeded),
            Fact::ResumeFailed { leg } => self.tell_leg(leg, Leg::resume_failed),
            Fact::RemoteHold { leg } => self.tell_leg(leg, Leg::far_end_holds),
            Fact::RemoteResume { leg } => self.tell_leg(leg, Leg::far_end_resumes),
            Fact::TransferAsked {
                leg,
                target,
                replaced,
            } => self.transfer_asked(now, leg, target, replaced),
            Fact::IncomingRefused {
                peer,
                account,
                reason,
            } => self.incoming_refused(now, peer, account, reason),
            Fact::EndExplained { leg, explanation } => {
                self.tell_leg(leg, |leg| leg.end_explained(explanation));
            }
            Fact::Ended { leg, reason } => self.tell_leg(leg, |leg| leg.ended(now, reason)),
            Fact::FirstFrame { leg } => self.tell_leg(leg, |leg| leg.first_frame(now)),
            Fact::VideoStalled { leg } => {
                self.tell_leg(leg, |leg| leg.video_flow(VideoFlow::Stalled));
            }
            Fact::VideoResumed { leg } => {
                self.tell_leg(leg, |leg| leg.video_flow(VideoFlow::Flowing));
            }
            Fact::Floor { leg, change } => {
                let index = self.legs.iter().position(|known| known.id() == leg);
                if let Some(index) = index {
                    self.at_leg(now, index, |leg, turn| leg.floor_changed(change, turn));
                }
            }
            Fact::SlidesResumed { leg } => {
                self.tell_leg(leg, |leg| leg.slides_flow(VideoFlow::Flowing));
            }
            Fact::SlidesStalled { leg } => {
                self.tell_leg(leg, |leg| leg.slides_flow(VideoFlow::Stalled));
            }
            Fact::SlidesGone => self.current.slides_device.gone(),
            Fact::SlidesBack => self.current.slides_device.back(),
            Fact::DtmfReceived { leg, digit } => {
                self.tell_leg(leg, |leg| leg.dtmf_received(digit));
            }
            Fact::DtmfRefused { leg } => self.tell_leg(leg, Leg::dtmf_refused),
            Fact::BitrateRequested { leg, role, most } => {
                self.tell_leg(leg, |leg| leg.bitrate_requested(role, most));
            }
            Fact::VideoTarget { leg, role, target } => {
                self.tell_leg(leg, |leg| leg.video_target(role, target));
            }
            Fact::Measured { leg, stats } => self.tell_leg(leg, |leg| leg.measured(*stats)),
            Fact::CameraGone => self.current.camera_device.gone(),
            Fact::CameraBack => self.current.camera_device.back(),
            Fact::MicrophoneGone => self.current.microphone_device.gone(),
            Fact::MicrophoneBack => self.current.microphone_device.back(),
            Fact::MediaApplied { generation } => self.media_applied(generation),
            Fact::MediaFault(fault) => self.media_fault(fault),
            Fact::Certificates(certificates) => self.current.certificates = certificates,
            Fact::GuestCertificate(certificate) => {
                self.current.guest_certificate = Some(*certificate);
            }
            Fact::Levels {
                microphone,
                loudspeaker,
            } => {
                self.current.microphone_level = microphone;
                self.current.loudspeaker_level = loudspeaker;
            }
            Fact::Registration { account, state } => self.registration(account, state),
            Fact::RegistrationFlows { account, flows } => {
                if self.policy.accounts.contains(&account) {
                    self.current.registration_flows.insert(account, flows);
                }
            }
            Fact::NotResumed { call, reason } => self.not_resumed(now, call, reason),
            Fact::Stored { generation } => self.store_spoke(generation, None),
            Fact::StoreFailed { generation, text } => self.store_spoke(generation, Some(text)),
            Fact::PolicyChanged(policy) => self.policy_changed(*policy),
        }
    }

    fn incoming(&mut self, now: Instant, id: LegId, call: IncomingCall) {
        if self.legs.iter().any(|leg| leg.id() == id) {
            return;
        }
        let reception = self.receive(now, &call);
        let leg = Leg::incoming(id, call, &self.turn(now));
        self.take_in(now, leg, reception);
    }

    /// Takes in a leg that a far end has opened.
    fn take_in(&mut self, now: Instant, mut leg: Leg, reception: Reception) {
        let mut turn = self.turn(now);
        match reception {
            Reception::ShuttingDown => {
                leg.end(EndReason::ShutDown, &mut turn);
                leg.ended(now, EndReason::ShutDown);
            }
            Reception::Busy => {
                leg.refuse_busy(&mut turn);
                leg.ended(now, EndReason::RefusedBusy);
            }
            Reception::Answer { placed } => {
                leg.take_place_of(placed);
                leg.answer_by(AnswerMode::Automatic, &mut turn);
            }
            Reception::NotUnasked => {
                leg.refuse_to_ask(&mut turn);
                leg.ended(now, EndReason::Missed);
            }
            Reception::Ring => leg.ring(&mut turn),
        }
        self.legs.push(leg);
    }

    /// Decides about a call that comes in. Where it crosses one of our own to the same far end, one
    /// of the two goes on, so that two people who reach for the button at once do not both hear
    /// busy.
    fn receive(&mut self, now: Instant, call: &IncomingCall) -> Reception {
        if !self.shutdown.is_running() {
            return Reception::ShuttingDown;
        }
        let answers = self.policy.auto_answer.answers(call.trust, call.wish);
        self.give_way_to_caller_of_answered_call(now, call.glare);
        let glare = call.glare.filter(|_| answers);
        let crossed =
            glare.and_then(|glare| Some((glare.prevails, self.dialed_leg(glare.placed)?)));
        match crossed {
            Some((Prevails::Placed, _)) => Reception::Busy,
            Some((Prevails::Incoming, own)) if self.legs.len() < MAX_LEGS => Reception::Answer {
                placed: self.at_leg(now, own, Leg::give_way),
            },
            Some(_) | None if !self.has_free_leg() => Reception::Busy,
            Some(_) | None if answers => Reception::Answer { placed: None },
            Some(_) | None => match call.wish {
                AnswerWish::AutomaticOnly => Reception::NotUnasked,
                AnswerWish::None | AnswerWish::Manual | AnswerWish::Automatic => Reception::Ring,
            },
        }
    }

    fn dialed_leg(&self, id: LegId) -> Option<usize> {
        let dialed = |leg: &Leg| leg.id() == id && leg.is_dialed();
        self.legs.iter().position(dialed)
    }

    fn media_applied(&mut self, generation: Generation) {
        let reached = generation.min(self.ordered.plan.generation);
        self.current.media_applied = self.current.media_applied.max(reached);
    }

    fn media_fault(&mut self, fault: MediaFault) {
        push_newest(
            &mut self.current.media_faults,
            fault,
            RoomSnapshot::MAX_MEDIA_FAULTS,
        );
    }

    fn register(&mut self, account: String) -> Admission {
        if !self.policy.accounts.contains(&account) {
            return Admission::Denied(DeniedReason::UnknownAccount);
        }
        match self.current.registrations.get_mut(&account) {
            None => Admission::Denied(DeniedReason::NoRegistrar),
            Some(RegistrationState::Registering | RegistrationState::Registered) => {
                Admission::AlreadySo
            }
            Some(
                state @ (RegistrationState::Unregistered
                | RegistrationState::Failed(_)
                | RegistrationState::Locked),
            ) => {
                // It is asked for from now on; what comes of it is a fact.
                *state = RegistrationState::Registering;
                self.commands.push_back(Command::Register { account });
                Admission::Accepted { leg: None }
            }
        }
    }

    fn registration(&mut self, account: String, state: RegistrationState) {
        if self.policy.accounts.contains(&account) {
            self.current.registrations.insert(account, state);
        }
    }

    /// The store has spoken. Its word on older values than those that it spoke about last is late.
    fn store_spoke(&mut self, generation: Generation, fault: Option<String>) {
        let reached = generation.min(self.ordered.remembered_generation);
        if reached > self.stored {
            self.stored = reached;
            self.current.store_fault = fault;
        }
    }

    fn policy_changed(&mut self, policy: RoomPolicy) {
        let camera = DeviceState::of_pictures(&policy.media.camera);
        let slides = DeviceState::of_pictures(&policy.media.slides.source);
        let microphone = DeviceState::of_microphone(&policy.media.microphone);
        self.current.camera_device.reconfigured(camera);
        self.current.slides_device.reconfigured(slides);
        self.current.microphone_device.reconfigured(microphone);
        self.current
            .registrations
            .retain(|account, _| policy.accounts.contains(account));
        self.current
            .registration_flows
            .retain(|account, _| policy.accounts.contains(account));
        self.policy = policy;
    }

    // Legs.

    fn turn(&mut self, now: Instant) -> Turn<'_> {
        Turn {
            now,
            timeouts: &self.policy.timeouts,
            commands: &mut self.commands,
        }
    }

    fn at_leg<R>(
        &mut self,
        now: Instant,
        index: usize,
        act: impl FnOnce(&mut Leg, &mut Turn<'_>) -> R,
    ) -> R {
        let commands = &mut self.commands;
        let mut turn = Turn {
            now,
            timeouts: &self.policy.timeouts,
            commands,
        };
        act(&mut self.legs[index], &mut turn)
    }

    fn ask_leg(
        &mut self,
        now: Instant,
        id: LegId,
        ask: impl FnOnce(&mut Leg, &mut Turn<'_>) -> Admission,
    ) -> Admission {
        match self.legs.iter().position(|leg| leg.id() == id) {
            Some(index) => self.at_leg(now, index, ask),
            None => Admission::Denied(DeniedReason::UnknownLeg),
        }
    }

    fn tell_leg(&mut self, id: LegId, tell: impl FnOnce(&mut Leg)) {
        if let Some(leg) = self.legs.iter_mut().find(|leg| leg.id() == id) {
            tell(leg);
        }
    }

    fn each_leg(&mut self, now: Instant, act: impl Fn(&mut Leg, &mut Turn<'_>)) {
        for index in 0..self.legs.len() {
            self.at_leg(now, index, &act);
        }
    }

    // The end of every input: what follows from the new state is derived, ordered, published.

    fn settle(&mut self, now: Instant) {
        self.advance_transfers(now);
        self.sweep_ended_legs();
        self.advance_slides(now);
        self.order_media(now);
        self.order_remembering();
        self.advance_shutdown(now);
        self.publish();
    }

    fn sweep_ended_legs(&mut self) {
        let ended = self.legs.extract_if(.., |leg| leg.is_over());
        for leg in ended {
            let last_ended = &mut self.current.last_ended;
            push_newest(last_ended, leg.snapshot(), RoomSnapshot::MAX_LAST_ENDED);
        }
    }

    fn order_media(&mut self, now: Instant) {
        let planned = |leg: &Leg| {
            leg.planned_streams().map(|streams| LegPlan {
                id: leg.id(),
                rung: None,
                streams,
                connection: leg.connection(),
            })
        };
        let mut legs: Vec<LegPlan> = self.legs.iter().filter_map(planned).collect();
        self.follow_targets(now, &legs);
        for leg in &mut legs {
            leg.rung = self.ladder.rung_of(leg.id);
        }
        let ladder = self.ladder.rungs();
        let generation = self.ordered.plan.generation;
        let controls = Controls::of(&self.current);
        let states: Vec<_> = self
            .legs
            .iter()
            .map(|leg| (leg.kind(), leg.state()))
            .collect();
        let shown = Shown {
            tone: tone(&states),
            slides: self.shown_slides(),
        };
        let mut plan = media_plan(
            generation,
            &self.policy.media,
            controls,
            legs,
            ladder,
            shown,
        );
        if plan != self.ordered.plan {
            plan.generation = generation.next();
            self.current.media_wanted = plan.generation;
            self.commands.push_back(Command::ApplyMedia(plan.clone()));
            self.ordered.plan = plan;
        }
    }

    /// Brings the ladder to what the legs may be sent now.
    fn follow_targets(&mut self, now: Instant, planned: &[LegPlan]) {
        let target = |id| self.legs.iter().find(|leg| leg.id() == id)?.target();
        let sending: Vec<SendingLeg<'_>> = planned
            .iter()
            .filter_map(|leg| {
                let stream = leg.streams.video.as_ref()?;
                stream.direction.sends().then(|| SendingLeg {
                    id: leg.id,
                    stream,
                    target: target(leg.id),
                })
            })
            .collect();
        let most = most_of_camera(&self.policy.media);
        self.ladder.follow(now, &most, &sending);
    }

    fn order_remembering(&mut self) {
        let remembered = self.remembered();
        if remembered != self.ordered.remembered {
            let generation = self.ordered.remembered_generation.next();
            self.commands.push_back(Command::Remember {
                generation,
                remembered: remembered.clone(),
            });
            self.ordered.remembered = remembered;
            self.ordered.remembered_generation = generation;
        }
    }

    fn remembered(&self) -> Remembered {
        let live = self.legs.iter().filter(|leg| !leg.is_ending());
        let wanted = live.filter_map(Leg::wanted_call);
        Remembered {
            microphone: self.current.microphone,
            camera: self.current.camera,
            volume: self.current.volume,
            wanted: self.not_resumed.iter().cloned().chain(wanted).collect(),
        }
    }

    fn advance_shutdown(&mut self, now: Instant) {
        let progress = Progress {
            legs_left: !self.legs.is_empty(),
            media_applied: self.current.media_applied == self.ordered.plan.generation,
            stored: self.stored == self.ordered.remembered_generation,
        };
        let next = self.shutdown.advance(now, progress, &self.policy.timeouts);
        if next == Shutdown::ShutDown && self.shutdown != Shutdown::ShutDown {
            self.commands.push_back(Command::ShutDownComplete);
        }
        self.shutdown = next;
    }

    fn publish(&mut self) {
        self.current.state = self.state();
        self.current.legs = self.legs.iter().map(Leg::snapshot).collect();
        if self.current != self.published {
            self.current.generation = self.current.generation.next();
            self.published = self.current.clone();
        }
    }

    fn state(&self) -> RoomState {
        let in_meeting = |leg: &Leg| !leg.is_ending() && leg.state() != LegState::Incoming;
        if !self.shutdown.is_running() {
            RoomState::Leaving
        } else if self.legs.iter().any(in_meeting) {
            RoomState::InMeeting
        } else if self.legs.iter().any(Leg::is_ending) {
            RoomState::Leaving
        } else {
            RoomState::Idle
        }
    }
}

/// Brings a control to the wanted state.
fn set<T: PartialEq>(control: &mut T, wanted: T) -> Admission {
    if *control == wanted {
        return Admission::AlreadySo;
    }
    *control = wanted;
    Admission::Accepted { leg: None }
}

/// Puts an entry in front and keeps the list within its bound. The same news twice is no news.
fn push_newest<T: PartialEq>(list: &mut Vec<T>, entry: T, bound: usize) {
    if list.first() != Some(&entry) {
        list.truncate(bound - 1);
        list.insert(0, entry);
    }
}
