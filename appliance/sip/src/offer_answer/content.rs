//! Content sharing: a second video stream for slides, and who may send it (RFC 4796, RFC 8856).

use std::net::SocketAddr;

use room::media_plan::VideoStream;

use super::capability::{LocalPort, RemotePort};
use super::dtls_line::DtlsSrtp;
use super::fingerprint::Fingerprint;
use super::ice_line::IceStream;
use crate::bfcp::{ConferenceId, FloorId, UserId};

/// Whether slides are offered and taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ContentSharing {
    /// Neither: lines of slides and of floor control are refused.
    #[default]
    Off,
    /// Both, where there are ports for it.
    On,
}

/// What BFCP travels over (RFC 8856 section 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BfcpTransport {
    /// Datagrams, which most systems speak, in the clear.
    #[default]
    Udp,
    /// A connection in the clear.
    Tcp,
    /// A connection over TLS, with certificates that the session descriptions name.
    Tls,
}

/// The bound ports of content sharing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentPorts {
    /// The slides.
    pub slides: LocalPort,
    /// BFCP over UDP.
    pub bfcp_udp: u16,
    /// What is to be had of BFCP over TCP.
    pub bfcp_tcp: BfcpTcp,
    /// The certificate that we show over TLS, or `None` to take no BFCP over TLS.
    pub certificate: Option<Fingerprint>,
}

/// Which connections of floor control we can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BfcpTcp {
    /// None: a line over TCP or TLS is refused, so that the peer keeps to one over UDP.
    Off,
    /// To the peer's listening socket only.
    Connect,
    /// To the peer's, or from it to this port of ours.
    Listen(u16),
}

/// The slides that were agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentMedia {
    /// The stream. Who has the floor sends.
    pub stream: VideoStream,
    /// Where the peer wants it, or `None` while it names no address.
    pub remote: Option<RemotePort>,
    /// By which handshake it gets its keys; `None` where the description has them, or there are none.
    pub dtls: Option<DtlsSrtp>,
    /// How it finds its way; `None` where it goes to `remote`.
    pub ice: Option<IceStream>,
    /// How it is settled who sends, or `None` where the peer agreed on nothing.
    pub floor_control: Option<FloorControlMedia>,
}

/// Floor control as it was agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloorControlMedia {
    /// Which part is ours.
    pub role: FloorControlRole,
    /// How messages travel.
    pub connection: FloorConnection,
}

/// Our part in floor control, with the numbers that the server of it has given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloorControlRole {
    /// We ask the peer's server.
    Client(FloorIds),
    /// The peer asks our server.
    Server(FloorIds),
    /// Each asks the other's server (`c-s`).
    Both {
        /// Given out by the peer.
        client: FloorIds,
        /// Given out by us.
        server: FloorIds,
        /// Who gets the floor when both ask at once: whoever offered this session first.
        first: FirstChoice,
    },
}

/// Who comes first when both ends ask at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FirstChoice {
    /// We.
    Us,
    /// The peer.
    Peer,
}

/// The numbers of one floor and one of its users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FloorIds {
    /// `a=confid`.
    pub conference: ConferenceId,
    /// `a=userid`: the client.
    pub user: UserId,
    /// `a=floorid`.
    pub floor: FloorId,
}

/// How messages of floor control travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloorConnection {
    /// By datagrams from our UDP port.
    Udp {
        /// The peer's port, or `None` while it names no address.
        remote: Option<SocketAddr>,
    },
    /// Over a connection.
    Tcp {
        /// The peer's address. Where we listen, only its IP address says something.
        remote: Option<SocketAddr>,
        /// Who connects.
        setup: TcpSetup,
        /// Which connection of this session it is, counted from 0: another number is a new
        /// connection in place of the one before (`a=connection`, RFC 4145 section 5).
        number: u32,
        /// Over TLS: the certificate that the peer has to show.
        certificate: Option<Fingerprint>,
    },
}

impl FloorConnection {
    /// Which connection of the session it is, where it is one.
    #[must_use]
    pub const fn number(&self) -> Option<u32> {
        match self {
            Self::Udp { .. } => None,
            Self::Tcp { number, .. } => Some(*number),
        }
    }
}

/// Whether the agreed connection of floor control can go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum FloorLink {
    /// It stands, or is under way.
    #[default]
    Kept,
    /// It ended, or could not be made: what is agreed next is a new one.
    Lost,
}

/// Who opens a connection (RFC 4145).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TcpSetup {
    /// We connect to the peer.
    Active,
    /// We listen.
    Passive,
}
