//! A call whose floor control has lost its connection asks the far end for another, by re-INVITE
//! (RFC 8856 section 7.1). Which end asks, and how often, is the floor's matter.
//!
//! ```text
//!   stands ── lost ──► lost ── renew ──► asked for ── a new one is agreed ──► stands
//!                       ▲                    │ the far end refuses
//!                       └────────────────────┘
//! ```

use std::time::Instant;

use super::Established;
use crate::endpoint::{CallId, Endpoint};

/// Whether the far end is to be asked for another connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FloorRenewal {
    None,
    Wanted,
}

impl Established {
    /// Whether the far end is to be asked for a connection. Any offer of ours does so meanwhile, so
    /// that one for another reason may have settled it.
    pub(super) fn lacks_floor_connection(&self) -> bool {
        match self.floor_renewal {
            FloorRenewal::None => false,
            FloorRenewal::Wanted => self.session.has_lost_floor_connection(),
        }
    }
}

impl Endpoint {
    /// The connection of a call's floor control is no more.
    pub(crate) fn lose_floor_connection(&mut self, call: CallId) {
        // One of early media is not agreed for good.
        if let Ok(established) = self.established_mut(call) {
            established.session.lose_floor_connection();
            established.floor_renewal = FloorRenewal::None;
        }
    }

    /// Asks for another one; [`MediaChanged`](crate::endpoint::Event::MediaChanged) follows.
    pub(crate) fn renew_floor_connection(&mut self, now: Instant, call: CallId) {
        if let Ok(established) = self.established_mut(call) {
            established.floor_renewal = FloorRenewal::Wanted;
            self.drive_reinvite(now, call);
        }
    }
}
