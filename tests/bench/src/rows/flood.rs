//! `sip.flood_fps`: the frame rate of a call while noise comes in on the SIP port.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Measurement;
use crate::instruments::sip_flood::SipFlood;
use crate::peers::room_api::RoomApi;
use crate::peers::roomd_pair::RoomdPair;
use crate::report::{Figure, Goal, Row};
use crate::setting::Setting;
use crate::statistics::Samples;

const FIGURE: Figure = Figure {
    name: "sip.flood_fps",
    unit: "fps",
    anchor_name: "none",
    goal: Goal::AtLeast(29.0),
};

/// Malformed packets a second.
const RATE: u32 = 100_000;
/// What a busy machine may fall behind by, before the flood counts as none.
const LEAST_OF_RATE: f64 = 0.95;
const SECOND: Duration = Duration::from_secs(1);
/// A room that reads a tenth of the flood takes this long for what is waited for.
const READ_LIMIT: Duration = Duration::from_secs(10);
/// How often the count is looked at meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

pub(super) const MEASUREMENT: Measurement = Measurement {
    figures: &[FIGURE],
    measure,
};

fn measure(setting: &Setting) -> Result<Vec<Row>> {
    let rooms = RoomdPair::start(&setting.roomd, &setting.recordings)?;
    rooms.call()?;
    let room = &rooms.callee.api;
    let before = room.sip_messages_dropped()?;
    let flood = SipFlood::start(rooms.callee.udp, RATE)?;
    // The room measures its frame rate over a second: the first one that counts begins when more
    // than a second of the flood is in.
    let first_second = before + u64::from(RATE);
    let taken_in = wait_until_read(room, first_second)?;
    let started = Instant::now();
    let mut rates = Vec::new();
    for _ in 0..setting.lengths.media.as_secs() {
        std::thread::sleep(SECOND);
        let snapshot = room.snapshot()?;
        let video = snapshot.legs.first().and_then(|leg| leg.video.as_ref());
        let stats = video.and_then(|video| video.stats.as_ref());
        rates.push(stats.context("the call has no figures")?.received_fps);
    }
    let read = (room.sip_messages_dropped()? - taken_in) as f64 / started.elapsed().as_secs_f64();
    let sent = flood.stop()?;
    rooms.hang_up()?;
    ensure!(
        sent >= f64::from(RATE) * LEAST_OF_RATE,
        "the machine sent only {sent:.0} packets a second"
    );
    let rates = Samples::new(rates).context("nothing was measured")?;
    let note = format!(
        "mean of the callee's decoded frame rate over {} s, lowest second {:.1}; {sent:.0} \
         malformed packets a second from a stranger at its UDP port, sent on the same machine, of \
         which the room read and refused {read:.0}",
        rates.count(),
        rates.percentile(0.0),
    );
    Ok(vec![FIGURE.measured(rates.mean(), None, note)])
}

/// Waits until the room has read and refused that many messages since its start; gives their number.
fn wait_until_read(room: &RoomApi, messages: u64) -> Result<u64> {
    let deadline = Instant::now() + READ_LIMIT;
    loop {
        let read = room.sip_messages_dropped()?;
        if read >= messages {
            return Ok(read);
        }
        ensure!(
            Instant::now() < deadline,
            "the room has read only {read} of {messages} messages"
        );
        std::thread::sleep(LOOK_AGAIN);
    }
}
