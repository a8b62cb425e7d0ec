//! What happened in a run, for the reader of a failing test.

use std::fmt;
use std::time::{Duration, Instant};

/// The steps of a run in their order, each at its virtual time.
#[derive(Debug)]
pub(crate) struct Journal {
    start: Instant,
    entries: Vec<(Duration, String)>,
}

impl Journal {
    /// An empty journal; times count from `start`.
    pub(crate) fn new(start: Instant) -> Self {
        Self {
            start,
            entries: Vec::new(),
        }
    }

    /// Writes a step down.
    pub(crate) fn note(&mut self, now: Instant, text: impl fmt::Display) {
        self.entries
            .push((now.duration_since(self.start), text.to_string()));
    }
}

impl fmt::Display for Journal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, text) in &self.entries {
            writeln!(formatter, "{:>10.3} s  {text}", at.as_secs_f64())?;
        }
        Ok(())
    }
}
