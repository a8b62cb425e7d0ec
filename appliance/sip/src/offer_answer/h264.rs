//! H.264 in session descriptions: `a=fmtp` parameters, profiles and levels (RFC 6184 section 8).

use std::fmt;

use room::codec::{PacketizationMode, ProfileLevelId};
use room::h264_level::H264Level;
use room::units::Bitrate;
use thiserror::Error;

/// The profiles that two ends can agree on, by `profile_idc` and constraint flags (RFC 6184
/// table 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum H264Profile {
    /// The common subset of Baseline and Main: what our encoder writes.
    ConstrainedBaseline,
    /// Baseline. Nobody sends its extra tools, so it is agreed with as Constrained Baseline.
    Baseline,
    /// Main.
    Main,
    /// Extended.
    Extended,
    /// High, without B slices and interlace.
    ConstrainedHigh,
    /// High, Progressive High included.
    High,
    /// High 10, High 4:2:2, High 4:4:4 and intra profiles.
    Professional,
}

/// Constraint flags in `profile-iop`.
const CONSTRAINT_SET0: u8 = 0x80;
const CONSTRAINT_SET1: u8 = 0x40;
const CONSTRAINT_SET3: u8 = 0x10;
const CONSTRAINT_SETS_4_AND_5: u8 = 0x0c;

/// What [`H264Level`] calls level 1b.
const LEVEL_1B: u8 = 9;

const PROFILE_IDC_BASELINE: u8 = 0x42;
const PROFILE_IDC_MAIN: u8 = 0x4d;
const PROFILE_IDC_EXTENDED: u8 = 0x58;
const PROFILE_IDC_HIGH: u8 = 0x64;

impl H264Profile {
    /// The profile that `id` names, or `None` for a `profile_idc` without meaning in RTP.
    #[must_use]
    pub fn of(id: ProfileLevelId) -> Option<Self> {
        let set = |flags: u8| id.profile_iop & flags == flags;
        match id.profile_idc {
            PROFILE_IDC_BASELINE if set(CONSTRAINT_SET1) => Some(Self::ConstrainedBaseline),
            PROFILE_IDC_BASELINE => Some(Self::Baseline),
            PROFILE_IDC_MAIN if set(CONSTRAINT_SET0) => Some(Self::ConstrainedBaseline),
            PROFILE_IDC_MAIN => Some(Self::Main),
            PROFILE_IDC_EXTENDED if set(CONSTRAINT_SET0 | CONSTRAINT_SET1) => {
                Some(Self::ConstrainedBaseline)
            }
            PROFILE_IDC_EXTENDED if set(CONSTRAINT_SET0) => Some(Self::Baseline),
            PROFILE_IDC_EXTENDED => Some(Self::Extended),
            PROFILE_IDC_HIGH if set(CONSTRAINT_SETS_4_AND_5) => Some(Self::ConstrainedHigh),
            PROFILE_IDC_HIGH => Some(Self::High),
            0x2c | 0x6e | 0x7a | 0xf4 => Some(Self::Professional),
            _ => None,
        }
    }

    /// Whether offer and answer may name these two for one payload type.
    ///
    /// RFC 6184 section 8.2.2 wants the same profile. Baseline and Constrained Baseline are mixed
    /// up so often that refusing the pair would refuse half of the field.
    #[must_use]
    pub fn agrees_with(self, other: Self) -> bool {
        let baseline = |profile| matches!(profile, Self::ConstrainedBaseline | Self::Baseline);
        self == other || (baseline(self) && baseline(other))
    }
}

/// The profiles in which `constraint_set3_flag` turns level 1.1 into 1b.
fn has_flag_of_level_1b(id: ProfileLevelId) -> bool {
    matches!(
        id.profile_idc,
        PROFILE_IDC_BASELINE | PROFILE_IDC_MAIN | PROFILE_IDC_EXTENDED
    )
}

/// `id` at another level, its profile kept.
fn with_level(id: ProfileLevelId, level: H264Level) -> ProfileLevelId {
    if !has_flag_of_level_1b(id) {
        return ProfileLevelId {
            level_idc: level.level_idc,
            ..id
        };
    }
    let is_1b = level.level_idc == LEVEL_1B;
    let level_idc = if is_1b { 11 } else { level.level_idc };
    let mut profile_iop = id.profile_iop;
    if id.level_idc == 11 || level_idc == 11 {
        profile_iop &= !CONSTRAINT_SET3;
    }
    if is_1b {
        profile_iop |= CONSTRAINT_SET3;
    }
    ProfileLevelId {
        profile_iop,
        level_idc,
        ..id
    }
}

/// Whether each end may send at the other's level, or both keep to the lower one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LevelAsymmetry {
    /// `level-asymmetry-allowed=1`.
    Allowed,
    /// Absent or 0.
    Forbidden,
}

/// The parameters of one H.264 payload type (RFC 6184 section 8.1), as far as they bind us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct H264Parameters {
    /// `profile-level-id`; absent means Baseline at level 1.
    pub profile_level: ProfileLevelId,
    /// `packetization-mode`; absent means 0.
    pub packetization_mode: PacketizationMode,
    /// `level-asymmetry-allowed`.
    pub level_asymmetry: LevelAsymmetry,
    /// `max-mbps`: macroblocks a second that are decoded beyond the level.
    pub max_mbps: Option<u32>,
    /// `max-fs`: macroblocks a frame that are decoded beyond the level.
    pub max_fs: Option<u32>,
    /// `max-br`: 1,000 bit/s that are decoded beyond the level.
    pub max_br: Option<u32>,
}

/// An `a=fmtp` of H.264 that cannot be used. The payload type is then ignored.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum H264ParameterError {
    /// Not six hexadecimal digits.
    #[error("profile-level-id is not six hexadecimal digits")]
    ProfileLevelId,
    /// Interleaved mode 2, or no number.
    #[error("packetization-mode is neither 0 nor 1")]
    PacketizationMode,
    /// A number that is none.
    #[error("a limit is not a number")]
    Limit,
}

impl H264Parameters {
    /// Reads the value of `a=fmtp` behind the payload type; it may be empty. Unknown parameters
    /// are skipped.
    ///
    /// # Errors
    /// A parameter that binds us has a value that it cannot have.
    pub fn parse(text: &str) -> Result<Self, H264ParameterError> {
        let mut parameters = Self::when_absent();
        for parameter in text.split(';') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            parameters.set(name.trim(), value.trim())?;
        }
        Ok(parameters)
    }

    /// What an absent `a=fmtp` means.
    fn when_absent() -> Self {
        Self {
            profile_level: ProfileLevelId {
                profile_idc: PROFILE_IDC_BASELINE,
                profile_iop: 0,
                level_idc: 10,
            },
            packetization_mode: PacketizationMode::SingleNalUnit,
            level_asymmetry: LevelAsymmetry::Forbidden,
            max_mbps: None,
            max_fs: None,
            max_br: None,
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), H264ParameterError> {
        let limit = || {
            value
                .parse()
                .map(Some)
                .map_err(|_| H264ParameterError::Limit)
        };
        match name.to_ascii_lowercase().as_str() {
            "profile-level-id" => self.profile_level = parse_profile_level_id(value)?,
            "packetization-mode" => {
                self.packetization_mode = match value {
                    "0" => PacketizationMode::SingleNalUnit,
                    "1" => PacketizationMode::NonInterleaved,
                    _ => return Err(H264ParameterError::PacketizationMode),
                }
            }
            "level-asymmetry-allowed" => {
                self.level_asymmetry = match value {
                    "1" => LevelAsymmetry::Allowed,
                    _ => LevelAsymmetry::Forbidden,
                }
            }
            "max-mbps" => self.max_mbps = limit()?,
            "max-fs" => self.max_fs = limit()?,
            "max-br" => self.max_br = limit()?,
            _ => {}
        }
        Ok(())
    }

    /// Whether the two can be one payload type: same mode, agreeing profiles.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        let profiles =
            H264Profile::of(self.profile_level).zip(H264Profile::of(other.profile_level));
        self.packetization_mode == other.packetization_mode
            && profiles.is_some_and(|(ours, theirs)| ours.agrees_with(theirs))
    }

    /// Our parameters in the answer to an offered payload type: its profile and mode, and the
    /// level that we may claim (RFC 6184 section 8.2.2). Where that is below ours, the limits say
    /// that we take more.
    #[must_use]
    pub fn answer(&self, receive: ProfileLevelId) -> Self {
        let ours = H264Level::of(receive);
        let lowered = self.level_asymmetry == LevelAsymmetry::Forbidden
            && H264Level::of(self.profile_level).is_below(ours);
        let kilobits = u32::try_from(ours.max_bitrate.as_kbps()).ok();
        Self {
            profile_level: if lowered {
                self.profile_level
            } else {
                with_level(self.profile_level, ours)
            },
            packetization_mode: self.packetization_mode,
            level_asymmetry: self.level_asymmetry,
            max_mbps: lowered.then_some(ours.max_macroblock_rate),
            max_fs: lowered.then_some(ours.max_frame_size),
            max_br: kilobits.filter(|_| lowered),
        }
    }

    /// What we may send to a peer with these parameters when `ours` are our own: its profile, and
    /// the highest level whose pictures and rate it decodes.
    #[must_use]
    pub fn sendable(&self, ours: &Self) -> Sendable {
        let level = self.usable_level(ours);
        let max_mbps = self.max_mbps.unwrap_or_default();
        let max_fs = self.max_fs.unwrap_or_default();
        let raised = H264Level::within(
            max_mbps.max(level.max_macroblock_rate),
            max_fs.max(level.max_frame_size),
        )
        .filter(|raised| level.is_below(*raised))
        .unwrap_or(level);
        let max_bitrate =
            Bitrate::kbps(self.max_br.unwrap_or_default().into()).max(level.max_bitrate);
        Sendable {
            profile_level: with_level(self.profile_level, raised),
            max_bitrate: Some(max_bitrate).filter(|bitrate| *bitrate < raised.max_bitrate),
        }
    }

    /// The peer's level if both ends allow asymmetry, else the lower one of both.
    fn usable_level(&self, ours: &Self) -> H264Level {
        let own = H264Level::of(ours.profile_level);
        let theirs = H264Level::of(self.profile_level);
        let asymmetric = self.level_asymmetry == LevelAsymmetry::Allowed
            && ours.level_asymmetry == LevelAsymmetry::Allowed;
        if !asymmetric && own.is_below(theirs) {
            own
        } else {
            theirs
        }
    }
}

/// What a peer decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sendable {
    /// Its profile, and the level that its limits amount to.
    pub profile_level: ProfileLevelId,
    /// Set where the peer decodes large pictures only at a bitrate below that level's.
    pub max_bitrate: Option<Bitrate>,
}

fn parse_profile_level_id(text: &str) -> Result<ProfileLevelId, H264ParameterError> {
    let digits_only = text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let value = digits_only
        .then(|| u32::from_str_radix(text, 16).ok())
        .flatten()
        .ok_or(H264ParameterError::ProfileLevelId)?;
    let [_, profile_idc, profile_iop, level_idc] = value.to_be_bytes();
    Ok(ProfileLevelId {
        profile_idc,
        profile_iop,
        level_idc,
    })
}

impl fmt::Display for H264Parameters {
    /// The value of `a=fmtp` behind the payload type.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.packetization_mode {
            PacketizationMode::SingleNalUnit => 0,
            PacketizationMode::NonInterleaved => 1,
        };
        write!(
            f,
            "profile-level-id={};packetization-mode={mode}",
            self.profile_level
        )?;
        if self.level_asymmetry == LevelAsymmetry::Allowed {
            f.write_str(";level-asymmetry-allowed=1")?;
        }
        let limits = [
            ("max-mbps", self.max_mbps),
            ("max-fs", self.max_fs),
            ("max-br", self.max_br),
        ];
        for (name, limit) in limits {
            if let Some(limit) = limit {
                write!(f, ";{name}={limit}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(text: &str) -> ProfileLevelId {
        parse_profile_level_id(text).unwrap()
    }

    #[test]
    fn profiles_are_told_by_idc_and_constraint_flags() {
        let table = [
            ("42e01f", Some(H264Profile::ConstrainedBaseline)),
            ("42c01e", Some(H264Profile::ConstrainedBaseline)),
            ("4d801f", Some(H264Profile::ConstrainedBaseline)),
            ("58c01f", Some(H264Profile::ConstrainedBaseline)),
            ("42001f", Some(H264Profile::Baseline)),
            ("428014", Some(H264Profile::Baseline)),
            ("58a01f", Some(H264Profile::Baseline)),
            ("4d001f", Some(H264Profile::Main)),
            ("58001f", Some(H264Profile::Extended)),
            ("640028", Some(H264Profile::High)),
            ("640c1f", Some(H264Profile::ConstrainedHigh)),
            ("6e0029", Some(H264Profile::Professional)),
            ("00001f", None),
        ];
        for (text, profile) in table {
            assert_eq!(H264Profile::of(id(text)), profile, "{text}");
        }
    }

    #[test]
    fn absent_parameters_mean_baseline_level_1_and_mode_0() {
        let parameters = H264Parameters::parse("").unwrap();
        assert_eq!(parameters.profile_level, id("42000a"));
        assert_eq!(
            parameters.packetization_mode,
            PacketizationMode::SingleNalUnit
        );
        assert_eq!(parameters.level_asymmetry, LevelAsymmetry::Forbidden);
    }

    #[test]
    fn parameters_are_read_in_any_case_order_and_spacing() {
        let text = " Packetization-Mode=1 ; PROFILE-LEVEL-ID=42E01F;x-new=7;level-asymmetry-allowed=1; max-fs=9000;";
        let parameters = H264Parameters::parse(text).unwrap();
        assert_eq!(parameters.profile_level, id("42e01f"));
        assert_eq!(
            parameters.packetization_mode,
            PacketizationMode::NonInterleaved
        );
        assert_eq!(parameters.level_asymmetry, LevelAsymmetry::Allowed);
        assert_eq!(parameters.max_fs, Some(9_000));
    }

    #[test]
    fn bad_parameters_are_refused() {
        use H264ParameterError as E;
        let table = [
            ("profile-level-id=42e01", E::ProfileLevelId),
            ("profile-level-id=+2e01f", E::ProfileLevelId),
            ("profile-level-id=42e01g", E::ProfileLevelId),
            ("profile-level-id=4\u{e9}e01", E::ProfileLevelId),
            ("packetization-mode=2", E::PacketizationMode),
            ("packetization-mode", E::PacketizationMode),
            ("max-fs=99999999999", E::Limit),
            ("max-mbps=-1", E::Limit),
        ];
        for (text, error) in table {
            assert_eq!(H264Parameters::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn an_answer_keeps_profile_and_mode_and_lowers_the_level_where_it_must() {
        let ours = id("42e01f");
        let table = [
            // Offered, answered.
            (
                "profile-level-id=42800d;packetization-mode=1",
                "profile-level-id=42800d;packetization-mode=1;max-mbps=108000;max-fs=3600;max-br=14000",
            ),
            (
                "profile-level-id=42800d;level-asymmetry-allowed=1",
                "profile-level-id=42801f;packetization-mode=0;level-asymmetry-allowed=1",
            ),
            (
                "profile-level-id=640028",
                "profile-level-id=64001f;packetization-mode=0",
            ),
            (
                "profile-level-id=42f00b;level-asymmetry-allowed=1",
                "profile-level-id=42e01f;packetization-mode=0;level-asymmetry-allowed=1",
            ),
        ];
        for (offered, answered) in table {
            let answer = H264Parameters::parse(offered).unwrap().answer(ours);
            assert_eq!(answer.to_string(), answered, "{offered}");
        }
    }

    #[test]
    fn what_the_peer_decodes_follows_from_level_symmetry_and_limits() {
        let ours = "profile-level-id=42e01f;level-asymmetry-allowed=1";
        let table = [
            // The peer's parameters, the level that we may send, and its bitrate.
            (
                "profile-level-id=42e01f;level-asymmetry-allowed=1",
                "42e01f",
                None,
            ),
            (
                "profile-level-id=42e028;level-asymmetry-allowed=1",
                "42e028",
                None,
            ),
            ("profile-level-id=42e028", "42e01f", None),
            ("profile-level-id=42800d", "42800d", None),
            (
                "profile-level-id=42800d;max-mbps=245000;max-fs=9000",
                "428020",
                Some(768),
            ),
            (
                "profile-level-id=42800d;max-mbps=108000;max-fs=3600;max-br=6000",
                "42801f",
                Some(6_000),
            ),
            ("profile-level-id=42f00b", "42f00b", None),
            ("", "42000a", None),
        ];
        let ours = H264Parameters::parse(ours).unwrap();
        for (theirs, level, kbps) in table {
            let sendable = H264Parameters::parse(theirs).unwrap().sendable(&ours);
            assert_eq!(sendable.profile_level, id(level), "{theirs}");
            assert_eq!(sendable.max_bitrate, kbps.map(Bitrate::kbps), "{theirs}");
        }
    }

    proptest! {
            #[test]
            fn parsing_never_panics_and_what_was_read_prints_and_reads_the_same(
                text in "([a-z-]{0,24}=?[0-9a-fA-F]{0,12};? ?){0,6}|\\PC{0,60}",
            ) {
                if let Ok(parameters) = H264Parameters::parse(&text) {
                    prop_assert_eq!(H264Parameters::parse(&parameters.to_string()), Ok(parameters));
                }
            }

            #[test]
            fn negotiation_never_panics_and_never_raises_a_symmetric_level(
                ours in any::<[u8; 3]>(),
                theirs in any::<[u8; 3]>(),
                max_mbps in any::<Option<u32>>(),
                max_fs in any::<Option<u32>>(),
            ) {
                let of = |[profile_idc, profile_iop, level_idc]: [u8; 3]| H264Parameters {
                    profile_level: ProfileLevelId { profile_idc, profile_iop, level_idc },
                    ..H264Parameters::when_absent()
                };
                let offered = H264Parameters { max_mbps, max_fs, ..of(theirs) };
                let answer = offered.answer(of(ours).profile_level);
                let level = |parameters: &H264Parameters| H264Level::of(parameters.profile_level);
                prop_assert!(!level(&offered).is_below(level(&answer)));
                let _ = offered.sendable(&answer);
    let sendable = H264Level::of(answer.sendable(&offered).profile_level);
                prop_assert!(!sendable.is_below(level(&answer)));
            }
        }
}
