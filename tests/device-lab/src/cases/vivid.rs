//! The kernel's test driver of cameras and HDMI inputs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

const DRIVER: &str = "/sys/bus/platform/drivers/vivid";
/// One platform device makes all of the driver's cameras.
const DEVICE: &str = "vivid.0";

/// Unplugs all cameras of the driver.
pub(super) fn unplug() -> Result<()> {
    write("unbind")
}

/// Plugs them in again.
pub(super) fn plug_in() -> Result<()> {
    write("bind")
}

fn write(file: &str) -> Result<()> {
    let path = Path::new(DRIVER).join(file);
    fs::write(&path, DEVICE).with_context(|| format!("writing to {}", path.display()))
}
