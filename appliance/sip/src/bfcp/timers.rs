//! The timers of unreliable transports (RFC 8855 section 8.3).

use std::time::Duration;

/// The wait before the first retransmission of a request: 500 ms. It doubles each time.
pub const T1: Duration = Duration::from_millis(500);
/// How often a request is retransmitted before its association counts as failed.
pub const RETRANSMISSIONS: u8 = 3;
/// How long a response is kept for a request that comes again: 10 s.
pub const T2: Duration = Duration::from_secs(10);
