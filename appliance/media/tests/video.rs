//! Pictures between two rooms.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use media::{DecodedFrame, MediaEvent, PictureOf, Source};
use room::codec::{Direction, PacketizationMode, SrtpSuite};
use room::ids::LegId;
use room::media_plan::{CameraState, LegStreams, VideoRole, VideoSource};
use support::wire::Wire;
use support::{PATIENCE, Room, call, call_with, only_video, picture, video};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

async fn next(frames: &mut Receiver<DecodedFrame>) -> DecodedFrame {
    timeout(PATIENCE, frames.recv())
        .await
        .expect("no picture")
        .expect("the leg has ended")
}

/// Takes pictures until `enough` of them show their number and are close to what was sent.
async fn see(room: &Room, enough: usize) -> Vec<u32> {
    let mut frames = room.media.tap_decoded(LegId(1), VideoRole::Main).unwrap();
    let mut numbers = Vec::new();
    let mut looked = 0;
    while numbers.len() < enough {
        let frame = next(&mut frames).await;
        assert_eq!((frame.width(), frame.height()), (640, 360));
        looked += 1;
        assert!(
            looked < enough * 4 + 60,
            "only {} of {looked} can be read",
            numbers.len()
        );
        if let Some(number) = picture::number(&frame)
            && picture::error(&frame, number) < 60.0
        {
            numbers.push(number);
        }
    }
    numbers
}

async fn pictures_arrive(streams: LegStreams) {
    let (left, right) = call(streams).await;
    let numbers = see(&right, 30).await;
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    see(&left, 10).await;
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_arrive_with_the_content_that_was_sent() {
    pictures_arrive(only_video(video(PacketizationMode::NonInterleaved))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_arrive_over_srtp_with_every_suite() {
    for suite in SrtpSuite::ALL {
        let mut stream = video(PacketizationMode::NonInterleaved);
        stream.srtp = Some(support::keys(suite, 5));
        pictures_arrive(only_video(stream)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_decoded_with_the_wrong_srtp_key() {
    let mut stream = video(PacketizationMode::NonInterleaved);
    stream.srtp = Some(support::keys(SrtpSuite::AesCm128HmacSha1_80, 5));
    let (mut left, mut right) = (Room::start(), Room::start());
    let a = left.open(1, only_video(stream.clone()));
    stream.srtp = Some(support::keys(SrtpSuite::AesCm128HmacSha1_80, 6));
    let b = right.open(1, support::mirrored(&only_video(stream)));
    let wire = Wire::default();
    wire.join(a, b);
    let received = right
        .wait_for(|event| match event {
            MediaEvent::FirstFrame { .. } => panic!("a picture with the wrong key"),
            MediaEvent::Measured { stats, .. } => {
                let video = stats.video.as_ref()?;
                (video.stream.packets_received > 60).then(|| video.clone())
            }
            _ => None,
        })
        .await;
    assert_eq!(received.received_resolution, None);
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn single_nal_unit_mode_sends_whole_small_nal_units_only() {
    let wire = Wire::default();
    let (mut left, mut right) = (Room::start(), Room::start());
    for room in [&mut left, &mut right] {
        high(room).max_nal_unit = Some(1_100);
    }
    let streams = only_video(video(PacketizationMode::SingleNalUnit));
    let a = left.open(1, streams.clone());
    let b = right.open(1, support::mirrored(&streams));
    wire.join(a, b);
    see(&right, 20).await;
    assert!(wire.largest.load(Ordering::Relaxed) <= 1_200);
    // STAP-A, FU-A and their kin have the types 24 to 29.
    assert_eq!(wire.nal_types.load(Ordering::Relaxed) >> 24, 0);
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_go_on_though_packets_are_lost() {
    let wire = Wire {
        loss: 30,
        seed: 4,
        ..Wire::default()
    };
    // Nothing is sent again: only whole pictures mend what is broken.
    let mut stream = video(PacketizationMode::NonInterleaved);
    stream.feedback.generic_nack = false;
    let (left, mut right) = call_with(only_video(stream), wire).await;
    let numbers = see(&right, 60).await;
    assert!(numbers.is_sorted());
    let stats = right
        .wait_for(|event| match event {
            MediaEvent::Measured { stats, .. } => stats
                .video
                .clone()
                .filter(|video| video.stream.packets_lost > 0),
            _ => None,
        })
        .await;
    assert!(stats.keyframes_requested > 0, "{stats:?}");
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_picture_is_told_within_a_second_and_so_is_its_return() {
    let wire = Wire::default();
    let streams = only_video(video(PacketizationMode::NonInterleaved));
    let (left, mut right) = call_with(streams, wire.clone()).await;
    right.wait_for_first_frame(1).await;
    see(&right, 20).await;
    wire.cut.store(true, Ordering::Relaxed);
    right
        .wait_for(|event| matches!(event, MediaEvent::VideoStalled { .. }).then_some(()))
        .await;
    wire.cut.store(false, Ordering::Relaxed);
    right
        .wait_for(|event| matches!(event, MediaEvent::VideoResumed { .. }).then_some(()))
        .await;
    see(&right, 10).await;
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_that_is_off_sends_a_slate_and_comes_back() {
    let (mut left, right) = call(only_video(video(PacketizationMode::NonInterleaved))).await;
    see(&right, 10).await;
    left.plan.camera.state = CameraState::Off;
    left.apply();
    let mut frames = right.media.tap_decoded(LegId(1), VideoRole::Main).unwrap();
    let slate = |frame: &DecodedFrame| frame.luma_row(16).iter().all(|&pixel| pixel < 60);
    let mut seen = false;
    for _ in 0..60 {
        if slate(&next(&mut frames).await) {
            seen = true;
            break;
        }
    }
    assert!(seen, "no slate");
    left.plan.camera.state = CameraState::On;
    left.apply();
    see(&right, 10).await;
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_that_hangs_in_a_call_is_told_the_slate_is_sent_and_the_camera_comes_back() {
    let (mut left, right) = call(support::audio_and_video()).await;
    see(&right, 10).await;
    let is_about_the_camera = |event: &MediaEvent| match event {
        MediaEvent::SourceGone(Source::Camera) => Some(false),
        MediaEvent::SourceBack(Source::Camera) => Some(true),
        _ => None,
    };
    assert!(left.wait_for(is_about_the_camera).await, "it is there");
    left.camera_works.store(false, Ordering::Relaxed);
    assert!(!left.wait_for(is_about_the_camera).await);
    let mut frames = right.media.tap_decoded(LegId(1), VideoRole::Main).unwrap();
    let slate = |frame: &DecodedFrame| frame.luma_row(16).iter().all(|&pixel| pixel < 60);
    while !slate(&next(&mut frames).await) {}
    left.camera_works.store(true, Ordering::Relaxed);
    assert!(left.wait_for(is_about_the_camera).await);
    see(&right, 10).await;
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_that_was_gone_when_capture_stopped_is_told_to_be_back_when_it_starts_again() {
    let (mut left, right) = call(only_video(video(PacketizationMode::NonInterleaved))).await;
    let is = |wanted: MediaEvent| move |event: &MediaEvent| (*event == wanted).then_some(());
    let back = MediaEvent::SourceBack(Source::Camera);
    left.wait_for(is(back.clone())).await;
    left.camera_works.store(false, Ordering::Relaxed);
    left.wait_for(is(MediaEvent::SourceGone(Source::Camera)))
        .await;
    let direction = |room: &mut Room, direction| {
        room.plan.legs[0].streams.video.as_mut().unwrap().direction = direction;
        room.apply();
    };
    direction(&mut left, Direction::RecvOnly);
    left.wait_for_applied().await;
    left.camera_works.store(true, Ordering::Relaxed);
    direction(&mut left, Direction::SendRecv);
    left.wait_for(is(back)).await;
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_without_a_camera_says_so_and_sends_a_slate() {
    let (mut left, mut right) = (Room::start(), Room::start());
    left.plan.camera.source = VideoSource::None;
    let streams = only_video(video(PacketizationMode::NonInterleaved));
    let a = left.open(1, streams.clone());
    let b = right.open(1, support::mirrored(&streams));
    Wire::default().join(a, b);
    left.wait_for(|event| (*event == MediaEvent::SourceGone(Source::Camera)).then_some(()))
        .await;
    right.wait_for_first_frame(1).await;
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_stops_the_pictures_and_a_resume_brings_them_back() {
    let (mut left, mut right) = call(only_video(video(PacketizationMode::NonInterleaved))).await;
    right.wait_for_first_frame(1).await;
    let direction = |room: &mut Room, direction| {
        room.plan.legs[0].streams.video.as_mut().unwrap().direction = direction;
        room.apply();
    };
    direction(&mut left, Direction::Inactive);
    direction(&mut right, Direction::Inactive);
    left.wait_for_applied().await;
    right.wait_for_applied().await;
    // Held, not stalled: a second without pictures is meant.
    let sent = right
        .wait_for(|event| match event {
            MediaEvent::VideoStalled { .. } => panic!("a hold is no stall"),
            MediaEvent::Measured { stats, .. } => {
                let rate = stats.video.as_ref()?.received_frame_rate.as_f64();
                (rate == 0.0).then_some(rate)
            }
            _ => None,
        })
        .await;
    assert_eq!(sent, 0.0);
    direction(&mut right, Direction::SendRecv);
    direction(&mut left, Direction::SendRecv);
    see(&right, 15).await;
    see(&left, 15).await;
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_encode_feeds_two_legs_and_a_new_leg_leaves_the_first_alone() {
    let mut centre = Room::start();
    let mut far = [Room::start(), Room::start()];
    let streams = only_video(video(PacketizationMode::NonInterleaved));
    let mut taps = Vec::new();
    for (n, room) in far.iter_mut().enumerate() {
        let a = centre.open(n as u32 + 1, streams.clone());
        let b = room.open(1, support::mirrored(&streams));
        Wire::default().join(a, b);
        room.wait_for_first_frame(1).await;
        taps.push(room.media.tap_decoded(LegId(1), VideoRole::Main).unwrap());
    }
    let mut last = None;
    for _ in 0..30 {
        let number = picture::number(&next(&mut taps[0]).await);
        if let (Some(last), Some(number)) = (last, number) {
            assert!(number > last && number - last < 8, "{last} then {number}");
        }
        last = number.or(last);
    }
    centre.shut_down().await;
    for room in far {
        room.shut_down().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_size_and_bitrate_reach_the_far_end_within_the_same_leg() {
    let (mut left, right) = call(only_video(video(PacketizationMode::NonInterleaved))).await;
    see(&right, 10).await;
    high(&mut left).resolution = room::units::Resolution {
        width: 320,
        height: 184,
    };
    high(&mut left).bitrate = room::units::Bitrate::kbps(300);
    left.apply();
    let mut frames = right.media.tap_decoded(LegId(1), VideoRole::Main).unwrap();
    let started = Instant::now();
    while next(&mut frames).await.width() != 320 {
        assert!(started.elapsed() < PATIENCE, "the size stays as it was");
    }
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_of_both_ends_are_taken_as_jpeg() {
    let (left, mut right) = call(only_video(video(PacketizationMode::NonInterleaved))).await;
    right.wait_for_first_frame(1).await;
    for (taker, of) in [
        (&right, PictureOf::FarEnd(LegId(1))),
        (&left, PictureOf::Sent),
    ] {
        let pictures = taker.media.pictures();
        let jpeg = tokio::task::spawn_blocking(move || pictures.take(of))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(jpeg[..3], [0xff, 0xd8, 0xff]);
        assert!(jpeg.len() > 2_000);
    }
    assert!(left.media.picture(PictureOf::FarEnd(LegId(7))).is_err());
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_tell_rates_sizes_and_round_trip() {
    let (left, mut right) = call(only_video(video(PacketizationMode::NonInterleaved))).await;
    let stats = right
        .wait_for(|event| match event {
            MediaEvent::Measured { stats, .. } => {
                let video = stats.video.as_ref()?;
                let full = stats.round_trip.is_some()
                    && video.received_frame_rate.as_f64() > 25.0
                    && video.sent_frame_rate.as_f64() > 25.0;
                full.then(|| stats.clone())
            }
            _ => None,
        })
        .await;
    let video = stats.video.unwrap();
    assert!(
        stats.round_trip.unwrap() < Duration::from_millis(500),
        "{:?}",
        stats.round_trip
    );
    assert!(video.stream.receive_bitrate.as_kbps() > 30, "{video:?}");
    assert_eq!(
        video.received_resolution,
        Some(room::units::Resolution::NHD360)
    );
    assert_eq!(video.sent_resolution, Some(room::units::Resolution::NHD360));
    assert!(video.encoder.is_some() && video.decoder.is_some());
    left.shut_down().await;
    right.shut_down().await;
}

/// The encode of a room's camera.
fn high(room: &mut Room) -> &mut room::media_plan::Rung {
    room.plan
        .ladder
        .high
        .as_mut()
        .expect("the camera is encoded")
}
