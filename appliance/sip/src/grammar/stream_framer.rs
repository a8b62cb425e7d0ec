//! Messages out of a byte stream: TCP and TLS (RFC 3261 §18.3, RFC 5626 §4.4.1).
//!
//! ```text
//!            push bytes                           head complete
//!   Between ───────────> line ends: Pong, Ping ──────────────────> Body ── all there ──> Message, Between
//!      │                                                            │
//!      └── head over 64 kB, no Content-Length, body too long ──> Lost: the stream has to be closed
//! ```
//!
//! A message that is wrong in itself but whose end is known is reported, and reading goes on behind it.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use super::head::{Head, MAX_HEAD_BYTES, find_head_end};
use super::header_name::HeaderName;
use super::message::Message;
use crate::error::{HeaderError, MessageError, MessageFault, Reason};

/// The longest body that a stream may carry.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// What came out of a stream.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "an item is taken apart at once, never stored"
)]
pub enum StreamItem {
    /// A message.
    Message(Message),
    /// A double CRLF: the peer asks for a single one as a sign of life.
    Ping,
    /// A single CRLF: the answer to a ping of ours. May also be the first half of a ping that arrives in two parts.
    Pong,
}

/// What went wrong in a stream.
#[derive(Debug, Error)]
pub enum FramingError {
    /// One message is unusable; the stream goes on behind it.
    #[error("{0}")]
    Message(MessageError),
    /// The end of a message cannot be told: close the stream. Later calls give [`FramingError::Closed`].
    #[error("the stream cannot go on: {0}")]
    Lost(MessageError),
    /// The stream was lost before.
    #[error("the stream was lost before")]
    Closed,
}

/// Cuts a byte stream into messages.
#[derive(Debug, Default)]
pub struct StreamFramer {
    buffer: BytesMut,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    /// Before a message. `searched` bytes of the buffer are known not to hold the end of a head.
    #[default]
    Between,
    /// Before a message, right behind a single CRLF.
    AfterLineEnd,
    /// In a head, of which `searched` bytes are known not to hold its end.
    InHead { searched: usize },
    /// Behind a head, before the end of a body of `length` bytes.
    InBody { head: Box<Head>, length: usize },
    /// Nothing more can be read.
    Lost,
}

impl StreamFramer {
    /// At the beginning of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes of the stream. Call [`StreamFramer::next_item`] until it gives `None` before the next push: only
    /// then does the buffer stay bounded.
    pub fn push(&mut self, bytes: &[u8]) {
        match self.state {
            State::Lost => {}
            State::Between | State::AfterLineEnd | State::InHead { .. } | State::InBody { .. } => {
                self.buffer.extend_from_slice(bytes);
            }
        }
    }

    /// The next item, `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`FramingError::Message`] for one bad message; the others end the stream.
    pub fn next_item(&mut self) -> Result<Option<StreamItem>, FramingError> {
        loop {
            match std::mem::take(&mut self.state) {
                State::Between => match self.buffer.get(..2) {
                    Some(b"\r\n") => {
                        self.buffer.advance(2);
                        return Ok(Some(self.after_line_end()));
                    }
                    Some(_) => self.state = State::InHead { searched: 0 },
                    None => return Ok(None),
                },
                State::AfterLineEnd => match self.buffer.get(..2) {
                    Some(b"\r\n") => {
                        self.buffer.advance(2);
                        return Ok(Some(StreamItem::Ping));
                    }
                    Some(_) => self.state = State::InHead { searched: 0 },
                    None => {
                        self.state = State::AfterLineEnd;
                        return Ok(None);
                    }
                },
                State::InHead { searched } => {
                    if !self.read_head(searched)? {
                        return Ok(None);
                    }
                }
                State::InBody { head, length } => return self.read_body(head, length),
                State::Lost => {
                    self.state = State::Lost;
                    return Err(FramingError::Closed);
                }
            }
        }
    }

    /// Behind one CRLF: a second one makes it a ping.
    fn after_line_end(&mut self) -> StreamItem {
        if self.buffer.starts_with(b"\r\n") {
            self.buffer.advance(2);
            return StreamItem::Ping;
        }
        self.state = State::AfterLineEnd;
        StreamItem::Pong
    }

    /// Looks for the end of the head and says whether it is there.
    fn read_head(&mut self, searched: usize) -> Result<bool, FramingError> {
        let Some(length) =
            find_head_end(&self.buffer, searched).filter(|&length| length <= MAX_HEAD_BYTES)
        else {
            if self.buffer.len() > MAX_HEAD_BYTES {
                let head = self.buffer.split_to(MAX_HEAD_BYTES).freeze();
                return Err(self.lose(Head::refuse_too_long(&head)));
            }
            // The end may have begun in the last three bytes.
            self.state = State::InHead {
                searched: self.buffer.len().saturating_sub(3),
            };
            return Ok(false);
        };
        let head = Head::parse(&self.buffer.split_to(length).freeze())
            .map_err(|error| self.lose(error))?;
        match head.content_length() {
            Ok(Some(length)) if length <= MAX_BODY_BYTES => {
                self.state = State::InBody {
                    head: Box::new(head),
                    length,
                };
                Ok(true)
            }
            Ok(Some(declared)) => {
                Err(self.lose(head.refuse(MessageFault::BodyTooLong { declared })))
            }
            Ok(None) => {
                let missing = HeaderError {
                    header: HeaderName::ContentLength,
                    offset: 0,
                    reason: Reason::Missing,
                };
                Err(self.lose(head.refuse(MessageFault::Header(missing))))
            }
            Err(fault) => Err(self.lose(head.refuse(fault))),
        }
    }

    fn read_body(
        &mut self,
        head: Box<Head>,
        length: usize,
    ) -> Result<Option<StreamItem>, FramingError> {
        if self.buffer.len() < length {
            self.state = State::InBody { head, length };
            return Ok(None);
        }
        let body = if length == 0 {
            Bytes::new()
        } else {
            self.buffer.split_to(length).freeze()
        };
        head.finish(body)
            .map(|message| Some(StreamItem::Message(message)))
            .map_err(FramingError::Message)
    }

    fn lose(&mut self, error: MessageError) -> FramingError {
        self.state = State::Lost;
        self.buffer.clear();
        FramingError::Lost(error)
    }
}
