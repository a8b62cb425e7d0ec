//! Sans-IO WebRTC legs: bytes and `now` in; bytes, events and the next deadline out.
//!
//! The crate owns ICE, DTLS and what a browser's session description settles. It owns no socket, no
//! media and no clock.

mod error;

pub use error::Error;
