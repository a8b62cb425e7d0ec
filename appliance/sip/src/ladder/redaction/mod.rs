//! What of a message may be shown.
//!
//! The rule is a list of what is shown, not of what is hidden: a header field that is not on it shows
//! its name and the length of its value, a body that is no session description its type and length.
//! What does not follow its grammar is treated as unknown.

mod address;
mod authentication;
mod session_description;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use self::address::{write_name_addr, write_params, write_uri, write_via};
use self::authentication::{write_authentication_info, write_challenge};
use self::session_description::write_session_description;
use super::MessageRef;
use crate::grammar::{
    AuthCredentials, AuthenticationInfo, CSeq, Challenge, Contact, ContentType, HeaderName,
    HeaderValue, Headers, field_text, field_values, multipart_parts,
};

/// Stands for what is hidden.
const HIDDEN: &str = "***";
/// The longest text of one message. What is beyond is not kept.
const MAX_TEXT: usize = 8 * 1024;
/// The longest first line.
const MAX_START_LINE: usize = 512;
/// How deep multiparts are opened.
const MAX_DEPTH: u8 = 3;

/// What is shown of a message.
#[derive(Debug)]
pub(super) struct Redacted {
    pub(super) method: String,
    pub(super) status: Option<u16>,
    pub(super) start_line: String,
    pub(super) body_type: Option<String>,
    pub(super) text: String,
}

/// Takes the secrets out of a message.
pub(super) fn redact(message: MessageRef<'_>) -> Redacted {
    let mut start_line = String::with_capacity(64);
    let (method, status, headers, body) = match message {
        MessageRef::Request(request) => {
            let _ = write!(start_line, "{} ", request.method());
            write_uri(&mut start_line, request.uri());
            start_line.push_str(" SIP/2.0");
            let method = request.method().as_str().to_owned();
            (method, None, &request.headers, request.body())
        }
        MessageRef::Response(response) => {
            let code = response.status().code();
            let _ = write!(start_line, "SIP/2.0 {code} ");
            write_harmless(&mut start_line, response.reason());
            let sequence = response.headers.typed::<CSeq>().ok().flatten();
            let method = sequence.map_or_else(String::new, |CSeq { method, .. }| {
                method.as_str().to_owned()
            });
            (method, Some(code), &response.headers, response.body())
        }
    };
    let mut text = String::with_capacity(1024);
    text.push_str(&start_line);
    text.push('\n');
    for (name, value) in headers.iter() {
        write_field(&mut text, name, value);
    }
    let body_type = (!body.is_empty()).then(|| type_of(headers));
    if !body.is_empty() {
        text.push('\n');
        write_body(&mut text, headers, body, 0);
    }
    if let Some(beyond) = cut(&mut text, MAX_TEXT) {
        let _ = write!(text, "\n({beyond} more bytes)\n");
    }
    if cut(&mut start_line, MAX_START_LINE).is_some() {
        start_line.push('…');
    }
    text.shrink_to_fit();
    Redacted {
        method,
        status,
        start_line,
        body_type,
        text,
    }
}

/// Cuts a text, and says how many bytes were beyond the limit.
fn cut(text: &mut String, limit: usize) -> Option<usize> {
    let end = text.floor_char_boundary(limit);
    let beyond = text.len().checked_sub(end).filter(|beyond| *beyond > 0)?;
    text.truncate(end);
    Some(beyond)
}

/// How a field is shown.
enum Shown {
    /// As it is.
    Value,
    /// Addresses, with parameters of the list.
    Addresses,
    Via,
    Challenge,
    Credentials,
    AuthenticationInfo,
    ContentType,
    /// The name, and how long the value is.
    Length,
}

fn shown(name: &HeaderName) -> Shown {
    match name {
        HeaderName::Via => Shown::Via,
        HeaderName::WwwAuthenticate | HeaderName::ProxyAuthenticate => Shown::Challenge,
        HeaderName::Authorization | HeaderName::ProxyAuthorization => Shown::Credentials,
        HeaderName::AuthenticationInfo | HeaderName::ProxyAuthenticationInfo => {
            Shown::AuthenticationInfo
        }
        HeaderName::ContentType => Shown::ContentType,
        HeaderName::From
        | HeaderName::To
        | HeaderName::Contact
        | HeaderName::Route
        | HeaderName::RecordRoute
        | HeaderName::PAssertedIdentity
        | HeaderName::PPreferredIdentity
        | HeaderName::Path
        | HeaderName::ReferTo
        | HeaderName::ReferredBy
        | HeaderName::ReplyTo
        | HeaderName::ServiceRoute
        | HeaderName::AlertInfo
        | HeaderName::CallInfo
        | HeaderName::ErrorInfo => Shown::Addresses,
        HeaderName::CallId
        | HeaderName::CSeq
        | HeaderName::MaxForwards
        | HeaderName::ContentLength
        | HeaderName::Allow
        | HeaderName::AnswerMode
        | HeaderName::Supported
        | HeaderName::UserAgent
        | HeaderName::Expires
        | HeaderName::Server
        | HeaderName::Accept
        | HeaderName::Require
        | HeaderName::Date
        | HeaderName::AcceptEncoding
        | HeaderName::AcceptLanguage
        | HeaderName::AllowEvents
        | HeaderName::ContentDisposition
        | HeaderName::ContentEncoding
        | HeaderName::ContentLanguage
        | HeaderName::Event
        | HeaderName::FlowTimer
        | HeaderName::InReplyTo
        | HeaderName::MimeVersion
        | HeaderName::MinExpires
        | HeaderName::MinSe
        | HeaderName::Priority
        | HeaderName::PrivAnswerMode
        | HeaderName::Privacy
        | HeaderName::ProxyRequire
        | HeaderName::RAck
        | HeaderName::RSeq
        | HeaderName::Reason
        | HeaderName::ReferSub
        | HeaderName::Replaces
        | HeaderName::RetryAfter
        | HeaderName::SessionExpires
        | HeaderName::SubscriptionState
        | HeaderName::Timestamp
        | HeaderName::Unsupported
        | HeaderName::Warning => Shown::Value,
        // What people write there may be a passcode.
        HeaderName::Subject | HeaderName::Organization => Shown::Length,
        HeaderName::Other(name) => {
            let is_address = ["Remote-Party-ID", "Diversion", "History-Info"]
                .iter()
                .any(|known| name.as_str().eq_ignore_ascii_case(known));
            if is_address {
                Shown::Addresses
            } else {
                Shown::Length
            }
        }
    }
}

fn write_field(text: &mut String, name: &HeaderName, value: &[u8]) {
    let _ = write!(text, "{name}: ");
    let understood = match shown(name) {
        Shown::Value => {
            write_harmless(text, &field_text(value));
            true
        }
        Shown::Addresses => {
            write_values(text, name, value, |text, contact: &Contact| match contact {
                Contact::All => text.push('*'),
                Contact::Address(address) => write_name_addr(text, address),
            })
        }
        Shown::Via => write_values(text, name, value, write_via),
        Shown::Challenge => write_values(text, name, value, |text, challenge: &Challenge| {
            write_challenge(text, challenge.scheme(), challenge.params());
        }),
        Shown::Credentials => {
            write_values(text, name, value, |text, credentials: &AuthCredentials| {
                write_challenge(text, credentials.scheme(), credentials.params());
            })
        }
        Shown::AuthenticationInfo => {
            write_values(text, name, value, |text, info: &AuthenticationInfo| {
                write_authentication_info(text, info.params());
            })
        }
        Shown::ContentType => write_values(text, name, value, |text, content: &ContentType| {
            text.push_str(&content.media_type());
            write_params(text, content.params());
        }),
        Shown::Length => false,
    };
    if !understood {
        let _ = write!(text, "{HIDDEN} ({} bytes)", value.len());
    }
    text.push('\n');
}

/// Writes the values of a field. False, and nothing is written, when one of them is malformed.
fn write_values<T: HeaderValue>(
    text: &mut String,
    name: &HeaderName,
    value: &[u8],
    write: impl Fn(&mut String, &T),
) -> bool {
    let values: Result<Vec<T>, _> = field_values(name, value).into_iter().collect();
    let Ok(values) = values else {
        return false;
    };
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        write(text, value);
    }
    true
}

/// Text of a peer without control characters.
fn write_harmless(text: &mut String, from: &str) {
    text.extend(
        from.chars()
            .map(|c| if c.is_control() { '\u{fffd}' } else { c }),
    );
}

/// The media type of a body, without parameters.
fn type_of(headers: &Headers) -> String {
    match headers.typed::<ContentType>() {
        Ok(Some(content_type)) => content_type.media_type(),
        Ok(None) | Err(_) => "unknown".to_owned(),
    }
}

fn write_body(text: &mut String, headers: &Headers, body: &[u8], depth: u8) {
    let content_type = headers.typed::<ContentType>().ok().flatten();
    let is_plain = !headers.contains(&HeaderName::ContentEncoding);
    match content_type {
        Some(content_type) if is_plain && content_type.is("application", "sdp") => {
            write_session_description(text, &String::from_utf8_lossy(body));
        }
        Some(content_type) if is_plain && content_type.is_multipart() && depth < MAX_DEPTH => {
            let boundary = content_type.params().get("boundary").unwrap_or_default();
            match multipart_parts(body, boundary) {
                Ok(parts) => {
                    for part in parts {
                        let _ = writeln!(text, "[part: {}]", type_of(&part.headers));
                        write_body(text, &part.headers, part.content, depth + 1);
                    }
                }
                Err(_) => write_length(text, headers, body),
            }
        }
        Some(_) | None => write_length(text, headers, body),
    }
}

fn write_length(text: &mut String, headers: &Headers, body: &[u8]) {
    let _ = writeln!(text, "[{}, {} bytes]", type_of(headers), body.len());
}
