//! `network.loss_*`: 5 and 10 % of all packets are lost at random, each way, 50 ms each way.
//!
//! A room's guest and a pair of Chromiums take turns, each call on a link of its own.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use system::emulated_link::{Conditions, Direction};

use super::Measurement;
use crate::instruments::shown_frames::{self, Look, Shown};
use crate::peers::linked_call::{LinkedCall, SETTLING, Sender, within_call};
use crate::report::{Figure, Goal, Row};
use crate::setting::Setting;
use crate::statistics::Samples;

const RATE_BPS: f64 = 3e6;
const QUEUE: Duration = Duration::from_millis(300);
const DELAY: Duration = Duration::from_millis(50);
const LOSSES: [f64; 2] = [0.05, 0.1];
/// For which packets are lost.
const LOSSY: Duration = Duration::from_secs(20);
/// Without loss, between the two.
const PAUSE: Duration = Duration::from_secs(3);

const FROZEN_5: Figure = Figure {
    name: "network.loss_5_frozen_s",
    unit: "s",
    anchor_name: "Chromium",
    goal: Goal::AtMost(0.3),
};
const FPS_5: Figure = Figure {
    name: "network.loss_5_fps",
    unit: "fps",
    anchor_name: "Chromium",
    goal: Goal::AtLeast(29.0),
};
const FROZEN_10: Figure = Figure {
    name: "network.loss_10_frozen_s",
    unit: "s",
    anchor_name: "Chromium",
    goal: Goal::AtMost(1.0),
};
const FPS_10: Figure = Figure {
    name: "network.loss_10_fps",
    unit: "fps",
    anchor_name: "Chromium",
    goal: Goal::AtLeast(29.0),
};

pub(super) const MEASUREMENT: Measurement = Measurement {
    figures: &[FROZEN_5, FPS_5, FROZEN_10, FPS_10],
    measure,
};

/// What one call made of one loss.
#[derive(Clone, Debug)]
struct Lossy {
    shown: Shown,
    /// What went over the link to the receiver, in kbit/s.
    carried_kbps: f64,
    /// p95 of the longest waits in 50 ms each: a queue that the sender has made.
    wait_ms: f64,
}

fn measure(setting: &Setting) -> Result<Vec<Row>> {
    let (mut room, mut anchor) = (Vec::new(), Vec::new());
    for seed in 1..=setting.lengths.loss_runs {
        for sender in Sender::BOTH {
            // Other packets are lost than in any other run.
            let seed = 100 + seed;
            let shown = within_call(&setting.recordings, sender, link(0.0), seed, losses)
                .with_context(|| format!("{sender:?}, run {seed}"))?;
            eprintln!("  {sender:?}: {shown:?}");
            match sender {
                Sender::Room => room.push(shown),
                Sender::Chromium => anchor.push(shown),
            }
        }
    }
    let mut rows = Vec::new();
    for (index, [frozen, fps]) in [[FROZEN_5, FPS_5], [FROZEN_10, FPS_10]].iter().enumerate() {
        let samples = |calls: &[[Lossy; 2]], value: fn(&Lossy) -> f64| {
            Samples::new(calls.iter().map(|call| value(&call[index]))).context("no calls")
        };
        let [ours, theirs] = [&room, &anchor].map(|calls| samples(calls, |it| it.shown.frozen_s));
        let (ours, theirs) = (ours?, theirs?);
        let [ours_own, theirs_own] =
            [&room, &anchor].map(|calls| samples(calls, |it| it.shown.chromium_frozen_s));
        let [ours_sound, theirs_sound] =
            [&room, &anchor].map(|calls| samples(calls, |it| it.shown.concealed_percent));
        let [ours_rate, theirs_rate] =
            [&room, &anchor].map(|calls| samples(calls, |it| it.carried_kbps));
        let [ours_wait, theirs_wait] =
            [&room, &anchor].map(|calls| samples(calls, |it| it.wait_ms));
        let note = format!(
            "means of {} calls, gaps above 183 ms in 20 s at {} % random loss and 50 ms each way; worst: room {:.2}, \
             Chromium {:.2}; as Chromium counts: room {:.2}, Chromium {:.2}; sound concealed: room {:.1} %, Chromium \
             {:.1} %; on the link: room {:.0} kbit/s, waits of {:.0} ms, Chromium {:.0} kbit/s, {:.0} ms (p95)",
            ours.count(),
            100.0 * LOSSES[index],
            ours.percentile(100.0),
            theirs.percentile(100.0),
            ours_own?.mean(),
            theirs_own?.mean(),
            ours_sound?.mean(),
            theirs_sound?.mean(),
            ours_rate?.mean(),
            ours_wait?.mean(),
            theirs_rate?.mean(),
            theirs_wait?.mean(),
        );
        rows.push(frozen.measured(ours.mean(), Some(theirs.mean()), note));
        let [ours, theirs] =
            [&room, &anchor].map(|calls| samples(calls, |it| it.shown.decoded_fps));
        let (ours, theirs) = (ours?, theirs?);
        let note = format!(
            "decoded in those 20 s; worst: room {:.1}, Chromium {:.1}",
            ours.percentile(0.0),
            theirs.percentile(0.0)
        );
        rows.push(fps.measured(ours.mean(), Some(theirs.mean()), note));
    }
    Ok(rows)
}

fn link(loss: f64) -> Conditions {
    Conditions {
        rate_bps: Some(RATE_BPS),
        queue: QUEUE,
        delay: DELAY,
        loss,
        ..Conditions::NONE
    }
}

/// What is shown at each loss, one after the other in one call.
fn losses(call: &LinkedCall<'_>) -> Result<[Lossy; 2]> {
    shown_frames::start(call.receiver)?;
    sleep(SETTLING);
    let lossy = |loss: f64| -> Result<Lossy> {
        call.link.change_both(link(loss))?;
        let before = Look::at(call.receiver)?;
        // What was before counts no more.
        call.link.report(Direction::ToFar)?;
        sleep(LOSSY);
        let intervals = call.link.report(Direction::ToFar)?;
        let after = Look::at(call.receiver)?;
        call.link.change_both(link(0.0))?;
        let bytes: u64 = intervals.iter().map(|it| it.carried_bytes).sum();
        let waits = intervals
            .iter()
            .map(|it| it.longest_wait.as_secs_f64() * 1e3);
        Ok(Lossy {
            shown: Shown::between(&before, &after),
            carried_kbps: bytes as f64 * 8.0 / 1e3 / LOSSY.as_secs_f64(),
            wait_ms: Samples::new(waits).context("an idle link")?.p95(),
        })
    };
    let first = lossy(LOSSES[0])?;
    sleep(PAUSE);
    Ok([first, lossy(LOSSES[1])?])
}
