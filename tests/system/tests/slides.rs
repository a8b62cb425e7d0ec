//! Slides between two real rooms: who shows them, and what the other sees.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::time::Duration;

use api::snapshot::{LegSlides, LegState, SlidesSending, VideoFlow};
use system::authority::Authority;
use system::baresip::Transport;
use system::journal::Mark;
use system::room_setup::{Room, RoomSetup, Slides};

/// For a state that comes at once on an idle machine.
const LIMIT: Duration = Duration::from_secs(30);
/// Above this, two pictures show the same page; two pages of the deck are below 20 dB apart.
const SAME_PAGE_DB: f64 = 25.0;

/// Two rooms with slides, in a call, the right to show them settled over `floor`.
fn call(transport: Transport, floor: &'static str) -> [Room; 2] {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let [caller, callee] = ["caller", "callee"].map(|name| {
        let mut setup = RoomSetup::new(name);
        setup.slides = Slides::Simulated;
        setup.transport = transport;
        setup.floor_transport = floor;
        setup.start(&authority).unwrap()
    });
    caller.call(callee.uri()).unwrap();
    for room in [&caller, &callee] {
        room.wait_for_media(Mark::default(), LIMIT).unwrap();
    }
    [caller, callee]
}

fn wait_for_slides(room: &Room, mark: Mark, what: &str, wanted: impl Fn(&LegSlides) -> bool) {
    room.wait_for_leg(mark, what, LIMIT, |leg| {
        leg.slides
            .as_ref()
            .filter(|slides| wanted(slides))
            .map(|_| ())
    })
    .unwrap();
}

fn is_seen(slides: &LegSlides) -> bool {
    slides.stream.flow == VideoFlow::Flowing
}

/// Waits until what one room sends is what the other sees. A page may turn between the two pictures.
fn wait_for_page(sender: &Room, viewer: &Room) {
    let mut seen = Vec::new();
    for _ in 0..5 {
        let sent = sender.roomd.picture_of_slides("sent").unwrap();
        let received = viewer.roomd.picture_of_slides("far-end").unwrap();
        let camera = viewer.roomd.picture("far-end").unwrap();
        let quality = sent.psnr(&received).unwrap();
        assert!(
            received.psnr(&camera).unwrap() < quality,
            "it is the camera"
        );
        if quality > SAME_PAGE_DB {
            return;
        }
        seen.push(quality);
    }
    panic!("what is seen is not what is sent: {seen:?} dB");
}

#[test]
fn slides_of_one_room_are_seen_by_the_other_until_that_shows_its_own() {
    for (transport, floor) in [(Transport::Tls, "tls"), (Transport::Udp, "udp")] {
        let [caller, callee] = call(transport, floor);
        let marks = [&caller, &callee].map(|room| room.roomd.snapshot_mark());
        caller.roomd.roomctl(&["slides", "on"]).unwrap();
        wait_for_slides(&callee, marks[1], "slides", is_seen);
        wait_for_page(&caller, &callee);
        wait_for_slides(&callee, marks[1], "the latency of slides", |slides| {
            slides.capture_to_decode_ms.is_some()
        });

        let marks = [&caller, &callee].map(|room| room.roomd.snapshot_mark());
        callee.roomd.roomctl(&["slides", "on"]).unwrap();
        wait_for_slides(&caller, marks[0], "slides the other way", is_seen);
        wait_for_page(&callee, &caller);
        wait_for_slides(&caller, marks[0], "the end of its own", |slides| {
            slides.sending == SlidesSending::Off
        });

        let mark = caller.roomd.snapshot_mark();
        callee.roomd.roomctl(&["slides", "off"]).unwrap();
        wait_for_slides(&caller, mark, "the end of slides", |slides| {
            !is_seen(slides)
        });
        let leg = caller.only_leg().unwrap();
        assert_eq!(leg.state, LegState::Established);
        caller.hang_up_with(&[&callee], LIMIT).unwrap();
    }
}
