//! The Binary Floor Control Protocol (RFC 8855): who may show slides.
//!
//! This module owns the messages and the machines of both ends, for one floor. It owns no socket:
//! bytes and the time go in; bytes, events and the next deadline come out. Where the other end is,
//! and the numbers of conference, user and floor, come from the session description (RFC 8856,
//! [`offer_answer`](crate::offer_answer)).
//!
//! ```text
//!   Participant ── FloorRequest, FloorRelease, queries ──► Server ◄── the owner of the room
//!        ▲                                                   │
//!        └────── FloorRequestStatus, FloorStatus ◄───────────┘
//! ```
//!
//! - [`Message`], [`Content`]: what is said; `attribute`, `information`: its parts on the wire.
//! - [`StreamFramer`] finds messages in a byte stream, [`Reassembler`] in datagrams.
//! - [`Participant`] and [`Server`]: the two ends, with their states drawn.
//! - `floor`: the policy. `peer`, `transaction`, `round_trip`, `channel`, [`timers`]: what both are
//!   made of.
//!
//! Terms: a *floor* is the right to show slides; a *participant* asks for it; its *holder* has it;
//! the *chair* decides, here the owner of the room.
//!
//! Out of scope: chairs at the far end (`ChairAction` is understood and refused), several floors,
//! and DTLS. What a transport protects, the caller does; over UDP in the clear whoever can send
//! from the peer's address can take the floor, but no media.

mod attribute;
mod channel;
mod error;
mod floor;
mod fragment;
mod framer;
mod header;
mod identifiers;
mod information;
mod message;
mod participant;
mod peer;
mod primitive;
mod round_trip;
mod server;
pub mod timers;
mod transaction;

pub use error::{DecodeError, ErrorCode, Undecodable};
pub use floor::WhenBusy;
pub use fragment::Reassembler;
pub use framer::{FramingError, StreamFramer};
pub use header::{Fragment, Header, TransactionRole, version_over};
pub use identifiers::{ConferenceId, FloorId, FloorRequestId, TransactionId, UserId};
pub use information::{
    FloorRequestInformation, Priority, QueuedStatus, RequestStatus, StatusInformation,
    UserInformation,
};
pub use message::{Content, Message};
pub use participant::{
    FloorEnd, FloorHolder, Participant, ParticipantEvent, ParticipantOutput, ParticipantSettings,
};
pub use primitive::Primitive;
pub use server::{Server, ServerEvent, ServerOutput, ServerSettings};
