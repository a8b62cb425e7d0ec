//! The Unix socket: its life, and the limits of its connections.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

#[tokio::test]
async fn only_owner_and_group_may_open_the_socket() {
    let served = Served::start().await;
    let mode = std::fs::metadata(served.socket()).unwrap().mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[tokio::test]
async fn the_socket_of_a_crashed_process_is_replaced_and_that_of_a_living_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let driver = Driver::start();
    let settings = settings(&directory, None);
    drop(tokio::net::UnixListener::bind(&settings.socket).unwrap());
    let first = Server::start(&settings, driver.handle(), None)
        .await
        .unwrap();
    let error = Server::start(&settings, driver.handle(), None)
        .await
        .unwrap_err();
    assert!(matches!(error, ServeError::SocketInUse { .. }), "{error}");
    first.shut_down().await;
    assert!(!settings.socket.exists());
}

#[tokio::test]
async fn an_unknown_group_is_named_in_the_error() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = settings(&directory, None);
    settings.socket_group = Some("no-such-group-here".into());
    let error = Server::start(&settings, Driver::start().handle(), None)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no-such-group-here"), "{error}");
    assert!(!settings.socket.exists());
}

#[tokio::test]
async fn a_request_in_flight_is_answered_before_the_server_ends() {
    let served = Served::start().await;
    let (mut sender, connection) = http1::handshake(TokioIo::new(served.unix().await))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let first = sender
        .send_request(request("GET", "/v1/snapshot", None))
        .await
        .unwrap();
    assert_eq!(first.status(), StatusCode::OK);
    first.into_body().collect().await.unwrap();
    served.server.shut_down().await;
    // The idle connection was closed in good order, not torn down.
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn connections_above_the_limit_are_closed_and_a_freed_place_is_used() {
    let served = Served::start().await;
    let mut open = Vec::new();
    for _ in 0..64 {
        // An answered request shows that the connection was taken.
        let (mut sender, connection) = http1::handshake(TokioIo::new(served.unix().await))
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        sender
            .send_request(request("GET", "/v1/snapshot", None))
            .await
            .unwrap();
        open.push((sender, connection));
    }
    let mut refused = served.unix().await;
    let end = tokio::time::timeout(Duration::from_secs(10), refused.read_u8())
        .await
        .unwrap();
    assert!(end.is_err());

    let (sender, connection) = open.pop().unwrap();
    drop(sender);
    connection.await.unwrap().unwrap();
    tokio::time::timeout(Duration::from_secs(10), async {
        while !answers(&served).await {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

async fn answers(served: &Served) -> bool {
    let mut stream = served.unix().await;
    let head = b"GET /v1/snapshot HTTP/1.1\r\nhost: room\r\n\r\n";
    stream.write_all(head).await.is_ok() && stream.read_u8().await.is_ok()
}

#[tokio::test]
async fn noise_and_an_endless_head_end_the_connection_only() {
    let served = Served::start().await;
    let endless = format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(40_000));
    for noise in ["\0\0\0\0\r\n\r\n", "INVITE sip:a SIP/2.0\r\n\r\n", &endless] {
        let mut stream = served.unix().await;
        // The server may close while we still write.
        let _ = stream.write_all(noise.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer))
            .await
            .unwrap();
        assert!(
            !answer.starts_with(b"HTTP/1.1 2"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    assert_eq!(
        served.ask("GET", "/v1/snapshot", None).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_room_that_is_gone_is_said_to_be() {
    let directory = tempfile::tempdir().unwrap();
    let (requests, asked) = tokio::sync::mpsc::channel(1);
    let driver = Driver::start();
    let handle = driver.handle().with_requests(requests);
    let settings = settings(&directory, None);
    let server = Server::start(&settings, handle, None).await.unwrap();
    drop(asked);
    let stream = UnixStream::connect(&settings.socket).await.unwrap();
    let answer = send(stream, request("POST", "/v1/join", None)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (503, "room_gone".into())
    );
    server.shut_down().await;
}

#[tokio::test]
async fn a_room_with_too_many_waiting_requests_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let (requests, mut asked) = tokio::sync::mpsc::channel(1);
    let driver = Driver::start();
    let handle = driver.handle().with_requests(requests);
    let settings = settings(&directory, None);
    let server = Server::start(&settings, handle, None).await.unwrap();
    let connect = || async { UnixStream::connect(&settings.socket).await.unwrap() };
    let waiting = tokio::spawn(send(connect().await, request("POST", "/v1/join", None)));
    // The first request is in the channel once it can be seen there.
    while asked.is_empty() {
        tokio::task::yield_now().await;
    }
    let answer = send(connect().await, request("POST", "/v1/join", None)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (503, "overloaded".into())
    );
    let (_, reply) = asked.recv().await.unwrap();
    reply.send(::room::Admission::AlreadySo).unwrap();
    assert_eq!(waiting.await.unwrap().json()["admission"], "already_so");
    server.shut_down().await;
}

/// Time stands still but for what the server waits for.
#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_is_answered_with_a_timeout() {
    let served = Served::start().await;
    let mut stream = served.unix().await;
    let head = b"POST /v1/calls HTTP/1.1\r\nhost: room\r\ncontent-type: application/json\r\n\
                 content-length: 40\r\n\r\n{\"target\":";
    stream.write_all(head).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
    assert!(answer.contains("timed_out"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_nothing_loses_its_connection() {
    let served = Served::start().await;
    for beginning in ["", "GET /v1/snap"] {
        let mut stream = served.unix().await;
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{beginning:?}");
    }
}
