//! From wire types to checked settings, table by table.
//!
//! A bad value is noted and replaced by the default, so that the rest is checked too; nothing
//! leaves this module when anything was noted.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::checker::{Causes, Checker};
use super::file::{self, File};
use super::read;
use super::words::{self, Further};
use crate::error::{ProblemCause, Rule};
use crate::location::KeyPath;
use crate::settings::{
    Account, AccountCertificate, AccountName, AutoAnswer, ClientCertificates, Config,
    ContentSharing, Credentials, FloorTransport, HostPort, HttpSettings, IceUse, IncomingSettings,
    JoinSettings, LogFormat, LogLevel, LogSettings, LoopbackListener, MediaKeys, MediaSecurity,
    PortRange, Registration, Replaces, RoomSettings, SecondCall, SipAddress, SipSettings,
    SipTarget, TlsListener, Transfers, Transport,
};

/// Checks a whole file. Relative paths are taken from `directory`.
pub(super) fn check(file: File, directory: &Path) -> Result<Config, Causes> {
    let mut checker = Checker::new(directory);
    let config = checker.config(file);
    checker.finish(config)
}

impl Checker<'_> {
    fn config(&mut self, file: File) -> Config {
        let at = |key: &str| KeyPath::root().key(key);
        let accounts = self.accounts(&at("account"), file.account);
        Config {
            room: self.room(&at("room"), file.room.unwrap_or_default()),
            camera: self.camera(&at("camera"), file.camera.unwrap_or_default()),
            slides: self.slides(&at("slides"), file.slides.unwrap_or_default()),
            microphone: self.microphone(&at("microphone"), file.microphone.unwrap_or_default()),
            playout: self.playout(&at("playout"), file.playout.unwrap_or_default()),
            sip: self.sip(&at("sip"), file.sip.unwrap_or_default()),
            incoming: self.incoming(&at("incoming"), file.incoming.unwrap_or_default()),
            join: file
                .join
                .and_then(|join| self.join(&at("join"), join, &accounts)),
            http: self.http(&at("http"), file.http.unwrap_or_default()),
            guests: file
                .guests
                .and_then(|guests| self.guests(&at("guests"), guests)),
            log: self.log(&at("log"), file.log.unwrap_or_default()),
            accounts,
        }
    }

    fn room(&mut self, at: &KeyPath, room: file::Room) -> RoomSettings {
        let name = self.text(at, "name", room.name, 64);
        RoomSettings {
            name: name.unwrap_or_else(|| words::DEFAULT_ROOM_NAME.to_owned()),
        }
    }

    fn sip(&mut self, at: &KeyPath, sip: file::Sip) -> SipSettings {
        let asks = sip.client_certificates;
        let listen_tls = self.tls_listener(at, sip.listen_tls, sip.certificate, sip.key, asks);
        let ca_files = self.list(at, "ca_files", sip.ca_files, &Rule::Path, read::path);
        let media_ports = sip.media_ports;
        let media_ports = self.value(
            at,
            "media_ports",
            media_ports,
            Rule::PortRange,
            read::port_range,
        );
        let user_agent = self.text(at, "user_agent", sip.user_agent, 128);
        SipSettings {
            listen_udp: self.socket_address(at, "listen_udp", sip.listen_udp),
            listen_tcp: self.socket_address(at, "listen_tcp", sip.listen_tcp),
            listen_tls,
            ca_files: ca_files.iter().map(|file| self.absolute(file)).collect(),
            peers: self.list(at, "peers", sip.peers, &Rule::Peer, read::peer),
            media_ports: media_ports.unwrap_or(PortRange {
                first: 16_384,
                last: 16_483,
            }),
            user_agent: user_agent.unwrap_or_else(|| words::DEFAULT_USER_AGENT.to_owned()),
        }
    }

    fn socket_address(
        &mut self,
        at: &KeyPath,
        key: &str,
        written: Option<String>,
    ) -> Option<SocketAddr> {
        self.value(at, key, written, Rule::SocketAddress, |text| {
            text.parse().ok()
        })
    }

    fn tls_listener(
        &mut self,
        at: &KeyPath,
        address: Option<String>,
        certificate: Option<String>,
        key: Option<String>,
        client_certificates: Option<String>,
    ) -> Option<TlsListener> {
        let listens = ("listen_tls", address.is_some());
        if client_certificates.is_some() && address.is_none() {
            let unless = "listen_tls";
            self.note(
                at.key("client_certificates"),
                ProblemCause::Pointless { unless },
            );
        }
        let client_certificates = self.choice(
            at,
            "client_certificates",
            client_certificates,
            words::CLIENT_CERTIFICATES,
            ClientCertificates::Off,
        );
        self.go_together(at, ("certificate", certificate.is_some()), listens);
        self.go_together(at, ("key", key.is_some()), listens);
        let address = self.socket_address(at, "listen_tls", address);
        let certificate = self.path(at, "certificate", certificate);
        let key = self.path(at, "key", key);
        Some(TlsListener {
            address: address?,
            certificate: certificate?,
            key: key?,
            client_certificates,
        })
    }

    /// `certificate` and `key` of an account.
    fn account_certificate(
        &mut self,
        at: &KeyPath,
        transport: Transport,
        certificate: Option<String>,
        key: Option<String>,
    ) -> Option<AccountCertificate> {
        let shown = match transport {
            Transport::Tls | Transport::Wss => true,
            Transport::Tcp | Transport::Udp | Transport::Ws => false,
        };
        if certificate.is_some() && !shown {
            let unless = "transport = \"tls\"";
            self.note(at.key("certificate"), ProblemCause::Pointless { unless });
        }
        let given = ("certificate", certificate.is_some());
        self.go_together(at, ("key", key.is_some()), given);
        let certificate = self.path(at, "certificate", certificate);
        let key = self.path(at, "key", key);
        Some(AccountCertificate {
            certificate: certificate?,
            key: key?,
        })
    }

    fn accounts(&mut self, at: &KeyPath, accounts: Vec<file::Account>) -> Vec<Account> {
        let mut checked: Vec<Account> = Vec::new();
        for (position, account) in accounts.into_iter().enumerate() {
            let at = at.index(position);
            let Some(account) = self.account(&at, account) else {
                continue;
            };
            if checked.iter().any(|earlier| earlier.name == account.name) {
                let name = account.name.as_str().to_owned();
                self.note(at.key("name"), ProblemCause::Duplicate { name });
            }
            checked.push(account);
        }
        checked
    }

    fn account(&mut self, at: &KeyPath, account: file::Account) -> Option<Account> {
        let (name, address) = (account.name, account.address);
        let name = self.required(at, "name", name, Rule::Name, AccountName::new);
        let address = self.required(at, "address", address, Rule::SipAddress, SipAddress::new);
        let (registrar, proxy) = (account.registrar, account.proxy);
        let registrar = self.value(at, "registrar", registrar, Rule::HostPort, HostPort::new);
        let backup = account.backup_proxy;
        if backup.is_some() && proxy.is_none() {
            let cause = ProblemCause::Pointless { unless: "proxy" };
            self.note(at.key("backup_proxy"), cause);
        }
        let proxy = self.value(at, "proxy", proxy, Rule::HostPort, HostPort::new);
        let backup_proxy = self.value(at, "backup_proxy", backup, Rule::HostPort, HostPort::new);
        if let (Some(proxy), Some(backup)) = (&proxy, &backup_proxy)
            && proxy == backup
        {
            let name = backup.to_string();
            self.note(at.key("backup_proxy"), ProblemCause::Duplicate { name });
        }
        let transport = self.choice(
            at,
            "transport",
            account.transport,
            words::TRANSPORTS,
            Transport::Tls,
        );
        let websocket_path = self.websocket_path(at, transport, account.websocket_path);
        let media_security = self.choice(
            at,
            "media_security",
            account.media_security,
            words::MEDIA_SECURITIES,
            MediaSecurity::SrtpRequired,
        );
        let media_keys = self.choice(
            at,
            "media_keys",
            account.media_keys,
            words::MEDIA_KEYS,
            MediaKeys::Sdes,
        );
        let ice = self.choice(at, "ice", account.ice, words::ICE_USES, IceUse::Answered);
        let content_sharing = self.choice(
            at,
            "content_sharing",
            account.content_sharing,
            words::CONTENT_SHARINGS,
            ContentSharing::On,
        );
        let floor_transport = self.choice(
            at,
            "floor_transport",
            account.floor_transport,
            words::FLOOR_TRANSPORTS,
            FloorTransport::Udp,
        );
        self.check_floor_transport(at, floor_transport, media_security);
        let certificate = self.account_certificate(at, transport, account.certificate, account.key);
        let registration = self.registration(at, account.register, account.expires_s);
        let file = account.password_file;
        let credential = account.password_credential;
        let credentials =
            self.credentials(at, account.username, address.as_ref(), file, credential);
        let (name, address) = (name?, address?);
        Some(Account {
            name,
            registrar: registrar.unwrap_or_else(|| address.host_port()),
            address,
            proxy,
            backup_proxy,
            transport,
            websocket_path,
            credentials,
            certificate,
            media_security,
            media_keys,
            ice,
            content_sharing,
            floor_transport,
            registration,
        })
    }

    /// A connection in the clear is for media in the clear.
    fn check_floor_transport(&mut self, at: &KeyPath, floor: FloorTransport, media: MediaSecurity) {
        if (floor, media) == (FloorTransport::Tcp, MediaSecurity::SrtpRequired) {
            let unless = "media_security = \"plain-allowed\"";
            self.note(
                at.key("floor_transport"),
                ProblemCause::Pointless { unless },
            );
        }
    }

    fn websocket_path(
        &mut self,
        at: &KeyPath,
        transport: Transport,
        path: Option<String>,
    ) -> String {
        match transport {
            Transport::Ws | Transport::Wss => {}
            Transport::Tls | Transport::Tcp | Transport::Udp => {
                if path.is_some() {
                    let unless = "transport = \"wss\"";
                    self.note(at.key("websocket_path"), ProblemCause::Pointless { unless });
                }
            }
        }
        let path = self.value(
            at,
            "websocket_path",
            path,
            Rule::WebSocketPath,
            read::websocket_path,
        );
        path.unwrap_or_else(|| words::DEFAULT_WEBSOCKET_PATH.to_owned())
    }

    fn credentials(
        &mut self,
        at: &KeyPath,
        username: Option<String>,
        address: Option<&SipAddress>,
        file: Option<String>,
        credential: Option<String>,
    ) -> Option<Credentials> {
        if username.is_some() && file.is_none() && credential.is_none() {
            let cause = ProblemCause::MissingFor {
                because: "username",
                rule: Rule::Path,
            };
            self.note(at.key("password_file"), cause);
        }
        let username = self.text(at, "username", username, 128);
        let password = self.secret(
            at,
            ("password_file", file),
            ("password_credential", credential),
        );
        Some(Credentials {
            username: username.or_else(|| Some(address?.user().to_owned()))?,
            password: password?,
        })
    }

    fn registration(
        &mut self,
        at: &KeyPath,
        register: Option<bool>,
        expires_s: Option<i64>,
    ) -> Registration {
        if register == Some(false) {
            if expires_s.is_some() {
                let unless = "register = true";
                self.note(at.key("expires_s"), ProblemCause::Pointless { unless });
            }
            return Registration::Off;
        }
        let default = words::DEFAULT_EXPIRES_S;
        let expires = self.number(at, "expires_s", expires_s, (60, 86_400), default);
        Registration::On {
            expires: Duration::from_secs(expires.unsigned_abs()),
        }
    }

    fn incoming(&mut self, at: &KeyPath, incoming: file::Incoming) -> IncomingSettings {
        let (ring, default) = (incoming.ring_seconds, words::DEFAULT_RING_SECONDS);
        let ring = self.number(at, "ring_seconds", ring, (5, 180), default);
        IncomingSettings {
            transfers: self.choice(
                at,
                "transfers",
                incoming.transfers,
                words::TRANSFERS,
                Transfers::Refused,
            ),
            replaces: self.choice(
                at,
                "replaces",
                incoming.replaces,
                words::REPLACES,
                Replaces::SameParty,
            ),
            auto_answer: self.choice(
                at,
                "auto_answer",
                incoming.auto_answer,
                words::AUTO_ANSWERS,
                AutoAnswer::Never,
            ),
            second_call: self.second_call(at, incoming.second_call, incoming.max_legs),
            ring_time_out: Duration::from_secs(ring.unsigned_abs()),
        }
    }

    fn second_call(
        &mut self,
        at: &KeyPath,
        second_call: Option<String>,
        max_legs: Option<i64>,
    ) -> SecondCall {
        let second_call = self.choice_if_valid(
            at,
            "second_call",
            second_call,
            words::SECOND_CALLS,
            Further::Busy,
        );
        if second_call == Some(Further::Busy) && max_legs.is_some() {
            let unless = "second_call = \"add\"";
            self.note(at.key("max_legs"), ProblemCause::Pointless { unless });
        }
        let default = words::DEFAULT_MAX_LEGS;
        let max_legs = self.number(at, "max_legs", max_legs, (2, 16), default);
        match second_call {
            Some(Further::Add) => SecondCall::Add {
                max_legs: u8::try_from(max_legs).expect("2 to 16"),
            },
            Some(Further::Busy) | None => SecondCall::Busy,
        }
    }

    fn join(
        &mut self,
        at: &KeyPath,
        join: file::Join,
        accounts: &[Account],
    ) -> Option<JoinSettings> {
        let target = self.required(at, "target", join.target, Rule::SipTarget, SipTarget::new);
        let account = self.value(at, "account", join.account, Rule::Name, AccountName::new);
        let is_known = |name: &AccountName| accounts.iter().any(|account| account.name == *name);
        if let Some(unknown) = account.as_ref().filter(|name| !is_known(name)) {
            let known = accounts.iter().map(|account| account.name.to_string());
            let cause = ProblemCause::UnknownAccount {
                name: unknown.to_string(),
                known: known.collect(),
            };
            self.note(at.key("account"), cause);
        }
        Some(JoinSettings {
            target: target?,
            account,
        })
    }

    fn http(&mut self, at: &KeyPath, http: file::Http) -> HttpSettings {
        let has_token = http.token_file.is_some() || http.token_credential.is_some();
        let listens = ("loopback", http.loopback.is_some());
        self.go_together(at, ("token_file", has_token), listens);
        let address = self.value(
            at,
            "loopback",
            http.loopback,
            Rule::LoopbackAddress,
            read::loopback_address,
        );
        let token = self.secret(
            at,
            ("token_file", http.token_file),
            ("token_credential", http.token_credential),
        );
        let socket = self.path(at, "socket", http.socket);
        HttpSettings {
            socket: socket.unwrap_or_else(|| words::DEFAULT_SOCKET.into()),
            socket_group: self.value(
                at,
                "socket_group",
                http.socket_group,
                Rule::Name,
                read::name,
            ),
            loopback: address
                .zip(token)
                .map(|(address, token)| LoopbackListener { address, token }),
        }
    }

    fn log(&mut self, at: &KeyPath, log: file::Log) -> LogSettings {
        LogSettings {
            format: self.choice(
                at,
                "format",
                log.format,
                words::LOG_FORMATS,
                LogFormat::Text,
            ),
            level: self.choice(at, "level", log.level, words::LOG_LEVELS, LogLevel::Info),
        }
    }
}
