//! A certificate with an ECDSA key for baresip's DTLS-SRTP.
//!
//! baresip 1.1 makes itself one with an RSA key. WebRTC endpoints need not take those (RFC 8827 section
//! 6.5), and the DTLS engine of this room does not. A library of a few lines, loaded before its own, gives
//! it the key that later versions make; all else is baresip as it is.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use rcgen::{CertificateParams, KeyPair};

use crate::child_process::run;

/// What baresip is started with.
#[derive(Debug)]
pub struct EcdsaIdentity {
    library: PathBuf,
    identity: PathBuf,
}

impl EcdsaIdentity {
    /// Makes certificate and library in `folder`.
    ///
    /// # Errors
    /// When there is no C compiler.
    pub fn new(folder: &Path) -> Result<Self> {
        let source = folder.join("preload.c");
        let made = Self {
            library: folder.join("preload.so"),
            identity: folder.join("dtls.pem"),
        };
        std::fs::write(&source, include_str!("preload.c"))?;
        run(Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .arg(&made.library)
            .arg(&source))?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::default().self_signed(&key)?;
        std::fs::write(
            &made.identity,
            format!("{}{}", certificate.pem(), key.serialize_pem()),
        )?;
        Ok(made)
    }

    /// Has a program use it.
    pub fn give_to(&self, program: &mut Command) {
        program
            .env("LD_PRELOAD", &self.library)
            .env("DTLS_IDENTITY", &self.identity);
    }
}
