//! The task that keeps a certificate: does what [`super::schedule`] says, and tells the room.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use config::{AcmeSettings, ExternalAccount};
use instant_acme::ExternalAccountKey;
use room::{Fact, GuestCertificate, GuestCertificateReason as Reason, GuestCertificateState};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use zeroize::Zeroizing;

use super::client::AcmeClient;
use super::http_listener;
use super::issued::Issued;
use super::order::{ExternalKey, Orders, Refused};
use super::schedule::{Failures, Held, Jitter, Period, RenewalWindow, Situation, Step, step};
use super::shown::Shown;
use super::store::{AcmeStore, KeptFailures, failure};
use crate::error::Error;
use crate::randomness::random_bytes;
use crate::sip_sockets::{TlsTrust, connector};

/// How long an order may take as a whole.
const ORDER_LIMIT: Duration = Duration::from_secs(10 * 60);
/// The longest time without a look at the clock, which may be set.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
/// How often it is tried to store a certificate that could not be stored.
const STORE_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// By how much the clock of a server may be ahead of ours.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(60 * 60);

/// What it takes besides its settings.
pub(in crate::guests) struct AcmeParts<'a> {
    /// What is certified.
    pub(in crate::guests) name: String,
    /// Where the account and the certificate are kept.
    pub(in crate::guests) state: &'a Path,
    /// Where systemd's credentials are.
    pub(in crate::guests) credentials: Option<&'a Path>,
    /// Where the room hears of it.
    pub(in crate::guests) facts: mpsc::Sender<Fact>,
    /// Counts changes of this machine's addresses.
    pub(in crate::guests) address_changes: watch::Receiver<u64>,
}

/// What becomes of an owner's wish for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// One is ordered, as soon as the server takes orders.
    Asked,
    /// One is being ordered already.
    UnderWay,
}

/// Asks for a certificate on behalf of the owner.
#[derive(Clone, Debug)]
pub struct Renewals {
    asked: mpsc::Sender<()>,
    ordering: watch::Receiver<bool>,
}

impl Renewals {
    /// Has one ordered now, whatever failed before.
    #[must_use]
    pub fn renew(&self) -> Renewal {
        if *self.ordering.borrow() || self.asked.try_send(()).is_err() {
            Renewal::UnderWay
        } else {
            Renewal::Asked
        }
    }
}

/// ACME for the guests' server, not running yet.
pub(in crate::guests) struct Acme {
    keeper: Keeper,
    listener: Option<TcpListener>,
    renewals: Renewals,
}

impl Acme {
    /// Reads what is kept, and shows the certificate if there is one for the name.
    ///
    /// # Errors
    /// [`Error::GuestsListen`] for the listener of HTTP-01, [`Error::AcmeKey`], and those of the authority.
    pub(in crate::guests) async fn prepare(
        settings: &AcmeSettings,
        parts: AcmeParts<'_>,
    ) -> Result<Self, Error> {
        let trust = TlsTrust {
            authorities: settings.authority.iter().cloned().collect(),
        };
        let external = settings.external_account.as_ref();
        let external = external
            .map(|account| external_key(account, parts.credentials))
            .transpose()?;
        let listener = match settings.http_listen {
            None => None,
            Some(address) => Some(
                TcpListener::bind(address)
                    .await
                    .map_err(|source| Error::GuestsListen { address, source })?,
            ),
        };
        let (asked, wishes) = mpsc::channel(1);
        let (ordering, is_ordering) = watch::channel(false);
        let orders = Orders {
            settings: settings.clone(),
            external,
            client: AcmeClient::new(connector(&trust)?),
            store: AcmeStore::new(parts.state),
            shown: Shown::new(&parts.name),
        };
        Ok(Self {
            keeper: Keeper::new(orders, parts.facts, wishes, ordering, parts.address_changes),
            listener,
            renewals: Renewals {
                asked,
                ordering: is_ordering,
            },
        })
    }

    /// What is shown.
    pub(in crate::guests) fn shown(&self) -> Shown {
        self.keeper.orders.shown.clone()
    }

    /// Asks for certificates.
    pub(in crate::guests) fn renewals(&self) -> Renewals {
        self.renewals.clone()
    }

    /// Keeps the certificate for as long as it is polled.
    pub(in crate::guests) async fn keep(self) {
        let shown = self.shown();
        let Self {
            keeper, listener, ..
        } = self;
        let answering = async {
            match listener {
                Some(listener) => http_listener::serve(listener, shown).await,
                None => std::future::pending().await,
            }
        };
        tokio::join!(keeper.keep(), answering);
    }
}

fn external_key(
    account: &ExternalAccount,
    credentials: Option<&Path>,
) -> Result<ExternalKey, Error> {
    let secret = account
        .key
        .read(credentials)
        .map_err(|source| Error::AcmeKey { source })?;
    let lenient =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let key = GeneralPurpose::new(&URL_SAFE, lenient).decode(secret.expose().trim());
    let key = Zeroizing::new(key.map_err(|_| Error::AcmeKeyEncoding)?);
    Ok(ExternalKey {
        id: account.id.clone(),
        key: ExternalAccountKey::new(account.id.clone(), &key),
    })
}

/// Keeps one certificate.
struct Keeper {
    orders: Orders,
    certificate: Option<Issued>,
    /// Whether the certificate could not be stored: a restart would not have it.
    is_unstored: bool,
    situation: Situation,
    last_failure: Option<room::GuestCertificateFailure>,
    told: Option<GuestCertificate>,
    facts: mpsc::Sender<Fact>,
    wishes: mpsc::Receiver<()>,
    ordering: watch::Sender<bool>,
    address_changes: watch::Receiver<u64>,
}

impl Keeper {
    fn new(
        orders: Orders,
        facts: mpsc::Sender<Fact>,
        wishes: mpsc::Receiver<()>,
        ordering: watch::Sender<bool>,
        address_changes: watch::Receiver<u64>,
    ) -> Self {
        let kept = orders.store.failures();
        // What another server said, or of another name, is not about this one.
        let is_of_this = kept.directory == orders.settings.directory.as_str()
            && kept.name == orders.shown.name();
        let kept = if is_of_this {
            kept
        } else {
            KeptFailures::default()
        };
        let certificate = orders.store.certificate();
        let mut keeper = Self {
            orders,
            certificate: None,
            is_unstored: false,
            situation: Situation {
                failures: kept.failures,
                jitter: kept.jitter,
                ..Situation::default()
            },
            last_failure: kept.last,
            told: None,
            facts,
            wishes,
            ordering,
            address_changes,
        };
        if let Some(certificate) = certificate {
            keeper.hold(certificate);
        }
        keeper
    }

    /// Shows a certificate to those who come by its name.
    fn hold(&mut self, certificate: Issued) {
        let (shown, settings) = (&self.orders.shown, &self.orders.settings);
        let is_named = certificate.names(shown.name());
        self.situation.held = Some(Held {
            validity: certificate.validity,
            fits: is_named && certificate.directory == settings.directory.as_str(),
        });
        self.situation.renewal = RenewalWindow::default();
        if is_named {
            shown.show_certificate(Arc::clone(&certificate.certified));
        }
        self.certificate = Some(certificate);
    }

    async fn keep(mut self) {
        loop {
            let now = SystemTime::now();
            self.situation.failures = self.situation.failures.seen_at(now);
            self.forgive_the_clock(now);
            self.store_again().await;
            match step(&self.situation, now) {
                Step::Order => self.order().await,
                Step::AskForWindow => self.ask_for_window().await,
                Step::WaitUntil(until) => {
                    self.tell(GuestCertificateState::Waiting { until }).await;
                    let pause = until.duration_since(now).unwrap_or_default();
                    let longest = if self.is_unstored {
                        STORE_INTERVAL
                    } else {
                        LONGEST_PAUSE
                    };
                    tokio::select! {
                        () = tokio::time::sleep(pause.min(longest)) => {}
                        Some(()) = self.wishes.recv() => self.situation.asked = true,
                        Ok(()) = self.address_changes.changed() => {
                            self.situation.failures = self.situation.failures.moved();
                        }
                    }
                }
            }
        }
    }

    async fn order(&mut self) {
        self.ordering.send_replace(true);
        self.tell(GuestCertificateState::Ordering).await;
        // What was said with an earlier error is about that.
        self.orders.client.take_retry_after();
        let ordered = match self.note_begun().await {
            Err(error) if !self.situation.asked => Err(Refused::new(Reason::NotStored, error)),
            Ok(()) | Err(_) => self.order_in_time().await,
        };
        let now = SystemTime::now();
        self.situation.jitter = jitter();
        let outcome = match ordered {
            Ok(issued) => self.take(issued, now).await,
            Err(refused) => Err(refused),
        };
        match outcome {
            Ok(()) => {
                self.situation.ordered_at = Some(now);
                self.succeeded();
            }
            Err(refused) => self.failed(&refused, now),
        }
        self.keep_failures().await;
        self.situation.asked = false;
        // Who asked in the meantime has been served.
        while self.wishes.try_recv().is_ok() {}
        self.ordering.send_replace(false);
    }

    async fn order_in_time(&mut self) -> Result<Issued, Refused> {
        let fits = self.situation.held.is_some_and(|held| held.fits);
        let replaced = self.certificate.as_ref().filter(|_| fits);
        let ordered = tokio::time::timeout(ORDER_LIMIT, self.orders.order(replaced)).await;
        ordered.unwrap_or_else(|_| {
            let detail = format!("the order was not done within {ORDER_LIMIT:?}");
            Err(Refused::new(Reason::ServerFault, detail))
        })
    }

    /// An order that a kill or a crash cuts short counts as one that failed, so that no start after start orders.
    /// Nothing is ordered unasked where that cannot be noted.
    async fn note_begun(&self) -> Result<(), String> {
        let failures = self.situation.failures.and(false, None, SystemTime::now());
        let begun = KeptFailures {
            failures,
            ..self.kept_failures()
        };
        self.orders.store.keep_failures(&begun).await
    }

    fn kept_failures(&self) -> KeptFailures {
        KeptFailures {
            directory: self.orders.settings.directory.as_str().to_owned(),
            name: self.orders.shown.name().to_owned(),
            failures: self.situation.failures,
            jitter: self.situation.jitter,
            last: self.last_failure.clone(),
        }
    }

    /// Keeps and shows what was issued. It is shown even where it cannot be kept, or seems not to be good
    /// now: no clock but ours says so.
    async fn take(&mut self, issued: Issued, now: SystemTime) -> Result<(), Refused> {
        let kept = self.orders.store.keep_certificate(&issued).await;
        let validity = issued.validity;
        self.is_unstored = kept.is_err();
        self.hold(issued);
        let name = self.orders.shown.name();
        tracing::info!(name, "the guests' server has a certificate by ACME");
        kept.map_err(|error| Refused::new(Reason::NotStored, error))?;
        if now + CLOCK_DIFFERENCE < validity.start || now > validity.end {
            return Err(Refused::new(Reason::ClockWrong, ""));
        }
        Ok(())
    }

    /// Stores what could not be stored when it was issued; with that, the failure is over.
    async fn store_again(&mut self) {
        let Some(certificate) = self.certificate.as_ref().filter(|_| self.is_unstored) else {
            return;
        };
        if let Err(error) = self.orders.store.keep_certificate(certificate).await {
            tracing::debug!(%error, "the certificate by ACME is still not stored");
            return;
        }
        self.is_unstored = false;
        tracing::info!("the certificate by ACME is stored after all");
        let by_disk = |last: &room::GuestCertificateFailure| last.reason == Reason::NotStored;
        if self.last_failure.as_ref().is_some_and(by_disk) {
            self.situation.ordered_at = Some(SystemTime::now());
            self.succeeded();
            self.keep_failures().await;
        }
    }

    fn succeeded(&mut self) {
        self.situation.failures = Failures::default();
        self.last_failure = None;
    }

    fn failed(&mut self, refused: &Refused, now: SystemTime) {
        let retry_after = self.orders.client.take_retry_after();
        let unreachable = refused.reason == Reason::Unreachable;
        let failures = self.situation.failures.and(unreachable, retry_after, now);
        self.situation.failures = failures.seen_at(now);
        let told = failure(refused.reason, &refused.detail, failures.count, now);
        tracing::warn!(
            reason = ?told.reason,
            detail = %told.detail,
            failed = told.count,
            "the guests' server gets no certificate by ACME"
        );
        self.last_failure = Some(told);
    }

    /// What failed for the clock alone is over once that stands within the certificate's time.
    fn forgive_the_clock(&mut self, now: SystemTime) {
        let by_clock = |last: &room::GuestCertificateFailure| last.reason == Reason::ClockWrong;
        let is_good = |held: Held| held.validity.has(now);
        if self.last_failure.as_ref().is_some_and(by_clock)
            && self.situation.held.is_some_and(is_good)
        {
            self.succeeded();
        }
    }

    async fn keep_failures(&self) {
        let kept = self.kept_failures();
        if let Err(error) = self.orders.store.keep_failures(&kept).await {
            tracing::warn!(%error, "what became of the order is not stored");
        }
    }

    async fn ask_for_window(&mut self) {
        let Some(certificate) = &self.certificate else {
            return;
        };
        let answer = self.orders.renewal_info(certificate).await;
        let now = SystemTime::now();
        self.situation.renewal = match answer {
            Ok((info, retry_after)) => {
                let window = Period {
                    start: info.suggested_window.start.into(),
                    end: info.suggested_window.end.into(),
                };
                tracing::debug!(?window, "when the certificate is to be renewed");
                RenewalWindow::answered(window, retry_after, now)
            }
            Err(refused) => {
                // Most servers do not say, and it is no fault: then its lifetime decides.
                tracing::debug!(detail = %refused.detail, "the server does not say when to renew");
                self.situation.renewal.unanswered(now)
            }
        };
    }

    /// Tells the room how it stands, if that is new.
    async fn tell(&mut self, state: GuestCertificateState) {
        let name = self.orders.shown.name();
        let shown = self
            .certificate
            .as_ref()
            .filter(|issued| issued.names(name));
        let certificate = GuestCertificate {
            name: name.to_owned(),
            state,
            not_after: shown.map(|issued| issued.validity.end),
            failure: self.last_failure.clone(),
        };
        if self.told.as_ref() != Some(&certificate) {
            self.told = Some(certificate.clone());
            // Fails only when the room has ended already.
            let _ = self
                .facts
                .send(Fact::GuestCertificate(Box::new(certificate)))
                .await;
        }
    }
}

/// Without randomness all rooms come at once, which is no reason to come never.
fn jitter() -> Jitter {
    Jitter(random_bytes().map_or(0, u16::from_le_bytes))
}

#[cfg(test)]
mod tests;
