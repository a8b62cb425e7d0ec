//! The listener of the guests' server: takes connections from anywhere and serves them within limits.
//!
//! ```text
//!  TCP ─ place? ─> TLS, 10 s ─> head, 10 s ─> request, 10 s ─> answer ─┬─> next request ...
//!          │ none: closed                                               └─> WebSocket keeps the place
//! ```
//!
//! A browser keeps several connections for its next request, some of which never comes. Where half of the places are
//! taken, each answer is the last one of its connection: a whole office that opens a link would find no place.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::acme::ACME_TLS;
use super::limits::network_of;
use crate::http::stopped;

/// Connections at a time, WebSockets included: a browser has up to six of each guest.
const MAX_CONNECTIONS: usize = 128;
/// Connections of one source at a time: a whole office may come by one address.
const MAX_OF_SOURCE: usize = 48;
/// The most that the head of a request may take.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// How long a connection is used for requests; a browser opens another without anybody noticing.
const LIFETIME: Duration = Duration::from_secs(120);
/// How long answers may take after that, for whoever reads slowly.
const LAST_ANSWERS: Duration = Duration::from_secs(30);
/// How long connections may take to end with the server.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long accepting pauses when the process has no file left for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long somebody may take who has not shown yet that it is a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For the TLS handshake.
    pub(super) handshake: Duration,
    /// For the head of a request, idle time included.
    pub(super) head: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let ten_seconds = Duration::from_secs(10);
        Self {
            handshake: ten_seconds,
            head: ten_seconds,
        }
    }
}

/// A connection, as its requests see it.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// Where it comes from.
    pub(super) source: IpAddr,
    /// Held by all that is left of the connection, its WebSocket included.
    pub(super) place: Arc<Place>,
}

/// The connections that there are, by source.
#[derive(Clone, Debug)]
struct Places {
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
    /// Held for [`Acceptor::farewell`], which waits until all are gone.
    _alive: mpsc::Sender<()>,
}

/// The place of one connection, free when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    network: IpAddr,
    places: Places,
}

impl Places {
    fn take(&self, source: IpAddr) -> Option<Place> {
        let network = network_of(source);
        let mut taken = self.lock();
        let in_all: usize = taken.values().sum();
        let of_source = taken.get(&network).copied().unwrap_or(0);
        if in_all >= MAX_CONNECTIONS || of_source >= MAX_OF_SOURCE {
            return None;
        }
        taken.insert(network, of_source + 1);
        Some(Place {
            network,
            places: self.clone(),
        })
    }

    /// Whether so many places are taken, of all or of one network, that none should be kept for later.
    fn are_scarce(&self, network: IpAddr) -> bool {
        let taken = self.lock();
        let in_all: usize = taken.values().sum();
        let of_source = taken.get(&network).copied().unwrap_or(0);
        2 * in_all >= MAX_CONNECTIONS || 2 * of_source >= MAX_OF_SOURCE
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn is_scarce(&self) -> bool {
        self.places.are_scarce(self.network)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        let left = taken.get(&self.network).map_or(0, |taken| taken - 1);
        if left == 0 {
            taken.remove(&self.network);
        } else {
            taken.insert(self.network, left);
        }
    }
}

/// Takes connections, owns them, and awaits their end.
pub(super) struct Acceptor {
    tls: TlsAcceptor,
    router: Router,
    patience: Patience,
    connections: JoinSet<()>,
    places: Places,
    ended: mpsc::Receiver<()>,
}

impl Acceptor {
    pub(super) fn new(tls: TlsAcceptor, router: Router, patience: Patience) -> Self {
        // Nothing is ever sent: it ends with the last place.
        let (alive, ended) = mpsc::channel(1);
        Self {
            tls,
            router,
            patience,
            connections: JoinSet::new(),
            places: Places {
                taken: Arc::default(),
                _alive: alive,
            },
            ended,
        }
    }

    /// Serves a listener until it is told to stop.
    pub(super) async fn serve(mut self, listener: TcpListener, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = stopped(&mut stop) => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, address)) => self.take(stream, address, &stop),
                    Err(error) => pause(error).await,
                },
                Some(_) = self.connections.join_next() => {}
            }
        }
        drop(listener);
        self.farewell().await;
    }

    fn take(&mut self, stream: TcpStream, address: SocketAddr, stop: &watch::Receiver<bool>) {
        let source = address.ip().to_canonical();
        let Some(place) = self.places.take(source) else {
            // A flood would fill the log otherwise.
            tracing::debug!(%source, "too many connections of guests: one was closed");
            return;
        };
        let place = Arc::new(place);
        let peer = Peer { source, place };
        let (tls, router) = (self.tls.clone(), self.router.clone());
        let connection = serve_connection(stream, tls, router, peer, self.patience, stop.clone());
        self.connections.spawn(connection);
    }

    /// Lets answers and WebSockets end, within a limit.
    async fn farewell(self) {
        let Self {
            mut connections,
            places,
            mut ended,
            ..
        } = self;
        drop(places);
        let all_ended = async {
            while connections.join_next().await.is_some() {}
            while ended.recv().await.is_some() {}
        };
        if timeout(2 * FAREWELL, all_ended).await.is_err() {
            connections.shutdown().await;
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    tls: TlsAcceptor,
    router: Router,
    peer: Peer,
    patience: Patience,
    mut stop: watch::Receiver<bool>,
) {
    let source = peer.source;
    // Small messages of a call's beginning wait for nobody.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%source, %error, "a connection of a guest ended before its time");
        return;
    }
    let stream = tokio::select! {
        accepted = timeout(patience.handshake, tls.accept(stream)) => match accepted {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                // Whoever does not trust the certificate ends here: no fault of ours.
                tracing::debug!(%source, %error, "TLS handshake of a guest failed");
                return;
            }
            Err(_) => return,
        },
        () = stopped(&mut stop) => return,
    };
    if stream.get_ref().1.alpn_protocol() == Some(ACME_TLS) {
        // The certificate was the answer: nothing is spoken after it (RFC 8737 section 3).
        let mut stream = stream;
        if let Err(error) = stream.shutdown().await {
            tracing::debug!(%source, %error, "who proves the server's name did not wait");
        }
        return;
    }
    let routes = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        let (answer, place) = (routes.call(request), Arc::clone(&peer.place));
        async move {
            let mut answer = answer.await?;
            if answer.status() != StatusCode::SWITCHING_PROTOCOLS && place.is_scarce() {
                let last = HeaderValue::from_static("close");
                answer.headers_mut().insert(CONNECTION, last);
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_buf_size(MAX_HEAD_BYTES);
    let connection = builder
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => Some(result),
        () = stopped(&mut stop) => None,
        () = tokio::time::sleep(LIFETIME) => None,
    };
    let result = match result {
        Some(result) => Ok(result),
        None => {
            connection.as_mut().graceful_shutdown();
            timeout(LAST_ANSWERS, connection).await
        }
    };
    if let Ok(Err(error)) = result {
        tracing::debug!(%source, %error, "a guest's connection ended");
    }
}

/// Without a pause, running out of files would become a busy loop.
async fn pause(error: io::Error) {
    tracing::warn!(%error, "a guest's connection could not be taken");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_so_many_places_and_all_together_some_more() {
        let places = Places {
            taken: Arc::default(),
            _alive: mpsc::channel(1).0,
        };
        let host = |last: u8| IpAddr::from([192, 0, 2, last]);
        let of_one: Vec<_> = std::iter::from_fn(|| places.take(host(1))).collect();
        assert_eq!(of_one.len(), MAX_OF_SOURCE);
        assert!(of_one[0].is_scarce() && !places.are_scarce(host(2)));
        let others: Vec<_> = (2..=255)
            .map_while(|last| places.take(host(last)))
            .collect();
        assert_eq!(of_one.len() + others.len(), MAX_CONNECTIONS);
        drop((of_one, others));
        assert!(places.lock().is_empty());
        assert!(places.take(host(1)).is_some());
    }
}
