//! What loss means where no queue shows: a bad radio link, which loses its share whatever is sent, or a policer,
//! which drops what exceeds its rate.
//!
//! They look the same until less is sent.
//!
//! ```text
//!           more loss than usual            it goes on
//!   Usual ───────────────────────► Trial ───────────────► Usual, with that loss as the usual one
//!     ▲                              │ it ends
//!     │ it goes on at a lower rate   ▼
//!     └────────────────────────── Policed: a little below the policer's rate
//! ```

use std::time::{Duration, Instant};

use crate::units::Bitrate;

/// The least that is remarkable, and how much of the usual loss.
const REMARKABLE: f64 = 0.04;
const REMARKABLE_SHARE: f64 = 1.5;
/// Fewer lost packets are chance.
const ENOUGH: usize = 10;
/// In a trial so much is sent of what arrived before,
const TRIAL_PART: f64 = 0.8;
/// for the round trip and this.
const TRIAL: Duration = Duration::from_millis(1_000);
/// Less than this part of the loss is left where a policer was the cause.
const VANISHED: f64 = 0.15;
/// A policer shows again by so much more than the usual loss; then this part of its rate is sent.
const POLICED_LOSS: f64 = 0.02;
const POLICED_PART: f64 = 0.93;
/// A policer's rate below this part of what was found first is none.
const DOUBTFUL: f64 = 0.75;
/// A target that far above the policer's rate without loss: it is gone.
const OUTGROWN: f64 = 1.2;
/// How fast the usual loss follows what is seen, for each report.
const FOLLOW: f64 = 0.01;

/// What is known at a report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// The share of the last second's packets that was lost.
    pub(crate) lost: f64,
    /// How many packets that is.
    pub(crate) packets: usize,
    /// The same share, of packets that left after the last verdict.
    pub(crate) lost_since: f64,
    /// What arrives.
    pub(crate) arriving: Bitrate,
    pub(crate) target: Bitrate,
    pub(crate) round_trip: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Cause {
    Usual,
    Trial {
        began: Instant,
        /// The loss, what arrived and the target before.
        lost: f64,
        arrived: Bitrate,
        target: Bitrate,
    },
    Policed {
        rate: Bitrate,
        first: Bitrate,
    },
}

/// Tells the causes of loss apart.
#[derive(Debug)]
pub(crate) struct LossJudge {
    usual: f64,
    cause: Cause,
    /// Packets that left before this say nothing of the last verdict.
    since: Option<Instant>,
}

impl Default for LossJudge {
    fn default() -> Self {
        Self {
            usual: 0.0,
            cause: Cause::Usual,
            since: None,
        }
    }
}

impl LossJudge {
    /// The share that this path loses whatever is sent.
    pub(crate) fn usual(&self) -> f64 {
        self.usual
    }

    /// The moment of the last verdict.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// The rate of the policer on the path, if there is one.
    pub(crate) fn policed(&self) -> Option<Bitrate> {
        match self.cause {
            Cause::Policed { rate, .. } => Some(rate),
            Cause::Usual | Cause::Trial { .. } => None,
        }
    }

    /// A queue explains what is lost: nothing is learnt.
    pub(crate) fn queue_is_long(&mut self) {
        if let Cause::Trial { .. } = self.cause {
            self.cause = Cause::Usual;
        }
    }

    /// Gives the new target, if there is to be one.
    pub(crate) fn judge(&mut self, now: Instant, seen: Seen) -> Option<Bitrate> {
        match self.cause {
            Cause::Usual => self.look(now, seen),
            Cause::Trial {
                began,
                lost,
                arrived,
                target,
            } => {
                if now.saturating_duration_since(began) < seen.round_trip + TRIAL {
                    return None;
                }
                if seen.lost_since < lost * VANISHED {
                    self.cause = Cause::Policed {
                        rate: arrived,
                        first: arrived,
                    };
                    return Some(arrived * POLICED_PART);
                }
                self.usual = lost.midpoint(seen.lost_since);
                self.cause = Cause::Usual;
                Some(target)
            }
            Cause::Policed { first, .. } => self.keep_below(now, seen, first),
        }
    }

    fn look(&mut self, now: Instant, seen: Seen) -> Option<Bitrate> {
        let remarkable = seen.lost > self.usual * REMARKABLE_SHARE + REMARKABLE;
        if !remarkable || seen.packets < ENOUGH {
            self.usual += (seen.lost - self.usual) * FOLLOW;
            return None;
        }
        self.since = Some(now);
        self.cause = Cause::Trial {
            began: now,
            lost: seen.lost,
            arrived: seen.arriving,
            target: seen.target,
        };
        Some(seen.arriving * TRIAL_PART)
    }

    fn keep_below(&mut self, now: Instant, seen: Seen, first: Bitrate) -> Option<Bitrate> {
        if seen.lost_since <= self.usual + POLICED_LOSS {
            if seen.target / first > OUTGROWN {
                self.cause = Cause::Usual;
            }
            return None;
        }
        self.since = Some(now);
        if seen.arriving / first < DOUBTFUL {
            self.usual = seen.lost;
            self.cause = Cause::Usual;
            return None;
        }
        let rate = seen.arriving;
        self.cause = Cause::Policed { rate, first };
        Some(rate * POLICED_PART)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(lost: f64, lost_since: f64) -> Seen {
        Seen {
            lost,
            packets: 20,
            lost_since,
            arriving: Bitrate::kbps(1_000.0),
            target: Bitrate::kbps(1_200.0),
            round_trip: Duration::from_millis(100),
        }
    }

    #[test]
    fn loss_that_goes_on_when_less_is_sent_is_usual() {
        let mut judge = LossJudge::default();
        let begin = Instant::now();
        let trial = judge.judge(begin, seen(0.1, 0.1));
        assert_eq!(trial, Some(Bitrate::kbps(800.0)));
        let soon = begin + Duration::from_millis(500);
        assert_eq!(judge.judge(soon, seen(0.1, 0.0)), None);
        let later = begin + Duration::from_millis(1_200);
        let verdict = judge.judge(later, seen(0.1, 0.09));
        assert_eq!(verdict, Some(Bitrate::kbps(1_200.0)));
        assert!(judge.usual() > 0.09 && judge.policed().is_none());
        assert_eq!(judge.judge(later, seen(0.12, 0.12)), None);
    }

    #[test]
    fn loss_that_ends_when_less_is_sent_is_a_policer_until_it_is_outgrown() {
        let mut judge = LossJudge::default();
        let begin = Instant::now();
        judge.judge(begin, seen(0.1, 0.1));
        let later = begin + Duration::from_millis(1_200);
        let verdict = judge.judge(later, seen(0.1, 0.0));
        assert_eq!(verdict, Some(Bitrate::kbps(930.0)));
        assert_eq!(judge.policed(), Some(Bitrate::kbps(1_000.0)));
        let mut grown = seen(0.0, 0.0);
        grown.target = Bitrate::kbps(1_300.0);
        assert_eq!(judge.judge(later, grown), None);
        assert_eq!(judge.policed(), None);
    }
}
