//! What a process costs, as the kernel counts it: processor time of all its threads.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Measures the load of a process from its making on.
#[derive(Debug)]
pub(crate) struct LoadMeter {
    process: u32,
    started: Instant,
    at_start: Duration,
}

impl LoadMeter {
    /// Starts to measure.
    pub(crate) fn start(process: u32) -> Result<Self> {
        Ok(Self {
            process,
            started: Instant::now(),
            at_start: processor_time(process)?,
        })
    }

    /// Cores in use, on average since the start: 1 is one core all the time.
    pub(crate) fn cores(&self) -> Result<f64> {
        let used = processor_time(self.process)?.saturating_sub(self.at_start);
        Ok(used.as_secs_f64() / self.started.elapsed().as_secs_f64())
    }
}

/// Processor time of a process since it began, in the steps of the kernel's clock (10 ms).
fn processor_time(process: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))
        .with_context(|| format!("process {process} is gone"))?;
    let ticks = ticks(&stat).context("the kernel does not tell processor time")?;
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

/// User and system time: fields 14 and 15. The name before them may hold blanks and parentheses.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("7 (a) S 1 2"), None);
    }

    #[test]
    fn work_is_counted() {
        let before = processor_time(std::process::id()).unwrap();
        let mut sum = 0_u64;
        while processor_time(std::process::id()).unwrap() == before {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
        assert!(processor_time(std::process::id()).unwrap() > before);
    }
}
