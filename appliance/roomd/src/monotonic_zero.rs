//! The zero of the system's monotonic clock as an `Instant`, the same in every process of this
//! machine: two rooms on one machine can read each other's burnt-in clock by it.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The moment at which the system's monotonic clock read zero (about when it was booted).
#[must_use]
pub fn monotonic_zero() -> Instant {
    // `Instant` reads CLOCK_MONOTONIC too, but does not show its value.
    let uptime = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(uptime.tv_sec).unwrap_or(0);
    let nanoseconds = u32::try_from(uptime.tv_nsec).unwrap_or(0);
    let now = Instant::now();
    now.checked_sub(Duration::new(seconds, nanoseconds))
        .unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_readings_agree_to_a_fraction_of_the_clocks_unit() {
        let (first, second) = (monotonic_zero(), monotonic_zero());
        let apart = first.max(second) - first.min(second);
        assert!(apart < Duration::from_millis(5), "{apart:?}");
    }
}
