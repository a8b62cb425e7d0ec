//! Where a request goes next, before any look-up: RFC 3263 section 4, cut to what the settings say. An
//! account of TLS or WSS never leaves it.

use super::outgoing::Outgoing;
use super::settings::Account;
use crate::dialog::next_hop;
use crate::grammar::{Host, SipScheme, SipUri, Uri};
use crate::transport::Transport;

/// Whom a request is sent to, and how.
pub(super) struct Hop {
    pub(super) host: Host,
    pub(super) port: Option<u16>,
    pub(super) transport: Transport,
    pub(super) transport_from: TransportFrom,
}

/// Who has chosen the transport of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportFrom {
    /// The account's owner, who names servers without saying where they keep what.
    Account,
    /// The address that is called: a parameter of it names the transport, so that no NAPTR record is to
    /// be asked for (RFC 3263 section 4.1).
    Address,
}

impl Hop {
    pub(super) fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(self.transport.default_port())
    }
}

pub(super) fn next_hop_of(outgoing: &Outgoing) -> Option<Hop> {
    let uri = match &outgoing.next_hop {
        Some(uri) => uri.clone(),
        None => next_hop(&outgoing.request).ok()?,
    };
    let uri = uri.as_sip()?;
    let account = &outgoing.account;
    let uri = match served_by_registrar(account, uri) {
        Some(registrar) => registrar,
        None => uri,
    };
    let named = uri
        .param("transport")
        .and_then(Transport::from_uri_parameter);
    let transport = match (uri.scheme(), account.transport) {
        (_, Transport::Wss) | (SipScheme::Sips, Transport::Ws) => Transport::Wss,
        (_, Transport::Tls) | (SipScheme::Sips, Transport::Udp | Transport::Tcp) => Transport::Tls,
        (SipScheme::Sip, Transport::Udp | Transport::Tcp | Transport::Ws) => {
            named.unwrap_or(account.transport)
        }
    };
    let transport_from = match named {
        Some(_) if !is_configured(account, uri) => TransportFrom::Address,
        Some(_) | None => TransportFrom::Account,
    };
    Some(Hop {
        host: uri.host().clone(),
        port: uri.port(),
        transport,
        transport_from,
    })
}

/// Whether it is a server that the settings name. Its transport is that of the account, even where its
/// URI says so.
fn is_configured(account: &Account, uri: &SipUri) -> bool {
    let servers = account.registrar.iter().chain(&account.proxies);
    servers
        .filter_map(Uri::as_sip)
        .any(|server| server.host().is_equivalent_to(uri.host()) && server.port() == uri.port())
}

/// A domain of our own is served by our registrar, which may have an address of its own.
fn served_by_registrar<'a>(account: &'a Account, uri: &SipUri) -> Option<&'a SipUri> {
    let registrar = account.registrar.as_ref().and_then(Uri::as_sip)?;
    let domain = account.address.as_sip()?.host();
    let is_our_domain = matches!(domain, Host::Name(_)) && uri.host().is_equivalent_to(domain);
    (is_our_domain && uri.port().is_none()).then_some(registrar)
}
