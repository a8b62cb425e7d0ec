//! The room's sound, encoded once for all legs that take it alike.
//!
//! ```text
//!  microphone stage ──► appsrc ──► [resample] ──► encoder ──► appsink ──► fan-out
//! ```
//!
//! Legs differ in codec, in bitrate, and in the loss that the sound has to bear: each [`AudioFormat`] that is wanted
//! is a pipeline of its own, as a rung of the camera is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gst::prelude::*;
use room::codec::AudioCodec;
use room::units::Bitrate;

use crate::audio_fan_out::{AudioFanOut, AudioInlet};
use crate::clock::MediaClock;
use crate::encoded_sink::encoded_sink;
use crate::error::MediaError;
use crate::graph_input::GraphInputs;
use crate::pipeline::{OwnedPipeline, PipelineId, PipelineRole, link, live_source};
use crate::recording::sound_caps;

/// What Opus is given: steps, so that legs share encodes. Below the least, speech is hard to follow, whatever a peer
/// asks for; the most is transparent speech with room for in-band FEC.
const OPUS_BITRATES: [Bitrate; 4] = [
    Bitrate::kbps(12),
    Bitrate::kbps(16),
    Bitrate::kbps(24),
    Bitrate::kbps(40),
];
/// How hard Opus searches, 0 to 10: less than its default of 10, for less work.
const OPUS_COMPLEXITY: i32 = 5;
/// Sound that may wait for an encoder, in buffers of 20 ms.
const QUEUE: u64 = 5;

/// From this part of packets lost on, in-band FEC prepares for much loss,
const MUCH_LOSS: f64 = 0.075;
/// and up to this one for little,
const LITTLE_LOSS: f64 = 0.05;
/// once it has been so for this long.
const CALM: Duration = Duration::from_secs(10);

/// What sound is encoded as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum AudioFormat {
    Opus {
        bitrate: Bitrate,
        loss: ExpectedLoss,
    },
    G722,
    Pcmu,
    Pcma,
}

/// The loss that in-band FEC of Opus prepares for. Two steps, so that legs share encodes: from a quarter on, Opus
/// makes no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ExpectedLoss {
    /// Some at all times: the first loss comes before its report.
    Little,
    Much,
}

impl ExpectedLoss {
    const fn percent(self) -> i32 {
        match self {
            Self::Little => 5,
            Self::Much => 25,
        }
    }
}

impl AudioFormat {
    /// What a peer of this codec gets that takes so much, on a network that loses so much.
    pub(crate) fn new(codec: AudioCodec, most: Option<Bitrate>, loss: ExpectedLoss) -> Self {
        match codec {
            AudioCodec::Opus => {
                let fits = |bitrate: &&Bitrate| most.is_none_or(|most| **bitrate <= most);
                let bitrate = OPUS_BITRATES.iter().rev().find(fits);
                Self::Opus {
                    bitrate: *bitrate.unwrap_or(&OPUS_BITRATES[0]),
                    loss,
                }
            }
            AudioCodec::G722 => Self::G722,
            AudioCodec::Pcmu => Self::Pcmu,
            AudioCodec::Pcma => Self::Pcma,
        }
    }

    /// For the names of pipelines.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Opus { .. } => AudioCodec::Opus.encoding_name(),
            Self::G722 => AudioCodec::G722.encoding_name(),
            Self::Pcmu => AudioCodec::Pcmu.encoding_name(),
            Self::Pcma => AudioCodec::Pcma.encoding_name(),
        }
    }

    /// The sampling rate that the encoder wants; `None` where it is ours.
    const fn encoder_rate(self) -> Option<i32> {
        match self {
            Self::Opus { .. } => None,
            Self::G722 => Some(16_000),
            Self::Pcmu | Self::Pcma => Some(8_000),
        }
    }

    /// How much later than its input an encoder's output sounds, where it is worth counting.
    const fn encoder_latency(self) -> gst::ClockTime {
        match self {
            // The look-ahead of its speech modes (RFC 6716 section 2): 312 samples.
            Self::Opus { .. } => gst::ClockTime::from_useconds(6_500),
            Self::G722 | Self::Pcmu | Self::Pcma => gst::ClockTime::ZERO,
        }
    }

    fn encoder(self, pipeline: &OwnedPipeline) -> Result<gst::Element, MediaError> {
        match self {
            Self::Opus { bitrate, loss } => pipeline.make("opusenc", |b| {
                b.property("bitrate", bitrate.as_bps() as i32)
                    .property("complexity", OPUS_COMPLEXITY)
                    .property("inband-fec", true)
                    .property("packet-loss-percentage", loss.percent())
                    .property_from_str("audio-type", "voice")
                    .property_from_str("frame-size", "20")
            }),
            Self::G722 => pipeline.make("avenc_g722", |b| b),
            Self::Pcmu => pipeline.make("mulawenc", |b| b),
            Self::Pcma => pipeline.make("alawenc", |b| b),
        }
    }
}

/// The loss that a leg's sound is made for, by what its peer reports: more at once, less after a while.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LossToBear {
    /// When much was reported last; `None` where that is long ago.
    much: Option<Instant>,
}

impl LossToBear {
    /// The peer reports that it has lost this part, 0 to 1.
    pub(crate) fn reported(&mut self, now: Instant, lost: f64) {
        let is_much = lost >= MUCH_LOSS || (lost > LITTLE_LOSS && self.much.is_some());
        let is_calm = |since: Instant| now.saturating_duration_since(since) >= CALM;
        if is_much {
            self.much = Some(now);
        } else if self.much.is_some_and(is_calm) {
            self.much = None;
        }
    }

    pub(crate) fn expected(&self) -> ExpectedLoss {
        match self.much {
            Some(_) => ExpectedLoss::Much,
            None => ExpectedLoss::Little,
        }
    }
}

/// One encode of the room's sound at work.
#[derive(Debug)]
pub(crate) struct AudioEncode {
    format: AudioFormat,
    pipeline: OwnedPipeline,
    inlet: Arc<AudioInlet>,
    /// Encoded packets.
    encoded: Arc<AtomicU64>,
}

impl AudioEncode {
    /// Builds the pipeline and starts it. It waits for its first sound.
    ///
    /// # Errors
    /// An element is missing.
    pub(crate) fn start(
        format: AudioFormat,
        fan_out: &Arc<AudioFanOut>,
        clock: &MediaClock,
        inputs: &GraphInputs,
    ) -> Result<Self, MediaError> {
        let pipeline = OwnedPipeline::new(PipelineRole::AudioEncode(format), clock, inputs);
        let source = pipeline.add(live_source("sound", QUEUE, Duration::ZERO))?;
        source.set_caps(Some(&sound_caps()));
        stamp_earlier(&source, format.encoder_latency());
        let encoder = format.encoder(&pipeline)?;
        let encoded = Arc::new(AtomicU64::new(0));
        let (to_legs, id) = (Arc::clone(fan_out), pipeline.id());
        let sink = encoded_sink(&encoded, move |sound| to_legs.hand(id, sound));
        let sink = pipeline.add(sink)?;
        match format.encoder_rate() {
            None => link(&[source.upcast_ref(), &encoder, sink.upcast_ref()])?,
            Some(rate) => {
                let resample = pipeline.make("audioresample", |b| b)?;
                let caps = gst::Caps::builder("audio/x-raw")
                    .field("rate", rate)
                    .build();
                let caps = pipeline.make("capsfilter", |b| b.property("caps", caps))?;
                link(&[
                    source.upcast_ref(),
                    &resample,
                    &caps,
                    &encoder,
                    sink.upcast_ref(),
                ])?;
            }
        }
        pipeline.play()?;
        let inlet = Arc::new(AudioInlet::new(pipeline.id(), source));
        Ok(Self {
            format,
            pipeline,
            inlet,
            encoded,
        })
    }

    /// The pipeline's identity.
    pub(crate) fn id(&self) -> PipelineId {
        self.pipeline.id()
    }

    /// What it encodes to.
    pub(crate) fn format(&self) -> AudioFormat {
        self.format
    }

    /// Where sound enters.
    pub(crate) fn inlet(&self) -> &Arc<AudioInlet> {
        &self.inlet
    }

    /// How many packets were encoded.
    pub(crate) fn encoded(&self) -> u64 {
        self.encoded.load(Ordering::Relaxed)
    }
}

/// Takes an encoder's latency off the timestamps: what comes out was said that much earlier, and
/// far ends put lips and words together by it.
fn stamp_earlier(inlet: &gst_app::AppSrc, latency: gst::ClockTime) {
    if let Some(pad) = inlet.static_pad("src") {
        pad.set_offset(-(latency.nseconds() as i64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opus_keeps_to_what_the_peer_takes_as_far_as_speech_bears_it() {
        for (most, kbps) in [
            (None, 40),
            (Some(Bitrate::kbps(24)), 24),
            (Some(Bitrate::kbps(25)), 24),
            (Some(Bitrate::kbps(39)), 24),
            (Some(Bitrate::kbps(128)), 40),
            (Some(Bitrate::bps(0)), 12),
            (Some(Bitrate::bps(u64::MAX)), 40),
        ] {
            let bitrate = Bitrate::kbps(kbps);
            let loss = ExpectedLoss::Little;
            let format = AudioFormat::new(AudioCodec::Opus, most, loss);
            assert_eq!(format, AudioFormat::Opus { bitrate, loss }, "{most:?}");
        }
    }

    #[test]
    fn legs_without_a_choice_of_bitrate_and_loss_share_an_encode() {
        let format = |most, loss| AudioFormat::new(AudioCodec::G722, most, loss);
        let other = format(Some(Bitrate::kbps(16)), ExpectedLoss::Much);
        assert_eq!(format(None, ExpectedLoss::Little), other);
    }

    #[test]
    fn much_loss_is_prepared_for_at_once_and_until_it_has_been_calm_for_a_while() {
        use ExpectedLoss::{Little, Much};
        let (start, mut loss) = (Instant::now(), LossToBear::default());
        for (second, lost, expected) in [
            (0, 0.07, Little),
            (1, 0.08, Much),
            // Neither much nor little: it stays as it is, and the wait begins anew.
            (5, 0.06, Much),
            (14, 0.0, Much),
            (15, 0.05, Little),
            (16, 0.06, Little),
        ] {
            loss.reported(start + Duration::from_secs(second), lost);
            assert_eq!(loss.expected(), expected, "second {second}");
        }
    }
}
