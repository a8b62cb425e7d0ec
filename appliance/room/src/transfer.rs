//! A far end hands this room on to somebody else: the room calls that party, tells the far end how it
//! goes, and leaves it once the other has answered.
//!
//! ```text
//!   asked ── refused: nobody can be called, or one transfer is under way already
//!     │ accepted
//!     ▼
//!   Calling ── rings: told ── answered: told ──► Leaving ── the far end hangs up, or time ──► (over)
//!     │ fails: told, and the call with the far end goes on
//!     └──► (over)
//! ```
//!
//! The transferred call is a leg like any other: whoever hangs it up, ends the transfer too.

use std::time::Instant;

use crate::command::TransferProgress;
use crate::ids::LegId;
use crate::leg_state::LegState;

/// A transfer that is under way.
#[derive(Debug)]
pub(crate) struct Transfer {
    /// Who has asked for it.
    pub(crate) from: LegId,
    /// The call that was asked for.
    pub(crate) to: LegId,
    told: Option<TransferProgress>,
    /// When the room hangs up if the far end has not.
    leave: Option<Instant>,
}

/// What a transfer asks the room to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Nothing,
    Tell(TransferProgress),
    /// The far end has had its time to hang up.
    Leave,
    /// Nobody is there any more to be told.
    Over,
}

impl Transfer {
    pub(crate) fn new(from: LegId, to: LegId) -> Self {
        Self {
            from,
            to,
            told: None,
            leave: None,
        }
    }

    /// The next thing to do, by the states of the two legs; `None` for a leg that is gone.
    pub(crate) fn step(&self, now: Instant, from: Option<LegState>, to: Option<LegState>) -> Step {
        let stands = from.is_some_and(|from| from.end_reason().is_none());
        let Some(to) = to.filter(|_| stands) else {
            return Step::Over;
        };
        let answered = self.told == Some(TransferProgress::Answered);
        let progress = match to {
            LegState::Incoming | LegState::Answering | LegState::Dialing => return Step::Nothing,
            LegState::Ringing | LegState::Early => TransferProgress::Ringing,
            LegState::Established | LegState::Held { .. } => TransferProgress::Answered,
            LegState::Ending(_) | LegState::Ended(_) if answered => return Step::Over,
            LegState::Ending(reason) | LegState::Ended(reason) => TransferProgress::Failed(reason),
        };
        if self.told != Some(progress) {
            Step::Tell(progress)
        } else if self.leave.is_some_and(|at| at <= now) {
            Step::Leave
        } else {
            Step::Nothing
        }
    }

    /// The far end was told; once its party has answered, it has until `leave` to hang up.
    pub(crate) fn was_told(&mut self, progress: TransferProgress, leave: Instant) {
        self.told = Some(progress);
        if progress == TransferProgress::Answered {
            self.leave = Some(leave);
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.leave
    }
}
