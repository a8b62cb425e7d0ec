//! The tables `[guests]`, `[guests.acme]` and `[[guests.turn]]`.

use std::net::IpAddr;
use std::time::Duration;

use super::checker::Checker;
use super::file;
use super::words;
use crate::error::{ProblemCause, Rule};
use crate::guest_settings::{
    AcmeSettings, Admit, DirectoryUrl, ExternalAccount, GuestServerIdentity, GuestSettings,
    MailAddress, MediaTcp, PublicUrl, TurnCredentials, TurnServer, TurnUrl,
};
use crate::location::KeyPath;
use crate::settings::Host;

/// 5 minutes to 30 days.
const LINK_LIFETIME_MINUTES: (i64, i64) = (5, 30 * 24 * 60);

/// Whether somebody on another network may reach a machine by it.
fn can_be_public(address: IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => {
            address.is_unicast_link_local() || address.to_ipv4_mapped().is_some()
        }
    };
    !is_link_local && !address.is_unspecified() && !address.is_loopback() && !address.is_multicast()
}

impl Checker<'_> {
    pub(super) fn guests(&mut self, at: &KeyPath, guests: file::Guests) -> Option<GuestSettings> {
        let (listen, url) = (guests.listen, guests.public_url);
        let listen = self.required(at, "listen", listen, Rule::SocketAddress, |text| {
            text.parse().ok()
        });
        let max_guests = self.number(
            at,
            "max_guests",
            guests.max_guests,
            (1, 16),
            words::DEFAULT_MAX_GUESTS,
        );
        let lifetime = self.number(
            at,
            "link_lifetime_minutes",
            guests.link_lifetime_minutes,
            LINK_LIFETIME_MINUTES,
            words::DEFAULT_LINK_LIFETIME_MINUTES,
        );
        if guests.acme.is_some() {
            self.has_public_name(at, url.as_deref());
        }
        let media_tcp = self.choice(
            at,
            "media_tcp",
            guests.media_tcp,
            words::MEDIA_TCPS,
            MediaTcp::On,
        );
        let media_tcp_port = self.number(
            at,
            "media_tcp_port",
            guests.media_tcp_port,
            (0, u16::MAX.into()),
            words::DEFAULT_MEDIA_TCP_PORT,
        );
        let media_tcp_port = u16::try_from(media_tcp_port).expect("0 to 65535");
        Some(GuestSettings {
            public_url: self.value(at, "public_url", url, Rule::PublicUrl, PublicUrl::new),
            identity: self.guest_identity(at, guests.certificate, guests.key, guests.acme),
            max_guests: u8::try_from(max_guests).expect("1 to 16"),
            admit: self.choice(at, "admit", guests.admit, words::ADMITS, Admit::Ask),
            link_lifetime: Duration::from_secs(lifetime.unsigned_abs() * 60),
            media_tcp_port: match media_tcp {
                MediaTcp::On => Some(media_tcp_port),
                MediaTcp::Off => None,
            },
            public_addresses: self.public_addresses(at, guests.public_addresses),
            turn: self.turn_servers(&at.key("turn"), guests.turn.unwrap_or_default()),
            listen: listen?,
        })
    }

    fn public_addresses(&mut self, at: &KeyPath, written: Option<Vec<String>>) -> Vec<IpAddr> {
        let key = "public_addresses";
        let read = |text: &str| text.parse().ok().filter(|address| can_be_public(*address));
        let addresses = self.list(at, key, written, &Rule::PublicAddress, read);
        let mut versions = addresses.iter().map(IpAddr::is_ipv4);
        if let Some(first) = versions.next()
            && let Some(position) = versions.position(|version| version == first)
        {
            let found = addresses[position + 1].to_string();
            let rule = Rule::PublicAddress;
            let at = at.key(key).index(position + 1);
            self.note(at, ProblemCause::BadValue { found, rule });
        }
        addresses
    }

    fn guest_identity(
        &mut self,
        at: &KeyPath,
        certificate: Option<String>,
        key: Option<String>,
        acme: Option<file::Acme>,
    ) -> GuestServerIdentity {
        if let Some(acme) = acme {
            for (key, _) in [
                ("certificate", certificate.is_some()),
                ("key", key.is_some()),
            ]
            .into_iter()
            .filter(|(_, given)| *given)
            {
                self.note(at.key(key), ProblemCause::Conflict { with: "acme" });
            }
            return self.acme(&at.key("acme"), acme).map_or(
                GuestServerIdentity::LocalAuthority,
                GuestServerIdentity::Acme,
            );
        }
        let given = ("certificate", certificate.is_some());
        self.go_together(at, ("key", key.is_some()), given);
        let certificate = self.path(at, "certificate", certificate);
        let key = self.path(at, "key", key);
        certificate
            .zip(key)
            .map_or(GuestServerIdentity::LocalAuthority, |(certificate, key)| {
                GuestServerIdentity::Certificate { certificate, key }
            })
    }

    /// What ACME certifies is a name that everybody finds: not an address, and not one of this machine.
    fn has_public_name(&mut self, at: &KeyPath, url: Option<&str>) {
        let Some(url) = url else {
            let cause = ProblemCause::MissingFor {
                because: "acme",
                rule: Rule::PublicName,
            };
            self.note(at.key("public_url"), cause);
            return;
        };
        // One that is no URL is refused as such.
        if let Some(Host::Address(_)) = PublicUrl::new(url).as_ref().map(PublicUrl::host) {
            let cause = ProblemCause::BadValue {
                found: url.to_owned(),
                rule: Rule::PublicName,
            };
            self.note(at.key("public_url"), cause);
        }
    }

    fn acme(&mut self, at: &KeyPath, acme: file::Acme) -> Option<AcmeSettings> {
        match acme.terms_of_service_agreed {
            Some(true) => {}
            None => self.note(
                at.key("terms_of_service_agreed"),
                ProblemCause::Missing { rule: Rule::Agreed },
            ),
            Some(false) => self.note(
                at.key("terms_of_service_agreed"),
                ProblemCause::BadValue {
                    found: false.to_string(),
                    rule: Rule::Agreed,
                },
            ),
        }
        let directory = self.value(
            at,
            "directory",
            acme.directory
                .or_else(|| Some(words::LETS_ENCRYPT.to_owned())),
            Rule::DirectoryUrl,
            DirectoryUrl::new,
        );
        let contact = self.value(
            at,
            "contact",
            acme.contact,
            Rule::MailAddress,
            MailAddress::new,
        );
        let authority = self.path(at, "authority", acme.authority);
        let http_listen = self.value(
            at,
            "http_listen",
            acme.http_listen,
            Rule::SocketAddress,
            |text| text.parse().ok(),
        );
        let given = acme.external_account_key_file.is_some()
            || acme.external_account_key_credential.is_some();
        self.go_together(
            at,
            ("external_account_key_file", given),
            ("external_account_id", acme.external_account_id.is_some()),
        );
        let id = self.text(at, "external_account_id", acme.external_account_id, 256);
        let key = self.secret(
            at,
            ("external_account_key_file", acme.external_account_key_file),
            (
                "external_account_key_credential",
                acme.external_account_key_credential,
            ),
        );
        Some(AcmeSettings {
            directory: directory?,
            contact,
            authority,
            http_listen,
            external_account: id.zip(key).map(|(id, key)| ExternalAccount { id, key }),
        })
    }

    fn turn_servers(&mut self, at: &KeyPath, servers: Vec<file::Turn>) -> Vec<TurnServer> {
        let servers = servers.into_iter().enumerate();
        servers
            .filter_map(|(position, server)| self.turn_server(&at.index(position), server))
            .collect()
    }

    fn turn_server(&mut self, at: &KeyPath, server: file::Turn) -> Option<TurnServer> {
        let missing = |rule| ProblemCause::Missing { rule };
        if server.urls.as_ref().is_none_or(Vec::is_empty) {
            self.note(at.key("urls"), missing(Rule::TurnUrl));
        }
        let shares_secret =
            server.shared_secret_file.is_some() || server.shared_secret_credential.is_some();
        let mine = [
            ("username", server.username.is_some()),
            ("password_file", server.password_file.is_some()),
            ("password_credential", server.password_credential.is_some()),
        ];
        if shares_secret {
            // The names and passwords are made of the secret.
            for (key, _) in mine.into_iter().filter(|(_, given)| *given) {
                let with = "shared_secret_file";
                self.note(at.key(key), ProblemCause::Conflict { with });
            }
        } else {
            if server.username.is_none() {
                self.note(at.key("username"), missing(Rule::Text { most: 128 }));
            }
            if server.password_file.is_none() && server.password_credential.is_none() {
                self.note(at.key("password_file"), missing(Rule::Path));
            }
        }
        let urls = self.list(at, "urls", server.urls, &Rule::TurnUrl, TurnUrl::new);
        let username = self.text(at, "username", server.username, 128);
        let password = self.secret(
            at,
            ("password_file", server.password_file),
            ("password_credential", server.password_credential),
        );
        let shared_secret = self.secret(
            at,
            ("shared_secret_file", server.shared_secret_file),
            ("shared_secret_credential", server.shared_secret_credential),
        );
        let credentials = match shared_secret {
            Some(secret) => TurnCredentials::SharedSecret(secret),
            None => TurnCredentials::Password {
                username: username?,
                password: password?,
            },
        };
        Some(TurnServer { urls, credentials })
    }
}
