//! The room's devices: traits, plain types, and simulated devices that stand in for real ones.
//!
//! This crate owns no clock, thread, socket or file. A device is pulled by its one owner (a task of
//! the daemon that paces it); a device that is not there answers with [`DeviceError`], and the owner
//! reports that to the room as a fact. Nobody else touches the device.
//!
//! The simulated devices are a product's backend, not a test's trick: a box without hardware, the
//! demo and the system tests all run on them.
//!
//! Displays and watchdogs have no trait yet: the picture goes to the screen through the media graph,
//! and the service manager's watchdog is fed by the daemon itself.

pub mod audio;
pub mod burnt_clock;
pub mod camera;
pub mod camera_offer;
pub mod controls;
mod error;
pub mod simulated;
pub mod wav;

pub use error::{DeviceError, DeviceKind};
