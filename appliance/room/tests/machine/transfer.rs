//! A far end hands the room on to somebody else.

use std::time::Duration;

use room::policy::Timeouts;
use room::{
    Command, DialogName, EndReason, Fact, HeldBy, IfNotReplaced, LegId, LegState, Replaced,
    Request, TransferProgress,
};

use crate::rig::{Rig, established, policy_with_legs, wanted};

const ANNEX: &str = "sip:annex@example.com";

fn asked(leg: LegId) -> Fact {
    Fact::TransferAsked {
        leg,
        target: ANNEX.to_owned(),
        replaced: None,
    }
}

/// A room in a call with the board.
fn meeting() -> (Rig, LegId) {
    let mut rig = Rig::new();
    let leg = rig.dial();
    rig.establish(leg);
    rig.commands();
    (rig, leg)
}

/// The same, handed on to the annex, which is being called.
fn transfer() -> (Rig, LegId, LegId) {
    let (mut rig, board) = meeting();
    rig.room.fact(rig.now, asked(board));
    let commands = rig.signalling();
    let [accept, Command::Dial { leg, target, .. }] = commands.as_slice() else {
        panic!("{commands:?}");
    };
    assert_eq!(*accept, Command::AcceptTransfer { leg: board });
    assert_eq!(target, ANNEX);
    let annex = *leg;
    (rig, board, annex)
}

fn told(leg: LegId, progress: TransferProgress) -> Command {
    Command::TellTransfer { leg, progress }
}

#[test]
fn the_far_end_hears_of_each_step_and_has_a_moment_to_hang_up_by_itself() {
    let (mut rig, board, annex) = transfer();
    rig.room.fact(rig.now, Fact::Ringing { leg: annex });
    assert_eq!(rig.signalling(), [told(board, TransferProgress::Ringing)]);
    rig.establish(annex);
    assert_eq!(rig.leg(board).state, LegState::Established);

    rig.told(Fact::Ended {
        leg: board,
        reason: EndReason::RemoteHangUp,
    });
    assert_eq!(
        rig.leg(board).state,
        LegState::Ended(EndReason::RemoteHangUp)
    );
    rig.pass(Duration::from_secs(60));
    assert_eq!(rig.signalling(), []);
    assert_eq!(rig.leg(annex).state, LegState::Established);
}

#[test]
fn a_far_end_that_stays_is_left_after_its_time() {
    let (mut rig, board, annex) = transfer();
    rig.room.fact(rig.now, established(annex));
    assert_eq!(rig.signalling(), [told(board, TransferProgress::Answered)]);
    rig.pass(Timeouts::default().transfer - Duration::from_millis(1));
    assert_eq!(rig.signalling(), []);
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.signalling(), [Command::HangUp { leg: board }]);
    let transferred = LegState::Ending(EndReason::Transferred);
    assert_eq!(rig.leg(board).state, transferred);
    assert_eq!(rig.leg(annex).state, LegState::Established);
}

#[test]
fn a_call_that_fails_leaves_the_room_with_the_far_end() {
    for reason in [
        EndReason::PeerBusy,
        EndReason::NotFound,
        EndReason::NotAnswered,
    ] {
        let (mut rig, board, annex) = transfer();
        let ended = Fact::Ended { leg: annex, reason };
        rig.room.fact(rig.now, ended);
        let failed = TransferProgress::Failed(reason);
        assert_eq!(rig.signalling(), [told(board, failed)]);
        rig.pass(Duration::from_secs(60));
        assert_eq!(rig.signalling(), []);
        assert_eq!(rig.leg(board).state, LegState::Established);
        // Another one may be tried.
        rig.room.fact(rig.now, asked(board));
        assert_eq!(rig.signalling()[0], Command::AcceptTransfer { leg: board });
    }
}

#[test]
fn a_far_end_that_is_gone_meanwhile_is_told_nothing_and_its_party_is_called_all_the_same() {
    let (mut rig, board, annex) = transfer();
    rig.told(Fact::Ended {
        leg: board,
        reason: EndReason::PeerLost,
    });
    rig.room.fact(rig.now, Fact::Ringing { leg: annex });
    rig.room.fact(rig.now, established(annex));
    rig.pass(Duration::from_secs(60));
    assert_eq!(rig.signalling(), []);
    assert_eq!(rig.leg(annex).state, LegState::Established);
}

#[test]
fn somebody_who_hangs_the_new_call_up_ends_the_transfer_and_nothing_else() {
    let (mut rig, board, annex) = transfer();
    rig.request(Request::HangUp { leg: Some(annex) });
    let failed = TransferProgress::Failed(EndReason::LocalHangUp);
    let expected = [Command::HangUp { leg: annex }, told(board, failed)];
    assert_eq!(rig.signalling(), expected);
    assert_eq!(rig.leg(board).state, LegState::Established);
}

#[test]
fn a_call_that_the_far_end_holds_can_be_handed_on_and_the_new_one_outlives_a_crash() {
    let (mut rig, board) = meeting();
    rig.told(Fact::RemoteHold { leg: board });
    let held = LegState::Held(HeldBy::Remote);
    assert_eq!(rig.leg(board).state, held);
    let replaced = DialogName::new("1;to-tag=a;from-tag=b");
    let fact = Fact::TransferAsked {
        leg: board,
        target: ANNEX.to_owned(),
        replaced: replaced.clone(),
    };
    rig.room.fact(rig.now, fact);
    let commands = rig.commands();
    // If the annex cannot do that, the board is told, and decides.
    let otherwise = IfNotReplaced::GiveUp;
    let expected = replaced.map(|dialog| Replaced {
        dialog,
        otherwise,
        known_as: None,
    });
    assert!(commands.iter().any(|command| matches!(
        command,
        Command::Dial { replaced: named, .. } if *named == expected
    )));
    let remembered = wanted(&commands).expect("it is remembered");
    assert!(remembered.iter().any(|call| call.target == ANNEX));
}

#[test]
fn what_cannot_be_called_or_is_not_asked_by_a_party_of_a_call_is_refused() {
    let refuses = |rig: &mut Rig, fact: Fact, leg: LegId, case: &str| {
        rig.room.fact(rig.now, fact);
        let refused = [Command::RefuseTransfer { leg }];
        assert_eq!(rig.signalling(), refused, "{case}");
    };
    let (mut rig, board) = meeting();
    for target in ["", "sip:a\nb@example.com"] {
        let fact = Fact::TransferAsked {
            leg: board,
            target: target.to_owned(),
            replaced: None,
        };
        refuses(&mut rig, fact, board, "no address");
    }
    refuses(&mut rig, asked(LegId(99)), LegId(99), "no such leg");

    let (mut rig, board, annex) = transfer();
    refuses(&mut rig, asked(board), board, "one is under way");
    refuses(&mut rig, asked(annex), annex, "it is not answered yet");
    rig.establish(annex);
    rig.request(Request::ShutDown);
    rig.commands();
    refuses(
        &mut rig,
        asked(annex),
        annex,
        "the room is about to be gone",
    );
}

#[test]
fn one_leg_more_than_usual_is_for_a_transfer_and_not_two() {
    let mut rig = Rig::with_policy(policy_with_legs(2));
    let legs = ["sip:a@example.com", "sip:b@example.com"].map(|target| {
        let request = Request::Call {
            target: target.to_owned(),
            account: None,
        };
        let leg = rig.accepted(request).expect("a call has a leg");
        rig.establish(leg);
        leg
    });
    rig.commands();
    rig.room.fact(rig.now, asked(legs[0]));
    assert_eq!(
        rig.signalling()[0],
        Command::AcceptTransfer { leg: legs[0] }
    );
    rig.room.fact(
        rig.now,
        Fact::TransferAsked {
            leg: legs[1],
            target: "sip:c@example.com".to_owned(),
            replaced: None,
        },
    );
    assert_eq!(rig.signalling(), [Command::RefuseTransfer { leg: legs[1] }]);
}
