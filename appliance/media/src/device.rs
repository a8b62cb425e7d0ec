//! Frames that simulated devices and recordings exchange with the graph.

use std::time::Instant;

use bytes::Bytes;
use room::units::Resolution;
use tokio::sync::mpsc;

/// Samples of one [`AudioFrame`]: 10 ms at 48 kHz.
pub const AUDIO_FRAME_SAMPLES: usize = 480;

/// Samples per second of all sound between devices and encoders.
pub const SAMPLE_RATE_HZ: u32 = 48_000;

/// One raw picture.
#[derive(Clone, Debug)]
pub struct VideoFrame {
    /// When light fell on the sensor.
    pub captured: Instant,
    /// Width and height. The width is a multiple of 8 and the height even, so that planes need
    /// no padding; other frames are refused.
    pub resolution: Resolution,
    /// The planes Y, U and V of I420, without padding: `width * height * 3 / 2` bytes.
    pub i420: Bytes,
}

impl VideoFrame {
    /// Whether size and planes fit together.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let Resolution { width, height } = self.resolution;
        let fits = width > 0 && height > 0 && width % 8 == 0 && height % 2 == 0;
        let bytes = u128::from(width) * u128::from(height) * 3 / 2;
        fits && self.i420.len() as u128 == bytes
    }
}

/// 10 ms of sound, 48 kHz, one channel.
#[derive(Clone, Debug)]
pub struct AudioFrame {
    /// When the first sample was heard, or, for a loudspeaker, when it is due.
    pub captured: Instant,
    /// Signed 16-bit samples.
    pub samples: [i16; AUDIO_FRAME_SAMPLES],
}

/// The devices that roomd streams itself. Frames that do not fit into a channel are dropped by
/// whoever sends them.
#[derive(Debug, Default)]
pub struct DeviceStreams {
    /// Frames of the simulated camera, at the pace of the camera.
    pub camera: Option<mpsc::Receiver<VideoFrame>>,
    /// Frames of the simulated source of slides, at its pace.
    pub slides: Option<mpsc::Receiver<VideoFrame>>,
    /// Frames of the simulated microphone, one every 10 ms.
    pub microphone: Option<mpsc::Receiver<AudioFrame>>,
    /// Takes what the simulated loudspeaker plays, at the moment it plays it.
    pub loudspeaker: Option<mpsc::Sender<AudioFrame>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(width: u32, height: u32, bytes: usize) -> VideoFrame {
        let resolution = Resolution { width, height };
        VideoFrame {
            captured: Instant::now(),
            resolution,
            i420: Bytes::from(vec![0; bytes]),
        }
    }

    #[test]
    fn a_frame_is_well_formed_only_when_its_planes_have_exactly_its_size() {
        assert!(frame(640, 360, 345_600).is_well_formed());
        assert!(!frame(640, 360, 345_599).is_well_formed());
        assert!(!frame(641, 360, 346_140).is_well_formed());
        assert!(!frame(640, 359, 344_640).is_well_formed());
        assert!(!frame(0, 0, 0).is_well_formed());
        assert!(!frame(u32::MAX, u32::MAX, 0).is_well_formed());
    }
}
