//! Receiver estimated maximum bitrate (REMB, draft-alvestrand-rmcat-remb-03): the most that a receiver takes
//! of some streams together.

use room::units::Bitrate;

use super::{PAYLOAD_SPECIFIC_FEEDBACK, RtcpPacket, take, take_u32};

/// Application layer feedback (RFC 4585 section 6.4), by which REMB travels under its name.
const FORMAT: u8 = 15;
const NAME: [u8; 4] = *b"REMB";

/// What a receiver estimates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaximumBitrate {
    /// The most of the streams together.
    pub most: Bitrate,
    /// The streams.
    pub ssrcs: Vec<u32>,
}

impl MaximumBitrate {
    /// Reads a packet; `None` for any other.
    #[must_use]
    pub fn read(packet: RtcpPacket<'_>) -> Option<Self> {
        if (packet.packet_type, packet.format) != (PAYLOAD_SPECIFIC_FEEDBACK, FORMAT) {
            return None;
        }
        let mut rest = packet.body;
        // Who reports, and a source that is always zero.
        take::<8>(&mut rest)?;
        if take(&mut rest)? != NAME {
            return None;
        }
        let [count, bitrate @ ..] = take_u32(&mut rest)?.to_be_bytes();
        let bitrate = u32::from_be_bytes([0, bitrate[0], bitrate[1], bitrate[2]]);
        let (exponent, mantissa) = (bitrate >> 18, u64::from(bitrate & 0x3_ffff));
        // 18 bits, shifted by 63 at most.
        let most = u128::from(mantissa) << exponent;
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        let ssrcs = (0..count)
            .map(|_| take_u32(&mut rest))
            .collect::<Option<_>>()?;
        Some(Self {
            most: Bitrate::bps(most),
            ssrcs,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::packets;

    fn read(datagram: &[u8]) -> Option<MaximumBitrate> {
        packets(datagram).next().and_then(MaximumBitrate::read)
    }

    const PACKET: [u8; 28] = [
        0x8f, 206, 0, 6, // format 15, six words behind the first
        0x01, 0x02, 0x03, 0x04, // who reports
        0, 0, 0, 0, // nobody
        b'R', b'E', b'M', b'B', //
        2, 0x0b, 0x0d, 0x40, // two streams; exponent 2, mantissa 0x30d40: 800,000 bit/s
        0, 0, 0, 7, //
        0, 0, 0, 9,
    ];

    #[test]
    fn a_packet_is_read_as_section_2_2_of_the_draft_lays_it_out() {
        let expected = MaximumBitrate {
            most: Bitrate::kbps(800),
            ssrcs: vec![7, 9],
        };
        assert_eq!(read(&PACKET), Some(expected));
    }

    #[test]
    fn another_name_or_fewer_streams_than_counted_are_no_estimate() {
        let with = |place: usize, value| {
            let mut packet = PACKET;
            packet[place] = value;
            packet
        };
        assert_eq!(read(&with(12, b'r')), None);
        assert_eq!(read(&with(16, 3)), None);
        assert_eq!(read(&with(0, 0x81)), None);
        assert_eq!(read(&PACKET[..24]), None);
    }

    #[test]
    fn the_largest_bitrate_that_can_be_written_is_as_much_as_anybody_wants() {
        let mut packet = PACKET;
        packet[17..20].copy_from_slice(&[0xff, 0xff, 0xff]);
        let read = read(&packet).map(|it| it.most);
        assert_eq!(read, Some(Bitrate::bps(u64::MAX)));
    }
}
