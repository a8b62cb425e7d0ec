//! Sound that is sent twice or three times where packets are lost (RFC 2198).
//!
//! Where the browser asks for what it misses and the way there and back is short, what was lost is sent again
//! instead ([`Repair`]): that costs as much as was lost, and sounds better than a repetition where losses come in
//! rows. What both lose is repeated beside that, from four times the loss on.
//!
//! Each packet carries the ones before it, as many as the loss asks for. What was lost comes with the
//! next packet, without a round trip; it costs some 30 kbit/s for each level, and nothing on a network
//! that loses nothing. Where the path carries little, what is repeated takes the place of pictures, and
//! may be what is lost: whoever knows that sets a limit.
//!
//! ```text
//!  level 0 ──loss >= 2 %──► level 1 ──loss >= 8 %──► level 2
//!     ▲                      │   ▲                    │
//!     └── half of that, five ┘   └── half of that, ───┘
//!         reports long               five reports long
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use str0m::rtp::{RedDecoder, RedEncoder, RedundantBlock};

/// How lost sound is made good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Repair {
    /// By what follows it.
    #[default]
    Repetition,
    /// By the same packet, sent again on request.
    Retransmission,
}

/// The longest way there and back on which a browser that misses sound has it again in time: Chromium plays some 60 ms
/// after what comes in time. On 100 ms it made up 1.1 % of the sound where 5 % of the packets were lost and nothing was
/// repeated, and next to nothing where it was.
const LONGEST_FOR_BROWSER: Duration = Duration::from_millis(50);

/// The same for us: with the time until it is asked for it stays within what media holds at the most.
const LONGEST_FOR_MEDIA: Duration = Duration::from_millis(130);

impl Repair {
    /// What serves the browser best, which misses sound. `is_sent_again` tells whether it asks, and we answer. A round
    /// trip that is not known yet counts as a short one.
    pub(crate) fn of(is_sent_again: bool, round_trip: Option<Duration>) -> Self {
        let is_short = round_trip.is_none_or(|it| it <= LONGEST_FOR_BROWSER);
        if is_sent_again && is_short {
            Self::Retransmission
        } else {
            Self::Repetition
        }
    }

    /// The loss from which on each level of repetition is used: with both, 8 of 100 lost are one that is lost
    /// twice.
    const fn levels(self) -> [f32; LEVELS] {
        match self {
            Self::Repetition => [0.02, 0.08],
            Self::Retransmission => [0.08, 0.16],
        }
    }
}

/// Whether we should ask for sound that we miss: the browser repeats none by itself.
pub(crate) fn is_worth_asking(round_trip: Option<Duration>) -> bool {
    round_trip.is_none_or(|it| it <= LONGEST_FOR_MEDIA)
}

/// Earlier packets that a packet carries at most.
const LEVELS: usize = 2;

/// Reports in a row that have to tell of less before a level is left.
const CALM_REPORTS: u32 = 5;

/// Bytes that a packet with repetitions has at most.
const LONGEST_PAYLOAD: usize = 1_100;

/// Packets whose places are remembered, to know which ones are missing.
const REMEMBERED: usize = 32;

/// Repeats what is sent.
#[derive(Debug)]
pub(crate) struct Redundancy {
    repair: Repair,
    level: usize,
    most: usize,
    calm_reports: u32,
    /// The last payloads and their timestamps, oldest first.
    sent: VecDeque<(u32, Vec<u8>)>,
}

impl Default for Redundancy {
    fn default() -> Self {
        Self {
            repair: Repair::Repetition,
            level: 0,
            most: LEVELS,
            calm_reports: 0,
            sent: VecDeque::new(),
        }
    }
}

impl Redundancy {
    /// At most so many earlier packets from now on.
    pub(crate) fn limit(&mut self, most: usize) {
        self.most = most;
    }

    /// The share of packets that was lost lately, 0 to 1, and how else it is made good.
    pub(crate) fn loss(&mut self, loss: f32, repair: Repair) {
        let levels = repair.levels();
        let wanted = levels.iter().filter(|from| loss >= **from).count();
        if self.repair != repair {
            self.repair = repair;
            self.calm_reports = 0;
            self.level = wanted;
        }
        let calm = self
            .level
            .checked_sub(1)
            .is_some_and(|below| loss < levels[below] / 2.0);
        self.calm_reports = if calm { self.calm_reports + 1 } else { 0 };
        if self.calm_reports >= CALM_REPORTS {
            self.calm_reports = 0;
            self.level -= 1;
        }
        self.level = self.level.max(wanted);
    }

    /// How many earlier packets each packet carries.
    pub(crate) fn level(&self) -> usize {
        self.level.min(self.most)
    }

    /// The payload together with those before it; `None` where nothing is to be repeated.
    pub(crate) fn wrap(
        &mut self,
        payload_type: u8,
        timestamp: u32,
        payload: &[u8],
    ) -> Option<Vec<u8>> {
        let mut room = LONGEST_PAYLOAD.checked_sub(payload.len() + 1);
        // The newest first: where there is no room for all, they are worth more.
        let mut repeated = Vec::with_capacity(self.level());
        for (earlier, payload) in self.sent.iter().rev().take(self.level()) {
            let block = RedundantBlock {
                pt: payload_type,
                timestamp_offset: timestamp.wrapping_sub(*earlier),
                payload: payload.clone(),
            };
            room = room.and_then(|room| room.checked_sub(4 + payload.len()));
            if room.is_none() || !block.fits() {
                break;
            }
            repeated.push(block);
        }
        if self.sent.len() == LEVELS {
            self.sent.pop_front();
        }
        self.sent.push_back((timestamp, payload.to_vec()));
        repeated.reverse();
        (!repeated.is_empty()).then(|| RedEncoder::encode(payload_type, payload, &repeated))
    }
}

/// One packet out of a payload with repetitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unwrapped<'a> {
    /// The sequence number, extended.
    pub(crate) sequence: u64,
    /// The timestamp.
    pub(crate) timestamp: u32,
    /// What it carries.
    pub(crate) payload: &'a [u8],
    /// Whether it is the packet itself, and none that was lost before it.
    pub(crate) is_primary: bool,
}

/// Finds what was lost among what is repeated.
#[derive(Debug, Default)]
pub(crate) struct Repetitions {
    /// The places of what has come, oldest first in the order of arrival.
    came: VecDeque<(u64, u32)>,
}

impl Repetitions {
    /// A packet has come at this place.
    pub(crate) fn came(&mut self, sequence: u64, timestamp: u32) {
        if self.came.len() == REMEMBERED {
            self.came.pop_front();
        }
        self.came.push_back((sequence, timestamp));
    }

    /// Takes a payload apart: first what had not come, then the packet itself. Empty for what cannot be
    /// read. A repetition says its timestamp and not its number; by the way of senders, the last one is
    /// the packet before, and so on. What contradicts the numbers and timestamps around it is dropped.
    pub(crate) fn unwrap<'a>(
        &mut self,
        payload_type: u8,
        sequence: u64,
        timestamp: u32,
        payload: &'a [u8],
    ) -> Vec<Unwrapped<'a>> {
        let blocks = RedDecoder::decode(payload).unwrap_or_default();
        let Some((primary, repeated)) = blocks.split_last() else {
            return Vec::new();
        };
        if primary.pt != payload_type || primary.payload.is_empty() {
            return Vec::new();
        }
        let known = self.came.clone();
        let mut packets = vec![Unwrapped {
            sequence,
            timestamp,
            payload: primary.payload,
            is_primary: true,
        }];
        for (back, block) in (1..).zip(repeated.iter().rev()).take(LEVELS) {
            let (Some(place), offset) = (sequence.checked_sub(back), block.timestamp_offset) else {
                break;
            };
            let moment = timestamp.wrapping_sub(offset);
            let fits = |(number, at): &(u64, u32)| {
                let before = moment.wrapping_sub(*at).cast_signed() > 0;
                *number != place && (*number < place) == before
            };
            let readable = block.pt == payload_type && offset > 0 && !block.payload.is_empty();
            if readable && known.iter().all(fits) {
                packets.push(Unwrapped {
                    sequence: place,
                    timestamp: moment,
                    payload: block.payload,
                    is_primary: false,
                });
            }
        }
        packets.reverse();
        for packet in &packets {
            self.came(packet.sequence, packet.timestamp);
        }
        packets
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OPUS: u8 = 111;

    #[test]
    fn what_is_asked_for_in_time_is_sent_again_and_the_rest_repeated() {
        let ms = Duration::from_millis;
        let table = [
            (true, Some(ms(20)), [0, 0, 0, 1, 2]),
            (true, Some(ms(50)), [0, 0, 0, 1, 2]),
            (true, None, [0, 0, 0, 1, 2]),
            (true, Some(ms(51)), [0, 1, 1, 2, 2]),
            (false, Some(ms(20)), [0, 1, 1, 2, 2]),
            (false, None, [0, 1, 1, 2, 2]),
        ];
        for (is_sent_again, round_trip, expected) in table {
            let repair = Repair::of(is_sent_again, round_trip);
            let levels = [0.0, 0.02, 0.07, 0.08, 0.2].map(|loss| {
                let mut redundancy = Redundancy::default();
                redundancy.loss(loss, repair);
                redundancy.level()
            });
            assert_eq!(levels, expected, "{is_sent_again} {round_trip:?}");
        }
    }

    #[test]
    fn another_repair_changes_the_level_at_once() {
        let mut redundancy = Redundancy::default();
        let mut level = |repair| {
            redundancy.loss(0.05, repair);
            redundancy.level()
        };
        assert_eq!(level(Repair::Repetition), 1);
        assert_eq!(level(Repair::Retransmission), 0);
        assert_eq!(level(Repair::Repetition), 1);
    }

    #[test]
    fn the_level_follows_the_loss_at_once_and_leaves_it_slowly() {
        let mut redundancy = Redundancy::default();
        let mut level = |loss| {
            redundancy.loss(loss, Repair::Repetition);
            redundancy.level()
        };
        assert_eq!([0.0, 0.019].map(&mut level), [0, 0]);
        assert_eq!([0.03, 0.2].map(&mut level), [1, 2]);
        assert_eq!([0.03; 5].map(&mut level), [2, 2, 2, 2, 1]);
        assert_eq!([0.015; 9].map(&mut level), [1; 9]);
        assert_eq!([0.0; 5].map(&mut level), [1, 1, 1, 1, 0]);
        assert_eq!(level(0.0), 0);
    }

    #[test]
    fn nothing_is_repeated_where_the_path_has_no_room_for_it() {
        let mut redundancy = Redundancy::default();
        redundancy.loss(0.2, Repair::Repetition);
        redundancy.limit(0);
        assert_eq!(redundancy.wrap(OPUS, 960, &[1; 60]), None);
        assert_eq!(redundancy.wrap(OPUS, 1_920, &[2; 60]), None);
        assert_eq!(redundancy.level(), 0);
        redundancy.limit(1);
        let repeating = redundancy.wrap(OPUS, 2_880, &[3; 60]).unwrap();
        assert!(repeating.len() < 3 * 60);
        assert_eq!(redundancy.level(), 1);
    }

    #[test]
    fn of_three_packets_two_may_be_lost() {
        let mut redundancy = Redundancy::default();
        redundancy.loss(0.1, Repair::Repetition);
        let mut wrap = |number: u8| {
            let timestamp = u32::from(number) * 960;
            let payload = [number; 60];
            redundancy.wrap(OPUS, timestamp, &payload)
        };
        assert_eq!(wrap(1), None, "nothing came before");
        let [_, third, fourth] = [2, 3, 4].map(|number| wrap(number).unwrap());
        let mut repetitions = Repetitions::default();
        repetitions.came(1, 960);
        let found = repetitions.unwrap(OPUS, 4, 4 * 960, &fourth);
        let places: Vec<_> = found
            .iter()
            .map(|packet| (packet.sequence, packet.timestamp, packet.payload[0]))
            .collect();
        assert_eq!(places, [(2, 1_920, 2), (3, 2_880, 3), (4, 3_840, 4)]);
        // What comes late is a packet that is there already; itself it is told apart above.
        let late = repetitions.unwrap(OPUS, 3, 3 * 960, &third);
        assert_eq!(late.len(), 1);
    }

    #[test]
    fn a_payload_without_room_for_others_travels_alone() {
        let mut redundancy = Redundancy::default();
        redundancy.loss(0.1, Repair::Repetition);
        let large = [7; 1_000];
        assert_eq!(redundancy.wrap(OPUS, 0, &large), None);
        assert_eq!(redundancy.wrap(OPUS, 960, &large), None);
        assert_eq!(redundancy.wrap(OPUS, 1_920, &[7; 1_500]), None);
        assert_eq!(
            redundancy.wrap(OPUS, 2_880, &[7; 60]),
            None,
            "the last one is too large"
        );
        assert!(redundancy.wrap(OPUS, 3_840, &[7; 60]).is_some());
    }

    proptest! {
        #[test]
        fn no_payload_makes_the_reader_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
            sequence in any::<u64>(),
            timestamp in any::<u32>(),
        ) {
            let mut repetitions = Repetitions::default();
            repetitions.came(sequence.saturating_sub(3), timestamp.wrapping_sub(2_880));
            let found = repetitions.unwrap(OPUS, sequence, timestamp, &bytes);
            prop_assert!(found.len() <= 3);
        }
    }
}
