//! How long packets or sound have to be held, from the delays that were observed.
//!
//! The delay that 97 of 100 stay below, with a margin, is the target. It rises at once, because
//! late sound is lost sound, and falls slowly, because every change is heard.
//!
//! ```text
//!             a second of sound            the first verdict: the target jumps to it
//!   Starting ───────────────────► Landing ─────────────────────────────────────────► Running
//! ```

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The least that anything is held.
pub(crate) const SHORTEST: Duration = Duration::from_millis(10);
/// The most that anything is held: beyond it people talk over each other.
pub(crate) const LONGEST: Duration = Duration::from_millis(200);
/// Where a leg begins, before anything is known.
pub(crate) const FIRST: Duration = Duration::from_millis(40);

/// Delays that are remembered: ten seconds of sound.
const WINDOW: usize = 500;
/// The first delays, a second of sound, are those of pipelines that both ends are still warming up:
/// they raise the target like others, and are then forgotten.
const START: usize = 50;
/// Delays before the first verdict.
const ENOUGH: usize = 25;
/// The part that must be in time, in percent.
const IN_TIME: usize = 97;
/// So many late ones in a row are a change, not an accident.
const IN_A_ROW: usize = 5;
/// What scheduling adds.
const MARGIN: Duration = Duration::from_millis(5);
/// A step down is at least this large,
const SMALLEST_FALL: Duration = Duration::from_millis(10);
/// comes at most this often,
const FALL_INTERVAL: Duration = Duration::from_secs(2);
/// and takes away at most this much.
const LARGEST_FALL: Duration = Duration::from_millis(20);

/// What delays are counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DelayOrigin {
    /// The smallest delay of the window: only differences are known.
    Smallest,
    /// Zero: delays are absolute.
    Zero,
}

/// Observed delays, and what follows from them.
#[derive(Debug)]
pub(crate) struct DelayTarget {
    origin: DelayOrigin,
    /// In microseconds.
    delays: VecDeque<i64>,
    phase: Phase,
    target: SteppedTarget,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Landing,
    Running,
}

impl DelayTarget {
    /// Nothing observed yet.
    pub(crate) fn new(origin: DelayOrigin) -> Self {
        let delays = VecDeque::with_capacity(WINDOW);
        Self {
            origin,
            delays,
            phase: Phase::Starting,
            target: SteppedTarget::new(FIRST),
        }
    }

    /// A delay in microseconds was observed.
    pub(crate) fn observe(&mut self, delay: i64) {
        if self.phase == Phase::Starting && self.delays.len() == START {
            self.phase = Phase::Landing;
            self.delays.clear();
        }
        if self.delays.len() == WINDOW {
            self.delays.pop_front();
        }
        self.delays.push_back(delay);
    }

    /// The last observed delay.
    pub(crate) fn last(&self) -> Option<i64> {
        self.delays.back().copied()
    }

    /// Forgets what was observed, and keeps the target.
    pub(crate) fn forget(&mut self) {
        self.delays.clear();
    }

    /// How long to hold now.
    pub(crate) fn target(&mut self, now: Instant) -> Duration {
        let Some(needed) = self.needed() else {
            return self.target.now();
        };
        if self.phase == Phase::Landing {
            self.phase = Phase::Running;
            self.target.jump(now, needed);
        }
        self.target.follow(now, needed)
    }

    /// How far a delay in microseconds is above the smallest one that is remembered; `None` before
    /// there are enough of them.
    pub(crate) fn above_smallest(&self, delay: i64) -> Option<Duration> {
        let smallest = self
            .delays
            .iter()
            .min()
            .filter(|_| self.delays.len() >= ENOUGH)?;
        let above = u64::try_from(delay.saturating_sub(*smallest)).unwrap_or(0);
        Some(Duration::from_micros(above))
    }

    /// What the remembered delays need.
    fn needed(&self) -> Option<Duration> {
        if self.delays.len() < ENOUGH {
            return None;
        }
        let mut sorted: Vec<i64> = self.delays.iter().copied().collect();
        sorted.sort_unstable();
        let most = sorted[(sorted.len() * IN_TIME / 100).min(sorted.len() - 1)];
        let row = self
            .delays
            .iter()
            .rev()
            .take(IN_A_ROW)
            .min()
            .copied()
            .unwrap_or(most);
        let base = match self.origin {
            DelayOrigin::Smallest => sorted[0],
            DelayOrigin::Zero => 0,
        };
        let delay = most.max(row).saturating_sub(base);
        let delay = Duration::from_micros(u64::try_from(delay).unwrap_or(0));
        Some(delay.saturating_add(MARGIN).clamp(SHORTEST, LONGEST))
    }
}

/// A delay that rises at once and falls by steps.
#[derive(Debug)]
pub(crate) struct SteppedTarget {
    target: Duration,
    changed: Option<Instant>,
}

impl SteppedTarget {
    pub(crate) const fn new(first: Duration) -> Self {
        Self {
            target: first,
            changed: None,
        }
    }

    pub(crate) const fn now(&self) -> Duration {
        self.target
    }

    fn jump(&mut self, now: Instant, target: Duration) {
        self.target = target;
        self.changed = Some(now);
    }

    /// Gives the target after `needed` is what is needed now.
    pub(crate) fn follow(&mut self, now: Instant, needed: Duration) -> Duration {
        let fall_allowed = self
            .changed
            .is_none_or(|at| now.saturating_duration_since(at) >= FALL_INTERVAL);
        if needed > self.target {
            self.jump(now, needed);
        } else if needed + SMALLEST_FALL <= self.target && fall_allowed {
            self.jump(now, needed.max(self.target - LARGEST_FALL.min(self.target)));
        }
        self.target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_late_ones_in_a_row_raise_the_target_though_hundreds_were_in_time() {
        let (now, mut target) = (Instant::now(), DelayTarget::new(DelayOrigin::Zero));
        (0..WINDOW).for_each(|_| target.observe(5_000));
        assert_eq!(target.target(now), SHORTEST);
        (0..IN_A_ROW - 1).for_each(|_| target.observe(60_000));
        assert_eq!(target.target(now), SHORTEST);
        target.observe(60_000);
        assert_eq!(target.target(now), Duration::from_millis(65));
    }

    #[test]
    fn the_turmoil_of_a_call_that_begins_raises_the_target_and_is_soon_forgotten() {
        let (now, mut target) = (Instant::now(), DelayTarget::new(DelayOrigin::Zero));
        (0..START).for_each(|_| target.observe(120_000));
        assert_eq!(target.target(now), Duration::from_millis(125));
        (0..ENOUGH).for_each(|_| target.observe(1_000));
        assert_eq!(target.target(now), SHORTEST);
    }

    #[test]
    fn what_is_early_needs_no_more_than_the_shortest_delay() {
        let (now, mut target) = (Instant::now(), DelayTarget::new(DelayOrigin::Zero));
        (0..WINDOW).for_each(|_| target.observe(i64::MIN / 2));
        target.target(now);
        assert_eq!(target.target(now + FALL_INTERVAL), SHORTEST);
    }
}
