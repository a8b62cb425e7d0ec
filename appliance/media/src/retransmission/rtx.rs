//! The payload format of packets that are sent again (RFC 4588): a stream of its own, whose payload
//! begins with the number that the packet had (section 4).
//!
//! Header extensions, contributing sources and padding are left behind: we send none, and the
//! depayloader of a receiver has no use for them.

use crate::rtp::RtpHeader;

/// The stream by which we send packets again.
#[derive(Debug)]
pub(crate) struct RtxStream {
    ssrc: u32,
    payload_type: u8,
    next_sequence: u16,
}

impl RtxStream {
    /// A stream from a random source and first number (RFC 3550 section 5.1).
    pub(crate) fn new(ssrc: u32, payload_type: u8, first_sequence: u16) -> Self {
        Self {
            ssrc,
            payload_type,
            next_sequence: first_sequence,
        }
    }

    /// The packet again, as the next one of this stream; `None` for what is no RTP packet.
    pub(crate) fn wrap(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let (original, payload) = RtpHeader::parse_without_padding(packet)?;
        let header = RtpHeader {
            payload_type: self.payload_type,
            sequence: self.next_sequence,
            ssrc: self.ssrc,
            ..original
        };
        self.next_sequence = self.next_sequence.wrapping_add(1);
        let number = original.sequence.to_be_bytes();
        Some([&header.to_bytes()[..], &number, payload].concat())
    }
}

/// A packet that was sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SentAgain<'a> {
    /// Its header in the stream of retransmissions.
    pub(crate) header: RtpHeader,
    /// The number that it had.
    pub(crate) original_sequence: u16,
    payload: &'a [u8],
}

impl<'a> SentAgain<'a> {
    /// Reads a packet of a stream of retransmissions. Those without a payload, by which some peers
    /// probe how much the network carries, are `None`.
    pub(crate) fn parse(packet: &'a [u8]) -> Option<Self> {
        let (header, payload) = RtpHeader::parse_without_padding(packet)?;
        let (number, payload) = payload.split_first_chunk()?;
        (!payload.is_empty()).then_some(Self {
            header,
            original_sequence: u16::from_be_bytes(*number),
            payload,
        })
    }

    /// The packet as it was in the stream that lost it.
    pub(crate) fn unwrap(&self, ssrc: u32, payload_type: u8) -> Vec<u8> {
        let header = RtpHeader {
            payload_type,
            sequence: self.original_sequence,
            ssrc,
            ..self.header
        };
        [&header.to_bytes()[..], self.payload].concat()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_packet_is_wrapped_as_rfc_4588_section_4_says() {
        let mut stream = RtxStream::new(9, 102, 65_535);
        let packet = [0x80, 0xe1, 1, 2, 3, 4, 5, 6, 0, 0, 0, 7, b'a', b'b'];
        let first = stream.wrap(&packet).unwrap();
        let expected = [
            0x80, 0xe6, 0xff, 0xff, 3, 4, 5, 6, 0, 0, 0, 9, 1, 2, b'a', b'b',
        ];
        assert_eq!(first, expected);
        assert_eq!(stream.wrap(&packet).unwrap()[2..4], [0, 0]);
    }

    #[test]
    fn padding_alone_is_no_packet() {
        // Four bytes of padding behind nothing, behind a number, and behind a number with a byte.
        let header = [0xa0, 102, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9];
        let packet = |payload: &[u8]| [&header[..], payload, &[0, 0, 0, 4]].concat();
        assert_eq!(SentAgain::parse(&packet(&[])), None);
        assert_eq!(SentAgain::parse(&packet(&[0, 7])), None);
        let packet = packet(&[0, 7, 1]);
        let again = SentAgain::parse(&packet).unwrap();
        assert_eq!(again.original_sequence, 7);
        assert_eq!(again.unwrap(3, 97)[12..], [1]);
    }

    proptest! {
        #[test]
        fn what_is_wrapped_comes_out_as_it_was(
            marker: bool,
            sequence: u16,
            timestamp: u32,
            payload in prop::collection::vec(any::<u8>(), 1..50),
        ) {
            let header = RtpHeader { marker, payload_type: 97, sequence, timestamp, ssrc: 3 };
            let packet = [&header.to_bytes()[..], &payload].concat();
            let wrapped = RtxStream::new(9, 102, 0).wrap(&packet).unwrap();
            let again = SentAgain::parse(&wrapped).unwrap();
            prop_assert_eq!(again.header.ssrc, 9);
            prop_assert_eq!(again.unwrap(3, 97), packet);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut stream = RtxStream::new(9, 102, 0);
            let wrapped = stream.wrap(&bytes);
            prop_assert_eq!(wrapped.is_some(), RtpHeader::parse_without_padding(&bytes).is_some());
            if let Some(again) = SentAgain::parse(&bytes) {
                prop_assert!(RtpHeader::parse(&again.unwrap(3, 97)).is_some());
            }
        }
    }
}
