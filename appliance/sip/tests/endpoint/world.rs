//! A world of endpoints: the network between them, their connections, names and clock.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use netem::{Delivery, LinkConditions, Network, StreamId};
use sip::endpoint::{
    Account, AccountName, CallId, ConfiguredPeer, Endpoint, EndpointSettings, Event,
    IncomingPolicy, InstanceId, ListenAddresses, Output, ResolveId,
};
use sip::grammar::{StreamFramer, StreamItem, Uri};
use sip::offer_answer::{LocalMedia, LocalPort};
use sip::transport::{FlowId, StreamError, StreamInfo, Transport};

use crate::registrar::Registrar;

/// Alice's one address, for datagrams and streams.
pub(crate) const ALICE: SocketAddr = address(1, 5060);
/// Bob's.
pub(crate) const BOB: SocketAddr = address(2, 5060);
/// A peer that the test plays by hand.
pub(crate) const CAROL: SocketAddr = address(3, 5060);
/// The registrar.
pub(crate) const REGISTRAR: SocketAddr = address(9, 5060);
/// A second edge proxy of the same registrar.
pub(crate) const EDGE: SocketAddr = address(8, 5060);

/// What a frame of a WebSocket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrameKind {
    Message = 1,
    Ping = 9,
    Pong = 10,
}

/// A frame as the world writes it: kind, length, and what it carries.
fn frame(kind: FrameKind, payload: &[u8]) -> Bytes {
    let length = u32::try_from(payload.len()).expect("messages are short");
    let head = [&[kind as u8][..], &length.to_be_bytes()].concat();
    [&head, payload].concat().into()
}

/// The next whole frame of those that have arrived.
fn take_frame(
    frames: &mut BTreeMap<(StreamId, SocketAddr), Vec<u8>>,
    of: (StreamId, SocketAddr),
) -> Option<(u8, Bytes)> {
    let received = frames.get_mut(&of)?;
    let (head, rest) = received.split_first_chunk::<5>()?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let (kind, payload) = (head[0], Bytes::copy_from_slice(rest.get(..length)?));
    received.drain(..5 + length);
    Some((kind, payload))
}

/// Whether the registrar is behind an address.
fn is_edge(address: SocketAddr) -> bool {
    [REGISTRAR, EDGE].contains(&address)
}

pub(crate) const fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), port)
}

/// The account that every endpoint of a test has.
pub(crate) fn room() -> AccountName {
    AccountName::new("room")
}

/// An account over a transport. Over UDP everything stays there, so that tests of lost datagrams
/// lose them.
pub(crate) fn account(user: &str, transport: Transport) -> Account {
    let address: Uri = format!("sip:{user}@example.test")
        .parse()
        .expect("a SIP URI");
    Account {
        transport,
        large_requests_by_tcp: false,
        ..Account::new(room(), address)
    }
}

/// Settings of an endpoint at `address` that lets the other tests' addresses call it.
pub(crate) fn settings(account: Account, address: SocketAddr) -> EndpointSettings {
    let mut instance = [0; 16];
    if let IpAddr::V4(ip) = address.ip() {
        instance[12..].copy_from_slice(&ip.octets());
    }
    let peers = [ALICE, BOB, CAROL].map(|peer| ConfiguredPeer::address(peer.ip()));
    EndpointSettings {
        accounts: vec![account],
        instance_id: Some(InstanceId::from_random(instance)),
        user_agent: "test".to_owned(),
        incoming: IncomingPolicy {
            peers: peers.to_vec(),
            ..IncomingPolicy::default()
        },
        listen: ListenAddresses {
            udp: vec![address],
            tcp: vec![address],
            tls: vec![address],
        },
        dial_limit: Duration::from_secs(120),
    }
}

/// Bound ports for a call of the endpoint at `address`.
pub(crate) fn media_of(address: SocketAddr) -> LocalMedia {
    LocalMedia {
        address: address.ip(),
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

/// One endpoint with what it has said.
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) endpoint: Endpoint,
    pub(crate) events: Vec<Event>,
    pub(crate) flows: BTreeMap<FlowId, StreamId>,
    /// What the endpoint asked a stream to be, until it is open.
    wanted: BTreeMap<StreamId, Wanted>,
    /// Connections from an address that it had before: nothing passes.
    dead: BTreeSet<StreamId>,
}

struct Wanted {
    flow: FlowId,
    transport: Transport,
    server_name: String,
    identity: Option<AccountName>,
}

/// Everything that a test runs.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) network: Network,
    pub(crate) nodes: Vec<Node>,
    pub(crate) names: BTreeMap<String, Vec<SocketAddr>>,
    /// While there, look-ups wait here: whose, and for which name.
    pub(crate) held_look_ups: Option<Vec<(SocketAddr, ResolveId, String)>>,
    pub(crate) registrar: Option<Registrar>,
    /// The registrar's ends of its connections.
    registrar_streams: BTreeMap<StreamId, StreamFramer>,
    /// What a connection that nobody takes is refused for.
    pub(crate) refusal: StreamError,
    /// Datagrams to addresses that no endpoint has.
    pub(crate) received: Vec<(SocketAddr, Bytes)>,
    /// Sockets for floor control: whose, of which call, their address, and the peer's.
    pub(crate) floor_ways: Vec<(SocketAddr, CallId, SocketAddr, SocketAddr)>,
    /// What was to be sent over connections of floor control, which the tests play by hand; nothing
    /// for the order to close it.
    pub(crate) floor_connections: Vec<(CallId, Option<Bytes>)>,
    /// In whose name each connection was made.
    pub(crate) identities: Vec<Option<AccountName>>,
    /// What WebSockets asked for.
    pub(crate) websocket_paths: Vec<String>,
    websockets: BTreeSet<StreamId>,
    /// What has arrived of frames that are not whole.
    frames: BTreeMap<(StreamId, SocketAddr), Vec<u8>>,
    /// What becomes of the bytes of every message on its way, as if something stood between.
    pub(crate) rewrite: fn(Bytes) -> Bytes,
    /// Every datagram, for assertions about what was sent.
    pub(crate) sent: Vec<(SocketAddr, SocketAddr, Bytes)>,
}

impl World {
    /// Nobody, and a perfect network.
    pub(crate) fn new(seed: u64) -> Self {
        let now = Instant::now();
        Self {
            now,
            network: Network::new(seed, now),
            nodes: Vec::new(),
            names: BTreeMap::new(),
            held_look_ups: None,
            registrar: None,
            registrar_streams: BTreeMap::new(),
            refusal: StreamError::NotConnected,
            received: Vec::new(),
            floor_ways: Vec::new(),
            floor_connections: Vec::new(),
            identities: Vec::new(),
            websocket_paths: Vec::new(),
            websockets: BTreeSet::new(),
            frames: BTreeMap::new(),
            rewrite: |bytes| bytes,
            sent: Vec::new(),
        }
    }

    /// Alice and Bob over one transport.
    pub(crate) fn pair(seed: u64, transport: Transport) -> Self {
        let mut world = Self::new(seed);
        world.add(settings(account("alice", transport), ALICE), ALICE);
        world.add(settings(account("bob", transport), BOB), BOB);
        world
    }

    pub(crate) fn with_conditions(mut self, conditions: LinkConditions) -> Self {
        self.network.set_default_conditions(conditions);
        self
    }

    pub(crate) fn add(&mut self, settings: EndpointSettings, address: SocketAddr) {
        let mut seed = [7; 32];
        seed[0] = self.nodes.len() as u8;
        // A process that starts later draws other numbers.
        let elapsed = (self.now - self.network.start()).as_millis();
        for (byte, elapsed) in seed[16..].iter_mut().zip(elapsed.to_be_bytes()) {
            *byte ^= elapsed;
        }
        self.network.listen(address);
        self.nodes.push(Node {
            address,
            endpoint: Endpoint::new(settings, seed),
            events: Vec::new(),
            flows: BTreeMap::new(),
            wanted: BTreeMap::new(),
            dead: BTreeSet::new(),
        });
    }

    pub(crate) fn node(&mut self, address: SocketAddr) -> &mut Node {
        self.nodes
            .iter_mut()
            .find(|node| node.address == address)
            .expect("the node was added")
    }

    /// Does something with an endpoint at the present time, and what follows from it at once.
    pub(crate) fn act<T>(
        &mut self,
        address: SocketAddr,
        action: impl FnOnce(&mut Endpoint, Instant) -> T,
    ) -> T {
        let now = self.now;
        let result = action(&mut self.node(address).endpoint, now);
        self.drain();
        result
    }

    /// Calls from one endpoint to another over its transport.
    pub(crate) fn invite(&mut self, from: SocketAddr, to: SocketAddr) -> CallId {
        let target: Uri = format!("sip:{to}").parse().expect("a SIP URI");
        self.act(from, |endpoint, now| {
            endpoint.invite(now, &room(), &target, media_of(from))
        })
        .expect("the call can be made")
    }

    pub(crate) fn events(&mut self, address: SocketAddr) -> &[Event] {
        &self.node(address).events
    }

    /// The incoming call of an endpoint, waited for.
    pub(crate) fn incoming(&mut self, address: SocketAddr) -> CallId {
        self.wait_for(address, |event| match event {
            Event::Incoming { call, .. } => Some(*call),
            _ => None,
        })
    }

    /// Runs until an endpoint has told an event, for at most two minutes of virtual time.
    pub(crate) fn wait_for<T>(
        &mut self,
        address: SocketAddr,
        pick: impl Fn(&Event) -> Option<T>,
    ) -> T {
        let until = self.now + Duration::from_secs(120);
        loop {
            if let Some(found) = self.node(address).events.iter().find_map(&pick) {
                return found;
            }
            assert!(
                self.step(until),
                "{address} never told it: {:#?}",
                self.events(address)
            );
        }
    }

    /// Runs for a time.
    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
        self.now = until;
    }

    /// Sends a datagram that no endpoint wrote.
    pub(crate) fn inject(&mut self, from: SocketAddr, to: SocketAddr, text: &str) {
        let payload = Bytes::from(text.replace('\n', "\r\n"));
        self.network.send(self.now, from, to, payload);
    }

    /// Opens a connection that no endpoint wrote to, and writes to it.
    pub(crate) fn inject_stream(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let stream = self.network.open_stream(self.now, from, to);
        self.network
            .stream_send(self.now, stream, from, Bytes::copy_from_slice(bytes));
    }

    /// Moves to the next thing that happens by `until`. False when there is none.
    fn step(&mut self, until: Instant) -> bool {
        self.drain();
        let deadlines = self
            .nodes
            .iter()
            .filter_map(|node| node.endpoint.next_deadline());
        let next = deadlines.chain(self.network.next_delivery()).min();
        let Some(at) = next.filter(|at| *at <= until) else {
            return false;
        };
        self.now = self.now.max(at);
        let now = self.now;
        while let Some(delivery) = self.network.deliver(now) {
            self.deliver(delivery);
            self.drain();
        }
        for index in 0..self.nodes.len() {
            let node = &mut self.nodes[index];
            if node.endpoint.next_deadline().is_some_and(|at| at <= now) {
                node.endpoint.handle_timeout(now);
                self.drain();
            }
        }
        true
    }

    fn deliver(&mut self, delivery: Delivery) {
        let now = self.now;
        match delivery {
            Delivery::Datagram { from, to, payload } => {
                let mut floor_ways = self.floor_ways.iter();
                if let Some((owner, call, ..)) =
                    floor_ways.find(|(_, _, own, peer)| (*own, *peer) == (to, from))
                {
                    let (owner, call) = (*owner, *call);
                    let endpoint = &mut self.node(owner).endpoint;
                    endpoint.floor_channel_received(now, call, &payload);
                } else if let Some(node) = self.nodes.iter_mut().find(|node| node.address == to) {
                    node.endpoint.datagram_received(now, to, from, payload);
                } else if is_edge(to) && self.registrar.is_some() {
                    let answer = self
                        .registrar
                        .as_mut()
                        .and_then(|registrar| registrar.answer(from, to, &payload));
                    if let Some(answer) = answer {
                        self.network.send(now, to, from, answer);
                    }
                } else {
                    self.received.push((to, payload));
                }
            }
            Delivery::StreamOpened { stream, from, to } => self.stream_opened(stream, from, to),
            Delivery::StreamRefused { stream, to } => {
                let refusal = self.refusal;
                let node = self.node(to);
                // One that is wanted no more is closed without a word.
                if let Some(wanted) = node.wanted.remove(&stream) {
                    node.endpoint.stream_closed(now, wanted.flow, refusal);
                }
            }
            Delivery::StreamBytes {
                stream,
                to,
                payload,
            } if self.websockets.contains(&stream) => {
                let received = self.frames.entry((stream, to)).or_default();
                received.extend_from_slice(&payload);
                while let Some((kind, payload)) = take_frame(&mut self.frames, (stream, to)) {
                    self.frame_received(stream, to, kind, &payload);
                }
            }
            Delivery::StreamBytes {
                stream,
                to,
                payload,
            } if is_edge(to) => {
                self.registrar_received(stream, to, &payload);
            }
            Delivery::StreamBytes {
                stream,
                to,
                payload,
            } => {
                if let Some(node) = self.nodes.iter_mut().find(|node| node.address == to)
                    && let Some(flow) = node.flow_of(stream)
                {
                    node.endpoint.stream_received(now, flow, &payload);
                }
            }
            Delivery::StreamClosed { stream, to } => {
                if let Some(node) = self.nodes.iter_mut().find(|node| node.address == to)
                    && let Some(flow) = node.flow_of(stream)
                {
                    node.flows.remove(&flow);
                    node.endpoint.stream_closed(now, flow, StreamError::Closed);
                }
            }
        }
    }

    fn stream_opened(&mut self, stream: StreamId, from: SocketAddr, to: SocketAddr) {
        let now = self.now;
        let caller_wants = self.nodes.iter().find_map(|node| {
            let wanted = node.wanted.get(&stream)?;
            Some((wanted.transport, wanted.identity.clone()))
        });
        let Some(node) = self.nodes.iter_mut().find(|node| node.address == to) else {
            return;
        };
        if let Some(wanted) = node.wanted.remove(&stream) {
            node.flows.insert(wanted.flow, stream);
            let mut info = StreamInfo::new(wanted.transport, to, from);
            if wanted.transport.is_protected() {
                info.verified_names.push(wanted.server_name);
            }
            node.endpoint.stream_opened(now, wanted.flow, info);
        } else {
            let flow = node.endpoint.reserve_flow();
            node.flows.insert(flow, stream);
            let (transport, identity) = caller_wants.unwrap_or((Transport::Tcp, None));
            let mut info = StreamInfo::new(transport, to, from);
            // Whose own certificate is shown is believed: it is for the address of its box.
            if identity.is_some() {
                info.verified_names.push(from.ip().to_string());
            }
            node.endpoint.stream_opened(now, flow, info);
        }
    }

    fn frame_received(&mut self, stream: StreamId, to: SocketAddr, kind: u8, payload: &Bytes) {
        let now = self.now;
        if kind == FrameKind::Ping as u8 {
            let registrar = self.registrar.as_ref();
            if !is_edge(to) || registrar.is_some_and(|edge| edge.answers_pings(to)) {
                let pong = frame(FrameKind::Pong, b"");
                self.network.stream_send(now, stream, to, pong);
            }
        } else if is_edge(to) {
            if kind == FrameKind::Message as u8 {
                self.registrar_received(stream, to, payload);
            }
        } else if let Some(node) = self.nodes.iter_mut().find(|node| node.address == to)
            && let Some(flow) = node.flow_of(stream)
        {
            if kind == FrameKind::Pong as u8 {
                node.endpoint.websocket_ponged(now, flow);
            } else {
                node.endpoint.stream_received(now, flow, payload);
            }
        }
        self.drain();
    }

    fn registrar_received(&mut self, stream: StreamId, at: SocketAddr, bytes: &[u8]) {
        let Some(registrar) = &mut self.registrar else {
            return;
        };
        let framer = self.registrar_streams.entry(stream).or_default();
        framer.push(bytes);
        while let Ok(Some(item)) = framer.next_item() {
            let answer = match item {
                StreamItem::Message(message) => registrar.answer_message(ALICE, at, message),
                StreamItem::Ping => registrar
                    .answers_pings(at)
                    .then(|| Bytes::from_static(b"\r\n")),
                StreamItem::Pong => None,
            };
            if let Some(answer) = answer {
                let answer = if self.websockets.contains(&stream) {
                    frame(FrameKind::Message, &answer)
                } else {
                    answer
                };
                self.network.stream_send(self.now, stream, at, answer);
            }
        }
    }

    /// Breaks every connection of an endpoint, as a rebooting router would.
    pub(crate) fn break_streams(&mut self, address: SocketAddr) {
        let now = self.now;
        let node = self.node(address);
        let flows: Vec<_> = std::mem::take(&mut node.flows).into_iter().collect();
        for (flow, _) in &flows {
            node.endpoint.stream_closed(now, *flow, StreamError::Broken);
        }
        for (_, stream) in flows {
            self.network.close_stream(now, stream, address);
        }
        self.drain();
    }

    /// An endpoint's box gets another address, and notices: nothing passes by the old one any more, and
    /// nobody says so to the peers.
    pub(crate) fn move_node(&mut self, from: SocketAddr, to: SocketAddr) {
        self.network.listen(to);
        let node = self.node(from);
        node.address = to;
        node.dead.extend(node.flows.values());
        let listen = ListenAddresses {
            udp: vec![to],
            tcp: vec![to],
            tls: vec![to],
        };
        self.act(to, |endpoint, now| {
            let gone = endpoint.connection_addresses();
            endpoint.addresses_changed(now, listen, &gone);
        });
    }

    /// Answers the look-ups that wait, and holds no more.
    pub(crate) fn answer_look_ups(&mut self) {
        for (address, id, host) in self.held_look_ups.take().into_iter().flatten() {
            let servers = self.names.get(&host).cloned().unwrap_or_default();
            self.act(address, |endpoint, now| {
                endpoint.resolved(now, id, &servers);
            });
        }
    }

    fn drain(&mut self) {
        for index in 0..self.nodes.len() {
            while let Some(output) = self.nodes[index].endpoint.poll_output() {
                self.perform(index, output);
            }
        }
    }

    fn perform(&mut self, index: usize, output: Output) {
        let now = self.now;
        let node = &mut self.nodes[index];
        match output {
            // What an endpoint repeats after a move starts where its box is now.
            Output::SendDatagram { remote, bytes, .. } => {
                let local = node.address;
                let bytes = (self.rewrite)(bytes);
                self.sent.push((local, remote, bytes.clone()));
                self.network.send(now, local, remote, bytes);
            }
            Output::OpenStream {
                flow,
                transport,
                remote,
                server_name,
                identity,
                websocket_path,
            } => {
                let stream = self.network.open_stream(now, node.address, remote);
                if let Some(path) = websocket_path {
                    self.websocket_paths.push(path);
                    self.websockets.insert(stream);
                }
                self.identities.push(identity.clone());
                let wanted = Wanted {
                    flow,
                    transport,
                    server_name,
                    identity,
                };
                node.wanted.insert(stream, wanted);
            }
            Output::SendStream { flow, bytes } => {
                let bytes = (self.rewrite)(bytes);
                let stream = node.flows.get(&flow);
                if let Some(stream) = stream.filter(|stream| !node.dead.contains(stream)) {
                    let bytes = if self.websockets.contains(stream) {
                        frame(FrameKind::Message, &bytes)
                    } else {
                        bytes
                    };
                    self.network.stream_send(now, *stream, node.address, bytes);
                }
            }
            Output::PingWebSocket { flow } => {
                if let Some(stream) = node.flows.get(&flow) {
                    let ping = frame(FrameKind::Ping, b"");
                    self.network.stream_send(now, *stream, node.address, ping);
                }
            }
            Output::CloseStream { flow } => {
                node.wanted.retain(|_, wanted| wanted.flow != flow);
                if let Some(stream) = node.flows.remove(&flow)
                    && !node.dead.contains(&stream)
                {
                    self.network.close_stream(now, stream, node.address);
                }
            }
            Output::SendFloorControl { call, bytes } => {
                let owner = node.address;
                let way = self
                    .floor_ways
                    .iter()
                    .find(|(at, of, ..)| (*at, *of) == (owner, call));
                if let Some((_, _, own, peer)) = way {
                    self.network.send(now, *own, *peer, bytes);
                } else {
                    self.floor_connections.push((call, Some(bytes)));
                }
            }
            Output::CloseFloorControl { call } => self.floor_connections.push((call, None)),
            Output::Resolve { id, host, .. } => {
                if let Some(held) = &mut self.held_look_ups {
                    return held.push((node.address, id, host));
                }
                let addresses = self.names.get(&host).cloned().unwrap_or_default();
                self.nodes[index].endpoint.resolved(now, id, &addresses);
            }
            Output::Event(event) => node.events.push(event),
        }
    }
}

impl Node {
    fn flow_of(&self, stream: StreamId) -> Option<FlowId> {
        self.flows
            .iter()
            .find(|(_, own)| **own == stream)
            .map(|(flow, _)| *flow)
    }
}
