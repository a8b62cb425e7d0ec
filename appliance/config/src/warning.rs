//! What a valid configuration asks for and will not get.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::language::Language;
use crate::settings::{
    Account, AccountName, AutoAnswer, ClientCertificates, Config, Host, MediaSecurity, Peer,
    Registration, Replaces, Transport,
};

/// Something that is allowed, and most likely not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A domain is allowed to call, but there is no connection by which its calls could come: those
    /// who connect to us are not asked for a certificate, and no account registers.
    DomainWithoutRegistration {
        /// The domain.
        domain: Host,
    },
    /// SRTP is required, and its keys travel where everybody on the way can read them (SDES, RFC 4568
    /// section 7.1): the calls of this account can be decrypted by whoever sees its signalling.
    KeysInClear {
        /// The account.
        account: AccountName,
        /// By which its signalling travels.
        transport: Transport,
    },
    /// The server of an account is at an address of one IP version, and media is bound to one of the
    /// other: the calls of this account have none.
    MediaOfOtherIpVersion {
        /// The account.
        account: AccountName,
        /// Its server.
        server: IpAddr,
        /// Where the room listens, and has its media.
        listen: SocketAddr,
    },
    /// An account registers at, or by way of, a server that a wider peer holds: whoever that server lets
    /// call has what trusted callers have. One that is named itself is meant.
    RegistrarTrusted {
        /// The account.
        account: AccountName,
        /// The server that its requests go to first.
        server: Host,
        /// The peer that holds it.
        peer: Peer,
    },
}

impl Config {
    /// What is valid, and most likely not meant.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = self.domains_without_registration();
        warnings.extend(self.accounts.iter().filter_map(keys_in_clear));
        warnings.extend(self.media_of_other_ip_version());
        warnings.extend(self.trusted_registrars());
        warnings
    }

    fn trusted_registrars(&self) -> Vec<Warning> {
        let trusted_have_more = self.incoming.auto_answer != AutoAnswer::Never
            || self.incoming.replaces == Replaces::Trusted;
        if !trusted_have_more {
            return Vec::new();
        }
        let registering = self.accounts.iter().filter(|account| registers(account));
        let servers = registering.flat_map(|account| {
            let servers = first_servers(account);
            servers.map(move |server| (account, server))
        });
        let holder = |(account, server): (&Account, &Host)| {
            let peer = self.sip.peers.iter().find(|peer| holds(peer, server))?;
            Some(Warning::RegistrarTrusted {
                account: account.name.clone(),
                server: server.clone(),
                peer: peer.clone(),
            })
        };
        servers.filter_map(holder).collect()
    }

    fn domains_without_registration(&self) -> Vec<Warning> {
        let asks = self
            .sip
            .listen_tls
            .as_ref()
            .is_some_and(|tls| tls.client_certificates != ClientCertificates::Off);
        if asks || self.accounts.iter().any(registers) {
            return Vec::new();
        }
        let domain_of = |peer: &Peer| match peer {
            Peer::Domain(domain) => Some(domain.clone()),
            Peer::Network { .. } => None,
        };
        let domains = self.sip.peers.iter().filter_map(domain_of);
        domains
            .map(|domain| Warning::DomainWithoutRegistration { domain })
            .collect()
    }
}

impl Config {
    fn media_of_other_ip_version(&self) -> Vec<Warning> {
        let sip = &self.sip;
        let tls = sip.listen_tls.as_ref().map(|tls| tls.address);
        // Media is where the first of them is.
        let Some(listen) = tls.or(sip.listen_tcp).or(sip.listen_udp) else {
            return Vec::new();
        };
        let serves = |server: IpAddr| {
            listen.ip() == Ipv6Addr::UNSPECIFIED || listen.is_ipv4() == server.is_ipv4()
        };
        let accounts = self.accounts.iter();
        accounts
            .filter_map(|account| Some((account, numeric_server(account)?)))
            .filter(|(_, server)| !serves(*server))
            .map(|(account, server)| Warning::MediaOfOtherIpVersion {
                account: account.name.clone(),
                server,
                listen,
            })
            .collect()
    }
}

/// The address of the server that the calls of an account go to, where it is configured as such.
fn numeric_server(account: &Account) -> Option<IpAddr> {
    let registrar = match account.registration {
        Registration::On { .. } => Some(&account.registrar),
        Registration::Off => None,
    };
    match account.proxy.as_ref().or(registrar)?.host {
        Host::Address(address) => Some(address),
        Host::Name(_) => None,
    }
}

fn registers(account: &Account) -> bool {
    match account.registration {
        Registration::On { .. } => true,
        Registration::Off => false,
    }
}

/// The servers by whose flows the account is called.
fn first_servers(account: &Account) -> impl Iterator<Item = &Host> {
    let proxies = account.proxy.iter().chain(&account.backup_proxy);
    let registrar = account.proxy.is_none().then_some(&account.registrar);
    proxies.chain(registrar).map(|server| &server.host)
}

/// Whether the peer is more than that server, and holds it. A name has no address here.
fn holds(peer: &Peer, server: &Host) -> bool {
    match (peer, server) {
        (Peer::Domain(Host::Name(domain)), Host::Name(name)) => name
            .strip_suffix(domain.as_str())
            .is_some_and(|start| start.ends_with('.')),
        (Peer::Network { prefix, .. }, Host::Address(address)) => {
            let whole = if address.is_ipv4() { 32 } else { 128 };
            *prefix < whole && peer.covers(*address)
        }
        (Peer::Domain(_), _) | (Peer::Network { .. }, Host::Name(_)) => false,
    }
}

/// Who allows plain media has been told what that means.
fn keys_in_clear(account: &Account) -> Option<Warning> {
    match (account.media_security, account.transport) {
        (MediaSecurity::SrtpRequired, Transport::Tcp | Transport::Udp | Transport::Ws) => {
            Some(Warning::KeysInClear {
                account: account.name.clone(),
                transport: account.transport,
            })
        }
        (MediaSecurity::SrtpRequired, Transport::Tls | Transport::Wss)
        | (MediaSecurity::PlainAllowed, _) => None,
    }
}

impl Warning {
    /// The warning in words, with what to write instead, marked as one.
    #[must_use]
    pub fn text(&self, language: Language) -> String {
        let words = self.words(language);
        match language {
            Language::English => format!("warning: {words}"),
            Language::Chinese => format!("警告:{words}"),
        }
    }

    /// The warning in words, with what to write instead.
    #[must_use]
    pub fn words(&self, language: Language) -> String {
        match (self, language) {
            (Self::DomainWithoutRegistration { domain }, Language::English) => format!(
                "sip.peers: calls of {domain} will not get in, because no account \
                 registers (register an account there, ask for certificates by \
                 sip.client_certificates, or name the addresses that call)"
            ),
            (Self::DomainWithoutRegistration { domain }, Language::Chinese) => format!(
                "sip.peers:没有账户注册,来自 {domain} 的呼叫无法接入\
                 (请在该域注册账户,或用 sip.client_certificates 要求证书,或改写为呼叫方的地址)"
            ),
            (Self::KeysInClear { account, transport }, Language::English) => format!(
                "account {account}: its signalling travels in clear ({transport}), and the keys of \
                 SRTP with it: who can read it can listen to the calls (write transport = \"tls\" or \
                 \"wss\", unless everybody on the way may)"
            ),
            (Self::KeysInClear { account, transport }, Language::Chinese) => format!(
                "账户 {account}:信令以明文传送({transport}),SRTP 密钥也随之明文传送:\
                 能看到信令的人就能听到通话(请写 transport = \"tls\" 或 \"wss\",除非途中的人都可以听)"
            ),
            (
                Self::MediaOfOtherIpVersion {
                    account,
                    server,
                    listen,
                },
                Language::English,
            ) => format!(
                "account {account}: its server is at {server}, and media is bound to {listen}, of the \
                 other IP version: its calls will have neither picture nor sound (listen on [::], which \
                 serves both)"
            ),
            (
                Self::MediaOfOtherIpVersion {
                    account,
                    server,
                    listen,
                },
                Language::Chinese,
            ) => format!(
                "账户 {account}:服务器地址为 {server},媒体却绑定在另一种 IP 版本的监听地址 {listen} 上:\
                 通话将没有画面和声音(请监听 [::],它同时支持两种版本)"
            ),
            (
                Self::RegistrarTrusted {
                    account,
                    server,
                    peer,
                },
                Language::English,
            ) => format!(
                "sip.peers: {peer} holds {server}, by which account {account} registers: everybody who \
                 calls by way of that is a trusted caller (name {server} itself if that is meant, or \
                 else the addresses of those who call directly)"
            ),
            (
                Self::RegistrarTrusted {
                    account,
                    server,
                    peer,
                },
                Language::Chinese,
            ) => format!(
                "sip.peers:{peer} 包含账户 {account} 注册所经的 {server}:经由它呼入的任何人都是受信任的呼叫方\
                 (若确有此意,请直接写 {server},否则请写直接呼叫方的地址)"
            ),
        }
    }
}
