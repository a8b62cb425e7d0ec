//! Within a standing call: re-INVITE of both sides, hold and resume, ACK, BYE, INFO, OPTIONS.
//!
//! ```text
//!   Idle ── wanted direction differs ──► Sent ── 2xx: told, Idle
//!    ▲                                     │ refused: told, the old media stands, Idle
//!    └───── time ───── Waiting ◄── 491 ────┘ 408, 481, no answer: BYE
//! ```

use std::time::Instant;

use bytes::Bytes;
use rand_core::Rng;
use room::codec::Direction;

use super::outgoing::session_description;
use super::session_timer::Grant;
use super::{
    AckCarries, AwaitingAck, CallState, Established, FloorRenewal, Leaving, Reinvite, ReinviteFor,
    glare_wait,
};
use crate::endpoint::keys::{ClientKey, ServerKey};
use crate::endpoint::{
    ActionError, Arrival, CallEndCause, CallId, CallSecurity, Endpoint, Event, Failure, InfoBody,
};
use crate::grammar::{CSeq, ContentType, HeaderName, Method, Request, Response, StatusCode};
use crate::transaction::T1;

/// INFO bodies that our user understands.
const INFO_TYPES: [(&str, &str); 3] = [
    ("application", "dtmf-relay"),
    ("application", "dtmf"),
    ("application", "media_control+xml"),
];

impl Endpoint {
    /// Holds a call: we go on sending at most, and play nothing. Repeated, it changes nothing.
    ///
    /// # Errors
    /// The call is unknown or not established.
    pub fn hold(&mut self, now: Instant, call: CallId) -> Result<(), ActionError> {
        self.want_direction(now, call, Direction::SendOnly)
    }

    /// Ends a hold of ours. Repeated, it changes nothing.
    ///
    /// # Errors
    /// The call is unknown or not established.
    pub fn resume(&mut self, now: Instant, call: CallId) -> Result<(), ActionError> {
        self.want_direction(now, call, Direction::SendRecv)
    }

    fn want_direction(
        &mut self,
        now: Instant,
        id: CallId,
        wanted: Direction,
    ) -> Result<(), ActionError> {
        let established = self.established_mut(id)?;
        let is_so = established.is_quiet() && established.session.direction() == wanted;
        established.wanted = wanted;
        if is_so {
            self.event(hold_outcome(id, wanted, true));
        } else {
            self.drive_reinvite(now, id);
        }
        Ok(())
    }

    /// Sends an INFO request within a call.
    ///
    /// # Errors
    /// The call is unknown or not established, or the type does not fit into a header field.
    pub fn send_info(
        &mut self,
        now: Instant,
        call: CallId,
        content_type: &ContentType,
        body: Bytes,
    ) -> Result<(), ActionError> {
        let mut request = self.established_mut(call)?.dialog.request(Method::Info);
        request.set_body(content_type, body);
        self.send_in_dialog(now, call, request);
        Ok(())
    }

    pub(super) fn established_mut(&mut self, id: CallId) -> Result<&mut Established, ActionError> {
        match &mut self
            .calls
            .get_mut(&id)
            .ok_or(ActionError::UnknownCall)?
            .state
        {
            CallState::Established(established) => Ok(established),
            CallState::Dialing(_) | CallState::Offered(_) => Err(ActionError::WrongState),
            CallState::Leaving(_) => Err(ActionError::UnknownCall),
        }
    }

    /// Sends a re-INVITE when the wanted direction is not the agreed one, or the far end does not know
    /// where we are, and nothing is in its way.
    pub(super) fn drive_reinvite(&mut self, now: Instant, id: CallId) {
        let allow = self.allow();
        let Ok(established) = self.established_mut(id) else {
            return;
        };
        let wanted = established.wanted;
        let purpose = if established.session.direction() != wanted {
            ReinviteFor::Direction(wanted)
        } else if established.has_moved() {
            ReinviteFor::Move
        } else if established.lacks_floor_connection() {
            ReinviteFor::FloorConnection
        } else {
            return;
        };
        if !established.is_quiet() {
            return;
        }
        let Ok(body) = established.session.reoffer(wanted) else {
            return;
        };
        established.reinvite = Reinvite::Sent(purpose);
        established.reinvite_goes_out(now);
        self.acknowledge_unheard(now, id);
        let Ok(established) = self.established_mut(id) else {
            return;
        };
        let mut request = established.reinvite_request(allow);
        request.set_body(&ContentType::sdp(), body);
        self.send_in_dialog(now, id, request);
    }

    pub(super) fn reinvite_response(
        &mut self,
        now: Instant,
        id: CallId,
        key: &ClientKey,
        response: &Response,
    ) {
        let status = response.status();
        let Ok(established) = self.established_mut(id) else {
            return;
        };
        let Reinvite::Sent(purpose) = established.reinvite else {
            return;
        };
        if status.is_provisional() {
            return self.heard_far_end(now, id);
        }
        established.reinvite_answers.awaited = None;
        if status.is_success() {
            return self.reinvite_accepted(now, id, key, purpose, response);
        }
        established.session.withdraw_offer();
        if means_gone(status) {
            self.hang_up_for(now, id, gone_cause(status));
        } else if status == StatusCode::REQUEST_PENDING && purpose != ReinviteFor::Refresh {
            let random = (self.rng.next_u32() & 0xffff) as u16;
            if let Ok(established) = self.established_mut(id) {
                let until = now + glare_wait(established.role, random);
                established.reinvite = Reinvite::Waiting { until };
            }
        } else if status == StatusCode::SESSION_INTERVAL_TOO_SMALL
            && purpose != ReinviteFor::Refresh
            && established.timer.lengthen(&response.headers)
        {
            established.reinvite = Reinvite::Waiting { until: now + T1 };
        } else if purpose == ReinviteFor::Move && passes(status) {
            self.move_undelivered(now, id);
        } else {
            self.refresh_refused(now, id, response);
            self.reinvite_refused(now, id, purpose);
        }
    }

    fn reinvite_accepted(
        &mut self,
        now: Instant,
        id: CallId,
        key: &ClientKey,
        purpose: ReinviteFor,
        response: &Response,
    ) {
        self.acknowledge_reinvite(now, key, response);
        let Ok(established) = self.established_mut(id) else {
            return;
        };
        established.dialog.refresh_target(&response.headers);
        established.reinvite = Reinvite::Idle;
        established.moves_undelivered = 0;
        established.reinvite_answers.lost = None;
        established.heard_abilities(&response.headers);
        established.timer.answered(now, &response.headers);
        let before = established.session.media().cloned();
        let answer = session_description(&response.headers, response.body()).unwrap_or_default();
        match (established.session.accept_answer(answer), purpose) {
            (Ok(media), ReinviteFor::Direction(direction)) => {
                self.event(Event::MediaChanged { call: id, media });
                self.event(hold_outcome(id, direction, true));
            }
            (
                Ok(media),
                ReinviteFor::Refresh | ReinviteFor::Move | ReinviteFor::FloorConnection,
            ) => {
                if before.as_ref() != Some(&media) {
                    self.event(Event::MediaChanged { call: id, media });
                }
            }
            (Err(error), _) => {
                established.session.withdraw_offer();
                self.note_description(&error);
                self.reinvite_refused(now, id, purpose);
            }
        }
        self.heard_far_end(now, id);
        self.drive_reinvite(now, id);
    }

    fn reinvite_refused(&mut self, now: Instant, id: CallId, purpose: ReinviteFor) {
        let Ok(established) = self.established_mut(id) else {
            return;
        };
        established.reinvite = Reinvite::Idle;
        match purpose {
            ReinviteFor::Direction(direction) => {
                established.wanted = established.session.direction();
                self.event(hold_outcome(id, direction, false));
                // It may have kept the word of a move from the far end.
                self.drive_reinvite(now, id);
            }
            // What our user has wanted meanwhile.
            ReinviteFor::Refresh => self.drive_reinvite(now, id),
            // It does not want to know: asked again, it would say the same.
            ReinviteFor::Move => {
                established.refuse_place();
                self.drive_reinvite(now, id);
            }
            ReinviteFor::FloorConnection => {
                established.floor_renewal = FloorRenewal::None;
                self.floor_renewal_refused(now, id);
                self.drive_reinvite(now, id);
            }
        }
    }

    /// Our re-INVITE was cancelled, and nothing was said to it any more.
    pub(super) fn reinvite_abandoned(&mut self, now: Instant, id: CallId) {
        let Ok(established) = self.established_mut(id) else {
            return;
        };
        let Reinvite::Sent(purpose) = established.reinvite else {
            return;
        };
        established.session.withdraw_offer();
        self.refresh_undelivered(now, id);
        self.reinvite_refused(now, id, purpose);
    }

    /// Our re-INVITE got no final response.
    pub(super) fn reinvite_failed(&mut self, now: Instant, id: CallId, failure: Failure) {
        let Ok(established) = self.established_mut(id) else {
            return;
        };
        let Reinvite::Sent(purpose) = established.reinvite else {
            return;
        };
        established.session.withdraw_offer();
        match failure {
            Failure::Timeout => self.hang_up_for(now, id, CallEndCause::Timeout),
            // The media may flow all the same: the call goes on as it was.
            Failure::Transport | Failure::Certificate => {
                let answers = &mut established.reinvite_answers;
                answers.lost = answers.awaited.take().or(answers.lost);
                self.refresh_undelivered(now, id);
                if purpose == ReinviteFor::Move {
                    return self.move_undelivered(now, id);
                }
                self.reinvite_refused(now, id, purpose);
            }
        }
    }

    /// A response to a request other than INVITE and BYE.
    pub(super) fn in_dialog_response(&mut self, now: Instant, id: CallId, response: &Response) {
        if means_gone(response.status()) {
            self.hang_up_for(now, id, gone_cause(response.status()));
        } else if response.status().is_final() {
            self.heard_far_end(now, id);
        }
    }

    /// What a final answer to INFO means for who has sent it.
    pub(super) fn info_answered(&mut self, id: CallId, key: &ClientKey, response: &Response) {
        let status = response.status();
        if key.method != Method::Info.as_str()
            || !status.is_final()
            || status.is_success()
            || means_gone(status)
        {
            return;
        }
        let Some(transaction) = self.clients.get(key) else {
            return;
        };
        let content_type = transaction.outgoing.request.headers.typed::<ContentType>();
        if let Ok(Some(content_type)) = content_type {
            let whole = content_type.to_string().to_ascii_lowercase();
            let content_type = whole
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned();
            self.event(Event::InfoRefused {
                call: id,
                content_type,
            });
        }
    }

    /// A request of the far end within a call. Its transaction is open.
    pub(crate) fn call_request(
        &mut self,
        now: Instant,
        id: CallId,
        key: &ServerKey,
        arrival: &Arrival,
    ) {
        let request = &arrival.request;
        let Ok(CSeq { number, .. }) = request.headers.required::<CSeq>() else {
            return self.respond_with(now, key, StatusCode::BAD_REQUEST);
        };
        let from = request.headers.from();
        let remote_tag = from.as_ref().ok().and_then(|from| from.tag());
        let in_order = self
            .calls
            .get_mut(&id)
            .and_then(|call| call.dialog_with(remote_tag))
            .is_some_and(|dialog| dialog.accept_sequence(number));
        if !in_order {
            return self.respond_with(now, key, StatusCode::SERVER_INTERNAL_ERROR);
        }
        self.heard_far_end(now, id);
        match request.method() {
            Method::Invite => self.reinvite_received(now, id, key, number, request),
            Method::Bye => self.bye_received(now, id, key, request),
            Method::Info => self.info_received(now, id, key, request),
            Method::Update => self.update_received(now, id, key, request),
            Method::Prack => self.prack_received(now, id, key, request),
            Method::Refer => self.refer_received(now, id, key, number, request),
            Method::Ack
            | Method::Cancel
            | Method::Options
            | Method::Register
            | Method::Subscribe
            | Method::Notify
            | Method::Message
            | Method::Publish
            | Method::Other(_) => self.respond_with(now, key, StatusCode::OK),
        }
    }

    fn bye_received(&mut self, now: Instant, id: CallId, key: &ServerKey, request: &Request) {
        self.respond_with(now, key, StatusCode::OK);
        match self.calls.get(&id).map(|call| &call.state) {
            // A caller may give up an early dialog by BYE too (section 15.1.2).
            Some(CallState::Offered(_)) => self.call_cancelled(now, id, &request.headers),
            Some(CallState::Established(_)) => {
                self.drop_waiting(&crate::endpoint::User::Call(id));
                self.abandon_invites(now, id);
                self.explain_end(id, &request.headers);
                self.end_call(id, CallEndCause::RemoteHangUp);
            }
            // Both hung up at once. Our BYE is answered 481 or 200, and nobody waits for it.
            Some(CallState::Leaving(Leaving::AwaitingAck(_))) => {
                self.calls.remove(&id);
            }
            Some(CallState::Leaving(_) | CallState::Dialing(_)) | None => {}
        }
    }

    fn info_received(&mut self, now: Instant, id: CallId, key: &ServerKey, request: &Request) {
        if request.body().is_empty() {
            return self.respond_with(now, key, StatusCode::OK);
        }
        let content_type = request.headers.typed::<ContentType>().ok().flatten();
        let known = INFO_TYPES.into_iter().find(|(media, subtype)| {
            content_type
                .as_ref()
                .is_some_and(|content_type| content_type.is(media, subtype))
        });
        let Some((media, subtype)) = known else {
            let known: Vec<String> = INFO_TYPES
                .iter()
                .map(|(media, subtype)| format!("{media}/{subtype}"))
                .collect();
            return self.respond_unsupported(now, key, HeaderName::Accept, &known.join(", "));
        };
        self.respond_with(now, key, StatusCode::OK);
        if self.established_mut(id).is_ok() {
            let content_type = format!("{media}/{subtype}");
            self.event(Event::Info {
                call: id,
                content_type,
                body: InfoBody::new(request.body().clone()),
            });
        }
    }

    fn reinvite_received(
        &mut self,
        now: Instant,
        id: CallId,
        key: &ServerKey,
        sequence: u32,
        request: &Request,
    ) {
        let is_ringing = matches!(
            self.calls.get(&id).map(|call| &call.state),
            Some(CallState::Offered(_))
        );
        if is_ringing {
            // A second INVITE of a dialog before the first has its final response (section 14.2).
            return self.respond_later(now, key);
        }
        let Ok(established) = self.established_mut(id) else {
            return self.respond_with(now, key, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
        };
        // Section 14.2. An ACK that is still to come counts too: its INVITE's offer may wait for it.
        let glare = matches!(established.reinvite, Reinvite::Sent(_))
            || established.awaiting_ack.is_some()
            || established.session.is_offering();
        if glare {
            return self.respond_with(now, key, StatusCode::REQUEST_PENDING);
        }
        let Ok(grant) = established.grant_for(&request.headers) else {
            let tag = established.dialog.local_tag().to_owned();
            return self.refuse_interval(now, key, &tag);
        };
        let accepted = Accepted { sequence, grant };
        match session_description(&request.headers, request.body()) {
            Some(offer) => self.answer_reinvite(now, id, key, accepted, offer),
            // A body that is no description and may not be passed over was refused before.
            None => self.offer_in_response(now, id, key, accepted),
        }
    }

    fn answer_reinvite(
        &mut self,
        now: Instant,
        id: CallId,
        key: &ServerKey,
        accepted: Accepted,
        offer: &[u8],
    ) {
        let mut rng = self.rng.clone();
        let Ok(established) = self.established_mut(id) else {
            return;
        };
        let answered = established.session.answer_reoffer(&mut rng, offer);
        self.rng = rng;
        match answered {
            Ok((body, media)) => {
                self.accept_reinvite(now, id, key, accepted, body, AckCarries::Nothing);
                self.event(Event::MediaChanged { call: id, media });
            }
            Err(error) => {
                self.refuse_description(now, key, &error);
            }
        }
    }

    /// A re-INVITE without an offer asks for ours; the answer comes with the ACK (section 14.2).
    fn offer_in_response(&mut self, now: Instant, id: CallId, key: &ServerKey, accepted: Accepted) {
        let Ok(established) = self.established_mut(id) else {
            return;
        };
        let direction = established.session.direction();
        match established.session.reoffer(direction) {
            Ok(body) => {
                self.accept_reinvite(now, id, key, accepted, body, AckCarries::LaterAnswer);
            }
            Err(_) => self.respond_with(now, key, StatusCode::REQUEST_PENDING),
        }
    }

    fn accept_reinvite(
        &mut self,
        now: Instant,
        id: CallId,
        key: &ServerKey,
        accepted: Accepted,
        body: Bytes,
        carries: AckCarries,
    ) {
        let Ok(established) = self.established_mut(id) else {
            return;
        };
        let tag = established.dialog.local_tag().to_owned();
        let Some(mut response) = self.dialog_response(id, key, StatusCode::OK, &tag) else {
            return;
        };
        response.set_body(&ContentType::sdp(), body);
        let Accepted { sequence, grant } = accepted;
        if let Some(grant) = grant {
            grant.write(&mut response.headers);
        }
        let Some((bytes, path)) = self.respond(now, key, &response) else {
            return;
        };
        // A re-INVITE that is refused moves no target (RFC 6141 section 4.2).
        let request = self.server_request(key).map(|(request, _)| request.clone());
        if let Some(request) = request {
            self.follow_far_end(id, path, &request.headers);
        }
        if let Ok(established) = self.established_mut(id) {
            established.awaiting_ack = Some(AwaitingAck::new(now, sequence, bytes, path, carries));
            established.timer.granted(now, grant);
        }
    }

    /// The ACK of a 2xx of ours.
    pub(crate) fn call_ack(&mut self, now: Instant, id: CallId, ack: &Request) {
        let Ok(CSeq { number, .. }) = ack.headers.required::<CSeq>() else {
            return;
        };
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        match &mut call.state {
            CallState::Established(established) => {
                let Some(awaiting) = established.take_awaited(number) else {
                    return;
                };
                self.take_ack_body(now, id, awaiting.carries, ack);
                self.drive_reinvite(now, id);
            }
            CallState::Leaving(Leaving::AwaitingAck(established)) => {
                if established.take_awaited(number).is_some() {
                    self.bye_after_ack(now, id);
                }
            }
            CallState::Dialing(_) | CallState::Offered(_) | CallState::Leaving(_) => {}
        }
    }

    fn take_ack_body(&mut self, now: Instant, id: CallId, carries: AckCarries, ack: &Request) {
        if carries == AckCarries::Nothing {
            return;
        }
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let signalling = call.signalling;
        let CallState::Established(established) = &mut call.state else {
            return;
        };
        let answer = session_description(&ack.headers, ack.body()).unwrap_or_default();
        match (established.session.accept_answer(answer), carries) {
            (Ok(media), AckCarries::FirstAnswer) => {
                let security = CallSecurity {
                    signalling,
                    media: Some(media.security),
                };
                self.event(Event::Established {
                    call: id,
                    media,
                    security,
                });
            }
            (Ok(media), AckCarries::LaterAnswer | AckCarries::Nothing) => {
                self.event(Event::MediaChanged { call: id, media });
            }
            (Err(error), AckCarries::FirstAnswer) => {
                self.note_description(&error);
                self.hang_up_for(now, id, CallEndCause::from(&error));
            }
            (Err(error), AckCarries::LaterAnswer | AckCarries::Nothing) => {
                established.session.withdraw_offer();
                self.note_description(&error);
            }
        }
    }
}

/// A re-INVITE that is accepted: its sequence number, and what its session timer gets.
#[derive(Clone, Copy)]
struct Accepted {
    sequence: u32,
    grant: Option<Grant>,
}

impl Established {
    fn take_awaited(&mut self, sequence: u32) -> Option<AwaitingAck> {
        match &self.awaiting_ack {
            Some(awaiting) if awaiting.sequence == sequence => self.awaiting_ack.take(),
            Some(_) | None => None,
        }
    }
}

/// Whether a refusal says more of the moment than of what was asked for.
fn passes(status: StatusCode) -> bool {
    status == StatusCode::TEMPORARILY_UNAVAILABLE || (500..600).contains(&status.code())
}

/// Responses that mean that the far end has no such dialog any more (section 12.2.1.2).
pub(super) fn means_gone(status: StatusCode) -> bool {
    status == StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST
        || status == StatusCode::REQUEST_TIMEOUT
}

pub(super) fn gone_cause(status: StatusCode) -> CallEndCause {
    if status == StatusCode::REQUEST_TIMEOUT {
        CallEndCause::Timeout
    } else {
        CallEndCause::Forgotten
    }
}

fn hold_outcome(call: CallId, direction: Direction, succeeded: bool) -> Event {
    match (direction, succeeded) {
        (Direction::SendRecv, true) => Event::ResumeSucceeded { call },
        (Direction::SendRecv, false) => Event::ResumeFailed { call },
        (Direction::SendOnly | Direction::RecvOnly | Direction::Inactive, true) => {
            Event::HoldSucceeded { call }
        }
        (Direction::SendOnly | Direction::RecvOnly | Direction::Inactive, false) => {
            Event::HoldFailed { call }
        }
    }
}
