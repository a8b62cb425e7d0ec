//! The real roomd, as a process of its own, driven by the real roomctl.
//!
//! A line of its log at level ERROR fails the test that started it, unless the test has said that it
//! provokes one ([`Roomd::expect_errors`]).

use std::ffi::{OsStr, OsString};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use api::Snapshot;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::child_process::{ChildProcess, output_of};
use crate::journal::{Journal, Mark};
use crate::network_namespace::NetworkNamespace;
use crate::picture::Luma;
use crate::poll;
use crate::supervisor::Supervisor;

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(15);

const METRICS_REQUEST: &str =
    "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// A running roomd. Ends with this value, as by SIGTERM.
#[derive(Debug)]
pub struct Roomd {
    // Processes end before the folder vanishes: fields are dropped in this order.
    watcher: ChildProcess,
    process: ChildProcess,
    name: String,
    errors: Errors,
    surroundings: Surroundings,
    folder: TempDir,
}

/// What roomd is started with.
#[derive(Clone, Debug, Default)]
struct Surroundings {
    /// Variables besides those of the test.
    environment: Vec<(&'static str, OsString)>,
    /// The words before its command line.
    prefix: Vec<OsString>,
}

/// What an ERROR in the log means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Errors {
    Fail,
    Expected,
}

impl Roomd {
    /// Starts roomd with the configuration that `configuration` writes, and waits until it serves
    /// its API. The closure is given roomd's folder, for files that the configuration names; the
    /// `[http]` table is added here.
    ///
    /// # Errors
    /// When roomd does not start; the error shows its log.
    pub fn start(name: &str, configuration: impl FnOnce(&Path) -> Result<String>) -> Result<Self> {
        Self::start_in(Surroundings::default(), name, configuration)
    }

    /// Starts roomd as [`Roomd::start`] does, in that network.
    ///
    /// # Errors
    /// As [`Roomd::start`].
    pub fn start_within(
        network: &NetworkNamespace,
        name: &str,
        configuration: impl FnOnce(&Path) -> Result<String>,
    ) -> Result<Self> {
        let surroundings = Surroundings {
            prefix: network.prefix(),
            ..Surroundings::default()
        };
        Self::start_in(surroundings, name, configuration)
    }

    /// Starts roomd as [`Roomd::start`] does, as a service of this supervisor.
    ///
    /// # Errors
    /// As [`Roomd::start`].
    pub fn start_under(
        supervisor: &Supervisor,
        name: &str,
        configuration: impl FnOnce(&Path) -> Result<String>,
    ) -> Result<Self> {
        let surroundings = Surroundings {
            environment: supervisor.environment().into(),
            ..Surroundings::default()
        };
        Self::start_in(surroundings, name, configuration)
    }

    fn start_in(
        surroundings: Surroundings,
        name: &str,
        configuration: impl FnOnce(&Path) -> Result<String>,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut text = configuration(folder.path())?;
        let socket = socket(folder.path());
        text.push_str(&format!("\n[http]\nsocket = \"{}\"\n", socket.display()));
        std::fs::write(folder.path().join("roomd.toml"), text)?;
        let process = run(name, folder.path(), &surroundings)?;
        let watcher = watch(name, &socket)?;
        Ok(Self {
            watcher,
            process,
            name: name.to_owned(),
            errors: Errors::Fail,
            surroundings,
            folder,
        })
    }

    /// Its process id, to look at what it uses.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it logs.
    #[must_use]
    pub fn log(&self) -> &Journal<String> {
        self.process.lines()
    }

    /// Its folder: configuration, state and socket.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs roomctl with these arguments and returns what it prints.
    ///
    /// # Errors
    /// When roomctl ends with an error; the error holds what it says.
    pub fn roomctl<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Result<String> {
        let printed = output_of(roomctl(&socket(self.folder.path()))?.args(arguments))?;
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }

    /// Runs `roomctl` with these arguments, whatever its exit status is.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn roomctl_output<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Result<Output> {
        let output = roomctl(&socket(self.folder.path()))?
            .args(arguments)
            .output();
        output.context("roomctl cannot be run")
    }

    /// The snapshot as it is now.
    ///
    /// # Errors
    /// When roomd does not answer.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let printed = self.roomctl(&["--json", "status"])?;
        serde_json::from_str(&printed).with_context(|| format!("no snapshot: `{printed}`"))
    }

    /// Waits for a snapshot, of any time since the start, in which `find` finds something.
    ///
    /// # Errors
    /// When none comes in time; the error shows the last one.
    pub fn wait_for_snapshot<T>(
        &self,
        what: &str,
        timeout: Duration,
        find: impl FnMut(&Snapshot) -> Option<T>,
    ) -> Result<T> {
        self.wait_for_snapshot_after(Mark::default(), what, timeout, find)
    }

    /// Waits for a snapshot after the mark in which `find` finds something.
    ///
    /// # Errors
    /// As [`Roomd::wait_for_snapshot`].
    pub fn wait_for_snapshot_after<T>(
        &self,
        mark: Mark,
        what: &str,
        timeout: Duration,
        mut find: impl FnMut(&Snapshot) -> Option<T>,
    ) -> Result<T> {
        let what = format!("{what} in a snapshot of {}", self.name);
        let snapshots = self.watcher.lines();
        let mut last = String::new();
        let found = snapshots.wait_after(mark, &what, timeout, |line| {
            last.clone_from(line);
            serde_json::from_str(line).ok().as_ref().and_then(&mut find)
        });
        // One snapshot fills a screen: the error shows the last one only.
        found.map_err(|_| anyhow!("{what} did not come within {timeout:?}; the last was {last}"))
    }

    /// The value of a metric, by its name with its labels as in the text format.
    ///
    /// # Errors
    /// When roomd does not answer, or has no such metric.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let mut connection = UnixStream::connect(socket(self.folder.path()))?;
        connection.write_all(METRICS_REQUEST.as_bytes())?;
        let mut page = String::new();
        connection.read_to_string(&mut page)?;
        let value = page.lines().find_map(|line| line.strip_prefix(name));
        let value = value.with_context(|| format!("no metric {name} in:\n{page}"))?;
        value
            .trim()
            .parse()
            .with_context(|| format!("{name} is `{value}`"))
    }

    /// The end of the snapshots as it is now: those that come later are news.
    #[must_use]
    pub fn snapshot_mark(&self) -> Mark {
        self.watcher.lines().mark()
    }

    /// The picture that the far end sends, or that this room sends: `of` is `far-end` or `sent`.
    ///
    /// # Errors
    /// When there is none.
    pub fn picture(&self, of: &str) -> Result<Luma> {
        self.taken_picture(&["--of", of])
    }

    /// The slides that the far end shows, or that this room shows; as [`Self::picture`].
    ///
    /// # Errors
    /// When there are none.
    pub fn picture_of_slides(&self, of: &str) -> Result<Luma> {
        self.taken_picture(&["--slides", "--of", of])
    }

    fn taken_picture(&self, options: &[&str]) -> Result<Luma> {
        let file = self.folder.path().join("picture.jpeg");
        let mut arguments: Vec<&OsStr> = vec!["picture".as_ref()];
        arguments.extend(options.iter().map(OsStr::new));
        arguments.push(file.as_os_str());
        self.roomctl(&arguments)?;
        Luma::read_jpeg(&file)
    }

    /// Says that the test provokes errors in the log.
    pub fn expect_errors(&mut self) {
        self.errors = Errors::Expected;
    }

    /// Kills roomd where it stands (SIGKILL).
    ///
    /// # Errors
    /// When it is gone already.
    pub fn kill(&mut self) -> Result<()> {
        self.process.signal(Signal::KILL)?;
        self.process.wait_for_exit(STOP_LIMIT)?;
        // The watcher ends with its connection.
        self.watcher.wait_for_exit(STOP_LIMIT)?;
        Ok(())
    }

    /// Kills roomd where it stands (SIGKILL), and starts it again on the same folder.
    ///
    /// # Errors
    /// When it does not come back.
    pub fn kill_and_restart(&mut self) -> Result<()> {
        self.kill()?;
        self.start_again()
    }

    /// Starts roomd again on the same folder after [`Self::kill`].
    ///
    /// # Errors
    /// When it does not come back.
    pub fn start_again(&mut self) -> Result<()> {
        self.process = run(&self.name, self.folder.path(), &self.surroundings)?;
        self.watcher = watch(&self.name, &socket(self.folder.path()))?;
        Ok(())
    }

    /// Asks roomd to end (SIGTERM) and waits for it.
    ///
    /// # Errors
    /// When it does not end in time, ends with an error, or has logged one.
    pub fn stop(mut self) -> Result<()> {
        let status = self.process.terminate(STOP_LIMIT)?;
        ensure!(
            status.success(),
            "{} ended with {status}:\n{}",
            self.name,
            self.log().tail()
        );
        let errors = self.unexpected_errors();
        // The drop would say the same, by a panic.
        self.errors = Errors::Expected;
        ensure!(
            errors.is_empty(),
            "{} logged errors:\n{}",
            self.name,
            errors.join("\n")
        );
        Ok(())
    }

    fn unexpected_errors(&self) -> Vec<String> {
        match self.errors {
            Errors::Expected => Vec::new(),
            Errors::Fail => self
                .log()
                .entries()
                .into_iter()
                .filter(|line| is_error(line))
                .collect(),
        }
    }
}

impl Drop for Roomd {
    fn drop(&mut self) {
        let errors = self.unexpected_errors();
        if !errors.is_empty() && !std::thread::panicking() {
            panic!("{} logged errors:\n{}", self.name, errors.join("\n"));
        }
    }
}

/// An ERROR line of the text or the JSON log.
fn is_error(line: &str) -> bool {
    line.split_whitespace().nth(1) == Some("ERROR") || line.contains("\"level\":\"ERROR\"")
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("api.sock")
}

/// Starts roomd on its folder and waits until its socket takes connections.
fn run(name: &str, folder: &Path, surroundings: &Surroundings) -> Result<ChildProcess> {
    let program = binary("roomd")?.into_os_string();
    let mut words = surroundings.prefix.iter().chain([&program]);
    let mut command = Command::new(words.next().unwrap_or(&program));
    command
        .args(words)
        .args(["run", "--config"])
        .arg(folder.join("roomd.toml"))
        .arg("--state")
        .arg(folder.join("state"))
        .envs(
            surroundings
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .current_dir(folder);
    let mut process = ChildProcess::start(name, &mut command)?;
    let what = format!("the API socket of {name}");
    poll::until(&what, START_LIMIT, || match process.exit_status()? {
        Some(status) => bail!("{name} ended with {status}:\n{}", process.lines().tail()),
        None => Ok(UnixStream::connect(socket(folder)).ok()),
    })
    .with_context(|| format!("last lines:\n{}", process.lines().tail()))?;
    Ok(process)
}

/// Starts `roomctl watch`, which prints each new snapshot on a line.
fn watch(name: &str, socket: &Path) -> Result<ChildProcess> {
    ChildProcess::start(
        &format!("roomctl watch {name}"),
        roomctl(socket)?.args(["--json", "watch"]),
    )
}

fn roomctl(socket: &Path) -> Result<Command> {
    let mut command = Command::new(binary("roomctl")?);
    command.arg("--socket").arg(socket);
    Ok(command)
}

/// A binary of this workspace: in the folder that `ROOMD_BINARIES` names, or beside the test, where
/// Cargo builds both.
fn binary(name: &str) -> Result<PathBuf> {
    let path = match std::env::var_os("ROOMD_BINARIES") {
        Some(folder) => Some(PathBuf::from(folder).join(name)),
        // A test lies in target/PROFILE/deps, the benchmark in target/PROFILE.
        None => std::env::current_exe()?
            .ancestors()
            .skip(1)
            .take(2)
            .map(|folder| folder.join(name))
            .find(|path| path.is_file()),
    };
    let path = path.filter(|path| path.is_file());
    let path =
        path.with_context(|| format!("{name} is not there: cargo build --workspace --bins"))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::is_error;

    #[test]
    fn an_error_line_is_known_by_its_level_and_not_by_its_text() {
        assert!(is_error(
            "2026-11-23T01:00:00Z ERROR roomd::driver: the camera is gone"
        ));
        assert!(is_error(
            r#"{"timestamp":"2026","level":"ERROR","fields":{}}"#
        ));
        assert!(!is_error(
            "2026-11-23T01:00:00Z  WARN roomd: ERROR is only a word here"
        ));
    }
}
