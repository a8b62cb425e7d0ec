//! The server as clients meet it: real sockets, a real room behind them.

mod events;
mod loopback;
mod requests;
mod room;
mod slides;
mod unix;

use std::path::PathBuf;

use ::room::RoomSnapshot;
use ::room::snapshot::DeviceState;
use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{Request, Response, StatusCode};
use config::{HttpSettings, LoopbackListener, SecretSource};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use self::room::{Driver, PICTURE, SLIDES};
use super::{ServeError, Server};

const TOKEN: &str = "0123456789abcdef0123";

/// A server with a room behind it.
struct Served {
    directory: TempDir,
    server: Server,
    driver: Driver,
}

impl Served {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let driver = Driver::start();
        let settings = settings(&directory, None);
        let server = Server::start(&settings, driver.handle(), None)
            .await
            .unwrap();
        Self {
            directory,
            server,
            driver,
        }
    }

    async fn start_with_loopback() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let driver = Driver::start();
        let settings = settings(&directory, Some(TOKEN));
        let server = Server::start(&settings, driver.handle(), None)
            .await
            .unwrap();
        Self {
            directory,
            server,
            driver,
        }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("api.sock")
    }

    async fn unix(&self) -> UnixStream {
        UnixStream::connect(self.socket()).await.unwrap()
    }

    async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.server.loopback().unwrap())
            .await
            .unwrap()
    }

    /// A request over the Unix socket.
    async fn ask(&self, method: &str, path: &str, body: Option<&str>) -> Answer {
        send(self.unix().await, request(method, path, body)).await
    }
}

fn settings(directory: &TempDir, token: Option<&str>) -> HttpSettings {
    let loopback = token.map(|token| {
        use std::os::unix::fs::PermissionsExt;
        let file = directory.path().join("token");
        std::fs::write(&file, token).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        LoopbackListener {
            address: "127.0.0.1:0".parse().unwrap(),
            token: SecretSource::File(file),
        }
    });
    HttpSettings {
        socket: directory.path().join("api.sock"),
        socket_group: None,
        loopback,
    }
}

fn request(method: &str, path: &str, body: Option<&str>) -> Request<Full<Bytes>> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "room");
    if body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    request
        .body(Full::from(body.unwrap_or_default().to_owned()))
        .unwrap()
}

/// An answer, read to its end.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    head: Response<()>,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn code(&self) -> String {
        self.json()["code"].as_str().unwrap().to_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.head.headers()[name].to_str().unwrap()
    }
}

async fn send<S>(stream: S, request: Request<Full<Bytes>>) -> Answer
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    connection.abort();
    Answer {
        status: head.status,
        head: Response::from_parts(head, ()),
        body,
    }
}
