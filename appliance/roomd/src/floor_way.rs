//! Where the floor control of a leg goes, as its call has agreed (RFC 8856).
//!
//! Pure: the owner of the socket asks it, and so does the simulation. Datagrams only: a floor that
//! was agreed over a connection has no way here.

use std::net::SocketAddr;

use sip::offer_answer::{CallMedia, FloorConnection, FloorControlRole, FloorIds};

/// The way of one leg's floor control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloorWay {
    /// The numbers of the peer's server, and of ours.
    servers: (Option<FloorIds>, Option<FloorIds>),
    /// The peer's BFCP port, or `None` while it names no address.
    pub remote: Option<SocketAddr>,
}

impl FloorWay {
    /// The way that was agreed, if floor control was, over datagrams.
    #[must_use]
    pub fn agreed(media: &CallMedia) -> Option<Self> {
        let control = media.floor_control()?;
        let FloorConnection::Udp { remote } = control.connection else {
            return None;
        };
        let servers = match control.role {
            FloorControlRole::Client(theirs) => (Some(theirs), None),
            FloorControlRole::Server(ours) => (None, Some(ours)),
            FloorControlRole::Both { client, server, .. } => (Some(client), Some(server)),
        };
        Some(Self { servers, remote })
    }

    /// Whether the floor is still that of `before`, wherever its messages go. If not, the endpoint
    /// has made it anew and is to be told that its way is open.
    #[must_use]
    pub fn continues(&self, before: Option<&Self>) -> bool {
        before.is_some_and(|before| before.servers == self.servers)
    }

    /// Whether a datagram from there is the peer's.
    #[must_use]
    pub fn is_from_peer(&self, from: SocketAddr) -> bool {
        self.remote == Some(from)
    }
}
