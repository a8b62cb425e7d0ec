//! `sip.invite_to_200_ms`: from INVITE to 200 OK of a callee that answers by itself.
//!
//! The same caller calls roomd and baresip in turn, over UDP, with the same offer of Opus and H.264
//! with SDES keys, and takes the time itself.
//!
//! baresip opens its sources and codecs before it answers, which takes it tens of milliseconds with
//! video. Here it refuses the video line: that is how it answers fastest. roomd takes it.

use anyhow::{Context, Result};
use system::baresip::{Transport, Video};

use super::{Measurement, distributions};
use crate::instruments::sip_caller::SipCaller;
use crate::peers::baresip_pair::{BaresipPair, SHORT_CALL};
use crate::peers::roomd_pair::RoomdPair;
use crate::plot::Plot;
use crate::report::{Figure, Goal, Row};
use crate::setting::Setting;
use crate::statistics::Samples;

const FIGURE: Figure = Figure {
    name: "sip.invite_to_200_ms",
    unit: "ms",
    anchor_name: "baresip, median",
    goal: Goal::AtMostTimesAnchor(1.0),
};

pub(super) const MEASUREMENT: Measurement = Measurement {
    figures: &[FIGURE],
    measure,
};

fn measure(setting: &Setting) -> Result<Vec<Row>> {
    let rooms = RoomdPair::start(&setting.roomd, &setting.recordings)?;
    let baresips = BaresipPair::start(
        Transport::Udp,
        &Video::Off,
        &setting.recordings.speech,
        SHORT_CALL,
    )?;
    let (room, baresip) = (rooms.callee.udp, baresips.callee_address()?);
    let (room_uri, baresip_uri) = (rooms.callee.uri(), baresips.callee.uri().to_owned());
    let (mut ours, mut anchor) = (Vec::new(), Vec::new());
    for call in 0..setting.lengths.calls {
        // A caller for each call: neither callee knows the address from the call before.
        ours.push(
            SipCaller::new(2 * call)?
                .call(room, &room_uri)
                .context("calling roomd")?,
        );
        rooms.callee.wait_until_idle()?;
        anchor.push(
            SipCaller::new(2 * call + 1)?
                .call(baresip, &baresip_uri)
                .context("calling baresip")?,
        );
    }
    let samples = |times: Vec<std::time::Duration>| {
        Samples::new(times.iter().map(|time| time.as_secs_f64() * 1e3)).context("no calls")
    };
    let (ours, anchor) = (samples(ours)?, samples(anchor)?);
    setting.save_plot(
        "sip.invite_to_200_ms",
        &Plot {
            title: "INVITE to 200 OK, calls answered within".to_owned(),
            x_label: "ms",
            y_label: "% of calls",
            lines: distributions(("roomd", &ours), ("baresip", &anchor)),
        },
    )?;
    let note = format!(
        "median over UDP on loopback, Opus and H.264 with SDES offered by one caller that calls both \
         in turn; roomd (takes both) {}; baresip (audio only, its fastest) {}",
        ours.summary(),
        anchor.summary()
    );
    Ok(vec![FIGURE.measured(
        ours.median(),
        Some(anchor.median()),
        note,
    )])
}
