//! Inside the lab: the first process of the kernel, which runs one case and switches off.

use std::fs;
use std::io::Write;
use std::panic::catch_unwind;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use rustix::mount::{MountFlags, mount};
use rustix::system::{RebootCommand, reboot};

use crate::cases;

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Passed,
    /// Otherwise; the console says why.
    Failed,
}

impl Outcome {
    /// The line of the console that tells it.
    fn line(self) -> &'static str {
        match self {
            Self::Passed => "device-lab-case: passed",
            Self::Failed => "device-lab-case: failed",
        }
    }

    /// What a console tells. The kernel may have written to it in the same line.
    pub(crate) fn in_console(text: &str) -> Option<Self> {
        // A failure counts whatever else was said.
        [Self::Failed, Self::Passed]
            .into_iter()
            .find(|outcome| text.contains(outcome.line()))
    }
}

/// The environment variable that names the case: what the kernel does not know of its command line, it
/// gives to its first process.
pub(crate) const CASE: &str = "DEVICE_LAB_CASE";

/// Runs the case that the kernel's command line names, tells how it went, and switches the machine off. Returns
/// only where this is no lab.
///
/// # Errors
/// When this is not the first process of a kernel: it would switch somebody's machine off.
pub fn main() -> Result<()> {
    if std::process::id() != 1 {
        bail!("this is the first process of the device lab's kernel: see `cargo xtask device-lab`");
    }
    let outcome = match catch_unwind(run) {
        Ok(Ok(())) => Outcome::Passed,
        Ok(Err(error)) => {
            println!("{error:?}");
            Outcome::Failed
        }
        // The panic has said itself what it was.
        Err(_) => Outcome::Failed,
    };
    // From here on, only a dying kernel writes into the line.
    let _ = fs::write("/proc/sys/kernel/printk", "1");
    println!("{}", outcome.line());
    let _ = std::io::stdout().flush();
    let _ = rustix::termios::tcdrain(std::io::stdout());
    reboot(RebootCommand::PowerOff).context("cannot switch off")
}

fn run() -> Result<()> {
    mount_all()?;
    let name = std::env::var(CASE).context("no case is named")?;
    let case = cases::named(&name).ok_or_else(|| anyhow!("there is no case `{name}`"))?;
    (case.run)()
}

/// The kernel's own file systems, and room to write in, over the host's folders.
fn mount_all() -> Result<()> {
    for (kind, target) in [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("configfs", "/sys/kernel/config"),
        ("tmpfs", "/run"),
        ("tmpfs", "/tmp"),
    ] {
        mount(kind, Path::new(target), kind, MountFlags::empty(), None)
            .with_context(|| format!("cannot mount {target}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Outcome, main};

    #[test]
    fn the_guest_refuses_to_switch_off_the_machine_that_builds_it() {
        assert!(main().is_err());
    }

    #[test]
    fn the_outcome_is_found_among_what_the_kernel_says() {
        let passed = "[    0.1] vivid: loaded\n[    0.2] devdevice-lab-case: passed\r\n";
        assert_eq!(Outcome::in_console(passed), Some(Outcome::Passed));
        let failed = "device-lab-case: passed\ndevice-lab-case: failed\n";
        assert_eq!(Outcome::in_console(failed), Some(Outcome::Failed));
        assert_eq!(Outcome::in_console("Kernel panic"), None);
    }
}
