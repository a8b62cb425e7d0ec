//! One-way delay: what a path takes by itself, and what its queue adds.
//!
//! Sender and receiver have clocks of their own: a delay has an unknown constant in it, and only differences
//! mean something. The constant drifts; the minimum is kept for a minute, in buckets, so that it follows.

use std::collections::VecDeque;
use std::time::Duration;

/// How long a bucket lasts.
const BUCKET: Duration = Duration::from_secs(10);
/// How many are kept.
const BUCKETS: usize = 6;
/// The queueing delay is the least of so many packets: jitter comes on top, and goes by itself.
const FILTER: usize = 4;

/// The least of a value over the last minute.
#[derive(Debug, Default)]
pub(crate) struct WindowedMinimum {
    buckets: VecDeque<f64>,
    bucket_began: Duration,
}

impl WindowedMinimum {
    pub(crate) fn add(&mut self, now: Duration, value: f64) {
        if self.buckets.is_empty() || now >= self.bucket_began + BUCKET {
            self.bucket_began = now;
            self.buckets.push_back(value);
            if self.buckets.len() > BUCKETS {
                self.buckets.pop_front();
            }
        } else if let Some(newest) = self.buckets.back_mut() {
            *newest = newest.min(value);
        }
    }

    pub(crate) fn get(&self) -> Option<f64> {
        self.buckets.iter().copied().reduce(f64::min)
    }
}

/// What the delays of packets say about the queue.
#[derive(Debug, Default)]
pub(crate) struct QueueingDelay {
    base: WindowedMinimum,
    last: VecDeque<f64>,
}

impl QueueingDelay {
    /// Takes the delay of a packet, in seconds, the difference of the clocks in it. Gives what the queue
    /// added to this one.
    pub(crate) fn add(&mut self, now: Duration, delay: f64) -> f64 {
        self.base.add(now, delay);
        self.last.push_back(delay);
        if self.last.len() > FILTER {
            self.last.pop_front();
        }
        delay - self.base.get().unwrap_or(delay)
    }

    /// What the queue adds now, in seconds.
    pub(crate) fn get(&self) -> f64 {
        let least = self.last.iter().copied().reduce(f64::min);
        match (least, self.base.get()) {
            (Some(least), Some(base)) => (least - base).max(0.0),
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn jitter_is_no_queue_and_a_queue_shows_after_four_packets() {
        let mut queue = QueueingDelay::default();
        for delay in [0.050, 0.075, 0.050, 0.060, 0.079] {
            queue.add(at(0.0), delay);
        }
        assert!(queue.get() < 1e-9);
        for delay in [0.15, 0.14, 0.15, 0.16] {
            queue.add(at(0.1), delay);
        }
        assert!((queue.get() - 0.09).abs() < 1e-9);
    }

    #[test]
    fn a_longer_way_is_the_base_after_a_minute() {
        let mut queue = QueueingDelay::default();
        queue.add(at(0.0), 0.05);
        for second in 1..75 {
            queue.add(at(f64::from(second)), 0.2);
        }
        assert!(queue.get() < 1e-9, "{}", queue.get());
    }
}
