//! Two encodes of one camera, and legs that change between them.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod support;

use std::sync::atomic::Ordering;

use media::{DecodedFrame, Gate, MediaEvent};
use room::codec::{Direction, PacketizationMode, VideoFeedback};
use room::leg_stats::VideoStats;
use room::media_plan::{EncodeLadder, Rung, VideoRole, VideoStream};
use room::units::{Bitrate, FrameRate, Resolution};
use room::{LegId, RungName};
use support::wire::Wire;
use support::{PATIENCE, Room, only_video, picture, video};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// The sequence parameter set (ITU-T H.264 table 7-1), which comes with each keyframe, as
/// [`Wire::nal_types`] has it.
const KEYFRAME: u64 = 1 << 7;

/// The most that the slow far end takes.
const LIMIT: Bitrate = Bitrate::kbps(150);

/// Pictures that a machine with much to do may leave out at a time.
const LEFT_OUT: u32 = 8;

fn low() -> Rung {
    Rung {
        resolution: Resolution {
            width: 320,
            height: 180,
        },
        frame_rate: FrameRate(30),
        bitrate: LIMIT,
        max_nal_unit: None,
    }
}

/// A room in a call with two others, each of which sees the first one's camera.
struct Party {
    centre: Room,
    far: [Room; 2],
    wires: [Wire; 2],
    seen: [Receiver<DecodedFrame>; 2],
}

impl Party {
    async fn begin() -> Self {
        Self::begin_with(VideoFeedback::ALL).await
    }

    async fn begin_with(feedback: VideoFeedback) -> Self {
        let mut centre = Room::start();
        let mut far = [Room::start(), Room::start()];
        let wires = [Wire::default(), Wire::default()];
        let streams = only_video(VideoStream {
            // What the wires carry is the centre's.
            direction: Direction::SendOnly,
            feedback,
            ..video(PacketizationMode::NonInterleaved)
        });
        for (id, (room, wire)) in (1..).zip(far.iter_mut().zip(&wires)) {
            let a = centre.open(id, streams.clone());
            let b = room.open(1, support::mirrored(&streams));
            wire.clone().join(a, b);
            room.wait_for_first_frame(1).await;
        }
        let tap = |room: &Room| room.media.tap_decoded(LegId(1), VideoRole::Main).unwrap();
        let seen = [tap(&far[0]), tap(&far[1])];
        Self {
            centre,
            far,
            wires,
            seen,
        }
    }

    /// Forgets the pictures that wait to be looked at.
    fn forget_seen(&mut self) {
        for seen in &mut self.seen {
            while seen.try_recv().is_ok() {}
        }
    }

    /// Moves the second leg.
    fn move_second(&mut self, rung: RungName) {
        self.centre.plan.legs[1].rung = Some(rung);
        self.centre.plan.ladder.low = match rung {
            RungName::High => None,
            RungName::Low => Some(low()),
        };
        self.centre.apply();
    }

    /// What the second leg was sent in a second, when it took this rung for all of it.
    async fn measured(&mut self, rung: RungName) -> VideoStats {
        let measured = |event: &MediaEvent| match event {
            MediaEvent::Measured { leg, stats } if *leg == LegId(2) => {
                let video = stats.video.as_ref()?;
                (video.rung?.name == rung).then(|| video.clone())
            }
            _ => None,
        };
        self.centre.wait_for(measured).await;
        self.centre.wait_for(measured).await
    }

    async fn end(self) {
        self.centre.shut_down().await;
        for room in self.far {
            room.shut_down().await;
        }
    }
}

/// A picture that can be read.
#[derive(Clone, Copy, Debug)]
struct Seen {
    width: usize,
    number: u32,
    error: f64,
}

async fn next(frames: &mut Receiver<DecodedFrame>) -> Seen {
    loop {
        let frame = timeout(PATIENCE, frames.recv()).await;
        let frame = frame.expect("no picture").expect("the leg has ended");
        if let Some(number) = picture::number(&frame) {
            return Seen {
                width: frame.width(),
                number,
                error: picture::error(&frame, number),
            };
        }
    }
}

/// The mean error of so many pictures, none of which is missed or small.
async fn whole(frames: &mut Receiver<DecodedFrame>, pictures: usize) -> f64 {
    let mut last: Option<u32> = None;
    let mut sum = 0.0;
    for _ in 0..pictures {
        let seen = next(frames).await;
        assert_eq!(seen.width, 640, "{seen:?}");
        if let Some(last) = last {
            let on = seen.number > last && seen.number < last + LEFT_OUT;
            assert!(on, "{last}, then {seen:?}");
        }
        last = Some(seen.number);
        sum += seen.error;
    }
    sum / pictures as f64
}

/// Waits for this width. Until then, and at that moment, no picture comes out of order, and no more
/// are missed than a machine with much to do leaves out. One may come in both sizes.
async fn changes_to(frames: &mut Receiver<DecodedFrame>, width: usize) {
    let mut last = next(frames).await;
    while last.width != width {
        let seen = next(frames).await;
        let on = seen.number >= last.number && seen.number < last.number + LEFT_OUT;
        assert!(on, "{last:?}, then {seen:?}");
        last = seen;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_leg_takes_small_pictures_and_the_other_one_keeps_its_own() {
    let mut party = Party::begin().await;
    let before = whole(&mut party.seen[0], 60).await;

    party.forget_seen();
    party.move_second(RungName::Low);
    let [first, second] = &mut party.seen;
    // The other one does not even get a keyframe for it.
    party.wires[0].nal_types.store(0, Ordering::Relaxed);
    let (after, ()) = tokio::join!(whole(first, 60), changes_to(second, 320));
    assert_eq!(
        party.wires[0].nal_types.load(Ordering::Relaxed) & KEYFRAME,
        0
    );
    assert!(
        after < before * 1.25 + 1.0,
        "{before} before, {after} after"
    );
    let small = next(second).await;
    assert!(small.width == 320 && small.error < 400.0, "{small:?}");

    let sent = party.measured(RungName::Low).await;
    assert!(
        sent.stream.send_bitrate.as_bps() < LIMIT.as_bps() * 5 / 4,
        "{sent:?}"
    );
    assert_eq!(sent.sent_resolution, Some(low().resolution));
    assert_eq!(sent.rung.map(|rung| rung.bitrate), Some(LIMIT));

    party.forget_seen();
    party.move_second(RungName::High);
    let [first, second] = &mut party.seen;
    tokio::join!(whole(first, 60), changes_to(second, 640));
    party.measured(RungName::High).await;
    party.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leg_alone_goes_from_one_encode_to_the_other_without_a_gap() {
    let (mut left, right) =
        support::call(only_video(video(PacketizationMode::NonInterleaved))).await;
    let mut seen = right.media.tap_decoded(LegId(1), VideoRole::Main).unwrap();
    whole(&mut seen, 10).await;
    let high = left.plan.ladder.high;
    for (rung, width) in [(RungName::Low, 320), (RungName::High, 640)] {
        left.plan.legs[0].rung = Some(rung);
        left.plan.ladder = match rung {
            RungName::High => EncodeLadder { high, low: None },
            RungName::Low => EncodeLadder {
                high: None,
                low: Some(low()),
            },
        };
        left.apply();
        changes_to(&mut seen, width).await;
    }
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encode_with_half_the_frames_has_its_bitrate_all_the_same() {
    let (mut left, mut right) =
        support::call(only_video(video(PacketizationMode::NonInterleaved))).await;
    right.wait_for_first_frame(1).await;
    let high = left.plan.ladder.high.as_mut().unwrap();
    high.frame_rate = FrameRate(15);
    high.bitrate = Bitrate::kbps(40);
    left.apply();
    let mut slow = 0;
    let sent = left
        .wait_for(|event| match event {
            MediaEvent::Measured { stats, .. } => {
                let video = stats.video.as_ref()?;
                let fps = video.sent_frame_rate.as_f64();
                slow += u32::from(video.rung?.frame_rate == FrameRate(15) && fps < 17.0);
                // The first second has the keyframe with which the encode begins.
                (slow == 3).then(|| video.clone())
            }
            _ => None,
        })
        .await;
    let kbps = sent.stream.send_bitrate.as_kbps();
    assert!((28..50).contains(&kbps), "{sent:?}");
    left.shut_down().await;
    right.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leg_whose_gate_is_closed_drops_its_pictures_alone_and_goes_on_with_a_keyframe() {
    let mut party = Party::begin().await;
    party
        .centre
        .media
        .gate(LegId(2), VideoRole::Main, Gate::Closed);
    whole(&mut party.seen[0], 30).await;
    party.forget_seen();
    // Nothing leaves any more, and nothing comes.
    party.wires[1].nal_types.store(0, Ordering::Relaxed);
    whole(&mut party.seen[0], 30).await;
    assert!(party.seen[1].try_recv().is_err());
    assert_eq!(party.wires[1].nal_types.load(Ordering::Relaxed), 0);
    party
        .centre
        .media
        .gate(LegId(2), VideoRole::Main, Gate::Open);
    next(&mut party.seen[1]).await;
    assert_ne!(
        party.wires[1].nal_types.load(Ordering::Relaxed) & KEYFRAME,
        0
    );
    party.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_gates_of_an_encode_are_closed_the_next_picture_follows_on_the_last() {
    // Far ends that miss pictures would ask for a keyframe.
    let mut party = Party::begin_with(VideoFeedback::NONE).await;
    let gates = |party: &Party, gate| {
        for leg in [1, 2] {
            party.centre.media.gate(LegId(leg), VideoRole::Main, gate);
        }
    };
    whole(&mut party.seen[0], 10).await;
    gates(&party, Gate::Closed);
    while party.centre.events.try_recv().is_ok() {}
    // What was in the encoder has come when a measurement finds no picture.
    party
        .centre
        .wait_for(|event| match event {
            MediaEvent::Measured { stats, .. } => {
                let video = stats.video.as_ref()?;
                (video.sent_frame_rate.as_f64() == 0.0).then_some(())
            }
            _ => None,
        })
        .await;
    party.forget_seen();
    for wire in &party.wires {
        wire.nal_types.store(0, Ordering::Relaxed);
    }
    gates(&party, Gate::Open);
    for (wire, seen) in party.wires.iter().zip(&mut party.seen) {
        let first = next(seen).await;
        assert!(first.error < 60.0, "{first:?}");
        assert_eq!(wire.nal_types.load(Ordering::Relaxed) & KEYFRAME, 0);
    }
    party.end().await;
}
