//! The floor of the media path: what GStreamer itself takes to encode, packetize, put together and
//! decode a picture in one process, without network, encryption, jitter buffer or room.
//!
//! Two such paths run at once, as a two-way call on one machine has two.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gst::prelude::*;
use hal_core::burnt_clock::{self, BurntClock};

use super::footage_camera::{Footage, FootageCamera, INTERVAL, SIZE};

/// Encoder and decoder as roomd sets them, and nothing else.
const PATH: &str = "appsrc name=camera format=time is-live=true do-timestamp=true \
    caps=video/x-raw,format=I420,width=1280,height=720,framerate=30/1 ! \
    x264enc speed-preset=ultrafast tune=zerolatency bitrate=2000 key-int-max=300 threads=1 ! \
    rtph264pay aggregate-mode=zero-latency ! rtph264depay ! avdec_h264 max-threads=1 ! \
    appsink name=decoded sync=false max-buffers=4 drop=true";

/// One path, with its camera.
struct Path {
    pipeline: gst::Pipeline,
    // Held: it ends with this value.
    _camera: FootageCamera,
}

impl Drop for Path {
    fn drop(&mut self) {
        // A pipeline that does not stop ends with the process.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// Runs both paths for `length` and gives how old each decoded picture was, in ms.
pub(crate) fn measure(footage: &Footage, length: Duration) -> Result<Vec<f64>> {
    let (ages, measured) = mpsc::channel();
    let first = Instant::now() + INTERVAL;
    let paths = [
        start(footage, first, ages.clone())?,
        start(footage, first + INTERVAL / 2, ages)?,
    ];
    let mut all = Vec::new();
    let end = first + length;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        match measured.recv_timeout(left) {
            Ok(age) => all.push(age),
            Err(mpsc::RecvTimeoutError::Timeout | mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    drop(paths);
    Ok(all)
}

fn start(footage: &Footage, first: Instant, ages: mpsc::Sender<f64>) -> Result<Path> {
    let pipeline = gst::parse::launch(PATH)?
        .downcast::<gst::Pipeline>()
        .map_err(|_| anyhow::anyhow!("no pipeline"))?;
    let source = pipeline
        .by_name("camera")
        .and_then(|source| source.downcast::<gst_app::AppSrc>().ok())
        .context("no source")?;
    let sink = pipeline
        .by_name("decoded")
        .and_then(|sink| sink.downcast::<gst_app::AppSink>().ok())
        .context("no sink")?;
    let clock = BurntClock::new(first - Duration::from_secs(1));
    sink.set_callbacks(
        gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let now = Instant::now();
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                if let Some(age) = age(&sample, &clock, now) {
                    // Nobody listens once the time is over.
                    let _ = ages.send(age.as_secs_f64() * 1e3);
                }
                Ok(gst::FlowSuccess::Ok)
            })
            .build(),
    );
    pipeline.set_state(gst::State::Playing)?;
    let camera = FootageCamera::start(footage.clone(), clock, first, move |_, picture| {
        // Fails only while the pipeline stops.
        let _ = source.push_buffer(gst::Buffer::from_slice(picture));
    });
    Ok(Path {
        pipeline,
        _camera: camera,
    })
}

fn age(sample: &gst::Sample, clock: &BurntClock, now: Instant) -> Option<Duration> {
    let picture = sample.buffer()?.map_readable().ok()?;
    let info = gst_video::VideoInfo::from_caps(sample.caps()?).ok()?;
    let stride = usize::try_from(*info.stride().first()?).ok()?;
    let rows = picture.get(..stride * SIZE.height.min(burnt_clock::BLOCK))?;
    Some(clock.age(burnt_clock::read(rows, stride)?, now))
}
