//! How long a registration is asked for (RFC 3261 section 10.2.1.1), and what a registrar may make of it.

use std::time::Duration;

/// The shortest registration that we ask for.
const MIN_EXPIRES: u32 = 10;
/// The shortest that we let a registrar grant: it is refreshed at most once a second.
const MIN_GRANTED: u32 = 2;
/// The longest that we let a registrar ask for in Min-Expires: a day.
pub(super) const MAX_EXPIRES: u32 = 86_400;
/// How often in one attempt the interval is raised and asked for at once. A registrar that is not
/// content then, because it wants more than a day or ever more, is tried again after a wait: it would
/// be asked without end, as fast as it answers.
const RAISES_AT_ONCE: u32 = 1;

/// What to ask for, in seconds. A registrar's Min-Expires raises it, and it stays so.
#[derive(Debug)]
pub(super) struct Interval {
    seconds: u32,
    /// How often it was raised in this attempt.
    raises: u32,
}

impl Interval {
    /// As configured, within reason.
    pub(super) fn new(wanted: Duration) -> Self {
        let seconds = u32::try_from(wanted.as_secs()).unwrap_or(MAX_EXPIRES);
        Self {
            seconds: seconds.clamp(MIN_EXPIRES, MAX_EXPIRES),
            raises: 0,
        }
    }

    pub(super) fn seconds(&self) -> u32 {
        self.seconds
    }

    /// Wants what the registrar finds long enough (section 10.2.8), within reason. `None` when asking
    /// at once would be in vain, or was just done.
    pub(super) fn raise(&mut self, min_expires: u32) -> Option<u32> {
        let wanted = min_expires.min(MAX_EXPIRES);
        if wanted <= self.seconds {
            return None;
        }
        self.seconds = wanted;
        self.raises += 1;
        (self.raises <= RAISES_AT_ONCE).then_some(wanted)
    }

    /// The registrar has granted or refused: the next attempt may raise it again.
    pub(super) fn attempt_over(&mut self) {
        self.raises = 0;
    }

    /// How long a registration is taken to stand that was granted for so many seconds.
    pub(super) fn believed(&self, granted: u32) -> Duration {
        let seconds = granted.clamp(MIN_GRANTED, self.seconds.max(MIN_GRANTED));
        Duration::from_secs(u64::from(seconds))
    }
}
