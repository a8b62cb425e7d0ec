//! Whether the far end of a standing call is still there.
//!
//! A peer that loses its power or its network says no BYE, and a held call may rightly be silent for
//! hours. So the far end is asked: by OPTIONS within the dialog, which every user agent answers.
//! Any answer will do, except for those that say that it knows of no such call (RFC 3261 section
//! 12.2.1.2). A short session timer (RFC 4028, `session_timer`) does the same where the peer has it;
//! then nothing is asked.
//!
//! ```text
//!   Waiting ── time, and no re-INVITE is on its way ──► Asked ── no answer: BYE
//!    ▲   ▲                                              │ │
//!    │   └────────────── answered, or asked ourselves ──┘ │
//!    └──────── no connection, sooner than else ───────────┘ the third time: BYE
//!
//!   Waiting ── its connection has closed ──► Waiting, for 10 s at most
//! ```

use std::time::{Duration, Instant};

use super::{CallState, Established};
use crate::endpoint::{CallEndCause, CallId, Endpoint, Failure};
use crate::grammar::Method;
use crate::transport::FlowId;

/// How long the far end may be silent before it is asked. With the 32 s of a transaction that nobody
/// answers, a vanished peer is noticed about a minute after its last word.
const INTERVAL: Duration = Duration::from_secs(30);
/// How soon it is asked again when it could not be reached, or when a re-INVITE was in the way.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// How soon it is asked after its connection has closed. A far end that was killed comes back within
/// that time and takes its old place (RFC 3891); asked before, it would say that it knows of no call.
const LOST_CONNECTION_INTERVAL: Duration = Duration::from_secs(10);
/// How often it may be out of reach one after the other.
const ATTEMPTS: u8 = 3;

/// What is known of the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// It is asked then.
    Waiting { until: Instant, attempts_left: u8 },
    /// OPTIONS is under way.
    Asked { attempts_left: u8 },
}

impl Liveness {
    /// The far end has been heard.
    pub(crate) fn heard(now: Instant) -> Self {
        Self::Waiting {
            until: now + INTERVAL,
            attempts_left: ATTEMPTS,
        }
    }

    /// When the far end is asked.
    pub(crate) const fn deadline(self) -> Option<Instant> {
        match self {
            Self::Waiting { until, .. } => Some(until),
            Self::Asked { .. } => None,
        }
    }

    /// The connection to the far end is gone, and perhaps it is too.
    fn connection_lost(&mut self, now: Instant) {
        match self {
            Self::Waiting { until, .. } => *until = (*until).min(now + LOST_CONNECTION_INTERVAL),
            Self::Asked { .. } => {}
        }
    }

    const fn attempts_left(self) -> u8 {
        match self {
            Self::Waiting { attempts_left, .. } | Self::Asked { attempts_left } => attempts_left,
        }
    }
}

impl Endpoint {
    /// Asks the far end whether it is there, when it is time.
    pub(super) fn ask_when_due(&mut self, now: Instant, id: CallId) {
        let reinvite_has_arrived = self.reinvite_has_arrived(id);
        let Some(established) = self.standing_call(id) else {
            return;
        };
        if established
            .liveness
            .deadline()
            .is_none_or(|until| until > now)
        {
            return;
        }
        if established.timer.watches() {
            return;
        }
        let attempts_left = established.liveness.attempts_left();
        // A lost re-INVITE that arrived after a younger OPTIONS would be out of order and refused. One
        // that is known to have arrived, and is not answered, would be waited for without an end.
        if !established.is_quiet() && !reinvite_has_arrived {
            let until = now + RETRY_INTERVAL;
            established.liveness = Liveness::Waiting {
                until,
                attempts_left,
            };
            return;
        }
        established.liveness = Liveness::Asked { attempts_left };
        let request = established.dialog.request(Method::Options);
        self.send_in_dialog(now, id, request);
    }

    /// A connection is gone: far ends that were reached by it are asked sooner.
    pub(crate) fn calls_lost_flow(&mut self, now: Instant, flow: FlowId) {
        for call in self.calls.values_mut() {
            match &mut call.state {
                CallState::Established(established) if call.flow == Some(flow) => {
                    established.liveness.connection_lost(now);
                }
                CallState::Established(_)
                | CallState::Dialing(_)
                | CallState::Offered(_)
                | CallState::Leaving(_) => {}
            }
        }
    }

    /// The far end has sent a request, or answered one of ours.
    pub(super) fn heard_far_end(&mut self, now: Instant, id: CallId) {
        if let Some(established) = self.standing_call(id) {
            established.liveness = Liveness::heard(now);
        }
    }

    /// Our question got no answer.
    pub(super) fn asked_in_vain(&mut self, now: Instant, id: CallId, failure: Failure) {
        let Some(established) = self.standing_call(id) else {
            return;
        };
        let attempts_left = established.liveness.attempts_left().saturating_sub(1);
        if failure == Failure::Timeout || attempts_left == 0 {
            let cause = match failure {
                Failure::Timeout => CallEndCause::Timeout,
                Failure::Transport => CallEndCause::Transport,
                Failure::Certificate => CallEndCause::Certificate,
            };
            return self.hang_up_for(now, id, cause);
        }
        let until = now + RETRY_INTERVAL;
        established.liveness = Liveness::Waiting {
            until,
            attempts_left,
        };
    }

    fn standing_call(&mut self, id: CallId) -> Option<&mut Established> {
        match &mut self.calls.get_mut(&id)?.state {
            CallState::Established(established) => Some(established),
            CallState::Dialing(_) | CallState::Offered(_) | CallState::Leaving(_) => None,
        }
    }
}
