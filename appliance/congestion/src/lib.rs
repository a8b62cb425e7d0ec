//! Sans-IO congestion control and pacing for every kind of leg.
//!
//! A [`Controller`] is told what leaves and what the far end says has arrived, and tells how much may be
//! sent. It owns no socket, no clock and no packet, and knows of no protocol.

mod competition;
mod controller;
mod delay;
mod flight;
mod loss;
mod pacer;
mod units;

pub use competition::Competition;
pub use controller::{Action, Controller, Gate, Limits, PacketReport};
pub use flight::PacketKind;
pub use pacer::{Departure, Pacer};
pub use units::Bitrate;
