//! `sip.flood_fps`: the frame rate of a call while noise comes in on the SIP port.

use anyhow::{Context, Result, ensure};

use super::Measurement;
use crate::instruments::sip_flood::SipFlood;
use crate::peers::roomd_pair::RoomdPair;
use crate::report::{Figure, Goal, Row};
use crate::setting::Setting;
use crate::statistics::Samples;

const FIGURE: Figure = Figure {
    name: "sip.flood_fps",
    unit: "fps",
    anchor_name: "none",
    goal: Goal::AtLeast(29.0),
};

/// Malformed packets a second.
const RATE: u32 = 100_000;
/// What a busy machine may fall behind by, before the flood counts as none.
const LEAST_OF_RATE: f64 = 0.95;
const SECOND: std::time::Duration = std::time::Duration::from_secs(1);

pub(super) const MEASUREMENT: Measurement = Measurement {
    figures: &[FIGURE],
    measure,
};

fn measure(setting: &Setting) -> Result<Vec<Row>> {
    let rooms = RoomdPair::start(&setting.roomd, &setting.recordings)?;
    rooms.call()?;
    let flood = SipFlood::start(rooms.callee.udp, RATE)?;
    // The room measures its frame rate over a second: the first whole one begins here.
    std::thread::sleep(2 * SECOND);
    let mut rates = Vec::new();
    for _ in 0..setting.lengths.media.as_secs() {
        std::thread::sleep(SECOND);
        let snapshot = rooms.callee.api.snapshot()?;
        let video = snapshot.legs.first().and_then(|leg| leg.video.as_ref());
        let stats = video.and_then(|video| video.stats.as_ref());
        rates.push(stats.context("the call has no figures")?.received_fps);
    }
    let sent = flood.stop()?;
    rooms.hang_up()?;
    ensure!(
        sent >= f64::from(RATE) * LEAST_OF_RATE,
        "the machine sent only {sent:.0} packets a second"
    );
    let rates = Samples::new(rates).context("nothing was measured")?;
    let note = format!(
        "mean of the callee's decoded frame rate over {} s, lowest second {:.1}; {sent:.0} \
         malformed packets a second from a stranger at its UDP port, sent on the same machine",
        rates.count(),
        rates.percentile(0.0),
    );
    Ok(vec![FIGURE.measured(rates.mean(), None, note)])
}
