//! PESQ-WB (ITU-T P.862.2): how a listener would score a degraded voice, 1 (bad) to 4.64.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::child_process::output_of;
use crate::python;
use crate::sound::Sound;

/// PESQ's own rate for the wide band.
const RATE: u32 = 16_000;

/// What PESQ is built with; numpy also runs it.
const TOOLS: [&str; 3] = ["setuptools==80.9.0", "cython==3.1.4", "numpy==2.3.3"];

const SCRIPT: &str = "\
import sys, numpy, pesqc2
read = lambda path: numpy.fromfile(path, dtype='<f4')
print(pesqc2.pesq(16000, read(sys.argv[1]), read(sys.argv[2]), 'wb'))
";

/// The score of `degraded` beside `reference`: the same words, aligned to within half a second,
/// both at 16 kHz or a multiple of it.
///
/// # Errors
/// When the score cannot be computed: silence, other rates, less than a second of sound.
pub fn wide_band(reference: &Sound, degraded: &Sound) -> Result<f32> {
    for (name, sound) in [("reference", reference), ("degraded", degraded)] {
        ensure!(
            sound.seconds() >= 1.0,
            "{} s of {name} sound are too short",
            sound.seconds()
        );
    }
    let python = python::interpreter("python-pesq-3", &TOOLS, &["pesqc2==0.0.4"])?;
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT]);
    for (name, sound) in [("reference", reference), ("degraded", degraded)] {
        let path = folder.path().join(name);
        let samples = sound.decimated(RATE)?.samples;
        let bytes: Vec<u8> = samples
            .iter()
            .flat_map(|sample| sample.to_le_bytes())
            .collect();
        std::fs::write(&path, bytes)?;
        command.arg(path);
    }
    let printed = output_of(&mut command)?;
    let printed = String::from_utf8_lossy(&printed);
    printed
        .trim()
        .parse()
        .with_context(|| format!("PESQ answered `{printed}`"))
}
