//! One side is killed in the call: the other one notices and is not harmed.

use std::time::Duration;

use api::snapshot::{LegState, VideoFlow};
use system::journal::Mark;

use crate::site::{LIMIT, site};

/// The media graph sees within a second that no picture comes; the rest is for a machine that is busy
/// with other things.
const STALL_LIMIT: Duration = Duration::from_secs(3);
/// From the last sign of a peer to the end of its leg.
const PEER_LOST_LIMIT: Duration = Duration::from_secs(90);

#[test]
fn the_room_notices_that_the_peer_was_killed_and_takes_the_next_call() {
    let mut site = site(|_, _| {});
    site.room_calls();
    let before = site.now();
    site.peer.kill().unwrap();
    site.room
        .wait_for_leg(before, "a stalled picture", STALL_LIMIT, |leg| {
            (leg.video.as_ref()?.flow == VideoFlow::Stalled).then_some(())
        })
        .unwrap();
    site.room
        .wait_for_leg(before, "the end", PEER_LOST_LIMIT, |leg| {
            matches!(leg.state, LegState::Ended { .. }).then_some(())
        })
        .unwrap();
    site.room.wait_until_idle(before, LIMIT).unwrap();
}

#[test]
fn a_killed_room_comes_back_into_its_call_and_the_peer_is_not_harmed() {
    let mut site = site(|_, _| {});
    site.room_calls();
    site.room.roomd.kill_and_restart().unwrap();
    let mark = site.peer.events().mark();
    site.room.wait_for_media(Mark::default(), LIMIT).unwrap();
    site.peer
        .wait_for_event(mark, "CALL_ESTABLISHED", LIMIT)
        .unwrap();
    site.assert_media_flows_on();
}
