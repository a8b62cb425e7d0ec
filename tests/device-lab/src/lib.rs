//! The device lab: our drivers against the drivers of a real Linux kernel.
//!
//! A case is a function that runs as root on a kernel of its own, a User-Mode Linux process that
//! boots in a fraction of a second. That kernel has cameras, HDMI inputs, sound cards, buttons and
//! lights which are made of software, but by the kernel's own drivers and interfaces. Each test in
//! `tests/` boots one kernel for one case:
//!
//! ```text
//!   test (on the host)                           kernel (a process of the test)
//!   Lab::run(case) ── starts ──────────────────> root file system: the host's, read-only
//!         │                                      init: device-lab-guest, which mounts /dev,
//!         │ <── console: what is printed ──────  /sys, /tmp ..., runs the case, prints how it
//!         ▼     and how it ended                 went, and switches the machine off
//!   pass or fail
//! ```
//!
//! `cargo xtask device-lab` builds the kernel, and `cargo xtask test --lane device-lab` runs the
//! cases as well. A new case is a function in `cases/`, named in [`cases::ALL`] and in `tests/cases.rs`;
//! a driver that it needs is an option in `kernel.config`, and one that it needs other devices of, a
//! parameter in `lab.rs`.

pub mod cases;
pub mod guest;
mod lab;

pub use lab::Lab;
