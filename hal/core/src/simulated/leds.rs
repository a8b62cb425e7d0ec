//! Lights that can be read back.

use std::collections::HashMap;

use super::Condition;
use super::shared::Shared;
use crate::controls::{Led, LedState, Leds};
use crate::error::{DeviceError, DeviceKind};

/// Every light that a room may have; all start dark.
#[derive(Clone, Default)]
pub struct SimulatedLeds {
    state: Shared<LedsState>,
}

#[derive(Default)]
struct LedsState {
    shown: HashMap<Led, LedState>,
    condition: Condition,
}

impl SimulatedLeds {
    /// Dark lights.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a light shows now.
    #[must_use]
    pub fn shown(&self, led: Led) -> LedState {
        self.state
            .lock()
            .shown
            .get(&led)
            .copied()
            .unwrap_or_default()
    }

    /// Unplugs the lights, makes them stall, or lets them work again. Unplugged, they go dark.
    pub fn set_condition(&self, condition: Condition) {
        let mut state = self.state.lock();
        state.condition = condition;
        match condition {
            Condition::Working | Condition::Stalled => {}
            Condition::Unplugged => state.shown.clear(),
        }
    }
}

impl Leds for SimulatedLeds {
    fn show(&mut self, led: Led, state: LedState) -> Result<(), DeviceError> {
        let mut leds = self.state.lock();
        leds.condition.check(DeviceKind::Leds)?;
        leds.shown.insert(led, state);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_light_shows_what_it_was_told_until_it_is_unplugged() {
        let mut leds = SimulatedLeds::new();
        assert_eq!(leds.shown(Led::Mute), LedState::Off);
        leds.show(Led::Mute, LedState::On).unwrap();
        leds.show(Led::Ring, LedState::Blinking).unwrap();
        assert_eq!(leds.shown(Led::Mute), LedState::On);
        assert_eq!(leds.shown(Led::Ring), LedState::Blinking);
        leds.set_condition(Condition::Unplugged);
        assert_eq!(
            leds.show(Led::Mute, LedState::On),
            Err(DeviceError::Gone(DeviceKind::Leds))
        );
        leds.set_condition(Condition::Working);
        assert_eq!(leds.shown(Led::Mute), LedState::Off);
    }
}
