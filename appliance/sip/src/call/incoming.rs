//! The called's side: an INVITE that rings, and what our user makes of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand_core::Rng;

use super::answer_wish::{AnswerMode, answer_wish};
use super::explanation::cancelled_cause;
use super::hang_up::ByeReason;
use super::outgoing::{flow_back, session_description};
use super::reliable::Progress;
use super::session_timer::SessionTimer;
use super::update::UpdateAllowed;
use super::{
    AckCarries, AwaitingAck, Call, CallState, Established, Leaving, MAX_CALLS, Offered, Reinvite,
    Role,
};
use crate::dialog::Dialog;
use crate::endpoint::extensions::SUPPORTED;
use crate::endpoint::keys::ServerKey;
use crate::endpoint::{
    Account, ActionError, Arrival, CallEndCause, CallId, CallSecurity, Endpoint, Event,
    IncomingRefusal, PeerTrust, RefusedWhy,
};
use crate::grammar::{
    CSeq, ContentType, Expires, HeaderName, Headers, Request, Response, StatusCode,
};
use crate::offer_answer::{CallMedia, LocalMedia, LocalPort, SdpError, Session, described_address};
use crate::transport::Path;

/// Ports that stand for the ones to come while an offer is only looked at: 9 is "discard".
fn not_yet_bound(address: IpAddr) -> LocalMedia {
    let port = Some(LocalPort { rtp: 9, rtcp: 9 });
    LocalMedia {
        address,
        audio: port,
        video: port,
        content: None,
    }
}

impl Endpoint {
    /// A trusted peer calls.
    pub(crate) fn invite_received(
        &mut self,
        now: Instant,
        key: ServerKey,
        arrival: Arrival,
        trust: PeerTrust,
        account: &Arc<Account>,
    ) {
        if arrival.request.headers.contains(&HeaderName::Replaces) {
            return self.replacing_invite_received(now, &key, &arrival, trust, account);
        }
        let (path, remote) = (arrival.path, arrival.remote);
        if !self.has_room_for_calls() {
            self.statistics.overloaded += 1;
            self.respond_with(now, &key, StatusCode::BUSY_HERE);
            return self.event(Event::Refused {
                remote,
                why: RefusedWhy::TooManyCalls,
            });
        }
        let tag = self.token();
        let Ok(dialog) = Dialog::of_called(&arrival.request, &tag) else {
            return self.respond_with(now, &key, StatusCode::BAD_REQUEST);
        };
        if SessionTimer::off()
            .grant(&arrival.request.headers, UpdateAllowed::No)
            .is_err()
        {
            return self.refuse_interval(now, &key, &tag);
        }
        let media = match self.look_at_offer(account, &arrival.request) {
            Ok(media) => media,
            Err(error) => {
                self.refuse_description(now, &key, &error);
                let why = IncomingRefusal::from(&error);
                return self.incoming_refused(account, &arrival.request, why);
            }
        };
        let headers = &arrival.request.headers;
        let (Ok(from), Ok(call_id)) = (headers.from(), headers.required()) else {
            return self.respond_with(now, &key, StatusCode::BAD_REQUEST);
        };
        let glare = self.glare(&account.name, from.uri(), &call_id);
        let wish = answer_wish(headers);
        let id = CallId(self.next_id());
        let signalling = self.signalling(path);
        let flow = flow_back(path, headers, &dialog);
        self.bind_server(&key, id);
        self.note_call(headers, id);
        let (limit, at_limit) = ring_limit(self.policy.ring_limit, &arrival.request);
        let progress = Progress::new(&arrival.request.headers, self.rng.next_u32());
        let offered = Offered {
            invite: key,
            progress,
            answer_mode: AnswerMode::Manual,
            request: arrival.request,
            dialog,
            until: now + limit,
            at_limit,
        };
        self.calls.insert(
            id,
            Call {
                account: account.name.clone(),
                signalling,
                flow,
                state: CallState::Offered(Box::new(offered)),
            },
        );
        let security = CallSecurity {
            signalling,
            media: media.as_ref().map(|media| media.security),
        };
        self.event(Event::Incoming {
            call: id,
            account: account.name.clone(),
            from,
            remote,
            trust,
            security,
            wish,
            glare,
        });
    }

    /// Whether one more call can be kept.
    pub(crate) fn has_room_for_calls(&self) -> bool {
        self.calls.len() < MAX_CALLS
    }

    /// What would be agreed. An offer that never can be is refused before anything rings.
    fn look_at_offer(
        &mut self,
        account: &Account,
        invite: &Request,
    ) -> Result<Option<CallMedia>, SdpError> {
        // A body that is none and may not be passed over was refused before.
        let Some(offer) = session_description(&invite.headers, invite.body()) else {
            return Ok(None);
        };
        let local = not_yet_bound(self.media_reach.address_for(described_address(offer)));
        Session::answer(&account.capabilities, &local, &mut self.rng, offer)
            .map(|(_, _, media)| Some(media))
    }

    /// Answers a call with the ports that are bound for it. Once there is early media, its ports
    /// stay; and while the caller has not acknowledged it, the answer waits for that.
    ///
    /// # Errors
    /// The call is unknown or not an unanswered incoming one; or its offer cannot be answered with
    /// these ports, and it is refused and over.
    pub fn answer(
        &mut self,
        now: Instant,
        call: CallId,
        local: LocalMedia,
    ) -> Result<(), ActionError> {
        let offered = self.offered_mut(call)?;
        if offered.progress.postpones_answer() {
            return Ok(());
        }
        if offered.progress.early.is_some() {
            self.answer_with_early_media(now, call);
            return Ok(());
        }
        let (key, request) = (offered.invite.clone(), offered.request.clone());
        match self.first_session(call, &request, &local) {
            Ok((session, body, media)) => {
                self.send_answer(now, call, session, Some(body), media);
                Ok(())
            }
            Err(ActionError::Media(error)) => {
                self.refuse_description(now, &key, &error);
                self.end_call(call, CallEndCause::from(&error));
                Err(ActionError::Media(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Answers a call like [`Self::answer`], without anybody having been asked: a caller who has said how
    /// it wishes to be answered hears that (RFC 5373 section 4).
    ///
    /// # Errors
    /// Those of [`Self::answer`].
    pub fn answer_unasked(
        &mut self,
        now: Instant,
        call: CallId,
        local: LocalMedia,
    ) -> Result<(), ActionError> {
        self.offered_mut(call)?.answer_mode = AnswerMode::Automatic;
        self.answer(now, call, local)
    }

    pub(super) fn send_answer(
        &mut self,
        now: Instant,
        call: CallId,
        session: Session,
        body: Option<Bytes>,
        media: Option<CallMedia>,
    ) {
        let Ok(offered) = self.offered(call) else {
            return;
        };
        let (key, tag, request) = (
            offered.invite.clone(),
            offered.local_tag(),
            offered.request.clone(),
        );
        let mode = offered.answer_mode;
        let Some(mut response) = self.dialog_response(call, &key, StatusCode::OK, &tag) else {
            return;
        };
        if let Some(body) = body {
            response.set_body(&ContentType::sdp(), body);
        }
        mode.write(&request.headers, &mut response.headers);
        let timer = self.grant_first(now, &request, &mut response);
        let Some((bytes, path)) = self.respond(now, &key, &response) else {
            return;
        };
        let sequence = request
            .headers
            .required::<CSeq>()
            .map_or(0, |sequence| sequence.number);
        let carries = if media.is_some() {
            AckCarries::Nothing
        } else {
            AckCarries::FirstAnswer
        };
        let awaiting = AwaitingAck::new(now, sequence, bytes, path, carries);
        self.establish_called(now, call, session, timer, awaiting, media);
    }

    /// Writes what the first 2xx of a call grants, and starts the timer.
    pub(super) fn grant_first(
        &mut self,
        now: Instant,
        invite: &Request,
        response: &mut Response,
    ) -> SessionTimer {
        let mut timer = SessionTimer::off();
        let update = UpdateAllowed::of(&invite.headers).unwrap_or(UpdateAllowed::No);
        // One that asks for too little has not rung.
        let grant = timer.grant(&invite.headers, update).ok().flatten();
        if let Some(grant) = grant {
            grant.write(&mut response.headers);
        }
        timer.granted(now, grant);
        timer
    }

    fn establish_called(
        &mut self,
        now: Instant,
        id: CallId,
        session: Session,
        timer: SessionTimer,
        awaiting: AwaitingAck,
        media: Option<CallMedia>,
    ) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let CallState::Offered(offered) = &call.state else {
            return;
        };
        let mut established = Established::new(now, Role::Called, offered.dialog.clone(), session);
        established.awaiting_ack = Some(awaiting);
        established.timer = timer;
        established.late_prack = offered.progress.unacknowledged();
        established.heard_abilities(&offered.request.headers);
        call.state = CallState::Established(Box::new(established));
        if let Some(media) = media {
            let security = CallSecurity {
                signalling: call.signalling,
                media: Some(media.security),
            };
            self.event(Event::Established {
                call: id,
                media,
                security,
            });
        }
    }

    /// Refuses a call.
    ///
    /// # Errors
    /// The call is unknown, is not an unanswered incoming one, or the status is no refusal.
    pub fn reject(
        &mut self,
        now: Instant,
        call: CallId,
        status: StatusCode,
    ) -> Result<(), ActionError> {
        if status.code() < 300 {
            return Err(ActionError::NotARefusal);
        }
        self.refuse_offered(now, call, status)?;
        self.end_call(call, CallEndCause::Local);
        Ok(())
    }

    pub(super) fn refuse_offered(
        &mut self,
        now: Instant,
        call: CallId,
        status: StatusCode,
    ) -> Result<(), ActionError> {
        let offered = self.offered(call)?;
        let (key, tag) = (offered.invite.clone(), offered.local_tag());
        if let Some(response) = self.dialog_response(call, &key, status, &tag) {
            self.respond(now, &key, &response);
        }
        Ok(())
    }

    /// Our tag in what we say to the INVITE that has called us.
    pub(crate) fn called_tag(&self, call: CallId) -> Option<String> {
        let dialog = match &self.calls.get(&call)?.state {
            CallState::Offered(offered) => &offered.dialog,
            CallState::Established(established)
            | CallState::Leaving(Leaving::AwaitingAck(established)) => &established.dialog,
            CallState::Leaving(Leaving::HangingUp { dialog, .. }) => dialog,
            CallState::Dialing(_) | CallState::Leaving(Leaving::Cancelling { .. }) => return None,
        };
        Some(dialog.local_tag().to_owned())
    }

    /// The caller has sent CANCEL before we answered, or BYE.
    pub(crate) fn call_cancelled(&mut self, now: Instant, call: CallId, cancel: &Headers) {
        if self
            .refuse_offered(now, call, StatusCode::REQUEST_TERMINATED)
            .is_ok()
        {
            self.explain_end(call, cancel);
            self.end_call(call, cancelled_cause(cancel));
        }
    }

    /// The connection of an unanswered call has broken: no answer can be sent.
    pub(crate) fn call_lost_its_caller(&mut self, call: CallId) {
        if self.offered(call).is_ok() {
            self.end_call(call, CallEndCause::Transport);
        }
    }

    pub(super) fn offered(&self, call: CallId) -> Result<&Offered, ActionError> {
        match &self.calls.get(&call).ok_or(ActionError::UnknownCall)?.state {
            CallState::Offered(offered) => Ok(offered),
            CallState::Dialing(_) | CallState::Established(_) => Err(ActionError::WrongState),
            CallState::Leaving(_) => Err(ActionError::UnknownCall),
        }
    }

    /// A response that makes or keeps a dialog: with our tag, Contact and the recorded route
    /// (section 12.1.1).
    pub(super) fn dialog_response(
        &mut self,
        call: CallId,
        key: &ServerKey,
        status: StatusCode,
        tag: &str,
    ) -> Option<Response> {
        let account = self.account(&self.calls.get(&call)?.account).ok()?;
        let (request, path) = self.server_request(key)?;
        let mut response = self.response_tagged(key, status, tag)?;
        if status.code() < 300 {
            response
                .headers
                .copy_from(&request.headers, &HeaderName::RecordRoute);
            if let Some(contact) = self.contact(&account, path) {
                response.headers.push_typed(&contact);
            }
            response
                .headers
                .push(HeaderName::Supported, SUPPORTED)
                .expect("plain text");
        }
        Some(response)
    }

    /// Time has passed for one call.
    pub(crate) fn call_timeout(&mut self, now: Instant, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        match &mut call.state {
            CallState::Dialing(_) => self.hang_up_for(now, id, CallEndCause::NotAnswered),
            CallState::Offered(offered) if offered.until > now => {
                self.progress_due(now, id);
            }
            CallState::Offered(offered) => {
                let status = offered.at_limit;
                if self.refuse_offered(now, id, status).is_ok() {
                    self.end_call(id, CallEndCause::NotAnswered);
                }
            }
            CallState::Established(established) => {
                let retry = match established.reinvite {
                    Reinvite::Waiting { until } if until <= now => {
                        established.reinvite = Reinvite::Idle;
                        true
                    }
                    Reinvite::Waiting { .. } | Reinvite::Idle | Reinvite::Sent(_) => false,
                };
                let due = established.ack_due(now);
                match due {
                    AckDue::Nothing => {}
                    AckDue::Repeat(bytes, path) => self.send_repeated(now, path, bytes),
                    AckDue::GiveUp => return self.ack_never_came(now, id),
                }
                if retry {
                    self.drive_reinvite(now, id);
                }
                self.reinvite_due(now, id);
                if self.session_timer_due(now, id) {
                    self.ask_when_due(now, id);
                }
            }
            CallState::Leaving(Leaving::AwaitingAck(established)) => {
                match established.ack_due(now) {
                    AckDue::Nothing => {}
                    AckDue::Repeat(bytes, path) => self.send_repeated(now, path, bytes),
                    AckDue::GiveUp => self.bye_after_ack(now, id),
                }
            }
            CallState::Leaving(Leaving::Cancelling { invite, .. }) => {
                let invite = invite.clone();
                self.clients.remove(&invite);
                self.calls.remove(&id);
            }
            CallState::Leaving(Leaving::HangingUp { .. }) => {}
        }
    }

    /// The peer has our 2xx or it has not: either way the session ends (section 13.3.1.4).
    fn ack_never_came(&mut self, now: Instant, id: CallId) {
        if let Some(Call {
            state: CallState::Established(established),
            ..
        }) = self.calls.get_mut(&id)
        {
            established.awaiting_ack = None;
        }
        self.hang_up_saying(now, id, CallEndCause::Timeout, ByeReason::AckMissing);
    }

    /// What kept BYE waiting is over.
    pub(super) fn bye_after_ack(&mut self, now: Instant, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if let CallState::Leaving(Leaving::AwaitingAck(established)) = &call.state {
            let leaving = Leaving::hanging_up(established.dialog.clone());
            call.state = CallState::Leaving(leaving);
            self.send_bye(now, id);
        }
    }
}

/// How long a call may ring, and the status that ends it then: by our policy, or by the Expires of the INVITE when
/// that is sooner.
fn ring_limit(policy: Duration, invite: &Request) -> (Duration, StatusCode) {
    let expires = invite.headers.typed::<Expires>().ok().flatten();
    match expires.map(|Expires(seconds)| Duration::from_secs(seconds.into())) {
        Some(wanted) if wanted < policy => (wanted, StatusCode::REQUEST_TERMINATED),
        Some(_) | None => (policy, StatusCode::TEMPORARILY_UNAVAILABLE),
    }
}

/// What the wait for an ACK asks for.
enum AckDue {
    Nothing,
    Repeat(bytes::Bytes, Path),
    GiveUp,
}

impl Established {
    fn ack_due(&mut self, now: Instant) -> AckDue {
        match &mut self.awaiting_ack {
            Some(awaiting) if awaiting.give_up <= now => AckDue::GiveUp,
            Some(awaiting) if awaiting.retransmission.is_due(now) => {
                awaiting.retransmission.advance(now);
                AckDue::Repeat(awaiting.response.clone(), awaiting.path)
            }
            Some(_) | None => AckDue::Nothing,
        }
    }
}

impl Offered {
    pub(super) fn local_tag(&self) -> String {
        self.dialog.local_tag().to_owned()
    }
}
