//! The real roomd against sipp, which plays peers that do what no endpoint should.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

mod called;
mod caller;
mod refused;
mod silent;

use std::time::Duration;

use api::snapshot::{EndReason, LegState};
use system::authority::Authority;
use system::baresip::{Answer, MediaEncryption, Transport};
use system::journal::Mark;
use system::room_setup::{Room, RoomSetup, end_reason};
use system::sipp::{Scenario, Sipp};

/// For a state that comes at once on an idle machine.
const LIMIT: Duration = Duration::from_secs(30);
const OFFER: &str = include_str!("scenarios/offer.sdp");
const ANSWER: &str = include_str!("scenarios/answer.sdp");

/// A room that calls and is called in the clear.
fn room(transport: Transport, answer: Answer) -> Room {
    start(&plain(transport, answer))
}

/// How such a room is set up.
fn plain(transport: Transport, answer: Answer) -> RoomSetup {
    let mut setup = RoomSetup::new("room");
    setup.transport = transport;
    setup.media_encryption = MediaEncryption::Off;
    setup.answer = answer;
    setup
}

fn start(setup: &RoomSetup) -> Room {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    setup.start(&authority).unwrap()
}

/// A scenario with a description of the session.
fn with_offer(xml: &str) -> Scenario {
    Scenario::new(xml).with("offer", OFFER.trim_end())
}

/// A scenario with an answer to a room's offer.
fn with_answer(xml: &str) -> Scenario {
    Scenario::new(xml).with("answer", ANSWER.trim_end())
}

/// Waits until the room's leg has ended, and gives the reason.
fn end_of(room: &Room) -> EndReason {
    room.wait_for_leg(Mark::default(), "an ended leg", LIMIT, end_reason)
        .unwrap()
}

fn wait_for(room: &Room, state: LegState) {
    room.wait_for_state(Mark::default(), state, LIMIT).unwrap();
}

/// The room hangs up, and sipp has seen all that its script expects.
fn hang_up_and_finish(room: &Room, sipp: Sipp) -> String {
    room.roomd.roomctl(&["hangup"]).unwrap();
    sipp.assert_played(LIMIT).unwrap()
}
