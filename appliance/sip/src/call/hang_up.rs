//! Hanging up: CANCEL, refusal or BYE, as the state of the call asks for, and what is left to be done
//! after the end was told.

use std::time::Instant;

use super::{Call, CallState, Cancelled, Leaving};
use crate::dialog::Dialog;
use crate::endpoint::keys::ClientKey;
use crate::endpoint::{ActionError, CallEndCause, CallId, Endpoint, Event, Failure, User};
use crate::grammar::{Method, StatusCode};

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
        match self.calls.get(&id).map(|call| &call.state) {
            Some(CallState::Dialing(dialing)) => {
                let invite = dialing.invite.clone();
                self.hang_up_dialing(now, id, invite, cause);
            }
            Some(CallState::Established(_)) => self.hang_up_established(now, id, cause),
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

    fn hang_up_established(&mut self, now: Instant, id: CallId, cause: CallEndCause) {
        self.event(Event::Ended { call: id, cause });
        self.drop_waiting(&User::Call(id));
        if let Some(call) = self.calls.remove(&id) {
            self.leave_established(now, id, call);
        }
    }

    /// Leaves the dialog of a call that is over for its user, under the name `id`.
    pub(super) fn leave_established(&mut self, now: Instant, id: CallId, call: Call) {
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
            Leaving::hanging_up(established.dialog)
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
            call.state = CallState::Leaving(Leaving::hanging_up(dialog));
            self.event(Event::Ended { call: id, cause });
            self.send_bye(now, id);
        }
    }

    /// Sends BYE for a call that is hanging up.
    pub(crate) fn send_bye(&mut self, now: Instant, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Some(request) = call.dialog_mut().map(|dialog| dialog.request(Method::Bye)) else {
            return;
        };
        self.send_in_dialog(now, id, request);
    }
}
