//! Spreads a leg's video packets over time, so that a key frame does not leave as one burst that
//! overflows the queue of a switch or access point.
//!
//! Audio and RTCP never wait: the caller sends them at once. Video packets pass at once up to a
//! burst that an ordinary frame fits into; what is above it leaves at a multiple of the encoder's
//! target, and never waits longer than 15 ms.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use room::units::Bitrate;

/// How much faster than the encoder's target a burst leaves.
const HEADROOM: u64 = 4;
/// Bytes that may leave back to back after a pause.
const BURST: u64 = 18_000;
/// The longest that pacing delays a packet: the rate rises to keep to it.
const LONGEST_WAIT: Duration = Duration::from_millis(15);

/// A leaky bucket with a bounded wait.
#[derive(Debug)]
pub struct Pacer {
    /// The rate of an ordinary frame.
    bytes_per_second: u64,
    /// The rate at which the present queue leaves within [`LONGEST_WAIT`], if that is higher.
    catch_up_rate: u64,
    queued_bytes: u64,
    /// When the bucket is empty again: sending moves it ahead, time catches up with it.
    drained_at: Option<Instant>,
    queue: VecDeque<(Instant, Bytes)>,
}

impl Pacer {
    /// A pacer for an encoder with this target.
    #[must_use]
    pub fn new(target: Bitrate) -> Self {
        let mut pacer = Self {
            bytes_per_second: 1,
            catch_up_rate: 0,
            queued_bytes: 0,
            drained_at: None,
            queue: VecDeque::new(),
        };
        pacer.set_target(target);
        pacer
    }

    /// Follows a change of the encoder's target.
    pub fn set_target(&mut self, target: Bitrate) {
        self.bytes_per_second = (target.as_bps() / 8 * HEADROOM).max(25_000);
    }

    /// Takes a packet; [`Self::poll`] gives it back when it may leave.
    pub fn push(&mut self, now: Instant, packet: Bytes) {
        self.queued_bytes += packet.len() as u64;
        let longest_wait_ms = LONGEST_WAIT.as_millis() as u64;
        self.catch_up_rate = self
            .catch_up_rate
            .max(self.queued_bytes * 1_000 / longest_wait_ms);
        self.queue.push_back((now, packet));
    }

    /// The next packet that may leave now.
    pub fn poll(&mut self, now: Instant) -> Option<Bytes> {
        if self.next_deadline()? > now {
            return None;
        }
        let (_, packet) = self.queue.pop_front()?;
        let cost = self.time_for(packet.len() as u64);
        self.queued_bytes -= packet.len() as u64;
        if self.queue.is_empty() {
            self.catch_up_rate = 0;
        }
        let from = self.drained_at.map_or(now, |drained| drained.max(now));
        self.drained_at = Some(from + cost);
        Some(packet)
    }

    /// When the first queued packet may leave, or `None` with an empty queue.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let (queued_at, _) = self.queue.front()?;
        let Some(drained_at) = self.drained_at else {
            return Some(*queued_at);
        };
        let allowed = drained_at
            .checked_sub(self.time_for(BURST))
            .unwrap_or(*queued_at);
        Some(allowed.clamp(*queued_at, *queued_at + LONGEST_WAIT))
    }

    /// Packets that wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    fn time_for(&self, bytes: u64) -> Duration {
        Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / self.rate())
    }

    fn rate(&self) -> u64 {
        self.bytes_per_second.max(self.catch_up_rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> Bytes {
        Bytes::from_static(&[0; 1200])
    }

    fn drain(pacer: &mut Pacer, from: Instant) -> Vec<Duration> {
        let mut sent = Vec::new();
        let mut now = from;
        while let Some(deadline) = pacer.next_deadline() {
            now = now.max(deadline);
            let packet = pacer.poll(now);
            assert!(packet.is_some(), "a packet leaves at its deadline");
            sent.push(now - from);
        }
        sent
    }

    #[test]
    fn an_ordinary_frame_leaves_at_once() {
        let start = Instant::now();
        let mut pacer = Pacer::new(Bitrate::kbps(2_000));
        (0..10).for_each(|_| pacer.push(start, packet()));
        assert_eq!(drain(&mut pacer, start), vec![Duration::ZERO; 10]);
    }

    #[test]
    fn a_key_frame_is_spread_but_never_waits_longer_than_the_bound() {
        let start = Instant::now();
        let mut pacer = Pacer::new(Bitrate::kbps(2_000));
        (0..80).for_each(|_| pacer.push(start, packet()));
        let sent = drain(&mut pacer, start);
        let last = *sent.last().expect("80 packets were pushed");
        assert!(
            last > Duration::from_millis(10) && last <= LONGEST_WAIT,
            "last left after {last:?}"
        );
        let in_last_millisecond = sent
            .iter()
            .filter(|at| **at + Duration::from_millis(1) > last)
            .count();
        assert!(
            in_last_millisecond < 12,
            "no burst at the end: {in_last_millisecond}"
        );
    }

    #[test]
    fn the_burst_is_earned_back_by_a_pause() {
        let start = Instant::now();
        let mut pacer = Pacer::new(Bitrate::kbps(2_000));
        (0..15).for_each(|_| pacer.push(start, packet()));
        drain(&mut pacer, start);
        let later = start + Duration::from_millis(33);
        (0..15).for_each(|_| pacer.push(later, packet()));
        assert_eq!(drain(&mut pacer, later), vec![Duration::ZERO; 15]);
    }

    #[test]
    fn nothing_leaves_before_its_deadline() {
        let start = Instant::now();
        let mut pacer = Pacer::new(Bitrate::kbps(500));
        (0..40).for_each(|_| pacer.push(start, packet()));
        while pacer.poll(start).is_some() {}
        assert!(pacer.queued() > 0);
        assert!(pacer.next_deadline().expect("packets wait") > start);
    }
}
