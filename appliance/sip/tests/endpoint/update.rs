//! UPDATE (RFC 3311) as it is received; what is sent is tested with the session timers.

use std::time::Duration;

use room::codec::Direction;
use sip::endpoint::{CallId, Event};
use sip::grammar::{ContentType, HeaderName, Method, StatusCode};
use sip::offer_answer::{PeerHold, Session};
use sip::transport::Transport;

use crate::carol::{
    acknowledge, alice_alone, alice_calls_carol, answering, bobs_tag, carol_calls_bob,
    latest_status, offer, push, requests, responses, rng, send, to_alice, to_bob,
};
use crate::world::{ALICE, BOB, CAROL, World, account, address, media_of};

fn standing(world: &mut World) -> (CallId, String) {
    let (bobs, _) = carol_calls_bob(world, &[]);
    world
        .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
        .expect("it is unanswered");
    world.run(Duration::from_millis(10));
    (bobs, bobs_tag(world))
}

/// Carol's offer that holds the call, for the session of her first offer.
fn hold_offer(world: &World) -> bytes::Bytes {
    let capabilities = account("carol", Transport::Udp).capabilities;
    let (mut session, _) = Session::offer(&capabilities, &media_of(CAROL), &mut rng());
    let accepted = responses(world, &Method::Invite).pop().expect("the 200");
    session.accept_answer(accepted.body()).expect("an answer");
    session.reoffer(Direction::SendOnly).expect("agreed")
}

#[test]
fn an_update_with_an_offer_is_answered_at_once_and_changes_the_media() {
    let mut world = World::pair(1, Transport::Udp);
    let (bobs, tag) = standing(&mut world);
    // The ACK is still to come: the first exchange is complete all the same.
    let mut update = to_bob(Method::Update, 2, &tag);
    update.set_body(&ContentType::sdp(), hold_offer(&world));
    send(&mut world, BOB, update.to_bytes());
    let answer = responses(&world, &Method::Update).pop().expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(!answer.body().is_empty());
    let held = world.wait_for(BOB, |event| match event {
        Event::MediaChanged { call, media } if *call == bobs => Some(media.peer_hold),
        _ => None,
    });
    assert_eq!(held, PeerHold::On);

    // Repeated, it gets the same answer and changes nothing again.
    send(&mut world, BOB, update.to_bytes());
    let answers = responses(&world, &Method::Update);
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0].body(), answers[1].body());
    let changes = world
        .events(BOB)
        .iter()
        .filter(|event| matches!(event, Event::MediaChanged { .. }));
    assert_eq!(changes.count(), 1);
    acknowledge(&mut world, 1);
}

#[test]
fn an_update_moves_the_target_only_when_it_is_accepted() {
    let mut world = World::pair(1, Transport::Udp);
    let (bobs, tag) = standing(&mut world);
    acknowledge(&mut world, 1);
    for (number, port, body, status) in [
        (2, 6001, &b"v=0\r\nnonsense"[..], 400),
        (3, 6002, &b""[..], 200),
    ] {
        let mut update = to_bob(Method::Update, number, &tag);
        update.headers.remove(&HeaderName::Contact);
        push(
            &mut update.headers,
            HeaderName::Contact,
            &format!("<sip:carol@192.0.2.3:{port}>"),
        );
        if !body.is_empty() {
            update.set_body(&ContentType::sdp(), bytes::Bytes::from_static(body));
        }
        send(&mut world, BOB, update.to_bytes());
        assert_eq!(latest_status(&world, &Method::Update), Some(status));
    }
    world.act(BOB, |bob, now| bob.hang_up(now, bobs)).unwrap();
    world.run(Duration::from_millis(10));
    let bye = world
        .received
        .iter()
        .rev()
        .find(|(_, bytes)| bytes.starts_with(b"BYE"));
    assert_eq!(bye.map(|(to, _)| *to), Some(address(3, 6002)));
}

#[test]
fn an_update_whose_offer_meets_ours_is_refused_491_and_one_without_is_not() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    let mut accepted = answering(&invite, StatusCode::OK, "carol");
    push(&mut accepted.headers, HeaderName::Allow, "UPDATE");
    send(&mut world, ALICE, accepted.to_bytes());
    world
        .act(ALICE, |alice, now| alice.hold(now, alices))
        .unwrap();
    world.run(Duration::from_millis(10));
    assert_eq!(
        requests(&world, &Method::Invite).len(),
        2,
        "our offer is under way"
    );

    let mut update = to_alice(&invite, "carol", Method::Update, 1);
    update.set_body(&ContentType::sdp(), offer());
    send(&mut world, ALICE, update.to_bytes());
    assert_eq!(latest_status(&world, &Method::Update), Some(491));
    let update = to_alice(&invite, "carol", Method::Update, 2);
    send(&mut world, ALICE, update.to_bytes());
    assert_eq!(latest_status(&world, &Method::Update), Some(200));
}

#[test]
fn an_update_before_the_answer_moves_the_target_but_may_not_offer() {
    let mut world = World::pair(1, Transport::Udp);
    let (bobs, _) = carol_calls_bob(&mut world, &[]);
    world.act(BOB, |bob, now| bob.ring(now, bobs)).unwrap();
    world.run(Duration::from_millis(10));
    let tag = bobs_tag(&world);
    let mut update = to_bob(Method::Update, 2, &tag);
    update.set_body(&ContentType::sdp(), offer());
    send(&mut world, BOB, update.to_bytes());
    let refused = responses(&world, &Method::Update).pop().expect("an answer");
    assert_eq!(refused.status(), StatusCode::SERVER_INTERNAL_ERROR);
    let wait: u32 = refused
        .headers
        .text(&HeaderName::RetryAfter)
        .expect("a wait")
        .parse()
        .expect("a number");
    assert!(wait <= 10);

    let update = to_bob(Method::Update, 3, &tag);
    send(&mut world, BOB, update.to_bytes());
    assert_eq!(latest_status(&world, &Method::Update), Some(200));
    world
        .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
        .expect("it still rings");
}

#[test]
fn an_update_with_another_body_or_of_no_dialog_is_refused() {
    let mut world = World::pair(1, Transport::Udp);
    let (_, tag) = standing(&mut world);
    acknowledge(&mut world, 1);
    let mut update = to_bob(Method::Update, 2, &tag);
    update.set_body(
        &"text/plain".parse().unwrap(),
        bytes::Bytes::from_static(b"x"),
    );
    send(&mut world, BOB, update.to_bytes());
    assert_eq!(latest_status(&world, &Method::Update), Some(415));
    send(
        &mut world,
        BOB,
        to_bob(Method::Update, 3, "other").to_bytes(),
    );
    assert_eq!(latest_status(&world, &Method::Update), Some(481));
}

#[test]
fn an_update_whose_body_may_be_passed_over_is_one_without_an_offer() {
    let mut world = World::pair(1, Transport::Udp);
    let (_, tag) = standing(&mut world);
    acknowledge(&mut world, 1);
    for (number, disposition, status) in [
        (2, "signal;handling=optional", StatusCode::OK),
        (3, "signal", StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        let mut update = to_bob(Method::Update, number, &tag);
        update.set_body(&"application/isup".parse().expect("a type"), "x".into());
        push(
            &mut update.headers,
            HeaderName::ContentDisposition,
            disposition,
        );
        send(&mut world, BOB, update.to_bytes());
        let answer = responses(&world, &Method::Update).pop().expect("an answer");
        assert_eq!(answer.status(), status, "{disposition}");
        assert!(answer.body().is_empty());
    }
}
