//! The negotiated stream of a socket: from whom it is taken, and by which keys.

use std::net::SocketAddr;

use room::codec::{RtcpPort, SrtpKey, SrtpKeys};
use webrtc::secure_transport::DtlsParameters;

use super::route::{Keying, MediumRoute};
use crate::media_ports::address_latch::AddressLatch;
use crate::srtp_authenticator::SrtpAuthenticator;

/// The negotiated stream of a socket.
pub(super) struct Stream {
    pub(super) negotiated: SocketAddr,
    /// Whether RTCP travels here as well.
    pub(super) rtcp_port: RtcpPort,
    pub(super) keying: Keying,
    /// Whence it is taken, where ICE does not say it.
    pub(super) latch: AddressLatch,
    pub(super) protection: StreamProtection,
}

/// What is known of a stream's keys.
pub(super) enum StreamProtection {
    /// It has none.
    Plain,
    /// The handshake is not over: nothing passes.
    Awaiting,
    Secured {
        /// The key of what the peer sends.
        remote: SrtpKey,
        authenticator: Box<SrtpAuthenticator>,
    },
}

impl StreamProtection {
    /// The protection after `previous`. While the peer's key stays, its packet counters go on, and
    /// with them the authenticator: a new one would not know how often they have wrapped.
    fn secured(key: &SrtpKey, previous: Option<Self>) -> Self {
        match previous {
            Some(Self::Secured {
                remote,
                authenticator,
            }) if remote == *key => Self::Secured {
                remote,
                authenticator,
            },
            Some(Self::Secured { .. } | Self::Awaiting | Self::Plain) | None => Self::Secured {
                remote: key.clone(),
                authenticator: Box::new(SrtpAuthenticator::new(key)),
            },
        }
    }
}

impl Stream {
    /// The stream after `previous`.
    pub(super) fn new(negotiated: SocketAddr, route: &MediumRoute, previous: Option<Self>) -> Self {
        let keying = route.keying.clone();
        let before = previous.map(|previous| (previous.keying, previous.protection));
        let protection = match &keying {
            Keying::Plain => StreamProtection::Plain,
            Keying::Sdes(keys) => {
                let before = before.map(|(_, protection)| protection);
                StreamProtection::secured(&keys.remote, before)
            }
            // What the same handshake has yielded goes on.
            Keying::DtlsSrtp(_) => before
                .filter(|(before, _)| *before == keying)
                .map_or(StreamProtection::Awaiting, |(_, protection)| protection),
        };
        Self {
            negotiated,
            rtcp_port: route.rtcp_port,
            keying,
            latch: AddressLatch::new(negotiated),
            protection,
        }
    }

    pub(super) fn is_for(&self, negotiated: SocketAddr, route: &MediumRoute) -> bool {
        self.negotiated == negotiated
            && self.rtcp_port == route.rtcp_port
            && self.keying == route.keying
    }

    /// The handshake has yielded its keys.
    pub(super) fn secure(&mut self, parameters: DtlsParameters, keys: &SrtpKeys) {
        if self.keying == Keying::DtlsSrtp(parameters) {
            self.protection = StreamProtection::secured(&keys.remote, None);
        }
    }
}
