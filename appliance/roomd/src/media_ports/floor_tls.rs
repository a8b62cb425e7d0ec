//! TLS for floor control: a certificate of our own, and the peer's by its fingerprint.
//!
//! Which certificate an end shows, its session description says (RFC 8122).

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{self, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, ServerConfig,
    SignatureScheme,
};
use sip::offer_answer::Fingerprint;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::media_certificate::{MediaCertificate, fingerprint_of};

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
            .with_custom_certificate_verifier(Arc::new(Agreed::new(peer)))
            .with_client_auth_cert(vec![self.certificate.clone()], self.key.clone_key())?;
        Ok(Arc::new(config).into())
    }

    /// The TLS server for a peer with this certificate.
    ///
    /// # Errors
    /// As [`Self::connector`].
    pub(super) fn acceptor(&self, peer: Fingerprint) -> Result<TlsAcceptor, rustls::Error> {
        let config = ServerConfig::builder()
            .with_client_cert_verifier(Arc::new(Agreed::new(peer)))
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())?;
        Ok(Arc::new(config).into())
    }
}

/// Takes the agreed certificate and no other. That its holder has the key, the signature of the
/// handshake shows.
#[derive(Debug)]
struct Agreed {
    peer: Fingerprint,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Agreed {
    fn new(peer: Fingerprint) -> Self {
        let provider = crypto::aws_lc_rs::default_provider();
        Self {
            peer,
            algorithms: provider.signature_verification_algorithms,
        }
    }

    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        if fingerprint_of(certificate) == self.peer {
            Ok(())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }
}

impl ServerCertVerifier for Agreed {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(end_entity)
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Agreed {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.check(end_entity)
            .map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
