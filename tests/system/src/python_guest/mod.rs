//! A guest whose WebRTC is driven by a program in Python: what all of them have in common.

use std::process::{ChildStdin, Command};
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tempfile::TempDir;

use crate::child_process::ChildProcess;
use crate::journal::Mark;

/// The way in, which the drivers import.
const SESSION: &str = include_str!("guest_session.py");
const EXIT_LIMIT: Duration = Duration::from_secs(10);

/// The package by which the drivers speak WebSocket.
pub(crate) const WEBSOCKETS: &str = "websockets==17.4";

/// Its process. Ends with this value.
#[derive(Debug)]
pub(crate) struct PythonGuest {
    // The process ends before its folder vanishes: fields are dropped in this order.
    process: ChildProcess,
    input: ChildStdin,
    _folder: TempDir,
}

impl PythonGuest {
    /// Has an interpreter run the driver.
    pub(crate) fn start(
        name: &str,
        mut interpreter: Command,
        driver: &str,
        settings: &Value,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("driver.py");
        std::fs::write(&path, driver)?;
        std::fs::write(folder.path().join("guest_session.py"), SESSION)?;
        interpreter
            .arg(&path)
            .arg(settings.to_string())
            .current_dir(folder.path());
        let (process, input) = ChildProcess::start_with_input(name, &mut interpreter)?;
        Ok(Self {
            process,
            input,
            _folder: folder,
        })
    }

    /// The end of its events as it is now: those that come later are news.
    pub(crate) fn mark(&self) -> Mark {
        self.process.lines().mark()
    }

    /// Waits for an event after the mark in which `find` finds something.
    pub(crate) fn wait_for<T>(
        &self,
        mark: Mark,
        what: &str,
        timeout: Duration,
        mut find: impl FnMut(&Value) -> Option<T>,
    ) -> Result<T> {
        let lines = self.process.lines();
        lines.wait_after(mark, what, timeout, |line| {
            find(&serde_json::from_str(line).ok()?)
        })
    }

    /// Waits until so many pieces of this kind, `video` or `audio`, have been decoded, and gives the event that says so.
    pub(crate) fn wait_for_pieces(
        &self,
        kind: &str,
        count: u64,
        timeout: Duration,
    ) -> Result<Value> {
        let what = format!("{count} pieces of {kind}");
        self.wait_for(Mark::default(), &what, timeout, |event| {
            let are_there = event["kind"] == kind && event["frames"].as_u64()? >= count;
            are_there.then(|| event.clone())
        })
    }

    /// Leaves the meeting.
    pub(crate) fn leave(self) -> Result<()> {
        let Self {
            mut process,
            input,
            _folder,
        } = self;
        drop(input);
        process.wait_for_exit(EXIT_LIMIT).map(drop)
    }
}
