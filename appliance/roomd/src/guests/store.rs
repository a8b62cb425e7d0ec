//! Links and sessions on the disk: one small TOML file in the state directory, written atomically.
//!
//! It holds no secret: tokens and cookies are there as their SHA-256. A file that cannot be read never
//! keeps the service from starting: no link is good then, which is the safe way to be wrong.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::guest_name;
use super::registry::{Invitation, InvitationId, MAX_INVITATIONS, Registry, Session, Standing};
use super::signalling::{Admit, GuestId};
use super::token::TokenDigest;
use crate::unix_time::{unix_seconds, unix_time};

const FILE_NAME: &str = "guests.toml";
/// As many invitations and sessions as there can be, with the longest names, are a fraction of this.
const LARGEST_FILE: u64 = 256 * 1024;

/// A change is not on the disk: a restart would undo it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("links and sessions of guests cannot be stored")]
pub struct NotStored;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    meeting: u64,
    next_invitation: u32,
    next_guest: u64,
    #[serde(default)]
    invitation: Vec<StoredInvitation>,
    #[serde(default)]
    session: Vec<StoredSession>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredInvitation {
    id: u32,
    token_sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    admit: StoredAdmit,
    created_at: u64,
    expires_at: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredSession {
    guest: u64,
    invitation: u32,
    cookie_sha256: String,
    name: String,
    standing: StoredStanding,
    created_at: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredAdmit {
    Ask,
    Automatically,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredStanding {
    New,
    Admitted,
    SentAway,
}

impl From<&Invitation> for StoredInvitation {
    fn from(invitation: &Invitation) -> Self {
        Self {
            id: invitation.id.0,
            token_sha256: invitation.digest.to_hexadecimal(),
            label: invitation.label.clone(),
            admit: match invitation.admit {
                Admit::Ask => StoredAdmit::Ask,
                Admit::Automatically => StoredAdmit::Automatically,
            },
            created_at: unix_seconds(invitation.created_at),
            expires_at: unix_seconds(invitation.expires_at),
        }
    }
}

impl StoredInvitation {
    fn into_invitation(self) -> Option<Invitation> {
        Some(Invitation {
            id: InvitationId(self.id),
            digest: TokenDigest::from_hexadecimal(&self.token_sha256)?,
            label: self.label,
            admit: match self.admit {
                StoredAdmit::Ask => Admit::Ask,
                StoredAdmit::Automatically => Admit::Automatically,
            },
            created_at: unix_time(self.created_at)?,
            expires_at: unix_time(self.expires_at)?,
        })
    }
}

impl From<&Session> for StoredSession {
    fn from(session: &Session) -> Self {
        Self {
            guest: session.guest.0,
            invitation: session.invitation.0,
            cookie_sha256: session.digest.to_hexadecimal(),
            name: session.name.clone(),
            standing: match session.standing {
                Standing::New => StoredStanding::New,
                Standing::Admitted => StoredStanding::Admitted,
                Standing::SentAway => StoredStanding::SentAway,
            },
            created_at: unix_seconds(session.created_at),
        }
    }
}

impl StoredSession {
    fn into_session(self, now: SystemTime) -> Option<Session> {
        Some(Session {
            guest: GuestId(self.guest),
            invitation: InvitationId(self.invitation),
            digest: TokenDigest::from_hexadecimal(&self.cookie_sha256)?,
            name: guest_name(&self.name)?,
            standing: match self.standing {
                StoredStanding::New => Standing::New,
                StoredStanding::Admitted => Standing::Admitted,
                StoredStanding::SentAway => Standing::SentAway,
            },
            created_at: unix_time(self.created_at)?,
            seen_at: now,
            keeps_place: true,
        })
    }
}

impl From<&Registry> for File {
    fn from(registry: &Registry) -> Self {
        Self {
            meeting: registry.meeting,
            next_invitation: registry.next_invitation,
            next_guest: registry.next_guest,
            invitation: registry.invitations.iter().map(Into::into).collect(),
            session: registry.sessions.iter().map(Into::into).collect(),
        }
    }
}

impl File {
    fn into_registry(self, now: SystemTime) -> Registry {
        let invitations = self.invitation.into_iter().take(MAX_INVITATIONS);
        let sessions = self.session.into_iter();
        let mut registry = Registry {
            meeting: self.meeting,
            next_invitation: self.next_invitation,
            next_guest: self.next_guest,
            invitations: invitations
                .filter_map(StoredInvitation::into_invitation)
                .collect(),
            sessions: sessions
                .filter_map(|session| session.into_session(now))
                .collect(),
        };
        // Nobody is told of what ended while the service was away: no leg of it is left.
        registry.expire(now);
        registry
    }
}

/// The store, in the service's state directory.
#[derive(Clone, Debug)]
pub struct GuestStore {
    path: PathBuf,
}

impl GuestStore {
    /// A store in `directory`, which exists.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self {
            path: directory.join(FILE_NAME),
        }
    }

    /// The links that are still good, with their sessions.
    pub(super) fn load(&self, now: SystemTime) -> Registry {
        match self.read() {
            Ok(Some(file)) => file.into_registry(now),
            Ok(None) => Registry::default(),
            Err(error) => {
                let path = self.path.display();
                tracing::warn!(%path, %error, "not readable: no guest's link is good any more");
                Registry::default()
            }
        }
    }

    fn read(&self) -> io::Result<Option<File>> {
        let length = match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            metadata => metadata?.len(),
        };
        let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
        if length > LARGEST_FILE {
            return Err(invalid(format!("{length} bytes")));
        }
        let text = fs::read_to_string(&self.path)?;
        // The reader's message alone: the whole error quotes the line.
        let file = toml::from_str(&text).map_err(|error| invalid(error.message().to_owned()))?;
        Ok(Some(file))
    }

    fn save(&self, registry: &Registry) -> Result<(), String> {
        let text = toml::to_string(&File::from(registry)).map_err(|error| error.to_string())?;
        config::write_atomically(&self.path, text.as_bytes()).map_err(|error| error.to_string())
    }

    pub(super) async fn save_off_thread(&self, registry: Registry) -> Result<(), String> {
        let store = self.clone();
        match tokio::task::spawn_blocking(move || store.save(&registry)).await {
            Ok(saved) => saved,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::token::Token;
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn digest() -> TokenDigest {
        Token::generate().unwrap().digest()
    }

    #[test]
    fn what_is_good_at_the_next_start_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let store = GuestStore::new(directory.path());
        let now = SystemTime::UNIX_EPOCH + 1000 * HOUR;
        let mut registry = store.load(now);
        let (long, short, cookie) = (digest(), digest(), digest());
        let label = Some("第一会议室 \"board\"".to_owned());
        let kept = registry.invite(long, label.clone(), Admit::Automatically, 3 * HOUR, now);
        registry.invite(short, None, Admit::Ask, HOUR, now).unwrap();
        let nobody = |_| false;
        let opened = registry.open_session(&long, cookie, "王小明".into(), 4, nobody, now);
        let guest = opened.unwrap().0.guest;
        registry.set_standing(guest, Standing::SentAway);
        registry
            .open_session(&short, digest(), "Anna".into(), 4, nobody, now)
            .unwrap();
        store.save(&registry).unwrap();

        let registry = store.load(now + 2 * HOUR);
        let [invitation] = registry.invitations.as_slice() else {
            panic!("one link has expired");
        };
        assert_eq!(
            (invitation.id, &invitation.label),
            (kept.unwrap().id, &label)
        );
        assert_eq!(invitation.admit, Admit::Automatically);
        assert_eq!(invitation.expires_at, now + 3 * HOUR);
        let [session] = registry.sessions.as_slice() else {
            panic!("its session went with it");
        };
        assert_eq!((session.guest, session.name.as_str()), (guest, "王小明"));
        assert_eq!(session.standing, Standing::SentAway);
        assert!(registry.session_of(&cookie, now + 2 * HOUR).is_some());
        assert_eq!(registry.next_guest, 3, "no number is given twice");
    }

    #[test]
    fn a_damaged_file_leaves_no_link_good_and_is_never_fatal() {
        let directory = tempfile::tempdir().unwrap();
        let store = GuestStore::new(directory.path());
        let path = directory.path().join(FILE_NAME);
        let head = "meeting = 1\nnext_invitation = 2\nnext_guest = 2\n";
        let huge = "#".repeat(usize::try_from(LARGEST_FILE).unwrap() + 1);
        let bad_digest = format!(
            "{head}[[invitation]]\nid = 1\ntoken_sha256 = \"zz\"\nadmit = \"ask\"\ncreated_at = 1\n\
             expires_at = 99999999999\n"
        );
        for text in [
            "",
            "meeting",
            &huge,
            &bad_digest,
            &format!("{head}surprise = 1\n"),
        ] {
            fs::write(&path, text).unwrap();
            assert!(store.load(SystemTime::now()).invitations.is_empty());
        }
        fs::write(&path, b"\xff\xfe").unwrap();
        assert!(store.load(SystemTime::now()).invitations.is_empty());
    }
}
