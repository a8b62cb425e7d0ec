//! Offers as real systems write them, and what we answer; holds, refusals and bad input.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::net::IpAddr;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use room::codec::{AudioCodec, Direction, PacketizationMode, PayloadType, SrtpSuite};
use room::units::Bitrate;
use sip::grammar::StatusCode;
use sip::offer_answer::{
    AgreedSecurity, BfcpTransport, CallMedia, Capabilities, ContentSharing, H264Capabilities,
    IceUse, LineRefusal, LocalMedia, LocalPort, MediaKeys, MediaSecurity, PeerHold, SdpError,
    Session,
};

/// 30 counted bytes each: no secrets.
const KEY_A: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";
const KEY_B: &str = "Hh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7";

fn capabilities(security: MediaSecurity) -> Capabilities {
    Capabilities {
        audio: vec![
            AudioCodec::Opus,
            AudioCodec::G722,
            AudioCodec::Pcmu,
            AudioCodec::Pcma,
        ],
        video: H264Capabilities::default(),
        security,
        media_keys: MediaKeys::default(),
        certificate: None,
        ice: IceUse::default(),
        content: ContentSharing::Off,
        floor_transport: BfcpTransport::default(),
    }
}

fn local() -> LocalMedia {
    LocalMedia {
        address: IpAddr::from([192, 0, 2, 10]),
        audio: Some(LocalPort {
            rtp: 40_000,
            rtcp: 40_001,
        }),
        video: Some(LocalPort {
            rtp: 40_002,
            rtcp: 40_003,
        }),
        content: None,
    }
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([1; 32])
}

/// A description from lines, with keys for `KEY_A` and `KEY_B`.
fn sdp(media: &str) -> Vec<u8> {
    let head = "v=0\no=- 42 7 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n";
    description(&format!("{head}{media}"))
}

fn description(text: &str) -> Vec<u8> {
    let text = text.replace("KEY_A", KEY_A).replace("KEY_B", KEY_B);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .flat_map(|line| [line, "\r\n"])
        .collect::<String>()
        .into_bytes()
}

fn answer(security: MediaSecurity, offer: &[u8]) -> Result<(String, CallMedia), SdpError> {
    let (_, body, media) = Session::answer(&capabilities(security), &local(), &mut rng(), offer)?;
    Ok((String::from_utf8(body.to_vec()).unwrap(), media))
}

fn text(body: &[u8]) -> &str {
    std::str::from_utf8(body).unwrap()
}

/// The `m=` lines of a description.
fn media_lines(description: &str) -> Vec<&str> {
    description
        .lines()
        .filter(|line| line.starts_with("m="))
        .collect()
}

const BARESIP: &str = "
    m=audio 21034 RTP/SAVP 96 9 0 8 101
    b=AS:128
    a=rtpmap:96 opus/48000/2
    a=fmtp:96 stereo=1;sprop-stereo=1
    a=rtpmap:9 G722/8000
    a=rtpmap:0 PCMU/8000
    a=rtpmap:8 PCMA/8000
    a=rtpmap:101 telephone-event/8000
    a=fmtp:101 0-15
    a=rtcp:21035
    a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:KEY_A
    a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:KEY_B
    a=sendrecv
    a=label:1
    a=ptime:20
    m=video 29384 RTP/SAVP 97 98
    b=AS:1500
    a=rtpmap:97 H264/90000
    a=fmtp:97 packetization-mode=0;profile-level-id=42801f
    a=rtpmap:98 H264/90000
    a=fmtp:98 packetization-mode=1;profile-level-id=42801f
    a=rtcp:29385
    a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY_A
    a=sendrecv
    a=label:2
    a=rtcp-fb:* nack pli";

#[test]
fn an_offer_in_the_style_of_baresip_agrees_on_opus_mode_1_and_its_first_key() {
    let (answer, media) = answer(MediaSecurity::SrtpRequired, &sdp(BARESIP)).unwrap();
    assert_eq!(
        media_lines(&answer),
        ["m=audio 40000 RTP/SAVP 96 101", "m=video 40002 RTP/SAVP 98"]
    );
    assert_eq!(media.security, AgreedSecurity::Secured);
    let audio = media.streams.audio.unwrap();
    assert_eq!(audio.codec, AudioCodec::Opus);
    assert_eq!(
        audio.send_telephone_event.map(PayloadType::value),
        Some(101)
    );
    let keys = audio.srtp.unwrap();
    assert_eq!(keys.remote.suite(), SrtpSuite::AesCm128HmacSha1_32);
    assert!(keys.remote.key_and_salt().iter().copied().eq(0..30));
    let video = media.streams.video.unwrap();
    assert_eq!(
        video.send_packetization_mode,
        PacketizationMode::NonInterleaved
    );
    assert_eq!(video.send_payload_type.value(), 98);
    assert_eq!(video.max_bitrate, Some(Bitrate::kbps(1_500)));
    assert!(video.feedback.picture_loss_indication);
    assert!(answer.contains("a=rtcp-fb:98 nack pli\r\n"), "{answer}");
    assert!(!answer.contains("ccm fir"), "{answer}");
    let remote = media.remote.video.unwrap();
    assert_eq!(remote.rtp.to_string(), "192.0.2.1:29384");
    assert_eq!(remote.rtcp.to_string(), "192.0.2.1:29385");
}

#[test]
fn an_offer_in_the_style_of_cisco_keeps_its_lines_and_gets_the_level_of_its_limits() {
    let offer = description(
        "v=0
        o=tandberg 1 2 IN IP4 192.0.2.1
        s=-
        c=IN IP4 192.0.2.1
        b=AS:6000
        t=0 0
        m=audio 2326 RTP/SAVP 107 108 9 8 0 101
        b=TIAS:128000
        a=rtpmap:107 MP4A-LATM/90000
        a=fmtp:107 profile-level-id=25;object=23;bitrate=128000
        a=rtpmap:108 G7221/16000
        a=rtpmap:9 G722/8000
        a=rtpmap:8 PCMA/8000
        a=rtpmap:0 PCMU/8000
        a=rtpmap:101 telephone-event/8000
        a=fmtp:101 0-15
        a=crypto:0 AES_CM_128_HMAC_SHA1_80 inline:KEY_A|2^48
        a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY_A|2^48 UNENCRYPTED_SRTCP
        a=sendrecv
        m=video 2328 RTP/SAVP 126 97 34
        b=TIAS:6000000
        a=rtpmap:126 H264/90000
        a=fmtp:126 profile-level-id=428014;max-mbps=245000;max-fs=9000;max-br=6000;packetization-mode=1
        a=rtpmap:97 H264/90000
        a=fmtp:97 profile-level-id=428014;max-mbps=245000;max-fs=9000
        a=rtpmap:34 H263/90000
        a=crypto:0 AES_CM_128_HMAC_SHA1_80 inline:KEY_B|2^48
        a=sendrecv
        a=content:main
        a=rtcp-fb:* nack pli
        a=rtcp-fb:* ccm fir
        m=application 5070 UDP/BFCP *
        a=confid:1
        m=video 2332 RTP/SAVP 126
        a=rtpmap:126 H264/90000
        a=fmtp:126 profile-level-id=428014;packetization-mode=1
        a=crypto:0 AES_CM_128_HMAC_SHA1_80 inline:KEY_A|2^48
        a=content:slides
        m=application 2334 RTP/SAVP 104
        a=rtpmap:104 H224/4800",
    );
    let (answer, media) = answer(MediaSecurity::SrtpRequired, &offer).unwrap();
    assert_eq!(
        media_lines(&answer),
        [
            "m=audio 40000 RTP/SAVP 9 101",
            "m=video 40002 RTP/SAVP 126",
            "m=application 0 UDP/BFCP *",
            "m=video 0 RTP/SAVP 126",
            "m=application 0 RTP/SAVP 104",
        ]
    );
    assert_eq!(media.streams.audio.unwrap().codec, AudioCodec::G722);
    let video = media.streams.video.unwrap();
    // Level 2 with the limits of 3.2; the bitrate is what max-br and b=TIAS allow.
    assert_eq!(video.send_profile.to_string(), "428020");
    assert_eq!(video.max_bitrate, Some(Bitrate::kbps(6_000)));
    // Symmetric levels: the answer may not claim more than level 2, its limits may.
    let parameters = "a=fmtp:126 profile-level-id=428014;packetization-mode=1;\
                      max-mbps=108000;max-fs=3600;max-br=14000\r\n";
    assert!(answer.contains(parameters), "{answer}");
    assert!(
        answer.contains("a=crypto:0 AES_CM_128_HMAC_SHA1_80 inline:"),
        "{answer}"
    );
    assert!(answer.contains("a=rtcp-fb:126 ccm fir\r\n"), "{answer}");
}

#[test]
fn an_offer_in_the_style_of_poly_with_both_profiles_is_taken_on_its_secure_lines() {
    let offer = sdp("
        m=audio 49160 RTP/AVP 115 9 0 8 127
        a=rtpmap:115 G7221/32000
        a=fmtp:115 bitrate=48000
        a=rtpmap:127 telephone-event/8000
        m=audio 49162 RTP/SAVP 9 0 127
        a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY_A
        a=rtpmap:127 telephone-event/8000
        m=video 49164 RTP/AVP 109
        a=rtpmap:109 H264/90000
        a=fmtp:109 profile-level-id=42801f; max-mbps=108000; packetization-mode=1
        m=video 49166 RTP/SAVP 110
        a=rtpmap:110 H264/90000
        a=fmtp:110 profile-level-id=64001f; packetization-mode=1
        a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY_B");
    for security in [MediaSecurity::SrtpRequired, MediaSecurity::PlainAllowed] {
        let (answer, media) = answer(security, &offer).unwrap();
        assert_eq!(
            media_lines(&answer),
            [
                "m=audio 0 RTP/AVP 115 9 0 8 127",
                "m=audio 40000 RTP/SAVP 9 127",
                "m=video 0 RTP/AVP 109",
                "m=video 40002 RTP/SAVP 110",
            ]
        );
        assert_eq!(media.security, AgreedSecurity::Secured);
        assert_eq!(
            media.streams.video.unwrap().send_profile.to_string(),
            "64001f"
        );
    }
}

#[test]
fn an_offer_in_the_style_of_a_meeting_connector_is_answered_under_its_feedback_profile() {
    let offer = sdp("
        m=audio 10234 RTP/SAVPF 99 9 0 101
        a=rtpmap:99 OPUS/48000/2
        a=fmtp:99 useinbandfec=1;maxaveragebitrate=64000
        a=rtpmap:101 telephone-event/8000
        a=rtpmap:102 telephone-event/48000
        a=crypto:1 AEAD_AES_256_GCM inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKis=
        a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:KEY_A|2^31
        m=video 10236 RTP/SAVPF 100 101
        a=rtpmap:100 H264/90000
        a=fmtp:100 profile-level-id=640028;packetization-mode=1;level-asymmetry-allowed=1
        a=rtpmap:101 H264/90000
        a=fmtp:101 profile-level-id=42e028;packetization-mode=1;level-asymmetry-allowed=1
        a=rtcp-fb:101 nack pli
        a=rtcp-fb:100 ccm fir
        a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:KEY_B|2^31
        a=content:main");
    let (answer, media) = answer(MediaSecurity::SrtpRequired, &offer).unwrap();
    assert_eq!(
        media_lines(&answer),
        [
            "m=audio 40000 RTP/SAVPF 99 101",
            "m=video 40002 RTP/SAVPF 100"
        ]
    );
    assert!(
        answer.contains("a=crypto:1 AEAD_AES_256_GCM inline:"),
        "{answer}"
    );
    assert!(
        answer.contains("a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:"),
        "{answer}"
    );
    let audio = media.streams.audio.unwrap().srtp.unwrap();
    assert_eq!(audio.local.suite(), SrtpSuite::AeadAes256Gcm);
    assert!(audio.remote.key_and_salt().iter().copied().eq(0..44));
    assert!(answer.contains("profile-level-id=64001f;packetization-mode=1;level-asymmetry"));
    let video = media.streams.video.unwrap();
    assert_eq!(video.send_profile.to_string(), "640028");
    assert!(
        !video.feedback.picture_loss_indication && video.feedback.full_intra_request,
        "asked for another payload type only"
    );
}

#[test]
fn an_offer_in_the_style_of_linphone_without_h264_becomes_an_audio_call() {
    let offer = sdp("
        m=audio 7078 RTP/AVP 96 97 98 0 8 18 101 99
        a=rtpmap:96 opus/48000/2
        a=fmtp:96 useinbandfec=1
        a=rtpmap:97 speex/16000
        a=rtpmap:98 speex/8000
        a=rtpmap:101 telephone-event/48000
        a=rtpmap:99 telephone-event/8000
        a=rtcp-fb:* trr-int 5000
        m=video 9078 RTP/AVPF 96
        a=rtpmap:96 VP8/90000");
    let (answer, media) = answer(MediaSecurity::PlainAllowed, &offer).unwrap();
    assert_eq!(
        media_lines(&answer),
        ["m=audio 40000 RTP/AVP 96 101", "m=video 0 RTP/AVPF 96"]
    );
    assert_eq!(media.security, AgreedSecurity::Plain);
    assert!(media.streams.video.is_none());
    assert!(media.remote.video.is_none());
}

#[test]
fn keys_beside_a_plain_profile_are_taken_up() {
    let offer = sdp("m=audio 7078 RTP/AVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY_A");
    for security in [MediaSecurity::SrtpRequired, MediaSecurity::PlainAllowed] {
        let (answer, media) = answer(security, &offer).unwrap();
        assert_eq!(media_lines(&answer), ["m=audio 40000 RTP/AVP 0"]);
        assert_eq!(media.security, AgreedSecurity::Secured);
    }
}

#[test]
fn offers_that_cannot_be_used_are_refused_with_the_reason_and_status() {
    use LineRefusal as R;
    use MediaSecurity::{PlainAllowed, SrtpRequired};
    let key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY_A";
    let table = [
        ("", PlainAllowed, R::NoMediaLine),
        (
            "m=application 5070 UDP/BFCP *",
            PlainAllowed,
            R::NoMediaLine,
        ),
        ("m=audio 0 RTP/AVP 0", PlainAllowed, R::Disabled),
        ("m=audio 7078 RTP/AVP 0", SrtpRequired, R::NoAcceptableKey),
        ("m=audio 7078 RTP/SAVP 0", PlainAllowed, R::NoAcceptableKey),
        (
            "m=audio 7078 RTP/SAVP 0
             a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY_A|2^31|1:1",
            SrtpRequired,
            R::NoAcceptableKey,
        ),
        ("m=audio 7078 RTP/AVP 18", PlainAllowed, R::NoCommonCodec),
        (
            "m=audio 7078 RTP/AVP 101\na=rtpmap:101 telephone-event/8000",
            PlainAllowed,
            R::NoCommonCodec,
        ),
        (
            "m=audio 7078 RTP/AVP 0\na=rtpmap:0 G729/8000",
            PlainAllowed,
            R::NoCommonCodec,
        ),
        (
            "m=audio 7078 RTP/AVP 200 x *",
            PlainAllowed,
            R::NoCommonCodec,
        ),
        (
            "m=audio 7078 UDP/TLS/RTP/SAVPF 0",
            PlainAllowed,
            R::UnsupportedTransport,
        ),
        (
            "m=audio 7078 TCP/RTP/AVP 0",
            PlainAllowed,
            R::UnsupportedTransport,
        ),
        (
            "m=audio 7078 RTP/AVP 0\nc=IN IP4 example.com",
            PlainAllowed,
            R::UnusableAddress,
        ),
        (
            "m=audio 7078 RTP/AVP 0\nc=IN IP4 239.1.2.3/127",
            PlainAllowed,
            R::UnusableAddress,
        ),
        (
            "m=audio 7078 RTP/AVP 0\nc=IN IP4 255.255.255.255",
            PlainAllowed,
            R::UnusableAddress,
        ),
        (
            "m=audio 7078 RTP/AVP 0\nc=IN IP6 2001:db8::1",
            PlainAllowed,
            R::UnusableAddress,
        ),
        (
            "m=video 7078 RTP/AVP 97\na=rtpmap:97 H264/90000\na=fmtp:97 profile-level-id=58001f",
            PlainAllowed,
            R::NoCommonCodec,
        ),
        (
            "m=video 7078 RTP/AVP 97\na=rtpmap:97 H264/90000\na=fmtp:97 packetization-mode=2",
            PlainAllowed,
            R::NoCommonCodec,
        ),
        (
            "m=video 7078 RTP/AVP 97\na=content:slides",
            PlainAllowed,
            R::NoMediaLine,
        ),
    ];
    for (media, security, reason) in table {
        let error = answer(security, &sdp(media)).unwrap_err();
        assert_eq!(error, SdpError::NothingAcceptable(reason), "{media}");
        assert_eq!(error.status(), StatusCode::NOT_ACCEPTABLE_HERE);
    }
    // The last check of the table itself: with a key, the same line is taken.
    let usable = format!("m=audio 7078 RTP/SAVP 0\n{key}");
    assert!(answer(SrtpRequired, &sdp(&usable)).is_ok());
}

#[test]
fn malformed_and_oversized_descriptions_are_bad_requests() {
    let huge = format!("m=audio 7078 RTP/AVP 0\na=x:{}", "y".repeat(70_000));
    let many = "m=audio 7078 RTP/AVP 0\n".repeat(33);
    let table: [&[u8]; 6] = [
        b"",
        b"hello",
        b"v=0\r\nm=audio",
        b"v=0\r\nm=audio 99999 RTP/AVP 0\r\n",
        &sdp(&huge),
        &sdp(&many),
    ];
    for offer in table {
        let error = answer(MediaSecurity::PlainAllowed, offer).unwrap_err();
        assert_eq!(error.status(), StatusCode::BAD_REQUEST, "{error}");
    }
}

#[test]
fn a_stream_without_bound_ports_is_neither_offered_nor_accepted() {
    let audio_only = LocalMedia {
        video: None,
        ..local()
    };
    let plain = capabilities(MediaSecurity::PlainAllowed);
    let (_, offer) = Session::offer(&plain, &audio_only, &mut rng());
    assert_eq!(
        media_lines(text(&offer)),
        ["m=audio 40000 RTP/AVP 96 9 0 8 100 101"]
    );
    let offer = sdp("
        m=video 7078 RTP/AVP 97
        a=rtpmap:97 H264/90000
        m=audio 7080 RTP/AVP 8");
    let (_, answer, media) = Session::answer(&plain, &audio_only, &mut rng(), &offer).unwrap();
    assert_eq!(
        media_lines(text(&answer)),
        ["m=video 0 RTP/AVP 97", "m=audio 40000 RTP/AVP 8"]
    );
    assert!(media.streams.video.is_none());
}

#[test]
fn our_offer_names_every_codec_both_modes_and_fresh_keys() {
    let (_, offer) = Session::offer(
        &capabilities(MediaSecurity::SrtpRequired),
        &local(),
        &mut rng(),
    );
    let offer = text(&offer);
    assert_eq!(
        media_lines(offer),
        [
            "m=audio 40000 RTP/SAVP 96 9 0 8 100 101",
            "m=video 40002 RTP/SAVP 97 98 102 103"
        ]
    );
    for line in [
        "a=rtpmap:96 opus/48000/2",
        "a=rtpmap:100 telephone-event/48000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:97 profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1",
        "a=fmtp:98 profile-level-id=42e01f;packetization-mode=0;level-asymmetry-allowed=1",
        "a=rtcp-fb:97 nack pli",
        "a=rtcp-fb:98 ccm fir",
        "b=TIAS:4000000",
    ] {
        assert!(
            offer.lines().any(|present| present == line),
            "{line} in {offer}"
        );
    }
    let mut keys: Vec<_> = offer
        .lines()
        .filter_map(|line| line.split("inline:").nth(1))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(
        keys.len(),
        6,
        "three suites for two lines, each with its own key"
    );
    let suites: Vec<_> = offer
        .lines()
        .filter_map(|line| line.strip_prefix("a=crypto:")?.split(" inline").next())
        .collect();
    let strongest_first = [
        "3 AEAD_AES_256_GCM",
        "1 AES_CM_128_HMAC_SHA1_80",
        "2 AES_CM_128_HMAC_SHA1_32",
    ];
    assert_eq!(suites, strongest_first.repeat(2));
    assert!(!offer.contains("a=rtcp:"), "RTCP follows RTP here");
}

#[test]
fn an_rtcp_port_that_does_not_follow_rtp_is_announced() {
    let mut apart = local();
    apart.audio = Some(LocalPort {
        rtp: 65_535,
        rtcp: 40_009,
    });
    let (_, offer) = Session::offer(
        &capabilities(MediaSecurity::PlainAllowed),
        &apart,
        &mut rng(),
    );
    assert!(text(&offer).contains("a=rtcp:40009\r\n"));
}

#[test]
fn the_peers_rtcp_address_is_read_where_it_is_usable() {
    let table = [
        ("", 7_078, "192.0.2.1:7079"),
        ("a=rtcp:9000", 7_078, "192.0.2.1:9000"),
        ("a=rtcp:9000 IN IP4 192.0.2.7", 7_078, "192.0.2.7:9000"),
        ("a=rtcp:9000 IN IP4 239.1.1.1", 7_078, "192.0.2.1:7079"),
        ("a=rtcp:0", 7_078, "192.0.2.1:7079"),
        ("a=rtcp:x", 7_078, "192.0.2.1:7079"),
        ("", 65_535, "192.0.2.1:65535"),
    ];
    for (attribute, port, rtcp) in table {
        let offer = sdp(&format!("m=audio {port} RTP/AVP 0\n{attribute}"));
        let (_, media) = answer(MediaSecurity::PlainAllowed, &offer).unwrap();
        assert_eq!(
            media.remote.audio.unwrap().rtcp.to_string(),
            rtcp,
            "{attribute} {port}"
        );
    }
}

/// Our offer, to be answered by hand.
fn offering(security: MediaSecurity) -> Session {
    Session::offer(&capabilities(security), &local(), &mut rng()).0
}

#[test]
fn an_answer_that_moves_payload_types_is_sent_to_by_its_own_numbers() {
    let mut session = offering(MediaSecurity::PlainAllowed);
    let media = session
        .accept_answer(&sdp("
            m=audio 7078 RTP/AVP 111 0 110
            a=rtpmap:111 opus/48000/2
            a=rtpmap:110 telephone-event/48000
            m=video 7080 RTP/AVP 120
            a=rtpmap:120 H264/90000
            a=fmtp:120 profile-level-id=42001f"))
        .unwrap();
    let audio = media.streams.audio.unwrap();
    assert_eq!(
        (
            audio.send_payload_type.value(),
            audio.receive_payload_type.value()
        ),
        (111, 96)
    );
    let events = (
        audio.send_telephone_event.unwrap(),
        audio.receive_telephone_event.unwrap(),
    );
    assert_eq!((events.0.value(), events.1.value()), (110, 100));
    let video = media.streams.video.unwrap();
    assert_eq!(
        (
            video.send_payload_type.value(),
            video.receive_payload_type.value()
        ),
        (120, 98)
    );
    assert_eq!(
        video.send_packetization_mode,
        PacketizationMode::SingleNalUnit
    );
}

#[test]
fn events_at_8_khz_are_used_beside_opus_when_the_peer_has_no_others() {
    let mut session = offering(MediaSecurity::PlainAllowed);
    let media = session
        .accept_answer(&sdp("
            m=audio 7078 RTP/AVP 96 101
            a=rtpmap:96 opus/48000/2
            a=rtpmap:101 telephone-event/8000
            m=video 0 RTP/AVP 97"))
        .unwrap();
    let audio = media.streams.audio.unwrap();
    assert_eq!(
        audio.send_telephone_event.map(PayloadType::value),
        Some(101)
    );
    assert_eq!(
        audio.receive_telephone_event.map(PayloadType::value),
        Some(101)
    );
}

#[test]
fn lines_that_an_answer_leaves_out_are_refused_and_may_be_left_out_of_later_offers() {
    let mut session = offering(MediaSecurity::PlainAllowed);
    let short = sdp("m=audio 7078 RTP/AVP 0");
    let media = session.accept_answer(&short).unwrap();
    assert!(media.streams.audio.is_some());
    assert_eq!(media.streams.video, None);
    // Ours keeps its number of lines,
    let offer = session.reoffer(Direction::SendOnly).unwrap();
    let offer = String::from_utf8(offer.to_vec()).unwrap();
    assert!(offer.contains("m=video 0 "), "{offer}");
    session.accept_answer(&short).unwrap();
    // and the peer its own.
    let (answer, _) = session.answer_reoffer(&mut rng(), &short).unwrap();
    let answer = String::from_utf8(answer.to_vec()).unwrap();
    assert_eq!(answer.matches("m=").count(), 1, "{answer}");
}

#[test]
fn answers_that_do_not_fit_the_offer_are_errors_and_leave_it_pending() {
    use LineRefusal as R;
    let key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY_A";
    let line = |line, reason| SdpError::AnswerLine { line, reason };
    let table = [
        (
            "m=audio 7078 RTP/SAVP 0\nKEY\nm=video 0 RTP/SAVP 97\nm=video 0 RTP/SAVP 97".to_owned(),
            SdpError::LineCount {
                expected: 2,
                found: 3,
            },
        ),
        (
            "m=audio 7078 RTP/SAVP 0\nm=video 0 RTP/SAVP 97".into(),
            line(0, R::NoAcceptableKey),
        ),
        // Another tag, another suite.
        (
            "m=audio 7078 RTP/SAVP 0\na=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:KEY_A
             m=video 0 RTP/SAVP 97"
                .into(),
            line(0, R::NoAcceptableKey),
        ),
        (
            "m=audio 7078 RTP/SAVP 0\na=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:KEY_A
             m=video 0 RTP/SAVP 97"
                .into(),
            line(0, R::NoAcceptableKey),
        ),
        (
            "m=video 7078 RTP/SAVP 97\nKEY\nm=audio 0 RTP/SAVP 0".into(),
            line(0, R::NotWanted),
        ),
        (
            "m=audio 0 RTP/SAVP 0\nm=video 0 RTP/SAVP 97".into(),
            SdpError::NothingAcceptable(R::Disabled),
        ),
        (
            "m=audio 7078 RTP/SAVP 18\nKEY\nm=video 0 RTP/SAVP 97".into(),
            SdpError::NothingAcceptable(R::NoCommonCodec),
        ),
    ];
    let mut session = offering(MediaSecurity::SrtpRequired);
    for (media, error) in table {
        let media = media.replace("KEY\n", &format!("{key}\n"));
        let media = media
            .strip_suffix("KEY")
            .map_or(media.clone(), |rest| format!("{rest}{key}"));
        assert_eq!(session.accept_answer(&sdp(&media)), Err(error), "{media}");
        assert!(session.is_offering() && session.media().is_none());
    }
    let good = format!("m=audio 7078 RTP/SAVP 0\n{key}\nm=video 0 RTP/SAVP 97");
    assert!(session.accept_answer(&sdp(&good)).is_ok());
    assert_eq!(
        session.accept_answer(&sdp(&good)),
        Err(SdpError::NoOfferPending)
    );
}

#[test]
fn an_answer_with_our_own_key_is_refused() {
    let (mut session, offer) = Session::offer(
        &capabilities(MediaSecurity::SrtpRequired),
        &local(),
        &mut rng(),
    );
    assert_eq!(
        session.accept_answer(&offer),
        Err(SdpError::AnswerLine {
            line: 0,
            reason: LineRefusal::NoAcceptableKey
        })
    );
}

#[test]
fn a_video_answer_that_only_we_cannot_use_leaves_the_audio() {
    let mut session = offering(MediaSecurity::PlainAllowed);
    let media = session
        .accept_answer(&sdp("m=audio 7078 RTP/AVP 0\nm=video 7080 RTP/AVP 31"))
        .unwrap();
    assert!(media.streams.audio.is_some() && media.streams.video.is_none());
    let reoffer = session.reoffer(Direction::SendRecv).unwrap();
    assert_eq!(
        media_lines(text(&reoffer)),
        ["m=audio 40000 RTP/AVP 0", "m=video 0 RTP/AVP 31"]
    );
}

#[test]
fn the_peers_holds_are_read_in_all_their_spellings() {
    let table = [
        ("a=sendrecv", Direction::SendRecv, PeerHold::Off),
        ("", Direction::SendRecv, PeerHold::Off),
        ("a=sendonly", Direction::RecvOnly, PeerHold::On),
        ("a=recvonly", Direction::SendOnly, PeerHold::Off),
        ("a=inactive", Direction::Inactive, PeerHold::On),
        ("c=IN IP4 0.0.0.0", Direction::RecvOnly, PeerHold::On),
        (
            "c=IN IP4 0.0.0.0\na=sendonly",
            Direction::RecvOnly,
            PeerHold::On,
        ),
        (
            "c=IN IP4 0.0.0.0\na=recvonly",
            Direction::Inactive,
            PeerHold::On,
        ),
    ];
    let (mut session, ..) = Session::answer(
        &capabilities(MediaSecurity::PlainAllowed),
        &local(),
        &mut rng(),
        &sdp("m=audio 7078 RTP/AVP 0"),
    )
    .unwrap();
    for (attributes, direction, hold) in table {
        let offer = sdp(&format!("m=audio 7078 RTP/AVP 0\n{attributes}"));
        let (_, media) = session.answer_reoffer(&mut rng(), &offer).unwrap();
        assert_eq!(
            media.streams.audio.unwrap().direction,
            direction,
            "{attributes}"
        );
        assert_eq!(media.peer_hold, hold, "{attributes}");
        assert_eq!(
            media.remote.audio.is_none(),
            attributes.contains("0.0.0.0"),
            "{attributes}"
        );
    }
    let whole_session = description(
        "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\na=sendonly
         m=audio 7078 RTP/AVP 0",
    );
    let (_, media) = session.answer_reoffer(&mut rng(), &whole_session).unwrap();
    assert_eq!(media.peer_hold, PeerHold::On);
}

#[test]
fn an_offer_while_ours_is_pending_is_answered_491() {
    let mut session = offering(MediaSecurity::PlainAllowed);
    let offer = sdp("m=audio 7078 RTP/AVP 0\nm=video 0 RTP/AVP 97");
    let error = session.answer_reoffer(&mut rng(), &offer).unwrap_err();
    assert_eq!(error.status(), StatusCode::REQUEST_PENDING);
    assert_eq!(
        session.reoffer(Direction::Inactive),
        Err(SdpError::OfferPending)
    );
    session.accept_answer(&offer).unwrap();
    session.reoffer(Direction::Inactive).unwrap();
    let error = session.answer_reoffer(&mut rng(), &offer).unwrap_err();
    assert_eq!(error.status(), StatusCode::REQUEST_PENDING);
    session.withdraw_offer();
    assert_eq!(session.direction(), Direction::SendRecv);
    assert!(session.answer_reoffer(&mut rng(), &offer).is_ok());
}

#[test]
fn a_later_offer_with_fewer_lines_is_refused_and_changes_nothing() {
    let (mut session, _, media) = Session::answer(
        &capabilities(MediaSecurity::SrtpRequired),
        &local(),
        &mut rng(),
        &sdp(BARESIP),
    )
    .unwrap();
    let offer = sdp("m=audio 7078 RTP/AVP 0");
    assert_eq!(
        session.answer_reoffer(&mut rng(), &offer),
        Err(SdpError::LineCount {
            expected: 2,
            found: 1
        })
    );
    assert_eq!(session.media(), Some(&media));
}

#[test]
fn our_key_goes_on_while_the_peers_does_and_is_new_with_a_new_one() {
    let mut rng = rng();
    let (mut session, _, first) = Session::answer(
        &capabilities(MediaSecurity::SrtpRequired),
        &local(),
        &mut rng,
        &sdp(BARESIP),
    )
    .unwrap();
    let (_, same) = session.answer_reoffer(&mut rng, &sdp(BARESIP)).unwrap();
    assert_eq!(same.streams, first.streams);
    let rekeyed = sdp(&BARESIP.replace("_32 inline:KEY_A", "_32 inline:KEY_B"));
    let (_, second) = session.answer_reoffer(&mut rng, &rekeyed).unwrap();
    let keys = |media: &CallMedia| media.streams.audio.clone().unwrap().srtp.unwrap();
    assert_ne!(keys(&second).local, keys(&first).local);
    assert_ne!(keys(&second).remote, keys(&first).remote);
    assert_eq!(second.streams.video, first.streams.video);
}

#[test]
fn the_version_grows_with_each_change_and_only_then() {
    let version = |body: &[u8]| {
        let origin = text(body).lines().nth(1).unwrap();
        origin.split(' ').nth(2).unwrap().parse::<u64>().unwrap()
    };
    let identity = |body: &[u8]| {
        text(body)
            .lines()
            .nth(1)
            .unwrap()
            .split(' ')
            .nth(1)
            .map(str::to_owned)
    };
    let mut rng = rng();
    let plain = capabilities(MediaSecurity::PlainAllowed);
    let active = sdp("m=audio 7078 RTP/AVP 0");
    let held = sdp("m=audio 7078 RTP/AVP 0\na=sendonly");
    let (mut session, first, _) = Session::answer(&plain, &local(), &mut rng, &active).unwrap();
    let (same, _) = session.answer_reoffer(&mut rng, &active).unwrap();
    assert_eq!(same, first);
    let (changed, _) = session.answer_reoffer(&mut rng, &held).unwrap();
    assert_eq!(version(&changed), version(&first) + 1);
    let ours = session.reoffer(Direction::SendOnly).unwrap();
    assert_eq!(version(&ours), version(&first) + 2);
    assert!(
        text(&ours).contains("a=inactive"),
        "a stream held by both is inactive"
    );
    session.withdraw_offer();
    let (later, _) = session.answer_reoffer(&mut rng, &active).unwrap();
    assert_eq!(version(&later), version(&first) + 3);
    assert_eq!(identity(&later), identity(&first));
}

#[test]
fn debug_of_a_session_shows_no_keys() {
    let (session, body, media) = Session::answer(
        &capabilities(MediaSecurity::SrtpRequired),
        &local(),
        &mut rng(),
        &sdp(BARESIP),
    )
    .unwrap();
    let shown = format!("{session:?} {media:?}");
    assert!(
        !shown.contains("13, 14, 15") && !shown.contains(KEY_A),
        "{shown}"
    );
    for key in text(&body)
        .lines()
        .filter_map(|line| line.split("inline:").nth(1))
    {
        assert!(!shown.contains(key), "{shown}");
    }
}
