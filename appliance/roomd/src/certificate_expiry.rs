//! How long the certificates by which this room proves itself are good for: its owner hears of the end
//! a month before, not from a call that fails.
//!
//! What counts are the certificates as they were read at the start, which are those that peers see; a
//! renewed file counts from the next start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use room::{Certificate, CertificateValidity, Fact};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::mpsc;
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

use crate::error::Error;

/// When an end counts as near: the time that it takes to renew a certificate where people do it.
const SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How often the clock is looked at.
const INTERVAL: Duration = Duration::from_secs(60 * 60);

/// The times of the certificates in some files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateExpiry {
    chains: Vec<(PathBuf, Period)>,
}

/// The time in which a whole chain is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Period {
    not_before: SystemTime,
    not_after: SystemTime,
}

impl CertificateExpiry {
    /// Reads the certificate chains in `files`. Each counts as its shortest-lived certificate.
    ///
    /// # Errors
    /// [`Error::TlsFile`] when a file cannot be read, [`Error::TlsFileEmpty`] when it holds no
    /// certificate that can.
    pub fn read<'a>(files: impl IntoIterator<Item = &'a Path>) -> Result<Self, Error> {
        let mut chains: Vec<(PathBuf, Period)> = Vec::new();
        for file in files {
            if chains.iter().all(|(known, _)| known != file) {
                chains.push((file.to_owned(), period_of(file)?));
            }
        }
        Ok(Self { chains })
    }

    /// How they stand at a time.
    #[must_use]
    pub fn at(&self, now: SystemTime) -> BTreeMap<String, Certificate> {
        self.chains
            .iter()
            .map(|(file, period)| (file.display().to_string(), period.at(now)))
            .collect()
    }

    /// Tells the room how they stand, and each change; ends with the room.
    pub async fn watch(self, facts: mpsc::Sender<Fact>) {
        let mut told = BTreeMap::new();
        while !self.chains.is_empty() {
            let certificates = self.at(SystemTime::now());
            if certificates != told {
                for (file, certificate) in &certificates {
                    log(file, *certificate);
                }
                told.clone_from(&certificates);
                if facts.send(Fact::Certificates(certificates)).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = facts.closed() => return,
            }
        }
        facts.closed().await;
    }
}

impl Period {
    fn at(self, now: SystemTime) -> Certificate {
        let validity = if now < self.not_before {
            CertificateValidity::NotYetValid
        } else if now > self.not_after {
            CertificateValidity::Expired
        } else if now + SOON > self.not_after {
            CertificateValidity::ExpiresSoon
        } else {
            CertificateValidity::Good
        };
        Certificate {
            validity,
            not_after: self.not_after,
        }
    }
}

fn log(file: &str, certificate: Certificate) {
    match certificate.validity {
        CertificateValidity::Good => {}
        CertificateValidity::ExpiresSoon => {
            tracing::warn!(%file, "a certificate expires within 30 days: renew it");
        }
        CertificateValidity::Expired => {
            tracing::warn!(%file, "a certificate has expired: peers refuse it until it is renewed");
        }
        CertificateValidity::NotYetValid => {
            tracing::warn!(%file, "a certificate is not valid yet: is the clock of this machine right?");
        }
    }
}

fn period_of(file: &Path) -> Result<Period, Error> {
    let unreadable = |source| Error::TlsFile {
        path: file.to_owned(),
        source,
    };
    let mut whole: Option<Period> = None;
    for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
        let certificate = certificate.map_err(unreadable)?;
        // rustls has the last word on what it can use.
        let Ok((_, certificate)) = X509Certificate::from_der(&certificate) else {
            continue;
        };
        let validity = certificate.validity();
        let (not_before, not_after) = (time(validity.not_before), time(validity.not_after));
        whole = Some(match whole {
            None => Period {
                not_before,
                not_after,
            },
            Some(whole) => Period {
                not_before: whole.not_before.max(not_before),
                not_after: whole.not_after.min(not_after),
            },
        });
    }
    whole.ok_or_else(|| Error::TlsFileEmpty {
        path: file.to_owned(),
    })
}

fn time(time: ASN1Time) -> SystemTime {
    let seconds = time.timestamp();
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 {
        UNIX_EPOCH.checked_sub(distance).unwrap_or(UNIX_EPOCH)
    } else {
        UNIX_EPOCH + distance
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn pem(from: (i32, u8, u8), to: (i32, u8, u8)) -> String {
        let mut parameters = CertificateParams::default();
        parameters.not_before = date_time_ymd(from.0, from.1, from.2);
        parameters.not_after = date_time_ymd(to.0, to.1, to.2);
        let key = KeyPair::generate().unwrap();
        parameters.self_signed(&key).unwrap().pem()
    }

    /// 2026-03-01 at midnight.
    fn march() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_772_323_200)
    }

    fn validity(expiry: &CertificateExpiry, at: SystemTime) -> CertificateValidity {
        let certificates = expiry.at(at);
        assert_eq!(certificates.len(), 1);
        certificates.into_values().next().unwrap().validity
    }

    #[test]
    fn a_certificate_is_good_until_a_month_before_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("room.pem");
        fs::write(&file, pem((2026, 1, 1), (2026, 3, 1))).unwrap();
        // The same file named twice is one certificate.
        let expiry = CertificateExpiry::read([file.as_path(), &file]).unwrap();
        for (at, expected) in [
            (march() - 90 * DAY, CertificateValidity::NotYetValid),
            (march() - 31 * DAY, CertificateValidity::Good),
            (march() - 29 * DAY, CertificateValidity::ExpiresSoon),
            (march() + DAY, CertificateValidity::Expired),
        ] {
            assert_eq!(validity(&expiry, at), expected, "{at:?}");
        }
        let shown = expiry.at(march());
        assert_eq!(shown[&file.display().to_string()].not_after, march());
    }

    #[test]
    fn a_chain_is_as_good_as_its_shortest_lived_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chain.pem");
        let (own, issuer) = (
            pem((2026, 2, 1), (2030, 1, 1)),
            pem((2020, 1, 1), (2026, 3, 1)),
        );
        fs::write(&file, format!("{own}{issuer}")).unwrap();
        let expiry = CertificateExpiry::read([file.as_path()]).unwrap();
        assert_eq!(
            validity(&expiry, march() + DAY),
            CertificateValidity::Expired
        );
        let january = march() - 40 * DAY;
        assert_eq!(validity(&expiry, january), CertificateValidity::NotYetValid);
    }

    #[test]
    fn a_file_without_a_certificate_is_refused_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("empty.pem");
        let read = || CertificateExpiry::read([file.as_path()]);
        assert!(matches!(read(), Err(Error::TlsFile { path, .. }) if path == file));
        for text in [
            "",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            fs::write(&file, text).unwrap();
            assert!(matches!(read(), Err(Error::TlsFileEmpty { path }) if path == file));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_room_is_told_at_once_and_not_again_while_nothing_changes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("room.pem");
        fs::write(&file, pem((2020, 1, 1), (2021, 1, 1))).unwrap();
        let expiry = CertificateExpiry::read([file.as_path()]).unwrap();
        let (facts, mut told) = mpsc::channel(4);
        let watching = tokio::spawn(expiry.watch(facts));
        let Some(Fact::Certificates(certificates)) = told.recv().await else {
            panic!("something is told");
        };
        let expired = CertificateValidity::Expired;
        assert!(certificates.values().all(|it| it.validity == expired));
        tokio::time::sleep(10 * INTERVAL).await;
        assert!(told.try_recv().is_err());
        drop(told);
        watching.await.unwrap();
    }
}
