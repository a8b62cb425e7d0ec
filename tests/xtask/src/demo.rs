//! `cargo xtask demo`: makes the machine ready, builds, and hands over to the demo itself.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::language::Language;
use crate::setup::{self, Purpose};
use crate::{cache, process};

/// The binaries that the demo starts.
struct Binaries {
    roomd: PathBuf,
    roomctl: PathBuf,
}

/// Shows two rooms in a call.
pub(crate) fn run(language: Language, arguments: &[OsString]) -> Result<()> {
    setup::prepare(language, &[Purpose::Build, Purpose::Run])?;
    let binaries = build(language)?;
    show(&binaries, arguments)
}

fn build(language: Language) -> Result<Binaries> {
    println!(
        "{}",
        language.choose("Building roomd ...", "正在编译 roomd……")
    );
    process::run(
        process::cargo()
            .args(["build", "--release", "--locked"])
            .args(["--package", "roomd", "--package", "roomctl"]),
    )?;
    let folder = cache::target_directory().join("release");
    Ok(Binaries {
        roomd: folder.join("roomd"),
        roomctl: folder.join("roomctl"),
    })
}

/// The demo runs in a process of its own, since this crate imports nothing of the product.
fn show(binaries: &Binaries, arguments: &[OsString]) -> Result<()> {
    process::run(
        Command::new(&binaries.roomd)
            .arg("demo")
            .arg(&binaries.roomctl)
            .args(arguments),
    )
}
