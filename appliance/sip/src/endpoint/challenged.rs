//! Requests that were challenged: sent again with credentials, and those after them with
//! credentials from the start.

use std::time::Instant;

use super::Endpoint;
use super::keys::ClientKey;
use super::outgoing::{Outgoing, User, strip_path};
use crate::digest::ServerProof;
use crate::grammar::{CSeq, CallId, Method, Response};
use crate::transport::Path;

impl Endpoint {
    /// Answers a challenge. False when the credentials are missing or were refused.
    pub(super) fn authorize_again(
        &mut self,
        now: Instant,
        key: &ClientKey,
        response: &Response,
    ) -> bool {
        let Some(transaction) = self.clients.get(key) else {
            return false;
        };
        if matches!(&transaction.outgoing.user, User::Nobody) {
            return false;
        }
        let (mut outgoing, path) = (transaction.outgoing.clone(), transaction.path);
        // Who has challenged may be gone when the answer arrives.
        let remaining = transaction.remaining.clone();
        if let User::Call(call) = outgoing.user
            && !self.may_be_sent_again(call, outgoing.request.method())
        {
            return false;
        }
        strip_path(&mut outgoing.request);
        if !outgoing.authorization.answer(
            response,
            &mut outgoing.request,
            outgoing.account.credentials.as_ref(),
            &mut self.rng,
        ) {
            self.forget_challenges(&outgoing);
            return false;
        }
        self.remember_challenges(&outgoing, path);
        let Ok(CSeq { number, method }) = outgoing.request.headers.required::<CSeq>() else {
            return false;
        };
        let number = self.sequence_after(&outgoing.user, number);
        outgoing.request.headers.set_typed(&CSeq { number, method });
        self.transmit(now, outgoing, path, remaining);
        true
    }

    /// Puts credentials into a request that whoever is at the other end of `path` would challenge.
    pub(super) fn authorize_ahead(&mut self, outgoing: &mut Outgoing, path: Path) {
        // An ACK has the credentials of its INVITE (RFC 3261 section 22.1).
        if *outgoing.request.method() == Method::Ack || !outgoing.authorization.is_empty() {
            return;
        }
        let (Ok(call_id), Some(remote)) = (
            outgoing.request.headers.required::<CallId>(),
            self.remote_end(path),
        ) else {
            return;
        };
        let Some(known) = self.known_challenges.of(&call_id, remote) else {
            return;
        };
        let credentials = outgoing.account.credentials.as_ref();
        if known.answer_ahead(&mut outgoing.request, credentials) {
            outgoing.authorization = known.clone();
        }
    }

    /// Reads what the servers say with a final response to a request that they let pass.
    pub(super) fn authentication_info_received(
        &mut self,
        key: &ClientKey,
        response: &Response,
    ) -> ServerProof {
        let Some(transaction) = self.clients.get_mut(key) else {
            return ServerProof::NotGiven;
        };
        let path = transaction.path;
        let outgoing = &mut transaction.outgoing;
        if outgoing.authorization.is_empty() || !response.status().is_success() {
            return ServerProof::NotGiven;
        }
        let credentials = outgoing.account.credentials.as_ref();
        let proof = outgoing
            .authorization
            .take_infos(response, &outgoing.request, credentials);
        if outgoing.authorization.has_next_nonce() {
            let outgoing = outgoing.clone();
            self.remember_challenges(&outgoing, path);
        }
        proof
    }

    fn remember_challenges(&mut self, outgoing: &Outgoing, path: Path) {
        if let (Ok(call_id), Some(remote)) = (
            outgoing.request.headers.required::<CallId>(),
            self.remote_end(path),
        ) {
            let authorization = outgoing.authorization.clone();
            self.known_challenges
                .remember(call_id, remote, authorization);
        }
    }

    fn forget_challenges(&mut self, outgoing: &Outgoing) {
        if let Ok(call_id) = outgoing.request.headers.required::<CallId>() {
            self.known_challenges.forget(&call_id);
        }
    }
}
