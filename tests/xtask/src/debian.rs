//! Debian packages: which are installed, how large the missing ones are, and installing them.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::language::Language;
use crate::process;

/// Those of `packages` that are not installed, in the same order.
pub(crate) fn missing<'a>(language: Language, packages: &[&'a str]) -> Result<Vec<&'a str>> {
    if process::find_on_path("dpkg-query").is_none() || process::find_on_path("apt-get").is_none() {
        bail!(
            "{}{}",
            language.choose(
                "this is no Debian system: install the counterparts of ",
                "本机不是 Debian 系统：请安装与下列软件包对应的软件：",
            ),
            packages.join(" ")
        );
    }
    // It ends with an error when one of them is unknown, and lists the others all the same.
    let output = Command::new("dpkg-query")
        .args([
            "--show",
            "--showformat",
            "${Package} ${db:Status-Status}\\n",
        ])
        .args(packages)
        .output()
        .context("cannot start dpkg-query")?;
    let listing = String::from_utf8_lossy(&output.stdout);
    Ok(not_listed_as_installed(packages, &listing))
}

fn not_listed_as_installed<'a>(packages: &[&'a str], listing: &str) -> Vec<&'a str> {
    let installed: Vec<&str> = listing
        .lines()
        .filter_map(|line| line.strip_suffix(" installed"))
        .collect();
    packages
        .iter()
        .copied()
        .filter(|package| !installed.contains(package))
        .collect()
}

/// How much an installation downloads and occupies, in apt's own words ("327 MB").
#[derive(Debug, PartialEq, Eq)]
struct Size {
    download: String,
    on_disk: String,
}

/// Says what will be installed and how much that is, then installs it, with sudo unless we are
/// root.
pub(crate) fn install(language: Language, packages: &[&str]) -> Result<()> {
    let mut update = as_root(language, "apt-get")?;
    process::run(update.args(["update", "--quiet"]))?;
    announce(language, packages)?;
    let mut install = as_root(language, "apt-get")?;
    install.env("DEBIAN_FRONTEND", "noninteractive");
    process::run(
        install
            .args(["install", "--yes", "--quiet", "--no-install-recommends"])
            .args(packages),
    )
}

fn announce(language: Language, packages: &[&str]) -> Result<()> {
    let simulation = process::output_of(
        Command::new("apt-get")
            .env("LC_ALL", "C")
            .args([
                "install",
                "--print-uris",
                "--yes",
                "--no-install-recommends",
            ])
            .args(packages),
    )?;
    println!(
        "\n{}",
        language.choose("Debian packages to install:", "需要安装的 Debian 软件包：")
    );
    println!("  {}", packages.join(" "));
    if let Some(size) = size_of(&simulation) {
        match language {
            Language::English => println!(
                "  with what they depend on: {} to download, {} on disk\n",
                size.download, size.on_disk
            ),
            Language::Chinese => {
                println!(
                    "  连同依赖：下载 {}，占用磁盘 {}\n",
                    size.download, size.on_disk
                );
            }
        }
    }
    Ok(())
}

/// Reads apt's two sentences about size; `None` when apt worded them otherwise.
fn size_of(simulation: &str) -> Option<Size> {
    let between = |prefix: &str, suffix: &str| {
        simulation.lines().find_map(|line| {
            let rest = line.strip_prefix(prefix)?;
            let end = rest.find(suffix)?;
            Some(rest[..end].to_owned())
        })
    };
    let download = between("Need to get ", " of archives")?;
    Some(Size {
        // "12 MB/327 MB" where a part is in apt's cache already.
        download: download.split('/').next()?.to_owned(),
        on_disk: between("After this operation, ", " of additional disk space")?,
    })
}

/// The command, run by root: through sudo unless we are root already.
fn as_root(language: Language, program: &str) -> Result<Command> {
    let user = process::output_of(Command::new("id").arg("-u"))?;
    if user.trim() == "0" {
        return Ok(Command::new(program));
    }
    if process::find_on_path("sudo").is_none() {
        bail!(
            "{}",
            language.choose(
                "installing packages needs root: run this as root, or install sudo",
                "安装软件包需要 root 权限：请以 root 运行，或先安装 sudo",
            )
        );
    }
    let mut command = Command::new("sudo");
    // sudo drops the environment; apt must not stop to ask questions.
    command.args(["DEBIAN_FRONTEND=noninteractive", program]);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::{Size, not_listed_as_installed, size_of};

    #[test]
    fn a_removed_package_with_leftover_configuration_counts_as_missing() {
        let listing = "gcc installed\nkamailio config-files\n";
        assert_eq!(
            not_listed_as_installed(&["gcc", "kamailio"], listing),
            ["kamailio"]
        );
    }

    #[test]
    fn a_package_that_dpkg_does_not_know_counts_as_missing() {
        assert_eq!(
            not_listed_as_installed(&["baresip-core"], ""),
            ["baresip-core"]
        );
    }

    #[test]
    fn the_size_is_read_from_what_apt_says() {
        let simulation = "0 upgraded, 3 newly installed, 0 to remove and 113 not upgraded.\n\
            Need to get 1,254 kB of archives.\n\
            After this operation, 5,678 kB of additional disk space will be used.\n";
        assert_eq!(
            size_of(simulation),
            Some(Size {
                download: "1,254 kB".into(),
                on_disk: "5,678 kB".into()
            })
        );
    }

    #[test]
    fn what_apt_has_in_its_cache_is_not_downloaded_again() {
        let simulation = "Need to get 12 MB/327 MB of archives.\n\
            After this operation, 1,370 MB of additional disk space will be used.\n";
        assert_eq!(
            size_of(simulation).map(|size| size.download),
            Some("12 MB".into())
        );
    }

    #[test]
    fn an_unknown_wording_gives_no_size() {
        assert_eq!(size_of("Reading package lists...\n"), None);
    }
}
