//! What everybody may know about the room: one value, read by every client alike.
//!
//! A snapshot holds no secret: of the streams it tells codecs and directions, never keys.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::codec::{
    AudioCodec, Direction, PacketizationMode, ProfileLevelId, RtcpMode, SrtpSuite, VideoFeedback,
};
use crate::command::Remembered;
use crate::end_explanation::EndExplanation;
use crate::fact::{Certificate, MediaFault, RegistrationState};
use crate::guest::LegKind;
use crate::guest_certificate::GuestCertificate;
use crate::ids::{Generation, LegId};
use crate::leg_state::{CallDirection, HoldChange, LegRefusal, LegState};
use crate::leg_stats::LegStats;
use crate::media_plan::{
    AudioSource, AudioStream, CameraState, Layout, MicrophoneState, VideoSource, VideoStream,
};
use crate::peer::{LegSecurity, Peer};
use crate::policy::MediaPolicy;
use crate::units::{AudioLevel, Volume};

/// The room at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomSnapshot {
    /// Grows whenever anything below changes, and only then.
    pub generation: Generation,
    /// What the room is doing.
    pub state: RoomState,
    /// The legs that are not over, in the order in which they came.
    pub legs: Vec<LegSnapshot>,
    /// The last legs that are over, newest first, so that a client can still show why. At most
    /// [`RoomSnapshot::MAX_LAST_ENDED`].
    pub last_ended: Vec<LegSnapshot>,
    /// Whether the microphone is heard: what was asked for.
    pub microphone: MicrophoneState,
    /// Whether there is a microphone: what was seen.
    pub microphone_device: DeviceState,
    /// Whether the camera is shown: what was asked for.
    pub camera: CameraState,
    /// Whether there is a camera: what was seen.
    pub camera_device: DeviceState,
    /// How far the room's own slides have come, on the leg where they have come farthest.
    pub slides: SlidesSending,
    /// Whether there is a source of slides: what was seen.
    pub slides_device: DeviceState,
    /// The loudspeaker's volume.
    pub volume: Volume,
    /// How the far ends share the screen.
    pub layout: Layout,
    /// The level of the sound that leaves the room.
    pub microphone_level: AudioLevel,
    /// The level of the sound that the loudspeaker plays.
    pub loudspeaker_level: AudioLevel,
    /// How each account stands with its registrar, by the account's name.
    pub registrations: BTreeMap<String, RegistrationState>,
    /// How each account with several outbound proxies stands by each of them, in their order.
    pub registration_flows: BTreeMap<String, Vec<RegistrationState>>,
    /// The last failures of the media graph, newest first. At most
    /// [`RoomSnapshot::MAX_MEDIA_FAULTS`].
    pub media_faults: Vec<MediaFault>,
    /// The plan that was asked for last.
    pub media_wanted: Generation,
    /// The plan that the media graph last reached.
    pub media_applied: Generation,
    /// How long the room's certificates are good for, by their files.
    pub certificates: BTreeMap<String, Certificate>,
    /// How the guests' server stands with who certifies it; `None` where nobody does by ACME.
    pub guest_certificate: Option<GuestCertificate>,
    /// Why the room's memory could last not be stored; `None` when it was.
    pub store_fault: Option<String>,
}

impl RoomSnapshot {
    /// How many ended legs are kept.
    pub const MAX_LAST_ENDED: usize = 8;
    /// How many media failures are kept.
    pub const MAX_MEDIA_FAULTS: usize = 8;

    /// A room in which nothing goes on, before its first media plan is reached.
    pub(crate) fn idle(media: &MediaPolicy, remembered: &Remembered) -> Self {
        Self {
            generation: Generation(1),
            state: RoomState::Idle,
            legs: Vec::new(),
            last_ended: Vec::new(),
            microphone: remembered.microphone,
            microphone_device: DeviceState::of_microphone(&media.microphone),
            camera: remembered.camera,
            camera_device: DeviceState::of_pictures(&media.camera),
            slides: SlidesSending::Off,
            slides_device: DeviceState::of_pictures(&media.slides.source),
            volume: remembered.volume,
            layout: Layout::Single,
            microphone_level: AudioLevel::SILENCE,
            loudspeaker_level: AudioLevel::SILENCE,
            registrations: BTreeMap::new(),
            registration_flows: BTreeMap::new(),
            media_faults: Vec::new(),
            media_wanted: Generation(1),
            media_applied: Generation::default(),
            certificates: BTreeMap::new(),
            guest_certificate: None,
            store_fault: None,
        }
    }

    /// A leg that is not over.
    #[must_use]
    pub fn leg(&self, id: LegId) -> Option<&LegSnapshot> {
        self.legs.iter().find(|leg| leg.id == id)
    }
}

/// What the room is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoomState {
    /// No meeting. A call may be ringing.
    Idle,
    /// At least one leg is being dialed or answered, or is established.
    InMeeting,
    /// The last legs are being ended, or the room is shutting down.
    Leaving,
}

/// What was seen of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceState {
    /// The configuration names none.
    NotConfigured,
    /// It has not been missed.
    Present,
    /// It is missing, or gives nothing.
    Gone,
}

impl DeviceState {
    /// What is known of a configured camera or source of slides before it was missed.
    pub(crate) fn of_pictures(source: &VideoSource) -> Self {
        match source {
            VideoSource::Simulated | VideoSource::File(_) => Self::Present,
            VideoSource::None => Self::NotConfigured,
        }
    }

    /// What is known of a configured microphone before it was missed.
    pub(crate) fn of_microphone(source: &AudioSource) -> Self {
        match source {
            AudioSource::Simulated | AudioSource::File(_) => Self::Present,
            AudioSource::None => Self::NotConfigured,
        }
    }

    /// The device was missed.
    pub(crate) fn gone(&mut self) {
        self.seen(Self::Gone);
    }

    /// The device came back.
    pub(crate) fn back(&mut self) {
        self.seen(Self::Present);
    }

    /// A device that the configuration does not name can be neither missed nor found.
    fn seen(&mut self, seen: Self) {
        match self {
            Self::NotConfigured => {}
            Self::Present | Self::Gone => *self = seen,
        }
    }

    /// The configuration changed. What was seen of a device that stays configured stays known.
    pub(crate) fn reconfigured(&mut self, configured: Self) {
        match (*self, configured) {
            (Self::NotConfigured, _) | (_, Self::NotConfigured) => *self = configured,
            (Self::Present | Self::Gone, Self::Present | Self::Gone) => {}
        }
    }
}

/// One leg at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegSnapshot {
    /// Which leg.
    pub id: LegId,
    /// Whether it is a call or a guest.
    pub kind: LegKind,
    /// Who called.
    pub direction: CallDirection,
    /// The far end.
    pub peer: Peer,
    /// The account of the call; `None` for a guest, and for a placed call of a room without accounts.
    pub account: Option<String>,
    /// Where it stands.
    pub state: LegState,
    /// Whether a hold or resume of ours is being settled.
    pub hold_change: HoldChange,
    /// How it is protected; `None` for a placed call until it is established.
    pub security: Option<LegSecurity>,
    /// The audio stream, while there is one.
    pub audio: Option<AudioSummary>,
    /// The video stream, while there is one.
    pub video: Option<VideoSummary>,
    /// The stream of slides, while there is one.
    pub slides: Option<SlidesSummary>,
    /// The last measurements.
    pub stats: Option<LegStats>,
    /// The keys that the far end pressed last, oldest first; at most 32.
    pub dtmf_received: String,
    /// What was asked of the far end last, if it did not take it.
    pub refused: Option<LegRefusal>,
    /// What the far end said about the end of the leg.
    pub explanation: Option<EndExplanation>,
    /// When the leg came into being.
    pub started: Instant,
    /// When it was established.
    pub established: Option<Instant>,
    /// When the far end's first frame was decoded.
    pub first_frame: Option<Instant>,
    /// When it was over.
    pub ended: Option<Instant>,
}

/// How the packets of a stream travel: its SRTP suite without the keys, and its RTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransportSummary {
    /// What protects what we send; `None` for a plain stream. The peer protects its own by the same
    /// suite (RFC 4568 section 5.1.3).
    pub srtp: Option<SrtpSuite>,
    /// How RTCP is carried.
    pub rtcp: RtcpMode,
    /// The RTCP feedback that both ends take.
    pub feedback: VideoFeedback,
}

/// An audio stream without its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AudioSummary {
    /// The codec.
    pub codec: AudioCodec,
    /// Which way it was settled to flow, seen from us.
    pub direction: Direction,
    /// How its packets travel.
    pub transport: TransportSummary,
}

impl From<&AudioStream> for AudioSummary {
    fn from(stream: &AudioStream) -> Self {
        Self {
            codec: stream.codec,
            direction: stream.direction,
            transport: TransportSummary {
                srtp: stream.srtp.as_ref().map(|keys| keys.local.suite()),
                rtcp: stream.rtcp,
                feedback: VideoFeedback::NONE,
            },
        }
    }
}

/// An H.264 stream without its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VideoSummary {
    /// The highest profile and level that the peer decodes.
    pub send_profile: ProfileLevelId,
    /// How we cut what we send.
    pub send_packetization_mode: PacketizationMode,
    /// Which way it was settled to flow, seen from us.
    pub direction: Direction,
    /// How its packets travel.
    pub transport: TransportSummary,
    /// Whether the far end's picture flows.
    pub flow: VideoFlow,
}

impl VideoSummary {
    pub(crate) fn new(stream: &VideoStream, flow: VideoFlow) -> Self {
        Self {
            send_profile: stream.send_profile,
            send_packetization_mode: stream.send_packetization_mode,
            direction: stream.direction,
            transport: TransportSummary {
                srtp: stream.srtp.as_ref().map(|keys| keys.local.suite()),
                rtcp: stream.rtcp,
                feedback: stream.feedback,
            },
            flow: if stream.direction.receives() {
                flow
            } else {
                VideoFlow::Off
            },
        }
    }
}

/// A stream of slides without its keys. Its flow tells of the far end's slides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlidesSummary {
    /// The stream. Its direction is what was settled; whoever has the floor sends.
    pub stream: VideoSummary,
    /// How far our own slides have come.
    pub sending: SlidesSending,
}

/// How far slides of this room have come on their way to a far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SlidesSending {
    /// They are not shown.
    Off,
    /// They are to be shown as soon as the far end lets this room.
    Waiting,
    /// They are shown.
    Sending,
}

/// Whether the far end's picture flows: what was seen, not what was agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VideoFlow {
    /// The far end sends none: a hold, or what was agreed.
    Off,
    /// No frame was decoded yet.
    Waiting,
    /// Frames are decoded.
    Flowing,
    /// Frames were decoded, but none of late: within a second of the last one at camera rates.
    Stalled,
}
