//! Sound that has left, to be sent again on request (RFC 4585 section 6.2.1).
//!
//! Browsers have no stream of retransmissions for sound: what they ask for leaves again as it was. It has to be
//! the very same datagram, since to protect it anew under its old index would use one keystream twice (RFC 3711
//! section 9.1, RFC 7714 section 8). It has its old transport-wide number too; its sender does not learn by that
//! when it has come ([`SentSound::is_again`]).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::output::{DatagramKind, Transmit};
use crate::rtp;

/// Packets of sound that are kept: 640 ms of 20 ms each.
const PACKETS: usize = 32;

/// Older ones come too late to be heard.
const AGE: Duration = Duration::from_millis(500);

/// How often a packet is sent again.
const TIMES: u8 = 2;

/// Packets within a second that may leave again: half of those that leave at all.
const A_SECOND: u32 = 25;

/// Numbers of packets that have left again, and may still be reported.
const REMEMBERED: usize = 128;

/// A browser that has not asked within this time does not ask,
const ASKS_WITHIN: Duration = Duration::from_secs(10);
/// once so many reports have told of loss meanwhile: of few packets that are lost none may be sound.
const UNASKED_REPORTS: u32 = 5;

#[derive(Debug)]
struct Sent {
    at: Instant,
    sequence: u16,
    times: u8,
    datagram: Transmit,
    transport_sequence: Option<u64>,
}

/// The last packets of sound.
#[derive(Debug, Default)]
pub(crate) struct SentSound {
    sent: VecDeque<Sent>,
    /// The second that is counted, and what has left again in it.
    second: Option<(Instant, u32)>,
    again: VecDeque<u64>,
    asked: Option<Instant>,
    /// Reports of loss in a row that came without a request.
    unasked_reports: u32,
}

impl SentSound {
    /// A packet of sound leaves.
    pub(crate) fn sent(&mut self, now: Instant, datagram: &Transmit) {
        let DatagramKind::Rtp {
            medium,
            transport_sequence,
            ..
        } = datagram.kind
        else {
            return;
        };
        let Some((_, sequence)) = rtp::ssrc_and_sequence(&datagram.payload) else {
            return;
        };
        if self.sent.len() == PACKETS {
            self.sent.pop_front();
        }
        self.sent.push_back(Sent {
            at: now,
            sequence,
            times: 0,
            datagram: Transmit {
                kind: DatagramKind::Rtp {
                    medium,
                    retransmission: true,
                    // It was counted by that number when it left first.
                    transport_sequence: None,
                },
                ..datagram.clone()
            },
            transport_sequence,
        });
    }

    /// The browser asks for a packet: the datagram that leaves again, by the way that the last one took.
    pub(crate) fn requested(&mut self, now: Instant, sequence: u16) -> Option<Transmit> {
        self.asked = Some(now);
        let newest = &self.sent.back()?.datagram;
        let (protocol, source, destination) = (newest.protocol, newest.source, newest.destination);
        let since = |at: Instant| now.saturating_duration_since(at);
        let (start, count) = self
            .second
            .filter(|(start, _)| since(*start) < Duration::from_secs(1))
            .unwrap_or((now, 0));
        let sent = self
            .sent
            .iter_mut()
            .find(|sent| sent.sequence == sequence && since(sent.at) < AGE)?;
        if sent.times >= TIMES || count >= A_SECOND {
            return None;
        }
        sent.times += 1;
        self.second = Some((start, count + 1));
        if let Some(number) = sent.transport_sequence {
            if self.again.len() == REMEMBERED {
                self.again.pop_front();
            }
            self.again.push_back(number);
        }
        Some(Transmit {
            protocol,
            source,
            destination,
            ..sent.datagram.clone()
        })
    }

    /// Whether a packet with this transport-wide number has left more than once: when it came says nothing of
    /// the path.
    pub(crate) fn is_again(&self, transport_sequence: u64) -> bool {
        self.again.contains(&transport_sequence)
    }

    /// Whether the browser asks for what it misses, by the share that it says was lost lately, 0 to 1. One that has
    /// agreed to is believed until some reports of loss have come and no request.
    pub(crate) fn is_asked_for(&mut self, now: Instant, loss: f32) -> bool {
        let asked = |at: Instant| now.saturating_duration_since(at) < ASKS_WITHIN;
        if self.asked.is_some_and(asked) {
            self.unasked_reports = 0;
        } else if loss > 0.0 {
            self.unasked_reports = self.unasked_reports.saturating_add(1);
        }
        self.unasked_reports < UNASKED_REPORTS
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use room::media_plan::Medium;

    use super::*;
    use crate::address::Protocol;

    fn datagram(sequence: u16, retransmission: bool, number: Option<u64>) -> Transmit {
        let address = "192.0.2.1:5000".parse().unwrap();
        let [high, low] = sequence.to_be_bytes();
        Transmit {
            protocol: Protocol::Udp,
            source: address,
            destination: address,
            payload: Bytes::from(vec![0x80, 111, high, low, 0, 0, 0, 0, 0, 0, 0, 7]),
            kind: DatagramKind::Rtp {
                medium: Medium::Audio,
                retransmission,
                transport_sequence: number,
            },
        }
    }

    #[test]
    fn what_is_kept_leaves_again_as_it_was_while_it_can_be_heard() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut sound = SentSound::default();
        for number in 0..40 {
            let sequence = 65_520_u16.wrapping_add(number);
            sound.sent(at(0), &datagram(sequence, false, Some(number.into())));
        }
        assert_eq!(sound.requested(at(100), 65_520), None, "it was forgotten");
        assert!(!sound.is_again(39));
        for _ in 0..TIMES {
            assert_eq!(sound.requested(at(100), 23), Some(datagram(23, true, None)));
        }
        assert_eq!(sound.requested(at(100), 23), None, "often enough");
        assert!(sound.is_again(39));
        assert_eq!(sound.requested(at(100), 24), None, "it was never sent");
        assert_eq!(sound.requested(at(500), 22), None, "it is too old");
    }

    #[test]
    fn what_leaves_again_takes_the_way_of_the_last_packet() {
        let now = Instant::now();
        let mut sound = SentSound::default();
        sound.sent(now, &datagram(1, false, None));
        let mut moved = datagram(2, false, None);
        moved.destination = "198.51.100.9:9".parse().unwrap();
        sound.sent(now, &moved);
        let again = sound.requested(now, 1).unwrap();
        assert_eq!(again.destination, moved.destination);
        assert_eq!(again.payload, datagram(1, false, None).payload);
    }

    #[test]
    fn a_browser_that_never_asks_is_not_believed_to() {
        let start = Instant::now();
        let mut sound = SentSound::default();
        let mut asked =
            |second, loss| sound.is_asked_for(start + Duration::from_secs(second), loss);
        assert!((0..20).all(|second| asked(second, 0.0)));
        let found: Vec<bool> = (20..26).map(|second| asked(second, 0.05)).collect();
        assert_eq!(found, [true, true, true, true, false, false]);
        sound.requested(start + Duration::from_secs(30), 1);
        assert!(sound.is_asked_for(start + Duration::from_secs(31), 0.05));
    }

    #[test]
    fn a_browser_that_asks_for_everything_gets_half_of_it() {
        let start = Instant::now();
        let mut sound = SentSound::default();
        let mut left = 0;
        for number in 0..100 {
            let now = start + Duration::from_millis(20) * u32::from(number);
            sound.sent(now, &datagram(number, false, None));
            for _ in 0..5 {
                left += u32::from(sound.requested(now, number).is_some());
            }
        }
        assert_eq!(left, 2 * A_SECOND);
    }
}
