//! Guests of a room behind a router that forwards ports to it, and lets nothing else through: they know no other
//! address than the router's.

use std::net::Ipv4Addr;

use system::authority::Authority;
use system::browser::{Browser, View};
use system::room_setup::{Guests, Room, RoomSetup};
use system::routed_networks::RoutedNetworks;

use crate::{join, setup};

/// The room and its router, and the router and a guest.
const INSIDE: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 68, 1, 1), Ipv4Addr::new(10, 68, 1, 2)];
const OUTSIDE: [Ipv4Addr; 2] = [
    Ipv4Addr::new(198, 51, 100, 2),
    Ipv4Addr::new(198, 51, 100, 1),
];

struct Site {
    // The room ends before its networks do: fields are dropped in this order.
    room: Room,
    networks: RoutedNetworks,
}

/// A room whose router forwards these protocols.
fn site(protocols: &[&str]) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let networks = RoutedNetworks::lay(INSIDE, OUTSIDE).unwrap();
    networks
        .router
        .forward_ports("outside0", "inside0", INSIDE[0], protocols)
        .unwrap();
    let room = RoomSetup {
        place: networks.place("10.68.1.0/24"),
        public_address: Some(OUTSIDE[0].into()),
        ..setup(Guests::Automatically)
    };
    let room = room.start(&authority).unwrap();
    Site { room, networks }
}

/// A guest and the room see each other by the ports that are forwarded.
fn meet_by(protocols: &[&str], wanted: &str) {
    let site = site(protocols);
    let browser = Browser::start_within(&site.networks.outside, None).unwrap();
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
