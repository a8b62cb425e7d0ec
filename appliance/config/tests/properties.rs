//! Properties over arbitrary texts and arbitrary valid configurations.

#![allow(
    clippy::unwrap_used,
    reason = "clippy spares test functions only, not their helpers"
)]

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{
    Account, AccountCertificate, AccountName, AcmeSettings, Admit, AutoAnswer, CameraSettings,
    ClientCertificates, Config, ContentSharing, Credentials, DirectoryUrl, ExternalAccount,
    FloorTransport, GuestServerIdentity, GuestSettings, HostPort, HttpSettings, IceUse,
    IncomingSettings, JoinSettings, LogFormat, LogLevel, LogSettings, LoopbackListener,
    MailAddress, MediaKeys, MediaSecurity, MicrophoneSettings, PlayoutSettings, PortRange,
    PublicUrl, Registration, Replaces, RoomSettings, SecondCall, SecretSource, SipAddress,
    SipSettings, SipTarget, SlidesSettings, TlsListener, Transfers, Transport, TurnCredentials,
    TurnServer, TurnUrl, parse,
};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use room::media_plan::{AudioSink, AudioSource, VideoSink, VideoSource};
use room::units::{Bitrate, FrameRate, Resolution, Volume};

fn file() -> impl Strategy<Value = PathBuf> {
    "/[a-z 会'\"\\\\]{1,12}".prop_map(PathBuf::from)
}

fn name() -> impl Strategy<Value = AccountName> {
    "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,15}".prop_map(|name| AccountName::new(&name).unwrap())
}

fn sip_address() -> impl Strategy<Value = SipAddress> {
    "sips?:[a-z0-9%.+]{1,8}@[a-z]{1,8}\\.example(:[1-9][0-9]{0,3})?(;transport=tcp)?"
        .prop_map(|address| SipAddress::new(&address).unwrap())
}

fn sip_target() -> impl Strategy<Value = SipTarget> {
    "sips?:([a-z0-9%.+]{1,8}@)?[a-z]{1,8}\\.example(:[1-9][0-9]{0,3})?(;transport=tcp)?"
        .prop_map(|target| SipTarget::new(&target).unwrap())
}

fn host_port() -> impl Strategy<Value = HostPort> {
    select(vec![
        "a.example",
        "a.example:5061",
        "192.0.2.1",
        "[2001:db8::1]:5060",
    ])
    .prop_map(|text| HostPort::new(text).unwrap())
}

fn socket_address() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(SocketAddr::from)
}

fn secret() -> impl Strategy<Value = SecretSource> {
    prop_oneof![
        file().prop_map(SecretSource::File),
        name().prop_map(|name| SecretSource::Credential(name.to_string())),
    ]
}

/// Source, size, rate and bitrate of the camera or of the slides.
fn pictures() -> impl Strategy<Value = (VideoSource, Resolution, FrameRate, Bitrate)> {
    let video_source = prop_oneof![
        Just(VideoSource::Simulated),
        Just(VideoSource::None),
        file().prop_map(VideoSource::File)
    ];
    let resolution = (80_u32..=480, 45_u32..=1080).prop_map(|(width, height)| Resolution {
        width: width * 8,
        height: height * 2,
    });
    let rate = (1_u32..=60).prop_map(FrameRate);
    let bitrate = (64_u64..=20_000).prop_map(Bitrate::kbps);
    (video_source, resolution, rate, bitrate)
}

type Devices = (
    CameraSettings,
    SlidesSettings,
    MicrophoneSettings,
    PlayoutSettings,
);

fn devices() -> impl Strategy<Value = Devices> {
    let audio_source = prop_oneof![
        Just(AudioSource::Simulated),
        Just(AudioSource::None),
        file().prop_map(AudioSource::File)
    ];
    let camera = pictures().prop_map(|(source, resolution, frame_rate, bitrate)| CameraSettings {
        source,
        resolution,
        frame_rate,
        bitrate,
    });
    let slides = pictures().prop_map(|(source, resolution, frame_rate, bitrate)| SlidesSettings {
        source,
        resolution,
        frame_rate,
        bitrate,
    });
    let playout = (
        select(vec![VideoSink::Window, VideoSink::Display, VideoSink::None]),
        select(vec![
            AudioSink::Loudspeaker,
            AudioSink::Simulated,
            AudioSink::None,
        ]),
        option::of(file()),
        0_u8..=100,
    )
        .prop_map(|(video, audio, recording, percent)| PlayoutSettings {
            video,
            audio,
            recording: recording.filter(|_| audio == AudioSink::Simulated),
            volume: Volume::percent(percent).unwrap(),
        });
    (
        camera,
        slides,
        audio_source.prop_map(|source| MicrophoneSettings { source }),
        playout,
    )
}

fn sip() -> impl Strategy<Value = SipSettings> {
    let listen_tls = (
        socket_address(),
        file(),
        file(),
        select(vec![
            ClientCertificates::Off,
            ClientCertificates::Optional,
            ClientCertificates::Required,
        ]),
    )
        .prop_map(
            |(address, certificate, key, client_certificates)| TlsListener {
                address,
                certificate,
                key,
                client_certificates,
            },
        );
    let peer = select(vec![
        "example.com",
        "10.0.0.0/8",
        "2001:db8::/32",
        "192.0.2.7",
    ]);
    let ports = (512_u16..=30_000, 3_u16..=1000).prop_map(|(half, more)| PortRange {
        first: half * 2,
        last: half * 2 + more,
    });
    (
        option::of(socket_address()),
        option::of(socket_address()),
        option::of(listen_tls),
        vec(file(), 0..3),
        vec(peer, 0..4),
        ports,
        "[a-zA-Z /.]{1,20}",
    )
        .prop_map(
            |(listen_udp, listen_tcp, listen_tls, ca_files, peers, media_ports, agent)| {
                let peers = format!("version = 1\n[sip]\npeers = {peers:?}\n");
                SipSettings {
                    listen_udp,
                    listen_tcp,
                    listen_tls,
                    ca_files,
                    peers: parse(&peers, Path::new("/x")).unwrap().sip.peers,
                    media_ports,
                    user_agent: agent,
                }
            },
        )
}

fn account(name: AccountName) -> impl Strategy<Value = Account> {
    let registration = prop_oneof![
        Just(Registration::Off),
        (60_u64..=86_400).prop_map(|s| Registration::On {
            expires: Duration::from_secs(s)
        }),
    ];
    let credentials = ("[^\\p{Cc}]{1,12}", secret())
        .prop_map(|(username, password)| Credentials { username, password });
    (
        sip_address(),
        host_port(),
        option::of(host_port()),
        select(vec![
            Transport::Tls,
            Transport::Tcp,
            Transport::Udp,
            Transport::Wss,
            Transport::Ws,
        ]),
        "/[a-z0-9/?=.-]{0,12}",
        option::of(credentials),
        option::of((file(), file())),
        (
            select(vec![
                MediaSecurity::SrtpRequired,
                MediaSecurity::PlainAllowed,
            ]),
            select(vec![MediaKeys::Sdes, MediaKeys::DtlsSrtp]),
            select(vec![IceUse::Off, IceUse::Answered, IceUse::Offered]),
        ),
        (
            select(vec![ContentSharing::On, ContentSharing::Off]),
            select(vec![
                FloorTransport::Udp,
                FloorTransport::Tcp,
                FloorTransport::Tls,
            ]),
        ),
        registration,
    )
        .prop_map(
            move |(
                address,
                registrar,
                proxy,
                transport,
                websocket_path,
                credentials,
                certificate,
                (media_security, media_keys, ice),
                (content_sharing, floor_transport),
                reg,
            )| {
                Account {
                    name: name.clone(),
                    address,
                    registrar,
                    backup_proxy: proxy.as_ref().and_then(backup_of),
                    proxy,
                    transport,
                    websocket_path: match transport {
                        Transport::Ws | Transport::Wss => websocket_path,
                        Transport::Tls | Transport::Tcp | Transport::Udp => "/".to_owned(),
                    },
                    credentials,
                    certificate: certificate
                        .filter(|_| [Transport::Tls, Transport::Wss].contains(&transport))
                        .map(|(certificate, key)| AccountCertificate { certificate, key }),
                    media_security,
                    media_keys,
                    ice,
                    content_sharing,
                    floor_transport: match (floor_transport, media_security) {
                        (FloorTransport::Tcp, MediaSecurity::SrtpRequired) => FloorTransport::Tls,
                        (transport, _) => transport,
                    },
                    registration: reg,
                }
            },
        )
}

/// Another server than the proxy, for those whose name allows one.
fn backup_of(proxy: &HostPort) -> Option<HostPort> {
    let proxy = proxy.to_string();
    proxy
        .starts_with(|first: char| first.is_ascii_alphabetic())
        .then(|| HostPort::new(&format!("backup.{proxy}")))?
}

fn accounts() -> impl Strategy<Value = Vec<Account>> {
    btree_set(name(), 0..4)
        .prop_flat_map(|names| names.into_iter().map(account).collect::<Vec<_>>())
}

type Rest = (
    RoomSettings,
    IncomingSettings,
    HttpSettings,
    Option<GuestSettings>,
    LogSettings,
);

fn rest() -> impl Strategy<Value = Rest> {
    let room = "[^\\p{Cc}]{1,20}".prop_map(|name| RoomSettings { name });
    let incoming = (
        select(vec![
            AutoAnswer::Never,
            AutoAnswer::TrustedWhenAsked,
            AutoAnswer::Trusted,
        ]),
        select(vec![Transfers::Refused, Transfers::Allowed]),
        select(vec![
            Replaces::Never,
            Replaces::SameParty,
            Replaces::Trusted,
        ]),
        option::of(2_u8..=16),
        5_u64..=180,
    )
        .prop_map(
            |(auto_answer, transfers, replaces, max_legs, ring)| IncomingSettings {
                auto_answer,
                transfers,
                replaces,
                second_call: max_legs
                    .map_or(SecondCall::Busy, |max_legs| SecondCall::Add { max_legs }),
                ring_time_out: Duration::from_secs(ring),
            },
        );
    let loopback = (
        select(vec!["127.0.0.1:0", "127.9.9.9:80", "[::1]:8080"]),
        secret(),
    )
        .prop_map(|(address, token)| LoopbackListener {
            address: address.parse().unwrap(),
            token,
        });
    let http =
        (file(), option::of(name()), option::of(loopback)).prop_map(|(socket, group, loopback)| {
            HttpSettings {
                socket,
                socket_group: group.map(|group| group.to_string()),
                loopback,
            }
        });
    let log = (
        select(vec![LogFormat::Text, LogFormat::Json]),
        select(vec![
            LogLevel::Error,
            LogLevel::Warn,
            LogLevel::Info,
            LogLevel::Debug,
            LogLevel::Trace,
        ]),
    )
        .prop_map(|(format, level)| LogSettings { format, level });
    (room, incoming, http, option::of(guests()), log)
}

fn guests() -> impl Strategy<Value = GuestSettings> {
    let url = select(vec![
        "https://room.example.com",
        "https://[2001:db8::1]:8443",
    ]);
    let address = option::of(url).prop_map(|url| url.map(|url| PublicUrl::new(url).unwrap()));
    let files = option::of((file(), file())).prop_map(|files| {
        files.map_or(GuestServerIdentity::LocalAuthority, |(certificate, key)| {
            GuestServerIdentity::Certificate { certificate, key }
        })
    });
    let identity = prop_oneof![
        (address, files),
        acme().prop_map(|acme| {
            let name = PublicUrl::new("https://room.example.com:8443");
            (name, GuestServerIdentity::Acme(acme))
        }),
    ];
    let turn_url = select(vec![
        "turn:192.0.2.1",
        "turns:turn.example.com:443?transport=tcp",
    ])
    .prop_map(|url| TurnUrl::new(url).unwrap());
    let credentials = prop_oneof![
        ("[a-z:0-9]{1,20}", secret())
            .prop_map(|(username, password)| TurnCredentials::Password { username, password }),
        secret().prop_map(TurnCredentials::SharedSecret),
    ];
    let turn = (vec(turn_url, 1..3), credentials)
        .prop_map(|(urls, credentials)| TurnServer { urls, credentials });
    (
        select(vec!["0.0.0.0:8443", "[::]:443"]),
        identity,
        1_u8..=16,
        select(vec![Admit::Ask, Admit::Automatically]),
        5_u64..=43_200,
        option::of(any::<u16>()),
        subsequence(vec!["203.0.113.7", "2001:db8::7"], 0..=2),
        vec(turn, 0..3),
    )
        .prop_map(
            |(
                listen,
                (public_url, identity),
                max_guests,
                admit,
                minutes,
                media_tcp_port,
                public,
                turn,
            )| {
                GuestSettings {
                    listen: listen.parse().unwrap(),
                    public_url,
                    identity,
                    max_guests,
                    admit,
                    link_lifetime: Duration::from_secs(minutes * 60),
                    media_tcp_port,
                    public_addresses: public.iter().map(|text| text.parse().unwrap()).collect(),
                    turn,
                }
            },
        )
}

fn acme() -> impl Strategy<Value = AcmeSettings> {
    let contact = option::of(Just("owner@example.com"));
    let account = ("[a-z0-9]{1,20}", secret()).prop_map(|(id, key)| ExternalAccount { id, key });
    (
        select(vec![
            "https://ca.example:9000/acme/directory",
            "https://[::1]/",
        ]),
        contact,
        option::of(file()),
        option::of(Just("[::]:80")),
        option::of(account),
    )
        .prop_map(
            |(directory, contact, authority, http_listen, external_account)| AcmeSettings {
                directory: DirectoryUrl::new(directory).unwrap(),
                contact: contact.map(|contact| MailAddress::new(contact).unwrap()),
                authority,
                http_listen: http_listen.map(|address| address.parse().unwrap()),
                external_account,
            },
        )
}

fn configuration() -> impl Strategy<Value = Config> {
    (
        devices(),
        sip(),
        accounts(),
        option::of(sip_target()),
        rest(),
    )
        .prop_map(
            |(
                (camera, slides, microphone, playout),
                sip,
                accounts,
                join,
                (room, incoming, http, guests, log),
            )| {
                let account = accounts.first().map(|account| account.name.clone());
                let join = join.map(|target| JoinSettings { target, account });
                Config {
                    room,
                    camera,
                    slides,
                    microphone,
                    playout,
                    sip,
                    accounts,
                    incoming,
                    join,
                    http,
                    guests,
                    log,
                }
            },
        )
}

/// A valid text of which a few bytes were replaced, which reaches deeper than noise does.
fn damaged() -> impl Strategy<Value = String> {
    (
        configuration(),
        vec(
            (any::<prop::sample::Index>(), "[\\[\\]=\"'#{}.,0-9a-z\n会]"),
            1..6,
        ),
    )
        .prop_map(|(config, damages)| {
            let mut text: Vec<char> = config.to_toml().chars().collect();
            for (position, replacement) in damages {
                let position = position.index(text.len());
                text.splice(position..=position, replacement.chars());
            }
            text.into_iter().collect()
        })
}

proptest! {
    #[test]
    fn every_valid_configuration_survives_rendering(config in configuration()) {
        let text = config.to_toml();
        prop_assert_eq!(parse(&text, Path::new("/etc/roomd.toml")).unwrap(), config);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}") {
        let _ = parse(&text, Path::new("x.toml"));
    }

    #[test]
    fn a_damaged_text_is_accepted_or_refused_with_places_inside_it(text in damaged()) {
        if let Err(config::ConfigError::Invalid { problems, .. }) =
            parse(&text, Path::new("x.toml"))
        {
            prop_assert!(!problems.is_empty());
            let lines = text.lines().count() + 1;
            for problem in problems {
                prop_assert!((1..=lines).contains(&problem.location.line), "{:?}", problem);
            }
        }
    }
}

#[test]
fn deeply_nested_text_is_refused_rather_than_followed() {
    for (open, close) in [("[", "]"), ("{a=", "}")] {
        let text = format!(
            "version = 1\nx = {}1{}\n",
            open.repeat(50_000),
            close.repeat(50_000)
        );
        assert!(parse(&text, Path::new("x.toml")).is_err());
    }
    let dotted = format!("version = 1\n{}a = 1\n", "a.".repeat(50_000));
    assert!(parse(&dotted, Path::new("x.toml")).is_err());
    let table = format!("version = 1\n[{}a]\nb = 1\n", "a.".repeat(50_000));
    assert!(parse(&table, Path::new("x.toml")).is_err());
}
