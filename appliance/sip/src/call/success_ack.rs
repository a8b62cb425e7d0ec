//! The ACK of a 2xx (RFC 3261 section 13.2.2.4): a request within its dialog. That to the INVITE of a
//! new call is made with the dialog, by `outgoing`; that to a re-INVITE here.
//!
//! The way that a dialog takes is made once, by its first INVITE (section 12.2). Proxies need not
//! record themselves again in a re-INVITE, and whatever the answer to one records changes nothing. Its
//! Contact does: it moves the target.
//!
//! A 2xx may come when the call is over already, because either end has hung up meanwhile. It is
//! acknowledged all the same, so that it is not repeated; BYE has been said.

use std::time::Instant;

use super::outgoing::{belongs_to, flow_of, remote_tag};
use super::{Call, CallState};
use crate::dialog::MAX_FORWARDS;
use crate::endpoint::keys::ClientKey;
use crate::endpoint::{CallId, Endpoint, Outgoing, User};
use crate::grammar::{CSeq, HeaderName, Method, Request, Response, Uri};
use crate::transport::FlowId;

/// Whether the request of a client transaction is one within a dialog.
pub(super) fn is_within_dialog(invite: &Request) -> bool {
    invite.headers.to().is_ok_and(|to| to.tag().is_some())
}

/// Where an ACK goes.
#[derive(Debug)]
pub(super) struct AckWay {
    /// The dialog's next hop: behind a strict router the request does not tell it.
    pub(super) next_hop: Option<Uri>,
    /// The connection of the INVITE, where that leads to the next hop.
    pub(super) flow: Option<FlowId>,
}

impl Endpoint {
    /// Acknowledges a 2xx to a re-INVITE of ours and remembers the ACK for its repetitions.
    pub(super) fn acknowledge_reinvite(
        &mut self,
        now: Instant,
        key: &ClientKey,
        response: &Response,
    ) {
        let Some(transaction) = self.clients.get(key) else {
            return;
        };
        let outgoing = &transaction.outgoing;
        let flow = flow_of(transaction.path);
        let call = match &outgoing.user {
            User::Call(id) => self.calls.get(id),
            User::Registration(_) | User::Nobody => None,
        };
        let dialog = call
            .and_then(Call::dialog)
            .filter(|dialog| belongs_to(response, dialog));
        let Ok(CSeq { number, .. }) = outgoing.request.headers.required() else {
            return;
        };
        let (ack, next_hop) = match dialog {
            Some(dialog) => {
                let mut dialog = dialog.clone();
                dialog.refresh_target(&response.headers);
                (dialog.ack(number), Some(dialog.next_hop()))
            }
            None => (
                ack_by_the_same_way(&outgoing.request, number, response),
                outgoing.next_hop.clone(),
            ),
        };
        if self.expect_ack(key, response) {
            self.send_ack(now, key, response, ack, AckWay { next_hop, flow });
        }
    }

    /// A far end that has accepted a re-INVITE by a way that is gone takes no other before it has its
    /// ACK, and hangs up without one: it gets it though nobody has heard its answer. To one that has
    /// not, the ACK belongs to nothing.
    pub(super) fn acknowledge_unheard(&mut self, now: Instant, id: CallId) {
        let Some(Call {
            account,
            flow,
            state: CallState::Established(established),
            ..
        }) = self.calls.get(&id)
        else {
            return;
        };
        let (Some(sequence), Ok(account)) =
            (established.reinvite_answers.lost, self.account(account))
        else {
            return;
        };
        let dialog = &established.dialog;
        let mut ack = Outgoing::new(dialog.ack(sequence), account, User::Nobody);
        ack.next_hop = Some(dialog.next_hop());
        ack.flow = *flow;
        self.dispatch(now, ack);
    }

    /// Sends the ACK of a 2xx.
    pub(super) fn send_ack(
        &mut self,
        now: Instant,
        key: &ClientKey,
        response: &Response,
        mut request: Request,
        way: AckWay,
    ) {
        let Some(transaction) = self.clients.get(key) else {
            return;
        };
        let invite = &transaction.outgoing;
        // Section 22.1: the ACK carries the credentials of its INVITE.
        for name in [HeaderName::Authorization, HeaderName::ProxyAuthorization] {
            request.headers.copy_from(&invite.request.headers, &name);
        }
        let mut ack = Outgoing::new(request, invite.account.clone(), User::Nobody);
        ack.next_hop = way.next_hop;
        ack.flow = way.flow;
        ack.acknowledges = Some((key.clone(), remote_tag(response)));
        self.dispatch(now, ack);
    }
}

/// Without its dialog, the ACK can only go where the re-INVITE went.
fn ack_by_the_same_way(reinvite: &Request, number: u32, response: &Response) -> Request {
    let mut ack = Request::new(Method::Ack, reinvite.uri().clone());
    let headers = &mut ack.headers;
    headers.push_typed(&MAX_FORWARDS);
    headers.copy_from(&reinvite.headers, &HeaderName::From);
    headers.copy_from(&response.headers, &HeaderName::To);
    headers.copy_from(&reinvite.headers, &HeaderName::CallId);
    headers.push_typed(&CSeq {
        number,
        method: Method::Ack,
    });
    headers.copy_from(&reinvite.headers, &HeaderName::Route);
    ack
}
