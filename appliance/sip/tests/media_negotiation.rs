//! What offer and answer settle beside codecs: SRTP suite, RTCP port and size, feedback, profile,
//! limits of H.264; and what is left when the other end knows none of it.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::net::IpAddr;

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use room::codec::{
    AudioCodec, Direction, ProfileLevelId, RtcpMode, RtcpPort, RtcpSize, SrtpSuite, VideoFeedback,
};
use room::h264_level::H264Level;
use room::units::{Bitrate, FrameRate, Resolution};
use sip::offer_answer::{
    BfcpTransport, CallMedia, Capabilities, ContentSharing, H264Capabilities, IceUse, LocalMedia,
    LocalPort, MediaKeys, MediaSecurity, SdpError, Session,
};

/// Counted bytes, so no secrets: 30, 28 and 44 of them.
const KEY30: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";
const KEY28: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw==";
const KEY44: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKis=";

fn capabilities(security: MediaSecurity) -> Capabilities {
    Capabilities {
        audio: vec![AudioCodec::Opus, AudioCodec::G722, AudioCodec::Pcmu],
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
    let port = |rtp| Some(LocalPort { rtp, rtcp: rtp + 1 });
    LocalMedia {
        address: IpAddr::from([192, 0, 2, 10]),
        audio: port(40_000),
        video: port(40_002),
        content: None,
    }
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([1; 32])
}

fn sdp(media: &str) -> Vec<u8> {
    let head = "v=0\no=- 42 7 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n";
    let media = media
        .replace("KEY30", KEY30)
        .replace("KEY28", KEY28)
        .replace("KEY44", KEY44);
    let text = format!("{head}{media}");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let text: String = lines.flat_map(|line| [line, "\r\n"]).collect();
    text.into_bytes()
}

/// Our answer to an offer, where plain media would do.
fn answer(offer: &[u8]) -> (Session, String, CallMedia) {
    let capabilities = capabilities(MediaSecurity::PlainAllowed);
    let (session, body, media) =
        Session::answer(&capabilities, &local(), &mut rng(), offer).unwrap();
    (session, String::from_utf8(body.to_vec()).unwrap(), media)
}

/// What our offer amounts to with this answer.
fn answered(answer: &[u8]) -> Result<CallMedia, SdpError> {
    let capabilities = capabilities(MediaSecurity::PlainAllowed);
    let (mut session, _) = Session::offer(&capabilities, &local(), &mut rng());
    session.accept_answer(answer)
}

fn has(description: &str, line: &str) -> bool {
    description.lines().any(|present| present == line)
}

fn suite(media: &CallMedia) -> Option<SrtpSuite> {
    let keys = media.streams.audio.as_ref()?.srtp.as_ref()?;
    assert_eq!(keys.local.suite(), keys.remote.suite());
    Some(keys.local.suite())
}

#[test]
fn the_peers_first_suite_that_we_know_protects_both_ways() {
    use SrtpSuite as S;
    let table = [
        // Offered, tag and suite of the answer.
        (
            "a=crypto:1 AEAD_AES_256_GCM inline:KEY44
             a=crypto:2 AEAD_AES_128_GCM inline:KEY28
             a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:KEY30",
            Some((1, S::AeadAes256Gcm)),
        ),
        (
            "a=crypto:5 AEAD_AES_128_GCM inline:KEY28|2^31
             a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:KEY30",
            Some((5, S::AeadAes128Gcm)),
        ),
        (
            "a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:KEY30
             a=crypto:2 AEAD_AES_256_GCM inline:KEY44",
            Some((1, S::AesCm128HmacSha1_32)),
        ),
        (
            "a=crypto:1 AES_256_CM_HMAC_SHA1_80 inline:KEY44
             a=crypto:2 AEAD_AES_256_GCM inline:KEY30
             a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:KEY30",
            Some((3, S::AesCm128HmacSha1_80)),
        ),
        ("", None),
    ];
    for (crypto, expected) in table {
        let (_, answer, media) = answer(&sdp(&format!("m=audio 7078 RTP/AVP 0\n{crypto}")));
        assert_eq!(suite(&media), expected.map(|(_, suite)| suite), "{crypto}");
        let line = expected.map(|(tag, suite)| format!("a=crypto:{tag} {suite} inline:"));
        let written: Vec<_> = answer
            .lines()
            .filter(|line| line.starts_with("a=crypto"))
            .collect();
        assert_eq!(written.len(), usize::from(line.is_some()), "{answer}");
        if let Some(line) = line {
            assert!(written[0].starts_with(&line), "{answer}");
        }
    }
}

#[test]
fn an_answer_may_take_any_suite_of_our_offer_and_no_other() {
    for (crypto, expected) in [
        (
            "a=crypto:3 AEAD_AES_256_GCM inline:KEY44",
            Some(SrtpSuite::AeadAes256Gcm),
        ),
        (
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY30",
            Some(SrtpSuite::AesCm128HmacSha1_80),
        ),
        (
            "a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:KEY30",
            Some(SrtpSuite::AesCm128HmacSha1_32),
        ),
        // The suite of another tag, and one that was not offered.
        ("a=crypto:1 AEAD_AES_256_GCM inline:KEY44", None),
        ("a=crypto:4 AEAD_AES_128_GCM inline:KEY28", None),
    ] {
        let answer = sdp(&format!(
            "m=audio 7078 RTP/AVP 0\n{crypto}\nm=video 0 RTP/AVP 97"
        ));
        assert_eq!(suite(&answered(&answer).unwrap()), expected, "{crypto}");
    }
}

/// How RTCP is carried, and where the peer wants it.
fn rtcp(media: &CallMedia) -> (RtcpMode, String) {
    let mode = media.streams.audio.as_ref().unwrap().rtcp;
    (mode, media.remote.audio.unwrap().rtcp.to_string())
}

#[test]
fn rtcp_shares_the_port_and_travels_alone_only_where_both_ends_say_so() {
    let mode = |port, size| RtcpMode { port, size };
    let table = [
        (
            "",
            mode(RtcpPort::Own, RtcpSize::Compound),
            "192.0.2.1:7079",
        ),
        (
            "a=rtcp:9000",
            mode(RtcpPort::Own, RtcpSize::Compound),
            "192.0.2.1:9000",
        ),
        (
            "a=rtcp-mux",
            mode(RtcpPort::Shared, RtcpSize::Compound),
            "192.0.2.1:7078",
        ),
        // The port behind a=rtcp is for whoever does not share.
        (
            "a=rtcp:9000\na=rtcp-mux",
            mode(RtcpPort::Shared, RtcpSize::Compound),
            "192.0.2.1:7078",
        ),
        (
            "a=rtcp-rsize",
            mode(RtcpPort::Own, RtcpSize::Reduced),
            "192.0.2.1:7079",
        ),
        (
            "a=rtcp-mux\na=rtcp-rsize",
            mode(RtcpPort::Shared, RtcpSize::Reduced),
            "192.0.2.1:7078",
        ),
    ];
    for (attributes, mode, address) in table {
        let description = sdp(&format!(
            "m=audio 7078 RTP/AVP 0\n{attributes}\nm=video 0 RTP/AVP 97"
        ));
        let (_, text, media) = answer(&description);
        assert_eq!(rtcp(&media), (mode, address.to_owned()), "{attributes}");
        assert_eq!(has(&text, "a=rtcp-mux"), mode.port == RtcpPort::Shared);
        assert_eq!(has(&text, "a=rtcp-rsize"), mode.size == RtcpSize::Reduced);
        // The same text as an answer to our offer.
        let media = answered(&description).unwrap();
        assert_eq!(rtcp(&media), (mode, address.to_owned()), "{attributes}");
    }
}

#[test]
fn our_offer_proposes_both_and_names_a_port_for_whoever_shares_none() {
    let apart = LocalMedia {
        audio: Some(LocalPort {
            rtp: 40_000,
            rtcp: 41_000,
        }),
        video: None,
        ..local()
    };
    let security = capabilities(MediaSecurity::PlainAllowed);
    let (mut session, offer) = Session::offer(&security, &apart, &mut rng());
    let offer = String::from_utf8(offer.to_vec()).unwrap();
    for line in ["a=rtcp:41000", "a=rtcp-mux", "a=rtcp-rsize"] {
        assert!(has(&offer, line), "{line} in {offer}");
    }
    session
        .accept_answer(&sdp("m=audio 7078 RTP/AVP 0\na=rtcp-mux"))
        .unwrap();
    let later = session.reoffer(Direction::SendOnly).unwrap();
    let later = String::from_utf8(later.to_vec()).unwrap();
    assert!(has(&later, "a=rtcp-mux") && !has(&later, "a=rtcp-rsize"));
    assert!(!later.contains("a=rtcp:"), "the port is closed: {later}");
    // A peer behind the same server that shares none may take over.
    let media = session
        .accept_answer(&sdp("m=audio 7078 RTP/AVP 0"))
        .unwrap();
    assert_eq!(rtcp(&media).1, "192.0.2.1:7079");
    assert_eq!(rtcp(&media).0, RtcpMode::default());
}

#[test]
fn a_port_is_not_shared_with_payload_types_that_look_like_rtcp() {
    let offer = |number: u8| {
        sdp(&format!(
            "m=audio 7078 RTP/AVP {number}\na=rtpmap:{number} opus/48000/2\na=rtcp-mux"
        ))
    };
    for (number, port) in [
        (63, RtcpPort::Shared),
        (64, RtcpPort::Own),
        (72, RtcpPort::Own),
        (95, RtcpPort::Own),
        (96, RtcpPort::Shared),
    ] {
        let (_, text, media) = answer(&offer(number));
        assert_eq!(rtcp(&media).0.port, port, "{number}");
        assert_eq!(has(&text, "a=rtcp-mux"), port == RtcpPort::Shared);
    }
}

#[test]
fn the_feedback_that_both_ends_list_is_settled_under_every_profile() {
    let with = |nack, pli, fir, tmmbr| VideoFeedback {
        generic_nack: nack,
        picture_loss_indication: pli,
        full_intra_request: fir,
        temporary_bitrate: tmmbr,
        ..VideoFeedback::NONE
    };
    let congestion_control = VideoFeedback {
        congestion_control: true,
        ..VideoFeedback::NONE
    };
    let maximum_bitrate = VideoFeedback {
        maximum_bitrate: true,
        ..VideoFeedback::NONE
    };
    let table = [
        ("", with(false, false, false, false)),
        ("a=rtcp-fb:* nack pli", with(false, true, false, false)),
        ("a=rtcp-fb:97 ccm fir", with(false, false, true, false)),
        ("a=rtcp-fb:99 ccm fir", with(false, false, false, false)),
        ("a=rtcp-fb:* nack", with(true, false, false, false)),
        (
            "a=rtcp-fb:97 nack rpsi\na=rtcp-fb:* nack sli",
            with(false, false, false, false),
        ),
        (
            "a=rtcp-fb:97 ccm tmmbr smaxpr=120\na=rtcp-fb:* trr-int 100",
            with(false, false, false, true),
        ),
        (
            "a=rtcp-fb:97 nack\na=rtcp-fb:97 nack pli\na=rtcp-fb:* ccm fir\na=rtcp-fb:* ccm tmmbr",
            with(true, true, true, true),
        ),
        (
            "a=rtcp-fb:* ack ccfb\na=rtcp-fb:97 ack rpsi",
            congestion_control,
        ),
        ("a=rtcp-fb:97 goog-remb", maximum_bitrate),
        (
            "a=rtcp-fb:* ack\na=rtcp-fb:* ccfb\na=rtcp-fb:97 transport-cc",
            VideoFeedback::NONE,
        ),
    ];
    for profile in ["RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF"] {
        for (attributes, feedback) in table {
            let offer = sdp(&format!(
                "m=video 7078 {profile} 97
                 a=rtpmap:97 H264/90000
                 a=fmtp:97 profile-level-id=42e01f;packetization-mode=1
                 a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY30
                 {attributes}"
            ));
            let (_, text, media) = answer(&offer);
            let line = format!("m=video 40002 {profile} 97");
            assert!(has(&text, &line), "the profile is kept: {text}");
            let video = media.streams.video.unwrap();
            assert_eq!(video.feedback, feedback, "{attributes}");
            let written: Vec<_> = text
                .lines()
                .filter(|line| line.starts_with("a=rtcp-fb:"))
                .collect();
            let expected = feedback.names().map(|name| feedback_line(97, name));
            assert_eq!(written, expected.collect::<Vec<_>>());
        }
    }
}

#[test]
fn our_offer_names_the_old_profiles_and_lists_the_feedback_beside() {
    for (security, profile) in [
        (MediaSecurity::SrtpRequired, "RTP/SAVP"),
        (MediaSecurity::PlainAllowed, "RTP/AVP"),
    ] {
        let (_, offer) = Session::offer(&capabilities(security), &local(), &mut rng());
        let offer = String::from_utf8(offer.to_vec()).unwrap();
        assert!(has(
            &offer,
            &format!("m=video 40002 {profile} 97 98 102 103")
        ));
        for number in [97, 98] {
            for feedback in VideoFeedback::ALL.names() {
                assert!(has(&offer, &feedback_line(number, feedback)));
            }
        }
    }
}

/// The line that lists a feedback. Congestion control feedback is of all payload types (RFC 8888 section 6).
fn feedback_line(number: u8, name: &str) -> String {
    match name {
        "ack ccfb" => format!("a=rtcp-fb:* {name}"),
        _ => format!("a=rtcp-fb:{number} {name}"),
    }
}

/// An offer of H.264 as 97, with these attributes and these payload types behind it.
fn video_offer(behind: &str, attributes: &str) -> Vec<u8> {
    sdp(&format!(
        "m=video 7078 RTP/AVP 97 {behind}
         a=rtpmap:97 H264/90000
         a=fmtp:97 profile-level-id=42e01f;packetization-mode=1
         {attributes}"
    ))
}

fn rtx_of(media: &CallMedia) -> Option<(u8, u8)> {
    let rtx = media.streams.video.as_ref().unwrap().rtx?;
    Some((rtx.send.value(), rtx.receive.value()))
}

#[test]
fn packets_are_sent_again_in_a_stream_of_their_own_where_the_offer_has_one_for_the_codec() {
    const NACK: &str = "a=rtcp-fb:97 nack\n";
    const RTX: &str = "a=rtpmap:107 rtx/90000\n";
    let table = [
        ("107", format!("{NACK}{RTX}a=fmtp:107 apt=97"), Some(107)),
        (
            "107",
            format!("{NACK}{RTX}a=fmtp:107 rtx-time=3000 ; APT = 97"),
            Some(107),
        ),
        (
            "107 108",
            format!("{NACK}{RTX}a=fmtp:107 apt=98\na=rtpmap:108 RTX/90000\na=fmtp:108 apt=97"),
            Some(108),
        ),
        // Nobody would ask for anything.
        ("107", format!("{RTX}a=fmtp:107 apt=97"), None),
        (
            "107",
            format!("a=rtcp-fb:107 nack\n{RTX}a=fmtp:107 apt=97"),
            None,
        ),
        // For another codec, for itself, for none, for nonsense; of another clock; not in the list.
        ("107", format!("{NACK}{RTX}a=fmtp:107 apt=98"), None),
        ("107", format!("{NACK}{RTX}a=fmtp:107 apt=107"), None),
        ("107", format!("{NACK}{RTX}a=fmtp:107 rtx-time=3000"), None),
        ("107", format!("{NACK}{RTX}"), None),
        ("107", format!("{NACK}{RTX}a=fmtp:107 apt=353"), None),
        ("107", format!("{NACK}{RTX}a=fmtp:107 apt=97 98;apt"), None),
        (
            "107",
            format!("{NACK}a=rtpmap:107 rtx/48000\na=fmtp:107 apt=97"),
            None,
        ),
        ("", format!("{NACK}{RTX}a=fmtp:107 apt=97"), None),
    ];
    for (behind, attributes, number) in table {
        let (_, text, media) = answer(&video_offer(behind, &attributes));
        let video = media.streams.video.as_ref().unwrap();
        assert_eq!(
            video.feedback.generic_nack,
            attributes.contains(NACK),
            "{attributes}"
        );
        assert_eq!(rtx_of(&media), number.map(|n| (n, n)), "{attributes}");
        let line = match number {
            Some(number) => {
                let written = [
                    format!("a=rtpmap:{number} rtx/90000"),
                    format!("a=fmtp:{number} apt=97"),
                ];
                assert!(written.iter().all(|line| has(&text, line)), "{text}");
                format!("m=video 40002 RTP/AVP 97 {number}")
            }
            None => {
                assert!(!text.contains("rtx"), "{text}");
                "m=video 40002 RTP/AVP 97".to_owned()
            }
        };
        assert!(has(&text, &line), "{text}");
    }
}

#[test]
fn our_offer_has_a_stream_of_packets_sent_again_for_each_mode_and_the_answer_may_number_it_anew() {
    let security = capabilities(MediaSecurity::PlainAllowed);
    let (_, offer) = Session::offer(&security, &local(), &mut rng());
    let offer = String::from_utf8(offer.to_vec()).unwrap();
    for (number, original) in [(102, 97), (103, 98)] {
        assert!(has(&offer, &format!("a=rtpmap:{number} rtx/90000")));
        assert!(has(&offer, &format!("a=fmtp:{number} apt={original}")));
    }
    let answer = |numbers: &str, attributes: &str| {
        sdp(&format!(
            "m=audio 7078 RTP/AVP 0\nm=video 7080 RTP/AVP {numbers}
             a=rtpmap:98 H264/90000
             a=fmtp:98 profile-level-id=42e01f;packetization-mode=0
             {attributes}"
        ))
    };
    let rtx = "a=rtpmap:120 rtx/90000\na=fmtp:120 apt=98";
    let table = [
        (format!("a=rtcp-fb:98 nack\n{rtx}"), true, Some((120, 103))),
        ("a=rtcp-fb:98 nack".to_owned(), true, None),
        (rtx.to_owned(), false, None),
    ];
    for (attributes, nack, numbers) in table {
        let media = answered(&answer("98 120", &attributes)).unwrap();
        let feedback = media.streams.video.as_ref().unwrap().feedback;
        assert_eq!(feedback.generic_nack, nack, "{attributes}");
        assert_eq!(rtx_of(&media), numbers, "{attributes}");
    }
}
#[test]
fn limits_beyond_the_level_allow_a_picture_only_where_they_allow_all_of_it() {
    let hd = (Resolution::HD720, FrameRate(30));
    let cif = (
        Resolution {
            width: 352,
            height: 288,
        },
        FrameRate(15),
    );
    let table = [
        // Level 1.2 takes CIF at 15 frames a second and 384 kbit/s.
        ("profile-level-id=42e00c", false, 384),
        // Large pictures, but no more macroblocks a second: 1.7 of them.
        ("profile-level-id=42e00c;max-fs=3600", false, 384),
        ("profile-level-id=42e00c;max-mbps=108000", false, 384),
        (
            "profile-level-id=42e00c;max-mbps=108000;max-fs=3600",
            true,
            384,
        ),
        (
            "profile-level-id=42e00c;max-mbps=108000;max-fs=3600;max-br=1500",
            true,
            1_500,
        ),
        // Values below the level's own mean nothing (RFC 6184 section 8.1).
        (
            "profile-level-id=42e01f;max-mbps=100;max-fs=10;max-br=5",
            true,
            14_000,
        ),
        // A level above ours counts only where both ends allow other levels each way.
        ("profile-level-id=42e028", true, 14_000),
        (
            "profile-level-id=42e028;level-asymmetry-allowed=1",
            true,
            20_000,
        ),
    ];
    for (parameters, takes_hd, kbps) in table {
        let offer = sdp(&format!(
            "m=video 7078 RTP/AVP 97
             a=rtpmap:97 H264/90000
             a=fmtp:97 packetization-mode=1;{parameters}"
        ));
        let (_, text, media) = answer(&offer);
        let video = media.streams.video.unwrap();
        let level = H264Level::of(video.send_profile);
        assert_eq!(level.takes(hd.0, hd.1), takes_hd, "{parameters}");
        assert!(level.takes(cif.0, cif.1), "{parameters}");
        let most = video.max_bitrate.unwrap_or(level.max_bitrate);
        assert_eq!(most, Bitrate::kbps(kbps), "{parameters}");
        let asymmetric = parameters.contains("asymmetry");
        assert_eq!(text.contains("level-asymmetry-allowed=1"), asymmetric);
    }
}

#[test]
fn bitrate_limits_are_written_and_read_both_ways() {
    let offer = sdp("m=video 7078 RTP/AVP 97
         b=AS:900
         a=rtpmap:97 H264/90000
         a=fmtp:97 profile-level-id=42e01f");
    let (_, text, media) = answer(&offer);
    let most = media.streams.video.unwrap().max_bitrate;
    assert_eq!(most, Some(Bitrate::kbps(900)));
    assert!(has(&text, "b=AS:4000") && has(&text, "b=TIAS:4000000"));
    let (_, text) = Session::offer(
        &capabilities(MediaSecurity::PlainAllowed),
        &local(),
        &mut rng(),
    );
    let text = String::from_utf8(text.to_vec()).unwrap();
    assert!(has(&text, "b=AS:4000") && has(&text, "b=TIAS:4000000"));
}

#[test]
fn sound_keeps_to_what_its_own_line_says_less_the_headers_where_those_are_counted() {
    for (limit, expected) in [
        ("", None),
        ("b=TIAS:20000", Some(20_000)),
        ("b=AS:48", Some(32_000)),
        ("b=AS:48\nb=TIAS:20000", Some(20_000)),
        ("b=AS:8", Some(0)),
        ("b=AS:0", None),
        ("b=CT:48", None),
    ] {
        let offer = sdp(&format!(
            "b=AS:512\nm=audio 7078 RTP/AVP 96\n{limit}\na=rtpmap:96 opus/48000/2"
        ));
        let (_, _, media) = answer(&offer);
        let audio = media.streams.audio.unwrap();
        assert_eq!(audio.max_bitrate.map(Bitrate::as_bps), expected, "{limit}");
    }
}

#[test]
fn a_call_without_common_video_goes_on_as_sound_and_takes_video_later() {
    let sound = "m=audio 7078 RTP/AVP 0\na=rtcp-mux\n";
    let video = "m=video 7080 RTP/AVP 97\na=rtpmap:97 H264/90000\n\
         a=fmtp:97 profile-level-id=42e01f;packetization-mode=1\na=rtcp-mux\n";
    for without in [
        "m=video 7080 RTP/AVP 31",
        "m=video 7080 RTP/AVP 96\na=rtpmap:96 VP8/90000",
        "m=video 0 RTP/AVP 97",
        "m=video 7080 RTP/AVP 97\na=rtpmap:97 H264/90000\na=fmtp:97 packetization-mode=2",
        "",
    ] {
        // The peer offers.
        let (mut session, text, media) = answer(&sdp(&format!("{sound}{without}")));
        assert!(media.streams.audio.is_some() && media.streams.video.is_none());
        assert_eq!(text.contains("m=video 0 RTP/AVP "), !without.is_empty());
        let (body, media) = session
            .answer_reoffer(&mut rng(), &sdp(&format!("{sound}{video}")))
            .unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(has(&body, "m=video 40002 RTP/AVP 97"), "{body}");
        assert!(media.streams.video.is_some() && media.remote.video.is_some());
        // And takes it away again, its line kept.
        let (body, media) = session
            .answer_reoffer(&mut rng(), &sdp(&format!("{sound}m=video 0 RTP/AVP 97")))
            .unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(has(&body, "m=video 0 RTP/AVP 97"), "{body}");
        assert!(media.streams.audio.is_some() && media.streams.video.is_none());
    }
    // We offer, and the peer refuses the video or has no codec of ours.
    for refused in ["m=video 0 RTP/AVP 97", "m=video 7080 RTP/AVP 31"] {
        let security = capabilities(MediaSecurity::PlainAllowed);
        let (mut session, _) = Session::offer(&security, &local(), &mut rng());
        let media = session
            .accept_answer(&sdp(&format!("{sound}{refused}")))
            .unwrap();
        assert!(media.streams.audio.is_some() && media.streams.video.is_none());
        let (_, media) = session
            .answer_reoffer(&mut rng(), &sdp(&format!("{sound}{video}")))
            .unwrap();
        let video = media.streams.video.unwrap();
        assert_eq!(video.rtcp.port, RtcpPort::Shared);
        assert_eq!(video.send_profile, ProfileLevelId::CONSTRAINED_BASELINE_31);
    }
}

/// One `m=` section that a peer might write, sound or not.
fn section() -> impl Strategy<Value = String> {
    let media = prop::sample::select(vec![
        "audio",
        "audio",
        "video",
        "video",
        "application",
        "text",
    ]);
    let port = prop::sample::select(vec![0_u16, 9, 7_078, 7_080, 65_535]);
    let profile = prop::sample::select(vec![
        "RTP/AVP",
        "RTP/AVP",
        "RTP/AVPF",
        "RTP/SAVP",
        "RTP/SAVPF",
        "UDP/TLS/RTP/SAVPF",
        "UDP/BFCP",
    ]);
    let numbers =
        prop::sample::subsequence(vec![0_u8, 8, 9, 18, 34, 63, 72, 96, 97, 98, 101], 1..8);
    let attribute = prop::sample::select(vec![
        "a=rtpmap:96 opus/48000/2",
        "a=rtpmap:72 opus/48000/2",
        "a=rtpmap:97 H264/90000",
        "a=rtpmap:98 H264/90000",
        "a=rtpmap:97 VP8/90000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:97 profile-level-id=42e00c;packetization-mode=1;max-fs=3600",
        "a=fmtp:98 profile-level-id=640028;packetization-mode=0;level-asymmetry-allowed=1",
        "a=rtcp-fb:* nack pli",
        "a=rtcp-fb:97 ccm fir",
        "a=rtcp-fb:98 ccm tmmbr",
        "a=rtcp-fb:* ack ccfb",
        "a=rtcp-fb:97 goog-remb",
        "a=rtcp-fb:* nack",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        "a=rtcp:9001",
        "a=crypto:7 AEAD_AES_256_GCM inline:KEY44",
        "a=crypto:3 AEAD_AES_128_GCM inline:KEY28",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY30",
        "a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:KEY30",
        "a=crypto:4 AEAD_AES_256_GCM inline:KEY30",
        "a=sendonly",
        "a=recvonly",
        "a=inactive",
        "a=content:slides",
        "a=content:main",
    ]);
    let attributes = prop::collection::vec(attribute, 0..14);
    (media, port, profile, numbers, attributes).prop_map(
        |(media, port, profile, numbers, attributes)| {
            let numbers: Vec<String> = numbers.iter().map(u8::to_string).collect();
            let head = format!("m={media} {port} {profile} {}", numbers.join(" "));
            [vec![head.as_str()], attributes].concat().join("\n") + "\n"
        },
    )
}

fn attributes<'a>(media: &'a sdp_types::Media, name: &'a str) -> impl Iterator<Item = &'a str> {
    let all = media.attributes.iter();
    all.filter(move |attribute| attribute.attribute == name)
        .map(|attribute| attribute.value.as_deref().unwrap_or_default())
}

/// What an answer may say of a line (RFC 3264 section 6, and for what each RFC adds).
fn check_answer_line(offered: &sdp_types::Media, answered: &sdp_types::Media) {
    assert_eq!(answered.media, offered.media);
    assert_eq!(answered.proto, offered.proto);
    let numbers = |media: &sdp_types::Media| -> Vec<String> {
        media.fmt.split(' ').map(str::to_owned).collect()
    };
    assert!(
        numbers(answered)
            .iter()
            .all(|number| numbers(offered).contains(number)),
        "{} of {}",
        answered.fmt,
        offered.fmt
    );
    if answered.port == 0 {
        return;
    }
    assert_ne!(offered.port, 0, "a refused line stays refused");
    let is = |media: &sdp_types::Media, name: &str| attributes(media, name).next().is_some();
    for name in ["rtcp-mux", "rtcp-rsize"] {
        assert!(is(offered, name) || !is(answered, name), "{name}");
    }
    // Sending needs a receiver, and the other way round (RFC 3264 section 6.1).
    let sends = |media| !is(media, "recvonly") && !is(media, "inactive");
    let receives = |media| !is(media, "sendonly") && !is(media, "inactive");
    let first_direction = offered.attributes.iter().find(|attribute| {
        ["sendonly", "recvonly", "inactive", "sendrecv"].contains(&attribute.attribute.as_str())
    });
    if let Some(direction) = first_direction {
        let mut only = offered.clone();
        only.attributes = vec![direction.clone()];
        assert!(receives(&only) || !sends(answered));
        assert!(sends(&only) || !receives(answered));
    }
    let first_words = |value: &str| -> String {
        value
            .split_ascii_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let keys: Vec<_> = attributes(answered, "crypto").map(first_words).collect();
    assert!(keys.len() <= 1, "one key: {keys:?}");
    for key in keys {
        assert!(attributes(offered, "crypto").any(|value| first_words(value) == key));
    }
    for feedback in attributes(answered, "rtcp-fb") {
        let (number, what) = feedback.split_once(' ').unwrap();
        let offers = attributes(offered, "rtcp-fb").any(|value| {
            [format!("{number} {what}"), format!("* {what}")].contains(&value.to_owned())
        });
        assert!(offers, "{feedback}");
    }
}

proptest! {
    // A quarter of the offers has something in common with us.
    #![proptest_config(ProptestConfig::with_cases(1_500))]
    #[test]
    fn every_offer_gets_an_answer_that_rfc_3264_allows(
        sections in prop::collection::vec(section(), 1..6),
        later in prop::collection::vec(section(), 0..3),
        secured in any::<bool>(),
        sharing in any::<bool>(),
    ) {
        let security = if secured {
            MediaSecurity::SrtpRequired
        } else {
            MediaSecurity::PlainAllowed
        };
        let content = if sharing { ContentSharing::On } else { ContentSharing::Off };
        let capabilities = Capabilities { content, ..capabilities(security) };
        let offer = sdp(&sections.concat());
        let Ok((mut session, answer, media)) =
            Session::answer(&capabilities, &local(), &mut rng(), &offer)
        else {
            return Ok(());
        };
        let check = |offer: &[u8], answer: &[u8]| {
            let offered = sdp_types::Session::parse(offer).unwrap();
            let answered = sdp_types::Session::parse(answer).unwrap();
            assert_eq!(offered.medias.len(), answered.medias.len());
            for (offered, answered) in offered.medias.iter().zip(&answered.medias) {
                check_answer_line(offered, answered);
            }
        };
        check(&offer, &answer);
        let streams = &media.streams;
        prop_assert!(streams.audio.is_some() || streams.video.is_some());
        if secured {
            prop_assert!(streams.audio.as_ref().is_none_or(|audio| audio.srtp.is_some()));
            prop_assert!(streams.video.as_ref().is_none_or(|video| video.srtp.is_some()));
        }
        // More lines later: the old ones keep their places.
        let more = sdp(&[sections, later].concat().concat());
        let (answer, _) = session.answer_reoffer(&mut rng(), &more).unwrap();
        check(&more, &answer);
    }
}
