//! `webrtc.offer_to_first_frame_ms` and `webrtc.full_resolution_s`: from the offer of a guest's page to the first
//! picture that it shows, and to the first whole one.
//!
//! A guest of an idle room and a Chromium that calls itself take turns, on loopback.

use std::time::Duration;

use anyhow::{Context, Result};
use system::browser::Browser;
use system::room_setup::{Place, Room};

use super::{Measurement, distributions};
use crate::instruments::first_pictures::{wait_for_width, watch};
use crate::peers::chromium_pair::ChromiumPair;
use crate::peers::guest_room;
use crate::plot::Plot;
use crate::report::{Figure, Goal, Row};
use crate::setting::Setting;
use crate::statistics::Samples;

const FIRST: Figure = Figure {
    name: "webrtc.offer_to_first_frame_ms",
    unit: "ms",
    anchor_name: "Chromium, p95",
    goal: Goal::AtMostTimesAnchor(0.5),
};
const FULL: Figure = Figure {
    name: "webrtc.full_resolution_s",
    unit: "s",
    anchor_name: "Chromium",
    goal: Goal::Below(2.0),
};

pub(super) const MEASUREMENT: Measurement = Measurement {
    figures: &[FIRST, FULL],
    measure,
};

/// Columns of the film.
const FULL_WIDTH: u64 = 1280;
const HANG_UP: Duration = Duration::from_secs(10);
/// Calls of the Chromium pair that are followed to their full resolution, which takes long.
const FOLLOWED: usize = 3;

fn measure(setting: &Setting) -> Result<Vec<Row>> {
    let film = setting.recordings.chromium_video()?;
    let sound = &setting.recordings.speech;
    let room = guest_room::start(&setting.recordings, Place::loopback())?;
    let browser = Browser::start_with_film(None, Some(sound), &film)?;
    let pair = ChromiumPair::start(sound, &film)?;
    let (mut ours, mut ours_full) = (Vec::new(), Vec::new());
    let (mut anchor, mut anchor_full) = (Vec::new(), Vec::new());
    for run in 0..setting.lengths.guest_calls {
        let [first, full] = guest_call(&room, &browser).with_context(|| format!("call {run}"))?;
        ours.push(first);
        ours_full.push(full / 1e3);
        let page = pair.call(watch)?;
        anchor.push(wait_for_width(&page, 1)?);
        if run < FOLLOWED {
            anchor_full.push(wait_for_width(&page, FULL_WIDTH)? / 1e3);
        }
        page.close_tab()?;
    }
    guest_room::keep_log(&room, "first-pictures.log")?;
    let samples = |values: Vec<f64>| Samples::new(values).context("no calls");
    let (ours, anchor) = (samples(ours)?, samples(anchor)?);
    let (ours_full, anchor_full) = (samples(ours_full)?, samples(anchor_full)?);
    setting.save_plot(
        FIRST.name,
        &Plot {
            title: "Offer to the first picture shown, calls seen within".to_owned(),
            x_label: "ms",
            y_label: "% of calls",
            lines: distributions(("guest of roomd", &ours), ("Chromium pair", &anchor)),
        },
    )?;
    let first = format!(
        "p95 on loopback, page's setLocalDescription to the first picture shown; guest of an idle room {}; two \
         connections within a page of Chromium {}",
        ours.summary(),
        anchor.summary()
    );
    let full = format!(
        "p95 of {} calls, offer to the first picture of {FULL_WIDTH} columns shown; median {:.2} s; Chromium: mean of \
         {} calls",
        ours_full.count(),
        ours_full.percentile(50.0),
        anchor_full.count()
    );
    Ok(vec![
        FIRST.measured(ours.p95(), Some(anchor.p95()), first),
        FULL.measured(ours_full.p95(), Some(anchor_full.mean()), full),
    ])
}

/// Milliseconds to the first picture, and to the first whole one.
fn guest_call(room: &Room, browser: &Browser) -> Result<[f64; 2]> {
    let guest = guest_room::visit(room, browser)?;
    watch(&guest)?;
    guest.join_as("Anna")?;
    let first = wait_for_width(&guest, 1)?;
    let full = wait_for_width(&guest, FULL_WIDTH)?;
    let mark = room.roomd.snapshot_mark();
    guest.leave()?;
    room.wait_until_idle(mark, HANG_UP)?;
    guest.close_tab()?;
    Ok([first, full])
}
