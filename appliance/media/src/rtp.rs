//! The fixed header of an RTP packet (RFC 3550 section 5.1), as far as this crate looks at it.

/// The first twelve bytes of an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RtpHeader {
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
}

impl RtpHeader {
    /// Bytes of the fixed header.
    pub(crate) const LEN: usize = 12;

    /// Reads a header and gives the payload with it; `None` for anything that is no RTP packet.
    /// Padding is not taken off.
    pub(crate) fn parse(packet: &[u8]) -> Option<(Self, &[u8])> {
        let (fixed, rest) = packet.split_first_chunk::<{ Self::LEN }>()?;
        if fixed[0] >> 6 != 2 {
            return None;
        }
        let header = Self {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7f,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        };
        let sources = usize::from(fixed[0] & 0x0f) * 4;
        let rest = rest.get(sources..)?;
        let extended = fixed[0] & 0x10 != 0;
        Some((
            header,
            if extended {
                after_extension(rest)?
            } else {
                rest
            },
        ))
    }

    /// Reads a header and gives the payload with it, without padding; `None` for anything that is no
    /// RTP packet, or whose padding is longer than its payload.
    pub(crate) fn parse_without_padding(packet: &[u8]) -> Option<(Self, &[u8])> {
        let (header, payload) = Self::parse(packet)?;
        if packet[0] & 0x20 == 0 {
            return Some((header, payload));
        }
        let padding = usize::from(*payload.last()?);
        let length = payload.len().checked_sub(padding)?;
        Some((header, payload.get(..length)?))
    }

    /// The header on the wire, without CSRCs, extension or padding.
    pub(crate) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[0] = 0x80;
        bytes[1] = u8::from(self.marker) << 7 | self.payload_type & 0x7f;
        bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes
    }
}

/// What follows a header extension (RFC 3550 section 5.3.1).
fn after_extension(rest: &[u8]) -> Option<&[u8]> {
    let words = u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]);
    rest.get(4 + usize::from(words) * 4..)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn csrcs_and_extension_are_stepped_over() {
        let mut packet = vec![0x91, 0xe0, 0, 7, 0, 0, 0, 9, 0, 0, 0, 1];
        packet.extend([0, 0, 0, 5]);
        packet.extend([0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
        packet.extend(b"payload");
        let (header, payload) = RtpHeader::parse(&packet).unwrap();
        assert!(header.marker);
        assert_eq!(
            (header.payload_type, header.sequence, header.timestamp),
            (96, 7, 9)
        );
        assert_eq!(payload, b"payload");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some((header, payload)) = RtpHeader::parse(&bytes) {
                prop_assert!(payload.len() + RtpHeader::LEN <= bytes.len());
                prop_assert_eq!(&header.to_bytes()[1..], &bytes[1..RtpHeader::LEN]);
            }
        }
    }
}
