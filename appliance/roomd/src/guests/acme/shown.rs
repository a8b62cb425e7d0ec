//! What is shown of ACME at the guests' listener: the certificate, and the proofs of the name.

use std::fmt;
use std::sync::Arc;

use rustls::server::ClientHello;
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

/// What a server that proves the name speaks (RFC 8737 section 6.2).
pub(in crate::guests) const ACME_TLS: &[u8] = b"acme-tls/1";

/// What is shown under the certified name. Clones show the same.
#[derive(Clone)]
pub(in crate::guests) struct Shown {
    name: Arc<str>,
    now: watch::Sender<Showing>,
}

#[derive(Clone, Debug, Default)]
struct Showing {
    certificate: Option<Arc<CertifiedKey>>,
    challenge: Option<Challenge>,
}

/// A proof that the ACME server is about to look at.
#[derive(Clone)]
pub(super) enum Challenge {
    /// A certificate that holds the proof (RFC 8737).
    TlsAlpn(Arc<CertifiedKey>),
    /// A text (RFC 8555 section 8.3).
    Http {
        /// By what it is asked for.
        token: String,
        /// The text.
        key_authorization: String,
    },
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TlsAlpn(_) => "TlsAlpn",
            Self::Http { .. } => "Http",
        })
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").field("name", &self.name).finish()
    }
}

impl Shown {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            now: watch::channel(Showing::default()).0,
        }
    }

    /// The name that is certified.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether guests who come by the name see a certificate of the ACME server.
    pub(in crate::guests) fn has_certificate(&self) -> bool {
        self.now.borrow().certificate.is_some()
    }

    /// That certificate.
    pub(in crate::guests) fn certificate(&self) -> Option<Arc<CertifiedKey>> {
        self.now.borrow().certificate.clone()
    }

    pub(super) fn show_certificate(&self, certificate: Arc<CertifiedKey>) {
        self.now
            .send_modify(|now| now.certificate = Some(certificate));
    }

    /// Shows a proof for as long as what is returned lives.
    pub(super) fn show_challenge(&self, challenge: Challenge) -> ShownChallenge {
        self.now.send_modify(|now| now.challenge = Some(challenge));
        ShownChallenge(self.clone())
    }

    /// The text that proves the name, by its token.
    pub(super) fn key_authorization(&self, asked: &str) -> Option<String> {
        match &self.now.borrow().challenge {
            Some(Challenge::Http {
                token,
                key_authorization,
            }) if token == asked => Some(key_authorization.clone()),
            Some(Challenge::Http { .. } | Challenge::TlsAlpn(_)) | None => None,
        }
    }

    /// What is shown to somebody who connects.
    pub(in crate::guests) fn resolve(&self, hello: &ClientHello<'_>) -> Resolved {
        let mut protocols = hello.alpn().into_iter().flatten();
        // Whoever proves a name offers this protocol alone (RFC 8737 section 3).
        if protocols.next() == Some(ACME_TLS) && protocols.next().is_none() {
            return match &self.now.borrow().challenge {
                Some(Challenge::TlsAlpn(certificate)) => Resolved::Certificate(certificate.clone()),
                Some(Challenge::Http { .. }) | None => Resolved::Refused,
            };
        }
        let is_ours = hello
            .server_name()
            .is_some_and(|name| name.eq_ignore_ascii_case(&self.name));
        match &self.now.borrow().certificate {
            Some(certificate) if is_ours => Resolved::Certificate(certificate.clone()),
            Some(_) | None => Resolved::OwnAuthority,
        }
    }
}

/// What is shown to somebody who connects.
pub(in crate::guests) enum Resolved {
    /// This.
    Certificate(Arc<CertifiedKey>),
    /// What the room's own authority has made.
    OwnAuthority,
    /// Nothing: no name is being proven.
    Refused,
}

/// A proof that is shown until this is dropped.
pub(super) struct ShownChallenge(Shown);

impl Drop for ShownChallenge {
    fn drop(&mut self) {
        self.0.now.send_modify(|now| now.challenge = None);
    }
}
