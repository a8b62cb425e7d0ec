//! A path with one bottleneck: capacity over time, a drop-tail queue or a policer, loss, delay and jitter.

use std::collections::{BTreeMap, HashMap, VecDeque};

use rand_chacha::ChaCha20Rng;

use crate::random::Uniform;

/// Milliseconds since the start.
pub(crate) type Ms = u64;

/// What happens to more than the capacity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Excess {
    /// It waits, for so many milliseconds at the capacity of the moment; what would wait longer is dropped.
    Queued(f64),
    /// It is dropped at once, beyond a burst of so many milliseconds at the capacity of the moment.
    Policed(f64),
}

/// What the path is like.
#[derive(Clone, Debug)]
pub(crate) struct PathSettings {
    /// From when on which capacity, in kbit/s.
    pub(crate) capacity: Vec<(Ms, f64)>,
    pub(crate) excess: Excess,
    /// On top of a packet's own delay, from nothing to this.
    pub(crate) jitter: f64,
    /// The share of packets that is lost at random.
    pub(crate) loss: f64,
    /// How many are lost together.
    pub(crate) burst: u32,
}

impl PathSettings {
    /// A queue of 300 ms, and nothing lost but where it is full.
    pub(crate) fn of(capacity: &[(Ms, f64)]) -> Self {
        Self {
            capacity: capacity.to_vec(),
            excess: Excess::Queued(300.0),
            jitter: 20.0,
            loss: 0.0,
            burst: 1,
        }
    }

    pub(crate) fn capacity_at(&self, now: Ms) -> f64 {
        let begun = self.capacity.iter().rev().find(|(from, _)| *from <= now);
        begun.map_or(0.0, |(_, kbps)| *kbps)
    }
}

/// A packet on the path.
#[derive(Clone, Debug)]
pub(crate) struct Packet<P> {
    /// Packets of one sender stay in order.
    pub(crate) sender: usize,
    pub(crate) bytes: usize,
    /// One way, without the queue.
    pub(crate) delay: f64,
    pub(crate) content: P,
}

/// A packet that has come out.
pub(crate) struct Arrived<P> {
    /// In milliseconds, finer than the steps.
    pub(crate) at: f64,
    pub(crate) bytes: usize,
    pub(crate) content: P,
}

pub(crate) struct Path<P> {
    settings: PathSettings,
    rng: ChaCha20Rng,
    queue: VecDeque<(Ms, Packet<P>)>,
    queued: f64,
    /// Bytes of the first packet that are through already.
    served: f64,
    /// Bytes that a policer lets through at once.
    tokens: f64,
    /// By the microsecond of arrival, then in order.
    under_way: BTreeMap<(u64, u64), Arrived<P>>,
    through: u64,
    last_arrival: HashMap<usize, f64>,
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
            tokens: 0.0,
            under_way: BTreeMap::new(),
            through: 0,
            last_arrival: HashMap::new(),
            losing: 0,
            waits: Vec::new(),
            carried: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, now: Ms, packet: Packet<P>) {
        if self.losing > 0 {
            self.losing -= 1;
            return;
        }
        if self.rng.uniform() < self.settings.loss / f64::from(self.settings.burst) {
            self.losing = self.settings.burst - 1;
            return;
        }
        let bytes = packet.bytes as f64;
        match self.settings.excess {
            Excess::Queued(longest) => {
                let room = self.settings.capacity_at(now) / 8.0 * longest;
                if self.queued + bytes > room.max(3_000.0) {
                    return;
                }
                self.queued += bytes;
                self.queue.push_back((now, packet));
            }
            Excess::Policed(_) if bytes > self.tokens => {}
            Excess::Policed(_) => {
                self.tokens -= bytes;
                self.leave(now, now, now as f64, packet);
            }
        }
    }

    /// A millisecond passes. Gives what has come out.
    pub(crate) fn step(&mut self, now: Ms) -> Vec<Arrived<P>> {
        let whole = self.settings.capacity_at(now) / 8.0;
        if let Excess::Policed(burst) = self.settings.excess {
            self.tokens = (self.tokens + whole).min((whole * burst).max(3_000.0));
        }
        let mut budget = whole;
        while let Some((_, first)) = self.queue.front() {
            let left = first.bytes as f64 - self.served;
            if left > budget {
                self.served += budget;
                break;
            }
            budget -= left;
            self.served = 0.0;
            let Some((entered, packet)) = self.queue.pop_front() else {
                break;
            };
            self.queued -= packet.bytes as f64;
            let through = now as f64 + (whole - budget) / whole.max(1e-9);
            self.leave(now, entered, through, packet);
        }
        let later = self.under_way.split_off(&(now * 1_000 + 1, 0));
        std::mem::replace(&mut self.under_way, later)
            .into_values()
            .collect()
    }

    fn leave(&mut self, now: Ms, entered: Ms, through: f64, packet: Packet<P>) {
        self.waits.push((now, through - entered as f64));
        self.carried.push((now, packet.bytes));
        let jitter = self.rng.uniform() * self.settings.jitter;
        let last = self.last_arrival.entry(packet.sender).or_insert(0.0);
        let at = (through + packet.delay + jitter).max(*last);
        *last = at;
        self.through += 1;
        let arrived = Arrived {
            at,
            bytes: packet.bytes,
            content: packet.content,
        };
        self.under_way
            .insert(((at * 1_000.0).ceil() as u64, self.through), arrived);
    }
}
