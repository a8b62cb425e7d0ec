//! A real room whose machine gets another address while it is in a call.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use api::snapshot::{EndReason, LegState};
use system::authority::Authority;
use system::journal::Mark;
use system::network_namespace::NetworkNamespace;
use system::room_setup::{Place, Room, RoomSetup, end_reason};
use tempfile::TempDir;

/// For a state that comes at once on an idle machine.
const LIMIT: Duration = Duration::from_secs(30);

/// Where the far room is: beyond a router, whatever network the other is in.
const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 30, 0, 1));

/// A room on a network behind a router, and a far room beyond it.
struct Site {
    network: Arc<NetworkNamespace>,
    room: Room,
    far: Room,
    _folder: TempDir,
}

/// Two rooms on either side of a router; the first one uses ICE as it says, the other one when it is
/// offered.
fn site(ice: &'static str) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let network = Arc::new(NetworkNamespace::new().unwrap());
    let beyond = Arc::new(network.beside().unwrap());
    network.connect("room0", &beyond, "far0").unwrap();
    beyond.ip(&format!("address add {FAR}/32 dev lo")).unwrap();
    for router in ["192.168.77.1/24", "10.77.0.1/24"] {
        beyond
            .ip(&format!("address add {router} dev far0"))
            .unwrap();
    }
    network.ip("address add 192.168.77.2/24 dev room0").unwrap();
    network.ip("route add default via 192.168.77.1").unwrap();

    let mut setup = RoomSetup::new("room");
    setup.ice = ice;
    setup.place = Place {
        address: Ipv4Addr::new(192, 168, 77, 2).into(),
        listen: Ipv4Addr::UNSPECIFIED.into(),
        peers: "172.30.0.0/24",
        network: Some(Arc::clone(&network)),
    };
    let mut far = RoomSetup::new("far");
    far.place = Place {
        address: FAR,
        listen: FAR,
        peers: "0.0.0.0/0",
        network: Some(beyond),
    };
    Site {
        network,
        room: setup.start(&authority).unwrap(),
        far: far.start(&authority).unwrap(),
        _folder: folder,
    }
}

/// Waits for pictures in a room that were sent after `mark`.
fn assert_pictures_go_on(room: &Room, mark: Mark) {
    let mut received = None;
    room.wait_for_leg(mark, "pictures that go on", LIMIT, |leg| {
        let packets = leg.video.as_ref()?.stats.as_ref()?.stream.packets_received;
        let first = *received.get_or_insert(packets);
        (packets > first + 100).then_some(())
    })
    .unwrap();
}

#[test]
fn a_call_goes_on_at_the_new_address_and_the_far_end_hangs_up_there() {
    assert_goes_on(&site("answered"));
}

#[test]
fn a_call_over_ice_finds_its_way_anew_from_the_new_address() {
    let site = site("offered");
    assert_goes_on(&site);
    let found = |address: &str| {
        let log = site.far.roomd.log().entries();
        let found = log.iter().filter(|line| {
            line.contains("ICE has selected a pair") && line.contains(&format!("remote={address}:"))
        });
        found.count()
    };
    assert_eq!(found("192.168.77.2"), found("10.77.0.2"));
    assert!(found("10.77.0.2") >= 2, "sound and pictures");
}

fn assert_goes_on(site: &Site) {
    site.room.call(site.far.uri()).unwrap();
    for room in [&site.room, &site.far] {
        room.wait_for_media(Mark::default(), LIMIT).unwrap();
    }
    let legs = [&site.room, &site.far].map(|room| room.only_leg().unwrap().id);

    // The lease ends; after a while without any, the next one is of another network.
    site.network.ip("address flush dev room0").unwrap();
    site.room
        .roomd
        .log()
        .wait_for("word of no network", LIMIT, |line| {
            line.contains("no network").then_some(())
        })
        .unwrap();
    site.network
        .ip("address add 10.77.0.2/24 dev room0")
        .unwrap();
    site.network.ip("route add default via 10.77.0.1").unwrap();
    site.room
        .roomd
        .log()
        .wait_for("word of the new address", LIMIT, |line| {
            let told = line.contains("our addresses have changed") && line.contains("10.77.0.2");
            told.then_some(())
        })
        .unwrap();

    for (room, leg) in [&site.room, &site.far].into_iter().zip(legs) {
        assert_pictures_go_on(room, room.roomd.snapshot_mark());
        let standing = room.only_leg().unwrap();
        assert_eq!((standing.id, standing.state), (leg, LegState::Established));
    }
    // The far end knows the new place: its BYE arrives.
    site.far.roomd.roomctl(&["hangup"]).unwrap();
    let reason = site
        .room
        .wait_for_leg(Mark::default(), "an ended leg", LIMIT, end_reason)
        .unwrap();
    assert_eq!(reason, EndReason::RemoteHangUp);
}
