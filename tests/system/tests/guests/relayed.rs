//! Guests and a room that reach each other by a TURN server only: the router between them passes TCP on,
//! by which pages and signalling come, and no UDP.

use std::net::Ipv4Addr;
use std::sync::Arc;

use api::snapshot::LegState;
use system::authority::Authority;
use system::browser::{Browser, View};
use system::coturn::Coturn;
use system::network_namespace::NetworkNamespace;
use system::room_setup::{Guests, Place, Room, RoomSetup, Turn};

use crate::{LIMIT, join, setup};

const ROOM: Ipv4Addr = Ipv4Addr::new(10, 67, 1, 1);
/// The router, towards the room and towards the guest.
const ROUTER: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 67, 1, 2), Ipv4Addr::new(10, 67, 2, 2)];

struct Site {
    // The room ends before its networks do: fields are dropped in this order.
    room: Room,
    outside: NetworkNamespace,
    _coturn: Coturn,
    _router: NetworkNamespace,
}

fn site(urls: &[&str]) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let network = Arc::new(NetworkNamespace::new().unwrap());
    let router = network.beside().unwrap();
    let outside = network.beside().unwrap();
    network.connect("room0", &router, "inside0").unwrap();
    outside.connect("guest0", &router, "outside0").unwrap();
    network.ip("address add 10.67.1.1/24 dev room0").unwrap();
    network.ip("route add default via 10.67.1.2").unwrap();
    router.ip("address add 10.67.1.2/24 dev inside0").unwrap();
    router.ip("address add 10.67.2.2/24 dev outside0").unwrap();
    outside.ip("address add 10.67.2.1/24 dev guest0").unwrap();
    outside.ip("route add default via 10.67.2.2").unwrap();
    router.forward().unwrap();
    // What is for the router itself, and so for the server on it, is not routed.
    for interface in ["inside0", "outside0"] {
        let rule = format!("rule add pref 100 iif {interface} ipproto udp prohibit");
        router.ip(&rule).unwrap();
    }
    let coturn = Coturn::start(&router, &ROUTER, &authority).unwrap();
    let room = RoomSetup {
        place: Place {
            address: ROOM.into(),
            listen: Ipv4Addr::UNSPECIFIED.into(),
            peers: "10.67.0.0/16",
            network: Some(Arc::clone(&network)),
        },
        turn: Some(Turn {
            urls: urls.iter().map(|url| (*url).to_owned()).collect(),
            secret_file: coturn.secret_file(),
        }),
        ..setup(Guests::Automatically)
    };
    let room = room.start(&authority).unwrap();
    Site {
        room,
        outside,
        _coturn: coturn,
        _router: router,
    }
}

/// A guest and the room see and hear each other by the server, which the room reaches in one way.
fn meet_by(urls: &[&str], transport: &str) {
    let site = site(urls);
    let browser = Browser::start_within(&site.outside, None).unwrap();
    let guest = join(&browser, &site.room, "Anna");
    guest.wait_for_frames(View::FarEnd, 60).unwrap();
    assert_eq!(site.room.only_leg().unwrap().state, LegState::Established);

    let log = site.room.roomd.log();
    let wanted = format!("word of an address by {transport}");
    log.wait_for(&wanted, LIMIT, |line| {
        let is_it = line.contains("a TURN server relays for a guest");
        (is_it && line.contains(&format!("transport={transport}"))).then_some(())
    })
    .unwrap();
}

#[test]
fn a_guest_and_the_room_meet_by_a_turn_server_over_udp() {
    meet_by(&["turn:10.67.1.2:3478?transport=udp"], "Udp");
}

#[test]
fn a_guest_and_the_room_meet_by_a_turn_server_over_tcp() {
    meet_by(&["turn:10.67.1.2:3478?transport=tcp"], "Tcp");
}

#[test]
fn a_guest_and_the_room_meet_by_a_turn_server_over_tls() {
    meet_by(&["turns:10.67.1.2:5349?transport=tcp"], "Tls");
}
