//! Two real rooms in a call over a path that becomes narrow: what is sent follows, and the picture goes on.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use api::snapshot::{Leg, LegState, VideoFlow};
use system::authority::Authority;
use system::journal::Mark;
use system::network_namespace::NetworkNamespace;
use system::room_setup::{Place, Room, RoomSetup};
use tempfile::TempDir;

/// For a state that comes within seconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A room that sends through a path of limited capacity, and a far room that does not.
struct Site {
    network: Arc<NetworkNamespace>,
    room: Room,
    far: Room,
    _folder: TempDir,
}

impl Site {
    fn new(kilobits: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path()).unwrap();
        let network = Arc::new(NetworkNamespace::new().unwrap());
        let beyond = Arc::new(network.beside().unwrap());
        network.connect("room0", &beyond, "far0").unwrap();
        network.ip("address add 192.168.77.2/24 dev room0").unwrap();
        beyond.ip("address add 192.168.77.1/24 dev far0").unwrap();
        let site = |name: &str, last, network: &Arc<NetworkNamespace>| {
            let address = IpAddr::V4(Ipv4Addr::new(192, 168, 77, last));
            let mut setup = RoomSetup::new(name);
            setup.place = Place {
                address,
                listen: address,
                peers: "192.168.77.0/24",
                network: Some(Arc::clone(network)),
            };
            setup.start(&authority).unwrap()
        };
        let site = Self {
            room: site("room", 2, &network),
            far: site("far", 1, &beyond),
            network,
            _folder: folder,
        };
        site.limit(kilobits);
        site
    }

    /// Has the path carry that much; what the room tells from here on is of it.
    fn limit(&self, kilobits: u32) -> Mark {
        let mark = self.room.roomd.snapshot_mark();
        self.network.limit("room0", kilobits).unwrap();
        mark
    }

    /// Waits until what the room is to send of its picture is so.
    fn wait_for_target(&self, mark: Mark, what: &str, so: impl Fn(u64) -> bool) {
        self.room
            .wait_for_leg(mark, what, LIMIT, |leg| so(target(leg)?).then_some(()))
            .unwrap();
    }

    /// Waits until the far room has taken that many more packets of pictures that it shows.
    fn assert_pictures_go_on(&self, packets: u64) {
        let mut first = None;
        let mark = self.far.roomd.snapshot_mark();
        self.far
            .wait_for_leg(mark, "pictures that go on", LIMIT, |leg| {
                let video = leg.video.as_ref()?;
                let received = video.stats.as_ref()?.stream.packets_received;
                let first = *first.get_or_insert(received);
                let flows = video.flow == VideoFlow::Flowing;
                (flows && received > first + packets).then_some(())
            })
            .unwrap();
    }
}

/// What the encoder is to make for a leg.
fn target(leg: &Leg) -> Option<u64> {
    let video = leg.video.as_ref()?;
    Some(video.stats.as_ref()?.rung?.target_bps)
}

#[test]
fn what_is_sent_follows_a_path_that_becomes_narrow_and_the_picture_goes_on() {
    let site = Site::new(3_000);
    site.room.call(site.far.uri()).unwrap();
    for room in [&site.room, &site.far] {
        room.wait_for_media(Mark::default(), LIMIT).unwrap();
    }
    let legs = [&site.room, &site.far].map(|room| room.only_leg().unwrap().id);
    site.assert_pictures_go_on(500);
    let before = target(&site.room.only_leg().unwrap()).unwrap();
    assert!(before > 1_000_000, "as configured: {before}");

    let mark = site.limit(1_000);
    site.wait_for_target(mark, "a target below the path", |now| now < 1_000_000);
    site.assert_pictures_go_on(500);

    let mark = site.limit(10_000);
    site.wait_for_target(mark, "the target as it was", |now| now >= before);
    site.assert_pictures_go_on(500);
    for (room, leg) in [&site.room, &site.far].into_iter().zip(legs) {
        let standing = room.only_leg().unwrap();
        assert_eq!((standing.id, standing.state), (leg, LegState::Established));
    }
}
