//! Tests over real sockets on loopback.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use room::media_plan::LegStreams;
use sip::bfcp::{
    ConferenceId, FloorId, Participant, ParticipantEvent, ParticipantOutput, ParticipantSettings,
    Server, ServerOutput, ServerSettings, UserId, WhenBusy,
};
use sip::offer_answer::{
    AgreedSecurity, CallMedia, ContentMedia, DtlsMedia, FloorConnection, FloorControlMedia,
    FloorControlRole, FloorIds, IceMedia, PeerHold, RemoteMedia, TcpSetup,
};
use sip::transaction::Reliability;

use super::*;
use crate::call_facts::tests::video_stream;
use crate::floor_way::StreamWay;
use crate::media_ports::floor_events::floor_events;
use crate::media_ports::media_certificate::MediaCertificate;

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

#[tokio::test]
async fn a_leg_of_both_ip_versions_names_what_its_peer_reaches_and_the_floor_works_by_both() {
    let [(mut near, mut events), (mut far, mut far_events)] = [22_600, 22_640].map(|first| {
        let ports = MediaPortRange::new(first..=first + 19).unwrap();
        let mut networks = LegNetworks::new(ports, Ipv6Addr::UNSPECIFIED.into(), Arc::default());
        let events = share(&mut networks);
        (networks, events)
    });
    let peers: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    for (conference, peer) in (1..).zip(peers) {
        let [near_port, far_port] = [&mut near, &mut far].map(|networks| {
            let local = networks.bind(LEG, Some(peer)).unwrap();
            assert_eq!(local.address, peer);
            SocketAddr::new(peer, local.content.unwrap().bfcp_udp)
        });
        near.connect_floor(LEG, agreed(conference, Some(far_port)));
        far.connect_floor(LEG, agreed(conference, Some(near_port)));
        near.send_floor_control(LEG, Bytes::from_static(b"floor"));
        far.send_floor_control(LEG, Bytes::from_static(b"floor"));
        let floor = FloorNews::Received(Bytes::from_static(b"floor"));
        assert_eq!(next(&mut far, &mut far_events).await, floor, "{peer}");
        assert_eq!(next(&mut near, &mut events).await, floor, "{peer}");
        near.release(LEG);
        far.release(LEG);
    }
}

#[tokio::test]
async fn an_address_that_was_named_for_the_way_of_a_call_is_not_taken_for_one_that_has_gone() {
    let ports = MediaPortRange::new(22_680..=22_699).unwrap();
    let mut networks = LegNetworks::new(ports, Ipv6Addr::UNSPECIFIED.into(), Arc::default());
    let loopback = |ipv6: bool| -> IpAddr {
        match ipv6 {
            false => Ipv4Addr::LOCALHOST.into(),
            true => Ipv6Addr::LOCALHOST.into(),
        }
    };
    networks.bind(LEG, Some(loopback(false))).unwrap();
    for ipv6 in [false, true, false] {
        let (ours, theirs) = (loopback(ipv6), loopback(ipv6));
        networks.has_named(LEG, ours, Some(theirs));
        assert_eq!(networks.moved(), [], "{ours}");
    }
}

fn ids(conference: u32) -> FloorIds {
    FloorIds {
        conference: ConferenceId(conference),
        user: UserId(2),
        floor: FloorId(1),
    }
}

fn way(role: FloorControlRole, connection: FloorConnection) -> Option<FloorWay> {
    FloorWay::agreed(&CallMedia {
        streams: LegStreams::default(),
        remote: RemoteMedia::default(),
        dtls: DtlsMedia::default(),
        ice: IceMedia::default(),
        content: Some(Box::new(ContentMedia {
            stream: video_stream(None),
            remote: None,
            dtls: None,
            ice: None,
            floor_control: Some(FloorControlMedia { role, connection }),
        })),
        security: AgreedSecurity::Plain,
        peer_hold: PeerHold::Off,
    })
}

fn agreed(conference: u32, remote: Option<SocketAddr>) -> Option<FloorWay> {
    let role = FloorControlRole::Server(ids(conference));
    way(role, FloorConnection::Udp { remote })
}

fn floor_tls() -> FloorTls {
    FloorTls::new(&MediaCertificate::generate().unwrap())
}

fn share(networks: &mut LegNetworks) -> mpsc::Receiver<FloorEvent> {
    let (events, received) = floor_events();
    networks.share_content(events, floor_tls(), 1);
    received
}

#[tokio::test]
async fn without_shared_content_a_leg_has_no_ports_for_it() {
    let local = networks(21_400, 21_407).bind(LEG, None).unwrap();
    assert_eq!(local.content, None);
}

#[tokio::test]
async fn slides_leave_the_ports_of_calls_that_may_come() {
    let mut networks = networks(21_700, 21_711);
    let (events, _received) = floor_events();
    networks.share_content(events, floor_tls(), 2);
    let content = |networks: &mut LegNetworks, leg| {
        let local = networks.bind(LegId(leg), None).unwrap();
        assert!(local.audio.is_some() && local.video.is_some());
        local.content.is_some()
    };
    assert!(content(&mut networks, 1));
    assert!(!content(&mut networks, 2), "six pairs, and all are taken");
    networks.release(LegId(1));
    assert!(networks.has_ports_for_content(2));
}

#[tokio::test]
async fn a_range_without_room_for_content_gives_the_leg_none() {
    let mut networks = networks(21_410, 21_415);
    let _events = share(&mut networks);
    let local = networks.bind(LEG, None).unwrap();
    assert!(local.audio.is_some() && local.video.is_some());
    assert_eq!(local.content, None);
}

#[tokio::test]
async fn the_floors_of_two_legs_reach_each_other_by_their_named_ports() {
    let (mut near, mut far) = (networks(21_420, 21_439), networks(21_440, 21_459));
    let (mut events, mut far_events) = (share(&mut near), share(&mut far));
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
    near.send_floor_control(LEG, Bytes::from_static(b"floor"));
    far.send_floor_control(LEG, Bytes::from_static(b"floor"));
    let floor = FloorNews::Received(Bytes::from_static(b"floor"));
    assert_eq!(next(&mut far, &mut far_events).await, floor);
    assert_eq!(next(&mut near, &mut events).await, floor);
}

/// What the next event means.
async fn next(networks: &mut LegNetworks, events: &mut mpsc::Receiver<FloorEvent>) -> FloorNews {
    let event = tokio::time::timeout(LIMIT, events.recv()).await;
    let event = event.expect("in time").expect("the sockets stand");
    assert_eq!(event.leg, LEG);
    networks.floor_event(event).expect("it concerns the floor")
}

/// Two rooms with a connection between their floors: the far one makes it.
struct Rooms {
    near: LegNetworks,
    far: LegNetworks,
    events: mpsc::Receiver<FloorEvent>,
    far_events: mpsc::Receiver<FloorEvent>,
    near_content: ContentPorts,
    far_content: ContentPorts,
    tls: Tls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tls {
    Off,
    On,
}

impl Rooms {
    fn new(first: u16, tls: Tls) -> Self {
        let mut near = networks(first, first + 19);
        let mut far = networks(first + 20, first + 39);
        let (events, far_events) = (share(&mut near), share(&mut far));
        let content =
            |networks: &mut LegNetworks| networks.bind(LEG, None).unwrap().content.unwrap();
        let (near_content, far_content) = (content(&mut near), content(&mut far));
        Self {
            near,
            far,
            events,
            far_events,
            near_content,
            far_content,
            tls,
        }
    }

    fn agree(&mut self, conference: u32, number: u32) -> [FloorStep; 2] {
        let BfcpTcp::Listen(port) = self.near_content.bfcp_tcp else {
            panic!("connections are to be had");
        };
        let connection = |setup, port: u16, peer: &ContentPorts| FloorConnection::Tcp {
            remote: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
            setup,
            number,
            certificate: match self.tls {
                Tls::Off => None,
                Tls::On => peer.certificate,
            },
        };
        let listening = connection(TcpSetup::Passive, 9, &self.far_content);
        let connecting = connection(TcpSetup::Active, port, &self.near_content);
        let (server, client) = (
            FloorControlRole::Server(ids(conference)),
            FloorControlRole::Client(ids(conference)),
        );
        [
            self.near.connect_floor(LEG, way(server, listening)),
            self.far.connect_floor(LEG, way(client, connecting)),
        ]
    }

    async fn near(&mut self) -> FloorNews {
        next(&mut self.near, &mut self.events).await
    }

    async fn far(&mut self) -> FloorNews {
        next(&mut self.far, &mut self.far_events).await
    }

    async fn opened(&mut self) {
        assert_eq!(self.far().await, FloorNews::Opened);
        assert_eq!(self.near().await, FloorNews::Opened);
    }

    /// Sends both ways, in pieces that need not arrive as such.
    async fn talk(&mut self) {
        for piece in [&b"flo"[..], b"or"] {
            self.near.send_floor_control(LEG, Bytes::from_static(piece));
            self.far.send_floor_control(LEG, Bytes::from_static(piece));
        }
        for _ in 0..2 {
            let mut received = Vec::new();
            while received.len() < 5 {
                let FloorNews::Received(bytes) = self.far().await else {
                    panic!("bytes are under way");
                };
                received.extend(bytes);
            }
            assert_eq!(received, b"floor");
            std::mem::swap(&mut self.near, &mut self.far);
            std::mem::swap(&mut self.events, &mut self.far_events);
        }
    }
}

#[tokio::test]
async fn the_floors_of_two_legs_reach_each_other_over_a_connection() {
    for (first, tls) in [(21_500, Tls::Off), (21_540, Tls::On)] {
        let mut rooms = Rooms::new(first, tls);
        assert_eq!(rooms.agree(1, 0), [FloorStep::Unchanged; 2], "not yet");
        rooms.opened().await;
        rooms.talk().await;
        // What was agreed once changes nothing.
        assert_eq!(rooms.agree(1, 0), [FloorStep::Unchanged; 2]);
        // Another floor over the same connection.
        assert_eq!(rooms.agree(2, 0), [FloorStep::Opened; 2]);
        rooms.talk().await;
        rooms.far.close_floor_connection(LEG);
        let closed = FloorNews::Closed(FloorChannelEnd::Closed);
        assert_eq!(rooms.near().await, closed, "{tls:?}");
        // Until another is agreed there is none.
        assert_eq!(rooms.agree(2, 0), [FloorStep::Unchanged; 2]);
        rooms
            .near
            .send_floor_control(LEG, Bytes::from_static(b"lost"));
        assert_eq!(rooms.agree(2, 1), [FloorStep::Unchanged; 2]);
        rooms.opened().await;
        rooms.talk().await;
    }
}

/// What a machine has to say, and whether the floor is granted.
fn said(client: &mut Participant) -> (Vec<Bytes>, bool) {
    let (mut sends, mut granted) = (Vec::new(), false);
    while let Some(output) = client.poll_output() {
        match output {
            ParticipantOutput::Send(bytes) => sends.push(bytes),
            ParticipantOutput::Event(event) => granted |= event == ParticipantEvent::Granted,
        }
    }
    (sends, granted)
}

#[tokio::test]
async fn a_floor_is_granted_over_tls() {
    let mut rooms = Rooms::new(21_660, Tls::On);
    rooms.agree(1, 0);
    rooms.opened().await;
    let FloorIds {
        conference,
        user,
        floor,
    } = ids(1);
    let mut server = Server::new(ServerSettings {
        conference,
        floor,
        owner: UserId(1),
        when_busy: WhenBusy::Queue,
        transaction_seed: 0,
    });
    let mut client = Participant::new(ParticipantSettings {
        conference,
        user,
        floor,
        reliability: Reliability::Reliable,
        transaction_seed: 0,
    });
    let now = Instant::now();
    server.admit(user, Reliability::Reliable);
    client.open(now);
    client.request_floor(now);
    let grant = async {
        loop {
            let (sends, granted) = said(&mut client);
            if granted {
                return;
            }
            for bytes in sends {
                rooms.far.send_floor_control(LEG, bytes);
            }
            while let Some(output) = server.poll_output() {
                if let ServerOutput::Send(_, bytes) = output {
                    rooms.near.send_floor_control(LEG, bytes);
                }
            }
            tokio::select! {
                Some(event) = rooms.events.recv() => {
                    let news = rooms.near.floor_event(event);
                    let Some(FloorNews::Received(bytes)) = news else { panic!("{news:?}") };
                    server.received(now, user, &bytes);
                }
                Some(event) = rooms.far_events.recv() => {
                    let news = rooms.far.floor_event(event);
                    let Some(FloorNews::Received(bytes)) = news else { panic!("{news:?}") };
                    client.received(now, &bytes);
                }
            }
        }
    };
    tokio::time::timeout(LIMIT, grant).await.expect("granted");
    assert_eq!(server.holder(), Some(user));
}

#[tokio::test]
async fn a_connection_that_is_replaced_says_nothing_any_more() {
    let mut rooms = Rooms::new(21_580, Tls::Off);
    rooms.agree(1, 0);
    rooms.opened().await;
    rooms.agree(1, 1);
    rooms.opened().await;
    rooms.talk().await;
    rooms.far.release(LEG);
    let closed = FloorNews::Closed(FloorChannelEnd::Closed);
    assert_eq!(
        rooms.near().await,
        closed,
        "the end of a leg closes it in order"
    );
    let old = FloorEvent {
        leg: LEG,
        what: FloorInput::Connection {
            number: 0,
            what: ConnectionInput::Ended(FloorChannelEnd::Lost),
        },
    };
    assert_eq!(rooms.near.floor_event(old), None);
}

#[tokio::test]
async fn over_a_connection_datagrams_are_no_floor_control() {
    let mut rooms = Rooms::new(21_620, Tls::Off);
    rooms.agree(1, 0);
    rooms.opened().await;
    let datagram = FloorEvent {
        leg: LEG,
        what: FloorInput::Datagram(Bytes::from_static(b"old")),
    };
    assert_eq!(rooms.near.floor_event(datagram), None);
}

#[test]
fn a_way_over_a_connection_names_who_connects_and_what_the_peer_shows() {
    let remote = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 9)));
    let certificate = Some(sip::offer_answer::Fingerprint([7; 32]));
    let agreed = way(
        FloorControlRole::Client(ids(1)),
        FloorConnection::Tcp {
            remote,
            setup: TcpSetup::Passive,
            number: 3,
            certificate,
        },
    );
    let agreed = agreed.unwrap();
    assert_eq!(agreed.remote, None, "datagrams have nowhere to go");
    let stream = StreamWay {
        number: 3,
        setup: TcpSetup::Passive,
        remote,
        certificate,
    };
    assert_eq!(agreed.stream, Some(stream));
}

#[tokio::test]
async fn a_floor_is_opened_once_and_anew_only_where_it_is_another_one() {
    let mut networks = networks(21_460, 21_479);
    let _events = share(&mut networks);
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

#[tokio::test]
async fn a_leg_that_was_offered_before_its_answer_keeps_its_ports() {
    let mut networks = networks(21_416, 21_427);
    let offered = networks.bind(LEG, None).unwrap();
    assert_eq!(networks.bind(LEG, None).unwrap(), offered);
    networks.release(LEG);
    assert_ne!(networks.bind(LEG, None).unwrap(), offered, "it rests");
}
