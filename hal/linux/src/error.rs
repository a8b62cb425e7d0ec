//! What can go wrong with a device.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Why a device cannot be used, or not now.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was there a moment ago: unplugged, or its driver let go of it.
    #[error("{} is gone", device.display())]
    Gone {
        /// Its device node.
        device: PathBuf,
    },
    /// This process has no right to open it.
    #[error("{} may not be opened by this user", device.display())]
    Denied {
        /// Its device node.
        device: PathBuf,
    },
    /// What lies at the path of its device node is something else.
    #[error("{} is not the device that the kernel has under this name", device.display())]
    NotTheDevice {
        /// The path.
        device: PathBuf,
    },
    /// Its driver names more formats, sizes and rates than any camera has.
    #[error("the driver of {} names formats, sizes and rates without end", device.display())]
    Endless {
        /// Its device node.
        device: PathBuf,
    },
    /// A question that every driver answers got an error.
    #[error("{}: {request} failed", device.display())]
    Failed {
        /// Its device node, or the folder of all of them.
        device: PathBuf,
        /// What was asked.
        request: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Error {
    /// The error that the kernel's answer stands for.
    pub(crate) fn of(device: &Path, request: &'static str, errno: Errno) -> Self {
        let device = device.to_owned();
        match errno {
            Errno::NODEV | Errno::NXIO | Errno::NOENT => Self::Gone { device },
            Errno::ACCESS | Errno::PERM => Self::Denied { device },
            other => Self::Failed {
                device,
                request,
                source: other.into(),
            },
        }
    }
}
