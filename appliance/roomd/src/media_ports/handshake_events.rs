//! What the DTLS handshakes of legs have to say to the driver.

use media::Medium;
use room::codec::SrtpKeys;
use room::ids::LegId;
use tokio::sync::mpsc;
use webrtc::secure_transport::{DtlsFailure, DtlsParameters};

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

/// The way of events from the transports of all legs to their reader. Each handshake has one, and a
/// leg has few handshakes: none is to be lost.
#[must_use]
pub fn handshake_events() -> (
    mpsc::UnboundedSender<HandshakeEvent>,
    mpsc::UnboundedReceiver<HandshakeEvent>,
) {
    mpsc::unbounded_channel()
}
