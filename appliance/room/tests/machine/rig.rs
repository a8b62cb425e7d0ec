//! A room under test, and the ways to bring one leg of it into each state.

use std::time::{Duration, Instant};

use room::codec::{
    AudioCodec, Direction, PacketizationMode, PayloadType, ProfileLevelId, RtcpMode, VideoFeedback,
};
use room::media_plan::{AudioStream, LegStreams, VideoStream};
use room::units::Volume;
use room::{
    Admission, AnswerWish, CallTarget, Command, DialogName, EndReason, Fact, Glare, Guest,
    GuestAdmission, GuestPolicy, LegId, LegSecurity, LegSnapshot, LegState, MediaPlan, MediaPolicy,
    Peer, PeerTrust, Remembered, Request, Room, RoomPolicy, SecondCall, WayBack,
};

/// The address that outgoing calls of the tests go to.
pub(crate) const TARGET: &str = "sip:board@example.com";

/// A room with its clock. Commands are collected until they are taken.
pub(crate) struct Rig {
    pub(crate) room: Room,
    pub(crate) now: Instant,
    pub(crate) plan: MediaPlan,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with_policy(policy())
    }

    pub(crate) fn with_policy(policy: RoomPolicy) -> Self {
        Self::remembering(policy, Remembered::default())
    }

    pub(crate) fn remembering(policy: RoomPolicy, remembered: Remembered) -> Self {
        let mut room = Room::new(policy, remembered);
        let Some(Command::ApplyMedia(plan)) = room.poll_command() else {
            panic!("a new room first orders the idle plan");
        };
        assert_eq!(room.poll_command(), None);
        Self {
            room,
            now: Instant::now(),
            plan,
        }
    }

    pub(crate) fn request(&mut self, request: Request) -> Admission {
        self.room.request(self.now, request)
    }

    /// Makes a request that must be accepted, and forgets the commands.
    pub(crate) fn accepted(&mut self, request: Request) -> Option<LegId> {
        let admission = self.request(request);
        self.commands();
        match admission {
            Admission::Accepted { leg } => leg,
            Admission::AlreadySo | Admission::Denied(_) => panic!("not accepted: {admission:?}"),
        }
    }

    /// Tells a fact, and forgets the commands.
    pub(crate) fn told(&mut self, fact: Fact) {
        self.room.fact(self.now, fact);
        self.commands();
    }

    /// Lets time pass, and acts on what is due.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.room.handle_timeout(self.now);
    }

    /// Takes all commands that wait.
    pub(crate) fn commands(&mut self) -> Vec<Command> {
        let commands: Vec<_> = std::iter::from_fn(|| self.room.poll_command()).collect();
        for command in &commands {
            if let Command::ApplyMedia(plan) = command {
                self.plan = plan.clone();
            }
        }
        commands
    }

    /// Takes all commands but media plans and remembered values.
    pub(crate) fn signalling(&mut self) -> Vec<Command> {
        let mut commands = self.commands();
        commands.retain(|command| {
            !matches!(command, Command::ApplyMedia(_) | Command::Remember { .. })
        });
        commands
    }

    pub(crate) fn dial(&mut self) -> LegId {
        let request = Request::Call {
            target: TARGET.to_owned(),
            account: None,
        };
        self.accepted(request).expect("a call has a leg")
    }

    /// A far end calls. The commands wait to be taken.
    pub(crate) fn incoming(&mut self, trust: PeerTrust) -> LegId {
        let leg = self.room.reserve_leg();
        self.room.fact(self.now, incoming(leg, trust));
        leg
    }

    /// A guest comes by a link. The commands wait to be taken.
    pub(crate) fn guest(&mut self, admission: GuestAdmission) -> LegId {
        let leg = self.room.reserve_leg();
        let guest = Guest {
            number: 7,
            name: "Anna".to_owned(),
            admission,
        };
        self.room.fact(self.now, Fact::GuestKnocks { leg, guest });
        leg
    }

    /// A far end calls that this room calls at the same moment. The commands wait to be taken.
    pub(crate) fn crossing_call(&mut self, trust: PeerTrust, crossed: Glare) -> LegId {
        let leg = self.room.reserve_leg();
        let mut fact = incoming(leg, trust);
        if let Fact::Incoming { glare, .. } = &mut fact {
            *glare = Some(crossed);
        }
        self.room.fact(self.now, fact);
        leg
    }

    pub(crate) fn establish(&mut self, leg: LegId) {
        self.told(established(leg));
    }

    /// The leg, live or among the last ended ones.
    pub(crate) fn leg(&self, id: LegId) -> LegSnapshot {
        let snapshot = self.room.snapshot();
        let ended = snapshot.last_ended.iter().find(|leg| leg.id == id);
        snapshot
            .leg(id)
            .or(ended)
            .cloned()
            .expect("the leg is live or ended not long ago")
    }

    /// The direction in which the plan lets a leg's audio flow; `None` without media.
    pub(crate) fn planned_audio(&self, id: LegId) -> Option<Direction> {
        let leg = self.plan.legs.iter().find(|leg| leg.id == id)?;
        leg.streams.audio.as_ref().map(|audio| audio.direction)
    }
}

/// One leg at a time, nothing answered unasked, one account `work`.
pub(crate) fn policy() -> RoomPolicy {
    let mut policy = RoomPolicy::cautious(MediaPolicy::simulated());
    policy.accounts.push("work".to_owned());
    policy.join = Some(CallTarget {
        target: TARGET.to_owned(),
        account: None,
    });
    policy
}

/// As [`policy`], with up to this many guests.
pub(crate) fn policy_with_guests(max_guests: u8) -> RoomPolicy {
    RoomPolicy {
        guests: GuestPolicy { max_guests },
        ..policy()
    }
}

/// As [`policy`], with up to this many legs.
pub(crate) fn policy_with_legs(max_legs: u8) -> RoomPolicy {
    RoomPolicy {
        second_call: SecondCall::Add { max_legs },
        ..policy()
    }
}

pub(crate) fn audio(direction: Direction) -> AudioStream {
    AudioStream {
        codec: AudioCodec::Opus,
        send_payload_type: PayloadType::new(96).expect("below 128"),
        receive_payload_type: PayloadType::new(96).expect("below 128"),
        send_telephone_event: None,
        receive_telephone_event: None,
        max_bitrate: None,
        direction,
        generic_nack: false,
        srtp: None,
        rtcp: RtcpMode::default(),
    }
}

pub(crate) fn video(direction: Direction) -> VideoStream {
    VideoStream {
        send_packetization_mode: PacketizationMode::NonInterleaved,
        send_profile: ProfileLevelId::CONSTRAINED_BASELINE_31,
        send_payload_type: PayloadType::new(97).expect("below 128"),
        receive_payload_type: PayloadType::new(97).expect("below 128"),
        direction,
        max_bitrate: None,
        feedback: VideoFeedback::ALL,
        rtx: None,
        srtp: None,
        rtcp: RtcpMode::default(),
    }
}

/// Audio, video and slides both ways.
pub(crate) fn streams() -> LegStreams {
    let both_ways = Direction::SendRecv;
    LegStreams {
        audio: Some(audio(both_ways)),
        video: Some(video(both_ways)),
        slides: Some(Box::new(video(both_ways))),
    }
}

pub(crate) fn incoming(leg: LegId, trust: PeerTrust) -> Fact {
    Fact::Incoming {
        leg,
        peer: Peer {
            uri: "sip:caller@example.com".to_owned(),
            display_name: None,
        },
        account: "work".to_owned(),
        security: LegSecurity::SECURED,
        trust,
        wish: AnswerWish::None,
        glare: None,
    }
}

pub(crate) fn established(leg: LegId) -> Fact {
    Fact::Established {
        leg,
        streams: streams(),
        security: LegSecurity::SECURED,
    }
}

/// Every state of a leg that behaves differently, with both holds taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    Incoming,
    Answering,
    /// Answered here, and the way to the far end is being made.
    Connecting,
    Dialing,
    Ringing,
    Early,
    Established,
    Holding,
    Held,
    Resuming,
    RemotelyHeld,
    HoldingRemotelyHeld,
    HeldByBoth,
    ResumingRemotelyHeld,
    /// Hung up here.
    Ending,
    /// Hung up by the far end.
    Ended,
}

use Position::{
    Answering, Connecting, Dialing, Early, Ended, Ending, Established, Held, HeldByBoth, Holding,
    HoldingRemotelyHeld, Incoming, RemotelyHeld, Resuming, ResumingRemotelyHeld, Ringing,
};

impl Position {
    pub(crate) const ALL: [Self; 16] = [
        Incoming,
        Answering,
        Connecting,
        Dialing,
        Ringing,
        Early,
        Established,
        Holding,
        Held,
        Resuming,
        RemotelyHeld,
        HoldingRemotelyHeld,
        HeldByBoth,
        ResumingRemotelyHeld,
        Ending,
        Ended,
    ];

    /// A fresh room with one leg in this position.
    pub(crate) fn reach(self) -> (Rig, LegId) {
        let (mut rig, leg) = match self {
            Incoming | Answering => {
                let mut rig = Rig::new();
                let leg = rig.incoming(PeerTrust::Admitted);
                (rig, leg)
            }
            Dialing => {
                let mut rig = Rig::new();
                let leg = rig.dial();
                (rig, leg)
            }
            Connecting => Answering.reach(),
            Ringing | Early | Established => Dialing.reach(),
            Holding | RemotelyHeld | Ending | Ended => Established.reach(),
            Held => Holding.reach(),
            Resuming => Held.reach(),
            HoldingRemotelyHeld => RemotelyHeld.reach(),
            HeldByBoth => HoldingRemotelyHeld.reach(),
            ResumingRemotelyHeld => HeldByBoth.reach(),
        };
        match self {
            Incoming | Dialing => {}
            Answering => drop(rig.accepted(Request::Answer { leg })),
            Connecting => rig.told(Fact::Answered {
                leg,
                streams: streams(),
            }),
            Ringing => rig.told(Fact::Ringing { leg }),
            Early => rig.told(Fact::EarlyMedia {
                leg,
                streams: streams(),
            }),
            Established => rig.establish(leg),
            Holding | HoldingRemotelyHeld => drop(rig.accepted(Request::Hold { leg })),
            Held | HeldByBoth => rig.told(Fact::HoldSucceeded { leg }),
            Resuming | ResumingRemotelyHeld => drop(rig.accepted(Request::Resume { leg })),
            RemotelyHeld => rig.told(Fact::RemoteHold { leg }),
            Ending => drop(rig.accepted(Request::HangUp { leg: Some(leg) })),
            Ended => rig.told(Fact::Ended {
                leg,
                reason: EndReason::RemoteHangUp,
            }),
        }
        rig.commands();
        (rig, leg)
    }

    /// What tells this position from the others, from outside.
    pub(crate) fn signs(self) -> Signs {
        let (rig, leg) = self.reach();
        Signs::of(&rig, leg)
    }
}

/// What can be seen of a leg's position: its state without the reason of its end, the media that
/// flows, and whether something is waited for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Signs {
    state: LegState,
    audio: Option<Direction>,
    waits: bool,
}

impl Signs {
    pub(crate) fn of(rig: &Rig, leg: LegId) -> Self {
        let state = match rig.leg(leg).state {
            LegState::Ending(_) => LegState::Ending(EndReason::LocalHangUp),
            LegState::Ended(_) => LegState::Ended(EndReason::LocalHangUp),
            state @ (LegState::Incoming
            | LegState::Answering
            | LegState::Dialing
            | LegState::Ringing
            | LegState::Early
            | LegState::Established
            | LegState::Held(_)) => state,
        };
        let waits = rig.room.next_deadline().is_some();
        Self {
            state,
            audio: rig.planned_audio(leg),
            waits,
        }
    }
}

#[test]
fn every_position_can_be_told_from_the_others() {
    for (index, position) in Position::ALL.into_iter().enumerate() {
        for other in &Position::ALL[index + 1..] {
            assert_ne!(
                position.signs(),
                other.signs(),
                "{position:?} and {other:?}"
            );
        }
    }
}

pub(crate) fn call(target: &str) -> Request {
    Request::Call {
        target: target.to_owned(),
        account: None,
    }
}

pub(crate) fn target(uri: &str) -> CallTarget {
    CallTarget {
        target: uri.to_owned(),
        account: None,
    }
}

/// The way back into a dialog of that name, by the account's own address.
pub(crate) fn way_back(dialog: &str, target: &str) -> WayBack {
    WayBack {
        dialog: DialogName::new(dialog).expect("short and plain"),
        target: target.to_owned(),
        known_as: None,
    }
}

pub(crate) fn volume(percent: u8) -> Volume {
    Volume::percent(percent).expect("at most 100")
}

pub(crate) fn wanted(commands: &[Command]) -> Option<Vec<CallTarget>> {
    commands.iter().rev().find_map(|command| match command {
        Command::Remember { remembered, .. } => {
            let calls = remembered.wanted.iter();
            Some(calls.map(|wanted| wanted.call.clone()).collect())
        }
        Command::Dial { .. }
        | Command::Ring { .. }
        | Command::Accept { .. }
        | Command::Reject { .. }
        | Command::HangUp { .. }
        | Command::Hold { .. }
        | Command::Resume { .. }
        | Command::SendDtmf { .. }
        | Command::AcceptTransfer { .. }
        | Command::RefuseTransfer { .. }
        | Command::TellTransfer { .. }
        | Command::Register { .. }
        | Command::ApplyMedia(_)
        | Command::RequestFloor { .. }
        | Command::ReleaseFloor { .. }
        | Command::RevokeFloor { .. }
        | Command::ShutDownComplete => None,
    })
}
