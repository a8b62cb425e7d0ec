//! One leg's transport between a peer on the loopback and the channels that media would hold.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use tokio::net::UdpSocket;

use room::codec::VideoFeedback;

use super::*;
use crate::media_ports::sockets::MediaPortRange;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Far above what the loopback needs: reached only when something never comes.
const PATIENCE: Duration = Duration::from_secs(20);

const RTP: &[u8] = &[0x80, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 9];
const RECEIVER_REPORT: &[u8] = &[0x80, 201, 0, 1, 0, 0, 0, 3];
/// A picture loss indication without a report (RFC 5506).
const REDUCED_SIZE: &[u8] = &[0x81, 206, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4];

/// A peer with a port for RTP and one for RTCP, and the leg that serves it.
struct Bench {
    peer_rtp: UdpSocket,
    peer_rtcp: UdpSocket,
    /// The leg's ports of audio.
    rtp: SocketAddr,
    rtcp: SocketAddr,
    transport: LegTransport,
    to_media: mpsc::Receiver<Datagram>,
    from_media: mpsc::Sender<Datagram>,
    _tasks: OwnedTasks,
}

impl Bench {
    async fn start(first_port: u16) -> Self {
        Self::bound_to(LOOPBACK, LOOPBACK, first_port).await
    }

    /// A leg whose sockets are bound to `bound`, with a peer at `peer` that reaches them there.
    async fn bound_to(bound: IpAddr, peer: IpAddr, first_port: u16) -> Self {
        let mut range = MediaPortRange::new(first_port..=first_port + 20).unwrap();
        let sockets = range.bind_leg(bound).unwrap();
        let reached = |socket: &UdpSocket| {
            let port = socket.local_addr().unwrap().port();
            SocketAddr::new(peer, port)
        };
        let rtp = reached(&sockets.audio.rtp);
        let rtcp = reached(&sockets.audio.rtcp);
        let (incoming, to_media) = mpsc::channel(16);
        let (from_media, outgoing) = mpsc::channel(16);
        let mut tasks = OwnedTasks::default();
        let datagrams = LegDatagrams {
            incoming,
            outgoing,
            received_control: mpsc::channel(1).1,
            feedback: mpsc::channel(1).0,
        };
        let counters = Arc::new(NetworkCounters::default());
        let transport =
            LegTransport::start(&mut tasks, LegId(1), sockets, datagrams, counters, None);
        Self {
            peer_rtp: UdpSocket::bind((peer, 0)).await.unwrap(),
            peer_rtcp: UdpSocket::bind((peer, 0)).await.unwrap(),
            rtp,
            rtcp,
            transport,
            to_media,
            from_media,
            _tasks: tasks,
        }
    }

    fn settle(&self, rtcp_port: RtcpPort) {
        let rtp = self.peer_rtp.local_addr().unwrap();
        let rtcp = match rtcp_port {
            RtcpPort::Own => self.peer_rtcp.local_addr().unwrap(),
            RtcpPort::Shared => rtp,
        };
        self.transport.set_route(LegRoute {
            audio: Some(MediumRoute {
                rtp,
                rtcp,
                rtcp_port,
                keying: Keying::Plain,
                ice: None,
                feedback: VideoFeedback::NONE,
                sent_again: None,
            }),
            video_target: Bitrate::kbps(1_000),
            ..LegRoute::default()
        });
    }

    /// What media gets of a datagram that the peer repeats until it comes through: the route may be
    /// settled a moment later.
    async fn received(&mut self, from: &'static str, to: SocketAddr, bytes: &[u8]) -> Datagram {
        let socket = match from {
            "rtp" => &self.peer_rtp,
            _ => &self.peer_rtcp,
        };
        let arrival = async {
            loop {
                // A closed port may be reported by an earlier send.
                let _ = socket.send_to(bytes, to).await;
                let repeat = tokio::time::timeout(Duration::from_millis(20), self.to_media.recv());
                match repeat.await {
                    Ok(Some(datagram)) if datagram.payload == bytes => return datagram,
                    Ok(Some(_)) | Err(_) => {}
                    Ok(None) => panic!("the leg has ended"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, arrival).await.unwrap()
    }

    /// From where the peer gets a control packet of media, on which of its ports.
    async fn sent_rtcp(&self) -> (&'static str, SocketAddr) {
        let datagram = Datagram {
            medium: Medium::Audio,
            channel: Channel::Rtcp,
            payload: Bytes::from_static(RECEIVER_REPORT),
        };
        self.from_media.send(datagram).await.unwrap();
        let (mut one, mut other) = ([0; 64], [0; 64]);
        let arrival = async {
            tokio::select! {
                received = self.peer_rtp.recv_from(&mut one) => ("rtp", received.unwrap().1),
                received = self.peer_rtcp.recv_from(&mut other) => ("rtcp", received.unwrap().1),
            }
        };
        tokio::time::timeout(PATIENCE, arrival).await.unwrap()
    }
}

#[tokio::test]
async fn rtcp_has_its_own_socket_where_the_port_is_not_shared() {
    let mut bench = Bench::start(23_000).await;
    bench.settle(RtcpPort::Own);
    let (rtp, rtcp) = (bench.rtp, bench.rtcp);
    let media = bench.received("rtp", rtp, RTP).await;
    assert_eq!(media.channel, Channel::Rtp);
    let report = bench.received("rtcp", rtcp, RECEIVER_REPORT).await;
    assert_eq!(report.channel, Channel::Rtcp);
    assert_eq!(bench.sent_rtcp().await, ("rtcp", rtcp));
    // What looks like RTCP is RTP here, and for media to refuse.
    let odd = bench.received("rtp", rtp, RECEIVER_REPORT).await;
    assert_eq!(odd.channel, Channel::Rtp);
}

#[tokio::test]
async fn a_shared_port_carries_both_and_the_other_one_is_free_again() {
    let mut bench = Bench::start(23_100).await;
    bench.settle(RtcpPort::Shared);
    let (rtp, rtcp) = (bench.rtp, bench.rtcp);
    for (packet, channel) in [
        (RTP, Channel::Rtp),
        (RECEIVER_REPORT, Channel::Rtcp),
        (REDUCED_SIZE, Channel::Rtcp),
    ] {
        let datagram = bench.received("rtp", rtp, packet).await;
        assert_eq!(datagram.channel, channel, "{packet:02x?}");
    }
    assert_eq!(bench.sent_rtcp().await, ("rtp", rtp));
    UdpSocket::bind(rtcp).await.unwrap();
}

#[tokio::test]
async fn a_later_answer_without_a_shared_port_opens_the_other_one_again() {
    let mut bench = Bench::start(23_200).await;
    bench.settle(RtcpPort::Shared);
    let (rtp, rtcp) = (bench.rtp, bench.rtcp);
    bench.received("rtp", rtp, RECEIVER_REPORT).await;
    bench.settle(RtcpPort::Own);
    let report = bench.received("rtcp", rtcp, RECEIVER_REPORT).await;
    assert_eq!(report.channel, Channel::Rtcp);
    assert_eq!(bench.sent_rtcp().await, ("rtcp", rtcp));
}

#[tokio::test]
async fn sockets_of_both_ip_versions_carry_the_media_of_peers_of_each() {
    let both = Ipv6Addr::UNSPECIFIED.into();
    for (first_port, peer) in [
        (23_300, LOOPBACK),
        (23_400, IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ] {
        let mut bench = Bench::bound_to(both, peer, first_port).await;
        bench.settle(RtcpPort::Own);
        let (rtp, rtcp) = (bench.rtp, bench.rtcp);
        let media = bench.received("rtp", rtp, RTP).await;
        assert_eq!(media.channel, Channel::Rtp, "{peer}");
        let report = bench.received("rtcp", rtcp, RECEIVER_REPORT).await;
        assert_eq!(report.channel, Channel::Rtcp, "{peer}");
        assert_eq!(bench.sent_rtcp().await, ("rtcp", rtcp), "{peer}");
    }
}
