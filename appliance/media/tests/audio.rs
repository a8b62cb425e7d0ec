//! Sound between two rooms.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use media::MediaEvent;
use room::codec::{AudioCodec, Direction, SrtpSuite};
use room::dtmf::{DtmfDigit, DtmfDigits};
use room::media_plan::{AudioSource, LegStreams, MicrophoneState};
use room::units::{AudioLevel, Volume};
use support::wire::{Padding, Wire};
use support::{Room, audio, call, call_with, only_audio, sound};

fn loudest(samples: &[i16]) -> i16 {
    samples
        .iter()
        .map(|sample| sample.saturating_abs())
        .max()
        .unwrap_or(0)
}

/// Listens until sound arrives; what follows is sound from its start on.
async fn wait_for_sound(room: &mut Room) {
    for _ in 0..100 {
        if loudest(&room.listen(Duration::from_millis(100)).await) > 4_000 {
            return;
        }
    }
    panic!("no sound");
}

/// A-law has no zero: its smallest value is 8, which resampling makes a little larger.
const SILENT: i16 = 16;

async fn silence(room: &mut Room) -> bool {
    loudest(&room.listen(Duration::from_millis(300)).await) <= SILENT
}

async fn sound_arrives(streams: LegStreams, least: f64) {
    let (mut left, mut right) = call(streams).await;
    for room in [&mut left, &mut right] {
        wait_for_sound(room).await;
        let mut correlation = 0.0;
        for _ in 0..10 {
            if correlation < least {
                let heard = room.listen(Duration::from_secs(1)).await;
                correlation = sound::correlation(&heard).max(correlation);
            }
        }
        assert!(correlation >= least, "{correlation} < {least}");
    }
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opus_carries_the_sound() {
    sound_arrives(only_audio(audio(AudioCodec::Opus)), 0.9).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g722_carries_the_sound() {
    sound_arrives(only_audio(audio(AudioCodec::G722)), 0.97).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pcmu_and_pcma_carry_the_sound() {
    sound_arrives(only_audio(audio(AudioCodec::Pcmu)), 0.97).await;
    sound_arrives(only_audio(audio(AudioCodec::Pcma)), 0.97).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn srtp_carries_the_sound() {
    let mut stream = audio(AudioCodec::Opus);
    stream.srtp = Some(support::keys(SrtpSuite::AesCm128HmacSha1_80, 9));
    sound_arrives(only_audio(stream), 0.9).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_and_pictures_share_a_leg() {
    sound_arrives(support::audio_and_video(), 0.9).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_muted_room_is_digital_silence_at_the_far_end_of_a_codec_that_keeps_samples() {
    let (mut left, mut right) = call(only_audio(audio(AudioCodec::Pcma))).await;
    wait_for_sound(&mut right).await;
    left.plan.microphone.state = MicrophoneState::Muted;
    left.apply();
    left.wait_for_applied().await;
    // What was said before the mute is still on its way for a moment.
    let mut quiet = false;
    for _ in 0..10 {
        quiet = quiet || silence(&mut right).await;
    }
    assert!(quiet, "sound left a muted room");
    for _ in 0..3 {
        let heard = right.listen(Duration::from_millis(200)).await;
        assert!(loudest(&heard) <= SILENT, "{}", loudest(&heard));
    }
    left.plan.microphone.state = MicrophoneState::Open;
    left.apply();
    wait_for_sound(&mut right).await;
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_starts_muted_never_sends_a_sample() {
    let (mut left, mut right) = (Room::start(), Room::start());
    left.plan.microphone.state = MicrophoneState::Muted;
    let streams = only_audio(audio(AudioCodec::Opus));
    let a = left.open(1, streams.clone());
    let b = right.open(1, support::mirrored(&streams));
    Wire::default().join(a, b);
    wait_for_sound(&mut left).await;
    let heard = right.listen(Duration::from_secs(1)).await;
    assert!(loudest(&heard) <= SILENT);
    let level = left
        .wait_for(|event| match event {
            MediaEvent::Levels { microphone, .. } => Some(*microphone),
            _ => None,
        })
        .await;
    assert_eq!(level, AudioLevel::SILENCE);
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volume_zero_is_silent_and_full_volume_is_not() {
    let (left, mut right) = call(only_audio(audio(AudioCodec::Pcma))).await;
    wait_for_sound(&mut right).await;
    right.plan.playout.volume = Volume::percent(0).unwrap();
    right.apply();
    right.wait_for_applied().await;
    let mut silent = false;
    for _ in 0..10 {
        silent = silent || silence(&mut right).await;
    }
    assert!(silent);
    right.plan.playout.volume = Volume::FULL;
    right.apply();
    wait_for_sound(&mut right).await;
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn telephone_keys_arrive_both_ways_in_order_and_once() {
    let wire = Wire {
        loss: 50,
        seed: 3,
        ..Wire::default()
    };
    for codec in [AudioCodec::Opus, AudioCodec::Pcmu] {
        let (mut left, mut right) = call_with(only_audio(audio(codec)), wire.clone()).await;
        for (from, to) in [(true, "12#9*A"), (false, "0D")] {
            let (sender, receiver) = if from {
                (&left, &mut right)
            } else {
                (&right, &mut left)
            };
            sender
                .media
                .send_dtmf(room::ids::LegId(1), &DtmfDigits::parse(to).unwrap());
            let mut keys = String::new();
            while keys.len() < to.len() {
                let key = receiver.wait_for(|event| match event {
                    MediaEvent::DtmfReceived { digit, .. } => Some(DtmfDigit::as_char(*digit)),
                    _ => None,
                });
                keys.push(key.await);
            }
            assert_eq!(keys, to);
        }
        left.shut_down().await;
        right.shut_down().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_for_a_peer_that_takes_none_are_a_fault_and_not_lost_in_silence() {
    let mut stream = audio(AudioCodec::Opus);
    stream.send_telephone_event = None;
    let (mut left, right) = call(only_audio(stream)).await;
    left.media
        .send_dtmf(room::ids::LegId(1), &DtmfDigits::parse("1").unwrap());
    left.wait_for(|event| matches!(event, MediaEvent::Fault { .. }).then_some(()))
        .await;
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opus_conceals_losses() {
    let wire = Wire {
        loss: 100,
        seed: 8,
        ..Wire::default()
    };
    let (left, mut right) = call_with(only_audio(audio(AudioCodec::Opus)), wire).await;
    wait_for_sound(&mut right).await;
    let heard = right.listen(Duration::from_secs(3)).await;
    // Some 5 packets of 20 ms are lost each second: without concealment 10 frames would be silent.
    // The best second counts, because a busy machine adds gaps of its own.
    let silent = |second: &[i16]| {
        second
            .chunks(480)
            .filter(|frame| loudest(frame) < 500)
            .count()
    };
    let best = heard.chunks(48_000).map(silent).min().unwrap();
    assert!(best <= 4, "{best} of 100 frames are silent");
    left.shut_down().await;
    right.shut_down().await;
}

/// Sound of a peer that sends padding as well, six bursts long.
async fn sound_beside_padding(codec: AudioCodec, padding: Padding) {
    let wire = Wire {
        padding: Some(padding),
        ..Wire::default()
    };
    let (left, mut right) = call_with(only_audio(audio(codec)), wire).await;
    wait_for_sound(&mut right).await;
    right.listen(Duration::from_secs(9)).await;
    let heard = right.listen(Duration::from_secs(3)).await;
    let correlation = sound::correlation(&heard);
    assert!(correlation > 0.9, "{codec:?} {padding:?}: {correlation}");
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_goes_on_beside_padding_that_arrives() {
    sound_beside_padding(AudioCodec::Opus, Padding::Arrives).await;
    sound_beside_padding(AudioCodec::Pcmu, Padding::Arrives).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_goes_on_where_padding_is_missing() {
    sound_beside_padding(AudioCodec::Opus, Padding::TakenOut).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opus_packets_of_speech_carry_the_one_before_for_when_it_is_lost() {
    let wire = Wire::default();
    let (mut left, mut right) = (Room::start(), Room::start());
    let words = std::path::Path::new("/usr/share/sounds/alsa/Front_Center.wav");
    assert!(words.exists(), "the voices of alsa-utils are needed");
    left.plan.microphone.source = AudioSource::File(words.to_owned());
    let streams = only_audio(audio(AudioCodec::Opus));
    let a = left.open(1, streams.clone());
    let b = right.open(1, support::mirrored(&streams));
    wire.join(a, b);
    let mut repeated = 0;
    for _ in 0..20 {
        if repeated < 10 {
            right.listen(Duration::from_millis(500)).await;
            repeated = wire.opus_with_repetition.load(Ordering::Relaxed);
        }
    }
    assert!(repeated >= 10, "{repeated} packets repeat the one before");
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_leg_hears_nothing_and_is_not_heard() {
    let (mut left, mut right) = call(only_audio(audio(AudioCodec::Pcma))).await;
    wait_for_sound(&mut right).await;
    wait_for_sound(&mut left).await;
    for room in [&mut left, &mut right] {
        room.plan.legs[0].streams.audio.as_mut().unwrap().direction = Direction::Inactive;
        room.apply();
        room.wait_for_applied().await;
    }
    for room in [&mut left, &mut right] {
        let mut silent = false;
        for _ in 0..10 {
            silent = silent || silence(room).await;
        }
        assert!(silent);
    }
    for room in [&mut left, &mut right] {
        room.plan.legs[0].streams.audio.as_mut().unwrap().direction = Direction::SendRecv;
        room.apply();
    }
    wait_for_sound(&mut left).await;
    wait_for_sound(&mut right).await;
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loudspeaker_plays_in_time_from_the_first_sample() {
    let (left, mut right) = call(only_audio(audio(AudioCodec::Opus))).await;
    let mut played = Vec::new();
    while played.len() < 100 {
        let frame = tokio::time::timeout(support::PATIENCE, right.loudspeaker.recv()).await;
        played.push(frame.unwrap().unwrap().captured);
    }
    // 100 frames last a second; sound from before the call would come at once.
    let lasted = played[99] - played[0];
    assert!(lasted > Duration::from_millis(800), "{lasted:?}");
    left.shut_down().await;
    right.shut_down().await;
}
