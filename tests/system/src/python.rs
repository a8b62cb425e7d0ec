//! A Python of the tests' own, for what is published only as Python packages.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::cache;
use crate::child_process::run;

/// The interpreter of an environment in the cache that holds exactly these packages
/// (`name==version`): first the prebuilt `wheels`, then `sources`, which are built with what the
/// wheels brought. `name` must change with them.
///
/// Left to itself, a source package chooses the tools of its build, and may choose versions that
/// nobody has built for a newer Python.
///
/// # Errors
/// When the packages cannot be had.
pub fn interpreter(name: &str, wheels: &[&str], sources: &[&str]) -> Result<PathBuf> {
    let environment = cache::folder(name, |folder| {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let install = |options: &[&str], packages: &[&str]| match packages {
            [] => Ok(()),
            packages => run(Command::new(folder.join("bin/python"))
                .args(["-m", "pip", "install", "--quiet"])
                .args(options)
                .args(packages)),
        };
        install(&["--only-binary", ":all:"], wheels)?;
        // Not from pip's cache: what lies there may have been built with other tools.
        let anew = ["--no-build-isolation", "--no-deps", "--no-cache-dir"];
        install(&anew, sources)
    })?;
    // Scripts of an environment that was renamed no longer start; its interpreter does.
    Ok(environment.join("bin/python"))
}
