//! roomd as its user starts it: it serves its API, answers roomctl, and ends when it is asked to.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use api::snapshot::MicrophoneState;
use system::process_usage::ProcessUsage;
use system::roomd::Roomd;

const LIMIT: Duration = Duration::from_secs(20);

fn simulated_room(_folder: &Path) -> Result<String> {
    let port = system::ports::free()?;
    Ok(format!(
        "version = 1\n\
         [room]\nname = \"Harness\"\n\
         [camera]\nsource = \"simulated\"\n\
         [microphone]\nsource = \"simulated\"\n\
         [playout]\nvideo = \"none\"\naudio = \"none\"\n\
         [sip]\nlisten_udp = \"127.0.0.1:{port}\"\n"
    ))
}

#[test]
fn a_muted_microphone_shows_in_the_snapshot() {
    let roomd = Roomd::start("roomd", simulated_room).unwrap();
    roomd.roomctl(&["mute", "on"]).unwrap();
    roomd
        .wait_for_snapshot("a muted microphone", LIMIT, |snapshot| {
            (snapshot.microphone.state == MicrophoneState::Muted).then_some(())
        })
        .unwrap();
    assert!(ProcessUsage::of(roomd.id()).unwrap().threads > 1);
    roomd.stop().unwrap();
}

#[test]
fn mute_outlives_a_crash_right_after_its_answer() {
    let mut roomd = Roomd::start("roomd", simulated_room).unwrap();
    roomd.roomctl(&["mute", "on"]).unwrap();
    let remembered = roomd.folder().join("state/remembered.toml");
    let text = std::fs::read_to_string(&remembered).unwrap();
    assert!(text.contains("microphone = \"muted\""), "{text}");
    roomd.kill_and_restart().unwrap();
    let snapshot = roomd.snapshot().unwrap();
    assert_eq!(snapshot.microphone.state, MicrophoneState::Muted);
    roomd.stop().unwrap();
}

#[test]
fn a_room_that_cannot_store_still_mutes_and_says_so() {
    let mut roomd = Roomd::start("roomd", simulated_room).unwrap();
    roomd.expect_errors();
    std::fs::remove_dir_all(roomd.folder().join("state")).unwrap();
    roomd.roomctl(&["mute", "on"]).unwrap();
    let snapshot = roomd.snapshot().unwrap();
    assert_eq!(snapshot.microphone.state, MicrophoneState::Muted);
    assert!(snapshot.store_fault.is_some(), "known before the answer");
    roomd.stop().unwrap();
}
