//! Hanging up: CANCEL, refusal or BYE, as the state of the call asks for, and what is left to be done
//! after the end was told.

use std::time::Instant;

use super::{Call, CallState, Cancelled, Leaving};
use crate::dialog::Dialog;
use crate::endpoint::keys::ClientKey;
use crate::endpoint::{ActionError, CallEndCause, CallId, Endpoint, Event, Failure, User};
use crate::grammar::{Method, ReasonValue, StatusCode};

/// What a BYE of ours says about itself (RFC 3326). That somebody here has hung up needs no reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByeReason {
    None,
    /// Nobody has refreshed the session (RFC 4028 section 10).
    SessionExpired,
    /// Our 2xx was never acknowledged (RFC 3261 section 13.3.1.4).
    AckMissing,
    /// A request of ours was not answered.
    NoAnswer,
    /// The far end's answer to our offer cannot be used.
    AnswerUnusable,
    /// It has no encryption that we take.
    NotEncrypted,
}

impl ByeReason {
    fn of(cause: CallEndCause) -> Self {
        match cause {
            CallEndCause::Timeout => Self::NoAnswer,
            CallEndCause::Media => Self::AnswerUnusable,
            CallEndCause::Encryption => Self::NotEncrypted,
            CallEndCause::Local
            | CallEndCause::RemoteHangUp
            | CallEndCause::RemoteCancelled
            | CallEndCause::AnsweredElsewhere
            | CallEndCause::Refused(_)
            | CallEndCause::NotAnswered
            | CallEndCause::Transport
            | CallEndCause::Certificate
            | CallEndCause::Forgotten
            | CallEndCause::Protocol
            | CallEndCause::Credentials
            | CallEndCause::NoCredentials => Self::None,
        }
    }

    fn value(self) -> Option<ReasonValue> {
        let (status, text) = match self {
            Self::None => return None,
            Self::SessionExpired => (StatusCode::REQUEST_TIMEOUT, "Session timer expired"),
            Self::AckMissing => (StatusCode::REQUEST_TIMEOUT, "No ACK"),
            Self::NoAnswer => (StatusCode::REQUEST_TIMEOUT, "Request not answered"),
            Self::AnswerUnusable => (StatusCode::NOT_ACCEPTABLE_HERE, "Answer cannot be used"),
            Self::NotEncrypted => (
                StatusCode::NOT_ACCEPTABLE_HERE,
                "SRTP with keys by SDES or DTLS is required",
            ),
        };
        Some(ReasonValue::sip(status, text))
    }
}

impl Endpoint {
    pub(super) fn bye_failed(&mut self, now: Instant, id: CallId, failure: Failure) {
        let Some(Call {
            state: CallState::Leaving(Leaving::HangingUp { attempts_left, .. }),
            ..
        }) = self.calls.get_mut(&id)
        else {
            return;
        };
        if failure == Failure::Timeout || *attempts_left == 0 {
            self.calls.remove(&id);
            return;
        }
        *attempts_left -= 1;
        self.send_bye(now, id);
    }

    /// Ends a call in the way that its state asks for: CANCEL, 603, or BYE.
    ///
    /// # Errors
    /// The call is unknown or over.
    pub fn hang_up(&mut self, now: Instant, call: CallId) -> Result<(), ActionError> {
        match self.calls.get(&call).map(|call| &call.state) {
            None | Some(CallState::Leaving(_)) => return Err(ActionError::UnknownCall),
            Some(CallState::Offered(_)) => return self.reject(now, call, StatusCode::DECLINE),
            Some(CallState::Dialing(_) | CallState::Established(_)) => {}
        }
        self.hang_up_for(now, call, CallEndCause::Local);
        Ok(())
    }

    /// Ends a dialing or established call for any cause.
    pub(crate) fn hang_up_for(&mut self, now: Instant, id: CallId, cause: CallEndCause) {
        self.hang_up_saying(now, id, cause, ByeReason::of(cause));
    }

    /// The same with a reason of its own, should it take BYE.
    pub(super) fn hang_up_saying(
        &mut self,
        now: Instant,
        id: CallId,
        cause: CallEndCause,
        reason: ByeReason,
    ) {
        match self.calls.get(&id).map(|call| &call.state) {
            Some(CallState::Dialing(dialing)) => {
                let invite = dialing.invite.clone();
                self.hang_up_dialing(now, id, invite, cause);
            }
            Some(CallState::Established(_)) => {
                self.hang_up_established(now, id, cause, reason);
            }
            Some(CallState::Offered(_) | CallState::Leaving(_)) | None => {}
        }
    }

    fn hang_up_dialing(
        &mut self,
        now: Instant,
        id: CallId,
        invite: Option<ClientKey>,
        cause: CallEndCause,
    ) {
        self.event(Event::Ended { call: id, cause });
        self.drop_waiting(&User::Call(id));
        let waiting = invite.and_then(|key| Some((self.invite_is_proceeding(&key)?, key)));
        let Some((is_proceeding, invite)) = waiting else {
            self.calls.remove(&id);
            return;
        };
        if is_proceeding {
            return self.cancel_now(now, id, &invite);
        }
        if let Some(call) = self.calls.get_mut(&id) {
            let leaving = Leaving::Cancelling {
                invite,
                cancelled: Cancelled::NotYet,
            };
            call.state = CallState::Leaving(leaving);
        }
    }

    fn hang_up_established(
        &mut self,
        now: Instant,
        id: CallId,
        cause: CallEndCause,
        reason: ByeReason,
    ) {
        self.event(Event::Ended { call: id, cause });
        self.drop_waiting(&User::Call(id));
        if let Some(call) = self.calls.remove(&id) {
            self.leave_established(now, id, call, reason);
        }
    }

    /// Leaves the dialog of a call that is over for its user, under the name `id`.
    pub(super) fn leave_established(
        &mut self,
        now: Instant,
        id: CallId,
        call: Call,
        reason: ByeReason,
    ) {
        let Call {
            account,
            signalling,
            flow,
            state: CallState::Established(established),
        } = call
        else {
            return;
        };
        self.abandon_invites(now, id);
        let waits = established.awaiting_ack.is_some();
        let leaving = if waits {
            Leaving::AwaitingAck(established)
        } else {
            Leaving::hanging_up_saying(established.dialog, reason)
        };
        let state = CallState::Leaving(leaving);
        self.calls.insert(
            id,
            Call {
                account,
                signalling,
                flow,
                state,
            },
        );
        if !waits {
            self.send_bye(now, id);
        }
    }

    /// Ends a call whose dialog exists but which was never established for its user.
    pub(super) fn hang_up_dialog(
        &mut self,
        now: Instant,
        id: CallId,
        dialog: Dialog,
        cause: CallEndCause,
    ) {
        if let Some(call) = self.calls.get_mut(&id) {
            let leaving = Leaving::hanging_up_saying(dialog, ByeReason::of(cause));
            call.state = CallState::Leaving(leaving);
            self.event(Event::Ended { call: id, cause });
            self.send_bye(now, id);
        }
    }

    /// Sends BYE for a call that is hanging up.
    pub(crate) fn send_bye(&mut self, now: Instant, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let reason = match &call.state {
            CallState::Leaving(leaving) => leaving.bye_reason().value(),
            CallState::Dialing(_) | CallState::Offered(_) | CallState::Established(_) => None,
        };
        let Some(mut request) = call.dialog_mut().map(|dialog| dialog.request(Method::Bye)) else {
            return;
        };
        if let Some(reason) = reason {
            request.headers.push_typed(&reason);
        }
        self.send_in_dialog(now, id, request);
    }
}
