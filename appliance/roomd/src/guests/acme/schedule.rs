//! What is to be done about the certificate now: a pure function of the clock and of what is known.
//!
//! ```text
//!                    no certificate, or one for another name or of another server
//!                    its renewal is due            ┌── the owner asks (the server's word still counts)
//!                          │                       │
//!      WaitUntil ──────────┴───────> Order <───────┘
//!        ▲  ▲  │                      │  │
//!        │  │  └─ time to ask ─> AskForWindow (RFC 9773)
//!        │  └───────── issued ────────┘  │
//!        └── failed: 2 min, 10 min, 1 h, 3 h, 6 h, 6 h ... or as long as the server says
//! ```
//!
//! The clock of a room may be wrong, and nothing that is held is given up for it. A clock that stands
//! before the certificate's time is behind: then nothing is ordered at all. One that stands behind its
//! end may be right: a certificate is ordered, and the old one goes on until there is another.

use std::time::{Duration, SystemTime};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an order waits after so many failures in a row; Let's Encrypt takes five of a name in an hour.
const BACK_OFF: [Duration; 5] = [
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    HOUR,
    Duration::from_secs(3 * 60 * 60),
    Duration::from_secs(6 * 60 * 60),
];
/// The most that it waits for a server that was not reached: that costs the server nothing.
const UNREACHABLE_BACK_OFF: Duration = HOUR;
/// The longest that a server's word is waited for. Limits of rates are for a week at most.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How often a server is asked for the time of renewal, whatever it says itself (RFC 9773 section 4.3.2).
const WINDOW_QUESTIONS: (Duration, Duration) = (HOUR, DAY);
/// When it is asked again that did not answer.
const WINDOW_UNKNOWN: Duration = Duration::from_secs(6 * 60 * 60);
/// Between an order that has succeeded and the next one at least; a tenth of the certificate's time where that is less.
const REST: Duration = Duration::from_secs(6 * 60 * 60);
/// By how much the clock of a server may be ahead of ours.
const CLOCK_DIFFERENCE: Duration = HOUR;
/// When a clock is looked at again that is behind.
const CLOCK_BEHIND: Duration = MINUTE;

/// A random part of a whole, so that not all rooms come at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Jitter(pub(super) u16);

impl Jitter {
    fn of(self, whole: Duration) -> Duration {
        whole.mul_f64(f64::from(self.0) / f64::from(u16::MAX))
    }
}

/// A time from one moment to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) start: SystemTime,
    pub(super) end: SystemTime,
}

impl Period {
    pub(super) fn has(self, now: SystemTime) -> bool {
        (self.start..=self.end).contains(&now)
    }

    fn length(self) -> Duration {
        self.end.duration_since(self.start).unwrap_or_default()
    }
}

/// The certificate that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// From when to when it is good.
    pub(super) validity: Period,
    /// Whether it is for the wanted name, of the wanted server.
    pub(super) fits: bool,
}

/// What the server said of the certificate's renewal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RenewalWindow {
    /// The time in which it wants to be asked; `None` where it does not say.
    pub(super) window: Option<Period>,
    /// When it is asked again; `None`: it was not asked yet.
    pub(super) ask_again: Option<SystemTime>,
}

impl RenewalWindow {
    /// An answer. A window that ends before it begins is none (RFC 9773 section 4.2).
    pub(super) fn answered(window: Period, retry_after: Duration, now: SystemTime) -> Self {
        let (least, most) = WINDOW_QUESTIONS;
        Self {
            window: Some(window).filter(|window| window.start < window.end),
            ask_again: Some(now + retry_after.clamp(least, most)),
        }
    }

    /// No answer: what was known goes on.
    pub(super) fn unanswered(self, now: SystemTime) -> Self {
        Self {
            ask_again: Some(now + WINDOW_UNKNOWN),
            ..self
        }
    }
}

/// The orders that failed since the last one that did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Failures {
    /// How many.
    pub(super) count: u32,
    /// When the last one failed.
    pub(super) last: Option<SystemTime>,
    /// Before when the server wants no other.
    pub(super) retry_after: Option<SystemTime>,
    /// Whether the server was not even reached.
    pub(super) unreachable: bool,
    /// Whether this machine has had other addresses since.
    pub(super) moved: bool,
}

impl Failures {
    /// One more.
    #[must_use]
    pub(super) fn and(
        self,
        unreachable: bool,
        retry_after: Option<SystemTime>,
        now: SystemTime,
    ) -> Self {
        Self {
            count: self.count.saturating_add(1),
            last: Some(now),
            retry_after,
            unreachable,
            moved: false,
        }
    }

    /// The same on another network, by which a server may be reached that was not.
    #[must_use]
    pub(super) fn moved(self) -> Self {
        Self {
            moved: true,
            ..self
        }
    }

    /// The same for a clock that may have been set back since: nothing is waited for any longer than it
    /// would be if it had happened now.
    #[must_use]
    pub(super) fn seen_at(self, now: SystemTime) -> Self {
        Self {
            last: self.last.map(|last| last.min(now)),
            retry_after: self
                .retry_after
                .map(|after| after.min(now + LONGEST_RETRY_AFTER)),
            ..self
        }
    }

    /// Before when no other order is made; `None`: whenever.
    fn until(self, jitter: Jitter) -> Option<SystemTime> {
        let step = usize::try_from(self.count)
            .unwrap_or(usize::MAX)
            .checked_sub(1)?;
        let mut pause = BACK_OFF[step.min(BACK_OFF.len() - 1)];
        if self.unreachable {
            let most = if self.moved {
                BACK_OFF[0]
            } else {
                UNREACHABLE_BACK_OFF
            };
            pause = pause.min(most);
        }
        let pause = pause + jitter.of(pause / 4);
        self.last.map(|last| last + pause).max(self.retry_after)
    }
}

/// All that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Situation {
    pub(super) held: Option<Held>,
    /// When the last order succeeded, as long as the service has run.
    pub(super) ordered_at: Option<SystemTime>,
    pub(super) renewal: RenewalWindow,
    pub(super) failures: Failures,
    /// Whether the owner wants a certificate now.
    pub(super) asked: bool,
    /// Drawn anew for each certificate and each failure.
    pub(super) jitter: Jitter,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Order a certificate.
    Order,
    /// Ask the server when the certificate is to be renewed.
    AskForWindow,
    /// Nothing before this moment, by a clock that may be set in the meantime.
    WaitUntil(SystemTime),
}

/// What to do now.
pub(super) fn step(situation: &Situation, now: SystemTime) -> Step {
    let failures = situation.failures.seen_at(now);
    let order_at = if situation.asked {
        failures.retry_after.unwrap_or(now)
    } else {
        let Some(due) = due(situation, now) else {
            return Step::WaitUntil(now + CLOCK_BEHIND);
        };
        let due = rested(situation, now).map_or(due, |rested| due.max(rested));
        failures
            .until(situation.jitter)
            .map_or(due, |until| due.max(until))
    };
    if order_at <= now {
        return Step::Order;
    }
    // A certificate that is no longer good is renewed, whatever the server says (RFC 9773 section 4.3).
    let worth_asking = |held: &Held| held.fits && held.validity.has(now);
    if !situation.held.as_ref().is_some_and(worth_asking) {
        return Step::WaitUntil(order_at);
    }
    match situation.renewal.ask_again {
        Some(ask) if ask > now => Step::WaitUntil(order_at.min(ask)),
        Some(_) | None => Step::AskForWindow,
    }
}

/// Until when nothing is ordered after an order that has succeeded: where the clock is ahead, or the server says of a new
/// certificate that it is to be renewed, it would be due at once, again and again.
fn rested(situation: &Situation, now: SystemTime) -> Option<SystemTime> {
    let ordered_at = situation.ordered_at.filter(|at| *at <= now)?;
    let length = situation.held.filter(|held| held.fits)?.validity.length();
    Some(ordered_at + REST.min(length / 10))
}

/// When a certificate is to be ordered, but for failures; `None` while the clock is behind.
fn due(situation: &Situation, now: SystemTime) -> Option<SystemTime> {
    let Some(Held {
        validity,
        fits: true,
    }) = situation.held
    else {
        return Some(now);
    };
    if now + CLOCK_DIFFERENCE < validity.start {
        return None;
    }
    let at_two_thirds = validity.start + validity.length() * 2 / 3;
    Some(match situation.renewal.window {
        Some(window) => window.start + situation.jitter.of(window.length()),
        None => at_two_thirds + situation.jitter.of(validity.length() / 30),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-01 at midnight.
    fn march() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_772_323_200)
    }

    /// Good for the 90 days from March on.
    fn held() -> Held {
        Held {
            validity: Period {
                start: march(),
                end: march() + 90 * DAY,
            },
            fits: true,
        }
    }

    /// Whose server was asked, and does not say when.
    fn holding() -> Situation {
        Situation {
            held: Some(held()),
            renewal: RenewalWindow {
                window: None,
                ask_again: Some(march() + 1000 * DAY),
            },
            ..Situation::default()
        }
    }

    fn failed(count: u32, at: SystemTime) -> Failures {
        (0..count).fold(Failures::default(), |failures, _| {
            failures.and(false, None, at)
        })
    }

    #[test]
    fn a_certificate_that_is_due_as_it_comes_is_not_ordered_again_at_once() {
        let late = march() + 70 * DAY;
        let situation = Situation {
            held: Some(held()),
            ordered_at: Some(late),
            ..Situation::default()
        };
        assert_ne!(step(&situation, late), Step::Order);
        assert_ne!(step(&situation, late + REST / 2), Step::Order);
        assert_eq!(step(&situation, late + REST), Step::Order);
        // A clock that was set back since says nothing.
        let sooner = late - DAY;
        assert_eq!(step(&situation, sooner), Step::Order);
        let asked = Situation {
            asked: true,
            ..situation
        };
        assert_eq!(step(&asked, late), Step::Order);
    }

    #[test]
    fn a_certificate_is_ordered_where_there_is_none_that_fits() {
        let none = Situation::default();
        assert_eq!(step(&none, march()), Step::Order);
        let mut other_name = holding();
        other_name.held = Some(Held {
            fits: false,
            ..held()
        });
        assert_eq!(step(&other_name, march() + DAY), Step::Order);
        // Also while a clock is behind: it may be right.
        assert_eq!(step(&other_name, SystemTime::UNIX_EPOCH), Step::Order);
    }

    #[test]
    fn a_certificate_is_renewed_after_two_thirds_of_its_time() {
        let due = march() + 60 * DAY;
        for (jitter, due) in [(0, due), (u16::MAX, due + 3 * DAY)] {
            let situation = Situation {
                jitter: Jitter(jitter),
                ..holding()
            };
            assert_eq!(step(&situation, march() + DAY), Step::WaitUntil(due));
            assert_eq!(step(&situation, due), Step::Order);
            assert_eq!(step(&situation, march() + 91 * DAY), Step::Order);
        }
    }

    #[test]
    fn a_window_of_the_server_goes_before_the_own_reckoning() {
        let window = Period {
            start: march() + 10 * DAY,
            end: march() + 12 * DAY,
        };
        for (jitter, due) in [(0, window.start), (u16::MAX, window.end)] {
            let asked = march() + DAY;
            let situation = Situation {
                renewal: RenewalWindow::answered(window, 400 * DAY, asked),
                jitter: Jitter(jitter),
                ..holding()
            };
            // Within a day it is asked again, whatever it says.
            assert_eq!(step(&situation, asked), Step::WaitUntil(asked + DAY));
            assert_eq!(step(&situation, asked + DAY), Step::AskForWindow);
            assert_eq!(step(&situation, due), Step::Order);
        }
        // One that is past means at once: certificates of such a server are about to be revoked.
        let past = Period {
            start: march() - 2 * DAY,
            end: march() - DAY,
        };
        let situation = Situation {
            renewal: RenewalWindow::answered(past, HOUR, march()),
            ..holding()
        };
        assert_eq!(step(&situation, march() + DAY), Step::Order);
        let turned = Period {
            start: window.end,
            end: window.start,
        };
        assert_eq!(RenewalWindow::answered(turned, HOUR, march()).window, None);
    }

    #[test]
    fn a_server_is_asked_for_its_window_once_and_then_now_and_then() {
        let mut situation = holding();
        situation.renewal = RenewalWindow::default();
        let now = march() + DAY;
        assert_eq!(step(&situation, now), Step::AskForWindow);
        situation.renewal = situation.renewal.unanswered(now);
        let again = now + WINDOW_UNKNOWN;
        assert_eq!(step(&situation, now), Step::WaitUntil(again));
        assert_eq!(step(&situation, again), Step::AskForWindow);
        // What has ended is renewed without a question.
        situation.failures = failed(1, march() + 91 * DAY);
        let after = march() + 91 * DAY;
        assert_eq!(
            step(&situation, after),
            Step::WaitUntil(after + BACK_OFF[0])
        );
    }

    #[test]
    fn failures_are_followed_by_longer_and_longer_pauses() {
        let now = march();
        for (count, minutes) in [
            (1, 2),
            (2, 10),
            (3, 60),
            (4, 180),
            (5, 360),
            (u32::MAX, 360),
        ] {
            let mut failures = failed(1, now);
            failures.count = count;
            let pause = minutes * MINUTE;
            for (jitter, pause) in [(0, pause), (u16::MAX, pause + pause / 4)] {
                let situation = Situation {
                    failures,
                    jitter: Jitter(jitter),
                    ..Situation::default()
                };
                assert_eq!(
                    step(&situation, now),
                    Step::WaitUntil(now + pause),
                    "{count}"
                );
                assert_eq!(step(&situation, now + pause), Step::Order, "{count}");
            }
        }
        let unreachable = Failures::default().and(true, None, now);
        let situation = Situation {
            failures: Failures {
                count: 9,
                ..unreachable
            },
            ..Situation::default()
        };
        assert_eq!(step(&situation, now), Step::WaitUntil(now + HOUR));
        // A network that has come back is another one.
        let moved = Situation {
            failures: situation.failures.moved(),
            ..situation
        };
        assert_eq!(step(&moved, now), Step::WaitUntil(now + BACK_OFF[0]));
        assert!(!moved.failures.and(true, None, now).moved);
        let refused = Situation {
            failures: failed(9, now).moved(),
            ..situation
        };
        assert_eq!(step(&refused, now), Step::WaitUntil(now + 6 * HOUR));
    }

    #[test]
    fn a_server_that_refuses_for_a_month_is_asked_a_few_times_a_day() {
        let end = march() + 30 * DAY;
        for jitter in [0, 30_000, u16::MAX] {
            let mut situation = Situation {
                jitter: Jitter(jitter),
                ..Situation::default()
            };
            let (mut now, mut orders) = (march(), 0);
            while now < end {
                match step(&situation, now) {
                    Step::Order => {
                        orders += 1;
                        situation.failures = situation.failures.and(false, None, now);
                    }
                    Step::WaitUntil(until) => {
                        assert!(until > now);
                        now = until;
                    }
                    Step::AskForWindow => panic!("there is no certificate to ask about"),
                }
            }
            assert!((90..=124).contains(&orders), "{orders}");
        }
    }

    #[test]
    fn the_word_of_the_server_counts_even_against_the_owner() {
        let now = march();
        let limited = Failures::default().and(false, Some(now + 2 * DAY), now);
        let mut situation = Situation {
            failures: limited,
            ..Situation::default()
        };
        assert_eq!(step(&situation, now), Step::WaitUntil(now + 2 * DAY));
        situation.asked = true;
        assert_eq!(step(&situation, now), Step::WaitUntil(now + 2 * DAY));
        assert_eq!(step(&situation, now + 2 * DAY), Step::Order);
        // Without one, who asks is served at once, however often it failed.
        situation.failures = failed(7, now);
        assert_eq!(step(&situation, now), Step::Order);
        // Nobody waits for a year.
        situation.failures = Failures::default().and(false, Some(now + 365 * DAY), now);
        assert_eq!(
            step(&situation, now),
            Step::WaitUntil(now + LONGEST_RETRY_AFTER)
        );
    }

    #[test]
    fn a_wrong_clock_orders_nothing_needless_and_delays_nothing_for_ever() {
        let epoch = SystemTime::UNIX_EPOCH;
        assert_eq!(
            step(&holding(), epoch),
            Step::WaitUntil(epoch + CLOCK_BEHIND)
        );
        // That of the server may be ahead a little.
        let soon = march() - CLOCK_DIFFERENCE / 2;
        assert!(matches!(step(&holding(), soon), Step::WaitUntil(at) if at > march()));
        // In 2040 the certificate seems to have ended; a failure there delays nothing back in March.
        let future = march() + 14 * 365 * DAY;
        let mut situation = holding();
        assert_eq!(step(&situation, future), Step::Order);
        situation.failures = failed(1, future);
        assert!(matches!(step(&situation, future), Step::WaitUntil(_)));
        let due = march() + 61 * DAY;
        assert_eq!(step(&situation, due), Step::WaitUntil(due + BACK_OFF[0]));
        assert_eq!(situation.failures.seen_at(due).last, Some(due));
    }
}
