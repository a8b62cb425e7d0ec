//! What a process holds, as the kernel counts it: for tests that it stays flat.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// One look at a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessUsage {
    /// Open file descriptors.
    pub file_descriptors: usize,
    /// Threads.
    pub threads: usize,
    /// Resident memory in units of 1,024 bytes.
    pub resident_kib: u64,
}

impl ProcessUsage {
    /// Looks at the process with that id.
    ///
    /// # Errors
    /// When the process is gone or belongs to somebody else.
    pub fn of(process: u32) -> Result<Self> {
        let folder = PathBuf::from(format!("/proc/{process}"));
        let count = |name: &str| -> Result<usize> {
            let entries = std::fs::read_dir(folder.join(name));
            Ok(entries
                .with_context(|| format!("process {process} is gone"))?
                .count())
        };
        let status = std::fs::read_to_string(folder.join("status"))
            .with_context(|| format!("process {process} is gone"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident_kib = resident
            .and_then(|value| value.trim().strip_suffix(" kB")?.trim().parse().ok())
            .context("the kernel does not tell VmRSS")?;
        Ok(Self {
            file_descriptors: count("fd")?,
            threads: count("task")?,
            resident_kib,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ProcessUsage;

    #[test]
    fn an_opened_file_is_counted() {
        let before = ProcessUsage::of(std::process::id()).unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let with_file = ProcessUsage::of(std::process::id()).unwrap();
        drop(file);
        assert!(with_file.file_descriptors > before.file_descriptors);
        assert!(with_file.resident_kib > 0 && with_file.threads >= 1);
    }
}
