//! Content-Type (RFC 3261 §20.15).

use std::fmt;
use std::str::FromStr;

use super::header_name::HeaderName;
use super::headers::{HeaderValue, Placement, TypedHeader};
use super::params::Params;
use super::syntax::Cursor;
use crate::error::SyntaxError;

/// A media type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType {
    media: String,
    subtype: String,
    params: Params,
}

impl ContentType {
    /// `application/sdp`.
    #[must_use]
    pub fn sdp() -> Self {
        Self {
            media: "application".to_owned(),
            subtype: "sdp".to_owned(),
            params: Params::default(),
        }
    }

    /// Whether this is `media/subtype`, without regard to case and parameters.
    #[must_use]
    pub fn is(&self, media: &str, subtype: &str) -> bool {
        self.media.eq_ignore_ascii_case(media) && self.subtype.eq_ignore_ascii_case(subtype)
    }

    /// Whether this is `multipart/` of any subtype.
    #[must_use]
    pub fn is_multipart(&self) -> bool {
        self.media.eq_ignore_ascii_case("multipart")
    }

    /// `media/subtype` as spelled.
    pub(crate) fn media_type(&self) -> String {
        format!("{}/{}", self.media, self.subtype)
    }

    /// The parameters.
    #[must_use]
    pub const fn params(&self) -> &Params {
        &self.params
    }
}

impl FromStr for ContentType {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        Self::parse_value(text)
    }
}

impl HeaderValue for ContentType {
    const PLACEMENT: Placement = Placement::Single;

    fn parse_value(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        cursor.skip_blanks();
        let media = cursor.token("a media type")?.to_owned();
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

impl TypedHeader for ContentType {
    const NAME: HeaderName = HeaderName::ContentType;
}

impl fmt::Display for ContentType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}{}", self.media, self.subtype, self.params)
    }
}
