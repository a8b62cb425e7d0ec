//! A session after its first agreement: holds, later offers, keys and versions.

use super::*;

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
