//! Answers the ACME server that proves the name by HTTP-01 (RFC 8555 section 8.3). Nothing else is there.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::shown::Shown;

/// Connections at a time. An ACME server comes from a handful of places; where others hold all connections,
/// the oldest gives way, so that nobody who is slow keeps it out.
const MAX_CONNECTIONS: usize = 32;
/// How long a connection may take.
const LIFETIME: Duration = Duration::from_secs(10);
/// The most that the head of a request may take.
const MAX_HEAD_BYTES: usize = 8 * 1024;
/// How long accepting pauses when the process has no file left for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Where the texts are.
const PATH: &str = "/.well-known/acme-challenge/";

/// Serves the listener for as long as it is polled.
pub(super) async fn serve(listener: TcpListener, shown: Shown) {
    let mut connections = JoinSet::new();
    let mut oldest_first = VecDeque::<AbortHandle>::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    oldest_first.retain(|connection| !connection.is_finished());
                    if oldest_first.len() >= MAX_CONNECTIONS
                        && let Some(oldest) = oldest_first.pop_front()
                    {
                        oldest.abort();
                    }
                    let connection = timeout(LIFETIME, serve_connection(stream, shown.clone()));
                    oldest_first.push_back(connections.spawn(connection));
                }
                // Without a pause, running out of files would become a busy loop.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection(stream: TcpStream, shown: Shown) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&shown, &request);
        async move { Ok::<_, std::convert::Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(LIFETIME)
        .keep_alive(false)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    // Whoever breaks off here harms nobody: the ACME server tells what it missed.
    let _ = connection.await;
}

fn answer<B>(shown: &Shown, request: &Request<B>) -> Response<Full<Bytes>> {
    let token = request.uri().path().strip_prefix(PATH);
    let text = token
        .filter(|_| request.method() == Method::GET)
        .and_then(|token| shown.key_authorization(token));
    let mut response = Response::new(Full::default());
    match text {
        Some(text) => {
            let kind = HeaderValue::from_static("application/octet-stream");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            *response.body_mut() = Full::from(text);
        }
        None => *response.status_mut() = StatusCode::NOT_FOUND,
    }
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::shown::Challenge;
    use super::*;

    #[test]
    fn the_text_is_there_under_its_token_while_the_name_is_proven() {
        let shown = Shown::new("room.example.com");
        let ask = |method: Method, path: &str| {
            let request = Request::builder().method(method).uri(path).body(());
            answer(&shown, &request.unwrap()).status()
        };
        let path = "/.well-known/acme-challenge/token";
        assert_eq!(ask(Method::GET, path), StatusCode::NOT_FOUND);
        let proof = shown.show_challenge(Challenge::Http {
            token: "token".to_owned(),
            key_authorization: "token.thumb".to_owned(),
        });
        assert_eq!(ask(Method::GET, path), StatusCode::OK);
        for (method, path) in [
            (Method::POST, path),
            (Method::GET, "/"),
            (Method::GET, "/join"),
            (Method::GET, "/.well-known/acme-challenge/"),
            (Method::GET, "/.well-known/acme-challenge/other"),
        ] {
            assert_eq!(ask(method, path), StatusCode::NOT_FOUND, "{path}");
        }
        drop(proof);
        assert_eq!(ask(Method::GET, path), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn whoever_holds_connections_keeps_the_acme_server_out_for_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shown = Shown::new("room.example.com");
        let _proof = shown.show_challenge(Challenge::Http {
            token: "token".to_owned(),
            key_authorization: "token.thumb".to_owned(),
        });
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, shown));
        let mut silent = Vec::new();
        for _ in 0..2 * MAX_CONNECTIONS {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let mut server = TcpStream::connect(address).await.unwrap();
        let request =
            "GET /.well-known/acme-challenge/token HTTP/1.1\r\nHost: room.example.com\r\n\r\n";
        server.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = server.read_to_string(&mut answer);
        timeout(2 * LIFETIME, read).await.unwrap().unwrap();
        assert!(answer.ends_with("\r\n\r\ntoken.thumb"), "{answer}");
    }
}
