//! Call after call: nothing is left behind.

use api::snapshot::LegState;
use system::baresip::Video;
use system::poll;
use system::process_usage::ProcessUsage;

use crate::site::{LIMIT, Site, site};

/// Everything that is loaded once is there after so many calls.
const FIRST_CALLS: u32 = 10;
const ALL_CALLS: u32 = 100;
/// A call that left one 720p picture behind each time would leave 120 MB.
const KEPT_KIB: u64 = 12 * 1_024;

fn call_and_hang_up(site: &mut Site) {
    let (before, peer_before) = (site.now(), site.peer.events().mark());
    site.room.call(site.peer.uri()).unwrap();
    site.room
        .wait_for_leg(before, "the first frame", LIMIT, |leg| {
            // A leg of before is over.
            leg.first_frame_unix_ms
                .filter(|_| leg.state == LegState::Established)
        })
        .unwrap();
    let before = site.now();
    site.room.roomd.roomctl(&["hangup"]).unwrap();
    site.peer
        .wait_for_event(peer_before, "CALL_CLOSED", LIMIT)
        .unwrap();
    site.room.wait_until_idle(before, LIMIT).unwrap();
}

#[test]
fn a_hundred_calls_in_a_row_leave_nothing_behind() {
    let mut site = site(|_, config| config.video = Video::TestPattern);
    let room = site.room.roomd.id();
    for _ in 0..FIRST_CALLS {
        call_and_hang_up(&mut site);
    }
    let first = ProcessUsage::of(room).unwrap();
    for _ in FIRST_CALLS..ALL_CALLS {
        call_and_hang_up(&mut site);
    }
    // The last call's threads may still be on their way out, with the pictures that they hold.
    let ended = poll::until("what was there after the first calls", LIMIT, || {
        let last = ProcessUsage::of(room)?;
        let flat = last.file_descriptors <= first.file_descriptors
            && last.threads <= first.threads
            && last.resident_kib <= first.resident_kib + KEPT_KIB;
        Ok(flat.then_some(()))
    });
    let last = ProcessUsage::of(room).unwrap();
    assert!(ended.is_ok(), "{first:?} {last:?}");
}
