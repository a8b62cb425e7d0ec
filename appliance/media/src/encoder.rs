//! The H.264 encoder: the first that proves that it works, and how each kind is configured.
//!
//! A registry lists encoders whose hardware is absent, busy or broken. So each candidate, best
//! first, encodes ten pictures when the process starts; the first that gives them back in time is
//! taken. When it fails later, it is struck off and the next one takes over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use gst::prelude::*;
use room::codec::PacketizationMode;
use room::media_plan::Rung;
use room::units::{Bitrate, FrameRate, Resolution};

use crate::error::MediaError;
use crate::pipeline::{link, make_element, stop_in_background};

/// Pictures of the self-test.
const TEST_PICTURES: u32 = 10;
/// How long the self-test of one encoder may take.
const TEST_TIME: Duration = Duration::from_secs(3);
/// How much of what a keyframe may take at most the first one may take that somebody waits for: what it lacks the next
/// pictures bring.
const FIRST_KEYFRAME_SHARE: f32 = 0.4;
/// Frames between keyframes that nobody asked for.
const KEYFRAME_DISTANCE: u32 = 300;

/// The encoders that are known, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum EncoderKind {
    Mpp,
    Va,
    Nv,
    Qsv,
    V4l2,
    X264,
    OpenH264,
}

impl EncoderKind {
    const ALL: [Self; 7] = [
        Self::Mpp,
        Self::Va,
        Self::Nv,
        Self::Qsv,
        Self::V4l2,
        Self::X264,
        Self::OpenH264,
    ];

    /// The GStreamer factory.
    pub(crate) const fn factory(self) -> &'static str {
        match self {
            Self::Mpp => "mpph264enc",
            Self::Va => "vah264enc",
            Self::Nv => "nvh264enc",
            Self::Qsv => "qsvh264enc",
            Self::V4l2 => "v4l2h264enc",
            Self::X264 => "x264enc",
            Self::OpenH264 => "openh264enc",
        }
    }

    /// Whether it can hold NAL units to a size, which packetization mode 0 needs.
    const fn limits_nal_units(self) -> bool {
        match self {
            Self::X264 => true,
            Self::Mpp | Self::Va | Self::Nv | Self::Qsv | Self::V4l2 | Self::OpenH264 => false,
        }
    }

    /// Makes a configured encoder.
    pub(crate) fn make(self, rung: &Rung) -> Result<gst::Element, MediaError> {
        let encoder = make_element(self.factory(), |builder| builder)?;
        match self {
            Self::X264 => configure_x264(&encoder, rung),
            Self::OpenH264 => {
                set(&encoder, "complexity", "low");
                set(&encoder, "usage-type", "camera");
                set(&encoder, "rate-control", "bitrate");
                set(&encoder, "gop-size", &KEYFRAME_DISTANCE.to_string());
                set(&encoder, "multi-thread", "1");
            }
            Self::Va | Self::Qsv => {
                set(&encoder, "rate-control", "cbr");
                set(&encoder, "b-frames", "0");
                set(&encoder, "key-int-max", &KEYFRAME_DISTANCE.to_string());
                set(&encoder, "gop-size", &KEYFRAME_DISTANCE.to_string());
            }
            Self::Nv => {
                set(&encoder, "rc-mode", "cbr");
                set(&encoder, "bframes", "0");
                set(&encoder, "zerolatency", "true");
                set(&encoder, "gop-size", &KEYFRAME_DISTANCE.to_string());
            }
            Self::Mpp => {
                set(&encoder, "rc-mode", "cbr");
                set(&encoder, "gop", &KEYFRAME_DISTANCE.to_string());
            }
            Self::V4l2 => {}
        }
        self.set_bitrate(&encoder, rung.bitrate);
        Ok(encoder)
    }

    /// Lets the first keyframe of an encoder that does not run yet be small, where that can be set.
    pub(crate) fn begin_small(self, encoder: &gst::Element, rung: &Rung) {
        match self {
            Self::X264 => {
                let mut options = x264_options(rung);
                options.push(format!("vbv-init={FIRST_KEYFRAME_SHARE}"));
                set(encoder, "option-string", &options.join(":"));
            }
            Self::Mpp | Self::Va | Self::Nv | Self::Qsv | Self::V4l2 | Self::OpenH264 => {}
        }
    }

    /// Changes the target of a running encoder.
    pub(crate) fn set_bitrate(self, encoder: &gst::Element, bitrate: Bitrate) {
        let bits = bitrate.as_bps().clamp(16_000, u64::from(u32::MAX / 2));
        match self {
            Self::X264 | Self::Va | Self::Nv | Self::Qsv => {
                set(encoder, "bitrate", &(bits / 1_000).to_string());
            }
            Self::OpenH264 => {
                // The bound first: the encoder refuses a target above it.
                set(encoder, "max-bitrate", &(bits + bits / 4).to_string());
                set(encoder, "bitrate", &bits.to_string());
            }
            Self::Mpp => set(encoder, "bps", &bits.to_string()),
            Self::V4l2 => {
                set(
                    encoder,
                    "extra-controls",
                    &format!("controls,video_bitrate={bits}"),
                );
            }
        }
    }
}

/// Sets a property where this version of the element has it: encoder elements gain and lose
/// properties between GStreamer versions, and a missing one only costs its effect.
fn set(element: &gst::Element, property: &str, value: &str) {
    if element.has_property(property) {
        element.set_property_from_str(property, value);
    }
}

fn configure_x264(encoder: &gst::Element, rung: &Rung) {
    set(encoder, "speed-preset", "ultrafast");
    // Without it the encoder looks ahead: +130 ms.
    set(encoder, "tune", "zerolatency");
    set(encoder, "key-int-max", &KEYFRAME_DISTANCE.to_string());
    set(encoder, "byte-stream", "true");
    // One thread encodes 720p in 3 to 4 ms; more threads cost more in all and cut slices that
    // nobody asked for. 1080p needs a second one to stay within half a frame.
    let threads = if rung.resolution.macroblocks() > 3_600 {
        "2"
    } else {
        "1"
    };
    set(encoder, "threads", threads);
    // A keyframe may use what the encoder saved for so long: more would queue up in the network.
    set(encoder, "vbv-buf-capacity", "300");
    set(encoder, "option-string", &x264_options(rung).join(":"));
}

/// What x264 has no properties for.
fn x264_options(rung: &Rung) -> Vec<String> {
    let largest = rung.max_nal_unit;
    let largest = largest.map(|bytes| format!("slice-max-size={bytes}"));
    largest.into_iter().collect()
}

/// The encoders that passed, best first.
#[derive(Clone, Debug)]
pub(crate) struct Encoders {
    working: Vec<EncoderKind>,
}

impl Encoders {
    /// Tests candidates until one works. The others stay in reserve, untested.
    pub(crate) fn choose() -> Result<Self, MediaError> {
        let mut tried = Vec::new();
        for (index, kind) in EncoderKind::ALL.into_iter().enumerate() {
            if gst::ElementFactory::find(kind.factory()).is_none() {
                continue;
            }
            match self_test(kind) {
                Ok(time) => {
                    tracing::info!(encoder = kind.factory(), ?time, "encoder passed its test");
                    return Ok(Self {
                        working: EncoderKind::ALL[index..].to_vec(),
                    });
                }
                Err(why) => {
                    tracing::warn!(encoder = kind.factory(), why, "encoder failed its test");
                    tried.push(format!("{} ({why})", kind.factory()));
                }
            }
        }
        Err(no_encoder(&tried))
    }

    /// The best encoder for a rung.
    pub(crate) fn best_for(&self, rung: &Rung) -> Result<EncoderKind, MediaError> {
        let there = |kind: &EncoderKind| gst::ElementFactory::find(kind.factory()).is_some();
        let mut working = self.working.iter().copied().filter(there);
        let best = working.clone().next().ok_or_else(|| no_encoder(&[]))?;
        let needs_limit = rung.max_nal_unit.is_some();
        Ok(working
            .find(|kind| kind.limits_nal_units() || !needs_limit)
            .unwrap_or(best))
    }

    /// How a stream of these encoders may be cut into packets (RFC 6184 section 6).
    pub(crate) fn packetization_modes(&self) -> Vec<PacketizationMode> {
        let there = |kind: &EncoderKind| gst::ElementFactory::find(kind.factory()).is_some();
        let mut working = self.working.iter().copied().filter(there);
        let mut modes = vec![PacketizationMode::NonInterleaved];
        if working.any(EncoderKind::limits_nal_units) {
            modes.push(PacketizationMode::SingleNalUnit);
        }
        modes
    }

    /// An encoder failed while it was needed: the next one takes its place, unless it is the last.
    pub(crate) fn strike_off(&mut self, kind: EncoderKind) {
        if self.working.len() > 1 {
            self.working.retain(|&other| other != kind);
        }
    }
}

fn no_encoder(tried: &[String]) -> MediaError {
    let tried = if tried.is_empty() {
        "none is installed".to_owned()
    } else {
        tried.join(", ")
    };
    MediaError::NoEncoder { tried }
}

/// Encodes ten pictures. Gives the time it took, or why the encoder is of no use.
fn self_test(kind: EncoderKind) -> Result<Duration, String> {
    let started = Instant::now();
    let pipeline = gst::Pipeline::new();
    let encoded = Arc::new(AtomicU32::new(0));
    let result = run_self_test(kind, &pipeline, &encoded);
    // In the background: an encoder that hangs would hang here as well.
    stop_in_background(pipeline, || {});
    result?;
    match encoded.load(Ordering::Relaxed) {
        TEST_PICTURES => Ok(started.elapsed()),
        other => Err(format!("{other} of {TEST_PICTURES} pictures came out")),
    }
}

fn run_self_test(
    kind: EncoderKind,
    pipeline: &gst::Pipeline,
    encoded: &Arc<AtomicU32>,
) -> Result<(), String> {
    let rung = Rung {
        resolution: Resolution::NHD360,
        frame_rate: FrameRate(30),
        bitrate: Bitrate::kbps(500),
        max_nal_unit: None,
    };
    let text = |error: MediaError| error.to_string();
    let source = make_element("videotestsrc", |b| {
        b.property("num-buffers", TEST_PICTURES as i32)
            .property_from_str("pattern", "black")
    })
    .map_err(text)?;
    let caps = gst_video::VideoCapsBuilder::new()
        .format(gst_video::VideoFormat::I420)
        .width(rung.resolution.width as i32)
        .height(rung.resolution.height as i32)
        .framerate(gst::Fraction::new(rung.frame_rate.0 as i32, 1))
        .build();
    let filter = make_element("capsfilter", |b| b.property("caps", caps)).map_err(text)?;
    let encoder = kind.make(&rung).map_err(text)?;
    let parser = make_element("h264parse", |b| b).map_err(text)?;
    let sink = gst_app::AppSink::builder().sync(false).build();
    let count = Arc::clone(encoded);
    sink.set_callbacks(
        gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                count.fetch_add(1, Ordering::Relaxed);
                Ok(gst::FlowSuccess::Ok)
            })
            .build(),
    );
    let chain = [&source, &filter, &encoder, &parser, sink.upcast_ref()];
    pipeline
        .add_many(chain)
        .map_err(|error| error.to_string())?;
    link(&chain).map_err(text)?;
    pipeline
        .set_state(gst::State::Playing)
        .map_err(|_| "it does not start".to_owned())?;
    let bus = pipeline.bus().ok_or("no bus")?;
    let wait = gst::ClockTime::from_mseconds(TEST_TIME.as_millis() as u64);
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    match bus
        .timed_pop_filtered(wait, &ends)
        .as_ref()
        .map(|message| message.view())
    {
        None => Err(format!("not done within {TEST_TIME:?}")),
        Some(gst::MessageView::Error(error)) => Err(error.error().to_string()),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rung(max_nal_unit: Option<u32>) -> Rung {
        Rung {
            resolution: Resolution::HD720,
            frame_rate: FrameRate(30),
            bitrate: Bitrate::kbps(1_500),
            max_nal_unit,
        }
    }

    #[test]
    fn an_encoder_that_works_is_chosen_and_the_next_follows_when_it_is_struck_off() {
        gst::init().unwrap();
        let mut encoders = Encoders::choose().unwrap();
        let first = encoders.best_for(&rung(None)).unwrap();
        self_test(first).unwrap();
        encoders.strike_off(first);
        assert_ne!(encoders.best_for(&rung(None)).unwrap(), first);
    }

    #[test]
    fn an_encoder_whose_element_is_missing_or_idle_fails_its_test() {
        gst::init().unwrap();
        if gst::ElementFactory::find(EncoderKind::Mpp.factory()).is_none() {
            assert!(self_test(EncoderKind::Mpp).is_err());
        }
    }

    #[test]
    fn small_nal_units_are_left_to_an_encoder_that_can_cut_them() {
        gst::init().unwrap();
        let encoders = Encoders {
            working: vec![EncoderKind::OpenH264, EncoderKind::X264],
        };
        assert_eq!(
            encoders.best_for(&rung(None)).unwrap(),
            EncoderKind::OpenH264
        );
        assert_eq!(
            encoders.best_for(&rung(Some(1_100))).unwrap(),
            EncoderKind::X264
        );
        let modes = [
            PacketizationMode::NonInterleaved,
            PacketizationMode::SingleNalUnit,
        ];
        assert_eq!(encoders.packetization_modes(), modes);
    }

    #[test]
    fn the_mode_without_fragments_is_not_offered_where_no_encoder_cuts_small_nal_units() {
        gst::init().unwrap();
        let encoders = Encoders {
            working: vec![EncoderKind::OpenH264],
        };
        let modes = [PacketizationMode::NonInterleaved];
        assert_eq!(encoders.packetization_modes(), modes);
    }

    #[test]
    fn every_installed_encoder_takes_its_configuration_and_a_new_bitrate() {
        gst::init().unwrap();
        for kind in [EncoderKind::X264, EncoderKind::OpenH264] {
            let encoder = kind.make(&rung(None)).unwrap();
            kind.set_bitrate(&encoder, Bitrate::kbps(700));
            let value = encoder.property::<u32>("bitrate");
            assert!(value == 700 || value == 700_000, "{value}");
        }
    }
}
