//! `sip.rejoin_after_kill_ms`: from the kill of a room in a call to the far end's picture in the
//! room that was started again.
//!
//! The room is killed by SIGKILL and started at once, as a supervisor without a delay would do. It
//! counts when the new process has decoded a picture of the call, which the far end never left.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use super::Measurement;
use crate::peers::roomd_pair::RoomdPair;
use crate::report::{Figure, Goal, Row};
use crate::setting::Setting;
use crate::statistics::Samples;

const FIGURE: Figure = Figure {
    name: "sip.rejoin_after_kill_ms",
    unit: "ms",
    anchor_name: "none",
    goal: Goal::AtMost(3_000.0),
};

/// A room is started anew for each.
const CALLS_OF_A_KILL: u64 = 3;

pub(super) const MEASUREMENT: Measurement = Measurement {
    figures: &[FIGURE],
    measure,
};

fn measure(setting: &Setting) -> Result<Vec<Row>> {
    let mut rooms = RoomdPair::start(&setting.roomd, &setting.recordings)?;
    let mut times = Vec::new();
    for _ in 0..setting.lengths.calls.div_ceil(CALLS_OF_A_KILL) {
        times.push(kill(&mut rooms)?);
    }
    let times = Samples::new(times).context("no kills")?;
    let note = format!(
        "p95 over TLS + SRTP on loopback, of {} kills; the far end keeps its leg; {}",
        times.count(),
        times.summary()
    );
    Ok(vec![FIGURE.measured(times.p95(), None, note)])
}

fn kill(rooms: &mut RoomdPair) -> Result<f64> {
    rooms.call()?;
    let kept = rooms.callee.live_leg()?;
    let killed = SystemTime::now().duration_since(UNIX_EPOCH)?;
    rooms.caller.kill_and_restart()?;
    let picture = rooms.caller.wait_for_first_frame()?;
    ensure!(
        rooms.callee.live_leg()? == kept,
        "the far end holds another call than before"
    );
    rooms.hang_up()?;
    Ok(picture as f64 - killed.as_secs_f64() * 1e3)
}
