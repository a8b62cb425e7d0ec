//! Our offers, and the answers of others.

use super::*;

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
