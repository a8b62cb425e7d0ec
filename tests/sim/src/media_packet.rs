//! The packets of the media stand-in: what SRTP proves of a real packet, they carry in the clear.
//!
//! ```text
//!   payload type | content | event code | protection | key and salt
//! ```

use bytes::Bytes;
use room::DtmfDigit;
use room::codec::{PayloadType, SrtpKey, SrtpSuite};

/// What a packet brings to the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Sound of the room.
    Sound,
    /// What a muted microphone sends.
    Silence,
    /// A picture of the camera.
    Picture,
    /// What a camera that is switched off sends.
    Slate,
    /// A slide.
    Slide,
    /// A key press (RFC 4733).
    Key(DtmfDigit),
}

/// Packs content as a stream with this payload type and key sends it.
pub(crate) fn encode(payload_type: PayloadType, key: Option<&SrtpKey>, content: Content) -> Bytes {
    let (tag, code) = match content {
        Content::Sound => (0, 0),
        Content::Silence => (1, 0),
        Content::Picture => (2, 0),
        Content::Slate => (3, 0),
        Content::Key(digit) => (4, digit.event_code()),
        Content::Slide => (5, 0),
    };
    let mut packet = vec![payload_type.value(), tag, code];
    packet.extend(protection(key));
    packet.into()
}

/// The payload type and content of a packet that is protected by this key; `None` for any other,
/// as the check of an SRTP tag gives.
pub(crate) fn decode(key: Option<&SrtpKey>, packet: &[u8]) -> Option<(PayloadType, Content)> {
    let (&[payload_type, tag, code], rest) = packet.split_first_chunk::<3>()?;
    if rest != protection(key) {
        return None;
    }
    let content = match tag {
        0 => Content::Sound,
        1 => Content::Silence,
        2 => Content::Picture,
        3 => Content::Slate,
        4 => Content::Key(DtmfDigit::from_event_code(code)?),
        5 => Content::Slide,
        _ => return None,
    };
    Some((PayloadType::new(payload_type)?, content))
}

fn protection(key: Option<&SrtpKey>) -> Vec<u8> {
    let Some(key) = key else { return vec![0] };
    let suite = match key.suite() {
        SrtpSuite::AesCm128HmacSha1_80 => 1,
        SrtpSuite::AesCm128HmacSha1_32 => 2,
        SrtpSuite::AeadAes128Gcm => 3,
        SrtpSuite::AeadAes256Gcm => 4,
    };
    let key_and_salt = key.key_and_salt().iter().copied();
    std::iter::once(suite).chain(key_and_salt).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(first: u8) -> SrtpKey {
        SrtpKey::generate(SrtpSuite::AesCm128HmacSha1_80, |bytes| bytes[0] = first)
    }

    #[test]
    fn only_the_holder_of_the_key_reads_a_packet() {
        let payload_type = PayloadType::new(96).unwrap();
        let content = Content::Key(DtmfDigit::from_char('#').unwrap());
        let packet = encode(payload_type, Some(&key(1)), content);

        assert_eq!(
            decode(Some(&key(1)), &packet),
            Some((payload_type, content))
        );
        assert_eq!(decode(Some(&key(2)), &packet), None);
        assert_eq!(decode(None, &packet), None);
    }
}
