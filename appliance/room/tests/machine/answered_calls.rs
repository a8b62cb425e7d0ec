//! A room that restarts in a call that it has answered goes back into it, and rings nobody.

use std::time::{Duration, SystemTime};

use room::{
    Admission, AutoAnswer, CallTarget, Command, DeniedReason, EndReason, Fact, Glare,
    IfNotReplaced, LegId, LegState, PeerTrust, Prevails, Remembered, Replaced, Request,
    Resumptions, RoomPolicy, RoomState, WantedCall, WayBack,
};

use crate::rig::Position::Incoming;
use crate::rig::{Rig, call, policy, way_back};

const DIALOG: &str = "a@b;to-tag=1;from-tag=2";
const CALLER: &str = "sip:caller@192.0.2.1:5061;transport=tls";

/// A call that `work` has answered.
fn answered() -> WantedCall {
    WantedCall::answered("work".to_owned(), way_back(DIALOG, CALLER))
}

fn remembering(wanted: WantedCall) -> Remembered {
    Remembered {
        wanted: vec![wanted],
        ..Remembered::default()
    }
}

/// The request by which the service goes back into the call.
fn go_back() -> Request {
    Request::Call {
        target: CALLER.to_owned(),
        account: Some("work".to_owned()),
    }
}

/// A room that goes back into the call, with the leg that it has dialed for that.
fn going_back(policy: RoomPolicy) -> (Rig, LegId) {
    let mut rig = Rig::remembering(policy, remembering(answered()));
    let leg = rig.accepted(go_back()).expect("a call has a leg");
    (rig, leg)
}

/// The calls of the last order to remember, if there was any.
fn remembered(commands: &[Command]) -> Option<Vec<WantedCall>> {
    let mut orders = commands.iter().filter_map(|command| match command {
        Command::Remember { remembered, .. } => Some(remembered.wanted.clone()),
        _ => None,
    });
    orders.next_back()
}

fn name(rig: &mut Rig, leg: LegId, way_back: WayBack) -> Option<Vec<WantedCall>> {
    rig.room.fact(rig.now, Fact::DialogNamed { leg, way_back });
    remembered(&rig.commands())
}

#[test]
fn an_answered_call_is_remembered_from_when_it_stands_until_either_side_ends_it() {
    for end in [
        |rig: &mut Rig, _| {
            rig.request(Request::HangUp { leg: None });
        },
        |rig: &mut Rig, _| {
            rig.request(Request::ShutDown);
        },
        |rig: &mut Rig, leg| {
            let reason = EndReason::RemoteHangUp;
            rig.room.fact(rig.now, Fact::Ended { leg, reason });
        },
    ] {
        let (mut rig, leg) = Incoming.reach();
        rig.request(Request::Answer { leg });
        assert_eq!(remembered(&rig.commands()), None, "it does not stand yet");
        rig.establish(leg);
        let way = || way_back(DIALOG, CALLER);
        assert_eq!(name(&mut rig, leg, way()), Some(vec![answered()]));
        assert_eq!(name(&mut rig, leg, way()), None, "nothing new");
        end(&mut rig, leg);
        assert_eq!(remembered(&rig.commands()), Some(Vec::new()));
    }
}

#[test]
fn a_far_end_that_moves_is_called_back_where_it_is_now() {
    let (mut rig, leg) = Incoming.reach();
    rig.request(Request::Answer { leg });
    rig.establish(leg);
    name(&mut rig, leg, way_back(DIALOG, CALLER));
    let moved = WayBack {
        known_as: Some("sip:meeting@192.0.2.2".to_owned()),
        ..way_back(DIALOG, "sip:caller@192.0.2.99")
    };
    let wanted = WantedCall::answered("work".to_owned(), moved.clone());
    assert_eq!(name(&mut rig, leg, moved), Some(vec![wanted]));
}

#[test]
fn a_room_goes_back_into_the_dialog_that_its_far_end_has_and_places_no_other_call() {
    let known_as = Some("sip:meeting@192.0.2.2".to_owned());
    let wanted = WantedCall::answered(
        "work".to_owned(),
        WayBack {
            known_as: known_as.clone(),
            ..way_back(DIALOG, CALLER)
        },
    );
    let dialog = wanted.dialog.clone().expect("it has one");
    let mut rig = Rig::remembering(policy(), remembering(wanted));
    rig.request(go_back());
    let commands = rig.commands();
    assert_eq!(
        remembered(&commands),
        None,
        "should it be interrupted again"
    );
    let [
        Command::Dial {
            leg,
            target,
            account,
            replaced,
        },
    ] = &commands[..]
    else {
        panic!("{commands:?}");
    };
    assert_eq!(
        (target.as_str(), account.as_deref()),
        (CALLER, Some("work"))
    );
    let expected = Replaced {
        dialog,
        otherwise: IfNotReplaced::GiveUp,
        known_as,
    };
    assert_eq!(*replaced, Some(expected));

    rig.establish(*leg);
    let taken = name(&mut rig, *leg, way_back("c@d;to-tag=3;from-tag=4", CALLER));
    let again = WantedCall::answered(
        "work".to_owned(),
        way_back("c@d;to-tag=3;from-tag=4", CALLER),
    );
    assert_eq!(
        taken,
        Some(vec![again]),
        "the new dialog is the way back now"
    );
}

#[test]
fn a_far_end_that_does_not_take_the_room_back_is_left_alone_and_the_room_says_so() {
    for (reason, shown) in [
        (EndReason::Refused { status: 481 }, EndReason::NotResumed),
        (EndReason::Refused { status: 420 }, EndReason::NotResumed),
        (EndReason::Forbidden, EndReason::NotResumed),
        (EndReason::DeclinedByPeer, EndReason::NotResumed),
        (EndReason::Unreachable, EndReason::Unreachable),
        (EndReason::PeerLost, EndReason::Unreachable),
        (EndReason::NotFound, EndReason::NotFound),
        (
            EndReason::Refused { status: 500 },
            EndReason::Refused { status: 500 },
        ),
    ] {
        let (mut rig, leg) = going_back(policy());
        rig.room.fact(rig.now, Fact::Ended { leg, reason });
        let commands = rig.commands();
        assert_eq!(remembered(&commands), Some(Vec::new()), "{reason:?}");
        let dials = |command: &Command| matches!(command, Command::Dial { .. });
        assert!(!commands.iter().any(dials), "{reason:?}");
        let snapshot = rig.room.snapshot();
        assert_eq!(snapshot.state, RoomState::Idle);
        assert_eq!(snapshot.last_ended[0].state, LegState::Ended(shown));
    }
}

#[test]
fn a_call_that_was_taken_up_again_ends_for_the_reasons_of_any_other() {
    let (mut rig, leg) = going_back(policy());
    rig.establish(leg);
    let reason = EndReason::Forbidden;
    rig.told(Fact::Ended { leg, reason });
    assert_eq!(rig.leg(leg).state, LegState::Ended(reason));
}

#[test]
fn an_answered_call_that_cannot_be_placed_is_forgotten_and_a_placed_one_is_not() {
    for (wanted, left) in [
        (answered(), 0),
        (
            WantedCall::new(CallTarget {
                target: CALLER.to_owned(),
                account: Some("work".to_owned()),
            }),
            1,
        ),
    ] {
        // The account is gone from the configuration.
        let policy = RoomPolicy {
            accounts: vec!["home".to_owned()],
            ..policy()
        };
        let mut rig = Rig::remembering(policy, remembering(wanted));
        let denied = Admission::Denied(DeniedReason::UnknownAccount);
        assert_eq!(rig.request(go_back()), denied);
        let calls = remembered(&rig.commands()).map_or(1, |calls| calls.len());
        assert_eq!(calls, left);
    }
}

#[test]
fn a_call_that_lasts_after_it_was_taken_up_again_is_remembered_without_its_restarts() {
    let restart = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let interrupted = WantedCall {
        resumptions: Resumptions::new([restart]),
        ..answered()
    };
    let mut rig = Rig::remembering(policy(), remembering(interrupted));
    let leg = rig.accepted(go_back()).expect("a call has a leg");
    rig.establish(leg);
    rig.pass(Duration::from_secs(59));
    assert_eq!(remembered(&rig.commands()), None);
    rig.pass(Duration::from_secs(1));
    assert_eq!(remembered(&rig.commands()), Some(vec![answered()]));
}

#[test]
fn where_both_ends_were_killed_the_new_call_of_the_caller_is_received_as_any_other() {
    let asks = policy();
    let answers = RoomPolicy {
        auto_answer: AutoAnswer::TrustedPeers,
        ..policy()
    };
    for prevails in [Prevails::Placed, Prevails::Incoming] {
        for (policy, state) in [(&asks, LegState::Incoming), (&answers, LegState::Answering)] {
            let (mut rig, own) = going_back(policy.clone());
            let glare = Glare {
                placed: own,
                prevails,
            };
            let leg = rig.crossing_call(PeerTrust::Trusted, glare);
            assert_eq!(rig.leg(leg).state, state, "{prevails:?}");
            let gave_way = LegState::Ending(EndReason::GaveWay);
            assert_eq!(rig.leg(own).state, gave_way, "{prevails:?}");
            // What is to be remembered of the new call is told once it stands.
            assert_eq!(remembered(&rig.commands()), Some(Vec::new()));
        }
    }
}

#[test]
fn a_room_that_rings_already_does_not_turn_that_caller_away_for_an_answered_call() {
    let mut rig = Rig::remembering(policy(), remembering(answered()));
    let leg = rig.incoming(PeerTrust::Trusted);
    let denied = Admission::Denied(DeniedReason::NoFreeLeg);
    assert_eq!(rig.request(go_back()), denied);
    assert_eq!(rig.leg(leg).state, LegState::Incoming);
    assert_eq!(remembered(&rig.commands()), Some(Vec::new()));
}

#[test]
fn who_presses_call_gives_up_the_answered_call_that_is_not_placed_yet() {
    let mut rig = Rig::remembering(policy(), remembering(answered()));
    rig.request(call("sip:other@example.com"));
    let calls = remembered(&rig.commands()).expect("another call is wanted");
    assert!(!calls.iter().any(WantedCall::is_answered));
}
