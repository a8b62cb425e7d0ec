//! Loose and strict routers on the way of requests within dialogs (RFC 3261 sections 12.2.1.1 and
//! 16.12.1.2).

use std::net::SocketAddr;
use std::time::Duration;

use sip::grammar::{HeaderName, Method, NameAddr, Request, StatusCode};
use sip::transport::Transport;

use crate::calls::established;
use crate::carol::{alice_alone, alice_calls_carol, answering, carol_calls_bob, push, send};
use crate::scripted::request;
use crate::world::{ALICE, BOB, World, address, media_of};

/// What arrived of one method, and where.
fn arrived(world: &World, method: &Method) -> Option<(SocketAddr, Request)> {
    world.received.iter().rev().find_map(|(to, bytes)| {
        let request = request(bytes)?;
        (request.method() == method).then_some((*to, request))
    })
}

fn routes(request: &Request) -> Vec<String> {
    request
        .headers
        .values::<NameAddr>(&HeaderName::Route)
        .map(|route| route.expect("a route").uri().to_string())
        .collect()
}

/// Record-Route as the far end's proxies wrote it, where a request then goes, its Request-URI, and
/// its Route. The nearest proxy of the called stands first.
const AS_CALLED: [(&str, SocketAddr, &str, &[&str]); 4] = [
    ("", address(3, 5060), "sip:carol@192.0.2.3:5060", &[]),
    (
        "<sip:192.0.2.7;lr>, <sip:192.0.2.8;lr>",
        address(7, 5060),
        "sip:carol@192.0.2.3:5060",
        &["sip:192.0.2.7;lr", "sip:192.0.2.8;lr"],
    ),
    (
        "<sip:192.0.2.7>, <sip:192.0.2.8;lr>",
        address(7, 5060),
        "sip:192.0.2.7",
        &["sip:192.0.2.8;lr", "sip:carol@192.0.2.3:5060"],
    ),
    (
        "<sip:192.0.2.7:5070;lr>, <sip:192.0.2.8>",
        address(7, 5070),
        "sip:carol@192.0.2.3:5060",
        &["sip:192.0.2.7:5070;lr", "sip:192.0.2.8"],
    ),
];

#[test]
fn a_called_end_sends_by_the_routers_that_recorded_themselves() {
    for (recorded, to, uri, route) in AS_CALLED {
        let mut world = World::pair(1, Transport::Udp);
        let more: &[_] = if recorded.is_empty() {
            &[]
        } else {
            &[(HeaderName::RecordRoute, recorded)]
        };
        let (bobs, _) = carol_calls_bob(&mut world, more);
        world
            .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
            .expect("it is unanswered");
        world.run(Duration::from_millis(10));
        crate::carol::acknowledge(&mut world, 1);
        world
            .act(BOB, |bob, now| bob.hang_up(now, bobs))
            .expect("it stands");
        world.run(Duration::from_millis(10));
        let (arrived_at, bye) = arrived(&world, &Method::Bye).expect("a BYE");
        assert_eq!(arrived_at, to, "{recorded}");
        assert_eq!(bye.uri().to_string(), uri, "{recorded}");
        assert_eq!(routes(&bye), route, "{recorded}");
    }
}

#[test]
fn a_caller_sends_ack_and_bye_by_the_same_routers_the_other_way_round() {
    for (recorded, to, uri, route) in AS_CALLED {
        let mut world = alice_alone();
        let (alices, invite) = alice_calls_carol(&mut world);
        let mut accepted = answering(&invite, StatusCode::OK, "carol");
        let reversed: Vec<&str> = recorded.split(", ").collect();
        let reversed: Vec<&str> = reversed.into_iter().rev().collect();
        if !recorded.is_empty() {
            push(
                &mut accepted.headers,
                HeaderName::RecordRoute,
                &reversed.join(", "),
            );
        }
        send(&mut world, ALICE, accepted.to_bytes());
        established(&mut world, ALICE, alices);
        world
            .act(ALICE, |alice, now| alice.hang_up(now, alices))
            .expect("it stands");
        world.run(Duration::from_millis(10));
        for method in [Method::Ack, Method::Bye] {
            let (arrived_at, request) = arrived(&world, &method).expect("it was sent");
            assert_eq!(arrived_at, to, "{method} {recorded}");
            assert_eq!(request.uri().to_string(), uri, "{method} {recorded}");
            assert_eq!(routes(&request), route, "{method} {recorded}");
        }
    }
}

#[test]
fn a_reinvite_and_its_ack_take_the_way_of_the_dialog_whatever_the_answer_records() {
    for (recorded, to, uri, route) in AS_CALLED {
        let mut world = alice_alone();
        let (alices, invite) = alice_calls_carol(&mut world);
        let mut accepted = answering(&invite, StatusCode::OK, "carol");
        let reversed: Vec<&str> = recorded.split(", ").collect();
        let reversed: Vec<&str> = reversed.into_iter().rev().collect();
        if !recorded.is_empty() {
            push(
                &mut accepted.headers,
                HeaderName::RecordRoute,
                &reversed.join(", "),
            );
        }
        send(&mut world, ALICE, accepted.to_bytes());
        established(&mut world, ALICE, alices);
        world.received.clear();
        world
            .act(ALICE, |alice, now| alice.hold(now, alices))
            .expect("it stands");
        world.run(Duration::from_millis(10));
        let (_, reinvite) = arrived(&world, &Method::Invite).expect("a re-INVITE");
        let accepted = answering(&reinvite, StatusCode::OK, "carol");
        send(&mut world, ALICE, accepted.to_bytes());
        for method in [Method::Invite, Method::Ack] {
            let (arrived_at, request) = arrived(&world, &method).expect("it was sent");
            assert_eq!(arrived_at, to, "{method} {recorded}");
            assert_eq!(request.uri().to_string(), uri, "{method} {recorded}");
            assert_eq!(routes(&request), route, "{method} {recorded}");
        }
    }
}
