//! Keys by DTLS (RFC 5763) in offer and answer: who takes which part, with which certificate, and when
//! the handshake that stands goes on.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::net::IpAddr;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use room::codec::{AudioCodec, Direction, RtcpPort};
use sip::offer_answer::{
    AgreedSecurity, BfcpTransport, CallMedia, Capabilities, ContentSharing, DtlsSetup, DtlsSrtp,
    Fingerprint, H264Capabilities, IceUse, LineRefusal, LocalMedia, LocalPort, MediaKeys,
    MediaSecurity, SdpError, Session,
};

const OURS: Fingerprint = Fingerprint([0xa1; 32]);
const THEIRS: Fingerprint = Fingerprint([0xb2; 32]);
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";

fn capabilities(security: MediaSecurity, media_keys: MediaKeys) -> Capabilities {
    Capabilities {
        audio: vec![AudioCodec::Opus, AudioCodec::Pcmu],
        video: H264Capabilities::default(),
        security,
        media_keys,
        certificate: Some(OURS),
        ice: IceUse::default(),
        content: ContentSharing::Off,
        floor_transport: BfcpTransport::default(),
    }
}

fn required(media_keys: MediaKeys) -> Capabilities {
    capabilities(MediaSecurity::SrtpRequired, media_keys)
}

fn local() -> LocalMedia {
    let port = |rtp| Some(LocalPort { rtp, rtcp: rtp + 1 });
    LocalMedia {
        address: IpAddr::from([192, 0, 2, 10]),
        audio: port(40_000),
        video: None,
        content: None,
    }
}

fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

/// A description of the peer with one line of sound, to which `attributes` belong.
fn sdp(profile: &str, attributes: &str) -> Vec<u8> {
    let text = format!(
        "v=0\no=- 42 7 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n\
         m=audio 7078 {profile} 0\n{attributes}"
    );
    let text = text
        .replace("FINGERPRINT", &THEIRS.to_string())
        .replace("KEY", KEY);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let text: String = lines.flat_map(|line| [line, "\r\n"]).collect();
    text.into_bytes()
}

fn text(body: &[u8]) -> String {
    String::from_utf8(body.to_vec()).unwrap()
}

fn has(description: &[u8], line: &str) -> bool {
    text(description).lines().any(|present| present == line)
}

fn by_dtls(media: &CallMedia) -> DtlsSrtp {
    let audio = media.streams.audio.as_ref().unwrap();
    assert_eq!(audio.srtp, None, "keys come by the handshake alone");
    assert_eq!(audio.rtcp.port, RtcpPort::Shared);
    assert_eq!(media.security, AgreedSecurity::Secured);
    media.dtls.audio.unwrap()
}

fn answer(offer: &[u8]) -> Result<(Session, bytes::Bytes, CallMedia), SdpError> {
    // What we offer ourselves makes no difference.
    Session::answer(&required(MediaKeys::Sdes), &local(), &mut rng(1), offer)
}

fn refusal(offer: &[u8]) -> LineRefusal {
    match answer(offer).map(|(_, body, _)| text(&body)) {
        Err(SdpError::NothingAcceptable(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_of_us_agree_on_a_handshake_that_the_answerer_begins() {
    let ours = required(MediaKeys::DtlsSrtp);
    let theirs = Capabilities {
        certificate: Some(THEIRS),
        ..required(MediaKeys::Sdes)
    };
    let (mut caller, offer) = Session::offer(&ours, &local(), &mut rng(1));
    assert!(has(&offer, "m=audio 40000 UDP/TLS/RTP/SAVPF 96 0 100 101"));
    assert!(has(&offer, &format!("a=fingerprint:{OURS}")));
    assert!(has(&offer, "a=setup:actpass"));
    assert!(!text(&offer).contains("a=crypto"));
    let (_, answer, called) = Session::answer(&theirs, &local(), &mut rng(2), &offer).unwrap();
    assert!(has(&answer, "a=setup:active"));
    assert!(has(&answer, &format!("a=fingerprint:{THEIRS}")));
    let calling = caller.accept_answer(&answer).unwrap();
    let passive = DtlsSrtp {
        setup: DtlsSetup::Passive,
        certificate: THEIRS,
    };
    let active = DtlsSrtp {
        setup: DtlsSetup::Active,
        certificate: OURS,
    };
    assert_eq!((by_dtls(&calling), by_dtls(&called)), (passive, active));
}

#[test]
fn an_offer_of_dtls_alone_is_answered_with_the_part_that_it_leaves() {
    for (attribute, written, ours) in [
        ("a=setup:actpass", "a=setup:active", DtlsSetup::Active),
        ("a=setup:passive", "a=setup:active", DtlsSetup::Active),
        ("a=setup:active", "a=setup:passive", DtlsSetup::Passive),
        ("", "a=setup:passive", DtlsSetup::Passive),
    ] {
        for profile in [
            "UDP/TLS/RTP/SAVP",
            "UDP/TLS/RTP/SAVPF",
            "RTP/SAVP",
            "RTP/SAVPF",
            "RTP/AVP",
        ] {
            let offer = sdp(
                profile,
                &format!("a=rtcp-mux\na=fingerprint:FINGERPRINT\n{attribute}"),
            );
            let (_, body, media) = answer(&offer).unwrap();
            assert!(has(&body, written), "{profile} {attribute}");
            assert!(has(&body, &format!("m=audio 40000 {profile} 0")));
            let agreed = by_dtls(&media);
            assert_eq!((agreed.setup, agreed.certificate), (ours, THEIRS));
        }
    }
}

#[test]
fn attributes_of_the_session_count_for_its_lines() {
    let line = "m=audio 7078";
    let offer = text(&sdp("UDP/TLS/RTP/SAVPF", "a=rtcp-mux"));
    let session = format!("a=setup:actpass\r\na=fingerprint:{THEIRS}\r\n{line}");
    let offer = offer.replace(line, &session);
    let (_, _, media) = answer(offer.as_bytes()).unwrap();
    assert_eq!(by_dtls(&media).certificate, THEIRS);
}

#[test]
fn keys_of_the_description_are_taken_before_a_handshake_unless_the_profile_wants_one() {
    let both = "a=rtcp-mux
        a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY
        a=setup:actpass
        a=fingerprint:FINGERPRINT";
    let (_, body, media) = answer(&sdp("RTP/SAVPF", both)).unwrap();
    assert!(media.streams.audio.unwrap().srtp.is_some());
    assert_eq!(media.dtls.audio, None);
    assert!(!text(&body).contains("fingerprint"));
    let (_, body, media) = answer(&sdp("UDP/TLS/RTP/SAVPF", both)).unwrap();
    assert_eq!(by_dtls(&media).certificate, THEIRS);
    assert!(!text(&body).contains("crypto"));
}

#[test]
fn what_would_leave_media_without_a_proven_peer_is_refused() {
    let whole = "a=rtcp-mux\na=setup:actpass\na=fingerprint:FINGERPRINT";
    let table = [
        (
            whole.replace("a=rtcp-mux\n", ""),
            LineRefusal::RtcpNotShared,
        ),
        (
            whole.replace("a=fingerprint:FINGERPRINT", ""),
            LineRefusal::NoAcceptableKey,
        ),
        (
            whole.replace("FINGERPRINT", "sha-1 00:11:22"),
            LineRefusal::NoAcceptableKey,
        ),
        (
            whole.replace("actpass", "holdconn"),
            LineRefusal::NoAcceptableKey,
        ),
    ];
    for (attributes, reason) in table {
        assert_eq!(
            refusal(&sdp("UDP/TLS/RTP/SAVPF", &attributes)),
            reason,
            "{attributes}"
        );
    }
    let without = Capabilities {
        certificate: None,
        ..required(MediaKeys::DtlsSrtp)
    };
    let offer = sdp("UDP/TLS/RTP/SAVPF", whole);
    let refused = Session::answer(&without, &local(), &mut rng(1), &offer);
    assert_eq!(
        refused.map(drop),
        Err(SdpError::NothingAcceptable(
            LineRefusal::UnsupportedTransport
        ))
    );
}

#[test]
fn an_answer_that_names_no_certificate_or_a_part_that_does_not_fit_condemns_the_call() {
    let ours = required(MediaKeys::DtlsSrtp);
    for attributes in [
        "a=rtcp-mux\na=setup:active",
        "a=rtcp-mux\na=setup:actpass\na=fingerprint:FINGERPRINT",
        "a=setup:active\na=fingerprint:FINGERPRINT",
    ] {
        let (mut session, _) = Session::offer(&ours, &local(), &mut rng(1));
        let result = session.accept_answer(&sdp("UDP/TLS/RTP/SAVPF", attributes));
        assert!(
            matches!(result, Err(SdpError::AnswerLine { line: 0, .. })),
            "{attributes}: {result:?}"
        );
    }
}

#[test]
fn where_plain_media_is_allowed_a_handshake_is_offered_beside_it() {
    let ours = capabilities(MediaSecurity::PlainAllowed, MediaKeys::DtlsSrtp);
    let offer = |session: &mut ChaCha20Rng| Session::offer(&ours, &local(), session);
    let (mut session, body) = offer(&mut rng(1));
    assert!(has(&body, "m=audio 40000 RTP/AVP 96 0 100 101"));
    assert!(has(&body, "a=setup:actpass"));
    let media = session.accept_answer(&sdp("RTP/AVP", "")).unwrap();
    assert_eq!(media.security, AgreedSecurity::Plain);
    assert_eq!(media.dtls.audio, None);
    let (mut session, _) = offer(&mut rng(1));
    let keyed = "a=rtcp-mux\na=setup:passive\na=fingerprint:FINGERPRINT";
    let media = session.accept_answer(&sdp("RTP/AVP", keyed)).unwrap();
    assert_eq!(by_dtls(&media).setup, DtlsSetup::Active);
}

#[test]
fn the_handshake_that_stands_goes_on_through_later_offers_of_either_end() {
    let keyed = |setup: &str, way: &str| {
        let lines = format!("a=rtcp-mux\na=setup:{setup}\na=fingerprint:FINGERPRINT\na={way}");
        sdp("UDP/TLS/RTP/SAVPF", &lines)
    };
    // We were called, and are the passive end.
    let (mut session, _, media) = answer(&keyed("active", "sendrecv")).unwrap();
    let agreed = by_dtls(&media);
    assert_eq!(agreed.setup, DtlsSetup::Passive);
    // The peer's offer leaves the parts open: they stay.
    let later = keyed("actpass", "sendonly");
    let (body, media) = session.answer_reoffer(&mut rng(2), &later).unwrap();
    assert!(has(&body, "a=setup:passive"));
    assert_eq!(by_dtls(&media), agreed);
    // Ours says which part we have.
    let body = session.reoffer(Direction::SendOnly).unwrap();
    assert!(has(&body, "a=setup:passive"));
    let media = session.accept_answer(&keyed("active", "recvonly")).unwrap();
    assert_eq!(by_dtls(&media), agreed);
    // A peer that changes the parts wants another handshake.
    let (_, media) = session
        .answer_reoffer(&mut rng(3), &keyed("passive", "sendrecv"))
        .unwrap();
    assert_eq!(by_dtls(&media).setup, DtlsSetup::Active);
}

#[test]
fn another_certificate_in_a_later_offer_is_another_handshake() {
    let line = "a=rtcp-mux\na=setup:actpass\na=fingerprint:FINGERPRINT";
    let (mut session, _, media) = answer(&sdp("UDP/TLS/RTP/SAVPF", line)).unwrap();
    let before = by_dtls(&media);
    let other = Fingerprint([0xc3; 32]);
    let offer = line.replace("FINGERPRINT", &other.to_string());
    let offer = sdp("UDP/TLS/RTP/SAVPF", &offer);
    let (_, media) = session.answer_reoffer(&mut rng(2), &offer).unwrap();
    assert_eq!(by_dtls(&media).certificate, other);
    assert_ne!(by_dtls(&media), before);
}
