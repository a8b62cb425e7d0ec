//! Guests with a real browser in the meeting of a real room.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::time::Duration;

use api::snapshot::{EndReason, Leg, LegKind, LegState, SlidesSending, VideoFlow};
use system::authority::Authority;
use system::browser::{Browser, Page, Shown, Speaks};
use system::journal::Mark;
use system::room_setup::{Guests, Room, RoomSetup, Slides};

/// For a state that comes at once on an idle machine.
const LIMIT: Duration = Duration::from_secs(30);
/// A browser that is gone is noticed when its consent has run out, after 30 s (RFC 7675).
const CONSENT: Duration = Duration::from_secs(60);
/// Above this, two pictures show the same page: two pages of the deck are below 20 dB apart, and a browser
/// shows other colours than were sent.
const SAME_PAGE_DB: f64 = 21.5;

/// A room with guests, and a browser.
struct Site {
    room: Room,
    browser: Browser,
    // The room trusts its authority as long as it runs.
    authority: Authority,
    _folder: tempfile::TempDir,
}

impl Site {
    fn new(guests: Guests) -> Self {
        Self::with(guests, |_| {})
    }

    fn with(guests: Guests, change: impl FnOnce(&mut RoomSetup)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path()).unwrap();
        let mut setup = RoomSetup::new("board");
        setup.guests = guests;
        setup.slides = Slides::Simulated;
        change(&mut setup);
        Self {
            room: setup.start(&authority).unwrap(),
            browser: Browser::start().unwrap(),
            authority,
            _folder: folder,
        }
    }

    fn link(&self) -> String {
        self.room.invite().unwrap().url
    }

    /// A guest who is in the call, and sees the room.
    fn guest(&mut self, link: &str, name: &str) -> Page {
        let page = self.browser.join(link, name).unwrap();
        self.sees_room(page);
        page
    }

    fn sees_room(&mut self, page: Page) {
        self.browser.watches(page, Shown::FarEnd, 3).unwrap();
    }

    fn wait_for_guest(&self, name: &str, state: LegState) -> Leg {
        let is_it = |leg: &Leg| {
            let is_named = leg.peer.display_name.as_deref() == Some(name);
            (leg.kind == LegKind::Guest && is_named && leg.state == state).then(|| leg.clone())
        };
        let what = format!("{name} {state:?}");
        self.room
            .wait_for_leg(Mark::default(), &what, LIMIT, is_it)
            .unwrap()
    }
}

fn ended(reason: EndReason) -> LegState {
    LegState::Ended { reason }
}

#[test]
fn a_guest_sees_and_hears_the_room_and_is_seen_and_heard() {
    let mut site = Site::new(Guests::Automatically);
    let link = site.link();
    let page = site.guest(&link, "Anna");
    // The room's picture, at its size and about its rate, as it is now.
    let watched = site.browser.watches(page, Shown::FarEnd, 60).unwrap();
    assert_eq!((watched.width, watched.height), (1280, 720));
    let first = site.browser.picture(page, Shown::FarEnd).unwrap();
    site.browser.watches(page, Shown::FarEnd, 3).unwrap();
    let second = site.browser.picture(page, Shown::FarEnd).unwrap();
    let (first, second) = (first.stamp().unwrap(), second.stamp().unwrap());
    assert!(
        second.count() > first.count(),
        "the clock in the picture goes on"
    );
    assert!(
        site.browser.hears(page, 60).unwrap() > 0.01,
        "the room is heard"
    );
    // The other way: the browser's camera in full size, and its beeps.
    let leg = site.room.wait_for_media(Mark::default(), LIMIT).unwrap();
    assert_eq!(leg.kind, LegKind::Guest);
    assert_eq!(
        leg.security.unwrap().media,
        api::snapshot::Protection::Encrypted
    );
    site.room
        .wait_for_leg(Mark::default(), "a full picture", LIMIT, |leg| {
            let stats = leg.video.as_ref()?.stats.as_ref()?;
            let size = stats.received_resolution?;
            let is_full = (size.width, size.height) == (1280, 720) && stats.received_fps > 10.0;
            (is_full && leg.round_trip_ms.is_some()).then_some(())
        })
        .unwrap();
    site.room.roomd.picture("far-end").unwrap();
    // The guest leaves, and the room hears so at once.
    site.browser.click(page, "#leave").unwrap();
    site.browser
        .reads(page, "#ended_heading", "You have left")
        .unwrap();
    site.wait_for_guest("Anna", ended(EndReason::RemoteHangUp));
}

#[test]
fn guests_knock_and_are_let_in_or_read_that_they_are_not() {
    let mut site = Site::new(Guests::Ask);
    let link = site.link();
    let anna = site.browser.join(&link, "Anna").unwrap();
    let words = "Somebody in the room has to let you in.";
    site.browser.reads(anna, "#waiting_text", words).unwrap();
    let leg = site.wait_for_guest("Anna", LegState::Incoming);
    site.room
        .roomd
        .roomctl(&["answer", &leg.id.to_string()])
        .unwrap();
    site.sees_room(anna);
    site.wait_for_guest("Anna", LegState::Established);

    for (speaks, name, words) in [
        (Speaks::English, "Boris", "The room did not let you in."),
        (Speaks::Chinese, "陈", "会议室没有允许您加入"),
    ] {
        let page = site.browser.open(&link, speaks).unwrap();
        site.browser.join_as(page, name).unwrap();
        let leg = site.wait_for_guest(name, LegState::Incoming);
        site.room
            .roomd
            .roomctl(&["decline", &leg.id.to_string()])
            .unwrap();
        site.browser.reads(page, "#ended_text", words).unwrap();
        site.wait_for_guest(name, ended(EndReason::Declined));
        site.browser.close(page).unwrap();
    }
}

#[test]
fn a_guest_who_reloads_the_page_is_back_without_knocking() {
    let mut site = Site::new(Guests::Ask);
    let link = site.link();
    let page = site.browser.join(&link, "Anna").unwrap();
    site.wait_for_guest("Anna", LegState::Incoming);
    site.room.roomd.roomctl(&["answer"]).unwrap();
    site.sees_room(page);
    let before = site.room.roomd.snapshot_mark();
    site.browser.reload(page).unwrap();
    site.sees_room(page);
    // Nobody has answered again. Whether it is the leg that was there depends on whether the browser took
    // leave of its connection.
    site.room.wait_for_media(before, LIMIT).unwrap();
    let legs = site.room.roomd.snapshot().unwrap().legs;
    let states: Vec<LegState> = legs.iter().map(|leg| leg.state).collect();
    assert_eq!(states, [LegState::Established]);
}

#[test]
fn two_guests_see_the_room_and_one_whose_browser_is_gone_leaves_the_other_alone() {
    let mut site = Site::new(Guests::Automatically);
    let link = site.link();
    let anna = site.guest(&link, "Anna");
    let boris = site.guest(&link, "Boris");
    site.wait_for_guest("Anna", LegState::Established);
    site.wait_for_guest("Boris", LegState::Established);
    site.browser.close(anna).unwrap();
    let gone = |leg: &Leg| {
        let is_anna = leg.peer.display_name.as_deref() == Some("Anna");
        (is_anna && matches!(leg.state, LegState::Ended { .. })).then_some(())
    };
    site.room
        .wait_for_leg(Mark::default(), "the end of Anna's leg", CONSENT, gone)
        .unwrap();
    let watched = site.browser.watches(boris, Shown::FarEnd, 30).unwrap();
    assert_eq!(watched.width, 1280);
    site.wait_for_guest("Boris", LegState::Established);
}

#[test]
fn a_third_guest_of_two_hears_that_the_meeting_is_full() {
    let mut site = Site::with(Guests::Automatically, |setup| setup.max_guests = 2);
    let link = site.link();
    site.guest(&link, "Anna");
    site.guest(&link, "Boris");
    let page = site.browser.join(&link, "Cora").unwrap();
    site.browser.reads(page, "#start_problem", "full").unwrap();
}

#[test]
fn a_guest_is_in_the_meeting_beside_a_sip_call() {
    let mut site = Site::new(Guests::Automatically);
    let link = site.link();
    let page = site.guest(&link, "Anna");
    let caller = RoomSetup::new("annex").start(&site.authority).unwrap();
    caller.call(site.room.uri()).unwrap();
    caller.wait_for_media(Mark::default(), LIMIT).unwrap();
    site.browser.watches(page, Shown::FarEnd, 30).unwrap();
    let legs = site.room.roomd.snapshot().unwrap().legs;
    let kinds: Vec<LegKind> = legs.iter().map(|leg| leg.kind).collect();
    assert_eq!(kinds, [LegKind::Guest, LegKind::Sip]);
    assert!(legs.iter().all(|leg| leg.state == LegState::Established));
    // The end of one is not the end of the other.
    caller.roomd.roomctl(&["hangup"]).unwrap();
    caller.wait_until_idle(Mark::default(), LIMIT).unwrap();
    site.browser.watches(page, Shown::FarEnd, 30).unwrap();
}

#[test]
fn a_link_that_is_revoked_or_over_ends_the_call_and_lets_nobody_in() {
    let mut site = Site::new(Guests::Automatically);
    let fresh = site.room.invite().unwrap();
    let page = site.guest(&fresh.url, "Anna");
    let number = fresh.invitation.id.to_string();
    site.room
        .roomd
        .roomctl(&["guests", "revoke", &number])
        .unwrap();
    site.browser.reads(page, "#ended_heading", "").unwrap();
    site.wait_for_guest("Anna", ended(EndReason::LocalHangUp));
    let late = site.browser.join(&fresh.url, "Anna").unwrap();
    site.browser.reads(late, "#refused_heading", "").unwrap();

    // Who hangs up for all ends the meeting, and with it its links.
    let link = site.link();
    let boris = site.guest(&link, "Boris");
    site.room.roomd.roomctl(&["hangup"]).unwrap();
    site.browser.reads(boris, "#ended_text", "").unwrap();
    site.room.wait_until_idle(Mark::default(), LIMIT).unwrap();
    let late = site.browser.join(&link, "Boris").unwrap();
    site.browser.reads(late, "#refused_heading", "").unwrap();
}

#[test]
fn a_guest_who_is_held_reads_so_and_sees_the_room_again() {
    let mut site = Site::new(Guests::Automatically);
    let link = site.link();
    let page = site.guest(&link, "Anna");
    site.room.roomd.roomctl(&["hold"]).unwrap();
    site.browser.reads(page, "#call_notice", "hold").unwrap();
    let before = site.room.roomd.snapshot_mark();
    site.room.roomd.roomctl(&["resume"]).unwrap();
    site.sees_room(page);
    site.room.wait_for_media(before, LIMIT).unwrap();
}

#[test]
fn slides_go_to_a_guest_and_the_screen_of_a_guest_comes_to_the_room() {
    let mut site = Site::new(Guests::Automatically);
    let link = site.link();
    let page = site.guest(&link, "Anna");
    site.room.roomd.roomctl(&["slides", "on"]).unwrap();
    let watched = site.browser.watches(page, Shown::Slides, 5).unwrap();
    assert_eq!((watched.width, watched.height), (1280, 720));
    // The page may turn between the two pictures.
    let same_page = (0..5).find(|_| {
        let sent = site.room.roomd.picture_of_slides("sent").unwrap();
        let seen = site.browser.picture(page, Shown::Slides).unwrap();
        sent.psnr(&seen).unwrap() > SAME_PAGE_DB
    });
    assert!(same_page.is_some(), "the guest sees another page");
    site.room.roomd.roomctl(&["slides", "off"]).unwrap();
    site.room
        .roomd
        .wait_for_snapshot_after(Mark::default(), "no slides", LIMIT, |snapshot| {
            (snapshot.slides.sending == SlidesSending::Off).then_some(())
        })
        .unwrap();

    site.browser.click(page, "#share").unwrap();
    site.room
        .wait_for_leg(Mark::default(), "the guest's screen", LIMIT, |leg| {
            let slides = leg.slides.as_ref()?;
            (slides.stream.flow == VideoFlow::Flowing).then_some(())
        })
        .unwrap();
    site.room.roomd.picture_of_slides("far-end").unwrap();
}
