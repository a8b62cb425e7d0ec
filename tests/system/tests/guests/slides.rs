//! Slides between guests and the room.

use api::snapshot::VideoFlow;
use system::browser::{Browser, View};
use system::room_setup::{Guests, Slides};

use crate::{LIMIT, join, setup, start, wait_for_same};

#[test]
fn a_guest_sees_the_slides_of_the_room() {
    let mut setup = setup(Guests::Automatically);
    setup.slides = Slides::Simulated;
    let room = start(&setup);
    let browser = Browser::start(None).unwrap();
    let anna = join(&browser, &room, "Anna");
    room.roomd.roomctl(&["slides", "on"]).unwrap();
    anna.wait_for_frames(View::FarSlides, 3).unwrap();
    wait_for_same("the slides", || {
        let sent = room.roomd.picture_of_slides("sent").unwrap();
        (sent, anna.picture(View::FarSlides).unwrap())
    });
    anna.wait_for_frames(View::FarEnd, 3).unwrap();

    room.roomd.roomctl(&["slides", "off"]).unwrap();
    anna.wait_until_gone("#far_slides").unwrap();
    anna.wait_for_frames(View::FarEnd, 3).unwrap();
}

#[test]
fn the_room_sees_the_screen_of_a_guest() {
    let room = start(&setup(Guests::Automatically));
    let browser = Browser::start(None).unwrap();
    let anna = join(&browser, &room, "Anna");
    let mark = room.roomd.snapshot_mark();
    anna.press_share().unwrap();
    room.wait_for_leg(mark, "slides", LIMIT, |leg| {
        let slides = leg.slides.as_ref()?;
        (slides.stream.flow == VideoFlow::Flowing).then_some(())
    })
    .unwrap();
    room.roomd.picture_of_slides("far-end").unwrap();

    let mark = room.roomd.snapshot_mark();
    anna.press_share().unwrap();
    room.wait_for_leg(mark, "the end of slides", LIMIT, |leg| {
        let slides = leg.slides.as_ref();
        let shown = slides.is_some_and(|it| it.stream.flow == VideoFlow::Flowing);
        (!shown).then_some(())
    })
    .unwrap();
    anna.wait_for_frames(View::FarEnd, 3).unwrap();
}
