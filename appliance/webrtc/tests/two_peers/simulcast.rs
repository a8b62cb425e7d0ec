//! A browser that sends its camera in two sizes.

use std::time::{Duration, Instant};

use netem::{LinkConditions, Loss, Probability};
use room::media_plan::Medium;
use webrtc::{Channel, CloseReason, DatagramKind, Event, SimulcastLayer};

use crate::world::{World, media_packet};

const LAYERS: [&str; 2] = ["h", "l"];
const HIGH: usize = 0;
const LOW: usize = 1;

/// Between two pictures.
const INTERVAL: Duration = Duration::from_millis(40);

/// Packets of a picture, and of a whole one, of each layer.
const PACKETS: [[u8; 2]; 2] = [[6, 20], [2, 6]];

const BYTES: usize = 600;

/// The first byte of a packet: that of a sequence parameter set, and that of a slice (RFC 6184).
const PARAMETERS: u8 = 0x67;
const SLICE: u8 = 0x41;

/// A camera that is encoded in two sizes, each with numbers and a clock of its own.
struct Camera {
    active: [bool; 2],
    wants_whole: [bool; 2],
    pictures: [u32; 2],
    sequences: [u64; 2],
    clocks: [u32; 2],
    requests_read: usize,
    /// When each picture of each layer was taken.
    taken: [Vec<Instant>; 2],
}

impl Default for Camera {
    fn default() -> Self {
        Self {
            active: [true; 2],
            wants_whole: [true; 2],
            pictures: [0; 2],
            // Both run over soon.
            sequences: [65_000, 65_400],
            clocks: [u32::MAX - 90_000, 1_234_567],
            requests_read: 0,
            taken: Default::default(),
        }
    }
}

impl Camera {
    /// Runs a while, with a picture now and then.
    fn run(&mut self, world: &mut World, duration: Duration) {
        let end = world.now + duration;
        while world.now < end {
            self.take_picture(world);
            world.run_for(INTERVAL);
        }
    }

    /// Runs until something is so, for ten seconds at most. Gives how long it took.
    fn run_until(&mut self, world: &mut World, what: impl Fn(&World) -> bool) -> Duration {
        let start = world.now;
        while !what(world) {
            assert!(
                world.now < start + Duration::from_secs(10),
                "it came about in ten seconds"
            );
            self.take_picture(world);
            world.run_for(INTERVAL);
        }
        world.now - start
    }

    fn take_picture(&mut self, world: &mut World) {
        let requests = &world.browser.seen.layer_requests;
        for (_, rid) in &requests[self.requests_read..] {
            let layer = LAYERS.iter().position(|name| *name == &**rid).unwrap();
            self.wants_whole[layer] = true;
        }
        self.requests_read = requests.len();
        let elapsed = (world.now - world.start).as_millis() as u32;
        for (layer, name) in LAYERS.into_iter().enumerate() {
            if !self.active[layer] {
                // A browser begins with a whole picture again.
                self.wants_whole[layer] = true;
                continue;
            }
            let whole = std::mem::take(&mut self.wants_whole[layer]);
            let number = self.pictures[layer];
            self.pictures[layer] += 1;
            self.taken[layer].push(world.now);
            let count = PACKETS[layer][usize::from(whole)];
            for index in 0..count {
                let mut payload = vec![0; BYTES];
                payload[0] = if whole && index == 0 {
                    PARAMETERS
                } else {
                    SLICE
                };
                payload[1..5].copy_from_slice(&[layer as u8, whole.into(), index, count]);
                payload[5..9].copy_from_slice(&number.to_be_bytes());
                self.sequences[layer] += 1;
                let timestamp = self.clocks[layer].wrapping_add(elapsed * 90);
                let marker = index + 1 == count;
                let sequence = self.sequences[layer];
                world
                    .browser
                    .send_layer(world.now, name, sequence, timestamp, marker, &payload);
                world.collect();
            }
        }
    }
}

/// A packet as media gets it.
#[derive(Clone, Debug)]
struct Seen {
    sequence: u64,
    timestamp: u32,
    marker: bool,
    layer: usize,
    whole: bool,
    index: u8,
    count: u8,
    number: u32,
    at: Instant,
}

/// What media has got, in the order of its numbers.
fn seen(world: &World) -> Vec<Seen> {
    let mut newest: Option<u64> = None;
    let mut packets = Vec::new();
    for (at, event) in &world.events {
        let Event::Media {
            medium: Medium::Video,
            channel: Channel::Rtp,
            payload: packet,
        } = event
        else {
            continue;
        };
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let known = *newest.get_or_insert(65_536 + u64::from(sequence));
        let distance = sequence.wrapping_sub(known as u16).cast_signed();
        let extended = known.saturating_add_signed(distance.into());
        newest = Some(known.max(extended));
        let payload = &packet[12..];
        assert_eq!(payload.len(), BYTES);
        packets.push(Seen {
            sequence: extended,
            timestamp: u32::from_be_bytes(packet[4..8].try_into().unwrap()),
            marker: packet[1] & 0x80 != 0,
            layer: payload[1].into(),
            whole: payload[2] == 1,
            index: payload[3],
            count: payload[4],
            number: u32::from_be_bytes(payload[5..9].try_into().unwrap()),
            at: *at,
        });
    }
    packets.sort_by_key(|packet| packet.sequence);
    for pair in packets.windows(2) {
        assert_ne!(pair[0].sequence, pair[1].sequence, "nothing comes twice");
    }
    packets
}

/// Pictures of one layer between two switches.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    layer: usize,
    pictures: usize,
}

/// Checks that a decoder could show every picture that media got, each in its time. Gives the layers in their order.
fn runs(camera: &Camera, world: &World) -> Vec<Run> {
    let packets = seen(world);
    for pair in packets.windows(2) {
        assert_eq!(pair[0].sequence + 1, pair[1].sequence, "no gap: {pair:?}");
    }
    pictures(camera, world.start, &packets)
}

fn pictures(camera: &Camera, start: Instant, packets: &[Seen]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut last: Option<&Seen> = None;
    // The last picture may be under way.
    let end = packets.iter().rposition(|packet| packet.marker).unwrap() + 1;
    let mut offset = None;
    for picture in packets[..end].chunk_by(|one, other| one.timestamp == other.timestamp) {
        let first = &picture[0];
        for (index, packet) in picture.iter().enumerate() {
            let is_of_it = packet.layer == first.layer && packet.number == first.number;
            assert!(
                is_of_it && usize::from(packet.index) == index,
                "{first:?} {packet:?}"
            );
            assert_eq!(packet.marker, index + 1 == picture.len(), "{picture:#?}");
        }
        assert_eq!(picture.len(), first.count.into(), "{first:?}");
        let follows =
            last.is_some_and(|last| last.layer == first.layer && last.number + 1 == first.number);
        assert!(follows || first.whole, "{last:?} {first:?}");
        match runs.last_mut() {
            Some(run) if run.layer == first.layer => run.pictures += 1,
            _ => runs.push(Run {
                layer: first.layer,
                pictures: 1,
            }),
        }
        if let Some(last) = last {
            let step = first.timestamp.wrapping_sub(last.timestamp).cast_signed();
            assert!(step > 0, "{last:?} {first:?}");
        }
        // One line of time, whatever the layers count from.
        let taken = camera.taken[first.layer][first.number as usize];
        let ticks = (taken - start).as_micros() as i64 * 9 / 100;
        let off = i64::from(first.timestamp.wrapping_sub(packets[0].timestamp)) - ticks;
        let offset = *offset.get_or_insert(off);
        assert!(
            (off - offset).abs() <= 20 * 90,
            "{} ticks off",
            off - offset
        );
        last = Some(first);
    }
    runs
}

fn layers(runs: &[Run]) -> Vec<usize> {
    runs.iter().map(|run| run.layer).collect()
}

fn shows(layer: usize) -> impl Fn(&World) -> bool {
    move |world| {
        seen(world)
            .last()
            .is_some_and(|packet| packet.layer == layer)
    }
}

fn received_layer(world: &World) -> Option<SimulcastLayer> {
    let mut streams = world.leg.stats().streams.iter();
    streams
        .find(|stream| stream.medium == Medium::Video)
        .unwrap()
        .received_layer
}

fn connected(seed: u64) -> (World, Camera) {
    let mut world = World::with_layers(seed, &LAYERS);
    world.connect();
    (world, Camera::default())
}

#[test]
fn media_gets_the_large_layer_alone_and_the_browser_gets_its_picture() {
    let (mut world, mut camera) = connected(60);
    let picture = [SLICE; 100];
    for number in 0..50 {
        let packet = media_packet(5, number, u32::from(number) * 3_600, true, &picture);
        world
            .leg
            .send_rtp(world.now, Medium::Video, &packet)
            .unwrap();
        camera.run(&mut world, INTERVAL);
    }
    camera.run(&mut world, Duration::from_secs(3));
    let runs = runs(&camera, &world);
    assert_eq!(layers(&runs), [HIGH]);
    assert!(runs[0].pictures >= 124, "{runs:?}");
    // The engine as a browser takes layers only, where it has offered to send some; others take this.
    let is_picture = |(_, kind): &&(Instant, DatagramKind)| {
        matches!(
            kind,
            DatagramKind::Rtp {
                medium: Medium::Video,
                ..
            }
        )
    };
    assert_eq!(world.sent.iter().filter(is_picture).count(), 50);
    assert_eq!(received_layer(&world), Some(SimulcastLayer::High));
    assert!(world.browser.seen.layer_requests.is_empty());
}

#[test]
fn where_the_large_layer_stops_the_small_one_goes_on_within_a_second() {
    for seed in 61..65 {
        let (mut world, mut camera) = connected(seed);
        let delay = Duration::from_millis(30);
        world.net.set_default_conditions(LinkConditions {
            delay,
            ..LinkConditions::default()
        });
        camera.run(&mut world, Duration::from_millis(2_500 + seed * 10));
        camera.active[HIGH] = false;
        let took = camera.run_until(&mut world, shows(LOW));
        assert!(took < Duration::from_secs(1), "{took:?}");
        camera.run(&mut world, Duration::from_secs(2));
        assert_eq!(received_layer(&world), Some(SimulcastLayer::Low));
        camera.active[HIGH] = true;
        let took = camera.run_until(&mut world, shows(HIGH));
        assert!(took < Duration::from_millis(200), "{took:?}");
        camera.run(&mut world, Duration::from_secs(2));
        let runs = runs(&camera, &world);
        assert_eq!(layers(&runs), [HIGH, LOW, HIGH]);
    }
}

#[test]
fn a_browser_that_can_send_the_small_layer_only_is_seen_soon() {
    let (mut world, mut camera) = connected(66);
    camera.active[HIGH] = false;
    let took = camera.run_until(&mut world, shows(LOW));
    assert!(took < Duration::from_millis(500), "{took:?}");
    camera.active[HIGH] = true;
    camera.run(&mut world, Duration::from_secs(1));
    assert_eq!(layers(&runs(&camera, &world)), [LOW, HIGH]);
}

#[test]
fn the_layer_that_is_asked_for_comes_from_its_next_whole_picture_on() {
    let (mut world, mut camera) = connected(67);
    camera.run(&mut world, Duration::from_secs(3));
    for (layer, wanted) in [(LOW, SimulcastLayer::Low), (HIGH, SimulcastLayer::High)] {
        let before = world.browser.seen.layer_requests.len();
        world.leg.set_simulcast_layer(Medium::Video, wanted);
        let took = camera.run_until(&mut world, shows(layer));
        assert!(took < Duration::from_millis(200), "{took:?}");
        camera.run(&mut world, Duration::from_secs(3));
        let requests = &world.browser.seen.layer_requests[before..];
        assert_eq!(requests.len(), 1);
        assert_eq!(&*requests[0].1, LAYERS[layer]);
        assert_eq!(received_layer(&world), Some(wanted));
    }
    assert_eq!(layers(&runs(&camera, &world)), [HIGH, LOW, HIGH]);
    // What media asks for is of the layer that it gets.
    world.leg.request_keyframe(world.now, Medium::Video);
    camera.run(&mut world, Duration::from_secs(1));
    let (_, rid) = world.browser.seen.layer_requests.last().unwrap();
    assert_eq!(&**rid, LAYERS[HIGH]);
}

#[test]
fn where_much_is_lost_switches_break_no_picture() {
    let (mut switches, mut gaps, mut packets) = (0, 0, 0);
    for seed in 70..74 {
        let (mut world, mut camera) = connected(seed);
        world.net.set_default_conditions(LinkConditions {
            delay: Duration::from_millis(40),
            jitter: Duration::from_millis(8),
            loss: Loss::Random(Probability::percent(5.0).unwrap()),
            reordering: Probability::percent(1.0).unwrap(),
            held_back: Duration::from_millis(15),
            ..LinkConditions::default()
        });
        camera.run(&mut world, Duration::from_secs(3));
        for round in 0..10 {
            let wanted = SimulcastLayer::ALL[(round + 1) % 2];
            world.leg.set_simulcast_layer(Medium::Video, wanted);
            camera.run(&mut world, Duration::from_secs(2));
        }
        // What was lost last comes again.
        world.net.set_default_conditions(LinkConditions::default());
        camera.run(&mut world, Duration::from_secs(1));
        let seen = seen(&world);
        packets += seen.len();
        gaps += seen
            .windows(2)
            .filter(|pair| pair[0].sequence + 1 != pair[1].sequence)
            .count();
        // Pictures between two gaps are whole and in their order.
        let mut before = None;
        for part in seen.chunk_by(|one, other| one.sequence + 1 == other.sequence) {
            let first = part
                .iter()
                .position(|packet| packet.index == 0)
                .unwrap_or(part.len());
            for picture in part[first..].chunk_by(|one, other| one.timestamp == other.timestamp) {
                let start = &picture[0];
                let is_of_it =
                    |packet: &Seen| packet.number == start.number && packet.layer == start.layer;
                assert!(picture.iter().all(is_of_it), "{picture:?}");
                if before.is_some_and(|layer| layer != start.layer) {
                    assert!(start.whole && start.index == 0, "{start:?}");
                    switches += 1;
                }
                before = Some(start.layer);
            }
        }
    }
    assert!(switches >= 36, "{switches}");
    assert!(gaps * 500 < packets, "{gaps} of {packets}");
}

#[test]
fn a_layer_that_begins_anew_goes_on_at_its_next_whole_picture() {
    let (mut world, mut camera) = connected(75);
    camera.run(&mut world, Duration::from_secs(2));
    world.browser.begin_layer_anew(LAYERS[HIGH]);
    camera.sequences[HIGH] = 7;
    camera.clocks[HIGH] = 99;
    camera.wants_whole[HIGH] = true;
    camera.run(&mut world, Duration::from_secs(3));
    assert_eq!(layers(&runs(&camera, &world)), [HIGH]);
    let whole = seen(&world)
        .into_iter()
        .filter(|packet| packet.whole && packet.index == 0);
    assert_eq!(whole.count(), 2);
}

#[test]
fn a_layer_that_begins_anew_all_the_time_costs_bounded_memory() {
    let (mut world, mut camera) = connected(76);
    let is_over = |world: &World| world.saw(&Event::Closed(CloseReason::LimitExceeded("sources")));
    for _ in 0..100 {
        for layer in LAYERS {
            world.browser.begin_layer_anew(layer);
        }
        camera.run(&mut world, INTERVAL);
    }
    assert!(is_over(&world));
    // Sources and half a second of pictures, as they came.
    assert!(seen(&world).len() < 64 * 26);
}

#[test]
fn a_line_time_is_kept_where_no_report_has_come_yet() {
    let (mut world, mut camera) = connected(77);
    world
        .leg
        .set_simulcast_layer(Medium::Video, SimulcastLayer::Low);
    camera.run(&mut world, Duration::from_millis(120));
    world
        .leg
        .set_simulcast_layer(Medium::Video, SimulcastLayer::High);
    camera.run(&mut world, Duration::from_secs(1));
    let runs = runs(&camera, &world);
    assert_eq!(layers(&runs).last(), Some(&HIGH));
    let last = seen(&world).pop().unwrap();
    assert!(last.at > world.start);
}
