//! Moments as files keep them, seconds since 1970, and as RTCP does.

use std::time::{Duration, SystemTime};

/// The seconds since 1970; a clock that stands before that counts as 1970.
pub(crate) fn unix_seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// The moment; `None` for what no clock can show.
pub(crate) fn unix_time(seconds: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// The time of the clock that our sender reports have, in 1/65536 s: the middle 32 bits of an NTP timestamp.
pub(crate) fn ntp_time() -> u32 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // A clock before 1970 is any other clock: only differences are looked at.
    let since = since.unwrap_or_default();
    let fraction = (u64::from(since.subsec_nanos()) << 16) / 1_000_000_000;
    // From 1900 to 1970 (RFC 5905 section 6).
    let seconds = since.as_secs().wrapping_add(2_208_988_800);
    (seconds << 16 | fraction) as u32
}
