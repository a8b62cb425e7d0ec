//! RTCP feedback about pictures: how one is asked for, and what a peer may set.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use std::sync::atomic::Ordering;

use media::{Channel, ControlDatagram, Datagram, LegDatagrams, MediaEvent, Medium};
use room::codec::{PacketizationMode, RtcpMode, RtcpPort, RtcpSize, VideoFeedback};
use room::units::Bitrate;
use support::wire::Wire;
use support::{PATIENCE, Room, call_with, only_video, video};
use tokio::time::timeout;

/// Payload-specific feedback (RFC 4585 section 6.3) with its formats.
const PICTURE_LOSS: (u8, u8) = (206, 1);
const FULL_INTRA: (u8, u8) = (206, 4);

const REDUCED: RtcpMode = RtcpMode {
    port: RtcpPort::Own,
    size: RtcpSize::Reduced,
};

/// Lets the picture of the left room stall in the right one and come back. Gives the feedback that
/// was seen, and how often the left room was asked.
async fn stall_and_resume(feedback: VideoFeedback, rtcp: RtcpMode) -> (Vec<(u8, u8)>, u32) {
    let mut stream = video(PacketizationMode::NonInterleaved);
    stream.feedback = feedback;
    stream.rtcp = rtcp;
    let wire = Wire::default();
    let (mut left, mut right) = call_with(only_video(stream), wire.clone()).await;
    right.wait_for_first_frame(1).await;
    wire.cut.store(true, Ordering::Relaxed);
    right
        .wait_for(|event| matches!(event, MediaEvent::VideoStalled { .. }).then_some(()))
        .await;
    wire.cut.store(false, Ordering::Relaxed);
    right
        .wait_for(|event| match event {
            MediaEvent::VideoResumed { .. } => feedback.requests_pictures().then_some(()),
            // It may come later than the first damaged picture.
            MediaEvent::PictureNeeded { .. } if feedback.requests_pictures() => {
                panic!("signalling is asked beside RTCP")
            }
            MediaEvent::PictureNeeded { .. } => Some(()),
            _ => None,
        })
        .await;
    let asked = left
        .wait_for(|event| match event {
            MediaEvent::Measured { stats, .. } => {
                let asked = stats.video.as_ref()?.keyframes_requested_by_peer;
                (asked > 0 || !feedback.requests_pictures()).then_some(asked)
            }
            _ => None,
        })
        .await;
    left.shut_down().await;
    right.shut_down().await;
    let seen = wire.feedback.lock().unwrap().iter().copied().collect();
    (seen, asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_is_asked_for_by_loss_indication_where_the_peer_takes_it() {
    for rtcp in [RtcpMode::default(), REDUCED] {
        let (seen, _) = stall_and_resume(VideoFeedback::ALL, rtcp).await;
        assert!(seen.contains(&PICTURE_LOSS), "{seen:?}");
        assert!(!seen.contains(&FULL_INTRA), "{seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_is_asked_for_by_intra_request_where_the_peer_takes_nothing_else() {
    let feedback = VideoFeedback {
        full_intra_request: true,
        ..VideoFeedback::NONE
    };
    let (seen, _) = stall_and_resume(feedback, RtcpMode::default()).await;
    assert!(seen.contains(&FULL_INTRA), "{seen:?}");
    assert!(!seen.contains(&PICTURE_LOSS), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_feedback_a_picture_is_asked_for_by_signalling() {
    let (seen, asked) = stall_and_resume(VideoFeedback::NONE, RtcpMode::default()).await;
    assert_eq!(seen, []);
    assert_eq!(asked, 0, "by RTCP");
}

/// The next datagram of this kind that the leg sends.
async fn sent(leg: &mut LegDatagrams, channel: Channel) -> Vec<u8> {
    let next = async {
        loop {
            let datagram = leg.outgoing.recv().await.expect("the leg has ended");
            if datagram.channel == channel {
                return datagram.payload.to_vec();
            }
        }
    };
    timeout(PATIENCE, next).await.expect("nothing was sent")
}

/// The packets of a compound.
fn packets(mut compound: &[u8]) -> Vec<&[u8]> {
    let mut packets = Vec::new();
    while compound.len() >= 4 {
        let words = usize::from(u16::from_be_bytes([compound[2], compound[3]]));
        let (packet, rest) = compound.split_at(4 * (words + 1));
        packets.push(packet);
        compound = rest;
    }
    packets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_temporary_limit_of_the_peer_is_told_and_confirmed() {
    for rtcp in [RtcpMode::default(), REDUCED] {
        let mut room = Room::start();
        let mut stream = video(PacketizationMode::NonInterleaved);
        stream.rtcp = rtcp;
        let mut leg = room.open(1, only_video(stream));
        let ours = sent(&mut leg, Channel::Rtp).await[8..12].to_vec();
        // The peer, an empty report, and then: at most 620 kbit/s with 40 bytes of headers a packet.
        let report = [0x80, 201, 0, 1, 0, 0, 0, 9];
        let mut request = vec![0x83, 205, 0, 4, 0, 0, 0, 9, 0, 0, 0, 0];
        request.extend(&ours);
        let limit: u32 = 3 << 26 | 77_500 << 9 | 40;
        request.extend(limit.to_be_bytes());
        leg.incoming
            .send(Datagram {
                medium: Medium::Video,
                channel: Channel::Rtcp,
                payload: [&report[..], &request].concat().into(),
            })
            .await
            .unwrap();
        let most = room
            .wait_for(|event| match event {
                MediaEvent::BitrateRequested { most, .. } => Some(*most),
                _ => None,
            })
            .await;
        assert_eq!(most, Bitrate::kbps(600));
        let notification = loop {
            let compound = sent(&mut leg, Channel::Rtcp).await;
            let found = packets(&compound)
                .into_iter()
                .find(|packet| packet[..2] == [0x84, 205]);
            if let Some(packet) = found {
                break packet.to_vec();
            }
        };
        // By us, about nobody's stream in particular; the requester's own words with his name.
        assert_eq!(notification[4..8], ours);
        assert_eq!(notification[8..16], [0, 0, 0, 0, 0, 0, 0, 9]);
        let most = u32::from_be_bytes(*notification.last_chunk().unwrap());
        let bits = u64::from(most >> 9 & 0x1_ffff) << (most >> 26);
        assert_eq!((bits, most & 0x1ff), (620_000, 40));
        room.shut_down().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn feedback_for_congestion_control_is_handed_out_and_sent_in_our_name() {
    for rtcp in [RtcpMode::default(), REDUCED] {
        let mut room = Room::start();
        let mut stream = video(PacketizationMode::NonInterleaved);
        stream.rtcp = rtcp;
        let mut leg = room.open(1, only_video(stream));
        let ours = sent(&mut leg, Channel::Rtp).await[8..12].to_vec();
        // Congestion control feedback (RFC 8888) about nobody's stream, behind an empty report.
        let feedback = [0x8b, 205, 0, 2, 0, 0, 0, 0, 1, 2, 3, 4];
        let received = [&[0x80, 201, 0, 1, 0, 0, 0, 9][..], &feedback].concat();
        leg.incoming
            .send(Datagram {
                medium: Medium::Video,
                channel: Channel::Rtcp,
                payload: received.clone().into(),
            })
            .await
            .unwrap();
        let control = timeout(PATIENCE, leg.received_control.recv())
            .await
            .unwrap();
        let expected = ControlDatagram {
            medium: Medium::Video,
            payload: received.into(),
        };
        assert_eq!(control, Some(expected));
        let compound = loop {
            // What finds no way out yet is dropped, as the next report would tell the same.
            let report = ControlDatagram {
                medium: Medium::Video,
                payload: feedback.to_vec().into(),
            };
            leg.feedback.send(report).await.unwrap();
            let datagram = sent(&mut leg, Channel::Rtcp).await;
            if packets(&datagram).iter().any(|it| it[..2] == feedback[..2]) {
                break datagram;
            }
        };
        let packets = packets(&compound);
        let report = packets.last().unwrap();
        assert_eq!(report[4..8], ours, "who reports");
        assert_eq!(report[8..], feedback[8..]);
        assert_eq!(packets.len() == 1, rtcp.size == RtcpSize::Reduced);
        room.shut_down().await;
    }
}
