//! The benchmark: every number that the README claims, beside its anchor, measured in one run.
//!
//! ```text
//!  rows ──► peers (roomd, baresip)  ──► programs in calls
//!     └───► instruments             ──► times, load, frames
//!     └───► report.json, plots, table
//! ```
//!
//! It ends with an error only when something could not be measured. Whether a goal is met is in the
//! table.

mod instruments;
mod language;
mod peers;
mod plot;
mod priority;
mod report;
mod rows;
mod setting;
mod statistics;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::language::Language;
use crate::priority::RaisedPriority;
use crate::report::{Report, Row};
use crate::rows::{Area, Measurement};
use crate::setting::{Lengths, Setting};

const USAGE_ENGLISH: &str = "\
Usage: cargo xtask bench [AREA | ROW]... [--quick]

  AREA      sip, media, network or webrtc: measure that area only and keep the report's other rows
  ROW       media.glass_ms, ...: measure that row only, and those that come out with it
  --quick   measure for a shorter time: coarse figures";

const USAGE_CHINESE: &str = "\
用法：cargo xtask bench [领域 | 行]... [--quick]

  领域      sip、media、network 或 webrtc：只测量该领域，保留报告中的其他行
  行        如 media.glass_ms：只测量该行及同时得出的行
  --quick   缩短测量时间，结果较粗略";

fn main() -> ExitCode {
    let language = Language::of_environment();
    match run(language) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What the command line asks for.
#[derive(Clone, Debug)]
struct Options {
    measurements: Vec<(Area, &'static Measurement)>,
    lengths: Lengths,
}

impl Options {
    fn parse(language: Language, arguments: impl Iterator<Item = String>) -> Result<Self> {
        let all = || {
            let with_area = |area: Area| area.measurements().iter().map(move |m| (area, m));
            Area::ALL.into_iter().flat_map(with_area)
        };
        let mut lengths = Lengths::FULL;
        let mut wanted = Vec::new();
        for argument in arguments {
            let is_meant = |area: Area, measurement: &Measurement| {
                area.name() == argument || measurement.figures.iter().any(|f| f.name == argument)
            };
            if argument == "--quick" {
                lengths = Lengths::QUICK;
            } else if all().any(|(area, measurement)| is_meant(area, measurement)) {
                wanted.push(argument);
            } else {
                bail!(
                    "`{argument}`?\n\n{}",
                    language.choose(USAGE_ENGLISH, USAGE_CHINESE)
                );
            }
        }
        let is_wanted = |(area, measurement): &(Area, &Measurement)| {
            let names = measurement.figures.iter().map(|figure| figure.name);
            let mut names = names.chain([area.name()]);
            wanted.is_empty() || names.any(|name| wanted.iter().any(|wanted| wanted == name))
        };
        let measurements = all().filter(is_wanted).collect();
        Ok(Self {
            measurements,
            lengths,
        })
    }
}

fn run(language: Language) -> Result<ExitCode> {
    let options = Options::parse(language, std::env::args().skip(1))?;
    let setting = Setting::prepare(options.lengths)?;
    let path = setting.output.join("report.json");
    let mut report = Report::load(&path)?;
    let priority = RaisedPriority::raise();
    if priority.is_none() {
        eprintln!(
            "{}",
            language.choose(
                "The priority cannot be raised: other load on this machine shows in the figures.",
                "无法提高优先级：本机的其他负载会影响测量结果。"
            )
        );
    }
    let mut all_measured = true;
    for (area, measurement) in options.measurements {
        let rows = measure(language, measurement, &setting);
        all_measured &= rows.iter().all(|row| row.value.is_some());
        report.replace(area.name(), &area.figure_names(), rows);
        // What is measured stays, whatever happens next.
        report.save(&path)?;
    }
    drop(priority);
    println!("\n{}\n{}", report.table(language), path.display());
    Ok(if all_measured {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The measurement's rows, with or without values.
fn measure(language: Language, measurement: &Measurement, setting: &Setting) -> Vec<Row> {
    let names: Vec<&str> = measurement
        .figures
        .iter()
        .map(|figure| figure.name)
        .collect();
    let measuring = language.choose("Measuring", "正在测量");
    eprintln!("{measuring} {} ...", names.join(", "));
    (measurement.measure)(setting).unwrap_or_else(|error| {
        measurement
            .figures
            .iter()
            .map(|figure| figure.failed(&error))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options> {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned());
        Options::parse(Language::English, arguments)
    }

    #[test]
    fn without_an_area_everything_is_measured_in_full() {
        let options = parse(&[]).unwrap();
        let all = Area::ALL.map(|area| area.measurements().len());
        assert_eq!(options.measurements.len(), all.iter().sum::<usize>());
        assert_eq!(options.lengths, Lengths::FULL);
    }

    #[test]
    fn one_area_and_quick_are_taken_in_any_order() {
        let options = parse(&["--quick", "media"]).unwrap();
        let areas = options.measurements.iter().map(|(area, _)| *area);
        assert!(areas.clone().all(|area| area == Area::Media));
        assert_eq!(areas.count(), Area::Media.measurements().len());
        assert_eq!(options.lengths, Lengths::QUICK);
    }

    #[test]
    fn a_row_is_measured_with_those_that_come_out_with_it() {
        let options = parse(&["media.glass_ms", "media.av_offset_ms"]).unwrap();
        let [(Area::Media, only)] = options.measurements.as_slice() else {
            panic!("{options:?}");
        };
        assert!(
            only.figures
                .iter()
                .any(|f| f.name == "media.mouth_to_ear_ms")
        );
    }

    #[test]
    fn an_unknown_area_is_refused_with_the_usage() {
        let error = parse(&["audio"]).unwrap_err();
        assert!(error.to_string().contains("Usage"), "{error}");
    }
}
