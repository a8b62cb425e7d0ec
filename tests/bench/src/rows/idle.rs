//! `media.idle_cores`: what a room costs while nothing happens.

use anyhow::Result;
use system::baresip::Transport;

use super::Measurement;
use crate::instruments::process_load::LoadMeter;
use crate::peers::baresip_pair::{BaresipPair, SHORT_CALL};
use crate::peers::roomd_pair::RoomdPair;
use crate::report::{Figure, Goal, Row};
use crate::setting::Setting;

const FIGURE: Figure = Figure {
    name: "media.idle_cores",
    unit: "cores",
    anchor_name: "baresip",
    goal: Goal::Below(0.01),
};

pub(super) const MEASUREMENT: Measurement = Measurement {
    figures: &[FIGURE],
    measure,
};

fn measure(setting: &Setting) -> Result<Vec<Row>> {
    let rooms = RoomdPair::start(&setting.roomd, &setting.recordings)?;
    let baresips = BaresipPair::start(
        Transport::Tls,
        &setting.recordings.baresip_video(),
        &setting.recordings.speech,
        SHORT_CALL,
    )?;
    // A room that has been in a call must be as quiet as one that has not.
    rooms.call()?;
    rooms.hang_up()?;
    std::thread::sleep(setting.lengths.idle / 10);
    let start = |processes: [u32; 2]| -> Result<[LoadMeter; 2]> {
        Ok([
            LoadMeter::start(processes[0])?,
            LoadMeter::start(processes[1])?,
        ])
    };
    let (ours, anchor) = (start(rooms.processes())?, start(baresips.processes())?);
    std::thread::sleep(setting.lengths.idle);
    let mean = |meters: &[LoadMeter; 2]| -> Result<f64> {
        Ok((meters[0].cores()? + meters[1].cores()?) / 2.0)
    };
    let note = format!(
        "mean of both rooms over {} s, after a call; all four programs idle at once",
        setting.lengths.idle.as_secs()
    );
    Ok(vec![FIGURE.measured(
        mean(&ours)?,
        Some(mean(&anchor)?),
        note,
    )])
}
