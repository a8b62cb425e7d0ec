//! Messages on their way in: validation, server transactions, who may ask for what.
//!
//! ```text
//!  datagram, stream ─► message ─┬─ response ─► client transactions (`outgoing`)
//!                               └─ request: source noted in Via, `check` ─► 400 (`refusals`)
//!                                    │
//!                   ACK ─────────────┼─► its INVITE's transaction, or the call whose 2xx it confirms
//!                   known branch ────┼─► last response again
//!                   CANCEL ──────────┼─► the call it cancels
//!                   To tag ──────────┼─► its call, or 481
//!                   new ─────────────┴─► trusted? ─ no ─► 403, seldom
//!                                           └ yes ─► 482, 405, 501, 416, 420, `content_rules`: 415, 493, 406
//!                                                    INVITE: new call, OPTIONS: 200
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::content_rules::ACCEPT_ENCODING;
use super::event::{CallId, PeerTrust};
use super::extensions::{self, SUPPORTED};
use super::keys::ServerKey;
use super::settings::{Account, ConfiguredPeer, TransferPolicy, is_in_network};
use super::{Endpoint, User, user_of};
use crate::error::{HeaderError, MessageError, MessageFault};
use crate::grammar::{
    self, CSeq, HeaderName, Headers, Message, Method, Request, Response, Rport, StatusCode, Token,
    Via,
};
use crate::stun;
use crate::transaction::{
    InviteServer, InviteServerOutcome, NonInviteServer, NonInviteServerOutcome, ResponseClass,
};
use crate::transport::{FlowId, Path, Transport};
use bytes::Bytes;

/// Server transactions at once.
const MAX_SERVER_TRANSACTIONS: usize = 512;
/// The methods that we answer with more than 405.
const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK";
/// The same where a far end may transfer us.
const ALLOW_WITH_TRANSFERS: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER";

#[derive(Debug)]
enum ServerMachine {
    Invite(InviteServer),
    NonInvite(NonInviteServer),
}

/// What two copies of a request have in common when they came by different ways (RFC 3261 section
/// 8.2.2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
struct MergeKey {
    from_tag: Option<String>,
    call_id: grammar::CallId,
    sequence: CSeq,
}

/// One server transaction.
#[derive(Debug)]
pub(crate) struct ServerTransaction {
    machine: ServerMachine,
    request: Request,
    /// Where responses go.
    pub(crate) path: Path,
    last_response: Option<Bytes>,
    /// The call that an INVITE is for.
    call: Option<CallId>,
    merge_key: MergeKey,
}

impl ServerTransaction {
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.machine {
            ServerMachine::Invite(machine) => machine.deadline(),
            ServerMachine::NonInvite(machine) => machine.deadline(),
        }
    }

    fn is_terminated(&self) -> bool {
        match &self.machine {
            ServerMachine::Invite(machine) => machine.is_terminated(),
            ServerMachine::NonInvite(machine) => machine.is_terminated(),
        }
    }
}

/// A request with where it came from and where its answers go.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) request: Request,
    pub(crate) path: Path,
    pub(crate) remote: SocketAddr,
    pub(crate) via: Via,
    /// Bytes on the wire: what a refusal is measured by.
    pub(crate) size: usize,
}

impl Arrival {
    pub(crate) fn flow(&self) -> Option<FlowId> {
        match self.path {
            Path::Stream(flow) => Some(flow),
            Path::Datagram { .. } => None,
        }
    }
}

impl Endpoint {
    /// A datagram has arrived at one of our sockets.
    pub fn datagram_received(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: Bytes,
    ) {
        if datagram
            .iter()
            .all(|byte| matches!(byte, b'\r' | b'\n' | 0))
        {
            // Keep-alives of many a peer.
            return;
        }
        if stun::is_stun(&datagram) {
            return self.stun_received(now, local, remote, &datagram);
        }
        let path = Path::Datagram { local, remote };
        let size = datagram.len();
        match Message::parse_datagram(datagram) {
            Ok(message) => self.message_received(now, path, message, size),
            Err(error) => self.malformed(now, path, &error, size),
        }
    }

    /// A message of `size` bytes.
    pub(crate) fn message_received(
        &mut self,
        now: Instant,
        path: Path,
        message: Message,
        size: usize,
    ) {
        self.note_received(now, path, &message);
        match message {
            Message::Response(response) if response.check().is_err() => {
                self.statistics.malformed += 1;
            }
            Message::Response(response) => self.response_received(now, &response),
            Message::Request(request) => self.request_received(now, path, request, size),
        }
    }

    fn request_received(&mut self, now: Instant, path: Path, mut request: Request, size: usize) {
        let Some(remote) = self.remote_end(path) else {
            return;
        };
        let via = match note_source(&mut request.headers, remote) {
            Ok(Some(via)) => via,
            Ok(None) => {
                self.statistics.malformed += 1;
                return;
            }
            Err(fault) => {
                let answerable =
                    (*request.method() != Method::Ack).then(|| Box::new(request.headers));
                let fault = MessageFault::Header(fault);
                return self.malformed(now, path, &MessageError { fault, answerable }, size);
            }
        };
        let arrival = Arrival {
            path: answer_path(path, &via, remote),
            remote,
            via,
            request,
            size,
        };
        if arrival.request.check().is_err() {
            return self.refuse_malformed(now, &arrival);
        }
        let Ok(key) = ServerKey::of(&arrival.request, &arrival.via) else {
            return self.refuse_malformed(now, &arrival);
        };
        self.note_alias(&arrival);
        if *arrival.request.method() == Method::Ack {
            return self.ack_received(now, &key, &arrival.request);
        }
        if self.servers.contains_key(&key) {
            return self.request_repeated(now, &key);
        }
        if self.servers.len() >= MAX_SERVER_TRANSACTIONS {
            self.statistics.overloaded += 1;
            return;
        }
        if *arrival.request.method() == Method::Cancel {
            self.cancel_received(now, &key, &arrival);
        } else {
            self.new_request(now, key, arrival);
        }
    }

    fn request_repeated(&mut self, now: Instant, key: &ServerKey) {
        let Some(transaction) = self.servers.get_mut(key) else {
            return;
        };
        let send_last = match &mut transaction.machine {
            ServerMachine::Invite(machine) => {
                machine.retransmitted() == InviteServerOutcome::SendLast
            }
            ServerMachine::NonInvite(machine) => {
                machine.retransmitted() == NonInviteServerOutcome::SendLast
            }
        };
        let (path, last) = (transaction.path, transaction.last_response.clone());
        if let (true, Some(last)) = (send_last, last) {
            self.send_repeated(now, path, last);
        }
    }

    fn ack_received(&mut self, now: Instant, key: &ServerKey, ack: &Request) {
        if let Some(transaction) = self.servers.get_mut(key)
            && let ServerMachine::Invite(machine) = &mut transaction.machine
            && machine.acknowledged(now) != InviteServerOutcome::DeliverAck
        {
            return self.advance_server(now, key);
        }
        // The ACK of a 2xx has a branch of its own; some old peers use that of the INVITE.
        match self.call_of(ack) {
            Some(call) => self.call_ack(now, call, ack),
            None => self.statistics.stray += 1,
        }
    }

    /// CANCEL has an effect only on an INVITE without a final response (section 9.2).
    fn cancel_received(&mut self, now: Instant, key: &ServerKey, arrival: &Arrival) {
        let cancelled = key.of_cancelled_invite();
        let Some(invite) = self.servers.get(&cancelled) else {
            if self.stranger_limit.admit(now, arrival.remote.ip()) {
                let status = StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
                self.respond_stateless(now, arrival, status);
            }
            return;
        };
        let call = invite.call;
        let pending = match &invite.machine {
            ServerMachine::Invite(machine) => machine.is_proceeding(),
            ServerMachine::NonInvite(_) => false,
        };
        // The tag of what is said to the INVITE, where something is.
        let tag = call.and_then(|call| self.called_tag(call));
        let tag = tag.unwrap_or_else(|| self.token());
        self.open_server(now, key.clone(), arrival, None);
        if let Some(response) = self.response_tagged(key, StatusCode::OK, &tag) {
            self.respond(now, key, &response);
        }
        if let (true, Some(call)) = (pending, call) {
            self.call_cancelled(now, call, &arrival.request.headers);
        }
    }

    fn new_request(&mut self, now: Instant, key: ServerKey, arrival: Arrival) {
        let has_to_tag = arrival
            .request
            .headers
            .to()
            .is_ok_and(|to| to.tag().is_some());
        if has_to_tag {
            return self.request_in_dialog(now, &key, &arrival);
        }
        let Some((trust, account)) = self.trust(&arrival) else {
            return self.refuse_stranger(now, &arrival);
        };
        self.open_server(now, key.clone(), &arrival, None);
        if self.is_merged(&key) {
            return self.respond_with(now, &key, StatusCode::LOOP_DETECTED);
        }
        if !self.is_known(arrival.request.method()) {
            let status = unknown_status(arrival.request.method());
            return self.respond_with(now, &key, status);
        }
        if arrival.request.uri().as_sip().is_none() {
            return self.respond_with(now, &key, StatusCode::UNSUPPORTED_URI_SCHEME);
        }
        if self.refuse_extensions(now, &key, &arrival.request)
            || self.refuse_content(now, &key, &arrival.request)
        {
            return;
        }
        match arrival.request.method() {
            Method::Invite => self.invite_received(now, key, arrival, trust, &account),
            Method::Options => self.options_received(now, &key),
            // Whoever has no call with us has none to transfer.
            Method::Refer => self.respond_with(now, &key, StatusCode::DECLINE),
            Method::Ack
            | Method::Bye
            | Method::Cancel
            | Method::Register
            | Method::Info
            | Method::Update
            | Method::Prack
            | Method::Subscribe
            | Method::Notify
            | Method::Message
            | Method::Publish
            | Method::Other(_) => {
                self.respond_with(now, &key, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
            }
        }
    }

    fn request_in_dialog(&mut self, now: Instant, key: &ServerKey, arrival: &Arrival) {
        let Some(call) = self.call_of(&arrival.request) else {
            if self.trust(arrival).is_some() || self.stranger_limit.admit(now, arrival.remote.ip())
            {
                let status = StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
                self.respond_stateless(now, arrival, status);
            } else {
                self.statistics.refused += 1;
            }
            return;
        };
        let is_invite = *arrival.request.method() == Method::Invite;
        self.open_server(now, key.clone(), arrival, is_invite.then_some(call));
        if !self.is_known(arrival.request.method()) {
            let status = unknown_status(arrival.request.method());
            return self.respond_with(now, key, status);
        }
        if self.refuse_extensions(now, key, &arrival.request)
            || self.refuse_content(now, key, &arrival.request)
        {
            return;
        }
        self.call_request(now, call, key, arrival);
    }

    /// The call whose dialog a request belongs to.
    fn call_of(&self, request: &Request) -> Option<CallId> {
        let call_id: grammar::CallId = request.headers.required().ok()?;
        let (to, from) = (request.headers.to().ok()?, request.headers.from().ok()?);
        let to_tag = to.tag()?;
        self.calls
            .iter()
            .find(|(_, call)| call.owns_request(&call_id, to_tag, from.tag()))
            .map(|(id, _)| *id)
    }

    /// Why a request from outside of dialogs is let in, and for which account. Strangers get
    /// nothing.
    fn trust(&self, arrival: &Arrival) -> Option<(PeerTrust, Arc<Account>)> {
        let user = arrival
            .request
            .uri()
            .as_sip()
            .and_then(crate::grammar::SipUri::user_decoded);
        let bound: Vec<&Arc<Account>> = self
            .accounts
            .iter()
            .filter(|account| {
                self.registrations
                    .get(&account.name)
                    .is_some_and(|registrant| {
                        registrant.is_bound_to(arrival.flow(), arrival.remote)
                    })
            })
            .collect();
        // Several accounts may share one connection to their registrar.
        let registered = bound
            .iter()
            .find(|account| user.is_some() && user_of(account) == user)
            .or(bound.first());
        if let Some(account) = registered {
            return Some((PeerTrust::RegisteredFlow, Arc::clone(account)));
        }
        let verified_names = arrival
            .flow()
            .and_then(|flow| self.flows.get_open(flow))
            .map(|open| open.info.verified_names.as_slice())
            .unwrap_or_default();
        let allowed = self.policy.peers.iter().any(|peer| match peer {
            ConfiguredPeer::Network { address, prefix } => {
                is_in_network(arrival.remote.ip(), *address, *prefix)
            }
            ConfiguredPeer::Domain(domain) => {
                verified_names.iter().any(|name| is_in_domain(name, domain))
            }
        });
        if !allowed {
            return None;
        }
        let named = self
            .accounts
            .iter()
            .find(|account| user.is_some() && user_of(account) == user);
        let configured = || {
            self.accounts
                .iter()
                .find(|account| Some(&account.name) == self.policy.peer_account.as_ref())
        };
        let account = named.or_else(configured).or(self.accounts.first())?;
        Some((PeerTrust::ConfiguredPeer, Arc::clone(account)))
    }

    /// RFC 3261 section 8.2.2.3: extensions that we do not have.
    fn refuse_extensions(&mut self, now: Instant, key: &ServerKey, request: &Request) -> bool {
        let tags = request.headers.values::<Token>(&HeaderName::Require);
        let Ok(tags) = tags.collect::<Result<Vec<Token>, _>>() else {
            self.respond_with(now, key, StatusCode::BAD_REQUEST);
            return true;
        };
        let required: Vec<&str> = tags
            .iter()
            .map(Token::as_str)
            .filter(|tag| !extensions::is_supported(tag))
            .collect();
        if required.is_empty() {
            return false;
        }
        if let Some(mut response) = self.response(key, StatusCode::BAD_EXTENSION) {
            // Tokens hold no line end.
            let _ = response
                .headers
                .push(HeaderName::Unsupported, &required.join(", "));
            self.respond(now, key, &response);
        }
        true
    }

    fn options_received(&mut self, now: Instant, key: &ServerKey) {
        if let Some(mut response) = self.response(key, StatusCode::OK) {
            for (name, value) in [
                (HeaderName::Accept, "application/sdp"),
                (HeaderName::AcceptEncoding, ACCEPT_ENCODING),
                (HeaderName::Supported, SUPPORTED),
            ] {
                response.headers.push(name, value).expect("plain text");
            }
            self.respond(now, key, &response);
        }
    }

    /// Opens the transaction of a request.
    fn open_server(
        &mut self,
        now: Instant,
        key: ServerKey,
        arrival: &Arrival,
        call: Option<CallId>,
    ) {
        let reliability = self.transport_of(arrival.path).reliability();
        let headers = &arrival.request.headers;
        // `check_request` has seen them all.
        let (Ok(call_id), Ok(sequence)) = (headers.required(), headers.required()) else {
            return;
        };
        let from_tag = headers
            .from()
            .ok()
            .and_then(|from| from.tag().map(str::to_owned));
        let machine = if *arrival.request.method() == Method::Invite {
            ServerMachine::Invite(InviteServer::new(now, reliability))
        } else {
            ServerMachine::NonInvite(NonInviteServer::new(reliability))
        };
        self.servers.insert(
            key,
            ServerTransaction {
                machine,
                request: arrival.request.clone(),
                path: arrival.path,
                last_response: None,
                call,
                merge_key: MergeKey {
                    from_tag,
                    call_id,
                    sequence,
                },
            },
        );
    }

    fn is_merged(&self, key: &ServerKey) -> bool {
        let Some(new) = self.servers.get(key) else {
            return false;
        };
        self.servers
            .iter()
            .any(|(other, transaction)| other != key && transaction.merge_key == new.merge_key)
    }

    /// Names the call that an INVITE makes, so that CANCEL finds it.
    pub(crate) fn bind_server(&mut self, key: &ServerKey, call: CallId) {
        if let Some(transaction) = self.servers.get_mut(key) {
            transaction.call = Some(call);
        }
    }

    /// The request of a transaction and where its responses go.
    pub(crate) fn server_request(&self, key: &ServerKey) -> Option<(&Request, Path)> {
        self.servers
            .get(key)
            .map(|transaction| (&transaction.request, transaction.path))
    }

    /// A response to the request of a transaction, with what every response of ours has.
    pub(crate) fn response(&mut self, key: &ServerKey, status: StatusCode) -> Option<Response> {
        let tag = self.token();
        self.response_tagged(key, status, &tag)
    }

    /// The same with a tag that is known already.
    pub(crate) fn response_tagged(
        &self,
        key: &ServerKey,
        status: StatusCode,
        tag: &str,
    ) -> Option<Response> {
        let transaction = self.servers.get(key)?;
        let mut response = Response::to(&transaction.request, status);
        if status != StatusCode::TRYING {
            response
                .headers
                .add_to_tag(tag)
                .expect("our tags are tokens");
        }
        if status == StatusCode::METHOD_NOT_ALLOWED
            || status == StatusCode::NOT_IMPLEMENTED
            || status.is_success()
        {
            response
                .headers
                .push(HeaderName::Allow, self.allow())
                .expect("plain text");
        }
        let _ = response.headers.push(HeaderName::Server, self.user_agent());
        Some(response)
    }

    /// Sends a response without a body.
    pub(crate) fn respond_with(&mut self, now: Instant, key: &ServerKey, status: StatusCode) {
        if let Some(response) = self.response(key, status) {
            self.respond(now, key, &response);
        }
    }

    /// Sends a response. Returns its bytes and its way when the transaction let it pass.
    pub(crate) fn respond(
        &mut self,
        now: Instant,
        key: &ServerKey,
        response: &Response,
    ) -> Option<(Bytes, Path)> {
        let transaction = self.servers.get_mut(key)?;
        let class = ResponseClass::of(response.status().code());
        let sends = match &mut transaction.machine {
            ServerMachine::Invite(machine) => {
                machine.respond(now, class) == InviteServerOutcome::Send
            }
            ServerMachine::NonInvite(machine) => {
                machine.respond(now, class) == NonInviteServerOutcome::Send
            }
        };
        if !sends {
            return None;
        }
        let bytes = response.to_bytes();
        transaction.last_response = Some(bytes.clone());
        let path = transaction.path;
        self.send_message(now, path, response, &User::Nobody, bytes.clone());
        self.advance_server(now, key);
        Some((bytes, path))
    }

    /// Time has passed for one server transaction.
    pub(crate) fn server_timeout(&mut self, now: Instant, key: &ServerKey) {
        let Some(transaction) = self.servers.get_mut(key) else {
            return;
        };
        let outcome = match &mut transaction.machine {
            ServerMachine::Invite(machine) => machine.handle_timeout(now),
            ServerMachine::NonInvite(machine) => {
                machine.handle_timeout(now);
                InviteServerOutcome::Nothing
            }
        };
        let (path, last) = (transaction.path, transaction.last_response.clone());
        match outcome {
            InviteServerOutcome::SendLast => {
                if let Some(last) = last {
                    self.send_repeated(now, path, last);
                }
            }
            InviteServerOutcome::SendTrying => self.send_trying(now, key, path),
            InviteServerOutcome::Nothing
            | InviteServerOutcome::Send
            | InviteServerOutcome::DeliverAck
            | InviteServerOutcome::Unacknowledged => {}
        }
        self.advance_server(now, key);
    }

    /// 100 is not the user's response: the machine has moved on by itself.
    fn send_trying(&mut self, now: Instant, key: &ServerKey, path: Path) {
        let Some(mut response) = self.response(key, StatusCode::TRYING) else {
            return;
        };
        // Section 8.2.6.1: the client measures its round trip by it.
        if let Some((request, _)) = self.server_request(key) {
            response
                .headers
                .copy_from(&request.headers, &HeaderName::Timestamp);
        }
        let bytes = response.to_bytes();
        if let Some(transaction) = self.servers.get_mut(key) {
            transaction.last_response = Some(bytes.clone());
        }
        self.send_message(now, path, &response, &User::Nobody, bytes);
    }

    /// Ends zero-length timers at once and forgets what has terminated.
    fn advance_server(&mut self, now: Instant, key: &ServerKey) {
        let Some(transaction) = self.servers.get_mut(key) else {
            return;
        };
        match &mut transaction.machine {
            ServerMachine::Invite(machine) if machine.deadline() == Some(now) => {
                machine.handle_timeout(now);
            }
            ServerMachine::NonInvite(machine) => machine.handle_timeout(now),
            ServerMachine::Invite(_) => {}
        }
        if transaction.is_terminated() {
            self.servers.remove(key);
        }
    }

    /// The connection that a response would take has broken: it cannot be sent. The peer's own
    /// transaction fails with the same connection, so no new one is opened to it.
    pub(crate) fn server_transport_failed(&mut self, key: &ServerKey) {
        let call = self
            .servers
            .remove(key)
            .and_then(|transaction| transaction.call);
        if let Some(call) = call {
            self.call_lost_its_caller(call);
        }
    }

    pub(crate) fn remote_end(&self, path: Path) -> Option<SocketAddr> {
        match path {
            Path::Datagram { remote, .. } => Some(remote),
            Path::Stream(flow) => self.flows.get_open(flow).map(|open| open.info.remote),
        }
    }

    /// What the Allow header field says.
    pub(crate) fn allow(&self) -> &'static str {
        match self.policy.transfers {
            TransferPolicy::Never => ALLOW,
            TransferPolicy::FarEnd => ALLOW_WITH_TRANSFERS,
        }
    }

    fn is_known(&self, method: &Method) -> bool {
        match method {
            Method::Invite
            | Method::Ack
            | Method::Bye
            | Method::Cancel
            | Method::Options
            | Method::Info
            | Method::Update
            | Method::Prack => true,
            Method::Refer => self.policy.transfers == TransferPolicy::FarEnd,
            Method::Register
            | Method::Subscribe
            | Method::Notify
            | Method::Message
            | Method::Publish
            | Method::Other(_) => false,
        }
    }

    /// Whether signalling over a path is protected, for the user.
    pub(crate) fn signalling(&self, path: Path) -> Transport {
        self.transport_of(path)
    }
}

/// Writes `received` and `rport` into the top Via (RFC 3261 section 18.2.1, RFC 3581).
pub(crate) fn note_source(
    headers: &mut Headers,
    remote: SocketAddr,
) -> Result<Option<Via>, HeaderError> {
    let Some(mut via) = headers.typed::<Via>()? else {
        return Ok(None);
    };
    via.note_source(remote);
    headers.replace_first(&via);
    Ok(Some(via))
}

/// Where responses to a request go (RFC 3261 section 18.2.2, RFC 3581 section 4). `maddr` is not
/// followed: it would let a request choose a third party as the target of our answers.
pub(crate) fn answer_path(path: Path, via: &Via, remote: SocketAddr) -> Path {
    match path {
        Path::Stream(_) => path,
        Path::Datagram { local, .. } => {
            let port = match via.rport() {
                Rport::Port(port) => port,
                Rport::Absent | Rport::Requested => {
                    let port = via.port().filter(|port| *port != 0);
                    port.unwrap_or(Transport::Udp.default_port())
                }
            };
            Path::Datagram {
                local,
                remote: SocketAddr::new(remote.ip(), port),
            }
        }
    }
}

/// Section 8.2.1 for methods that others have, section 21.5.2 for those that nobody has heard of.
fn unknown_status(method: &Method) -> StatusCode {
    if matches!(method, Method::Other(_)) {
        StatusCode::NOT_IMPLEMENTED
    } else {
        StatusCode::METHOD_NOT_ALLOWED
    }
}

fn is_in_domain(name: &str, domain: &str) -> bool {
    let (name, domain) = (name.to_ascii_lowercase(), domain.to_ascii_lowercase());
    name == domain
        || name
            .strip_suffix(&domain)
            .is_some_and(|start| start.ends_with('.'))
}
