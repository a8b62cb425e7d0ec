//! The room at one moment, as clients see it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::guest_certificate::GuestCertificate;

pub use crate::call_end::{EndExplanation, EndReason, LegRefusal};

/// The room at one moment.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Snapshot {
    /// Grows whenever anything else here changes.
    pub generation: u64,
    /// What the room is doing.
    pub state: RoomState,
    /// The legs that are not over, in the order in which they came.
    pub legs: Vec<Leg>,
    /// The last legs that are over, newest first.
    pub last_ended: Vec<Leg>,
    /// The microphone.
    pub microphone: Microphone,
    /// The camera.
    pub camera: Camera,
    /// The slides: a second picture that the room shows in a call.
    #[serde(default)]
    pub slides: Slides,
    /// The loudspeaker.
    pub loudspeaker: Loudspeaker,
    /// How the far ends share the screen.
    pub layout: Layout,
    /// How each account stands with its registrar, by the account's name.
    pub registrations: BTreeMap<String, RegistrationState>,
    /// How each account with several outbound proxies stands by each of them, in their order. One that
    /// works is enough to be called.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub registration_flows: BTreeMap<String, Vec<RegistrationState>>,
    /// The last failures of the media graph, newest first.
    pub media_faults: Vec<MediaFault>,
    /// The generation of the media plan that is wanted.
    pub media_wanted: u64,
    /// The generation of the media plan that was last reached.
    pub media_applied: u64,
    /// How long the room's certificates are good for, by their files.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub certificates: BTreeMap<String, Certificate>,
    /// How the guests' server stands with who certifies it; absent where nobody does by ACME.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_certificate: Option<GuestCertificate>,
    /// Why what must survive a restart could last not be stored; absent when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_fault: Option<String>,
}

/// A certificate by which the room proves itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Certificate {
    /// Whether it is good now, by the clock of the room.
    pub validity: CertificateValidity,
    /// The end of its time, in milliseconds since 1970.
    pub not_after_unix_ms: u64,
}

/// Whether a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CertificateValidity {
    /// For longer than a month.
    Good,
    /// For less than a month.
    ExpiresSoon,
    /// Its time is over: peers refuse it.
    Expired,
    /// Its time has not begun. Most likely the room's clock is wrong.
    NotYetValid,
}

/// What the room is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoomState {
    /// No meeting. A call may be ringing.
    Idle,
    /// At least one leg is being dialed or answered, or is established.
    InMeeting,
    /// The last legs are being ended, or the room is shutting down.
    Leaving,
}

/// The microphone: what is asked for, and what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Microphone {
    /// Whether it is heard.
    pub state: MicrophoneState,
    /// Whether it is there.
    pub device: DeviceState,
    /// The level of the sound that leaves the room, -100 to 0.
    pub level_dbfs: f64,
}

/// Whether the microphone is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MicrophoneState {
    /// Sound leaves the room.
    Open,
    /// No sound leaves the room.
    Muted,
}

/// The camera: what is asked for, and what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Camera {
    /// Whether its picture leaves the room.
    pub state: CameraState,
    /// Whether it is there.
    pub device: DeviceState,
}

/// Whether the camera's picture leaves the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CameraState {
    /// The picture is sent.
    On,
    /// A slate is sent.
    Off,
}

/// The room's own slides: how far they have come, and what was seen of their source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Slides {
    /// How far they have come, on the leg where they have come farthest.
    pub sending: SlidesSending,
    /// Whether their source is there.
    pub device: DeviceState,
}

/// A room without slides.
impl Default for Slides {
    fn default() -> Self {
        Self {
            sending: SlidesSending::Off,
            device: DeviceState::NotConfigured,
        }
    }
}

/// Whether the room is to show slides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SlidesState {
    /// It shows them, as soon as the far ends let it.
    On,
    /// It does not.
    Off,
}

/// How far slides of this room have come on their way to a far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SlidesSending {
    /// They are not shown.
    Off,
    /// They are to be shown as soon as the far end lets this room.
    Waiting,
    /// They are shown.
    Sending,
}

/// What was seen of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    /// The configuration names none.
    NotConfigured,
    /// It has not been missed.
    Present,
    /// It is missing, or gives nothing.
    Gone,
}

/// The loudspeaker.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Loudspeaker {
    /// 0 (silent) to 100 (full).
    pub volume_percent: u8,
    /// The level of the sound that it plays, -100 to 0.
    pub level_dbfs: f64,
}

/// How the far ends share the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// One far end fills the screen.
    Single,
    /// All far ends side by side, equally large.
    Grid,
    /// The far end, with the own camera small in a corner.
    PictureInPicture,
}

/// A failure in the media graph.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct MediaFault {
    /// The leg whose media is concerned; absent for capture and playout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leg: Option<u32>,
    /// The element that failed.
    pub element: String,
    /// What it said.
    pub text: String,
}

/// How an account stands with its registrar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum RegistrationState {
    /// Not registered, and not wanted to be.
    Unregistered,
    /// Asked; no answer yet.
    Registering,
    /// The account can be called.
    Registered,
    /// The last attempt failed; it is tried again.
    Failed {
        /// Why.
        reason: RegistrationFailure,
    },
    /// The registrar has forbidden the account, or refused the credentials repeatedly; it is not asked
    /// again.
    Locked,
}

/// Why a registration failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum RegistrationFailure {
    /// The registrar could not be reached.
    Unreachable,
    /// The registrar's certificate was not accepted.
    CertificateRefused,
    /// Who answered failed to prove that it knows the password: perhaps not the registrar.
    ServerUnproven,
    /// The registrar did not answer in time.
    TimedOut,
    /// The credentials were refused.
    AuthenticationFailed,
    /// The registrar asked for a password, and the account has none.
    PasswordMissing,
    /// Refused for another reason.
    Refused {
        /// The SIP status code of the answer.
        status: u16,
    },
}

/// What a leg is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LegKind {
    /// A SIP call.
    Sip,
    /// A guest, from a browser, by a link.
    Guest,
}

/// One leg of the meeting.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Leg {
    /// Which leg; unique until roomd restarts.
    pub id: u32,
    /// Whether it is a call or a guest.
    pub kind: LegKind,
    /// Who called.
    pub direction: CallDirection,
    /// The far end.
    pub peer: Peer,
    /// The account of the call; absent for a guest, and when the room has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Where it stands.
    pub state: LegState,
    /// How it is protected; absent for a placed call until it is established.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<LegSecurity>,
    /// The audio stream, while there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<Audio>,
    /// The video stream, while there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video: Option<Video>,
    /// The stream of slides, while there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slides: Option<LegSlides>,
    /// From the far end's capture to our decoded frame, where its picture carries a clock of this
    /// machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture_to_decode_ms: Option<f64>,
    /// Round trip by RTCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_ms: Option<f64>,
    /// The keys that the far end pressed last, oldest first.
    pub dtmf_received: String,
    /// What was asked of the far end last, if it did not take it; the call goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<LegRefusal>,
    /// What the far end said about the end of the leg, where it said anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<EndExplanation>,
    /// When it came into being.
    pub started_unix_ms: u64,
    /// When it was established.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub established_unix_ms: Option<u64>,
    /// When the far end's first frame was decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_frame_unix_ms: Option<u64>,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_unix_ms: Option<u64>,
}

/// Who called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallDirection {
    /// The far end.
    Incoming,
    /// This room.
    Outgoing,
}

/// The far end, as it names itself: text of a stranger.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Peer {
    /// Its address.
    pub uri: String,
    /// The name that it gives itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// Where a leg stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum LegState {
    /// The far end calls; the room rings.
    Incoming,
    /// Answered here; being settled with the far end.
    Answering,
    /// Called; the far end has not rung yet.
    Dialing,
    /// The far end rings.
    Ringing,
    /// Not answered yet, but the far end already sends media.
    Early,
    /// In the meeting.
    Established,
    /// In the meeting, with the media paused.
    Held {
        /// The side that paused it.
        by: HeldBy,
    },
    /// Hung up or refused here; not confirmed yet.
    Ending {
        /// Why.
        reason: EndReason,
    },
    /// Over.
    Ended {
        /// Why.
        reason: EndReason,
    },
}

/// Which side paused the media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeldBy {
    /// This room.
    Local,
    /// The far end.
    Remote,
    /// Both sides.
    Both,
}

/// How a leg is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
pub struct LegSecurity {
    /// The signalling path to the next hop.
    pub signalling: Protection,
    /// Every media stream of the leg.
    pub media: Protection,
}

/// Whether a path can be read and changed on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// Encrypted and authenticated.
    Encrypted,
    /// Readable by anyone on the path.
    Plain,
}

/// An audio stream.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Audio {
    /// The codec: `opus`, `G722`, `PCMU` or `PCMA`.
    pub codec: String,
    /// Which way it flows, seen from the room.
    pub direction: Direction,
    /// How its packets travel.
    #[serde(default)]
    pub transport: MediaTransport,
    /// The last measurements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats: Option<StreamStats>,
}

/// How the packets of a stream travel, as it was settled with the far end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct MediaTransport {
    /// The SRTP suite, by its registered name, as `AEAD_AES_256_GCM`; absent for a plain stream.
    /// Keys are shown nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub srtp_suite: Option<String>,
    /// Whether RTCP shares the port of RTP (RFC 5761).
    #[serde(default)]
    pub rtcp_mux: bool,
    /// Whether feedback may travel without reports (RFC 5506).
    #[serde(default)]
    pub rtcp_reduced_size: bool,
    /// The RTCP feedback that both ends take: `nack`, `nack pli`, `ccm fir`, `ccm tmmbr`,
    /// `ack ccfb`, `goog-remb`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rtcp_feedback: Vec<String>,
}

/// An H.264 stream.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Video {
    /// The codec: `H264`.
    pub codec: String,
    /// The highest profile and level that the peer decodes, as six hexadecimal digits.
    pub profile_level_id: String,
    /// 0 or 1: how the room cuts what it sends.
    pub packetization_mode: u8,
    /// Which way it flows, seen from the room.
    pub direction: Direction,
    /// How its packets travel.
    #[serde(default)]
    pub transport: MediaTransport,
    /// Whether the far end's picture flows.
    pub flow: VideoFlow,
    /// The last measurements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats: Option<VideoStats>,
}

/// The stream of slides of a leg: one side at a time shows some.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct LegSlides {
    /// The stream. Its flow tells of the far end's slides, its direction what was settled.
    #[serde(flatten)]
    pub stream: Video,
    /// How far the room's own slides have come.
    pub sending: SlidesSending,
    /// From the far end's capture to our decoded frame, where its slides carry a clock of this
    /// machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture_to_decode_ms: Option<f64>,
}

/// Which way a stream flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// From the room only.
    SendOnly,
    /// To the room only.
    RecvOnly,
    /// Neither way.
    Inactive,
}

/// Whether the far end's picture flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
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

/// Packets, bits and time of a stream. Rates and loss are of the last interval, counts are since
/// the stream began. Packets and rates are of RTP alone: RTCP counts in neither.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct StreamStats {
    /// Sent, without IP and UDP headers.
    pub send_bps: u64,
    /// Received, without IP and UDP headers.
    pub receive_bps: u64,
    /// Packets sent.
    pub packets_sent: u64,
    /// Packets received.
    pub packets_received: u64,
    /// Packets that never came or came too late.
    pub packets_lost: u64,
    /// The part of the expected packets that was lost, 0 to 1.
    pub loss: f64,
    /// The loss that the peer last reported of what the room sends, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_loss: Option<f64>,
    /// Interarrival jitter.
    pub jitter_ms: f64,
    /// The jitter that the peer last reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_jitter_ms: Option<f64>,
    /// How long the jitter buffer holds packets.
    pub jitter_buffer_ms: f64,
    /// Datagrams dropped because a channel was full.
    pub datagrams_dropped: u64,
}

/// The measurements of a video stream.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct VideoStats {
    /// Packets, bits and time.
    #[serde(flatten)]
    pub stream: StreamStats,
    /// Encoded frames handed to this leg, per second.
    pub sent_fps: f64,
    /// Decoded frames of this leg, per second.
    pub received_fps: f64,
    /// Size of the sent picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_resolution: Option<Resolution>,
    /// The encode of the camera or the slides that the leg takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rung: Option<Rung>,
    /// Size of the last decoded picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_resolution: Option<Resolution>,
    /// Gaps between shown frames above 183 ms.
    pub freezes: u32,
    /// The sum of those gaps.
    pub frozen_ms: f64,
    /// Keyframes that the peer asked for.
    pub keyframes_requested_by_peer: u32,
    /// Keyframes that the room asked the peer for.
    pub keyframes_requested: u32,
    /// Lost packets that the room asked the peer for, each time that it did.
    pub retransmissions_requested: u64,
    /// Those that came.
    pub retransmissions_received: u64,
    /// Packets that the peer asked for and the room sent again.
    pub retransmissions_sent: u64,
    /// The encoder at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<String>,
    /// The decoder at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder: Option<String>,
}

/// An encode that legs share, and what it is to be. Its size is the sent resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
pub struct Rung {
    /// Which one.
    pub name: RungName,
    /// Frames per second.
    pub fps: u32,
    /// The encoder's target, in bits per second.
    pub target_bps: u64,
}

/// Which encode of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RungName {
    /// The picture as configured, as far as its far ends take it. That of slides is always this one.
    High,
    /// A small picture for far ends that cannot take the high one.
    Low,
}

/// Width and height of a picture in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
pub struct Resolution {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl std::fmt::Display for Resolution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}
