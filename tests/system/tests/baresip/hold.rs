//! Hold and resume from both sides, and keys that are pressed.

use std::time::Duration;

use api::snapshot::{Direction, HeldBy, LegState, StreamStats};
use system::baresip::{BaresipConfig, Video};
use system::journal::Mark;
use system::room_setup::RoomSetup;

use crate::content::age;
use crate::site::{LIMIT, Site, site};

/// A picture that was taken before the call went on is older.
const LIVE: Duration = Duration::from_secs(2);

/// Reports and requests for keyframes alone are less than that; a voice is 20 kbit/s and more.
const RTCP_BPS: u64 = 5_000;

/// Waits for a direction in a session description that the peer sends or receives after the mark.
fn wait_for_direction(site: &Site, mark: Mark, direction: &str) {
    let find = |line: &String| (line.trim() == direction).then_some(());
    site.peer
        .log()
        .wait_after(mark, direction, LIMIT, find)
        .unwrap();
}

/// Waits for an interval after the mark in which the room has sent no picture and no sound.
fn assert_room_falls_silent(site: &Site, held: Mark) {
    wait_for_rates(site, held, |stream| stream.send_bps);
}

/// Waits for an interval after the mark in which no picture and no sound of the peer has come.
fn assert_peer_falls_silent(site: &Site, held: Mark) {
    wait_for_rates(site, held, |stream| stream.receive_bps);
}

/// The mark is that of the hold: at rest the figures stay the same, and no newer snapshot comes.
fn wait_for_rates(site: &Site, held: Mark, rate: impl Fn(&StreamStats) -> u64) {
    site.room
        .wait_for_leg(held, "media at rest", LIMIT, |leg| {
            let video = &leg.video.as_ref()?.stats.as_ref()?.stream;
            let audio = leg.audio.as_ref()?.stats.as_ref()?;
            (rate(video) < RTCP_BPS && rate(audio) < RTCP_BPS).then_some(())
        })
        .unwrap();
}

fn assert_call_is_live(site: &mut Site) {
    site.assert_media_flows_on();
    let stamp = site.peer.snapshot_received().unwrap().stamp().unwrap();
    assert!(age(stamp) < LIVE, "{:?}", age(stamp));
    site.let_the_peer_hear(1);
}

/// baresip starts its pictures anew after a hold, and a film only after a pause of its own length:
/// nothing was on the wire for 4.5 s when the hold had outlasted the film.
fn endless_pictures(_: &mut RoomSetup, config: &mut BaresipConfig) {
    config.video = Video::TestPattern;
}

#[test]
fn the_room_holds_and_resumes() {
    let mut site = site(endless_pictures);
    site.room_calls();
    let before = site.now();
    let mark = site.peer.log().mark();
    site.room.roomd.roomctl(&["hold"]).unwrap();
    let held = LegState::Held { by: HeldBy::Local };
    site.room.wait_for_state(before, held, LIMIT).unwrap();
    let held = site.now();
    wait_for_direction(&site, mark, "a=sendonly");
    assert_room_falls_silent(&site, held);
    assert_peer_falls_silent(&site, held);
    let resuming = site.peer.log().mark();
    let after = site.now();
    site.room.roomd.roomctl(&["resume"]).unwrap();
    site.room
        .wait_for_state(after, LegState::Established, LIMIT)
        .unwrap();
    wait_for_direction(&site, resuming, "a=sendrecv");
    assert_call_is_live(&mut site);
}

#[test]
fn the_peer_holds_and_resumes() {
    let mut site = site(endless_pictures);
    site.peer_calls();
    let before = site.now();
    site.peer.hold().unwrap();
    let held = LegState::Held { by: HeldBy::Remote };
    let leg = site.room.wait_for_state(before, held, LIMIT).unwrap();
    assert_eq!(leg.audio.unwrap().direction, Direction::RecvOnly);
    assert_room_falls_silent(&site, site.now());
    let before = site.now();
    site.peer.resume().unwrap();
    site.room
        .wait_for_state(before, LegState::Established, LIMIT)
        .unwrap();
    assert_call_is_live(&mut site);
}

#[test]
fn keys_reach_the_other_side_in_order_and_once() {
    let mut site = site(|_, _| {});
    site.room_calls();
    let heard = if site.peer.misses_repeated_digits() {
        eprintln!("this baresip hears 15# when 155# is sent: the second 5 is not tested");
        "15#"
    } else {
        "155#"
    };
    site.room.roomd.roomctl(&["dtmf", "155#"]).unwrap();
    site.peer.wait_for_dtmf(heard, LIMIT).unwrap();
    for (received, digit) in [("2", '2'), ("20", '0'), ("200", '0'), ("200*", '*')] {
        site.peer.send_dtmf(digit).unwrap();
        site.room
            .wait_for_leg(Mark::default(), received, LIMIT, |leg| {
                (leg.dtmf_received == received).then_some(())
            })
            .unwrap();
    }
    assert_eq!(site.peer.received_dtmf(), heard);
}
