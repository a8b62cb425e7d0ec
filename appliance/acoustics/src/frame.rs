//! The unit of work: 10 ms of one channel.

/// Samples per second of every signal in this crate.
pub const SAMPLE_RATE_HZ: u32 = 48_000;

/// Samples of one channel in 10 ms.
pub const FRAME_SAMPLES: usize = 480;

/// 10 ms of one channel, full scale at -1.0 and 1.0.
pub type Frame = [f32; FRAME_SAMPLES];

/// Full scale of signed 16-bit samples.
const PCM16_FULL_SCALE: f32 = 32_768.0;

/// Converts signed 16-bit samples to a frame.
#[must_use]
pub fn from_pcm16(samples: &[i16; FRAME_SAMPLES]) -> Frame {
    samples.map(|sample| f32::from(sample) / PCM16_FULL_SCALE)
}

/// Converts a frame to signed 16-bit samples. Values beyond full scale clip; a NaN becomes 0.
#[must_use]
pub fn to_pcm16(frame: &Frame) -> [i16; FRAME_SAMPLES] {
    // A float-to-integer cast saturates and maps NaN to 0, which is what is wanted here.
    frame.map(|sample| (sample * PCM16_FULL_SCALE).round() as i16)
}

/// Copies `from` with everything that is not a number taken out, and the rest held to full scale.
///
/// One NaN that enters a recursive filter stays there for ever: the room would be mute until the
/// process restarts. So nothing reaches a filter before it has passed here.
pub(crate) fn copy_bounded(from: &Frame, to: &mut Frame) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = bounded(from);
    }
}

/// One sample held to full scale; 0 for anything that is not a finite number.
pub(crate) fn bounded(sample: f32) -> f32 {
    if sample.is_finite() {
        sample.clamp(-1.0, 1.0)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bit_samples_survive_the_round_trip() {
        for value in [i16::MIN, -12_345, -1, 0, 1, 12_345, i16::MAX] {
            let samples = [value; FRAME_SAMPLES];
            assert_eq!(to_pcm16(&from_pcm16(&samples)), samples);
        }
    }

    #[test]
    fn samples_beyond_full_scale_clip_instead_of_wrapping() {
        assert_eq!(to_pcm16(&[2.0; FRAME_SAMPLES])[0], i16::MAX);
        assert_eq!(to_pcm16(&[-2.0; FRAME_SAMPLES])[0], i16::MIN);
        assert_eq!(to_pcm16(&[f32::NAN; FRAME_SAMPLES])[0], 0);
    }

    #[test]
    fn what_is_not_a_number_becomes_silence() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(bounded(value), 0.0);
        }
        assert_eq!(bounded(f32::MAX), 1.0);
        assert_eq!(bounded(-0.25), -0.25);
    }
}
