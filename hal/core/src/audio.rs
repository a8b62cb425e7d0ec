//! Microphones, loudspeakers and their sound.

use std::time::{Duration, Instant};

use crate::error::DeviceError;

/// Samples per second of every audio device.
pub const SAMPLE_RATE_HZ: u32 = 48_000;

/// Samples in one frame.
pub const FRAME_SAMPLES: usize = 480;

/// The time that one frame lasts.
pub const FRAME_DURATION: Duration = Duration::from_millis(10);

/// 10 ms of sound: one channel of signed 16-bit samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioFrame {
    /// When the first sample was heard, or is to be played.
    pub captured: Instant,
    /// The samples.
    pub samples: [i16; FRAME_SAMPLES],
}

/// Takes sound.
///
/// The owner asks for [`frame`](Self::frame) once each [`FRAME_DURATION`].
pub trait Microphone: Send {
    /// The 10 ms of sound that end about now.
    ///
    /// # Errors
    /// [`DeviceError::Gone`] and [`DeviceError::Stalled`]; the owner goes on asking.
    fn frame(&mut self, now: Instant) -> Result<AudioFrame, DeviceError>;
}

/// Plays sound.
///
/// The owner hands over each frame when it is due, after mixer and volume. A gap between frames is
/// heard as silence.
pub trait Loudspeaker: Send {
    /// Plays 10 ms.
    ///
    /// # Errors
    /// [`DeviceError::Gone`] and [`DeviceError::Stalled`]; the frame is lost, the next may play.
    fn play(&mut self, frame: &AudioFrame) -> Result<(), DeviceError>;
}
