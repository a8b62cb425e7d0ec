//! Messages that cross, come late, or come where they make no sense: what becomes of the dialog.

use std::time::{Duration, Instant};

use netem::LinkConditions;
use sip::endpoint::{CallEndCause, CallId, Event};
use sip::grammar::{CSeq, ContentType, HeaderName, Method, Request, StatusCode};
use sip::transport::Transport;

use crate::calls::{assert_nothing_is_left, call, ended, established};
use crate::carol::{
    acknowledge, alice_alone, alice_calls_carol, answer, answering, bobs_tag, carol_calls_bob,
    latest_status, offer, push, reply, requests, responses, send, to_alice, to_bob,
};
use crate::world::{ALICE, BOB, World, address, media_of};

const SECOND: Duration = Duration::from_secs(1);
const TRANSPORTS: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

/// A network on which messages cross.
fn slow(mut world: World) -> World {
    world.network.set_default_conditions(LinkConditions {
        delay: Duration::from_millis(100),
        ..LinkConditions::default()
    });
    world
}

fn times_ended(world: &mut World, at: std::net::SocketAddr) -> usize {
    let events = world.events(at).iter();
    events
        .filter(|event| matches!(event, Event::Ended { .. }))
        .count()
}

fn standing(world: &mut World) -> CallId {
    let (bobs, _) = carol_calls_bob(world, &[]);
    world
        .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
        .expect("it is unanswered");
    world.run(SECOND / 100);
    acknowledge(world, 1);
    bobs
}

/// Carol's CANCEL of her INVITE.
fn cancel(invite: &Request) -> Request {
    let mut cancel = to_bob(Method::Cancel, 1, "x");
    for name in [HeaderName::Via, HeaderName::To] {
        cancel.headers.remove(&name);
        cancel.headers.copy_from(&invite.headers, &name);
    }
    cancel
}

#[test]
fn two_ends_that_hang_up_at_once_both_end_and_leave_nothing() {
    for transport in TRANSPORTS {
        let mut world = slow(World::pair(1, transport));
        let (alices, bobs) = call(&mut world);
        world.run(SECOND);
        world
            .act(ALICE, |alice, now| alice.hang_up(now, alices))
            .expect("it stands");
        world
            .act(BOB, |bob, now| bob.hang_up(now, bobs))
            .expect("it stands");
        assert_eq!(ended(&mut world, ALICE, alices), CallEndCause::Local);
        assert_eq!(ended(&mut world, BOB, bobs), CallEndCause::Local);
        world.run(SECOND);
        assert_eq!(world.node(ALICE).endpoint.counts().calls, 0, "{transport}");
        assert_eq!(world.node(BOB).endpoint.counts().calls, 0, "{transport}");
        assert_nothing_is_left(&mut world);
        assert_eq!(
            (times_ended(&mut world, ALICE), times_ended(&mut world, BOB)),
            (1, 1)
        );
    }
}

#[test]
fn a_bye_that_crosses_a_hold_ends_the_call_and_leaves_nothing() {
    for transport in TRANSPORTS {
        let mut world = slow(World::pair(1, transport));
        let (alices, bobs) = call(&mut world);
        world.run(SECOND);
        world
            .act(ALICE, |alice, now| alice.hold(now, alices))
            .expect("it stands");
        world
            .act(BOB, |bob, now| bob.hang_up(now, bobs))
            .expect("it stands");
        assert_eq!(ended(&mut world, ALICE, alices), CallEndCause::RemoteHangUp);
        assert_nothing_is_left(&mut world);
        assert_eq!(
            (times_ended(&mut world, ALICE), times_ended(&mut world, BOB)),
            (1, 1)
        );
    }
}

#[test]
fn a_cancel_that_comes_after_the_answer_changes_nothing() {
    let mut world = World::pair(1, Transport::Udp);
    let (bobs, invite) = carol_calls_bob(&mut world, &[]);
    world
        .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
        .expect("it is unanswered");
    send(&mut world, BOB, cancel(&invite).to_bytes());
    assert_eq!(latest_status(&world, &Method::Cancel), Some(200));
    acknowledge(&mut world, 1);
    established(&mut world, BOB, bobs);
    world.run(SECOND);
    assert_eq!(times_ended(&mut world, BOB), 0);
    let refused = responses(&world, &Method::Invite)
        .into_iter()
        .filter(|response| !response.status().is_success());
    assert_eq!(refused.count(), 0);
}

/// The To tag of a response.
fn to_tag(response: &sip::grammar::Response) -> Option<String> {
    let to = response.headers.to().expect("a To");
    to.tag().map(str::to_owned)
}

#[test]
fn cancel_is_answered_with_the_tag_of_what_is_said_to_its_invite() {
    for is_answered in [true, false] {
        let mut world = World::pair(1, Transport::Udp);
        let (bobs, invite) = carol_calls_bob(&mut world, &[]);
        if is_answered {
            world
                .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
                .expect("it is unanswered");
        }
        send(&mut world, BOB, cancel(&invite).to_bytes());
        let final_response = responses(&world, &Method::Invite).pop().expect("an answer");
        assert_eq!(final_response.status().is_success(), is_answered);
        let cancelled = responses(&world, &Method::Cancel).pop().expect("an answer");
        assert_eq!(to_tag(&cancelled), to_tag(&final_response));
    }
}

#[test]
fn a_repeated_cancel_is_answered_again_and_ends_the_call_once() {
    let mut world = World::pair(1, Transport::Udp);
    let (bobs, invite) = carol_calls_bob(&mut world, &[]);
    for _ in 0..3 {
        send(&mut world, BOB, cancel(&invite).to_bytes());
    }
    assert_eq!(ended(&mut world, BOB, bobs), CallEndCause::RemoteCancelled);
    let cancels = responses(&world, &Method::Cancel);
    assert!(
        cancels
            .iter()
            .all(|response| response.status() == StatusCode::OK)
    );
    assert_eq!(cancels.len(), 3);
    assert_eq!(to_tag(&cancels[0]), to_tag(&cancels[2]));
    assert_eq!(latest_status(&world, &Method::Invite), Some(487));
    assert_eq!(times_ended(&mut world, BOB), 1);
    assert_nothing_is_left(&mut world);
}

#[test]
fn a_caller_may_give_up_an_early_dialog_by_bye() {
    let mut world = World::pair(1, Transport::Udp);
    let (bobs, _) = carol_calls_bob(&mut world, &[]);
    world
        .act(BOB, |bob, now| bob.ring(now, bobs))
        .expect("it is unanswered");
    world.run(SECOND / 100);
    let tag = bobs_tag(&world);
    send(&mut world, BOB, to_bob(Method::Bye, 2, &tag).to_bytes());
    assert_eq!(latest_status(&world, &Method::Bye), Some(200));
    assert_eq!(latest_status(&world, &Method::Invite), Some(487));
    assert_eq!(ended(&mut world, BOB, bobs), CallEndCause::RemoteCancelled);
    assert_nothing_is_left(&mut world);
}

#[test]
fn a_refusal_that_crosses_cancel_ends_the_call_and_leaves_nothing() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    let ringing = reply(&invite, StatusCode::RINGING, "carol");
    send(&mut world, ALICE, ringing.to_bytes());
    world
        .act(ALICE, |alice, now| alice.hang_up(now, alices))
        .expect("it rings");
    world.run(SECOND / 100);
    let cancel = requests(&world, &Method::Cancel).pop().expect("a CANCEL");
    let busy = reply(&invite, StatusCode::BUSY_HERE, "carol");
    send(&mut world, ALICE, busy.to_bytes());
    // The INVITE has a final response: its transaction is unknown to a CANCEL.
    let status = StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
    send(&mut world, ALICE, reply(&cancel, status, "x").to_bytes());
    assert_eq!(requests(&world, &Method::Ack).len(), 1);
    assert_eq!(ended(&mut world, ALICE, alices), CallEndCause::Local);
    assert_eq!(times_ended(&mut world, ALICE), 1);
    assert_nothing_is_left(&mut world);
}

#[test]
fn a_cancelled_invite_without_a_final_response_is_given_up_after_64_t1() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    send(
        &mut world,
        ALICE,
        reply(&invite, StatusCode::RINGING, "carol").to_bytes(),
    );
    world
        .act(ALICE, |alice, now| alice.hang_up(now, alices))
        .expect("it rings");
    world.run(SECOND * 31);
    assert_eq!(world.node(ALICE).endpoint.counts().calls, 1);
    world.run(SECOND * 2);
    assert_eq!(world.node(ALICE).endpoint.counts().calls, 0);
    assert_nothing_is_left(&mut world);
}

/// Carol's re-INVITE without an offer, and Bob's 200.
fn offered_again(world: &mut World, number: u32) -> sip::grammar::Response {
    let tag = bobs_tag(world);
    send(world, BOB, to_bob(Method::Invite, number, &tag).to_bytes());
    let accepted = responses(world, &Method::Invite).pop().expect("an answer");
    assert_eq!(accepted.status(), StatusCode::OK);
    accepted
}

#[test]
fn a_reinvite_without_an_offer_is_offered_what_stands_and_answered_by_ack() {
    let mut world = World::pair(1, Transport::Udp);
    let bobs = standing(&mut world);
    let accepted = offered_again(&mut world, 2);
    // Until the ACK, no other offer has a place.
    let tag = bobs_tag(&world);
    for (number, method) in [(3, Method::Invite), (4, Method::Update)] {
        let mut crossing = to_bob(method.clone(), number, &tag);
        crossing.set_body(&ContentType::sdp(), offer());
        send(&mut world, BOB, crossing.to_bytes());
        assert_eq!(latest_status(&world, &method), Some(491), "{method}");
    }
    let mut ack = to_bob(Method::Ack, 2, &tag);
    ack.set_body(&ContentType::sdp(), answer(accepted.body()));
    send(&mut world, BOB, ack.to_bytes());
    world.wait_for(BOB, |event| {
        matches!(event, Event::MediaChanged { call, .. } if *call == bobs).then_some(())
    });

    // Without an answer what stood before stands on.
    offered_again(&mut world, 5);
    send(&mut world, BOB, to_bob(Method::Ack, 5, &tag).to_bytes());
    world.run(SECOND);
    assert_eq!(times_ended(&mut world, BOB), 0);
    offered_again(&mut world, 6);
}

#[test]
fn a_reinvite_that_is_refused_moves_no_target() {
    let mut world = World::pair(1, Transport::Udp);
    let bobs = standing(&mut world);
    let tag = bobs_tag(&world);
    for (number, port, body, status) in [
        (2, 6001, &b""[..], 200),
        (3, 6002, &b""[..], 491),
        (4, 6003, &b"v=0\r\nnonsense"[..], 400),
    ] {
        if number == 4 {
            send(&mut world, BOB, to_bob(Method::Ack, 2, &tag).to_bytes());
        }
        let mut reinvite = to_bob(Method::Invite, number, &tag);
        reinvite.headers.remove(&HeaderName::Contact);
        let contact = format!("<sip:carol@192.0.2.3:{port}>");
        push(&mut reinvite.headers, HeaderName::Contact, &contact);
        if !body.is_empty() {
            reinvite.set_body(&ContentType::sdp(), bytes::Bytes::from_static(body));
        }
        send(&mut world, BOB, reinvite.to_bytes());
        assert_eq!(latest_status(&world, &Method::Invite), Some(status));
    }
    world
        .act(BOB, |bob, now| bob.hang_up(now, bobs))
        .expect("it stands");
    world.run(SECOND / 100);
    let bye = world
        .received
        .iter()
        .rev()
        .find(|(_, bytes)| bytes.starts_with(b"BYE"));
    assert_eq!(bye.map(|(to, _)| *to), Some(address(3, 6001)));
}

/// The times at which re-INVITEs are sent that meet 491 again and again.
fn waits(world: &mut World, from: std::net::SocketAddr, invite: Option<&Request>) -> Vec<Duration> {
    let mut sent: Vec<(u32, Instant)> = Vec::new();
    let until = world.now + SECOND * 25;
    while world.now < until {
        world.run(Duration::from_millis(10));
        let Some(latest) = requests(world, &Method::Invite).pop() else {
            continue;
        };
        let is_reinvite = latest.headers.to().expect("a To").tag().is_some();
        let CSeq { number, .. } = latest.headers.required().expect("a CSeq");
        if is_reinvite && sent.iter().all(|(known, _)| *known != number) {
            sent.push((number, world.now));
            let tag = if invite.is_some() { "carol" } else { "x" };
            let pending = reply(&latest, StatusCode::REQUEST_PENDING, tag);
            send(world, from, pending.to_bytes());
        }
    }
    sent.windows(2).map(|pair| pair[1].1 - pair[0].1).collect()
}

#[test]
fn glare_is_waited_out_longer_by_the_end_that_made_the_call() {
    let slack = Duration::from_millis(40);
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    let accepted = answering(&invite, StatusCode::OK, "carol");
    send(&mut world, ALICE, accepted.to_bytes());
    established(&mut world, ALICE, alices);
    world
        .act(ALICE, |alice, now| alice.hold(now, alices))
        .expect("it stands");
    let of_caller = waits(&mut world, ALICE, Some(&invite));
    assert!(of_caller.len() >= 5, "{of_caller:?}");
    for wait in &of_caller {
        assert!(*wait >= Duration::from_millis(2_100), "{of_caller:?}");
        assert!(*wait <= SECOND * 4 + slack, "{of_caller:?}");
    }

    let mut world = World::pair(1, Transport::Udp);
    let bobs = standing(&mut world);
    world
        .act(BOB, |bob, now| bob.hold(now, bobs))
        .expect("it stands");
    let of_called = waits(&mut world, BOB, None);
    assert!(of_called.len() >= 10, "{of_called:?}");
    assert!(
        of_called.iter().all(|wait| *wait <= SECOND * 2 + slack),
        "{of_called:?}"
    );
    let distinct: std::collections::BTreeSet<_> = of_called.iter().collect();
    assert!(distinct.len() > 3, "drawn at random");
}

#[test]
fn a_far_end_that_asks_within_a_call_that_is_over_hears_481() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    let accepted = answering(&invite, StatusCode::OK, "carol");
    send(&mut world, ALICE, accepted.to_bytes());
    world
        .act(ALICE, |alice, now| alice.hang_up(now, alices))
        .expect("it stands");
    world.run(SECOND / 100);
    for (number, method) in [(1, Method::Invite), (2, Method::Update)] {
        let request = to_alice(&invite, "carol", method.clone(), number);
        send(&mut world, ALICE, request.to_bytes());
        assert_eq!(latest_status(&world, &method), Some(481), "{method}");
    }
    let bye = requests(&world, &Method::Bye).pop().expect("a BYE");
    send(
        &mut world,
        ALICE,
        reply(&bye, StatusCode::OK, "carol").to_bytes(),
    );
    send(
        &mut world,
        ALICE,
        to_alice(&invite, "carol", Method::Bye, 3).to_bytes(),
    );
    assert_eq!(latest_status(&world, &Method::Bye), Some(481));
}
