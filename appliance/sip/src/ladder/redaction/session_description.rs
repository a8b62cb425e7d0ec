//! Session descriptions (RFC 8866): lines and attributes of the list are shown, keys never.

use std::fmt::Write as _;

use super::{HIDDEN, write_harmless};

/// Attributes that are shown with their values.
const SHOWN_ATTRIBUTES: [&str; 55] = [
    "rtpmap",
    "fmtp",
    "sendrecv",
    "sendonly",
    "recvonly",
    "inactive",
    "ptime",
    "maxptime",
    "mid",
    "msid",
    "group",
    "rtcp",
    "rtcp-mux",
    "rtcp-mux-only",
    "rtcp-fb",
    "rtcp-rsize",
    "rtcp-xr",
    "ssrc",
    "ssrc-group",
    "extmap",
    "extmap-allow-mixed",
    "setup",
    "connection",
    "fingerprint",
    "tls-id",
    "ice-ufrag",
    "ice-options",
    "ice-lite",
    "ice-mismatch",
    "candidate",
    "end-of-candidates",
    "label",
    "content",
    "floorctrl",
    "confid",
    "userid",
    "floorid",
    "bfcpver",
    "framerate",
    "framesize",
    "imageattr",
    "simulcast",
    "rid",
    "curr",
    "des",
    "conf",
    "tool",
    "type",
    "lang",
    "sdplang",
    "silencesupp",
    "sctp-port",
    "max-message-size",
    "quality",
    "tcap",
];

/// Suites of RFC 4568, 6188 and 7714 are written with these characters only.
fn is_suite(text: &str) -> bool {
    const FAMILIES: [&str; 5] = ["AES_CM_", "AES_192_CM_", "AES_256_CM_", "F8_", "AEAD_AES_"];
    const ENDINGS: [&str; 4] = ["_80", "_32", "_GCM", "_8"];
    text.len() <= 32
        && FAMILIES.iter().any(|family| text.starts_with(family))
        && ENDINGS.iter().any(|ending| text.ends_with(ending))
}

/// Writes a description line by line.
pub(super) fn write_session_description(text: &mut String, description: &str) {
    let lines = description
        .split(['\r', '\n'])
        .filter(|line| !line.is_empty());
    for line in lines {
        write_line(text, line);
        text.push('\n');
    }
}

fn write_line(text: &mut String, line: &str) {
    let Some((kind, value)) = line.split_once('=') else {
        return text.push_str(HIDDEN);
    };
    match kind {
        "v" | "o" | "s" | "c" | "b" | "t" | "r" | "z" | "m" => {
            let _ = write!(text, "{kind}=");
            write_harmless(text, value);
        }
        // Free text, addresses of pages and people, keys.
        "i" | "u" | "e" | "p" | "k" => {
            let _ = write!(text, "{kind}={HIDDEN}");
        }
        "a" => write_attribute(text, value),
        _ => text.push_str(HIDDEN),
    }
}

fn write_attribute(text: &mut String, attribute: &str) {
    text.push_str("a=");
    let (name, value) = match attribute.split_once(':') {
        Some((name, value)) => (name, Some(value)),
        None => (attribute, None),
    };
    let is_shown = SHOWN_ATTRIBUTES
        .iter()
        .any(|shown| shown.eq_ignore_ascii_case(name));
    match value {
        _ if is_shown => write_harmless(text, attribute),
        Some(value) if name.eq_ignore_ascii_case("crypto") => write_crypto(text, value),
        Some(_) => {
            write_name(text, name);
            let _ = write!(text, ":{HIDDEN}");
        }
        None => write_name(text, name),
    }
}

/// The name of an attribute that is not on the list: a token, or nothing of it.
fn write_name(text: &mut String, name: &str) {
    let is_token = name.len() <= 24
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
    text.push_str(if is_token { name } else { HIDDEN });
}

/// `crypto:1 AES_CM_128_HMAC_SHA1_80 inline:...` (RFC 4568 section 9.1): tag and suite are shown. Session
/// parameters behind the key may hold another one.
fn write_crypto(text: &mut String, value: &str) {
    let mut words = value.split_ascii_whitespace();
    let tag = words
        .next()
        .filter(|tag| tag.len() <= 9 && tag.bytes().all(|byte| byte.is_ascii_digit()));
    let suite = words.next().filter(|suite| is_suite(suite));
    let _ = write!(
        text,
        "crypto:{} {} inline:{HIDDEN}",
        tag.unwrap_or(HIDDEN),
        suite.unwrap_or(HIDDEN)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_keeps_its_codecs_and_loses_its_keys() {
        let description = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nk=clear:geheim\r\nu=https://x/?geheim\r\n\
            m=audio 20000 RTP/SAVP 96\na=rtpmap:96 opus/48000/2\n\
            a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:geheim|2^20 FEC_KEY=inline:geheim\r\n\
            A=ice-pwd:geheim\r\na=ICE-pwd:geheim\ra=key-mgmt:mikey geheim\r\na=fingerprint:sha-256 AB:CD\r\n\
            a=Crypto:geheim geheim geheim\r\na=sendrecv\r\na=geheim1\r\ngeheim\r\nx=geheim\r\n";
        let mut text = String::new();
        write_session_description(&mut text, description);
        let expected = "\
v=0
o=- 1 1 IN IP4 192.0.2.1
s=-
k=***
u=***
m=audio 20000 RTP/SAVP 96
a=rtpmap:96 opus/48000/2
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:***
***
a=ICE-pwd:***
a=key-mgmt:***
a=fingerprint:sha-256 AB:CD
a=crypto:*** *** inline:***
a=sendrecv
a=***
***
***
";
        assert_eq!(text, expected);
    }
}
