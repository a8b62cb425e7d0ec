//! Which leg takes which encode, by tables and by random legs and targets.

use proptest::prelude::*;

use super::*;
use crate::codec::{
    Direction, PacketizationMode, PayloadType, ProfileLevelId, RtcpMode, VideoFeedback,
};
use crate::units::{FrameRate, Resolution};

const MOST: Most = Most {
    format: PictureFormat {
        resolution: Resolution::HD720,
        frame_rate: FrameRate(30),
    },
    bitrate: Bitrate::kbps(2_000),
};

/// A far end in a test, with what is known of it.
#[derive(Clone, Debug)]
struct FarEnd {
    stream: VideoStream,
    target: Option<Bitrate>,
}

fn far_end() -> FarEnd {
    FarEnd {
        stream: VideoStream {
            send_packetization_mode: PacketizationMode::NonInterleaved,
            send_profile: ProfileLevelId::CONSTRAINED_BASELINE_31,
            send_payload_type: PayloadType::new(97).unwrap(),
            receive_payload_type: PayloadType::new(97).unwrap(),
            direction: Direction::SendRecv,
            max_bitrate: None,
            feedback: VideoFeedback::ALL,
            rtx: None,
            srtp: None,
            rtcp: RtcpMode::default(),
        },
        target: None,
    }
}

fn level(level_idc: u8) -> FarEnd {
    let mut far_end = far_end();
    far_end.stream.send_profile.level_idc = level_idc;
    far_end
}

fn takes(kbps: u64) -> FarEnd {
    let mut far_end = far_end();
    far_end.stream.max_bitrate = Some(Bitrate::kbps(kbps));
    far_end
}

fn target(kbps: u64) -> FarEnd {
    FarEnd {
        target: Some(Bitrate::kbps(kbps)),
        ..far_end()
    }
}

impl Ladder {
    fn follow_far_ends(&mut self, now: Instant, most: &Most, far_ends: &[FarEnd]) {
        let legs: Vec<_> = far_ends
            .iter()
            .zip(1..)
            .map(|(far_end, id)| SendingLeg {
                id: LegId(id),
                stream: &far_end.stream,
                target: far_end.target,
            })
            .collect();
        self.follow(now, most, &legs);
    }

    fn names(&self) -> Vec<RungName> {
        self.legs.values().map(|standing| standing.rung).collect()
    }
}

fn settled_within(most: &Most, far_ends: &[FarEnd]) -> Ladder {
    let mut ladder = Ladder::default();
    ladder.follow_far_ends(Instant::now(), most, far_ends);
    ladder
}

fn settled(far_ends: &[FarEnd]) -> Ladder {
    settled_within(&MOST, far_ends)
}

/// A rung in short.
fn short(rung: Option<Rung>) -> Option<(u32, u32, u32, u64)> {
    let rung = rung?;
    let Resolution { width, height } = rung.resolution;
    let kbps = rung.bitrate.as_kbps();
    Some((width, height, rung.frame_rate.0, kbps))
}

const FULL: Option<(u32, u32, u32, u64)> = Some((1_280, 720, 30, 2_000));

use RungName::{High, Low};

#[test]
fn without_a_leg_that_sends_there_is_no_rung() {
    let mut ladder = settled(&[far_end()]);
    assert!(!ladder.rungs().is_empty());
    ladder.follow_far_ends(Instant::now(), &MOST, &[]);
    assert!(ladder.rungs().is_empty());
    assert_eq!(ladder.rung_of(LegId(1)), None);
}

#[test]
fn each_leg_takes_the_highest_rung_on_which_it_takes_nothing_from_the_others() {
    let single = |kbps| {
        let mut far_end = takes(kbps);
        far_end.stream.send_packetization_mode = PacketizationMode::SingleNalUnit;
        far_end
    };
    let table: &[(&[FarEnd], &[RungName], _, _)] = &[
        // One encode is enough as long as it fits all.
        (&[far_end(), far_end()], &[High, High], FULL, None),
        (&[target(5_000), takes(9_000)], &[High, High], FULL, None),
        // A slow far end leaves the others alone.
        (
            &[far_end(), takes(300)],
            &[High, Low],
            FULL,
            Some((640, 360, 30, 300)),
        ),
        (
            &[far_end(), target(300), takes(200)],
            &[High, Low, Low],
            FULL,
            Some((640, 360, 15, 200)),
        ),
        (
            &[far_end(), takes(900)],
            &[High, Low],
            FULL,
            Some((640, 360, 30, 691)),
        ),
        // One whose network is measured is sent what it takes to learn that there is more: 9/20 of the best.
        (
            &[far_end(), target(1_300)],
            &[High, Low],
            FULL,
            Some((640, 360, 30, 900)),
        ),
        // A little less is shared.
        (
            &[far_end(), target(1_500)],
            &[High, High],
            Some((1_280, 720, 30, 1_500)),
            None,
        ),
        // Alone, less bitrate comes first, then fewer frames, then a smaller picture.
        (&[target(900)], &[High], Some((1_280, 720, 30, 900)), None),
        (&[target(500)], &[High], Some((1_280, 720, 15, 500)), None),
        (&[target(300)], &[Low], None, Some((640, 360, 30, 300))),
        (&[target(150)], &[Low], None, Some((640, 360, 15, 150))),
        (&[target(80)], &[Low], None, Some((480, 270, 15, 80))),
        (&[target(0)], &[Low], None, Some((426, 240, 15, 64))),
        // Nor does it take frames.
        (
            &[target(700), target(500)],
            &[High, Low],
            Some((1_280, 720, 30, 700)),
            Some((640, 360, 30, 500)),
        ),
        (
            &[target(540), target(500)],
            &[High, High],
            Some((1_280, 720, 15, 500)),
            None,
        ),
        // A weak decoder is no reason for a small picture of the others,
        (
            &[far_end(), level(30)],
            &[High, Low],
            FULL,
            Some((640, 360, 30, 691)),
        ),
        (
            &[level(12), level(30)],
            &[Low, High],
            Some((640, 360, 30, 2_000)),
            Some((320, 180, 15, 86)),
        ),
        // unless those are slow.
        (
            &[target(300), level(30)],
            &[Low, High],
            Some((640, 360, 30, 2_000)),
            Some((640, 360, 30, 300)),
        ),
    ];
    for (far_ends, names, high, low) in table {
        let ladder = settled(far_ends);
        let case = format!("{far_ends:?}");
        assert_eq!(ladder.names(), *names, "{case}");
        assert_eq!(short(ladder.rungs().high), *high, "{case}");
        assert_eq!(short(ladder.rungs().low), *low, "{case}");
    }
    let cut = settled(&[far_end(), single(300)]).rungs();
    assert_eq!(cut.high.unwrap().max_nal_unit, None);
    assert_eq!(cut.low.unwrap().max_nal_unit, Some(MAX_NAL_UNIT));
}

#[test]
fn a_leg_alone_gets_the_largest_picture_that_its_level_takes() {
    for (level_idc, width, height, frame_rate) in [
        (31, 1280, 720, 30),
        (30, 640, 360, 30),
        (21, 480, 270, 30),
        (20, 320, 180, 30),
        (12, 160, 90, 30),
        (10, 160, 90, 24),
    ] {
        let ladder = settled(&[level(level_idc)]);
        let (_, rung) = ladder.rungs().iter().next().map(|(n, r)| (n, *r)).unwrap();
        let (size, rate) = (rung.resolution, rung.frame_rate.0);
        let got = (size.width, size.height, rate);
        assert_eq!(got, (width, height, frame_rate), "level {level_idc}");
    }
}

#[test]
fn a_decoder_of_720p_gets_720p_of_a_1080p_camera() {
    let most = Most {
        format: PictureFormat {
            resolution: Resolution {
                width: 1_920,
                height: 1_080,
            },
            frame_rate: FrameRate(30),
        },
        bitrate: Bitrate::kbps(4_000),
    };
    let alone = settled_within(&most, &[level(31)]).rungs();
    assert_eq!(short(alone.high), Some((1_280, 720, 30, 4_000)));
    let beside = settled_within(&most, &[level(40), level(31)]).rungs();
    assert_eq!(short(beside.high), Some((1_920, 1_080, 30, 4_000)));
    assert_eq!(short(beside.low), Some((640, 360, 30, 691)));
}

#[test]
fn a_policy_that_gives_little_wants_its_picture_all_the_same() {
    let most = Most {
        bitrate: Bitrate::kbps(400),
        ..MOST
    };
    let rungs = settled_within(&most, &[far_end(), takes(350)]).rungs();
    assert_eq!(short(rungs.high), Some((1_280, 720, 30, 350)));
    assert_eq!(rungs.low, None);
}

#[test]
fn a_picture_too_large_for_any_scale_is_sent_at_one_frame_a_second() {
    let most = Most {
        format: PictureFormat {
            resolution: Resolution {
                width: u32::MAX,
                height: u32::MAX,
            },
            frame_rate: FrameRate(30),
        },
        ..MOST
    };
    let ladder = settled_within(&most, &[level(10)]);
    let rungs = ladder.rungs();
    let (_, rung) = rungs.iter().next().unwrap();
    assert_eq!(rung.frame_rate, FrameRate(1));
}

/// A ladder of two far ends whose second one's target changes by these steps, in milliseconds since
/// the beginning and kbit/s.
fn steps(steps: &[(u64, u64, RungName)]) {
    let start = Instant::now();
    let mut ladder = Ladder::default();
    for (milliseconds, kbps, name) in steps {
        let now = start + Duration::from_millis(*milliseconds);
        ladder.follow_far_ends(now, &MOST, &[far_end(), target(*kbps)]);
        let case = format!("{kbps} kbit/s at {milliseconds} ms");
        assert_eq!(ladder.names(), [High, *name], "{case}");
        assert_eq!(short(ladder.rungs().high), FULL, "{case}");
        let low = ladder.rungs().low;
        assert_eq!(
            low.is_some(),
            *name == Low,
            "{case}: only while it is needed"
        );
        assert!(low.is_none_or(|low| low.bitrate <= Bitrate::kbps(*kbps)));
    }
}

#[test]
fn a_leg_falls_at_once_and_rises_when_its_target_has_held() {
    steps(&[
        (0, 2_000, High),
        (20_000, 300, Low),
        (20_010, 2_000, Low),
        (24_000, 2_000, Low),
        (24_010, 2_000, High),
        (24_020, 200, Low),
        // A dip begins the wait anew,
        (25_000, 2_000, Low),
        (27_000, 200, Low),
        (27_100, 2_000, Low),
        (31_099, 2_000, Low),
        (31_100, 2_000, High),
    ]);
    // and a new call is soon at its full picture.
    steps(&[
        (0, 300, Low),
        (100, 600, Low),
        (300, 2_000, Low),
        (1_100, 2_000, Low),
        (2_100, 2_000, High),
    ]);
}

#[test]
fn the_best_legs_fall_lets_the_other_up_again() {
    let start = Instant::now();
    let mut ladder = Ladder::default();
    let at = |ladder: &mut Ladder, seconds, far_ends: &[FarEnd]| {
        ladder.follow_far_ends(start + Duration::from_secs(seconds), &MOST, far_ends);
        ladder.names()
    };
    assert_eq!(
        at(&mut ladder, 0, &[target(2_000), target(900)]),
        [High, Low]
    );
    assert_eq!(
        at(&mut ladder, 20, &[target(900), target(900)]),
        [High, High]
    );
    assert_eq!(short(ladder.rungs().high), Some((1_280, 720, 30, 900)));
    // The one that rises does not take the other's picture before it has held.
    assert_eq!(
        at(&mut ladder, 30, &[target(2_000), target(900)]),
        [High, High]
    );
    assert_eq!(
        at(&mut ladder, 34, &[target(2_000), target(900)]),
        [High, Low]
    );
    assert_eq!(short(ladder.rungs().high), FULL);
}

#[test]
fn a_ladder_waits_for_nothing_once_all_targets_have_held() {
    let start = Instant::now();
    let mut ladder = Ladder::default();
    ladder.follow_far_ends(start, &MOST, &[target(100)]);
    assert_eq!(ladder.next_deadline(), None);
    ladder.follow_far_ends(start, &MOST, &[target(2_000)]);
    let due = ladder.next_deadline().expect("a rise is waited for");
    ladder.follow_far_ends(due, &MOST, &[target(2_000)]);
    assert_eq!((ladder.next_deadline(), ladder.names()), (None, vec![High]));
}

fn any_far_end() -> impl Strategy<Value = FarEnd> {
    let kbps = prop_oneof![Just(2_000), 0_u64..3_000, 0_u64..800];
    let levels = prop_oneof![Just(31), Just(31), Just(40), any::<u8>()];
    let single = any::<bool>();
    let limits = (prop::option::of(kbps.clone()), prop::option::of(kbps));
    (limits, levels, single).prop_map(|((target, most), level_idc, single)| {
        let mut far_end = level(level_idc);
        far_end.target = target.map(Bitrate::kbps);
        far_end.stream.max_bitrate = most.map(Bitrate::kbps);
        if single {
            far_end.stream.send_packetization_mode = PacketizationMode::SingleNalUnit;
        }
        far_end
    })
}

fn any_most() -> impl Strategy<Value = Most> {
    let size = prop_oneof![
        Just((1_280, 720)),
        Just((1_920, 1_080)),
        (16_u32..4_096, 16_u32..2_304)
    ];
    (size, 1_u32..61, 64_u64..5_000).prop_map(|((width, height), frame_rate, kbps)| Most {
        format: PictureFormat {
            resolution: Resolution { width, height },
            frame_rate: FrameRate(frame_rate),
        },
        bitrate: Bitrate::kbps(kbps),
    })
}

/// What a leg may be sent.
fn allowed(far_end: &FarEnd) -> Bitrate {
    let level = H264Level::of(far_end.stream.send_profile).max_bitrate;
    let limits = [far_end.target, far_end.stream.max_bitrate, Some(level)];
    limits.into_iter().flatten().min().unwrap_or(level)
}

proptest! {
    #[test]
    fn no_leg_is_sent_more_than_it_takes(
        most in any_most(),
        moments in prop::collection::vec(
            (0_u64..5_000, prop::collection::vec(any_far_end(), 1..5)),
            1..12,
        ),
    ) {
        let (mut now, mut ladder) = (Instant::now(), Ladder::default());
        for (wait, far_ends) in moments {
            now += Duration::from_millis(wait);
            ladder.follow_far_ends(now, &most, &far_ends);
            let rungs = ladder.rungs();
            let names = ladder.names();
            prop_assert_eq!(names.len(), far_ends.len());
            for name in RungName::ALL {
                // There while it is needed, and no longer.
                prop_assert_eq!(rungs.get(name).is_some(), names.contains(&name));
            }
            for (far_end, name) in far_ends.iter().zip(names) {
                let rung = rungs.get(name).expect("the leg's rung");
                let level = H264Level::of(far_end.stream.send_profile);
                prop_assert!(rung.bitrate <= allowed(far_end).max(MIN_BITRATE));
                prop_assert!(rung.bitrate <= most.bitrate.max(MIN_BITRATE));
                prop_assert!(rung.resolution.width.is_multiple_of(2));
                prop_assert!(rung.resolution.height.is_multiple_of(2));
                let smallest = most.format.smallest().resolution;
                prop_assert!(
                    level.takes(rung.resolution, rung.frame_rate) || rung.resolution == smallest
                );
                if far_end.stream.send_packetization_mode == PacketizationMode::SingleNalUnit {
                    prop_assert!(rung.max_nal_unit.is_some());
                }
            }
        }
    }

    #[test]
    fn a_leg_takes_neither_size_nor_frames_nor_much_bitrate_from_the_best_one(
        far_ends in prop::collection::vec(any_far_end(), 1..6),
    ) {
        let ladder = settled(&far_ends);
        let Some(high) = ladder.rungs().high else {
            return Ok(());
        };
        let alone = far_ends.iter().filter_map(|far_end| {
            settled(std::slice::from_ref(far_end)).rungs().high
        });
        let best = alone
            .max_by_key(|rung| (rung.resolution.macroblocks(), rung.bitrate))
            .expect("somebody is on it");
        prop_assert_eq!(high.resolution, best.resolution);
        prop_assert!(high.frame_rate >= best.frame_rate);
        prop_assert!(high.bitrate >= part(best.bitrate, 2, 3));
    }

    #[test]
    fn noise_moves_no_leg_more_often_than_it_may_rise(
        noise in prop::collection::vec((20_u64..400, 0_u64..3_000), 1..200),
    ) {
        let start = Instant::now();
        let (mut now, mut ladder) = (start + NEW_FOR, Ladder::default());
        ladder.follow_far_ends(start, &MOST, &[far_end(), far_end()]);
        let mut risen: Option<Instant> = None;
        let mut before = vec![High, High];
        for (wait, kbps) in noise {
            now += Duration::from_millis(wait);
            ladder.follow_far_ends(now, &MOST, &[far_end(), target(kbps)]);
            let high = ladder.rungs().high.expect("the other one goes on");
            prop_assert_eq!((high.resolution, high.frame_rate), (Resolution::HD720, FrameRate(30)));
            prop_assert!(high.bitrate >= part(MOST.bitrate, 2, 3));
            if (before[1], ladder.names()[1]) == (Low, High) {
                prop_assert!(risen.is_none_or(|last| now >= last + HOLD));
                risen = Some(now);
            }
            before = ladder.names();
        }
    }

    #[test]
    fn noise_about_the_need_moves_a_leg_at_most_once(
        noise in prop::collection::vec((20_u64..2_000, 0_u64..17), 1..200),
        middle in 300_u64..2_400,
    ) {
        let start = Instant::now();
        let (mut now, mut ladder) = (start, Ladder::default());
        ladder.follow_far_ends(start, &MOST, &[far_end(), target(3_000)]);
        let (mut moves, mut before) = (0, ladder.names());
        for (wait, part_of_hundred) in noise {
            now += Duration::from_millis(wait);
            // Up to 5 % to either side: 105 / 95 is less than the margin of a rise, 9 / 8.
            let kbps = middle * (92 + part_of_hundred) / 100;
            let kbps = kbps.min(middle * 105 / 100).max(middle * 95 / 100);
            ladder.follow_far_ends(now, &MOST, &[far_end(), target(kbps)]);
            moves += u32::from(ladder.names() != before);
            before = ladder.names();
        }
        prop_assert!(moves <= 1, "{moves} moves");
    }
}
