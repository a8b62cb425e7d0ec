//! The INVITE client transaction: RFC 3261 section 17.1.1 with RFC 6026 section 7.2.
//!
//! ```text
//!                 │ INVITE sent
//!                 ▼
//!   timer A ┌─ Calling ──── timer B, transport error ─────────┐ (told: timeout, error)
//!   re-send └─►   │                                           │
//!        1xx      │  2xx              300-699                 │
//!   ┌─────────────┼────────────────────────┐                  │
//!   ▼             ▼                        ▼                  ▼
//! Proceeding ─► Accepted ─ timer M ─►   Completed ─ timer D ► Terminated
//!   │   2xx      2xx told again          300-699: ACK again
//!   └────────────────── 300-699 ───────────▲
//! ```
//!
//! A user that is gone leaves Calling and Proceeding for Abandoned: a last chance of 64 T1 for a final
//! response, which is handled as in the drawing. Without it, a transaction whose peer says 100 and
//! nothing more would never end.
//!
//! The owner sends the INVITE when it makes the machine, and does what each [`Outcome`] says. ACK to
//! a 2xx is a request of its own and not this machine's.

use std::time::Instant;

use super::ResponseClass;
use super::timers::{Reliability, Retransmission, T1_64, TIMER_D};

/// The machine; see the module's drawing.
#[derive(Debug)]
pub struct InviteClient {
    reliability: Reliability,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Calling {
        /// Timer A, on an unreliable transport.
        retransmission: Option<Retransmission>,
        /// Timer B.
        give_up: Instant,
    },
    Proceeding,
    /// Nobody waits for the final response. It is absorbed when it comes.
    Abandoned {
        until: Instant,
    },
    Accepted {
        /// Timer M.
        until: Instant,
    },
    Completed {
        /// Timer D.
        until: Instant,
    },
    Terminated,
}

/// What the owner does after an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: an absorbed retransmission, or nothing was due.
    Nothing,
    /// Send the INVITE again.
    Retransmit,
    /// Hand the response to the user.
    Deliver,
    /// Send ACK and hand the response to the user.
    AcknowledgeAndDeliver,
    /// Send ACK again; the user knows the response already.
    Acknowledge,
    /// Tell the user that nothing was heard (timer B).
    TimedOut,
}

impl InviteClient {
    /// The transaction of an INVITE that is being sent at `now`.
    #[must_use]
    pub fn new(now: Instant, reliability: Reliability) -> Self {
        let retransmission = match reliability {
            Reliability::Unreliable => Some(Retransmission::doubling(now)),
            Reliability::Reliable => None,
        };
        Self {
            reliability,
            state: State::Calling {
                retransmission,
                give_up: now + T1_64,
            },
        }
    }

    /// A response has arrived.
    pub fn response(&mut self, now: Instant, class: ResponseClass) -> Outcome {
        match (self.state, class) {
            (State::Calling { .. } | State::Proceeding, ResponseClass::Provisional) => {
                self.state = State::Proceeding;
                Outcome::Deliver
            }
            (
                State::Calling { .. } | State::Proceeding | State::Abandoned { .. },
                ResponseClass::Success,
            ) => {
                self.state = State::Accepted { until: now + T1_64 };
                Outcome::Deliver
            }
            (
                State::Calling { .. } | State::Proceeding | State::Abandoned { .. },
                ResponseClass::Failure,
            ) => {
                self.state = State::Completed {
                    until: now + self.reliability.absorb(TIMER_D),
                };
                Outcome::AcknowledgeAndDeliver
            }
            (State::Accepted { .. }, ResponseClass::Success) => Outcome::Deliver,
            (State::Completed { .. }, ResponseClass::Failure) => Outcome::Acknowledge,
            (State::Abandoned { .. }, ResponseClass::Provisional)
            | (State::Accepted { .. }, ResponseClass::Provisional | ResponseClass::Failure)
            | (State::Completed { .. }, ResponseClass::Provisional | ResponseClass::Success)
            | (State::Terminated, _) => Outcome::Nothing,
        }
    }

    /// The next time at which [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Calling {
                retransmission,
                give_up,
            } => Some(retransmission.map_or(give_up, |timer_a| timer_a.at().min(give_up))),
            State::Proceeding | State::Terminated => None,
            State::Abandoned { until } | State::Accepted { until } | State::Completed { until } => {
                Some(until)
            }
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) -> Outcome {
        match &mut self.state {
            State::Calling { give_up, .. } if *give_up <= now => {
                self.state = State::Terminated;
                Outcome::TimedOut
            }
            State::Calling {
                retransmission: Some(timer_a),
                ..
            } if timer_a.is_due(now) => {
                timer_a.advance(now);
                Outcome::Retransmit
            }
            State::Abandoned { until } | State::Accepted { until } | State::Completed { until }
                if *until <= now =>
            {
                self.state = State::Terminated;
                Outcome::Nothing
            }
            State::Calling { .. }
            | State::Proceeding
            | State::Abandoned { .. }
            | State::Accepted { .. }
            | State::Completed { .. }
            | State::Terminated => Outcome::Nothing,
        }
    }

    /// The user is gone: the INVITE is not repeated, and its final response awaited for 64 T1 at most.
    pub fn abandon(&mut self, now: Instant) {
        match self.state {
            State::Calling { .. } | State::Proceeding => {
                self.state = State::Abandoned { until: now + T1_64 };
            }
            State::Abandoned { .. }
            | State::Accepted { .. }
            | State::Completed { .. }
            | State::Terminated => {}
        }
    }

    /// Ends the transaction: the transport failed, or its user gave up waiting.
    pub fn terminate(&mut self) {
        self.state = State::Terminated;
    }

    /// Whether the owner may forget it.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    /// Whether a provisional response, and no final one, has arrived: only then may CANCEL be sent
    /// (RFC 3261 section 9.1).
    #[must_use]
    pub fn is_proceeding(&self) -> bool {
        self.state == State::Proceeding
    }

    /// Whether a final response is still to come.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Calling { .. } | State::Proceeding)
    }
}
