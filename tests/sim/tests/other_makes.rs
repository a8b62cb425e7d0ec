//! A room among far ends of another make: one that is handed on, one that comes back into its call, one
//! whose caller wants nobody to be asked. What they do not know is no reason to ring anybody twice, nor
//! to lose a call.

mod scripted_peer;

use std::time::Duration;

use room::{EndReason, LegState, Request};
use sim::{RoomName, RoomSetup, Signalling, World};
use sip::grammar::{HeaderName, Method, StatusCode};

use RoomName::{Board, Lobby};
use scripted_peer::{Peer, address};

/// Long enough for a few messages on a good network.
const SOON: Duration = Duration::from_millis(300);
/// Longer than the party that hands a call on has to hang up.
const LATER: Duration = Duration::from_secs(40);

/// The lobby, in a call with a party that may hand it on, and the board room, which answers.
fn handed_on(seed: u64) -> (World, Peer) {
    let lobby = RoomSetup::new(Lobby, Signalling::Udp)
        .answering()
        .transferable();
    let board = RoomSetup::new(Board, Signalling::Udp).answering();
    let mut world = World::new(seed, &[lobby, board]);
    let mut peer = Peer::new(&mut world, 5060);
    peer.call(&mut world, Lobby);
    assert_eq!(legs(&world, Lobby), [LegState::Established]);
    (world, peer)
}

fn legs(world: &World, name: RoomName) -> Vec<LegState> {
    let legs = world.snapshot(name).legs;
    legs.into_iter().map(|leg| leg.state).collect()
}

fn ended(world: &World, name: RoomName) -> Vec<LegState> {
    let legs = world.snapshot(name).last_ended;
    legs.into_iter().map(|leg| leg.state).collect()
}

#[test]
fn a_room_that_is_handed_on_calls_the_other_party_and_leaves_the_first() {
    let (mut world, mut peer) = handed_on(1);
    let board = Board.target(Signalling::Udp);
    peer.refer(&mut world, &format!("<{board}>"));
    peer.run(&mut world, SOON);
    assert_eq!(peer.answers(&Method::Refer), [202]);
    assert_eq!(peer.told, [100, 200], "{}", world.story());
    assert_eq!(legs(&world, Board), [LegState::Established]);
    // Who has handed it on says nothing more; the room hangs up.
    peer.run(&mut world, LATER);
    assert_eq!(legs(&world, Lobby), [LegState::Established]);
    assert_eq!(
        ended(&world, Lobby),
        [LegState::Ended(EndReason::Transferred)]
    );
    assert_eq!(peer.requests(&Method::Bye).len(), 1);
}

#[test]
fn a_party_that_does_not_know_the_call_to_be_replaced_is_not_rung_and_who_asked_hears_so() {
    let (mut world, mut peer) = handed_on(2);
    let board = Board.target(Signalling::Udp);
    let unknown = "Replaces=gone%3Bto-tag%3Da%3Bfrom-tag%3Db";
    peer.refer(&mut world, &format!("<{board}?{unknown}>"));
    peer.run(&mut world, SOON);
    assert_eq!(peer.told, [100, 481], "{}", world.story());
    assert_eq!(legs(&world, Board), []);
    assert_eq!(ended(&world, Board), []);
    // The call goes on, and can be handed on without the other one, as who has asked sees fit.
    peer.run(&mut world, LATER);
    assert_eq!(legs(&world, Lobby), [LegState::Established]);
    peer.refer(&mut world, &format!("<{board}>"));
    peer.run(&mut world, SOON);
    assert_eq!(peer.told, [100, 481, 100, 200], "{}", world.story());
    assert_eq!(legs(&world, Board), [LegState::Established]);
}

#[test]
fn a_party_without_replaces_is_not_rung_either() {
    for status in [
        StatusCode::BAD_EXTENSION,
        StatusCode::FORBIDDEN,
        StatusCode::DECLINE,
    ] {
        let (mut world, mut peer) = handed_on(3);
        let mut other = Peer::new(&mut world, 5070);
        other.refusal = status;
        let replaces = "Replaces=consulted%3Bto-tag%3Da%3Bfrom-tag%3Db";
        let target = address(5070);
        peer.refer(
            &mut world,
            &format!("<sip:other@{target};transport=udp?{replaces}>"),
        );
        for _ in 0..10 {
            peer.run(&mut world, SOON / 10);
            other.run(&mut world, SOON / 10);
        }
        let invites = other.requests(&Method::Invite);
        let [invite] = &invites[..] else {
            panic!("{invites:#?}\n{}", world.story());
        };
        let require = invite.headers.text(&HeaderName::Require);
        assert_eq!(require.as_deref(), Some("replaces"));
        assert_eq!(peer.told, [100, status.code()], "{}", world.story());
        assert_eq!(legs(&world, Lobby), [LegState::Established]);
    }
}

#[test]
fn a_caller_that_wants_nobody_to_be_asked_is_answered_unasked_or_refused() {
    let asks = RoomSetup::new(Lobby, Signalling::Udp);
    for (setup, status, mode) in [(asks, 403, None), (asks.answering(), 200, Some("Auto"))] {
        let mut world = World::new(5, &[setup]);
        let mut peer = Peer::new(&mut world, 5060);
        let wish = [(HeaderName::AnswerMode, "Auto;require")];
        let answer = peer.invite(&mut world, Lobby, &wish);
        assert_eq!(answer.status().code(), status, "{}", world.story());
        assert_eq!(
            answer.headers.text(&HeaderName::AnswerMode).as_deref(),
            mode
        );
        assert_eq!(legs(&world, Lobby).len(), usize::from(mode.is_some()));
        assert!(!peer.answers(&Method::Invite).contains(&180), "it rang");
    }
}

#[test]
fn a_caller_that_is_rung_with_an_offer_gets_media_from_the_answer_on() {
    let mut world = World::new(6, &[RoomSetup::new(Lobby, Signalling::Udp)]);
    let mut peer = Peer::new(&mut world, 5060);
    peer.invite_without_offer(&mut world, Lobby);
    peer.run(&mut world, SOON);
    peer.acknowledge_ringing(&mut world);
    peer.run(&mut world, SOON);
    assert_eq!(peer.answers(&Method::Prack), [200], "{}", world.story());
    let [leg] = &world.snapshot(Lobby).legs[..] else {
        panic!("{}", world.story());
    };
    assert_eq!(leg.state, LegState::Incoming);
    assert_eq!(world.room(Lobby).media().streams(leg.id), None);
    assert_eq!(world.room(Lobby).media().bound_legs(), 1);

    world.request(Lobby, Request::Answer { leg: leg.id });
    peer.run(&mut world, SOON);
    peer.acknowledge(&mut world, 1);
    peer.run(&mut world, SOON);
    assert_eq!(peer.answers(&Method::Invite), [180, 200]);
    assert_eq!(legs(&world, Lobby), [LegState::Established]);
    let streams = world.room(Lobby).media().streams(leg.id);
    assert!(streams.is_some_and(|streams| streams.audio.is_some()));
}

#[test]
fn a_room_that_was_killed_comes_back_to_a_far_end_without_replaces_by_a_new_call() {
    let setup = RoomSetup::new(Lobby, Signalling::Udp);
    let mut world = World::new(4, &[setup]);
    let mut peer = Peer::new(&mut world, 5060);
    let wanted = || Request::Call {
        target: format!("sip:peer@{};transport=udp", address(5060)),
        account: None,
    };
    world.request(Lobby, wanted());
    peer.run(&mut world, SOON);
    assert_eq!(legs(&world, Lobby), [LegState::Established]);
    world.kill_and_restart(&setup);
    // What the service does with the calls that it remembers.
    world.request(Lobby, wanted());
    peer.run(&mut world, SOON);
    let replacing: Vec<bool> = peer
        .requests(&Method::Invite)
        .iter()
        .map(|invite| invite.headers.contains(&HeaderName::Replaces))
        .collect();
    assert_eq!(replacing, [false, true, false], "{}", world.story());
    assert_eq!(legs(&world, Lobby), [LegState::Established]);
}
