//! Who may speak to the room over TCP.

use std::net::SocketAddr;
use std::sync::Arc;

use api::ProblemCode;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use config::Secret;
use subtle::ConstantTimeEq;

use super::metrics::HttpCounters;
use super::problem::{Refusal, Speaks};

/// The names and the token of the TCP listener.
#[derive(Debug)]
pub(super) struct Guard {
    address: SocketAddr,
    hosts: Vec<String>,
    token: Secret,
}

impl Guard {
    pub(super) fn new(address: SocketAddr, token: Secret) -> Self {
        let port = address.port();
        let mut hosts = vec![address.to_string()];
        hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(|host| format!("{host}:{port}")));
        if port == 80 {
            // Browsers leave the default port out.
            hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(str::to_owned));
        }
        Self {
            address,
            hosts,
            token,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the request may pass. The token comes last, so that a page of another site learns
    /// nothing about it.
    fn check(&self, request: &Request) -> Result<(), ProblemCode> {
        let headers = request.headers();
        let authority = request.uri().authority();
        let is_ours = |host: &str| self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host));
        if !only(headers, HOST.as_str()).is_some_and(is_ours)
            || authority.is_some_and(|authority| !is_ours(authority.as_str()))
        {
            return Err(ProblemCode::ForeignHost);
        }
        let own_page = |origin: &str| origin.strip_prefix("http://").is_some_and(is_ours);
        if headers.contains_key(ORIGIN) && !only(headers, ORIGIN.as_str()).is_some_and(own_page) {
            return Err(ProblemCode::ForeignOrigin);
        }
        match only(headers, AUTHORIZATION.as_str()).and_then(bearer_token) {
            Some(token) if self.is_token(token) => Ok(()),
            Some(_) | None => Err(ProblemCode::Unauthorized),
        }
    }

    /// In a time that does not tell how many characters are right.
    fn is_token(&self, token: &str) -> bool {
        self.token
            .expose()
            .as_bytes()
            .ct_eq(token.as_bytes())
            .into()
    }
}

/// The value of a header that is there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// The token of `Bearer TOKEN`; the scheme's case does not count (RFC 9110 section 11.1).
fn bearer_token(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Puts the guard before every route, known or not.
pub(super) fn guarded(router: Router, guard: Guard, counters: Arc<HttpCounters>) -> Router {
    router.layer(middleware::from_fn_with_state(
        (Arc::new(guard), counters),
        stand_guard,
    ))
}

async fn stand_guard(
    State((guard, counters)): State<(Arc<Guard>, Arc<HttpCounters>)>,
    request: Request,
    next: Next,
) -> Response {
    match guard.check(&request) {
        Ok(()) => next.run(request).await,
        Err(code) => {
            counters.refused_requests.add_one();
            tracing::warn!(?code, path = request.uri().path(), "API request refused");
            Refusal::new(code, Speaks::of(request.headers())).into_response()
        }
    }
}
