//! Guests of a real room, in a real Chromium.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

mod admission;
mod aiortc;
mod connection;
mod firefox;
mod forwarded;
mod lost_sound;
mod media;
mod network_changes;
mod reachability;
mod relayed;
mod simulcast;
mod slides;
mod slow_network;
mod webrtcbin;

use std::time::Duration;

use api::snapshot::{Leg, LegKind, LegState, VideoFlow};
use system::authority::Authority;
use system::browser::{Browser, Guest, Language, Screen, View};
use system::journal::Mark;
use system::picture::Luma;
use system::poll;
use system::room_setup::{Guests, Room, RoomSetup};

/// For a state that comes at once on an idle machine.
const LIMIT: Duration = Duration::from_secs(45);
/// Above this, two pictures show the same: the scene moves between the one and the other.
const SAME_PICTURE_DB: f64 = 20.0;

/// A room that takes guests so.
fn setup(guests: Guests) -> RoomSetup {
    let mut setup = RoomSetup::new("board");
    setup.guests = guests;
    setup
}

fn start(setup: &RoomSetup) -> Room {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    setup.start(&authority).unwrap()
}

/// Somebody who opens a link of the room and asks to come in.
fn knock<'a>(browser: &'a Browser, room: &Room, name: &str, language: Language) -> Guest<'a> {
    let link = room.invite().unwrap().url;
    let guest = browser.visit(&link, language).unwrap();
    guest.join_as(name).unwrap();
    guest
}

/// A guest whom nobody has to let in, and who sees the room and is seen by it.
fn join<'a>(browser: &'a Browser, room: &Room, name: &str) -> Guest<'a> {
    let guest = knock(browser, room, name, Language::English);
    guest.wait_for_screen(Screen::Call).unwrap();
    guest.wait_for_frames(View::FarEnd, 3).unwrap();
    wait_for_guest(room, Mark::default(), name);
    guest
}

fn is_named(leg: &Leg, name: &str) -> bool {
    leg.kind == LegKind::Guest && leg.peer.display_name.as_deref() == Some(name)
}

/// Waits until the room sees and hears that guest.
fn wait_for_guest(room: &Room, mark: Mark, name: &str) -> Leg {
    room.wait_for_leg(mark, &format!("{name} in the meeting"), LIMIT, |leg| {
        let video = leg.video.as_ref()?;
        let audio = leg.audio.as_ref()?.stats.as_ref()?;
        let seen = video.flow == VideoFlow::Flowing && audio.receive_bps > 0;
        let is_it = is_named(leg, name) && leg.state == LegState::Established;
        (is_it && seen).then(|| leg.clone())
    })
    .unwrap()
}

/// Waits until the room has a leg of that guest in that state.
fn wait_for_leg(room: &Room, name: &str, state: LegState) -> Leg {
    room.wait_for_leg(
        Mark::default(),
        &format!("{name} {state:?}"),
        LIMIT,
        |leg| (is_named(leg, name) && leg.state == state).then(|| leg.clone()),
    )
    .unwrap()
}

/// Waits for pictures at both ends that were sent after now, on the leg that there was.
fn assert_both_go_on(room: &Room, guest: &Guest<'_>, leg: u32) {
    guest.wait_for_frames(View::FarEnd, 60).unwrap();
    let mut seen = None;
    let mark = room.roomd.snapshot_mark();
    room.wait_for_leg(mark, "pictures of the guest", 2 * LIMIT, |now| {
        let packets = now.video.as_ref()?.stats.as_ref()?.stream.packets_received;
        let first = *seen.get_or_insert(packets);
        (now.id == leg && packets > first + 100).then_some(())
    })
    .unwrap();
}

/// Looks at both again and again until they show the same. The scene goes on between the two looks.
fn wait_for_same(what: &str, mut look: impl FnMut() -> (Luma, Luma)) {
    let mut seen = Vec::new();
    let same = poll::until(what, LIMIT, || {
        let (sent, received) = look();
        let quality = sent.psnr(&received);
        let same = quality.as_ref().is_ok_and(|it| *it > SAME_PICTURE_DB);
        seen.push(quality.map_err(|error| error.to_string()));
        Ok(same.then_some(()))
    });
    assert!(same.is_ok(), "{what}: {seen:?}");
}
