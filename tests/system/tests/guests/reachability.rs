//! The test whether guests reach the room, in a room behind a NAT whose TURN server is outside.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use api::reachability::FindingCode as Code;
use system::authority::Authority;
use system::coturn::Coturn;
use system::room_setup::{Guests, Room, RoomSetup, Turn};
use system::routed_networks::RoutedNetworks;

use crate::{setup, start};

/// The room and its router, and the router and the server.
const INSIDE: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 69, 1, 1), Ipv4Addr::new(10, 69, 1, 2)];
const OUTSIDE: [Ipv4Addr; 2] = [
    Ipv4Addr::new(198, 51, 100, 2),
    Ipv4Addr::new(198, 51, 100, 1),
];

struct Site {
    // The room ends before its networks do: fields are dropped in this order.
    room: Room,
    _coturn: Coturn,
    networks: RoutedNetworks,
}

/// A room that knows the server by these, and its secret, or another one.
fn site(urls: &[&str], public: IpAddr, secret: Option<PathBuf>) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let networks = RoutedNetworks::lay(INSIDE, OUTSIDE).unwrap();
    networks.router.translate("outside0").unwrap();
    let [_, server] = OUTSIDE;
    let coturn = Coturn::start(&networks.outside, &[server], &authority).unwrap();
    let room = RoomSetup {
        place: networks.place("10.69.1.0/24"),
        public_address: Some(public),
        turn: Some(Turn {
            urls: urls.iter().map(|url| (*url).to_owned()).collect(),
            secret_file: secret.unwrap_or(coturn.secret_file()),
        }),
        ..setup(Guests::Ask)
    };
    let room = room.start(&authority).unwrap();
    Site {
        room,
        _coturn: coturn,
        networks,
    }
}

fn codes(room: &Room) -> (Vec<Code>, bool) {
    let (findings, is_well) = room.test_guests().unwrap();
    let codes = findings.iter().map(|finding| finding.code);
    (codes.collect(), is_well)
}

#[test]
fn what_works_is_told_and_what_cannot_be_known_from_inside() {
    let urls = [
        "turn:198.51.100.1:3478?transport=udp",
        "turn:198.51.100.1:3478?transport=tcp",
        "turns:198.51.100.1:5349?transport=tcp",
    ];
    let site = site(&urls, OUTSIDE[0].into(), None);
    // The router does not lead its own network back to itself.
    let page = [Code::PageNotReachedFromHere, Code::PublicAddressRight];
    let expected = [&page[..], &[Code::TurnRelays; 3]].concat();
    assert_eq!(codes(&site.room), (expected, true));
}

#[test]
fn where_no_udp_gets_out_addresses_at_the_server_are_tried_by_themselves() {
    let urls = [
        "turn:198.51.100.1:3478?transport=udp",
        "turn:198.51.100.1:3478?transport=tcp",
    ];
    let site = site(&urls, OUTSIDE[0].into(), None);
    let no_udp = "rule add pref 100 ipproto udp prohibit";
    site.networks.inside.ip(no_udp).unwrap();
    let expected = [
        Code::PageNotReachedFromHere,
        Code::TurnServerNotReached,
        Code::TurnRelays,
    ];
    assert_eq!(codes(&site.room), (expected.to_vec(), false));
}

#[test]
fn a_wrong_secret_a_dead_server_and_a_wrong_address_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "another").unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&secret, private).unwrap();
    let urls = [
        "turn:198.51.100.1:3478?transport=udp",
        "turn:198.51.100.1:3478?transport=tcp",
        "turns:198.51.100.1:5349?transport=tcp",
        "turns:198.51.100.1:5349?transport=udp",
        // Nobody listens there.
        "turn:198.51.100.1:9?transport=udp",
        "turn:198.51.100.1:9?transport=tcp",
    ];
    let public = Ipv4Addr::new(198, 51, 100, 77).into();
    let site = site(&urls, public, Some(secret));
    let expected = [
        Code::PageNotReachedFromHere,
        Code::PublicAddressWrong,
        Code::TurnCredentialsWrong,
        Code::TurnCredentialsWrong,
        Code::TurnCredentialsWrong,
        Code::TurnWayUntried,
        Code::TurnServerNotReached,
        Code::TurnServerNotReached,
    ];
    assert_eq!(codes(&site.room), (expected.to_vec(), false));
}

#[test]
fn a_room_without_a_server_hears_what_its_own_page_says() {
    let room = start(&setup(Guests::Ask));
    let expected = [
        Code::PublicUrlPrivate,
        Code::PageServed,
        Code::OutsideUnknown,
        Code::NoTurnServer,
    ];
    assert_eq!(codes(&room), (expected.to_vec(), true));
    let told = room.roomd.roomctl(&["guests", "test"]).unwrap();
    assert!(told.contains("with the room's certificate"), "{told}");
    let told = room.roomd.roomctl(&["--language", "zh", "guests", "test"]);
    assert!(told.unwrap().contains("证书是本会议室的"));
}
