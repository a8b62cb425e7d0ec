//! Server transactions: requests that are answered, and answered again when they are repeated.

use std::time::Instant;

use bytes::Bytes;

use super::event::CallId;
use super::incoming::Arrival;
use super::keys::ServerKey;
use super::{Endpoint, User};
use crate::grammar::{self, CSeq, HeaderName, Method, Request, Response, StatusCode};
use crate::transaction::{
    InviteServer, InviteServerOutcome, NonInviteServer, NonInviteServerOutcome, ResponseClass,
};
use crate::transport::Path;

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
    pub(super) call: Option<CallId>,
    merge_key: MergeKey,
}

impl ServerTransaction {
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.machine {
            ServerMachine::Invite(machine) => machine.deadline(),
            ServerMachine::NonInvite(machine) => machine.deadline(),
        }
    }

    /// Whether it is an INVITE that has no final response yet.
    pub(super) fn is_pending_invite(&self) -> bool {
        match &self.machine {
            ServerMachine::Invite(machine) => machine.is_proceeding(),
            ServerMachine::NonInvite(_) => false,
        }
    }

    fn is_terminated(&self) -> bool {
        match &self.machine {
            ServerMachine::Invite(machine) => machine.is_terminated(),
            ServerMachine::NonInvite(machine) => machine.is_terminated(),
        }
    }
}

impl Endpoint {
    /// The last response to a request that has come again is sent again.
    pub(super) fn request_repeated(&mut self, now: Instant, key: &ServerKey) {
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

    /// An ACK has come. True when it belongs to a refusal, which alone is this transaction's matter.
    pub(super) fn refusal_acknowledged(&mut self, now: Instant, key: &ServerKey) -> bool {
        if let Some(transaction) = self.servers.get_mut(key)
            && let ServerMachine::Invite(machine) = &mut transaction.machine
            && machine.acknowledged(now) != InviteServerOutcome::DeliverAck
        {
            self.advance_server(now, key);
            return true;
        }
        false
    }

    /// Opens the transaction of a request.
    pub(super) fn open_server(
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
            ServerMachine::NonInvite(NonInviteServer::new(now, reliability))
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

    pub(super) fn is_merged(&self, key: &ServerKey) -> bool {
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
        let asks_what_we_can = *transaction.request.method() == Method::Options;
        if status != StatusCode::TRYING {
            response
                .headers
                .add_to_tag(tag)
                .expect("our tags are tokens");
        }
        if status == StatusCode::METHOD_NOT_ALLOWED
            || status == StatusCode::NOT_IMPLEMENTED
            || status.is_success()
            || asks_what_we_can
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
}
