//! Reception reports (RFC 3550 section 6.4): loss of a stream, and the round trip to whom receives it.

use std::time::Duration;

use super::{RtcpPacket, take, take_u32};

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
/// What a sender tells of itself, in front of its reception reports.
const SENDER_INFO_LENGTH: usize = 20;

/// What a receiver tells of one stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReceptionReport {
    /// The stream.
    pub ssrc: u32,
    /// The share of its packets that was lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// The highest number that arrived, with how often the numbers wrapped.
    pub highest_sequence: u32,
    /// When the last sender report that arrived was made: the middle 32 bits of its NTP timestamp. Zero before
    /// one arrived.
    last_sender_report: u32,
    /// How long ago that arrived, in 1/65536 s.
    delay_since: u32,
}

impl ReceptionReport {
    /// The share that was lost, 0 to 1.
    #[must_use]
    pub fn loss(&self) -> f64 {
        f64::from(self.fraction_lost) / 256.0
    }

    /// The round trip to who reports, where this report arrives at `now`: the middle 32 bits of the NTP time
    /// that sender reports are stamped with. `None` where no sender report was heard of, or the times
    /// contradict each other.
    #[must_use]
    pub fn round_trip(&self, now: u32) -> Option<Duration> {
        if self.last_sender_report == 0 {
            return None;
        }
        let trip = now.wrapping_sub(self.last_sender_report);
        let trip = trip.wrapping_sub(self.delay_since);
        // Half of all times lie in the past: clocks that are set back make such trips.
        (trip < 1 << 31).then(|| Duration::from_nanos((u64::from(trip) * 1_000_000_000) >> 16))
    }

    fn read(block: [u8; 24]) -> Self {
        let mut rest = &block[..];
        let mut word = || take_u32(&mut rest).unwrap_or_default();
        let ssrc = word();
        let [fraction_lost, ..] = word().to_be_bytes();
        let highest_sequence = word();
        let _jitter = word();
        Self {
            ssrc,
            fraction_lost,
            highest_sequence,
            last_sender_report: word(),
            delay_since: word(),
        }
    }
}

/// The reception reports of a packet; none for one that carries none. Those that are cut off are left out.
pub fn reception_reports(packet: RtcpPacket<'_>) -> impl Iterator<Item = ReceptionReport> {
    let mut rest = packet.body;
    let begins = take_u32(&mut rest).is_some();
    let count = match packet.packet_type {
        RECEIVER_REPORT if begins => packet.format,
        SENDER_REPORT if begins && take::<SENDER_INFO_LENGTH>(&mut rest).is_some() => packet.format,
        _ => 0,
    };
    (0..count).map_while(move |_| take(&mut rest).map(ReceptionReport::read))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::packets;

    /// One block as RFC 3550 section 6.4.1 lays it out, with the times of its example in figure 2: the sender
    /// report was held for 5.250 s, and the round trip took 6.125 s.
    const BLOCK: [u8; 24] = [
        0, 0, 0, 7, // whose packets
        64, 0, 0, 12, // a quarter lost, twelve in all
        0, 1, 0x12, 0x34, // the highest number
        0, 0, 0, 5, // jitter
        0xb7, 0x05, 0x20, 0x00, // last SR
        0x00, 0x05, 0x40, 0x00, // delay since
    ];
    /// The time of arrival in that example.
    const ARRIVAL: u32 = 0xb710_8000;

    fn report(packet_type: u8, count: u8, sender_info: usize) -> Vec<u8> {
        let body = [&[0; 4][..], &vec![9; sender_info], &BLOCK].concat();
        let words = (body.len() / 4) as u8;
        [&[0x80 | count, packet_type, 0, words][..], &body].concat()
    }

    fn read(datagram: &[u8]) -> Vec<ReceptionReport> {
        packets(datagram).flat_map(reception_reports).collect()
    }

    #[test]
    fn blocks_of_both_kinds_of_reports_are_read_and_yield_the_round_trip_of_the_rfc_s_example() {
        for datagram in [report(200, 1, 20), report(201, 1, 0)] {
            let [block] = read(&datagram)[..] else {
                panic!("one block");
            };
            assert_eq!((block.ssrc, block.highest_sequence), (7, 0x1_1234));
            assert!((block.loss() - 0.25).abs() < 1e-9);
            assert_eq!(
                block.round_trip(ARRIVAL),
                Some(Duration::from_millis(6_125))
            );
        }
    }

    #[test]
    fn a_report_without_a_sender_report_or_from_before_it_tells_of_no_round_trip() {
        let [mut block] = read(&report(201, 1, 0))[..] else {
            panic!("one block");
        };
        assert_eq!(block.round_trip(0xb705_2000), None);
        block.last_sender_report = 0;
        assert_eq!(block.round_trip(ARRIVAL), None);
    }

    #[test]
    fn blocks_that_are_cut_off_and_other_packets_hold_no_reports() {
        assert_eq!(read(&report(201, 3, 0)).len(), 1);
        assert_eq!(read(&report(200, 1, 0)).len(), 0);
        assert_eq!(read(&report(205, 1, 0)).len(), 0);
        assert_eq!(read(&[0x81, 201, 0, 0]).len(), 0);
    }
}
