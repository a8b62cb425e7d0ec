//! Two ends of a leg with a bottleneck between them, in virtual time.

use std::collections::VecDeque;

use congestion::Gate;
use room::codec::PayloadType;
use room::units::Bitrate;

use super::*;

const TICK: Duration = Duration::from_millis(1);
/// One way, without a queue.
const DELAY: Duration = Duration::from_millis(20);
/// Bytes that the queue holds: 300 ms at 1 Mbit/s.
const QUEUE: u64 = 37_500;
const BOTH: Reported = Reported {
    main: true,
    slides: true,
};

fn sources() -> Sources {
    Sources {
        camera: Bitrate::kbps(2_000),
        slides: Bitrate::kbps(0),
    }
}

/// A packet of a stream.
fn packet(ssrc: u32, sequence: u16, bytes: usize) -> Bytes {
    let mut packet = vec![0; bytes];
    packet[0] = 0x80;
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
    packet.into()
}

/// A sender of pictures, a receiver, and the path between them.
struct Call {
    now: Instant,
    sender: LegCongestion,
    receiver: LegCongestion,
    /// What the path carries in a second, in bytes.
    capacity: u64,
    /// When the path has carried what it holds.
    free_at: Instant,
    under_way: VecDeque<(Instant, VideoRole, Bytes)>,
    reports: VecDeque<(Instant, VideoRole, Vec<u8>)>,
    reported: Reported,
    sequence: u16,
    /// What the encoder was told, and what it may still make in this moment.
    target: Bitrate,
    budget: u64,
    gate: Gate,
    changes: Vec<Change>,
    arrived: u64,
    lost: u64,
    /// The cable is pulled: what is sent is lost.
    is_cut_off: bool,
    /// The receiver's machine has no time until then.
    stalled_until: Option<Instant>,
}

impl Call {
    fn new(capacity: Bitrate) -> Self {
        let now = Instant::now();
        let end = || {
            let mut end = LegCongestion::new(now, u32::MAX - 100, sources());
            end.settle(now, BOTH, [None; 2], sources());
            end
        };
        Self {
            now,
            sender: end(),
            receiver: end(),
            capacity: capacity.as_bps() / 8,
            free_at: now,
            under_way: VecDeque::new(),
            reports: VecDeque::new(),
            reported: BOTH,
            sequence: u16::MAX - 50,
            target: sources().camera,
            budget: 0,
            gate: Gate::Open,
            changes: Vec::new(),
            arrived: 0,
            lost: 0,
            is_cut_off: false,
            stalled_until: None,
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut since_picture = Duration::ZERO;
        while self.now < end {
            self.now += TICK;
            since_picture += TICK;
            if since_picture >= Duration::from_millis(33) {
                since_picture = Duration::ZERO;
                self.make_picture();
            }
            self.deliver();
            self.carry_out();
        }
    }

    fn make_picture(&mut self) {
        self.budget += self.target.as_bps() / 8 * 33 / 1_000;
        if self.gate == Gate::Closed {
            self.budget = 0;
        }
        while self.budget >= 1_200 {
            self.budget -= 1_200;
            self.sequence = self.sequence.wrapping_add(1);
            let packet = packet(7, self.sequence, 1_200);
            let kept = self.sender.push(self.now, VideoRole::Main, packet);
            assert!(kept.is_none(), "it is reported");
        }
    }

    fn deliver(&mut self) {
        let due = self.sender.next_deadline(self.now);
        if due.is_some_and(|due| due <= self.now) {
            self.sender.handle_timeout(self.now);
        }
        while let Some((role, packet)) = self.sender.poll(self.now) {
            let medium = Medium::of_video(role);
            self.sender.sent(self.now, medium, &packet);
            let bytes = packet.len() as u64;
            let begin = self.free_at.max(self.now);
            let queued =
                begin.duration_since(self.now).as_nanos() as u64 * self.capacity / 1_000_000_000;
            if queued + bytes > QUEUE || self.is_cut_off {
                self.lost += bytes;
                continue;
            }
            self.free_at = begin + Duration::from_nanos(bytes * 1_000_000_000 / self.capacity);
            self.under_way
                .push_back((self.free_at + DELAY, role, packet));
        }
        if self.stalled_until.is_some_and(|until| self.now < until) {
            return;
        }
        self.stalled_until = None;
        while self
            .under_way
            .front()
            .is_some_and(|(at, ..)| *at <= self.now)
        {
            let (_, role, packet) = self.under_way.pop_front().unwrap();
            self.arrived += packet.len() as u64;
            self.receiver.received(self.now, role, &packet);
        }
        let due = self.receiver.next_deadline(self.now);
        if due.is_some_and(|due| due <= self.now) {
            self.receiver.handle_timeout(self.now);
        }
        while let Some((role, report)) = self.receiver.poll_feedback() {
            self.reports.push_back((self.now + DELAY, role, report));
        }
    }

    fn carry_out(&mut self) {
        while self.reports.front().is_some_and(|(at, ..)| *at <= self.now) {
            let (_, role, report) = self.reports.pop_front().unwrap();
            if self.reported.main {
                self.sender.received_control(self.now, 0, role, &report);
            }
        }
        while let Some(change) = self.sender.poll_change(self.now) {
            self.changes.push(change);
            match change {
                Change::Target(VideoRole::Main, target) => self.target = target,
                Change::Gate(gate) => self.gate = gate,
                Change::Target(VideoRole::Slides, _) | Change::StartOver => {}
            }
        }
    }
}

#[test]
fn a_path_that_carries_everything_changes_nothing() {
    let mut call = Call::new(Bitrate::kbps(10_000));
    call.run(Duration::from_secs(20));
    assert_eq!(call.changes, []);
    assert!(call.arrived > 4_500_000, "{}", call.arrived);
}

#[test]
fn the_target_follows_a_path_that_becomes_narrow_and_wide_again() {
    let mut call = Call::new(Bitrate::kbps(3_000));
    call.run(Duration::from_secs(5));
    assert_eq!(call.changes, []);
    call.capacity = 1_000_000 / 8;
    call.run(Duration::from_secs(1));
    assert!(call.target < Bitrate::kbps(1_000), "{:?}", call.target);
    (call.arrived, call.lost) = (0, 0);
    call.run(Duration::from_secs(10));
    let used = call.arrived * 8 / 10;
    assert!((750_000..=1_000_000).contains(&used), "{used}");
    assert!(call.lost < 20_000, "{}", call.lost);
    call.capacity = 3_000_000 / 8;
    call.run(Duration::from_secs(10));
    assert_eq!(call.target, sources().camera);
    assert_eq!(call.gate, Gate::Open);
}

#[test]
fn a_receiver_that_has_no_time_to_read_lowers_nothing() {
    let mut call = Call::new(Bitrate::kbps(10_000));
    call.run(Duration::from_secs(2));
    for _ in 0..50 {
        call.stalled_until = Some(call.now + Duration::from_millis(150));
        call.run(Duration::from_millis(400));
    }
    let lowered = |change: &&Change| matches!(change, Change::Target(..) | Change::StartOver);
    assert_eq!(call.changes.iter().find(lowered), None);
}

#[test]
fn a_receiver_that_is_always_late_sees_a_queue_all_the_same() {
    let mut call = Call::new(Bitrate::kbps(1_000));
    for _ in 0..250 {
        call.stalled_until = Some(call.now + Duration::from_millis(35));
        call.run(Duration::from_millis(60));
    }
    assert!(call.target < Bitrate::kbps(1_000), "{:?}", call.target);
    call.lost = 0;
    for _ in 0..100 {
        call.stalled_until = Some(call.now + Duration::from_millis(35));
        call.run(Duration::from_millis(60));
    }
    assert!(call.lost < 20_000, "{}", call.lost);
}

#[test]
fn a_far_end_that_settled_reports_and_makes_none_is_sent_what_it_takes() {
    let mut call = Call::new(Bitrate::kbps(10_000));
    call.reported.main = false;
    call.run(Duration::from_secs(5));
    assert_eq!(call.changes, []);
    assert!(call.arrived > 1_000_000, "{}", call.arrived);
}

#[test]
fn a_path_that_comes_back_after_an_outage_carries_pictures_again() {
    let mut call = Call::new(Bitrate::kbps(10_000));
    call.run(Duration::from_secs(5));
    call.is_cut_off = true;
    call.run(Duration::from_secs(12));
    (call.is_cut_off, call.arrived) = (false, 0);
    call.run(Duration::from_secs(2));
    assert!(call.arrived > 0, "it was tried");
    assert!(call.changes.contains(&Change::StartOver));
    call.run(Duration::from_secs(10));
    assert_eq!((call.target, call.gate), (sources().camera, Gate::Open));
}

#[test]
fn what_is_sent_again_leaves_first() {
    let mut call = Call::new(Bitrate::kbps(10_000));
    let sent_again = PayloadType::new(102);
    let (sender, now) = (&mut call.sender, call.now);
    sender.settle(now, BOTH, [sent_again, None], sources());
    let mut again = packet(8, 1, 1_200).to_vec();
    again[1] = 0x80 | 102;
    for sequence in 0..3 {
        sender.push(now, VideoRole::Main, packet(7, sequence, 1_200));
    }
    sender.push(now, VideoRole::Main, again.clone().into());
    let first = sender.poll(now).map(|(_, packet)| packet);
    assert_eq!(first, Some(again.into()));
}

#[test]
fn two_pictures_share_the_numbers_and_neither_counts_as_lost_for_the_other_s_report() {
    let mut call = Call::new(Bitrate::kbps(10_000));
    for round in 0..300_u16 {
        let slide = packet(9, round, 1_000);
        assert!(
            call.sender
                .push(call.now, VideoRole::Slides, slide)
                .is_none()
        );
        call.run(Duration::from_millis(40));
    }
    let bad = |change: &&Change| matches!(change, Change::StartOver | Change::Gate(Gate::Closed));
    assert_eq!(call.changes.iter().find(bad), None);
    assert_eq!(call.target, sources().camera);
}

#[test]
fn when_reports_are_settled_away_everything_may_flow_again() {
    let mut call = Call::new(Bitrate::kbps(300));
    call.run(Duration::from_secs(5));
    assert!(call.target < sources().camera);
    let none = Reported::default();
    call.sender.settle(call.now, none, [None; 2], sources());
    let picture = packet(7, 1, 1_200);
    let back = call.sender.push(call.now, VideoRole::Main, picture.clone());
    assert_eq!(back, Some(picture), "the transport paces it itself");
    call.carry_out();
    assert_eq!((call.target, call.gate), (sources().camera, Gate::Open));
    assert_eq!(call.sender.next_deadline(call.now), None);
}

/// An estimate of 1 Mbit/s (draft-alvestrand-rmcat-remb-03 section 2.2).
const ESTIMATE: [u8; 24] = [
    0x8f, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 1, 0x0b, 0xd0, 0x90, 0, 0, 0,
    7,
];

#[test]
fn a_far_end_without_reports_of_packets_bounds_the_target_by_what_it_takes() {
    let now = Instant::now();
    let mut leg = LegCongestion::new(now, 0, sources());
    leg.settle(now, Reported::default(), [None; 2], sources());
    let picture = packet(7, 1, 1_200);
    assert!(leg.push(now, VideoRole::Main, picture.clone()).is_some());
    leg.sent(now, Medium::Video, &picture);
    assert_eq!(leg.poll_change(now), None);
    leg.received_control(now, 0, VideoRole::Main, &ESTIMATE);
    let target = Change::Target(VideoRole::Main, Bitrate::bps(950_000));
    assert_eq!(leg.poll_change(now), Some(target));
    assert_eq!(leg.poll_change(now), None);
    leg.settle(now, Reported::default(), [None; 2], sources());
    assert_eq!(
        leg.poll_change(now),
        Some(target),
        "the call may have begun anew"
    );
    leg.received(now, VideoRole::Main, &picture);
    assert_eq!(leg.next_deadline(now), None, "nobody wants our reports");
}

#[test]
fn an_estimate_beside_reports_of_packets_is_not_heard() {
    let mut call = Call::new(Bitrate::kbps(10_000));
    call.run(Duration::from_secs(1));
    let now = call.now;
    call.sender
        .received_control(now, 0, VideoRole::Main, &ESTIMATE);
    call.run(Duration::from_secs(1));
    assert_eq!(call.changes, []);
}
