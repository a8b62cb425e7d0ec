//! Legs that are over before they began: shown among the last ones, with the reason.

use std::time::Instant;

use super::{Leg, State};
use crate::ids::LegId;
use crate::leg_state::{CallDirection, EndReason};
use crate::peer::Peer;
use crate::policy::CallTarget;

impl Leg {
    /// A call that will not be placed.
    pub(crate) fn not_placed(id: LegId, call: CallTarget, reason: EndReason, now: Instant) -> Self {
        let state = State::Ended(reason);
        let mut leg = Self::outgoing(id, &call.target, call.account, state, now);
        leg.ended = Some(now);
        leg
    }

    /// A call that came in, and was refused before it rang.
    pub(crate) fn refused_before_ringing(
        id: LegId,
        peer: Peer,
        account: String,
        reason: EndReason,
        now: Instant,
    ) -> Self {
        let state = State::Ended(reason);
        let direction = CallDirection::Incoming;
        let mut leg = Self::new(id, direction, peer, Some(account), state, now);
        leg.ended = Some(now);
        leg
    }
}
