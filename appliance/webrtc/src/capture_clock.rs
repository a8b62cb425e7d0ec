//! When what media sends was captured.
//!
//! Media's sender reports say which NTP time an RTP timestamp stands for (RFC 3550 section 6.4.1). The
//! engine makes reports of its own, from the moment that each packet is given; so that sound and
//! pictures stay together at the browser, that moment is the one of the capture, on a time line that all
//! streams of the leg share.

use std::time::{Duration, Instant};

/// Beyond this, NTP time and `now` have parted: the system's clock was set.
const LARGEST_DIFFERENCE: Duration = Duration::from_secs(2);

/// Which NTP time an RTP timestamp of media stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SenderTime {
    /// NTP time, 32 bits of seconds and 32 of their fraction.
    pub(crate) ntp: u64,
    /// RTP timestamp.
    pub(crate) rtp: u32,
}

/// The time line of a leg.
#[derive(Debug, Default)]
pub(crate) struct CaptureClock {
    anchor: Option<(u64, Instant)>,
}

impl CaptureClock {
    /// A report has come: the first one ties NTP time to `now`.
    pub(crate) fn report(&mut self, now: Instant, time: SenderTime) {
        let near = self
            .instant(time.ntp)
            .is_some_and(|instant| difference(instant, now) <= LARGEST_DIFFERENCE);
        if !near {
            self.anchor = Some((time.ntp, now));
        }
    }

    /// When the packet of this timestamp was captured: `now` at the latest, and where nothing better is
    /// known.
    pub(crate) fn captured(
        &self,
        now: Instant,
        time: Option<SenderTime>,
        clock_hz: u32,
        timestamp: u32,
    ) -> Instant {
        let Some(time) = time else {
            return now;
        };
        // Signed, because a packet may be older than the report.
        let ticks = i64::from(timestamp.wrapping_sub(time.rtp).cast_signed());
        let fraction = (i128::from(ticks) << 32) / i128::from(clock_hz.max(1));
        let ntp = time.ntp.wrapping_add_signed(fraction as i64);
        self.instant(ntp)
            .filter(|instant| difference(*instant, now) <= LARGEST_DIFFERENCE)
            .map_or(now, |instant| instant.min(now))
    }

    fn instant(&self, ntp: u64) -> Option<Instant> {
        let (anchor, instant) = self.anchor?;
        let fraction = ntp.wrapping_sub(anchor).cast_signed();
        let nanoseconds = (u128::from(fraction.unsigned_abs()) * 1_000_000_000) >> 32;
        let distance = Duration::from_nanos(u64::try_from(nanoseconds).ok()?);
        if fraction < 0 {
            instant.checked_sub(distance)
        } else {
            instant.checked_add(distance)
        }
    }
}

fn difference(one: Instant, other: Instant) -> Duration {
    one.max(other) - one.min(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_streams_of_one_capture_get_the_same_moment() {
        let start = Instant::now() + Duration::from_secs(10);
        let at = |ms| start + Duration::from_millis(ms);
        let second = 1_u64 << 32;
        let audio = SenderTime {
            ntp: 5_000 * second,
            rtp: 48_000,
        };
        let video = SenderTime {
            ntp: 5_000 * second + second / 4,
            rtp: u32::MAX,
        };
        let mut clock = CaptureClock::default();
        clock.report(at(0), audio);
        clock.report(at(250), video);
        let heard = clock.captured(at(520), Some(audio), 48_000, 48_000 + 24_000);
        let seen = clock.captured(at(540), Some(video), 90_000, 22_499);
        assert!(difference(heard, at(500)) < Duration::from_micros(1));
        assert!(difference(seen, heard) < Duration::from_micros(1));
    }

    #[test]
    fn a_capture_never_lies_in_the_future_and_a_clock_that_was_set_starts_anew() {
        let start = Instant::now() + Duration::from_secs(10);
        let time = |seconds: u64| SenderTime {
            ntp: seconds << 32,
            rtp: 0,
        };
        let mut clock = CaptureClock::default();
        assert_eq!(clock.captured(start, Some(time(9)), 90_000, 0), start);
        clock.report(start, time(100));
        assert_eq!(
            clock.captured(start, Some(time(100)), 90_000, 90_000),
            start
        );
        let later = start + Duration::from_secs(1);
        clock.report(later, time(9_000));
        assert_eq!(clock.captured(later, Some(time(9_000)), 90_000, 0), later);
    }
}
