//! The routes of the guests' server.
//!
//! What changes something asks for an `Origin` of ours, and for a cookie where there is a session: no other
//! site's page can do anything in a guest's name. Neither token nor cookie is ever logged, and no URL
//! holds them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use api::Language;
use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{DefaultBodyLimit, Extension, Json, Query, Request, State};
use axum::http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, SET_COOKIE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use config::PublicUrl;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::acme;
use super::connection::{self, MAX_MESSAGE_BYTES, Pings};
use super::connections::Peer;
use super::guest_name;
use super::handle::{Guests, OpenSession};
use super::headers::{
    TransportSecurity, clear_cookie, is_own_page, protect, set_cookie, shown_cookie,
};
use super::limits::{Attempts, Costly};
use super::refusal::Refusal;
use super::registry::OpenError;
use super::token::Token;
use super::trust_page::{TRUST_STYLE, TrustPage};
use crate::guest_page::{self, Asset};
use crate::turn_servers::{PageServer, TurnServers};
use crate::unix_time::unix_seconds;

/// The largest body of a request.
const MAX_BODY_BYTES: usize = 4 * 1024;
/// How long a request may take, its body's arrival included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What every route works with.
#[derive(Clone)]
pub(super) struct Site(pub(super) Arc<SiteParts>);

pub(super) struct SiteParts {
    pub(super) guests: Guests,
    pub(super) room_name: String,
    pub(super) public_url: PublicUrl,
    pub(super) turn: TurnServers,
    /// How the room's own authority is trusted; `None` where the owner has a certificate.
    pub(super) trust: Option<TrustPage>,
    /// What is shown by ACME, if anything: then there is nothing to trust first.
    pub(super) acme: Option<acme::Shown>,
    pub(super) pings: Pings,
    pub(super) attempts: Mutex<Attempts>,
    pub(super) stop: watch::Receiver<bool>,
}

impl SiteParts {
    /// How the room's own authority is trusted, while guests see a certificate of it.
    fn trust(&self) -> Option<&TrustPage> {
        let acme = self.acme.as_ref();
        let certified = acme.is_some_and(acme::Shown::has_certificate);
        self.trust.as_ref().filter(|_| !certified)
    }
}

/// A TURN server, in the words of browsers (RTCIceServer).
#[derive(Serialize)]
struct IceServer {
    urls: Vec<String>,
    username: String,
    credential: String,
}

impl From<PageServer> for IceServer {
    fn from(server: PageServer) -> Self {
        Self {
            urls: server.urls,
            username: server.credentials.username,
            credential: server.credentials.password,
        }
    }
}

#[derive(Serialize)]
struct SessionBody<'a> {
    room_name: &'a str,
    guest_name: &'a str,
    /// In seconds of Unix time.
    expires_at: u64,
    ice_servers: Vec<IceServer>,
}

#[derive(Deserialize)]
struct OpenBody {
    token: String,
    name: String,
}

#[derive(Deserialize)]
struct RenameBody {
    name: String,
}

/// Every route.
pub(super) fn router(site: Site) -> Router {
    let session = get(show_session)
        .post(open_session)
        .patch(rename)
        .delete(sign_out);
    Router::new()
        .route("/", get(|| async { Redirect::to("/join") }))
        .route("/join", get(page_file))
        .route("/guest/assets/{*file}", get(page_file))
        .route("/guest/session", session)
        .route("/guest/signalling", get(signalling))
        .route("/trust", get(trust))
        .route("/trust/authority.crt", get(authority))
        .route("/trust/trust.css", get(trust_style))
        .fallback(|| async { Refusal::NotFound })
        .method_not_allowed_fallback(|| async { Refusal::MethodNotAllowed })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(within_time))
        .layer(middleware::from_fn_with_state(site.clone(), protected))
        .with_state(site)
}

// --- the page ---

async fn page_file(uri: Uri, headers: HeaderMap) -> Response {
    match guest_page::asset(uri.path()) {
        Some(asset) => file(asset, &headers),
        None => Refusal::NotFound.into_response(),
    }
}

/// A file, unless the browser has this very one: it asks each time, and is told so in a few bytes.
fn file(asset: &'static Asset, headers: &HeaderMap) -> Response {
    let known = headers.get_all(IF_NONE_MATCH).iter();
    let is_known = known
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim().trim_start_matches("W/") == asset.etag);
    let head = [
        (ETAG, HeaderValue::from_static(asset.etag)),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    let content_type = [(CONTENT_TYPE, HeaderValue::from_static(asset.content_type))];
    (head, content_type, asset.bytes).into_response()
}

// --- the session ---

async fn open_session(
    State(site): State<Site>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Result<Json<OpenBody>, JsonRejection>,
) -> Result<Response, Refusal> {
    site.check_origin(&headers)?;
    let Json(body) = body.map_err(|rejection| invalid(&rejection))?;
    let name = guest_name(&body.name).ok_or(Refusal::InvalidName)?;
    if !site.attempts(|attempts| attempts.may_try(peer.source, Instant::now())) {
        tracing::warn!(source = %peer.source, "too many wrong links from there: refused");
        return Err(Refusal::TooManyAttempts);
    }
    if !site.attempts(|attempts| attempts.may_open(peer.source, Instant::now())) {
        return Err(Refusal::TooManyConnections);
    }
    let fresh = Token::generate().ok_or(Refusal::Failed)?;
    let shown = shown_cookie(&headers);
    let opened = match Token::parse(&body.token) {
        Some(token) => {
            let guests = &site.0.guests;
            guests.open_session(&token.digest(), shown, fresh, &name)
        }
        None => Err(OpenError::LinkNotValid),
    };
    let (session, cookie) = opened.map_err(|error| match error {
        OpenError::LinkNotValid => {
            site.attempts(|attempts| attempts.was_wrong(peer.source, Instant::now()));
            Refusal::LinkNotValid
        }
        OpenError::MeetingFull => Refusal::MeetingFull,
    })?;
    tracing::info!(guest = %session.guest, source = %peer.source, "a guest has opened its link");
    let left = session.expires_at.duration_since(SystemTime::now());
    let cookie = set_cookie(&cookie, left.unwrap_or_default().as_secs());
    Ok(([(SET_COOKIE, cookie)], site.session_body(&session)).into_response())
}

async fn show_session(State(site): State<Site>, headers: HeaderMap) -> Result<Response, Refusal> {
    let session = site.session(&headers)?;
    Ok(site.session_body(&session))
}

async fn rename(
    State(site): State<Site>,
    headers: HeaderMap,
    body: Result<Json<RenameBody>, JsonRejection>,
) -> Result<Response, Refusal> {
    site.check_origin(&headers)?;
    let mut session = site.session(&headers)?;
    let Json(body) = body.map_err(|rejection| invalid(&rejection))?;
    session.name = guest_name(&body.name).ok_or(Refusal::InvalidName)?;
    if !site
        .0
        .guests
        .may(session.guest, Costly::Rename, Instant::now())
    {
        return Err(Refusal::TooManyConnections);
    }
    site.0.guests.rename(session.guest, &session.name);
    Ok(site.session_body(&session))
}

async fn sign_out(State(site): State<Site>, headers: HeaderMap) -> Result<Response, Refusal> {
    site.check_origin(&headers)?;
    let session = site.session(&headers)?;
    site.0.guests.sign_out(session.guest);
    let cleared = [(SET_COOKIE, clear_cookie())];
    Ok((StatusCode::NO_CONTENT, cleared).into_response())
}

async fn signalling(
    State(site): State<Site>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refusal> {
    site.check_origin(&headers)?;
    let guest = site.session(&headers)?.guest;
    let upgrade = upgrade.map_err(|_| Refusal::WebSocketOnly)?;
    let guests = site.0.guests.clone();
    if !guests.may(guest, Costly::Connection, Instant::now()) {
        return Err(Refusal::TooManyConnections);
    }
    let (pings, stop) = (site.0.pings, site.0.stop.clone());
    let upgrade = upgrade
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        // Nothing that the page does not read may pile up here.
        .write_buffer_size(0)
        .max_write_buffer_size(4 * MAX_MESSAGE_BYTES);
    Ok(upgrade.on_upgrade(move |socket| async move {
        connection::run(socket, guests, guest, pings, stop).await;
        drop(peer.place);
    }))
}

impl Site {
    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let own = is_own_page(headers, &self.0.public_url);
        own.then_some(()).ok_or(Refusal::ForeignOrigin)
    }

    fn session(&self, headers: &HeaderMap) -> Result<OpenSession, Refusal> {
        let session = shown_cookie(headers).and_then(|cookie| self.0.guests.session(&cookie));
        session.ok_or(Refusal::NoSession)
    }

    fn session_body(&self, session: &OpenSession) -> Response {
        let servers = self.0.turn.of_page(session.expires_at);
        Json(SessionBody {
            room_name: &self.0.room_name,
            guest_name: &session.name,
            expires_at: unix_seconds(session.expires_at),
            ice_servers: servers.into_iter().map(IceServer::from).collect(),
        })
        .into_response()
    }

    fn attempts<T>(&self, with: impl FnOnce(&mut Attempts) -> T) -> T {
        // A count that somebody left half-done is at most one off.
        with(
            &mut self
                .0
                .attempts
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

fn invalid(rejection: &JsonRejection) -> Refusal {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::BodyTooLarge,
        _ => Refusal::InvalidRequest,
    }
}

// --- the room's own authority ---

#[derive(Deserialize)]
struct WhichLanguage {
    language: Option<String>,
}

async fn trust(
    State(site): State<Site>,
    Query(WhichLanguage { language }): Query<WhichLanguage>,
    headers: HeaderMap,
) -> Response {
    let asked = headers.get(ACCEPT_LANGUAGE);
    let asked = asked.and_then(|value| value.to_str().ok());
    let language = language.as_deref().or(asked);
    let language = language.map_or_else(Language::default, Language::from_accept_language);
    match site.0.trust() {
        Some(trust) => {
            let html = HeaderValue::from_static("text/html; charset=utf-8");
            ([(CONTENT_TYPE, html)], trust.html(language)).into_response()
        }
        None => Refusal::NotFound.into_response(),
    }
}

async fn authority(State(site): State<Site>) -> Response {
    match site.0.trust() {
        Some(trust) => {
            // The type by which systems offer to trust it.
            let certificate = HeaderValue::from_static("application/x-x509-ca-cert");
            ([(CONTENT_TYPE, certificate)], trust.certificate()).into_response()
        }
        None => Refusal::NotFound.into_response(),
    }
}

async fn trust_style() -> Response {
    let css = HeaderValue::from_static("text/css; charset=utf-8");
    ([(CONTENT_TYPE, css)], TRUST_STYLE).into_response()
}

// --- around every route ---

async fn within_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::TimedOut.into_response(),
    }
}

async fn protected(State(site): State<Site>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    // Also with a certificate by ACME: browsers that insist on one could not come any more without it.
    let transport_security = match site.0.trust {
        Some(_) => TransportSecurity::Lenient,
        None => TransportSecurity::Strict,
    };
    protect(response.headers_mut(), transport_security);
    response
}
