//! Guests of a room behind a router that forwards ports to it, and lets nothing else through: they know no other
//! address than the router's.

use std::net::Ipv4Addr;
use std::sync::Arc;

use system::authority::Authority;
use system::browser::{Browser, View};
use system::network_namespace::NetworkNamespace;
use system::room_setup::{Guests, Place, Room, RoomSetup};

use crate::{join, setup};

const ROOM: Ipv4Addr = Ipv4Addr::new(10, 68, 1, 1);
const ROUTER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

struct Site {
    // The room ends before its networks do: fields are dropped in this order.
    room: Room,
    outside: NetworkNamespace,
    _router: NetworkNamespace,
}

/// A room whose router forwards these protocols.
fn site(protocols: &[&str]) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let network = Arc::new(NetworkNamespace::new().unwrap());
    let router = network.beside().unwrap();
    let outside = network.beside().unwrap();
    network.connect("room0", &router, "inside0").unwrap();
    outside.connect("guest0", &router, "outside0").unwrap();
    network.ip("address add 10.68.1.1/24 dev room0").unwrap();
    network.ip("route add default via 10.68.1.2").unwrap();
    router.ip("address add 10.68.1.2/24 dev inside0").unwrap();
    router
        .ip("address add 198.51.100.2/24 dev outside0")
        .unwrap();
    outside
        .ip("address add 198.51.100.1/24 dev guest0")
        .unwrap();
    router
        .forward_ports("outside0", "inside0", ROOM, protocols)
        .unwrap();
    let room = RoomSetup {
        place: Place {
            address: ROOM.into(),
            listen: Ipv4Addr::UNSPECIFIED.into(),
            peers: "10.68.1.0/24",
            network: Some(Arc::clone(&network)),
        },
        public_address: Some(ROUTER.into()),
        ..setup(Guests::Automatically)
    };
    let room = room.start(&authority).unwrap();
    Site {
        room,
        outside,
        _router: router,
    }
}

/// A guest and the room see each other by the ports that are forwarded.
fn meet_by(protocols: &[&str], wanted: &str) {
    let site = site(protocols);
    let browser = Browser::start_within(&site.outside, None).unwrap();
    let guest = join(&browser, &site.room, "Anna");
    guest.wait_for_frames(View::FarEnd, 60).unwrap();
    // TCP is what browsers take last.
    let log = site.room.roomd.log().entries();
    let mut paths = log
        .iter()
        .filter(|line| line.contains("media for a guest goes by this path"));
    let last = paths.next_back().unwrap();
    assert!(last.contains(&format!("protocol=\"{wanted}\"")), "{last}");
}

#[test]
fn a_guest_reaches_a_room_by_the_forwarded_udp_ports_of_its_router() {
    meet_by(&["udp", "tcp"], "udp");
}

#[test]
fn a_guest_reaches_a_room_by_the_forwarded_tcp_port_of_its_router() {
    meet_by(&["tcp"], "tcp");
}
