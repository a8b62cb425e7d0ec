//! Floor control between two endpoints: agreed by their call, carried by UDP.

use std::net::SocketAddr;
use std::time::Duration;

use netem::{LinkConditions, Loss, Probability};
use room::FloorChange as F;
use sip::endpoint::{ActionError, CallId, Endpoint, EndpointSettings, Event};
use sip::offer_answer::{
    BfcpTcp, CallMedia, ContentPorts, ContentSharing, FloorConnection, LocalMedia, LocalPort,
};
use sip::transport::Transport;
use std::time::Instant;

use crate::calls::{assert_nothing_is_left, ended, established};
use crate::world::{ALICE, BOB, World, account, media_of, room, settings};

const BFCP: u16 = 20_006;

fn sharing(user: &str, address: SocketAddr) -> EndpointSettings {
    let mut account = account(user, Transport::Udp);
    account.capabilities.content = ContentSharing::On;
    settings(account, address)
}

fn media(address: SocketAddr) -> LocalMedia {
    LocalMedia {
        content: Some(ContentPorts {
            slides: LocalPort {
                rtp: 20_004,
                rtcp: 20_005,
            },
            bfcp_udp: BFCP,
            bfcp_tcp: BfcpTcp::Connect,
            certificate: None,
        }),
        ..media_of(address)
    }
}

/// Alice has called Bob, and the sockets for floor control stand.
fn call(seed: u64, conditions: LinkConditions) -> (World, CallId, CallId) {
    let mut world = World::new(seed).with_conditions(conditions);
    world.add(sharing("alice", ALICE), ALICE);
    world.add(sharing("bob", BOB), BOB);
    let target = format!("sip:{BOB}").parse().expect("a SIP URI");
    let alices = world
        .act(ALICE, |alice, now| {
            alice.invite(now, &room(), &target, media(ALICE))
        })
        .expect("the call can be made");
    let bobs = world.incoming(BOB);
    world
        .act(BOB, |bob, now| bob.answer(now, bobs, media(BOB)))
        .expect("it is unanswered");
    for (at, call) in [(ALICE, alices), (BOB, bobs)] {
        let media = established(&mut world, at, call);
        open(&mut world, at, call, &media);
    }
    (world, alices, bobs)
}

fn open(world: &mut World, at: SocketAddr, call: CallId, media: &CallMedia) {
    let control = media.floor_control().expect("both share content");
    let FloorConnection::Udp {
        remote: Some(remote),
    } = control.connection
    else {
        panic!("offers name UDP: {control:?}");
    };
    world
        .floor_ways
        .push((at, call, SocketAddr::new(at.ip(), BFCP), remote));
    world
        .act(at, |endpoint, now| endpoint.floor_channel_opened(now, call))
        .expect("floor control is agreed");
}

fn floor(
    world: &mut World,
    at: SocketAddr,
    action: fn(&mut Endpoint, Instant, CallId) -> Result<(), ActionError>,
    call: CallId,
) {
    world
        .act(at, |endpoint, now| action(endpoint, now, call))
        .expect("the call has a floor");
    world.run(Duration::from_secs(2));
}

/// What an endpoint was told of the floor since the last time.
fn changes(world: &mut World, at: SocketAddr) -> Vec<F> {
    let node = world.node(at);
    let told = node.events.iter().filter_map(|event| match event {
        Event::Floor { change, .. } => Some(*change),
        _ => None,
    });
    let told = told.collect();
    node.events
        .retain(|event| !matches!(event, Event::Floor { .. }));
    told
}

#[test]
fn the_floor_of_a_call_goes_from_one_end_to_the_other() {
    let (mut world, alices, bobs) = call(1, LinkConditions::default());
    floor(&mut world, BOB, Endpoint::request_floor, bobs);
    assert_eq!(changes(&mut world, BOB), [F::Ours]);
    assert_eq!(changes(&mut world, ALICE), [F::Theirs]);
    // Alice waits, and has it when Bob is done.
    floor(&mut world, ALICE, Endpoint::request_floor, alices);
    assert_eq!(changes(&mut world, ALICE), []);
    floor(&mut world, BOB, Endpoint::release_floor, bobs);
    assert_eq!(changes(&mut world, ALICE), [F::Ours]);
    assert_eq!(changes(&mut world, BOB).last(), Some(&F::Theirs));
    // Now Bob waits; Alice, whose server it is, hears of it.
    floor(&mut world, BOB, Endpoint::request_floor, bobs);
    assert_eq!(changes(&mut world, ALICE), [F::PeerWaits]);
    floor(&mut world, ALICE, Endpoint::revoke_floor, alices);
    assert_eq!(changes(&mut world, BOB), [F::NotGranted]);
    floor(&mut world, ALICE, Endpoint::release_floor, alices);
    assert_eq!(changes(&mut world, ALICE), [F::Free]);
    assert_eq!(changes(&mut world, BOB), [F::Free]);
}

#[test]
fn the_server_may_take_the_floor_and_the_client_may_not() {
    let (mut world, alices, bobs) = call(2, LinkConditions::default());
    floor(&mut world, BOB, Endpoint::request_floor, bobs);
    changes(&mut world, BOB);
    floor(&mut world, ALICE, Endpoint::revoke_floor, alices);
    let told = changes(&mut world, BOB);
    assert!(told.contains(&F::NotGranted), "{told:?}");
    assert_eq!(told.last(), Some(&F::Free));
    let refused = world.act(BOB, |bob, now| bob.revoke_floor(now, bobs));
    assert_eq!(refused, Err(ActionError::WrongState));
}

#[test]
fn a_hold_leaves_the_floor_where_it_is_and_the_end_of_the_call_ends_it() {
    let (mut world, alices, bobs) = call(3, LinkConditions::default());
    floor(&mut world, BOB, Endpoint::request_floor, bobs);
    floor(&mut world, ALICE, Endpoint::hold, alices);
    floor(&mut world, ALICE, Endpoint::resume, alices);
    changes(&mut world, BOB);
    floor(&mut world, ALICE, Endpoint::request_floor, alices);
    floor(&mut world, BOB, Endpoint::release_floor, bobs);
    assert_eq!(changes(&mut world, ALICE).last(), Some(&F::Ours));
    world
        .act(ALICE, |alice, now| alice.hang_up(now, alices))
        .expect("it stands");
    ended(&mut world, BOB, bobs);
    for (at, call) in [(ALICE, alices), (BOB, bobs)] {
        let refused = world.act(at, |endpoint, now| endpoint.request_floor(now, call));
        assert_eq!(refused, Err(ActionError::NoFloorControl));
        // Late datagrams find nothing, and hurt nobody.
        world.act(at, |endpoint, now| {
            endpoint.floor_channel_received(now, call, b"late");
        });
    }
    assert_nothing_is_left(&mut world);
    for node in &world.nodes {
        assert_eq!(node.endpoint.next_deadline(), None, "no timer is left");
    }
}

#[test]
fn a_client_that_left_may_return() {
    let (mut world, _, bobs) = call(4, LinkConditions::default());
    floor(&mut world, BOB, Endpoint::request_floor, bobs);
    floor(&mut world, BOB, Endpoint::leave_floor, bobs);
    assert_eq!(changes(&mut world, ALICE), [F::Theirs, F::Free]);
    floor(&mut world, BOB, Endpoint::floor_channel_opened, bobs);
    floor(&mut world, BOB, Endpoint::request_floor, bobs);
    assert_eq!(changes(&mut world, ALICE), [F::Theirs]);
}

#[test]
fn over_a_bad_network_both_ends_still_agree_who_has_the_floor() {
    let percent = |share| Probability::percent(share).expect("a percentage");
    let bad = LinkConditions {
        delay: Duration::from_millis(40),
        jitter: Duration::from_millis(30),
        loss: Loss::Random(percent(20.0)),
        duplication: percent(10.0),
        reordering: percent(10.0),
        held_back: Duration::from_millis(300),
        ..LinkConditions::default()
    };
    let mut granted = 0;
    for seed in 0..20 {
        let (mut world, alices, bobs) = call(seed, bad);
        for _ in 0..4 {
            floor(&mut world, BOB, Endpoint::request_floor, bobs);
            floor(&mut world, ALICE, Endpoint::request_floor, alices);
            floor(&mut world, BOB, Endpoint::release_floor, bobs);
            floor(&mut world, ALICE, Endpoint::release_floor, alices);
        }
        floor(&mut world, BOB, Endpoint::request_floor, bobs);
        world.run(Duration::from_secs(60));
        let bob = changes(&mut world, BOB);
        let state = |told: &[F]| {
            told.iter()
                .rfind(|change| matches!(change, F::Free | F::Ours | F::Theirs))
                .copied()
        };
        match (state(&bob), state(&changes(&mut world, ALICE))) {
            (Some(F::Ours), Some(F::Theirs)) => granted += 1,
            // Four datagrams in a row were lost: the server took Bob for gone, and Bob knows.
            (Some(F::Free), Some(F::Free)) => assert!(bob.contains(&F::NotGranted), "{seed}"),
            other => panic!("seed {seed}: {other:?}"),
        }
    }
    assert!(granted >= 15, "{granted} of 20");
}

#[test]
fn a_socket_that_is_open_before_the_call_is_answered_serves_its_floor() {
    let mut world = World::new(6);
    world.add(sharing("alice", ALICE), ALICE);
    world.add(sharing("bob", BOB), BOB);
    let target = format!("sip:{BOB}").parse().expect("a SIP URI");
    let alices = world
        .act(ALICE, |alice, now| {
            alice.invite(now, &room(), &target, media(ALICE))
        })
        .expect("the call can be made");
    let bobs = world.incoming(BOB);
    world
        .act(BOB, |bob, now| bob.open_early_media(now, bobs, media(BOB)))
        .expect("Alice knows reliable responses");
    let early = world.wait_for(ALICE, |event| match event {
        Event::EarlyMedia { media, .. } => Some(media.clone()),
        _ => None,
    });
    open(&mut world, ALICE, alices, &early);
    world
        .act(BOB, |bob, now| bob.answer(now, bobs, media(BOB)))
        .expect("it is unanswered");
    established(&mut world, ALICE, alices);
    let media = established(&mut world, BOB, bobs);
    open(&mut world, BOB, bobs, &media);
    floor(&mut world, BOB, Endpoint::request_floor, bobs);
    assert_eq!(changes(&mut world, BOB), [F::Ours]);
    assert_eq!(changes(&mut world, ALICE), [F::Theirs]);
}

#[test]
fn a_call_without_content_sharing_has_no_floor() {
    let mut world = World::pair(5, Transport::Udp);
    let (alices, _) = crate::calls::call(&mut world);
    let refused = world.act(ALICE, |alice, now| alice.request_floor(now, alices));
    assert_eq!(refused, Err(ActionError::NoFloorControl));
}
