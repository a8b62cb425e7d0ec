//! URIs: `sip:` and `sips:` (RFC 3261 §19.1), `tel:` (RFC 3966), any other scheme opaquely.
//!
//! Components keep their percent escapes: what was escaped must stay so when the URI is written into
//! another message. A reader asks for the decoded form.
//!
//! The traps of the user part: `;`, `?`, `/` and `,` may stand unescaped in it, `@` may not. So the first `@` ends
//! it, wherever it stands, and a second `@` makes the URI invalid: neither parameters nor headers may have one.

use std::fmt;
use std::str::FromStr;

use super::host::Host;
use super::params::{MAX_PARAMS, ParamName, param_name};
use super::syntax::{
    Cursor, check_escaped, decode_escapes, is_password, is_uri_header, is_uri_parameter, is_uric,
    is_user,
};
use crate::error::{Reason, SyntaxError};

/// A URI of any scheme. `==` compares spelling; see [`Uri::is_equivalent_to`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uri {
    /// `sip:` or `sips:`.
    Sip(SipUri),
    /// `tel:`.
    Tel(TelUri),
    /// Any other absolute URI.
    Other(OtherUri),
}

/// The two schemes of a [`SipUri`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SipScheme {
    /// `sip:`.
    Sip,
    /// `sips:`: every hop is to be secured by TLS.
    Sips,
}

/// A `sip:` or `sips:` URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipUri {
    scheme: SipScheme,
    user: Option<String>,
    password: Option<String>,
    host: Host,
    port: Option<u16>,
    params: Vec<UriParam>,
    headers: Vec<(String, String)>,
}

/// A parameter of a URI as spelled.
type UriParam = (ParamName, Option<String>);

/// A `tel:` URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelUri {
    number: String,
    params: Vec<UriParam>,
}

/// An absolute URI whose scheme we do not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherUri {
    scheme: String,
    rest: String,
}

impl Uri {
    /// The SIP or SIPS URI, if it is one.
    #[must_use]
    pub const fn as_sip(&self) -> Option<&SipUri> {
        match self {
            Self::Sip(uri) => Some(uri),
            Self::Tel(_) | Self::Other(_) => None,
        }
    }

    /// The scheme in lower case.
    #[must_use]
    pub fn scheme(&self) -> String {
        match self {
            Self::Sip(uri) => uri.scheme.as_str().to_owned(),
            Self::Tel(_) => "tel".to_owned(),
            Self::Other(uri) => uri.scheme.to_ascii_lowercase(),
        }
    }

    /// Whether both mean the same resource: RFC 3261 §19.1.4 for SIP, RFC 3966 §4 for telephone numbers, spelling
    /// for the rest. The relation is not transitive, which is why it is not `==`.
    #[must_use]
    pub fn is_equivalent_to(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sip(one), Self::Sip(two)) => one.is_equivalent_to(two),
            (Self::Tel(one), Self::Tel(two)) => one.is_equivalent_to(two),
            (Self::Other(one), Self::Other(two)) => {
                one.scheme.eq_ignore_ascii_case(&two.scheme) && one.rest == two.rest
            }
            (Self::Sip(_) | Self::Tel(_) | Self::Other(_), _) => false,
        }
    }
}

impl SipScheme {
    /// `sip` or `sips`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sip => "sip",
            Self::Sips => "sips",
        }
    }
}

impl SipUri {
    /// `scheme:host[:port]`.
    #[must_use]
    pub const fn new(scheme: SipScheme, host: Host, port: Option<u16>) -> Self {
        Self {
            scheme,
            user: None,
            password: None,
            host,
            port,
            params: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// The same URI with `user` before the host; whatever the grammar forbids there is escaped.
    #[must_use]
    pub fn with_user(mut self, user: &str) -> Self {
        self.user = Some(escape(user, is_user));
        self
    }

    /// The same URI with a parameter set; whatever the grammar forbids in one is escaped.
    #[must_use]
    pub fn with_param(mut self, name: &str, value: Option<&str>) -> Self {
        let name = escape(name, is_uri_parameter);
        let value = value.map(|text| escape(text, is_uri_parameter));
        self.params
            .retain(|(present, _)| !present.eq_ignore_ascii_case(&name));
        self.params.push((param_name(&name), value));
        self
    }

    /// The same URI without parameter `name`.
    #[must_use]
    pub fn without_param(mut self, name: &str) -> Self {
        self.params
            .retain(|(present, _)| !present.eq_ignore_ascii_case(name));
        self
    }

    /// The same URI without headers, as a Request-URI has to be (RFC 3261 §19.1.5).
    #[must_use]
    pub fn without_headers(mut self) -> Self {
        self.headers.clear();
        self
    }

    /// `sip` or `sips`.
    #[must_use]
    pub const fn scheme(&self) -> SipScheme {
        self.scheme
    }

    /// The user part as spelled, escapes included.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The user part with escapes undone, for people and for comparison; `None` also when it is not UTF-8 then.
    #[must_use]
    pub fn user_decoded(&self) -> Option<String> {
        String::from_utf8(decode_escapes(self.user.as_deref()?)).ok()
    }

    /// The password as spelled. Its use is discouraged by RFC 3261 §19.1.1.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The host.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port, when the URI names one.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The value of URI parameter `name` as spelled; `Some("")` for one without a value.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        find(&self.params, name).map(|value| value.as_deref().unwrap_or_default())
    }

    /// The URI parameters in order, as spelled.
    pub(crate) fn params(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        named(&self.params)
    }

    /// The headers behind the `?`, as spelled.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// RFC 3261 §19.1.4.
    #[must_use]
    pub fn is_equivalent_to(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && same_decoded(self.user.as_deref(), other.user.as_deref())
            && same_decoded(self.password.as_deref(), other.password.as_deref())
            && self.host.is_equivalent_to(&other.host)
            && self.port == other.port
            && params_agree(&self.params, &other.params)
            && params_agree(&other.params, &self.params)
            && headers_agree(&self.headers, &other.headers)
    }

    fn read(scheme: SipScheme, cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        let (user, password) = read_user_info(cursor)?;
        let host = Host::read(cursor)?;
        let port = Host::read_port(cursor)?;
        let params = read_params(cursor)?;
        let headers = if cursor.eat(b'?') {
            read_headers(cursor)?
        } else {
            Vec::new()
        };
        Ok(Self {
            scheme,
            user,
            password,
            host,
            port,
            params,
            headers,
        })
    }
}

type UserInfo = (Option<String>, Option<String>);

fn read_user_info(cursor: &mut Cursor<'_>) -> Result<UserInfo, SyntaxError> {
    let Some(end) = cursor.rest().find('@') else {
        return Ok((None, None));
    };
    let offset = cursor.offset();
    let info = cursor.take(end);
    cursor.expect(b'@', "the end of the user part")?;
    let (user, password) = match info.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (info, None),
    };
    if user.is_empty() {
        return Err(SyntaxError {
            offset,
            reason: Reason::Expected("a user before the @"),
        });
    }
    check_escaped(user, offset, is_user, "a user part")?;
    if let Some(password) = password {
        check_escaped(password, offset + user.len() + 1, is_password, "a password")?;
    }
    Ok((Some(user.to_owned()), password.map(str::to_owned)))
}

fn read_params(cursor: &mut Cursor<'_>) -> Result<Vec<UriParam>, SyntaxError> {
    let mut params: Vec<UriParam> = Vec::new();
    while cursor.eat(b';') {
        let start = cursor.clone();
        let name = read_escaped(cursor, is_uri_parameter, "a URI parameter")?;
        if params.len() == MAX_PARAMS {
            return Err(start.fault(Reason::TooManyParameters));
        }
        if find(&params, name).is_some() {
            return Err(start.fault(Reason::RepeatedParameter));
        }
        let value = if cursor.eat(b'=') {
            Some(read_escaped(cursor, is_uri_parameter, "the value of a URI parameter")?.to_owned())
        } else {
            None
        };
        params.push((param_name(name), value));
    }
    Ok(params)
}

fn read_headers(cursor: &mut Cursor<'_>) -> Result<Vec<(String, String)>, SyntaxError> {
    let mut headers = Vec::new();
    loop {
        let name = read_escaped(cursor, is_uri_header, "the name of a URI header")?;
        cursor.expect(b'=', "`=` in a URI header")?;
        // The value alone may be empty (`*( hnv-unreserved / ...)`).
        let value = if matches!(cursor.peek(), None | Some(b'&')) {
            ""
        } else {
            read_escaped(cursor, is_uri_header, "the value of a URI header")?
        };
        headers.push((name.to_owned(), value.to_owned()));
        if !cursor.eat(b'&') {
            return Ok(headers);
        }
        if headers.len() == MAX_PARAMS {
            return Err(cursor.fault(Reason::TooManyParameters));
        }
    }
}

/// Takes one or more characters of a class or escapes.
fn read_escaped<'a>(
    cursor: &mut Cursor<'a>,
    class: fn(u8) -> bool,
    what: &'static str,
) -> Result<&'a str, SyntaxError> {
    let offset = cursor.offset();
    let rest = cursor.rest();
    let length = rest
        .bytes()
        .position(|byte| byte != b'%' && !class(byte))
        .unwrap_or(rest.len());
    if length == 0 {
        return Err(cursor.expected(what));
    }
    let text = cursor.take(length);
    check_escaped(text, offset, class, what)?;
    Ok(text)
}

fn escape(text: &str, allowed: fn(u8) -> bool) -> String {
    use fmt::Write as _;
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if allowed(byte) {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "%{byte:02X}").expect("writing to a String cannot fail");
        }
    }
    escaped
}

fn named(params: &[UriParam]) -> impl Iterator<Item = (&str, Option<&str>)> {
    params
        .iter()
        .map(|(name, value)| (name.as_ref(), value.as_deref()))
}

fn find<'a, V>(list: &'a [(ParamName, V)], name: &str) -> Option<&'a V> {
    list.iter()
        .find(|(present, _)| present.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// Escaped and unescaped spellings of the same text are equal; case matters.
fn same_decoded(one: Option<&str>, two: Option<&str>) -> bool {
    match (one, two) {
        (Some(one), Some(two)) => one == two || decode_escapes(one) == decode_escapes(two),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn same_decoded_ignoring_case(one: &str, two: &str) -> bool {
    decode_escapes(one).eq_ignore_ascii_case(&decode_escapes(two))
}

/// Whether every parameter of `one` fits `two`: equal where both have it; `user`, `ttl`, `method`, `maddr` and
/// `transport` must be in both or in neither, others may be missing.
fn params_agree(one: &[UriParam], two: &[UriParam]) -> bool {
    const MUST_MATCH: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];
    one.iter().all(|(name, value)| match find(two, name) {
        Some(other) => {
            let (value, other) = (value.as_deref(), other.as_deref());
            value.is_some() == other.is_some()
                && same_decoded_ignoring_case(value.unwrap_or_default(), other.unwrap_or_default())
        }
        None => !MUST_MATCH
            .iter()
            .any(|special| special.eq_ignore_ascii_case(name)),
    })
}

/// Headers are never ignored: the same set, in any order.
fn headers_agree(one: &[(String, String)], two: &[(String, String)]) -> bool {
    let normal = |list: &[(String, String)]| {
        let mut pairs: Vec<_> = list
            .iter()
            .map(|(name, value)| {
                (
                    decode_escapes(name).to_ascii_lowercase(),
                    decode_escapes(value),
                )
            })
            .collect();
        pairs.sort();
        pairs
    };
    one.len() == two.len() && normal(one) == normal(two)
}

impl TelUri {
    /// The number as spelled, visual separators included.
    #[must_use]
    pub fn number(&self) -> &str {
        &self.number
    }

    /// The number without visual separators.
    #[must_use]
    pub fn digits(&self) -> String {
        self.number
            .chars()
            .filter(|character| !matches!(character, '-' | '.' | '(' | ')'))
            .collect()
    }

    /// The value of parameter `name` (`ext`, `phone-context`, `isub`) as spelled; `Some("")` for one without a value.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        find(&self.params, name).map(|value| value.as_deref().unwrap_or_default())
    }

    /// The parameters in order, as spelled.
    pub(crate) fn params(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        named(&self.params)
    }

    /// RFC 3966 §4: numbers without visual separators, the same parameters in any order.
    fn is_equivalent_to(&self, other: &Self) -> bool {
        self.digits().eq_ignore_ascii_case(&other.digits())
            && self.params.len() == other.params.len()
            && self.params.iter().all(|(name, value)| {
                find(&other.params, name).is_some_and(|theirs| {
                    same_decoded_ignoring_case(
                        value.as_deref().unwrap_or_default(),
                        theirs.as_deref().unwrap_or_default(),
                    )
                })
            })
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        let start = cursor.clone();
        let global = cursor.eat(b'+');
        let rest = cursor.take_while(|byte| {
            byte.is_ascii_hexdigit() || matches!(byte, b'*' | b'#' | b'-' | b'.' | b'(' | b')')
        });
        let is_number = if global {
            rest.bytes().any(|byte| byte.is_ascii_digit())
                && !rest
                    .bytes()
                    .any(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'*' | b'#'))
        } else {
            rest.bytes()
                .any(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'*' | b'#'))
        };
        if !is_number {
            return Err(start.expected("a telephone number"));
        }
        let number = if global {
            format!("+{rest}")
        } else {
            rest.to_owned()
        };
        Ok(Self {
            number,
            params: read_params(cursor)?,
        })
    }
}

impl OtherUri {
    /// Everything behind `scheme:`.
    #[must_use]
    pub fn rest(&self) -> &str {
        &self.rest
    }

    fn read(scheme: &str, cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        let rest = read_escaped(cursor, is_uric, "the rest of a URI")?;
        Ok(Self {
            scheme: scheme.to_owned(),
            rest: rest.to_owned(),
        })
    }
}

impl FromStr for Uri {
    type Err = SyntaxError;

    /// Takes no white space around the URI.
    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        let uri = read_uri(&mut cursor)?;
        cursor.finish_exactly()?;
        Ok(uri)
    }
}

fn read_uri(cursor: &mut Cursor<'_>) -> Result<Uri, SyntaxError> {
    if !cursor.peek().is_some_and(|byte| byte.is_ascii_alphabetic()) {
        return Err(cursor.expected("a URI scheme"));
    }
    let scheme = cursor
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    cursor.expect(b':', "`:` after a URI scheme")?;
    if scheme.eq_ignore_ascii_case("sip") {
        SipUri::read(SipScheme::Sip, cursor).map(Uri::Sip)
    } else if scheme.eq_ignore_ascii_case("sips") {
        SipUri::read(SipScheme::Sips, cursor).map(Uri::Sip)
    } else if scheme.eq_ignore_ascii_case("tel") {
        TelUri::read(cursor).map(Uri::Tel)
    } else {
        OtherUri::read(scheme, cursor).map(Uri::Other)
    }
}

impl From<SipUri> for Uri {
    fn from(uri: SipUri) -> Self {
        Self::Sip(uri)
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sip(uri) => uri.fmt(formatter),
            Self::Tel(uri) => {
                write!(formatter, "tel:{}", uri.number)?;
                write_params(formatter, &uri.params)
            }
            Self::Other(uri) => write!(formatter, "{}:{}", uri.scheme, uri.rest),
        }
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:", self.scheme.as_str())?;
        if let Some(user) = &self.user {
            formatter.write_str(user)?;
            if let Some(password) = &self.password {
                write!(formatter, ":{password}")?;
            }
            formatter.write_str("@")?;
        }
        write!(formatter, "{}", self.host)?;
        if let Some(port) = self.port {
            write!(formatter, ":{port}")?;
        }
        write_params(formatter, &self.params)?;
        for (index, (name, value)) in self.headers.iter().enumerate() {
            write!(
                formatter,
                "{}{name}={value}",
                if index == 0 { '?' } else { '&' }
            )?;
        }
        Ok(())
    }
}

fn write_params(formatter: &mut fmt::Formatter<'_>, params: &[UriParam]) -> fmt::Result {
    for (name, value) in params {
        match value {
            Some(value) => write!(formatter, ";{name}={value}")?,
            None => write!(formatter, ";{name}")?,
        }
    }
    Ok(())
}
