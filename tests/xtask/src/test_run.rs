//! `cargo xtask test`: the lanes one after the other, a table of how they went, and one closing
//! line, `N passed, N failed`.
//!
//! The closing line counts tests. A lane that fails without a failed test of its own (formatting,
//! say) counts as one failure, so that the line never claims success for a run that has none. A lane
//! that this machine cannot run is named; it fails only where it was asked for by name, or where
//! `--complete` asks for all.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::lane::{Lane, LaneRun};
use crate::language::Language;
use crate::setup::{self, Purpose};
use crate::test_count::TestCount;

/// A lane that has been run.
struct Finished {
    lane: Lane,
    took: Duration,
    count: TestCount,
    outcome: Outcome,
}

/// How a lane ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    /// This machine cannot run it.
    LeftOut,
}

/// What was asked for on the command line.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    lanes: Vec<Lane>,
    /// What becomes of a lane that this machine cannot run.
    when_left_out: Outcome,
}

/// Runs all lanes, or the one that `--lane` names.
pub(crate) fn run(language: Language, arguments: &[OsString]) -> Result<ExitCode> {
    let wanted = wanted(language, arguments)?;
    setup::prepare(language, &[Purpose::Build, Purpose::Run, Purpose::Test])?;
    let finished: Vec<Finished> = wanted
        .lanes
        .iter()
        .map(|lane| run_lane(language, *lane, wanted.when_left_out))
        .collect();
    print_table(language, &finished);
    let total = total(&finished);
    println!("{}", closing_line(total));
    let success = total.failed == 0 && total.skipped == 0;
    Ok(if success {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn wanted(language: Language, arguments: &[OsString]) -> Result<Wanted> {
    let words: Vec<_> = arguments
        .iter()
        .map(|word| word.to_string_lossy())
        .collect();
    match words
        .iter()
        .map(AsRef::as_ref)
        .collect::<Vec<&str>>()
        .as_slice()
    {
        [] => Ok(Wanted {
            lanes: Lane::ALL.to_vec(),
            when_left_out: Outcome::LeftOut,
        }),
        ["--complete"] => Ok(Wanted {
            lanes: Lane::ALL.to_vec(),
            when_left_out: Outcome::Failed,
        }),
        ["--lane", name] => match Lane::named(name) {
            Some(lane) => Ok(Wanted {
                lanes: vec![lane],
                when_left_out: Outcome::Failed,
            }),
            None => bail!(no_lane(language, name)),
        },
        _ => bail!(
            "{}",
            language.choose(
                "usage: cargo xtask test [--lane NAME | --complete]",
                "用法：cargo xtask test [--lane 名称 | --complete]"
            )
        ),
    }
}

fn no_lane(language: Language, name: &str) -> String {
    let lanes = Lane::ALL.map(Lane::name).join(", ");
    match language {
        Language::English => format!("no lane `{name}`; there are {lanes}"),
        Language::Chinese => format!("没有名为 `{name}` 的测试通道；可选：{lanes}"),
    }
}

fn run_lane(language: Language, lane: Lane, when_left_out: Outcome) -> Finished {
    println!("\n=== {} ===", lane.name());
    let started = Instant::now();
    let (count, outcome) = match lane.run(language) {
        Ok(LaneRun::Made(count)) if count.failed > 0 => {
            println!("{}: {} failed tests", lane.name(), count.failed);
            (count, Outcome::Failed)
        }
        Ok(LaneRun::Made(count)) => (count, Outcome::Passed),
        Ok(LaneRun::LeftOut(reason)) => {
            let heading = language.choose("cannot run here", "无法在本机运行");
            println!("{}: {heading}: {reason}", lane.name());
            (TestCount::default(), when_left_out)
        }
        Err(error) => {
            println!("{}: {error:#}", lane.name());
            (TestCount::default(), Outcome::Failed)
        }
    };
    Finished {
        lane,
        took: started.elapsed(),
        count,
        outcome,
    }
}

fn print_table(language: Language, finished: &[Finished]) {
    println!();
    for Finished {
        lane,
        took,
        count,
        outcome,
    } in finished
    {
        let verdict = match outcome {
            Outcome::Passed => language.choose("ok      ", "通过"),
            Outcome::Failed => language.choose("FAILED  ", "失败"),
            Outcome::LeftOut => language.choose("left out", "略过"),
        };
        let tests = if *count == TestCount::default() {
            String::new()
        } else {
            format!("  {}", closing_line(*count))
        };
        println!(
            "  {:<10} {verdict} {:>7.1} s{tests}",
            lane.name(),
            took.as_secs_f64()
        );
    }
    println!();
}

fn total(finished: &[Finished]) -> TestCount {
    let mut total = TestCount::default();
    for lane in finished {
        total += lane.count;
        if lane.outcome == Outcome::Failed && lane.count.failed == 0 {
            total.failed += 1;
        }
    }
    total
}

fn closing_line(count: TestCount) -> String {
    let mut line = format!("{} passed, {} failed", count.passed, count.failed);
    if count.skipped > 0 {
        line.push_str(&format!(", {} skipped", count.skipped));
    }
    line
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Finished, Outcome, TestCount, closing_line, total, wanted};
    use crate::lane::Lane;
    use crate::language::Language;
    use crate::test_count::count;

    #[test]
    fn a_lane_that_there_is_not_is_refused_with_those_that_there_are_in_either_language() {
        let arguments = ["--lane", "express"].map(Into::into);
        for language in [Language::English, Language::Chinese] {
            let error = wanted(language, &arguments).unwrap_err().to_string();
            for name in Lane::ALL.map(Lane::name).into_iter().chain(["express"]) {
                assert!(error.contains(name), "{error}");
            }
        }
        let refusal = |language| wanted(language, &arguments).unwrap_err().to_string();
        assert_ne!(refusal(Language::English), refusal(Language::Chinese));
    }

    #[test]
    fn a_lane_that_cannot_run_here_fails_when_it_is_asked_for_by_name_or_all_are() {
        let of = |arguments: &[&str]| {
            let arguments: Vec<_> = arguments.iter().map(Into::into).collect();
            wanted(Language::English, &arguments).unwrap().when_left_out
        };
        assert_eq!(of(&[]), Outcome::LeftOut);
        assert_eq!(of(&["--complete"]), Outcome::Failed);
        assert_eq!(of(&["--lane", "device-lab"]), Outcome::Failed);
    }

    #[test]
    fn a_lane_without_tests_counts_when_it_fails_and_not_when_it_is_left_out() {
        let finished = |outcome| Finished {
            lane: Lane::DeviceLab,
            took: Duration::ZERO,
            count: TestCount::default(),
            outcome,
        };
        for (outcome, failed) in [
            (Outcome::Passed, 0),
            (Outcome::Failed, 1),
            (Outcome::LeftOut, 0),
        ] {
            assert_eq!(total(&[finished(outcome)]), count(0, failed, 0));
        }
    }

    #[test]
    fn skipped_tests_are_named_only_when_there_are_some() {
        assert_eq!(closing_line(count(3, 0, 0)), "3 passed, 0 failed");
        assert_eq!(
            closing_line(count(3, 1, 2)),
            "3 passed, 1 failed, 2 skipped"
        );
    }
}
