//! Accept (RFC 3261 §20.1): the bodies that the sender of a request can read.

use std::fmt;

use super::header_name::HeaderName;
use super::headers::{HeaderValue, Placement, TypedHeader};
use super::params::Params;
use super::syntax::Cursor;
use crate::error::SyntaxError;

/// One value of Accept: `*/*`, `type/*` or `type/subtype`, with parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaRange {
    media: String,
    subtype: String,
    params: Params,
}

impl MediaRange {
    /// Whether bodies of this type are wanted by it: covered, and not with a `q` of zero.
    #[must_use]
    pub fn wants(&self, media: &str, subtype: &str) -> bool {
        let covers = |range: &str, name: &str| range == "*" || range.eq_ignore_ascii_case(name);
        covers(&self.media, media) && covers(&self.subtype, subtype) && !self.is_excluded()
    }

    /// `q=0`, with up to three digits behind the point.
    fn is_excluded(&self) -> bool {
        self.params.get("q").is_some_and(|q| {
            q.starts_with('0') && q.bytes().all(|byte| matches!(byte, b'0' | b'.'))
        })
    }
}

impl HeaderValue for MediaRange {
    const PLACEMENT: Placement = Placement::ListOrEmpty;

    fn parse_value(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        cursor.skip_blanks();
        let media = cursor.token("a media range")?.to_owned();
        if !cursor.eat_spaced(b'/') {
            return Err(cursor.expected("`/`"));
        }
        let subtype = cursor.token("a media subtype")?.to_owned();
        let params = Params::read(&mut cursor)?;
        cursor.finish()?;
        Ok(Self {
            media,
            subtype,
            params,
        })
    }
}

impl TypedHeader for MediaRange {
    const NAME: HeaderName = HeaderName::Accept;
}

impl fmt::Display for MediaRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}{}", self.media, self.subtype, self.params)
    }
}
