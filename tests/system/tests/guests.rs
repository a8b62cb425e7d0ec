//! Guests of a real room, in a real Chromium.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::time::Duration;

use api::snapshot::{Leg, LegKind, LegState, VideoFlow};
use system::authority::Authority;
use system::browser::{Browser, Language, Screen, View};
use system::journal::Mark;
use system::picture::Luma;
use system::poll;
use system::room_setup::{Guests, Room, RoomSetup};
use system::{footage, sound::Sound};

/// For a state that comes at once on an idle machine.
const LIMIT: Duration = Duration::from_secs(45);
/// Above this, two pictures show the same: the scene moves between the one and the other.
const SAME_PICTURE_DB: f64 = 20.0;

fn start(setup: &RoomSetup) -> Room {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    setup.start(&authority).unwrap()
}

/// Waits until the room sees and hears that guest.
fn wait_for_guest(room: &Room, mark: Mark, name: &str) -> Leg {
    room.wait_for_leg(mark, &format!("{name} in the meeting"), LIMIT, |leg| {
        let video = leg.video.as_ref()?;
        let audio = leg.audio.as_ref()?.stats.as_ref()?;
        let seen = video.flow == VideoFlow::Flowing && audio.receive_bps > 0;
        let is_it = leg.kind == LegKind::Guest
            && leg.state == LegState::Established
            && leg.peer.display_name.as_deref() == Some(name);
        (is_it && seen).then(|| leg.clone())
    })
    .unwrap()
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

#[test]
fn a_guest_and_the_room_see_and_hear_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let heard = folder.path().join("loudspeaker");
    let mut setup = RoomSetup::new("board");
    setup.guests = Guests::Automatically;
    setup.sound = Some(footage::reply().unwrap());
    setup.recording = Some(heard.clone());
    let room = start(&setup);
    let said = footage::speech().unwrap();
    let browser = Browser::start(Some(&said)).unwrap();
    let guest = browser
        .visit(&room.invite().unwrap().url, Language::English)
        .unwrap();
    guest.join_as("Anna").unwrap();
    guest.wait_for_screen(Screen::Call).unwrap();
    guest.wait_for_frames(View::FarEnd, 3).unwrap();
    wait_for_guest(&room, Mark::default(), "Anna");

    // As many pictures as the room sends.
    let before = guest.received().unwrap();
    guest.wait_for_frames(View::FarEnd, 60).unwrap();
    let after = guest.received().unwrap();
    let seconds = (after.at - before.at).as_secs_f64();
    let rate = (after.camera_frames - before.camera_frames) as f64 / seconds;
    println!("{rate:.1} frames a second of {:?}", after.camera_size);
    let sent = room.only_leg().unwrap().video.unwrap().stats.unwrap();
    assert!(rate > 0.7 * sent.sent_fps, "{rate} of {}", sent.sent_fps);

    let stamped = guest.picture(View::FarEnd).unwrap();
    assert!(stamped.stamp().is_some(), "the room's clock can be read");
    wait_for_same("the guest's camera in the room", || {
        let own = guest.picture(View::Own).unwrap();
        (own, room.roomd.picture("far-end").unwrap())
    });

    let reply = setup.sound.as_ref().unwrap();
    let clearest = guest.sound(6.0).unwrap().clearest_second(reply).unwrap();
    assert!(clearest > 0.8, "the guest hears the room: {clearest}");
    let received = Sound::read_samples(&heard, 48_000).unwrap();
    let clearest = received.clearest_second(&said).unwrap();
    assert!(clearest > 0.8, "the room hears the guest: {clearest}");

    guest.leave().unwrap();
    guest.wait_for_text("#ended", "You have left").unwrap();
    room.wait_until_idle(Mark::default(), LIMIT).unwrap();
    room.roomd.stop().unwrap();
}
