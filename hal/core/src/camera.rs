//! Cameras and their pictures.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::error::DeviceError;

/// Width and height of a picture in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PictureSize {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl PictureSize {
    /// 1280x720.
    pub const HD720: Self = Self {
        width: 1280,
        height: 720,
    };

    /// Bytes of the luma plane, without padding.
    #[must_use]
    pub const fn luma_bytes(self) -> usize {
        self.width * self.height
    }

    /// Bytes of a whole I420 picture, without padding. Both sides must be even.
    #[must_use]
    pub const fn i420_bytes(self) -> usize {
        self.luma_bytes() / 2 * 3
    }
}

impl fmt::Display for PictureSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// One picture.
#[derive(Clone, Debug)]
pub struct VideoFrame {
    /// When the picture was taken.
    pub captured: Instant,
    /// Its size.
    pub size: PictureSize,
    /// I420: luma, then blue and red difference at half the width and height, rows without
    /// padding, limited range. Cloning shares it.
    pub i420: Bytes,
}

/// Takes pictures.
///
/// The owner asks for [`frame`](Self::frame) once each [`frame_interval`](Self::frame_interval).
pub trait Camera: Send {
    /// The size of every picture.
    fn size(&self) -> PictureSize;

    /// The time from one picture to the next.
    fn frame_interval(&self) -> Duration;

    /// The picture of this moment.
    ///
    /// # Errors
    /// [`DeviceError::Gone`] and [`DeviceError::Stalled`]; the owner goes on asking, so that the
    /// camera is back as soon as it answers again.
    fn frame(&mut self, now: Instant) -> Result<VideoFrame, DeviceError>;
}
