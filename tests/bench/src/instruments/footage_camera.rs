//! A camera that shows real footage with the moment of capture burnt in.
//!
//! All pictures are decoded before anything is measured, and a picture is copied before it is due:
//! between the stamp and the hand-over nothing but the stamp itself is written. So the age of a
//! stamp is the time that others took.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::{Bytes, BytesMut};
use gst::prelude::*;
use hal_core::burnt_clock::{self, BurntClock};
use hal_core::camera::PictureSize;

/// The pictures' size.
pub(crate) const SIZE: PictureSize = PictureSize::HD720;
/// The time from one picture to the next: 30 a second.
pub(crate) const INTERVAL: Duration = Duration::from_nanos(1_000_000_000 / 30);
/// Two seconds of film, 83 MB.
const PICTURES: usize = 60;
const DECODING_LIMIT: gst::ClockTime = gst::ClockTime::from_seconds(30);

/// Decoded footage, shared by the cameras that show it.
#[derive(Clone, Debug)]
pub(crate) struct Footage(Arc<[Bytes]>);

impl Footage {
    /// Decodes the first pictures of a recording, in I420.
    pub(crate) fn decode(recording: &Path) -> Result<Self> {
        let description = format!(
            "filesrc name=file ! decodebin ! videoconvert ! videoscale ! \
             video/x-raw,format=I420,width={},height={} ! appsink name=sink sync=false max-buffers=4",
            SIZE.width, SIZE.height
        );
        let pipeline = gst::parse::launch(&description)?
            .downcast::<gst::Pipeline>()
            .map_err(|_| anyhow::anyhow!("no pipeline"))?;
        let file = pipeline.by_name("file").context("no file source")?;
        file.set_property("location", recording);
        let sink = pipeline
            .by_name("sink")
            .and_then(|sink| sink.downcast::<gst_app::AppSink>().ok())
            .context("no sink")?;
        pipeline.set_state(gst::State::Playing)?;
        let pictures = std::iter::from_fn(|| sink.try_pull_sample(DECODING_LIMIT))
            .take(PICTURES)
            .map(|sample| picture(&sample))
            .collect::<Result<Vec<_>>>();
        pipeline.set_state(gst::State::Null)?;
        let pictures = pictures?;
        ensure!(
            !pictures.is_empty(),
            "{} holds no pictures",
            recording.display()
        );
        Ok(Self(pictures.into()))
    }

    fn picture(&self, number: usize) -> BytesMut {
        BytesMut::from(&self.0[number % self.0.len()][..])
    }
}

fn picture(sample: &gst::Sample) -> Result<Bytes> {
    let buffer = sample.buffer().context("a sample without a buffer")?;
    let bytes = buffer.map_readable()?;
    ensure!(
        bytes.len() == SIZE.i420_bytes(),
        "the decoder pads its pictures"
    );
    Ok(Bytes::copy_from_slice(&bytes))
}

/// A camera at work. It stops with this value.
#[derive(Debug)]
pub(crate) struct FootageCamera {
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FootageCamera {
    /// Shows the footage again and again, 30 pictures a second from `first` on. `hand_over` gets
    /// each picture at the moment that is burnt into it.
    pub(crate) fn start(
        footage: Footage,
        clock: BurntClock,
        first: Instant,
        mut hand_over: impl FnMut(Instant, Bytes) + Send + 'static,
    ) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let told_to_stop = Arc::clone(&stopped);
        let show = move || {
            for number in 0.. {
                let mut picture = footage.picture(number);
                let due = first + INTERVAL * u32::try_from(number).unwrap_or(u32::MAX);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                if told_to_stop.load(Ordering::Relaxed) {
                    return;
                }
                let captured = Instant::now();
                let burnt = burnt_clock::write(&mut picture, SIZE.width, clock.stamp(captured));
                debug_assert!(burnt, "720p has room for the clock");
                hand_over(captured, picture.freeze());
            }
        };
        Self {
            stopped,
            thread: Some(std::thread::spawn(show)),
        }
    }
}

impl Drop for FootageCamera {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A camera that panicked has shown its message.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn each_picture_carries_the_moment_of_its_hand_over() {
        let grey = Bytes::from(vec![90; SIZE.i420_bytes()]);
        let clock = BurntClock::new(Instant::now());
        let (pictures, shown) = mpsc::channel();
        let camera = FootageCamera::start(
            Footage(Arc::from([grey])),
            clock,
            Instant::now(),
            move |captured, picture| drop(pictures.send((captured, picture))),
        );
        for _ in 0..3 {
            let (captured, picture) = shown.recv().unwrap();
            let stamp = burnt_clock::read(&picture, SIZE.width).unwrap();
            assert!(clock.age(stamp, captured) < Duration::from_millis(1));
        }
        drop(camera);
        while shown.try_recv().is_ok() {}
        assert!(shown.recv().is_err(), "a stopped camera shows no more");
    }
}
