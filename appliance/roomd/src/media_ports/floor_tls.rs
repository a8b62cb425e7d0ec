//! TLS for floor control: a certificate of our own, and the peer's by its fingerprint.
//!
//! Which certificate an end shows, its session description says (RFC 8122).

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ServerConfig};
use sip::offer_answer::Fingerprint;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::media_certificate::MediaCertificate;
use crate::pinned_certificate::PinnedCertificate;

/// By what floors prove themselves.
#[derive(Debug)]
pub struct FloorTls {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    fingerprint: Fingerprint,
}

impl FloorTls {
    /// By that certificate.
    #[must_use]
    pub fn new(certificate: &MediaCertificate) -> Self {
        Self {
            certificate: certificate.certificate.clone(),
            key: certificate.key.clone_key(),
            fingerprint: certificate.fingerprint(),
        }
    }

    /// What our session descriptions say of the certificate.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The TLS client for a peer with this certificate.
    ///
    /// # Errors
    /// Certificate and key do not fit, which would be a fault of ours.
    pub(super) fn connector(&self, peer: Fingerprint) -> Result<TlsConnector, rustls::Error> {
        let config = ClientConfig::builder()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PinnedCertificate::new(peer)))
            .with_client_auth_cert(vec![self.certificate.clone()], self.key.clone_key())?;
        Ok(Arc::new(config).into())
    }

    /// The TLS server for a peer with this certificate.
    ///
    /// # Errors
    /// As [`Self::connector`].
    pub(super) fn acceptor(&self, peer: Fingerprint) -> Result<TlsAcceptor, rustls::Error> {
        let config = ServerConfig::builder()
            .with_client_cert_verifier(Arc::new(PinnedCertificate::new(peer)))
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())?;
        Ok(Arc::new(config).into())
    }
}
