//! One input's handling, as the machines of the room see it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::command::Command;
use crate::policy::Timeouts;

/// One input's handling: the time it is, the rules, and where commands go.
pub(crate) struct Turn<'a> {
    /// The time of the input.
    pub(crate) now: Instant,
    /// The rules on time.
    pub(crate) timeouts: &'a Timeouts,
    /// What the input sets going.
    pub(crate) commands: &'a mut VecDeque<Command>,
}

impl Turn<'_> {
    /// The moment at which a state that begins now has lasted too long.
    pub(crate) fn deadline(&self, timeout: impl Fn(&Timeouts) -> Duration) -> Instant {
        deadline(self.now, timeout(self.timeouts))
    }
}

/// A moment that is `timeout` away, at most a day, so that no configured value can overflow.
pub(crate) fn deadline(now: Instant, timeout: Duration) -> Instant {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    now + timeout.min(DAY)
}
