//! Offer and answer (RFC 3264): session descriptions in and out, agreed streams out.
//!
//! This module owns what one dialog has offered and agreed. It owns no socket: ports are bound by
//! the caller before it offers or answers. Codecs are Opus, G.722, G.711, telephone-event and
//! H.264; keys are exchanged by SDES (RFC 4568), or by a DTLS handshake that the caller holds with
//! the certificate that is agreed here (RFC 5763). Where content sharing is on, a second video line
//! carries slides (RFC 4796) and a line of BFCP says who may send them (RFC 8856). Lines of any
//! other kind, far-end camera control (RFC 4573) among them, are refused with port 0 and kept, so
//! that line numbers never move.
//!
//! - [`Session`]: the machine of one dialog.
//! - [`Capabilities`] and [`LocalMedia`]: what we can do and where; [`CallMedia`]: the outcome.
//! - `local`: our description; `remote`: reading the peer's; `agreement`: the outcome of the two.
//! - `line_kind`: what a line of the peer is for; `floor_line`: the line of BFCP.
//! - [`h264`]: profiles, levels and `a=fmtp`; `crypto`: `a=crypto`; `dtls_line`: `a=setup`; `ice_line`:
//!   `a=candidate`.
//!
//! RTCP shares the port of RTP and may travel without reports where both ends say so (RFC 5761, RFC
//! 5506), and pictures are asked for, and bitrates set, by the feedback that both list (RFC 4585, RFC
//! 5104), whatever the profile of the line: our offers name the profiles that every system knows.
//! Packets that the feedback names as lost are sent again by a payload type of its own where both have
//! one (RFC 4588). Which source sends them is not said by `a=ssrc-group`: whoever asks for a packet knows
//! it by its number (RFC 4588 section 5.3), and sources change without an offer.
//!
//! Out of scope: trickled candidates (RFC 8840), DTLS-SRTP without a shared port of RTP and RTCP, BFCP over DTLS, and RTP over TCP.

mod agreement;
mod capability;
mod content;
mod crypto;
mod dtls_line;
mod error;
mod fingerprint;
mod floor_line;
pub mod h264;
mod ice_line;
mod line_kind;
mod local;
mod remote;
mod session;

pub use capability::{
    AgreedSecurity, CallMedia, Capabilities, DtlsMedia, H264Capabilities, LocalMedia, LocalPort,
    MediaKeys, MediaSecurity, PeerHold, RemoteMedia, RemotePort,
};
pub use content::{
    BfcpTcp, BfcpTransport, ContentMedia, ContentPorts, ContentSharing, FirstChoice,
    FloorConnection, FloorControlMedia, FloorControlRole, FloorIds, TcpSetup,
};
pub use dtls_line::{DtlsSetup, DtlsSrtp};
pub use error::{LineRefusal, SdpError};
pub use fingerprint::Fingerprint;
pub use ice_line::{
    IceCandidate, IceCandidateKind, IceComponent, IceCredentials, IceMedia, IceRole, IceStream,
    IceUse,
};
pub use remote::described_address;
pub use session::Session;
