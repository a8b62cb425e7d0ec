//! Servers that are silent by UDP while others are left, and what they say when the next one has been
//! asked already.

use std::net::SocketAddr;
use std::time::Duration;

use netem::{LinkConditions, Loss, Probability};
use proptest::prelude::*;
use sip::endpoint::{Account, CallEndCause, CallId, Event};
use sip::grammar::{HeaderName, Method, Request, StatusCode, Via};
use sip::registration::RegistrationState;
use sip::transport::Transport;

use crate::calls::{assert_nothing_is_left, ended, established};
use crate::carol::{answering, push, reply, requests, send};
use crate::failover::call_name;
use crate::registrar::{Algorithm, Registrar};
use crate::registration::{register, registering_account, registrar, state};
use crate::scripted::request;
use crate::world::{
    ALICE, BOB, CAROL, EDGE, REGISTRAR, World, account, address, media_of, settings,
};

const MOMENT: Duration = Duration::from_millis(50);

/// Alice calls a name whose first server is Carol, who says nothing, so that Bob rings.
fn overtaken(world: &mut World) -> (CallId, CallId, Request) {
    let servers = vec![CAROL, BOB];
    world.names.insert("two.example".to_owned(), servers);
    let alices = call_name(world);
    let bobs = world.incoming(BOB);
    let invite = requests(world, &Method::Invite).pop();
    (alices, bobs, invite.expect("it arrived"))
}

fn transmissions(world: &World, method: &Method) -> usize {
    let received = world.received.iter().filter(|(to, _)| *to == CAROL);
    let requests = received.filter_map(|(_, bytes)| request(bytes));
    requests.filter(|it| it.method() == method).count()
}

fn branch(request: &Request) -> String {
    let via: Via = request.headers.required().expect("a Via");
    via.branch().expect("a branch").to_owned()
}

/// Bob answers, and the call stands for a while.
fn assert_the_call_stands(world: &mut World, alices: CallId, bobs: CallId) {
    world
        .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
        .expect("it is unanswered");
    established(world, ALICE, alices);
    world.run(Duration::from_secs(40));
    for address in [ALICE, BOB] {
        let is_end = |event: &Event| matches!(event, Event::Ended { .. });
        assert!(!world.events(address).iter().any(is_end), "{address}");
    }
    world
        .act(ALICE, |alice, now| alice.hang_up(now, alices))
        .expect("it stands");
    assert_nothing_is_left(world);
}

#[test]
fn a_silent_server_has_four_transmissions_while_others_are_left_and_the_last_one_its_full_time() {
    let mut world = World::pair(1, Transport::Udp);
    let servers = vec![CAROL, address(77, 5060), address(78, 5060)];
    world.names.insert("two.example".to_owned(), servers);
    let start = world.now;
    let call = call_name(&mut world);
    assert_eq!(ended(&mut world, ALICE, call), CallEndCause::Timeout);
    let took = world.now - start;
    assert_eq!(took, Duration::from_secs(4 + 4 + 32));
    assert_eq!(transmissions(&world, &Method::Invite), 4);
    let to_the_last = world
        .sent
        .iter()
        .filter(|(_, to, _)| to.ip() == address(78, 0).ip());
    assert_eq!(to_the_last.count(), 7, "timer A until timer B");
    assert_nothing_is_left(&mut world);
}

#[test]
fn a_server_that_rings_too_late_is_told_that_nobody_waits() {
    let mut world = World::pair(2, Transport::Udp);
    let (alices, bobs, invite) = overtaken(&mut world);
    let ringing = reply(&invite, StatusCode::RINGING, "late").to_bytes();
    for _ in 0..3 {
        send(&mut world, ALICE, ringing.clone());
    }
    let cancels = requests(&world, &Method::Cancel);
    let [cancel] = &cancels[..] else {
        panic!("{cancels:?}");
    };
    assert_eq!(branch(cancel), branch(&invite));
    send(
        &mut world,
        ALICE,
        reply(cancel, StatusCode::OK, "late").to_bytes(),
    );
    let terminated = reply(&invite, StatusCode::REQUEST_TERMINATED, "late");
    send(&mut world, ALICE, terminated.to_bytes());
    assert_eq!(requests(&world, &Method::Ack).len(), 1);
    let rings = |event: &Event| matches!(event, Event::Ringing { .. });
    assert!(!world.events(ALICE).iter().any(rings), "Bob has not yet");
    assert_the_call_stands(&mut world, alices, bobs);
}

#[test]
fn a_server_that_answers_too_late_is_left_with_no_dialog() {
    for bob_answers_first in [true, false] {
        let mut world = World::pair(3, Transport::Udp);
        let (alices, bobs, invite) = overtaken(&mut world);
        let answer = answering(&invite, StatusCode::OK, "late").to_bytes();
        if bob_answers_first {
            world
                .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
                .expect("it is unanswered");
            established(&mut world, ALICE, alices);
        }
        send(&mut world, ALICE, answer.clone());
        assert_eq!(transmissions(&world, &Method::Ack), 1);
        let byes = requests(&world, &Method::Bye);
        let [bye] = &byes[..] else {
            panic!("{byes:?}");
        };
        assert_eq!(bye.headers.to().expect("a To").tag(), Some("late"));
        // Repeated, it gets its ACK again, and no second BYE.
        send(&mut world, ALICE, answer);
        assert_eq!(transmissions(&world, &Method::Ack), 2);
        send(
            &mut world,
            ALICE,
            reply(bye, StatusCode::OK, "late").to_bytes(),
        );
        assert_eq!(requests(&world, &Method::Bye).len(), 1);
        if bob_answers_first {
            world
                .act(ALICE, |alice, now| alice.hang_up(now, alices))
                .expect("it stands");
            assert_nothing_is_left(&mut world);
        } else {
            assert_the_call_stands(&mut world, alices, bobs);
        }
    }
}

#[test]
fn a_server_that_refuses_too_late_changes_nothing() {
    for status in [
        StatusCode::UNAUTHORIZED,
        StatusCode::MOVED_TEMPORARILY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::DECLINE,
    ] {
        let mut world = World::pair(4, Transport::Udp);
        let (alices, bobs, invite) = overtaken(&mut world);
        let mut refusal = reply(&invite, status, "late");
        let challenge = "Digest realm=\"x\", nonce=\"y\", algorithm=SHA-256";
        push(&mut refusal.headers, HeaderName::WwwAuthenticate, challenge);
        send(&mut world, ALICE, refusal.to_bytes());
        assert_eq!(transmissions(&world, &Method::Ack), 1, "{status}");
        assert_eq!(requests(&world, &Method::Invite).len(), 1, "{status}");
        assert_the_call_stands(&mut world, alices, bobs);
    }
}

#[test]
fn a_call_that_is_given_up_early_is_cancelled_whenever_its_first_server_rings() {
    let mut world = World::pair(5, Transport::Udp);
    let servers = vec![CAROL, BOB];
    world.names.insert("two.example".to_owned(), servers);
    let call = call_name(&mut world);
    world.run(Duration::from_secs(2));
    world
        .act(ALICE, |alice, now| alice.hang_up(now, call))
        .expect("it is being made");
    world.run(Duration::from_secs(8));
    let invite = requests(&world, &Method::Invite).pop().expect("it arrived");
    let ringing = reply(&invite, StatusCode::RINGING, "late").to_bytes();
    send(&mut world, ALICE, ringing);
    assert_eq!(requests(&world, &Method::Cancel).len(), 1);
    let terminated = reply(&invite, StatusCode::REQUEST_TERMINATED, "late");
    send(&mut world, ALICE, terminated.to_bytes());
    let rang = |event: &Event| matches!(event, Event::Incoming { .. });
    assert!(!world.events(BOB).iter().any(rang), "nobody waits for Bob");
    assert_nothing_is_left(&mut world);
}

#[test]
fn a_server_that_has_said_trying_is_waited_for() {
    let mut world = World::pair(6, Transport::Udp);
    let servers = vec![CAROL, BOB];
    world.names.insert("two.example".to_owned(), servers);
    let call = call_name(&mut world);
    world.run(Duration::from_secs(3));
    let invite = requests(&world, &Method::Invite).pop().expect("it arrived");
    send(
        &mut world,
        ALICE,
        reply(&invite, StatusCode::TRYING, "c").to_bytes(),
    );
    world.run(Duration::from_secs(60));
    let rang = |event: &Event| matches!(event, Event::Incoming { .. });
    assert!(!world.events(BOB).iter().any(rang));
    let answer = answering(&invite, StatusCode::OK, "c").to_bytes();
    send(&mut world, ALICE, answer);
    established(&mut world, ALICE, call);
}

#[test]
fn a_registrar_that_is_silent_by_udp_is_followed_by_the_next_after_eight_seconds() {
    let mut world = World::new(7);
    let account = Account {
        registrar: Some("sip:registrar.example".parse().expect("a SIP URI")),
        ..registering_account("correct")
    };
    world.add(settings(account, ALICE), ALICE);
    world.registrar = Some(Registrar::new(Algorithm::Sha256, "correct"));
    registrar(&mut world).silent_at.push(REGISTRAR);
    let servers = vec![REGISTRAR, EDGE];
    world.names.insert("registrar.example".to_owned(), servers);
    register(&mut world);
    world.run(Duration::from_secs(8) - MOMENT);
    assert_eq!(state(&mut world), RegistrationState::Registering);
    world.run(2 * MOMENT);
    assert_eq!(state(&mut world), RegistrationState::Registered);
    let to_the_first = world.sent.iter().filter(|(_, to, _)| *to == REGISTRAR);
    assert_eq!(to_the_first.count(), 5, "the last one 500 ms before");
}

/// A third endpoint.
const DAVE: SocketAddr = address(4, 5060);

/// Alice calls a name of two servers that both answer at once; whom she is in a call with after a while.
fn call_of_two(seed: u64, conditions: LinkConditions) -> (World, Vec<SocketAddr>) {
    let mut world = World::pair(seed, Transport::Udp).with_conditions(conditions);
    world.add(settings(account("dave", Transport::Udp), DAVE), DAVE);
    world
        .names
        .insert("two.example".to_owned(), vec![BOB, DAVE]);
    let alices = call_name(&mut world);
    let mut answered = Vec::new();
    for _ in 0..300 {
        world.run(Duration::from_millis(200));
        for callee in [BOB, DAVE] {
            for call in unanswered(&mut world, callee, &answered) {
                answered.push((callee, call));
                let _ = world.act(callee, |it, now| it.answer(now, call, media_of(callee)));
            }
        }
    }
    // What was on its way has arrived, been cancelled, or hung up.
    world
        .network
        .set_default_conditions(LinkConditions::default());
    world.run(Duration::from_secs(100));
    let standing = [BOB, DAVE].map(|callee| {
        let counts = world.act(callee, |it, _| it.counts());
        (callee, counts.calls)
    });
    let standing: Vec<_> = standing
        .into_iter()
        .filter(|(_, calls)| *calls > 0)
        .collect();
    assert!(
        standing.iter().all(|(_, calls)| *calls == 1),
        "{standing:?}"
    );
    let is_over = |event: &Event| matches!(event, Event::Ended { .. });
    let is_over = world.events(ALICE).iter().any(is_over);
    assert_eq!(standing.len(), usize::from(!is_over), "{standing:?}");
    if !is_over {
        world
            .act(ALICE, |alice, now| alice.hang_up(now, alices))
            .expect("it stands");
    }
    assert_nothing_is_left(&mut world);
    (
        world,
        standing.into_iter().map(|(callee, _)| callee).collect(),
    )
}

fn unanswered(world: &mut World, at: SocketAddr, answered: &[(SocketAddr, CallId)]) -> Vec<CallId> {
    let calls = world.events(at).iter().filter_map(|event| match event {
        Event::Incoming { call, .. } => Some(*call),
        _ => None,
    });
    calls
        .filter(|call| !answered.contains(&(at, *call)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48,
        failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes late, or twice, or never: of two ends that answer, one call at most is left, and
    /// none at whoever Alice is not in a call with.
    #[test]
    fn no_call_is_left_at_a_server_that_was_overtaken(
        seed in any::<u64>(),
        loss in 0.0..60.0_f64,
        delay in 0_u64..3_000,
        jitter in 0_u64..1_500,
    ) {
        call_of_two(seed, LinkConditions {
            delay: Duration::from_millis(delay),
            jitter: Duration::from_millis(jitter),
            loss: Loss::Random(Probability::percent(loss).expect("a percentage")),
            ..LinkConditions::default()
        });
    }
}

#[test]
fn a_server_on_a_network_that_loses_a_fifth_is_seldom_overtaken() {
    let overtaken = (0..200).filter(|seed| {
        let conditions = LinkConditions {
            delay: Duration::from_millis(50),
            loss: Loss::Random(Probability::percent(20.0).expect("a percentage")),
            ..LinkConditions::default()
        };
        call_of_two(*seed, conditions).1 != [BOB]
    });
    let overtaken = overtaken.count();
    assert!(overtaken <= 8, "{overtaken} of 200");
}
