//! A loudspeaker that remembers what it played last.

use std::collections::VecDeque;
use std::time::Duration;

use super::Condition;
use super::echo_path::EchoSender;
use crate::audio::{AudioFrame, FRAME_DURATION, Loudspeaker};
use crate::error::{DeviceError, DeviceKind};

/// Plays into memory, and into the air of an echo path where there is one.
pub struct SimulatedLoudspeaker {
    /// The newest frames, oldest first.
    recording: VecDeque<AudioFrame>,
    /// Frames.
    capacity: usize,
    echo: Option<EchoSender>,
    condition: Condition,
}

impl SimulatedLoudspeaker {
    /// A working loudspeaker that keeps the last `recorded` of what it played.
    #[must_use]
    pub fn new(recorded: Duration) -> Self {
        let frames = recorded.as_millis() / FRAME_DURATION.as_millis();
        Self {
            recording: VecDeque::new(),
            capacity: usize::try_from(frames).unwrap_or(usize::MAX),
            echo: None,
            condition: Condition::Working,
        }
    }

    /// The same loudspeaker, but a microphone hears it.
    #[must_use]
    pub fn with_echo(self, echo: EchoSender) -> Self {
        Self {
            echo: Some(echo),
            ..self
        }
    }

    /// Unplugs the loudspeaker, makes it stall, or lets it work again.
    pub fn set_condition(&mut self, condition: Condition) {
        self.condition = condition;
    }

    /// What was played last, oldest first.
    pub fn recording(&self) -> impl Iterator<Item = &AudioFrame> {
        self.recording.iter()
    }
}

impl Loudspeaker for SimulatedLoudspeaker {
    fn play(&mut self, frame: &AudioFrame) -> Result<(), DeviceError> {
        self.condition.check(DeviceKind::Loudspeaker)?;
        if let Some(echo) = &self.echo {
            echo.send(&frame.samples);
        }
        self.recording.push_back(frame.clone());
        let excess = self.recording.len().saturating_sub(self.capacity);
        self.recording.drain(..excess);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
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
            .map(|frame| frame.samples[0])
            .collect();
        assert_eq!(kept, [7, 8, 9]);
    }

    #[test]
    fn an_unplugged_loudspeaker_plays_nothing() {
        let mut loudspeaker = SimulatedLoudspeaker::new(Duration::from_secs(1));
        loudspeaker.set_condition(Condition::Unplugged);
        let error = loudspeaker.play(&frame(1)).unwrap_err();
        assert_eq!(error, DeviceError::Gone(DeviceKind::Loudspeaker));
        loudspeaker.set_condition(Condition::Working);
        loudspeaker.play(&frame(2)).unwrap();
        assert_eq!(loudspeaker.recording().count(), 1);
    }
}
