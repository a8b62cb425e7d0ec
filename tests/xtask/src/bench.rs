//! `cargo xtask bench`: makes the machine ready, builds with optimisation, and runs the benchmark
//! of `tests/bench`, which measures each number beside its anchor.

use std::ffi::OsString;

use anyhow::Result;

use crate::language::Language;
use crate::process;
use crate::setup::{self, Purpose};

/// Runs one area of the benchmark, or all.
pub(crate) fn run(language: Language, arguments: &[OsString]) -> Result<()> {
    // The anchors are the peers that the tests use.
    setup::prepare(language, &[Purpose::Build, Purpose::Run, Purpose::Test])?;
    process::run(
        process::cargo()
            .args(["build", "--release", "--locked"])
            .args(["--package", "roomd", "--package", "roomctl"]),
    )?;
    process::run(
        process::cargo()
            .args(["run", "--release", "--locked", "--package", "bench", "--"])
            .args(arguments),
    )
}
