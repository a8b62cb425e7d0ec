//! `cargo xtask device-lab`: the kernel that the device tests run on, and those tests.
//!
//! It is a User-Mode Linux kernel, an ordinary program, built once from Debian's source package and
//! kept in the cache in a folder that is named after the package's version and what the kernel is
//! made of (`tests/device-lab/kernel.config`). One that was built of the same stays good when Debian
//! has a newer one: whoever wants that deletes the folder.

mod build;
mod source;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::language::Language;
use crate::setup::{self, Purpose};
use crate::test_count::TestCount;
use crate::{cache, test_count, tools};

/// What came of the wish for a kernel.
pub(crate) enum Kernel {
    /// It is linked to where the tests look for it.
    Ready,
    /// This machine cannot have one, for this reason.
    Unavailable(String),
}

/// Builds the kernel unless it is there, and puts it where the tests look for it.
pub(crate) fn run(language: Language) -> Result<()> {
    match kernel(language)? {
        Kernel::Ready => {
            println!(
                "{}",
                language.choose(
                    "The device lab is ready: cargo xtask test --lane device-lab",
                    "设备实验室已就绪：cargo xtask test --lane device-lab",
                )
            );
            Ok(())
        }
        Kernel::Unavailable(reason) => bail!(reason),
    }
}

/// Runs the tests of the lab, whose kernel is there.
pub(crate) fn test(language: Language) -> Result<TestCount> {
    test_count::count_nextest(
        Command::new(tools::nextest(language)?)
            .current_dir(cache::checkout())
            .args(["nextest", "run", "--package", "device-lab", "--locked"])
            .args(["--profile", "ci", "--run-ignored", "all"]),
    )
}

/// The kernel, built unless it is in the cache.
///
/// # Errors
/// When it should be possible to build it here, and went wrong.
pub(crate) fn kernel(language: Language) -> Result<Kernel> {
    if std::env::consts::ARCH != "x86_64" {
        return Ok(Kernel::Unavailable(
            language
                .choose(
                    "User-Mode Linux runs on x86_64 only",
                    "用户模式 Linux 只能在 x86_64 上运行",
                )
                .into(),
        ));
    }
    setup::prepare(language, &[Purpose::Build, Purpose::DeviceLab])?;
    let options_file = cache::checkout().join("tests/device-lab/kernel.config");
    let options = fs::read_to_string(&options_file)
        .with_context(|| format!("cannot read {}", options_file.display()))?;
    let folder = cache::directory()?.join("device-lab");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let _alone = lock(language, &folder.join("lock"))?;
    let built = match newest_of(&folder, &options)? {
        Some(built) => built,
        None => match source::find(language, &folder)? {
            source::Found::Package(package) => {
                let built = folder.join(folder_name(&package.version, &options));
                build::build(language, &folder, &package, &options_file, &built)?;
                built
            }
            source::Found::Nothing(reason) => return Ok(Kernel::Unavailable(reason)),
        },
    };
    link(&built.join("linux"))?;
    Ok(Kernel::Ready)
}

/// Two runs at once would build in the same folder: the second one waits for the first.
fn lock(language: Language, path: &Path) -> Result<File> {
    let failed = || format!("cannot lock {}", path.display());
    let file = File::create(path).with_context(failed)?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(fs::TryLockError::WouldBlock) => {}
        Err(fs::TryLockError::Error(error)) => return Err(error).with_context(failed),
    }
    println!(
        "{}",
        language.choose(
            "Another run is building the device lab's kernel; waiting for it ...",
            "另一个任务正在编译设备实验室的内核，等待其完成……",
        )
    );
    file.lock().with_context(failed)?;
    Ok(file)
}

/// The name of a kernel's folder: the package's version, and a hash of it and the options.
fn folder_name(version: &str, options: &str) -> String {
    // FNV-1a: the same in every release of Rust, and nobody gains anything by a collision.
    let hash = [version, "\n", options]
        .iter()
        .flat_map(|part| part.bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    // An epoch's colon would stand in search paths.
    format!("kernel-{}-{hash:016x}", version.replace(':', "_"))
}

/// The folder of the kernel that was last built of these options, of any version.
fn newest_of(folder: &Path, options: &str) -> Result<Option<PathBuf>> {
    let mut newest = None;
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !is_built_of(&name, options) {
            continue;
        }
        // A folder gets this name when all is in it.
        let built = entry.metadata()?.modified()?;
        if newest.as_ref().is_none_or(|(time, _)| *time < built) {
            newest = Some((built, entry.path()));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

fn is_built_of(name: &str, options: &str) -> bool {
    let version = name
        .strip_prefix("kernel-")
        .and_then(|rest| rest.rsplit_once('-'))
        .map(|(version, _)| version.replace('_', ":"));
    version.is_some_and(|version| folder_name(&version, options) == name)
}

/// Puts the kernel beside what Cargo builds, where the tests look for it.
fn link(kernel: &Path) -> Result<()> {
    let folder = cache::target_directory().join("device-lab");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let link = folder.join("linux");
    match fs::remove_file(&link) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).with_context(|| format!("cannot replace {}", link.display()));
        }
    }
    std::os::unix::fs::symlink(kernel, &link)
        .with_context(|| format!("cannot create {}", link.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{folder_name, is_built_of, newest_of};

    #[test]
    fn a_kernel_of_any_version_is_good_as_long_as_it_has_the_same_options() {
        for version in ["6.12.117-1", "1:6.12.117-1", "6.12~rc1-1~exp1"] {
            let name = folder_name(version, "CONFIG_FB=y\n");
            assert!(is_built_of(&name, "CONFIG_FB=y\n"), "{name}");
            assert!(!is_built_of(&name, "CONFIG_FB=y\nCONFIG_USB=y\n"), "{name}");
        }
    }

    #[test]
    fn what_is_no_finished_kernel_is_none() {
        let options = "CONFIG_FB=y\n";
        let unfinished = format!("{}.building", folder_name("6.12.117-1", options));
        for name in ["lock", "apt", "kernel-", "kernel-6.12", &unfinished] {
            assert!(!is_built_of(name, options), "{name}");
        }
    }

    #[test]
    fn the_kernel_that_was_built_last_is_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let options = "CONFIG_FB=y\n";
        assert_eq!(newest_of(folder.path(), options).expect("it is read"), None);
        let mut built = Vec::new();
        for (version, age) in [("6.12.9-1", 0), ("6.12.10-1", 60)] {
            let path = folder.path().join(folder_name(version, options));
            fs::create_dir(&path).expect("a folder");
            let time = std::time::SystemTime::now() - std::time::Duration::from_secs(age);
            let file = fs::File::open(&path).expect("it is there");
            file.set_modified(time).expect("it is ours");
            built.push(path);
        }
        let newest = newest_of(folder.path(), options).expect("it is read");
        assert_eq!(newest.as_ref(), built.first());
    }
}
