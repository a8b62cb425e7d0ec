//! STUN binding messages (RFC 8489), as far as keeping a SIP flow open by UDP needs them.
//!
//! An edge proxy answers Binding requests that arrive at its SIP port with the address that it saw
//! (RFC 5626 section 8): a sign of life, and proof that no NAT on the way has been started anew.
//! Such requests carry no credentials, so MESSAGE-INTEGRITY is neither written nor checked.
//! FINGERPRINT is checked where it is given.
//!
//! A SIP message begins with a letter, a STUN message with two zero bits: that tells them apart.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER_LENGTH: usize = 20;
/// The method of all messages here.
const BINDING: u16 = 0x0001;
const MAPPED_ADDRESS: u16 = 0x0001;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const FINGERPRINT: u16 = 0x8028;
const FINGERPRINT_XOR: u32 = 0x5354_554e;
/// Attributes from here on may be ignored by who does not know them.
const COMPREHENSION_OPTIONAL: u16 = 0x8000;
/// Attributes that demand nothing of who reads a Binding message without credentials: USERNAME,
/// MESSAGE-INTEGRITY, ERROR-CODE, UNKNOWN-ATTRIBUTES, MESSAGE-INTEGRITY-SHA256, REALM, NONCE,
/// PRIORITY, USE-CANDIDATE.
const HARMLESS: [u16; 9] = [
    0x0006, 0x0008, 0x0009, 0x000a, 0x001c, 0x0014, 0x0015, 0x0024, 0x0025,
];
/// More attributes than anybody needs.
const MAX_ATTRIBUTES: usize = 32;

/// Ties a response to its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionId(pub [u8; 12]);

/// The class of a message (RFC 8489 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Wants an answer.
    Request,
    /// Wants none.
    Indication,
    /// The answer to a request.
    Success,
    /// The refusal of a request.
    Error,
}

/// Why bytes are no usable STUN message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StunError {
    /// Shorter than a header, or without STUN's first bits or magic cookie.
    #[error("no STUN message")]
    NotStun,
    /// The length in the header is not that of the message.
    #[error("the length is wrong")]
    Length,
    /// An attribute reaches beyond the message, or there are too many.
    #[error("an attribute is malformed")]
    Attribute,
    /// FINGERPRINT is not last, or not that of the message.
    #[error("the fingerprint is wrong")]
    Fingerprint,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StunMessage {
    class: Class,
    method: u16,
    transaction: TransactionId,
    mapped_address: Option<SocketAddr>,
    unknown_attribute: Option<u16>,
}

/// Whether a datagram is STUN rather than SIP.
#[must_use]
pub fn is_stun(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(first) if first & 0xc0 == 0)
        && datagram.len() >= HEADER_LENGTH
        && datagram.get(4..8) == Some(&MAGIC_COOKIE)
}

/// A Binding request without attributes.
#[must_use]
pub fn binding_request(transaction: TransactionId) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEADER_LENGTH);
    bytes.put_u16(BINDING);
    bytes.put_u16(0);
    bytes.put_slice(&MAGIC_COOKIE);
    bytes.put_slice(&transaction.0);
    bytes.freeze()
}

impl StunMessage {
    /// Reads one datagram.
    ///
    /// # Errors
    /// It is no STUN message, or a malformed one.
    pub fn parse(datagram: &[u8]) -> Result<Self, StunError> {
        if !is_stun(datagram) {
            return Err(StunError::NotStun);
        }
        let (header, body) = datagram.split_at(HEADER_LENGTH);
        let kind = u16_at(header, 0).ok_or(StunError::NotStun)?;
        let length = u16_at(header, 2).ok_or(StunError::NotStun)?;
        if usize::from(length) != body.len() || !body.len().is_multiple_of(4) {
            return Err(StunError::Length);
        }
        let transaction = header
            .get(8..)
            .and_then(|id| id.try_into().ok())
            .map(TransactionId)
            .ok_or(StunError::NotStun)?;
        let mut message = Self {
            class: class_of(kind),
            method: method_of(kind),
            transaction,
            mapped_address: None,
            unknown_attribute: None,
        };
        message.read_attributes(datagram)?;
        Ok(message)
    }

    fn read_attributes(&mut self, datagram: &[u8]) -> Result<(), StunError> {
        let mut plain = None;
        let mut xored = None;
        let mut offset = HEADER_LENGTH;
        let mut count = 0;
        while offset < datagram.len() {
            count += 1;
            let (Some(kind), Some(length)) =
                (u16_at(datagram, offset), u16_at(datagram, offset + 2))
            else {
                return Err(StunError::Attribute);
            };
            let start = offset + 4;
            let end = start + usize::from(length);
            let value = datagram.get(start..end).ok_or(StunError::Attribute)?;
            if count > MAX_ATTRIBUTES {
                return Err(StunError::Attribute);
            }
            match kind {
                // What stands twice counts once (RFC 8489 section 14).
                MAPPED_ADDRESS => plain = plain.or(Some(read_address(value))),
                XOR_MAPPED_ADDRESS => {
                    xored = xored.or(Some(self.read_xored_address(value)));
                }
                FINGERPRINT => check_fingerprint(datagram, offset, value)?,
                kind if kind < COMPREHENSION_OPTIONAL && !HARMLESS.contains(&kind) => {
                    self.unknown_attribute = self.unknown_attribute.or(Some(kind));
                }
                _ => {}
            }
            offset = end.next_multiple_of(4);
        }
        self.mapped_address = match (xored, plain) {
            (Some(address), _) | (None, Some(address)) => Some(address?),
            (None, None) => None,
        };
        Ok(())
    }

    fn read_xored_address(&self, value: &[u8]) -> Result<SocketAddr, StunError> {
        let masked = read_address(value)?;
        let mut mask = [0; 16];
        for (byte, with) in mask
            .iter_mut()
            .zip(MAGIC_COOKIE.iter().chain(&self.transaction.0))
        {
            *byte = *with;
        }
        let port = masked.port() ^ u16::from_be_bytes([mask[0], mask[1]]);
        let address = match masked.ip() {
            IpAddr::V4(address) => {
                let mask = u32::from_be_bytes(MAGIC_COOKIE);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() ^ mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::from_be_bytes(mask);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() ^ mask))
            }
        };
        Ok(SocketAddr::new(address, port))
    }

    /// Request, indication or answer.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }

    /// Whether the method is Binding.
    #[must_use]
    pub fn is_binding(&self) -> bool {
        self.method == BINDING
    }

    /// The transaction.
    #[must_use]
    pub fn transaction(&self) -> TransactionId {
        self.transaction
    }

    /// Where the answering side saw the request come from.
    #[must_use]
    pub fn mapped_address(&self) -> Option<SocketAddr> {
        self.mapped_address
    }

    /// An attribute that has to be understood and is not: the message is of no use then.
    #[must_use]
    pub fn unknown_attribute(&self) -> Option<u16> {
        self.unknown_attribute
    }
}

/// The class is two bits among those of the method: 0x0010 and 0x0100.
fn class_of(kind: u16) -> Class {
    match (kind & 0x0100 != 0, kind & 0x0010 != 0) {
        (false, false) => Class::Request,
        (false, true) => Class::Indication,
        (true, false) => Class::Success,
        (true, true) => Class::Error,
    }
}

fn method_of(kind: u16) -> u16 {
    (kind & 0x000f) | (kind & 0x00e0) >> 1 | (kind & 0x3e00) >> 2
}

fn read_address(value: &[u8]) -> Result<SocketAddr, StunError> {
    let port = u16_at(value, 2).ok_or(StunError::Attribute)?;
    let address = value.get(4..).unwrap_or_default();
    let address = match value.get(1) {
        Some(1) => <[u8; 4]>::try_from(address).map(IpAddr::from).ok(),
        Some(2) => <[u8; 16]>::try_from(address).map(IpAddr::from).ok(),
        Some(_) | None => None,
    };
    address
        .map(|address| SocketAddr::new(address, port))
        .ok_or(StunError::Attribute)
}

/// The fingerprint covers all before it, with a header that counts it in.
fn check_fingerprint(datagram: &[u8], offset: usize, value: &[u8]) -> Result<(), StunError> {
    let given = value
        .try_into()
        .map(u32::from_be_bytes)
        .map_err(|_| StunError::Fingerprint)?;
    let before = datagram.get(..offset).unwrap_or_default();
    if offset + 8 == datagram.len() && given == crc32(before) ^ FINGERPRINT_XOR {
        Ok(())
    } else {
        Err(StunError::Fingerprint)
    }
}

/// The CRC-32 of ITU-T V.42, bit by bit: messages are short and rare.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    let pair = bytes.get(offset..offset + 2)?;
    Some(u16::from_be_bytes(pair.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        text.split_whitespace()
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect()
    }

    const TRANSACTION: TransactionId = TransactionId([
        0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
    ]);
    /// RFC 5769 section 2.1.
    const REQUEST: &str = "00 01 00 58 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae \
        80 22 00 10 53 54 55 4e 20 74 65 73 74 20 63 6c 69 65 6e 74 \
        00 24 00 04 6e 00 01 ff 80 29 00 08 93 2f f9 b1 51 26 3b 36 \
        00 06 00 09 65 76 74 6a 3a 68 36 76 59 20 20 20 \
        00 08 00 14 9a ea a7 0c bf d8 cb 56 78 1e f2 b5 b2 d3 f2 49 c1 b5 71 a2 \
        80 28 00 04 e5 7a 3b cf";
    /// RFC 5769 section 2.2.
    const RESPONSE_V4: &str = "01 01 00 3c 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae \
        80 22 00 0b 74 65 73 74 20 76 65 63 74 6f 72 20 \
        00 20 00 08 00 01 a1 47 e1 12 a6 43 \
        00 08 00 14 2b 91 f5 99 fd 9e 90 c3 8c 74 89 f9 2a f9 ba 53 f0 6b e7 d7 \
        80 28 00 04 c0 7d 4c 96";
    /// RFC 5769 section 2.3.
    const RESPONSE_V6: &str = "01 01 00 48 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae \
        80 22 00 0b 74 65 73 74 20 76 65 63 74 6f 72 20 \
        00 20 00 14 00 02 a1 47 01 13 a9 fa a5 d3 f1 79 bc 25 f4 b5 be d2 b9 d9 \
        00 08 00 14 a3 82 95 4e 4b e6 7b f1 17 84 c9 7c 82 92 c2 75 bf e3 ed 41 \
        80 28 00 04 c8 fb 0b 4c";

    #[test]
    fn the_samples_of_the_rfc_are_read() {
        for (text, class, mapped) in [
            (REQUEST, Class::Request, None),
            (RESPONSE_V4, Class::Success, Some("192.0.2.1:32853")),
            (
                RESPONSE_V6,
                Class::Success,
                Some("[2001:db8:1234:5678:11:2233:4455:6677]:32853"),
            ),
        ] {
            let message = StunMessage::parse(&bytes(text)).unwrap();
            assert_eq!(message.class(), class);
            assert!(message.is_binding());
            assert_eq!(message.transaction(), TRANSACTION);
            let mapped = mapped.map(|address| address.parse().unwrap());
            assert_eq!(message.mapped_address(), mapped);
            assert_eq!(message.unknown_attribute(), None);
        }
    }

    #[test]
    fn any_changed_byte_of_a_fingerprinted_message_is_noticed() {
        let sample = bytes(RESPONSE_V4);
        // Of another kind, the last attribute is no fingerprint.
        let kind_of_the_last = [sample.len() - 8, sample.len() - 7];
        for index in (0..sample.len()).filter(|index| !kind_of_the_last.contains(index)) {
            let mut damaged = sample.clone();
            damaged[index] ^= 0x04;
            assert!(StunMessage::parse(&damaged).is_err(), "byte {index}");
        }
    }

    #[test]
    fn our_request_is_a_header_and_nothing_else() {
        let request = binding_request(TRANSACTION);
        let expected = "00 01 00 00 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae";
        assert_eq!(request, bytes(expected));
        let read = StunMessage::parse(&request).unwrap();
        assert_eq!(
            (read.class(), read.transaction()),
            (Class::Request, TRANSACTION)
        );
    }

    #[test]
    fn malformed_messages_are_refused_with_their_cause() {
        let header = "01 01 00 08 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae";
        for (text, error) in [
            ("INVITE", StunError::NotStun),
            // Without the magic cookie: RFC 3489, which no edge proxy speaks.
            (
                "00 01 00 00 00 00 00 00 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae",
                StunError::NotStun,
            ),
            (
                "41 01 00 00 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae",
                StunError::NotStun,
            ),
            (header, StunError::Length),
            (
                &format!("{header} 00 20 00 08 00 01 a1 47 e1 12 a6 43"),
                StunError::Length,
            ),
            (
                &format!("{header} 00 20 00 05 00 01 a1 47"),
                StunError::Attribute,
            ),
            (
                &format!("{header} 00 20 00 04 00 01 a1 47"),
                StunError::Attribute,
            ),
            (
                &format!("{header} 00 20 00 04 00 03 a1 47"),
                StunError::Attribute,
            ),
            (
                &format!("{header} 80 28 00 04 00 00 00 00"),
                StunError::Fingerprint,
            ),
        ] {
            let datagram = if text == "INVITE" {
                b"INVITE sip:a@b SIP/2.0\r\n".to_vec()
            } else {
                bytes(text)
            };
            assert_eq!(StunMessage::parse(&datagram), Err(error), "{text}");
        }
    }

    #[test]
    fn an_attribute_that_has_to_be_understood_and_is_not_is_named() {
        for (kind, unknown) in [("7f ff", Some(0x7fff)), ("ff ff", None), ("00 09", None)] {
            let text = format!(
                "01 01 00 08 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae {kind} 00 01 41 00 00 00"
            );
            let message = StunMessage::parse(&bytes(&text)).unwrap();
            assert_eq!(message.unknown_attribute(), unknown, "{kind}");
        }
    }

    #[test]
    fn the_older_mapped_address_serves_where_the_other_is_missing() {
        let text = "01 01 00 0c 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae \
            00 01 00 08 00 01 13 c4 c0 00 02 07";
        let message = StunMessage::parse(&bytes(text)).unwrap();
        assert_eq!(message.mapped_address(), "192.0.2.7:5060".parse().ok());
    }

    proptest! {
        #[test]
        fn no_datagram_panics(mut datagram in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = StunMessage::parse(&datagram);
            // With a good header more of it is read.
            if datagram.len() >= HEADER_LENGTH {
                let length = (datagram.len() - HEADER_LENGTH) / 4 * 4;
                datagram.truncate(HEADER_LENGTH + length);
                datagram[0] &= 0x3f;
                datagram[2..4].copy_from_slice(&(length as u16).to_be_bytes());
                datagram[4..8].copy_from_slice(&MAGIC_COOKIE);
                let _ = StunMessage::parse(&datagram);
            }
        }
    }
}
