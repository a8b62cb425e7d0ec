//! Addresses: who and where is shown, passwords, passcodes and unknown parameters are not.

use std::fmt::Write as _;

use super::{HIDDEN, write_harmless};
use crate::grammar::{NameAddr, Params, SipUri, Uri, Via};

/// Parameters whose values are shown.
const SHOWN_PARAMS: [&str; 32] = [
    "tag",
    "branch",
    "received",
    "rport",
    "maddr",
    "ttl",
    "alias",
    "keep",
    "q",
    "expires",
    "reg-id",
    "ob",
    "methods",
    "+sip.instance",
    "cause",
    "lr",
    "transport",
    "user",
    "method",
    "ext",
    "isub",
    "phone-context",
    "index",
    "party",
    "id-type",
    "screen",
    "privacy",
    "purpose",
    "comp",
    "boundary",
    "charset",
    "handling",
];

fn is_shown(name: &str) -> bool {
    SHOWN_PARAMS
        .iter()
        .any(|shown| shown.eq_ignore_ascii_case(name))
}

/// Writes header parameters.
pub(super) fn write_params(text: &mut String, params: &Params) {
    for (name, value) in params.iter() {
        let _ = write!(text, ";{name}");
        if let Some(value) = value {
            text.push('=');
            if is_shown(name) {
                write_harmless(text, value.as_str());
            } else {
                text.push_str(HIDDEN);
            }
        }
    }
}

fn write_uri_params<'a>(
    text: &mut String,
    params: impl Iterator<Item = (&'a str, Option<&'a str>)>,
) {
    for (name, value) in params {
        let _ = write!(text, ";{name}");
        if let Some(value) = value {
            text.push('=');
            text.push_str(if is_shown(name) { value } else { HIDDEN });
        }
    }
}

/// Writes a Via.
pub(super) fn write_via(text: &mut String, via: &Via) {
    let _ = write!(text, "SIP/2.0/{} {}", via.transport(), via.host());
    if let Some(port) = via.port() {
        let _ = write!(text, ":{port}");
    }
    write_params(text, via.params());
}

/// Writes an address with its display name.
pub(super) fn write_name_addr(text: &mut String, address: &NameAddr) {
    if let Some(name) = address.display_name() {
        text.push('"');
        write_harmless(text, name);
        text.push_str("\" ");
    }
    text.push('<');
    write_uri(text, address.uri());
    text.push('>');
    write_params(text, address.params());
}

/// Writes a URI. Of one whose scheme we do not know only the scheme: web addresses carry tokens.
pub(super) fn write_uri(text: &mut String, uri: &Uri) {
    match uri {
        Uri::Sip(uri) => write_sip_uri(text, uri),
        Uri::Tel(uri) => {
            text.push_str("tel:");
            write_user(text, uri.number());
            write_uri_params(text, uri.params());
        }
        Uri::Other(_) => {
            let _ = write!(text, "{}:{HIDDEN}", uri.scheme());
        }
    }
}

fn write_sip_uri(text: &mut String, uri: &SipUri) {
    let _ = write!(text, "{}:", uri.scheme().as_str());
    if let Some(user) = uri.user() {
        write_user(text, user);
        if uri.password().is_some() {
            let _ = write!(text, ":{HIDDEN}");
        }
        text.push('@');
    }
    let _ = write!(text, "{}", uri.host());
    if let Some(port) = uri.port() {
        let _ = write!(text, ":{port}");
    }
    write_uri_params(text, uri.params());
    if uri.headers().next().is_some() {
        let _ = write!(text, "?{HIDDEN}");
    }
}

/// A meeting's number may be followed by its passcode and the host's key: `ID.PASSCODE`,
/// `ID**PASSCODE`. A colon may stand escaped.
fn write_user(text: &mut String, user: &str) {
    let colon = user.to_ascii_lowercase().find("%3a");
    let digits = user
        .trim_start_matches('+')
        .bytes()
        .take_while(|byte| byte.is_ascii_digit() || *byte == b'-')
        .count();
    let number = user.len() - user.trim_start_matches('+').len() + digits;
    let is_meeting = digits >= 6
        && user
            .get(number..)
            .is_some_and(|rest| rest.starts_with(['.', '*', '#', '%', ',', ';']));
    let shown = match (is_meeting, colon) {
        (true, Some(colon)) => Some(number.min(colon)),
        (true, None) => Some(number),
        (false, colon) => colon,
    };
    match shown {
        None => text.push_str(user),
        Some(shown) => {
            text.push_str(user.get(..shown).unwrap_or_default());
            text.push_str(HIDDEN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(uri: &str) -> String {
        let mut text = String::new();
        write_uri(&mut text, &uri.parse().unwrap());
        text
    }

    #[test]
    fn addresses_lose_passwords_and_passcodes_and_keep_the_rest() {
        for (uri, expected) in [
            (
                "sip:board@example.com:5070;transport=tls;lr",
                "sip:board@example.com:5070;transport=tls;lr",
            ),
            ("SIPS:u:pw@example.com", "sips:u:***@example.com"),
            ("sip:u%3Apw@example.com", "sip:u***@example.com"),
            (
                "sip:123456789.4711..99@zoomcrc.example",
                "sip:123456789***@zoomcrc.example",
            ),
            (
                "sip:123456789**4711@x.example",
                "sip:123456789***@x.example",
            ),
            ("sip:j.doe@example.com", "sip:j.doe@example.com"),
            ("sip:100.1@example.com", "sip:100.1@example.com"),
            (
                "sip:a@b.example;token=x?Subject=y",
                "sip:a@b.example;token=***?***",
            ),
            ("tel:+49301234567;postd=pp22", "tel:+49301234567;postd=***"),
            ("https://x.example/?token=y", "https:***"),
        ] {
            assert_eq!(shown(uri), expected);
        }
    }
}
