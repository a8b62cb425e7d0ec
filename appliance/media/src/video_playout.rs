//! From the legs' decoded pictures to the screen.
//!
//! ```text
//!  one picture:   leg ──► appsrc ──► [convert] ──► sink, in time
//!  several:       leg ──► appsrc ──┐
//!              slides ──► appsrc ──┼► compositor ──► [convert] ──► sink, in time
//!                 own ──► appsrc ──┘
//! ```
//!
//! Slides fill the canvas; the far ends then lie small in its lower corner.
//!
//! A change of layout, of the sink or of who is shown builds this pipeline anew. Legs and capture
//! do not notice.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gst::prelude::*;
use room::ids::LegId;
use room::media_plan::{VideoRole, VideoSink};

use crate::clock::MediaClock;
use crate::datagram::Medium;
use crate::error::MediaError;
use crate::graph_input::GraphInputs;
use crate::pipeline::{
    OwnedPipeline, PipelineId, PipelineRole, count_buffers, link, link_pads, live_source,
    make_element, min_latency, pad,
};
use crate::shape::VideoPlayoutShape;

/// What the sink itself needs to show a picture.
const SINK_TIME: gst::ClockTime = gst::ClockTime::from_mseconds(2);
/// Pictures that may wait to be shown; at 200 ms of delay, 60 fps still fit.
const QUEUE: u64 = 16;
/// How long the screen's sink may take to let go of its display.
const TEAR_DOWN_TIME: Duration = Duration::from_millis(300);
/// The canvas on which several pictures are arranged.
const CANVAS: (i32, i32) = (1280, 720);
/// A small picture's part of the canvas, as a divisor, and its distance from the edge and others.
const SMALL_DIVISOR: i32 = 4;
const SMALL_MARGIN: i32 = 24;
/// The far ends that are shown beside slides, one above the other.
const MOST_BESIDE_SLIDES: i32 = 3;

/// The running playout.
#[derive(Debug)]
pub(crate) struct VideoPlayout {
    pipeline: OwnedPipeline,
    inlets: HashMap<(LegId, VideoRole), gst_app::AppSrc>,
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
        let tiles = tiles(shape);
        let inlets = tiles
            .iter()
            .map(|&(leg, role, _)| {
                let name = format!("leg-{leg}-{}", Medium::of_video(role).name());
                Ok((
                    (leg, role),
                    pipeline.add(live_source(&name, QUEUE, delay(leg)))?,
                ))
            })
            .collect::<Result<HashMap<_, _>, MediaError>>()?;
        let self_view = match shape.self_view {
            true => Some(pipeline.add(live_source("self-view", QUEUE, Duration::ZERO))?),
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
        match (&self_view, tiles.as_slice()) {
            (None, [_]) => {
                let source = inlets.values().map(Cast::upcast_ref::<gst::Element>);
                link(&source.chain(tail).collect::<Vec<_>>())?;
            }
            (_, tiles) => {
                let canvas = canvas(&pipeline)?;
                link(&canvas.iter().chain(tail).collect::<Vec<_>>())?;
                for (layer, (leg, role, tile)) in (0..).zip(tiles) {
                    if let Some(inlet) = inlets.get(&(*leg, *role)) {
                        place(&canvas[0], inlet, *tile, layer)?;
                    }
                }
                if let Some(inlet) = &self_view {
                    let tile = match shape.slides {
                        None => corner(Corner::Right, 0),
                        // The right one has the far end.
                        Some(_) => corner(Corner::Left, 0),
                    };
                    place(&canvas[0], inlet, tile, u32::MAX)?;
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

    /// Ends it. A display is opened by one sink at a time, so that the next one waits for this.
    pub(crate) fn stop(self) {
        self.pipeline.end_within(TEAR_DOWN_TIME);
    }

    /// The pipeline's identity.
    pub(crate) fn id(&self) -> PipelineId {
        self.pipeline.id()
    }

    /// Pictures that reached the sink.
    pub(crate) fn shown(&self) -> u64 {
        self.shown.load(Ordering::Relaxed)
    }

    /// The pictures on the screen, by the legs that they come from.
    pub(crate) fn pictures(&self) -> impl Iterator<Item = (LegId, VideoRole)> {
        self.inlets.keys().copied()
    }

    /// The way in for a picture of a leg; `None` when it is not shown.
    pub(crate) fn inlet(&self, leg: LegId, role: VideoRole) -> Option<gst_app::AppSrc> {
        self.inlets.get(&(leg, role)).cloned()
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
        let inlets: Vec<_> = VideoRole::ALL
            .into_iter()
            .filter_map(|role| self.inlets.get(&(leg, role)))
            .collect();
        for inlet in &inlets {
            inlet.set_property("min-latency", min_latency(delay));
        }
        if !inlets.is_empty() {
            self.recalculate_latency();
        }
    }
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

/// What is shown where, from the lowest layer to the highest.
fn tiles(shape: &VideoPlayoutShape) -> Vec<(LegId, VideoRole, Tile)> {
    let far_ends = shape.far_ends.iter().map(|leg| (*leg, VideoRole::Main));
    let Some(slides) = shape.slides else {
        let tiles = grid(shape.far_ends.len());
        return far_ends
            .zip(tiles)
            .map(|((leg, role), tile)| (leg, role, tile))
            .collect();
    };
    let whole = Tile {
        x: 0,
        y: 0,
        width: CANVAS.0,
        height: CANVAS.1,
    };
    let small = (0..MOST_BESIDE_SLIDES).map(|place| corner(Corner::Right, place));
    let small = far_ends
        .zip(small)
        .map(|((leg, role), tile)| (leg, role, tile));
    std::iter::once((slides, VideoRole::Slides, whole))
        .chain(small)
        .collect()
}

/// Equally large tiles, row by row, in the flattest grid that holds them all.
fn grid(count: usize) -> Vec<Tile> {
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Corner {
    Left,
    Right,
}

/// A small tile at a lower corner, or above those of the places before it.
fn corner(corner: Corner, place: i32) -> Tile {
    let (width, height) = (CANVAS.0 / SMALL_DIVISOR, CANVAS.1 / SMALL_DIVISOR);
    let x = match corner {
        Corner::Left => SMALL_MARGIN,
        Corner::Right => CANVAS.0 - width - SMALL_MARGIN,
    };
    let y = CANVAS.1 - (height + SMALL_MARGIN) * (place + 1);
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
    fn picture_size_of(far_ends: u32, slides: Option<LegId>, self_view: bool) -> (i32, i32) {
        gst::init().unwrap();
        let (inputs, _queue) = GraphInputs::new();
        let clock = MediaClock::start();
        let far_ends = (1..=far_ends).map(LegId).collect();
        let shape = VideoPlayoutShape {
            sink: VideoSink::None,
            far_ends,
            slides,
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
    fn a_single_picture_is_shown_as_it_comes_and_several_on_a_canvas() {
        assert_eq!(picture_size_of(1, None, false), (640, 360));
        assert_eq!(picture_size_of(2, None, false), CANVAS);
        assert_eq!(picture_size_of(1, None, true), CANVAS);
        assert_eq!(picture_size_of(0, Some(LegId(1)), false), (640, 360));
        assert_eq!(picture_size_of(1, Some(LegId(1)), false), CANVAS);
    }

    #[test]
    fn tiles_lie_on_the_canvas_and_never_overlap() {
        for count in 1..=16 {
            let tiles = grid(count);
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

    #[test]
    fn slides_fill_the_canvas_and_far_ends_lie_on_it_beside_each_other() {
        let shape = VideoPlayoutShape {
            sink: VideoSink::None,
            far_ends: (1..=5).map(LegId).collect(),
            slides: Some(LegId(2)),
            self_view: true,
        };
        let tiles = tiles(&shape);
        let (leg, role, whole) = tiles[0];
        assert_eq!((leg, role), (LegId(2), VideoRole::Slides));
        assert_eq!((whole.width, whole.height), CANVAS);
        let mut small: Vec<Tile> = tiles[1..].iter().map(|(_, _, tile)| *tile).collect();
        assert_eq!(small.len(), 3);
        small.push(corner(Corner::Left, 0));
        for (n, a) in small.iter().enumerate() {
            assert!(a.x > 0 && a.y > 0);
            assert!(a.x + a.width < CANVAS.0 && a.y + a.height < CANVAS.1);
            for b in &small[n + 1..] {
                assert!(a.x != b.x || (a.y - b.y).abs() >= a.height);
            }
        }
    }
}
