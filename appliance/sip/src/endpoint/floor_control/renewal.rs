//! When a client asks for another connection in place of one that is lost (RFC 8856 section 7.1).
//!
//! ```text
//!   idle ── lost ──► due, 1 s later, or 30 s after the last time ──► asked
//!    ▲ ▲                                                              │
//!    │ └──────────────── a new one is agreed ─────────────────────────┘
//!    └── lost for the sixth time in a row, or refused: given up, until our user wants the floor again
//! ```

use std::time::{Duration, Instant};

/// The wait after a loss: the far end notices it too, and answers with its listening socket free.
const AFTER_LOSS: Duration = Duration::from_secs(1);
/// At least from one attempt to the next (RFC 8855 section 6.1).
const INTERVAL: Duration = Duration::from_secs(30);
/// How many connections in a row are asked for: what ends each of them will not change by itself.
const MOST: u8 = 5;
/// A connection that stood for so long was a good one.
const GOOD: Duration = Duration::from_secs(300);

/// The connection, as far as we know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Link {
    /// It is agreed on, and not made yet.
    #[default]
    Pending,
    Open {
        since: Instant,
    },
    Lost,
}

/// The attempts of one client.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    link: Link,
    due: Option<Instant>,
    last: Option<Instant>,
    /// Since the last good connection, or the last wish of our user.
    attempts: u8,
}

impl Renewal {
    /// A connection stands.
    pub(super) fn opened(&mut self, now: Instant) {
        self.due = None;
        self.link = Link::Open { since: now };
    }

    /// The connection is lost, or could not be made.
    pub(super) fn lost(&mut self, now: Instant) {
        match self.link {
            Link::Open { since } if now.saturating_duration_since(since) >= GOOD => {
                self.attempts = 0;
            }
            Link::Open { .. } | Link::Pending | Link::Lost => {}
        }
        self.link = Link::Lost;
        if self.attempts < MOST {
            self.schedule(now + AFTER_LOSS);
        }
    }

    /// Our user wants the floor: that is a reason to ask once more.
    pub(super) fn wanted(&mut self, now: Instant) {
        if self.has_given_up() {
            self.attempts = 0;
            self.schedule(now);
        }
    }

    fn schedule(&mut self, at: Instant) {
        let earliest = self.last.map_or(at, |last| last + INTERVAL);
        self.due.get_or_insert(earliest.max(at));
    }

    /// Another connection is agreed already, or none is wanted.
    pub(super) fn settled(&mut self) {
        self.due = None;
        self.link = Link::Pending;
    }

    /// Whether there is no connection, and none is asked for. While one is, the answer is awaited.
    pub(super) fn has_given_up(&self) -> bool {
        self.link == Link::Lost && self.due.is_none()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Whether to ask now.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        if self.due.is_none_or(|due| due > now) {
            return false;
        }
        self.settled();
        self.last = Some(now);
        self.attempts += 1;
        true
    }

    /// The far end has refused another connection.
    pub(super) fn refused(&mut self) {
        self.link = Link::Lost;
        self.attempts = MOST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_lost_connection_is_asked_for_at_most_every_half_minute_and_five_times_in_a_row() {
        let start = Instant::now();
        let mut renewal = Renewal::default();
        let mut now = start;
        let mut asked = Vec::new();
        for _ in 0..8 {
            renewal.opened(now);
            renewal.lost(now + SECOND);
            let Some(due) = renewal.deadline() else {
                break;
            };
            assert!(!renewal.take_due(due - SECOND / 10));
            assert!(renewal.take_due(due));
            asked.push(due - start);
            now = due;
        }
        assert_eq!(asked, [2, 32, 62, 92, 122].map(Duration::from_secs));
        assert!(renewal.has_given_up());
        renewal.wanted(now + 2 * SECOND);
        assert_eq!(renewal.deadline(), Some(now + INTERVAL));
        renewal.settled();
        renewal.opened(now);
        renewal.lost(now + GOOD);
        assert_eq!(renewal.deadline(), Some(now + GOOD + AFTER_LOSS));
    }

    #[test]
    fn what_the_far_end_asks_for_itself_is_not_asked_for_again() {
        let now = Instant::now();
        let mut renewal = Renewal::default();
        renewal.lost(now);
        renewal.settled();
        assert_eq!(renewal.deadline(), None);
        assert!(!renewal.take_due(now + INTERVAL));
    }
}
