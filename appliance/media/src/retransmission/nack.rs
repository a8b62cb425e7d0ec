//! Generic NACK: the numbers of packets that were lost (RFC 4585 section 6.2.1).
//!
//! Each entry names one packet, and by a mask any of the sixteen behind it.

/// Transport layer feedback and its format of generic NACK (RFC 4585 section 6.2).
pub(crate) const TRANSPORT_FEEDBACK: u32 = 205;
pub(crate) const GENERIC_NACK: u32 = 1;

/// Bytes of an entry.
const ENTRY_LENGTH: usize = 4;
/// Packets that the mask of an entry covers.
const MASKED: u16 = 16;

/// The sequence numbers that entries name, in their order. Entries that are cut off name none.
pub(crate) fn read(entries: &[u8]) -> impl Iterator<Item = u16> {
    let entries = entries.as_chunks::<ENTRY_LENGTH>().0;
    entries.iter().flat_map(|&[p0, p1, m0, m1]| {
        let first = u16::from_be_bytes([p0, p1]);
        let mask = u16::from_be_bytes([m0, m1]);
        let masked = (0..MASKED).filter(move |bit| mask >> bit & 1 == 1);
        std::iter::once(first).chain(masked.map(move |bit| first.wrapping_add(bit + 1)))
    })
}

/// The feedback packet by which `sender` tells `media` that packets of it were lost. The numbers
/// are best in ascending order: then they share entries.
pub(crate) fn packet(sender: u32, media: u32, sequences: &[u16]) -> Vec<u8> {
    let entries = entries(sequences);
    // The length counts words without the first.
    let words = u16::try_from(2 + entries.len()).unwrap_or(u16::MAX);
    let mut packet = vec![
        0x80 | GENERIC_NACK as u8,
        TRANSPORT_FEEDBACK as u8,
        words.to_be_bytes()[0],
        words.to_be_bytes()[1],
    ];
    packet.extend(sender.to_be_bytes());
    packet.extend(media.to_be_bytes());
    for (first, mask) in entries {
        packet.extend(first.to_be_bytes());
        packet.extend(mask.to_be_bytes());
    }
    packet
}

fn entries(sequences: &[u16]) -> Vec<(u16, u16)> {
    let mut entries: Vec<(u16, u16)> = Vec::new();
    for &sequence in sequences {
        match entries.last_mut() {
            Some((first, mask)) if (1..=MASKED).contains(&sequence.wrapping_sub(*first)) => {
                *mask |= 1 << (sequence.wrapping_sub(*first) - 1);
            }
            Some(_) | None => entries.push((sequence, 0)),
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_packet_is_laid_out_as_rfc_4585_sections_6_1_and_6_2_1_say() {
        let packet = packet(0x0102_0304, 0x0506_0708, &[65_534, 65_535, 14, 15]);
        let expected = [
            0x81, 205, 0, 4, 1, 2, 3, 4, 5, 6, 7, 8, //
            0xff, 0xfe, 0x80, 0x01, // 65,534; the next one, and the sixteenth behind it
            0, 15, 0, 0,
        ];
        assert_eq!(packet, expected);
        let numbers: Vec<u16> = read(&packet[12..]).collect();
        assert_eq!(numbers, [65_534, 65_535, 14, 15]);
        assert_eq!(read(&packet[12..15]).count(), 0, "cut off");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(start: u16, steps in prop::collection::vec(1_u16..40, 0..60)) {
            let numbers: Vec<u16> = steps
                .iter()
                .scan(start, |last, step| {
                    *last = last.wrapping_add(*step);
                    Some(*last)
                })
                .collect();
            let packet = packet(1, 2, &numbers);
            prop_assert_eq!(packet.len(), 4 * (1 + usize::from(u16::from_be_bytes([packet[2], packet[3]]))));
            prop_assert_eq!(read(&packet[12..]).collect::<Vec<_>>(), numbers);
        }

        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(read(&bytes).count() <= bytes.len() / 4 * 17);
        }
    }
}
