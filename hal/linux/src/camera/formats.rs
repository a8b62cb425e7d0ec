//! The formats, sizes and frame intervals that a driver names.

use std::path::Path;

use hal_core::camera_offer::{CameraFormat, FourCc, FrameInterval, OfferedInterval, OfferedSize};
use rustix::io::{Errno, Result};

use super::picture_size;
use crate::Error;
use crate::v4l2::{self, CONTINUOUS, DISCRETE, Device, STEPWISE};

/// How many formats, sizes and intervals a driver may name in all. The test driver of the kernel,
/// which has every format that there is, names five thousand.
const MOST_ANSWERS: u32 = 50_000;

/// Asks for all formats.
pub(super) fn read(
    device: &Device,
    path: &Path,
    buffer_type: u32,
) -> std::result::Result<Vec<CameraFormat>, Error> {
    let mut questions = Questions {
        device,
        left: MOST_ANSWERS,
    };
    match questions.formats(buffer_type) {
        Ok(formats) => Ok(formats),
        Err(Stop::TooMany) => Err(Error::Endless {
            device: path.to_owned(),
        }),
        Err(Stop::Kernel(request, errno)) => Err(Error::of(path, request, errno)),
    }
}

/// Why the questions ended early.
enum Stop {
    TooMany,
    Kernel(&'static str, Errno),
}

struct Questions<'a> {
    device: &'a Device,
    left: u32,
}

impl Questions<'_> {
    fn formats(&mut self, buffer_type: u32) -> std::result::Result<Vec<CameraFormat>, Stop> {
        let device = self.device;
        let named = self.all("VIDIOC_ENUM_FMT", |index| {
            v4l2::format(device, buffer_type, index)
        })?;
        let mut formats = Vec::with_capacity(named.len());
        for format in named {
            formats.push(CameraFormat {
                code: FourCc(format.pixel_format.to_le_bytes()),
                compressed: format.flags & v4l2::COMPRESSED != 0,
                sizes: self.sizes(format.pixel_format)?,
            });
        }
        Ok(formats)
    }

    fn sizes(&mut self, pixel_format: u32) -> std::result::Result<Vec<OfferedSize>, Stop> {
        let device = self.device;
        let named = self.all("VIDIOC_ENUM_FRAMESIZES", |index| {
            v4l2::frame_size(device, pixel_format, index)
        })?;
        let mut sizes = Vec::with_capacity(named.len());
        for v4l2::FrameSize { kind, words, .. } in named {
            match kind {
                DISCRETE => {
                    let size = (words[0], words[1]);
                    sizes.push(OfferedSize::Exactly {
                        size: picture_size(size),
                        intervals: self.intervals(pixel_format, size)?,
                    });
                }
                CONTINUOUS | STEPWISE => sizes.extend(range_of_sizes(words)),
                // A kind that this program does not know cannot be asked for.
                _ => {}
            }
        }
        Ok(sizes)
    }

    fn intervals(
        &mut self,
        pixel_format: u32,
        size: (u32, u32),
    ) -> std::result::Result<Vec<OfferedInterval>, Stop> {
        let device = self.device;
        let named = self.all("VIDIOC_ENUM_FRAMEINTERVALS", |index| {
            v4l2::frame_interval(device, pixel_format, size, index)
        })?;
        Ok(named
            .into_iter()
            .filter_map(|interval| offered_interval(interval.kind, interval.words))
            .collect())
    }

    /// The answers for the numbers from 0 until the driver says that there are no more.
    fn all<T>(
        &mut self,
        request: &'static str,
        ask: impl Fn(u32) -> Result<T>,
    ) -> std::result::Result<Vec<T>, Stop> {
        let mut answers = Vec::new();
        for index in 0.. {
            self.left = self.left.checked_sub(1).ok_or(Stop::TooMany)?;
            match ask(index) {
                Ok(answer) => answers.push(answer),
                // ENOTTY: the driver has no such list at all.
                Err(Errno::INVAL | Errno::NOTTY) => break,
                Err(errno) => return Err(Stop::Kernel(request, errno)),
            }
        }
        Ok(answers)
    }
}

/// `struct v4l2_frmsize_stepwise`; `None` where it holds no size.
fn range_of_sizes(words: [u32; 6]) -> Option<OfferedSize> {
    let [
        min_width,
        max_width,
        step_width,
        min_height,
        max_height,
        step_height,
    ] = words;
    if min_width > max_width || min_height > max_height || max_width == 0 || max_height == 0 {
        return None;
    }
    Some(OfferedSize::Between {
        smallest: picture_size((min_width, min_height)),
        largest: picture_size((max_width, max_height)),
        // Some drivers leave the step empty and mean every size.
        step: picture_size((step_width.max(1), step_height.max(1))),
    })
}

/// `struct v4l2_fract`, or the first two of `struct v4l2_frmival_stepwise`; `None` where it is no time.
fn offered_interval(kind: u32, words: [u32; 6]) -> Option<OfferedInterval> {
    let first = FrameInterval::new(words[0], words[1])?;
    match kind {
        DISCRETE => Some(OfferedInterval::Exactly(first)),
        CONTINUOUS | STEPWISE => Some(OfferedInterval::Between {
            shortest: first,
            longest: FrameInterval::new(words[2], words[3])?,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hal_core::camera::PictureSize;
    use hal_core::camera_offer::OfferedSize;
    use proptest::prelude::{any, proptest};

    use super::{CONTINUOUS, DISCRETE, STEPWISE, offered_interval, range_of_sizes};

    #[test]
    fn a_range_without_a_step_has_every_size() {
        let size = |width, height| PictureSize { width, height };
        assert_eq!(
            range_of_sizes([16, 1920, 0, 16, 1080, 0]),
            Some(OfferedSize::Between {
                smallest: size(16, 16),
                largest: size(1920, 1080),
                step: size(1, 1),
            })
        );
    }

    #[test]
    fn a_range_that_holds_no_size_is_none() {
        assert_eq!(range_of_sizes([1920, 16, 2, 16, 1080, 2]), None);
        assert_eq!(range_of_sizes([0; 6]), None);
    }

    #[test]
    fn an_interval_of_no_time_is_none() {
        assert_eq!(offered_interval(DISCRETE, [0, 30, 0, 0, 0, 0]), None);
        assert_eq!(offered_interval(STEPWISE, [1, 30, 0, 0, 0, 0]), None);
        assert_eq!(offered_interval(CONTINUOUS, [1, 0, 1, 1, 0, 0]), None);
        assert_eq!(offered_interval(7, [1, 30, 1, 30, 1, 30]), None);
    }

    proptest! {
        #[test]
        fn whatever_a_driver_writes_is_read(kind in any::<u32>(), words in any::<[u32; 6]>()) {
            let _ = range_of_sizes(words);
            for kind in [kind, DISCRETE, CONTINUOUS, STEPWISE] {
                let _ = offered_interval(kind, words);
            }
        }
    }
}
