//! Real rooms that call each other by IPv6.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::fs;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use api::snapshot::VideoFlow;
use system::authority::Authority;
use system::baresip::Transport;
use system::journal::Mark;
use system::network_namespace::NetworkNamespace;
use system::room_setup::{Place, Room, RoomSetup, Slides};

/// For a state that comes at once on an idle machine.
const LIMIT: Duration = Duration::from_secs(30);

fn hang_up(caller: &Room, callee: &Room) {
    caller.hang_up_with(&[callee], LIMIT).unwrap();
}

#[test]
fn two_rooms_on_ipv6_hear_and_see_each_other_and_one_sees_the_slides_of_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    for (transport, ice) in [(Transport::Tls, "answered"), (Transport::Udp, "offered")] {
        let [caller, callee] = ["caller", "callee"].map(|name| {
            let mut setup = RoomSetup::new(name);
            setup.place = Place::ipv6_loopback();
            setup.slides = Slides::Simulated;
            (setup.transport, setup.ice) = (transport, ice);
            setup.start(&authority).unwrap()
        });
        caller.call(callee.uri()).unwrap();
        for room in [&caller, &callee] {
            room.wait_for_media(Mark::default(), LIMIT).unwrap();
        }
        // The floor is asked for and granted by IPv6 too.
        callee.roomd.roomctl(&["slides", "on"]).unwrap();
        caller
            .wait_for_leg(Mark::default(), "slides", LIMIT, |leg| {
                let slides = leg.slides.as_ref()?;
                (slides.stream.flow == VideoFlow::Flowing).then_some(())
            })
            .unwrap();
        for room in [&caller, &callee] {
            let log = room.roomd.log().entries();
            let found = log.iter().filter(|line| line.contains("ICE has selected"));
            let expected = if ice == "offered" { 3 } else { 0 };
            assert_eq!(found.count(), expected, "a way for each stream, if any");
        }
        hang_up(&caller, &callee);
    }
}

#[test]
fn a_room_of_both_ip_versions_calls_a_name_that_has_an_ipv6_address_alone() {
    const NAME: &str = "board.example";
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let hosts = folder.path().join("hosts");
    fs::write(&hosts, format!("127.0.0.1 localhost\n::1 {NAME}\n")).unwrap();
    let network = Arc::new(NetworkNamespace::with_hosts(Some(&hosts)).unwrap());
    // By IPv4 there is a way out, which leads to anybody but the callee.
    network.ip("address add 192.0.2.50/24 dev lo").unwrap();
    let mut callee = RoomSetup::new(NAME);
    callee.place = Place {
        network: Some(Arc::clone(&network)),
        ..Place::ipv6_loopback()
    };
    let mut caller = RoomSetup::new("caller");
    caller.place = Place {
        listen: Ipv6Addr::UNSPECIFIED.into(),
        ..callee.place.clone()
    };
    let callee = callee.start(&authority).unwrap();
    let caller = caller.start(&authority).unwrap();
    let port = callee.sip_port();
    caller.call(&format!("sip:{NAME}@{NAME}:{port}")).unwrap();
    for room in [&caller, &callee] {
        room.wait_for_media(Mark::default(), LIMIT).unwrap();
    }
    hang_up(&caller, &callee);
}
