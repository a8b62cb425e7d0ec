//! Secrets: referenced by the configuration, read when needed, never shown.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// The largest secret that is read, in bytes.
const MAX_SECRET_BYTES: u64 = 4096;

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A file that only its owner (and group) may read. A line end after the secret is dropped.
    File(PathBuf),
    /// A systemd credential, by its name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// A password or token. It has no `Display`, prints nothing by `Debug` and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// A secret that is known already.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// The secret itself, for the one who proves that it is known.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Why a secret could not be read. No variant carries any part of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read or is not UTF-8.
    #[error("{file}: {source}", file = .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Anyone on the machine could read the file.
    #[error("{file} can be read by everyone: run chmod 600 {file}", file = .file.display())]
    WorldReadable {
        /// The file.
        file: PathBuf,
    },
    /// The file holds nothing, or more than 4096 bytes.
    #[error("{file} holds no secret, or one above 4096 bytes", file = .file.display())]
    Size {
        /// The file.
        file: PathBuf,
    },
    /// A credential is named, yet the service was started without any.
    #[error(
        "the credential {name} cannot be found: $CREDENTIALS_DIRECTORY is not set \
         (add LoadCredential={name} to the unit)"
    )]
    NoCredentials {
        /// The credential.
        name: String,
    },
}

impl SecretSource {
    /// Reads the secret. `credentials_directory` is the value of `$CREDENTIALS_DIRECTORY`.
    ///
    /// # Errors
    /// A [`SecretError`] that names the file, never its content.
    pub fn read(&self, credentials_directory: Option<&Path>) -> Result<Secret, SecretError> {
        match (self, credentials_directory) {
            (Self::File(file), _) => read_private_file(file),
            (Self::Credential(name), Some(directory)) => read_private_file(&directory.join(name)),
            (Self::Credential(name), None) => {
                Err(SecretError::NoCredentials { name: name.clone() })
            }
        }
    }
}

fn read_private_file(file: &Path) -> Result<Secret, SecretError> {
    let io_error = |source| SecretError::Read {
        file: file.to_owned(),
        source,
    };
    let open = File::open(file).map_err(io_error)?;
    // The mode of what was opened, not of the name, which may be changed in between.
    if open.metadata().map_err(io_error)?.mode() & 0o004 != 0 {
        return Err(SecretError::WorldReadable {
            file: file.to_owned(),
        });
    }
    let mut text = Zeroizing::new(String::new());
    open.take(MAX_SECRET_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(io_error)?;
    let secret = text.strip_suffix('\n').map_or(text.as_str(), |line| {
        line.strip_suffix('\r').unwrap_or(line)
    });
    if secret.is_empty() || secret.len() as u64 > MAX_SECRET_BYTES {
        return Err(SecretError::Size {
            file: file.to_owned(),
        });
    }
    Ok(Secret::new(secret.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file(directory: &Path, content: &str, mode: u32) -> PathBuf {
        let file = directory.join("secret");
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn a_private_file_gives_its_line_without_the_line_end() {
        let directory = tempfile::tempdir().unwrap();
        for (content, secret) in [
            ("s3cret\n", "s3cret"),
            ("s3cret", "s3cret"),
            (" a \r\n", " a "),
        ] {
            let source = SecretSource::File(file(directory.path(), content, 0o640));
            assert_eq!(source.read(None).unwrap().expose(), secret);
        }
    }

    #[test]
    fn a_file_that_everyone_reads_is_refused_with_the_command_that_mends_it() {
        let directory = tempfile::tempdir().unwrap();
        let error = SecretSource::File(file(directory.path(), "s3cret", 0o644))
            .read(None)
            .unwrap_err();
        assert!(matches!(error, SecretError::WorldReadable { .. }));
        assert!(error.to_string().contains("chmod 600"));
        assert!(!error.to_string().contains("s3cret"));
    }

    #[test]
    fn an_empty_or_endless_secret_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        for content in ["", "\n", &"x".repeat(5000)] {
            let source = SecretSource::File(file(directory.path(), content, 0o600));
            assert!(matches!(source.read(None), Err(SecretError::Size { .. })));
        }
    }

    #[test]
    fn a_credential_is_read_from_the_directory_of_the_service() {
        let directory = tempfile::tempdir().unwrap();
        file(directory.path(), "s3cret", 0o400);
        let source = SecretSource::Credential("secret".into());
        assert_eq!(
            source.read(Some(directory.path())).unwrap().expose(),
            "s3cret"
        );
        assert!(matches!(
            source.read(None),
            Err(SecretError::NoCredentials { .. })
        ));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new("s3cret".into())), "Secret");
    }
}
