//! The air between a simulated loudspeaker and a simulated microphone.

use std::collections::VecDeque;
use std::time::Duration;

use super::shared::Shared;
use crate::audio::{FRAME_SAMPLES, SAMPLE_RATE_HZ};

/// The most that may wait in the air beyond the delay itself. A microphone that nobody reads must
/// not make the loudspeaker gather memory.
const MOST_BEHIND: usize = SAMPLE_RATE_HZ as usize / 2;
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// How the loudspeaker is heard in the microphone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EchoPath {
    /// From the loudspeaker to the microphone, buffers and converters included. At most 2 s.
    pub delay: Duration,
    /// The echo's amplitude over the loudspeaker's.
    pub gain: f32,
}

impl EchoPath {
    /// The two ends of the path: one for the loudspeaker, one for the microphone.
    #[must_use]
    pub fn open(self) -> (EchoSender, EchoReceiver) {
        let seconds = self.delay.min(LONGEST_DELAY).as_secs_f64();
        let delay = (seconds * f64::from(SAMPLE_RATE_HZ)) as usize;
        let air = Shared::new(VecDeque::with_capacity(delay + MOST_BEHIND));
        let sender = EchoSender {
            air: air.clone(),
            delay,
            gain: self.gain,
        };
        (sender, EchoReceiver { air })
    }
}

/// The loudspeaker's end of an [`EchoPath`].
pub struct EchoSender {
    air: Shared<VecDeque<i16>>,
    /// Samples.
    delay: usize,
    gain: f32,
}

impl EchoSender {
    /// Puts what is played into the air.
    pub(super) fn send(&self, samples: &[i16; FRAME_SAMPLES]) {
        let mut air = self.air.lock();
        if air.is_empty() {
            // The first sound after a silence is on its way for the whole delay.
            air.extend(std::iter::repeat_n(0, self.delay));
        }
        air.extend(
            samples
                .iter()
                .map(|&sample| (f32::from(sample) * self.gain) as i16),
        );
        let excess = air.len().saturating_sub(self.delay + MOST_BEHIND);
        air.drain(..excess);
    }
}

/// The microphone's end of an [`EchoPath`].
pub struct EchoReceiver {
    air: Shared<VecDeque<i16>>,
}

impl EchoReceiver {
    /// Adds what arrives now to what the microphone hears anyway.
    pub(super) fn add_to(&self, samples: &mut [i16; FRAME_SAMPLES]) {
        let mut air = self.air.lock();
        let arriving = air.len().min(FRAME_SAMPLES);
        for (sample, echo) in samples.iter_mut().zip(air.drain(..arriving)) {
            *sample = sample.saturating_add(echo);
        }
    }
}
