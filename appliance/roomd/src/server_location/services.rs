//! What DNS says of a domain's services: where they are (NAPTR, RFC 3263 section 4.1), and which servers
//! they have (SRV, RFC 2782).

use std::pin::{Pin, pin};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::rdata::NAPTR;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use sip::endpoint::TransportFrom;
use sip::transport::Transport;
use tokio::time::timeout;

use super::Sought;
use super::service_order::{Service, in_order};

/// A DNS server that does not answer by then counts as one that knows nothing.
pub(super) const LIMIT: Duration = Duration::from_secs(3);
/// How much longer than for services that are there already it is waited for where others may be.
const LITTLE: Duration = Duration::from_millis(300);
/// Names at which services are looked for.
const MAX_NAMES: usize = 2;

/// What DNS says about a domain's services of a kind.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Services {
    Some(Vec<Service>),
    /// The domain says that it has no such service.
    Refused,
    /// It says nothing.
    Unknown,
}

/// The services of a domain by a transport.
pub(super) async fn of_domain(resolver: &TokioResolver, sought: &Sought) -> Services {
    let (prefix, kind) = match sought.transport {
        Transport::Udp => ("_sip._udp", "SIP+D2U"),
        Transport::Tcp => ("_sip._tcp", "SIP+D2T"),
        Transport::Tls => ("_sips._tcp", "SIPS+D2T"),
        // A WebSocket is at the address of its name (RFC 6455 section 4.1).
        Transport::Ws | Transport::Wss => return Services::Unknown,
    };
    // The last dot: the search domains of this system are not meant.
    let domain = format!("{}.", sought.host.trim_end_matches('.'));
    let usual = format!("{prefix}.{domain}");
    match sought.transport_from {
        TransportFrom::Account => {}
        // RFC 3263 section 4.1: who names a transport asks for the domain's own services by it.
        TransportFrom::Address => return services_at(resolver, &usual).await,
    }
    // Few domains have NAPTR records, and some routers drop the question: nobody waits for long.
    let names = pin!(names_of_services(resolver, &domain, kind));
    let (names, at_usual) = both(names, services_at(resolver, &usual)).await;
    for name in names.iter().take(MAX_NAMES) {
        if name.eq_ignore_ascii_case(&usual) {
            return at_usual;
        }
        match services_at(resolver, name).await {
            Services::Unknown => {}
            known @ (Services::Some(_) | Services::Refused) => return known,
        }
    }
    at_usual
}

/// The answers to both questions; without the names, where the services are there and the names are
/// not much later.
pub(super) async fn both(
    mut names: Pin<&mut impl Future<Output = Vec<String>>>,
    services: impl Future<Output = Services>,
) -> (Vec<String>, Services) {
    let mut services = pin!(services);
    tokio::select! {
        names = names.as_mut() => (names, services.await),
        services = services.as_mut() => {
            let patience = match services {
                Services::Some(_) => LITTLE,
                Services::Refused | Services::Unknown => LIMIT,
            };
            let names = timeout(patience, names).await;
            (names.unwrap_or_default(), services)
        }
    }
}

/// The names at which a domain keeps services of that kind, best first. None where it does not say so:
/// they are at the usual name.
async fn names_of_services(resolver: &TokioResolver, domain: &str, kind: &str) -> Vec<String> {
    let look_up = resolver.lookup(domain, RecordType::NAPTR);
    let Some(records) = asked(domain, async { Ok(look_up.await?.answers().to_vec()) }).await else {
        return Vec::new();
    };
    let mut rules: Vec<&NAPTR> = records
        .iter()
        .filter_map(|record| match &record.data {
            RData::NAPTR(rule) => Some(rule),
            _ => None,
        })
        .filter(|rule| is_name_of(rule, kind))
        .collect();
    rules.sort_by_key(|rule| (rule.order, rule.preference));
    rules
        .into_iter()
        .map(|rule| rule.replacement.to_ascii())
        .collect()
}

/// Whether a rule names where to ask for SRV records of that kind (RFC 3263 section 4.1: flag `s`, and
/// no regular expression).
fn is_name_of(rule: &NAPTR, kind: &str) -> bool {
    rule.flags.eq_ignore_ascii_case(b"s")
        && rule.services.eq_ignore_ascii_case(kind.as_bytes())
        && rule.regexp.is_empty()
        && !rule.replacement.is_root()
}

async fn services_at(resolver: &TokioResolver, name: &str) -> Services {
    let look_up = resolver.srv_lookup(name);
    let Some(found) = asked(name, async { Ok(look_up.await?.answers().to_vec()) }).await else {
        return Services::Unknown;
    };
    let records: Vec<_> = found
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

/// The records of an answer; `None` where there are none, or no answer in time.
async fn asked(
    name: &str,
    look_up: impl Future<Output = Result<Vec<Record>, NetError>>,
) -> Option<Vec<Record>> {
    match timeout(LIMIT, look_up).await {
        Ok(Ok(records)) => Some(records),
        Ok(Err(error)) if error.is_no_records_found() => None,
        Ok(Err(error)) => {
            tracing::debug!(%name, %error, "not found by DNS");
            None
        }
        Err(_) => {
            tracing::info!(%name, "no DNS server answers");
            None
        }
    }
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
