//! Carries out one change of the graph.

use std::sync::Arc;
use std::time::Instant;

use room::ids::LegId;
use room::media_plan::{AudioSink, AudioSource, Rung, RungName, VideoRole, VideoSource};
use room::units::AudioLevel;

use crate::audio_playout::AudioPlayout;
use crate::camera_feed::CameraFeedSettings;
use crate::diff::GraphChange;
use crate::error::MediaError;
use crate::event::MediaEvent;
use crate::fan_out::Attached;
use crate::graph::{Graph, RunningMicrophone, delay_of};
use crate::leg::{Leg, LegHub};
use crate::microphone::{MicrophoneParts, MicrophoneSettings, MicrophoneStage};
use crate::recording::{Supply, no_frames};
use crate::shape::{LegShape, VideoCaptureShape, VideoPlayoutShape};
use crate::video_capture::{CameraFrames, VideoCapture};
use crate::video_encode::{Beginning, EncodeSurroundings};
use crate::video_playout::VideoPlayout;

impl Graph {
    /// Does what a change says. After an error the part that it was about does not run.
    pub(super) fn carry_out(&mut self, change: &GraphChange) -> Result<(), MediaError> {
        match change {
            GraphChange::SetMicrophone(state) => self.switches.microphone.set(*state),
            GraphChange::SetCamera(state) => self.switches.pictures.main.set(*state),
            GraphChange::SetVolume(volume) => {
                if let Some(playout) = &self.parts.audio_playout {
                    playout.set_volume(*volume);
                }
            }
            GraphChange::SetTone(tone) => {
                if let Some(playout) = &mut self.parts.audio_playout {
                    playout.set_tone(*tone)?;
                }
            }
            GraphChange::SetBitrate {
                role,
                name,
                bitrate,
            } => {
                if let Some(capture) = self.parts.video_captures.get_mut(*role) {
                    capture.set_bitrate(*name, *bitrate);
                }
            }
            GraphChange::RetireEncode { role, name } => {
                if let Some(capture) = self.parts.video_captures.get_mut(*role) {
                    capture.retire_encode(*name, Instant::now());
                }
            }
            GraphChange::StartEncode { role, name, rung } => {
                self.start_encode(*role, *name, *rung)?;
            }
            GraphChange::StopVideoCapture(role) => self.stop_video_capture(*role),
            GraphChange::StopAudioCapture => self.stop_audio_capture(),
            GraphChange::StopVideoPlayout => self.stop_video_playout(),
            GraphChange::StopAudioPlayout => self.stop_audio_playout(),
            GraphChange::RemoveLeg(leg) => self.remove_leg(*leg),
            GraphChange::StartVideoCapture(role, shape) => {
                self.start_video_capture(*role, shape)?;
            }
            GraphChange::StartAudioCapture(source) => self.start_audio_capture(source)?,
            GraphChange::StartVideoPlayout(shape) => self.start_video_playout(shape)?,
            GraphChange::StartAudioPlayout(sink) => self.start_audio_playout(*sink)?,
            GraphChange::AddLeg(leg, shape) => self.add_leg(*leg, shape)?,
            GraphChange::SetLegDirections(leg, directions) => {
                if let Some(running) = self.parts.legs.get(leg) {
                    running.set_directions(*directions);
                    self.watch
                        .await_what_stops(*leg, *directions, running.hub());
                }
            }
            GraphChange::SetLegRung { leg, role, rung } => self.attach_pictures(*leg, *role, *rung),
        }
        Ok(())
    }

    fn start_video_capture(
        &mut self,
        role: VideoRole,
        shape: &VideoCaptureShape,
    ) -> Result<(), MediaError> {
        let around = &self.surroundings;
        let device = self.devices.pictures.get_mut(role);
        let frames = match &shape.source {
            VideoSource::Simulated => CameraFrames::Device(device.take()),
            VideoSource::None => CameraFrames::Device(None),
            VideoSource::File(_) => CameraFrames::Recording,
        };
        let settings = CameraFeedSettings {
            role,
            resolution: shape.resolution,
            frame_rate: shape.frame_rate,
            switch: Arc::clone(self.switches.pictures.get(role)),
            sent: Arc::clone(around.sent.get(role)),
            clock: around.clock.clone(),
            inputs: around.inputs.clone(),
        };
        let runtime = &around.runtime;
        let fan_out = self.video_fan_outs.get(role);
        let for_encodes = EncodeSurroundings {
            role,
            beginning: Beginning::OfCapture,
            frame_rate: shape.frame_rate,
            encoders: &self.encoders,
            fan_out,
            clock: &around.clock,
            inputs: &around.inputs,
        };
        match VideoCapture::build_encodes(shape, &for_encodes) {
            Ok(encodes) => {
                let capture = VideoCapture::start(encodes, frames, fan_out, runtime, settings);
                *self.parts.video_captures.get_mut(role) = Some(capture);
                self.play_pictures(role, shape);
                Ok(())
            }
            Err(error) => {
                *device = frames.into_device().or(device.take());
                Err(error)
            }
        }
    }

    fn start_encode(
        &mut self,
        role: VideoRole,
        name: RungName,
        rung: Rung,
    ) -> Result<(), MediaError> {
        let around = &self.surroundings;
        let shape = self.shape.video_captures.get(role).as_ref();
        let capture = self.parts.video_captures.get_mut(role).as_mut();
        let Some((shape, capture)) = shape.zip(capture) else {
            return Ok(());
        };
        let for_encode = EncodeSurroundings {
            role,
            beginning: Beginning::OfEncode,
            frame_rate: shape.frame_rate,
            encoders: &self.encoders,
            fan_out: self.video_fan_outs.get(role),
            clock: &around.clock,
            inputs: &around.inputs,
        };
        capture.start_encode(name, rung, &for_encode)
    }

    pub(super) fn stop_video_capture(&mut self, role: VideoRole) {
        if let Some(capture) = self.parts.video_captures.get_mut(role).take() {
            let frames = capture.stop();
            let device = self.devices.pictures.get_mut(role);
            *device = frames.or(device.take());
        }
    }

    fn start_audio_capture(&mut self, source: &AudioSource) -> Result<(), MediaError> {
        let around = &self.surroundings;
        let parts = self.devices.microphone.take();
        // Only a stage that crashed kept its parts; the room is then without echo control.
        let MicrophoneParts {
            front_end,
            frames: device,
        } = parts.unwrap_or_else(|| {
            tracing::error!("the microphone stage had crashed");
            MicrophoneParts {
                front_end: Box::new(acoustics::PassThrough),
                frames: None,
            }
        });
        let (frames, unused, supply) = match source {
            AudioSource::Simulated => (device, None, Supply::Device),
            AudioSource::None => (None, device, Supply::Device),
            AudioSource::File(_) => (Some(no_frames()), device, Supply::SilentRecording),
        };
        let settings = MicrophoneSettings {
            switch: Arc::clone(&self.switches.microphone),
            fan_out: Arc::clone(&self.audio_fan_out),
            tap: Arc::clone(&self.tap),
            clock: around.clock.clone(),
            inputs: around.inputs.clone(),
            events: around.events.clone(),
        };
        let stage = MicrophoneStage::start(settings, MicrophoneParts { front_end, frames })?;
        self.parts.microphone = Some(RunningMicrophone {
            stage,
            supply,
            unused,
        });
        self.play_sound(source);
        Ok(())
    }

    pub(super) fn stop_audio_capture(&mut self) {
        let Some(RunningMicrophone {
            stage,
            supply,
            unused,
        }) = self.parts.microphone.take()
        else {
            return;
        };
        // Whoever shows levels is told no newer ones.
        self.tell(MediaEvent::Levels {
            microphone: AudioLevel::SILENCE,
            loudspeaker: AudioLevel::SILENCE,
        });
        self.devices.microphone = stage.stop().map(|MicrophoneParts { front_end, frames }| {
            let frames = match supply {
                Supply::Device => frames.or(unused),
                // A recording's frames end with it.
                Supply::Recording(_) | Supply::SilentRecording => unused,
            };
            MicrophoneParts { front_end, frames }
        });
    }

    fn start_video_playout(&mut self, shape: &VideoPlayoutShape) -> Result<(), MediaError> {
        let around = &self.surroundings;
        let delay = |leg| delay_of(&self.parts.legs, leg);
        let playout = VideoPlayout::start(shape, delay, &around.clock, &around.inputs)?;
        around.sent.main.set_self_view(playout.self_view());
        for (leg, running) in &self.parts.legs {
            for role in VideoRole::ALL {
                let screen = playout.inlet(*leg, role);
                running.hub().set_screen(role, screen);
            }
            // Another may be long in coming.
            running
                .hub()
                .show_again(VideoRole::Slides, around.clock.now());
        }
        self.parts.video_playout = Some(playout);
        Ok(())
    }

    pub(super) fn stop_video_playout(&mut self) {
        self.surroundings.sent.main.set_self_view(None);
        for running in self.parts.legs.values() {
            leave_screen(running.hub());
        }
        if let Some(playout) = self.parts.video_playout.take() {
            playout.stop();
        }
    }

    fn start_audio_playout(&mut self, sink: AudioSink) -> Result<(), MediaError> {
        let around = &self.surroundings;
        let mut playout = AudioPlayout::start(
            sink,
            self.shape.volume,
            self.devices.loudspeaker.as_ref(),
            &self.tap,
            &around.clock,
            &around.inputs,
        )?;
        for (leg, running) in &self.parts.legs {
            if running.sound_inlet().is_some() {
                running
                    .hub()
                    .set_mixer(Some(playout.add_leg(*leg, running.playout_delay())?));
            }
        }
        playout.set_tone(self.shape.tone)?;
        self.parts.audio_playout = Some(playout);
        Ok(())
    }

    pub(super) fn stop_audio_playout(&mut self) {
        for running in self.parts.legs.values() {
            running.hub().set_mixer(None);
        }
        self.parts.audio_playout = None;
    }

    fn add_leg(&mut self, leg: LegId, shape: &LegShape) -> Result<(), MediaError> {
        let around = &self.surroundings;
        let hub = around.legs.get(leg).ok_or(MediaError::UnknownLeg(leg))?;
        if let Some(playout) = &self.parts.video_playout {
            for role in VideoRole::ALL {
                hub.set_screen(role, playout.inlet(leg, role));
            }
        }
        if let Some(playout) = &mut self.parts.audio_playout
            && shape.streams.audio.is_some()
        {
            hub.set_mixer(Some(playout.add_leg(leg, crate::leg::FIRST_DELAY)?));
        }
        let running = Leg::start(
            &shape.streams,
            &hub,
            &around.clock,
            &around.inputs,
            &around.events,
        )?;
        self.parts.legs.insert(leg, running);
        for (role, rung) in shape.rungs.iter() {
            self.attach_pictures(leg, role, *rung);
        }
        Ok(())
    }

    pub(super) fn remove_leg(&mut self, leg: LegId) {
        for (_, fan_out) in self.video_fan_outs.iter() {
            fan_out.detach(leg);
        }
        self.audio_fan_out.detach(leg);
        if let Some(hub) = self.surroundings.legs.get(leg) {
            leave_screen(&hub);
            hub.set_mixer(None);
        }
        if let Some(playout) = &mut self.parts.audio_playout {
            playout.remove_leg(leg);
        }
        self.parts.legs.remove(&leg);
        self.end_unused_audio_encodes();
    }

    fn attach_pictures(&mut self, leg: LegId, role: VideoRole, rung: Option<RungName>) {
        let running = self.parts.legs.get(&leg);
        let inlet = running.and_then(|leg| Some((leg.picture_inlet(role)?, Arc::clone(leg.hub()))));
        let fan_out = self.video_fan_outs.get(role);
        match (inlet, rung) {
            (Some((inlet, hub)), Some(rung)) => {
                let attached = fan_out.attach(hub, rung, inlet);
                let encode = fan_out.next_encode_of(leg);
                let capture = self.parts.video_captures.get_mut(role).as_mut();
                if let Some((capture, encode)) = capture.zip(encode) {
                    match attached {
                        Attached::Anew => capture.make_keyframe(encode, Instant::now()),
                        Attached::FromOther => capture.request_keyframe(encode, Instant::now()),
                        Attached::Before => {}
                    }
                }
            }
            (Some(_), None) | (None, _) => fan_out.detach(leg),
        }
    }
}

/// Nothing of the leg is shown any more.
fn leave_screen(hub: &LegHub) {
    for role in VideoRole::ALL {
        hub.set_screen(role, None);
    }
}
