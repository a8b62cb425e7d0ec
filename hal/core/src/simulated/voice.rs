//! A synthetic voice: syllables with pitch and formants, breath and pauses. No words, but the level,
//! spectrum and rhythm that level meters, codecs and echo control expect of a talker.

use std::f32::consts::{PI, TAU};

use crate::audio::SAMPLE_RATE_HZ;

/// Full scale is 1.0: this leaves speech at about -26 dB with peaks well below clipping.
const LEVEL: f32 = 0.06;

/// An endless voice that depends on its seed only.
pub(super) struct Voice {
    random: Random,
    sound: Sound,
    /// Samples until the next sound begins.
    remaining: u32,
}

enum Sound {
    Pause,
    Syllable(Syllable),
}

struct Syllable {
    samples: u32,
    pitch_hz: f32,
    phase: f32,
    voiced: bool,
    formants: [Formant; 2],
}

impl Voice {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            sound: Sound::Pause,
            remaining: 0,
        }
    }

    /// The next sample.
    pub(super) fn sample(&mut self) -> i16 {
        if self.remaining == 0 {
            self.begin_sound();
        }
        self.remaining -= 1;
        match &mut self.sound {
            Sound::Pause => 0,
            Sound::Syllable(syllable) => {
                let value = syllable.sample(self.remaining, &mut self.random) * LEVEL;
                (value.clamp(-1.0, 1.0) * f32::from(i16::MAX)) as i16
            }
        }
    }

    fn begin_sound(&mut self) {
        let was_syllable = matches!(self.sound, Sound::Syllable(_));
        if was_syllable && self.random.between(0.0, 1.0) < 0.2 {
            self.sound = Sound::Pause;
            self.remaining = samples(self.random.between(0.1, 0.5));
        } else {
            let syllable = Syllable::new(&mut self.random);
            self.remaining = syllable.samples;
            self.sound = Sound::Syllable(syllable);
        }
    }
}

impl Syllable {
    fn new(random: &mut Random) -> Self {
        let voiced = random.between(0.0, 1.0) < 0.8;
        let formants = if voiced {
            [
                Formant::new(random.between(300.0, 800.0), 90.0),
                Formant::new(random.between(900.0, 2_400.0), 140.0),
            ]
        } else {
            [
                Formant::new(random.between(2_500.0, 4_000.0), 900.0),
                Formant::new(6_000.0, 1_500.0),
            ]
        };
        Self {
            samples: samples(random.between(0.12, 0.28)),
            pitch_hz: random.between(100.0, 190.0),
            phase: 0.0,
            voiced,
            formants,
        }
    }

    /// The sample that has `remaining` after it.
    fn sample(&mut self, remaining: u32, random: &mut Random) -> f32 {
        self.phase += self.pitch_hz / SAMPLE_RATE_HZ as f32;
        let pulse = if self.phase >= 1.0 { 12.0 } else { 0.0 };
        self.phase = self.phase.fract();
        let noise = random.between(-1.0, 1.0);
        let source = if self.voiced {
            pulse + 0.05 * noise
        } else {
            0.5 * noise
        };
        let sound: f32 = self
            .formants
            .iter_mut()
            .map(|formant| formant.step(source))
            .sum();
        sound * (PI * remaining as f32 / self.samples as f32).sin()
    }
}

/// A resonance of the mouth: a filter with two poles.
struct Formant {
    feedback: (f32, f32),
    gain: f32,
    past: (f32, f32),
}

impl Formant {
    fn new(centre_hz: f32, bandwidth_hz: f32) -> Self {
        let rate = SAMPLE_RATE_HZ as f32;
        let radius = (-PI * bandwidth_hz / rate).exp();
        let feedback = (
            2.0 * radius * (TAU * centre_hz / rate).cos(),
            -radius * radius,
        );
        Self {
            feedback,
            gain: 4.0 * (1.0 - radius),
            past: (0.0, 0.0),
        }
    }

    fn step(&mut self, input: f32) -> f32 {
        let output =
            self.gain * input + self.feedback.0 * self.past.0 + self.feedback.1 * self.past.1;
        self.past = (output, self.past.0);
        output
    }
}

/// SplitMix64: enough for sound, and the same on every machine.
struct Random(u64);

impl Random {
    fn between(&mut self, low: f32, high: f32) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        low + (high - low) * ((bits ^ bits >> 31) >> 40) as f32 / (1 << 24) as f32
    }
}

fn samples(seconds: f32) -> u32 {
    (seconds * SAMPLE_RATE_HZ as f32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(seed: u64) -> Vec<i16> {
        let mut voice = Voice::new(seed);
        (0..60 * SAMPLE_RATE_HZ).map(|_| voice.sample()).collect()
    }

    #[test]
    fn the_voice_has_the_level_of_a_talker_and_does_not_clip() {
        for seed in 0..4 {
            let sound = minute(seed);
            let power: f64 =
                sound.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / sound.len() as f64;
            let level = 10.0 * (power / 32_768.0_f64.powi(2)).log10();
            assert!(
                (-32.0..=-18.0).contains(&level),
                "seed {seed}: {level:.1} dB"
            );
            let clipped = sound.iter().filter(|s| s.unsigned_abs() >= 32_767).count();
            assert_eq!(clipped, 0, "seed {seed}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_voice_and_another_one_another() {
        assert!(minute(1) == minute(1));
        assert!(minute(1) != minute(2));
    }
}
