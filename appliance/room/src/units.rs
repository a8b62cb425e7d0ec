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
        Self(kbps * 1_000)
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

    /// A volume in percent, or `None` above 100.
    #[must_use]
    pub const fn percent(percent: u8) -> Option<Self> {
        if percent <= 100 { Some(Self(percent)) } else { None }
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
    pub const HD720: Self = Self { width: 1280, height: 720 };
    /// 640x360.
    pub const NHD360: Self = Self { width: 640, height: 360 };

    /// Macroblocks of 16x16 pixels, as H.264 levels count them (ITU-T H.264 table A-1).
    #[must_use]
    pub const fn macroblocks(self) -> u32 {
        self.width.div_ceil(16) * self.height.div_ceil(16)
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
