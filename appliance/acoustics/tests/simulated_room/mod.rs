//! A seeded room for the front end's tests: talkers, walls, a loudspeaker and a microphone.
//!
//! The walls are a shoebox by the image-source method: every reflection is one delayed, weakened
//! copy. Everything follows from the seed, so a failing test is repeated by the seed it prints.

use acoustics::{FRAME_SAMPLES, Frame, SAMPLE_RATE_HZ};

/// Metres that sound travels in one sample.
const METRES_A_SAMPLE: f64 = 343.0 / SAMPLE_RATE_HZ as f64;
/// How many reflections in a row are followed, in each axis.
const REFLECTION_ORDER: i32 = 6;

/// A small generator (SplitMix64): good enough for noise, and the same on every machine.
#[derive(Clone)]
pub(crate) struct Seeded(u64);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly spread from `low` to `high`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// White noise of about unit power.
    pub(crate) fn noise(&mut self) -> f64 {
        self.between(-1.732, 1.732)
    }
}

/// A signal like speech: a voice with pitch and two formants, or breath, in syllables and pauses.
pub(crate) fn speech(seed: u64, seconds: f64, level: f64) -> Vec<f32> {
    let mut random = Seeded::new(seed);
    let total = samples_in(seconds);
    let mut speech = Vec::with_capacity(total);
    while speech.len() < total {
        syllable(&mut random, &mut speech);
        if random.between(0.0, 1.0) < 0.15 {
            let pause = samples_in(random.between(0.1, 0.35));
            speech.resize(speech.len() + pause, 0.0);
        }
    }
    speech.truncate(total);
    let scale = (level / power(&speech).sqrt()) as f32;
    speech
        .iter()
        .map(|sample| (sample * scale).clamp(-1.0, 1.0))
        .collect()
}

fn syllable(random: &mut Seeded, speech: &mut Vec<f32>) {
    let length = samples_in(random.between(0.12, 0.28));
    let pitch_hz = random.between(95.0, 210.0);
    let voiced = random.between(0.0, 1.0) < 0.75;
    let mut formants = if voiced {
        [
            Resonator::new(random.between(300.0, 800.0), 90.0),
            Resonator::new(random.between(900.0, 2400.0), 140.0),
        ]
    } else {
        [
            Resonator::new(random.between(2500.0, 4000.0), 900.0),
            Resonator::new(6000.0, 1500.0),
        ]
    };
    let mut phase = 0.0;
    for i in 0..length {
        phase += pitch_hz / f64::from(SAMPLE_RATE_HZ);
        let pulse = if phase >= 1.0 { 12.0 } else { 0.0 };
        phase = phase.fract();
        let source = if voiced {
            pulse + 0.05 * random.noise()
        } else {
            0.4 * random.noise()
        };
        let envelope = (std::f64::consts::PI * i as f64 / length as f64).sin();
        let sound: f64 = formants
            .iter_mut()
            .map(|formant| formant.step(source))
            .sum();
        speech.push((sound * envelope) as f32);
    }
}

/// A two-pole filter: one formant.
struct Resonator {
    feedback: [f64; 2],
    gain: f64,
    past: [f64; 2],
}

impl Resonator {
    fn new(centre_hz: f64, bandwidth_hz: f64) -> Self {
        let rate = f64::from(SAMPLE_RATE_HZ);
        let radius = (-std::f64::consts::PI * bandwidth_hz / rate).exp();
        let angle = 2.0 * std::f64::consts::PI * centre_hz / rate;
        Self {
            feedback: [2.0 * radius * angle.cos(), -radius * radius],
            gain: 1.0 - radius,
            past: [0.0; 2],
        }
    }

    fn step(&mut self, input: f64) -> f64 {
        let [first, second] = self.feedback;
        let output = self.gain * input + first * self.past[0] + second * self.past[1];
        self.past = [output, self.past[0]];
        output
    }
}

/// The way from a loudspeaker to a microphone: `(delay in samples, gain)` of each reflection.
pub(crate) struct EchoPath(Vec<(usize, f32)>);

impl EchoPath {
    /// A room of seeded size with loudspeaker and microphone half a metre apart. `bulk_delay_ms`
    /// is what buffers and converters add, `level` the echo's power over the reference's.
    pub(crate) fn shoebox(seed: u64, bulk_delay_ms: f64, level: f64) -> Self {
        let mut random = Seeded::new(seed);
        let room = [
            random.between(4.0, 7.0),
            random.between(3.0, 5.0),
            random.between(2.5, 3.0),
        ];
        let loudspeaker = [room[0] * random.between(0.3, 0.6), room[1] * 0.4, 0.8];
        let microphone = [loudspeaker[0] + 0.35, loudspeaker[1] + 0.35, 0.75];
        let wall_reflection = random.between(0.65, 0.8);
        let bulk = samples_in(bulk_delay_ms / 1000.0);
        let mut taps = Vec::new();
        for x in images(room[0], loudspeaker[0]) {
            for y in images(room[1], loudspeaker[1]) {
                for z in images(room[2], loudspeaker[2]) {
                    let distance = [x, y, z]
                        .iter()
                        .zip(microphone)
                        .map(|(image, ear)| (image.0 - ear).powi(2))
                        .sum::<f64>()
                        .sqrt();
                    let gain = f64::powi(wall_reflection, x.1 + y.1 + z.1) / distance;
                    taps.push((bulk + (distance / METRES_A_SAMPLE) as usize, gain as f32));
                }
            }
        }
        let energy: f32 = taps.iter().map(|(_, gain)| gain * gain).sum();
        let scale = (level as f32 / energy).sqrt();
        taps.iter_mut().for_each(|(_, gain)| *gain *= scale);
        Self(taps)
    }

    /// What the microphone hears of `reference`.
    pub(crate) fn heard(&self, reference: &[f32]) -> Vec<f32> {
        let mut heard = vec![0.0; reference.len()];
        for &(delay, gain) in &self.0 {
            for (heard, &sample) in heard.iter_mut().skip(delay).zip(reference) {
                *heard += gain * sample;
            }
        }
        heard
    }
}

/// Mirror images of a source between two walls: `(position, reflections)`.
fn images(wall: f64, source: f64) -> Vec<(f64, i32)> {
    (-REFLECTION_ORDER..=REFLECTION_ORDER)
        .map(|n| {
            let position = if n % 2 == 0 { source } else { wall - source };
            (f64::from(n) * wall + position, n.abs())
        })
        .collect()
}

/// Steady noise of the given level, for a microphone that is never quite silent.
pub(crate) fn hiss(seed: u64, samples: usize, level: f64) -> Vec<f32> {
    let mut random = Seeded::new(seed);
    (0..samples)
        .map(|_| (random.noise() * level) as f32)
        .collect()
}

/// The sum of signals, as long as the shortest.
pub(crate) fn mixed(signals: &[&[f32]]) -> Vec<f32> {
    let length = signals.iter().map(|signal| signal.len()).min().unwrap_or(0);
    (0..length)
        .map(|i| signals.iter().map(|signal| signal[i]).sum())
        .collect()
}

/// Mean square.
pub(crate) fn power(signal: &[f32]) -> f64 {
    signal
        .iter()
        .map(|&sample| f64::from(sample).powi(2))
        .sum::<f64>()
        / signal.len() as f64
}

/// A ratio of powers in dB.
pub(crate) fn decibels(ratio: f64) -> f64 {
    10.0 * ratio.max(1e-12).log10()
}

/// Whole samples in `seconds`.
pub(crate) fn samples_in(seconds: f64) -> usize {
    (seconds * f64::from(SAMPLE_RATE_HZ)) as usize
}

/// A signal cut into whole frames.
pub(crate) fn frames(signal: &[f32]) -> impl Iterator<Item = &Frame> {
    let (frames, _rest) = signal.as_chunks::<FRAME_SAMPLES>();
    frames.iter()
}
