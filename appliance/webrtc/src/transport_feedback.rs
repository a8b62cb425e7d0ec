//! Which packets have reached the browser, and when.

use std::time::{Duration, Instant};

use str0m::rtp::rtcp::Twcc;

use crate::engine::Engine;

/// Packets before the newest one of which a report still says something new. Older ones were reported
/// or are given up; a report that claims to tell of more costs no memory.
const WINDOW: u64 = 8_192;

/// The reference time of a report wraps around after this long (24 bits of 64 ms).
const REFERENCE_TIME_WRAP: Duration = Duration::from_millis(64 << 24);

/// A transport-wide report (draft-holmer-rmcat-transport-wide-cc-extensions-01).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportFeedback {
    /// In the order of their numbers.
    pub packets: Vec<PacketReport>,
}

/// What a report says of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketReport {
    /// The packet's transport-wide number, as the datagram was given out with it
    /// ([`DatagramKind::Rtp`](crate::DatagramKind::Rtp)).
    pub sequence: u64,
    /// When it arrived, in the far end's time since a moment of its choice; `None` when it has not.
    pub received: Option<Duration>,
}

/// Reads reports, for numbers that were given out.
#[derive(Debug)]
pub(crate) struct TransportReports {
    /// Where the far end's time is laid.
    zero: Instant,
    highest_sent: Option<u64>,
    last_reference: Option<u32>,
    wraps: u32,
}

impl TransportReports {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            zero: now,
            highest_sent: None,
            last_reference: None,
            wraps: 0,
        }
    }

    /// A packet with this number leaves: the number beyond 16 bits.
    pub(crate) fn sent(&mut self, number: u16) -> u64 {
        let extended = self.highest_sent.map_or(u64::from(number), |highest| {
            let distance = number.wrapping_sub(highest as u16).cast_signed();
            highest.saturating_add_signed(i64::from(distance))
        });
        self.highest_sent = self.highest_sent.max(Some(extended));
        extended
    }

    /// Reads a report; `None` when it says nothing of what was sent.
    pub(crate) fn read(&mut self, engine: &mut Engine, report: &Twcc) -> Option<TransportFeedback> {
        let highest = self.highest_sent?;
        let wrapped = self.wraps_with(report.reference_time);
        let later = REFERENCE_TIME_WRAP * wrapped;
        let zero = self.zero;
        let report = report.clone();
        let packets: Vec<PacketReport> = engine.run(|_| {
            report
                .into_iter(zero, highest.into())
                .map(|(sequence, _, received)| PacketReport {
                    sequence: *sequence,
                    received: received.map(|at| at.saturating_duration_since(zero) + later),
                })
                .skip_while(|packet| packet.sequence + WINDOW < highest)
                .take_while(|packet| packet.sequence <= highest)
                .collect()
        })?;
        (!packets.is_empty()).then_some(TransportFeedback { packets })
    }

    /// How often the reference time has wrapped around, for a report that may be an old one.
    fn wraps_with(&mut self, reference: u32) -> u32 {
        const HALF: u32 = 1 << 23;
        let Some(last) = self.last_reference else {
            self.last_reference = Some(reference);
            return self.wraps;
        };
        if last > reference && last - reference > HALF {
            self.wraps += 1;
        } else if reference > last && reference - last > HALF {
            return self.wraps.saturating_sub(1);
        }
        self.last_reference = Some(reference);
        self.wraps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_reference_times_go_on_across_their_wraps() {
        let mut reports = TransportReports::new(Instant::now());
        assert_eq!(reports.sent(65_535), 65_535);
        assert_eq!(reports.sent(0), 65_536);
        assert_eq!(reports.sent(1), 65_537);
        let top = (1 << 24) - 1;
        assert_eq!(reports.wraps_with(top), 0);
        assert_eq!(reports.wraps_with(0), 1);
        assert_eq!(reports.wraps_with(top), 0);
        assert_eq!(reports.wraps_with(5), 1);
    }
}
