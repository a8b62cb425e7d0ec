//! The TCP port at which the browsers of all guests may reach their legs (ICE over TCP, passive: RFC 6544).
//!
//! ```text
//!              place?          first message, 5 s              a leg that awaits it
//!  TCP ──────────┬────────────────────┬────────────────────────────────┬──────────────► that leg's task
//!                │ none               │ silence, no check of ICE       │ none
//!                └────────────────────┴────────────────────────────────┴─────► closed
//! ```
//!
//! A connection belongs to the leg whose name of ICE its first message is addressed to. Until then it has one of a
//! bounded number of places, which [`super::unknown_connections`] shares out; the leg bounds its own.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use webrtc::{Deframer, LONGEST_FIRST_FRAME, addressed_ufrag};

use super::active_connections::RoomAttempts;
use super::tcp_connection::TcpConnection;
use super::unknown_connections::{Place, place};

/// How long a connection may take to say whose it is.
const FIRST_MESSAGE: Duration = Duration::from_secs(5);
/// Connections that wait for their leg's task.
const ARRIVING: usize = 4;
/// How long accepting pauses when the process has no file left for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The legs that await connections, by their names of ICE.
type Awaiting = Arc<Mutex<HashMap<String, mpsc::Sender<TcpConnection>>>>;

fn lock(awaiting: &Awaiting) -> MutexGuard<'_, HashMap<String, mpsc::Sender<TcpConnection>>> {
    awaiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The port, as legs see it.
#[derive(Clone, Debug)]
pub(super) struct TcpPort {
    number: u16,
    awaiting: Awaiting,
    attempts: RoomAttempts,
}

/// The connections that come for one leg. No more do when this is dropped.
#[derive(Debug)]
pub(super) struct Arriving {
    port: TcpPort,
    ufrag: String,
    sender: mpsc::Sender<TcpConnection>,
    receiver: mpsc::Receiver<TcpConnection>,
}

impl TcpPort {
    /// Its number.
    pub(super) fn number(&self) -> u16 {
        self.number
    }

    /// What all legs together may attempt where they connect themselves.
    pub(super) fn attempts(&self) -> &RoomAttempts {
        &self.attempts
    }

    /// Awaits connections whose first message is addressed to `ufrag`.
    pub(super) fn await_connections(&self, ufrag: &str) -> Arriving {
        let (sender, receiver) = mpsc::channel(ARRIVING);
        lock(&self.awaiting).insert(ufrag.to_owned(), sender.clone());
        Arriving {
            port: self.clone(),
            ufrag: ufrag.to_owned(),
            sender,
            receiver,
        }
    }
}

impl Arriving {
    /// From now on, they are addressed to this name.
    pub(super) fn set_ufrag(&mut self, ufrag: &str) {
        if self.ufrag != ufrag {
            let mut awaiting = lock(&self.port.awaiting);
            awaiting.remove(&self.ufrag);
            awaiting.insert(ufrag.to_owned(), self.sender.clone());
            ufrag.clone_into(&mut self.ufrag);
        }
    }

    /// The next connection.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<TcpConnection> {
        // It does not end: we hold a sender.
        match self.receiver.poll_recv(context) {
            Poll::Ready(Some(connection)) => Poll::Ready(connection),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        lock(&self.port.awaiting).remove(&self.ufrag);
    }
}

/// The listening port of all guests.
#[derive(Debug)]
pub struct GuestTcpListener {
    listener: TcpListener,
    port: TcpPort,
}

impl GuestTcpListener {
    /// Listens there; the system chooses where the port is 0.
    ///
    /// # Errors
    /// The kernel's word.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let port = TcpPort {
            number: listener.local_addr()?.port(),
            awaiting: Awaiting::default(),
            attempts: RoomAttempts::default(),
        };
        Ok(Self { listener, port })
    }

    /// The number of its port.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.port.number
    }

    /// The port, for legs.
    pub(super) fn port(&self) -> TcpPort {
        self.port.clone()
    }

    /// Takes connections for as long as it is not dropped.
    pub(super) async fn run(self) {
        let Self { listener, port } = self;
        let mut unknown = JoinSet::new();
        // The oldest first.
        let mut held: Vec<(AbortHandle, IpAddr)> = Vec::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, source)) => {
                        let sources: Vec<_> = held.iter().map(|(_, source)| *source).collect();
                        let place = place(&sources, source.ip());
                        if place != Place::Free {
                            // A flood would fill the log otherwise.
                            tracing::debug!(%source, ?place, "too many unknown connections for media of guests: one is closed");
                        }
                        match place {
                            Place::Free => {}
                            Place::Of(index) => held.remove(index).0.abort(),
                            Place::None => continue,
                        }
                        let awaiting = Arc::clone(&port.awaiting);
                        let taken = unknown.spawn(timeout(FIRST_MESSAGE, pass_on(stream, awaiting)));
                        held.push((taken, source.ip()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection for media of a guest could not be taken");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(ended) = unknown.join_next_with_id() => {
                    let id = ended.map_or_else(|error| error.id(), |(id, _)| id);
                    held.retain(|(taken, _)| taken.id() != id);
                }
            }
        }
    }
}

/// Passes a connection on to the leg that its first message names.
async fn pass_on(mut stream: TcpStream, awaiting: Awaiting) {
    let mut deframer = Deframer::new(LONGEST_FIRST_FRAME);
    let mut buffer = [0; LONGEST_FIRST_FRAME];
    let first = loop {
        match deframer.next_frame() {
            Ok(Some(first)) => break first,
            Ok(None) => {}
            Err(_) => return,
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(length) => deframer.push(&buffer[..length]),
        }
    };
    let leg = addressed_ufrag(&first).and_then(|ufrag| lock(&awaiting).get(&ufrag).cloned());
    if let (Some(leg), Ok(connection)) = (leg, TcpConnection::new(stream, deframer, first)) {
        // A leg that has no time for it is found by the next one.
        let _ = leg.try_send(connection);
    }
}

#[cfg(test)]
mod tests;
