//! Chromium or Firefox with guests of a room in it: the page that roomd serves, driven as a person would.
//!
//! A Node program beside this file ([playwright-core](https://playwright.dev)) drives it: lines of
//! JSON go in and out. Each guest has a browser context of their own. Its camera is the browser's
//! simulated one. Chromium's microphone hears a recording again and again, Firefox' a tone.
//!
//! What the page shows is asked for by the ids of its elements (`appliance/roomd/web/guest/join.html`).
//! A complaint of a page, an error of its scripts or a breach of its security policy, fails the test.

use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::child_process::ChildProcess;
use crate::network_namespace::NetworkNamespace;
use crate::picture::Luma;
use crate::sound::Sound;

const DRIVER: &str = include_str!("driver.mjs");
const START_LIMIT: Duration = Duration::from_secs(60);
/// For what the page does at once on an idle machine.
const LIMIT: Duration = Duration::from_secs(45);
/// The driver gives up by itself before; its error says more.
const ANSWER_LIMIT: Duration = Duration::from_secs(75);
/// As the driver hands out sound.
const SAMPLE_RATE: u32 = 48_000;

/// In what language a guest's browser asks for pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Simplified Chinese.
    Chinese,
}

/// What the page shows as a whole, by the ids of its sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// Name and devices are chosen.
    Start,
    /// Connecting, or knocking.
    Waiting,
    /// In the meeting.
    Call,
    /// No longer in the meeting.
    Ended,
    /// Not let as far as the start.
    Refused,
}

impl Screen {
    fn selector(self) -> &'static str {
        match self {
            Self::Start => "#start",
            Self::Waiting => "#waiting",
            Self::Call => "#call",
            Self::Ended => "#ended",
            Self::Refused => "#refused",
        }
    }
}

/// A video element of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The room's picture.
    FarEnd,
    /// The room's slides.
    FarSlides,
    /// The guest's own camera.
    Own,
}

impl View {
    fn selector(self) -> &'static str {
        match self {
            Self::FarEnd => "#far_end",
            Self::FarSlides => "#far_slides",
            Self::Own => "#own",
        }
    }
}

/// What a guest's browser has received since its connection was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Received {
    /// By the page's own clock.
    pub at: Duration,
    /// Packets of sound.
    pub audio_packets: u64,
    /// The energy of the sound: the square of its level, added up over seconds.
    pub audio_energy: f64,
    /// Decoded pictures of the room.
    pub camera_frames: u64,
    /// Width and height of the room's picture; zeros before the first.
    pub camera_size: (u64, u64),
    /// Decoded pictures of the room's slides.
    pub slides_frames: u64,
}

/// What Firefox' microphone hears, in hertz.
pub const FIREFOX_TONE: f32 = 1_000.0;

/// A browser that others wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Chromium,
    Firefox,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
        }
    }

    /// Where Debian has it, unless the environment names another.
    fn executable(self) -> Result<PathBuf> {
        let (variable, usual, package) = match self {
            // As the page's own tests find it.
            Self::Chromium => ("ROOMD_CHROMIUM", "/usr/bin/chromium", "chromium"),
            Self::Firefox => ("ROOMD_FIREFOX", "/usr/bin/firefox-esr", "firefox-esr"),
        };
        let named = std::env::var_os(variable);
        let path = named.map_or_else(|| PathBuf::from(usual), PathBuf::from);
        ensure!(
            path.is_file(),
            "{} is not there: apt-get install {package}, or name another by {variable}",
            path.display()
        );
        Ok(path)
    }
}

/// A running browser. Ends with this value.
#[derive(Debug)]
pub struct Browser {
    // The process ends before its folder vanishes: fields are dropped in this order.
    process: ChildProcess,
    input: RefCell<ChildStdin>,
    commands: Cell<u64>,
    guests: Cell<u64>,
    folder: TempDir,
}

impl Browser {
    /// Starts Chromium whose guests' microphones hear that sound, or beeps where there is none.
    ///
    /// # Errors
    /// When Node, Chromium or playwright-core is missing, or it does not start.
    pub fn start(sound: Option<&Sound>) -> Result<Self> {
        Self::start_by(&mut Command::new("node"), Kind::Chromium, sound, None)
    }

    /// Starts Chromium as [`Browser::start`] does, in that network.
    ///
    /// # Errors
    /// As [`Browser::start`].
    pub fn start_within(network: &NetworkNamespace, sound: Option<&Sound>) -> Result<Self> {
        Self::start_by(&mut network.command("node"), Kind::Chromium, sound, None)
    }

    /// Starts Firefox, whose guests' microphones hear a tone of [`FIREFOX_TONE`].
    ///
    /// # Errors
    /// When Node, Firefox or playwright-core is missing, or it does not start.
    pub fn start_firefox() -> Result<Self> {
        Self::start_by(&mut Command::new("node"), Kind::Firefox, None, None)
    }

    /// Starts Chromium as [`Browser::start`] does, in that network where there is one; its cameras see a film (Y4M or
    /// Motion JPEG), again and again.
    ///
    /// # Errors
    /// As [`Browser::start`].
    pub fn start_with_film(
        network: Option<&NetworkNamespace>,
        sound: Option<&Sound>,
        film: &Path,
    ) -> Result<Self> {
        let mut node =
            network.map_or_else(|| Command::new("node"), |network| network.command("node"));
        Self::start_by(&mut node, Kind::Chromium, sound, Some(film))
    }

    fn start_by(
        node: &mut Command,
        kind: Kind,
        sound: Option<&Sound>,
        film: Option<&Path>,
    ) -> Result<Self> {
        let packages = packages()?;
        let executable = kind.executable()?;
        let folder = tempfile::tempdir()?;
        let driver = folder.path().join("driver.mjs");
        std::fs::write(&driver, DRIVER)?;
        let file = folder.path().join("microphone.wav");
        if let Some(sound) = sound {
            sound.write(&file)?;
        }
        let settings = json!({
            "packages": packages,
            "kind": kind.name(),
            "executable": executable,
            "sound": sound.map(|_| file),
            "video": film,
        });
        node.arg(&driver)
            .arg(settings.to_string())
            .current_dir(folder.path());
        let (process, input) = ChildProcess::start_with_input(kind.name(), node)
            .context("apt-get install nodejs brings Node")?;
        process
            .lines()
            .wait_for("a ready browser", START_LIMIT, |line| {
                let line: Value = serde_json::from_str(line).ok()?;
                line["ready"].as_str().map(drop)
            })?;
        Ok(Self {
            process,
            input: RefCell::new(input),
            commands: Cell::new(0),
            guests: Cell::new(0),
            folder,
        })
    }

    /// Opens the link in a window of its own, as somebody who has never been here.
    ///
    /// # Errors
    /// When nothing is served there.
    pub fn visit(&self, link: &str, language: Language) -> Result<Guest<'_>> {
        let guest = self.window();
        let language = match language {
            Language::English => "en",
            Language::Chinese => "zh",
        };
        guest.act("visit", json!({"link": link, "language": language}))?;
        Ok(guest)
    }

    /// Opens a page of that text in a window of its own, where cameras may be used.
    ///
    /// # Errors
    /// When the page does not load.
    pub fn open(&self, html: &str) -> Result<Guest<'_>> {
        let guest = self.window();
        guest.act("visit", json!({"html": html, "language": "en"}))?;
        Ok(guest)
    }

    fn window(&self) -> Guest<'_> {
        let number = self.guests.get() + 1;
        self.guests.set(number);
        Guest {
            browser: self,
            number,
        }
    }

    /// What pages have complained of: errors of their scripts, and breaches of their security policy.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let is_complaint = |line: &String| {
            serde_json::from_str(line).is_ok_and(|line: Value| line["complaint"].is_string())
        };
        let mut lines = self.process.lines().entries();
        lines.retain(is_complaint);
        lines
    }

    fn command(&self, mut command: Value) -> Result<Value> {
        let number = self.commands.get() + 1;
        self.commands.set(number);
        command["number"] = number.into();
        let mark = self.process.lines().mark();
        writeln!(self.input.borrow_mut(), "{command}")?;
        let name = command["command"].as_str().unwrap_or_default();
        let what = format!("an answer to {name}");
        let answer = self
            .process
            .lines()
            .wait_after(mark, &what, ANSWER_LIMIT, |line| {
                let line: Value = serde_json::from_str(line).ok()?;
                (line["number"] == number).then_some(line)
            })?;
        match answer["error"].as_str() {
            None => Ok(answer["result"].clone()),
            Some(error) => bail!("{name} failed: {error}"),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let complaints = self.complaints();
        if !complaints.is_empty() && !std::thread::panicking() {
            panic!("pages complained:\n{}", complaints.join("\n"));
        }
    }
}

/// A guest's window.
#[derive(Debug)]
pub struct Guest<'a> {
    browser: &'a Browser,
    number: u64,
}

impl Guest<'_> {
    /// Gives that name and asks to come in.
    ///
    /// # Errors
    /// When the start screen does not come.
    pub fn join_as(&self, name: &str) -> Result<()> {
        self.wait_for_screen(Screen::Start)?;
        self.act("fill", json!({"selector": "#guest_name", "text": name}))?;
        self.press("#join")
    }

    /// What an expression comes to in the page; a promise, when it is kept.
    ///
    /// # Errors
    /// When it throws.
    pub fn evaluate(&self, expression: &str) -> Result<Value> {
        self.act("evaluate", json!({"expression": expression}))
    }

    /// Presses the microphone's button.
    ///
    /// # Errors
    /// When it is not shown.
    pub fn press_mute(&self) -> Result<()> {
        self.press("#mute")
    }

    /// Presses the camera's button.
    ///
    /// # Errors
    /// When it is not shown.
    pub fn press_camera(&self) -> Result<()> {
        self.press("#camera")
    }

    /// Presses the button that shares the screen, or no more.
    ///
    /// # Errors
    /// When it is not shown.
    pub fn press_share(&self) -> Result<()> {
        self.press("#share")
    }

    /// Leaves the meeting by its button.
    ///
    /// # Errors
    /// When it is not shown.
    pub fn leave(&self) -> Result<()> {
        self.press("#leave")
    }

    /// Opens the chat.
    ///
    /// # Errors
    /// When its button is not shown.
    pub fn open_chat(&self) -> Result<()> {
        self.press("#chat")
    }

    /// Joins once more, after the end.
    ///
    /// # Errors
    /// When the page does not offer that.
    pub fn join_again(&self) -> Result<()> {
        self.press("#again")
    }

    /// Loads the page again.
    ///
    /// # Errors
    /// When it is not served any more.
    pub fn reload(&self) -> Result<()> {
        self.act("reload", json!({})).map(drop)
    }

    /// Closes the tab.
    ///
    /// # Errors
    /// When it is closed already.
    pub fn close_tab(self) -> Result<()> {
        self.act("close", json!({})).map(drop)
    }

    /// Waits for that screen.
    ///
    /// # Errors
    /// When it does not come in time.
    pub fn wait_for_screen(&self, screen: Screen) -> Result<()> {
        self.wait(screen.selector(), None)
            .with_context(|| self.shown())
    }

    /// Waits until that element is shown and has these words in it.
    ///
    /// # Errors
    /// When it is not in time.
    pub fn wait_for_text(&self, selector: &str, words: &str) -> Result<()> {
        self.wait(selector, Some(words))
            .with_context(|| self.shown())
    }

    fn wait(&self, selector: &str, words: Option<&str>) -> Result<()> {
        self.act("wait", json!({"selector": selector, "text": words}))
            .map(drop)
    }

    /// Waits until that element is not shown, or says nothing.
    ///
    /// # Errors
    /// When it still is after a while.
    pub fn wait_until_gone(&self, selector: &str) -> Result<()> {
        self.act("gone", json!({"selector": selector}))
            .with_context(|| self.shown())
            .map(drop)
    }

    /// What an element shows.
    ///
    /// # Errors
    /// When there is no such element.
    pub fn text(&self, selector: &str) -> Result<String> {
        let text = self.act("text", json!({"selector": selector}))?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Waits until so many more pictures have been drawn.
    ///
    /// # Errors
    /// When they have not in time.
    pub fn wait_for_frames(&self, view: View, count: u32) -> Result<()> {
        self.act(
            "frames",
            json!({"selector": view.selector(), "count": count}),
        )
        .with_context(|| self.shown())
        .map(drop)
    }

    /// What has been received so far.
    ///
    /// # Errors
    /// When there is no connection.
    pub fn received(&self) -> Result<Received> {
        let report = self.act("statistics", json!({}))?;
        let count = |name: &str| {
            let value = report[name].as_u64();
            value.with_context(|| format!("no {name} in {report}"))
        };
        let number = |name: &str| {
            let value = report[name].as_f64();
            value.with_context(|| format!("no {name} in {report}"))
        };
        Ok(Received {
            at: Duration::from_secs_f64(number("at_ms")? / 1000.0),
            audio_packets: count("audio_packets")?,
            audio_energy: number("audio_energy")?,
            camera_frames: count("camera_frames")?,
            camera_size: (count("camera_width")?, count("camera_height")?),
            slides_frames: count("slides_frames")?,
        })
    }

    /// What a video element shows, in the size of the picture as it was received.
    ///
    /// # Errors
    /// When it shows none yet.
    pub fn picture(&self, view: View) -> Result<Luma> {
        let file = self.browser.folder.path().join("picture.png");
        self.act(
            "picture",
            json!({"selector": view.selector(), "file": file}),
        )?;
        Luma::read_png(&file)
    }

    /// Writes what the window shows into a PNG file.
    ///
    /// # Errors
    /// When the tab or the file's folder is not there.
    pub fn screenshot(&self, file: &Path) -> Result<()> {
        self.act("screenshot", json!({"file": file})).map(drop)
    }

    /// The next seconds of the room's sound.
    ///
    /// # Errors
    /// When there is no connection.
    pub fn sound(&self, seconds: f32) -> Result<Sound> {
        let file = self.browser.folder.path().join("sound");
        self.act("sound", json!({"seconds": seconds, "file": file}))?;
        Sound::read_samples(&file, SAMPLE_RATE)
    }

    fn press(&self, selector: &str) -> Result<()> {
        self.act("press", json!({"selector": selector}))
            .with_context(|| self.shown())
            .map(drop)
    }

    /// For a test's error.
    fn shown(&self) -> String {
        match self.text("main") {
            Ok(text) => format!("the page shows: {text:?}"),
            Err(_) => "the page shows nothing".to_owned(),
        }
    }

    fn act(&self, command: &str, mut parameters: Value) -> Result<Value> {
        parameters["command"] = command.into();
        parameters["guest"] = self.number.into();
        parameters["timeout_ms"] = (LIMIT.as_millis() as u64).into();
        self.browser.command(parameters)
    }
}

/// The file beside which the packages of the guests' page lie: in the folder where Cargo builds, as its
/// own tests have them.
fn packages() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    // A test lies in target/PROFILE/deps, the benchmark in target/PROFILE.
    let web = own
        .ancestors()
        .skip(2)
        .take(2)
        .map(|folder| folder.join("web"))
        .find(|web| web.join("node_modules/playwright-core").is_dir())
        .with_context(|| {
            format!(
                "no web/node_modules/playwright-core above {}: cargo xtask test --lane web installs it",
                own.display()
            )
        })?;
    Ok(web.join("package.json"))
}
