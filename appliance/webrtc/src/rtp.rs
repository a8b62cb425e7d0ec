//! Plain RTP and RTCP packets, as media gives and takes them (RFC 3550).

use std::time::SystemTime;

use bytes::{BufMut, Bytes, BytesMut};

use crate::capture_clock::SenderTime;

/// The longest packet that media may give. With the header extensions, the tag and what a
/// retransmission adds it still fits into a datagram.
pub(crate) const LONGEST_PACKET: usize = 1_400;

const FIXED_HEADER: usize = 12;
const SENDER_REPORT: u8 = 200;
const SOURCE_DESCRIPTION: u8 = 202;
const PAYLOAD_FEEDBACK: u8 = 206;
const PICTURE_LOSS_INDICATION: u8 = 1;
const FULL_INTRA_REQUEST: u8 = 4;

/// Seconds from 1900, where NTP begins, to 1970.
const NTP_TO_UNIX: u64 = 2_208_988_800;

/// An RTP packet without the parts that only one hop is concerned with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RtpPacket<'a> {
    pub(crate) marker: bool,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    /// Without padding.
    pub(crate) payload: &'a [u8],
}

impl<'a> RtpPacket<'a> {
    /// `None` for what is not a whole RTP packet of at most [`LONGEST_PACKET`] bytes, or has nothing in
    /// it.
    pub(crate) fn parse(packet: &'a [u8]) -> Option<Self> {
        if packet.len() > LONGEST_PACKET {
            return None;
        }
        let (header, mut rest) = packet.split_at_checked(FIXED_HEADER)?;
        let first = header[0];
        if first >> 6 != 2 || is_rtcp(packet) {
            return None;
        }
        rest = rest.get(usize::from(first & 0x0f) * 4..)?;
        if first & 0x10 != 0 {
            let (extension, behind) = rest.split_at_checked(4)?;
            let words = u16::from_be_bytes([extension[2], extension[3]]);
            rest = behind.get(usize::from(words) * 4..)?;
        }
        if first & 0x20 != 0 {
            let padding = usize::from(*rest.last()?);
            rest = rest.get(..rest.len().checked_sub(padding.max(1))?)?;
        }
        (!rest.is_empty()).then_some(Self {
            marker: header[1] & 0x80 != 0,
            sequence: u16::from_be_bytes([header[2], header[3]]),
            timestamp: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            ssrc: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
            payload: rest,
        })
    }

    /// The packet on the wire.
    pub(crate) fn write(&self, payload_type: u8) -> Bytes {
        let mut packet = BytesMut::with_capacity(FIXED_HEADER + self.payload.len());
        packet.put_u8(0x80);
        packet.put_u8(payload_type & 0x7f | if self.marker { 0x80 } else { 0 });
        packet.put_u16(self.sequence);
        packet.put_u32(self.timestamp);
        packet.put_u32(self.ssrc);
        packet.put_slice(self.payload);
        packet.freeze()
    }
}

/// The sequence number and the payload of a packet that is sent again in a stream of its own (RFC 4588
/// section 4).
pub(crate) fn retransmitted(payload: &[u8]) -> Option<(u16, &[u8])> {
    let (number, payload) = payload.split_first_chunk()?;
    Some((u16::from_be_bytes(*number), payload))
}

/// Whether a packet that begins like RTP is RTCP (RFC 5761 section 4).
pub(crate) fn is_rtcp(packet: &[u8]) -> bool {
    packet
        .get(1)
        .is_some_and(|second| (64..96).contains(&(second & 0x7f)))
}

/// The SSRC and, with the id of its header extension, the transport-wide number of an RTP packet.
pub(crate) fn ssrc_and_transport_sequence(
    packet: &[u8],
    extension_id: Option<u8>,
) -> Option<(u32, Option<u16>)> {
    let ssrc = u32::from_be_bytes(packet.get(8..12)?.try_into().ok()?);
    let number = extension_id.and_then(|id| {
        let value = header_extension(packet, id)?;
        Some(u16::from_be_bytes(value.get(..2)?.try_into().ok()?))
    });
    Some((ssrc, number))
}

/// The SSRC and the sequence number of an RTP packet.
pub(crate) fn ssrc_and_sequence(packet: &[u8]) -> Option<(u32, u16)> {
    let ssrc = packet.get(8..12)?.try_into().ok()?;
    let sequence = packet.get(2..4)?.try_into().ok()?;
    Some((u32::from_be_bytes(ssrc), u16::from_be_bytes(sequence)))
}

/// The sequence numbers that an entry of a request for packets names (RFC 4585 section 6.2.1).
pub(crate) fn requested_sequences(first: u16, following: u16) -> impl Iterator<Item = u16> {
    let following = (0..16).filter(move |bit| following >> bit & 1 == 1);
    std::iter::once(first).chain(following.map(move |bit| first.wrapping_add(bit + 1)))
}

/// The value of a header extension (RFC 8285), in the short or the long form.
fn header_extension(packet: &[u8], id: u8) -> Option<&[u8]> {
    let first = *packet.first()?;
    if first & 0x10 == 0 {
        return None;
    }
    let block = packet.get(FIXED_HEADER + usize::from(first & 0x0f) * 4..)?;
    let (head, block) = block.split_at_checked(4)?;
    let words = u16::from_be_bytes([head[2], head[3]]);
    let mut elements = block.get(..usize::from(words) * 4)?;
    let short = head[..2] == [0xbe, 0xde];
    let long = head[0] == 0x10 && head[1] >> 4 == 0;
    if !short && !long {
        return None;
    }
    while let Some((&head, rest)) = elements.split_first() {
        if head == 0 {
            elements = rest;
            continue;
        }
        let (found, length, rest) = if short {
            (head >> 4, usize::from(head & 0x0f) + 1, rest)
        } else {
            let (&length, rest) = rest.split_first()?;
            (head, usize::from(length), rest)
        };
        let (value, rest) = rest.split_at_checked(length)?;
        if found == id {
            return Some(value);
        }
        elements = rest;
    }
    None
}

/// What of media's RTCP concerns the leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ControlPacket {
    /// A sender report.
    SenderReport {
        /// Of which source.
        ssrc: u32,
        /// Which time its timestamps stand for.
        time: SenderTime,
    },
    /// A PLI or FIR.
    KeyframeRequest,
}

/// Reads a compound of RTCP packets, or one that travels alone (RFC 5506). `None` when it is none, or
/// longer than media may give.
pub(crate) fn control_packets(mut compound: &[u8]) -> Option<Vec<ControlPacket>> {
    if compound.is_empty() || compound.len() > LONGEST_PACKET {
        return None;
    }
    let mut found = Vec::new();
    while !compound.is_empty() {
        let (header, _) = compound.split_at_checked(4)?;
        if header[0] >> 6 != 2 || !(192..=223).contains(&header[1]) {
            return None;
        }
        let words = u16::from_be_bytes([header[2], header[3]]);
        let (packet, rest) = compound.split_at_checked((usize::from(words) + 1) * 4)?;
        let format = header[0] & 0x1f;
        match header[1] {
            SENDER_REPORT => found.push(sender_report(packet)?),
            PAYLOAD_FEEDBACK if [PICTURE_LOSS_INDICATION, FULL_INTRA_REQUEST].contains(&format) => {
                found.push(ControlPacket::KeyframeRequest);
            }
            _ => {}
        }
        compound = rest;
    }
    Some(found)
}

fn sender_report(packet: &[u8]) -> Option<ControlPacket> {
    let word = |offset| {
        let bytes = packet.get(offset..offset + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    let ntp = (u64::from(word(8)?) << 32) | u64::from(word(12)?);
    let rtp = word(16)?;
    // The counts of packets and bytes belong to the report, though nobody reads them here.
    word(24)?;
    Some(ControlPacket::SenderReport {
        ssrc: word(4)?,
        time: SenderTime { ntp, rtp },
    })
}

/// A sender report and the name that ties the streams of one sender together (RFC 3550 sections 6.4.1
/// and 6.5.1). `name` has at most 255 bytes.
pub(crate) fn write_sender_report(
    ssrc: u32,
    time: SenderTime,
    packets: u32,
    octets: u32,
    name: &str,
) -> Bytes {
    let name = &name.as_bytes()[..name.len().min(255)];
    let mut compound = BytesMut::with_capacity(28 + 12 + name.len() + 4);
    compound.put_slice(&[0x80, SENDER_REPORT, 0, 6]);
    compound.put_u32(ssrc);
    compound.put_u64(time.ntp);
    compound.put_u32(time.rtp);
    compound.put_u32(packets);
    compound.put_u32(octets);
    // One chunk: SSRC, the item, and one to four zeros up to a whole word.
    let words = (4 + 2 + name.len()) / 4 + 1;
    compound.put_slice(&[0x81, SOURCE_DESCRIPTION]);
    compound.put_u16(words as u16);
    compound.put_u32(ssrc);
    compound.put_slice(&[1, name.len() as u8]);
    compound.put_slice(name);
    compound.put_bytes(0, words * 4 - (4 + 2 + name.len()));
    compound.freeze()
}

/// NTP time (RFC 3550 section 4); 0 before 1970.
pub(crate) fn ntp_time(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| {
            let seconds = (since.as_secs() + NTP_TO_UNIX) << 32;
            seconds | ((u64::from(since.subsec_nanos()) << 32) / 1_000_000_000)
        })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_with_everything_in_it_is_skipped() {
        let mut packet = vec![0xb1, 0x80 | 96, 0, 9, 0, 0, 0, 7, 1, 2, 3, 4];
        packet.extend([9, 9, 9, 9]);
        packet.extend([0xbe, 0xde, 0, 2, 0, 0x31, 0xab, 0xcd, 0x40, 0x30, 0, 0]);
        packet.extend([1, 2, 3, 0, 0, 3]);
        let parsed = RtpPacket::parse(&packet).unwrap();
        assert_eq!(parsed.payload, [1, 2, 3]);
        assert_eq!(
            (parsed.sequence, parsed.timestamp, parsed.ssrc),
            (9, 7, 0x0102_0304)
        );
        assert!(parsed.marker);
        let found = |id| ssrc_and_transport_sequence(&packet, Some(id)).unwrap();
        assert_eq!(found(3), (0x0102_0304, Some(0xabcd)));
        assert_eq!(found(5), (0x0102_0304, None));
        let written = parsed.write(101);
        assert_eq!(written[..2], [0x80, 0x80 | 101]);
        assert_eq!(RtpPacket::parse(&written), Some(parsed));
    }

    #[test]
    fn a_report_reads_back() {
        let time = SenderTime {
            ntp: 0x0123_4567_89ab_cdef,
            rtp: 77,
        };
        for length in 0..9 {
            let report = write_sender_report(5, time, 2, 3, &"x".repeat(length));
            assert_eq!(report.len() % 4, 0);
            let expected = ControlPacket::SenderReport { ssrc: 5, time };
            assert_eq!(control_packets(&report), Some(vec![expected]));
            assert_eq!(control_packets(&report[..report.len() - 1]), None);
        }
    }

    #[test]
    fn requests_for_a_picture_are_found_and_the_rest_is_passed_over() {
        let compound = [
            [0x80, 201, 0, 1, 0, 0, 0, 1].as_slice(),
            &[0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2],
            &[0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 9, 0, 0],
            &[
                0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0,
            ],
        ]
        .concat();
        let found = control_packets(&compound).unwrap();
        assert_eq!(found, [ControlPacket::KeyframeRequest; 2]);
    }

    #[test]
    fn ntp_time_of_half_a_second_after_1970() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(500);
        assert_eq!(ntp_time(time), (NTP_TO_UNIX << 32) | (1 << 31));
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = RtpPacket::parse(&bytes);
            let _ = control_packets(&bytes);
            let _ = ssrc_and_transport_sequence(&bytes, Some(3));
        }
    }
}
