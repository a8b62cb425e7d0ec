//! Via (RFC 3261 §20.42) with `received` and `rport` (RFC 3581).

use std::fmt;
use std::net::SocketAddr;

use super::header_name::HeaderName;
use super::headers::{HeaderValue, Placement, TypedHeader};
use super::host::Host;
use super::params::Params;
use super::syntax::Cursor;
use crate::error::{SyntaxError, ValueRefused};

/// What every branch begins with since RFC 3261 (§8.1.1.7).
pub(crate) const MAGIC_COOKIE: &str = "z9hG4bK";

/// The transport that a Via names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // each variant is the transport of its name
pub enum ViaTransport {
    Udp,
    Tcp,
    Tls,
    Sctp,
    Ws,
    Wss,
    /// Any other token.
    Other(UnknownTransport),
}

/// The spelling of a transport that has no variant of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownTransport(String);

/// What a Via says about the source port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rport {
    /// No `rport`: answers go to the sent-by port.
    Absent,
    /// `rport` without a value: answers are to go to the port that the request came from.
    Requested,
    /// `rport=N`, filled in by the receiver.
    Port(u16),
}

/// One Via value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    transport: ViaTransport,
    host: Host,
    port: Option<u16>,
    params: Params,
}

impl Via {
    /// `SIP/2.0/transport host[:port];branch=...`
    ///
    /// # Errors
    /// When the branch is no token.
    pub fn new(
        transport: ViaTransport,
        host: Host,
        port: Option<u16>,
        branch: &str,
    ) -> Result<Self, ValueRefused> {
        let mut params = Params::default();
        params.set_token("branch", branch)?;
        Ok(Self {
            transport,
            host,
            port,
            params,
        })
    }

    /// The same Via that asks for `rport`.
    #[must_use]
    pub fn with_rport(mut self) -> Self {
        self.params.set_flag("rport").expect("`rport` is a token");
        self
    }

    /// The same Via whose sender takes requests to its sent-by address over the connection that this
    /// one comes by (RFC 5923 section 5).
    #[must_use]
    pub fn with_alias(mut self) -> Self {
        self.params.set_flag("alias").expect("`alias` is a token");
        self
    }

    /// Whether requests to the sent-by address may take the connection that this one has come by.
    #[must_use]
    pub fn is_alias(&self) -> bool {
        self.params.contains("alias")
    }

    /// The transport.
    #[must_use]
    pub const fn transport(&self) -> &ViaTransport {
        &self.transport
    }

    /// The host of sent-by.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port of sent-by.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The branch, which identifies the transaction.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        self.params.get("branch")
    }

    /// Whether the branch is one of RFC 3261 (§8.1.1.7), which alone identifies the transaction: the magic cookie
    /// with something behind it. The cookie alone is what RFC 4475 §3.2.1 warns of.
    #[must_use]
    pub fn has_unique_branch(&self) -> bool {
        let branch = self.branch().unwrap_or_default().as_bytes();
        branch
            .split_at_checked(MAGIC_COOKIE.len())
            .is_some_and(|(start, rest)| {
                start.eq_ignore_ascii_case(MAGIC_COOKIE.as_bytes()) && !rest.is_empty()
            })
    }

    /// The address that the receiver saw.
    #[must_use]
    pub fn received(&self) -> Option<Host> {
        let text = self.params.get("received")?;
        match text.parse::<std::net::IpAddr>() {
            Ok(address) => Some(Host::Address(address)),
            Err(_) => text.parse().ok(),
        }
    }

    /// The source port as asked for or filled in. A value that is no port counts as asked for.
    #[must_use]
    pub fn rport(&self) -> Rport {
        match self.params.get("rport").map(str::parse) {
            Some(Ok(port)) => Rport::Port(port),
            Some(Err(_)) => Rport::Requested,
            None if self.params.contains("rport") => Rport::Requested,
            None => Rport::Absent,
        }
    }

    /// All parameters.
    #[must_use]
    pub const fn params(&self) -> &Params {
        &self.params
    }

    /// Notes where the request came from: `received` when sent-by names another address or when `rport` is there
    /// (RFC 3261 §18.2.1, RFC 3581 §4), and the port when it was asked for.
    pub fn note_source(&mut self, source: SocketAddr) {
        let asked = self.rport() != Rport::Absent;
        if asked {
            self.params.set_number("rport", u32::from(source.port()));
        }
        if asked || self.host.address() != Some(source.ip()) {
            self.params.set_address("received", source.ip());
        }
    }
}

impl ViaTransport {
    /// The spelling on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Sctp => "SCTP",
            Self::Ws => "WS",
            Self::Wss => "WSS",
            Self::Other(UnknownTransport(spelling)) => spelling,
        }
    }

    fn from_token(token: &str) -> Self {
        const KNOWN: [ViaTransport; 6] = [
            ViaTransport::Udp,
            ViaTransport::Tcp,
            ViaTransport::Tls,
            ViaTransport::Sctp,
            ViaTransport::Ws,
            ViaTransport::Wss,
        ];
        KNOWN
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(token))
            .unwrap_or_else(|| Self::Other(UnknownTransport(token.to_owned())))
    }
}

impl HeaderValue for Via {
    const PLACEMENT: Placement = Placement::List;

    fn parse_value(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        cursor.skip_blanks();
        let transport = read_protocol(&mut cursor)?;
        let before = cursor.offset();
        cursor.skip_blanks();
        if cursor.offset() == before {
            return Err(cursor.expected("white space before the host"));
        }
        let host = Host::read(&mut cursor)?;
        let port = if cursor.eat_spaced(b':') {
            Some(cursor.number("a port")?)
        } else {
            None
        };
        let params = Params::read(&mut cursor)?;
        cursor.finish()?;
        Ok(Self {
            transport,
            host,
            port,
            params,
        })
    }
}

/// Reads `SIP / 2.0 / transport`. Other protocols and versions are not ours to answer.
fn read_protocol(cursor: &mut Cursor<'_>) -> Result<ViaTransport, SyntaxError> {
    let start = cursor.clone();
    if !cursor.token("SIP")?.eq_ignore_ascii_case("SIP") {
        return Err(start.expected("SIP"));
    }
    expect_slash(cursor)?;
    let start = cursor.clone();
    if cursor.token("2.0")? != "2.0" {
        return Err(start.expected("2.0"));
    }
    expect_slash(cursor)?;
    cursor.token("a transport").map(ViaTransport::from_token)
}

fn expect_slash(cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
    if cursor.eat_spaced(b'/') {
        Ok(())
    } else {
        Err(cursor.expected("`/`"))
    }
}

impl TypedHeader for Via {
    const NAME: HeaderName = HeaderName::Via;
}

impl fmt::Display for ViaTransport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Display for Via {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(formatter, ":{port}")?;
        }
        write!(formatter, "{}", self.params)
    }
}
