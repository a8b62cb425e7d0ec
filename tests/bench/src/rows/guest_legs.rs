//! `webrtc.receive_only_leg_cores`: what one more guest costs the room who only looks and listens. One who sends, too,
//! stands in the note.

use std::fmt;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use system::browser::{Browser, Guest, Screen, View};
use system::room_setup::{Place, Room};

use super::Measurement;
use crate::instruments::process_load::LoadMeter;
use crate::peers::guest_room;
use crate::report::{Figure, Goal, Row};
use crate::setting::Setting;

const FIGURE: Figure = Figure {
    name: "webrtc.receive_only_leg_cores",
    unit: "cores",
    anchor_name: "none",
    goal: Goal::AtMost(0.03),
};

pub(super) const MEASUREMENT: Measurement = Measurement {
    figures: &[FIGURE],
    measure,
};

/// Of these guests, by their number, it is measured what they add.
const MEASURED: [usize; 2] = [2, 4];
/// Times that each of them comes and goes: a machine is not as fast in one minute as in the next.
const VISITS: u32 = 2;
/// Pictures after which a guest's call stands.
const FIRST_FRAMES: u32 = 30;
/// A guest who leaves is gone by then.
const LEAVING: Duration = Duration::from_secs(10);

/// What a guest adds to the cores that a room takes.
#[derive(Clone, Copy, Debug)]
struct Added {
    /// Which guest, counted from one.
    guest: usize,
    /// Without that guest, each time.
    without: f64,
    with: f64,
}

impl Added {
    fn cores(self) -> f64 {
        self.with - self.without
    }
}

impl fmt::Display for Added {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            guest,
            without,
            with,
        } = self;
        write!(
            f,
            "guest {guest}: {without:.3} -> {with:.3}, {:.3}",
            self.cores()
        )
    }
}

fn measure(setting: &Setting) -> Result<Vec<Row>> {
    let receive_only = added(setting, &MEASURED, false)?;
    let sending = added(setting, &MEASURED[..1], true)?;
    let list = |added: &[Added]| {
        let added = added.iter().map(Added::to_string);
        added.collect::<Vec<_>>().join("; ")
    };
    let note = format!(
        "the greater one; {}; one who sends 720p, too: {}; each mean of {VISITS} times {} s with and without",
        list(&receive_only),
        list(&sending),
        setting.lengths.guest_load.as_secs()
    );
    let greatest = receive_only.iter().map(|added| added.cores());
    let greatest = greatest.fold(f64::NEG_INFINITY, f64::max);
    Ok(vec![FIGURE.measured(greatest, None, note)])
}

/// What each of these guests adds, who come to those before them.
fn added(setting: &Setting, guests: &[usize], sending: bool) -> Result<Vec<Added>> {
    let film = setting.recordings.chromium_video()?;
    let sound = &setting.recordings.speech;
    let room = guest_room::start(&setting.recordings, Place::loopback())?;
    let browser = Browser::start_with_film(None, Some(sound), &film)?;
    let load = || {
        let meter = LoadMeter::start(room.roomd.id())?;
        sleep(setting.lengths.guest_load);
        meter.cores()
    };
    let mut inside = Vec::new();
    let mut all_added = Vec::new();
    for guest in guests {
        let come_in = || {
            come_in(&room, &browser, sending).with_context(|| format!("guest {guest} of a room"))
        };
        while inside.len() + 1 < *guest {
            inside.push(come_in()?);
        }
        let (mut without, mut with) = (0.0, 0.0);
        for _ in 0..VISITS {
            without += load()? / f64::from(VISITS);
            let visitor = come_in()?;
            with += load()? / f64::from(VISITS);
            let mark = room.roomd.snapshot_mark();
            visitor.leave()?;
            room.roomd
                .wait_for_snapshot_after(mark, "a guest who left", LEAVING, |snapshot| {
                    (snapshot.legs.len() == inside.len()).then_some(())
                })?;
            visitor.close_tab()?;
        }
        all_added.push(Added {
            guest: *guest,
            without,
            with,
        });
    }
    Ok(all_added)
}

fn come_in<'a>(room: &Room, browser: &'a Browser, sending: bool) -> Result<Guest<'a>> {
    let guest = guest_room::visit(room, browser)?;
    guest.join_as("Anna")?;
    guest.wait_for_screen(Screen::Call)?;
    if !sending {
        guest.press_camera()?;
        guest.press_mute()?;
    }
    guest.wait_for_frames(View::FarEnd, FIRST_FRAMES)?;
    Ok(guest)
}
