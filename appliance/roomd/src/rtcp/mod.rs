//! RTCP packets that tell a sender what becomes of what it sends: bytes in, types out, and the one that we
//! make ourselves.
//!
//! - [`packets`]: the packets of a compound or reduced-size datagram (RFC 3550 section 6.1, RFC 5506).
//! - [`congestion_feedback`]: what arrived, and when (RFC 8888).
//! - [`transport_feedback`]: the same by transport-wide numbers
//!   (draft-holmer-rmcat-transport-wide-cc-extensions-01).
//! - [`maximum_bitrate`]: the most that a receiver takes (draft-alvestrand-rmcat-remb-03).
//! - [`reception_report`]: loss and round trip (RFC 3550 section 6.4).
//!
//! Nothing here does I/O or keeps state; a packet that is cut off or contradicts itself is none.

pub mod congestion_feedback;
pub mod maximum_bitrate;
pub mod reception_report;
pub mod transport_feedback;

/// Transport layer feedback (RFC 4585 section 6.1).
const TRANSPORT_LAYER_FEEDBACK: u8 = 205;
/// Payload-specific feedback (RFC 4585 section 6.1).
const PAYLOAD_SPECIFIC_FEEDBACK: u8 = 206;

/// Bytes of the header that all RTCP packets share.
const HEADER_LENGTH: usize = 4;

/// One RTCP packet, out of its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtcpPacket<'a> {
    /// What the header's five bits say: the format of feedback, or the number of reports.
    pub format: u8,
    /// The kind of packet.
    pub packet_type: u8,
    /// What follows the header, without padding.
    pub body: &'a [u8],
}

/// The packets of a datagram, up to the first that is none.
pub fn packets(datagram: &[u8]) -> impl Iterator<Item = RtcpPacket<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let (packet, after) = split_packet(rest)?;
        rest = after;
        Some(packet)
    })
}

fn split_packet(datagram: &[u8]) -> Option<(RtcpPacket<'_>, &[u8])> {
    let ([first, packet_type, l0, l1], _) = datagram.split_first_chunk::<HEADER_LENGTH>()?;
    if first >> 6 != 2 {
        return None;
    }
    let words = usize::from(u16::from_be_bytes([*l0, *l1]));
    let (packet, after) = datagram.split_at_checked(HEADER_LENGTH + words * 4)?;
    let body = packet.get(HEADER_LENGTH..)?;
    let body = if first & 0x20 == 0 {
        body
    } else {
        let padding = usize::from(*body.last()?);
        body.get(..body.len().checked_sub(padding.max(1))?)?
    };
    let packet = RtcpPacket {
        format: first & 0x1f,
        packet_type: *packet_type,
        body,
    };
    Some((packet, after))
}

/// Takes so many bytes off the front.
fn take<const LENGTH: usize>(bytes: &mut &[u8]) -> Option<[u8; LENGTH]> {
    let (taken, rest) = bytes.split_first_chunk::<LENGTH>()?;
    *bytes = rest;
    Some(*taken)
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    take(bytes).map(u32::from_be_bytes)
}

fn take_u16(bytes: &mut &[u8]) -> Option<u16> {
    take(bytes).map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::congestion_feedback::CongestionFeedback;
    use super::maximum_bitrate::MaximumBitrate;
    use super::reception_report::reception_reports;
    use super::transport_feedback::TransportFeedback;
    use super::*;

    proptest! {
        #[test]
        fn any_body_of_any_kind_is_taken_without_harm(
            format in 0_u8..32,
            packet_type in 200_u8..=206,
            words in prop::collection::vec(any::<u32>(), 0..24),
            name in any::<bool>(),
        ) {
            let mut words = words;
            if name && words.len() > 3 {
                words[2] = u32::from_be_bytes(*b"REMB");
            }
            let mut datagram = vec![0x80 | format, packet_type, 0, words.len() as u8];
            datagram.extend(words.iter().flat_map(|word| word.to_be_bytes()));
            for packet in packets(&datagram) {
                let report = CongestionFeedback::read(packet);
                let reported = report.map_or(0, |report| {
                    report.streams.iter().map(|it| it.packets.len()).sum::<usize>()
                });
                prop_assert!(reported * 2 <= packet.body.len());
                let arrivals = TransportFeedback::read(packet);
                let arrived = arrivals.map_or(0, |it| it.packets.into_iter().flatten().count());
                prop_assert!(arrived <= packet.body.len());
                let estimate = MaximumBitrate::read(packet);
                prop_assert!(estimate.is_none_or(|it| it.ssrcs.len() * 4 < packet.body.len()));
                prop_assert!(reception_reports(packet).count() * 24 <= packet.body.len());
            }
        }
    }

    #[test]
    fn a_datagram_is_read_packet_by_packet_without_padding() {
        let datagram = [
            0x81, 201, 0, 1, 1, 2, 3, 4, // a report
            0xab, 205, 0, 2, 5, 6, 7, 8, 9, 10, 0, 2, // format 11, two bytes of padding
            0x41, 200, 0, 0, // another version
        ];
        let read: Vec<_> = packets(&datagram).collect();
        let expected = [
            RtcpPacket {
                format: 1,
                packet_type: 201,
                body: &[1, 2, 3, 4],
            },
            RtcpPacket {
                format: 11,
                packet_type: 205,
                body: &[5, 6, 7, 8, 9, 10],
            },
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn a_packet_that_is_cut_off_or_padded_with_more_than_it_has_is_none() {
        for datagram in [
            &[0x81, 201, 0, 1, 1, 2, 3][..],
            &[0xa1, 201, 0, 1, 1, 2, 3, 5],
            &[0xa1, 201, 0, 0],
            &[0x81, 201, 0],
        ] {
            assert_eq!(packets(datagram).count(), 0, "{datagram:?}");
        }
    }
}
