//! The TURN servers: whether each of their ways gives an address that relays, and how they see this machine.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use api::reachability::{Finding, FindingCode};
use config::{Host, TurnTransport, TurnUrl};
use tokio::net::lookup_host;
use tokio::task::JoinSet;
use tokio::time::timeout;
use webrtc::RelayEnd;

use super::relay_probe::{ProbeError, RelayProbe};
use super::seen_address::{SeenSocket, meaning};
use crate::randomness::random_bytes;
use crate::turn_connection::{Connection, TurnConnectionError};
use crate::turn_servers::{TurnServers, TurnWay};

/// Ways that are tried.
const MOST_WAYS: usize = 16;
/// How long a connection, or the look-up of a name, may take.
const CONNECT: Duration = Duration::from_millis(2_500);
/// How long an address may take.
const ALLOCATE: Duration = Duration::from_secs(3);
/// How long what is sent to the address may take to come.
const RELAY: Duration = Duration::from_secs(2);

/// Looks at all ways of all servers.
pub(super) async fn look(servers: &TurnServers, public_addresses: &[IpAddr]) -> Vec<Finding> {
    let ways: Vec<(usize, TurnUrl)> = servers
        .urls()
        .take(MOST_WAYS)
        .map(|(server, url)| (server, url.clone()))
        .collect();
    if ways.is_empty() {
        let (code, subject) = (FindingCode::NoTurnServer, "guests.turn".to_owned());
        return vec![Finding::new(code, subject, None)];
    }
    let mut looks = JoinSet::new();
    for (place, (server, url)) in ways.iter().cloned().enumerate() {
        let (servers, asked) = (servers.clone(), udp_way(&ways, server, &url));
        looks.spawn(async move {
            let (finding, seen) = look_at(&servers, server, &url, asked.as_ref()).await;
            (place, finding, seen)
        });
    }
    let mut found = looks.join_all().await;
    found.sort_by_key(|(place, ..)| *place);
    let seen = found.iter().find_map(|(place, _, seen)| {
        let seen = seen.as_ref()?;
        let code = meaning(seen.local, seen.seen.ip(), public_addresses)?;
        let (subject, address) = (ways[*place].1.as_str(), seen.seen.ip());
        Some(Finding::new(
            code,
            subject.to_owned(),
            Some(address.to_string()),
        ))
    });
    let of_ways = found.into_iter().map(|(_, finding, _)| finding);
    seen.into_iter().chain(of_ways).collect()
}

/// The way by UDP to the same server, on which it says how it sees us.
fn udp_way(ways: &[(usize, TurnUrl)], server: usize, url: &TurnUrl) -> Option<TurnUrl> {
    let (host, _) = url.server();
    let is_it = |(other, way): &&(usize, TurnUrl)| {
        *other == server && way.transport() == TurnTransport::Udp && way.server().0 == host
    };
    let (_, way) = ways.iter().find(is_it)?;
    Some(way.clone())
}

async fn look_at(
    servers: &TurnServers,
    server: usize,
    url: &TurnUrl,
    asked: Option<&TurnUrl>,
) -> (Finding, Option<SeenSocket>) {
    let finding = |code, detail| Finding::new(code, url.as_str().to_owned(), detail);
    let way = TurnWay::of(url);
    if way.transport == TurnTransport::Dtls {
        return (finding(FindingCode::TurnWayUntried, None), None);
    }
    let seen = async {
        let (host, port) = asked?.server();
        let see = async { SeenSocket::ask(resolve(&host, port).await?).await };
        timeout(CONNECT, see).await.ok()?.ok()
    };
    let (probed, seen) = tokio::join!(allocate(servers, server, &way), seen);
    let (mut probe, address) = match probed {
        Ok(probed) => probed,
        Err((code, detail)) => return (finding(code, detail), seen),
    };
    let shown = Some(address.to_string());
    let code = match random_bytes() {
        Ok(word) => relays(&mut probe, address, &word, seen.as_ref()).await,
        Err(_) => FindingCode::TurnRelayUntried,
    };
    probe.finish().await;
    (finding(code, shown), seen)
}

async fn resolve(host: &Host, port: u16) -> io::Result<SocketAddr> {
    match host {
        Host::Address(address) => Ok(SocketAddr::new(*address, port)),
        Host::Name(name) => {
            let mut found = lookup_host((name.as_str(), port)).await?;
            found.next().ok_or_else(|| io::ErrorKind::NotFound.into())
        }
    }
}

/// Gets an address in that way, or says why there is none.
async fn allocate(
    servers: &TurnServers,
    server: usize,
    way: &TurnWay,
) -> Result<(RelayProbe, SocketAddr), (FindingCode, Option<String>)> {
    let no_answer = |_| (FindingCode::TurnServerNotReached, None);
    let connection = timeout(CONNECT, Connection::open(servers, way)).await;
    let connection = connection.map_err(no_answer)?;
    let connection =
        connection.map_err(|error| (of_connection(&error), Some(error.to_string())))?;
    let credentials = servers.own_credentials(server, SystemTime::now());
    let mut probe = RelayProbe::new(connection, &credentials);
    let allocated = timeout(ALLOCATE, probe.allocated()).await;
    match allocated.map_err(no_answer)? {
        Ok(address) => Ok((probe, address)),
        Err(error) => {
            let code = match &error {
                ProbeError::Relay(RelayEnd::Unauthorized) => FindingCode::TurnCredentialsWrong,
                ProbeError::Relay(_) => FindingCode::TurnServerRefuses,
                ProbeError::Connection(_) | ProbeError::Broken(_) => {
                    FindingCode::TurnServerNotReached
                }
            };
            Err((code, Some(error.to_string())))
        }
    }
}

fn of_connection(error: &TurnConnectionError) -> FindingCode {
    match error {
        TurnConnectionError::Name(_) => FindingCode::TurnServerUnknown,
        TurnConnectionError::Connect(error) if is_about_certificate(error) => {
            FindingCode::TurnServerNotTrusted
        }
        TurnConnectionError::Connect(_) | TurnConnectionError::Stalled => {
            FindingCode::TurnServerNotReached
        }
    }
}

fn is_about_certificate(error: &io::Error) -> bool {
    let inner = error.get_ref();
    let inner = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

/// Whether what is sent to the address comes.
async fn relays(
    probe: &mut RelayProbe,
    address: SocketAddr,
    word: &[u8; 32],
    from: Option<&SeenSocket>,
) -> FindingCode {
    let heard = timeout(RELAY, probe.hears(address, word, from)).await;
    match (heard, from) {
        (Ok(Ok(())), _) => FindingCode::TurnRelays,
        (Ok(Err(_)), _) => FindingCode::TurnServerRefuses,
        (Err(_), Some(_)) => FindingCode::TurnRelaysNothing,
        // A server need not relay to its own address, and no other one of ours is known to it.
        (Err(_), None) => FindingCode::TurnRelayUntried,
    }
}
