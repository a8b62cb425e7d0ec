//! The pacer: lets packets of pictures leave one after the other, and only as many as the path should hold.
//!
//! Sound, RTCP and checks of connectivity never come here: they leave at once. What is sent again goes first,
//! and is dropped when it is too old to be of use.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::flight::PacketKind;
use crate::units::Bitrate;

/// What is sent again is of no use later than this.
const USELESS_AFTER: Duration = Duration::from_millis(200);
/// Pictures are skipped while what waits takes longer than this,
const LONGEST_QUEUE: Duration = Duration::from_millis(80);
/// or its first packet has waited for longer than this.
const LONGEST_WAIT: Duration = Duration::from_millis(60);
/// A copy of what is sent again leaves so much later: packets are lost in bursts.
const COPY_AFTER: Duration = Duration::from_millis(15);
/// Packets may leave together that make up so much time: timers are no finer.
const BURST: Duration = Duration::from_millis(5);

#[derive(Debug)]
struct Waiting<P> {
    since: Instant,
    bytes: usize,
    packet: P,
}

/// A packet that may leave.
#[derive(Debug)]
pub struct Departure<P> {
    /// What it is.
    pub kind: PacketKind,
    /// Its size.
    pub bytes: usize,
    /// Itself.
    pub packet: P,
}

/// The pacer of one path.
#[derive(Debug)]
pub struct Pacer<P> {
    again: VecDeque<Waiting<P>>,
    /// Copies of what was sent again; `since` may lie ahead.
    copies: VecDeque<Waiting<P>>,
    video: VecDeque<Waiting<P>>,
    video_bytes: usize,
    /// When the next packet may leave.
    free_at: Option<Instant>,
}

impl<P> Default for Pacer<P> {
    fn default() -> Self {
        Self {
            again: VecDeque::new(),
            copies: VecDeque::new(),
            video: VecDeque::new(),
            video_bytes: 0,
            free_at: None,
        }
    }
}

impl<P> Pacer<P> {
    /// Takes a packet of a picture.
    pub fn push(&mut self, now: Instant, bytes: usize, packet: P) {
        self.video_bytes += bytes;
        let since = now;
        self.video.push_back(Waiting {
            since,
            bytes,
            packet,
        });
    }

    /// Takes a packet that is sent again.
    pub fn push_again(&mut self, now: Instant, bytes: usize, packet: P) {
        let since = now;
        self.again.push_back(Waiting {
            since,
            bytes,
            packet,
        });
    }

    /// Takes a copy of a packet that is sent again, to leave a little later.
    pub fn push_copy(&mut self, now: Instant, bytes: usize, packet: P) {
        let since = now + COPY_AFTER;
        self.copies.push_back(Waiting {
            since,
            bytes,
            packet,
        });
    }

    /// The next packet that may leave at this rate, while the path may hold `room` more bytes.
    pub fn poll(&mut self, now: Instant, rate: Bitrate, room: f64) -> Option<Departure<P>> {
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let free_at = self.free_at.map_or(earliest, |at| at.max(earliest));
        if free_at > now {
            return None;
        }
        let useless =
            |waiting: &Waiting<P>| now.saturating_duration_since(waiting.since) > USELESS_AFTER;
        while self.again.front().is_some_and(useless) {
            self.again.pop_front();
        }
        while self.copies.front().is_some_and(useless) {
            self.copies.pop_front();
        }
        let due = self.copies.front().is_some_and(|copy| copy.since <= now);
        let again = match self.again.pop_front() {
            None if due => self.copies.pop_front(),
            again => again,
        };
        let (kind, waiting) = match again {
            Some(waiting) => (PacketKind::Retransmission, waiting),
            None if room > 0.0 => {
                let waiting = self.video.pop_front()?;
                self.video_bytes -= waiting.bytes;
                (PacketKind::Video, waiting)
            }
            None => return None,
        };
        self.free_at = Some(free_at + rate.time_for(waiting.bytes as f64));
        Some(Departure {
            kind,
            bytes: waiting.bytes,
            packet: waiting.packet,
        })
    }

    /// Whether the next picture is to be skipped before it is encoded: it would only be late.
    #[must_use]
    pub fn is_behind(&self, now: Instant, rate: Bitrate) -> bool {
        let head = self.video.front();
        let waits = head.map(|head| now.saturating_duration_since(head.since));
        waits.is_some_and(|waits| waits > LONGEST_WAIT)
            || rate.time_for(self.video_bytes as f64) > LONGEST_QUEUE
    }

    /// Drops what waits to be sent again.
    pub fn clear_again(&mut self) {
        self.again.clear();
        self.copies.clear();
    }

    /// Drops all that waits.
    pub fn clear(&mut self) {
        self.clear_again();
        self.video.clear();
        self.video_bytes = 0;
    }

    /// When [`Self::poll`] may have the next packet; `None` where nothing waits but for `room`.
    #[must_use]
    pub fn next_deadline(&self, now: Instant, room: f64) -> Option<Instant> {
        let waits = !self.again.is_empty() || (room > 0.0 && !self.video.is_empty());
        let copy = self.copies.front().map(|copy| copy.since);
        let earliest = if waits { Some(now) } else { copy };
        earliest.map(|earliest| {
            self.free_at
                .map_or(earliest, |at| at.max(earliest))
                .max(now)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: f64 = 960.0;

    #[test]
    fn packets_leave_at_the_rate_and_what_is_sent_again_goes_first() {
        let mut pacer = Pacer::default();
        let begin = Instant::now();
        for number in 0..3 {
            pacer.push(begin, 1_200, number);
        }
        pacer.push_again(begin, 1_200, 9);
        let mut left = Vec::new();
        for millisecond in 0..40 {
            let now = begin + Duration::from_millis(millisecond);
            while let Some(departure) = pacer.poll(now, Bitrate::kbps(RATE), 1e9) {
                left.push((millisecond, departure.packet));
            }
        }
        // 10 ms for each at this rate, after a burst of 5 ms.
        assert_eq!(left, [(0, 9), (5, 0), (15, 1), (25, 2)]);
        assert_eq!(pacer.next_deadline(begin, 1e9), None);
    }

    #[test]
    fn a_full_path_lets_only_that_leave_which_is_sent_again_and_not_when_it_is_old() {
        let mut pacer = Pacer::default();
        let begin = Instant::now();
        pacer.push(begin, 1_200, 1);
        pacer.push_again(begin, 1_200, 2);
        pacer.push_again(begin, 1_200, 3);
        let rate = Bitrate::kbps(RATE);
        assert_eq!(pacer.next_deadline(begin, 0.0), Some(begin));
        assert_eq!(
            pacer.poll(begin, rate, 0.0).map(|left| left.packet),
            Some(2)
        );
        let later = begin + Duration::from_millis(201);
        assert!(pacer.poll(later, rate, 0.0).is_none());
        assert_eq!(pacer.next_deadline(later, 0.0), None);
        assert!(pacer.is_behind(later, rate));
        pacer.clear();
        assert!(!pacer.is_behind(later, rate));
    }

    #[test]
    fn a_copy_leaves_a_little_later_than_what_it_is_a_copy_of() {
        let mut pacer = Pacer::default();
        let begin = Instant::now();
        pacer.push_again(begin, 100, 1);
        pacer.push_copy(begin, 100, 1);
        let rate = Bitrate::kbps(RATE);
        assert!(pacer.poll(begin, rate, 0.0).is_some());
        assert!(pacer.poll(begin, rate, 0.0).is_none());
        assert_eq!(pacer.next_deadline(begin, 1e9), Some(begin + COPY_AFTER));
        let kind = pacer
            .poll(begin + COPY_AFTER, rate, 0.0)
            .map(|left| left.kind);
        assert_eq!(kind, Some(PacketKind::Retransmission));
        assert_eq!(pacer.next_deadline(begin + COPY_AFTER, 1e9), None);
    }
}
