//! Calls remembered from before a restart, and what becomes of each.

use std::time::Instant;

use super::Room;
use crate::fact::Glare;
use crate::leg::Leg;
use crate::leg_state::EndReason;
use crate::policy::CallTarget;
use crate::request::Admission;
use crate::resumption::WantedCall;

impl Room {
    /// The remembered call whose place this one takes. Any other call means that the remembered ones are
    /// no longer wanted.
    pub(super) fn take_remembered(&mut self, call: &CallTarget) -> WantedCall {
        match self.not_resumed_index(call) {
            Some(index) => self.not_resumed.remove(index),
            None => {
                self.not_resumed.clear();
                WantedCall::new(call.clone())
            }
        }
    }

    /// A call that was answered here is tried once: where it cannot be placed, by now its far end gives
    /// it up as well. A call that was asked for here stays wanted.
    pub(super) fn forget_unless_placed(&mut self, call: &CallTarget, admission: Admission) {
        match admission {
            Admission::Accepted { .. } => {}
            Admission::AlreadySo | Admission::Denied(_) => {
                self.not_resumed
                    .retain(|wanted| !(wanted.is_answered() && wanted.call == *call));
            }
        }
    }

    /// Such a call outranks nobody who rings: that may be its own far end, which calls anew.
    pub(super) fn is_remembered_as_answered(&self, call: &CallTarget) -> bool {
        let remembered = self.not_resumed_index(call);
        remembered.is_some_and(|index| self.not_resumed[index].is_answered())
    }

    pub(super) fn not_resumed(&mut self, now: Instant, call: CallTarget, reason: EndReason) {
        if let Some(index) = self.not_resumed_index(&call) {
            self.not_resumed.remove(index);
        }
        let id = self.reserve_leg();
        self.legs.push(Leg::not_placed(id, call, reason, now));
    }

    /// Both ends of a call were killed: the caller does not know the old dialog either, and calls anew
    /// while this room still asks for the old one, which nobody has. Whichever Call-ID is the smaller,
    /// only the caller's call can come to anything, and it is received like any other.
    pub(super) fn give_way_to_caller_of_answered_call(
        &mut self,
        now: Instant,
        glare: Option<Glare>,
    ) {
        let own = glare.and_then(|glare| self.dialed_leg(glare.placed));
        if let Some(own) = own.filter(|own| self.legs[*own].resumes_answered_call()) {
            self.at_leg(now, own, Leg::give_way);
        }
    }

    fn not_resumed_index(&self, call: &CallTarget) -> Option<usize> {
        self.not_resumed
            .iter()
            .position(|remembered| remembered.call == *call)
    }
}
