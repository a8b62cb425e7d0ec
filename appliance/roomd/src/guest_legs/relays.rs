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
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use config::TurnTransport;
use room::ids::LegId;
use tokio::sync::mpsc;
use tokio::time::timeout;
use webrtc::{AddressKind, LocalAddress, Protocol, Relay, RelayCredentials, RelayEnd, RelayOutput};

use crate::owned_tasks::OwnedTasks;
use crate::turn_connection::{Connection, TurnConnectionError};
use crate::turn_servers::{TurnServers, TurnWay};

/// Datagrams and word of addresses that wait for a leg. Datagrams beyond it are dropped.
const NEWS: usize = 256;

/// Datagrams of a leg that wait for its relay. Those beyond it are dropped.
const UNSENT: usize = 256;

/// What is read together, the largest UDP payload.
const READ_BYTES: usize = 65_535;

/// How long a connection, or the look-up of a name, may take.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// How long a server gets that was reached in none of its ways, doubled each time.
const SHORTEST_BACK_OFF: Duration = Duration::from_secs(5);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(300);

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
    #[error("{0}")]
    Way(#[from] TurnConnectionError),
    #[error("it takes too long")]
    TimeOut,
    #[error("the connection has failed: {0}")]
    Connection(io::Error),
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
            connected = timeout(CONNECT_TIME, Connection::open(&self.servers, way)) => connected,
            () = self.news.closed() => return Kept::LegOver,
        };
        let connection = match connected {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Kept::Never(error.into()),
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
