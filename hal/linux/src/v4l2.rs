//! The requests of Video4Linux (`linux/videodev2.h`) that tell what a device node is and offers.
//!
//! All structures here consist of integers only, so that whatever a driver writes into them is a
//! valid value; unions are kept as the words that they lie in. Nothing here judges what they say.
//!
//! Why not the crate `v4l`: it needs libclang to build, and panics when a device's name is no UTF-8.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::{Errno, Result};
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

/// `V4L2_BUF_TYPE_VIDEO_CAPTURE`.
pub(crate) const CAPTURE: u32 = 1;
/// `V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE`.
pub(crate) const CAPTURE_MULTIPLANAR: u32 = 9;

/// Flags of [`Capability`].
pub(crate) mod capabilities {
    pub(crate) const VIDEO_CAPTURE: u32 = 0x1;
    pub(crate) const VIDEO_CAPTURE_MULTIPLANAR: u32 = 0x1000;
    /// It turns pictures into others, as codecs do: `V4L2_CAP_VIDEO_M2M_MPLANE`, `V4L2_CAP_VIDEO_M2M`.
    pub(crate) const MEMORY_TO_MEMORY: u32 = 0x4000 | 0x8000;
    /// A touch panel's raw picture, `V4L2_CAP_TOUCH`.
    pub(crate) const TOUCH: u32 = 0x1000_0000;
    /// A part of a pipeline that a media controller wires, `V4L2_CAP_IO_MC`.
    pub(crate) const MEDIA_CONTROLLER: u32 = 0x2000_0000;
    /// The field `device` is filled in, `V4L2_CAP_DEVICE_CAPS`.
    pub(crate) const DEVICE: u32 = 0x8000_0000;
}

/// Flag of [`FormatDescription`]: `V4L2_FMT_FLAG_COMPRESSED`.
pub(crate) const COMPRESSED: u32 = 0x1;

/// Flags of [`Input`].
pub(crate) mod input {
    /// `V4L2_IN_CAP_DV_TIMINGS`.
    pub(crate) const DIGITAL: u32 = 0x2;
}

/// `V4L2_FRMSIZE_TYPE_DISCRETE` and `V4L2_FRMIVAL_TYPE_DISCRETE`.
pub(crate) const DISCRETE: u32 = 1;
/// `V4L2_FRMSIZE_TYPE_CONTINUOUS` and `V4L2_FRMIVAL_TYPE_CONTINUOUS`.
pub(crate) const CONTINUOUS: u32 = 2;
/// `V4L2_FRMSIZE_TYPE_STEPWISE` and `V4L2_FRMIVAL_TYPE_STEPWISE`.
pub(crate) const STEPWISE: u32 = 3;

/// `struct v4l2_capability`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Capability {
    pub(crate) driver: [u8; 16],
    pub(crate) card: [u8; 32],
    pub(crate) bus_info: [u8; 32],
    version: u32,
    pub(crate) all: u32,
    pub(crate) device: u32,
    reserved: [u32; 3],
}

/// `struct v4l2_fmtdesc`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FormatDescription {
    index: u32,
    buffer_type: u32,
    pub(crate) flags: u32,
    description: [u8; 32],
    pub(crate) pixel_format: u32,
    media_bus_code: u32,
    reserved: [u32; 3],
}

/// `struct v4l2_frmsizeenum`; `words` are width and height, or least, most and step of both.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FrameSize {
    index: u32,
    pixel_format: u32,
    pub(crate) kind: u32,
    pub(crate) words: [u32; 6],
    reserved: [u32; 2],
}

/// `struct v4l2_frmivalenum`; `words` are one fraction, or the least, the most and the step.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FrameInterval {
    index: u32,
    pixel_format: u32,
    width: u32,
    height: u32,
    pub(crate) kind: u32,
    pub(crate) words: [u32; 6],
    reserved: [u32; 2],
}

/// `struct v4l2_input`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Input {
    index: u32,
    name: [u8; 32],
    kind: u32,
    audioset: u32,
    tuner: u32,
    standard: u64,
    status: u32,
    pub(crate) capabilities: u32,
    reserved: [u32; 3],
}

/// The head of `struct v4l2_dv_timings`, which is packed, and the rest of it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct DigitalTimings {
    kind: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) interlaced: u32,
    rest: [u32; 29],
}

const QUERYCAP: Opcode = opcode::read::<Capability>(b'V', 0);
const ENUM_FMT: Opcode = opcode::read_write::<FormatDescription>(b'V', 2);
const ENUMINPUT: Opcode = opcode::read_write::<Input>(b'V', 26);
const G_INPUT: Opcode = opcode::read::<i32>(b'V', 38);
const ENUM_FRAMESIZES: Opcode = opcode::read_write::<FrameSize>(b'V', 74);
const ENUM_FRAMEINTERVALS: Opcode = opcode::read_write::<FrameInterval>(b'V', 75);
const QUERY_DV_TIMINGS: Opcode = opcode::read::<DigitalTimings>(b'V', 99);

/// An open device node of Video4Linux.
#[derive(Debug)]
pub(crate) struct Device(OwnedFd);

/// The number that the kernel knows a device node by: major and minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeviceNumber {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

/// The major number of all that is Video4Linux's, `VIDEO_MAJOR`.
pub(crate) const MAJOR: u32 = 81;

impl Device {
    /// Opens the device node to ask what it is; `None` where another file, or another device's node,
    /// lies at the path.
    pub(crate) fn open(path: &Path, number: DeviceNumber) -> Result<Option<Self>> {
        // Nothing here waits for whoever opens the other end of a FIFO.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = open(path, flags, Mode::empty())?;
        let status = fstat(&file)?;
        let found = DeviceNumber {
            major: rustix::fs::major(status.st_rdev),
            minor: rustix::fs::minor(status.st_rdev),
        };
        let is_it = FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice
            && found == number
            && found.major == MAJOR;
        Ok(is_it.then_some(Self(file)))
    }
}

/// Makes the request with `$value`, whose type is in the request's number; again when a signal came
/// between.
macro_rules! request {
    ($device:expr, $opcode:ident, $value:ident: $type:ty) => {
        loop {
            // SAFETY: the number of the request holds the size of `$type`, which the kernel reads
            // and writes at most; `$value` is that large, is ours alone meanwhile, and consists of
            // integers, for which any bytes are valid. The file is a device of Video4Linux
            // (`Device::open`), so that the number means this request and no other one.
            match unsafe {
                ioctl(
                    $device.0.as_fd(),
                    Updater::<$opcode, $type>::new(&mut $value),
                )
            } {
                Err(Errno::INTR) => {}
                Err(error) => break Err(error),
                Ok(()) => break Ok($value),
            }
        }
    };
}

/// What the device is.
pub(crate) fn capability(device: &Device) -> Result<Capability> {
    let mut answer = Capability::default();
    request!(device, QUERYCAP, answer: Capability)
}

/// The format of that number, of buffers of that type.
pub(crate) fn format(device: &Device, buffer_type: u32, index: u32) -> Result<FormatDescription> {
    let mut answer = FormatDescription {
        index,
        buffer_type,
        ..FormatDescription::default()
    };
    request!(device, ENUM_FMT, answer: FormatDescription)
}

/// The size of that number that the format comes in.
pub(crate) fn frame_size(device: &Device, pixel_format: u32, index: u32) -> Result<FrameSize> {
    let mut answer = FrameSize {
        index,
        pixel_format,
        ..FrameSize::default()
    };
    request!(device, ENUM_FRAMESIZES, answer: FrameSize)
}

/// The frame interval of that number that the format has in that size.
pub(crate) fn frame_interval(
    device: &Device,
    pixel_format: u32,
    (width, height): (u32, u32),
    index: u32,
) -> Result<FrameInterval> {
    let mut answer = FrameInterval {
        index,
        pixel_format,
        width,
        height,
        ..FrameInterval::default()
    };
    request!(device, ENUM_FRAMEINTERVALS, answer: FrameInterval)
}

/// The input that is selected.
pub(crate) fn selected_input(device: &Device) -> Result<Input> {
    let mut number = 0_i32;
    let selected = request!(device, G_INPUT, number: i32)?;
    let mut answer = Input {
        index: u32::try_from(selected).map_err(|_| Errno::INVAL)?,
        ..Input::default()
    };
    request!(device, ENUMINPUT, answer: Input)
}

/// The timings of the signal that the selected input gets.
pub(crate) fn signal_timings(device: &Device) -> Result<DigitalTimings> {
    let mut answer = DigitalTimings {
        kind: 0,
        width: 0,
        height: 0,
        interlaced: 0,
        rest: [0; 29],
    };
    request!(device, QUERY_DV_TIMINGS, answer: DigitalTimings)
}

#[cfg(test)]
mod tests {
    use super::{
        ENUM_FMT, ENUM_FRAMEINTERVALS, ENUM_FRAMESIZES, ENUMINPUT, G_INPUT, QUERY_DV_TIMINGS,
        QUERYCAP,
    };

    /// The numbers are those of the C header on 64-bit machines; they hold the sizes of the structures.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_structures_are_as_large_as_the_kernel_s() {
        assert_eq!(QUERYCAP, 0x8068_5600);
        assert_eq!(ENUM_FMT, 0xc040_5602);
        assert_eq!(ENUMINPUT, 0xc050_561a);
        assert_eq!(G_INPUT, 0x8004_5626);
        assert_eq!(ENUM_FRAMESIZES, 0xc02c_564a);
        assert_eq!(ENUM_FRAMEINTERVALS, 0xc034_564b);
        assert_eq!(QUERY_DV_TIMINGS, 0x8084_5663);
    }
}
