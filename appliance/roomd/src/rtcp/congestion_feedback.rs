//! Congestion control feedback (RFC 8888): which packets arrived, and when.
//!
//! ```text
//!  SSRC of who reports
//!  for each stream: SSRC, first number, count, then for each packet 16 bits:
//!      arrived (1) | ECN (2) | how long before the report, in 1/1024 s (13)
//!  report timestamp: the middle 32 bits of an NTP timestamp
//! ```

use std::time::Duration;

use super::{RtcpPacket, TRANSPORT_LAYER_FEEDBACK, take, take_u16, take_u32};

/// Its format (RFC 8888 section 3.1).
const FORMAT: u8 = 11;
/// Packets that the block of one stream reports at most.
pub const MOST_PACKETS: u16 = 16_384;
/// A packet has arrived.
const ARRIVED: u16 = 0x8000;
/// The bits of the arrival time offset, and its two special values.
const OFFSET_MASK: u16 = 0x1fff;
const OFFSET_OVER_RANGE: u16 = 0x1ffe;
const OFFSET_UNAVAILABLE: u16 = 0x1fff;

/// What became of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketArrival {
    /// It has not arrived.
    Missing,
    /// It arrived so long before the report was made, to 1/1024 s.
    Arrived(Duration),
    /// It arrived more than 8 s before the report was made.
    Early,
    /// It arrived, nobody knows when.
    Untimed,
}

impl PacketArrival {
    fn read(bits: u16) -> Self {
        if bits & ARRIVED == 0 {
            return Self::Missing;
        }
        match bits & OFFSET_MASK {
            OFFSET_OVER_RANGE => Self::Early,
            OFFSET_UNAVAILABLE => Self::Untimed,
            offset => Self::Arrived(Duration::from_nanos(
                u64::from(offset) * 1_000_000_000 / 1024,
            )),
        }
    }

    fn write(self) -> u16 {
        match self {
            Self::Missing => 0,
            Self::Early => ARRIVED | OFFSET_OVER_RANGE,
            Self::Untimed => ARRIVED | OFFSET_UNAVAILABLE,
            Self::Arrived(before) => {
                let units = (before.as_nanos() * 1024 + 500_000_000) / 1_000_000_000;
                let offset = u16::try_from(units).unwrap_or(u16::MAX);
                ARRIVED | offset.min(OFFSET_OVER_RANGE)
            }
        }
    }
}

/// What is reported of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamReport {
    /// The stream.
    pub ssrc: u32,
    /// The number of the first packet; the others follow.
    pub begin: u16,
    /// What became of them, [`MOST_PACKETS`] at most.
    pub packets: Vec<PacketArrival>,
}

/// A whole report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CongestionFeedback {
    /// Who reports.
    pub sender: u32,
    /// The streams.
    pub streams: Vec<StreamReport>,
    /// When the report was made, in 1/65536 s by the reporter's clock; it wraps.
    pub timestamp: u32,
}

impl CongestionFeedback {
    /// Reads a packet; `None` for any other, and for one that does not end where its blocks do.
    #[must_use]
    pub fn read(packet: RtcpPacket<'_>) -> Option<Self> {
        if (packet.packet_type, packet.format) != (TRANSPORT_LAYER_FEEDBACK, FORMAT) {
            return None;
        }
        let (mut blocks, timestamp) = packet.body.split_last_chunk::<4>()?;
        let sender = take_u32(&mut blocks)?;
        let mut streams = Vec::new();
        while !blocks.is_empty() {
            streams.push(read_stream(&mut blocks)?);
        }
        Some(Self {
            sender,
            streams,
            timestamp: u32::from_be_bytes(*timestamp),
        })
    }

    /// The packet on the wire. ECN is never seen here, and said so.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut packet = vec![0x80 | FORMAT, TRANSPORT_LAYER_FEEDBACK, 0, 0];
        packet.extend(self.sender.to_be_bytes());
        for stream in &self.streams {
            let most = usize::from(MOST_PACKETS);
            let packets = &stream.packets[..stream.packets.len().min(most)];
            packet.extend(stream.ssrc.to_be_bytes());
            packet.extend(stream.begin.to_be_bytes());
            packet.extend((packets.len() as u16).to_be_bytes());
            packet.extend(packets.iter().flat_map(|it| it.write().to_be_bytes()));
            packet.resize(packet.len().next_multiple_of(4), 0);
        }
        packet.extend(self.timestamp.to_be_bytes());
        // The length counts words without the first.
        let words = u16::try_from(packet.len() / 4 - 1).unwrap_or(u16::MAX);
        packet[2..4].copy_from_slice(&words.to_be_bytes());
        packet
    }
}

fn read_stream(blocks: &mut &[u8]) -> Option<StreamReport> {
    let ssrc = take_u32(blocks)?;
    let begin = take_u16(blocks)?;
    let count = take_u16(blocks)?;
    if count > MOST_PACKETS {
        return None;
    }
    let bytes = blocks.split_off(..usize::from(count) * 2)?;
    let packets = bytes.as_chunks::<2>().0.iter();
    let packets = packets.map(|bits| PacketArrival::read(u16::from_be_bytes(*bits)));
    if count % 2 == 1 {
        take::<2>(blocks)?;
    }
    Some(StreamReport {
        ssrc,
        begin,
        packets: packets.collect(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rtcp::packets;

    fn read(datagram: &[u8]) -> Option<CongestionFeedback> {
        packets(datagram).next().and_then(CongestionFeedback::read)
    }

    #[test]
    fn a_report_is_laid_out_as_rfc_8888_section_3_1_says() {
        let packet = [
            0x8b, 205, 0, 9, // format 11, nine words behind the first
            0x01, 0x02, 0x03, 0x04, // who reports
            0x11, 0x12, 0x13, 0x14, // the first stream
            0xff, 0xfe, 0x00, 0x03, // three packets from 65,534 on
            0x80, 0x00, // arrived as the report was made
            0x00, 0x00, // missing
            0x84, 0x00, // a second earlier
            0x00, 0x00, // whole words
            0x21, 0x22, 0x23, 0x24, // the second stream
            0x00, 0x07, 0x00, 0x02, // two packets
            0x9f, 0xfe, // too early to say when
            0xbf, 0xff, // nobody knows when, with a mark of ECN 01
            0xaa, 0xbb, 0xcc, 0xdd, // when
        ];
        let report = CongestionFeedback {
            sender: 0x0102_0304,
            streams: vec![
                StreamReport {
                    ssrc: 0x1112_1314,
                    begin: 65_534,
                    packets: vec![
                        PacketArrival::Arrived(Duration::ZERO),
                        PacketArrival::Missing,
                        PacketArrival::Arrived(Duration::from_secs(1)),
                    ],
                },
                StreamReport {
                    ssrc: 0x2122_2324,
                    begin: 7,
                    packets: vec![PacketArrival::Early, PacketArrival::Untimed],
                },
            ],
            timestamp: 0xaabb_ccdd,
        };
        assert_eq!(read(&packet), Some(report.clone()));
        let mut unmarked = packet;
        unmarked[34] = 0x9f;
        assert_eq!(report.to_bytes(), unmarked);
    }

    #[test]
    fn offsets_beyond_what_thirteen_bits_say_are_out_of_range() {
        let bits =
            |milliseconds| PacketArrival::Arrived(Duration::from_millis(milliseconds)).write();
        assert_eq!(bits(7_997), 0x9ffd, "8,189 / 1,024 s");
        assert_eq!(bits(8_000), 0x9ffe);
        assert_eq!(bits(90_000), 0x9ffe);
    }

    #[test]
    fn blocks_that_are_cut_off_or_report_too_much_are_no_report() {
        let whole = CongestionFeedback {
            sender: 1,
            streams: vec![StreamReport {
                ssrc: 2,
                begin: 3,
                packets: vec![PacketArrival::Missing; 3],
            }],
            timestamp: 4,
        };
        let bytes = whole.to_bytes();
        assert_eq!(read(&bytes), Some(whole));
        for (count, place) in [(4, 14), (5, 15), (0x40_01, 14)] {
            let mut wrong = bytes.clone();
            let count: u16 = count;
            wrong[14..16].copy_from_slice(&count.to_be_bytes());
            // Four packets need no padding: that is the same length, and is taken.
            assert_eq!(read(&wrong).is_some(), count == 4, "{place}");
        }
    }

    fn any_arrival() -> impl Strategy<Value = PacketArrival> {
        prop_oneof![
            Just(PacketArrival::Missing),
            Just(PacketArrival::Early),
            Just(PacketArrival::Untimed),
            (0_u64..8_190).prop_map(|units| {
                PacketArrival::Arrived(Duration::from_nanos(units * 1_000_000_000 / 1024))
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            sender: u32,
            timestamp: u32,
            streams in prop::collection::vec(
                (any::<u32>(), any::<u16>(), prop::collection::vec(any_arrival(), 0..40)),
                0..4,
            ),
        ) {
            let streams = streams.into_iter().map(|(ssrc, begin, packets)| StreamReport {
                ssrc,
                begin,
                packets,
            });
            let report = CongestionFeedback { sender, streams: streams.collect(), timestamp };
            prop_assert_eq!(read(&report.to_bytes()), Some(report));
        }
    }
}
