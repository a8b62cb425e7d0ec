//! How often a call that outlived a restart is placed again.
//!
//! A room that ended without a goodbye goes back into its call. When it is the call itself that ends
//! the process, that would go on for ever:
//!
//! ```text
//!             restart, fewer than 3 in 10 min: counted, stored, then placed again
//!                  ┌──────────┐
//!                  ▼          │
//!   placed ──────► remembered ┴──restart, 3 in 10 min already──► not placed again
//!                  ▲     │
//!                  └─────┘ lasted 60 s: the count begins anew
//! ```
//!
//! The count has to outlive the process and the machine, so its times are of the wall clock, which
//! may jump. A time that lies ahead was taken before the clock was set back: it counts as now.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::command::Remembered;
use crate::policy::CallTarget;

/// Restarts after which a call is still placed again.
const MAX_RESUMPTIONS: usize = 3;
/// Restarts that are longer ago do not count.
const WINDOW: Duration = Duration::from_secs(10 * 60);
/// A call that has lasted this long is not what ends the process.
pub(crate) const PROVEN_AFTER: Duration = Duration::from_secs(60);

/// What the far end calls a dialog with this room, in signalling's own words. Whoever knows it can
/// come back into the call in the place of the one that was interrupted, so logs do not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct DialogName(String);

impl DialogName {
    /// A longer name is remembered for nobody.
    const MAX_BYTES: usize = 1024;

    /// A name of up to 1024 bytes without control characters; `None` for any other.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Option<Self> {
        let name = name.into();
        let fits = !name.is_empty() && name.len() <= Self::MAX_BYTES;
        (fits && !name.contains(char::is_control)).then_some(Self(name))
    }

    /// The name as signalling gave it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DialogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DialogName(secret)")
    }
}

/// A call that this room placed, and that nobody ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedCall {
    /// The call as it was asked for.
    pub call: CallTarget,
    /// What the far end last called it; `None` before it was answered.
    pub dialog: Option<DialogName>,
    /// When it was placed again after a restart.
    pub resumptions: Resumptions,
}

impl WantedCall {
    /// A call that was not interrupted yet.
    #[must_use]
    pub const fn new(call: CallTarget) -> Self {
        Self {
            call,
            dialog: None,
            resumptions: Resumptions(Vec::new()),
        }
    }
}

/// The restarts that a call has been through, by the wall clock, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resumptions(Vec<SystemTime>);

impl Resumptions {
    /// The newest of these times, as many as can matter.
    #[must_use]
    pub fn new(times: impl IntoIterator<Item = SystemTime>) -> Self {
        let mut times: Vec<_> = times.into_iter().collect();
        times.sort_unstable();
        times.drain(..times.len().saturating_sub(MAX_RESUMPTIONS));
        Self(times)
    }

    /// The times, oldest first.
    pub fn times(&self) -> impl Iterator<Item = SystemTime> {
        self.0.iter().copied()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The count with one more restart, or `None` when there were too many.
    fn after_restart(self, now: SystemTime) -> Option<Self> {
        let counts = |time: &SystemTime| {
            now.duration_since(*time)
                .is_ok_and(|passed| passed <= WINDOW)
        };
        let times = self.0.into_iter().map(|time| time.min(now));
        let mut recent: Vec<_> = times.filter(counts).collect();
        if recent.len() >= MAX_RESUMPTIONS {
            return None;
        }
        recent.push(now);
        Some(Self(recent))
    }
}

/// What is to be done about remembered calls when the service starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumption {
    /// What is to be stored before any call is placed: its wanted calls are the ones to place.
    pub remembered: Remembered,
    /// Calls that went through too many restarts.
    pub given_up: Vec<CallTarget>,
}

impl Remembered {
    /// Counts a restart at this time of the wall clock, and says which calls are placed again.
    #[must_use]
    pub fn after_restart(self, now: SystemTime) -> Resumption {
        let mut wanted = Vec::new();
        let mut given_up = Vec::new();
        for interrupted in self.wanted {
            match interrupted.resumptions.after_restart(now) {
                Some(resumptions) => wanted.push(WantedCall {
                    resumptions,
                    ..interrupted
                }),
                None => given_up.push(interrupted.call),
            }
        }
        Resumption {
            remembered: Self { wanted, ..self },
            given_up,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn board() -> CallTarget {
        CallTarget {
            target: "sip:board@example.com".to_owned(),
            account: None,
        }
    }

    /// Restarts at these times; says which of them placed the call again.
    fn restarts(times: &[u64]) -> Vec<bool> {
        let mut remembered = Remembered {
            wanted: vec![WantedCall::new(board())],
            ..Remembered::default()
        };
        let restart = |time: &u64| {
            let resumption = remembered.clone().after_restart(at(*time));
            let placed = !resumption.remembered.wanted.is_empty();
            assert_ne!(placed, resumption.given_up == [board()]);
            if placed {
                remembered = resumption.remembered;
            }
            placed
        };
        times.iter().map(restart).collect()
    }

    #[test]
    fn what_is_remembered_shows_no_name_by_which_a_call_can_be_taken_over() {
        let call = WantedCall {
            dialog: DialogName::new("a84b4c76e66710;to-tag=314159;from-tag=1928301774"),
            ..WantedCall::new(board())
        };
        let shown = format!("{call:?}");
        assert!(shown.contains("DialogName(secret)"), "{shown}");
        assert!(!shown.contains("314159"), "{shown}");
    }

    #[test]
    fn a_call_is_placed_again_after_three_restarts_in_ten_minutes_and_no_more() {
        const NOW: u64 = 1_800_000_000;
        for (times, placed) in [
            (&[NOW][..], &[true][..]),
            (
                &[NOW, NOW + 1, NOW + 2, NOW + 3],
                &[true, true, true, false],
            ),
            // The fourth comes when the first no longer counts.
            (
                &[NOW, NOW + 300, NOW + 590, NOW + 601],
                &[true, true, true, true],
            ),
            (
                &[NOW, NOW + 300, NOW + 590, NOW + 600],
                &[true, true, true, false],
            ),
            (
                &[NOW, NOW + 601, NOW + 1_202, NOW + 1_803, NOW + 2_404],
                &[true; 5],
            ),
        ] {
            assert_eq!(restarts(times), placed, "{times:?}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_neither_forgets_restarts_nor_counts_them_for_ever() {
        const NOW: u64 = 1_800_000_000;
        // Back to 1970 after each of them: still no endless row.
        assert_eq!(restarts(&[NOW, 50, 20, 5]), [true, true, true, false]);
        // Ten minutes after the jump the restarts before it are forgotten.
        assert_eq!(
            restarts(&[NOW, NOW + 1, 50, 651, 652, 653]),
            [true, true, true, true, true, true]
        );
        assert_eq!(restarts(&[0, 0, 0, 0]), [true, true, true, false]);
    }

    #[test]
    fn a_clock_that_jumps_ahead_allows_a_few_more_restarts_and_no_endless_row() {
        const NOW: u64 = 1_800_000_000;
        assert_eq!(
            restarts(&[5, 6, NOW, NOW + 1, NOW + 2, NOW + 3]),
            [true, true, true, true, true, false]
        );
    }

    #[test]
    fn of_a_file_with_many_times_only_those_that_matter_are_kept() {
        let kept = Resumptions::new([9, 1, 5, 7].map(at));
        assert_eq!(kept.times().collect::<Vec<_>>(), [5, 7, 9].map(at));
    }
}
