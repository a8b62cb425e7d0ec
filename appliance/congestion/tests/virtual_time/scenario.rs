//! Scenarios: flows over one path, and what is measured of them.

use std::collections::VecDeque;
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::flow::{Content, OnTheWay, Receiver, Sender};
use crate::path::{Ms, Path, PathSettings};

/// What is played.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) path: PathSettings,
    /// When each flow begins.
    pub(crate) starts: Vec<Ms>,
    pub(crate) length: Ms,
    pub(crate) feedback_interval: Ms,
}

impl Scenario {
    /// One flow over a path with a queue of 300 ms, 50 ms each way.
    pub(crate) fn of(capacity: &[(Ms, f64)], length: Ms) -> Self {
        Self {
            path: PathSettings {
                capacity: capacity.to_vec(),
                queue: 300.0,
                delay: 50.0,
                jitter: 20.0,
                loss: 0.0,
                burst: 1,
            },
            starts: vec![0],
            length,
            feedback_interval: 50,
        }
    }

    pub(crate) fn with_flows(self, starts: &[Ms]) -> Self {
        Self {
            starts: starts.to_vec(),
            ..self
        }
    }

    pub(crate) fn with_loss(mut self, loss: f64, burst: u32) -> Self {
        (self.path.loss, self.path.burst) = (loss, burst);
        self
    }

    pub(crate) fn play(&self, seed: u64) -> Played {
        let begin = Instant::now();
        let rng = |number: u64| ChaCha20Rng::seed_from_u64(seed * 1_000 + number);
        let mut path: Path<Content> = Path::new(self.path.clone(), rng(0));
        let mut senders = Vec::new();
        let mut receivers: Vec<Receiver> = Vec::new();
        for (flow, start) in self.starts.iter().enumerate() {
            senders.push(Sender::new(flow, begin, *start, rng(flow as u64 + 1)));
            receivers.push(Receiver::default());
        }
        let mut on_the_way: OnTheWay = VecDeque::new();
        let mut carried = vec![Vec::new(); self.starts.len()];
        for now in 0..self.length {
            while on_the_way.front().is_some_and(|(at, ..)| *at <= now) {
                if let Some((_, flow, feedback)) = on_the_way.pop_front() {
                    senders[flow].feedback(now, &feedback);
                }
            }
            for (sender, start) in senders.iter_mut().zip(&self.starts) {
                if now < *start {
                    continue;
                }
                for (bytes, content) in sender.step(now) {
                    path.send(now, bytes, content);
                }
            }
            for arrived in path.step(now) {
                let flow = arrived.content.flow;
                receivers[flow].arrived(arrived.at, self.path.delay, &arrived.content);
                carried[flow].push(now);
            }
            for receiver in &mut receivers {
                receiver.step(now);
            }
            for (flow, receiver) in receivers.iter_mut().enumerate() {
                // Requests to send again do not wait for a report.
                if let Some(feedback) = receiver.ask(now) {
                    on_the_way.push_back((now + self.path.delay as Ms, flow, feedback));
                }
            }
            if now % self.feedback_interval == 0 {
                for (flow, receiver) in receivers.iter_mut().enumerate() {
                    let at = now + self.path.delay as Ms;
                    on_the_way.push_back((at, flow, receiver.tell(now)));
                }
            }
        }
        Played {
            scenario: self.clone(),
            path,
            receivers,
            carried,
        }
    }
}

/// What came of a scenario.
pub(crate) struct Played {
    scenario: Scenario,
    path: Path<Content>,
    receivers: Vec<Receiver>,
    carried: Vec<Vec<Ms>>,
}

impl Played {
    /// The share of the capacity that was used in this time, 0 to 1.
    pub(crate) fn used(&self, from: Ms, until: Ms) -> f64 {
        let bytes: usize = self
            .path
            .carried
            .iter()
            .filter(|(at, _)| (from..until).contains(at))
            .map(|(_, bytes)| bytes)
            .sum();
        let capacity: f64 = (from..until)
            .map(|at| self.scenario.path.capacity_at(at) / 8.0)
            .sum();
        bytes as f64 / capacity
    }

    /// What 95 of 100 packets wait at most in the queue in this time, in milliseconds.
    pub(crate) fn queue_p95(&self, from: Ms, until: Ms) -> f64 {
        let within = self
            .path
            .waits
            .iter()
            .filter(|(at, _)| (from..until).contains(at));
        percentile(within.map(|(_, wait)| *wait).collect(), 0.95)
    }

    /// Seconds in which a flow's picture stood still in this time.
    pub(crate) fn frozen(&self, flow: usize, from: Ms, until: Ms) -> f64 {
        let freezes = self.receivers[flow].freezes.iter();
        let within = freezes.filter(|(at, _)| (from..until).contains(at));
        within.map(|(_, gap)| gap).sum::<f64>() / 1_000.0
    }

    /// Seconds from `step` until the queue is short and stays so for a second.
    pub(crate) fn settled(&self, step: Ms) -> f64 {
        let mut since = step;
        for (at, wait) in self.path.waits.iter().filter(|(at, _)| *at >= step) {
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

    /// How equally the flows share in this time (Jain), 0 to 1.
    pub(crate) fn fairness(&self, from: Ms, until: Ms) -> f64 {
        let shares: Vec<f64> = self
            .carried
            .iter()
            .map(|at| at.iter().filter(|at| (from..until).contains(at)).count() as f64)
            .collect();
        let sum: f64 = shares.iter().sum();
        let squares: f64 = shares.iter().map(|share| share * share).sum();
        sum * sum / (shares.len() as f64 * squares)
    }

    /// What 99 of 100 packets of sound wait at most beyond the path's own delay, in milliseconds.
    pub(crate) fn audio_p99(&self, flow: usize) -> f64 {
        percentile(self.receivers[flow].audio_waits.clone(), 0.99)
    }
}

fn percentile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (values.len() as f64 * share) as usize;
    values
        .get(index.min(values.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0.0)
}
