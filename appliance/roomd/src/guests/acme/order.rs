//! One order of a certificate (RFC 8555 section 7.4), from the account to the chain.
//!
//! ```text
//!  account (kept, or new) ─> newOrder ─> authorization ─> challenge shown ─> ready ─> CSR ─> chain
//!                               ▲                              │ refused
//!                               └── account unknown: a new one  └─> why, as the server says
//! ```

use std::time::Duration;

use config::AcmeSettings;
use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error, ExternalAccountKey, Identifier, NewAccount,
    NewOrder, Order, OrderStatus, Problem, RenewalInfo, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use room::GuestCertificateReason as Reason;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use std::sync::Arc;

use super::client::{AcmeClient, ExchangeError};
use super::issued::{Issued, NotIssued};
use super::shown::{Challenge, Shown, ShownChallenge};
use super::store::{AcmeStore, KeptAccount};

/// How long a server may look at the proof, or make the certificate.
const POLLING: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(Duration::from_secs(120));

/// Why there is no certificate.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) reason: Reason,
    /// What the server or the machine said.
    pub(super) detail: String,
}

impl Refused {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}

impl From<NotIssued> for Refused {
    fn from(error: NotIssued) -> Self {
        Self::new(Reason::ServerFault, error.to_string())
    }
}

impl From<rcgen::Error> for Refused {
    fn from(error: rcgen::Error) -> Self {
        Self::new(Reason::ServerFault, error.to_string())
    }
}

impl From<rustls::Error> for Refused {
    fn from(error: rustls::Error) -> Self {
        Self::new(Reason::ServerFault, error.to_string())
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let reason = match &error {
            Error::Api(problem) => reason_of(problem),
            Error::Other(other) => match other.downcast_ref() {
                Some(ExchangeError::Unreachable { .. } | ExchangeError::TimedOut { .. }) => {
                    Reason::Unreachable
                }
                Some(ExchangeError::Untrusted { .. }) => Reason::ServerUntrusted,
                Some(ExchangeError::Status { status, .. }) if status.as_u16() == 429 => {
                    Reason::RateLimited
                }
                Some(
                    ExchangeError::Status { .. }
                    | ExchangeError::Http { .. }
                    | ExchangeError::NotHttps(_),
                )
                | None => Reason::ServerFault,
            },
            _ => Reason::ServerFault,
        };
        let detail = match &error {
            Error::Api(problem) => words_of(problem),
            _ => error.to_string(),
        };
        Self { reason, detail }
    }
}

/// The last part of a problem's type (RFC 8555 section 6.7).
fn kind_of(problem: &Problem) -> &str {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    kind.strip_prefix("urn:ietf:params:acme:error:")
        .unwrap_or_default()
}

fn reason_of(problem: &Problem) -> Reason {
    match kind_of(problem) {
        "rateLimited" => Reason::RateLimited,
        "accountDoesNotExist"
        | "badPublicKey"
        | "badSignatureAlgorithm"
        | "externalAccountRequired"
        | "invalidContact"
        | "unauthorized"
        | "unsupportedContact"
        | "userActionRequired" => Reason::AccountRefused,
        "caa" | "rejectedIdentifier" | "unsupportedIdentifier" => Reason::NameRefused,
        "connection" | "dns" | "incorrectResponse" | "tls" => Reason::NameNotProven,
        _ => Reason::ServerFault,
    }
}

/// What went wrong when the server looked at the proof: `unauthorized` means there that it was not the
/// right one.
fn not_proven(problem: &Problem) -> Refused {
    let reason = match kind_of(problem) {
        "caa" | "rejectedIdentifier" => Reason::NameRefused,
        "rateLimited" => Reason::RateLimited,
        "serverInternal" => Reason::ServerFault,
        _ => Reason::NameNotProven,
    };
    Refused::new(reason, words_of(problem))
}

fn words_of(problem: &Problem) -> String {
    let mut words = problem.detail.clone().unwrap_or_default();
    for part in &problem.subproblems {
        if let Some(detail) = &part.detail {
            words = format!("{words}; {detail}");
        }
    }
    match problem.r#type.as_deref() {
        Some(kind) if words.is_empty() => kind.to_owned(),
        Some(_) | None => words,
    }
}

/// By what an account is bound to one that the owner has, read and decoded.
pub(super) struct ExternalKey {
    pub(super) id: String,
    pub(super) key: ExternalAccountKey,
}

/// Orders certificates of one name.
pub(super) struct Orders {
    pub(super) settings: AcmeSettings,
    pub(super) external: Option<ExternalKey>,
    pub(super) client: AcmeClient,
    pub(super) store: AcmeStore,
    pub(super) shown: Shown,
}

impl Orders {
    /// A certificate; `replaced` is the one whose renewal it is (RFC 9773 section 5).
    pub(super) async fn order(&self, replaced: Option<&Issued>) -> Result<Issued, Refused> {
        let identifiers = [Identifier::Dns(self.shown.name().to_owned())];
        let mut account = self.account().await?;
        let mut placed = place(&account, &identifiers, replaced).await;
        if let Err(Error::Api(problem)) = &placed
            && kind_of(problem) == "accountDoesNotExist"
        {
            // The server has forgotten it, or is another by the same URL.
            account = self.new_account().await?;
            placed = place(&account, &identifiers, replaced).await;
        }
        let mut order = placed?;
        self.prove(&mut order).await?;

        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![self.shown.name().to_owned()])?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key)?;
        order.finalize_csr(request.der()).await?;
        let chain = match order.state().status {
            OrderStatus::Valid => order.certificate().await?,
            _ => Some(order.poll_certificate(&POLLING).await?),
        };
        let chain = chain.ok_or_else(|| Refused::new(Reason::ServerFault, "no certificate"))?;
        let key = zeroize::Zeroizing::new(key.serialize_pem());
        let issued = Issued::new(&chain, &key, self.settings.directory.as_str())?;
        if !issued.names(self.shown.name()) {
            let detail = "the certificate is for another name";
            return Err(Refused::new(Reason::ServerFault, detail));
        }
        Ok(issued)
    }

    /// When the server wants a certificate to be renewed (RFC 9773), and when it is to be asked again.
    pub(super) async fn renewal_info(
        &self,
        issued: &Issued,
    ) -> Result<(RenewalInfo, Duration), Refused> {
        let Some(identifier) = issued.identifier() else {
            let detail = "the certificate does not name its issuer's key";
            return Err(Refused::new(Reason::ServerFault, detail));
        };
        // The question is not signed (RFC 9773 section 4.1), and nothing is to be registered for it: what asks has the
        // server's directory and a key of its own, and is no account.
        let key = PrivatePkcs8KeyDer::from(KeyPair::generate()?.serialize_der());
        let directory = self.settings.directory.as_str().to_owned();
        let nobody = Account::builder_with_http(Box::new(self.client.clone()));
        let nobody = nobody.from_parts(String::new(), key, directory).await?;
        Ok(nobody.renewal_info(&identifier).await?)
    }

    async fn account(&self) -> Result<Account, Refused> {
        let directory = self.settings.directory.as_str();
        let external = self.external.as_ref().map(|external| &external.id);
        let kept = self.store.account().filter(|kept| {
            kept.directory == directory && kept.external_account.as_ref() == external
        });
        let Some(kept) = kept else {
            return self.new_account().await;
        };
        let account = Account::builder_with_http(Box::new(self.client.clone()));
        let contact = self.contact();
        if kept.contact == contact {
            return Ok(account.from_credentials(kept.credentials).await?);
        }
        // The credentials are read once more: the account takes those that it is made of.
        let account = account.from_credentials(kept.credentials).await?;
        let contacts: Vec<_> = contact.iter().map(String::as_str).collect();
        match account.update_contacts(&contacts).await {
            Err(Error::Api(problem)) if kind_of(&problem) == "accountDoesNotExist" => {
                return self.new_account().await;
            }
            updated => updated?,
        }
        if let Some(kept) = self.store.account() {
            self.keep(KeptAccount { contact, ..kept }).await?;
        }
        Ok(account)
    }

    async fn new_account(&self) -> Result<Account, Refused> {
        let contact = self.contact();
        let contacts: Vec<_> = contact.iter().map(String::as_str).collect();
        let wanted = NewAccount {
            contact: &contacts,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let directory = self.settings.directory.as_str().to_owned();
        let external = self.external.as_ref();
        let (account, credentials) = Account::builder_with_http(Box::new(self.client.clone()))
            .create(
                &wanted,
                directory.clone(),
                external.map(|external| &external.key),
            )
            .await?;
        let kept = KeptAccount {
            directory,
            external_account: external.map(|external| external.id.clone()),
            contact,
            credentials,
        };
        self.keep(kept).await?;
        tracing::info!(
            directory = self.settings.directory.as_str(),
            "an ACME account was made"
        );
        Ok(account)
    }

    async fn keep(&self, account: KeptAccount) -> Result<(), Refused> {
        let kept = self.store.keep_account(&account).await;
        kept.map_err(|error| Refused::new(Reason::NotStored, error))
    }

    fn contact(&self) -> Option<String> {
        let contact = self.settings.contact.as_ref();
        contact.map(|address| format!("mailto:{address}"))
    }

    /// Proves the name, where that is still asked for.
    async fn prove(&self, order: &mut Order) -> Result<(), Refused> {
        let mut proofs = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let authorization = authorization?;
            if authorization.status == AuthorizationStatus::Pending {
                proofs.push(self.show_proof(authorization).await?);
            }
        }
        let status = order.poll_ready(&POLLING).await;
        drop(proofs);
        match status {
            Ok(OrderStatus::Ready) => Ok(()),
            Ok(_) => Err(why_invalid(order, None).await),
            // Of the whole order: what became of the proof says more.
            Err(Error::Api(problem)) => Err(why_invalid(order, Some(&problem)).await),
            Err(error) => Err(error.into()),
        }
    }

    async fn show_proof(
        &self,
        mut authorization: instant_acme::AuthorizationHandle<'_>,
    ) -> Result<ShownChallenge, Refused> {
        let kind = match self.settings.http_listen {
            Some(_) => ChallengeType::Http01,
            None => ChallengeType::TlsAlpn01,
        };
        let Some(mut challenge) = authorization.challenge(kind) else {
            return Err(Refused::new(Reason::NoChallenge, ""));
        };
        let key_authorization = challenge.key_authorization();
        let proof = match self.settings.http_listen {
            Some(_) => Challenge::Http {
                token: challenge.token.clone(),
                key_authorization: key_authorization.as_str().to_owned(),
            },
            None => {
                let digest = key_authorization.digest();
                Challenge::TlsAlpn(proof_certificate(self.shown.name(), digest.as_ref())?)
            }
        };
        let shown = self.shown.show_challenge(proof);
        challenge.set_ready().await?;
        Ok(shown)
    }
}

/// A certificate that shows that its server knows the account's key (RFC 8737 section 3).
fn proof_certificate(name: &str, digest: &[u8]) -> Result<Arc<CertifiedKey>, Refused> {
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    // What compares key and certificate stumbles over the extension.
    let key = any_supported_type(&key)?;
    Ok(Arc::new(CertifiedKey::new(
        vec![certificate.der().clone()],
        key,
    )))
}

/// Places the order: as a renewal where the server knows of renewals, and takes it for one.
async fn place(
    account: &Account,
    identifiers: &[Identifier],
    replaced: Option<&Issued>,
) -> Result<Order, Error> {
    if let Some(replaced) = replaced.and_then(Issued::identifier) {
        let order = NewOrder::new(identifiers).replaces(replaced);
        match account.new_order(&order).await {
            Ok(order) => return Ok(order),
            // It knows nothing of renewals, was asked for this one before, or does not know the old one.
            Err(Error::Unsupported(_)) => {}
            Err(Error::Other(error)) if !error.is::<ExchangeError>() => {}
            Err(Error::Api(problem))
                if matches!(kind_of(&problem), "alreadyReplaced" | "malformed" | "") => {}
            Err(error) => return Err(error),
        }
    }
    account.new_order(&NewOrder::new(identifiers)).await
}

/// Why the server did not take the proof, in its own words.
async fn why_invalid(order: &mut Order, of_order: Option<&Problem>) -> Refused {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if authorization.refresh().await.is_err() {
            break;
        }
        let mut failed = authorization.challenges.iter();
        if let Some(problem) = failed.find_map(|challenge| challenge.error.as_ref()) {
            return not_proven(problem);
        }
    }
    match of_order {
        Some(problem) if order.state().error.is_some() => not_proven(problem),
        // Of a question for the state of the order.
        Some(problem) => Error::Api(problem.clone()).into(),
        None => Refused::new(Reason::NameNotProven, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(kind: &str, detail: Option<&str>) -> Problem {
        Problem {
            r#type: Some(format!("urn:ietf:params:acme:error:{kind}")),
            detail: detail.map(str::to_owned),
            status: None,
            subproblems: Vec::new(),
        }
    }

    #[test]
    fn each_problem_has_its_reason_and_keeps_the_servers_words() {
        for (kind, of_request, of_proof) in [
            ("rateLimited", Reason::RateLimited, Reason::RateLimited),
            (
                "externalAccountRequired",
                Reason::AccountRefused,
                Reason::NameNotProven,
            ),
            (
                "unauthorized",
                Reason::AccountRefused,
                Reason::NameNotProven,
            ),
            (
                "rejectedIdentifier",
                Reason::NameRefused,
                Reason::NameRefused,
            ),
            ("caa", Reason::NameRefused, Reason::NameRefused),
            ("connection", Reason::NameNotProven, Reason::NameNotProven),
            ("serverInternal", Reason::ServerFault, Reason::ServerFault),
            ("somethingNew", Reason::ServerFault, Reason::NameNotProven),
        ] {
            let problem = problem(kind, Some("words"));
            assert_eq!(not_proven(&problem).reason, of_proof, "{kind}");
            let refused = Refused::from(Error::Api(problem));
            assert_eq!(
                (refused.reason, refused.detail.as_str()),
                (of_request, "words")
            );
        }
        let silent = Refused::from(Error::Api(problem("caa", None)));
        assert_eq!(silent.detail, "urn:ietf:params:acme:error:caa");
    }

    #[test]
    fn a_proof_is_a_certificate_with_the_critical_extension_of_rfc_8737() {
        use x509_parser::prelude::{FromDer, X509Certificate};
        let proof = proof_certificate("room.example.com", &[7; 32]).unwrap();
        let (_, certificate) = X509Certificate::from_der(&proof.cert[0]).unwrap();
        let extension = certificate
            .extensions()
            .iter()
            .find(|extension| extension.oid.to_id_string() == "1.3.6.1.5.5.7.1.31")
            .unwrap();
        assert!(extension.critical);
        assert_eq!(extension.value[..2], [0x04, 32]);
        assert_eq!(extension.value[2..], [7; 32]);
    }
}
