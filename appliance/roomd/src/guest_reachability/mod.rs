//! Whether guests reach the room from outside, as far as that can be told from inside.
//!
//! ```text
//!                ┌─ page: name ─> addresses ─> TLS: our certificate?
//!  test, bounded ┤
//!  in time       │                ┌─ STUN: at which address are we seen?
//!                └─ TURN servers ─┤
//!                                 └─ each way: connection ─> address ─> does what is sent there come?
//! ```
//!
//! All is looked at at once, each step has its deadline, and what nobody can know from inside is said to be that.

mod page;
mod relay_probe;
mod seen_address;
mod turn;

use std::net::IpAddr;
use std::sync::Arc;

use api::reachability::Finding;
use tokio::sync::Mutex;

use crate::turn_servers::TurnServers;

pub use page::Page;

/// What is tested.
#[derive(Debug)]
pub struct GuestReachabilityParts {
    /// The page of guests.
    pub page: Page,
    /// By which servers media goes where there is no direct way.
    pub turn: TurnServers,
    /// The addresses of a router that forwards ports to this machine.
    pub public_addresses: Vec<IpAddr>,
}

/// Tests the ways of guests to the room. Clones share one test at a time.
#[derive(Clone, Debug)]
pub struct GuestReachability {
    parts: Arc<GuestReachabilityParts>,
    running: Arc<Mutex<()>>,
}

impl GuestReachability {
    /// Tests these.
    #[must_use]
    pub fn new(parts: GuestReachabilityParts) -> Self {
        Self {
            parts: Arc::new(parts),
            running: Arc::default(),
        }
    }

    /// Looks at everything, which takes less than ten seconds once nobody else does.
    pub async fn test(&self) -> Vec<Finding> {
        // One at a time: each asks servers of others.
        let _running = self.running.lock().await;
        let GuestReachabilityParts {
            page,
            turn,
            public_addresses,
        } = &*self.parts;
        let (mut findings, of_servers) =
            tokio::join!(page.look(), turn::look(turn, public_addresses));
        findings.extend(of_servers);
        findings
    }
}

/// Whether an address means something on some networks only.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            // RFC 6598: behind the NAT of a provider.
            let [first, second, ..] = address.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            address.is_private() || address.is_loopback() || address.is_link_local() || is_shared
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_some_networks_only_are_told_from_those_of_all() {
        for (address, private) in [
            ("10.1.2.3", true),
            ("127.0.0.1", true),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("203.0.113.7", false),
            ("::ffff:192.168.1.1", true),
            ("fd00::1", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_private(address.parse().unwrap()), private, "{address}");
        }
    }
}
