//! Programs that a test starts, and that never outlive it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::journal::Journal;
use crate::poll;

/// How long a program may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(5);

/// Runs a command to its end and returns what it printed on standard output.
///
/// # Errors
/// When it cannot be started or fails; the error holds what it printed on standard error.
pub fn output_of(command: &mut Command) -> Result<Vec<u8>> {
    let program = Path::new(command.get_program()).display().to_string();
    let output = command
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{program} ended with {}: {complaint}",
        output.status
    );
    Ok(output.stdout)
}

/// Runs a command to its end.
///
/// # Errors
/// As [`output_of`].
pub fn run(command: &mut Command) -> Result<()> {
    output_of(command).map(drop)
}

/// A running program, with every line that it printed.
#[derive(Debug)]
pub struct ChildProcess {
    name: String,
    child: Child,
    lines: Journal<String>,
    readers: Vec<JoinHandle<()>>,
}

impl ChildProcess {
    /// Starts the program without standard input. `name` is for messages.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        Self::spawn(name, command.stdin(Stdio::null()))
    }

    /// Starts the program, and gives its standard input too.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_with_input(name: &str, command: &mut Command) -> Result<(Self, ChildStdin)> {
        let mut process = Self::spawn(name, command.stdin(Stdio::piped()))?;
        let input = process.child.stdin.take();
        Ok((process, input.context("no standard input")?))
    }

    fn spawn(name: &str, command: &mut Command) -> Result<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let lines = Journal::new(2);
        let readers = [
            child.stdout.take().map(|pipe| read_lines(pipe, &lines)),
            child.stderr.take().map(|pipe| read_lines(pipe, &lines)),
        ];
        let readers = readers.into_iter().flatten().collect();
        Ok(Self {
            name: name.to_owned(),
            child,
            lines,
            readers,
        })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it printed, line by line, on standard output and standard error.
    #[must_use]
    pub fn lines(&self) -> &Journal<String> {
        &self.lines
    }

    /// Waits for a line that contains `text` and returns the line.
    ///
    /// # Errors
    /// When the time is over or the program has ended.
    pub fn wait_for_line(&self, text: &str, timeout: Duration) -> Result<String> {
        let what = format!("a line of {} with `{text}`", self.name);
        self.lines.wait_for(&what, timeout, |line| {
            line.contains(text).then(|| line.clone())
        })
    }

    /// The exit status, once there is one.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .with_context(|| format!("cannot ask after {}", self.name))
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the program is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("no process id")?, signal)
            .with_context(|| format!("cannot signal {}", self.name))
    }

    /// Waits for the program to end by itself.
    ///
    /// # Errors
    /// When it is still there after `timeout`.
    pub fn wait_for_exit(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        let status = poll::until(&what, timeout, || self.exit_status())
            .with_context(|| format!("last lines:\n{}", self.lines.tail()))?;
        for reader in self.readers.drain(..) {
            // A reader ends with its pipe; one that panicked has nothing more to tell.
            drop(reader.join());
        }
        Ok(status)
    }

    /// Asks the program to end (SIGTERM) and waits for it.
    ///
    /// # Errors
    /// When it is still there after `timeout`.
    pub fn terminate(&mut self, timeout: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.exit_status()? {
            return Ok(status);
        }
        self.signal(Signal::TERM)?;
        self.wait_for_exit(timeout)
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        if self.terminate(GRACE).is_err() {
            // Nothing is left to do about a process that even SIGKILL does not end.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// Copies lines into the journal. A carriage return ends a line too: status lines are redrawn
/// after one.
fn read_lines(pipe: impl Read + Send + 'static, lines: &Journal<String>) -> JoinHandle<()> {
    let lines = lines.clone();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(read) if read > 0) {
            let text = String::from_utf8_lossy(&line);
            for part in text.split(['\n', '\r']).filter(|part| !part.is_empty()) {
                lines.push(part.to_owned());
            }
            line.clear();
        }
        lines.close();
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::ChildProcess;

    const LONG: Duration = Duration::from_secs(30);

    fn shell(script: &str) -> ChildProcess {
        ChildProcess::start("sh", Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn lines_of_both_outputs_are_seen_in_full() {
        let mut child = shell("echo one; echo two >&2; printf three");
        for line in ["one", "two", "three"] {
            child.wait_for_line(line, LONG).unwrap();
        }
        assert!(child.wait_for_exit(LONG).unwrap().success());
    }

    #[test]
    fn waiting_for_a_line_ends_when_the_program_does() {
        let child = shell("echo nothing of interest");
        assert!(child.wait_for_line("treasure", LONG).is_err());
    }

    #[test]
    fn a_program_that_ignores_requests_to_end_is_killed() {
        let child = shell("trap '' TERM; echo ready; while :; do sleep 1; done");
        child.wait_for_line("ready", LONG).unwrap();
        let id = child.id();
        drop(child);
        assert!(!std::path::Path::new(&format!("/proc/{id}")).exists());
    }
}
