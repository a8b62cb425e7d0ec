//! The packets that were sent, until feedback tells what became of them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Packets older than this are forgotten: whoever has not told of them by then will not.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3);
/// Packets that are kept at most.
const MOST: usize = 8_192;

/// A packet leaves at most this much later than one with a higher number.
const LATE: Duration = Duration::from_millis(250);

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PacketKind {
    /// Sound, for the first time or again.
    Audio,
    /// Pictures, for the first time.
    Video,
    /// Pictures, again.
    Retransmission,
}

/// What is known of a packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    /// Nothing yet.
    Unknown,
    /// It has arrived.
    Received,
    /// It counts as lost; it may still turn out to be late.
    Lost,
    /// The report that tells of it was lost itself.
    Unreported,
}

/// A packet that was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentPacket {
    pub(crate) sequence: u64,
    pub(crate) at: Instant,
    pub(crate) bytes: f64,
    pub(crate) kind: PacketKind,
    pub(crate) fate: Fate,
    /// It was sent again under its number after it was missed: when that arrives says nothing of the path.
    is_repeated: bool,
}

/// All of them, in the order of their numbers. That is nearly the order in which they were sent: what is sent
/// again has its number before it waits to leave.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    packets: VecDeque<SentPacket>,
    in_flight: f64,
    /// The highest number that was told of.
    told_until: u64,
}

impl Flight {
    pub(crate) fn sent(&mut self, now: Instant, sequence: u64, bytes: usize, kind: PacketKind) {
        let place = self
            .packets
            .partition_point(|packet| packet.sequence < sequence);
        let is_missed = sequence <= self.told_until;
        let known = self.packets.get_mut(place);
        if let Some(packet) = known.filter(|packet| packet.sequence == sequence) {
            packet.is_repeated |= is_missed;
            return;
        }
        // Given up before it left, and sent for its loss: what has told of it as missing tells nothing more.
        let is_overdue = |later: &SentPacket| later.at + LATE < now;
        if self.packets.get(place).is_some_and(is_overdue) {
            return;
        }
        self.packets.insert(
            place,
            SentPacket {
                sequence,
                at: now,
                bytes: bytes as f64,
                kind,
                fate: Fate::Unknown,
                is_repeated: false,
            },
        );
        self.in_flight += bytes as f64;
        self.forget(now, FORGOTTEN_AFTER);
    }

    /// Forgets what was sent longer ago than that.
    pub(crate) fn forget(&mut self, now: Instant, after: Duration) {
        let old = |packet: &SentPacket| now.saturating_duration_since(packet.at) > after;
        while self.packets.len() > MOST || self.packets.front().is_some_and(old) {
            if let Some(packet) = self.packets.pop_front()
                && packet.fate == Fate::Unknown
            {
                self.in_flight -= packet.bytes;
            }
        }
    }

    /// Bytes that nobody has told of yet.
    pub(crate) fn in_flight(&self) -> f64 {
        self.in_flight.max(0.0)
    }

    /// A report tells of the packets with numbers from `first` to `last`. Those between it and what was told of
    /// before are neither lost nor under way: their report has not come.
    pub(crate) fn told(&mut self, first: u64, last: u64) {
        let begin = self
            .packets
            .partition_point(|packet| packet.sequence <= self.told_until);
        for packet in self.packets.range_mut(begin..) {
            if packet.sequence >= first {
                break;
            }
            if packet.fate == Fate::Unknown {
                packet.fate = Fate::Unreported;
                self.in_flight -= packet.bytes;
            }
        }
        let newest = self.packets.back().map_or(0, |packet| packet.sequence);
        self.told_until = self.told_until.max(last.min(newest));
    }

    /// A packet has arrived. Gives it, unless that was known, it was lost and sent again under its number, or it is
    /// forgotten.
    pub(crate) fn received(&mut self, sequence: u64) -> Option<SentPacket> {
        let first = self
            .packets
            .partition_point(|packet| packet.sequence < sequence);
        let packet = self.packets.get_mut(first)?;
        if packet.sequence != sequence || packet.fate == Fate::Received || packet.is_repeated {
            return None;
        }
        if packet.fate == Fate::Unknown {
            self.in_flight -= packet.bytes;
        }
        packet.fate = Fate::Received;
        Some(*packet)
    }

    /// Whatever was sent before `than` and has not arrived is lost. Gives those that were not known to be.
    pub(crate) fn lost_before(&mut self, than: Instant) -> Vec<SentPacket> {
        let mut lost = Vec::new();
        let numbered_before = |packet: &&mut SentPacket| packet.at < than + LATE;
        for packet in self.packets.iter_mut().take_while(numbered_before) {
            if packet.fate == Fate::Unknown && packet.at < than {
                packet.fate = Fate::Lost;
                self.in_flight -= packet.bytes;
                lost.push(*packet);
            }
        }
        lost
    }

    /// The packets that were sent since.
    pub(crate) fn since(&self, since: Instant) -> impl Iterator<Item = &SentPacket> {
        let newest_first = self.packets.iter().rev();
        newest_first
            .take_while(move |packet| packet.at + LATE >= since)
            .filter(move |packet| packet.at >= since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_again_may_leave_after_packets_with_higher_numbers() {
        let mut flight = Flight::default();
        let begin = Instant::now();
        let at = |milliseconds| begin + Duration::from_millis(milliseconds);
        flight.sent(at(0), 1, 100, PacketKind::Video);
        flight.sent(at(10), 3, 100, PacketKind::Video);
        flight.sent(at(40), 2, 100, PacketKind::Retransmission);
        flight.sent(at(50), 2, 100, PacketKind::Retransmission);
        assert!((flight.in_flight() - 300.0).abs() < 1e-9);
        flight.told(1, 3);
        assert!(flight.received(3).is_some());
        // The second one is on its way still, and the first one is lost.
        let numbers = |packets: Vec<SentPacket>| -> Vec<u64> {
            packets.iter().map(|packet| packet.sequence).collect()
        };
        assert_eq!(numbers(flight.lost_before(at(20))), [1]);
        assert_eq!(numbers(flight.since(at(30)).copied().collect()), [2]);
        assert!(flight.received(2).is_some());
        assert!(flight.in_flight().abs() < 1e-9);
    }

    #[test]
    fn what_leaves_long_after_packets_with_higher_numbers_is_not_waited_for() {
        let mut flight = Flight::default();
        let begin = Instant::now();
        flight.sent(begin, 3, 100, PacketKind::Video);
        let later = begin + LATE + Duration::from_millis(1);
        flight.sent(later, 2, 100, PacketKind::Retransmission);
        flight.sent(later, 4, 100, PacketKind::Video);
        let numbers = |packets: Vec<SentPacket>| -> Vec<u64> {
            packets.iter().map(|packet| packet.sequence).collect()
        };
        assert_eq!(numbers(flight.since(begin).copied().collect()), [4, 3]);
        assert_eq!(
            numbers(flight.lost_before(later + LATE)),
            [3, 4],
            "all are judged"
        );
    }

    #[test]
    fn what_was_missed_and_is_sent_again_under_its_number_stays_lost() {
        let mut flight = Flight::default();
        let begin = Instant::now();
        let later = begin + Duration::from_millis(100);
        for sequence in 1..=3 {
            flight.sent(begin, sequence, 100, PacketKind::Video);
        }
        flight.told(1, 3);
        flight.received(1);
        flight.received(3);
        flight.sent(later, 2, 100, PacketKind::Retransmission);
        assert!(flight.received(2).is_none());
        assert_eq!(flight.lost_before(later).len(), 1);
        assert!(flight.in_flight().abs() < 1e-9);
    }

    #[test]
    fn packets_whose_report_was_lost_are_neither_lost_nor_under_way() {
        let mut flight = Flight::default();
        let now = Instant::now();
        for sequence in 1..=6 {
            flight.sent(now, sequence, 100, PacketKind::Video);
        }
        flight.told(1, 2);
        flight.received(1);
        // The report of 3 and 4 did not come; 2 was told of as lost, and 6 is still under way.
        flight.told(5, 5);
        flight.received(5);
        assert!((flight.in_flight() - 200.0).abs() < 1e-9);
        let lost = flight.lost_before(now + Duration::from_millis(1));
        let lost: Vec<u64> = lost.iter().map(|packet| packet.sequence).collect();
        assert_eq!(lost, [2, 6]);
        // A report that was only late is heard.
        assert!(flight.received(3).is_some());
        assert!(flight.in_flight().abs() < 1e-9);
    }
}
