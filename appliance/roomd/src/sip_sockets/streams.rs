//! SIP over TCP and TLS: accepting, connecting, and moving bytes.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustls::pki_types::ServerName;
use sip::transport::{FlowId, StreamError, StreamInfo, Transport};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::SocketEvent;
use super::proven_names::proven_names;
use super::websockets::{self, WebSocket};
use crate::error::Error;
use crate::socket_address::canonical;

/// How long a TCP connect and a TLS handshake may take together.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes under way at once: each costs a signature, so a flood must not take the processor.
const HANDSHAKES_AT_ONCE: usize = 16;
/// How long a peer may leave our bytes unread before the stream is cut off.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes read at once.
const READ_SIZE: usize = 16 * 1024;

/// What the owner of a stream has for it.
#[derive(Debug)]
pub(super) enum ToPeer {
    /// Bytes; over a WebSocket, one whole message.
    Bytes(Bytes),
    /// A WebSocket's Ping frame.
    Ping,
}

/// Where to connect to, and as whom.
pub(super) struct Destination {
    pub(super) remote: SocketAddr,
    /// TLS checks the certificate for it, and a WebSocket asks for it.
    pub(super) server_name: String,
    /// For TLS.
    pub(super) connector: Option<TlsConnector>,
    /// The path of a WebSocket.
    pub(super) websocket_path: Option<String>,
}

pub(super) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// A stream that a peer opened, before the endpoint has named it.
pub struct AcceptedStream {
    /// Its addresses.
    pub info: StreamInfo,
    bytes: Box<dyn ByteStream>,
}

impl std::fmt::Debug for AcceptedStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AcceptedStream")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl AcceptedStream {
    /// Moves bytes until either side ends it.
    pub(super) async fn run(
        self,
        flow: FlowId,
        outgoing: mpsc::Receiver<ToPeer>,
        events: mpsc::Sender<SocketEvent>,
    ) {
        let error = end_of(move_bytes(flow, self.bytes, outgoing, &events).await);
        // The driver being gone is the only way that this fails.
        let _ = events.send(SocketEvent::Closed { flow, error }).await;
    }
}

/// A listening socket; with an acceptor it speaks TLS.
pub(super) struct Listener {
    listener: TcpListener,
    local: SocketAddr,
    acceptor: Option<TlsAcceptor>,
}

impl Listener {
    pub(super) async fn bind(
        address: SocketAddr,
        acceptor: Option<TlsAcceptor>,
    ) -> Result<Self, Error> {
        let protocol = if acceptor.is_some() { "TLS" } else { "TCP" };
        let listen = |source| Error::Listen {
            protocol,
            address,
            source,
        };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let local = listener.local_addr().map_err(listen)?;
        Ok(Self {
            listener,
            local,
            acceptor,
        })
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Accepts peers until the driver is gone, or a handshake breaks.
    pub(super) async fn accept(self, events: mpsc::Sender<SocketEvent>) {
        let mut handshakes = JoinSet::new();
        loop {
            tokio::select! {
                Some(ended) = handshakes.join_next() => {
                    // Nobody aborts a handshake: it panicked, and with it ends the listener, which
                    // its owner notices.
                    if ended.is_err() {
                        return;
                    }
                }
                accepted = self.listener.accept(), if handshakes.len() < HANDSHAKES_AT_ONCE => {
                    if events.is_closed() {
                        return;
                    }
                    match accepted {
                        Ok((stream, remote)) => {
                            handshakes.spawn(self.take_in(stream, remote, events.clone()));
                        }
                        // Out of descriptors: the peer tries again; a pause keeps this from
                        // spinning.
                        Err(error) => {
                            tracing::warn!(
                                local = %self.local, %error, "a SIP connection was not accepted"
                            );
                            tokio::time::sleep(Duration::from_millis(100)).await;
                        }
                    }
                }
            }
        }
    }

    /// Shakes hands with a peer and reports it.
    fn take_in(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        events: mpsc::Sender<SocketEvent>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let handshake = shake_hands(stream, remote, self.acceptor.clone());
        async move {
            let result = timeout(HANDSHAKE_TIMEOUT, handshake).await;
            match result.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                // Fails only when the driver is gone.
                Ok(accepted) => drop(events.send(SocketEvent::Accepted(accepted)).await),
                Err(error) => tracing::info!(%remote, %error, "TLS handshake failed"),
            }
        }
    }
}

async fn shake_hands(
    stream: TcpStream,
    remote: SocketAddr,
    acceptor: Option<TlsAcceptor>,
) -> io::Result<AcceptedStream> {
    stream.set_nodelay(true)?;
    // Not the listener's address, which may be an unspecified one.
    let local = stream.local_addr()?;
    let Some(acceptor) = acceptor else {
        return Ok(AcceptedStream {
            info: stream_info(Transport::Tcp, local, remote),
            bytes: Box::new(stream),
        });
    };
    let stream = acceptor.accept(stream).await?;
    let mut info = stream_info(Transport::Tls, local, remote);
    // There is one only if it was asked for, and verified.
    let shown = stream.get_ref().1.peer_certificates();
    if let Some(certificate) = shown.and_then(<[_]>::first) {
        info.verified_names = proven_names(certificate);
    }
    Ok(AcceptedStream {
        info,
        bytes: Box::new(stream),
    })
}

/// Connects, then moves bytes or messages until either side ends it.
pub(super) async fn connect(
    flow: FlowId,
    destination: Destination,
    outgoing: mpsc::Receiver<ToPeer>,
    events: mpsc::Sender<SocketEvent>,
) {
    let remote = destination.remote;
    let opening = timeout(HANDSHAKE_TIMEOUT, open(destination)).await;
    let error = match opening.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Err(error) => {
            tracing::info!(%remote, %error, "SIP connection failed");
            opening_failure(&error)
        }
        Ok((info, opened)) => {
            if events
                .send(SocketEvent::Opened { flow, info })
                .await
                .is_err()
            {
                return;
            }
            end_of(match opened {
                Opened::Bytes(bytes) => move_bytes(flow, bytes, outgoing, &events).await,
                Opened::Messages(websocket) => {
                    websockets::move_messages(flow, *websocket, outgoing, &events).await
                }
            })
        }
    };
    // The driver being gone is the only way that this fails.
    let _ = events.send(SocketEvent::Closed { flow, error }).await;
}

enum Opened {
    Bytes(Box<dyn ByteStream>),
    Messages(Box<WebSocket>),
}

async fn open(destination: Destination) -> io::Result<(StreamInfo, Opened)> {
    let Destination {
        remote,
        server_name,
        connector,
        websocket_path,
    } = destination;
    let stream = TcpStream::connect(remote).await?;
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    let (protected, bytes): (_, Box<dyn ByteStream>) = match connector {
        None => (false, Box::new(stream)),
        Some(connector) => {
            let name = ServerName::try_from(server_name.clone())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            (true, Box::new(connector.connect(name, stream).await?))
        }
    };
    let transport = match (&websocket_path, protected) {
        (None, false) => Transport::Tcp,
        (None, true) => Transport::Tls,
        (Some(_), false) => Transport::Ws,
        (Some(_), true) => Transport::Wss,
    };
    let mut info = stream_info(transport, local, remote);
    let opened = match websocket_path {
        None => Opened::Bytes(bytes),
        Some(path) => {
            let address = websockets::address(transport, &server_name, remote.port(), &path);
            Opened::Messages(Box::new(websockets::shake_hands(bytes, &address).await?))
        }
    };
    if protected {
        info.verified_names.push(server_name);
    }
    Ok((info, opened))
}

fn stream_info(transport: Transport, local: SocketAddr, remote: SocketAddr) -> StreamInfo {
    StreamInfo::new(transport, canonical(local), canonical(remote))
}

/// A peer whose certificate was refused is told apart from one that is not there: the owner has to
/// mend a certificate, not a network.
fn opening_failure(error: &io::Error) -> StreamError {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            StreamError::Certificate
        }
        Some(_) => StreamError::Broken,
        None => StreamError::NotConnected,
    }
}

fn end_of(result: io::Result<()>) -> StreamError {
    match result {
        Ok(()) => StreamError::Closed,
        Err(error) => {
            tracing::debug!(%error, "SIP connection broke");
            StreamError::Broken
        }
    }
}

/// Moves bytes both ways. Ends in order when the peer closes, or when the owner has dropped the
/// sender of `outgoing` and all of it is written.
async fn move_bytes(
    flow: FlowId,
    bytes: Box<dyn ByteStream>,
    mut outgoing: mpsc::Receiver<ToPeer>,
    events: &mpsc::Sender<SocketEvent>,
) -> io::Result<()> {
    let (mut reader, mut writer) = tokio::io::split(bytes);
    let mut buffer = BytesMut::with_capacity(READ_SIZE);
    loop {
        buffer.reserve(READ_SIZE);
        tokio::select! {
            read = reader.read_buf(&mut buffer) => {
                if read? == 0 {
                    return Ok(());
                }
                let payload = buffer.split().freeze();
                if events.send(SocketEvent::Received { flow, payload }).await.is_err() {
                    return Ok(());
                }
            }
            message = outgoing.recv() => {
                let message = match message {
                    None => return timeout(WRITE_TIMEOUT, writer.shutdown()).await?,
                    Some(ToPeer::Bytes(message)) => message,
                    // The endpoint asks for frames of WebSockets alone.
                    Some(ToPeer::Ping) => continue,
                };
                timeout(WRITE_TIMEOUT, async {
                    writer.write_all(&message).await?;
                    writer.flush().await
                })
                .await??;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn a_listener_of_both_families_reports_an_ipv4_peer_by_ipv4_addresses() {
        let listener = Listener::bind("[::]:0".parse().expect("an address"), None)
            .await
            .expect("a free port");
        let ours = SocketAddr::from((Ipv4Addr::LOCALHOST, listener.local().port()));
        let (events, mut reported) = mpsc::channel(4);
        let accepting = tokio::spawn(listener.accept(events));

        let peer = TcpStream::connect(ours).await.expect("connected");
        let Some(SocketEvent::Accepted(accepted)) = reported.recv().await else {
            panic!("a peer has connected");
        };
        assert_eq!(accepted.info.local, ours);
        assert_eq!(
            accepted.info.remote,
            peer.local_addr().expect("it is connected")
        );
        accepting.abort();
    }
}
