//! The configuration of a room: TOML text in, checked values out.
//!
//! ```text
//!   text ──► v1::File (wire types, serde) ──► checks ──► Config (inner types, always valid)
//!                 │ unknown key, wrong type      │ bad value, missing or conflicting key
//!                 └──────────────┬───────────────┘
//!                                ▼
//!             ConfigError::Invalid { file, problems: line, column, key, cause, hint }
//! ```
//!
//! The crate owns the file's grammar, its checks, the words of its complaints (English and
//! Chinese) and the way it is stored: written atomically, with the last good copy kept beside it.
//! It opens no socket and looks at no device: an absent camera is not a wrong configuration.
//!
//! Passwords are never part of the text. An account names a file or a systemd credential, and
//! [`SecretSource::read`] reads it when it is needed.

mod error;
mod guest_settings;
mod language;
mod location;
mod secret;
mod settings;
mod store;
mod text;
pub mod v1;
mod warning;

use std::fs;
use std::path::Path;

pub use error::{ConfigError, Problem, ProblemCause, Rule, WriteStep};
pub use guest_settings::{
    AcmeSettings, Admit, DirectoryUrl, ExternalAccount, GuestServerIdentity, GuestSettings,
    MailAddress, PublicUrl, TurnCredentials, TurnServer, TurnTransport, TurnUrl,
};
pub use language::Language;
pub use location::{KeyPath, Location};
pub use secret::{Secret, SecretError, SecretSource};
pub use settings::{
    Account, AccountCertificate, AccountName, AutoAnswer, CameraSettings, ClientCertificates,
    Config, ContentSharing, Credentials, FloorTransport, Host, HostPort, HttpSettings, IceUse,
    IncomingSettings, JoinSettings, LogFormat, LogLevel, LogSettings, LoopbackListener, MediaKeys,
    MediaSecurity, MicrophoneSettings, Peer, PlayoutSettings, PortRange, Registration, Replaces,
    RoomSettings, SecondCall, SipAddress, SipSettings, SipTarget, SlidesSettings, TlsListener,
    Transfers, Transport,
};
pub use store::{Loaded, Origin, Store, write_atomically, write_private_atomically};
pub use warning::Warning;

/// The largest configuration that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;

impl Config {
    /// Reads and checks the configuration in `file`.
    ///
    /// # Errors
    /// [`ConfigError::Read`] when the file cannot be read, is larger than [`MAX_FILE_BYTES`] or is
    /// not UTF-8; [`ConfigError::Invalid`] with every problem that was found.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        parse(&read_text(file)?, file)
    }

    /// The configuration as TOML of the newest version, with every setting spelt out.
    #[must_use]
    pub fn to_toml(&self) -> String {
        v1::render(self)
    }
}

/// Checks a configuration text.
///
/// `file` names it in errors, and relative paths in the text are taken from its directory.
///
/// # Errors
/// [`ConfigError::Invalid`] with every problem that was found.
pub fn parse(text: &str, file: &Path) -> Result<Config, ConfigError> {
    v1::parse(text, file).map_err(|problems| ConfigError::Invalid {
        file: file.to_owned(),
        problems,
    })
}

fn read_text(file: &Path) -> Result<String, ConfigError> {
    use std::io::{Error, ErrorKind, Read};

    let read = || -> Result<String, Error> {
        let mut text = String::new();
        fs::File::open(file)?
            .take(MAX_FILE_BYTES + 1)
            .read_to_string(&mut text)?;
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(Error::new(ErrorKind::FileTooLarge, "larger than 1 MiB"));
        }
        Ok(text)
    };
    read().map_err(|source| ConfigError::Read {
        file: file.to_owned(),
        source,
    })
}
