//! The words that stand for choices, and the defaults of version 1.

use room::media_plan::{AudioSink, VideoSink};

use crate::guest_settings::{Admit, MediaTcp};
use crate::settings::{
    AutoAnswer, ClientCertificates, ContentSharing, FloorTransport, IceUse, LogFormat, LogLevel,
    MediaKeys, MediaSecurity, Replaces, Transfers, Transport,
};

/// Each word with what it means.
pub(super) type Words<T> = &'static [(&'static str, T)];

/// `source` before it is known whether a file is named.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Simulated,
    File,
    None,
}

/// `second_call` before the number of legs is known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Further {
    Busy,
    Add,
}

pub(super) const SOURCES: Words<Source> = &[
    ("simulated", Source::Simulated),
    ("file", Source::File),
    ("none", Source::None),
];
pub(super) const VIDEO_SINKS: Words<VideoSink> = &[
    ("window", VideoSink::Window),
    ("display", VideoSink::Display),
    ("none", VideoSink::None),
];
pub(super) const AUDIO_SINKS: Words<AudioSink> = &[
    ("loudspeaker", AudioSink::Loudspeaker),
    ("simulated", AudioSink::Simulated),
    ("none", AudioSink::None),
];
pub(super) const TRANSPORTS: Words<Transport> = &[
    ("tls", Transport::Tls),
    ("tcp", Transport::Tcp),
    ("udp", Transport::Udp),
    ("wss", Transport::Wss),
    ("ws", Transport::Ws),
];
pub(super) const CLIENT_CERTIFICATES: Words<ClientCertificates> = &[
    ("off", ClientCertificates::Off),
    ("optional", ClientCertificates::Optional),
    ("required", ClientCertificates::Required),
];
pub(super) const MEDIA_SECURITIES: Words<MediaSecurity> = &[
    ("srtp-required", MediaSecurity::SrtpRequired),
    ("plain-allowed", MediaSecurity::PlainAllowed),
];
pub(super) const MEDIA_KEYS: Words<MediaKeys> = &[
    ("sdes", MediaKeys::Sdes),
    ("dtls-srtp", MediaKeys::DtlsSrtp),
];
pub(super) const ICE_USES: Words<IceUse> = &[
    ("off", IceUse::Off),
    ("answered", IceUse::Answered),
    ("offered", IceUse::Offered),
];
pub(super) const CONTENT_SHARINGS: Words<ContentSharing> =
    &[("on", ContentSharing::On), ("off", ContentSharing::Off)];
pub(super) const FLOOR_TRANSPORTS: Words<FloorTransport> = &[
    ("udp", FloorTransport::Udp),
    ("tls", FloorTransport::Tls),
    ("tcp", FloorTransport::Tcp),
];
pub(super) const AUTO_ANSWERS: Words<AutoAnswer> = &[
    ("never", AutoAnswer::Never),
    ("trusted-when-asked", AutoAnswer::TrustedWhenAsked),
    ("trusted", AutoAnswer::Trusted),
];
pub(super) const TRANSFERS: Words<Transfers> = &[
    ("refused", Transfers::Refused),
    ("allowed", Transfers::Allowed),
];
pub(super) const REPLACES: Words<Replaces> = &[
    ("never", Replaces::Never),
    ("same-party", Replaces::SameParty),
    ("trusted", Replaces::Trusted),
];
pub(super) const SECOND_CALLS: Words<Further> = &[("busy", Further::Busy), ("add", Further::Add)];
pub(super) const ADMITS: Words<Admit> =
    &[("ask", Admit::Ask), ("automatically", Admit::Automatically)];
pub(super) const MEDIA_TCPS: Words<MediaTcp> = &[("on", MediaTcp::On), ("off", MediaTcp::Off)];
pub(super) const LOG_FORMATS: Words<LogFormat> =
    &[("text", LogFormat::Text), ("json", LogFormat::Json)];
pub(super) const LOG_LEVELS: Words<LogLevel> = &[
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

pub(super) const DEFAULT_ROOM_NAME: &str = "Room";
pub(super) const DEFAULT_CAMERA_FRAME_RATE: i64 = 30;
pub(super) const DEFAULT_CAMERA_BITRATE_KBPS: i64 = 2500;
pub(super) const DEFAULT_SLIDES_FRAME_RATE: i64 = 10;
pub(super) const DEFAULT_SLIDES_BITRATE_KBPS: i64 = 1000;
pub(super) const DEFAULT_VOLUME: i64 = 70;
pub(super) const DEFAULT_USER_AGENT: &str = "roomd";
pub(super) const DEFAULT_EXPIRES_S: i64 = 600;
pub(super) const DEFAULT_MAX_LEGS: i64 = 4;
pub(super) const DEFAULT_RING_SECONDS: i64 = 45;
pub(super) const DEFAULT_MAX_GUESTS: i64 = 4;
/// The directory of Let's Encrypt.
pub(super) const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
pub(super) const DEFAULT_LINK_LIFETIME_MINUTES: i64 = 24 * 60;
pub(super) const DEFAULT_MEDIA_TCP_PORT: i64 = 7881;
pub(super) const DEFAULT_WEBSOCKET_PATH: &str = "/";
pub(super) const DEFAULT_SOCKET: &str = "/run/roomd/api.sock";

/// The word for a meaning.
///
/// # Panics
/// When the list lacks a meaning, which the round-trip test would show.
pub(super) fn word<T: Copy + PartialEq>(words: Words<T>, meaning: T) -> String {
    let (word, _) = words
        .iter()
        .find(|(_, candidate)| *candidate == meaning)
        .expect("every meaning has a word");
    (*word).to_owned()
}
