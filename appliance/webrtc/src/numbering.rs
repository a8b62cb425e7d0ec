//! One unbroken numbering of packets whose source may begin anew.
//!
//! A pipeline of media that is built anew, or a browser that puts another track on a line, starts with
//! another SSRC, sequence number and timestamp. The receiving end sees one SSRC whose numbers go on.

use std::time::{Duration, Instant};

/// Packets that the old source has sent may still come for this long; they are dropped, as their
/// numbers have no place any more.
const OLD_SOURCE_FADES: Duration = Duration::from_secs(1);

/// Where a packet belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The sequence number, extended beyond 16 bits.
    pub(crate) sequence: u64,
    /// The timestamp.
    pub(crate) timestamp: u32,
}

#[derive(Clone, Copy, Debug)]
struct Source {
    ssrc: u32,
    sequence_offset: u16,
    timestamp_offset: u32,
    /// The place of the highest number, and when it came.
    highest: Place,
    at: Instant,
}

/// The numbering of one stream in one direction.
#[derive(Debug)]
pub(crate) struct Numbering {
    clock_hz: u32,
    first_sequence_mask: u16,
    /// Roll-overs that the first number has behind it.
    first_rollovers: u64,
    source: Option<Source>,
    old_source: Option<(u32, Instant)>,
}

impl Numbering {
    /// A numbering that keeps the numbers of its first source.
    pub(crate) fn of_received(clock_hz: u32) -> Self {
        Self {
            clock_hz,
            first_sequence_mask: u16::MAX,
            // A packet from before the first one has a place too.
            first_rollovers: 1,
            source: None,
            old_source: None,
        }
    }

    /// One that starts below 2^15: a number that wraps around among the first packets is a guess for
    /// SRTP at the other end (RFC 3711 section 3.3.1).
    pub(crate) fn of_sent(clock_hz: u32) -> Self {
        Self {
            first_sequence_mask: 0x7fff,
            first_rollovers: 0,
            ..Self::of_received(clock_hz)
        }
    }

    /// The SSRC of the source at present.
    pub(crate) fn ssrc(&self) -> Option<u32> {
        self.source.map(|source| source.ssrc)
    }

    /// The place of a packet; `None` for one of a source that was replaced.
    pub(crate) fn place(
        &mut self,
        now: Instant,
        ssrc: u32,
        sequence: u16,
        timestamp: u32,
    ) -> Option<Place> {
        let source = match self.source {
            Some(source) if source.ssrc == ssrc => source,
            Some(old) => {
                let fading = |(old, at): (u32, Instant)| {
                    old == ssrc && now.saturating_duration_since(at) < OLD_SOURCE_FADES
                };
                if self.old_source.is_some_and(fading) {
                    return None;
                }
                self.old_source = Some((old.ssrc, now));
                let elapsed = now.saturating_duration_since(old.at).as_micros();
                let ticks = elapsed * u128::from(self.clock_hz) / 1_000_000;
                let next = old.highest.sequence.wrapping_add(1);
                let timestamp_now = old.highest.timestamp.wrapping_add(ticks as u32);
                Source {
                    ssrc,
                    sequence_offset: (next as u16).wrapping_sub(sequence),
                    timestamp_offset: timestamp_now.wrapping_sub(timestamp),
                    highest: Place {
                        sequence: next,
                        timestamp: timestamp_now,
                    },
                    at: now,
                }
            }
            None => {
                let first = sequence & self.first_sequence_mask;
                Source {
                    ssrc,
                    sequence_offset: first.wrapping_sub(sequence),
                    timestamp_offset: 0,
                    highest: Place {
                        sequence: (self.first_rollovers << 16) + u64::from(first),
                        timestamp,
                    },
                    at: now,
                }
            }
        };
        let source = self.source.insert(source);
        let sequence = sequence.wrapping_add(source.sequence_offset);
        let distance = sequence.wrapping_sub(source.highest.sequence as u16);
        let place = Place {
            // Before the first packet there is nothing: such a number would wrap below zero.
            sequence: source
                .highest
                .sequence
                .checked_add_signed(i64::from(distance.cast_signed()))?,
            timestamp: timestamp.wrapping_add(source.timestamp_offset),
        };
        if place.sequence >= source.highest.sequence {
            source.highest = place;
            source.at = now;
        }
        Some(place)
    }

    /// A timestamp of the source at present, as the receiving end counts.
    pub(crate) fn timestamp(&self, timestamp: u32) -> Option<u32> {
        self.source
            .map(|source| timestamp.wrapping_add(source.timestamp_offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_grow_across_a_wrap_and_keep_their_order() {
        let now = Instant::now();
        let mut numbering = Numbering::of_received(90_000);
        let mut place = |sequence| Some(numbering.place(now, 1, sequence, 7)?.sequence - 65_536);
        assert_eq!(place(65_534), Some(65_534));
        assert_eq!(place(1), Some(65_537));
        assert_eq!(place(65_535), Some(65_535));
        assert_eq!(place(2), Some(65_538));
    }

    #[test]
    fn a_new_source_goes_on_where_the_old_one_stopped() {
        let start = Instant::now();
        let later = start + Duration::from_millis(100);
        let mut numbering = Numbering::of_sent(90_000);
        let first = numbering.place(start, 1, 0x8005, 1_000).unwrap();
        assert_eq!((first.sequence, first.timestamp), (5, 1_000));
        let second = numbering.place(later, 2, 40_000, 77).unwrap();
        assert_eq!((second.sequence, second.timestamp), (6, 10_000));
        assert_eq!(numbering.place(later, 1, 0x8006, 1_000), None);
        assert_eq!(numbering.timestamp(77), Some(10_000));
        let third = numbering.place(later, 2, 40_001, 77).unwrap();
        assert_eq!(third.sequence, 7);
        let back = later + OLD_SOURCE_FADES;
        assert_eq!(numbering.place(back, 1, 9, 9).unwrap().sequence, 8);
    }
}
