//! Rates.

use std::ops::{Add, Div, Mul, Sub};
use std::time::Duration;

/// Bits per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Bitrate(f64);

impl Bitrate {
    /// Nothing.
    pub const ZERO: Self = Self(0.0);

    /// Bits per second; what is no rate (negative, not a number) counts as zero.
    #[must_use]
    pub const fn bps(bits: f64) -> Self {
        Self(if bits > 0.0 { bits } else { 0.0 })
    }

    /// Thousands of bits per second.
    #[must_use]
    pub const fn kbps(kilobits: f64) -> Self {
        Self::bps(kilobits * 1_000.0)
    }

    /// The rate at which so many bytes pass in so much time; zero for no time.
    #[must_use]
    pub fn of(bytes: f64, time: Duration) -> Self {
        let seconds = time.as_secs_f64();
        if seconds > 0.0 {
            Self::bps(bytes * 8.0 / seconds)
        } else {
            Self::ZERO
        }
    }

    /// Bits per second.
    #[must_use]
    pub const fn as_bps(self) -> f64 {
        self.0
    }

    /// The bytes that pass in so much time.
    #[must_use]
    pub fn bytes_in(self, time: Duration) -> f64 {
        self.0 / 8.0 * time.as_secs_f64()
    }

    /// The time that so many bytes take; a day where there is no rate.
    #[must_use]
    pub fn time_for(self, bytes: f64) -> Duration {
        const DAY: f64 = 86_400.0;
        Duration::from_secs_f64((bytes * 8.0 / self.0.max(1e-9)).clamp(0.0, DAY))
    }

    /// The smaller one.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }

    /// The larger one.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }
}

impl Add for Bitrate {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Bitrate {
    type Output = Self;

    /// Never below zero.
    fn sub(self, other: Self) -> Self {
        Self::bps(self.0 - other.0)
    }
}

impl Mul<f64> for Bitrate {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        Self::bps(self.0 * factor)
    }
}

impl Div for Bitrate {
    type Output = f64;

    /// How many times the other one; of zero, nothing.
    fn div(self, other: Self) -> f64 {
        if other.0 > 0.0 { self.0 / other.0 } else { 0.0 }
    }
}
