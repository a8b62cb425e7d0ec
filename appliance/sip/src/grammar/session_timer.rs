//! Session-Expires and Min-SE (RFC 4028 sections 4 and 5).

use std::fmt;

use super::header_name::HeaderName;
use super::headers::{HeaderValue, Placement, TypedHeader};
use super::params::Params;
use super::syntax::Cursor;
use crate::error::SyntaxError;

/// Which end of the request refreshes the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresher {
    /// The one that sent the request.
    Uac,
    /// The one that answers it.
    Uas,
}

impl Refresher {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Uac => "uac",
            Self::Uas => "uas",
        }
    }
}

/// Session-Expires: how long a session lasts without a refresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionExpires {
    seconds: u32,
    params: Params,
}

impl SessionExpires {
    /// An interval in seconds, and who refreshes when that is decided.
    #[must_use]
    pub fn new(seconds: u32, refresher: Option<Refresher>) -> Self {
        let mut params = Params::default();
        if let Some(refresher) = refresher {
            params
                .set_token("refresher", refresher.as_str())
                .expect("our own words are tokens");
        }
        Self { seconds, params }
    }

    /// The interval in seconds.
    #[must_use]
    pub const fn seconds(&self) -> u32 {
        self.seconds
    }

    /// Who refreshes; `None` also for a word that the RFC does not know.
    #[must_use]
    pub fn refresher(&self) -> Option<Refresher> {
        let word = self.params.get("refresher")?;
        [Refresher::Uac, Refresher::Uas]
            .into_iter()
            .find(|refresher| word.eq_ignore_ascii_case(refresher.as_str()))
    }
}

impl HeaderValue for SessionExpires {
    const PLACEMENT: Placement = Placement::Single;

    fn parse_value(text: &str) -> Result<Self, SyntaxError> {
        let (seconds, params) = seconds_and_params(text)?;
        Ok(Self { seconds, params })
    }
}

impl TypedHeader for SessionExpires {
    const NAME: HeaderName = HeaderName::SessionExpires;
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.seconds, self.params)
    }
}

/// Min-SE: the shortest session interval that somebody on the way accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinSe {
    seconds: u32,
    params: Params,
}

impl MinSe {
    /// An interval in seconds.
    #[must_use]
    pub fn new(seconds: u32) -> Self {
        Self {
            seconds,
            params: Params::default(),
        }
    }

    /// The interval in seconds.
    #[must_use]
    pub const fn seconds(&self) -> u32 {
        self.seconds
    }
}

impl HeaderValue for MinSe {
    const PLACEMENT: Placement = Placement::Single;

    fn parse_value(text: &str) -> Result<Self, SyntaxError> {
        let (seconds, params) = seconds_and_params(text)?;
        Ok(Self { seconds, params })
    }
}

impl TypedHeader for MinSe {
    const NAME: HeaderName = HeaderName::MinSe;
}

impl fmt::Display for MinSe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.seconds, self.params)
    }
}

fn seconds_and_params(text: &str) -> Result<(u32, Params), SyntaxError> {
    let mut cursor = Cursor::new(text);
    cursor.skip_blanks();
    let seconds = cursor.number("a number of seconds")?;
    let params = Params::read(&mut cursor)?;
    cursor.finish()?;
    Ok((seconds, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_interval_is_read_with_its_refresher_and_printed_as_it_came() {
        for (text, seconds, refresher) in [
            ("1800", 1800, None),
            ("90;refresher=uac", 90, Some(Refresher::Uac)),
            ("90 ; Refresher = UAS;x=1", 90, Some(Refresher::Uas)),
            ("4294967295;refresher=me", u32::MAX, None),
        ] {
            let value = SessionExpires::parse_value(text).unwrap();
            assert_eq!((value.seconds(), value.refresher()), (seconds, refresher));
        }
        let ours = SessionExpires::new(90, Some(Refresher::Uas));
        assert_eq!(ours.to_string(), "90;refresher=uas");
        assert_eq!(MinSe::parse_value("120;a").unwrap().to_string(), "120;a");
    }

    #[test]
    fn what_is_no_number_of_seconds_is_refused() {
        for text in ["", "x", "-1", "4294967296", "90 uac", "90;;", "90,90"] {
            assert!(SessionExpires::parse_value(text).is_err(), "{text}");
            assert!(MinSe::parse_value(text).is_err(), "{text}");
        }
    }
}
