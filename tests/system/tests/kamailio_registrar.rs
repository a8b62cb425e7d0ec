//! The harness proves itself: baresip registers with Kamailio and calls through it.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::net::UdpSocket;
use std::time::Duration;

use system::authority::Authority;
use system::baresip::{Baresip, BaresipConfig, Registration, RegistrationResult, Transport, Video};
use system::footage::speech;
use system::journal::Mark;
use system::kamailio::{DigestAlgorithm, Kamailio, KamailioConfig, User};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(20);
const PASSWORD: &str = "correct-horse-battery";

struct Site {
    kamailio: Kamailio,
    authority: Authority,
    _folder: TempDir,
}

fn site(digest: DigestAlgorithm) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let user = |name: &str| User {
        name: name.into(),
        password: PASSWORD.into(),
    };
    let config = KamailioConfig {
        digest,
        users: vec![user("anna"), user("boris")],
        longest_registration: Duration::from_secs(3600),
    };
    let kamailio = Kamailio::start(&config, &authority).unwrap();
    Site {
        kamailio,
        authority,
        _folder: folder,
    }
}

fn endpoint(site: &Site, name: &str, password: &str, transport: Transport) -> Baresip {
    let mut config = BaresipConfig::new(name, speech().unwrap(), Video::Off);
    config.transport = transport;
    config.registration = Some(Registration {
        registrar: site.kamailio.address(transport),
        user: name.into(),
        password: password.into(),
    });
    Baresip::start(&config, Some(&site.authority)).unwrap()
}

fn a_call_goes_through_the_proxy(transport: Transport) {
    let site = site(DigestAlgorithm::Md5);
    let mut anna = endpoint(&site, "anna", PASSWORD, transport);
    let boris = endpoint(&site, "boris", PASSWORD, transport);
    for peer in [&anna, &boris] {
        assert_eq!(
            peer.wait_for_registration(LIMIT).unwrap(),
            RegistrationResult::Registered
        );
    }
    anna.dial(&format!("sip:boris@{}", site.kamailio.address(transport)))
        .unwrap();
    for peer in [&anna, &boris] {
        peer.wait_for_event(Mark::default(), "CALL_ESTABLISHED", LIMIT)
            .unwrap();
        peer.wait_for_media(Mark::default(), "audio", LIMIT)
            .unwrap();
    }
    anna.hang_up().unwrap();
    boris
        .wait_for_event(Mark::default(), "CALL_CLOSED", LIMIT)
        .unwrap();
    site.kamailio
        .log()
        .wait_for("BYE", LIMIT, |line| {
            line.contains("BYE from anna").then_some(())
        })
        .unwrap();
}

#[test]
fn registered_users_call_each_other_over_udp() {
    a_call_goes_through_the_proxy(Transport::Udp);
}

#[test]
fn registered_users_call_each_other_over_tcp() {
    a_call_goes_through_the_proxy(Transport::Tcp);
}

#[test]
fn registered_users_call_each_other_over_tls() {
    a_call_goes_through_the_proxy(Transport::Tls);
}

#[test]
fn a_wrong_password_is_refused() {
    let site = site(DigestAlgorithm::Md5);
    let anna = endpoint(&site, "anna", "guessed", Transport::Udp);
    match anna.wait_for_registration(LIMIT).unwrap() {
        RegistrationResult::Failed(reason) => assert!(reason.contains("401"), "{reason}"),
        RegistrationResult::Registered => panic!("a guessed password was accepted"),
    }
}

#[test]
fn a_sha_256_registrar_challenges_with_sha_256() {
    let site = site(DigestAlgorithm::Sha256);
    let registrar = site.kamailio.address(Transport::Udp);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(&registrar).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let local = socket.local_addr().unwrap();
    let request = format!(
        "REGISTER sip:{registrar} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK-1\r\n\
         From: <sip:anna@{registrar}>;tag=1\r\nTo: <sip:anna@{registrar}>\r\n\
         Call-ID: 1@{local}\r\nCSeq: 1 REGISTER\r\nContact: <sip:anna@{local}>\r\n\
         Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    );
    socket.send(request.as_bytes()).unwrap();
    let mut answer = [0; 2_048];
    let length = socket.recv(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.starts_with("SIP/2.0 401"), "{answer}");
    assert!(answer.contains("algorithm=SHA-256"), "{answer}");
    site.kamailio.stop().unwrap();
}
