//! The test whether guests reach the room, in a room behind a NAT whose TURN server is outside.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use api::reachability::FindingCode as Code;
use system::authority::Authority;
use system::coturn::Coturn;
use system::network_namespace::NetworkNamespace;
use system::room_setup::{Guests, Place, Room, RoomSetup, Turn};

use crate::{setup, start};

const ROOM: Ipv4Addr = Ipv4Addr::new(10, 69, 1, 1);
const ROUTER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

struct Site {
    // The room ends before its networks do: fields are dropped in this order.
    room: Room,
    network: Arc<NetworkNamespace>,
    _coturn: Coturn,
    _networks: [NetworkNamespace; 2],
}

/// A room that knows the server by these, and its secret, or another one.
fn site(urls: &[&str], public: IpAddr, secret: Option<PathBuf>) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let network = Arc::new(NetworkNamespace::new().unwrap());
    let router = network.beside().unwrap();
    let outside = network.beside().unwrap();
    network.connect("room0", &router, "inside0").unwrap();
    outside.connect("server0", &router, "outside0").unwrap();
    network.ip("address add 10.69.1.1/24 dev room0").unwrap();
    network.ip("route add default via 10.69.1.2").unwrap();
    router.ip("address add 10.69.1.2/24 dev inside0").unwrap();
    router
        .ip("address add 198.51.100.2/24 dev outside0")
        .unwrap();
    outside
        .ip("address add 198.51.100.1/24 dev server0")
        .unwrap();
    router.translate("outside0").unwrap();
    let coturn = Coturn::start(&outside, &[SERVER], &authority).unwrap();
    let room = RoomSetup {
        place: Place {
            address: ROOM.into(),
            listen: Ipv4Addr::UNSPECIFIED.into(),
            peers: "10.69.1.0/24",
            network: Some(Arc::clone(&network)),
        },
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
        network,
        _coturn: coturn,
        _networks: [router, outside],
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
    let site = site(&urls, ROUTER.into(), None);
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
    let site = site(&urls, ROUTER.into(), None);
    let no_udp = "rule add pref 100 ipproto udp prohibit";
    site.network.ip(no_udp).unwrap();
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
