//! What the room must still know after a crash: mute, camera, volume, and the meeting that was
//! wanted.
//!
//! One small TOML file, written atomically at each change. A file that cannot be read never keeps
//! the service from starting: the room starts as if new, except that it starts muted, because
//! nobody may be heard who had asked not to be.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use room::media_plan::{CameraState, MicrophoneState};
use room::policy::CallTarget;
use room::units::Volume;
use room::{DialogName, Fact, Generation, Remembered, Resumptions, WantedCall};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

const FILE_NAME: &str = "remembered.toml";
/// The file is a few hundred bytes; anything larger is not ours.
const LARGEST_FILE: u64 = 64 * 1024;

/// The file's form.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    microphone: Microphone,
    camera: Camera,
    volume: u8,
    #[serde(default)]
    wanted: Vec<Wanted>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Microphone {
    Open,
    Muted,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Camera {
    On,
    Off,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    target: String,
    account: Option<String>,
    /// What the far end calls the dialog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dialog: Option<String>,
    /// Restarts that the call went through, in seconds of Unix time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    resumed_at: Vec<u64>,
}

impl From<&WantedCall> for Wanted {
    fn from(wanted: &WantedCall) -> Self {
        let seconds = |time: SystemTime| {
            // A clock that stands before 1970 counts as 1970.
            let since = time.duration_since(SystemTime::UNIX_EPOCH);
            since.map_or(0, |since| since.as_secs())
        };
        Self {
            target: wanted.call.target.clone(),
            account: wanted.call.account.clone(),
            dialog: wanted.dialog.as_ref().map(|name| name.as_str().to_owned()),
            resumed_at: wanted.resumptions.times().map(seconds).collect(),
        }
    }
}

impl From<Wanted> for WantedCall {
    fn from(wanted: Wanted) -> Self {
        // What no clock can show is left out.
        let time = |seconds: u64| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        Self {
            call: CallTarget {
                target: wanted.target,
                account: wanted.account,
            },
            dialog: wanted.dialog.and_then(DialogName::new),
            resumptions: Resumptions::new(wanted.resumed_at.into_iter().filter_map(time)),
        }
    }
}

impl From<&Remembered> for File {
    fn from(remembered: &Remembered) -> Self {
        Self {
            microphone: match remembered.microphone {
                MicrophoneState::Open => Microphone::Open,
                MicrophoneState::Muted => Microphone::Muted,
            },
            camera: match remembered.camera {
                CameraState::On => Camera::On,
                CameraState::Off => Camera::Off,
            },
            volume: remembered.volume.as_percent(),
            wanted: remembered.wanted.iter().map(Wanted::from).collect(),
        }
    }
}

impl File {
    fn into_remembered(self) -> Option<Remembered> {
        Some(Remembered {
            microphone: match self.microphone {
                Microphone::Open => MicrophoneState::Open,
                Microphone::Muted => MicrophoneState::Muted,
            },
            camera: match self.camera {
                Camera::On => CameraState::On,
                Camera::Off => CameraState::Off,
            },
            volume: Volume::percent(self.volume)?,
            wanted: self.wanted.into_iter().map(WantedCall::from).collect(),
        })
    }
}

/// The store, in the service's state directory.
#[derive(Clone, Debug)]
pub struct RememberedStore {
    path: PathBuf,
}

impl RememberedStore {
    /// A store in `directory`, which exists.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self {
            path: directory.join(FILE_NAME),
        }
    }

    /// What was remembered last; `initial` at the first start.
    #[must_use]
    pub fn load(&self, initial: Remembered) -> Remembered {
        match self.read() {
            Ok(Some(remembered)) => remembered,
            Ok(None) => initial,
            Err(error) => {
                let path = self.path.display();
                tracing::warn!(%path, %error, "not readable: the room starts muted");
                Remembered {
                    microphone: MicrophoneState::Muted,
                    ..initial
                }
            }
        }
    }

    fn read(&self) -> io::Result<Option<Remembered>> {
        let length = match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            metadata => metadata?.len(),
        };
        let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
        if length > LARGEST_FILE {
            return Err(invalid(format!("{length} bytes")));
        }
        let text = fs::read_to_string(&self.path)?;
        let file: File = toml::from_str(&text).map_err(|error| invalid(error.to_string()))?;
        let remembered = file.into_remembered();
        remembered
            .map(Some)
            .ok_or_else(|| invalid("the volume is above 100".to_owned()))
    }

    /// Writes what is to be remembered.
    ///
    /// # Errors
    /// A sentence with the path and the kernel's word; the old file is untouched.
    pub fn save(&self, remembered: &Remembered) -> Result<(), String> {
        let text = toml::to_string(&File::from(remembered)).map_err(|error| error.to_string())?;
        config::write_atomically(&self.path, text.as_bytes()).map_err(|error| error.to_string())
    }

    /// Writes whatever comes, newest first: what was overtaken while the disk was busy is skipped.
    /// Each write ends with a fact. Ends when the driver drops its end of the channel.
    pub async fn run(
        self,
        mut wanted: mpsc::UnboundedReceiver<(Generation, Remembered)>,
        facts: mpsc::Sender<Fact>,
    ) {
        while let Some(mut newest) = wanted.recv().await {
            while let Ok(newer) = wanted.try_recv() {
                newest = newer;
            }
            let (generation, remembered) = newest;
            let fact = self.save_off_thread(generation, remembered).await;
            if facts.send(fact).await.is_err() {
                return;
            }
        }
    }

    async fn save_off_thread(&self, generation: Generation, remembered: Remembered) -> Fact {
        let store = self.clone();
        match tokio::task::spawn_blocking(move || store.save(&remembered)).await {
            Ok(Ok(())) => Fact::Stored { generation },
            Ok(Err(text)) => {
                tracing::error!(error = %text, "mute and the wanted meeting are not stored");
                Fact::StoreFailed { generation, text }
            }
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn muted() -> Remembered {
        Remembered {
            microphone: MicrophoneState::Muted,
            camera: CameraState::Off,
            volume: Volume::percent(35).unwrap(),
            wanted: vec![WantedCall {
                call: CallTarget {
                    target: "sip:board@example.com".to_owned(),
                    account: Some("office".to_owned()),
                },
                dialog: DialogName::new("a@b;to-tag=t;from-tag=f"),
                resumptions: Resumptions::new(
                    [1_800_000_000, 1_800_000_060]
                        .map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)),
                ),
            }],
        }
    }

    #[test]
    fn what_is_saved_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        let store = RememberedStore::new(directory.path());
        assert_eq!(store.load(Remembered::default()), Remembered::default());
        store.save(&muted()).unwrap();
        assert_eq!(store.load(Remembered::default()), muted());
    }

    #[test]
    fn a_damaged_file_starts_the_room_muted() {
        let directory = tempfile::tempdir().unwrap();
        let store = RememberedStore::new(directory.path());
        for damage in [
            "microphone = 1",
            "\0\0\0",
            "volume = 300",
            "microphone = \"open\"\ncamera = \"on\"\nvolume = 50\n[[wanted]]\ntarget = \"a\"\n\
             resumed_at = [-1]",
            &"x".repeat(100_000),
        ] {
            fs::write(directory.path().join(FILE_NAME), damage).unwrap();
            let loaded = store.load(Remembered::default());
            assert_eq!(loaded.microphone, MicrophoneState::Muted, "{damage:.20}");
        }
    }

    #[tokio::test]
    async fn the_newest_state_is_stored_and_a_failure_is_a_fact() {
        let directory = tempfile::tempdir().unwrap();
        let store = RememberedStore::new(&directory.path().join("absent"));
        let (remember, wanted) = mpsc::unbounded_channel();
        let (facts, mut reported) = mpsc::channel(4);
        remember
            .send((Generation(1), Remembered::default()))
            .unwrap();
        remember.send((Generation(2), muted())).unwrap();
        drop(remember);
        store.run(wanted, facts).await;
        let fact = reported.recv().await.unwrap();
        assert!(matches!(
            fact,
            Fact::StoreFailed {
                generation: Generation(2),
                ..
            }
        ));
        assert!(reported.recv().await.is_none());
    }

    #[tokio::test]
    async fn what_the_store_reports_as_stored_is_on_disk_by_then() {
        let directory = tempfile::tempdir().unwrap();
        let store = RememberedStore::new(directory.path());
        let (remember, wanted) = mpsc::unbounded_channel();
        let (facts, mut reported) = mpsc::channel(4);
        let running = tokio::spawn(store.clone().run(wanted, facts));
        remember.send((Generation(7), muted())).unwrap();
        let generation = Generation(7);
        assert_eq!(reported.recv().await, Some(Fact::Stored { generation }));
        assert_eq!(store.load(Remembered::default()), muted());
        drop(remember);
        running.await.unwrap();
    }
}
