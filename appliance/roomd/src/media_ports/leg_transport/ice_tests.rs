//! Two legs whose way ICE finds, on the loopback.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use webrtc::CandidateKind;
use webrtc::secure_transport::{
    CertificateFingerprint, DtlsParameters, DtlsRole, IceCredentials, IceParameters, IceRole,
    RemoteCandidate,
};

use room::codec::VideoFeedback;

use super::*;
use crate::media_ports::media_certificate::MediaCertificate;
use crate::media_ports::sockets::MediaPortRange;
use crate::media_ports::transport_events::transport_events;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Far above what the loopback needs: reached only when something never comes.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where nobody is.
const NOWHERE: SocketAddr = SocketAddr::new(LOOPBACK, 9);

/// A leg and its ends to driver and media.
struct Leg {
    name: &'static str,
    rtp: SocketAddr,
    rtcp: SocketAddr,
    transport: LegTransport,
    certificate: CertificateFingerprint,
    events: mpsc::UnboundedReceiver<TransportEvent>,
    to_media: mpsc::Receiver<Datagram>,
    from_media: mpsc::Sender<Datagram>,
    _tasks: OwnedTasks,
}

impl Leg {
    fn start(name: &'static str, first_port: u16) -> Self {
        let mut range = MediaPortRange::new(first_port..=first_port + 9).unwrap();
        let sockets = range.bind_leg(LOOPBACK).unwrap();
        let rtp = sockets.audio.rtp.local_addr().unwrap();
        let rtcp = sockets.audio.rtcp.local_addr().unwrap();
        let (incoming, to_media) = mpsc::channel(16);
        let (from_media, outgoing) = mpsc::channel(16);
        let mut tasks = OwnedTasks::default();
        let certificate = MediaCertificate::generate().unwrap().for_dtls();
        let fingerprint = certificate.fingerprint();
        let (sender, events) = transport_events();
        let connecting = Connecting {
            certificate,
            events: sender,
        };
        let transport = LegTransport::start(
            &mut tasks,
            LegId(1),
            sockets,
            LegDatagrams {
                incoming,
                outgoing,
                received_control: mpsc::channel(1).1,
                feedback: mpsc::channel(1).0,
            },
            Arc::new(NetworkCounters::default()),
            Some(connecting),
        );
        Self {
            name,
            rtp,
            rtcp,
            transport,
            certificate: fingerprint,
            events,
            to_media,
            from_media,
            _tasks: tasks,
        }
    }

    fn credentials(&self) -> IceCredentials {
        IceCredentials {
            username_fragment: self.name.to_owned(),
            password: format!("{:0>22}", self.name),
        }
    }

    /// Its line names an address where nobody is: ICE alone finds the other one.
    fn settle(&self, other: &Self, rtcp_port: RtcpPort, role: IceRole, keying: Keying) {
        let parameters = |address| IceParameters {
            local: self.credentials(),
            remote: other.credentials(),
            role,
            candidates: vec![RemoteCandidate {
                address,
                kind: CandidateKind::Host,
                priority: 1,
            }],
        };
        self.transport.set_route(LegRoute {
            audio: Some(MediumRoute {
                rtp: NOWHERE,
                rtcp: NOWHERE,
                rtcp_port,
                keying,
                feedback: VideoFeedback::NONE,
                sent_again: None,
                ice: Some(Box::new(IceRoute {
                    local_address: LOOPBACK,
                    rtp: parameters(other.rtp),
                    rtcp: parameters(other.rtcp),
                })),
            }),
            video_target: Bitrate::kbps(1_000),
            ..LegRoute::default()
        });
    }

    async fn event(&mut self) -> TransportEvent {
        let event = tokio::time::timeout(PATIENCE, self.events.recv());
        event.await.unwrap().unwrap()
    }

    async fn wait_for_path_to(&mut self, other: &Self) {
        let expected = TransportEvent::Path(PathEvent {
            leg: LegId(1),
            medium: Medium::Audio,
            username_fragment: self.name.to_owned(),
            outcome: PathOutcome::Selected(other.rtp),
        });
        assert_eq!(self.event().await, expected);
    }

    async fn send(&self, channel: Channel, payload: &'static [u8]) {
        let datagram = Datagram {
            medium: Medium::Audio,
            channel,
            payload: Bytes::from_static(payload),
        };
        self.from_media.send(datagram).await.unwrap();
    }

    /// What media gets next.
    async fn arrived(&mut self) -> Datagram {
        let arrived = tokio::time::timeout(PATIENCE, self.to_media.recv());
        arrived.await.unwrap().unwrap()
    }
}

const RTP: &[u8] = &[0x80, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 9];
const RECEIVER_REPORT: &[u8] = &[0x80, 201, 0, 1, 0, 0, 0, 3];

#[tokio::test]
async fn media_go_where_the_checks_have_led_and_not_where_the_line_says() {
    let mut one = Leg::start("one.", 23_600);
    let mut other = Leg::start("other", 23_610);
    one.settle(
        &other,
        RtcpPort::Shared,
        IceRole::Controlling,
        Keying::Plain,
    );
    other.settle(&one, RtcpPort::Shared, IceRole::Controlled, Keying::Plain);
    one.wait_for_path_to(&other).await;
    other.wait_for_path_to(&one).await;
    one.send(Channel::Rtp, RTP).await;
    other.send(Channel::Rtcp, RECEIVER_REPORT).await;
    assert_eq!(other.arrived().await.payload, RTP);
    let arrived = one.arrived().await;
    assert_eq!(
        (arrived.channel, &arrived.payload[..]),
        (Channel::Rtcp, RECEIVER_REPORT)
    );
}

#[tokio::test]
async fn rtcp_with_a_port_of_its_own_finds_its_own_way() {
    let mut one = Leg::start("one.", 23_620);
    let mut other = Leg::start("other", 23_630);
    one.settle(&other, RtcpPort::Own, IceRole::Controlling, Keying::Plain);
    other.settle(&one, RtcpPort::Own, IceRole::Controlled, Keying::Plain);
    one.wait_for_path_to(&other).await;
    // Its way is not told: what leaves before it is found is lost, and sent again.
    let arrival = async {
        loop {
            one.send(Channel::Rtcp, RECEIVER_REPORT).await;
            let arrived = tokio::time::timeout(Duration::from_millis(50), other.to_media.recv());
            if let Ok(Some(arrived)) = arrived.await {
                return arrived;
            }
        }
    };
    let arrived = tokio::time::timeout(PATIENCE, arrival).await.unwrap();
    assert_eq!(arrived.channel, Channel::Rtcp);
}

#[tokio::test]
async fn a_plain_stream_takes_nothing_from_strangers() {
    let mut one = Leg::start("one.", 23_640);
    let mut other = Leg::start("other", 23_650);
    let stranger = tokio::net::UdpSocket::bind((LOOPBACK, 0)).await.unwrap();
    one.settle(
        &other,
        RtcpPort::Shared,
        IceRole::Controlling,
        Keying::Plain,
    );
    other.settle(&one, RtcpPort::Shared, IceRole::Controlled, Keying::Plain);
    one.wait_for_path_to(&other).await;
    other.wait_for_path_to(&one).await;
    stranger
        .send_to(&[0x80, 97, 6, 6, 6], other.rtp)
        .await
        .unwrap();
    one.send(Channel::Rtp, RTP).await;
    assert_eq!(other.arrived().await.payload, RTP);
}

#[tokio::test]
async fn the_handshake_follows_the_way() {
    for (ours, theirs) in [
        (DtlsRole::Active, DtlsRole::Passive),
        (DtlsRole::Passive, DtlsRole::Active),
    ] {
        let mut one = Leg::start("one.", 23_660);
        let mut other = Leg::start("other", 23_670);
        let keying = |role, peer: &Leg| {
            Keying::DtlsSrtp(DtlsParameters {
                role,
                peer_certificate: peer.certificate,
            })
        };
        let keying = [keying(ours, &other), keying(theirs, &one)];
        one.settle(
            &other,
            RtcpPort::Shared,
            IceRole::Controlling,
            keying[0].clone(),
        );
        other.settle(
            &one,
            RtcpPort::Shared,
            IceRole::Controlled,
            keying[1].clone(),
        );
        // Who is selected by the other one may have keys before it knows the way.
        for leg in [&mut one, &mut other] {
            let (mut has_keys, mut has_path) = (false, false);
            while !(has_keys && has_path) {
                match leg.event().await {
                    TransportEvent::Handshake(event) => {
                        assert!(matches!(event.outcome, HandshakeOutcome::Keys(_)));
                        has_keys = true;
                    }
                    TransportEvent::Path(event) => {
                        assert!(matches!(event.outcome, PathOutcome::Selected(_)));
                        has_path = true;
                    }
                    TransportEvent::Congestion(event) => panic!("nobody reports: {event:?}"),
                }
            }
        }
    }
}
