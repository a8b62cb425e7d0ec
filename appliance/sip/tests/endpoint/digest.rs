//! Challenges over a registration's and a call's life.

use std::time::Duration;

use sip::digest::Credentials;
use sip::endpoint::{Account, Event};
use sip::grammar::{AuthCredentials, HeaderName, Method, Request, Response, StatusCode};
use sip::registration::{RegistrationFailure, RegistrationState};
use sip::secret::Secret;
use sip::transport::Transport;

use crate::registrar::{Algorithm, Proof};
use crate::registration::{register, registrar, state, wait_for_state, world};
use crate::robustness::accept;
use crate::scripted::request;
use crate::world::{ALICE, CAROL, World, account, address, settings};

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn a_nonce_is_used_and_counted_for_as_long_as_the_registrar_takes_it() {
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        let mut world = world(algorithm, "correct");
        register(&mut world);
        wait_for_state(&mut world, RegistrationState::Registered);
        world.run(HOUR);
        let registrar = registrar(&mut world);
        assert!(registrar.granted.len() > 5, "{:?}", registrar.granted);
        assert_eq!(registrar.challenges, 1, "it checks the count each time");
    }
}

#[test]
fn the_nonce_that_the_registrar_wants_next_is_used_next() {
    let mut world = world(Algorithm::Sha256, "correct");
    registrar(&mut world).next_nonces = true;
    registrar(&mut world).proof = Proof::Right;
    register(&mut world);
    wait_for_state(&mut world, RegistrationState::Registered);
    world.run(HOUR);
    assert!(registrar(&mut world).granted.len() > 5);
    assert_eq!(registrar(&mut world).challenges, 1);
}

#[test]
fn a_registrar_that_forgets_its_nonces_challenges_once_more_whether_it_says_stale_or_not() {
    for says_stale in [true, false] {
        let mut world = world(Algorithm::Sha256, "correct");
        registrar(&mut world).says_stale = says_stale;
        register(&mut world);
        wait_for_state(&mut world, RegistrationState::Registered);
        registrar(&mut world).forget_nonces();
        world.run(Duration::from_secs(600));
        assert_eq!(registrar(&mut world).challenges, 2, "stale: {says_stale}");
        assert_eq!(registrar(&mut world).granted.len(), 2);
        assert_eq!(state(&mut world), RegistrationState::Registered);
    }
}

#[test]
fn a_password_that_is_changed_at_the_registrar_ends_in_a_lock_as_at_the_start() {
    let mut world = world(Algorithm::Sha256, "correct");
    register(&mut world);
    wait_for_state(&mut world, RegistrationState::Registered);
    registrar(&mut world).password = "changed";
    world.run(HOUR);
    let locked = RegistrationState::Locked(StatusCode::UNAUTHORIZED);
    assert_eq!(state(&mut world), locked);
    // The first refresh answers with the old nonce, then with the new one.
    let challenges = registrar(&mut world).challenges;
    assert!(challenges <= 1 + 6, "{challenges} challenges");
}

#[test]
fn a_registrar_that_fails_to_prove_that_it_knows_the_password_is_not_believed() {
    let mut world = world(Algorithm::Md5, "correct");
    registrar(&mut world).proof = Proof::Wrong;
    register(&mut world);
    let unproven = RegistrationState::BackingOff(RegistrationFailure::ServerUnproven);
    wait_for_state(&mut world, unproven);
    registrar(&mut world).proof = Proof::Right;
    wait_for_state(&mut world, RegistrationState::Registered);
}

fn calling_world() -> World {
    let mut world = World::new(1);
    let account = Account {
        credentials: Some(Credentials {
            username: "alice".to_owned(),
            password: Secret::new("secret"),
        }),
        ..account("alice", Transport::Udp)
    };
    world.add(settings(account, ALICE), ALICE);
    world.invite(ALICE, CAROL);
    world.run(Duration::from_millis(10));
    world
}

fn last_request(world: &World, method: &Method) -> Request {
    world
        .received
        .iter()
        .filter_map(|(_, bytes)| request(bytes))
        .rfind(|request| request.method() == method)
        .expect("it was sent")
}

fn answer(world: &mut World, request: &Request, status: StatusCode, fields: &[(HeaderName, &str)]) {
    let mut response = Response::to(request, status);
    response.headers.add_to_tag("carol").expect("a token");
    for (name, value) in fields {
        response
            .headers
            .push(name.clone(), value)
            .expect("plain text");
    }
    let now = world.now;
    world.network.send(now, CAROL, ALICE, response.to_bytes());
    world.run(Duration::from_millis(10));
}

fn credentials(request: &Request, name: &HeaderName) -> Vec<(String, String, String)> {
    request
        .headers
        .values::<AuthCredentials>(name)
        .map(|answer| {
            let answer = answer.expect("well-formed");
            let value = |name| answer.params().get(name).unwrap_or_default().to_owned();
            (value("realm"), value("nonce"), value("nc"))
        })
        .collect()
}

fn uses(list: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    list.iter()
        .map(|(realm, nonce, count)| {
            let owned = |text: &&str| (*text).to_owned();
            (owned(realm), owned(nonce), owned(count))
        })
        .collect()
}

#[test]
fn challenges_of_servers_and_proxies_of_several_realms_are_answered_together() {
    let mut world = calling_world();
    let first = last_request(&world, &Method::Invite);
    answer(
        &mut world,
        &first,
        StatusCode::UNAUTHORIZED,
        &[
            (
                HeaderName::WwwAuthenticate,
                "Digest realm=\"a\", nonce=\"1\", qop=\"auth\"",
            ),
            (
                HeaderName::WwwAuthenticate,
                "Digest realm=\"a\", nonce=\"2\", algorithm=SHA-256, qop=\"auth\"",
            ),
            (
                HeaderName::WwwAuthenticate,
                "Digest realm=\"b\", nonce=\"3\"",
            ),
            (HeaderName::WwwAuthenticate, "Negotiate"),
            (
                HeaderName::ProxyAuthenticate,
                "Digest realm=\"a\", nonce=\"4\", qop=\"auth\"",
            ),
        ],
    );
    let second = last_request(&world, &Method::Invite);
    assert_eq!(
        credentials(&second, &HeaderName::Authorization),
        uses(&[("a", "2", "00000001"), ("b", "3", "")])
    );
    assert_eq!(
        credentials(&second, &HeaderName::ProxyAuthorization),
        uses(&[("a", "4", "00000001")])
    );
    // One more proxy on the way: what was answered before is answered again, and counted.
    answer(
        &mut world,
        &second,
        StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        &[(
            HeaderName::ProxyAuthenticate,
            "Digest realm=\"c\", nonce=\"5\", qop=\"auth\"",
        )],
    );
    let third = last_request(&world, &Method::Invite);
    assert_eq!(
        credentials(&third, &HeaderName::ProxyAuthorization),
        uses(&[("a", "4", "00000002"), ("c", "5", "00000001")])
    );
}

#[test]
fn a_call_that_was_challenged_shows_its_credentials_to_who_asked_and_to_nobody_else() {
    for (contact, shown) in [
        (CAROL.to_string(), true),
        (address(77, 5060).to_string(), false),
    ] {
        let mut world = calling_world();
        let first = last_request(&world, &Method::Invite);
        let challenge = "Digest realm=\"a\", nonce=\"1\", qop=\"auth\"";
        answer(
            &mut world,
            &first,
            StatusCode::UNAUTHORIZED,
            &[(HeaderName::WwwAuthenticate, challenge)],
        );
        let second = last_request(&world, &Method::Invite);
        let accepted = accept(&second, "carol");
        let text = String::from_utf8(accepted.to_vec()).unwrap();
        let text = text.replace(&format!("carol@{CAROL}"), &format!("carol@{contact}"));
        let now = world.now;
        world.network.send(now, CAROL, ALICE, text.into());
        let call = world.wait_for(ALICE, |event| match event {
            Event::Established { call, .. } => Some(*call),
            _ => None,
        });
        world
            .act(ALICE, |alice, now| alice.hang_up(now, call))
            .unwrap();
        world.run(Duration::from_millis(10));
        let bye = last_request(&world, &Method::Bye);
        let expected: &[_] = if shown {
            &[("a", "1", "00000002")]
        } else {
            &[]
        };
        assert_eq!(
            credentials(&bye, &HeaderName::Authorization),
            uses(expected),
            "to {contact}"
        );
    }
}
