//! The COMMON-HEADER (RFC 8855 section 5.1).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-----+-+-+-----+---------------+-------------------------------+
//! | Ver |R|F| Res |   Primitive   | Payload Length (words of 4)   |
//! +-----+-+-+-----+---------------+-------------------------------+
//! |                         Conference ID                         |
//! +-------------------------------+-------------------------------+
//! |        Transaction ID         |            User ID            |
//! +-------------------------------+-------------------------------+
//! | Fragment Offset (words), if F | Fragment Length (words), if F |
//! +-------------------------------+-------------------------------+
//! ```

use super::error::{DecodeError, Undecodable};
use super::identifiers::{ConferenceId, TransactionId, UserId};
use crate::transaction::Reliability;

/// Octets of a header without fragment fields.
pub(super) const HEADER_BYTES: usize = 12;
/// Octets of a header with them.
pub(super) const FRAGMENT_HEADER_BYTES: usize = 16;
/// Lengths and offsets count words of so many octets.
pub(super) const WORD: usize = 4;

const RESPONDER_BIT: u8 = 0x10;
const FRAGMENT_BIT: u8 = 0x08;

/// Whether a message begins a transaction or answers one: the R bit, which exists over unreliable
/// transports only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TransactionRole {
    /// R is 0: a request, or what a server sends by itself.
    Initiator,
    /// R is 1: a response or an acknowledgement.
    Responder,
}

/// Which part of a message a datagram holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Words of the payload before this part.
    pub offset: u16,
    /// Words of the payload in this part.
    pub length: u16,
}

/// A header as it was read; the primitive may be one that nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version.
    pub version: u8,
    /// The R bit.
    pub role: TransactionRole,
    /// The number of the primitive.
    pub primitive: u8,
    /// Words of the whole message's payload.
    pub payload_words: u16,
    /// The conference.
    pub conference: ConferenceId,
    /// The transaction.
    pub transaction: TransactionId,
    /// The user.
    pub user: UserId,
    /// The part, where the message is cut.
    pub fragment: Option<Fragment>,
}

/// The version that goes with a transport: 1 over reliable ones, 2 over the others.
#[must_use]
pub const fn version_over(reliability: Reliability) -> u8 {
    match reliability {
        Reliability::Reliable => 1,
        Reliability::Unreliable => 2,
    }
}

impl Header {
    /// Reads a header from the beginning of `bytes`; what follows it is returned as well.
    ///
    /// Over a reliable transport the R and F bits mean nothing and are not looked at.
    ///
    /// # Errors
    /// There is less than a header. Its fields are not judged here.
    pub fn decode(bytes: &[u8], reliability: Reliability) -> Result<(Self, &[u8]), Undecodable> {
        let truncated = || Undecodable {
            header: None,
            why: DecodeError::Truncated(bytes.len()),
        };
        let (fixed, rest) = bytes
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or_else(truncated)?;
        let [first, primitive, l0, l1, c0, c1, c2, c3, t0, t1, u0, u1] = *fixed;
        let flags = match reliability {
            Reliability::Reliable => 0,
            Reliability::Unreliable => first,
        };
        let header = Self {
            version: first >> 5,
            role: if flags & RESPONDER_BIT == 0 {
                TransactionRole::Initiator
            } else {
                TransactionRole::Responder
            },
            primitive,
            payload_words: u16::from_be_bytes([l0, l1]),
            conference: ConferenceId(u32::from_be_bytes([c0, c1, c2, c3])),
            transaction: TransactionId(u16::from_be_bytes([t0, t1])),
            user: UserId(u16::from_be_bytes([u0, u1])),
            fragment: None,
        };
        if flags & FRAGMENT_BIT == 0 {
            return Ok((header, rest));
        }
        let ([o0, o1, n0, n1], rest) = rest.split_first_chunk::<4>().ok_or_else(truncated)?;
        let fragment = Fragment {
            offset: u16::from_be_bytes([*o0, *o1]),
            length: u16::from_be_bytes([*n0, *n1]),
        };
        let header = Self {
            fragment: Some(fragment),
            ..header
        };
        Ok((header, rest))
    }

    /// Writes the header.
    pub fn encode(&self, into: &mut Vec<u8>) {
        let mut flags = self.version << 5;
        if self.role == TransactionRole::Responder {
            flags |= RESPONDER_BIT;
        }
        if self.fragment.is_some() {
            flags |= FRAGMENT_BIT;
        }
        into.extend([flags, self.primitive]);
        into.extend(self.payload_words.to_be_bytes());
        into.extend(self.conference.0.to_be_bytes());
        into.extend(self.transaction.0.to_be_bytes());
        into.extend(self.user.0.to_be_bytes());
        if let Some(fragment) = self.fragment {
            into.extend(fragment.offset.to_be_bytes());
            into.extend(fragment.length.to_be_bytes());
        }
    }

    /// Octets of the whole message's payload.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        usize::from(self.payload_words) * WORD
    }
}
