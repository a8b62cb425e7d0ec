//! Calls that are answered by hand, declined, given up or not answered, and a second caller.

use api::snapshot::{CallDirection, EndReason, LegState};
use system::baresip::{Answer, Baresip, BaresipConfig, Transport, Video};
use system::footage::speech;
use system::journal::Mark;

use crate::site::{LIMIT, Site, site};

/// Both answer by hand.
fn patient_site() -> Site {
    site(|setup, config| {
        setup.answer = Answer::Manual;
        config.answer = Answer::Manual;
    })
}

fn the_peer_rings_at_the_room(site: &mut Site) {
    site.peer.dial(site.room.uri()).unwrap();
    site.room
        .wait_for_state(Mark::default(), LegState::Incoming, LIMIT)
        .unwrap();
    site.peer
        .wait_for_event(Mark::default(), "CALL_RINGING", LIMIT)
        .unwrap();
}

/// Waits until the peer's call is over and returns the reason in its words.
fn closed(peer: &Baresip) -> String {
    peer.wait_for_event(Mark::default(), "CALL_CLOSED", LIMIT)
        .unwrap()
        .parameter
}

#[test]
fn a_call_that_rings_is_answered_by_hand_on_either_side() {
    let mut site = patient_site();
    the_peer_rings_at_the_room(&mut site);
    site.room.roomd.roomctl(&["answer"]).unwrap();
    site.wait_for_media();
    let before = site.now();
    site.peer.hang_up().unwrap();
    site.room.wait_until_idle(before, LIMIT).unwrap();
    site.the_room_rings_at_the_peer();
    let before = site.now();
    site.peer.accept().unwrap();
    site.room.wait_for_media(before, LIMIT).unwrap();
}

#[test]
fn a_call_that_the_room_declines_ends_with_603_at_the_peer() {
    let mut site = patient_site();
    the_peer_rings_at_the_room(&mut site);
    site.room.roomd.roomctl(&["decline"]).unwrap();
    let reason = closed(&site.peer);
    assert!(reason.contains("603"), "{reason}");
    site.wait_for_end(CallDirection::Incoming, EndReason::Declined);
}

#[test]
fn a_call_that_the_peer_refuses_ends_with_its_reason() {
    let mut site = patient_site();
    site.the_room_rings_at_the_peer();
    // baresip says 486 when its user hangs up before answering.
    site.peer.hang_up().unwrap();
    site.wait_for_end(CallDirection::Outgoing, EndReason::PeerBusy);
}

#[test]
fn a_call_that_the_peer_gives_up_stops_ringing() {
    let mut site = patient_site();
    the_peer_rings_at_the_room(&mut site);
    site.peer.hang_up().unwrap();
    site.wait_for_end(CallDirection::Incoming, EndReason::Cancelled);
}

#[test]
fn a_call_that_the_room_gives_up_stops_ringing_at_the_peer() {
    let site = patient_site();
    site.the_room_rings_at_the_peer();
    site.room.roomd.roomctl(&["hangup"]).unwrap();
    closed(&site.peer);
    site.wait_for_end(CallDirection::Outgoing, EndReason::LocalHangUp);
}

#[test]
fn a_call_that_nobody_answers_is_missed() {
    let mut site = site(|setup, _| {
        setup.answer = Answer::Manual;
        setup.ring_seconds = 5;
    });
    the_peer_rings_at_the_room(&mut site);
    let reason = closed(&site.peer);
    assert!(reason.contains("480"), "{reason}");
    site.wait_for_end(CallDirection::Incoming, EndReason::Missed);
}

#[test]
fn a_second_caller_hears_busy_and_the_first_call_goes_on() {
    let mut site = site(|_, _| {});
    site.peer_calls();
    let mut config = BaresipConfig::new("second", speech().unwrap(), Video::Off);
    config.transport = Transport::Tls;
    let mut second = Baresip::start(&config, Some(&site.authority)).unwrap();
    second.dial(site.room.uri()).unwrap();
    let reason = closed(&second);
    assert!(reason.contains("486"), "{reason}");
    site.assert_media_flows_on();
    assert_eq!(site.room.only_leg().unwrap().state, LegState::Established);
}
