//! Who comes in.

use api::snapshot::LegState;
use system::browser::{Browser, Language, Screen, View};
use system::journal::Mark;
use system::room_setup::Guests;

use crate::{LIMIT, join, knock, setup, start, wait_for_guest, wait_for_leg};

#[test]
fn a_guest_who_knocks_waits_until_somebody_answers() {
    let room = start(&setup(Guests::Ask));
    let browser = Browser::start(None).unwrap();
    let anna = knock(&browser, &room, "Anna", Language::English);
    anna.wait_for_text("#waiting", "Somebody in the room has to let you in.")
        .unwrap();
    let leg = wait_for_leg(&room, "Anna", LegState::Incoming);
    room.roomd
        .roomctl(&["answer", &leg.id.to_string()])
        .unwrap();
    anna.wait_for_screen(Screen::Call).unwrap();
    anna.wait_for_frames(View::FarEnd, 3).unwrap();
    assert_eq!(wait_for_guest(&room, Mark::default(), "Anna").id, leg.id);
}

#[test]
fn a_guest_who_is_declined_reads_so_in_their_language() {
    let room = start(&setup(Guests::Ask));
    let browser = Browser::start(None).unwrap();
    for (name, language, waiting, declined) in [
        (
            "Anna",
            Language::English,
            "Somebody in the room has to let you in.",
            "The room did not let you in.",
        ),
        (
            "安娜",
            Language::Chinese,
            "需要会议室里的人允许您加入。",
            "会议室没有允许您加入。",
        ),
    ] {
        let guest = knock(&browser, &room, name, language);
        guest.wait_for_text("#waiting", waiting).unwrap();
        let leg = wait_for_leg(&room, name, LegState::Incoming);
        let mark = room.roomd.snapshot_mark();
        room.roomd
            .roomctl(&["decline", &leg.id.to_string()])
            .unwrap();
        guest.wait_for_text("#ended", declined).unwrap();
        room.wait_until_idle(mark, LIMIT).unwrap();
    }
}

#[test]
fn a_link_that_is_revoked_ends_the_visit_and_lets_nobody_in_again() {
    let room = start(&setup(Guests::Automatically));
    let browser = Browser::start(None).unwrap();
    let invited = room.invite().unwrap();
    let anna = browser.visit(&invited.url, Language::English).unwrap();
    anna.join_as("Anna").unwrap();
    anna.wait_for_frames(View::FarEnd, 3).unwrap();
    // By another link.
    let bela = join(&browser, &room, "Bela");

    let number = invited.invitation.id.to_string();
    room.roomd.roomctl(&["guests", "revoke", &number]).unwrap();
    anna.wait_for_text("#ended", "Your link was withdrawn.")
        .unwrap();
    bela.wait_for_frames(View::FarEnd, 3).unwrap();

    let carla = browser.visit(&invited.url, Language::Chinese).unwrap();
    carla.join_as("卡拉").unwrap();
    carla
        .wait_for_text("#refused", "此链接无效或已失效。")
        .unwrap();
    bela.wait_for_frames(View::FarEnd, 3).unwrap();
}

#[test]
fn a_link_of_another_room_is_no_link_here() {
    let rooms = [
        start(&setup(Guests::Automatically)),
        start(&setup(Guests::Automatically)),
    ];
    let [own, other] = rooms.each_ref().map(|room| room.invite().unwrap().url);
    let (own_page, _) = own.split_once('#').unwrap();
    let (_, other_token) = other.split_once('#').unwrap();
    let browser = Browser::start(None).unwrap();
    let guest = browser
        .visit(&format!("{own_page}#{other_token}"), Language::English)
        .unwrap();
    guest.join_as("Anna").unwrap();
    guest
        .wait_for_text("#refused", "This link is not valid")
        .unwrap();
    let without = browser.visit(own_page, Language::English).unwrap();
    without
        .wait_for_text("#refused", "You need a link to join.")
        .unwrap();
    assert_eq!(rooms[0].roomd.snapshot().unwrap().legs, []);
}

#[test]
fn a_guest_for_whom_there_is_no_place_reads_so() {
    let mut setup = setup(Guests::Automatically);
    setup.max_guests = 1;
    let room = start(&setup);
    let browser = Browser::start(None).unwrap();
    let anna = join(&browser, &room, "Anna");
    let bela = knock(&browser, &room, "Bela", Language::English);
    bela.wait_for_text("#start_problem", "The meeting is full.")
        .unwrap();
    anna.wait_for_frames(View::FarEnd, 3).unwrap();
    assert_eq!(room.roomd.snapshot().unwrap().legs.len(), 1);
}
