//! Configuring and compiling the kernel.
//!
//! All happens in a folder that gets its final name when everything is in it. A build that was
//! interrupted goes on where it was.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::source::{self, Package};
use crate::language::Language;
use crate::process;

/// How many lines make prints, a line for each file: to say how far it is. A wrong number does no harm.
const LINES: usize = 1_500;

/// Builds a kernel of these options in `built`, which comes into being at the end.
pub(super) fn build(
    language: Language,
    cache: &Path,
    package: &Package,
    options: &Path,
    built: &Path,
) -> Result<()> {
    announce(language, package);
    let mut name = built
        .file_name()
        .context("a folder with a name")?
        .to_owned();
    name.push(".building");
    let building = cache.join(name);
    remove_other_builds(cache, &building)?;
    let tree = building.join("source");
    if !tree.exists() {
        remove(&building)?;
        fs::create_dir(&building)
            .with_context(|| format!("cannot create {}", building.display()))?;
        let unpacked = source::unpack(cache, &building)?;
        fs::rename(&unpacked, &tree)
            .with_context(|| format!("cannot rename {}", unpacked.display()))?;
    }
    configure(language, &tree, options)?;
    compile(language, &tree, &building.join("build.log"))?;
    let result = building.join("result");
    remove(&result)?;
    fs::create_dir(&result).with_context(|| format!("cannot create {}", result.display()))?;
    for (file, name) in [("linux", "linux"), (".config", "config")] {
        fs::copy(tree.join(file), result.join(name))
            .with_context(|| format!("the build has made no {file}"))?;
    }
    fs::rename(&result, built).with_context(|| format!("cannot create {}", built.display()))?;
    remove(&building)?;
    remove(&cache.join("apt"))
}

fn announce(language: Language, package: &Package) {
    let megabytes = package.bytes / 1_000_000;
    match language {
        Language::English => println!(
            "Building the kernel of the device lab from Debian's linux-source {}: {megabytes} MB to \
             download, 2 GB of disk meanwhile and 10 MB afterwards, about 4 minutes on two processor \
             cores. It is kept in the cache.",
            package.version
        ),
        Language::Chinese => println!(
            "正在用 Debian 的 linux-source {} 编译设备实验室的内核：下载 {megabytes} MB，\
             编译期间占用磁盘 2 GB，之后 10 MB，双核约需 4 分钟。结果保存在缓存中。",
            package.version
        ),
    }
}

/// Builds of other options or versions that were interrupted will not go on.
fn remove_other_builds(cache: &Path, ours: &Path) -> Result<()> {
    for entry in fs::read_dir(cache).with_context(|| format!("cannot read {}", cache.display()))? {
        let path = entry?.path();
        if path != ours
            && path
                .extension()
                .is_some_and(|extension| extension == "building")
        {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// make for this kernel, at the lowest priority and without what Cargo or a shell has set for others.
fn make(tree: &Path) -> Command {
    let mut command = Command::new("nice");
    command
        .current_dir(tree)
        .args(["-n", "19", "make", "ARCH=um"])
        .env("LC_ALL", "C");
    for name in [
        "MAKEFLAGS",
        "MFLAGS",
        "CROSS_COMPILE",
        "SUBARCH",
        "KBUILD_OUTPUT",
    ] {
        command.env_remove(name);
    }
    command
}

fn configure(language: Language, tree: &Path, options: &Path) -> Result<()> {
    let mut wanted = std::ffi::OsString::from("KCONFIG_ALLCONFIG=");
    wanted.push(options);
    process::run(make(tree).arg("--silent").arg(wanted).arg("allnoconfig"))?;
    let read = |path: &Path| {
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let (wanted, got) = (read(options)?, read(&tree.join(".config"))?);
    let dropped = dropped(&wanted, &got);
    if !dropped.is_empty() {
        bail!(
            "{} {}",
            language.choose(
                "options of tests/device-lab/kernel.config are not in the kernel; something that they \
                 depend on may be missing:",
                "tests/device-lab/kernel.config 中的下列选项未进入内核，可能缺少其依赖项：",
            ),
            dropped.join(" ")
        );
    }
    Ok(())
}

/// Those of the wanted options that the kernel's own rules have changed.
fn dropped<'a>(wanted: &'a str, got: &str) -> Vec<&'a str> {
    let got: Vec<&str> = got.lines().collect();
    wanted
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("CONFIG_") && !got.contains(line))
        .collect()
}

fn compile(language: Language, tree: &Path, log: &Path) -> Result<()> {
    let failed = || format!("cannot write {}", log.display());
    let mut record = fs::File::create(log).with_context(failed)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut child = make(tree)
        .arg(format!("-j{cores}"))
        .arg("linux")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // Warnings of the kernel's own code.
        .stderr(record.try_clone().with_context(failed)?)
        .spawn()
        .context("cannot start make")?;
    let printed = child.stdout.take().expect("standard output is a pipe");
    let started = Instant::now();
    let mut tenths = 0;
    for (number, line) in BufReader::new(printed).lines().enumerate() {
        writeln!(record, "{}", line?).with_context(failed)?;
        // The last tenth is never said to be done: the number of lines is a guess.
        let reached = ((number + 1) * 10 / LINES).min(9);
        if reached > tenths {
            tenths = reached;
            let minutes = started.elapsed().as_secs_f64() / 60.0;
            println!(
                "{}",
                match language {
                    Language::English =>
                        format!("  kernel: {tenths}0 % compiled after {minutes:.1} minutes"),
                    Language::Chinese => format!("  内核：{minutes:.1} 分钟，已编译 {tenths}0 %"),
                }
            );
        }
    }
    let status = child.wait()?;
    if !status.success() {
        let text = fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let end = lines.len().saturating_sub(30);
        bail!(
            "make ended with {status}; all that it said is in {}, and this is the end:\n{}",
            log.display(),
            lines[end..].join("\n")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::dropped;

    #[test]
    fn an_option_that_the_kernel_s_rules_drop_or_change_is_named() {
        let wanted = "# Cameras.\nCONFIG_FB=y\nCONFIG_USB=y\n\nCONFIG_VIDEO_VIVID=y\n";
        let got = "CONFIG_FB=y\nCONFIG_USB=m\n# CONFIG_VIDEO_VIVID is not set\n";
        assert_eq!(
            dropped(wanted, got),
            ["CONFIG_USB=y", "CONFIG_VIDEO_VIVID=y"]
        );
    }

    #[test]
    fn the_begin_of_another_option_is_not_the_option() {
        let got = "CONFIG_FB_IOMEM_HELPERS=y\nCONFIG_FB=yes\n";
        assert_eq!(dropped("CONFIG_FB=y\n", got), ["CONFIG_FB=y"]);
        assert!(dropped("CONFIG_FB=y\n", "CONFIG_FB=y\n").is_empty());
    }
}
