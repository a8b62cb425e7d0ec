//! Status codes (RFC 3261 §7.2 and §21) with the usual reason phrases.

use std::fmt;

/// A status code, 100 to 699.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusCode(u16);

macro_rules! status_codes {
    ($($constant:ident = $code:literal $phrase:literal;)*) => {
        #[allow(missing_docs)] // each constant is the status of its name
        impl StatusCode {
            $(pub const $constant: Self = Self($code);)*

            /// The reason phrase of the RFC, or that of the class for a code without one.
            #[must_use]
            pub fn phrase(self) -> &'static str {
                match self.0 {
                    $($code => $phrase,)*
                    100..200 => "Session Progress",
                    200..300 => "OK",
                    300..400 => "Redirection",
                    400..500 => "Bad Request",
                    500..600 => "Server Internal Error",
                    _ => "Decline",
                }
            }
        }
    };
}

status_codes! {
    TRYING = 100 "Trying";
    RINGING = 180 "Ringing";
    CALL_IS_BEING_FORWARDED = 181 "Call Is Being Forwarded";
    QUEUED = 182 "Queued";
    SESSION_PROGRESS = 183 "Session Progress";
    OK = 200 "OK";
    ACCEPTED = 202 "Accepted";
    MULTIPLE_CHOICES = 300 "Multiple Choices";
    MOVED_PERMANENTLY = 301 "Moved Permanently";
    MOVED_TEMPORARILY = 302 "Moved Temporarily";
    USE_PROXY = 305 "Use Proxy";
    BAD_REQUEST = 400 "Bad Request";
    UNAUTHORIZED = 401 "Unauthorized";
    FORBIDDEN = 403 "Forbidden";
    NOT_FOUND = 404 "Not Found";
    METHOD_NOT_ALLOWED = 405 "Method Not Allowed";
    NOT_ACCEPTABLE = 406 "Not Acceptable";
    PROXY_AUTHENTICATION_REQUIRED = 407 "Proxy Authentication Required";
    REQUEST_TIMEOUT = 408 "Request Timeout";
    GONE = 410 "Gone";
    CONDITIONAL_REQUEST_FAILED = 412 "Conditional Request Failed";
    REQUEST_ENTITY_TOO_LARGE = 413 "Request Entity Too Large";
    REQUEST_URI_TOO_LONG = 414 "Request-URI Too Long";
    UNSUPPORTED_MEDIA_TYPE = 415 "Unsupported Media Type";
    UNSUPPORTED_URI_SCHEME = 416 "Unsupported URI Scheme";
    BAD_EXTENSION = 420 "Bad Extension";
    EXTENSION_REQUIRED = 421 "Extension Required";
    SESSION_INTERVAL_TOO_SMALL = 422 "Session Interval Too Small";
    INTERVAL_TOO_BRIEF = 423 "Interval Too Brief";
    FIRST_HOP_LACKS_OUTBOUND_SUPPORT = 439 "First Hop Lacks Outbound Support";
    TEMPORARILY_UNAVAILABLE = 480 "Temporarily Unavailable";
    CALL_OR_TRANSACTION_DOES_NOT_EXIST = 481 "Call/Transaction Does Not Exist";
    LOOP_DETECTED = 482 "Loop Detected";
    TOO_MANY_HOPS = 483 "Too Many Hops";
    ADDRESS_INCOMPLETE = 484 "Address Incomplete";
    AMBIGUOUS = 485 "Ambiguous";
    BUSY_HERE = 486 "Busy Here";
    REQUEST_TERMINATED = 487 "Request Terminated";
    NOT_ACCEPTABLE_HERE = 488 "Not Acceptable Here";
    BAD_EVENT = 489 "Bad Event";
    REQUEST_PENDING = 491 "Request Pending";
    UNDECIPHERABLE = 493 "Undecipherable";
    SERVER_INTERNAL_ERROR = 500 "Server Internal Error";
    NOT_IMPLEMENTED = 501 "Not Implemented";
    BAD_GATEWAY = 502 "Bad Gateway";
    SERVICE_UNAVAILABLE = 503 "Service Unavailable";
    SERVER_TIMEOUT = 504 "Server Time-out";
    VERSION_NOT_SUPPORTED = 505 "Version Not Supported";
    MESSAGE_TOO_LARGE = 513 "Message Too Large";
    BUSY_EVERYWHERE = 600 "Busy Everywhere";
    DECLINE = 603 "Decline";
    DOES_NOT_EXIST_ANYWHERE = 604 "Does Not Exist Anywhere";
    NOT_ACCEPTABLE_ANYWHERE = 606 "Not Acceptable";
}

impl StatusCode {
    /// `None` outside of 100 to 699.
    #[must_use]
    pub fn new(code: u16) -> Option<Self> {
        (100..700).contains(&code).then_some(Self(code))
    }

    /// The number.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.0
    }

    /// 1xx.
    #[must_use]
    pub const fn is_provisional(self) -> bool {
        self.0 < 200
    }

    /// 2xx to 6xx: ends the transaction.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !self.is_provisional()
    }

    /// 2xx.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 >= 200 && self.0 < 300
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}
