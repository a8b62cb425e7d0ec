//! The demo's two rooms: configuration, processes, and what they report.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use api::Snapshot;
use api::guests::FreshInvitation;

use super::Programs;
use super::live_view::last_fault;
use super::options::Options;
use crate::language::Language;
use crate::process;

const NAMES: [&str; 2] = ["room-a", "room-b"];
/// How long a room may take to answer its first request.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How long a room may take to hang up and end.
const END_LIMIT: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The newest snapshot of each room, and word of each change.
#[derive(Default)]
struct Reports {
    newest: Mutex<[Option<Snapshot>; 2]>,
    changed: Condvar,
}

/// Both rooms. Dropping them ends their processes.
pub(super) struct Rooms {
    rooms: [Room; 2],
    reports: Arc<Reports>,
    folder: tempfile::TempDir,
    pictures: Option<PathBuf>,
}

/// One room.
pub(super) struct Room {
    index: usize,
    language: Language,
    roomctl: PathBuf,
    socket: PathBuf,
    log: PathBuf,
    roomd: Child,
    watch: Option<Watch>,
    reports: Arc<Reports>,
}

struct Watch {
    roomctl: Child,
    reader: JoinHandle<()>,
}

impl Rooms {
    pub(super) fn start(
        language: Language,
        programs: &Programs,
        options: &Options,
        interrupted: &AtomicBool,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("roomd-demo-").tempdir()?;
        let ports = free_ports()?;
        for (name, _) in NAMES.iter().zip(ports) {
            process::output_of(
                Command::new(&programs.roomd)
                    .arg("create-certificate")
                    .arg(folder.path())
                    .args(["--name", name, "--address", "127.0.0.1"]),
            )?;
        }
        let audio = match &options.audio {
            Some(file) => file.clone(),
            None => speak(folder.path())?,
        };
        let reports = Arc::new(Reports::default());
        let start = |index: usize| {
            let text = configuration(index, ports, folder.path(), options, &audio);
            let reports = Arc::clone(&reports);
            Room::start(index, language, programs, folder.path(), &text, reports)
        };
        println!(
            "{}",
            language.choose("Starting two rooms ...", "正在启动两间会议室……")
        );
        let (first, second) = (start(0)?, start(1)?);
        let mut rooms = Self {
            rooms: [first, second],
            reports,
            folder,
            pictures: options.pictures.clone(),
        };
        for room in &mut rooms.rooms {
            room.wait_until_ready(interrupted)?;
            room.watch()?;
        }
        Ok(rooms)
    }

    /// The join button of the first room.
    pub(super) fn press_join(&self) -> Result<()> {
        self.rooms[0].roomctl(&["join"]).map(drop)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Room> {
        self.rooms.iter()
    }

    /// How the visitor gets a picture of a room, and joins the call from a browser.
    ///
    /// # Errors
    /// The first room makes no link.
    pub(super) fn hint(&self, language: Language) -> Result<String> {
        let room = &self.rooms[0];
        let (roomctl, socket) = (room.roomctl.display(), room.socket.display());
        let picture = language.choose("What a room sees: ", "会议室看到的画面：");
        let join = language.choose(
            "Join from a browser on this machine, past its warning about the certificate: ",
            "用本机浏览器加入（请忽略证书警告）：",
        );
        let link = room.guest_link()?;
        Ok(format!(
            "{picture}{roomctl} --socket {socket} picture far-end.jpg\n{join}{link}"
        ))
    }

    /// A line for the last fault of each room that has one.
    pub(super) fn faults(&self, language: Language) -> String {
        let of_room = |room: &Room| {
            let fault = last_fault(language, &room.snapshot()?)?;
            Some(format!("\n{}: {fault}", room.name()))
        };
        self.rooms.iter().filter_map(of_room).collect()
    }

    /// Waits until a room reports something new, at most for `limit`.
    pub(super) fn wait_for_change(&self, limit: Duration) {
        let newest = self
            .reports
            .newest
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        drop(self.reports.changed.wait_timeout(newest, limit));
    }

    /// Fails, with the end of its log, when a room has ended by itself.
    pub(super) fn check_running(&mut self) -> Result<()> {
        self.rooms.iter_mut().try_for_each(Room::check_running)
    }

    pub(super) fn save_pictures(&self) -> Result<()> {
        let Some(folder) = &self.pictures else {
            return Ok(());
        };
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        for room in &self.rooms {
            for what in ["far-end", "sent"] {
                let file = folder.join(format!("{}-{what}.jpg", room.name()));
                let file = file
                    .to_str()
                    .context("the folder's name is not UTF-8")?
                    .to_owned();
                room.roomctl(&["picture", "--of", what, &file])?;
            }
        }
        Ok(())
    }

    /// Tells both rooms to end and waits for it.
    pub(super) fn end(mut self) -> Result<()> {
        for room in &self.rooms {
            room.tell_to_end();
        }
        let results = self.rooms.each_mut().map(Room::wait_for_end);
        results.into_iter().collect::<Result<()>>()?;
        self.folder
            .close()
            .context("the demo's temporary folder stays behind")
    }
}

impl Room {
    fn start(
        index: usize,
        language: Language,
        programs: &Programs,
        folder: &Path,
        configuration: &str,
        reports: Arc<Reports>,
    ) -> Result<Self> {
        let name = NAMES[index];
        let config = folder.join(format!("{name}.toml"));
        fs::write(&config, configuration)?;
        let log = folder.join(format!("{name}.log"));
        let roomd = Command::new(&programs.roomd)
            .args(["run", "--config"])
            .arg(&config)
            .arg("--state")
            .arg(folder.join(format!("{name}-state")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .spawn()
            .with_context(|| programs.roomd.display().to_string())?;
        Ok(Self {
            index,
            language,
            roomctl: programs.roomctl.clone(),
            socket: folder.join(format!("{name}.sock")),
            log,
            roomd,
            watch: None,
            reports,
        })
    }

    pub(super) fn name(&self) -> &'static str {
        NAMES[self.index]
    }

    /// The newest snapshot.
    pub(super) fn snapshot(&self) -> Option<Snapshot> {
        let newest = self
            .reports
            .newest
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        newest[self.index].clone()
    }

    fn roomctl(&self, arguments: &[&str]) -> Result<String> {
        process::output_of(
            Command::new(&self.roomctl)
                .arg("--socket")
                .arg(&self.socket)
                .args(arguments),
        )
    }

    /// A link by which whoever has it is in the room's meeting.
    fn guest_link(&self) -> Result<String> {
        let answer = self.roomctl(&["guests", "invite", "--json"])?;
        let fresh: FreshInvitation = serde_json::from_str(&answer)?;
        Ok(fresh.url)
    }

    fn wait_until_ready(&mut self, interrupted: &AtomicBool) -> Result<()> {
        let limit = Instant::now() + START_LIMIT;
        while std::os::unix::net::UnixStream::connect(&self.socket).is_err() {
            self.check_running()?;
            ensure!(
                !interrupted.load(Ordering::Relaxed),
                "{}",
                self.language.choose("interrupted", "已中断")
            );
            ensure!(
                Instant::now() < limit,
                "{}",
                self.complaint("does not answer", "没有应答")
            );
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    fn watch(&mut self) -> Result<()> {
        let mut roomctl = Command::new(&self.roomctl)
            .arg("--socket")
            .arg(&self.socket)
            .args(["--json", "watch"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let lines = BufReader::new(roomctl.stdout.take().context("roomctl has no output")?);
        let (reports, index) = (Arc::clone(&self.reports), self.index);
        let reader = std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let Ok(snapshot) = serde_json::from_str(&line) else {
                    continue;
                };
                reports
                    .newest
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)[index] = Some(snapshot);
                reports.changed.notify_all();
            }
        });
        self.watch = Some(Watch { roomctl, reader });
        Ok(())
    }

    fn check_running(&mut self) -> Result<()> {
        if let Some(status) = self.roomd.try_wait()? {
            bail!(self.bad_end(status));
        }
        Ok(())
    }

    fn bad_end(&self, status: ExitStatus) -> String {
        self.complaint(
            &format!("ended with {status}"),
            &format!("已终止（{status}）"),
        )
    }

    /// What is wrong with the room, and the end of its log.
    fn complaint(&self, english: &str, chinese: &str) -> String {
        let what = self.language.choose(english, chinese);
        format!("{} {what}\n{}", self.name(), self.log_end())
    }

    fn log_end(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// SIGTERM, as a service supervisor sends it. After Ctrl-C the room has had a SIGINT already;
    /// being told twice changes nothing.
    fn tell_to_end(&self) {
        if let Some(process) = rustix::process::Pid::from_raw(self.roomd.id().cast_signed()) {
            // Fails only when the process has ended already.
            let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        }
    }

    fn wait_for_end(&mut self) -> Result<()> {
        let limit = Instant::now() + END_LIMIT;
        let status = loop {
            if let Some(status) = self.roomd.try_wait()? {
                break status;
            }
            ensure!(
                Instant::now() < limit,
                "{}",
                self.complaint("does not end", "没有结束")
            );
            std::thread::sleep(LOOK_AGAIN);
        };
        ensure!(status.success(), self.bad_end(status));
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // Each fails only when the process has ended already.
        let _ = self.roomd.kill();
        let _ = self.roomd.wait();
        if let Some(mut watch) = self.watch.take() {
            let _ = watch.roomctl.kill();
            let _ = watch.roomctl.wait();
            let _ = watch.reader.join();
        }
    }
}

/// Two ports for SIP over TLS that nobody uses. Both are held until both are known.
fn free_ports() -> Result<[u16; 2]> {
    let listen = || std::net::TcpListener::bind("127.0.0.1:0");
    let (first, second) = (listen()?, listen()?);
    Ok([first.local_addr()?.port(), second.local_addr()?.port()])
}

/// Spoken words for the microphones.
fn speak(folder: &Path) -> Result<PathBuf> {
    let file = folder.join("speech.wav");
    process::output_of(
        Command::new("espeak-ng")
            .args(["-s", "150", "-w"])
            .arg(&file)
            .arg(
                "Good morning. This is a room that belongs to its owner. \
         The camera is encoded once, and every leg of the call receives the same picture. \
         No vendor's cloud was needed for this call.",
            ),
    )?;
    Ok(file)
}

fn configuration(
    index: usize,
    ports: [u16; 2],
    folder: &Path,
    options: &Options,
    audio: &Path,
) -> String {
    let (name, folder) = (NAMES[index], folder.display());
    let (own_port, peer_port) = (ports[index], ports[1 - index]);
    let peer = NAMES[1 - index];
    let display_name = ["Room A", "Room B"][index];
    let camera = match &options.video {
        Some(file) => format!("source = \"file\"\nfile = {}", quoted(file)),
        None => "source = \"simulated\"".to_owned(),
    };
    let video_sink = if options.headless { "none" } else { "window" };
    let auto_answer = ["never", "trusted"][index];
    let media_ports = ["16384-16483", "16484-16583"][index];
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        r#"version = 1

[room]
name = "{display_name}"

[camera]
{camera}

[slides]
source = "simulated"

[microphone]
source = "file"
file = {audio}

[playout]
video = "{video_sink}"
audio = "simulated"

[sip]
listen_tls = "127.0.0.1:{own_port}"
certificate = "{folder}/{name}.pem"
key = "{folder}/{name}.key"
ca_files = ["{folder}/authority.pem"]
peers = ["127.0.0.1"]
media_ports = "{media_ports}"

[[account]]
name = "{name}"
address = "sip:{name}@127.0.0.1:{own_port}"
transport = "tls"
register = false

[incoming]
auto_answer = "{auto_answer}"

[join]
target = "sip:{peer}@127.0.0.1:{peer_port};transport=tls"

[http]
socket = "{folder}/{name}.sock"
"#,
        audio = quoted(audio),
    );
    if index == 0 {
        text.push_str(
            "\n[guests]\nlisten = \"127.0.0.1:0\"\nmedia_tcp_port = 0\nadmit = \"automatically\"\n",
        );
    }
    text
}

/// A path as a TOML string.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
