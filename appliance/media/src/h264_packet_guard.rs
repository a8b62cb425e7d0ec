//! Keeps packets from the H.264 depayloader that it does not survive.
//!
//! GStreamer's `rtph264depay` (1.22 as well as 1.26) trusts what is in a packet. A fragment without
//! data makes it reckon with a negative length; a fragment that does not follow the one before it
//! empties its store but leaves the unit open, and the next packet then closes a unit that is not
//! there. Either ends the process. So fragments reach it in unbroken rows only:
//!
//! ```text
//!             first fragment                      the next one, in order
//!   Outside ───────────────────► Within{last} ───────────────────────────► Within / Outside (last one)
//!      ▲                            │
//!      └──── any other packet ──────┘   a fragment that follows none: dropped, and the next packet
//!                                       that passes is marked as a discontinuity
//! ```

use crate::rtp::RtpHeader;

/// FU-A and FU-B (RFC 6184 section 5.8).
const FRAGMENTS: [u8; 2] = [28, 29];
const START: u8 = 0x80;
const END: u8 = 0x40;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GuardVerdict {
    /// The depayloader may have it.
    Pass,
    /// It may have it, and has to forget what it has gathered first.
    PassAfterGap,
    /// It must not see it.
    Drop,
}

/// Watches the packets of one depayloader, in the order in which it gets them.
#[derive(Debug, Default)]
pub(crate) struct H264PacketGuard {
    state: State,
    gap: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Outside,
    Within {
        ssrc: u32,
        last: u16,
    },
}

impl H264PacketGuard {
    /// Another stream begins, or the depayloader was told of a loss.
    pub(crate) fn interrupt(&mut self) {
        self.state = State::Outside;
        self.gap = true;
    }

    /// A packet, and what becomes of it.
    pub(crate) fn judge(&mut self, header: RtpHeader, payload: &[u8]) -> GuardVerdict {
        let follows = match self.state {
            State::Within { ssrc, last } => {
                ssrc == header.ssrc && last.wrapping_add(1) == header.sequence
            }
            State::Outside => false,
        };
        let next = State::Within {
            ssrc: header.ssrc,
            last: header.sequence,
        };
        let state = match payload {
            [] => return self.drop(),
            [indicator, fragment @ ..] if FRAGMENTS.contains(&(indicator & 0x1f)) => {
                let [flags, _, ..] = fragment else {
                    return self.drop();
                };
                if flags & START == 0 && !follows {
                    return self.drop();
                }
                if flags & END == 0 {
                    next
                } else {
                    State::Outside
                }
            }
            [_, ..] => State::Outside,
        };
        self.state = state;
        if std::mem::take(&mut self.gap) {
            GuardVerdict::PassAfterGap
        } else {
            GuardVerdict::Pass
        }
    }

    fn drop(&mut self) -> GuardVerdict {
        self.interrupt();
        GuardVerdict::Drop
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST: &[u8] = &[0x7c, 0x85, 1, 2];
    const MIDDLE: &[u8] = &[0x7c, 0x05, 3, 4];
    const LAST: &[u8] = &[0x7c, 0x45, 5, 6];
    const SLICE: &[u8] = &[0x61, 9, 9];

    fn verdicts(packets: &[(u16, &[u8])]) -> Vec<GuardVerdict> {
        let mut guard = H264PacketGuard::default();
        let mut judge =
            |(sequence, payload): &(u16, &[u8])| guard.judge(header(1, *sequence), payload);
        packets.iter().map(&mut judge).collect()
    }

    fn header(ssrc: u32, sequence: u16) -> RtpHeader {
        let mut packet = vec![0x80, 97, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
        RtpHeader::parse(&packet).unwrap().0
    }

    #[test]
    fn whole_units_and_unbroken_fragments_pass() {
        use GuardVerdict::Pass;
        let packets = [
            (65_534, SLICE),
            (65_535, FIRST),
            (0, MIDDLE),
            (1, LAST),
            (2, FIRST),
            (3, LAST),
            (4, SLICE),
        ];
        assert_eq!(verdicts(&packets), [Pass; 7]);
    }

    #[test]
    fn a_fragment_that_follows_none_is_dropped_and_the_next_packet_is_marked() {
        use GuardVerdict::{Drop, Pass, PassAfterGap};
        let packets = [(1, FIRST), (3, MIDDLE), (4, LAST), (5, FIRST), (6, LAST)];
        let expected = [Pass, Drop, Drop, PassAfterGap, Pass];
        assert_eq!(verdicts(&packets), expected);
        assert_eq!(verdicts(&[(1, MIDDLE), (2, SLICE)]), [Drop, PassAfterGap]);
    }

    #[test]
    fn packets_without_data_are_dropped_and_break_the_row() {
        use GuardVerdict::{Drop, Pass, PassAfterGap};
        for empty in [&[][..], &[0x7c], &[0x7c, 0x85], &[0x7d, 0x45]] {
            let packets = [(1, FIRST), (2, empty), (3, LAST), (4, SLICE)];
            let expected = [Pass, Drop, Drop, PassAfterGap];
            assert_eq!(verdicts(&packets), expected, "{empty:?}");
        }
    }

    #[test]
    fn fragments_of_two_sources_are_never_put_together() {
        let mut guard = H264PacketGuard::default();
        assert_eq!(guard.judge(header(1, 7), FIRST), GuardVerdict::Pass);
        assert_eq!(guard.judge(header(2, 8), LAST), GuardVerdict::Drop);
    }

    #[test]
    fn after_an_interruption_only_a_new_unit_passes() {
        let mut guard = H264PacketGuard::default();
        guard.judge(header(1, 7), FIRST);
        guard.interrupt();
        assert_eq!(guard.judge(header(1, 8), LAST), GuardVerdict::Drop);
        assert_eq!(guard.judge(header(1, 9), SLICE), GuardVerdict::PassAfterGap);
    }

    proptest! {
        /// What the depayloader does with fragments, as far as it matters here.
        #[test]
        fn a_continuation_never_reaches_the_depayloader_but_right_after_its_predecessor(
            packets in prop::collection::vec(
                (1_u32..3, 0_u16..6, prop::collection::vec(prop_oneof![Just(0x7c), any::<u8>()], 0..4)),
                0..200,
            ),
        ) {
            let mut guard = H264PacketGuard::default();
            let mut open: Option<(u32, u16)> = None;
            for (ssrc, sequence, payload) in packets {
                match guard.judge(header(ssrc, sequence), &payload) {
                    GuardVerdict::Drop => continue,
                    GuardVerdict::PassAfterGap => open = None,
                    GuardVerdict::Pass => {}
                }
                let is_fragment = FRAGMENTS.contains(&(payload[0] & 0x1f));
                if is_fragment {
                    prop_assert!(payload.len() > 2);
                }
                if is_fragment && payload[1] & START == 0 {
                    prop_assert_eq!(open, Some((ssrc, sequence.wrapping_sub(1))));
                }
                open = (is_fragment && payload[1] & END == 0).then_some((ssrc, sequence));
            }
        }
    }
}
