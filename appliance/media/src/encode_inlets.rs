//! Where raw pictures enter the encodes of one source.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use room::units::FrameRate;

use crate::pipeline::PipelineId;

/// The way into one encode.
#[derive(Debug)]
pub(crate) struct EncodeInlet {
    encode: PipelineId,
    source: gst_app::AppSrc,
    /// No leg takes pictures just now: what is not encoded is no reference that anybody lacks.
    skips: AtomicBool,
    /// Lets through as many pictures as the encode is to have; `None` where it has all of them.
    thinning: Option<Mutex<Thinning>>,
    /// Pictures that were handed to the encoder.
    fed: AtomicU64,
}

impl EncodeInlet {
    /// The way into an encode of so many frames a second, out of a source of so many.
    pub(crate) fn new(
        encode: PipelineId,
        source: gst_app::AppSrc,
        frame_rate: FrameRate,
        of: FrameRate,
    ) -> Self {
        let is_slower = frame_rate < of;
        Self {
            encode,
            source,
            skips: AtomicBool::new(false),
            thinning: is_slower.then(|| Mutex::new(Thinning::new(frame_rate, of))),
            fed: AtomicU64::new(0),
        }
    }

    /// Which encode.
    pub(crate) fn encode(&self) -> PipelineId {
        self.encode
    }

    /// Whether pictures are skipped before they are encoded.
    pub(crate) fn skips(&self) -> bool {
        self.skips.load(Ordering::Acquire)
    }

    /// Skips pictures from now on, or does so no more.
    pub(crate) fn set_skips(&self, skips: bool) {
        self.skips.store(skips, Ordering::Release);
    }

    /// How many pictures the encoder was handed.
    pub(crate) fn fed(&self) -> u64 {
        self.fed.load(Ordering::Relaxed)
    }

    fn push(&self, picture: &gst::Sample) {
        // What is skipped is not counted for the rate: the next picture follows as soon as it may.
        if self.skips() {
            return;
        }
        let pushed = match &self.thinning {
            None => self.source.push_sample(picture),
            Some(thinning) => {
                let mut thinning = thinning.lock().unwrap_or_else(PoisonError::into_inner);
                match thinning.thin(picture) {
                    None => return,
                    Some(picture) => self.source.push_sample(&picture),
                }
            }
        };
        // Refused only while the encode is being taken down.
        if pushed.is_ok() {
            self.fed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Takes pictures out, evenly. What is left comes at the lower rate at most, also after a gap: an encoder gives
/// each picture its share of a second, and more of them would be more than the network was said to carry.
#[derive(Debug)]
struct Thinning {
    frame_rate: FrameRate,
    interval: gst::ClockTime,
    /// A picture may be so early: cameras are not exact.
    tolerance: gst::ClockTime,
    next: Option<gst::ClockTime>,
    /// As the source last said them, and as the encoder is told.
    caps: Option<(gst::Caps, gst::Caps)>,
}

impl Thinning {
    fn new(frame_rate: FrameRate, of: FrameRate) -> Self {
        let interval = |rate: FrameRate| gst::ClockTime::SECOND / u64::from(rate.0.max(1));
        Self {
            frame_rate,
            interval: interval(frame_rate),
            tolerance: interval(of) / 2,
            next: None,
            caps: None,
        }
    }

    /// The picture for the encoder, with the lower rate in its caps; `None` where it is left out.
    fn thin(&mut self, picture: &gst::Sample) -> Option<gst::Sample> {
        let (buffer, caps) = (picture.buffer_owned()?, picture.caps()?);
        if !self.is_due(buffer.pts()) {
            return None;
        }
        let told = match &self.caps {
            Some((of, told)) if of.as_ref() == caps => told.clone(),
            Some(_) | None => self.slower(caps),
        };
        Some(gst::Sample::builder().buffer(&buffer).caps(&told).build())
    }

    fn is_due(&mut self, at: Option<gst::ClockTime>) -> bool {
        let Some(at) = at else {
            return true;
        };
        if let Some(next) = self.next
            && at + self.tolerance < next
            // A clock that has gone back.
            && next < at + self.interval * 2
        {
            return false;
        }
        // On the grid where pictures are in time, and a new one after a gap.
        let on_grid = self.next.filter(|next| at <= *next + self.tolerance);
        self.next = Some(on_grid.unwrap_or(at) + self.interval);
        true
    }

    fn slower(&mut self, caps: &gst::CapsRef) -> gst::Caps {
        let mut told = caps.to_owned();
        if let Some(structure) = told.make_mut().structure_mut(0) {
            let rate = gst::Fraction::new(self.frame_rate.0 as i32, 1);
            structure.set("framerate", rate);
        }
        self.caps = Some((caps.to_owned(), told.clone()));
        told
    }
}

/// The ways into all encodes of one source. Encodes come and go while it gives pictures.
#[derive(Debug, Default)]
pub(crate) struct EncodeInlets(Mutex<Vec<Arc<EncodeInlet>>>);

impl EncodeInlets {
    pub(crate) fn add(&self, inlet: Arc<EncodeInlet>) {
        self.lock().push(inlet);
    }

    pub(crate) fn remove(&self, encode: PipelineId) {
        self.lock().retain(|inlet| inlet.encode != encode);
    }

    /// One picture for every encode. Buffers are shared, never copied.
    pub(crate) fn push(&self, picture: &gst::Sample) {
        for inlet in self.lock().iter() {
            inlet.push(picture);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<EncodeInlet>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: FrameRate = FrameRate(30);

    /// The pictures of a camera that are left, by their numbers, where `skipped` never come.
    fn left(rate: u32, skipped: impl Fn(u64) -> bool, pictures: u64) -> Vec<u64> {
        let mut thinning = Thinning::new(FrameRate(rate), SOURCE);
        let mut is_left = |number: &u64| {
            // Early and late by turns.
            let jitter = gst::ClockTime::from_mseconds(3 * (number % 3));
            let at = gst::ClockTime::SECOND * *number / 30 + jitter;
            thinning.is_due(Some(at))
        };
        let numbers = (0..pictures).filter(|number| !skipped(*number));
        numbers.filter(|number| is_left(number)).collect()
    }

    #[test]
    fn every_second_picture_is_left_of_a_camera_twice_as_fast() {
        let even: Vec<u64> = (0..60).step_by(2).collect();
        assert_eq!(left(15, |_| false, 60), even);
        assert_eq!(left(10, |_| false, 90).len(), 30);
        assert_eq!(left(20, |_| false, 90).len(), 60);
    }

    #[test]
    fn what_was_skipped_is_not_made_up_for() {
        // A gate that is closed for two pictures of five.
        let closed = |number: u64| number % 5 >= 3;
        let left = left(15, closed, 300);
        assert!(
            left.windows(2).all(|pair| pair[1] - pair[0] >= 2),
            "{left:?}"
        );
        assert!(left.len() > 90, "{}", left.len());
    }

    #[test]
    fn a_clock_that_jumps_does_not_stop_pictures() {
        let mut thinning = Thinning::new(FrameRate(15), SOURCE);
        let mut at = |seconds| thinning.is_due(Some(gst::ClockTime::from_seconds(seconds)));
        assert!([1_000, 1, 2, 50_000].into_iter().all(&mut at));
    }
}
