//! The real roomd against real peers, on loopback, with real recordings.
//!
//! This library is the harness; the tests are in `tests/`. It starts each program in a folder of its
//! own that vanishes with it, on ports that were free, and ends it by its process id, waiting for
//! the exit before the ports are used again. Nothing sleeps to let time pass: every wait is for an
//! event, a line or a state, within a limit that says what was waited for when it is over.
//!
//! - Programs: [`roomd`] (set up as a [`room_setup`] says), [`baresip`], [`pjsua`], [`sipp`],
//!   [`browser`] with guests in it, [`aiortc`] as one more, [`pebble`] as certificate authority, [`kamailio`] as registrar and as [`edge_proxy`], each a [`child_process`], where it matters in a
//!   [`network_namespace`] of its own, two of them joined by an [`emulated_link`].
//! - What they send each other: [`footage`], [`sound`], [`picture`], and whether it arrived:
//!   [`picture::Luma::psnr`], [`picture::Luma::stamp`], [`sound::Sound::correlation`], [`pesq`].

pub mod aiortc;
pub mod authority;
pub mod baresip;
pub mod browser;
pub mod cache;
pub mod child_process;
pub mod coturn;
pub mod ecdsa_identity;
pub mod edge_proxy;
pub mod emulated_link;
pub mod footage;
pub mod https;
pub mod journal;
pub mod kamailio;
mod netstring;
pub mod network_namespace;
pub mod pebble;
pub mod pesq;
pub mod picture;
pub mod pjsua;
pub mod poll;
pub mod ports;
pub mod process_usage;
pub mod python;
mod python_guest;
pub mod room_setup;
pub mod roomd;
pub mod routed_networks;
pub mod sipp;
pub mod sound;
pub mod supervisor;
pub mod webrtcbin;
