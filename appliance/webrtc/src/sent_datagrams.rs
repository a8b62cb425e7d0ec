//! What was sent of pictures, until the browser says what became of it.
//!
//! A browser that misses a packet asks for it (NACK). The request, and what is sent again upon it, are lost like
//! everything else, and the browser waits for a round trip before it asks again: a picture stands still for as long.
//! Its transport-wide reports tell of the same loss by another way.
//!
//! ```text
//!  leaves ──► under way ──report: it has come──► forgotten
//!                 │  ▲
//!                 │  └─ asked for: another datagram carries it, which is watched itself
//!                 │
//!                 └──report: missing, and those after it have come──► sent again, once
//! ```
//!
//! What is sent again by itself is the very datagram, by its old number: it was lost, so it is no replay to SRTP, and
//! being the same to the last bit it spends no key anew.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::output::{DatagramKind, Transmit};
use crate::rtp;
use crate::transport_feedback::TransportFeedback;

/// Datagrams that are kept at most, and for how long: later a picture has done without.
const MOST: usize = 1_024;
const LONGEST: Duration = Duration::from_secs(1);

/// A packet is lost, and not only late, when one has come that left so many later (RFC 9002 section 6.1.1).
const REORDERED: u64 = 3;

#[derive(Debug)]
struct Sent {
    number: u64,
    at: Instant,
    datagram: Transmit,
    /// A report has told of it as missing.
    is_missing: bool,
}

/// Datagrams of pictures, in the order of their numbers.
#[derive(Debug, Default)]
pub(crate) struct SentDatagrams {
    sent: VecDeque<Sent>,
    /// From where and to where they go.
    path: Option<(SocketAddr, SocketAddr)>,
    highest_received: u64,
}

impl SentDatagrams {
    /// A datagram leaves. Those that carry no picture, and those without a number, are passed over.
    pub(crate) fn sent(&mut self, now: Instant, datagram: &Transmit) {
        let DatagramKind::Rtp {
            medium,
            transport_sequence: Some(number),
            ..
        } = datagram.kind
        else {
            return;
        };
        let path = Some((datagram.source, datagram.destination));
        if self.path != path {
            // What was lost on another way may not come by this one. Sound tells of it as well.
            self.sent.clear();
            self.path = path;
        }
        if medium.video_role().is_none() || self.sent.back().is_some_and(|it| it.number >= number) {
            return;
        }
        let is_old = |sent: &Sent| now.saturating_duration_since(sent.at) > LONGEST;
        while self.sent.len() >= MOST || self.sent.front().is_some_and(is_old) {
            self.sent.pop_front();
        }
        let mut datagram = datagram.clone();
        datagram.kind = DatagramKind::Rtp {
            medium,
            retransmission: true,
            transport_sequence: Some(number),
        };
        self.sent.push_back(Sent {
            number,
            at: now,
            datagram,
            is_missing: false,
        });
    }

    /// The browser asks for packets of that source: it gets other datagrams.
    pub(crate) fn asked(&mut self, ssrc: u32, sequences: &BTreeSet<u16>) {
        self.sent.retain(|sent| {
            let packet = rtp::ssrc_and_sequence(&sent.datagram.payload);
            packet.is_none_or(|(source, sequence)| source != ssrc || !sequences.contains(&sequence))
        });
    }

    /// The browser reports. Gives what is to be sent again.
    pub(crate) fn reported(&mut self, now: Instant, report: &TransportFeedback) -> Vec<Transmit> {
        for packet in &report.packets {
            if packet.received.is_some() {
                self.highest_received = self.highest_received.max(packet.sequence);
            }
            let place = self
                .sent
                .partition_point(|sent| sent.number < packet.sequence);
            let Some(sent) = self.sent.get_mut(place) else {
                continue;
            };
            if sent.number != packet.sequence {
                continue;
            }
            if packet.received.is_some() {
                self.sent.remove(place);
            } else {
                sent.is_missing = true;
            }
        }
        let highest = self.highest_received;
        let mut lost = Vec::new();
        self.sent.retain(|sent| {
            let is_lost = sent.is_missing && sent.number + REORDERED <= highest;
            let is_of_use = now.saturating_duration_since(sent.at) <= LONGEST;
            if is_lost && is_of_use {
                lost.push(sent.datagram.clone());
            }
            !is_lost && is_of_use
        });
        lost
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.sent.clear();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use room::media_plan::Medium;

    use super::*;
    use crate::address::Protocol;
    use crate::transport_feedback::PacketReport;

    const SSRC: u32 = 7;

    fn datagram(number: u64, medium: Medium) -> Transmit {
        let mut payload = vec![0x80, 96, 0, number as u8, 0, 0, 0, 0];
        payload.extend(SSRC.to_be_bytes());
        Transmit {
            protocol: Protocol::Udp,
            source: ([127, 0, 0, 1], 1).into(),
            destination: ([127, 0, 0, 1], 2).into(),
            payload: Bytes::from(payload),
            kind: DatagramKind::Rtp {
                medium,
                retransmission: false,
                transport_sequence: Some(number),
            },
        }
    }

    fn sent(now: Instant, numbers: std::ops::RangeInclusive<u64>) -> SentDatagrams {
        let mut sent = SentDatagrams::default();
        for number in numbers {
            sent.sent(now, &datagram(number, Medium::Video));
        }
        sent
    }

    /// A report on these numbers; those that are `missing` have not come.
    fn report(numbers: std::ops::RangeInclusive<u64>, missing: &[u64]) -> TransportFeedback {
        let packets = numbers.map(|sequence| PacketReport {
            sequence,
            received: (!missing.contains(&sequence)).then_some(Duration::ZERO),
        });
        TransportFeedback {
            packets: packets.collect(),
        }
    }

    fn numbers(datagrams: &[Transmit]) -> Vec<u64> {
        let number = |datagram: &Transmit| match datagram.kind {
            DatagramKind::Rtp {
                retransmission: true,
                transport_sequence: Some(number),
                ..
            } => Some(number),
            _ => None,
        };
        datagrams.iter().filter_map(number).collect()
    }

    #[test]
    fn what_is_reported_as_lost_is_sent_again_once_as_it_was() {
        let now = Instant::now();
        let mut sent = sent(now, 1..=10);
        let lost = sent.reported(now, &report(1..=10, &[4]));
        assert_eq!(numbers(&lost), [4]);
        assert_eq!(lost[0].payload, datagram(4, Medium::Video).payload);
        assert!(sent.reported(now, &report(1..=10, &[4])).is_empty());
    }

    #[test]
    fn what_may_be_late_is_waited_for_until_the_next_report() {
        let now = Instant::now();
        let mut sent = sent(now, 1..=10);
        assert!(sent.reported(now, &report(1..=5, &[3, 5])).is_empty());
        // 3 came after all.
        assert_eq!(numbers(&sent.reported(now, &report(3..=3, &[]))), []);
        assert_eq!(numbers(&sent.reported(now, &report(6..=8, &[]))), [5]);
    }

    #[test]
    fn what_the_browser_has_asked_for_is_left_to_the_answer() {
        let now = Instant::now();
        let mut sent = sent(now, 1..=10);
        sent.asked(SSRC, &[4, 40].into());
        sent.asked(SSRC + 1, &[5].into());
        assert_eq!(numbers(&sent.reported(now, &report(1..=10, &[4, 5]))), [5]);
    }

    #[test]
    fn sound_old_pictures_and_those_of_another_path_are_not_sent_again() {
        let now = Instant::now();
        let mut all = SentDatagrams::default();
        all.sent(now, &datagram(1, Medium::Audio));
        all.sent(now, &datagram(2, Medium::Video));
        let later = now + LONGEST + Duration::from_millis(1);
        assert!(all.reported(later, &report(1..=9, &[1, 2])).is_empty());
        all.sent(later, &datagram(10, Medium::Slides));
        let mut moved = datagram(11, Medium::Slides);
        moved.destination = ([127, 0, 0, 1], 3).into();
        all.sent(later, &moved);
        assert_eq!(
            numbers(&all.reported(later, &report(10..=19, &[10, 11]))),
            [11]
        );
    }

    #[test]
    fn sound_that_takes_another_path_leaves_nothing_of_the_old_one() {
        let now = Instant::now();
        let mut sent = sent(now, 1..=10);
        let mut moved = datagram(11, Medium::Audio);
        moved.destination = ([127, 0, 0, 1], 3).into();
        sent.sent(now, &moved);
        assert!(sent.reported(now, &report(1..=11, &[4])).is_empty());
    }

    #[test]
    fn a_browser_that_reports_nothing_costs_bounded_memory() {
        let now = Instant::now();
        let sent = sent(now, 1..=3 * MOST as u64);
        assert_eq!(sent.sent.len(), MOST);
    }
}
