//! Guests: they knock or come in, beside the calls of the room.

use std::time::Duration;

use room::media_plan::{LegConnection, Tone};
use room::{
    Admission, AnswerMode, AutoAnswer, Command, DeniedReason, EndReason, Fact, GuestAdmission,
    LegKind, LegState, PeerTrust, RejectCause, Request, RoomPolicy, RoomState,
};

use crate::rig::{Rig, TARGET, call, established, policy_with_guests, streams};

#[test]
fn a_guest_knocks_and_is_let_in_by_somebody_in_the_room() {
    let mut rig = Rig::with_policy(policy_with_guests(1));
    let leg = rig.guest(GuestAdmission::Ask);
    assert_eq!(rig.signalling(), [Command::Ring { leg }]);
    let knocking = rig.leg(leg);
    assert_eq!(
        (knocking.kind, knocking.state),
        (LegKind::Guest, LegState::Incoming)
    );
    assert_eq!(knocking.peer.display_name.as_deref(), Some("Anna"));
    assert_eq!(rig.room.snapshot().state, RoomState::Idle);
    assert_eq!(
        rig.request(Request::Answer { leg }),
        Admission::Accepted { leg: Some(leg) }
    );
    let mode = AnswerMode::Manual;
    assert_eq!(rig.signalling(), [Command::Accept { leg, mode }]);
    rig.told(established(leg));
    assert_eq!(rig.leg(leg).state, LegState::Established);
    assert_eq!(rig.room.snapshot().state, RoomState::InMeeting);
    assert_eq!(rig.request(Request::Answer { leg }), Admission::AlreadySo);
}

#[test]
fn the_media_of_a_guest_is_made_ready_as_soon_as_the_answer_is_out_and_no_sooner() {
    let mut rig = Rig::with_policy(policy_with_guests(1));
    let leg = rig.guest(GuestAdmission::Ask);
    let answered = Fact::Answered {
        leg,
        streams: streams(),
    };
    // Nobody has let the guest in.
    rig.told(answered.clone());
    rig.commands();
    assert!(rig.plan.legs.is_empty() && rig.plan.ladder.is_empty());
    rig.accepted(Request::Answer { leg });
    rig.commands();
    assert!(rig.plan.legs.is_empty() && rig.plan.ladder.is_empty());
    rig.told(answered);
    rig.commands();
    assert_eq!(rig.leg(leg).state, LegState::Answering);
    assert_eq!(rig.plan.legs[0].connection, LegConnection::Connecting);
    assert!(!rig.plan.ladder.is_empty());
    rig.told(established(leg));
    rig.commands();
    assert_eq!(rig.plan.legs[0].connection, LegConnection::Connected);
}

#[test]
fn a_guest_who_was_let_in_before_does_not_knock_whatever_the_room_does_with_calls() {
    let mut rig = Rig::with_policy(RoomPolicy {
        auto_answer: AutoAnswer::Never,
        ..policy_with_guests(1)
    });
    let leg = rig.guest(GuestAdmission::Unasked);
    let mode = AnswerMode::Automatic;
    assert_eq!(rig.signalling(), [Command::Accept { leg, mode }]);
}

#[test]
fn a_guest_does_not_come_in_because_every_call_is_answered() {
    let mut rig = Rig::with_policy(RoomPolicy {
        auto_answer: AutoAnswer::Everyone,
        ..policy_with_guests(1)
    });
    let leg = rig.guest(GuestAdmission::Ask);
    assert_eq!(rig.signalling(), [Command::Ring { leg }]);
}

#[test]
fn nobody_lets_a_guest_in_and_the_guest_hears_so_after_five_minutes() {
    let mut rig = Rig::with_policy(policy_with_guests(1));
    let leg = rig.guest(GuestAdmission::Ask);
    rig.commands();
    rig.pass(Duration::from_secs(299));
    assert_eq!(rig.leg(leg).state, LegState::Incoming);
    rig.pass(Duration::from_secs(1));
    let cause = RejectCause::NotAvailable;
    assert_eq!(rig.signalling(), [Command::Reject { leg, cause }]);
    assert_eq!(rig.leg(leg).state, LegState::Ending(EndReason::Missed));
}

#[test]
fn a_declined_guest_stays_out() {
    let mut rig = Rig::with_policy(policy_with_guests(1));
    let leg = rig.guest(GuestAdmission::Ask);
    rig.commands();
    assert_eq!(
        rig.request(Request::Decline { leg }),
        Admission::Accepted { leg: Some(leg) }
    );
    let cause = RejectCause::Decline;
    assert_eq!(rig.signalling(), [Command::Reject { leg, cause }]);
    let reason = EndReason::RemoteHangUp;
    rig.told(Fact::Ended { leg, reason });
    assert_eq!(rig.leg(leg).state, LegState::Ended(EndReason::Declined));
}

#[test]
fn guests_come_into_a_call_and_a_call_can_be_placed_beside_guests() {
    let mut rig = Rig::with_policy(policy_with_guests(2));
    let board = rig.dial();
    rig.establish(board);
    let anna = rig.guest(GuestAdmission::Unasked);
    rig.establish(anna);
    assert_eq!(rig.leg(anna).state, LegState::Established);
    // A second call is still one too many, and the guest is no place for it.
    let caller = rig.incoming(PeerTrust::Trusted);
    let cause = RejectCause::Busy;
    assert_eq!(rig.signalling(), [Command::Reject { leg: caller, cause }]);
    assert_eq!(
        rig.request(call("sip:annex@example.com")),
        Admission::Denied(DeniedReason::NoFreeLeg)
    );
    rig.accepted(Request::HangUp { leg: Some(board) });
    assert_eq!(rig.room.snapshot().state, RoomState::InMeeting);
    rig.accepted(call(TARGET));
}

#[test]
fn a_call_of_the_room_does_not_turn_a_knocking_guest_away() {
    let mut rig = Rig::with_policy(policy_with_guests(1));
    let guest = rig.guest(GuestAdmission::Ask);
    rig.commands();
    rig.accepted(call(TARGET));
    assert_eq!(rig.leg(guest).state, LegState::Incoming);
}

#[test]
fn one_guest_too_many_hears_that_the_meeting_is_full() {
    let mut rig = Rig::with_policy(policy_with_guests(1));
    rig.guest(GuestAdmission::Ask);
    rig.commands();
    let second = rig.guest(GuestAdmission::Unasked);
    let cause = RejectCause::Busy;
    assert_eq!(rig.signalling(), [Command::Reject { leg: second, cause }]);

    let mut rig = Rig::new();
    let leg = rig.guest(GuestAdmission::Unasked);
    let cause = RejectCause::Busy;
    assert_eq!(rig.signalling(), [Command::Reject { leg, cause }]);
}

#[test]
fn a_guest_is_nothing_to_come_back_to_after_a_restart() {
    let mut rig = Rig::with_policy(policy_with_guests(1));
    rig.guest(GuestAdmission::Unasked);
    let remembers = |command: &Command| matches!(command, Command::Remember { .. });
    assert!(!rig.commands().iter().any(remembers));
}

#[test]
fn whoever_knocks_is_heard_more_quietly_than_a_call() {
    let mut rig = Rig::with_policy(policy_with_guests(2));
    let guest = rig.guest(GuestAdmission::Ask);
    rig.commands();
    assert_eq!(rig.plan.playout.tone, Some(Tone::CallWaiting));
    let caller = rig.incoming(PeerTrust::Admitted);
    rig.commands();
    assert_eq!(rig.plan.playout.tone, Some(Tone::Ringing));
    rig.accepted(Request::Decline { leg: caller });
    rig.accepted(Request::Decline { leg: guest });
    assert_eq!(rig.plan.playout.tone, None);
}

#[test]
fn a_room_that_shuts_down_lets_nobody_in() {
    let mut rig = Rig::with_policy(policy_with_guests(1));
    rig.accepted(Request::ShutDown);
    let leg = rig.guest(GuestAdmission::Unasked);
    let cause = RejectCause::NotAvailable;
    assert_eq!(rig.signalling(), [Command::Reject { leg, cause }]);
}
