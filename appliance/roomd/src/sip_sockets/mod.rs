//! The sockets under the SIP endpoint: UDP, TCP and TLS. Bytes only; what they mean is the
//! endpoint's.
//!
//! Each socket has a task of its own that reports to one bounded channel. The tasks end when
//! [`SipSockets`] drops or closes them; a peer that does not read is cut off when its outgoing
//! queue is full. A listening task that ends by itself would leave a deaf room: the owner waits for
//! that with [`SipSockets::unexpected_end`].

#[cfg(test)]
mod client_certificates;
mod datagrams;
mod proven_names;
mod streams;
mod tls;
mod websockets;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use sip::endpoint::AccountName;
use sip::transport::{FlowId, StreamError, StreamInfo, Transport};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

pub use streams::AcceptedStream;
use streams::{Destination, ToPeer};
pub(crate) use tls::connector;
pub use tls::{TlsIdentity, TlsSettings, TlsTrust};
pub(crate) use tls::{read_chain, read_key};

use crate::error::Error;
use crate::owned_tasks::OwnedTasks;

/// Events that wait for the driver. A flood fills this, the kernel drops the rest.
const EVENT_QUEUE: usize = 1_024;
/// Messages that may wait for a stream whose peer does not read.
const STREAM_QUEUE: usize = 64;

/// Something that a SIP socket saw.
#[derive(Debug)]
pub enum SocketEvent {
    /// A datagram came in.
    Datagram {
        /// The address by which the sender reaches the socket: never unspecified.
        local: SocketAddr,
        /// Who sent it.
        remote: SocketAddr,
        /// What it holds.
        payload: Bytes,
    },
    /// A peer connected; for TLS after the handshake. [`SipSockets::adopt`] starts it.
    Accepted(AcceptedStream),
    /// A stream that we asked for is open; for TLS after the peer's certificate was checked.
    Opened {
        /// Which.
        flow: FlowId,
        /// Its addresses.
        info: StreamInfo,
    },
    /// Bytes came in on a stream.
    Received {
        /// Which.
        flow: FlowId,
        /// The bytes.
        payload: Bytes,
    },
    /// The peer has answered a WebSocket's Ping frame.
    Ponged {
        /// Whose.
        flow: FlowId,
    },
    /// A stream ended or could not be opened.
    Closed {
        /// Which.
        flow: FlowId,
        /// Why.
        error: StreamError,
    },
}

/// Where to listen.
#[derive(Clone, Debug, Default)]
pub struct ListenAddresses {
    /// For UDP.
    pub udp: Option<SocketAddr>,
    /// For TCP.
    pub tcp: Option<SocketAddr>,
    /// For TLS; without a [`TlsIdentity`] nobody listens there.
    pub tls: Option<SocketAddr>,
}

struct Stream {
    outgoing: mpsc::Sender<ToPeer>,
    task: AbortHandle,
}

/// All SIP sockets of the process. One owner, the driver.
pub struct SipSockets {
    udp: Option<datagrams::UdpPort>,
    streams: HashMap<FlowId, Stream>,
    connectors: tls::Connectors,
    events: mpsc::Sender<SocketEvent>,
    /// Ends every task of this struct when it is dropped.
    tasks: OwnedTasks,
    /// The addresses that were bound, with the ports that the kernel chose.
    bound: ListenAddresses,
}

impl SipSockets {
    /// Binds the sockets and starts to listen.
    ///
    /// # Errors
    /// [`Error::Listen`] with the address when one cannot be bound; [`Error::Tls`] or
    /// [`Error::ClientCertificates`] when certificates, keys or trust roots do not fit.
    pub async fn listen(
        wanted: &ListenAddresses,
        tls: &TlsSettings,
    ) -> Result<(Self, mpsc::Receiver<SocketEvent>), Error> {
        let (events, receiver) = mpsc::channel(EVENT_QUEUE);
        let mut sockets = Self {
            udp: None,
            streams: HashMap::new(),
            connectors: tls::Connectors::new(tls)?,
            events,
            tasks: OwnedTasks::default(),
            bound: ListenAddresses::default(),
        };
        if let Some(address) = wanted.udp {
            let port = datagrams::UdpPort::bind(address).await?;
            sockets.bound.udp = Some(port.local());
            sockets
                .tasks
                .spawn_lasting(port.receive(sockets.events.clone()));
            sockets.udp = Some(port);
        }
        if let Some(address) = wanted.tcp {
            let listener = streams::Listener::bind(address, None).await?;
            sockets.bound.tcp = Some(listener.local());
            sockets
                .tasks
                .spawn_lasting(listener.accept(sockets.events.clone()));
        }
        if let (Some(address), Some(identity)) = (wanted.tls, &tls.listener) {
            let acceptor = tls::acceptor(identity, tls)?;
            let listener = streams::Listener::bind(address, Some(acceptor)).await?;
            sockets.bound.tls = Some(listener.local());
            sockets
                .tasks
                .spawn_lasting(listener.accept(sockets.events.clone()));
        }
        Ok((sockets, receiver))
    }

    /// The addresses that are bound.
    #[must_use]
    pub fn bound(&self) -> &ListenAddresses {
        &self.bound
    }

    /// Sends a datagram. One that the kernel has no room for is lost, as on any network; SIP's
    /// timers send it again.
    pub fn send_datagram(&self, remote: SocketAddr, payload: &[u8]) {
        match &self.udp {
            Some(port) => port.send(remote, payload),
            None => tracing::warn!(%remote, "no UDP listen address is configured: not sent"),
        }
    }

    /// Connects to a peer, by TLS in the name of `identity`, and asks for `websocket_path` where the
    /// transport is a WebSocket; [`SocketEvent::Opened`] or [`SocketEvent::Closed`] follows.
    pub fn open(
        &mut self,
        flow: FlowId,
        transport: Transport,
        remote: SocketAddr,
        server_name: String,
        identity: Option<&AccountName>,
        websocket_path: Option<String>,
    ) {
        let (outgoing, queue) = mpsc::channel(STREAM_QUEUE);
        let destination = Destination {
            remote,
            server_name,
            connector: transport
                .is_protected()
                .then(|| self.connectors.of(identity)),
            websocket_path,
        };
        let connection = streams::connect(flow, destination, queue, self.events.clone());
        let task = self.tasks.spawn_passing(connection);
        self.streams.insert(flow, Stream { outgoing, task });
    }

    /// Starts an accepted stream under the identity that the endpoint gave it.
    pub fn adopt(&mut self, flow: FlowId, accepted: AcceptedStream) {
        let (outgoing, queue) = mpsc::channel(STREAM_QUEUE);
        let task = self
            .tasks
            .spawn_passing(accepted.run(flow, queue, self.events.clone()));
        self.streams.insert(flow, Stream { outgoing, task });
    }

    /// Sends bytes on a stream.
    ///
    /// # Errors
    /// The stream is closed, or its peer does not read and the queue is full: the stream is cut
    /// off, and no [`SocketEvent::Closed`] follows.
    pub fn send_stream(&mut self, flow: FlowId, payload: Bytes) -> io::Result<()> {
        self.hand_on(flow, ToPeer::Bytes(payload))
    }

    /// Asks for a sign of life by a WebSocket's Ping frame; [`SocketEvent::Ponged`] follows.
    ///
    /// # Errors
    /// As [`Self::send_stream`].
    pub fn ping_websocket(&mut self, flow: FlowId) -> io::Result<()> {
        self.hand_on(flow, ToPeer::Ping)
    }

    fn hand_on(&mut self, flow: FlowId, what: ToPeer) -> io::Result<()> {
        let Some(stream) = self.streams.get(&flow) else {
            return Err(io::Error::from(io::ErrorKind::NotConnected));
        };
        let result = stream.outgoing.try_send(what);
        result.map_err(|error| {
            self.cut_off(flow);
            match error {
                mpsc::error::TrySendError::Full(_) => io::Error::from(io::ErrorKind::WouldBlock),
                mpsc::error::TrySendError::Closed(_) => io::Error::from(io::ErrorKind::BrokenPipe),
            }
        })
    }

    /// Closes a stream after what is queued for it was written.
    pub fn close(&mut self, flow: FlowId) {
        // Dropping the sender ends the stream's task once its queue is empty.
        self.streams.remove(&flow);
    }

    /// Forgets a stream that has reported its end.
    pub fn forget(&mut self, flow: FlowId) {
        self.close(flow);
    }

    fn cut_off(&mut self, flow: FlowId) {
        if let Some(stream) = self.streams.remove(&flow) {
            stream.task.abort();
        }
    }

    /// Waits until the task of a socket breaks, or a listening one ends. May be dropped and called
    /// again; it also forgets the tasks of closed streams.
    pub async fn unexpected_end(&mut self) {
        self.tasks.unexpected_end().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A test that waits longer than this has failed.
    const LIMIT: Duration = Duration::from_secs(10);

    /// Sockets whose events nobody takes: a task ends with the first thing that comes in.
    async fn forlorn_sockets(wanted: ListenAddresses) -> SipSockets {
        let tls = TlsSettings::default();
        let (sockets, _) = SipSockets::listen(&wanted, &tls).await.unwrap();
        sockets
    }

    fn loopback() -> Option<SocketAddr> {
        Some(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    async fn notices_an_end(mut sockets: SipSockets) -> bool {
        let noticed = tokio::time::timeout(LIMIT, sockets.unexpected_end());
        noticed.await.is_ok()
    }

    #[tokio::test]
    async fn a_datagram_socket_whose_task_ends_is_noticed() {
        let wanted = ListenAddresses {
            udp: loopback(),
            ..ListenAddresses::default()
        };
        let sockets = forlorn_sockets(wanted).await;
        let peer = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = sockets.bound().udp.unwrap();
        peer.send_to(b"OPTIONS", port).await.unwrap();
        assert!(notices_an_end(sockets).await);
    }

    #[tokio::test]
    async fn a_listener_whose_task_ends_is_noticed() {
        let wanted = ListenAddresses {
            tcp: loopback(),
            ..ListenAddresses::default()
        };
        let sockets = forlorn_sockets(wanted).await;
        let port = sockets.bound().tcp.unwrap();
        let _peer = tokio::net::TcpStream::connect(port).await.unwrap();
        assert!(notices_an_end(sockets).await);
    }
}
