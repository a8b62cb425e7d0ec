//! Legs that come and go, and what they leave behind.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use media::{DeviceStreams, Media, MediaEvent, MediaSettings, Source};
use room::codec::{AudioCodec, PacketizationMode, SrtpSuite};
use room::ids::LegId;
use room::media_plan::{AudioSource, LegStreams, VideoRole, VideoSource};
use support::wire::Wire;
use support::{PATIENCE, Room, audio_and_video};
use tokio::time::{Instant, interval, timeout};

fn entries(folder: &str) -> usize {
    fs::read_dir(folder).unwrap().count()
}

/// Threads and file descriptors of this process.
fn footprint() -> (usize, usize) {
    (entries("/proc/self/task"), entries("/proc/self/fd"))
}

/// Waits until the footprint is no larger than `limit`.
async fn settles_at(limit: (usize, usize)) {
    let started = Instant::now();
    let mut look = interval(Duration::from_millis(50));
    loop {
        look.tick().await;
        let now = footprint();
        if now.0 <= limit.0 && now.1 <= limit.1 {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{now:?} instead of {limit:?}");
    }
}

async fn one_call(left: &mut Room, right: &mut Room, id: u32) {
    let mut streams = audio_and_video();
    let keys = Some(support::keys(SrtpSuite::AesCm128HmacSha1_80, id as u8));
    streams.audio.as_mut().unwrap().srtp.clone_from(&keys);
    streams.video.as_mut().unwrap().srtp = keys;
    let a = left.open(id, streams.clone());
    let b = right.open(id, support::mirrored(&streams));
    Wire::default().join(a, b);
    right.wait_for_first_frame(id).await;
    left.wait_for_first_frame(id).await;
    for room in [left, right] {
        room.plan.legs.clear();
        room.apply();
        room.wait_for_applied().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_calls_in_a_row_leave_no_thread_and_no_file_open() {
    let (mut left, mut right) = (Room::start(), Room::start());
    for id in 1..=3 {
        one_call(&mut left, &mut right, id).await;
    }
    // Pools have grown to their size by now.
    let before = footprint();
    for id in 4..=23 {
        one_call(&mut left, &mut right, id).await;
    }
    settles_at(before).await;
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_network_side_of_a_leg_ends_when_no_plan_names_it() {
    let mut room = Room::start();
    let mut datagrams = room.open(1, audio_and_video());
    timeout(PATIENCE, datagrams.outgoing.recv())
        .await
        .unwrap()
        .expect("a first packet");
    room.plan.legs.clear();
    room.apply();
    let ended = timeout(PATIENCE, async {
        while datagrams.outgoing.recv().await.is_some() {}
    });
    ended.await.expect("the channel stays open");
    room.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leg_that_is_closed_before_any_plan_ends_too() {
    let room = Room::start();
    let mut datagrams = room.media.open_leg(LegId(5));
    room.media.close_leg(LegId(5));
    assert!(
        timeout(PATIENCE, datagrams.outgoing.recv())
            .await
            .unwrap()
            .is_none()
    );
    room.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leg_that_nobody_drains_does_not_hold_up_the_others() {
    let (mut left, mut right) = (Room::start(), Room::start());
    let streams = audio_and_video();
    let stuck = left.open(1, streams.clone());
    let a = left.open(2, streams.clone());
    let b = right.open(2, support::mirrored(&streams));
    Wire::default().join(a, b);
    let rate = right
        .wait_for(|event| match event {
            MediaEvent::Measured { stats, .. } => {
                let rate = stats.video.as_ref()?.received_frame_rate.as_f64();
                (rate > 25.0).then_some(rate)
            }
            _ => None,
        })
        .await;
    assert!(rate > 25.0);
    assert!(
        stuck.outgoing.len() > 100,
        "the stuck leg's channel fills up"
    );
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_keys_within_a_call_go_on_over_the_same_channels() {
    let (mut left, mut right) = support::call(audio_and_video()).await;
    right.wait_for_first_frame(1).await;
    let mut streams = audio_and_video();
    streams.video.as_mut().unwrap().srtp = Some(support::keys(SrtpSuite::AesCm128HmacSha1_80, 77));
    right.plan.legs[0].streams = support::mirrored(&streams);
    left.plan.legs[0].streams = streams;
    left.apply();
    right.apply();
    right.wait_for_applied().await;
    right.wait_for_first_frame(1).await;
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_with_a_leg_that_was_not_opened_leaves_the_other_legs_running() {
    let (mut left, mut right) = support::call(audio_and_video()).await;
    right.wait_for_first_frame(1).await;
    let mut unknown = left.plan.legs[0].clone();
    unknown.id = LegId(99);
    left.plan.legs.push(unknown);
    left.apply();
    left.wait_for_applied().await;
    let mut frames = right.media.tap_decoded(LegId(1), VideoRole::Main).unwrap();
    for _ in 0..10 {
        timeout(PATIENCE, frames.recv()).await.unwrap().unwrap();
    }
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_from_the_network_is_counted_and_changes_nothing() {
    let (mut left, mut right) = (Room::start(), Room::start());
    let streams = LegStreams {
        audio: Some(support::audio(AudioCodec::Opus)),
        video: Some(support::video(PacketizationMode::NonInterleaved)),
        slides: None,
    };
    let a = left.open(1, streams.clone());
    let b = right.open(1, support::mirrored(&streams));
    let garbage = b.incoming.clone();
    Wire::default().join(a, b);
    right.wait_for_first_frame(1).await;
    let mut random = 1_u64;
    for round in 0..400_usize {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(round as u64);
        let payload: Vec<u8> = (0..round % 60)
            .map(|n| (random >> (n % 56)) as u8 ^ n as u8)
            .collect();
        let medium = media::Medium::ALL[round % 2];
        let channel = if round % 3 == 0 {
            media::Channel::Rtcp
        } else {
            media::Channel::Rtp
        };
        garbage
            .send(media::Datagram {
                medium,
                channel,
                payload: payload.into(),
            })
            .await
            .unwrap();
    }
    let dropped = right
        .wait_for(|event| match event {
            MediaEvent::Measured { stats, .. } => {
                let video = stats.video.as_ref()?;
                let flows = video.received_frame_rate.as_f64() > 20.0;
                let dropped = video.stream.datagrams_dropped;
                (flows && dropped > 0).then_some(dropped)
            }
            MediaEvent::Fault { element, text, .. } => panic!("{element}: {text}"),
            _ => None,
        })
        .await;
    assert!(dropped > 50, "{dropped}");
    left.shut_down().await;
    right.shut_down().await;
}

/// Writes a short recording with a moving picture and a tone.
fn recording(folder: &std::path::Path) -> PathBuf {
    use gst::prelude::*;
    gst::init().unwrap();
    let file = folder.join("room.mkv");
    let pipeline = gst::parse::launch(&format!(
        "matroskamux name=mux ! filesink location={} \
         videotestsrc num-buffers=25 pattern=ball ! video/x-raw,width=320,height=240,framerate=25/1 \
         ! x264enc tune=zerolatency speed-preset=ultrafast ! mux. \
         audiotestsrc num-buffers=50 samplesperbuffer=882 ! audio/x-raw,rate=44100 ! mux.",
        file.display()
    ))
    .unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = pipeline
        .bus()
        .unwrap()
        .timed_pop_filtered(gst::ClockTime::from_seconds(20), &ends);
    assert_eq!(message.unwrap().type_(), gst::MessageType::Eos);
    pipeline.set_state(gst::State::Null).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recordings_play_in_a_loop_as_camera_and_microphone() {
    let folder = tempfile::tempdir().unwrap();
    let file = recording(folder.path());
    let (mut left, mut right) = (Room::start(), Room::start());
    left.plan.camera.source = VideoSource::File(file.clone());
    left.plan.microphone.source = AudioSource::File(file);
    let streams = audio_and_video();
    let a = left.open(1, streams.clone());
    let b = right.open(1, support::mirrored(&streams));
    Wire::default().join(a, b);
    right.wait_for_first_frame(1).await;
    let mut frames = right.media.tap_decoded(LegId(1), VideoRole::Main).unwrap();
    // Three times the recording's length at 30 pictures a second.
    for _ in 0..90 {
        let frame = timeout(PATIENCE, frames.recv()).await.unwrap().unwrap();
        assert_eq!((frame.width(), frame.height()), (640, 360));
    }
    for second in 1..=3 {
        let heard = right.listen(Duration::from_secs(1)).await;
        let loud = heard
            .chunks(480)
            .filter(|frame| frame.iter().any(|s| *s > 3_000))
            .count();
        assert!(
            loud > 30,
            "{loud} of 100 frames have sound in second {second}"
        );
    }
    left.shut_down().await;
    right.shut_down().await;
}

/// A call whose left room has `file` for a camera ends in the slate, while its sound goes on.
async fn shows_the_slate_instead_of(file: PathBuf) {
    let (mut left, mut right) = (Room::start(), Room::start());
    left.plan.camera.source = VideoSource::File(file);
    let streams = audio_and_video();
    let a = left.open(1, streams.clone());
    let b = right.open(1, support::mirrored(&streams));
    Wire::default().join(a, b);
    left.wait_for(|event| matches!(event, MediaEvent::Fault { .. }).then_some(()))
        .await;
    left.wait_for(|event| matches!(event, MediaEvent::SourceGone(Source::Camera)).then_some(()))
        .await;
    right.wait_for_first_frame(1).await;
    // The slates keep coming while the recording is tried again.
    let mut slates = right.media.tap_decoded(LegId(1), VideoRole::Main).unwrap();
    for _ in 0..20 {
        timeout(PATIENCE, slates.recv()).await.unwrap().unwrap();
    }
    let heard = right.listen(Duration::from_secs(2)).await;
    assert!(heard.iter().any(|sample| *sample > 3_000));
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instead_of_a_missing_recording_the_slate_is_sent() {
    shows_the_slate_instead_of("/nonexistent/room.mkv".into()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instead_of_a_file_that_is_no_film_the_slate_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("room.mkv");
    let noise: Vec<u8> = (0..100_000_u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect();
    fs::write(&file, noise).unwrap();
    shows_the_slate_instead_of(file).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_that_appears_later_is_played_then() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("later.mkv");
    let (mut left, mut right) = (Room::start(), Room::start());
    left.plan.camera.source = VideoSource::File(file.clone());
    left.plan.microphone.source = AudioSource::File(file.clone());
    let streams = audio_and_video();
    let a = left.open(1, streams.clone());
    let b = right.open(1, support::mirrored(&streams));
    Wire::default().join(a, b);
    let mut gone = Vec::new();
    while gone.len() < 2 {
        let source = |event: &MediaEvent| match event {
            MediaEvent::SourceGone(source) => Some(*source),
            _ => None,
        };
        gone.push(left.wait_for(source).await);
    }
    fs::rename(recording(folder.path()), &file).unwrap();
    let back = |event: &MediaEvent| matches!(event, MediaEvent::SourceBack(_)).then_some(());
    left.wait_for(back).await;
    left.wait_for(back).await;
    let heard = right.listen(Duration::from_secs(2)).await;
    assert!(heard.iter().any(|sample| *sample > 3_000));
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_that_hang_up_are_told_as_gone() {
    let (camera, frames) = tokio::sync::mpsc::channel(2);
    let (microphone, heard) = tokio::sync::mpsc::channel(2);
    let devices = DeviceStreams {
        camera: Some(frames),
        slides: None,
        microphone: Some(heard),
        loudspeaker: None,
    };
    let (media, mut events) = Media::start(MediaSettings::default(), devices).unwrap();
    drop((camera, microphone));
    let _datagrams = media.open_leg(LegId(1));
    let mut plan = support::idle_plan();
    plan.legs = vec![room::media_plan::LegPlan {
        id: LegId(1),
        rung: Some(room::RungName::High),
        streams: audio_and_video(),
        connection: room::media_plan::LegConnection::Connected,
    }];
    media.apply(plan);
    let mut gone = Vec::new();
    while gone.len() < 2 {
        if let MediaEvent::SourceGone(source) =
            timeout(PATIENCE, events.recv()).await.unwrap().unwrap()
        {
            gone.push(source);
        }
    }
    assert!(gone.contains(&Source::Camera) && gone.contains(&Source::Microphone));
    media.shut_down().await.unwrap();
}
