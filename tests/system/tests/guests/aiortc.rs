//! A guest whose WebRTC is not Chromium's.

use system::aiortc::Aiortc;
use system::journal::Mark;
use system::room_setup::Guests;
use system::sound::Sound;

use crate::{LIMIT, setup, start, wait_for_guest};

#[test]
fn a_guest_on_aiortc_and_the_room_see_and_hear_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let heard = folder.path().join("loudspeaker");
    let mut setup = setup(Guests::Automatically);
    setup.recording = Some(heard.clone());
    let room = start(&setup);
    let link = room.invite().unwrap().url;
    let guest = Aiortc::join(&link, "Anna").unwrap();
    let leg = wait_for_guest(&room, Mark::default(), "Anna");
    let size = guest.wait_for_pictures(30, LIMIT).unwrap();
    let sent = leg.video.unwrap().stats.unwrap().sent_resolution.unwrap();
    assert_eq!(size, (sent.width.into(), sent.height.into()));
    guest.wait_for_sound(50, LIMIT).unwrap();

    // Its upper half is bright and its lower half dark.
    let picture = room.roomd.picture("far-end").unwrap();
    let middle = picture.pixels.len() / 2;
    let [upper, lower] = [&picture.pixels[..middle], &picture.pixels[middle..]].map(mean);
    assert!(upper > 150.0 && lower < 80.0, "{upper} above {lower}");
    let level = Sound::read_samples(&heard, 48_000).unwrap().level();
    assert!(level > 0.01, "the room hears the guest: {level}");

    let mark = room.roomd.snapshot_mark();
    guest.leave().unwrap();
    room.wait_until_idle(mark, LIMIT).unwrap();

    // Another, on whom the room hangs up.
    let guest = Aiortc::join(&link, "Bela").unwrap();
    wait_for_guest(&room, Mark::default(), "Bela");
    room.roomd.roomctl(&["hangup"]).unwrap();
    assert_eq!(guest.wait_for_end(LIMIT).unwrap(), "meeting_over");
}

fn mean(pixels: &[u8]) -> f64 {
    let sum: u64 = pixels.iter().copied().map(u64::from).sum();
    sum as f64 / pixels.len() as f64
}
