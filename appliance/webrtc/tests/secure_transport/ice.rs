//! The way to the peer: found, kept, lost and found anew.

use std::net::SocketAddr;
use std::time::Duration;

use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceCreds, Protocol};
use netem::{Delivery, LinkConditions, Loss, Probability};
use proptest::prelude::*;
use webrtc::secure_transport::{IceFailure, IceParameters, IceRole};

use crate::ice_world::{World, credentials, host};

const ROLES: [IceRole; 2] = [IceRole::Controlling, IceRole::Controlled];

fn conditions(delay: u64, loss: f64) -> LinkConditions {
    LinkConditions {
        delay: Duration::from_millis(delay),
        loss: Loss::Random(Probability::percent(loss).unwrap()),
        ..LinkConditions::default()
    }
}

fn ipv4() -> [SocketAddr; 2] {
    [
        SocketAddr::from(([192, 0, 2, 1], 40_000)),
        SocketAddr::from(([192, 0, 2, 2], 50_000)),
    ]
}

fn world(seed: u64, delay: u64, loss: f64) -> World {
    World::new(seed, conditions(delay, loss), ipv4())
}

fn begin(world: &mut World) {
    world.begin(0, IceRole::Controlling);
    world.begin(1, IceRole::Controlled);
}

fn assert_connected(world: &World) {
    for (this, other) in [(0, 1), (1, 0)] {
        let (this, other) = (&world.ends[this], &world.ends[other]);
        assert_eq!(this.failures, []);
        assert_eq!(this.selected.last(), Some(&other.address));
        let component = this.component.as_ref().unwrap();
        assert_eq!(component.selected(), Some(other.address));
        assert!(component.is_proven(other.address));
    }
}

#[test]
fn two_ends_select_the_one_pair_over_ipv4_and_ipv6() {
    let ipv6 = ["[2001:db8::1]:40000", "[2001:db8::2]:50000"];
    for addresses in [ipv4(), ipv6.map(|text| text.parse().unwrap())] {
        let mut world = World::new(1, conditions(20, 0.0), addresses);
        let start = world.now;
        begin(&mut world);
        world.run(Duration::from_secs(2));
        assert_connected(&world);
        for end in &world.ends {
            assert!(end.told.unwrap() - start <= Duration::from_millis(500));
        }
    }
}

#[test]
fn an_end_that_begins_late_is_waited_for() {
    for late in [0, 1] {
        let mut world = world(2, 20, 0.0);
        world.begin(1 - late, ROLES[1 - late]);
        world.run(Duration::from_secs(10));
        world.begin(late, ROLES[late]);
        world.run(Duration::from_secs(10));
        assert_connected(&world);
    }
}

#[test]
fn loss_delays_the_selection_and_ends_no_consent() {
    for (loss, minutes) in [(20.0, 1), (10.0, 20)] {
        for seed in 0..40 {
            let mut world = world(seed, 30, loss);
            begin(&mut world);
            world.run(Duration::from_secs(60 * minutes));
            assert_connected(&world);
        }
    }
}

#[test]
fn a_conflict_of_roles_is_settled_and_stays_settled_through_a_restart() {
    for role in ROLES {
        let mut world = world(3, 20, 0.0);
        world.begin(0, role);
        world.begin(1, role);
        world.run(Duration::from_secs(10));
        assert_connected(&world);
        let roles = |world: &World| {
            let ends = world.ends.iter();
            ends.map(|end| end.component.as_ref().unwrap().role())
                .collect::<Vec<_>>()
        };
        let settled = roles(&world);
        assert_ne!(settled[0], settled[1]);
        for end in [0, 1] {
            let parameters = world.parameters(end, role, 1);
            world.settle(end, parameters);
        }
        world.run(Duration::from_secs(10));
        assert_connected(&world);
        assert_eq!(roles(&world), settled);
    }
}

#[test]
fn an_address_that_is_dead_is_passed_over_however_good_it_looks() {
    let dead = SocketAddr::from(([198, 51, 100, 9], 50_000));
    for role in ROLES {
        let mut world = world(4, 20, 0.0);
        let mut parameters = world.parameters(0, role, 0);
        parameters.candidates.insert(0, host(dead, u32::MAX));
        world.begin_with(0, parameters);
        world.begin(1, ROLES[usize::from(role == ROLES[0])]);
        world.run(Duration::from_secs(60));
        assert_connected(&world);
        assert!(!world.ends[0].component.as_ref().unwrap().is_proven(dead));
    }
}

#[test]
fn a_peer_whose_description_names_another_address_than_it_sends_from_is_found() {
    let behind_nat = SocketAddr::from(([10, 0, 0, 7], 50_000));
    let mut world = world(5, 20, 0.0);
    let mut parameters = world.parameters(0, IceRole::Controlling, 0);
    parameters.candidates = vec![host(behind_nat, 2_130_706_431)];
    world.begin_with(0, parameters);
    world.begin(1, IceRole::Controlled);
    world.run(Duration::from_secs(5));
    assert_connected(&world);
}

#[test]
fn nobody_there_is_told_after_half_a_minute_and_nothing_is_sent_afterwards() {
    for role in ROLES {
        let mut world = world(6, 20, 0.0);
        let start = world.now;
        world.begin(0, role);
        world.run(Duration::from_secs(60));
        assert_eq!(world.ends[0].failures, [IceFailure::NoPair]);
        assert!(world.ends[0].told.unwrap() - start <= Duration::from_secs(30));
        let sent = world.network.counters().sent;
        world.run(Duration::from_secs(600));
        assert_eq!(world.network.counters().sent, sent);
    }
}

#[test]
fn checks_that_found_nothing_begin_anew_when_the_same_is_agreed_again() {
    let mut world = world(15, 20, 0.0);
    world.begin(0, IceRole::Controlling);
    world.run(Duration::from_secs(60));
    assert_eq!(world.ends[0].failures, [IceFailure::NoPair]);
    // It rang all the time, and somebody accepts.
    world.begin(1, IceRole::Controlled);
    let parameters = world.parameters(0, IceRole::Controlling, 0);
    world.settle(0, parameters);
    world.ends[0].failures.clear();
    world.run(Duration::from_secs(5));
    assert_connected(&world);
}

#[test]
fn lost_consent_does_not_come_back_when_the_same_is_agreed_again() {
    let mut world = world(16, 20, 0.0);
    begin(&mut world);
    world.run(Duration::from_secs(5));
    world.ends[1].is_connected = false;
    world.run(Duration::from_secs(60));
    assert_eq!(world.ends[0].failures, [IceFailure::ConsentLost]);
    world.ends[1].is_connected = true;
    let parameters = world.parameters(0, IceRole::Controlling, 0);
    world.settle(0, parameters);
    world.run(Duration::from_secs(10));
    let component = world.ends[0].component.as_ref().unwrap();
    assert_eq!(component.selected(), None);
}

#[test]
fn a_lite_peer_that_only_answers_is_selected_by_us() {
    let mut world = world(17, 0, 0.0);
    let [ours, theirs] = [world.ends[0].address, world.ends[1].address];
    let creds = |end: usize| {
        let credentials = credentials(end, 0);
        IceCreds {
            ufrag: credentials.username_fragment,
            pass: credentials.password,
        }
    };
    let mut lite = IceAgent::new(creds(1));
    lite.set_ice_lite(true);
    lite.set_remote_credentials(creds(0));
    lite.add_local_candidate(Candidate::host(theirs, "udp").unwrap());
    world.begin(0, IceRole::Controlling);
    for _ in 0..1_000 {
        world.run(Duration::from_millis(100));
        for payload in std::mem::take(&mut world.undelivered) {
            let packet = StunPacket {
                proto: Protocol::Udp,
                source: ours,
                destination: theirs,
                message: StunMessage::parse(&payload).unwrap(),
            };
            lite.handle_packet(world.now, packet);
        }
        lite.handle_timeout(world.now);
        while let Some(answer) = lite.poll_transmit() {
            world.receive(theirs, ours, &Vec::from(answer.contents).into());
        }
    }
    let end = &world.ends[0];
    assert_eq!((&end.selected, &end.failures), (&vec![theirs], &vec![]));
    assert!(lite.state().is_connected());
}

#[test]
fn other_passwords_select_nothing() {
    let mut world = world(7, 20, 0.0);
    world.begin(0, IceRole::Controlling);
    let parameters = world.parameters(1, IceRole::Controlled, 1);
    world.begin_with(1, parameters);
    world.run(Duration::from_secs(60));
    for end in &world.ends {
        assert_eq!(
            (&end.selected, &end.failures),
            (&vec![], &vec![IceFailure::NoPair])
        );
    }
}

#[test]
fn consent_ends_half_a_minute_after_the_peer_has_vanished_and_a_restart_brings_it_back() {
    for vanishing in [0, 1] {
        let mut world = world(8, 20, 0.0);
        begin(&mut world);
        world.run(Duration::from_secs(300));
        assert_connected(&world);
        let vanished = world.now;
        world.ends[vanishing].component = None;
        world.run(Duration::from_secs(60));
        let staying = 1 - vanishing;
        let end = &world.ends[staying];
        assert_eq!(end.failures, [IceFailure::ConsentLost]);
        assert_eq!(end.component.as_ref().unwrap().selected(), None);
        let after = end.told.unwrap() - vanished;
        assert!((Duration::from_secs(20)..=Duration::from_secs(31)).contains(&after));
        // The old passwords are of no more use.
        world.begin(vanishing, ROLES[vanishing]);
        world.run(Duration::from_secs(10));
        assert_eq!(
            world.ends[staying].component.as_ref().unwrap().selected(),
            None
        );
        for end in [0, 1] {
            let parameters = world.parameters(end, ROLES[end], 1);
            world.settle(end, parameters);
            world.ends[end].failures.clear();
        }
        world.run(Duration::from_secs(5));
        assert_connected(&world);
    }
}

#[test]
fn a_peer_that_asks_and_does_not_answer_gives_no_consent() {
    let mut world = world(9, 20, 0.0);
    begin(&mut world);
    world.run(Duration::from_secs(10));
    assert_connected(&world);
    // Its own checks come; what we send is lost.
    world.ends[0].is_connected = false;
    world.run(Duration::from_secs(60));
    assert_eq!(world.ends[0].failures, [IceFailure::ConsentLost]);
}

#[test]
fn a_restart_keeps_the_pair_until_it_selects_one() {
    let mut world = world(10, 20, 0.0);
    begin(&mut world);
    world.run(Duration::from_secs(5));
    let parameters = world.parameters(0, IceRole::Controlling, 1);
    world.settle(0, parameters);
    world.run(Duration::from_secs(5));
    let component = world.ends[0].component.as_ref().unwrap();
    assert_eq!(component.selected(), Some(world.ends[1].address));
    // The peer has moved meanwhile.
    let moved = SocketAddr::from(([192, 0, 2, 77], 50_000));
    world.ends[1].address = moved;
    let mut parameters = world.parameters(0, IceRole::Controlling, 1);
    parameters.remote = credentials(1, 2);
    let theirs = IceParameters {
        local: credentials(1, 2),
        ..world.parameters(1, IceRole::Controlled, 1)
    };
    world.settle(0, parameters);
    world.settle(1, theirs);
    world.run(Duration::from_secs(5));
    assert_connected(&world);
}

#[test]
fn a_candidate_that_comes_later_is_tried_without_a_restart() {
    let mut world = world(11, 20, 0.0);
    let mut parameters = world.parameters(0, IceRole::Controlling, 0);
    let candidates = std::mem::take(&mut parameters.candidates);
    world.begin_with(0, parameters.clone());
    world.run(Duration::from_secs(5));
    assert_eq!(world.network.counters().sent, 0);
    parameters.candidates = candidates;
    world.settle(0, parameters);
    world.begin(1, IceRole::Controlled);
    world.run(Duration::from_secs(5));
    assert_connected(&world);
}

#[test]
fn an_address_of_ours_that_is_no_candidate_is_told() {
    let mut world = world(12, 20, 0.0);
    world.ends[0].address = SocketAddr::from(([0, 0, 0, 0], 40_000));
    world.begin(0, IceRole::Controlling);
    assert_eq!(world.ends[0].failures, [IceFailure::LocalAddress]);
}

#[test]
fn a_check_that_strangers_repeat_from_many_addresses_is_bounded_and_moves_nothing() {
    let mut world = world(13, 20, 0.0);
    world.begin(0, IceRole::Controlling);
    let sent = world.network.next_delivery().unwrap();
    let Some(Delivery::Datagram { payload, .. }) = world.network.deliver(sent) else {
        panic!("nothing is sent");
    };
    world.begin(1, IceRole::Controlled);
    world.run(Duration::from_secs(5));
    assert_connected(&world);
    let to = world.ends[1].address;
    let before = world.network.counters().sent;
    for port in 1..=1_000 {
        let stranger = SocketAddr::from(([203, 0, 113, 9], port));
        world.receive(stranger, to, &payload);
    }
    let answers = world.network.counters().sent - before;
    assert!(answers <= 2 * 32, "{answers}");
    world.run(Duration::from_secs(60));
    assert_connected(&world);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn nonsense_never_panics_and_is_not_answered(
        datagrams in prop::collection::vec(
            (0_u8..4, prop::collection::vec(any::<u8>(), 0..64)),
            1..20,
        ),
    ) {
        let mut world = world(14, 5, 0.0);
        world.begin(1, IceRole::Controlled);
        let [one, other] = [world.ends[0].address, world.ends[1].address];
        for (first, rest) in datagrams {
            let cookie = [0x21, 0x12, 0xa4, 0x42];
            let length = u16::try_from(rest.len()).unwrap().saturating_sub(12).to_be_bytes();
            let datagram = [&[first, 1], &length[..], &cookie, &rest].concat();
            world.receive(one, other, &datagram.into());
            world.run(Duration::from_millis(10));
        }
        prop_assert!(world.ends[1].selected.is_empty());
    }
}
