//! Offers as browsers write them, and such as no browser writes.
//!
//! The fixtures follow the form of Chromium 156, Firefox and Safari; keys, names and addresses in them
//! are made up.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::time::{Duration, Instant};

use room::codec::{AudioCodec, Direction, PacketizationMode, ProfileLevelId};
use room::media_plan::{LegStreams, Medium};
use room::units::Bitrate;
use webrtc::{Error, Leg, LegSettings, LocalAddress};

const CHROMIUM: &str = include_str!("chromium.sdp");
const FIREFOX: &str = include_str!("firefox.sdp");
const SAFARI: &str = include_str!("safari.sdp");

const BROWSERS: [(&str, &str); 3] = [
    ("chromium", CHROMIUM),
    ("firefox", FIREFOX),
    ("safari", SAFARI),
];

fn answer(offer: &str) -> Result<(Leg, String), Error> {
    let addresses = [
        LocalAddress::udp("192.0.2.1:5000".parse().unwrap()),
        LocalAddress::udp("[2001:db8::1]:5000".parse().unwrap()),
        LocalAddress::tcp_passive("192.0.2.1:5001".parse().unwrap()),
        LocalAddress::tcp_active("192.0.2.1".parse().unwrap()),
    ];
    let settings = LegSettings::default();
    Leg::answer(Instant::now(), [7; 32], settings, &addresses, offer)
}

fn settled(offer: &str) -> LegStreams {
    answer(offer).unwrap().0.streams().clone()
}

#[test]
fn each_browser_gets_sound_pictures_and_slides() {
    for (browser, audio, video, level) in [
        (CHROMIUM, 111, 103, 0x42_00_1f),
        (FIREFOX, 109, 126, 0x42_e0_1f),
        (SAFARI, 111, 98, 0x42_e0_1f),
    ] {
        let streams = settled(browser);
        let sound = streams.audio.unwrap();
        assert_eq!(sound.codec, AudioCodec::Opus);
        assert_eq!(sound.send_payload_type.value(), audio);
        assert_eq!(sound.receive_payload_type.value(), audio);
        assert_eq!(sound.direction, Direction::SendRecv);
        let picture = streams.video.unwrap();
        assert_eq!(picture.send_payload_type.value(), video);
        assert_eq!(picture.receive_payload_type.value(), video);
        assert_eq!(
            picture.send_packetization_mode,
            PacketizationMode::NonInterleaved
        );
        let ProfileLevelId {
            profile_idc,
            profile_iop,
            level_idc,
        } = picture.send_profile;
        let [_, expected @ ..] = u32::to_be_bytes(level);
        assert_eq!([profile_idc, profile_iop, level_idc], expected);
        assert_eq!(picture.direction, Direction::SendRecv);
        assert!(picture.feedback.picture_loss_indication && picture.feedback.generic_nack);
        assert_eq!((picture.rtx, &picture.srtp), (None, &None));
        let slides = streams.slides.unwrap();
        assert_eq!(slides.direction, Direction::Inactive);
        assert_eq!(slides.send_payload_type.value(), video);
    }
}

#[test]
fn sound_is_sent_again_where_the_browser_offers_it_and_nowhere_else() {
    let line = "a=rtcp-fb:111 nack\r\n";
    let cases = [
        ("", false),
        (line, true),
        ("a=rtcp-fb:* nack\r\n", true),
        ("a=rtcp-fb:63 nack\r\n", false),
        ("a=rtcp-fb:111 nack pli\r\n", false),
        ("a=rtcp-fb:200 nack\r\n", false),
    ];
    for (more, agreed) in cases {
        let opus = "a=rtpmap:111 opus/48000/2\r\n";
        assert!(CHROMIUM.contains(opus));
        let offer = CHROMIUM.replacen(opus, &format!("{opus}{more}"), 1);
        let (leg, answer) = answer(&offer).unwrap();
        let audio = leg.streams().audio.as_ref().unwrap();
        assert_eq!(audio.generic_nack, agreed, "{more}");
        assert_eq!(answer.matches(line).count(), usize::from(agreed), "{more}");
    }
}

#[test]
fn a_browser_that_only_watches_slides_may_share_its_own_later() {
    for (name, offer) in BROWSERS {
        let offer = offer.replacen("a=inactive", "a=recvonly", 1);
        let (mut leg, _) = answer(&offer).unwrap();
        let direction = |leg: &Leg| leg.streams().slides.as_ref().unwrap().direction;
        assert_eq!(direction(&leg), Direction::SendOnly, "{name}");
        let offer = offer.replacen("a=recvonly", "a=sendrecv", 1);
        leg.reoffer(Instant::now(), &offer).unwrap();
        assert_eq!(direction(&leg), Direction::SendRecv, "{name}");
    }
}

#[test]
fn what_a_browser_takes_at_most_is_known() {
    let streams = settled(SAFARI);
    assert_eq!(
        streams.video.unwrap().max_bitrate,
        Some(Bitrate::kbps(2_000))
    );
    assert_eq!(streams.slides.unwrap().max_bitrate, None);
    let offer = CHROMIUM.replacen(
        "a=rtcp:9 IN IP4 0.0.0.0",
        "b=AS:64\r\nb=TIAS:48000\r\na=rtcp:9 IN IP4 0.0.0.0",
        1,
    );
    let audio = settled(&offer).audio.unwrap();
    assert_eq!(audio.max_bitrate, Some(Bitrate::kbps(48)));
}

#[test]
fn the_answer_takes_what_is_wanted_and_nothing_else() {
    for (name, offer) in BROWSERS {
        let (_, answer) = answer(offer).unwrap();
        let lines: Vec<_> = answer.lines().collect();
        let count = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
        assert_eq!(count("m=audio"), 1, "{name}");
        assert_eq!(count("m=video"), 2, "{name}");
        assert_eq!(count("m=application"), 1, "{name}");
        assert_eq!(count("a=mid:"), 4, "{name}");
        assert_eq!(count("a=setup:passive"), 4, "{name}");
        assert!(answer.contains("192.0.2.1 5000 typ host"), "{name}");
        assert!(answer.contains("2001:db8::1 5000 typ host"), "{name}");
        assert!(answer.contains("192.0.2.1 5001 typ host"), "{name}");
        assert!(answer.contains("tcptype passive"), "{name}");
        assert!(
            answer.contains("192.0.2.1 9 typ host tcptype active"),
            "{name}"
        );
        assert!(answer.contains("useinbandfec=1"), "{name}");
        assert!(answer.contains("packetization-mode=1"), "{name}");
        assert!(!answer.contains("packetization-mode=0"), "{name}");
        assert!(answer.contains("rtx/90000"), "{name}");
        for codec in ["VP8", "VP9", "AV1", "H265", "ulpfec", "PCMU", "G722"] {
            assert!(!answer.contains(&format!(" {codec}/")), "{name} {codec}");
        }
        // Opus first: what the browser sends is not repeated. Firefox knows no RED for sound.
        let repeats = name != "firefox";
        assert_eq!(
            answer.contains("m=audio 9 UDP/TLS/RTP/SAVPF 111 63"),
            repeats,
            "{name}"
        );
        assert_eq!(
            count("a=rtpmap:63 red/48000/2"),
            usize::from(repeats),
            "{name}"
        );
        for extension in ["transport-wide-cc", "sdes:mid"] {
            assert!(answer.contains(extension), "{name} {extension}");
        }
        for extension in ["abs-send-time", "video-orientation", "audio-level"] {
            assert!(!answer.contains(extension), "{name} {extension}");
        }
        assert!(!answer.contains("goog-remb"), "{name}");
    }
}

#[test]
fn names_and_passwords_of_ice_come_from_the_seed_and_are_new_after_a_restart() {
    let (mut leg, first) = answer(CHROMIUM).unwrap();
    let (_, again) = answer(CHROMIUM).unwrap();
    let credentials = |answer: &str| {
        let value = |start: &str| {
            let line = answer.lines().find_map(|line| line.strip_prefix(start));
            line.unwrap().to_owned()
        };
        (value("a=ice-ufrag:"), value("a=ice-pwd:"))
    };
    assert_eq!(credentials(&first), credentials(&again));
    assert_eq!(credentials(&first).1.len(), 32);

    let now = Instant::now();
    let (ufrag, password) = credentials(CHROMIUM);
    let restarted = CHROMIUM
        .replace(&ufrag, "Wxyz")
        .replace(&password, &"q".repeat(24));
    let second = leg.reoffer(now, &restarted).unwrap();
    assert_ne!(credentials(&second).0, credentials(&first).0);
    assert_eq!(credentials(&second).1.len(), 32, "ours, not the engine's");
    assert!(!second.contains(&credentials(&first).1));
    // Checks with the new name are for this leg; with the old one they are not.
    let unchanged = leg.reoffer(now, &restarted).unwrap();
    assert_eq!(credentials(&unchanged), credentials(&second));
}

/// The lines of one medium, until the next media line.
fn without_medium(offer: &str, start: &str) -> String {
    let mut kept = String::new();
    let mut keep = true;
    for line in offer.lines() {
        if line.starts_with("m=") {
            keep = !line.starts_with(start);
        }
        if keep {
            kept.push_str(line);
            kept.push_str("\r\n");
        }
    }
    kept
}

#[test]
fn offers_without_a_common_codec_or_without_sound_are_refused() {
    for (_, offer) in BROWSERS {
        let no_h264 = offer.replace(" H264/90000", " H266X/90000");
        let refused = answer(&no_h264).err().unwrap();
        assert!(
            matches!(refused, Error::NoCommonCodec(Medium::Video)),
            "{refused}"
        );
        let mode_0 = offer.replace("packetization-mode=1", "packetization-mode=0");
        let refused = answer(&mode_0).err().unwrap();
        assert!(
            matches!(refused, Error::NoCommonCodec(Medium::Video)),
            "{refused}"
        );
        let no_opus = offer.replace(" opus/48000/2", " vorbis/48000/2");
        let refused = answer(&no_opus).err().unwrap();
        assert!(
            matches!(refused, Error::NoCommonCodec(Medium::Audio)),
            "{refused}"
        );
        let no_audio = without_medium(offer, "m=audio");
        let refused = answer(&no_audio).err().unwrap();
        assert!(matches!(refused, Error::NoAudio), "{refused}");
        // Sound alone will do.
        let sound = without_medium(&without_medium(offer, "m=video"), "m=application");
        let sound = sound.replace("BUNDLE 0 1 2 3", "BUNDLE 0");
        let streams = settled(&sound);
        assert!(streams.audio.is_some() && streams.video.is_none() && streams.slides.is_none());
    }
}

#[test]
fn garbage_is_refused() {
    for garbage in [
        "",
        "\r\n",
        "v=0\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        &"m=audio".repeat(100),
        &CHROMIUM[..CHROMIUM.len() / 2].replace("a=mid:", "a=mud:"),
        &CHROMIUM.replace("a=fingerprint", "a=fungerprint"),
        &CHROMIUM.replace("a=ice-pwd", "a=ice-pud"),
        &CHROMIUM.replace("a=mid:1", "a=mid:0"),
        &CHROMIUM.replace("a=mid:1", &format!("a=mid:{}", "1".repeat(17))),
        &CHROMIUM.replace("a=rtpmap:97 rtx", "a=rtpmap:297 rtx"),
        &CHROMIUM.replacen("m=audio", "m=image", 1),
    ] {
        assert!(answer(garbage).is_err(), "{garbage:.60}");
    }
}

#[test]
fn numbers_that_stand_for_two_things_are_refused() {
    for (from, to) in [
        // Opus and H.264; two retransmissions of one; one that repeats itself; one that repeats two.
        ("a=rtpmap:103 H264", "a=rtpmap:111 H264"),
        ("a=fmtp:104 apt=103", "a=fmtp:104 apt=96"),
        ("a=fmtp:104 apt=103", "a=fmtp:104 apt=104"),
        (
            "a=fmtp:104 apt=103",
            "a=fmtp:104 apt=103\r\na=fmtp:104 apt=109",
        ),
        ("a=fmtp:104 apt=103", "a=fmtp:104 apt=97"),
        ("SAVPF 96 97", "SAVPF 96 96"),
        (
            "a=rtpmap:103 H264/90000",
            "a=rtpmap:103 H264/90000\r\na=rtpmap:103 VP8/90000",
        ),
    ] {
        let refused = answer(&CHROMIUM.replace(from, to)).err().unwrap();
        assert!(
            matches!(refused, Error::PayloadTypeConflict(_)),
            "{to}: {refused}"
        );
    }
}

#[test]
fn a_number_means_the_same_in_every_line_and_in_every_offer() {
    let first = "a=fmtp:117 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f";
    let other = "a=fmtp:117 level-asymmetry-allowed=1;packetization-mode=1";
    let refused = answer(&CHROMIUM.replacen(first, other, 1)).err().unwrap();
    assert!(
        matches!(refused, Error::PayloadTypeConflict(117)),
        "{refused}"
    );

    // The second picture comes with a later offer, and other numbers.
    let slides = CHROMIUM.rfind("m=video").unwrap();
    let data = CHROMIUM.find("m=application").unwrap();
    let early = format!("{}{}", &CHROMIUM[..slides], &CHROMIUM[data..]);
    let early = early
        .replace("a=mid:3", "a=mid:2")
        .replace("BUNDLE 0 1 2 3", "BUNDLE 0 1 2");
    let (mut leg, _) = answer(&early).unwrap();
    let slides = CHROMIUM[slides..data].replace("a=mid:2", "a=mid:3");
    let swapped = slides
        .replace("42e01f", "x")
        .replace("4d001f", "42e01f")
        .replace('x', "4d001f");
    let early = early.replace("BUNDLE 0 1 2", "BUNDLE 0 1 2 3");
    let refused = leg.reoffer(Instant::now(), &format!("{early}{swapped}"));
    assert!(matches!(refused, Err(Error::PayloadTypeConflict(_))));
    leg.reoffer(Instant::now(), &format!("{early}{slides}"))
        .unwrap();
    assert!(leg.streams().slides.is_some());
}

#[test]
fn offers_beyond_the_limits_are_refused() {
    let huge = format!("{CHROMIUM}{}", "a=x-padding:1\r\n".repeat(5_000));
    let refused = answer(&huge).err().unwrap();
    assert!(
        matches!(refused, Error::DescriptionTooLong { .. }),
        "{refused}"
    );
    let long = format!("{CHROMIUM}{}", "a=x\r\n".repeat(2_000));
    assert!(matches!(
        answer(&long).err().unwrap(),
        Error::TooMany { what: "lines", .. }
    ));
    let candidates: String = (0..500)
        .map(|port| {
            format!(
                "a=candidate:1 1 udp 1 192.0.2.9 {} typ host\r\n",
                10_000 + port
            )
        })
        .collect();
    let refused = answer(&format!("{CHROMIUM}{candidates}")).err().unwrap();
    assert!(
        matches!(
            refused,
            Error::TooMany {
                what: "candidates",
                ..
            }
        ),
        "{refused}"
    );
    let sources: String = (0..100)
        .map(|ssrc| format!("a=ssrc:{ssrc} cname:x\r\n"))
        .collect();
    let offer = CHROMIUM.replacen("a=rtcp-rsize\r\n", &format!("a=rtcp-rsize\r\n{sources}"), 1);
    assert!(matches!(
        answer(&offer).err().unwrap(),
        Error::TooMany {
            what: "sources",
            ..
        }
    ));
    let line = CHROMIUM.find("m=video").unwrap();
    let third = format!("{CHROMIUM}{}", &CHROMIUM[line..]);
    assert!(matches!(
        answer(&third).err().unwrap(),
        Error::TooMany { .. }
    ));
}

#[test]
fn ten_thousand_candidates_and_a_storm_of_offers_cost_nothing() {
    let (mut leg, _) = answer(CHROMIUM).unwrap();
    let now = Instant::now();
    let mut taken = 0;
    for number in 0..10_000_u32 {
        let [.., c, d] = number.to_be_bytes();
        let line = format!("candidate:1 1 udp 2113937151 198.18.{c}.{d} 50000 typ host");
        match leg.add_remote_candidate(now, &line) {
            Ok(()) => taken += 1,
            Err(error) => assert!(matches!(error, Error::TooManyCandidates { .. })),
        }
    }
    assert!((100..=200).contains(&taken), "{taken}");
    assert!(leg.add_remote_candidate(now, "nonsense").is_err());

    let mut answered = 0;
    for second in 0..120 {
        for _ in 0..10 {
            let now = now + Duration::from_secs(second);
            match leg.reoffer(now, CHROMIUM) {
                Ok(_) => answered += 1,
                Err(error) => assert!(matches!(error, Error::TooManyOffers { .. } | Error::Closed)),
            }
        }
    }
    assert!(answered <= 20, "{answered}");
}

#[test]
fn errors_quote_no_password() {
    let password = CHROMIUM
        .lines()
        .find_map(|line| line.strip_prefix("a=ice-pwd:"))
        .unwrap();
    for broken in [
        CHROMIUM.replacen("a=ice-pwd:", "a=ice-pwd ", 1),
        CHROMIUM.replace("a=setup:actpass", "a=setup"),
        CHROMIUM.replacen("t=0 0", "t=zero", 1),
    ] {
        if let Err(error) = answer(&broken) {
            let text = format!("{error} {error:?}");
            assert!(!text.contains(password), "{text}");
        }
    }
}

/// Chromium's offer as it is where its camera is sent in two sizes, or in those of `list`.
fn with_layers(list: &str) -> String {
    let rids: String = list
        .split([';', ','])
        .map(|rid| format!("a=rid:{} send\r\n", rid.trim_start_matches('~')))
        .collect();
    let video = CHROMIUM.find("a=mid:1").unwrap();
    let end = CHROMIUM[video..]
        .find("m=")
        .map_or(CHROMIUM.len(), |at| video + at);
    let line: String = CHROMIUM[video..end]
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("a=ssrc"))
        .collect();
    format!(
        "{}{line}{rids}a=simulcast:send {list}\r\n{}",
        &CHROMIUM[..video],
        &CHROMIUM[end..]
    )
}

#[test]
fn a_camera_in_two_sizes_is_taken_in_both() {
    let (leg, described) = answer(&with_layers("h;l")).unwrap();
    for line in ["a=rid:h recv", "a=rid:l recv", "a=simulcast:recv h;l"] {
        assert_eq!(
            described.lines().filter(|it| *it == line).count(),
            1,
            "{line}"
        );
    }
    let slides = described.rfind("m=video").unwrap();
    assert!(
        !described[slides..].contains("simulcast"),
        "on its line alone"
    );
    // What is sent to the browser is one stream, whose sources the answer names.
    let camera = &described[described.find("m=video").unwrap()..slides];
    assert!(camera.contains("a=ssrc-group:FID "), "{camera}");
    let plain = settled(CHROMIUM);
    assert_eq!(leg.streams(), &plain);
    for (list, taken) in [("h;~l", "h;l"), ("q;x;f", "q;x"), ("a,b;c", "a;c")] {
        let (_, described) = answer(&with_layers(list)).unwrap();
        let line = format!("a=simulcast:recv {taken}");
        assert!(described.lines().any(|it| it == line), "{list}");
    }
}

#[test]
fn what_cannot_be_taken_in_two_sizes_is_taken_in_one() {
    for list in ["h", "h;h", "h,l", "too-long-to-be;kept-by-anybody"] {
        let (leg, described) = answer(&with_layers(list)).unwrap();
        assert!(
            !described.contains("simulcast") && !described.contains("a=rid"),
            "{list}"
        );
        assert_eq!(leg.streams(), &settled(CHROMIUM), "{list}");
    }
    for (name, offer) in BROWSERS {
        let (_, described) = answer(offer).unwrap();
        assert!(!described.contains("simulcast"), "{name}");
    }
}

#[test]
fn sizes_may_come_and_go_with_later_offers() {
    let (mut leg, _) = answer(CHROMIUM).unwrap();
    for (offer, both) in [
        (with_layers("h;l"), true),
        (CHROMIUM.to_owned(), false),
        (with_layers("h;l"), true),
    ] {
        let described = leg.reoffer(Instant::now(), &offer).unwrap();
        assert_eq!(described.contains("a=simulcast:recv h;l"), both);
    }
}

#[test]
fn an_offer_with_ever_so_many_sizes_is_refused() {
    let list: Vec<String> = (0..1_000).map(|number| format!("r{number}")).collect();
    let refused = answer(&with_layers(&list.join(";")));
    assert!(matches!(
        refused,
        Err(Error::TooMany {
            what: "stream ids",
            ..
        })
    ));
}
