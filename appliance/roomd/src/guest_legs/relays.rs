//! A guest's leg at the TURN servers: for each server a task that keeps one address there.
//!
//! ```text
//!  leg's task ──RelaySender──> ┌───── task of a server ─────┐
//!             <──RelayNews──── │ webrtc::Relay              │ <── UDP, TCP or TLS ──> TURN server
//!                              └────────────────────────────┘
//!
//!             next way                    address                      address gone, sender dropped
//!  Waiting ───────────► Connecting ────────────────────► Relaying ────────────────┐
//!     ▲                     │ no connection, no address     ▲                     │
//!     │                     ▼                               │ (the first way) ◄───┘
//!     └── no way is left ── the next way
//! ```
//!
//! The tasks end when their leg's does, and give their addresses back.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use bytes::{Buf, Bytes, BytesMut};
use config::{Host, TurnTransport};
use room::ids::LegId;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::sync::mpsc;
use tokio::time::timeout;
use webrtc::{AddressKind, LocalAddress, Protocol, Relay, RelayCredentials, RelayEnd, RelayOutput};

use crate::owned_tasks::OwnedTasks;
use crate::turn_servers::{TurnServers, TurnWay};

/// Datagrams and word of addresses that wait for a leg. Datagrams beyond it are dropped.
const NEWS: usize = 256;

/// Datagrams of a leg that wait for its relay. Those beyond it are dropped.
const UNSENT: usize = 256;

/// Bytes that wait for a stream that takes none. More stay with the leg.
const UNSENT_BYTES: usize = 128 * 1024;

/// Bytes that may wait for a stream at all: requests of ours come on top of datagrams.
const MOST_UNSENT_BYTES: usize = 4 * UNSENT_BYTES;

/// What is read together, the largest UDP payload.
const READ_BYTES: usize = 65_535;

/// How long a connection, or the look-up of a name, may take.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// How long a server gets that was reached in none of its ways, doubled each time.
const SHORTEST_BACK_OFF: Duration = Duration::from_secs(5);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(300);

/// How long giving back an address may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// What is sent by a relay: to whom, and the datagram.
pub(super) type RelaySender = mpsc::Sender<(SocketAddr, Bytes)>;

/// What a leg hears of its relays.
#[derive(Debug)]
pub(super) enum RelayNews {
    /// A server has given this address.
    Opened {
        address: LocalAddress,
        /// Sends from there. The address is given back when it is dropped.
        sender: RelaySender,
    },
    /// A datagram has come to an address.
    Received {
        /// The address at the server.
        destination: SocketAddr,
        /// Who sent it.
        source: SocketAddr,
        payload: Bytes,
    },
    /// The address is gone.
    Closed(LocalAddress),
}

/// Asks every server for an address for a leg. The receiver has what becomes of it; the tasks end when it
/// is dropped.
pub(super) fn start(
    leg: LegId,
    servers: &TurnServers,
    tasks: &mut OwnedTasks,
) -> mpsc::Receiver<RelayNews> {
    let (news, receiver) = mpsc::channel(NEWS);
    for index in servers.indices() {
        let keeper = Keeper {
            leg,
            servers: servers.clone(),
            index,
            news: news.clone(),
        };
        tasks.spawn_passing(keeper.run());
    }
    receiver
}

/// Why an address is none, or no more.
#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error("its name is not known: {0}")]
    Name(io::Error),
    #[error("it is not reached: {0}")]
    Connect(io::Error),
    #[error("it takes too long")]
    TimeOut,
    #[error("the connection has failed: {0}")]
    Connection(io::Error),
    #[error("the stream is not read")]
    Stalled,
    #[error("{0}")]
    Relay(#[from] RelayEnd),
}

/// How keeping an address has ended.
#[derive(Debug)]
enum Kept {
    /// Its leg is over.
    LegOver,
    /// There was one, and another is wanted.
    Over,
    /// There was none.
    Never(RelayError),
}

/// Keeps an address at one server.
struct Keeper {
    leg: LegId,
    servers: TurnServers,
    index: usize,
    news: mpsc::Sender<RelayNews>,
}

impl Keeper {
    async fn run(self) {
        let mut back_off = SHORTEST_BACK_OFF;
        loop {
            match self.try_ways().await {
                Kept::LegOver => return,
                Kept::Over => back_off = SHORTEST_BACK_OFF,
                Kept::Never(error) => {
                    tracing::warn!(leg = %self.leg, %error, ?back_off, "no TURN server for a guest");
                    tokio::select! {
                        () = self.news.closed() => return,
                        () = tokio::time::sleep(back_off) => {}
                    }
                    back_off = (2 * back_off).min(LONGEST_BACK_OFF);
                }
            }
        }
    }

    async fn try_ways(&self) -> Kept {
        let mut last = Kept::Never(RelayError::Relay(RelayEnd::Refused));
        for way in self.servers.ways(self.index) {
            match self.keep(&way).await {
                Kept::Never(error) => {
                    let TurnWay {
                        transport,
                        host,
                        port,
                    } = &way;
                    tracing::info!(leg = %self.leg, ?transport, %host, port, %error, "a TURN server gives no address");
                    last = Kept::Never(error);
                }
                kept => return kept,
            }
        }
        last
    }

    async fn keep(&self, way: &TurnWay) -> Kept {
        let connected = tokio::select! {
            connected = timeout(CONNECT_TIME, self.connect(way)) => connected,
            () = self.news.closed() => return Kept::LegOver,
        };
        let connection = match connected {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Kept::Never(error),
            Err(_) => return Kept::Never(RelayError::TimeOut),
        };
        let credentials = self.servers.own_credentials(self.index, SystemTime::now());
        Relaying::new(
            self.leg,
            way.transport,
            connection,
            &credentials,
            self.news.clone(),
        )
        .run()
        .await
    }

    async fn connect(&self, way: &TurnWay) -> Result<Connection, RelayError> {
        let (host, name) = match &way.host {
            Host::Address(address) => (address.to_string(), ServerName::from(*address)),
            Host::Name(name) => {
                let unusable = |_| RelayError::Name(io::ErrorKind::InvalidInput.into());
                let server_name = ServerName::try_from(name.clone()).map_err(unusable)?;
                (name.clone(), server_name)
            }
        };
        let found = lookup_host((host, way.port)).await;
        let mut found = found.map_err(RelayError::Name)?;
        let server = found
            .next()
            .ok_or_else(|| RelayError::Name(io::ErrorKind::NotFound.into()))?;
        let connected = match way.transport {
            TurnTransport::Udp => Connection::by_udp(server).await,
            TurnTransport::Tcp => Connection::by_tcp(server).await,
            TurnTransport::Tls | TurnTransport::Dtls => {
                let stream = TcpStream::connect(server).await;
                let stream = stream.map_err(RelayError::Connect)?;
                let local = stream.local_addr().map_err(RelayError::Connect)?;
                let unsupported = RelayError::Connect(io::ErrorKind::Unsupported.into());
                let tls = self.servers.tls().ok_or(unsupported)?;
                let stream = tls.connect(name, stream).await;
                stream.map(|stream| Connection::of_stream(stream, local, server))
            }
        };
        connected.map_err(RelayError::Connect)
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A way to a server that is open.
struct Connection {
    local: SocketAddr,
    server: SocketAddr,
    kind: ConnectionKind,
}

enum ConnectionKind {
    Datagrams(UdpSocket),
    Stream {
        reader: ReadHalf<Box<dyn Stream>>,
        writer: WriteHalf<Box<dyn Stream>>,
        /// What the stream has not taken yet.
        unsent: BytesMut,
    },
}

impl Connection {
    async fn by_udp(server: SocketAddr) -> io::Result<Self> {
        let any = match server {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(any).await?;
        // Nobody else reaches this socket.
        socket.connect(server).await?;
        Ok(Self {
            local: socket.local_addr()?,
            server,
            kind: ConnectionKind::Datagrams(socket),
        })
    }

    async fn by_tcp(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        Ok(Self::of_stream(stream, local, server))
    }

    fn of_stream(stream: impl Stream + 'static, local: SocketAddr, server: SocketAddr) -> Self {
        let stream: Box<dyn Stream> = Box::new(stream);
        let (reader, writer) = tokio::io::split(stream);
        let unsent = BytesMut::new();
        Self {
            local,
            server,
            kind: ConnectionKind::Stream {
                reader,
                writer,
                unsent,
            },
        }
    }

    const fn protocol(&self) -> Protocol {
        match self.kind {
            ConnectionKind::Datagrams(_) => Protocol::Udp,
            ConnectionKind::Stream { .. } => Protocol::Tcp,
        }
    }

    /// Whether it takes more datagrams just now.
    fn has_room(&self) -> bool {
        match &self.kind {
            ConnectionKind::Datagrams(_) => true,
            ConnectionKind::Stream { unsent, .. } => unsent.len() < UNSENT_BYTES,
        }
    }

    fn send(&mut self, message: &[u8]) -> Result<(), RelayError> {
        match &mut self.kind {
            // What a datagram's way does not take is lost, as on any network.
            ConnectionKind::Datagrams(socket) => {
                let _ = socket.try_send(message);
            }
            ConnectionKind::Stream { unsent, .. } => {
                if unsent.len() + message.len() > MOST_UNSENT_BYTES {
                    return Err(RelayError::Stalled);
                }
                unsent.extend_from_slice(message);
            }
        }
        Ok(())
    }

    /// Waits for something to come in, sending meanwhile what waits; its length. May be dropped and called
    /// again: nothing is lost.
    async fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.kind {
            ConnectionKind::Datagrams(socket) => loop {
                match socket.recv(buffer).await {
                    // ICMP: the server is not there at the moment. It is asked again.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                    received => return received,
                }
            },
            ConnectionKind::Stream {
                reader,
                writer,
                unsent,
            } => loop {
                tokio::select! {
                    read = reader.read(buffer) => {
                        return match read? {
                            0 => Err(io::ErrorKind::UnexpectedEof.into()),
                            length => Ok(length),
                        };
                    }
                    written = writer.write(unsent), if !unsent.is_empty() => {
                        unsent.advance(written?);
                        writer.flush().await?;
                    }
                }
            },
        }
    }

    async fn finish(&mut self) {
        if let ConnectionKind::Stream { writer, unsent, .. } = &mut self.kind {
            let farewell = async {
                writer.write_all(unsent).await?;
                writer.shutdown().await
            };
            // The server notices by itself what does not reach it.
            let _ = timeout(FAREWELL, farewell).await;
        }
    }
}

/// A relay, its connection, and its leg.
struct Relaying {
    leg: LegId,
    transport: TurnTransport,
    connection: Connection,
    relay: Relay,
    news: mpsc::Sender<RelayNews>,
    address: Option<LocalAddress>,
    /// The leg's datagrams, once it knows of the address.
    outgoing: Option<mpsc::Receiver<(SocketAddr, Bytes)>>,
}

impl Relaying {
    fn new(
        leg: LegId,
        transport: TurnTransport,
        connection: Connection,
        credentials: &RelayCredentials,
        news: mpsc::Sender<RelayNews>,
    ) -> Self {
        let (local, server) = (connection.local, connection.server);
        let relay = Relay::new(
            Instant::now(),
            connection.protocol(),
            local,
            server,
            credentials,
        );
        Self {
            leg,
            transport,
            connection,
            relay,
            news,
            address: None,
            outgoing: None,
        }
    }

    async fn run(mut self) -> Kept {
        let ended = self.carry().await;
        self.connection.finish().await;
        match (ended, self.address) {
            (Ok(Kept::LegOver), _) => Kept::LegOver,
            (Ok(kept), None) => kept,
            (Err(error), None) => Kept::Never(error),
            (ended, Some(address)) => {
                if let Err(error) = ended {
                    tracing::info!(leg = %self.leg, %error, "a guest's address at a TURN server is gone");
                }
                let _ = self.news.send(RelayNews::Closed(address)).await;
                Kept::Over
            }
        }
    }

    /// Relays until the address is gone, or is not wanted any more.
    async fn carry(&mut self) -> Result<Kept, RelayError> {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            self.flush().await?;
            let now = Instant::now();
            let due = self.relay.next_deadline().unwrap_or(now);
            let has_room = self.connection.has_room();
            let outgoing = async {
                match &mut self.outgoing {
                    Some(outgoing) if has_room => outgoing.recv().await,
                    Some(_) | None => std::future::pending().await,
                }
            };
            tokio::select! {
                received = self.connection.receive(&mut buffer) => {
                    let length = received.map_err(RelayError::Connection)?;
                    self.relay.receive(Instant::now(), &buffer[..length]);
                }
                datagram = outgoing => match datagram {
                    Some((destination, payload)) => {
                        self.relay.send(Instant::now(), destination, &payload);
                    }
                    None => {
                        self.give_back();
                        return Ok(Kept::Over);
                    }
                },
                () = self.news.closed() => {
                    self.give_back();
                    return Ok(Kept::LegOver);
                }
                () = tokio::time::sleep_until(due.into()) => {
                    self.relay.handle_timeout(Instant::now());
                }
            }
        }
    }

    fn give_back(&mut self) {
        self.relay.close(Instant::now());
        while let Some(output) = self.relay.poll_output() {
            if let RelayOutput::Transmit(message) = output {
                let _ = self.connection.send(&message);
            }
        }
    }

    async fn flush(&mut self) -> Result<(), RelayError> {
        while let Some(output) = self.relay.poll_output() {
            match output {
                RelayOutput::Transmit(message) => self.connection.send(&message)?,
                RelayOutput::Received { source, payload } => self.pass_on(source, payload),
                RelayOutput::Allocated(address) => self.open(address).await,
                RelayOutput::Closed(end) => return Err(end.into()),
            }
        }
        Ok(())
    }

    fn pass_on(&self, source: SocketAddr, payload: Bytes) {
        if let Some(address) = self.address {
            let destination = address.address;
            // What a leg has no time for is lost, as on any network.
            let _ = self.news.try_send(RelayNews::Received {
                destination,
                source,
                payload,
            });
        }
    }

    async fn open(&mut self, address: SocketAddr) {
        let local = self.connection.local;
        tracing::info!(
            leg = %self.leg,
            transport = ?self.transport,
            server = %self.connection.server,
            %address,
            "a TURN server relays for a guest"
        );
        let address = LocalAddress {
            protocol: Protocol::Udp,
            address,
            kind: AddressKind::Relayed { local },
        };
        let (sender, outgoing) = mpsc::channel(UNSENT);
        self.address = Some(address);
        self.outgoing = Some(outgoing);
        // A leg that is over is noticed by its sender's end.
        let _ = self.news.send(RelayNews::Opened { address, sender }).await;
    }
}
