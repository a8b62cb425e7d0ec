//! A certificate that an ACME server has issued, with its key: one file, so that the two cannot part.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use instant_acme::CertificateIdentifier;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{ASN1Time, FromDer, GeneralName, X509Certificate};
use zeroize::Zeroizing;

use super::schedule::Period;

/// Stands before the URL of the server's directory, in front of the PEM blocks, where PEM allows any text.
const ISSUED_BY: &str = "Issued by ";

/// Why a text holds no certificate that can be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotIssued {
    /// It is no PEM, or a part is missing.
    #[error("{0}")]
    Pem(#[from] pem::Error),
    /// There is no certificate in it.
    #[error("no certificate")]
    Empty,
    /// The certificate cannot be read.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// Key and certificate do not belong together, or the key is of a kind that is not known.
    #[error("{0}")]
    Key(#[from] rustls::Error),
}

impl From<NotIssued> for io::Error {
    fn from(error: NotIssued) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// A certificate with its key.
#[derive(Clone)]
pub(super) struct Issued {
    /// What is shown.
    pub(super) certified: Arc<CertifiedKey>,
    /// From when to when it is good.
    pub(super) validity: Period,
    /// Whose directory led to it; empty where the file does not say.
    pub(super) directory: String,
    names: Vec<String>,
    text: Zeroizing<String>,
}

impl Issued {
    /// Puts a chain and its key together (PEM).
    pub(super) fn new(chain: &str, key: &str, directory: &str) -> Result<Self, NotIssued> {
        let text = format!("{ISSUED_BY}{directory}\n{key}{chain}");
        Self::from_text(Zeroizing::new(text))
    }

    /// Reads what [`Issued::text`] gave.
    pub(super) fn from_text(text: Zeroizing<String>) -> Result<Self, NotIssued> {
        let chain =
            CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes())?;
        let own = chain.first().ok_or(NotIssued::Empty)?;
        let (_, read) = X509Certificate::from_der(own).map_err(|_| NotIssued::Unreadable)?;
        let validity = read.validity();
        let validity = Period {
            start: time(validity.not_before),
            end: time(validity.not_after),
        };
        let alternative = read.subject_alternative_name().ok().flatten();
        let alternative = alternative.map(|names| names.value.general_names.iter());
        let names = alternative
            .into_iter()
            .flatten()
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                _ => None,
            });
        let names = names.collect();
        let directory = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix(ISSUED_BY));
        let directory = directory.unwrap_or_default().trim().to_owned();
        let certified = CertifiedKey::from_der(chain, key, &default_provider())?;
        Ok(Self {
            certified: Arc::new(certified),
            validity,
            directory,
            names,
            text,
        })
    }

    /// What is kept of it.
    pub(super) fn text(&self) -> &Zeroizing<String> {
        &self.text
    }

    /// Whether it certifies a name.
    pub(super) fn names(&self, name: &str) -> bool {
        self.names.iter().any(|own| own.eq_ignore_ascii_case(name))
    }

    /// By what its server knows it (RFC 9773 section 4.1); `None` where it names no issuer's key.
    pub(super) fn identifier(&self) -> Option<CertificateIdentifier<'static>> {
        let own = self.certified.cert.first()?;
        CertificateIdentifier::try_from(own)
            .ok()
            .map(CertificateIdentifier::into_owned)
    }
}

fn time(time: ASN1Time) -> SystemTime {
    let since = Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0));
    SystemTime::UNIX_EPOCH
        .checked_add(since)
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
pub(super) mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    /// A certificate that nobody else vouches for.
    pub(in super::super) fn self_signed(name: &str, directory: &str) -> Issued {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let chain = params.self_signed(&key).unwrap().pem();
        Issued::new(&chain, &key.serialize_pem(), directory).unwrap()
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let directory = "https://ca.example/directory";
        let issued = self_signed("room.example.com", directory);
        let read = Issued::from_text(issued.text().clone()).unwrap();
        assert_eq!(read.certified.cert, issued.certified.cert);
        assert_eq!(read.directory, directory);
        assert!(read.names("Room.example.com"));
        assert!(!read.names("example.com"));
        assert_eq!(read.validity, issued.validity);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (one, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        let chain = params.self_signed(&one).unwrap().pem();
        for (chain, key) in [
            (chain.as_str(), other.serialize_pem()),
            ("", one.serialize_pem()),
            (&chain, String::new()),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                one.serialize_pem(),
            ),
        ] {
            assert!(Issued::new(chain, &key, "").is_err());
        }
    }
}
