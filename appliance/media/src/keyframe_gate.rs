//! Limits how often keyframes are made.
//!
//! Every peer of a rung may ask for one at any time, and a keyframe is many times larger than
//! other pictures: under loss, requests come in bursts, and answering each would make the loss
//! worse. A request is never lost: within the interval it waits for the interval's end.
//!
//! ```text
//!            request                      interval over
//!   Open ─────────────► Closed{until} ────────────────────► Open
//!    make one at once     │  ▲
//!                 request │  │ interval over: make one
//!                         ▼  │
//!                    Closed{until}, one wanted
//! ```

use std::time::{Duration, Instant};

/// The shortest time between two keyframes of one encode.
pub(crate) const KEYFRAME_INTERVAL: Duration = Duration::from_millis(300);

/// The state of one encode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyframeGate {
    /// The next request is served at once.
    Open,
    /// A keyframe was made less than an interval ago.
    Closed { until: Instant, wanted: bool },
}

/// What a request leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyframeVerdict {
    /// Make one now.
    MakeNow,
    /// One will be made at [`KeyframeGate::deadline`].
    Later,
}

impl KeyframeGate {
    /// A peer asks for a keyframe.
    pub(crate) fn request(&mut self, now: Instant) -> KeyframeVerdict {
        match *self {
            Self::Closed { until, .. } if now < until => {
                *self = Self::Closed {
                    until,
                    wanted: true,
                };
                KeyframeVerdict::Later
            }
            Self::Open | Self::Closed { .. } => {
                self.made(now);
                KeyframeVerdict::MakeNow
            }
        }
    }

    /// A keyframe was made for another reason.
    pub(crate) fn made(&mut self, now: Instant) {
        *self = Self::Closed {
            until: now + KEYFRAME_INTERVAL,
            wanted: false,
        };
    }

    /// When a waiting request is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match *self {
            Self::Open | Self::Closed { wanted: false, .. } => None,
            Self::Closed {
                until,
                wanted: true,
            } => Some(until),
        }
    }

    /// Whether a keyframe has to be made now; call at the deadline.
    pub(crate) fn take_due(&mut self, now: Instant) -> bool {
        let due = self.deadline().is_some_and(|until| until <= now);
        if due {
            self.made(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_request_is_served_at_once() {
        assert_eq!(
            KeyframeGate::Open.request(Instant::now()),
            KeyframeVerdict::MakeNow
        );
    }

    #[test]
    fn a_request_within_the_interval_is_served_at_its_end() {
        let start = Instant::now();
        let mut gate = KeyframeGate::Open;
        gate.request(start);
        let soon = start + Duration::from_millis(10);
        assert_eq!(gate.request(soon), KeyframeVerdict::Later);
        assert!(!gate.take_due(soon));
        assert_eq!(gate.deadline(), Some(start + KEYFRAME_INTERVAL));
        assert!(gate.take_due(start + KEYFRAME_INTERVAL));
        assert_eq!(gate.deadline(), None);
    }

    proptest! {
        #[test]
        fn keyframes_keep_their_distance_and_every_request_is_followed_by_one(
            gaps in prop::collection::vec(0_u64..500, 1..60),
        ) {
            let mut now = Instant::now();
            let mut gate = KeyframeGate::Open;
            let (mut made, mut last_request) = (Vec::new(), now);
            for gap in gaps {
                let next = now + Duration::from_millis(gap);
                if let Some(due) = gate.deadline().filter(|&due| due <= next)
                    && gate.take_due(due)
                {
                    made.push(due);
                }
                now = next;
                last_request = now;
                if gate.request(now) == KeyframeVerdict::MakeNow {
                    made.push(now);
                }
            }
            if let Some(due) = gate.deadline() {
                prop_assert!(gate.take_due(due));
                made.push(due);
            }
            prop_assert!(made.last().is_some_and(|&last| last >= last_request));
            for pair in made.windows(2) {
                prop_assert!(pair[1] - pair[0] >= KEYFRAME_INTERVAL);
            }
        }
    }
}
