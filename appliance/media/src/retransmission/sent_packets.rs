//! What we have sent and may send again: bounded in bytes and age, and in how much leaves again, so
//! that nobody can use us to flood whoever receives it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The most bytes that are kept: more than a second of the best picture.
const MOST_BYTES: usize = 1024 * 1024;
/// A receiver that asks for something older has shown the picture without it.
const OLDEST: Duration = Duration::from_secs(1);
/// A packet leaves again at most so often,
const MOST_TIMES: u8 = 3;
/// and not while the last time is still on its way through the shortest of networks.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);
/// The part of what is sent that may leave again: enough for a network that loses a fifth, twice.
const SHARE: (usize, usize) = (2, 5);
/// The most bytes of that share that are saved up.
const MOST_SAVED: usize = 64 * 1024;

/// The packets of one stream that may be asked for.
#[derive(Debug)]
pub(crate) struct SentPackets<P> {
    /// In the order of their numbers, without gaps.
    packets: VecDeque<Sent<P>>,
    bytes: usize,
    /// Bytes that may leave again now.
    saved: usize,
}

#[derive(Debug)]
struct Sent<P> {
    sequence: u16,
    packet: P,
    bytes: usize,
    at: Instant,
    again: u8,
    last: Option<Instant>,
}

impl<P> Default for SentPackets<P> {
    fn default() -> Self {
        Self {
            packets: VecDeque::new(),
            bytes: 0,
            saved: 0,
        }
    }
}

impl<P: Clone> SentPackets<P> {
    /// A packet of so many bytes was sent.
    pub(crate) fn sent(&mut self, now: Instant, sequence: u16, bytes: usize, packet: P) {
        let follows = |last: &Sent<P>| last.sequence.wrapping_add(1) == sequence;
        if !self.packets.back().is_none_or(follows) {
            self.packets.clear();
            self.bytes = 0;
        }
        self.packets.push_back(Sent {
            sequence,
            packet,
            bytes,
            at: now,
            again: 0,
            last: None,
        });
        self.bytes += bytes;
        self.saved = (self.saved + bytes * SHARE.0 / SHARE.1).min(MOST_SAVED);
        while self.bytes > MOST_BYTES || self.is_oldest_too_old(now) {
            match self.packets.pop_front() {
                Some(oldest) => self.bytes -= oldest.bytes,
                None => break,
            }
        }
    }

    /// The packet with this number, if it is to be sent again.
    pub(crate) fn again(&mut self, now: Instant, sequence: u16) -> Option<P> {
        let first = self.packets.front()?.sequence;
        let index = usize::from(sequence.wrapping_sub(first));
        let sent = self.packets.get_mut(index)?;
        let soon = |last| now.saturating_duration_since(last) < SHORTEST_INTERVAL;
        let too_old = now.saturating_duration_since(sent.at) > OLDEST;
        if too_old || sent.again == MOST_TIMES || sent.last.is_some_and(soon) {
            return None;
        }
        self.saved = self.saved.checked_sub(sent.bytes)?;
        sent.again += 1;
        sent.last = Some(now);
        Some(sent.packet.clone())
    }

    fn is_oldest_too_old(&self, now: Instant) -> bool {
        let oldest = self.packets.front();
        oldest.is_some_and(|sent| now.saturating_duration_since(sent.at) > OLDEST)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIZE: usize = 1_000;

    fn after_sending(start: Instant, numbers: impl IntoIterator<Item = u16>) -> SentPackets<u16> {
        let mut packets = SentPackets::default();
        for number in numbers {
            packets.sent(start, number, SIZE, number);
        }
        packets
    }

    #[test]
    fn a_packet_that_was_sent_leaves_again_a_few_times_and_not_at_once() {
        let start = Instant::now();
        let mut packets = after_sending(start, (65_500..=65_535).chain(0..20));
        assert_eq!(packets.again(start, 65_499), None);
        assert_eq!(packets.again(start, 20), None);
        assert_eq!(packets.again(start, 3), Some(3));
        assert_eq!(packets.again(start, 3), None, "it is on its way");
        let mut now = start;
        for _ in 1..MOST_TIMES {
            now += SHORTEST_INTERVAL;
            assert_eq!(packets.again(now, 3), Some(3));
        }
        assert_eq!(packets.again(now + SHORTEST_INTERVAL, 3), None);
        assert_eq!(packets.again(start + OLDEST, 65_500), Some(65_500));
        let later = start + OLDEST + Duration::from_millis(1);
        assert_eq!(packets.again(later, 65_501), None, "it is too old");
    }

    #[test]
    fn whoever_asks_for_everything_gets_no_more_than_the_share() {
        let start = Instant::now();
        let mut packets = after_sending(start, 0..500);
        let mut bytes = 0;
        for round in 0..50 {
            let now = start + SHORTEST_INTERVAL * round;
            bytes += (0..500)
                .filter(|n| packets.again(now, *n).is_some())
                .count()
                * SIZE;
        }
        assert!(bytes <= MOST_SAVED, "{bytes}");
        for number in 500..600 {
            packets.sent(start, number, SIZE, number);
            let again = (0..=number).filter(|n| packets.again(start, *n).is_some());
            bytes += again.count() * SIZE;
        }
        assert!(bytes <= MOST_SAVED + 100 * SIZE * 2 / 5, "{bytes}");
    }

    #[test]
    fn a_stream_that_begins_anew_leaves_nothing_of_the_old_one() {
        let start = Instant::now();
        let mut packets = after_sending(start, (0..10).chain(5_000..5_010));
        assert_eq!(packets.again(start, 9), None);
        assert_eq!(packets.again(start, 5_000), Some(5_000));
    }

    proptest! {
        #[test]
        fn what_is_kept_and_what_leaves_again_is_bounded(
            steps in prop::collection::vec((0_u64..40, 1_usize..70_000, any::<u16>()), 1..300),
        ) {
            let mut packets = SentPackets::default();
            let mut now = Instant::now();
            let (mut sent, mut again) = (0, 0);
            for (number, (gap, bytes, asked)) in (60_000..).zip(steps) {
                now += Duration::from_millis(gap);
                let number = (number % 65_536) as u16;
                packets.sent(now, number, bytes, (number, bytes));
                sent += bytes;
                for wanted in [asked, number.wrapping_sub(asked % 50), number] {
                    if let Some((found, bytes)) = packets.again(now, wanted) {
                        prop_assert_eq!(found, wanted);
                        again += bytes;
                    }
                }
                prop_assert!(packets.bytes <= MOST_BYTES);
                let kept: usize = packets.packets.iter().map(|sent| sent.bytes).sum();
                prop_assert_eq!(kept, packets.bytes);
                prop_assert!(again <= sent * 2 / 5);
            }
        }
    }
}
