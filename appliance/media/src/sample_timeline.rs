//! Timestamps for sound: smooth, because codecs and far ends count samples, and true, because lips
//! follow them.
//!
//! A device delivers each 10 ms late by what scheduling adds, often several at once. So the sample
//! count leads, and the device's time corrects it: sound that would run ahead of its time is
//! dropped, and when even the promptest frame of a tenth of a second lags, samples were lost and the
//! count jumps forward. It never jumps back.

use std::collections::VecDeque;

use gst::ClockTime;

use crate::device::{AUDIO_FRAME_SAMPLES, SAMPLE_RATE_HZ};

/// 10 ms.
pub(crate) const FRAME: ClockTime =
    ClockTime::from_nseconds(AUDIO_FRAME_SAMPLES as u64 * 1_000_000_000 / SAMPLE_RATE_HZ as u64);
/// Sound may run ahead of its time by this much.
const AHEAD: ClockTime = ClockTime::from_mseconds(15);
/// Lost samples are made up for when they are more than this.
const BEHIND: ClockTime = ClockTime::from_mseconds(30);
/// Frames over which the promptest counts. Longer stretches are bridged with silence, so more
/// never come at once.
const WINDOW: usize = 10;

/// Where the next frame belongs.
#[derive(Debug, Default)]
pub(crate) struct SampleTimeline {
    next: Option<ClockTime>,
    lags: VecDeque<ClockTime>,
}

impl SampleTimeline {
    /// A frame came from the device at `captured`. Gives its timestamp, or `None` when there is
    /// no room for it on the timeline.
    pub(crate) fn place(&mut self, captured: ClockTime) -> Option<ClockTime> {
        let expected = *self.next.get_or_insert(captured);
        if expected > captured + AHEAD {
            return None;
        }
        if self.lags.len() == WINDOW {
            self.lags.pop_front();
        }
        self.lags.push_back(captured.saturating_sub(expected));
        let lost = self.lags.iter().min().copied().unwrap_or_default();
        let at = if self.lags.len() == WINDOW && lost > BEHIND {
            self.lags.clear();
            expected + lost
        } else {
            expected
        };
        self.next = Some(at + FRAME);
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> ClockTime {
        ClockTime::from_mseconds(ms)
    }

    #[test]
    fn frames_that_come_late_and_at_once_keep_their_places() {
        let mut timeline = SampleTimeline::default();
        let captured = (0..10)
            .map(|n| 10 * n)
            .chain([190; 10])
            .chain((20..30).map(|n| 10 * n));
        for (n, captured) in captured.enumerate() {
            assert_eq!(timeline.place(ms(captured)), Some(ms(10 * n as u64)), "{n}");
        }
    }

    #[test]
    fn lost_samples_make_a_gap_within_a_tenth_of_a_second() {
        let mut timeline = SampleTimeline::default();
        timeline.place(ms(0));
        let placed: Vec<_> = (0..40)
            .filter_map(|n| timeline.place(ms(200 + 10 * n)))
            .collect();
        assert_eq!(placed[39], ms(200 + 390));
    }

    #[test]
    fn more_sound_than_time_is_dropped() {
        let mut timeline = SampleTimeline::default();
        let placed = (0..200)
            .filter(|n| timeline.place(ms(5 * n)).is_some())
            .count();
        assert!((98..=103).contains(&placed), "{placed}");
    }

    proptest! {
        #[test]
        fn time_never_goes_back_and_never_leaves_the_device_far_behind(
            gaps in prop::collection::vec(0_u64..40, 1..300),
        ) {
            let (mut timeline, mut captured, mut last) = (SampleTimeline::default(), 0, None);
            for gap in gaps {
                captured += gap;
                if let Some(at) = timeline.place(ms(captured)) {
                    prop_assert!(at <= ms(captured) + AHEAD);
                    prop_assert!(last.is_none_or(|last| at >= last + FRAME));
                    last = Some(at);
                }
            }
        }
    }
}
