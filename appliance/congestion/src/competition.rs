//! Who else uses the path.
//!
//! Where the queue stands although the target was cut, others fill it who only heed loss: then a controller that
//! yields to delay would be left nothing.
//!
//! ```text
//!               the queue stands for 2 s
//!   Yielding ──────────────────────────────► Competing
//!      ▲          the queue was empty            │  grows as TCP does, falls when packets are lost
//!      └─────────────────────────────────────────┘
//! ```

use std::time::{Duration, Instant};

use crate::controller::{LONG_QUEUE, SHORT_QUEUE};

/// A queue that stands for so long although the target was cut is somebody else's.
const STANDING: Duration = Duration::from_secs(2);
/// Whoever fills the queue leaves it empty for no longer than this, when they and we have yielded to a loss.
const EMPTY: Duration = Duration::from_millis(200);
/// Without reports for so long, what the queue did is not known.
const UNSEEN: Duration = Duration::from_millis(1_000);
/// Who else uses the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Competition {
    /// Nobody, or such as keep the queue short too.
    Yielding,
    /// Such as fill the queue.
    Competing,
}

/// Tells by the queue who else uses the path.
#[derive(Debug)]
pub(crate) struct Competitors {
    competition: Competition,
    /// Since when the queue has been short, and too long.
    empty_since: Option<Instant>,
    standing_since: Option<Instant>,
}

impl Default for Competitors {
    fn default() -> Self {
        Self {
            competition: Competition::Yielding,
            empty_since: None,
            standing_since: None,
        }
    }
}

impl Competitors {
    pub(crate) fn competition(&self) -> Competition {
        self.competition
    }

    /// No report came for so long.
    pub(crate) fn unreported(&mut self, time: Duration) {
        if time > UNSEEN {
            self.empty_since = None;
            self.standing_since = None;
        }
    }

    /// Takes what the queue adds now, in seconds, and whether we send no more than we should.
    pub(crate) fn judge(&mut self, now: Instant, queue: f64, is_obeyed: bool) -> Competition {
        if queue >= SHORT_QUEUE {
            self.empty_since = None;
        } else {
            let since = *self.empty_since.get_or_insert(now);
            if now.saturating_duration_since(since) >= EMPTY {
                self.competition = Competition::Yielding;
            }
        }
        if queue < LONG_QUEUE || !is_obeyed {
            self.standing_since = None;
        } else {
            let since = *self.standing_since.get_or_insert(now);
            if now.saturating_duration_since(since) >= STANDING {
                self.competition = Competition::Competing;
            }
        }
        self.competition
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_stands_is_a_competitor_s_until_it_stays_empty() {
        let mut competitors = Competitors::default();
        let begin = Instant::now();
        let at = |milliseconds| begin + Duration::from_millis(milliseconds);
        let (long, short) = (2.0 * LONG_QUEUE, SHORT_QUEUE / 2.0);
        assert_eq!(competitors.judge(at(0), long, true), Competition::Yielding);
        assert_eq!(
            competitors.judge(at(1_900), long, true),
            Competition::Yielding
        );
        assert_eq!(
            competitors.judge(at(2_000), long, true),
            Competition::Competing
        );
        assert_eq!(
            competitors.judge(at(2_100), short, true),
            Competition::Competing
        );
        assert_eq!(
            competitors.judge(at(2_200), long, true),
            Competition::Competing
        );
        assert_eq!(
            competitors.judge(at(2_300), short, true),
            Competition::Competing
        );
        assert_eq!(
            competitors.judge(at(2_500), short, true),
            Competition::Yielding
        );
    }

    #[test]
    fn a_queue_of_our_own_is_no_competitor_s() {
        let mut competitors = Competitors::default();
        let begin = Instant::now();
        for second in 0..10 {
            let now = begin + Duration::from_secs(second);
            let seen = competitors.judge(now, 2.0 * LONG_QUEUE, false);
            assert_eq!(seen, Competition::Yielding);
        }
    }

    #[test]
    fn a_silence_is_no_standing_queue() {
        let mut competitors = Competitors::default();
        let begin = Instant::now();
        competitors.judge(begin, 2.0 * LONG_QUEUE, true);
        let silence = Duration::from_secs(20);
        competitors.unreported(silence);
        let seen = competitors.judge(begin + silence, 2.0 * LONG_QUEUE, true);
        assert_eq!(seen, Competition::Yielding);
    }
}
