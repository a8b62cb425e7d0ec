//! The network side of each leg: ports bound for an offer, then the running transport.
//!
//! ```text
//!  (none) ──bind──> Bound ──connect──> Running ──connect──> Running (new route)
//!                     └───────────────────┴──release──> (none)
//! ```

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use bytes::Bytes;
use media::Media;
use room::ids::LegId;
use sip::offer_answer::{BfcpTcp, ContentPorts, LocalMedia, LocalPort};
use tokio::sync::mpsc;

use crate::error::Error;
use crate::floor_way::FloorWay;
use crate::media_ports::floor_channel::{FloorChannel, FloorDatagram};
use crate::media_ports::leg_transport::{LegRoute, LegTransport};
use crate::media_ports::sockets::{LegSockets, MediaPortRange, MediumSockets};
use crate::network_counters::NetworkCounters;
use crate::our_addresses::{has_lost_its_route, reachable_address};
use crate::owned_tasks::OwnedTasks;

enum LegNetwork {
    /// The ports are named in an offer or answer.
    Bound(LegSockets),
    /// Datagrams flow between peer and media.
    Running(LegTransport),
}

/// The floor control of a leg.
struct LegFloor {
    channel: FloorChannel,
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
    /// Takes what floors' peers say; `None` where no content is shared.
    floor_datagrams: Option<mpsc::Sender<FloorDatagram>>,
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
            floor_datagrams: None,
            floors: HashMap::new(),
            transports: OwnedTasks::default(),
        }
    }

    /// Binds ports for slides and their floor as well from now on. What peers of floors say goes to
    /// `datagrams`.
    pub fn share_content(&mut self, datagrams: mpsc::Sender<FloorDatagram>) {
        self.floor_datagrams = Some(datagrams);
    }

    /// Binds the ports of a new leg, and names the address by which `peer` reaches them; where nobody
    /// knows yet who that will be, the one that most reach.
    ///
    /// # Errors
    /// [`Error::MediaPorts`] when there are none.
    pub fn bind(&mut self, leg: LegId, peer: Option<IpAddr>) -> Result<LocalMedia, Error> {
        let address = reachable_address(self.bound, peer);
        let unreadable = |source| Error::MediaPorts { address, source };
        let bound = match address {
            _ if !self.bound.is_unspecified() => self.bound.to_canonical(),
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let mut sockets = self.ports.bind_leg(bound)?;
        let content = self.bind_content(leg, bound, &mut sockets)?;
        let local = LocalMedia {
            address,
            audio: Some(local_port(&sockets.audio).map_err(unreadable)?),
            video: Some(local_port(&sockets.video).map_err(unreadable)?),
            content,
        };
        self.legs.insert(leg, LegNetwork::Bound(sockets));
        self.named.insert(leg, Named { address, peer });
        Ok(local)
    }

    fn bind_content(
        &mut self,
        leg: LegId,
        bound: IpAddr,
        leg_sockets: &mut LegSockets,
    ) -> Result<Option<ContentPorts>, Error> {
        let Some(datagrams) = self.floor_datagrams.clone() else {
            return Ok(None);
        };
        let unreadable = |source| Error::MediaPorts {
            address: bound,
            source,
        };
        let sockets = self.ports.bind_content(bound)?;
        let ports = ContentPorts {
            slides: local_port(&sockets.slides).map_err(unreadable)?,
            bfcp_udp: sockets.bfcp.local_addr().map_err(unreadable)?.port(),
            bfcp_tcp: BfcpTcp::Off,
            certificate: None,
        };
        let (tasks, counters) = (&mut self.transports, Arc::clone(&self.counters));
        let floor = LegFloor {
            channel: FloorChannel::start(tasks, leg, sockets.bfcp, datagrams, counters),
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
                    named.address,
                    reachable_address(self.bound, named.peer),
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

    /// Says where a leg's floor control goes from now on, `None` for nowhere.
    pub fn connect_floor(&mut self, leg: LegId, way: Option<FloorWay>) -> FloorStep {
        let Some(floor) = self.floors.get_mut(&leg) else {
            return FloorStep::Unchanged;
        };
        floor.channel.set_remote(way.and_then(|way| way.remote));
        let before = std::mem::replace(&mut floor.way, way);
        match way {
            Some(way) if !way.continues(before.as_ref()) => FloorStep::Opened,
            Some(_) | None => FloorStep::Unchanged,
        }
    }

    /// Sends a datagram to the peer of a leg's floor.
    pub fn send_floor_control(&self, leg: LegId, datagram: Bytes) {
        if let Some(floor) = self.floors.get(&leg) {
            floor.channel.send(datagram);
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
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use room::media_plan::LegStreams;
    use sip::bfcp::{ConferenceId, FloorId, UserId};
    use sip::offer_answer::{
        AgreedSecurity, CallMedia, ContentMedia, FloorConnection, FloorControlMedia,
        FloorControlRole, FloorIds, PeerHold, RemoteMedia,
    };

    use super::*;
    use crate::call_facts::tests::video_stream;
    use crate::media_ports::floor_channel::floor_datagrams;

    const LEG: LegId = LegId(1);
    /// Longer than a loopback datagram takes; only a failing test waits for it.
    const LIMIT: Duration = Duration::from_secs(10);

    fn networks(first: u16, last: u16) -> LegNetworks {
        LegNetworks::new(
            MediaPortRange::new(first..=last).unwrap(),
            Ipv4Addr::LOCALHOST.into(),
            Arc::default(),
        )
    }

    fn agreed(conference: u32, remote: Option<SocketAddr>) -> Option<FloorWay> {
        let ids = FloorIds {
            conference: ConferenceId(conference),
            user: UserId(2),
            floor: FloorId(1),
        };
        FloorWay::agreed(&CallMedia {
            streams: LegStreams::default(),
            remote: RemoteMedia::default(),
            content: Some(Box::new(ContentMedia {
                stream: video_stream(None),
                remote: None,
                floor_control: Some(FloorControlMedia {
                    role: FloorControlRole::Server(ids),
                    connection: FloorConnection::Udp { remote },
                }),
            })),
            security: AgreedSecurity::Plain,
            peer_hold: PeerHold::Off,
        })
    }

    #[tokio::test]
    async fn without_shared_content_a_leg_has_no_ports_for_it() {
        let local = networks(21_400, 21_407).bind(LEG, None).unwrap();
        assert_eq!(local.content, None);
    }

    #[tokio::test]
    async fn a_range_without_room_for_content_refuses_the_leg() {
        let mut networks = networks(21_410, 21_415);
        networks.share_content(floor_datagrams().0);
        assert!(networks.bind(LEG, None).is_err());
    }

    #[tokio::test]
    async fn the_floors_of_two_legs_reach_each_other_by_their_named_ports() {
        let (ours, mut datagrams) = floor_datagrams();
        let (theirs, mut far_datagrams) = floor_datagrams();
        let (mut near, mut far) = (networks(21_420, 21_439), networks(21_440, 21_459));
        near.share_content(ours);
        far.share_content(theirs);
        let port = |networks: &mut LegNetworks| {
            let content = networks.bind(LEG, None).unwrap().content.unwrap();
            SocketAddr::from((Ipv4Addr::LOCALHOST, content.bfcp_udp))
        };
        let (near_port, far_port) = (port(&mut near), port(&mut far));
        assert_eq!(
            near.connect_floor(LEG, agreed(1, Some(far_port))),
            FloorStep::Opened
        );
        assert_eq!(
            far.connect_floor(LEG, agreed(1, Some(near_port))),
            FloorStep::Opened
        );
        for (from, to) in [(&near, &mut far_datagrams), (&far, &mut datagrams)] {
            from.send_floor_control(LEG, Bytes::from_static(b"floor"));
            let arrived = tokio::time::timeout(LIMIT, to.recv()).await;
            let arrived = arrived.expect("in time").expect("the channel stands");
            assert_eq!((arrived.leg, &arrived.payload[..]), (LEG, &b"floor"[..]));
        }
    }

    #[tokio::test]
    async fn a_floor_is_opened_once_and_anew_only_where_it_is_another_one() {
        let mut networks = networks(21_460, 21_479);
        networks.share_content(floor_datagrams().0);
        networks.bind(LEG, None).unwrap();
        let port = |port: u16| Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        for (what, way, step) in [
            ("agreed", agreed(1, port(6_000)), FloorStep::Opened),
            ("as before", agreed(1, port(6_000)), FloorStep::Unchanged),
            ("moved", agreed(1, port(6_001)), FloorStep::Unchanged),
            ("on hold", agreed(1, None), FloorStep::Unchanged),
            ("resumed", agreed(1, port(6_001)), FloorStep::Unchanged),
            ("another server", agreed(2, port(6_001)), FloorStep::Opened),
            ("refused", None, FloorStep::Unchanged),
            ("agreed again", agreed(2, port(6_001)), FloorStep::Opened),
        ] {
            assert_eq!(networks.connect_floor(LEG, way), step, "{what}");
        }
        networks.release(LEG);
        assert_eq!(
            networks.connect_floor(LEG, agreed(3, port(6_001))),
            FloorStep::Unchanged,
            "a leg that is over has no floor"
        );
    }
}
