//! Two legs whose keys a DTLS handshake yields, on the loopback.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use room::codec::SrtpKeys;
use webrtc::secure_transport::{CertificateFingerprint, DtlsFailure, DtlsParameters, DtlsRole};
use webrtc_srtp::context::Context;
use webrtc_srtp::protection_profile::ProtectionProfile;

use room::codec::VideoFeedback;

use super::*;
use crate::media_ports::media_certificate::MediaCertificate;
use crate::media_ports::sockets::MediaPortRange;
use crate::media_ports::transport_events::transport_events;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Far above what the loopback needs: reached only when something never comes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A leg and its ends to driver and media.
struct Leg {
    rtp: SocketAddr,
    transport: LegTransport,
    certificate: CertificateFingerprint,
    events: mpsc::UnboundedReceiver<TransportEvent>,
    to_media: mpsc::Receiver<Datagram>,
    from_media: mpsc::Sender<Datagram>,
    counters: Arc<NetworkCounters>,
    _tasks: OwnedTasks,
}

impl Leg {
    fn start(first_port: u16) -> Self {
        let mut range = MediaPortRange::new(first_port..=first_port + 9).unwrap();
        let sockets = range.bind_leg(LOOPBACK).unwrap();
        let rtp = sockets.audio.rtp.local_addr().unwrap();
        let (incoming, to_media) = mpsc::channel(16);
        let (from_media, outgoing) = mpsc::channel(16);
        let mut tasks = OwnedTasks::default();
        let counters = Arc::new(NetworkCounters::default());
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
            Arc::clone(&counters),
            Some(connecting),
        );
        Self {
            rtp,
            transport,
            certificate: fingerprint,
            events,
            to_media,
            from_media,
            counters,
            _tasks: tasks,
        }
    }

    fn settle(&self, peer: SocketAddr, role: DtlsRole, peer_certificate: CertificateFingerprint) {
        self.transport.set_route(LegRoute {
            audio: Some(MediumRoute {
                rtp: peer,
                rtcp: peer,
                rtcp_port: RtcpPort::Shared,
                keying: Keying::DtlsSrtp(DtlsParameters {
                    role,
                    peer_certificate,
                }),
                ice: None,
                feedback: VideoFeedback::NONE,
                sent_again: None,
            }),
            video_target: Bitrate::kbps(1_000),
            ..LegRoute::default()
        });
    }

    async fn outcome(&mut self) -> HandshakeOutcome {
        let event = tokio::time::timeout(PATIENCE, self.events.recv());
        let TransportEvent::Handshake(event) = event.await.unwrap().unwrap() else {
            panic!("there is no ICE");
        };
        assert_eq!((event.leg, event.medium), (LegId(1), Medium::Audio));
        event.outcome
    }

    async fn keys(&mut self) -> SrtpKeys {
        match self.outcome().await {
            HandshakeOutcome::Keys(keys) => keys,
            HandshakeOutcome::Failed(failure) => panic!("{failure}"),
        }
    }

    async fn send(&self, payload: impl Into<Bytes>) {
        let datagram = Datagram {
            medium: Medium::Audio,
            channel: Channel::Rtp,
            payload: payload.into(),
        };
        self.from_media.send(datagram).await.unwrap();
    }

    /// What media gets next.
    async fn arrived(&mut self) -> Bytes {
        let arrived = tokio::time::timeout(PATIENCE, self.to_media.recv());
        arrived.await.unwrap().unwrap().payload
    }
}

fn pair(first_port: u16) -> (Leg, Leg) {
    (Leg::start(first_port), Leg::start(first_port + 10))
}

fn rtp(sequence: u8) -> [u8; 13] {
    [0x80, 96, 0, sequence, 0, 0, 0, 2, 0, 0, 0, 3, 9]
}

/// Media of a leg with these keys, by an implementation of others.
fn protecting(keys: &SrtpKeys) -> Context {
    let (key, salt) = (keys.local.master_key(), keys.local.master_salt());
    Context::new(key, salt, ProtectionProfile::AeadAes256Gcm, None, None).unwrap()
}

#[tokio::test]
async fn media_flows_with_the_keys_of_the_handshake_and_not_before() {
    let (mut one, mut other) = pair(23_500);
    one.settle(other.rtp, DtlsRole::Passive, other.certificate);
    // There are no keys yet: it does not leave.
    one.send(Bytes::copy_from_slice(&rtp(1))).await;
    other.settle(one.rtp, DtlsRole::Active, one.certificate);
    let (ours, theirs) = (one.keys().await, other.keys().await);
    assert_eq!((&ours.local, &ours.remote), (&theirs.remote, &theirs.local));
    let protected = protecting(&ours).encrypt_rtp(&rtp(2)).unwrap();
    one.send(protected.clone()).await;
    assert_eq!(other.arrived().await, protected);
    let sent = one.counters.datagrams.sent.load(Ordering::Relaxed);
    assert_eq!(sent, 1, "what media sent before the keys has not left");
}

#[tokio::test]
async fn a_hold_without_address_keeps_the_keys_for_what_takes_the_stream_up_again() {
    let (mut one, mut other) = pair(23_520);
    one.settle(other.rtp, DtlsRole::Passive, other.certificate);
    other.settle(one.rtp, DtlsRole::Active, one.certificate);
    let (ours, _) = (one.keys().await, other.keys().await);
    let mut protecting = protecting(&ours);
    let before = protecting.encrypt_rtp(&rtp(1)).unwrap();
    one.send(before.clone()).await;
    assert_eq!(other.arrived().await, before);
    other.transport.set_route(LegRoute::default());
    other.settle(one.rtp, DtlsRole::Active, one.certificate);
    // What comes before the route is settled again is dropped: it is repeated with new numbers.
    let arrival = async {
        for sequence in 2..=u8::MAX {
            one.send(protecting.encrypt_rtp(&rtp(sequence)).unwrap())
                .await;
            let arrived = tokio::time::timeout(Duration::from_millis(50), other.to_media.recv());
            if let Ok(Some(_)) = arrived.await {
                return;
            }
        }
        panic!("nothing arrives");
    };
    tokio::time::timeout(PATIENCE, arrival).await.unwrap();
    assert!(one.events.try_recv().is_err() && other.events.try_recv().is_err());
}

#[tokio::test]
async fn another_certificate_is_told_to_the_driver() {
    let (mut one, other) = pair(23_540);
    one.settle(other.rtp, DtlsRole::Passive, one.certificate);
    other.settle(one.rtp, DtlsRole::Active, one.certificate);
    let expected = HandshakeOutcome::Failed(DtlsFailure::OtherCertificate);
    assert_eq!(one.outcome().await, expected);
}
