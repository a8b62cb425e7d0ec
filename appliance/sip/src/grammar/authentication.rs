//! Challenges and credentials (RFC 3261 §20.7, §20.44): a scheme with comma-separated parameters.
//!
//! The response is calculated elsewhere; here is only the form.

use std::fmt;

use super::headers::{HeaderValue, Placement};
use super::params::Params;
use super::syntax::Cursor;
use crate::error::{Reason, SyntaxError, ValueRefused};

/// A value of WWW-Authenticate or Proxy-Authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    scheme: String,
    params: Params,
}

impl Challenge {
    /// A challenge without parameters yet.
    ///
    /// # Errors
    /// When the scheme is no token.
    pub fn new(scheme: &str) -> Result<Self, ValueRefused> {
        Ok(Self {
            scheme: checked_scheme(scheme)?,
            params: Params::default(),
        })
    }

    /// Whether this is a Digest challenge.
    #[must_use]
    pub fn is_digest(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("Digest")
    }

    /// The scheme as spelled.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The parameters: `realm`, `nonce`, `algorithm`, `qop`, `opaque`, `stale`, ...
    #[must_use]
    pub const fn params(&self) -> &Params {
        &self.params
    }

    /// The parameters, to change them.
    pub const fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }
}

/// A value of Authorization or Proxy-Authorization.
///
/// Its `Debug` names the parameters but shows no values: a response can be attacked offline.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthCredentials {
    scheme: String,
    params: Params,
}

impl AuthCredentials {
    /// Credentials without parameters yet.
    ///
    /// # Errors
    /// When the scheme is no token.
    pub fn new(scheme: &str) -> Result<Self, ValueRefused> {
        Ok(Self {
            scheme: checked_scheme(scheme)?,
            params: Params::default(),
        })
    }

    /// The scheme as spelled.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The parameters: `username`, `realm`, `nonce`, `uri`, `response`, ...
    #[must_use]
    pub const fn params(&self) -> &Params {
        &self.params
    }

    /// The parameters, to change them.
    pub const fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }
}

/// A value of Authentication-Info or Proxy-Authentication-Info (RFC 3261 §20.6, RFC 7615).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticationInfo {
    params: Params,
}

impl AuthenticationInfo {
    /// The parameters: `nextnonce`, `rspauth`, `qop`, `cnonce`, `nc`.
    #[must_use]
    pub const fn params(&self) -> &Params {
        &self.params
    }
}

impl HeaderValue for AuthenticationInfo {
    // Commas separate its parameters.
    const PLACEMENT: Placement = Placement::Fields;

    fn parse_value(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        cursor.skip_blanks();
        read_params(cursor).map(|params| Self { params })
    }
}

fn checked_scheme(scheme: &str) -> Result<String, ValueRefused> {
    let mut cursor = Cursor::new(scheme);
    let token = cursor.token("an authentication scheme")?;
    if cursor.rest().is_empty() {
        Ok(token.to_owned())
    } else {
        Err(cursor.fault(Reason::TrailingText).into())
    }
}

/// Characters of a value without quotes. The grammar has tokens there; some servers leave the quotes
/// of a nonce away, Base64 and all.
const fn is_unquoted_value(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b',' | b'"')
}

fn read(text: &str) -> Result<(String, Params), SyntaxError> {
    let mut cursor = Cursor::new(text);
    cursor.skip_blanks();
    let scheme = cursor.token("an authentication scheme")?.to_owned();
    let before = cursor.offset();
    cursor.skip_blanks();
    if cursor.offset() == before {
        return Err(cursor.expected("white space after the scheme"));
    }
    Ok((scheme, read_params(cursor)?))
}

/// Reads parameters to the end of the value. As in HTTP, elements of the list may be empty.
fn read_params(mut cursor: Cursor<'_>) -> Result<Params, SyntaxError> {
    let mut params = Params::default();
    params.read_one_of(&mut cursor, is_unquoted_value)?;
    while cursor.eat_spaced(b',') {
        cursor.skip_blanks();
        if !cursor.rest().is_empty() && !cursor.rest().starts_with(',') {
            params.read_one_of(&mut cursor, is_unquoted_value)?;
        }
    }
    cursor.finish()?;
    Ok(params)
}

impl HeaderValue for Challenge {
    // Commas separate parameters here, so each challenge has a field of its own (RFC 3261 §7.3.1).
    const PLACEMENT: Placement = Placement::Fields;

    fn parse_value(text: &str) -> Result<Self, SyntaxError> {
        read(text).map(|(scheme, params)| Self { scheme, params })
    }
}

impl HeaderValue for AuthCredentials {
    const PLACEMENT: Placement = Placement::Fields;

    fn parse_value(text: &str) -> Result<Self, SyntaxError> {
        read(text).map(|(scheme, params)| Self { scheme, params })
    }
}

fn write(formatter: &mut fmt::Formatter<'_>, scheme: &str, params: &Params) -> fmt::Result {
    write!(formatter, "{scheme} ")?;
    params.write(formatter, ", ")
}

impl fmt::Display for Challenge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(formatter, &self.scheme, &self.params)
    }
}

impl fmt::Display for AuthCredentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(formatter, &self.scheme, &self.params)
    }
}

impl fmt::Display for AuthenticationInfo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.params.write(formatter, ", ")
    }
}

impl fmt::Debug for AuthCredentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AuthCredentials")
            .field("scheme", &self.scheme)
            .field(
                "params",
                &self.params.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            )
            .finish()
    }
}
