//! Every fact about a leg in every state: where it leads, what it tells, and that it is without
//! any effect everywhere else.

use std::time::Duration;

use room::codec::Direction;
use room::media_plan::{LegStreams, VideoRole};
use room::units::Bitrate;
use room::{
    DtmfDigit, EndExplanation, EndReason, Fact, LegId, LegRefusal, LegSecurity, LegState, LegStats,
    Peer, PeerTrust, Request,
};

use crate::rig::Position::{
    self, Answering, Connecting, Dialing, Early, Ended, Ending, Established, Held, HeldByBoth,
    Holding, HoldingRemotelyHeld, Incoming, RemotelyHeld, Resuming, ResumingRemotelyHeld, Ringing,
};
use crate::rig::{Signs, audio, incoming, streams};

/// One fact: the positions that it changes, and those that it leaves but tells something new in.
/// In all others it must be as if it had not come.
struct Row {
    fact: fn(LegId) -> Fact,
    moves: &'static [(Position, Position)],
    tells: &'static [Position],
}

const CONNECTED: &[Position] = &[
    Established,
    Holding,
    Held,
    Resuming,
    RemotelyHeld,
    HoldingRemotelyHeld,
    HeldByBoth,
    ResumingRemotelyHeld,
];

const WITH_MEDIA: &[Position] = &[
    Early,
    Established,
    Holding,
    Held,
    Resuming,
    RemotelyHeld,
    HoldingRemotelyHeld,
    HeldByBoth,
    ResumingRemotelyHeld,
];

/// Where pictures are looked for.
const NOT_HELD_HERE: &[Position] = &[Early, Established, RemotelyHeld];

/// Differs from what the rig settles, so that it can be seen whether it was taken.
fn audio_only() -> LegStreams {
    LegStreams {
        audio: Some(audio(Direction::SendRecv)),
        ..LegStreams::default()
    }
}

const TABLE: &[Row] = &[
    Row {
        fact: |leg| incoming(leg, PeerTrust::Trusted),
        moves: &[(Ended, Incoming)],
        tells: &[],
    },
    Row {
        fact: |leg| Fact::Ringing { leg },
        moves: &[(Dialing, Ringing)],
        tells: &[],
    },
    Row {
        fact: |leg| Fact::EarlyMedia {
            leg,
            streams: audio_only(),
        },
        moves: &[(Dialing, Early), (Ringing, Early)],
        tells: &[Early],
    },
    Row {
        fact: |leg| Fact::Answered {
            leg,
            streams: streams(),
        },
        moves: &[(Answering, Connecting)],
        tells: &[],
    },
    Row {
        fact: |leg| Fact::Established {
            leg,
            streams: audio_only(),
            security: LegSecurity::PLAIN,
        },
        moves: &[
            (Answering, Established),
            (Connecting, Established),
            (Dialing, Established),
            (Ringing, Established),
            (Early, Established),
        ],
        tells: CONNECTED,
    },
    Row {
        fact: |leg| Fact::StreamsChanged {
            leg,
            streams: audio_only(),
        },
        moves: &[],
        tells: WITH_MEDIA,
    },
    Row {
        fact: |leg| Fact::HoldSucceeded { leg },
        moves: &[(Holding, Held), (HoldingRemotelyHeld, HeldByBoth)],
        tells: &[],
    },
    Row {
        fact: |leg| Fact::HoldFailed { leg },
        moves: &[(Holding, Established), (HoldingRemotelyHeld, RemotelyHeld)],
        tells: &[],
    },
    Row {
        fact: |leg| Fact::ResumeSucceeded { leg },
        moves: &[
            (Resuming, Established),
            (ResumingRemotelyHeld, RemotelyHeld),
        ],
        tells: &[],
    },
    Row {
        fact: |leg| Fact::ResumeFailed { leg },
        moves: &[(Resuming, Held), (ResumingRemotelyHeld, HeldByBoth)],
        tells: &[],
    },
    Row {
        fact: |leg| Fact::RemoteHold { leg },
        moves: &[
            (Established, RemotelyHeld),
            (Holding, HoldingRemotelyHeld),
            (Held, HeldByBoth),
            (Resuming, ResumingRemotelyHeld),
        ],
        tells: &[],
    },
    Row {
        fact: |leg| Fact::RemoteResume { leg },
        moves: &[
            (RemotelyHeld, Established),
            (HoldingRemotelyHeld, Holding),
            (HeldByBoth, Held),
            (ResumingRemotelyHeld, Resuming),
        ],
        tells: &[],
    },
    Row {
        fact: |leg| Fact::Ended {
            leg,
            reason: EndReason::Unreachable,
        },
        moves: &[
            (Incoming, Ended),
            (Answering, Ended),
            (Connecting, Ended),
            (Dialing, Ended),
            (Ringing, Ended),
            (Early, Ended),
            (Established, Ended),
            (Holding, Ended),
            (Held, Ended),
            (Resuming, Ended),
            (RemotelyHeld, Ended),
            (HoldingRemotelyHeld, Ended),
            (HeldByBoth, Ended),
            (ResumingRemotelyHeld, Ended),
            (Ending, Ended),
        ],
        tells: &[],
    },
    Row {
        fact: |leg| Fact::FirstFrame { leg },
        moves: &[],
        tells: WITH_MEDIA,
    },
    Row {
        fact: |leg| Fact::VideoStalled { leg },
        moves: &[],
        tells: NOT_HELD_HERE,
    },
    Row {
        fact: |leg| Fact::VideoResumed { leg },
        moves: &[],
        tells: NOT_HELD_HERE,
    },
    Row {
        fact: |leg| Fact::DtmfReceived {
            leg,
            digit: digit('5'),
        },
        moves: &[],
        tells: WITH_MEDIA,
    },
    Row {
        fact: |leg| Fact::BitrateRequested {
            leg,
            role: VideoRole::Main,
            most: Bitrate::kbps(300),
        },
        moves: &[],
        tells: WITH_MEDIA,
    },
    Row {
        fact: |leg| Fact::VideoTarget {
            leg,
            role: VideoRole::Main,
            target: Bitrate::kbps(300),
        },
        moves: &[],
        tells: &[Established, RemotelyHeld],
    },
    Row {
        fact: |leg| Fact::Measured {
            leg,
            stats: Box::new(LegStats {
                round_trip: Some(Duration::from_millis(20)),
                ..LegStats::default()
            }),
        },
        moves: &[],
        tells: WITH_MEDIA,
    },
];

fn digit(character: char) -> DtmfDigit {
    DtmfDigit::from_char(character).expect("a digit")
}

#[test]
fn every_fact_does_in_every_state_what_the_table_says() {
    for row in TABLE {
        for position in Position::ALL {
            let (mut rig, leg) = position.reach();
            let before = rig.room.snapshot();
            let fact = (row.fact)(leg);
            let case = format!("{fact:?} in {position:?}");

            rig.room.fact(rig.now, fact);
            let commands = rig.commands();

            let target = row.moves.iter().find(|(from, _)| *from == position);
            let after = rig.room.snapshot();
            if let Some((_, to)) = target {
                assert!(
                    after.generation > before.generation,
                    "{case} changes the snapshot"
                );
                assert_eq!(Signs::of(&rig, leg), to.signs(), "{case}");
            } else if row.tells.contains(&position) {
                assert!(
                    after.generation > before.generation,
                    "{case} tells something"
                );
                assert_eq!(Signs::of(&rig, leg), position.signs(), "{case}");
            } else {
                assert_eq!(after, before, "{case} changes nothing");
                assert_eq!(commands, [], "{case} orders nothing");
            }
        }
    }
}

#[test]
fn a_fact_about_an_unknown_leg_changes_nothing() {
    for row in TABLE.iter().skip(1) {
        let (mut rig, leg) = Established.reach();
        let before = rig.room.snapshot();
        rig.room.fact(rig.now, (row.fact)(LegId(leg.0 + 77)));
        assert_eq!(rig.room.snapshot(), before);
        assert_eq!(rig.commands(), []);
    }
}

#[test]
fn what_this_room_decided_outranks_the_reason_that_signalling_saw() {
    let (mut rig, leg) = Ending.reach();
    rig.told(Fact::Ended {
        leg,
        reason: EndReason::RemoteHangUp,
    });
    assert_eq!(rig.leg(leg).state, LegState::Ended(EndReason::LocalHangUp));

    let (mut rig, leg) = Established.reach();
    rig.told(Fact::Ended {
        leg,
        reason: EndReason::ConnectionLost,
    });
    assert_eq!(
        rig.leg(leg).state,
        LegState::Ended(EndReason::ConnectionLost)
    );
}

#[test]
fn only_a_far_end_that_took_part_is_lost() {
    for (position, reason) in [
        (Dialing, EndReason::Unreachable),
        (Ringing, EndReason::PeerLost),
        (Answering, EndReason::AnswerTimedOut),
        (Connecting, EndReason::AnswerTimedOut),
        (Established, EndReason::PeerLost),
    ] {
        let (mut rig, leg) = position.reach();
        rig.told(Fact::Ended {
            leg,
            reason: EndReason::PeerLost,
        });
        assert_eq!(rig.leg(leg).state, LegState::Ended(reason), "{position:?}");
    }
}

#[test]
fn only_a_connection_that_has_carried_something_is_lost() {
    for (position, reason) in [
        (Dialing, EndReason::Unreachable),
        (Incoming, EndReason::ConnectionLost),
        (Ringing, EndReason::ConnectionLost),
        (Established, EndReason::ConnectionLost),
        (Held, EndReason::ConnectionLost),
    ] {
        let (mut rig, leg) = position.reach();
        rig.told(Fact::Ended {
            leg,
            reason: EndReason::Unreachable,
        });
        assert_eq!(rig.leg(leg).state, LegState::Ended(reason), "{position:?}");
    }
}

#[test]
fn what_the_far_end_does_not_take_is_shown_until_it_is_asked_again() {
    for (position, refused) in [
        (Holding, LegRefusal::Hold),
        (Resuming, LegRefusal::Resume),
        (Established, LegRefusal::Dtmf),
    ] {
        let (mut rig, leg) = position.reach();
        assert_eq!(rig.leg(leg).refused, None);
        rig.told(match refused {
            LegRefusal::Hold => Fact::HoldFailed { leg },
            LegRefusal::Resume => Fact::ResumeFailed { leg },
            LegRefusal::Dtmf | LegRefusal::Slides => Fact::DtmfRefused { leg },
        });
        assert_eq!(rig.leg(leg).refused, Some(refused));
        let again = match refused {
            LegRefusal::Resume => Request::Resume { leg },
            LegRefusal::Hold | LegRefusal::Dtmf | LegRefusal::Slides => Request::Hold { leg },
        };
        rig.request(again);
        assert_eq!(rig.leg(leg).refused, None);
    }
}

#[test]
fn what_the_far_end_says_of_the_end_stays_with_the_ended_leg() {
    let (mut rig, leg) = Dialing.reach();
    let wait = std::time::Duration::from_secs(30);
    let explanation = EndExplanation::new(Some(503), Some(wait), ["Overload".to_owned()]);
    rig.told(Fact::EndExplained {
        leg,
        explanation: explanation.clone(),
    });
    let reason = EndReason::Refused { status: 503 };
    rig.told(Fact::Ended { leg, reason });
    assert_eq!(rig.leg(leg).explanation, Some(explanation));
}

#[test]
fn a_caller_that_is_refused_before_it_rings_takes_one_place_however_often_it_tries() {
    let (mut rig, _) = Established.reach();
    let called_by = |caller: &str| Fact::IncomingRefused {
        peer: Peer {
            uri: caller.to_owned(),
            display_name: None,
        },
        account: "office".to_owned(),
        reason: EndReason::EncryptionRequired,
    };
    for _ in 0..20 {
        rig.told(called_by("sip:a@example.com"));
    }
    rig.told(called_by("sip:b@example.com"));
    let room = rig.room.snapshot();
    let callers: Vec<&str> = room
        .last_ended
        .iter()
        .map(|leg| leg.peer.uri.as_str())
        .collect();
    assert_eq!(callers, ["sip:b@example.com", "sip:a@example.com"]);
    assert_eq!(room.legs.len(), 1, "the call goes on");
}

#[test]
fn only_the_last_keys_of_the_far_end_are_kept() {
    let (mut rig, leg) = Established.reach();
    for round in 0..50 {
        let digit = digit(if round < 18 { '1' } else { '2' });
        rig.told(Fact::DtmfReceived { leg, digit });
    }
    assert_eq!(rig.leg(leg).dtmf_received, "2".repeat(32));
}
