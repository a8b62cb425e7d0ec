//! The client transaction of every method but INVITE and ACK: RFC 3261 section 17.1.2.
//!
//! ```text
//!                │ request sent
//!                ▼
//!  timer E ┌─ Trying ─────── timer F, transport error ──┐ (told: timeout, error)
//!  re-send └─►   │ 1xx           │ 200-699              │
//!                ▼               │                      │
//!  timer E ┌─ Proceeding ── F ───┼──────────────────────┤
//!  re-send └─►   │ 200-699       │                      │
//!                ▼               ▼                      ▼
//!            Completed ◄─────────┘ ──── timer K ──► Terminated
//! ```

use std::time::Instant;

use super::ResponseClass;
use super::timers::{Reliability, Retransmission, T1_64, T4};

/// The machine; see the module's drawing.
#[derive(Debug)]
pub struct NonInviteClient {
    reliability: Reliability,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Trying {
        /// Timer E, on an unreliable transport.
        retransmission: Option<Retransmission>,
        /// Timer F.
        give_up: Instant,
    },
    Proceeding {
        retransmission: Option<Retransmission>,
        give_up: Instant,
    },
    Completed {
        /// Timer K.
        until: Instant,
    },
    Terminated,
}

/// What the owner does after an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: an absorbed retransmission, or nothing was due.
    Nothing,
    /// Send the request again.
    Retransmit,
    /// Hand the response to the user.
    Deliver,
    /// Tell the user that no final response came (timer F).
    TimedOut,
}

impl NonInviteClient {
    /// The transaction of a request that is being sent at `now`.
    #[must_use]
    pub fn new(now: Instant, reliability: Reliability) -> Self {
        let retransmission = match reliability {
            Reliability::Unreliable => Some(Retransmission::capped(now)),
            Reliability::Reliable => None,
        };
        Self {
            reliability,
            state: State::Trying {
                retransmission,
                give_up: now + T1_64,
            },
        }
    }

    /// A response has arrived.
    pub fn response(&mut self, now: Instant, class: ResponseClass) -> Outcome {
        match (self.state, class) {
            (
                State::Trying {
                    retransmission,
                    give_up,
                },
                ResponseClass::Provisional,
            ) => {
                self.state = State::Proceeding {
                    retransmission: retransmission.map(|_| Retransmission::slow(now)),
                    give_up,
                };
                Outcome::Deliver
            }
            (State::Proceeding { .. }, ResponseClass::Provisional) => Outcome::Deliver,
            (
                State::Trying { .. } | State::Proceeding { .. },
                ResponseClass::Success | ResponseClass::Failure,
            ) => {
                self.state = State::Completed {
                    until: now + self.reliability.absorb(T4),
                };
                Outcome::Deliver
            }
            (State::Completed { .. } | State::Terminated, _) => Outcome::Nothing,
        }
    }

    /// The next time at which [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Trying {
                retransmission,
                give_up,
            }
            | State::Proceeding {
                retransmission,
                give_up,
            } => Some(retransmission.map_or(give_up, |timer_e| timer_e.at().min(give_up))),
            State::Completed { until } => Some(until),
            State::Terminated => None,
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) -> Outcome {
        match &mut self.state {
            State::Trying { give_up, .. } | State::Proceeding { give_up, .. }
                if *give_up <= now =>
            {
                self.state = State::Terminated;
                Outcome::TimedOut
            }
            State::Trying {
                retransmission: Some(timer_e),
                ..
            }
            | State::Proceeding {
                retransmission: Some(timer_e),
                ..
            } if timer_e.is_due(now) => {
                timer_e.advance(now);
                Outcome::Retransmit
            }
            State::Completed { until } if *until <= now => {
                self.state = State::Terminated;
                Outcome::Nothing
            }
            State::Trying { .. }
            | State::Proceeding { .. }
            | State::Completed { .. }
            | State::Terminated => Outcome::Nothing,
        }
    }

    /// Ends the transaction: the transport failed.
    pub fn terminate(&mut self) {
        self.state = State::Terminated;
    }

    /// Whether the owner may forget it.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    /// Whether a final response is still to come.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Trying { .. } | State::Proceeding { .. })
    }
}
