use super::super::signalling::{GuestEvent, GuestId, GuestReply, SessionEnd};
use super::{Offer, Room, within_long};

fn over(event: &GuestEvent) -> Option<(GuestId, SessionEnd)> {
    match event {
        GuestEvent::SessionOver { guest, why } => Some((*guest, *why)),
        GuestEvent::Offer { .. }
        | GuestEvent::Candidate { .. }
        | GuestEvent::Left { .. }
        | GuestEvent::ConnectionLost { .. } => None,
    }
}

#[tokio::test]
async fn another_tab_takes_the_call_over() {
    let mut room = Room::start().await;
    let (browser, mut first, offer) = room.knocking().await;
    let mut second = browser.page().await;
    second.offer("v=1").await;
    assert_eq!(first.hear_end().await, "taken_over");
    // Nothing of the first page comes in between.
    let again = room.next_offer().await;
    assert_eq!((again.guest, again.sdp.as_str()), (offer.guest, "v=1"));
    within_long(offer.replies.closed()).await;
    again.replies.send(GuestReply::Waiting).await.unwrap();
    assert_eq!(second.hear().await.unwrap()["type"], "waiting");
}

#[tokio::test]
async fn many_tabs_at_once_leave_one() {
    let mut room = Room::start().await;
    let token = room.link().await;
    let browser = room.guest(&token).await;
    let mut pages = Vec::new();
    for _ in 0..8 {
        pages.push(browser.page().await);
    }
    let mut last = pages.pop().unwrap();
    for page in &mut pages {
        assert_eq!(page.hear_end().await, "taken_over");
    }
    last.offer("v=0").await;
    room.next_offer().await;
}

#[tokio::test]
async fn a_revoked_link_ends_its_sessions_and_no_other() {
    let mut room = Room::start().await;
    let (browser, mut page, offer) = room.knocking().await;
    let (_other_browser, mut other_page, other) = room.knocking().await;
    let links = room.server.links();
    let id = links.list()[0].0.id;
    links.revoke(id).await.unwrap();
    assert_eq!(page.hear_end().await, "link_revoked");
    let revoked = over(&room.next().await);
    assert_eq!(revoked, Some((offer.guest, SessionEnd::LinkRevoked)));
    assert_eq!(browser.get("/guest/session").await.status, 401);
    assert_eq!(browser.try_page().await.err(), Some(401));

    other.replies.send(GuestReply::Waiting).await.unwrap();
    assert_eq!(other_page.hear().await.unwrap()["type"], "waiting");
    assert!(
        links.revoke(id).await.is_err(),
        "there is no such link any more"
    );
}

#[tokio::test]
async fn the_end_of_the_meeting_ends_links_and_sessions() {
    let mut room = Room::start().await;
    let (browser, mut page, offer) = room.knocking().await;
    room.server.guests().meeting_over();
    assert_eq!(page.hear_end().await, "meeting_over");
    let ended = over(&room.next().await);
    assert_eq!(ended, Some((offer.guest, SessionEnd::MeetingOver)));
    assert_eq!(browser.get("/guest/session").await.status, 401);
    assert!(room.server.links().list().is_empty());
    // The next meeting has its own.
    let (_, _, next) = room.knocking().await;
    assert_ne!(next.guest, offer.guest);
}

#[tokio::test]
async fn an_expired_link_ends_its_sessions_also_without_a_web_socket() {
    let mut room = Room::start().await;
    let (browser, page, offer) = room.knocking().await;
    drop(page);
    room.next().await;
    let guests = room.server.guests();
    let tomorrow = std::time::SystemTime::now() + std::time::Duration::from_secs(86_400);
    guests.expire(tomorrow);
    let expired = over(&room.next().await);
    assert_eq!(expired, Some((offer.guest, SessionEnd::LinkExpired)));
    assert_eq!(browser.get("/guest/session").await.status, 401);
}

#[tokio::test]
async fn links_and_sessions_outlive_a_restart_and_what_was_revoked_stays_revoked() {
    let mut room = Room::start().await;
    let revoked = room.link().await;
    let links = room.server.links();
    links.revoke(links.list()[0].0.id).await.unwrap();
    let (mut browser, mut page, offer) = room.knocking().await;
    room.server.guests().admitted(offer.guest);
    let authority = std::fs::read(room.state().join("guests-authority.pem")).unwrap();
    let stopping = tokio::spawn(room.stop());
    assert_eq!(page.hear_end().await, "shutting_down");
    let state = stopping.await.unwrap();

    let mut room = Room::start_in(state, &super::settings()).await;
    let kept = std::fs::read(room.state().join("guests-authority.pem")).unwrap();
    assert_eq!(kept, authority, "who trusted the room goes on trusting it");
    let cookie = browser.cookie.take();
    browser = room.browser();
    assert_eq!(browser.open_session(&revoked, "Anna").await.status, 403);
    browser.cookie = cookie;
    let mut page = browser.page().await;
    page.offer("v=0").await;
    let Offer { guest, admit, .. } = room.next_offer().await;
    assert_eq!((guest, admit), (offer.guest, config::Admit::Automatically));
}
