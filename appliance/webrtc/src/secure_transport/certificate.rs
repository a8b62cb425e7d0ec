//! The certificate that proves who is at the other end of DTLS, and what names it in a session
//! description (RFC 8122).

use std::fmt;

use aws_lc_rs::digest;
use dimpl::DtlsCertificate;

/// A certificate of our own with its private key. Its `Debug` shows neither.
#[derive(Clone)]
pub struct Certificate {
    pair: DtlsCertificate,
    fingerprint: CertificateFingerprint,
}

impl Certificate {
    /// A certificate with an ECDSA key on P-256 or P-384, both as DER; the key in PKCS #8 (RFC 5958).
    /// What is none of these fails in the first handshake.
    #[must_use]
    pub fn new(certificate: Vec<u8>, private_key: Vec<u8>) -> Self {
        Self {
            fingerprint: CertificateFingerprint::of(&certificate),
            pair: DtlsCertificate {
                certificate,
                private_key,
            },
        }
    }

    /// What names it.
    #[must_use]
    pub fn fingerprint(&self) -> CertificateFingerprint {
        self.fingerprint
    }

    pub(super) fn pair(&self) -> DtlsCertificate {
        self.pair.clone()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({:?})", self.fingerprint)
    }
}

/// The SHA-256 of a certificate in DER, which every endpoint has to know (RFC 8122 section 5).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CertificateFingerprint(pub [u8; 32]);

impl CertificateFingerprint {
    pub(super) fn of(certificate: &[u8]) -> Self {
        let hash = digest::digest(&digest::SHA256, certificate);
        let octets = hash.as_ref().try_into();
        Self(octets.expect("SHA-256 has 32 octets"))
    }
}

impl fmt::Debug for CertificateFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha-256 ")?;
        for (index, octet) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{octet:02X}")?;
        }
        Ok(())
    }
}
