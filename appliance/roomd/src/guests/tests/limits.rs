use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::connection::Pings;
use super::super::connections::Patience;
use super::super::signalling::GuestEvent;
use super::{LONG, Room, settings};

#[tokio::test]
async fn who_guesses_links_is_shut_out() {
    let room = Room::start().await;
    let token = room.link().await;
    for _ in 0..10 {
        let wrong = room.browser().open_session(&"1".repeat(32), "Eve").await;
        assert_eq!(wrong.status, 403);
    }
    let refused = room.browser().open_session(&token, "Eve").await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (429, "too_many_attempts")
    );
    assert_eq!(refused.header("retry-after"), "600");
}

#[tokio::test]
async fn a_whole_office_that_opens_a_link_finds_places_since_none_is_kept_for_later() {
    let room = Room::start().await;
    let browser = room.browser();
    let alone = browser.get("/join").await;
    assert_eq!((alone.status, alone.headers.get("connection")), (200, None));
    let mut kept = Vec::new();
    for _ in 0..24 {
        kept.push(browser.connect().await);
    }
    // Each of those that come now leaves its place to the next.
    for _ in 0..48 {
        let answer = browser.get("/join").await;
        assert_eq!((answer.status, answer.header("connection")), (200, "close"));
    }
}

#[tokio::test]
async fn other_sites_pages_can_do_nothing_in_a_guests_name() {
    let room = Room::start().await;
    let token = room.link().await;
    let mut browser = room.guest(&token).await;
    for origin in [None, Some("https://evil.example"), Some("null")] {
        browser.origin = origin.map(str::to_owned);
        assert_eq!(browser.try_page().await.err(), Some(403), "{origin:?}");
        let name = Some(json!({"name": "Eve"}));
        for (method, body) in [("PATCH", name), ("DELETE", None)] {
            let answer = browser.ask(method, "/guest/session", body).await;
            assert_eq!(answer.code(), "foreign_origin", "{origin:?} {method}");
        }
        assert_eq!(
            browser.open_session(&token, "Eve").await.code(),
            "foreign_origin"
        );
    }
    browser.origin = room.browser().origin;
    assert_eq!(
        browser.get("/guest/session").await.json()["guest_name"],
        "Anna"
    );
    browser.cookie = None;
    assert_eq!(browser.try_page().await.err(), Some(401));
}

#[tokio::test]
async fn a_page_that_breaks_the_rules_is_disconnected_and_its_call_goes_on() {
    let mut room = Room::start().await;
    let token = room.link().await;
    let browser = room.guest(&token).await;
    let huge = "x".repeat(64 * 1024);
    let long = "x".repeat(1025);
    for bad in [
        json!({"type": "offer", "sdp": huge}).to_string(),
        json!({"type": "candidate", "candidate": long}).to_string(),
        json!({"type": "surprise"}).to_string(),
        json!({"type": "offer"}).to_string(),
        "no JSON".to_owned(),
        "[".repeat(10_000),
    ] {
        let mut page = browser.page().await;
        page.offer("v=0").await;
        let offer = room.next_offer().await;
        page.say_text(bad).await;
        assert_eq!(page.hear().await, None);
        let lost = room.next().await;
        assert!(matches!(lost, GuestEvent::ConnectionLost { guest } if guest == offer.guest));
    }
    let mut page = browser.page().await;
    page.say_bytes(vec![0; 16]).await;
    assert_eq!(page.hear().await, None);
    assert!(
        room.events.try_recv().is_err(),
        "the driver did not know of it"
    );
}

#[tokio::test]
async fn a_storm_of_offers_ends_whether_or_not_the_page_connects_anew() {
    let mut room = Room::start().await;
    let token = room.link().await;
    let browser = room.guest(&token).await;
    let mut offers = 0;
    for _ in 0..4 {
        let mut page = browser.page().await;
        for _ in 0..4 {
            let _ = page.try_say(&json!({"type": "offer", "sdp": "v=0"})).await;
        }
        drop(page);
        loop {
            match room.next().await {
                GuestEvent::Offer { .. } => offers += 1,
                GuestEvent::ConnectionLost { .. } => break,
                other => panic!("{other:?}"),
            }
            if offers == 10 {
                return;
            }
        }
    }
    panic!("{offers} offers");
}

#[tokio::test]
async fn a_flood_of_candidates_is_cut_off() {
    let mut room = Room::start().await;
    let (_browser, mut page, _offer) = room.knocking().await;
    let flood = tokio::spawn(async move {
        let candidate = json!({"type": "candidate", "candidate": "candidate:1"});
        while page.try_say(&candidate).await {}
    });
    let mut candidates = 0;
    loop {
        match room.next().await {
            GuestEvent::Candidate { .. } => candidates += 1,
            GuestEvent::ConnectionLost { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(candidates, 200);
    flood.await.unwrap();
}

#[tokio::test]
async fn connecting_again_and_again_ends() {
    let room = Room::start().await;
    let token = room.link().await;
    let browser = room.guest(&token).await;
    for _ in 0..30 {
        browser.page().await;
    }
    assert_eq!(browser.try_page().await.err(), Some(429));
}

#[tokio::test]
async fn a_page_that_does_not_answer_pings_is_disconnected() {
    let pings = Pings {
        interval: Duration::from_millis(20),
        silence: Duration::from_millis(200),
    };
    let state = tempfile::tempdir().unwrap();
    let mut room = Room::start_with(state, &settings(), pings, Patience::default()).await;
    // Nobody reads on the page's side, so that nothing answers a ping.
    let (_browser, _page, offer) = room.knocking().await;
    let lost = room.next().await;
    assert!(matches!(lost, GuestEvent::ConnectionLost { guest } if guest == offer.guest));
}

#[tokio::test]
async fn half_open_connections_and_slow_heads_are_closed() {
    let patience = Patience {
        handshake: Duration::from_millis(100),
        head: Duration::from_millis(100),
    };
    let state = tempfile::tempdir().unwrap();
    let room = Room::start_with(state, &settings(), Pings::default(), patience).await;
    let mut silent = TcpStream::connect(room.server.address()).await.unwrap();
    let read = timeout(LONG, silent.read_to_end(&mut Vec::new())).await;
    read.expect("it is closed").unwrap();

    let mut slow = room.browser().connect().await;
    slow.write_all(b"GET /join HTTP/1.1\r\nHost: ")
        .await
        .unwrap();
    let mut answer = Vec::new();
    // Whether it says goodbye by TLS or not.
    let _ = timeout(LONG, slow.read_to_end(&mut answer))
        .await
        .expect("it is closed");
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn bodies_are_small_and_json() {
    let room = Room::start().await;
    let browser = room.browser();
    let huge = json!({"token": "x".repeat(5000), "name": "Anna"});
    let answer = browser.ask("POST", "/guest/session", Some(huge)).await;
    assert_eq!(answer.code(), "body_too_large");
    let answer = browser
        .ask("POST", "/guest/session", Some(json!([1, 2])))
        .await;
    assert_eq!(answer.code(), "invalid_request");
    let answer = browser.ask("POST", "/guest/session", None).await;
    assert_eq!(answer.code(), "invalid_request");
}
