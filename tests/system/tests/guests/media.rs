//! What guests and the room see and hear of each other.

use std::path::Path;

use api::snapshot::{LegKind, VideoFlow};
use system::authority::Authority;
use system::browser::{Browser, Guest, View};
use system::footage;
use system::journal::Mark;
use system::poll;
use system::room_setup::{Guests, RoomSetup};
use system::sound::Sound;

use crate::{LIMIT, is_named, join, setup, start, wait_for_guest, wait_for_same};

/// Above this, one second of speech is heard clearly in another sound.
const CLEAR: f32 = 0.8;
/// Levels of some seconds, as parts of full scale.
const SPOKEN: f32 = 0.01;
const SILENT: f32 = 0.001;

#[test]
fn a_guest_and_the_room_see_and_hear_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let heard = folder.path().join("loudspeaker");
    let (said, reply) = (footage::speech().unwrap(), footage::reply().unwrap());
    let mut setup = setup(Guests::Automatically);
    setup.sound = Some(reply.clone());
    setup.recording = Some(heard.clone());
    let room = start(&setup);
    let browser = Browser::start(Some(&said)).unwrap();
    let guest = join(&browser, &room, "Anna");

    // As many pictures as the room sends.
    let before = guest.received().unwrap();
    guest.wait_for_frames(View::FarEnd, 60).unwrap();
    let after = guest.received().unwrap();
    let seconds = (after.at - before.at).as_secs_f64();
    let rate = (after.camera_frames - before.camera_frames) as f64 / seconds;
    let sent = room.only_leg().unwrap().video.unwrap().stats.unwrap();
    let (sent_rate, size) = (sent.sent_fps, sent.sent_resolution.unwrap());
    assert!(rate > 0.7 * sent_rate, "{rate} of {sent_rate} a second");
    assert_eq!(
        after.camera_size,
        (u64::from(size.width), u64::from(size.height))
    );

    guest.wait_for_text("#quality_text", "connection").unwrap();
    keep_for_readme(&guest);

    let picture = guest.picture(View::FarEnd).unwrap();
    assert!(picture.stamp().is_some(), "the room's clock can be read");
    wait_for_same("the guest's camera in the room", || {
        let own = guest.picture(View::Own).unwrap();
        (own, room.roomd.picture("far-end").unwrap())
    });

    let clearest = guest.sound(6.0).unwrap().clearest_second(&reply).unwrap();
    assert!(clearest > CLEAR, "the guest hears the room: {clearest}");
    let received = Sound::read_samples(&heard, 48_000).unwrap();
    let clearest = received.clearest_second(&said).unwrap();
    assert!(clearest > CLEAR, "the room hears the guest: {clearest}");

    let mark = room.roomd.snapshot_mark();
    guest.leave().unwrap();
    guest.wait_for_text("#ended", "You have left").unwrap();
    room.wait_until_idle(mark, LIMIT).unwrap();
    room.roomd.stop().unwrap();
}

/// The README's picture of the page:
/// `RENEW_PICTURE=1 cargo nextest run -p system --test guests a_guest_and_the_room_see`.
fn keep_for_readme(guest: &Guest<'_>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../appliance/roomd/pictures");
    if std::env::var_os("RENEW_PICTURE").is_some() {
        guest.screenshot(&folder.join("guest.png")).unwrap();
    }
}

#[test]
fn what_a_guest_switches_off_is_off_in_the_room_also_when_the_page_is_loaded_again() {
    let folder = tempfile::tempdir().unwrap();
    let heard = folder.path().join("loudspeaker");
    let said = footage::speech().unwrap();
    let mut setup = setup(Guests::Automatically);
    setup.sound = Some(Sound::silence(48_000, 1.0));
    setup.recording = Some(heard.clone());
    let room = start(&setup);
    let browser = Browser::start(Some(&said)).unwrap();
    let guest = join(&browser, &room, "Anna");
    let last_second = || {
        let heard = Sound::read_samples(&heard, 48_000).ok()?;
        let begin = heard.seconds() - 1.0;
        (begin > 0.0).then(|| heard.excerpt(begin, 1.0).level())
    };
    let wait_for_level = |what: &str, wanted: &dyn Fn(f32) -> bool| {
        poll::until(what, LIMIT, || {
            Ok(last_second().filter(|level| wanted(*level)))
        })
        .unwrap();
    };
    let wait_for_picture = |mark, what: &str, wanted: VideoFlow| {
        room.wait_for_leg(mark, what, LIMIT, |leg| {
            (leg.video.as_ref()?.flow == wanted).then_some(())
        })
        .unwrap();
    };
    wait_for_level("speech", &|level| level > SPOKEN);

    let mark = room.roomd.snapshot_mark();
    guest.press_mute().unwrap();
    guest.press_camera().unwrap();
    wait_for_level("silence", &|level| level < SILENT);
    wait_for_picture(mark, "no picture", VideoFlow::Off);
    // Silence is not even sent.
    room.wait_for_leg(mark, "no packets of sound", LIMIT, |leg| {
        (leg.audio.as_ref()?.stats.as_ref()?.receive_bps == 0).then_some(())
    })
    .unwrap();

    let mark = room.roomd.snapshot_mark();
    guest.reload().unwrap();
    guest.wait_for_frames(View::FarEnd, 3).unwrap();
    guest.wait_for_text("#mute", "Unmute").unwrap();
    guest.press_camera().unwrap();
    wait_for_picture(mark, "the picture again", VideoFlow::Flowing);
    wait_for_level("silence", &|level| level < SILENT);
    guest.press_mute().unwrap();
    wait_for_level("speech again", &|level| level > SPOKEN);
}

#[test]
fn the_other_guest_goes_on_when_one_closes_their_tab() {
    let room = start(&setup(Guests::Automatically));
    let browser = Browser::start(None).unwrap();
    let anna = join(&browser, &room, "Anna");
    let bela = join(&browser, &room, "Bela");
    anna.wait_for_frames(View::FarEnd, 10).unwrap();

    let mark = room.roomd.snapshot_mark();
    anna.close_tab().unwrap();
    // A tab that is gone says nothing: what tells is that nobody consents any more (RFC 7675).
    room.roomd
        .wait_for_snapshot_after(mark, "no leg of Anna", 2 * LIMIT, |snapshot| {
            let is_gone = !snapshot.legs.iter().any(|leg| is_named(leg, "Anna"));
            is_gone.then_some(())
        })
        .unwrap();
    bela.wait_for_frames(View::FarEnd, 10).unwrap();
    let mark = room.roomd.snapshot_mark();
    wait_for_guest(&room, mark, "Bela");
}

#[test]
fn a_guest_and_another_room_are_in_the_meeting_together() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let room = setup(Guests::Automatically).start(&authority).unwrap();
    let lobby = RoomSetup::new("lobby").start(&authority).unwrap();
    let browser = Browser::start(None).unwrap();
    let anna = join(&browser, &room, "Anna");
    lobby.call(room.uri()).unwrap();
    lobby.wait_for_media(Mark::default(), LIMIT).unwrap();
    anna.wait_for_frames(View::FarEnd, 10).unwrap();
    let legs = room.roomd.snapshot().unwrap().legs;
    let mut kinds: Vec<LegKind> = legs.iter().map(|leg| leg.kind).collect();
    kinds.sort_unstable_by_key(|kind| *kind == LegKind::Guest);
    assert_eq!(kinds, [LegKind::Sip, LegKind::Guest]);

    // The guest's going is nothing to the call, and the end of the call nothing to a guest.
    let mark = room.roomd.snapshot_mark();
    anna.leave().unwrap();
    room.roomd
        .wait_for_snapshot_after(mark, "the call alone", LIMIT, |snapshot| {
            (snapshot.legs.len() == 1).then_some(())
        })
        .unwrap();
    let mark = lobby.roomd.snapshot_mark();
    lobby.wait_for_media(mark, LIMIT).unwrap();
    let bela = join(&browser, &room, "Bela");
    lobby.roomd.roomctl(&["hangup"]).unwrap();
    lobby.wait_until_idle(mark, LIMIT).unwrap();
    bela.wait_for_frames(View::FarEnd, 10).unwrap();
}
