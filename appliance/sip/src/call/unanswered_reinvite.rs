//! A re-INVITE that the far end has got and does not answer: nothing else can be asked of it meanwhile,
//! so that after a while it is cancelled (RFC 3261 section 9.1).
//!
//! ```text
//!   Sent ── 100, and time ──► CANCEL ── 487, refused: what was agreed stands
//!                               │  └─── 2xx: accepted at the last moment
//!                               └────── 64 x T1: it counts as refused
//! ```

use std::time::{Duration, Instant};

use super::{Established, Reinvite};
use crate::endpoint::{CallId, Endpoint};
use crate::transaction::T1_64;

/// How long the far end may take to answer, which people decide about in some: whether to show a
/// picture, say.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// How long a re-INVITE of ours is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReinviteLimit {
    /// None is under way.
    None,
    /// It is cancelled then.
    Answer(Instant),
    /// It was cancelled, and its last word is waited for.
    LastWord(Instant),
}

impl Established {
    /// A re-INVITE goes out.
    pub(super) fn reinvite_goes_out(&mut self, now: Instant) {
        self.reinvite_limit = ReinviteLimit::Answer(now + ANSWER_LIMIT);
    }

    /// When the re-INVITE under way has taken too long.
    pub(super) fn reinvite_deadline(&self) -> Option<Instant> {
        match (&self.reinvite, self.reinvite_limit) {
            (Reinvite::Sent(_), ReinviteLimit::Answer(at) | ReinviteLimit::LastWord(at)) => {
                Some(at)
            }
            (Reinvite::Sent(_) | Reinvite::Idle | Reinvite::Waiting { .. }, _) => None,
        }
    }
}

impl Endpoint {
    /// Cancels a re-INVITE that nobody answers, or gives up on one that was cancelled in vain. One that
    /// has no response at all ends by its transaction's own time-out, and the call with it.
    pub(super) fn reinvite_due(&mut self, now: Instant, id: CallId) {
        let key = self.unanswered_reinvite(id);
        let Ok(established) = self.established_mut(id) else {
            return;
        };
        if established.reinvite_deadline().is_none_or(|at| at > now) {
            return;
        }
        match (established.reinvite_limit, key) {
            (ReinviteLimit::Answer(_), Some(key)) => {
                established.reinvite_limit = ReinviteLimit::LastWord(now + T1_64);
                self.send_cancel(now, &key);
            }
            (ReinviteLimit::Answer(_), None) => {
                established.reinvite_limit = ReinviteLimit::Answer(now + T1_64);
            }
            (ReinviteLimit::LastWord(_), key) => {
                established.reinvite_limit = ReinviteLimit::None;
                if let Some(key) = key {
                    self.clients.remove(&key);
                }
                self.reinvite_abandoned(now, id);
            }
            (ReinviteLimit::None, _) => {}
        }
    }
}
