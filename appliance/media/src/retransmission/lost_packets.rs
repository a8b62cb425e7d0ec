//! Which packets of the peer's stream are missing, and when it is asked for them.
//!
//! ```text
//!            a later packet came             5 ms later           after a round trip, three times
//!  unknown ─────────────────────► missing ─────────────► asked for ─────────────► asked again
//!                                    │                       │
//!                                    ├── it comes ───────────┤
//!                                    └── 250 ms ─────────────┴──► given up: its picture is due
//! ```
//!
//! A row of losses that is longer than a peer would send again at once is not asked for: the
//! whole picture that the decoder needs then comes sooner. A peer that has agreed to answer and
//! does not, or too late every time, is asked now and then only.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A packet that comes this much after its successor was only overtaken.
const REORDERING: Duration = Duration::from_millis(5);
/// Missing for this long, a packet is of no use any more.
const GIVE_UP: Duration = Duration::from_millis(250);
/// A packet is asked for at most so often.
const MOST_REQUESTS: u8 = 4;
/// The time from asking until the packet comes, before one has come.
const FIRST_ROUND_TRIP: Duration = Duration::from_millis(100);
/// Between two requests for a packet, whatever the round trip.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(20);
const LONGEST_INTERVAL: Duration = Duration::from_millis(200);
/// What a round trip may take longer than it did so far.
const MARGIN: Duration = Duration::from_millis(10);
/// Losses in a row that are asked for, and missing packets in all.
const LONGEST_ROW: u64 = 100;
const MOST_MISSING: usize = 200;
/// So many packets asked for in vain, and the peer is asked rarely.
const IN_VAIN: u32 = 30;
const RARELY: Duration = Duration::from_secs(2);
/// So many old packets in a row are no stragglers: the stream counts anew.
const ANEW: u32 = 50;

/// How the peer sends packets again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resending {
    /// As they were: one that comes after it was asked for may as well have been overtaken.
    SamePackets,
    /// In a stream of their own (RFC 4588).
    OwnStream,
}

/// What a packet is to the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// One that came by itself.
    Regular,
    /// One that the peer was asked for.
    Requested,
}

/// Packets that the peer is to send again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// The source that lost them.
    pub(crate) ssrc: u32,
    /// Their numbers, in the order in which they were sent.
    pub(crate) sequences: Vec<u16>,
}

/// The missing packets of one stream.
#[derive(Debug)]
pub(crate) struct LostPackets {
    resending: Resending,
    source: Option<Source>,
    /// By their number, counted on without wrapping.
    missing: BTreeMap<u64, Missing>,
    round_trip: Option<Duration>,
    in_vain: u32,
    last_request: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Source {
    ssrc: u32,
    newest: u64,
    /// Old packets in a row that were not missing.
    old: u32,
}

#[derive(Clone, Copy, Debug)]
struct Missing {
    since: Instant,
    first_request: Option<Instant>,
    requests: u8,
    /// When it is asked for, or asked for again.
    due: Instant,
}

impl LostPackets {
    /// Nothing came yet.
    pub(crate) fn new(resending: Resending) -> Self {
        Self {
            resending,
            source: None,
            missing: BTreeMap::new(),
            round_trip: None,
            in_vain: 0,
            last_request: None,
        }
    }

    /// A packet of the stream itself came.
    pub(crate) fn arrived(&mut self, now: Instant, ssrc: u32, sequence: u16) -> Arrival {
        let Some(source) = self.source.as_mut().filter(|source| source.ssrc == ssrc) else {
            self.begin(ssrc, sequence);
            return Arrival::Regular;
        };
        let step = sequence.wrapping_sub(source.newest as u16) as i16;
        if step > 0 {
            source.old = 0;
            let before = source.newest;
            source.newest += u64::from(step.unsigned_abs());
            let newest = source.newest;
            self.note_gap(now, before + 1..newest);
            return Arrival::Regular;
        }
        let number = source.newest - u64::from(step.unsigned_abs());
        if let Some(missing) = self.missing.remove(&number) {
            source.old = 0;
            return match self.resending {
                Resending::SamePackets => self.came(now, missing),
                Resending::OwnStream => Arrival::Regular,
            };
        }
        source.old += 1;
        if source.old == ANEW {
            self.begin(ssrc, sequence);
        }
        Arrival::Regular
    }

    /// A packet with this number came in a stream of retransmissions. Gives the source that lost it;
    /// `None` where it was not asked for, is here already, or comes too late.
    pub(crate) fn sent_again(&mut self, now: Instant, sequence: u16) -> Option<u32> {
        let source = self.source?;
        let back = source.newest.wrapping_sub(u64::from(sequence)) as u16;
        let missing = self.missing.remove(&(source.newest - u64::from(back)))?;
        self.came(now, missing);
        Some(source.ssrc)
    }

    /// What the peer is to be asked for now.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Request> {
        let waited = |missing: &Missing| now.saturating_duration_since(missing.since);
        let in_vain = &mut self.in_vain;
        self.missing.retain(|_, missing| {
            let keep = waited(missing) < GIVE_UP;
            if !keep && missing.requests > 0 {
                *in_vain = in_vain.saturating_add(1);
            }
            keep
        });
        let rarely = self.in_vain >= IN_VAIN
            && self
                .last_request
                .is_some_and(|last| now.saturating_duration_since(last) < RARELY);
        let interval = self.interval();
        let mut sequences = Vec::new();
        for (number, missing) in &mut self.missing {
            if missing.due > now {
                continue;
            }
            missing.due = now + interval;
            if missing.requests == MOST_REQUESTS || rarely {
                continue;
            }
            missing.requests += 1;
            missing.first_request.get_or_insert(now);
            sequences.push(*number as u16);
        }
        if sequences.is_empty() {
            return None;
        }
        self.last_request = Some(now);
        let ssrc = self.source?.ssrc;
        Some(Request { ssrc, sequences })
    }

    /// When to poll again; `None` while nothing is missing.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let missing = self.missing.values();
        missing
            .map(|missing| missing.due.min(missing.since + GIVE_UP))
            .min()
    }

    fn begin(&mut self, ssrc: u32, sequence: u16) {
        self.missing.clear();
        // Counted from far above zero, so that there are numbers before the first packet.
        self.source = Some(Source {
            ssrc,
            newest: 1 << 32 | u64::from(sequence),
            old: 0,
        });
    }

    fn note_gap(&mut self, now: Instant, numbers: std::ops::Range<u64>) {
        if numbers.end - numbers.start > LONGEST_ROW {
            self.missing.clear();
            return;
        }
        let missing = Missing {
            since: now,
            first_request: None,
            requests: 0,
            due: now + REORDERING,
        };
        self.missing.extend(numbers.map(|number| (number, missing)));
        while self.missing.len() > MOST_MISSING {
            self.missing.pop_first();
        }
    }

    fn came(&mut self, now: Instant, missing: Missing) -> Arrival {
        let Some(asked) = missing.first_request else {
            return Arrival::Regular;
        };
        self.in_vain = 0;
        let took = now.saturating_duration_since(asked);
        self.round_trip = Some(match self.round_trip {
            None => took,
            Some(before) => (before * 7 + took) / 8,
        });
        Arrival::Requested
    }

    fn interval(&self) -> Duration {
        let round_trip = self.round_trip.unwrap_or(FIRST_ROUND_TRIP);
        (round_trip * 5 / 4 + MARGIN).clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL)
    }
}

#[cfg(test)]
#[path = "lost_packets/tests.rs"]
mod tests;
