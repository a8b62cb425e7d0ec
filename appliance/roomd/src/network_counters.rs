//! What came from the network and was not used, counted since the start.
//!
//! Shared by those who count (the leg transports, the driver) and the API that shows it: bad input
//! changes nothing else, so the counts are how an operator learns of it.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

use sip::endpoint::Statistics;

/// What happened to media datagrams, of all legs.
#[derive(Debug, Default)]
pub struct DatagramCounters {
    /// Handed to media.
    pub received: AtomicU64,
    /// Sent to the peer.
    pub sent: AtomicU64,
    /// Dropped: no valid SRTP tag.
    pub unauthenticated: AtomicU64,
    /// Dropped: not from the stream's address.
    pub foreign: AtomicU64,
    /// Dropped: media was too slow to take it.
    pub overrun: AtomicU64,
}

/// What happened to everything that came from the network.
#[derive(Debug, Default)]
pub struct NetworkCounters {
    /// Media.
    pub datagrams: DatagramCounters,
    sip: Mutex<Statistics>,
}

impl NetworkCounters {
    /// Shows what the SIP endpoint has dropped so far.
    pub fn set_sip(&self, statistics: Statistics) {
        *self.sip.lock().unwrap_or_else(PoisonError::into_inner) = statistics;
    }

    /// What the SIP endpoint has dropped.
    #[must_use]
    pub fn sip(&self) -> Statistics {
        *self.sip.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
