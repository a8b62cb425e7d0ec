//! The attributes of ICE (RFC 8839): credentials and candidates of a line.
//!
//! | peer's line | our answer, and what is agreed |
//! |---|---|
//! | no credentials | none: media go to the address of the line |
//! | credentials, and no candidate with the address of the line | `a=ice-mismatch`, and as if there were no ICE (RFC 8839 section 4.2.5): somebody on the way has changed the address |
//! | credentials, and the address is a candidate | ICE |
//! | other credentials than before | other credentials of ours: a restart (RFC 8839 section 4.4.1.1.1) |
//! | `a=ice-lite` | ICE, and we select the pair, whoever offers (RFC 8445 section 6.1.1) |
//!
//! Each line has credentials of its own, so that one alone can be restarted. Ours have one candidate for
//! each port, the address that the line names. The selected pair is never another one on our side, so
//! that no offer of ours has to tell it (RFC 8839 section 4.4.1.2.2): `a=remote-candidates` of the peer
//! names what it found, which checks tell as well, and is passed over. Of `a=ice-options` none is ours:
//! `ice2` would promise that no pair is selected in place of another (RFC 8445 section 10), and `trickle`
//! that candidates are taken in INFO requests (RFC 8840).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, SeedableRng};
use room::codec::RtcpPort;
use sdp_types::Attribute;

use super::capability::LocalPort;
use super::remote::RemoteLine;

/// The most `a=candidate` lines that are read for one stream.
const MAX_CANDIDATES: usize = 32;
/// The longest `a=candidate` value that is read.
const MAX_CANDIDATE_BYTES: usize = 512;
/// Characters of a username fragment and of a password (RFC 8839 section 5.4).
const USERNAME_FRAGMENT_LENGTHS: std::ops::RangeInclusive<usize> = 4..=256;
const PASSWORD_LENGTHS: std::ops::RangeInclusive<usize> = 22..=256;
/// Of ours: six bits each, of which 24 and 128 have to be drawn (RFC 8445 section 5.3).
const OUR_USERNAME_FRAGMENT: usize = 8;
const OUR_PASSWORD: usize = 24;
/// `ice-char` (RFC 8839 section 5.1).
const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Whether calls use ICE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IceUse {
    /// Never: what a peer says of it is passed over.
    Off,
    /// When a peer offers it.
    #[default]
    Answered,
    /// Our offers have it as well.
    Offered,
}

/// What one end proves itself with in the checks of a line. Its `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// `a=ice-ufrag`.
    pub username_fragment: String,
    /// `a=ice-pwd`.
    pub password: String,
}

impl IceCredentials {
    fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut draw = |length: usize| {
            let mut octets = vec![0; length];
            rng.fill_bytes(&mut octets);
            let characters = octets
                .iter()
                .map(|octet| ICE_CHARS[usize::from(octet % 64)]);
            characters.map(char::from).collect()
        };
        Self {
            username_fragment: draw(OUR_USERNAME_FRAGMENT),
            password: draw(OUR_PASSWORD),
        }
    }
}

impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IceCredentials({})", self.username_fragment)
    }
}

/// Randomness for the credentials of restarts, which are asked for where none is at hand. Its `Debug`
/// does not show it.
#[derive(Clone)]
pub(super) struct IceSeed([u8; 32]);

impl IceSeed {
    pub(super) fn draw(rng: &mut impl CryptoRng) -> Self {
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        Self(seed)
    }

    /// What is drawn after the description of that `sess-version`.
    pub(super) fn rng(&self, version: u64) -> ChaCha20Rng {
        let mut rng = ChaCha20Rng::from_seed(self.0);
        rng.set_stream(version);
        rng
    }
}

impl fmt::Debug for IceSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IceSeed")
    }
}

/// Who selects the pair of addresses (RFC 8445 section 6.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IceRole {
    /// We do.
    Controlling,
    /// The peer does.
    Controlled,
}

/// What travels at a candidate (RFC 8445 section 13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IceComponent {
    /// RTP, and RTCP where it shares the port.
    Rtp,
    /// RTCP with a port of its own.
    Rtcp,
}

impl IceComponent {
    const fn number(self) -> u8 {
        match self {
            Self::Rtp => 1,
            Self::Rtcp => 2,
        }
    }
}

/// How a candidate is reached (RFC 8445 section 5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IceCandidateKind {
    /// An address of the machine itself.
    Host,
    /// What a NAT shows, learned from a STUN server.
    ServerReflexive,
    /// What a NAT shows, learned from a check.
    PeerReflexive,
    /// An address at a TURN server.
    Relayed,
}

impl IceCandidateKind {
    const ALL: [Self; 4] = [
        Self::Host,
        Self::ServerReflexive,
        Self::PeerReflexive,
        Self::Relayed,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
        }
    }
}

/// An address at which the peer may be reached by UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IceCandidate {
    /// What travels there.
    pub component: IceComponent,
    /// The address.
    pub address: SocketAddr,
    /// How it is reached.
    pub kind: IceCandidateKind,
    /// Greater is better.
    pub priority: u32,
}

impl IceCandidate {
    /// Reads a value of `a=candidate`. `None` for one that cannot be tried: another transport or
    /// component, a name, a port of no use.
    fn parse(value: &str) -> Option<Self> {
        if value.len() > MAX_CANDIDATE_BYTES {
            return None;
        }
        let mut fields = value.split_ascii_whitespace();
        let _foundation = fields.next()?;
        let component = match fields.next()? {
            "1" => IceComponent::Rtp,
            "2" => IceComponent::Rtcp,
            _ => return None,
        };
        fields
            .next()
            .filter(|transport| transport.eq_ignore_ascii_case("udp"))?;
        let priority = fields.next()?.parse().ok()?;
        let address: IpAddr = fields.next()?.parse().ok()?;
        let port = fields.next()?.parse().ok().filter(|port| *port != 0)?;
        fields.next().filter(|word| *word == "typ")?;
        let kind = fields.next()?;
        let kind = IceCandidateKind::ALL
            .into_iter()
            .find(|known| known.name() == kind)?;
        Some(Self {
            component,
            address: SocketAddr::new(address, port),
            kind,
            priority,
        })
    }
}

/// ICE of one stream, as it was agreed.
///
/// While the credentials of both ends stay, its checks go on; others are a restart (RFC 8445 section 9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceStream {
    /// Ours.
    pub local: IceCredentials,
    /// The peer's.
    pub remote: IceCredentials,
    /// Our part.
    pub role: IceRole,
    /// Where the peer may be reached, at most 32 addresses: of our own IP version, each of one host.
    pub candidates: Vec<IceCandidate>,
    /// Our own address, which the peer knows as a candidate.
    pub address: IpAddr,
}

/// ICE of the streams of a call, `None` for a stream whose media go to the address of its line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IceMedia {
    /// Audio.
    pub audio: Option<IceStream>,
    /// Video.
    pub video: Option<IceStream>,
}

/// What our line says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum IceLine {
    /// Credentials and candidates.
    Candidates {
        credentials: IceCredentials,
        role: IceRole,
    },
    /// The address of the peer's line is none of its candidates.
    Mismatch,
}

impl IceLine {
    /// For a first offer, whose maker selects (RFC 8445 section 6.1.1).
    pub(super) fn offer(rng: &mut impl CryptoRng) -> Self {
        Self::Candidates {
            credentials: IceCredentials::generate(rng),
            role: IceRole::Controlling,
        }
    }

    /// In answer to the peer's line; `previous` is what is agreed so far, and `address` where we are.
    pub(super) fn answer(
        offered: RemoteLine<'_>,
        address: IpAddr,
        previous: Option<&IceStream>,
        rng: &mut impl CryptoRng,
    ) -> Option<Self> {
        let theirs = offered.ice_credentials()?;
        let role = previous.map_or(IceRole::Controlled, |previous| previous.role);
        let credentials = previous
            .filter(|previous| previous.remote == theirs && previous.address == address)
            .map(|previous| previous.local.clone());
        Some(Self::Candidates {
            credentials: credentials.unwrap_or_else(|| IceCredentials::generate(rng)),
            role,
        })
    }

    /// The line in a later offer of ours. Only an answer says that something does not match.
    pub(super) fn reoffered(self) -> Option<Self> {
        match self {
            Self::Candidates { .. } => Some(self),
            Self::Mismatch => None,
        }
    }

    /// The line in a later offer of ours after we have moved: a restart (RFC 8445 section 9).
    pub(super) fn restarted(self, rng: &mut impl CryptoRng) -> Option<Self> {
        match self {
            Self::Candidates { role, .. } => Some(Self::Candidates {
                credentials: IceCredentials::generate(rng),
                role,
            }),
            Self::Mismatch => None,
        }
    }

    /// What our line and the peer's amount to: what ours says then, and ICE where both have it. Where
    /// nothing of ours can be a candidate, there is none.
    pub(super) fn agree(
        &self,
        theirs: RemoteLine<'_>,
        address: IpAddr,
        rtcp: RtcpPort,
    ) -> (Option<Self>, Option<IceStream>) {
        let (Self::Candidates { credentials, role }, Some(remote)) =
            (self, theirs.ice_credentials())
        else {
            return (None, None);
        };
        if !can_be_candidate(address) {
            return (None, None);
        }
        let stated = theirs.ice_candidates();
        if !theirs.has_its_address_in(&stated, address, rtcp) {
            return (Some(Self::Mismatch), None);
        }
        let role = match theirs.is_ice_lite() {
            true => IceRole::Controlling,
            false => *role,
        };
        let usable = stated
            .into_iter()
            .filter(|candidate| may_be_tried(candidate.address.ip(), address));
        let line = Self::Candidates {
            credentials: credentials.clone(),
            role,
        };
        let stream = IceStream {
            local: credentials.clone(),
            remote,
            role,
            candidates: usable.collect(),
            address,
        };
        (Some(line), Some(stream))
    }

    /// The attributes of a line whose media come to those ports of `address`. RTCP has a candidate where
    /// it may come to its own port.
    pub(super) fn attributes(
        &self,
        address: IpAddr,
        port: LocalPort,
        has_rtcp_port: bool,
    ) -> Vec<Attribute> {
        let credentials = match self {
            Self::Mismatch => return vec![Attribute::new("ice-mismatch")],
            Self::Candidates { .. } if !can_be_candidate(address) => return Vec::new(),
            Self::Candidates { credentials, .. } => credentials,
        };
        let rtcp = has_rtcp_port.then_some((IceComponent::Rtcp, port.rtcp));
        let candidates = [Some((IceComponent::Rtp, port.rtp)), rtcp];
        let candidates = candidates.into_iter().flatten().map(|(component, port)| {
            let (number, priority) = (component.number(), host_priority(component));
            let kind = IceCandidateKind::Host.name();
            let value = format!("1 {number} UDP {priority} {address} {port} typ {kind}");
            Attribute::with_value("candidate", value)
        });
        [
            Attribute::with_value("ice-ufrag", &credentials.username_fragment),
            Attribute::with_value("ice-pwd", &credentials.password),
        ]
        .into_iter()
        .chain(candidates)
        .collect()
    }
}

/// The priority of the one candidate of a port (RFC 8445 section 5.1.2.1).
fn host_priority(component: IceComponent) -> u32 {
    (126 << 24) | (65_535 << 8) | (256 - u32::from(component.number()))
}

/// Whether an address may be tried: one of one host, and none that means something on one link alone
/// (RFC 8445 section 5.1.1.1).
fn can_be_candidate(address: IpAddr) -> bool {
    let of_one_link = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.to_ipv4_mapped().is_some(),
    };
    !of_one_link && !address.is_multicast() && !address.is_unspecified()
}

/// Whether a candidate of the peer may be tried from `local`. Whoever is elsewhere is not on our loopback,
/// and may only want to knock at what is (RFC 8445 section 5.1.1.1).
fn may_be_tried(candidate: IpAddr, local: IpAddr) -> bool {
    candidate.is_ipv4() == local.is_ipv4()
        && can_be_candidate(candidate)
        && (local.is_loopback() || !candidate.is_loopback())
}

impl RemoteLine<'_> {
    /// The peer's credentials, of the line or else of the session (RFC 8839 section 5.4). `None` where it
    /// has no ICE, or says that our line did not match.
    fn ice_credentials(&self) -> Option<IceCredentials> {
        if self.has_flag("ice-mismatch") {
            return None;
        }
        let value = |name, lengths: std::ops::RangeInclusive<usize>| {
            let value = self.values_anywhere(name).next()?.trim();
            let is_one = lengths.contains(&value.len())
                && value.bytes().all(|octet| ICE_CHARS.contains(&octet));
            is_one.then(|| value.to_owned())
        };
        Some(IceCredentials {
            username_fragment: value("ice-ufrag", USERNAME_FRAGMENT_LENGTHS)?,
            password: value("ice-pwd", PASSWORD_LENGTHS)?,
        })
    }

    /// Whether the peer only answers checks (RFC 8839 section 5.3). Some say it of the line.
    fn is_ice_lite(&self) -> bool {
        self.has_session_flag("ice-lite") || self.has_flag("ice-lite")
    }

    fn ice_candidates(&self) -> Vec<IceCandidate> {
        self.values("candidate")
            .take(MAX_CANDIDATES)
            .filter_map(IceCandidate::parse)
            .collect()
    }

    /// Whether the addresses that the line itself names are among its candidates.
    fn has_its_address_in(
        &self,
        candidates: &[IceCandidate],
        local: IpAddr,
        rtcp: RtcpPort,
    ) -> bool {
        let Some(named) = self.named_port(local) else {
            return false;
        };
        // It is on hold, or has no candidate to name yet (RFC 8839 section 4.2.5).
        if named.rtp.ip().is_unspecified() {
            return true;
        }
        let has = |component, address| {
            candidates
                .iter()
                .any(|it| it.component == component && it.address == address)
        };
        let has_rtcp = match rtcp {
            RtcpPort::Shared => true,
            RtcpPort::Own => has(IceComponent::Rtcp, named.rtcp),
        };
        has(IceComponent::Rtp, named.rtp) && has_rtcp
    }
}
