//! The guests' page: its types, and its tests in Node and in Chromium.
//!
//! `cargo build` takes the page's types away without looking at them, and needs no Node. All that
//! does is done here, in a copy of the sources beside what Cargo builds, so that nothing of it gets
//! into the checkout.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::test_count::TestCount;
use crate::{cache, process, test_count};

/// The folders of the page that are copied; of each, the files only.
const FOLDERS: [&str; 4] = ["", "view", "tests/unit", "tests/browser"];

/// Installs what the page's tests need, and the system tests that drive a browser: those find it here.
pub(crate) fn prepare() -> Result<PathBuf> {
    let folder = cache::target_directory().join("web");
    copy_sources(&folder)?;
    install_packages(&folder)?;
    Ok(folder)
}

/// Checks the types and runs the tests.
pub(crate) fn test() -> Result<TestCount> {
    let folder = prepare()?;
    // The page as browsers have it, and then with its tests as Node has them.
    for project in ["tsconfig.json", "tests/tsconfig.json"] {
        process::run(
            Command::new(folder.join("node_modules/.bin/tsc"))
                .current_dir(&folder)
                .args(["--project", project]),
        )?;
    }
    let mut count = TestCount::default();
    for tests in ["build/tests/unit", "build/tests/browser"] {
        count += run_tests(&folder, tests)?;
    }
    Ok(count)
}

fn copy_sources(folder: &Path) -> Result<()> {
    let sources = cache::checkout().join("appliance/roomd/web/guest");
    // A file that is gone from the sources is gone here too; the packages stay.
    for part in ["view", "tests", "build"] {
        let old = folder.join(part);
        if old.exists() {
            fs::remove_dir_all(&old).with_context(|| format!("cannot remove {}", old.display()))?;
        }
    }
    for file in files_of(folder, "ts").unwrap_or_default() {
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    for part in FOLDERS {
        copy_files(&sources.join(part), &folder.join(part))?;
    }
    copy_files(&sources.join("tests"), &folder.join("tests"))
}

fn copy_files(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let copy = to.join(entry.file_name());
            fs::copy(entry.path(), &copy)
                .with_context(|| format!("cannot write {}", copy.display()))?;
        }
    }
    Ok(())
}

/// Installs the packages of the lock file, unless they are there from the last run.
fn install_packages(folder: &Path) -> Result<()> {
    let wanted = fs::read(folder.join("package-lock.json")).context("the page has no lock file")?;
    let installed = folder.join("node_modules/.installed-lock.json");
    if fs::read(&installed).is_ok_and(|lock| lock == wanted) {
        return Ok(());
    }
    process::run(
        Command::new("npm")
            .current_dir(folder)
            // No script of a package is run.
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]),
    )?;
    fs::write(&installed, wanted).with_context(|| format!("cannot write {}", installed.display()))
}

fn run_tests(folder: &Path, tests: &str) -> Result<TestCount> {
    let mut files: Vec<PathBuf> = files_of(&folder.join(tests), "js")?
        .into_iter()
        .filter(|file| file.to_string_lossy().ends_with(".test.js"))
        .collect();
    files.sort();
    ensure!(!files.is_empty(), "{tests} has no tests");
    test_count::count_node_tests(
        Command::new("node")
            .current_dir(folder)
            // By itself it leaves a processor free.
            .args(["--test", "--test-concurrency", "2"])
            .args(["--test-reporter", "tap"])
            .args(files),
    )
}

fn files_of(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    Ok(files)
}
