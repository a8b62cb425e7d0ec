//! Why a TURN server refuses an allocation, which the client keeps to itself.

/// Bytes before the attributes (RFC 8489 section 5).
const HEADER: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const ALLOCATE_ERROR: u16 = 0x0113;
const ERROR_CODE: u16 = 0x0009;

/// The random number by which an answer is known.
pub(crate) type TransactionId = [u8; 12];

/// The refusals of allocations in a datagram, or in a stretch of a stream that begins with a message: which request,
/// and the code of the error (RFC 8489 section 14.8).
pub(crate) fn allocation_errors(mut bytes: &[u8]) -> Vec<(TransactionId, u16)> {
    let mut errors = Vec::new();
    while let Some(message) = Message::parse(bytes) {
        let code = message.attribute(ERROR_CODE);
        if let Some([_, _, class, number, ..]) = code
            && message.kind == ALLOCATE_ERROR
        {
            let code = u16::from(class & 7) * 100 + u16::from(*number);
            errors.push((message.id, code));
        }
        bytes = &bytes[HEADER + message.attributes.len()..];
    }
    errors
}

/// A message, and what follows its header.
struct Message<'a> {
    kind: u16,
    id: TransactionId,
    attributes: &'a [u8],
}

impl<'a> Message<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
        let length = u16::from_be_bytes([header[2], header[3]]);
        let is_stun = header[0] < 64 && header[4..8] == COOKIE;
        Some(Self {
            kind: u16::from_be_bytes([header[0], header[1]]),
            id: header[8..].try_into().ok()?,
            attributes: rest.get(..usize::from(length)).filter(|_| is_stun)?,
        })
    }

    fn attribute(&self, wanted: u16) -> Option<&'a [u8]> {
        let mut rest = self.attributes;
        while let Some((head, tail)) = rest.split_first_chunk::<4>() {
            let kind = u16::from_be_bytes([head[0], head[1]]);
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let value = tail.get(..length)?;
            if kind == wanted {
                return Some(value);
            }
            rest = tail.get(length.next_multiple_of(4)..)?;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: TransactionId = [7; 12];

    fn message(kind: u16, attributes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(attributes.len()).unwrap();
        let parts = [kind.to_be_bytes(), length.to_be_bytes()].concat();
        [&parts, &COOKIE[..], &ID, attributes].concat()
    }

    fn refusal(number: u8) -> Vec<u8> {
        // SOFTWARE, with three bytes of padding, goes before it.
        let attributes = [0x80, 0x22, 0, 1, b'x', 0, 0, 0, 0, 9, 0, 4, 0, 0, 4, number];
        message(ALLOCATE_ERROR, &attributes)
    }

    #[test]
    fn refusals_of_allocations_are_found_among_other_messages() {
        let stretch = [message(0x0103, &[]), refusal(1), refusal(86)].concat();
        assert_eq!(allocation_errors(&stretch), [(ID, 401), (ID, 486)]);
        assert_eq!(allocation_errors(b"\x40\x00\x00\x04data"), []);
    }

    #[test]
    fn what_is_cut_off_says_nothing() {
        let whole = refusal(1);
        for end in 0..whole.len() {
            assert_eq!(allocation_errors(&whole[..end]), []);
        }
        // The attribute says that it is longer than the message.
        let mut longer = whole;
        longer[31] = 8;
        assert_eq!(allocation_errors(&longer), []);
    }
}
