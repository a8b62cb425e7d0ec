//! pjsua2 hands its calls with rooms on to others.

use api::snapshot::{CallDirection, EndReason, LegState};
use system::journal::Mark;
use system::pjsua::{Direction, PjsuaConfig};
use system::ports;
use system::room_setup::{Replaces, Room, RoomSetup, Transfers};

use crate::{LIMIT, Site, site};

fn allowing_transfers(setup: &mut RoomSetup, _: &mut PjsuaConfig) {
    setup.transfers = Transfers::Allowed;
}

/// The board room, which answers whoever calls, and may be handed on.
fn board(site: &Site) -> Room {
    let mut setup = RoomSetup::new("board");
    setup.transfers = Transfers::Allowed;
    setup.start(&site.authority).unwrap()
}

#[test]
fn the_peer_hands_the_room_on_to_another_and_hears_that_it_has_answered() {
    let mut site = site(allowing_transfers);
    let board = board(&site);
    site.peer_calls();
    let mark = site.peer.mark();
    site.peer
        .transfer(&format!("{};transport=tls", board.uri()))
        .unwrap();
    site.message(mark, Direction::Received, &["SIP/2.0 202 ", " REFER\n"]);
    site.message(mark, Direction::Received, &["NOTIFY ", "\nSIP/2.0 100 "]);
    assert_eq!(site.peer.wait_for_transfer(mark, LIMIT).unwrap(), 200);
    let leg = board.wait_for_media(Mark::default(), LIMIT).unwrap();
    assert_eq!(leg.direction, CallDirection::Incoming);

    // The peer stays on the line: the room leaves.
    let left = (CallDirection::Incoming, EndReason::Transferred);
    assert_eq!(site.wait_for_end(), left);
    site.peer
        .wait_for_call(mark, "DISCONNECTED", LIMIT)
        .unwrap();
    let leg = site.room.only_leg().unwrap();
    assert_eq!(
        (leg.direction, leg.state),
        (CallDirection::Outgoing, LegState::Established)
    );
    site.room.hang_up_with(&[&board], LIMIT).unwrap();
}

#[test]
fn a_peer_whose_transfer_leads_nowhere_keeps_the_room_and_one_that_may_not_is_refused() {
    for (transfers, expected) in [(Transfers::Allowed, 503), (Transfers::Refused, 405)] {
        let mut site = site(|setup, _| setup.transfers = transfers);
        site.peer_calls();
        let mark = site.peer.mark();
        let nowhere = format!(
            "sip:nobody@127.0.0.1:{};transport=tls",
            ports::free().unwrap()
        );
        site.peer.transfer(&nowhere).unwrap();
        assert_eq!(site.peer.wait_for_transfer(mark, LIMIT).unwrap(), expected);
        site.let_both_hear(10);
        assert_eq!(site.room.only_leg().unwrap().state, LegState::Established);
    }
}

/// The peer in a call with the room and one with the board room, of which it hands the second on to the
/// first: the status that it hears of that.
fn the_peer_brings_both_rooms_together(site: &mut Site, board: &Room) -> u64 {
    site.peer_calls();
    let mark = site.peer.mark();
    let uri = format!("{};transport=tls", board.uri());
    site.peer.call(&uri, &[]).unwrap();
    site.peer.wait_for_call(mark, "CONFIRMED", LIMIT).unwrap();
    board
        .wait_for_state(Mark::default(), LegState::Established, LIMIT)
        .unwrap();
    let mark = site.peer.mark();
    site.peer.transfer_to_first_call().unwrap();
    site.peer.wait_for_transfer(mark, LIMIT).unwrap()
}

#[test]
fn the_peer_brings_two_rooms_together_where_the_owner_lets_trusted_calls_replace_others() {
    let mut site = site(|setup, _| setup.replaces = Replaces::Trusted);
    let board = board(&site);
    assert_eq!(the_peer_brings_both_rooms_together(&mut site, &board), 200);
    let leg = board
        .wait_for_leg(Mark::default(), "a call of its own", LIMIT, |leg| {
            let is_it = leg.direction == CallDirection::Outgoing;
            (is_it && leg.state == LegState::Established).then(|| leg.clone())
        })
        .unwrap();
    assert!(leg.peer.uri.starts_with("sip:room@"), "{}", leg.peer.uri);
    // Both are out of their calls with the peer.
    let mut over = 0;
    site.peer
        .wait_for(Mark::default(), "two calls that are over", LIMIT, |event| {
            over += u32::from(event["event"] == "call" && event["state"] == "DISCONNECTED");
            (over == 2).then_some(())
        })
        .unwrap();
    board
        .wait_for_media(board.roomd.snapshot_mark(), LIMIT)
        .unwrap();
    // For the room it is the leg that it was.
    let leg = site.room.only_leg().unwrap();
    assert_eq!(
        (leg.direction, leg.state),
        (CallDirection::Incoming, LegState::Established)
    );
}

#[test]
fn a_room_is_not_handed_over_to_a_third_party_otherwise_and_all_calls_go_on() {
    let mut site = site(|_, _| {});
    let board = board(&site);
    assert_eq!(the_peer_brings_both_rooms_together(&mut site, &board), 403);
    site.let_both_hear(10);
    for room in [&site.room, &board] {
        assert_eq!(room.only_leg().unwrap().state, LegState::Established);
    }
}
