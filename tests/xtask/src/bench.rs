//! `cargo xtask bench`: makes the machine ready, builds with optimisation, and runs the benchmark
//! of `tests/bench`, which measures each number beside its anchor.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Result, bail};

use crate::language::Language;
use crate::setup::{self, Purpose};
use crate::{cache, process, web};

/// Runs one area of the benchmark, or all. `congestion --seeds A..B` prints what the congestion controller
/// makes of paths in virtual time, for which neither peers nor a quiet machine are needed.
pub(crate) fn run(language: Language, arguments: &[OsString]) -> Result<()> {
    if arguments.first().is_some_and(|area| area == "congestion") {
        return congestion(language, &arguments[1..]);
    }
    // The anchors are the peers that the tests use.
    setup::prepare(language, &[Purpose::Build, Purpose::Run, Purpose::Test])?;
    // What drives browsers.
    web::prepare()?;
    // In one build, so that all share what they depend on.
    process::run(
        process::cargo()
            .args(["build", "--release", "--locked"])
            .args([
                "--package",
                "roomd",
                "--package",
                "roomctl",
                "--package",
                "bench",
            ]),
    )?;
    // It finds roomd beside itself.
    process::run(Command::new(cache::target_directory().join("release/bench")).args(arguments))
}

fn congestion(language: Language, arguments: &[OsString]) -> Result<()> {
    let seeds = match arguments {
        [] => "0..8".into(),
        [option, seeds] if option == "--seeds" => seeds.clone(),
        _ => bail!(
            "{}",
            language.choose(
                "usage: cargo xtask bench congestion [--seeds A..B]",
                "用法：cargo xtask bench congestion [--seeds A..B]"
            )
        ),
    };
    process::run(
        process::cargo()
            .env("CONGESTION_SEEDS", seeds)
            .args([
                "test",
                "--quiet",
                "--release",
                "--locked",
                "--package",
                "congestion",
            ])
            .args(["--test", "virtual_time", "--", "--ignored", "--nocapture"]),
    )
}
