//! What ACME keeps in the state directory, readable by the service alone, written atomically.
//!
//! | file | what it holds |
//! |---|---|
//! | `guests-acme-account.json` | the account and its key, for the server that it is of |
//! | `guests-acme.pem` | the certificate and its key |
//! | `guests-acme.toml` | the orders that failed or were not finished, of which server and for which name: a restart must not hammer it |
//!
//! A file that cannot be read is as good as none, and is replaced by the next one only.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use instant_acme::AccountCredentials;
use room::{GuestCertificateFailure, GuestCertificateReason};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::issued::Issued;
use super::schedule::{Failures, Jitter};
use crate::unix_time::{unix_seconds, unix_time};

const ACCOUNT_FILE: &str = "guests-acme-account.json";
const CERTIFICATE_FILE: &str = "guests-acme.pem";
const FAILURES_FILE: &str = "guests-acme.toml";
/// No file of ours is nearly as large.
const LARGEST_FILE: u64 = 256 * 1024;

/// An account of an ACME server.
#[derive(Deserialize, Serialize)]
pub(super) struct KeptAccount {
    /// Whose it is: the URL of the directory.
    pub(super) directory: String,
    /// By which key it is bound to one that the owner had.
    pub(super) external_account: Option<String>,
    /// Whom the server writes to.
    pub(super) contact: Option<String>,
    /// Its URL and key.
    pub(super) credentials: AccountCredentials,
}

/// What failed, and how long it counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeptFailures {
    /// Of which server: the URL of the directory.
    pub(super) directory: String,
    /// For which name.
    pub(super) name: String,
    pub(super) failures: Failures,
    pub(super) jitter: Jitter,
    pub(super) last: Option<GuestCertificateFailure>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct FailuresText {
    directory: String,
    name: String,
    jitter: u16,
    #[serde(default)]
    count: u32,
    #[serde(default)]
    unreachable: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl From<&KeptFailures> for FailuresText {
    fn from(kept: &KeptFailures) -> Self {
        Self {
            directory: kept.directory.clone(),
            name: kept.name.clone(),
            jitter: kept.jitter.0,
            count: kept.failures.count,
            unreachable: kept.failures.unreachable,
            failed_at: kept.failures.last.map(unix_seconds),
            retry_after: kept.failures.retry_after.map(unix_seconds),
            reason: kept.last.as_ref().map(|last| word(last.reason).to_owned()),
            detail: kept.last.as_ref().map(|last| last.detail.clone()),
        }
    }
}

impl From<FailuresText> for KeptFailures {
    fn from(text: FailuresText) -> Self {
        let failed_at = text.failed_at.and_then(unix_time);
        let reason = text.reason.as_deref().and_then(reason);
        let last = reason
            .zip(failed_at)
            .map(|(reason, at)| GuestCertificateFailure {
                reason,
                detail: text.detail.unwrap_or_default(),
                count: text.count,
                at,
            });
        Self {
            directory: text.directory,
            name: text.name,
            failures: Failures {
                count: text.count,
                last: failed_at,
                retry_after: text.retry_after.and_then(unix_time),
                unreachable: text.unreachable,
                moved: false,
            },
            jitter: Jitter(text.jitter),
            last,
        }
    }
}

fn word(reason: GuestCertificateReason) -> &'static str {
    match reason {
        GuestCertificateReason::Unreachable => "unreachable",
        GuestCertificateReason::ServerUntrusted => "server_untrusted",
        GuestCertificateReason::AccountRefused => "account_refused",
        GuestCertificateReason::NameRefused => "name_refused",
        GuestCertificateReason::NoChallenge => "no_challenge",
        GuestCertificateReason::NameNotProven => "name_not_proven",
        GuestCertificateReason::RateLimited => "rate_limited",
        GuestCertificateReason::ServerFault => "server_fault",
        GuestCertificateReason::ClockWrong => "clock_wrong",
        GuestCertificateReason::NotStored => "not_stored",
    }
}

fn reason(text: &str) -> Option<GuestCertificateReason> {
    let mut all = GuestCertificateReason::ALL.into_iter();
    all.find(|reason| word(*reason) == text)
}

/// The files.
#[derive(Clone, Debug)]
pub(super) struct AcmeStore {
    directory: PathBuf,
}

impl AcmeStore {
    /// A store in `directory`, which exists.
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    /// The account, if one is kept.
    pub(super) fn account(&self) -> Option<KeptAccount> {
        self.read(ACCOUNT_FILE, |text| {
            // Nothing of the reader's message: it may quote the key.
            serde_json::from_str(text).map_err(|_| invalid("it is no account"))
        })
    }

    /// The certificate, if one is kept.
    pub(super) fn certificate(&self) -> Option<Issued> {
        self.read(CERTIFICATE_FILE, |text| {
            Ok(Issued::from_text(text.clone())?)
        })
    }

    /// What failed before this start.
    pub(super) fn failures(&self) -> KeptFailures {
        let text = self.read(FAILURES_FILE, |text| {
            toml::from_str::<FailuresText>(text).map_err(|error| invalid(error.message()))
        });
        text.unwrap_or_default().into()
    }

    pub(super) async fn keep_account(&self, account: &KeptAccount) -> Result<(), String> {
        let text = serde_json::to_string(account).map_err(|error| error.to_string())?;
        self.write(ACCOUNT_FILE, Zeroizing::new(text)).await
    }

    pub(super) async fn keep_certificate(&self, issued: &Issued) -> Result<(), String> {
        self.write(CERTIFICATE_FILE, issued.text().clone()).await
    }

    pub(super) async fn keep_failures(&self, kept: &KeptFailures) -> Result<(), String> {
        let text = toml::to_string(&FailuresText::from(kept)).map_err(|error| error.to_string())?;
        self.write(FAILURES_FILE, Zeroizing::new(text)).await
    }

    fn read<T>(
        &self,
        file: &str,
        parse: impl FnOnce(&Zeroizing<String>) -> io::Result<T>,
    ) -> Option<T> {
        let path = self.directory.join(file);
        let read = || {
            let length = fs::metadata(&path)?.len();
            if length > LARGEST_FILE {
                return Err(invalid(&format!("{length} bytes")));
            }
            parse(&Zeroizing::new(fs::read_to_string(&path)?))
        };
        match read() {
            Ok(content) => Some(content),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                let path = path.display();
                tracing::warn!(%path, %error, "not readable: it will be made anew");
                None
            }
        }
    }

    async fn write(&self, file: &str, text: Zeroizing<String>) -> Result<(), String> {
        let path = self.directory.join(file);
        let written = tokio::task::spawn_blocking(move || {
            config::write_private_atomically(&path, text.as_bytes())
        });
        match written.await {
            Ok(written) => written.map_err(|error| error.to_string()),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// How the last failure is told, in words without control characters and of bounded length.
pub(super) fn failure(
    reason: GuestCertificateReason,
    detail: &str,
    count: u32,
    at: SystemTime,
) -> GuestCertificateFailure {
    let plain = detail.chars().map(|c| if c.is_control() { ' ' } else { c });
    GuestCertificateFailure {
        reason,
        detail: plain.take(LONGEST_DETAIL).collect(),
        count,
        at,
    }
}

/// The most characters of what a server says.
const LONGEST_DETAIL: usize = 500;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::super::issued::tests::self_signed;
    use super::*;

    #[tokio::test]
    async fn what_is_kept_is_the_services_alone_and_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let store = AcmeStore::new(directory.path());
        assert!(store.certificate().is_none() && store.account().is_none());
        assert_eq!(store.failures(), KeptFailures::default());
        let issued = self_signed("room.example.com", "https://ca.example/");
        store.keep_certificate(&issued).await.unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        for reason in GuestCertificateReason::ALL {
            let kept = KeptFailures {
                directory: "https://ca.example/".to_owned(),
                name: "room.example.com".to_owned(),
                failures: Failures::default().and(true, Some(at + Duration::from_secs(60)), at),
                jitter: Jitter(77),
                last: Some(failure(reason, "why\u{1b}[2J\n", 1, at)),
            };
            store.keep_failures(&kept).await.unwrap();
            assert_eq!(store.failures(), kept);
            assert_eq!(kept.last.unwrap().detail, "why [2J ");
        }
        let read = store.certificate().unwrap();
        assert_eq!(read.certified.cert, issued.certified.cert);
        for file in [CERTIFICATE_FILE, FAILURES_FILE] {
            let mode = fs::metadata(directory.path().join(file)).unwrap();
            assert_eq!(mode.permissions().mode() & 0o777, 0o600, "{file}");
        }
    }

    #[tokio::test]
    async fn a_damaged_file_is_as_good_as_none_and_stays_until_there_is_another() {
        let directory = tempfile::tempdir().unwrap();
        let store = AcmeStore::new(directory.path());
        for file in [ACCOUNT_FILE, CERTIFICATE_FILE, FAILURES_FILE] {
            for text in ["", "{", "jitter", "-----BEGIN CERTIFICATE-----"] {
                let path = directory.path().join(file);
                fs::write(&path, text).unwrap();
                assert!(store.certificate().is_none() && store.account().is_none());
                assert_eq!(store.failures(), KeptFailures::default());
                assert_eq!(fs::read_to_string(&path).unwrap(), text);
            }
        }
    }
}
