//! The `m=` line of floor control (RFC 8856): ours, and what it amounts to with the peer's.
//!
//! Who is the server is agreed by `a=floorctrl`; the server gives out the numbers of conference,
//! user and floor. We offer to be either, and name the numbers for the case that we are the server.
//! In answers we leave the server to a peer that offers to be it, as meeting bridges do.
//!
//! | offered | with numbers | our answer |
//! |---|---|---|
//! | `s-only` among others | yes | `c-only` |
//! | `c-only` among others, or nothing | | `s-only` |
//! | `c-s` | yes, over UDP | `c-s`: each has a server |
//! | anything else | | refused |

use rand_core::CryptoRng;
use sdp_types::{Attribute, Media};

use super::agreement::Answerer;
use super::capability::{CallMedia, LocalMedia};
use super::content::{
    BfcpTcp, ContentPorts, Fingerprint, FirstChoice, FloorConnection, FloorControlMedia,
    FloorControlRole, FloorIds, TcpSetup,
};
use super::error::LineRefusal;
use super::line_kind::BfcpTransport;
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

/// Our line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FloorLine {
    transport: BfcpTransport,
    port: u16,
    /// In an offer all that we would be, then what was agreed.
    roles: Vec<Role>,
    /// Where we are, or may become, the server.
    ids: Option<FloorIds>,
    tcp: Option<(TcpSetup, Connection)>,
    certificate: Option<Fingerprint>,
}

/// A line that both ends use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AgreedFloor {
    pub(super) line: FloorLine,
    pub(super) media: FloorControlMedia,
}

impl FloorLine {
    pub(super) fn offer(ports: &ContentPorts, rng: &mut impl CryptoRng) -> Self {
        Self {
            transport: BfcpTransport::Udp,
            port: ports.bfcp_udp,
            roles: vec![Role::Client, Role::Server],
            ids: Some(new_ids(None, rng)),
            tcp: None,
            certificate: None,
        }
    }

    /// The line for a later offer: the connection, where there is one, stands.
    pub(super) fn reoffered(mut self) -> Self {
        self.tcp = self.tcp.map(|(setup, _)| (setup, Connection::Existing));
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
        if let Some((setup, connection)) = self.tcp {
            push("setup", &setup_name(setup));
            let connection = match connection {
                Connection::New => "new",
                Connection::Existing => "existing",
            };
            push("connection", &connection);
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
        let theirs = ids_of(offered);
        let roles = roles_of(offered, Role::Client);
        let has = |role| roles.contains(&role);
        let role = if has(Role::Server) && theirs.is_some() {
            Role::Client
        } else if has(Role::Client) {
            Role::Server
        } else if has(Role::Both) && theirs.is_some() && transport == BfcpTransport::Udp {
            Role::Both
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
                let connection = match previous.map(|media| media.connection) {
                    Some(FloorConnection::Tcp { .. }) => Connection::Existing,
                    Some(FloorConnection::Udp { .. }) | None => Connection::New,
                };
                Some((answered_setup(offered)?, connection))
            }
        };
        let port = match (tcp, ports.bfcp_tcp) {
            (None, _) => ports.bfcp_udp,
            (Some((TcpSetup::Active, _)), BfcpTcp::Connect | BfcpTcp::Listen(_)) => NO_PORT,
            (Some((TcpSetup::Passive, _)), BfcpTcp::Listen(port)) => port,
            (Some(_), BfcpTcp::Off) | (Some((TcpSetup::Passive, _)), BfcpTcp::Connect) => {
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
            Some((setup, _)) => {
                let certificate = match self.transport {
                    BfcpTransport::Udp | BfcpTransport::Tcp => None,
                    BfcpTransport::Tls => {
                        let shown = theirs.values_anywhere("fingerprint");
                        let known = shown.filter_map(Fingerprint::parse).next();
                        Some(known.ok_or(LineRefusal::NoAcceptableKey)?)
                    }
                };
                FloorConnection::Tcp {
                    remote,
                    setup,
                    certificate,
                }
            }
        };
        let media = FloorControlMedia { role, connection };
        Ok(AgreedFloor { line: self, media })
    }
}

const fn reliability(transport: BfcpTransport) -> Reliability {
    match transport {
        BfcpTransport::Udp => Reliability::Unreliable,
        BfcpTransport::Tcp | BfcpTransport::Tls => Reliability::Reliable,
    }
}

const fn setup_name(setup: TcpSetup) -> &'static str {
    match setup {
        TcpSetup::Active => "active",
        TcpSetup::Passive => "passive",
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
