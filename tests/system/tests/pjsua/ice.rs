//! Calls over ICE with an implementation that is not baresip's: PJNATH. It takes no address of the loopback
//! for a candidate either: both ends are in a network of their own.

use system::baresip::Ice;
use system::journal::Mark;
use system::pjsua::Direction;
use system::room_setup::{PEER_AT_CABLE, Place};

use crate::{LIMIT, SPOKEN_PACKETS, Site, site};

/// A room that uses ICE as it says, and a peer that uses it.
fn ice_site(ice: &'static str) -> Site {
    let (place, beyond) = Place::with_cable().unwrap();
    site(|setup, config| {
        setup.place = place;
        setup.ice = ice;
        config.ice = Ice::On;
        (config.address, config.network) = (PEER_AT_CABLE, Some(beyond));
    })
}

fn assert_found_by_ice(site: &mut Site) {
    site.room
        .roomd
        .log()
        .wait_for("a way", LIMIT, |line| {
            line.contains("ICE has selected a pair").then_some(())
        })
        .unwrap();
    site.let_both_hear(SPOKEN_PACKETS);
}

#[test]
fn sound_flows_where_ice_has_led_it_whoever_calls() {
    let mut called = ice_site("offered");
    called.room_calls();
    assert_found_by_ice(&mut called);
    drop(called);
    let mut calling = ice_site("offered");
    calling.peer_calls();
    assert_found_by_ice(&mut calling);
}

#[test]
fn a_peer_that_offers_it_to_a_room_that_does_not_is_answered() {
    let mut site = ice_site("answered");
    site.peer_calls();
    let parts = ["SIP/2.0 200 ", "a=candidate:1 1 UDP ", "a=ice-pwd:"];
    site.message(Mark::default(), Direction::Received, &parts);
    assert_found_by_ice(&mut site);
}

#[test]
fn a_peer_without_it_is_called_as_ever() {
    let mut site = site(|setup, _| setup.ice = "offered");
    site.room_calls();
    site.let_both_hear(SPOKEN_PACKETS);
}
