//! Registration against a scripted registrar.

use std::time::Duration;

use sip::digest::Credentials;
use sip::endpoint::{Account, AccountName, ConfiguredPeer, Event, PeerTrust};
use sip::grammar::{Contact, Expires, HeaderName, StatusCode};
use sip::registration::{RegistrationFailure, RegistrationState};
use sip::secret::Secret;
use sip::transport::{StreamError, Transport};

use crate::registrar::{Algorithm, Registrar};
use crate::world::{ALICE, BOB, REGISTRAR, World, account, room, settings};

const DAY: Duration = Duration::from_secs(86_400);

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

pub(crate) fn state(world: &mut World) -> RegistrationState {
    world.act(ALICE, |alice, _| alice.registration(&room()))
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
fn a_registrar_that_finds_a_day_too_brief_is_not_asked_without_end() {
    let mut world = world(Algorithm::Md5, "correct");
    registrar(&mut world).min_expires = 100_000;
    register(&mut world);
    world.run(DAY);
    let failure = RegistrationFailure::Refused(StatusCode::INTERVAL_TOO_BRIEF);
    assert_eq!(state(&mut world), RegistrationState::BackingOff(failure));
    // Waits of 15 to 30 minutes once it is known to be no passing failure.
    let asked = registrar(&mut world).requests.len();
    assert!((48..=110).contains(&asked), "{asked}");
}

#[test]
fn a_wrong_password_locks_after_few_attempts_and_stays_so() {
    let mut world = world(Algorithm::Sha256, "wrong");
    register(&mut world);
    world.run(Duration::from_secs(200));
    let locked = RegistrationState::Locked(StatusCode::UNAUTHORIZED);
    assert_eq!(state(&mut world), locked);
    let challenges = registrar(&mut world).challenges;
    assert!(challenges <= 6, "{challenges} challenges");
    world.run(DAY);
    assert_eq!(registrar(&mut world).challenges, challenges);
}

#[test]
fn who_is_forbidden_asks_once_and_again_only_when_told_to() {
    let mut world = world(Algorithm::Sha256, "correct");
    registrar(&mut world).refusal = Some((StatusCode::FORBIDDEN, Some("5")));
    register(&mut world);
    let locked = RegistrationState::Locked(StatusCode::FORBIDDEN);
    wait_for_state(&mut world, locked);
    world.run(DAY);
    assert_eq!(registrar(&mut world).requests.len(), 1);
    assert_eq!(state(&mut world), locked);
    registrar(&mut world).refusal = None;
    register(&mut world);
    world.run(Duration::from_secs(1));
    assert_eq!(state(&mut world), RegistrationState::Registered);
}

#[test]
fn a_registrar_that_is_overloaded_is_left_alone_for_as_long_as_it_asks() {
    for status in [
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::SERVER_INTERNAL_ERROR,
        StatusCode::REQUEST_TIMEOUT,
    ] {
        let mut world = world(Algorithm::Sha256, "correct");
        registrar(&mut world).refusal = Some((status, Some("700 (maintenance);duration=60")));
        register(&mut world);
        let refused = RegistrationFailure::Refused(status);
        wait_for_state(&mut world, RegistrationState::BackingOff(refused));
        world.run(Duration::from_secs(699));
        assert_eq!(registrar(&mut world).requests.len(), 1, "{status}");
        registrar(&mut world).refusal = None;
        world.run(Duration::from_secs(72));
        assert_eq!(state(&mut world), RegistrationState::Registered, "{status}");
    }
}

#[test]
fn a_shorter_life_than_asked_for_is_honoured_among_the_bindings_of_others() {
    let mut world = world(Algorithm::Sha256, "correct");
    registrar(&mut world).max_expires = 100;
    registrar(&mut world).others = vec![
        "<sip:alice@192.0.2.44>;expires=3600",
        "<sip:alice@192.0.2.45>;expires=7;reg-id=1\
         ;+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-000000000001>\"",
        "bad contact",
    ];
    register(&mut world);
    wait_for_state(&mut world, RegistrationState::Registered);
    world.run(Duration::from_secs(860));
    let granted = registrar(&mut world).granted.len();
    assert!((11..=13).contains(&granted), "each 70 to 85 s: {granted}");
    // What others have bound is neither repeated nor taken back.
    world
        .act(ALICE, |alice, now| alice.deregister(now, &room()))
        .expect("it is registered");
    world.run(Duration::from_secs(1));
    for (_, request) in &registrar(&mut world).requests {
        let contacts: Vec<_> = request.headers.typed_all::<Contact>().collect();
        let [Ok(Contact::Address(contact))] = &contacts[..] else {
            panic!("one address of our own: {contacts:?}");
        };
        assert!(contact.uri().to_string().contains("192.0.2.1:5060"));
    }
}

#[test]
fn all_bindings_are_taken_back_when_that_is_asked_for_and_by_nothing_else() {
    let mut world = world(Algorithm::Sha256, "correct");
    register(&mut world);
    wait_for_state(&mut world, RegistrationState::Registered);
    registrar(&mut world).forget_nonces();
    world
        .act(ALICE, |alice, now| alice.remove_all_bindings(now, &room()))
        .expect("the account has a registrar");
    assert_eq!(state(&mut world), RegistrationState::Deregistering);
    world.run(Duration::from_secs(1));
    assert_eq!(state(&mut world), RegistrationState::Unregistered);
    let stars: Vec<_> = registrar(&mut world)
        .requests
        .iter()
        .map(|(_, request)| {
            let headers = &request.headers;
            let all = headers.get(&HeaderName::Contact) == Some(b"*");
            let expires = headers.typed::<Expires>().expect("well-formed");
            (all, expires.expect("there is one").0)
        })
        .collect();
    // Challenged in between: the repetition says the same.
    assert_eq!(stars, [(false, 600), (false, 600), (true, 0), (true, 0)]);
    world.run(DAY);
    assert_eq!(registrar(&mut world).requests.len(), 4);
}

#[test]
fn accounts_of_one_room_register_and_fail_each_for_itself() {
    let mut world = World::new(3);
    let mut settings = settings(registering_account("correct"), ALICE);
    let second = AccountName::new("second");
    settings.accounts.push(Account {
        name: second.clone(),
        address: "sip:second@example.test".parse().expect("a SIP URI"),
        ..registering_account("wrong")
    });
    world.add(settings, ALICE);
    world.registrar = Some(Registrar::new(Algorithm::Sha256, "correct"));
    for name in [&room(), &second] {
        world
            .act(ALICE, |alice, now| alice.register(now, name))
            .expect("both have a registrar");
    }
    world.run(Duration::from_secs(3_000));
    let states =
        [&room(), &second].map(|name| world.act(ALICE, |alice, _| alice.registration(name)));
    let locked = RegistrationState::Locked(StatusCode::UNAUTHORIZED);
    assert_eq!(states, [RegistrationState::Registered, locked]);
    let mut call_ids: Vec<_> = registrar(&mut world)
        .requests
        .iter()
        .map(|(_, request)| request.headers.text(&HeaderName::CallId))
        .collect();
    call_ids.sort();
    call_ids.dedup();
    assert_eq!(call_ids.len(), 2, "one for each account, for all its life");
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

/// How far a call by way of Alice's registrar is trusted, and whose it is, where these are her peers
/// and only her second account is registered.
fn call_over_the_flow(peers: Vec<ConfiguredPeer>, target: &str) -> (PeerTrust, AccountName) {
    let mut world = World::new(1);
    let mut settings = settings(registering_account("correct"), ALICE);
    settings.incoming.peers = peers;
    settings.accounts.insert(
        0,
        Account {
            name: AccountName::new("lobby"),
            ..account("lobby", Transport::Udp)
        },
    );
    world.add(settings, ALICE);
    world.registrar = Some(Registrar::new(Algorithm::Md5, "correct"));
    register(&mut world);
    wait_for_state(&mut world, RegistrationState::Registered);
    world.inject(
        REGISTRAR,
        ALICE,
        &crate::policy::invite_from(REGISTRAR, target),
    );
    world.wait_for(ALICE, |event| match event {
        Event::Incoming { trust, account, .. } => Some((*trust, account.clone())),
        _ => None,
    })
}

#[test]
fn a_registered_endpoint_takes_calls_from_its_registrar_only() {
    let trust = call_over_the_flow(Vec::new(), "sip:alice@192.0.2.1");
    assert_eq!(trust, (PeerTrust::RegisteredFlow, room()));
    let other = vec![ConfiguredPeer::address(BOB.ip())];
    let trust = call_over_the_flow(other, "sip:alice@192.0.2.1");
    assert_eq!(trust, (PeerTrust::RegisteredFlow, room()));
    assert_ne!(REGISTRAR, BOB);
}

#[test]
fn a_registrar_that_is_a_configured_peer_is_trusted_and_its_calls_are_the_registered_accounts() {
    let registrar = || vec![ConfiguredPeer::address(REGISTRAR.ip())];
    // The account that is named is not registered there, and the first one is neither.
    for target in ["sip:alice@192.0.2.1", "sip:lobby@192.0.2.1"] {
        let trust = call_over_the_flow(registrar(), target);
        assert_eq!(trust, (PeerTrust::ConfiguredPeer, room()), "{target}");
    }
}

#[test]
fn a_registrar_whose_certificate_has_proven_a_configured_domain_is_trusted() {
    for (domain, expected) in [
        (REGISTRAR.ip().to_string(), PeerTrust::ConfiguredPeer),
        ("other.test".to_owned(), PeerTrust::RegisteredFlow),
    ] {
        let mut world = World::new(2);
        let account = Account {
            transport: Transport::Tls,
            ..registering_account("correct")
        };
        let mut settings = settings(account, ALICE);
        settings.incoming.peers = vec![ConfiguredPeer::Domain(domain)];
        world.add(settings, ALICE);
        world.registrar = Some(Registrar::new(Algorithm::Sha256, "correct"));
        world.network.listen(REGISTRAR);
        register(&mut world);
        wait_for_state(&mut world, RegistrationState::Registered);
        let invite = crate::policy::invite_from(REGISTRAR, "sip:alice@192.0.2.1");
        let flow = *world
            .node(ALICE)
            .flows
            .keys()
            .next()
            .expect("to the registrar");
        world.act(ALICE, |alice, now| {
            alice.stream_received(now, flow, &invite.replace('\n', "\r\n").into());
        });
        let trust = world.wait_for(ALICE, |event| match event {
            Event::Incoming { trust, .. } => Some(*trust),
            _ => None,
        });
        assert_eq!(trust, expected);
    }
}

#[test]
fn the_way_back_through_a_nat_is_kept_open() {
    let mut world = world(Algorithm::Md5, "correct");
    register(&mut world);
    wait_for_state(&mut world, RegistrationState::Registered);
    let before = world.sent.len();
    world.run(Duration::from_secs(300));
    let keep_alives = world.sent[before..]
        .iter()
        .filter(|(_, _, bytes)| &bytes[..] == b"\r\n\r\n")
        .count();
    assert!(
        (300 / 29..=300 / 23).contains(&keep_alives),
        "{keep_alives}"
    );
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
