//! Offers of others, and what we answer; refusals and bad input.

use super::*;

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
