//! What an H.264 decoder of a given level takes (ITU-T H.264 table A-1).

use crate::codec::ProfileLevelId;
use crate::units::{Bitrate, FrameRate, Resolution};

/// The limits of one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct H264Level {
    /// `level_idc`: ten times the level; 9 stands for level 1b.
    pub level_idc: u8,
    /// Macroblocks per second.
    pub max_macroblock_rate: u32,
    /// Macroblocks in a picture.
    pub max_frame_size: u32,
    /// Bitrate of the Baseline, Main and Extended profiles.
    pub max_bitrate: Bitrate,
}

const fn level(level_idc: u8, rate: u32, size: u32, kbps: u64) -> H264Level {
    H264Level {
        level_idc,
        max_macroblock_rate: rate,
        max_frame_size: size,
        max_bitrate: Bitrate::kbps(kbps),
    }
}

/// The least that any decoder takes.
const LEVEL_1: H264Level = level(10, 1_485, 99, 64);

/// Table A-1 up to level 5.2, by `level_idc`. Level 1b comes before level 1 although it takes more.
const LEVELS: [H264Level; 17] = [
    level(9, 1_485, 99, 128),
    LEVEL_1,
    level(11, 3_000, 396, 192),
    level(12, 6_000, 396, 384),
    level(13, 11_880, 396, 768),
    level(20, 11_880, 396, 2_000),
    level(21, 19_800, 792, 4_000),
    level(22, 20_250, 1_620, 4_000),
    level(30, 40_500, 1_620, 10_000),
    level(31, 108_000, 3_600, 14_000),
    level(32, 216_000, 5_120, 20_000),
    level(40, 245_760, 8_192, 20_000),
    level(41, 245_760, 8_192, 50_000),
    level(42, 522_240, 8_704, 50_000),
    level(50, 589_824, 22_080, 135_000),
    level(51, 983_040, 36_864, 240_000),
    level(52, 2_073_600, 36_864, 240_000),
];

/// Macroblocks a second, macroblocks a picture, bitrate: by these the levels are in order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Bounds(u32, u32, Bitrate);

impl H264Level {
    /// The limits of a `profile-level-id`. A level that the table does not know counts as the next
    /// lower one that it knows, because more must never be sent than the peer says it takes.
    #[must_use]
    pub fn of(profile: ProfileLevelId) -> Self {
        // Level 1b of Baseline and Main is written as level 1.1 with constraint_set3_flag.
        let is_1b = profile.level_idc == 11
            && profile.profile_iop & 0x10 != 0
            && matches!(profile.profile_idc, 0x42 | 0x4d | 0x58);
        let level_idc = if is_1b { 9 } else { profile.level_idc };
        LEVELS
            .into_iter()
            .rfind(|level| level.level_idc <= level_idc)
            .unwrap_or(LEVEL_1)
    }

    /// The highest level that asks a decoder for no more than this many macroblocks a second and a
    /// picture; of levels that differ in bitrate alone, the lowest.
    #[must_use]
    pub fn within(max_macroblock_rate: u32, max_frame_size: u32) -> Option<Self> {
        LEVELS
            .into_iter()
            .filter(|level| {
                level.max_macroblock_rate <= max_macroblock_rate
                    && level.max_frame_size <= max_frame_size
            })
            .max_by_key(|level| {
                let Bounds(rate, size, bitrate) = level.bounds();
                (rate, size, std::cmp::Reverse(bitrate))
            })
    }

    /// Whether this level asks less of a decoder than `other`.
    #[must_use]
    pub fn is_below(self, other: Self) -> bool {
        self.bounds() < other.bounds()
    }

    const fn bounds(self) -> Bounds {
        Bounds(
            self.max_macroblock_rate,
            self.max_frame_size,
            self.max_bitrate,
        )
    }

    /// Whether a decoder of this level takes such a picture at such a rate.
    #[must_use]
    pub fn takes(self, resolution: Resolution, frame_rate: FrameRate) -> bool {
        self.max_frame_rate(resolution)
            .is_some_and(|most| frame_rate <= most)
    }

    /// The most whole frames of this size that a decoder of this level takes in a second; `None`
    /// when it does not take even one. One side of a picture may be at most
    /// `sqrt(8 * max_frame_size)` macroblocks long (ITU-T H.264 A.3.1).
    #[must_use]
    pub fn max_frame_rate(self, resolution: Resolution) -> Option<FrameRate> {
        let macroblocks = resolution.macroblocks();
        let longest = u64::from(resolution.width.max(resolution.height).div_ceil(16));
        let fits = macroblocks <= self.max_frame_size
            && longest * longest <= 8 * u64::from(self.max_frame_size);
        let most = self.max_macroblock_rate.checked_div(macroblocks)?;
        (fits && most > 0).then_some(FrameRate(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(profile_idc: u8, profile_iop: u8, level_idc: u8) -> H264Level {
        H264Level::of(ProfileLevelId {
            profile_idc,
            profile_iop,
            level_idc,
        })
    }

    #[test]
    fn level_31_takes_720p_at_30_and_not_at_31() {
        let level = H264Level::of(ProfileLevelId::CONSTRAINED_BASELINE_31);
        assert!(level.takes(Resolution::HD720, FrameRate(30)));
        assert!(!level.takes(Resolution::HD720, FrameRate(31)));
        assert!(!level.takes(
            Resolution {
                width: 1_296,
                height: 720
            },
            FrameRate(1)
        ));
    }

    #[test]
    fn a_picture_may_not_be_too_long_for_its_level() {
        let level = of(0x42, 0, 10);
        assert!(!level.takes(
            Resolution {
                width: 16 * 29,
                height: 16
            },
            FrameRate(1)
        ));
        assert!(level.takes(
            Resolution {
                width: 16 * 28,
                height: 16
            },
            FrameRate(1)
        ));
    }

    #[test]
    fn an_unknown_level_counts_as_the_next_lower_one() {
        assert_eq!(of(0x42, 0, 39).level_idc, 32);
        assert_eq!(of(0x42, 0, 255).level_idc, 52);
        assert_eq!(of(0x42, 0, 10).max_bitrate, Bitrate::kbps(64));
        assert_eq!(of(0x42, 0, 0).max_bitrate, Bitrate::kbps(64));
    }

    #[test]
    fn level_1b_is_told_from_level_11_by_its_constraint_flag() {
        assert_eq!(of(0x42, 0x10, 11).level_idc, 9);
        assert_eq!(of(0x42, 0xe0, 11).level_idc, 11);
        assert_eq!(of(0x64, 0x10, 11).level_idc, 11);
    }

    #[test]
    fn levels_are_in_order_of_what_they_ask_of_a_decoder() {
        let ascending = [10, 9, 11, 13, 20, 22, 31, 40, 41, 52].map(|idc| of(0x64, 0, idc));
        for pair in ascending.windows(2) {
            assert!(pair[0].is_below(pair[1]), "{pair:?}");
            assert!(!pair[1].is_below(pair[0]), "{pair:?}");
        }
    }

    #[test]
    fn limits_amount_to_the_highest_level_within_them() {
        let table = [
            (11_880, 396, Some(13)),
            (40_500, 1_344, Some(21)),
            (107_999, 3_600, Some(30)),
            (108_000, 3_600, Some(31)),
            (245_000, 9_000, Some(32)),
            (245_760, 8_192, Some(40)),
            (u32::MAX, u32::MAX, Some(52)),
            (1_485, 98, None),
        ];
        for (rate, size, level_idc) in table {
            let level = H264Level::within(rate, size).map(|level| level.level_idc);
            assert_eq!(level, level_idc, "{rate} {size}");
        }
    }
}
