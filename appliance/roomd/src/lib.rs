//! The room service: the I/O shell around the pure machines.
//!
//! It owns what the other crates must not: sockets, the clock, files, tasks. One driver task holds
//! the room and the SIP endpoint, feeds them bytes, facts and requests with the time, and carries
//! out their commands. Everything else reports to it through bounded channels.

pub mod certificate;
pub mod command_line;
pub mod error;
pub mod logging;
pub mod media_ports;
pub mod service_notification;
pub mod sip_sockets;
