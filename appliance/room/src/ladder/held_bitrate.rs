//! What a leg has been able to take for a while: it falls at once and rises late.
//!
//! ```text
//!                    more
//!   Steady(held) ───────────► Rising{held, least, until} ─┐ less than before, more than held:
//!     ▲      ▲                   │            │    ▲      │ that is the least
//!     │      └── held or less ───┘            │    └──────┘
//!     └──────────── until: the least ─────────┘
//! ```
//!
//! What comes of a rise is the least that was seen while it was waited for. So a bitrate that goes
//! up and down settles at its lower end.

use std::time::{Duration, Instant};

use crate::units::Bitrate;

/// A bitrate with its recent past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeldBitrate {
    Steady(Bitrate),
    Rising {
        held: Bitrate,
        /// The least since the rise began.
        least: Bitrate,
        until: Instant,
    },
}

impl HeldBitrate {
    /// What has been held.
    pub(super) const fn get(self) -> Bitrate {
        match self {
            Self::Steady(held) | Self::Rising { held, .. } => held,
        }
    }

    /// When a rise is done if nothing comes between.
    pub(super) const fn deadline(self) -> Option<Instant> {
        match self {
            Self::Steady(_) => None,
            Self::Rising { until, .. } => Some(until),
        }
    }

    /// The bitrate is this now. A rise that begins takes `hold`.
    #[must_use]
    pub(super) fn follow(self, now: Instant, bitrate: Bitrate, hold: Duration) -> Self {
        let settled = match self {
            Self::Rising { least, until, .. } if until <= now => Self::Steady(least),
            Self::Steady(_) | Self::Rising { .. } => self,
        };
        match settled {
            Self::Steady(held) | Self::Rising { held, .. } if bitrate <= held => {
                Self::Steady(bitrate)
            }
            Self::Steady(held) => Self::Rising {
                held,
                least: bitrate,
                until: now + hold,
            },
            Self::Rising { held, least, until } => Self::Rising {
                held,
                least: least.min(bitrate),
                until,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOLD: Duration = Duration::from_secs(4);

    #[test]
    fn it_falls_at_once_and_rises_to_the_least_of_the_time_that_it_waits() {
        let start = Instant::now();
        let mut held = HeldBitrate::Steady(Bitrate::kbps(1_000));
        for (milliseconds, bitrate, expected) in [
            (0, 400, 400),
            (10, 900, 400),
            (2_000, 700, 400),
            (4_000, 800, 400),
            (4_010, 800, 700),
            (8_009, 800, 700),
            (8_010, 800, 800),
            (8_020, 100, 100),
            (8_030, 900, 100),
            // Back where it was: the wait begins anew with the next rise.
            (9_000, 100, 100),
            (12_500, 900, 100),
            (16_499, 900, 100),
            (16_500, 900, 900),
        ] {
            let now = start + Duration::from_millis(milliseconds);
            held = held.follow(now, Bitrate::kbps(bitrate), HOLD);
            assert_eq!(held.get(), Bitrate::kbps(expected), "at {milliseconds} ms");
        }
        assert_eq!(held.deadline(), None);
    }

    proptest! {
        #[test]
        fn it_is_never_above_what_there_is_and_rises_no_more_often_than_it_may(
            steps in prop::collection::vec((0_u64..3_000, 0_u64..3_000), 1..80),
        ) {
            let mut now = Instant::now();
            let mut held = HeldBitrate::Steady(Bitrate::kbps(1_000));
            let mut risen: Option<Instant> = None;
            for (wait, kbps) in steps {
                now += Duration::from_millis(wait);
                let before = held.get();
                held = held.follow(now, Bitrate::kbps(kbps), HOLD);
                prop_assert!(held.get() <= Bitrate::kbps(kbps));
                if held.get() > before {
                    prop_assert!(risen.is_none_or(|last| now >= last + HOLD));
                    risen = Some(now);
                }
            }
        }
    }
}
