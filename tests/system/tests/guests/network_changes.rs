//! Guests whose network, or the room's, is away for a while or becomes another one.

use std::net::Ipv4Addr;
use std::sync::Arc;

use api::snapshot::LegState;
use system::authority::Authority;
use system::browser::{Browser, Guest};
use system::network_namespace::NetworkNamespace;
use system::room_setup::{Guests, Place, Room, RoomSetup};

use crate::{LIMIT, assert_both_go_on, join, setup};

/// A room on a network of its own, and a place beside it for guests.
struct Site {
    network: Arc<NetworkNamespace>,
    outside: NetworkNamespace,
    room: Room,
}

fn site() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let network = Arc::new(NetworkNamespace::new().unwrap());
    let outside = network.beside().unwrap();
    network.connect("room0", &outside, "guest0").unwrap();
    network.ip("address add 10.66.0.1/24 dev room0").unwrap();
    outside.ip("address add 10.66.0.2/24 dev guest0").unwrap();
    let room = RoomSetup {
        place: Place {
            address: Ipv4Addr::new(10, 66, 0, 1).into(),
            listen: Ipv4Addr::UNSPECIFIED.into(),
            peers: "10.66.0.0/24",
            network: Some(Arc::clone(&network)),
        },
        ..setup(Guests::Automatically)
    };
    let room = room.start(&authority).unwrap();
    Site {
        network,
        outside,
        room,
    }
}

fn join_alone<'a>(browser: &'a Browser, room: &Room) -> (Guest<'a>, u32) {
    let guest = join(browser, room, "Anna");
    (guest, room.only_leg().unwrap().id)
}

#[test]
fn a_guest_goes_on_after_an_outage() {
    let site = site();
    let browser = Browser::start_within(&site.outside, None).unwrap();
    let (guest, leg) = join_alone(&browser, &site.room);
    let log = site.room.roomd.log();

    let mark = log.mark();
    site.network.ip("link set room0 down").unwrap();
    // The engine says so after some seconds without answers; consent lasts for thirty.
    let what = "word that the guest is not reached";
    log.wait_after(mark, what, LIMIT, |line| {
        line.contains("a guest is not reached").then_some(())
    })
    .unwrap();
    site.network.ip("link set room0 up").unwrap();

    assert_both_go_on(&site.room, &guest, leg);
    assert_eq!(site.room.only_leg().unwrap().state, LegState::Established);
}

#[test]
fn a_guest_goes_on_at_another_address() {
    let site = site();
    let browser = Browser::start_within(&site.outside, None).unwrap();
    let (guest, leg) = join_alone(&browser, &site.room);

    site.outside.ip("address flush dev guest0").unwrap();
    site.outside
        .ip("address add 10.66.0.77/24 dev guest0")
        .unwrap();

    assert_both_go_on(&site.room, &guest, leg);
}

#[test]
fn guests_go_on_when_the_room_has_another_address() {
    let site = site();
    let browser = Browser::start_within(&site.outside, None).unwrap();
    let (guest, leg) = join_alone(&browser, &site.room);
    let log = site.room.roomd.log();

    let mark = log.mark();
    site.network.ip("address flush dev room0").unwrap();
    site.network
        .ip("address add 10.66.0.88/24 dev room0")
        .unwrap();
    let what = "word of the new address";
    log.wait_after(mark, what, LIMIT, |line| {
        let is_it = line.contains("a guest's leg has other addresses");
        (is_it && line.contains("10.66.0.88")).then_some(())
    })
    .unwrap();

    assert_both_go_on(&site.room, &guest, leg);
}
