//! Congestion control of SIP legs, as the driver deals with it.

use room::Fact;
use room::media_plan::VideoRole;

use super::Driver;
use super::guests::media_gate;
use crate::congestion_control::Change;
use crate::media_ports::leg_congestion::CongestionEvent;

impl Driver {
    /// Takes in what congestion control of a leg has found.
    pub(super) fn take_congestion_event(&mut self, event: CongestionEvent) {
        let leg = event.leg;
        match event.change {
            Change::Target(role, target) => {
                self.queue
                    .push_fact(Fact::VideoTarget { leg, role, target });
            }
            Change::Gate(gate) => {
                for role in VideoRole::ALL {
                    self.media.gate(leg, role, media_gate(gate));
                }
            }
            Change::StartOver => self.media.request_keyframe(leg),
        }
    }
}
