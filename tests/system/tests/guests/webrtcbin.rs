//! A guest on GStreamer and libnice, which listens by TCP, in a network that lets nothing else out or in: the room
//! connects to it.

use std::net::Ipv4Addr;

use system::authority::Authority;
use system::journal::Mark;
use system::room_setup::{Guests, RoomSetup};
use system::routed_networks::RoutedNetworks;
use system::webrtcbin::Webrtcbin;

use crate::{LIMIT, setup, wait_for_guest};

const ROOM: Ipv4Addr = Ipv4Addr::new(10, 69, 1, 1);
const GUEST: Ipv4Addr = Ipv4Addr::new(10, 69, 2, 1);
/// The router, towards the room and towards the guest.
const ROUTER: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 69, 1, 2), Ipv4Addr::new(10, 69, 2, 2)];

#[test]
fn a_room_connects_by_tcp_to_a_guest_on_libnice() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let networks = RoutedNetworks::lay([ROOM, ROUTER[0]], [ROUTER[1], GUEST]).unwrap();
    let route = format!("route add default via {}", ROUTER[1]);
    networks.outside.ip(&route).unwrap();
    let room = RoomSetup {
        place: networks.place("10.69.0.0/16"),
        ..setup(Guests::Automatically)
    };
    let room = room.start(&authority).unwrap();
    let link = room.invite().unwrap().url;
    let port = link.split(['/', ':']).nth(4).unwrap().parse().unwrap();
    networks.router.let_in("outside0", port).unwrap();

    let guest = Webrtcbin::join(&networks.outside, &link, "Anna").unwrap();
    wait_for_guest(&room, Mark::default(), "Anna");
    guest.wait_for("video", 30, LIMIT).unwrap();
    guest.wait_for("audio", 50, LIMIT).unwrap();
    let log = room.roomd.log().entries();
    let mut paths = log
        .iter()
        .filter(|line| line.contains("media for a guest goes by this path"));
    let path = paths.next().unwrap();
    assert!(path.contains("protocol=\"tcp\""), "{path}");
    // The port stands for one that the room connects from, and ends the line.
    assert!(path.ends_with(&format!("local={ROOM}:9")), "{path}");

    let mark = room.roomd.snapshot_mark();
    guest.leave().unwrap();
    room.wait_until_idle(mark, LIMIT).unwrap();
}
