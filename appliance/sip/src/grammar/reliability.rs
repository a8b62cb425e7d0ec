//! RSeq and RAck: the numbers of reliable provisional responses (RFC 3262 section 7).

use std::fmt;

use super::header_name::HeaderName;
use super::headers::{HeaderValue, Placement, TypedHeader};
use super::method::Method;
use super::syntax::Cursor;
use super::values::CSeq;
use crate::error::{Reason, SyntaxError};

/// RSeq: the number of a reliable provisional response, 1 to 2^32 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RSeq(pub u32);

impl HeaderValue for RSeq {
    const PLACEMENT: Placement = Placement::Single;

    fn parse_value(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        let number = response_number(&mut cursor)?;
        cursor.finish()?;
        Ok(Self(number))
    }
}

impl TypedHeader for RSeq {
    const NAME: HeaderName = HeaderName::RSeq;
}

impl fmt::Display for RSeq {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// RAck: which reliable provisional response a PRACK acknowledges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RAck {
    /// RSeq of the response.
    pub response: u32,
    /// CSeq number of the response.
    pub sequence: u32,
    /// CSeq method of the response.
    pub method: Method,
}

impl HeaderValue for RAck {
    const PLACEMENT: Placement = Placement::Single;

    fn parse_value(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        let response = response_number(&mut cursor)?;
        let before = cursor.offset();
        cursor.skip_blanks();
        if cursor.offset() == before {
            return Err(cursor.expected("white space before the sequence number"));
        }
        let start = cursor.offset();
        // What follows is written and bounded as in CSeq.
        let CSeq {
            number: sequence,
            method,
        } = CSeq::parse_value(text.get(start..).unwrap_or_default()).map_err(|error| {
            SyntaxError {
                offset: start + error.offset,
                ..error
            }
        })?;
        Ok(Self {
            response,
            sequence,
            method,
        })
    }
}

impl TypedHeader for RAck {
    const NAME: HeaderName = HeaderName::RAck;
}

impl fmt::Display for RAck {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} {} {}",
            self.response, self.sequence, self.method
        )
    }
}

fn response_number(cursor: &mut Cursor<'_>) -> Result<u32, SyntaxError> {
    cursor.skip_blanks();
    let start = cursor.clone();
    match cursor.number("a response number")? {
        0 => Err(start.fault(Reason::OutOfRange)),
        number => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_response_and_its_acknowledgement_are_read() {
        assert_eq!(RSeq::parse_value(" 4294967295 ").unwrap(), RSeq(u32::MAX));
        let ack = RAck::parse_value("776656  1 INVITE").unwrap();
        assert_eq!(
            (ack.response, ack.sequence, &ack.method),
            (776_656, 1, &Method::Invite)
        );
        assert_eq!(ack.to_string(), "776656 1 INVITE");
    }

    #[test]
    fn zero_and_what_is_no_number_are_refused() {
        for text in ["", "0", "x", "1 2", "4294967296"] {
            assert!(RSeq::parse_value(text).is_err(), "{text}");
        }
        for text in [
            "",
            "1",
            "1 2",
            "0 1 INVITE",
            "1 2147483648 INVITE",
            "1 2 INVITE 3",
        ] {
            assert!(RAck::parse_value(text).is_err(), "{text}");
        }
    }
}
