//! What the sockets of floors have to say to the driver.

use bytes::Bytes;
use room::ids::LegId;
use sip::endpoint::FloorChannelEnd;
use tokio::sync::mpsc;

/// Events of all legs that wait for the endpoint. A datagram that finds no place is dropped, as the
/// network might have done; a connection waits, and so does its peer.
pub(super) const QUEUE: usize = 64;

/// Something that a socket of a leg's floor saw.
#[derive(Debug, PartialEq, Eq)]
pub struct FloorEvent {
    /// The leg.
    pub leg: LegId,
    /// What it was.
    pub what: FloorInput,
}

/// What a socket of a floor saw. Nothing of what came has been looked at.
#[derive(Debug, PartialEq, Eq)]
pub enum FloorInput {
    /// A datagram from the peer.
    Datagram(Bytes),
    /// Something of a connection.
    Connection {
        /// Which one of the session it is: another may have been agreed meanwhile.
        number: u32,
        /// What it was.
        what: ConnectionInput,
    },
}

/// What a connection of a floor saw.
#[derive(Debug, PartialEq, Eq)]
pub enum ConnectionInput {
    /// It stands; over TLS the peer has shown the agreed certificate.
    Opened,
    /// Bytes from the peer, at least one.
    Received(Bytes),
    /// It ended, or could not be made.
    Ended(FloorChannelEnd),
}

/// The way of events from the sockets of all floors to their reader.
#[must_use]
pub fn floor_events() -> (mpsc::Sender<FloorEvent>, mpsc::Receiver<FloorEvent>) {
    mpsc::channel(QUEUE)
}
