//! `media.fps_decoded`, `media.call_cores` and `media.call_rss_mb`: one long two-way call of real
//! footage, first of two roomds, then of two baresips, after as many short calls as memory must
//! stay flat over.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use system::baresip::Transport;
use system::process_usage::ProcessUsage;

use super::Measurement;
use crate::instruments::process_load::LoadMeter;
use crate::peers::baresip_pair::{BaresipPair, SHORT_CALL};
use crate::peers::roomd_pair::RoomdPair;
use crate::plot::{Line, Plot};
use crate::report::{Figure, Goal, Row};
use crate::setting::Setting;
use crate::statistics::Samples;

const FPS: Figure = Figure {
    name: "media.fps_decoded",
    unit: "fps",
    anchor_name: "baresip",
    goal: Goal::AtLeast(29.9),
};

const CORES: Figure = Figure {
    name: "media.call_cores",
    unit: "cores",
    anchor_name: "baresip",
    goal: Goal::AtMostTimesAnchor(0.65),
};

const MEMORY: Figure = Figure {
    name: "media.call_rss_mb",
    unit: "MB",
    anchor_name: "baresip",
    goal: Goal::AtMostTimesAnchor(1.15),
};

pub(super) const MEASUREMENT: Measurement = Measurement {
    figures: &[FPS, CORES, MEMORY],
    measure,
};

/// Start-up of encoders and jitter buffers is not measured.
const SETTLING: Duration = Duration::from_secs(3);
const SECOND: Duration = Duration::from_secs(1);
/// Memory that grows by less over all short calls is flat.
const FLAT_PERCENT: f64 = 5.0;
/// The first calls load libraries and fill pools.
const WARM_UP_CALLS: usize = 10;

/// Pictures a second that both programs are asked for.
const FULL_RATE: f64 = 30.0;

/// One program's call.
struct CallFigures {
    fps: f64,
    /// Mean of both endpoints.
    cores: f64,
    /// The larger of both endpoints.
    resident_mb: f64,
    /// Mean cores of both endpoints, second by second.
    cores_by_second: Vec<f64>,
}

impl CallFigures {
    /// What the call costs for all pictures that were asked for: who leaves some out, saves their
    /// work.
    fn cores_at_full_rate(&self) -> f64 {
        self.cores * FULL_RATE / self.fps.clamp(1.0, FULL_RATE)
    }
}

fn measure(setting: &Setting) -> Result<Vec<Row>> {
    let rooms = RoomdPair::start(&setting.roomd, &setting.recordings)?;
    let resident = short_calls(&rooms, setting.lengths.flat_calls)?;
    let ours = roomd_call(&rooms, setting.lengths.call).context("roomd")?;
    drop(rooms);
    let mut baresips = BaresipPair::start(
        Transport::Tls,
        &setting.recordings.baresip_video(),
        &setting.recordings.speech,
        setting.lengths.call + SHORT_CALL,
    )?;
    // What earlier calls leave behind counts for both.
    let mut anchor_resident = Vec::new();
    for call in 1..=setting.lengths.flat_calls {
        baresips
            .call()
            .with_context(|| format!("baresip, call {call}"))?;
        anchor_resident.push(larger_resident_mb(baresips.processes())?);
        baresips.hang_up()?;
    }
    let anchor = baresip_call(&mut baresips, setting.lengths.call).context("baresip")?;
    save_plots(setting, &ours, &anchor, [&resident, &anchor_resident])?;
    let seconds = setting.lengths.call.as_secs();
    Ok(vec![
        FPS.measured(
            ours.fps,
            Some(anchor.fps),
            format!(
                "720p footage converted to 30 fps, {seconds} s; roomd: mean of the decoded frame \
                 rate that its callee measures each second; baresip: pictures shown"
            ),
        ),
        CORES.measured(
            ours.cores_at_full_rate(),
            Some(anchor.cores_at_full_rate()),
            format!(
                "for 30 pictures a second, mean of both endpoints over {seconds} s of the same \
                 call, two-way 720p + Opus, the film's own decoding included; as measured: roomd \
                 {:.3} at {:.1} fps, baresip {:.3} at {:.1}",
                ours.cores, ours.fps, anchor.cores, anchor.fps
            ),
        ),
        memory_row(&ours, &anchor, &resident, &anchor_resident),
    ])
}

/// Holds short calls, and gives the memory (MB) in each, of the endpoint that holds more.
fn short_calls(rooms: &RoomdPair, calls: u64) -> Result<Vec<f64>> {
    let mut resident = Vec::new();
    for call in 1..=calls {
        rooms.call().with_context(|| format!("call {call}"))?;
        resident.push(larger_resident_mb(rooms.processes())?);
        rooms.hang_up()?;
    }
    Ok(resident)
}

fn roomd_call(rooms: &RoomdPair, length: Duration) -> Result<CallFigures> {
    rooms.call()?;
    std::thread::sleep(SETTLING);
    let mut rates = Vec::new();
    let load = load_of(rooms.processes(), length, || {
        let snapshot = rooms.callee.api.snapshot()?;
        let video = snapshot.legs.first().and_then(|leg| leg.video.as_ref());
        let stats = video.and_then(|video| video.stats.as_ref());
        rates.push(stats.context("the call has no figures")?.received_fps);
        Ok(())
    })?;
    let resident_mb = larger_resident_mb(rooms.processes())?;
    rooms.hang_up()?;
    Ok(CallFigures {
        fps: Samples::new(rates).context("nothing was measured")?.mean(),
        cores: load.mean,
        resident_mb,
        cores_by_second: load.by_second,
    })
}

fn baresip_call(baresips: &mut BaresipPair, length: Duration) -> Result<CallFigures> {
    baresips.call()?;
    std::thread::sleep(SETTLING);
    let (shown, started) = (baresips.pictures_shown()?, Instant::now());
    let load = load_of(baresips.processes(), length, || Ok(()))?;
    let (shown, took) = (baresips.pictures_shown()? - shown, started.elapsed());
    let resident_mb = larger_resident_mb(baresips.processes())?;
    baresips.hang_up()?;
    Ok(CallFigures {
        fps: shown as f64 / took.as_secs_f64(),
        cores: load.mean,
        resident_mb,
        cores_by_second: load.by_second,
    })
}

/// Cores in use, mean of two processes.
struct Load {
    mean: f64,
    by_second: Vec<f64>,
}

/// Measures for `length`, and calls `each_second`.
fn load_of(
    processes: [u32; 2],
    length: Duration,
    mut each_second: impl FnMut() -> Result<()>,
) -> Result<Load> {
    let start = || -> Result<[LoadMeter; 2]> {
        Ok([
            LoadMeter::start(processes[0])?,
            LoadMeter::start(processes[1])?,
        ])
    };
    let mean = |meters: &[LoadMeter; 2]| -> Result<f64> {
        Ok((meters[0].cores()? + meters[1].cores()?) / 2.0)
    };
    let whole = start()?;
    let mut by_second = Vec::new();
    for _ in 0..length.as_secs() {
        let second = start()?;
        std::thread::sleep(SECOND);
        by_second.push(mean(&second)?);
        each_second()?;
    }
    Ok(Load {
        mean: mean(&whole)?,
        by_second,
    })
}

fn larger_resident_mb(processes: [u32; 2]) -> Result<f64> {
    let resident = |process| -> Result<f64> {
        Ok(ProcessUsage::of(process)?.resident_kib as f64 * 1_024.0 / 1e6)
    };
    Ok(resident(processes[0])?.max(resident(processes[1])?))
}

fn memory_row(
    ours: &CallFigures,
    anchor: &CallFigures,
    resident: &[f64],
    anchor_resident: &[f64],
) -> Row {
    let calls = resident.len();
    let growth = growth_percent(resident);
    let growth_text = match growth {
        Some(growth) => format!(
            "grown by {growth:.1} % over the last {} calls",
            calls - WARM_UP_CALLS
        ),
        None => format!("too few calls ({calls}) to tell growth"),
    };
    let first = |resident: &[f64]| resident.first().copied().unwrap_or(f64::NAN);
    let note = format!(
        "the larger endpoint, after {calls} short calls; {growth_text}; in the first call: roomd \
         {:.0} MB, baresip {:.0} MB",
        first(resident),
        first(anchor_resident)
    );
    let mut row = MEMORY.measured(ours.resident_mb, Some(anchor.resident_mb), note);
    row.goal.push_str(&format!(", flat (<= {FLAT_PERCENT} %)"));
    row.holds &= growth.is_some_and(|growth| growth <= FLAT_PERCENT);
    row
}

/// Growth after the warm-up, in percent: the median of the last calls beside that of the first.
fn growth_percent(resident: &[f64]) -> Option<f64> {
    let warm = resident.get(WARM_UP_CALLS..)?;
    let part = (warm.len() / 2).clamp(1, 10);
    let first = Samples::new(warm.iter().take(part).copied())?.median();
    let last = Samples::new(warm.iter().rev().take(part).copied())?.median();
    Some((last / first - 1.0) * 100.0)
}

fn save_plots(
    setting: &Setting,
    ours: &CallFigures,
    anchor: &CallFigures,
    [resident, anchor_resident]: [&[f64]; 2],
) -> Result<()> {
    let line = |name: &str, values: &[f64]| Line {
        name: name.to_owned(),
        points: (1..).map(f64::from).zip(values.iter().copied()).collect(),
    };
    setting.save_plot(
        "media.call_cores",
        &Plot {
            title: "Cores in a two-way 720p call, an endpoint".to_owned(),
            x_label: "s",
            y_label: "cores",
            lines: vec![
                line("roomd", &ours.cores_by_second),
                line("baresip", &anchor.cores_by_second),
            ],
        },
    )?;
    setting.save_plot(
        "media.call_rss_mb",
        &Plot {
            title: "Resident memory, call after call".to_owned(),
            x_label: "call",
            y_label: "MB",
            lines: vec![line("roomd", resident), line("baresip", anchor_resident)],
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_told_after_the_warm_up_only() {
        let warm_up = || (0..WARM_UP_CALLS).map(|call| 50.0 + call as f64);
        let flat: Vec<f64> = warm_up().chain([80.0; 40]).collect();
        assert_eq!(growth_percent(&flat), Some(0.0));
        let growing: Vec<f64> = warm_up()
            .chain((0..90).map(|call| 80.0 + f64::from(call)))
            .collect();
        assert!(growth_percent(&growing).unwrap() > 80.0);
        assert_eq!(growth_percent(&[80.0; WARM_UP_CALLS]), None);
    }

    #[test]
    fn who_leaves_pictures_out_is_charged_for_them() {
        let figures = |cores, fps| CallFigures {
            fps,
            cores,
            resident_mb: 0.0,
            cores_by_second: Vec::new(),
        };
        assert_eq!(figures(0.2, 15.0).cores_at_full_rate(), 0.4);
        assert_eq!(figures(0.2, 30.0).cores_at_full_rate(), 0.2);
        assert_eq!(figures(0.2, 30.1).cores_at_full_rate(), 0.2);
    }

    #[test]
    fn memory_that_grows_does_not_hold_however_small_it_is() {
        let figures = |resident_mb| CallFigures {
            fps: 30.0,
            cores: 0.2,
            resident_mb,
            cores_by_second: Vec::new(),
        };
        let growing: Vec<f64> = (0..100).map(f64::from).collect();
        let row = |resident: &[f64]| memory_row(&figures(50.0), &figures(90.0), resident, &[80.0]);
        assert!(row(&[50.0; 100]).holds);
        assert!(!row(&growing).holds);
    }
}
