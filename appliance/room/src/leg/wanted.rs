//! What is remembered of a leg, so that the room finds back into its call after a restart.

use std::time::Instant;

use super::Leg;
use crate::command::{IfNotReplaced, Replaced};
use crate::leg_state::EndReason;
use crate::policy::CallTarget;
use crate::resumption::{CallOrigin, PROVEN_AFTER, WantedCall, WayBack};
use crate::turn::Turn;

impl Leg {
    /// Whether this room placed exactly such a call. A call that names no account is the same as
    /// one to the same address by any account.
    pub(crate) fn is_call_to(&self, call: &CallTarget) -> bool {
        let placed = self.wanted.as_ref().filter(|wanted| !wanted.is_answered());
        placed.is_some_and(|placed| placed.call.target == call.target)
            && (call.account.is_none() || call.account == self.account)
    }

    /// What is to be remembered of the call. Nothing of one that only the far end wants, as long as it
    /// does not stand.
    pub(crate) fn wanted_call(&self) -> Option<WantedCall> {
        self.wanted.clone()
    }

    /// What the way back into this call is, should it be interrupted.
    pub(crate) fn dialog_named(&mut self, way_back: WayBack) {
        match &mut self.wanted {
            Some(wanted) => wanted.dialog_named(way_back),
            None => {
                let account = self.account.clone();
                self.wanted = account.map(|account| WantedCall::answered(account, way_back));
            }
        }
    }

    /// Whether the leg was dialed only to go back into a call that was answered here, and the far end
    /// has not taken it yet.
    pub(crate) fn resumes_answered_call(&self) -> bool {
        self.is_dialed() && self.wanted.as_ref().is_some_and(WantedCall::is_answered)
    }

    /// Ends in favour of the far end's own call, and hands over what was asked for here: the other
    /// leg fulfils it. An answered call was asked for by the far end alone.
    pub(crate) fn give_way(&mut self, turn: &mut Turn<'_>) -> Option<WantedCall> {
        self.end(EndReason::GaveWay, turn);
        self.wanted.take().filter(|wanted| !wanted.is_answered())
    }

    /// The leg fulfils a call that was asked for here.
    pub(crate) fn take_place_of(&mut self, placed: Option<WantedCall>) {
        self.wanted = placed;
    }

    /// When a call that was interrupted by restarts will have lasted so long that they do not count
    /// any more.
    pub(super) fn proven(&self) -> Option<Instant> {
        let interrupted = |wanted: &WantedCall| !wanted.resumptions.is_empty();
        self.wanted.as_ref().filter(|wanted| interrupted(wanted))?;
        Some(self.established? + PROVEN_AFTER)
    }
}

/// What it means that a far end did not let a room go back into a call that it had answered: it does not
/// know the call any more, knows no Replaces, or does not allow it.
pub(super) const fn reason_not_resumed(reason: EndReason) -> EndReason {
    match reason {
        EndReason::Refused { status: 420 | 481 }
        | EndReason::Forbidden
        | EndReason::DeclinedByPeer => EndReason::NotResumed,
        other => other,
    }
}

impl WantedCall {
    /// The dialog whose place the call takes.
    pub(super) fn replaced(&self, otherwise: IfNotReplaced) -> Option<Replaced> {
        let known_as = match &self.origin {
            CallOrigin::Placed => None,
            CallOrigin::Answered { known_as } => known_as.clone(),
        };
        self.dialog.clone().map(|dialog| Replaced {
            dialog,
            otherwise,
            known_as,
        })
    }

    fn dialog_named(&mut self, way_back: WayBack) {
        self.dialog = Some(way_back.dialog);
        // Whoever was asked for stays whom the call is to; a far end that has called may have moved.
        if let CallOrigin::Answered { known_as } = &mut self.origin {
            *known_as = way_back.known_as;
            self.call.target = way_back.target;
        }
    }
}
