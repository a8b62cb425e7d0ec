//! The guests' server with a certificate by ACME, from a server that others wrote.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use api::guest_certificate::{
    GuestCertificate, GuestCertificateReason as Reason, GuestCertificateState,
};
use api::guests::FreshInvitation;
use system::authority::Authority;
use system::https::{self, Connection};
use system::journal::Mark;
use system::pebble::{Pebble, PebbleSettings, deserted_port};
use system::poll;
use system::ports;
use system::roomd::Roomd;
use tempfile::TempDir;

/// For what takes a few requests on loopback.
const LIMIT: Duration = Duration::from_secs(45);
/// As public servers have it.
const DAYS_90: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const NAME: &str = "room.test";

/// A room, an ACME server, and the room's guests.
struct Stage {
    pebble: Pebble,
    settings: PebbleSettings,
    guests: SocketAddr,
    _files: TempDir,
}

impl Stage {
    fn new() -> Self {
        let files = tempfile::tempdir().unwrap();
        let authority = Authority::new(files.path()).unwrap();
        let tls_port = ports::free().unwrap();
        Self {
            pebble: Pebble::new(&authority).unwrap(),
            settings: PebbleSettings {
                tls_port,
                http_port: ports::free().unwrap(),
                validity: DAYS_90,
                refused_nonces: 0,
                external_account: None,
            },
            guests: SocketAddr::from((Ipv4Addr::LOCALHOST, tls_port)),
            _files: files,
        }
    }

    fn serve(&mut self) {
        self.pebble.start(&self.settings).unwrap();
    }

    /// The configuration, with these lines in `[guests.acme]`.
    fn configuration(&self, lines: &str) -> String {
        format!(
            "version = 1\n\
             [room]\nname = \"Harness\"\n\
             [camera]\nsource = \"none\"\n\
             [microphone]\nsource = \"none\"\n\
             [playout]\nvideo = \"none\"\naudio = \"none\"\n\
             [sip]\nlisten_udp = \"127.0.0.1:{}\"\n\
             [guests]\nlisten = \"{}\"\npublic_url = \"https://{NAME}:{}\"\n{lines}",
            ports::free().unwrap(),
            self.guests,
            self.guests.port(),
        )
    }

    fn acme(&self, lines: &str) -> String {
        let lines = format!(
            "[guests.acme]\ndirectory = \"{}\"\nauthority = \"{}\"\n\
             terms_of_service_agreed = true\n{lines}",
            self.pebble.directory(),
            self.pebble.authority().display(),
        );
        self.configuration(&lines)
    }

    fn room(&self, lines: &str) -> Roomd {
        let text = self.acme(lines);
        Roomd::start("roomd", |_| Ok(text)).unwrap()
    }

    /// The page of somebody who trusts this authority (PEM).
    fn page(&self, trusted: &str) -> anyhow::Result<https::Answer> {
        https::get(self.guests, NAME, trusted, "/join")
    }
}

/// The certificate's state once `is_so`.
fn wait_until(
    room: &Roomd,
    mark: Mark,
    what: &str,
    mut is_so: impl FnMut(&GuestCertificate) -> bool,
) -> GuestCertificate {
    room.wait_for_snapshot_after(mark, what, LIMIT, |snapshot| {
        let certificate = snapshot.guest_certificate.as_ref()?;
        is_so(certificate).then(|| certificate.clone())
    })
    .unwrap()
}

fn is_there(certificate: &GuestCertificate) -> bool {
    certificate.not_after_unix_ms.is_some()
        && certificate.failure.is_none()
        && certificate.state == GuestCertificateState::Waiting
}

fn wait_for_certificate(room: &Roomd, mark: Mark) -> GuestCertificate {
    wait_until(room, mark, "a certificate by ACME", is_there)
}

fn wait_for_failure(room: &Roomd, mark: Mark, reason: Reason) -> GuestCertificate {
    wait_until(room, mark, &format!("{reason:?}"), |certificate| {
        let failure = certificate.failure.as_ref();
        certificate.state == GuestCertificateState::Waiting
            && failure.is_some_and(|failure| failure.reason == reason)
    })
}

/// The authority of the room's own (PEM).
fn own_authority(room: &Roomd) -> String {
    std::fs::read_to_string(room.folder().join("state/guests-authority.pem")).unwrap()
}

fn fingerprint_of_link(room: &Roomd) -> Option<String> {
    let printed = room.roomctl(&["--json", "guests", "invite"]).unwrap();
    let link: FreshInvitation = serde_json::from_str(&printed).unwrap();
    link.authority_fingerprint
}

#[test]
fn a_certificate_comes_is_shown_kept_and_renewed_without_dropping_anybody() {
    let mut stage = Stage::new();
    stage.serve();
    let mut room = stage.room("contact = \"owner@example.com\"\n");
    let certificate = wait_for_certificate(&room, Mark::default());
    assert_eq!(certificate.name, NAME);
    let root = stage.pebble.root().unwrap();
    let first = stage.page(&root).unwrap();
    assert!(first.head.starts_with("HTTP/1.1 200"), "{}", first.head);
    // There is nothing to trust first.
    assert_eq!(fingerprint_of_link(&room), None);
    let trust = https::get(stage.guests, NAME, &root, "/trust").unwrap();
    assert!(trust.head.starts_with("HTTP/1.1 404"), "{}", trust.head);
    // By other names the room's own authority is still there.
    let own = own_authority(&room);
    let by_address = https::get(stage.guests, "127.0.0.1", &own, "/join").unwrap();
    assert!(by_address.head.starts_with("HTTP/1.1 200"));
    for file in [
        "guests-acme.pem",
        "guests-acme-account.json",
        "guests-acme.toml",
    ] {
        let path = room.folder().join("state").join(file);
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let status = room.roomctl(&["status"]).unwrap();
    assert!(!status.contains(NAME), "{status}");
    // Proofs are shown while one is asked for, and nothing else is by their protocol.
    let offering =
        |protocols: &[&str]| Connection::open_offering(stage.guests, NAME, &root, protocols);
    assert!(offering(&["acme-tls/1"]).is_err());
    offering(&["acme-tls/1", "http/1.1"]).unwrap();

    // One that connected before goes on after the renewal.
    let held = Connection::open(stage.guests, NAME, &root).unwrap();
    room.roomctl(&["guests", "renew-certificate"]).unwrap();
    let second = poll::until("another certificate", LIMIT, || {
        let page = stage.page(&root)?;
        Ok((page.certificate != first.certificate).then_some(page))
    })
    .unwrap();
    let host = format!("{NAME}:{}", stage.guests.port());
    let answer = held.get(&host, "/join").unwrap();
    assert!(answer.head.starts_with("HTTP/1.1 200"), "{}", answer.head);
    assert_eq!(answer.certificate, first.certificate);

    // A restart shows it at once, without the server.
    stage.pebble.stop().unwrap();
    room.kill_and_restart().unwrap();
    wait_for_certificate(&room, Mark::default());
    assert_eq!(stage.page(&root).unwrap().certificate, second.certificate);
    room.stop().unwrap();
}

#[test]
fn a_certificate_that_is_due_is_renewed_without_anybody_asking() {
    let mut stage = Stage::new();
    stage.settings.validity = Duration::from_secs(6);
    stage.serve();
    let room = stage.room("");
    let first = wait_for_certificate(&room, Mark::default());
    wait_until(&room, Mark::default(), "a renewed certificate", |now| {
        now.not_after_unix_ms > first.not_after_unix_ms
    });
    room.stop().unwrap();
}

#[test]
fn a_name_that_is_not_proven_leaves_the_own_authority_and_says_why() {
    let mut stage = Stage::new();
    let good = stage.settings.clone();
    stage.settings.tls_port = deserted_port().unwrap();
    stage.serve();
    let room = stage.room("");
    let refused = wait_for_failure(&room, Mark::default(), Reason::NameNotProven);
    let failure = refused.failure.unwrap();
    assert_eq!(failure.count, 1);
    assert!(!failure.detail.is_empty());
    assert!(refused.next_unix_ms.unwrap() >= failure.at_unix_ms + 120_000);
    let own = own_authority(&room);
    assert!(stage.page(&own).unwrap().head.starts_with("HTTP/1.1 200"));
    let trust = https::get(stage.guests, NAME, &own, "/trust").unwrap();
    assert!(trust.head.starts_with("HTTP/1.1 200"), "{}", trust.head);
    assert!(fingerprint_of_link(&room).is_some());
    let status = room.roomctl(&["status"]).unwrap();
    assert!(
        status.contains("did not find this room under its name"),
        "{status}"
    );
    let failed = room.metric("roomd_guest_certificate_failed_orders");
    assert_eq!(failed.unwrap(), 1.0);

    // The owner mends the way to the room, and asks. The account of a server that forgot it is made anew.
    stage.pebble.stop().unwrap();
    stage.settings = good;
    stage.serve();
    let mark = room.snapshot_mark();
    room.roomctl(&["guests", "renew-certificate"]).unwrap();
    wait_for_certificate(&room, mark);
    let root = stage.pebble.root().unwrap();
    assert!(stage.page(&root).unwrap().head.starts_with("HTTP/1.1 200"));
    room.stop().unwrap();
}

#[test]
fn a_server_that_is_down_at_the_start_is_asked_again() {
    let mut stage = Stage::new();
    let mut room = stage.room("");
    wait_for_failure(&room, Mark::default(), Reason::Unreachable);
    let own = own_authority(&room);
    assert!(stage.page(&own).unwrap().head.starts_with("HTTP/1.1 200"));
    // A restart does not ask sooner.
    room.kill_and_restart().unwrap();
    let still = wait_for_failure(&room, Mark::default(), Reason::Unreachable);
    assert_eq!(still.failure.unwrap().count, 1);
    stage.serve();
    let mark = room.snapshot_mark();
    room.roomctl(&["guests", "renew-certificate"]).unwrap();
    wait_for_certificate(&room, mark);
    room.stop().unwrap();
}

#[test]
fn a_server_whose_certificate_is_not_trusted_is_not_used() {
    let mut stage = Stage::new();
    stage.serve();
    let text = stage.acme("");
    let authority = format!("authority = \"{}\"\n", stage.pebble.authority().display());
    let text = text.replace(&authority, "");
    let room = Roomd::start("roomd", |_| Ok(text)).unwrap();
    wait_for_failure(&room, Mark::default(), Reason::ServerUntrusted);
    room.stop().unwrap();
}

#[test]
fn nonces_that_are_refused_are_no_reason_to_have_no_certificate() {
    let mut stage = Stage::new();
    stage.settings.refused_nonces = 20;
    stage.serve();
    let room = stage.room("");
    // The third refusal of one request ends an order, so that some do fail.
    for failed in 1..20 {
        let done = wait_until(
            &room,
            Mark::default(),
            "an end of the order",
            |certificate| {
                let failure = certificate.failure.as_ref();
                let waits = certificate.state == GuestCertificateState::Waiting;
                is_there(certificate) || waits && failure.is_some_and(|it| it.count == failed)
            },
        );
        if done.failure.is_none() {
            room.stop().unwrap();
            return;
        }
        room.roomctl(&["guests", "renew-certificate"]).unwrap();
    }
    panic!("no order of twenty came through");
}

#[test]
fn a_name_is_proven_by_http_where_the_owner_says_so_with_an_account_bound_to_another() {
    let mut stage = Stage::new();
    // Whatever is random: hexadecimal digits are base64url as well.
    let random = rcgen::KeyPair::generate().unwrap().serialize_der();
    let key: String = random[36..68]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    stage.settings.tls_port = deserted_port().unwrap();
    stage.settings.external_account = Some(("kid-1".to_owned(), key.clone()));
    stage.serve();
    let http_port = stage.settings.http_port;
    // Without the key there is no account.
    let unbound = stage.room(&format!("http_listen = \"127.0.0.1:{http_port}\"\n"));
    wait_for_failure(&unbound, Mark::default(), Reason::AccountRefused);
    unbound.stop().unwrap();
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("key");
    std::fs::write(&file, &key).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let room = stage.room(&format!(
        "http_listen = \"127.0.0.1:{http_port}\"\nexternal_account_id = \"kid-1\"\n\
         external_account_key_file = \"{}\"\n",
        file.display()
    ));
    wait_for_certificate(&room, Mark::default());
    let root = stage.pebble.root().unwrap();
    assert!(stage.page(&root).unwrap().head.starts_with("HTTP/1.1 200"));
    room.stop().unwrap();
}

#[test]
fn another_name_gets_another_certificate_and_no_acme_the_own_authority() {
    let mut stage = Stage::new();
    stage.serve();
    let mut room = stage.room("");
    wait_for_certificate(&room, Mark::default());
    let root = stage.pebble.root().unwrap();
    room.kill().unwrap();
    let file = room.folder().join("roomd.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(NAME, "hall.test")).unwrap();
    room.start_again().unwrap();
    let certificate = wait_for_certificate(&room, Mark::default());
    assert_eq!(certificate.name, "hall.test");
    let page = https::get(stage.guests, "hall.test", &root, "/join").unwrap();
    assert!(page.head.starts_with("HTTP/1.1 200"));
    assert!(stage.page(&root).is_err());

    room.kill().unwrap();
    let (without, rest) = text.split_once("[guests.acme]").unwrap();
    let http = rest.find("[http]").unwrap();
    std::fs::write(&file, format!("{without}{}", &rest[http..])).unwrap();
    room.start_again().unwrap();
    let snapshot = room.snapshot().unwrap();
    assert_eq!(snapshot.guest_certificate, None);
    let own = own_authority(&room);
    assert!(stage.page(&own).unwrap().head.starts_with("HTTP/1.1 200"));
    assert!(room.roomctl(&["guests", "renew-certificate"]).is_err());
    room.stop().unwrap();
}
