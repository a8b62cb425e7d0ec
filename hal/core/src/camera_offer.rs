//! What a camera is and what it offers, as far as it can be told without taking a picture.
//!
//! A camera is known by its [`CameraIdentity`]; the number of its device node says only in which
//! order devices came, and is another one after the next start.

use std::fmt;
use std::time::Duration;

use crate::camera::PictureSize;

/// By what a camera is known again, after a start of the machine as well as after it was unplugged.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CameraIdentity {
    /// Where it is connected, in the words of its driver: `usb-0000:00:14.0-2`.
    pub bus: String,
    /// Which of several sources of pictures at that place it is, from 0.
    pub source: u32,
    /// What the maker numbered it by. Many cameras have none, and some have one that all of the model
    /// share: it tells whether another device took the place, and alone identifies nothing.
    pub serial: Option<String>,
}

impl fmt::Display for CameraIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.bus)?;
        if self.source > 0 {
            write!(f, "#{}", self.source)?;
        }
        match &self.serial {
            Some(serial) => write!(f, " (serial number {serial})"),
            None => Ok(()),
        }
    }
}

/// A camera that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraOffer {
    /// By what it is known again.
    pub identity: CameraIdentity,
    /// What it calls itself. Two of one model have the same name.
    pub name: String,
    /// Where its pictures come from.
    pub input: VideoInput,
    /// What it delivers, in the driver's order.
    pub formats: Vec<CameraFormat>,
}

/// Where a camera's pictures come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VideoInput {
    /// A sensor, which has the size that it is asked for.
    Sensor,
    /// A digital video signal, as of HDMI or SDI: whoever sends it decides on size and rate.
    Signal(SignalState),
}

/// What a digital video input gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalState {
    /// A signal with pictures of this size.
    Present {
        /// The visible part.
        size: PictureSize,
        /// Whether each frame comes as two fields.
        scan: Scan,
    },
    /// Nothing is connected, or it is off.
    Absent,
    /// There is one that the input cannot lock to, or not yet.
    Unstable,
    /// There is one that the input is not made for.
    Unsupported,
    /// The driver does not say.
    Unknown,
}

/// In which order the rows of a signal's picture come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// Row by row.
    Progressive,
    /// Every other row, then those between.
    Interlaced,
}

/// One pixel format or codec, and the sizes that it comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraFormat {
    /// Which one.
    pub code: FourCc,
    /// Whether the pictures are compressed (Motion JPEG, H.264).
    pub compressed: bool,
    /// The sizes; empty where the driver names none, as with an input whose signal decides.
    pub sizes: Vec<OfferedSize>,
}

/// A pixel format or codec by its four characters, as V4L2 has them: `YUYV`, `MJPG`, `H264`. The top bit
/// of the last one says that words of the format are big-endian: `Y16 -BE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FourCc(pub [u8; 4]);

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, third, last] = self.0;
        for byte in [first, second, third, last & 0x7f] {
            // A driver may write anything there; a terminal must not get it.
            let shown = match byte {
                b' ' | b'!'..=b'~' => char::from(byte),
                _ => '?',
            };
            write!(f, "{shown}")?;
        }
        if last & 0x80 == 0 {
            Ok(())
        } else {
            f.write_str("-BE")
        }
    }
}

/// Sizes of pictures that a format comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfferedSize {
    /// One size.
    Exactly {
        /// The size.
        size: PictureSize,
        /// The times from one picture to the next that it comes with, in the driver's order.
        intervals: Vec<OfferedInterval>,
    },
    /// Every size from the smallest to the largest, in steps.
    Between {
        /// The smallest.
        smallest: PictureSize,
        /// The largest.
        largest: PictureSize,
        /// From one width, and from one height, to the next.
        step: PictureSize,
    },
}

/// Times from one picture to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferedInterval {
    /// One.
    Exactly(FrameInterval),
    /// All from the shortest to the longest.
    Between {
        /// The shortest.
        shortest: FrameInterval,
        /// The longest.
        longest: FrameInterval,
    },
}

/// The time from one picture to the next as a fraction of a second, which is exact where a
/// [`Duration`] is not: 1001/30000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameInterval {
    numerator: u32,
    denominator: u32,
}

impl FrameInterval {
    /// `numerator`/`denominator` seconds; `None` where one of them is 0, which is no time.
    #[must_use]
    pub const fn new(numerator: u32, denominator: u32) -> Option<Self> {
        if numerator == 0 || denominator == 0 {
            return None;
        }
        Some(Self {
            numerator,
            denominator,
        })
    }

    /// The pictures a second, as a fraction: numerator and denominator.
    #[must_use]
    pub const fn rate(self) -> (u32, u32) {
        (self.denominator, self.numerator)
    }

    /// The same time, rounded down to nanoseconds.
    #[must_use]
    pub fn duration(self) -> Duration {
        let nanoseconds = u64::from(self.numerator) * 1_000_000_000 / u64::from(self.denominator);
        Duration::from_nanos(nanoseconds)
    }
}

impl fmt::Display for FrameInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} s", self.numerator, self.denominator)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{CameraIdentity, FourCc, FrameInterval};

    #[test]
    fn an_interval_of_the_television_rates_is_kept_exactly() {
        let interval = FrameInterval::new(1001, 30_000).unwrap();
        assert_eq!(interval.rate(), (30_000, 1001));
        assert_eq!(interval.duration(), Duration::from_nanos(33_366_666));
    }

    #[test]
    fn no_time_is_no_interval() {
        assert_eq!(FrameInterval::new(0, 30), None);
        assert_eq!(FrameInterval::new(1, 0), None);
    }

    #[test]
    fn the_longest_interval_that_a_driver_can_name_is_a_duration() {
        let longest = FrameInterval::new(u32::MAX, 1).unwrap();
        assert_eq!(longest.duration(), Duration::from_secs(u32::MAX.into()));
    }

    #[test]
    fn a_format_s_code_reaches_no_terminal_unseen() {
        assert_eq!(FourCc(*b"YUYV").to_string(), "YUYV");
        assert_eq!(FourCc(*b"Y8  ").to_string(), "Y8  ");
        assert_eq!(FourCc([0x1b, b'[', 0xff, 0]).to_string(), "?[??");
        assert_eq!(
            FourCc([b'Y', b'1', b'6', b' ' | 0x80]).to_string(),
            "Y16 -BE"
        );
    }

    #[test]
    fn an_identity_names_what_tells_it_from_others() {
        let mut identity = CameraIdentity {
            bus: "usb-0000:00:14.0-2".into(),
            source: 0,
            serial: None,
        };
        assert_eq!(identity.to_string(), "usb-0000:00:14.0-2");
        identity.source = 1;
        identity.serial = Some("A1".into());
        assert_eq!(
            identity.to_string(),
            "usb-0000:00:14.0-2#1 (serial number A1)"
        );
    }
}
