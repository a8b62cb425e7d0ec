//! The keeper against a scripted server, over real TLS: what no server for tests does when one wants it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use config::{AcmeSettings, DirectoryUrl};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType, date_time_ymd,
};
use room::{Fact, GuestCertificate, GuestCertificateReason as Reason, GuestCertificateState};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::issued::Issued;
use super::keeper::{Acme, AcmeParts};
use super::store::AcmeStore;

pub(super) const NAME: &str = "room.example.com";
const HOUR: Duration = Duration::from_secs(60 * 60);
/// Whatever can happen has happened before this is over.
const LONG: Duration = Duration::from_secs(20);

/// What the server says to an order, and to the question for the time of renewal.
#[derive(Clone, Debug)]
struct Script {
    order: (StatusCode, &'static str, String),
    retry_after: Option<&'static str>,
    renewal_window: Option<(String, String)>,
}

impl Script {
    fn refusing(status: u16, kind: &str) -> Self {
        let kind = format!("urn:ietf:params:acme:error:{kind}");
        let problem = json!({ "type": kind, "detail": "the words of the server" });
        Self {
            order: (
                StatusCode::from_u16(status).unwrap(),
                "application/problem+json",
                problem.to_string(),
            ),
            retry_after: None,
            renewal_window: None,
        }
    }
}

/// A server that plays a script, and a room's part that asks it.
struct Play {
    told: mpsc::Receiver<Fact>,
    orders: Arc<Mutex<Vec<Value>>>,
    renewals: super::Renewals,
    shown: super::Shown,
    state: TempDir,
    _tasks: JoinSet<()>,
}

impl Play {
    /// Begins with this certificate in the state directory, if any.
    async fn begin(script: Script, kept: Option<(SystemTime, SystemTime)>) -> Self {
        Self::begin_as(NAME, script, kept).await
    }

    /// The same for a room that has this name now.
    async fn begin_as(name: &str, script: Script, kept: Option<(SystemTime, SystemTime)>) -> Self {
        Self::begin_with(name, script, kept, |_, _| {}).await
    }

    /// The same after `prepare` has been given the state directory, and the URL of the server's directory.
    async fn begin_with(
        name: &str,
        script: Script,
        kept: Option<(SystemTime, SystemTime)>,
        prepare: impl FnOnce(&Path, &str),
    ) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut tasks = JoinSet::new();
        let orders = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let authority = state.path().join("server.pem");
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        let own = SanType::IpAddress(address.ip());
        params.subject_alt_names.push(own);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(&authority, certificate.pem()).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let tls = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let tls = TlsAcceptor::from(Arc::new(tls));
        let placed = Arc::clone(&orders);
        tasks.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serve(stream, &tls, address, &script, &placed).await;
            }
        });
        let directory = format!("https://{address}/directory");
        if let Some(validity) = kept {
            let store = AcmeStore::new(state.path());
            let issued = issued(validity, &directory);
            store.keep_certificate(&issued).await.unwrap();
        }
        prepare(state.path(), &directory);
        let settings = AcmeSettings {
            directory: DirectoryUrl::new(&directory).unwrap(),
            contact: None,
            authority: Some(authority),
            http_listen: None,
            external_account: None,
        };
        let (facts, told) = mpsc::channel(64);
        let parts = AcmeParts {
            name: name.to_owned(),
            state: state.path(),
            credentials: None,
            facts,
            address_changes: watch::channel(0).1,
        };
        let acme = Acme::prepare(&settings, parts).await.unwrap();
        let (renewals, shown) = (acme.renewals(), acme.shown());
        tasks.spawn(acme.keep());
        Self {
            told,
            orders,
            renewals,
            shown,
            state,
            _tasks: tasks,
        }
    }

    /// What is told next of a keeper that waits, and until when.
    async fn waiting(&mut self) -> (GuestCertificate, SystemTime) {
        loop {
            let told = tokio::time::timeout(LONG, self.told.recv()).await;
            let Some(Fact::GuestCertificate(told)) = told.expect("it tells") else {
                panic!("nothing else is told");
            };
            if let GuestCertificateState::Waiting { until } = told.state {
                return (*told, until);
            }
        }
    }

    fn orders(&self) -> Vec<Value> {
        self.orders.lock().unwrap().clone()
    }
}

/// A certificate of an authority whose key it names.
pub(super) fn issued((start, end): (SystemTime, SystemTime), directory: &str) -> Issued {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = date_time_ymd(2020, 1, 1);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = (start.into(), end.into());
    let key = KeyPair::generate().unwrap();
    let chain = params.signed_by(&key, &issuer).unwrap().pem();
    Issued::new(&chain, &key.serialize_pem(), directory).unwrap()
}

async fn serve(
    stream: TcpStream,
    tls: &TlsAcceptor,
    address: SocketAddr,
    script: &Script,
    orders: &Mutex<Vec<Value>>,
) {
    let Ok(stream) = tls.accept(stream).await else {
        return;
    };
    let service = service_fn(|request: Request<Incoming>| async move {
        Ok::<_, Infallible>(answer(request, address, script, orders).await)
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A client that hangs up has what it wanted.
    let _ = connection.await;
}

async fn answer(
    request: Request<Incoming>,
    address: SocketAddr,
    script: &Script,
    orders: &Mutex<Vec<Value>>,
) -> Response<Full<Bytes>> {
    let url = |path: &str| format!("https://{address}/{path}");
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let response = Response::builder().header("Replay-Nonce", "a-nonce");
    let json = |text: String| Full::from(text);
    match path.as_str() {
        "/directory" => {
            let mut directory = json!({
                "newNonce": url("nonce"),
                "newAccount": url("account"),
                "newOrder": url("order"),
                "revokeCert": url("revoke"),
                "keyChange": url("key"),
            });
            if script.renewal_window.is_some() {
                directory["renewalInfo"] = url("renewal").into();
            }
            response.body(json(directory.to_string()))
        }
        "/nonce" => response.body(Full::default()),
        "/account" => {
            let response = response.status(201).header("Location", url("account/1"));
            response.body(json("{\"status\":\"valid\"}".to_owned()))
        }
        "/order" => {
            let jws: Value = serde_json::from_slice(&body).unwrap();
            let payload = URL_SAFE_NO_PAD.decode(jws["payload"].as_str().unwrap());
            let payload = serde_json::from_slice(&payload.unwrap()).unwrap();
            orders.lock().unwrap().push(payload);
            let (status, kind, text) = script.order.clone();
            let mut response = response.status(status).header("Content-Type", kind);
            if let Some(after) = script.retry_after {
                response = response.header("Retry-After", after);
            }
            response.body(json(text))
        }
        renewal if renewal.starts_with("/renewal/") => {
            let (start, end) = script.renewal_window.clone().unwrap();
            let info = json!({ "suggestedWindow": { "start": start, "end": end } });
            let response = response.header("Retry-After", "21600");
            response.body(json(info.to_string()))
        }
        _ => response.status(404).body(Full::default()),
    }
    .unwrap()
}

/// Good since a day, for ninety.
fn young() -> Option<(SystemTime, SystemTime)> {
    let start = SystemTime::now() - 24 * HOUR;
    Some((start, start + 90 * 24 * HOUR))
}

#[tokio::test]
async fn a_limit_of_the_server_is_kept_to_even_when_the_owner_asks() {
    let mut script = Script::refusing(429, "rateLimited");
    script.retry_after = Some("86400");
    let mut play = Play::begin(script, None).await;
    let (told, until) = play.waiting().await;
    let failure = told.failure.unwrap();
    assert_eq!(failure.reason, Reason::RateLimited);
    assert_eq!(failure.detail, "the words of the server");
    assert!(until > failure.at + 23 * HOUR, "{until:?}");
    assert_eq!(play.renewals.renew(), super::Renewal::Asked);
    // The wish was heard once there is room for another one.
    let heard = async {
        while play.renewals.renew() == super::Renewal::UnderWay {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, heard).await.unwrap();
    assert_eq!(play.orders().len(), 1);
}

#[tokio::test]
async fn a_server_that_fails_without_words_is_waited_for() {
    let huge = "x".repeat(512 * 1024);
    for (status, text, reason) in [
        (503, "<html>busy</html>".to_owned(), Reason::ServerFault),
        (429, String::new(), Reason::RateLimited),
        (200, huge, Reason::ServerFault),
        (200, "{".to_owned(), Reason::ServerFault),
    ] {
        let mut script = Script::refusing(status, "");
        script.order.1 = "text/html";
        script.order.2 = text;
        let mut play = Play::begin(script, None).await;
        let (told, until) = play.waiting().await;
        let failure = told.failure.unwrap();
        assert_eq!(failure.reason, reason, "{status}: {}", failure.detail);
        assert!(until >= failure.at + Duration::from_secs(120));
    }
}

#[tokio::test]
async fn a_certificate_waits_for_the_window_of_its_server() {
    let mut script = Script::refusing(500, "serverInternal");
    // Far from two thirds of its time.
    script.renewal_window = Some(("2999-01-01T00:00:00Z".into(), "2999-01-02T00:00:00Z".into()));
    let mut play = Play::begin(script, young()).await;
    let (told, until) = play.waiting().await;
    assert!(told.not_after.is_some() && told.failure.is_none());
    // Asked again as the server says, in six hours.
    let ahead = until.duration_since(SystemTime::now()).unwrap();
    assert!(ahead > 5 * HOUR && ahead <= 6 * HOUR, "{ahead:?}");
    assert!(play.orders().is_empty());
    // Nothing is registered for a question.
    assert!(AcmeStore::new(play.state.path()).account().is_none());
}

#[tokio::test]
async fn a_window_that_is_past_renews_at_once_and_names_what_is_replaced() {
    let mut script = Script::refusing(500, "serverInternal");
    script.renewal_window = Some(("2020-01-01T00:00:00Z".into(), "2020-01-02T00:00:00Z".into()));
    let mut play = Play::begin(script, young()).await;
    let (told, _) = play.waiting().await;
    // What is there goes on.
    assert!(told.not_after.is_some());
    assert_eq!(told.failure.unwrap().reason, Reason::ServerFault);
    let orders = play.orders();
    let replaces = orders[0]["replaces"].as_str().unwrap();
    assert!(replaces.split_once('.').is_some(), "{replaces}");
    assert_eq!(orders[0]["identifiers"][0]["value"], NAME);
}

#[tokio::test]
async fn a_renewal_that_the_server_does_not_know_is_a_plain_order() {
    let mut script = Script::refusing(409, "alreadyReplaced");
    script.renewal_window = Some(("2020-01-01T00:00:00Z".into(), "2020-01-02T00:00:00Z".into()));
    let mut play = Play::begin(script, young()).await;
    play.waiting().await;
    let orders = play.orders();
    assert_eq!(orders.len(), 2);
    assert!(orders[0].get("replaces").is_some() && orders[1].get("replaces").is_none());
}

#[tokio::test]
async fn a_certificate_that_has_not_begun_means_that_the_clock_is_behind() {
    let script = Script::refusing(500, "serverInternal");
    let start = SystemTime::now() + 24 * 365 * HOUR;
    let mut play = Play::begin(script, Some((start, start + 90 * 24 * HOUR))).await;
    let (told, until) = play.waiting().await;
    assert!(told.not_after.is_some() && told.failure.is_none());
    assert!(until < SystemTime::now() + HOUR);
    assert!(play.orders().is_empty());
}

#[tokio::test]
async fn a_certificate_that_seems_to_have_ended_goes_on_until_there_is_another() {
    let script = Script::refusing(403, "unauthorized");
    let end = SystemTime::now() - 14 * 365 * 24 * HOUR;
    let mut play = Play::begin(script, Some((end - 90 * 24 * HOUR, end))).await;
    let (told, _) = play.waiting().await;
    assert_eq!(told.failure.unwrap().reason, Reason::AccountRefused);
    assert!(
        told.not_after
            .is_some_and(|shown| shown < SystemTime::now())
    );
    assert!(play.shown.has_certificate());
    let kept = AcmeStore::new(play.state.path()).certificate().unwrap();
    assert!(kept.names(NAME));
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_shown_and_another_is_ordered() {
    let script = Script::refusing(403, "rejectedIdentifier");
    let mut play = Play::begin_as("hall.example.com", script, young()).await;
    let (told, _) = play.waiting().await;
    assert_eq!(told.name, "hall.example.com");
    assert_eq!(told.not_after, None);
    assert_eq!(told.failure.unwrap().reason, Reason::NameRefused);
    assert!(!play.shown.has_certificate());
    let orders = play.orders();
    assert_eq!(orders[0]["identifiers"][0]["value"], "hall.example.com");
}

/// What is kept of an order that failed just now, and whose server wants no other for a day.
fn keep_failure(state: &Path, directory: &str, name: &str) {
    let now = crate::unix_time::unix_seconds(SystemTime::now());
    let text = format!(
        "directory = \"{directory}\"\nname = \"{name}\"\njitter = 0\ncount = 1\nfailed_at = {now}\n\
         retry_after = {}\n",
        now + 86_400
    );
    std::fs::write(state.join("guests-acme.toml"), text).unwrap();
}

#[tokio::test]
async fn what_failed_before_the_start_counts_for_that_server_and_that_name() {
    for (of_this_server, name, orders) in [
        (true, NAME, 0),
        (false, NAME, 1),
        (true, "another.example.com", 1),
    ] {
        let script = Script::refusing(403, "rejectedIdentifier");
        let mut play = Play::begin_with(NAME, script, None, |state, directory| {
            let other = "https://ca.example/directory";
            keep_failure(state, if of_this_server { directory } else { other }, name);
        })
        .await;
        play.waiting().await;
        assert_eq!(play.orders().len(), orders, "{of_this_server} {name}");
    }
}

#[tokio::test]
async fn nothing_is_ordered_unasked_where_a_restart_would_not_know_of_it() {
    let script = Script::refusing(403, "rejectedIdentifier");
    let mut play = Play::begin_with(NAME, script, None, |state, _| {
        std::fs::create_dir(state.join("guests-acme.toml")).unwrap();
    })
    .await;
    let (told, until) = play.waiting().await;
    let failure = told.failure.unwrap();
    assert_eq!(failure.reason, Reason::NotStored);
    assert!(until >= failure.at + Duration::from_secs(120));
    assert_eq!(play.orders(), Vec::<Value>::new());
}
