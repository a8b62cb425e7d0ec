//! Who may call, and what strangers get.

use std::net::SocketAddr;
use std::time::Duration;

use sip::endpoint::{ConfiguredPeer, Event, PeerTrust};
use sip::grammar::{HeaderName, Method, StatusCode};
use sip::transport::Transport;

use crate::carol::{
    acknowledge, bobs_tag, carol_calls_bob, latest_status, responses, send, to_bob,
};
use crate::scripted::response;
use crate::world::{BOB, CAROL, World, account, address, media_of, settings};

/// An INVITE without an offer from a scripted peer.
pub(crate) fn invite_from(from: SocketAddr, target: &str) -> String {
    request_from("INVITE", from, target, "1", "")
}

/// Any request from a scripted peer. `unique` makes branch, tag and Call-ID.
pub(crate) fn request_from(
    method: &str,
    from: SocketAddr,
    target: &str,
    unique: &str,
    more: &str,
) -> String {
    format!(
        "{method} {target} SIP/2.0\n\
         Via: SIP/2.0/UDP {from};branch=z9hG4bK{unique};rport\n\
         Max-Forwards: 70\n\
         From: <sip:peer@{from}>;tag=t{unique}\n\
         To: <{target}>\n\
         Call-ID: c{unique}\n\
         CSeq: 1 {method}\n\
         Contact: <sip:peer@{from}>\n\
         {more}Content-Length: 0\n\n"
    )
}

fn statuses(world: &World) -> Vec<u16> {
    world
        .received
        .iter()
        .filter_map(|(_, bytes)| response(bytes))
        .map(|response| response.status().code())
        .collect()
}

fn bob_with(peers: Vec<ConfiguredPeer>) -> World {
    let mut world = World::new(1);
    let mut settings = settings(account("bob", Transport::Udp), BOB);
    settings.incoming.peers = peers;
    world.add(settings, BOB);
    world
}

#[test]
fn a_stranger_is_refused_a_few_times_then_ignored_and_costs_no_memory() {
    let mut world = bob_with(Vec::new());
    for number in 0..200 {
        let text = request_from(
            "INVITE",
            CAROL,
            "sip:bob@192.0.2.2",
            &number.to_string(),
            "",
        );
        world.inject(CAROL, BOB, &text);
    }
    world.run(Duration::from_secs(1));
    assert_eq!(statuses(&world), [403; 5]);
    assert_eq!(world.node(BOB).endpoint.counts().server_transactions, 0);
    assert_eq!(world.node(BOB).endpoint.statistics().refused, 200);
    assert!(
        world
            .events(BOB)
            .iter()
            .all(|event| matches!(event, Event::Refused { .. }))
    );
}

#[test]
fn a_configured_address_may_call() {
    let mut world = bob_with(vec![ConfiguredPeer::address(CAROL.ip())]);
    world.inject(CAROL, BOB, &invite_from(CAROL, "sip:bob@192.0.2.2"));
    let trust = world.wait_for(BOB, |event| match event {
        Event::Incoming { trust, .. } => Some(*trust),
        _ => None,
    });
    assert_eq!(trust, PeerTrust::ConfiguredPeer);
}

#[test]
fn a_configured_domain_counts_only_when_a_certificate_proved_it() {
    let mut world = bob_with(vec![ConfiguredPeer::Domain("example.test".to_owned())]);
    world.inject(CAROL, BOB, &invite_from(CAROL, "sip:bob@192.0.2.2"));
    world.run(Duration::from_secs(1));
    assert_eq!(statuses(&world), [403]);

    let invite = invite_from(CAROL, "sip:bob@192.0.2.2").replace('\n', "\r\n");
    for (name, lets_in) in [
        ("room.example.test", true),
        ("EXAMPLE.TEST", true),
        ("badexample.test", false),
        ("example.test.evil", false),
    ] {
        let mut world = bob_with(vec![ConfiguredPeer::Domain("example.test".to_owned())]);
        world.act(BOB, |bob, now| {
            let flow = bob.reserve_flow();
            let info = sip::transport::StreamInfo {
                transport: Transport::Tls,
                local: BOB,
                remote: CAROL,
                verified_names: vec![name.to_owned()],
            };
            bob.stream_opened(now, flow, info);
            bob.stream_received(now, flow, &invite.clone().into());
        });
        let incoming = world
            .events(BOB)
            .iter()
            .any(|event| matches!(event, Event::Incoming { .. }));
        assert_eq!(incoming, lets_in, "{name}");
    }
}

#[test]
fn requests_that_make_no_sense_are_answered_as_the_rfc_says() {
    let target = "sip:bob@192.0.2.2";
    let table: &[(&str, &str, &str, StatusCode)] = &[
        ("FOO", target, "", StatusCode::NOT_IMPLEMENTED),
        ("SUBSCRIBE", target, "", StatusCode::METHOD_NOT_ALLOWED),
        ("OPTIONS", target, "", StatusCode::OK),
        (
            "BYE",
            target,
            "",
            StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST,
        ),
        (
            "INFO",
            target,
            "",
            StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST,
        ),
        (
            "CANCEL",
            target,
            "",
            StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST,
        ),
        (
            "INVITE",
            target,
            "Require: 100rel, privacy\n",
            StatusCode::BAD_EXTENSION,
        ),
        ("INVITE", "tel:+123", "", StatusCode::UNSUPPORTED_URI_SCHEME),
        (
            "OPTIONS",
            target,
            "Max-Forwards: x\n",
            StatusCode::BAD_REQUEST,
        ),
    ];
    for (index, (method, target, more, status)) in table.iter().enumerate() {
        let mut world = bob_with(vec![ConfiguredPeer::address(CAROL.ip())]);
        let unique = index.to_string();
        world.inject(
            CAROL,
            BOB,
            &request_from(method, CAROL, target, &unique, more),
        );
        world.run(Duration::from_secs(1));
        assert_eq!(
            statuses(&world).first(),
            Some(&status.code()),
            "{method} {more}"
        );
    }
}

#[test]
fn options_are_answered_as_a_call_would_be_and_within_a_call_as_ever() {
    let mut world = World::pair(1, Transport::Udp);
    let (bobs, _) = carol_calls_bob(&mut world, &[]);
    world
        .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
        .expect("it is unanswered");
    world.run(Duration::from_millis(10));
    acknowledge(&mut world, 1);
    let tag = bobs_tag(&world);
    for (number, refusal, expected) in [
        (2, None, 200),
        (3, Some(StatusCode::BUSY_HERE), 486),
        (4, Some(StatusCode::TEMPORARILY_UNAVAILABLE), 480),
        (5, None, 200),
    ] {
        world.act(BOB, |bob, _| bob.set_call_refusal(refusal));
        let unique = format!("o{number}");
        let question = request_from("OPTIONS", CAROL, "sip:bob@192.0.2.2", &unique, "");
        world.inject(CAROL, BOB, &question);
        world.run(Duration::from_millis(10));
        let answer = responses(&world, &Method::Options).pop();
        let answer = answer.expect("OPTIONS are answered");
        assert_eq!(answer.status().code(), expected);
        for told in [HeaderName::Accept, HeaderName::Supported, HeaderName::Allow] {
            assert!(answer.headers.contains(&told), "{told:?} {expected}");
        }
        // Whether we are still there is another question.
        let alive = to_bob(Method::Options, number, &tag);
        send(&mut world, BOB, alive.to_bytes());
        assert_eq!(latest_status(&world, &Method::Options), Some(200));
    }
}

#[test]
fn options_are_answered_busy_while_no_more_calls_can_be_kept() {
    let mut world = bob_with(vec![ConfiguredPeer::address(CAROL.ip())]);
    let target = "sip:bob@192.0.2.2";
    for number in 0..64 {
        let invite = request_from("INVITE", CAROL, target, &format!("i{number}"), "");
        world.inject(CAROL, BOB, &invite);
    }
    world.run(Duration::from_millis(10));
    world.inject(CAROL, BOB, &request_from("OPTIONS", CAROL, target, "o", ""));
    world.run(Duration::from_millis(10));
    assert_eq!(latest_status(&world, &Method::Options), Some(486));
}

#[test]
fn a_call_unknown_here_is_answered_481() {
    let mut world = bob_with(vec![ConfiguredPeer::address(CAROL.ip())]);
    let bye = request_from("BYE", CAROL, "sip:bob@192.0.2.2", "1", "").replace(
        "To: <sip:bob@192.0.2.2>",
        "To: <sip:bob@192.0.2.2>;tag=unknown",
    );
    world.inject(CAROL, BOB, &bye);
    world.run(Duration::from_secs(1));
    assert_eq!(statuses(&world), [481]);
}

#[test]
fn one_invite_that_came_by_two_ways_rings_once() {
    let mut world = bob_with(vec![ConfiguredPeer::address(CAROL.ip())]);
    let first = invite_from(CAROL, "sip:bob@192.0.2.2");
    world.inject(CAROL, BOB, &first);
    world.run(Duration::from_millis(10));
    world.inject(CAROL, BOB, &first.replace("z9hG4bK1", "z9hG4bK2"));
    world.run(Duration::from_millis(300));
    assert!(statuses(&world).contains(&482));
    let calls = world
        .events(BOB)
        .iter()
        .filter(|event| matches!(event, Event::Incoming { .. }))
        .count();
    assert_eq!(calls, 1);
}

#[test]
fn answers_go_to_the_source_port_when_asked_for_and_to_sent_by_otherwise() {
    for (rport, answered_at) in [(";rport", address(3, 40_000)), ("", address(3, 5_060))] {
        let mut world = bob_with(Vec::new());
        let text =
            request_from("OPTIONS", CAROL, "sip:bob@192.0.2.2", "1", "").replace(";rport", rport);
        world.inject(address(3, 40_000), BOB, &text);
        world.run(Duration::from_secs(1));
        assert_eq!(
            world.received.first().map(|(to, _)| *to),
            Some(answered_at),
            "{rport}"
        );
    }
}

#[test]
fn a_caller_that_says_how_it_wishes_to_be_answered_hears_how_it_is() {
    for (wish, unasked, expected) in [
        (Some("Auto"), true, Some("Auto")),
        (Some("Auto"), false, Some("Manual")),
        (Some("Auto;require"), true, Some("Auto")),
        (Some("Manual"), false, Some("Manual")),
        (None, true, None),
        (None, false, None),
    ] {
        let mut world = World::pair(1, Transport::Udp);
        let wishes: Vec<_> = wish
            .map(|wish| (HeaderName::AnswerMode, wish))
            .into_iter()
            .collect();
        let (call, _) = carol_calls_bob(&mut world, &wishes);
        world
            .act(BOB, |bob, now| bob.ring(now, call))
            .expect("it is unanswered");
        world
            .act(BOB, |bob, now| {
                let local = media_of(BOB);
                if unasked {
                    bob.answer_unasked(now, call, local)
                } else {
                    bob.answer(now, call, local)
                }
            })
            .expect("it is unanswered");
        world.run(Duration::from_millis(10));
        let said: Vec<_> = responses(&world, &Method::Invite)
            .iter()
            .map(|response| {
                let mode = response.headers.text(&HeaderName::AnswerMode);
                (response.status(), mode)
            })
            .filter(|(_, mode)| mode.is_some())
            .collect();
        let expected = expected.map(|mode| (StatusCode::OK, Some(mode.to_owned())));
        assert_eq!(said, expected.as_slice(), "{wish:?} {unasked}");
    }
}
