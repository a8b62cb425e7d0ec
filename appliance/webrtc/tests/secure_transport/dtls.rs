//! DTLS-SRTP with the peer at a settled address.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use netem::{Delivery, LinkConditions, Loss, Probability};
use proptest::prelude::*;
use room::codec::SrtpSuite;
use webrtc::secure_transport::{DtlsFailure, DtlsParameters, DtlsRole};

use crate::world::{World, certificate};

fn conditions(delay: u64, loss: f64) -> LinkConditions {
    LinkConditions {
        delay: Duration::from_millis(delay),
        loss: Loss::Random(Probability::percent(loss).unwrap()),
        ..LinkConditions::default()
    }
}

fn assert_keyed(world: &World) {
    let [one, other] = &world.ends;
    assert_eq!((&one.failures, &other.failures), (&vec![], &vec![]));
    let ([ours], [theirs]) = (&one.keys[..], &other.keys[..]) else {
        panic!("{:?} {:?}", one.keys, other.keys);
    };
    assert_eq!((&ours.local, &ours.remote), (&theirs.remote, &theirs.local));
    assert_ne!(ours.local, ours.remote);
    assert_eq!(ours.local.suite(), SrtpSuite::AeadAes256Gcm);
}

#[test]
fn two_ends_get_the_same_keys_in_three_round_trips_whoever_begins() {
    for (one, other) in [
        (DtlsRole::Active, DtlsRole::Passive),
        (DtlsRole::Passive, DtlsRole::Active),
    ] {
        let mut world = World::new(1, conditions(20, 0.0));
        let start = world.now;
        world.begin(0, one);
        world.begin(1, other);
        world.run(Duration::from_secs(2));
        assert_keyed(&world);
        for end in &world.ends {
            assert!(end.told.unwrap() - start <= Duration::from_millis(3 * 40));
        }
    }
}

#[test]
fn an_end_that_begins_late_is_waited_for() {
    for late in [0, 1] {
        let mut world = World::new(2, conditions(20, 0.0));
        let roles = [DtlsRole::Active, DtlsRole::Passive];
        world.begin(1 - late, roles[1 - late]);
        world.run(Duration::from_secs(4));
        world.begin(late, roles[late]);
        world.run(Duration::from_secs(6));
        assert_keyed(&world);
    }
}

#[test]
fn loss_delays_the_keys_and_nothing_else() {
    for seed in 0..40 {
        let mut world = World::new(seed, conditions(30, 20.0));
        world.begin(0, DtlsRole::Active);
        world.begin(1, DtlsRole::Passive);
        world.run(Duration::from_secs(30));
        assert_keyed(&world);
    }
}

#[test]
fn two_active_and_two_passive_ends_get_no_keys_and_stop() {
    for role in [DtlsRole::Active, DtlsRole::Passive] {
        let mut world = World::new(3, conditions(5, 0.0));
        world.begin(0, role);
        world.begin(1, role);
        world.run(Duration::from_secs(60));
        for end in &world.ends {
            assert!(end.keys.is_empty());
            assert_eq!(end.failures.len(), 1, "{:?}", end.failures);
        }
        let sent = world.network.counters().sent;
        world.run(Duration::from_secs(600));
        assert_eq!(world.network.counters().sent, sent);
    }
}

#[test]
fn another_certificate_than_the_agreed_one_gets_no_keys() {
    for role in [DtlsRole::Active, DtlsRole::Passive] {
        let mut world = World::new(4, conditions(5, 0.0));
        let peer_certificate = certificate().fingerprint();
        world.begin_with(
            0,
            DtlsParameters {
                role,
                peer_certificate,
            },
        );
        world.begin(
            1,
            match role {
                DtlsRole::Active => DtlsRole::Passive,
                DtlsRole::Passive => DtlsRole::Active,
            },
        );
        world.run(Duration::from_secs(60));
        let deceived = &world.ends[0];
        assert!(deceived.keys.is_empty());
        assert_eq!(deceived.failures, [DtlsFailure::OtherCertificate]);
    }
}

#[test]
fn a_peer_that_is_never_heard_is_given_up_after_half_a_minute() {
    for role in [DtlsRole::Active, DtlsRole::Passive] {
        let mut world = World::new(5, conditions(5, 0.0));
        let start = world.now;
        world.begin(0, role);
        world.run(Duration::from_secs(120));
        let end = &world.ends[0];
        assert_eq!(end.failures, [DtlsFailure::TimedOut]);
        assert!(end.told.unwrap() - start <= Duration::from_secs(30));
    }
}

#[test]
fn a_peer_that_vanishes_in_the_handshake_is_given_up() {
    let mut world = World::new(6, conditions(100, 0.0));
    world.begin(0, DtlsRole::Passive);
    world.begin(1, DtlsRole::Active);
    world.run(Duration::from_millis(150));
    world.ends[1].transport = None;
    world.run(Duration::from_secs(60));
    assert_eq!(world.ends[0].failures, [DtlsFailure::TimedOut]);
}

#[test]
fn a_stranger_is_not_heard() {
    let mut world = World::new(7, conditions(20, 0.0));
    let mut elsewhere = World::new(7, conditions(20, 0.0));
    elsewhere.begin(0, DtlsRole::Active);
    let sent = elsewhere.network.next_delivery().unwrap();
    let Some(Delivery::Datagram { payload: hello, .. }) = elsewhere.network.deliver(sent) else {
        panic!("nothing is sent");
    };
    world.begin(1, DtlsRole::Passive);
    let stranger = SocketAddr::from(([203, 0, 113, 9], 9));
    let to = world.ends[1].address;
    world.receive(stranger, to, &hello);
    world.run(Duration::from_secs(1));
    assert_eq!(world.network.counters().sent, 0);
    world.begin(0, DtlsRole::Active);
    world.run(Duration::from_secs(2));
    assert_keyed(&world);
}

#[test]
fn media_passes_by_before_and_after_the_keys() {
    let mut world = World::new(8, conditions(5, 0.0));
    let [one, other] = [world.ends[0].address, world.ends[1].address];
    world.begin(1, DtlsRole::Passive);
    let rtp = Bytes::from_static(&[0x80, 0, 0, 1]);
    world.receive(one, other, &rtp);
    world.begin(0, DtlsRole::Active);
    world.run(Duration::from_secs(2));
    world.receive(one, other, &rtp);
    assert_eq!(world.ends[1].media, [rtp.clone(), rtp]);
    assert_keyed(&world);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn nonsense_never_panics_and_yields_no_keys(
        role in prop_oneof![Just(DtlsRole::Active), Just(DtlsRole::Passive)],
        datagrams in prop::collection::vec(
            (20_u8..64, prop::collection::vec(any::<u8>(), 0..64)),
            1..20,
        ),
    ) {
        let mut world = World::new(9, conditions(5, 0.0));
        world.begin(1, role);
        let [one, other] = [world.ends[0].address, world.ends[1].address];
        for (first, rest) in datagrams {
            let datagram = [vec![first, 0xfe, 0xfd], rest].concat();
            world.receive(one, other, &datagram.into());
            world.run(Duration::from_millis(10));
        }
        prop_assert!(world.ends[1].keys.is_empty());
    }
}
