//! roomd as its user starts it: it serves its API, answers roomctl, and ends when it is asked to.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use api::snapshot::MicrophoneState;
use system::poll;
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
fn mute_outlives_a_crash() {
    let mut roomd = Roomd::start("roomd", simulated_room).unwrap();
    roomd.roomctl(&["mute", "on"]).unwrap();
    let remembered = roomd.folder().join("state/remembered.toml");
    poll::until("a remembered mute", LIMIT, || {
        let text = std::fs::read_to_string(&remembered).unwrap_or_default();
        Ok(text.contains("microphone = \"muted\"").then_some(()))
    })
    .unwrap();
    roomd.kill_and_restart().unwrap();
    let snapshot = roomd.snapshot().unwrap();
    assert_eq!(snapshot.microphone.state, MicrophoneState::Muted);
    roomd.stop().unwrap();
}
