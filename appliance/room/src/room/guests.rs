//! Guests who come to the room by a link.
//!
//! ```text
//!             knocks, and has to be let in            let in
//!  (no leg) ──────────────────────────────► Incoming ────────► Answering ──► Connected
//!     │                                        │ declined, nobody answers      ▲
//!     │ room full, shutting down               ▼                               │
//!     └─────────────────────────────────►   Ending      comes in unasked ──────┘ by Answering
//! ```
//!
//! While Answering, from the answer on, its media is made ready. From Connected on a guest is a leg
//! like any other. Guests have a number of their own: they neither take the place of a call, nor does
//! a call take theirs.

use std::time::Instant;

use super::{MAX_LEGS, Reception, Room};
use crate::guest::{Guest, GuestAdmission, LegKind};
use crate::ids::LegId;
use crate::leg::Leg;

impl Room {
    pub(super) fn guest_knocks(&mut self, now: Instant, id: LegId, guest: &Guest) {
        if self.legs.iter().any(|leg| leg.id() == id) {
            return;
        }
        let reception = self.receive_guest(guest.admission);
        let leg = Leg::guest(id, guest, &self.turn(now));
        self.take_in(now, leg, reception);
    }

    fn receive_guest(&self, admission: GuestAdmission) -> Reception {
        if !self.shutdown.is_running() {
            return Reception::ShuttingDown;
        }
        let most = usize::from(self.policy.guests.max_guests);
        if self.taken_legs(LegKind::Guest) >= most || self.legs.len() >= MAX_LEGS {
            return Reception::Busy;
        }
        match admission {
            GuestAdmission::Unasked => Reception::Answer { placed: None },
            GuestAdmission::Ask => Reception::Ring,
        }
    }
}
