//! Addresses, and the datagrams that come in at them.

use std::net::{IpAddr, SocketAddr};

/// What stands for the port of an address from which a leg opens TCP connections (RFC 6544 section 4.5): each has
/// another, which nobody knows before.
pub const TCP_ACTIVE_PORT: u16 = 9;

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
    /// An address of this machine from which the room opens TCP connections (RFC 6544: active). What the leg sends
    /// names [`TCP_ACTIVE_PORT`] there as the source, and what comes in by such a connection names it as the
    /// destination.
    TcpActive,
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

/// An address at which the browser may reach this leg. One by TCP is passive (RFC 6544), so that the browser opens the
/// connection, unless it is [`AddressKind::TcpActive`].
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

    /// An address of this machine from which the room opens TCP connections, where the browser listens.
    #[must_use]
    pub const fn tcp_active(address: IpAddr) -> Self {
        Self {
            protocol: Protocol::Tcp,
            address: SocketAddr::new(address, TCP_ACTIVE_PORT),
            kind: AddressKind::TcpActive,
        }
    }
}

/// Whether a connection may be opened to an address that a guest names. What is asked for is not to be a port of a
/// service in this network that knows nothing of media: browsers keep to the same.
pub(crate) fn may_be_connected_to(address: SocketAddr) -> bool {
    /// The first port that anybody may listen at.
    const FIRST_UNPRIVILEGED: u16 = 1_024;
    /// What firewalls let out, where a server of media is behind it on purpose.
    const WEB: [u16; 2] = [80, 443];
    let of_one_link = match address.ip() {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast() || v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.to_ipv4_mapped().is_some(),
    };
    let is_private = match address.ip() {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback(),
    };
    let is_media_port =
        address.port() >= FIRST_UNPRIVILEGED || WEB.contains(&address.port()) && !is_private;
    !of_one_link && !address.ip().is_multicast() && !address.ip().is_unspecified() && is_media_port
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_opened_to_ports_of_media_alone() {
        for (address, may_be) in [
            ("192.168.1.7:50000", true),
            ("198.51.100.7:1024", true),
            ("198.51.100.7:443", true),
            ("[2001:db8::7]:80", true),
            ("[fd00::7]:50000", true),
            ("127.0.0.1:50000", true),
            ("198.51.100.7:25", false),
            ("192.168.1.7:443", false),
            ("127.0.0.1:80", false),
            ("[fd00::7]:80", false),
            ("198.51.100.7:9", false),
            ("198.51.100.7:0", false),
            ("0.0.0.0:50000", false),
            ("0.1.2.3:50000", false),
            ("224.0.0.251:50000", false),
            ("255.255.255.255:50000", false),
            ("169.254.1.1:50000", false),
            ("[::]:50000", false),
            ("[ff02::fb]:50000", false),
            ("[fe80::1]:50000", false),
            ("[::ffff:127.0.0.1]:50000", false),
        ] {
            let parsed: SocketAddr = address.parse().unwrap();
            assert_eq!(may_be_connected_to(parsed), may_be, "{address}");
        }
    }
}
