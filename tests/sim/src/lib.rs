//! Whole rooms in one process, in virtual time: the room's machine and the SIP endpoint of each,
//! joined as `roomd` joins them, over a seeded network. A minute of a call takes milliseconds, and
//! the same seed gives the same run.
//!
//! ```text
//!   test ──request──> SimulatedRoom ┐              ┌ SimulatedRoom <──request── test
//!                     Room          │              │ Room
//!                     Endpoint ─────┼── Network ───┼ Endpoint        SIP: datagrams and streams
//!                     ScriptedMedia ┘  (netem)     └ ScriptedMedia   media: datagrams
//!                              World: the clock, and who is where
//! ```
//!
//! Real: `room`, `sip`, and `roomd`'s conversions from configuration to settings and from SIP events
//! to facts, so a room is set up by the text of its configuration. Stand-ins: sockets, TLS
//! handshakes, the store, and the media graph ([`ScriptedMedia`]), whose packets tell by which
//! payload type and key they were sent, so that only truly matching ends see each other.
//!
//! A failing test prints what both rooms did, with the virtual time of each step.

mod connections;
mod journal;
mod media_packet;
mod mirror;
mod scripted_media;
mod setup;
mod simulated_room;
mod unanswered;
mod world;

pub use mirror::mirror_fault;
pub use scripted_media::{MediaCounters, ScriptedMedia};
pub use setup::{AutoAnswer, RoomSetup, SecondCall, Signalling, Transfers};
pub use simulated_room::SimulatedRoom;
pub use world::{RoomName, World};
