//! Brings the loudspeaker's sound beside the microphones' sound of the same moment.
//!
//! ```text
//!   play(at, sound)            ┌──── waiting ────┐
//!   from the mixer, early ───► │░░░░░░░░░░░░░░░░░│ ───► heard_at(at): 10 ms for the front end
//!                              └─────────────────┘
//!              next sample expected ▲             ▲ next sample expected
//!              by the microphone                    by the loudspeaker
//! ```
//!
//! Loudspeaker and microphone are stamped by one clock, but each stamp is taken on a busy machine
//! and so jitters, while the samples themselves are equally spaced. A canceller that was handed
//! references by their stamps would see the echo's delay change with every frame. So each side goes
//! on where it left off, and follows its stamps only when they keep saying something else: a stall,
//! lost frames, a stream that began anew.

use std::collections::VecDeque;
use std::time::Duration;

use crate::frame::{FRAME_SAMPLES, Frame, SAMPLE_RATE_HZ};

/// What may wait: more than any playout buffer holds. When nobody listens, the oldest goes.
const CAPACITY: usize = 2 * SAMPLE_RATE_HZ as usize;
/// A stamp this far from where the stream is counts as jitter: 5 ms.
const JITTER: u64 = SAMPLE_RATE_HZ as u64 / 200;
/// A stamp this far off is believed at once: 200 ms.
const JUMP: u64 = SAMPLE_RATE_HZ as u64 / 5;
/// So many stamps in a row that are neither jitter nor a jump are believed too.
const PATIENCE: u32 = 10;

/// What the loudspeaker was given, waiting for the microphone to reach the same moment.
///
/// Moments are times since any start that both sides share. The owner calls [`play`](Self::play)
/// for each stretch of sound before or when it goes to the loudspeaker, and
/// [`heard_at`](Self::heard_at) for each frame of the microphone.
#[derive(Debug, Default)]
pub struct ReferenceLine {
    waiting: VecDeque<f32>,
    /// Index of the first sample in `waiting`; samples before it are no longer wanted.
    start: u64,
    loudspeaker: StreamPosition,
    microphone: StreamPosition,
}

impl ReferenceLine {
    /// Nothing has been played yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what the loudspeaker plays from `at` on.
    pub fn play(&mut self, at: Duration, sound: impl ExactSizeIterator<Item = f32>) {
        let length = sound.len() as u64;
        let begin = self.loudspeaker.place(at, length);
        self.make_room_at(begin);
        // What comes too late for the microphone is not stored any more.
        let late = self.end().saturating_sub(begin).min(length);
        self.waiting.extend(sound.skip(late as usize));
        let excess = self.waiting.len().saturating_sub(CAPACITY);
        self.forget(excess);
    }

    /// Fills `reference` with what the loudspeaker played in the 10 ms from `at` on: silence where
    /// it played nothing, or where that is not known yet.
    pub fn heard_at(&mut self, at: Duration, reference: &mut Frame) {
        let begin = self.microphone.place(at, FRAME_SAMPLES as u64);
        self.forget_before(begin);
        let silent = self.start.saturating_sub(begin).min(FRAME_SAMPLES as u64) as usize;
        reference[..silent].fill(0.0);
        for (reference, sound) in reference[silent..]
            .iter_mut()
            .zip(self.waiting.iter().copied().chain(std::iter::repeat(0.0)))
        {
            *reference = sound;
        }
        self.forget_before(begin.saturating_add(FRAME_SAMPLES as u64));
    }

    /// How much sound waits for the microphone.
    #[must_use]
    pub fn waiting(&self) -> Duration {
        Duration::from_secs(self.waiting.len() as u64) / SAMPLE_RATE_HZ
    }

    fn end(&self) -> u64 {
        self.start.saturating_add(self.waiting.len() as u64)
    }

    /// Makes the line end at `begin`, where it can: a gap becomes silence, and a stream that began
    /// anew replaces what was said of the time from then on.
    fn make_room_at(&mut self, begin: u64) {
        let gap = begin.saturating_sub(self.end());
        if gap > CAPACITY as u64 || self.waiting.is_empty() && begin > self.start {
            self.waiting.clear();
            self.start = begin;
        } else {
            self.waiting.resize(self.waiting.len() + gap as usize, 0.0);
        }
        let kept = begin.saturating_sub(self.start);
        self.waiting
            .truncate(usize::try_from(kept).unwrap_or(usize::MAX));
    }

    fn forget(&mut self, samples: usize) {
        self.waiting.drain(..samples);
        self.start = self.start.saturating_add(samples as u64);
    }

    fn forget_before(&mut self, index: u64) {
        let past = index
            .saturating_sub(self.start)
            .min(self.waiting.len() as u64);
        self.forget(past as usize);
        self.start = self.start.max(index);
    }
}

/// Where a stream of samples is, by its length and, in the long run, by its stamps.
#[derive(Debug, Default)]
struct StreamPosition {
    /// Index of the next sample, once there was one.
    next: Option<u64>,
    /// Stamps in a row that said something else.
    astray: u32,
}

impl StreamPosition {
    /// The index of the first of `samples` that were stamped `at`.
    fn place(&mut self, at: Duration, samples: u64) -> u64 {
        let stamped = index_of(at);
        let expected = self.next.unwrap_or(stamped);
        let begin = if self.believes(expected.abs_diff(stamped)) {
            stamped
        } else {
            expected
        };
        self.next = Some(begin.saturating_add(samples));
        begin
    }

    /// Whether a stamp so far off is to be followed.
    fn believes(&mut self, off: u64) -> bool {
        self.astray = if off <= JITTER { 0 } else { self.astray + 1 };
        let believed = off > JUMP || self.astray >= PATIENCE;
        if believed {
            self.astray = 0;
        }
        believed
    }
}

fn index_of(at: Duration) -> u64 {
    let index = at.as_nanos() * u128::from(SAMPLE_RATE_HZ) / 1_000_000_000;
    u64::try_from(index).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FRAME: Duration = Duration::from_millis(10);

    /// Samples that tell their own index.
    fn ramp(from: u64, samples: u64) -> impl ExactSizeIterator<Item = f32> {
        (from as u32..(from + samples) as u32).map(|index| index as f32)
    }

    fn heard(line: &mut ReferenceLine, at: Duration) -> Frame {
        let mut reference = [-1.0; FRAME_SAMPLES];
        line.heard_at(at, &mut reference);
        reference
    }

    #[test]
    fn a_reference_is_what_was_played_at_the_moment_of_the_microphone() {
        let mut line = ReferenceLine::new();
        for frame in 0..20 {
            line.play(FRAME * frame, ramp(u64::from(frame) * 480, 480));
        }
        for frame in 3..20 {
            let reference = heard(&mut line, FRAME * frame);
            assert_eq!(reference[0], frame as f32 * 480.0);
            assert_eq!(reference[479], frame as f32 * 480.0 + 479.0);
        }
        assert_eq!(heard(&mut line, FRAME * 20), [0.0; FRAME_SAMPLES]);
    }

    #[test]
    fn jitter_of_either_side_moves_nothing() {
        let mut line = ReferenceLine::new();
        let jitter = [0, 4, 1, 3, 0, 12, 2, 4, 1];
        for frame in 0..90_u32 {
            let late = Duration::from_millis(jitter[frame as usize % jitter.len()]);
            line.play(
                FRAME * (frame + 4) + late,
                ramp(u64::from(frame) * 480 + 1, 480),
            );
            let late = Duration::from_millis(jitter[(frame as usize + 4) % jitter.len()]);
            let reference = heard(&mut line, FRAME * frame + late);
            if frame >= 5 {
                let apart = (f64::from(frame) - 4.0) * 480.0 - f64::from(reference[0]);
                assert!(apart.abs() <= 4.0 * 48.0, "frame {frame}: {apart}");
                assert!(
                    reference.windows(2).all(|pair| pair[1] == pair[0] + 1.0),
                    "{frame}"
                );
            }
        }
    }

    #[test]
    fn a_pause_of_the_far_end_is_silence_of_the_same_length() {
        let mut line = ReferenceLine::new();
        line.play(Duration::ZERO, ramp(1, 480));
        line.play(FRAME * 50, ramp(5_000, 480));
        let sound: Vec<bool> = (0..52)
            .map(|frame| heard(&mut line, FRAME * frame)[0] != 0.0)
            .collect();
        let expected: Vec<bool> = (0..52).map(|frame| frame == 0 || frame == 50).collect();
        assert_eq!(sound, expected);
    }

    #[test]
    fn sound_that_comes_too_late_is_left_out_and_what_follows_is_in_place() {
        let mut line = ReferenceLine::new();
        assert_eq!(heard(&mut line, Duration::ZERO), [0.0; FRAME_SAMPLES]);
        line.play(Duration::ZERO, ramp(0, 960));
        assert_eq!(heard(&mut line, FRAME)[0], 480.0);
    }

    #[test]
    fn lost_frames_of_the_microphone_are_noticed_within_a_tenth_of_a_second() {
        let mut line = ReferenceLine::new();
        line.play(Duration::ZERO, ramp(0, 48_000));
        heard(&mut line, Duration::ZERO);
        // Three frames are lost.
        let apart: Vec<f32> = (4..20)
            .map(|frame| frame as f32 * 480.0 - heard(&mut line, FRAME * frame)[0])
            .collect();
        assert_eq!(apart[0], 3.0 * 480.0);
        assert_eq!(apart[9..], [0.0; 7]);
    }

    #[test]
    fn a_line_that_nobody_listens_to_takes_bounded_memory() {
        let mut line = ReferenceLine::new();
        for frame in 0..1_000 {
            line.play(FRAME * frame, ramp(0, 480));
        }
        assert_eq!(line.waiting(), Duration::from_secs(2));
    }

    proptest! {
        #[test]
        fn any_stamps_are_survived_in_bounded_memory(
            calls in proptest::collection::vec((any::<bool>(), any::<u64>(), 0_u64..5_000), 0..60),
            coarse in 0_u32..60,
        ) {
            let mut line = ReferenceLine::new();
            for (play, nanoseconds, length) in calls {
                let at = Duration::from_nanos(nanoseconds >> coarse);
                if play {
                    line.play(at, ramp(1, length));
                } else {
                    let reference = heard(&mut line, at);
                    prop_assert!(reference.iter().all(|&sample| sample >= 0.0));
                }
                prop_assert!(line.waiting.len() <= CAPACITY);
            }
        }
    }
}
