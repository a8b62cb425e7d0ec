//! Two roomds on this machine, room A calling room B at the press of its join button.
//!
//! Both run as a box without screen and sound card does: the far end's picture is decoded and timed
//! as if it were shown, its sound is played into a simulated loudspeaker.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use api::snapshot::{Leg, RoomState};
use rustix::process::Signal;
use system::child_process::{self, ChildProcess};
use system::ports;
use tempfile::TempDir;

use super::recordings::Recordings;
use super::room_api::RoomApi;

const NAMES: [&str; 2] = ["room-a", "room-b"];
const START_LIMIT: Duration = Duration::from_secs(20);
const CALL_LIMIT: Duration = Duration::from_secs(20);
/// What roomd logs once its API can be asked.
const SERVES: &str = "API served";
/// RTP and RTCP of two streams, for several calls.
const MEDIA_PORTS: u16 = 100;

/// Both rooms.
#[derive(Debug)]
pub(crate) struct RoomdPair {
    pub(crate) caller: Room,
    pub(crate) callee: Room,
    // Dropped last: the rooms have ended by then.
    _folder: TempDir,
}

/// One room.
#[derive(Debug)]
pub(crate) struct Room {
    process: ChildProcess,
    command: Command,
    pub(crate) api: RoomApi,
    name: &'static str,
    /// Where it takes SIP over UDP.
    pub(crate) udp: SocketAddr,
}

/// The ports of one room.
#[derive(Clone, Copy)]
struct Ports {
    tls: u16,
    udp: u16,
    first_media: u16,
}

impl RoomdPair {
    /// Starts both rooms and waits until they answer.
    pub(crate) fn start(roomd: &Path, recordings: &Recordings) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("roomd-bench-").tempdir()?;
        for name in NAMES {
            child_process::run(
                Command::new(roomd)
                    .arg("create-certificate")
                    .arg(folder.path())
                    .args(["--name", name, "--address", "127.0.0.1"]),
            )?;
        }
        let ports = [free_ports()?, free_ports()?];
        let start = |index: usize| {
            let text = configuration(index, ports, folder.path(), recordings);
            Room::start(roomd, NAMES[index], ports[index].udp, folder.path(), &text)
        };
        let (caller, callee) = (start(0)?, start(1)?);
        caller.wait_until_ready()?;
        callee.wait_until_ready()?;
        Ok(Self {
            caller,
            callee,
            _folder: folder,
        })
    }

    /// Presses the join button and waits until both rooms see each other.
    pub(crate) fn call(&self) -> Result<()> {
        self.caller.api.press_join()?;
        for room in [&self.callee, &self.caller] {
            room.wait_for_first_frame()?;
        }
        Ok(())
    }

    /// Hangs up and waits until both rooms are idle.
    pub(crate) fn hang_up(&self) -> Result<()> {
        self.caller.api.hang_up()?;
        self.callee.wait_until_idle()?;
        self.caller.wait_until_idle()
    }

    /// The process ids of both.
    pub(crate) fn processes(&self) -> [u32; 2] {
        [self.caller.process.id(), self.callee.process.id()]
    }
}

impl Room {
    fn start(
        roomd: &Path,
        name: &'static str,
        udp: u16,
        folder: &Path,
        configuration: &str,
    ) -> Result<Self> {
        let config = folder.join(format!("{name}.toml"));
        std::fs::write(&config, configuration)?;
        let mut command = Command::new(roomd);
        command
            .args(["run", "--config"])
            .arg(&config)
            .arg("--state")
            .arg(folder.join(format!("{name}-state")));
        Ok(Self {
            process: ChildProcess::start(name, &mut command)?,
            command,
            api: RoomApi::new(&folder.join(format!("{name}.sock"))),
            name,
            udp: SocketAddr::from(([127, 0, 0, 1], udp)),
        })
    }

    /// Its SIP address.
    pub(crate) fn uri(&self) -> String {
        format!("sip:{}@{}", self.name, self.udp)
    }

    /// Waits until the far end's first picture of the call was decoded, and gives when that was.
    pub(crate) fn wait_for_first_frame(&self) -> Result<u64> {
        let first_frame = |leg: &Leg| {
            leg.first_frame_unix_ms
                .filter(|_| leg.ended_unix_ms.is_none())
        };
        let found = self.api.wait_for("a picture", CALL_LIMIT, |snapshot| {
            snapshot.legs.iter().find_map(first_frame)
        });
        found.with_context(|| {
            format!(
                "{}; its log ends:\n{}",
                self.name,
                self.process.lines().tail()
            )
        })
    }

    /// The call that stands.
    pub(crate) fn live_leg(&self) -> Result<u32> {
        let snapshot = self.api.snapshot()?;
        let mut live = snapshot
            .legs
            .iter()
            .filter(|leg| leg.ended_unix_ms.is_none());
        let leg = live.next().context("no call stands")?;
        ensure!(live.next().is_none(), "two calls stand");
        Ok(leg.id)
    }

    /// Kills the process (SIGKILL), starts it again with what it had stored, and waits until it
    /// answers.
    pub(crate) fn kill_and_restart(&mut self) -> Result<()> {
        self.process.signal(Signal::KILL)?;
        self.process.wait_for_exit(CALL_LIMIT)?;
        self.process = ChildProcess::start(self.name, &mut self.command)?;
        self.wait_until_ready()
    }

    /// Waits until no call is left.
    pub(crate) fn wait_until_idle(&self) -> Result<()> {
        self.api.wait_for("the idle room", CALL_LIMIT, |snapshot| {
            let idle = snapshot.state == RoomState::Idle && snapshot.legs.is_empty();
            idle.then_some(())
        })
    }

    fn wait_until_ready(&self) -> Result<()> {
        self.process.wait_for_line(SERVES, START_LIMIT).map(drop)
    }
}

fn free_ports() -> Result<Ports> {
    Ok(Ports {
        tls: ports::free()?,
        udp: ports::free()?,
        first_media: ports::free_range(MEDIA_PORTS)?,
    })
}

fn configuration(
    index: usize,
    ports: [Ports; 2],
    folder: &Path,
    recordings: &Recordings,
) -> String {
    let (name, peer) = (NAMES[index], NAMES[1 - index]);
    let Ports {
        tls,
        udp,
        first_media,
    } = ports[index];
    format!(
        r#"version = 1

[room]
name = "{name}"

[camera]
source = "file"
file = "{video}"
resolution = "1280x720"
frame_rate = 30
bitrate_kbps = 2000

[microphone]
source = "file"
file = "{audio}"

[playout]
video = "none"
audio = "simulated"

[sip]
listen_udp = "127.0.0.1:{udp}"
listen_tls = "127.0.0.1:{tls}"
certificate = "{folder}/{name}.pem"
key = "{folder}/{name}.key"
ca_files = ["{folder}/authority.pem"]
peers = ["127.0.0.1"]
media_ports = "{first_media}-{last_media}"

[[account]]
name = "{name}"
address = "sip:{name}@127.0.0.1:{tls}"
transport = "tls"
register = false

[incoming]
auto_answer = "{auto_answer}"

[join]
target = "sip:{peer}@127.0.0.1:{peer_tls};transport=tls"

[http]
socket = "{folder}/{name}.sock"
"#,
        video = recordings.video.display(),
        audio = recordings.audio.display(),
        folder = folder.display(),
        last_media = first_media + MEDIA_PORTS - 1,
        auto_answer = ["never", "trusted"][index],
        peer_tls = ports[1 - index].tls,
    )
}
