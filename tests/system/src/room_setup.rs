//! A roomd with an account of its own, ready to call and be called on loopback.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use api::guests::FreshInvitation;
use api::reachability::{Finding, Reachability};
use api::snapshot::{EndReason, Leg, LegState, Snapshot, VideoFlow};

use crate::authority::Authority;
use crate::baresip::{Answer, MediaEncryption, Transport};
use crate::journal::Mark;
use crate::network_namespace::NetworkNamespace;
use crate::ports;
use crate::roomd::Roomd;
use crate::sound::Sound;

/// Four for each leg, for as many legs as a room takes.
const MEDIA_PORTS: u16 = 64;

/// What the room's camera sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Camera {
    /// The moving scene with the burnt-in clock.
    Simulated,
    /// A recording, again and again.
    Recording(PathBuf),
}

/// Where a room is.
#[derive(Clone, Debug)]
pub struct Place {
    /// By which others call it.
    pub address: IpAddr,
    /// What its SIP sockets are bound to.
    pub listen: IpAddr,
    /// Whose calls it takes without an account: an address or a network.
    pub peers: &'static str,
    /// Its network; that of the test where there is none.
    pub network: Option<Arc<NetworkNamespace>>,
}

impl Place {
    /// On ::1, as its peers are.
    #[must_use]
    pub fn ipv6_loopback() -> Self {
        Self {
            address: Ipv6Addr::LOCALHOST.into(),
            listen: Ipv6Addr::LOCALHOST.into(),
            peers: "::1",
            network: None,
        }
    }

    /// On 127.0.0.1, as its peers are.
    #[must_use]
    pub fn loopback() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            listen: Ipv4Addr::LOCALHOST.into(),
            peers: "127.0.0.1",
            network: None,
        }
    }
}

/// The addresses of [`Place::with_cable`]: the room's.
pub const ROOM_AT_CABLE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The one at the other end.
pub const PEER_AT_CABLE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

impl Place {
    /// On a network of its own, with a cable to another one for its peer, which is given too: the peer's
    /// end is the interface `peer0`.
    ///
    /// # Errors
    /// When this user cannot make networks.
    pub fn with_cable() -> Result<(Self, Arc<NetworkNamespace>)> {
        let network = Arc::new(NetworkNamespace::new()?);
        let beyond = Arc::new(network.beside()?);
        network.connect("room0", &beyond, "peer0")?;
        network.ip(&format!("address add {ROOM_AT_CABLE}/24 dev room0"))?;
        beyond.ip(&format!("address add {PEER_AT_CABLE}/24 dev peer0"))?;
        let place = Self {
            address: ROOM_AT_CABLE.into(),
            listen: ROOM_AT_CABLE.into(),
            peers: "192.0.2.0/24",
            network: Some(network),
        };
        Ok((place, beyond))
    }

    /// By which others call it at that port.
    fn sip_address(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address, port)
    }
}

/// Whether the far end of a call may have a room call somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfers {
    /// It may not.
    Refused,
    /// It may.
    Allowed,
}

/// Whose call may take the place of a standing one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaces {
    /// That of whom it is with.
    SameParty,
    /// A trusted peer's as well.
    Trusted,
}

/// Who has to prove itself by a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificates {
    /// Who is connected to.
    OfServers,
    /// Both ends.
    OfBoth,
}

/// What a room can show besides its camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slides {
    /// Nothing.
    None,
    /// The simulated deck.
    Simulated,
}

/// Who may come in from a browser, by a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guests {
    /// Nobody.
    None,
    /// Whom somebody in the room lets in.
    Ask,
    /// Whoever has a link.
    Automatically,
}

/// The TURN server that a room and its guests have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Its ways.
    pub urls: Vec<String>,
    /// The file with the secret that it shares with the room.
    pub secret_file: PathBuf,
}

/// How a room is set up.
#[derive(Clone, Debug)]
pub struct RoomSetup {
    /// Its name: the user part of its address.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// What SIP travels on.
    pub transport: Transport,
    /// With TLS, whether it asks those who connect for a certificate, and shows its own to servers that
    /// ask.
    pub certificates: Certificates,
    /// Whether its account insists on encrypted media.
    pub media_encryption: MediaEncryption,
    /// Whether its account uses ICE: `off`, `answered` or `offered`.
    pub ice: &'static str,
    /// With which its account answers challenges, if it does.
    pub password: Option<String>,
    /// What happens with an incoming call.
    pub answer: Answer,
    /// Whether the far end of a call may hand the room on.
    pub transfers: Transfers,
    /// Whose call may take the place of a standing one.
    pub replaces: Replaces,
    /// How long an incoming call rings.
    pub ring_seconds: u32,
    /// What the camera sees.
    pub camera: Camera,
    /// The slides that it has.
    pub slides: Slides,
    /// Who may come in from a browser.
    pub guests: Guests,
    /// How many of them at a time: 1 to 16.
    pub max_guests: u8,
    /// The address of the router that forwards ports to it, by which guests come.
    pub public_address: Option<IpAddr>,
    /// Whether their media may come by TCP.
    pub takes_media_by_tcp: bool,
    /// By which server they and the room reach each other where there is no direct way.
    pub turn: Option<Turn>,
    /// What its offers name for floor control: `udp`, `tls`, or `tcp` where media may be plain.
    pub floor_transport: &'static str,
    /// Where the loudspeaker's sound is written, as bare samples at 48 kHz.
    pub recording: Option<PathBuf>,
    /// What the microphone hears, again and again; the simulated voice where there is none.
    pub sound: Option<Sound>,
}

impl RoomSetup {
    /// A room that answers encrypted calls over TLS, with simulated devices.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            place: Place::loopback(),
            transport: Transport::Tls,
            certificates: Certificates::OfServers,
            media_encryption: MediaEncryption::SrtpMandatory,
            ice: "answered",
            password: None,
            answer: Answer::Auto,
            transfers: Transfers::Refused,
            replaces: Replaces::SameParty,
            ring_seconds: 45,
            camera: Camera::Simulated,
            slides: Slides::None,
            guests: Guests::None,
            max_guests: 4,
            public_address: None,
            takes_media_by_tcp: true,
            turn: None,
            floor_transport: "udp",
            recording: None,
            sound: None,
        }
    }

    /// Starts the room and waits until it serves its API. For TLS it proves itself by an identity
    /// of `authority`, which is also whom it trusts.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(&self, authority: &Authority) -> Result<Room> {
        let sip_port = ports::free()?;
        let media_port = ports::free_range(MEDIA_PORTS)?;
        let configuration =
            |folder: &Path| self.configuration(folder, authority, sip_port, media_port);
        let roomd = match &self.place.network {
            None => Roomd::start(&self.name, configuration)?,
            Some(network) => Roomd::start_within(network, &self.name, configuration)?,
        };
        Ok(Room {
            roomd,
            uri: format!("sip:{}@{}", self.name, self.place.sip_address(sip_port)),
            sip_port,
            media_port,
        })
    }

    fn configuration(
        &self,
        folder: &Path,
        authority: &Authority,
        sip_port: u16,
        media_port: u16,
    ) -> Result<String> {
        let Self {
            name, ring_seconds, ..
        } = self;
        let Place {
            address,
            listen,
            peers,
            ..
        } = &self.place;
        let listen = SocketAddr::new(*listen, sip_port);
        let sip_address = self.place.sip_address(sip_port);
        let transport = self.transport.uri_parameter();
        let security = match self.media_encryption {
            MediaEncryption::SrtpMandatory | MediaEncryption::DtlsSrtp => "srtp-required",
            MediaEncryption::Off => "plain-allowed",
        };
        let media_keys = match self.media_encryption {
            MediaEncryption::SrtpMandatory | MediaEncryption::Off => "sdes",
            MediaEncryption::DtlsSrtp => "dtls-srtp",
        };
        let answer = match self.answer {
            Answer::Auto => "trusted",
            Answer::Manual => "never",
        };
        let identity = match self.transport {
            Transport::Udp | Transport::Tcp => None,
            Transport::Tls => Some(authority.issue_for(name, *address)?),
        };
        let files = identity.map(|identity| {
            format!(
                "certificate = \"{}\"\nkey = \"{}\"\n",
                identity.certificate.display(),
                identity.key.display()
            )
        });
        let files = files.unwrap_or_default();
        let (shown, asked) = match self.certificates {
            Certificates::OfServers => ("", ""),
            Certificates::OfBoth => (files.as_str(), "client_certificates = \"required\"\n"),
        };
        let transfers = match self.transfers {
            Transfers::Refused => "refused",
            Transfers::Allowed => "allowed",
        };
        let replaces = match self.replaces {
            Replaces::SameParty => "same-party",
            Replaces::Trusted => "trusted",
        };
        let password = match &self.password {
            None => String::new(),
            Some(password) => {
                let file = folder.join("password");
                let mut options = std::fs::OpenOptions::new();
                let mut writing = options
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&file)?;
                writing.write_all(password.as_bytes())?;
                format!("password_file = \"{}\"\n", file.display())
            }
        };
        let mut text = format!(
            "version = 1\n\
             [room]\nname = \"{name}\"\n\
             [[account]]\nname = \"{name}\"\naddress = \"sip:{name}@{sip_address}\"\n\
             transport = \"{transport}\"\nmedia_security = \"{security}\"\n\
             media_keys = \"{media_keys}\"\nice = \"{ice}\"\nregister = false\n\
             floor_transport = \"{floor}\"\n{password}{shown}[incoming]\nauto_answer = \"{answer}\"\nring_seconds = {ring_seconds}\ntransfers = \"{transfers}\"\n\
             replaces = \"{replaces}\"\n\
             [log]\nlevel = \"debug\"\n\
             [sip]\nlisten_{transport} = \"{listen}\"\npeers = [\"{peers}\"]\n\
             media_ports = \"{media_port}-{last_media_port}\"\n\
             ca_files = [\"{authority}\"]\n",
            ice = self.ice,
            floor = self.floor_transport,
            last_media_port = media_port + MEDIA_PORTS - 1,
            authority = authority.certificate().display(),
        );
        text.push_str(&files);
        text.push_str(asked);
        text.push_str("[playout]\nvideo = \"none\"\naudio = \"simulated\"\nvolume = 100\n");
        if let Some(file) = &self.recording {
            writeln!(text, "recording = \"{}\"", file.display())?;
        }
        text.push_str("[camera]\n");
        match &self.camera {
            Camera::Simulated => text.push_str("source = \"simulated\"\n"),
            Camera::Recording(file) => {
                writeln!(text, "source = \"file\"\nfile = \"{}\"", file.display())?;
            }
        }
        match self.slides {
            Slides::None => {}
            Slides::Simulated => text.push_str("[slides]\nsource = \"simulated\"\n"),
        }
        let admit = match self.guests {
            Guests::None => None,
            Guests::Ask => Some("ask"),
            Guests::Automatically => Some("automatically"),
        };
        if let Some(admit) = admit {
            let listen = SocketAddr::new(self.place.listen, ports::free()?);
            let public = self.public_address.unwrap_or(self.place.address);
            let address = SocketAddr::new(public, listen.port());
            let media_tcp = if self.takes_media_by_tcp { "on" } else { "off" };
            writeln!(
                text,
                "[guests]\nlisten = \"{listen}\"\npublic_url = \"https://{address}\"\nadmit = \"{admit}\"\nmax_guests = {}\n\
                 media_tcp = \"{media_tcp}\"\nmedia_tcp_port = 0",
                self.max_guests
            )?;
            if let Some(public) = self.public_address {
                writeln!(text, "public_addresses = [\"{public}\"]")?;
            }
            if let Some(turn) = &self.turn {
                writeln!(
                    text,
                    "[[guests.turn]]\nurls = {:?}\nshared_secret_file = \"{}\"",
                    turn.urls,
                    turn.secret_file.display()
                )?;
            }
        }
        text.push_str("[microphone]\n");
        match &self.sound {
            None => text.push_str("source = \"simulated\"\n"),
            Some(sound) => {
                let file = folder.join("microphone.wav");
                sound.write(&file)?;
                writeln!(text, "source = \"file\"\nfile = \"{}\"", file.display())?;
            }
        }
        Ok(text)
    }
}

/// A running room. Ends with this value.
#[derive(Debug)]
pub struct Room {
    /// The process.
    pub roomd: Roomd,
    uri: String,
    sip_port: u16,
    /// The first one.
    media_port: u16,
}

impl Room {
    /// Where it can be called directly. baresip adds its own transport, and a URI must not have
    /// that parameter twice.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The port on 127.0.0.1 where it takes SIP.
    #[must_use]
    pub fn sip_port(&self) -> u16 {
        self.sip_port
    }

    /// Whether it may take media at that port of 127.0.0.1.
    #[must_use]
    pub fn has_media_port(&self, port: u16) -> bool {
        (self.media_port..self.media_port + MEDIA_PORTS).contains(&port)
    }

    /// Calls that URI.
    ///
    /// # Errors
    /// When the room denies it; a call that fails later shows in the snapshot.
    pub fn call(&self, uri: &str) -> Result<()> {
        self.roomd.roomctl(&["call", uri]).map(drop)
    }

    /// A link by which guests join.
    ///
    /// # Errors
    /// When the room takes none.
    pub fn invite(&self) -> Result<FreshInvitation> {
        let printed = self.roomd.roomctl(&["--json", "guests", "invite"])?;
        serde_json::from_str(&printed).context("no invitation")
    }

    /// Tests the ways of guests: what `roomctl guests test` finds, and whether it ends as if all were well.
    ///
    /// # Errors
    /// When it finds nothing.
    pub fn test_guests(&self) -> Result<(Vec<Finding>, bool)> {
        let output = self.roomd.roomctl_output(&["--json", "guests", "test"])?;
        let found: Reachability = serde_json::from_slice(&output.stdout).context("no findings")?;
        Ok((found.findings, output.status.success()))
    }

    /// Waits for a snapshot after the mark with a leg, over or not, in which `find` finds
    /// something.
    ///
    /// # Errors
    /// When none comes in time.
    pub fn wait_for_leg<T>(
        &self,
        mark: Mark,
        what: &str,
        timeout: Duration,
        mut find: impl FnMut(&Leg) -> Option<T>,
    ) -> Result<T> {
        self.roomd
            .wait_for_snapshot_after(mark, what, timeout, |snapshot| {
                let mut legs = snapshot.legs.iter().chain(&snapshot.last_ended);
                legs.find_map(&mut find)
            })
    }

    /// Waits for a leg in that state.
    ///
    /// # Errors
    /// When none comes in time.
    pub fn wait_for_state(&self, mark: Mark, state: LegState, timeout: Duration) -> Result<Leg> {
        self.wait_for_leg(mark, &format!("a leg {state:?}"), timeout, |leg| {
            (leg.state == state).then(|| leg.clone())
        })
    }

    /// Waits until the far end's picture and sound flow.
    ///
    /// # Errors
    /// When they do not in time.
    pub fn wait_for_media(&self, mark: Mark, timeout: Duration) -> Result<Leg> {
        self.wait_for_leg(mark, "picture and sound that flow", timeout, |leg| {
            let video = leg.video.as_ref()?;
            let audio = leg.audio.as_ref()?.stats.as_ref()?;
            let flows = video.flow == VideoFlow::Flowing && audio.receive_bps > 0;
            flows.then(|| leg.clone())
        })
    }

    /// Hangs up, and waits until neither this room nor any of the others has legs any more: they all had
    /// some.
    ///
    /// # Errors
    /// When one of them still has some after `timeout`.
    pub fn hang_up_with(&self, others: &[&Self], timeout: Duration) -> Result<()> {
        let rooms = || std::iter::once(&self).chain(others);
        // From here on: every room was idle once, before the call.
        let marks: Vec<Mark> = rooms().map(|room| room.roomd.snapshot_mark()).collect();
        self.roomd.roomctl(&["hangup"])?;
        for (room, mark) in rooms().zip(marks) {
            room.wait_until_idle(mark, timeout)?;
        }
        Ok(())
    }

    /// Waits until the room has no legs.
    ///
    /// # Errors
    /// When it still has some after `timeout`.
    pub fn wait_until_idle(&self, mark: Mark, timeout: Duration) -> Result<Snapshot> {
        self.roomd
            .wait_for_snapshot_after(mark, "an idle room", timeout, |snapshot| {
                let idle = snapshot.legs.is_empty();
                (idle && snapshot.media_applied == snapshot.media_wanted).then(|| snapshot.clone())
            })
    }

    /// The only leg.
    ///
    /// # Errors
    /// When there is another number of legs.
    pub fn only_leg(&self) -> Result<Leg> {
        let legs = self.roomd.snapshot()?.legs;
        let [leg] = <[Leg; 1]>::try_from(legs)
            .ok()
            .context("not exactly one leg")?;
        Ok(leg)
    }
}

/// Why a leg has ended, if it has.
#[must_use]
pub fn end_reason(leg: &Leg) -> Option<EndReason> {
    match leg.state {
        LegState::Ended { reason } => Some(reason),
        LegState::Incoming
        | LegState::Answering
        | LegState::Dialing
        | LegState::Ringing
        | LegState::Early
        | LegState::Established
        | LegState::Held { .. }
        | LegState::Ending { .. } => None,
    }
}
