//! One flow: a camera at 30 pictures a second that follows its target, sound beside it, and who receives both.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use congestion::{
    Action, Bitrate, Competition, Controller, Gate, Limits, Pacer, PacketKind, PacketReport,
};
use rand_chacha::ChaCha20Rng;

use crate::path::Ms;
use crate::random::Uniform;
use crate::scenario::FlowSettings;

/// Bytes of a full packet.
const PACKET: usize = 1_200;
/// How often a packet of sound leaves.
const AUDIO_INTERVAL: Ms = 20;
/// An encoder makes no less.
const LEAST_ENCODED: Bitrate = Bitrate::kbps(64.0);
/// From here on a gap between two pictures is a freeze.
pub(crate) const FREEZE: f64 = 183.0;
/// How often a packet is asked for again, and how many times.
const ASK_AGAIN: Ms = 110;
const ASKS: u32 = 5;
/// A receiver that waits for so long asks for a whole picture.
const PATIENCE: Ms = 300;

/// A packet of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Piece {
    pub(crate) picture: u64,
    pub(crate) index: usize,
    pub(crate) count: usize,
    pub(crate) is_whole: bool,
}

/// What travels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content {
    pub(crate) flow: usize,
    pub(crate) sequence: u64,
    pub(crate) sent: Ms,
    pub(crate) piece: Option<Piece>,
}

/// What a receiver tells.
#[derive(Debug, Default)]
pub(crate) struct Feedback {
    reports: Vec<PacketReport>,
    missing: Vec<Piece>,
    wants_whole: bool,
}

pub(crate) struct Sender {
    flow: usize,
    begin: Instant,
    rng: ChaCha20Rng,
    controller: Controller,
    pacer: Pacer<Piece>,
    sizes: HashMap<Piece, usize>,
    sequence: u64,
    picture: u64,
    next_picture: f64,
    next_audio: Ms,
    wants_whole: bool,
    settings: FlowSettings,
}

impl Sender {
    pub(crate) fn new(
        flow: usize,
        begin: Instant,
        settings: FlowSettings,
        rng: ChaCha20Rng,
    ) -> Self {
        let start = settings.start;
        let limits = Limits {
            min: Bitrate::kbps(100.0),
            max: Bitrate::kbps(6_000.0),
            first: Bitrate::kbps(1_000.0),
        };
        Self {
            flow,
            begin,
            rng,
            controller: Controller::new(at(begin, start), limits),
            pacer: Pacer::default(),
            sizes: HashMap::new(),
            sequence: 0,
            picture: 0,
            next_picture: start as f64,
            next_audio: start,
            wants_whole: true,
            settings,
        }
    }

    pub(crate) fn competition(&self) -> Competition {
        self.controller.competition()
    }

    pub(crate) fn feedback(&mut self, now: Ms, feedback: &Feedback) {
        let instant = at(self.begin, now);
        if !feedback.reports.is_empty() {
            self.controller.on_feedback(instant, &feedback.reports);
        }
        self.wants_whole |= feedback.wants_whole;
        for piece in &feedback.missing {
            if let Some(bytes) = self.sizes.get(piece) {
                self.pacer.push_again(instant, *bytes, *piece);
                for _ in 1..self.controller.retransmission_copies() {
                    self.pacer.push_copy(instant, *bytes, *piece);
                }
            }
        }
    }

    /// A millisecond passes. Gives what leaves.
    pub(crate) fn step(&mut self, now: Ms) -> Vec<(usize, Content)> {
        if now < self.settings.start {
            return Vec::new();
        }
        let instant = at(self.begin, now);
        let activity = self.settings.activity_at(now);
        if instant >= self.controller.next_deadline() {
            self.controller.on_tick(instant);
        }
        while let Some(Action::StartOver) = self.controller.poll_action() {
            self.pacer.clear();
            self.sizes.clear();
            self.wants_whole = true;
        }
        if now as f64 >= self.next_picture {
            self.next_picture += 1_000.0 / 30.0;
            if activity > 0.0 {
                self.encode(instant, activity);
            }
        }
        let mut leaving = Vec::new();
        if now >= self.next_audio {
            self.next_audio += AUDIO_INTERVAL;
            if activity > 0.0 {
                leaving.push(self.leave(now, self.settings.audio, PacketKind::Audio, None));
            }
        }
        loop {
            let room = self.controller.window() - self.controller.in_flight();
            let rate = self.controller.pacing_rate(self.sound());
            let Some(departure) = self.pacer.poll(instant, rate, room) else {
                return leaving;
            };
            let piece = Some(departure.packet);
            leaving.push(self.leave(now, departure.bytes, departure.kind, piece));
        }
    }

    fn sound(&self) -> Bitrate {
        Bitrate::of(
            self.settings.audio as f64,
            Duration::from_millis(AUDIO_INTERVAL),
        )
    }

    fn encode(&mut self, now: Instant, activity: f64) {
        let rate = self.controller.pacing_rate(self.sound());
        if self.controller.gate() == Gate::Closed || self.pacer.is_behind(now, rate) {
            return;
        }
        let target = self.controller.encoder_target(self.sound());
        let target = target.max(LEAST_ENCODED);
        let noise = 0.85 + 0.3 * self.rng.uniform();
        let is_whole = std::mem::take(&mut self.wants_whole);
        let size = if is_whole { 3.0 } else { 1.0 };
        let bytes = target.bytes_in(Duration::from_secs(1)) / 30.0 * noise * size * activity;
        let count = ((bytes / PACKET as f64).ceil() as usize).max(1);
        self.picture += 1;
        for index in 0..count {
            let piece = Piece {
                picture: self.picture,
                index,
                count,
                is_whole,
            };
            let bytes = (bytes / count as f64).max(100.0) as usize;
            self.sizes.insert(piece, bytes);
            self.pacer.push(now, bytes, piece);
        }
        let oldest = self.picture.saturating_sub(30);
        self.sizes.retain(|piece, _| piece.picture > oldest);
    }

    fn leave(
        &mut self,
        now: Ms,
        bytes: usize,
        kind: PacketKind,
        piece: Option<Piece>,
    ) -> (usize, Content) {
        self.sequence += 1;
        let instant = at(self.begin, now);
        self.controller.on_sent(instant, self.sequence, bytes, kind);
        let content = Content {
            flow: self.flow,
            sequence: self.sequence,
            sent: now,
            piece,
        };
        (bytes, content)
    }
}

fn at(begin: Instant, now: Ms) -> Instant {
    begin + Duration::from_millis(now)
}

#[derive(Default)]
pub(crate) struct Receiver {
    arrived: BTreeMap<u64, f64>,
    reported: u64,
    pictures: BTreeMap<u64, Picture>,
    shown: u64,
    last_shown: Option<Ms>,
    asked: HashMap<Piece, (Ms, u32)>,
    asked_for_whole: Ms,
    stuck_since: Option<Ms>,
    /// Gaps between pictures that were freezes, by their end.
    pub(crate) freezes: Vec<(Ms, f64)>,
    /// What sound waited beyond the path's own delay.
    pub(crate) audio_waits: Vec<f64>,
    /// How much faster the clock runs than the sender's, in millionths.
    drift: f64,
}

#[derive(Default)]
struct Picture {
    count: usize,
    is_whole: bool,
    pieces: BTreeSet<usize>,
}

impl Picture {
    fn is_complete(&self) -> bool {
        self.count > 0 && self.pieces.len() == self.count
    }
}

impl Receiver {
    pub(crate) fn with_drift(drift: f64) -> Self {
        Self {
            drift,
            ..Self::default()
        }
    }

    pub(crate) fn arrived(&mut self, now: f64, delay: f64, content: &Content) {
        self.arrived.insert(content.sequence, now);
        let Some(piece) = content.piece else {
            self.audio_waits.push(now - content.sent as f64 - delay);
            return;
        };
        if piece.picture > self.shown {
            let picture = self.pictures.entry(piece.picture).or_default();
            picture.count = piece.count;
            picture.is_whole = piece.is_whole;
            picture.pieces.insert(piece.index);
            self.asked.remove(&piece);
        }
    }

    pub(crate) fn step(&mut self, now: Ms) {
        loop {
            let next = self.pictures.get(&(self.shown + 1));
            let next = next
                .filter(|picture| picture.is_complete())
                .map(|_| self.shown + 1);
            let whole = self.pictures.iter();
            let whole = whole
                .filter(|(_, picture)| picture.is_whole && picture.is_complete())
                .map(|(number, _)| *number)
                .next_back();
            let Some(number) = next.or(whole) else {
                break;
            };
            self.show(now, number);
        }
        let waits = !self.pictures.is_empty();
        self.stuck_since = match (waits, self.stuck_since) {
            (true, None) => Some(now),
            (true, since) => since,
            (false, _) => None,
        };
    }

    fn show(&mut self, now: Ms, number: u64) {
        if let Some(last) = self.last_shown {
            let gap = (now - last) as f64;
            if gap > FREEZE {
                self.freezes.push((now, gap));
            }
        }
        self.last_shown = Some(now);
        self.shown = number;
        self.pictures = self.pictures.split_off(&(number + 1));
        self.stuck_since = None;
    }

    pub(crate) fn tell(&mut self, now: Ms) -> Feedback {
        let mut feedback = Feedback::default();
        let Some(newest) = self.arrived.keys().next_back().copied() else {
            return feedback;
        };
        let clock = 1.0 + self.drift * 1e-6;
        for sequence in self.reported + 1..=newest {
            let received = self.arrived.get(&sequence);
            let received = received.map(|at| Duration::from_secs_f64(at / 1_000.0 * clock));
            feedback.reports.push(PacketReport { sequence, received });
        }
        self.reported = newest;
        self.arrived = self.arrived.split_off(&newest);
        let stuck = self.stuck_since.is_some_and(|since| now - since > PATIENCE);
        if stuck && now >= self.asked_for_whole + PATIENCE {
            self.asked_for_whole = now;
            feedback.wants_whole = true;
        }
        feedback
    }

    /// What is to be sent again, if anything.
    pub(crate) fn ask(&mut self, now: Ms) -> Option<Feedback> {
        let mut feedback = Feedback::default();
        let (newest, _) = self.pictures.last_key_value()?;
        let newest = *newest;
        for (number, picture) in &self.pictures {
            // Of the newest picture more may be on the way.
            let last = picture.pieces.last().copied().unwrap_or(0);
            let end = if *number == newest {
                last
            } else {
                picture.count
            };
            for index in (0..end).filter(|index| !picture.pieces.contains(index)) {
                let piece = Piece {
                    picture: *number,
                    index,
                    count: picture.count,
                    is_whole: picture.is_whole,
                };
                let (asked, times) = self.asked.entry(piece).or_insert((0, 0));
                if *times < ASKS && (*times == 0 || now >= *asked + ASK_AGAIN) {
                    (*asked, *times) = (now, *times + 1);
                    feedback.missing.push(piece);
                }
            }
        }
        (!feedback.missing.is_empty()).then_some(feedback)
    }
}
