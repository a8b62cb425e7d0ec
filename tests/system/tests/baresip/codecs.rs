//! Each codec and packetization mode that the room has in common with baresip.

use std::path::PathBuf;

use system::footage::{Recording, speech};
use system::journal::Mark;
use system::room_setup::Camera;
use system::sound::Sound;

use crate::content::{assert_says, assert_shows};
use crate::site::{LIMIT, site};

/// Three seconds of 20 ms packets: a few of the words.
const SPOKEN_PACKETS: u64 = 150;

fn the_voice_is_heard_by(module: &'static str, codec: &str) {
    let mut site = site(|setup, config| {
        setup.sound = Some(speech().unwrap());
        // Echo control takes from a voice that speaks at the same time as another.
        config.sound = Sound::silence(48_000, 1.0);
        config.audio_codecs = vec![module];
    });
    site.peer_calls();
    let leg = site.room.only_leg().unwrap();
    assert_eq!(leg.audio.unwrap().codec, codec);
    site.let_the_peer_hear(SPOKEN_PACKETS);
    site.room.roomd.roomctl(&["hangup"]).unwrap();
    site.peer
        .wait_for_event(Mark::default(), "CALL_CLOSED", LIMIT)
        .unwrap();
    assert_says(&site.peer.received_sound().unwrap(), &speech().unwrap());
}

#[test]
fn voices_are_heard_by_g722() {
    the_voice_is_heard_by("g722", "G722");
}

#[test]
fn voices_are_heard_by_pcmu() {
    the_voice_is_heard_by("g711", "PCMU");
}

fn film() -> PathBuf {
    Recording::BigBuckBunny.file().unwrap()
}

#[test]
fn packetization_mode_1_is_used_with_a_peer_that_has_both() {
    let mut site = site(|setup, _| setup.camera = Camera::Recording(film()));
    site.room_calls();
    let video = site.room.only_leg().unwrap().video.unwrap();
    assert_eq!(video.packetization_mode, 1);
    assert_shows(
        &site.peer.snapshot_received().unwrap(),
        Recording::BigBuckBunny,
    );
}

#[test]
fn packetization_mode_0_is_used_with_a_peer_that_has_no_other() {
    let mut site = site(|setup, config| {
        setup.camera = Camera::Recording(film());
        // baresip takes four codecs at most, in this order, and the first of its two H.264 codecs is
        // the one of mode 0: the other finds no place. The room has no H.265.
        config.account_parameters = ";video_codecs=h265,h265,h265,h264".to_owned();
    });
    site.peer_calls();
    let video = site.room.only_leg().unwrap().video.unwrap();
    assert_eq!(video.packetization_mode, 0);
    assert_shows(
        &site.peer.snapshot_received().unwrap(),
        Recording::BigBuckBunny,
    );
    assert_shows(
        &site.room.roomd.picture("far-end").unwrap(),
        Recording::BigBuckBunny,
    );
}
