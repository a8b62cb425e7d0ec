//! What can be wrong with a device.

use std::fmt;

use crate::camera::PictureSize;

/// The devices of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// Takes the picture that goes out.
    Camera,
    /// Gives the slides that go out.
    Slides,
    /// Takes the sound that goes out.
    Microphone,
    /// Plays the far ends' sound.
    Loudspeaker,
    /// The room's buttons.
    Buttons,
    /// The lights beside the buttons.
    Leds,
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Camera => "camera",
            Self::Slides => "source of slides",
            Self::Microphone => "microphone",
            Self::Loudspeaker => "loudspeaker",
            Self::Buttons => "buttons",
            Self::Leds => "LEDs",
        })
    }
}

/// Why a device did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The device is unplugged. It may come back: ask again at the next tick.
    #[error("the {0} is gone")]
    Gone(DeviceKind),
    /// The device is there but delivers nothing. It may recover: ask again at the next tick.
    #[error("the {0} delivers nothing")]
    Stalled(DeviceKind),
    /// The device has no such format. Asking again will not help.
    #[error("the {0} cannot deliver {1}: {2}")]
    UnsupportedSize(DeviceKind, PictureSize, &'static str),
    /// More events wait than the device keeps; the newest was not taken.
    #[error("too many events of the {0} wait to be read")]
    Overrun(DeviceKind),
}
