//! Which peers from PyPI exist for this machine: wheels are built for some Pythons only.

use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// The newest minor version of Python 3 that PyPI has a wheel of pjsua2 for. Debian 12 has Python
/// 3.11, Debian 13 has 3.13.
const NEWEST_PYTHON_OF_PJSUA2: u32 = 12;

/// Whether tests with pjsua2 can run here.
///
/// # Errors
/// When there is no Python.
pub(crate) fn has_pjsua2() -> Result<bool> {
    let question = "import sys; print(sys.version_info.minor)";
    let minor = process::output_of(Command::new("python3").args(["-c", question]))?;
    let minor = minor
        .trim()
        .parse()
        .with_context(|| format!("`{}` is no minor version of Python", minor.trim()))?;
    Ok(pjsua2_is_built_for(minor, std::env::consts::ARCH))
}

fn pjsua2_is_built_for(python_minor: u32, architecture: &str) -> bool {
    architecture == "x86_64" && python_minor <= NEWEST_PYTHON_OF_PJSUA2
}

#[cfg(test)]
mod tests {
    use super::pjsua2_is_built_for;

    #[test]
    fn pjsua2_is_there_for_the_pythons_and_the_processor_of_its_wheels() {
        for (minor, architecture, expected) in [
            (11, "x86_64", true),
            (12, "x86_64", true),
            (13, "x86_64", false),
            (11, "aarch64", false),
        ] {
            let built = pjsua2_is_built_for(minor, architecture);
            assert_eq!(built, expected, "Python 3.{minor} on {architecture}");
        }
    }
}
