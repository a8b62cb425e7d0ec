//! What congestion control finds, as the driver deals with it.

use room::Fact;
use room::ids::LegId;
use room::media_plan::VideoRole;

use super::Driver;
use crate::congestion_control::Change;
use crate::media_ports::leg_congestion::CongestionEvent;

impl Driver {
    /// Takes in what congestion control of a SIP leg has found.
    pub(super) fn take_congestion_event(&mut self, event: CongestionEvent) {
        let leg = event.leg;
        match event.change {
            Change::Target(role, target) => {
                self.queue
                    .push_fact(Fact::VideoTarget { leg, role, target });
            }
            Change::Gate(gate) => self.set_gate(leg, gate),
            Change::StartOver => self.media.request_keyframe(leg),
        }
    }

    /// Opens or closes the way of a leg's pictures.
    pub(super) fn set_gate(&self, leg: LegId, gate: congestion::Gate) {
        let gate = match gate {
            congestion::Gate::Open => media::Gate::Open,
            congestion::Gate::Closed => media::Gate::Closed,
        };
        for role in VideoRole::ALL {
            self.media.gate(leg, role, gate);
        }
    }
}
