//! The network side of each leg: ports bound for an offer, then the running transport.
//!
//! ```text
//!  (none) ──bind──> Bound ──connect──> Running ──connect──> Running (new route)
//!                     └───────────────────┴──release──> (none)
//! ```

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use media::Media;
use room::ids::LegId;
use sip::endpoint::FloorChannelEnd;
use sip::offer_answer::{BfcpTcp, ContentPorts, LocalMedia, LocalPort};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use webrtc::secure_transport::Certificate;

use crate::error::Error;
use crate::floor_way::FloorWay;
use crate::media_ports::floor_channel::FloorChannel;
use crate::media_ports::floor_events::{ConnectionInput, FloorEvent, FloorInput};
use crate::media_ports::floor_stream::FloorStream;
use crate::media_ports::floor_tls::FloorTls;
use crate::media_ports::leg_transport::{Connecting, LegRoute, LegTransport};
use crate::media_ports::sockets::{LegSockets, MediaPortRange, MediumSockets};
use crate::media_ports::transport_events::TransportEvent;
use crate::network_counters::NetworkCounters;
use crate::our_addresses::{address_to_name, anywhere_like, has_lost_its_route, reachable_address};
use crate::owned_tasks::OwnedTasks;

enum LegNetwork {
    /// The ports are named in an offer or answer.
    Bound(Box<LegSockets>),
    /// Datagrams flow between peer and media.
    Running(LegTransport),
}

/// The floor control of a leg.
struct LegFloor {
    channel: FloorChannel,
    /// Takes connections, whenever one is agreed that the peer makes.
    listener: Arc<TcpListener>,
    /// The connection or the attempt at one; `None` where there is to be none, or it was lost.
    stream: Option<FloorStream>,
    /// Where it goes; `None` while the call has agreed on none.
    way: Option<FloorWay>,
}

/// What connecting a leg's floor control means for the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloorStep {
    /// Its way is open: the endpoint is to be told.
    Opened,
    /// Nothing that the endpoint has to know.
    Unchanged,
}

/// What a socket of a leg's floor means for the endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FloorNews {
    /// The connection stands.
    Opened,
    /// A datagram, or bytes of the connection, from the peer.
    Received(Bytes),
    /// The connection ended, or could not be made.
    Closed(FloorChannelEnd),
}

/// How floors are carried, where content is shared.
struct FloorSettings {
    /// Takes what their sockets see.
    events: mpsc::Sender<FloorEvent>,
    tls: FloorTls,
    /// How many legs there may be at a time.
    most_legs: usize,
}

/// Where a leg's offer or answer says that media is to come.
#[derive(Clone, Copy, Debug)]
struct Named {
    /// The address that peers know now, and the ports.
    local: LocalMedia,
    /// Whom it has to be reachable for: somebody of the same IP version, where that is not known.
    peer: IpAddr,
}

/// The pairs of ports of a leg's sound and pictures, and as many of its slides and their floor.
const PORT_PAIRS: usize = 2;

/// The network side of all legs. Owned by the driver.
pub struct LegNetworks {
    ports: MediaPortRange,
    /// What media sockets are bound to; unspecified, they go on through a change of address.
    bound: IpAddr,
    counters: Arc<NetworkCounters>,
    legs: HashMap<LegId, LegNetwork>,
    named: HashMap<LegId, Named>,
    /// `None` where no keys come by DTLS, and nobody hears of ICE.
    connecting: Option<Connecting>,
    /// `None` where no content is shared.
    floor_settings: Option<FloorSettings>,
    floors: HashMap<LegId, LegFloor>,
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
            connecting: None,
            floor_settings: None,
            floors: HashMap::new(),
            transports: OwnedTasks::default(),
        }
    }

    /// Holds the DTLS handshakes that are agreed from now on, by that certificate. What comes of them and
    /// of ICE goes to `events`.
    pub fn connect_peers(
        &mut self,
        certificate: Certificate,
        events: mpsc::UnboundedSender<TransportEvent>,
    ) {
        self.connecting = Some(Connecting {
            certificate,
            events,
        });
    }

    /// Binds ports for slides and their floor as well from now on, as long as enough are left for the
    /// sound and pictures of `most_legs` legs. What the sockets of floors see goes to `events`; over
    /// TLS they prove themselves by `tls`.
    pub fn share_content(
        &mut self,
        events: mpsc::Sender<FloorEvent>,
        tls: FloorTls,
        most_legs: usize,
    ) {
        self.floor_settings = Some(FloorSettings {
            events,
            tls,
            most_legs,
        });
    }

    /// Whether one more leg with slides leaves enough ports for the legs that may come.
    fn has_ports_for_content(&self, most_legs: usize) -> bool {
        let legs = self.legs.len() + 1;
        let taken = (legs + self.floors.len() + 1) * PORT_PAIRS;
        let to_come = most_legs.saturating_sub(legs) * PORT_PAIRS;
        taken + to_come <= usize::from(self.ports.pairs())
    }

    /// Binds the ports of a new leg, and names the address by which `peer` reaches them; where nobody
    /// knows yet who that will be, the one that most reach.
    ///
    /// A leg that has been offered before it was answered keeps its ports, and what has come to them
    /// meanwhile is dropped: nobody was to see or hear it, and late it would only be in the way.
    ///
    /// # Errors
    /// [`Error::MediaPorts`] when there are none.
    pub fn bind(&mut self, leg: LegId, peer: Option<IpAddr>) -> Result<LocalMedia, Error> {
        if let (Some(LegNetwork::Bound(sockets)), Some(named)) =
            (self.legs.get(&leg), self.named.get(&leg))
        {
            sockets.drop_what_waits();
            return Ok(named.local);
        }
        let address = address_to_name(self.bound, peer);
        let unreadable = |source| Error::MediaPorts { address, source };
        let bound = self.bound.to_canonical();
        let mut sockets = self.ports.bind_leg(bound)?;
        let content = self.bind_content(leg, bound, &mut sockets);
        let content = content.unwrap_or_else(|error| {
            tracing::warn!(%leg, %error, "the call goes without slides");
            None
        });
        let local = LocalMedia {
            address,
            audio: Some(local_port(&sockets.audio).map_err(unreadable)?),
            video: Some(local_port(&sockets.video).map_err(unreadable)?),
            content,
        };
        self.legs.insert(leg, LegNetwork::Bound(Box::new(sockets)));
        let peer = peer.unwrap_or(anywhere_like(address));
        self.named.insert(leg, Named { local, peer });
        Ok(local)
    }

    fn bind_content(
        &mut self,
        leg: LegId,
        bound: IpAddr,
        leg_sockets: &mut LegSockets,
    ) -> Result<Option<ContentPorts>, Error> {
        let Some(settings) = &self.floor_settings else {
            return Ok(None);
        };
        if !self.has_ports_for_content(settings.most_legs) {
            tracing::warn!(%leg, "the call goes without slides: other calls need the ports");
            return Ok(None);
        }
        let unreadable = |source| Error::MediaPorts {
            address: bound,
            source,
        };
        let sockets = self.ports.bind_content(bound)?;
        let listener = sockets.bfcp_tcp;
        let ports = ContentPorts {
            slides: local_port(&sockets.slides).map_err(unreadable)?,
            bfcp_udp: sockets.bfcp.local_addr().map_err(unreadable)?.port(),
            bfcp_tcp: BfcpTcp::Listen(listener.local_addr().map_err(unreadable)?.port()),
            certificate: Some(settings.tls.fingerprint()),
        };
        let (tasks, counters) = (&mut self.transports, Arc::clone(&self.counters));
        let events = settings.events.clone();
        let floor = LegFloor {
            channel: FloorChannel::start(tasks, leg, sockets.bfcp, events, counters),
            listener: Arc::new(listener),
            stream: None,
            way: None,
        };
        leg_sockets.slides = Some(sockets.slides);
        self.floors.insert(leg, floor);
        Ok(Some(ports))
    }

    /// The legs whose peers send to an address that is not ours any more, with the one that is.
    #[must_use]
    pub fn moved(&self) -> Vec<(LegId, IpAddr)> {
        self.named
            .iter()
            .map(|(leg, named)| {
                (
                    *leg,
                    named.local.address,
                    reachable_address(self.bound, Some(named.peer)),
                )
            })
            .filter(|(_, named, reachable)| {
                named != reachable && !has_lost_its_route(*named, *reachable)
            })
            .map(|(leg, _, reachable)| (leg, reachable))
            .collect()
    }

    /// A leg's peer is told the new address.
    pub fn moved_to(&mut self, leg: LegId, address: IpAddr) {
        if let Some(named) = self.named.get_mut(&leg) {
            named.local.address = address;
        }
    }

    /// A leg's description names that address, chosen when the way of its call was known, to who has its
    /// media at `peer`.
    pub fn has_named(&mut self, leg: LegId, address: IpAddr, peer: Option<IpAddr>) {
        if let Some(named) = self.named.get_mut(&leg)
            && named.local.address != address
        {
            let peer = peer.filter(|peer| peer.is_ipv4() == address.is_ipv4());
            let peer = peer.unwrap_or(anywhere_like(address));
            named.local.address = address;
            named.peer = peer;
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
                let (tasks, connecting) = (&mut self.transports, self.connecting.clone());
                LegTransport::start(tasks, leg, *sockets, datagrams, counters, connecting)
            }
        };
        running.set_route(route);
        self.legs.insert(leg, LegNetwork::Running(running));
    }

    /// Says where a leg's floor control goes from now on, `None` for nowhere.
    pub fn connect_floor(&mut self, leg: LegId, way: Option<FloorWay>) -> FloorStep {
        let (Some(floor), Some(settings)) = (self.floors.get_mut(&leg), &self.floor_settings)
        else {
            return FloorStep::Unchanged;
        };
        floor.channel.set_remote(way.and_then(|way| way.remote));
        let before = std::mem::replace(&mut floor.way, way);
        let Some(way) = way else {
            floor.stream = None;
            return FloorStep::Unchanged;
        };
        let step = if way.continues(before.as_ref()) {
            FloorStep::Unchanged
        } else {
            FloorStep::Opened
        };
        let Some(agreed) = way.stream else {
            floor.stream = None;
            return step;
        };
        let is_known = before
            .and_then(|before| before.stream)
            .is_some_and(|before| before.number == agreed.number);
        match &floor.stream {
            // Another floor over the connection that stands.
            Some(stream) if is_known && stream.is_open() => step,
            // It is told of when it stands; or it is lost, and another will be agreed.
            Some(_) | None if is_known => FloorStep::Unchanged,
            Some(_) | None => {
                // The old one first: it must not take what is meant for the new one.
                floor.stream = None;
                floor.stream = Some(FloorStream::start(
                    &mut self.transports,
                    leg,
                    agreed,
                    Arc::clone(&floor.listener),
                    &settings.tls,
                    settings.events.clone(),
                ));
                FloorStep::Unchanged
            }
        }
    }

    /// What a socket of a floor saw, unless it concerns nobody any more.
    pub fn floor_event(&mut self, event: FloorEvent) -> Option<FloorNews> {
        let floor = self.floors.get_mut(&event.leg)?;
        match event.what {
            FloorInput::Datagram(datagram) => {
                let over_datagrams = floor.way.is_some_and(|way| way.stream.is_none());
                over_datagrams.then_some(FloorNews::Received(datagram))
            }
            FloorInput::Connection { number, what } => {
                let stream = floor.stream.as_mut()?;
                if stream.number() != number {
                    return None;
                }
                Some(match what {
                    ConnectionInput::Opened => {
                        stream.opened();
                        FloorNews::Opened
                    }
                    ConnectionInput::Received(bytes) => FloorNews::Received(bytes),
                    ConnectionInput::Ended(end) => {
                        floor.stream = None;
                        FloorNews::Closed(end)
                    }
                })
            }
        }
    }

    /// Sends a datagram, or bytes over the connection, to the peer of a leg's floor. What that means
    /// for the endpoint, if the peer reads nothing.
    pub fn send_floor_control(&mut self, leg: LegId, bytes: Bytes) -> Option<FloorNews> {
        let floor = self.floors.get_mut(&leg)?;
        if floor.way.is_none_or(|way| way.stream.is_none()) {
            floor.channel.send(bytes);
            return None;
        }
        let stalled = floor.stream.as_ref()?.send(bytes).is_err();
        if !stalled {
            return None;
        }
        tracing::info!(%leg, "the peer of a floor reads nothing: its connection is given up");
        floor.stream = None;
        Some(FloorNews::Closed(FloorChannelEnd::Lost))
    }

    /// Closes the connection of a leg's floor, after what waits to be sent over it.
    pub fn close_floor_connection(&mut self, leg: LegId) {
        if let Some(floor) = self.floors.get_mut(&leg) {
            floor.stream = None;
        }
    }

    /// Waits until a leg's transport breaks. May be dropped and called again.
    pub async fn unexpected_end(&mut self) {
        self.transports.unexpected_end().await;
    }

    /// Closes a leg's sockets.
    pub fn release(&mut self, leg: LegId) {
        self.legs.remove(&leg);
        self.named.remove(&leg);
        self.floors.remove(&leg);
    }
}

fn local_port(sockets: &MediumSockets) -> std::io::Result<LocalPort> {
    Ok(LocalPort {
        rtp: sockets.rtp.local_addr()?.port(),
        rtcp: sockets.rtcp.local_addr()?.port(),
    })
}

#[cfg(test)]
mod tests;
