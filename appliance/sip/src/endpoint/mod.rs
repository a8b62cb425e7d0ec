//! The endpoint: everything of a SIP user agent but its sockets and its clock.
//!
//! ```text
//!   datagram_received, stream_*, resolved          invite, answer, hang_up, register, ...
//!        │ bytes in                                     │ actions
//!        ▼                                              ▼
//!   incoming ──► server transactions ──► calls ◄──► registrations
//!                client transactions ──►   │              │
//!        ▲                                 ▼              ▼
//!     flows ◄──────────────────────── outgoing ◄──────────┘
//!        │
//!        ▼
//!   poll_output: bytes, connections and look-ups to make, events
//! ```
//!
//! # Contract
//! After every call, take outputs with [`Endpoint::poll_output`] until there are none, and ask
//! [`Endpoint::next_deadline`]; when that time has come, call [`Endpoint::handle_timeout`]. `now`
//! never goes back. The caller opens connections, checks certificates, looks names up and reports
//! how it went; it decides nothing else.
//!
//! # Bounds
//! Calls, transactions, connections, look-ups and remembered strangers are all capped. What does not
//! fit is refused or dropped, and counted in [`Statistics`].

mod address_change;
mod authorization;
mod avoided;
mod binding;
mod challenged;
mod client_transactions;
mod content_rules;
mod event;
pub(crate) mod extensions;
mod first_hop;
mod floor_control;
mod floors;
mod flows;
mod grant;
mod incoming;
mod instance_id;
mod keep_alive;
pub(crate) mod keys;
mod known_challenges;
mod ladder;
mod next_hop;
mod next_server;
mod outgoing;
mod peer_trust;
mod refusals;
mod registrations;
mod server_transactions;
mod settings;
mod stranger_limit;
mod streams;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use thiserror::Error;

pub use crate::call::glare::{Glare, Prevails};
pub use crate::call::media_reach::MediaReach;
pub use crate::call::replaces::IfNotReplaced;
pub use crate::call::way_back::WayBack;
pub use event::{
    AnswerWish, CallEndCause, CallId, CallSecurity, Counts, Event, IncomingRefusal, InfoBody,
    Output, PeerTrust, RefusedWhy, ResolveId, Statistics,
};
pub use floor_control::FloorChannelEnd;
pub use instance_id::InstanceId;
pub use next_hop::TransportFrom;
pub use settings::{
    Account, AccountName, ClientCertificate, ConfiguredPeer, EndpointSettings, IncomingPolicy,
    ListenAddresses, ReplacesPolicy, TransferPolicy,
};

pub(crate) use first_hop::FirstHop;
pub(crate) use incoming::Arrival;
pub(crate) use outgoing::{Outgoing, User};
pub(crate) use registrations::user_of;

use self::avoided::Avoided;
use self::client_transactions::ClientTransaction;
use self::floor_control::FloorControl;
use self::flows::Flows;
use self::keys::{ClientKey, ServerKey};
use self::known_challenges::KnownChallenges;
use self::outgoing::LookUp;
use self::registrations::Registrant;
use self::server_transactions::ServerTransaction;
use self::stranger_limit::StrangerLimit;
use crate::call::Call;
use crate::error::ValueRefused;
use crate::grammar::{self, NameAddr, SipUri};
use crate::ladder::Recorder;
use crate::offer_answer::SdpError;
use crate::transport::{FlowId, Path, Transport};

/// Why an action was not taken. Nothing has changed then.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum ActionError {
    /// No account of that name.
    #[error("no account named {0}")]
    UnknownAccount(AccountName),
    /// No such call, or it is over.
    #[error("no such call")]
    UnknownCall,
    /// The call is in a state in which this makes no sense.
    #[error("the call is not in a state for this")]
    WrongState,
    /// More calls than an endpoint keeps.
    #[error("too many calls")]
    TooManyCalls,
    /// The target is no SIP URI.
    #[error("only sip and sips addresses can be called")]
    UnsupportedScheme,
    /// The account has no registrar.
    #[error("the account has no registrar")]
    NoRegistrar,
    /// Only a final refusal, 300 to 699, rejects a call.
    #[error("not a status that rejects a call")]
    NotARefusal,
    /// Text that does not fit into a header field.
    #[error("the text does not fit into a header field: {0}")]
    Text(#[from] ValueRefused),
    /// The call, if there is one, has agreed on no floor control.
    #[error("the call has no floor control")]
    NoFloorControl,
    /// The peer's offer cannot be answered; the call was refused with the status of the cause.
    #[error("the offer is not acceptable: {0}")]
    Media(#[source] SdpError),
}

/// What became of a request that got no final response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Timeout,
    /// No way, or a connection that broke.
    Transport,
    /// No way, because TLS did not accept a certificate.
    Certificate,
}

/// A SIP user agent; see the module's contract.
#[derive(Debug)]
pub struct Endpoint {
    pub(crate) accounts: Vec<Arc<Account>>,
    pub(crate) policy: IncomingPolicy,
    instance_id: Option<InstanceId>,
    user_agent: String,
    listen: ListenAddresses,
    pub(crate) media_reach: MediaReach,
    pub(crate) dial_limit: std::time::Duration,
    pub(crate) rng: ChaCha20Rng,
    /// Makes the To tags of stateless refusals: the same request gets the same tag.
    stateless_tag_key: [u8; 16],
    /// Our name in messages over WebSockets.
    websocket_host: grammar::Host,
    outputs: VecDeque<Output>,
    flows: Flows,
    avoided: Avoided,
    pub(crate) clients: BTreeMap<ClientKey, ClientTransaction>,
    servers: BTreeMap<ServerKey, ServerTransaction>,
    look_ups: BTreeMap<ResolveId, LookUp>,
    pub(crate) calls: BTreeMap<CallId, Call>,
    floors: BTreeMap<CallId, FloorControl>,
    registrations: BTreeMap<AccountName, Registrant>,
    known_challenges: KnownChallenges,
    stranger_limit: StrangerLimit,
    /// What a new call would be refused with now.
    call_refusal: Option<grammar::StatusCode>,
    ladders: Recorder,
    pub(crate) statistics: Statistics,
    last_id: u64,
}

impl Endpoint {
    /// An idle endpoint. `seed` makes tags, Call-IDs, keys and waits: it has to be random and secret.
    #[must_use]
    pub fn new(settings: EndpointSettings, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let mut stateless_tag_key = [0; 16];
        rng.fill_bytes(&mut stateless_tag_key);
        let websocket_host = websocket_host(seed);
        let stranger_limit = StrangerLimit::new(
            settings.incoming.refusal_burst,
            settings.incoming.refusal_interval,
        );
        Self {
            accounts: settings.accounts.into_iter().map(Arc::new).collect(),
            policy: settings.incoming,
            instance_id: settings.instance_id,
            // A line end in a header field would be refused each time it is written.
            user_agent: settings.user_agent.replace(char::is_control, " "),
            listen: settings.listen,
            media_reach: MediaReach::default(),
            dial_limit: settings.dial_limit,
            rng,
            stateless_tag_key,
            websocket_host,
            outputs: VecDeque::new(),
            flows: Flows::default(),
            avoided: Avoided::default(),
            clients: BTreeMap::new(),
            servers: BTreeMap::new(),
            look_ups: BTreeMap::new(),
            calls: BTreeMap::new(),
            floors: BTreeMap::new(),
            registrations: BTreeMap::new(),
            known_challenges: KnownChallenges::default(),
            stranger_limit,
            call_refusal: None,
            ladders: Recorder::default(),
            statistics: Statistics::default(),
            last_id: 0,
        }
    }

    /// The next thing for the caller to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Endpoint::handle_timeout`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let clients = self
            .clients
            .values()
            .filter_map(ClientTransaction::deadline);
        let servers = self
            .servers
            .values()
            .filter_map(ServerTransaction::deadline);
        let look_ups = self.look_ups.values().map(|look_up| look_up.until);
        let calls = self.calls.values().filter_map(Call::deadline);
        let floors = self.floors.values().filter_map(FloorControl::deadline);
        let registrations = self.registrations.values().filter_map(Registrant::deadline);
        clients
            .chain(servers)
            .chain(look_ups)
            .chain(calls)
            .chain(floors)
            .chain(registrations)
            .chain(self.flows.deadline())
            .min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        for key in due(&self.clients, now, ClientTransaction::deadline) {
            self.client_timeout(now, &key);
        }
        for key in due(&self.servers, now, ServerTransaction::deadline) {
            self.server_timeout(now, &key);
        }
        for id in due(&self.look_ups, now, |look_up| Some(look_up.until)) {
            self.looked_up(now, id, &[]);
        }
        for call in due(&self.calls, now, Call::deadline) {
            self.call_timeout(now, call);
        }
        for call in due(&self.floors, now, FloorControl::deadline) {
            self.floor_timeout(now, call);
        }
        for account in due(&self.registrations, now, Registrant::deadline) {
            self.registration_timeout(now, &account);
        }
        self.flow_timeouts(now);
    }

    /// A name look-up has ended; no addresses when it failed.
    pub fn resolved(&mut self, now: Instant, id: ResolveId, addresses: &[SocketAddr]) {
        self.looked_up(now, id, addresses);
    }

    /// How much the endpoint holds now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            calls: self.calls.len(),
            client_transactions: self.clients.len(),
            unanswered_requests: self
                .clients
                .values()
                .filter(|transaction| transaction.is_waiting())
                .count(),
            server_transactions: self.servers.len(),
            flows: self.flows.len(),
            look_ups: self.look_ups.len(),
        }
    }

    /// What has been dropped and refused so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Counts a session description that could not be used, if it is malformed.
    pub(crate) fn note_description(&mut self, error: &SdpError) {
        self.statistics.malformed_descriptions += u64::from(error.is_malformed());
    }

    pub(crate) fn account(&self, name: &AccountName) -> Result<Arc<Account>, ActionError> {
        self.accounts
            .iter()
            .find(|account| account.name == *name)
            .cloned()
            .ok_or_else(|| ActionError::UnknownAccount(name.clone()))
    }

    pub(crate) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.floors_follow(&event);
        self.output(Output::Event(event));
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// 80 random bits as a token: a tag or a branch.
    pub(crate) fn token(&mut self) -> String {
        format!(
            "{:016x}{:04x}",
            self.rng.next_u64(),
            self.rng.next_u32() & 0xffff
        )
    }

    pub(crate) fn new_call_id(&mut self) -> grammar::CallId {
        let text = format!("{:016x}{:016x}", self.rng.next_u64(), self.rng.next_u64());
        grammar::CallId::new(&text).expect("hexadecimal digits are a word")
    }

    pub(crate) fn user_agent(&self) -> &str {
        &self.user_agent
    }

    /// Sends bytes that are no message of a call; see `send_message` and `send_repeated`.
    pub(crate) fn send(&mut self, now: Instant, path: Path, bytes: Bytes) {
        match path {
            Path::Datagram { local, remote } => {
                self.output(Output::SendDatagram {
                    local,
                    remote,
                    bytes,
                });
            }
            Path::Stream(flow) => {
                // A connection that has just broken: its transactions are told by the flow.
                if let Some(open) = self.flows.get_open_mut(flow) {
                    open.used(now);
                    self.output(Output::SendStream { flow, bytes });
                }
            }
        }
    }

    pub(crate) fn transport_of(&self, path: Path) -> Transport {
        self.local_end(path)
            .map_or(Transport::Tcp, |(transport, _)| transport)
    }

    pub(crate) fn local_end(&self, path: Path) -> Option<(Transport, SocketAddr)> {
        match path {
            Path::Datagram { local, .. } => Some((Transport::Udp, local)),
            Path::Stream(flow) => {
                let info = &self.flows.get_open(flow)?.info;
                Some((info.transport, info.local))
            }
        }
    }

    fn udp_socket_for(&self, remote: SocketAddr) -> Option<SocketAddr> {
        self.listen
            .udp
            .iter()
            .find(|local| local.is_ipv4() == remote.is_ipv4())
            .copied()
    }

    /// Forgets the requests of a user that have not found their way yet.
    pub(crate) fn drop_waiting(&mut self, user: &User) {
        self.look_ups
            .retain(|_, look_up| look_up.outgoing.user != *user);
        self.flows.retain_waiting(|outgoing| outgoing.user != *user);
    }

    /// Whether anything would be lost with a connection.
    fn is_in_use(&self, flow: FlowId) -> bool {
        self.registrations
            .values()
            .any(|registrant| registrant.uses(flow))
            || self.calls.values().any(|call| call.flow == Some(flow))
            || self
                .clients
                .values()
                .any(|transaction| transaction.path == Path::Stream(flow))
    }
}

/// A random name that leads nowhere (RFC 7118 section 5.3, RFC 2606).
fn websocket_host(seed: [u8; 32]) -> grammar::Host {
    let mut rng = ChaCha20Rng::from_seed(seed);
    rng.set_stream(1);
    let name = format!("{:016x}.invalid", rng.next_u64());
    name.parse().expect("letters, digits and a dot are a host")
}

fn due<K: Clone + Ord, V>(
    table: &BTreeMap<K, V>,
    now: Instant,
    deadline: impl Fn(&V) -> Option<Instant>,
) -> Vec<K> {
    table
        .iter()
        .filter(|(_, entry)| deadline(entry).is_some_and(|at| at <= now))
        .map(|(key, _)| key.clone())
        .collect()
}

/// A Route to a proxy that the settings name: always a loose one.
fn loose_route(proxy: &SipUri) -> NameAddr {
    NameAddr::new(proxy.clone().with_param("lr", None).into())
}
