//! Retry-After (RFC 3261 §20.33): how long the sender does not want to be asked again.

use std::fmt;
use std::time::Duration;

use super::header_name::HeaderName;
use super::headers::{HeaderValue, Placement, TypedHeader};
use super::params::Params;
use super::syntax::Cursor;
use crate::error::{Reason, SyntaxError};

/// The value of Retry-After. A comment for people is skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryAfter {
    seconds: u32,
    params: Params,
}

impl RetryAfter {
    /// How long to wait.
    #[must_use]
    pub const fn wait(&self) -> Duration {
        Duration::from_secs(self.seconds as u64)
    }

    /// The parameters: `duration`, for how long the sender will be there then.
    #[must_use]
    pub const fn params(&self) -> &Params {
        &self.params
    }
}

impl HeaderValue for RetryAfter {
    const PLACEMENT: Placement = Placement::Single;

    fn parse_value(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        cursor.skip_blanks();
        let seconds = cursor.number("a number of seconds")?;
        cursor.skip_blanks();
        if cursor.peek() == Some(b'(') {
            skip_comment(&mut cursor)?;
        }
        let params = Params::read(&mut cursor)?;
        cursor.finish()?;
        Ok(Self { seconds, params })
    }
}

/// A comment may hold comments (RFC 3261 §25.1).
fn skip_comment(cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
    let start = cursor.clone();
    let mut depth = 0_usize;
    let mut escaped = false;
    let length = cursor.rest().bytes().position(|byte| {
        match (escaped, byte) {
            (true, _) => {
                escaped = false;
                return false;
            }
            (false, b'\\') => escaped = true,
            (false, b'(') => depth += 1,
            (false, b')') => depth -= 1,
            (false, _) => {}
        }
        depth == 0
    });
    match length {
        Some(length) => {
            cursor.take(length + 1);
            Ok(())
        }
        None => Err(start.fault(Reason::Expected("the end of a comment"))),
    }
}

impl TypedHeader for RetryAfter {
    const NAME: HeaderName = HeaderName::RetryAfter;
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.seconds, self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_parameters_do_not_hide_the_wait() {
        for (text, seconds) in [
            ("120", 120),
            (" 18000;duration=3600", 18_000),
            // RFC 3261 section 20.33.
            ("120 (I'm in a meeting)", 120),
            ("5 (one (two \\) three) four);duration=1", 5),
            ("0", 0),
        ] {
            let value = RetryAfter::parse_value(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(value.wait(), Duration::from_secs(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_of_seconds_is_refused() {
        for text in [
            "",
            "soon",
            "-1",
            "5 (open",
            "5 (open \\)",
            "5 ) closed",
            "99999999999",
            "Thu, 01 Jan 2026 00:00:00 GMT",
        ] {
            assert!(RetryAfter::parse_value(text).is_err(), "{text}");
        }
    }
}
