//! The timer values of RFC 3261 section 17 and table 4.

use std::time::{Duration, Instant};

/// The estimate of the round-trip time: 500 ms.
pub const T1: Duration = Duration::from_millis(500);
/// The longest wait between retransmissions of a non-INVITE request or an INVITE response: 4 s.
pub const T2: Duration = Duration::from_secs(4);
/// How long a message may stay in the network: 5 s.
pub const T4: Duration = Duration::from_secs(5);
/// 64 times T1: the life of timers B, F, H, J, L and M.
pub const T1_64: Duration = Duration::from_secs(32);
/// Timer D on an unreliable transport: more than 32 s.
pub(crate) const TIMER_D: Duration = T1_64;

/// Whether the transport repeats what is lost, so that transactions need not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reliability {
    /// UDP.
    Unreliable,
    /// TCP and TLS.
    Reliable,
}

impl Reliability {
    /// A timer that exists only to absorb retransmissions: zero where there are none.
    pub(crate) fn absorb(self, unreliable: Duration) -> Duration {
        match self {
            Self::Unreliable => unreliable,
            Self::Reliable => Duration::ZERO,
        }
    }
}

/// A retransmission timer whose interval doubles: A and E of clients, G of servers, and the one for
/// 2xx responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retransmission {
    at: Instant,
    interval: Duration,
    /// The interval grows no further than this.
    cap: Duration,
}

impl Retransmission {
    /// The first retransmission after T1, doubling up to T2.
    pub(crate) fn capped(now: Instant) -> Self {
        Self {
            at: now + T1,
            interval: T1,
            cap: T2,
        }
    }

    /// The first retransmission after T1, doubling until another timer ends it (timer A).
    pub(crate) fn doubling(now: Instant) -> Self {
        Self {
            at: now + T1,
            interval: T1,
            cap: T1_64,
        }
    }

    /// The next retransmission after T2, and so on (timer E in Proceeding).
    pub(crate) fn slow(now: Instant) -> Self {
        Self {
            at: now + T2,
            interval: T2,
            cap: T2,
        }
    }

    /// When the next retransmission is due.
    pub(crate) fn at(&self) -> Instant {
        self.at
    }

    /// Whether one is due.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.at <= now
    }

    /// Sets the next one. It counts from now, not from when the last was due: after a suspended
    /// process wakes, one retransmission is enough.
    pub(crate) fn advance(&mut self, now: Instant) {
        self.interval = (self.interval * 2).min(self.cap);
        self.at = now + self.interval;
    }
}
