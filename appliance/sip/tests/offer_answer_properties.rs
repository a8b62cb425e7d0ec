//! Two ends with random capabilities and random holds always agree; random input never panics.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use proptest::sample::subsequence;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use room::codec::{
    AudioCodec, Direction, PacketizationMode, ProfileLevelId, RtcpMode, RtcpPort, RtcpSize,
    SrtpKeys, SrtpSuite, VideoFeedback,
};
use room::media_plan::VideoStream;
use room::units::Bitrate;
use sip::offer_answer::{
    AgreedSecurity, BfcpTcp, BfcpTransport, CallMedia, Capabilities, ContentPorts, ContentSharing,
    DtlsSrtp, Fingerprint, FloorConnection, FloorControlRole, H264Capabilities, IceUse,
    LineRefusal, LocalMedia, LocalPort, MediaKeys, MediaSecurity, PeerHold, RemotePort, SdpError,
    Session,
};

fn audio_codecs() -> impl Strategy<Value = Vec<AudioCodec>> {
    let all = vec![
        AudioCodec::Opus,
        AudioCodec::G722,
        AudioCodec::Pcmu,
        AudioCodec::Pcma,
    ];
    subsequence(all, 1..=4).prop_shuffle()
}

fn video() -> impl Strategy<Value = H264Capabilities> {
    let modes = vec![
        PacketizationMode::NonInterleaved,
        PacketizationMode::SingleNalUnit,
    ];
    let levels = prop::sample::select(vec![10_u8, 13, 20, 31, 40, 51]);
    (
        subsequence(modes, 1..=2).prop_shuffle(),
        levels,
        64_u64..20_000,
    )
        .prop_map(|(packetization_modes, level_idc, kbps)| H264Capabilities {
            profile_level: ProfileLevelId {
                level_idc,
                ..ProfileLevelId::CONSTRAINED_BASELINE_31
            },
            packetization_modes,
            max_bitrate: Bitrate::kbps(kbps),
            ..H264Capabilities::default()
        })
}

fn capabilities() -> impl Strategy<Value = Capabilities> {
    let security = prop::sample::select(vec![
        MediaSecurity::SrtpRequired,
        MediaSecurity::PlainAllowed,
    ]);
    let content = prop::sample::select(vec![ContentSharing::Off, ContentSharing::On]);
    let floor = prop::sample::select(vec![
        BfcpTransport::Udp,
        BfcpTransport::Tcp,
        BfcpTransport::Tls,
    ]);
    let keys = prop::sample::select(vec![MediaKeys::Sdes, MediaKeys::DtlsSrtp]);
    let certificate = any::<[u8; 32]>().prop_map(|hash| Some(Fingerprint(hash)));
    let ice = prop::sample::select(vec![IceUse::Off, IceUse::Answered, IceUse::Offered]);
    let parts = (
        audio_codecs(),
        video(),
        security,
        (keys, certificate, ice),
        content,
        floor,
    );
    parts.prop_map(
        |(audio, video, security, (media_keys, certificate, ice), content, floor_transport)| {
            Capabilities {
                audio,
                video,
                security,
                media_keys,
                certificate,
                ice,
                content,
                floor_transport,
            }
        },
    )
}

fn port() -> impl Strategy<Value = LocalPort> {
    (1_u16.., 1_u16..).prop_map(|(rtp, rtcp)| LocalPort { rtp, rtcp })
}

fn local_media(address: [u8; 4]) -> impl Strategy<Value = LocalMedia> {
    let address = IpAddr::from(address);
    let content = (port(), 1_u16..).prop_map(|(slides, bfcp_udp)| ContentPorts {
        slides,
        bfcp_udp,
        bfcp_tcp: BfcpTcp::Connect,
        certificate: None,
    });
    let maybe_video = prop::option::weighted(0.8, port());
    let maybe_content = prop::option::weighted(0.8, content);
    (port(), maybe_video, maybe_content).prop_map(move |(audio, video, content)| LocalMedia {
        address,
        audio: Some(audio),
        video,
        content,
    })
}

/// What happens after the first agreement.
#[derive(Clone, Debug)]
enum Step {
    /// One end offers a direction, the other answers.
    Offer(End, Direction),
    /// The offer gets lost or is refused, and is withdrawn.
    Withdrawn(End, Direction),
    /// Both offer at once: 491 both ways, both withdraw.
    Glare(Direction, Direction),
}

#[derive(Clone, Copy, Debug)]
enum End {
    Caller,
    Callee,
}

fn direction() -> impl Strategy<Value = Direction> {
    prop::sample::select(vec![
        Direction::SendRecv,
        Direction::SendOnly,
        Direction::RecvOnly,
        Direction::Inactive,
    ])
}

fn step() -> impl Strategy<Value = Step> {
    let end = || prop::sample::select(vec![End::Caller, End::Callee]);
    prop_oneof![
        4 => (end(), direction()).prop_map(|(end, direction)| Step::Offer(end, direction)),
        1 => (end(), direction()).prop_map(|(end, direction)| Step::Withdrawn(end, direction)),
        1 => (direction(), direction()).prop_map(|(ours, theirs)| Step::Glare(ours, theirs)),
    ]
}

fn mirrored(ours: Option<&SrtpKeys>, theirs: Option<&SrtpKeys>) -> bool {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => {
            ours.local == theirs.remote && ours.remote == theirs.local && ours.local != ours.remote
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// What two of ours agree on.
const SHARED: RtcpMode = RtcpMode {
    port: RtcpPort::Shared,
    size: RtcpSize::Reduced,
};

/// RTCP goes where RTP goes.
fn remote_port(address: IpAddr, port: LocalPort) -> Option<RemotePort> {
    let at = |port| SocketAddr::new(address, port);
    Some(RemotePort {
        rtp: at(port.rtp),
        rtcp: at(port.rtp),
    })
}

/// Everything that `one` must know as the mirror image of `other`. Called for both directions.
fn check_mirror(one: &Session, other: &Session, other_local: &LocalMedia) {
    let (ours, theirs) = (one.media().unwrap(), other.media().unwrap());
    assert_eq!(ours.streams.audio.is_some(), theirs.streams.audio.is_some());
    assert_eq!(ours.streams.video.is_some(), theirs.streams.video.is_some());
    assert_eq!(ours.security, theirs.security);
    if let (Some(ours), Some(theirs)) = (&ours.streams.audio, &theirs.streams.audio) {
        assert_eq!(ours.codec, theirs.codec);
        assert_eq!(ours.send_payload_type, theirs.receive_payload_type);
        assert_eq!(ours.send_telephone_event, theirs.receive_telephone_event);
        assert!(ours.send_telephone_event.is_some());
        assert_eq!(ours.direction, theirs.direction.reversed());
        assert_eq!(ours.rtcp, SHARED);
        assert!(mirrored(ours.srtp.as_ref(), theirs.srtp.as_ref()));
        let suite = |keys: &SrtpKeys| keys.local.suite() == SrtpSuite::AeadAes256Gcm;
        assert!(ours.srtp.as_ref().is_none_or(suite));
    }
    if let (Some(ours), Some(theirs)) = (&ours.streams.video, &theirs.streams.video) {
        assert_eq!(ours.send_packetization_mode, theirs.send_packetization_mode);
        assert_eq!(ours.send_payload_type, theirs.receive_payload_type);
        assert_eq!(ours.direction, theirs.direction.reversed());
        assert_eq!(ours.feedback, VideoFeedback::ALL);
        let numbers = |stream: &VideoStream| stream.rtx.map(|rtx| (rtx.send, rtx.receive));
        assert!(ours.rtx.is_some());
        assert_eq!(
            numbers(ours),
            numbers(theirs).map(|(send, receive)| (receive, send))
        );
        assert_eq!(ours.rtcp, SHARED);
        assert!(mirrored(ours.srtp.as_ref(), theirs.srtp.as_ref()));
    }
    check_handshakes(ours.dtls.audio, theirs.dtls.audio);
    check_handshakes(ours.dtls.video, theirs.dtls.video);
    let address = other_local.address;
    let audio = ours.streams.audio.as_ref().and(other_local.audio);
    let video = ours.streams.video.as_ref().and(other_local.video);
    assert_eq!(
        ours.remote.audio,
        audio.and_then(|port| remote_port(address, port))
    );
    assert_eq!(
        ours.remote.video,
        video.and_then(|port| remote_port(address, port))
    );
    check_mirrored_content(ours, theirs, other_local);
    let held = if other.direction().receives() {
        PeerHold::Off
    } else {
        PeerHold::On
    };
    assert_eq!(ours.peer_hold, held);
}

/// One end begins, and the other waits for it.
fn check_handshakes(ours: Option<DtlsSrtp>, theirs: Option<DtlsSrtp>) {
    assert_eq!(ours.is_some(), theirs.is_some());
    if let (Some(ours), Some(theirs)) = (ours, theirs) {
        assert_ne!(ours.setup, theirs.setup);
    }
}

fn check_mirrored_content(ours: &CallMedia, theirs: &CallMedia, other_local: &LocalMedia) {
    let ports = other_local.content;
    assert_eq!(ours.content.is_some(), theirs.content.is_some());
    if let (Some(ours), Some(theirs)) = (&ours.content, &theirs.content) {
        assert_eq!(
            ours.stream.direction,
            theirs.stream.direction.reversed(),
            "slides are held with the call"
        );
        assert!(mirrored(
            ours.stream.srtp.as_ref(),
            theirs.stream.srtp.as_ref()
        ));
        check_handshakes(ours.dtls, theirs.dtls);
        let port = ports.unwrap().slides;
        assert_eq!(ours.remote, remote_port(other_local.address, port));
    }
    // Two of ours always find their parts; without slides there are none.
    assert_eq!(ours.floor_control().is_some(), ours.content.is_some());
    if let (Some(ours), Some(theirs)) = (ours.floor_control(), theirs.floor_control()) {
        let parts = (ours.role, theirs.role);
        assert!(
            matches!(
                parts,
                (FloorControlRole::Client(one), FloorControlRole::Server(other))
                | (FloorControlRole::Server(one), FloorControlRole::Client(other)) if one == other
            ),
            "{parts:?}"
        );
        let remote = Some(SocketAddr::new(
            other_local.address,
            ports.unwrap().bfcp_udp,
        ));
        assert_eq!(ours.connection, FloorConnection::Udp { remote });
    }
}

fn check_both(caller: &Party, callee: &Party) {
    check_mirror(&caller.session, &callee.session, &callee.local);
    check_mirror(&callee.session, &caller.session, &caller.local);
}

struct Party {
    session: Session,
    local: LocalMedia,
    rng: ChaCha20Rng,
}

fn exchange(offerer: &mut Party, answerer: &mut Party, direction: Direction) {
    let offer = offerer.session.reoffer(direction).unwrap();
    let (answer, _) = answerer
        .session
        .answer_reoffer(&mut answerer.rng, &offer)
        .unwrap();
    offerer.session.accept_answer(&answer).unwrap();
}

fn withdraw(offerer: &mut Party, direction: Direction) {
    let before = offerer.session.media().cloned();
    offerer.session.reoffer(direction).unwrap();
    offerer.session.withdraw_offer();
    assert_eq!(offerer.session.media(), before.as_ref());
}

fn glare(caller: &mut Party, callee: &mut Party, ours: Direction, theirs: Direction) {
    let offers = (
        caller.session.reoffer(ours).unwrap(),
        callee.session.reoffer(theirs).unwrap(),
    );
    let pending = Err(SdpError::OfferPending);
    assert_eq!(
        caller.session.answer_reoffer(&mut caller.rng, &offers.1),
        pending
    );
    assert_eq!(
        callee.session.answer_reoffer(&mut callee.rng, &offers.0),
        pending
    );
    caller.session.withdraw_offer();
    callee.session.withdraw_offer();
}

/// Whether two ends with these capabilities have a call at all.
fn expected_refusal(caller: &Capabilities, callee: &Capabilities, video: bool) -> bool {
    let audio = caller
        .audio
        .iter()
        .any(|codec| callee.audio.contains(codec));
    let modes = &callee.video.packetization_modes;
    let video = video
        && caller
            .video
            .packetization_modes
            .iter()
            .any(|mode| modes.contains(mode));
    !audio && !video
}

/// The first offer and answer, or `None` where the two have nothing in common.
fn establish(
    seed: [u8; 32],
    (caller, caller_local): (&Capabilities, LocalMedia),
    (callee, callee_local): (&Capabilities, LocalMedia),
) -> Option<(Party, Party, CallMedia)> {
    let mut rng = ChaCha20Rng::from_seed(seed);
    let mut other_seed = seed;
    other_seed[0] ^= 1;
    let mut other_rng = ChaCha20Rng::from_seed(other_seed);
    let (mut session, offer) = Session::offer(caller, &caller_local, &mut rng);
    let both_video = caller_local.video.is_some() && callee_local.video.is_some();
    let (theirs, answer, _) = match Session::answer(callee, &callee_local, &mut other_rng, &offer) {
        Ok(answered) => answered,
        Err(error) => {
            let refused = SdpError::NothingAcceptable(LineRefusal::NoCommonCodec);
            assert_eq!(error, refused);
            assert!(expected_refusal(caller, callee, both_video));
            return None;
        }
    };
    let media = session.accept_answer(&answer).unwrap();
    assert!(!expected_refusal(caller, callee, both_video));
    let caller = Party {
        session,
        local: caller_local,
        rng,
    };
    let callee = Party {
        session: theirs,
        local: callee_local,
        rng: other_rng,
    };
    Some((caller, callee, media))
}

proptest! {
    #[test]
    fn both_ends_agree_after_any_sequence_of_offers(
        seed: [u8; 32],
        caller in (capabilities(), local_media([192, 0, 2, 1])),
        callee in (capabilities(), local_media([192, 0, 2, 2])),
        steps in prop::collection::vec(step(), 0..12),
    ) {
        let established = establish(seed, (&caller.0, caller.1), (&callee.0, callee.1));
        let Some((mut caller, mut callee, media)) = established else {
            return Ok(());
        };
        // Keys are in every offer of ours, and every answerer takes them.
        prop_assert_eq!(media.security, AgreedSecurity::Secured);
        check_both(&caller, &callee);
        for step in steps {
            match step {
                Step::Offer(End::Caller, direction) => {
                    exchange(&mut caller, &mut callee, direction);
                }
                Step::Offer(End::Callee, direction) => {
                    exchange(&mut callee, &mut caller, direction);
                }
                Step::Withdrawn(End::Caller, direction) => withdraw(&mut caller, direction),
                Step::Withdrawn(End::Callee, direction) => withdraw(&mut callee, direction),
                Step::Glare(ours, theirs) => glare(&mut caller, &mut callee, ours, theirs),
            }
            check_both(&caller, &callee);
        }
    }

    #[test]
    fn a_damaged_description_never_panics_and_a_usable_one_gets_a_readable_answer(
        seed: [u8; 32],
        capabilities in capabilities(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 0..8),
    ) {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let ports = LocalPort { rtp: 4_000, rtcp: 4_002 };
        let local = LocalMedia {
            address: [192, 0, 2, 1].into(),
            audio: Some(ports),
            video: Some(ports),
            content: None,
        };
        let (offering, offer) = Session::offer(&capabilities, &local, &mut rng);
        let mut damaged = offer.to_vec();
        for (index, byte, remove) in damage {
            if damaged.is_empty() {
                break;
            }
            let index = index.index(damaged.len());
            if remove {
                damaged.truncate(index);
            } else {
                damaged[index] = byte;
            }
        }
        let answered = Session::answer(&capabilities, &local, &mut rng, &damaged);
        if let Ok((mut session, answer, _)) = answered {
            let read = sdp_types::Session::parse(&answer).unwrap();
            let offered = sdp_types::Session::parse(&damaged).unwrap();
            prop_assert_eq!(read.medias.len(), offered.medias.len());
            let _ = session.answer_reoffer(&mut rng, &damaged);
        }
        let _ = offering.clone().accept_answer(&damaged);
    }

    #[test]
    fn lines_put_together_at_random_never_panic(
        seed: [u8; 32],
        lines in prop::collection::vec(
            prop_oneof![
                "m=application [0-9]{1,5} (UDP|TCP|TCP/TLS|x)/BFCP \\*",
                "a=(floorctrl:(c-only|s-only|c-s| ){0,3}|setup:(active|passive|actpass|x))",
                "a=(confid|userid|floorid|label|bfcpver):[0-9]{1,11}( mstrm:[0-9])?",
                "a=(content:(slides|main|alt)|fingerprint:sha-256 ([0-9A-F]{2}:){0,32}[0-9A-F]{2})",
                "m=(audio|video|x) [0-9]{1,5}(/[0-9])? (RTP/S?AVPF?|x) ([0-9]{1,3} ){0,5}",
                "a=(rtpmap|fmtp|rtcp-fb|crypto|rtcp|content):[0-9*]{1,3} \\PC{0,40}",
                "a=rtpmap:(96|97|98) (opus/48000/2|H264/90000|rtx/90000|telephone-event/[0-9]{0,12})",
                "a=fmtp:(97|98) (profile-level-id=[0-9a-f]{4,7};?|max-fs=[0-9]{0,12};?){0,3}",
                "a=(fmtp:(96|97|98) (rtx-time=[0-9]{0,9};)?apt=[0-9]{0,4}|rtcp-fb:(97|\\*) nack( [a-z]{0,4})?)",
                "a=(sendonly|recvonly|inactive|sendrecv)",
                "b=(AS|TIAS|CT):[0-9]{1,20}",
                "a=ice-(ufrag|pwd):[a-z0-9]{0,30}",
                "a=ice-(lite|mismatch)",
                "a=candidate:1 [12] (UDP|TCP) [0-9]{1,11} 192.0.2.1 [0-9]{1,6} typ (host|relay)",
                "c=IN IP[46] [0-9a-f.:]{1,20}(/[0-9]{1,4})?",
                "[a-z]=\\PC{0,30}",
            ],
            0..40,
        ),
    ) {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let capabilities = Capabilities {
            audio: vec![AudioCodec::Opus, AudioCodec::Pcmu],
            video: H264Capabilities::default(),
            security: MediaSecurity::PlainAllowed,
            media_keys: MediaKeys::default(),
            certificate: None,
            ice: IceUse::default(),
            content: ContentSharing::On,
            floor_transport: BfcpTransport::default(),
        };
        let ports = LocalPort { rtp: 4_000, rtcp: 4_001 };
        let local = LocalMedia {
            address: [192, 0, 2, 1].into(),
            audio: Some(ports),
            video: Some(ports),
            content: Some(ContentPorts { slides: ports, bfcp_udp: 4_006, bfcp_tcp: BfcpTcp::Listen(4_008), certificate: None }),
        };
        let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\n";
        let text = format!("{head}{}\r\n", lines.join("\r\n"));
        if let Ok((_, answer, _)) =
            Session::answer(&capabilities, &local, &mut rng, text.as_bytes())
        {
            prop_assert!(sdp_types::Session::parse(&answer).is_ok());
        }
        let (mut offering, _) = Session::offer(&capabilities, &local, &mut rng);
        let _ = offering.accept_answer(text.as_bytes());
    }
}
