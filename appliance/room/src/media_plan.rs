//! What the media graph should be: declared by the room, brought about by the `media` crate.
//!
//! A plan is a value. Two equal plans ask for the same graph; media compares the wanted plan with
//! the graph that it has and changes only what differs. The plan never says what *is*: that comes
//! back as facts.

use std::path::PathBuf;

use crate::codec::{
    AudioCodec, Direction, PacketizationMode, PayloadType, ProfileLevelId, RtcpMode,
    RtxPayloadTypes, SrtpKeys, VideoFeedback,
};
use crate::ids::{Generation, LegId};
use crate::units::{Bitrate, FrameRate, Resolution, Volume};

/// The whole media graph that the room wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaPlan {
    /// Grows with each new plan.
    pub generation: Generation,
    /// The picture that goes out.
    pub camera: CameraPlan,
    /// The sound that goes out.
    pub microphone: MicrophonePlan,
    /// The encodes of the camera; none while no leg sends video.
    pub ladder: EncodeLadder,
    /// The slides that go out.
    pub slides: SlidesPlan,
    /// One entry for each leg that has media.
    pub legs: Vec<LegPlan>,
    /// How the far ends share the screen.
    pub layout: Layout,
    /// Where picture and sound of the far ends go.
    pub playout: PlayoutPlan,
}

/// The camera: which, in what format, and whether it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraPlan {
    /// Where the picture comes from.
    pub source: VideoSource,
    /// What the picture is converted to before it is encoded.
    pub resolution: Resolution,
    /// Frames per second, after conversion.
    pub frame_rate: FrameRate,
    /// Off sends a slate, so that the far end sees that it is meant.
    pub state: CameraState,
}

/// The slides: where they come from, in what format, and their one encode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlidesPlan {
    /// Where the slides come from.
    pub source: VideoSource,
    /// What they are converted to before they are encoded.
    pub resolution: Resolution,
    /// Frames per second, after conversion.
    pub frame_rate: FrameRate,
    /// The encode; `None` while no leg takes slides of ours.
    pub rung: Option<Rung>,
}

impl SlidesPlan {
    /// No slides at all.
    pub const NONE: Self = Self {
        source: VideoSource::None,
        resolution: Resolution::HD720,
        frame_rate: FrameRate(10),
        rung: None,
    };
}

/// Whether the room shows slides of its own to the far ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SlidesState {
    /// It shows them, as soon as the far ends let it.
    On,
    /// It does not.
    Off,
}

/// Where the outgoing picture comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VideoSource {
    /// Frames that roomd passes in through a bounded channel.
    Simulated,
    /// A recording, played in a loop at its own speed.
    File(PathBuf),
    /// No such device at all.
    None,
}

/// Whether the camera's picture leaves the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CameraState {
    /// The picture is sent.
    On,
    /// A slate is sent.
    Off,
}

/// The microphone: which, and whether it is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MicrophonePlan {
    /// Where the sound comes from.
    pub source: AudioSource,
    /// Muted sends silence: not one sample of the room leaves it.
    pub state: MicrophoneState,
}

/// Where the outgoing sound comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudioSource {
    /// 10 ms frames that roomd passes in through a bounded channel.
    Simulated,
    /// A recording, played in a loop at its own speed.
    File(PathBuf),
    /// No microphone at all.
    None,
}

/// Whether the microphone is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MicrophoneState {
    /// Sound leaves the room.
    Open,
    /// No sound leaves the room.
    Muted,
}

/// One encode of the camera or of the slides, shared by every leg that takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rung {
    /// Size of the encoded picture.
    pub resolution: Resolution,
    /// Encoded frames per second.
    pub frame_rate: FrameRate,
    /// The encoder's target.
    pub bitrate: Bitrate,
    /// Largest NAL unit in bytes. Set when a leg of this rung takes packetization mode 0 only, in
    /// which a NAL unit must fit into one packet.
    pub max_nal_unit: Option<u32>,
}

/// Which encode of the camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RungName {
    /// The picture as the policy wants it, as far as its legs decode it.
    High,
    /// A small picture, for legs that cannot take the high one.
    Low,
}

impl RungName {
    /// All, best first.
    pub const ALL: [Self; 2] = [Self::High, Self::Low];

    /// The name in element names, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Low => "low",
        }
    }
}

/// The encodes of the camera. Each is there while a leg takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EncodeLadder {
    /// The picture as the policy wants it.
    pub high: Option<Rung>,
    /// The small one.
    pub low: Option<Rung>,
}

impl EncodeLadder {
    /// No encode.
    pub const NONE: Self = Self {
        high: None,
        low: None,
    };

    /// One encode for all legs.
    #[must_use]
    pub const fn one(high: Rung) -> Self {
        Self {
            high: Some(high),
            low: None,
        }
    }

    /// The encode of this name.
    #[must_use]
    pub const fn get(&self, name: RungName) -> Option<&Rung> {
        match name {
            RungName::High => self.high.as_ref(),
            RungName::Low => self.low.as_ref(),
        }
    }

    /// The encodes that there are, best first.
    pub fn iter(&self) -> impl Iterator<Item = (RungName, &Rung)> {
        let there = |name| Some((name, self.get(name)?));
        RungName::ALL.into_iter().filter_map(there)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.high.is_none() && self.low.is_none()
    }
}

/// One leg's media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegPlan {
    /// Which leg.
    pub id: LegId,
    /// The encode of the camera that it takes; `None` while it sends no main picture. Slides have
    /// one encode for all.
    pub rung: Option<RungName>,
    /// What offer/answer settled.
    pub streams: LegStreams,
    /// Whether the way to the far end is there.
    pub connection: LegConnection,
}

/// Whether the way to a leg's far end is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LegConnection {
    /// It is being made. What media makes for the leg waits outside of media, and the far end has no place on
    /// the screen yet.
    Connecting,
    /// It is there.
    Connected,
}

/// The streams that offer/answer settled for one leg. A refused stream is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegStreams {
    /// The audio stream.
    pub audio: Option<AudioStream>,
    /// The video stream.
    pub video: Option<VideoStream>,
    /// The second video stream, for slides (RFC 4796). In a plan it sends only while this room
    /// shows its slides.
    pub slides: Option<Box<VideoStream>>,
}

/// A negotiated audio stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioStream {
    /// The codec, the same both ways.
    pub codec: AudioCodec,
    /// The payload type that we send with: the peer's number.
    pub send_payload_type: PayloadType,
    /// The payload type that we receive: our number.
    pub receive_payload_type: PayloadType,
    /// telephone-event (RFC 4733) that we send with, when the peer takes it.
    pub send_telephone_event: Option<PayloadType>,
    /// telephone-event that we receive.
    pub receive_telephone_event: Option<PayloadType>,
    /// The most that the peer takes, from the `b=` lines of the stream, without headers; `None` where
    /// it said nothing.
    pub max_bitrate: Option<Bitrate>,
    /// Which way it flows, holds included.
    pub direction: Direction,
    /// Whether lost packets are sent again on request (RFC 4585 section 6.2.1), so that those of the peer are
    /// worth waiting for.
    pub generic_nack: bool,
    /// SRTP keys, or `None` for a plain leg.
    pub srtp: Option<SrtpKeys>,
    /// How RTCP is carried.
    pub rtcp: RtcpMode,
}

/// A negotiated H.264 stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoStream {
    /// How we must cut what we send.
    pub send_packetization_mode: PacketizationMode,
    /// The highest profile and level that the peer decodes.
    pub send_profile: ProfileLevelId,
    /// The payload type that we send with: the peer's number.
    pub send_payload_type: PayloadType,
    /// The payload type that we receive: our number.
    pub receive_payload_type: PayloadType,
    /// Which way it flows, holds included.
    pub direction: Direction,
    /// The most that the peer takes, from `b=` lines; `None` where it said nothing.
    pub max_bitrate: Option<Bitrate>,
    /// The RTCP feedback that both ends take.
    pub feedback: VideoFeedback,
    /// How lost packets are sent again, where `feedback` has `nack`; `None` sends the packets
    /// themselves once more.
    pub rtx: Option<RtxPayloadTypes>,
    /// SRTP keys, or `None` for a plain leg.
    pub srtp: Option<SrtpKeys>,
    /// How RTCP is carried.
    pub rtcp: RtcpMode,
}

/// What a picture of a call shows (RFC 4796).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VideoRole {
    /// The people in a room: its camera's picture.
    Main,
    /// Slides.
    Slides,
}

impl VideoRole {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Main, Self::Slides];
}

/// The kind of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Medium {
    /// Sound.
    Audio,
    /// The main picture.
    Video,
    /// Slides: the second picture (RFC 4796).
    Slides,
}

impl Medium {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Audio, Self::Video, Self::Slides];

    /// The stream that carries a picture.
    #[must_use]
    pub const fn of_video(role: VideoRole) -> Self {
        match role {
            VideoRole::Main => Self::Video,
            VideoRole::Slides => Self::Slides,
        }
    }

    /// Which picture the stream carries; `None` for sound.
    #[must_use]
    pub const fn video_role(self) -> Option<VideoRole> {
        match self {
            Self::Audio => None,
            Self::Video => Some(VideoRole::Main),
            Self::Slides => Some(VideoRole::Slides),
        }
    }

    /// The name in element names and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Slides => "slides",
        }
    }
}

/// How the far ends share the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// One far end fills the screen.
    Single,
    /// All far ends side by side, equally large.
    Grid,
    /// The far end, with the own camera small in a corner.
    PictureInPicture,
}

/// Where picture and sound of the far ends go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayoutPlan {
    /// Where the picture goes.
    pub video: VideoSink,
    /// Where the sound goes.
    pub audio: AudioSink,
    /// Loudspeaker volume.
    pub volume: Volume,
    /// What the loudspeaker plays of a call that is not answered yet.
    pub tone: Option<Tone>,
    /// The leg whose slides fill the screen. The far ends' pictures then lie small in a corner.
    pub slides: Option<LegId>,
}

/// A tone that tells people in the room how a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tone {
    /// Somebody calls this room.
    Ringing,
    /// Somebody calls while the room is in a meeting.
    CallWaiting,
    /// The far end, which this room calls, rings.
    Ringback,
}

/// Where the far ends' picture goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VideoSink {
    /// A window of the desktop.
    Window,
    /// A whole display, without a desktop.
    Display,
    /// Decoded and timed as if shown, shown nowhere.
    None,
}

/// Where the far ends' sound goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AudioSink {
    /// The default sound card.
    Loudspeaker,
    /// Frames that roomd takes through a bounded channel, in playout time.
    Simulated,
    /// Played in time, heard nowhere.
    None,
}
