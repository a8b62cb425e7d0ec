//! The caller's side: INVITE, its responses, CANCEL and forks.

use std::time::Instant;

use bytes::Bytes;

use super::glare::Placed;
use super::redirect::Redirects;
use super::replaces::{IfNotReplaced, Replacing};
use super::session_timer::SessionTimer;
use super::success_ack::{AckWay, is_within_dialog};
use super::update::UpdateAllowed;
use super::{
    Call, CallState, Cancelled, Dialing, Established, Leaving, MAX_CALLS, RingingTold, Role,
};
use crate::dialog::{Dialog, MAX_FORWARDS};
use crate::endpoint::extensions::{REPLACES, SUPPORTED};
use crate::endpoint::keys::ClientKey;
use crate::endpoint::{
    Account, AccountName, ActionError, CallEndCause, CallId, CallSecurity, Endpoint, Event,
    Failure, Outgoing, User,
};
use crate::grammar::{
    CSeq, ContentType, HeaderName, Headers, Method, NameAddr, Request, Response, StatusCode, Uri,
    Via,
};
use crate::offer_answer::{LocalMedia, Session};
use crate::transaction::T1_64;
use crate::transport::{FlowId, Path};

impl Endpoint {
    /// Calls `target` from an account, offering every medium that has ports.
    ///
    /// # Errors
    /// The account is unknown, the target cannot be called, or there are too many calls.
    pub fn invite(
        &mut self,
        now: Instant,
        account: &AccountName,
        target: &Uri,
        local: LocalMedia,
    ) -> Result<CallId, ActionError> {
        self.place(now, account, target, local, None)
    }

    pub(super) fn place(
        &mut self,
        now: Instant,
        account: &AccountName,
        target: &Uri,
        local: LocalMedia,
        replacing: Option<Replacing<'_>>,
    ) -> Result<CallId, ActionError> {
        let account = self.account(account)?;
        let Uri::Sip(target) = target else {
            return Err(ActionError::UnsupportedScheme);
        };
        if self.calls.len() >= MAX_CALLS {
            return Err(ActionError::TooManyCalls);
        }
        let (offer, body) = Session::offer(&account.capabilities, &local, &mut self.rng);
        let first_hop = self.first_hop(now, &account, &[]);
        let uri = target.clone().without_headers().into();
        let known_as = replacing.and_then(|replacing| replacing.known_as);
        let from = known_as.unwrap_or(&account.address);
        let mut request = self.invite_request(&account, from, uri, body, &first_hop.routes)?;
        if let Some(replacing) = replacing {
            request.headers.push_typed(replacing.dialog);
            request.headers.push(HeaderName::Require, REPLACES)?;
        }
        let target = target.clone();
        let call_id = request.headers.required().expect("we have written it");
        let redirects = Redirects::new(request.clone(), target.clone(), account.redirects);
        let call = CallId(self.next_id());
        let dialing = Dialing {
            invite: None,
            placed: Placed { target, call_id },
            offer,
            given_address: local.address,
            early: Vec::new(),
            ringing: RingingTold::No,
            sequence: 0,
            redirects,
            proxies_tried: vec![first_hop.reg_id],
            if_not_replaced: replacing.map_or(IfNotReplaced::GiveUp, |it| it.otherwise),
            timer: SessionTimer::off(),
            until: now + self.dial_limit,
        };
        self.calls.insert(
            call,
            Call {
                account: account.name.clone(),
                signalling: account.transport,
                flow: None,
                state: CallState::Dialing(Box::new(dialing)),
            },
        );
        let mut outgoing = Outgoing::new(request, account, User::Call(call));
        outgoing.flow = first_hop.flow;
        self.dispatch(now, outgoing);
        Ok(call)
    }

    fn invite_request(
        &mut self,
        account: &Account,
        from: &Uri,
        target: Uri,
        body: Bytes,
        routes: &[NameAddr],
    ) -> Result<Request, ActionError> {
        let mut from = NameAddr::new(from.clone());
        if let Some(name) = &account.display_name {
            from = from.with_display_name(name)?;
        }
        let from = from.with_tag(&self.token())?;
        let allow = self.allow();
        let mut request = Request::new(Method::Invite, target.clone());
        let headers = &mut request.headers;
        headers.push_typed(&MAX_FORWARDS);
        headers.push_value(HeaderName::From, &from);
        headers.push_value(HeaderName::To, &NameAddr::new(target));
        let call_id = self.new_call_id();
        headers.push_typed(&call_id);
        headers.push_typed(&CSeq {
            number: 1,
            method: Method::Invite,
        });
        for route in routes {
            headers.push_value(HeaderName::Route, route);
        }
        headers.push(HeaderName::Allow, allow)?;
        // Whether the far end takes UPDATE is not known; most that know session timers do.
        headers.push(HeaderName::Supported, SUPPORTED)?;
        SessionTimer::off().write_wish(headers, UpdateAllowed::Yes);
        request.set_body(&ContentType::sdp(), body);
        Ok(request)
    }

    /// An INVITE of a call has been sent over `path`.
    pub(crate) fn invite_sent(&mut self, call: CallId, key: ClientKey, path: Path) {
        let signalling = self.signalling(path);
        let sequence = self.clients.get(&key).and_then(|transaction| {
            let request = &transaction.outgoing.request;
            request.headers.required::<CSeq>().ok()
        });
        let Some(call) = self.calls.get_mut(&call) else {
            return;
        };
        call.signalling = signalling;
        match &mut call.state {
            CallState::Dialing(dialing) => {
                dialing.sequence = sequence.map_or(0, |sequence| sequence.number);
                dialing.invite = Some(key);
                call.flow = flow_of(path);
            }
            CallState::Leaving(Leaving::Cancelling { invite, .. }) => *invite = key,
            CallState::Established(established) => {
                established.reinvite_answers.awaited = sequence.map(|sequence| sequence.number);
            }
            CallState::Offered(_)
            | CallState::Leaving(Leaving::AwaitingAck(_) | Leaving::HangingUp { .. }) => {}
        }
    }

    /// Whether a challenged request still makes sense.
    pub(crate) fn may_be_sent_again(&self, call: CallId, method: &Method) -> bool {
        match self.calls.get(&call).map(|call| &call.state) {
            Some(CallState::Leaving(_)) => *method != Method::Invite,
            Some(CallState::Dialing(_) | CallState::Offered(_) | CallState::Established(_)) => true,
            None => false,
        }
    }

    /// The sequence number of a request of a call that is sent again; `number` was its last.
    pub(crate) fn call_sequence_after(&mut self, id: CallId, number: u32) -> u32 {
        let Some(call) = self.calls.get_mut(&id) else {
            return number.saturating_add(1);
        };
        if let CallState::Dialing(dialing) = &call.state {
            let invite = dialing.invite.clone();
            let next = invite.and_then(|invite| self.next_fork_sequence(&invite));
            return next.unwrap_or(0).max(number.saturating_add(1));
        }
        call.dialog_mut()
            .map_or(number.saturating_add(1), Dialog::next_sequence)
    }

    /// A response to a request of a call.
    pub(crate) fn call_response(
        &mut self,
        now: Instant,
        id: CallId,
        key: &ClientKey,
        response: &Response,
    ) {
        let is_invite = key.method == Method::Invite.as_str();
        let Some(call) = self.calls.get(&id) else {
            return self.orphan_response(now, key, response);
        };
        if key.method == Method::Prack.as_str() {
            return self.prack_response(now, key, response);
        }
        match &call.state {
            CallState::Dialing(dialing) if is_invite && dialing.invite.as_ref() == Some(key) => {
                self.dialing_response(now, id, key, response);
            }
            CallState::Established(established) if is_invite => {
                if belongs_to(response, &established.dialog) {
                    self.reinvite_response(now, id, key, response);
                } else {
                    self.orphan_response(now, key, response);
                }
            }
            CallState::Leaving(Leaving::Cancelling { cancelled, .. }) if is_invite => {
                let cancelled = *cancelled;
                self.cancelling_response(now, id, key, cancelled, response);
            }
            CallState::Leaving(Leaving::HangingUp { .. }) if key.method == Method::Bye.as_str() => {
                if response.status().is_final() {
                    self.calls.remove(&id);
                }
            }
            CallState::Established(_) if key.method == Method::Update.as_str() => {
                self.update_response(now, id, response);
            }
            CallState::Established(_) if key.method == Method::Notify.as_str() => {
                self.transfer_told(now, id, key, response);
            }
            CallState::Established(_) => {
                self.in_dialog_response(now, id, response);
                self.info_answered(id, key, response);
            }
            CallState::Dialing(_) | CallState::Offered(_) | CallState::Leaving(_) => {
                self.orphan_response(now, key, response);
            }
        }
    }

    fn dialing_response(&mut self, now: Instant, id: CallId, key: &ClientKey, response: &Response) {
        let status = response.status();
        if status.is_provisional() {
            self.provisional_response(now, id, key, response);
        } else if status.is_success() {
            self.invite_answered(now, id, key, response);
        } else {
            if status == StatusCode::SESSION_INTERVAL_TOO_SMALL
                && self.invite_with_longer_interval(now, id, key, response)
            {
                return;
            }
            if self.invite_without_replaces(now, id, key, status) {
                return;
            }
            if status == StatusCode::SERVICE_UNAVAILABLE && self.try_other_proxy(now, id) {
                return;
            }
            self.redirected(id, response);
            if self.follow_redirect(now, id) {
                return;
            }
            let cause = if status == StatusCode::UNAUTHORIZED
                || status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
            {
                self.credentials_cause(id)
            } else {
                CallEndCause::Refused(status)
            };
            self.explain_refusal(id, response);
            self.end_call(id, cause);
        }
    }

    /// Why a call ended that was challenged in the end.
    fn credentials_cause(&self, id: CallId) -> CallEndCause {
        let account = self.calls.get(&id).map(|call| self.account(&call.account));
        match account {
            Some(Ok(account)) if account.credentials.is_none() => CallEndCause::NoCredentials,
            Some(_) | None => CallEndCause::Credentials,
        }
    }

    fn invite_answered(&mut self, now: Instant, id: CallId, key: &ClientKey, response: &Response) {
        let Some(mut dialog) = self.acknowledge_success(now, key, response) else {
            return self.end_call(id, CallEndCause::Protocol);
        };
        let proxied = self.is_proxied(key);
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let CallState::Dialing(dialing) = &call.state else {
            return;
        };
        let answered = dialing.agreed_session(response);
        dialing.hand_over(&mut dialog);
        if !dialog.has_route_set() && proxied {
            // The proxy keeps out of the dialog: its connection leads nowhere.
            call.flow = None;
        }
        match answered {
            Ok(session) => {
                let media = session.media().cloned();
                let signalling = call.signalling;
                let mut established = Established::new(now, Role::Caller, dialog, session);
                established.timer = dialing.timer;
                established.heard_abilities(&response.headers);
                established.timer.answered(now, &response.headers);
                call.state = CallState::Established(Box::new(established));
                if let Some(media) = media {
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
            }
            Err(error) => {
                self.note_description(&error);
                self.hang_up_dialog(now, id, dialog, CallEndCause::from(&error));
            }
        }
    }

    fn cancelling_response(
        &mut self,
        now: Instant,
        id: CallId,
        key: &ClientKey,
        cancelled: Cancelled,
        response: &Response,
    ) {
        let status = response.status();
        if status.is_provisional() {
            if cancelled == Cancelled::NotYet {
                self.cancel_now(now, id, key);
            }
        } else {
            self.calls.remove(&id);
            if status.is_success() {
                // The answer was on its way already.
                self.orphan_response(now, key, response);
            }
        }
    }

    pub(super) fn cancel_now(&mut self, now: Instant, id: CallId, invite: &ClientKey) {
        self.send_cancel(now, invite);
        if let Some(call) = self.calls.get_mut(&id) {
            let cancelled = Cancelled::Sent {
                give_up: now + T1_64,
            };
            let invite = invite.clone();
            call.state = CallState::Leaving(Leaving::Cancelling { invite, cancelled });
        }
    }

    /// A 2xx for which there is no call: another fork, or one that came after we gave up. It makes
    /// a dialog all the same, which is ended (section 13.2.2.4). The dialog of a re-INVITE was ended
    /// already.
    pub(crate) fn orphan_response(&mut self, now: Instant, key: &ClientKey, response: &Response) {
        if key.method != Method::Invite.as_str() || !response.status().is_success() {
            return;
        }
        let invite = self.clients.get(key);
        if invite.is_some_and(|invite| is_within_dialog(&invite.outgoing.request)) {
            return self.acknowledge_reinvite(now, key, response);
        }
        let Some(dialog) = self.acknowledge_success(now, key, response) else {
            return;
        };
        let Some(transaction) = self.clients.get(key) else {
            return;
        };
        let account = transaction.outgoing.account.name.clone();
        let path = transaction.path;
        let reusable = dialog.has_route_set() || !self.is_proxied(key);
        let id = CallId(self.next_id());
        let call = Call {
            account,
            signalling: self.signalling(path),
            flow: flow_of(path).filter(|_| reusable),
            state: CallState::Leaving(Leaving::hanging_up(dialog)),
        };
        self.calls.insert(id, call);
        self.send_bye(now, id);
    }

    /// Acknowledges a 2xx to the INVITE of a new call and remembers the ACK for its repetitions.
    /// `None` when the response makes no dialog.
    pub(crate) fn acknowledge_success(
        &mut self,
        now: Instant,
        key: &ClientKey,
        response: &Response,
    ) -> Option<Dialog> {
        let transaction = self.clients.get(key)?;
        let invite = transaction.outgoing.request.clone();
        let flow = flow_of(transaction.path);
        let mut dialog = Dialog::of_caller(&invite, response).ok()?;
        dialog.sequence_used(self.last_fork_sequence(key));
        if !self.expect_ack(key, response) {
            return None;
        }
        let sequence = invite.headers.required::<CSeq>().ok()?.number;
        let way = AckWay {
            next_hop: Some(dialog.next_hop()),
            flow: flow.filter(|_| dialog.has_route_set() || !self.is_proxied(key)),
        };
        self.send_ack(now, key, response, dialog.ack(sequence), way);
        Some(dialog)
    }

    /// Whether an INVITE went to a proxy or registrar rather than to the called itself.
    pub(super) fn is_proxied(&self, key: &ClientKey) -> bool {
        self.clients.get(key).is_some_and(|transaction| {
            let outgoing = &transaction.outgoing;
            outgoing.request.headers.contains(&HeaderName::Route)
                || outgoing.account.registrar.is_some()
        })
    }

    /// A request of a call got no final response.
    pub(crate) fn call_request_failed(
        &mut self,
        now: Instant,
        id: CallId,
        method: &Method,
        failure: Failure,
    ) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        if *method == Method::Prack {
            // The far end gives up when it needs it; else its answer will come.
            return;
        }
        let cause = match failure {
            Failure::Timeout => CallEndCause::Timeout,
            Failure::Transport => CallEndCause::Transport,
            Failure::Certificate => CallEndCause::Certificate,
        };
        match &call.state {
            CallState::Dialing(_) => {
                if !self.try_other_proxy(now, id) && !self.follow_redirect(now, id) {
                    self.end_call(id, cause);
                }
            }
            CallState::Established(_) if *method == Method::Invite => {
                self.reinvite_failed(now, id, failure);
            }
            CallState::Established(_) if *method == Method::Options => {
                self.asked_in_vain(now, id, failure);
            }
            // No answer to INFO: the far end is gone (section 12.2.1.2). A broken connection may
            // be made again by the next request.
            CallState::Established(_) => match failure {
                Failure::Timeout => self.hang_up_for(now, id, cause),
                Failure::Transport | Failure::Certificate if *method == Method::Update => {
                    self.refresh_undelivered(now, id);
                }
                Failure::Transport | Failure::Certificate => {}
            },
            CallState::Offered(_) => {}
            CallState::Leaving(Leaving::HangingUp { .. }) => self.bye_failed(now, id, failure),
            CallState::Leaving(Leaving::Cancelling { .. }) => {
                self.calls.remove(&id);
            }
            CallState::Leaving(Leaving::AwaitingAck(_)) => {}
        }
    }

    /// Sends a request of a call's dialog.
    pub(crate) fn send_in_dialog(&mut self, now: Instant, id: CallId, request: Request) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let Ok(account) = self.account(&call.account) else {
            return;
        };
        let mut outgoing = Outgoing::new(request, account, User::Call(id));
        outgoing.next_hop = call.dialog().map(Dialog::next_hop);
        outgoing.flow = call.flow;
        self.dispatch(now, outgoing);
    }

    /// Forgets a call and tells its user.
    pub(crate) fn end_call(&mut self, id: CallId, cause: CallEndCause) {
        if self.calls.remove(&id).is_some() {
            self.event(Event::Ended { call: id, cause });
        }
    }
}

pub(super) fn belongs_to(response: &Response, dialog: &Dialog) -> bool {
    remote_tag(response).as_deref() == dialog.remote_tag()
}

pub(super) fn remote_tag(response: &Response) -> Option<String> {
    response.headers.to().ok()?.tag().map(str::to_owned)
}

/// A body that is a session description.
pub(super) fn session_description<'a>(headers: &Headers, body: &'a Bytes) -> Option<&'a [u8]> {
    crate::body::session_description(headers, body)
        .ok()
        .flatten()
}

/// The connection by which our requests of a dialog go back where a request of it came from. Behind
/// a proxy that is not in the route set, the far end is asked at its own address.
pub(super) fn flow_back(path: Path, request: &Headers, dialog: &Dialog) -> Option<FlowId> {
    let direct = request.typed_all::<Via>().count() == 1;
    flow_of(path).filter(|_| direct || dialog.has_route_set())
}

pub(super) fn flow_of(path: Path) -> Option<FlowId> {
    match path {
        Path::Stream(flow) => Some(flow),
        Path::Datagram { .. } => None,
    }
}
