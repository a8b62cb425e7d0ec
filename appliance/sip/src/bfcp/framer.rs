//! Messages in a byte stream: each says in its header how long it is (RFC 8855 section 6.1).

use bytes::{Buf, BytesMut};

use super::error::{DecodeError, Undecodable};
use super::header::{HEADER_BYTES, Header};
use super::message::Message;
use crate::transaction::Reliability;

/// The largest message that is read. More than that would only fill memory.
const MAX_PAYLOAD_BYTES: usize = 16 * 1024;

/// Cuts a byte stream into messages.
#[derive(Debug, Default)]
pub struct StreamFramer {
    bytes: BytesMut,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Reading,
    /// Where the next message begins is not known any more.
    Lost,
}

/// Why the stream gave no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FramingError {
    /// One message cannot be understood; the next can be read.
    Message(Undecodable),
    /// Close the connection: nothing more can be read from it.
    Lost(Undecodable),
}

impl StreamFramer {
    /// Takes bytes that have arrived. After the stream is lost they are dropped.
    pub fn push(&mut self, bytes: &[u8]) {
        match self.state {
            State::Reading => self.bytes.extend_from_slice(bytes),
            State::Lost => {}
        }
    }

    /// The next message, or `None` until more bytes have come.
    ///
    /// # Errors
    /// See [`FramingError`]. A length that nobody sends, or another version, loses the stream: in
    /// another version the length may stand elsewhere. So does what cannot be parsed, as the
    /// standard asks (RFC 8855 section 6.1): whoever writes that may be wrong about lengths as well.
    pub fn next_message(&mut self) -> Result<Option<Message>, FramingError> {
        if self.bytes.len() < HEADER_BYTES {
            return Ok(None);
        }
        let (header, payload) =
            Header::decode(&self.bytes, Reliability::Reliable).map_err(FramingError::Message)?;
        let length = header.payload_bytes();
        if header.version != 1 || length > MAX_PAYLOAD_BYTES {
            let why = if header.version == 1 {
                DecodeError::IncorrectLength
            } else {
                DecodeError::UnsupportedVersion(header.version)
            };
            let header = Some(header);
            return Err(self.lose(Undecodable { header, why }));
        }
        let Some(payload) = payload.get(..length) else {
            return Ok(None);
        };
        let message = Message::from_parts(header, payload, Reliability::Reliable);
        self.bytes.advance(HEADER_BYTES + length);
        match message {
            Ok(message) => Ok(Some(message)),
            Err(error) => Err(match &error.why {
                // It is whole, and says something that we do not know.
                DecodeError::UnknownPrimitive(_) | DecodeError::UnknownMandatoryAttribute(_) => {
                    FramingError::Message(error)
                }
                DecodeError::Truncated(_)
                | DecodeError::UnsupportedVersion(_)
                | DecodeError::IncorrectLength
                | DecodeError::BadFragment
                | DecodeError::Unparsable => self.lose(error),
            }),
        }
    }

    fn lose(&mut self, error: Undecodable) -> FramingError {
        self.state = State::Lost;
        self.bytes = BytesMut::new();
        FramingError::Lost(error)
    }
}
