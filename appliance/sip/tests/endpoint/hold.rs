//! Hold and resume by re-INVITE, glare included.

use std::time::Duration;

use room::codec::Direction;
use sip::endpoint::{CallId, Event};
use sip::offer_answer::PeerHold;
use sip::transport::Transport;

use crate::calls::{assert_nothing_is_left, call};
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
