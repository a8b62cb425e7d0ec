//! From checked settings back to text, with every setting spelt out.

use std::path::Path;

use room::media_plan::{AudioSource, VideoSource};

use super::VERSION;
use super::file::{
    Account, Acme, Camera, File, Guests, Http, Incoming, Join, Log, Microphone, Playout, Room, Sip,
    Slides, Turn,
};
use super::words::{self, Further, Source, word};
use crate::guest_settings::{
    AcmeSettings, GuestServerIdentity, GuestSettings, MediaTcp, TurnCredentials, TurnServer,
    TurnUrl,
};
use crate::secret::SecretSource;
use crate::settings::{self, Config, Registration, SecondCall, Transport};

/// The configuration as a text of version 1.
#[must_use]
pub fn render(config: &Config) -> String {
    toml::to_string(&File::from(config)).expect("the wire types are tables of plain values")
}

impl From<&Config> for File {
    fn from(config: &Config) -> Self {
        Self {
            version: Some(VERSION),
            room: Some(Room {
                name: Some(config.room.name.clone()),
            }),
            camera: Some(Camera::from(&config.camera)),
            slides: Some(Slides::from(&config.slides)),
            microphone: Some(Microphone::from(&config.microphone)),
            playout: Some(Playout {
                video: Some(word(words::VIDEO_SINKS, config.playout.video)),
                audio: Some(word(words::AUDIO_SINKS, config.playout.audio)),
                recording: config.playout.recording.as_deref().map(path),
                volume: Some(i64::from(config.playout.volume.as_percent())),
            }),
            sip: Some(Sip::from(&config.sip)),
            account: config.accounts.iter().map(Account::from).collect(),
            incoming: Some(Incoming::from(&config.incoming)),
            join: config.join.as_ref().map(|join| Join {
                target: Some(join.target.to_string()),
                account: join.account.as_ref().map(ToString::to_string),
            }),
            http: Some(Http::from(&config.http)),
            guests: config.guests.as_ref().map(Guests::from),
            log: Some(Log {
                format: Some(word(words::LOG_FORMATS, config.log.format)),
                level: Some(word(words::LOG_LEVELS, config.log.level)),
            }),
        }
    }
}

impl From<&settings::CameraSettings> for Camera {
    fn from(camera: &settings::CameraSettings) -> Self {
        let (source, file) = video_source(&camera.source);
        Self {
            source,
            file,
            resolution: Some(camera.resolution.to_string()),
            frame_rate: Some(i64::from(camera.frame_rate.0)),
            bitrate_kbps: Some(whole(camera.bitrate.as_kbps())),
        }
    }
}

impl From<&settings::SlidesSettings> for Slides {
    fn from(slides: &settings::SlidesSettings) -> Self {
        let (source, file) = video_source(&slides.source);
        Self {
            source,
            file,
            resolution: Some(slides.resolution.to_string()),
            frame_rate: Some(i64::from(slides.frame_rate.0)),
            bitrate_kbps: Some(whole(slides.bitrate.as_kbps())),
        }
    }
}

impl From<&settings::MicrophoneSettings> for Microphone {
    fn from(microphone: &settings::MicrophoneSettings) -> Self {
        let (source, file) = match &microphone.source {
            AudioSource::Simulated => (Source::Simulated, None),
            AudioSource::File(file) => (Source::File, Some(path(file))),
            AudioSource::None => (Source::None, None),
        };
        Self {
            source: Some(word(words::SOURCES, source)),
            file,
        }
    }
}

impl From<&settings::SipSettings> for Sip {
    fn from(sip: &settings::SipSettings) -> Self {
        let tls = sip.listen_tls.as_ref();
        Self {
            listen_udp: sip.listen_udp.map(|address| address.to_string()),
            listen_tcp: sip.listen_tcp.map(|address| address.to_string()),
            listen_tls: tls.map(|tls| tls.address.to_string()),
            certificate: tls.map(|tls| path(&tls.certificate)),
            key: tls.map(|tls| path(&tls.key)),
            client_certificates: tls
                .map(|tls| word(words::CLIENT_CERTIFICATES, tls.client_certificates)),
            ca_files: Some(sip.ca_files.iter().map(|file| path(file)).collect()),
            peers: Some(sip.peers.iter().map(ToString::to_string).collect()),
            media_ports: Some(sip.media_ports.to_string()),
            user_agent: Some(sip.user_agent.clone()),
        }
    }
}

impl From<&settings::Account> for Account {
    fn from(account: &settings::Account) -> Self {
        let password = account
            .credentials
            .as_ref()
            .map(|credentials| &credentials.password);
        let (password_file, password_credential) = secret(password);
        let (register, expires_s) = match account.registration {
            Registration::Off => (false, None),
            Registration::On { expires } => (true, Some(whole(expires.as_secs()))),
        };
        Self {
            name: Some(account.name.to_string()),
            address: Some(account.address.to_string()),
            registrar: Some(account.registrar.to_string()),
            proxy: account.proxy.as_ref().map(ToString::to_string),
            backup_proxy: account.backup_proxy.as_ref().map(ToString::to_string),
            transport: Some(word(words::TRANSPORTS, account.transport)),
            websocket_path: match account.transport {
                Transport::Ws | Transport::Wss => Some(account.websocket_path.clone()),
                Transport::Tls | Transport::Tcp | Transport::Udp => None,
            },
            // That of the address need not be said, and may be longer than one that is.
            username: account
                .credentials
                .as_ref()
                .map(|credentials| credentials.username.clone())
                .filter(|username| username != account.address.user()),
            password_file,
            password_credential,
            certificate: account
                .certificate
                .as_ref()
                .map(|shown| path(&shown.certificate)),
            key: account.certificate.as_ref().map(|shown| path(&shown.key)),
            media_security: Some(word(words::MEDIA_SECURITIES, account.media_security)),
            media_keys: Some(word(words::MEDIA_KEYS, account.media_keys)),
            ice: Some(word(words::ICE_USES, account.ice)),
            content_sharing: Some(word(words::CONTENT_SHARINGS, account.content_sharing)),
            floor_transport: Some(word(words::FLOOR_TRANSPORTS, account.floor_transport)),
            register: Some(register),
            expires_s,
        }
    }
}

impl From<&settings::IncomingSettings> for Incoming {
    fn from(incoming: &settings::IncomingSettings) -> Self {
        let (second_call, max_legs) = match incoming.second_call {
            SecondCall::Busy => (Further::Busy, None),
            SecondCall::Add { max_legs } => (Further::Add, Some(i64::from(max_legs))),
        };
        Self {
            auto_answer: Some(word(words::AUTO_ANSWERS, incoming.auto_answer)),
            transfers: Some(word(words::TRANSFERS, incoming.transfers)),
            replaces: Some(word(words::REPLACES, incoming.replaces)),
            second_call: Some(word(words::SECOND_CALLS, second_call)),
            max_legs,
            ring_seconds: Some(whole(incoming.ring_time_out.as_secs())),
        }
    }
}

impl From<&settings::HttpSettings> for Http {
    fn from(http: &settings::HttpSettings) -> Self {
        let (token_file, token_credential) =
            secret(http.loopback.as_ref().map(|listener| &listener.token));
        Self {
            socket: Some(path(&http.socket)),
            socket_group: http.socket_group.clone(),
            loopback: http
                .loopback
                .as_ref()
                .map(|listener| listener.address.to_string()),
            token_file,
            token_credential,
        }
    }
}

impl From<&GuestSettings> for Guests {
    fn from(guests: &GuestSettings) -> Self {
        let (certificate, key, acme) = match &guests.identity {
            GuestServerIdentity::LocalAuthority => (None, None, None),
            GuestServerIdentity::Certificate { certificate, key } => {
                (Some(path(certificate)), Some(path(key)), None)
            }
            GuestServerIdentity::Acme(acme) => (None, None, Some(Acme::from(acme))),
        };
        let (public_addresses, servers) = (&guests.public_addresses, &guests.turn);
        Self {
            listen: Some(guests.listen.to_string()),
            public_url: guests.public_url.as_ref().map(ToString::to_string),
            certificate,
            key,
            max_guests: Some(i64::from(guests.max_guests)),
            admit: Some(word(words::ADMITS, guests.admit)),
            link_lifetime_minutes: Some(whole(guests.link_lifetime.as_secs() / 60)),
            media_tcp: Some(word(
                words::MEDIA_TCPS,
                match guests.media_tcp_port {
                    Some(_) => MediaTcp::On,
                    None => MediaTcp::Off,
                },
            )),
            media_tcp_port: guests.media_tcp_port.map(i64::from),
            public_addresses: (!public_addresses.is_empty())
                .then(|| public_addresses.iter().map(ToString::to_string).collect()),
            turn: (!servers.is_empty()).then(|| servers.iter().map(Turn::from).collect()),
            acme,
        }
    }
}

impl From<&AcmeSettings> for Acme {
    fn from(acme: &AcmeSettings) -> Self {
        let bound = acme.external_account.as_ref();
        let (external_account_key_file, external_account_key_credential) =
            secret(bound.map(|bound| &bound.key));
        Self {
            directory: Some(acme.directory.as_str().to_owned()),
            terms_of_service_agreed: Some(true),
            contact: acme.contact.as_ref().map(ToString::to_string),
            authority: acme.authority.as_deref().map(path),
            http_listen: acme.http_listen.map(|address| address.to_string()),
            external_account_id: bound.map(|bound| bound.id.clone()),
            external_account_key_file,
            external_account_key_credential,
        }
    }
}

impl From<&TurnServer> for Turn {
    fn from(server: &TurnServer) -> Self {
        let (username, password, shared_secret) = match &server.credentials {
            TurnCredentials::Password { username, password } => {
                (Some(username.clone()), Some(password), None)
            }
            TurnCredentials::SharedSecret(secret) => (None, None, Some(secret)),
        };
        let (password_file, password_credential) = secret(password);
        let (shared_secret_file, shared_secret_credential) = secret(shared_secret);
        let urls = server.urls.iter().map(TurnUrl::as_str);
        Self {
            urls: Some(urls.map(str::to_owned).collect()),
            username,
            password_file,
            password_credential,
            shared_secret_file,
            shared_secret_credential,
        }
    }
}

/// The keys `source` and `file`.
fn video_source(source: &VideoSource) -> (Option<String>, Option<String>) {
    let (source, file) = match source {
        VideoSource::Simulated => (Source::Simulated, None),
        VideoSource::File(file) => (Source::File, Some(path(file))),
        VideoSource::None => (Source::None, None),
    };
    (Some(word(words::SOURCES, source)), file)
}

/// The keys `*_file` and `*_credential`.
fn secret(source: Option<&SecretSource>) -> (Option<String>, Option<String>) {
    match source {
        None => (None, None),
        Some(SecretSource::File(file)) => (Some(path(file)), None),
        Some(SecretSource::Credential(name)) => (None, Some(name.clone())),
    }
}

/// Every path here came from TOML, which is UTF-8.
fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Numbers here were checked to be small.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
