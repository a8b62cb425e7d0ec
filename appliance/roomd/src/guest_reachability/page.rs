//! The page of guests: its name, its addresses, and who answers there.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use api::reachability::{Finding, FindingCode};
use config::{Host, PublicUrl};
use rustls::ClientConfig;
use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::is_private;
use crate::guests::ShownCertificate;
use crate::our_addresses;
use crate::pinned_certificate::{PinnedCertificate, fingerprint_of};

/// How long looking a name up may take.
const LOOK_UP: Duration = Duration::from_secs(3);
/// How long an address may take to answer, and to show its certificate.
const ANSWER: Duration = Duration::from_secs(4);
/// Addresses of a name that are tried.
const MOST_ADDRESSES: usize = 4;

/// The page of guests.
#[derive(Debug)]
pub struct Page {
    /// Where it is.
    pub url: PublicUrl,
    /// Whether the owner says so, or an address of this machine stands for it.
    pub is_configured: bool,
    /// The certificate that its server shows.
    pub certificate: ShownCertificate,
}

impl Page {
    /// Looks for it as a guest does.
    pub(super) async fn look(&self) -> Vec<Finding> {
        let url = self.url.to_string();
        let mut findings = Vec::new();
        if !self.is_configured {
            findings.push(Finding::new(
                FindingCode::PublicUrlNotSet,
                url.clone(),
                None,
            ));
        }
        let addresses = match self.url.host() {
            Host::Address(address) => vec![*address],
            Host::Name(name) => match look_up(name, self.url.port()).await {
                Ok(addresses) => {
                    let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                    let (code, shown) = (FindingCode::PublicUrlResolves, shown.join(", "));
                    findings.push(Finding::new(code, name.clone(), Some(shown)));
                    addresses
                }
                Err(error) => {
                    let (code, error) = (FindingCode::PublicUrlUnknown, error.to_string());
                    findings.push(Finding::new(code, name.clone(), Some(error)));
                    return findings;
                }
            },
        };
        if self.is_configured && addresses.iter().all(|address| is_private(*address)) {
            findings.push(Finding::new(FindingCode::PublicUrlPrivate, url, None));
        }
        findings.extend(self.look_at(&addresses).await);
        findings
    }

    async fn look_at(&self, addresses: &[IpAddr]) -> Vec<Finding> {
        let mut looks = JoinSet::new();
        for (place, address) in addresses.iter().enumerate() {
            let address = SocketAddr::new(*address, self.url.port());
            let (host, certificate) = (self.url.host().clone(), self.certificate.by_public_url());
            looks.spawn(async move { (place, look_at(address, &host, &certificate).await) });
        }
        let mut found = looks.join_all().await;
        found.sort_by_key(|(place, _)| *place);
        let mut findings: Vec<_> = found.into_iter().map(|(_, finding)| finding).collect();
        let served = |finding: &&Finding| finding.code == FindingCode::PageServed;
        if let Some(served) = findings.iter().find(served) {
            let (code, address) = (FindingCode::OutsideUnknown, served.subject.clone());
            findings.push(Finding::new(code, address, None));
        }
        findings
    }
}

async fn look_up(name: &str, port: u16) -> io::Result<Vec<IpAddr>> {
    let found = timeout(LOOK_UP, lookup_host((name, port))).await;
    let found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    let mut addresses = Vec::new();
    for address in found.map(|address| address.ip()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses.truncate(MOST_ADDRESSES);
    if addresses.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(addresses)
}

/// Whether the page's server answers there.
async fn look_at(address: SocketAddr, host: &Host, ours: &CertifiedKey) -> Finding {
    let (code, detail) = match connect(address, host, ours).await {
        Ok(()) if is_certified(host, ours) => (FindingCode::PageServed, None),
        Ok(()) => (FindingCode::PageNameNotCertified, None),
        Err(ConnectError::Reach(error)) if our_addresses::is_ours(address.ip()) => {
            (FindingCode::PageNotServed, Some(error.to_string()))
        }
        Err(ConnectError::Reach(error)) => {
            (FindingCode::PageNotReachedFromHere, Some(error.to_string()))
        }
        Err(ConnectError::Another(error)) => (FindingCode::PageOfAnother, Some(error.to_string())),
    };
    Finding::new(code, address.to_string(), detail)
}

/// Why the page's server is not there.
#[derive(Debug)]
enum ConnectError {
    /// Nobody answers.
    Reach(io::Error),
    /// Somebody answers, and does not prove to be the page's server.
    Another(io::Error),
}

async fn connect(
    address: SocketAddr,
    host: &Host,
    ours: &CertifiedKey,
) -> Result<(), ConnectError> {
    let timed_out = |_| ConnectError::Reach(io::ErrorKind::TimedOut.into());
    let look = async {
        let stream = TcpStream::connect(address).await;
        let stream = stream.map_err(ConnectError::Reach)?;
        let another = |error| ConnectError::Another(io::Error::other(error));
        let certificate = ours.end_entity_cert().map_err(another)?;
        let verifier = Arc::new(PinnedCertificate::new(fingerprint_of(certificate)));
        let config = ClientConfig::builder()
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        let connected = TlsConnector::from(Arc::new(config))
            .connect(server_name(host), stream)
            .await;
        connected.map(drop).map_err(ConnectError::Another)
    };
    timeout(ANSWER, look).await.map_err(timed_out)?
}

fn server_name(host: &Host) -> ServerName<'static> {
    match host {
        Host::Address(address) => ServerName::from(*address),
        Host::Name(name) => ServerName::try_from(name.clone())
            .unwrap_or_else(|_| ServerName::from(IpAddr::from([0, 0, 0, 0]))),
    }
}

/// Whether browsers take the certificate for the name in the URL.
fn is_certified(host: &Host, ours: &CertifiedKey) -> bool {
    let certificate = ours.end_entity_cert().ok();
    let certificate = certificate.and_then(|it| ParsedCertificate::try_from(it).ok());
    certificate.is_some_and(|it| verify_server_name(&it, &server_name(host)).is_ok())
}

#[cfg(test)]
mod tests;
