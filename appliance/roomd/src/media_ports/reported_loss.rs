//! How much of a picture is sent to a far end that does not say what becomes of each packet: by the loss and the
//! round trip of its reception reports (RFC 3550 section 6.4), and by the most that it says it takes (REMB).
//!
//! ```text
//!              loss above 12 %, or a round trip that stays 250 ms longer than the shortest
//!   Unlimited ──────────────────────────────────────────────────────────────────────────► Limited
//!       ▲                                                                                    │
//!       └──────────── the limit has grown to what the encoder makes at most ◄────────────────┘
//!                     by 5 % a second while less than 2 % is lost
//! ```
//!
//! Such reports come once a second or less, and tell of a full queue only when it has overflown or stands: so
//! this acts late and carefully. A far end that reports nothing is sent what is configured.

use std::time::{Duration, Instant};

use room::units::Bitrate;

use crate::rtcp::reception_report::ReceptionReport;

/// Loss above this is congestion,
const HIGH_LOSS: f64 = 0.12;
/// and below this there is none.
const LOW_LOSS: f64 = 0.02;
/// A round trip that is so much longer than the shortest is a queue.
const LONG_QUEUE: Duration = Duration::from_millis(250);
/// It has to be so in as many reports one after the other.
const LONG_REPORTS: u32 = 2;
/// What is left where a queue stands.
const AFTER_QUEUE: f64 = 0.85;
/// Where so many such cuts one after the other shorten nothing, the path itself has become longer.
const MOST_QUEUE_CUTS: u32 = 4;
/// The part of the loss by which less is sent.
const LOSS_PART: f64 = 0.5;
/// Growth in a second.
const GROWTH: f64 = 0.05;
/// Reports that come less often than this let it grow for no longer.
const LONGEST_GROWTH: Duration = Duration::from_secs(2);
/// What a report tells of packets that left before the last cut is not heard for the round trip and this.
const PAUSE: Duration = Duration::from_millis(500);
/// Reports on fewer packets tell nothing.
const ENOUGH: u32 = 20;
/// The shortest round trip is that of so long, or twice as long.
const SHORTEST_WINDOW: Duration = Duration::from_secs(30);
/// What is left of the most that a far end takes for RTP payload.
const PAYLOAD: f64 = 0.95;
/// Less is no picture.
const LEAST: Bitrate = Bitrate::kbps(150);
/// Streams of which reports are known: the picture, what is sent again, and those before.
const MOST_STREAMS: usize = 4;

/// What is known of one picture's way.
#[derive(Debug, Default)]
pub struct ReportedLoss {
    /// What the encoder makes at most.
    most: Bitrate,
    /// What the reports allow; `None` where that is all.
    limit: Option<Bitrate>,
    /// What the far end says it takes.
    takes: Option<Bitrate>,
    /// Our streams with the highest number that was reported of each.
    streams: Vec<(u32, Option<u32>)>,
    shortest: [Option<Duration>; 2],
    shortest_since: Option<Instant>,
    round_trip: Duration,
    /// Reports one after the other that showed a queue.
    long: u32,
    /// Cuts for a queue that has stood since.
    queue_cuts: u32,
    last_cut: Option<Instant>,
    last_growth: Option<Instant>,
    told: Option<Bitrate>,
    /// Whether that is to be told again, changed or not.
    tell_again: bool,
}

/// A part of a bitrate.
fn part(bitrate: Bitrate, part: f64) -> Bitrate {
    Bitrate::bps((bitrate.as_bps() as f64 * part) as u64)
}

impl ReportedLoss {
    /// The encoder makes at most this from now on. What was told is told again: who heard it may have begun anew.
    pub fn set_most(&mut self, most: Bitrate) {
        self.most = most;
        self.tell_again = self.told.is_some();
    }

    /// A packet of that stream leaves.
    pub fn sent(&mut self, ssrc: u32) {
        if self.streams.iter().all(|(known, _)| *known != ssrc) {
            if self.streams.len() == MOST_STREAMS {
                self.streams.remove(0);
            }
            self.streams.push((ssrc, None));
        }
    }

    /// The far end says that it takes this much.
    pub fn takes(&mut self, most: Bitrate) {
        self.takes = Some(part(most, PAYLOAD).max(LEAST));
    }

    /// The far end has reported. `ntp` is the time in 1/65536 s by the clock of our sender reports.
    pub fn reported(&mut self, now: Instant, ntp: u32, report: &ReceptionReport) {
        let stream = self
            .streams
            .iter_mut()
            .find(|(ssrc, _)| *ssrc == report.ssrc);
        let Some((_, highest)) = stream else {
            return;
        };
        let before = highest.replace(report.highest_sequence);
        let packets = before.map_or(0, |before| report.highest_sequence.wrapping_sub(before));
        let has_queue = self.round_trip_of(now, report.round_trip(ntp));
        // The numbers of a stream that begins anew are no packets.
        if !(ENOUGH..1 << 16).contains(&packets) {
            return;
        }
        if has_queue {
            self.long += 1;
        } else {
            (self.long, self.queue_cuts) = (0, 0);
        }
        let current = self.limit.unwrap_or(self.most);
        if report.loss() > HIGH_LOSS {
            self.cut(now, part(current, 1.0 - LOSS_PART * report.loss()));
        } else if self.long >= LONG_REPORTS {
            self.long = 0;
            if self.queue_cuts == MOST_QUEUE_CUTS {
                self.shortest = [Some(self.round_trip), None];
            } else {
                self.queue_cuts += 1;
                self.cut(now, part(current, AFTER_QUEUE));
            }
        } else if report.loss() < LOW_LOSS && !has_queue {
            self.grow(now);
        } else {
            self.last_growth = Some(now);
        }
    }

    /// Whether a queue shows in the round trip.
    fn round_trip_of(&mut self, now: Instant, round_trip: Option<Duration>) -> bool {
        let Some(round_trip) = round_trip else {
            return false;
        };
        self.round_trip = round_trip;
        let since = *self.shortest_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= SHORTEST_WINDOW {
            self.shortest = [None, self.shortest[0]];
            self.shortest_since = Some(now);
        }
        let shortest = self.shortest[0].map_or(round_trip, |it| it.min(round_trip));
        self.shortest[0] = Some(shortest);
        let shortest = self.shortest[1].map_or(shortest, |it| it.min(shortest));
        round_trip > shortest + LONG_QUEUE
    }

    fn cut(&mut self, now: Instant, limit: Bitrate) {
        let pause = self.round_trip + PAUSE;
        let is_known = self
            .last_cut
            .is_some_and(|cut| now.saturating_duration_since(cut) < pause);
        if !is_known {
            self.limit = Some(limit.max(LEAST).min(self.most));
            self.last_cut = Some(now);
        }
        self.last_growth = Some(now);
    }

    fn grow(&mut self, now: Instant) {
        let last = self.last_growth.replace(now).unwrap_or(now);
        let passed = now.saturating_duration_since(last).min(LONGEST_GROWTH);
        if let Some(limit) = self.limit {
            let limit = part(limit, 1.0 + GROWTH * passed.as_secs_f64());
            self.limit = (limit < self.most).then_some(limit);
        }
    }

    /// What may be sent.
    fn target(&self) -> Bitrate {
        let limits = self.limit.into_iter().chain(self.takes);
        limits.fold(self.most, Bitrate::min)
    }

    /// What the encoder is to make for the far end, when that has changed. As long as nothing limits it, nothing
    /// is told.
    pub fn poll_target(&mut self) -> Option<Bitrate> {
        let target = self.target();
        let told = self.told.unwrap_or(self.most);
        if target == told && !self.tell_again {
            return None;
        }
        self.tell_again = false;
        self.told = Some(target);
        Some(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{packets, reception_report::reception_reports};

    const SSRC: u32 = 7;
    const MOST: Bitrate = Bitrate::kbps(2_000);
    /// When the report arrives whose sender report is of zero and a bit.
    const SENT: u32 = 1 << 16;

    /// A far end that reports once a second.
    struct FarEnd {
        path: ReportedLoss,
        now: Instant,
        highest: u32,
        told: Vec<Bitrate>,
    }

    impl FarEnd {
        fn new() -> Self {
            let mut path = ReportedLoss::default();
            path.set_most(MOST);
            path.sent(SSRC);
            Self {
                path,
                now: Instant::now(),
                highest: 0,
                told: Vec::new(),
            }
        }

        fn reports(&mut self, packets_sent: u32, loss: u8, round_trip_ms: u32) {
            self.now += Duration::from_secs(1);
            self.highest += packets_sent;
            let mut packet = vec![0x81, 201, 0, 7, 0, 0, 0, 1];
            for word in [SSRC, u32::from(loss) << 24, self.highest, 0, SENT, 0] {
                packet.extend(word.to_be_bytes());
            }
            let report = packets(&packet).flat_map(reception_reports).next().unwrap();
            let arrival = SENT + (round_trip_ms << 16) / 1_000;
            self.path.reported(self.now, arrival, &report);
            self.told.extend(self.path.poll_target());
        }
    }

    #[test]
    fn a_far_end_that_loses_little_is_sent_what_is_configured() {
        let mut far_end = FarEnd::new();
        for round in 0..60 {
            far_end.reports(200, round % 30, 40 + u32::from(round % 8) * 30);
        }
        assert_eq!(far_end.told, []);
    }

    #[test]
    fn high_loss_lowers_the_target_until_it_is_over_and_it_grows_back() {
        let mut far_end = FarEnd::new();
        far_end.reports(200, 0, 40);
        for _ in 0..3 {
            far_end.reports(200, 128, 40);
        }
        let quarters = [1_500_000, 1_125_000, 843_750].map(Bitrate::bps);
        assert_eq!(far_end.told, quarters);
        for _ in 0..5 {
            far_end.reports(200, 15, 40);
        }
        assert_eq!(far_end.told.len(), 3, "6 % neither lowers nor raises it");
        for _ in 0..60 {
            far_end.reports(200, 0, 40);
        }
        assert_eq!(far_end.told.last(), Some(&MOST));
        assert!(far_end.told.len() > 10);
    }

    #[test]
    fn a_round_trip_that_stays_long_lowers_it_and_one_long_one_does_not() {
        let mut far_end = FarEnd::new();
        for round in 0..10 {
            far_end.reports(200, 0, if round % 2 == 0 { 40 } else { 400 });
        }
        assert_eq!(far_end.told, []);
        for _ in 0..60 {
            far_end.reports(200, 0, 400);
        }
        // When less is sent and it stays, it is the path's own.
        let lowest = far_end.told.iter().min();
        assert!(lowest > Some(&Bitrate::kbps(1_000)), "{lowest:?}");
        assert_eq!(far_end.told.last(), Some(&MOST));
    }

    #[test]
    fn reports_on_few_packets_or_on_no_stream_of_ours_tell_nothing() {
        let mut far_end = FarEnd::new();
        for _ in 0..10 {
            far_end.reports(19, 255, 40);
            far_end.reports(1 << 20, 255, 40);
        }
        far_end.path.streams[0].0 = 8;
        for _ in 0..10 {
            far_end.reports(200, 255, 40);
        }
        assert_eq!(far_end.told, []);
    }

    #[test]
    fn what_a_far_end_takes_bounds_the_target_down_to_a_picture() {
        let mut far_end = FarEnd::new();
        for (takes, target) in [
            (9_000, None),
            (1_000, Some(950)),
            (1_000, None),
            (0, Some(150)),
            (5_000, Some(2_000)),
        ] {
            far_end.path.takes(Bitrate::kbps(takes));
            let told = far_end.path.poll_target();
            assert_eq!(told, target.map(Bitrate::kbps), "{takes}");
        }
    }

    #[test]
    fn what_was_told_is_told_again_after_what_was_settled_anew() {
        let mut far_end = FarEnd::new();
        far_end.path.takes(Bitrate::kbps(1_000));
        assert!(far_end.path.poll_target().is_some());
        assert!(far_end.path.poll_target().is_none());
        far_end.path.set_most(MOST);
        assert!(far_end.path.poll_target().is_some());
    }
}
