//! ICE in offer and answer (RFC 8839): who has which credentials and candidates, when a restart is one,
//! and when there is no ICE at all.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use room::codec::{AudioCodec, Direction};
use sip::offer_answer::{
    BfcpTransport, CallMedia, Capabilities, ContentSharing, H264Capabilities, IceCandidate,
    IceCandidateKind, IceComponent, IceRole, IceStream, IceUse, LocalMedia, LocalPort, MediaKeys,
    MediaSecurity, Session,
};

const CREDENTIALS: &str = "a=ice-ufrag:abcd\na=ice-pwd:0123456789012345678901\n";
const OTHER_CREDENTIALS: &str = "a=ice-ufrag:efgh\na=ice-pwd:0123456789012345678901\n";
const HOST: &str = "a=candidate:1 1 UDP 2130706431 192.0.2.1 7078 typ host\n";

fn capabilities(ice: IceUse) -> Capabilities {
    Capabilities {
        audio: vec![AudioCodec::Opus, AudioCodec::Pcmu],
        video: H264Capabilities::default(),
        security: MediaSecurity::PlainAllowed,
        media_keys: MediaKeys::Sdes,
        certificate: None,
        ice,
        content: ContentSharing::Off,
        floor_transport: BfcpTransport::default(),
    }
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
fn sdp(attributes: &str) -> Vec<u8> {
    let text = format!(
        "v=0\no=- 42 7 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n\
         m=audio 7078 RTP/AVP 0\na=rtcp-mux\n{attributes}"
    );
    text.replace('\n', "\r\n").into_bytes()
}

fn text(body: &[u8]) -> String {
    String::from_utf8(body.to_vec()).unwrap()
}

/// The values of an attribute.
fn values(description: &[u8], name: &str) -> Vec<String> {
    let prefix = format!("a={name}:");
    let text = text(description);
    let lines = text.lines();
    lines
        .filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned))
        .collect()
}

fn has_ice(description: &[u8]) -> bool {
    text(description).contains("a=ice-") || text(description).contains("a=candidate")
}

fn answer(ice: IceUse, offer: &[u8]) -> (Session, Bytes, CallMedia) {
    Session::answer(&capabilities(ice), &local(), &mut rng(1), offer).unwrap()
}

fn ice(media: &CallMedia) -> &IceStream {
    media.ice.audio.as_ref().unwrap()
}

#[test]
fn two_of_us_agree_and_whoever_offers_selects() {
    let ours = capabilities(IceUse::Offered);
    let (mut caller, offer) = Session::offer(&ours, &local(), &mut rng(1));
    assert_eq!(
        values(&offer, "candidate"),
        [
            "1 1 UDP 2130706431 192.0.2.10 40000 typ host",
            "1 2 UDP 2130706430 192.0.2.10 40001 typ host",
        ]
    );
    let theirs = capabilities(IceUse::Answered);
    let (_, answer, called) = Session::answer(&theirs, &local(), &mut rng(2), &offer).unwrap();
    // RTCP shares the port.
    assert_eq!(values(&answer, "candidate").len(), 1);
    let calling = caller.accept_answer(&answer).unwrap();
    let (calling, called) = (ice(&calling), ice(&called));
    assert_eq!(
        (calling.role, called.role),
        (IceRole::Controlling, IceRole::Controlled)
    );
    assert_eq!(
        (&calling.local, &calling.remote),
        (&called.remote, &called.local)
    );
    assert_ne!(calling.local, calling.remote);
    let candidate = IceCandidate {
        component: IceComponent::Rtp,
        address: SocketAddr::from(([192, 0, 2, 10], 40_000)),
        kind: IceCandidateKind::Host,
        priority: 2_130_706_431,
    };
    assert_eq!(calling.candidates, [candidate]);
    let passwords = format!("{calling:?}");
    assert!(!passwords.contains(&calling.local.password));
}

#[test]
fn it_is_offered_and_answered_as_the_account_says() {
    for (ice, offered, answered) in [
        (IceUse::Off, false, false),
        (IceUse::Answered, false, true),
        (IceUse::Offered, true, true),
    ] {
        let (_, offer) = Session::offer(&capabilities(ice), &local(), &mut rng(1));
        assert_eq!(has_ice(&offer), offered);
        let (_, body, media) = answer(ice, &sdp(&format!("{CREDENTIALS}{HOST}")));
        assert_eq!(has_ice(&body), answered);
        assert_eq!(media.ice.audio.is_some(), answered);
        let (_, body, media) = answer(ice, &sdp(""));
        assert!(!has_ice(&body), "nobody offers it");
        assert_eq!(media.ice.audio, None);
    }
}

#[test]
fn a_peer_without_ice_answers_as_if_it_had_not_been_offered() {
    let ours = capabilities(IceUse::Offered);
    let (mut session, _) = Session::offer(&ours, &local(), &mut rng(1));
    let media = session.accept_answer(&sdp("")).unwrap();
    assert_eq!(media.ice.audio, None);
    let remote = media.remote.audio.unwrap().rtp;
    assert_eq!(remote, SocketAddr::from(([192, 0, 2, 1], 7078)));
    assert!(!has_ice(&session.reoffer(Direction::SendOnly).unwrap()));
}

#[test]
fn an_address_that_is_none_of_the_candidates_is_told_and_there_is_no_ice() {
    let elsewhere = HOST.replace("192.0.2.1", "10.0.0.1");
    let offer = sdp(&format!("{CREDENTIALS}{elsewhere}"));
    let (mut session, body, media) = answer(IceUse::Answered, &offer);
    assert!(text(&body).contains("a=ice-mismatch\r\n"));
    assert!(values(&body, "ice-ufrag").is_empty() && values(&body, "candidate").is_empty());
    assert_eq!(media.ice.audio, None);
    assert!(!has_ice(&session.reoffer(Direction::SendRecv).unwrap()));
    // As an answer it needs no word; and a peer that says so of our offer has none.
    let ours = capabilities(IceUse::Offered);
    for answer in [offer, sdp(&format!("{CREDENTIALS}{HOST}a=ice-mismatch\n"))] {
        let (mut session, _) = Session::offer(&ours, &local(), &mut rng(1));
        let media = session.accept_answer(&answer).unwrap();
        assert_eq!(media.ice.audio, None);
        assert!(!has_ice(&session.reoffer(Direction::SendRecv).unwrap()));
    }
}

#[test]
fn rtcp_with_a_port_of_its_own_has_a_candidate_of_its_own() {
    let offer = |candidates: &str| {
        let text = text(&sdp(&format!("{CREDENTIALS}{HOST}{candidates}")));
        text.replace("a=rtcp-mux\r\n", "").into_bytes()
    };
    let rtcp = "a=candidate:1 2 UDP 2130706430 192.0.2.1 7079 typ host\n";
    let (_, body, media) = answer(IceUse::Answered, &offer(rtcp));
    assert_eq!(values(&body, "candidate").len(), 2);
    let candidates = &ice(&media).candidates;
    assert_eq!(candidates[1].component, IceComponent::Rtcp);
    let (_, body, _) = answer(IceUse::Answered, &offer(""));
    assert!(text(&body).contains("a=ice-mismatch"));
}

#[test]
fn we_select_where_the_peer_only_answers_checks() {
    let offer =
        text(&sdp(&format!("{CREDENTIALS}{HOST}"))).replace("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n");
    let (_, _, media) = answer(IceUse::Answered, offer.as_bytes());
    assert_eq!(ice(&media).role, IceRole::Controlling);
}

#[test]
fn credentials_may_be_those_of_the_session() {
    let session = format!("t=0 0\r\n{}", CREDENTIALS.replace('\n', "\r\n"));
    let offer = text(&sdp(HOST)).replace("t=0 0\r\n", &session);
    let (_, _, media) = answer(IceUse::Answered, offer.as_bytes());
    assert_eq!(ice(&media).remote.username_fragment, "abcd");
}

#[test]
fn other_credentials_are_a_restart_and_the_same_ones_are_none() {
    let offer = sdp(&format!("{CREDENTIALS}{HOST}"));
    let (mut session, body, media) = answer(IceUse::Answered, &offer);
    let first = ice(&media).clone();
    let (again, media) = session.answer_reoffer(&mut rng(3), &offer).unwrap();
    assert_eq!(values(&again, "ice-pwd"), values(&body, "ice-pwd"));
    assert_eq!(ice(&media), &first);
    let restart = sdp(&format!("{OTHER_CREDENTIALS}{HOST}"));
    let (restarted, media) = session.answer_reoffer(&mut rng(4), &restart).unwrap();
    let second = ice(&media).clone();
    assert_ne!(values(&restarted, "ice-pwd"), values(&body, "ice-pwd"));
    assert_ne!(second.local, first.local);
    assert_eq!(second.remote.username_fragment, "efgh");
    assert_eq!(second.role, first.role);
    // What we offer later goes on with it.
    let hold = session.reoffer(Direction::SendOnly).unwrap();
    assert_eq!(values(&hold, "ice-pwd"), [second.local.password]);
}

#[test]
fn a_move_of_ours_is_a_restart() {
    let offer = sdp(&format!("{CREDENTIALS}{HOST}"));
    let (mut session, body, _) = answer(IceUse::Answered, &offer);
    let moved = IpAddr::from([192, 0, 2, 99]);
    session.move_to(moved);
    let mut answering = session.clone();
    let told = session.reoffer(Direction::SendRecv).unwrap();
    let candidates = ["1 1 UDP 2130706431 192.0.2.99 40000 typ host"];
    assert_eq!(values(&told, "candidate"), candidates);
    assert_ne!(values(&told, "ice-pwd"), values(&body, "ice-pwd"));
    let restarted = sdp(&format!("{OTHER_CREDENTIALS}{HOST}"));
    let media = session.accept_answer(&restarted).unwrap();
    assert_eq!(ice(&media).address, moved);
    assert_eq!(
        [ice(&media).local.password.clone()],
        values(&told, "ice-pwd")[..]
    );
    // In an answer as well, whatever the peer offers.
    let (told, _) = answering.answer_reoffer(&mut rng(5), &offer).unwrap();
    assert_eq!(values(&told, "candidate"), candidates);
    assert_ne!(values(&told, "ice-pwd"), values(&body, "ice-pwd"));
}

#[test]
fn candidates_that_cannot_be_tried_are_passed_over_and_there_are_not_too_many() {
    let others = "a=candidate:2 1 TCP 1 192.0.2.1 9 typ host tcptype active\n\
                  a=candidate:3 1 UDP 1 4f2c9a1e.local 7078 typ host\n\
                  a=candidate:4 1 UDP 1 2001:db8::1 7078 typ host\n\
                  a=candidate:5 1 UDP 1 224.0.0.1 7078 typ host\n\
                  a=candidate:6 1 UDP 1 255.255.255.255 7078 typ host\n\
                  a=candidate:7 1 UDP 1 0.0.0.0 7078 typ host\n\
                  a=candidate:7 1 UDP 1 127.0.0.1 7078 typ host\n\
                  a=candidate:7 1 UDP 1 169.254.1.1 7078 typ host\n\
                  a=candidate:8 1 UDP 1 192.0.2.1 0 typ host\n\
                  a=candidate:9 3 UDP 1 192.0.2.1 7078 typ host\n\
                  a=candidate:9 1 UDP 1 192.0.2.1 7078\n\
                  a=candidate:9 1 UDP 1 192.0.2.1 7078 typ other\n\
                  a=candidate:9 1 UDP 99999999999 192.0.2.1 7078 typ host\n\
                  a=candidate:\n\
                  a=candidate:8 1 udp 5 198.51.100.1 9000 typ srflx raddr 10.0.0.1 rport 9 x y\n";
    let offer = sdp(&format!("{CREDENTIALS}{HOST}{others}"));
    let (_, _, media) = answer(IceUse::Answered, &offer);
    let [host, reflexive] = &ice(&media).candidates[..] else {
        panic!("{:?}", ice(&media).candidates);
    };
    assert_eq!(host.kind, IceCandidateKind::Host);
    assert_eq!(reflexive.address, "198.51.100.1:9000".parse().unwrap());
    assert_eq!(reflexive.kind, IceCandidateKind::ServerReflexive);
    let many: String = (1_000..2_000)
        .map(|port| format!("a=candidate:1 1 UDP 1 192.0.2.1 {port} typ host\n"))
        .collect();
    let (_, _, media) = answer(
        IceUse::Answered,
        &sdp(&format!("{CREDENTIALS}{HOST}{many}")),
    );
    assert_eq!(ice(&media).candidates.len(), 32);
}

#[test]
fn credentials_that_are_none_are_no_ice() {
    for credentials in [
        "a=ice-ufrag:abcd\n".to_owned(),
        "a=ice-ufrag:abc\na=ice-pwd:0123456789012345678901\n".to_owned(),
        "a=ice-ufrag:abcd\na=ice-pwd:012345678901234567890\n".to_owned(),
        "a=ice-ufrag:ab:d\na=ice-pwd:0123456789012345678901\n".to_owned(),
        format!(
            "a=ice-ufrag:{}\na=ice-pwd:0123456789012345678901\n",
            "a".repeat(257)
        ),
    ] {
        let (_, body, media) = answer(IceUse::Answered, &sdp(&format!("{credentials}{HOST}")));
        assert!(!has_ice(&body), "{credentials}");
        assert_eq!(media.ice.audio, None);
    }
}

#[test]
fn an_address_of_ours_that_is_of_one_link_is_no_candidate() {
    let link_local = LocalMedia {
        address: IpAddr::from([169, 254, 7, 7]),
        ..local()
    };
    let (_, offer) = Session::offer(&capabilities(IceUse::Offered), &link_local, &mut rng(1));
    assert!(!has_ice(&offer));
    let offer = sdp(&format!("{CREDENTIALS}{HOST}"));
    let ours = capabilities(IceUse::Answered);
    let (_, body, media) = Session::answer(&ours, &link_local, &mut rng(1), &offer).unwrap();
    assert!(!has_ice(&body));
    assert_eq!(media.ice.audio, None);
}

#[test]
fn a_hold_without_address_keeps_it() {
    let offer = sdp(&format!("{CREDENTIALS}{HOST}"));
    let (mut session, body, media) = answer(IceUse::Answered, &offer);
    let before = ice(&media).clone();
    let hold = text(&offer).replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0");
    let (held, media) = session
        .answer_reoffer(&mut rng(6), hold.as_bytes())
        .unwrap();
    assert_eq!(media.remote.audio, None);
    assert_eq!(ice(&media), &before);
    assert_eq!(values(&held, "ice-pwd"), values(&body, "ice-pwd"));
}
