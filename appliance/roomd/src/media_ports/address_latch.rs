//! Where a stream's packets go, and from where they are taken.
//!
//! A peer behind NAT sends from another address than its SDP names, so a secured stream follows
//! its packets: once a packet with a valid SRTP tag, newer than every one before, comes from
//! another address, we send there. Nothing else moves the latch: an attacker who can send us
//! packets, or replay those that he has seen, must not be able to pull the media towards himself.
//! A plain stream has no proof of origin, so it stays with the address of the SDP.

use std::net::SocketAddr;

use crate::srtp_authenticator::PacketAge;

/// What an address latch decides about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It belongs to the stream.
    Pass,
    /// It belongs to the stream, and we send to its source from now on.
    PassAndFollow,
    /// It does not belong to the stream.
    Drop,
}

/// The address latch of one RTP or RTCP stream.
#[derive(Clone, Debug)]
pub struct AddressLatch {
    remote: SocketAddr,
}

impl AddressLatch {
    /// Starts at the address that offer/answer settled.
    #[must_use]
    pub fn new(negotiated: SocketAddr) -> Self {
        Self { remote: negotiated }
    }

    /// Where to send.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Judges a packet whose SRTP tag was found valid.
    pub fn judge_authenticated(&mut self, source: SocketAddr, age: PacketAge) -> Verdict {
        if source == self.remote {
            return Verdict::Pass;
        }
        match age {
            PacketAge::Newest => {
                self.remote = source;
                Verdict::PassAndFollow
            }
            PacketAge::NotNewest => Verdict::Drop,
        }
    }

    /// Judges a packet of a plain stream.
    #[must_use]
    pub fn judge_plain(&self, source: SocketAddr) -> Verdict {
        if source == self.remote {
            Verdict::Pass
        } else {
            Verdict::Drop
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn an_authenticated_newer_packet_moves_the_latch() {
        let mut latch = AddressLatch::new(at(1000));
        assert_eq!(
            latch.judge_authenticated(at(1000), PacketAge::Newest),
            Verdict::Pass
        );
        assert_eq!(
            latch.judge_authenticated(at(2000), PacketAge::Newest),
            Verdict::PassAndFollow
        );
        assert_eq!(latch.remote(), at(2000));
        assert_eq!(
            latch.judge_authenticated(at(2000), PacketAge::Newest),
            Verdict::Pass
        );
    }

    #[test]
    fn a_replayed_packet_from_elsewhere_is_dropped() {
        let mut latch = AddressLatch::new(at(1000));
        assert_eq!(
            latch.judge_authenticated(at(6666), PacketAge::NotNewest),
            Verdict::Drop
        );
        assert_eq!(latch.remote(), at(1000));
    }

    #[test]
    fn a_late_packet_from_the_right_address_passes() {
        let mut latch = AddressLatch::new(at(1000));
        assert_eq!(
            latch.judge_authenticated(at(1000), PacketAge::NotNewest),
            Verdict::Pass
        );
    }

    #[test]
    fn a_plain_stream_stays_with_the_negotiated_address() {
        let latch = AddressLatch::new(at(1000));
        assert_eq!(latch.judge_plain(at(2000)), Verdict::Drop);
        assert_eq!(latch.judge_plain(at(1000)), Verdict::Pass);
        assert_eq!(latch.remote(), at(1000));
    }
}
