//! The two sizes in which Chromium sends a guest's camera.

use api::snapshot::{Leg, VideoFlow};
use system::browser::{Browser, Guest, View};
use system::journal::Mark;
use system::picture::Luma;
use system::room_setup::{Guests, Room};

use crate::{LIMIT, is_named, join, setup, start, wait_for_same};

const LARGE: (u32, u32) = (1_280, 720);
const SMALL: (u32, u32) = (640, 360);

/// In the page: the browser stops the large size, or sends it again, as it does by itself where its network changes.
fn switch_large(guest: &Guest<'_>, on: bool) {
    let script = format!(
        r#"(async () => {{
          const connection = keptConnections.findLast((each) => each.connectionState !== "closed");
          const sender = connection.getSenders().find(({{ track }}) => track?.kind === "video");
          const parameters = sender.getParameters();
          parameters.encodings[0].active = {on};
          await sender.setParameters(parameters);
          return parameters.encodings.map(({{ rid }}) => rid).join();
        }})()"#
    );
    assert_eq!(guest.evaluate(&script).unwrap(), "h,l");
}

fn received(leg: &Leg) -> Option<(u32, u32)> {
    let video = leg.video.as_ref()?;
    let size = video.stats.as_ref()?.received_resolution?;
    (video.flow == VideoFlow::Flowing).then_some((size.width, size.height))
}

/// The picture in the size of another, each pixel the mean of those in its place.
fn shrunk(picture: &Luma, (width, height): (usize, usize)) -> Luma {
    let (across, down) = (picture.width / width, picture.height / height);
    let mean = |place: usize| {
        let (x, y) = (place % width * across, place / width * down);
        let rows = (y..y + down).map(|row| row * picture.width + x);
        let sum: usize = rows
            .flat_map(|first| &picture.pixels[first..first + across])
            .map(|it| usize::from(*it))
            .sum();
        (sum / (across * down)) as u8
    };
    Luma {
        width,
        height,
        pixels: (0..width * height).map(mean).collect(),
    }
}

/// Waits until the room gets the guest's camera in that size.
fn wait_for_size(room: &Room, mark: Mark, size: (u32, u32)) {
    let what = format!("the camera in {size:?}");
    room.wait_for_leg(mark, &what, LIMIT, |leg| {
        (is_named(leg, "Anna") && received(leg) == Some(size)).then_some(())
    })
    .unwrap();
}

#[test]
fn the_room_goes_on_with_the_small_picture_where_the_large_one_stops() {
    let room = start(&setup(Guests::Automatically));
    let browser = Browser::start(None).unwrap();
    let guest = join(&browser, &room, "Anna");
    wait_for_size(&room, Mark::default(), LARGE);
    let same = |what| {
        wait_for_same(what, || {
            let own = guest.picture(View::Own).unwrap();
            let received = room.roomd.picture("far-end").unwrap();
            (shrunk(&own, (received.width, received.height)), received)
        });
    };
    for (on, size) in [(false, SMALL), (true, LARGE)] {
        let mark = room.roomd.snapshot_mark();
        switch_large(&guest, on);
        wait_for_size(&room, mark, size);
        same("the guest's camera in the room");
    }
    guest.wait_for_frames(View::FarEnd, 3).unwrap();
}

#[test]
fn beside_slides_the_room_takes_the_small_picture() {
    let room = start(&setup(Guests::Automatically));
    let browser = Browser::start(None).unwrap();
    let guest = join(&browser, &room, "Anna");
    wait_for_size(&room, Mark::default(), LARGE);
    for size in [SMALL, LARGE] {
        let mark = room.roomd.snapshot_mark();
        guest.press_share().unwrap();
        wait_for_size(&room, mark, size);
    }
}
