//! `sip.press_to_first_frame_ms`: from the press of the join button of an idle box to the far end's
//! first decoded picture.
//!
//! roomd calls roomd and baresip calls baresip, in turn, each over TLS with SRTP. The press of a
//! room is a request to its API; that of baresip is a command on its control connection. The far
//! end's picture counts when its decoder has given it: roomd says so in its snapshot (to 1 ms),
//! baresip in its log.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use system::baresip::Transport;

use super::{Measurement, distributions};
use crate::peers::baresip_pair::{BaresipPair, SHORT_CALL};
use crate::peers::roomd_pair::RoomdPair;
use crate::plot::Plot;
use crate::report::{Figure, Goal, Row};
use crate::setting::Setting;
use crate::statistics::Samples;

const FIGURE: Figure = Figure {
    name: "sip.press_to_first_frame_ms",
    unit: "ms",
    anchor_name: "baresip, p95",
    goal: Goal::AtMostTimesAnchor(0.8),
};

pub(super) const MEASUREMENT: Measurement = Measurement {
    figures: &[FIGURE],
    measure,
};

fn measure(setting: &Setting) -> Result<Vec<Row>> {
    let rooms = RoomdPair::start(&setting.roomd, &setting.recordings)?;
    let mut baresips = BaresipPair::start(
        Transport::Tls,
        &setting.recordings.baresip_video(),
        &setting.recordings.speech,
        SHORT_CALL,
    )?;
    let (mut ours, mut anchor) = (Vec::new(), Vec::new());
    for _ in 0..setting.lengths.calls {
        ours.push(press(&rooms)?);
        anchor.push(baresips.call().context("baresip")?.as_secs_f64() * 1e3);
        baresips.hang_up()?;
    }
    let ours = Samples::new(ours).context("no calls")?;
    let anchor = Samples::new(anchor).context("no calls")?;
    setting.save_plot(
        "sip.press_to_first_frame_ms",
        &Plot {
            title: "Press to the far end's first picture, calls seen within".to_owned(),
            x_label: "ms",
            y_label: "% of calls",
            lines: distributions(("roomd", &ours), ("baresip", &anchor)),
        },
    )?;
    let note = format!(
        "p95 over TLS + SRTP on loopback, 720p footage; roomd {}; baresip {}",
        ours.summary(),
        anchor.summary()
    );
    Ok(vec![FIGURE.measured(ours.p95(), Some(anchor.p95()), note)])
}

fn press(rooms: &RoomdPair) -> Result<f64> {
    let pressed = SystemTime::now().duration_since(UNIX_EPOCH)?;
    rooms.caller.api.press_join()?;
    let first_frame = rooms.callee.wait_for_first_frame()?;
    rooms.caller.wait_for_first_frame()?;
    rooms.hang_up()?;
    Ok(first_frame as f64 - pressed.as_secs_f64() * 1e3)
}
