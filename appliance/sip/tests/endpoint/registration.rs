//! Registration against a scripted registrar.

use std::time::Duration;

use sip::digest::Credentials;
use sip::endpoint::{Account, Event, PeerTrust};
use sip::grammar::StatusCode;
use sip::registration::{RegistrationFailure, RegistrationState};
use sip::secret::Secret;
use sip::transport::{StreamError, Transport};

use crate::registrar::{Algorithm, Registrar};
use crate::world::{ALICE, BOB, REGISTRAR, World, account, room, settings};

pub(crate) fn registering_account(password: &str) -> Account {
    Account {
        registrar: Some(format!("sip:{REGISTRAR}").parse().expect("a SIP URI")),
        credentials: Some(Credentials {
            username: "alice".to_owned(),
            password: Secret::new(password),
        }),
        registration_expires: Duration::from_secs(600),
        ..account("alice", Transport::Udp)
    }
}

pub(crate) fn world(algorithm: Algorithm, password: &str) -> World {
    let mut world = World::new(1);
    world.add(settings(registering_account(password), ALICE), ALICE);
    world.registrar = Some(Registrar::new(algorithm, "correct"));
    world
}

pub(crate) fn register(world: &mut World) {
    world
        .act(ALICE, |alice, now| alice.register(now, &room()))
        .expect("the account has a registrar");
}

pub(crate) fn wait_for_state(world: &mut World, wanted: RegistrationState) {
    world.wait_for(ALICE, |event| match event {
        Event::Registration { state, .. } if *state == wanted => Some(()),
        _ => None,
    });
}

pub(crate) fn registrar(world: &mut World) -> &mut Registrar {
    world.registrar.as_mut().expect("every world here has one")
}

#[test]
fn a_challenge_is_answered_with_md5_and_with_sha_256() {
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        let mut world = world(algorithm, "correct");
        register(&mut world);
        wait_for_state(&mut world, RegistrationState::Registered);
        assert_eq!(registrar(&mut world).granted, [600], "{algorithm:?}");
        assert_eq!(registrar(&mut world).challenges, 1);
    }
}

#[test]
fn a_registration_is_refreshed_for_as_long_as_it_is_wanted_and_then_taken_back() {
    let mut world = world(Algorithm::Sha256, "correct");
    register(&mut world);
    wait_for_state(&mut world, RegistrationState::Registered);
    world.run(Duration::from_secs(1_600));
    assert_eq!(
        registrar(&mut world).granted.len(),
        4,
        "at 0, 500, 1000 and 1500 s"
    );
    world
        .act(ALICE, |alice, now| alice.deregister(now, &room()))
        .unwrap();
    let counts = world.act(ALICE, |alice, _| alice.counts());
    assert_eq!(counts.unanswered_requests, 1);
    wait_for_state(&mut world, RegistrationState::Unregistered);
    assert_eq!(registrar(&mut world).granted.last(), Some(&0));
    let counts = world.act(ALICE, |alice, _| alice.counts());
    let left = (counts.unanswered_requests, counts.client_transactions);
    assert_eq!(left, (0, 1), "only repeated answers may still come");
    let granted = registrar(&mut world).granted.len();
    world.run(Duration::from_secs(2_000));
    assert_eq!(registrar(&mut world).granted.len(), granted);
}

#[test]
fn an_interval_that_is_too_brief_is_raised() {
    let mut world = world(Algorithm::Md5, "correct");
    registrar(&mut world).min_expires = 1_800;
    register(&mut world);
    wait_for_state(&mut world, RegistrationState::Registered);
    assert_eq!(registrar(&mut world).granted, [1_800]);
}

#[test]
fn a_wrong_password_locks_after_few_attempts_and_stays_so() {
    let mut world = world(Algorithm::Sha256, "wrong");
    register(&mut world);
    wait_for_state(
        &mut world,
        RegistrationState::Locked(StatusCode::UNAUTHORIZED),
    );
    let challenges = registrar(&mut world).challenges;
    assert!(challenges <= 6, "{challenges} challenges");
    world.run(Duration::from_secs(3_600));
    assert_eq!(registrar(&mut world).challenges, challenges);
}

#[test]
fn a_silent_registrar_is_tried_again_until_it_answers() {
    let mut world = world(Algorithm::Md5, "correct");
    registrar(&mut world).silent = true;
    register(&mut world);
    let timeout = RegistrationState::BackingOff(RegistrationFailure::Timeout);
    wait_for_state(&mut world, timeout);
    registrar(&mut world).silent = false;
    wait_for_state(&mut world, RegistrationState::Registered);
}

#[test]
fn a_registered_endpoint_takes_calls_from_its_registrar_only() {
    let mut world = world(Algorithm::Md5, "correct");
    register(&mut world);
    wait_for_state(&mut world, RegistrationState::Registered);
    let invite = crate::policy::invite_from(REGISTRAR, "sip:alice@192.0.2.1");
    world.inject(REGISTRAR, ALICE, &invite);
    let trust = world.wait_for(ALICE, |event| match event {
        Event::Incoming { trust, .. } => Some(*trust),
        _ => None,
    });
    assert_eq!(trust, PeerTrust::RegisteredFlow);
    assert_ne!(REGISTRAR, BOB);
}

#[test]
fn the_way_back_through_a_nat_is_kept_open() {
    let mut world = world(Algorithm::Md5, "correct");
    register(&mut world);
    wait_for_state(&mut world, RegistrationState::Registered);
    let before = world.sent.len();
    world.run(Duration::from_secs(100));
    let keep_alives = world.sent[before..]
        .iter()
        .filter(|(_, _, bytes)| &bytes[..] == b"\r\n\r\n")
        .count();
    assert_eq!(keep_alives, 4);
}

#[test]
fn a_registration_over_a_connection_that_breaks_is_made_again_over_a_new_one() {
    let mut world = World::new(2);
    let account = Account {
        transport: Transport::Tls,
        ..registering_account("correct")
    };
    world.add(settings(account, ALICE), ALICE);
    world.registrar = Some(Registrar::new(Algorithm::Sha256, "correct"));
    world.network.listen(REGISTRAR);
    register(&mut world);
    wait_for_state(&mut world, RegistrationState::Registered);
    world.run(Duration::from_secs(450));
    assert_eq!(
        registrar(&mut world).granted.len(),
        1,
        "kept alive, not made again"
    );
    world.break_streams(ALICE);
    let lost = RegistrationState::BackingOff(RegistrationFailure::Transport);
    wait_for_state(&mut world, lost);
    world.run(Duration::from_secs(2));
    assert_eq!(registrar(&mut world).granted.len(), 2);
    let state = world.act(ALICE, |alice, _| alice.registration(&room()));
    assert_eq!(state, RegistrationState::Registered);
}

#[test]
fn a_refused_certificate_is_told_apart_from_a_registrar_that_is_not_there() {
    for (refusal, failure) in [
        (StreamError::NotConnected, RegistrationFailure::Transport),
        (StreamError::Certificate, RegistrationFailure::Certificate),
    ] {
        let mut world = World::new(5);
        let account = Account {
            transport: Transport::Tls,
            ..registering_account("correct")
        };
        world.add(settings(account, ALICE), ALICE);
        world.refusal = refusal;
        register(&mut world);
        wait_for_state(&mut world, RegistrationState::BackingOff(failure));
    }
}
