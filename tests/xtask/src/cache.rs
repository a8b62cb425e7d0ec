//! Where downloads and tools are kept between runs: outside the checkout, so that a fresh clone
//! finds them again.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// `$ROOMD_CACHE`, or else `~/.cache/roomd`; created when it is not there.
pub(crate) fn directory() -> Result<PathBuf> {
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

/// The top of the checkout that this xtask was built from.
pub(crate) fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this crate lies two folders below the top")
}

/// Where Cargo puts what it builds: `$CARGO_TARGET_DIR`, or else `target` in the checkout.
pub(crate) fn target_directory() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(path) if !path.is_empty() => checkout().join(path),
        Some(_) | None => checkout().join("target"),
    }
}
