//! The room: its state machine, and the vocabulary that every other crate shares.
//!
//! This crate is pure. It owns no socket, clock, thread or file: time is handed in, commands and
//! snapshots come out.

pub mod codec;
pub mod ids;
pub mod media_plan;
pub mod units;
