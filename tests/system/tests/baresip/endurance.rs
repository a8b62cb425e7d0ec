//! Call after call: nothing is left behind.

use system::baresip::Video;
use system::process_usage::ProcessUsage;

use crate::site::{LIMIT, Site, site};

/// Buffers, pools and caches have their size after so many calls.
const FIRST_CALLS: u32 = 10;
const ALL_CALLS: u32 = 100;
/// What the allocator may keep over 90 calls; a call that left one 720p picture behind each time
/// would leave 120 MB.
const KEPT_KIB: u64 = 12 * 1_024;

fn call_and_hang_up(site: &mut Site) {
    let (before, peer_before) = (site.now(), site.peer.events().mark());
    site.room.call(site.peer.uri()).unwrap();
    site.room.wait_for_media(before, LIMIT).unwrap();
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
    for _ in 0..FIRST_CALLS {
        call_and_hang_up(&mut site);
    }
    let first = ProcessUsage::of(site.room.roomd.id()).unwrap();
    for _ in FIRST_CALLS..ALL_CALLS {
        call_and_hang_up(&mut site);
    }
    let last = ProcessUsage::of(site.room.roomd.id()).unwrap();
    println!("after {FIRST_CALLS} calls {first:?}, after {ALL_CALLS} {last:?}");
    assert!(
        last.file_descriptors <= first.file_descriptors,
        "{first:?} {last:?}"
    );
    assert!(last.threads <= first.threads, "{first:?} {last:?}");
    assert!(
        last.resident_kib <= first.resident_kib + KEPT_KIB,
        "{first:?} {last:?}"
    );
}
