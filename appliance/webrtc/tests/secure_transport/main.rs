//! Two secure transports on a network in virtual time.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

mod dtls;
mod ice;
mod ice_world;
mod world;
