//! One connection of a leg's floor control, over TCP or TLS (RFC 8855 section 6.1, RFC 8856
//! section 7.1).
//!
//! ```text
//!   connecting, or waiting for the peer ──► [TLS] ──► open ── peer closes ──► ended
//!        │ nobody there in time, another certificate    │ breaks, or reads nothing
//!        └──────────────────────────────────────────────┴──────────────────► lost
//!        the owner drops it: at once while it is not open, else after what is to be sent
//! ```
//!
//! Where we listen, only who comes from the peer's address is let in, and over TLS only who shows the
//! agreed certificate: a stranger is turned away, and the peer waited for.
//!
//! Which end is the TLS client, RFC 8856 says in two ways: always the one who has made the offer
//! (section 8), or the one who connects (section 10.2). They differ where we connect, as we do for
//! offers of the peer only: then a peer that speaks first is the client, and else we are.
//!
//! A peer may be silent for as long as nobody wants the floor, so that only the keep-alive of TCP finds
//! out about one that is gone.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use room::ids::LegId;
use rustix::net::sockopt;
use rustls::pki_types::ServerName;
use sip::endpoint::FloorChannelEnd;
use sip::offer_answer::TcpSetup;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::floor_events::{ConnectionInput, FloorEvent, FloorInput};
use super::floor_tls::FloorTls;
use crate::floor_way::StreamWay;
use crate::owned_tasks::OwnedTasks;

/// How long a TCP connect and a TLS handshake may take together.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long the peer may take to connect: it may have to try addresses, and to start TLS.
const ACCEPT_LIMIT: Duration = Duration::from_secs(60);
/// How long a handshake with who has connected may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Handshakes under way at once: behind one address may be others than the peer.
const HANDSHAKES_AT_ONCE: usize = 4;
/// How long we wait for a peer that speaks TLS first.
const PEER_SPEAKS_FIRST: Duration = Duration::from_millis(500);
/// How long a peer may leave our bytes unread.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// Messages that wait to be sent.
const SEND_QUEUE: usize = 32;
/// Bytes read at once: more than most messages have.
const READ_SIZE: usize = 4_096;
/// The keep-alive of TCP: the wait for the first probe, that for the next ones, and how many.
const KEEP_ALIVE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(15), 4);

trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// Whether a connection has been seen to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Opening,
    Open,
}

/// The peer reads nothing: the connection is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stalled;

/// A connection, or the attempt at one. Dropping it ends it.
#[derive(Debug)]
pub struct FloorStream {
    number: u32,
    progress: Progress,
    outgoing: mpsc::Sender<Bytes>,
    task: AbortHandle,
}

impl FloorStream {
    /// Starts to make the agreed connection, in a task that `tasks` owns; events tell what comes of it.
    pub fn start(
        tasks: &mut OwnedTasks,
        leg: LegId,
        way: StreamWay,
        listener: Arc<TcpListener>,
        tls: &FloorTls,
        events: mpsc::Sender<FloorEvent>,
    ) -> Self {
        let (outgoing, to_send) = mpsc::channel(SEND_QUEUE);
        let task = Task {
            leg,
            way,
            listener,
            tls: way.certificate.map(|peer| {
                let client = tls.connector(peer);
                client.and_then(|client| Ok((client, tls.acceptor(peer)?)))
            }),
            events,
        };
        Self {
            number: way.number,
            progress: Progress::Opening,
            outgoing,
            task: tasks.spawn_passing(task.run(to_send)),
        }
    }

    /// Which connection of the session it is.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whether it stands, as far as its owner has been told.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.progress == Progress::Open
    }

    /// Its owner has been told that it stands.
    pub fn opened(&mut self) {
        self.progress = Progress::Open;
    }

    /// Sends bytes to the peer. Before it stands they are dropped: both ends begin anew then.
    ///
    /// # Errors
    /// The peer reads nothing. To leave something out would leave the rest without a meaning.
    pub fn send(&self, bytes: Bytes) -> Result<(), Stalled> {
        match self.progress {
            Progress::Opening => Ok(()),
            Progress::Open => match self.outgoing.try_send(bytes) {
                Err(mpsc::error::TrySendError::Full(_)) => Err(Stalled),
                // Its end is reported.
                Err(mpsc::error::TrySendError::Closed(_)) | Ok(()) => Ok(()),
            },
        }
    }
}

impl Drop for FloorStream {
    fn drop(&mut self) {
        match self.progress {
            // It must not take the connection that is meant for the next one.
            Progress::Opening => self.task.abort(),
            // Ends by itself, when what waits is sent.
            Progress::Open => {}
        }
    }
}

struct Task {
    leg: LegId,
    way: StreamWay,
    listener: Arc<TcpListener>,
    /// For both parts in TLS; an error would be a fault of ours.
    tls: Option<Result<(TlsConnector, TlsAcceptor), rustls::Error>>,
    events: mpsc::Sender<FloorEvent>,
}

impl Task {
    async fn run(self, mut to_send: mpsc::Receiver<Bytes>) {
        let Some(opened) = self.opened_or_dropped(&mut to_send).await else {
            return;
        };
        let end = match opened {
            Err(error) => {
                self.explain(&error);
                Some(FloorChannelEnd::Lost)
            }
            Ok(stream) => {
                self.report(ConnectionInput::Opened).await;
                self.carry(stream, to_send).await
            }
        };
        if let Some(end) = end {
            self.report(ConnectionInput::Ended(end)).await;
        }
    }

    async fn report(&self, what: ConnectionInput) {
        let number = self.way.number;
        let event = FloorEvent {
            leg: self.leg,
            what: FloorInput::Connection { number, what },
        };
        // The driver being gone is the only way that this fails.
        let _ = self.events.send(event).await;
    }

    fn explain(&self, error: &io::Error) {
        let (leg, remote) = (self.leg, self.way.remote);
        if is_other_certificate(error) {
            tracing::warn!(
                %leg, ?remote,
                "the peer of a floor shows another certificate than its session description names: not connected"
            );
        } else {
            tracing::info!(%leg, ?remote, %error, "no connection for floor control");
        }
    }

    /// The connection, or nothing where the owner has dropped it meanwhile.
    async fn opened_or_dropped(
        &self,
        to_send: &mut mpsc::Receiver<Bytes>,
    ) -> Option<io::Result<Box<dyn ByteStream>>> {
        let limit = match self.way.setup {
            TcpSetup::Active => CONNECT_LIMIT,
            TcpSetup::Passive => ACCEPT_LIMIT,
        };
        let mut opening = pin!(timeout(limit, self.open()));
        loop {
            tokio::select! {
                opened = &mut opening => {
                    return Some(opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())));
                }
                // Nothing is sent before it stands.
                nothing = to_send.recv() => { nothing?; }
            }
        }
    }

    async fn open(&self) -> io::Result<Box<dyn ByteStream>> {
        let remote = self.way.remote.ok_or(io::ErrorKind::AddrNotAvailable)?;
        let tls = match &self.tls {
            None => None,
            Some(Ok(tls)) => Some(tls),
            Some(Err(error)) => return Err(io::Error::other(error.clone())),
        };
        match self.way.setup {
            TcpSetup::Active => self.connect(remote, tls).await,
            TcpSetup::Passive => {
                self.accept(remote.ip(), tls.map(|(_, server)| server))
                    .await
            }
        }
    }

    async fn connect(
        &self,
        remote: SocketAddr,
        tls: Option<&(TlsConnector, TlsAcceptor)>,
    ) -> io::Result<Box<dyn ByteStream>> {
        let socket = if remote.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        // From the address that our session description names, where that is a certain one.
        let local = self.listener.local_addr()?.ip();
        if !local.is_unspecified() && local.is_ipv4() == remote.is_ipv4() {
            socket.bind(SocketAddr::new(local, 0))?;
        }
        let stream = socket.connect(remote).await?;
        prepare(&stream)?;
        let Some((client, server)) = tls else {
            return Ok(Box::new(stream));
        };
        let first = timeout(PEER_SPEAKS_FIRST, stream.peek(&mut [0])).await;
        if matches!(first, Ok(Ok(1..))) {
            return Ok(Box::new(server.accept(stream).await?));
        }
        // An address is no name that a certificate has to bear.
        let name = ServerName::IpAddress(remote.ip().into());
        Ok(Box::new(client.connect(name, stream).await?))
    }

    async fn accept(
        &self,
        peer: IpAddr,
        tls: Option<&TlsAcceptor>,
    ) -> io::Result<Box<dyn ByteStream>> {
        let mut handshakes = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(shaken) = handshakes.next() => match shaken {
                    Ok(stream) => return Ok(stream),
                    Err(error) => self.explain(&error),
                },
                accepted = self.listener.accept(), if handshakes.len() < HANDSHAKES_AT_ONCE => {
                    // Another try may find descriptors again; until then the renewal waits.
                    let (stream, from) = accepted?;
                    if from.ip().to_canonical() != peer.to_canonical() {
                        tracing::debug!(leg = %self.leg, %from, "not the peer of this floor");
                        continue;
                    }
                    prepare(&stream)?;
                    let Some(tls) = tls else {
                        return Ok(Box::new(stream));
                    };
                    handshakes.push(shake_hands(tls, stream));
                }
            }
        }
    }

    /// Carries bytes until either end has enough. Nothing where the owner has dropped it.
    async fn carry(
        &self,
        stream: Box<dyn ByteStream>,
        mut to_send: mpsc::Receiver<Bytes>,
    ) -> Option<FloorChannelEnd> {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut buffer = BytesMut::with_capacity(READ_SIZE);
        let failed = |error: &io::Error| {
            tracing::info!(leg = %self.leg, %error, "the connection of floor control broke");
            Some(FloorChannelEnd::Lost)
        };
        loop {
            buffer.reserve(READ_SIZE);
            tokio::select! {
                read = reader.read_buf(&mut buffer) => match read {
                    Ok(0) => return Some(FloorChannelEnd::Closed),
                    Ok(_) => {
                        let bytes = buffer.split().freeze();
                        self.report(ConnectionInput::Received(bytes)).await;
                    }
                    Err(error) => return failed(&error),
                },
                bytes = to_send.recv() => {
                    let written = match &bytes {
                        Some(bytes) => timeout(WRITE_LIMIT, async {
                            writer.write_all(bytes).await?;
                            writer.flush().await
                        })
                        .await,
                        None => timeout(WRITE_LIMIT, writer.shutdown()).await,
                    };
                    match written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                        _ if bytes.is_none() => return None,
                        Ok(()) => {}
                        Err(error) => return failed(&error),
                    }
                }
            }
        }
    }
}

async fn shake_hands(tls: &TlsAcceptor, stream: TcpStream) -> io::Result<Box<dyn ByteStream>> {
    let shaken = timeout(HANDSHAKE_LIMIT, tls.accept(stream)).await;
    match shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(error),
    }
}

/// Small messages go at once, and a peer that is gone is noticed.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    let (idle, interval, probes) = KEEP_ALIVE;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, idle)?;
    sockopt::set_tcp_keepintvl(stream, interval)?;
    sockopt::set_tcp_keepcnt(stream, probes)?;
    Ok(())
}

fn is_other_certificate(error: &io::Error) -> bool {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(
        tls,
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)
    )
}

#[cfg(test)]
mod tests;
