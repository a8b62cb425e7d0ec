//! What can be wrong with a SIP message, and with text that we are asked to write into one.
//!
//! An error names the place (which header, which byte) and one cause, so that a log line is enough to
//! find the fault at the peer. Errors hold no header values: those may carry credentials.

use thiserror::Error;

use crate::grammar::{HeaderName, Headers, StatusCode};

/// Why a piece of text does not follow its grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Reason {
    /// The header field is absent though the message needs it.
    #[error("the header is missing")]
    Missing,
    /// A header that may stand once stands more often (RFC 3261 §7.3.1).
    #[error("the header stands more than once")]
    Repeated,
    /// Something else than the named element stands here.
    #[error("expected {0}")]
    Expected(&'static str),
    /// The value was complete, and yet there is more.
    #[error("unexpected text after the value")]
    TrailingText,
    /// A number outside of the range that the grammar gives.
    #[error("the number is out of range")]
    OutOfRange,
    /// A `%` without two hexadecimal digits behind it.
    #[error("bad percent escape")]
    BadEscape,
    /// A quoted string without its closing quote.
    #[error("the quoted string has no end")]
    UnterminatedQuote,
    /// Text that is not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// A parameter name stands twice in one value (RFC 3261 §7.3.1).
    #[error("the parameter stands more than once")]
    RepeatedParameter,
    /// More parameters than anybody needs: a bound on the work that one value may cause.
    #[error("too many parameters")]
    TooManyParameters,
    /// The method of CSeq differs from that of the request line (RFC 3261 §8.1.1.5).
    #[error("the method differs from that of the request line")]
    MethodMismatch,
}

/// A fault in one value, at a byte of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{reason} at byte {offset}")]
pub struct SyntaxError {
    /// Byte offset in the value, counted after line folding was undone.
    pub offset: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// A fault in the value of one header field.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{header}: {reason} at byte {offset}")]
pub struct HeaderError {
    /// The header field.
    pub header: HeaderName,
    /// Byte offset in its value, counted after line folding was undone.
    pub offset: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// What makes bytes from the network unusable as a message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MessageFault {
    /// Nothing but line ends.
    #[error("empty message")]
    Empty,
    /// Start line and header fields exceed [`crate::grammar::MAX_HEAD_BYTES`].
    #[error("the head is too long")]
    HeadTooLong,
    /// More header fields than [`crate::grammar::MAX_FIELDS`].
    #[error("too many header fields")]
    TooManyFields,
    /// The bytes end before the empty line that closes the head.
    #[error("the head has no end")]
    UnfinishedHead,
    /// A CR without LF or a LF without CR inside the head.
    #[error("bare CR or LF at byte {offset}")]
    BareLineEnd {
        /// Byte offset in the message.
        offset: usize,
    },
    /// The request or status line does not follow its grammar.
    #[error("start line: {0}")]
    StartLine(SyntaxError),
    /// The Request-URI exceeds [`crate::grammar::MAX_URI_BYTES`].
    #[error("the Request-URI is too long")]
    UriTooLong,
    /// A protocol version other than SIP/2.0.
    #[error("the version is not SIP/2.0")]
    Version,
    /// A line of the head that is no header field.
    #[error("no header field at byte {offset}")]
    Field {
        /// Byte offset in the message.
        offset: usize,
    },
    /// A header that the message cannot do without is missing or wrong.
    #[error(transparent)]
    Header(HeaderError),
    /// Content-Length announces more bytes than the datagram has (RFC 3261 §18.3).
    #[error("the body has {present} bytes of {declared}")]
    TruncatedBody {
        /// The announced length.
        declared: usize,
        /// What is there.
        present: usize,
    },
    /// Content-Length announces more than we are ready to hold.
    #[error("the body of {declared} bytes is too long")]
    BodyTooLong {
        /// The announced length.
        declared: usize,
    },
}

impl MessageFault {
    /// The status that answers a request with this fault.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Version => StatusCode::VERSION_NOT_SUPPORTED,
            Self::UriTooLong => StatusCode::REQUEST_URI_TOO_LONG,
            Self::HeadTooLong | Self::TooManyFields => StatusCode::MESSAGE_TOO_LARGE,
            Self::BodyTooLong { .. } => StatusCode::REQUEST_ENTITY_TOO_LARGE,
            Self::Empty
            | Self::UnfinishedHead
            | Self::BareLineEnd { .. }
            | Self::StartLine(_)
            | Self::Field { .. }
            | Self::Header(_)
            | Self::TruncatedBody { .. } => StatusCode::BAD_REQUEST,
        }
    }
}

/// Bytes that are no usable message, and what is needed to tell their sender so.
#[derive(Debug, Clone, Error)]
#[error("{fault}")]
pub struct MessageError {
    /// What is wrong.
    pub fault: MessageFault,
    /// The header fields, when they could be read and the message is a request: an answer with
    /// [`MessageFault::status`] can be built from them by [`crate::grammar::Response::to_headers`].
    pub answerable: Option<Box<Headers>>,
}

/// Text that must not be written into a message: it would end the field, or is not of the form that
/// its place asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ValueRefused {
    /// CR, LF or NUL: the text could grow header fields of its own.
    #[error("CR, LF or NUL at byte {offset}")]
    ControlCharacter {
        /// Byte offset in the text.
        offset: usize,
    },
    /// Not the grammar of the place that it was meant for.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
}
