//! From the legs' decoded pictures to the screen.
//!
//! ```text
//!  one far end:   leg ──► appsrc ──► [convert] ──► sink, in time
//!  several:       leg ──► appsrc ──┐
//!                 leg ──► appsrc ──┼► compositor ──► [convert] ──► sink, in time
//!                 own ──► appsrc ──┘
//! ```
//!
//! A change of layout, of the sink or of who is shown builds this pipeline anew. Legs and capture
//! do not notice.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gst::prelude::*;
use room::ids::LegId;
use room::media_plan::VideoSink;

use crate::clock::MediaClock;
use crate::error::MediaError;
use crate::graph_input::GraphInputs;
use crate::pipeline::{
    OwnedPipeline, PipelineId, PipelineRole, count_buffers, link, link_pads, make_element, pad,
};
use crate::shape::VideoPlayoutShape;

/// What the sink itself needs to show a picture.
const SINK_TIME: gst::ClockTime = gst::ClockTime::from_mseconds(2);
/// Pictures that may wait to be shown; at 200 ms of delay, 60 fps still fit.
const QUEUE: u64 = 16;
/// The canvas on which several pictures are arranged.
const CANVAS: (i32, i32) = (1280, 720);
/// The own picture's part of the canvas, as a divisor, and its distance from the edge.
const SELF_VIEW_DIVISOR: i32 = 4;
const SELF_VIEW_MARGIN: i32 = 24;

/// The running playout.
#[derive(Debug)]
pub(crate) struct VideoPlayout {
    pipeline: OwnedPipeline,
    inlets: HashMap<LegId, gst_app::AppSrc>,
    self_view: Option<gst_app::AppSrc>,
    shown: Arc<AtomicU64>,
}

/// Where a picture goes on the canvas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tile {
    x: i32,
    y: i32,
    width: i32,
    height: i32,
}

impl VideoPlayout {
    /// Builds and starts the pipeline. Legs are shown with `delay` until told otherwise.
    pub(crate) fn start(
        shape: &VideoPlayoutShape,
        delay: impl Fn(LegId) -> Duration,
        clock: &MediaClock,
        inputs: &GraphInputs,
    ) -> Result<Self, MediaError> {
        let pipeline = OwnedPipeline::starting_now(PipelineRole::VideoPlayout, clock, inputs);
        let inlets = shape
            .far_ends
            .iter()
            .map(|&leg| Ok((leg, pipeline.add(inlet(&format!("leg-{leg}"), delay(leg)))?)))
            .collect::<Result<HashMap<_, _>, MediaError>>()?;
        let self_view = match shape.self_view {
            true => Some(pipeline.add(inlet("self-view", Duration::ZERO))?),
            false => None,
        };
        for inlet in inlets.values().chain(&self_view) {
            pipeline.adopt_time(inlet);
        }
        let sink = pipeline.add(sink_element(shape.sink)?)?;
        let converter = match shape.sink {
            VideoSink::Window | VideoSink::Display => Some(pipeline.make("videoconvert", |b| b)?),
            VideoSink::None => None,
        };
        let mut tail: Vec<&gst::Element> = converter.iter().collect();
        tail.push(&sink);
        match (&self_view, shape.far_ends.as_slice()) {
            (None, [only]) => {
                let source = inlets.get(only).map(Cast::upcast_ref::<gst::Element>);
                link(&source.into_iter().chain(tail).collect::<Vec<_>>())?;
            }
            (_, far_ends) => {
                let canvas = canvas(&pipeline)?;
                link(&canvas.iter().chain(tail).collect::<Vec<_>>())?;
                for (leg, tile) in far_ends.iter().zip(tiles(far_ends.len())) {
                    if let Some(inlet) = inlets.get(leg) {
                        place(&canvas[0], inlet, tile, 0)?;
                    }
                }
                if let Some(inlet) = &self_view {
                    place(&canvas[0], inlet, self_view_tile(), 1)?;
                }
            }
        }
        let shown = count_buffers(&pad(&sink, "sink")?);
        pipeline.play()?;
        Ok(Self {
            pipeline,
            inlets,
            self_view,
            shown,
        })
    }

    /// The pipeline's identity.
    pub(crate) fn id(&self) -> PipelineId {
        self.pipeline.id()
    }

    /// Pictures that reached the sink.
    pub(crate) fn shown(&self) -> u64 {
        self.shown.load(Ordering::Relaxed)
    }

    /// The far ends on the screen.
    pub(crate) fn far_ends(&self) -> impl Iterator<Item = LegId> {
        self.inlets.keys().copied()
    }

    /// The way in for a leg's pictures; `None` when it is not shown.
    pub(crate) fn inlet(&self, leg: LegId) -> Option<gst_app::AppSrc> {
        self.inlets.get(&leg).cloned()
    }

    /// The way in for the own picture; `None` when it is not shown.
    pub(crate) fn self_view(&self) -> Option<gst_app::AppSrc> {
        self.self_view.clone()
    }

    /// Lets the sink wait as long as the legs now need.
    pub(crate) fn recalculate_latency(&self) {
        self.pipeline.recalculate_latency();
    }

    /// A leg's pictures are held for another time.
    pub(crate) fn set_delay(&self, leg: LegId, delay: Duration) {
        if let Some(inlet) = self.inlets.get(&leg) {
            inlet.set_property("min-latency", latency(delay));
            self.recalculate_latency();
        }
    }
}

fn latency(delay: Duration) -> i64 {
    i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX)
}

fn inlet(name: &str, delay: Duration) -> gst_app::AppSrc {
    gst_app::AppSrc::builder()
        .name(name)
        .format(gst::Format::Time)
        .is_live(true)
        .min_latency(latency(delay))
        .max_buffers(QUEUE)
        .max_bytes(0)
        .leaky_type(gst_app::AppLeakyType::Downstream)
        .build()
}

fn sink_element(sink: VideoSink) -> Result<gst::Element, MediaError> {
    match sink {
        VideoSink::Window => make_element("autovideosink", |b| b),
        VideoSink::Display => make_element("kmssink", |b| {
            // A late picture is still news: dropping it would freeze the screen.
            b.property("max-lateness", -1_i64)
        }),
        VideoSink::None => make_element("fakesink", |b| {
            b.property("sync", true)
                .property("async", false)
                .property("enable-last-sample", false)
                .property("processing-deadline", SINK_TIME)
        }),
    }
}

/// The compositor and the format that it paints in.
fn canvas(pipeline: &OwnedPipeline) -> Result<[gst::Element; 2], MediaError> {
    let compositor = pipeline.make("compositor", |b| b.property_from_str("background", "black"))?;
    let caps = gst_video::VideoCapsBuilder::new()
        .format(gst_video::VideoFormat::I420)
        .width(CANVAS.0)
        .height(CANVAS.1)
        .framerate(gst::Fraction::new(30, 1))
        .build();
    let caps = pipeline.make("capsfilter", |b| b.property("caps", caps))?;
    Ok([compositor, caps])
}

fn place(
    compositor: &gst::Element,
    inlet: &gst_app::AppSrc,
    tile: Tile,
    layer: u32,
) -> Result<(), MediaError> {
    let refused = || MediaError::Link {
        what: format!("{} and the canvas", inlet.name()),
    };
    let pad = compositor
        .request_pad_simple("sink_%u")
        .ok_or_else(refused)?;
    pad.set_property("xpos", tile.x);
    pad.set_property("ypos", tile.y);
    pad.set_property("width", tile.width);
    pad.set_property("height", tile.height);
    pad.set_property("zorder", layer);
    pad.set_property_from_str("sizing-policy", "keep-aspect-ratio");
    link_pads(&inlet.static_pad("src").ok_or_else(refused)?, &pad)
}

/// Equally large tiles, row by row, in the flattest grid that holds them all.
fn tiles(count: usize) -> Vec<Tile> {
    let count = i32::try_from(count).unwrap_or(i32::MAX).max(1);
    let columns = (1..)
        .find(|columns| columns * columns >= count)
        .unwrap_or(1);
    let rows = (count + columns - 1) / columns;
    let (width, height) = (
        (CANVAS.0 / columns) & !1,
        (CANVAS.1 / rows.max(columns)) & !1,
    );
    let top = ((CANVAS.1 - height * rows) / 2) & !1;
    (0..count)
        .map(|n| Tile {
            x: n % columns * width,
            y: top + n / columns * height,
            width,
            height,
        })
        .collect()
}

fn self_view_tile() -> Tile {
    let (width, height) = (CANVAS.0 / SELF_VIEW_DIVISOR, CANVAS.1 / SELF_VIEW_DIVISOR);
    let (x, y) = (
        CANVAS.0 - width - SELF_VIEW_MARGIN,
        CANVAS.1 - height - SELF_VIEW_MARGIN,
    );
    Tile {
        x,
        y,
        width,
        height,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use room::units::{FrameRate, Resolution};

    use super::*;
    use crate::camera_feed::raw_caps;

    /// Starts a playout, feeds everything that it shows, and waits for what the sink gets.
    fn picture_size_of(far_ends: u32, self_view: bool) -> (i32, i32) {
        gst::init().unwrap();
        let (inputs, _queue) = GraphInputs::new();
        let clock = MediaClock::start();
        let far_ends = (1..=far_ends).map(LegId).collect();
        let shape = VideoPlayoutShape {
            sink: VideoSink::None,
            far_ends,
            self_view,
        };
        let playout = VideoPlayout::start(&shape, |_| Duration::ZERO, &clock, &inputs).unwrap();
        let sink = playout
            .pipeline
            .gst()
            .iterate_sinks()
            .next()
            .unwrap()
            .unwrap();
        let (shown, pictures) = mpsc::channel();
        sink.static_pad("sink")
            .unwrap()
            .add_probe(gst::PadProbeType::BUFFER, move |pad, _| {
                let caps = pad.current_caps().unwrap();
                let caps = caps.structure(0).unwrap();
                let size = (
                    caps.get::<i32>("width").unwrap(),
                    caps.get::<i32>("height").unwrap(),
                );
                let _ = shown.send(size);
                gst::PadProbeReturn::Ok
            });
        let caps = raw_caps(Resolution::NHD360, FrameRate(30));
        let planes = vec![100; 640 * 360 * 3 / 2];
        let inlets: Vec<_> = playout.inlets.values().chain(&playout.self_view).collect();
        for _ in 0..5 {
            let mut buffer = gst::Buffer::from_slice(planes.clone());
            buffer.get_mut().unwrap().set_pts(clock.now());
            let sample = gst::Sample::builder().buffer(&buffer).caps(&caps).build();
            for inlet in &inlets {
                inlet.push_sample(&sample).unwrap();
            }
        }
        pictures
            .recv_timeout(Duration::from_secs(10))
            .expect("nothing is shown")
    }

    #[test]
    fn a_single_far_end_is_shown_as_it_comes_and_several_on_a_canvas() {
        assert_eq!(picture_size_of(1, false), (640, 360));
        assert_eq!(picture_size_of(2, false), CANVAS);
        assert_eq!(picture_size_of(1, true), CANVAS);
    }

    #[test]
    fn tiles_lie_on_the_canvas_and_never_overlap() {
        for count in 1..=16 {
            let tiles = tiles(count);
            assert_eq!(tiles.len(), count);
            for (n, a) in tiles.iter().enumerate() {
                assert!(a.x >= 0 && a.y >= 0 && a.width > 0 && a.height > 0);
                assert!(a.x + a.width <= CANVAS.0 && a.y + a.height <= CANVAS.1);
                for b in &tiles[n + 1..] {
                    let apart = a.x + a.width <= b.x
                        || b.x + b.width <= a.x
                        || a.y + a.height <= b.y
                        || b.y + b.height <= a.y;
                    assert!(apart, "{count}: {a:?} {b:?}");
                }
            }
        }
    }
}
