//! Two rooms in a call settle who shows slides, over the network and in virtual time.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use netem::{LinkConditions, Loss, Probability};
use proptest::prelude::*;
use room::media_plan::SlidesState;
use room::snapshot::{SlidesSending, VideoFlow};
use room::{Admission, FloorChange as F, LegState, Request};
use sim::{RoomName, RoomSetup, Signalling, World};
use sip::bfcp::{ConferenceId, Content, Message, TransactionId, TransactionRole, UserId, timers};

use RoomName::{Board, Lobby};

const SHOW: Request = Request::SetSlides(SlidesState::On);
const STOP: Request = Request::SetSlides(SlidesState::Off);

/// Long enough for a few messages on a good network.
const SOON: Duration = Duration::from_secs(1);
/// A request, its retransmissions, and the wait after the last (RFC 8855 section 8.3), four times.
const EVERY_RETRANSMISSION: Duration = Duration::from_secs(4 * 15 / 2);

fn setup(name: RoomName, signalling: Signalling) -> RoomSetup {
    RoomSetup::new(name, signalling).answering().joining(Board)
}

/// The lobby has called the board room, and both share content.
fn call(seed: u64, signalling: Signalling) -> World {
    let rooms = [Lobby, Board].map(|name| setup(name, signalling).sharing_content());
    let mut world = World::new(seed, &rooms);
    establish(&mut world);
    world
}

fn establish(world: &mut World) {
    world.request(Lobby, Request::Join);
    world.wait_until("the call stands", SOON, |world| {
        [Lobby, Board].map(|name| world.leg_state(name)) == [Some(LegState::Established); 2]
    });
    world.run_for(SOON);
}

fn last_change(world: &World, name: RoomName) -> Option<F> {
    world.room(name).floor_changes().last().copied()
}

fn wait_for_floor(world: &mut World, lobby: F, board: F, limit: Duration) {
    let wanted = [Some(lobby), Some(board)];
    world.wait_until(&format!("the floor is {wanted:?}"), limit, |world| {
        [Lobby, Board].map(|name| last_change(world, name)) == wanted
    });
}

#[test]
fn the_floor_goes_from_one_room_to_the_other_and_back() {
    for signalling in [Signalling::Udp, Signalling::Tcp, Signalling::Tls] {
        let mut world = call(1, signalling);
        world.request(Lobby, SHOW);
        wait_for_floor(&mut world, F::Ours, F::Theirs, SOON);
        world.request(Lobby, STOP);
        wait_for_floor(&mut world, F::Free, F::Free, SOON);
        world.request(Board, SHOW);
        wait_for_floor(&mut world, F::Theirs, F::Ours, SOON);
        // Whoever presses last shows.
        world.request(Lobby, SHOW);
        wait_for_floor(&mut world, F::Ours, F::Theirs, SOON);
        world.request(Board, SHOW);
        wait_for_floor(&mut world, F::Theirs, F::Ours, SOON);
    }
}

/// Whether a room sees slides of the other at this moment.
fn sees_slides(world: &World, name: RoomName) -> bool {
    let room = world.room(name);
    let leg = world.leg(name);
    let shown = room.snapshot().legs[0].slides;
    let flows = shown.is_some_and(|slides| slides.stream.flow == VideoFlow::Flowing);
    assert_eq!(flows, room.media().last_slide(leg).is_some(), "{name:?}");
    flows
}

#[test]
fn slides_are_seen_by_the_other_room_only_and_only_while_they_are_shown() {
    let mut world = call(6, Signalling::Tls);
    for (name, other) in [(Lobby, Board), (Board, Lobby)] {
        assert_eq!(world.request(name, SHOW), Admission::Accepted { leg: None });
        world.wait_until("the slides are seen", SOON, |world| {
            sees_slides(world, other)
        });
        assert!(!sees_slides(&world, name));
        let sending = |world: &World, name| world.room(name).snapshot().slides;
        assert_eq!(sending(&world, name), SlidesSending::Sending);
        assert_eq!(sending(&world, other), SlidesSending::Off);
        world.request(name, STOP);
        world.wait_until("the slides end", 3 * SOON, |world| {
            !sees_slides(world, other)
        });
    }
}

#[test]
fn whoever_presses_last_is_seen_and_the_other_knows_that_it_is_not() {
    let mut world = call(7, Signalling::Tls);
    world.request(Lobby, SHOW);
    world.wait_until("the board room sees", SOON, |world| {
        sees_slides(world, Board)
    });
    world.request(Board, SHOW);
    world.wait_until("the lobby sees", 3 * SOON, |world| {
        sees_slides(world, Lobby) && !sees_slides(world, Board)
    });
    assert_eq!(world.room(Lobby).snapshot().slides, SlidesSending::Off);
}

#[test]
fn a_hold_and_its_end_leave_the_floor_where_it_is() {
    let mut world = call(2, Signalling::Tls);
    world.request(Board, SHOW);
    wait_for_floor(&mut world, F::Theirs, F::Ours, SOON);
    let leg = world.leg(Lobby);
    world.request(Lobby, Request::Hold { leg });
    world.run_for(SOON);
    world.request(Lobby, Request::Resume { leg });
    world.run_for(SOON);
    wait_for_floor(&mut world, F::Theirs, F::Ours, SOON);
    world.request(Board, STOP);
    wait_for_floor(&mut world, F::Free, F::Free, SOON);
}

#[test]
fn a_room_that_does_not_share_content_calls_as_before_and_has_no_floor() {
    let rooms = [
        setup(Lobby, Signalling::Tls).sharing_content(),
        setup(Board, Signalling::Tls),
    ];
    let mut world = World::new(3, &rooms);
    establish(&mut world);
    for name in [Lobby, Board] {
        world.request(name, SHOW);
    }
    world.run_for(SOON);
    for name in [Lobby, Board] {
        assert_eq!(world.room(name).floor_changes(), []);
        assert_eq!(world.room(name).floor_ports(), []);
    }
}

#[test]
fn a_far_end_that_loses_power_is_told_to_be_unreachable_and_its_floor_ends_with_the_call() {
    let mut world = call(4, Signalling::Tls);
    world.request(Board, SHOW);
    wait_for_floor(&mut world, F::Theirs, F::Ours, SOON);
    world.power_off(Board);
    world.request(Lobby, SHOW);
    world.wait_until("it does not answer", EVERY_RETRANSMISSION, |world| {
        world.room(Lobby).floor_changes().contains(&F::Unreachable)
    });
    let leg = world.leg(Lobby);
    world.request(Lobby, Request::HangUp { leg: Some(leg) });
    world.run_for(Duration::from_secs(70));
    assert_eq!(world.room(Lobby).floor_ports(), []);
}

#[test]
fn messages_from_elsewhere_do_not_move_the_floor() {
    let mut world = call(5, Signalling::Tls);
    world.request(Board, SHOW);
    wait_for_floor(&mut world, F::Theirs, F::Ours, SOON);
    let stranger: SocketAddr = ([203, 0, 113, 9], 6_000).into();
    for name in [Lobby, Board] {
        let before = world.room(name).floor_changes().len();
        let (port, _) = world.room(name).floor_ports()[0];
        // Every conference that the seed could have given out is not to be tried: the address decides.
        let goodbye = Message {
            conference: ConferenceId(1),
            transaction: TransactionId(1),
            user: UserId(2),
            role: TransactionRole::Initiator,
            content: Content::Goodbye,
        };
        for datagram in goodbye.to_datagrams(1_200) {
            world.inject(stranger, port, datagram);
        }
        world.inject(stranger, port, Bytes::from_static(b"noise"));
        world.run_for(SOON);
        assert_eq!(world.room(name).floor_changes().len(), before);
        assert!(
            world.story().contains("203.0.113.9:6000 is not the peer"),
            "{}",
            world.story()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever is pressed while messages are lost: afterwards never both have the floor, and who
    /// wants it alone gets it.
    #[test]
    fn never_both_have_the_floor_where_messages_are_lost(
        seed in any::<u64>(),
        loss in 0.0..=30.0,
        presses in prop::collection::vec((any::<bool>(), any::<bool>(), 0_u64..800), 1..12),
    ) {
        let mut world = call(seed, Signalling::Tls);
        world.set_conditions(LinkConditions {
            delay: Duration::from_millis(30),
            loss: Loss::Random(Probability::percent(loss).expect("a percentage")),
            ..LinkConditions::default()
        });
        for (lobby, wants, pause) in presses {
            let name = if lobby { Lobby } else { Board };
            if wants {
                world.request(name, SHOW);
            } else {
                world.request(name, STOP);
            }
            world.run_for(Duration::from_millis(pause));
        }
        world.set_conditions(LinkConditions::default());
        world.run_for(EVERY_RETRANSMISSION + timers::T2);
        let has = |world: &World, name| last_change(world, name) == Some(F::Ours);
        prop_assert!(!(has(&world, Lobby) && has(&world, Board)), "{}", world.story());
        world.request(Lobby, STOP);
        world.run_for(SOON);
        world.request(Board, SHOW);
        world.run_for(EVERY_RETRANSMISSION + timers::T2);
        prop_assert!(has(&world, Board), "{}", world.story());
        prop_assert!(!has(&world, Lobby), "{}", world.story());
        prop_assert!(sees_slides(&world, Lobby), "{}", world.story());
        prop_assert!(!sees_slides(&world, Board), "{}", world.story());
    }
}
