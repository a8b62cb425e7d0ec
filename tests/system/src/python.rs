//! A Python of the tests' own, for what is published only as Python packages.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::cache;
use crate::child_process::run;

/// The interpreter of an environment in the cache that holds exactly `packages`
/// (`name==version`). `name` must change with them.
///
/// # Errors
/// When the packages cannot be had.
pub fn interpreter(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let environment = cache::folder(name, |folder| {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        if packages.is_empty() {
            return Ok(());
        }
        let interpreter = folder.join("bin/python");
        run(Command::new(interpreter)
            .args(["-m", "pip", "install", "--quiet"])
            .args(packages))
    })?;
    // Scripts of an environment that was renamed no longer start; its interpreter does.
    Ok(environment.join("bin/python"))
}
