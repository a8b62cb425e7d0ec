//! One direction of a path between two addresses: its conditions, and what befalls a packet on it.

use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_core::Rng;

/// A probability, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Probability(f64);

impl Probability {
    /// It never happens.
    pub const NEVER: Self = Self(0.0);

    /// A probability, or `None` outside 0 to 1.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        (0.0..=1.0).contains(&value).then_some(Self(value))
    }

    /// A probability in percent, or `None` outside 0 to 100.
    #[must_use]
    pub fn percent(value: f64) -> Option<Self> {
        Self::new(value / 100.0)
    }

    /// Throws the dice.
    pub(crate) fn happens(self, rng: &mut ChaCha8Rng) -> bool {
        self.0 > 0.0 && unit_interval(rng) < self.0
    }
}

/// Which packets a link loses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// Each packet by itself.
    Random(Probability),
    /// Whole runs of packets.
    Bursts {
        /// The share of all packets that is lost.
        share: Probability,
        /// Packets in a run, 1 or more.
        length: u32,
    },
}

/// What a path does to packets, one way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkConditions {
    /// The time that every packet takes.
    pub delay: Duration,
    /// Up to this much more, evenly spread. It delays what follows too: order is kept.
    pub jitter: Duration,
    /// Which packets are lost.
    pub loss: Loss,
    /// How often a datagram arrives twice.
    pub duplication: Probability,
    /// How often a datagram is held back so that later ones pass it.
    pub reordering: Probability,
    /// How long such a datagram is held back.
    pub held_back: Duration,
    /// Bits per second, or `None` for no limit.
    pub rate: Option<u64>,
    /// With a rate: the longest wait in the queue. What would wait longer is lost.
    pub queue: Duration,
}

impl Default for LinkConditions {
    /// A perfect local network: half a millisecond, nothing lost.
    fn default() -> Self {
        Self {
            delay: Duration::from_micros(500),
            jitter: Duration::ZERO,
            loss: Loss::Random(Probability::NEVER),
            duplication: Probability::NEVER,
            reordering: Probability::NEVER,
            held_back: Duration::from_millis(30),
            rate: None,
            queue: Duration::from_millis(300),
        }
    }
}

/// Bytes that IP and UDP add to a payload, counted against the rate.
const HEADER_BYTES: usize = 28;

/// The wait before a stream repeats what was lost (a usual minimum of TCP's RTO).
const STREAM_REPEAT_AFTER: Duration = Duration::from_millis(200);

/// How long a stream repeats a piece before it breaks (RFC 1122 section 4.2.3.5: at least 100 s).
const STREAM_GIVES_UP_AFTER: Duration = Duration::from_secs(100);

/// What becomes of a piece of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamPiece {
    /// It arrives at this moment.
    Arrives(Instant),
    /// Every repetition was lost: the stream breaks at this moment.
    Breaks(Instant),
}

/// One direction of a path, with its memory.
#[derive(Debug, Default)]
pub(crate) struct Link {
    pub(crate) conditions: LinkConditions,
    /// When the last packet in the queue will have left.
    busy_until: Option<Instant>,
    /// Order is kept: nothing arrives before this, unless held back.
    last_arrival: Option<Instant>,
    /// Packets of the current burst that are still to be lost.
    burst_left: u32,
}

impl Link {
    pub(crate) fn new(conditions: LinkConditions) -> Self {
        Self {
            conditions,
            ..Self::default()
        }
    }

    /// The arrivals of one datagram: none when lost, two when duplicated.
    pub(crate) fn datagram(
        &mut self,
        now: Instant,
        length: usize,
        rng: &mut ChaCha8Rng,
    ) -> Vec<Instant> {
        if self.loses(rng) {
            return Vec::new();
        }
        let Some(departure) = self.depart(now, length) else {
            return Vec::new();
        };
        let mut arrivals = vec![self.arrive(departure, rng)];
        if self.conditions.reordering.happens(rng) {
            arrivals[0] += self.conditions.held_back;
        }
        if self.conditions.duplication.happens(rng) {
            arrivals.push(self.arrive(departure, rng));
        }
        arrivals
    }

    /// The fate of one piece of a stream, decided at once under the conditions of this moment. A
    /// loss makes it, and all that follows, late.
    pub(crate) fn stream_piece(
        &mut self,
        now: Instant,
        length: usize,
        rng: &mut ChaCha8Rng,
    ) -> StreamPiece {
        let gives_up = now + STREAM_GIVES_UP_AFTER;
        let mut sent = now;
        while self.loses(rng) {
            sent += STREAM_REPEAT_AFTER;
            if sent >= gives_up {
                return StreamPiece::Breaks(gives_up);
            }
        }
        while sent < gives_up {
            match self.depart(sent, length) {
                Some(departure) => return StreamPiece::Arrives(self.arrive(departure, rng)),
                None => sent += STREAM_REPEAT_AFTER,
            }
        }
        StreamPiece::Breaks(gives_up)
    }

    fn loses(&mut self, rng: &mut ChaCha8Rng) -> bool {
        if self.burst_left > 0 {
            self.burst_left -= 1;
            return true;
        }
        match self.conditions.loss {
            Loss::Random(probability) => probability.happens(rng),
            Loss::Bursts { share, length } => {
                let begins = burst_begin(share, length).happens(rng);
                if begins {
                    self.burst_left = length.saturating_sub(1);
                }
                begins
            }
        }
    }

    /// When a packet has left the queue, or `None` when the queue is full.
    fn depart(&mut self, now: Instant, length: usize) -> Option<Instant> {
        let Some(rate) = self.conditions.rate else {
            return Some(now);
        };
        let free_at = self.busy_until.map_or(now, |busy| busy.max(now));
        if free_at.duration_since(now) > self.conditions.queue {
            return None;
        }
        let bits = (length + HEADER_BYTES) as f64 * 8.0;
        let departure = free_at + Duration::from_secs_f64(bits / rate.max(1) as f64);
        self.busy_until = Some(departure);
        Some(departure)
    }

    fn arrive(&mut self, departure: Instant, rng: &mut ChaCha8Rng) -> Instant {
        let jitter = self.conditions.jitter.mul_f64(unit_interval(rng));
        let arrival = departure + self.conditions.delay + jitter;
        let in_order = self.last_arrival.map_or(arrival, |last| last.max(arrival));
        self.last_arrival = Some(in_order);
        in_order
    }
}

/// How often a burst begins so that `share` of all packets is lost: between two bursts of `length`
/// lie on average `length * (1 - share) / share` packets that arrive.
fn burst_begin(share: Probability, length: u32) -> Probability {
    let gap = f64::from(length.max(1)) * (1.0 - share.0);
    if gap <= share.0 {
        Probability(1.0)
    } else {
        Probability(share.0 / gap)
    }
}

/// A number from 0 up to but not including 1.
pub(crate) fn unit_interval(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}
