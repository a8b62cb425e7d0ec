//! `name-addr` and `addr-spec` with parameters: From, To, Contact, Route, Record-Route (RFC 3261 §20.10).

use std::fmt;

use super::field_text::check_text;
use super::header_name::HeaderName;
use super::headers::{HeaderValue, Placement, TypedHeader};
use super::params::Params;
use super::syntax::{Cursor, is_blank, is_token, trim, write_quoted};
use super::uri::Uri;
use crate::error::{SyntaxError, ValueRefused};

/// A URI with an optional display name before it and header parameters behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    display_name: Option<String>,
    uri: Uri,
    params: Params,
}

/// A value of Contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contact {
    /// `*`: every binding, in a REGISTER that removes them (RFC 3261 §10.2.2).
    All,
    /// One address.
    Address(NameAddr),
}

impl NameAddr {
    /// `<uri>`.
    #[must_use]
    pub fn new(uri: Uri) -> Self {
        Self {
            display_name: None,
            uri,
            params: Params::default(),
        }
    }

    /// The same address with a display name; an empty one counts as none.
    ///
    /// # Errors
    /// When the name has CR, LF or NUL.
    pub fn with_display_name(mut self, name: &str) -> Result<Self, ValueRefused> {
        check_text(name)?;
        self.display_name = (!name.is_empty()).then(|| name.to_owned());
        Ok(self)
    }

    /// The same address with a tag.
    ///
    /// # Errors
    /// When the tag is no token.
    pub fn with_tag(mut self, tag: &str) -> Result<Self, ValueRefused> {
        self.params.set_token("tag", tag)?;
        Ok(self)
    }

    /// The display name without quotes and escapes.
    #[must_use]
    pub fn display_name(&self) -> Option<&str> {
        self.display_name.as_deref()
    }

    /// The URI.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The tag, which identifies a party of a dialog.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag")
    }

    /// The header parameters.
    #[must_use]
    pub const fn params(&self) -> &Params {
        &self.params
    }

    /// The header parameters, to change them.
    pub const fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }

    /// The `expires` parameter of a Contact in seconds, when it is there and a number.
    #[must_use]
    pub fn expires(&self) -> Option<u32> {
        self.params.get("expires")?.parse().ok()
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        cursor.skip_blanks();
        let display_name = read_display_name(cursor)?;
        let uri = if cursor.eat(b'<') {
            read_bracketed(cursor)?
        } else if display_name.is_some() {
            return Err(cursor.expected("`<` after a display name"));
        } else {
            read_bare(cursor)?
        };
        let params = Params::read(cursor)?;
        Ok(Self {
            display_name,
            uri,
            params,
        })
    }
}

/// Reads a quoted string or a run of tokens, if a `<` follows; leaves the cursor alone otherwise.
fn read_display_name(cursor: &mut Cursor<'_>) -> Result<Option<String>, SyntaxError> {
    if cursor.peek() == Some(b'"') {
        let name = cursor.quoted_string()?;
        cursor.skip_blanks();
        return Ok(Some(name));
    }
    let mut ahead = cursor.clone();
    let words = trim(ahead.take_while(|byte| is_token(byte) || is_blank(byte)));
    if ahead.peek() != Some(b'<') {
        return Ok(None);
    }
    *cursor = ahead;
    Ok((!words.is_empty()).then(|| words.to_owned()))
}

fn read_bracketed(cursor: &mut Cursor<'_>) -> Result<Uri, SyntaxError> {
    let offset = cursor.offset();
    let Some(length) = cursor.rest().find('>') else {
        return Err(cursor.expected("`>` after a URI"));
    };
    let uri = parse_uri(cursor.take(length), offset)?;
    cursor.expect(b'>', "`>` after a URI")?;
    Ok(uri)
}

/// Without brackets every `;` begins a header parameter, and `?` and `,` have no place (RFC 3261 §20.10).
fn read_bare(cursor: &mut Cursor<'_>) -> Result<Uri, SyntaxError> {
    let offset = cursor.offset();
    let rest = cursor.rest();
    let length = rest
        .bytes()
        .position(|byte| is_blank(byte) || matches!(byte, b';' | b',' | b'?'));
    parse_uri(cursor.take(length.unwrap_or(rest.len())), offset)
}

fn parse_uri(text: &str, offset: usize) -> Result<Uri, SyntaxError> {
    text.parse().map_err(|error: SyntaxError| SyntaxError {
        offset: offset + error.offset,
        ..error
    })
}

impl HeaderValue for NameAddr {
    const PLACEMENT: Placement = Placement::List;

    fn parse_value(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        let address = Self::read(&mut cursor)?;
        cursor.finish()?;
        Ok(address)
    }
}

impl HeaderValue for Contact {
    const PLACEMENT: Placement = Placement::List;

    fn parse_value(text: &str) -> Result<Self, SyntaxError> {
        if trim(text) == "*" {
            return Ok(Self::All);
        }
        NameAddr::parse_value(text).map(Self::Address)
    }
}

impl TypedHeader for Contact {
    const NAME: HeaderName = HeaderName::Contact;
}

impl fmt::Display for NameAddr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.display_name {
            write_quoted(formatter, name)?;
            formatter.write_str(" ")?;
        }
        write!(formatter, "<{}>{}", self.uri, self.params)
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => formatter.write_str("*"),
            Self::Address(address) => address.fmt(formatter),
        }
    }
}
