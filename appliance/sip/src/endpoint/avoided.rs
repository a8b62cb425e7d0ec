//! Servers that have failed a while ago: others of the same name are tried before them (RFC 3263
//! section 4.3), so that each call does not find out anew, at its user's cost, that one is down.
//!
//! ```text
//!   (good) ── no answer, no connection, 503 ──► avoided ── its time is over ──► (good)
//!      ▲                                           │
//!      └───────────── any answer but 503 ──────────┘
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::flows::Target;
use crate::transport::Transport;

/// How long a server that does not say when to come back is avoided.
const AVOIDED_FOR: Duration = Duration::from_secs(60);
/// The longest time that one may ask for.
const LONGEST: Duration = Duration::from_secs(300);
/// Servers that are remembered. A name has a few.
const MOST: usize = 64;

/// A server: how and where it is asked.
pub(crate) type Server = (Transport, SocketAddr);

/// The servers that are avoided, with the end of that.
#[derive(Debug, Default)]
pub(crate) struct Avoided {
    until: BTreeMap<Server, Instant>,
}

impl Avoided {
    /// A server has failed. One that fails again is avoided anew, never for less time than before.
    pub(crate) fn failed(&mut self, now: Instant, server: Server, retry_after: Option<Duration>) {
        let until = now + retry_after.unwrap_or(AVOIDED_FOR).min(LONGEST);
        self.until.retain(|_, until| *until > now);
        if self.until.len() >= MOST
            && !self.until.contains_key(&server)
            && let Some(first) = self.until.iter().min_by_key(|(_, until)| **until)
        {
            let first = *first.0;
            self.until.remove(&first);
        }
        let entry = self.until.entry(server).or_insert(until);
        *entry = until.max(*entry);
    }

    /// A server works.
    pub(crate) fn works(&mut self, server: Server) {
        self.until.remove(&server);
    }

    /// The targets in the order in which they are tried: those that are avoided last, each part in the
    /// order that it has.
    pub(crate) fn put_last(
        &self,
        now: Instant,
        targets: impl Iterator<Item = Target>,
    ) -> VecDeque<Target> {
        let (avoided, mut order): (VecDeque<_>, VecDeque<_>) =
            targets.partition(|target| self.is_avoided(now, (target.transport, target.remote)));
        order.extend(avoided);
        order
    }

    /// Whether a server has failed a while ago.
    pub(crate) fn is_avoided(&self, now: Instant, server: Server) -> bool {
        self.until.get(&server).is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(host: u8) -> Target {
        let remote = SocketAddr::from(([192, 0, 2, host], 5060));
        Target::new(Transport::Udp, remote, "example.test".to_owned())
    }

    fn server(host: u8) -> Server {
        (Transport::Udp, target(host).remote)
    }

    fn order(avoided: &Avoided, now: Instant) -> Vec<u8> {
        avoided
            .put_last(now, [1, 2, 3].map(target).into_iter())
            .into_iter()
            .map(|target| match target.remote {
                SocketAddr::V4(address) => address.ip().octets()[3],
                SocketAddr::V6(_) => 0,
            })
            .collect()
    }

    #[test]
    fn what_has_failed_comes_last_until_it_works_or_its_time_is_over() {
        let now = Instant::now();
        let mut avoided = Avoided::default();
        assert_eq!(order(&avoided, now), [1, 2, 3]);
        avoided.failed(now, server(1), None);
        assert_eq!(order(&avoided, now), [2, 3, 1]);
        avoided.failed(now, server(2), Some(Duration::from_secs(5)));
        assert_eq!(order(&avoided, now), [3, 1, 2]);
        assert_eq!(order(&avoided, now + Duration::from_secs(5)), [2, 3, 1]);
        assert_eq!(order(&avoided, now + AVOIDED_FOR), [1, 2, 3]);
        avoided.works(server(1));
        assert_eq!(order(&avoided, now), [1, 3, 2]);
    }

    #[test]
    fn all_that_have_failed_are_tried_in_their_order() {
        let now = Instant::now();
        let mut avoided = Avoided::default();
        for host in [3, 1, 2] {
            avoided.failed(now, server(host), None);
        }
        assert_eq!(order(&avoided, now), [1, 2, 3]);
    }

    #[test]
    fn a_second_failure_shortens_nothing_and_no_server_is_avoided_for_hours() {
        let now = Instant::now();
        let mut avoided = Avoided::default();
        let day = Duration::from_secs(86_400);
        avoided.failed(now, server(1), Some(day));
        avoided.failed(now, server(1), Some(Duration::from_secs(1)));
        assert_eq!(order(&avoided, now + LONGEST / 2), [2, 3, 1]);
        assert_eq!(order(&avoided, now + LONGEST), [1, 2, 3]);
    }

    #[test]
    fn the_number_of_servers_is_bounded_and_those_that_are_over_soonest_go_first() {
        let now = Instant::now();
        let mut avoided = Avoided::default();
        avoided.failed(now, server(1), Some(Duration::from_secs(1)));
        for host in 100..100 + MOST as u16 {
            let remote = SocketAddr::from(([198, 51, 100, 1], host));
            avoided.failed(now, (Transport::Udp, remote), None);
        }
        assert_eq!(avoided.until.len(), MOST);
        assert_eq!(order(&avoided, now), [1, 2, 3], "forgotten");
    }
}
