//! The way between one participant and the server: datagrams or a byte stream, read and written.

use std::time::Instant;

use bytes::Bytes;

use super::error::Undecodable;
use super::fragment::Reassembler;
use super::framer::{FramingError, StreamFramer};
use super::message::Message;
use crate::transaction::Reliability;

/// The largest datagram that we send: what every path carries, with room for tunnels.
const MAX_DATAGRAM_BYTES: usize = 1_200;

/// What has arrived.
#[derive(Debug)]
pub(super) enum Arrived {
    Message(Message),
    Undecodable(Undecodable),
    /// The stream cannot be read any further.
    Lost(Undecodable),
}

/// One way, with what is left of what was read from it.
#[derive(Debug)]
pub(super) enum Channel {
    Datagrams(Reassembler),
    Stream(StreamFramer),
}

impl Channel {
    pub(super) fn new(reliability: Reliability) -> Self {
        match reliability {
            Reliability::Unreliable => Self::Datagrams(Reassembler::default()),
            Reliability::Reliable => Self::Stream(StreamFramer::default()),
        }
    }

    pub(super) fn reliability(&self) -> Reliability {
        match self {
            Self::Datagrams(_) => Reliability::Unreliable,
            Self::Stream(_) => Reliability::Reliable,
        }
    }

    /// Reads a datagram, or the next bytes of a stream.
    pub(super) fn read(&mut self, now: Instant, bytes: &[u8]) -> Vec<Arrived> {
        match self {
            Self::Datagrams(reassembler) => match reassembler.push(now, bytes) {
                Ok(message) => message.map(Arrived::Message).into_iter().collect(),
                Err(error) => vec![Arrived::Undecodable(error)],
            },
            Self::Stream(framer) => {
                framer.push(bytes);
                let mut arrived = Vec::new();
                loop {
                    match framer.next_message() {
                        Ok(Some(message)) => arrived.push(Arrived::Message(message)),
                        Ok(None) => return arrived,
                        Err(FramingError::Message(error)) => {
                            arrived.push(Arrived::Undecodable(error));
                        }
                        Err(FramingError::Lost(error)) => {
                            arrived.push(Arrived::Lost(error));
                            return arrived;
                        }
                    }
                }
            }
        }
    }

    /// A message as it goes over this way.
    pub(super) fn write(&self, message: &Message) -> Vec<Bytes> {
        match self {
            Self::Datagrams(_) => message.to_datagrams(MAX_DATAGRAM_BYTES),
            Self::Stream(_) => vec![message.to_stream()],
        }
    }
}
