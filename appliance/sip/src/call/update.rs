//! UPDATE (RFC 3311): an offer, a new target or a refresh, within a dialog and without an ACK.
//!
//! ```text
//!  received ─┬─ an offer of ours, or one that we have not answered, is in its way ──► 491, 500
//!            ├─ session interval too short ──► 422
//!            ├─ without an offer ──► 200, target and session timer refreshed
//!            └─ with one ──► 200 with the answer, at once: nobody is asked; or 488
//!
//!  sent: the refresh of a session timer, where the far end has allowed it. A hold takes re-INVITE,
//!  as section 5.1 recommends.
//! ```

use std::time::Instant;

use bytes::Bytes;
use rand_core::Rng;

use super::early_media::{EarlyMedia, Standing};
use super::in_dialog::{gone_cause, means_gone};
use super::outgoing::session_description;
use super::session_timer::{Grant, TooShort};
use super::{CallState, Established, Reinvite};
use crate::endpoint::keys::ServerKey;
use crate::endpoint::{CallId, Endpoint, Event};
use crate::grammar::{
    ContentType, HeaderName, Headers, Method, Request, Response, StatusCode, Token,
};
use crate::offer_answer::CallMedia;

/// Whether the far end takes UPDATE: what its latest Allow says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpdateAllowed {
    No,
    Yes,
}

impl UpdateAllowed {
    /// `None` when the message does not say.
    pub(crate) fn of(headers: &Headers) -> Option<Self> {
        if !headers.contains(&HeaderName::Allow) {
            return None;
        }
        let allowed = headers
            .values::<Token>(&HeaderName::Allow)
            .filter_map(Result::ok)
            .any(|method| method.as_str() == Method::Update.as_str());
        Some(if allowed { Self::Yes } else { Self::No })
    }
}

impl Established {
    /// Takes note of what a message says about the far end's abilities.
    pub(super) fn heard_abilities(&mut self, headers: &Headers) {
        if let Some(update) = UpdateAllowed::of(headers) {
            self.update = update;
        }
    }

    /// What the session timer of a request gets.
    pub(super) fn grant_for(&mut self, headers: &Headers) -> Result<Option<Grant>, TooShort> {
        self.heard_abilities(headers);
        self.timer.grant(headers, self.update)
    }

    /// An UPDATE that refreshes the session and nothing else.
    pub(super) fn update_request(&mut self, allow: &str) -> Request {
        let mut request = self.dialog.request(Method::Update);
        request
            .headers
            .push(HeaderName::Allow, allow)
            .expect("plain text");
        self.timer.ask(&mut request.headers, self.update);
        request
    }
}

impl Endpoint {
    /// An UPDATE of the far end.
    pub(super) fn update_received(
        &mut self,
        now: Instant,
        id: CallId,
        key: &ServerKey,
        request: &Request,
    ) {
        match self.calls.get(&id).map(|call| &call.state) {
            Some(CallState::Established(_)) => self.update_of_standing(now, id, key, request),
            Some(CallState::Offered(_)) => self.update_of_offered(now, id, key, request),
            Some(CallState::Dialing(_)) => self.update_of_dialing(now, id, key, request),
            Some(CallState::Leaving(_)) | None => {
                self.respond_with(now, key, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
            }
        }
    }

    fn update_of_standing(&mut self, now: Instant, id: CallId, key: &ServerKey, request: &Request) {
        let mut rng = self.rng.clone();
        let Ok(established) = self.established_mut(id) else {
            return;
        };
        let tag = established.dialog.local_tag().to_owned();
        let offer = session_description(&request.headers, request.body());
        // Section 5.2. An answer that is still to come with an ACK counts too.
        let glare =
            matches!(established.reinvite, Reinvite::Sent(_)) || established.session.is_offering();
        if offer.is_some() && glare {
            return self.respond_with(now, key, StatusCode::REQUEST_PENDING);
        }
        let Ok(grant) = established.grant_for(&request.headers) else {
            return self.refuse_interval(now, key, &tag);
        };
        let answered = offer.map(|offer| established.session.answer_reoffer(&mut rng, offer));
        let answer = match answered.transpose() {
            Ok(answer) => answer,
            Err(error) => {
                return self.refuse_description(now, key, &error);
            }
        };
        established.timer.granted(now, grant);
        self.rng = rng;
        if let Some((_, path)) = self.server_request(key) {
            self.follow_far_end(id, path, &request.headers);
        }
        let Some(mut response) = self.dialog_response(id, key, StatusCode::OK, &tag) else {
            return;
        };
        if let Some(grant) = grant {
            grant.write(&mut response.headers);
        }
        let media = answer.map(|(body, media)| {
            response.set_body(&ContentType::sdp(), body);
            media
        });
        self.respond(now, key, &response);
        if let Some(media) = media {
            self.event(Event::MediaChanged { call: id, media });
        }
    }

    /// The caller may move its target before we answer, and may offer once early media is agreed
    /// reliably. Until then, its offer is the one in the INVITE.
    fn update_of_offered(&mut self, now: Instant, id: CallId, key: &ServerKey, request: &Request) {
        let mut rng = self.rng.clone();
        let Ok(offered) = self.offered_mut(id) else {
            return;
        };
        let tag = offered.local_tag();
        let answered = match (
            session_description(&request.headers, request.body()),
            &mut offered.progress.early,
        ) {
            (None, _) => None,
            (
                Some(offer),
                Some(EarlyMedia {
                    session,
                    standing: Standing::Acknowledged,
                }),
            ) => match session.answer_reoffer(&mut rng, offer) {
                Ok(answered) => Some(answered),
                Err(error) => {
                    return self.refuse_description(now, key, &error);
                }
            },
            (Some(_), Some(_) | None) => return self.respond_later(now, key),
        };
        offered.dialog.refresh_target(&request.headers);
        self.rng = rng;
        self.accept_early_update(now, id, key, &tag, answered);
    }

    /// Answers an UPDATE in an early dialog with 200.
    pub(super) fn accept_early_update(
        &mut self,
        now: Instant,
        id: CallId,
        key: &ServerKey,
        tag: &str,
        answered: Option<(Bytes, CallMedia)>,
    ) {
        let Some(mut response) = self.dialog_response(id, key, StatusCode::OK, tag) else {
            return;
        };
        let media = answered.map(|(body, media)| {
            response.set_body(&ContentType::sdp(), body);
            media
        });
        self.respond(now, key, &response);
        if let Some(media) = media {
            self.event(Event::EarlyMedia { call: id, media });
        }
    }

    /// An offer has not been answered yet: section 5.2 asks for 500 and a wait of 0 to 10 s.
    pub(super) fn respond_later(&mut self, now: Instant, key: &ServerKey) {
        let seconds = self.rng.next_u32() % 11;
        let tag = self.token();
        let status = StatusCode::SERVER_INTERNAL_ERROR;
        if let Some(mut response) = self.response_tagged(key, status, &tag) {
            response
                .headers
                .push(HeaderName::RetryAfter, &seconds.to_string())
                .expect("a number");
            self.respond(now, key, &response);
        }
    }

    /// A response to our UPDATE.
    pub(super) fn update_response(&mut self, now: Instant, id: CallId, response: &Response) {
        let status = response.status();
        if means_gone(status) {
            return self.hang_up_for(now, id, gone_cause(status));
        }
        let Ok(established) = self.established_mut(id) else {
            return;
        };
        if status.is_provisional() {
            return;
        }
        established.heard_abilities(&response.headers);
        if status.is_success() {
            established.dialog.refresh_target(&response.headers);
            established.timer.answered(now, &response.headers);
        } else {
            if status == StatusCode::METHOD_NOT_ALLOWED || status == StatusCode::NOT_IMPLEMENTED {
                established.update = UpdateAllowed::No;
            }
            self.refresh_refused(now, id, response);
        }
        self.heard_far_end(now, id);
    }
}
