//! Offer and answer (RFC 3264): session descriptions in and out, agreed streams out.
//!
//! This module owns what one dialog has offered and agreed. It owns no socket: ports are bound by
//! the caller before it offers or answers. Codecs are Opus, G.722, G.711, telephone-event and
//! H.264; keys are exchanged by SDES (RFC 4568). Lines of any other kind are refused with port 0
//! and kept, so that line numbers never move.
//!
//! - [`Session`]: the machine of one dialog.
//! - [`Capabilities`] and [`LocalMedia`]: what we can do and where; [`CallMedia`]: the outcome.
//! - `local`: our description; `remote`: reading the peer's; `agreement`: the outcome of the two.
//! - [`h264`]: profiles, levels and `a=fmtp`; `crypto`: `a=crypto`.
//!
//! Out of scope: ICE, DTLS-SRTP (the `webrtc` crate has both), BFCP, RTP over TCP, and
//! `a=rtcp-mux` (RTP and RTCP have a port each).

mod agreement;
mod capability;
mod crypto;
mod error;
pub mod h264;
mod local;
mod remote;
mod session;

pub use capability::{
    AgreedSecurity, CallMedia, Capabilities, H264Capabilities, LocalMedia, LocalPort,
    MediaSecurity, PeerHold, RemoteMedia, RemotePort,
};
pub use error::{LineRefusal, SdpError};
pub use session::Session;
