//! A relay and a TURN server that others wrote, in virtual time.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use turn_client_proto::api::Transmit;
use turn_client_proto::stun::Instant as ServerInstant;
use turn_client_proto::types::stun::TransportType;
use turn_client_proto::types::transmit::DelayedTransmitBuild;
use turn_server_proto::api::{TurnServerApi, TurnServerPollRet};
use turn_server_proto::server::TurnServer;
use webrtc::{Protocol, Relay, RelayCredentials, RelayEnd, RelayOutput};

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn room() -> SocketAddr {
    address("192.0.2.1:5000")
}

fn server() -> SocketAddr {
    address("198.51.100.1:3478")
}

fn relayed() -> SocketAddr {
    address("198.51.100.1:50000")
}

fn browser() -> SocketAddr {
    address("203.0.113.7:6000")
}

fn credentials(password: &str) -> RelayCredentials {
    RelayCredentials {
        username: "room".to_owned(),
        password: password.to_owned(),
    }
}

/// The relay, its server, and a browser beyond it that keeps what it gets.
struct World {
    start: Instant,
    now: Instant,
    transport: TransportType,
    relay: Relay,
    server: TurnServer,
    server_alive: bool,
    /// Changes of octets of what the server sends: which message, which octet, and what of it.
    changes: Vec<(usize, usize, u8)>,
    messages: usize,
    outputs: Vec<RelayOutput>,
    browser_got: Vec<Vec<u8>>,
    /// What the relay has sent to the server.
    sent: Vec<Bytes>,
}

impl World {
    fn new(protocol: Protocol, password: &str) -> Self {
        Self::with_changes(protocol, password, Vec::new())
    }

    fn with_changes(protocol: Protocol, password: &str, changes: Vec<(usize, usize, u8)>) -> Self {
        let now = Instant::now();
        let transport = match protocol {
            Protocol::Udp => TransportType::Udp,
            Protocol::Tcp => TransportType::Tcp,
        };
        let mut turn = TurnServer::new(transport, server(), "example.com".to_owned());
        turn.add_user("room".to_owned(), "correct".to_owned());
        let mut world = Self {
            start: now,
            now,
            transport,
            relay: Relay::new(now, protocol, room(), server(), &credentials(password)),
            server: turn,
            server_alive: true,
            changes,
            messages: 0,
            outputs: Vec::new(),
            browser_got: Vec::new(),
            sent: Vec::new(),
        };
        world.settle();
        world
    }

    fn server_time(&self) -> ServerInstant {
        let elapsed = self.now.duration_since(self.start).as_nanos();
        ServerInstant::from_nanos(i64::try_from(elapsed).unwrap())
    }

    /// Lets all have what the others sent.
    fn settle(&mut self) {
        loop {
            let mut progress = false;
            while let Some(output) = self.relay.poll_output() {
                progress = true;
                match output {
                    RelayOutput::Transmit(bytes) => {
                        self.sent.push(bytes.clone());
                        self.server_takes(self.transport, room(), server(), &bytes);
                    }
                    other => self.outputs.push(other),
                }
            }
            progress |= self.serve();
            if !progress {
                return;
            }
        }
    }

    fn server_takes(
        &mut self,
        transport: TransportType,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
    ) {
        if !self.server_alive {
            return;
        }
        let now = self.server_time();
        let reply = self
            .server
            .recv(Transmit::new(bytes.to_vec(), transport, from, to), now);
        if let Some(reply) = reply {
            let (to, bytes) = (reply.to, reply.data.build());
            self.deliver(to, &bytes);
        }
    }

    fn serve(&mut self) -> bool {
        if !self.server_alive {
            return false;
        }
        let now = self.server_time();
        let mut progress = false;
        if let TurnServerPollRet::AllocateSocket {
            transport,
            listen_addr,
            client_addr,
            allocation_transport,
            family,
        } = self.server.poll(now)
        {
            progress = true;
            self.server.allocated_socket(
                transport,
                listen_addr,
                client_addr,
                allocation_transport,
                family,
                Ok(relayed()),
                now,
            );
        }
        while let Some(message) = self.server.poll_transmit(now) {
            progress = true;
            self.deliver(message.to, &message.data);
        }
        progress
    }

    fn deliver(&mut self, to: SocketAddr, bytes: &[u8]) {
        if to == browser() {
            self.browser_got.push(bytes.to_vec());
        } else {
            assert_eq!(to, room());
            let mut bytes = bytes.to_vec();
            let length = bytes.len().max(1);
            for (_, octet, change) in self.changes.iter().filter(|it| it.0 == self.messages) {
                if let Some(octet) = bytes.get_mut(octet % length) {
                    *octet ^= change;
                }
            }
            self.messages += 1;
            self.relay.receive(self.now, &bytes);
        }
    }

    fn send(&mut self, payload: &[u8]) {
        self.relay.send(self.now, browser(), payload);
        self.settle();
    }

    fn browser_sends(&mut self, payload: &[u8]) {
        self.server_takes(TransportType::Udp, browser(), relayed(), payload);
        self.settle();
    }

    /// Lets that time pass, doing what is due.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(deadline) = self.relay.next_deadline().filter(|due| *due <= until) {
            self.now = deadline.max(self.now);
            self.relay.handle_timeout(self.now);
            self.settle();
        }
        self.now = until;
        self.settle();
    }

    fn has_received(&self, payload: &[u8]) -> bool {
        self.outputs.contains(&RelayOutput::Received {
            source: browser(),
            payload: Bytes::copy_from_slice(payload),
        })
    }

    fn end(&self) -> Option<RelayEnd> {
        let mut ends = self.outputs.iter().filter_map(|output| match output {
            RelayOutput::Closed(end) => Some(*end),
            _ => None,
        });
        let end = ends.next();
        assert_eq!(ends.next(), None, "it ends once");
        end
    }
}

#[test]
fn datagrams_go_both_ways_by_either_transport() {
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        let mut world = World::new(protocol, "correct");
        world.pass(Duration::from_secs(2));
        assert_eq!(world.outputs, [RelayOutput::Allocated(relayed())]);
        assert_eq!(world.relay.address(), Some(relayed()));

        world.browser_sends(b"nobody has let it in");
        assert!(!world.has_received(b"nobody has let it in"));
        world.send(b"asks for the permission");
        world.pass(Duration::from_secs(1));
        world.send(b"a check");
        assert_eq!(world.browser_got, [b"a check"]);
        world.browser_sends(b"its answer");
        assert!(world.has_received(b"its answer"), "{protocol:?}");
    }
}

#[test]
fn many_datagrams_go_by_a_channel() {
    let mut world = World::new(Protocol::Udp, "correct");
    world.pass(Duration::from_secs(2));
    for _ in 0..100 {
        world.send(&[9; 100]);
        world.pass(Duration::from_millis(20));
    }
    // Four bytes of the channel's header (RFC 8656 section 12.4).
    assert_eq!(world.sent.last().unwrap().len(), 104);
    world.browser_sends(b"by the channel");
    assert!(world.has_received(b"by the channel"));
}

#[test]
fn allocation_permission_and_channel_last_for_hours() {
    let mut world = World::new(Protocol::Udp, "correct");
    world.pass(Duration::from_secs(2));
    for second in 0..2 * 3600_u32 {
        world.send(&second.to_be_bytes());
        world.pass(Duration::from_secs(1));
    }
    assert_eq!(world.end(), None);
    world.browser_sends(b"still there");
    assert!(world.has_received(b"still there"));
}

#[test]
fn a_wrong_password_is_told_apart_at_once() {
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        let mut world = World::new(protocol, "wrong");
        world.pass(Duration::from_secs(1));
        assert_eq!(world.end(), Some(RelayEnd::Unauthorized));
        assert_eq!(world.relay.next_deadline(), None);
        assert!(world.sent.len() < 20, "{}", world.sent.len());
    }
}

#[test]
fn a_silent_server_is_a_refusal() {
    let now = Instant::now();
    let mut silent = Relay::new(
        now,
        Protocol::Udp,
        room(),
        server(),
        &credentials("correct"),
    );
    let mut end = None;
    while let Some(deadline) = silent.next_deadline() {
        silent.handle_timeout(deadline);
        while let Some(output) = silent.poll_output() {
            if let RelayOutput::Closed(why) = output {
                end = Some((why, deadline - now));
            }
        }
    }
    let (end, after) = end.unwrap();
    assert_eq!(end, RelayEnd::Refused);
    assert!(after < Duration::from_secs(60));
}

#[test]
fn a_server_that_vanishes_takes_the_address_away() {
    let mut world = World::new(Protocol::Udp, "correct");
    world.pass(Duration::from_secs(2));
    world.server_alive = false;
    world.pass(Duration::from_secs(3 * 3600));
    assert_eq!(world.end(), Some(RelayEnd::Lost));
    assert_eq!(world.relay.address(), None);
}

#[test]
fn a_closed_relay_gives_its_address_back_and_does_nothing_more() {
    let mut world = World::new(Protocol::Udp, "correct");
    world.pass(Duration::from_secs(2));
    let sent = world.sent.len();
    world.relay.close(world.now);
    world.settle();
    assert_eq!(world.end(), Some(RelayEnd::Local));
    assert!(world.sent.len() > sent, "a refresh of zero seconds");
    world.send(b"too late");
    assert_eq!(world.browser_got.len(), 0);
}

#[test]
fn a_relay_that_is_closed_right_after_a_request_gives_its_address_back_too() {
    let mut world = World::new(Protocol::Udp, "correct");
    world.pass(Duration::from_secs(2));
    // Asks for a permission.
    world.send(b"a check");
    let sent = world.sent.len();
    world.relay.close(world.now);
    world.settle();
    let refresh = world.sent.get(sent).expect("a refresh of zero seconds");
    assert_eq!(refresh[..2], [0x00, 0x04]);
}

#[test]
fn peers_beyond_the_limit_are_not_served() {
    let mut world = World::new(Protocol::Udp, "correct");
    world.pass(Duration::from_secs(2));
    for port in 1..1_000 {
        let peer = SocketAddr::new([203, 0, 113, (port % 250) as u8].into(), port);
        world.relay.send(world.now, peer, b"a check");
    }
    world.settle();
    assert!(world.sent.len() < 200);
}

#[test]
fn garbage_of_the_server_changes_nothing() {
    let mut world = World::new(Protocol::Udp, "correct");
    world.pass(Duration::from_secs(2));
    for length in 0..200 {
        let bytes = vec![length as u8; length];
        world.relay.receive(world.now, &bytes);
    }
    world.send(b"asks for the permission");
    world.pass(Duration::from_secs(1));
    world.send(b"a check");
    assert_eq!(world.browser_got, [b"a check"]);
}

proptest! {
    /// A server that says nearly the right things.
    #[test]
    fn a_server_with_faults_breaks_nothing(
        is_stream in any::<bool>(),
        changes in vec((0_usize..40, 0_usize..200, 1_u8..=255), 0..12),
    ) {
        let protocol = if is_stream { Protocol::Tcp } else { Protocol::Udp };
        let mut world = World::with_changes(protocol, "correct", changes);
        for second in 0..900_u32 {
            world.send(&second.to_be_bytes());
            world.browser_sends(&second.to_be_bytes());
            world.pass(Duration::from_secs(1));
        }
        prop_assert_ne!(world.end(), Some(RelayEnd::ClientFault));
        prop_assert!(world.sent.len() < 3_000);
    }
}

#[test]
fn credentials_do_not_show() {
    assert_eq!(format!("{:?}", credentials("s3cret")), "RelayCredentials");
}
