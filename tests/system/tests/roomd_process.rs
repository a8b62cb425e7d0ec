//! roomd as its user starts it: it serves its API, answers roomctl, and ends when it is asked to.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use api::snapshot::{EndReason, Leg, LegState, MicrophoneState};
use system::journal::Mark;
use system::process_usage::ProcessUsage;
use system::roomd::Roomd;
use system::supervisor::Supervisor;

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

/// The same room with an account that may call in the clear.
fn room_that_calls(folder: &Path) -> Result<String> {
    Ok(simulated_room(folder)?
        + "[[account]]\nname = \"room\"\naddress = \"sip:room@127.0.0.1\"\n\
           transport = \"udp\"\nmedia_security = \"plain-allowed\"\nregister = false\n")
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
fn a_call_that_ends_the_room_again_and_again_is_not_placed_for_ever() {
    // Nobody answers there: the call is wanted for as long as it is dialed.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = format!("sip:board@{}", silent.local_addr().unwrap());
    let mut roomd = Roomd::start("roomd", room_that_calls).unwrap();
    roomd.expect_errors();
    roomd.roomctl(&["call", &target]).unwrap();
    for _ in 0..3 {
        roomd.kill_and_restart().unwrap();
        let is_target = |leg: &Leg| leg.peer.uri == target && leg.state == LegState::Dialing;
        roomd
            .wait_for_snapshot("the call placed again", LIMIT, |snapshot| {
                snapshot.legs.iter().any(is_target).then_some(())
            })
            .unwrap();
    }
    roomd.kill_and_restart().unwrap();
    let given_up = LegState::Ended {
        reason: EndReason::TooManyRestarts,
    };
    let is_given_up = |leg: &Leg| leg.peer.uri == target && leg.state == given_up;
    let snapshot = roomd
        .wait_for_snapshot("the call given up", LIMIT, |snapshot| {
            let given_up = snapshot.last_ended.iter().any(is_given_up);
            given_up.then(|| snapshot.clone())
        })
        .unwrap();
    assert_eq!(snapshot.legs, []);
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

#[test]
fn a_configuration_that_was_broken_gives_way_to_the_last_good_one_and_the_log_says_why() {
    let mut roomd = Roomd::start("roomd", simulated_room).unwrap();
    let file = roomd.folder().join("roomd.toml");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, good.replace("\"Harness\"", "17")).unwrap();
    roomd.expect_errors();
    roomd.kill_and_restart().unwrap();
    let log = roomd.log();
    let refusal = log.wait_for("the refusal", LIMIT, |line| {
        line.contains("runs on the last good one")
            .then(|| line.clone())
    });
    let refusal = refusal.unwrap();
    assert!(refusal.contains("room.name"), "{refusal}");
    roomd.stop().unwrap();
}

#[test]
fn a_first_configuration_that_is_broken_is_refused() {
    let broken = |folder: &Path| Ok(simulated_room(folder)?.replace("\"Harness\"", "17"));
    let error = Roomd::start("roomd", broken).unwrap_err().to_string();
    assert!(error.contains("room.name"), "{error}");
}

#[test]
fn the_supervisor_hears_that_the_room_is_ready_alive_and_leaving() {
    let supervisor = Supervisor::start(Duration::from_secs(2)).unwrap();
    let roomd = Roomd::start_under(&supervisor, "roomd", simulated_room).unwrap();
    let heard = supervisor.heard();
    let wait_for = |mark, wanted: &str| {
        let is_wanted = |line: &String| (line == wanted).then_some(());
        heard.wait_after(mark, wanted, LIMIT, is_wanted).unwrap();
    };
    wait_for(Mark::default(), "READY=1");
    wait_for(heard.mark(), "WATCHDOG=1");
    wait_for(heard.mark(), "WATCHDOG=1");
    assert!(!heard.entries().contains(&"STOPPING=1".to_owned()));
    roomd.stop().unwrap();
    wait_for(Mark::default(), "STOPPING=1");
}
