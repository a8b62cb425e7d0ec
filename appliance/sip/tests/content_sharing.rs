//! Slides, floor control and far-end camera control in offers as room systems write them, and what
//! we answer. The texts are ours; the habits are those of the systems named.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::net::IpAddr;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use room::codec::{AudioCodec, Direction};
use sip::bfcp::{ConferenceId, FloorId, UserId};
use sip::offer_answer::{
    BfcpTcp, BfcpTransport, CallMedia, Capabilities, ContentPorts, ContentSharing, Fingerprint,
    FirstChoice, FloorConnection, FloorControlRole, FloorIds, H264Capabilities, IceUse,
    LineRefusal, LocalMedia, LocalPort, MediaKeys, MediaSecurity, SdpError, Session, TcpSetup,
};

/// 30 counted bytes: no secret.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";

fn capabilities(content: ContentSharing) -> Capabilities {
    Capabilities {
        audio: vec![AudioCodec::G722, AudioCodec::Pcma],
        video: H264Capabilities::default(),
        security: MediaSecurity::PlainAllowed,
        media_keys: MediaKeys::default(),
        certificate: None,
        ice: IceUse::default(),
        content,
        floor_transport: BfcpTransport::Udp,
    }
}

fn port(rtp: u16) -> LocalPort {
    LocalPort { rtp, rtcp: rtp + 1 }
}

fn local(host: u8) -> LocalMedia {
    LocalMedia {
        address: IpAddr::from([192, 0, 2, host]),
        audio: Some(port(40_000)),
        video: Some(port(40_002)),
        content: Some(ContentPorts {
            slides: port(40_004),
            bfcp_udp: 40_006,
            bfcp_tcp: BfcpTcp::Listen(40_008),
            certificate: Some(Fingerprint([0xab; 32])),
        }),
    }
}

fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

fn sdp(media: &str) -> Vec<u8> {
    let text = format!(
        "v=0\no=- 42 7 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nb=AS:4096\nt=0 0\n{media}"
    );
    let text = text.replace("KEY", KEY);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .flat_map(|line| [line, "\r\n"])
        .collect::<String>()
        .into_bytes()
}

fn answer(content: ContentSharing, offer: &[u8]) -> (String, CallMedia) {
    let (_, body, media) =
        Session::answer(&capabilities(content), &local(10), &mut rng(1), offer).unwrap();
    (String::from_utf8(body.to_vec()).unwrap(), media)
}

/// The `m=` lines of a description, each with what follows it.
fn blocks(description: &str) -> Vec<String> {
    let blocks = description.split("m=").skip(1);
    blocks.map(|block| format!("m={block}")).collect()
}

fn media_lines(description: &str) -> Vec<&str> {
    let lines = description.lines();
    lines.filter(|line| line.starts_with("m=")).collect()
}

fn ids(conference: u32, user: u16, floor: u16) -> FloorIds {
    FloorIds {
        conference: ConferenceId(conference),
        user: UserId(user),
        floor: FloorId(floor),
    }
}

fn udp(port: u16) -> FloorConnection {
    FloorConnection::Udp {
        remote: Some(([192, 0, 2, 1], port).into()),
    }
}

/// Either part in floor control by the old word for it, content named, far-end camera control at the end.
const CISCO: &str = "
    m=audio 16500 RTP/AVP 9 8 101
    a=rtpmap:101 telephone-event/8000
    a=sendrecv
    m=video 16502 RTP/AVP 97
    b=TIAS:4000000
    a=label:11
    a=rtpmap:97 H264/90000
    a=fmtp:97 profile-level-id=42801f;packetization-mode=1;max-mbps=108000
    a=answer:full
    a=content:main
    a=rtcp-fb:* nack pli
    m=application 16508 UDP/BFCP *
    a=confid:1
    a=userid:15
    a=floorid:2 mstrm:12
    a=floorctrl:c-s
    m=video 16504 RTP/AVP 97
    b=TIAS:2000000
    a=label:12
    a=rtpmap:97 H264/90000
    a=fmtp:97 profile-level-id=42801f;packetization-mode=1
    a=content:slides
    a=sendrecv
    m=application 16506 RTP/AVP 107
    a=rtpmap:107 H224/4800
    a=sendrecv";

#[test]
fn an_offer_in_the_style_of_cisco_lets_us_be_the_client_of_its_server() {
    let (answer, media) = answer(ContentSharing::On, &sdp(CISCO));
    assert_eq!(
        media_lines(&answer),
        [
            "m=audio 40000 RTP/AVP 9 101",
            "m=video 40002 RTP/AVP 97",
            "m=application 40006 UDP/BFCP *",
            "m=video 40004 RTP/AVP 97",
            "m=application 0 RTP/AVP 107",
        ]
    );
    let slides = media.content.clone().unwrap();
    assert_eq!(slides.stream.direction, Direction::SendRecv);
    assert_eq!(slides.stream.max_bitrate.unwrap().as_kbps(), 2_000);
    let remote = slides.remote.unwrap();
    assert_eq!(remote.rtp.to_string(), "192.0.2.1:16504");
    let control = media.floor_control().unwrap();
    assert_eq!(control.connection, udp(16_508));
    assert_eq!(control.role, FloorControlRole::Client(ids(1, 15, 2)));
    let blocks = blocks(&answer);
    let [_, main, control, slides, camera] = &blocks[..] else {
        panic!("{answer}");
    };
    assert!(control.contains("a=floorctrl:c-only\r\n"), "{control}");
    assert!(!control.contains("a=confid"), "{control}");
    assert!(slides.contains("a=content:slides\r\na=label:3\r\n"));
    assert!(!main.contains("a=content") && !main.contains("a=label"));
    assert_eq!(camera, "m=application 0 RTP/AVP 107\r\n");
    // The camera line changes nothing else.
    assert!(media.streams.audio.is_some() && media.streams.video.is_some());
}

#[test]
fn an_offer_in_the_style_of_polycom_lets_us_be_the_client_of_its_server() {
    // Both roles and setup for UDP, which has none; H.224 before the content lines.
    let offer = sdp("
        m=audio 49220 RTP/SAVP 9 8 127
        a=rtpmap:127 telephone-event/8000
        a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY
        m=video 49222 RTP/SAVP 109
        a=rtpmap:109 H264/90000
        a=fmtp:109 profile-level-id=42801f; packetization-mode=1
        a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY
        m=application 49224 RTP/SAVP 100
        a=rtpmap:100 H224/4800
        a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY
        m=video 49226 RTP/SAVP 109
        a=rtpmap:109 H264/90000
        a=fmtp:109 profile-level-id=42801f; packetization-mode=1
        a=content:slides
        a=label:3
        a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY
        m=application 49228 UDP/BFCP *
        a=setup:actpass
        a=connection:new
        a=floorctrl:c-only s-only
        a=confid:4294967295
        a=userid:65535
        a=floorid:1 mstrm:3");
    let (answer, media) = answer(ContentSharing::On, &offer);
    assert_eq!(
        media_lines(&answer),
        [
            "m=audio 40000 RTP/SAVP 9 127",
            "m=video 40002 RTP/SAVP 109",
            "m=application 0 RTP/SAVP 100",
            "m=video 40004 RTP/SAVP 109",
            "m=application 40006 UDP/BFCP *",
        ]
    );
    let control = media.floor_control().unwrap();
    let given = ids(u32::MAX, u16::MAX, 1);
    assert_eq!(control.role, FloorControlRole::Client(given));
    let blocks = blocks(&answer);
    assert_eq!(
        blocks[4], "m=application 40006 UDP/BFCP *\r\na=floorctrl:c-only\r\na=bfcpver:2\r\n",
        "a client gives out no numbers, and UDP has no setup"
    );
    let slides = media.content.clone().unwrap();
    let video = media.streams.video.unwrap();
    let keys = slides.stream.srtp.unwrap();
    assert_ne!(keys.local, video.srtp.unwrap().local, "a key for each line");
}

#[test]
fn an_offer_in_the_style_of_huawei_without_content_names_shows_slides_by_its_floor() {
    let offer = sdp("
        m=audio 10002 RTP/AVP 9 8
        m=video 10004 RTP/AVP 106
        a=rtpmap:106 H264/90000
        a=fmtp:106 profile-level-id=42801f;packetization-mode=1
        a=label:1
        m=video 10006 RTP/AVP 106
        a=rtpmap:106 H264/90000
        a=fmtp:106 profile-level-id=42801f;packetization-mode=1
        a=label:2
        m=application 10010 TCP/BFCP *
        a=setup:passive
        a=connection:new
        a=floorctrl:s-only
        a=confid:700
        a=userid:3
        a=floorid:2 m-stream:2
        m=application 10012 UDP/BFCP *
        a=floorctrl:s-only
        a=confid:700
        a=userid:3
        a=floorid:2 m-stream:2");
    let (answer, media) = answer(ContentSharing::On, &offer);
    assert_eq!(
        media_lines(&answer),
        [
            "m=audio 40000 RTP/AVP 9",
            "m=video 40002 RTP/AVP 106",
            "m=video 40004 RTP/AVP 106",
            "m=application 9 TCP/BFCP *",
            "m=application 0 UDP/BFCP *",
        ],
        "one line of floor control is enough, and who connects has no port"
    );
    assert!(answer.contains("a=setup:active\r\na=connection:new\r\na=bfcpver:1\r\n"));
    let control = media.floor_control().unwrap();
    assert_eq!(control.role, FloorControlRole::Client(ids(700, 3, 2)));
    assert_eq!(
        control.connection,
        FloorConnection::Tcp {
            remote: Some(([192, 0, 2, 1], 10_010).into()),
            setup: TcpSetup::Active,
            number: 0,
            certificate: None,
        }
    );
}

/// Sound, picture and slides, then what a test adds.
fn with_slides(control: &str) -> Vec<u8> {
    sdp(&format!(
        "m=audio 1000 RTP/AVP 9
        m=video 1002 RTP/AVP 97
        a=rtpmap:97 H264/90000
        m=video 1004 RTP/AVP 97
        a=rtpmap:97 H264/90000
        a=content:slides
        a=label:5
        {control}"
    ))
}

#[test]
fn who_offers_no_role_asks_our_server() {
    let (answer, media) = answer(
        ContentSharing::On,
        &with_slides("m=application 1006 UDP/BFCP *"),
    );
    let FloorControlRole::Server(given) = media.floor_control().unwrap().role else {
        panic!("{media:?}");
    };
    assert!(answer.contains("a=floorctrl:s-only\r\n"));
    assert!(answer.contains(&format!("a=confid:{}\r\n", given.conference)));
    assert!(given.conference.0 > 0 && given.conference.0 <= u32::MAX >> 1);
}

#[test]
fn over_tls_both_certificates_are_known_and_the_active_end_is_ours_if_it_may() {
    let hash = ["0C"; 32].join(":");
    let table = [
        (
            "actpass",
            "m=application 9 TCP/TLS/BFCP *",
            TcpSetup::Active,
        ),
        (
            "passive",
            "m=application 9 TCP/TLS/BFCP *",
            TcpSetup::Active,
        ),
        (
            "active",
            "m=application 40008 TCP/TLS/BFCP *",
            TcpSetup::Passive,
        ),
    ];
    for (theirs, line, ours) in table {
        let (answer, media) = answer(
            ContentSharing::On,
            &with_slides(&format!(
                "m=application 1006 TCP/TLS/BFCP *
                a=floorctrl:c-only
                a=setup:{theirs}
                a=fingerprint:SHA-256 {hash}"
            )),
        );
        assert_eq!(media_lines(&answer)[3], line);
        assert!(answer.contains(&format!(
            "a=fingerprint:sha-256 {}\r\n",
            ["AB"; 32].join(":")
        )));
        let FloorConnection::Tcp {
            setup, certificate, ..
        } = media.floor_control().unwrap().connection
        else {
            panic!("{media:?}");
        };
        assert_eq!(setup, ours);
        assert_eq!(certificate, Some(Fingerprint([0x0c; 32])));
    }
}

#[test]
fn floor_control_that_cannot_be_is_refused_and_the_slides_stay() {
    let numbers = "a=confid:1\na=userid:1\na=floorid:1 mstrm:5";
    let table = [
        ("a server without numbers", "m=application 1 UDP/BFCP *\na=floorctrl:s-only".into()),
        ("no role that there is", format!("m=application 1 UDP/BFCP *\na=floorctrl:x-only\n{numbers}")),
        ("a number too large", "m=application 1 UDP/BFCP *\na=floorctrl:s-only\na=confid:4294967296\na=userid:1\na=floorid:1".into()),
        ("a version that we do not speak", "m=application 1 UDP/BFCP *\na=bfcpver:1".into()),
        ("no connection for now", "m=application 1 TCP/BFCP *\na=setup:holdconn".into()),
        ("TLS without a fingerprint", "m=application 1 TCP/TLS/BFCP *\na=setup:actpass".into()),
        ("TLS with a weak one", "m=application 1 TCP/TLS/BFCP *\na=setup:actpass\na=fingerprint:sha-1 AB:CD".into()),
        ("an address of the other kind", "m=application 1 UDP/BFCP *\nc=IN IP6 2001:db8::1".into()),
        ("DTLS", "m=application 1 UDP/TLS/BFCP *".into()),
        ("switched off", "m=application 0 UDP/BFCP *".into()),
    ];
    for (what, control) in table {
        let (answer, media) = answer(ContentSharing::On, &with_slides(&control));
        assert_eq!(media.floor_control(), None, "{what}");
        assert!(media.content.is_some(), "{what}");
        let refused = media_lines(&answer)[3];
        assert!(refused.starts_with("m=application 0 "), "{what}: {refused}");
    }
}

#[test]
fn the_old_word_for_both_parts_means_either_of_them_over_any_transport() {
    for (line, numbers, ours) in [
        ("UDP/BFCP", "", "s-only"),
        ("TCP/BFCP", "", "s-only"),
        ("UDP/BFCP", "a=confid:8\na=userid:4\na=floorid:6", "c-only"),
        ("TCP/BFCP", "a=confid:8\na=userid:4\na=floorid:6", "c-only"),
    ] {
        let offer = with_slides(&format!(
            "m=application 1006 {line} *\na=setup:passive\na=floorctrl:c-s\n{numbers}"
        ));
        let (answer, media) = answer(ContentSharing::On, &offer);
        assert!(
            answer.contains(&format!("a=floorctrl:{ours}\r\n")),
            "{answer}"
        );
        match media.floor_control().expect("agreed").role {
            FloorControlRole::Client(given) => assert_eq!(given, ids(8, 4, 6)),
            FloorControlRole::Server(_) => assert_eq!(numbers, ""),
            FloorControlRole::Both { .. } => panic!("{answer}"),
        }
    }
}

#[test]
fn an_older_answer_with_a_server_at_each_end_is_taken() {
    let on = capabilities(ContentSharing::On);
    let (mut session, _) = Session::offer(&on, &local(1), &mut rng(1));
    let answer = with_slides(
        "m=application 1006 UDP/BFCP *\na=floorctrl:c-s\na=confid:8\na=userid:4\na=floorid:6",
    );
    let media = session.accept_answer(&answer).unwrap();
    let role = media.floor_control().expect("agreed").role;
    let FloorControlRole::Both { client, first, .. } = role else {
        panic!("{role:?}");
    };
    assert_eq!((client, first), (ids(8, 4, 6), FirstChoice::Us));
}

#[test]
fn where_media_has_to_be_encrypted_a_connection_needs_tls_and_datagrams_do_not() {
    let required = Capabilities {
        security: MediaSecurity::SrtpRequired,
        ..capabilities(ContentSharing::On)
    };
    let hash = ["0C"; 32].join(":");
    for (line, port) in [
        ("TCP/BFCP", "0"),
        ("TCP/TLS/BFCP", "9"),
        ("UDP/BFCP", "40006"),
    ] {
        let offer = sdp(&format!(
            "m=audio 1000 RTP/SAVP 9
            a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY
            m=video 1004 RTP/SAVP 97
            a=rtpmap:97 H264/90000
            a=content:slides
            a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY
            m=application 1006 {line} *
            a=floorctrl:c-only
            a=setup:actpass
            a=fingerprint:SHA-256 {hash}"
        ));
        let (_, body, media) = Session::answer(&required, &local(10), &mut rng(1), &offer).unwrap();
        let answer = String::from_utf8(body.to_vec()).unwrap();
        let expected = format!("m=application {port} {line} *");
        assert_eq!(media_lines(&answer)[2], expected);
        assert_eq!(media.floor_control().is_some(), port != "0");
    }
}

/// A floor over TCP that a peer offers with these attributes, and has offered before with others: our
/// answer, and the number of the connection.
fn offered_again(before: &str, attributes: &str) -> (String, Option<u32>) {
    let on = capabilities(ContentSharing::On);
    let line = |attributes: &str| {
        with_slides(&format!(
            "m=application 1006 TCP/BFCP *\na=floorctrl:c-only\n{attributes}"
        ))
    };
    let (mut session, _, _) = Session::answer(&on, &local(10), &mut rng(1), &line(before)).unwrap();
    let (answer, media) = session
        .answer_reoffer(&mut rng(2), &line(attributes))
        .unwrap();
    let answer = String::from_utf8(answer.to_vec()).unwrap();
    let control = media.floor_control();
    (
        blocks(&answer)[3].clone(),
        control.map(|control| control.connection.number().expect("a connection")),
    )
}

#[test]
fn every_setup_is_answered_by_its_counterpart_and_every_connection_by_itself() {
    let setups = [
        ("a=setup:active", Some(("m=application 40008", "passive"))),
        ("a=setup:passive", Some(("m=application 9", "active"))),
        ("a=setup:actpass", Some(("m=application 9", "active"))),
        ("", Some(("m=application 40008", "passive"))),
        ("a=setup:holdconn", None),
        ("a=setup:nonsense", None),
    ];
    let connections = [
        ("a=connection:new", "new", 1),
        ("a=connection:existing", "existing", 0),
        // The default of RFC 4145 section 5.1.
        ("", "new", 1),
    ];
    for (before, known) in setups {
        if known.is_none() {
            continue;
        }
        for (setup, ours) in setups {
            for (connection, answered, number) in connections {
                let (line, agreed) = offered_again(before, &format!("{setup}\n{connection}"));
                let what = format!("{before}, then {setup} {connection}: {line}");
                let Some((port, ours)) = ours else {
                    assert!(line.starts_with("m=application 0 "), "{what}");
                    assert_eq!(agreed, None, "{what}");
                    continue;
                };
                assert!(line.starts_with(port), "{what}");
                let attributes = format!("a=setup:{ours}\r\na=connection:{answered}\r\n");
                assert!(line.contains(&attributes), "{what}");
                assert_eq!(agreed, Some(number), "{what}");
            }
        }
    }
}

#[test]
fn every_answer_to_an_offer_of_ours_is_taken_where_one_end_connects_and_the_other_listens() {
    let on = capabilities(ContentSharing::On);
    let offered = |setup: &str| {
        with_slides(&format!(
            "m=application 1006 TCP/BFCP *\na=floorctrl:c-only\na=setup:{setup}"
        ))
    };
    for (theirs, ours) in [("passive", "active"), ("active", "passive")] {
        for (setup, connection, number) in [
            ("active", "existing", Some(0)),
            ("passive", "existing", Some(0)),
            ("active", "new", (theirs == "active").then_some(1)),
            ("passive", "new", (theirs == "passive").then_some(1)),
            ("actpass", "new", None),
            ("holdconn", "new", None),
        ] {
            let (mut session, _, _) =
                Session::answer(&on, &local(10), &mut rng(1), &offered(theirs)).unwrap();
            let again = session.reoffer(Direction::SendRecv).unwrap();
            let again = String::from_utf8(again.to_vec()).unwrap();
            let line = format!("a=setup:{ours}\r\na=connection:existing\r\n");
            assert!(again.contains(&line), "{again}");
            let answer = with_slides(&format!(
                "m=application 1006 TCP/BFCP *\na=floorctrl:c-only
                a=setup:{setup}\na=connection:{connection}"
            ));
            let media = session.accept_answer(&answer).unwrap();
            let agreed = media
                .floor_control()
                .map(|control| control.connection.number());
            assert_eq!(agreed, number.map(Some), "{theirs}: {setup} {connection}");
        }
    }
}

/// The answer of an endpoint that can have these connections, for lines of floor control that it is
/// offered.
fn answer_with(connections: BfcpTcp, control: &str) -> (String, CallMedia) {
    let mut ours = local(10);
    let content = ours.content.as_mut().expect("content is shared");
    content.bfcp_tcp = connections;
    let capabilities = capabilities(ContentSharing::On);
    let offer = with_slides(control);
    let (_, answer, media) =
        Session::answer(&capabilities, &ours, &mut rng(1), &offer).expect("a usable offer");
    (String::from_utf8(answer.to_vec()).expect("UTF-8"), media)
}

#[test]
fn without_connections_a_floor_over_tcp_is_refused_whoever_would_connect_and_one_over_udp_taken() {
    let shown = Fingerprint([0x0c; 32]);
    for setup in ["active", "passive", "actpass"] {
        let (answer, media) = answer_with(
            BfcpTcp::Off,
            &format!(
                "m=application 1006 TCP/BFCP *\na=setup:{setup}\na=floorctrl:c-only
                m=application 1008 TCP/TLS/BFCP *\na=setup:{setup}\na=floorctrl:c-only
                a=fingerprint:{shown}
                m=application 1010 UDP/BFCP *\na=floorctrl:c-only"
            ),
        );
        assert_eq!(
            media_lines(&answer)[3..],
            [
                "m=application 0 TCP/BFCP *",
                "m=application 0 TCP/TLS/BFCP *",
                "m=application 40006 UDP/BFCP *",
            ],
            "{setup}"
        );
        let connection = media.floor_control().expect("the third").connection;
        let remote = Some(([192, 0, 2, 1], 1_010).into());
        assert_eq!(connection, FloorConnection::Udp { remote }, "{setup}");
    }
}

#[test]
fn who_only_connects_refuses_a_peer_that_only_connects_as_well() {
    let offered =
        |setup| format!("m=application 1006 TCP/BFCP *\na=setup:{setup}\na=floorctrl:c-only");
    let (answer, media) = answer_with(BfcpTcp::Connect, &offered("active"));
    assert_eq!(media_lines(&answer)[3], "m=application 0 TCP/BFCP *");
    assert_eq!(media.floor_control(), None);
    let (answer, media) = answer_with(BfcpTcp::Connect, &offered("passive"));
    assert_eq!(media_lines(&answer)[3], "m=application 9 TCP/BFCP *");
    assert!(media.floor_control().is_some());
}

#[test]
fn floor_control_without_slides_is_refused() {
    let offer = sdp("m=audio 1 RTP/AVP 9\nm=application 5 UDP/BFCP *\na=floorctrl:c-only");
    let (answer, media) = answer(ContentSharing::On, &offer);
    assert_eq!(media_lines(&answer)[1], "m=application 0 UDP/BFCP *");
    assert_eq!(media.floor_control(), None);
}

#[test]
fn slides_alone_are_no_call() {
    let offer = sdp("m=video 1 RTP/AVP 97\na=rtpmap:97 H264/90000\na=content:slides");
    let refused = Session::answer(
        &capabilities(ContentSharing::On),
        &local(10),
        &mut rng(1),
        &offer,
    );
    assert_eq!(
        refused.unwrap_err(),
        SdpError::NothingAcceptable(LineRefusal::NoMediaLine)
    );
}

#[test]
fn while_content_sharing_is_off_nothing_of_it_is_offered_or_taken() {
    let (answer, media) = answer(ContentSharing::Off, &sdp(CISCO));
    assert_eq!(
        media_lines(&answer),
        [
            "m=audio 40000 RTP/AVP 9 101",
            "m=video 40002 RTP/AVP 97",
            "m=application 0 UDP/BFCP *",
            "m=video 0 RTP/AVP 97",
            "m=application 0 RTP/AVP 107",
        ]
    );
    assert!(media.content.is_none() && media.floor_control().is_none());
    for (content, ports) in [
        (ContentSharing::Off, local(10).content),
        (ContentSharing::On, None),
    ] {
        let local = LocalMedia {
            content: ports,
            ..local(10)
        };
        let (_, offer) = Session::offer(&capabilities(content), &local, &mut rng(1));
        let offer = String::from_utf8(offer.to_vec()).unwrap();
        assert_eq!(media_lines(&offer).len(), 2, "{offer}");
    }
}

/// Two of us: the caller, the callee, and what each believes.
fn pair() -> (Session, CallMedia, Session, CallMedia) {
    let on = capabilities(ContentSharing::On);
    let (mut caller, offer) = Session::offer(&on, &local(1), &mut rng(1));
    let text = String::from_utf8(offer.to_vec()).unwrap();
    let blocks = blocks(&text);
    assert_eq!(blocks.len(), 4, "{text}");
    assert!(blocks[2].contains("a=content:slides\r\na=label:3\r\n"));
    assert!(
        blocks[3].starts_with(
            "m=application 40006 UDP/BFCP *\r\na=floorctrl:c-only s-only\r\na=confid:"
        )
    );
    let (callee, answer, callees) = Session::answer(&on, &local(2), &mut rng(2), &offer).unwrap();
    let callers = caller.accept_answer(&answer).unwrap();
    (caller, callers, callee, callees)
}

#[test]
fn two_of_us_agree_that_the_caller_is_the_server() {
    let (_, callers, _, callees) = pair();
    let (server, client) = (
        callers.floor_control().unwrap(),
        callees.floor_control().unwrap(),
    );
    let FloorControlRole::Server(given) = server.role else {
        panic!("{server:?}");
    };
    assert_eq!(client.role, FloorControlRole::Client(given));
    let remote = Some(([192, 0, 2, 2], 40_006).into());
    assert_eq!(server.connection, FloorConnection::Udp { remote });
    assert!(callers.content.is_some() && callees.content.is_some());
}

#[test]
fn offers_name_the_transport_that_is_wanted_and_two_of_us_connect_by_it_and_stay_connected() {
    use BfcpTransport as T;
    for (wanted, security, written) in [
        (T::Tcp, MediaSecurity::PlainAllowed, "TCP/BFCP"),
        (T::Tls, MediaSecurity::PlainAllowed, "TCP/TLS/BFCP"),
        (T::Tls, MediaSecurity::SrtpRequired, "TCP/TLS/BFCP"),
        // Not in the clear where media is not.
        (T::Tcp, MediaSecurity::SrtpRequired, "TCP/TLS/BFCP"),
    ] {
        let ours = Capabilities {
            security,
            floor_transport: wanted,
            ..capabilities(ContentSharing::On)
        };
        let (mut caller, offer) = Session::offer(&ours, &local(1), &mut rng(1));
        let text = String::from_utf8(offer.to_vec()).unwrap();
        let line = format!("m=application 40008 {written} *");
        assert!(text.contains(&line), "{text}");
        assert!(
            text.contains("a=setup:actpass\r\na=connection:new\r\n"),
            "{text}"
        );
        let (mut callee, answer, callees) =
            Session::answer(&ours, &local(2), &mut rng(2), &offer).unwrap();
        let callers = caller.accept_answer(&answer).unwrap();
        let connection = |media: &CallMedia| media.floor_control().unwrap().connection;
        let shown = Some(Fingerprint([0xab; 32])).filter(|_| written.contains("TLS"));
        let expected = |host: u8, port, setup| FloorConnection::Tcp {
            remote: Some(([192, 0, 2, host], port).into()),
            setup,
            number: 0,
            certificate: shown,
        };
        assert_eq!(connection(&callees), expected(1, 40_008, TcpSetup::Active));
        assert_eq!(connection(&callers), expected(2, 9, TcpSetup::Passive));
        let offer = caller.reoffer(Direction::SendOnly).unwrap();
        let (answer, callees) = callee.answer_reoffer(&mut rng(3), &offer).unwrap();
        let callers = caller.accept_answer(&answer).unwrap();
        assert_eq!(connection(&callees), expected(1, 40_008, TcpSetup::Active));
        assert_eq!(connection(&callers), expected(2, 9, TcpSetup::Passive));
    }
}

#[test]
fn a_session_that_takes_the_place_of_another_connects_anew() {
    let on = capabilities(ContentSharing::On);
    let offer = with_slides(
        "m=application 1006 TCP/BFCP *\na=floorctrl:c-only\na=setup:active\na=connection:new",
    );
    let (before, _, media) = Session::answer(&on, &local(10), &mut rng(1), &offer).unwrap();
    let number = |media: &CallMedia| media.floor_control().unwrap().connection.number();
    assert_eq!(number(&media), Some(0));
    let (after, _, media) = before.answer_replacing(&on, &mut rng(2), &offer).unwrap();
    assert_eq!(number(&media), Some(1));
    let (_, _, media) = after.answer_replacing(&on, &mut rng(3), &offer).unwrap();
    assert_eq!(number(&media), Some(2));
}

#[test]
fn without_a_port_or_a_certificate_for_connections_offers_name_datagrams() {
    for wanted in [BfcpTransport::Tcp, BfcpTransport::Tls] {
        let ours = Capabilities {
            floor_transport: wanted,
            ..capabilities(ContentSharing::On)
        };
        let mut local = local(1);
        let ports = local.content.as_mut().unwrap();
        ports.bfcp_tcp = BfcpTcp::Connect;
        ports.certificate = None;
        let (_, offer) = Session::offer(&ours, &local, &mut rng(1));
        let text = String::from_utf8(offer.to_vec()).unwrap();
        assert!(text.contains("m=application 40006 UDP/BFCP *"), "{text}");
    }
}

#[test]
fn a_hold_and_a_resumption_keep_the_floor_its_numbers_and_the_keys() {
    let (mut caller, before, mut callee, _) = pair();
    for (direction, theirs) in [
        (Direction::Inactive, Direction::Inactive),
        (Direction::SendRecv, Direction::SendRecv),
    ] {
        let offer = callee.reoffer(direction).unwrap();
        let (answer, callers) = caller.answer_reoffer(&mut rng(9), &offer).unwrap();
        let callees = callee.accept_answer(&answer).unwrap();
        assert_eq!(callers.floor_control(), before.floor_control());
        assert!(callees.floor_control().is_some());
        assert_eq!(callers.content.clone().unwrap().stream.direction, theirs);
    }
}

#[test]
fn slides_that_flow_one_way_do_not_hold_the_call() {
    let offer = sdp("
        m=video 1004 RTP/AVP 97
        a=rtpmap:97 H264/90000
        a=content:slides
        a=sendonly
        m=audio 1000 RTP/AVP 9");
    let (_, media) = answer(ContentSharing::On, &offer);
    assert_eq!(media.peer_hold, sip::offer_answer::PeerHold::Off);
    assert_eq!(
        media.content.clone().unwrap().stream.direction,
        Direction::RecvOnly
    );
}

#[test]
fn answers_of_older_systems_to_our_offer_settle_who_is_the_server() {
    let on = capabilities(ContentSharing::On);
    let numbers = "a=confid:8\na=userid:4\na=floorid:6";
    let table = [
        (format!("a=floorctrl:s-only\n{numbers}"), Some(true)),
        // No role at all: the answerer is the server.
        (numbers.to_owned(), Some(true)),
        ("a=floorctrl:c-only".to_owned(), Some(false)),
        ("a=floorctrl:s-only".to_owned(), None),
        (format!("a=floorctrl:c-only s-only\n{numbers}"), None),
    ];
    for (control, we_ask) in table {
        let (mut session, _) = Session::offer(&on, &local(1), &mut rng(1));
        let answer = with_slides(&format!("m=application 1006 UDP/BFCP *\n{control}"));
        let media = session.accept_answer(&answer).unwrap();
        assert!(media.content.is_some(), "{control}");
        let role = media.floor_control().map(|control| control.role);
        match we_ask {
            Some(true) => assert_eq!(role, Some(FloorControlRole::Client(ids(8, 4, 6)))),
            Some(false) => assert!(matches!(role, Some(FloorControlRole::Server(_)))),
            None => assert_eq!(role, None, "{control}"),
        }
        // What did not come about is offered no more.
        let again = session.reoffer(Direction::SendRecv).unwrap();
        let again = String::from_utf8(again.to_vec()).unwrap();
        let line = media_lines(&again)[3];
        assert_eq!(line == "m=application 0 UDP/BFCP *", we_ask.is_none());
    }
}

#[test]
fn an_answer_without_slides_leaves_no_floor_to_control() {
    let on = capabilities(ContentSharing::On);
    let (mut session, _) = Session::offer(&on, &local(1), &mut rng(1));
    let answer = sdp("m=audio 1000 RTP/AVP 9
        m=video 1002 RTP/AVP 97
        a=rtpmap:97 H264/90000
        m=video 0 RTP/AVP 97
        m=application 1006 UDP/BFCP *
        a=floorctrl:c-only");
    let media = session.accept_answer(&answer).unwrap();
    assert!(media.content.is_none() && media.floor_control().is_none());
    assert!(media.streams.video.is_some());
}
