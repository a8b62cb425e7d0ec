//! `network.step_*`: the rate of a link falls from 3 to 1 Mbit/s during a call, behind a queue of 300 ms.
//!
//! A room's guest and a pair of Chromiums take turns, each call on a link of its own.

use std::fmt;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use system::emulated_link::{Conditions, Direction, Interval};

use super::Measurement;
use crate::instruments::shown_frames::{self, Look, Shown};
use crate::peers::linked_call::{LinkedCall, SETTLING, Sender, within_call};
use crate::plot::{Line, Plot};
use crate::report::{Figure, Goal, Row};
use crate::setting::Setting;
use crate::statistics::Samples;

const WIDE_BPS: f64 = 3e6;
const NARROW_BPS: f64 = 1e6;
const QUEUE: Duration = Duration::from_millis(300);
const DELAY: Duration = Duration::from_millis(20);
/// From the step to the end.
const AFTER: Duration = Duration::from_secs(20);
/// From here after the step to the end, what is used of the link is counted.
const USED_FROM: Duration = Duration::from_secs(5);
/// Packets wait less than this when the sender has settled, and do so for [`CALM`].
const SHORT_WAIT: Duration = Duration::from_millis(75);
const CALM: Duration = Duration::from_secs(1);
/// A plot begins this long before the step,
const SHOWN_BEFORE: Duration = Duration::from_secs(3);
/// and shows what is carried within so many intervals of the link's at a time.
const SMOOTHED: usize = 8;

const FROZEN: Figure = Figure {
    name: "network.step_frozen_s",
    unit: "s",
    anchor_name: "Chromium",
    goal: Goal::AtMost(0.6),
};
const SETTLED: Figure = Figure {
    name: "network.step_settled_s",
    unit: "s",
    anchor_name: "Chromium",
    goal: Goal::AtMost(1.0),
};
const USED: Figure = Figure {
    name: "network.step_used_percent",
    unit: "%",
    anchor_name: "Chromium",
    goal: Goal::AtLeast(85.0),
};
const CONCEALED: Figure = Figure {
    name: "network.step_audio_concealed_percent",
    unit: "%",
    anchor_name: "Chromium",
    goal: Goal::AtMost(1.0),
};

pub(super) const MEASUREMENT: Measurement = Measurement {
    figures: &[FROZEN, SETTLED, USED, CONCEALED],
    measure,
};

/// What one call made of the step.
#[derive(Clone, Debug)]
struct Step {
    shown: Shown,
    settled_s: f64,
    used_percent: f64,
    /// Of the wide link, in the second before the step.
    used_before_percent: f64,
    course: Course,
}

/// What the link saw around the step, by the seconds since.
#[derive(Clone)]
struct Course {
    kbps: Vec<(f64, f64)>,
    wait_ms: Vec<(f64, f64)>,
}

impl fmt::Debug for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} intervals", self.wait_ms.len())
    }
}

fn measure(setting: &Setting) -> Result<Vec<Row>> {
    let (mut room, mut anchor) = (Vec::new(), Vec::new());
    for seed in 1..=setting.lengths.step_runs {
        for sender in Sender::BOTH {
            let step = within_call(&setting.recordings, sender, link(WIDE_BPS), seed, step)
                .with_context(|| format!("{sender:?}, run {seed}"))?;
            eprintln!("  {sender:?}: {step:?}");
            match sender {
                Sender::Room => room.push(step),
                Sender::Chromium => anchor.push(step),
            }
        }
    }
    save_plots(setting, &room, &anchor)?;
    let row = |figure: &Figure, value: fn(&Step) -> f64, rest: String| -> Result<Row> {
        let ours = Samples::new(room.iter().map(value)).context("no calls")?;
        let anchor = Samples::new(anchor.iter().map(value)).context("no calls")?;
        let worst = |samples: &Samples| match figure.goal {
            Goal::AtLeast(_) => samples.percentile(0.0),
            _ => samples.percentile(100.0),
        };
        let note = format!(
            "means of {} calls; worst: room {:.2}, Chromium {:.2}; {rest}",
            ours.count(),
            worst(&ours),
            worst(&anchor)
        );
        Ok(figure.measured(ours.mean(), Some(anchor.mean()), note))
    };
    let by_chromium = |steps: &[Step]| {
        let all = steps.iter().map(|step| step.shown.chromium_frozen_s);
        all.sum::<f64>() / steps.len().max(1) as f64
    };
    let before = |steps: &[Step]| {
        let all = steps.iter().map(|step| step.used_before_percent);
        all.sum::<f64>() / steps.len().max(1) as f64
    };
    Ok(vec![
        row(
            &FROZEN,
            |step| step.shown.frozen_s,
            format!(
                "gaps above 183 ms in the 20 s after the step from 3 to 1 Mbit/s, queue of 300 ms, 20 ms each way; \
                 as Chromium counts: room {:.2}, Chromium {:.2}; {}",
                by_chromium(&room),
                by_chromium(&anchor),
                pictures(&room, &anchor)
            ),
        )?,
        row(
            &SETTLED,
            |step| step.settled_s,
            "until no packet waits longer than 75 ms, for a second".to_owned(),
        )?,
        row(
            &USED,
            |step| step.used_percent,
            format!(
                "from 5 s after the step on, headers included; of the 3 Mbit/s in the second before it: room {:.0}, \
                 Chromium {:.0}",
                before(&room),
                before(&anchor)
            ),
        )?,
        row(
            &CONCEALED,
            |step| step.shown.concealed_percent,
            "of the sound in those 20 s".to_owned(),
        )?,
    ])
}

impl Course {
    fn around(step: Duration, intervals: &[Interval]) -> Self {
        let begin = step.saturating_sub(SHOWN_BEFORE);
        let shown: Vec<&Interval> = intervals.iter().filter(|it| it.at >= begin).collect();
        let seconds = |at: Duration| at.as_secs_f64() - step.as_secs_f64();
        let kbps = shown.windows(SMOOTHED).map(|window| {
            let bytes: u64 = window.iter().map(|it| it.carried_bytes).sum();
            let (first, last) = (window[0].at, window[SMOOTHED - 1].at);
            let long = (last - first) * SMOOTHED as u32 / (SMOOTHED as u32 - 1);
            let kbps = bytes as f64 * 8e-3 / long.as_secs_f64().max(f64::EPSILON);
            (seconds(last), kbps)
        });
        let wait_ms = shown.iter().map(|it| {
            let wait = it.longest_wait.as_secs_f64() * 1e3;
            (seconds(it.at), wait)
        });
        Self {
            kbps: kbps.collect(),
            wait_ms: wait_ms.collect(),
        }
    }
}

/// How the first call of each went.
fn save_plots(setting: &Setting, room: &[Step], anchor: &[Step]) -> Result<()> {
    let (Some(room), Some(anchor)) = (room.first(), anchor.first()) else {
        return Ok(());
    };
    let lines = |points: fn(&Course) -> &Vec<(f64, f64)>| {
        [("roomd", room), ("Chromium", anchor)].map(|(name, step)| Line {
            name: name.to_owned(),
            points: points(&step.course).clone(),
        })
    };
    let plot = |title: &str, y_label, lines: [Line; 2]| Plot {
        title: title.to_owned(),
        x_label: "s since the link fell from 3 to 1 Mbit/s",
        y_label,
        lines: lines.into(),
    };
    let used = plot(
        "What the link carries",
        "kbit/s",
        lines(|course| &course.kbps),
    );
    setting.save_plot(USED.name, &used)?;
    let waits = plot(
        "The longest wait in the queue",
        "ms",
        lines(|course| &course.wait_ms),
    );
    setting.save_plot(SETTLED.name, &waits)
}

/// What a call of each was like, for a note.
fn pictures(room: &[Step], anchor: &[Step]) -> String {
    let of = |steps: &[Step]| steps.first().map(|step| step.shown.summary());
    format!(
        "the first calls: room {}, Chromium {}",
        of(room).unwrap_or_default(),
        of(anchor).unwrap_or_default()
    )
}

fn link(rate_bps: f64) -> Conditions {
    Conditions {
        rate_bps: Some(rate_bps),
        queue: QUEUE,
        delay: DELAY,
        ..Conditions::NONE
    }
}

fn step(call: &LinkedCall<'_>) -> Result<Step> {
    shown_frames::start(call.receiver)?;
    sleep(SETTLING);
    let before = Look::at(call.receiver)?;
    let at = call.link.change(Direction::ToFar, link(NARROW_BPS))?;
    sleep(AFTER);
    let after = Look::at(call.receiver)?;
    let intervals = call.link.report(Direction::ToFar)?;
    Ok(Step {
        shown: Shown::between(&before, &after),
        settled_s: settled(&intervals, at).as_secs_f64(),
        used_percent: used_percent(&intervals, at + USED_FROM, at + AFTER, NARROW_BPS),
        used_before_percent: used_percent(
            &intervals,
            at.saturating_sub(Duration::from_secs(1)),
            at,
            WIDE_BPS,
        ),
        course: Course::around(at, &intervals),
    })
}

/// From `step` until no packet waits long, for a second.
fn settled(intervals: &[Interval], step: Duration) -> Duration {
    let mut since = step;
    for interval in intervals.iter().filter(|interval| interval.at >= step) {
        if interval.longest_wait > SHORT_WAIT {
            since = interval.at;
        } else if interval.at >= since + CALM {
            break;
        }
    }
    since - step
}

/// What went over the link in that time, of what could have.
fn used_percent(intervals: &[Interval], from: Duration, until: Duration, rate_bps: f64) -> f64 {
    let within = intervals.iter().filter(|it| it.at >= from && it.at < until);
    let bytes: u64 = within.map(|it| it.carried_bytes).sum();
    100.0 * bytes as f64 * 8.0 / (rate_bps * (until - from).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(at_ms: u64, wait_ms: u64) -> Interval {
        Interval {
            at: Duration::from_millis(at_ms),
            carried_bytes: 6_250,
            dropped: 0,
            lost: 0,
            longest_wait: Duration::from_millis(wait_ms),
        }
    }

    #[test]
    fn settled_is_when_the_queue_stays_short() {
        let long = [1_000, 1_300, 3_000];
        let wait = |at| if long.contains(&at) { 200 } else { 10 };
        let times = (0..100).map(|n| n * 50);
        let intervals: Vec<Interval> = times.map(|at| interval(at, wait(at))).collect();
        let step = Duration::from_millis(1_000);
        assert_eq!(settled(&intervals, step), Duration::from_millis(300));
        let second = Duration::from_secs(1);
        let used = used_percent(&intervals, second, 2 * second, NARROW_BPS);
        assert!((used - 100.0).abs() < 1e-9, "{used}");
    }
}
