//! Buttons that are pressed by a call.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Condition;
use super::shared::Shared;
use crate::controls::{Button, ButtonEdge, ButtonEvent, Buttons};
use crate::error::{DeviceError, DeviceKind};

/// A finger stays on a button for about this long.
const HELD: Duration = Duration::from_millis(80);
/// More events than anybody could press between two reads.
const MOST_EVENTS: usize = 64;

/// Every button that a room may have.
#[derive(Clone, Default)]
pub struct SimulatedButtons {
    state: Shared<ButtonsState>,
}

#[derive(Default)]
struct ButtonsState {
    events: VecDeque<ButtonEvent>,
    condition: Condition,
}

impl SimulatedButtons {
    /// Buttons that nobody has pressed yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Presses a button at `at` and releases it a moment later.
    ///
    /// # Errors
    /// [`DeviceError::Overrun`] when nobody reads the events.
    pub fn press(&self, button: Button, at: Instant) -> Result<(), DeviceError> {
        let mut state = self.state.lock();
        if state.events.len() + 2 > MOST_EVENTS {
            return Err(DeviceError::Overrun(DeviceKind::Buttons));
        }
        state.events.extend([
            ButtonEvent {
                button,
                edge: ButtonEdge::Pressed,
                at,
            },
            ButtonEvent {
                button,
                edge: ButtonEdge::Released,
                at: at + HELD,
            },
        ]);
        Ok(())
    }

    /// Unplugs the buttons, makes them stall, or lets them work again. What was pressed but not
    /// read is forgotten when they are unplugged.
    pub fn set_condition(&self, condition: Condition) {
        let mut state = self.state.lock();
        state.condition = condition;
        match condition {
            Condition::Working | Condition::Stalled => {}
            Condition::Unplugged => state.events.clear(),
        }
    }
}

impl Buttons for SimulatedButtons {
    fn next_event(&mut self) -> Result<Option<ButtonEvent>, DeviceError> {
        let mut state = self.state.lock();
        match state.condition {
            Condition::Working => Ok(state.events.pop_front()),
            // Buttons that hang look like buttons that nobody presses.
            Condition::Stalled => Ok(None),
            Condition::Unplugged => Err(DeviceError::Gone(DeviceKind::Buttons)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_press_is_read_as_down_and_up() {
        let mut buttons = SimulatedButtons::new();
        let at = Instant::now();
        buttons.press(Button::Join, at).unwrap();
        let down = buttons.next_event().unwrap().unwrap();
        let up = buttons.next_event().unwrap().unwrap();
        assert_eq!(
            down,
            ButtonEvent {
                button: Button::Join,
                edge: ButtonEdge::Pressed,
                at
            }
        );
        assert_eq!((up.button, up.edge), (Button::Join, ButtonEdge::Released));
        assert!(up.at > at);
        assert_eq!(buttons.next_event(), Ok(None));
    }

    #[test]
    fn presses_that_nobody_reads_take_bounded_memory() {
        let buttons = SimulatedButtons::new();
        let at = Instant::now();
        let refused = (0..100)
            .filter(|_| buttons.press(Button::Mute, at).is_err())
            .count();
        assert_eq!(refused, 100 - MOST_EVENTS / 2);
    }

    #[test]
    fn unplugging_forgets_what_was_pressed() {
        let mut buttons = SimulatedButtons::new();
        buttons.press(Button::HangUp, Instant::now()).unwrap();
        buttons.set_condition(Condition::Unplugged);
        assert_eq!(
            buttons.next_event(),
            Err(DeviceError::Gone(DeviceKind::Buttons))
        );
        buttons.set_condition(Condition::Working);
        assert_eq!(buttons.next_event(), Ok(None));
    }
}
