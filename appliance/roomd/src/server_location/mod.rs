//! Where the servers of a name are (RFC 3263 section 4.2).
//!
//! ```text
//!  name ─┬─ with a port, or known without DNS ───────────────────► addresses of the name
//!        └─ without ──► SRV ─┬─ services, in their order (RFC 2782) ──► addresses of each
//!                            ├─ "." : the domain says that it has none ──► nothing
//!                            └─ none, or no answer in time ──► addresses of the name, default port
//! ```
//!
//! The endpoint names the transport, so that NAPTR is not asked for: an account's transport is its
//! owner's choice, and TLS is never left for another. It tries the addresses in the order given here,
//! and goes on to the next when one does not answer, refuses the connection, or says 503.
//!
//! SRV records come by DNS alone. Addresses of the name itself come by the system's own resolver, so
//! that `/etc/hosts` and what else the owner has set up there counts, also without any DNS server.

mod service_order;
#[cfg(test)]
mod tests;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use sip::transport::Transport;
use tokio::time::{Instant, timeout, timeout_at};

use service_order::{Service, in_order};

const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";
/// A DNS server that does not answer by then counts as one that knows no services.
const SERVICES_LIMIT: Duration = Duration::from_secs(3);
/// All look-ups of one name.
const WHOLE_LIMIT: Duration = Duration::from_secs(10);
/// Services whose addresses are looked up.
const MAX_SERVICES: usize = 8;
/// Answers that are kept, each for its time to live.
const CACHED_ANSWERS: u64 = 256;

/// Finds the servers of names. Clones share what they know.
#[derive(Clone, Debug)]
pub struct ServerLocator {
    dns: Arc<Dns>,
}

#[derive(Debug)]
enum Dns {
    /// As `/etc/resolv.conf` says at the time of the question.
    System(Mutex<Option<(FileVersion, TokioResolver)>>),
    #[cfg(test)]
    Fixed(TokioResolver),
}

/// Tells one content of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileVersion {
    inode: u64,
    length: u64,
    seconds: i64,
    nanoseconds: i64,
}

/// What DNS says about a domain's services of a kind.
#[derive(Debug, PartialEq, Eq)]
enum Services {
    Some(Vec<Service>),
    /// The domain says that it has no such service.
    Refused,
    /// It says nothing.
    Unknown,
}

impl ServerLocator {
    /// A locator that asks the DNS servers of this system.
    #[must_use]
    pub fn of_system() -> Self {
        Self {
            dns: Arc::new(Dns::System(Mutex::new(None))),
        }
    }

    /// The addresses to try, best first; none when the name is unknown. What DNS is asked here ends
    /// within ten seconds; the system's resolver has a time-out of its own.
    pub async fn locate(
        &self,
        host: &str,
        port: Option<u16>,
        transport: Transport,
    ) -> Vec<SocketAddr> {
        if has_services(host, port) {
            let deadline = Instant::now() + WHOLE_LIMIT;
            match self.services(host, transport).await {
                // What is at the name itself is then another service's: a web server's, as a rule.
                Services::Some(services) => {
                    let addresses = self.addresses_of(&services, deadline).await;
                    if addresses.is_empty() {
                        tracing::info!(%host, %transport, "no SIP server of the domain has an address");
                    }
                    return addresses;
                }
                Services::Refused => {
                    tracing::info!(%host, %transport, "the domain offers no SIP by this transport");
                    return Vec::new();
                }
                Services::Unknown => {}
            }
        }
        let port = port.unwrap_or(transport.default_port());
        match tokio::net::lookup_host((host, port)).await {
            Ok(addresses) => addresses.collect(),
            Err(error) => {
                tracing::info!(%host, %transport, %error, "name not resolved");
                Vec::new()
            }
        }
    }

    async fn services(&self, host: &str, transport: Transport) -> Services {
        let Some(resolver) = self.dns.resolver() else {
            return Services::Unknown;
        };
        let prefix = match transport {
            Transport::Udp => "_sip._udp",
            Transport::Tcp => "_sip._tcp",
            Transport::Tls => "_sips._tcp",
        };
        // The last dot: the search domains of this system are not meant.
        let name = format!("{prefix}.{}.", host.trim_end_matches('.'));
        let found = match timeout(SERVICES_LIMIT, resolver.srv_lookup(name)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) if error.is_no_records_found() => return Services::Unknown,
            Ok(Err(error)) => {
                tracing::debug!(%host, %error, "no services by DNS");
                return Services::Unknown;
            }
            Err(_) => {
                tracing::info!(%host, "no DNS server answers");
                return Services::Unknown;
            }
        };
        let records: Vec<_> = found
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::SRV(srv) => Some(srv),
                _ => None,
            })
            .collect();
        if records.is_empty() {
            return Services::Unknown;
        }
        let services: Vec<_> = records
            .into_iter()
            .filter(|srv| !srv.target.is_root())
            .map(|srv| Service {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: srv.target.to_ascii(),
            })
            .collect();
        if services.is_empty() {
            return Services::Refused;
        }
        Services::Some(in_order(services, random_up_to))
    }

    async fn addresses_of(&self, services: &[Service], deadline: Instant) -> Vec<SocketAddr> {
        let mut addresses = Vec::new();
        let Some(resolver) = self.dns.resolver() else {
            return addresses;
        };
        for service in services.iter().take(MAX_SERVICES) {
            let look_up = resolver.lookup_ip(service.target.as_str());
            let found = match timeout_at(deadline, look_up).await {
                Ok(Ok(found)) => found,
                Ok(Err(error)) => {
                    tracing::info!(server = %service.target, %error, "name not resolved");
                    continue;
                }
                // What was found until now has to do.
                Err(_) => break,
            };
            for ip in found.iter() {
                let address = SocketAddr::new(ip, service.port);
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        addresses
    }
}

impl Dns {
    /// The resolver for a question that is asked now.
    fn resolver(&self) -> Option<TokioResolver> {
        match self {
            Self::System(known) => {
                let version = FileVersion::of(Path::new(RESOLV_CONF))?;
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((before, resolver)) = &*known
                    && *before == version
                {
                    return Some(resolver.clone());
                }
                match system_resolver() {
                    Ok(resolver) => {
                        *known = Some((version, resolver.clone()));
                        Some(resolver)
                    }
                    Err(error) => {
                        tracing::warn!(path = RESOLV_CONF, %error, "no DNS server can be asked");
                        None
                    }
                }
            }
            #[cfg(test)]
            Self::Fixed(resolver) => Some(resolver.clone()),
        }
    }
}

impl FileVersion {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            inode: metadata.ino(),
            length: metadata.len(),
            seconds: metadata.mtime(),
            nanoseconds: metadata.mtime_nsec(),
        })
    }
}

fn system_resolver() -> Result<TokioResolver, NetError> {
    let (config, options) = hickory_resolver::system_conf::read_system_conf()?;
    build(config, options)
}

fn build(config: ResolverConfig, mut options: ResolverOpts) -> Result<TokioResolver, NetError> {
    options.cache_size = CACHED_ANSWERS;
    options.timeout = options.timeout.min(SERVICES_LIMIT / 2);
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options)
        .build()
}

/// Whether SRV records of the name are asked for. A port in the address leaves no room for them.
fn has_services(host: &str, port: Option<u16>) -> bool {
    port.is_none() && !is_known_without_dns(host)
}

/// Names of this machine and its network, which have no SRV records that could be waited for in
/// vain.
fn is_known_without_dns(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    if !host.contains('.') || is_below(host, "localhost") || is_below(host, "local") {
        return true;
    }
    fs::read_to_string(HOSTS).is_ok_and(|hosts| lists(&hosts, host))
}

fn is_below(host: &str, domain: &str) -> bool {
    host.rsplit('.')
        .next()
        .is_some_and(|label| label.eq_ignore_ascii_case(domain))
}

/// Whether a hosts file has the name.
fn lists(hosts: &str, name: &str) -> bool {
    hosts.lines().any(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut names = line.split_ascii_whitespace().skip(1);
        names.any(|listed| listed.eq_ignore_ascii_case(name))
    })
}

/// A number from 0 to `most`, both included. Which server is asked first is no secret, so that the
/// modulo's bias does not matter, nor a system without randomness.
fn random_up_to(most: u32) -> u32 {
    let mut bytes = [0; 8];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        return 0;
    }
    (u64::from_ne_bytes(bytes) % (u64::from(most) + 1)) as u32
}
