//! A connection with a TURN server, by UDP, TCP or TLS.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use config::{Host, TurnTransport};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::timeout;
use webrtc::Protocol;

use crate::turn_servers::{TurnServers, TurnWay};

/// Bytes that wait for a stream that takes none. More stay with who sends them.
const UNSENT_BYTES: usize = 128 * 1024;

/// Bytes that may wait for a stream at all: requests of ours come on top of datagrams.
const MOST_UNSENT_BYTES: usize = 4 * UNSENT_BYTES;

/// How long giving back an address may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why there is no connection, or no more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TurnConnectionError {
    /// Nobody knows the server's name.
    #[error("its name is not known: {0}")]
    Name(io::Error),
    /// It does not answer, or is not who it should be.
    #[error("it is not reached: {0}")]
    Connect(io::Error),
    /// It does not read.
    #[error("the stream is not read")]
    Stalled,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A way to a server that is open.
pub(crate) struct Connection {
    pub(crate) local: SocketAddr,
    pub(crate) server: SocketAddr,
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
    /// Connects with a server in that way, which takes as long as the networks let it.
    pub(crate) async fn open(
        servers: &TurnServers,
        way: &TurnWay,
    ) -> Result<Self, TurnConnectionError> {
        let (host, name) = match &way.host {
            Host::Address(address) => (address.to_string(), ServerName::from(*address)),
            Host::Name(name) => {
                let unusable = |_| TurnConnectionError::Name(io::ErrorKind::InvalidInput.into());
                let server_name = ServerName::try_from(name.clone()).map_err(unusable)?;
                (name.clone(), server_name)
            }
        };
        let found = lookup_host((host, way.port)).await;
        let mut found = found.map_err(TurnConnectionError::Name)?;
        let server = found
            .next()
            .ok_or_else(|| TurnConnectionError::Name(io::ErrorKind::NotFound.into()))?;
        let connected = match way.transport {
            TurnTransport::Udp => Self::by_udp(server).await,
            TurnTransport::Tcp => Self::by_tcp(server).await,
            TurnTransport::Tls | TurnTransport::Dtls => {
                let stream = TcpStream::connect(server).await;
                let stream = stream.map_err(TurnConnectionError::Connect)?;
                let local = stream.local_addr().map_err(TurnConnectionError::Connect)?;
                let unsupported = TurnConnectionError::Connect(io::ErrorKind::Unsupported.into());
                let tls = servers.tls().ok_or(unsupported)?;
                let stream = tls.connect(name, stream).await;
                stream.map(|stream| Self::of_stream(stream, local, server))
            }
        };
        connected.map_err(TurnConnectionError::Connect)
    }

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

    pub(crate) const fn protocol(&self) -> Protocol {
        match self.kind {
            ConnectionKind::Datagrams(_) => Protocol::Udp,
            ConnectionKind::Stream { .. } => Protocol::Tcp,
        }
    }

    /// Whether it takes more datagrams just now.
    pub(crate) fn has_room(&self) -> bool {
        match &self.kind {
            ConnectionKind::Datagrams(_) => true,
            ConnectionKind::Stream { unsent, .. } => unsent.len() < UNSENT_BYTES,
        }
    }

    pub(crate) fn send(&mut self, message: &[u8]) -> Result<(), TurnConnectionError> {
        match &mut self.kind {
            // What a datagram's way does not take is lost, as on any network.
            ConnectionKind::Datagrams(socket) => {
                let _ = socket.try_send(message);
            }
            ConnectionKind::Stream { unsent, .. } => {
                if unsent.len() + message.len() > MOST_UNSENT_BYTES {
                    return Err(TurnConnectionError::Stalled);
                }
                unsent.extend_from_slice(message);
            }
        }
        Ok(())
    }

    /// Waits for something to come in, sending meanwhile what waits; its length. May be dropped and called
    /// again: nothing is lost.
    pub(crate) async fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
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

    pub(crate) async fn finish(&mut self) {
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
