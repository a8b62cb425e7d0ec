//! Sans-IO WebRTC legs: bytes and `now` in; bytes, events and the next deadline out.
//!
//! The crate owns ICE, DTLS and what a browser's session description settles. It owns no socket, no
//! media and no clock.
//!
//! A [`Leg`] is one browser's connection. What media gives and takes on it are plain RTP and RTCP
//! packets, one SSRC for each [`Medium`](room::media_plan::Medium), as on the leg of a SIP call without
//! SRTP; everything that a browser wants beside them (ICE, DTLS-SRTP, header extensions, retransmission,
//! transport-wide feedback, the data channel) is the leg's.

mod address;
mod allocation_errors;
mod arrived_packets;
mod candidate;
mod capture_clock;
mod description;
mod engine;
mod error;
mod keyframe_gate;
mod leg;
mod numbering;
mod output;
mod rate_limit;
mod redundancy;
mod relay;
mod rtp;
pub mod secure_transport;
mod sent_datagrams;
mod sent_sound;
mod simulcast;
mod stats;
mod streams;
mod tcp_framing;
mod transport_feedback;

pub use address::{AddressKind, LocalAddress, Protocol, Received, TCP_ACTIVE_PORT};
pub use error::Error;
pub use leg::{Leg, LegSettings};
pub use output::{Channel, CloseReason, DatagramKind, Event, Output, Transmit};
pub use relay::{Relay, RelayCredentials, RelayEnd, RelayOutput};
pub use simulcast::SimulcastLayer;
pub use stats::{CandidateKind, CandidatePair, LegStats, StreamStats};
pub use tcp_framing::{
    Deframer, FrameTooLong, LONGEST_FIRST_FRAME, LONGEST_FRAME, addressed_ufrag, length_prefix,
};
pub use transport_feedback::{PacketReport, TransportFeedback};
