//! Names with several servers of which some are down (RFC 3263 section 4.3), and connections that are
//! not to be trusted with requests.

use std::time::{Duration, Instant};

use netem::{LinkConditions, Loss, Probability};
use proptest::prelude::*;
use sip::endpoint::{Account, CallEndCause, CallId, Event, Output, TransportFrom};
use sip::grammar::{HeaderName, Method, StatusCode};
use sip::registration::RegistrationState;
use sip::transport::Transport;

use crate::calls::{assert_nothing_is_left, ended};
use crate::carol::{push, reply, requests, send};
use crate::registrar::{Algorithm, Registrar};
use crate::registration::{register, registering_account, registrar, wait_for_state};
use crate::world::{ALICE, BOB, CAROL, EDGE, REGISTRAR, World, address, media_of, room, settings};

/// Where nobody is.
const DEAD: std::net::SocketAddr = address(77, 5060);
/// Seven servers that are silent, of which the last may be the only one: at most 10 s each for a
/// connection, or 32 s for an answer over it or from the last one by UDP.
const LONGEST_SEARCH: Duration = Duration::from_secs(7 * 10 + 32);
const AT_ONCE: Duration = Duration::from_millis(100);

/// Alice calls a name; its servers are known to the world.
pub(crate) fn call_name(world: &mut World) -> CallId {
    let target = "sip:bob@two.example".parse().expect("a SIP URI");
    world
        .act(ALICE, |alice, now| {
            alice.invite(now, &room(), &target, media_of(ALICE))
        })
        .expect("the call can be made")
}

/// Runs until Bob has that many calls, and hangs up; how long that took.
fn time_until_bob_rings(world: &mut World, calls: usize) -> Duration {
    let start = world.now;
    let alices = call_name(world);
    let rang = |world: &mut World| {
        let events = world.events(BOB).iter();
        events
            .filter(|event| matches!(event, Event::Incoming { .. }))
            .count()
    };
    while rang(world) < calls {
        assert!(world.now < start + LONGEST_SEARCH, "it never rings");
        world.run(Duration::from_millis(10));
    }
    let took = world.now - start;
    world
        .act(ALICE, |alice, now| alice.hang_up(now, alices))
        .expect("it rings");
    ended(world, ALICE, alices);
    took
}

/// A way on which nothing arrives.
fn unplugged() -> LinkConditions {
    LinkConditions {
        loss: Loss::Random(Probability::percent(100.0).expect("a percentage")),
        ..LinkConditions::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48,
        failure_persistence: None, ..ProptestConfig::default() })]

    /// Of up to eight servers, some are silent and some have no service; one works, or none does.
    #[test]
    fn the_one_server_that_works_is_found_and_remembered(
        seed in any::<u64>(),
        transport in prop::sample::select(vec![Transport::Udp, Transport::Tcp, Transport::Tls]),
        silent in prop::collection::vec(any::<bool>(), 0..8),
        working in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut world = World::pair(seed, transport);
        let mut servers = Vec::new();
        // By UDP all are silent.
        for (host, silent) in (80..).zip(&silent) {
            let server = address(host, 5060);
            if *silent {
                world.network.set_conditions(ALICE, server, unplugged());
            }
            servers.push(server);
        }
        if let Some(working) = working {
            servers.insert(working.index(servers.len() + 1), BOB);
        }
        world.names.insert("two.example".to_owned(), servers);
        if working.is_some() {
            let first = time_until_bob_rings(&mut world, 1);
            let second = time_until_bob_rings(&mut world, 2);
            // The first that was silent has its next chance after a minute.
            let limit = if first < Duration::from_secs(60) { AT_ONCE } else { first };
            prop_assert!(second <= limit, "{first:?}, then {second:?}");
        } else {
            let call = call_name(&mut world);
            world.run(LONGEST_SEARCH);
            let cause = ended(&mut world, ALICE, call);
            prop_assert!(
                matches!(cause, CallEndCause::Transport | CallEndCause::Timeout),
                "{cause:?}"
            );
        }
        assert_nothing_is_left(&mut world);
    }
}

#[test]
fn a_server_that_was_down_is_asked_last_by_the_next_calls_and_first_again_later() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        let mut world = World::pair(1, transport);
        world.network.set_conditions(ALICE, DEAD, unplugged());
        world
            .names
            .insert("two.example".to_owned(), vec![DEAD, BOB]);
        let first = time_until_bob_rings(&mut world, 1);
        let second = time_until_bob_rings(&mut world, 2);
        assert!(second <= AT_ONCE, "{transport}: {first:?}, then {second:?}");
        // Four transmissions by UDP; otherwise the time for a connection.
        let patience = Duration::from_secs(if transport == Transport::Udp { 4 } else { 10 });
        assert!(
            first >= patience && first <= patience + AT_ONCE,
            "{transport}: {first:?}"
        );
        // Nor does a connection to the one that works stand any more.
        world.run(Duration::from_secs(300));
        let third = time_until_bob_rings(&mut world, 3);
        assert!(third >= patience, "{transport}: {third:?}");
        assert_nothing_is_left(&mut world);
    }
}

#[test]
fn a_server_that_is_overloaded_is_left_alone_for_as_long_as_it_asks() {
    let mut world = World::pair(2, Transport::Udp);
    world
        .names
        .insert("two.example".to_owned(), vec![CAROL, BOB]);
    let asked = |world: &World| requests(world, &Method::Invite).len();

    let start: Instant = world.now;
    call_name(&mut world);
    world.run(Duration::from_millis(10));
    let invite = requests(&world, &Method::Invite).pop().expect("it arrived");
    let mut refusal = reply(&invite, StatusCode::SERVICE_UNAVAILABLE, "c");
    push(&mut refusal.headers, HeaderName::RetryAfter, "120");
    send(&mut world, ALICE, refusal.to_bytes());
    // Said twice, it is no sign of life; nor is what it has overtaken on the way.
    send(&mut world, ALICE, refusal.to_bytes());
    let trying = reply(&invite, StatusCode::TRYING, "c");
    send(&mut world, ALICE, trying.to_bytes());
    world.run(Duration::from_millis(100));
    assert_eq!(asked(&world), 1);

    for (seconds, calls, expected) in [(1, 2, 1), (110, 3, 1)] {
        world.run(Duration::from_secs(seconds));
        assert!(time_until_bob_rings(&mut world, calls) <= AT_ONCE);
        assert_eq!(asked(&world), expected, "{:?}", world.now - start);
    }
    world.run(Duration::from_secs(20));
    call_name(&mut world);
    world.run(AT_ONCE);
    assert_eq!(asked(&world), 2, "its time is over");
}

#[test]
fn servers_beyond_those_that_one_request_tries_are_found_when_the_first_are_down() {
    let mut world = World::pair(6, Transport::Tcp);
    // Nobody listens at any of them: each refuses the connection.
    let mut servers: Vec<_> = (80..88).map(|host| address(host, 5060)).collect();
    servers.push(BOB);
    world.names.insert("two.example".to_owned(), servers);
    let call = call_name(&mut world);
    assert_eq!(ended(&mut world, ALICE, call), CallEndCause::Transport);
    assert!(time_until_bob_rings(&mut world, 1) <= AT_ONCE);
}

#[test]
fn a_server_that_dies_after_its_challenge_is_followed_by_the_next() {
    let mut world = World::new(3);
    let account = Account {
        registrar: Some("sip:registrar.example".parse().expect("a SIP URI")),
        ..registering_account("correct")
    };
    world.add(settings(account, ALICE), ALICE);
    world.registrar = Some(Registrar::new(Algorithm::Sha256, "correct"));
    let servers = vec![REGISTRAR, EDGE];
    world.names.insert("registrar.example".to_owned(), servers);
    register(&mut world);
    while registrar(&mut world).challenges == 0 {
        world.run(Duration::from_millis(1));
    }
    registrar(&mut world).silent_at.push(REGISTRAR);
    wait_for_state(&mut world, RegistrationState::Registered);
    let (at, _) = registrar(&mut world).requests.last().expect("it asked");
    assert_eq!(*at, EDGE);
    // The next refresh does not wait for the dead one.
    let granted = registrar(&mut world).granted.len();
    world.run(Duration::from_secs(530));
    assert_eq!(registrar(&mut world).granted.len(), granted + 1);
}

#[test]
fn requests_do_not_go_over_a_connection_that_somebody_has_made_from_the_targets_address() {
    let mut world = World::pair(4, Transport::Tcp);
    let options = format!(
        "OPTIONS sip:{ALICE} SIP/2.0\r\nVia: SIP/2.0/TCP {CAROL};branch=z9hG4bK1\r\n\
         From: <sip:carol@{CAROL}>;tag=1\r\nTo: <sip:{ALICE}>\r\nCall-ID: 1\r\n\
         CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    );
    world.inject_stream(CAROL, ALICE, options.as_bytes());
    world.run(AT_ONCE);
    assert_eq!(world.act(ALICE, |alice, _| alice.counts()).flows, 1);
    // Carol takes no connections: nobody has proven that the one from her port is hers.
    let call = world.invite(ALICE, CAROL);
    assert_eq!(ended(&mut world, ALICE, call), CallEndCause::Transport);
}

#[test]
fn who_names_a_transport_in_an_address_has_chosen_it_and_the_settings_have_for_their_own_servers() {
    let mut world = World::new(7);
    let account = Account {
        registrar: Some("sip:example.test;transport=tcp".parse().expect("a SIP URI")),
        credentials: None,
        transport: Transport::Tcp,
        ..registering_account("correct")
    };
    world.add(settings(account, ALICE), ALICE);
    for (target, expected) in [
        ("sip:bob@two.example", TransportFrom::Account),
        ("sip:bob@two.example;transport=tcp", TransportFrom::Address),
        ("sip:bob@two.example;transport=sctp", TransportFrom::Account),
        ("sip:bob@example.test;transport=tcp", TransportFrom::Account),
        ("sip:bob@example.test", TransportFrom::Account),
    ] {
        let target = target.parse().expect("a SIP URI");
        let now = world.now;
        let alice = &mut world.node(ALICE).endpoint;
        alice
            .invite(now, &room(), &target, media_of(ALICE))
            .expect("the call can be made");
        let chosen = std::iter::from_fn(|| alice.poll_output()).find_map(|output| match output {
            Output::Resolve { transport_from, .. } => Some(transport_from),
            _ => None,
        });
        assert_eq!(chosen, Some(expected), "{target}");
    }
}
