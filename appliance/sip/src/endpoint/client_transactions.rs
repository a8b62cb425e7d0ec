//! Client transactions: answers to requests of ours, time, and what is tried next.
//!
//! ```text
//!  transmit ─► waiting ─┬─ 2xx, refusal ───────────────► user: call or registration
//!                       ├─ 401, 407 ──► `challenged`: sent again
//!                       ├─ 503, nothing heard in time, connection broken ──► `next_server`
//!                       └─ no server left ─────────────► user: 503, time-out, no way
//! ```
//!
//! An INVITE stays for the repetitions of its 2xx: each fork's ACK is sent again with them (RFC 6026).

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use super::Endpoint;
use super::avoided::Server;
use super::event::CallId;
use super::flows::Target;
use super::keys::ClientKey;
use super::next_server::{Overtaken, WhyNext, patience_with};
use super::outgoing::{Outgoing, User, strip_path};
use crate::dialog::MAX_FORWARDS;
use crate::digest::ServerProof;
use crate::grammar::{CSeq, HeaderName, Method, Request, Response, RetryAfter, StatusCode, Via};
use crate::transaction::{
    InviteClient, InviteClientOutcome, NonInviteClient, NonInviteClientOutcome, Reliability,
    ResponseClass,
};
use crate::transport::Path;

/// Forks whose 2xx are acknowledged.
const MAX_FORKS: usize = 8;

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
    /// When those are not kept waiting any longer.
    pub(super) patience: Instant,
    pub(super) heard: Heard,
    pub(super) overtaken: Overtaken,
    acks: Vec<SentAck>,
    /// The highest sequence number of a request within an early dialog of an INVITE.
    last_fork_sequence: u32,
}

/// Whether any response has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Nothing,
    Something,
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct Sent {
    /// As it was sent, Via and Contact included.
    pub(super) outgoing: Outgoing,
    /// The same as bytes.
    pub(super) wire: Bytes,
    pub(super) path: Path,
    /// What to try when nothing is heard from there.
    pub(super) remaining: VecDeque<Target>,
}

impl ClientTransaction {
    pub(super) fn new(now: Instant, reliability: Reliability, sent: Sent) -> Self {
        let Sent {
            outgoing,
            wire,
            path,
            remaining,
        } = sent;
        let patience = now + patience_with(outgoing.request.method());
        let machine = if *outgoing.request.method() == Method::Invite {
            ClientMachine::Invite(InviteClient::new(now, reliability))
        } else {
            ClientMachine::NonInvite(NonInviteClient::new(now, reliability))
        };
        Self {
            machine,
            outgoing,
            wire,
            path,
            remaining,
            patience,
            heard: Heard::Nothing,
            overtaken: Overtaken::No,
            acks: Vec::new(),
            last_fork_sequence: 0,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let timers = match &self.machine {
            ClientMachine::Invite(machine) => machine.deadline(),
            ClientMachine::NonInvite(machine) => machine.deadline(),
        };
        timers.into_iter().chain(self.gives_way_at()).min()
    }

    fn is_terminated(&self) -> bool {
        match &self.machine {
            ClientMachine::Invite(machine) => machine.is_terminated(),
            ClientMachine::NonInvite(machine) => machine.is_terminated(),
        }
    }
}

impl Endpoint {
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
        let class = ResponseClass::of(response.status().code());
        let (acknowledges, delivers) = match &mut transaction.machine {
            ClientMachine::Invite(machine) => match machine.response(now, class) {
                InviteClientOutcome::Deliver => (false, true),
                InviteClientOutcome::AcknowledgeAndDeliver => (true, true),
                InviteClientOutcome::Acknowledge => (true, false),
                InviteClientOutcome::Nothing
                | InviteClientOutcome::Retransmit
                | InviteClientOutcome::TimedOut => (false, false),
            },
            ClientMachine::NonInvite(machine) => match machine.response(now, class) {
                NonInviteClientOutcome::Deliver => (false, true),
                NonInviteClientOutcome::Nothing
                | NonInviteClientOutcome::Retransmit
                | NonInviteClientOutcome::TimedOut => (false, false),
            },
        };
        // One that is out of order, or repeated, says nothing new: a 100 that a 503 has overtaken is no
        // sign of life.
        if delivers {
            self.note_answer(now, path, response);
        }
        if acknowledges {
            self.acknowledge_failure(now, &key, response);
        }
        if delivers {
            self.deliver(now, &key, response);
        }
        if class == ResponseClass::Provisional {
            self.cancel_overtaken(now, &key);
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

    pub(super) fn server_of(&self, path: Path) -> Option<Server> {
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
        if status == StatusCode::SERVICE_UNAVAILABLE
            && self.try_next_server(now, key, WhyNext::Refused(response))
        {
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
            user => self.deliver_to(now, &user, key, response),
        }
    }

    pub(super) fn deliver_to(
        &mut self,
        now: Instant,
        user: &User,
        key: &ClientKey,
        response: &Response,
    ) {
        match user {
            User::Call(call) => self.call_response(now, *call, key, response),
            User::Registration(binding) => self.register_response(now, binding, response),
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

    /// An ACK of a 2xx has been sent: it is repeated with the 2xx.
    pub(super) fn remember_ack(
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
        self.unanswered_reinvite(call).is_some()
    }

    /// The re-INVITE of a call that has a provisional response, and no final one.
    pub(crate) fn unanswered_reinvite(&self, call: CallId) -> Option<ClientKey> {
        let proceeds = |transaction: &ClientTransaction| match &transaction.machine {
            ClientMachine::Invite(machine) => machine.is_proceeding(),
            ClientMachine::NonInvite(_) => false,
        };
        self.clients
            .iter()
            .find(|(_, transaction)| {
                transaction.outgoing.user == User::Call(call) && proceeds(transaction)
            })
            .map(|(key, _)| key.clone())
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
        let sent = Sent {
            outgoing: Outgoing::new(request, account, User::Nobody),
            wire,
            path,
            remaining: VecDeque::new(),
        };
        let transaction = ClientTransaction::new(now, reliability, sent);
        self.clients.insert(key, transaction);
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
        if self.gives_way(now, key) {
            return;
        }
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
