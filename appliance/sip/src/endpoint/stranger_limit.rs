//! How often strangers and senders of garbage are answered: a token bucket for each source, and one for all together.
//!
//! A source is an IPv4 address or an IPv6 /64: whoever has one address of a /64 has them all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Sources remembered at once. A flood from more addresses shares what is left: nobody new is
/// answered until an old source's bucket is full again.
const MAX_SOURCES: usize = 1024;
/// Answers at once to all sources together. A flood with invented sources gets no more than that.
const TOTAL_BURST: u32 = 64;
/// One more after each such interval: 20 a second.
const TOTAL_INTERVAL: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: u32,
    /// When `tokens` was last right.
    since: Instant,
}

/// The buckets.
#[derive(Debug)]
pub(crate) struct StrangerLimit {
    burst: u32,
    interval: Duration,
    buckets: HashMap<IpAddr, Bucket>,
    /// `None` before the first stranger.
    total: Option<Bucket>,
}

impl StrangerLimit {
    /// `burst` answers at once, and one more after each `interval`.
    pub(crate) fn new(burst: u32, interval: Duration) -> Self {
        Self {
            burst,
            interval: interval.max(Duration::from_millis(1)),
            buckets: HashMap::new(),
            total: None,
        }
    }

    /// Whether a stranger at `source` is answered now.
    pub(crate) fn admit(&mut self, now: Instant, source: IpAddr) -> bool {
        let source = source_of(source);
        let total = self.total.get_or_insert(Bucket {
            tokens: TOTAL_BURST,
            since: now,
        });
        total.refill(now, TOTAL_BURST, TOTAL_INTERVAL);
        if total.tokens == 0 {
            return false;
        }
        if !self.buckets.contains_key(&source) && self.buckets.len() >= MAX_SOURCES {
            forget_full(&mut self.buckets, now, self.burst, self.interval);
            if self.buckets.len() >= MAX_SOURCES {
                return false;
            }
        }
        let (burst, interval) = (self.burst, self.interval);
        let bucket = self.buckets.entry(source).or_insert(Bucket {
            tokens: burst,
            since: now,
        });
        bucket.refill(now, burst, interval);
        if bucket.tokens == 0 {
            return false;
        }
        bucket.tokens -= 1;
        total.tokens -= 1;
        true
    }
}

fn forget_full(
    buckets: &mut HashMap<IpAddr, Bucket>,
    now: Instant,
    burst: u32,
    interval: Duration,
) {
    buckets.retain(|_, bucket| {
        bucket.refill(now, burst, interval);
        bucket.tokens < burst
    });
}

fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(prefix))
        }
        address @ IpAddr::V4(_) => address,
    }
}

impl Bucket {
    fn refill(&mut self, now: Instant, burst: u32, interval: Duration) {
        let passed = now.saturating_duration_since(self.since);
        let earned = u32::try_from(passed.as_nanos() / interval.as_nanos()).unwrap_or(u32::MAX);
        if earned >= burst - self.tokens.min(burst) {
            self.tokens = burst;
            self.since = now;
        } else {
            self.tokens += earned;
            self.since += interval * earned;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn a_source_gets_its_burst_and_then_one_answer_an_interval() {
        let start = Instant::now();
        let mut limit = StrangerLimit::new(3, Duration::from_secs(10));
        let admitted = |limit: &mut StrangerLimit, at: u64| {
            (0..20)
                .filter(|_| limit.admit(start + Duration::from_secs(at), SOURCE))
                .count()
        };
        assert_eq!(admitted(&mut limit, 0), 3);
        assert_eq!(admitted(&mut limit, 9), 0);
        assert_eq!(admitted(&mut limit, 11), 1);
        assert_eq!(admitted(&mut limit, 19), 0);
        assert_eq!(admitted(&mut limit, 20), 1);
        assert_eq!(admitted(&mut limit, 500), 3);
    }

    #[test]
    fn a_flood_from_many_sources_gets_no_more_answers_than_all_together_may() {
        let start = Instant::now();
        let mut limit = StrangerLimit::new(5, Duration::from_secs(10));
        let admitted = |limit: &mut StrangerLimit, at: Duration| {
            (0..5_000)
                .filter(|n| limit.admit(start + at, source(*n)))
                .count()
        };
        assert_eq!(admitted(&mut limit, Duration::ZERO), 64);
        assert_eq!(admitted(&mut limit, Duration::from_millis(49)), 0);
        assert_eq!(admitted(&mut limit, Duration::from_secs(1)), 20);
        assert!(
            limit.buckets.len() <= 84,
            "who is not answered is not remembered"
        );
    }

    #[test]
    fn many_sources_neither_grow_the_table_nor_lock_it_for_ever() {
        let start = Instant::now();
        let mut limit = StrangerLimit::new(1, Duration::from_secs(1_000));
        let first = (0..2_000)
            .filter(|n| limit.admit(start + TOTAL_INTERVAL * *n, source(*n)))
            .count();
        assert_eq!((first, limit.buckets.len()), (MAX_SOURCES, MAX_SOURCES));
        assert!(limit.admit(start + Duration::from_secs(1_200), source(9_000)));
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_source() {
        let now = Instant::now();
        let mut limit = StrangerLimit::new(1, Duration::from_secs(10));
        let address = |text: &str| text.parse().unwrap();
        assert!(limit.admit(now, address("2001:db8::1")));
        assert!(!limit.admit(now, address("2001:db8::ffff:0:0:1")));
        assert!(limit.admit(now, address("2001:db8:0:1::1")));
        assert!(limit.admit(now, address("::ffff:192.0.2.1")));
        assert!(
            !limit.admit(now, address("192.0.2.1")),
            "the same in another form"
        );
    }

    fn source(n: u32) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::from_bits(n))
    }
}
