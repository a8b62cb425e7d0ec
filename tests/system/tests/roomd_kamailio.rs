//! The real roomd at a registrar and proxy that others wrote: it registers, calls and is called
//! through it, comes back after it, and lets nobody in beside it.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use api::Snapshot;
use api::snapshot::{
    EndReason, Leg, LegSecurity, LegState, Protection, RegistrationFailure, RegistrationState,
    RoomState, VideoFlow,
};
use system::authority::Authority;
use system::baresip::{
    Answer, Baresip, BaresipConfig, Registration, RegistrationResult, Transport, Video,
};
use system::footage::{Recording, speech};
use system::journal::Mark;
use system::kamailio::{Binding, DigestAlgorithm, Kamailio, KamailioConfig, User};
use system::ports;
use system::roomd::Roomd;
use tempfile::TempDir;

/// For a state that comes at once on an idle machine.
const LIMIT: Duration = Duration::from_secs(30);
const PASSWORD: &str = "correct-horse-battery";
/// Four for each leg.
const MEDIA_PORTS: u16 = 16;
/// Short, so that a registration over UDP is refreshed while a test waits for it.
const LONGEST_REGISTRATION: Duration = Duration::from_secs(10);
const TRANSPORTS: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

/// A registrar, and the authority of everybody's certificates.
struct Site {
    kamailio: Kamailio,
    authority: Authority,
    folder: TempDir,
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
        users: ["anna", "boris", "udp", "tcp", "tls"].map(user).to_vec(),
        longest_registration: LONGEST_REGISTRATION,
    };
    let kamailio = Kamailio::start(&config, &authority).unwrap();
    Site {
        kamailio,
        authority,
        folder,
    }
}

/// Camera and microphone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Devices {
    Simulated,
    None,
}

/// An account of a room; its name is also its user.
struct Account<'a> {
    name: &'a str,
    password: &'a str,
    transport: Transport,
    /// Whether messages travel in a WebSocket, over TCP or TLS.
    carried: Carried,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Carried {
    Plainly,
    ByWebSocket,
}

impl<'a> Account<'a> {
    fn new(name: &'a str, transport: Transport) -> Self {
        Self {
            name,
            password: PASSWORD,
            transport,
            carried: Carried::Plainly,
        }
    }

    fn by_websocket(name: &'a str, transport: Transport) -> Self {
        Self {
            carried: Carried::ByWebSocket,
            ..Self::new(name, transport)
        }
    }

    /// One for each transport, by its name.
    fn of_each_transport() -> [Self; 3] {
        TRANSPORTS.map(|transport| Self::new(transport.uri_parameter(), transport))
    }
}

/// A room that registers.
struct Room {
    roomd: Roomd,
    sip_port: u16,
}

impl Site {
    /// Nobody may call it but who comes by way of its registrar: no peers are configured, and only
    /// UDP has a listener.
    fn room(&self, devices: Devices, accounts: &[Account<'_>]) -> Room {
        self.room_with(&self.authority, "", devices, accounts)
    }

    /// The same, with certificates of that authority for those of its servers, and with further lines
    /// of its configuration that begin within `[sip]`.
    fn room_with(
        &self,
        authority: &Authority,
        more: &str,
        devices: Devices,
        accounts: &[Account<'_>],
    ) -> Room {
        let sip_port = ports::free().unwrap();
        let media_port = ports::free_range(MEDIA_PORTS).unwrap();
        let devices = match devices {
            Devices::Simulated => "simulated",
            Devices::None => "none",
        };
        let roomd = Roomd::start(accounts[0].name, |folder| {
            let mut text = format!(
                "version = 1\n\
                 [camera]\nsource = \"{devices}\"\n\
                 [microphone]\nsource = \"{devices}\"\n\
                 [playout]\nvideo = \"none\"\naudio = \"simulated\"\n\
                 [sip]\nlisten_udp = \"127.0.0.1:{sip_port}\"\n\
                 media_ports = \"{media_port}-{last_media_port}\"\n\
                 ca_files = [\"{authority}\"]\n{more}",
                last_media_port = media_port + MEDIA_PORTS - 1,
                authority = authority.certificate().display(),
            );
            for account in accounts {
                text.push_str(&self.account(folder, account)?);
            }
            Ok(text)
        });
        Room {
            roomd: roomd.unwrap(),
            sip_port,
        }
    }

    fn account(&self, folder: &Path, account: &Account<'_>) -> Result<String> {
        let Account {
            name,
            password,
            transport,
            carried,
        } = account;
        let way = match (carried, transport) {
            (Carried::ByWebSocket, Transport::Tls) => "wss\"\nwebsocket_path = \"/ws",
            (Carried::ByWebSocket, Transport::Tcp | Transport::Udp) => {
                "ws\"\nwebsocket_path = \"/ws"
            }
            (Carried::Plainly, _) => transport.uri_parameter(),
        };
        let file = folder.join(format!("{name}.password"));
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&file)?
            .write_all(password.as_bytes())?;
        Ok(format!(
            "[[account]]\nname = \"{name}\"\naddress = \"{address}\"\n\
             transport = \"{way}\"\npassword_file = \"{file}\"\n",
            address = self.address(name, *transport),
            file = file.display(),
        ))
    }

    /// Where a user is called through the proxy.
    fn address(&self, user: &str, transport: Transport) -> String {
        format!("sip:{user}@{}", self.kamailio.address(transport))
    }

    fn baresip(&self, user: &str, transport: Transport) -> Baresip {
        let video = Video::Recording(Recording::BigBuckBunny.file().unwrap());
        let mut config = BaresipConfig::new(user, speech().unwrap(), video);
        config.transport = transport;
        config.answer = Answer::Auto;
        config.registration = Some(Registration {
            registrar: self.kamailio.address(transport),
            user: user.into(),
            password: PASSWORD.into(),
        });
        let baresip = Baresip::start(&config, Some(&self.authority)).unwrap();
        assert_eq!(
            baresip.wait_for_registration(LIMIT).unwrap(),
            RegistrationResult::Registered
        );
        baresip
    }
}

impl Room {
    fn wait_for<T>(&self, what: &str, find: impl FnMut(&Snapshot) -> Option<T>) -> T {
        self.roomd.wait_for_snapshot(what, LIMIT, find).unwrap()
    }

    fn wait_for_registration(&self, account: &str, wanted: RegistrationState) {
        self.wait_for(&format!("{account} {wanted:?}"), |snapshot| {
            (snapshot.registrations.get(account) == Some(&wanted)).then_some(())
        });
    }

    fn wait_for_leg(&self, what: &str, mut is_so: impl FnMut(&Leg) -> bool) -> Leg {
        self.wait_for(what, |snapshot| {
            let mut legs = snapshot.legs.iter().chain(&snapshot.last_ended);
            legs.find(|leg| is_so(leg)).cloned()
        })
    }

    fn call(&self, address: &str) {
        self.roomd.roomctl(&["call", address]).unwrap();
    }

    /// Lets it ring, as a call by way of a registrar may be anybody's, then answers.
    fn answer(&self) {
        self.wait_for_leg("an incoming call", |leg| leg.state == LegState::Incoming);
        self.roomd.roomctl(&["answer"]).unwrap();
    }

    /// Waits until the far end's picture and sound flow; encrypted, also where the signalling is not.
    fn wait_for_media(&self, signalling: Protection) {
        let leg = self.wait_for_leg("picture and sound that flow", |leg| {
            let sound = leg.audio.as_ref().and_then(|audio| audio.stats.as_ref());
            let picture = leg.video.as_ref().map(|video| video.flow);
            picture == Some(VideoFlow::Flowing)
                && sound.is_some_and(|stats| stats.packets_received > 0)
        });
        let wanted = LegSecurity {
            signalling,
            media: Protection::Encrypted,
        };
        assert_eq!(leg.security, Some(wanted));
    }

    fn wait_until_over(&self) {
        self.wait_for("a room without legs after a call", |snapshot| {
            let over = snapshot.legs.is_empty() && !snapshot.last_ended.is_empty();
            (over && snapshot.state == RoomState::Idle).then_some(())
        });
    }
}

fn a_room_registers_and_takes_its_bindings_back(digest: DigestAlgorithm) {
    let site = site(digest);
    let accounts = Account::of_each_transport();
    let room = site.room(Devices::None, &accounts);
    for Account { name, .. } in &accounts {
        room.wait_for_registration(name, RegistrationState::Registered);
        site.kamailio
            .wait_for_binding(name, Binding::Kept, LIMIT)
            .unwrap();
    }
    room.roomd.stop().unwrap();
    for Account { name, .. } in &accounts {
        site.kamailio
            .wait_for_binding(name, Binding::Removed, LIMIT)
            .unwrap();
    }
}

#[test]
fn a_room_registers_with_md5_over_udp_tcp_and_tls_and_takes_its_bindings_back_at_its_end() {
    a_room_registers_and_takes_its_bindings_back(DigestAlgorithm::Md5);
}

#[test]
fn a_room_registers_with_sha_256_over_udp_tcp_and_tls_and_takes_its_bindings_back_at_its_end() {
    a_room_registers_and_takes_its_bindings_back(DigestAlgorithm::Sha256);
}

#[test]
fn a_registrar_with_a_certificate_of_another_authority_gets_no_request() {
    let site = site(DigestAlgorithm::Md5);
    let folder = site.folder.path().join("other");
    std::fs::create_dir(&folder).unwrap();
    let other = Authority::new(&folder).unwrap();
    let accounts = [Account::new("anna", Transport::Tls)];
    let room = site.room_with(&other, "", Devices::None, &accounts);
    let failed = RegistrationState::Failed {
        reason: RegistrationFailure::CertificateRefused,
    };
    room.wait_for_registration("anna", failed);
    room.call(&site.address("boris", Transport::Tls));
    let refused = LegState::Ended {
        reason: EndReason::CertificateRefused,
    };
    room.wait_for("a call that ended for the certificate", |snapshot| {
        let ended = &snapshot.last_ended;
        ended.iter().any(|leg| leg.state == refused).then_some(())
    });
    room.roomd.stop().unwrap();
    assert_eq!(site.kamailio.requests("REGISTER", "anna"), 0);
    assert_eq!(site.kamailio.requests("INVITE", "anna"), 0);
}

#[test]
fn a_refused_password_is_tried_three_times_and_then_locked_until_somebody_asks() {
    let site = site(DigestAlgorithm::Sha256);
    // Over UDP a busy machine's late answer would let a request be repeated, and counted twice.
    let account = Account {
        password: "guessed",
        ..Account::new("anna", Transport::Tcp)
    };
    let room = site.room(Devices::None, &[account]);
    let failed = RegistrationState::Failed {
        reason: RegistrationFailure::AuthenticationFailed,
    };
    room.wait_for_registration("anna", failed);
    room.wait_for_registration("anna", RegistrationState::Locked);
    // Each time once for the challenge and once with the password.
    assert_eq!(site.kamailio.requests("REGISTER", "anna"), 6);
    let mark = room.roomd.snapshot_mark();
    room.roomd.roomctl(&["register", "anna"]).unwrap();
    let mut was_tried = false;
    let what = "anna tried again and locked again";
    room.roomd
        .wait_for_snapshot_after(mark, what, LIMIT, |snapshot| {
            let is_locked = snapshot.registrations["anna"] == RegistrationState::Locked;
            was_tried |= !is_locked;
            (was_tried && is_locked).then_some(())
        })
        .unwrap();
    room.roomd.stop().unwrap();
    assert!(site.kamailio.requests("REGISTER", "anna") > 6);
}

#[test]
fn a_room_registers_again_after_its_registrar_has_restarted() {
    let mut site = site(DigestAlgorithm::Md5);
    let accounts = Account::of_each_transport();
    let room = site.room(Devices::None, &accounts);
    for Account { name, .. } in &accounts {
        room.wait_for_registration(name, RegistrationState::Registered);
    }
    let mark = room.roomd.snapshot_mark();
    site.kamailio.restart().unwrap();
    for Account { name, .. } in &accounts {
        site.kamailio
            .wait_for_binding(name, Binding::Kept, LIMIT)
            .unwrap();
    }
    // A broken connection shows at once; UDP has none.
    for name in ["tcp", "tls"] {
        let mut was_lost = false;
        let what = format!("{name} lost and registered again");
        room.roomd
            .wait_for_snapshot_after(mark, &what, LIMIT, |snapshot| {
                let state = snapshot.registrations[name];
                was_lost |= matches!(state, RegistrationState::Failed { .. });
                (was_lost && state == RegistrationState::Registered).then_some(())
            })
            .unwrap();
    }
    room.roomd.stop().unwrap();
}

#[test]
fn two_rooms_call_each_other_through_the_proxy() {
    let site = site(DigestAlgorithm::Sha256);
    let anna = site.room(Devices::Simulated, &[Account::new("anna", Transport::Tls)]);
    let boris = site.room(Devices::Simulated, &[Account::new("boris", Transport::Tls)]);
    for (room, name) in [(&anna, "anna"), (&boris, "boris")] {
        room.wait_for_registration(name, RegistrationState::Registered);
    }
    anna.call(&site.address("boris", Transport::Tls));
    boris.answer();
    anna.wait_for_media(Protection::Encrypted);
    boris.wait_for_media(Protection::Encrypted);
    boris.roomd.roomctl(&["hangup"]).unwrap();
    anna.wait_until_over();
    boris.wait_until_over();
    site.kamailio
        .wait_for_request("BYE", "boris", LIMIT)
        .unwrap();
    assert_ladder_shows_the_challenge_and_no_secret(&anna.roomd);
    anna.roomd.stop().unwrap();
    boris.roomd.stop().unwrap();
}

/// The call is over; its messages can still be looked at.
fn assert_ladder_shows_the_challenge_and_no_secret(roomd: &Roomd) {
    let shown = roomd.roomctl(&["sip-ladder", "--full"]).unwrap();
    for message in ["─ 407 Proxy Authentication", "─ 200 OK (BYE)"] {
        assert!(shown.contains(message), "{message} in {shown}");
    }
    let credentials: Vec<&str> = shown
        .lines()
        .filter(|line| line.contains("Proxy-Authorization:"))
        .collect();
    assert!(!credentials.is_empty(), "{shown}");
    for line in credentials {
        assert!(line.contains("response=***"), "{line}");
        assert!(line.contains("nonce=***"), "{line}");
    }
    let keys: Vec<&str> = shown.split("inline:").skip(1).collect();
    assert!(!keys.is_empty() && keys.iter().all(|key| key.starts_with("***\n")));
    assert!(!shown.contains(PASSWORD));
}

/// Waits until picture and sound of the room arrive at its peer.
fn wait_for_media_at(peer: &Baresip) {
    for medium in ["audio", "video"] {
        peer.wait_for_media(Mark::default(), medium, LIMIT).unwrap();
    }
}

#[test]
fn a_room_calls_baresip_through_the_proxy() {
    let site = site(DigestAlgorithm::Md5);
    let mut peer = site.baresip("boris", Transport::Tcp);
    let room = site.room(Devices::Simulated, &[Account::new("anna", Transport::Tcp)]);
    room.wait_for_registration("anna", RegistrationState::Registered);
    room.call(&site.address("boris", Transport::Tcp));
    room.wait_for_media(Protection::Plain);
    wait_for_media_at(&peer);
    peer.hang_up().unwrap();
    room.wait_until_over();
    room.roomd.stop().unwrap();
}

#[test]
fn baresip_calls_a_room_through_the_proxy() {
    let site = site(DigestAlgorithm::Md5);
    let mut peer = site.baresip("boris", Transport::Udp);
    let room = site.room(Devices::Simulated, &[Account::new("anna", Transport::Udp)]);
    room.wait_for_registration("anna", RegistrationState::Registered);
    peer.dial(&site.address("anna", Transport::Udp)).unwrap();
    room.answer();
    room.wait_for_media(Protection::Plain);
    wait_for_media_at(&peer);
    room.roomd.roomctl(&["hangup"]).unwrap();
    peer.wait_for_event(Mark::default(), "CALL_CLOSED", LIMIT)
        .unwrap();
    room.roomd.stop().unwrap();
}

#[test]
fn what_a_trusted_registrar_passes_on_is_answered_by_itself() {
    let site = site(DigestAlgorithm::Md5);
    let mut peer = site.baresip("boris", Transport::Tcp);
    let trusting = "peers = [\"127.0.0.1\"]\n[incoming]\nauto_answer = \"trusted\"\n";
    let account = Account::new("anna", Transport::Tcp);
    let room = site.room_with(&site.authority, trusting, Devices::Simulated, &[account]);
    room.wait_for_registration("anna", RegistrationState::Registered);
    peer.dial(&site.address("anna", Transport::Tcp)).unwrap();
    room.wait_for_media(Protection::Plain);
    peer.hang_up().unwrap();
    room.wait_until_over();
    room.roomd.stop().unwrap();
}

/// Somebody who calls the room directly, knowing its address and its user.
struct Stranger {
    socket: UdpSocket,
    calls: u32,
}

impl Stranger {
    fn at(address: Ipv4Addr) -> Self {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        Self { socket, calls: 0 }
    }

    /// Sends another INVITE.
    fn call(&mut self, room: SocketAddr) {
        self.calls += 1;
        let local = self.socket.local_addr().unwrap();
        let mut invite = String::new();
        write!(
            invite,
            "INVITE sip:anna@{room} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {local};branch=z9hG4bK-{call};rport\r\n\
             From: <sip:mallory@{local}>;tag={call}\r\nTo: <sip:anna@{room}>\r\n\
             Call-ID: {call}@{local}\r\nCSeq: 1 INVITE\r\nContact: <sip:mallory@{local}>\r\n\
             Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
            call = self.calls,
        )
        .unwrap();
        self.socket.send_to(invite.as_bytes(), room).unwrap();
    }

    /// The next answer's first line; `None` when none comes within the socket's time-out.
    fn answer(&self) -> Option<String> {
        let mut datagram = [0; 2_048];
        let length = self.socket.recv(&mut datagram).ok()?;
        let text = String::from_utf8_lossy(&datagram[..length]);
        text.lines().next().map(str::to_owned)
    }

    /// The answers that have arrived already.
    fn answers_so_far(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).unwrap();
        std::iter::from_fn(|| self.answer()).collect()
    }
}

#[test]
fn strangers_are_refused_and_one_who_insists_is_answered_no_more() {
    const CALLS: usize = 40;
    /// What a source is answered at once, and at most the share of the test's own duration.
    const ANSWERS: std::ops::RangeInclusive<usize> = 5..=8;

    let site = site(DigestAlgorithm::Md5);
    let room = site.room(Devices::None, &[Account::new("anna", Transport::Udp)]);
    room.wait_for_registration("anna", RegistrationState::Registered);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, room.sip_port));
    let mut insistent = Stranger::at(Ipv4Addr::LOCALHOST);
    for _ in 0..CALLS {
        insistent.call(address);
    }
    // The room takes datagrams in order: once the other one is answered, so are all before.
    let mut polite = Stranger::at(Ipv4Addr::new(127, 0, 0, 2));
    polite.call(address);
    assert_eq!(polite.answer().as_deref(), Some("SIP/2.0 403 Forbidden"));
    let answers = insistent.answers_so_far();
    assert!(ANSWERS.contains(&answers.len()), "{answers:?}");
    assert!(
        answers
            .iter()
            .all(|answer| answer == "SIP/2.0 403 Forbidden"),
        "{answers:?}"
    );
    let refused = room.roomd.roomctl(&["sip-ladder", "--refused"]).unwrap();
    assert!(refused.contains("─ 403 Forbidden (INVITE)"), "{refused}");
    let snapshot = room.roomd.snapshot().unwrap();
    assert_eq!(snapshot.state, RoomState::Idle);
    assert!(snapshot.legs.is_empty() && snapshot.last_ended.is_empty());
    room.roomd.stop().unwrap();
}

#[test]
fn a_room_registers_calls_and_is_called_over_websockets_in_the_clear_and_over_tls() {
    for (transport, signalling) in [
        (Transport::Tcp, Protection::Plain),
        (Transport::Tls, Protection::Encrypted),
    ] {
        let site = site(DigestAlgorithm::Md5);
        let room = site.room(
            Devices::Simulated,
            &[Account::by_websocket("anna", transport)],
        );
        room.wait_for_registration("anna", RegistrationState::Registered);
        let carried = format!("WebSocket from {}", transport.uri_parameter());
        site.kamailio
            .log()
            .wait_for(&carried, LIMIT, |line| {
                line.ends_with(&carried).then_some(())
            })
            .unwrap();

        let mut peer = site.baresip("boris", Transport::Udp);
        room.call(&site.address("boris", transport));
        room.wait_for_media(signalling);
        // A request that the far end sends finds the room's connection.
        peer.hang_up().unwrap();
        room.wait_until_over();

        let mark = room.roomd.snapshot_mark();
        let closed = peer.events().mark();
        peer.dial(&site.address("anna", Transport::Udp)).unwrap();
        let calling = |snapshot: &Snapshot| {
            let mut legs = snapshot.legs.iter();
            legs.any(|leg| leg.state == LegState::Incoming)
                .then_some(())
        };
        room.roomd
            .wait_for_snapshot_after(mark, "an incoming call", LIMIT, calling)
            .unwrap();
        room.roomd.roomctl(&["answer"]).unwrap();
        let flowing = |snapshot: &Snapshot| {
            let video = snapshot.legs.first()?.video.as_ref()?;
            (video.flow == VideoFlow::Flowing).then_some(())
        };
        room.roomd
            .wait_for_snapshot_after(mark, "a picture that flows", LIMIT, flowing)
            .unwrap();
        room.roomd.roomctl(&["hangup"]).unwrap();
        peer.wait_for_event(closed, "CALL_CLOSED", LIMIT).unwrap();
        room.roomd.stop().unwrap();
        site.kamailio
            .wait_for_binding("anna", Binding::Removed, LIMIT)
            .unwrap();
    }
}
