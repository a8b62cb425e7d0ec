//! The harness proves itself: two baresips in a call, and their pictures and voices compared with
//! the recordings that they came from. What fails here is the harness or the machine, not roomd.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::time::Duration;

use system::baresip::{Baresip, BaresipConfig, Event, Video};
use system::footage::{Recording, speech};
use system::journal::Mark;
use system::pesq;

const CALL_LIMIT: Duration = Duration::from_secs(20);

fn start(name: &str) -> Baresip {
    let video = Video::Recording(Recording::BigBuckBunny.file().unwrap());
    Baresip::start(&BaresipConfig::new(name, speech().unwrap(), video), None).unwrap()
}

/// Two baresips in an encrypted call with sound and picture both ways.
fn call() -> (Baresip, Baresip) {
    let (mut caller, callee) = (start("caller"), start("callee"));
    caller.dial(callee.uri()).unwrap();
    for peer in [&caller, &callee] {
        peer.wait_for_event(Mark::default(), "CALL_ESTABLISHED", CALL_LIMIT)
            .unwrap();
        for medium in ["audio", "video"] {
            peer.wait_for_media(Mark::default(), medium, CALL_LIMIT)
                .unwrap();
        }
    }
    (caller, callee)
}

#[test]
fn an_encrypted_call_carries_the_picture_and_the_voice_of_the_recordings() {
    let (mut caller, mut callee) = call();
    let encrypted: Vec<Event> = caller
        .events()
        .entries()
        .into_iter()
        .filter(|event| event.kind == "CALL_MENC")
        .collect();
    for medium in ["audio", "video"] {
        let expected = format!("0,{medium},AES_CM_128_HMAC_SHA1_80");
        assert!(
            encrypted.iter().any(|event| event.parameter == expected),
            "{encrypted:?}"
        );
    }

    callee
        .log()
        .wait_for("a picture", CALL_LIMIT, |line| {
            line.contains("receiving with resolution 1280 x 720")
                .then_some(())
        })
        .unwrap();
    let picture = callee.snapshot_received().unwrap();
    let found = picture
        .best_match(&Recording::BigBuckBunny.file().unwrap())
        .unwrap();
    assert!(found.psnr > 25.0, "{found:?}");
    assert!(caller.call_status().unwrap().contains("H264"));

    wait_for_rtcp_reports(&callee, 3);
    caller.hang_up().unwrap();
    callee
        .wait_for_event(Mark::default(), "CALL_CLOSED", CALL_LIMIT)
        .unwrap();
    let heard = callee.received_sound().unwrap();
    let said = speech().unwrap().repeated(14.0);
    let excerpt = heard.excerpt(2.0, 1.0);
    let found = said.correlation(&excerpt).unwrap();
    assert!(found.coefficient > 0.9, "{found:?}");
    let reference = said.excerpt(found.offset_seconds, 4.0);
    let score = pesq::wide_band(&reference, &heard.excerpt(2.0, 4.0)).unwrap();
    assert!(score > 3.5, "PESQ-WB {score}");
}

/// A report comes every five seconds or so: a way to let a call go on without a clock.
fn wait_for_rtcp_reports(peer: &Baresip, count: u32) {
    let mut reports = 0;
    peer.events()
        .wait_for("RTCP reports", CALL_LIMIT * 2, |event| {
            reports += u32::from(event.kind == "CALL_RTCP" && event.parameter == "audio");
            (reports >= count).then_some(())
        })
        .unwrap();
}

#[test]
fn a_call_is_held_and_resumed() {
    let (mut caller, callee) = call();
    let mark = callee.log().mark();
    caller.hold().unwrap();
    wait_for_direction(&callee, mark, "a=sendonly");
    let mark = callee.log().mark();
    caller.resume().unwrap();
    wait_for_direction(&callee, mark, "a=sendrecv");
}

/// Waits for a direction in a session description of either side.
fn wait_for_direction(peer: &Baresip, mark: Mark, direction: &str) {
    let find = |line: &String| (line.trim() == direction).then_some(());
    peer.log()
        .wait_after(mark, direction, CALL_LIMIT, find)
        .unwrap();
}

#[test]
fn dtmf_digits_arrive_in_order_and_once() {
    let (mut caller, callee) = call();
    for (sent, digit) in [("1", '1'), ("15", '5'), ("155", '5'), ("155#", '#')] {
        caller.send_dtmf(digit).unwrap();
        callee.wait_for_dtmf(sent, CALL_LIMIT).unwrap();
    }
    assert_eq!(callee.received_dtmf(), "155#");
}
