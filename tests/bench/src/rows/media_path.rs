//! `media.path_ms`: from the captured picture to the far end's decoded one, through encoder, SRTP,
//! loopback, jitter buffer and decoder, beside the one-process floor of GStreamer.

use anyhow::{Context, Result};

use super::{Measurement, distributions};
use crate::instruments::footage_camera::Footage;
use crate::instruments::{gstreamer_floor, media_pair};
use crate::plot::Plot;
use crate::report::{Figure, Goal, Row};
use crate::setting::Setting;
use crate::statistics::Samples;

const FIGURE: Figure = Figure {
    name: "media.path_ms",
    unit: "ms",
    anchor_name: "GStreamer floor, p95",
    goal: Goal::AtMostTimesAnchor(2.0),
};

pub(super) const MEASUREMENT: Measurement = Measurement {
    figures: &[FIGURE],
    measure,
};

fn measure(setting: &Setting) -> Result<Vec<Row>> {
    gst::init()?;
    let footage = Footage::decode(&setting.recordings.video)?;
    let length = setting.lengths.media;
    let floor = gstreamer_floor::measure(&footage, length)?;
    let record = media_pair::run(&footage, &setting.recordings.speech, length)?;
    let floor = Samples::new(floor).context("the floor gave no pictures")?;
    let ours = record.decoded.iter().map(|age| age.as_secs_f64() * 1e3);
    let ours = Samples::new(ours).context("the pair gave no pictures")?;
    setting.save_plot(
        "media.path_ms",
        &Plot {
            title: "Captured to decoded, pictures within".to_owned(),
            x_label: "ms",
            y_label: "% of pictures",
            lines: distributions(("media", &ours), ("GStreamer floor", &floor)),
        },
    )?;
    let note = format!(
        "p95 by the burnt-in clock, 720p30 footage both ways; two media graphs in one process over \
         UDP + SRTP: {}; floor is encode, pay, depay, decode, both ways too: {}",
        ours.summary(),
        floor.summary()
    );
    Ok(vec![FIGURE.measured(ours.p95(), Some(floor.p95()), note)])
}
