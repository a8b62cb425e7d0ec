//! Takes connections and serves them within limits.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::FAREWELL;
use super::metrics::HttpCounters;
use super::unix_socket::UnixSocket;

/// Connections of one listener at a time. Those above it are closed at once, so that a client that
/// leaks them cannot take all of the process's files.
const MAX_CONNECTIONS: usize = 64;
/// How long a client may take to send the head of a request, idle time included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The most that the head of a request may take.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// How long accepting pauses when the process has no file left for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes the connections of one listener, owns them, and awaits their end.
pub(super) struct Acceptor {
    router: Router,
    counters: Arc<HttpCounters>,
    connections: JoinSet<()>,
}

impl Acceptor {
    pub(super) fn new(router: Router, counters: Arc<HttpCounters>) -> Self {
        Self {
            router,
            counters,
            connections: JoinSet::new(),
        }
    }

    /// Serves a Unix socket until it is told to stop.
    pub(super) async fn serve_unix(mut self, socket: UnixSocket, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = stopped(&mut stop) => break,
                accepted = socket.accept() => match accepted {
                    Ok(Some(stream)) => self.serve(stream, &stop),
                    Ok(None) => self.counters.refused_clients.add_one(),
                    Err(error) => pause(error).await,
                },
                Some(_) = self.connections.join_next() => {}
            }
        }
        drop(socket);
        self.farewell().await;
    }

    /// Serves a TCP listener until it is told to stop.
    pub(super) async fn serve_loopback(
        mut self,
        listener: TcpListener,
        mut stop: watch::Receiver<bool>,
    ) {
        loop {
            tokio::select! {
                () = stopped(&mut stop) => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.serve(stream, &stop),
                    Err(error) => pause(error).await,
                },
                Some(_) = self.connections.join_next() => {}
            }
        }
        drop(listener);
        self.farewell().await;
    }

    fn serve<S>(&mut self, stream: S, stop: &watch::Receiver<bool>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if self.connections.len() >= MAX_CONNECTIONS {
            self.counters.refused_clients.add_one();
            tracing::warn!(
                limit = MAX_CONNECTIONS,
                "too many API connections: one was closed"
            );
            return;
        }
        self.counters.connections.add_one();
        self.connections
            .spawn(serve_connection(stream, self.router.clone(), stop.clone()));
    }

    async fn farewell(mut self) {
        let all_ended = async { while self.connections.join_next().await.is_some() {} };
        if tokio::time::timeout(FAREWELL, all_ended).await.is_err() {
            self.connections.shutdown().await;
        }
    }
}

async fn serve_connection<S>(stream: S, router: Router, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES);
    let connection = builder
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "API connection ended");
    }
}

/// Waits until the server is told to stop, or is gone.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the server.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Without a pause, running out of files would become a busy loop.
async fn pause(error: io::Error) {
    tracing::warn!(%error, "an API connection could not be taken");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}
