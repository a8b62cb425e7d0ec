//! Header field names: known ones with their compact forms, unknown ones as spelled (RFC 3261 §7.3.1, §20).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::str::FromStr;

use bytes::Bytes;

use super::syntax::{is_token, is_token_text};
use crate::error::{Reason, SyntaxError, ValueRefused};

macro_rules! header_names {
    ($($variant:ident = $spelling:literal;)*) => {
        /// The name of a header field. Names compare without regard to case; a compact form is the same name.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[allow(missing_docs)] // each variant is the header of its name
        pub enum HeaderName {
            $($variant,)*
            /// Any other token.
            Other(UnknownName),
        }

        impl HeaderName {
            /// The canonical spelling; that of the message for an unknown name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $spelling,)*
                    Self::Other(name) => name.as_str(),
                }
            }

            fn known(spelling: &[u8]) -> Option<Self> {
                // Few names share a length, so comparing lengths first decides nearly every one.
                $(if spelling.len() == $spelling.len() && spelling.eq_ignore_ascii_case($spelling.as_bytes()) {
                    return Some(Self::$variant);
                })*
                None
            }
        }
    };
}

// In the order in which they are usually met: the search goes from the top.
header_names! {
    Via = "Via";
    From = "From";
    To = "To";
    CallId = "Call-ID";
    CSeq = "CSeq";
    MaxForwards = "Max-Forwards";
    Contact = "Contact";
    ContentLength = "Content-Length";
    ContentType = "Content-Type";
    Allow = "Allow";
    Supported = "Supported";
    UserAgent = "User-Agent";
    Route = "Route";
    RecordRoute = "Record-Route";
    Expires = "Expires";
    Authorization = "Authorization";
    WwwAuthenticate = "WWW-Authenticate";
    ProxyAuthorization = "Proxy-Authorization";
    ProxyAuthenticate = "Proxy-Authenticate";
    Server = "Server";
    Accept = "Accept";
    Require = "Require";
    Date = "Date";
    AcceptEncoding = "Accept-Encoding";
    AcceptLanguage = "Accept-Language";
    AlertInfo = "Alert-Info";
    AnswerMode = "Answer-Mode";
    AllowEvents = "Allow-Events";
    AuthenticationInfo = "Authentication-Info";
    CallInfo = "Call-Info";
    ContentDisposition = "Content-Disposition";
    ContentEncoding = "Content-Encoding";
    ContentLanguage = "Content-Language";
    ErrorInfo = "Error-Info";
    Event = "Event";
    FlowTimer = "Flow-Timer";
    InReplyTo = "In-Reply-To";
    MimeVersion = "MIME-Version";
    MinExpires = "Min-Expires";
    MinSe = "Min-SE";
    Organization = "Organization";
    PAssertedIdentity = "P-Asserted-Identity";
    PPreferredIdentity = "P-Preferred-Identity";
    Path = "Path";
    Priority = "Priority";
    PrivAnswerMode = "Priv-Answer-Mode";
    Privacy = "Privacy";
    ProxyAuthenticationInfo = "Proxy-Authentication-Info";
    ProxyRequire = "Proxy-Require";
    RAck = "RAck";
    RSeq = "RSeq";
    Reason = "Reason";
    ReferSub = "Refer-Sub";
    ReferTo = "Refer-To";
    ReferredBy = "Referred-By";
    Replaces = "Replaces";
    ReplyTo = "Reply-To";
    RetryAfter = "Retry-After";
    ServiceRoute = "Service-Route";
    SessionExpires = "Session-Expires";
    Subject = "Subject";
    SubscriptionState = "Subscription-State";
    Timestamp = "Timestamp";
    Unsupported = "Unsupported";
    Warning = "Warning";
}

/// A name without a variant of its own, spelled as in the message.
#[derive(Clone)]
pub struct UnknownName(Bytes);

impl UnknownName {
    /// The name as spelled.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a header name is a token, which is ASCII")
    }
}

impl HeaderName {
    /// A header name from text.
    ///
    /// # Errors
    /// When the text is no token.
    pub fn new(spelling: &str) -> Result<Self, ValueRefused> {
        Ok(spelling.parse()?)
    }

    /// The name at the beginning of a field, which may be a compact form; `None` when it is no token.
    pub(crate) fn from_wire(bytes: &Bytes, range: Range<usize>) -> Option<Self> {
        let spelling = bytes.get(range.clone())?;
        if spelling.is_empty() || !spelling.iter().all(|&byte| is_token(byte)) {
            return None;
        }
        if let [letter] = *spelling
            && let Some(name) = Self::compact(letter)
        {
            return Some(name);
        }
        Some(Self::known(spelling).unwrap_or_else(|| Self::Other(UnknownName(bytes.slice(range)))))
    }

    /// Compact forms: RFC 3261 §20, RFC 3515, 3892, 4028, 6665.
    const fn compact(letter: u8) -> Option<Self> {
        Some(match letter.to_ascii_lowercase() {
            b'b' => Self::ReferredBy,
            b'c' => Self::ContentType,
            b'e' => Self::ContentEncoding,
            b'f' => Self::From,
            b'i' => Self::CallId,
            b'k' => Self::Supported,
            b'l' => Self::ContentLength,
            b'm' => Self::Contact,
            b'o' => Self::Event,
            b'r' => Self::ReferTo,
            b's' => Self::Subject,
            b't' => Self::To,
            b'u' => Self::AllowEvents,
            b'v' => Self::Via,
            b'x' => Self::SessionExpires,
            _ => return None,
        })
    }
}

impl FromStr for HeaderName {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let no_token = SyntaxError {
            offset: 0,
            reason: Reason::Expected("a header name"),
        };
        if !is_token_text(text) {
            return Err(no_token);
        }
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        Self::from_wire(&bytes, 0..bytes.len()).ok_or(no_token)
    }
}

impl PartialEq for UnknownName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for UnknownName {}

impl Hash for UnknownName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in &self.0 {
            state.write_u8(byte.to_ascii_lowercase());
        }
    }
}

impl fmt::Debug for UnknownName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
