//! Replaces (RFC 3891 section 6.1): the dialog whose place a new one takes.

use std::fmt;

use super::header_name::HeaderName;
use super::headers::{HeaderValue, Placement, TypedHeader};
use super::params::Params;
use super::syntax::Cursor;
use super::values::CallId;
use crate::error::{SyntaxError, ValueRefused};

/// A dialog as the receiver of Replaces knows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Replaces {
    call_id: CallId,
    params: Params,
}

impl Replaces {
    /// Names a dialog: `to_tag` is the tag of the receiver, `from_tag` that of its far end.
    ///
    /// # Errors
    /// When a tag is no token.
    pub fn new(call_id: CallId, to_tag: &str, from_tag: &str) -> Result<Self, ValueRefused> {
        let mut params = Params::default();
        params.set_token("to-tag", to_tag)?;
        params.set_token("from-tag", from_tag)?;
        Ok(Self { call_id, params })
    }

    /// The Call-ID of the dialog.
    #[must_use]
    pub const fn call_id(&self) -> &CallId {
        &self.call_id
    }

    /// The tag of the receiver.
    #[must_use]
    pub fn to_tag(&self) -> &str {
        self.params.get("to-tag").unwrap_or_default()
    }

    /// The tag of the receiver's far end; `None` for one of RFC 2543 without a tag, written as `0`.
    #[must_use]
    pub fn from_tag(&self) -> Option<&str> {
        self.params.get("from-tag").filter(|tag| *tag != "0")
    }

    /// Whether an answered call is to be left alone.
    #[must_use]
    pub fn is_early_only(&self) -> bool {
        self.params.contains("early-only")
    }
}

impl HeaderValue for Replaces {
    const PLACEMENT: Placement = Placement::Single;

    fn parse_value(text: &str) -> Result<Self, SyntaxError> {
        let end = text.find(';').unwrap_or(text.len());
        let (call_id, params) = text.split_at(end);
        let call_id = CallId::parse_value(call_id)?;
        let mut cursor = Cursor::new(params);
        let at = |error: SyntaxError| SyntaxError {
            offset: end + error.offset,
            ..error
        };
        let params = Params::read(&mut cursor).map_err(at)?;
        for name in ["to-tag", "from-tag"] {
            if params.get(name).is_none() {
                return Err(at(cursor.expected(name)));
            }
        }
        cursor.finish().map_err(at)?;
        Ok(Self { call_id, params })
    }
}

impl TypedHeader for Replaces {
    const NAME: HeaderName = HeaderName::Replaces;
}

/// Who knows the name of a dialog may take its place: it is no word for logs.
impl fmt::Debug for Replaces {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Replaces(secret)")
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.call_id, self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let text = "98732@sip.example.com;from-tag=r33th4x0r;to-tag=ff87ff";
        let value = Replaces::parse_value(text).unwrap();
        assert_eq!(value.call_id().as_str(), "98732@sip.example.com");
        assert_eq!(
            (value.to_tag(), value.from_tag()),
            ("ff87ff", Some("r33th4x0r"))
        );
        assert!(!value.is_early_only());
        assert_eq!(value.to_string(), text);
        let early = Replaces::parse_value(" 12 ; to-tag=1 ;from-tag=0;early-only").unwrap();
        assert!(early.is_early_only());
        assert_eq!(early.from_tag(), None);
        let ours = Replaces::new(CallId::new("a@b").unwrap(), "t", "f").unwrap();
        assert_eq!(ours.to_string(), "a@b;to-tag=t;from-tag=f");
        assert_eq!(format!("{ours:?}"), "Replaces(secret)");
    }

    #[test]
    fn what_names_no_dialog_is_refused() {
        for text in [
            "",
            "a",
            "a;to-tag=1",
            "a;from-tag=1",
            "a;to-tag=1;to-tag=2;from-tag=3",
            "a b;to-tag=1;from-tag=2",
        ] {
            assert!(Replaces::parse_value(text).is_err(), "{text}");
        }
    }
}
