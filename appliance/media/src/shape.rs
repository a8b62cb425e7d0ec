//! What is built, as a value: the part of a plan that the graph has to follow.
//!
//! [`GraphShape::wanted`] turns a plan into a shape; [`diff`](crate::diff::diff) compares two.
//! Nothing here touches GStreamer.

use std::collections::BTreeMap;

use room::codec::{Direction, PacketizationMode, RtcpPort};
use room::ids::LegId;
use room::media_plan::{
    AudioSink, AudioSource, CameraState, Layout, LegConnection, LegPlan, LegStreams, MediaPlan,
    MicrophoneState, Rung, RungName, Tone, VideoRole, VideoSink, VideoSource, VideoStream,
};
use room::units::{FrameRate, Resolution, Volume};

use crate::by_role::ByRole;
use crate::diff::GraphChange;

/// What the one encode of the slides is called.
const SLIDES_RUNG: RungName = RungName::High;

/// The whole graph. An idle room has neither capture nor playout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GraphShape {
    pub(crate) camera: CameraState,
    pub(crate) microphone: MicrophoneState,
    pub(crate) volume: Volume,
    pub(crate) tone: Option<Tone>,
    /// The camera and the slides, each with its encodes.
    pub(crate) video_captures: ByRole<Option<VideoCaptureShape>>,
    pub(crate) audio_capture: Option<AudioSource>,
    pub(crate) video_playout: Option<VideoPlayoutShape>,
    pub(crate) audio_playout: Option<AudioSink>,
    pub(crate) legs: BTreeMap<LegId, LegShape>,
}

/// A source of pictures and its encodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VideoCaptureShape {
    pub(crate) source: VideoSource,
    pub(crate) resolution: Resolution,
    pub(crate) frame_rate: FrameRate,
    pub(crate) rungs: BTreeMap<RungName, Rung>,
}

impl VideoCaptureShape {
    /// Whether `other` differs in nothing but its encodes, which come and go while the source gives
    /// pictures.
    pub(crate) fn same_but_rungs(&self, other: &Self) -> bool {
        (&self.source, self.resolution, self.frame_rate)
            == (&other.source, other.resolution, other.frame_rate)
    }
}

/// Whether two encodes differ in nothing but their bitrate, which encoders change while they run.
pub(crate) fn same_but_bitrate(rung: &Rung, other: &Rung) -> bool {
    Rung {
        bitrate: other.bitrate,
        ..*rung
    } == *other
}

/// Where far ends are shown, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VideoPlayoutShape {
    pub(crate) sink: VideoSink,
    pub(crate) far_ends: Vec<LegId>,
    /// Whose slides fill the screen.
    pub(crate) slides: Option<LegId>,
    /// The own camera, small in a corner.
    pub(crate) self_view: bool,
}

/// The directions of a leg's streams; `None` for a refused one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LegDirections {
    pub(crate) audio: Option<Direction>,
    pub(crate) video: ByRole<Option<Direction>>,
}

/// One leg and the encodes that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LegShape {
    pub(crate) streams: LegStreams,
    /// The encode of the camera and that of the slides; `None` while it takes none.
    pub(crate) rungs: ByRole<Option<RungName>>,
}

impl LegShape {
    /// Which way its streams flow.
    pub(crate) fn directions(&self) -> LegDirections {
        LegDirections {
            audio: self.streams.audio.as_ref().map(|audio| audio.direction),
            video: ByRole::new(|role| video_of(&self.streams, role).map(|video| video.direction)),
        }
    }

    /// Follows a hold or its end.
    fn set_directions(&mut self, directions: LegDirections) {
        if let (Some(stream), Some(direction)) = (&mut self.streams.audio, directions.audio) {
            stream.direction = direction;
        }
        let videos = [
            (self.streams.video.as_mut(), directions.video.main),
            (self.streams.slides.as_deref_mut(), directions.video.slides),
        ];
        for (stream, direction) in videos {
            if let (Some(stream), Some(direction)) = (stream, direction) {
                stream.direction = direction;
            }
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
            let main = streams.video.as_mut();
            for video in main.into_iter().chain(streams.slides.as_deref_mut()) {
                video.direction = Direction::Inactive;
                video.rtcp.port = RtcpPort::Own;
                // The plan's choice of the rung keeps to it.
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
            video_captures: ByRole::default(),
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
                let rungs = ByRole::new(|role| rung_of(plan, leg, role));
                let streams = leg.streams.clone();
                (leg.id, LegShape { streams, rungs })
            })
            .collect();
        let sends_audio = legs
            .values()
            .any(|leg| leg.directions().audio.is_some_and(Direction::sends));
        let is_heard =
            plan.playout.tone.is_some() || legs.values().any(|leg| leg.streams.audio.is_some());
        Self {
            camera: plan.camera.state,
            microphone: plan.microphone.state,
            volume: plan.playout.volume,
            tone: plan.playout.tone,
            video_captures: ByRole::new(|role| video_capture(role, plan, &legs)),
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
            GraphChange::StopVideoCapture(role) => *self.video_captures.get_mut(*role) = None,
            GraphChange::StopAudioCapture => self.audio_capture = None,
            GraphChange::StopVideoPlayout => self.video_playout = None,
            GraphChange::StopAudioPlayout => self.audio_playout = None,
            GraphChange::StartVideoCapture(role, shape) => {
                *self.video_captures.get_mut(*role) = Some(shape.clone());
            }
            GraphChange::StartAudioCapture(source) => self.audio_capture = Some(source.clone()),
            GraphChange::StartVideoPlayout(shape) => self.video_playout = Some(shape.clone()),
            GraphChange::StartAudioPlayout(sink) => self.audio_playout = Some(*sink),
            GraphChange::StartEncode { role, name, rung } => {
                if let Some(capture) = self.video_captures.get_mut(*role) {
                    capture.rungs.insert(*name, *rung);
                }
            }
            GraphChange::RetireEncode { role, name } => {
                if let Some(capture) = self.video_captures.get_mut(*role) {
                    capture.rungs.remove(name);
                }
            }
            GraphChange::SetBitrate {
                role,
                name,
                bitrate,
            } => {
                let capture = self.video_captures.get_mut(*role).as_mut();
                if let Some(rung) = capture.and_then(|shape| shape.rungs.get_mut(name)) {
                    rung.bitrate = *bitrate;
                }
            }
            GraphChange::SetLegDirections(leg, directions) => {
                if let Some(leg) = self.legs.get_mut(leg) {
                    leg.set_directions(*directions);
                }
            }
            GraphChange::SetLegRung { leg, role, rung } => {
                if let Some(leg) = self.legs.get_mut(leg) {
                    *leg.rungs.get_mut(*role) = *rung;
                }
            }
        }
    }
}

/// The stream of a leg for one picture; `None` for a refused one.
pub(crate) fn video_of(streams: &LegStreams, role: VideoRole) -> Option<&VideoStream> {
    match role {
        VideoRole::Main => streams.video.as_ref(),
        VideoRole::Slides => streams.slides.as_deref(),
    }
}

/// The encode that a leg takes, as the plan says. A peer that takes packetization mode 0 only gets
/// none whose NAL units do not fit into a packet each.
fn rung_of(plan: &MediaPlan, leg: &LegPlan, role: VideoRole) -> Option<RungName> {
    let stream = video_of(&leg.streams, role).filter(|stream| stream.direction.sends())?;
    let (name, rung) = match role {
        VideoRole::Main => {
            let name = leg.rung?;
            (name, plan.ladder.get(name)?)
        }
        VideoRole::Slides => (SLIDES_RUNG, plan.slides.rung.as_ref()?),
    };
    let fits = match stream.send_packetization_mode {
        PacketizationMode::SingleNalUnit => rung.max_nal_unit.is_some(),
        PacketizationMode::NonInterleaved => true,
    };
    fits.then_some(name)
}

fn video_capture(
    role: VideoRole,
    plan: &MediaPlan,
    legs: &BTreeMap<LegId, LegShape>,
) -> Option<VideoCaptureShape> {
    let needed = legs.values().any(|leg| leg.rungs.get(role).is_some());
    needed.then(|| match role {
        VideoRole::Main => VideoCaptureShape {
            source: plan.camera.source.clone(),
            resolution: plan.camera.resolution,
            frame_rate: plan.camera.frame_rate,
            rungs: plan
                .ladder
                .iter()
                .map(|(name, rung)| (name, *rung))
                .collect(),
        },
        VideoRole::Slides => VideoCaptureShape {
            source: plan.slides.source.clone(),
            resolution: plan.slides.resolution,
            frame_rate: plan.slides.frame_rate,
            rungs: plan
                .slides
                .rung
                .map(|rung| (SLIDES_RUNG, rung))
                .into_iter()
                .collect(),
        },
    })
}

fn receives(leg: &LegShape, role: VideoRole) -> bool {
    let video = video_of(&leg.streams, role);
    video.is_some_and(|video| video.direction.receives())
}

fn video_playout(plan: &MediaPlan, legs: &BTreeMap<LegId, LegShape>) -> Option<VideoPlayoutShape> {
    let connected = |id: LegId| {
        let mut planned = plan.legs.iter();
        planned.any(|leg| leg.id == id && leg.connection == LegConnection::Connected)
    };
    let mut far_ends: Vec<LegId> = legs
        .iter()
        .filter(|&(&id, leg)| receives(leg, VideoRole::Main) && connected(id))
        .map(|(&id, _)| id)
        .collect();
    let slides = plan.playout.slides;
    let slides = slides.filter(|id| {
        let leg = legs.get(id);
        leg.is_some_and(|leg| receives(leg, VideoRole::Slides))
    });
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
    let shows = slides.is_some() || !far_ends.is_empty();
    shows.then_some(VideoPlayoutShape {
        sink,
        far_ends,
        slides,
        self_view,
    })
}
