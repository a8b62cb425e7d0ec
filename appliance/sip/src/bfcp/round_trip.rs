//! How long answers take over an unreliable transport, and the T1 that follows from it: the
//! retransmission time-out of RFC 6298, as RFC 8855 section 8.3.1 takes it over.

use std::time::Duration;

use super::timers::{MAX_T1, T1};

/// The granularity of the clock that the standard counts with: 100 ms.
const GRANULARITY: Duration = Duration::from_millis(100);

/// What is known of one peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoundTrip {
    t1: Duration,
    /// Smoothed round trip and its variation, once one was measured.
    smoothed: Option<(Duration, Duration)>,
}

impl Default for RoundTrip {
    fn default() -> Self {
        Self {
            t1: T1,
            smoothed: None,
        }
    }
}

impl RoundTrip {
    /// T1 of the next request.
    pub(super) fn t1(&self) -> Duration {
        self.t1
    }

    /// A request that was sent once was answered after `time`.
    pub(super) fn measured(&mut self, time: Duration) {
        let (smoothed, variation) = match self.smoothed {
            None => (time, time / 2),
            Some((smoothed, variation)) => (
                (smoothed * 7 + time) / 8,
                (variation * 3 + smoothed.abs_diff(time)) / 4,
            ),
        };
        self.smoothed = Some((smoothed, variation));
        self.t1 = (smoothed + (variation * 4).max(GRANULARITY)).clamp(T1, MAX_T1);
    }

    /// A request had to be sent again before its answer came. Which of the two was answered, nobody
    /// can tell: T1 may be too short for ever to know.
    pub(super) fn repeated(&mut self) {
        self.t1 = (self.t1 * 2).min(MAX_T1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn t1_is_half_a_second_at_least_and_follows_slow_answers_up_to_its_limit() {
        let mut round_trip = RoundTrip::default();
        assert_eq!(round_trip.t1(), ms(500));
        round_trip.measured(ms(20));
        assert_eq!(round_trip.t1(), ms(500));
        let mut round_trip = RoundTrip::default();
        // 240 ms and four times half of that.
        round_trip.measured(ms(240));
        assert_eq!(round_trip.t1(), ms(720));
        // (7 * 240 + 320) / 8 = 250, and 4 * (3 * 120 + 80) / 4 = 440.
        round_trip.measured(ms(320));
        assert_eq!(round_trip.t1(), ms(690));
        round_trip.measured(ms(9_000));
        assert_eq!(round_trip.t1(), MAX_T1);
    }

    #[test]
    fn answers_that_always_come_too_late_to_be_measured_make_t1_longer_until_they_can() {
        let mut round_trip = RoundTrip::default();
        round_trip.repeated();
        assert_eq!(round_trip.t1(), ms(1_000));
        for _ in 0..9 {
            round_trip.repeated();
        }
        assert_eq!(round_trip.t1(), MAX_T1);
        for _ in 0..20 {
            round_trip.measured(ms(30));
        }
        assert_eq!(round_trip.t1(), T1);
    }
}
