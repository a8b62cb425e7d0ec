//! Where requests of an account start, and where answers to them find us.

use std::net::SocketAddr;
use std::time::Instant;

use super::Endpoint;
use super::binding::{Binding, Bound};
use super::grant::Outbound;
use super::registrations::Registrant;
use super::settings::Account;
use crate::grammar::{Contact, Host, NameAddr, SipScheme, SipUri, Uri};
use crate::transport::{FlowId, Path, Transport};

/// The way of a request outside of dialogs, as far as the account decides it.
#[derive(Debug, Default)]
pub(crate) struct FirstHop {
    /// By which outbound proxy of the account.
    pub(crate) reg_id: u32,
    /// The connection of a registration that works: what keeps calls coming in is known to work.
    pub(crate) flow: Option<FlowId>,
    /// The outbound proxy, then those that the registrar has named (RFC 3608 section 6.1).
    pub(crate) routes: Vec<NameAddr>,
}

impl Endpoint {
    /// The way by which a new request of an account leaves: by the first outbound proxy with a
    /// registration that works, and of these rather by one that has not refused anything a while ago; by
    /// the first of all while there is none. Those that are `passed_by` have had the request; one of
    /// these again where no other works.
    pub(crate) fn first_hop(&self, now: Instant, account: &Account, passed_by: &[u32]) -> FirstHop {
        let is_avoided = |bound: &Bound| {
            let server = self.server_of(bound.path);
            server.is_some_and(|server| self.avoided.is_avoided(now, server))
        };
        let registered = self
            .registrations
            .get(&account.name)
            .into_iter()
            .flat_map(Registrant::bindings)
            .filter(|(reg_id, _)| !passed_by.contains(reg_id))
            .filter_map(|(reg_id, binding)| Some((reg_id, binding.granted()?)))
            .min_by_key(|(_, bound)| is_avoided(bound));
        let (reg_id, bound) = match registered {
            Some((reg_id, bound)) => (reg_id, Some(bound)),
            None => (passed_by.first().copied().unwrap_or(1), None),
        };
        let proxy = account.proxy(reg_id);
        let mut routes: Vec<NameAddr> = proxy.map(super::loose_route).into_iter().collect();
        let service_route = bound.map(|bound| bound.grant.service_route.as_slice());
        routes.extend(
            service_route
                .unwrap_or_default()
                .iter()
                .skip_while(|route| {
                    // The registrar may begin with the proxy that we have named already.
                    let named = route.uri().as_sip();
                    proxy.zip(named).is_some_and(|(proxy, named)| {
                        proxy.host().is_equivalent_to(named.host()) && proxy.port() == named.port()
                    })
                })
                .map(|route| NameAddr::new(route.uri().clone())),
        );
        let flow = bound
            .filter(|bound| {
                proxy.is_some() || bound.grant.outbound == Outbound::Agreed && !routes.is_empty()
            })
            .and_then(|bound| match bound.path {
                Path::Stream(flow) => Some(flow),
                Path::Datagram { .. } => None,
            });
        FirstHop {
            reg_id,
            flow,
            routes,
        }
    }

    /// Where the far end of a dialog reaches us. Behind a registrar that uses our flows that is the
    /// GRUU that it has given us (RFC 5627 section 4.4): it goes on to mean this box after our
    /// address has changed. Without one, `ob` asks the edge proxy to keep to our flow (RFC 5626
    /// section 4.3); over a WebSocket in any case, as there is no other way to us.
    ///
    /// Why is no GRUU used without flows, though RFC 5627 stands alone? Because Kamailio gives one
    /// to whoever supports them, and in its usual configuration does not look it up within dialogs:
    /// no ACK and no BYE would ever reach us.
    pub(crate) fn contact(&self, account: &Account, path: Path) -> Option<Contact> {
        let plain = self.address_on(account, path)?;
        let bound = self
            .binding_over(account, path)
            .filter(|bound| bound.grant.outbound == Outbound::Agreed);
        if let Some(gruu) = bound.and_then(|bound| bound.grant.gruu.clone()) {
            return Some(Contact::Address(NameAddr::new(gruu.into())));
        }
        let (transport, _) = self.local_end(path)?;
        let keeps_to_flow = bound.is_some()
            || transport.is_websocket()
            || self.leads_to_other_edge_server(account, path);
        if !keeps_to_flow {
            return Some(Contact::Address(plain));
        }
        let kept = plain.uri().as_sip()?.clone().with_param("ob", None);
        Some(Contact::Address(NameAddr::new(kept.into())))
    }

    /// The registration of an account that a path carries.
    fn binding_over(&self, account: &Account, path: Path) -> Option<&Bound> {
        let remote = self.remote_end(path)?;
        let flow = match path {
            Path::Stream(flow) => Some(flow),
            Path::Datagram { .. } => None,
        };
        self.registrations
            .get(&account.name)?
            .bindings()
            .map(|(_, binding)| binding)
            .find(|binding| binding.is_bound_to(flow, remote))
            .and_then(Binding::granted)
    }

    /// Whether a path that carries no registration is a connection to another server of an edge proxy
    /// that has agreed to keep to flows: a call that the first one has refused goes there, and comes back
    /// by no other way.
    fn leads_to_other_edge_server(&self, account: &Account, path: Path) -> bool {
        let Path::Stream(flow) = path else {
            return false;
        };
        let agreed = self
            .registrations
            .get(&account.name)
            .into_iter()
            .flat_map(Registrant::bindings)
            .filter_map(|(_, binding)| binding.granted())
            .any(|bound| bound.grant.outbound == Outbound::Agreed);
        let open = self.flows.get_open(flow).filter(|_| agreed);
        open.is_some_and(|open| {
            let mut proxies = account.proxies.iter().filter_map(Uri::as_sip);
            proxies.any(|proxy| open.was_opened_for(&proxy.host().to_string()))
        })
    }

    /// Our address as the other end of a path may use it.
    pub(crate) fn address_on(&self, account: &Account, path: Path) -> Option<NameAddr> {
        let (transport, local) = self.local_end(path)?;
        let (host, port) = self.sent_by(transport, local);
        let mut uri = SipUri::new(SipScheme::Sip, host, port);
        if let Some(user) = account.address.as_sip().and_then(SipUri::user_decoded) {
            uri = uri.with_user(&user);
        }
        let uri = match transport {
            Transport::Udp => uri,
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                uri.with_param("transport", Some(transport.uri_parameter()))
            }
        };
        Some(NameAddr::new(uri.into()))
    }

    /// Where our end of a path takes what comes for us. A connection of ours has a port of its own, to
    /// which nobody can connect: there, it is where we listen, so that an answer finds us when the
    /// connection has broken (RFC 3261 section 18.2.2). Nobody can connect to a WebSocket's client at
    /// all, which says so by a name that leads nowhere (RFC 7118 section 5.3).
    pub(crate) fn sent_by(&self, transport: Transport, local: SocketAddr) -> (Host, Option<u16>) {
        if transport.is_websocket() {
            return (self.websocket_host.clone(), None);
        }
        let port = self.listening_port(transport, local);
        (local.ip().into(), Some(port))
    }

    fn listening_port(&self, transport: Transport, local: SocketAddr) -> u16 {
        let listening = match transport {
            Transport::Udp | Transport::Ws | Transport::Wss => return local.port(),
            Transport::Tcp => &self.listen.tcp,
            Transport::Tls => &self.listen.tls,
        };
        listening
            .iter()
            .find(|address| address.is_ipv4() == local.is_ipv4())
            .map_or(local.port(), SocketAddr::port)
    }
}
