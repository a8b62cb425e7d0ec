//! A box that gets another address: its registrars and the far ends of its calls learn where it is.

use std::net::SocketAddr;
use std::time::Duration;

use netem::LinkConditions;
use sip::endpoint::{CallEndCause, CallId, Event};
use sip::grammar::{Contact, Method, Request, StatusCode};
use sip::registration::{RegistrationFailure, RegistrationState};
use sip::transport::Transport;

use crate::calls::{assert_nothing_is_left, call, ended};
use crate::carol::{alice_alone, alice_calls_carol, answering, reply, requests, send, to_alice};
use crate::outbound::{contact_of, registered_world};
use crate::registrar::Algorithm;
use crate::registration::{register, registrar, state, wait_for_state, world};
use crate::world::{ALICE, BOB, World, address, room};

/// Where Alice moves to.
const NEW_ALICE: SocketAddr = address(41, 5060);
const NEWER_ALICE: SocketAddr = address(42, 5060);
/// The spread of registrations after a change, and the way to the registrar and back, twice.
const SOON: Duration = Duration::from_secs(2);

fn last_register(world: &mut World) -> Request {
    let requests = &registrar(world).requests;
    requests.last().expect("something was registered").1.clone()
}

/// All contacts of a REGISTER as they are written.
fn contacts(request: &Request) -> Vec<String> {
    request
        .headers
        .typed_all::<Contact>()
        .map(|contact| contact.expect("well-formed").to_string())
        .collect()
}

fn state_at(world: &mut World, at: SocketAddr) -> RegistrationState {
    world.act(at, |alice, _| alice.registration(&room()))
}

#[test]
fn a_registrar_learns_the_new_address_at_once_and_that_the_old_one_is_none() {
    let mut world = world(Algorithm::Sha256, "correct");
    register(&mut world);
    wait_for_state(&mut world, RegistrationState::Registered);
    let before = registrar(&mut world).granted.len();

    world.move_node(ALICE, NEW_ALICE);
    world.run(SOON);
    assert_eq!(registrar(&mut world).granted.len(), before + 1);
    let told = contacts(&last_register(&mut world));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("192.0.2.41:5060"), "{told:?}");
    assert!(
        told[1].contains("192.0.2.1:5060") && told[1].ends_with(";expires=0"),
        "{told:?}"
    );
    assert_eq!(
        state_at(&mut world, NEW_ALICE),
        RegistrationState::Registered
    );

    // Said once, it is said: refreshes name the new place alone.
    world.run(Duration::from_secs(600));
    let told = contacts(&last_register(&mut world));
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn a_registrar_that_knows_our_flows_replaces_the_old_address_by_itself() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut world = registered_world(transport, &[]);
        let before = registrar(&mut world).granted.len();
        world.move_node(ALICE, NEW_ALICE);
        world.run(SOON);
        assert_eq!(
            registrar(&mut world).granted.len(),
            before + 1,
            "{transport}"
        );
        let register = last_register(&mut world);
        assert_eq!(contacts(&register).len(), 1, "{transport}");
        let contact = contact_of(&register);
        assert!(contact.to_string().contains("192.0.2.41"), "{contact}");
        assert_eq!(
            state_at(&mut world, NEW_ALICE),
            RegistrationState::Registered,
            "{transport}"
        );
    }
}

#[test]
fn a_register_that_was_under_way_while_we_moved_is_followed_by_one_from_the_new_place() {
    let mut world = world(Algorithm::Md5, "correct");
    register(&mut world);
    wait_for_state(&mut world, RegistrationState::Registered);
    registrar(&mut world).silent = true;
    // The refresh is sent, and not answered.
    world.run(Duration::from_secs(520));
    let sent = world.sent.len();
    world.move_node(ALICE, NEW_ALICE);
    registrar(&mut world).silent = false;
    world.run(Duration::from_secs(10));
    assert!(world.sent.len() > sent);
    let told = contacts(&last_register(&mut world));
    assert!(told[0].contains("192.0.2.41:5060"), "{told:?}");
    assert_eq!(
        state_at(&mut world, NEW_ALICE),
        RegistrationState::Registered
    );
}

#[test]
fn a_registration_that_found_no_way_is_tried_at_once_on_the_new_network() {
    let mut world = world(Algorithm::Md5, "correct");
    registrar(&mut world).silent = true;
    register(&mut world);
    let no_way = RegistrationState::BackingOff(RegistrationFailure::Timeout);
    // The wait is longest after a few failures.
    world.run(Duration::from_secs(1_000));
    while state(&mut world) != no_way {
        world.run(Duration::from_secs(1));
    }
    registrar(&mut world).silent = false;
    world.move_node(ALICE, NEW_ALICE);
    world.run(SOON);
    assert_eq!(
        state_at(&mut world, NEW_ALICE),
        RegistrationState::Registered
    );
}

#[test]
fn what_the_registrar_has_refused_stays_refused_on_every_network() {
    for (status, password) in [(None, "wrong"), (Some(StatusCode::FORBIDDEN), "correct")] {
        let mut world = world(Algorithm::Md5, password);
        registrar(&mut world).refusal = status.map(|status| (status, None));
        register(&mut world);
        world.run(Duration::from_secs(300));
        let before = state(&mut world);
        assert!(matches!(before, RegistrationState::Locked(_)), "{before:?}");
        let asked = registrar(&mut world).requests.len();
        for (from, to) in [(ALICE, NEW_ALICE), (NEW_ALICE, NEWER_ALICE)] {
            world.move_node(from, to);
            world.run(SOON);
        }
        assert_eq!(registrar(&mut world).requests.len(), asked);
        assert_eq!(state_at(&mut world, NEWER_ALICE), before);
    }
}

#[test]
fn a_change_elsewhere_asks_for_nothing() {
    let mut world = world(Algorithm::Md5, "correct");
    register(&mut world);
    wait_for_state(&mut world, RegistrationState::Registered);
    let asked = registrar(&mut world).requests.len();
    world.move_node(ALICE, ALICE);
    world.run(SOON);
    assert_eq!(registrar(&mut world).requests.len(), asked);
    assert_eq!(state(&mut world), RegistrationState::Registered);
}

/// Alice's box moves, and her user says where the media of the call is.
fn move_alice(world: &mut World, from: SocketAddr, to: SocketAddr, call: CallId) {
    world.move_node(from, to);
    world
        .act(to, |alice, now| alice.move_media(now, call, to.ip()))
        .expect("the call stands");
}

/// Where Bob sends his sound to.
fn bobs_target(world: &mut World) -> SocketAddr {
    world
        .events(BOB)
        .iter()
        .rev()
        .find_map(|event| match event {
            Event::MediaChanged { media, .. } | Event::Established { media, .. } => {
                media.remote.audio.map(|audio| audio.rtp)
            }
            _ => None,
        })
        .expect("the call was established")
}

#[test]
fn the_far_end_of_a_call_sends_to_the_new_address_and_hangs_up_there() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        let mut world = World::pair(1, transport);
        let (alices, bobs) = call(&mut world);
        assert_eq!(bobs_target(&mut world).ip(), ALICE.ip());
        move_alice(&mut world, ALICE, NEW_ALICE, alices);
        world.run(SOON);
        assert_eq!(bobs_target(&mut world).ip(), NEW_ALICE.ip(), "{transport}");
        // The old connection never closed for Bob: he has to have learned the new one.
        world
            .act(BOB, |bob, now| bob.hang_up(now, bobs))
            .expect("the call stands");
        let cause = ended(&mut world, NEW_ALICE, alices);
        assert_eq!(cause, CallEndCause::RemoteHangUp, "{transport}");
        assert_nothing_is_left(&mut world);
    }
}

#[test]
fn a_second_move_before_the_first_is_answered_is_told_too() {
    // As far from the far end as the second move comes after the first: it may not have arrived, or be
    // answered to where nobody is, or be acknowledged from there.
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        for moved_on_after in [0, 30, 60, 90, 130] {
            let mut world = World::pair(2, transport).with_conditions(LinkConditions {
                delay: Duration::from_millis(40),
                ..LinkConditions::default()
            });
            let (alices, bobs) = call(&mut world);
            world.run(Duration::from_secs(1));
            let case = format!("{transport}, after {moved_on_after} ms");
            move_alice(&mut world, ALICE, NEW_ALICE, alices);
            world.run(Duration::from_millis(moved_on_after));
            move_alice(&mut world, NEW_ALICE, NEWER_ALICE, alices);
            world.run(Duration::from_secs(8));
            assert_eq!(bobs_target(&mut world).ip(), NEWER_ALICE.ip(), "{case}");
            // Nobody waits for anything that will not come.
            world.run(Duration::from_secs(60));
            world
                .act(BOB, |bob, now| bob.hang_up(now, bobs))
                .unwrap_or_else(|_| panic!("the call stands: {case}"));
            let cause = ended(&mut world, NEWER_ALICE, alices);
            assert_eq!(cause, CallEndCause::RemoteHangUp, "{case}");
            assert_nothing_is_left(&mut world);
        }
    }
}

#[test]
fn a_connection_that_is_being_made_when_the_box_moves_is_made_anew_at_once() {
    let mut world = World::pair(8, Transport::Tcp);
    let (alices, _) = call(&mut world);
    move_alice(&mut world, ALICE, NEW_ALICE, alices);
    move_alice(&mut world, NEW_ALICE, NEWER_ALICE, alices);
    world.run(Duration::from_millis(100));
    assert_eq!(bobs_target(&mut world).ip(), NEWER_ALICE.ip());
}

#[test]
fn a_move_that_meets_a_hold_of_the_far_end_is_told_after_it() {
    let mut world = World::pair(3, Transport::Udp);
    let (alices, bobs) = call(&mut world);
    world
        .act(BOB, |bob, now| bob.hold(now, bobs))
        .expect("the call stands");
    world
        .act(ALICE, |alice, now| {
            alice.move_media(now, alices, NEW_ALICE.ip())
        })
        .expect("the call stands");
    world.run(Duration::from_secs(10));
    assert_eq!(bobs_target(&mut world).ip(), NEW_ALICE.ip());
    world.wait_for(BOB, |event| match event {
        Event::HoldSucceeded { call } if *call == bobs => Some(()),
        _ => None,
    });
}

#[test]
fn a_far_end_that_refuses_to_hear_of_the_move_is_asked_once() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    send(
        &mut world,
        ALICE,
        answering(&invite, StatusCode::OK, "c").to_bytes(),
    );
    let told = |world: &World| requests(world, &Method::Invite).len();
    world
        .act(ALICE, |alice, now| {
            alice.move_media(now, alices, NEW_ALICE.ip())
        })
        .expect("the call stands");
    world.run(Duration::from_millis(50));
    assert_eq!(told(&world), 2);
    let moved = requests(&world, &Method::Invite).pop().expect("it arrived");
    let refusal = reply(&moved, StatusCode::NOT_ACCEPTABLE_HERE, "c");
    send(&mut world, ALICE, refusal.to_bytes());
    world.run(Duration::from_secs(5));
    assert_eq!(told(&world), 2, "once");
    // The next offer for another reason names where we are all the same.
    world
        .act(ALICE, |alice, now| alice.hold(now, alices))
        .expect("the call stands");
    world.run(Duration::from_millis(50));
    let hold = requests(&world, &Method::Invite).pop().expect("it arrived");
    let body = String::from_utf8(hold.body().to_vec()).expect("text");
    assert!(body.contains("c=IN IP4 192.0.2.41"), "{body}");
    let bye = to_alice(&invite, "c", Method::Bye, 7);
    send(&mut world, ALICE, bye.to_bytes());
    assert_eq!(ended(&mut world, ALICE, alices), CallEndCause::RemoteHangUp);
}

#[test]
fn the_far_end_is_told_again_when_the_new_network_leads_nowhere_at_first() {
    let mut world = World::pair(4, Transport::Tcp);
    let (alices, _) = call(&mut world);
    // As on a network that is not up yet.
    world.network.stop_listening(BOB);
    move_alice(&mut world, ALICE, NEW_ALICE, alices);
    world.run(Duration::from_secs(3));
    assert_eq!(bobs_target(&mut world).ip(), ALICE.ip());
    world.network.listen(BOB);
    world.run(Duration::from_secs(3));
    assert_eq!(bobs_target(&mut world).ip(), NEW_ALICE.ip());
}

#[test]
fn a_call_that_is_over_or_only_rings_is_not_moved() {
    let mut world = World::pair(5, Transport::Udp);
    let alices = world.invite(ALICE, BOB);
    let moved = world.act(ALICE, |alice, now| {
        alice.move_media(now, alices, NEW_ALICE.ip())
    });
    assert!(moved.is_err());
    world
        .act(ALICE, |alice, now| alice.hang_up(now, alices))
        .expect("it rings");
    world.run(SOON);
    let moved = world.act(ALICE, |alice, now| {
        alice.move_media(now, alices, NEW_ALICE.ip())
    });
    assert!(moved.is_err());
}

#[test]
fn a_far_end_that_cannot_be_told_for_half_a_minute_has_lost_the_call() {
    let mut world = World::pair(6, Transport::Tcp);
    let (alices, _) = call(&mut world);
    world.network.stop_listening(BOB);
    let moved = world.now;
    move_alice(&mut world, ALICE, NEW_ALICE, alices);
    assert_eq!(ended(&mut world, NEW_ALICE, alices), CallEndCause::Timeout);
    let took = world.now - moved;
    assert!((30..60).contains(&took.as_secs()), "{took:?}");
}

#[test]
fn a_hold_that_fails_on_the_way_does_not_keep_the_move_from_the_far_end() {
    let mut world = World::pair(7, Transport::Tcp);
    let (alices, _) = call(&mut world);
    world.network.stop_listening(BOB);
    move_alice(&mut world, ALICE, NEW_ALICE, alices);
    world.run(Duration::from_millis(500));
    world
        .act(NEW_ALICE, |alice, now| alice.hold(now, alices))
        .expect("the call stands");
    world.run(Duration::from_secs(3));
    world.network.listen(BOB);
    world.run(Duration::from_secs(5));
    assert_eq!(bobs_target(&mut world).ip(), NEW_ALICE.ip());
}

#[test]
fn a_proxy_that_is_overloaded_for_a_moment_does_not_end_the_telling() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    let accepted = answering(&invite, StatusCode::OK, "c");
    send(&mut world, ALICE, accepted.to_bytes());
    world
        .act(ALICE, |alice, now| {
            alice.move_media(now, alices, NEW_ALICE.ip())
        })
        .expect("the call stands");
    for told in 2..5 {
        world.run(Duration::from_millis(50));
        assert_eq!(requests(&world, &Method::Invite).len(), told);
        let moved = requests(&world, &Method::Invite).pop().expect("it arrived");
        let busy = reply(&moved, StatusCode::SERVICE_UNAVAILABLE, "c");
        send(&mut world, ALICE, busy.to_bytes());
        world.run(Duration::from_secs(2));
    }
}

#[test]
fn a_box_that_moves_on_before_it_is_heard_takes_back_all_places_that_it_has_named() {
    let mut world = world(Algorithm::Md5, "correct");
    register(&mut world);
    wait_for_state(&mut world, RegistrationState::Registered);
    registrar(&mut world).silent = true;
    world.move_node(ALICE, NEW_ALICE);
    // The REGISTER from there is sent, and not answered.
    world.run(SOON);
    world.move_node(NEW_ALICE, NEWER_ALICE);
    registrar(&mut world).silent = false;
    world.run(Duration::from_secs(60));
    let told = contacts(&last_register(&mut world));
    assert!(told[0].contains("192.0.2.42"), "{told:?}");
    for left in ["192.0.2.1:", "192.0.2.41:"] {
        let taken_back = told
            .iter()
            .any(|contact| contact.contains(left) && contact.ends_with(";expires=0"));
        let all: Vec<_> = registrar(&mut world)
            .requests
            .iter()
            .map(|(_, request)| contacts(request))
            .collect();
        let ever = all
            .iter()
            .flatten()
            .any(|contact| contact.contains(left) && contact.ends_with(";expires=0"));
        assert!(taken_back || ever, "{left} {all:?}");
    }
}
