//! Speaks HTTP with roomd over its Unix socket: one connection for each request.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use api::{Admission, Endpoint, Language, Problem, Snapshot};
use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT_LANGUAGE, CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::error::Error;

/// roomd answers within ten seconds, if only with a time-out of its own.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// More than any picture or snapshot has.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// The way to one roomd.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    socket: PathBuf,
    language: Language,
}

impl Client {
    pub(crate) fn new(socket: PathBuf, language: Language) -> Self {
        Self { socket, language }
    }

    /// The room as it is now.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, Error> {
        let body = self.get(Endpoint::Snapshot.path()).await?;
        serde_json::from_slice(&body).map_err(bad_answer)
    }

    /// Puts a request to the room. A denial is an answer, not an error, here.
    pub(crate) async fn ask(
        &self,
        endpoint: Endpoint,
        leg: Option<u32>,
        body: Option<Value>,
    ) -> Result<Admission, Error> {
        let path = leg.map_or_else(
            || endpoint.path().to_owned(),
            |leg| endpoint.path_for_leg(leg),
        );
        let (status, answer) = self
            .send(&endpoint.method().to_string(), &path, body)
            .await?;
        match status {
            StatusCode::OK | StatusCode::CONFLICT => {
                serde_json::from_slice(&answer).map_err(bad_answer)
            }
            _ => Err(refusal(status, &answer)),
        }
    }

    /// The body of a path that is only looked at.
    pub(crate) async fn get(&self, path: &str) -> Result<Bytes, Error> {
        let (status, body) = self.send("GET", path, None).await?;
        if status == StatusCode::OK {
            Ok(body)
        } else {
            Err(refusal(status, &body))
        }
    }

    /// The answer to a body that makes something.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        endpoint: Endpoint,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        let body = serde_json::to_value(body).map_err(bad_answer)?;
        let (status, answer) = self.send("POST", endpoint.path(), Some(body)).await?;
        match status {
            StatusCode::OK => serde_json::from_slice(&answer).map_err(bad_answer),
            _ => Err(refusal(status, &answer)),
        }
    }

    /// Ends what a path names.
    pub(crate) async fn delete(&self, path: &str) -> Result<Admission, Error> {
        let (status, answer) = self.send("DELETE", path, None).await?;
        match status {
            StatusCode::OK => serde_json::from_slice(&answer).map_err(bad_answer),
            _ => Err(refusal(status, &answer)),
        }
    }

    /// The event stream.
    pub(crate) async fn events(&self) -> Result<Events, Error> {
        let stream = self.connect().await?;
        let url = format!("ws://roomd{}", Endpoint::Events.path());
        let (stream, _) = client_async(url, stream)
            .await
            .map_err(|error| match error {
                tokio_tungstenite::tungstenite::Error::Http(response) => refusal(
                    response.status(),
                    response.body().as_deref().unwrap_or_default(),
                ),
                tokio_tungstenite::tungstenite::Error::Io(source) => self.unreachable(source),
                other => bad_answer(other),
            })?;
        Ok(Events {
            stream,
            client: self.clone(),
        })
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<(StatusCode, Bytes), Error> {
        let exchange = self.exchange(method, path, body);
        tokio::time::timeout(ANSWER_TIMEOUT, exchange)
            .await
            .unwrap_or_else(|_| Err(self.unreachable(io::ErrorKind::TimedOut.into())))
    }

    async fn exchange(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<(StatusCode, Bytes), Error> {
        let stream = TokioIo::new(self.connect().await?);
        let (mut sender, connection) = http1::handshake(stream)
            .await
            .map_err(|error| self.broken(error))?;
        let answer = async {
            let response = sender
                .send_request(self.request(method, path, body))
                .await?;
            Ok::<_, hyper::Error>(response)
        };
        // The connection is driven here, so that no task outlives the request.
        let mut connection = std::pin::pin!(connection);
        let read = async {
            let response = answer.await.map_err(|error| self.broken(error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES)
                .collect()
                .await;
            Ok((status, body.map_err(bad_answer)?.to_bytes()))
        };
        let mut read = std::pin::pin!(read);
        tokio::select! {
            biased;
            answer = &mut read => answer,
            _ = &mut connection => read.await,
        }
    }

    fn request(&self, method: &str, path: &str, body: Option<Value>) -> Request<Full<Bytes>> {
        let language = match self.language {
            Language::English => "en",
            Language::Chinese => "zh",
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "roomd")
            .header(ACCEPT_LANGUAGE, language);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        request
            .body(Full::from(body))
            .expect("methods, paths and headers are our own constants")
    }

    async fn connect(&self) -> Result<UnixStream, Error> {
        UnixStream::connect(&self.socket)
            .await
            .map_err(|source| self.unreachable(source))
    }

    fn unreachable(&self, source: io::Error) -> Error {
        Error::Unreachable {
            socket: self.socket.clone(),
            source,
        }
    }

    fn broken(&self, error: hyper::Error) -> Error {
        self.unreachable(io::Error::other(error))
    }
}

/// The room at each change.
pub(crate) struct Events {
    stream: WebSocketStream<UnixStream>,
    client: Client,
}

impl Events {
    /// Waits for the next snapshot, as JSON text; `None` when roomd ends in good order.
    pub(crate) async fn next(&mut self) -> Result<Option<String>, Error> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => return Ok(Some(text.as_str().to_owned())),
                // Pings are answered by the stream itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Binary(_))) => return Err(bad_answer("binary message")),
                Some(Ok(Message::Close(_))) | None => return Ok(None),
                Some(Err(error)) => return Err(self.client.unreachable(io::Error::other(error))),
            }
        }
    }
}

pub(crate) fn bad_answer(error: impl std::fmt::Display) -> Error {
    Error::BadAnswer {
        detail: error.to_string(),
    }
}

fn refusal(status: StatusCode, body: &[u8]) -> Error {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => Error::Refused(problem),
        Err(_) => bad_answer(format!("HTTP status {status}")),
    }
}
