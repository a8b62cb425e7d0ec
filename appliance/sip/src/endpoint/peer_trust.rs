//! Who may ask for something from outside of dialogs, and for which account.
//!
//! ```text
//!                        the flow of a registration          another way
//!  configured peer       ConfiguredPeer, the flow's account  ConfiguredPeer, the account that is
//!                                                            named, configured, or the first
//!  anybody else          RegisteredFlow, the flow's account  a stranger: refused
//! ```
//!
//! What is known of a sender is where the request came from: an address, or the names that the
//! certificate at the other end of the connection has proven. Over the flow of a registration that is
//! the registrar, or its edge proxy, whoever has called: From, and what else is in the request of the
//! caller, is what the registrar has let pass. So who names a registrar among its peers trusts every
//! call that it passes on.

use std::sync::Arc;

use super::event::PeerTrust;
use super::incoming::Arrival;
use super::settings::{Account, ConfiguredPeer, is_in_network};
use super::{Endpoint, user_of};
use crate::grammar::SipUri;

impl Endpoint {
    /// Why a request from outside of dialogs is let in, and for which account. Strangers get
    /// nothing.
    pub(crate) fn trust(&self, arrival: &Arrival) -> Option<(PeerTrust, Arc<Account>)> {
        let uri = arrival.request.uri().as_sip();
        let user = uri.and_then(SipUri::user_decoded);
        let is_named =
            |account: &&Arc<Account>| user.is_some() && user_of(account.as_ref()) == user;
        let is_configured = self.is_configured_peer(arrival);
        let bound = || {
            let accounts = self.accounts.iter();
            accounts.filter(|account| self.is_bound(account, arrival))
        };
        // Several accounts may share one connection to their registrar.
        if let Some(account) = bound().find(is_named).or_else(|| bound().next()) {
            let trust = if is_configured {
                PeerTrust::ConfiguredPeer
            } else {
                PeerTrust::RegisteredFlow
            };
            return Some((trust, Arc::clone(account)));
        }
        if !is_configured {
            return None;
        }
        let configured = || {
            self.accounts
                .iter()
                .find(|account| Some(&account.name) == self.policy.peer_account.as_ref())
        };
        let named = self.accounts.iter().find(is_named);
        let account = named.or_else(configured).or(self.accounts.first())?;
        Some((PeerTrust::ConfiguredPeer, Arc::clone(account)))
    }

    /// Whether the request came over the flow of a registration of that account.
    fn is_bound(&self, account: &Account, arrival: &Arrival) -> bool {
        self.registrations
            .get(&account.name)
            .is_some_and(|registrant| registrant.is_bound_to(arrival.flow(), arrival.remote))
    }

    fn is_configured_peer(&self, arrival: &Arrival) -> bool {
        let verified_names = arrival
            .flow()
            .and_then(|flow| self.flows.get_open(flow))
            .map(|open| open.info.verified_names.as_slice())
            .unwrap_or_default();
        self.policy.peers.iter().any(|peer| match peer {
            ConfiguredPeer::Network { address, prefix } => {
                is_in_network(arrival.remote.ip(), *address, *prefix)
            }
            ConfiguredPeer::Domain(domain) => {
                verified_names.iter().any(|name| is_in_domain(name, domain))
            }
        })
    }
}

fn is_in_domain(name: &str, domain: &str) -> bool {
    let (name, domain) = (name.to_ascii_lowercase(), domain.to_ascii_lowercase());
    name == domain
        || name
            .strip_suffix(&domain)
            .is_some_and(|start| start.ends_with('.'))
}
