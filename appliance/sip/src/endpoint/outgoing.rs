//! Requests on their way out: where they go, and by which way. What becomes of them is
//! `client_transactions`.
//!
//! ```text
//!  dispatch ─► next hop ─┬─ address ──────────────┐
//!                        ├─ name ─► look-up ──────┤ servers that have failed last (`avoided`)
//!                        └─ reusable connection ──┤
//!                                                 ▼
//!                              launch: the first target ◄── no answer, 503, no connection:
//!                                                 │          the next target (`next_server`)
//!                                                 │ UDP, or a connection once it is open
//!                                                 ▼
//!                              transmit: Via, Contact, client transaction
//! ```

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::authorization::Authorization;
use super::avoided::Server;
use super::binding::BindingId;
use super::client_transactions::{ClientTransaction, Sent};
use super::event::{CallId, Output, ResolveId};
use super::extensions::{self, OUTBOUND};
use super::flows::{LargeRequest, OpenFlow, Target, Waiting};
use super::keys::{ClientKey, MAGIC_COOKIE};
use super::next_hop::{Hop, next_hop_of};
use super::next_server::KeptRefusal;
use super::settings::Account;
use super::{Endpoint, Failure};
use crate::grammar::{Contact, HeaderName, Host, Method, Request, Uri, Via, ViaTransport};
use crate::transport::{FlowId, Path, Transport};

/// Client transactions at once.
const MAX_CLIENT_TRANSACTIONS: usize = 512;
/// Requests that wait for a look-up at once.
const MAX_LOOK_UPS: usize = 64;
/// How long the caller may take to look a name up: longer than any resolver takes to give up.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(15);
/// Addresses of one name that are tried.
const MAX_TARGETS: usize = 8;
/// A larger request does not travel by UDP (RFC 3261 section 18.1.1).
const MAX_UDP_REQUEST: usize = 1300;

/// Who waits for the answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum User {
    Call(CallId),
    Registration(BindingId),
    Nobody,
}

/// How the server that a request goes to was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FoundBy {
    /// By its address or a look-up: those that are left are known.
    LookUp,
    /// A connection to a server of the name stood: the others have not been asked for.
    Connection,
}

/// A request that is complete but for Via and Contact, which depend on the way it takes.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) request: Request,
    pub(crate) account: Arc<Account>,
    pub(crate) user: User,
    /// Where it goes first, when its dialog says so; else its Route and Request-URI do.
    pub(crate) next_hop: Option<Uri>,
    /// The connection to use again, if it is still open.
    pub(crate) flow: Option<FlowId>,
    pub(crate) found_by: FoundBy,
    /// The server that has failed before the others were known.
    pub(crate) excluded: Option<Server>,
    /// Why it is sent again, for its user in case that no server is left.
    pub(crate) refusal: Option<Box<KeptRefusal>>,
    /// The challenges that have been answered.
    pub(crate) authorization: Authorization,
    /// An ACK of a 2xx: the transaction that repeats it, and for which of its forks.
    pub(crate) acknowledges: Option<(ClientKey, Option<String>)>,
    /// What its user hears when no way is left.
    pub(crate) undeliverable: Failure,
    /// How often it was sent again for the sake of its order.
    pub(crate) attempts: u8,
}

impl Outgoing {
    pub(crate) fn new(request: Request, account: Arc<Account>, user: User) -> Self {
        Self {
            request,
            account,
            user,
            next_hop: None,
            flow: None,
            found_by: FoundBy::LookUp,
            excluded: None,
            refusal: None,
            authorization: Authorization::default(),
            acknowledges: None,
            undeliverable: Failure::Transport,
            attempts: 0,
        }
    }
}

/// A request that waits for a name.
#[derive(Debug)]
pub(crate) struct LookUp {
    pub(crate) outgoing: Outgoing,
    host: String,
    transport: Transport,
    pub(crate) until: Instant,
}

impl Endpoint {
    /// Sends a request on its way. Its user hears of the outcome, at once if there is no way.
    pub(crate) fn dispatch(&mut self, now: Instant, outgoing: Outgoing) {
        if self.clients.len() >= MAX_CLIENT_TRANSACTIONS {
            self.statistics.overloaded += 1;
            return self.undeliverable(now, &outgoing);
        }
        let hop = next_hop_of(&outgoing);
        if let Some(flow) = outgoing.flow
            && self.flows.get_open(flow).is_some()
        {
            // Within a dialog, the connection is the way that was agreed.
            let named = hop.as_ref().filter(|hop| {
                outgoing.next_hop.is_none() && self.leads_to_a_server_of(flow, &hop.host)
            });
            let Some(hop) = named else {
                return self.transmit(now, outgoing, Path::Stream(flow), VecDeque::new());
            };
            if self.is_avoided(now, flow) {
                return self.look_up(now, outgoing, hop);
            }
            return self.reuse(now, outgoing, flow);
        }
        let Some(hop) = hop else {
            return self.undeliverable(now, &outgoing);
        };
        match hop.host.address() {
            Some(address) => {
                let remote = SocketAddr::new(address, hop.port_or_default());
                let target = Target::new(hop.transport, remote, address.to_string())
                    .made_for(&outgoing.account);
                self.launch(now, outgoing, VecDeque::from([target]));
            }
            None => self.find_server(now, outgoing, &hop),
        }
    }

    /// Sends a request for a name over a connection to one of its servers.
    fn reuse(&mut self, now: Instant, mut outgoing: Outgoing, flow: FlowId) {
        outgoing.found_by = FoundBy::Connection;
        self.transmit(now, outgoing, Path::Stream(flow), VecDeque::new());
    }

    fn find_server(&mut self, now: Instant, outgoing: Outgoing, hop: &Hop) {
        let host = hop.host.to_string();
        let port = hop.port_or_default();
        let reusable = self
            .flows
            .to_host(hop.transport, &host, port, &outgoing.account);
        // Another server of the name may work.
        match reusable.filter(|flow| !self.is_avoided(now, *flow)) {
            Some(flow) => self.reuse(now, outgoing, flow),
            None => self.look_up(now, outgoing, hop),
        }
    }

    /// Whether the server at the other end of a connection has failed a while ago.
    fn is_avoided(&self, now: Instant, flow: FlowId) -> bool {
        self.server_of(Path::Stream(flow))
            .is_some_and(|server| self.avoided.is_avoided(now, server))
    }

    /// Whether a connection was made to reach a name, which may have other servers.
    fn leads_to_a_server_of(&self, flow: FlowId, host: &Host) -> bool {
        matches!(host, Host::Name(_))
            && self
                .flows
                .get_open(flow)
                .is_some_and(|open| open.was_opened_for(&host.to_string()))
    }

    /// Asks for the servers of the next hop, which is a name.
    pub(super) fn look_up_again(&mut self, now: Instant, outgoing: Outgoing) {
        match next_hop_of(&outgoing) {
            Some(hop) => self.look_up(now, outgoing, &hop),
            None => self.undeliverable(now, &outgoing),
        }
    }

    fn look_up(&mut self, now: Instant, mut outgoing: Outgoing, hop: &Hop) {
        outgoing.found_by = FoundBy::LookUp;
        if self.look_ups.len() >= MAX_LOOK_UPS {
            self.statistics.overloaded += 1;
            return self.undeliverable(now, &outgoing);
        }
        let id = ResolveId(self.next_id());
        let (host, transport) = (hop.host.to_string(), hop.transport);
        let until = now + LOOK_UP_LIMIT;
        self.look_ups.insert(
            id,
            LookUp {
                outgoing,
                host: host.clone(),
                transport,
                until,
            },
        );
        self.output(Output::Resolve {
            id,
            host,
            port: hop.port,
            transport,
            transport_from: hop.transport_from,
        });
    }

    /// A look-up has ended.
    pub(crate) fn looked_up(&mut self, now: Instant, id: ResolveId, addresses: &[SocketAddr]) {
        let Some(look_up) = self.look_ups.remove(&id) else {
            return;
        };
        let LookUp {
            outgoing,
            host,
            transport,
            ..
        } = look_up;
        let usable = addresses.iter().filter(|remote| {
            let has_socket = transport != Transport::Udp || self.udp_socket_for(**remote).is_some();
            has_socket && outgoing.excluded != Some((transport, **remote))
        });
        let targets = usable.map(|remote| {
            Target::new(transport, *remote, host.clone()).made_for(&outgoing.account)
        });
        // Bounded after that, so that those beyond the bound are found when the first are down.
        let mut targets = self.avoided.put_last(now, targets);
        targets.truncate(MAX_TARGETS);
        if let Some(flow) = outgoing.flow
            && targets.is_empty()
        {
            // What works badly is better than nothing.
            return self.transmit(now, outgoing, Path::Stream(flow), targets);
        }
        self.launch(now, outgoing, targets);
    }

    /// Tries the first of the targets.
    pub(crate) fn launch(
        &mut self,
        now: Instant,
        outgoing: Outgoing,
        mut targets: VecDeque<Target>,
    ) {
        while let Some(target) = targets.pop_front() {
            match target.transport {
                Transport::Udp => {
                    let Some(local) = self.udp_socket_for(target.remote) else {
                        continue;
                    };
                    let path = Path::Datagram {
                        local,
                        remote: target.remote,
                    };
                    if target.large_request == LargeRequest::MovesToTcp
                        && self.is_too_large_for_udp(&outgoing, path)
                    {
                        targets.push_front(target.for_any_size());
                        targets.push_front(target.over_tcp());
                        continue;
                    }
                    return self.transmit(now, outgoing, path, targets);
                }
                Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                    return self.launch_on_stream(now, outgoing, target, targets);
                }
            }
        }
        self.undeliverable(now, &outgoing);
    }

    fn launch_on_stream(
        &mut self,
        now: Instant,
        outgoing: Outgoing,
        target: Target,
        remaining: VecDeque<Target>,
    ) {
        let waiting = Waiting {
            outgoing,
            remaining,
        };
        let Some(flow) = self.flows.to_target(&target) else {
            return self.open_flow(now, target, waiting);
        };
        if let Err(waiting) = self.flows.wait(flow, waiting) {
            let Waiting {
                outgoing,
                remaining,
            } = *waiting;
            self.transmit(now, outgoing, Path::Stream(flow), remaining);
        }
    }

    fn open_flow(&mut self, now: Instant, target: Target, first: Waiting) {
        if self.flows.is_full() {
            self.statistics.overloaded += 1;
            return self.undeliverable(now, &first.outgoing);
        }
        let flow = FlowId(self.next_id());
        self.output(Output::OpenStream {
            flow,
            transport: target.transport,
            remote: target.remote,
            server_name: target.server_name.clone(),
            identity: target.identity.clone(),
            websocket_path: target.websocket_path.clone(),
        });
        self.flows.open(now, flow, target, first);
    }

    fn is_too_large_for_udp(&mut self, outgoing: &Outgoing, path: Path) -> bool {
        // An ACK follows its INVITE, and nothing waits for it to fail.
        let follows = *outgoing.request.method() == Method::Ack;
        if follows || !outgoing.account.large_requests_by_tcp {
            return false;
        }
        self.finalize(outgoing, path)
            .is_some_and(|(request, _)| request.to_bytes().len() > MAX_UDP_REQUEST)
    }

    /// Sends a request over a path that is ready.
    pub(crate) fn transmit(
        &mut self,
        now: Instant,
        mut outgoing: Outgoing,
        path: Path,
        remaining: VecDeque<Target>,
    ) {
        self.place_offer(&mut outgoing, path);
        self.authorize_ahead(&mut outgoing, path);
        outgoing.refusal = None;
        let Some((request, branch)) = self.finalize(&outgoing, path) else {
            return self.undeliverable(now, &outgoing);
        };
        let wire = request.to_bytes();
        self.send_message(now, path, &request, &outgoing.user, wire.clone());
        if *request.method() == Method::Ack {
            return self.remember_ack(outgoing.acknowledges, path, wire);
        }
        let reliability = self.transport_of(path).reliability();
        let key = ClientKey {
            branch,
            method: request.method().as_str().to_owned(),
        };
        let user = outgoing.user.clone();
        let is_invite = *request.method() == Method::Invite;
        let outgoing = Outgoing {
            request,
            ..outgoing
        };
        let sent = Sent {
            outgoing,
            wire,
            path,
            remaining,
        };
        let transaction = ClientTransaction::new(now, reliability, sent);
        self.clients.insert(key.clone(), transaction);
        match user {
            User::Call(call) if is_invite => self.invite_sent(call, key, path),
            User::Registration(binding) => self.register_sent(&binding, path),
            User::Call(_) | User::Nobody => {}
        }
    }

    /// Adds what depends on the path: Via, Contact, User-Agent.
    fn finalize(&mut self, outgoing: &Outgoing, path: Path) -> Option<(Request, String)> {
        let (transport, local) = self.local_end(path)?;
        let branch = format!("{MAGIC_COOKIE}{}", self.token());
        let (host, port) = self.sent_by(transport, local);
        let mut via = Via::new(via_transport(transport), host, port, &branch)
            .expect("our branches are tokens")
            .with_rport();
        if let Path::Stream(flow) = path
            && self.flows.get_open(flow).is_some_and(OpenFlow::proves_us)
        {
            via = via.with_alias();
        }
        let mut request = outgoing.request.clone();
        request.headers.push_front_typed(&via);
        if matches!(
            request.method(),
            Method::Invite | Method::Register | Method::Update | Method::Notify
        ) {
            let contact = match &outgoing.user {
                User::Registration(id) => self.register_contact(id, &outgoing.account, path)?,
                User::Call(_) | User::Nobody => self.contact(&outgoing.account, path)?,
            };
            request.headers.push_typed(&contact);
            let is_said = extensions::sender_supports(&request.headers, OUTBOUND);
            if asks_to_keep_to_the_flow(&contact) && !is_said {
                // Kamailio heeds `ob` of those alone who say so.
                let _ = request.headers.push(HeaderName::Supported, OUTBOUND);
            }
            if let User::Registration(id) = &outgoing.user
                && let Some(binding) = self.binding(id)
            {
                for left in binding.left_behind(&contact) {
                    request.headers.push_typed(&left);
                }
            }
        }
        let agent = self.user_agent.clone();
        // The settings were checked: see `Endpoint::new`.
        let _ = request.headers.push(HeaderName::UserAgent, &agent);
        Some((request, branch))
    }

    /// There is no way to send a request.
    pub(crate) fn undeliverable(&mut self, now: Instant, outgoing: &Outgoing) {
        match &outgoing.refusal {
            Some(refusal) => self.deliver_to(now, &outgoing.user, &refusal.key, &refusal.response),
            None => self.request_failed(now, outgoing, outgoing.undeliverable),
        }
    }

    pub(crate) fn request_failed(&mut self, now: Instant, outgoing: &Outgoing, failure: Failure) {
        match &outgoing.user {
            User::Call(call) if *outgoing.request.method() == Method::Notify => {
                self.notify_failed(*call, &outgoing.request);
            }
            User::Call(call) => {
                self.call_request_failed(now, *call, outgoing.request.method(), failure);
            }
            User::Registration(binding) => self.register_failed(now, binding, failure),
            User::Nobody => {}
        }
    }
}

/// Takes away what depends on the path, so that the request may take another.
pub(super) fn strip_path(request: &mut Request) {
    for name in [HeaderName::Via, HeaderName::Contact, HeaderName::UserAgent] {
        request.headers.remove(&name);
    }
}

/// Whether an edge proxy is asked to send what follows by the same flow (RFC 5626 section 4.3).
fn asks_to_keep_to_the_flow(contact: &Contact) -> bool {
    match contact {
        Contact::Address(address) => {
            let uri = address.uri().as_sip();
            uri.is_some_and(|uri| uri.param("ob").is_some())
        }
        Contact::All => false,
    }
}

fn via_transport(transport: Transport) -> ViaTransport {
    match transport {
        Transport::Udp => ViaTransport::Udp,
        Transport::Tcp => ViaTransport::Tcp,
        Transport::Tls => ViaTransport::Tls,
        Transport::Ws => ViaTransport::Ws,
        Transport::Wss => ViaTransport::Wss,
    }
}
