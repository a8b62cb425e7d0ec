//! The network side of each leg: ports bound for an offer, then the running transport.
//!
//! ```text
//!  (none) ──bind──> Bound ──connect──> Running ──connect──> Running (new route)
//!                     └───────────────────┴──release──> (none)
//! ```

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use media::Media;
use room::ids::LegId;
use sip::offer_answer::{LocalMedia, LocalPort};

use crate::error::Error;
use crate::media_ports::leg_transport::{LegRoute, LegTransport};
use crate::media_ports::sockets::{LegSockets, MediaPortRange, MediumSockets};
use crate::network_counters::NetworkCounters;
use crate::our_addresses::reachable_address;
use crate::owned_tasks::OwnedTasks;

enum LegNetwork {
    /// The ports are named in an offer or answer.
    Bound(LegSockets),
    /// Datagrams flow between peer and media.
    Running(LegTransport),
}

/// Where a leg's offer or answer says that media is to come.
#[derive(Clone, Copy, Debug)]
struct Named {
    address: IpAddr,
    /// Whom it had to be reachable for, where that was known.
    peer: Option<IpAddr>,
}

/// The network side of all legs. Owned by the driver.
pub struct LegNetworks {
    ports: MediaPortRange,
    /// What media sockets are bound to; unspecified, they go on through a change of address.
    bound: IpAddr,
    counters: Arc<NetworkCounters>,
    legs: HashMap<LegId, LegNetwork>,
    named: HashMap<LegId, Named>,
    /// The tasks of the running transports.
    transports: OwnedTasks,
}

impl LegNetworks {
    /// No legs yet. Their sockets will be bound to `bound`.
    #[must_use]
    pub fn new(ports: MediaPortRange, bound: IpAddr, counters: Arc<NetworkCounters>) -> Self {
        Self {
            ports,
            bound,
            counters,
            legs: HashMap::new(),
            named: HashMap::new(),
            transports: OwnedTasks::default(),
        }
    }

    /// Binds the ports of a new leg, and names the address by which `peer` reaches them; where nobody
    /// knows yet who that will be, the one that most reach.
    ///
    /// # Errors
    /// [`Error::MediaPorts`] when there are none.
    pub fn bind(&mut self, leg: LegId, peer: Option<IpAddr>) -> Result<LocalMedia, Error> {
        let address = reachable_address(self.bound, peer);
        let unreadable = |source| Error::MediaPorts { address, source };
        let sockets = self.ports.bind_leg(match address {
            _ if !self.bound.is_unspecified() => self.bound.to_canonical(),
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        })?;
        let local = LocalMedia {
            address,
            audio: Some(local_port(&sockets.audio).map_err(unreadable)?),
            video: Some(local_port(&sockets.video).map_err(unreadable)?),
            content: None,
        };
        self.legs.insert(leg, LegNetwork::Bound(sockets));
        self.named.insert(leg, Named { address, peer });
        Ok(local)
    }

    /// The legs whose peers send to an address that is not ours any more, with the one that is.
    #[must_use]
    pub fn moved(&self) -> Vec<(LegId, IpAddr)> {
        self.named
            .iter()
            .map(|(leg, named)| {
                (
                    *leg,
                    named.address,
                    reachable_address(self.bound, named.peer),
                )
            })
            .filter(|(_, named, reachable)| named != reachable)
            .map(|(leg, _, reachable)| (leg, reachable))
            .collect()
    }

    /// A leg's peer is told the new address.
    pub fn moved_to(&mut self, leg: LegId, address: IpAddr) {
        if let Some(named) = self.named.get_mut(&leg) {
            named.address = address;
        }
    }

    /// Starts a leg's transport, or changes the way of a running one.
    pub fn connect(&mut self, leg: LegId, route: LegRoute, media: &Media) {
        let running = match self.legs.remove(&leg) {
            None => return,
            Some(LegNetwork::Running(transport)) => transport,
            Some(LegNetwork::Bound(sockets)) => {
                let counters = Arc::clone(&self.counters);
                let datagrams = media.open_leg(leg);
                LegTransport::start(&mut self.transports, leg, sockets, datagrams, counters)
            }
        };
        running.set_route(route);
        self.legs.insert(leg, LegNetwork::Running(running));
    }

    /// Waits until a leg's transport breaks. May be dropped and called again.
    pub async fn unexpected_end(&mut self) {
        self.transports.unexpected_end().await;
    }

    /// Closes a leg's sockets.
    pub fn release(&mut self, leg: LegId) {
        self.legs.remove(&leg);
        self.named.remove(&leg);
    }
}

fn local_port(sockets: &MediumSockets) -> std::io::Result<LocalPort> {
    Ok(LocalPort {
        rtp: sockets.rtp.local_addr()?.port(),
        rtcp: sockets.rtcp.local_addr()?.port(),
    })
}
