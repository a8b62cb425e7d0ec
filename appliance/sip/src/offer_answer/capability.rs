//! What we can do, handed in by the caller: codecs, keys policy, and the ports that are bound.

use std::net::{IpAddr, SocketAddr};

use room::codec::{AudioCodec, PacketizationMode, ProfileLevelId};
use room::media_plan::LegStreams;
use room::units::Bitrate;

use super::content::{
    BfcpTransport, ContentMedia, ContentPorts, ContentSharing, FloorControlMedia,
};
use super::dtls_line::DtlsSrtp;
use super::fingerprint::Fingerprint;
use super::h264::H264Profile;
use super::ice_line::{IceMedia, IceUse};

/// The codecs and the security that a call may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Audio codecs, best first.
    pub audio: Vec<AudioCodec>,
    /// H.264, the one video codec.
    pub video: H264Capabilities,
    /// Whether media without SRTP is acceptable.
    pub security: MediaSecurity,
    /// How our offers exchange the keys of SRTP. Either way is taken of an offer.
    pub media_keys: MediaKeys,
    /// The certificate that we show in the DTLS handshakes of media, or `None` to neither offer nor
    /// accept keys by them.
    pub certificate: Option<Fingerprint>,
    /// Whether the way of media is found by ICE.
    pub ice: IceUse,
    /// Whether slides are offered and taken.
    pub content: ContentSharing,
    /// What our offers of floor control name. Any is taken of an offer.
    pub floor_transport: BfcpTransport,
}

/// What our decoder takes, and how our encoder's stream may be cut into packets.
///
/// Our encoder writes Constrained Baseline, which decoders of every profile in
/// [`decodable_profiles`](Self::decodable_profiles) have to decode (ITU-T H.264 section A.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct H264Capabilities {
    /// The profile that our offers name, and the highest level that we decode.
    pub profile_level: ProfileLevelId,
    /// Further profiles that an offer may name.
    pub decodable_profiles: Vec<H264Profile>,
    /// Packetization modes, best first; each becomes a payload type of our offers.
    pub packetization_modes: Vec<PacketizationMode>,
    /// The most that we take: the `b=` lines of our video.
    pub max_bitrate: Bitrate,
}

impl Default for H264Capabilities {
    /// 720p at 30 frames per second and up to 4 Mbit/s, both packetization modes.
    fn default() -> Self {
        Self {
            profile_level: ProfileLevelId::CONSTRAINED_BASELINE_31,
            decodable_profiles: vec![
                H264Profile::ConstrainedBaseline,
                H264Profile::Baseline,
                H264Profile::Main,
                H264Profile::ConstrainedHigh,
                H264Profile::High,
            ],
            packetization_modes: vec![
                PacketizationMode::NonInterleaved,
                PacketizationMode::SingleNalUnit,
            ],
            max_bitrate: Bitrate::kbps(4_000),
        }
    }
}

/// Which media security a call accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaSecurity {
    /// SRTP or no call: we offer `RTP/SAVP`, or `UDP/TLS/RTP/SAVPF` for keys by DTLS, and refuse lines
    /// without usable keys.
    SrtpRequired,
    /// SRTP where the peer has it, else plain RTP. We offer `RTP/AVP` with keys (RFC 8643).
    PlainAllowed,
}

/// How the keys of SRTP are exchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MediaKeys {
    /// In the session descriptions (RFC 4568): as safe as the signalling that carries them.
    #[default]
    Sdes,
    /// By a DTLS handshake between the media ports (RFC 5763), where there is a certificate for it.
    DtlsSrtp,
}

/// Where our media is received: the ports that the caller has bound already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalMedia {
    /// The address that the peer can reach us at.
    pub address: IpAddr,
    /// The audio ports, or `None` to neither offer nor accept audio.
    pub audio: Option<LocalPort>,
    /// The video ports, or `None` to neither offer nor accept video.
    pub video: Option<LocalPort>,
    /// The ports of content sharing, or `None` to neither offer nor accept it.
    pub content: Option<ContentPorts>,
}

/// The bound ports of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalPort {
    /// RTP.
    pub rtp: u16,
    /// RTCP; announced by `a=rtcp` where it does not follow the RTP port (RFC 3605).
    pub rtcp: u16,
}

/// What offer and answer settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallMedia {
    /// Codecs, payload types, directions and keys. A refused stream is `None`.
    pub streams: LegStreams,
    /// Where the peer wants our media.
    pub remote: RemoteMedia,
    /// Which streams get their keys by a handshake; until then they have none.
    pub dtls: DtlsMedia,
    /// Which streams find their way by ICE; the others go to [`remote`](Self::remote).
    pub ice: IceMedia,
    /// The second video stream, for slides. A refused one is `None`.
    pub content: Option<Box<ContentMedia>>,
    /// Whether every stream is protected.
    pub security: AgreedSecurity,
    /// Whether the peer holds the call.
    pub peer_hold: PeerHold,
}

impl CallMedia {
    /// How it is settled who sends slides.
    #[must_use]
    pub fn floor_control(&self) -> Option<FloorControlMedia> {
        self.content.as_ref()?.floor_control
    }
}

/// Where the peer wants our media, as its description says; the media address latch may learn
/// better from authenticated packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemoteMedia {
    /// Audio, or `None` without a stream or while the peer names no address (`c=0.0.0.0`).
    pub audio: Option<RemotePort>,
    /// Video, or `None` without a stream or while the peer names no address (`c=0.0.0.0`).
    pub video: Option<RemotePort>,
}

/// The handshakes by which streams get their keys, `None` for a stream whose keys the descriptions
/// have, or that has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DtlsMedia {
    /// Audio.
    pub audio: Option<DtlsSrtp>,
    /// Video.
    pub video: Option<DtlsSrtp>,
}

/// The peer's addresses of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemotePort {
    /// RTP.
    pub rtp: SocketAddr,
    /// RTCP: that of RTP where both ends share it, else from `a=rtcp`, else the port after RTP.
    pub rtcp: SocketAddr,
}

/// Whether the agreed media is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AgreedSecurity {
    /// Every stream is SRTP.
    Secured,
    /// At least one stream is plain RTP.
    Plain,
}

/// Whether the peer has put us on hold: it asked us not to send (RFC 3264 section 8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerHold {
    /// The peer takes our media.
    Off,
    /// The peer takes none.
    On,
}
