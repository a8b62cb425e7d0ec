//! What the room must still know after a crash: mute, camera, volume, and the calls that were wanted.
//!
//! One small TOML file, written atomically at each change, and each minute while the room is in a call
//! that it has answered: its time says when the room was last alive. A file that cannot be read never keeps
//! the service from starting: the room starts as if new, except that it starts muted, because
//! nobody may be heard who had asked not to be.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use room::media_plan::{CameraState, MicrophoneState};
use room::policy::CallTarget;
use room::units::Volume;
use room::{
    CallOrigin, DialogName, Fact, Generation, Remembered, Resumptions, WantedCall, WayBack,
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::unix_time::{unix_seconds, unix_time};

const FILE_NAME: &str = "remembered.toml";
/// The file is a few hundred bytes, with as many calls as a room can have and the longest names up to
/// half of this; anything larger is not ours.
const LARGEST_FILE: u64 = 512 * 1024;
/// How often a room in an answered call shows that it is alive.
const LIFE_SIGN_INTERVAL: Duration = Duration::from_secs(60);
/// A longer address is remembered for no answered call: it comes from the far end.
const LONGEST_ADDRESS: usize = 1024;

/// The file's form.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    microphone: Microphone,
    camera: Camera,
    volume: u8,
    /// When this was written, in seconds of Unix time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    written_at: Option<u64>,
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
    #[serde(default, skip_serializing_if = "Origin::is_placed")]
    origin: Origin,
    /// By which address the far end of an answered call knows this room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    known_as: Option<String>,
    /// What the far end calls the dialog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dialog: Option<String>,
    /// Restarts that the call went through, in seconds of Unix time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    resumed_at: Vec<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Origin {
    #[default]
    Placed,
    Answered,
}

impl Origin {
    fn is_placed(&self) -> bool {
        *self == Self::Placed
    }
}

impl From<&WantedCall> for Wanted {
    fn from(wanted: &WantedCall) -> Self {
        let (origin, known_as) = match &wanted.origin {
            CallOrigin::Placed => (Origin::Placed, None),
            CallOrigin::Answered { known_as } => (Origin::Answered, known_as.clone()),
        };
        Self {
            origin,
            known_as,
            target: wanted.call.target.clone(),
            account: wanted.call.account.clone(),
            dialog: wanted.dialog.as_ref().map(|name| name.as_str().to_owned()),
            resumed_at: wanted.resumptions.times().map(unix_seconds).collect(),
        }
    }
}

impl Wanted {
    /// `None` for an answered call that lacks the way back.
    fn into_wanted_call(self) -> Option<WantedCall> {
        let dialog = self.dialog.and_then(DialogName::new);
        let mut wanted = match self.origin {
            Origin::Placed => WantedCall {
                dialog,
                ..WantedCall::new(CallTarget {
                    target: self.target,
                    account: self.account,
                })
            },
            Origin::Answered => {
                let way_back = WayBack {
                    dialog: dialog?,
                    target: self.target,
                    known_as: self.known_as,
                };
                WantedCall::answered(self.account?, way_back)
            }
        };
        let times = self.resumed_at.into_iter().filter_map(unix_time);
        wanted.resumptions = Resumptions::new(times);
        Some(wanted)
    }
}

/// Whether a call is worth a place in the file.
fn is_kept(wanted: &WantedCall) -> bool {
    match &wanted.origin {
        CallOrigin::Placed => true,
        CallOrigin::Answered { known_as } => {
            let known_as = known_as.as_deref().unwrap_or_default();
            wanted.call.target.len() <= LONGEST_ADDRESS && known_as.len() <= LONGEST_ADDRESS
        }
    }
}

impl File {
    fn new(remembered: &Remembered, now: SystemTime) -> Self {
        let wanted = remembered.wanted.iter().filter(|wanted| is_kept(wanted));
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
            written_at: Some(unix_seconds(now)),
            wanted: wanted.map(Wanted::from).collect(),
        }
    }

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
            wanted: self
                .wanted
                .into_iter()
                .filter_map(Wanted::into_wanted_call)
                .collect(),
        })
    }
}

/// What is known of the last run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastRun {
    /// What it remembered last.
    pub remembered: Remembered,
    /// The last sign that it was alive; `None` at the first start.
    pub alive: Option<SystemTime>,
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
    pub fn load(&self, initial: Remembered) -> LastRun {
        let without_file = |remembered| LastRun {
            remembered,
            alive: None,
        };
        match self.read() {
            Ok(Some(last_run)) => last_run,
            Ok(None) => without_file(initial),
            Err(error) => {
                let path = self.path.display();
                tracing::warn!(%path, %error, "not readable: the room starts muted");
                without_file(Remembered {
                    microphone: MicrophoneState::Muted,
                    ..initial
                })
            }
        }
    }

    fn read(&self) -> io::Result<Option<LastRun>> {
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
        let alive = file.written_at.and_then(unix_time);
        let remembered = file.into_remembered();
        remembered
            .map(|remembered| Some(LastRun { remembered, alive }))
            .ok_or_else(|| invalid("the volume is above 100".to_owned()))
    }

    /// Writes what is to be remembered.
    ///
    /// # Errors
    /// A sentence with the path and the kernel's word; the old file is untouched.
    pub fn save(&self, remembered: &Remembered) -> Result<(), String> {
        let file = File::new(remembered, SystemTime::now());
        let text = toml::to_string(&file).map_err(|error| error.to_string())?;
        config::write_atomically(&self.path, text.as_bytes()).map_err(|error| error.to_string())
    }

    /// Writes whatever comes, newest first: what was overtaken while the disk was busy is skipped.
    /// Each write ends with a fact, but for those that only show that the room is alive. Ends when the
    /// driver drops its end of the channel.
    pub async fn run(
        self,
        mut wanted: mpsc::UnboundedReceiver<(Generation, Remembered)>,
        facts: mpsc::Sender<Fact>,
    ) {
        let mut answered = None;
        loop {
            let newest = tokio::select! {
                newest = wanted.recv() => newest,
                () = tokio::time::sleep(LIFE_SIGN_INTERVAL), if answered.is_some() => {
                    self.show_life(answered.as_ref()).await;
                    continue;
                }
            };
            let Some(mut newest) = newest else {
                return;
            };
            while let Ok(newer) = wanted.try_recv() {
                newest = newer;
            }
            let (generation, remembered) = newest;
            let fact = match self.save_off_thread(&remembered).await {
                Ok(()) => Fact::Stored { generation },
                Err(text) => {
                    tracing::error!(error = %text, "mute and the wanted meeting are not stored");
                    Fact::StoreFailed { generation, text }
                }
            };
            let has_answered = remembered.wanted.iter().any(WantedCall::is_answered);
            answered = has_answered.then_some(remembered);
            if facts.send(fact).await.is_err() {
                return;
            }
        }
    }

    async fn show_life(&self, remembered: Option<&Remembered>) {
        let Some(remembered) = remembered else {
            return;
        };
        if let Err(error) = self.save_off_thread(remembered).await {
            tracing::warn!(%error, "should it end now, the room will not go back into its call");
        }
    }

    async fn save_off_thread(&self, remembered: &Remembered) -> Result<(), String> {
        let (store, remembered) = (self.clone(), remembered.clone());
        match tokio::task::spawn_blocking(move || store.save(&remembered)).await {
            Ok(saved) => saved,
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
                dialog: DialogName::new("a@b;to-tag=t;from-tag=f"),
                resumptions: Resumptions::new(
                    [1_800_000_000, 1_800_000_060].map(|seconds| unix_time(seconds).unwrap()),
                ),
                ..WantedCall::new(CallTarget {
                    target: "sip:board@example.com".to_owned(),
                    account: Some("office".to_owned()),
                })
            }],
        }
    }

    fn answered(target: &str, known_as: Option<&str>) -> WantedCall {
        let way_back = WayBack {
            dialog: DialogName::new("a@b;to-tag=t;from-tag=f").unwrap(),
            target: target.to_owned(),
            known_as: known_as.map(str::to_owned),
        };
        WantedCall::answered("office".to_owned(), way_back)
    }

    fn in_calls(wanted: Vec<WantedCall>) -> Remembered {
        Remembered { wanted, ..muted() }
    }

    #[test]
    fn what_is_saved_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        let store = RememberedStore::new(directory.path());
        let first_start = LastRun {
            remembered: Remembered::default(),
            alive: None,
        };
        assert_eq!(store.load(Remembered::default()), first_start);
        let calls = in_calls(vec![
            answered("sip:caller@192.0.2.1", None),
            muted().wanted.remove(0),
            answered("sip:caller@192.0.2.1", Some("sip:meeting@192.0.2.2")),
        ]);
        for saved in [muted(), calls] {
            store.save(&saved).unwrap();
            let last_run = store.load(Remembered::default());
            assert_eq!(last_run.remembered, saved);
            assert!(last_run.alive.is_some());
        }
    }

    #[test]
    fn a_file_of_an_older_version_is_read_and_an_answered_call_without_a_way_back_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let store = RememberedStore::new(directory.path());
        let text = "microphone = \"open\"\ncamera = \"on\"\nvolume = 50\n\
                    [[wanted]]\ntarget = \"sip:board@example.com\"\n\
                    [[wanted]]\ntarget = \"sip:caller@example.com\"\norigin = \"answered\"\n\
                    account = \"office\"\n\
                    [[wanted]]\ntarget = \"sip:caller@example.com\"\norigin = \"answered\"\n\
                    dialog = \"a@b;to-tag=t;from-tag=f\"\n";
        fs::write(directory.path().join(FILE_NAME), text).unwrap();
        let last_run = store.load(Remembered::default());
        assert_eq!(last_run.alive, None);
        let placed = WantedCall::new(CallTarget {
            target: "sip:board@example.com".to_owned(),
            account: None,
        });
        assert_eq!(last_run.remembered.wanted, [placed]);
    }

    #[test]
    fn no_far_end_makes_the_file_too_long_to_be_read() {
        let directory = tempfile::tempdir().unwrap();
        let store = RememberedStore::new(directory.path());
        let longest = "\"".repeat(LONGEST_ADDRESS);
        let mut calls = vec![answered(&longest, Some(&longest)); 64];
        store.save(&in_calls(calls.clone())).unwrap();
        assert_eq!(
            store.load(Remembered::default()).remembered.wanted,
            calls.clone()
        );
        calls.push(answered(&"x".repeat(LONGEST_ADDRESS + 1), None));
        store.save(&in_calls(calls.clone())).unwrap();
        calls.pop();
        assert_eq!(store.load(Remembered::default()).remembered.wanted, calls);
    }

    #[tokio::test(start_paused = true)]
    async fn a_room_in_an_answered_call_shows_each_minute_that_it_is_alive_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let store = RememberedStore::new(directory.path());
        let (remember, wanted) = mpsc::unbounded_channel();
        let (facts, mut reported) = mpsc::channel(4);
        let running = tokio::spawn(store.clone().run(wanted, facts));
        let file = directory.path().join(FILE_NAME);
        let call = in_calls(vec![answered("sip:caller@192.0.2.1", None)]);
        for (generation, remembered, is_shown) in [(1, muted(), false), (2, call, true)] {
            let generation = Generation(generation);
            remember.send((generation, remembered)).unwrap();
            assert_eq!(reported.recv().await, Some(Fact::Stored { generation }));
            fs::remove_file(&file).unwrap();
            // Ends when the store has had its turn: by a write of its own, or by this time-out.
            let written = async {
                while !file.exists() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            };
            let shown = tokio::time::timeout(LIFE_SIGN_INTERVAL * 2, written).await;
            assert_eq!(shown.is_ok(), is_shown);
        }
        drop(remember);
        running.await.unwrap();
        assert!(
            reported.recv().await.is_none(),
            "it is no answer to anybody"
        );
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
            &"x".repeat(1_000_000),
        ] {
            fs::write(directory.path().join(FILE_NAME), damage).unwrap();
            let loaded = store.load(Remembered::default()).remembered;
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
        let last_run = store.load(Remembered::default());
        assert_eq!(last_run.remembered, muted());
        drop(remember);
        running.await.unwrap();
    }
}
