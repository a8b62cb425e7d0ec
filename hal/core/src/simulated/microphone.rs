//! A microphone that hears a recording, a synthetic voice or nothing, and the loudspeaker's echo.

use std::sync::Arc;
use std::time::Instant;

use super::Condition;
use super::echo_path::EchoReceiver;
use super::shared::Shared;
use super::voice::Voice;
use crate::audio::{AudioFrame, FRAME_DURATION, FRAME_SAMPLES, Microphone};
use crate::error::{DeviceError, DeviceKind};

/// What sounds in the simulated room.
#[derive(Clone, Debug)]
pub enum SoundSource {
    /// Nothing.
    Silence,
    /// A synthetic voice that depends on the seed only.
    Voice {
        /// Another seed, another talker.
        seed: u64,
    },
    /// Samples at 48 kHz, played over and over without a gap. None at all is silence.
    Recording(Arc<[i16]>),
}

/// A microphone in a simulated room. See the module's documentation.
#[derive(Clone)]
pub struct SimulatedMicrophone {
    state: Shared<MicrophoneState>,
}

struct MicrophoneState {
    sound: Sound,
    echo: Option<EchoReceiver>,
    condition: Condition,
}

enum Sound {
    Silence,
    Voice(Voice),
    Recording {
        samples: Arc<[i16]>,
        position: usize,
    },
}

impl SimulatedMicrophone {
    /// A working microphone that does not hear the loudspeaker.
    #[must_use]
    pub fn new(source: SoundSource) -> Self {
        let sound = match source {
            SoundSource::Silence => Sound::Silence,
            SoundSource::Voice { seed } => Sound::Voice(Voice::new(seed)),
            SoundSource::Recording(samples) => Sound::Recording {
                samples,
                position: 0,
            },
        };
        Self {
            state: Shared::new(MicrophoneState {
                sound,
                echo: None,
                condition: Condition::Working,
            }),
        }
    }

    /// The same microphone, but it hears the loudspeaker too.
    #[must_use]
    pub fn with_echo(self, echo: EchoReceiver) -> Self {
        self.state.lock().echo = Some(echo);
        self
    }

    /// Unplugs the microphone, makes it stall, or lets it work again.
    pub fn set_condition(&self, condition: Condition) {
        self.state.lock().condition = condition;
    }
}

impl Microphone for SimulatedMicrophone {
    fn frame(&mut self, now: Instant) -> Result<AudioFrame, DeviceError> {
        let mut state = self.state.lock();
        state.condition.check(DeviceKind::Microphone)?;
        let mut samples = [0; FRAME_SAMPLES];
        state.sound.fill(&mut samples);
        if let Some(echo) = &state.echo {
            echo.add_to(&mut samples);
        }
        Ok(AudioFrame {
            // The frame ends now.
            captured: now.checked_sub(FRAME_DURATION).unwrap_or(now),
            samples,
        })
    }
}

impl Sound {
    fn fill(&mut self, frame: &mut [i16; FRAME_SAMPLES]) {
        match self {
            Self::Silence => {}
            Self::Voice(voice) => frame.fill_with(|| voice.sample()),
            Self::Recording { samples, position } => {
                for (to, &from) in frame.iter_mut().zip(samples.iter().cycle().skip(*position)) {
                    *to = from;
                }
                *position = (*position + FRAME_SAMPLES) % samples.len().max(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{EchoPath, SimulatedLoudspeaker};
    use super::*;
    use crate::audio::Loudspeaker;

    fn heard(microphone: &mut SimulatedMicrophone, frames: usize) -> Vec<i16> {
        let now = Instant::now();
        (0..frames)
            .flat_map(|_| microphone.frame(now).unwrap().samples)
            .collect()
    }

    fn recording(length: i16) -> SimulatedMicrophone {
        SimulatedMicrophone::new(SoundSource::Recording((0..length).collect()))
    }

    #[test]
    fn a_recording_repeats_without_a_gap_whatever_its_length() {
        for length in [1, 7, 480, 481, 1_000] {
            let heard = heard(&mut recording(length), 5);
            for (i, &sample) in heard.iter().enumerate() {
                assert_eq!(
                    usize::try_from(sample).unwrap(),
                    i % length as usize,
                    "{length}"
                );
            }
        }
    }

    #[test]
    fn an_empty_recording_is_silence() {
        assert_eq!(heard(&mut recording(0), 2), [0; 2 * FRAME_SAMPLES]);
    }

    #[test]
    fn the_loudspeaker_is_heard_after_the_delay_of_the_echo_path() {
        let (sender, receiver) = EchoPath {
            delay: Duration::from_millis(25),
            gain: 0.5,
        }
        .open();
        let mut microphone = SimulatedMicrophone::new(SoundSource::Silence).with_echo(receiver);
        let mut loudspeaker = SimulatedLoudspeaker::new(Duration::ZERO).with_echo(sender);
        let now = Instant::now();
        let mut heard = Vec::new();
        for _ in 0..5 {
            loudspeaker
                .play(&AudioFrame {
                    captured: now,
                    samples: [1_000; 480],
                })
                .unwrap();
            heard.extend(microphone.frame(now).unwrap().samples);
        }
        let first = heard.iter().position(|&sample| sample != 0).unwrap();
        assert_eq!(first, 25 * 48);
        assert!(heard[first..].iter().all(|&sample| sample == 500));
    }

    #[test]
    fn an_echo_that_nobody_hears_takes_bounded_memory_and_then_arrives_whole() {
        let (sender, receiver) = EchoPath {
            delay: Duration::ZERO,
            gain: 1.0,
        }
        .open();
        for _ in 0..10_000 {
            sender.send(&[9; FRAME_SAMPLES]);
        }
        let mut microphone = SimulatedMicrophone::new(SoundSource::Silence).with_echo(receiver);
        let heard = heard(&mut microphone, 60);
        assert_eq!(heard.iter().filter(|&&sample| sample == 9).count(), 24_000);
    }

    #[test]
    fn voice_and_echo_together_saturate_instead_of_wrapping() {
        let (sender, receiver) = EchoPath {
            delay: Duration::ZERO,
            gain: 1.0,
        }
        .open();
        let loud = SoundSource::Recording(Arc::from([i16::MAX]));
        let mut microphone = SimulatedMicrophone::new(loud).with_echo(receiver);
        sender.send(&[i16::MAX; FRAME_SAMPLES]);
        assert_eq!(heard(&mut microphone, 1), [i16::MAX; FRAME_SAMPLES]);
    }

    #[test]
    fn an_unplugged_microphone_is_back_as_soon_as_it_is_plugged_in() {
        let mut microphone = recording(480);
        let now = Instant::now();
        for (condition, error) in [
            (
                Condition::Unplugged,
                DeviceError::Gone(DeviceKind::Microphone),
            ),
            (
                Condition::Stalled,
                DeviceError::Stalled(DeviceKind::Microphone),
            ),
        ] {
            microphone.set_condition(condition);
            assert_eq!(microphone.frame(now), Err(error));
        }
        microphone.set_condition(Condition::Working);
        assert!(microphone.frame(now).is_ok());
    }
}
