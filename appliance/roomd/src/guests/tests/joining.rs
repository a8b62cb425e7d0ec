use serde_json::json;

use super::super::signalling::{Admit, GuestEnd, GuestEvent, GuestReply};
use super::{Room, within_long};

#[tokio::test]
async fn a_guest_knocks_is_let_in_and_leaves() {
    let mut room = Room::start().await;
    let (_browser, mut page, offer) = room.knocking().await;
    assert_eq!((offer.name.as_str(), offer.sdp.as_str()), ("Anna", "v=0"));
    assert_eq!(offer.admit, Admit::Ask);
    offer.replies.send(GuestReply::Waiting).await.unwrap();
    assert_eq!(page.hear().await.unwrap(), json!({"type": "waiting"}));

    let sdp = "v=0 answer".to_owned();
    offer
        .replies
        .send(GuestReply::Answer { sdp })
        .await
        .unwrap();
    let answer = json!({"type": "answer", "sdp": "v=0 answer"});
    assert_eq!(page.hear().await.unwrap(), answer);
    offer.replies.send(GuestReply::Held(true)).await.unwrap();
    assert_eq!(
        page.hear().await.unwrap(),
        json!({"type": "held", "held": true})
    );

    let candidate = json!({"type": "candidate", "candidate": "candidate:1", "mid": "0"});
    page.say(&candidate).await;
    page.say(&json!({"type": "candidate", "candidate": ""}))
        .await;
    for (expected, of) in [("candidate:1", Some("0")), ("", None)] {
        let GuestEvent::Candidate {
            guest,
            candidate,
            mid,
        } = room.next().await
        else {
            panic!("a candidate comes");
        };
        assert_eq!(guest, offer.guest);
        assert_eq!((candidate.as_str(), mid.as_deref()), (expected, of));
    }

    page.say(&json!({"type": "leave"})).await;
    let left = room.next().await;
    assert!(
        matches!(left, GuestEvent::Left { guest } if guest == offer.guest),
        "{left:?}"
    );
    assert_eq!(page.hear().await, None);
    within_long(offer.replies.closed()).await;
}

#[tokio::test]
async fn a_guest_that_was_let_in_does_not_knock_again_until_it_is_sent_away() {
    let mut room = Room::start().await;
    let (browser, mut page, offer) = room.knocking().await;
    room.server.guests().admitted(offer.guest);
    // The page is reloaded.
    drop((page, offer.replies));
    let lost = room.next().await;
    assert!(matches!(lost, GuestEvent::ConnectionLost { guest } if guest == offer.guest));
    page = browser.page().await;
    page.offer("v=1").await;
    let again = room.next_offer().await;
    assert_eq!(
        (again.guest, again.admit),
        (offer.guest, Admit::Automatically)
    );

    again
        .replies
        .send(GuestReply::Ended(GuestEnd::HungUp))
        .await
        .unwrap();
    assert_eq!(page.hear_end().await, "hung_up");
    let mut page = browser.page().await;
    page.offer("v=2").await;
    assert_eq!(room.next_offer().await.admit, Admit::Ask);
}

#[tokio::test]
async fn who_is_sent_away_without_a_web_socket_knocks_again() {
    let mut room = Room::start().await;
    let token = room.link_with(Some(Admit::Automatically)).await;
    let browser = room.guest(&token).await;
    let mut page = browser.page().await;
    page.offer("v=0").await;
    let offer = room.next_offer().await;
    assert_eq!(offer.admit, Admit::Automatically, "its link says so");
    drop(page);
    room.next().await;
    room.server.guests().sent_away(offer.guest);
    let mut page = browser.page().await;
    page.offer("v=0").await;
    assert_eq!(room.next_offer().await.admit, Admit::Ask);
}

#[tokio::test]
async fn every_end_is_told_by_its_word() {
    let mut room = Room::start().await;
    let token = room.link().await;
    let browser = room.guest(&token).await;
    for end in GuestEnd::ALL.into_iter().take(9) {
        let mut page = browser.page().await;
        page.offer("v=0").await;
        let offer = room.next_offer().await;
        offer.replies.send(GuestReply::Ended(end)).await.unwrap();
        assert_eq!(page.hear_end().await, end.as_str());
    }
    assert!(
        room.events.try_recv().is_err(),
        "the driver knows of each end"
    );
}

#[tokio::test]
async fn a_session_is_shown_renamed_and_ended() {
    let mut room = Room::start().await;
    let (mut browser, mut page, offer) = room.knocking().await;
    let shown = browser.get("/guest/session").await;
    assert_eq!(shown.json()["room_name"], "Board room");
    assert_eq!(shown.json()["guest_name"], "Anna");
    assert_eq!(shown.json()["ice_servers"], json!([]));
    assert!(shown.json()["expires_at"].as_u64().unwrap() > 1_700_000_000);

    let bert = json!({"name": " Bert "});
    let renamed = browser.ask("PATCH", "/guest/session", Some(bert)).await;
    assert_eq!(renamed.json()["guest_name"], "Bert");
    page.offer("v=1").await;
    assert_eq!(room.next_offer().await.name, "Bert");

    let ended = browser.ask("DELETE", "/guest/session", None).await;
    assert_eq!(ended.status, 204);
    assert!(ended.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(page.hear_end().await, "session_over");
    let over = room.next().await;
    assert!(matches!(over, GuestEvent::SessionOver { guest, .. } if guest == offer.guest));
    let gone = browser.get("/guest/session").await;
    assert_eq!((gone.status, gone.code().as_str()), (401, "no_session"));
    browser.cookie = None;
    assert_eq!(browser.get("/guest/session").await.status, 401);
}

#[tokio::test]
async fn a_link_that_is_opened_again_by_the_same_browser_is_the_same_session() {
    let room = Room::start().await;
    let token = room.link().await;
    let mut browser = room.guest(&token).await;
    let cookie = browser.cookie.clone();
    let again = browser.open_session(&token, "Anna B").await;
    assert_eq!(again.json()["guest_name"], "Anna B");
    assert_eq!(browser.cookie, cookie);
    assert_eq!(room.server.links().list()[0].1, 1);
    // Another browser is another guest.
    room.guest(&token).await;
    assert_eq!(room.server.links().list()[0].1, 2);
}

#[tokio::test]
async fn a_guest_that_leaves_makes_place_for_another_at_once() {
    let mut room = Room::start().await;
    let token = room.link().await;
    let mut guests = Vec::new();
    for _ in 0..4 {
        guests.push(room.guest(&token).await);
    }
    let mut page = guests[2].page().await;
    page.say(&json!({"type": "leave"})).await;
    assert!(matches!(room.next().await, GuestEvent::Left { .. }));
    assert_eq!(page.hear().await, None);
    assert_eq!(room.browser().open_session(&token, "Ben").await.status, 200);
    let full = room.browser().open_session(&token, "Cara").await;
    assert_eq!((full.status, full.code().as_str()), (503, "meeting_full"));
}
