//! The TCP connections of one guest's leg.
//!
//! Whoever knows the leg's name of ICE may open some; the leg finds out by the password whether it is the browser. The
//! leg opens others itself, where the browser listens. One that has ended is forgotten: ICE learns of it by silence, and
//! who wants another opens it.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;
use std::time::Instant;

use webrtc::{DatagramKind, Protocol, Received, Transmit};

use super::active_connections::{ActiveConnections, is_active};
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
    active: ActiveConnections,
    connections: Vec<TcpConnection>,
    /// The browser's addresses of those that are closed, until somebody asks.
    closed: Vec<SocketAddr>,
    /// Where the next look at them begins.
    next: usize,
}

impl TcpConnections {
    /// None yet.
    pub(super) fn new(port: &TcpPort) -> Self {
        Self {
            port: port.clone(),
            arriving: None,
            active: ActiveConnections::new(port.attempts().clone()),
            connections: Vec::new(),
            closed: Vec::new(),
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
        let is_lost = |connection: &mut TcpConnection| {
            let (local, _) = connection.path();
            !addresses.contains(&local.ip())
        };
        let lost = self.connections.extract_if(.., is_lost);
        self.closed
            .extend(lost.map(|connection| connection.path().1));
        self.active.retain(addresses);
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
            while let Poll::Ready(connection) = self.active.poll_next(context) {
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
                self.close(index);
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
        let was_answered = connection.is_answered();
        let advanced = connection.advance(|payload| {
            take(Received {
                protocol: Protocol::Tcp,
                source,
                destination,
                payload,
            });
        });
        if connection.is_answered() && !was_answered {
            self.active.answered(source);
        }
        if let Err(error) = advanced {
            tracing::debug!(%source, %error, "a connection for media of a guest is over");
            self.close(index);
        }
    }

    fn close(&mut self, index: usize) {
        let (_, remote) = self.connections.remove(index).path();
        self.closed.push(remote);
    }

    /// The browser's addresses of those that are closed since this was asked last.
    pub(super) fn take_closed(&mut self) -> Vec<SocketAddr> {
        std::mem::take(&mut self.closed)
    }

    /// Sends a datagram by the connection between the addresses that it names. A check of ICE opens one, where the
    /// browser listens.
    ///
    /// # Errors
    /// There is none, or it takes nothing just now.
    pub(super) fn send(&mut self, datagram: &Transmit) -> io::Result<()> {
        let path = (datagram.source, datagram.destination);
        let mut connections = self.connections.iter_mut();
        if let Some(connection) = connections.find(|connection| connection.path() == path) {
            return connection.send(&datagram.payload);
        }
        if !is_active(datagram.source) || datagram.kind != DatagramKind::Connectivity {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        let ours = self.connections.iter();
        let open = ours.filter(|connection| is_active(connection.path().0));
        let (now, open) = (Instant::now(), open.count());
        self.active.connect(now, path, &datagram.payload, open)
    }
}

#[cfg(test)]
mod tests;
