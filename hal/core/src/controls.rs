//! Buttons and lights.
//!
//! What a button means is the room's to decide: a device reports only which one moved.

use std::time::Instant;

use crate::error::DeviceError;

/// The buttons that a room may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Button {
    /// Joins the meeting, or answers what is ringing.
    Join,
    /// Leaves the meeting, or declines what is ringing.
    HangUp,
    /// The microphone's mute.
    Mute,
    /// Louder.
    VolumeUp,
    /// Quieter.
    VolumeDown,
}

/// Which way a button moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ButtonEdge {
    /// It went down.
    Pressed,
    /// It came up.
    Released,
}

/// A button that moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ButtonEvent {
    /// Which button.
    pub button: Button,
    /// Which way.
    pub edge: ButtonEdge,
    /// When, as the device saw it; bounces are already taken out.
    pub at: Instant,
}

/// The room's buttons. The owner reads events until there is none, whenever the device wakes it.
pub trait Buttons: Send {
    /// The oldest event that was not read yet.
    ///
    /// # Errors
    /// [`DeviceError::Gone`]; a button that was down then counts as released.
    fn next_event(&mut self) -> Result<Option<ButtonEvent>, DeviceError>;
}

/// The lights that a room may have, named as USB HID does (LED page: off-hook, mute, ring).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Led {
    /// The room is in a meeting.
    OffHook,
    /// The microphone is muted.
    Mute,
    /// Somebody calls.
    Ring,
}

/// What a light shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LedState {
    /// Dark.
    #[default]
    Off,
    /// Steadily lit.
    On,
    /// Lit on and off, by the device itself.
    Blinking,
}

/// The room's lights. The owner calls [`show`](Self::show) at each change of the room's snapshot,
/// and shows everything again when the device came back.
pub trait Leds: Send {
    /// Makes a light show `state` until the next call.
    ///
    /// # Errors
    /// [`DeviceError::Gone`].
    fn show(&mut self, led: Led, state: LedState) -> Result<(), DeviceError>;
}
