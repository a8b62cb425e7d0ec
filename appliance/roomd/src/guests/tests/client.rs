//! A browser, as far as the server can tell.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::LONG;

/// What a request got.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap().to_owned()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        let header = self.headers.get(name);
        header.map_or("", |header| header.to_str().unwrap())
    }
}

/// A browser: it trusts the room's own authority, and keeps one cookie.
#[derive(Clone)]
pub(super) struct Browser {
    address: SocketAddr,
    tls: TlsConnector,
    pub(super) cookie: Option<String>,
    pub(super) origin: Option<String>,
}

impl Browser {
    pub(super) fn new(address: SocketAddr, state: &Path) -> Self {
        let file = state.join("guests-authority.pem");
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(file).unwrap())
            .unwrap();
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            address,
            tls: TlsConnector::from(Arc::new(config)),
            cookie: None,
            origin: Some(format!("https://{address}")),
        }
    }

    pub(super) async fn connect(&self) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::from(self.address.ip());
        self.tls.connect(name, stream).await.unwrap()
    }

    fn request(&self, method: &str, path: &str) -> hyper::http::request::Builder {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string());
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        if let Some(origin) = &self.origin {
            request = request.header("origin", origin);
        }
        request
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path), String::new()).await
    }

    pub(super) async fn get_with(&self, path: &str, name: &str, value: &str) -> Answer {
        let request = self.request("GET", path).header(name, value);
        self.send(request, String::new()).await
    }

    pub(super) async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let mut request = self.request(method, path);
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.send(request, body).await
    }

    async fn send(&self, request: hyper::http::request::Builder, body: String) -> Answer {
        let exchange = async {
            let stream = TokioIo::new(self.connect().await);
            let (mut sender, connection) = http1::handshake(stream).await.unwrap();
            let driving = tokio::spawn(connection);
            let request = request.body(Full::new(Bytes::from(body))).unwrap();
            let response = sender.send_request(request).await.unwrap();
            let (head, body) = response.into_parts();
            let body = body.collect().await.unwrap().to_bytes().to_vec();
            drop(sender);
            // The server may end the connection before or after the client does.
            let _ = driving.await.unwrap();
            Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body,
            }
        };
        timeout(LONG, exchange).await.expect("the server answers")
    }

    /// Exchanges a link's token, and keeps the cookie.
    pub(super) async fn open_session(&mut self, token: &str, name: &str) -> Answer {
        let body = json!({"token": token, "name": name});
        let answer = self.ask("POST", "/guest/session", Some(body)).await;
        let cookie = answer.header("set-cookie").split(';').next().unwrap();
        if !cookie.is_empty() {
            self.cookie = Some(cookie.to_owned());
        }
        answer
    }

    /// Opens the WebSocket, or says with which status that was refused.
    pub(super) async fn try_page(&self) -> Result<Page, u16> {
        let url = format!("wss://{}/guest/signalling", self.address);
        let mut request = url.into_client_request().unwrap();
        let headers = request.headers_mut();
        if let Some(cookie) = &self.cookie {
            headers.insert("cookie", cookie.parse().unwrap());
        }
        if let Some(origin) = &self.origin {
            headers.insert("origin", origin.parse().unwrap());
        }
        match client_async(request, self.connect().await).await {
            Ok((socket, _)) => Ok(Page { socket }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub(super) async fn page(&self) -> Page {
        self.try_page().await.unwrap()
    }
}

/// A page with its WebSocket.
pub(super) struct Page {
    socket: WebSocketStream<TlsStream<TcpStream>>,
}

impl Page {
    pub(super) async fn say(&mut self, what: &Value) {
        self.say_text(what.to_string()).await;
    }

    pub(super) async fn say_text(&mut self, text: String) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub(super) async fn try_say(&mut self, what: &Value) -> bool {
        self.socket
            .send(Message::text(what.to_string()))
            .await
            .is_ok()
    }

    pub(super) async fn say_bytes(&mut self, bytes: Vec<u8>) {
        self.socket.send(Message::binary(bytes)).await.unwrap();
    }

    pub(super) async fn offer(&mut self, sdp: &str) {
        self.say(&json!({"type": "offer", "sdp": sdp})).await;
    }

    /// The next message of the room; `None` when it has closed the WebSocket.
    pub(super) async fn hear(&mut self) -> Option<Value> {
        loop {
            let message = timeout(LONG, self.socket.next()).await;
            match message.expect("the room says something") {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(other)) => panic!("{other:?}"),
            }
        }
    }

    /// Waits until the room says that it is over, and why, and closes the WebSocket.
    pub(super) async fn hear_end(&mut self) -> String {
        let ended = self.hear().await.expect("the page is told why");
        assert_eq!(ended["type"], "ended", "{ended}");
        assert_eq!(self.hear().await, None, "the room closes the WebSocket");
        ended["reason"].as_str().unwrap().to_owned()
    }
}
