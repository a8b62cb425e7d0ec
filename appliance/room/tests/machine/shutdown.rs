//! A shutdown is a request with an end: legs, media, store, each bounded.

use std::time::Duration;

use room::media_plan::MicrophoneState;
use room::{
    Admission, Command, DeniedReason, EndReason, Fact, Generation, LegState, PeerTrust,
    RejectCause, Request, RoomState,
};

use crate::rig::Position::{self, Established, Incoming};
use crate::rig::{Rig, policy};

fn remembered(commands: &[Command]) -> Generation {
    let found = commands.iter().rev().find_map(|command| {
        if let Command::Remember { generation, .. } = command {
            Some(*generation)
        } else {
            None
        }
    });
    found.expect("something to remember")
}

#[test]
fn legs_then_media_then_store_and_only_then_complete() {
    let (mut rig, leg) = Established.reach();
    assert_eq!(
        rig.request(Request::ShutDown),
        Admission::Accepted { leg: None }
    );
    let commands = rig.commands();
    assert_eq!(commands[0], Command::HangUp { leg });
    assert!(rig.plan.legs.is_empty());
    assert_eq!(rig.room.snapshot().state, RoomState::Leaving);
    assert_eq!(rig.leg(leg).state, LegState::Ending(EndReason::ShutDown));

    rig.room.fact(
        rig.now,
        Fact::Ended {
            leg,
            reason: EndReason::RemoteHangUp,
        },
    );
    assert_eq!(rig.commands(), []);
    rig.room.fact(
        rig.now,
        Fact::MediaApplied {
            generation: rig.plan.generation,
        },
    );
    assert_eq!(rig.commands(), []);
    rig.room.fact(
        rig.now,
        Fact::Stored {
            generation: remembered(&commands),
        },
    );
    assert_eq!(rig.commands(), [Command::ShutDownComplete]);
    assert_eq!(rig.room.next_deadline(), None);
}

#[test]
fn an_idle_room_whose_media_has_settled_is_down_at_once() {
    let mut rig = Rig::new();
    rig.told(Fact::MediaApplied {
        generation: rig.plan.generation,
    });
    rig.request(Request::ShutDown);
    assert_eq!(rig.commands(), [Command::ShutDownComplete]);
}

#[test]
fn a_shutdown_waits_for_nobody_longer_than_its_time_outs() {
    for position in Position::ALL {
        let (mut rig, _) = position.reach();
        rig.request(Request::ShutDown);
        let timeouts = policy().timeouts;
        let mut complete = 0;
        for step in [timeouts.hang_up, timeouts.stop_media, timeouts.store] {
            complete += count_complete(&rig.commands());
            rig.pass(step);
        }
        complete += count_complete(&rig.commands());
        assert_eq!(complete, 1, "{position:?}");
        assert_eq!(rig.room.next_deadline(), None);
    }
}

fn count_complete(commands: &[Command]) -> usize {
    commands
        .iter()
        .filter(|command| **command == Command::ShutDownComplete)
        .count()
}

#[test]
fn a_write_that_fails_does_not_hold_up_a_shutdown() {
    let (mut rig, leg) = Established.reach();
    rig.request(Request::ShutDown);
    let commands = rig.commands();
    rig.told(Fact::Ended {
        leg,
        reason: EndReason::LocalHangUp,
    });
    rig.told(Fact::MediaApplied {
        generation: rig.plan.generation,
    });
    let generation = remembered(&commands);
    rig.room.fact(
        rig.now,
        Fact::StoreFailed {
            generation,
            text: "disk full".to_owned(),
        },
    );
    assert_eq!(rig.commands(), [Command::ShutDownComplete]);
}

#[test]
fn every_other_request_is_denied_during_a_shutdown() {
    let (mut rig, leg) = Established.reach();
    rig.accepted(Request::ShutDown);
    let requests = [
        Request::Join,
        Request::HangUp { leg: Some(leg) },
        Request::SetMicrophone(MicrophoneState::Muted),
    ];
    for request in requests {
        assert_eq!(
            rig.request(request),
            Admission::Denied(DeniedReason::ShuttingDown)
        );
    }
    assert_eq!(rig.request(Request::ShutDown), Admission::AlreadySo);
    assert_eq!(rig.commands(), []);
}

#[test]
fn callers_are_told_that_the_room_is_not_available_and_do_not_prolong_the_shutdown() {
    let (mut rig, ringing) = Incoming.reach();
    rig.request(Request::ShutDown);
    let not_available = |leg| Command::Reject {
        leg,
        cause: RejectCause::NotAvailable,
    };
    assert_eq!(rig.signalling(), [not_available(ringing)]);

    let deadline = rig.room.next_deadline();
    rig.now += Duration::from_secs(1);
    let late = rig.incoming(PeerTrust::Trusted);
    assert_eq!(rig.commands(), [not_available(late)]);
    assert_eq!(rig.leg(late).state, LegState::Ended(EndReason::ShutDown));
    assert_eq!(rig.room.next_deadline(), deadline);
}

#[test]
fn nothing_is_ordered_after_the_shutdown_is_complete() {
    let mut rig = Rig::new();
    rig.told(Fact::MediaApplied {
        generation: rig.plan.generation,
    });
    rig.accepted(Request::ShutDown);
    let snapshot = rig.room.snapshot();
    rig.incoming(PeerTrust::Trusted);
    rig.told(Fact::CameraGone);
    let policy = room::RoomPolicy::cautious(room::MediaPolicy::simulated());
    rig.room
        .fact(rig.now, Fact::PolicyChanged(Box::new(policy)));
    rig.pass(Duration::from_secs(100));
    assert_eq!(rig.commands(), []);
    assert_eq!(rig.room.snapshot(), snapshot);
}

#[test]
fn a_quick_store_does_not_cut_short_the_emptying_of_the_media_graph() {
    let (mut rig, leg) = Established.reach();
    rig.request(Request::ShutDown);
    let commands = rig.commands();
    rig.told(Fact::Stored {
        generation: remembered(&commands),
    });
    rig.room.fact(
        rig.now,
        Fact::Ended {
            leg,
            reason: EndReason::LocalHangUp,
        },
    );
    assert_eq!(rig.commands(), []);
    rig.room.fact(
        rig.now,
        Fact::MediaApplied {
            generation: rig.plan.generation,
        },
    );
    assert_eq!(rig.commands(), [Command::ShutDownComplete]);
}
