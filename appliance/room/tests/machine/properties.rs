//! What holds whatever happens in whatever order. A failing run prints the shortest list of steps
//! that still fails.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use room::codec::Direction;
use room::media_plan::{
    CameraState, Layout, LegConnection, LegPlan, LegStreams, MicrophoneState, SlidesState,
    VideoRole,
};
use room::units::{Bitrate, Volume};
use room::{
    Admission, AutoAnswer, CallTarget, Command, DtmfDigit, DtmfDigits, EndReason, Fact,
    FloorChange, Generation, Glare, GuestAdmission, GuestPolicy, LegId, LegKind, LegSecurity,
    LegState, MediaFault, PeerTrust, Prevails, RegistrationState, Request, RoomPolicy,
    RoomSnapshot, RoomState, TransferProgress,
};

use crate::rig::{Rig, audio, established, incoming, policy, policy_with_legs, streams, video};

/// One thing that happens. Legs are named by a number that is mapped onto those that there are,
/// and one that there is not.
#[derive(Clone, Debug)]
enum Step {
    Request(usize, fn(LegId) -> Request),
    Fact(usize, fn(LegId) -> Fact),
    Incoming(PeerTrust),
    /// A guest comes by a link.
    Guest(GuestAdmission),
    /// A far end calls that the leg of this number calls.
    CrossingCall(usize, Prevails),
    /// Media has reached the last plan.
    MediaApplied,
    /// The store has written the last values.
    Stored,
    /// The store could not write them.
    StoreFailed,
    /// A call of the last run is not placed again.
    NotResumed,
    PolicyChanged(Box<RoomPolicy>),
    Pass(Duration),
    UntilDeadline,
}

/// The most guests at a time, by every policy.
const MAX_GUESTS: u8 = 2;

/// Every request, with the shut-down left out: it has properties of its own.
const REQUESTS: &[fn(LegId) -> Request] = &[
    |_| Request::Call {
        target: "sip:a@example.com".to_owned(),
        account: None,
    },
    |_| Request::Call {
        target: "sip:b@example.com".to_owned(),
        account: Some("work".to_owned()),
    },
    |_| Request::Call {
        target: String::new(),
        account: None,
    },
    |_| Request::Join,
    |leg| Request::Answer { leg },
    |leg| Request::Decline { leg },
    |leg| Request::HangUp { leg: Some(leg) },
    |_| Request::HangUp { leg: None },
    |_| Request::SetMicrophone(MicrophoneState::Muted),
    |_| Request::SetMicrophone(MicrophoneState::Open),
    |_| Request::SetCamera(CameraState::Off),
    |_| Request::SetCamera(CameraState::On),
    |_| Request::SetSlides(SlidesState::On),
    |_| Request::SetSlides(SlidesState::Off),
    |_| Request::SetVolume(Volume::FULL),
    |_| Request::SetVolume(Volume::DEFAULT),
    |_| Request::SetLayout(Layout::Grid),
    |_| Request::SetLayout(Layout::Single),
    |_| Request::Register {
        account: "work".to_owned(),
    },
    |leg| Request::Hold { leg },
    |leg| Request::Resume { leg },
    |leg| Request::SendDtmf {
        leg,
        digits: DtmfDigits::parse("1").expect("a digit"),
    },
];

/// Every fact about a leg, and those about devices.
const FACTS: &[fn(LegId) -> Fact] = &[
    |leg| incoming(leg, PeerTrust::Trusted),
    |leg| Fact::Ringing { leg },
    |leg| Fact::EarlyMedia {
        leg,
        streams: streams(),
    },
    |leg| Fact::Answered {
        leg,
        streams: streams(),
    },
    established,
    established,
    |leg| Fact::Established {
        leg,
        streams: LegStreams {
            audio: Some(audio(Direction::SendRecv)),
            ..LegStreams::default()
        },
        security: LegSecurity::PLAIN,
    },
    |leg| Fact::StreamsChanged {
        leg,
        streams: LegStreams {
            video: Some(video(Direction::SendOnly)),
            ..LegStreams::default()
        },
    },
    |leg| Fact::StreamsChanged {
        leg,
        streams: streams(),
    },
    |leg| Fact::HoldSucceeded { leg },
    |leg| Fact::HoldFailed { leg },
    |leg| Fact::ResumeSucceeded { leg },
    |leg| Fact::ResumeFailed { leg },
    |leg| Fact::RemoteHold { leg },
    |leg| Fact::RemoteResume { leg },
    |leg| Fact::TransferAsked {
        leg,
        target: "sip:annex@example.com".to_owned(),
        replaced: None,
    },
    |leg| Fact::Ended {
        leg,
        reason: EndReason::RemoteHangUp,
    },
    |leg| Fact::FirstFrame { leg },
    |leg| Fact::VideoStalled { leg },
    |leg| Fact::VideoResumed { leg },
    |leg| Fact::SlidesResumed { leg },
    |leg| Fact::SlidesStalled { leg },
    |leg| floor(leg, FloorChange::Free),
    |leg| floor(leg, FloorChange::Ours),
    |leg| floor(leg, FloorChange::Ours),
    |leg| floor(leg, FloorChange::Theirs),
    |leg| floor(leg, FloorChange::PeerWaits),
    |leg| floor(leg, FloorChange::NotGranted),
    |leg| floor(leg, FloorChange::Unreachable),
    |leg| Fact::DtmfReceived {
        leg,
        digit: DtmfDigit::from_char('7').expect("a digit"),
    },
    |leg| Fact::BitrateRequested {
        leg,
        role: VideoRole::Main,
        most: Bitrate::kbps(200),
    },
    |leg| Fact::BitrateRequested {
        leg,
        role: VideoRole::Slides,
        most: Bitrate::kbps(200),
    },
    |leg| Fact::VideoTarget {
        leg,
        role: VideoRole::Main,
        target: Bitrate::kbps(150),
    },
    |leg| Fact::VideoTarget {
        leg,
        role: VideoRole::Main,
        target: Bitrate::kbps(9_000),
    },
    |leg| Fact::VideoTarget {
        leg,
        role: VideoRole::Slides,
        target: Bitrate::kbps(150),
    },
    |leg| Fact::Measured {
        leg,
        stats: Box::default(),
    },
    |leg| {
        Fact::MediaFault(MediaFault {
            leg: Some(leg),
            element: "decoder".to_owned(),
            text: "failed".to_owned(),
        })
    },
    |_| {
        Fact::MediaFault(MediaFault {
            leg: None,
            element: "camera".to_owned(),
            text: "failed".to_owned(),
        })
    },
    |_| Fact::Registration {
        account: "work".to_owned(),
        state: RegistrationState::Registered,
    },
    |_| Fact::Registration {
        account: "work".to_owned(),
        state: RegistrationState::Locked,
    },
    |_| Fact::CameraGone,
    |_| Fact::CameraBack,
    |_| Fact::SlidesGone,
    |_| Fact::SlidesBack,
    |_| Fact::MicrophoneGone,
    |_| Fact::MicrophoneBack,
];

const fn floor(leg: LegId, change: FloorChange) -> Fact {
    Fact::Floor { leg, change }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let leg = || 0..6_usize;
    let trust = prop_oneof![Just(PeerTrust::Trusted), Just(PeerTrust::Admitted)];
    let admission = prop_oneof![Just(GuestAdmission::Ask), Just(GuestAdmission::Unasked)];
    let prevails = prop_oneof![Just(Prevails::Placed), Just(Prevails::Incoming)];
    let step = prop_oneof![
        8 => (leg(), proptest::sample::select(REQUESTS)).prop_map(|(l, r)| Step::Request(l, r)),
        8 => (leg(), proptest::sample::select(FACTS)).prop_map(|(l, f)| Step::Fact(l, f)),
        2 => trust.prop_map(Step::Incoming),
        2 => admission.prop_map(Step::Guest),
        2 => (leg(), prevails).prop_map(|(l, p)| Step::CrossingCall(l, p)),
        1 => Just(Step::MediaApplied),
        1 => Just(Step::Stored),
        1 => Just(Step::StoreFailed),
        1 => Just(Step::NotResumed),
        1 => policies().prop_map(|policy| Step::PolicyChanged(Box::new(policy))),
        1 => (0..60_000_u64).prop_map(|ms| Step::Pass(Duration::from_millis(ms))),
        1 => Just(Step::UntilDeadline),
    ];
    proptest::collection::vec(step, 0..60)
}

fn policies() -> impl Strategy<Value = RoomPolicy> {
    let auto_answer = prop_oneof![
        Just(AutoAnswer::Never),
        Just(AutoAnswer::TrustedPeers),
        Just(AutoAnswer::Everyone),
    ];
    let base = prop_oneof![
        Just(policy()),
        Just(policy_with_legs(2)),
        Just(policy_with_legs(5))
    ];
    (auto_answer, base).prop_map(|(auto_answer, base)| RoomPolicy {
        auto_answer,
        guests: GuestPolicy {
            max_guests: MAX_GUESTS,
        },
        ..base
    })
}

/// A rig that checks after each step what must always hold.
struct Checked {
    rig: Rig,
    max_legs: usize,
    /// How many calls were live after the last step.
    live_legs: usize,
    /// Legs that hand the room on: until they are gone, one leg more is there.
    handing_on: BTreeSet<LegId>,
    legs: Vec<LegId>,
    /// What was ordered for each leg so far.
    orders: BTreeMap<LegId, Orders>,
    microphone: MicrophoneState,
    last_plan: Generation,
    last_remembered: Generation,
    remembered: room::Remembered,
    complete: bool,
    before: RoomSnapshot,
}

#[derive(Debug, Default)]
struct Orders {
    accepted: bool,
    ended: bool,
    floor: bool,
}

impl Checked {
    fn new(policy: RoomPolicy) -> Self {
        let max_legs = policy.second_call.max_legs();
        let rig = Rig::with_policy(policy);
        Self {
            max_legs,
            live_legs: 0,
            handing_on: BTreeSet::new(),
            legs: Vec::new(),
            orders: BTreeMap::new(),
            microphone: MicrophoneState::Open,
            last_plan: rig.plan.generation,
            last_remembered: Generation::default(),
            remembered: room::Remembered::default(),
            complete: false,
            before: rig.room.snapshot(),
            rig,
        }
    }

    /// The leg of a number: one of those that there have been, or one that never was.
    fn leg(&self, number: usize) -> LegId {
        match self.legs.len() {
            0 => LegId(u32::MAX),
            // Late legs are named more often: the early ones are mostly over.
            count if number < count => self.legs[count - 1 - number],
            _ => LegId(u32::MAX),
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Request(number, request) => {
                self.request_twice(&request(self.leg(*number)));
            }
            Step::Fact(number, fact) => {
                let leg = self.leg(*number);
                let fact = fact(leg);
                if matches!(fact, Fact::Incoming { .. }) && self.before.leg(leg).is_none() {
                    // The id of a leg that is over is given to a new call.
                    self.orders.remove(&leg);
                }
                self.rig.room.fact(self.rig.now, fact);
            }
            Step::Incoming(trust) => {
                let leg = self.rig.incoming(*trust);
                self.legs.push(leg);
            }
            Step::Guest(admission) => {
                let leg = self.rig.guest(*admission);
                self.legs.push(leg);
            }
            Step::CrossingCall(number, prevails) => {
                let glare = Glare {
                    placed: self.leg(*number),
                    prevails: *prevails,
                };
                let leg = self.rig.crossing_call(PeerTrust::Trusted, glare);
                self.legs.push(leg);
            }
            Step::MediaApplied => {
                let generation = self.last_plan;
                self.rig
                    .room
                    .fact(self.rig.now, Fact::MediaApplied { generation });
            }
            Step::Stored => {
                let generation = self.rig.room.remembered_generation();
                self.rig
                    .room
                    .fact(self.rig.now, Fact::Stored { generation });
            }
            Step::StoreFailed => {
                let generation = self.rig.room.remembered_generation();
                let text = "no space left on device".to_owned();
                let fact = Fact::StoreFailed { generation, text };
                self.rig.room.fact(self.rig.now, fact);
            }
            Step::NotResumed => {
                let fact = Fact::NotResumed {
                    call: CallTarget {
                        target: "sip:a@example.com".to_owned(),
                        account: None,
                    },
                    reason: EndReason::NotFound,
                };
                self.rig.room.fact(self.rig.now, fact);
            }
            Step::PolicyChanged(policy) => {
                self.max_legs = policy.second_call.max_legs();
                self.rig
                    .room
                    .fact(self.rig.now, Fact::PolicyChanged(policy.clone()));
            }
            Step::Pass(time) => self.rig.pass(*time),
            Step::UntilDeadline => self.until_deadline(),
        }
        self.check();
    }

    fn until_deadline(&mut self) {
        if let Some(deadline) = self.rig.room.next_deadline() {
            self.rig.now = self.rig.now.max(deadline);
            self.rig.pass(Duration::ZERO);
            let next = self.rig.room.next_deadline();
            assert!(
                next.is_none_or(|next| next > self.rig.now),
                "no deadline stays behind"
            );
        }
    }

    /// Makes a request, and the same again: the second must have no effect.
    fn request_twice(&mut self, request: &Request) {
        let before = self.rig.room.snapshot();
        let admission = self.rig.request(request.clone());
        if let (Request::Call { .. } | Request::Join, Admission::Accepted { leg: Some(leg) }) =
            (request, admission)
        {
            self.legs.push(leg);
        }
        if let (Request::SetMicrophone(state), Admission::Accepted { .. }) = (request, admission) {
            self.microphone = *state;
        }
        self.check();
        let after = self.rig.room.snapshot();
        if !matches!(admission, Admission::Accepted { .. }) {
            assert_eq!(before, after, "only an accepted request has effects");
        }
        if matches!(request, Request::SendDtmf { .. }) {
            return;
        }
        let again = self.rig.request(request.clone());
        let expected = match admission {
            Admission::Accepted { .. } | Admission::AlreadySo => Admission::AlreadySo,
            Admission::Denied(_) => admission,
        };
        assert_eq!(again, expected);
        assert_eq!(
            self.rig.commands(),
            [],
            "the same request twice orders nothing"
        );
        assert_eq!(self.rig.room.snapshot(), after);
    }

    fn check(&mut self) {
        for command in self.rig.commands() {
            assert!(!self.complete, "{command:?} after the last command");
            self.check_command(&command);
        }
        let snapshot = self.rig.room.snapshot();
        if snapshot == self.before {
            assert_eq!(snapshot.generation, self.before.generation);
        } else {
            assert!(snapshot.generation > self.before.generation);
            let same = RoomSnapshot {
                generation: self.before.generation,
                ..snapshot.clone()
            };
            assert_ne!(same, self.before, "a new generation has something new");
        }
        self.before = snapshot.clone();
        self.check_snapshot();
    }

    fn check_command(&mut self, command: &Command) {
        match command {
            Command::Dial { leg, .. } | Command::Ring { leg } => {
                assert!(
                    self.orders
                        .insert(*leg, Orders::default())
                        .is_none_or(|old| old.ended)
                );
            }
            Command::Accept { leg, .. } => {
                let orders = self.orders.entry(*leg).or_default();
                assert!(
                    !orders.accepted && !orders.ended,
                    "{leg} accepted twice or too late"
                );
                orders.accepted = true;
            }
            Command::HangUp { leg } => {
                let orders = self
                    .orders
                    .get_mut(leg)
                    .expect("a leg that was dialed or accepted");
                assert!(!orders.ended, "{leg} ended twice");
                orders.ended = true;
            }
            Command::Reject { leg, .. } => {
                let orders = self.orders.entry(*leg).or_default();
                assert!(
                    !orders.accepted || orders.ended,
                    "{leg} refused after it was accepted"
                );
                orders.ended = true;
            }
            // Also of a leg that there is not, whoever has asked.
            Command::RefuseTransfer { .. } => {}
            Command::Register { .. } => {}
            Command::Hold { leg }
            | Command::Resume { leg }
            | Command::SendDtmf { leg, .. }
            | Command::RequestFloor { leg }
            | Command::ReleaseFloor { leg }
            | Command::RevokeFloor { leg }
            | Command::AcceptTransfer { leg }
            | Command::TellTransfer { leg, .. } => {
                assert!(
                    !self.orders[leg].ended,
                    "{command:?} after the leg was ended"
                );
                let floor = &mut self.orders.entry(*leg).or_default().floor;
                match command {
                    Command::RequestFloor { .. } => {
                        assert!(!*floor, "asked for twice");
                        *floor = true;
                    }
                    Command::RevokeFloor { .. } => assert!(*floor, "taken and not wanted"),
                    Command::ReleaseFloor { .. } => *floor = false,
                    Command::AcceptTransfer { leg } => {
                        self.handing_on.insert(*leg);
                    }
                    Command::TellTransfer {
                        leg,
                        progress: TransferProgress::Failed(_),
                    } => assert!(self.handing_on.remove(leg)),
                    _ => {}
                }
            }
            Command::ApplyMedia(plan) => {
                assert_eq!(plan.generation, self.last_plan.next());
                self.last_plan = plan.generation;
                assert_eq!(plan.microphone.state, self.microphone);
            }
            Command::Remember {
                generation,
                remembered,
            } => {
                assert_eq!(*generation, self.last_remembered.next());
                assert_ne!(*remembered, self.remembered);
                self.last_remembered = *generation;
                self.remembered = remembered.clone();
            }
            Command::ShutDownComplete => self.complete = true,
        }
    }

    fn check_snapshot(&mut self) {
        let snapshot = self.rig.room.snapshot();
        let plan = &self.rig.plan;
        assert_eq!(snapshot.microphone, self.microphone);
        assert_eq!(plan.microphone.state, self.microphone, "muted stays muted");
        assert_eq!(self.remembered.microphone, self.microphone);
        assert_eq!(snapshot.media_wanted, plan.generation);

        let with_media = snapshot
            .legs
            .iter()
            .filter(|leg| leg.state.is_connected() || leg.state == LegState::Early);
        let with_media: Vec<_> = with_media.map(|leg| leg.id).collect();
        let planned = plan.legs.iter();
        let (connected, connecting): (Vec<_>, Vec<_>) =
            planned.partition(|leg| leg.connection == LegConnection::Connected);
        let connected: Vec<_> = connected.iter().map(|leg| leg.id).collect();
        assert_eq!(
            connected, with_media,
            "the plan names the legs with media and no other"
        );
        for leg in connecting {
            let state = self.rig.leg(leg.id).state;
            assert_eq!(state, LegState::Answering, "media before an answer");
        }

        let sends_video = plan.legs.iter().any(|leg| {
            leg.streams
                .video
                .as_ref()
                .is_some_and(|video| video.direction.sends())
        });
        assert_eq!(!plan.ladder.is_empty(), sends_video);
        for leg in &plan.legs {
            let video = leg.streams.video.as_ref();
            let sends = video.is_some_and(|video| video.direction.sends());
            let rung = leg.rung.and_then(|name| plan.ladder.get(name));
            assert_eq!(rung.is_some(), sends, "a leg that sends takes an encode");
        }
        let sending = |leg: &&LegPlan| {
            let slides = leg.streams.slides.as_ref();
            slides.is_some_and(|slides| slides.direction.sends())
        };
        let shown: Vec<LegId> = plan.legs.iter().filter(sending).map(|leg| leg.id).collect();
        assert_eq!(plan.slides.rung.is_some(), !shown.is_empty());
        for leg in shown {
            assert!(self.orders[&leg].floor, "slides without the floor");
        }

        let live_of = |kind| {
            let of_kind = snapshot.legs.iter().filter(|leg| leg.kind == kind);
            of_kind
                .filter(|leg| leg.state.end_reason().is_none())
                .count()
        };
        let guests = live_of(LegKind::Guest);
        assert!(guests <= usize::from(MAX_GUESTS), "{guests} guests");
        let live = live_of(LegKind::Sip);
        let is_live = |id: &LegId| {
            let mut legs = snapshot.legs.iter();
            legs.any(|leg| leg.id == *id && leg.state.end_reason().is_none())
        };
        self.handing_on.retain(is_live);
        // A new policy lets those go on that it would not have let in.
        let transferred = usize::from(!self.handing_on.is_empty());
        let allowed = (self.max_legs + transferred).max(self.live_legs);
        assert!(live <= allowed, "{live} legs");
        self.live_legs = live;
        for leg in &snapshot.legs {
            assert!(
                !matches!(leg.state, LegState::Ended(_)),
                "over, but among the live"
            );
        }
        for leg in &snapshot.last_ended {
            assert!(
                matches!(leg.state, LegState::Ended(_)),
                "live, but among the ended"
            );
        }
    }

    /// Lets nothing happen but time.
    fn until_nothing_is_waited_for(&mut self) {
        for _ in 0..100 {
            if self.rig.room.next_deadline().is_none() {
                return;
            }
            self.step(&Step::UntilDeadline);
        }
        panic!("still waiting: {:?}", self.rig.room.snapshot());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn all_invariants_hold_after_every_step(policy in policies(), steps in steps()) {
        let mut checked = Checked::new(policy);
        for step in &steps {
            checked.step(step);
        }
    }

    #[test]
    fn from_any_state_a_shutdown_and_time_end_in_its_completion(
        policy in policies(),
        steps in steps(),
        during in steps(),
    ) {
        let mut checked = Checked::new(policy);
        for step in &steps {
            checked.step(step);
        }
        checked.request_twice(&Request::ShutDown);
        for step in &during {
            checked.step(step);
        }
        checked.until_nothing_is_waited_for();
        prop_assert!(checked.complete);
        prop_assert!(checked.rig.room.snapshot().legs.is_empty());
    }

    #[test]
    fn from_any_state_hanging_up_and_time_end_in_an_idle_room(
        policy in policies(),
        steps in steps(),
    ) {
        let mut checked = Checked::new(policy);
        for step in &steps {
            checked.step(step);
        }
        checked.request_twice(&Request::HangUp { leg: None });
        checked.until_nothing_is_waited_for();
        let snapshot = checked.rig.room.snapshot();
        prop_assert_eq!(snapshot.state, RoomState::Idle);
        prop_assert!(snapshot.legs.is_empty());
        prop_assert!(checked.rig.plan.legs.is_empty());
        prop_assert!(checked.remembered.wanted.is_empty());
    }

    #[test]
    fn without_an_answer_no_leg_waits_for_ever(policy in policies(), steps in steps()) {
        let mut checked = Checked::new(policy);
        for step in &steps {
            checked.step(step);
        }
        checked.until_nothing_is_waited_for();
        for leg in &checked.rig.room.snapshot().legs {
            prop_assert!(leg.state.is_connected(), "{:?}", leg.state);
        }
    }
}
