//! Where the floor control of a leg goes, as its call has agreed (RFC 8856).
//!
//! Pure: the owner of the sockets asks it, and so does the simulation.

use std::net::SocketAddr;

use sip::offer_answer::{
    CallMedia, Fingerprint, FloorConnection, FloorControlRole, FloorIds, TcpSetup,
};

/// The way of one leg's floor control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloorWay {
    /// The numbers of the peer's server, and of ours.
    servers: (Option<FloorIds>, Option<FloorIds>),
    /// Over datagrams: the peer's BFCP port, or `None` while it names no address.
    pub remote: Option<SocketAddr>,
    /// The connection, where there is to be one.
    pub stream: Option<StreamWay>,
}

/// A connection of a leg's floor control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamWay {
    /// Which one of the session it is.
    pub number: u32,
    /// Who connects.
    pub setup: TcpSetup,
    /// Where to connect to; where we listen, only the IP address says something. `None` while the
    /// peer names none.
    pub remote: Option<SocketAddr>,
    /// Over TLS: the certificate that the peer has to show.
    pub certificate: Option<Fingerprint>,
}

impl FloorWay {
    /// The way that was agreed, if floor control was.
    #[must_use]
    pub fn agreed(media: &CallMedia) -> Option<Self> {
        let control = media.floor_control()?;
        let servers = match control.role {
            FloorControlRole::Client(theirs) => (Some(theirs), None),
            FloorControlRole::Server(ours) => (None, Some(ours)),
            FloorControlRole::Both { client, server, .. } => (Some(client), Some(server)),
        };
        let (remote, stream) = match control.connection {
            FloorConnection::Udp { remote } => (remote, None),
            FloorConnection::Tcp {
                remote,
                setup,
                number,
                certificate,
            } => {
                let stream = StreamWay {
                    number,
                    setup,
                    remote,
                    certificate,
                };
                (None, Some(stream))
            }
        };
        Some(Self {
            servers,
            remote,
            stream,
        })
    }

    /// Whether the floor is still that of `before`, wherever its messages go. If not, the endpoint
    /// has made it anew and is to be told that its way is open.
    #[must_use]
    pub fn continues(&self, before: Option<&Self>) -> bool {
        before.is_some_and(|before| {
            before.servers == self.servers && before.stream.is_some() == self.stream.is_some()
        })
    }

    /// Whether a datagram from there is the peer's.
    #[must_use]
    pub fn is_from_peer(&self, from: SocketAddr) -> bool {
        self.remote == Some(from)
    }
}
