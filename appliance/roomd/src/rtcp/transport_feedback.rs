//! Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1):
//! which packets arrived, by numbers that all streams of a transport share, and when.
//!
//! Runs of symbols say which packets arrived; of those that did, the times follow as differences in 0.25 ms.

use std::time::Duration;

use super::{RtcpPacket, TRANSPORT_LAYER_FEEDBACK, take, take_u16};

const FORMAT: u8 = 15;
/// The unit of the reference time.
const REFERENCE: i64 = 64_000;
/// The unit of differences, in microseconds.
const DELTA: i64 = 250;

/// A report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportFeedback {
    /// The number of the first packet; the others follow.
    pub base: u16,
    /// Counts reports, and wraps.
    pub number: u8,
    /// When each packet arrived, by the reporter's clock; `None` for one that has not. The clock wraps after
    /// 12.4 days.
    pub packets: Vec<Option<Duration>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Symbol {
    Missing,
    /// Its difference has one byte.
    Small,
    /// Its difference has two, with a sign.
    Large,
}

impl Symbol {
    /// The last one is reserved: packets of it have no time to read, so that nothing behind is to be had.
    const fn read(bits: u16) -> Option<Self> {
        match bits & 3 {
            0 => Some(Self::Missing),
            1 => Some(Self::Small),
            2 => Some(Self::Large),
            _ => None,
        }
    }
}

impl TransportFeedback {
    /// Reads a packet; `None` for any other, and for one whose symbols or times are cut off.
    #[must_use]
    pub fn read(packet: RtcpPacket<'_>) -> Option<Self> {
        if (packet.packet_type, packet.format) != (TRANSPORT_LAYER_FEEDBACK, FORMAT) {
            return None;
        }
        let mut rest = packet.body;
        // Who reports, and a stream that stands for all.
        take::<8>(&mut rest)?;
        let base = take_u16(&mut rest)?;
        let count = usize::from(take_u16(&mut rest)?);
        let [r0, r1, r2, number] = take(&mut rest)?;
        let mut symbols = Vec::with_capacity(count.min(1_024));
        while symbols.len() < count {
            read_chunk(take_u16(&mut rest)?, count, &mut symbols)?;
        }
        // A signed number; what is before zero is late in a clock that wraps.
        let mut time = i64::from(u32::from_be_bytes([0, r0, r1, r2])) * REFERENCE;
        let mut packets = Vec::with_capacity(symbols.len());
        for symbol in symbols {
            let delta = match symbol {
                Symbol::Missing => {
                    packets.push(None);
                    continue;
                }
                Symbol::Small => i64::from(take::<1>(&mut rest)?[0]),
                Symbol::Large => i64::from(i16::from_be_bytes(take(&mut rest)?)),
            };
            time += delta * DELTA;
            // Differences may lead to before the clock's zero.
            let microseconds = u64::try_from(time).unwrap_or(0);
            packets.push(Some(Duration::from_micros(microseconds)));
        }
        Some(Self {
            base,
            number,
            packets,
        })
    }
}

/// Adds the symbols of a chunk, up to `count` in all.
fn read_chunk(chunk: u16, count: usize, symbols: &mut Vec<Symbol>) -> Option<()> {
    let wanted = count - symbols.len();
    if chunk & 0x8000 == 0 {
        let length = usize::from(chunk & 0x1fff).min(wanted);
        if length == 0 {
            // It would never end.
            return None;
        }
        let symbol = Symbol::read(chunk >> 13)?;
        symbols.extend(std::iter::repeat_n(symbol, length));
        return Some(());
    }
    let (symbols_a_chunk, bits) = if chunk & 0x4000 == 0 { (14, 1) } else { (7, 2) };
    for place in (0..symbols_a_chunk).rev().take(wanted) {
        let mask = (1 << bits) - 1;
        symbols.push(Symbol::read(chunk >> (place * bits) & mask)?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::packets;

    fn packet(count: u16, chunks: &[u16], deltas: &[u8]) -> Vec<u8> {
        let mut body = vec![0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xfe];
        body.extend(count.to_be_bytes());
        // 64 ms twice, the fifth report.
        body.extend([0, 0, 2, 5]);
        body.extend(chunks.iter().flat_map(|chunk| chunk.to_be_bytes()));
        body.extend(deltas);
        body.resize(body.len().next_multiple_of(4), 0);
        let words = (body.len() / 4) as u8;
        [&[0x8f, 205, 0, words][..], &body].concat()
    }

    fn read(datagram: &[u8]) -> Option<TransportFeedback> {
        packets(datagram).next().and_then(TransportFeedback::read)
    }

    fn at(microseconds: u64) -> Option<Duration> {
        Some(Duration::from_micros(microseconds))
    }

    #[test]
    fn chunks_of_all_kinds_and_differences_of_both_sizes_are_read_as_section_3_1_says() {
        // A run of two that are missing; one bit each for fourteen; two bits each for seven, of which two count.
        let chunks = [0x0002, 0xa000, 0xe400];
        let report = read(&packet(18, &chunks, &[4, 0xff, 0xfc, 8])).unwrap();
        assert_eq!((report.base, report.number), (65_534, 5));
        assert_eq!(report.packets.len(), 18);
        assert_eq!(
            report.packets[2],
            at(129_000),
            "64 ms twice and four quarters"
        );
        assert_eq!(report.packets[16], at(128_000), "four quarters earlier");
        assert_eq!(report.packets[17], at(130_000));
        let arrived = report.packets.iter().flatten().count();
        assert_eq!(arrived, 3);
    }

    #[test]
    fn a_run_of_arrivals_has_a_difference_for_each() {
        let report = read(&packet(3, &[0x2003], &[1, 2, 3])).unwrap();
        assert_eq!(report.packets, [at(128_250), at(128_750), at(129_500)]);
    }

    #[test]
    fn what_is_cut_off_reserved_or_endless_is_no_report() {
        for (count, chunks, deltas) in [
            (20, &[0x2003][..], &[1, 2][..]),
            (8, &[0x2008], &[1, 2]),
            (2, &[0x6002], &[1, 2]),
            (2, &[0x2000], &[1, 2]),
        ] {
            assert_eq!(read(&packet(count, chunks, deltas)), None, "{chunks:?}");
        }
    }

    #[test]
    fn times_before_the_clock_s_zero_are_its_zero() {
        let mut early = packet(1, &[0x4001], &[0xff, 0x00]);
        early[18] = 0;
        assert_eq!(read(&early).unwrap().packets, [at(0)]);
    }
}
