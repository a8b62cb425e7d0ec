//! A room with the film before its camera, whose guests come in by themselves.

use std::path::Path;

use anyhow::Result;
use system::authority::Authority;
use system::browser::{Browser, Guest, Language, Screen};
use system::room_setup::{Camera, Guests, Place, Room, RoomSetup};

use super::recordings::Recordings;

/// Names a folder for what the rooms log, their congestion control among it.
const LOGS: &str = "ROOMD_BENCH_LOGS";

/// Starts it at that place.
pub(crate) fn start(recordings: &Recordings, place: Place) -> Result<Room> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(folder.path())?;
    let setup = RoomSetup {
        place,
        camera: Camera::Recording(recordings.video.clone()),
        sound: Some(recordings.speech.clone()),
        guests: Guests::Automatically,
        ..RoomSetup::new("room")
    };
    setup.start(&authority)
}

/// Somebody opens its link, and has not come in yet.
pub(crate) fn visit<'a>(room: &Room, browser: &'a Browser) -> Result<Guest<'a>> {
    let guest = browser.visit(&room.invite()?.url, Language::English)?;
    guest.wait_for_screen(Screen::Start)?;
    Ok(guest)
}

/// Keeps what it has logged under that name, where somebody wants it.
pub(crate) fn keep_log(room: &Room, name: &str) -> Result<()> {
    let Some(folder) = std::env::var_os(LOGS) else {
        return Ok(());
    };
    let log = room.roomd.log().entries().join("\n");
    std::fs::write(Path::new(&folder).join(name), log)?;
    Ok(())
}
