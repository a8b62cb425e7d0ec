//! The TCP connections of one guest's leg.
//!
//! Whoever knows the leg's name of ICE may open some; the leg finds out by the password whether it is the browser. One
//! that has ended is forgotten: ICE learns of it by silence, and a browser that wants another opens it.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;

use webrtc::{Protocol, Received, Transmit};

use super::tcp_connection::TcpConnection;
use super::tcp_listener::{Arriving, TcpPort};

/// Connections at a time. A browser opens one from each of its addresses to each of ours, and few of both reach
/// each other. One more takes the place of that which was silent for longest.
const MOST: usize = 8;

/// The connections that are open, and those to come.
#[derive(Debug)]
pub(super) struct TcpConnections {
    port: TcpPort,
    /// `None` as long as nobody has the leg's name of ICE.
    arriving: Option<Arriving>,
    connections: Vec<TcpConnection>,
    /// Where the next look at them begins.
    next: usize,
}

impl TcpConnections {
    /// None yet.
    pub(super) fn new(port: &TcpPort) -> Self {
        Self {
            port: port.clone(),
            arriving: None,
            connections: Vec::new(),
            next: 0,
        }
    }

    /// Their port.
    pub(super) fn port(&self) -> u16 {
        self.port.number()
    }

    /// From now on, they are addressed to this name of ICE. Those that are open stay.
    pub(super) fn set_ufrag(&mut self, ufrag: &str) {
        match &mut self.arriving {
            Some(arriving) => arriving.set_ufrag(ufrag),
            None => self.arriving = Some(self.port.await_connections(ufrag)),
        }
    }

    /// Closes those at other addresses of ours than these.
    pub(super) fn retain(&mut self, addresses: &[IpAddr]) {
        let is_ours = |connection: &TcpConnection| addresses.contains(&connection.path().0.ip());
        self.connections.retain(is_ours);
    }

    /// Whether the connection between these addresses takes nothing just now.
    pub(super) fn is_full(&self, path: (SocketAddr, SocketAddr)) -> bool {
        let mut connections = self.connections.iter();
        connections.any(|connection| connection.path() == path && connection.is_full())
    }

    /// Waits until one of them has something to do, and gives its number. May be dropped and called again.
    pub(super) async fn ready(&mut self) -> usize {
        poll_fn(|context| {
            while let Some(arriving) = &mut self.arriving
                && let Poll::Ready(connection) = arriving.poll_next(context)
            {
                self.add(connection);
            }
            for offset in 0..self.connections.len() {
                let index = (self.next + offset) % self.connections.len();
                if self.connections[index].poll_ready(context).is_ready() {
                    self.next = index + 1;
                    return Poll::Ready(index);
                }
            }
            Poll::Pending
        })
        .await
    }

    fn add(&mut self, connection: TcpConnection) {
        if self.connections.len() >= MOST {
            let known = self.connections.iter().enumerate();
            let silent = known.min_by_key(|(_, known)| known.heard_at());
            if let Some((index, _)) = silent {
                self.connections.remove(index);
            }
        }
        self.connections.push(connection);
    }

    /// Does what one of them has to do: gives `take` what has come by it.
    pub(super) fn advance(&mut self, index: usize, mut take: impl FnMut(Received<'_>)) {
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        let (destination, source) = connection.path();
        let advanced = connection.advance(|payload| {
            take(Received {
                protocol: Protocol::Tcp,
                source,
                destination,
                payload,
            });
        });
        if let Err(error) = advanced {
            tracing::debug!(%source, %error, "a connection for media of a guest is over");
            self.connections.remove(index);
        }
    }

    /// Sends a datagram by the connection between the addresses that it names.
    ///
    /// # Errors
    /// There is none, or it takes nothing just now.
    pub(super) fn send(&mut self, datagram: &Transmit) -> io::Result<()> {
        let path = (datagram.source, datagram.destination);
        let mut connections = self.connections.iter_mut();
        let connection = connections.find(|connection| connection.path() == path);
        let connection = connection.ok_or(io::ErrorKind::AddrNotAvailable)?;
        connection.send(&datagram.payload)
    }
}
