//! What every measurement is given: programs, recordings, how long to measure, where plots go.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::peers::recordings::Recordings;
use crate::plot::Plot;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lengths {
    /// Calls whose set-up is timed.
    pub(crate) calls: u64,
    /// The time over which each parser reads messages, in slices that alternate.
    pub(crate) parse: Duration,
    /// Calls over which memory must stay flat.
    pub(crate) flat_calls: u64,
    /// The call in which load and frame rate are measured.
    pub(crate) call: Duration,
    /// The idle time in which load is measured.
    pub(crate) idle: Duration,
    /// The time over which pictures and sound are timed.
    pub(crate) media: Duration,
    /// Calls in each of which the rate of the link falls.
    pub(crate) step_runs: u32,
    /// Calls in each of which packets are lost.
    pub(crate) loss_runs: u32,
    /// Calls of guests whose beginning is timed.
    pub(crate) guest_calls: usize,
    /// The time over which the load of guests is measured.
    pub(crate) guest_load: Duration,
}

impl Lengths {
    /// What the report's figures come from.
    pub(crate) const FULL: Self = Self {
        calls: 30,
        parse: Duration::from_secs(3),
        flat_calls: 100,
        call: Duration::from_secs(60),
        idle: Duration::from_secs(20),
        media: Duration::from_secs(30),
        step_runs: 3,
        loss_runs: 2,
        guest_calls: 20,
        guest_load: Duration::from_secs(15),
    };

    /// Enough to see whether everything can be measured, and about how it stands.
    pub(crate) const QUICK: Self = Self {
        calls: 20,
        parse: Duration::from_secs(1),
        flat_calls: 20,
        call: Duration::from_secs(20),
        idle: Duration::from_secs(10),
        media: Duration::from_secs(10),
        step_runs: 1,
        loss_runs: 1,
        guest_calls: 5,
        guest_load: Duration::from_secs(8),
    };
}

/// Everything that measurements share.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The program under test.
    pub(crate) roomd: PathBuf,
    /// What is sent in whole calls.
    pub(crate) recordings: Recordings,
    /// How much is measured.
    pub(crate) lengths: Lengths,
    /// Where report and plots go.
    pub(crate) output: PathBuf,
    /// Holds the speech as a file.
    _folder: TempDir,
}

impl Setting {
    /// Finds programs and fetches recordings.
    pub(crate) fn prepare(lengths: Lengths) -> Result<Self> {
        let programs = programs()?;
        let roomd = programs.join("roomd");
        ensure!(
            roomd.is_file(),
            "{} is not there: cargo build --release --package roomd",
            roomd.display()
        );
        // target/PROFILE/bench writes to target/bench.
        let output = programs
            .parent()
            .context("programs lie in target/PROFILE")?
            .join("bench");
        std::fs::create_dir_all(&output)
            .with_context(|| format!("cannot create {}", output.display()))?;
        let folder = tempfile::tempdir()?;
        let recordings = Recordings::prepare(folder.path())?;
        Ok(Self {
            roomd,
            recordings,
            lengths,
            output,
            _folder: folder,
        })
    }

    /// Saves a plot under that name.
    pub(crate) fn save_plot(&self, name: &str, plot: &Plot) -> Result<()> {
        plot.save(&self.output.join(format!("{name}.svg")))
    }
}

/// The folder of the workspace's programs: the one that `ROOMD_BINARIES` names, or this program's
/// own.
fn programs() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("ROOMD_BINARIES") {
        return Ok(PathBuf::from(folder));
    }
    let own = std::env::current_exe()?;
    Ok(own
        .parent()
        .context("a program without a folder")?
        .to_owned())
}
