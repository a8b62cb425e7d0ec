//! The TCP connections that a guest's leg opens to where its browser listens (ICE over TCP, active: RFC 6544).
//!
//! ```text
//!  a check of ICE ── may it? ──► connecting, 5 s ──────► open, 10 s to answer ──► the leg's
//!                      │ no           │ refused, too late        │ no frame
//!                      ▼              ▼                          ▼
//!                   dropped        not again for 2 s, then for twice as long each time
//! ```
//!
//! A guest names the addresses, and they may be anybody's: so a leg connects seldom, a room with many legs does so too,
//! and what goes out before there is an answer is a check of ICE. The leg bounds how many addresses there are, and
//! knows which may be none; see `webrtc`.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use webrtc::TCP_ACTIVE_PORT;

use super::tcp_connection::TcpConnection;
use crate::guests::Limit;

/// Connections of a leg that are open or to be, of those that it opens.
pub(super) const MOST_ACTIVE: usize = 4;
/// Attempts of one leg within [`ATTEMPTS_OF_LEG_TIME`].
const ATTEMPTS_OF_LEG: usize = 8;
const ATTEMPTS_OF_LEG_TIME: Duration = Duration::from_secs(2 * 60);
/// Attempts of all legs within a minute.
const ATTEMPTS_OF_ROOM: usize = 30;
const ATTEMPTS_OF_ROOM_TIME: Duration = Duration::from_secs(60);
/// How long an attempt may take.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// How long it takes until the same address is tried again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(64);

/// Our address, and the browser's, as the leg knows them.
type Path = (SocketAddr, SocketAddr);

/// What all legs together may attempt.
#[derive(Clone, Debug)]
pub(super) struct RoomAttempts(Arc<Mutex<Limit>>);

impl Default for RoomAttempts {
    fn default() -> Self {
        let limit = Limit::new(ATTEMPTS_OF_ROOM, ATTEMPTS_OF_ROOM_TIME);
        Self(Arc::new(Mutex::new(limit)))
    }
}

/// When an address is tried again.
#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Instant,
    next: Duration,
}

/// An attempt that goes on.
#[derive(Debug)]
struct Attempt {
    path: Path,
    /// The newest check, which goes out first.
    check: Bytes,
    task: AbortHandle,
}

/// The connections of one leg that are to come.
#[derive(Debug)]
pub(super) struct ActiveConnections {
    of_room: RoomAttempts,
    of_leg: Limit,
    pauses: HashMap<SocketAddr, Pause>,
    attempts: Vec<Attempt>,
    tasks: JoinSet<(Path, io::Result<TcpStream>)>,
}

impl ActiveConnections {
    /// None yet.
    pub(super) fn new(of_room: RoomAttempts) -> Self {
        Self {
            of_room,
            of_leg: Limit::new(ATTEMPTS_OF_LEG, ATTEMPTS_OF_LEG_TIME),
            pauses: HashMap::new(),
            attempts: Vec::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Begins to connect, where `open` connections are open already. `check` goes out as soon as it can, unless a
    /// newer one comes.
    ///
    /// # Errors
    /// `WouldBlock`: not now. `PermissionDenied`: never.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(super) fn connect(
        &mut self,
        now: Instant,
        path: Path,
        check: &Bytes,
        open: usize,
    ) -> io::Result<()> {
        let (local, remote) = path;
        let mut known = self.attempts.iter_mut();
        if let Some(attempt) = known.find(|attempt| attempt.path == path) {
            attempt.check = check.clone();
            return Ok(());
        }
        // Whoever is elsewhere is not on our loopback, and may only want to knock at what is (RFC 8445 section 5.1.1.1).
        if remote.ip().is_loopback() && !local.ip().is_loopback() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let pause = self.pauses.get(&remote).copied();
        let is_paused = pause.is_some_and(|pause| now < pause.until);
        if is_paused || open + self.attempts.len() >= MOST_ACTIVE || !self.take_attempt(now) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let length = pause.map_or(FIRST_PAUSE, |pause| pause.next);
        self.pauses
            .retain(|_, pause| now < pause.until + LONGEST_PAUSE);
        self.pauses.insert(
            remote,
            Pause {
                until: now + length,
                next: LONGEST_PAUSE.min(length * 2),
            },
        );
        tracing::debug!(%remote, "connects to where a guest listens");
        let connecting = timeout(CONNECT_TIME, connect(local.ip(), remote));
        let task = self.tasks.spawn(async move {
            let late = |_| Err(io::ErrorKind::TimedOut.into());
            (path, connecting.await.unwrap_or_else(late))
        });
        self.attempts.push(Attempt {
            path,
            check: check.clone(),
            task,
        });
        Ok(())
    }

    /// Counts an attempt, if one may be made.
    fn take_attempt(&mut self, now: Instant) -> bool {
        let of_room = &self.of_room.0;
        let mut of_room = of_room.lock().unwrap_or_else(PoisonError::into_inner);
        !self.of_leg.is_reached(now) && of_room.take(now) && self.of_leg.take(now)
    }

    /// A connection to this address has been of use: the next attempt need not wait for longer than the first one.
    pub(super) fn answered(&mut self, remote: SocketAddr) {
        if let Some(pause) = self.pauses.get_mut(&remote) {
            pause.next = FIRST_PAUSE;
        }
    }

    /// Whether nothing is attempted.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.attempts.is_empty()
    }

    /// Gives up attempts from other addresses of ours than these.
    pub(super) fn retain(&mut self, addresses: &[IpAddr]) {
        let is_lost = |attempt: &mut Attempt| !addresses.contains(&attempt.path.0.ip());
        let lost = self.attempts.extract_if(.., is_lost);
        lost.for_each(|attempt| attempt.task.abort());
    }

    /// The next connection that is open.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<TcpConnection> {
        loop {
            let ended = match self.tasks.poll_join_next(context) {
                Poll::Ready(Some(ended)) => ended,
                // One more wakes us when it is there.
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            };
            // One that was given up.
            let Ok((path, stream)) = ended else {
                continue;
            };
            let mut known = self.attempts.iter();
            let Some(index) = known.position(|attempt| attempt.path == path) else {
                continue;
            };
            let attempt = self.attempts.remove(index);
            let opened = stream.and_then(|stream| {
                let mut connection = TcpConnection::opened(stream, path.0)?;
                connection.send(&attempt.check)?;
                Ok(connection)
            });
            match opened {
                Ok(connection) => return Poll::Ready(connection),
                Err(error) => {
                    tracing::debug!(remote = %path.1, %error, "where a guest listens is not reached");
                }
            }
        }
    }
}

/// Whether a leg knows this address of ours as one that it connects from.
pub(super) fn is_active(local: SocketAddr) -> bool {
    local.port() == TCP_ACTIVE_PORT
}

async fn connect(local: IpAddr, remote: SocketAddr) -> io::Result<TcpStream> {
    let socket = match local {
        IpAddr::V4(_) => TcpSocket::new_v4()?,
        IpAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.bind(SocketAddr::new(local, 0))?;
    socket.connect(remote).await
}
