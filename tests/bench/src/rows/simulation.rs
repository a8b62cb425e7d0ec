//! `sip.setups_per_s` and `sip.registrations`: what the SIP endpoint does in a second of one core,
//! without a network.

use std::time::Instant;

use anyhow::{Context, Result};

use super::Measurement;
use crate::instruments::sip_pair::SipPair;
use crate::instruments::sip_registrar::register;
use crate::report::{Figure, Goal, Row};
use crate::setting::Setting;
use crate::statistics::Samples;

const SETUPS: Figure = Figure {
    name: "sip.setups_per_s",
    unit: "calls/s",
    anchor_name: "none",
    goal: Goal::AtLeast(200.0),
};

const REGISTRATIONS: Figure = Figure {
    name: "sip.registrations",
    unit: "registrations/s",
    anchor_name: "none",
    goal: Goal::AtLeast(1_000.0),
};

const SLICES: u8 = 10;
/// Registrations that one endpoint holds.
const ACCOUNTS: usize = 1_000;

pub(super) const MEASUREMENT: Measurement = Measurement {
    figures: &[SETUPS, REGISTRATIONS],
    measure,
};

fn measure(setting: &Setting) -> Result<Vec<Row>> {
    let slice = setting.lengths.parse / u32::from(SLICES);
    let mut pair = SipPair::new()?;
    let mut setups = Vec::new();
    for _ in 0..SLICES {
        let (mut calls, started) = (0_u32, Instant::now());
        while started.elapsed() < slice {
            pair.call()?;
            calls += 1;
        }
        setups.push(f64::from(calls) / started.elapsed().as_secs_f64());
    }
    let setups = Samples::new(setups).context("no slices")?;
    let mut registrations = Vec::new();
    for round in 0..SLICES {
        let took = register(ACCOUNTS, round)?;
        registrations.push(ACCOUNTS as f64 / took.as_secs_f64());
    }
    let registrations = Samples::new(registrations).context("no slices")?;
    Ok(vec![
        SETUPS.measured(
            setups.median(),
            None,
            format!(
                "median of {SLICES} slices: INVITE with SDP and SDES keys, 180, 200, ACK, BYE, 200 \
                 between two endpoints, the work of both on one core, time virtual"
            ),
        ),
        REGISTRATIONS.measured(
            registrations.median(),
            None,
            format!(
                "median of {SLICES} rounds in which one endpoint registers {ACCOUNTS} accounts by \
                 digest with SHA-256, on one core, time virtual; the registrar's work is included; \
                 all {ACCOUNTS} stand in the end"
            ),
        ),
    ])
}
