//! What people in the room hear of calls that are not answered yet.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use std::time::Duration;

use room::codec::AudioCodec;
use room::media_plan::{MicrophoneState, Tone};
use room::units::Volume;
use support::{Room, audio, call, only_audio};

/// Longer than a cadence.
const CADENCE: Duration = Duration::from_secs(6);

fn loudest(samples: &[i16]) -> i16 {
    samples
        .iter()
        .map(|sample| sample.saturating_abs())
        .max()
        .unwrap_or(0)
}

/// How many of the 10 ms stretches sound, in percent.
fn sounding(samples: &[i16]) -> usize {
    let stretches: Vec<_> = samples.chunks(480).collect();
    let sounding = stretches.iter().filter(|s| loudest(s) > 500).count();
    sounding * 100 / stretches.len().max(1)
}

async fn play(room: &mut Room, tone: Option<Tone>) {
    room.plan.playout.tone = tone;
    room.apply();
    room.wait_for_applied().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_without_a_leg_rings_in_a_cadence_until_it_is_told_to_stop() {
    let mut room = Room::start();
    play(&mut room, Some(Tone::Ringing)).await;
    let heard = room.listen(CADENCE).await;
    assert!(
        (7_000..9_000).contains(&loudest(&heard)),
        "{}",
        loudest(&heard)
    );
    // 1.6 s of 3.5 s, wherever the six seconds began.
    let part = sounding(&heard);
    assert!((30..65).contains(&part), "{part} %");
    play(&mut room, None).await;
    while room.loudspeaker.try_recv().is_ok() {}
    let none = tokio::time::timeout(Duration::from_millis(500), room.loudspeaker.recv()).await;
    assert!(none.is_err(), "the loudspeaker goes on");
    room.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_volume_holds_for_tones_too() {
    let mut room = Room::start();
    room.plan.playout.volume = Volume::percent(0).unwrap();
    play(&mut room, Some(Tone::Ringing)).await;
    assert_eq!(loudest(&room.listen(Duration::from_secs(1)).await), 0);
    room.plan.playout.volume = Volume::FULL;
    room.apply();
    room.wait_for_applied().await;
    assert!(loudest(&room.listen(CADENCE).await) > 7_000);
    room.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tone_in_a_meeting_is_heard_here_and_comes_and_goes_without_the_call() {
    let (mut left, mut right) = call(only_audio(audio(AudioCodec::Pcmu))).await;
    // Nobody speaks, so that whatever sounds is the tone.
    for room in [&mut left, &mut right] {
        room.plan.microphone.state = MicrophoneState::Muted;
        room.apply();
        room.wait_for_applied().await;
    }
    play(&mut left, Some(Tone::CallWaiting)).await;
    let heard = left.listen(CADENCE).await;
    assert!(
        (2_000..3_500).contains(&loudest(&heard)),
        "{}",
        loudest(&heard)
    );
    assert!(
        loudest(&right.listen(CADENCE).await) < 500,
        "the far end hears it"
    );
    play(&mut left, Some(Tone::Ringback)).await;
    assert!(loudest(&left.listen(CADENCE).await) > 2_800);
    play(&mut left, None).await;
    left.listen(Duration::from_millis(300)).await;
    assert!(loudest(&left.listen(CADENCE).await) < 500, "it goes on");
    left.shut_down().await;
    right.shut_down().await;
}
