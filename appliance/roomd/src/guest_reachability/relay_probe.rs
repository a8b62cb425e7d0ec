//! One address at a TURN server, which is asked for, tried and given back.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::{interval, sleep_until, timeout};
use webrtc::{Relay, RelayCredentials, RelayEnd, RelayOutput};

use super::seen_address::SeenSocket;
use crate::turn_connection::{Connection, TurnConnectionError};

/// What is read together, the largest UDP payload.
const READ_BYTES: usize = 65_535;
/// Between two datagrams of a try: the first ones may be lost.
const TRY_INTERVAL: Duration = Duration::from_millis(200);

/// Why a probe is over before its time.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProbeError {
    #[error("{0}")]
    Connection(#[from] TurnConnectionError),
    #[error("the connection has failed: {0}")]
    Broken(#[from] io::Error),
    #[error("{0}")]
    Relay(RelayEnd),
}

/// What happens on it.
#[derive(Debug)]
enum ProbeEvent {
    Allocated(SocketAddr),
    Received(Bytes),
}

/// An address at a server, on its connection.
pub(super) struct RelayProbe {
    connection: Connection,
    relay: Relay,
    buffer: Vec<u8>,
}

impl RelayProbe {
    /// Asks for an address.
    pub(super) fn new(connection: Connection, credentials: &RelayCredentials) -> Self {
        let relay = Relay::new(
            Instant::now(),
            connection.protocol(),
            connection.local,
            connection.server,
            credentials,
        );
        Self {
            connection,
            relay,
            buffer: vec![0; READ_BYTES],
        }
    }

    /// Waits for the address.
    ///
    /// # Errors
    /// There will be none.
    pub(super) async fn allocated(&mut self) -> Result<SocketAddr, ProbeError> {
        loop {
            if let ProbeEvent::Allocated(address) = self.next().await? {
                return Ok(address);
            }
        }
    }

    /// Sends a word to the address until it comes: from a socket of ours that the server sees, or by the relay itself.
    ///
    /// # Errors
    /// The address is gone.
    pub(super) async fn hears(
        &mut self,
        address: SocketAddr,
        word: &[u8],
        from: Option<&SeenSocket>,
    ) -> Result<(), ProbeError> {
        let mut ticks = interval(TRY_INTERVAL);
        loop {
            tokio::select! {
                event = self.next() => {
                    if let ProbeEvent::Received(payload) = event?
                        && payload == word
                    {
                        return Ok(());
                    }
                }
                _ = ticks.tick() => {
                    // The server lets nobody in whom nothing was sent to.
                    let peer = from.map_or(address, |from| from.seen);
                    self.relay.send(Instant::now(), peer, word);
                    if let Some(from) = from {
                        // What does not leave does not come, which is what is looked for.
                        let _ = from.socket.try_send_to(word, address);
                    }
                }
            }
        }
    }

    /// Waits for something to happen. May be dropped and called again: nothing is lost.
    async fn next(&mut self) -> Result<ProbeEvent, ProbeError> {
        loop {
            while let Some(output) = self.relay.poll_output() {
                match output {
                    RelayOutput::Transmit(message) => self.connection.send(&message)?,
                    RelayOutput::Received { payload, .. } => {
                        return Ok(ProbeEvent::Received(payload));
                    }
                    RelayOutput::Allocated(address) => return Ok(ProbeEvent::Allocated(address)),
                    RelayOutput::Closed(end) => return Err(ProbeError::Relay(end)),
                }
            }
            let now = Instant::now();
            let due = self.relay.next_deadline().unwrap_or(now);
            tokio::select! {
                received = self.connection.receive(&mut self.buffer) => {
                    let length = received?;
                    self.relay.receive(Instant::now(), &self.buffer[..length]);
                }
                () = sleep_until(due.into()) => self.relay.handle_timeout(Instant::now()),
            }
        }
    }

    /// Gives the address back.
    pub(super) async fn finish(mut self) {
        self.relay.close(Instant::now());
        while let Some(output) = self.relay.poll_output() {
            if let RelayOutput::Transmit(message) = output {
                let _ = self.connection.send(&message);
            }
        }
        // A server notices by itself what does not reach it.
        let _ = timeout(TRY_INTERVAL, self.connection.finish()).await;
    }
}
