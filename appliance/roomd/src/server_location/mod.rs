//! Where the servers of a name are (RFC 3263 section 4).
//!
//! ```text
//!  name ─┬─ with a port, or known without DNS ───────────────────► addresses of the name
//!        └─ without ──► NAPTR: at which name the services of the transport are, if elsewhere; not where
//!                 │     the address that is called names its transport
//!                 └───► SRV ─┬─ services, in their order (RFC 2782) ──► addresses of each
//!                            ├─ "." : the domain says that it has none ──► nothing
//!                            └─ none, or no answer in time ──► addresses of the name, default port
//! ```
//!
//! The endpoint names the transport: it is the choice of the account's owner, and TLS is never left for
//! another, whatever a NAPTR record prefers. The endpoint tries the addresses in the order given here,
//! and goes on to the next when one does not answer, refuses the connection, or says 503.
//!
//! SRV records come by DNS alone. Addresses of the name itself come by the system's own resolver, so
//! that `/etc/hosts` and what else the owner has set up there counts, also without any DNS server.

mod service_order;
mod services;
#[cfg(test)]
mod tests;

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use sip::endpoint::TransportFrom;
use sip::transport::Transport;
use tokio::time::{Instant, timeout_at};

use service_order::Service;
use services::Services;

use crate::our_addresses;

const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";
/// All look-ups of one name.
const WHOLE_LIMIT: Duration = Duration::from_secs(10);
/// Services whose addresses are looked up.
const MAX_SERVICES: usize = 8;
/// Answers that are kept, each for its time to live.
const CACHED_ANSWERS: u64 = 256;

/// Whose servers are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sought {
    /// The name.
    pub host: String,
    /// The port, when the address gives one.
    pub port: Option<u16>,
    /// The transport by which they are asked.
    pub transport: Transport,
    /// Who has chosen it.
    pub transport_from: TransportFrom,
}

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
    pub async fn locate(&self, sought: &Sought) -> Vec<SocketAddr> {
        let (host, port, transport) = (sought.host.as_str(), sought.port, sought.transport);
        if has_services(host, port) {
            let deadline = Instant::now() + WHOLE_LIMIT;
            match self.services(sought).await {
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

    async fn services(&self, sought: &Sought) -> Services {
        match self.dns.resolver() {
            Some(resolver) => services::of_domain(&resolver, sought).await,
            None => Services::Unknown,
        }
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
        reachable_first(addresses, our_addresses::has_route_to)
    }
}

/// What this machine has no route to is tried last: by UDP nobody would say that it leads nowhere.
fn reachable_first(
    mut addresses: Vec<SocketAddr>,
    has_route_to: impl Fn(IpAddr) -> bool,
) -> Vec<SocketAddr> {
    addresses.sort_by_cached_key(|address| !has_route_to(address.ip()));
    addresses
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
    options.timeout = options.timeout.min(services::LIMIT / 2);
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
