//! Quantities with their units.

use std::fmt;

/// Bits per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bitrate(u64);

impl Bitrate {
    /// A bitrate in bits per second.
    #[must_use]
    pub const fn bps(bps: u64) -> Self {
        Self(bps)
    }

    /// A bitrate in units of 1,000 bits per second.
    #[must_use]
    pub const fn kbps(kbps: u64) -> Self {
        Self(kbps.saturating_mul(1_000))
    }

    /// Bits per second.
    #[must_use]
    pub const fn as_bps(self) -> u64 {
        self.0
    }

    /// Whole units of 1,000 bits per second, rounded down.
    #[must_use]
    pub const fn as_kbps(self) -> u64 {
        self.0 / 1_000
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= 1_000_000 {
            write!(f, "{:.2} Mbit/s", self.0 as f64 / 1e6)
        } else {
            write!(f, "{} kbit/s", self.as_kbps())
        }
    }
}

/// Loudspeaker volume, 0 (silent) to 100 (full).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Volume(u8);

impl Volume {
    /// The loudest setting.
    pub const FULL: Self = Self(100);
    /// What a room that was never used starts with.
    pub const DEFAULT: Self = Self(60);

    /// A volume in percent, or `None` above 100.
    #[must_use]
    pub const fn percent(percent: u8) -> Option<Self> {
        if percent <= 100 {
            Some(Self(percent))
        } else {
            None
        }
    }

    /// The volume in percent, 0 to 100.
    #[must_use]
    pub const fn as_percent(self) -> u8 {
        self.0
    }
}

/// Width and height of a picture in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Resolution {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Resolution {
    /// 1280x720.
    pub const HD720: Self = Self {
        width: 1280,
        height: 720,
    };
    /// 640x360.
    pub const NHD360: Self = Self {
        width: 640,
        height: 360,
    };

    /// Macroblocks of 16x16 pixels, as H.264 levels count them (ITU-T H.264 table A-1).
    #[must_use]
    pub const fn macroblocks(self) -> u32 {
        self.width
            .div_ceil(16)
            .saturating_mul(self.height.div_ceil(16))
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// Whole frames per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameRate(pub u32);

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} fps", self.0)
    }
}

/// A part of a whole, 0 to 1, kept in millionths so that equal values compare equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fraction(u32);

impl Fraction {
    const ONE: f64 = 1e6;

    /// A fraction from 0 to 1. Values outside are drawn in; not-a-number counts as 0.
    #[must_use]
    pub fn new(fraction: f64) -> Self {
        // Not-a-number passes the clamp, and the cast takes it to 0.
        Self((fraction.clamp(0.0, 1.0) * Self::ONE).round() as u32)
    }

    /// The fraction, 0 to 1.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / Self::ONE
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} %", self.as_f64() * 100.0)
    }
}

/// Frames per second as counted, kept in hundredths so that equal values compare equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MeasuredFrameRate(u32);

impl MeasuredFrameRate {
    /// Frames per second. A negative value, and not-a-number, counts as 0.
    #[must_use]
    pub fn fps(fps: f64) -> Self {
        Self((fps * 100.0).round() as u32)
    }

    /// Frames per second.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl fmt::Display for MeasuredFrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} fps", self.as_f64())
    }
}

/// A sound level in dB below full scale: 0 is the loudest, -100 and below is silence. Kept in
/// tenths of a dB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AudioLevel(i16);

impl AudioLevel {
    /// No sound.
    pub const SILENCE: Self = Self(-1_000);

    /// A level in dBFS (RMS). Values outside -100 to 0 are drawn in; not-a-number is silence.
    #[must_use]
    pub fn dbfs(dbfs: f64) -> Self {
        if dbfs.is_nan() {
            return Self::SILENCE;
        }
        Self((dbfs.clamp(-100.0, 0.0) * 10.0).round() as i16)
    }

    /// The level in dBFS, -100 to 0.
    #[must_use]
    pub fn as_dbfs(self) -> f64 {
        f64::from(self.0) / 10.0
    }
}

impl fmt::Display for AudioLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} dBFS", self.as_dbfs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measured_quantities_draw_in_what_no_meter_should_say() {
        assert_eq!(Fraction::new(f64::NAN), Fraction::new(0.0));
        assert_eq!(Fraction::new(-1.0), Fraction::new(0.0));
        assert_eq!(Fraction::new(7.0).as_f64(), 1.0);
        assert_eq!(Fraction::new(0.025).to_string(), "2.5 %");
        assert_eq!(
            MeasuredFrameRate::fps(f64::NAN),
            MeasuredFrameRate::default()
        );
        assert_eq!(MeasuredFrameRate::fps(29.97).as_f64(), 29.97);
        assert_eq!(AudioLevel::dbfs(f64::NEG_INFINITY), AudioLevel::SILENCE);
        assert_eq!(AudioLevel::dbfs(f64::NAN), AudioLevel::SILENCE);
        assert_eq!(AudioLevel::dbfs(3.0).as_dbfs(), 0.0);
        assert_eq!(AudioLevel::dbfs(-20.04).as_dbfs(), -20.0);
    }

    #[test]
    fn bitrates_and_volumes_cannot_leave_their_range() {
        assert_eq!(Bitrate::kbps(u64::MAX).as_bps(), u64::MAX);
        assert_eq!(Volume::percent(101), None);
        assert_eq!(Volume::percent(100), Some(Volume::FULL));
    }

    #[test]
    fn a_picture_counts_its_partial_macroblocks() {
        assert_eq!(Resolution::HD720.macroblocks(), 3_600);
        assert_eq!(
            Resolution {
                width: 640,
                height: 360
            }
            .macroblocks(),
            40 * 23
        );
    }
}
