//! Key presses that arrive by SIP INFO, as older systems send them: `application/dtmf-relay`
//! (`Signal=5`, then `Duration=160`) and `application/dtmf` (the digit alone).

use bytes::Bytes;
use room::DtmfDigit;
use sip::grammar::ContentType;

const DTMF_RELAY: &str = "application/dtmf-relay";

/// The content type of [`body`].
#[must_use]
pub fn content_type() -> ContentType {
    DTMF_RELAY.parse().expect("the text is a content type")
}

/// The body of an INFO request that carries a digit.
#[must_use]
pub fn body(digit: DtmfDigit) -> Bytes {
    Bytes::from(format!("Signal={}\r\nDuration=160\r\n", digit.as_char()))
}

/// Whether an INFO request with a body of this type carries key presses of ours.
#[must_use]
pub fn is_key_press(content_type: &str) -> bool {
    content_type.eq_ignore_ascii_case(DTMF_RELAY)
}

/// The digit in the body of an INFO request, if there is one.
#[must_use]
pub fn digit(content_type: &str, body: &[u8]) -> Option<DtmfDigit> {
    let body = std::str::from_utf8(body).ok()?;
    let text = match content_type.to_ascii_lowercase().as_str() {
        DTMF_RELAY => body.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            key.trim()
                .eq_ignore_ascii_case("Signal")
                .then(|| value.trim())
        })?,
        "application/dtmf" => body.trim(),
        _ => return None,
    };
    let mut characters = text.chars();
    let digit = characters.next()?;
    if characters.next().is_some() {
        return None;
    }
    DtmfDigit::from_char(digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_body_formats_give_the_digit() {
        let five = DtmfDigit::from_char('5');
        assert!(five.is_some());
        assert_eq!(
            digit("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n"),
            five
        );
        assert_eq!(
            digit("Application/DTMF-Relay", b"Duration= 160\nsignal = 5\n"),
            five
        );
        assert_eq!(digit("application/dtmf", b"5\r\n"), five);
    }

    #[test]
    fn what_is_written_is_read() {
        for character in "0123456789*#ABCD".chars() {
            let written = DtmfDigit::from_char(character).unwrap();
            assert_eq!(
                digit(&content_type().to_string(), &body(written)),
                Some(written)
            );
        }
    }

    #[test]
    fn anything_else_gives_none() {
        for (content_type, body) in [
            ("text/plain", &b"Signal=5"[..]),
            ("application/dtmf-relay", b"Duration=160"),
            ("application/dtmf-relay", b"Signal="),
            ("application/dtmf-relay", b"Signal=55"),
            ("application/dtmf-relay", b"Signal=x"),
            ("application/dtmf", b"\xff\xfe"),
            ("application/dtmf", b""),
        ] {
            assert_eq!(digit(content_type, body), None, "{content_type} {body:?}");
        }
    }
}
