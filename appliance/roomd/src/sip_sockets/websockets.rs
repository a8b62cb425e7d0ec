//! SIP over WebSockets, as a client (RFC 7118): the handshake, and moving messages.

use std::io;
use std::net::IpAddr;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use sip::transport::{FlowId, Transport};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Error, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::SocketEvent;
use super::streams::{ByteStream, ToPeer, WRITE_TIMEOUT};

/// The subprotocol that a server has to agree to (RFC 7118 section 4.1).
const SUBPROTOCOL: &str = "sip";
/// The largest message that is taken, as large as a datagram may be.
const LARGEST_MESSAGE: usize = 64 * 1024;

/// An open WebSocket.
pub(super) type WebSocket = WebSocketStream<Box<dyn ByteStream>>;

/// What a WebSocket asks for: `wss://edge.example:443/ws`.
pub(super) fn address(transport: Transport, host: &str, port: u16, path: &str) -> String {
    let scheme = if transport.is_protected() {
        "wss"
    } else {
        "ws"
    };
    match host.parse() {
        Ok(IpAddr::V6(address)) => format!("{scheme}://[{address}]:{port}{path}"),
        Ok(IpAddr::V4(_)) | Err(_) => format!("{scheme}://{host}:{port}{path}"),
    }
}

/// Asks the other end of a connection for a WebSocket that carries SIP.
pub(super) async fn shake_hands(
    bytes: Box<dyn ByteStream>,
    address: &str,
) -> io::Result<WebSocket> {
    let address = address
        .parse()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let request = ClientRequestBuilder::new(address).with_sub_protocol(SUBPROTOCOL);
    let config = WebSocketConfig::default()
        .max_message_size(Some(LARGEST_MESSAGE))
        .max_frame_size(Some(LARGEST_MESSAGE));
    let (websocket, _) = client_async_with_config(request, bytes, Some(config))
        .await
        .map_err(broken)?;
    Ok(websocket)
}

/// Moves messages both ways. Ends in order when the peer closes, or when the owner has dropped the
/// sender of `outgoing` and all of it is written.
pub(super) async fn move_messages(
    flow: FlowId,
    mut websocket: WebSocket,
    mut outgoing: mpsc::Receiver<ToPeer>,
    events: &mpsc::Sender<SocketEvent>,
) -> io::Result<()> {
    loop {
        tokio::select! {
            received = websocket.next() => {
                let event = match received {
                    Some(Ok(Message::Text(text))) => received_event(flow, text.into()),
                    Some(Ok(Message::Binary(payload))) => received_event(flow, payload),
                    Some(Ok(Message::Pong(_))) => SocketEvent::Ponged { flow },
                    Some(Ok(Message::Ping(_))) => {
                        // Its answer is ready, and goes out with the next that is written.
                        timeout(WRITE_TIMEOUT, websocket.flush()).await?.map_err(broken)?;
                        continue;
                    }
                    Some(Ok(Message::Close(_))) => {
                        // The answer is ready too. A server that does not wait for it is gone by now.
                        let _ = timeout(WRITE_TIMEOUT, websocket.flush()).await;
                        return Ok(());
                    }
                    Some(Ok(Message::Frame(_))) | None => return Ok(()),
                    Some(Err(error)) => return Err(broken(error)),
                };
                if events.send(event).await.is_err() {
                    return Ok(());
                }
            }
            what = outgoing.recv() => {
                let message = match what {
                    Some(ToPeer::Bytes(bytes)) => message_of(bytes),
                    Some(ToPeer::Ping) => Message::Ping(Bytes::new()),
                    None => {
                        let closed = timeout(WRITE_TIMEOUT, websocket.close(None)).await?;
                        return closed.map_err(broken);
                    }
                };
                timeout(WRITE_TIMEOUT, websocket.send(message)).await?.map_err(broken)?;
            }
        }
    }
}

fn received_event(flow: FlowId, payload: Bytes) -> SocketEvent {
    SocketEvent::Received { flow, payload }
}

/// Text where it is text: some servers know nothing else (RFC 7118 section 5.1).
fn message_of(bytes: Bytes) -> Message {
    match Utf8Bytes::try_from(bytes.clone()) {
        Ok(text) => Message::Text(text),
        Err(_) => Message::Binary(bytes),
    }
}

/// The cause as the sockets know them.
fn broken(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::time::Duration;

    use sip::transport::StreamError;
    use tokio::net::{TcpListener, TcpStream};
    use tokio_tungstenite::accept_hdr_async;
    use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

    use super::*;
    use crate::sip_sockets::client_certificates::flow;
    use crate::sip_sockets::{ListenAddresses, SipSockets, TlsSettings};

    /// A test that waits longer than this has failed.
    const LIMIT: Duration = Duration::from_secs(10);

    type Accepted = WebSocketStream<TcpStream>;

    /// Our sockets, and a server that has seen us ask for a path and agrees to `protocol`.
    struct Site {
        sockets: SipSockets,
        events: mpsc::Receiver<SocketEvent>,
        flow: FlowId,
        server: tokio::task::JoinHandle<(Option<Accepted>, String)>,
    }

    async fn site(protocol: Option<&'static str>) -> Site {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let remote: SocketAddr = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut asked = String::new();
            #[expect(clippy::result_large_err, reason = "the library wants this signature")]
            let agree = |request: &Request, mut response: Response| {
                let offered = &request.headers()["Sec-WebSocket-Protocol"];
                asked = format!("{} {}", request.uri(), offered.to_str().unwrap());
                if let Some(protocol) = protocol {
                    let headers = response.headers_mut();
                    headers.insert("Sec-WebSocket-Protocol", protocol.parse().unwrap());
                }
                Ok(response)
            };
            let accepted = accept_hdr_async(stream, agree).await.ok();
            (accepted, asked)
        });
        let nowhere = ListenAddresses::default();
        let tls = TlsSettings::default();
        let (mut sockets, events) = SipSockets::listen(&nowhere, &tls).await.unwrap();
        let (flow, name) = (flow(), "127.0.0.1".to_owned());
        let path = Some("/ws?room=1".to_owned());
        sockets.open(flow, Transport::Ws, remote, name, None, path);
        Site {
            sockets,
            events,
            flow,
            server,
        }
    }

    impl Site {
        async fn event(&mut self) -> SocketEvent {
            let event = tokio::time::timeout(LIMIT, self.events.recv()).await;
            event.unwrap().unwrap()
        }

        /// The server's end of a WebSocket that has been opened.
        async fn opened(protocol: &'static str) -> (Self, Accepted) {
            let mut site = site(Some(protocol)).await;
            match site.event().await {
                SocketEvent::Opened { info, .. } => assert_eq!(info.transport, Transport::Ws),
                event => panic!("{event:?}"),
            }
            let (accepted, asked) = (&mut site.server).await.unwrap();
            assert_eq!(asked, "/ws?room=1 sip");
            (site, accepted.unwrap())
        }
    }

    #[tokio::test]
    async fn messages_go_both_ways_one_by_one_and_pings_are_answered() {
        let (mut site, mut server) = Site::opened("sip").await;
        let flow = site.flow;
        site.sockets.send_stream(flow, "REGISTER".into()).unwrap();
        let not_text = Bytes::from_static(b"\xff\xfe");
        site.sockets.send_stream(flow, not_text.clone()).unwrap();
        site.sockets.ping_websocket(flow).unwrap();
        let mut sent = Vec::new();
        for _ in 0..3 {
            sent.push(server.next().await.unwrap().unwrap());
        }
        let ping = Message::Ping(Bytes::new());
        assert_eq!(
            sent,
            [Message::text("REGISTER"), Message::Binary(not_text), ping]
        );

        server.send(Message::text("200")).await.unwrap();
        server.send(Message::binary(&b"180"[..])).await.unwrap();
        server.send(Message::Ping("x".into())).await.unwrap();
        let mut received = Vec::new();
        let mut ponged = false;
        while received.len() < 2 || !ponged {
            match site.event().await {
                SocketEvent::Received { payload, .. } => received.push(payload),
                SocketEvent::Ponged { .. } => ponged = true,
                event => panic!("{event:?}"),
            }
        }
        assert_eq!(received, ["200", "180"]);
        assert_eq!(
            server.next().await.unwrap().unwrap(),
            Message::Pong("x".into())
        );

        site.sockets.close(flow);
        let farewell = server.next().await.unwrap().unwrap();
        assert!(matches!(farewell, Message::Close(_)), "{farewell:?}");
    }

    #[tokio::test]
    async fn a_server_that_closes_or_sends_more_than_fits_ends_the_connection() {
        let (mut site, mut server) = Site::opened("sip").await;
        server.close(None).await.unwrap();
        assert!(matches!(
            site.event().await,
            SocketEvent::Closed {
                error: StreamError::Closed,
                ..
            }
        ));
        // It is answered (RFC 6455 section 5.5.1).
        let farewell = server.next().await;
        assert!(
            matches!(farewell, Some(Ok(Message::Close(_)))),
            "{farewell:?}"
        );

        let (mut site, mut server) = Site::opened("sip").await;
        let too_much = vec![b'x'; LARGEST_MESSAGE + 1];
        // Whoever reads no further may have closed before all is written.
        let _ = server.send(Message::binary(too_much)).await;
        assert!(matches!(
            site.event().await,
            SocketEvent::Closed {
                error: StreamError::Broken,
                ..
            }
        ));
    }

    #[tokio::test]
    async fn a_server_that_speaks_no_sip_is_not_connected_to() {
        for protocol in [None, Some("chat")] {
            let mut site = site(protocol).await;
            let event = site.event().await;
            assert!(
                matches!(event, SocketEvent::Closed { .. }),
                "{protocol:?} {event:?}"
            );
        }
    }

    #[test]
    fn addresses_are_written_as_urls_have_them() {
        for (transport, host, expected) in [
            (Transport::Wss, "edge.example", "wss://edge.example:443/ws"),
            (Transport::Ws, "192.0.2.1", "ws://192.0.2.1:443/ws"),
            (Transport::Wss, "2001:db8::1", "wss://[2001:db8::1]:443/ws"),
        ] {
            assert_eq!(address(transport, host, 443, "/ws"), expected);
        }
    }
}
