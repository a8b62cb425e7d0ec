//! A leg on a path whose capacity is known.

use std::collections::VecDeque;

use super::*;

const SOURCES: Sources = Sources {
    camera: units::Bitrate::kbps(2_000),
    slides: units::Bitrate::kbps(1_000),
};
const TICK: Duration = Duration::from_millis(5);
const REPORT_INTERVAL: Duration = Duration::from_millis(50);
const DELAY: Duration = Duration::from_millis(20);
const AUDIO: usize = 150;

/// A leg whose encoder does as it is told, on a path that carries so much and holds 300 ms of it.
struct Call {
    control: CongestionControl<()>,
    begin: Instant,
    now: Instant,
    capacity: Bitrate,
    /// When the path has passed on all that it holds.
    free_at: Instant,
    sequence: u64,
    waiting: VecDeque<(u64, Option<Instant>)>,
    targets: [units::Bitrate; 2],
    flowing: Vec<VideoRole>,
    /// What the encoder makes at most, in bit/s.
    makes: f64,
    gate: Gate,
    started_over: u32,
    sent: usize,
}

impl Call {
    fn new(kbps: f64) -> Self {
        let now = Instant::now();
        Self {
            control: CongestionControl::new(now, SOURCES),
            begin: now,
            now,
            capacity: Bitrate::kbps(kbps),
            free_at: now,
            sequence: 0,
            waiting: VecDeque::new(),
            targets: [SOURCES.camera, SOURCES.slides],
            flowing: vec![VideoRole::Main],
            makes: f64::INFINITY,
            gate: Gate::Open,
            started_over: 0,
            sent: 0,
        }
    }

    fn leave(&mut self, kind: PacketKind, bytes: usize) {
        self.sequence += 1;
        self.sent += bytes;
        let number = Some(self.sequence);
        self.control.sent(self.now, kind, bytes, number);
        let begins = self.free_at.max(self.now);
        let is_lost = begins - self.now > Duration::from_millis(300);
        if !is_lost {
            self.free_at = begins + self.capacity.time_for(bytes as f64);
        }
        let arrives = (!is_lost).then_some(self.free_at + DELAY);
        self.waiting.push_back((self.sequence, arrives));
    }

    fn step(&mut self, number: u32) {
        if number.is_multiple_of(4) {
            self.leave(PacketKind::Audio, AUDIO);
        }
        if number.is_multiple_of(7) && self.gate == Gate::Open {
            for role in self.flowing.clone() {
                let target = self.targets[role as usize].as_bps() as f64;
                let target = target.min(self.makes);
                let mut bytes = Bitrate::bps(target).bytes_in(TICK * 7) as usize;
                while bytes > 0 {
                    let packet = bytes.min(1_200);
                    self.control.push(self.now, role, packet, ());
                    bytes -= packet;
                }
            }
        }
        while let Some(departure) = self.control.poll(self.now) {
            self.leave(departure.kind, departure.bytes);
        }
        self.control.handle_timeout(self.now);
        while let Some(change) = self.control.poll_change(self.now) {
            match change {
                Change::Target(role, target) => self.targets[role as usize] = target,
                Change::Gate(gate) => self.gate = gate,
                Change::StartOver => self.started_over += 1,
            }
        }
        self.now += TICK;
    }

    fn report(&mut self) {
        let seen = self.now.checked_sub(DELAY).unwrap_or(self.begin);
        let mut packets = Vec::new();
        while let Some((sequence, arrives)) = self.waiting.front().copied() {
            if arrives.is_some_and(|at| at > seen) {
                break;
            }
            self.waiting.pop_front();
            let received = arrives.map(|at| at - self.begin);
            packets.push(PacketReport { sequence, received });
        }
        if !packets.is_empty() {
            self.control.reported(self.now, &packets);
        }
    }

    fn run(&mut self, time: Duration, reports: bool) {
        for number in 0..(time.as_millis() / TICK.as_millis()) as u32 {
            self.step(number);
            let each = (REPORT_INTERVAL.as_millis() / TICK.as_millis()) as u32;
            if reports && number.is_multiple_of(each) {
                self.report();
            }
        }
    }
}

#[test]
fn a_path_that_carries_all_changes_nothing() {
    let mut call = Call::new(20_000.0);
    call.flowing.push(VideoRole::Slides);
    call.run(Duration::from_secs(10), true);
    assert_eq!(call.targets, [SOURCES.camera, SOURCES.slides]);
    assert_eq!((call.gate, call.started_over), (Gate::Open, 0));
    assert_eq!(call.control.room_for_redundancy(), 2);
}

#[test]
fn what_a_narrow_path_carries_is_used_and_its_queue_stays_short() {
    let mut call = Call::new(20_000.0);
    call.run(Duration::from_secs(3), true);
    call.capacity = Bitrate::kbps(500.0);
    call.run(Duration::from_secs(3), true);
    let (sent, since) = (call.sent, call.now);
    call.run(Duration::from_secs(10), true);
    let used = Bitrate::of((call.sent - sent) as f64, call.now - since) / call.capacity;
    assert!((0.75..1.05).contains(&used), "{used}");
    let queue = call.free_at.saturating_duration_since(call.now);
    assert!(queue < Duration::from_millis(150), "{queue:?}");
    assert!(call.targets[0] < units::Bitrate::kbps(500));

    call.capacity = Bitrate::kbps(20_000.0);
    call.run(Duration::from_secs(20), true);
    assert_eq!(call.targets, [SOURCES.camera, SOURCES.slides]);
}

#[test]
fn what_the_small_picture_is_sent_is_enough_to_learn_that_the_large_one_would_pass() {
    let mut call = Call::new(300.0);
    call.run(Duration::from_secs(10), true);
    assert!(call.targets[0] < units::Bitrate::kbps(300));
    // The room's ladder gives the small picture 9/20 of what the best leg has, and wants 3/4 of it for a rise.
    call.makes = 2_000_000.0 * 0.45;
    call.capacity = Bitrate::kbps(20_000.0);
    call.run(Duration::from_secs(15), true);
    let target = call.targets[0];
    assert!(target >= units::Bitrate::kbps(1_500), "{target}");
}

#[test]
fn slides_come_first_and_leave_a_third_to_the_camera() {
    let mut call = Call::new(600.0);
    call.flowing.push(VideoRole::Slides);
    call.run(Duration::from_secs(10), true);
    let [camera, slides] = call.targets.map(|target| target.as_bps() as f64);
    let part = slides / (camera + slides);
    assert!((0.6..0.72).contains(&part), "{part}");
    // Without slides, all of it is the camera's.
    call.flowing.pop();
    call.run(Duration::from_secs(10), true);
    let alone = call.targets[0].as_bps() as f64;
    assert!(alone > 1.8 * camera, "{alone} after {camera}");
}

#[test]
fn who_never_reports_gets_what_the_sources_make() {
    let mut call = Call::new(20_000.0);
    call.run(Duration::from_secs(10), false);
    assert_eq!(call.targets, [SOURCES.camera, SOURCES.slides]);
    assert_eq!(call.gate, Gate::Open);
}

#[test]
fn who_only_names_a_most_gets_no_more() {
    let mut call = Call::new(20_000.0);
    call.control.limited_to(units::Bitrate::kbps(800));
    call.run(Duration::from_secs(2), false);
    let camera = call.targets[0];
    assert!(camera < units::Bitrate::kbps(760), "{camera}");
    assert!(camera > units::Bitrate::kbps(600), "{camera}");
    // Whoever reports tells more than that.
    call.run(Duration::from_secs(2), true);
    call.control.limited_to(units::Bitrate::kbps(100));
    call.run(Duration::from_secs(2), true);
    assert_eq!(call.targets[0], SOURCES.camera);
}

#[test]
fn when_reports_cease_pictures_do_and_they_come_back() {
    let mut call = Call::new(20_000.0);
    call.run(Duration::from_secs(2), true);
    call.run(Duration::from_secs(3), false);
    assert!(call.targets[0] < units::Bitrate::kbps(100));
    call.run(Duration::from_secs(15), true);
    assert_eq!(call.targets[0], SOURCES.camera);
    assert_eq!(call.gate, Gate::Open);
}

#[test]
fn another_path_is_no_queue() {
    let mut call = Call::new(20_000.0);
    call.run(Duration::from_secs(5), true);
    // By a relay that is far away.
    call.control.path_changed(call.now);
    call.begin = call
        .begin
        .checked_sub(Duration::from_secs(2))
        .expect("a machine that runs for longer");
    call.run(Duration::from_secs(10), true);
    assert_eq!(call.targets[0], SOURCES.camera);
}

#[test]
fn on_another_path_pictures_leave_and_nothing_that_was_to_be_sent_again_on_the_old_one() {
    let now = Instant::now();
    let mut control = CongestionControl::new(now, SOURCES);
    control.push(now, VideoRole::Main, 100, "picture");
    control.push_again(now, 100, "again");
    control.path_changed(now);
    let later = now + Duration::from_secs(1);
    let left: Vec<&str> = std::iter::from_fn(|| control.poll(later))
        .map(|departure| departure.packet)
        .collect();
    assert_eq!(left, ["picture"]);
}
