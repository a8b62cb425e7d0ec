//! The `m=` line of floor control (RFC 8856): ours, and what it amounts to with the peer's.
//!
//! Who is the server is agreed by `a=floorctrl`; the server gives out the numbers of conference,
//! user and floor. We offer to be either, and name the numbers for the case that we are the server.
//! In answers we leave the server to a peer that offers to be it, as meeting bridges do.
//!
//! | offered | with numbers | our answer |
//! |---|---|---|
//! | `s-only` among others, or `c-s` | yes | `c-only` |
//! | `c-only` among others, or `c-s`, or nothing | | `s-only` |
//! | anything else | | refused |
//!
//! `c-s` once meant a server at each end. It is read as either part, and never written (RFC 8856
//! section 5.1); an older system that answers so to an offer of ours gets a server at each end.
//!
//! Our offers name one transport, UDP unless the caller wants another.
//!
//! Over TCP and TLS the line says who connects, `a=setup`, and whether the connection that stands
//! goes on, `a=connection` (RFC 4145). Over a connection of its own kind each new one has a number:
//!
//! | offered | our connection | our answer |
//! |---|---|---|
//! | `new`, or nothing | | `new` |
//! | `existing` | stands | `existing` |
//! | `existing` | is lost, or there is none | `new` |
//!
//! TCP without TLS is refused where media has to be encrypted. UDP is not: there is no other way to
//! most systems, and who takes the floor gets no media by it.

use rand_core::CryptoRng;
use sdp_types::{Attribute, Media};

use super::agreement::Answerer;
use super::capability::{CallMedia, Capabilities, LocalMedia, MediaSecurity};
use super::content::{
    BfcpTcp, BfcpTransport, ContentPorts, FirstChoice, FloorConnection, FloorControlMedia,
    FloorControlRole, FloorIds, FloorLink, TcpSetup,
};
use super::error::LineRefusal;
use super::fingerprint::Fingerprint;
use super::local::{SLIDES_LABEL, empty_media};
use super::remote::{RemoteAddress, RemoteLine};
use crate::bfcp::{ConferenceId, FloorId, UserId, version_over};
use crate::transaction::Reliability;

/// The peer, in conferences of ours.
const PEER: UserId = UserId(2);
/// The one floor of our conferences.
const FLOOR: FloorId = FloorId(1);
/// The port that one writes who connects and does not listen (RFC 4145 section 4.1): discard.
const NO_PORT: u16 = 9;

/// A value of `a=floorctrl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Client,
    Server,
    Both,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Client => "c-only",
            Self::Server => "s-only",
            Self::Both => "c-s",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Client, Self::Server, Self::Both]
            .into_iter()
            .find(|role| role.name() == name)
    }
}

/// Whether a connection stands already (`a=connection`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    New,
    Existing,
}

/// Who connects (`a=setup`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setup {
    /// The peer may choose.
    Either,
    Agreed(TcpSetup),
}

/// What our line says of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TcpLine {
    setup: Setup,
    connection: Connection,
    /// Of the connection that stands, or is to be made.
    number: u32,
}

/// Our line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FloorLine {
    transport: BfcpTransport,
    port: u16,
    /// In an offer all that we would be, then what was agreed.
    roles: Vec<Role>,
    /// Where we are, or may become, the server.
    ids: Option<FloorIds>,
    tcp: Option<TcpLine>,
    certificate: Option<Fingerprint>,
}

/// A line that both ends use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AgreedFloor {
    pub(super) line: FloorLine,
    pub(super) media: FloorControlMedia,
}

impl FloorLine {
    /// Over the transport that is wanted, or over UDP where there is no port for it.
    pub(super) fn offer(
        capabilities: &Capabilities,
        ports: &ContentPorts,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let wanted = match (capabilities.floor_transport, capabilities.security) {
            (BfcpTransport::Tcp, MediaSecurity::SrtpRequired) => BfcpTransport::Tls,
            (transport, MediaSecurity::SrtpRequired | MediaSecurity::PlainAllowed) => transport,
        };
        let (transport, port, certificate) = match (wanted, ports.bfcp_tcp, ports.certificate) {
            (BfcpTransport::Tcp, BfcpTcp::Listen(port), _) => (BfcpTransport::Tcp, port, None),
            (BfcpTransport::Tls, BfcpTcp::Listen(port), Some(certificate)) => {
                (BfcpTransport::Tls, port, Some(certificate))
            }
            (BfcpTransport::Udp | BfcpTransport::Tcp | BfcpTransport::Tls, _, _) => {
                (BfcpTransport::Udp, ports.bfcp_udp, None)
            }
        };
        let tcp = match transport {
            BfcpTransport::Udp => None,
            BfcpTransport::Tcp | BfcpTransport::Tls => Some(TcpLine {
                setup: Setup::Either,
                connection: Connection::New,
                number: 0,
            }),
        };
        Self {
            transport,
            port,
            roles: vec![Role::Client, Role::Server],
            ids: Some(new_ids(None, rng)),
            tcp,
            certificate,
        }
    }

    /// The line for a later offer. A connection that is lost is to be made anew, by the same end.
    pub(super) fn reoffered(mut self, link: FloorLink) -> Self {
        self.tcp = self.tcp.map(|tcp| match link {
            FloorLink::Kept => TcpLine {
                connection: Connection::Existing,
                ..tcp
            },
            FloorLink::Lost => tcp.renewed(),
        });
        self
    }

    pub(super) fn write(&self) -> Media {
        let mut attributes = Vec::new();
        let mut push = |name: &str, value: &dyn std::fmt::Display| {
            attributes.push(Attribute::with_value(name, value));
        };
        let roles: Vec<&str> = self.roles.iter().map(|role| role.name()).collect();
        push("floorctrl", &roles.join(" "));
        if let Some(ids) = self.ids {
            push("confid", &ids.conference);
            push("userid", &ids.user);
            push(
                "floorid",
                &format_args!("{} mstrm:{SLIDES_LABEL}", ids.floor),
            );
        }
        if let Some(tcp) = self.tcp {
            push("setup", &setup_name(tcp.setup));
            push("connection", &tcp.connection.name());
        }
        if let Some(certificate) = &self.certificate {
            push("fingerprint", certificate);
        }
        push("bfcpver", &version_over(reliability(self.transport)));
        Media {
            media: "application".into(),
            port: self.port,
            proto: self.transport.name().into(),
            fmt: "*".into(),
            attributes,
            ..empty_media()
        }
    }

    /// Our line in answer to the peer's.
    pub(super) fn answer(
        answerer: &Answerer<'_>,
        local: &LocalMedia,
        transport: BfcpTransport,
        offered: RemoteLine<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<AgreedFloor, LineRefusal> {
        if offered.is_disabled() {
            return Err(LineRefusal::Disabled);
        }
        let ports = answerer
            .content_ports(local)
            .ok_or(LineRefusal::NotWanted)?;
        let unprotected = match transport {
            BfcpTransport::Tcp => true,
            BfcpTransport::Udp | BfcpTransport::Tls => false,
        };
        if unprotected && answerer.capabilities.security == MediaSecurity::SrtpRequired {
            return Err(LineRefusal::NoAcceptableKey);
        }
        let theirs = ids_of(offered);
        let roles = roles_of(offered, Role::Client);
        let would_be = |role| roles.contains(&role) || roles.contains(&Role::Both);
        let role = if would_be(Role::Server) && theirs.is_some() {
            Role::Client
        } else if would_be(Role::Client) {
            Role::Server
        } else {
            return Err(LineRefusal::NoFloorControlRole);
        };
        let previous = answerer.previous.and_then(CallMedia::floor_control);
        let ids = match role {
            Role::Client => None,
            Role::Server | Role::Both => Some(
                previous
                    .and_then(|media| own_ids(&media.role))
                    .unwrap_or_else(|| new_ids(theirs, rng)),
            ),
        };
        let tcp = match transport {
            BfcpTransport::Udp => None,
            BfcpTransport::Tcp | BfcpTransport::Tls => {
                let before = previous.and_then(|media| media.connection.number());
                let line = TcpLine::answer(offered, before, answerer.floor_link)?;
                Some(match answerer.replaced_connection {
                    Some(replaced) => TcpLine {
                        number: replaced.wrapping_add(1),
                        ..line
                    },
                    None => line,
                })
            }
        };
        let port = match (tcp.and_then(TcpLine::agreed_setup), ports.bfcp_tcp) {
            (None, _) => ports.bfcp_udp,
            (Some(TcpSetup::Active), BfcpTcp::Connect | BfcpTcp::Listen(_)) => NO_PORT,
            (Some(TcpSetup::Passive), BfcpTcp::Listen(port)) => port,
            (Some(_), BfcpTcp::Off) | (Some(TcpSetup::Passive), BfcpTcp::Connect) => {
                return Err(LineRefusal::UnsupportedTransport);
            }
        };
        let certificate = match transport {
            BfcpTransport::Udp | BfcpTransport::Tcp => None,
            BfcpTransport::Tls => Some(ports.certificate.ok_or(LineRefusal::NoAcceptableKey)?),
        };
        let line = Self {
            transport,
            port,
            roles: vec![role],
            ids,
            tcp,
            certificate,
        };
        line.agree(offered, role, FirstChoice::Peer, answerer.address)
    }

    /// What our offered line amounts to with the peer's answer.
    pub(super) fn answered(
        &self,
        answer: RemoteLine<'_>,
        address: std::net::IpAddr,
    ) -> Result<AgreedFloor, LineRefusal> {
        // Exactly one; a system that writes none is the server.
        let role = match roles_of(answer, Role::Server).as_slice() {
            [Role::Client] => Role::Server,
            [Role::Server] => Role::Client,
            [Role::Both] => Role::Both,
            _ => return Err(LineRefusal::NoFloorControlRole),
        };
        let line = Self {
            roles: vec![role],
            ids: match role {
                Role::Client => None,
                Role::Server | Role::Both => self.ids,
            },
            tcp: self.tcp.map(|tcp| tcp.answered(answer)).transpose()?,
            ..self.clone()
        };
        line.agree(answer, role, FirstChoice::Us, address)
    }

    fn agree(
        self,
        theirs: RemoteLine<'_>,
        role: Role,
        first: FirstChoice,
        address: std::net::IpAddr,
    ) -> Result<AgreedFloor, LineRefusal> {
        if !speaks(theirs, version_over(reliability(self.transport))) {
            return Err(LineRefusal::UnsupportedTransport);
        }
        let missing = LineRefusal::NoFloorControlRole;
        let their_ids = ids_of(theirs).ok_or(missing);
        let our_ids = self.ids.ok_or(missing);
        let role = match role {
            Role::Client => FloorControlRole::Client(their_ids?),
            Role::Server => FloorControlRole::Server(our_ids?),
            Role::Both => FloorControlRole::Both {
                client: their_ids?,
                server: our_ids?,
                first,
            },
        };
        let remote = match theirs.address(address)? {
            RemoteAddress::At(port) => Some(port.rtp),
            RemoteAddress::Nowhere => None,
        };
        let connection = match self.tcp {
            None => FloorConnection::Udp { remote },
            Some(tcp) => {
                let setup = tcp
                    .agreed_setup()
                    .ok_or(LineRefusal::UnsupportedTransport)?;
                let certificate = match self.transport {
                    BfcpTransport::Udp | BfcpTransport::Tcp => None,
                    BfcpTransport::Tls => {
                        Some(theirs.fingerprint().ok_or(LineRefusal::NoAcceptableKey)?)
                    }
                };
                FloorConnection::Tcp {
                    remote,
                    setup,
                    number: tcp.number,
                    certificate,
                }
            }
        };
        let media = FloorControlMedia { role, connection };
        Ok(AgreedFloor { line: self, media })
    }
}

impl Connection {
    const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Existing => "existing",
        }
    }

    /// What the peer says. Without the attribute it is a new one (RFC 4145 section 5.1).
    fn of(line: RemoteLine<'_>) -> Self {
        match line.values("connection").next().map(str::trim) {
            Some("existing") => Self::Existing,
            Some(_) | None => Self::New,
        }
    }
}

impl TcpLine {
    const fn agreed_setup(self) -> Option<TcpSetup> {
        match self.setup {
            Setup::Agreed(setup) => Some(setup),
            Setup::Either => None,
        }
    }

    /// Another connection in place of this one.
    const fn renewed(self) -> Self {
        Self {
            connection: Connection::New,
            number: self.number.wrapping_add(1),
            ..self
        }
    }

    /// Our answer, where `before` is the number of the connection that was agreed last.
    fn answer(
        offered: RemoteLine<'_>,
        before: Option<u32>,
        link: FloorLink,
    ) -> Result<Self, LineRefusal> {
        let standing = Self {
            setup: Setup::Agreed(answered_setup(offered)?),
            connection: Connection::Existing,
            number: before.unwrap_or_default(),
        };
        Ok(match (before, Connection::of(offered), link) {
            (Some(_), Connection::Existing, FloorLink::Kept) => standing,
            (Some(_), _, _) => standing.renewed(),
            (None, _, _) => Self {
                connection: Connection::New,
                ..standing
            },
        })
    }

    /// What we offered, with the peer's answer. A new connection needs an end that connects, and
    /// another that listens.
    fn answered(self, answer: RemoteLine<'_>) -> Result<Self, LineRefusal> {
        let line = match (self.connection, Connection::of(answer)) {
            (Connection::Existing, Connection::Existing) => return Ok(self),
            (Connection::Existing, Connection::New) => self.renewed(),
            (Connection::New, Connection::New | Connection::Existing) => self,
        };
        let setup = match (line.setup, answer.values("setup").next().map(str::trim)) {
            (Setup::Agreed(TcpSetup::Active), Some("passive") | None)
            | (Setup::Either, Some("passive")) => TcpSetup::Active,
            (Setup::Agreed(TcpSetup::Passive) | Setup::Either, Some("active") | None) => {
                TcpSetup::Passive
            }
            (Setup::Agreed(_) | Setup::Either, Some(_)) => {
                return Err(LineRefusal::UnsupportedTransport);
            }
        };
        Ok(Self {
            setup: Setup::Agreed(setup),
            ..line
        })
    }
}

const fn reliability(transport: BfcpTransport) -> Reliability {
    match transport {
        BfcpTransport::Udp => Reliability::Unreliable,
        BfcpTransport::Tcp | BfcpTransport::Tls => Reliability::Reliable,
    }
}

const fn setup_name(setup: Setup) -> &'static str {
    match setup {
        Setup::Either => "actpass",
        Setup::Agreed(TcpSetup::Active) => "active",
        Setup::Agreed(TcpSetup::Passive) => "passive",
    }
}

/// A conference that nobody else has, least of all the peer: where each has one, it tells whose
/// messages are meant.
fn new_ids(theirs: Option<FloorIds>, rng: &mut impl CryptoRng) -> FloorIds {
    // Some systems read the number as a signed one.
    let random = (rng.next_u32() >> 1).max(1);
    let taken = theirs.is_some_and(|ids| ids.conference.0 == random);
    FloorIds {
        conference: ConferenceId(if taken { random ^ 1 } else { random }),
        user: PEER,
        floor: FLOOR,
    }
}

fn own_ids(role: &FloorControlRole) -> Option<FloorIds> {
    match role {
        FloorControlRole::Client(_) => None,
        FloorControlRole::Server(ids) | FloorControlRole::Both { server: ids, .. } => Some(*ids),
    }
}

/// The numbers that the peer gives out.
fn ids_of(line: RemoteLine<'_>) -> Option<FloorIds> {
    fn number<T: std::str::FromStr>(text: Option<&str>) -> Option<T> {
        text?.split_ascii_whitespace().next()?.parse().ok()
    }
    Some(FloorIds {
        conference: ConferenceId(number(line.values("confid").next())?),
        user: UserId(number(line.values("userid").next())?),
        floor: FloorId(number(line.values("floorid").next())?),
    })
}

/// What the peer would be. Words that we do not know are skipped.
fn roles_of(line: RemoteLine<'_>, default: Role) -> Vec<Role> {
    match line.values("floorctrl").next() {
        Some(value) => value
            .split_ascii_whitespace()
            .filter_map(Role::parse)
            .collect(),
        None => vec![default],
    }
}

/// Whether the peer speaks a version of BFCP: those in `a=bfcpver`, or, where there is none, that
/// of the transport.
fn speaks(line: RemoteLine<'_>, version: u8) -> bool {
    line.values("bfcpver").next().is_none_or(|versions| {
        versions
            .split_ascii_whitespace()
            .any(|word| word.parse() == Ok(version))
    })
}

/// Who connects, by the peer's offer (RFC 4145 section 4.1).
fn answered_setup(offered: RemoteLine<'_>) -> Result<TcpSetup, LineRefusal> {
    match offered.values("setup").next().map(str::trim) {
        Some("active") | None => Ok(TcpSetup::Passive),
        Some("passive" | "actpass") => Ok(TcpSetup::Active),
        Some(_) => Err(LineRefusal::UnsupportedTransport),
    }
}
