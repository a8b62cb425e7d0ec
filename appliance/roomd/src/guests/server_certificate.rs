//! The certificate that the guests' server shows, renewed while it runs.
//!
//! One of the room's own authority is made anew a month before its end, and when the machine gets another
//! name or address. The owner's files are read again each hour, so that whoever renews them need not
//! restart the room. One by ACME goes before that of the own authority, for the name that it certifies. Connections that stand keep what they have seen.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

use super::acme::{self, ACME_TLS, Resolved};
use super::authority::{Leaf, LocalAuthority, ServerNames};
use crate::error::Error;
use crate::sip_sockets::{TlsIdentity, read_chain, read_key};

/// How often the clock and the files are looked at.
const INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Tells what the server is called now.
pub(super) type NamesSource = Box<dyn Fn() -> ServerNames + Send>;

/// Where the certificate comes from.
pub(super) enum CertificateSource {
    /// The room's own authority.
    Local {
        /// The authority.
        authority: Box<LocalAuthority>,
        /// For what it certifies.
        names: NamesSource,
    },
    /// The owner's files.
    Files(TlsIdentity),
}

/// The certificate that is shown, and how it is renewed.
pub(super) struct ServerCertificate {
    source: CertificateSource,
    /// What the last certificate of the own authority was made for.
    made: Option<(ServerNames, Leaf)>,
    shown: watch::Sender<Arc<CertifiedKey>>,
}

impl ServerCertificate {
    /// The first certificate.
    ///
    /// # Errors
    /// That of the files, or of the authority.
    pub(super) fn new(source: CertificateSource, now: SystemTime) -> Result<Self, Error> {
        let (shown, made) = match &source {
            CertificateSource::Local { authority, names } => {
                let names = names();
                let leaf = authority.certify(&names, now)?;
                (leaf.certified.clone(), Some((names, leaf)))
            }
            CertificateSource::Files(identity) => (from_files(identity)?, None),
        };
        Ok(Self {
            source,
            made,
            shown: watch::channel(Arc::new(shown)).0,
        })
    }

    /// What is shown at any time. Where there is ACME, what that shows goes before.
    pub(super) fn shown(&self, acme: Option<acme::Shown>) -> ShownCertificate {
        ShownCertificate {
            own: self.shown.subscribe(),
            acme,
        }
    }

    /// TLS of a server that shows this certificate, and each that follows. HTTP/1.1 is spoken.
    ///
    /// Where there is ACME, what that shows goes before.
    pub(super) fn tls_config(&self, acme: Option<acme::Shown>) -> ServerConfig {
        let mut protocols = vec![b"http/1.1".to_vec()];
        protocols.extend(acme.as_ref().map(|_| ACME_TLS.to_vec()));
        let shown = Arc::new(self.shown(acme));
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_cert_resolver(shown);
        config.alpn_protocols = protocols;
        config
    }

    /// Renews it for as long as it runs. `address_changes` counts changes of the machine's addresses.
    pub(super) async fn keep(mut self, mut address_changes: watch::Receiver<u64>) {
        let mut told = true;
        loop {
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                changed = address_changes.changed(), if told => told = changed.is_ok(),
            }
            if let Err(error) = self.renew(SystemTime::now()) {
                tracing::error!(%error, "the certificate of the guests' server is not renewed");
            }
        }
    }

    fn renew(&mut self, now: SystemTime) -> Result<(), Error> {
        let fresh = match &self.source {
            CertificateSource::Local { authority, names } => {
                let names = names();
                let is_good = |(for_names, leaf): &(ServerNames, Leaf)| {
                    *for_names == names && !leaf.is_due(now)
                };
                if self.made.as_ref().is_some_and(is_good) {
                    return Ok(());
                }
                let leaf = authority.certify(&names, now)?;
                let certified = leaf.certified.clone();
                self.made = Some((names, leaf));
                certified
            }
            CertificateSource::Files(identity) => from_files(identity)?,
        };
        if fresh.cert != self.shown.borrow().cert {
            tracing::info!("the guests' server has a new certificate");
            self.shown.send_replace(Arc::new(fresh));
        }
        Ok(())
    }
}

fn from_files(identity: &TlsIdentity) -> Result<CertifiedKey, Error> {
    let (chain, key) = (read_chain(identity)?, read_key(identity)?);
    CertifiedKey::from_der(chain, key, &default_provider()).map_err(|source| Error::Tls { source })
}

/// Shows what ACME has for the name that is asked for, or else the newest certificate.
#[derive(Clone, Debug)]
pub struct ShownCertificate {
    own: watch::Receiver<Arc<CertifiedKey>>,
    acme: Option<acme::Shown>,
}

impl ShownCertificate {
    /// Shows what the room has by itself.
    #[must_use]
    pub fn own(own: watch::Receiver<Arc<CertifiedKey>>) -> Self {
        Self { own, acme: None }
    }

    /// What those see who come by `public_url`.
    #[must_use]
    pub fn by_public_url(&self) -> Arc<CertifiedKey> {
        let acme = self.acme.as_ref().and_then(acme::Shown::certificate);
        acme.unwrap_or_else(|| self.own.borrow().clone())
    }
}

impl ResolvesServerCert for ShownCertificate {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match self.acme.as_ref().map(|acme| acme.resolve(&hello)) {
            Some(Resolved::Certificate(certificate)) => Some(certificate),
            Some(Resolved::Refused) => None,
            Some(Resolved::OwnAuthority) | None => Some(self.own.borrow().clone()),
        }
    }
}
