//! The ways of a guest's leg to the network: its own sockets, the TCP connections that its browser or the leg opens, and
//! its addresses at TURN servers.

use std::io;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use webrtc::{AddressKind, LocalAddress, Protocol, Received, Transmit};

use super::relays::{RelayNews, RelaySender};
use super::tcp_connections::TcpConnections;
use crate::media_ports::any_socket::receive;
use crate::socket_address::canonical;

/// Datagrams of one socket that are taken in together.
const RECEIVED_A_TURN: usize = 32;

/// What has come in by the sockets of a leg.
#[derive(Debug)]
pub(super) enum Arrival {
    /// Datagrams wait at one of the sockets, of which this is the first.
    Datagrams {
        socket: usize,
        first: io::Result<(usize, SocketAddr)>,
    },
    /// A TCP connection has something to do.
    Connection(usize),
    /// A TURN server relays a datagram of `source` to our address there.
    Relayed {
        destination: SocketAddr,
        source: SocketAddr,
        payload: Bytes,
    },
    /// The leg has another address from now on.
    Opened(LocalAddress),
    /// An address of the leg is gone.
    Closed(LocalAddress),
}

/// The sockets of a leg, one for each of its addresses.
#[derive(Debug)]
pub(super) struct Sockets {
    sockets: Vec<UdpSocket>,
    addresses: Vec<SocketAddr>,
    /// Where the next look at them begins.
    next: usize,
    /// `None` where no media goes by TCP.
    tcp: Option<TcpConnections>,
    /// Of the router that forwards our ports.
    public_addresses: Vec<IpAddr>,
    relays: mpsc::Receiver<RelayNews>,
    relayed: Vec<(LocalAddress, RelaySender)>,
}

impl Sockets {
    pub(super) fn new(
        sockets: Vec<UdpSocket>,
        tcp: Option<TcpConnections>,
        public_addresses: Vec<IpAddr>,
        relays: mpsc::Receiver<RelayNews>,
    ) -> Self {
        let (sockets, addresses) = sockets
            .into_iter()
            // Only a socket that the system has taken away has no address.
            .filter_map(|socket| {
                let address = socket.local_addr().ok()?;
                Some((socket, address))
            })
            .unzip();
        Self {
            sockets,
            addresses,
            next: 0,
            tcp,
            public_addresses,
            relays,
            relayed: Vec::new(),
        }
    }

    /// The addresses of the sockets.
    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// All at which the browser may reach the leg.
    pub(super) fn local(&self) -> Vec<LocalAddress> {
        let own = self.addresses.iter();
        let own = own.flat_map(|address| self.local_at(*address));
        let relayed = self.relayed.iter().map(|(address, _)| *address);
        own.chain(relayed).collect()
    }

    /// What the browser reaches at the machine's address of a socket, and at a router that forwards ports to that.
    fn local_at(&self, address: SocketAddr) -> Vec<LocalAddress> {
        let port = self.tcp.as_ref().map(TcpConnections::port);
        let tcp = port.map(|port| SocketAddr::new(address.ip(), port));
        let tcp = tcp.map(LocalAddress::tcp_passive);
        let mut local: Vec<_> = std::iter::once(LocalAddress::udp(address))
            .chain(tcp)
            .collect();
        // Nobody beyond a router means this machine's loopback.
        let mut public = self.public_addresses.iter();
        let is_same_version = |public: &&IpAddr| public.is_ipv4() == address.is_ipv4();
        if let Some(public) = public.find(is_same_version)
            && !address.ip().is_loopback()
        {
            for index in 0..local.len() {
                let base = local[index].address;
                local.push(LocalAddress {
                    address: SocketAddr::new(*public, base.port()),
                    kind: AddressKind::ServerReflexive { base },
                    ..local[index]
                });
            }
        }
        // From loopback only this machine's own services could be reached, for a guest who may come through a proxy.
        if self.tcp.is_some() && !address.ip().is_loopback() {
            local.push(LocalAddress::tcp_active(address.ip()));
        }
        local
    }

    /// Who is awaited by TCP is addressed to this name of ICE from now on.
    pub(super) fn set_ufrag(&mut self, ufrag: &str) {
        if let Some(tcp) = &mut self.tcp {
            tcp.set_ufrag(ufrag);
        }
    }

    /// Whether what is to go from one of our addresses to one of the browser's waits for a connection that takes
    /// nothing just now.
    pub(super) fn is_full(&self, path: (SocketAddr, SocketAddr)) -> bool {
        let tcp = self.tcp.as_ref();
        tcp.is_some_and(|tcp| tcp.is_full(path))
    }

    /// Takes in another socket, and gives what the browser reaches with it.
    pub(super) fn add(&mut self, socket: UdpSocket) -> Vec<LocalAddress> {
        let Ok(address) = socket.local_addr() else {
            return Vec::new();
        };
        self.sockets.push(socket);
        self.addresses.push(address);
        self.local_at(address)
    }

    /// Closes those at other addresses than these, and gives theirs. What servers relay to them they get at
    /// another address.
    pub(super) fn retain(&mut self, addresses: &[IpAddr]) -> Vec<LocalAddress> {
        let mut closed = Vec::new();
        for index in (0..self.addresses.len()).rev() {
            if !addresses.contains(&self.addresses[index].ip()) {
                let address = self.addresses.remove(index);
                closed.extend(self.local_at(address));
                self.sockets.remove(index);
            }
        }
        self.next = 0;
        if let Some(tcp) = &mut self.tcp {
            tcp.retain(addresses);
        }
        let is_gone = |address: &LocalAddress| match address.kind {
            AddressKind::Relayed { local } => !addresses.contains(&local.ip()),
            AddressKind::Host | AddressKind::TcpActive | AddressKind::ServerReflexive { .. } => {
                false
            }
        };
        closed.extend(self.renew(is_gone));
        closed
    }

    /// Asks the servers for other addresses than those that they have given, which are gone then.
    pub(super) fn renew_relayed(&mut self) -> Vec<LocalAddress> {
        self.renew(|_| true)
    }

    fn renew(&mut self, is_gone: impl Fn(&LocalAddress) -> bool) -> Vec<LocalAddress> {
        // A relay whose sender is dropped begins anew.
        let gone = self.relayed.extract_if(.., |(address, _)| is_gone(address));
        gone.map(|(address, _)| address).collect()
    }

    /// Waits for something to come in. May be dropped and called again: nothing is lost.
    pub(super) async fn receive(&mut self, buffer: &mut [u8]) -> Arrival {
        loop {
            let tcp = async {
                match &mut self.tcp {
                    Some(tcp) => tcp.ready().await,
                    None => std::future::pending().await,
                }
            };
            let news = tokio::select! {
                (socket, first) = receive(&self.sockets, &mut self.next, buffer) => {
                    return Arrival::Datagrams { socket, first };
                }
                connection = tcp => return Arrival::Connection(connection),
                Some(news) = self.relays.recv() => news,
            };
            match news {
                RelayNews::Opened { address, sender } => {
                    self.relayed.push((address, sender));
                    return Arrival::Opened(address);
                }
                RelayNews::Received {
                    destination,
                    source,
                    payload,
                } => {
                    return Arrival::Relayed {
                        destination,
                        source,
                        payload,
                    };
                }
                RelayNews::Closed(address) => {
                    let known = self.relayed.len();
                    self.relayed.retain(|(other, _)| *other != address);
                    if self.relayed.len() < known {
                        return Arrival::Closed(address);
                    }
                }
            }
        }
    }

    /// Gives `take` the datagrams that wait at a socket, of which the first is there already.
    ///
    /// # Errors
    /// An ICMP error of an earlier send, say.
    pub(super) fn take_burst(
        &self,
        socket: usize,
        first: io::Result<(usize, SocketAddr)>,
        buffer: &mut [u8],
        mut take: impl FnMut(Received<'_>),
    ) -> io::Result<()> {
        let mut received = first;
        for _ in 0..RECEIVED_A_TURN {
            match received {
                Ok((length, source)) => take(Received {
                    protocol: Protocol::Udp,
                    source: canonical(source),
                    destination: self.addresses[socket],
                    payload: &buffer[..length],
                }),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            received = self.sockets[socket].try_recv_from(buffer);
        }
        Ok(())
    }

    /// Sends by a TCP connection what waits for it, and gives `take` what has come by it.
    pub(super) fn advance_connection(&mut self, connection: usize, take: impl FnMut(Received<'_>)) {
        if let Some(tcp) = &mut self.tcp {
            tcp.advance(connection, take);
        }
    }

    /// The browser's addresses of TCP connections that are closed since this was asked last.
    pub(super) fn take_closed_connections(&mut self) -> Vec<SocketAddr> {
        let tcp = self.tcp.as_mut();
        tcp.map_or_else(Vec::new, TcpConnections::take_closed)
    }

    /// Sends a datagram from the address that it names.
    ///
    /// # Errors
    /// There is no such address, or it takes nothing just now.
    pub(super) fn send(&mut self, datagram: &Transmit) -> io::Result<()> {
        if datagram.protocol == Protocol::Tcp {
            let tcp = self.tcp.as_mut().ok_or(io::ErrorKind::AddrNotAvailable)?;
            return tcp.send(datagram);
        }
        let own = self.addresses.iter();
        if let Some(index) = own.clone().position(|ours| *ours == datagram.source) {
            let sent = self.sockets[index].try_send_to(&datagram.payload, datagram.destination);
            return sent.map(|_| ());
        }
        let mut relayed = self.relayed.iter();
        let relay = relayed.find(|(address, _)| address.address == datagram.source);
        let (_, sender) = relay.ok_or(io::ErrorKind::AddrNotAvailable)?;
        let payload = (datagram.destination, datagram.payload.clone());
        sender
            .try_send(payload)
            .map_err(|_| io::ErrorKind::WouldBlock.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_router_that_forwards_our_ports_is_told_beside_our_own_address() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let public = ["203.0.113.7", "2001:db8::7"].map(|address| address.parse().unwrap());
        let (_news, relays) = mpsc::channel(1);
        let sockets = Sockets::new(vec![socket], None, public.into(), relays);
        let told = |address: &str| {
            let local = sockets.local_at(address.parse().unwrap());
            let local = local.iter().map(|local| match local.kind {
                AddressKind::ServerReflexive { base } => format!("{} <- {base}", local.address),
                AddressKind::Host | AddressKind::TcpActive | AddressKind::Relayed { .. } => {
                    local.address.to_string()
                }
            });
            local.collect::<Vec<_>>()
        };
        assert_eq!(
            told("10.0.0.7:5000"),
            ["10.0.0.7:5000", "203.0.113.7:5000 <- 10.0.0.7:5000"]
        );
        assert_eq!(
            told("[fd00::7]:5000"),
            ["[fd00::7]:5000", "[2001:db8::7]:5000 <- [fd00::7]:5000"]
        );
        assert_eq!(told("127.0.0.1:5000"), ["127.0.0.1:5000"]);
    }
}
