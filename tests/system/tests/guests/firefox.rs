//! Guests in Debian's Firefox, which comes without its H.264 plugin: sound both ways and a chat that is open, no pictures.

use api::snapshot::{Leg, LegState};
use system::browser::{Browser, FIREFOX_TONE, Language, Screen};
use system::footage;
use system::journal::Mark;
use system::poll;
use system::room_setup::{Guests, Room};
use system::sound::Sound;

use crate::{LIMIT, is_named, knock, setup, start, wait_for_leg};

/// Above this, one second of a sound is heard clearly in another.
const CLEAR: f32 = 0.8;

/// Waits until the room hears that guest.
fn wait_for_sound(room: &Room, mark: Mark, name: &str) -> Leg {
    room.wait_for_leg(mark, &format!("{name} is heard"), LIMIT, |leg| {
        let audio = leg.audio.as_ref()?.stats.as_ref()?;
        let is_it = is_named(leg, name) && leg.state == LegState::Established;
        (is_it && audio.receive_bps > 0).then(|| leg.clone())
    })
    .unwrap()
}

#[test]
fn firefox_and_the_room_hear_each_other_over_a_reload_until_the_meeting_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let loudspeaker = folder.path().join("loudspeaker");
    let reply = footage::reply().unwrap();
    let mut setup = setup(Guests::Ask);
    setup.sound = Some(reply.clone());
    setup.recording = Some(loudspeaker.clone());
    let room = start(&setup);
    let browser = Browser::start_firefox().unwrap();
    let anna = knock(&browser, &room, "Anna", Language::English);
    let knocking = wait_for_leg(&room, "Anna", LegState::Incoming);
    room.roomd.roomctl(&["answer"]).unwrap();
    anna.wait_for_screen(Screen::Call).unwrap();
    anna.wait_for_text("#no_picture", "Sound only").unwrap();
    let leg = wait_for_sound(&room, Mark::default(), "Anna");
    assert_eq!(leg.id, knocking.id);

    // Both ways, and in what is heard.
    let before = anna.received().unwrap();
    let clearest = anna.sound(6.0).unwrap().clearest_second(&reply).unwrap();
    assert!(clearest > CLEAR, "the guest hears the room: {clearest}");
    let after = anna.received().unwrap();
    assert!(after.audio_packets > before.audio_packets + 100);
    assert!(after.audio_energy > before.audio_energy);
    let tone = Sound::tone(48_000, FIREFOX_TONE, 2.0);
    poll::until("the guest's tone in the room", LIMIT, || {
        let heard = Sound::read_samples(&loudspeaker, 48_000)?;
        let begin = heard.seconds() - 2.0;
        let last = (begin > 0.0).then(|| heard.excerpt(begin, 2.0));
        let clearest = last.map(|last| last.clearest_second(&tone)).transpose()?;
        Ok(clearest.filter(|clearest| *clearest > CLEAR))
    })
    .unwrap();
    anna.open_chat().unwrap();
    anna.wait_for_text("#chat_hint", "Nothing has been written yet.")
        .unwrap();

    anna.reload().unwrap();
    let mark = room.roomd.snapshot_mark();
    anna.wait_for_screen(Screen::Call).unwrap();
    assert_eq!(wait_for_sound(&room, mark, "Anna").id, leg.id);
    let snapshot = room.roomd.snapshot().unwrap();
    assert_eq!(snapshot.legs.len(), 1);
    assert_eq!(snapshot.last_ended, [], "the call was never over");
    let before = anna.received().unwrap().audio_packets;
    poll::until("sound after the reload", LIMIT, || {
        let more = anna.received()?.audio_packets > before + 50;
        Ok(more.then_some(()))
    })
    .unwrap();

    let mark = room.roomd.snapshot_mark();
    room.roomd.roomctl(&["hangup"]).unwrap();
    anna.wait_for_text("#ended_text", "The meeting has ended.")
        .unwrap();
    anna.wait_until_gone("#again").unwrap();
    room.wait_until_idle(mark, LIMIT).unwrap();
    room.roomd.stop().unwrap();
}

#[test]
fn a_guest_without_h264_reads_before_joining_what_brings_pictures() {
    let room = start(&setup(Guests::Automatically));
    let browser = Browser::start_firefox().unwrap();
    for (language, words) in [
        (Language::English, "install the OpenH264 plugin"),
        (Language::Chinese, "请安装 OpenH264 插件"),
    ] {
        let link = room.invite().unwrap().url;
        let guest = browser.visit(&link, language).unwrap();
        guest.wait_for_text("#start_without", words).unwrap();
    }
}
