//! What goes to the loudspeaker, for the echo canceller and the level meter.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use acoustics::Frame;
use room::units::AudioLevel;

use crate::device::AUDIO_FRAME_SAMPLES;
use crate::loudness::LoudnessMeter;

/// Samples that may wait: 100 ms. Beyond it the microphone stage is behind, and the oldest go.
const QUEUE: usize = AUDIO_FRAME_SAMPLES * 10;

/// Filled by the playout's streaming thread, exactly with what the sink plays, after mixer and
/// volume; emptied by the microphone stage, 10 ms for each 10 ms of microphone.
#[derive(Debug, Default)]
pub(crate) struct LoudspeakerTap(Mutex<TapState>);

#[derive(Debug, Default)]
struct TapState {
    samples: VecDeque<i16>,
    meter: LoudnessMeter,
}

impl LoudspeakerTap {
    /// The loudspeaker is given these samples.
    pub(crate) fn put(&self, samples: &[i16]) {
        let mut state = self.lock();
        state.meter.add(samples);
        state.samples.extend(samples);
        let excess = state.samples.len().saturating_sub(QUEUE);
        state.samples.drain(..excess);
    }

    /// The next 10 ms; `None` while nothing is being played.
    pub(crate) fn take_frame(&self) -> Option<Frame> {
        let mut state = self.lock();
        if state.samples.len() < AUDIO_FRAME_SAMPLES {
            return None;
        }
        let mut samples = [0; AUDIO_FRAME_SAMPLES];
        for (to, from) in samples
            .iter_mut()
            .zip(state.samples.drain(..AUDIO_FRAME_SAMPLES))
        {
            *to = from;
        }
        Some(acoustics::from_pcm16(&samples))
    }

    /// The level since the last reading.
    pub(crate) fn take_level(&self) -> AudioLevel {
        self.lock().meter.take()
    }

    /// Playout has stopped: what waits will not be heard.
    pub(crate) fn clear(&self) {
        self.lock().samples.clear();
    }

    fn lock(&self) -> MutexGuard<'_, TapState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_in_order_and_only_whole() {
        let tap = LoudspeakerTap::default();
        tap.put(&[1_000; 300]);
        assert!(tap.take_frame().is_none());
        tap.put(&[2_000; 300]);
        let frame = tap.take_frame().unwrap();
        assert!(frame[0] < frame[AUDIO_FRAME_SAMPLES - 1]);
        assert!(tap.take_frame().is_none());
    }

    #[test]
    fn a_reader_that_is_behind_loses_the_oldest_sound() {
        let tap = LoudspeakerTap::default();
        tap.put(&[1; QUEUE]);
        tap.put(&[9; QUEUE]);
        assert_eq!(acoustics::to_pcm16(&tap.take_frame().unwrap())[0], 9);
    }
}
