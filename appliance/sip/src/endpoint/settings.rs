//! What an endpoint is told when it is made.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use room::codec::AudioCodec;

use crate::digest::Credentials;
use crate::grammar::Uri;
use crate::offer_answer::{Capabilities, H264Capabilities, MediaSecurity};
use crate::transport::Transport;

/// The name that the configuration gives an account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountName(Arc<str>);

impl AccountName {
    /// A name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One SIP identity, and how it reaches the world.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its name in the configuration.
    pub name: AccountName,
    /// Its address of record, as From of its calls and To of its registrations.
    pub address: Uri,
    /// The name shown to the far end.
    pub display_name: Option<String>,
    /// Where it registers; `None` for an account without a registrar.
    pub registrar: Option<Uri>,
    /// The outbound proxy that all its requests pass.
    pub proxy: Option<Uri>,
    /// How its requests travel. [`Transport::Tls`] is never left for another transport.
    pub transport: Transport,
    /// Whether a request of more than 1300 bytes leaves UDP for TCP (RFC 3261 section 18.1.1). It
    /// comes back to UDP when the peer takes no connection.
    pub large_requests_by_tcp: bool,
    /// Who answers digest challenges.
    pub credentials: Option<Credentials>,
    /// How long a registration is asked for.
    pub registration_expires: Duration,
    /// Codecs, and whether media may be plain.
    pub capabilities: Capabilities,
}

impl Account {
    /// An account without registrar, proxy and credentials, over TLS and with SRTP only.
    #[must_use]
    pub fn new(name: AccountName, address: Uri) -> Self {
        Self {
            name,
            address,
            display_name: None,
            registrar: None,
            proxy: None,
            transport: Transport::Tls,
            large_requests_by_tcp: true,
            credentials: None,
            registration_expires: Duration::from_secs(600),
            capabilities: Capabilities {
                audio: vec![
                    AudioCodec::Opus,
                    AudioCodec::G722,
                    AudioCodec::Pcmu,
                    AudioCodec::Pcma,
                ],
                video: H264Capabilities::default(),
                security: MediaSecurity::SrtpRequired,
            },
        }
    }
}

/// A peer that may call us without being behind one of our registrations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfiguredPeer {
    /// Whoever sends from this address.
    Address(IpAddr),
    /// Whoever proves this name, or a name below it, by a TLS certificate.
    Domain(String),
}

/// Which requests from outside of dialogs are taken.
#[derive(Clone, Debug)]
pub struct IncomingPolicy {
    /// Peers allowed besides the flows of our registrations.
    pub peers: Vec<ConfiguredPeer>,
    /// The account that answers for configured peers when the request names none of ours; the first
    /// account when `None`.
    pub peer_account: Option<AccountName>,
    /// Answers to strangers: at most this many at once from one address.
    pub refusal_burst: u32,
    /// One more answer to a stranger after each such interval.
    pub refusal_interval: Duration,
    /// A call that is neither answered nor declined ends after this long with 480.
    pub ring_limit: Duration,
}

impl Default for IncomingPolicy {
    fn default() -> Self {
        Self {
            peers: Vec::new(),
            peer_account: None,
            refusal_burst: 5,
            refusal_interval: Duration::from_secs(10),
            ring_limit: Duration::from_secs(180),
        }
    }
}

/// Where the caller's sockets are, with addresses that the far end can reach: never unspecified.
#[derive(Clone, Debug, Default)]
pub struct ListenAddresses {
    /// Bound UDP sockets. The first of the right family sends.
    pub udp: Vec<SocketAddr>,
    /// Listening TCP sockets.
    pub tcp: Vec<SocketAddr>,
    /// Listening TLS sockets.
    pub tls: Vec<SocketAddr>,
}

/// Everything that an endpoint is told when it is made.
#[derive(Clone, Debug)]
pub struct EndpointSettings {
    /// Our identities; the first is the default one.
    pub accounts: Vec<Account>,
    /// The User-Agent and Server header fields.
    pub user_agent: String,
    /// Who may call.
    pub incoming: IncomingPolicy,
    /// Our sockets.
    pub listen: ListenAddresses,
    /// How long an outgoing call may ring before it is cancelled.
    pub dial_limit: Duration,
}
