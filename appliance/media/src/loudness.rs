//! How loud a stretch of sound is.

use room::units::AudioLevel;

/// Adds up sound until it is read.
#[derive(Debug, Default)]
pub(crate) struct LoudnessMeter {
    energy: f64,
    samples: u64,
}

impl LoudnessMeter {
    /// Takes signed 16-bit samples in.
    pub(crate) fn add(&mut self, samples: &[i16]) {
        let squares = samples
            .iter()
            .map(|&sample| f64::from(sample) * f64::from(sample));
        self.energy += squares.sum::<f64>();
        self.samples += samples.len() as u64;
    }

    /// The level (RMS) since the last reading.
    pub(crate) fn take(&mut self) -> AudioLevel {
        let Self { energy, samples } = std::mem::take(self);
        if samples == 0 || energy <= 0.0 {
            return AudioLevel::SILENCE;
        }
        let rms = (energy / samples as f64).sqrt() / f64::from(i16::MAX);
        AudioLevel::dbfs(20.0 * rms.log10())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_scale_is_zero_half_scale_minus_six_and_silence_silent() {
        let mut meter = LoudnessMeter::default();
        meter.add(&[i16::MAX, -i16::MAX]);
        assert_eq!(meter.take(), AudioLevel::dbfs(0.0));
        meter.add(&[i16::MAX / 2; 480]);
        assert_eq!(meter.take(), AudioLevel::dbfs(-6.02));
        meter.add(&[0; 480]);
        assert_eq!(meter.take(), AudioLevel::SILENCE);
        assert_eq!(meter.take(), AudioLevel::SILENCE);
    }
}
