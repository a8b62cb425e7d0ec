//! What the transports of legs have to say to the driver: what comes of DTLS handshakes and of
//! ICE, and what congestion control finds.

use std::net::SocketAddr;

use super::leg_congestion::CongestionEvent;
use media::Medium;
use room::codec::SrtpKeys;
use room::ids::LegId;
use tokio::sync::mpsc;
use webrtc::secure_transport::{DtlsFailure, DtlsParameters, IceFailure};

/// Something has happened between a leg's ports and its peer.
#[derive(Debug, PartialEq, Eq)]
pub enum TransportEvent {
    /// A handshake is over.
    Handshake(HandshakeEvent),
    /// ICE has found the way of a stream, or lost it.
    Path(PathEvent),
    /// Congestion control has found something.
    Congestion(CongestionEvent),
}

/// A handshake is over.
#[derive(Debug, PartialEq, Eq)]
pub struct HandshakeEvent {
    /// The leg.
    pub leg: LegId,
    /// Whose keys it was to yield.
    pub medium: Medium,
    /// Which one it was: another may have been agreed meanwhile.
    pub parameters: DtlsParameters,
    /// What came of it.
    pub outcome: HandshakeOutcome,
}

/// What came of a handshake.
#[derive(Debug, PartialEq, Eq)]
pub enum HandshakeOutcome {
    /// The keys of the stream.
    Keys(SrtpKeys),
    /// There are none.
    Failed(DtlsFailure),
}

/// ICE has found the way of a stream, or lost it. That of RTCP with a port of its own is not told: media
/// flow without.
#[derive(Debug, PartialEq, Eq)]
pub struct PathEvent {
    /// The leg.
    pub leg: LegId,
    /// Whose way it is.
    pub medium: Medium,
    /// Our username fragment of the ICE session that it was: another may have been agreed meanwhile.
    pub username_fragment: String,
    /// What came of it.
    pub outcome: PathOutcome,
}

/// What ICE says of a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathOutcome {
    /// Media go to this address of the peer.
    Selected(SocketAddr),
    /// Nothing is sent any more.
    Failed(IceFailure),
}

/// The way of events from the transports of all legs to their reader. A leg has few handshakes and ways:
/// none is to be lost.
#[must_use]
pub fn transport_events() -> (
    mpsc::UnboundedSender<TransportEvent>,
    mpsc::UnboundedReceiver<TransportEvent>,
) {
    mpsc::unbounded_channel()
}
