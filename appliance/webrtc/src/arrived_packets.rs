//! Which packets of a stream have come: what the network doubles, or a browser sends again without need, is
//! handed on once.

/// Packets before the newest one whose coming is remembered: as many as a browser sends in half a second at
/// the most. What comes even later is of no use to anybody.
const WINDOW: usize = 1_024;

const WORD: usize = u64::BITS as usize;

/// The packets that have come, by their extended sequence numbers.
#[derive(Debug)]
pub(crate) struct ArrivedPackets {
    newest: Option<u64>,
    /// A bit for each number of the window, at its rest modulo the window's length.
    came: [u64; WINDOW / WORD],
}

impl Default for ArrivedPackets {
    fn default() -> Self {
        Self {
            newest: None,
            came: [0; WINDOW / WORD],
        }
    }
}

impl ArrivedPackets {
    /// A packet comes. Whether it had not come before, and is none from before the window.
    pub(crate) fn is_new(&mut self, sequence: u64) -> bool {
        let newest = *self.newest.get_or_insert(sequence);
        if sequence.saturating_add(WINDOW as u64) <= newest {
            return false;
        }
        if sequence > newest {
            self.newest = Some(sequence);
            // A jump over the whole window leaves nothing in it.
            let first = (newest + 1).max(sequence.saturating_sub(WINDOW as u64 - 1));
            (first..=sequence).for_each(|skipped| {
                self.take(skipped);
            });
        }
        let came = self.take(sequence);
        let (word, bit) = place(sequence);
        self.came[word] |= bit;
        !came
    }

    /// Forgets that a number has come. Whether it had.
    fn take(&mut self, sequence: u64) -> bool {
        let (word, bit) = place(sequence);
        let came = self.came[word] & bit != 0;
        self.came[word] &= !bit;
        came
    }
}

const fn place(sequence: u64) -> (usize, u64) {
    let index = (sequence % WINDOW as u64) as usize;
    (index / WORD, 1 << (index % WORD))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_packet_is_new_once_and_before_the_window_never() {
        let mut arrived = ArrivedPackets::default();
        assert_eq!(
            [70_000, 70_000, 70_002].map(|number| arrived.is_new(number)),
            [true, false, true]
        );
        assert_eq!(
            [70_001, 70_001].map(|number| arrived.is_new(number)),
            [true, false]
        );
        assert!(arrived.is_new(71_024));
        assert_eq!(
            [70_000, 70_001, 70_003].map(|number| arrived.is_new(number)),
            [false, false, true]
        );
        assert!(arrived.is_new(u64::MAX / 2));
        assert!(!arrived.is_new(71_024));
    }

    proptest! {
        #[test]
        fn it_is_a_set_with_a_window(steps in proptest::collection::vec(-1_500_i64..1_500, 1..400)) {
            let (mut arrived, mut model, mut newest) = (ArrivedPackets::default(), BTreeSet::new(), 0);
            let mut number = 1_000_000_u64;
            for step in steps {
                number = number.saturating_add_signed(step);
                newest = newest.max(number);
                let expected = number + WINDOW as u64 > newest && model.insert(number);
                prop_assert_eq!(arrived.is_new(number), expected);
            }
        }
    }
}
