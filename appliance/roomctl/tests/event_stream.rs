//! `roomctl watch` against a scripted event stream.

#![allow(
    clippy::unwrap_used,
    reason = "clippy spares test functions only, not their helpers"
)]

use std::process::Stdio;
use std::time::Duration;

use futures_util::SinkExt;
use serde_json::json;
use tokio::net::{UnixListener, UnixStream};
use tokio::process::Command;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

fn snapshot(generation: u64, microphone: &str) -> Message {
    Message::text(
        json!({
            "generation": generation, "state": "idle", "legs": [], "last_ended": [],
            "microphone": {"state": microphone, "device": "present", "level_dbfs": -40.0},
            "camera": {"state": "on", "device": "present"},
            "slides": {"sending": "off", "device": "not_configured"},
            "loudspeaker": {"volume_percent": 70, "level_dbfs": -100.0},
            "layout": "single", "registrations": {}, "media_faults": [],
            "media_wanted": 0, "media_applied": 0
        })
        .to_string(),
    )
}

/// What `roomctl watch` prints of two snapshots and a goodbye.
async fn watched(arguments: &[&str]) -> (String, Option<i32>) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("api.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let roomctl = Command::new(env!("CARGO_BIN_EXE_roomctl"))
        .args(arguments)
        .env_clear()
        .env("ROOMD_SOCKET", &socket)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let mut events: WebSocketStream<UnixStream> = accept_async(stream).await.unwrap();
    events.send(snapshot(1, "open")).await.unwrap();
    events.send(Message::Ping(Vec::new().into())).await.unwrap();
    events.send(snapshot(2, "muted")).await.unwrap();
    events.close(None).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(30), roomctl.wait_with_output());
    let output = ended.await.unwrap().unwrap();
    (
        String::from_utf8(output.stdout).unwrap(),
        output.status.code(),
    )
}

#[tokio::test]
async fn watch_prints_a_line_for_each_change_and_ends_with_roomd() {
    let (text, status) = watched(&["watch"]).await;
    assert!(text.starts_with("room: idle\nmicrophone: open\n"), "{text}");
    assert!(text.ends_with("\nmicrophone: muted\n"), "{text}");
    assert_eq!(text.matches("room: idle").count(), 1);
    assert_eq!(status, Some(0));
}

#[tokio::test]
async fn watch_as_json_prints_each_snapshot_on_a_line() {
    let (text, status) = watched(&["watch", "--json"]).await;
    let generations: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["generation"].clone())
        .collect();
    assert_eq!(generations, [json!(1), json!(2)]);
    assert_eq!(status, Some(0));
}
