//! How often strangers are answered: a token bucket for each source address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Sources remembered at once. A flood from more addresses shares what is left: nobody new is
/// answered until an old source's bucket is full again.
const MAX_SOURCES: usize = 1024;

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
}

impl StrangerLimit {
    /// `burst` answers at once, and one more after each `interval`.
    pub(crate) fn new(burst: u32, interval: Duration) -> Self {
        Self {
            burst,
            interval: interval.max(Duration::from_millis(1)),
            buckets: HashMap::new(),
        }
    }

    /// Whether a stranger at `source` is answered now.
    pub(crate) fn admit(&mut self, now: Instant, source: IpAddr) -> bool {
        if !self.buckets.contains_key(&source) && self.buckets.len() >= MAX_SOURCES {
            self.forget_full(now);
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
        true
    }

    fn forget_full(&mut self, now: Instant) {
        let (burst, interval) = (self.burst, self.interval);
        self.buckets.retain(|_, bucket| {
            bucket.refill(now, burst, interval);
            bucket.tokens < burst
        });
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
    fn a_flood_from_many_sources_neither_grows_the_table_nor_locks_it_for_ever() {
        let start = Instant::now();
        let mut limit = StrangerLimit::new(1, Duration::from_secs(10));
        let source = |n: u32| IpAddr::V4(std::net::Ipv4Addr::from_bits(n));
        let first = (0..5_000)
            .filter(|n| limit.admit(start, source(*n)))
            .count();
        assert_eq!((first, limit.buckets.len()), (MAX_SOURCES, MAX_SOURCES));
        assert!(limit.admit(start + Duration::from_secs(10), source(9_000)));
    }
}
