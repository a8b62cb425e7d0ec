//! The timers of unreliable transports (RFC 8855 section 8.3).

use std::time::Duration;

/// The wait before the first retransmission of a request: 500 ms, or longer where answers take longer.
/// It doubles each time.
pub const T1: Duration = Duration::from_millis(500);
/// The longest that T1 grows to: 1.25 s. Its last retransmission then still finds the response of the
/// first one, which the peer keeps for T2.
pub const MAX_T1: Duration = Duration::from_millis(1_250);
/// How often a request is retransmitted before its association counts as failed.
pub const RETRANSMISSIONS: u8 = 3;
/// How long a response is kept for a request that comes again, since it last came: 10 s.
pub const T2: Duration = Duration::from_secs(10);
