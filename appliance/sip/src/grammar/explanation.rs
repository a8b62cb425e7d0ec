//! Reason (RFC 3326 section 2) and Warning (RFC 3261 section 20.43): why something did not go on, in
//! the words of whoever ended it.

use std::fmt;

use super::header_name::HeaderName;
use super::headers::{HeaderValue, Placement, TypedHeader};
use super::params::Params;
use super::status::StatusCode;
use super::syntax::{Cursor, write_quoted};
use crate::error::{Reason, SyntaxError};

/// One value of Reason: why a request was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReasonValue {
    protocol: String,
    params: Params,
}

impl ReasonValue {
    /// A reason of ours: a status code, and words for people, which need no escapes.
    pub(crate) fn sip(status: StatusCode, text: &'static str) -> Self {
        let mut params = Params::default();
        params.set_number("cause", status.code().into());
        params.set_quoted("text", text).expect("plain text");
        Self {
            protocol: "SIP".to_owned(),
            params,
        }
    }

    /// What the cause is a number of: `SIP` (a status code), `Q.850`, or another.
    #[must_use]
    pub fn protocol(&self) -> &str {
        &self.protocol
    }

    /// The number, if there is one.
    #[must_use]
    pub fn cause(&self) -> Option<u16> {
        self.params.get("cause")?.parse().ok()
    }

    /// Words for people, if there are any.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.params.get("text")
    }

    /// Whether a call was ended here because it was answered elsewhere (RFC 3326 section 3.1).
    #[must_use]
    pub fn is_answered_elsewhere(&self) -> bool {
        self.protocol.eq_ignore_ascii_case("SIP") && self.cause() == Some(200)
    }
}

impl HeaderValue for ReasonValue {
    const PLACEMENT: Placement = Placement::List;

    fn parse_value(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        cursor.skip_blanks();
        let protocol = cursor.token("a protocol")?.to_owned();
        let params = Params::read(&mut cursor)?;
        cursor.finish()?;
        Ok(Self { protocol, params })
    }
}

impl TypedHeader for ReasonValue {
    const NAME: HeaderName = HeaderName::Reason;
}

impl fmt::Display for ReasonValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.protocol, self.params)
    }
}

/// One value of Warning: what was wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    code: u16,
    agent: String,
    text: String,
}

impl Warning {
    /// A warning of ours; `agent` is a name without blanks.
    pub(crate) fn new(code: u16, agent: &str, text: &str) -> Self {
        Self {
            code,
            agent: agent.to_owned(),
            text: text.to_owned(),
        }
    }

    /// The code, 300 to 399 where the RFC gives it a meaning.
    #[must_use]
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// Who warns: a host, or a name.
    #[must_use]
    pub fn agent(&self) -> &str {
        &self.agent
    }

    /// Words for people.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl HeaderValue for Warning {
    const PLACEMENT: Placement = Placement::List;

    fn parse_value(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        cursor.skip_blanks();
        let start = cursor.clone();
        let code: u16 = cursor.number("a warning code")?;
        if !(100..1_000).contains(&code) {
            return Err(start.fault(Reason::OutOfRange));
        }
        let before = cursor.offset();
        cursor.skip_blanks();
        if cursor.offset() == before {
            return Err(cursor.expected("white space before the agent"));
        }
        let is_agent = |byte: u8| byte.is_ascii_graphic() && byte != b'"';
        let agent = cursor.take_some(is_agent, "an agent")?.to_owned();
        cursor.skip_blanks();
        let text = cursor.quoted_string()?;
        cursor.finish()?;
        Ok(Self { code, agent, text })
    }
}

impl TypedHeader for Warning {
    const NAME: HeaderName = HeaderName::Warning;
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} ", self.code, self.agent)?;
        write_quoted(formatter, &self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_read_with_its_cause_and_its_words() {
        let value = |text| ReasonValue::parse_value(text).unwrap();
        let elsewhere = value("SIP ;cause=200 ;text=\"Call completed elsewhere\"");
        assert_eq!(elsewhere.text(), Some("Call completed elsewhere"));
        assert!(elsewhere.is_answered_elsewhere());
        assert!(!value("SIP;cause=600").is_answered_elsewhere());
        let q850 = value("Q.850;cause=16;text=\"Terminated\"");
        assert_eq!((q850.protocol(), q850.cause()), ("Q.850", Some(16)));
        assert!(!value("Q.850;cause=200").is_answered_elsewhere());
        assert_eq!(value("preemption;cause=x").cause(), None);
        for text in ["", ";cause=1", "SIP cause=1", "SIP;cause=1;cause=2"] {
            assert!(ReasonValue::parse_value(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_warning_is_read_with_its_agent_and_printed_as_it_came() {
        let text = "307 isi.edu:5060 \"Session parameter 'foo' not \\\"understood\\\"\"";
        let warning = Warning::parse_value(text).unwrap();
        assert_eq!((warning.code(), warning.agent()), (307, "isi.edu:5060"));
        assert_eq!(warning.text(), "Session parameter 'foo' not \"understood\"");
        assert_eq!(warning.to_string(), text);
        for text in [
            "",
            "307",
            "30 a \"x\"",
            "307 a",
            "307 a x",
            "307a \"x\"",
            "307 a \"x\" y",
        ] {
            assert!(Warning::parse_value(text).is_err(), "{text}");
        }
    }
}
