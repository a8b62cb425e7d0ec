//! Requests on their way out: where they go, their client transactions, and their answers.
//!
//! ```text
//!  dispatch ─► next hop ─┬─ address ──────────────┐
//!                        ├─ name ─► look-up ──────┤
//!                        └─ reusable connection ──┤
//!                                                 ▼
//!              ┌───────────────────────────► launch: the first target
//!              │ no answer, 503, no connection    │ UDP, or a connection once it is open
//!              └───────────── next target ◄── transmit: Via, Contact, client transaction
//!                                                 │ 401, 407: authorized and dispatched again
//!                                                 ▼
//!                                             user: call or registration
//! ```

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::authorization::Authorization;
use super::avoided::Server;
use super::binding::BindingId;
use super::event::{CallId, Output, ResolveId};
use super::extensions::{self, OUTBOUND};
use super::flows::{LargeRequest, OpenFlow, Target, Waiting};
use super::keys::{ClientKey, MAGIC_COOKIE};
use super::settings::Account;
use super::{Endpoint, Failure};
use crate::dialog::{MAX_FORWARDS, next_hop};
use crate::digest::ServerProof;
use crate::grammar::{
    CSeq, Contact, HeaderName, Host, Method, Request, Response, RetryAfter, SipScheme, SipUri,
    StatusCode, Uri, Via, ViaTransport,
};
use crate::transaction::{
    InviteClient, InviteClientOutcome, NonInviteClient, NonInviteClientOutcome, ResponseClass,
};
use crate::transport::{FlowId, Path, Transport};

/// Client transactions at once.
const MAX_CLIENT_TRANSACTIONS: usize = 512;
/// Requests that wait for a look-up at once.
const MAX_LOOK_UPS: usize = 64;
/// How long the caller may take to look a name up.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(10);
/// Addresses of one name that are tried.
const MAX_TARGETS: usize = 8;
/// A larger request does not travel by UDP (RFC 3261 section 18.1.1).
const MAX_UDP_REQUEST: usize = 1300;
/// Forks whose 2xx are acknowledged.
const MAX_FORKS: usize = 8;

/// Who waits for the answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum User {
    Call(CallId),
    Registration(BindingId),
    Nobody,
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

#[derive(Debug)]
pub(crate) enum ClientMachine {
    Invite(InviteClient),
    NonInvite(NonInviteClient),
}

/// An ACK of a 2xx, repeated with each repeated 2xx of the same fork.
#[derive(Debug)]
struct SentAck {
    fork: Option<String>,
    /// `None` while its way is being found.
    sent: Option<(Path, Bytes)>,
}

/// One client transaction.
#[derive(Debug)]
pub(crate) struct ClientTransaction {
    pub(crate) machine: ClientMachine,
    /// As it was sent, Via and Contact included.
    pub(crate) outgoing: Outgoing,
    wire: Bytes,
    pub(crate) path: Path,
    /// What to try when nothing is heard from here.
    pub(super) remaining: VecDeque<Target>,
    heard: Heard,
    acks: Vec<SentAck>,
    /// The highest sequence number of a request within an early dialog of an INVITE.
    last_fork_sequence: u32,
}

/// Whether any response has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Nothing,
    Something,
}

impl ClientTransaction {
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.machine {
            ClientMachine::Invite(machine) => machine.deadline(),
            ClientMachine::NonInvite(machine) => machine.deadline(),
        }
    }

    fn is_terminated(&self) -> bool {
        match &self.machine {
            ClientMachine::Invite(machine) => machine.is_terminated(),
            ClientMachine::NonInvite(machine) => machine.is_terminated(),
        }
    }
}

/// Where a request goes next, before any look-up.
struct Hop {
    host: Host,
    port: Option<u16>,
    transport: Transport,
}

impl Hop {
    fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(self.transport.default_port())
    }
}

impl Endpoint {
    /// Sends a request on its way. Its user hears of the outcome, at once if there is no way.
    pub(crate) fn dispatch(&mut self, now: Instant, outgoing: Outgoing) {
        if self.clients.len() >= MAX_CLIENT_TRANSACTIONS {
            self.statistics.overloaded += 1;
            return self.undeliverable(now, &outgoing);
        }
        if let Some(flow) = outgoing.flow
            && self.flows.get_open(flow).is_some()
        {
            return self.transmit(now, outgoing, Path::Stream(flow), VecDeque::new());
        }
        let Some(hop) = next_hop_of(&outgoing) else {
            return self.undeliverable(now, &outgoing);
        };
        match hop.host.address() {
            Some(address) => {
                let remote = SocketAddr::new(address, hop.port_or_default());
                let target = Target::new(hop.transport, remote, address.to_string())
                    .made_for(&outgoing.account);
                self.launch(now, outgoing, VecDeque::from([target]));
            }
            None => self.look_up(now, outgoing, &hop),
        }
    }

    fn look_up(&mut self, now: Instant, outgoing: Outgoing, hop: &Hop) {
        let host = hop.host.to_string();
        let port = hop.port_or_default();
        let reusable = self
            .flows
            .to_host(hop.transport, &host, port, &outgoing.account);
        if let Some(flow) = reusable {
            return self.transmit(now, outgoing, Path::Stream(flow), VecDeque::new());
        }
        if self.look_ups.len() >= MAX_LOOK_UPS {
            self.statistics.overloaded += 1;
            return self.undeliverable(now, &outgoing);
        }
        let id = ResolveId(self.next_id());
        let transport = hop.transport;
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
        });
    }

    /// A look-up has ended.
    pub(crate) fn looked_up(&mut self, now: Instant, id: ResolveId, addresses: &[SocketAddr]) {
        let Some(look_up) = self.look_ups.remove(&id) else {
            return;
        };
        let targets = addresses.iter().take(MAX_TARGETS).map(|remote| {
            Target::new(look_up.transport, *remote, look_up.host.clone())
                .made_for(&look_up.outgoing.account)
        });
        let targets = self.avoided.put_last(now, targets);
        self.launch(now, look_up.outgoing, targets);
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
        self.authorize_ahead(&mut outgoing, path);
        let Some((request, branch)) = self.finalize(&outgoing, path) else {
            return self.undeliverable(now, &outgoing);
        };
        let wire = request.to_bytes();
        self.send_message(now, path, &request, &outgoing.user, wire.clone());
        if *request.method() == Method::Ack {
            return self.remember_ack(outgoing.acknowledges, path, wire);
        }
        let reliability = self.transport_of(path).reliability();
        let machine = if *request.method() == Method::Invite {
            ClientMachine::Invite(InviteClient::new(now, reliability))
        } else {
            ClientMachine::NonInvite(NonInviteClient::new(now, reliability))
        };
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
        let transaction = ClientTransaction {
            machine,
            outgoing,
            wire,
            path,
            remaining,
            heard: Heard::Nothing,
            acks: Vec::new(),
            last_fork_sequence: 0,
        };
        self.clients.insert(key.clone(), transaction);
        match user {
            User::Call(call) if is_invite => self.invite_sent(call, key, path),
            User::Registration(binding) => self.register_sent(&binding, path),
            User::Call(_) | User::Nobody => {}
        }
    }

    fn remember_ack(
        &mut self,
        acknowledges: Option<(ClientKey, Option<String>)>,
        path: Path,
        wire: Bytes,
    ) {
        let Some((invite, fork)) = acknowledges else {
            return;
        };
        let Some(transaction) = self.clients.get_mut(&invite) else {
            return;
        };
        if let Some(ack) = transaction.acks.iter_mut().find(|ack| ack.fork == fork) {
            ack.sent = Some((path, wire));
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
                && let Some(left) = self.binding(id).and_then(|it| it.left_behind(&contact))
            {
                request.headers.push_typed(&left);
            }
        }
        let agent = self.user_agent.clone();
        // The settings were checked: see `Endpoint::new`.
        let _ = request.headers.push(HeaderName::UserAgent, &agent);
        Some((request, branch))
    }

    /// There is no way to send a request.
    pub(crate) fn undeliverable(&mut self, now: Instant, outgoing: &Outgoing) {
        self.request_failed(now, outgoing, outgoing.undeliverable);
    }

    pub(crate) fn request_failed(&mut self, now: Instant, outgoing: &Outgoing, failure: Failure) {
        match &outgoing.user {
            User::Call(call) => {
                self.call_request_failed(now, *call, outgoing.request.method(), failure);
            }
            User::Registration(binding) => self.register_failed(now, binding, failure),
            User::Nobody => {}
        }
    }

    /// A response has arrived.
    pub(crate) fn response_received(&mut self, now: Instant, response: &Response) {
        let Some(key) = client_key_of(response) else {
            self.statistics.malformed += 1;
            return;
        };
        let Some(transaction) = self.clients.get_mut(&key) else {
            self.statistics.stray += 1;
            return;
        };
        transaction.heard = Heard::Something;
        let path = transaction.path;
        self.note_answer(now, path, response);
        let Some(transaction) = self.clients.get_mut(&key) else {
            return;
        };
        let class = ResponseClass::of(response.status().code());
        match &mut transaction.machine {
            ClientMachine::Invite(machine) => match machine.response(now, class) {
                InviteClientOutcome::Deliver => self.deliver(now, &key, response),
                InviteClientOutcome::AcknowledgeAndDeliver => {
                    self.acknowledge_failure(now, &key, response);
                    self.deliver(now, &key, response);
                }
                InviteClientOutcome::Acknowledge => self.acknowledge_failure(now, &key, response),
                InviteClientOutcome::Nothing
                | InviteClientOutcome::Retransmit
                | InviteClientOutcome::TimedOut => {}
            },
            ClientMachine::NonInvite(machine) => match machine.response(now, class) {
                NonInviteClientOutcome::Deliver => self.deliver(now, &key, response),
                NonInviteClientOutcome::Nothing
                | NonInviteClientOutcome::Retransmit
                | NonInviteClientOutcome::TimedOut => {}
            },
        }
        self.advance_client(now, &key);
    }

    /// Whoever answers works, unless it says that it does not.
    fn note_answer(&mut self, now: Instant, path: Path, response: &Response) {
        let Some(server) = self.server_of(path) else {
            return;
        };
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            let retry_after = response.headers.typed::<RetryAfter>().ok().flatten();
            self.avoided
                .failed(now, server, retry_after.map(|field| field.wait()));
        } else {
            self.avoided.works(server);
        }
    }

    fn server_of(&self, path: Path) -> Option<Server> {
        Some((self.transport_of(path), self.remote_end(path)?))
    }

    fn deliver(&mut self, now: Instant, key: &ClientKey, response: &Response) {
        if self.is_answered_by_known_ack(now, key, response) {
            return;
        }
        let status = response.status();
        let is_challenge = status == StatusCode::UNAUTHORIZED
            || status == StatusCode::PROXY_AUTHENTICATION_REQUIRED;
        if is_challenge && self.authorize_again(now, key, response) {
            return;
        }
        if status == StatusCode::SERVICE_UNAVAILABLE && self.try_next_target(now, key) {
            return;
        }
        let proof = self.authentication_info_received(key, response);
        let Some(transaction) = self.clients.get(key) else {
            return;
        };
        match transaction.outgoing.user.clone() {
            User::Registration(binding) if proof == ServerProof::Wrong => {
                self.register_unproven(now, &binding);
            }
            User::Call(call) => self.call_response(now, call, key, response),
            User::Registration(binding) => self.register_response(now, &binding, response),
            User::Nobody => self.orphan_response(now, key, response),
        }
    }

    /// A 2xx that repeats one whose ACK we have sent: the ACK is sent again.
    fn is_answered_by_known_ack(
        &mut self,
        now: Instant,
        key: &ClientKey,
        response: &Response,
    ) -> bool {
        let Some(transaction) = self.clients.get(key) else {
            return false;
        };
        if key.method != Method::Invite.as_str() || !response.status().is_success() {
            return false;
        }
        let fork = fork_of(response);
        let Some(ack) = transaction.acks.iter().find(|ack| ack.fork == fork) else {
            return false;
        };
        if let Some((path, wire)) = ack.sent.clone() {
            self.send_repeated(now, path, wire);
        }
        true
    }

    /// Notes that a 2xx will be acknowledged. False when too many forks have answered.
    pub(crate) fn expect_ack(&mut self, key: &ClientKey, response: &Response) -> bool {
        let Some(transaction) = self.clients.get_mut(key) else {
            return false;
        };
        if transaction.acks.len() >= MAX_FORKS {
            return false;
        }
        transaction.acks.push(SentAck {
            fork: fork_of(response),
            sent: None,
        });
        true
    }

    /// The ACK of a refusal belongs to the transaction of its INVITE (section 17.1.1.3).
    fn acknowledge_failure(&mut self, now: Instant, key: &ClientKey, response: &Response) {
        let Some(transaction) = self.clients.get(key) else {
            return;
        };
        let path = transaction.path;
        let Some(mut ack) = in_transaction(&transaction.outgoing.request, Method::Ack) else {
            return;
        };
        ack.headers.remove(&HeaderName::To);
        ack.headers.copy_from(&response.headers, &HeaderName::To);
        self.send_message(now, path, &ack, &User::Nobody, ack.to_bytes());
    }

    /// Whether an INVITE may be cancelled now. `None` when it is not waiting any more.
    pub(crate) fn invite_is_proceeding(&self, invite: &ClientKey) -> Option<bool> {
        let transaction = self.clients.get(invite)?;
        match &transaction.machine {
            ClientMachine::Invite(machine) if machine.is_waiting() => Some(machine.is_proceeding()),
            ClientMachine::Invite(_) | ClientMachine::NonInvite(_) => None,
        }
    }

    /// Whether a re-INVITE of a call has a provisional response, and no final one.
    pub(crate) fn reinvite_has_arrived(&self, call: CallId) -> bool {
        self.clients.values().any(|transaction| {
            let proceeds = match &transaction.machine {
                ClientMachine::Invite(machine) => machine.is_proceeding(),
                ClientMachine::NonInvite(_) => false,
            };
            proceeds && transaction.outgoing.user == User::Call(call)
        })
    }

    /// Nobody waits any more for the answers to the INVITEs of a call. A 2xx is acknowledged still.
    pub(crate) fn abandon_invites(&mut self, now: Instant, call: CallId) {
        for transaction in self.clients.values_mut() {
            if let ClientMachine::Invite(machine) = &mut transaction.machine
                && transaction.outgoing.user == User::Call(call)
            {
                machine.abandon(now);
                transaction.remaining.clear();
            }
        }
    }

    /// Sends CANCEL for an INVITE (section 9.1). Nobody waits for its answer: what counts is the
    /// INVITE's.
    pub(crate) fn send_cancel(&mut self, now: Instant, invite: &ClientKey) {
        let Some(transaction) = self.clients.get(invite) else {
            return;
        };
        let (path, account) = (transaction.path, transaction.outgoing.account.clone());
        let Some(request) = in_transaction(&transaction.outgoing.request, Method::Cancel) else {
            return;
        };
        let key = ClientKey {
            branch: invite.branch.clone(),
            method: Method::Cancel.as_str().to_owned(),
        };
        let wire = request.to_bytes();
        self.send_message(now, path, &request, &User::Nobody, wire.clone());
        let reliability = self.transport_of(path).reliability();
        self.clients.insert(
            key,
            ClientTransaction {
                machine: ClientMachine::NonInvite(NonInviteClient::new(now, reliability)),
                outgoing: Outgoing::new(request, account, User::Nobody),
                wire,
                path,
                remaining: VecDeque::new(),
                heard: Heard::Nothing,
                acks: Vec::new(),
                last_fork_sequence: 0,
            },
        );
    }

    /// Lets the requests that are under way for one call be another's.
    pub(crate) fn hand_requests_over(&mut self, from: CallId, to: CallId) {
        for transaction in self.clients.values_mut() {
            if transaction.outgoing.user == User::Call(from) {
                transaction.outgoing.user = User::Call(to);
            }
        }
    }

    /// A sequence number for a request within an early dialog of an INVITE.
    pub(crate) fn next_fork_sequence(&mut self, invite: &ClientKey) -> Option<u32> {
        let transaction = self.clients.get_mut(invite)?;
        let request = &transaction.outgoing.request;
        let CSeq { number, .. } = request.headers.required::<CSeq>().ok()?;
        let next = number.max(transaction.last_fork_sequence).saturating_add(1);
        transaction.last_fork_sequence = next;
        Some(next)
    }

    /// The highest sequence number of a request within an early dialog of an INVITE; 0 when there
    /// was none.
    pub(crate) fn last_fork_sequence(&self, invite: &ClientKey) -> u32 {
        self.clients
            .get(invite)
            .map_or(0, |transaction| transaction.last_fork_sequence)
    }

    /// Sends the request of a transaction again as a new one, changed. False, and nothing is sent,
    /// when `change` says so.
    pub(crate) fn send_again(
        &mut self,
        now: Instant,
        key: &ClientKey,
        change: impl FnOnce(&mut Request) -> bool,
    ) -> bool {
        let Some(transaction) = self.clients.get(key) else {
            return false;
        };
        let (mut outgoing, path) = (transaction.outgoing.clone(), transaction.path);
        let remaining = transaction.remaining.clone();
        strip_path(&mut outgoing.request);
        if !change(&mut outgoing.request) {
            return false;
        }
        let Ok(CSeq { number, method }) = outgoing.request.headers.required::<CSeq>() else {
            return false;
        };
        let number = self.sequence_after(&outgoing.user, number);
        outgoing.request.headers.set_typed(&CSeq { number, method });
        self.transmit(now, outgoing, path, remaining);
        true
    }

    /// The sequence number of a request that is sent again with credentials.
    pub(super) fn sequence_after(&mut self, user: &User, number: u32) -> u32 {
        match user {
            User::Call(call) => self.call_sequence_after(*call, number),
            User::Registration(binding) => self.next_register_sequence(binding),
            User::Nobody => number + 1,
        }
    }

    /// Time has passed for one client transaction.
    pub(crate) fn client_timeout(&mut self, now: Instant, key: &ClientKey) {
        let Some(transaction) = self.clients.get_mut(key) else {
            return;
        };
        let (retransmit, timed_out) = match &mut transaction.machine {
            ClientMachine::Invite(machine) => {
                let outcome = machine.handle_timeout(now);
                (
                    outcome == InviteClientOutcome::Retransmit,
                    outcome == InviteClientOutcome::TimedOut,
                )
            }
            ClientMachine::NonInvite(machine) => {
                let outcome = machine.handle_timeout(now);
                (
                    outcome == NonInviteClientOutcome::Retransmit,
                    outcome == NonInviteClientOutcome::TimedOut,
                )
            }
        };
        if retransmit {
            let (path, wire) = (transaction.path, transaction.wire.clone());
            self.send_repeated(now, path, wire);
        } else if timed_out {
            self.timed_out(now, key);
        }
        self.advance_client(now, key);
    }

    fn timed_out(&mut self, now: Instant, key: &ClientKey) {
        if let Some(transaction) = self.clients.get(key)
            && transaction.heard == Heard::Nothing
            && let Some(server) = self.server_of(transaction.path)
        {
            self.avoided.failed(now, server, None);
        }
        if !self.try_next_target(now, key)
            && let Some(transaction) = self.clients.remove(key)
        {
            self.close_if_silent(now, transaction.path);
            self.request_failed(now, &transaction.outgoing, Failure::Timeout);
        }
    }

    /// Ends zero-length timers at once and forgets what has terminated.
    fn advance_client(&mut self, now: Instant, key: &ClientKey) {
        let Some(transaction) = self.clients.get_mut(key) else {
            return;
        };
        match &mut transaction.machine {
            ClientMachine::Invite(machine) if machine.deadline() == Some(now) => {
                machine.handle_timeout(now);
            }
            ClientMachine::NonInvite(machine) if machine.deadline() == Some(now) => {
                machine.handle_timeout(now);
            }
            ClientMachine::Invite(_) | ClientMachine::NonInvite(_) => {}
        }
        if transaction.is_terminated() {
            self.clients.remove(key);
        }
    }

    /// Sends the request of a transaction to its next target, if there is one.
    fn try_next_target(&mut self, now: Instant, key: &ClientKey) -> bool {
        let Some(transaction) = self.clients.get_mut(key) else {
            return false;
        };
        if transaction.remaining.is_empty() {
            return false;
        }
        let remaining = std::mem::take(&mut transaction.remaining);
        let mut outgoing = transaction.outgoing.clone();
        if let User::Call(call) = outgoing.user
            && !self.may_be_sent_again(call, outgoing.request.method())
        {
            // Given up meanwhile: at the next address it would ring for nobody.
            return false;
        }
        let Some(transaction) = self.clients.get(key) else {
            return false;
        };
        if transaction.heard == Heard::Nothing {
            self.clients.remove(key);
        }
        strip_path(&mut outgoing.request);
        outgoing.flow = None;
        outgoing.authorization.carried_over();
        self.launch(now, outgoing, remaining);
        true
    }

    /// The connection of a transaction has broken.
    pub(crate) fn client_transport_failed(&mut self, now: Instant, key: &ClientKey) {
        let Some(transaction) = self.clients.get(key) else {
            return;
        };
        if transaction.heard == Heard::Nothing && self.try_next_target(now, key) {
            return;
        }
        let Some(transaction) = self.clients.remove(key) else {
            return;
        };
        if transaction.is_waiting() {
            self.request_failed(now, &transaction.outgoing, Failure::Transport);
        }
    }
}

impl ClientTransaction {
    /// Whether no response has come at all.
    pub(super) fn has_heard_nothing(&self) -> bool {
        self.heard == Heard::Nothing
    }

    /// Whether a final response is still to come.
    pub(crate) fn is_waiting(&self) -> bool {
        match &self.machine {
            ClientMachine::Invite(machine) => machine.is_waiting(),
            ClientMachine::NonInvite(machine) => machine.is_waiting(),
        }
    }
}

/// The key of the transaction that a response belongs to. Only one Via: ours.
fn client_key_of(response: &Response) -> Option<ClientKey> {
    let mut vias = response.headers.typed_all::<Via>();
    let via = vias.next()?.ok()?;
    if vias.next().is_some() {
        return None;
    }
    let sequence: CSeq = response.headers.required().ok()?;
    Some(ClientKey {
        branch: via.branch()?.to_owned(),
        method: sequence.method.as_str().to_owned(),
    })
}

fn fork_of(response: &Response) -> Option<String> {
    response.headers.to().ok()?.tag().map(str::to_owned)
}

/// ACK of a refusal and CANCEL: the request of its INVITE with another method (sections 9.1 and
/// 17.1.1.3).
fn in_transaction(invite: &Request, method: Method) -> Option<Request> {
    let mut request = Request::new(method.clone(), invite.uri().clone());
    let headers = &mut request.headers;
    for name in [
        HeaderName::Via,
        HeaderName::Route,
        HeaderName::From,
        HeaderName::To,
        HeaderName::CallId,
        HeaderName::Authorization,
        HeaderName::ProxyAuthorization,
    ] {
        headers.copy_from(&invite.headers, &name);
    }
    headers.push_typed(&MAX_FORWARDS);
    let number = invite.headers.required::<CSeq>().ok()?.number;
    headers.push_typed(&CSeq { number, method });
    Some(request)
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

/// RFC 3263 section 4, cut to what the settings say: an account of TLS or WSS never leaves it.
fn next_hop_of(outgoing: &Outgoing) -> Option<Hop> {
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
