//! A guest on a slow network, beside a call on a good one.

use std::net::Ipv4Addr;
use std::sync::Arc;

use api::snapshot::{Leg, LegKind, Rung, RungName, VideoStats};
use system::authority::Authority;
use system::browser::{Browser, View};
use system::footage::Recording;
use system::journal::Mark;
use system::network_namespace::NetworkNamespace;
use system::room_setup::{Camera, Guests, Place, Room, RoomSetup};

use crate::{LIMIT, is_named, join, setup};

/// What the guest's network carries.
const SLOW_KBPS: u32 = 300;
/// The camera's picture at its bitrate, whole, is better than this.
const LEAST_PSNR: f64 = 28.0;
/// The camera's encoder gives 2.5 Mbit/s by itself.
const LEAST_WHOLE_BPS: u64 = 2_250_000;
/// Measurements of a second each over which pictures are counted.
const SECONDS: usize = 5;

fn video(leg: &Leg) -> Option<&VideoStats> {
    leg.video.as_ref()?.stats.as_ref()
}

fn is_whole(rung: Rung) -> bool {
    (rung.name, rung.fps) == (RungName::High, 30) && rung.target_bps >= LEAST_WHOLE_BPS
}

/// Waits until a leg of that kind is sent the camera's picture with all that it has, and gives what is sent.
fn wait_for_whole(room: &Room, mark: Mark, kind: LegKind) -> VideoStats {
    let what = format!("the whole picture to the {kind:?}");
    room.wait_for_leg(mark, &what, LIMIT, |leg| {
        let video = video(leg).filter(|_| leg.kind == kind)?;
        is_whole(video.rung?).then(|| video.clone())
    })
    .unwrap()
}

/// Pictures a second that a room without other legs gets, over some seconds from now on.
fn pictures_per_second(room: &Room) -> f64 {
    let mut seen = Vec::new();
    let mut packets = 0;
    let what = "measurements of the picture";
    room.wait_for_leg(room.roomd.snapshot_mark(), what, 2 * LIMIT, |leg| {
        let video = video(leg)?;
        // Snapshots come more often than measurements.
        if video.stream.packets_received != packets {
            packets = video.stream.packets_received;
            seen.push(video.received_fps);
        }
        // The first one is of the time before.
        (seen.len() > SECONDS).then_some(())
    })
    .unwrap();
    seen[1..].iter().sum::<f64>() / (seen.len() - 1) as f64
}

#[test]
fn a_guest_on_a_slow_network_takes_a_small_picture_and_leaves_the_call_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let network = Arc::new(NetworkNamespace::new().unwrap());
    let outside = network.beside().unwrap();
    network.connect("room0", &outside, "guest0").unwrap();
    network.ip("address add 10.66.0.1/24 dev room0").unwrap();
    outside.ip("address add 10.66.0.2/24 dev guest0").unwrap();
    let address = Ipv4Addr::new(10, 66, 0, 1).into();
    let place = Place {
        address,
        listen: address,
        peers: "10.66.0.0/24",
        network: Some(Arc::clone(&network)),
    };
    let recording = Recording::BigBuckBunny.file().unwrap();
    let room = RoomSetup {
        place: place.clone(),
        camera: Camera::Recording(recording.clone()),
        ..setup(Guests::Automatically)
    };
    let room = room.start(&authority).unwrap();
    let mut lobby = RoomSetup::new("lobby");
    lobby.place = place;
    let lobby = lobby.start(&authority).unwrap();
    lobby.call(room.uri()).unwrap();
    lobby.wait_for_media(Mark::default(), LIMIT).unwrap();

    let browser = Browser::start_within(&outside, None).unwrap();
    let guest = join(&browser, &room, "Anna");
    for kind in [LegKind::Guest, LegKind::Sip] {
        wait_for_whole(&room, Mark::default(), kind);
    }
    let seen_before = pictures_per_second(&lobby);

    let mark = room.roomd.snapshot_mark();
    network.limit("room0", SLOW_KBPS).unwrap();
    let small = room
        .wait_for_leg(mark, "the small picture", LIMIT, |leg| {
            let video = video(leg).filter(|_| is_named(leg, "Anna"))?;
            (video.rung?.name == RungName::Low).then(|| video.clone())
        })
        .unwrap();
    let most = u64::from(SLOW_KBPS) * 1_000;
    assert!(small.rung.unwrap().target_bps < most, "{small:?}");

    // The call has the picture that it had: whole, of the same size, as often, and at the same bitrate.
    let seen = pictures_per_second(&lobby);
    assert!(seen > 0.95 * seen_before, "{seen} after {seen_before}");
    let sent = wait_for_whole(&room, room.roomd.snapshot_mark(), LegKind::Sip);
    let size = sent.sent_resolution.unwrap();
    assert_eq!((size.width, size.height), (1_280, 720));
    let shown = lobby.roomd.picture("far-end").unwrap();
    let found = shown.best_match(&recording).unwrap();
    assert!(found.psnr > LEAST_PSNR, "{found:?}");

    // The guest's goes on, and it is whole again where the network allows that.
    guest.wait_for_frames(View::FarEnd, 30).unwrap();
    let mark = room.roomd.snapshot_mark();
    network.unlimit("room0").unwrap();
    wait_for_whole(&room, mark, LegKind::Guest);
    room.hang_up_with(&[&lobby], LIMIT).unwrap();
}
