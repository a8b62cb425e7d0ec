//! The front end for one microphone: `sonora`, a Rust port of WebRTC's audio processing.
//!
//! Chain: high-pass filter -> AEC3 (delay search, linear canceller, residual suppressor) -> noise
//! suppression -> adaptive gain -> limiter, at 48 kHz all the way.
//!
//! It hides echo well, but takes 3 to 6 dB from the near end in double talk, and it knows only one
//! microphone: further ones are ignored. It adds 9 ms, or 15 ms with noise suppression. The library
//! allocates some small scratch blocks for each frame and frees them again, so it belongs on a
//! thread of its own, never into a device callback.

use std::time::Duration;

use sonora::config::{
    AdaptiveDigital, EchoCanceller, GainController2, HighPassFilter, MaxProcessingRate,
    NoiseSuppression, NoiseSuppressionLevel, Pipeline,
};
use sonora::{AudioProcessing, Config, StreamConfig};

use crate::frame::{FRAME_SAMPLES, Frame, SAMPLE_RATE_HZ, bounded, copy_bounded};
use crate::front_end::{EchoReport, FrontEnd};

/// What the library's filter banks hold back: 428 samples.
const FILTER_BANK_LATENCY: Duration = Duration::from_micros(8_917);
/// What its noise suppression holds back besides: 288 samples.
const NOISE_REDUCTION_LATENCY: Duration = Duration::from_millis(6);

/// Quiet talkers are raised by no more than this, so that an empty room does not roar.
const MAX_GAIN_DB: f32 = 24.0;
/// Where the gain starts: little, so that the first word is not shouted.
const INITIAL_GAIN_DB: f32 = 3.0;

/// How much steady noise is taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoiseReduction {
    /// None.
    Off,
    /// About 12 dB.
    #[default]
    Moderate,
    /// About 18 dB.
    High,
}

/// Whether the level of the talker is evened out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutomaticGain {
    /// The level stays as the microphone gives it; the limiter still works.
    Off,
    /// Near and far talkers come out about equally loud.
    #[default]
    On,
}

/// What a [`SonoraFrontEnd`] does besides echo control, which is always on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SonoraSettings {
    /// Noise suppression.
    pub noise_reduction: NoiseReduction,
    /// Gain control.
    pub automatic_gain: AutomaticGain,
}

/// Echo control, noise suppression and gain for one microphone. See the module's documentation.
pub struct SonoraFrontEnd {
    settings: SonoraSettings,
    processing: AudioProcessing,
    microphone: Frame,
    reference: Frame,
    /// The library hands the reference back; nobody needs it.
    unused_reference: Frame,
}

impl SonoraFrontEnd {
    /// A front end that has heard nothing yet. The echo is found within about a second of far-end
    /// sound.
    #[must_use]
    pub fn new(settings: SonoraSettings) -> Self {
        Self {
            settings,
            processing: build(settings),
            microphone: [0.0; FRAME_SAMPLES],
            reference: [0.0; FRAME_SAMPLES],
            unused_reference: [0.0; FRAME_SAMPLES],
        }
    }

    /// Runs the library over the frames that were put into `self`.
    fn run(&mut self, out: &mut Frame) {
        // The formats never change, so the library has no reason to refuse; were it to, silence is
        // the one answer that cannot carry echo.
        let processed = self
            .processing
            .process_render_f32(&[&self.reference], &mut [&mut self.unused_reference])
            .and_then(|()| {
                self.processing
                    .process_capture_f32(&[&self.microphone], &mut [&mut out[..]])
            });
        if processed.is_err() {
            out.fill(0.0);
        }
    }
}

impl FrontEnd for SonoraFrontEnd {
    fn process(&mut self, microphones: &[&Frame], references: &[&Frame], out: &mut Frame) {
        match microphones.first() {
            Some(microphone) => copy_bounded(microphone, &mut self.microphone),
            None => self.microphone.fill(0.0),
        }
        mix(references, &mut self.reference);
        self.run(out);
        if microphones.is_empty() {
            // The canceller had to hear the reference to stay aligned, but the comfort noise that
            // it makes must not stand in for a room that nobody is listening to.
            out.fill(0.0);
        }
        if out.iter().any(|sample| !sample.is_finite()) {
            // Bounded input should never get here. A poisoned filter cannot heal, a new one can.
            self.processing = build(self.settings);
            out.fill(0.0);
        }
        for sample in out {
            *sample = sample.clamp(-1.0, 1.0);
        }
    }

    fn latency(&self) -> Duration {
        match self.settings.noise_reduction {
            NoiseReduction::Off => FILTER_BANK_LATENCY,
            NoiseReduction::Moderate | NoiseReduction::High => {
                FILTER_BANK_LATENCY + NOISE_REDUCTION_LATENCY
            }
        }
    }

    fn echo_report(&self) -> EchoReport {
        let statistics = self.processing.statistics();
        EchoReport {
            enhancement_db: statistics.echo_return_loss_enhancement.map(|db| db as f32),
            delay: statistics
                .delay_ms
                .and_then(|delay| u64::try_from(delay).ok())
                .map(Duration::from_millis),
        }
    }
}

/// The mean of all references: the canceller models one echo path, from all loudspeakers together.
fn mix(references: &[&Frame], mixed: &mut Frame) {
    mixed.fill(0.0);
    let share = 1.0 / references.len().max(1) as f32;
    for reference in references {
        for (mixed, &sample) in mixed.iter_mut().zip(reference.iter()) {
            *mixed += bounded(sample) * share;
        }
    }
}

fn build(settings: SonoraSettings) -> AudioProcessing {
    let mono = StreamConfig::new(SAMPLE_RATE_HZ, 1);
    AudioProcessing::builder()
        .config(processing_config(settings))
        .capture_config(mono)
        .render_config(mono)
        .build()
}

fn processing_config(settings: SonoraSettings) -> Config {
    Config {
        pipeline: Pipeline {
            // The default of 32 kHz would cut everything above 16 kHz out of the room.
            maximum_internal_processing_rate: MaxProcessingRate::Rate48kHz,
            multi_channel_render: false,
            multi_channel_capture: false,
            ..Pipeline::default()
        },
        high_pass_filter: Some(HighPassFilter::default()),
        echo_canceller: Some(EchoCanceller::default()),
        noise_suppression: noise_suppression(settings.noise_reduction),
        // The controller is there even without adaptive gain: its last stage is the limiter.
        gain_controller2: Some(GainController2 {
            adaptive_digital: adaptive_gain(settings.automatic_gain),
            ..GainController2::default()
        }),
        ..Config::default()
    }
}

fn noise_suppression(noise_reduction: NoiseReduction) -> Option<NoiseSuppression> {
    let level = match noise_reduction {
        NoiseReduction::Off => return None,
        NoiseReduction::Moderate => NoiseSuppressionLevel::Moderate,
        NoiseReduction::High => NoiseSuppressionLevel::High,
    };
    Some(NoiseSuppression {
        level,
        ..NoiseSuppression::default()
    })
}

fn adaptive_gain(automatic_gain: AutomaticGain) -> Option<AdaptiveDigital> {
    match automatic_gain {
        AutomaticGain::Off => None,
        AutomaticGain::On => Some(AdaptiveDigital {
            max_gain_db: MAX_GAIN_DB,
            initial_gain_db: INITIAL_GAIN_DB,
            ..AdaptiveDigital::default()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_mixed_without_clipping_and_without_poison() {
        let loud = [1.0; FRAME_SAMPLES];
        let poisoned = [f32::NAN; FRAME_SAMPLES];
        let mut mixed = [9.0; FRAME_SAMPLES];
        mix(&[&loud, &loud], &mut mixed);
        assert_eq!(mixed, [1.0; FRAME_SAMPLES]);
        mix(&[&loud, &poisoned], &mut mixed);
        assert_eq!(mixed, [0.5; FRAME_SAMPLES]);
        mix(&[], &mut mixed);
        assert_eq!(mixed, [0.0; FRAME_SAMPLES]);
    }
}
