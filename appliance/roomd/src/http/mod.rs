//! The API's server: HTTP on a Unix socket, and on loopback TCP where the owner wants it.
//!
//! ```text
//!  Unix socket (0660) ── peer credentials ──────────────┐
//!  loopback TCP ── Host ── Origin ── bearer token ──────┴─> routes ─> RoomHandle ─> driver
//!                                                              └────> watch<RoomSnapshot>
//! ```
//!
//! The module owns the sockets, who may use them, the limits of a connection, and the conversions
//! between the room's words and the wire's. It decides nothing about the room: every request
//! becomes a [`room::Request`], and the answer is the room's.
//!
//! A Unix peer is known by the kernel. A TCP peer is any program of the machine and, through a
//! browser, any web page: so it needs the token, a `Host` of this machine (a page that re-binds its
//! name to 127.0.0.1 sends its own) and an `Origin` that is ours or absent.

mod connections;
mod convert;
mod convert_ends;
mod convert_guest_certificate;
mod convert_ladder;
mod events;
mod guard;
mod invitations;
mod metrics;
mod problem;
mod room_handle;
mod routes;
#[cfg(test)]
mod tests;
mod unix_socket;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use config::{HttpSettings, LoopbackListener, SecretError};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use room_handle::{PictureError, PictureFuture, PictureOf, PictureSource, RoomHandle};

pub(crate) use connections::stopped;

use connections::Acceptor;
use guard::Guard;
use metrics::HttpCounters;
use routes::Api;
use unix_socket::UnixSocket;

/// The shortest token that is taken, in bytes: 16 random base64 characters are 96 bits.
const SHORTEST_TOKEN: usize = 16;
/// How long connections may take to finish their answers at the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The Unix socket cannot be made.
    #[error("cannot serve the API on {path}: {source}", path = .path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// The kernel's word.
        source: io::Error,
    },
    /// Another process serves the socket.
    #[error("cannot serve the API on {path}: another roomd does already", path = .path.display())]
    SocketInUse {
        /// The socket.
        path: PathBuf,
    },
    /// The group that may use the socket does not exist.
    #[error("http.socket_group: there is no group {group:?} on this machine")]
    UnknownGroup {
        /// The name as configured.
        group: String,
    },
    /// The TCP address cannot be bound.
    #[error("cannot serve the API on {address}: {source}")]
    Loopback {
        /// The address.
        address: SocketAddr,
        /// The kernel's word.
        source: io::Error,
    },
    /// The token cannot be read.
    #[error("the API's token: {0}")]
    Token(#[from] SecretError),
    /// The token could be guessed.
    #[error("the API's token has less than {SHORTEST_TOKEN} characters: use a longer random one")]
    WeakToken,
}

/// The running API. Dropping it ends it at once; [`Server::shut_down`] lets answers finish.
#[derive(Debug)]
pub struct Server {
    acceptors: JoinSet<()>,
    stop: watch::Sender<bool>,
    socket: PathBuf,
    loopback: Option<SocketAddr>,
}

impl Server {
    /// Binds the sockets and begins to serve. `credentials` is `$CREDENTIALS_DIRECTORY`.
    ///
    /// # Errors
    /// A [`ServeError`] when a socket cannot be bound or the token cannot be used.
    pub async fn start(
        settings: &HttpSettings,
        room: RoomHandle,
        credentials: Option<&Path>,
    ) -> Result<Self, ServeError> {
        let (stop, stopped) = watch::channel(false);
        let counters = Arc::new(HttpCounters::default());
        let api = Api::new(room, Arc::clone(&counters), stopped.clone());
        let mut acceptors = JoinSet::new();

        let unix = UnixSocket::bind(&settings.socket, settings.socket_group.as_deref()).await?;
        let acceptor = Acceptor::new(routes::router(api.clone()), Arc::clone(&counters));
        acceptors.spawn(acceptor.serve_unix(unix, stopped.clone()));

        let mut loopback = None;
        if let Some(settings) = &settings.loopback {
            let (listener, guard) = listen_on_loopback(settings, credentials).await?;
            loopback = Some(guard.address());
            let router = guard::guarded(routes::router(api), guard, Arc::clone(&counters));
            let acceptor = Acceptor::new(router, counters);
            acceptors.spawn(acceptor.serve_loopback(listener, stopped));
        }
        tracing::info!(socket = %settings.socket.display(), loopback = ?loopback, "API served");
        Ok(Self {
            acceptors,
            stop,
            socket: settings.socket.clone(),
            loopback,
        })
    }

    /// The bound TCP address, with the port that the system chose.
    #[must_use]
    pub fn loopback(&self) -> Option<SocketAddr> {
        self.loopback
    }

    /// Waits until a listener ends, which it does only after [`Server::shut_down`] or by a fault.
    pub async fn ended(&mut self) {
        self.acceptors.join_next().await;
    }

    /// Takes no more connections, lets answers finish for a second, and removes the socket.
    pub async fn shut_down(mut self) {
        self.stop.send_replace(true);
        while self.acceptors.join_next().await.is_some() {}
        if let Err(error) = std::fs::remove_file(&self.socket) {
            tracing::debug!(%error, "the API's socket was gone already");
        }
    }
}

async fn listen_on_loopback(
    settings: &LoopbackListener,
    credentials: Option<&Path>,
) -> Result<(TcpListener, Guard), ServeError> {
    let token = settings.token.read(credentials)?;
    if token.expose().len() < SHORTEST_TOKEN {
        return Err(ServeError::WeakToken);
    }
    let failed = |source| ServeError::Loopback {
        address: settings.address,
        source,
    };
    let listener = TcpListener::bind(settings.address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, Guard::new(address, token)))
}
