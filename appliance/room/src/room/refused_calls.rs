//! Calls that signalling has refused before they became legs: people see that somebody has called.

use std::time::Instant;

use super::Room;
use crate::leg::Leg;
use crate::leg_state::{CallDirection, EndReason, LegState};
use crate::peer::Peer;

impl Room {
    /// A caller that tries again and again takes one place among the last legs.
    pub(super) fn incoming_refused(
        &mut self,
        now: Instant,
        peer: Peer,
        account: String,
        reason: EndReason,
    ) {
        let last_ended = &mut self.current.last_ended;
        let again = last_ended.first().is_some_and(|last| {
            last.direction == CallDirection::Incoming
                && last.peer == peer
                && last.state == LegState::Ended(reason)
        });
        if again {
            last_ended.remove(0);
        }
        let id = self.reserve_leg();
        let leg = Leg::refused_before_ringing(id, peer, account, reason, now);
        self.legs.push(leg);
    }
}
