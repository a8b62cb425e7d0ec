//! Starts the guests' server, and ends it.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use config::{GuestServerIdentity, GuestSettings, Host, PublicUrl};
use room::Fact;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::acme::{Acme, AcmeParts};
use super::authority::{LocalAuthority, ServerNames};
use super::connection::Pings;
use super::connections::{Acceptor, Patience};
use super::handle::Guests;
use super::links::GuestLinks;
use super::routes::{self, Site, SiteParts};
use super::server_certificate::{
    CertificateSource, NamesSource, ServerCertificate, ShownCertificate,
};
use super::signalling::GuestEvent;
use super::store::GuestStore;
use super::trust_page::TrustPage;
use crate::error::Error;
use crate::http::stopped;
use crate::our_addresses;
use crate::sip_sockets::TlsIdentity;
use crate::turn_servers::TurnServers;

/// What the server needs besides its settings.
#[derive(Debug)]
pub struct GuestServerParts<'a> {
    /// What guests see of the room.
    pub room_name: String,
    /// Where links, sessions and the room's own authority are kept; it exists.
    pub state: &'a Path,
    /// What pages are told of.
    pub turn: TurnServers,
    /// Where systemd's credentials are.
    pub credentials: Option<&'a Path>,
    /// Where the room hears of its certificate by ACME.
    pub facts: mpsc::Sender<Fact>,
    /// The driver reads the other end.
    pub events: mpsc::Sender<GuestEvent>,
    /// Counts changes of this machine's addresses.
    pub address_changes: watch::Receiver<u64>,
}

/// The running server. Dropping it ends it at once; [`GuestServer::shut_down`] lets pages hear why.
#[derive(Debug)]
pub struct GuestServer {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
    address: SocketAddr,
    certificate: ShownCertificate,
    links: GuestLinks,
}

impl GuestServer {
    /// Binds the listener and begins to serve.
    ///
    /// # Errors
    /// [`Error::GuestsListen`], and those of certificates.
    pub async fn start(
        settings: &GuestSettings,
        parts: GuestServerParts<'_>,
    ) -> Result<Self, Error> {
        Self::start_with(settings, parts, Pings::default(), Patience::default()).await
    }

    pub(super) async fn start_with(
        settings: &GuestSettings,
        parts: GuestServerParts<'_>,
        pings: Pings,
        patience: Patience,
    ) -> Result<Self, Error> {
        let failed = |source| Error::GuestsListen {
            address: settings.listen,
            source,
        };
        let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let public_url = settings.public_url.clone().unwrap_or_else(|| {
            let reached = our_addresses::reachable_address(address.ip(), None);
            PublicUrl::of_address(SocketAddr::new(reached, address.port()))
        });
        let now = SystemTime::now();
        let acme = match (&settings.identity, public_url.host()) {
            (GuestServerIdentity::Acme(acme), Host::Name(name)) => {
                let parts = AcmeParts {
                    name: name.clone(),
                    state: parts.state,
                    credentials: parts.credentials,
                    facts: parts.facts,
                    address_changes: parts.address_changes.clone(),
                };
                Some(Acme::prepare(acme, parts).await?)
            }
            // An address is refused with the configuration.
            (GuestServerIdentity::Acme(_), Host::Address(_))
            | (GuestServerIdentity::LocalAuthority | GuestServerIdentity::Certificate { .. }, _) => {
                None
            }
        };
        let shown = acme.as_ref().map(Acme::shown);
        let renewals = acme.as_ref().map(Acme::renewals);
        let (source, trust) = match &settings.identity {
            GuestServerIdentity::Certificate { certificate, key } => {
                let identity = TlsIdentity {
                    certificate_chain: certificate.clone(),
                    private_key: key.clone(),
                };
                (CertificateSource::Files(identity), None)
            }
            GuestServerIdentity::LocalAuthority | GuestServerIdentity::Acme(_) => {
                let names = names_source(public_url.host().clone(), address.ip());
                let authority = LocalAuthority::load_or_make(parts.state, &names(), now)?;
                let trust = (authority.certificate().to_vec(), authority.fingerprint());
                let authority = Box::new(authority);
                (CertificateSource::Local { authority, names }, Some(trust))
            }
        };
        let certificate = ServerCertificate::new(source, now)?;
        let store = GuestStore::new(parts.state);
        let guests = Guests::new(&store, settings.max_guests.into(), parts.events);
        let fingerprint = trust.as_ref().map(|(_, fingerprint)| fingerprint.clone());
        let trust = trust.map(|(certificate, print)| TrustPage::new(certificate, print));
        let (stop, stopping) = watch::channel(false);
        let site = Site(Arc::new(SiteParts {
            guests: guests.clone(),
            room_name: parts.room_name,
            public_url: public_url.clone(),
            turn: parts.turn,
            trust,
            acme: shown.clone(),
            pings,
            attempts: std::sync::Mutex::default(),
            stop: stopping.clone(),
        }));
        let tls = TlsAcceptor::from(Arc::new(certificate.tls_config(shown.clone())));
        let acceptor = Acceptor::new(tls, routes::router(site), patience);
        let certificate_shown = certificate.shown(shown.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(acceptor.serve(listener, stopping.clone()));
        tasks.spawn(until_stopped(
            certificate.keep(parts.address_changes),
            stopping.clone(),
        ));
        tasks.spawn(until_stopped(guests.clone().keep(), stopping.clone()));
        if let Some(acme) = acme {
            tasks.spawn(until_stopped(acme.keep(), stopping.clone()));
        }
        let mut storing = stopping;
        let stored = async move { stopped(&mut storing).await };
        tasks.spawn(guests.clone().store(store, stored));
        tracing::info!(%address, %public_url, fingerprint, "guests are served");
        Ok(Self {
            tasks,
            stop,
            address,
            certificate: certificate_shown,
            links: GuestLinks {
                guests,
                public_url,
                admit: settings.admit,
                lifetime: settings.link_lifetime,
                fingerprint,
                acme: shown.zip(renewals),
            },
        })
    }

    /// The guests, for the driver.
    #[must_use]
    pub fn guests(&self) -> Guests {
        self.links.guests.clone()
    }

    /// The links, for the API.
    #[must_use]
    pub fn links(&self) -> GuestLinks {
        self.links.clone()
    }

    /// Where guests find the pages.
    #[must_use]
    pub fn public_url(&self) -> &PublicUrl {
        &self.links.public_url
    }

    /// The certificate that it shows at any time.
    #[must_use]
    pub fn certificate(&self) -> ShownCertificate {
        self.certificate.clone()
    }

    /// The bound address, with the port that the system chose.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until a part of it ends, which it does only after [`GuestServer::shut_down`] or
    /// by a fault.
    pub async fn ended(&mut self) {
        self.tasks.join_next().await;
    }

    /// Takes no more connections, tells pages that the service ends, and stores what is newest.
    pub async fn shut_down(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn until_stopped(work: impl Future<Output = ()>, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = work => {}
        () = stopped(&mut stop) => {}
    }
}

/// What the server is called, asked anew each time: the machine's name and addresses change.
fn names_source(public: Host, bound: IpAddr) -> NamesSource {
    Box::new(move || {
        let mut addresses = our_addresses::own_addresses();
        addresses.extend([
            IpAddr::from([127, 0, 0, 1]),
            std::net::Ipv6Addr::LOCALHOST.into(),
        ]);
        if !bound.is_unspecified() {
            addresses.push(bound);
        }
        let mut names = vec!["localhost".to_owned()];
        // A machine without a readable name has none.
        let host_name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host_name = host_name.trim();
        if !host_name.is_empty() && host_name != "localhost" {
            names.insert(0, host_name.to_owned());
            if !host_name.contains('.') {
                // By which it is found on its own network (RFC 6762 section 3).
                names.push(format!("{host_name}.local"));
            }
        }
        ServerNames {
            public: Some(public.clone()),
            names,
            addresses,
        }
    })
}
