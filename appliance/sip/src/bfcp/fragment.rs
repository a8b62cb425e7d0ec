//! Messages that are larger than a datagram (RFC 8855 section 6.2.3).
//!
//! Each fragment has the whole message's header and payload length, and says which words of the
//! payload it holds. What has arrived of a message is kept until it is whole or T2 has passed: one end
//! may have a response under way and news of its own, and the network may mix their parts. A
//! retransmission sends the same fragments again, which fill what the first time lost.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::error::{DecodeError, Undecodable};
use super::header::{FRAGMENT_HEADER_BYTES, Fragment, HEADER_BYTES, Header, WORD};
use super::message::Message;
use super::timers::T2;
use crate::transaction::Reliability;

/// The largest message that is put together: some sixty requests with long names.
const MAX_PAYLOAD_BYTES: usize = 16 * 1024;
/// The most messages that are put together at a time. An honest peer has a response under way, and
/// one message of its own; the rest is for what is lost in the middle.
const MAX_PENDING: usize = 4;

/// Cuts a payload into datagrams of at most `max_bytes`, of at least one word each.
pub(super) fn cut(header: Header, payload: &[u8], max_bytes: usize) -> Vec<Bytes> {
    let datagram = |header: Header, payload: &[u8]| {
        let mut bytes = Vec::with_capacity(FRAGMENT_HEADER_BYTES + payload.len());
        header.encode(&mut bytes);
        bytes.extend(payload);
        Bytes::from(bytes)
    };
    if HEADER_BYTES + payload.len() <= max_bytes || payload.len() <= WORD {
        return vec![datagram(header, payload)];
    }
    let words = (max_bytes.saturating_sub(FRAGMENT_HEADER_BYTES) / WORD).max(1);
    let in_words = |bytes: usize| {
        u16::try_from(bytes / WORD).expect("no part of a payload is longer than the payload")
    };
    let mut offset = 0;
    let mut datagrams = Vec::new();
    for part in payload.chunks(words * WORD) {
        let fragment = Fragment {
            offset: in_words(offset),
            length: in_words(part.len()),
        };
        let header = Header {
            fragment: Some(fragment),
            ..header
        };
        datagrams.push(datagram(header, part));
        offset += part.len();
    }
    datagrams
}

/// Reads datagrams, and puts the cut ones together.
#[derive(Debug, Default)]
pub struct Reassembler {
    /// The oldest first.
    pending: VecDeque<Pending>,
}

#[derive(Debug)]
struct Pending {
    /// Without its fragment: what all of its parts have in common.
    header: Header,
    payload: Vec<u8>,
    /// Which words have arrived.
    arrived: Vec<bool>,
    /// After this, what has arrived is forgotten.
    until: Instant,
}

impl Reassembler {
    /// How long the parts of a message are kept.
    pub const KEPT: Duration = T2;

    /// Takes a datagram; gives a message when one is whole.
    ///
    /// # Errors
    /// The datagram, or the message that it completes, is none.
    pub fn push(&mut self, now: Instant, datagram: &[u8]) -> Result<Option<Message>, Undecodable> {
        let (header, payload) = Header::decode(datagram, Reliability::Unreliable)?;
        let Some(fragment) = header.fragment else {
            return Message::from_parts(header, payload, Reliability::Unreliable).map(Some);
        };
        let Pending {
            header, payload, ..
        } = match self.add(now, header, fragment, payload) {
            Ok(Some(whole)) => whole,
            Ok(None) => return Ok(None),
            Err(why) => {
                return Err(Undecodable {
                    header: Some(header),
                    why,
                });
            }
        };
        Message::from_parts(header, &payload, Reliability::Unreliable).map(Some)
    }

    fn add(
        &mut self,
        now: Instant,
        header: Header,
        fragment: Fragment,
        part: &[u8],
    ) -> Result<Option<Pending>, DecodeError> {
        let (first, count) = (usize::from(fragment.offset), usize::from(fragment.length));
        let words = first..first + count;
        let fits = count > 0
            && part.len() == count * WORD
            && words.end <= usize::from(header.payload_words)
            && header.payload_bytes() <= MAX_PAYLOAD_BYTES;
        if !fits {
            return Err(DecodeError::BadFragment);
        }
        let common = Header {
            fragment: None,
            ..header
        };
        self.pending.retain(|pending| pending.until > now);
        let mut pending = self
            .pending
            .iter()
            .position(|pending| pending.header == common)
            .and_then(|index| self.pending.remove(index))
            .unwrap_or_else(|| Pending {
                header: common,
                payload: vec![0; header.payload_bytes()],
                arrived: vec![false; usize::from(header.payload_words)],
                until: now + Self::KEPT,
            });
        let bytes = words.start * WORD..words.end * WORD;
        if let (Some(place), Some(arrived)) = (
            pending.payload.get_mut(bytes),
            pending.arrived.get_mut(words),
        ) {
            place.copy_from_slice(part);
            arrived.fill(true);
        }
        if pending.arrived.iter().all(|arrived| *arrived) {
            return Ok(Some(pending));
        }
        if self.pending.len() >= MAX_PENDING {
            self.pending.pop_front();
        }
        // Kept in the order of their ends: one that was taken out goes back before the younger.
        let place = self
            .pending
            .partition_point(|other| other.until <= pending.until);
        self.pending.insert(place, pending);
        Ok(None)
    }
}
