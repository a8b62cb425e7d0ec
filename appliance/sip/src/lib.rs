//! A SIP endpoint without I/O.
//!
//! Bytes and the time go in; bytes, events and the next deadline come out. The crate owns the grammar of messages,
//! transactions, dialogs, registration, digest, offer/answer and floor control; it owns no socket, no clock and no
//! thread, and takes its randomness from a seed.

pub mod bfcp;
mod body;
mod call;
pub mod dialog;
pub mod digest;
pub mod endpoint;
pub mod error;
pub mod grammar;
pub mod ladder;
pub mod offer_answer;
pub mod registration;
pub mod secret;
pub mod stun;
pub mod transaction;
pub mod transport;
