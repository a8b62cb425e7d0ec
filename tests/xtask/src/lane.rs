//! The lanes of `cargo xtask test`: what each one checks.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::device_lab::{self, Kernel};
use crate::language::Language;
use crate::test_count::TestCount;
use crate::{cache, fuzz, process, test_count, tools, web, wheels};

/// Nextest's expression for what does not need pjsua2: a test that does says so in its name, or is in a
/// file of that name.
const WITHOUT_PJSUA2: &str = "not (binary(pjsua) or (package(system) and test(/pjsua/)))";

/// One kind of check. The first three look at the fuzz targets too, a workspace of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// The source is formatted.
    Format,
    /// Licences, sources and duplicates of dependencies are as deny.toml allows.
    Deny,
    /// Neither rustc nor clippy has a warning.
    Clippy,
    /// The types and the tests of the guests' page.
    Web,
    /// The device drivers on a kernel of their own.
    DeviceLab,
    /// Unit, integration and system tests.
    Tests,
    /// The examples in the documentation run.
    DocTests,
    /// The documentation builds without a warning.
    Documentation,
    /// The manual pages can be made.
    Manuals,
    /// Every fuzz target survives a short run.
    Fuzz,
}

/// What came of a lane.
pub(crate) enum LaneRun {
    /// It was run, with so many tests.
    Made(TestCount),
    /// This machine cannot run it, for this reason.
    LeftOut(String),
}

impl Lane {
    /// All lanes, quick ones first.
    pub(crate) const ALL: [Self; 10] = [
        Self::Format,
        Self::Deny,
        Self::Clippy,
        Self::Web,
        Self::DeviceLab,
        Self::Tests,
        Self::DocTests,
        Self::Documentation,
        Self::Manuals,
        Self::Fuzz,
    ];

    /// The name on the command line and in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Format => "fmt",
            Self::Clippy => "clippy",
            Self::Deny => "deny",
            Self::Web => "web",
            Self::DeviceLab => "device-lab",
            Self::Tests => "tests",
            Self::DocTests => "doctests",
            Self::Documentation => "doc",
            Self::Manuals => "man",
            Self::Fuzz => "fuzz",
        }
    }

    /// The lane of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.name() == name)
    }

    /// Runs the lane. Lanes that run tests count them; an error is the lane's failure.
    pub(crate) fn run(self, language: Language) -> Result<LaneRun> {
        match self {
            Self::Format => {
                process::run(process::cargo().args(["fmt", "--all", "--check"]))?;
                process::run(fuzz::cargo().args(["fmt", "--check"]))?;
            }
            Self::Clippy => {
                process::run(
                    process::cargo()
                        .args(["clippy", "--workspace", "--all-targets", "--locked"])
                        .args(["--", "--deny", "warnings"]),
                )?;
                fuzz::clippy()?;
            }
            Self::Deny => deny(language)?,
            Self::Web => return web::test().map(LaneRun::Made),
            Self::DeviceLab => {
                return match device_lab::kernel(language)? {
                    Kernel::Ready => device_lab::test(language).map(LaneRun::Made),
                    Kernel::Unavailable(reason) => Ok(LaneRun::LeftOut(reason)),
                };
            }
            Self::Tests => return tests(language).map(LaneRun::Made),
            Self::DocTests => {
                let mut command = process::cargo();
                command.args(["test", "--doc", "--workspace", "--locked"]);
                return test_count::count_doctests(&mut command).map(LaneRun::Made);
            }
            Self::Documentation => process::run(
                process::cargo()
                    .args(["doc", "--workspace", "--no-deps", "--locked"])
                    .env("RUSTDOCFLAGS", "--deny warnings"),
            )?,
            Self::Manuals => manuals()?,
            Self::Fuzz => fuzz::smoke(language)?,
        }
        Ok(LaneRun::Made(TestCount::default()))
    }
}

fn deny(language: Language) -> Result<()> {
    let program = tools::deny(language)?;
    let check = |config: &Path, checks: &[&str]| {
        // The fuzz targets have a lock file of their own.
        for workspace in [cache::checkout(), &fuzz::fuzz_crate()] {
            process::run(
                Command::new(&program)
                    .current_dir(workspace)
                    .args(["--all-features", "--locked", "--config"])
                    .arg(config)
                    .arg("check")
                    .args(checks),
            )?;
        }
        Ok::<(), anyhow::Error>(())
    };
    check(
        &cache::checkout().join("deny.toml"),
        &["licenses", "bans", "sources"],
    )?;
    let Some(database) = std::env::var_os("ROOMD_ADVISORY_DATABASE") else {
        println!(
            "{}",
            language.choose(
                "Advisories are not checked: that needs a RustSec database, in a folder that \
                 ROOMD_ADVISORY_DATABASE names.",
                "未检查安全公告：需要 RustSec 数据库，由 ROOMD_ADVISORY_DATABASE 指明其所在目录。",
            )
        );
        return Ok(());
    };
    let config = cache::target_directory().join("deny-advisories.toml");
    let text = format!("[advisories]\ndb-path = {:?}\n", database.to_string_lossy());
    std::fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
    check(&config, &["--disable-fetch", "advisories"])
}

fn tests(language: Language) -> Result<TestCount> {
    let nextest = tools::nextest(language)?;
    // Some system tests drive a browser, with the packages of the guests' page.
    web::prepare()?;
    // The system tests start the binaries; nextest alone builds only those of packages with tests.
    process::run(process::cargo().args(["build", "--workspace", "--bins", "--locked"]))?;
    let mut command = Command::new(nextest);
    command
        .current_dir(cache::checkout())
        .args([
            "nextest",
            "run",
            "--workspace",
            "--locked",
            "--profile",
            "ci",
        ])
        // These have a kernel and a lane of their own.
        .args(["--exclude", "device-lab"])
        // An ignored test would be a skipped one: there are none here.
        .args(["--run-ignored", "all"]);
    if wheels::has_pjsua2()? {
        return test_count::count_nextest(&mut command);
    }
    command.args(["--filterset", WITHOUT_PJSUA2]);
    let mut count = test_count::count_nextest(&mut command)?;
    // No other test can have been skipped: the ignored ones run too.
    let left_out = std::mem::take(&mut count.skipped);
    println!(
        "{}",
        match language {
            Language::English => format!(
                "{left_out} tests with pjsua2 were left out: PyPI has no pjsua2 for this Python \
                 and processor."
            ),
            Language::Chinese => format!(
                "已略过 {left_out} 项 pjsua2 测试：PyPI 没有适用于此 Python 和处理器的 pjsua2。"
            ),
        }
    );
    Ok(count)
}

fn manuals() -> Result<()> {
    let folder = cache::target_directory().join("man");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    for program in ["roomd", "roomctl"] {
        process::run(
            process::cargo()
                .args(["run", "--locked", "--package", program, "--", "man"])
                .arg(&folder),
        )?;
        let page = folder.join(format!("{program}.1"));
        if !page.is_file() {
            bail!("{program} made no manual page {}", page.display());
        }
    }
    Ok(())
}
