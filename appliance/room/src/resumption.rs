//! Which calls that outlived a restart this room goes back into, how, and how often.
//!
//! A room that ended without a goodbye goes back into its call. When it is the call itself that ends
//! the process, that would go on for ever:
//!
//! ```text
//!                        restart, fewer than 3 in 10 min: counted, stored, then placed again
//!                             ┌──────────┐
//!                             ▼          │
//!   placed, or answered ────► remembered ┴──restart, 3 in 10 min already──► not placed again
//!                             ▲     │   └───answered, no life sign for 5 min──► not placed again
//!                             └─────┘ lasted 60 s: the count begins anew
//! ```
//!
//! A call that somebody here placed is still wanted where the far end has forgotten it: then it is
//! placed anew. A call that was answered here is only ever taken up again, in the place of the dialog
//! that the far end still has. Where it has none, the call is over: nobody here chose to call, so nobody
//! is rung. For the same reason it is not tried long after the room was last alive.
//!
//! The count has to outlive the process and the machine, so its times are of the wall clock, which
//! may jump. A time that lies ahead was taken before the clock was set back: it counts as now.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::command::{IfNotReplaced, Remembered};
use crate::leg_state::EndReason;
use crate::policy::CallTarget;

/// Restarts after which a call is still placed again.
const MAX_RESUMPTIONS: usize = 3;
/// Restarts that are longer ago do not count.
const WINDOW: Duration = Duration::from_secs(10 * 60);
/// An answered call whose room was last alive longer ago is over for its far end, too. The longest wait
/// of an endpoint without session timers that asks after its peers is about a minute.
const ANSWERED_CALL_WINDOW: Duration = Duration::from_secs(5 * 60);
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

/// The way back into a standing call, as signalling knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayBack {
    /// What the far end calls the dialog.
    pub dialog: DialogName,
    /// Where the far end of the dialog is called.
    pub target: String,
    /// By which address the far end knows this room; `None` where that of the account is to be used.
    pub known_as: Option<String>,
}

/// Who wanted a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOrigin {
    /// Somebody here, or a far end that has handed this room on.
    Placed,
    /// The far end: this room only answered.
    Answered {
        /// As [`WayBack::known_as`].
        known_as: Option<String>,
    },
}

/// A call that this room placed or answered, and that nobody ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedCall {
    /// The call as it was asked for; of an answered one, the way to its far end.
    pub call: CallTarget,
    /// Who wanted it.
    pub origin: CallOrigin,
    /// What the far end last called it; `None` before it was answered.
    pub dialog: Option<DialogName>,
    /// When it was placed again after a restart.
    pub resumptions: Resumptions,
}

impl WantedCall {
    /// A call that is placed here and was not interrupted yet.
    #[must_use]
    pub const fn new(call: CallTarget) -> Self {
        Self {
            call,
            origin: CallOrigin::Placed,
            dialog: None,
            resumptions: Resumptions(Vec::new()),
        }
    }

    /// A call that was answered here by an account, and was not interrupted yet.
    #[must_use]
    pub fn answered(account: String, way_back: WayBack) -> Self {
        let WayBack {
            dialog,
            target,
            known_as,
        } = way_back;
        Self {
            origin: CallOrigin::Answered { known_as },
            dialog: Some(dialog),
            ..Self::new(CallTarget {
                target,
                account: Some(account),
            })
        }
    }

    /// Whether the far end wanted the call, and this room only answered.
    #[must_use]
    pub const fn is_answered(&self) -> bool {
        matches!(self.origin, CallOrigin::Answered { .. })
    }

    /// What becomes of the call where the far end does not know it any more.
    pub(crate) const fn if_forgotten(&self) -> IfNotReplaced {
        match self.origin {
            CallOrigin::Placed => IfNotReplaced::CallAnew,
            CallOrigin::Answered { .. } => IfNotReplaced::GiveUp,
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
    /// The others, each with the reason.
    pub given_up: Vec<(CallTarget, EndReason)>,
}

impl Remembered {
    /// Counts a restart at this time of the wall clock, and says which calls are placed again. The
    /// last sign that the room was alive before was at `alive`.
    #[must_use]
    pub fn after_restart(self, alive: Option<SystemTime>, now: SystemTime) -> Resumption {
        let may_still_stand = alive.is_some_and(|alive| {
            let gone = now.duration_since(alive).unwrap_or_default();
            gone <= ANSWERED_CALL_WINDOW
        });
        let mut wanted = Vec::new();
        let mut given_up = Vec::new();
        for interrupted in self.wanted {
            if interrupted.is_answered() && !may_still_stand {
                given_up.push((interrupted.call, EndReason::NotResumed));
                continue;
            }
            match interrupted.resumptions.after_restart(now) {
                Some(resumptions) => wanted.push(WantedCall {
                    resumptions,
                    ..interrupted
                }),
                None => given_up.push((interrupted.call, EndReason::TooManyRestarts)),
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
            let resumption = remembered.clone().after_restart(None, at(*time));
            let placed = !resumption.remembered.wanted.is_empty();
            let given_up = [(board(), EndReason::TooManyRestarts)];
            assert_ne!(placed, resumption.given_up == given_up);
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
    fn an_answered_call_is_taken_up_again_only_soon_after_the_room_was_last_alive() {
        const NOW: u64 = 1_800_000_000;
        let answered = WantedCall::answered(
            "work".to_owned(),
            WayBack {
                dialog: DialogName::new("a@b;to-tag=1;from-tag=2").unwrap(),
                target: "sip:caller@192.0.2.1".to_owned(),
                known_as: None,
            },
        );
        for (alive, placed) in [
            (None, 1),
            (Some(NOW), 2),
            (Some(NOW - 300), 2),
            (Some(NOW - 301), 1),
            (Some(NOW - 24 * 60 * 60), 1),
            // The clock was set back meanwhile.
            (Some(NOW + 60), 2),
        ] {
            let remembered = Remembered {
                wanted: vec![WantedCall::new(board()), answered.clone()],
                ..Remembered::default()
            };
            let resumption = remembered.after_restart(alive.map(at), at(NOW));
            assert_eq!(resumption.remembered.wanted.len(), placed, "{alive:?}");
            let not_resumed = [(answered.call.clone(), EndReason::NotResumed)];
            assert_eq!(resumption.given_up, not_resumed[..2 - placed], "{alive:?}");
        }
    }

    #[test]
    fn an_answered_call_is_given_up_after_as_many_restarts_as_any_other() {
        const NOW: u64 = 1_800_000_000;
        let way_back = WayBack {
            dialog: DialogName::new("a@b;to-tag=1;from-tag=2").unwrap(),
            target: board().target,
            known_as: None,
        };
        let mut interrupted = WantedCall::answered("work".to_owned(), way_back);
        interrupted.resumptions = Resumptions::new([NOW - 3, NOW - 2, NOW - 1].map(at));
        let remembered = Remembered {
            wanted: vec![interrupted.clone()],
            ..Remembered::default()
        };
        let resumption = remembered.after_restart(Some(at(NOW)), at(NOW));
        assert_eq!(resumption.remembered.wanted, []);
        assert_eq!(
            resumption.given_up,
            [(interrupted.call, EndReason::TooManyRestarts)]
        );
    }

    #[test]
    fn of_a_file_with_many_times_only_those_that_matter_are_kept() {
        let kept = Resumptions::new([9, 1, 5, 7].map(at));
        assert_eq!(kept.times().collect::<Vec<_>>(), [5, 7, 9].map(at));
    }
}
