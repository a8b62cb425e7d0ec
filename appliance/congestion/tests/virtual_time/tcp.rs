//! A TCP sender to compete with: NewReno (RFC 5681, RFC 6582) with selective acknowledgements of each segment.
//!
//! Each transmission has a number of its own, so that a segment sent again is never taken for the first one.

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;

use crate::path::Ms;
use crate::random::Uniform;

/// Bytes of a segment on the wire.
pub(crate) const SEGMENT: usize = 1_500;
/// Bytes of an acknowledgement.
pub(crate) const ACKNOWLEDGEMENT: usize = 40;
/// So many later segments have to arrive until one counts as lost.
const DUPLICATES: u64 = 3;
/// RFC 6928.
const INITIAL_WINDOW: f64 = 10.0;
/// A usual least retransmission timeout.
const LEAST_TIMEOUT: f64 = 200.0;

/// What a connection has to carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// One download without end, from this moment on.
    Long(Ms),
    /// One download from one moment to another.
    Between(Ms, Ms),
    /// Downloads of 100 kB to 1 MB with pauses of 10 s on average (RFC 8868 section 4.4.2), from this moment on.
    Short(Ms),
}

pub(crate) struct Tcp {
    load: Load,
    rng: ChaCha20Rng,
    /// Segments that are to be sent, or sent again.
    left: u64,
    /// When the next download begins.
    next_download: Option<Ms>,
    window: f64,
    threshold: f64,
    next: u64,
    outstanding: BTreeMap<u64, Ms>,
    /// Losses of transmissions before this one belong to a loss that has been answered.
    recovered_from: u64,
    round_trip: Option<f64>,
    last_progress: Ms,
}

impl Tcp {
    pub(crate) fn new(load: Load, mut rng: ChaCha20Rng) -> Self {
        let next_download = match load {
            Load::Long(start) | Load::Between(start, _) => start,
            Load::Short(start) => start + pause(&mut rng),
        };
        Self {
            load,
            rng,
            left: 0,
            next_download: Some(next_download),
            window: INITIAL_WINDOW,
            threshold: f64::INFINITY,
            next: 0,
            outstanding: BTreeMap::new(),
            recovered_from: 0,
            round_trip: None,
            last_progress: 0,
        }
    }

    /// A millisecond passes. Gives the numbers of the transmissions that leave.
    pub(crate) fn step(&mut self, now: Ms) -> std::ops::Range<u64> {
        if self.next_download.is_some_and(|at| now >= at) {
            self.next_download = None;
            self.begin();
        }
        if matches!(self.load, Load::Between(_, end) if now >= end) {
            self.left = 0;
            self.outstanding.clear();
        }
        if !self.outstanding.is_empty() && (now - self.last_progress) as f64 > self.timeout() {
            self.left += self.outstanding.len() as u64;
            self.outstanding.clear();
            self.threshold = (self.window / 2.0).max(2.0);
            self.window = 1.0;
            self.recovered_from = self.next;
            self.last_progress = now;
        }
        let first = self.next;
        while self.left > 0 && (self.outstanding.len() as f64) < self.window.floor() {
            if self.outstanding.is_empty() {
                self.last_progress = now;
            }
            self.left -= 1;
            self.outstanding.insert(self.next, now);
            self.next += 1;
        }
        first..self.next
    }

    fn begin(&mut self) {
        match self.load {
            Load::Long(_) | Load::Between(..) => self.left = u64::MAX / 2,
            Load::Short(_) => {
                let bytes = 100_000.0 + 900_000.0 * self.rng.uniform();
                self.left = (bytes / SEGMENT as f64).ceil() as u64;
                // Each download is a connection of its own.
                self.window = INITIAL_WINDOW;
                self.threshold = f64::INFINITY;
            }
        }
    }

    fn timeout(&self) -> f64 {
        (self.round_trip.unwrap_or(500.0) * 2.0).max(LEAST_TIMEOUT)
    }

    pub(crate) fn acknowledged(&mut self, now: Ms, number: u64) {
        let Some(sent) = self.outstanding.remove(&number) else {
            return;
        };
        self.last_progress = now;
        let sample = (now - sent) as f64;
        let round_trip = self.round_trip.get_or_insert(sample);
        *round_trip += (sample - *round_trip) / 8.0;
        if number >= self.recovered_from {
            if self.window < self.threshold {
                self.window += 1.0;
            } else {
                self.window += 1.0 / self.window;
            }
        }
        let later = self
            .outstanding
            .split_off(&(number + 1).saturating_sub(DUPLICATES));
        let lost = std::mem::replace(&mut self.outstanding, later);
        self.left += lost.len() as u64;
        if lost
            .last_key_value()
            .is_some_and(|(last, _)| *last >= self.recovered_from)
        {
            self.window = (self.window / 2.0).max(2.0);
            self.threshold = self.window;
            self.recovered_from = self.next;
        }
        if self.left == 0 && self.outstanding.is_empty() && self.next_download.is_none() {
            self.next_download = Some(now + pause(&mut self.rng));
        }
    }
}

/// Exponentially distributed, 10 s on average.
fn pause(rng: &mut ChaCha20Rng) -> Ms {
    (-10_000.0 * (1.0 - rng.uniform()).ln()) as Ms
}

#[cfg(test)]
mod tests {
    use rand_core::SeedableRng;

    use super::*;

    /// The rate of a connection over a path that loses this share, in segments per round trip, by Mathis and others
    /// ("The Macroscopic Behavior of the TCP Congestion Avoidance Algorithm"): sqrt(3/2) / sqrt(loss).
    #[test]
    fn a_download_gets_what_the_formula_of_mathis_says() {
        for loss in [0.002, 0.01, 0.02] {
            let mut rng = ChaCha20Rng::seed_from_u64(1);
            let mut tcp = Tcp::new(Load::Long(0), ChaCha20Rng::seed_from_u64(2));
            let mut coming_back = std::collections::VecDeque::new();
            let (round_trip, length) = (100, 600_000);
            let mut arrived = 0.0;
            for now in 0..length {
                while coming_back.front().is_some_and(|(at, _)| *at <= now) {
                    if let Some((_, number)) = coming_back.pop_front() {
                        arrived += 1.0;
                        tcp.acknowledged(now, number);
                    }
                }
                for number in tcp.step(now) {
                    if rng.uniform() >= loss {
                        coming_back.push_back((now + round_trip, number));
                    }
                }
            }
            let seen = arrived / (length as f64 / round_trip as f64);
            let expected = (1.5 / loss).sqrt();
            let ratio = seen / expected;
            assert!((0.75..1.25).contains(&ratio), "{loss}: {ratio:.2}");
        }
    }
}
