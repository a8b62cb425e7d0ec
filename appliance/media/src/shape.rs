//! What is built, as a value: the part of a plan that the graph has to follow.
//!
//! [`GraphShape::wanted`] turns a plan into a shape; [`diff`](crate::diff::diff) compares two.
//! Nothing here touches GStreamer.

use std::collections::BTreeMap;

use room::codec::{Direction, PacketizationMode, RtcpPort};
use room::h264_level::H264Level;
use room::ids::LegId;
use room::media_plan::{
    AudioSink, AudioSource, CameraState, Layout, LegStreams, MediaPlan, MicrophoneState, Rung,
    Tone, VideoSink, VideoSource, VideoStream,
};
use room::units::{FrameRate, Resolution, Volume};

use crate::diff::GraphChange;

/// The whole graph. An idle room has neither capture nor playout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GraphShape {
    pub(crate) camera: CameraState,
    pub(crate) microphone: MicrophoneState,
    pub(crate) volume: Volume,
    pub(crate) tone: Option<Tone>,
    pub(crate) video_capture: Option<VideoCaptureShape>,
    pub(crate) audio_capture: Option<AudioSource>,
    pub(crate) video_playout: Option<VideoPlayoutShape>,
    pub(crate) audio_playout: Option<AudioSink>,
    pub(crate) legs: BTreeMap<LegId, LegShape>,
}

/// The camera and its encodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VideoCaptureShape {
    pub(crate) source: VideoSource,
    pub(crate) resolution: Resolution,
    pub(crate) frame_rate: FrameRate,
    pub(crate) rungs: Vec<Rung>,
}

impl VideoCaptureShape {
    /// Whether `other` differs in nothing but bitrates, which encoders change while they run.
    pub(crate) fn same_but_bitrates(&self, other: &Self) -> bool {
        let encodes = |shape: &Self| -> Vec<_> {
            shape
                .rungs
                .iter()
                .map(|r| (r.resolution, r.frame_rate, r.max_nal_unit))
                .collect()
        };
        (&self.source, self.resolution, self.frame_rate)
            == (&other.source, other.resolution, other.frame_rate)
            && encodes(self) == encodes(other)
    }
}

/// Where far ends are shown, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VideoPlayoutShape {
    pub(crate) sink: VideoSink,
    pub(crate) far_ends: Vec<LegId>,
    /// The own camera, small in a corner.
    pub(crate) self_view: bool,
}

/// One leg and the encode that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LegShape {
    pub(crate) streams: LegStreams,
    /// Index into the ladder; `None` while it takes none.
    pub(crate) rung: Option<usize>,
}

impl LegShape {
    /// Audio's and video's directions; `None` for a refused stream.
    pub(crate) fn directions(&self) -> [Option<Direction>; 2] {
        [
            self.streams.audio.as_ref().map(|audio| audio.direction),
            self.streams.video.as_ref().map(|video| video.direction),
        ]
    }

    /// Follows a hold or its end.
    fn set_directions(&mut self, audio: Option<Direction>, video: Option<Direction>) {
        if let (Some(stream), Some(direction)) = (&mut self.streams.audio, audio) {
            stream.direction = direction;
        }
        if let (Some(stream), Some(direction)) = (&mut self.streams.video, video) {
            stream.direction = direction;
        }
    }

    /// Whether a running leg can become `other` without being built anew.
    pub(crate) fn same_but_directions(&self, other: &Self) -> bool {
        let settled = |shape: &Self| {
            let mut streams = shape.streams.clone();
            if let Some(audio) = &mut streams.audio {
                audio.direction = Direction::Inactive;
                // Ports are roomd's.
                audio.rtcp.port = RtcpPort::Own;
            }
            if let Some(video) = &mut streams.video {
                video.direction = Direction::Inactive;
                video.rtcp.port = RtcpPort::Own;
                // It only chooses the rung.
                video.max_bitrate = None;
            }
            streams
        };
        settled(self) == settled(other)
    }
}

impl GraphShape {
    /// The graph of a room without legs.
    pub(crate) fn empty() -> Self {
        Self {
            camera: CameraState::On,
            // Until a plan says otherwise nothing is heard.
            microphone: MicrophoneState::Muted,
            volume: Volume::FULL,
            tone: None,
            video_capture: None,
            audio_capture: None,
            video_playout: None,
            audio_playout: None,
            legs: BTreeMap::new(),
        }
    }

    /// The graph that a plan asks for.
    pub(crate) fn wanted(plan: &MediaPlan) -> Self {
        let legs: BTreeMap<LegId, LegShape> = plan
            .legs
            .iter()
            .map(|leg| {
                let rung = leg
                    .streams
                    .video
                    .as_ref()
                    .and_then(|v| rung_for(v, &plan.ladder));
                (
                    leg.id,
                    LegShape {
                        streams: leg.streams.clone(),
                        rung,
                    },
                )
            })
            .collect();
        let sends_audio = legs
            .values()
            .any(|leg| leg.directions()[0].is_some_and(Direction::sends));
        let is_heard =
            plan.playout.tone.is_some() || legs.values().any(|leg| leg.streams.audio.is_some());
        Self {
            camera: plan.camera.state,
            microphone: plan.microphone.state,
            volume: plan.playout.volume,
            tone: plan.playout.tone,
            video_capture: video_capture(plan, &legs),
            audio_capture: sends_audio.then(|| plan.microphone.source.clone()),
            video_playout: video_playout(plan, &legs),
            audio_playout: is_heard.then_some(plan.playout.audio),
            legs,
        }
    }
}

impl GraphShape {
    /// What is built after a change was carried out.
    pub(crate) fn follow(&mut self, change: &GraphChange) {
        match change {
            GraphChange::SetMicrophone(state) => self.microphone = *state,
            GraphChange::SetCamera(state) => self.camera = *state,
            GraphChange::SetVolume(volume) => self.volume = *volume,
            GraphChange::SetTone(tone) => self.tone = *tone,
            GraphChange::RemoveLeg(leg) => {
                self.legs.remove(leg);
            }
            GraphChange::AddLeg(leg, shape) => {
                self.legs.insert(*leg, shape.clone());
            }
            GraphChange::StopVideoCapture => self.video_capture = None,
            GraphChange::StopAudioCapture => self.audio_capture = None,
            GraphChange::StopVideoPlayout => self.video_playout = None,
            GraphChange::StopAudioPlayout => self.audio_playout = None,
            GraphChange::StartVideoCapture(shape) => self.video_capture = Some(shape.clone()),
            GraphChange::StartAudioCapture(source) => self.audio_capture = Some(source.clone()),
            GraphChange::StartVideoPlayout(shape) => self.video_playout = Some(shape.clone()),
            GraphChange::StartAudioPlayout(sink) => self.audio_playout = Some(*sink),
            GraphChange::SetBitrate { rung, bitrate } => {
                let rungs = self.video_capture.as_mut().map(|shape| &mut shape.rungs);
                if let Some(rung) = rungs.and_then(|rungs| rungs.get_mut(*rung)) {
                    rung.bitrate = *bitrate;
                }
            }
            GraphChange::SetLegDirections { leg, audio, video } => {
                if let Some(leg) = self.legs.get_mut(leg) {
                    leg.set_directions(*audio, *video);
                }
            }
            GraphChange::SetLegRung { leg, rung } => {
                if let Some(leg) = self.legs.get_mut(leg) {
                    leg.rung = *rung;
                }
            }
        }
    }
}

/// The encode for a leg: the best that the peer decodes and takes, else the smallest.
fn rung_for(stream: &VideoStream, ladder: &[Rung]) -> Option<usize> {
    if !stream.direction.sends() {
        return None;
    }
    let fits_mode = |rung: &Rung| match stream.send_packetization_mode {
        PacketizationMode::SingleNalUnit => rung.max_nal_unit.is_some(),
        PacketizationMode::NonInterleaved => true,
    };
    let fits = |rung: &Rung| {
        stream.max_bitrate.is_none_or(|most| rung.bitrate <= most)
            && H264Level::of(stream.send_profile).takes(rung.resolution, rung.frame_rate)
    };
    let usable = || {
        ladder
            .iter()
            .enumerate()
            .filter(|(_, rung)| fits_mode(rung))
    };
    usable()
        .find(|(_, rung)| fits(rung))
        .or_else(|| usable().next_back())
        .map(|(index, _)| index)
}

fn video_capture(plan: &MediaPlan, legs: &BTreeMap<LegId, LegShape>) -> Option<VideoCaptureShape> {
    legs.values()
        .any(|leg| leg.rung.is_some())
        .then(|| VideoCaptureShape {
            source: plan.camera.source.clone(),
            resolution: plan.camera.resolution,
            frame_rate: plan.camera.frame_rate,
            rungs: plan.ladder.clone(),
        })
}

fn video_playout(plan: &MediaPlan, legs: &BTreeMap<LegId, LegShape>) -> Option<VideoPlayoutShape> {
    let mut far_ends: Vec<LegId> = legs
        .iter()
        .filter(|(_, leg)| leg.directions()[1].is_some_and(Direction::receives))
        .map(|(&id, _)| id)
        .collect();
    let self_view = match plan.layout {
        Layout::Grid => false,
        Layout::Single => {
            far_ends.truncate(1);
            false
        }
        Layout::PictureInPicture => {
            far_ends.truncate(1);
            true
        }
    };
    let sink = plan.playout.video;
    (!far_ends.is_empty()).then_some(VideoPlayoutShape {
        sink,
        far_ends,
        self_view,
    })
}
