//! One boot of the kernel for one case, seen from the host.

use std::io::{PipeReader, Read, pipe};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::guest::{CASE, Outcome};

/// How long a case may take with its boot, which is 0.2 s as a rule. Shorter than what nextest
/// allows a test, so that what the console said is seen.
const LONGEST: Duration = Duration::from_secs(120);

/// What is kept of what the console says. A case that fails says why at its end.
const CONSOLE_BYTES: usize = 1 << 20;

/// The memory of the machine. It lies in a file without a name, of which only that takes room which the
/// machine has written to.
const MEMORY_MEGABYTES: u64 = 512;

/// The devices that the drivers make at boot: a webcam, and an HDMI input with all else that vivid has.
const DEVICES: [&str; 3] = [
    "vivid.n_devs=2",
    "vivid.num_inputs=1,1",
    "vivid.input_types=0x0,0x3",
];

/// A kernel and what runs on it.
#[derive(Debug)]
pub struct Lab {
    kernel: PathBuf,
    guest: PathBuf,
    longest: Duration,
}

impl Lab {
    /// A lab whose init is the program `guest` (`device-lab-guest`); the kernel is the one that
    /// `cargo xtask device-lab` has put beside what Cargo builds.
    ///
    /// # Errors
    /// When there is no kernel.
    pub fn new(guest: &Path) -> Result<Self> {
        let kernel = guest
            .ancestors()
            .map(|folder| folder.join("device-lab/linux"))
            .find(|kernel| kernel.exists());
        let Some(kernel) = kernel else {
            bail!(
                "no kernel for the device lab: device-lab/linux is in none of the folders above \
                 {}; `cargo xtask device-lab` builds it and puts it there",
                guest.display()
            );
        };
        Ok(Self {
            kernel,
            guest: guest.to_owned(),
            longest: LONGEST,
        })
    }

    /// The same lab, whose cases may take so long with their boot, instead of two minutes.
    #[must_use]
    pub fn within(self, longest: Duration) -> Self {
        Self { longest, ..self }
    }

    /// Boots, runs the case, and waits until the machine is off.
    ///
    /// # Errors
    /// When the case failed, or the machine did not come up or not to an end; with what its console
    /// said.
    pub fn run(&self, case: &str) -> Result<()> {
        let files = tempfile::tempdir().context("no folder for the kernel's sockets")?;
        let (console, writer) = pipe().context("no pipe for the console")?;
        let mut command = Command::new(&self.kernel);
        if !has_room_for_the_memory(Path::new("/dev/shm")) {
            command.env("TMPDIR", files.path());
        }
        command
            .arg(format!("mem={MEMORY_MEGABYTES}M"))
            .args(["loglevel=4", "con=null", "con0=null,fd:1"])
            .args(["root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"])
            // Else the kernel keeps a folder in the home directory.
            .arg(format!("uml_dir={}/", files.path().display()))
            .arg("umid=lab")
            .args(DEVICES)
            .arg(format!("init={}", self.guest.display()))
            .arg(format!("{CASE}={case}"))
            .stdin(Stdio::null())
            .stdout(writer.try_clone().context("no pipe for the console")?)
            .stderr(writer);
        let mut machine = Machine(
            command
                .spawn()
                .with_context(|| format!("cannot start {}", self.kernel.display()))?,
        );
        // It holds the console open, whose end would never come.
        drop(command);
        let text = read_console(console, Instant::now() + self.longest);
        machine.end();
        let (text, ending) = text?;
        match (Outcome::in_console(&text), ending) {
            (Some(Outcome::Passed), Ending::Off) => Ok(()),
            (Some(Outcome::Failed), _) => bail!("`{case}` failed:\n{text}"),
            (_, Ending::TooLong) => {
                bail!("`{case}` took more than {:?}:\n{text}", self.longest)
            }
            (None, Ending::Off) => {
                bail!("the kernel went down before `{case}` had ended:\n{text}")
            }
        }
    }
}

/// Where the kernel would put its memory by itself: a container may have little there, and the machine
/// would be killed when it has written that much.
fn has_room_for_the_memory(folder: &Path) -> bool {
    rustix::fs::statvfs(folder)
        .is_ok_and(|status| status.f_bavail * status.f_frsize >= MEMORY_MEGABYTES << 20)
}

/// The process of the kernel. It is killed with the test, if it has not ended before.
struct Machine(Child);

impl Machine {
    fn end(&mut self) {
        // One that has ended is not harmed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.end();
    }
}

/// Why no more is read from the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Nobody can write to it any more.
    Off,
    /// The time is over.
    TooLong,
}

fn read_console(mut console: PipeReader, deadline: Instant) -> Result<(String, Ending)> {
    let mut text = Vec::new();
    let mut bytes = [0; 4096];
    let ending = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break Ending::TooLong;
        }
        let timeout = Timespec::try_from(left).context("a time that poll takes")?;
        let mut waited_for = [PollFd::new(&console, PollFlags::IN)];
        match poll(&mut waited_for, Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error).context("waiting for the console"),
        }
        let length = console.read(&mut bytes).context("reading the console")?;
        if length == 0 {
            break Ending::Off;
        }
        text.extend_from_slice(&bytes[..length]);
        if text.len() > CONSOLE_BYTES {
            text.drain(..CONSOLE_BYTES / 2);
        }
    };
    Ok((String::from_utf8_lossy(&text).into_owned(), ending))
}

#[cfg(test)]
mod tests {
    use std::io::{Write, pipe};
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::{CONSOLE_BYTES, Ending, Lab, read_console};

    #[test]
    fn a_missing_kernel_is_named_with_what_builds_it() {
        let error = Lab::new(Path::new("/nonexistent/debug/device-lab-guest"))
            .expect_err("there is no kernel")
            .to_string();
        assert!(error.contains("device-lab/linux"), "{error}");
        assert!(error.contains("cargo xtask device-lab"), "{error}");
    }

    #[test]
    fn a_console_that_says_nothing_is_read_until_the_deadline() {
        let (console, _writer) = pipe().expect("a pipe");
        let deadline = Instant::now() + Duration::from_millis(10);
        let (text, ending) = read_console(console, deadline).expect("a pipe can be read");
        assert_eq!((text.as_str(), ending), ("", Ending::TooLong));
        assert!(Instant::now() >= deadline);
    }

    #[test]
    fn the_end_of_a_long_console_is_kept() {
        let (console, mut writer) = pipe().expect("a pipe");
        let talker = std::thread::spawn(move || {
            for _ in 0..3 * CONSOLE_BYTES / 1024 {
                writer.write_all(&[b'.'; 1024]).expect("it is read");
            }
            writer.write_all(b"the end").expect("it is read");
        });
        let deadline = Instant::now() + Duration::from_secs(60);
        let (text, ending) = read_console(console, deadline).expect("a pipe can be read");
        talker.join().expect("it does not panic");
        assert_eq!(ending, Ending::Off);
        assert!(text.ends_with("the end") && text.len() <= CONSOLE_BYTES);
    }
}
