//! Tells RTP from RTCP where both come to one port (RFC 5761 section 4).

/// Packet types that RTCP may have there. As RTP they would be the payload types 64 to 95 with the
/// marker set, which offer/answer does not settle together with a shared port.
const RTCP_PACKET_TYPES: std::ops::RangeInclusive<u8> = 192..=223;

/// What a datagram of a shared port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// A media packet, or anything else that is no RTCP: whoever reads RTP refuses it.
    Rtp,
    /// A control packet.
    Rtcp,
}

/// Judges a datagram, protected or not: SRTP and SRTCP leave the first bytes in the clear.
#[must_use]
pub fn packet_kind(datagram: &[u8]) -> PacketKind {
    match datagram.get(1) {
        Some(packet_type) if RTCP_PACKET_TYPES.contains(packet_type) => PacketKind::Rtcp,
        Some(_) | None => PacketKind::Rtp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_and_feedback_are_told_from_media_whatever_its_marker() {
        for packet_type in [192, 195, 200, 201, 202, 203, 204, 205, 206, 207, 223] {
            assert_eq!(packet_kind(&[0x80, packet_type]), PacketKind::Rtcp);
        }
        for payload_type in (0..64).chain(96..128) {
            for marker in [0, 0x80] {
                assert_eq!(packet_kind(&[0x80, marker | payload_type]), PacketKind::Rtp);
            }
        }
        assert_eq!(packet_kind(&[0x80]), PacketKind::Rtp);
        assert_eq!(packet_kind(&[]), PacketKind::Rtp);
    }
}
