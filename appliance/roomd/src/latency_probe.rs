//! Reads the clock that a simulated camera burns into its picture, to tell how long a frame takes
//! from the far end's capture to our decoder. It tells something only where both ends share one
//! monotonic clock: two rooms on one machine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hal_core::burnt_clock::{self, BurntClock};
use media::{DecodedFrame, Media};
use room::ids::LegId;
use room::leg_stats::LegStats;
use room::media_plan::VideoRole;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::monotonic_zero::monotonic_zero;
use crate::owned_tasks::OwnedTasks;

/// Ages above this are no latency: the picture's clock counts from another machine's start.
const BELIEVABLE: Duration = Duration::from_secs(2);

/// Watches the decoded frames of one leg. Dropping it ends the watch.
#[derive(Debug)]
pub struct LatencyProbe {
    /// The longest latency since it was last asked for.
    longest: Arc<Mutex<Option<Duration>>>,
    task: AbortHandle,
}

impl LatencyProbe {
    /// Watches these frames, in a task that `tasks` owns.
    #[must_use]
    pub fn start(tasks: &mut OwnedTasks, mut frames: mpsc::Receiver<DecodedFrame>) -> Self {
        let longest = Arc::new(Mutex::new(None));
        let written = Arc::clone(&longest);
        let clock = BurntClock::new(monotonic_zero());
        let task = tasks.spawn_passing(async move {
            while let Some(frame) = frames.recv().await {
                let latency = latency(&clock, &frame);
                let mut longest = written.lock().unwrap_or_else(PoisonError::into_inner);
                *longest = (*longest).max(latency);
            }
        });
        Self { longest, task }
    }

    /// The longest latency since the last call; `None` when no picture carried a clock.
    #[must_use]
    pub fn take(&self) -> Option<Duration> {
        self.longest
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// The watches of both pictures of one leg.
#[derive(Debug)]
pub struct LatencyProbes {
    main: Option<LatencyProbe>,
    slides: Option<LatencyProbe>,
}

impl LatencyProbes {
    /// Watches what is decoded of a leg that media has opened.
    #[must_use]
    pub fn start(tasks: &mut OwnedTasks, media: &Media, leg: LegId) -> Self {
        let mut probe = |role| {
            let frames = media.tap_decoded(leg, role).ok()?;
            Some(LatencyProbe::start(tasks, frames))
        };
        Self {
            main: probe(VideoRole::Main),
            slides: probe(VideoRole::Slides),
        }
    }

    /// Adds to the leg's figures what was seen since the last call.
    pub fn complete(&self, stats: &mut LegStats) {
        for (probe, video) in [
            (&self.main, &mut stats.video),
            (&self.slides, &mut stats.slides),
        ] {
            if let (Some(probe), Some(video)) = (probe, video) {
                video.capture_to_decode = probe.take().or(video.capture_to_decode);
            }
        }
    }
}

impl Drop for LatencyProbe {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn latency(clock: &BurntClock, frame: &DecodedFrame) -> Option<Duration> {
    let stamp = burnt_clock::read(frame.luma(), frame.stride())?;
    let age = clock.age(stamp, frame.decoded());
    (age < BELIEVABLE).then_some(age)
}
