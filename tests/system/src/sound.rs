//! Sound as samples, and how alike two sounds are.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// One channel of sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// Samples per second.
    pub sample_rate: u32,
    /// Samples between -1 and 1.
    pub samples: Vec<f32>,
}

/// Where one sound was found in another, and how well it fits there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correlation {
    /// 1 is the same shape, 0 is unrelated (normalised cross-correlation).
    pub coefficient: f32,
    /// Where the excerpt fits best, in seconds from the start of the reference.
    pub offset_seconds: f32,
}

/// Correlation is taken at this rate: what tells words apart lies below 3.6 kHz, and cost grows with
/// the square of the rate. Every codec has a multiple of it.
const CORRELATION_RATE: u32 = 8_000;
/// Correlation begins here, in Hz. Below lies the pitch of a voice, which every echo canceller's
/// high-pass turns by up to half a period: nobody hears it, but the shape of the wave is another.
const SPEECH_BAND_BEGIN: f32 = 300.0;
/// A quieter second is a pause.
const LEAST_LEVEL: f32 = 0.003;

impl Sound {
    /// No sound at all.
    #[must_use]
    pub fn silence(sample_rate: u32, seconds: f32) -> Self {
        let count = (seconds * sample_rate as f32) as usize;
        Self {
            sample_rate,
            samples: vec![0.0; count],
        }
    }

    /// A sine wave of that frequency in Hz, at half of full scale.
    #[must_use]
    pub fn tone(sample_rate: u32, frequency: f32, seconds: f32) -> Self {
        let mut tone = Self::silence(sample_rate, seconds);
        let step = std::f32::consts::TAU * frequency / sample_rate as f32;
        for (index, sample) in tone.samples.iter_mut().enumerate() {
            *sample = 0.5 * (step * index as f32).sin();
        }
        tone
    }

    /// Reads a 16-bit WAV file; several channels become their mean.
    ///
    /// # Errors
    /// When it is no such file.
    pub fn read(path: &Path) -> Result<Self> {
        let mut reader = hound::WavReader::open(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let format = reader.spec();
        ensure!(
            format.bits_per_sample == 16,
            "{} is not of 16 bits",
            path.display()
        );
        let samples = reader.samples::<i16>().collect::<Result<Vec<i16>, _>>()?;
        let channels = usize::from(format.channels.max(1));
        let mean = |frame: &[i16]| {
            frame.iter().map(|sample| f32::from(*sample)).sum::<f32>() / channels as f32 / 32_768.0
        };
        let samples = samples.chunks_exact(channels).map(mean).collect();
        Ok(Self {
            sample_rate: format.sample_rate,
            samples,
        })
    }

    /// Reads bare 16-bit samples, low byte first, of one channel; without any, it is no sound.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read_samples(path: &Path, sample_rate: u32) -> Result<Self> {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let (samples, _) = bytes.as_chunks::<2>();
        let sample = |bytes: &[u8; 2]| f32::from(i16::from_le_bytes(*bytes)) / 32_768.0;
        Ok(Self {
            sample_rate,
            samples: samples.iter().map(sample).collect(),
        })
    }

    /// Writes a 16-bit WAV file of one channel.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let format = hound::WavSpec {
            channels: 1,
            sample_rate: self.sample_rate,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(path, format)
            .with_context(|| format!("cannot write {}", path.display()))?;
        for sample in &self.samples {
            // The cast saturates; full scale is 1.
            writer.write_sample((sample * 32_767.0).round() as i16)?;
        }
        Ok(writer.finalize()?)
    }

    /// How long it lasts.
    #[must_use]
    pub fn seconds(&self) -> f32 {
        self.samples.len() as f32 / self.sample_rate as f32
    }

    /// The part from `start` that lasts `length`, both in seconds; shorter where the sound ends.
    #[must_use]
    pub fn excerpt(&self, start: f32, length: f32) -> Self {
        let at =
            |seconds: f32| ((seconds * self.sample_rate as f32) as usize).min(self.samples.len());
        let samples = self.samples[at(start)..at(start + length).max(at(start))].to_vec();
        Self {
            sample_rate: self.sample_rate,
            samples,
        }
    }

    /// The sound again and again, for that many seconds.
    #[must_use]
    pub fn repeated(&self, seconds: f32) -> Self {
        let count = (seconds * self.sample_rate as f32) as usize;
        let samples = self.samples.iter().copied().cycle().take(count).collect();
        Self {
            sample_rate: self.sample_rate,
            samples,
        }
    }

    /// This sound for that many seconds, cut off or with silence at its end.
    #[must_use]
    pub fn lasting(mut self, seconds: f32) -> Self {
        let count = (seconds * self.sample_rate as f32) as usize;
        self.samples.resize(count, 0.0);
        self
    }

    /// This sound and then the other, which has the same rate.
    ///
    /// # Errors
    /// When it has another rate.
    pub fn followed_by(mut self, other: &Self) -> Result<Self> {
        ensure!(
            self.sample_rate == other.sample_rate,
            "{} Hz does not go on with {} Hz",
            self.sample_rate,
            other.sample_rate
        );
        self.samples.extend_from_slice(&other.samples);
        Ok(self)
    }

    /// Root mean square, 0 to 1.
    #[must_use]
    pub fn level(&self) -> f32 {
        let energy: f32 = self.samples.iter().map(|sample| sample * sample).sum();
        (energy / self.samples.len().max(1) as f32).sqrt()
    }

    /// The sound at a lower rate, by a windowed-sinc low-pass.
    ///
    /// # Errors
    /// When `rate` does not divide the sound's own.
    pub fn decimated(&self, rate: u32) -> Result<Self> {
        if rate == 0 || !self.sample_rate.is_multiple_of(rate) {
            bail!("{rate} Hz does not divide {} Hz", self.sample_rate);
        }
        let factor = (self.sample_rate / rate) as usize;
        let filter = low_pass(0.45 / factor as f32, 16 * factor as i32);
        let delay = filter.len() / 2;
        let filtered = |centre: usize| {
            let products = filter.iter().enumerate().filter_map(|(index, weight)| {
                let position = (centre + index).checked_sub(delay)?;
                Some(weight * self.samples.get(position)?)
            });
            products.sum::<f32>()
        };
        let samples = (0..self.samples.len())
            .step_by(factor)
            .map(filtered)
            .collect();
        Ok(Self {
            sample_rate: rate,
            samples,
        })
    }

    /// How clearly `said`, heard from its start again and again, is heard in this sound: the
    /// correlation of the second that fits best. 0 when this sound is silence.
    ///
    /// # Errors
    /// When rates do not divide by 8 kHz and so cannot be compared.
    pub fn clearest_second(&self, said: &Self) -> Result<f32> {
        // A second that begins at the end of what was said goes on at its start.
        let said = said.repeated(said.seconds() + 1.0);
        let mut clearest: f32 = 0.0;
        for second in 0..self.seconds() as u32 {
            let heard = self.excerpt(second as f32, 1.0);
            if heard.level() > LEAST_LEVEL {
                clearest = clearest.max(said.correlation(&heard)?.coefficient);
            }
        }
        Ok(clearest)
    }

    /// Where `excerpt` fits best into this sound, whatever its level, in the band of speech that
    /// telephones carry (300 Hz to 3.6 kHz).
    ///
    /// # Errors
    /// When rates do not divide by 8 kHz and so cannot be compared, the excerpt is longer than this
    /// sound, or one of them is silent.
    pub fn correlation(&self, excerpt: &Self) -> Result<Correlation> {
        let reference = self.speech_band()?.samples;
        let excerpt = excerpt.speech_band()?.samples;
        ensure!(
            !excerpt.is_empty() && excerpt.len() <= reference.len(),
            "nothing to compare"
        );
        let excerpt_energy: f32 = excerpt.iter().map(|sample| sample * sample).sum();
        ensure!(excerpt_energy > 1e-6, "the excerpt is silent");
        let coefficient = |window: &[f32]| {
            let (mut product, mut energy) = (0.0, 0.0);
            for (a, b) in window.iter().zip(&excerpt) {
                product += a * b;
                energy += a * a;
            }
            if energy > 1e-6 {
                product / (energy * excerpt_energy).sqrt()
            } else {
                0.0
            }
        };
        let coefficients: Vec<f32> = reference.windows(excerpt.len()).map(coefficient).collect();
        let best = (0..coefficients.len())
            .max_by(|a, b| coefficients[*a].total_cmp(&coefficients[*b]))
            .context("nothing to compare")?;
        let (beside, coefficient) = peak(&coefficients, best);
        Ok(Correlation {
            coefficient,
            offset_seconds: (best as f32 + beside) / CORRELATION_RATE as f32,
        })
    }

    fn speech_band(&self) -> Result<Self> {
        let mut band = if self.sample_rate == CORRELATION_RATE {
            self.clone()
        } else {
            self.decimated(CORRELATION_RATE)?
        };
        // A high-pass is what a low-pass leaves.
        let cut_off = SPEECH_BAND_BEGIN / CORRELATION_RATE as f32;
        let below = filtered(&band.samples, &low_pass(cut_off, 120));
        for (sample, below) in band.samples.iter_mut().zip(below) {
            *sample -= below;
        }
        Ok(band)
    }
}

/// Where between samples the peak at `best` lies, and how high, by a parabola through its
/// neighbours.
fn peak(values: &[f32], best: usize) -> (f32, f32) {
    let at = |index: Option<usize>| index.and_then(|index| values.get(index)).copied();
    let centre = values[best];
    let (Some(before), Some(after)) = (at(best.checked_sub(1)), at(best.checked_add(1))) else {
        return (0.0, centre);
    };
    let bend = before - 2.0 * centre + after;
    if bend >= 0.0 {
        return (0.0, centre);
    }
    let beside = 0.5 * (before - after) / bend;
    (beside, (centre - 0.25 * (before - after) * beside).min(1.0))
}

/// The filter's output at each sample, as if there were silence around the sound.
fn filtered(samples: &[f32], filter: &[f32]) -> Vec<f32> {
    let delay = filter.len() / 2;
    let at = |centre: usize| {
        let products = filter.iter().enumerate().filter_map(|(index, weight)| {
            let position = (centre + index).checked_sub(delay)?;
            Some(weight * samples.get(position)?)
        });
        products.sum()
    };
    (0..samples.len()).map(at).collect()
}

/// A low-pass at `cut_off` (1 is the sampling rate): sinc under a Hann window, `half` samples to
/// either side, of unit gain.
fn low_pass(cut_off: f32, half: i32) -> Vec<f32> {
    use std::f32::consts::PI;

    let tap = |n: i32| {
        let x = n as f32;
        let sinc = if n == 0 {
            2.0 * cut_off
        } else {
            (2.0 * PI * cut_off * x).sin() / (PI * x)
        };
        sinc * 0.5 * (1.0 + (PI * x / (half + 1) as f32).cos())
    };
    let taps: Vec<f32> = (-half..=half).map(tap).collect();
    let gain: f32 = taps.iter().sum();
    taps.iter().map(|tap| tap / gain).collect()
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::Sound;

    fn tone(frequency: f32, seconds: f32) -> Sound {
        let count = (seconds * 48_000.0) as usize;
        let samples = (0..count)
            .map(|n| 0.5 * (TAU * frequency * n as f32 / 48_000.0).sin())
            .collect();
        Sound {
            sample_rate: 48_000,
            samples,
        }
    }

    /// A tone that rises: it fits in one place only.
    fn chirp(seconds: f32) -> Sound {
        let count = (seconds * 48_000.0) as usize;
        let phase = |n: usize| {
            let t = n as f32 / 48_000.0;
            TAU * (200.0 * t + 300.0 * t * t)
        };
        Sound {
            sample_rate: 48_000,
            samples: (0..count).map(|n| phase(n).sin() * 0.5).collect(),
        }
    }

    #[test]
    fn an_excerpt_is_found_where_it_was_taken_whatever_its_level() {
        let reference = chirp(3.0);
        let mut excerpt = reference.excerpt(1.25, 0.5);
        for sample in &mut excerpt.samples {
            *sample *= 0.1;
        }
        let found = reference.correlation(&excerpt).unwrap();
        assert!(found.coefficient > 0.99, "{found:?}");
        assert!((found.offset_seconds - 1.25).abs() < 0.002, "{found:?}");
    }

    #[test]
    fn a_place_between_two_samples_is_found_as_well() {
        let reference = chirp(3.0);
        // Half a sample of the rate at which sounds are compared.
        let found = reference
            .correlation(&reference.excerpt(1.25 + 0.000_062_5, 0.5))
            .unwrap();
        assert!(found.coefficient > 0.98, "{found:?}");
        let off = found.offset_seconds - 1.250_062_5;
        assert!(off.abs() < 0.000_03, "{found:?}");
    }

    #[test]
    fn a_voice_whose_pitch_was_turned_is_still_the_same() {
        let overtones = chirp(1.0);
        let with_pitch = |phase: f32| Sound {
            sample_rate: 48_000,
            samples: (0..48_000)
                .map(|n| (TAU * 120.0 * n as f32 / 48_000.0 + phase).sin() * 0.5)
                .zip(&overtones.samples)
                .map(|(pitch, overtone)| pitch + overtone)
                .collect(),
        };
        let turned = with_pitch(3.0).excerpt(0.3, 0.4);
        let found = with_pitch(0.0).correlation(&turned).unwrap();
        assert!(found.coefficient > 0.95, "{found:?}");
    }

    #[test]
    fn turns_follow_each_other() {
        let turn = tone(440.0, 0.5).lasting(0.2);
        let silence = Sound::silence(48_000, 0.1).lasting(0.3);
        let both = turn.followed_by(&silence).unwrap();
        assert_eq!(both.samples.len(), 24_000);
        assert!(both.excerpt(0.0, 0.2).level() > 0.3);
        assert!(both.excerpt(0.2, 0.3).level() == 0.0);
        assert!(both.followed_by(&Sound::silence(8_000, 1.0)).is_err());
    }

    #[test]
    fn unrelated_sounds_do_not_correlate() {
        let found = tone(440.0, 2.0).correlation(&tone(1_200.0, 0.5)).unwrap();
        assert!(found.coefficient < 0.1, "{found:?}");
    }

    #[test]
    fn silence_is_refused_instead_of_compared() {
        let silence = Sound {
            sample_rate: 48_000,
            samples: vec![0.0; 24_000],
        };
        assert!(tone(440.0, 2.0).correlation(&silence).is_err());
    }

    #[test]
    fn decimation_keeps_what_is_heard_and_drops_what_would_alias() {
        let low = tone(1_000.0, 1.0).decimated(16_000).unwrap();
        let high = tone(15_000.0, 1.0).decimated(16_000).unwrap();
        assert!((low.excerpt(0.2, 0.5).level() - 0.5 / 2.0_f32.sqrt()).abs() < 0.01);
        assert!(high.excerpt(0.2, 0.5).level() < 0.001);
    }

    #[test]
    fn what_was_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tone.wav");
        let sound = tone(440.0, 0.1);
        sound.write(&path).unwrap();
        let read = Sound::read(&path).unwrap();
        assert_eq!(read.samples.len(), sound.samples.len());
        let error = read
            .samples
            .iter()
            .zip(&sound.samples)
            .map(|(a, b)| (a - b).abs());
        assert!(error.fold(0.0, f32::max) < 1e-3);
    }
}
