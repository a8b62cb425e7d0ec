//! [webrtcbin](https://gstreamer.freedesktop.org/documentation/webrtc/) of GStreamer as a guest: its ICE is
//! [libnice](https://libnice.freedesktop.org), which listens by TCP too (RFC 6544, passive), as no browser does.
//!
//! It sends a tone and a moving ball. GStreamer before 1.24 makes itself a certificate with an RSA key, which the DTLS
//! engine of this room does not take (nor need it: RFC 8827 section 6.5); so it is given one with the key that later
//! versions make.

use std::time::Duration;

use anyhow::{Context, Result};
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;

use crate::network_namespace::NetworkNamespace;
use crate::python;
use crate::python_guest::{PythonGuest, WEBSOCKETS};

const DRIVER: &str = include_str!("driver.py");
/// Debian's Python has GStreamer; of this package, which is Python alone, it gets a copy.
const PACKAGES: [&str; 1] = [WEBSOCKETS];
/// Of the picture that it sends.
const SIZE: (u32, u32) = (640, 360);

/// A guest on webrtcbin. Ends with this value.
#[derive(Debug)]
pub struct Webrtcbin {
    guest: PythonGuest,
}

impl Webrtcbin {
    /// Asks to come in by that link from a network; what becomes of it, events tell.
    ///
    /// # Errors
    /// When Python or its packages cannot be had.
    pub fn join(network: &NetworkNamespace, link: &str, name: &str) -> Result<Self> {
        let python = python::interpreter("python-websockets-1", &PACKAGES, &[])?;
        let libraries = python.parent().and_then(|bin| bin.parent());
        let libraries = libraries.context("an interpreter of an environment")?;
        let mut packages = std::fs::read_dir(libraries.join("lib"))?;
        let packages = packages.next().context("a folder of packages")??;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::default().self_signed(&key)?;
        let (width, height) = SIZE;
        let settings = json!({
            "link": link,
            "name": name,
            "width": width,
            "height": height,
            "pem": format!("{}{}", certificate.pem(), key.serialize_pem()),
        });
        let mut interpreter = network.command("/usr/bin/python3");
        interpreter.env("PYTHONPATH", packages.path().join("site-packages"));
        let guest = PythonGuest::start("webrtcbin", interpreter, DRIVER, &settings)?;
        Ok(Self { guest })
    }

    /// Waits until so many pieces of this kind, `video` or `audio`, have been decoded.
    ///
    /// # Errors
    /// When they have not in time.
    pub fn wait_for(&self, kind: &str, count: u64, timeout: Duration) -> Result<()> {
        self.guest.wait_for_pieces(kind, count, timeout).map(drop)
    }

    /// Leaves the meeting.
    ///
    /// # Errors
    /// When the program does not end.
    pub fn leave(self) -> Result<()> {
        self.guest.leave()
    }
}
