//! Tables of the four transaction machines: each state against each event.

use std::time::{Duration, Instant};

use sip::transaction::{
    InviteClient, InviteClientOutcome, InviteServer, InviteServerOutcome, NonInviteClient,
    NonInviteClientOutcome, NonInviteServer, NonInviteServerOutcome, Reliability, ResponseClass,
    T1, T1_64, T2, T4,
};

use Reliability::{Reliable, Unreliable};
use ResponseClass::{Failure, Provisional, Success};

#[derive(Clone, Copy, Debug)]
enum ClientInput {
    Response(ResponseClass),
    Terminate,
}

/// Brings a machine into a state by responses, then gives it one more input.
fn invite_client(reliability: Reliability, before: &[ResponseClass]) -> (Instant, InviteClient) {
    let start = Instant::now();
    let mut machine = InviteClient::new(start, reliability);
    for class in before {
        machine.response(start, *class);
    }
    (start, machine)
}

#[test]
fn an_abandoned_invite_client_is_silent_absorbs_a_final_response_and_ends_without_one() {
    use InviteClientOutcome::{AcknowledgeAndDeliver, Deliver, Nothing};
    for before in [&[][..], &[Provisional]] {
        for (class, outcome, stays) in [
            (Provisional, Nothing, false),
            (Success, Deliver, true),
            (Failure, AcknowledgeAndDeliver, true),
        ] {
            let (start, mut machine) = invite_client(Unreliable, before);
            machine.abandon(start);
            assert!(!machine.is_waiting() && !machine.is_proceeding());
            assert_eq!(machine.deadline(), Some(start + T1_64), "no repetitions");
            let later = start + T1_64 / 2;
            assert_eq!(machine.response(later, class), outcome);
            machine.handle_timeout(start + T1_64);
            assert_eq!(machine.is_terminated(), !stays, "{before:?} {class:?}");
        }
    }
    for before in [&[Success][..], &[Failure]] {
        let (start, mut machine) = invite_client(Unreliable, before);
        let absorbing = machine.deadline();
        machine.abandon(start + T1);
        assert_eq!(machine.deadline(), absorbing, "{before:?}");
    }
}

#[test]
fn invite_client_answers_each_response_in_each_state_as_rfc_6026_says() {
    use InviteClientOutcome::{Acknowledge, AcknowledgeAndDeliver, Deliver, Nothing};
    let table: &[(&[ResponseClass], ResponseClass, InviteClientOutcome)] = &[
        // Calling
        (&[], Provisional, Deliver),
        (&[], Success, Deliver),
        (&[], Failure, AcknowledgeAndDeliver),
        // Proceeding
        (&[Provisional], Provisional, Deliver),
        (&[Provisional], Success, Deliver),
        (&[Provisional], Failure, AcknowledgeAndDeliver),
        // Accepted
        (&[Success], Provisional, Nothing),
        (&[Success], Success, Deliver),
        (&[Success], Failure, Nothing),
        // Completed
        (&[Failure], Provisional, Nothing),
        (&[Failure], Success, Nothing),
        (&[Failure], Failure, Acknowledge),
    ];
    for (before, input, outcome) in table {
        let (start, mut machine) = invite_client(Unreliable, before);
        assert_eq!(
            machine.response(start, *input),
            *outcome,
            "{before:?} then {input:?}"
        );
    }
    for class in [Provisional, Success, Failure] {
        let (start, mut machine) = invite_client(Unreliable, &[]);
        machine.terminate();
        assert_eq!(machine.response(start, class), Nothing, "terminated");
    }
}

#[test]
fn invite_client_leaves_its_last_states_by_timers_m_and_d() {
    for (reliability, before, lives) in [
        (Unreliable, Success, T1_64),
        (Reliable, Success, T1_64),
        (Unreliable, Failure, T1_64),
        (Reliable, Failure, Duration::ZERO),
    ] {
        let (start, mut machine) = invite_client(reliability, &[before]);
        assert_eq!(
            machine.deadline(),
            Some(start + lives),
            "{reliability:?} {before:?}"
        );
        machine.handle_timeout(start + lives);
        assert!(machine.is_terminated());
    }
}

#[test]
fn invite_client_repeats_with_doubling_waits_until_timer_b() {
    let (start, mut machine) = invite_client(Unreliable, &[]);
    let mut sent = Vec::new();
    let end = loop {
        let at = machine.deadline().unwrap();
        match machine.handle_timeout(at) {
            InviteClientOutcome::Retransmit => sent.push((at - start).as_millis()),
            InviteClientOutcome::TimedOut => break at,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(sent, [500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    assert_eq!(end, start + T1_64);
    assert!(machine.is_terminated());
}

#[test]
fn invite_client_never_repeats_over_a_reliable_transport() {
    let (start, mut machine) = invite_client(Reliable, &[]);
    assert_eq!(machine.deadline(), Some(start + T1_64));
    assert_eq!(
        machine.handle_timeout(start + T1_64),
        InviteClientOutcome::TimedOut
    );
}

#[test]
fn invite_client_stops_repeating_once_it_hears_anything() {
    let (_, machine) = invite_client(Unreliable, &[Provisional]);
    assert_eq!(machine.deadline(), None);
    assert!(machine.is_proceeding());
}

#[test]
fn non_invite_client_answers_each_response_in_each_state() {
    use NonInviteClientOutcome::{Deliver, Nothing};
    let table: &[(&[ResponseClass], ClientInput, NonInviteClientOutcome)] = &[
        (&[], ClientInput::Response(Provisional), Deliver),
        (&[], ClientInput::Response(Success), Deliver),
        (&[], ClientInput::Response(Failure), Deliver),
        (&[Provisional], ClientInput::Response(Provisional), Deliver),
        (&[Provisional], ClientInput::Response(Success), Deliver),
        (&[Provisional], ClientInput::Response(Failure), Deliver),
        (&[Success], ClientInput::Response(Provisional), Nothing),
        (&[Success], ClientInput::Response(Success), Nothing),
        (&[Failure], ClientInput::Response(Failure), Nothing),
        (&[], ClientInput::Terminate, Nothing),
        (&[Provisional], ClientInput::Terminate, Nothing),
        (&[Success], ClientInput::Terminate, Nothing),
    ];
    for (before, input, outcome) in table {
        let start = Instant::now();
        let mut machine = NonInviteClient::new(start, Unreliable);
        for class in *before {
            machine.response(start, *class);
        }
        match input {
            ClientInput::Response(class) => {
                assert_eq!(
                    machine.response(start, *class),
                    *outcome,
                    "{before:?} {input:?}"
                );
            }
            ClientInput::Terminate => {
                machine.terminate();
                assert!(machine.is_terminated());
                assert_eq!(
                    machine.response(start, Success),
                    *outcome,
                    "{before:?} {input:?}"
                );
            }
        }
    }
}

#[test]
fn non_invite_client_repeats_at_most_every_t2_until_timer_f() {
    let start = Instant::now();
    let mut machine = NonInviteClient::new(start, Unreliable);
    let mut sent = Vec::new();
    while machine.handle_timeout(machine.deadline().unwrap()) == NonInviteClientOutcome::Retransmit
    {
        sent.push(machine.deadline().unwrap());
        assert!(sent.len() < 20, "it never ends");
    }
    assert!(machine.is_terminated());
    // 0.5, 1.5, 3.5, 7.5, 11.5, ... 31.5 seconds (section 17.1.2.2).
    assert_eq!(sent.len(), 10);
}

#[test]
fn non_invite_client_repeats_slowly_after_a_provisional_and_keeps_timer_f() {
    let start = Instant::now();
    let mut machine = NonInviteClient::new(start, Unreliable);
    machine.response(start + T1 / 2, Provisional);
    assert_eq!(machine.deadline(), Some(start + T1 / 2 + T2));
    assert_eq!(
        machine.handle_timeout(start + T1_64),
        NonInviteClientOutcome::TimedOut
    );
}

#[test]
fn non_invite_client_lingers_for_timer_k_only_where_responses_may_repeat() {
    for (reliability, lives) in [(Unreliable, T4), (Reliable, Duration::ZERO)] {
        let start = Instant::now();
        let mut machine = NonInviteClient::new(start, reliability);
        machine.response(start, Success);
        assert_eq!(machine.deadline(), Some(start + lives));
        machine.handle_timeout(start + lives);
        assert!(machine.is_terminated());
    }
}

#[derive(Clone, Copy, Debug)]
enum ServerInput {
    Again,
    Ack,
    Respond(ResponseClass),
}

#[test]
fn invite_server_answers_each_event_in_each_state_as_rfc_6026_says() {
    use InviteServerOutcome::{DeliverAck, Nothing, Send, SendLast};
    use ServerInput::{Ack, Again, Respond};
    let table: &[(&[ServerInput], ServerInput, InviteServerOutcome)] = &[
        // Proceeding
        (&[], Again, SendLast),
        (&[], Ack, Nothing),
        (&[], Respond(Provisional), Send),
        (&[], Respond(Success), Send),
        (&[], Respond(Failure), Send),
        (&[Respond(Provisional)], Again, SendLast),
        // Accepted
        (&[Respond(Success)], Again, Nothing),
        (&[Respond(Success)], Ack, DeliverAck),
        (&[Respond(Success)], Respond(Provisional), Nothing),
        (&[Respond(Success)], Respond(Success), Send),
        (&[Respond(Success)], Respond(Failure), Nothing),
        // Completed
        (&[Respond(Failure)], Again, SendLast),
        (&[Respond(Failure)], Ack, Nothing),
        (&[Respond(Failure)], Respond(Provisional), Nothing),
        (&[Respond(Failure)], Respond(Success), Nothing),
        (&[Respond(Failure)], Respond(Failure), Nothing),
        // Confirmed
        (&[Respond(Failure), Ack], Again, Nothing),
        (&[Respond(Failure), Ack], Ack, Nothing),
        (&[Respond(Failure), Ack], Respond(Success), Nothing),
    ];
    let give = |machine: &mut InviteServer, now: Instant, input: ServerInput| match input {
        Again => machine.retransmitted(),
        Ack => machine.acknowledged(now),
        Respond(class) => machine.respond(now, class),
    };
    for (before, input, outcome) in table {
        let start = Instant::now();
        let mut machine = InviteServer::new(start, Unreliable);
        for earlier in *before {
            give(&mut machine, start, *earlier);
        }
        assert_eq!(
            give(&mut machine, start, *input),
            *outcome,
            "{before:?} then {input:?}"
        );
    }
}

#[test]
fn invite_server_says_trying_when_its_user_is_silent_for_200_ms() {
    let start = Instant::now();
    let mut silent = InviteServer::new(start, Unreliable);
    let at = silent.deadline().unwrap();
    assert_eq!(at, start + Duration::from_millis(200));
    assert_eq!(silent.handle_timeout(at), InviteServerOutcome::SendTrying);
    assert_eq!(silent.deadline(), None);
    let mut quick = InviteServer::new(start, Unreliable);
    quick.respond(start, Provisional);
    assert_eq!(quick.deadline(), None);
}

#[test]
fn invite_server_repeats_a_refusal_until_ack_or_timer_h() {
    let start = Instant::now();
    let mut machine = InviteServer::new(start, Unreliable);
    machine.respond(start, Failure);
    let mut repeated = 0;
    loop {
        match machine.handle_timeout(machine.deadline().unwrap()) {
            InviteServerOutcome::SendLast => repeated += 1,
            InviteServerOutcome::Unacknowledged => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(repeated, 10);
    assert!(machine.is_terminated());

    let mut acknowledged = InviteServer::new(start, Unreliable);
    acknowledged.respond(start, Failure);
    acknowledged.acknowledged(start);
    assert_eq!(acknowledged.deadline(), Some(start + T4));
}

#[test]
fn invite_server_leaves_accepted_by_timer_l_and_confirmed_by_timer_i() {
    let start = Instant::now();
    let mut accepted = InviteServer::new(start, Reliable);
    accepted.respond(start, Success);
    assert_eq!(accepted.deadline(), Some(start + T1_64));
    accepted.handle_timeout(start + T1_64);
    assert!(accepted.is_terminated());

    let mut confirmed = InviteServer::new(start, Reliable);
    confirmed.respond(start, Failure);
    confirmed.acknowledged(start);
    assert_eq!(confirmed.deadline(), Some(start));
    confirmed.handle_timeout(start);
    assert!(confirmed.is_terminated());
}

#[test]
fn non_invite_server_answers_each_event_in_each_state() {
    use NonInviteServerOutcome::{Nothing, Send, SendLast};
    let table: &[(
        &[ResponseClass],
        Option<ResponseClass>,
        NonInviteServerOutcome,
    )] = &[
        // Trying
        (&[], None, Nothing),
        (&[], Some(Provisional), Send),
        (&[], Some(Success), Send),
        (&[], Some(Failure), Send),
        // Proceeding
        (&[Provisional], None, SendLast),
        (&[Provisional], Some(Provisional), Send),
        (&[Provisional], Some(Success), Send),
        // Completed
        (&[Success], None, SendLast),
        (&[Success], Some(Provisional), Nothing),
        (&[Success], Some(Failure), Nothing),
    ];
    for (before, input, outcome) in table {
        let start = Instant::now();
        let mut machine = NonInviteServer::new(start, Unreliable);
        for class in *before {
            machine.respond(start, *class);
        }
        let actual = match input {
            Some(class) => machine.respond(start, *class),
            None => machine.retransmitted(),
        };
        assert_eq!(actual, *outcome, "{before:?} then {input:?}");
    }
}

#[test]
fn non_invite_server_that_nobody_answers_ends_when_nobody_waits_any_more() {
    for before in [&[][..], &[Provisional]] {
        let start = Instant::now();
        let mut machine = NonInviteServer::new(start, Unreliable);
        for class in before {
            machine.respond(start, *class);
        }
        assert_eq!(machine.deadline(), Some(start + T1_64));
        machine.handle_timeout(start + T1_64);
        assert!(machine.is_terminated());
        assert_eq!(
            machine.respond(start + T1_64, Success),
            NonInviteServerOutcome::Nothing
        );
    }
}

#[test]
fn non_invite_server_lingers_for_timer_j_only_where_requests_may_repeat() {
    for (reliability, lives) in [(Unreliable, T1_64), (Reliable, Duration::ZERO)] {
        let start = Instant::now();
        let mut machine = NonInviteServer::new(start, reliability);
        machine.respond(start, Success);
        assert_eq!(machine.deadline(), Some(start + lives));
        machine.handle_timeout(start + lives);
        assert!(machine.is_terminated());
        assert_eq!(machine.retransmitted(), NonInviteServerOutcome::Nothing);
    }
}
