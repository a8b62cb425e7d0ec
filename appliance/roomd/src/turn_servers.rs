//! The TURN servers (RFC 8656) of guests' pages and of the room: where they are, and by what they know
//! who asks.
//!
//! Where a secret is shared with a server, name and password are made of it for a time
//! (draft-uberti-behave-turn-rest-00, section 2.2): the name says until when, and the password is the
//! name's HMAC.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use config::{Host, Secret, TurnTransport, TurnUrl};
use tokio_rustls::TlsConnector;
use webrtc::RelayCredentials;

use crate::error::Error;
use crate::sip_sockets::{TlsTrust, connector};
use crate::unix_time::unix_seconds;

/// The most that are asked for one guest: each gives an address, which pairs with each of the browser's.
const MOST_SERVERS: usize = 4;

/// How long the room's own names hold. A leg that lasts longer gets another address.
const OWN_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Whom the room is towards a server that shares a secret with it, and whom a guest is.
const OUR_NAME: &str = "roomd";

/// One way to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TurnWay {
    /// By what.
    pub(crate) transport: TurnTransport,
    /// Its host.
    pub(crate) host: Host,
    /// Its port.
    pub(crate) port: u16,
}

impl TurnWay {
    /// What a URI says of it.
    pub(crate) fn of(url: &TurnUrl) -> Self {
        let (host, port) = url.server();
        Self {
            transport: url.transport(),
            host,
            port,
        }
    }
}

/// One server.
pub(crate) struct TurnServer {
    urls: Vec<TurnUrl>,
    credentials: Credentials,
}

enum Credentials {
    Password { username: String, password: Secret },
    SharedSecret(Secret),
}

/// All of them. Clones share them.
#[derive(Clone)]
pub struct TurnServers(Arc<Parts>);

struct Parts {
    servers: Vec<TurnServer>,
    /// `None` where no server is asked by TLS.
    tls: Option<TlsConnector>,
}

impl fmt::Debug for TurnServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TurnServers")
    }
}

/// What a page is told of a server.
#[derive(Clone, Debug)]
pub(crate) struct PageServer {
    pub(crate) urls: Vec<String>,
    pub(crate) credentials: RelayCredentials,
}

impl TurnServers {
    /// Reads the passwords. `credentials_directory` is `$CREDENTIALS_DIRECTORY`; `trust` says whose
    /// certificates are accepted of servers by TLS.
    ///
    /// # Errors
    /// [`Error::TurnPassword`], and those of certificates.
    pub fn new(
        settings: &[config::TurnServer],
        credentials_directory: Option<&Path>,
        trust: &TlsTrust,
    ) -> Result<Self, Error> {
        let read = |source: &config::SecretSource| {
            let secret = source.read(credentials_directory);
            secret.map_err(|source| Error::TurnPassword { source })
        };
        let server = |server: &config::TurnServer| {
            Ok(TurnServer {
                urls: server.urls.clone(),
                credentials: match &server.credentials {
                    config::TurnCredentials::Password { username, password } => {
                        Credentials::Password {
                            username: username.clone(),
                            password: read(password)?,
                        }
                    }
                    config::TurnCredentials::SharedSecret(secret) => {
                        Credentials::SharedSecret(read(secret)?)
                    }
                },
            })
        };
        let mut urls = settings.iter().flat_map(|server| &server.urls);
        let asks_by_tls = urls.any(|url| url.transport() == TurnTransport::Tls);
        Ok(Self(Arc::new(Parts {
            servers: settings.iter().map(server).collect::<Result<_, Error>>()?,
            tls: asks_by_tls.then(|| connector(trust)).transpose()?,
        })))
    }

    /// What a page is told whose session lasts until `expires_at`.
    pub(crate) fn of_page(&self, expires_at: SystemTime) -> Vec<PageServer> {
        let servers = self.0.servers.iter().map(|server| PageServer {
            urls: server
                .urls
                .iter()
                .map(|url| url.as_str().to_owned())
                .collect(),
            credentials: server.credentials.until(expires_at),
        });
        servers.collect()
    }

    /// The numbers of those that the room asks.
    pub(crate) fn indices(&self) -> std::ops::Range<usize> {
        0..self.0.servers.len().min(MOST_SERVERS)
    }

    /// The ways to all servers as they are written, each with the number of its server.
    pub(crate) fn urls(&self) -> impl Iterator<Item = (usize, &TurnUrl)> {
        let servers = self.0.servers.iter().enumerate();
        servers.flat_map(|(index, server)| server.urls.iter().map(move |url| (index, url)))
    }

    /// The ways to a server, in the order in which they are tried.
    pub(crate) fn ways(&self, index: usize) -> Vec<TurnWay> {
        let urls = self.0.servers[index].urls.iter();
        let mut ways: Vec<TurnWay> = urls
            .filter(|url| url.transport() != TurnTransport::Dtls)
            .map(TurnWay::of)
            .collect();
        ways.sort_by_key(|way| way.transport);
        ways
    }

    /// By what a server knows the room, from now on for a day at least.
    pub(crate) fn own_credentials(&self, index: usize, now: SystemTime) -> RelayCredentials {
        self.0.servers[index].credentials.until(now + OWN_LIFETIME)
    }

    /// What opens connections by TLS.
    pub(crate) fn tls(&self) -> Option<&TlsConnector> {
        self.0.tls.as_ref()
    }
}

impl Credentials {
    fn until(&self, end: SystemTime) -> RelayCredentials {
        match self {
            Self::Password { username, password } => RelayCredentials {
                username: username.clone(),
                password: password.expose().to_owned(),
            },
            Self::SharedSecret(secret) => {
                let username = format!("{}:{OUR_NAME}", unix_seconds(end));
                // The draft's hash, which servers expect.
                let algorithm = hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY;
                let key = hmac::Key::new(algorithm, secret.expose().as_bytes());
                let password = BASE64_STANDARD.encode(hmac::sign(&key, username.as_bytes()));
                RelayCredentials { username, password }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unix_time::unix_time;

    fn server(urls: &[&str], credentials: Credentials) -> TurnServers {
        let urls = urls.iter().map(|url| TurnUrl::new(url).unwrap()).collect();
        TurnServers(Arc::new(Parts {
            servers: vec![TurnServer { urls, credentials }],
            tls: None,
        }))
    }

    fn shared() -> Credentials {
        Credentials::SharedSecret(Secret::new("north".to_owned()))
    }

    #[test]
    fn names_of_a_shared_secret_say_until_when_and_their_passwords_follow_from_it() {
        let servers = server(&["turn:a.example"], shared());
        let end = unix_time(1_790_000_000).unwrap();
        let told = servers.of_page(end).remove(0);
        assert_eq!(told.urls, ["turn:a.example"]);
        assert_eq!(told.credentials.username, "1790000000:roomd");
        // printf 1790000000:roomd | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(told.credentials.password, "Hf/W1Q/RbOtV6wPo5KaXxX684xI=");
    }

    #[test]
    fn a_password_is_told_as_it_is() {
        let password = Secret::new("s3cret".to_owned());
        let username = "room".to_owned();
        let servers = server(&["turn:a"], Credentials::Password { username, password });
        let own = servers.own_credentials(0, SystemTime::UNIX_EPOCH);
        assert_eq!((&*own.username, &*own.password), ("room", "s3cret"));
        assert_eq!(format!("{servers:?}"), "TurnServers");
    }

    #[test]
    fn udp_is_tried_before_tcp_and_tls_and_dtls_is_left_to_pages() {
        let urls = [
            "turns:a.example",
            "turns:a.example?transport=udp",
            "turn:a.example?transport=tcp",
            "turn:a.example:99",
        ];
        let ways = server(&urls, shared()).ways(0).into_iter();
        let ways: Vec<_> = ways.map(|way| (way.transport, way.port)).collect();
        let expected = [
            (TurnTransport::Udp, 99),
            (TurnTransport::Tcp, 3478),
            (TurnTransport::Tls, 5349),
        ];
        assert_eq!(ways, expected);
    }
}
