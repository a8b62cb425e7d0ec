//! The certificate by which media and floor control prove themselves.
//!
//! Session descriptions name it (RFC 8122): nobody has to vouch for it, and it is as good as the
//! signalling that carries them. It signs itself, is made at each start, and names nobody.

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sip::offer_answer::Fingerprint;
use webrtc::secure_transport::Certificate;

use crate::error::Error;
use crate::pinned_certificate::fingerprint_of;

/// A certificate with its key, ECDSA on P-256 (RFC 8827 section 6.5).
#[derive(Debug)]
pub struct MediaCertificate {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: PrivateKeyDer<'static>,
    fingerprint: Fingerprint,
}

impl MediaCertificate {
    /// Makes a certificate that signs itself.
    ///
    /// # Errors
    /// [`Error::Certificate`] when there is no randomness for a key.
    pub fn generate() -> Result<Self, Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "media");
        let key = KeyPair::generate().map_err(Error::Certificate)?;
        let certificate = params.self_signed(&key).map_err(Error::Certificate)?;
        let certificate = certificate.der().clone();
        Ok(Self {
            fingerprint: fingerprint_of(&certificate),
            certificate,
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        })
    }

    /// What our session descriptions say of it.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// For the DTLS handshakes of media.
    #[must_use]
    pub fn for_dtls(&self) -> Certificate {
        let key = self.key.secret_der().to_vec();
        Certificate::new(self.certificate.to_vec(), key)
    }
}
