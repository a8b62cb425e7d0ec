//! The event stream.

use std::time::Duration;

use ::room::media_plan::MicrophoneState;
use ::room::units::AudioLevel;
use ::room::{Fact, RoomSnapshot};
use futures_util::StreamExt;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::*;

type Events = WebSocketStream<UnixStream>;

async fn open(served: &Served) -> Events {
    client_async("ws://room/v1/events", served.unix().await)
        .await
        .unwrap()
        .0
}

async fn next(events: &mut Events) -> Message {
    let next = tokio::time::timeout(Duration::from_secs(20), events.next());
    next.await
        .expect("an event in time")
        .expect("an open stream")
        .unwrap()
}

async fn next_snapshot(events: &mut Events) -> api::Snapshot {
    loop {
        match next(events).await {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_snapshot_comes_at_once_and_at_each_change() {
    let served = Served::start().await;
    let mut events = open(&served).await;
    let first = next_snapshot(&mut events).await;
    assert_eq!(first.microphone.state, api::snapshot::MicrophoneState::Open);
    served
        .ask("PUT", "/v1/microphone", Some(r#"{"state": "muted"}"#))
        .await;
    let second = next_snapshot(&mut events).await;
    assert_eq!(
        second.microphone.state,
        api::snapshot::MicrophoneState::Muted
    );
    assert!(second.generation > first.generation);
}

#[tokio::test]
async fn all_clients_see_the_same_generation() {
    let served = Served::start().await;
    let mut clients = [open(&served).await, open(&served).await];
    for client in &mut clients {
        next_snapshot(client).await;
    }
    served
        .ask("PUT", "/v1/volume", Some(r#"{"percent": 12}"#))
        .await;
    let [first, second] = &mut clients;
    assert_eq!(next_snapshot(first).await, next_snapshot(second).await);
}

#[tokio::test]
async fn a_client_that_sleeps_gets_the_newest_state_not_all_that_it_missed() {
    const CHANGES: u64 = 4000;
    let served = Served::start().await;
    let mut events = open(&served).await;
    let first = next_snapshot(&mut events).await.generation;
    for change in 0..CHANGES {
        let loud = AudioLevel::dbfs(if change % 2 == 0 { -10.0 } else { -20.0 });
        let fact = Fact::Levels {
            microphone: loud,
            loudspeaker: AudioLevel::SILENCE,
        };
        served.driver.tell(fact).await;
    }
    served
        .ask("PUT", "/v1/microphone", Some(r#"{"state": "muted"}"#))
        .await;
    let muted = |room: &RoomSnapshot| room.microphone == MicrophoneState::Muted;
    served.driver.wait_for(muted).await;
    let newest = served.driver.handle().snapshot().generation.0;
    assert!(newest >= first + CHANGES);
    let mut received = 0;
    while next_snapshot(&mut events).await.generation < newest {
        received += 1;
    }
    assert!(
        received < CHANGES / 2,
        "{received} of {CHANGES} generations waited for the client"
    );
}

#[tokio::test]
async fn the_server_says_goodbye_when_it_ends() {
    let served = Served::start().await;
    let mut events = open(&served).await;
    next_snapshot(&mut events).await;
    let ending = tokio::spawn(served.server.shut_down());
    let Message::Close(Some(CloseFrame { code, .. })) = next(&mut events).await else {
        panic!("no goodbye")
    };
    assert_eq!(u16::from(code), 1001);
    ending.await.unwrap();
}

#[tokio::test]
async fn streams_above_the_limit_are_refused_and_a_closed_one_makes_room() {
    let served = Served::start().await;
    let mut streams = Vec::new();
    for _ in 0..32 {
        streams.push(open(&served).await);
    }
    let refused = client_async("ws://room/v1/events", served.unix().await)
        .await
        .unwrap_err();
    let Error::Http(response) = refused else {
        panic!("{refused}")
    };
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(streams.pop());
    tokio::time::timeout(Duration::from_secs(10), async {
        while client_async("ws://room/v1/events", served.unix().await)
            .await
            .is_err()
        {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_overlong_message_of_a_client_ends_its_stream_only() {
    use futures_util::SinkExt;
    let served = Served::start().await;
    let mut events = open(&served).await;
    next_snapshot(&mut events).await;
    // The server may close while we still write.
    let _ = events.send(Message::text("x".repeat(100_000))).await;
    let ended = tokio::time::timeout(Duration::from_secs(10), async {
        while let Some(Ok(_)) = events.next().await {}
    });
    ended.await.unwrap();
    assert_eq!(
        served.ask("GET", "/v1/snapshot", None).await.status,
        StatusCode::OK
    );
}

/// Time stands still but for what the server waits for.
#[tokio::test(start_paused = true)]
async fn a_client_that_answers_no_ping_is_let_go() {
    use tokio::io::AsyncReadExt;
    let served = Served::start().await;
    // Without the WebSocket around it, nobody answers pings.
    let mut silent = open(&served).await.into_inner();
    let mut received = Vec::new();
    silent.read_to_end(&mut received).await.unwrap();
    // The last that came was an empty ping (RFC 6455 section 5.5.2).
    assert_eq!(received.last_chunk(), Some(&[0x89, 0x00]));
    drop(served);
}
