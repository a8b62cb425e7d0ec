//! Devices without hardware, complete enough to hold a meeting with.
//!
//! A clone is the same device: one belongs to the device's owner, another to whoever simulates, who
//! unplugs the device, makes it stall or plugs it in again as [`Condition`] says, presses its buttons
//! and reads what it was given. What a device delivers depends only on its settings and on the moments
//! at which it is asked.

mod buttons;
mod camera;
mod canvas;
mod echo_path;
mod font;
mod leds;
mod loudspeaker;
mod microphone;
mod picture_pool;
mod scene;
mod shared;
mod slides;
mod voice;

pub use buttons::SimulatedButtons;
pub use camera::{CameraSettings, SimulatedCamera};
pub use echo_path::{EchoPath, EchoReceiver, EchoSender};
pub use leds::SimulatedLeds;
pub use loudspeaker::SimulatedLoudspeaker;
pub use microphone::{SimulatedMicrophone, SoundSource};
pub use slides::{SimulatedSlides, SlidesSettings};

use crate::error::{DeviceError, DeviceKind};

/// How a simulated device is doing.
///
/// ```text
///             ┌──────── plugged in, recovered ───────┐
///             ▼                                      │
///         Working ── stalls ──► Stalled ── pulled ──► Unplugged
///             └───────────────── pulled ─────────────►┘
/// ```
/// Any condition may follow any other: whoever simulates decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Condition {
    /// It works.
    #[default]
    Working,
    /// It is plugged in, but neither delivers nor takes anything: hung firmware, a bad cable.
    Stalled,
    /// It is not there.
    Unplugged,
}

impl Condition {
    /// What a device in this condition answers.
    fn check(self, device: DeviceKind) -> Result<(), DeviceError> {
        match self {
            Self::Working => Ok(()),
            Self::Stalled => Err(DeviceError::Stalled(device)),
            Self::Unplugged => Err(DeviceError::Gone(device)),
        }
    }
}
