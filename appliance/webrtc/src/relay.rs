//! A relay: one allocation of a TURN server (RFC 8656).
//!
//! ```text
//!               the server gives an address            the server takes it away,
//!  Allocating ────────────────────────────► Allocated ──── or is silent ────────► Closed
//!      │                                        │                                   ▲
//!      └── refused, or no answer ───────────────┴── close ──────────────────────────┘
//! ```
//!
//! The owner of the connection to the server gives what comes from there to [`Relay::receive`], and sends
//! what [`RelayOutput::Transmit`] has. A peer gets its permission by the first datagram that is sent to it,
//! and by UDP a channel once it takes many; datagrams that come before the permission are dropped, as a network
//! may: ICE sends its checks again. Allocation, permissions and channels are refreshed in time.
//!
//! The server is trusted with nothing but the traffic: what it sends costs bounded memory.

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use turn_client_proto::api::{
    BindChannelError, CreatePermissionError, Transmit, TurnConfig, TurnEvent, TurnPollRet,
    TurnRecvRet,
};
use turn_client_proto::prelude::{DelayedTransmitBuild, TurnClientApi};
use turn_client_proto::stun::Instant as ClientInstant;
use turn_client_proto::tcp::TurnClientTcp;
use turn_client_proto::types::stun::TransportType;
use turn_client_proto::types::{AddressFamily, TurnCredentials};
use turn_client_proto::udp::TurnClientUdp;

use crate::address::Protocol;
use crate::allocation_errors::{TransactionId, allocation_errors};
use crate::engine::contained;

turn_client_proto::impl_client!(Client, (Udp, TurnClientUdp), (Tcp, TurnClientTcp));

/// Peers that datagrams go to. A browser has some addresses; each pairs with ours.
const MOST_PEERS: usize = 64;

/// Datagrams to a peer after which it gets a channel, whose header is 32 bytes shorter. Checks of ICE on
/// pairs that are not chosen stay below.
const DATAGRAMS_BEFORE_CHANNEL: u32 = 32;

/// Rounds of the client in a row before others have their turn.
const MOST_ROUNDS: usize = 64;

/// How long a server may take to give an address. The client itself asks a server that does not know us
/// without end.
const ALLOCATION_TIME: Duration = Duration::from_secs(20);

/// No less than what the client waits between two requests.
const REQUEST_INTERVAL: Duration = Duration::from_millis(100);

/// No client is asked again sooner than this.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// The server asks who we are, at first, and whenever it does not believe it.
const UNAUTHORIZED: u16 = 401;

/// By what a TURN server knows us: long-term credentials (RFC 8489 section 9.2), lasting or limited in time.
#[derive(Clone, PartialEq, Eq)]
pub struct RelayCredentials {
    /// Who asks.
    pub username: String,
    /// Its password.
    pub password: String,
}

impl fmt::Debug for RelayCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RelayCredentials")
    }
}

/// What a relay hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayOutput {
    /// Send this to the server: a datagram, or a stretch of the stream.
    Transmit(Bytes),
    /// A peer has sent this to our address at the server.
    Received {
        /// The peer.
        source: SocketAddr,
        /// The datagram.
        payload: Bytes,
    },
    /// The server has given this address to us.
    Allocated(SocketAddr),
    /// Nothing follows.
    Closed(RelayEnd),
}

/// Why a relay is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayEnd {
    /// The server knows nobody of our name with our password (RFC 8489 section 9.2.5).
    #[error("the TURN server does not take our name and password")]
    Unauthorized,
    /// The server gives no address: it does not answer, or has none.
    #[error("the TURN server gives no address")]
    Refused,
    /// The address is gone.
    #[error("the TURN server has taken the address away")]
    Lost,
    /// [`Relay::close`] was called.
    #[error("it was closed")]
    Local,
    /// The client has come upon a fault of its own.
    #[error("the TURN client has failed")]
    ClientFault,
}

/// Somebody whom datagrams go to by the relay.
#[derive(Debug)]
struct Peer {
    address: SocketAddr,
    sent: u32,
    /// Whether the server was asked for a channel. One that it refuses is not asked for again.
    has_channel: bool,
}

/// One allocation of a TURN server.
#[derive(Debug)]
pub struct Relay {
    /// `None` once it is over.
    client: Option<Client>,
    protocol: Protocol,
    local: SocketAddr,
    server: SocketAddr,
    epoch: Instant,
    deadline: Option<Instant>,
    address: Option<SocketAddr>,
    /// The request that the server has answered by asking who we are.
    challenged: Option<TransactionId>,
    peers: Vec<Peer>,
    /// The server relays nothing to these.
    refused: Vec<IpAddr>,
    outputs: VecDeque<RelayOutput>,
}

impl Relay {
    /// Asks `server` for an address of the same family, from `local`, by a UDP socket or a TCP (or TLS)
    /// connection.
    #[must_use]
    pub fn new(
        now: Instant,
        protocol: Protocol,
        local: SocketAddr,
        server: SocketAddr,
        credentials: &RelayCredentials,
    ) -> Self {
        let credentials = TurnCredentials::new(&credentials.username, &credentials.password);
        let mut config = TurnConfig::new(credentials);
        config.set_address_family(match server {
            SocketAddr::V4(_) => AddressFamily::IPV4,
            SocketAddr::V6(_) => AddressFamily::IPV6,
        });
        let client = contained(|| match protocol {
            Protocol::Udp => Client::Udp(TurnClientUdp::allocate(local, server, config)),
            Protocol::Tcp => Client::Tcp(TurnClientTcp::allocate(local, server, config)),
        });
        let mut relay = Self {
            client,
            protocol,
            local,
            server,
            epoch: now,
            deadline: None,
            address: None,
            challenged: None,
            peers: Vec::new(),
            refused: Vec::new(),
            outputs: VecDeque::new(),
        };
        relay.advance(now);
        relay
    }

    /// Our address at the server, while there is one.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Takes what has come from the server: a datagram, or the next stretch of the stream.
    pub fn receive(&mut self, now: Instant, bytes: &[u8]) {
        if self.is_unauthorized(bytes) {
            return self.end(RelayEnd::Unauthorized);
        }
        let (transport, server, local) = (self.transport(), self.server, self.local);
        let received = self.run(now, |client, at| {
            let mut received = Vec::new();
            let bytes = Transmit::new(bytes, transport, server, local);
            if let TurnRecvRet::PeerData(data) = client.recv(bytes, at) {
                received.push((data.peer, Bytes::copy_from_slice(data.data())));
            }
            // Whatever else was complete in that stretch of the stream.
            while let Some(data) = client.poll_recv(at) {
                received.push((data.peer, Bytes::copy_from_slice(data.data())));
            }
            received
        });
        for (source, payload) in received.unwrap_or_default() {
            let output = RelayOutput::Received { source, payload };
            self.outputs.push_back(output);
        }
        self.advance(now);
    }

    /// Whether the server asks who we are although we have said it: the client would tell it without end.
    fn is_unauthorized(&mut self, bytes: &[u8]) -> bool {
        if self.address.is_some() {
            return false;
        }
        let errors = allocation_errors(bytes).into_iter();
        let mut challenges = errors.filter(|(_, code)| *code == UNAUTHORIZED);
        // The first request is sent again until it is answered, and so may be its answer.
        challenges.any(|(id, _)| *self.challenged.get_or_insert(id) != id)
    }

    /// Sends a datagram to a peer, from our address at the server. What cannot be sent yet is dropped.
    pub fn send(&mut self, now: Instant, destination: SocketAddr, payload: &[u8]) {
        if self.address.is_none() || self.refused.contains(&destination.ip()) {
            return;
        }
        let Some(peer) = self.peer(destination) else {
            return;
        };
        peer.sent = peer.sent.saturating_add(1);
        let mut wants_channel = !peer.has_channel && peer.sent > DATAGRAMS_BEFORE_CHANNEL;
        peer.has_channel |= wants_channel;
        // The client does not fill up the messages of channels to four bytes, as streams need it (RFC 8656
        // section 12.5).
        wants_channel &= self.protocol == Protocol::Udp;
        let sent = self.run(now, |client, at| {
            let udp = TransportType::Udp;
            if !client.have_permission(udp, destination.ip()) {
                let asked = client.create_permission(udp, destination.ip(), at);
                let is_under_way = matches!(asked, Err(CreatePermissionError::AlreadyExists));
                return Err(asked.is_ok() || is_under_way);
            }
            if wants_channel {
                let bound = client.bind_channel(udp, destination, at);
                if let Err(BindChannelError::NoAllocation) = bound {
                    return Err(false);
                }
            }
            let message = client.send_to(udp, destination, payload, at);
            Ok(message.ok().flatten().map(|message| message.data.build()))
        });
        if let Some(Ok(Some(message))) = sent {
            let output = RelayOutput::Transmit(message.into());
            self.outputs.push_back(output);
        }
        self.advance(now);
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// When [`Relay::handle_timeout`] is to be called next; `None` once it is over.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Takes the next output.
    pub fn poll_output(&mut self) -> Option<RelayOutput> {
        self.outputs.pop_front()
    }

    /// Gives the address back to the server.
    pub fn close(&mut self, now: Instant) {
        // Without an allocation there is nothing to give back.
        let _ = self.run(now, |client, at| client.delete(at).is_ok());
        // The client waits between two requests; but it is asked for nothing more.
        self.drain(now + REQUEST_INTERVAL);
        self.end(RelayEnd::Local);
    }

    fn peer(&mut self, address: SocketAddr) -> Option<&mut Peer> {
        let known = self.peers.iter().position(|peer| peer.address == address);
        let index = match known {
            Some(index) => index,
            None if self.peers.len() < MOST_PEERS => {
                self.peers.push(Peer {
                    address,
                    sent: 0,
                    has_channel: false,
                });
                self.peers.len() - 1
            }
            None => return None,
        };
        self.peers.get_mut(index)
    }

    const fn transport(&self) -> TransportType {
        match self.protocol {
            Protocol::Udp => TransportType::Udp,
            Protocol::Tcp => TransportType::Tcp,
        }
    }

    /// Runs something on the client, which may not survive it: it stops with a panic where it finds itself
    /// contradicted, and a server may bring it there.
    fn run<T>(
        &mut self,
        now: Instant,
        what: impl FnOnce(&mut Client, ClientInstant) -> T,
    ) -> Option<T> {
        let at = self.client_time(now);
        let client = self.client.as_mut()?;
        let result = contained(|| what(client, at));
        if result.is_none() {
            self.end(RelayEnd::ClientFault);
        }
        result
    }

    fn client_time(&self, now: Instant) -> ClientInstant {
        let elapsed = now.saturating_duration_since(self.epoch).as_nanos();
        ClientInstant::from_nanos(i64::try_from(elapsed).unwrap_or(i64::MAX / 2))
    }

    fn advance(&mut self, now: Instant) {
        if self.client.is_none() {
            return;
        }
        let give_up = self.epoch + ALLOCATION_TIME;
        if self.address.is_none() && now >= give_up {
            return self.end(RelayEnd::Refused);
        }
        let mut wait = None;
        for _ in 0..MOST_ROUNDS {
            let polled = self.run(now, |client, at| match client.poll(at) {
                TurnPollRet::WaitUntil(until) => {
                    Some(until.checked_duration_since(at).unwrap_or_default())
                }
                // Of allocations of TCP addresses, which this is not.
                TurnPollRet::AllocateTcpSocket { .. } | TurnPollRet::TcpClose { .. } => {
                    Some(Duration::ZERO)
                }
                TurnPollRet::Closed => None,
            });
            let is_progress = self.drain(now);
            match polled {
                None => return,
                Some(None) => {
                    let end = match self.address {
                        None => RelayEnd::Refused,
                        Some(_) => RelayEnd::Lost,
                    };
                    return self.end(end);
                }
                Some(Some(until)) => {
                    wait = Some(until);
                    if !is_progress {
                        break;
                    }
                }
            }
        }
        if self.client.is_some() {
            let wait = wait.unwrap_or_default().max(SHORTEST_WAIT);
            let deadline = now + wait;
            self.deadline = Some(match self.address {
                Some(_) => deadline,
                None => deadline.min(give_up),
            });
        }
    }

    /// Takes what the client has for others. Whether there was something.
    fn drain(&mut self, now: Instant) -> bool {
        let drained = self.run(now, |client, at| {
            let transmits = std::iter::from_fn(|| client.poll_transmit(at));
            let transmits = transmits.take(MOST_ROUNDS);
            let messages: Vec<Bytes> = transmits
                .map(|message| Bytes::copy_from_slice(message.data.as_ref()))
                .collect();
            let events = std::iter::from_fn(|| client.poll_event()).take(MOST_ROUNDS);
            (messages, events.collect::<Vec<_>>())
        });
        let (messages, events) = drained.unwrap_or_default();
        let is_progress = !messages.is_empty() || !events.is_empty();
        self.outputs
            .extend(messages.into_iter().map(RelayOutput::Transmit));
        for event in events {
            self.take_event(&event);
        }
        is_progress
    }

    fn take_event(&mut self, event: &TurnEvent) {
        match *event {
            TurnEvent::AllocationCreated(_, address) if self.address.is_none() => {
                self.address = Some(address);
                self.outputs.push_back(RelayOutput::Allocated(address));
            }
            TurnEvent::AllocationCreateFailed(_) if self.address.is_none() => {
                self.end(RelayEnd::Refused);
            }
            TurnEvent::PermissionCreateFailed(_, peer) if self.refused.len() < MOST_PEERS => {
                self.refused.push(peer);
            }
            // Without a channel its datagrams go with the longer header.
            _ => {}
        }
    }

    fn end(&mut self, end: RelayEnd) {
        if self.client.take().is_some() {
            self.deadline = None;
            self.address = None;
            self.outputs.push_back(RelayOutput::Closed(end));
        }
    }
}
