//! How long the jitter buffer must hold packets: from the delays that packets have now.
//!
//! Each packet's delay is compared with the smallest of the last seconds; the delay that 97 of
//! 100 packets stay below, with a margin, is the target. It rises at once, because late sound is
//! lost sound, and falls slowly, because every change is heard.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The least that packets are held.
pub(crate) const SHORTEST: Duration = Duration::from_millis(20);
/// The most that packets are held: beyond it people talk over each other.
pub(crate) const LONGEST: Duration = Duration::from_millis(200);
/// Where a leg begins, before anything is known.
pub(crate) const FIRST: Duration = Duration::from_millis(40);

/// Packets that are remembered: ten seconds of sound.
const WINDOW: usize = 500;
/// Packets before the first verdict.
const ENOUGH: usize = 25;
/// The part of the packets that must be in time, in percent.
const IN_TIME: usize = 97;
/// What scheduling on both sides adds.
const MARGIN: Duration = Duration::from_millis(10);
/// A step down is at least this large,
const SMALLEST_FALL: Duration = Duration::from_millis(10);
/// comes at most this often,
const FALL_INTERVAL: Duration = Duration::from_secs(2);
/// and takes away at most this much.
const LARGEST_FALL: Duration = Duration::from_millis(20);

/// Watches one stream's packets.
#[derive(Debug)]
pub(crate) struct PlayoutDelay {
    clock_hz: u32,
    origin: Option<(Instant, u32)>,
    /// Arrival against timestamp, in microseconds, on a scale of its own.
    delays: VecDeque<i64>,
    target: Duration,
    changed: Option<Instant>,
}

impl PlayoutDelay {
    /// For a stream whose timestamps count `clock_hz` a second.
    pub(crate) fn new(clock_hz: u32) -> Self {
        let delays = VecDeque::with_capacity(WINDOW);
        Self {
            clock_hz: clock_hz.max(1),
            origin: None,
            delays,
            target: FIRST,
            changed: None,
        }
    }

    /// A packet arrived.
    pub(crate) fn arrived(&mut self, now: Instant, timestamp: u32) {
        let (start, first) = *self.origin.get_or_insert((now, timestamp));
        let sent =
            i64::from(timestamp.wrapping_sub(first) as i32) * 1_000_000 / i64::from(self.clock_hz);
        let arrived = now.saturating_duration_since(start).as_micros();
        let delay = i64::try_from(arrived)
            .unwrap_or(i64::MAX / 2)
            .saturating_sub(sent);
        // A jump of seconds is a new stream or a clock that was set, not jitter.
        let last = self.delays.back().copied().unwrap_or(delay);
        if delay.abs_diff(last) > 2_000_000
            || now.duration_since(start) > Duration::from_secs(3_600)
        {
            self.delays.clear();
            self.origin = Some((now, timestamp));
            return;
        }
        if self.delays.len() == WINDOW {
            self.delays.pop_front();
        }
        self.delays.push_back(delay);
    }

    /// How long packets have to be held now.
    pub(crate) fn target(&mut self, now: Instant) -> Duration {
        let Some(needed) = self.needed() else {
            return self.target;
        };
        let fall_allowed = self
            .changed
            .is_none_or(|at| now.saturating_duration_since(at) >= FALL_INTERVAL);
        if needed > self.target {
            self.target = needed;
            self.changed = Some(now);
        } else if needed + SMALLEST_FALL <= self.target && fall_allowed {
            self.target = needed.max(self.target - LARGEST_FALL.min(self.target));
            self.changed = Some(now);
        }
        self.target
    }

    /// What the remembered packets need.
    fn needed(&self) -> Option<Duration> {
        if self.delays.len() < ENOUGH {
            return None;
        }
        let mut sorted: Vec<i64> = self.delays.iter().copied().collect();
        sorted.sort_unstable();
        let in_time = sorted[(sorted.len() * IN_TIME / 100).min(sorted.len() - 1)];
        let spread = in_time.saturating_sub(sorted[0]);
        let spread = Duration::from_micros(u64::try_from(spread).unwrap_or(0));
        Some((spread + MARGIN).clamp(SHORTEST, LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Packets every 20 ms with the given extra delays.
    fn feed(delay: &mut PlayoutDelay, start: Instant, from: u32, extra_ms: &[u64]) -> Instant {
        let mut now = start;
        for (n, extra) in (from..).zip(extra_ms) {
            now = start + Duration::from_millis(u64::from(n) * 20 + extra);
            delay.arrived(now, n.wrapping_mul(960));
        }
        now
    }

    #[test]
    fn a_steady_network_brings_the_delay_down_to_the_shortest() {
        let (start, mut delay) = (Instant::now(), PlayoutDelay::new(48_000));
        let now = feed(&mut delay, start, 0, &[0; 100]);
        delay.target(now);
        assert_eq!(delay.target(now + FALL_INTERVAL), SHORTEST);
    }

    #[test]
    fn jitter_raises_the_delay_at_once_and_calm_lowers_it_step_by_step() {
        let (start, mut delay) = (Instant::now(), PlayoutDelay::new(48_000));
        let rough: Vec<u64> = (0..100).map(|n| if n % 5 == 0 { 80 } else { 0 }).collect();
        let now = feed(&mut delay, start, 0, &rough);
        assert_eq!(delay.target(now), Duration::from_millis(90));
        let now = feed(&mut delay, start, 100, &[0; WINDOW]);
        let first = delay.target(now);
        assert_eq!(first, Duration::from_millis(70));
        assert_eq!(delay.target(now + Duration::from_millis(100)), first);
        assert_eq!(delay.target(now + FALL_INTERVAL), Duration::from_millis(50));
    }

    #[test]
    fn a_few_stragglers_do_not_raise_the_delay() {
        let (start, mut delay) = (Instant::now(), PlayoutDelay::new(48_000));
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
            let mut delay = PlayoutDelay::new(clock_hz);
            for (gap, timestamp) in packets {
                now += Duration::from_millis(gap);
                delay.arrived(now, timestamp);
                let target = delay.target(now);
                prop_assert!((SHORTEST..=LONGEST).contains(&target));
            }
        }
    }
}
