//! Cases that do not pass, by which the lab itself is tested.

use std::thread;

use anyhow::{Result, bail};

pub(super) fn a_case_that_fails() -> Result<()> {
    bail!("it has a reason")
}

pub(super) fn a_case_that_panics() -> Result<()> {
    panic!("it has a reason")
}

pub(super) fn a_case_that_never_ends() -> Result<()> {
    loop {
        thread::park();
    }
}

/// The kernel panics without its first process.
pub(super) fn a_case_that_kills_the_kernel() -> Result<()> {
    std::process::exit(0)
}
