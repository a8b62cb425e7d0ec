//! Calls of the room: placed, incoming, second and crossing ones, and those that are over.

use std::time::Duration;

use room::media_plan::Tone;
use room::{
    Admission, AnswerMode, AnswerWish, AutoAnswer, Command, DeniedReason, EndReason, Fact, Glare,
    LegId, LegState, PeerTrust, Prevails, RejectCause, Request, RoomPolicy, RoomSnapshot,
    RoomState,
};

use crate::rig::Position::{Ending, Established, Incoming};
use crate::rig::{Rig, TARGET, call, incoming, policy, policy_with_legs, target, wanted};

#[test]
fn a_call_is_dialed_by_the_account_that_was_asked_for() {
    let mut rig = Rig::new();
    let account = Some("work".to_owned());
    let admission = rig.request(Request::Call {
        target: TARGET.to_owned(),
        account: account.clone(),
    });
    let Admission::Accepted { leg: Some(leg) } = admission else {
        panic!("{admission:?}")
    };
    let dial = Command::Dial {
        leg,
        target: TARGET.to_owned(),
        account,
        replaced: None,
    };
    assert_eq!(rig.signalling(), [dial]);
}

#[test]
fn a_call_that_names_no_account_goes_by_the_first_one_and_shows_it() {
    let mut two_accounts = policy();
    two_accounts.accounts.push("home".to_owned());
    let mut rig = Rig::with_policy(two_accounts);
    rig.request(call(TARGET));
    let commands = rig.commands();
    assert_eq!(
        wanted(&commands),
        Some(vec![target(TARGET)]),
        "remembered as it was asked for"
    );
    let [snapshot] = &rig.room.snapshot().legs[..] else {
        panic!("one leg")
    };
    assert_eq!(snapshot.account.as_deref(), Some("work"));
    let again = Request::Call {
        target: TARGET.to_owned(),
        account: Some("work".to_owned()),
    };
    assert_eq!(rig.request(again), Admission::AlreadySo);

    let mut rig = Rig::with_policy(RoomPolicy {
        accounts: Vec::new(),
        ..policy()
    });
    let leg = rig.dial();
    assert_eq!(rig.leg(leg).account, None);
}

#[test]
fn the_join_button_calls_what_policy_names_and_a_second_press_does_nothing() {
    let mut rig = Rig::new();
    let leg = rig.accepted(Request::Join).expect("a leg");
    assert_eq!(rig.leg(leg).peer.uri, TARGET);
    assert_eq!(rig.request(Request::Join), Admission::AlreadySo);
    assert_eq!(rig.request(call(TARGET)), Admission::AlreadySo);
    rig.establish(leg);
    assert_eq!(rig.request(Request::Join), Admission::AlreadySo);
    assert_eq!(rig.commands(), []);

    let mut rig = Rig::with_policy(RoomPolicy {
        join: None,
        ..policy()
    });
    assert_eq!(
        rig.request(Request::Join),
        Admission::Denied(DeniedReason::NothingToJoin)
    );
}

#[test]
fn what_cannot_be_called_is_denied() {
    let mut rig = Rig::new();
    let too_long = format!("sip:{}", "a".repeat(1_021));
    for target in ["", "sip:a@b\r\nVia: x", "sip:\u{7f}", too_long.as_str()] {
        let admission = rig.request(call(target));
        assert_eq!(
            admission,
            Admission::Denied(DeniedReason::InvalidTarget),
            "{target:?}"
        );
    }
    let account = Some("nobody".to_owned());
    let admission = rig.request(Request::Call {
        target: TARGET.to_owned(),
        account,
    });
    assert_eq!(admission, Admission::Denied(DeniedReason::UnknownAccount));
    assert_eq!(rig.commands(), []);
}

#[test]
fn an_incoming_call_rings_here_and_at_the_caller_until_it_is_answered() {
    let mut rig = Rig::new();
    let leg = rig.incoming(PeerTrust::Trusted);
    assert_eq!(rig.signalling(), [Command::Ring { leg }]);
    assert_eq!(rig.plan.playout.tone, Some(Tone::Ringing));
    assert_eq!(rig.room.snapshot().state, RoomState::Idle);

    rig.request(Request::Answer { leg });
    let mode = AnswerMode::Manual;
    assert_eq!(rig.signalling(), [Command::Accept { leg, mode }]);
    assert_eq!(rig.plan.playout.tone, None);
    assert_eq!(rig.room.snapshot().state, RoomState::InMeeting);
    rig.establish(leg);
    assert_eq!(rig.leg(leg).state, LegState::Established);
    assert_eq!(rig.leg(leg).account.as_deref(), Some("work"));
}

#[test]
fn the_room_rings_until_the_last_ringing_call_is_gone() {
    let mut rig = Rig::with_policy(policy_with_legs(4));
    let first = rig.incoming(PeerTrust::Admitted);
    let second = rig.incoming(PeerTrust::Admitted);
    rig.commands();
    rig.room.fact(
        rig.now,
        Fact::Ended {
            leg: first,
            reason: EndReason::Cancelled,
        },
    );
    assert_eq!(rig.signalling(), []);
    rig.room.fact(
        rig.now,
        Fact::Ended {
            leg: second,
            reason: EndReason::Cancelled,
        },
    );
    assert_eq!(rig.signalling(), []);
    assert_eq!(rig.plan.playout.tone, None);
}

#[test]
fn policy_decides_which_calls_are_answered_unasked() {
    let cases = [
        (AutoAnswer::Never, PeerTrust::Trusted, LegState::Incoming),
        (AutoAnswer::Never, PeerTrust::Admitted, LegState::Incoming),
        (
            AutoAnswer::TrustedPeers,
            PeerTrust::Trusted,
            LegState::Answering,
        ),
        (
            AutoAnswer::TrustedPeers,
            PeerTrust::Admitted,
            LegState::Incoming,
        ),
        (
            AutoAnswer::Everyone,
            PeerTrust::Trusted,
            LegState::Answering,
        ),
        (
            AutoAnswer::Everyone,
            PeerTrust::Admitted,
            LegState::Answering,
        ),
    ];
    for (auto_answer, trust, state) in cases {
        let mut rig = Rig::with_policy(RoomPolicy {
            auto_answer,
            ..policy()
        });
        let leg = rig.incoming(trust);
        assert_eq!(rig.leg(leg).state, state, "{auto_answer:?} {trust:?}");
        let expected = if state == LegState::Answering {
            vec![accepted_unasked(leg)]
        } else {
            vec![Command::Ring { leg }]
        };
        assert_eq!(rig.signalling(), expected);
    }
}

#[test]
fn a_second_caller_hears_busy_and_is_shown_as_such() {
    let (mut rig, leg) = Established.reach();
    let second = rig.incoming(PeerTrust::Trusted);
    let busy = Command::Reject {
        leg: second,
        cause: RejectCause::Busy,
    };
    assert_eq!(rig.commands(), [busy]);
    assert_eq!(
        rig.leg(second).state,
        LegState::Ended(EndReason::RefusedBusy)
    );
    assert_eq!(rig.leg(leg).state, LegState::Established);
    rig.told(Fact::Ended {
        leg: second,
        reason: EndReason::Cancelled,
    });
    assert_eq!(
        rig.leg(second).state,
        LegState::Ended(EndReason::RefusedBusy)
    );
}

#[test]
fn whoever_asks_before_calling_hears_whether_there_is_a_place() {
    let mut rig = Rig::with_policy(policy_with_legs(2));
    assert_eq!(rig.room.refuses_calls(), None);
    let first = rig.dial();
    assert_eq!(rig.room.refuses_calls(), None, "another one may join");
    let second = rig.incoming(PeerTrust::Admitted);
    assert_eq!(rig.room.refuses_calls(), Some(RejectCause::Busy));
    rig.told(Fact::Ended {
        leg: second,
        reason: EndReason::Cancelled,
    });
    assert_eq!(rig.room.refuses_calls(), None);
    rig.establish(first);
    rig.accepted(Request::ShutDown);
    let gone = Some(RejectCause::NotAvailable);
    assert_eq!(rig.room.refuses_calls(), gone);
}

#[test]
fn a_second_caller_joins_where_policy_adds_legs_up_to_their_number() {
    let mut rig = Rig::with_policy(policy_with_legs(2));
    let first = rig.dial();
    rig.establish(first);
    let second = rig.incoming(PeerTrust::Admitted);
    rig.accepted(Request::Answer { leg: second });
    rig.establish(second);
    assert_eq!(rig.plan.legs.len(), 2);

    let third = rig.incoming(PeerTrust::Admitted);
    assert_eq!(
        rig.leg(third).state,
        LegState::Ended(EndReason::RefusedBusy)
    );
    let admission = rig.request(call("sip:other@example.com"));
    assert_eq!(admission, Admission::Denied(DeniedReason::NoFreeLeg));
}

#[test]
fn a_call_of_our_own_outranks_a_caller_who_still_rings() {
    let (mut rig, ringing) = Incoming.reach();
    let leg = match rig.request(Request::Join) {
        Admission::Accepted { leg: Some(leg) } => leg,
        other @ (Admission::Accepted { leg: None }
        | Admission::AlreadySo
        | Admission::Denied(_)) => panic!("{other:?}"),
    };
    let busy = Command::Reject {
        leg: ringing,
        cause: RejectCause::Busy,
    };
    let dial = Command::Dial {
        leg,
        target: TARGET.to_owned(),
        account: Some("work".to_owned()),
        replaced: None,
    };
    assert_eq!(rig.signalling(), [busy, dial]);
    assert_eq!(
        rig.leg(ringing).state,
        LegState::Ending(EndReason::RefusedBusy)
    );
}

/// The far end that is being dialed calls at the same moment.
fn crossed(policy: RoomPolicy, trust: PeerTrust, prevails: Prevails) -> (Rig, LegId, LegId) {
    let mut rig = Rig::with_policy(policy);
    let placed = rig.dial();
    let leg = rig.crossing_call(trust, Glare { placed, prevails });
    (rig, placed, leg)
}

fn answering(base: RoomPolicy) -> RoomPolicy {
    RoomPolicy {
        auto_answer: AutoAnswer::TrustedPeers,
        ..base
    }
}

#[test]
fn of_two_calls_that_cross_one_goes_on() {
    for base in [policy(), policy_with_legs(3)] {
        let base = answering(base);
        let (mut rig, placed, leg) = crossed(base.clone(), PeerTrust::Trusted, Prevails::Placed);
        let cause = RejectCause::Busy;
        assert_eq!(rig.signalling(), [Command::Reject { leg, cause }]);
        assert_eq!(rig.leg(placed).state, LegState::Dialing);

        let (mut rig, placed, leg) = crossed(base, PeerTrust::Trusted, Prevails::Incoming);
        let commands = rig.commands();
        assert_eq!(wanted(&commands), None, "the meeting is wanted as before");
        assert_eq!(
            commands,
            [Command::HangUp { leg: placed }, accepted_unasked(leg)]
        );
        assert_eq!(rig.leg(placed).state, LegState::Ending(EndReason::GaveWay));
        assert_eq!(rig.leg(leg).state, LegState::Answering);
        assert_eq!(rig.request(Request::Join), Admission::AlreadySo);
        rig.establish(leg);
        rig.request(Request::HangUp { leg: Some(leg) });
        assert_eq!(wanted(&rig.commands()), Some(Vec::new()));
    }
}

#[test]
fn a_call_that_crosses_and_would_not_be_answered_unasked_changes_nothing() {
    for prevails in [Prevails::Placed, Prevails::Incoming] {
        for (policy, trust) in [
            (policy(), PeerTrust::Trusted),
            (answering(policy()), PeerTrust::Admitted),
        ] {
            let (mut rig, placed, leg) = crossed(policy, trust, prevails);
            let cause = RejectCause::Busy;
            assert_eq!(rig.signalling(), [Command::Reject { leg, cause }]);
            assert_eq!(rig.leg(placed).state, LegState::Dialing);
        }
    }
}

#[test]
fn a_call_that_was_answered_meanwhile_does_not_give_way() {
    let mut rig = Rig::with_policy(answering(policy()));
    let placed = rig.dial();
    rig.establish(placed);
    rig.commands();
    let prevails = Prevails::Incoming;
    let leg = rig.crossing_call(PeerTrust::Trusted, Glare { placed, prevails });
    let cause = RejectCause::Busy;
    assert_eq!(rig.signalling(), [Command::Reject { leg, cause }]);
    assert_eq!(rig.leg(placed).state, LegState::Established);
}

#[test]
fn a_caller_who_rings_does_not_make_room_that_policy_no_longer_allows() {
    let mut rig = Rig::with_policy(policy_with_legs(2));
    let first = rig.dial();
    rig.establish(first);
    let ringing = rig.incoming(PeerTrust::Admitted);
    rig.told(Fact::PolicyChanged(Box::new(policy())));
    let admission = rig.request(call("sip:other@example.com"));
    assert_eq!(admission, Admission::Denied(DeniedReason::NoFreeLeg));
    assert_eq!(rig.leg(ringing).state, LegState::Incoming);
}

#[test]
fn the_next_call_need_not_wait_for_the_last_one_to_be_confirmed_ended() {
    let (mut rig, old) = Ending.reach();
    assert_eq!(rig.room.snapshot().state, RoomState::Leaving);
    let leg = rig.dial();
    assert_ne!(leg, old);
    assert_eq!(rig.room.snapshot().state, RoomState::InMeeting);
}

#[test]
fn legs_that_only_wait_for_their_last_word_are_bounded_too() {
    let mut rig = Rig::new();
    for _ in 0..64 {
        let leg = rig.dial();
        rig.accepted(Request::HangUp { leg: Some(leg) });
    }
    assert_eq!(
        rig.request(call(TARGET)),
        Admission::Denied(DeniedReason::NoFreeLeg)
    );
    let leg = rig.incoming(PeerTrust::Trusted);
    assert_eq!(rig.leg(leg).state, LegState::Ended(EndReason::RefusedBusy));
    assert_eq!(rig.room.snapshot().legs.len(), 64);
    assert_eq!(rig.room.snapshot().last_ended.len(), 1);
}

#[test]
fn hanging_up_without_naming_a_leg_ends_all_of_them() {
    let mut rig = Rig::with_policy(policy_with_legs(3));
    let dialed = rig.dial();
    rig.establish(dialed);
    let ringing = rig.incoming(PeerTrust::Admitted);
    rig.commands();

    let admission = rig.request(Request::HangUp { leg: None });
    assert_eq!(admission, Admission::Accepted { leg: None });
    let decline = Command::Reject {
        leg: ringing,
        cause: RejectCause::Decline,
    };
    let expected = [Command::HangUp { leg: dialed }, decline];
    assert_eq!(rig.signalling(), expected);
    assert_eq!(rig.room.snapshot().state, RoomState::Leaving);
    assert_eq!(
        rig.request(Request::HangUp { leg: None }),
        Admission::AlreadySo
    );

    rig.pass(Duration::from_secs(10));
    assert_eq!(rig.room.snapshot().state, RoomState::Idle);
    assert_eq!(
        rig.request(Request::HangUp { leg: None }),
        Admission::AlreadySo
    );
}

#[test]
fn the_last_ended_legs_are_kept_newest_first_with_their_times() {
    let mut rig = Rig::new();
    let mut ids = Vec::new();
    for _ in 0..RoomSnapshot::MAX_LAST_ENDED + 2 {
        let leg = rig.dial();
        let started = rig.now;
        rig.pass(Duration::from_secs(1));
        rig.establish(leg);
        rig.pass(Duration::from_secs(60));
        rig.told(Fact::Ended {
            leg,
            reason: EndReason::RemoteHangUp,
        });
        let ended = rig.leg(leg);
        assert_eq!(ended.started, started);
        assert_eq!(ended.established, Some(started + Duration::from_secs(1)));
        assert_eq!(ended.ended, Some(rig.now));
        ids.insert(0, leg);
    }
    let kept: Vec<_> = rig
        .room
        .snapshot()
        .last_ended
        .iter()
        .map(|leg| leg.id)
        .collect();
    assert_eq!(kept, ids[..RoomSnapshot::MAX_LAST_ENDED]);
}

#[test]
fn an_id_in_use_is_never_given_out_again() {
    let mut rig = Rig::new();
    let first = rig.dial();
    let mut reserved: Vec<_> = (0..100).map(|_| rig.room.reserve_leg()).collect();
    reserved.push(first);
    reserved.sort();
    reserved.dedup();
    assert_eq!(reserved.len(), 101);
}

fn accepted_unasked(leg: LegId) -> Command {
    let mode = AnswerMode::Automatic;
    Command::Accept { leg, mode }
}

#[test]
fn a_wish_to_be_answered_at_once_is_granted_to_trusted_peers_where_policy_says_so_and_to_nobody_else()
 {
    use AnswerWish::{Automatic, AutomaticOnly, Manual, None};
    use AutoAnswer::{Everyone, Never, TrustedPeers, TrustedPeersWhenAsked};
    use PeerTrust::{Admitted, Trusted};
    for (auto_answer, trust, answered) in [
        (Never, Trusted, &[][..]),
        (TrustedPeersWhenAsked, Admitted, &[]),
        (TrustedPeersWhenAsked, Trusted, &[Automatic, AutomaticOnly]),
        (TrustedPeers, Admitted, &[]),
        (TrustedPeers, Trusted, &[None, Automatic, AutomaticOnly]),
        (Everyone, Admitted, &[None, Automatic, AutomaticOnly]),
    ] {
        for wish in [None, Manual, Automatic, AutomaticOnly] {
            let mut rig = Rig::with_policy(RoomPolicy {
                auto_answer,
                ..policy()
            });
            let leg = rig.room.reserve_leg();
            let mut fact = incoming(leg, trust);
            if let Fact::Incoming { wish: own, .. } = &mut fact {
                *own = wish;
            }
            rig.room.fact(rig.now, fact);
            let expected = if answered.contains(&wish) {
                accepted_unasked(leg)
            } else if wish == AutomaticOnly {
                let cause = RejectCause::NotAnsweredUnasked;
                Command::Reject { leg, cause }
            } else {
                Command::Ring { leg }
            };
            let case = format!("{auto_answer:?} {trust:?} {wish:?}");
            assert_eq!(rig.signalling(), [expected], "{case}");
        }
    }
}
