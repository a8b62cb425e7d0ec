//! When the packets of one stream of pictures arrived, and the reports that the far end has of it (RFC 8888).
//!
//! Each packet is reported twice, so that a report that is lost costs nothing; one that came late is told of
//! by the second. When this machine had no time to read, nobody knows when packets came: those are reported
//! without a time, because a far end would take the wait for a queue of the network.

use std::collections::VecDeque;
use std::time::Instant;

use crate::rtcp::congestion_feedback::{CongestionFeedback, PacketArrival, StreamReport};

/// Sources that are reported at a time: the pictures, what is sent again, and those before.
const MOST_SOURCES: usize = 4;
/// Numbers of one source that are kept at most. A larger step is a new beginning.
const MOST_PACKETS: i64 = 1_024;

/// When a packet arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    At(Instant),
    /// Some time.
    Untimed,
}

/// The packets of one source.
#[derive(Debug)]
struct Source {
    ssrc: u32,
    /// The first number that is still to be reported, with the wraps of the numbers.
    begin: i64,
    /// How many of those were reported once.
    reported: usize,
    /// From `begin` on.
    packets: VecDeque<Option<Arrival>>,
    heard: Instant,
}

impl Source {
    fn new(now: Instant, ssrc: u32, sequence: u16) -> Self {
        Self {
            ssrc,
            begin: i64::from(sequence),
            reported: 0,
            packets: VecDeque::new(),
            heard: now,
        }
    }

    fn arrived(&mut self, now: Instant, sequence: u16, arrival: Arrival) {
        self.heard = now;
        let newest = self.begin + self.packets.len() as i64;
        // The nearest number that ends so.
        let step = sequence.wrapping_sub(newest as u16).cast_signed();
        let number = newest + i64::from(step);
        let Ok(place) = usize::try_from(number - self.begin) else {
            if number - self.begin < -MOST_PACKETS {
                *self = Self::new(now, self.ssrc, sequence);
                self.packets.push_back(Some(arrival));
            }
            return;
        };
        if number - self.begin >= MOST_PACKETS {
            *self = Self::new(now, self.ssrc, sequence);
            self.packets.push_back(Some(arrival));
            return;
        }
        if place >= self.packets.len() {
            self.packets.resize(place + 1, None);
        }
        // Of copies the first one counts (RFC 8888 section 3.1).
        self.packets[place].get_or_insert(arrival);
    }

    /// The report of what came since the last one, and of what that one told.
    fn report(&mut self, now: Instant) -> Option<StreamReport> {
        if self.reported == self.packets.len() {
            return None;
        }
        let told = |arrival: &Option<Arrival>| match arrival {
            None => PacketArrival::Missing,
            Some(Arrival::Untimed) => PacketArrival::Untimed,
            Some(Arrival::At(at)) => PacketArrival::Arrived(now.saturating_duration_since(*at)),
        };
        let report = StreamReport {
            ssrc: self.ssrc,
            begin: self.begin as u16,
            packets: self.packets.iter().map(told).collect(),
        };
        self.packets.drain(..self.reported);
        self.begin += self.reported as i64;
        self.reported = self.packets.len();
        Some(report)
    }
}

/// What arrived of a stream of pictures.
#[derive(Debug, Default)]
pub struct ArrivalLog {
    sources: Vec<Source>,
    /// What is read before this has waited for this machine.
    untimed_until: Option<Instant>,
}

impl ArrivalLog {
    /// A packet was read.
    pub fn arrived(&mut self, now: Instant, ssrc: u32, sequence: u16) {
        let late = self.untimed_until.is_some_and(|until| now < until);
        let arrival = if late {
            Arrival::Untimed
        } else {
            Arrival::At(now)
        };
        let place = self.sources.iter().position(|source| source.ssrc == ssrc);
        let place = place.unwrap_or_else(|| {
            if self.sources.len() == MOST_SOURCES {
                let oldest = (0..MOST_SOURCES).min_by_key(|place| self.sources[*place].heard);
                self.sources.swap_remove(oldest.unwrap_or_default());
            }
            self.sources.push(Source::new(now, ssrc, sequence));
            self.sources.len() - 1
        });
        self.sources[place].arrived(now, sequence, arrival);
    }

    /// This machine had no time to read since `since`, and has a backlog until `until`.
    pub fn was_stalled(&mut self, since: Instant, until: Instant) {
        self.untimed_until = Some(until);
        let packets = self.sources.iter_mut().flat_map(|it| &mut it.packets);
        for arrival in packets.flatten() {
            if matches!(arrival, Arrival::At(at) if *at >= since) {
                *arrival = Arrival::Untimed;
            }
        }
    }

    /// Whether packets have arrived that nobody was told of.
    #[must_use]
    pub fn has_news(&self) -> bool {
        let mut sources = self.sources.iter();
        sources.any(|source| source.reported < source.packets.len())
    }

    /// The report of now; `None` where nothing has arrived since the last one. `timestamp` is the time in
    /// 1/65536 s by the clock of our sender reports.
    pub fn report(&mut self, now: Instant, timestamp: u32) -> Option<CongestionFeedback> {
        let streams: Vec<StreamReport> = self
            .sources
            .iter_mut()
            .filter_map(|source| source.report(now))
            .collect();
        (!streams.is_empty()).then_some(CongestionFeedback {
            // Media fills in who it is.
            sender: 0,
            streams,
            timestamp,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SSRC: u32 = 7;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn arrivals(log: &mut ArrivalLog, now: Instant) -> Option<(u16, Vec<PacketArrival>)> {
        let mut streams = log.report(now, 0)?.streams;
        assert_eq!(streams.len(), 1);
        let stream = streams.remove(0);
        assert_eq!(stream.ssrc, SSRC);
        Some((stream.begin, stream.packets))
    }

    #[test]
    fn each_packet_is_reported_twice_and_one_that_came_late_by_the_second_report() {
        let begin = Instant::now();
        let mut log = ArrivalLog::default();
        let at = |milliseconds| begin + ms(milliseconds);
        let arrived = |milliseconds| PacketArrival::Arrived(ms(milliseconds));
        log.arrived(at(0), SSRC, 65_535);
        log.arrived(at(10), SSRC, 1);
        let missing = PacketArrival::Missing;
        let first = (65_535, vec![arrived(50), missing, arrived(40)]);
        assert_eq!(arrivals(&mut log, at(50)), Some(first));
        assert_eq!(arrivals(&mut log, at(60)), None, "nothing new");
        log.arrived(at(70), SSRC, 0);
        log.arrived(at(80), SSRC, 2);
        log.arrived(at(90), SSRC, 2);
        let second = vec![arrived(100), arrived(30), arrived(90), arrived(20)];
        assert_eq!(arrivals(&mut log, at(100)), Some((65_535, second)));
        log.arrived(at(110), SSRC, 3);
        let third = vec![arrived(70), arrived(40)];
        assert_eq!(arrivals(&mut log, at(150)), Some((2, third)));
    }

    #[test]
    fn what_was_read_late_has_no_time() {
        let begin = Instant::now();
        let mut log = ArrivalLog::default();
        log.arrived(begin, SSRC, 1);
        log.arrived(begin + ms(90), SSRC, 2);
        log.was_stalled(begin + ms(25), begin + ms(100));
        log.arrived(begin + ms(95), SSRC, 3);
        log.arrived(begin + ms(100), SSRC, 4);
        let expected = vec![
            PacketArrival::Arrived(ms(100)),
            PacketArrival::Untimed,
            PacketArrival::Untimed,
            PacketArrival::Arrived(ms(0)),
        ];
        assert_eq!(arrivals(&mut log, begin + ms(100)), Some((1, expected)));
    }

    #[test]
    fn numbers_that_jump_begin_anew_and_sources_are_bounded() {
        let begin = Instant::now();
        let mut log = ArrivalLog::default();
        for sequence in [1, 2, 20_000, 1] {
            log.arrived(begin, SSRC, sequence);
        }
        let (first, packets) = arrivals(&mut log, begin).unwrap();
        assert_eq!((first, packets.len()), (1, 1));
        for ssrc in 100..200 {
            log.arrived(begin, ssrc, 1);
            log.arrived(begin, ssrc, 65_000);
            log.arrived(begin, ssrc, 1_000);
        }
        let report = log.report(begin, 0).unwrap();
        assert_eq!(report.streams.len(), MOST_SOURCES);
        assert!(report.to_bytes().len() < 4 * 2 * MOST_PACKETS as usize + 100);
    }
}
