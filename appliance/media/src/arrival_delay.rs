//! How unevenly a stream's packets arrive, and how long the jitter buffer must hold them for it.

use std::time::{Duration, Instant};

use crate::delay_target::{DelayOrigin, DelayTarget};

/// A jump of more than this is a new stream or a clock that was set, not jitter.
const LARGEST_JUMP: Duration = Duration::from_secs(2);
/// Timestamps are compared over at most this time, long before they wrap.
const LONGEST_COMPARISON: Duration = Duration::from_secs(3_600);

/// Watches one stream's packets.
#[derive(Debug)]
pub(crate) struct ArrivalDelay {
    clock_hz: u32,
    first: Option<(Instant, u32)>,
    /// Arrival against timestamp, on a scale of its own.
    delays: DelayTarget,
}

impl ArrivalDelay {
    /// For a stream whose timestamps count `clock_hz` a second.
    pub(crate) fn new(clock_hz: u32) -> Self {
        let delays = DelayTarget::new(DelayOrigin::Smallest);
        Self {
            clock_hz: clock_hz.max(1),
            first: None,
            delays,
        }
    }

    /// A packet arrived.
    pub(crate) fn arrived(&mut self, now: Instant, timestamp: u32) {
        let start = self.first.get_or_insert((now, timestamp)).0;
        let delay = self.delay(now, timestamp).unwrap_or(0);
        let jump = delay.abs_diff(self.delays.last().unwrap_or(delay));
        let elapsed = now.saturating_duration_since(start);
        if u128::from(jump) > LARGEST_JUMP.as_micros() || elapsed > LONGEST_COMPARISON {
            self.delays.forget();
            self.first = Some((now, timestamp));
            return;
        }
        self.delays.observe(delay);
    }

    /// How much later a packet that does not count arrives than the quickest of those that do;
    /// `None` before that is known.
    pub(crate) fn lateness(&self, now: Instant, timestamp: u32) -> Option<Duration> {
        self.delays.above_smallest(self.delay(now, timestamp)?)
    }

    /// Arrival against timestamp, in microseconds; `None` before the first packet.
    fn delay(&self, now: Instant, timestamp: u32) -> Option<i64> {
        let (start, first) = self.first?;
        let sent =
            i64::from(timestamp.wrapping_sub(first) as i32) * 1_000_000 / i64::from(self.clock_hz);
        let elapsed = now.saturating_duration_since(start);
        let arrived = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX / 2);
        Some(arrived.saturating_sub(sent))
    }

    /// How long packets have to be held now.
    pub(crate) fn target(&mut self, now: Instant) -> Duration {
        self.delays.target(now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::delay_target::{FIRST, LONGEST, SHORTEST};

    const FALL_INTERVAL: Duration = Duration::from_secs(2);
    const WINDOW: usize = 500;

    /// Packets every 20 ms with the given extra delays.
    fn feed(delay: &mut ArrivalDelay, start: Instant, from: u32, extra_ms: &[u64]) -> Instant {
        let mut now = start;
        for (n, extra) in (from..).zip(extra_ms) {
            now = start + Duration::from_millis(u64::from(n) * 20 + extra);
            delay.arrived(now, n.wrapping_mul(960));
        }
        now
    }

    #[test]
    fn a_steady_network_brings_the_delay_down_to_the_shortest() {
        let (start, mut delay) = (Instant::now(), ArrivalDelay::new(48_000));
        let now = feed(&mut delay, start, 0, &[0; 100]);
        delay.target(now);
        assert_eq!(delay.target(now + FALL_INTERVAL), SHORTEST);
    }

    #[test]
    fn jitter_raises_the_delay_at_once_and_calm_lowers_it_step_by_step() {
        let (start, mut delay) = (Instant::now(), ArrivalDelay::new(48_000));
        let rough: Vec<u64> = (0..100).map(|n| if n % 5 == 0 { 80 } else { 0 }).collect();
        let now = feed(&mut delay, start, 0, &rough);
        assert_eq!(delay.target(now), Duration::from_millis(85));
        let now = feed(&mut delay, start, 100, &[0; WINDOW]);
        let first = delay.target(now);
        assert_eq!(first, Duration::from_millis(65));
        assert_eq!(delay.target(now + Duration::from_millis(100)), first);
        assert_eq!(delay.target(now + FALL_INTERVAL), Duration::from_millis(45));
    }

    #[test]
    fn a_few_stragglers_do_not_raise_the_delay() {
        let (start, mut delay) = (Instant::now(), ArrivalDelay::new(48_000));
        let mut extra = [0; 200];
        extra[50] = 500;
        let now = feed(&mut delay, start, 0, &extra);
        assert!(delay.target(now) <= FIRST);
    }

    proptest! {
        #[test]
        fn the_target_stays_in_its_range_whatever_arrives(
            packets in prop::collection::vec((0_u64..3_000, any::<u32>()), 0..700),
            clock_hz in 0_u32..100_000,
        ) {
            let mut now = Instant::now();
            let mut delay = ArrivalDelay::new(clock_hz);
            for (gap, timestamp) in packets {
                now += Duration::from_millis(gap);
                delay.arrived(now, timestamp);
                let target = delay.target(now);
                prop_assert!((SHORTEST..=LONGEST).contains(&target));
            }
        }
    }
}
