//! The controller: how much may be sent, from what the far end says of what has arrived.
//!
//! ```text
//!              queue above 40 ms, or loss above 15 %
//!   Growing ──────────────────────────────────────────► Draining
//!      ▲     the target falls to what the path carries      │
//!      │                                                    │ queue below 20 ms
//!      └────────────────────────────────────────────────────┘
//!        at 0.87 of that; slowly near it, fast far from it
//! ```
//!
//! Delay rules: the queue is kept short by looking at it, not by filling it. Loss counts only above what a bad
//! radio link loses by itself. The capacity is measured where it shows, in packets that came out of a
//! standing queue back to back.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::competition::{Competition, Competitors};
use crate::delay::{QueueingDelay, WindowedMinimum};
use crate::flight::{Fate, Flight, PacketKind};
use crate::loss::{LossJudge, Seen};
use crate::units::Bitrate;

/// A queue above this is too long, in seconds.
pub(crate) const LONG_QUEUE: f64 = 0.040;
/// A queue below this is as good as none.
pub(crate) const SHORT_QUEUE: f64 = 0.020;
/// The longest run of packets out of a standing queue by which the capacity is measured.
const LONGEST_RUN: f64 = 0.150;
/// What is left of the capacity once the queue is empty.
const AFTER_DRAIN: f64 = 0.87;
/// The window lets the path hold this much more than it needs, and what arrives between two reports.
const WINDOW_SLACK: Duration = Duration::from_millis(100);
/// A packet is lost when one has arrived that was sent this much later: a pacer reorders.
const REORDERING: Duration = Duration::from_millis(20);
/// Loss is judged over this long.
const LOSS_WINDOW: Duration = Duration::from_secs(1);
/// Loss above this is congestion, whatever the queue says.
const HIGH_LOSS: f64 = 0.15;
/// Without feedback for the round trip, the usual time between reports, and this, the target falls.
const SILENCE: Duration = Duration::from_millis(200);
/// How often reports come as long as that is not known, and at most, in seconds.
const REPORT_INTERVAL: f64 = 0.050;
const LONGEST_REPORT_INTERVAL: f64 = 0.300;
/// How fast that follows what is seen.
const REPORT_INTERVAL_FOLLOW: f64 = 0.1;
/// Near the rate of a policer the target grows so slowly, in kbit/s in a second.
const POLICED_GROWTH: f64 = 12.0;
/// In a silence, what was sent longer ago is forgotten: it would keep the gate closed, and nothing would ever
/// leave that could be reported.
const FORGOTTEN_IN_SILENCE: Duration = Duration::from_secs(1);
/// Where a silence was no longer than this and everything arrived meanwhile, only the reports were held up.
const SHORT_SILENCE: Duration = Duration::from_secs(2);
/// A tick that comes so late tells that this machine had no time: what was reported meanwhile is still to be read.
const STALL: Duration = Duration::from_millis(50);
/// How often the target falls in a silence, and to what part.
const SILENCE_STEP: Duration = Duration::from_millis(100);
const SILENCE_FACTOR: f64 = 0.7;
/// How often the controller wants to be called while the target may grow.
const TICK: Duration = Duration::from_millis(10);
/// Near the capacity that was seen last, growth is slow for this long.
const CAREFUL: Duration = Duration::from_secs(4);
/// Above this part of it without a queue, the capacity has grown since.
const OUTGROWN: f64 = 1.03;

/// Up to this part of the target, sound is as good as none beside pictures.
const USUAL_AUDIO: f64 = 0.15;
/// However much sound there is, pictures have this part.
const LEAST_PACED: f64 = 0.25;
/// Above this part of the target, more arrives than should be sent.
const OBEYED: f64 = 1.2;

/// What is left of the target after a loss while competing, as for CUBIC (RFC 9438 section 4.6).
const AFTER_LOSS: f64 = 0.7;
/// Bytes by which a competing sender grows in a round trip: a packet, as TCP (RFC 5681 section 3.1).
const SEGMENT: f64 = 1_500.0;
/// The growth is no slower than over this round trip: behind a queue of a second it would take minutes.
const LONGEST_ROUND_TRIP: Duration = Duration::from_millis(700);
/// From this share of loss on a packet that is sent again is sent twice.
const LOSSY: f64 = 0.015;
/// That is judged over this long.
const LOSSY_WINDOW: Duration = Duration::from_millis(2_500);

/// What bounds the target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Never less.
    pub min: Bitrate,
    /// Never more: what the sources can use.
    pub max: Bitrate,
    /// At the start.
    pub first: Bitrate,
}

/// What has become of a packet, as the far end says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketReport {
    /// Its number.
    pub sequence: u64,
    /// When it arrived, by the far end's clock; `None` when it has not.
    pub received: Option<Duration>,
}

/// Whether pictures may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// They may.
    Open,
    /// The path holds as much as it should: pictures are skipped before they are encoded.
    Closed,
}

/// What is to be done at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Too much of a picture is lost, or the path comes back after a long silence: what waits of pictures is worth
    /// nothing. Clear it, and what could be sent again, and begin with a whole picture when the gate opens.
    StartOver,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Growing,
    /// The queue is being emptied. `capacity` is what the path carries.
    Draining {
        capacity: Bitrate,
    },
}

/// What a packet showed that has arrived.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    received: f64,
    bytes: f64,
    queue: f64,
}

/// The controller of one path.
#[derive(Debug)]
pub struct Controller {
    limits: Limits,
    began: Instant,
    flight: Flight,
    queue: QueueingDelay,
    round_trip: WindowedMinimum,
    arrivals: VecDeque<Arrival>,
    target: Bitrate,
    phase: Phase,
    /// The capacity that was measured last, and when.
    capacity: Option<(Bitrate, Instant)>,
    competitors: Competitors,
    /// When the target last fell.
    cut: Option<Instant>,
    last_feedback: Option<Instant>,
    /// The usual time between two reports, in seconds.
    report_interval: f64,
    loss_judge: LossJudge,
    last_tick: Instant,
    silent_until: Instant,
    /// When the silence was first acted on, and the target before.
    silence: Option<(Instant, Bitrate)>,
    /// When this machine last had no time.
    stalled: Instant,
    /// Losses of packets that were sent before this are past.
    forgiven: Instant,
    lost_video: VecDeque<(Instant, f64)>,
    actions: VecDeque<Action>,
    /// Bytes of retransmissions of late.
    retransmitted: VecDeque<(Instant, f64)>,
    is_lossy: bool,
}

impl Controller {
    /// A controller of a path of which nothing is known.
    #[must_use]
    pub fn new(now: Instant, limits: Limits) -> Self {
        Self {
            limits,
            began: now,
            flight: Flight::default(),
            queue: QueueingDelay::default(),
            round_trip: WindowedMinimum::default(),
            arrivals: VecDeque::new(),
            target: limits.first.max(limits.min).min(limits.max),
            phase: Phase::Growing,
            capacity: None,
            competitors: Competitors::default(),
            cut: None,
            last_feedback: None,
            report_interval: REPORT_INTERVAL,
            loss_judge: LossJudge::default(),
            last_tick: now,
            silent_until: now,
            silence: None,
            stalled: now,
            forgiven: now,
            lost_video: VecDeque::new(),
            actions: VecDeque::new(),
            retransmitted: VecDeque::new(),
            is_lossy: false,
        }
    }

    /// Other limits from now on.
    pub fn set_limits(&mut self, now: Instant, limits: Limits) {
        self.begin_to_tick(now);
        self.limits = limits;
        self.set_target(self.target);
    }

    /// A packet leaves. Numbers grow by one from packet to packet.
    pub fn on_sent(&mut self, now: Instant, sequence: u64, bytes: usize, kind: PacketKind) {
        self.flight.sent(now, sequence, bytes, kind);
        if kind == PacketKind::Retransmission {
            self.retransmitted.push_back((now, bytes as f64));
        }
        let old = |sent: &(Instant, f64)| now.saturating_duration_since(sent.0) > LOSS_WINDOW;
        while self.retransmitted.front().is_some_and(old) {
            self.retransmitted.pop_front();
        }
    }

    /// The far end tells what has arrived.
    pub fn on_feedback(&mut self, now: Instant, packets: &[PacketReport]) {
        self.begin_to_tick(now);
        self.follow_reports(now);
        let numbers = || packets.iter().map(|report| report.sequence);
        if let (Some(first), Some(last)) = (numbers().min(), numbers().max()) {
            self.flight.told(first, last);
        }
        let mut newest: Option<Instant> = None;
        for report in packets {
            let Some(received) = report.received else {
                continue;
            };
            let Some(sent) = self.flight.received(report.sequence) else {
                continue;
            };
            newest = newest.max(Some(sent.at));
            let received = received.as_secs_f64();
            let delay = received - self.since_begin(sent.at).as_secs_f64();
            let queue = self.queue.add(self.since_begin(now), delay);
            self.arrivals.push_back(Arrival {
                received,
                bytes: sent.bytes,
                queue,
            });
            if self.arrivals.len() > 512 {
                self.arrivals.pop_front();
            }
        }
        let Some(newest) = newest else {
            return;
        };
        let round_trip = now.saturating_duration_since(newest).as_secs_f64();
        self.round_trip.add(self.since_begin(now), round_trip);
        self.judge_losses(now, newest);
        self.judge_queue(now);
        self.judge_silence(now);
    }

    /// The far end reports again: the target falls for a silence of the path, not of the reports.
    fn judge_silence(&mut self, now: Instant) {
        let Some((since, target)) = self.silence.take() else {
            return;
        };
        let was_short = now.saturating_duration_since(since) < SHORT_SILENCE;
        let is_unhurt = self.queue.get() < SHORT_QUEUE && self.loss(now) < LOSSY;
        if !was_short {
            // What waits is of before, and what was under way is lost.
            self.actions.push_back(Action::StartOver);
        } else if is_unhurt && self.phase == Phase::Growing {
            self.set_target(target.max(self.target));
        }
    }

    /// The target may leave the most from now on: nobody was late with ticks that were not due.
    fn begin_to_tick(&mut self, now: Instant) {
        if self.is_at_most() && now < self.next_deadline() {
            self.last_tick = self.last_tick.max(now);
        }
    }

    /// Whether nothing can grow.
    fn is_at_most(&self) -> bool {
        self.target >= self.limits.max
    }

    fn follow_reports(&mut self, now: Instant) {
        if let Some(last) = self.last_feedback {
            let gap = now.saturating_duration_since(last);
            self.competitors.unreported(gap);
            let gap = gap.as_secs_f64();
            // A report that was lost, or a silence, is no interval.
            let gap = gap.min(self.report_interval * 2.0 + 0.020);
            self.report_interval += (gap - self.report_interval) * REPORT_INTERVAL_FOLLOW;
            self.report_interval = self.report_interval.min(LONGEST_REPORT_INTERVAL);
        }
        self.last_feedback = Some(now);
    }

    fn report_interval(&self) -> Duration {
        Duration::from_secs_f64(self.report_interval.max(REPORT_INTERVAL))
    }

    fn judge_losses(&mut self, now: Instant, newest: Instant) {
        let Some(horizon) = newest.checked_sub(REORDERING) else {
            return;
        };
        let mut newest_lost = None;
        for lost in self.flight.lost_before(horizon) {
            newest_lost = Some(lost.at);
            if lost.at >= self.forgiven && lost.kind != PacketKind::Audio {
                self.lost_video.push_back((now, lost.bytes));
            }
        }
        self.is_lossy = self.loss_in(now, LOSSY_WINDOW) > LOSSY && self.queue.get() < LONG_QUEUE;
        let old = |lost: &(Instant, f64)| now.saturating_duration_since(lost.0) > LOSS_WINDOW;
        while self.lost_video.front().is_some_and(old) {
            self.lost_video.pop_front();
        }
        let lost: f64 = self.lost_video.iter().map(|(_, bytes)| bytes).sum();
        let high = HIGH_LOSS + self.loss_judge.usual();
        let congested = self.queue.get() > SHORT_QUEUE || self.loss(now) > high;
        let much = 0.1 + self.loss_judge.usual();
        if congested && lost > much * self.target.bytes_in(LOSS_WINDOW) {
            self.lost_video.clear();
            self.forgiven = now;
            self.actions.push_back(Action::StartOver);
        }
        if self.competition() == Competition::Competing {
            // Packets that left before the last cut say nothing of what came of it.
            let again = newest_lost.is_some_and(|at| self.cut.is_none_or(|cut| at > cut));
            if again && self.may_cut(now) {
                self.cut_to(now, self.target * AFTER_LOSS);
            }
        } else if self.loss(now) > high && self.may_cut(now) {
            let arrived = self.arrival_rate();
            let cut = (self.target * 0.85).min(arrived.max(self.target * 0.5));
            self.cut_to(now, cut);
        } else {
            self.judge_cause_of_loss(now);
        }
    }

    fn judge_cause_of_loss(&mut self, now: Instant) {
        if self.queue.get() > SHORT_QUEUE || self.phase != Phase::Growing {
            self.loss_judge.queue_is_long();
            return;
        }
        let since = self.loss_judge.since();
        let since = since.map_or(LOSS_WINDOW, |at| now.saturating_duration_since(at));
        let seen = Seen {
            lost: self.loss(now),
            packets: self.lost_in(now, LOSS_WINDOW).0,
            lost_since: self.loss_in(now, since.min(LOSS_WINDOW)),
            arriving: self.arrival_rate(),
            target: self.target,
            round_trip: self.round_trip_time(),
        };
        if let Some(target) = self.loss_judge.judge(now, seen) {
            self.cut = Some(now);
            self.set_target(target);
        }
    }

    /// The share of the packets of the last second that was lost, by when they were sent.
    fn loss(&self, now: Instant) -> f64 {
        self.loss_in(now, LOSS_WINDOW)
    }

    fn loss_in(&self, now: Instant, window: Duration) -> f64 {
        let (lost, known) = self.lost_in(now, window);
        if known < 20 {
            0.0
        } else {
            lost as f64 / known as f64
        }
    }

    /// How many packets were lost, of how many.
    fn lost_in(&self, now: Instant, window: Duration) -> (usize, usize) {
        let since = now.checked_sub(window).unwrap_or(self.began);
        let (mut lost, mut known) = (0, 0);
        for packet in self.flight.since(since.max(self.forgiven)) {
            match packet.fate {
                Fate::Lost => {
                    lost += 1;
                    known += 1;
                }
                Fate::Received => known += 1,
                Fate::Unknown | Fate::Unreported => {}
            }
        }
        (lost, known)
    }

    /// The rate at which packets arrive, over the last run of them.
    fn arrival_rate(&self) -> Bitrate {
        self.rate_of_run(|_| true, 0.5).unwrap_or(self.target)
    }

    fn judge_queue(&mut self, now: Instant) {
        let queue = self.queue.get();
        // A queue that stands while more is sent than should be is nobody else's.
        let is_obeyed = self.arrival_rate() / self.target <= OBEYED;
        if self.competitors.judge(now, queue, is_obeyed) == Competition::Competing {
            self.phase = Phase::Growing;
            return;
        }
        if let Phase::Draining { capacity } = self.phase
            && queue < SHORT_QUEUE
        {
            self.phase = Phase::Growing;
            self.forgiven = now;
            self.set_target(capacity * AFTER_DRAIN);
            return;
        }
        if queue <= LONG_QUEUE {
            return;
        }
        let standing = |arrival: &Arrival| arrival.queue > SHORT_QUEUE;
        let Some(capacity) = self.rate_of_run(standing, LONGEST_RUN) else {
            return;
        };
        if !self.may_cut(now) && capacity / self.target >= 0.6 {
            return;
        }
        let factor = (1.0 - (queue - SHORT_QUEUE) / 0.3).clamp(0.5, 0.9);
        self.capacity = Some((capacity, now));
        self.phase = Phase::Draining { capacity };
        self.cut_to(now, capacity * factor);
    }

    /// The rate of the newest run of packets of which all are so, at most `longest` seconds of it.
    fn rate_of_run(&self, so: impl Fn(&Arrival) -> bool, longest: f64) -> Option<Bitrate> {
        let newest = self.arrivals.back()?.received;
        let run = self.arrivals.iter().rev();
        let run: Vec<&Arrival> = run
            .take_while(|arrival| so(arrival) && newest - arrival.received <= longest)
            .collect();
        let oldest = run.last()?;
        let time = newest - oldest.received;
        if run.len() < 5 || time <= 0.0 {
            return None;
        }
        // The oldest one opens the time, and its bytes came before.
        let bytes: f64 = run.iter().map(|arrival| arrival.bytes).sum::<f64>() - oldest.bytes;
        Some(Bitrate::of(bytes, Duration::from_secs_f64(time)))
    }

    fn may_cut(&self, now: Instant) -> bool {
        let pause = self.round_trip_now() + self.report_interval();
        self.cut
            .is_none_or(|cut| now.saturating_duration_since(cut) >= pause)
    }

    fn cut_to(&mut self, now: Instant, target: Bitrate) {
        self.cut = Some(now);
        self.set_target(target.min(self.target));
    }

    /// Time passes. To be called at [`Self::next_deadline`].
    pub fn on_tick(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.last_tick);
        if passed < TICK {
            return;
        }
        if now.saturating_duration_since(self.next_deadline()) > STALL {
            self.stalled = now;
        }
        self.last_tick = now;
        // What this machine slept through says nothing of the path.
        let passed = passed.min(STALL);
        if self.is_silent(now) {
            self.flight.forget(now, FORGOTTEN_IN_SILENCE);
            if now >= self.silent_until {
                self.silence.get_or_insert((now, self.target));
                self.silent_until = now + SILENCE_STEP;
                self.cut_to(now, self.target * SILENCE_FACTOR);
            }
            return;
        }
        if self.competition() == Competition::Competing {
            self.grow_as_tcp(passed);
        } else if self.phase == Phase::Growing && self.queue.get() < SHORT_QUEUE + 0.010 {
            self.grow(now, passed);
        }
    }

    fn is_silent(&self, now: Instant) -> bool {
        let waits = self.flight.in_flight() > 0.0;
        waits && self.silent_after().is_some_and(|at| now > at)
    }

    /// Until when the far end may say nothing; `None` before it has said anything.
    fn silent_after(&self) -> Option<Instant> {
        let limit = self.round_trip_time() + self.report_interval() + SILENCE;
        Some(self.last_feedback?.max(self.stalled) + limit)
    }

    fn grow(&mut self, now: Instant, passed: Duration) {
        if self.is_application_limited(now) || self.gate() == Gate::Closed {
            return;
        }
        let outgrown = if self.queue.get() < SHORT_QUEUE / 2.0 {
            OUTGROWN
        } else {
            f64::INFINITY
        };
        let near = self.capacity.is_some_and(|(capacity, seen)| {
            let part = self.target / capacity;
            let recently = now.saturating_duration_since(seen) < CAREFUL;
            recently && part > 0.8 && part < outgrown
        });
        let policed = self.loss_judge.policed().is_some_and(|rate| {
            let part = self.target / rate;
            (0.9..OUTGROWN).contains(&part)
        });
        let (fixed, share) = if policed {
            (POLICED_GROWTH, 0.0)
        } else if near {
            (50.0, 0.01)
        } else {
            (100.0, 0.35)
        };
        let seconds = passed.as_secs_f64();
        let growth = Bitrate::kbps(fixed * seconds) + self.target * (share * seconds);
        self.set_target(self.target + growth);
    }

    /// A segment more in each round trip.
    fn grow_as_tcp(&mut self, passed: Duration) {
        let round_trip = self.round_trip_now().min(LONGEST_ROUND_TRIP);
        let round_trips = passed.as_secs_f64() / round_trip.as_secs_f64().max(0.01);
        let growth = Bitrate::of(SEGMENT * round_trips, round_trip);
        self.set_target(self.target + growth);
    }

    /// Whether the sources use less than half of what they may: then nothing is learnt about more.
    fn is_application_limited(&self, now: Instant) -> bool {
        let window = Duration::from_millis(500);
        let since = now.checked_sub(window).unwrap_or(self.began);
        let sent: f64 = self.flight.since(since).map(|packet| packet.bytes).sum();
        Bitrate::of(sent, window) / self.target < 0.5
    }

    fn set_target(&mut self, target: Bitrate) {
        self.target = target.max(self.limits.min).min(self.limits.max);
    }

    fn since_begin(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.began)
    }

    /// The shortest round trip of the last minute, the far end's pause between reports included.
    #[must_use]
    pub fn round_trip_time(&self) -> Duration {
        let seconds = self.round_trip.get().unwrap_or(0.1);
        Duration::from_secs_f64(seconds.clamp(0.0, 10.0))
    }

    /// What the queue of the path adds to a packet's delay now.
    #[must_use]
    pub fn queueing_delay(&self) -> Duration {
        Duration::from_secs_f64(self.queue.get().clamp(0.0, 60.0))
    }

    /// The round trip, and what the queue adds now where others fill it.
    fn round_trip_now(&self) -> Duration {
        match self.competition() {
            Competition::Yielding => self.round_trip_time(),
            Competition::Competing => self.round_trip_time() + self.queueing_delay(),
        }
    }

    /// Who else uses the path.
    #[must_use]
    pub fn competition(&self) -> Competition {
        self.competitors.competition()
    }

    /// How often a packet that was lost is sent again: what is lost twice is a picture that stands still.
    #[must_use]
    pub fn retransmission_copies(&self) -> u32 {
        if self.is_lossy { 2 } else { 1 }
    }

    /// What may be sent of everything together.
    #[must_use]
    pub fn target(&self) -> Bitrate {
        self.target
    }

    /// What is left for the encoder of pictures beside so much sound.
    #[must_use]
    pub fn encoder_target(&self, audio: Bitrate) -> Bitrate {
        let sent_again: f64 = self.retransmitted.iter().map(|(_, bytes)| bytes).sum();
        let sent_again = Bitrate::of(sent_again, LOSS_WINDOW).min(self.target * 0.2);
        self.target * 0.95 - audio - sent_again
    }

    /// How fast packets that wait may leave beside so much sound, which waits for nothing.
    #[must_use]
    pub fn pacing_rate(&self, audio: Bitrate) -> Bitrate {
        let rate = match self.phase {
            Phase::Growing => self.target * 1.5,
            Phase::Draining { .. } => self.target,
        };
        // A usual part of sound is within what the rates above leave free.
        (rate - (audio - self.target * USUAL_AUDIO)).max(rate * LEAST_PACED)
    }

    /// How many bytes may be under way.
    #[must_use]
    pub fn window(&self) -> f64 {
        let capacity = match self.phase {
            Phase::Growing => self.target,
            Phase::Draining { capacity } => capacity,
        };
        capacity.bytes_in(self.round_trip_now() + self.report_interval() + WINDOW_SLACK)
    }

    /// Bytes that are under way.
    #[must_use]
    pub fn in_flight(&self) -> f64 {
        self.flight.in_flight()
    }

    /// Whether pictures may be sent.
    #[must_use]
    pub fn gate(&self) -> Gate {
        if self.flight.in_flight() > self.window() {
            Gate::Closed
        } else {
            Gate::Open
        }
    }

    /// The next thing that is to be done at once.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Self::on_tick`] is to be called next: every 10 ms while the target may grow, and else when the far end is
    /// about to be silent. So much before that a machine without time is told from a far end that says nothing.
    #[must_use]
    pub fn next_deadline(&self) -> Instant {
        let tick = self.last_tick + TICK;
        let about_to_be_silent = self.silent_after().and_then(|at| at.checked_sub(STALL));
        match about_to_be_silent {
            Some(at) if self.is_at_most() => tick.max(at),
            Some(_) | None => tick,
        }
    }
}
