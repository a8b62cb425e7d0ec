//! The cameras that the kernel has (Video4Linux).
//!
//! A camera has several device nodes, and so has much that is none: codecs, radios, outputs. What
//! the kernel lists under `/sys/class/video4linux` is asked what it is, and only what captures
//! pictures by itself is a camera. Parts of a pipeline that a media controller has to wire first
//! (image sensors of single-board computers) are none either; libcamera makes cameras of them.

mod formats;

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use hal_core::camera::PictureSize;
use hal_core::camera_offer::{CameraIdentity, CameraOffer, Scan, SignalState, VideoInput};
use rustix::io::Errno;

use crate::Error;
use crate::v4l2::{self, Capability, Device, DeviceNumber, capabilities};

const CLASS: &str = "/sys/class/video4linux";

/// A camera and where it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundCamera {
    /// What it is and offers.
    pub offer: CameraOffer,
    /// Its device node, by which it can be opened until it is unplugged.
    pub node: PathBuf,
}

/// What a look at all device nodes has found.
#[derive(Debug, Default)]
pub struct Cameras {
    /// The cameras, in the order of their identities.
    pub found: Vec<FoundCamera>,
    /// Why device nodes that may be cameras are not among them.
    pub unusable: Vec<Error>,
}

/// Looks at all device nodes. What goes away meanwhile is left out.
///
/// It takes a few requests to the driver for each size of each format, so milliseconds as a rule;
/// a driver that does not answer holds it up.
#[must_use]
pub fn find() -> Cameras {
    let mut cameras = Cameras::default();
    match nodes() {
        Ok(nodes) => {
            for node in nodes {
                cameras.add(node.describe());
            }
        }
        Err(error) => cameras.unusable.push(error),
    }
    cameras
        .found
        .sort_by(|one, other| one.offer.identity.cmp(&other.offer.identity));
    cameras
}

impl Cameras {
    fn add(&mut self, described: Result<Option<FoundCamera>, Error>) {
        match described {
            Ok(camera) => self.found.extend(camera),
            Err(Error::Gone { .. }) => {}
            Err(error) => self.unusable.push(error),
        }
    }
}

/// A device node of Video4Linux for pictures, of which nothing else is known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    path: PathBuf,
    /// What the kernel tells of it.
    attributes: PathBuf,
}

/// All device nodes for pictures that there are at this moment, in no order.
///
/// # Errors
/// When the kernel's list cannot be read. A kernel without Video4Linux has no list, and no nodes.
pub fn nodes() -> Result<Vec<Node>, Error> {
    nodes_of(Path::new(CLASS), Path::new("/dev"))
}

fn nodes_of(class: &Path, devices: &Path) -> Result<Vec<Node>, Error> {
    let failed = |source: io::Error| Error::Failed {
        device: class.to_owned(),
        request: "reading the list of devices",
        source,
    };
    let entries = match fs::read_dir(class) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut nodes = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        // Radios, teletext and parts of pipelines have other names, and are better not opened.
        if name.as_bytes().starts_with(b"video") {
            nodes.push(Node {
                path: devices.join(name),
                attributes: entry.path(),
            });
        }
    }
    Ok(nodes)
}

impl Node {
    /// The path of the device node.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the camera is and offers; `None` where it is no camera.
    ///
    /// # Errors
    /// [`Error::Gone`] where it was unplugged meanwhile, and any other.
    pub fn describe(&self) -> Result<Option<FoundCamera>, Error> {
        let number = self.number()?;
        let device = Device::open(&self.path, number)
            .map_err(|errno| Error::of(&self.path, "opening it", errno))?
            .ok_or_else(|| Error::NotTheDevice {
                device: self.path.clone(),
            })?;
        let capability = v4l2::capability(&device)
            .map_err(|errno| Error::of(&self.path, "VIDIOC_QUERYCAP", errno))?;
        let Some(buffer_type) = capture_type(&capability) else {
            return Ok(None);
        };
        let offer = CameraOffer {
            identity: self.identity(&capability)?,
            name: text(&capability.card),
            input: self.input(&device)?,
            formats: formats::read(&device, &self.path, buffer_type)?,
        };
        Ok(Some(FoundCamera {
            offer,
            node: self.path.clone(),
        }))
    }

    fn number(&self) -> Result<DeviceNumber, Error> {
        let line = self.attribute("dev")?;
        device_number(&line).ok_or_else(|| Error::NotTheDevice {
            device: self.path.clone(),
        })
    }

    fn identity(&self, capability: &Capability) -> Result<CameraIdentity, Error> {
        let bus = match text(&capability.bus_info) {
            // Some old drivers leave it empty; then it is the name of the device that it belongs to.
            bus if bus.is_empty() => self.device_folder()?.file_name().map_or_else(
                || String::from("unknown"),
                |name| name.to_string_lossy().into_owned(),
            ),
            bus => bus,
        };
        Ok(CameraIdentity {
            bus,
            source: self.attribute("index")?.parse().unwrap_or(0),
            serial: self.serial()?,
        })
    }

    /// What the USB device is numbered by. The device node belongs to one interface of that device.
    fn serial(&self) -> Result<Option<String>, Error> {
        let interface = self.device_folder()?;
        let is_usb = fs::read_link(interface.join("subsystem"))
            .is_ok_and(|subsystem| subsystem.ends_with("usb"));
        if !is_usb {
            return Ok(None);
        }
        let serial = fs::read(interface.join("../serial")).unwrap_or_default();
        Ok(Some(text(&serial)).filter(|serial| !serial.is_empty()))
    }

    fn device_folder(&self) -> Result<PathBuf, Error> {
        fs::canonicalize(self.attributes.join("device")).map_err(|error| self.unread(error))
    }

    fn attribute(&self, name: &str) -> Result<String, Error> {
        let bytes = fs::read(self.attributes.join(name)).map_err(|error| self.unread(error))?;
        Ok(text(&bytes))
    }

    fn unread(&self, error: io::Error) -> Error {
        match Errno::from_io_error(&error) {
            Some(errno) => Error::of(&self.path, "reading its attributes", errno),
            None => Error::Failed {
                device: self.path.clone(),
                request: "reading its attributes",
                source: error,
            },
        }
    }

    fn input(&self, device: &Device) -> Result<VideoInput, Error> {
        let failed = |errno| Error::of(&self.path, "VIDIOC_ENUMINPUT", errno);
        match v4l2::selected_input(device) {
            Ok(input) if input.capabilities & v4l2::input::DIGITAL != 0 => {
                Ok(VideoInput::Signal(self.signal(device)?))
            }
            Ok(_) => Ok(VideoInput::Sensor),
            // A driver that knows of no inputs has a single one, which cannot be digital.
            Err(Errno::NOTTY | Errno::INVAL) => Ok(VideoInput::Sensor),
            Err(errno) => Err(failed(errno)),
        }
    }

    fn signal(&self, device: &Device) -> Result<SignalState, Error> {
        // Some answers stand in the documentation of VIDIOC_QUERY_DV_TIMINGS, others are of drivers
        // that cannot ask their receiver.
        match v4l2::signal_timings(device) {
            Ok(timings) => Ok(SignalState::Present {
                size: picture_size((timings.width, timings.height)),
                scan: match timings.interlaced {
                    0 => Scan::Progressive,
                    _ => Scan::Interlaced,
                },
            }),
            Err(Errno::NOLINK) => Ok(SignalState::Absent),
            Err(Errno::NOLCK) => Ok(SignalState::Unstable),
            Err(Errno::RANGE) => Ok(SignalState::Unsupported),
            Err(Errno::NODEV) => Err(Error::Gone {
                device: self.path.clone(),
            }),
            Err(_) => Ok(SignalState::Unknown),
        }
    }
}

/// The type of buffers by which the device captures pictures, if it does so by itself.
fn capture_type(capability: &Capability) -> Option<u32> {
    let has = if capability.all & capabilities::DEVICE == 0 {
        capability.all
    } else {
        // What this node has, where `all` is what all nodes of the device have together.
        capability.device
    };
    // Some codecs say that they capture and give out as well, for programs that are older than their kind.
    let others =
        capabilities::TOUCH | capabilities::MEDIA_CONTROLLER | capabilities::MEMORY_TO_MEMORY;
    if has & others != 0 {
        return None;
    }
    if has & capabilities::VIDEO_CAPTURE != 0 {
        Some(v4l2::CAPTURE)
    } else if has & capabilities::VIDEO_CAPTURE_MULTIPLANAR != 0 {
        Some(v4l2::CAPTURE_MULTIPLANAR)
    } else {
        None
    }
}

/// The number in the attribute `dev`: `81:0`.
fn device_number(line: &str) -> Option<DeviceNumber> {
    let (major, minor) = line.split_once(':')?;
    Some(DeviceNumber {
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
    })
}

/// The text up to the first zero byte, without control characters: it comes from the device itself.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())])
        .trim()
        .replace(char::is_control, "\u{fffd}")
}

fn picture_size((width, height): (u32, u32)) -> PictureSize {
    let pixels = |number| usize::try_from(number).unwrap_or(usize::MAX);
    PictureSize {
        width: pixels(width),
        height: pixels(height),
    }
}

#[cfg(test)]
mod tests;
