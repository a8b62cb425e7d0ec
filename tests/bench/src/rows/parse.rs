//! `sip.parse_per_s`: messages that one core reads and checks in a second.

use anyhow::{Context, Result};

use super::Measurement;
use crate::instruments::sip_messages::messages;
use crate::instruments::sip_parsing::{allocations, ours, rate, theirs};
use crate::report::{Figure, Goal, Row};
use crate::setting::Setting;
use crate::statistics::Samples;

const FIGURE: Figure = Figure {
    name: "sip.parse_per_s",
    unit: "messages/s",
    anchor_name: "ezk-sip-types",
    goal: Goal::AtLeastAlsoTimesAnchor {
        least: 150_000.0,
        factor: 3.0,
    },
};

/// Whatever else the machine does falls on both.
const SLICES: u32 = 30;

pub(super) const MEASUREMENT: Measurement = Measurement {
    figures: &[FIGURE],
    measure,
};

fn measure(setting: &Setting) -> Result<Vec<Row>> {
    let messages = messages();
    let slice = setting.lengths.parse / SLICES;
    let (mut own, mut anchor) = (Vec::new(), Vec::new());
    for _ in 0..SLICES {
        own.push(rate(ours, &messages, slice)?);
        anchor.push(rate(theirs, &messages, slice)?);
    }
    let own = Samples::new(own).context("no slices")?;
    let anchor = Samples::new(anchor).context("no slices")?;
    let bytes: usize = messages.iter().map(bytes::Bytes::len).sum();
    let note = format!(
        "median of {SLICES} slices on one core, {} kinds of messages of {} bytes in the mean; \
         allocations for a message: ours {:.1}, ezk-sip-types {:.1}",
        messages.len(),
        bytes / messages.len(),
        allocations(ours, &messages)?,
        allocations(theirs, &messages)?,
    );
    Ok(vec![FIGURE.measured(
        own.median(),
        Some(anchor.median()),
        note,
    )])
}
