//! Guests in [Chromium](https://www.chromium.org), driven by Playwright: the real page, the real browser.
//!
//! `driver.mjs` takes commands and tells what comes of them as lines of JSON. Cameras and microphones are
//! Chromium's own simulated ones: a green picture with a clock, and a beep each second.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cache;
use crate::child_process::{ChildProcess, run};
use crate::picture::Luma;

const DRIVER: &str = include_str!("driver.mjs");
/// The version that the tests of the page have too.
const PACKAGE: &str = "playwright-core@1.59.1";
const CHROMIUM: &str = "/usr/bin/chromium";
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a page may take for anything: a busy machine is no fault of the page.
const PATIENCE: Duration = Duration::from_secs(60);

/// The language of a guest's browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// English.
    English,
    /// Chinese.
    Chinese,
}

/// A running Chromium. Ends with this value.
#[derive(Debug)]
pub struct Browser {
    // The process ends before its folder vanishes: fields are dropped in this order.
    process: ChildProcess,
    input: ChildStdin,
    commands: u64,
    folder: TempDir,
}

/// One guest's page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page(u64);

/// The videos of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The room's camera.
    FarEnd,
    /// The room's slides.
    Slides,
}

impl Shown {
    const fn selector(self) -> &'static str {
        match self {
            Self::FarEnd => "#far_end",
            Self::Slides => "#far_slides",
        }
    }
}

/// What a page showed of a video.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Watched {
    /// Width of the last picture, in pixels.
    pub width: u32,
    /// Its height.
    pub height: u32,
    /// How long the pictures took.
    pub seconds: f64,
}

impl Browser {
    /// Starts Chromium.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start() -> Result<Self> {
        let packages = cache::folder("node-playwright-1", |folder| {
            run(Command::new("npm")
                .args(["install", "--ignore-scripts", "--no-audit", "--no-fund"])
                .arg("--prefix")
                .arg(folder)
                .arg(PACKAGE))
        })?;
        let folder = tempfile::tempdir()?;
        let driver = folder.path().join("driver.mjs");
        std::fs::write(&driver, DRIVER)?;
        let mut command = Command::new("node");
        command.arg(&driver).arg(&packages).arg(CHROMIUM);
        let (process, input) = ChildProcess::start_with_input("chromium", &mut command)
            .context("Node and Chromium are needed: apt-get install nodejs npm chromium")?;
        let is_ready = |line: &String| line.contains("\"ready\"").then_some(());
        process
            .lines()
            .wait_after(Default::default(), "a browser", START_LIMIT, is_ready)?;
        Ok(Self {
            process,
            input,
            commands: 0,
            folder,
        })
    }

    /// Opens a guest's link in a window of its own, with cookies of its own.
    ///
    /// # Errors
    /// When there is no page.
    pub fn open(&mut self, link: &str, speaks: Speaks) -> Result<Page> {
        let language = match speaks {
            Speaks::English => "en",
            Speaks::Chinese => "zh",
        };
        let patience = PATIENCE.as_millis() as u64;
        let wanted = json!({ "link": link, "language": language, "patience": patience });
        Ok(Page(self.command("open", wanted)?))
    }

    /// Opens a link, and joins by it.
    ///
    /// # Errors
    /// When the page does not let.
    pub fn join(&mut self, link: &str, name: &str) -> Result<Page> {
        let page = self.open(link, Speaks::English)?;
        self.join_as(page, name)?;
        Ok(page)
    }

    /// Joins with a name, on a page that was opened.
    ///
    /// # Errors
    /// When the page does not let.
    pub fn join_as(&mut self, page: Page, name: &str) -> Result<()> {
        self.command("join", json!({ "page": page.0, "name": name }))
    }

    /// Clicks on what a CSS selector names.
    ///
    /// # Errors
    /// When there is nothing to click on.
    pub fn click(&mut self, page: Page, selector: &str) -> Result<()> {
        self.command("click", json!({ "page": page.0, "selector": selector }))
    }

    /// Waits until an element is shown that has these words, and reads it.
    ///
    /// # Errors
    /// When it does not come.
    pub fn reads(&mut self, page: Page, selector: &str, words: &str) -> Result<String> {
        let wanted = json!({ "page": page.0, "selector": selector, "words": words });
        self.command("reads", wanted)
    }

    /// Watches so many pictures.
    ///
    /// # Errors
    /// When they do not come.
    pub fn watches(&mut self, page: Page, shown: Shown, pictures: u32) -> Result<Watched> {
        let selector = shown.selector();
        let wanted = json!({ "page": page.0, "selector": selector, "pictures": pictures });
        self.command("watches", wanted)
    }

    /// The loudest of the room's sound while so many pictures are shown, 0 to 1.
    ///
    /// # Errors
    /// When there is no sound at all.
    pub fn hears(&mut self, page: Page, pictures: u32) -> Result<f64> {
        let selector = Shown::FarEnd.selector();
        let wanted = json!({ "page": page.0, "selector": selector, "pictures": pictures });
        self.command("hears", wanted)
    }

    /// The picture that the page shows.
    ///
    /// # Errors
    /// When it shows none.
    pub fn picture(&mut self, page: Page, shown: Shown) -> Result<Luma> {
        let file = self.folder.path().join("picture.png");
        let selector = shown.selector();
        let wanted = json!({ "page": page.0, "selector": selector, "file": file });
        self.command::<()>("picture", wanted)?;
        Luma::read_png(&file)
    }

    /// Opens the page anew, as a reload does.
    ///
    /// # Errors
    /// When it does not open.
    pub fn reload(&mut self, page: Page) -> Result<()> {
        self.command("reload", json!({ "page": page.0 }))
    }

    /// Saves what the whole page looks like as PNG.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn screenshot(&mut self, page: Page, file: &Path) -> Result<()> {
        self.command("screenshot", json!({ "page": page.0, "file": file }))
    }

    /// Closes the page, without a word to the room.
    ///
    /// # Errors
    /// When it does not close.
    pub fn close(&mut self, page: Page) -> Result<()> {
        self.command("close", json!({ "page": page.0 }))
    }

    /// Where a test may write.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command<T: DeserializeOwned>(&mut self, name: &str, mut command: Value) -> Result<T> {
        self.commands += 1;
        command["number"] = json!(self.commands);
        command["command"] = json!(name);
        let mark = self.process.lines().mark();
        writeln!(self.input, "{command}")?;
        let number = self.commands;
        let answer = |line: &String| {
            let answer: Value = serde_json::from_str(line).ok()?;
            (answer["answer"] == json!(number)).then_some(answer)
        };
        let limit = PATIENCE + Duration::from_secs(10);
        let answer = self.process.lines().wait_after(mark, name, limit, answer)?;
        if let Some(error) = answer["error"].as_str() {
            bail!("{name}: {error}");
        }
        Ok(serde_json::from_value(answer["result"].clone())?)
    }
}
