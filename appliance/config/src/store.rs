//! Where the configuration is kept, so that neither a power cut nor a slip loses it.
//!
//! ```text
//!   save(text) ── check ── temporary file ── fsync ── rename over FILE ── fsync directory
//!
//!   load_or_last_good ──► FILE is good ──► use it, keep it as LAST_GOOD
//!                    └──► FILE is bad ───► use LAST_GOOD and say why FILE was not used
//! ```

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::{ConfigError, WriteStep};
use crate::settings::Config;
use crate::{parse, read_text};

/// A configuration file and the copy of its last good content.
#[derive(Clone, Debug)]
pub struct Store {
    file: PathBuf,
    last_good: PathBuf,
}

/// A configuration that may be used, and where it came from.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Whether it is what the file says.
    pub origin: Origin,
}

/// Where a configuration came from.
#[derive(Debug)]
pub enum Origin {
    /// From the file.
    File {
        /// Why the copy for worse days could not be renewed, if it could not.
        not_kept: Option<ConfigError>,
    },
    /// From the last good copy.
    LastGood {
        /// Why the file was not used.
        because: ConfigError,
    },
}

impl Store {
    /// A store of `file` whose last good content is kept in `last_good`.
    ///
    /// The two may lie in different directories: the file where an administrator writes it, the
    /// copy where the service may write.
    #[must_use]
    pub fn new(file: PathBuf, last_good: PathBuf) -> Self {
        Self { file, last_good }
    }

    /// The configuration file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Loads the file, or the last good copy when the file cannot be used.
    ///
    /// # Errors
    /// The file's own error when there is no usable copy either.
    pub fn load_or_last_good(&self) -> Result<Loaded, ConfigError> {
        let loaded = read_text(&self.file).and_then(|text| {
            let config = parse(&text, &self.file)?;
            Ok((config, text))
        });
        match loaded {
            Ok((config, text)) => {
                let not_kept = self.keep_as_last_good(&text).err();
                Ok(Loaded {
                    config,
                    origin: Origin::File { not_kept },
                })
            }
            Err(because) => match self.load_last_good() {
                Ok(config) => Ok(Loaded {
                    config,
                    origin: Origin::LastGood { because },
                }),
                Err(_) => Err(because),
            },
        }
    }

    /// Checks `text` and puts it in the file's place, comments and all.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] or [`ConfigError::Write`]; the file is then as it was, unless the
    /// step is [`WriteStep::SyncDirectory`].
    pub fn save(&self, text: &str) -> Result<Config, ConfigError> {
        let config = parse(text, &self.file)?;
        write_atomically(&self.file, text.as_bytes())?;
        Ok(config)
    }

    fn keep_as_last_good(&self, text: &str) -> Result<(), ConfigError> {
        let unchanged = fs::read(&self.last_good).is_ok_and(|kept| kept == text.as_bytes());
        if unchanged {
            Ok(())
        } else {
            write_atomically(&self.last_good, text.as_bytes())
        }
    }

    fn load_last_good(&self) -> Result<Config, ConfigError> {
        // Relative paths mean what they meant in the file itself.
        parse(&read_text(&self.last_good)?, &self.file)
    }
}

/// Replaces `file` so that after a power cut either the old or the new content is there, whole.
///
/// The new file has the mode of the old one; a first one is readable by its owner and group.
///
/// # Errors
/// [`ConfigError::Write`] with the step that failed. The old file is untouched, but for the last
/// step, [`WriteStep::SyncDirectory`]: then the new one is in its place.
pub fn write_atomically(file: &Path, content: &[u8]) -> Result<(), ConfigError> {
    let mode = fs::metadata(file).map_or(0o640, |metadata| metadata.mode() & 0o777);
    write_with_mode(file, mode, content)
}

/// The same for what the service alone may read, such as a private key: the file has mode 0600, whatever
/// it had before.
///
/// # Errors
/// [`ConfigError::Write`].
pub fn write_private_atomically(file: &Path, content: &[u8]) -> Result<(), ConfigError> {
    write_with_mode(file, 0o600, content)
}

fn write_with_mode(file: &Path, mode: u32, content: &[u8]) -> Result<(), ConfigError> {
    let temporary = temporary_beside(file);
    let written = write_and_replace(file, &temporary, mode, content, sync_directory);
    written.map_err(|(step, source)| {
        // Best effort: what failed before matters more, and the next write removes it again.
        let _ = fs::remove_file(&temporary);
        ConfigError::Write {
            file: file.to_owned(),
            step,
            source,
        }
    })
}

fn write_and_replace(
    file: &Path,
    temporary: &Path,
    mode: u32,
    content: &[u8],
    sync_directory: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), (WriteStep, io::Error)> {
    let at = |step| move |source| (step, source);
    let mut new = create(temporary, mode).map_err(at(WriteStep::Create))?;
    write_durably(&mut new, content)?;
    fs::rename(temporary, file).map_err(at(WriteStep::Replace))?;
    sync_directory(file).map_err(at(WriteStep::SyncDirectory))
}

/// Creates a file that was not there, removing what a power cut may have left.
fn create(temporary: &Path, mode: u32) -> io::Result<File> {
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(temporary)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    Ok(file)
}

fn write_durably(file: &mut File, content: &[u8]) -> Result<(), (WriteStep, io::Error)> {
    file.write_all(content)
        .map_err(|source| (WriteStep::Write, source))?;
    file.sync_all().map_err(|source| (WriteStep::Sync, source))
}

/// Without this the new name may be lost although the content is on the disk.
fn sync_directory(file: &Path) -> io::Result<()> {
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    File::open(directory)?.sync_all()
}

/// In the same directory, because a rename does not cross file systems.
fn temporary_beside(file: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(file.file_name().unwrap_or_default());
    name.push(".new");
    file.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_reported_as_a_failed_write() {
        let mut full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let (step, source) = write_durably(&mut full, b"version = 1\n").unwrap_err();
        assert_eq!(step, WriteStep::Write);
        assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_name_that_does_not_reach_the_disk_is_not_called_an_untouched_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("roomd.toml");
        fs::write(&file, "old").unwrap();
        let fails = |_: &Path| Err(io::Error::from(io::ErrorKind::StorageFull));
        let (step, source) =
            write_and_replace(&file, &temporary_beside(&file), 0o640, b"new", fails).unwrap_err();
        assert_eq!(step, WriteStep::SyncDirectory);
        assert_eq!(fs::read(&file).unwrap(), b"new");

        let error = ConfigError::Write { file, step, source };
        for (language, untouched) in [
            (crate::Language::English, "untouched"),
            (crate::Language::Chinese, "未改动"),
        ] {
            let text = error.text(language);
            assert!(!text.contains(untouched), "{text}");
        }
    }

    #[test]
    fn the_temporary_file_lies_beside_the_file() {
        assert_eq!(
            temporary_beside(Path::new("/etc/roomd/roomd.toml")),
            Path::new("/etc/roomd/.roomd.toml.new")
        );
    }
}
