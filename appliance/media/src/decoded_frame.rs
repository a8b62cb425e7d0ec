//! A decoded picture, readable without a copy.

use std::time::Instant;

use gst_video::prelude::*;

/// One picture of a far end, as the decoder gave it. Holds the decoder's memory: drop it soon.
#[derive(Debug)]
pub struct DecodedFrame {
    frame: gst_video::VideoFrame<gst_video::video_frame::Readable>,
    decoded: Instant,
}

impl DecodedFrame {
    pub(crate) fn new(sample: &gst::Sample, decoded: Instant) -> Option<Self> {
        let info = gst_video::VideoInfo::from_caps(sample.caps()?).ok()?;
        let buffer = sample.buffer_owned()?;
        let frame = gst_video::VideoFrame::from_buffer_readable(buffer, &info).ok()?;
        Some(Self { frame, decoded })
    }

    /// When the decoder was done with it.
    #[must_use]
    pub fn decoded(&self) -> Instant {
        self.decoded
    }

    /// Pixels in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.frame.width() as usize
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.frame.height() as usize
    }

    /// Bytes from one row of luma to the next; at least [`width`](Self::width).
    #[must_use]
    pub fn stride(&self) -> usize {
        usize::try_from(self.frame.plane_stride()[0]).unwrap_or(0)
    }

    /// The luma plane: rows of [`stride`](Self::stride) bytes.
    #[must_use]
    pub fn luma(&self) -> &[u8] {
        self.frame.plane_data(0).unwrap_or(&[])
    }

    /// One row of luma; empty below the picture.
    #[must_use]
    pub fn luma_row(&self, row: usize) -> &[u8] {
        let start = row.saturating_mul(self.stride());
        self.luma()
            .get(start..start.saturating_add(self.width()))
            .unwrap_or(&[])
    }
}
