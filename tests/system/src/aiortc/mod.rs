//! [aiortc](https://github.com/aiortc/aiortc), WebRTC that others wrote in Python, as a guest: a second
//! stack, independent of Chromium's, by the same HTTP and WebSocket.
//!
//! It sends a tone, and a picture whose upper half is bright and whose lower half is dark.

use std::process::{ChildStdin, Command};
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::child_process::ChildProcess;
use crate::journal::Mark;
use crate::python;

const DRIVER: &str = include_str!("driver.py");
const PACKAGES: [&str; 3] = ["aiortc==1.16.0", "av==18.1.0", "websockets==17.4"];
const EXIT_LIMIT: Duration = Duration::from_secs(10);
/// Of the picture that it sends.
const SIZE: (u32, u32) = (640, 360);

/// A guest on aiortc. Ends with this value.
#[derive(Debug)]
pub struct Aiortc {
    // The process ends before its folder vanishes: fields are dropped in this order.
    process: ChildProcess,
    input: ChildStdin,
    _folder: TempDir,
}

impl Aiortc {
    /// Asks to come in by that link; what becomes of it, events tell.
    ///
    /// # Errors
    /// When Python or its packages cannot be had.
    pub fn join(link: &str, name: &str) -> Result<Self> {
        let python = python::interpreter("python-aiortc-1", &PACKAGES, &[])?;
        let folder = tempfile::tempdir()?;
        let driver = folder.path().join("driver.py");
        std::fs::write(&driver, DRIVER)?;
        let (width, height) = SIZE;
        let settings = json!({"link": link, "name": name, "width": width, "height": height});
        let mut command = Command::new(python);
        command
            .arg(&driver)
            .arg(settings.to_string())
            .current_dir(folder.path());
        let (process, input) = ChildProcess::start_with_input("aiortc", &mut command)?;
        Ok(Self {
            process,
            input,
            _folder: folder,
        })
    }

    /// The end of its events as it is now: those that come later are news.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.process.lines().mark()
    }

    /// Waits until so many pictures of the room have been decoded, and gives the size of the last.
    ///
    /// # Errors
    /// When they have not in time.
    pub fn wait_for_pictures(&self, count: u64, timeout: Duration) -> Result<(u64, u64)> {
        let what = format!("{count} pictures");
        self.wait_for(Mark::default(), &what, timeout, |event| {
            let are_there = event["kind"] == "video" && event["frames"].as_u64()? >= count;
            let size = (event["width"].as_u64()?, event["height"].as_u64()?);
            are_there.then_some(size)
        })
    }

    /// Waits until so many pieces of sound have been decoded, of 20 ms each.
    ///
    /// # Errors
    /// When they have not in time.
    pub fn wait_for_sound(&self, count: u64, timeout: Duration) -> Result<()> {
        let what = format!("{count} pieces of sound");
        self.wait_for(Mark::default(), &what, timeout, |event| {
            let are_there = event["kind"] == "audio" && event["frames"].as_u64()? >= count;
            are_there.then_some(())
        })
    }

    /// Waits until the room has ended the call, and gives its reason.
    ///
    /// # Errors
    /// When it has not in time.
    pub fn wait_for_end(&self, timeout: Duration) -> Result<String> {
        self.wait_for(Mark::default(), "the end", timeout, |event| {
            let is_end = event["event"] == "signalling" && event["type"] == "ended";
            is_end
                .then(|| event["reason"].as_str().map(str::to_owned))
                .flatten()
        })
    }

    /// Leaves the meeting.
    ///
    /// # Errors
    /// When the program does not end.
    pub fn leave(self) -> Result<()> {
        let Self {
            mut process,
            input,
            _folder,
        } = self;
        drop(input);
        process.wait_for_exit(EXIT_LIMIT).map(drop)
    }

    fn wait_for<T>(
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
}
