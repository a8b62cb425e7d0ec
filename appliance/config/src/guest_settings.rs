//! `[guests]`: people who join by a browser.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::secret::SecretSource;
use crate::settings::{Host, HostPort};

/// The HTTPS port, which URLs leave out.
const HTTPS_PORT: u16 = 443;
/// The longest URL of a TURN server that is taken.
const LONGEST_TURN_URL: usize = 512;

/// `[guests]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestSettings {
    /// Where pages are served; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where guests find them; `None`: at an address of this machine, by the port of `listen`.
    pub public_url: Option<PublicUrl>,
    /// By what the server proves itself.
    pub identity: GuestServerIdentity,
    /// Sessions at a time, 1 to 16.
    pub max_guests: u8,
    /// Whether somebody in the room lets guests in, where a link does not say.
    pub admit: Admit,
    /// How long a link is good for, where it does not say: 5 minutes to 30 days.
    pub link_lifetime: Duration,
    /// The TCP port by which media of guests comes whose network lets no UDP out; 0 lets the system choose, `None`: none
    /// does.
    pub media_tcp_port: Option<u16>,
    /// The addresses of the router that forwards the ports for media to this machine, under the same numbers: at most
    /// one of each IP version.
    pub public_addresses: Vec<IpAddr>,
    /// By which servers pages and the room go where they have no direct way.
    pub turn: Vec<TurnServer>,
}

/// By what the guests' server proves itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuestServerIdentity {
    /// A certificate of the room's own authority, which is made at the first start.
    LocalAuthority,
    /// The owner's certificate.
    Certificate {
        /// The certificate chain (PEM).
        certificate: PathBuf,
        /// Its private key (PEM).
        key: PathBuf,
    },
    /// A certificate of an ACME server (RFC 8555) for the host of `public_url`, which is a name. Until it has
    /// come, and for everything else that the server is called, it is one of the room's own authority.
    Acme(AcmeSettings),
}

/// `[guests.acme]`: who certifies the guests' server. Its terms of service are agreed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeSettings {
    /// Where the server's directory is (RFC 8555 section 7.1.1).
    pub directory: DirectoryUrl,
    /// Whom the server may write to.
    pub contact: Option<MailAddress>,
    /// Whose certificate the server itself shows (PEM); `None`: one that the system trusts.
    pub authority: Option<PathBuf>,
    /// Where HTTP-01 is answered (RFC 8555 section 8.3); `None`: the name is proven by TLS-ALPN-01
    /// (RFC 8737), at the guests' own listener.
    pub http_listen: Option<SocketAddr>,
    /// By what the server knows the owner already.
    pub external_account: Option<ExternalAccount>,
}

/// A key by which a new account is bound to one that the owner has (RFC 8555 section 7.3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAccount {
    /// The name of the key.
    pub id: String,
    /// Where the key is kept, in base64url as servers hand it out.
    pub key: SecretSource,
}

/// The longest URL of an ACME server that is taken.
const LONGEST_DIRECTORY_URL: usize = 1024;

/// The `https` URL of an ACME server's directory, kept as written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DirectoryUrl(String);

impl DirectoryUrl {
    /// Reads `https://HOST[:PORT]/PATH`. It has no user and no fragment.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("https://")?;
        let (server, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let plain = path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#');
        let valid = text.len() <= LONGEST_DIRECTORY_URL && plain && HostPort::new(server).is_some();
        valid.then(|| Self(text.to_owned()))
    }

    /// The URL as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `USER@DOMAIN`: one address, without the header fields that a `mailto:` URL may have (RFC 8555 section 7.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MailAddress(String);

impl MailAddress {
    /// Reads an address of at most 254 characters.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let (user, domain) = text.rsplit_once('@')?;
        // What a URL would have to escape, or read as more than one address.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!$'*+-/=^_`{|}~.".contains(&byte);
        let valid = text.len() <= 254
            && !user.is_empty()
            && user.bytes().all(plain)
            && matches!(Host::new(domain), Some(Host::Name(_)));
        valid.then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a guest waits for somebody in the room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Admit {
    /// Somebody in the room lets it in.
    #[default]
    Ask,
    /// Whoever has the link is in.
    Automatically,
}

/// Whether media of guests may come by TCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum MediaTcp {
    /// It may.
    #[default]
    On,
    /// It may not.
    Off,
}

/// `https://HOST` or `https://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PublicUrl(HostPort);

impl PublicUrl {
    /// Reads the URL. It has no path, query or user; a `/` at its end is dropped.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let scheme = text.get(..8)?;
        let rest = &text[8..];
        if !scheme.eq_ignore_ascii_case("https://") {
            return None;
        }
        let mut host_port = HostPort::new(rest.strip_suffix('/').unwrap_or(rest))?;
        host_port.port = host_port.port.filter(|port| *port != HTTPS_PORT);
        Some(Self(host_port))
    }

    /// The URL of an address.
    #[must_use]
    pub fn of_address(address: SocketAddr) -> Self {
        Self(HostPort {
            host: Host::Address(address.ip()),
            port: Some(address.port()).filter(|port| *port != HTTPS_PORT),
        })
    }

    /// Its host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.0.host
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port.unwrap_or(HTTPS_PORT)
    }

    /// Its host, with the port where that is not HTTPS's own, as a browser sends it in `Host`.
    #[must_use]
    pub fn authority(&self) -> String {
        self.0.to_string()
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.0)
    }
}

/// One `[[guests.turn]]`: a TURN server (RFC 8656) of pages and of the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnServer {
    /// At least one.
    pub urls: Vec<TurnUrl>,
    /// By what the server knows us.
    pub credentials: TurnCredentials,
}

/// By what a TURN server knows who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TurnCredentials {
    /// A user of the server (RFC 8489 section 9.2).
    Password {
        /// Who asks.
        username: String,
        /// Where its password is kept. Every guest's page is told it.
        password: SecretSource,
    },
    /// A secret of which user names and passwords are made that hold for a time
    /// (draft-uberti-behave-turn-rest-00). Pages are told those, never the secret.
    SharedSecret(SecretSource),
}

/// By what a TURN server is spoken with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TurnTransport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// DTLS over UDP, which some browsers speak; the room does not.
    Dtls,
}

impl TurnTransport {
    /// The port where a URI names none (RFC 8656 section 18.1).
    const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 3478,
            Self::Tls | Self::Dtls => 5349,
        }
    }
}

/// A `turn:` or `turns:` URI (RFC 7065), kept as written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TurnUrl(String);

impl TurnUrl {
    /// Reads `turn:HOST[:PORT][?transport=udp|tcp]`, or the same with `turns:`.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let (server, query) = match rest.split_once('?') {
            None => (rest, None),
            Some((server, query)) => (server, Some(query)),
        };
        let valid = text.len() <= LONGEST_TURN_URL
            && matches!(scheme, "turn" | "turns")
            && matches!(query, None | Some("transport=udp" | "transport=tcp"))
            && HostPort::new(server).is_some();
        valid.then(|| Self(text.to_owned()))
    }

    /// The URI as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// By what the server is spoken with.
    #[must_use]
    pub fn transport(&self) -> TurnTransport {
        match (self.0.starts_with("turns:"), self.0.rsplit_once('?')) {
            (false, Some((_, "transport=tcp"))) => TurnTransport::Tcp,
            (false, _) => TurnTransport::Udp,
            (true, Some((_, "transport=udp"))) => TurnTransport::Dtls,
            (true, _) => TurnTransport::Tls,
        }
    }

    /// The server's host and port.
    #[must_use]
    pub fn server(&self) -> (Host, u16) {
        let (_, rest) = self.0.split_once(':').unwrap_or_default();
        let server = rest.split_once('?').map_or(rest, |(server, _)| server);
        let server = HostPort::new(server).expect("checked when it was read");
        let port = server.port.unwrap_or(self.transport().default_port());
        (server.host, port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_a_host_with_or_without_a_port() {
        for (text, shown, authority) in [
            (
                "https://room.example.com",
                "https://room.example.com",
                "room.example.com",
            ),
            (
                "HTTPS://Room.example.com/",
                "https://room.example.com",
                "room.example.com",
            ),
            (
                "https://room.example.com:443",
                "https://room.example.com",
                "room.example.com",
            ),
            (
                "https://192.0.2.7:8443",
                "https://192.0.2.7:8443",
                "192.0.2.7:8443",
            ),
            (
                "https://[2001:db8::1]",
                "https://[2001:db8::1]",
                "[2001:db8::1]",
            ),
        ] {
            let url = PublicUrl::new(text).unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(url.authority(), authority);
        }
        for text in [
            "",
            "https://",
            "http://room.example.com",
            "room.example.com",
            "https://room.example.com/path",
            "https://user@room.example.com",
            "https://room.example.com?a",
            "https://room.example.com#a",
            "https://ro\u{e9}m",
        ] {
            assert_eq!(PublicUrl::new(text), None, "{text}");
        }
    }

    #[test]
    fn a_directory_is_an_https_url_and_a_contact_one_mail_address() {
        for text in [
            "https://acme-v02.api.letsencrypt.org/directory",
            "https://ca.example:9000/acme/acme/directory?profile=a",
            "https://[::1]:14000/dir",
            "https://ca.example",
        ] {
            assert_eq!(DirectoryUrl::new(text).unwrap().as_str(), text);
        }
        for text in [
            "",
            "http://ca.example/directory",
            "https:///directory",
            "https://user@ca.example/",
            "https://ca.example/#a",
            "https://ca.example/a b",
        ] {
            assert_eq!(DirectoryUrl::new(text), None, "{text}");
        }
        assert!(MailAddress::new("room.owner+acme@mail.example.com").is_some());
        for text in [
            "",
            "owner",
            "@example.com",
            "owner@",
            "a@b.example,c@d.example",
            "a@b.example?subject=x",
            "a@192.0.2.1",
        ] {
            assert_eq!(MailAddress::new(text), None, "{text}");
        }
    }

    #[test]
    fn a_turn_url_names_a_server_and_perhaps_a_transport() {
        for text in [
            "turn:turn.example.com",
            "turn:192.0.2.1:3478?transport=tcp",
            "turns:[2001:db8::1]:443?transport=tcp",
        ] {
            assert_eq!(TurnUrl::new(text).unwrap().as_str(), text);
        }
        for (text, transport, port) in [
            ("turn:a.example", TurnTransport::Udp, 3478),
            ("turn:a.example:99?transport=tcp", TurnTransport::Tcp, 99),
            ("turns:a.example?transport=tcp", TurnTransport::Tls, 5349),
            ("turns:a.example", TurnTransport::Tls, 5349),
            ("turns:a.example?transport=udp", TurnTransport::Dtls, 5349),
        ] {
            let url = TurnUrl::new(text).unwrap();
            assert_eq!(url.transport(), transport, "{text}");
            assert_eq!(url.server(), (Host::new("a.example").unwrap(), port));
        }
        for text in [
            "",
            "stun:a.example",
            "turn:",
            "turn:a?transport=sctp",
            "turn://a",
            "turn:a b",
        ] {
            assert_eq!(TurnUrl::new(text), None, "{text}");
        }
    }
}
