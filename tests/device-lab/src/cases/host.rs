//! What separates the lab from the machine that it runs on.

use std::fs;
use std::io::ErrorKind;

use anyhow::{Result, ensure};

pub(super) fn the_host_s_files_cannot_be_written() -> Result<()> {
    // Folders of root, and of everybody.
    for path in ["/etc/device-lab-was-here", "/var/tmp/device-lab-was-here"] {
        let written = fs::write(path, "");
        ensure!(
            matches!(&written, Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem),
            "{path}: {written:?}"
        );
    }
    for folder in ["/tmp", "/run", "/dev"] {
        let left: Vec<_> = fs::read_dir(folder)?.collect();
        ensure!(folder == "/dev" || left.is_empty(), "{folder}: {left:?}");
        fs::write(format!("{folder}/device-lab-was-here"), "")?;
    }
    Ok(())
}
