//! What happens when a part fails: it is dropped, told, and built again. A recording that fails
//! takes nothing with it: what it fed runs on, as when a device is gone.

use std::time::{Duration, Instant};

use room::ids::LegId;
use room::media_plan::{AudioSource, VideoRole, VideoSource};

use crate::diff::GraphChange;
use crate::error::MediaError;
use crate::event::MediaEvent;
use crate::graph::Graph;
use crate::pipeline::{PipelineId, PipelineRole};
use crate::recording::{Recording, Supply};
use crate::shape::VideoCaptureShape;

/// The pause before a repair that follows another one.
const PAUSE: Duration = Duration::from_secs(1);
/// A repair is new, not one that follows another, when the last was so long ago.
const CALM: Duration = Duration::from_secs(10);

/// When the plan is applied again.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    due: Option<Instant>,
    last: Option<Instant>,
}

impl Repairs {
    /// Something failed.
    fn plan(&mut self, now: Instant) {
        let again = self
            .last
            .is_some_and(|last| now.saturating_duration_since(last) < CALM);
        let due = if again { now + PAUSE } else { now };
        // One that is planned is not put off: what fails again and again would hold up the repair of everything else.
        self.due.get_or_insert(due);
        self.last = Some(now);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Whether a repair is due; it is not due any more afterwards.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        let due = self.due.is_some_and(|due| due <= now);
        if due {
            self.due = None;
        }
        due
    }
}

impl Graph {
    /// A change could not be carried out. The shape does not follow it, so the repair tries again.
    pub(super) fn change_failed(&mut self, change: &GraphChange, error: &MediaError) {
        let leg = match change {
            GraphChange::AddLeg(leg, _) => {
                let leg = *leg;
                self.remove_leg(leg);
                Some(leg)
            }
            GraphChange::RemoveLeg(leg)
            | GraphChange::SetLegDirections(leg, _)
            | GraphChange::SetLegRung { leg, .. } => Some(*leg),
            GraphChange::SetMicrophone(_)
            | GraphChange::SetCamera(_)
            | GraphChange::SetVolume(_)
            | GraphChange::SetTone(_)
            | GraphChange::SetBitrate { .. }
            | GraphChange::StartEncode { .. }
            | GraphChange::RetireEncode { .. }
            | GraphChange::StopVideoCapture(_)
            | GraphChange::StopAudioCapture
            | GraphChange::StopVideoPlayout
            | GraphChange::StopAudioPlayout
            | GraphChange::StartVideoCapture(..)
            | GraphChange::StartAudioCapture(_)
            | GraphChange::StartVideoPlayout(_)
            | GraphChange::StartAudioPlayout(_) => None,
        };
        self.tell_failure(leg, error);
    }

    pub(super) fn tell_failure(&mut self, leg: Option<LegId>, error: &MediaError) {
        tracing::error!(?leg, %error, "a change of the graph failed");
        let (element, text) = ("graph".to_owned(), error.to_string());
        self.tell(MediaEvent::Fault { leg, element, text });
        self.repairs.plan(Instant::now());
    }

    /// Plays again what failed.
    pub(super) fn play_recordings(&mut self) {
        for (role, shape) in self.shape.video_captures.clone().iter() {
            if let Some(shape) = shape {
                self.play_pictures(role, shape);
            }
        }
        if let Some(source) = self.shape.audio_capture.clone() {
            self.play_sound(&source);
        }
    }

    /// Plays the recording of the camera or the slides if it has one that does not play.
    pub(super) fn play_pictures(&mut self, role: VideoRole, shape: &VideoCaptureShape) {
        let around = &self.surroundings;
        let capture = self.parts.video_captures.get_mut(role).as_mut();
        let (VideoSource::File(file), Some(capture)) = (&shape.source, capture) else {
            return;
        };
        if !capture.supply().lacks_recording() {
            return;
        }
        let (size, rate) = (shape.resolution, shape.frame_rate);
        match Recording::of_pictures(role, file, size, rate, &around.clock, &around.inputs) {
            Ok((recording, frames)) => capture.play(recording, frames),
            Err(error) => self.tell_failure(None, &error),
        }
    }

    /// Plays the microphone's recording if it has one that does not play.
    pub(super) fn play_sound(&mut self, source: &AudioSource) {
        let around = &self.surroundings;
        let (AudioSource::File(file), Some(microphone)) = (source, &mut self.parts.microphone)
        else {
            return;
        };
        if !microphone.supply.lacks_recording() {
            return;
        }
        match Recording::of_sound(file, &around.clock, &around.inputs) {
            Ok((recording, frames)) => {
                microphone.stage.replace(frames);
                microphone.supply = Supply::Recording(recording);
            }
            Err(error) => self.tell_failure(None, &error),
        }
    }

    /// An element failed: its pipeline is dropped and built again. Messages of pipelines that are
    /// gone already are ignored.
    pub(super) fn pipeline_failed(
        &mut self,
        id: PipelineId,
        element: String,
        text: String,
        now: Instant,
    ) {
        if !self.runs(id) {
            return;
        }
        tracing::error!(pipeline = ?id.role, element, text, "a pipeline failed");
        let leg = match id.role {
            PipelineRole::Leg(leg) => {
                self.remove_leg(leg);
                self.shape.legs.remove(&leg);
                Some(leg)
            }
            PipelineRole::VideoRecording(role) => {
                if let Some(capture) = self.parts.video_captures.get_mut(role) {
                    capture.silence_recording();
                }
                None
            }
            PipelineRole::VideoEncode(role, name) => {
                if let Some(capture) = self.parts.video_captures.get_mut(role) {
                    if let Some(kind) = capture.encoder_named(id, &element) {
                        self.encoders.strike_off(kind);
                    }
                    let is_wanted = capture.is_wanted(id);
                    capture.drop_encode(id);
                    if let Some(shape) = self.shape.video_captures.get_mut(role)
                        && is_wanted
                    {
                        shape.rungs.remove(&name);
                    }
                }
                None
            }
            PipelineRole::AudioEncode(_) => {
                self.drop_audio_encode(id);
                None
            }
            PipelineRole::MicrophoneRecording => {
                if let Some(microphone) = &mut self.parts.microphone {
                    microphone.supply.silence();
                }
                None
            }
            PipelineRole::VideoPlayout => {
                self.stop_video_playout();
                self.shape.video_playout = None;
                None
            }
            PipelineRole::AudioPlayout => {
                self.stop_audio_playout();
                self.shape.audio_playout = None;
                None
            }
        };
        self.tell(MediaEvent::Fault { leg, element, text });
        self.repairs.plan(now);
    }

    fn runs(&self, id: PipelineId) -> bool {
        let parts = &self.parts;
        let capture = |role| parts.video_captures.get(role).as_ref();
        let microphone = parts.microphone.as_ref().and_then(|m| m.supply.recording());
        match id.role {
            PipelineRole::Leg(leg) => parts.legs.get(&leg).is_some_and(|leg| leg.id() == id),
            PipelineRole::VideoEncode(role, _) => {
                capture(role).is_some_and(|capture| capture.encode(id).is_some())
            }
            PipelineRole::VideoRecording(role) => capture(role)
                .and_then(|c| c.supply().recording())
                .is_some_and(|recording| recording.id() == id),
            PipelineRole::AudioEncode(_) => {
                parts.audio_encodes.iter().any(|encode| encode.id() == id)
            }
            PipelineRole::MicrophoneRecording => microphone.is_some_and(|r| r.id() == id),
            PipelineRole::VideoPlayout => parts
                .video_playout
                .as_ref()
                .is_some_and(|playout| playout.id() == id),
            PipelineRole::AudioPlayout => parts
                .audio_playout
                .as_ref()
                .is_some_and(|playout| playout.id() == id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_repair_is_immediate_and_the_next_one_waits() {
        let (start, mut repairs) = (Instant::now(), Repairs::default());
        repairs.plan(start);
        assert!(repairs.take_due(start));
        assert!(!repairs.take_due(start));
        repairs.plan(start + Duration::from_millis(10));
        assert!(!repairs.take_due(start + Duration::from_millis(20)));
        assert!(repairs.take_due(start + Duration::from_millis(10) + PAUSE));
        repairs.plan(start + CALM * 2);
        assert!(repairs.take_due(start + CALM * 2));
    }
}
