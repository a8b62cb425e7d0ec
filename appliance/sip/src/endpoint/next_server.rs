//! The next server of a name, when one does not serve a request (RFC 3263 section 4.3).
//!
//! ```text
//!  503, nothing heard, connection broken ─┬─ servers left of the look-up ──► launch: the next
//!                                         ├─ over a connection that stood ─► look-up ─┬─► launch
//!                                         │                                           └─ none ─┐
//!                                         └─ none left ────────────────────────────────────────┤
//!                                                                user: the 503, time-out, no way
//! ```
//!
//! By UDP nobody says that there is nobody. A server that is silent while others are left is waited for
//! a few repetitions long; the last one for as long as its transaction lives (RFC 3261 section
//! 17.1.1.2). An INVITE that is overtaken so may have arrived all the same: it is cancelled when its
//! server says anything, and a dialog that it has made is ended.
//!
//! What belongs to a dialog and has a connection of its own stays there: the next server knows nothing
//! of it, and what is to be done when that connection breaks is the call's to say.

use std::time::{Duration, Instant};

use super::authorization::Authorization;
use super::client_transactions::{ClientMachine, ClientTransaction, Heard};
use super::keys::ClientKey;
use super::outgoing::{FoundBy, User, strip_path};
use super::{Endpoint, Failure};
use crate::grammar::{HeaderName, Method, Response};
use crate::transaction::T1;
use crate::transport::Path;

/// How long a silent server is waited for while others are left: four transmissions of an INVITE, the
/// last one 500 ms before. Who cannot say more at once answers each within 200 ms by 100 (RFC 3261
/// section 17.2.1), so that even where a fifth of all datagrams is lost either way, 98 of 100 servers
/// are heard by then.
const PATIENCE_WITH_INVITE: Duration = T1.saturating_mul(8);
/// The same for other requests, whose servers say nothing before the fourth repetition, 7.5 s after the
/// request, when their answer takes its time (RFC 4320 section 4.1).
const PATIENCE: Duration = T1.saturating_mul(16);

/// How long the server of a request may be silent while others are left.
pub(super) fn patience_with(method: &Method) -> Duration {
    if *method == Method::Invite {
        PATIENCE_WITH_INVITE
    } else {
        PATIENCE
    }
}

/// The refusal of a server, kept while others are looked for.
#[derive(Clone, Debug)]
pub(crate) struct KeptRefusal {
    /// Its transaction.
    pub(super) key: ClientKey,
    pub(super) response: Response,
}

/// Why a request goes to the next server.
#[derive(Clone, Copy, Debug)]
pub(super) enum WhyNext<'a> {
    /// By 503.
    Refused(&'a Response),
    Silent,
    /// The connection to it has broken.
    Broken,
}

/// Whether an INVITE has been sent to another server before this one has said anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overtaken {
    No,
    Yes,
    /// It has said something since, and was told that nobody waits.
    Cancelled,
}

impl ClientTransaction {
    /// When the next server is tried though this one may still answer.
    pub(super) fn gives_way_at(&self) -> Option<Instant> {
        let waits = self.heard == Heard::Nothing && !self.remaining.is_empty();
        match self.path {
            Path::Datagram { .. } if waits => Some(self.patience),
            Path::Datagram { .. } | Path::Stream(_) => None,
        }
    }

    /// Whether it is an INVITE outside of dialogs.
    pub(super) fn makes_call(&self) -> bool {
        let request = &self.outgoing.request;
        *request.method() == Method::Invite
            && request.headers.to().is_ok_and(|to| to.tag().is_none())
    }
}

impl Endpoint {
    /// Lets the next server have the request of one that has been silent for too long. False when the
    /// transaction goes on.
    pub(super) fn gives_way(&mut self, now: Instant, key: &ClientKey) -> bool {
        let Some(transaction) = self.clients.get(key) else {
            return false;
        };
        if transaction.gives_way_at().is_none_or(|at| at > now) {
            return false;
        }
        let server = self.server_of(transaction.path);
        if !self.try_next_server(now, key, WhyNext::Silent) {
            return false;
        }
        if let Some(server) = server {
            self.avoided.failed(now, server, None);
        }
        true
    }

    /// Nothing final came while the transaction lived.
    pub(super) fn timed_out(&mut self, now: Instant, key: &ClientKey) {
        let Some(transaction) = self.clients.get(key) else {
            return;
        };
        let path = transaction.path;
        if transaction.heard == Heard::Nothing
            && let Some(server) = self.server_of(path)
        {
            self.avoided.failed(now, server, None);
        }
        if self.try_next_server(now, key, WhyNext::Silent) {
            self.close_if_silent(now, path);
        } else if let Some(transaction) = self.clients.remove(key) {
            self.close_if_silent(now, path);
            self.request_failed(now, &transaction.outgoing, Failure::Timeout);
        }
    }

    /// The connection of a transaction has broken.
    pub(crate) fn client_transport_failed(&mut self, now: Instant, key: &ClientKey) {
        let Some(transaction) = self.clients.get(key) else {
            return;
        };
        if transaction.heard == Heard::Nothing && self.try_next_server(now, key, WhyNext::Broken) {
            return;
        }
        let Some(transaction) = self.clients.remove(key) else {
            return;
        };
        if transaction.is_waiting() {
            self.request_failed(now, &transaction.outgoing, Failure::Transport);
        }
    }

    /// Sends the request of a transaction to the next server of its name, if there may be one.
    pub(super) fn try_next_server(
        &mut self,
        now: Instant,
        key: &ClientKey,
        why: WhyNext<'_>,
    ) -> bool {
        let Some(transaction) = self.clients.get_mut(key) else {
            return false;
        };
        let path = transaction.path;
        let remaining = std::mem::take(&mut transaction.remaining);
        if remaining.is_empty() && transaction.outgoing.found_by == FoundBy::LookUp {
            return false;
        }
        let mut outgoing = transaction.outgoing.clone();
        if let User::Call(call) = outgoing.user
            && !self.may_be_sent_again(call, outgoing.request.method())
        {
            // Given up meanwhile: at the next address it would ring for nobody.
            return false;
        }
        strip_path(&mut outgoing.request);
        for credentials in [HeaderName::Authorization, HeaderName::ProxyAuthorization] {
            outgoing.request.headers.remove(&credentials);
        }
        outgoing.flow = None;
        outgoing.authorization = Authorization::default();
        match why {
            WhyNext::Refused(response) => {
                outgoing.refusal = Some(Box::new(KeptRefusal {
                    key: key.clone(),
                    response: response.clone(),
                }));
                outgoing.excluded = self.server_of(path);
            }
            WhyNext::Silent => outgoing.excluded = self.server_of(path),
            // A new connection to the same server, which may have restarted, is the last try.
            WhyNext::Broken => {}
        }
        self.leave_transaction(now, key, why);
        if remaining.is_empty() {
            self.look_up_again(now, outgoing);
        } else {
            self.launch(now, outgoing, remaining);
        }
        true
    }

    /// The request of a transaction is sent elsewhere.
    fn leave_transaction(&mut self, now: Instant, key: &ClientKey, why: WhyNext<'_>) {
        let Some(transaction) = self.clients.get_mut(key) else {
            return;
        };
        if transaction.heard == Heard::Something {
            return;
        }
        let may_have_arrived = matches!(why, WhyNext::Silent);
        match &mut transaction.machine {
            ClientMachine::Invite(machine) if may_have_arrived && machine.is_waiting() => {
                machine.abandon(now);
                transaction.overtaken = Overtaken::Yes;
                // What it has to say is no answer to its call any more.
                transaction.outgoing.user = User::Nobody;
            }
            ClientMachine::Invite(_) | ClientMachine::NonInvite(_) => {
                self.clients.remove(key);
            }
        }
    }

    /// A server that was silent for too long has a call of ours after all: it rings there for nobody.
    pub(super) fn cancel_overtaken(&mut self, now: Instant, key: &ClientKey) {
        let Some(transaction) = self.clients.get_mut(key) else {
            return;
        };
        // Within a dialog it is the same request at the same far end: the other one would fall with it.
        if transaction.overtaken == Overtaken::Yes && transaction.makes_call() {
            transaction.overtaken = Overtaken::Cancelled;
            self.send_cancel(now, key);
        }
    }
}
