//! `cargo xtask demo`: two rooms on this machine in an encrypted SIP call, shown live.
//!
//! Each room is a real `roomd` with simulated hardware, or with recordings. A link takes a browser on this
//! machine into the call. Nothing leaves the machine: both listen on loopback, and everything they write is in one temporary folder that
//! goes when the demo ends.

mod live_view;
mod options;
mod rooms;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use self::live_view::LiveView;
use self::options::Options;
use self::rooms::{Room, Rooms};
use crate::language::Language;
use crate::setup::{self, Purpose};
use crate::{cache, process};

/// How often the view is drawn again.
const REDRAW: Duration = Duration::from_millis(250);

/// Cargo's profile, and the folder in the target directory: a visitor waits for this build.
const PROFILE: &str = "demo";

/// The programs that the demo starts.
struct Programs {
    roomd: PathBuf,
    roomctl: PathBuf,
}

/// Shows two rooms in a call until Ctrl-C, or for `--seconds`.
pub(crate) fn run(language: Language, arguments: &[OsString]) -> Result<()> {
    if arguments
        .iter()
        .any(|word| word == "--help" || word == "-h")
    {
        println!("{}", options::usage(language));
        return Ok(());
    }
    let options = Options::parse(language, arguments)?;
    setup::prepare(language, &[Purpose::Build, Purpose::Run, Purpose::Demo])?;
    let programs = build(language)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))
            .context("cannot take over Ctrl-C")?;
    }
    let mut rooms = Rooms::start(language, &programs, &options, &interrupted)?;
    let result = show(language, &mut rooms, &options, &interrupted);
    let ended = rooms.end();
    result.and(ended)?;
    println!(
        "{}",
        language.choose(
            "Both rooms have hung up and ended.",
            "两间会议室均已挂断并退出。"
        )
    );
    Ok(())
}

fn build(language: Language) -> Result<Programs> {
    println!(
        "{}",
        language.choose(
            "Building roomd, which takes some minutes the first time ...",
            "正在编译 roomd，首次需要几分钟……"
        )
    );
    process::run(
        process::cargo()
            .args(["build", "--profile", PROFILE, "--locked"])
            .args(["--package", "roomd", "--package", "roomctl"]),
    )?;
    let folder = cache::target_directory().join(PROFILE);
    Ok(Programs {
        roomd: folder.join("roomd"),
        roomctl: folder.join("roomctl"),
    })
}

fn show(
    language: Language,
    rooms: &mut Rooms,
    options: &Options,
    interrupted: &AtomicBool,
) -> Result<()> {
    rooms.press_join()?;
    let mut view = LiveView::new(language, rooms.hint(language)?);
    let end = options.duration.map(|duration| Instant::now() + duration);
    while !interrupted.load(Ordering::Relaxed) && end.is_none_or(|end| Instant::now() < end) {
        rooms.check_running()?;
        view.draw(rooms.all().map(Room::snapshot))?;
        rooms.wait_for_change(REDRAW);
    }
    view.close()?;
    if end.is_some() && !interrupted.load(Ordering::Relaxed) {
        demand_a_call(language, rooms)?;
        rooms.save_pictures()?;
    }
    Ok(())
}

/// With `--seconds` the demo is a check: it fails when the rooms did not see each other.
fn demand_a_call(language: Language, rooms: &Rooms) -> Result<()> {
    for room in rooms.all() {
        let snapshot = room.snapshot();
        let leg = snapshot.as_ref().and_then(|snapshot| snapshot.legs.first());
        if leg.is_none_or(|leg| leg.first_frame_unix_ms.is_none()) {
            let state = live_view::state(language, snapshot.as_ref(), leg);
            let faults = rooms.faults(language);
            match language {
                Language::English => bail!(
                    "{} saw no picture of the other room (its state: {state}){faults}",
                    room.name()
                ),
                Language::Chinese => bail!(
                    "{} 没有看到另一间会议室的画面（状态：{state}）{faults}",
                    room.name()
                ),
            }
        }
    }
    Ok(())
}
