//! A far end that is gone without a word is noticed, and one that is only silent is left in peace.

use std::time::Duration;

use netem::{LinkConditions, Loss, Probability};
use sip::endpoint::CallEndCause;
use sip::transport::Transport;

use crate::calls::{assert_nothing_is_left, call, ended};
use crate::world::{ALICE, BOB, World, account, settings};

const TRANSPORTS: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

/// Bob loses his power: nothing that is sent to him is answered.
fn power_off(world: &mut World) {
    world.nodes.retain(|node| node.address != BOB);
}

#[test]
fn a_peer_that_loses_its_power_is_noticed_about_a_minute_after_its_last_word() {
    for transport in TRANSPORTS {
        let mut world = World::pair(1, transport);
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
fn a_peer_that_has_forgotten_the_call_is_not_held_to_it() {
    for transport in TRANSPORTS {
        let mut world = World::pair(2, transport);
        let (alices, _) = call(&mut world);
        power_off(&mut world);
        world.add(settings(account("bob", transport), BOB), BOB);
        let cause = ended(&mut world, ALICE, alices);
        // Over a connection that the new Bob knows nothing of, nobody answers at all.
        let expected = match transport {
            Transport::Udp => CallEndCause::Forgotten,
            Transport::Tcp | Transport::Tls => CallEndCause::Timeout,
        };
        assert_eq!(cause, expected, "{transport}");
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
    for transport in TRANSPORTS {
        let mut world = World::pair(3, transport);
        let (alices, bobs) = call(&mut world);
        world.sent.clear();
        world.run(Duration::from_secs(2 * 60 * 60));

        let options = world
            .sent
            .iter()
            .filter(|(_, _, bytes)| bytes.starts_with(b"OPTIONS"));
        assert!(
            options.count() <= 2 * 2 * 60 * 2,
            "each asks twice a minute at most"
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
    let mut world = World::pair(4, Transport::Udp);
    let (alices, bobs) = call(&mut world);
    world.network.set_default_conditions(bad);
    world.run(Duration::from_secs(60 * 60));
    for (at, call) in [(ALICE, alices), (BOB, bobs)] {
        let held = world.act(at, |endpoint, now| endpoint.hold(now, call));
        assert_eq!(held, Ok(()), "{at} still has the call");
    }
}
