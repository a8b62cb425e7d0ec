//! TLS for SIP: whom we trust, and how we prove who we are.

use std::fs::File;
use std::io::BufReader;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
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

/// A connector that checks the peer's certificate and name.
pub(super) fn connector(
    trust: &TlsTrust,
    identity: Option<&TlsIdentity>,
) -> Result<TlsConnector, Error> {
    let builder = ClientConfig::builder().with_root_certificates(roots(trust)?);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder
            .with_client_auth_cert(read_chain(identity)?, read_key(identity)?)
            .map_err(|source| Error::Tls { source })?,
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// An acceptor that presents our certificate.
pub(super) fn acceptor(identity: &TlsIdentity) -> Result<TlsAcceptor, Error> {
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(read_chain(identity)?, read_key(identity)?)
        .map_err(|source| Error::Tls { source })?;
    Ok(TlsAcceptor::from(Arc::new(config)))
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

fn read_chain(identity: &TlsIdentity) -> Result<Vec<CertificateDer<'static>>, Error> {
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

fn read_key(identity: &TlsIdentity) -> Result<PrivateKeyDer<'static>, Error> {
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
