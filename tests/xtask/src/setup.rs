//! What each purpose needs from Debian, and installing what is missing of it.
//!
//! The names hold on Debian 12 and 13 alike. A compiler is not the first thing that is missing:
//! `.cargo/linker` has seen to gcc and libc6-dev before this code could be linked.

use anyhow::Result;

use crate::language::Language;
use crate::{debian, process};

/// What a machine is to be made ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Building roomd and its tools.
    Build,
    /// Running roomd: the GStreamer elements that its graph is made of.
    Run,
    /// The demo: a voice for its microphones.
    Demo,
    /// The tests: peers that others wrote, real recordings, tools.
    Test,
    /// The device lab: building a kernel, and what its drivers are compared by.
    DeviceLab,
}

impl Purpose {
    fn packages(self) -> &'static [&'static str] {
        match self {
            // cc and libc for linking and for aws-lc, which needs neither CMake nor Go here; make for
            // jemalloc.
            Self::Build => &[
                "gcc",
                "libc6-dev",
                "make",
                "pkg-config",
                "libgstreamer1.0-dev",
                "libgstreamer-plugins-base1.0-dev",
            ],
            Self::Run => &[
                "gstreamer1.0-alsa",
                "gstreamer1.0-gl",
                "gstreamer1.0-libav",
                "gstreamer1.0-plugins-bad",
                "gstreamer1.0-plugins-base",
                "gstreamer1.0-plugins-good",
                "gstreamer1.0-plugins-ugly",
                "gstreamer1.0-x",
            ],
            Self::Demo => &["espeak-ng"],
            Self::Test => &[
                // Peers.
                "baresip-core",
                "baresip-ffmpeg",
                "coturn",
                "gir1.2-gst-plugins-bad-1.0",
                "gstreamer1.0-nice",
                "kamailio",
                "kamailio-outbound-modules",
                "kamailio-tls-modules",
                "kamailio-websocket-modules",
                "pebble",
                "python3-gi",
                "sip-tester",
                // The guests' page, and a font for its Chinese.
                "chromium",
                "firefox-esr",
                "fonts-wqy-microhei",
                "nodejs",
                "npm",
                // Networks of their own for some of them.
                "iproute2",
                "nftables",
                // Recorded and spoken voices.
                "alsa-utils",
                "espeak-ng",
                "gstreamer1.0-tools",
                "pocketsphinx-testdata",
                // Test tools and scores from PyPI; PESQ is built from C.
                "python3-dev",
                "python3-venv",
                // libFuzzer is C++.
                "g++",
            ],
            Self::DeviceLab => &["bc", "bison", "flex", "v4l-utils", "xz-utils"],
        }
    }
}

/// Installs what `purposes` need and this machine lacks.
pub(crate) fn prepare(language: Language, purposes: &[Purpose]) -> Result<()> {
    let wanted: Vec<&str> = purposes
        .iter()
        .flat_map(|purpose| purpose.packages())
        .copied()
        .filter(|package| !is_there_otherwise(package))
        .collect();
    let missing = debian::missing(language, &wanted)?;
    if missing.is_empty() {
        return Ok(());
    }
    debian::install(language, &missing)
}

/// Whether a package is not needed because its program is there without it: Node from elsewhere comes
/// with its npm, and Debian's would take its place.
fn is_there_otherwise(package: &str) -> bool {
    match package {
        "nodejs" => process::find_on_path("node").is_some(),
        "npm" => process::find_on_path("npm").is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Purpose;

    #[test]
    fn no_package_is_named_by_two_purposes() {
        let mut names: Vec<&str> = [
            Purpose::Build,
            Purpose::Run,
            Purpose::Test,
            Purpose::DeviceLab,
        ]
        .iter()
        .flat_map(|purpose| purpose.packages())
        .copied()
        .collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
