//! Challenges, credentials and their proofs: how is shown, with what is not.

use super::{HIDDEN, write_harmless};
use crate::grammar::Params;

/// Parameters that say how, and give nothing to calculate with.
const SHOWN: [&str; 4] = ["realm", "algorithm", "qop", "stale"];
/// Parameters of which only the name is shown (RFC 7616, RFC 3310). What is not listed here is
/// not named either: a scheme may put its token where names stand.
const NAMED: [&str; 13] = [
    "username",
    "nonce",
    "uri",
    "response",
    "cnonce",
    "nc",
    "opaque",
    "domain",
    "userhash",
    "charset",
    "auts",
    "nextnonce",
    "rspauth",
];

/// Writes a challenge or credentials.
pub(super) fn write_challenge(text: &mut String, scheme: &str, params: &Params) {
    text.push_str(scheme);
    text.push(' ');
    write_authentication_info(text, params);
}

/// Writes the parameters.
pub(super) fn write_authentication_info(text: &mut String, params: &Params) {
    for (index, (name, value)) in params.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        let is = |known: &&str| known.eq_ignore_ascii_case(name);
        if let Some(known) = SHOWN.iter().find(|known| is(known)) {
            text.push_str(known);
            text.push_str("=\"");
            write_harmless(text, value.map_or("", |value| value.as_str()));
            text.push('"');
        } else if let Some(known) = NAMED.iter().find(|known| is(known)) {
            text.push_str(known);
            text.push('=');
            text.push_str(HIDDEN);
        } else {
            text.push_str(HIDDEN);
        }
    }
}
