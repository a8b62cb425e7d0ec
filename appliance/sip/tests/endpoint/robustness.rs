//! Peers that fork, offer late, repeat themselves, fall silent or send garbage.

use std::time::Duration;

use bytes::Bytes;
use sip::endpoint::{CallEndCause, CallId, Event};
use sip::grammar::{
    CSeq, CallId as CallIdHeader, ContentType, HeaderName, Method, Response, StatusCode,
};
use sip::offer_answer::Session;
use sip::transport::{StreamInfo, Transport};

use crate::calls::{assert_nothing_is_left, call, ended, established};
use crate::policy::{invite_from, request_from};
use crate::scripted::{request, response};
use crate::world::{ALICE, BOB, CAROL, World, account, media_of, settings};

/// Alice calls Carol, whom the test plays. Returns the call and the INVITE as it arrived.
pub(crate) fn alice_calls_carol(world: &mut World) -> (CallId, sip::grammar::Request) {
    let alices = world.invite(ALICE, CAROL);
    world.run(Duration::from_millis(10));
    let invite = world.received.iter().find_map(|(_, bytes)| request(bytes));
    (alices, invite.expect("the INVITE arrived"))
}

/// Carol's 200 with an answer to the INVITE, as the fork `tag`.
pub(crate) fn accept(invite: &sip::grammar::Request, tag: &str) -> Bytes {
    let capabilities = account("carol", Transport::Udp).capabilities;
    let mut rng = test_rng();
    let (_, body, _) = Session::answer(&capabilities, &media_of(CAROL), &mut rng, invite.body())
        .expect("our own offers can be answered");
    let mut response = Response::to(invite, StatusCode::OK);
    response.headers.add_to_tag(tag).expect("a token");
    response
        .headers
        .push(HeaderName::Contact, &format!("<sip:{tag}@{CAROL}>"))
        .expect("plain text");
    response.set_body(&ContentType::sdp(), body);
    response.to_bytes()
}

pub(crate) fn test_rng() -> rand_chacha::ChaCha20Rng {
    rand_core::SeedableRng::from_seed([3; 32])
}

/// The requests of one method that Carol has received, by the tag in To.
fn received_by_carol(world: &World, method: &Method) -> Vec<String> {
    world
        .received
        .iter()
        .filter(|(to, _)| *to == CAROL)
        .filter_map(|(_, bytes)| request(bytes))
        .filter(|request| request.method() == method)
        .map(|request| {
            let to = request.headers.to().expect("a To");
            to.tag().unwrap_or_default().to_owned()
        })
        .collect()
}

pub(crate) fn alice_alone() -> World {
    let mut world = World::new(1);
    world.add(settings(account("alice", Transport::Udp), ALICE), ALICE);
    world
}

#[test]
fn the_first_fork_that_answers_wins_and_the_other_is_hung_up() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    let now = world.now;
    world
        .network
        .send(now, CAROL, ALICE, accept(&invite, "first"));
    world
        .network
        .send(now, CAROL, ALICE, accept(&invite, "second"));
    established(&mut world, ALICE, alices);
    world.run(Duration::from_millis(100));
    assert_eq!(received_by_carol(&world, &Method::Ack), ["first", "second"]);
    assert_eq!(received_by_carol(&world, &Method::Bye), ["second"]);
    assert!(
        !world
            .events(ALICE)
            .iter()
            .any(|event| matches!(event, Event::Ended { .. }))
    );
}

#[test]
fn each_repeated_answer_is_acknowledged_again_and_told_once() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    for _ in 0..3 {
        let now = world.now;
        world
            .network
            .send(now, CAROL, ALICE, accept(&invite, "only"));
        world.run(Duration::from_millis(500));
    }
    established(&mut world, ALICE, alices);
    assert_eq!(received_by_carol(&world, &Method::Ack), ["only"; 3]);
    let told = world
        .events(ALICE)
        .iter()
        .filter(|event| matches!(event, Event::Established { .. }));
    assert_eq!(told.count(), 1);
}

#[test]
fn an_answer_that_comes_after_hanging_up_is_acknowledged_and_ended() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    world
        .act(ALICE, |alice, now| alice.hang_up(now, alices))
        .unwrap();
    let now = world.now;
    world
        .network
        .send(now, CAROL, ALICE, accept(&invite, "late"));
    world.run(Duration::from_millis(100));
    assert_eq!(received_by_carol(&world, &Method::Ack), ["late"]);
    assert_eq!(received_by_carol(&world, &Method::Bye), ["late"]);
    assert_eq!(
        received_by_carol(&world, &Method::Cancel).len(),
        0,
        "nothing provisional came"
    );
    assert_nothing_is_left(&mut world);
}

#[test]
fn a_malformed_answer_is_dropped_and_a_good_one_behind_it_taken() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    let good = String::from_utf8(accept(&invite, "only").to_vec()).expect("text");
    for (what, with) in [
        ("Call-ID: ", "Call-Identity: "),
        ("From: ", "From: \"unterminated "),
        ("CSeq: 1 ", "CSeq: 9292394834772304023312 "),
        (
            "Via: SIP/2.0/UDP",
            "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx, SIP/2.0/UDP",
        ),
        ("Content-Type: application/sdp", "Content-Type: application"),
    ] {
        let bad = good.replacen(what, with, 1);
        assert_ne!(bad, good, "{what}");
        let now = world.now;
        world.network.send(now, CAROL, ALICE, Bytes::from(bad));
        world.run(Duration::from_millis(20));
        assert_eq!(received_by_carol(&world, &Method::Ack).len(), 0, "{with}");
    }
    assert_eq!(world.node(ALICE).endpoint.statistics().malformed, 5);
    let now = world.now;
    world.network.send(now, CAROL, ALICE, Bytes::from(good));
    established(&mut world, ALICE, alices);
}

#[test]
fn an_answer_without_usable_media_is_acknowledged_and_ended() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    let mut plain = Response::to(&invite, StatusCode::OK);
    plain.headers.add_to_tag("x").unwrap();
    plain
        .headers
        .push(HeaderName::Contact, &format!("<sip:carol@{CAROL}>"))
        .unwrap();
    plain.set_body(
        &ContentType::sdp(),
        Bytes::from_static(
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.3\r\ns=-\r\nc=IN IP4 192.0.2.3\r\nt=0 0\r\n\
              m=audio 4000 RTP/AVP 0\r\nm=video 0 RTP/AVP 99\r\n",
        ),
    );
    let now = world.now;
    world.network.send(now, CAROL, ALICE, plain.to_bytes());
    assert_eq!(ended(&mut world, ALICE, alices), CallEndCause::Encryption);
    world.run(Duration::from_millis(100));
    assert_eq!(received_by_carol(&world, &Method::Bye), ["x"]);
}

/// Carol's INVITE without an offer, answered by Bob; returns Bob's call and his 200.
fn late_offer(world: &mut World) -> (CallId, Response) {
    world.inject(CAROL, BOB, &invite_from(CAROL, "sip:bob@192.0.2.2"));
    let bobs = world.incoming(BOB);
    world
        .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
        .expect("it is unanswered");
    world.run(Duration::from_millis(10));
    let accepted = world
        .received
        .iter()
        .filter_map(|(_, bytes)| response(bytes))
        .find(|response| response.status() == StatusCode::OK);
    (bobs, accepted.expect("the 200 arrived"))
}

/// Carol's ACK of a response, with a body.
fn ack(accepted: &Response, body: Option<Bytes>) -> Bytes {
    let mut ack =
        sip::grammar::Request::new(Method::Ack, "sip:bob@192.0.2.2".parse().expect("a SIP URI"));
    ack.headers
        .push(
            HeaderName::Via,
            &format!("SIP/2.0/UDP {CAROL};branch=z9hG4bKack"),
        )
        .expect("plain text");
    for name in [HeaderName::From, HeaderName::To, HeaderName::CallId] {
        ack.headers.copy_from(&accepted.headers, &name);
    }
    ack.headers.push_typed(&CSeq {
        number: 1,
        method: Method::Ack,
    });
    if let Some(body) = body {
        ack.set_body(&ContentType::sdp(), body);
    }
    ack.to_bytes()
}

#[test]
fn an_invite_without_an_offer_is_answered_with_one_and_established_by_its_ack() {
    let mut world = World::pair(2, Transport::Udp);
    let (bobs, accepted) = late_offer(&mut world);
    assert!(
        !world
            .events(BOB)
            .iter()
            .any(|event| matches!(event, Event::Established { .. }))
    );
    let capabilities = account("carol", Transport::Udp).capabilities;
    let (_, answer, _) = Session::answer(
        &capabilities,
        &media_of(CAROL),
        &mut test_rng(),
        accepted.body(),
    )
    .unwrap();
    let now = world.now;
    world
        .network
        .send(now, CAROL, BOB, ack(&accepted, Some(answer)));
    let media = established(&mut world, BOB, bobs);
    assert_eq!(
        media.remote.audio.unwrap().rtp,
        crate::world::address(3, 20_000)
    );
}

#[test]
fn an_ack_that_should_answer_and_does_not_ends_the_call() {
    let mut world = World::pair(3, Transport::Udp);
    let (bobs, accepted) = late_offer(&mut world);
    let now = world.now;
    world.network.send(now, CAROL, BOB, ack(&accepted, None));
    assert_eq!(ended(&mut world, BOB, bobs), CallEndCause::Media);
}

#[test]
fn an_answer_that_is_never_acknowledged_is_repeated_and_then_the_call_ends() {
    let mut world = World::pair(4, Transport::Udp);
    let (bobs, _) = late_offer(&mut world);
    let start = world.now;
    assert_eq!(ended(&mut world, BOB, bobs), CallEndCause::Timeout);
    assert!(world.now - start > Duration::from_secs(31));
    let repeated = world
        .received
        .iter()
        .filter_map(|(_, bytes)| response(bytes))
        .filter(|response| response.status() == StatusCode::OK)
        .count();
    assert_eq!(repeated, 11, "0, 0.5, 1.5, 3.5, 7.5, 11.5, ... 31.5 s");
    world.run(Duration::from_millis(10));
    assert_eq!(received_by_carol(&world, &Method::Bye).len(), 1);
}

#[test]
fn an_offer_that_can_never_be_answered_does_not_ring() {
    let mut world = World::pair(5, Transport::Udp);
    let plain = "v=0\no=- 1 1 IN IP4 192.0.2.3\ns=-\nc=IN IP4 192.0.2.3\nt=0 0\n\
                 m=audio 4000 RTP/AVP 0\n";
    assert_eq!(
        offer_refused(&mut world, plain),
        StatusCode::NOT_ACCEPTABLE_HERE
    );
    let statistics = world.node(BOB).endpoint.statistics();
    assert_eq!(statistics.malformed_descriptions, 0);
}

#[test]
fn an_offer_that_is_no_session_description_is_refused_and_counted_once() {
    let mut world = World::pair(5, Transport::Udp);
    assert_eq!(
        offer_refused(&mut world, "what is this\n"),
        StatusCode::BAD_REQUEST
    );
    let statistics = world.node(BOB).endpoint.statistics();
    assert_eq!(statistics.malformed_descriptions, 1);
    assert_eq!(statistics.malformed, 0, "the message around it is well");
}

/// Bob's answer to an offer of Carol's, of which his user hears no more than that she was refused.
fn offer_refused(world: &mut World, description: &str) -> StatusCode {
    let length = description.replace('\n', "\r\n").len();
    let invite = invite_from(CAROL, "sip:bob@192.0.2.2").replace(
        "Content-Length: 0\n\n",
        &format!("Content-Type: application/sdp\nContent-Length: {length}\n\n{description}"),
    );
    world.inject(CAROL, BOB, &invite);
    world.run(Duration::from_millis(100));
    let told: Vec<&Event> = world.events(BOB).iter().collect();
    assert!(
        matches!(told[..], [Event::IncomingRefused { .. }]),
        "{told:?}"
    );
    world
        .received
        .iter()
        .find_map(|(_, bytes)| response(bytes))
        .expect("the offer is answered")
        .status()
}

#[test]
fn requests_out_of_order_are_refused_and_the_call_goes_on() {
    let mut world = World::pair(6, Transport::Udp);
    let (_, bobs) = call(&mut world);
    world.run(Duration::from_secs(1));
    let bye = world
        .sent
        .iter()
        .filter_map(|(from, _, bytes)| (*from == ALICE).then(|| request(bytes)).flatten())
        .find(|request| *request.method() == Method::Ack)
        .expect("Alice has sent an ACK");
    let mut old = sip::grammar::Request::new(Method::Bye, bye.uri().clone());
    old.headers
        .push(
            HeaderName::Via,
            &format!("SIP/2.0/UDP {ALICE};branch=z9hG4bKold"),
        )
        .unwrap();
    for name in [HeaderName::From, HeaderName::To, HeaderName::CallId] {
        old.headers.copy_from(&bye.headers, &name);
    }
    old.headers.push_typed(&CSeq {
        number: 1,
        method: Method::Bye,
    });
    let now = world.now;
    world.network.send(now, ALICE, BOB, old.to_bytes());
    world.run(Duration::from_secs(1));
    let is_bobs_end = |event: &Event| matches!(event, Event::Ended { call, .. } if *call == bobs);
    assert!(!world.events(BOB).iter().any(is_bobs_end));
}

#[test]
fn garbage_is_counted_answered_only_where_it_can_be_and_leaves_a_call_alone() {
    let mut world = World::pair(7, Transport::Udp);
    let (_, _) = call(&mut world);
    for text in [
        "",
        "\n\n",
        "garbage",
        "INVITE",
        "SIP/2.0 200 OK\n\n",
        "\0\0\0\0",
    ] {
        world.inject(CAROL, BOB, text);
    }
    let without_call_id =
        request_from("OPTIONS", CAROL, "sip:bob@192.0.2.2", "1", "").replace("Call-ID: c1\n", "");
    world.inject(CAROL, BOB, &without_call_id);
    let truncated = request_from("OPTIONS", CAROL, "sip:bob@192.0.2.2", "2", "")
        .replace("Content-Length: 0", "Content-Length: 400");
    world.inject(CAROL, BOB, &truncated);
    world.run(Duration::from_secs(1));
    let answers: Vec<u16> = world
        .received
        .iter()
        .filter_map(|(_, bytes)| response(bytes))
        .map(|response| response.status().code())
        .collect();
    assert_eq!(answers, [400, 400]);
    assert!(world.node(BOB).endpoint.statistics().malformed >= 5);
    assert!(
        !world
            .events(BOB)
            .iter()
            .any(|event| matches!(event, Event::Ended { .. }))
    );
}

#[test]
fn a_stream_that_loses_its_framing_is_closed_and_one_that_says_nothing_too() {
    let mut world = World::pair(8, Transport::Tcp);
    world.inject_stream(
        CAROL,
        BOB,
        b"INVITE sip:x SIP/2.0\r\nContent-Length: 99999999\r\n\r\n",
    );
    world.run(Duration::from_secs(1));
    assert_eq!(world.node(BOB).endpoint.counts().flows, 0);
    world.inject_stream(CAROL, BOB, b"INV");
    world.run(Duration::from_secs(10));
    assert_eq!(world.node(BOB).endpoint.counts().flows, 1);
    world.run(Duration::from_secs(25));
    assert_eq!(
        world.node(BOB).endpoint.counts().flows,
        0,
        "no message within 30 s"
    );
}

#[test]
fn a_flood_of_connections_is_capped() {
    let mut world = World::pair(9, Transport::Tcp);
    world.act(BOB, |bob, now| {
        for _ in 0..1_000 {
            let flow = bob.reserve_flow();
            bob.stream_opened(now, flow, StreamInfo::new(Transport::Tcp, BOB, CAROL));
        }
    });
    assert_eq!(world.node(BOB).endpoint.counts().flows, 128);
    assert_eq!(world.node(BOB).endpoint.statistics().overloaded, 872);
}

#[test]
fn a_flood_of_invites_from_a_trusted_peer_is_capped_and_the_rest_hear_busy() {
    let mut world = World::pair(10, Transport::Udp);
    for number in 0..100 {
        let text = request_from(
            "INVITE",
            CAROL,
            "sip:bob@192.0.2.2",
            &number.to_string(),
            "",
        );
        world.inject(CAROL, BOB, &text);
    }
    world.run(Duration::from_millis(100));
    assert_eq!(world.node(BOB).endpoint.counts().calls, 64);
    let busy: Vec<CallIdHeader> = world
        .received
        .iter()
        .filter_map(|(_, bytes)| response(bytes))
        .filter(|response| response.status() == StatusCode::BUSY_HERE)
        .filter_map(|response| response.headers.required().ok())
        .collect();
    assert_eq!(busy.len(), 36);
}

#[test]
fn a_ping_is_answered_and_an_idle_connection_of_ours_is_closed() {
    let mut world = World::pair(11, Transport::Tcp);
    let (alices, _) = call(&mut world);
    world.run(Duration::from_secs(250));
    assert_eq!(
        world.node(ALICE).endpoint.counts().flows,
        1,
        "a call uses it"
    );
    world
        .act(ALICE, |alice, now| alice.hang_up(now, alices))
        .unwrap();
    world.run(Duration::from_secs(400));
    assert_eq!(world.node(ALICE).endpoint.counts().flows, 0);
    assert_eq!(world.node(BOB).endpoint.counts().flows, 0);
}

#[test]
fn a_challenged_invite_is_sent_again_with_credentials_and_refused_ones_end_the_call() {
    let mut world = World::new(1);
    let account = sip::endpoint::Account {
        credentials: Some(sip::digest::Credentials {
            username: "alice".to_owned(),
            password: sip::secret::Secret::new("secret"),
        }),
        ..account("alice", Transport::Udp)
    };
    world.add(settings(account, ALICE), ALICE);
    let (alices, first) = alice_calls_carol(&mut world);
    let challenge = |world: &mut World, invite: &sip::grammar::Request, nonce: &str| {
        let status = StatusCode::PROXY_AUTHENTICATION_REQUIRED;
        let mut response = Response::to(invite, status);
        response.headers.add_to_tag("proxy").unwrap();
        let value = format!("Digest realm=\"r\", nonce=\"{nonce}\", qop=\"auth\"");
        response
            .headers
            .push(HeaderName::ProxyAuthenticate, &value)
            .unwrap();
        let now = world.now;
        world.network.send(now, CAROL, ALICE, response.to_bytes());
        world.run(Duration::from_millis(10));
    };
    challenge(&mut world, &first, "one");
    let second = world
        .received
        .iter()
        .filter_map(|(_, bytes)| request(bytes))
        .rfind(|request| *request.method() == Method::Invite)
        .unwrap();
    assert_eq!(second.headers.required::<CSeq>().unwrap().number, 2);
    assert!(second.headers.contains(&HeaderName::ProxyAuthorization));
    assert_eq!(
        second.headers.get(&HeaderName::CallId),
        first.headers.get(&HeaderName::CallId)
    );
    assert_eq!(received_by_carol(&world, &Method::Ack), ["proxy"]);
    challenge(&mut world, &second, "two");
    assert_eq!(ended(&mut world, ALICE, alices), CallEndCause::Credentials);
    assert_nothing_is_left(&mut world);
}

#[test]
fn a_refused_hold_leaves_the_call_as_it_was_and_an_unknown_call_ends() {
    for (status, ends) in [
        (StatusCode::NOT_ACCEPTABLE_HERE, false),
        (StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST, true),
    ] {
        let mut world = alice_alone();
        let (alices, invite) = alice_calls_carol(&mut world);
        let now = world.now;
        world
            .network
            .send(now, CAROL, ALICE, accept(&invite, "only"));
        let before = established(&mut world, ALICE, alices);
        world
            .act(ALICE, |alice, now| alice.hold(now, alices))
            .unwrap();
        world.run(Duration::from_millis(10));
        let reinvite = world
            .received
            .iter()
            .filter_map(|(_, bytes)| request(bytes))
            .rfind(|request| *request.method() == Method::Invite)
            .unwrap();
        assert_eq!(reinvite.headers.to().unwrap().tag(), Some("only"));
        let now = world.now;
        let refusal = Response::to(&reinvite, status).to_bytes();
        world.network.send(now, CAROL, ALICE, refusal);
        if ends {
            assert_eq!(ended(&mut world, ALICE, alices), CallEndCause::Forgotten);
            world.run(Duration::from_millis(10));
            assert_eq!(received_by_carol(&world, &Method::Bye), ["only"]);
        } else {
            world.wait_for(ALICE, |event| match event {
                Event::HoldFailed { call } if *call == alices => Some(()),
                _ => None,
            });
            assert!(before.streams.audio.is_some());
            let changed = |event: &Event| matches!(event, Event::MediaChanged { .. });
            assert!(!world.events(ALICE).iter().any(changed));
            // What was refused once may be asked for again.
            world
                .act(ALICE, |alice, now| alice.hold(now, alices))
                .unwrap();
            world.run(Duration::from_millis(10));
            let invites = received_by_carol(&world, &Method::Invite);
            assert_eq!(invites, ["", "only", "only"]);
        }
    }
}
