//! The INVITE server transaction: RFC 3261 section 17.2.1 with RFC 6026 section 7.1.
//!
//! ```text
//!                  │ INVITE received
//!                  ▼
//!  INVITE ┌── Proceeding ── user's 2xx ──────────► Accepted ── timer L ──────┐
//!  again: │     │  │ nothing from the user for 200 ms:     │ 2xx again: sent   │
//!  last   └─────┘  │ 100 Trying                            │ ACK: told         │
//!  1xx             │ user's 300-699                                            │
//!                  ▼                                                           ▼
//!  timer G ┌─ Completed ── ACK ──► Confirmed ── timer I ─────────────► Terminated
//!  INVITE  │    │   │                                                          ▲
//!  re-send └────┘   └───────────── timer H, transport error (told) ────────────┘
//! ```

use std::time::{Duration, Instant};

use super::ResponseClass;
use super::timers::{Reliability, Retransmission, T1_64, T4};

/// How long the user may be silent before 100 Trying quenches retransmissions.
const TRYING_AFTER: Duration = Duration::from_millis(200);

/// The machine; see the module's drawing.
#[derive(Debug)]
pub struct InviteServer {
    reliability: Reliability,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Proceeding {
        /// When 100 Trying is due; `None` once anything has been sent.
        trying: Option<Instant>,
    },
    Completed {
        /// Timer G, on an unreliable transport.
        retransmission: Option<Retransmission>,
        /// Timer H.
        give_up: Instant,
    },
    Confirmed {
        /// Timer I.
        until: Instant,
    },
    Accepted {
        /// Timer L.
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
    /// Send the last response again, if there was one.
    SendLast,
    /// Send 100 Trying.
    SendTrying,
    /// Hand the ACK to the user: it acknowledges a 2xx.
    DeliverAck,
    /// The final response was never acknowledged (timer H).
    Unacknowledged,
}

impl InviteServer {
    /// The transaction of an INVITE that arrived at `now`.
    #[must_use]
    pub fn new(now: Instant, reliability: Reliability) -> Self {
        Self {
            reliability,
            state: State::Proceeding {
                trying: Some(now + TRYING_AFTER),
            },
        }
    }

    /// The INVITE has arrived again.
    pub fn retransmitted(&mut self) -> Outcome {
        match self.state {
            State::Proceeding { .. } | State::Completed { .. } => Outcome::SendLast,
            // RFC 6026: in Accepted the user repeats its 2xx by its own timer.
            State::Accepted { .. } | State::Confirmed { .. } | State::Terminated => {
                Outcome::Nothing
            }
        }
    }

    /// The user sends a response.
    pub fn respond(&mut self, now: Instant, class: ResponseClass) -> Outcome {
        match (self.state, class) {
            (State::Proceeding { .. }, ResponseClass::Provisional) => {
                self.state = State::Proceeding { trying: None };
                Outcome::Send
            }
            (State::Proceeding { .. }, ResponseClass::Success) => {
                self.state = State::Accepted { until: now + T1_64 };
                Outcome::Send
            }
            (State::Proceeding { .. }, ResponseClass::Failure) => {
                let retransmission = match self.reliability {
                    Reliability::Unreliable => Some(Retransmission::capped(now)),
                    Reliability::Reliable => None,
                };
                self.state = State::Completed {
                    retransmission,
                    give_up: now + T1_64,
                };
                Outcome::Send
            }
            (State::Accepted { .. }, ResponseClass::Success) => Outcome::Send,
            (State::Accepted { .. }, ResponseClass::Provisional | ResponseClass::Failure)
            | (State::Completed { .. } | State::Confirmed { .. } | State::Terminated, _) => {
                Outcome::Nothing
            }
        }
    }

    /// An ACK has arrived that matches this transaction.
    pub fn acknowledged(&mut self, now: Instant) -> Outcome {
        match self.state {
            State::Completed { .. } => {
                self.state = State::Confirmed {
                    until: now + self.reliability.absorb(T4),
                };
                Outcome::Nothing
            }
            State::Accepted { .. } => Outcome::DeliverAck,
            State::Proceeding { .. } | State::Confirmed { .. } | State::Terminated => {
                Outcome::Nothing
            }
        }
    }

    /// The next time at which [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Proceeding { trying } => trying,
            State::Completed {
                retransmission,
                give_up,
            } => Some(retransmission.map_or(give_up, |timer_g| timer_g.at().min(give_up))),
            State::Confirmed { until } | State::Accepted { until } => Some(until),
            State::Terminated => None,
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) -> Outcome {
        match &mut self.state {
            State::Proceeding { trying } if trying.is_some_and(|at| at <= now) => {
                *trying = None;
                Outcome::SendTrying
            }
            State::Completed { give_up, .. } if *give_up <= now => {
                self.state = State::Terminated;
                Outcome::Unacknowledged
            }
            State::Completed {
                retransmission: Some(timer_g),
                ..
            } if timer_g.is_due(now) => {
                timer_g.advance(now);
                Outcome::SendLast
            }
            State::Confirmed { until } | State::Accepted { until } if *until <= now => {
                self.state = State::Terminated;
                Outcome::Nothing
            }
            State::Proceeding { .. }
            | State::Completed { .. }
            | State::Confirmed { .. }
            | State::Accepted { .. }
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

    /// Whether no final response has been sent: the only state in which CANCEL has an effect
    /// (RFC 3261 section 9.2).
    #[must_use]
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }
}
