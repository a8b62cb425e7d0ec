//! One time for all pipelines.
//!
//! Every pipeline runs on the system's monotonic clock with the same base time, so that running
//! time means the same moment everywhere: a buffer keeps its timestamp from the camera through
//! encoder, network and decoder to the screen. (Playouts begin a time of
//! their own and shift what comes in.) `Instant` reads the same clock.

use std::time::{Duration, Instant};

use gst::prelude::*;

/// How far before the start running time begins, so that a frame that was captured just before
/// the start still has a timestamp.
const HEAD_START: Duration = Duration::from_secs(2);

/// The clock and base time that all pipelines share.
#[derive(Clone, Debug)]
pub(crate) struct MediaClock {
    clock: gst::Clock,
    base_time: gst::ClockTime,
    epoch: Instant,
}

impl MediaClock {
    /// Starts running time now.
    pub(crate) fn start() -> Self {
        let clock = gst::SystemClock::obtain();
        let (now, time) = (Instant::now(), clock.time());
        let epoch = now.checked_sub(HEAD_START).unwrap_or(now);
        let head_start = gst::ClockTime::from_nseconds((now - epoch).as_nanos() as u64);
        let base_time = time.saturating_sub(head_start);
        Self {
            clock,
            base_time,
            epoch,
        }
    }

    /// Makes a pipeline run in this time.
    pub(crate) fn govern(&self, pipeline: &gst::Pipeline) {
        pipeline.use_clock(Some(&self.clock));
        // Without a start time the pipeline leaves its base time alone when it starts.
        pipeline.set_start_time(gst::ClockTime::NONE);
        pipeline.set_base_time(self.base_time);
    }

    /// Makes a pipeline run in a time of its own that begins now, and gives the shared running
    /// time of that beginning. See [`OwnedPipeline::starting_now`](crate::pipeline::OwnedPipeline).
    pub(crate) fn govern_from_now(&self, pipeline: &gst::Pipeline) -> gst::ClockTime {
        self.govern(pipeline);
        let start = self.now();
        pipeline.set_base_time(self.base_time + start);
        start
    }

    /// The running time of a moment; zero for moments before the start.
    pub(crate) fn running_time(&self, at: Instant) -> gst::ClockTime {
        let since = at.saturating_duration_since(self.epoch);
        gst::ClockTime::from_nseconds(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX - 1))
    }

    /// The running time now.
    pub(crate) fn now(&self) -> gst::ClockTime {
        self.running_time(Instant::now())
    }
}

/// A sample's timestamp as running time.
///
/// Encoders shift timestamps (x264enc by 1000 hours) and announce it in their segment: raw
/// timestamps of two pipelines cannot be compared.
pub(crate) fn running_time_of(sample: &gst::Sample) -> Option<gst::ClockTime> {
    let pts = sample.buffer()?.pts()?;
    match sample.segment()?.downcast_ref::<gst::ClockTime>() {
        Some(segment) => segment.to_running_time(pts),
        None => Some(pts),
    }
}

/// The same sample with its timestamps in running time, which every pipeline shares.
pub(crate) fn in_running_time(sample: &gst::Sample) -> Option<gst::Sample> {
    let running_time = running_time_of(sample)?;
    let mut buffer = sample.buffer_owned()?;
    let is_decoding_time = |dts| dts == running_time;
    if buffer.pts() == Some(running_time) && buffer.dts().is_none_or(is_decoding_time) {
        // As it is: a buffer whose memory a copy shares never goes back to its pool, and each
        // picture would be decoded into fresh memory.
        return Some(sample.clone());
    }
    {
        let buffer = buffer.make_mut();
        buffer.set_pts(running_time);
        buffer.set_dts(running_time);
    }
    Some(
        gst::Sample::builder()
            .buffer(&buffer)
            .caps(&sample.caps_owned()?)
            .build(),
    )
}
