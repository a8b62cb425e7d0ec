//! Sound with the moments at which it was captured or heard, and how long it took from one to the
//! other.

use std::time::{Duration, Instant};

use media::{AUDIO_FRAME_SAMPLES, AudioFrame, SAMPLE_RATE_HZ};
use system::sound::Sound;

/// What is looked for: long enough to hold a syllable, which sounds like no other place.
const EXCERPT: Duration = Duration::from_millis(300);
/// The longest delay that is found.
const LONGEST_DELAY: Duration = Duration::from_millis(400);
/// A pause between words has no delay.
const QUIET: f32 = 0.02;
/// Below it, what was found is a sound like the excerpt, not the excerpt. Echo, noise and gain
/// control change the shape of what was said, so it is not 1.
const LEAST_CORRELATION: f32 = 0.7;

/// Frames of sound, each with its own moment; a gap between them is silence.
#[derive(Clone, Debug, Default)]
pub(crate) struct SoundRecord(Vec<AudioFrame>);

impl SoundRecord {
    /// Adds a frame; frames come in the order of time.
    pub(crate) fn push(&mut self, frame: AudioFrame) {
        self.0.push(frame);
    }

    /// The moments, one each `step`, at which there is enough sound before the end to look for.
    pub(crate) fn moments(&self, step: Duration) -> Vec<Instant> {
        let (Some(first), Some(last)) = (self.0.first(), self.0.last()) else {
            return Vec::new();
        };
        let end = last.captured.checked_sub(EXCERPT + LONGEST_DELAY);
        std::iter::successors(Some(first.captured), |moment| Some(*moment + step))
            .take_while(|moment| end.is_some_and(|end| *moment < end))
            .collect()
    }

    /// How much later than here what began at `at` is heard in `other`; `None` in a pause, and
    /// where it is not found.
    pub(crate) fn delay_to(&self, other: &Self, at: Instant) -> Option<Duration> {
        let said = self.excerpt(at, EXCERPT);
        if said.level() < QUIET {
            return None;
        }
        let heard = other.excerpt(at, EXCERPT + LONGEST_DELAY);
        let found = heard.correlation(&said).ok()?;
        (found.coefficient >= LEAST_CORRELATION)
            .then(|| Duration::from_secs_f32(found.offset_seconds))
    }

    fn excerpt(&self, from: Instant, length: Duration) -> Sound {
        let mut samples = vec![0.0; samples_in(length)];
        let frame_length = Duration::from_millis(10);
        let begin = self
            .0
            .partition_point(|frame| frame.captured + frame_length <= from);
        for frame in &self.0[begin..] {
            // What of the frame lies before the excerpt, and where its rest begins.
            let skipped = samples_in(from.saturating_duration_since(frame.captured));
            let start = samples_in(frame.captured.saturating_duration_since(from));
            if start >= samples.len() {
                break;
            }
            let rest = &frame.samples[skipped.min(AUDIO_FRAME_SAMPLES)..];
            for (to, from) in samples[start..].iter_mut().zip(rest) {
                *to = f32::from(*from) / 32_768.0;
            }
        }
        Sound {
            sample_rate: SAMPLE_RATE_HZ,
            samples,
        }
    }
}

fn samples_in(time: Duration) -> usize {
    (time.as_secs_f64() * f64::from(SAMPLE_RATE_HZ)).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(10);

    /// A rising tone: each place of it sounds different.
    fn sample(n: usize) -> i16 {
        let t = n as f64 / 48_000.0;
        ((t * (300.0 + 200.0 * t) * std::f64::consts::TAU).sin() * 12_000.0) as i16
    }

    fn record(start: Instant, seconds: usize, lost: impl Fn(usize) -> bool) -> SoundRecord {
        let frames = (0..seconds * 100).filter(|n| !lost(*n));
        let frame = |n: usize| AudioFrame {
            captured: start + FRAME * n as u32,
            samples: std::array::from_fn(|i| sample(n * AUDIO_FRAME_SAMPLES + i)),
        };
        SoundRecord(frames.map(frame).collect())
    }

    #[test]
    fn the_delay_is_found_at_each_moment_in_spite_of_a_lost_frame() {
        let start = Instant::now();
        let delay = Duration::from_micros(61_500);
        let said = record(start, 2, |_| false);
        let heard = record(start + delay, 2, |n| n % 20 == 7);
        let moments = said.moments(Duration::from_millis(250));
        assert!(moments.len() >= 5);
        for moment in moments {
            let found = said.delay_to(&heard, moment).unwrap();
            assert!(
                found.abs_diff(delay) < Duration::from_millis(1),
                "{found:?}"
            );
        }
    }

    #[test]
    fn silence_and_sound_that_never_arrives_have_no_delay() {
        let start = Instant::now();
        let said = record(start, 1, |_| false);
        let silence = SoundRecord::default();
        assert_eq!(said.delay_to(&silence, start), None);
        assert_eq!(silence.delay_to(&said, start), None);
        assert!(silence.moments(FRAME).is_empty());
    }
}
