//! Datagrams on a TCP connection (RFC 6544): each behind its length in two bytes (RFC 4571 section 2).
//!
//! ```text
//!                    enough bytes              a length beyond the limit
//!  waits for length ─────────────► waits for frame ...       │
//!         ▲                             │                    ▼
//!         └────────── frame ────────────┘                  broken
//! ```
//!
//! Who owns the connection pushes what has come, and takes frames until there is none. A connection whose lengths
//! make no sense has no way back to sense: it is to be closed.

use bytes::{Buf, Bytes, BytesMut};
use is::stun::StunMessage;

use crate::engine::contained;

/// Bytes of the length before each frame.
const LENGTH_BYTES: usize = 2;

/// The longest first message of a connection: what a browser's check of ICE never reaches.
pub const LONGEST_FIRST_FRAME: usize = 1_280;

/// The longest frame of a connection that is known. Browsers keep to what a UDP datagram carries on any network.
pub const LONGEST_FRAME: usize = 8 * 1_024;

/// The stream is not one of frames: a length is beyond the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {length} bytes, where {limit} are the most")]
pub struct FrameTooLong {
    /// Bytes that the frame says it has.
    pub length: usize,
    /// The most that are taken.
    pub limit: usize,
}

/// Takes a stream apart into its frames, wherever the network has cut it. Holds one frame of the limit at most beside
/// what was pushed last.
#[derive(Debug)]
pub struct Deframer {
    limit: usize,
    bytes: BytesMut,
}

impl Deframer {
    /// At the start of a stream, whose frames have at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            bytes: BytesMut::new(),
        }
    }

    /// From the next frame on, frames have at most `limit` bytes.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Takes what has come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame. Empty ones, which mean nothing, are passed over.
    ///
    /// # Errors
    /// The stream makes no sense; the same error comes from now on.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameTooLong> {
        while let Some(length) = self.bytes.first_chunk() {
            let length = usize::from(u16::from_be_bytes(*length));
            if length > self.limit {
                let limit = self.limit;
                return Err(FrameTooLong { length, limit });
            }
            if self.bytes.len() < LENGTH_BYTES + length {
                return Ok(None);
            }
            self.bytes.advance(LENGTH_BYTES);
            let frame = self.bytes.split_to(length);
            if !frame.is_empty() {
                return Ok(Some(frame.freeze()));
            }
        }
        Ok(None)
    }
}

/// What goes onto the stream before a datagram; `None` for one that is too long for any frame.
#[must_use]
pub fn length_prefix(datagram: &[u8]) -> Option<[u8; LENGTH_BYTES]> {
    let length = u16::try_from(datagram.len()).ok()?;
    Some(length.to_be_bytes())
}

/// Whose connection it is, by its first message: the name of ICE ([`Leg::local_ufrag`](crate::Leg::local_ufrag)) that a
/// binding request is addressed to (RFC 8445 section 7.2.2). `None` for anything else. Nothing is proven by it: the leg
/// checks the password.
#[must_use]
pub fn addressed_ufrag(message: &[u8]) -> Option<String> {
    let ufrag = contained(|| {
        let message = StunMessage::parse(message).ok()?;
        let (local, _) = message.split_username()?;
        message.is_binding_request().then(|| local.to_owned())
    });
    ufrag.flatten()
}

#[cfg(test)]
mod tests {
    use is::stun::TransId;
    use proptest::prelude::*;

    use super::*;

    fn framed(datagram: &[u8]) -> Vec<u8> {
        [&length_prefix(datagram).unwrap(), datagram].concat()
    }

    fn frames(deframer: &mut Deframer) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| deframer.next_frame().unwrap())
            .map(|frame| frame.to_vec())
            .collect()
    }

    proptest! {
        #[test]
        fn datagrams_come_out_as_they_went_in_wherever_the_stream_is_cut(
            datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..20),
            cuts in prop::collection::vec(1..400_usize, 1..40),
        ) {
            let stream: Vec<u8> = datagrams.iter().flat_map(|one| framed(one)).collect();
            let mut deframer = Deframer::new(LONGEST_FRAME);
            let (mut rest, mut taken) = (stream.as_slice(), Vec::new());
            for cut in cuts.into_iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at(cut.min(rest.len()));
                deframer.push(now);
                taken.extend(frames(&mut deframer));
                rest = later;
            }
            prop_assert_eq!(taken, datagrams);
            prop_assert!(deframer.bytes.is_empty());
        }
    }

    #[test]
    fn a_length_beyond_the_limit_ends_the_stream_before_its_bytes_come() {
        let mut deframer = Deframer::new(LONGEST_FIRST_FRAME);
        deframer.push(b"\x00\x02ab");
        assert_eq!(frames(&mut deframer), [b"ab"]);
        // What speaks HTTP says 0x4745, `GE`.
        deframer.push(b"GET / HTTP/1.1\r\n");
        for _ in 0..2 {
            let error = deframer.next_frame().unwrap_err();
            assert_eq!((error.length, error.limit), (0x4745, LONGEST_FIRST_FRAME));
        }
    }

    #[test]
    fn empty_frames_mean_nothing() {
        let mut deframer = Deframer::new(LONGEST_FRAME);
        deframer.push(&[0; 1_000]);
        deframer.push(b"\x00\x01x\x00");
        assert_eq!(frames(&mut deframer), [b"x"]);
        assert_eq!(deframer.next_frame(), Ok(None));
        deframer.push(b"\x01y");
        assert_eq!(frames(&mut deframer), [b"y"]);
    }

    #[test]
    fn what_no_frame_holds_is_not_framed() {
        assert_eq!(length_prefix(&[7; 65_535]), Some([0xff, 0xff]));
        assert_eq!(length_prefix(&[7; 65_536]), None);
    }

    #[test]
    fn a_check_of_ice_names_whom_it_is_for() {
        let id = TransId::new();
        let check = StunMessage::binding_request("ours+/12:theirs", id, true, 7, 1_000, false);
        let mut message = [0; 256];
        let mac = |_: &[u8], _: &[&[u8]]| [7; 20];
        let length = check.to_bytes(Some(b"secret"), &mut message, mac).unwrap();
        let ufrag = addressed_ufrag(&message[..length]);
        assert_eq!(ufrag.as_deref(), Some("ours+/12"));
        let address = "192.0.2.1:5000".parse().unwrap();
        let answer = StunMessage::binding_reply(id, address);
        let length = answer.to_bytes(Some(b"secret"), &mut message, mac).unwrap();
        assert_eq!(addressed_ufrag(&message[..length]), None);
    }

    #[test]
    fn what_is_no_check_of_ice_names_nobody() {
        for message in [
            &b""[..],
            b"GET / HTTP/1.1\r\n\r\n",
            &[0; 20],
            // A binding request without a name.
            b"\x00\x01\x00\x00\x21\x12\xa4\x42aaaaaaaaaaaa",
            // A ClientHello.
            b"\x16\xfe\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10",
        ] {
            assert_eq!(addressed_ufrag(message), None, "{message:?}");
        }
    }
}
