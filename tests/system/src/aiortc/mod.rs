//! [aiortc](https://github.com/aiortc/aiortc), WebRTC that others wrote in Python, as a guest: a second
//! stack, independent of Chromium's, by the same HTTP and WebSocket.
//!
//! It sends a tone, and a picture whose upper half is bright and whose lower half is dark.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use crate::journal::Mark;
use crate::python;
use crate::python_guest::{PythonGuest, WEBSOCKETS};

const DRIVER: &str = include_str!("driver.py");
const PACKAGES: [&str; 3] = ["aiortc==1.16.0", "av==18.1.0", WEBSOCKETS];
/// Of the picture that it sends.
const SIZE: (u32, u32) = (640, 360);

/// A guest on aiortc. Ends with this value.
#[derive(Debug)]
pub struct Aiortc {
    guest: PythonGuest,
}

impl Aiortc {
    /// Asks to come in by that link; what becomes of it, events tell.
    ///
    /// # Errors
    /// When Python or its packages cannot be had.
    pub fn join(link: &str, name: &str) -> Result<Self> {
        let python = python::interpreter("python-aiortc-1", &PACKAGES, &[])?;
        let (width, height) = SIZE;
        let settings = json!({"link": link, "name": name, "width": width, "height": height});
        let guest = PythonGuest::start("aiortc", Command::new(python), DRIVER, &settings)?;
        Ok(Self { guest })
    }

    /// The end of its events as it is now: those that come later are news.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.guest.mark()
    }

    /// Waits until so many pictures of the room have been decoded, and gives the size of the last.
    ///
    /// # Errors
    /// When they have not in time.
    pub fn wait_for_pictures(&self, count: u64, timeout: Duration) -> Result<(u64, u64)> {
        let event = self.guest.wait_for_pieces("video", count, timeout)?;
        let of_picture = |side: &str| event[side].as_u64().context("a picture without a size");
        Ok((of_picture("width")?, of_picture("height")?))
    }

    /// Waits until so many pieces of sound have been decoded, of 20 ms each.
    ///
    /// # Errors
    /// When they have not in time.
    pub fn wait_for_sound(&self, count: u64, timeout: Duration) -> Result<()> {
        self.guest
            .wait_for_pieces("audio", count, timeout)
            .map(drop)
    }

    /// Waits until the room has ended the call, and gives its reason.
    ///
    /// # Errors
    /// When it has not in time.
    pub fn wait_for_end(&self, timeout: Duration) -> Result<String> {
        self.guest
            .wait_for(Mark::default(), "the end", timeout, |event| {
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
        self.guest.leave()
    }
}
