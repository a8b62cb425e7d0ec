//! How much a leg may send, and when: one controller and one pacer for all of its streams.
//!
//! ```text
//!  media ──packet of a picture──> [pacer] ──poll──> transport ──sent──┐
//!                                    ▲ rate, room                     ▼
//!  far end's reports ─────────────────────────────────────────> [controller]
//!                                                                     │
//!  driver <──Change: targets of encoders, gate, start over────────────┘
//! ```
//!
//! Sound and RTCP never wait. As long as the far end has not reported, nobody knows whether it will, and what
//! the sources make leaves as they make it. A far end that only names a most (REMB) is given no more than that.

use std::time::{Duration, Instant};

use congestion::{
    Action, Bitrate, Controller, Departure, Gate, Limits, Pacer, PacketKind, PacketReport,
};
use room::media_plan::VideoRole;
use room::units;

/// Less is no picture, and no sound beside it.
const LEAST: Bitrate = Bitrate::kbps(150.0);
/// What sound takes as long as it was not measured.
const FIRST_AUDIO: Bitrate = Bitrate::kbps(70.0);
/// From this target on there is room for sound that is sent twice, and from twice of it on, three times.
const REDUNDANCY: Bitrate = Bitrate::kbps(400.0);
/// Sound is measured over this long.
const AUDIO_WINDOW: Duration = Duration::from_secs(1);
/// Room above what the sources make, for their whole pictures and for what is sent again.
const HEADROOM: f64 = 1.3;
/// Where the path carries all that the sources make, a picture leaves so much faster than they make it:
/// waiting would only make it late.
const UNHINDERED: f64 = 2.5;
/// The same in a call of rooms, whose pictures are to leave at once unless they are whole ones.
const UNHINDERED_CALL: f64 = 8.0;
/// The same where the far end does not report: at the start, when somebody waits for the first picture.
const UNREPORTED: f64 = 8.0;
/// Slides that flowed within this long flow.
const SLIDES_FLOW: Duration = Duration::from_secs(2);
/// While pictures are held up, it is looked again so often whether they still have to be.
const HELD_UP_INTERVAL: Duration = Duration::from_millis(10);
/// The encoders hear of less from this part on,
const LESS: f64 = 0.98;
/// and of more from this part on,
const MORE: f64 = 1.05;
/// at most this often.
const RISE_INTERVAL: Duration = Duration::from_millis(100);

/// What the encoders of a leg's pictures make at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    /// The camera's.
    pub camera: units::Bitrate,
    /// That of slides.
    pub slides: units::Bitrate,
}

impl Sources {
    fn of(&self, role: VideoRole) -> Bitrate {
        let bitrate = match role {
            VideoRole::Main => self.camera,
            VideoRole::Slides => self.slides,
        };
        Bitrate::bps(bitrate.as_bps() as f64)
    }

    /// What everything together may need.
    fn most(&self) -> Bitrate {
        let pictures = VideoRole::ALL.map(|role| self.of(role));
        (pictures[0] + pictures[1] + FIRST_AUDIO) * HEADROOM
    }
}

/// What room and media have to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// An encoder is to make at most this for the leg.
    Target(VideoRole, units::Bitrate),
    /// Whether pictures may flow.
    Gate(Gate),
    /// What was to be sent of pictures, and what could be sent again, is worth nothing any more: a whole
    /// picture is needed.
    StartOver,
}

/// What is known of the path.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Knowledge {
    /// Nothing.
    Nothing,
    /// The far end names a most.
    Most(Bitrate),
    /// The far end reports what arrives.
    Reports,
}

/// What an encoder was told last, and when.
#[derive(Clone, Copy, Debug)]
struct Told {
    target: Bitrate,
    at: Instant,
}

/// Sound, as it is sent.
#[derive(Clone, Copy, Debug)]
struct Audio {
    rate: Bitrate,
    since: Instant,
    bytes: usize,
}

/// Congestion control of one leg whose packets are `P`.
#[derive(Debug)]
pub struct CongestionControl<P> {
    sources: Sources,
    controller: Controller,
    pacer: Pacer<P>,
    knowledge: Knowledge,
    audio: Audio,
    /// How much faster than the sources make it a picture leaves on a path that carries everything.
    unhindered: f64,
    /// Whether the far end reports sound as well; else what it reports is of pictures alone, and so is the target.
    is_audio_reported: bool,
    /// When slides last had a packet.
    slides_at: Option<Instant>,
    told: [Told; 2],
    /// Which of that is to be told again, changed or not.
    tell_again: [bool; 2],
    gate: Gate,
    start_over: bool,
}

impl<P> CongestionControl<P> {
    /// Nothing is known of the path yet.
    #[must_use]
    pub fn new(now: Instant, sources: Sources) -> Self {
        Self {
            sources,
            controller: controller(now, &sources, sources.most()),
            pacer: Pacer::default(),
            knowledge: Knowledge::Nothing,
            audio: Audio {
                rate: FIRST_AUDIO,
                since: now,
                bytes: 0,
            },
            unhindered: UNHINDERED,
            is_audio_reported: true,
            slides_at: None,
            told: VideoRole::ALL.map(|role| Told {
                target: sources.of(role),
                at: now,
            }),
            tell_again: [false; 2],
            gate: Gate::Open,
            start_over: false,
        }
    }

    /// The same for a call whose far end reports pictures, and no sound.
    #[must_use]
    pub fn of_pictures(now: Instant, sources: Sources) -> Self {
        Self {
            unhindered: UNHINDERED_CALL,
            is_audio_reported: false,
            ..Self::new(now, sources)
        }
    }

    /// The part of sound in what is reported.
    fn reported_audio(&self) -> Bitrate {
        if self.is_audio_reported {
            self.audio.rate
        } else {
            Bitrate::ZERO
        }
    }

    /// Packets go by another path from now on, or are numbered anew: what is known of the old one is worth
    /// nothing but as a guess, and what waits to be sent again is addressed and numbered for that.
    pub fn path_changed(&mut self, now: Instant) {
        self.pacer.clear_again();
        self.controller = controller(now, &self.sources, self.controller.target());
        self.knowledge = Knowledge::Nothing;
    }

    /// The encoders make at most this from now on. What was told is told again: who heard it may have begun anew.
    pub fn set_sources(&mut self, now: Instant, sources: Sources) {
        if self.sources != sources {
            self.sources = sources;
            let limits = limits(&sources, sources.most());
            self.controller.set_limits(now, limits);
        }
        self.tell_again = [true; 2];
    }

    /// Takes a packet of a picture, which is so large.
    pub fn push(&mut self, now: Instant, role: VideoRole, bytes: usize, packet: P) {
        if role == VideoRole::Slides {
            self.slides_at = Some(now);
        }
        self.pacer.push(now, bytes, packet);
    }

    /// Takes a packet that is to be sent again: before all others, and where many are lost twice, for what is lost
    /// twice is a picture that stands still.
    pub fn push_again(&mut self, now: Instant, bytes: usize, packet: P)
    where
        P: Clone,
    {
        if self.knowledge == Knowledge::Reports && self.controller.retransmission_copies() > 1 {
            self.pacer.push_copy(now, bytes, packet.clone());
        }
        self.pacer.push_again(now, bytes, packet);
    }

    /// The next packet that is to leave now.
    pub fn poll(&mut self, now: Instant) -> Option<Departure<P>> {
        let (rate, room) = (self.pacing_rate(), self.room());
        self.pacer.poll(now, rate, room)
    }

    /// A packet leaves. `sequence` is the number by which the far end will report it; `None` where it will not.
    pub fn sent(&mut self, now: Instant, kind: PacketKind, bytes: usize, sequence: Option<u64>) {
        if kind == PacketKind::Audio {
            self.audio.sent(now, bytes);
        }
        if let Some(sequence) = sequence {
            self.controller.on_sent(now, sequence, bytes, kind);
        }
    }

    /// The far end reports what has arrived.
    pub fn reported(&mut self, now: Instant, packets: &[PacketReport]) {
        self.knowledge = Knowledge::Reports;
        self.controller.on_feedback(now, packets);
        while let Some(action) = self.controller.poll_action() {
            match action {
                Action::StartOver => {
                    self.pacer.clear();
                    self.start_over = true;
                }
            }
        }
    }

    /// The far end wants at most this of everything together. What it reports tells more.
    pub fn limited_to(&mut self, most: units::Bitrate) {
        if self.knowledge != Knowledge::Reports {
            self.knowledge = Knowledge::Most(Bitrate::bps(most.as_bps() as f64).max(LEAST));
        }
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.knowledge == Knowledge::Reports && now >= self.controller.next_deadline() {
            self.controller.on_tick(now);
        }
    }

    /// When [`Self::handle_timeout`] and [`Self::poll`] are to be called next.
    #[must_use]
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let room = self.room();
        let paced = self.pacer.next_deadline(now, room);
        let reports = self.knowledge == Knowledge::Reports;
        // Without anything under way there is nothing to learn.
        let waits = self.controller.in_flight() > 0.0;
        let tick = waits.then(|| self.controller.next_deadline().max(now));
        // A gate closes and opens by time alone, too. Each turn looks at it; this is for when nothing else happens.
        let is_held_up = self.gate == Gate::Closed || room <= 0.0;
        let look = is_held_up.then(|| now + HELD_UP_INTERVAL);
        let control = tick.into_iter().chain(look).filter(|_| reports);
        paced.into_iter().chain(control).min()
    }

    /// What has changed for room and media; to be asked until there is nothing more.
    pub fn poll_change(&mut self, now: Instant) -> Option<Change> {
        if std::mem::take(&mut self.start_over) {
            return Some(Change::StartOver);
        }
        let gate = self.gate_now(now);
        if gate != self.gate {
            self.gate = gate;
            return Some(Change::Gate(gate));
        }
        let targets = self.targets(now);
        for (role, target) in VideoRole::ALL.into_iter().zip(targets) {
            let most = self.sources.of(role);
            let told = &mut self.told[role as usize];
            let again = std::mem::take(&mut self.tell_again[role as usize]);
            if again || told.is_news(now, target, most) {
                *told = Told { target, at: now };
                let target = units::Bitrate::bps(target.as_bps() as u64);
                return Some(Change::Target(role, target));
            }
        }
        None
    }

    /// How many earlier packets of sound the path has room for beside each one.
    #[must_use]
    pub fn room_for_redundancy(&self) -> usize {
        match self.knowledge {
            Knowledge::Reports => {
                let target = self.controller.target();
                usize::from(target >= REDUNDANCY) + usize::from(target >= REDUNDANCY * 2.0)
            }
            Knowledge::Nothing | Knowledge::Most(_) => usize::MAX,
        }
    }

    fn pacing_rate(&self) -> Bitrate {
        let most = self.sources.most();
        match self.knowledge {
            Knowledge::Reports if self.controller.target() < most => {
                self.controller.pacing_rate(self.reported_audio())
            }
            Knowledge::Reports => most * self.unhindered,
            Knowledge::Nothing | Knowledge::Most(_) => most * UNREPORTED.max(self.unhindered),
        }
    }

    /// How many bytes more the path may hold.
    fn room(&self) -> f64 {
        match self.knowledge {
            Knowledge::Reports => self.controller.window() - self.controller.in_flight(),
            Knowledge::Nothing | Knowledge::Most(_) => f64::INFINITY,
        }
    }

    fn gate_now(&self, now: Instant) -> Gate {
        let is_full = self.room() < 0.0;
        if is_full || self.pacer.is_behind(now, self.pacing_rate()) {
            Gate::Closed
        } else {
            Gate::Open
        }
    }

    /// What the encoders of camera and slides may make: all of it where the other one does not flow, and else
    /// slides come first, up to two thirds.
    fn targets(&self, now: Instant) -> [Bitrate; 2] {
        let [camera_most, slides_most] = VideoRole::ALL.map(|role| self.sources.of(role));
        let pictures = match self.knowledge {
            Knowledge::Nothing => return [camera_most, slides_most],
            Knowledge::Most(most) => most * 0.95 - self.audio.rate,
            Knowledge::Reports => self.controller.encoder_target(self.reported_audio()),
        };
        let slides_flow = self
            .slides_at
            .is_some_and(|at| now.saturating_duration_since(at) < SLIDES_FLOW);
        let (camera, slides) = if slides_flow {
            let camera = (pictures * (1.0 / 3.0)).max(pictures - slides_most);
            (camera, pictures - camera.min(camera_most))
        } else {
            (pictures, pictures)
        };
        [camera.min(camera_most), slides.min(slides_most)]
    }
}

impl Told {
    fn is_news(&self, now: Instant, target: Bitrate, most: Bitrate) -> bool {
        let may_rise = now.saturating_duration_since(self.at) >= RISE_INTERVAL;
        let is_more = target > self.target * MORE || (target >= most && self.target < most);
        target < self.target * LESS || (is_more && may_rise)
    }
}

impl Audio {
    fn sent(&mut self, now: Instant, bytes: usize) {
        self.bytes += bytes;
        let passed = now.saturating_duration_since(self.since);
        if passed >= AUDIO_WINDOW {
            *self = Self {
                rate: Bitrate::of(self.bytes as f64, passed),
                since: now,
                bytes: 0,
            };
        }
    }
}

fn controller(now: Instant, sources: &Sources, first: Bitrate) -> Controller {
    Controller::new(now, limits(sources, first))
}

fn limits(sources: &Sources, first: Bitrate) -> Limits {
    Limits {
        min: LEAST,
        max: sources.most(),
        first,
    }
}

#[cfg(test)]
mod tests;
