//! From the legs' decoded sound to the loudspeaker.
//!
//! ```text
//!  leg ──► appsrc ──┐
//!  leg ──► appsrc ──┼► audiomixer ──► volume ──► [tap] ──► sink, in time
//!  tone ─► appsrc ──┘
//! ```
//!
//! The sink waits for the leg's playout delay: the leg's `appsrc` states it as its latency, less the
//! time that the mixer takes for itself. So sound leaves with its picture, which has no mixer.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gst::prelude::*;
use room::ids::LegId;
use room::media_plan::{AudioSink, Tone};
use room::units::Volume;
use tokio::sync::mpsc;

use crate::clock::MediaClock;
use crate::device::{AudioFrame, SAMPLE_RATE_HZ};
use crate::error::MediaError;
use crate::graph_input::GraphInputs;
use crate::loudspeaker_tap::LoudspeakerTap;
use crate::pipeline::{
    OwnedPipeline, PipelineId, PipelineRole, count_buffers, link, link_pads, live_source,
    min_latency, pad,
};
use crate::recording::{samples_of, sound_caps};
use crate::tone::ToneSamples;

/// What the mixer gives at a time.
const MIX: gst::ClockTime = gst::ClockTime::from_mseconds(10);
/// Sound that is this far from its time, for so long, is put where it belongs. The mixer would let
/// 40 ms pass for ever: what lip-sync asks for, and what a busy machine left behind.
const ALIGNMENT: gst::ClockTime = gst::ClockTime::from_mseconds(10);
const ALIGNMENT_WAIT: gst::ClockTime = gst::ClockTime::from_mseconds(200);
/// What the sink itself needs.
const SINK_TIME: gst::ClockTime = gst::ClockTime::from_mseconds(2);
/// Sound that may wait for the mixer, in buffers of 20 ms.
const QUEUE: u64 = 25;
/// A tone is made in pieces of this length, one ahead of what the mixer takes.
const TONE_PIECE: gst::ClockTime = gst::ClockTime::from_mseconds(100);

/// The running playout.
#[derive(Debug)]
pub(crate) struct AudioPlayout {
    pipeline: OwnedPipeline,
    mixer: gst::Element,
    volume: gst::Element,
    inputs: HashMap<LegId, MixerInput>,
    tone: Option<MixerInput>,
    tap: Arc<LoudspeakerTap>,
    played: Arc<AtomicU64>,
}

#[derive(Debug)]
struct MixerInput {
    inlet: gst_app::AppSrc,
    pad: gst::Pad,
}

impl AudioPlayout {
    /// Builds and starts the pipeline.
    pub(crate) fn start(
        sink: AudioSink,
        volume: Volume,
        simulated: Option<&mpsc::Sender<AudioFrame>>,
        tap: &Arc<LoudspeakerTap>,
        clock: &MediaClock,
        inputs: &GraphInputs,
    ) -> Result<Self, MediaError> {
        let pipeline = OwnedPipeline::starting_now(PipelineRole::AudioPlayout, clock, inputs);
        let mixer = pipeline.make("audiomixer", |b| {
            b.property("output-buffer-duration", MIX.nseconds())
                .property("alignment-threshold", ALIGNMENT.nseconds())
                .property("discont-wait", ALIGNMENT_WAIT.nseconds())
        })?;
        let volume_element =
            pipeline.make("volume", |b| b.property("volume", linear_volume(volume)))?;
        let caps = pipeline.make("capsfilter", |b| b.property("caps", sound_caps()))?;
        let sink = pipeline.add(sink_element(sink, simulated)?)?;
        link(&[&mixer, &caps, &volume_element, &sink])?;
        tap_pad(&volume_element, tap);
        let played = count_buffers(&pad(&sink, "sink")?);
        pipeline.play()?;
        let inputs = HashMap::new();
        let tap = Arc::clone(tap);
        Ok(Self {
            pipeline,
            mixer,
            volume: volume_element,
            inputs,
            tone: None,
            tap,
            played,
        })
    }

    /// The pipeline's identity.
    pub(crate) fn id(&self) -> PipelineId {
        self.pipeline.id()
    }

    /// Stretches of sound that reached the sink.
    pub(crate) fn played(&self) -> u64 {
        self.played.load(Ordering::Relaxed)
    }

    /// Lets the sink wait as long as the legs now need.
    pub(crate) fn recalculate_latency(&self) {
        self.pipeline.recalculate_latency();
    }

    /// Sets the volume.
    pub(crate) fn set_volume(&self, volume: Volume) {
        self.volume.set_property("volume", linear_volume(volume));
    }

    /// A leg is heard. Gives the way in.
    pub(crate) fn add_leg(
        &mut self,
        leg: LegId,
        delay: Duration,
    ) -> Result<gst_app::AppSrc, MediaError> {
        self.remove_leg(leg);
        let inlet = self.pipeline.add(live_source(
            &format!("leg-{leg}"),
            QUEUE,
            inlet_latency(delay),
        ))?;
        inlet.set_caps(Some(&sound_caps()));
        self.pipeline.adopt_time(&inlet);
        let input = self.mix(inlet.clone())?;
        self.inputs.insert(leg, input);
        self.recalculate_latency();
        Ok(inlet)
    }

    /// Connects an inlet with the mixer.
    fn mix(&self, inlet: gst_app::AppSrc) -> Result<MixerInput, MediaError> {
        let refused = || MediaError::Link {
            what: format!("{} and the mixer", inlet.name()),
        };
        let pad = self
            .mixer
            .request_pad_simple("sink_%u")
            .ok_or_else(refused)?;
        let source = inlet.static_pad("src").ok_or_else(refused)?;
        link_pads(&source, &pad)?;
        inlet.sync_state_with_parent().map_err(|_| refused())?;
        Ok(MixerInput { inlet, pad })
    }

    /// Takes an inlet out. The mixer lets go of it first: a piece of sound that waits there would
    /// keep the inlet's thread.
    fn unmix(&self, MixerInput { inlet, pad }: MixerInput) {
        self.pipeline.retire(inlet.upcast_ref());
        self.mixer.release_request_pad(&pad);
        self.pipeline.remove(inlet.upcast_ref());
    }

    /// Plays a tone from its begin, or none.
    pub(crate) fn set_tone(&mut self, tone: Option<Tone>) -> Result<(), MediaError> {
        if let Some(before) = self.tone.take() {
            self.unmix(before);
        }
        if let Some(tone) = tone {
            let begin = self.pipeline.gst().current_running_time();
            let inlet = tone_inlet(tone, begin.unwrap_or(gst::ClockTime::ZERO));
            let inlet = self.pipeline.add(inlet)?;
            self.tone = Some(self.mix(inlet)?);
        }
        self.recalculate_latency();
        Ok(())
    }

    /// A leg is heard no more.
    pub(crate) fn remove_leg(&mut self, leg: LegId) {
        if let Some(input) = self.inputs.remove(&leg) {
            self.unmix(input);
        }
    }

    /// A leg's sound is held for another time.
    pub(crate) fn set_delay(&self, leg: LegId, delay: Duration) {
        if let Some(input) = self.inputs.get(&leg) {
            input
                .inlet
                .set_property("min-latency", min_latency(inlet_latency(delay)));
            self.recalculate_latency();
        }
    }
}

impl Drop for AudioPlayout {
    fn drop(&mut self) {
        self.tap.clear();
    }
}

/// A source that makes the next piece of a tone whenever the mixer has taken one.
fn tone_inlet(tone: Tone, begin: gst::ClockTime) -> gst_app::AppSrc {
    let mut samples = ToneSamples::new(tone);
    let mut at = begin;
    let piece = (TONE_PIECE.mseconds() * u64::from(SAMPLE_RATE_HZ) / 1_000) as usize;
    gst_app::AppSrc::builder()
        .name(format!("tone-{tone:?}"))
        .caps(&sound_caps())
        .format(gst::Format::Time)
        .is_live(true)
        .min_latency(0)
        .max_buffers(1)
        .max_bytes(0)
        .callbacks(
            gst_app::AppSrcCallbacks::builder()
                .need_data(move |inlet, _| {
                    let bytes: Vec<u8> = samples
                        .by_ref()
                        .take(piece)
                        .flat_map(i16::to_le_bytes)
                        .collect();
                    let mut sound = gst::Buffer::from_mut_slice(bytes);
                    if let Some(sound) = sound.get_mut() {
                        sound.set_pts(at);
                        sound.set_duration(TONE_PIECE);
                    }
                    at += TONE_PIECE;
                    // Refused only while the tone is being taken out.
                    let _ = inlet.push_buffer(sound);
                })
                .build(),
        )
        .build()
}

/// What the inlet of a leg adds, so that sound is held for `delay` in all.
fn inlet_latency(delay: Duration) -> Duration {
    delay.saturating_sub(MIX.into())
}

/// Percent to amplitude. The ear hears proportions: a cube comes close, as in other players.
fn linear_volume(volume: Volume) -> f64 {
    (f64::from(volume.as_percent()) / 100.0).powi(3)
}

fn sink_element(
    sink: AudioSink,
    simulated: Option<&mpsc::Sender<AudioFrame>>,
) -> Result<gst::Element, MediaError> {
    match (sink, simulated) {
        (AudioSink::Loudspeaker, _) => crate::pipeline::make_element("autoaudiosink", |b| b),
        (AudioSink::Simulated, Some(frames)) => Ok(simulated_sink(frames.clone()).upcast()),
        (AudioSink::Simulated | AudioSink::None, _) => {
            crate::pipeline::make_element("fakesink", |b| {
                b.property("sync", true)
                    .property("async", false)
                    .property("enable-last-sample", false)
                    .property("processing-deadline", SINK_TIME)
            })
        }
    }
}

fn simulated_sink(frames: mpsc::Sender<AudioFrame>) -> gst_app::AppSink {
    let sink = gst_app::AppSink::builder()
        .sync(true)
        .max_buffers(1)
        .build();
    sink.set_property("async", false);
    sink.set_property("enable-last-sample", false);
    sink.set_property("processing-deadline", SINK_TIME);
    sink.set_callbacks(
        gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                if let Some(samples) = sample.buffer().and_then(samples_of) {
                    // The sink has waited until the sound is due. Full: nobody listens, as with a
                    // loudspeaker that is unplugged.
                    let _ = frames.try_send(AudioFrame {
                        captured: Instant::now(),
                        samples,
                    });
                }
                Ok(gst::FlowSuccess::Ok)
            })
            .build(),
    );
    sink
}

/// Copies everything that leaves the volume to the tap.
fn tap_pad(volume: &gst::Element, tap: &Arc<LoudspeakerTap>) {
    let Some(pad) = volume.static_pad("src") else {
        return;
    };
    let tap = Arc::clone(tap);
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(bytes) = info.buffer().and_then(|buffer| buffer.map_readable().ok()) {
            let pairs = bytes.chunks_exact(2);
            let samples: Vec<i16> = pairs
                .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
                .collect();
            tap.put(&samples);
        }
        gst::PadProbeReturn::Ok
    });
}
