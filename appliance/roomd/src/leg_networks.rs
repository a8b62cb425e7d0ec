//! The network side of each leg: ports bound for an offer, then the running transport.
//!
//! ```text
//!  (none) ──bind──> Bound ──connect──> Running ──connect──> Running (new route)
//!                     └───────────────────┴──release──> (none)
//! ```

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use media::Media;
use room::ids::LegId;
use sip::offer_answer::{LocalMedia, LocalPort};

use crate::error::Error;
use crate::media_ports::leg_transport::{LegRoute, LegTransport};
use crate::media_ports::sockets::{LegSockets, MediaPortRange, MediumSockets};
use crate::network_counters::NetworkCounters;
use crate::owned_tasks::OwnedTasks;

enum LegNetwork {
    /// The ports are named in an offer or answer.
    Bound(LegSockets),
    /// Datagrams flow between peer and media.
    Running(LegTransport),
}

/// The network side of all legs. Owned by the driver.
pub struct LegNetworks {
    ports: MediaPortRange,
    counters: Arc<NetworkCounters>,
    legs: HashMap<LegId, LegNetwork>,
    /// The tasks of the running transports.
    transports: OwnedTasks,
}

impl LegNetworks {
    /// No legs yet.
    #[must_use]
    pub fn new(ports: MediaPortRange, counters: Arc<NetworkCounters>) -> Self {
        Self {
            ports,
            counters,
            legs: HashMap::new(),
            transports: OwnedTasks::default(),
        }
    }

    /// Binds the ports of a new leg.
    ///
    /// # Errors
    /// [`Error::MediaPorts`] when there are none.
    pub fn bind(&mut self, leg: LegId, address: IpAddr) -> Result<LocalMedia, Error> {
        let unreadable = |source| Error::MediaPorts { address, source };
        let sockets = self.ports.bind_leg(address)?;
        let local = LocalMedia {
            address,
            audio: Some(local_port(&sockets.audio).map_err(unreadable)?),
            video: Some(local_port(&sockets.video).map_err(unreadable)?),
            content: None,
        };
        self.legs.insert(leg, LegNetwork::Bound(sockets));
        Ok(local)
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
    }
}

fn local_port(sockets: &MediumSockets) -> std::io::Result<LocalPort> {
    Ok(LocalPort {
        rtp: sockets.rtp.local_addr()?.port(),
        rtcp: sockets.rtcp.local_addr()?.port(),
    })
}
