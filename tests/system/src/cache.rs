//! What tests download or make once is kept outside the checkout.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// `$ROOMD_CACHE`, or else `~/.cache/roomd`.
///
/// # Errors
/// When neither ROOMD_CACHE nor HOME is set, or the folder cannot be created.
pub fn directory() -> Result<PathBuf> {
    let path = match std::env::var_os("ROOMD_CACHE") {
        Some(path) if !path.is_empty() => PathBuf::from(path),
        Some(_) | None => {
            let home = std::env::var_os("HOME").context("neither ROOMD_CACHE nor HOME is set")?;
            Path::new(&home).join(".cache/roomd")
        }
    };
    std::fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(path)
}

/// The folder `name` in the cache, filled by `make` when it is not there. Two tests that want it
/// at once make it once; one that was interrupted is made again.
///
/// # Errors
/// When `make` fails or the cache cannot be written.
pub fn folder(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let cache = directory()?;
    let finished = cache.join(name);
    let lock = cache.join(format!("{name}.lock"));
    let lock = File::create(&lock).with_context(|| format!("cannot lock {}", lock.display()))?;
    lock.lock()?;
    if finished.is_dir() {
        return Ok(finished);
    }
    let unfinished = cache.join(format!("{name}.unfinished"));
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished)?;
    }
    std::fs::create_dir_all(&unfinished)?;
    make(&unfinished).with_context(|| format!("cannot make {}", finished.display()))?;
    std::fs::rename(&unfinished, &finished)?;
    Ok(finished)
}
