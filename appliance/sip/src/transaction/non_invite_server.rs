//! The server transaction of every method but INVITE and ACK: RFC 3261 section 17.2.2.
//!
//! ```text
//!              │ request received
//!              ▼
//!           Trying ── user's 1xx ──► Proceeding ── user's 1xx: sent, request again: last 1xx
//!              │ user's 200-699          │ user's 200-699
//!              ▼                         ▼
//!           Completed (request again: last response) ── timer J ──► Terminated
//!
//!           Trying, Proceeding ── 64 x T1: nobody waits any more (RFC 4320) ──► Terminated
//! ```

use std::time::Instant;

use super::ResponseClass;
use super::timers::{Reliability, T1_64};

/// The machine; see the module's drawing.
#[derive(Debug)]
pub struct NonInviteServer {
    reliability: Reliability,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Trying {
        until: Instant,
    },
    Proceeding {
        until: Instant,
    },
    Completed {
        /// Timer J.
        until: Instant,
    },
    Terminated,
}

/// What the owner does after an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is to be done.
    Nothing,
    /// Send the given response (the user's).
    Send,
    /// Send the last response again.
    SendLast,
}

impl NonInviteServer {
    /// The transaction of a request that has just arrived.
    #[must_use]
    pub fn new(now: Instant, reliability: Reliability) -> Self {
        Self {
            reliability,
            state: State::Trying { until: now + T1_64 },
        }
    }

    /// The request has arrived again.
    pub fn retransmitted(&mut self) -> Outcome {
        match self.state {
            State::Proceeding { .. } | State::Completed { .. } => Outcome::SendLast,
            State::Trying { .. } | State::Terminated => Outcome::Nothing,
        }
    }

    /// The user sends a response.
    pub fn respond(&mut self, now: Instant, class: ResponseClass) -> Outcome {
        match (self.state, class) {
            (State::Trying { until } | State::Proceeding { until }, ResponseClass::Provisional) => {
                self.state = State::Proceeding { until };
                Outcome::Send
            }
            (
                State::Trying { .. } | State::Proceeding { .. },
                ResponseClass::Success | ResponseClass::Failure,
            ) => {
                self.state = State::Completed {
                    until: now + self.reliability.absorb(T1_64),
                };
                Outcome::Send
            }
            (State::Completed { .. } | State::Terminated, _) => Outcome::Nothing,
        }
    }

    /// The next time at which [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Trying { until } | State::Proceeding { until } | State::Completed { until } => {
                Some(until)
            }
            State::Terminated => None,
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline().is_some_and(|until| until <= now) {
            self.state = State::Terminated;
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
}
