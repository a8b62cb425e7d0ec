//! Content-Disposition (RFC 3261 §20.11): what a body is for, and whether it may be passed over.

use std::fmt;

use super::header_name::HeaderName;
use super::headers::{HeaderValue, Placement, TypedHeader};
use super::params::Params;
use super::syntax::Cursor;
use crate::error::SyntaxError;

/// What becomes of a message whose body is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// It is refused with 415. The default.
    Required,
    /// The body is passed over.
    Optional,
}

/// The purpose of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentDisposition {
    purpose: String,
    params: Params,
}

impl ContentDisposition {
    /// Whether the body has this purpose (`session`, `render`, `early-session`), without regard to case.
    #[must_use]
    pub fn is(&self, purpose: &str) -> bool {
        self.purpose.eq_ignore_ascii_case(purpose)
    }

    /// The `handling` parameter. Values that nobody defined count as required.
    #[must_use]
    pub fn handling(&self) -> Handling {
        match self.params.get("handling") {
            Some(value) if value.eq_ignore_ascii_case("optional") => Handling::Optional,
            Some(_) | None => Handling::Required,
        }
    }
}

impl HeaderValue for ContentDisposition {
    const PLACEMENT: Placement = Placement::Single;

    fn parse_value(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        cursor.skip_blanks();
        let purpose = cursor.token("a disposition")?.to_owned();
        let params = Params::read(&mut cursor)?;
        cursor.finish()?;
        Ok(Self { purpose, params })
    }
}

impl TypedHeader for ContentDisposition {
    const NAME: HeaderName = HeaderName::ContentDisposition;
}

impl fmt::Display for ContentDisposition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.purpose, self.params)
    }
}
