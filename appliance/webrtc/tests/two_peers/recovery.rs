//! How much of what a browser sends is there in time, over networks that lose packets.
//!
//! A camera of 2.6 Mbit/s (25 pictures a second of 14 packets, a whole picture of 100 each 4 s), and one of
//! 4 Mbit/s with larger ones. A picture is in time when its last packet is with media at the latest so
//! long after it would have been on a network that loses nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use netem::{LinkConditions, Loss, Probability};
use room::media_plan::Medium;
use webrtc::DatagramKind;

use crate::world::World;

/// What a browser sends.
#[derive(Clone, Copy, Debug)]
enum Camera {
    Usual,
    Large,
}

impl Camera {
    fn packets(self) -> fn(u64) -> u32 {
        match self {
            Self::Usual => |picture| if picture % 100 == 0 { 100 } else { 14 },
            Self::Large => |picture| if picture % 100 == 0 { 200 } else { 20 },
        }
    }
}

/// What came of the pictures of a run.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "they are printed")]
struct Recovered {
    /// The share of pictures that lost something on their way.
    hurt: f64,
    /// The shares of pictures that are whole at the latest one and two round trips and 60 ms late.
    in_one: f64,
    in_two: f64,
    /// The share that is never whole.
    never: f64,
    /// How late the slowest of 95 in 100 that were hurt became whole.
    late: Duration,
    /// Requests that were sent.
    nacks: u64,
}

fn run(camera: Camera, loss: Loss, round_trip: Duration, seed: u64) -> Recovered {
    let mut world = World::new(seed);
    world.picture_packets = camera.packets();
    world.connect();
    world.browser.keep_for_retransmission();
    let delay = round_trip / 2;
    let conditions = LinkConditions {
        delay,
        ..LinkConditions::default()
    };
    world.net.set_default_conditions(conditions);
    world.media = true;
    // The round trip is measured by then.
    world.run_for(Duration::from_secs(3));
    let first = world.sent_by_browser(Medium::Video);
    world
        .net
        .set_default_conditions(LinkConditions { loss, ..conditions });
    world.run_for(Duration::from_secs(20));
    world.net.set_default_conditions(conditions);
    let last = world.sent_by_browser(Medium::Video);
    world.run_for(Duration::from_secs(2));

    let sent = &world.sent_by_browser_at[Medium::Video as usize];
    let mut late: Vec<Option<Duration>> = vec![None; sent.len()];
    for (at, number) in world.arrivals_at_media(Medium::Video) {
        let number = number as usize;
        late[number] = Some(at.saturating_duration_since(sent[number] + delay));
    }
    // Packets of one picture are sent at one moment.
    let range = first as usize..last as usize;
    let mut pictures: Vec<Option<Duration>> = Vec::new();
    let mut previous = None;
    for index in range {
        if previous != Some(sent[index]) {
            previous = Some(sent[index]);
            pictures.push(Some(Duration::ZERO));
        }
        let whole = pictures.last_mut().unwrap();
        *whole = whole.zip(late[index]).map(|(one, other)| one.max(other));
    }
    let share = |most: Duration| {
        let there = pictures.iter().flatten().filter(|late| **late <= most);
        there.count() as f64 / pictures.len() as f64
    };
    let allowance = Duration::from_millis(60);
    let mut hurt: Vec<Duration> = pictures.iter().flatten().copied().collect();
    hurt.retain(|late| *late > Duration::from_millis(2));
    hurt.sort_unstable();
    Recovered {
        hurt: 1.0 - share(Duration::from_millis(2)),
        in_one: share(round_trip + allowance),
        in_two: share(2 * round_trip + allowance),
        never: 1.0 - share(Duration::MAX),
        late: hurt.get(hurt.len() * 95 / 100).copied().unwrap_or_default(),
        nacks: world.nacks_sent(Medium::Video),
    }
}

/// How many pictures of 100 have to be whole two round trips and 60 ms late, and how many never are at most.
struct Bar {
    camera: Camera,
    round_trip: u64,
    lost: f64,
    burst: u32,
    in_two: f64,
    never: f64,
}

const fn bar(camera: Camera, round_trip: u64, lost: f64, burst: u32, whole: [f64; 2]) -> Bar {
    let [in_two, never] = whole;
    Bar {
        camera,
        round_trip,
        lost,
        burst,
        in_two,
        never,
    }
}

/// Some four standard deviations from what was measured: a run repeats itself to the packet, and one packet more or
/// less on the way makes it another one. Of the large pictures over a long path a packet is asked for once only.
const BARS: [Bar; 8] = [
    bar(Camera::Usual, 50, 2.0, 1, [98.5, 1.0]),
    bar(Camera::Usual, 50, 5.0, 5, [96.5, 1.4]),
    bar(Camera::Usual, 100, 5.0, 1, [95.0, 3.0]),
    bar(Camera::Usual, 200, 2.0, 1, [97.5, 1.0]),
    bar(Camera::Usual, 200, 5.0, 1, [96.0, 2.0]),
    bar(Camera::Usual, 200, 10.0, 5, [90.0, 8.0]),
    bar(Camera::Large, 100, 5.0, 1, [95.0, 4.4]),
    bar(Camera::Large, 200, 5.0, 1, [86.0, 14.0]),
];

#[test]
fn lost_pictures_of_a_browser_are_whole_in_time() {
    for bar in BARS {
        let share = Probability::percent(bar.lost).unwrap();
        let loss = match bar.burst {
            1 => Loss::Random(share),
            length => Loss::Bursts { share, length },
        };
        let round_trip = Duration::from_millis(bar.round_trip);
        let recovered = run(bar.camera, loss, round_trip, 7 + bar.round_trip);
        let Bar { camera, .. } = bar;
        println!("{camera:?}, {round_trip:?}, {loss:?}: {recovered:.3?}");
        assert!(recovered.in_two * 100.0 >= bar.in_two, "{recovered:.3?}");
        assert!(recovered.never * 100.0 <= bar.never, "{recovered:.3?}");
    }
}

/// A network whose loss sets in while sound flows.
fn sound_through(mut world: World, loss: f64, round_trip: Duration) -> World {
    world.connect();
    let conditions = LinkConditions {
        delay: round_trip / 2,
        ..LinkConditions::default()
    };
    world.net.set_default_conditions(conditions);
    world.media = true;
    world.run_for(Duration::from_secs(4));
    world.net.set_default_conditions(LinkConditions {
        loss: Loss::Random(Probability::percent(loss).unwrap()),
        ..conditions
    });
    world.run_for(Duration::from_secs(30));
    world.net.set_default_conditions(conditions);
    world.run_for(Duration::from_secs(1));
    world.media = false;
    world.run_for(Duration::from_secs(1));
    world
}

/// The shares of sound that have reached the browser and media.
fn heard(world: &World) -> [f64; 2] {
    let at_media = world.received_by_media(Medium::Audio);
    let distinct: BTreeSet<u32> = at_media.iter().copied().collect();
    assert_eq!(distinct.len(), at_media.len(), "nothing is heard twice");
    let (at_browser, _) = world.heard_by_browser();
    let share = |heard: usize, sent: u32| heard as f64 / f64::from(sent);
    [
        share(at_browser.len(), world.sent_by_leg(Medium::Audio)),
        share(distinct.len(), world.sent_by_browser(Medium::Audio)),
    ]
}

fn sound_sent_again(world: &World) -> usize {
    let again = |kind: &DatagramKind| {
        let (medium, retransmission) = (Medium::Audio, true);
        matches!(kind, DatagramKind::Rtp { medium: it, retransmission: again, transport_sequence: None }
            if (*it, *again) == (medium, retransmission))
    };
    world.sent.iter().filter(|(_, kind)| again(kind)).count()
}

#[test]
fn lost_sound_is_sent_again_both_ways_where_the_browser_agrees() {
    for loss in [2.0, 5.0] {
        let world = sound_through(World::with_sound_nack(41), loss, Duration::from_millis(40));
        let [at_browser, at_media] = heard(&world);
        assert!(
            at_browser > 0.995 && at_media > 0.995,
            "{at_browser} {at_media}"
        );
        // Nothing is repeated beside that, and little is sent in vain.
        assert_eq!(world.heard_by_browser().1, 0);
        let sent = f64::from(world.sent_by_leg(Medium::Audio));
        let again = sound_sent_again(&world) as f64 / sent * 100.0;
        // 29 are lost of 1,750 where 2 % are: a run may have half as many.
        assert!((0.4 * loss..1.5 * loss).contains(&again), "{again}");
        assert!(world.nacks_sent(Medium::Audio) > 0);
    }
}

#[test]
fn sound_that_would_come_again_too_late_is_repeated_instead() {
    let world = sound_through(World::with_sound_nack(42), 5.0, Duration::from_millis(250));
    let (_, with_others) = world.heard_by_browser();
    assert!(with_others > 1_000, "{with_others}");
    let asked = world.nacks_sent(Medium::Audio);
    assert!(asked < 10, "{asked}");
}

#[test]
fn without_loss_no_sound_is_asked_for_and_none_is_repeated() {
    let world = sound_through(World::with_sound_nack(43), 0.0, Duration::from_millis(40));
    assert_eq!(heard(&world), [1.0, 1.0]);
    assert_eq!(world.heard_by_browser().1, 0);
    assert_eq!(sound_sent_again(&world), 0);
    assert_eq!(world.nacks_sent(Medium::Audio), 0);
}

#[test]
fn a_browser_that_does_not_agree_is_not_asked_for_sound() {
    let world = sound_through(World::new(44), 5.0, Duration::from_millis(60));
    assert_eq!(world.nacks_sent(Medium::Audio), 0);
    assert_eq!(sound_sent_again(&world), 0);
    assert!(world.heard_by_browser().1 > 1_000);
}
