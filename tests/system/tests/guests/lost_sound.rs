//! Sound of a guest and of the room over a network that loses packets in rows.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use system::authority::Authority;
use system::browser::{Browser, Guest, Language, Screen, View};
use system::emulated_link::{Conditions, EmulatedLink};
use system::network_namespace::NetworkNamespace;
use system::poll;
use system::room_setup::{Guests, Place, Room, RoomSetup};

use crate::{LIMIT, is_named, setup};

const NEAR: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 2);
/// Losses come in rows, which a repetition in the next packet does not help.
const LOSSY: Conditions = Conditions {
    delay: Duration::from_millis(15),
    loss: 0.05,
    burst: 3,
    ..Conditions::NONE
};
/// Samples of 48 kHz within which the browser learns how long it has to wait for what is sent again, and the room
/// what serves best.
const SETTLING: u64 = 5 * 48_000;
/// Samples in which concealed ones are counted.
const MEASURED: u64 = 20 * 48_000;

/// In the page: it offers as the browser by itself does.
const WITHOUT_NACK: &str = r#"(() => {
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (text) {
    return send.call(this, text.replace(/a=rtcp-fb:111 nack\\r\\n/g, ""));
  };
})()"#;

/// In the page: what W3C's statistics say of sound.
const SOUND: &str = r#"(async () => {
  const connection = keptConnections.findLast((each) => each.connectionState !== "closed");
  const found = {};
  for (const report of (await connection.getStats()).values()) {
    if (report.kind !== "audio") continue;
    if (report.type === "inbound-rtp") {
      found.concealed = report.concealedSamples;
      found.samples = report.totalSamplesReceived;
      found.asked = report.nackCount ?? 0;
    }
    if (report.type === "outbound-rtp") {
      found.again = report.retransmittedPacketsSent ?? 0;
    }
  }
  return found;
})()"#;

/// What the browser counts, of all sound so far.
#[derive(Clone, Copy, Debug)]
struct Counts {
    samples: u64,
    concealed: u64,
    asked: u64,
    again: u64,
}

/// What became of sound in a run.
#[derive(Clone, Copy, Debug)]
struct Sound {
    /// The share of what the guest heard that its browser made up, 0 to 1.
    concealed: f64,
    /// Requests that its browser sent for the room's sound.
    asked: u64,
    /// Packets of its own that it sent again.
    again: u64,
    /// Packets of its that the room never got.
    lost: u64,
}

fn counts(guest: &Guest<'_>) -> Counts {
    let found = guest.evaluate(SOUND).unwrap();
    let count = |name: &str| found[name].as_u64().unwrap_or(0);
    Counts {
        samples: count("samples"),
        concealed: count("concealed"),
        asked: count("asked"),
        again: count("again"),
    }
}

/// Waits until the browser has played so many samples more, and counts.
fn counts_after(guest: &Guest<'_>, samples: u64) -> Counts {
    let first = counts(guest).samples;
    poll::until("sound is played", 2 * LIMIT, || {
        let now = counts(guest);
        Ok((now.samples >= first + samples).then_some(now))
    })
    .unwrap()
}

fn lost(room: &Room) -> u64 {
    let snapshot = room.roomd.snapshot().unwrap();
    let leg = snapshot.legs.iter().find(|leg| is_named(leg, "Anna"));
    let audio = leg.unwrap().audio.as_ref().unwrap();
    audio.stats.as_ref().unwrap().packets_lost
}

/// Joins, lets packets be lost, and measures.
fn run(nack: bool) -> Sound {
    let near = Arc::new(NetworkNamespace::new().unwrap());
    let far = near.beside().unwrap();
    let link = EmulatedLink::connect((&near, NEAR), (&far, FAR), 5).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let room = RoomSetup {
        place: Place {
            address: NEAR.into(),
            listen: NEAR.into(),
            peers: "10.78.0.0/24",
            network: Some(Arc::clone(&near)),
        },
        ..setup(Guests::Automatically)
    };
    let room = room.start(&authority).unwrap();
    let browser = Browser::start_within(&far, None).unwrap();
    let invitation = room.invite().unwrap().url;
    let guest = browser.visit(&invitation, Language::English).unwrap();
    if !nack {
        guest.evaluate(WITHOUT_NACK).unwrap();
    }
    guest.join_as("Anna").unwrap();
    guest.wait_for_screen(Screen::Call).unwrap();
    guest.wait_for_frames(View::FarEnd, 3).unwrap();
    link.change_both(LOSSY).unwrap();
    let before = counts_after(&guest, SETTLING);
    let lost_before = lost(&room);
    let after = counts_after(&guest, MEASURED);
    let samples = after.samples - before.samples;
    Sound {
        concealed: (after.concealed - before.concealed) as f64 / samples as f64,
        asked: after.asked - before.asked,
        again: after.again - before.again,
        lost: lost(&room) - lost_before,
    }
}

#[test]
fn lost_sound_comes_again_and_is_not_made_up() {
    let without = run(false);
    let with = run(true);
    println!("without {without:?}, with {with:?}");
    assert_eq!((without.asked, without.again), (0, 0), "{without:?}");
    assert!(with.asked > 0 && with.again > 0, "{with:?}");
    // Of 100 packets five are lost. What the browser makes up of the rest differs more between two runs alike than
    // between the two ways.
    assert!(with.concealed < 0.01, "{with:?} {without:?}");
    assert!(2 * with.lost < without.lost, "{with:?} {without:?}");
}
