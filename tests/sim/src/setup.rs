//! How a simulated room is set up: by the text of its configuration, as its owner would write it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use room::RoomPolicy;
use roomd::{settings, sip_sockets};
use sip::endpoint::EndpointSettings;
use sip::offer_answer::ContentSharing;

/// Where SIP is spoken by UDP and TCP.
pub(crate) const SIP_PORT: u16 = 5060;
/// Where SIP is spoken by TLS.
pub(crate) const TLS_PORT: u16 = 5061;

/// A room of the simulation. They know each other's addresses and let each other call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RoomName {
    /// Usually the one that calls.
    Lobby,
    /// Usually the one that is called.
    Board,
    /// The third.
    Annex,
}

impl RoomName {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lobby, Self::Board, Self::Annex];

    /// The room's only address (RFC 5737 keeps the network for such use).
    #[must_use]
    pub const fn address(self) -> IpAddr {
        let host = match self {
            Self::Lobby => 1,
            Self::Board => 2,
            Self::Annex => 3,
        };
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, host))
    }

    /// The room with that address.
    pub(crate) fn at(address: IpAddr) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.address() == address)
    }

    /// What others call to reach the room by this signalling.
    #[must_use]
    pub fn target(self, signalling: Signalling) -> String {
        let address = self.address();
        match signalling {
            Signalling::Udp => format!("sip:room@{address};transport=udp"),
            Signalling::Tcp => format!("sip:room@{address};transport=tcp"),
            Signalling::Tls => format!("sip:room@{address};transport=tls"),
        }
    }
}

/// How a room's calls are signalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signalling {
    /// Datagrams only, however large, so that lost ones are lost.
    Udp,
    /// TCP.
    Tcp,
    /// TLS, the product's default.
    Tls,
}

/// Which calls the room answers without a hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoAnswer {
    /// None.
    Never,
    /// Those of the other rooms.
    Trusted,
}

/// What a second caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondCall {
    /// Busy.
    Busy,
    /// A leg of the meeting.
    Joins,
}

/// Whether the far end of a call may hand the room on to somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfers {
    /// No.
    Refused,
    /// Yes.
    Allowed,
}

/// One room's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomSetup {
    /// Which room.
    pub name: RoomName,
    /// How its calls are signalled.
    pub signalling: Signalling,
    /// Which calls it answers by itself.
    pub auto_answer: AutoAnswer,
    /// What becomes of a second call.
    pub second_call: SecondCall,
    /// Whom the join button calls.
    pub join: Option<RoomName>,
    /// Whether the far end of its call may hand it on.
    pub transfers: Transfers,
    /// Whether its calls negotiate slides and their floor, and the room has slides of its own.
    pub content: ContentSharing,
}

impl RoomSetup {
    /// A room whose calls are answered by hand, one at a time, without a join button.
    #[must_use]
    pub const fn new(name: RoomName, signalling: Signalling) -> Self {
        Self {
            name,
            signalling,
            auto_answer: AutoAnswer::Never,
            second_call: SecondCall::Busy,
            join: None,
            transfers: Transfers::Refused,
            content: ContentSharing::Off,
        }
    }

    /// The same, answering the other rooms by itself.
    #[must_use]
    pub const fn answering(self) -> Self {
        Self {
            auto_answer: AutoAnswer::Trusted,
            ..self
        }
    }

    /// The same, with further callers as further legs.
    #[must_use]
    pub const fn adding_callers(self) -> Self {
        Self {
            second_call: SecondCall::Joins,
            ..self
        }
    }

    /// The same, with a join button.
    #[must_use]
    pub const fn joining(self, name: RoomName) -> Self {
        Self {
            join: Some(name),
            ..self
        }
    }

    /// The same, going where the far end of its call asks it to.
    #[must_use]
    pub const fn transferable(self) -> Self {
        Self {
            transfers: Transfers::Allowed,
            ..self
        }
    }

    /// The same, with slides, a second video line and floor control.
    #[must_use]
    pub const fn sharing_content(self) -> Self {
        Self {
            content: ContentSharing::On,
            ..self
        }
    }

    /// The room's policy and its endpoint's settings, by way of the configuration's text.
    pub(crate) fn settings(&self) -> (RoomPolicy, EndpointSettings) {
        let text = self.text();
        let config = config::parse(&text, Path::new("/etc/roomd/roomd.toml"))
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
        let bound: sip_sockets::ListenAddresses = settings::listen_addresses(&config);
        let mut endpoint = settings::endpoint_settings(&config, &bound, None)
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
        for account in &mut endpoint.accounts {
            if self.signalling == Signalling::Udp {
                account.large_requests_by_tcp = false;
            }
        }
        (settings::room_policy(&config), endpoint)
    }

    fn text(&self) -> String {
        let address = self.name.address();
        let sip = SocketAddr::new(address, SIP_PORT);
        let tls = SocketAddr::new(address, TLS_PORT);
        let others = RoomName::ALL.map(|name| format!("\"{}\"", name.address()));
        let transport = match self.signalling {
            Signalling::Udp => "udp",
            Signalling::Tcp => "tcp",
            Signalling::Tls => "tls",
        };
        let auto_answer = match self.auto_answer {
            AutoAnswer::Never => "never",
            AutoAnswer::Trusted => "trusted",
        };
        let second_call = match self.second_call {
            SecondCall::Busy => "busy",
            SecondCall::Joins => "add",
        };
        let transfers = match self.transfers {
            Transfers::Refused => "refused",
            Transfers::Allowed => "allowed",
        };
        let join = self.join.map_or_else(String::new, |name| {
            format!("[join]\ntarget = \"{}\"\n", name.target(self.signalling))
        });
        let (slides, content_sharing) = match self.content {
            ContentSharing::On => ("[slides]\nsource = \"simulated\"\n", "on"),
            ContentSharing::Off => ("", "off"),
        };
        format!(
            r#"version = 1
[room]
name = "{name:?}"
[camera]
source = "simulated"
{slides}[microphone]
source = "simulated"
[playout]
video = "none"
audio = "simulated"
[sip]
listen_udp = "{sip}"
listen_tcp = "{sip}"
listen_tls = "{tls}"
certificate = "room.pem"
key = "room.key"
peers = [{peers}]
[[account]]
content_sharing = "{content_sharing}"
name = "room"
address = "sip:room@{address}"
transport = "{transport}"
register = false
[incoming]
auto_answer = "{auto_answer}"
second_call = "{second_call}"
transfers = "{transfers}"
{join}"#,
            name = self.name,
            peers = others.join(", "),
        )
    }
}
