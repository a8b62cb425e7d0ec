//! How long the jitter buffer waits for packets that are sent again.
//!
//! On a calm network it does not: a packet that is lost once an hour is not worth it that all others
//! come later. Once packets are lost repeatedly, and those sent again do come, it waits as long as
//! they took, counted from when they should have come themselves, up to a bound; and for a while
//! after the last loss. Nothing is waited for that has not been seen to come.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::delay_target::{LONGEST, SteppedTarget};

/// So many losses, at different times,
const REPEATEDLY: usize = 2;
/// within this time are worth waiting for.
const MEMORY: Duration = Duration::from_secs(10);
/// What is lost closer together than this is one loss.
const ONE_LOSS: Duration = Duration::from_millis(100);
/// Losses that are remembered.
const MOST_LOSSES: usize = 64;
/// The part that is waited for, in percent: not for packets that were lost again and again.
const IN_TIME: usize = 90;
/// What scheduling adds.
const MARGIN: Duration = Duration::from_millis(5);

/// Observed retransmissions, and what follows from them.
#[derive(Debug)]
pub(crate) struct RetransmissionWait {
    /// When one came, and how late.
    losses: VecDeque<(Instant, Duration)>,
    target: SteppedTarget,
}

impl RetransmissionWait {
    /// Nothing lost yet.
    pub(crate) fn new() -> Self {
        Self {
            losses: VecDeque::new(),
            target: SteppedTarget::new(Duration::ZERO),
        }
    }

    /// A packet that was sent again came so much later than it would have come itself.
    pub(crate) fn observe(&mut self, now: Instant, late: Duration) {
        if late + MARGIN > LONGEST {
            return;
        }
        match self.losses.back_mut() {
            Some((at, latest)) if now.saturating_duration_since(*at) < ONE_LOSS => {
                *latest = late.max(*latest);
            }
            Some(_) | None => self.losses.push_back((now, late)),
        }
        if self.losses.len() > MOST_LOSSES {
            self.losses.pop_front();
        }
    }

    /// How long to wait now: zero on a calm network.
    pub(crate) fn target(&mut self, now: Instant) -> Duration {
        let is_old = |(at, _): &(Instant, Duration)| now.saturating_duration_since(*at) > MEMORY;
        while self.losses.front().is_some_and(is_old) {
            self.losses.pop_front();
        }
        let needed = self.needed();
        self.target.follow(now, needed)
    }

    fn needed(&self) -> Duration {
        if self.losses.len() < REPEATEDLY {
            return Duration::ZERO;
        }
        let mut late: Vec<Duration> = self.losses.iter().map(|(_, late)| *late).collect();
        late.sort_unstable();
        let index = (late.len() * IN_TIME / 100).min(late.len() - 1);
        late[index] + MARGIN
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn one_loss_is_not_waited_for_and_repeated_ones_are_as_long_as_it_takes() {
        let (start, mut wait) = (Instant::now(), RetransmissionWait::new());
        wait.observe(start, ms(60));
        wait.observe(start + ms(50), ms(70));
        assert_eq!(wait.target(start + ms(60)), Duration::ZERO);
        wait.observe(start + ms(1_000), ms(40));
        assert_eq!(wait.target(start + ms(1_000)), ms(75));
    }

    #[test]
    fn what_comes_beyond_the_bound_is_not_waited_for() {
        let (start, mut wait) = (Instant::now(), RetransmissionWait::new());
        for n in 0..20 {
            wait.observe(start + ms(n * 200), LONGEST);
        }
        assert_eq!(wait.target(start + ms(4_000)), Duration::ZERO);
    }

    #[test]
    fn one_packet_in_ten_that_is_lost_again_does_not_decide() {
        let (start, mut wait) = (Instant::now(), RetransmissionWait::new());
        for n in 0..40 {
            let late = if n % 12 == 5 { ms(150) } else { ms(50) };
            wait.observe(start + ms(n * 200), late);
        }
        assert_eq!(wait.target(start + ms(8_000)), ms(55));
    }

    #[test]
    fn without_losses_it_falls_back_step_by_step() {
        let (start, mut wait) = (Instant::now(), RetransmissionWait::new());
        (0..5).for_each(|n| wait.observe(start + ms(n * 300), ms(60)));
        let last = start + ms(1_200);
        assert_eq!(wait.target(last + MEMORY - ms(1_000)), ms(65));
        let mut targets = Vec::new();
        for second in 0..12 {
            targets.push(wait.target(last + MEMORY + ms(1_000 * second)).as_millis());
        }
        assert!(targets.is_sorted_by(|a, b| a >= b), "{targets:?}");
        assert!(
            targets.contains(&45) && targets.contains(&25),
            "{targets:?}"
        );
        assert_eq!(targets.last(), Some(&5), "less than the least that is held");
    }

    proptest! {
        #[test]
        fn the_wait_stays_in_its_range_whatever_comes(
            losses in prop::collection::vec((0_u64..5_000, 0_u64..2_000), 0..200),
        ) {
            let mut now = Instant::now();
            let mut wait = RetransmissionWait::new();
            for (gap, late) in losses {
                now += ms(gap);
                wait.observe(now, ms(late));
                prop_assert!(wait.target(now) <= LONGEST);
                prop_assert!(wait.losses.len() <= MOST_LOSSES);
            }
        }
    }
}
