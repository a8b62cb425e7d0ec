//! Notices a pipeline that takes pictures or sound and gives none.
//!
//! ```text
//!            fed, and nothing comes out          for 3 s: it hangs
//!   Working ────────────────────────────► Stuck ───────────────────► (told once a look)
//!      ▲                                    │
//!      └── something comes out, or nothing is fed
//! ```

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::pipeline::PipelineId;

/// A pipeline that gives nothing for so long though it is fed hangs.
const HUNG_AFTER: Duration = Duration::from_secs(3);

/// What went through a pipeline since it was built; only ever grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// What was handed to it.
    pub(super) fed: u64,
    /// What came out.
    pub(super) given: u64,
}

/// One watchdog for each pipeline.
#[derive(Debug, Default)]
pub(super) struct Watchdogs(HashMap<PipelineId, Watchdog>);

#[derive(Debug, Default)]
struct Watchdog {
    work: Work,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Working,
    Stuck {
        since: Instant,
    },
}

impl Watchdogs {
    /// Looks at one pipeline: whether it hangs.
    pub(super) fn hangs(&mut self, id: PipelineId, work: Work, now: Instant) -> bool {
        self.0.entry(id).or_default().hangs(work, now)
    }

    /// A pipeline is going.
    pub(super) fn forget(&mut self, id: PipelineId) {
        self.0.remove(&id);
    }
}

impl Watchdog {
    fn hangs(&mut self, work: Work, now: Instant) -> bool {
        let starving = work.fed != self.work.fed && work.given == self.work.given;
        self.work = work;
        let since = match self.state {
            _ if !starving => {
                self.state = State::Working;
                return false;
            }
            State::Working => now,
            State::Stuck { since } => since,
        };
        self.state = State::Stuck { since };
        now.saturating_duration_since(since) >= HUNG_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Duration = Duration::from_millis(250);

    /// What a watchdog says, look by look, of a pipeline with that work.
    fn verdicts(work: impl Iterator<Item = (u64, u64)>) -> Vec<bool> {
        let (mut watchdog, mut now) = (Watchdog::default(), Instant::now());
        let mut look = |(fed, given)| {
            now += LOOK;
            watchdog.hangs(Work { fed, given }, now)
        };
        work.map(&mut look).collect()
    }

    #[test]
    fn a_pipeline_that_is_fed_for_three_seconds_and_gives_nothing_hangs() {
        let verdicts = verdicts((1..=16).map(|n| (n, 0)));
        assert!(verdicts[..12].iter().all(|hangs| !hangs), "{verdicts:?}");
        assert!(verdicts[12..].iter().all(|hangs| *hangs), "{verdicts:?}");
    }

    #[test]
    fn a_pipeline_that_gives_one_picture_in_two_seconds_works() {
        assert!(!verdicts((1..=100).map(|n| (n, n / 8))).contains(&true));
    }

    #[test]
    fn a_pipeline_that_nobody_feeds_does_not_hang() {
        assert!(!verdicts((1..=100).map(|_| (7, 3))).contains(&true));
    }

    #[test]
    fn a_pause_of_the_feeder_begins_the_wait_anew() {
        let fed = (1..=11).chain(std::iter::once(11)).chain(12..=22);
        assert!(!verdicts(fed.map(|n| (n, 0))).contains(&true));
    }
}
