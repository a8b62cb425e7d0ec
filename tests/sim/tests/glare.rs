//! Two rooms whose people press the join button at the same moment, each calling the other: one call
//! comes of it, whatever the network and whoever was first.

use std::time::Duration;

use netem::{LinkConditions, Loss, Probability};
use proptest::prelude::*;
use room::{LegState, Request};
use sim::{RoomName, RoomSetup, Signalling, World};

use RoomName::{Board, Lobby};

/// Long enough for a call on a network that loses nothing.
const SOON: Duration = Duration::from_secs(5);
/// Longer than anything that a transaction waits for.
const EVERY_TIME_OUT: Duration = Duration::from_secs(70);

fn signallings() -> impl Strategy<Value = Signalling> {
    prop_oneof![
        Just(Signalling::Udp),
        Just(Signalling::Tcp),
        Just(Signalling::Tls)
    ]
}

fn conditions(largest_loss: f64) -> impl Strategy<Value = LinkConditions> {
    (0.0..=largest_loss, 0_u64..150, 0_u64..100).prop_map(|(loss, delay, jitter)| LinkConditions {
        delay: Duration::from_millis(delay),
        jitter: Duration::from_millis(jitter),
        loss: Loss::Random(Probability::percent(loss).expect("a percentage")),
        ..LinkConditions::default()
    })
}

/// Both press, the second one a little later. One leg each, of the same call, is left.
fn one_call_comes_of_it(
    seed: u64,
    rooms: [RoomSetup; 2],
    conditions: LinkConditions,
    (first, second): (RoomName, RoomName),
    apart: Duration,
    settled: Duration,
) -> Result<(), TestCaseError> {
    let mut world = World::new(seed, &rooms);
    world.set_conditions(conditions);
    world.request(first, Request::Join);
    world.run_for(apart);
    world.request(second, Request::Join);
    world.run_for(settled);
    world.set_conditions(LinkConditions::default());
    world.run_for(SOON);
    for name in [Lobby, Board] {
        let legs = world.snapshot(name).legs;
        prop_assert_eq!(legs.len(), 1, "{:?}: {:#?}\n{}", name, legs, world.story());
        prop_assert_eq!(legs[0].state, LegState::Established, "{}", world.story());
        prop_assert_eq!(
            world.room(name).endpoint_counts().calls,
            1,
            "{}",
            world.story()
        );
    }
    Ok(())
}

fn facing(signalling: Signalling) -> [RoomSetup; 2] {
    let room = |name, other| RoomSetup::new(name, signalling).answering().joining(other);
    [room(Lobby, Board), room(Board, Lobby)]
}

proptest! {
    #[test]
    fn two_rooms_that_call_each_other_at_once_hold_one_call(
        seed in any::<u64>(),
        signalling in signallings(),
        conditions in conditions(0.0),
        lobby_first in any::<bool>(),
        apart in 0_u64..=200,
    ) {
        let order = if lobby_first { (Lobby, Board) } else { (Board, Lobby) };
        let rooms = facing(signalling);
        one_call_comes_of_it(seed, rooms, conditions, order, Duration::from_millis(apart), SOON)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn they_hold_one_call_also_where_messages_are_lost(
        seed in any::<u64>(),
        signalling in signallings(),
        conditions in conditions(15.0),
        lobby_first in any::<bool>(),
        apart in 0_u64..=200,
    ) {
        let order = if lobby_first { (Lobby, Board) } else { (Board, Lobby) };
        let rooms = facing(signalling);
        one_call_comes_of_it(seed, rooms, conditions, order, Duration::from_millis(apart), EVERY_TIME_OUT)?;
    }
}
