//! The room's devices on Linux: what is there, by which identity, and what it offers.
//!
//! Media streams the devices through GStreamer's own elements; this crate finds, describes and
//! controls them. It talks to the kernel by files and ioctls, blocks while a driver takes its time,
//! and is therefore called from threads that may block. What drivers and devices say is taken as
//! input from outside: bounded, and never a reason to panic.
//!
//! Only the modules that make ioctls may have unsafe code.

pub mod camera;
mod error;
mod v4l2;

pub use error::Error;
