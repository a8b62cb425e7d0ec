//! The checked configuration: every value here is already valid.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use room::media_plan::{AudioSink, AudioSource, VideoSink, VideoSource};
use room::units::{Bitrate, FrameRate, Resolution, Volume};

use crate::guest_settings::GuestSettings;
use crate::secret::SecretSource;

/// Everything that the owner of a room can set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `[room]`
    pub room: RoomSettings,
    /// `[camera]`
    pub camera: CameraSettings,
    /// `[slides]`
    pub slides: SlidesSettings,
    /// `[microphone]`
    pub microphone: MicrophoneSettings,
    /// `[playout]`
    pub playout: PlayoutSettings,
    /// `[sip]`
    pub sip: SipSettings,
    /// Each `[[account]]`, in the order of the file; their names differ.
    pub accounts: Vec<Account>,
    /// `[incoming]`
    pub incoming: IncomingSettings,
    /// `[join]`: where the join button leads, if anywhere.
    pub join: Option<JoinSettings>,
    /// `[http]`
    pub http: HttpSettings,
    /// `[guests]`: people who join by a browser, if any may.
    pub guests: Option<GuestSettings>,
    /// `[log]`
    pub log: LogSettings,
}

impl Config {
    /// The account of that name.
    #[must_use]
    pub fn account(&self, name: &AccountName) -> Option<&Account> {
        self.accounts.iter().find(|account| account.name == *name)
    }
}

/// `[room]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomSettings {
    /// The name that the far end sees; 1 to 64 characters.
    pub name: String,
}

/// `[camera]`: what is wanted, whether or not it is plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraSettings {
    /// Where the picture comes from.
    pub source: VideoSource,
    /// The size that is sent; both numbers are even.
    pub resolution: Resolution,
    /// Frames per second, 1 to 60.
    pub frame_rate: FrameRate,
    /// The encoder's target for a leg that takes it, 64 to 20,000 kbit/s.
    pub bitrate: Bitrate,
}

/// `[slides]`: a second picture that the room shows in a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlidesSettings {
    /// Where the slides come from.
    pub source: VideoSource,
    /// The size that is sent; both numbers are even.
    pub resolution: Resolution,
    /// Frames per second, 1 to 60.
    pub frame_rate: FrameRate,
    /// The encoder's target for the legs that take it, 64 to 20,000 kbit/s.
    pub bitrate: Bitrate,
}

/// `[microphone]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MicrophoneSettings {
    /// Where the sound comes from.
    pub source: AudioSource,
}

/// `[playout]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayoutSettings {
    /// Where the far ends' picture goes.
    pub video: VideoSink,
    /// Where the far ends' sound goes.
    pub audio: AudioSink,
    /// Where the simulated loudspeaker writes what it plays, if anywhere: 16-bit samples, low byte
    /// first, at 48 kHz, one channel, no header.
    pub recording: Option<PathBuf>,
    /// The volume at the first start; later the last one that was set.
    pub volume: Volume,
}

/// `[sip]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipSettings {
    /// Where UDP is spoken, if at all.
    pub listen_udp: Option<SocketAddr>,
    /// Where TCP connections are taken, if at all.
    pub listen_tcp: Option<SocketAddr>,
    /// Where TLS connections are taken, if at all.
    pub listen_tls: Option<TlsListener>,
    /// Certificates (PEM) whose servers are trusted; empty means those of the system.
    pub ca_files: Vec<PathBuf>,
    /// Who may call besides the servers at which an account is registered.
    pub peers: Vec<Peer>,
    /// The ports of RTP and RTCP.
    pub media_ports: PortRange,
    /// What `User-Agent` and `Server` say.
    pub user_agent: String,
}

/// A TLS listener and what it proves itself with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsListener {
    /// The local address.
    pub address: SocketAddr,
    /// The certificate chain (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
    /// Whether those who connect are asked for a certificate.
    pub client_certificates: ClientCertificates,
}

/// Whether those who connect to the TLS listener are asked for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not.
    Off,
    /// They are. One that is shown has to be valid; who shows none gets in as ever.
    Optional,
    /// They are, and nobody gets in without a valid one.
    Required,
}

/// A certificate by which an account proves itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountCertificate {
    /// The certificate chain (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
}

/// Someone who may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Whoever is at the other end of a TLS connection and proved this name, or a name below it, by
    /// its certificate: the domain's server once we have registered or called there, and a peer that
    /// connects to us where those are asked for one ([`ClientCertificates`]). Nobody is this peer by
    /// what the name resolves to; name the address for that.
    Domain(Host),
    /// Every address of a network; a single address is one of full prefix length.
    Network {
        /// The network's address; bits beyond the prefix are zero.
        address: IpAddr,
        /// How many leading bits count: 0 to 32, or 0 to 128.
        prefix: u8,
    },
}

impl Peer {
    /// Whether a packet from `address` comes from this peer. A domain has no address here.
    #[must_use]
    pub fn covers(&self, address: IpAddr) -> bool {
        match self {
            Self::Domain(_) => false,
            Self::Network {
                address: network,
                prefix,
            } => masked(address.to_canonical(), *prefix) == Some(*network),
        }
    }
}

/// `address` with all bits beyond `prefix` cleared; `None` when the prefix is too long for it.
pub(crate) fn masked(address: IpAddr, prefix: u8) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => {
            let host_bits = 32_u32.checked_sub(u32::from(prefix))?;
            Some(IpAddr::V4(
                (v4.to_bits() & u32::MAX.checked_shl(host_bits).unwrap_or(0)).into(),
            ))
        }
        IpAddr::V6(v6) => {
            let host_bits = 128_u32.checked_sub(u32::from(prefix))?;
            Some(IpAddr::V6(
                (v6.to_bits() & u128::MAX.checked_shl(host_bits).unwrap_or(0)).into(),
            ))
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(host) => host.fmt(f),
            Self::Network { address, prefix } => write!(f, "{address}/{prefix}"),
        }
    }
}

/// An inclusive range of UDP ports: an even first one, and at least four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The first port, even (RFC 3550 section 11: RTP takes the even one of a pair).
    pub first: u16,
    /// The last port.
    pub last: u16,
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// One `[[account]]`: an address of record and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name by which calls and logs refer to it.
    pub name: AccountName,
    /// The address of record.
    pub address: SipAddress,
    /// The registrar; the address's own host where the file names none.
    pub registrar: HostPort,
    /// The outbound proxy, if requests do not go straight to their target.
    pub proxy: Option<HostPort>,
    /// A second outbound proxy: the account is registered by both, and called by either.
    pub backup_proxy: Option<HostPort>,
    /// How the server is spoken to.
    pub transport: Transport,
    /// The path that a WebSocket asks for; `/` where nothing else is said.
    pub websocket_path: String,
    /// What it answers a challenge with.
    pub credentials: Option<Credentials>,
    /// What it shows to TLS servers that ask for a certificate.
    pub certificate: Option<AccountCertificate>,
    /// Whether a leg without SRTP is allowed.
    pub media_security: MediaSecurity,
    /// How the calls that it places exchange the keys of SRTP.
    pub media_keys: MediaKeys,
    /// Whether its calls find the way of media by ICE.
    pub ice: IceUse,
    /// Whether its calls have a stream for slides.
    pub content_sharing: ContentSharing,
    /// How the calls that it places settle who shows slides.
    pub floor_transport: FloorTransport,
    /// Whether it registers.
    pub registration: Registration,
}

/// The name of an account: 1 to 64 letters, digits, `-`, `_` or `.`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountName(String);

impl AccountName {
    /// The name, or `None` when it breaks the rule.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        is_name(name).then(|| Self(name.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `name` is 1 to 64 letters, digits, `-`, `_` or `.`, and no path such as `..`.
pub(crate) fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=64).contains(&name.len()) && name.chars().all(allowed) && !name.starts_with('.')
}

/// A `sip:` or `sips:` address with user and host, kept as written.
///
/// What stands here is safe to pass on: it has no white space, control or non-ASCII characters.
/// The full grammar is the SIP stack's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SipAddress {
    text: String,
    user_end: usize,
    user_start: usize,
}

impl SipAddress {
    /// The address, or `None` when it has no user or a bad host.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let user_start = behind_sip_scheme(text)?;
        let user_end = user_start + text[user_start..].find('@')?;
        let valid = is_user(&text[user_start..user_end]) && is_host_part(&text[user_end + 1..]);
        valid.then(|| Self {
            text: text.to_owned(),
            user_end,
            user_start,
        })
    }

    /// The address as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the `@`, still percent-encoded.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.text[self.user_start..self.user_end]
    }

    /// The host and port behind the `@`.
    #[must_use]
    pub fn host_port(&self) -> HostPort {
        let rest = &self.text[self.user_end + 1..];
        let host = rest.split([';', '?']).next().unwrap_or(rest);
        HostPort::new(host).expect("checked when the address was made")
    }
}

impl fmt::Display for SipAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A `sip:` or `sips:` address that can be called, kept as written: as a [`SipAddress`], but the
/// user may be missing, as in `sip:meet.example.com` (RFC 3261 section 19.1.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SipTarget(String);

impl SipTarget {
    /// The address, or `None` when it has an empty user, a password or a bad host.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let rest = &text[behind_sip_scheme(text)?..];
        let valid = match rest.split_once('@') {
            Some((user, host_part)) => is_user(user) && is_host_part(host_part),
            None => is_host_part(rest),
        };
        valid.then(|| Self(text.to_owned()))
    }

    /// The address as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SipTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a SIP URI goes on behind its scheme; `None` for another scheme, and for what is not safe to
/// pass on.
fn behind_sip_scheme(text: &str) -> Option<usize> {
    let is_safe = |b: u8| b.is_ascii_graphic() && !b"<>\"".contains(&b);
    let colon = text.find(':')?;
    let known = ["sip", "sips"]
        .iter()
        .any(|known| text[..colon].eq_ignore_ascii_case(known));
    (known && text.len() <= 256 && text.bytes().all(is_safe)).then_some(colon + 1)
}

/// Whether a user part may stand in the file: "user:password" would put a password there.
fn is_user(user: &str) -> bool {
    !user.is_empty() && !user.contains(':')
}

/// Whether a host, with what follows it in a URI, names a host.
fn is_host_part(text: &str) -> bool {
    let host = text.split([';', '?']).next();
    host.and_then(HostPort::new).is_some()
}

/// A host: an address or a domain name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A numeric address.
    Address(IpAddr),
    /// A domain name in lower case.
    Name(String),
}

impl Host {
    /// Reads an IPv4 address, an IPv6 address in brackets, or a domain name (RFC 1123 section 2.1).
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        if let Some(v6) = text.strip_prefix('[') {
            return v6
                .strip_suffix(']')?
                .parse()
                .ok()
                .map(|v6| Self::Address(IpAddr::V6(v6)));
        }
        if let Ok(v4) = text.parse() {
            return Some(Self::Address(IpAddr::V4(v4)));
        }
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // A last label of digits alone is a mistyped address.
        let last = text.rsplit('.').next()?;
        let valid = text.len() <= 253
            && text.split('.').all(label)
            && !last.bytes().all(|b| b.is_ascii_digit());
        valid.then(|| Self::Name(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V4(v4)) => v4.fmt(f),
            Self::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// A host and, where it is not left to DNS and defaults, a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// The host.
    pub host: Host,
    /// The port, 1 to 65535.
    pub port: Option<u16>,
}

impl HostPort {
    /// Reads `HOST` or `HOST:PORT`.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let after_host = text.find(']').map_or(0, |bracket| bracket + 1);
        match text[after_host..].find(':') {
            None => Some(Self {
                host: Host::new(text)?,
                port: None,
            }),
            Some(colon) => {
                let (host, port) = text.split_at(after_host + colon);
                let port = &port[1..];
                let digits = port.bytes().all(|b| b.is_ascii_digit());
                let port: u16 = digits.then(|| port.parse().ok()).flatten()?;
                (port != 0).then_some(Self {
                    host: Host::new(host)?,
                    port: Some(port),
                })
            }
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            None => self.host.fmt(f),
            Some(port) => write!(f, "{}:{port}", self.host),
        }
    }
}

/// How SIP messages travel to a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TLS over TCP.
    #[default]
    Tls,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// A WebSocket over TLS.
    Wss,
    /// A WebSocket in the clear.
    Ws,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "tls",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Wss => "wss",
            Self::Ws => "ws",
        })
    }
}

/// What an account answers a challenge with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user name of the digest.
    pub username: String,
    /// Where the password is kept.
    pub password: SecretSource,
}

/// Whether a leg without SRTP is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MediaSecurity {
    /// A call without SRTP does not come about.
    #[default]
    SrtpRequired,
    /// A call without SRTP comes about and is marked as plain.
    PlainAllowed,
}

/// How the calls that an account places exchange the keys of SRTP. Of offers of others either way is
/// taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MediaKeys {
    /// In the session descriptions (RFC 4568): as safe as the signalling.
    #[default]
    Sdes,
    /// By a DTLS handshake between the media ports (RFC 5763).
    DtlsSrtp,
}

/// Whether the calls of an account find the way of media by ICE (RFC 8445).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IceUse {
    /// Never.
    Off,
    /// When the far end offers it.
    #[default]
    Answered,
    /// The calls that it places offer it as well.
    Offered,
}

/// Whether the calls of an account offer and take a second video stream for slides, and floor control.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ContentSharing {
    /// They do.
    #[default]
    On,
    /// They do not: for a provider or far ends that such offers confuse.
    Off,
}

/// What the offers of an account name for floor control (BFCP, RFC 8856). Any is taken of offers of
/// others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FloorTransport {
    /// Datagrams in the clear, which most systems speak.
    #[default]
    Udp,
    /// A connection in the clear.
    Tcp,
    /// A connection over TLS.
    Tls,
}

/// Whether an account registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Registration {
    /// It does not.
    Off,
    /// It does.
    On {
        /// The lifetime asked for, 60 s to a day.
        expires: Duration,
    },
}

/// Whether the far end of a call may have the room call somebody else in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfers {
    /// It may not.
    Refused,
    /// It may: its call ends when the other has answered.
    Allowed,
}

/// Whose call may take the place of a standing one (Replaces, RFC 3891).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Replaces {
    /// Nobody's.
    Never,
    /// That of whom the standing one is with: a far end that has restarted comes back.
    #[default]
    SameParty,
    /// That, and any of the configured peers': somebody may hand its call with the room on to another.
    Trusted,
}

/// `[incoming]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IncomingSettings {
    /// Whether the far end of a call may hand the room on to somebody else.
    pub transfers: Transfers,
    /// Whose call may take the place of a standing one.
    pub replaces: Replaces,
    /// Whose call is answered without a person.
    pub auto_answer: AutoAnswer,
    /// What a second caller meets.
    pub second_call: SecondCall,
    /// How long an incoming call rings, 5 to 180 s.
    pub ring_time_out: Duration,
}

/// Whose call is answered without a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AutoAnswer {
    /// Nobody's.
    #[default]
    Never,
    /// The configured peers', where they wish for it.
    TrustedWhenAsked,
    /// The configured peers', unless they wish for a person.
    Trusted,
}

/// What a second caller meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SecondCall {
    /// 486 Busy Here.
    #[default]
    Busy,
    /// The leg may join the meeting.
    Add {
        /// The most legs at a time, ringing ones included, 2 to 16.
        max_legs: u8,
    },
}

/// `[join]`: where the join button leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinSettings {
    /// The address to call.
    pub target: SipTarget,
    /// The account to call from; the first one where the file names none.
    pub account: Option<AccountName>,
}

/// `[http]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// The Unix socket of the API.
    pub socket: PathBuf,
    /// The group whose members may use the socket besides the service's own user and root.
    pub socket_group: Option<String>,
    /// The TCP listener of this machine, if any.
    pub loopback: Option<LoopbackListener>,
}

/// A TCP listener that only this machine reaches, and only with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopbackListener {
    /// A loopback address; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Where the bearer token is kept.
    pub token: SecretSource,
}

/// `[log]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// How a line looks.
    pub format: LogFormat,
    /// The least important lines that are written.
    pub level: LogLevel,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How important a log line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something may fail soon.
    Warn,
    /// What an operator wants to know.
    #[default]
    Info,
    /// What a developer wants to know.
    Debug,
    /// Everything.
    Trace,
}
