//! The extensions of SIP that we have, by their option tags (RFC 3261 section 19.2).

use crate::grammar::{HeaderName, Headers, Token};

/// Session timers (RFC 4028).
pub(crate) const TIMER: &str = "timer";
/// Reliable provisional responses (RFC 3262).
pub(crate) const RELIABLE: &str = "100rel";
/// Dialogs that take the place of others (RFC 3891).
pub(crate) const REPLACES: &str = "replaces";
/// Connections that clients have opened carry what is for them (RFC 5626).
pub(crate) const OUTBOUND: &str = "outbound";
/// REFER without a subscription (RFC 4488).
pub(crate) const NO_REFER_SUBSCRIPTION: &str = "norefersub";
/// How a caller wishes to be answered (RFC 5373).
pub(crate) const ANSWER_MODE: &str = "answermode";
/// What Supported says in requests and responses that an extension may change.
pub(crate) const SUPPORTED: &str = "timer, 100rel, replaces";

/// Whether a request that requires `tag` can be served.
pub(crate) fn is_supported(tag: &str) -> bool {
    [
        TIMER,
        RELIABLE,
        REPLACES,
        NO_REFER_SUBSCRIPTION,
        ANSWER_MODE,
    ]
    .iter()
    .any(|ours| tag.eq_ignore_ascii_case(ours))
}

/// Whether the sender of a message has an extension: requiring it says so too.
pub(crate) fn sender_supports(headers: &Headers, tag: &str) -> bool {
    names(headers, &HeaderName::Supported, tag) || requires(headers, tag)
}

/// Whether a message requires an extension.
pub(crate) fn requires(headers: &Headers, tag: &str) -> bool {
    names(headers, &HeaderName::Require, tag)
}

fn names(headers: &Headers, name: &HeaderName, tag: &str) -> bool {
    headers
        .values::<Token>(name)
        .filter_map(Result::ok)
        .any(|token| token.as_str().eq_ignore_ascii_case(tag))
}
