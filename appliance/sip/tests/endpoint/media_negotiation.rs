//! What two endpoints settle of SRTP, RTCP and feedback, and with peers that know less.

use room::codec::{RtcpMode, RtcpPort, RtcpSize, SrtpSuite, VideoFeedback};
use sip::endpoint::Event;
use sip::grammar::{ContentType, Method, StatusCode};
use sip::offer_answer::CallMedia;
use sip::transport::Transport;

use crate::calls::{bad_network, established};
use crate::carol::{
    acknowledge, alice_alone, alice_calls_carol, bobs_tag, carol_calls_bob, latest_status, reply,
    send, to_bob,
};
use crate::world::{ALICE, BOB, CAROL, World, account, media_of, settings};

/// The suite, the way of RTCP and the feedback of sound and picture.
fn transports(media: &CallMedia) -> [(Option<SrtpSuite>, RtcpMode, VideoFeedback); 2] {
    let suite = |keys: &Option<room::codec::SrtpKeys>| keys.as_ref().map(|keys| keys.local.suite());
    let audio = media.streams.audio.as_ref().expect("there is sound");
    let video = media.streams.video.as_ref().expect("there is a picture");
    [
        (suite(&audio.srtp), audio.rtcp, VideoFeedback::NONE),
        (suite(&video.srtp), video.rtcp, video.feedback),
    ]
}

#[test]
fn two_of_ours_settle_the_strongest_suite_one_port_and_all_feedback_on_any_network() {
    for conditions in [netem::LinkConditions::default(), bad_network()] {
        for transport in [Transport::Udp, Transport::Tls] {
            let mut world = World::pair(5, transport).with_conditions(conditions);
            let alices = world.invite(ALICE, BOB);
            let bobs = world.incoming(BOB);
            world
                .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
                .expect("it is unanswered");
            let alices = established(&mut world, ALICE, alices);
            let bobs = established(&mut world, BOB, bobs);
            let gcm = Some(SrtpSuite::AeadAes256Gcm);
            let rtcp = RtcpMode {
                port: RtcpPort::Shared,
                size: RtcpSize::Reduced,
            };
            let best = [
                (gcm, rtcp, VideoFeedback::NONE),
                (gcm, rtcp, VideoFeedback::ALL),
            ];
            assert_eq!(transports(&alices), best, "{transport}");
            assert_eq!(transports(&bobs), best, "{transport}");
            for media in [alices, bobs] {
                let remote = media.remote.audio.expect("an address is named");
                assert_eq!(remote.rtp, remote.rtcp);
            }
        }
    }
}

/// An old system's description: one suite, RTCP beside RTP, no feedback.
fn old_description(video: bool) -> Vec<u8> {
    // Counted bytes, so no secret.
    let key = "inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";
    let video = if video {
        format!(
            "m=video 7080 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n\
             a=fmtp:97 profile-level-id=42800d\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 {key}\r\n"
        )
    } else {
        "m=video 0 RTP/AVP 97\r\n".to_owned()
    };
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio 7078 RTP/AVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 {key}\r\n{video}",
        ip = CAROL.ip()
    )
    .into_bytes()
}

const OLD: (Option<SrtpSuite>, RtcpMode, VideoFeedback) = (
    Some(SrtpSuite::AesCm128HmacSha1_80),
    RtcpMode {
        port: RtcpPort::Own,
        size: RtcpSize::Compound,
    },
    VideoFeedback::NONE,
);

#[test]
fn a_peer_that_knows_none_of_it_answers_and_gets_what_it_knows() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    let mut answer = reply(&invite, StatusCode::OK, "carol");
    answer.set_body(&ContentType::sdp(), old_description(true).into());
    send(&mut world, ALICE, answer.to_bytes());
    let media = established(&mut world, ALICE, alices);
    assert_eq!(transports(&media), [OLD, OLD]);
    let remote = media.remote.video.expect("an address is named");
    assert_eq!((remote.rtp.port(), remote.rtcp.port()), (7_080, 7_081));
}

#[test]
fn a_call_without_video_gets_it_by_the_peers_later_offer() {
    let mut world = World::new(1);
    world.add(settings(account("bob", Transport::Udp), BOB), BOB);
    let (bobs, _) = carol_calls_bob(&mut world, &[]);
    world
        .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
        .expect("it is unanswered");
    world.run(std::time::Duration::from_millis(10));
    acknowledge(&mut world, 1);
    established(&mut world, BOB, bobs);
    for (number, video) in [(2, false), (3, true)] {
        let tag = bobs_tag(&world);
        let mut invite = to_bob(Method::Invite, number, &tag);
        invite.set_body(&ContentType::sdp(), old_description(video).into());
        send(&mut world, BOB, invite.to_bytes());
        assert_eq!(latest_status(&world, &Method::Invite), Some(200));
        acknowledge(&mut world, number);
        let media = world
            .events(BOB)
            .iter()
            .rev()
            .find_map(|event| match event {
                Event::MediaChanged { media, .. } => Some(media.clone()),
                _ => None,
            })
            .expect("the media has changed");
        assert!(media.streams.audio.is_some());
        assert_eq!(media.streams.video.is_some(), video);
        if video {
            assert_eq!(transports(&media), [OLD, OLD]);
        }
    }
}
