//! What can be wrong with a configuration. The words are in `text`.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::language::Language;
use crate::location::{KeyPath, Location};

/// Why a configuration could not be loaded or saved.
///
/// `Display` is English; [`ConfigError::text`] speaks either language.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    Read {
        /// The file.
        file: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The text breaks a rule.
    Invalid {
        /// The file.
        file: PathBuf,
        /// At least one problem, in the order of the text.
        problems: Vec<Problem>,
    },
    /// The file cannot be written. What was there before is untouched, but for a failed
    /// [`WriteStep::SyncDirectory`].
    Write {
        /// The file.
        file: PathBuf,
        /// What failed.
        step: WriteStep,
        /// The cause.
        source: io::Error,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(Language::English))
    }
}

/// The steps of an atomic write, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteStep {
    /// Creating the new file beside the old one.
    Create,
    /// Writing its content.
    Write,
    /// Bringing it to the disk.
    Sync,
    /// Putting it in the old one's place.
    Replace,
    /// Bringing its new name to the disk. The new file is in place then, but a power cut may bring
    /// the old one back.
    SyncDirectory,
}

/// One broken rule and where it is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The place in the text.
    pub location: Location,
    /// The key that is meant; the root for a problem of the whole text.
    pub key: KeyPath,
    /// What is wrong.
    pub cause: ProblemCause,
}

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProblemCause {
    /// The text is not TOML.
    Syntax {
        /// The TOML reader's words, in English.
        detail: String,
    },
    /// The file says no version.
    NoVersion,
    /// The file is of a version that this program does not read.
    UnknownVersion,
    /// There is no such key.
    UnknownKey {
        /// The key that is nearest in spelling.
        nearest: Option<String>,
        /// All keys of this table.
        known: Vec<String>,
    },
    /// A password was written into the file.
    PasswordInFile,
    /// A string where a number is wanted, and the like.
    WrongType {
        /// The TOML reader's words, in English.
        detail: String,
    },
    /// The value breaks the key's rule.
    BadValue {
        /// The value as written.
        found: String,
        /// The rule.
        rule: Rule,
    },
    /// A key must be there.
    Missing {
        /// What is to be written.
        rule: Rule,
    },
    /// A key must be there because of another.
    MissingFor {
        /// What asks for it, such as `source = "file"`.
        because: &'static str,
        /// What is to be written.
        rule: Rule,
    },
    /// A key means nothing because of another.
    Pointless {
        /// What would have to be written for it to mean something.
        unless: &'static str,
    },
    /// Two keys exclude each other.
    Conflict {
        /// The other key.
        with: &'static str,
    },
    /// The same name is given twice.
    Duplicate {
        /// The name.
        name: String,
    },
    /// The named account does not exist.
    UnknownAccount {
        /// The name as written.
        name: String,
        /// The accounts that there are.
        known: Vec<String>,
    },
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// One of some words.
    OneOf(Vec<&'static str>),
    /// A whole number between two bounds, both allowed.
    Between {
        /// The least.
        least: i64,
        /// The most.
        most: i64,
    },
    /// Text of 1 to so many characters, none of them a control character.
    Text {
        /// The most characters.
        most: usize,
    },
    /// A name of letters, digits, `-`, `_` and `.`, at most 64.
    Name,
    /// `WIDTHxHEIGHT` in even numbers, 160x90 to 3840x2160.
    Resolution,
    /// The same for simulated pictures, which a clock is burnt into.
    SimulatedResolution,
    /// A path that is not empty.
    Path,
    /// `ADDRESS:PORT` with a numeric address.
    SocketAddress,
    /// `ADDRESS:PORT` of this machine only.
    LoopbackAddress,
    /// `sip:USER@HOST` or `sips:USER@HOST`.
    SipAddress,
    /// A `sip:` or `sips:` URI that can be called, with or without `USER@`.
    SipTarget,
    /// `HOST` or `HOST:PORT`.
    HostPort,
    /// The path of a URL.
    WebSocketPath,
    /// `https://HOST` or `https://HOST:PORT`.
    PublicUrl,
    /// The same with a name that everybody finds, not an address.
    PublicName,
    /// An address by which others reach this machine, one of each IP version.
    PublicAddress,
    /// The URI of a TURN server.
    TurnUrl,
    /// The `https` URL of an ACME server's directory.
    DirectoryUrl,
    /// A mail address.
    MailAddress,
    /// `true`: who says so has read the terms of service.
    Agreed,
    /// A domain, an address, or a network such as `10.1.0.0/16`.
    Peer,
    /// `FIRST-LAST`, even first, at least four ports.
    PortRange,
}
