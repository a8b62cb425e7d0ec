//! Keeping a flow open by UDP, and noticing when it is dead (RFC 5626 section 4.4).
//!
//! ```text
//!  Resting ── due ──► line ends sent ──► Resting                 (a registrar without RFC 5626)
//!     │
//!     └── due ──► Asking ── answer, same address ──► Resting     (an edge proxy that answers STUN)
//!                   │ no answer to 7 requests, or another address than before
//!                   ▼
//!                 the flow has failed
//! ```

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand_core::Rng;

use crate::registration::random_part;
use crate::stun::{self, Class, StunMessage, TransactionId};

/// The longest time between two datagrams when the far end names none (RFC 5626 section 4.4.2): NATs
/// keep a way back open for 30 s and more.
const INTERVAL: Duration = Duration::from_secs(29);
/// Whatever the far end asks for, no more than this.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(5);
/// The first wait for a STUN answer (RFC 8489 section 6.2.1). It doubles.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Requests that are sent for one answer (`Rc`).
const REQUESTS: u32 = 7;
/// How many first waits follow the last request (`Rm`).
const LAST_WAIT: u32 = 16;

/// How the far end shows that it is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignOfLife {
    /// Not at all: line ends keep the way back open, no more.
    None,
    /// It answers STUN.
    Stun,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Resting {
        until: Instant,
    },
    Asking {
        transaction: TransactionId,
        requests: u32,
        until: Instant,
    },
}

/// The clock of one flow.
#[derive(Debug)]
pub(crate) struct KeepAlive {
    sign_of_life: SignOfLife,
    interval: Duration,
    state: State,
    /// Where the far end sees us.
    mapped: Option<SocketAddr>,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Nothing,
    Send(Bytes),
    /// The flow has failed.
    Failed,
}

impl KeepAlive {
    /// Starts with a sign of life at once where there is one to be had: it tells the address to
    /// compare with later.
    pub(crate) fn new(
        now: Instant,
        sign_of_life: SignOfLife,
        flow_timer: Option<Duration>,
        rng: &mut impl Rng,
    ) -> Self {
        let interval = flow_timer.unwrap_or(INTERVAL).max(SHORTEST_INTERVAL);
        let until = match sign_of_life {
            SignOfLife::None => now + random_wait(interval, rng),
            SignOfLife::Stun => now,
        };
        Self {
            sign_of_life,
            interval,
            state: State::Resting { until },
            mapped: None,
        }
    }

    /// A refreshed registration goes on with the clock that runs, unless its terms are others.
    pub(crate) fn goes_on_as(
        &self,
        sign_of_life: SignOfLife,
        flow_timer: Option<Duration>,
    ) -> bool {
        self.sign_of_life == sign_of_life
            && self.interval == flow_timer.unwrap_or(INTERVAL).max(SHORTEST_INTERVAL)
    }

    pub(crate) fn deadline(&self) -> Instant {
        match self.state {
            State::Resting { until } | State::Asking { until, .. } => until,
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, rng: &mut impl Rng) -> Step {
        if self.deadline() > now {
            return Step::Nothing;
        }
        match (self.state, self.sign_of_life) {
            (State::Resting { .. }, SignOfLife::None) => {
                self.rest(now, rng);
                Step::Send(Bytes::from_static(b"\r\n\r\n"))
            }
            (State::Resting { .. }, SignOfLife::Stun) => {
                let mut id = [0; 12];
                rng.fill_bytes(&mut id);
                self.ask(now, TransactionId(id), 1)
            }
            (State::Asking { requests, .. }, _) if requests >= REQUESTS => Step::Failed,
            (
                State::Asking {
                    transaction,
                    requests,
                    ..
                },
                _,
            ) => self.ask(now, transaction, requests + 1),
        }
    }

    fn ask(&mut self, now: Instant, transaction: TransactionId, requests: u32) -> Step {
        let waits = if requests == REQUESTS {
            LAST_WAIT
        } else {
            2_u32.saturating_pow(requests - 1)
        };
        self.state = State::Asking {
            transaction,
            requests,
            until: now + FIRST_WAIT * waits,
        };
        Step::Send(stun::binding_request(transaction))
    }

    /// The far end has sent a STUN message.
    pub(crate) fn received(
        &mut self,
        now: Instant,
        message: &StunMessage,
        rng: &mut impl Rng,
    ) -> Step {
        let is_answer = match self.state {
            State::Asking { transaction, .. } => transaction == message.transaction(),
            State::Resting { .. } => false,
        };
        if !is_answer || !message.is_binding() || message.unknown_attribute().is_some() {
            return Step::Nothing;
        }
        match (message.class(), message.mapped_address()) {
            (Class::Success, Some(mapped)) => {
                // A NAT on the way has forgotten us: nobody reaches the address that is registered.
                let before = self.mapped.replace(mapped);
                self.rest(now, rng);
                if before.is_some_and(|before| before != mapped) {
                    Step::Failed
                } else {
                    Step::Nothing
                }
            }
            // A refusal is a sign of life as well, though it tells no address.
            (Class::Error, _) => {
                self.rest(now, rng);
                Step::Nothing
            }
            (Class::Success, None) | (Class::Request | Class::Indication, _) => Step::Nothing,
        }
    }

    fn rest(&mut self, now: Instant, rng: &mut impl Rng) {
        self.state = State::Resting {
            until: now + random_wait(self.interval, rng),
        };
    }
}

/// Four to five fifths of the longest time between two signs of life (RFC 5626 section 4.4).
pub(crate) fn random_wait(interval: Duration, rng: &mut impl Rng) -> Duration {
    interval * 4 / 5 + random_part(interval / 5, rng)
}
