//! Moments as files keep them: seconds since 1970.

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
