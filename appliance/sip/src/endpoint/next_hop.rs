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
    Some(Hop {
        host: uri.host().clone(),
        port: uri.port(),
        transport,
    })
}

/// A domain of our own is served by our registrar, which may have an address of its own.
fn served_by_registrar<'a>(account: &'a Account, uri: &SipUri) -> Option<&'a SipUri> {
    let registrar = account.registrar.as_ref().and_then(Uri::as_sip)?;
    let domain = account.address.as_sip()?.host();
    let is_our_domain = matches!(domain, Host::Name(_)) && uri.host().is_equivalent_to(domain);
    (is_our_domain && uri.port().is_none()).then_some(registrar)
}
