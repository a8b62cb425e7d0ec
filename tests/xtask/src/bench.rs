//! `cargo xtask bench`: makes the machine ready, builds with optimisation, and runs the benchmark
//! of `tests/bench`, which measures each number beside its anchor.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;

use crate::language::Language;
use crate::setup::{self, Purpose};
use crate::{cache, process};

/// Runs one area of the benchmark, or all.
pub(crate) fn run(language: Language, arguments: &[OsString]) -> Result<()> {
    // The anchors are the peers that the tests use.
    setup::prepare(language, &[Purpose::Build, Purpose::Run, Purpose::Test])?;
    // In one build, so that both share what they depend on.
    process::run(
        process::cargo()
            .args(["build", "--release", "--locked"])
            .args(["--package", "roomd", "--package", "bench"]),
    )?;
    // It finds roomd beside itself.
    process::run(Command::new(cache::target_directory().join("release/bench")).args(arguments))
}
