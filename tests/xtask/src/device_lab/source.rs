//! The kernel's source: a package of Debian 13, which is downloaded and never installed.
//!
//! It comes by apt from the mirror that this machine has its own packages from, so that its proxies and
//! passwords hold, and through apt's check of signatures. What apt keeps for that lies in the cache;
//! the machine's own lists are not touched.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::language::Language;
use crate::process;

const PACKAGE: &str = "linux-source-6.12";
const SUITE: &str = "trixie";
/// Signs all of Debian; a package of that name, which every Debian has.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Whether there is a source.
pub(super) enum Found {
    /// There is.
    Package(Package),
    /// There is none for this machine, for this reason.
    Nothing(String),
}

/// The package as the mirror has it now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Package {
    /// Its version.
    pub(super) version: String,
    /// How much there is to download.
    pub(super) bytes: u64,
}

/// Asks the mirror for the package.
pub(super) fn find(language: Language, cache: &Path) -> Result<Found> {
    let listing = process::output_of(Command::new("apt-get").args(["update", "--print-uris"]))?;
    let Some(mirror) = debian_mirror(&listing) else {
        return Ok(Found::Nothing(
            language
                .choose(
                    "no mirror of Debian is among this machine's apt sources",
                    "本机的 apt 软件源中没有 Debian 镜像",
                )
                .into(),
        ));
    };
    let apt = AptFolder(cache.join("apt"));
    apt.prepare(mirror)?;
    println!(
        "{}",
        language.choose(
            "Asking the mirror for Debian 13's kernel source: 10 MB to download ...",
            "正在向镜像查询 Debian 13 的内核源码：下载 10 MB……",
        )
    );
    let asked = process::run(apt.get().args(["update", "--quiet", "--error-on=any"]))
        .and_then(|()| process::output_of(apt.get().args(["download", "--print-uris", PACKAGE])));
    let Ok(uris) = asked else {
        return Ok(Found::Nothing(
            language
                .choose(
                    "the mirror of Debian gives no kernel source; apt has said above why",
                    "Debian 镜像未提供内核源码，原因见上方 apt 的输出",
                )
                .into(),
        ));
    };
    match package_in(&uris) {
        Some(package) => Ok(Found::Package(package)),
        None => bail!("apt told no version of {PACKAGE}: {uris}"),
    }
}

/// Downloads the package into the folder and unpacks it. Returns the source's top folder.
pub(super) fn unpack(cache: &Path, folder: &Path) -> Result<PathBuf> {
    let apt = AptFolder(cache.join("apt"));
    process::run(
        apt.get()
            .current_dir(folder)
            .args(["download", "--quiet", PACKAGE]),
    )?;
    let package = fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .filter_map(std::io::Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .with_context(|| format!("apt put no package into {}", folder.display()))?;
    let content = folder.join("package");
    process::run(
        Command::new("dpkg-deb")
            .arg("--extract")
            .arg(&package)
            .arg(&content),
    )?;
    process::run(
        Command::new("nice")
            .args(["-n", "19", "tar", "--extract", "--file"])
            .arg(content.join(format!("usr/src/{PACKAGE}.tar.xz")))
            .arg("--directory")
            .arg(folder),
    )?;
    Ok(folder.join(PACKAGE))
}

/// Where apt keeps what belongs to this source alone.
struct AptFolder(PathBuf);

impl AptFolder {
    fn prepare(&self, mirror: &str) -> Result<()> {
        for part in ["lists/partial", "cache/archives/partial"] {
            let path = self.0.join(part);
            fs::create_dir_all(&path)
                .with_context(|| format!("cannot create {}", path.display()))?;
        }
        let line = format!("deb [target=Packages signed-by={KEYRING}] {mirror} {SUITE} main\n");
        let list = self.0.join("sources.list");
        let write = || {
            // The mirror's address may hold a password.
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            options.open(&list)?.write_all(line.as_bytes())
        };
        write().with_context(|| format!("cannot write {}", list.display()))
    }

    /// apt with this one source, which has to be signed, whatever this machine allows others. Its other settings are
    /// the machine's.
    fn get(&self) -> Command {
        let mut command = Command::new("apt-get");
        let mut set = |name: &str, value: &Path| {
            command.arg("-o").arg(format!("{name}={}", value.display()));
        };
        set("Dir::State::Lists", &self.0.join("lists"));
        set("Dir::Cache", &self.0.join("cache"));
        set("Dir::Etc::SourceList", &self.0.join("sources.list"));
        set("Dir::Etc::SourceParts", Path::new("/dev/null"));
        set("Dir::Etc::Preferences", Path::new("/dev/null"));
        set("Dir::Etc::PreferencesParts", Path::new("/dev/null"));
        for allowed in [
            "Acquire::AllowInsecureRepositories",
            "Acquire::AllowWeakRepositories",
            "Acquire::AllowDowngradeToInsecureRepositories",
            "APT::Get::AllowUnauthenticated",
        ] {
            command.arg("-o").arg(format!("{allowed}=false"));
        }
        // The cache is this user's, and apt's own user has no right there.
        command.args(["-o", "APT::Sandbox::User=", "-o", "Acquire::Languages=none"]);
        command
    }
}

/// The mirror of Debian itself among what `apt-get update --print-uris` would fetch:
/// `'http://mirror.example/debian/dists/bookworm/InRelease' mirror.example_... 0`.
fn debian_mirror(listing: &str) -> Option<&str> {
    listing.lines().find_map(|line| {
        let (uri, _) = line.strip_prefix('\'')?.split_once('\'')?;
        let (mirror, suite) = uri.strip_suffix("/InRelease")?.split_once("/dists/")?;
        // Not Debian's security archive, and nobody else's.
        let is_debian = mirror.ends_with("/debian") || mirror.ends_with("/ftp.debian.org");
        (is_debian && !suite.contains('/')).then_some(mirror)
    })
}

/// Reads `'http://.../linux-source-6.12_6.12.117-1_all.deb' NAME_VERSION_all.deb 153474904 SHA256:...`.
fn package_in(uris: &str) -> Option<Package> {
    uris.lines().find_map(|line| {
        let mut words = line.strip_prefix('\'')?.split_once("' ")?.1.split(' ');
        let (file, bytes) = (words.next()?, words.next()?);
        let version = file.strip_prefix(PACKAGE)?.strip_prefix('_')?;
        Some(Package {
            // apt writes an epoch's colon as %3a.
            version: version.strip_suffix("_all.deb")?.replace("%3a", ":"),
            bytes: bytes.parse().ok()?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{Package, debian_mirror, package_in};

    #[test]
    fn the_mirror_is_that_of_debian_and_no_other() {
        let listing = "\
'https://packages.example/apt/dists/stable/InRelease' packages.example_InRelease 0 \n\
'http://mirror.example/debian-security/dists/bookworm-security/InRelease' x 0 \n\
'http://mirror.example/debian/dists/bookworm/InRelease' x 0 \n\
'http://mirror.example/debian/dists/bookworm/main/binary-amd64/Packages.xz' x 0 \n";
        assert_eq!(debian_mirror(listing), Some("http://mirror.example/debian"));
        assert_eq!(debian_mirror(""), None);
        let other = "'http://archive.example/ubuntu/dists/noble/InRelease' x 0\n";
        assert_eq!(debian_mirror(other), None);
    }

    #[test]
    fn version_and_size_are_read_from_what_apt_says() {
        let uris = "'http://mirror.example/debian/pool/main/l/linux/\
            linux-source-6.12_6.12.117-1_all.deb' linux-source-6.12_6.12.117-1_all.deb 153474904 \
            SHA256:9141325315c7\n";
        assert_eq!(
            package_in(uris),
            Some(Package {
                version: "6.12.117-1".into(),
                bytes: 153_474_904
            })
        );
    }

    #[test]
    fn a_package_that_is_not_the_kernel_s_is_none() {
        for uris in [
            "",
            "'x' linux-doc_1_all.deb 1 SHA256:0",
            "E: no packages found",
        ] {
            assert_eq!(package_in(uris), None, "{uris}");
        }
    }
}
