//! From the configuration's words to those of room, SIP endpoint and sockets.

use std::path::Path;
use std::time::Duration;

use config::{
    Account, AutoAnswer, ClientCertificates, Config, HostPort, MediaSecurity, Peer, Registration,
    Replaces, Transfers,
};
use room::GuestPolicy;
use room::codec::{AudioCodec, PacketizationMode};
use room::policy::{CallTarget, MediaPolicy, RoomPolicy, SecondCall, SlidesPolicy, Timeouts};
use sip::digest::Credentials;
use sip::endpoint::{
    self, ConfiguredPeer, EndpointSettings, IncomingPolicy, ReplacesPolicy, TransferPolicy,
};
use sip::grammar::Uri;
use sip::offer_answer::{
    BfcpTransport, Capabilities, ContentSharing, Fingerprint, H264Capabilities,
};
use sip::registration::BackOff;
use sip::secret::Secret;
use sip::transport::Transport;

use crate::congestion_control::Sources;
use crate::error::Error;
use crate::our_addresses;
use crate::sip_sockets::{ListenAddresses, TlsIdentity, TlsSettings, TlsTrust};

/// The room's policy.
#[must_use]
pub fn room_policy(config: &Config) -> RoomPolicy {
    RoomPolicy {
        auto_answer: match config.incoming.auto_answer {
            AutoAnswer::Never => room::AutoAnswer::Never,
            AutoAnswer::TrustedWhenAsked => room::AutoAnswer::TrustedPeersWhenAsked,
            AutoAnswer::Trusted => room::AutoAnswer::TrustedPeers,
        },
        second_call: match config.incoming.second_call {
            config::SecondCall::Busy => SecondCall::Busy,
            config::SecondCall::Add { max_legs } => SecondCall::Add { max_legs },
        },
        guests: GuestPolicy {
            max_guests: config.guests.as_ref().map_or(0, |guests| guests.max_guests),
        },
        join: config.join.as_ref().map(|join| CallTarget {
            target: join.target.to_string(),
            account: join.account.as_ref().map(ToString::to_string),
        }),
        accounts: config
            .accounts
            .iter()
            .map(|account| account.name.to_string())
            .collect(),
        timeouts: Timeouts {
            ring: config.incoming.ring_time_out,
            ..Timeouts::default()
        },
        media: MediaPolicy {
            camera: config.camera.source.clone(),
            resolution: config.camera.resolution,
            frame_rate: config.camera.frame_rate,
            bitrate: config.camera.bitrate,
            slides: SlidesPolicy {
                source: config.slides.source.clone(),
                resolution: config.slides.resolution,
                frame_rate: config.slides.frame_rate,
                bitrate: config.slides.bitrate,
            },
            microphone: config.microphone.source.clone(),
            video_sink: config.playout.video,
            audio_sink: config.playout.audio,
        },
    }
}

/// What the encoders of pictures make at most.
#[must_use]
pub fn sources(config: &Config) -> Sources {
    Sources {
        camera: config.camera.bitrate,
        slides: config.slides.bitrate,
    }
}

/// Where the SIP sockets listen.
#[must_use]
pub fn listen_addresses(config: &Config) -> ListenAddresses {
    ListenAddresses {
        udp: config.sip.listen_udp,
        tcp: config.sip.listen_tcp,
        tls: config.sip.listen_tls.as_ref().map(|tls| tls.address),
    }
}

/// By what we prove ourselves in TLS, and whom we believe.
#[must_use]
pub fn tls(config: &Config) -> TlsSettings {
    let listener = config.sip.listen_tls.as_ref();
    TlsSettings {
        listener: listener.map(|tls| TlsIdentity {
            certificate_chain: tls.certificate.clone(),
            private_key: tls.key.clone(),
        }),
        client_certificates: listener
            .map_or(ClientCertificates::Off, |tls| tls.client_certificates),
        accounts: config
            .accounts
            .iter()
            .filter_map(|account| {
                let shown = account.certificate.as_ref()?;
                let identity = TlsIdentity {
                    certificate_chain: shown.certificate.clone(),
                    private_key: shown.key.clone(),
                };
                Some((endpoint::AccountName::new(account.name.as_str()), identity))
            })
            .collect(),
        trust: TlsTrust {
            authorities: config.sip.ca_files.clone(),
        },
    }
}

/// A room that cannot be called comes back sooner than RFC 5626 section 4.5 has it by default: the
/// first try is after 2 to 4 s, not after 30 to 60. While another flow works there is no hurry.
const BACK_OFF: BackOff = BackOff {
    all_failed: Duration::from_secs(2),
    some_work: Duration::from_secs(90),
    longest: Duration::from_secs(900),
};

/// The SIP endpoint's settings, but for the box's identity, which is none of the configuration.
/// `bound` are the addresses that the sockets have.
///
/// # Errors
/// [`Error::AccountAddress`] when an address breaks the grammar of SIP, [`Error::Secret`] when a
/// password cannot be read.
pub fn endpoint_settings(
    config: &Config,
    bound: &ListenAddresses,
    credentials_directory: Option<&Path>,
) -> Result<EndpointSettings, Error> {
    let accounts = config
        .accounts
        .iter()
        .map(|account| endpoint_account(config, account, credentials_directory))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(EndpointSettings {
        accounts,
        instance_id: None,
        user_agent: config.sip.user_agent.clone(),
        incoming: IncomingPolicy {
            peers: config.sip.peers.iter().map(configured_peer).collect(),
            transfers: match config.incoming.transfers {
                Transfers::Refused => TransferPolicy::Never,
                Transfers::Allowed => TransferPolicy::FarEnd,
            },
            replaces: match config.incoming.replaces {
                Replaces::Never => ReplacesPolicy::Never,
                Replaces::SameParty => ReplacesPolicy::SameParty,
                Replaces::Trusted => ReplacesPolicy::Trusted,
            },
            ..IncomingPolicy::default()
        },
        listen: our_addresses::reachable(bound),
        dial_limit: Timeouts::default().dial,
    })
}

/// Leaves out the ways to cut video into packets that the encoders of this machine cannot serve.
pub fn limit_packetization_modes(settings: &mut EndpointSettings, served: &[PacketizationMode]) {
    for account in &mut settings.accounts {
        let video = &mut account.capabilities.video;
        video
            .packetization_modes
            .retain(|mode| served.contains(mode));
    }
}

/// Has the calls of every account name the certificate of the DTLS handshakes of media.
pub fn name_media_certificate(settings: &mut EndpointSettings, certificate: Fingerprint) {
    for account in &mut settings.accounts {
        account.capabilities.certificate = Some(certificate);
    }
}

fn configured_peer(peer: &Peer) -> ConfiguredPeer {
    match peer {
        Peer::Domain(host) => ConfiguredPeer::Domain(host.to_string()),
        Peer::Network { address, prefix } => ConfiguredPeer::Network {
            address: *address,
            prefix: *prefix,
        },
    }
}

fn endpoint_account(
    config: &Config,
    account: &Account,
    credentials_directory: Option<&Path>,
) -> Result<endpoint::Account, Error> {
    let transport = match account.transport {
        config::Transport::Tls => Transport::Tls,
        config::Transport::Tcp => Transport::Tcp,
        config::Transport::Udp => Transport::Udp,
        config::Transport::Ws => Transport::Ws,
        config::Transport::Wss => Transport::Wss,
    };
    let server = |server: &HostPort| server_uri(account, server, transport);
    let credentials = match &account.credentials {
        None => None,
        Some(credentials) => {
            let password = credentials
                .password
                .read(credentials_directory)
                .map_err(|source| Error::Secret {
                    account: account.name.to_string(),
                    source,
                })?;
            Some(Credentials {
                username: credentials.username.clone(),
                password: Secret::new(password.expose().to_owned()),
            })
        }
    };
    let (registrar, registration_expires) = match account.registration {
        Registration::Off => (None, Duration::ZERO),
        Registration::On { expires } => {
            let registrar = registrar_uri(account, transport)?;
            (Some(registrar), expires)
        }
    };
    Ok(endpoint::Account {
        name: endpoint::AccountName::new(account.name.as_str()),
        address: uri(account, account.address.as_str())?,
        display_name: Some(config.room.name.clone()),
        registrar,
        proxies: account
            .proxy
            .iter()
            .chain(&account.backup_proxy)
            .map(server)
            .collect::<Result<_, _>>()?,
        transport,
        large_requests_by_tcp: true,
        credentials,
        websocket_path: account.websocket_path.clone(),
        client_certificate: match account.certificate {
            None => endpoint::ClientCertificate::None,
            Some(_) => endpoint::ClientCertificate::Own,
        },
        registration_expires,
        back_off: BACK_OFF,
        redirects: endpoint::Account::REDIRECTS,
        capabilities: Capabilities {
            audio: vec![
                AudioCodec::Opus,
                AudioCodec::G722,
                AudioCodec::Pcmu,
                AudioCodec::Pcma,
            ],
            video: H264Capabilities::default(),
            security: match account.media_security {
                MediaSecurity::SrtpRequired => sip::offer_answer::MediaSecurity::SrtpRequired,
                MediaSecurity::PlainAllowed => sip::offer_answer::MediaSecurity::PlainAllowed,
            },
            media_keys: match account.media_keys {
                config::MediaKeys::Sdes => sip::offer_answer::MediaKeys::Sdes,
                config::MediaKeys::DtlsSrtp => sip::offer_answer::MediaKeys::DtlsSrtp,
            },
            certificate: None,
            ice: match account.ice {
                config::IceUse::Off => sip::offer_answer::IceUse::Off,
                config::IceUse::Answered => sip::offer_answer::IceUse::Answered,
                config::IceUse::Offered => sip::offer_answer::IceUse::Offered,
            },
            content: content_sharing(account),
            floor_transport: match account.floor_transport {
                config::FloorTransport::Udp => BfcpTransport::Udp,
                config::FloorTransport::Tcp => BfcpTransport::Tcp,
                config::FloorTransport::Tls => BfcpTransport::Tls,
            },
        },
    })
}

/// Whether calls of any account negotiate slides and their floor, and need ports for them.
#[must_use]
pub fn shares_content(config: &Config) -> ContentSharing {
    let mut accounts = config.accounts.iter().map(content_sharing);
    if accounts.any(|content| content == ContentSharing::On) {
        ContentSharing::On
    } else {
        ContentSharing::Off
    }
}

/// Whether the account's calls negotiate slides and their floor.
fn content_sharing(account: &Account) -> ContentSharing {
    match account.content_sharing {
        config::ContentSharing::On => ContentSharing::On,
        config::ContentSharing::Off => ContentSharing::Off,
    }
}

/// The registrar may lie behind the server that a WebSocket leads to, which cannot open one by itself:
/// it would refuse what asks for that to go on by `transport=ws`. The first server is reached as the
/// account says, whatever the address says.
fn registrar_uri(account: &Account, transport: Transport) -> Result<Uri, Error> {
    if transport.is_websocket() {
        uri(account, &format!("sip:{}", account.registrar))
    } else {
        server_uri(account, &account.registrar, transport)
    }
}

fn server_uri(account: &Account, server: &HostPort, transport: Transport) -> Result<Uri, Error> {
    uri(
        account,
        &format!("sip:{server};transport={}", transport.uri_parameter()),
    )
}

fn uri(account: &Account, text: &str) -> Result<Uri, Error> {
    text.parse().map_err(|source| Error::AccountAddress {
        account: account.name.to_string(),
        address: text.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use room::media_plan::VideoSource;
    use room::units::{Bitrate, FrameRate, Resolution};

    use super::*;

    /// The registrar and the proxy of an account with this transport.
    fn servers(transport: &str) -> (String, String) {
        let text = format!(
            "version = 1\n[[account]]\nname = \"room\"\naddress = \"sip:room@example.com\"\n\
             registrar = \"registrar.example:5062\"\nproxy = \"edge.example\"\n\
             transport = \"{transport}\"\n"
        );
        let config = config::parse(&text, Path::new("roomd.toml")).unwrap();
        let settings = endpoint_settings(&config, &ListenAddresses::default(), None).unwrap();
        let account = &settings.accounts[0];
        let registrar = account.registrar.as_ref().unwrap();
        (registrar.to_string(), account.proxies[0].to_string())
    }

    fn parsed(text: &str) -> Config {
        config::parse(&format!("version = 1\n{text}"), Path::new("roomd.toml")).unwrap()
    }

    #[test]
    fn slides_are_sent_as_configured() {
        let config = parsed(
            "[slides]\nsource = \"file\"\nfile = \"/deck.mp4\"\nresolution = \"1920x1080\"\n\
             frame_rate = 5\nbitrate_kbps = 800\n",
        );
        let slides = SlidesPolicy {
            source: VideoSource::File("/deck.mp4".into()),
            resolution: Resolution {
                width: 1920,
                height: 1080,
            },
            frame_rate: FrameRate(5),
            bitrate: Bitrate::kbps(800),
        };
        assert_eq!(room_policy(&config).media.slides, slides);
    }

    #[test]
    fn a_call_is_replaced_by_whom_the_owner_lets() {
        for (text, policy) in [
            ("", ReplacesPolicy::SameParty),
            ("replaces = \"never\"", ReplacesPolicy::Never),
            ("replaces = \"same-party\"", ReplacesPolicy::SameParty),
            ("replaces = \"trusted\"", ReplacesPolicy::Trusted),
        ] {
            let config = parsed(&format!("[incoming]\n{text}\n"));
            let settings = endpoint_settings(&config, &ListenAddresses::default(), None).unwrap();
            assert_eq!(settings.incoming.replaces, policy, "{text}");
        }
    }

    #[test]
    fn calls_of_an_account_negotiate_slides_unless_it_says_off() {
        let on = "[[account]]\nname = \"a\"\naddress = \"sip:a@example.com\"\n";
        let off = "[[account]]\nname = \"b\"\naddress = \"sip:b@example.com\"\n\
                   content_sharing = \"off\"\n";
        let config = parsed(&format!("{on}{off}"));
        assert_eq!(shares_content(&config), ContentSharing::On);
        let settings = endpoint_settings(&config, &ListenAddresses::default(), None).unwrap();
        let accounts = settings.accounts.iter();
        let content: Vec<_> = accounts
            .map(|account| account.capabilities.content)
            .collect();
        assert_eq!(content, [ContentSharing::On, ContentSharing::Off]);
        assert_eq!(shares_content(&parsed(off)), ContentSharing::Off);
    }

    #[test]
    fn a_registrar_behind_a_websocket_is_not_asked_for_by_one() {
        for transport in ["ws", "wss"] {
            let (registrar, proxy) = servers(transport);
            assert_eq!(registrar, "sip:registrar.example:5062", "{transport}");
            assert_eq!(proxy, "sip:edge.example;transport=ws", "{transport}");
        }
        for transport in ["tls", "tcp", "udp"] {
            let (registrar, proxy) = servers(transport);
            let expected = format!("sip:registrar.example:5062;transport={transport}");
            assert_eq!(registrar, expected);
            assert_eq!(proxy, format!("sip:edge.example;transport={transport}"));
        }
    }
}
