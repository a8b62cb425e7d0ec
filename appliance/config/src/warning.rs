//! What a valid configuration asks for and will not get.

use crate::language::Language;
use crate::settings::{ClientCertificates, Config, Host, Peer, Registration};

/// Something that is allowed, and most likely not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A domain is allowed to call, but there is no connection by which its calls could come: those
    /// who connect to us are not asked for a certificate, and no account registers.
    DomainWithoutRegistration {
        /// The domain.
        domain: Host,
    },
}

impl Config {
    /// What is valid, and most likely not meant.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let registers = |account: &crate::Account| match account.registration {
            Registration::On { .. } => true,
            Registration::Off => false,
        };
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

impl Warning {
    /// The warning in words, with what to write instead.
    #[must_use]
    pub fn text(&self, language: Language) -> String {
        match (self, language) {
            (Self::DomainWithoutRegistration { domain }, Language::English) => format!(
                "warning: sip.peers: calls of {domain} will not get in, because no account \
                 registers (register an account there, ask for certificates by \
                 sip.client_certificates, or name the addresses that call)"
            ),
            (Self::DomainWithoutRegistration { domain }, Language::Chinese) => format!(
                "警告:sip.peers:没有账号注册,来自 {domain} 的呼叫无法接入\
                 (请在该域注册账号,或用 sip.client_certificates 要求证书,或改写为呼叫方的地址)"
            ),
        }
    }
}
