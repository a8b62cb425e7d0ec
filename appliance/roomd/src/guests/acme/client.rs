//! HTTPS to the ACME server: one connection for each request, within bounds of time and size.
//!
//! A certificate takes a dozen requests in two months. A connection that is kept would end between two of
//! them, and a request that is sent into such an end cannot be told from one that was served.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER};
use hyper::http::uri::{PathAndQuery, Scheme};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

/// How long a request may take, from the name's look-up to the answer's end.
const LIMIT: Duration = Duration::from_secs(30);
/// How long each address of the name may take to answer.
const CONNECT: Duration = Duration::from_secs(5);
/// The largest answer that is read: a chain of certificates is a few KiB.
const LARGEST_ANSWER: usize = 256 * 1024;
/// What holds a problem document (RFC 7807).
const PROBLEM: &[u8] = b"application/problem+json";

/// Why there is no answer that can be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    /// The server wants something else than HTTPS.
    #[error("{0} is no https URL")]
    NotHttps(Uri),
    /// Nobody is there.
    #[error("{host}: {source}")]
    Unreachable {
        /// Whom we asked.
        host: String,
        /// The kernel's word, or the resolver's.
        source: io::Error,
    },
    /// It took too long.
    #[error("{host} does not answer within {limit:?}", limit = LIMIT)]
    TimedOut {
        /// Whom we asked.
        host: String,
    },
    /// It does not prove that it is whom we mean.
    #[error("{host}: {source}")]
    Untrusted {
        /// Whom we asked.
        host: String,
        /// What TLS says.
        source: rustls::Error,
    },
    /// What it sent is not HTTP, or too much of it.
    #[error("{host}: {source}")]
    Http {
        /// Whom we asked.
        host: String,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It failed without saying why.
    #[error("{host} answers {status}")]
    Status {
        /// Whom we asked.
        host: String,
        /// What it answered.
        status: StatusCode,
    },
}

/// Asks the server. Clones share what it said of the time of the next order.
#[derive(Clone)]
pub(super) struct AcmeClient {
    tls: TlsConnector,
    retry_after: Arc<Mutex<Option<SystemTime>>>,
}

impl AcmeClient {
    pub(super) fn new(tls: TlsConnector) -> Self {
        Self {
            tls,
            retry_after: Arc::default(),
        }
    }

    /// Before when the server wants no other request, if it said so with the last error.
    pub(super) fn take_retry_after(&self) -> Option<SystemTime> {
        self.lock().take()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<SystemTime>> {
        self.retry_after
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn exchange(
        self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Result<Response<Full<Bytes>>, ExchangeError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let Ok(response) = tokio::time::timeout(LIMIT, self.ask(&host, request)).await else {
            return Err(ExchangeError::TimedOut { host });
        };
        let response = response?;
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            let after = response.headers().get(RETRY_AFTER);
            *self.lock() = after.and_then(|after| retry_after(after, SystemTime::now()));
            let kind = response.headers().get(CONTENT_TYPE);
            if !kind.is_some_and(|kind| kind.as_bytes().starts_with(PROBLEM)) {
                return Err(ExchangeError::Status { host, status });
            }
        }
        Ok(response)
    }

    async fn ask(
        &self,
        host: &str,
        mut request: Request<BodyWrapper<Bytes>>,
    ) -> Result<Response<Full<Bytes>>, ExchangeError> {
        let uri = request.uri().clone();
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let (Some(authority), Ok(name), true) =
            (uri.authority(), name, uri.scheme() == Some(&Scheme::HTTPS))
        else {
            return Err(ExchangeError::NotHttps(uri));
        };
        let host = host.to_owned();
        let stream = connect(host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(443)).await;
        let stream = stream.map_err(|source| ExchangeError::Unreachable {
            host: host.clone(),
            source,
        })?;
        let stream = match self.tls.connect(name, stream).await {
            Ok(stream) => stream,
            Err(source) => return Err(tls_failed(host, source)),
        };
        let without_user = authority.as_str().rsplit('@').next().unwrap_or_default();
        let of_host = HeaderValue::from_str(without_user);
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let (Ok(of_host), Ok(path)) = (of_host, path.parse()) else {
            return Err(ExchangeError::NotHttps(uri));
        };
        *request.uri_mut() = path;
        let headers = request.headers_mut();
        headers.insert(HOST, of_host);
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| ExchangeError::Http {
            host: host.clone(),
            source,
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(error.into()))?;
        let answered = async {
            let response = sender.send_request(request).await;
            let (parts, body) = response.map_err(|error| failed(error.into()))?.into_parts();
            let body = Limited::new(body, LARGEST_ANSWER).collect().await;
            let body = body.map_err(failed)?.to_bytes();
            Ok(Response::from_parts(parts, Full::new(body)))
        };
        // It carries the request for as long as that is not answered; its own end is told by that.
        let carried = async {
            let _ = connection.await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answer = answered => answer,
            () = carried => unreachable!("it never returns"),
        }
    }
}

/// By the first of the name's addresses that answers: one whose packets go nowhere, as with a broken IPv6, must not take
/// all the time.
async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut failure = io::ErrorKind::NotFound.into();
    for address in lookup_host((host, port)).await? {
        let connected = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await;
        match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn tls_failed(host: String, source: io::Error) -> ExchangeError {
    let of_tls = source.get_ref().and_then(|error| error.downcast_ref());
    match of_tls {
        Some(error @ rustls::Error::InvalidCertificate(_)) => ExchangeError::Untrusted {
            host,
            source: error.clone(),
        },
        Some(_) | None => ExchangeError::Unreachable { host, source },
    }
}

impl HttpClient for AcmeClient {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let client = self.clone();
        Box::pin(async move {
            match client.exchange(request).await {
                Ok(response) => Ok(response.into()),
                Err(error) => Err(instant_acme::Error::Other(Box::new(error))),
            }
        })
    }
}

/// Seconds, or a date (RFC 9110 section 10.2.3).
fn retry_after(value: &HeaderValue, now: SystemTime) -> Option<SystemTime> {
    let text = value.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => now.checked_add(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_next_request_is_in_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_440);
        for (text, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(40)),
            ("18446744073709551615", None),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let after = retry_after(&HeaderValue::from_static(text), now);
            let expected = seconds.map(|seconds| now + Duration::from_secs(seconds));
            assert_eq!(after, expected, "{text}");
        }
    }
}
