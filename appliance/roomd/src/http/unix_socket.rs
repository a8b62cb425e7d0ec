//! The Unix socket: how it is made, and who may use it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use tokio::net::unix::UCred;
use tokio::net::{UnixListener, UnixStream};

use super::ServeError;

/// The superuser's id.
const ROOT: u32 = 0;

/// The bound socket with the rule of who may use it.
///
/// The file's mode (0660) keeps others out already; the peer's credentials are checked as well, in
/// case that somebody loosens the mode.
#[derive(Debug)]
pub(super) struct UnixSocket {
    listener: UnixListener,
    users: Users,
}

/// Who may use the socket: the service's own user, root, and the members of a group.
#[derive(Clone, Copy, Debug)]
struct Users {
    own_user: u32,
    group: Option<u32>,
}

/// Who has connected, as the kernel says.
#[derive(Clone, Copy, Debug)]
struct Peer {
    user: u32,
    /// The group that the process acts as.
    group: u32,
    /// `None` where the kernel does not tell.
    process: Option<i32>,
}

impl Users {
    /// `is_member` tells whether a process has a group besides its first.
    fn admit(self, peer: Peer, is_member: impl Fn(i32, u32) -> bool) -> bool {
        peer.user == self.own_user
            || peer.user == ROOT
            || self.group.is_some_and(|group| {
                peer.group == group
                    || peer
                        .process
                        .is_some_and(|process| is_member(process, group))
            })
    }
}

impl From<UCred> for Peer {
    fn from(credentials: UCred) -> Self {
        Self {
            user: credentials.uid(),
            group: credentials.gid(),
            process: credentials.pid(),
        }
    }
}

impl UnixSocket {
    /// Makes the socket, replacing one that nobody serves any more.
    pub(super) async fn bind(path: &Path, group: Option<&str>) -> Result<Self, ServeError> {
        if UnixStream::connect(path).await.is_ok() {
            return Err(ServeError::SocketInUse {
                path: path.to_owned(),
            });
        }
        let group = group.map(group_id).transpose()?;
        Self::bind_free(path, group).map_err(|source| ServeError::Socket {
            path: path.to_owned(),
            source,
        })
    }

    fn bind_free(path: &Path, group: Option<u32>) -> io::Result<Self> {
        if let Some(directory) = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            fs::create_dir_all(directory)?;
        }
        // Under another name until its mode is right: nobody connects in between.
        let unready = unready_name(path);
        remove_if_there(&unready)?;
        let listener = UnixListener::bind(&unready)?;
        if group.is_some() {
            chown(&unready, None, group)?;
        }
        fs::set_permissions(&unready, Permissions::from_mode(0o660))?;
        let own_user = fs::symlink_metadata(&unready)?.uid();
        fs::rename(&unready, path)?;
        let users = Users { own_user, group };
        Ok(Self { listener, users })
    }

    /// Waits for the next connection. `Ok(None)` is one that was refused.
    pub(super) async fn accept(&self) -> io::Result<Option<UnixStream>> {
        let (stream, _) = self.listener.accept().await?;
        let peer = Peer::from(stream.peer_cred()?);
        if self.users.admit(peer, has_supplementary_group) {
            tracing::debug!(?peer, "API client connected");
            return Ok(Some(stream));
        }
        tracing::warn!(?peer, "API client refused");
        Ok(None)
    }
}

fn unready_name(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The id of a group in `/etc/group`: `NAME:PASSWORD:ID:MEMBERS`.
fn group_id(name: &str) -> Result<u32, ServeError> {
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    id_of_group(&groups, name).ok_or_else(|| ServeError::UnknownGroup {
        group: name.to_owned(),
    })
}

fn id_of_group(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name))
            .then(|| fields.nth(1)?.parse().ok())
            .flatten()
    })
}

/// Whether a process has a group besides its first, as its `/proc` entry says.
fn has_supplementary_group(pid: i32, group: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let groups = status.lines().find_map(|line| line.strip_prefix("Groups:"));
    groups.is_some_and(|groups| groups.split_whitespace().any(|id| id.parse() == Ok(group)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_by_its_whole_name() {
        let groups = "root:x:0:\nroom-users:x:998:ann,bob\nroom:x:997:\nbroken:x\n";
        assert_eq!(id_of_group(groups, "room"), Some(997));
        assert_eq!(id_of_group(groups, "room-users"), Some(998));
        assert_eq!(id_of_group(groups, "broken"), None);
        assert_eq!(id_of_group(groups, "ro"), None);
    }

    #[test]
    fn owner_root_and_the_groups_members_are_admitted_and_nobody_else() {
        const OWNER: u32 = 900;
        const STRANGER: u32 = 1_000;
        const ROOM_GROUP: u32 = 997;
        const OTHER_GROUP: u32 = 100;
        /// Has the room's group besides its first.
        const MEMBER: Option<i32> = Some(41);
        const NO_MEMBER: Option<i32> = Some(42);
        let is_member = |process, group| Some(process) == MEMBER && group == ROOM_GROUP;
        let grouped = Some(ROOM_GROUP);
        for (who, configured, user, group, process, admitted) in [
            ("owner", None, OWNER, OTHER_GROUP, NO_MEMBER, true),
            ("root", None, 0, OTHER_GROUP, NO_MEMBER, true),
            (
                "root's group is not root",
                None,
                STRANGER,
                0,
                NO_MEMBER,
                false,
            ),
            (
                "first group",
                grouped,
                STRANGER,
                ROOM_GROUP,
                NO_MEMBER,
                true,
            ),
            (
                "further group",
                grouped,
                STRANGER,
                OTHER_GROUP,
                MEMBER,
                true,
            ),
            (
                "no group configured",
                None,
                STRANGER,
                ROOM_GROUP,
                MEMBER,
                false,
            ),
            ("stranger", grouped, STRANGER, OTHER_GROUP, NO_MEMBER, false),
            (
                "unknown process",
                grouped,
                STRANGER,
                OTHER_GROUP,
                None,
                false,
            ),
        ] {
            let users = Users {
                own_user: OWNER,
                group: configured,
            };
            let peer = Peer {
                user,
                group,
                process,
            };
            assert_eq!(users.admit(peer, is_member), admitted, "{who}");
        }
    }

    #[test]
    fn a_process_that_is_gone_has_no_group() {
        assert!(!has_supplementary_group(i32::MAX, 0));
    }
}
