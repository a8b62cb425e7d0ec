//! A loudspeaker that remembers what it played last.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::time::Duration;

use super::Condition;
use super::echo_path::EchoSender;
use super::shared::Shared;
use crate::audio::{AudioFrame, FRAME_DURATION, Loudspeaker};
use crate::error::{DeviceError, DeviceKind};

/// Plays into memory, and into the air of an echo path where there is one.
#[derive(Clone)]
pub struct SimulatedLoudspeaker {
    state: Shared<LoudspeakerState>,
}

struct LoudspeakerState {
    /// The newest frames, oldest first.
    recording: VecDeque<AudioFrame>,
    /// Frames.
    capacity: usize,
    echo: Option<EchoSender>,
    file: Option<File>,
    condition: Condition,
}

impl SimulatedLoudspeaker {
    /// A working loudspeaker that keeps the last `recorded` of what it played.
    #[must_use]
    pub fn new(recorded: Duration) -> Self {
        let frames = recorded.as_millis() / FRAME_DURATION.as_millis();
        Self {
            state: Shared::new(LoudspeakerState {
                recording: VecDeque::new(),
                capacity: usize::try_from(frames).unwrap_or(usize::MAX),
                echo: None,
                file: None,
                condition: Condition::Working,
            }),
        }
    }

    /// The same loudspeaker, but a microphone hears it.
    #[must_use]
    pub fn with_echo(self, echo: EchoSender) -> Self {
        self.state.lock().echo = Some(echo);
        self
    }

    /// The same loudspeaker, but all that it plays is also written to `file`: 16-bit samples, low
    /// byte first, at 48 kHz, without a header, so that the file is whole at every moment. Where
    /// the file takes no more, the loudspeaker has stalled.
    #[must_use]
    pub fn with_file(self, file: File) -> Self {
        self.state.lock().file = Some(file);
        self
    }

    /// Unplugs the loudspeaker, makes it stall, or lets it work again.
    pub fn set_condition(&self, condition: Condition) {
        self.state.lock().condition = condition;
    }

    /// What was played last, oldest first.
    #[must_use]
    pub fn recording(&self) -> Vec<AudioFrame> {
        self.state.lock().recording.iter().cloned().collect()
    }
}

impl Loudspeaker for SimulatedLoudspeaker {
    fn play(&mut self, frame: &AudioFrame) -> Result<(), DeviceError> {
        let mut state = self.state.lock();
        state.condition.check(DeviceKind::Loudspeaker)?;
        if let Some(echo) = &state.echo {
            echo.send(&frame.samples);
        }
        if let Some(file) = &mut state.file {
            let bytes: Vec<u8> = frame.samples.iter().flat_map(|s| s.to_le_bytes()).collect();
            file.write_all(&bytes)
                .map_err(|_| DeviceError::Stalled(DeviceKind::Loudspeaker))?;
        }
        state.recording.push_back(frame.clone());
        let excess = state.recording.len().saturating_sub(state.capacity);
        state.recording.drain(..excess);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};
    use std::time::Instant;

    use super::*;

    fn frame(sample: i16) -> AudioFrame {
        AudioFrame {
            captured: Instant::now(),
            samples: [sample; 480],
        }
    }

    #[test]
    fn only_the_newest_sound_is_kept() {
        let mut loudspeaker = SimulatedLoudspeaker::new(Duration::from_millis(30));
        for sample in 0..10 {
            loudspeaker.play(&frame(sample)).unwrap();
        }
        let kept: Vec<i16> = loudspeaker
            .recording()
            .iter()
            .map(|frame| frame.samples[0])
            .collect();
        assert_eq!(kept, [7, 8, 9]);
    }

    #[test]
    fn all_that_is_played_is_in_the_file() {
        let mut file = tempfile::tempfile().unwrap();
        let mut loudspeaker =
            SimulatedLoudspeaker::new(Duration::ZERO).with_file(file.try_clone().unwrap());
        loudspeaker.play(&frame(0x0102)).unwrap();
        loudspeaker.play(&frame(-2)).unwrap();
        let mut written = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut written).unwrap();
        assert_eq!(
            written,
            [[2, 1].repeat(480), [0xfe, 0xff].repeat(480)].concat()
        );
    }

    #[test]
    fn a_file_that_takes_no_more_stalls_the_loudspeaker() {
        let full = File::create("/dev/full").unwrap();
        let mut loudspeaker = SimulatedLoudspeaker::new(Duration::ZERO).with_file(full);
        let error = loudspeaker.play(&frame(1)).unwrap_err();
        assert_eq!(error, DeviceError::Stalled(DeviceKind::Loudspeaker));
    }

    #[test]
    fn an_unplugged_loudspeaker_plays_nothing() {
        let mut loudspeaker = SimulatedLoudspeaker::new(Duration::from_secs(1));
        loudspeaker.set_condition(Condition::Unplugged);
        let error = loudspeaker.play(&frame(1)).unwrap_err();
        assert_eq!(error, DeviceError::Gone(DeviceKind::Loudspeaker));
        loudspeaker.set_condition(Condition::Working);
        loudspeaker.play(&frame(2)).unwrap();
        assert_eq!(loudspeaker.recording().len(), 1);
    }
}
