//! The ladder of a call, as the endpoint records it: each message once, in order, with its
//! repetitions, and without its secrets.

use std::net::SocketAddr;
use std::time::Duration;

use netem::{LinkConditions, Loss, Probability};
use sip::digest::Credentials;
use sip::endpoint::{Account, CallId, IfNotReplaced};
use sip::grammar::{HeaderName, Method, StatusCode};
use sip::ladder::{Direction, Ladder, LadderMessage};
use sip::secret::Secret;
use sip::transport::Transport;

use crate::calls::{bad_network, call, ended, established};
use crate::carol::{alice_calls_carol, bobs_tag, carol_calls_bob, push, reply, send, to_bob};
use crate::policy::request_from;
use crate::world::{ALICE, BOB, CAROL, World, account, media_of, room, settings};

/// `->` for what was sent, `<-` for what was received, with the status or method.
fn steps(ladder: &Ladder) -> Vec<String> {
    ladder.messages.iter().map(step).collect()
}

fn step(message: &LadderMessage) -> String {
    let arrow = match message.direction {
        Direction::Sent => "->",
        Direction::Received => "<-",
    };
    match message.status {
        Some(status) => format!("{arrow} {status} {}", message.method),
        None => format!("{arrow} {}", message.method),
    }
}

fn ladder(world: &mut World, at: SocketAddr, call: CallId) -> Ladder {
    let endpoint = &world.node(at).endpoint;
    endpoint.sip_ladder(call).expect("the call is remembered")
}

/// Alice calls Bob, who rings late, answers later, and is hung up on: both names of the call.
fn whole_call(world: &mut World) -> (CallId, CallId) {
    let alices = world.invite(ALICE, BOB);
    let bobs = world.incoming(BOB);
    world.run(Duration::from_secs(1));
    world
        .act(BOB, |bob, now| bob.ring(now, bobs))
        .expect("the call is in this state");
    world.run(Duration::from_secs(1));
    world
        .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
        .expect("the call is in this state");
    established(world, ALICE, alices);
    world.run(Duration::from_secs(5));
    world
        .act(ALICE, |alice, now| alice.hang_up(now, alices))
        .expect("the call is in this state");
    ended(world, BOB, bobs);
    world.run(Duration::from_secs(60));
    for node in &mut world.nodes {
        // So that the next call's events are not taken for this one's.
        node.events.clear();
    }
    (alices, bobs)
}

const CALLERS_SIDE: [&str; 7] = [
    "-> INVITE",
    "<- 100 INVITE",
    "<- 180 INVITE",
    "<- 200 INVITE",
    "-> ACK",
    "-> BYE",
    "<- 200 BYE",
];

fn mirrored(steps: &[&str]) -> Vec<String> {
    let mirror = |step: &&str| match step.strip_prefix("->") {
        Some(rest) => format!("<-{rest}"),
        None => step.replace("<-", "->"),
    };
    steps.iter().map(mirror).collect()
}

#[test]
fn a_call_leaves_the_same_ladder_at_both_ends_over_every_transport() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        let mut world = World::pair(1, transport);
        let (alices, bobs) = whole_call(&mut world);
        let alices = ladder(&mut world, ALICE, alices);
        let bobs = ladder(&mut world, BOB, bobs);
        assert_eq!(steps(&alices), CALLERS_SIDE, "{transport}");
        assert_eq!(steps(&bobs), mirrored(&CALLERS_SIDE), "{transport}");
        assert_eq!(alices.call_ids, bobs.call_ids);
        for message in &alices.messages {
            assert_eq!((message.transport, message.repeats), (transport, 0));
            assert_eq!(message.remote, BOB);
            assert!(message.text.starts_with(&message.start_line));
            assert_eq!(message.left_out_before, 0);
        }
        let bodies = |ladder: &Ladder| {
            let with_body = |message: &&LadderMessage| message.body_type.is_some();
            ladder.messages.iter().filter(with_body).count()
        };
        assert_eq!((bodies(&alices), bodies(&bobs)), (2, 2), "offer and answer");
        assert_eq!(alices.messages[0].offset, Duration::ZERO);
        let ringing = alices.messages[2].offset;
        assert!(
            (Duration::from_secs(1)..Duration::from_millis(1_010)).contains(&ringing),
            "{ringing:?}"
        );
    }
}

#[test]
fn what_is_lost_shows_as_repetitions_with_the_time_of_the_last_one() {
    let mut world = World::pair(1, Transport::Udp);
    let lost = LinkConditions {
        loss: Loss::Random(Probability::percent(100.0).expect("a percentage")),
        ..LinkConditions::default()
    };
    world.network.set_conditions(ALICE, BOB, lost);
    let alices = world.invite(ALICE, BOB);
    // Sent at 0, 0.5 and 1.5 s (timer A); the fourth, at 3.5 s, arrives.
    world.run(Duration::from_secs(2));
    world
        .network
        .set_conditions(ALICE, BOB, LinkConditions::default());
    let bobs = world.incoming(BOB);
    world.network.set_conditions(
        BOB,
        ALICE,
        LinkConditions {
            loss: Loss::Random(Probability::percent(100.0).expect("a percentage")),
            ..LinkConditions::default()
        },
    );
    world
        .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
        .unwrap();
    world.run(Duration::from_millis(600));
    world
        .network
        .set_conditions(BOB, ALICE, LinkConditions::default());
    established(&mut world, ALICE, alices);
    let seen = ladder(&mut world, ALICE, alices);
    assert_eq!(steps(&seen)[0], "-> INVITE");
    assert_eq!(seen.messages[0].repeats, 3);
    let last = seen.messages[0].last_repeat.expect("it was repeated");
    assert_eq!(last, Duration::from_millis(3_500));
    let seen = ladder(&mut world, BOB, bobs);
    assert_eq!(steps(&seen)[..2], ["<- INVITE", "-> 200 INVITE"]);
    assert_eq!(seen.messages[0].repeats, 0, "the others never arrived");
    assert_eq!(seen.messages[1].repeats, 2, "0.5 and 1.5 s later");
}

#[test]
fn a_bad_network_adds_repetitions_and_no_messages() {
    for seed in 0..20 {
        let mut world = World::pair(seed, Transport::Udp).with_conditions(bad_network());
        let (alices, bobs) = whole_call(&mut world);
        for (at, call) in [(ALICE, alices), (BOB, bobs)] {
            let seen = ladder(&mut world, at, call);
            let mut kinds = steps(&seen);
            kinds.sort();
            kinds.dedup();
            assert_eq!(kinds.len(), seen.messages.len(), "seed {seed}: {seen:#?}");
        }
    }
}

#[test]
fn the_keys_and_the_password_of_a_call_are_not_in_its_ladder() {
    let mut world = World::new(1);
    let credentials = Credentials {
        username: "alice".to_owned(),
        password: Secret::new("geheim-4711"),
    };
    let alice = Account {
        credentials: Some(credentials),
        ..account("alice", Transport::Udp)
    };
    world.add(settings(alice, ALICE), ALICE);
    let (alices, invite) = alice_calls_carol(&mut world);
    let mut challenge = reply(&invite, StatusCode::UNAUTHORIZED, "carol");
    push(
        &mut challenge.headers,
        HeaderName::WwwAuthenticate,
        "Digest realm=\"carol.test\", nonce=\"einmalig\", qop=\"auth\", algorithm=MD5",
    );
    send(&mut world, ALICE, challenge.to_bytes());
    let seen = ladder(&mut world, ALICE, alices);
    assert_eq!(
        steps(&seen),
        ["-> INVITE", "<- 401 INVITE", "-> ACK", "-> INVITE"]
    );
    let authorized = &seen.messages[3].text;
    assert!(authorized.contains("realm=\"carol.test\""), "{authorized}");
    assert!(authorized.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:***"));
    let sent: Vec<String> = world
        .sent
        .iter()
        .map(|(_, _, bytes)| String::from_utf8_lossy(bytes).into_owned())
        .collect();
    let after = |mark: &str, end: char| -> Vec<String> {
        let rests = sent.iter().flat_map(|text| text.split(mark).skip(1));
        rests
            .map(|rest| rest.split(end).next().unwrap_or_default().to_owned())
            .collect()
    };
    let mut secrets = after("inline:", '\r');
    secrets.extend(after("response=\"", '"'));
    secrets.extend(after("cnonce=\"", '"'));
    secrets.push("einmalig".to_owned());
    assert!(secrets.len() > 4, "{secrets:?}");
    let shown = format!("{seen:?}");
    for secret in secrets {
        assert!(secret.len() > 4 && !shown.contains(&secret), "{secret}");
    }
}

#[test]
fn a_typed_digit_is_not_shown() {
    let mut world = World::pair(1, Transport::Udp);
    let (alices, bobs) = call(&mut world);
    let content_type = "application/dtmf-relay".parse().expect("a type");
    let body = bytes::Bytes::from_static(b"Signal=7\r\nDuration=160\r\n");
    world
        .act(ALICE, |alice, now| {
            alice.send_info(now, alices, &content_type, body)
        })
        .unwrap();
    world.run(Duration::from_secs(1));
    for (at, call) in [(ALICE, alices), (BOB, bobs)] {
        let seen = ladder(&mut world, at, call);
        let info = seen
            .messages
            .iter()
            .find(|message| message.method == "INFO" && message.status.is_none());
        let text = &info.expect("it was sent").text;
        assert!(
            text.ends_with("[application/dtmf-relay, 24 bytes]\n"),
            "{text}"
        );
        assert!(!text.contains("Signal"), "{text}");
    }
}

#[test]
fn a_long_call_keeps_its_beginning_and_its_end_and_says_what_is_missing() {
    let mut world = World::new(1);
    world.add(settings(account("bob", Transport::Udp), BOB), BOB);
    let (bobs, _) = carol_calls_bob(&mut world, &[]);
    world
        .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
        .unwrap();
    world.run(Duration::from_millis(10));
    let tag = bobs_tag(&world);
    send(&mut world, BOB, to_bob(Method::Ack, 1, &tag).to_bytes());
    for number in 2..302 {
        let mut options = to_bob(Method::Options, number, &tag);
        push(&mut options.headers, HeaderName::UserAgent, "carol");
        send(&mut world, BOB, options.to_bytes());
    }
    let seen = ladder(&mut world, BOB, bobs);
    assert_eq!(seen.messages.len(), 200);
    assert_eq!(steps(&seen)[..3], ["<- INVITE", "-> 200 INVITE", "<- ACK"]);
    assert_eq!(seen.messages[20].left_out_before, 3 + 600 - 200);
    let elsewhere = seen.messages.iter().map(|message| message.left_out_before);
    assert_eq!(elsewhere.sum::<u64>(), 3 + 600 - 200);
    let last = &seen.messages[198].text;
    assert!(last.contains("CSeq: 301 OPTIONS"), "{last}");
}

#[test]
fn only_the_last_sixteen_calls_are_remembered() {
    let mut world = World::pair(1, Transport::Udp);
    let mut calls = Vec::new();
    for _ in 0..20 {
        calls.push(whole_call(&mut world).0);
    }
    let endpoint = &world.node(ALICE).endpoint;
    let remembered: Vec<bool> = calls
        .iter()
        .map(|call| endpoint.sip_ladder(*call).is_some())
        .collect();
    assert_eq!(remembered, [[false; 4].as_slice(), &[true; 16]].concat());
}

#[test]
fn large_messages_push_out_the_oldest_calls_and_then_the_middle_of_the_last() {
    let mut world = World::pair(1, Transport::Udp);
    let (_, first) = whole_call(&mut world);
    let (bobs, _) = carol_calls_bob(&mut world, &[]);
    world
        .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
        .unwrap();
    world.run(Duration::from_millis(10));
    let tag = bobs_tag(&world);
    let filling = "x".repeat(7_000);
    for number in 2..102 {
        let mut options = to_bob(Method::Options, number, &tag);
        push(&mut options.headers, HeaderName::UserAgent, &filling);
        send(&mut world, BOB, options.to_bytes());
    }
    assert!(world.node(BOB).endpoint.sip_ladder(first).is_none());
    let seen = ladder(&mut world, BOB, bobs);
    let bytes: usize = seen.messages.iter().map(|message| message.text.len()).sum();
    assert!((128 * 1024..256 * 1024).contains(&bytes), "{bytes}");
    assert_eq!(steps(&seen)[0], "<- INVITE");
    assert!(
        seen.messages
            .iter()
            .any(|message| message.left_out_before > 50)
    );
}

#[test]
fn strangers_push_no_call_out_and_the_last_of_them_is_shown_on_its_own() {
    let mut world = World::new(1);
    let mut bob = settings(account("bob", Transport::Udp), BOB);
    bob.incoming.peers = vec![sip::endpoint::ConfiguredPeer::address(ALICE.ip())];
    world.add(settings(account("alice", Transport::Udp), ALICE), ALICE);
    world.add(bob, BOB);
    let (_, bobs) = whole_call(&mut world);
    for number in 0..200 {
        let unique = format!("stranger{number}");
        let invite = request_from("INVITE", CAROL, "sip:bob@192.0.2.2", &unique, "");
        world.inject(CAROL, BOB, &invite);
    }
    world.run(Duration::from_secs(1));
    assert_eq!(
        steps(&ladder(&mut world, BOB, bobs)),
        mirrored(&CALLERS_SIDE)
    );
    let refused = world.node(BOB).endpoint.refused_sip_ladder();
    let refused = refused.expect("the last one that was answered");
    assert_eq!(steps(&refused), ["<- INVITE", "-> 403 INVITE"]);
    assert_eq!(refused.messages[0].remote, CAROL);
}

#[test]
fn a_replaced_dialog_and_the_one_in_its_place_are_one_ladder() {
    let mut world = World::pair(1, Transport::Udp);
    let (alices, bobs) = call(&mut world);
    let replaced = world.node(ALICE).endpoint.replaces(alices);
    let replaced = replaced.expect("the call stands");
    world.run(Duration::from_secs(1));
    let target = format!("sip:{BOB}").parse().expect("a SIP URI");
    let again = world
        .act(ALICE, |alice, now| {
            alice.invite_replacing(
                now,
                &room(),
                &target,
                media_of(ALICE),
                &replaced,
                IfNotReplaced::CallAnew,
            )
        })
        .expect("the call can be made");
    established(&mut world, ALICE, again);
    world.run(Duration::from_secs(1));
    let seen = ladder(&mut world, BOB, bobs);
    assert_eq!(seen.call_ids.len(), 2);
    let expected = [
        "<- INVITE",
        "-> 200 INVITE",
        "<- ACK",
        "<- INVITE",
        "-> 200 INVITE",
        "-> BYE",
        "<- 200 BYE",
        "<- ACK",
    ];
    let mut steps = steps(&seen);
    // Which of the two comes first is the network's business.
    steps[5..].sort();
    let mut expected = expected.map(str::to_owned);
    expected[5..].sort();
    assert_eq!(steps, expected);
}

#[test]
fn a_call_that_is_redirected_stays_one_ladder_with_an_address_for_each_hop() {
    let mut world = World::pair(1, Transport::Udp);
    let (alices, invite) = alice_calls_carol(&mut world);
    let mut moved = reply(&invite, StatusCode::MOVED_TEMPORARILY, "carol");
    moved.headers.remove(&HeaderName::Contact);
    push(
        &mut moved.headers,
        HeaderName::Contact,
        &format!("<sip:bob:geheim@{BOB}>"),
    );
    send(&mut world, ALICE, moved.to_bytes());
    let bobs = world.incoming(BOB);
    world
        .act(BOB, |bob, now| bob.reject(now, bobs, StatusCode::BUSY_HERE))
        .unwrap();
    ended(&mut world, ALICE, alices);
    let seen = ladder(&mut world, ALICE, alices);
    assert_eq!(
        steps(&seen),
        [
            "-> INVITE",
            "<- 302 INVITE",
            "-> ACK",
            "-> INVITE",
            "<- 486 INVITE",
            "-> ACK"
        ]
    );
    let remotes: Vec<_> = seen.messages.iter().map(|message| message.remote).collect();
    assert_eq!(remotes, [CAROL, CAROL, CAROL, BOB, BOB, BOB]);
    assert!(!format!("{seen:?}").contains("geheim"));
}

#[test]
fn an_endpoint_that_calls_itself_shows_both_its_calls() {
    let mut world = World::new(1);
    let mut alice = settings(account("alice", Transport::Udp), ALICE);
    alice.incoming.peers = vec![sip::endpoint::ConfiguredPeer::address(ALICE.ip())];
    world.add(alice, ALICE);
    let outgoing = world.invite(ALICE, ALICE);
    let incoming = world.incoming(ALICE);
    for call in [outgoing, incoming] {
        let seen = ladder(&mut world, ALICE, call);
        assert_eq!(steps(&seen)[..2], ["-> INVITE", "<- INVITE"]);
    }
}
