//! Handshake datagrams that come before the way they came by has proven itself.
//!
//! A browser sends its first handshake message with the answer to its own check, often before our check of the same
//! pair is answered. Dropped, it would be sent again 50 ms later (RFC 6347 section 4.2.4.1 lets it be longer).

use std::net::SocketAddr;

use crate::address::{Protocol, Received};

/// A first flight has two datagrams at most, and may come twice.
const MOST: usize = 4;
/// The largest one; longer ones are no part of a first flight.
const LONGEST: usize = 2_048;

/// One of them.
#[derive(Debug)]
pub(super) struct EarlyDatagram {
    protocol: Protocol,
    source: SocketAddr,
    destination: SocketAddr,
    payload: Vec<u8>,
}

/// Those that wait.
#[derive(Debug, Default)]
pub(super) struct EarlyHandshake(Vec<EarlyDatagram>);

impl EarlyHandshake {
    /// Keeps a datagram, where it may be one and there is room.
    pub(super) fn keep(&mut self, received: &Received<'_>) {
        // DTLS (RFC 7983).
        let is_handshake = matches!(received.payload.first(), Some(20..=63));
        if is_handshake && received.payload.len() <= LONGEST && self.0.len() < MOST {
            self.0.push(EarlyDatagram {
                protocol: received.protocol,
                source: received.source,
                destination: received.destination,
                payload: received.payload.to_vec(),
            });
        }
    }

    /// Takes those out whose way is proven by now, in the order in which they came.
    pub(super) fn take_proven(
        &mut self,
        is_proven: impl Fn(&Received<'_>) -> bool,
    ) -> Vec<EarlyDatagram> {
        let proven = self
            .0
            .extract_if(.., |early| is_proven(&early.as_received()));
        proven.collect()
    }
}

impl EarlyDatagram {
    /// As it came.
    pub(super) fn as_received(&self) -> Received<'_> {
        Received {
            protocol: self.protocol,
            source: self.source,
            destination: self.destination,
            payload: &self.payload,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(port: u16, payload: &[u8]) -> Received<'_> {
        Received {
            protocol: Protocol::Udp,
            source: SocketAddr::from(([192, 0, 2, 1], port)),
            destination: SocketAddr::from(([192, 0, 2, 2], 9)),
            payload,
        }
    }

    #[test]
    fn what_comes_early_is_given_in_order_once_its_way_is_proven() {
        let mut early = EarlyHandshake::default();
        for (port, payload) in [(1, [22, 1]), (2, [22, 2]), (1, [22, 3])] {
            early.keep(&from(port, &payload));
        }
        let is_proven = |received: &Received<'_>| received.source.port() == 1;
        let proven = early.take_proven(is_proven);
        let payloads: Vec<u8> = proven.iter().map(|early| early.payload[1]).collect();
        assert_eq!(payloads, [1, 3]);
        assert!(early.take_proven(is_proven).is_empty());
        assert_eq!(early.take_proven(|_| true).len(), 1);
    }

    #[test]
    fn little_is_kept_and_nothing_but_a_handshake() {
        let mut early = EarlyHandshake::default();
        let long = [22; LONGEST + 1];
        for payload in [&[0, 1][..], &[128, 96], &[], &long] {
            early.keep(&from(1, payload));
        }
        assert!(early.take_proven(|_| true).is_empty());
        for _ in 0..100 {
            early.keep(&from(1, &[22]));
        }
        assert_eq!(early.take_proven(|_| true).len(), MOST);
    }
}
