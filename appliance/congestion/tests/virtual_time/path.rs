//! A path with one bottleneck: capacity over time, a drop-tail queue, loss, delay and jitter.

use std::collections::VecDeque;

use rand_chacha::ChaCha20Rng;

use crate::random::Uniform;

/// Milliseconds since the start.
pub(crate) type Ms = u64;

/// What the path is like.
#[derive(Clone, Debug)]
pub(crate) struct PathSettings {
    /// From when on which capacity, in kbit/s.
    pub(crate) capacity: Vec<(Ms, f64)>,
    /// How long the queue is, in milliseconds at the capacity of the moment.
    pub(crate) queue: f64,
    /// One way, without the queue.
    pub(crate) delay: f64,
    /// On top of that, from nothing to this.
    pub(crate) jitter: f64,
    /// The share of packets that is lost at random.
    pub(crate) loss: f64,
    /// How many are lost together.
    pub(crate) burst: u32,
}

impl PathSettings {
    pub(crate) fn capacity_at(&self, now: Ms) -> f64 {
        let begun = self.capacity.iter().rev().find(|(from, _)| *from <= now);
        begun.map_or(0.0, |(_, kbps)| *kbps)
    }
}

/// A packet on the path.
#[derive(Clone, Debug)]
pub(crate) struct Packet<P> {
    pub(crate) bytes: usize,
    pub(crate) entered: Ms,
    pub(crate) content: P,
}

/// A packet that has come out.
pub(crate) struct Arrived<P> {
    /// In milliseconds, finer than the steps.
    pub(crate) at: f64,
    pub(crate) content: P,
}

pub(crate) struct Path<P> {
    settings: PathSettings,
    rng: ChaCha20Rng,
    queue: VecDeque<Packet<P>>,
    queued: f64,
    /// Bytes of the first packet that are through already.
    served: f64,
    under_way: VecDeque<(f64, P)>,
    last_arrival: f64,
    losing: u32,
    /// What each packet waited in the queue, in milliseconds.
    pub(crate) waits: Vec<(Ms, f64)>,
    pub(crate) carried: Vec<(Ms, usize)>,
}

impl<P> Path<P> {
    pub(crate) fn new(settings: PathSettings, rng: ChaCha20Rng) -> Self {
        Self {
            settings,
            rng,
            queue: VecDeque::new(),
            queued: 0.0,
            served: 0.0,
            under_way: VecDeque::new(),
            last_arrival: 0.0,
            losing: 0,
            waits: Vec::new(),
            carried: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, now: Ms, bytes: usize, content: P) {
        if self.losing > 0 {
            self.losing -= 1;
            return;
        }
        if self.rng.uniform() < self.settings.loss / f64::from(self.settings.burst) {
            self.losing = self.settings.burst - 1;
            return;
        }
        let room = self.settings.capacity_at(now) / 8.0 * self.settings.queue;
        if self.queued + bytes as f64 > room.max(3_000.0) {
            return;
        }
        self.queued += bytes as f64;
        self.queue.push_back(Packet {
            bytes,
            entered: now,
            content,
        });
    }

    /// A millisecond passes. Gives what has come out.
    pub(crate) fn step(&mut self, now: Ms) -> Vec<Arrived<P>> {
        let mut budget = self.settings.capacity_at(now) / 8.0;
        let whole = budget;
        while let Some(first) = self.queue.front() {
            let left = first.bytes as f64 - self.served;
            if left > budget {
                self.served += budget;
                break;
            }
            budget -= left;
            self.served = 0.0;
            let Some(packet) = self.queue.pop_front() else {
                break;
            };
            self.queued -= packet.bytes as f64;
            let through = now as f64 + (whole - budget) / whole.max(1e-9);
            self.waits.push((now, through - packet.entered as f64));
            self.carried.push((now, packet.bytes));
            let jitter = self.rng.uniform() * self.settings.jitter;
            let at = (through + self.settings.delay + jitter).max(self.last_arrival);
            self.last_arrival = at;
            self.under_way.push_back((at, packet.content));
        }
        let mut arrived = Vec::new();
        while self
            .under_way
            .front()
            .is_some_and(|(at, _)| *at <= now as f64)
        {
            if let Some((at, content)) = self.under_way.pop_front() {
                arrived.push(Arrived { at, content });
            }
        }
        arrived
    }
}
