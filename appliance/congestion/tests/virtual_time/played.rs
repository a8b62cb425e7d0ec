//! A scenario is played, and what came of it measured.

use std::collections::BTreeMap;
use std::time::Instant;

use congestion::Competition;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::flow::{Content, Feedback, Receiver, Sender};
use crate::path::{Arrived, Ms, Packet, Path};
use crate::random::Uniform;
use crate::scenario::{Direction, Scenario};
use crate::tcp::{ACKNOWLEDGEMENT, SEGMENT, Tcp};

/// Bytes of a report on the wire, roughly.
const REPORT: usize = 90;

/// What travels.
enum Cargo {
    Media(Content),
    Feedback {
        flow: usize,
        feedback: Feedback,
    },
    Segment {
        connection: usize,
        number: u64,
        delay: f64,
    },
    Acknowledgement {
        connection: usize,
        number: u64,
    },
}

/// Everything that plays.
struct World<'a> {
    scenario: &'a Scenario,
    rng: ChaCha20Rng,
    forward: Path<Cargo>,
    backward: Option<Path<Cargo>>,
    /// What comes back where the way back is no bottleneck.
    coming_back: BTreeMap<(Ms, u64), Cargo>,
    sent_back: u64,
    senders: Vec<Sender>,
    receivers: Vec<Receiver>,
    connections: Vec<Tcp>,
    carried: Vec<Vec<(Ms, usize)>>,
    competed: Ms,
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, seed: u64) -> Self {
        let begin = Instant::now();
        let rng = |number: u64| ChaCha20Rng::seed_from_u64(seed * 1_000 + number);
        let flows = scenario.flows.len();
        let senders = scenario.flows.iter().enumerate();
        let connections = scenario.competitors.iter().enumerate();
        Self {
            scenario,
            rng: rng(999),
            forward: Path::new(scenario.path.clone(), rng(0)),
            backward: scenario
                .way_back
                .clone()
                .map(|settings| Path::new(settings, rng(998))),
            coming_back: BTreeMap::new(),
            sent_back: 0,
            senders: senders
                .map(|(flow, settings)| {
                    Sender::new(flow, begin, settings.clone(), rng(flow as u64 + 1))
                })
                .collect(),
            receivers: (0..flows)
                .map(|_| Receiver::with_drift(scenario.drift))
                .collect(),
            connections: connections
                .map(|(number, load)| Tcp::new(*load, rng(number as u64 + 100)))
                .collect(),
            carried: vec![Vec::new(); flows + scenario.competitors.len()],
            competed: 0,
        }
    }

    fn step(&mut self, now: Ms) {
        let later = self.coming_back.split_off(&(now + 1, 0));
        for cargo in std::mem::replace(&mut self.coming_back, later).into_values() {
            self.arrive(now, now as f64, 0, cargo);
        }
        for flow in 0..self.senders.len() {
            let settings = &self.scenario.flows[flow];
            for (bytes, content) in self.senders[flow].step(now) {
                let packet = Packet {
                    sender: flow,
                    bytes,
                    delay: settings.delay,
                    content: Cargo::Media(content),
                };
                match (settings.direction, &mut self.backward) {
                    (Direction::Backward, Some(backward)) => backward.send(now, packet),
                    _ => self.forward.send(now, packet),
                }
            }
        }
        for connection in 0..self.connections.len() {
            for number in self.connections[connection].step(now) {
                let delay = 50.0;
                let content = Cargo::Segment {
                    connection,
                    number,
                    delay,
                };
                self.forward.send(
                    now,
                    Packet {
                        sender: 100 + connection,
                        bytes: SEGMENT,
                        delay,
                        content,
                    },
                );
            }
        }
        let mut arrived: Vec<Arrived<Cargo>> = self.forward.step(now);
        if let Some(backward) = &mut self.backward {
            arrived.extend(backward.step(now));
        }
        for arrived in arrived {
            self.arrive(now, arrived.at, arrived.bytes, arrived.content);
        }
        let competing = |sender: &&Sender| sender.competition() == Competition::Competing;
        self.competed += self.senders.iter().filter(competing).count() as Ms;
        for flow in 0..self.receivers.len() {
            self.receivers[flow].step(now);
            // Requests to send again do not wait for a report.
            let asked = self.receivers[flow].ask(now);
            let due = now.is_multiple_of(self.scenario.feedback_interval);
            let told = due.then(|| self.receivers[flow].tell(now));
            for feedback in asked.into_iter().chain(told) {
                if self.rng.uniform() >= self.scenario.feedback_loss {
                    let cargo = Cargo::Feedback { flow, feedback };
                    let settings = &self.scenario.flows[flow];
                    let (direction, delay) = (settings.direction, settings.delay);
                    self.send_back(now, direction, delay, flow, REPORT, cargo);
                }
            }
        }
    }

    fn send_back(
        &mut self,
        now: Ms,
        media: Direction,
        delay: f64,
        sender: usize,
        bytes: usize,
        content: Cargo,
    ) {
        let packet = Packet {
            sender: sender + 1_000,
            bytes,
            delay,
            content,
        };
        match (media, &mut self.backward) {
            (Direction::Forward, Some(backward)) => backward.send(now, packet),
            (Direction::Backward, _) => self.forward.send(now, packet),
            (Direction::Forward, None) => {
                self.sent_back += 1;
                let at = now + delay as Ms;
                self.coming_back
                    .insert((at, self.sent_back), packet.content);
            }
        }
    }

    fn arrive(&mut self, now: Ms, at: f64, bytes: usize, cargo: Cargo) {
        match cargo {
            Cargo::Media(content) => {
                let flow = content.flow;
                let delay = self.scenario.flows[flow].delay;
                self.receivers[flow].arrived(at, delay, &content);
                self.carried[flow].push((now, bytes));
            }
            Cargo::Feedback { flow, feedback } => self.senders[flow].feedback(now, &feedback),
            Cargo::Segment {
                connection,
                number,
                delay,
            } => {
                self.carried[self.senders.len() + connection].push((now, bytes));
                let acknowledgement = Cargo::Acknowledgement { connection, number };
                let sender = 100 + connection;
                let direction = Direction::Forward;
                self.send_back(
                    now,
                    direction,
                    delay,
                    sender,
                    ACKNOWLEDGEMENT,
                    acknowledgement,
                );
            }
            Cargo::Acknowledgement { connection, number } => {
                self.connections[connection].acknowledged(now, number);
            }
        }
    }
}

impl Scenario {
    pub(crate) fn play(&self, seed: u64) -> Played {
        let mut world = World::new(self, seed);
        for now in 0..self.length {
            world.step(now);
        }
        Played {
            scenario: self.clone(),
            waits: world.forward.waits,
            used: world.forward.carried,
            waits_back: world.backward.map(|path| path.waits).unwrap_or_default(),
            receivers: world.receivers,
            carried: world.carried,
            competed: world.competed,
        }
    }
}

/// What came of a scenario.
pub(crate) struct Played {
    scenario: Scenario,
    waits: Vec<(Ms, f64)>,
    used: Vec<(Ms, usize)>,
    waits_back: Vec<(Ms, f64)>,
    receivers: Vec<Receiver>,
    /// What has arrived, by flow, then by competitor.
    carried: Vec<Vec<(Ms, usize)>>,
    competed: Ms,
}

impl Played {
    /// For how many milliseconds any flow of ours saw competitors.
    pub(crate) fn competed(&self) -> Ms {
        self.competed
    }

    fn capacity(&self, from: Ms, until: Ms) -> f64 {
        (from..until)
            .map(|at| self.scenario.path.capacity_at(at) / 8.0)
            .sum()
    }

    /// The share of the capacity that was used in this time, 0 to 1.
    pub(crate) fn used(&self, from: Ms, until: Ms) -> f64 {
        bytes_in(&self.used, from, until) / self.capacity(from, until)
    }

    /// The share of the capacity that one flow or competitor used in this time, 0 to 1.
    pub(crate) fn share(&self, flow: usize, from: Ms, until: Ms) -> f64 {
        bytes_in(&self.carried[flow], from, until) / self.capacity(from, until)
    }

    /// The share of the capacity that all competitors together used in this time, 0 to 1.
    pub(crate) fn competitors_share(&self, from: Ms, until: Ms) -> f64 {
        (self.receivers.len()..self.carried.len())
            .map(|flow| self.share(flow, from, until))
            .sum::<f64>()
            .max(0.0)
    }

    /// What 95 of 100 packets wait at most in the queue in this time, in milliseconds.
    pub(crate) fn queue_p95(&self, from: Ms, until: Ms) -> f64 {
        let within = |waits: &[(Ms, f64)]| -> Vec<f64> {
            let within = waits.iter().filter(|(at, _)| (from..until).contains(at));
            within.map(|(_, wait)| *wait).collect()
        };
        let back = percentile(within(&self.waits_back), 0.95);
        percentile(within(&self.waits), 0.95).max(back)
    }

    /// Seconds in which a flow's picture stood still in this time.
    pub(crate) fn frozen(&self, flow: usize, from: Ms, until: Ms) -> f64 {
        let freezes = self.receivers[flow].freezes.iter();
        let within = freezes.filter(|(at, _)| (from..until).contains(at));
        // A sum of nothing is -0.
        within.map(|(_, gap)| gap).sum::<f64>().max(0.0) / 1_000.0
    }

    /// Seconds in which pictures of any flow stood still while their source was active.
    pub(crate) fn frozen_altogether(&self) -> f64 {
        let flows = self.scenario.flows.iter().enumerate();
        flows
            .map(|(flow, settings)| {
                let freezes = self.receivers[flow].freezes.iter();
                let counted = freezes.filter(|(at, gap)| {
                    let began = at.saturating_sub(*gap as Ms);
                    *at >= settings.start + 1_000 && settings.activity_at(began + 100) > 0.0
                });
                counted.map(|(_, gap)| gap).sum::<f64>()
            })
            .sum::<f64>()
            .max(0.0)
            / 1_000.0
    }

    /// Seconds from `step` until the queue is short and stays so for a second.
    pub(crate) fn settled(&self, step: Ms) -> f64 {
        let mut since = step;
        for (at, wait) in self.waits.iter().filter(|(at, _)| *at >= step) {
            if *wait > 75.0 {
                since = *at;
            } else if *at >= since + 1_000 {
                break;
            }
        }
        (since - step) as f64 / 1_000.0
    }

    /// Seconds from `step` until so much of the capacity is used, over half a second.
    pub(crate) fn reaches(&self, step: Ms, share: f64) -> f64 {
        let mut at = step;
        while at + 500 < self.scenario.length && self.used(at, at + 500) < share {
            at += 50;
        }
        (at - step) as f64 / 1_000.0
    }

    /// How equally our flows share in this time (Jain), 0 to 1.
    pub(crate) fn fairness(&self, from: Ms, until: Ms) -> f64 {
        let flows = self.receivers.len();
        let shares = || (0..flows).map(|flow| self.share(flow, from, until));
        let sum: f64 = shares().sum();
        let squares: f64 = shares().map(|share| share * share).sum();
        sum * sum / (flows as f64 * squares)
    }

    /// What 99 of 100 packets of sound wait at most beyond the path's own delay, in milliseconds.
    pub(crate) fn audio_p99(&self, flow: usize) -> f64 {
        percentile(self.receivers[flow].audio_waits.clone(), 0.99)
    }
}

fn bytes_in(carried: &[(Ms, usize)], from: Ms, until: Ms) -> f64 {
    let within = carried.iter().filter(|(at, _)| (from..until).contains(at));
    within.map(|(_, bytes)| *bytes).sum::<usize>() as f64
}

fn percentile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (values.len() as f64 * share) as usize;
    values
        .get(index.min(values.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0.0)
}
