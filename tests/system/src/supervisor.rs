//! What a service supervisor hears from a service that it started: the datagrams of `sd_notify`.

use std::ffi::OsString;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::journal::Journal;

/// Longer than anything that a service says at once.
const LONGEST_NOTIFICATION: usize = 4_096;
/// Ends the reader. No service says this: an assignment has a name.
const FAREWELL: &[u8] = b"=";

/// A notification socket with everything that came in on it.
#[derive(Debug)]
pub struct Supervisor {
    folder: TempDir,
    /// How long a service may be silent.
    watchdog: Duration,
    heard: Journal<String>,
    reader: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Listens, and demands a sign of life in each `watchdog`.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn start(watchdog: Duration) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let socket = UnixDatagram::bind(socket(folder.path()))
            .context("the notification socket cannot be made")?;
        let heard = Journal::new(1);
        let reader = std::thread::spawn({
            let heard = heard.clone();
            move || read(&socket, &heard)
        });
        Ok(Self {
            folder,
            watchdog,
            heard,
            reader: Some(reader),
        })
    }

    /// Each assignment that was heard, such as `READY=1`, in order.
    #[must_use]
    pub fn heard(&self) -> &Journal<String> {
        &self.heard
    }

    /// What tells a service of this supervisor.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, OsString); 2] {
        [
            ("NOTIFY_SOCKET", socket(self.folder.path()).into_os_string()),
            (
                "WATCHDOG_USEC",
                self.watchdog.as_micros().to_string().into(),
            ),
        ]
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let farewell = UnixDatagram::unbound()
            .and_then(|sender| sender.send_to(FAREWELL, socket(self.folder.path())));
        // Where the farewell does not arrive, the reader ends with the test's process.
        if let (Ok(_), Some(reader)) = (farewell, self.reader.take()) {
            drop(reader.join());
        }
    }
}

fn socket(folder: &Path) -> std::path::PathBuf {
    folder.join("notify.sock")
}

fn read(socket: &UnixDatagram, heard: &Journal<String>) {
    let mut buffer = [0; LONGEST_NOTIFICATION];
    while let Ok(length) = socket.recv(&mut buffer) {
        let notification = &buffer[..length];
        if notification == FAREWELL {
            break;
        }
        for assignment in String::from_utf8_lossy(notification).lines() {
            heard.push(assignment.to_owned());
        }
    }
    heard.close();
}
