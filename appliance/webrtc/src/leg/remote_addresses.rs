//! The addresses from which checks of ICE have come, each of which the engine remembers.
//!
//! A connection by TCP has another address each time. Those whose connection is closed make place for others, one in
//! five seconds: the engine forgets none until ICE restarts, and is to have some thousands of a long call at most.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Addresses from which checks may come until ICE restarts.
const MOST: usize = 64;

/// How often one takes the place of another.
const REPLACEMENT_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct RemoteAddress {
    address: SocketAddr,
    /// Whether its connection is closed.
    is_closed: bool,
}

/// Those that are known.
#[derive(Debug, Default)]
pub(super) struct RemoteAddresses {
    known: Vec<RemoteAddress>,
    replaced_at: Option<Instant>,
}

impl RemoteAddresses {
    /// Whether a check from there may be answered. From now on the address is known, if it is.
    pub(super) fn admit(&mut self, now: Instant, address: SocketAddr) -> bool {
        let mut known = self.known.iter_mut();
        if let Some(known) = known.find(|known| known.address == address) {
            known.is_closed = false;
            return true;
        }
        if self.known.len() >= MOST && !self.make_place(now) {
            return false;
        }
        self.known.push(RemoteAddress {
            address,
            is_closed: false,
        });
        true
    }

    fn make_place(&mut self, now: Instant) -> bool {
        let is_too_soon = self
            .replaced_at
            .is_some_and(|at| now.saturating_duration_since(at) < REPLACEMENT_INTERVAL);
        let closed = self.known.iter().position(|known| known.is_closed);
        let Some(closed) = closed.filter(|_| !is_too_soon) else {
            return false;
        };
        self.known.remove(closed);
        self.replaced_at = Some(now);
        true
    }

    /// The connection from there is closed.
    pub(super) fn close(&mut self, address: SocketAddr) {
        let mut known = self.known.iter_mut();
        if let Some(known) = known.find(|known| known.address == address) {
            known.is_closed = true;
        }
    }

    /// ICE restarts: none is known.
    pub(super) fn clear(&mut self) {
        self.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(port: u16) -> SocketAddr {
        SocketAddr::from(([198, 51, 100, 7], port))
    }

    #[test]
    fn an_address_whose_connection_is_closed_makes_place_for_another_now_and_then() {
        let mut addresses = RemoteAddresses::default();
        let start = Instant::now();
        for port in 0..100 {
            assert_eq!(addresses.admit(start, from(port)), port < 64);
        }
        for port in 0..10 {
            addresses.close(from(port));
        }
        // The oldest closed one goes, and who is known stays.
        assert!(addresses.admit(start, from(1_000)));
        assert!(addresses.admit(start, from(63)));
        let soon = start + REPLACEMENT_INTERVAL / 2;
        assert!(!addresses.admit(soon, from(1_001)));
        let later = start + REPLACEMENT_INTERVAL;
        assert!(addresses.admit(later, from(1_001)));
        // One that is heard from again is not closed.
        assert!(addresses.admit(later, from(2)));
        for number in 0..7 {
            let later = later + REPLACEMENT_INTERVAL * (number + 1);
            let port = 1_100 + u16::try_from(number).unwrap();
            assert!(addresses.admit(later, from(port)));
        }
        let end = later + REPLACEMENT_INTERVAL * 100;
        assert!(!addresses.admit(end, from(2_000)), "none is closed");
        assert!(addresses.admit(end, from(2)));
        addresses.clear();
        assert!(addresses.admit(end, from(2_000)));
    }
}
