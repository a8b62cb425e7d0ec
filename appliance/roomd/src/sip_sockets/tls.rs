//! TLS for SIP: whom we trust, and how we prove who we are.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::ClientCertificates;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sip::endpoint::AccountName;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::error::Error;

/// The certificate chain and key that we present.
#[derive(Clone, Debug)]
pub struct TlsIdentity {
    /// PEM file of our certificate, then its issuers.
    pub certificate_chain: PathBuf,
    /// PEM file of its private key.
    pub private_key: PathBuf,
}

/// Whose certificates we accept.
#[derive(Clone, Debug, Default)]
pub struct TlsTrust {
    /// PEM files of the owner's own certificate authorities. When there are any, only these are
    /// trusted; otherwise those of the system are.
    pub authorities: Vec<PathBuf>,
}

/// TLS of all SIP sockets.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// By what the listener proves itself.
    pub listener: Option<TlsIdentity>,
    /// Whether those who connect to it are asked for a certificate.
    pub client_certificates: ClientCertificates,
    /// By what accounts prove themselves to servers that ask for a certificate.
    pub accounts: Vec<(AccountName, TlsIdentity)>,
    /// Whose certificates are accepted, of servers and of those who connect.
    pub trust: TlsTrust,
}

impl Default for TlsSettings {
    /// Nobody listens, and nothing is shown to anybody.
    fn default() -> Self {
        Self {
            listener: None,
            client_certificates: ClientCertificates::Off,
            accounts: Vec::new(),
            trust: TlsTrust::default(),
        }
    }
}

impl TlsSettings {
    /// The files with our own certificates.
    pub fn certificate_chains(&self) -> impl Iterator<Item = &Path> {
        let accounts = self.accounts.iter().map(|(_, identity)| identity);
        self.listener
            .iter()
            .chain(accounts)
            .map(|identity| identity.certificate_chain.as_path())
    }
}

/// Connectors that check the server's certificate and name.
pub(super) struct Connectors {
    /// Shows nothing.
    anonymous: TlsConnector,
    /// Show their account's certificate, if asked for one.
    accounts: HashMap<AccountName, TlsConnector>,
}

impl Connectors {
    pub(super) fn new(settings: &TlsSettings) -> Result<Self, Error> {
        let roots = Arc::new(roots(&settings.trust)?);
        let builder = || ClientConfig::builder().with_root_certificates(Arc::clone(&roots));
        let anonymous = builder().with_no_client_auth();
        let mut accounts = HashMap::new();
        for (account, identity) in &settings.accounts {
            let config = builder()
                .with_client_auth_cert(read_chain(identity)?, read_key(identity)?)
                .map_err(|source| Error::Tls { source })?;
            accounts.insert(account.clone(), TlsConnector::from(Arc::new(config)));
        }
        Ok(Self {
            anonymous: TlsConnector::from(Arc::new(anonymous)),
            accounts,
        })
    }

    /// The one that connects in an account's name; without an account, in nobody's.
    pub(super) fn of(&self, identity: Option<&AccountName>) -> TlsConnector {
        identity
            .and_then(|account| self.accounts.get(account))
            .unwrap_or(&self.anonymous)
            .clone()
    }
}

/// An acceptor that presents our certificate, and asks for the peer's where the settings say so.
pub(super) fn acceptor(
    identity: &TlsIdentity,
    settings: &TlsSettings,
) -> Result<TlsAcceptor, Error> {
    let builder = match settings.client_certificates {
        ClientCertificates::Off => ServerConfig::builder().with_no_client_auth(),
        asked @ (ClientCertificates::Optional | ClientCertificates::Required) => {
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots(&settings.trust)?))
                // The names of all authorities would fill the handshake, and help nobody choose.
                .clear_root_hint_subjects();
            let verifier = match asked {
                ClientCertificates::Off | ClientCertificates::Optional => {
                    verifier.allow_unauthenticated()
                }
                ClientCertificates::Required => verifier,
            };
            let verifier = verifier
                .build()
                .map_err(|source| Error::ClientCertificates { source })?;
            ServerConfig::builder().with_client_cert_verifier(verifier)
        }
    };
    let config = builder
        .with_single_cert(read_chain(identity)?, read_key(identity)?)
        .map_err(|source| Error::Tls { source })?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A connector that checks the server's certificate and name, and shows nothing of its own.
pub(crate) fn connector(trust: &TlsTrust) -> Result<TlsConnector, Error> {
    let roots = Arc::new(roots(trust)?);
    let config = ClientConfig::builder().with_root_certificates(roots);
    Ok(TlsConnector::from(Arc::new(config.with_no_client_auth())))
}

fn roots(trust: &TlsTrust) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    if trust.authorities.is_empty() {
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            tracing::warn!(%error, "a system certificate authority was not read");
        }
        roots.add_parsable_certificates(system.certs);
    }
    for path in &trust.authorities {
        for certificate in read_certificates(path)? {
            roots
                .add(certificate)
                .map_err(|source| Error::Tls { source })?;
        }
    }
    Ok(roots)
}

pub(crate) fn read_chain(identity: &TlsIdentity) -> Result<Vec<CertificateDer<'static>>, Error> {
    read_certificates(&identity.certificate_chain)
}

fn read_certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unreadable = |source| Error::TlsFile {
        path: path.clone(),
        source,
    };
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(unreadable)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(Error::TlsFileEmpty { path: path.clone() });
    }
    Ok(certificates)
}

pub(crate) fn read_key(identity: &TlsIdentity) -> Result<PrivateKeyDer<'static>, Error> {
    let path = &identity.private_key;
    let unreadable = |source| Error::TlsFile {
        path: path.clone(),
        source,
    };
    let file = File::open(path).map_err(|source| unreadable(pem::Error::Io(source)))?;
    // The mode of what was opened, not of the name, which may be changed in between.
    let mode = file
        .metadata()
        .map_err(|source| unreadable(pem::Error::Io(source)))?
        .mode();
    if mode & 0o004 != 0 {
        return Err(Error::TlsKeyWorldReadable { path: path.clone() });
    }
    PrivateKeyDer::from_pem_reader(BufReader::new(file)).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_that_everybody_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let private_key = folder.path().join("room.key");
        let key = rcgen::KeyPair::generate().unwrap();
        fs::write(&private_key, key.serialize_pem()).unwrap();
        let identity = TlsIdentity {
            certificate_chain: folder.path().join("room.pem"),
            private_key: private_key.clone(),
        };
        for (mode, taken) in [(0o600, true), (0o640, true), (0o644, false), (0o604, false)] {
            fs::set_permissions(&private_key, Permissions::from_mode(mode)).unwrap();
            match read_key(&identity) {
                Ok(_) => assert!(taken, "{mode:o}"),
                Err(Error::TlsKeyWorldReadable { path }) => {
                    assert!(!taken, "{mode:o}");
                    assert_eq!(path, private_key);
                }
                Err(error) => panic!("{mode:o}: {error}"),
            }
        }
    }
}
