//! A server that refuses by 503, or whose connection breaks, when the others of its name are not known
//! yet: over a connection that stood, or the flow of a registration.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use sip::endpoint::{Account, CallEndCause, Event};
use sip::grammar::{CSeq, CallId, HeaderName, Method, Request, StatusCode, Via};
use sip::registration::{RegistrationFailure, RegistrationState};
use sip::transport::Transport;

use crate::calls::{assert_nothing_is_left, ended};
use crate::failover::call_name;
use crate::outbound::{contact_of, registered_world};
use crate::registrar::{Algorithm, Registrar};
use crate::registration::{register, registering_account, registrar, state, wait_for_state};
use crate::world::{ALICE, EDGE, REGISTRAR, World, account, media_of, room, settings};

const MOMENT: Duration = Duration::from_millis(50);

/// Alice has called a name of two servers by TCP, and the connection to the first still stands.
fn connected_world(seed: u64) -> World {
    let mut world = World::new(seed);
    world.add(settings(account("alice", Transport::Tcp), ALICE), ALICE);
    world.registrar = Some(Registrar::new(Algorithm::Sha256, "correct"));
    for server in [REGISTRAR, EDGE] {
        world.network.listen(server);
    }
    let servers = vec![REGISTRAR, EDGE];
    world.names.insert("two.example".to_owned(), servers);
    let call = call_name(&mut world);
    let cause = ended(&mut world, ALICE, call);
    assert_eq!(cause, CallEndCause::Refused(StatusCode::NOT_FOUND));
    assert_eq!(invites(&mut world).len(), 1);
    world
}

fn invites(world: &mut World) -> Vec<(SocketAddr, Request)> {
    let mut requests = registrar(world).requests.clone();
    requests.retain(|(_, request)| *request.method() == Method::Invite);
    requests
}

fn asked(world: &mut World) -> Vec<SocketAddr> {
    invites(world).into_iter().map(|(at, _)| at).collect()
}

#[test]
fn a_call_that_a_server_refuses_over_a_standing_connection_goes_to_the_next_one_at_once() {
    let mut world = connected_world(1);
    registrar(&mut world).overloaded_at = vec![(REGISTRAR, "90")];
    let call = call_name(&mut world);
    world.run(MOMENT);
    let cause = ended(&mut world, ALICE, call);
    assert_eq!(cause, CallEndCause::Refused(StatusCode::NOT_FOUND));
    assert_eq!(asked(&mut world), [REGISTRAR, REGISTRAR, EDGE]);

    // The same request, in another transaction.
    let invites = invites(&mut world);
    let same = |request: &Request| {
        let call_id: CallId = request.headers.required().expect("a Call-ID");
        let sequence: CSeq = request.headers.required().expect("a CSeq");
        let from = request.headers.from().expect("a From");
        (call_id, sequence.number, from.tag().map(str::to_owned))
    };
    assert_eq!(same(&invites[1].1), same(&invites[2].1));
    let branches: BTreeSet<String> = invites
        .iter()
        .map(|(_, request)| {
            let via: Via = request.headers.required().expect("a Via");
            via.branch().expect("a branch").to_owned()
        })
        .collect();
    assert_eq!(branches.len(), 3);

    // It is left alone for as long as it has asked for, though its connection stands, and no longer.
    for (seconds, expected) in [(1, EDGE), (80, EDGE), (10, REGISTRAR)] {
        world.run(Duration::from_secs(seconds));
        let before = asked(&mut world).len();
        let call = call_name(&mut world);
        ended(&mut world, ALICE, call);
        let servers = asked(&mut world);
        assert_eq!(servers[before], expected, "after {seconds} s: {servers:?}");
    }
    assert_nothing_is_left(&mut world);
}

#[test]
fn a_call_that_no_other_server_takes_ends_with_the_503_that_was_kept() {
    for (case, servers, asks) in [
        ("both are overloaded", vec![REGISTRAR, EDGE], 3),
        ("there is but one", vec![REGISTRAR], 2),
        (
            "nobody listens at the other",
            vec![REGISTRAR, SocketAddr::from(([192, 0, 2, 77], 5060))],
            2,
        ),
        ("the look-up fails", Vec::new(), 2),
    ] {
        let mut world = connected_world(2);
        registrar(&mut world).overloaded_at = vec![(REGISTRAR, "90"), (EDGE, "90")];
        world.names.insert("two.example".to_owned(), servers);
        let call = call_name(&mut world);
        let cause = ended(&mut world, ALICE, call);
        let expected = CallEndCause::Refused(StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(cause, expected, "{case}");
        let servers = asked(&mut world);
        assert_eq!(servers.len(), asks, "{case}: {servers:?}");
        assert_nothing_is_left(&mut world);
    }
}

#[test]
fn a_look_up_that_never_ends_gives_the_503_to_the_call() {
    let mut world = connected_world(3);
    registrar(&mut world).overloaded_at = vec![(REGISTRAR, "90")];
    world.held_look_ups = Some(Vec::new());
    let call = call_name(&mut world);
    world.run(Duration::from_secs(14));
    let is_over = |event: &Event| matches!(event, Event::Ended { call: over, .. } if *over == call);
    assert!(!world.events(ALICE).iter().any(is_over), "it is kept");
    let cause = ended(&mut world, ALICE, call);
    assert_eq!(
        cause,
        CallEndCause::Refused(StatusCode::SERVICE_UNAVAILABLE)
    );
    world.answer_look_ups();
    assert_nothing_is_left(&mut world);
    assert_eq!(asked(&mut world), [REGISTRAR, REGISTRAR]);
}

#[test]
fn a_call_that_is_given_up_while_other_servers_are_looked_for_goes_to_none() {
    let mut world = connected_world(4);
    registrar(&mut world).overloaded_at = vec![(REGISTRAR, "90")];
    world.held_look_ups = Some(Vec::new());
    let call = call_name(&mut world);
    world.run(MOMENT);
    world
        .act(ALICE, |alice, now| alice.hang_up(now, call))
        .expect("it is not over yet");
    assert_eq!(ended(&mut world, ALICE, call), CallEndCause::Local);
    world.answer_look_ups();
    assert_nothing_is_left(&mut world);
    assert_eq!(asked(&mut world), [REGISTRAR, REGISTRAR]);
}

#[test]
fn a_call_whose_connection_breaks_before_any_answer_goes_on_over_another() {
    for (servers, expected) in [
        (vec![REGISTRAR, EDGE], EDGE),
        // A server that has restarted takes a new connection.
        (vec![REGISTRAR], REGISTRAR),
    ] {
        let mut world = connected_world(5);
        world.names.insert("two.example".to_owned(), servers);
        registrar(&mut world).silent_at = vec![REGISTRAR];
        let call = call_name(&mut world);
        world.run(MOMENT);
        registrar(&mut world).silent_at.clear();
        world.break_streams(ALICE);
        world.run(MOMENT);
        let cause = ended(&mut world, ALICE, call);
        assert_eq!(cause, CallEndCause::Refused(StatusCode::NOT_FOUND));
        assert_eq!(asked(&mut world), [REGISTRAR, expected]);
        assert_nothing_is_left(&mut world);
    }
}

#[test]
fn a_server_that_is_silent_over_a_standing_connection_is_followed_by_the_next() {
    let mut world = connected_world(6);
    registrar(&mut world).silent_at = vec![REGISTRAR];
    let start = world.now;
    let call = call_name(&mut world);
    let cause = ended(&mut world, ALICE, call);
    assert_eq!(cause, CallEndCause::Refused(StatusCode::NOT_FOUND));
    assert_eq!(asked(&mut world), [REGISTRAR, EDGE]);
    let took = world.now - start;
    assert!(took < Duration::from_secs(33), "{took:?}");
    // Its connection is given up: not even when it is not avoided any more is it waited for again.
    world.run(Duration::from_secs(70));
    registrar(&mut world).silent_at.clear();
    let call = call_name(&mut world);
    ended(&mut world, ALICE, call);
    assert_nothing_is_left(&mut world);
}

/// Alice is registered by the first server of her proxy's name, whose flow the registrar uses.
fn registered_by_name() -> World {
    let mut world = World::new(7);
    let proxy = "sip:edge.example".parse().expect("a SIP URI");
    let account = Account {
        transport: Transport::Tls,
        proxies: vec![proxy],
        ..registering_account("correct")
    };
    world.add(settings(account, ALICE), ALICE);
    let mut registrar = Registrar::new(Algorithm::Sha256, "correct");
    let outbound = (HeaderName::Require, "outbound".to_owned());
    registrar.fields.push(outbound);
    world.registrar = Some(registrar);
    for server in [REGISTRAR, EDGE] {
        world.network.listen(server);
    }
    let servers = vec![REGISTRAR, EDGE];
    world.names.insert("edge.example".to_owned(), servers);
    register(&mut world);
    wait_for_state(&mut world, RegistrationState::Registered);
    world
}

fn registers(world: &mut World) -> Vec<SocketAddr> {
    let requests = registrar(world).requests.iter();
    requests
        .filter(|(_, request)| *request.method() == Method::Register)
        .map(|(at, _)| *at)
        .collect()
}

fn back_offs(world: &mut World) -> usize {
    let is_back_off = |event: &&Event| {
        matches!(
            event,
            Event::Registration {
                state: RegistrationState::BackingOff(_),
                ..
            }
        )
    };
    world.events(ALICE).iter().filter(is_back_off).count()
}

#[test]
fn a_refresh_that_the_server_of_the_flow_refuses_goes_to_the_next_one_at_once() {
    let mut world = registered_by_name();
    registrar(&mut world).overloaded_at = vec![(REGISTRAR, "3600")];
    let before = registers(&mut world).len();
    world.run(Duration::from_secs(530));
    assert_eq!(back_offs(&mut world), 0, "it was registered all the time");
    assert_eq!(state(&mut world), RegistrationState::Registered);
    let refreshes = registers(&mut world).split_off(before);
    // The second challenges once.
    assert_eq!(refreshes, [REGISTRAR, EDGE, EDGE]);
    assert_eq!(registrar(&mut world).granted.len(), 2);
    // What follows goes by the flow that carries the registration now.
    let before = registers(&mut world).len();
    world.run(Duration::from_secs(530));
    assert_eq!(registers(&mut world).split_off(before), [EDGE]);
    call(&mut world);
    assert_eq!(asked(&mut world), [EDGE]);
}

#[test]
fn a_refresh_that_every_server_refuses_waits_as_they_ask() {
    let mut world = registered_by_name();
    registrar(&mut world).overloaded_at = vec![(REGISTRAR, "300"), (EDGE, "300")];
    let before = registers(&mut world).len();
    wait_until_refused(&mut world);
    assert_eq!(registers(&mut world).split_off(before), [REGISTRAR, EDGE]);
    world.run(Duration::from_secs(290));
    assert_eq!(registers(&mut world).len(), before + 2);
    registrar(&mut world).overloaded_at.clear();
    world.run(Duration::from_secs(120));
    assert_eq!(state(&mut world), RegistrationState::Registered);
}

fn wait_until_refused(world: &mut World) {
    let refused = RegistrationFailure::Refused(StatusCode::SERVICE_UNAVAILABLE);
    for _ in 0..600 {
        if state(world) == RegistrationState::BackingOff(refused) {
            return;
        }
        world.run(Duration::from_secs(1));
    }
    panic!("{:?}", world.events(ALICE));
}

/// Calls somebody at the account's domain, and waits until that is over.
fn call(world: &mut World) -> CallEndCause {
    let target = "sip:bob@example.test".parse().expect("a SIP URI");
    let call = world
        .act(ALICE, |alice, now| {
            alice.invite(now, &room(), &target, media_of(ALICE))
        })
        .expect("the call can be made");
    ended(world, ALICE, call)
}

#[test]
fn a_call_that_the_server_of_the_flow_refuses_goes_to_the_next_one_which_keeps_to_its_connection() {
    let mut world = registered_by_name();
    registrar(&mut world).overloaded_at = vec![(REGISTRAR, "120")];
    let not_found = CallEndCause::Refused(StatusCode::NOT_FOUND);
    assert_eq!(call(&mut world), not_found);
    let invites = invites(&mut world);
    assert_eq!(asked(&mut world), [REGISTRAR, EDGE]);
    for (at, invite) in &invites {
        let contact = contact_of(invite).uri().to_string();
        assert!(contact.contains(";ob"), "{at}: {contact}");
        let route = invite.headers.text(&HeaderName::Route);
        assert_eq!(route.as_deref(), Some("<sip:edge.example;lr>"));
    }
    // The next call does not ask the one that has said how long it wants to be left alone.
    assert_eq!(call(&mut world), not_found);
    assert_eq!(asked(&mut world), [REGISTRAR, EDGE, EDGE]);
    assert_eq!(back_offs(&mut world), 0);

    // Without another one, the flow is better than nothing, whatever was said.
    for servers in [vec![REGISTRAR], Vec::new()] {
        let mut world = registered_by_name();
        world.names.insert("edge.example".to_owned(), servers);
        registrar(&mut world).overloaded_at = vec![(REGISTRAR, "120")];
        let overloaded = CallEndCause::Refused(StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(call(&mut world), overloaded);
        registrar(&mut world).overloaded_at.clear();
        assert_eq!(call(&mut world), not_found);
        assert_eq!(asked(&mut world), [REGISTRAR, REGISTRAR]);
    }
}

#[test]
fn a_call_that_one_proxy_of_the_account_does_not_take_goes_by_the_other_once() {
    let not_found = CallEndCause::Refused(StatusCode::NOT_FOUND);
    let overloaded = CallEndCause::Refused(StatusCode::SERVICE_UNAVAILABLE);
    for transport in [Transport::Udp, Transport::Tls] {
        let mut world = registered_world(transport, &[REGISTRAR, EDGE]);
        registrar(&mut world).overloaded_at = vec![(REGISTRAR, "60")];
        assert_eq!(call(&mut world), not_found);
        assert_eq!(asked(&mut world), [REGISTRAR, EDGE], "{transport}");
        let route = |invite: &Request| invite.headers.text(&HeaderName::Route);
        let routes: Vec<_> = invites(&mut world)
            .iter()
            .map(|(_, it)| route(it))
            .collect();
        let expected = [REGISTRAR, EDGE].map(|proxy| Some(format!("<sip:{proxy};lr>")));
        assert_eq!(routes, expected);
        // While it wants to be left alone, it is.
        assert_eq!(call(&mut world), not_found);
        assert_eq!(asked(&mut world), [REGISTRAR, EDGE, EDGE], "{transport}");
        registrar(&mut world).overloaded_at.push((EDGE, "60"));
        assert_eq!(call(&mut world), overloaded);
        let servers = asked(&mut world).split_off(3);
        assert_eq!(servers, [EDGE, REGISTRAR], "{transport}: each once");
        assert_nothing_is_left(&mut world);
    }
    // One that is silent costs its time, and no call.
    let mut world = registered_world(Transport::Udp, &[REGISTRAR, EDGE]);
    registrar(&mut world).silent_at = vec![REGISTRAR];
    assert_eq!(call(&mut world), not_found);
    assert_eq!(asked(&mut world), [EDGE]);
}
