//! The Unix socket: how it is made, and who may use it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use tokio::net::unix::UCred;
use tokio::net::{UnixListener, UnixStream};

use super::ServeError;

/// The bound socket with the rule of who may use it.
///
/// The file's mode (0660) keeps others out already; the peer's credentials are checked as well, in
/// case that somebody loosens the mode.
#[derive(Debug)]
pub(super) struct UnixSocket {
    listener: UnixListener,
    own_user: u32,
    group: Option<u32>,
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
        Ok(Self {
            listener,
            own_user,
            group,
        })
    }

    /// Waits for the next connection. `Ok(None)` is one that was refused.
    pub(super) async fn accept(&self) -> io::Result<Option<UnixStream>> {
        let (stream, _) = self.listener.accept().await?;
        let peer = stream.peer_cred()?;
        if self.may_use(&peer) {
            tracing::debug!(uid = peer.uid(), pid = peer.pid(), "API client connected");
            return Ok(Some(stream));
        }
        tracing::warn!(uid = peer.uid(), pid = peer.pid(), "API client refused");
        Ok(None)
    }

    /// The service's own user, root, and the configured group's members.
    fn may_use(&self, peer: &UCred) -> bool {
        peer.uid() == self.own_user
            || peer.uid() == 0
            || self.group.is_some_and(|group| {
                peer.gid() == group
                    || peer
                        .pid()
                        .is_some_and(|pid| has_supplementary_group(pid, group))
            })
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
    fn a_process_that_is_gone_has_no_group() {
        assert!(!has_supplementary_group(i32::MAX, 0));
    }
}
