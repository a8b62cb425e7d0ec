//! Whole datagrams and streams into an endpoint: no panic; a stranger gets no more than twice its bytes, and nobody else
//! hears of it; deadlines move on; what is shown of a call is bounded and has no key in it; in the end nothing is left.
//!
//! The input is a list of steps: a byte for what happens, two for the length of the bytes that it happens with.

#![no_main]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sip::endpoint::{
    Account, AccountName, CallId, ConfiguredPeer, Endpoint, EndpointSettings, Event,
    IncomingPolicy, ListenAddresses, Output, TransferPolicy,
};
use sip::grammar::{Message, StatusCode};
use sip::offer_answer::{LocalMedia, LocalPort, MediaSecurity};
use sip::transport::{FlowId, StreamError, StreamInfo, Transport};

const ROOM: SocketAddr = address(1);
const PEER: SocketAddr = address(2);
const STRANGER: SocketAddr = address(3);
/// More than any number of timers that end at the same moment.
const MOST_AT_ONCE: usize = 2_000;

const fn address(host: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), 5060)
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fuzz_target!(|input: &[u8]| {
    let mut run = Run::new();
    let mut rest = input;
    while let [what, high, low, more @ ..] = rest {
        let length = (usize::from(*high) << 8 | usize::from(*low)).min(more.len());
        let (bytes, behind) = more.split_at(length);
        run.step(*what, bytes);
        rest = behind;
    }
    run.end();
});

struct Run {
    endpoint: Endpoint,
    now: Instant,
    calls: Vec<CallId>,
    flows: Vec<FlowId>,
}

impl Run {
    fn new() -> Self {
        let address = "sip:room@example.com".parse().expect("a SIP URI");
        let mut account = Account::new(AccountName::new("room"), address);
        account.transport = Transport::Udp;
        account.capabilities.security = MediaSecurity::PlainAllowed;
        let settings = EndpointSettings {
            accounts: vec![account],
            instance_id: None,
            user_agent: "roomd".to_owned(),
            incoming: IncomingPolicy {
                peers: vec![ConfiguredPeer::address(PEER.ip())],
                transfers: TransferPolicy::FarEnd,
                ..IncomingPolicy::default()
            },
            listen: ListenAddresses {
                udp: vec![ROOM],
                tcp: vec![ROOM],
                tls: Vec::new(),
            },
            dial_limit: Duration::from_secs(60),
        };
        Self {
            endpoint: Endpoint::new(settings, [1; 32]),
            now: *START,
            calls: Vec::new(),
            flows: Vec::new(),
        }
    }

    fn step(&mut self, what: u8, bytes: &[u8]) {
        let received = Bytes::copy_from_slice(bytes);
        let call = self.calls.last().copied();
        match what % 12 {
            0 | 1 => {
                self.endpoint
                    .datagram_received(self.now, ROOM, STRANGER, received);
                return self.check_stranger(bytes.len());
            }
            2..=4 => self
                .endpoint
                .datagram_received(self.now, ROOM, PEER, received),
            5 => {
                let flow = self.endpoint.reserve_flow();
                let remote = if bytes.is_empty() { PEER } else { STRANGER };
                let transport = match bytes.len() % 3 {
                    0 => Transport::Tcp,
                    1 => Transport::Ws,
                    _ => Transport::Tls,
                };
                let mut info = StreamInfo::new(transport, ROOM, remote);
                if transport == Transport::Tls {
                    info.verified_names.push(remote.ip().to_string());
                }
                self.endpoint.stream_opened(self.now, flow, info);
                self.endpoint.stream_received(self.now, flow, &received);
                self.flows.push(flow);
            }
            6 | 7 => {
                if let Some(flow) = self.flows.last() {
                    self.endpoint.stream_received(self.now, *flow, &received);
                }
            }
            8 => {
                if let Some(flow) = self.flows.pop() {
                    self.endpoint
                        .stream_closed(self.now, flow, StreamError::Broken);
                }
            }
            9 => {
                let milliseconds = bytes.iter().map(|byte| u64::from(*byte) * 40).sum();
                self.pass(Duration::from_millis(milliseconds));
            }
            10 => {
                if let Some(call) = call {
                    let _ = self.endpoint.ring(self.now, call);
                    let _ = self.endpoint.answer(self.now, call, media());
                }
            }
            _ => {
                if let Some(call) = call {
                    let _ = match bytes.len() % 3 {
                        0 => self.endpoint.reject(self.now, call, StatusCode::DECLINE),
                        1 => self.endpoint.hold(self.now, call),
                        _ => self.endpoint.hang_up(self.now, call),
                    };
                }
            }
        }
        self.drain();
    }

    /// One datagram of `received` bytes has come from somebody unknown.
    fn check_stranger(&mut self, received: usize) {
        let mut answers = 0;
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                // A repeated request of somebody else's transaction repeats the answer to that one.
                Output::SendDatagram { remote, .. } if remote.ip() == PEER.ip() => {}
                Output::SendDatagram { remote, bytes, .. } => {
                    answers += 1;
                    assert_eq!(remote.ip(), STRANGER.ip());
                    assert!(bytes.len() <= 2 * received, "{received}: {bytes:?}");
                    assert!(matches!(
                        Message::parse_datagram(bytes),
                        Ok(Message::Response(_))
                    ));
                }
                other => self.note(&other),
            }
        }
        assert!(answers <= 1);
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            self.note(&output);
            if let Output::SendDatagram { bytes, .. } = output {
                Message::parse_datagram(bytes).expect("what we send is well-formed");
            }
        }
    }

    fn note(&mut self, output: &Output) {
        match output {
            Output::Event(Event::Incoming { call, .. }) => self.calls.push(*call),
            Output::Event(Event::TransferAsked { call, .. }) => {
                // Whoever is asked sooner or later says yes, no, or nothing at all.
                let _ = match self.calls.len() % 3 {
                    0 => self.endpoint.refuse_transfer(self.now, *call),
                    1 => self.endpoint.accept_transfer(self.now, *call),
                    _ => Ok(()),
                };
            }
            Output::Event(Event::Ended { call, .. }) => {
                self.check_ladder(*call);
                self.calls.retain(|known| known != call);
            }
            Output::CloseStream { flow } => self.flows.retain(|known| known != flow),
            Output::PingWebSocket { flow } => self.endpoint.websocket_ponged(self.now, *flow),
            Output::OpenStream { flow, .. } => {
                self.endpoint
                    .stream_closed(self.now, *flow, StreamError::NotConnected);
            }
            Output::Resolve { id, .. } => self.endpoint.resolved(self.now, *id, &[PEER]),
            Output::Event(_)
            | Output::SendDatagram { .. }
            | Output::SendStream { .. }
            | Output::SendFloorControl { .. }
            | Output::CloseFloorControl { .. } => {}
        }
    }

    /// What is shown of a call is bounded and has no key in it.
    fn check_ladder(&self, call: CallId) {
        let ladders = [
            self.endpoint.sip_ladder(call),
            self.endpoint.refused_sip_ladder(),
        ];
        for ladder in ladders.into_iter().flatten() {
            let bytes: usize = ladder
                .messages
                .iter()
                .map(|message| message.text.len())
                .sum();
            assert!(ladder.messages.len() <= 200 && bytes <= 256 * 1024);
            for line in ladder
                .messages
                .iter()
                .flat_map(|message| message.text.lines())
            {
                let hides_key = !line.starts_with("a=crypto:") || line.ends_with(" inline:***");
                assert!(hides_key, "{line}");
            }
        }
    }

    /// Lets time pass. Whatever is due is done at once, and not again at the same moment for ever.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        let mut at_once = 0;
        while let Some(at) = self.endpoint.next_deadline().filter(|at| *at <= until) {
            at_once = if at > self.now { 0 } else { at_once + 1 };
            assert!(at_once < MOST_AT_ONCE, "the deadline does not move on");
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn end(mut self) {
        for call in self.calls.clone() {
            if self.endpoint.hang_up(self.now, call).is_err() {
                let _ = self.endpoint.reject(self.now, call, StatusCode::DECLINE);
            }
            self.drain();
        }
        for flow in std::mem::take(&mut self.flows) {
            self.endpoint
                .stream_closed(self.now, flow, StreamError::Broken);
            self.drain();
        }
        self.pass(Duration::from_secs(300));
        let counts = self.endpoint.counts();
        let left = (
            counts.calls,
            counts.client_transactions,
            counts.server_transactions,
            counts.flows,
            counts.look_ups,
        );
        assert_eq!(left, (0, 0, 0, 0, 0));
    }
}

fn media() -> LocalMedia {
    LocalMedia {
        address: ROOM.ip(),
        audio: Some(LocalPort {
            rtp: 20_000,
            rtcp: 20_001,
        }),
        video: Some(LocalPort {
            rtp: 20_002,
            rtcp: 20_003,
        }),
        content: None,
    }
}
