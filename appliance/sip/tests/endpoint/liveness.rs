//! A far end that is gone without a word is noticed, and one that is only silent is left in peace.

use std::time::Duration;

use netem::{LinkConditions, Loss, Probability};
use sip::endpoint::CallEndCause;
use sip::transport::Transport;

use crate::calls::{assert_nothing_is_left, call, ended};
use crate::world::{ALICE, BOB, World, account, settings};

/// How a vanished peer is noticed: by OPTIONS, or by a session timer where both ends have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noticed {
    ByOptions,
    ByTimer,
}

fn cases() -> impl Iterator<Item = (Transport, Noticed)> {
    [Transport::Udp, Transport::Tcp, Transport::Tls]
        .into_iter()
        .flat_map(|transport| {
            [Noticed::ByOptions, Noticed::ByTimer].map(|noticed| (transport, noticed))
        })
}

fn pair(seed: u64, transport: Transport, noticed: Noticed) -> World {
    let mut world = World::pair(seed, transport);
    if noticed == Noticed::ByOptions {
        world.rewrite = |bytes| {
            let text = String::from_utf8(bytes.to_vec()).expect("we write text");
            let text = text.replace("Supported: timer", "Supported: x");
            text.replace("Session-Expires", "X-Session").into()
        };
    }
    world
}

/// Bob loses his power: nothing that is sent to him is answered.
fn power_off(world: &mut World) {
    world.nodes.retain(|node| node.address != BOB);
}

#[test]
fn a_peer_that_loses_its_power_is_noticed_about_a_minute_after_its_last_word() {
    for (transport, noticed_by) in cases() {
        let mut world = pair(1, transport, noticed_by);
        let (alices, _) = call(&mut world);
        power_off(&mut world);
        let gone = world.now;

        assert_eq!(
            ended(&mut world, ALICE, alices),
            CallEndCause::Timeout,
            "{transport}"
        );
        let noticed = world.now - gone;
        assert!(
            noticed <= Duration::from_secs(65),
            "{transport} {noticed:?}"
        );
        assert_nothing_is_left(&mut world);
    }
}

#[test]
fn a_peer_whose_connection_has_closed_is_asked_soon_but_not_before_it_can_be_back() {
    for transport in [Transport::Tcp, Transport::Tls] {
        let mut world = pair(6, transport, Noticed::ByOptions);
        let (alices, _) = call(&mut world);
        world.break_streams(BOB);
        power_off(&mut world);
        let gone = world.now;
        world.run(Duration::from_secs(9));
        let over = |world: &mut World| {
            let mut events = world.events(ALICE).iter();
            events.any(|event| matches!(event, sip::endpoint::Event::Ended { .. }))
        };
        assert!(!over(&mut world), "{transport}: it may come back");
        ended(&mut world, ALICE, alices);
        let noticed = world.now - gone;
        assert!(
            noticed <= Duration::from_secs(45),
            "{transport} {noticed:?}"
        );
        assert_nothing_is_left(&mut world);
    }
}

#[test]
fn a_peer_that_has_forgotten_the_call_is_not_held_to_it() {
    for (transport, noticed) in cases() {
        let mut world = pair(2, transport, noticed);
        let (alices, _) = call(&mut world);
        power_off(&mut world);
        world.add(settings(account("bob", transport), BOB), BOB);
        let cause = ended(&mut world, ALICE, alices);
        // Over a connection that the new Bob knows nothing of, nobody answers at all. And it was
        // for the old Bob, who was called, to refresh the session.
        let expected = match (transport, noticed) {
            (Transport::Udp, Noticed::ByOptions) => CallEndCause::Forgotten,
            (Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss, _)
            | (_, Noticed::ByTimer) => CallEndCause::Timeout,
        };
        assert_eq!(cause, expected, "{transport} {noticed:?}");
        // The next call does not try the dead connection.
        let (alices, _) = call(&mut world);
        assert_eq!(
            world.act(ALICE, |alice, now| alice.hang_up(now, alices)),
            Ok(())
        );
        assert_nothing_is_left(&mut world);
    }
}

#[test]
fn a_silent_call_stands_for_hours_and_costs_few_messages() {
    for (transport, noticed) in cases() {
        let mut world = pair(3, transport, noticed);
        let (alices, bobs) = call(&mut world);
        world.sent.clear();
        world.run(Duration::from_secs(2 * 60 * 60));

        let asked = world
            .sent
            .iter()
            .filter(|(_, _, bytes)| bytes.starts_with(b"OPTIONS") || bytes.starts_with(b"UPDATE"));
        // One end refreshes the session, but each has to ask for itself.
        let ends = match noticed {
            Noticed::ByOptions => 2,
            Noticed::ByTimer => 1,
        };
        assert!(
            asked.count() <= ends * 2 * 60 * 130 / 60,
            "about twice a minute at most"
        );
        for (at, call) in [(ALICE, alices), (BOB, bobs)] {
            world
                .act(at, |endpoint, now| endpoint.hang_up(now, call))
                .ok();
        }
        assert_eq!(
            ended(&mut world, ALICE, alices),
            CallEndCause::Local,
            "{transport}"
        );
        assert_nothing_is_left(&mut world);
    }
}

#[test]
fn a_call_on_a_bad_network_is_not_given_up() {
    let bad = LinkConditions {
        delay: Duration::from_millis(200),
        loss: Loss::Random(Probability::percent(30.0).expect("a percentage")),
        ..LinkConditions::default()
    };
    for noticed in [Noticed::ByOptions, Noticed::ByTimer] {
        let mut world = pair(4, Transport::Udp, noticed);
        let (alices, bobs) = call(&mut world);
        world.network.set_default_conditions(bad);
        world.run(Duration::from_secs(60 * 60));
        for (at, call) in [(ALICE, alices), (BOB, bobs)] {
            let held = world.act(at, |endpoint, now| endpoint.hold(now, call));
            assert_eq!(held, Ok(()), "{at} still has the call");
        }
    }
}
