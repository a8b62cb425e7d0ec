//! What is played: paths, flows and their competitors, and how long.

use crate::path::{Excess, Ms, PathSettings};
use crate::tcp::Load;

/// Which way the media of a flow go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Backward,
}

/// One flow of ours.
#[derive(Clone, Debug)]
pub(crate) struct FlowSettings {
    pub(crate) start: Ms,
    pub(crate) direction: Direction,
    /// One way, without the queue, in milliseconds.
    pub(crate) delay: f64,
    /// Bytes of a packet of sound, of which 50 leave in a second.
    pub(crate) audio: usize,
    /// From when on the source uses which part of its target; with nothing it is silent, also as to sound.
    pub(crate) activity: Vec<(Ms, f64)>,
}

impl FlowSettings {
    pub(crate) fn from(start: Ms) -> Self {
        Self {
            start,
            direction: Direction::Forward,
            delay: 50.0,
            audio: 130,
            activity: vec![(0, 1.0)],
        }
    }

    pub(crate) fn activity_at(&self, now: Ms) -> f64 {
        let begun = self.activity.iter().rev().find(|(from, _)| *from <= now);
        begun.map_or(0.0, |(_, part)| *part)
    }
}

/// What is played.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) path: PathSettings,
    /// The way back, where it is a bottleneck too: feedback shares it with media.
    pub(crate) way_back: Option<PathSettings>,
    pub(crate) flows: Vec<FlowSettings>,
    pub(crate) competitors: Vec<Load>,
    pub(crate) length: Ms,
    pub(crate) feedback_interval: Ms,
    /// The share of reports that is lost.
    pub(crate) feedback_loss: f64,
    /// How much faster the receivers' clocks run than the senders', in millionths.
    pub(crate) drift: f64,
}

impl Scenario {
    /// One flow over a path with a queue of 300 ms, 50 ms each way.
    pub(crate) fn of(capacity: &[(Ms, f64)], length: Ms) -> Self {
        Self {
            path: PathSettings::of(capacity),
            way_back: None,
            flows: vec![FlowSettings::from(0)],
            competitors: Vec::new(),
            length,
            feedback_interval: 50,
            feedback_loss: 0.0,
            drift: 0.0,
        }
    }

    pub(crate) fn with_flows(mut self, flows: impl IntoIterator<Item = FlowSettings>) -> Self {
        self.flows = flows.into_iter().collect();
        self
    }

    pub(crate) fn with_competitors(mut self, loads: impl IntoIterator<Item = Load>) -> Self {
        self.competitors = loads.into_iter().collect();
        self
    }

    pub(crate) fn with_loss(mut self, loss: f64, burst: u32) -> Self {
        (self.path.loss, self.path.burst) = (loss, burst);
        self
    }

    pub(crate) fn with_excess(mut self, excess: Excess) -> Self {
        self.path.excess = excess;
        self
    }

    pub(crate) fn with_feedback_every(mut self, interval: Ms) -> Self {
        self.feedback_interval = interval;
        self
    }
}
