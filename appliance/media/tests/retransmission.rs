//! Packets that are lost and sent again.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use std::collections::HashMap;
use std::time::Duration;

use media::{Channel, Datagram, LegDatagrams, MediaEvent, Medium};
use room::codec::{PacketizationMode, RtcpMode, RtcpPort, RtcpSize, RtxPayloadTypes, SrtpSuite};
use room::ids::LegId;
use room::leg_stats::VideoStats;
use room::media_plan::{VideoRole, VideoStream};
use support::wire::Wire;
use support::{PATIENCE, Room, call_with, mirrored, only_video, picture, video};
use tokio::time::timeout;

const RTX: RtxPayloadTypes = RtxPayloadTypes {
    send: pt(98),
    receive: pt(103),
};

const fn pt(value: u8) -> room::codec::PayloadType {
    room::codec::PayloadType::new(value).unwrap()
}

/// How lost packets are sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repair {
    None,
    /// The packets themselves.
    Plain,
    /// In a stream of their own.
    Rtx,
}

fn stream(repair: Repair) -> VideoStream {
    let mut stream = video(PacketizationMode::NonInterleaved);
    stream.feedback.generic_nack = repair != Repair::None;
    stream.rtx = (repair == Repair::Rtx).then_some(RTX);
    stream
}

/// Pictures until a receiver knows what its network loses, and how long it takes to mend it.
const SETTLING: usize = 60;

/// How many of so many pictures of a lossy call are not what was sent, once it has settled; and what
/// was measured at the receiver.
async fn damage(stream: VideoStream, pictures: usize) -> (usize, VideoStats) {
    let wire = Wire {
        loss: 20,
        seed: 3,
        delay: Duration::from_millis(15),
        ..Wire::default()
    };
    let (left, mut right) = call_with(only_video(stream), wire).await;
    right.wait_for_first_frame(1).await;
    let mut frames = right.media.tap_decoded(LegId(1), VideoRole::Main).unwrap();
    let mut damaged = 0;
    for looked in 0..pictures + SETTLING {
        let frame = timeout(PATIENCE, frames.recv()).await.unwrap().unwrap();
        let number = picture::number(&frame);
        let good = number.is_some_and(|number| picture::error(&frame, number) < 60.0);
        damaged += usize::from(!good && looked >= SETTLING);
    }
    let stats = measured(&mut right).await;
    left.shut_down().await;
    right.shut_down().await;
    (damaged, stats)
}

async fn measured(room: &mut Room) -> VideoStats {
    while room.events.try_recv().is_ok() {}
    room.wait_for(|event| match event {
        MediaEvent::Measured { stats, .. } => stats.video.clone(),
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_are_damaged_less_where_lost_packets_are_sent_again() {
    const PICTURES: usize = 180;
    let (without, stats) = damage(stream(Repair::None), PICTURES).await;
    assert_eq!(stats.retransmissions, Default::default());
    for repair in [Repair::Plain, Repair::Rtx] {
        let mut stream = stream(repair);
        stream.srtp = Some(support::keys(SrtpSuite::AeadAes128Gcm, 5));
        let (with, again) = damage(stream, PICTURES).await;
        assert!(
            with * 2 < without,
            "{repair:?}: {with} instead of {without}"
        );
        assert!(again.retransmissions.received > 0, "{again:?}");
        assert!(again.keyframes_requested < stats.keyframes_requested);
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The numbers that the generic NACKs of a compound name, and who is asked.
fn asked_for(mut compound: &[u8]) -> Vec<(Vec<u8>, u16)> {
    let mut numbers = Vec::new();
    while compound.len() >= 4 {
        let (packet, rest) = compound.split_at(4 * (usize::from(u16_at(compound, 2)) + 1));
        if packet[..2] == [0x81, 205] {
            for entry in packet[12..].chunks(4) {
                let (first, mask) = (u16_at(entry, 0), u16_at(entry, 2));
                let named = (0..17).filter(|n| *n == 0 || mask >> (n - 1) & 1 == 1);
                numbers.extend(named.map(|n| (packet[8..12].to_vec(), first.wrapping_add(n))));
            }
        }
        compound = rest;
    }
    numbers
}

fn is_video_rtp(datagram: &Datagram) -> bool {
    (datagram.medium, datagram.channel) == (Medium::Video, Channel::Rtp)
}

/// Lets a call lose one packet, and gives that packet, what the receiver asked for, and what
/// the sender sent thereupon.
async fn lose_one(stream: VideoStream) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (left, right) = (Room::start(), Room::start());
    let streams = only_video(stream.clone());
    let (mut left, mut right) = (left, right);
    let mut sender = left.open(1, streams.clone());
    let mut receiver = right.open(1, mirrored(&streams));
    let mut sent = 0;
    let (mut lost, mut request) = (None::<Vec<u8>>, None::<Vec<u8>>);
    let all = async {
        loop {
            tokio::select! {
                datagram = sender.outgoing.recv() => {
                    let datagram = datagram.unwrap();
                    if is_video_rtp(&datagram) {
                        let bytes = &datagram.payload;
                        let is_rtx = stream.rtx.is_some_and(|rtx| bytes[1] & 0x7f == rtx.send.value());
                        if is_rtx || lost.as_deref() == Some(bytes) {
                            return bytes.to_vec();
                        }
                        sent += 1;
                        if sent == 100 {
                            lost = Some(bytes.to_vec());
                            continue;
                        }
                    }
                    let _ = receiver.incoming.send(datagram).await;
                }
                datagram = receiver.outgoing.recv() => {
                    let datagram = datagram.unwrap();
                    if (datagram.medium, datagram.channel) == (Medium::Video, Channel::Rtcp) {
                        if stream.srtp.is_none() && !asked_for(&datagram.payload).is_empty() {
                            request = Some(datagram.payload.to_vec());
                        }
                        let _ = sender.incoming.send(datagram).await;
                    }
                }
            }
        }
    };
    let again = timeout(PATIENCE, all).await.expect("nothing is sent again");
    left.shut_down().await;
    right.shut_down().await;
    (lost.unwrap(), request.unwrap_or_default(), again)
}

const REDUCED: RtcpMode = RtcpMode {
    port: RtcpPort::Own,
    size: RtcpSize::Reduced,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_packet_is_asked_for_by_name_and_comes_in_a_stream_of_its_own() {
    for rtcp in [RtcpMode::default(), REDUCED] {
        let mut stream = stream(Repair::Rtx);
        stream.rtcp = rtcp;
        let (lost, request, again) = lose_one(stream).await;
        let asked = (lost[8..12].to_vec(), u16_at(&lost, 2));
        assert_eq!(asked_for(&request), [asked]);
        match rtcp.size {
            RtcpSize::Reduced => assert_eq!(request[1], 205),
            RtcpSize::Compound => {
                assert_eq!(request[..4], [0x80, 201, 0, 1], "an empty report first");
                assert_eq!(request[8..10], [0x81, 202], "and who reports");
            }
        }
        assert_eq!(again[1], lost[1] & 0x80 | RTX.send.value());
        assert_eq!(again[4..8], lost[4..8], "the timestamp");
        assert_ne!(again[8..12], lost[8..12], "a source of its own");
        assert_eq!(again[12..14], lost[2..4], "the number that it had");
        assert_eq!(again[14..], lost[12..]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_stream_for_it_the_very_same_datagram_is_sent_again() {
    let mut secured = stream(Repair::Plain);
    secured.srtp = Some(support::keys(SrtpSuite::AesCm128HmacSha1_80, 5));
    for stream in [stream(Repair::Plain), secured] {
        let (lost, _, again) = lose_one(stream).await;
        assert_eq!(again, lost);
    }
}

/// A compound of an empty report and a request for all packets that came before `newest`.
fn request_for_all(ours: &[u8], newest: u16) -> Vec<u8> {
    let mut request = vec![0x80, 201, 0, 1, 0, 0, 0, 9];
    request.extend([0x81, 205, 0, 2 + 12, 0, 0, 0, 9]);
    request.extend(ours);
    for entry in 0..12 {
        request.extend(newest.wrapping_sub(17 * (entry + 1) - 1).to_be_bytes());
        request.extend([0xff, 0xff]);
    }
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_asks_for_everything_again_and_again_gets_a_part() {
    let mut room = Room::start();
    let mut leg: LegDatagrams = room.open(1, only_video(stream(Repair::Rtx)));
    let (mut regular, mut again) = (0, 0);
    let mut times: HashMap<u16, u32> = HashMap::new();
    let all = async {
        while regular < 150_000 {
            let datagram = leg.outgoing.recv().await.unwrap();
            if !is_video_rtp(&datagram) {
                continue;
            }
            let bytes = datagram.payload;
            if bytes[1] & 0x7f == RTX.send.value() {
                again += bytes.len();
                *times.entry(u16_at(&bytes, 12)).or_default() += 1;
                continue;
            }
            regular += bytes.len();
            let request = Datagram {
                medium: Medium::Video,
                channel: Channel::Rtcp,
                payload: request_for_all(&bytes[8..12], u16_at(&bytes, 2)).into(),
            };
            leg.incoming.send(request).await.unwrap();
        }
    };
    timeout(PATIENCE * 2, all).await.expect("no pictures come");
    assert!(again > 0);
    assert!(again * 2 < regular, "{again} of {regular} again");
    assert!(times.values().all(|times| *times <= 3), "{times:?}");
    room.shut_down().await;
}
