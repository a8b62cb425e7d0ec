//! Addresses, and the datagrams that come in at them.

use std::net::SocketAddr;

/// What carries a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// UDP.
    Udp,
    /// TCP, framed by lengths of two bytes (RFC 4571). Who owns the sockets frames, by [`length_prefix`](crate::length_prefix) and
    /// [`Deframer`](crate::Deframer).
    Tcp,
}

impl Protocol {
    /// The name in logs and clients.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }

    pub(crate) const fn of_engine(protocol: str0m::net::Protocol) -> Self {
        match protocol {
            str0m::net::Protocol::Udp => Self::Udp,
            str0m::net::Protocol::Tcp
            | str0m::net::Protocol::SslTcp
            | str0m::net::Protocol::Tls => Self::Tcp,
        }
    }

    pub(crate) const fn engine(self) -> str0m::net::Protocol {
        match self {
            Self::Udp => str0m::net::Protocol::Udp,
            Self::Tcp => str0m::net::Protocol::Tcp,
        }
    }
}

/// How one of our addresses is reached (RFC 8445 section 5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// An address of this machine.
    Host,
    /// What a NAT shows of the address `base` of this machine.
    ServerReflexive {
        /// The address of this machine.
        base: SocketAddr,
    },
    /// An address that a TURN server has given to us (RFC 8656). What the leg sends names it as the
    /// source, and what comes in by it names it as the destination.
    Relayed {
        /// The address of this machine that speaks with the server.
        local: SocketAddr,
    },
}

/// An address at which the browser may reach this leg. One by TCP is passive (RFC 6544): the browser
/// opens the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LocalAddress {
    /// What is spoken there.
    pub protocol: Protocol,
    /// The address that the browser is told.
    pub address: SocketAddr,
    /// How it is reached.
    pub kind: AddressKind,
}

impl LocalAddress {
    /// A UDP port of this machine.
    #[must_use]
    pub const fn udp(address: SocketAddr) -> Self {
        Self {
            protocol: Protocol::Udp,
            address,
            kind: AddressKind::Host,
        }
    }

    /// A TCP port of this machine, to which browsers connect.
    #[must_use]
    pub const fn tcp_passive(address: SocketAddr) -> Self {
        Self {
            protocol: Protocol::Tcp,
            address,
            kind: AddressKind::Host,
        }
    }
}

/// A datagram, or a frame of a TCP connection, that has come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// What it came by.
    pub protocol: Protocol,
    /// Who sent it.
    pub source: SocketAddr,
    /// At which of our addresses it arrived: one of those that the leg was given.
    pub destination: SocketAddr,
    /// What it carries.
    pub payload: &'a [u8],
}
