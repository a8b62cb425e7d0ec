//! How often a browser may do something that costs us work.

use std::time::{Duration, Instant};

/// Counts within whole seconds.
#[derive(Debug)]
pub(crate) struct RateLimit {
    per_second: u32,
    second: Option<(Instant, u32)>,
}

impl RateLimit {
    pub(crate) fn per_second(per_second: u32) -> Self {
        Self {
            per_second,
            second: None,
        }
    }

    /// It has happened once more: whether that is more often than allowed.
    pub(crate) fn is_exceeded(&mut self, now: Instant) -> bool {
        self.is_exceeded_by(now, 1)
    }

    /// It has happened so often more: whether it had been as often as allowed before.
    pub(crate) fn is_exceeded_by(&mut self, now: Instant, times: u32) -> bool {
        let current = self
            .second
            .filter(|(start, _)| now.saturating_duration_since(*start) < Duration::from_secs(1));
        let (start, count) = current.unwrap_or((now, 0));
        self.second = Some((start, count.saturating_add(times)));
        count >= self.per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_in_a_second_and_no_more() {
        let start = Instant::now();
        let mut limit = RateLimit::per_second(3);
        let mut exceeded = |ms| limit.is_exceeded(start + Duration::from_millis(ms));
        assert_eq!([0, 500, 999].map(&mut exceeded), [false; 3]);
        assert!(exceeded(999));
        assert_eq!([1_000, 1_001, 1_002].map(&mut exceeded), [false; 3]);
        assert!(exceeded(1_999));
    }

    #[test]
    fn what_counts_many_times_over_uses_up_the_second() {
        let start = Instant::now();
        let mut limit = RateLimit::per_second(100);
        assert!(!limit.is_exceeded_by(start, 5_000));
        assert!(limit.is_exceeded_by(start, 0));
        let later = start + Duration::from_secs(1);
        assert!(!limit.is_exceeded_by(later, 99));
        assert!(!limit.is_exceeded_by(later, 1));
        assert!(limit.is_exceeded_by(later, 1));
    }
}
