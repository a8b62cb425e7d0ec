//! TCP and TLS connections: opening, reading, keeping alive, and what happens when one breaks.
//!
//! ```text
//!  OpenStream ─► Opening ── opened ──► Open ── closed, broken, silent too long ─► (gone)
//!                   │ not connected, or too late: the waiting requests try their next target
//!                   ▼
//!                 (gone)                 stream_opened of a reserved flow ─► Open
//! ```
//!
//! A connection that we opened is kept alive by a double CRLF (RFC 5626 section 4.4.1) while a
//! registration, a call or a transaction uses it, and closed when it has been idle for a while.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::grammar::StreamFramer;
use crate::transaction::T1_64;
use crate::transport::{FlowId, StreamInfo, Transport};

use super::keep_alive::random_wait;
use super::outgoing::Outgoing;
use super::settings::{Account, AccountName};
use rand_core::Rng;

/// Connections at once, ours and our peers'.
pub(crate) const MAX_FLOWS: usize = 128;
/// How long the caller may take to connect.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// The longest time between two pings of ours when the peer names none (RFC 5626 section 4.4.1).
const PING_INTERVAL: Duration = Duration::from_secs(120);
/// Whatever a peer asks for, no more than this.
const SHORTEST_PING_INTERVAL: Duration = Duration::from_secs(5);
/// How long a peer that has answered pings before, or has promised to, may take to answer one.
const PONG_LIMIT: Duration = Duration::from_secs(10);
/// How long a peer that has connected may take to send a first whole message.
const FIRST_MESSAGE_LIMIT: Duration = Duration::from_secs(30);
/// A peer's connection without a single byte for this long is closed.
const PEER_SILENCE_LIMIT: Duration = Duration::from_secs(600);
/// A connection of ours that nothing uses is closed after this long.
const UNUSED_LIMIT: Duration = Duration::from_secs(120);

/// An address to send a request to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) transport: Transport,
    pub(crate) remote: SocketAddr,
    /// The host that was asked for: the name that a certificate has to have.
    pub(crate) server_name: String,
    /// Whose certificate the server is shown if it asks for one.
    pub(crate) identity: Option<AccountName>,
    /// The path that a WebSocket asks for.
    pub(crate) websocket_path: Option<String>,
    pub(crate) large_request: LargeRequest,
}

/// What becomes of a request that is too large for UDP (RFC 3261 section 18.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LargeRequest {
    /// TCP to the same address is tried first.
    MovesToTcp,
    /// TCP was tried: better fragments than no call.
    Stays,
}

impl Target {
    pub(crate) fn new(transport: Transport, remote: SocketAddr, server_name: String) -> Self {
        Self {
            transport,
            remote,
            server_name,
            identity: None,
            websocket_path: None,
            large_request: LargeRequest::MovesToTcp,
        }
    }

    /// The same, by a connection that is made for an account.
    pub(crate) fn made_for(self, account: &Account) -> Self {
        Self {
            identity: account.identity(),
            websocket_path: account.websocket_path(self.transport),
            ..self
        }
    }

    pub(crate) fn over_tcp(&self) -> Self {
        Self {
            transport: Transport::Tcp,
            ..self.clone()
        }
    }

    pub(crate) fn for_any_size(&self) -> Self {
        Self {
            large_request: LargeRequest::Stays,
            ..self.clone()
        }
    }
}

/// A request that waits for its connection, with the targets left to try after it.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) outgoing: Outgoing,
    pub(crate) remaining: VecDeque<Target>,
}

#[derive(Debug)]
pub(crate) enum Flow {
    Opening {
        target: Target,
        until: Instant,
        waiting: Vec<Waiting>,
    },
    Open(Box<OpenFlow>),
}

/// Who connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenedBy {
    Us,
    Peer,
}

/// Whether the peer answers pings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pong {
    NeverSeen,
    /// It has answered before, or has promised to.
    Expected,
    Awaited {
        until: Instant,
    },
}

#[derive(Debug)]
pub(crate) struct OpenFlow {
    pub(crate) info: StreamInfo,
    pub(crate) opened_by: OpenedBy,
    pub(crate) framer: StreamFramer,
    /// Ours: the host that it was opened for.
    pub(crate) server_name: Option<String>,
    /// Ours: in whose name it was made.
    identity: Option<AccountName>,
    /// Ours: the path that a WebSocket has asked for.
    websocket_path: Option<String>,
    /// A peer's: the address for whose requests the peer has offered it (RFC 5923).
    alias: Option<SocketAddr>,
    first_message: FirstMessage,
    last_received: Instant,
    last_used: Instant,
    ping_interval: Duration,
    next_ping: Instant,
    pong: Pong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FirstMessage {
    Awaited { until: Instant },
    Seen,
}

/// What a connection's clock asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlowDue {
    Nothing,
    Ping,
    /// It is silent, unused or dead.
    Close,
}

impl OpenFlow {
    pub(crate) fn new(
        now: Instant,
        info: StreamInfo,
        opened_by: OpenedBy,
        target: Option<&Target>,
        rng: &mut impl Rng,
    ) -> Self {
        Self {
            info,
            opened_by,
            framer: StreamFramer::new(),
            server_name: target.map(|target| target.server_name.clone()),
            identity: target.and_then(|target| target.identity.clone()),
            websocket_path: target.and_then(|target| target.websocket_path.clone()),
            alias: None,
            first_message: match opened_by {
                OpenedBy::Us => FirstMessage::Seen,
                OpenedBy::Peer => FirstMessage::Awaited {
                    until: now + FIRST_MESSAGE_LIMIT,
                },
            },
            last_received: now,
            last_used: now,
            ping_interval: PING_INTERVAL,
            next_ping: now + random_wait(PING_INTERVAL, rng),
            pong: Pong::NeverSeen,
        }
    }

    /// Bytes have arrived.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.last_received = now;
    }

    /// Whether nothing has arrived for as long as a transaction waits for its answer.
    pub(crate) fn is_silent(&self, now: Instant) -> bool {
        self.last_received + T1_64 <= now
    }

    /// A whole message has arrived or was sent.
    pub(crate) fn used(&mut self, now: Instant) {
        self.first_message = FirstMessage::Seen;
        self.last_used = now;
    }

    /// The answer to a ping has arrived.
    pub(crate) fn ponged(&mut self) {
        self.pong = Pong::Expected;
    }

    /// The peer is an edge proxy that answers pings (RFC 5626 section 4.4.1), and wants them at
    /// least as often as `flow_timer` says.
    pub(crate) fn expect_pongs(
        &mut self,
        now: Instant,
        flow_timer: Option<Duration>,
        rng: &mut impl Rng,
    ) {
        if self.pong == Pong::NeverSeen {
            self.pong = Pong::Expected;
        }
        if let Some(wanted) = flow_timer {
            // Several registrations may share the connection: the shortest time serves all.
            let interval = wanted.max(SHORTEST_PING_INTERVAL);
            self.ping_interval = self.ping_interval.min(interval);
            let next_ping = now + random_wait(self.ping_interval, rng);
            self.next_ping = self.next_ping.min(next_ping);
        }
    }

    fn deadline(&self) -> Instant {
        match self.opened_by {
            OpenedBy::Us => match self.pong {
                Pong::Awaited { until } => until.min(self.next_ping),
                Pong::NeverSeen | Pong::Expected => self.next_ping,
            },
            OpenedBy::Peer => match self.first_message {
                FirstMessage::Awaited { until } => until,
                FirstMessage::Seen => self.last_received + PEER_SILENCE_LIMIT,
            },
        }
    }

    fn handle_timeout(&mut self, now: Instant, in_use: bool, rng: &mut impl Rng) -> FlowDue {
        if self.deadline() > now {
            return FlowDue::Nothing;
        }
        match (self.opened_by, self.pong) {
            (OpenedBy::Peer, _) => FlowDue::Close,
            (OpenedBy::Us, Pong::Awaited { until }) if until <= now => FlowDue::Close,
            (OpenedBy::Us, _) if !in_use && self.last_used + UNUSED_LIMIT <= now => FlowDue::Close,
            (OpenedBy::Us, pong) => {
                self.next_ping = now + random_wait(self.ping_interval, rng);
                if pong == Pong::Expected {
                    self.pong = Pong::Awaited {
                        until: now + PONG_LIMIT,
                    };
                }
                FlowDue::Ping
            }
        }
    }
}

/// All connections.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    flows: BTreeMap<FlowId, Flow>,
}

impl Flows {
    pub(crate) fn len(&self) -> usize {
        self.flows.len()
    }

    pub(crate) fn ids(&self) -> Vec<FlowId> {
        self.flows.keys().copied().collect()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.flows.len() >= MAX_FLOWS
    }

    /// Notes a connection that the caller is asked to open.
    pub(crate) fn open(&mut self, now: Instant, id: FlowId, target: Target, first: Waiting) {
        let until = now + CONNECT_LIMIT;
        self.flows.insert(
            id,
            Flow::Opening {
                target,
                until,
                waiting: vec![first],
            },
        );
    }

    pub(crate) fn insert(&mut self, id: FlowId, flow: OpenFlow) {
        self.flows.insert(id, Flow::Open(Box::new(flow)));
    }

    pub(crate) fn remove(&mut self, id: FlowId) -> Option<Flow> {
        self.flows.remove(&id)
    }

    pub(crate) fn get(&self, id: FlowId) -> Option<&Flow> {
        self.flows.get(&id)
    }

    pub(crate) fn get_open(&self, id: FlowId) -> Option<&OpenFlow> {
        match self.flows.get(&id)? {
            Flow::Open(open) => Some(open),
            Flow::Opening { .. } => None,
        }
    }

    pub(crate) fn get_open_mut(&mut self, id: FlowId) -> Option<&mut OpenFlow> {
        match self.flows.get_mut(&id)? {
            Flow::Open(open) => Some(open),
            Flow::Opening { .. } => None,
        }
    }

    /// The connections that stand.
    pub(crate) fn open_ones(&self) -> impl Iterator<Item = (FlowId, &StreamInfo)> {
        self.flows.iter().filter_map(|(id, flow)| match flow {
            Flow::Open(open) => Some((*id, &open.info)),
            Flow::Opening { .. } => None,
        })
    }

    /// The connections that are being made.
    pub(crate) fn opening_ones(&self) -> Vec<FlowId> {
        self.flows
            .iter()
            .filter_map(|(id, flow)| match flow {
                Flow::Opening { .. } => Some(*id),
                Flow::Open(_) => None,
            })
            .collect()
    }

    /// The connection, open or opening, that leads to a target.
    pub(crate) fn to_target(&self, target: &Target) -> Option<FlowId> {
        self.flows
            .iter()
            .find(|(_, flow)| match flow {
                Flow::Opening {
                    target: opening, ..
                } => opening == target,
                Flow::Open(open) => {
                    open.info.transport == target.transport
                        && open.leads_to(target.remote)
                        && (open.opened_by == OpenedBy::Peer || open.identity == target.identity)
                        && open.websocket_path == target.websocket_path
                        && open.may_carry_requests_for(&target.server_name)
                }
            })
            .map(|(id, _)| *id)
    }

    /// The open connection that was opened for a host name, so that no look-up is needed.
    pub(crate) fn to_host(
        &self,
        transport: Transport,
        host: &str,
        port: u16,
        account: &Account,
    ) -> Option<FlowId> {
        let (identity, path) = (account.identity(), account.websocket_path(transport));
        self.flows
            .iter()
            .find(|(_, flow)| match flow {
                Flow::Opening { .. } => false,
                Flow::Open(open) => {
                    open.info.transport == transport
                        && open.info.remote.port() == port
                        && open.was_opened_for(host)
                        && open.identity == identity
                        && open.websocket_path == path
                }
            })
            .map(|(id, _)| *id)
    }

    /// Adds a request to those that wait for a connection. Gives it back when the connection is not
    /// opening.
    pub(crate) fn wait(&mut self, id: FlowId, request: Waiting) -> Result<(), Box<Waiting>> {
        match self.flows.get_mut(&id) {
            Some(Flow::Opening { waiting, .. }) => {
                waiting.push(request);
                Ok(())
            }
            Some(Flow::Open(_)) | None => Err(Box::new(request)),
        }
    }

    /// Drops waiting requests.
    pub(crate) fn retain_waiting(&mut self, keep: impl Fn(&Outgoing) -> bool) {
        for flow in self.flows.values_mut() {
            match flow {
                Flow::Opening { waiting, .. } => waiting.retain(|entry| keep(&entry.outgoing)),
                Flow::Open(_) => {}
            }
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.flows
            .values()
            .map(|flow| match flow {
                Flow::Opening { until, .. } => *until,
                Flow::Open(open) => open.deadline(),
            })
            .min()
    }

    /// The connections whose time has come, with what is to be done.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        in_use: impl Fn(FlowId) -> bool,
        rng: &mut impl Rng,
    ) -> Vec<(FlowId, FlowDue)> {
        self.flows
            .iter_mut()
            .filter_map(|(id, flow)| {
                let due = match flow {
                    Flow::Opening { until, .. } if *until <= now => FlowDue::Close,
                    Flow::Opening { .. } => FlowDue::Nothing,
                    Flow::Open(open) => open.handle_timeout(now, in_use(*id), rng),
                };
                (due != FlowDue::Nothing).then_some((*id, due))
            })
            .collect()
    }
}

impl OpenFlow {
    /// Whether its other end may know who has made it: it was made with a certificate of ours.
    pub(crate) fn proves_us(&self) -> bool {
        self.identity.is_some()
    }

    /// The peer that has made it offers it for requests to an address of its own (RFC 5923 section 5).
    /// It counts only together with a certificate, by which the peer has proven whose address that is.
    pub(crate) fn offered_for(&mut self, port: u16) {
        if self.opened_by == OpenedBy::Peer && !self.info.verified_names.is_empty() {
            self.alias = Some(SocketAddr::new(self.info.remote.ip(), port));
        }
    }

    fn leads_to(&self, remote: SocketAddr) -> bool {
        self.info.remote == remote || self.alias == Some(remote)
    }

    /// Whether requests for a name may take this connection: over TLS those for which its other end was
    /// verified, over TCP only one that we have made ourselves (RFC 5923: who has
    /// connected may be anybody).
    fn may_carry_requests_for(&self, name: &str) -> bool {
        match self.info.transport {
            Transport::Tls | Transport::Wss => self.is_verified_for(name),
            Transport::Tcp | Transport::Ws | Transport::Udp => self.opened_by == OpenedBy::Us,
        }
    }

    /// Whether it was opened to reach a host of that name (no name tells upper case from lower).
    pub(super) fn was_opened_for(&self, name: &str) -> bool {
        let opened_for = self.server_name.as_deref();
        opened_for.is_some_and(|opened_for| opened_for.eq_ignore_ascii_case(name))
    }

    pub(super) fn is_verified_for(&self, name: &str) -> bool {
        self.was_opened_for(name)
            || self
                .info
                .verified_names
                .iter()
                .any(|verified| verified.eq_ignore_ascii_case(name))
    }
}
