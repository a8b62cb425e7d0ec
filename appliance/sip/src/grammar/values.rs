//! The short header values: CSeq, Call-ID, Max-Forwards, Expires, Content-Length, option tags.

use std::fmt;

use super::header_name::HeaderName;
use super::headers::{HeaderValue, Placement, TypedHeader};
use super::method::Method;
use super::syntax::{Cursor, is_word};
use crate::error::{Reason, SyntaxError, ValueRefused};

/// CSeq (RFC 3261 §20.16).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CSeq {
    /// The sequence number, below 2^31 (RFC 3261 §8.1.1.5).
    pub number: u32,
    /// The method of the request.
    pub method: Method,
}

impl HeaderValue for CSeq {
    const PLACEMENT: Placement = Placement::Single;

    fn parse_value(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        cursor.skip_blanks();
        let start = cursor.clone();
        let number: u32 = cursor.number("a sequence number")?;
        if number > i32::MAX.unsigned_abs() {
            return Err(start.fault(Reason::OutOfRange));
        }
        let before = cursor.offset();
        cursor.skip_blanks();
        if cursor.offset() == before {
            return Err(cursor.expected("white space before the method"));
        }
        let method = Method::from_token(cursor.token("a method")?);
        cursor.finish()?;
        Ok(Self { number, method })
    }
}

impl TypedHeader for CSeq {
    const NAME: HeaderName = HeaderName::CSeq;
}

impl fmt::Display for CSeq {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.number, self.method)
    }
}

/// Call-ID (RFC 3261 §20.8): compared byte by byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(String);

impl CallId {
    /// A Call-ID of our own.
    ///
    /// # Errors
    /// When the text is not `word [ "@" word ]`.
    pub fn new(text: &str) -> Result<Self, ValueRefused> {
        Ok(Self::parse_value(text)?)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl HeaderValue for CallId {
    const PLACEMENT: Placement = Placement::Single;

    fn parse_value(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        cursor.skip_blanks();
        let start = cursor.offset();
        cursor.take_some(is_word, "a Call-ID")?;
        if cursor.eat(b'@') {
            cursor.take_some(is_word, "a Call-ID")?;
        }
        let taken = text
            .get(start..cursor.offset())
            .unwrap_or_default()
            .to_owned();
        cursor.finish()?;
        Ok(Self(taken))
    }
}

impl TypedHeader for CallId {
    const NAME: HeaderName = HeaderName::CallId;
}

impl fmt::Display for CallId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One token of a list: an option tag of Supported, Require or Unsupported, a method of Allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The token as spelled.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl HeaderValue for Token {
    const PLACEMENT: Placement = Placement::ListOrEmpty;

    fn parse_value(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        cursor.skip_blanks();
        let token = cursor.token("a token")?.to_owned();
        cursor.finish()?;
        Ok(Self(token))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

macro_rules! number_header {
    ($(#[$doc:meta])* $name:ident, $inner:ty, $header:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(pub $inner);

        impl HeaderValue for $name {
            const PLACEMENT: Placement = Placement::Single;

            fn parse_value(text: &str) -> Result<Self, SyntaxError> {
                let mut cursor = Cursor::new(text);
                cursor.skip_blanks();
                let number = cursor.number("a number")?;
                cursor.finish()?;
                Ok(Self(number))
            }
        }

        impl TypedHeader for $name {
            const NAME: HeaderName = HeaderName::$header;
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}", self.0)
            }
        }
    };
}

number_header!(
    /// Max-Forwards (RFC 3261 §20.22): hops left, 0 to 255.
    MaxForwards, u8, MaxForwards
);
number_header!(
    /// Content-Length (RFC 3261 §20.14): bytes of the body.
    ContentLength, u32, ContentLength
);
number_header!(
    /// Expires (RFC 3261 §20.19) in seconds.
    Expires, u32, Expires
);
number_header!(
    /// Flow-Timer (RFC 5626 §11.1) in seconds.
    FlowTimer, u32, FlowTimer
);
number_header!(
    /// Min-Expires (RFC 3261 §20.23) in seconds.
    MinExpires, u32, MinExpires
);
