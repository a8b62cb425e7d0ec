//! How often somebody may do something: so many times in a time, counted exactly.
//!
//! Pure: it is told the time.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);
/// Wrong tokens of one source in [`ATTEMPT_MEMORY`]: a person mistypes a link a few times.
const WRONG_PER_SOURCE: usize = 10;
/// Wrong tokens of all sources in [`ATTEMPT_MEMORY`]; above that, a source has one.
const WRONG_IN_ALL: usize = 200;
/// Sessions that one source opens in a minute: all of an office come by one address.
const OPENED_PER_SOURCE: usize = 60;
/// How long a wrong token counts.
const ATTEMPT_MEMORY: Duration = Duration::from_secs(10 * 60);
/// Sources that are remembered.
const MAX_SOURCES: usize = 4096;

/// So many in a time.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    most: usize,
    time: Duration,
    times: VecDeque<Instant>,
}

impl Limit {
    /// `most` in any `time`.
    pub(crate) const fn new(most: usize, time: Duration) -> Self {
        Self {
            most,
            time,
            times: VecDeque::new(),
        }
    }

    /// Whether no more may be done by now.
    pub(crate) fn is_reached(&mut self, now: Instant) -> bool {
        let (time, is_old) = (self.time, |then: Instant, time| {
            now.saturating_duration_since(then) >= time
        });
        while self.times.front().is_some_and(|then| is_old(*then, time)) {
            self.times.pop_front();
        }
        self.times.len() >= self.most
    }

    fn count(&mut self, now: Instant) {
        // What is counted beyond the limit changes nothing.
        if !self.is_reached(now) {
            self.times.push_back(now);
        }
    }

    /// Counts one more, unless the limit is reached.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let free = !self.is_reached(now);
        self.count(now);
        free
    }
}

/// What a guest's page does that costs the room work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Costly {
    /// Opens a WebSocket.
    Connection,
    /// Makes an offer.
    Offer,
    /// Trickles a candidate.
    Candidate,
    /// Takes another name.
    Rename,
}

/// What one guest may do in a minute, however often it connects.
#[derive(Clone, Debug)]
pub(super) struct GuestLimits {
    connections: Limit,
    offers: Limit,
    candidates: Limit,
    names: Limit,
}

impl Default for GuestLimits {
    fn default() -> Self {
        Self {
            connections: Limit::new(30, MINUTE),
            offers: Limit::new(10, MINUTE),
            candidates: Limit::new(200, MINUTE),
            names: Limit::new(20, MINUTE),
        }
    }
}

impl GuestLimits {
    /// Counts one more; whether it may be done.
    pub(super) fn take(&mut self, what: Costly, now: Instant) -> bool {
        match what {
            Costly::Connection => self.connections.take(now),
            Costly::Offer => self.offers.take(now),
            Costly::Candidate => self.candidates.take(now),
            Costly::Rename => self.names.take(now),
        }
    }
}

/// What sources do to get in: wrong tokens, and sessions that they open.
#[derive(Debug)]
pub(super) struct Attempts {
    /// Wrong tokens.
    sources: HashMap<IpAddr, Limit>,
    /// Wrong tokens of all sources.
    all: Limit,
    /// Sessions that were opened: whoever has a link may not have the disk written for ever.
    opened: HashMap<IpAddr, Limit>,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            sources: HashMap::new(),
            all: Limit::new(WRONG_IN_ALL, ATTEMPT_MEMORY),
            opened: HashMap::new(),
        }
    }
}

impl Attempts {
    /// Whether a source may show another token. Where all together showed too many wrong ones, only who
    /// has shown none may: a guest with a good link is not kept out by others.
    pub(super) fn may_try(&mut self, source: IpAddr, now: Instant) -> bool {
        let all_reached = self.all.is_reached(now);
        let Some(wrong) = self.sources.get_mut(&network_of(source)) else {
            return true;
        };
        if wrong.is_reached(now) {
            return false;
        }
        wrong.times.is_empty() || !all_reached
    }

    /// Notes a wrong token.
    pub(super) fn was_wrong(&mut self, source: IpAddr, now: Instant) {
        self.all.count(now);
        forget_old(&mut self.sources, now);
        let fresh = || Limit::new(WRONG_PER_SOURCE, ATTEMPT_MEMORY);
        let source = self.sources.entry(network_of(source)).or_insert_with(fresh);
        source.count(now);
    }

    /// Counts a session that a source wants to open; whether it may.
    pub(super) fn may_open(&mut self, source: IpAddr, now: Instant) -> bool {
        forget_old(&mut self.opened, now);
        let fresh = || Limit::new(OPENED_PER_SOURCE, MINUTE);
        let source = self.opened.entry(network_of(source)).or_insert_with(fresh);
        source.take(now)
    }
}

/// Forgets what is old when there is much, and all when nothing is old: a flood from everywhere is nobody's
/// fault.
fn forget_old(sources: &mut HashMap<IpAddr, Limit>, now: Instant) {
    if sources.len() < MAX_SOURCES {
        return;
    }
    sources.retain(|_, limit| {
        limit.is_reached(now);
        !limit.times.is_empty()
    });
    if sources.len() >= MAX_SOURCES {
        sources.clear();
    }
}

/// Who has an address: in IPv6 a whole /64 is one site's.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn host(number: u32) -> IpAddr {
        IpAddr::V4((0x0a00_0000 + number).into())
    }

    #[test]
    fn a_guest_may_do_so_much_in_any_minute() {
        let start = Instant::now();
        for (what, most) in [
            (Costly::Offer, 10),
            (Costly::Candidate, 200),
            (Costly::Connection, 30),
            (Costly::Rename, 20),
        ] {
            let mut limits = GuestLimits::default();
            let taken = (0..1000).filter(|_| limits.take(what, start)).count();
            assert_eq!(taken, most, "{what:?}");
            assert!(!limits.take(what, start + 59 * SECOND));
            assert!(limits.take(what, start + 60 * SECOND));
        }
    }

    #[test]
    fn a_source_that_guesses_is_shut_out_for_a_while_and_nobody_else() {
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        for _ in 0..WRONG_PER_SOURCE {
            assert!(attempts.may_try(host(1), start));
            attempts.was_wrong(host(1), start);
        }
        assert!(!attempts.may_try(host(1), start));
        assert!(attempts.may_try(host(2), start));
        assert!(attempts.may_try(host(1), start + ATTEMPT_MEMORY));
    }

    #[test]
    fn addresses_of_one_site_count_as_one() {
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        for last in 0..WRONG_PER_SOURCE {
            let address = format!("2001:db8::{last:x}").parse().unwrap();
            attempts.was_wrong(address, start);
        }
        assert!(!attempts.may_try("2001:db8::ffff".parse().unwrap(), start));
        assert!(attempts.may_try("2001:db8:0:1::1".parse().unwrap(), start));
    }

    #[test]
    fn many_guessing_sources_have_one_attempt_each_and_guests_their_own() {
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        for number in 0..u32::try_from(WRONG_IN_ALL).unwrap() {
            attempts.was_wrong(host(number), start);
        }
        assert!(!attempts.may_try(host(0), start));
        assert!(attempts.may_try(host(1_000_000), start));
    }

    #[test]
    fn memory_is_bounded() {
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        for number in 0..20_000 {
            attempts.was_wrong(host(number), start);
            attempts.may_open(host(number), start);
            assert!(attempts.sources.len() <= MAX_SOURCES);
            assert!(attempts.opened.len() <= MAX_SOURCES);
        }
        assert!(attempts.all.times.len() <= WRONG_IN_ALL);
    }
}
