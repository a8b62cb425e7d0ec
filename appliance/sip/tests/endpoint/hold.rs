//! Hold and resume by re-INVITE, glare included.

use std::time::Duration;

use room::codec::Direction;
use sip::endpoint::{CallId, Event};
use sip::grammar::{Method, StatusCode};
use sip::offer_answer::PeerHold;
use sip::transport::Transport;

use crate::calls::{assert_nothing_is_left, call};
use crate::carol::{alice_alone, alice_calls_carol, answering, reply, requests, send};
use crate::world::{ALICE, BOB, World};

/// The audio direction and the hold that one side has last been told.
fn latest(world: &mut World, at: std::net::SocketAddr) -> (Direction, PeerHold) {
    world
        .events(at)
        .iter()
        .rev()
        .find_map(|event| match event {
            Event::MediaChanged { media, .. } | Event::Established { media, .. } => media
                .streams
                .audio
                .as_ref()
                .map(|audio| (audio.direction, media.peer_hold)),
            _ => None,
        })
        .expect("the call was established")
}

fn wait_for_hold(world: &mut World, at: std::net::SocketAddr, call: CallId) {
    world.wait_for(at, |event| match event {
        Event::HoldSucceeded { call: this } if *this == call => Some(()),
        _ => None,
    });
}

#[test]
fn a_hold_stops_the_peer_and_a_resumption_lets_it_send_again() {
    for transport in [Transport::Udp, Transport::Tls] {
        let mut world = World::pair(1, transport);
        let (alices, _) = call(&mut world);
        world
            .act(ALICE, |alice, now| alice.hold(now, alices))
            .unwrap();
        wait_for_hold(&mut world, ALICE, alices);
        assert_eq!(latest(&mut world, ALICE).0, Direction::SendOnly);
        assert_eq!(latest(&mut world, BOB), (Direction::RecvOnly, PeerHold::On));
        world
            .act(ALICE, |alice, now| alice.resume(now, alices))
            .unwrap();
        world.run(Duration::from_secs(2));
        assert_eq!(
            latest(&mut world, ALICE),
            (Direction::SendRecv, PeerHold::Off)
        );
        assert_eq!(
            latest(&mut world, BOB),
            (Direction::SendRecv, PeerHold::Off)
        );
    }
}

#[test]
fn holding_twice_is_already_so_and_sends_nothing() {
    let mut world = World::pair(2, Transport::Udp);
    let (alices, _) = call(&mut world);
    world
        .act(ALICE, |alice, now| alice.hold(now, alices))
        .unwrap();
    wait_for_hold(&mut world, ALICE, alices);
    let sent = world.sent.len();
    world
        .act(ALICE, |alice, now| alice.hold(now, alices))
        .unwrap();
    world.run(Duration::from_millis(100));
    assert_eq!(world.sent.len(), sent);
}

#[test]
fn both_sides_that_hold_at_once_are_both_held_in_the_end() {
    for seed in 0..20 {
        let mut world = World::pair(seed, Transport::Udp);
        let (alices, bobs) = call(&mut world);
        world.run(Duration::from_secs(1));
        world
            .act(ALICE, |alice, now| alice.hold(now, alices))
            .unwrap();
        world.act(BOB, |bob, now| bob.hold(now, bobs)).unwrap();
        wait_for_hold(&mut world, ALICE, alices);
        wait_for_hold(&mut world, BOB, bobs);
        world.run(Duration::from_secs(1));
        assert_eq!(
            latest(&mut world, ALICE),
            (Direction::Inactive, PeerHold::On),
            "seed {seed}"
        );
        assert_eq!(
            latest(&mut world, BOB),
            (Direction::Inactive, PeerHold::On),
            "seed {seed}"
        );
        world
            .act(ALICE, |alice, now| alice.hang_up(now, alices))
            .unwrap();
        assert_nothing_is_left(&mut world);
    }
}

#[test]
fn a_change_of_mind_while_a_hold_is_under_way_ends_as_it_was_wanted_last() {
    let mut world = World::pair(3, Transport::Udp);
    let (alices, _) = call(&mut world);
    world.act(ALICE, |alice, now| {
        alice.hold(now, alices).unwrap();
        alice.resume(now, alices).unwrap();
    });
    world.run(Duration::from_secs(3));
    assert_eq!(
        latest(&mut world, ALICE),
        (Direction::SendRecv, PeerHold::Off)
    );
    assert_eq!(
        latest(&mut world, BOB),
        (Direction::SendRecv, PeerHold::Off)
    );
}

/// Alice in a call with Carol, whom she asks to hold it; Carol has got that, and says no more.
fn unanswered_hold() -> (World, CallId, sip::grammar::Request) {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    let accepted = answering(&invite, StatusCode::OK, "c");
    send(&mut world, ALICE, accepted.to_bytes());
    world
        .act(ALICE, |alice, now| alice.hold(now, alices))
        .expect("the call stands");
    world.run(Duration::from_millis(20));
    let hold = requests(&world, &Method::Invite).pop().expect("it arrived");
    let trying = sip::grammar::Response::to(&hold, StatusCode::TRYING);
    send(&mut world, ALICE, trying.to_bytes());
    (world, alices, hold)
}

/// Carol answers the OPTIONS by which Alice asks whether she is still there.
fn run_alive(world: &mut World, time: Duration) {
    let until = world.now + time;
    let mut answered = 0;
    while world.now < until {
        world.run(Duration::from_millis(500));
        let asked = requests(world, &Method::Options);
        for options in &asked[answered..] {
            let alive = reply(options, StatusCode::OK, "c").to_bytes();
            send(world, ALICE, alive);
        }
        answered = asked.len();
    }
}

fn hold_failed(world: &mut World) -> bool {
    let mut events = world.events(ALICE).iter();
    events.any(|event| matches!(event, Event::HoldFailed { .. }))
}

#[test]
fn a_hold_that_is_not_answered_is_cancelled_and_can_be_asked_for_again() {
    let (mut world, alices, hold) = unanswered_hold();
    run_alive(&mut world, Duration::from_secs(50));
    assert_eq!(requests(&world, &Method::Cancel).len(), 0);
    run_alive(&mut world, Duration::from_secs(11));
    let cancel = requests(&world, &Method::Cancel)
        .pop()
        .expect("it is cancelled");
    send(
        &mut world,
        ALICE,
        reply(&cancel, StatusCode::OK, "c").to_bytes(),
    );
    let terminated = reply(&hold, StatusCode::REQUEST_TERMINATED, "c");
    send(&mut world, ALICE, terminated.to_bytes());
    assert!(hold_failed(&mut world));

    world
        .act(ALICE, |alice, now| alice.hold(now, alices))
        .expect("the call stands");
    world.run(Duration::from_millis(20));
    assert_eq!(requests(&world, &Method::Invite).len(), 3);
}

#[test]
fn a_cancelled_hold_that_is_accepted_at_the_last_moment_counts() {
    let (mut world, alices, hold) = unanswered_hold();
    run_alive(&mut world, Duration::from_secs(61));
    assert_eq!(requests(&world, &Method::Cancel).len(), 1);
    let accepted = answering(&hold, StatusCode::OK, "c");
    send(&mut world, ALICE, accepted.to_bytes());
    wait_for_hold(&mut world, ALICE, alices);
    assert!(!hold_failed(&mut world));
}

#[test]
fn a_cancelled_hold_that_is_never_spoken_of_again_counts_as_refused() {
    let (mut world, alices, _) = unanswered_hold();
    run_alive(&mut world, Duration::from_secs(61 + 33));
    assert!(hold_failed(&mut world));
    world
        .act(ALICE, |alice, now| alice.hang_up(now, alices))
        .expect("the call stands");
    world.run(Duration::from_millis(20));
    assert_eq!(requests(&world, &Method::Bye).len(), 1);
}
