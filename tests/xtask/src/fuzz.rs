//! `cargo xtask fuzz`: libFuzzer on the stable compiler, one target for each parser.
//!
//! The targets are the files of `tests/fuzz/fuzz_targets`; their seeds lie in
//! `tests/fuzz/corpus/TARGET`. What a run finds is kept in `target/fuzz`: new inputs in `corpus`,
//! inputs that crash a parser in `artifacts`, what libFuzzer printed in `logs`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::language::Language;
use crate::setup::{self, Purpose};
use crate::{cache, process};

/// What a smoke run takes at most, its build included when that is not cold, whatever the number
/// of targets.
const SMOKE_BUDGET: Duration = Duration::from_secs(150);

/// All targets together run at least that long, however long the build took.
const SMOKE_RUN_MINIMUM: Duration = Duration::from_secs(60);

/// Coverage instrumentation as libFuzzer wants it, which the stable compiler can do through LLVM's
/// own switches; and the checks of a debug build, since a wrapped subtraction is a bug found.
const RUST_FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cdebug-assertions -Coverflow-checks";

/// Fuzzes one target until it is stopped, or with `--smoke` all (or one) for a short while.
pub(crate) fn run(language: Language, arguments: &[OsString]) -> Result<()> {
    setup::prepare(language, &[Purpose::Build, Purpose::Run, Purpose::Test])?;
    let words: Vec<_> = arguments
        .iter()
        .map(|word| word.to_string_lossy())
        .collect();
    match words
        .iter()
        .map(AsRef::as_ref)
        .collect::<Vec<&str>>()
        .as_slice()
    {
        ["--smoke"] => smoke(language),
        ["--smoke", target] => smoke_of(language, &[known(language, target)?]),
        [target] if !target.starts_with('-') => {
            let target = known(language, target)?;
            let programs = build()?;
            process::run(&mut command(&programs, &target)?)
        }
        _ => bail!(
            "{}{}",
            language.choose(
                "usage: cargo xtask fuzz --smoke [TARGET] | TARGET\n  TARGET: ",
                "用法：cargo xtask fuzz --smoke [目标] | 目标\n  目标：",
            ),
            targets()?.join(", ")
        ),
    }
}

/// A short run of every target.
pub(crate) fn smoke(language: Language) -> Result<()> {
    smoke_of(language, &targets()?)
}

fn smoke_of(language: Language, targets: &[String]) -> Result<()> {
    ensure!(!targets.is_empty(), "there is no fuzz target");
    let started = Instant::now();
    let programs = build()?;
    let each = time_for_each(started.elapsed(), targets.len());
    for target in targets {
        let runs = run_bounded(&programs, target, each)?;
        println!(
            "{target}: {runs} {} {} s",
            language.choose("inputs in", "个输入，用时"),
            each.as_secs()
        );
    }
    Ok(())
}

/// Whole seconds for each target, at least one (libFuzzer takes 0 for "for ever").
fn time_for_each(build: Duration, targets: usize) -> Duration {
    let budget = SMOKE_BUDGET.saturating_sub(build).max(SMOKE_RUN_MINIMUM);
    let seconds = budget.as_secs() / u64::try_from(targets).unwrap_or(u64::MAX).max(1);
    Duration::from_secs(seconds.clamp(1, 30))
}

fn run_bounded(programs: &Path, target: &str, time: Duration) -> Result<u64> {
    let log = folder("logs")?.join(target);
    let output =
        std::fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let status = command(programs, target)?
        .arg(format!("-max_total_time={}", time.as_secs()))
        .stdout(Stdio::null())
        .stderr(output)
        .status()
        .with_context(|| format!("cannot start fuzz target {target}"))?;
    let printed = std::fs::read(&log)?;
    let printed = String::from_utf8_lossy(&printed);
    if !status.success() {
        let lines: Vec<&str> = printed.lines().collect();
        let tail = lines.len().saturating_sub(40);
        bail!(
            "fuzz target {target} failed ({status}):\n{}",
            lines[tail..].join("\n")
        );
    }
    runs_done(&printed).with_context(|| format!("{target} ran nothing: see {}", log.display()))
}

/// Reads libFuzzer's closing `Done 12345 runs in 10 second(s)`; `None` also for no run at all.
fn runs_done(printed: &str) -> Option<u64> {
    let line = printed
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("Done "))?;
    line.split_once(" runs in ")?
        .0
        .parse()
        .ok()
        .filter(|runs| *runs > 0)
}

fn command(programs: &Path, target: &str) -> Result<Command> {
    let mut artifacts = folder("artifacts")?.join(target).into_os_string();
    artifacts.push("-");
    let mut artifact_prefix = OsString::from("-artifact_prefix=");
    artifact_prefix.push(artifacts);
    let found = folder("corpus")?.join(target);
    std::fs::create_dir_all(&found)?;
    let mut command = Command::new(programs.join(target));
    command
        .arg(artifact_prefix)
        .args(["-timeout=10", "-rss_limit_mb=2048"])
        .arg(found);
    // The committed seeds come second: libFuzzer writes into the first folder only.
    let seeds = fuzz_crate().join("corpus").join(target);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    Ok(command)
}

/// Builds all targets at once and returns the folder that they are in.
fn build() -> Result<PathBuf> {
    let triple = host_triple()?;
    let folder = folder("build")?;
    process::run(
        cargo()
            .args([
                "build",
                "--release",
                "--locked",
                "--bins",
                "--target",
                &triple,
            ])
            .arg("--target-dir")
            .arg(&folder)
            .env("RUSTFLAGS", RUST_FLAGS),
    )?;
    Ok(folder.join(triple).join("release"))
}

/// The names of all targets, sorted.
fn targets() -> Result<Vec<String>> {
    let folder = fuzz_crate().join("fuzz_targets");
    let entries =
        std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(
                path.file_stem()
                    .map(|name| name.to_string_lossy().into_owned()),
            );
        }
    }
    names.sort();
    Ok(names)
}

fn known(language: Language, target: &str) -> Result<String> {
    let targets = targets()?;
    match targets.iter().find(|name| *name == target) {
        Some(name) => Ok(name.clone()),
        None => {
            let targets = targets.join(", ");
            match language {
                Language::English => bail!("no fuzz target `{target}`; there are {targets}"),
                Language::Chinese => bail!("没有模糊测试目标 `{target}`；可选：{targets}"),
            }
        }
    }
}

/// Instrumented code goes only with an explicit target: build scripts stay as they are.
fn host_triple() -> Result<String> {
    let version = process::output_of(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .context("rustc does not name its host")
}

/// A Cargo command in the workspace of the fuzz targets.
pub(crate) fn cargo() -> Command {
    let mut command = process::cargo();
    command.current_dir(fuzz_crate());
    command
}

/// Looks the fuzz targets over. Instrumentation makes no difference to that and is left out, so that
/// most dependencies are those that the main workspace has checked already.
pub(crate) fn clippy() -> Result<()> {
    process::run(
        cargo()
            .args(["clippy", "--bins", "--locked", "--target-dir"])
            .arg(cache::target_directory())
            .args(["--", "--deny", "warnings"]),
    )
}

/// Where the fuzz targets lie.
pub(crate) fn fuzz_crate() -> PathBuf {
    cache::checkout().join("tests/fuzz")
}

/// A folder for what fuzzing makes, created when it is not there.
fn folder(name: &str) -> Result<PathBuf> {
    let path = cache::target_directory().join("fuzz").join(name);
    std::fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{runs_done, time_for_each};

    #[test]
    fn a_smoke_run_stays_within_three_minutes_for_any_number_of_targets() {
        for targets in 1..=60 {
            for build in [0, 20, 110] {
                let build = Duration::from_secs(build);
                let total = build + time_for_each(build, targets) * u32::try_from(targets).unwrap();
                assert!(
                    total <= Duration::from_secs(180),
                    "{targets} targets: {total:?}"
                );
            }
        }
    }

    #[test]
    fn no_target_runs_for_ever() {
        assert_eq!(
            time_for_each(Duration::from_secs(500), 10_000),
            Duration::from_secs(1)
        );
    }

    #[test]
    fn a_target_that_ran_nothing_is_noticed() {
        assert_eq!(
            runs_done("INFO: seed corpus\nDone 4711 runs in 3 second(s)\n"),
            Some(4711)
        );
        assert_eq!(runs_done("Done 0 runs in 3 second(s)\n"), None);
        assert_eq!(runs_done("INFO: seed corpus\n"), None);
    }
}
