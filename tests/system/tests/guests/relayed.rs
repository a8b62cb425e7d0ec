//! Guests and a room whose router passes TCP on, by which pages and signalling come, and no UDP: they reach each
//! other by the room's TCP port for media, or by a TURN server.

use std::net::Ipv4Addr;

use api::snapshot::LegState;
use system::authority::Authority;
use system::browser::{Browser, View};
use system::coturn::Coturn;
use system::footage;
use system::room_setup::{Guests, Room, RoomSetup, Turn};
use system::routed_networks::RoutedNetworks;
use system::sound::Sound;

use crate::{LIMIT, assert_both_go_on, join, setup, wait_for_same};

/// Above this, one second of speech is heard clearly in another sound.
const CLEAR: f32 = 0.8;

const ROOM: Ipv4Addr = Ipv4Addr::new(10, 67, 1, 1);
const GUEST: Ipv4Addr = Ipv4Addr::new(10, 67, 2, 1);
/// What a slow network carries.
const SLOW_KBPS: u32 = 700;
/// The router, towards the room and towards the guest.
const ROUTER: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 67, 1, 2), Ipv4Addr::new(10, 67, 2, 2)];

struct Site {
    // The room ends before its networks do: fields are dropped in this order.
    room: Room,
    _coturn: Coturn,
    networks: RoutedNetworks,
}

/// Which ways there are besides UDP.
#[derive(Clone, Copy)]
enum Way<'a> {
    /// The room's TCP port for media.
    Tcp,
    /// A TURN server that the room reaches by these.
    Turn(&'a [&'a str]),
}

fn site(way: Way<'_>, setup: RoomSetup) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let networks = RoutedNetworks::lay([ROOM, ROUTER[0]], [ROUTER[1], GUEST]).unwrap();
    let router = &networks.router;
    let route = format!("route add default via {}", ROUTER[1]);
    networks.outside.ip(&route).unwrap();
    router.forward().unwrap();
    // What is for the router itself, and so for the server on it, is not routed.
    for interface in ["inside0", "outside0"] {
        let rule = format!("rule add pref 100 iif {interface} ipproto udp prohibit");
        router.ip(&rule).unwrap();
    }
    let coturn = Coturn::start(router, &ROUTER, &authority).unwrap();
    let room = RoomSetup {
        place: networks.place("10.67.0.0/16"),
        takes_media_by_tcp: matches!(way, Way::Tcp),
        turn: match way {
            Way::Tcp => None,
            Way::Turn(urls) => Some(Turn {
                urls: urls.iter().map(|url| (*url).to_owned()).collect(),
                secret_file: coturn.secret_file(),
            }),
        },
        ..setup
    };
    let room = room.start(&authority).unwrap();
    Site {
        room,
        _coturn: coturn,
        networks,
    }
}

/// A guest and the room see and hear each other by the server, which the room reaches in one way.
fn meet_by(urls: &[&str], transport: &str) {
    let site = site(Way::Turn(urls), setup(Guests::Automatically));
    let browser = Browser::start_within(&site.networks.outside, None).unwrap();
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
fn a_guest_and_the_room_see_and_hear_each_other_by_tcp() {
    let folder = tempfile::tempdir().unwrap();
    let heard = folder.path().join("loudspeaker");
    let (said, reply) = (footage::speech().unwrap(), footage::reply().unwrap());
    let mut setup = setup(Guests::Automatically);
    setup.sound = Some(reply.clone());
    setup.recording = Some(heard.clone());
    let site = site(Way::Tcp, setup);
    let browser = Browser::start_within(&site.networks.outside, Some(&said)).unwrap();
    let guest = join(&browser, &site.room, "Anna");
    guest.wait_for_frames(View::FarEnd, 60).unwrap();
    let log = site.room.roomd.log();
    log.wait_for("word of a path by TCP", LIMIT, |line| {
        let is_it = line.contains("media for a guest goes by this path");
        (is_it && line.contains("protocol=\"tcp\"")).then_some(())
    })
    .unwrap();

    let picture = guest.picture(View::FarEnd).unwrap();
    assert!(picture.stamp().is_some(), "the room's clock can be read");
    wait_for_same("the guest's camera in the room", || {
        let own = guest.picture(View::Own).unwrap();
        (own, site.room.roomd.picture("far-end").unwrap())
    });
    let clearest = guest.sound(6.0).unwrap().clearest_second(&reply).unwrap();
    assert!(clearest > CLEAR, "the guest hears the room: {clearest}");
    let received = Sound::read_samples(&heard, 48_000).unwrap();
    let clearest = received.clearest_second(&said).unwrap();
    assert!(clearest > CLEAR, "the room hears the guest: {clearest}");
}

#[test]
fn a_guest_by_tcp_goes_on_when_the_connection_breaks() {
    let site = site(Way::Tcp, setup(Guests::Automatically));
    let browser = Browser::start_within(&site.networks.outside, None).unwrap();
    let guest = join(&browser, &site.room, "Anna");
    let leg = site.room.only_leg().unwrap().id;
    let log = site.room.roomd.log();
    let mark = log.mark();
    site.networks.inside.break_connections(ROOM).unwrap();
    log.wait_after(mark, "word of another path", 2 * LIMIT, |line| {
        line.contains("media for a guest goes by this path")
            .then_some(())
    })
    .unwrap();
    assert_both_go_on(&site.room, &guest, leg);
}

#[test]
fn a_guest_by_tcp_goes_on_where_the_network_becomes_slow() {
    let site = site(Way::Tcp, setup(Guests::Automatically));
    let browser = Browser::start_within(&site.networks.outside, None).unwrap();
    let guest = join(&browser, &site.room, "Anna");
    let room = &site.room;
    let leg = room.only_leg().unwrap().id;
    let wait_for_target = |what: &str, wanted: &dyn Fn(u64) -> bool| {
        let mark = room.roomd.snapshot_mark();
        room.wait_for_leg(mark, what, LIMIT, |leg| {
            let rung = leg.video.as_ref()?.stats.as_ref()?.rung?;
            wanted(rung.target_bps).then_some(())
        })
        .unwrap();
    };
    wait_for_target("the whole picture", &|target| target > 2_000_000);
    site.networks.router.limit("outside0", SLOW_KBPS).unwrap();
    let most = u64::from(SLOW_KBPS) * 1_000;
    wait_for_target("a smaller picture", &|target| target < most);
    assert_both_go_on(room, &guest, leg);
    site.networks.router.unlimit("outside0").unwrap();
    wait_for_target("the whole picture again", &|target| target > 2_000_000);
    assert_both_go_on(room, &guest, leg);
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
