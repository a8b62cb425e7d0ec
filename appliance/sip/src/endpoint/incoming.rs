//! Messages on their way in: validation, and who may ask for what. How requests are answered is
//! `server_transactions`.
//!
//! ```text
//!  datagram, stream ─► message ─┬─ response ─► `client_transactions`
//!                               └─ request: source noted in Via, `check` ─► 400 (`refusals`)
//!                                    │
//!                   ACK ─────────────┼─► its INVITE's transaction, or the call whose 2xx it confirms
//!                   known branch ────┼─► last response again
//!                   CANCEL ──────────┼─► the call it cancels
//!                   To tag ──────────┼─► its call, or 481
//!                   new ─────────────┴─► trusted? ─ no ─► 403, seldom
//!                                           └ yes ─► 482, 405, 501, 416, 420, `content_rules`: 415, 493, 406
//!                                                    INVITE: new call, OPTIONS: as an INVITE
//! ```

use std::net::SocketAddr;
use std::time::Instant;

use super::Endpoint;
use super::content_rules::ACCEPT_ENCODING;
use super::event::CallId;
use super::event::{Event, IncomingRefusal};
use super::extensions::{self, SUPPORTED};
use super::keys::ServerKey;
use super::settings::{Account, TransferPolicy};
use crate::error::{HeaderError, MessageError, MessageFault};
use crate::grammar::{
    self, HeaderName, Headers, Message, Method, Request, Rport, StatusCode, Token, Via,
};
use crate::stun;
use crate::transport::{FlowId, Path, Transport};
use bytes::Bytes;

/// Server transactions at once.
const MAX_SERVER_TRANSACTIONS: usize = 512;
/// The methods that we answer with more than 405.
const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK";
/// The same where a far end may transfer us.
const ALLOW_WITH_TRANSFERS: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER";

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

    fn ack_received(&mut self, now: Instant, key: &ServerKey, ack: &Request) {
        if self.refusal_acknowledged(now, key) {
            return;
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
        let (call, pending) = (invite.call, invite.is_pending_invite());
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
        let refusal = self
            .refuse_extensions(now, &key, &arrival.request)
            .or_else(|| self.refuse_content(now, &key, &arrival.request));
        if let Some(status) = refusal {
            if *arrival.request.method() == Method::Invite {
                let why = IncomingRefusal::Unsupported(status);
                self.incoming_refused(&account, &arrival.request, why);
            }
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
        let refusal = self
            .refuse_extensions(now, key, &arrival.request)
            .or_else(|| self.refuse_content(now, key, &arrival.request));
        if refusal.is_some() {
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

    /// A trusted peer has called, and nobody here is asked about it.
    pub(crate) fn incoming_refused(
        &mut self,
        account: &Account,
        invite: &Request,
        why: IncomingRefusal,
    ) {
        if let Ok(from) = invite.headers.from() {
            let account = account.name.clone();
            self.event(Event::IncomingRefused { account, from, why });
        }
    }

    /// RFC 3261 section 8.2.2.3: extensions that we do not have. Says with what the request was refused,
    /// when it was.
    fn refuse_extensions(
        &mut self,
        now: Instant,
        key: &ServerKey,
        request: &Request,
    ) -> Option<StatusCode> {
        let tags = request.headers.values::<Token>(&HeaderName::Require);
        let Ok(tags) = tags.collect::<Result<Vec<Token>, _>>() else {
            self.respond_with(now, key, StatusCode::BAD_REQUEST);
            return Some(StatusCode::BAD_REQUEST);
        };
        let required: Vec<&str> = tags
            .iter()
            .map(Token::as_str)
            .filter(|tag| !extensions::is_supported(tag))
            .collect();
        if required.is_empty() {
            return None;
        }
        if let Some(mut response) = self.response(key, StatusCode::BAD_EXTENSION) {
            // Tokens hold no line end.
            let _ = response
                .headers
                .push(HeaderName::Unsupported, &required.join(", "));
            self.respond(now, key, &response);
        }
        Some(StatusCode::BAD_EXTENSION)
    }

    /// What a new call would be refused with from now on; `None` when it would not be. Whoever asks by
    /// OPTIONS hears the same.
    pub fn set_call_refusal(&mut self, refusal: Option<StatusCode>) {
        self.call_refusal = refusal;
    }

    /// Answered as an INVITE would be (RFC 3261 section 11.2): by that, others know whether it is worth
    /// while to call.
    fn options_received(&mut self, now: Instant, key: &ServerKey) {
        let status = if self.has_room_for_calls() {
            self.call_refusal.unwrap_or(StatusCode::OK)
        } else {
            StatusCode::BUSY_HERE
        };
        if let Some(mut response) = self.response(key, status) {
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
