//! What becomes of a guest's call in the course of it.

use api::snapshot::LegState;
use system::browser::{Browser, Language, Screen, View};
use system::journal::Mark;
use system::room_setup::Guests;

use crate::{LIMIT, join, knock, setup, start, wait_for_guest, wait_for_leg};

#[test]
fn a_guest_who_was_let_in_and_loads_the_page_again_is_back_on_the_same_leg() {
    let room = start(&setup(Guests::Ask));
    let browser = Browser::start(None).unwrap();
    let anna = knock(&browser, &room, "Anna", Language::English);
    let leg = wait_for_leg(&room, "Anna", LegState::Incoming);
    room.roomd.roomctl(&["answer"]).unwrap();
    anna.wait_for_frames(View::FarEnd, 3).unwrap();
    wait_for_guest(&room, Mark::default(), "Anna");

    anna.reload().unwrap();
    let mark = room.roomd.snapshot_mark();
    anna.wait_for_screen(Screen::Call).unwrap();
    anna.wait_for_frames(View::FarEnd, 3).unwrap();
    assert_eq!(wait_for_guest(&room, mark, "Anna").id, leg.id);
    let snapshot = room.roomd.snapshot().unwrap();
    assert_eq!(snapshot.legs.len(), 1);
    assert_eq!(snapshot.last_ended, [], "the call was never over");
}

#[test]
fn a_guest_reads_that_the_room_holds_the_call_goes_on_and_hangs_up() {
    let room = start(&setup(Guests::Automatically));
    let browser = Browser::start(None).unwrap();
    let anna = join(&browser, &room, "Anna");
    room.roomd.roomctl(&["hold"]).unwrap();
    anna.wait_for_text("#call_notice", "The room has put the call on hold.")
        .unwrap();

    let mark = room.roomd.snapshot_mark();
    room.roomd.roomctl(&["resume"]).unwrap();
    anna.wait_until_gone("#call_notice").unwrap();
    anna.wait_for_frames(View::FarEnd, 10).unwrap();
    wait_for_guest(&room, mark, "Anna");

    // The others' meeting goes on: who was sent away may ask to come back.
    let leg = room.only_leg().unwrap().id.to_string();
    let mark = room.roomd.snapshot_mark();
    room.roomd.roomctl(&["hangup", &leg]).unwrap();
    anna.wait_for_text("#ended", "The room has ended the call.")
        .unwrap();
    room.wait_until_idle(mark, LIMIT).unwrap();
    anna.join_again().unwrap();
    anna.join_as("Anna").unwrap();
    anna.wait_for_text("#waiting", "Somebody in the room has to let you in.")
        .unwrap();
    room.roomd.roomctl(&["answer"]).unwrap();
    anna.wait_for_frames(View::FarEnd, 3).unwrap();
    wait_for_guest(&room, mark, "Anna");

    // The room ends its meeting, and with it the links to that.
    room.roomd.roomctl(&["hangup"]).unwrap();
    anna.wait_for_text("#ended", "The meeting has ended.")
        .unwrap();
    anna.wait_until_gone("#again").unwrap();
    anna.reload().unwrap();
    anna.wait_for_screen(Screen::Refused).unwrap();
}
