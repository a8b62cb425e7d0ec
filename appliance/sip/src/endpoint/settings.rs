//! What an endpoint is told when it is made.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use room::codec::AudioCodec;

use super::instance_id::InstanceId;
use crate::digest::Credentials;
use crate::grammar::{SipUri, Uri};
use crate::offer_answer::{
    BfcpTransport, Capabilities, ContentSharing, H264Capabilities, IceUse, MediaKeys, MediaSecurity,
};
use crate::registration::BackOff;
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
    /// The outbound proxies. Requests pass one of them; the account registers by each, so that it
    /// can be called while one is out of order (RFC 5626 section 4.2). None: requests go straight to
    /// their target. What is no SIP URI is passed over.
    pub proxies: Vec<Uri>,
    /// How its requests travel. [`Transport::Tls`] and [`Transport::Wss`] are never left for another
    /// transport.
    pub transport: Transport,
    /// Whether a request of more than 1300 bytes leaves UDP for TCP (RFC 3261 section 18.1.1). It
    /// comes back to UDP when the peer takes no connection.
    pub large_requests_by_tcp: bool,
    /// Who answers digest challenges.
    pub credentials: Option<Credentials>,
    /// The path that WebSockets of this account ask their servers for.
    pub websocket_path: String,
    /// Whether servers that ask for a certificate are shown one of this account's own.
    pub client_certificate: ClientCertificate,
    /// How long a registration is asked for.
    pub registration_expires: Duration,
    /// How long it is waited for after a registration has failed.
    pub back_off: BackOff,
    /// How many other targets a call is sent to at most when it is redirected (3xx); 0 follows no
    /// redirection.
    pub redirects: u8,
    /// Codecs, and whether media may be plain.
    pub capabilities: Capabilities,
}

impl Account {
    /// How many redirections are followed unless something else is wanted.
    pub const REDIRECTS: u8 = 4;

    /// An account without registrar, proxy and credentials, over TLS and with SRTP only.
    #[must_use]
    pub fn new(name: AccountName, address: Uri) -> Self {
        Self {
            name,
            address,
            display_name: None,
            registrar: None,
            proxies: Vec::new(),
            transport: Transport::Tls,
            large_requests_by_tcp: true,
            credentials: None,
            websocket_path: "/".to_owned(),
            client_certificate: ClientCertificate::None,
            registration_expires: Duration::from_secs(600),
            back_off: BackOff::default(),
            redirects: Self::REDIRECTS,
            capabilities: Capabilities {
                audio: vec![
                    AudioCodec::Opus,
                    AudioCodec::G722,
                    AudioCodec::Pcmu,
                    AudioCodec::Pcma,
                ],
                video: H264Capabilities::default(),
                security: MediaSecurity::SrtpRequired,
                media_keys: MediaKeys::default(),
                ice: IceUse::default(),
                certificate: None,
                content: ContentSharing::Off,
                floor_transport: BfcpTransport::default(),
            },
        }
    }
}

/// How an account proves itself to TLS servers that ask for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    /// Not at all.
    None,
    /// By a certificate that no other account shows: connections made with it carry this account's
    /// requests alone.
    Own,
}

impl Account {
    /// As whom this account's connections are made, where that matters.
    pub(crate) fn identity(&self) -> Option<AccountName> {
        match self.client_certificate {
            ClientCertificate::None => None,
            ClientCertificate::Own => Some(self.name.clone()),
        }
    }

    /// The path that a connection by that transport asks for.
    pub(crate) fn websocket_path(&self, transport: Transport) -> Option<String> {
        transport
            .is_websocket()
            .then(|| self.websocket_path.clone())
    }

    /// The outbound proxy of a flow: the first has `reg-id` 1.
    pub(crate) fn proxy(&self, reg_id: u32) -> Option<&SipUri> {
        let index = usize::try_from(reg_id).ok()?.checked_sub(1)?;
        self.proxies.get(index).and_then(Uri::as_sip)
    }
}

/// A peer that may call us without being behind one of our registrations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfiguredPeer {
    /// Whoever sends from an address of this network; a single address has the full prefix.
    Network {
        /// The network's address.
        address: IpAddr,
        /// How many leading bits count: 0 to 32, or 0 to 128.
        prefix: u8,
    },
    /// Whoever proves this name, or a name below it, by a TLS certificate: whose
    /// [`StreamInfo::verified_names`](crate::transport::StreamInfo::verified_names) hold it.
    Domain(String),
}

impl ConfiguredPeer {
    /// Whoever sends from this one address.
    #[must_use]
    pub const fn address(address: IpAddr) -> Self {
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        Self::Network { address, prefix }
    }
}

/// Whether `address` is in the network; never with an impossible prefix.
pub(crate) fn is_in_network(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let differing_bits = match (address.to_canonical(), network.to_canonical()) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            32_u32.checked_sub(u32::from(prefix)).map(|host_bits| {
                (address.to_bits() ^ network.to_bits())
                    .checked_shr(host_bits)
                    .unwrap_or(0)
                    != 0
            })
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            128_u32.checked_sub(u32::from(prefix)).map(|host_bits| {
                (address.to_bits() ^ network.to_bits())
                    .checked_shr(host_bits)
                    .unwrap_or(0)
                    != 0
            })
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    };
    differing_bits == Some(false)
}

/// Whose INVITE may take the place of a call (RFC 3891). It has to name the dialog, which only who
/// takes part in it knows, and who carries its signalling; strangers are refused before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplacesPolicy {
    /// Nobody's.
    Never,
    /// That of whom the call is with, by From: a peer that has restarted comes back.
    SameParty,
    /// That, and any [configured peer](crate::endpoint::PeerTrust::ConfiguredPeer)'s, as attended transfer to us needs it:
    /// From is then that of a third party.
    Trusted,
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
    /// Whose INVITE may take the place of a call.
    pub replaces: ReplacesPolicy,
    /// Whether a far end may ask us to call somebody else.
    pub transfers: TransferPolicy,
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
            replaces: ReplacesPolicy::SameParty,
            transfers: TransferPolicy::Never,
            ring_limit: Duration::from_secs(180),
        }
    }
}

/// Whether a far end may ask us to call somebody else (REFER, RFC 3515).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferPolicy {
    /// Nobody may: we do not know REFER.
    Never,
    /// The far end of a standing call may, within its dialog; our user has the last word.
    FarEnd,
}

/// Where the caller's sockets are, with addresses that the far end can reach: never unspecified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenAddresses {
    /// Bound UDP sockets. The first of the right family sends.
    pub udp: Vec<SocketAddr>,
    /// Listening TCP sockets.
    pub tcp: Vec<SocketAddr>,
    /// Listening TLS sockets.
    pub tls: Vec<SocketAddr>,
}

impl ListenAddresses {
    /// All of them.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &SocketAddr> {
        self.udp.iter().chain(&self.tcp).chain(&self.tls)
    }
}

/// Everything that an endpoint is told when it is made.
#[derive(Clone, Debug)]
pub struct EndpointSettings {
    /// Our identities; the first is the default one.
    pub accounts: Vec<Account>,
    /// Which box this is; the same after each restart. Without it, registrars are offered neither
    /// flows (RFC 5626) nor GRUUs (RFC 5627).
    pub instance_id: Option<InstanceId>,
    /// The User-Agent and Server header fields.
    pub user_agent: String,
    /// Who may call.
    pub incoming: IncomingPolicy,
    /// Our sockets.
    pub listen: ListenAddresses,
    /// How long an outgoing call may ring before it is cancelled.
    pub dial_limit: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_covers_its_addresses_and_no_others() {
        for (address, network, prefix, covered) in [
            ("192.0.2.7", "192.0.2.0", 24, true),
            ("192.0.3.7", "192.0.2.0", 24, false),
            ("192.0.2.7", "192.0.2.7", 32, true),
            ("192.0.2.8", "192.0.2.7", 32, false),
            ("203.0.113.1", "0.0.0.0", 0, true),
            ("::ffff:192.0.2.7", "192.0.2.0", 24, true),
            ("2001:db8::1", "2001:db8::", 32, true),
            ("2001:db9::1", "2001:db8::", 32, false),
            ("2001:db8::1", "192.0.2.0", 0, false),
            ("192.0.2.7", "192.0.2.7", 33, false),
        ] {
            let (address, network) = (address.parse().unwrap(), network.parse().unwrap());
            assert_eq!(
                is_in_network(address, network, prefix),
                covered,
                "{address} {network}"
            );
        }
    }
}
