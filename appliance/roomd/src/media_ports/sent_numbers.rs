//! What was sent of a leg's pictures under which number, and what the far end's reports (RFC 8888) say of it
//! in the numbers of congestion control.
//!
//! Streams number their packets each for itself, and wrap; congestion control wants one number for all in the
//! order in which they leave, and the times of arrival in a clock that does not wrap.

use std::time::{Duration, Instant};

use congestion::PacketReport;

use crate::rtcp::congestion_feedback::{CongestionFeedback, PacketArrival};

/// Streams that are known at a time: pictures and slides, and what is sent again of both.
const MOST_STREAMS: usize = 8;
/// Packets of a stream that are known: five seconds of a fast one.
const MOST_PACKETS: usize = 2_048;
/// The far end's clock, when it was first seen: what arrived before that is still after zero.
const FIRST_TIME: Duration = Duration::from_secs(1 << 16);
/// Units of report timestamps in a second.
const UNITS: u64 = 1 << 16;
/// A report says no more than that a packet came earlier than this before it.
const LONGEST_OFFSET: Duration = Duration::from_secs(8);

#[derive(Clone, Copy, Debug)]
struct Sent {
    sequence: u16,
    number: u64,
    at: Instant,
}

#[derive(Debug)]
struct Stream {
    ssrc: u32,
    /// By the low bits of their numbers in the stream.
    packets: Vec<Option<Sent>>,
    last: u64,
}

impl Stream {
    fn place(&mut self, sequence: u16) -> &mut Option<Sent> {
        &mut self.packets[usize::from(sequence) % MOST_PACKETS]
    }
}

/// The packets of a leg's pictures.
#[derive(Debug)]
pub struct SentNumbers {
    began: Instant,
    streams: Vec<Stream>,
    last_number: u64,
    /// The last report's timestamp, and the same without wraps.
    clock: Option<(u32, Duration)>,
    /// What the last packet took whose time of arrival is known, with the difference of the clocks.
    delay: Option<Duration>,
}

impl SentNumbers {
    /// Nothing was sent yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            began: now,
            streams: Vec::new(),
            last_number: 0,
            clock: None,
            delay: None,
        }
    }

    /// A packet leaves. Its number, unless it is one that was sent before: a report cannot tell the two apart.
    pub fn sent(&mut self, now: Instant, ssrc: u32, sequence: u16) -> Option<u64> {
        let number = self.last_number + 1;
        let place = self.streams.iter().position(|stream| stream.ssrc == ssrc);
        let place = place.unwrap_or_else(|| {
            if self.streams.len() == MOST_STREAMS {
                let oldest = (0..MOST_STREAMS).min_by_key(|place| self.streams[*place].last);
                self.streams.swap_remove(oldest.unwrap_or_default());
            }
            self.streams.push(Stream {
                ssrc,
                packets: vec![None; MOST_PACKETS],
                last: 0,
            });
            self.streams.len() - 1
        });
        let stream = &mut self.streams[place];
        let known = stream.place(sequence);
        if known.is_some_and(|sent| sent.sequence == sequence && number - sent.number < 8_192) {
            return None;
        }
        *known = Some(Sent {
            sequence,
            number,
            at: now,
        });
        stream.last = number;
        self.last_number = number;
        Some(number)
    }

    /// What a report says, in the order in which the packets left. Of what was not sent it says nothing.
    pub fn reported(&mut self, report: &CongestionFeedback) -> Vec<PacketReport> {
        let made = self.time_of(report.timestamp);
        let mut told = Vec::new();
        for stream_report in &report.streams {
            let ssrc = stream_report.ssrc;
            let Some(stream) = self.streams.iter_mut().find(|it| it.ssrc == ssrc) else {
                continue;
            };
            let mut sequence = stream_report.begin;
            for arrival in &stream_report.packets {
                let sent = stream.place(sequence).filter(|it| it.sequence == sequence);
                told.extend(sent.map(|sent| (sent, *arrival)));
                sequence = sequence.wrapping_add(1);
            }
        }
        told.sort_by_key(|(sent, _)| sent.number);
        let told = told.into_iter().map(|(sent, arrival)| PacketReport {
            sequence: sent.number,
            received: self.received(made, sent, arrival),
        });
        told.collect()
    }

    /// When a packet arrived by the far end's clock. Where that is not known it is taken for as late as the last
    /// one of which it is: it tells neither of a queue nor of none.
    fn received(&mut self, made: Duration, sent: Sent, arrival: PacketArrival) -> Option<Duration> {
        let sent_at = self.since_begin(sent.at);
        match arrival {
            PacketArrival::Missing => None,
            PacketArrival::Arrived(before) => {
                let received = made.saturating_sub(before);
                self.delay = Some(received.saturating_sub(sent_at));
                Some(received)
            }
            PacketArrival::Early => Some(made.saturating_sub(LONGEST_OFFSET)),
            PacketArrival::Untimed => Some(self.delay.map_or(made, |delay| sent_at + delay)),
        }
    }

    /// The time of a report's timestamp, without wraps.
    fn time_of(&mut self, timestamp: u32) -> Duration {
        let time = match self.clock {
            None => FIRST_TIME,
            Some((last, time)) => {
                let step = timestamp.wrapping_sub(last).cast_signed();
                let step_time =
                    |units: u32| Duration::from_nanos(u64::from(units) * 1_000_000_000 / UNITS);
                if step >= 0 {
                    time + step_time(step.unsigned_abs())
                } else {
                    // A report that was overtaken, or a clock that was set back.
                    return time.saturating_sub(step_time(step.unsigned_abs()));
                }
            }
        };
        self.clock = Some((timestamp, time));
        time
    }

    fn since_begin(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::congestion_feedback::StreamReport;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn report(timestamp: u32, streams: &[(u32, u16, &[PacketArrival])]) -> CongestionFeedback {
        let streams = streams.iter().map(|(ssrc, begin, packets)| StreamReport {
            ssrc: *ssrc,
            begin: *begin,
            packets: packets.to_vec(),
        });
        CongestionFeedback {
            sender: 1,
            streams: streams.collect(),
            timestamp,
        }
    }

    #[test]
    fn reports_of_two_streams_are_told_in_the_order_of_sending_by_a_clock_that_does_not_wrap() {
        let begin = Instant::now();
        let mut numbers = SentNumbers::new(begin);
        assert_eq!(numbers.sent(begin, 7, 65_535), Some(1));
        assert_eq!(numbers.sent(begin, 9, 100), Some(2));
        assert_eq!(numbers.sent(begin, 7, 0), Some(3));
        assert_eq!(numbers.sent(begin, 7, 0), None, "the same packet again");
        let arrived = |milliseconds| PacketArrival::Arrived(ms(milliseconds));
        let first = [arrived(250), PacketArrival::Missing, arrived(0)];
        let streams: [(u32, u16, &[PacketArrival]); 3] =
            [(7, 65_535, &first), (9, 100, &first[2..]), (8, 0, &first)];
        let told = numbers.reported(&report(0xffff_ffff, &streams));
        let told: Vec<_> = told.iter().map(|it| (it.sequence, it.received)).collect();
        let expected = [
            (1, Some(FIRST_TIME - ms(250))),
            (2, Some(FIRST_TIME)),
            (3, None),
        ];
        assert_eq!(told, expected);
        // Half a second later by the far end's clock, which has wrapped.
        let told = numbers.reported(&report(0x7fff, &[(7, 0, &[arrived(500)])]));
        assert_eq!(told[0].received, Some(FIRST_TIME));
    }

    #[test]
    fn a_packet_that_came_at_a_time_nobody_knows_took_as_long_as_the_last_one() {
        let begin = Instant::now();
        let mut numbers = SentNumbers::new(begin);
        numbers.sent(begin, 7, 1);
        numbers.sent(begin + ms(30), 7, 2);
        let arrivals = [PacketArrival::Arrived(ms(80)), PacketArrival::Untimed];
        let told = numbers.reported(&report(5, &[(7, 1, &arrivals)]));
        let received: Vec<_> = told.iter().filter_map(|it| it.received).collect();
        assert_eq!(received, [FIRST_TIME - ms(80), FIRST_TIME - ms(50)]);
    }

    #[test]
    fn numbers_that_come_round_are_new_packets_and_streams_are_bounded() {
        let begin = Instant::now();
        let mut numbers = SentNumbers::new(begin);
        let mut last = 0;
        for _ in 0..3 {
            for sequence in 0..=u16::MAX {
                let number = numbers.sent(begin, 7, sequence);
                assert_eq!(number, Some(last + 1));
                last += 1;
            }
        }
        for ssrc in 0..100 {
            numbers.sent(begin, ssrc, 1);
        }
        assert_eq!(numbers.streams.len(), MOST_STREAMS);
    }
}
