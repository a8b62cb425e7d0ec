//! Transports, flows and where a message goes. The sockets themselves are the caller's.

use std::fmt;
use std::net::SocketAddr;

use crate::transaction::Reliability;

/// How SIP messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams in the clear.
    Udp,
    /// A byte stream in the clear.
    Tcp,
    /// TLS over TCP, the certificate checked by the caller.
    Tls,
    /// Messages of a WebSocket in the clear (RFC 7118). Only as a client: nobody can connect to us.
    Ws,
    /// The same over TLS.
    Wss,
}

impl Transport {
    /// The name in a Via header field (RFC 3261 section 20.42).
    #[must_use]
    pub const fn via_name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// The value of a URI's `transport` parameter; WebSockets have one, however they are protected
    /// (RFC 7118 section 5.2.3).
    #[must_use]
    pub const fn uri_parameter(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws | Self::Wss => "ws",
        }
    }

    /// The transport that a `transport` parameter names, in any case; a WebSocket in the clear where it
    /// does not say `wss`, as some write.
    #[must_use]
    pub fn from_uri_parameter(value: &str) -> Option<Self> {
        if value.eq_ignore_ascii_case("wss") {
            return Some(Self::Wss);
        }
        [Self::Udp, Self::Tcp, Self::Tls, Self::Ws]
            .into_iter()
            .find(|transport| value.eq_ignore_ascii_case(transport.uri_parameter()))
    }

    /// 5061 with TLS, 80 and 443 with WebSockets, otherwise 5060.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    /// Whether nobody on the way can read along, and the server has proven its name.
    #[must_use]
    pub const fn is_protected(self) -> bool {
        match self {
            Self::Udp | Self::Tcp | Self::Ws => false,
            Self::Tls | Self::Wss => true,
        }
    }

    /// Whether each message travels by itself in a WebSocket.
    #[must_use]
    pub const fn is_websocket(self) -> bool {
        match self {
            Self::Udp | Self::Tcp | Self::Tls => false,
            Self::Ws | Self::Wss => true,
        }
    }

    /// Whether transactions must repeat what is lost.
    #[must_use]
    pub const fn reliability(self) -> Reliability {
        match self {
            Self::Udp => Reliability::Unreliable,
            Self::Tcp | Self::Tls | Self::Ws | Self::Wss => Reliability::Reliable,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.via_name())
    }
}

/// One connection, unique for the life of the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId(pub(crate) u64);

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flow {}", self.0)
    }
}

/// What the caller knows of a connection once it is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// TCP, TLS or a WebSocket.
    pub transport: Transport,
    /// Our end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// The DNS names that the other end's certificate was verified for. For a connection that we
    /// opened: the server name asked for. For an incoming one: the names of a verified client
    /// certificate, or none.
    pub verified_names: Vec<String>,
}

impl StreamInfo {
    /// A connection without a verified name.
    #[must_use]
    pub const fn new(transport: Transport, local: SocketAddr, remote: SocketAddr) -> Self {
        Self {
            transport,
            local,
            remote,
            verified_names: Vec::new(),
        }
    }
}

/// Why a connection ended or did not come to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum StreamError {
    /// The other end closed it.
    #[error("closed by the other end")]
    Closed,
    /// No connection could be made: refused, unreachable or too late.
    #[error("no connection")]
    NotConnected,
    /// TLS did not accept the other end's certificate.
    #[error("certificate not accepted")]
    Certificate,
    /// It broke while open.
    #[error("broken")]
    Broken,
}

/// Where a message came from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Path {
    /// From a local to a remote UDP port.
    Datagram {
        local: SocketAddr,
        remote: SocketAddr,
    },
    /// Over a connection.
    Stream(FlowId),
}
