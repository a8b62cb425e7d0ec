//! `webrtc.receive_only_leg_cores`: what one more guest costs the room who only looks and listens. One who sends, too,
//! stands in the note.

use std::thread::sleep;

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

/// Guests at once.
const GUESTS: usize = 4;
/// Pictures after which a guest's call stands.
const FIRST_FRAMES: u32 = 30;

fn measure(setting: &Setting) -> Result<Vec<Row>> {
    let receive_only = cores(setting, GUESTS, false)?;
    let sending = cores(setting, 2, true)?;
    let one_more = |cores: &[f64], number: usize| cores[number - 1] - cores[number - 2];
    let (second, fourth) = (one_more(&receive_only, 2), one_more(&receive_only, 4));
    let list = |cores: &[f64]| {
        let cores = cores.iter().map(|cores| format!("{cores:.3}"));
        cores.collect::<Vec<_>>().join(", ")
    };
    let note = format!(
        "the greater of the second's {second:.3} and the fourth's {fourth:.3}; the room with one to {GUESTS} of them: {}; \
         with one and two who send 720p, too: {}, the second of them {:.3}; each over {} s",
        list(&receive_only),
        list(&sending),
        one_more(&sending, 2),
        setting.lengths.guest_load.as_secs()
    );
    Ok(vec![FIGURE.measured(second.max(fourth), None, note)])
}

/// The cores that a room takes with one guest, with two, and so on.
fn cores(setting: &Setting, guests: usize, sending: bool) -> Result<Vec<f64>> {
    let film = setting.recordings.chromium_video()?;
    let sound = &setting.recordings.speech;
    let room = guest_room::start(&setting.recordings, Place::loopback())?;
    let browser = Browser::start_with_film(None, Some(sound), &film)?;
    let (mut inside, mut cores) = (Vec::new(), Vec::new());
    for number in 1..=guests {
        let guest = come_in(&room, &browser, sending).with_context(|| format!("guest {number}"))?;
        inside.push(guest);
        let meter = LoadMeter::start(room.roomd.id())?;
        sleep(setting.lengths.guest_load);
        cores.push(meter.cores()?);
    }
    Ok(cores)
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
