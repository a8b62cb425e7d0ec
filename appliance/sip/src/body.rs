//! What a user agent makes of a body: the session description in it, or why the message is refused (RFC 3261 section
//! 8.2.3, RFC 5621).
//!
//! ```text
//!  no body ─────────────────────────────────────────────► nothing
//!  Content-Encoding ── other than identity ─────────────► 415, Accept-Encoding
//!  application/sdp for the session ─────────────────────► the description
//!  multipart/alternative ── the last part understood ───► its description
//!  multipart/anything ── all parts ─────────────────────► the first description
//!  encrypted ───────────────────────────────────────────► 493
//!  anything else ───────────────────────────────────────► 415, Accept
//!            │
//!            └─ with handling=optional, each of the faults is: nothing
//! ```
//!
//! Content-Language is not judged: a description has nothing in it that a person reads.

use crate::grammar::{
    ContentDisposition, ContentType, Handling, HeaderName, Headers, StatusCode, Token,
    multipart_parts,
};

/// How deep multiparts stand in each other.
const MAX_DEPTH: usize = 4;

/// Why a body keeps its message from being worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFault {
    /// The header fields that describe it, or its parts, are malformed or missing.
    Malformed,
    /// It is compressed or otherwise encoded.
    Encoding,
    /// Nobody here understands it.
    Type,
    /// It is encrypted, and we have no key.
    Encrypted,
}

impl BodyFault {
    /// The status that answers a request with this body.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Encoding | Self::Type => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Encrypted => StatusCode::UNDECIPHERABLE,
        }
    }
}

/// The session description of a message, from its header fields and body.
///
/// # Errors
/// When the body has to be understood and is not.
pub(crate) fn session_description<'a>(
    headers: &Headers,
    body: &'a [u8],
) -> Result<Option<&'a [u8]>, BodyFault> {
    if body.is_empty() {
        return Ok(None);
    }
    look_into(headers, body, 0)
}

/// The same for a body or a part of one. What may be passed over is.
fn look_into<'a>(
    headers: &Headers,
    content: &'a [u8],
    depth: usize,
) -> Result<Option<&'a [u8]>, BodyFault> {
    let disposition = headers
        .typed::<ContentDisposition>()
        .map_err(|_| BodyFault::Malformed)?;
    let found = understand(headers, disposition.as_ref(), content, depth);
    match disposition.map(|disposition| disposition.handling()) {
        Some(Handling::Optional) => Ok(found.unwrap_or_default()),
        Some(Handling::Required) | None => found,
    }
}

fn understand<'a>(
    headers: &Headers,
    disposition: Option<&ContentDisposition>,
    content: &'a [u8],
    depth: usize,
) -> Result<Option<&'a [u8]>, BodyFault> {
    let is_encoded = headers
        .values::<Token>(&HeaderName::ContentEncoding)
        .any(|coding| !coding.is_ok_and(|coding| coding.as_str().eq_ignore_ascii_case("identity")));
    if is_encoded {
        return Err(BodyFault::Encoding);
    }
    let content_type = match headers.typed::<ContentType>() {
        Ok(Some(content_type)) => content_type,
        // RFC 2046 section 5.1: a part without a type is text.
        Ok(None) if depth > 0 => return Err(BodyFault::Type),
        Ok(None) | Err(_) => return Err(BodyFault::Malformed),
    };
    if content_type.is("application", "sdp") {
        let is_for_session = disposition.is_none_or(|disposition| disposition.is("session"));
        return is_for_session
            .then_some(Some(content))
            .ok_or(BodyFault::Type);
    }
    if content_type.is("application", "pkcs7-mime") {
        return Err(BodyFault::Encrypted);
    }
    if !content_type.is_multipart() {
        return Err(BodyFault::Type);
    }
    if depth == MAX_DEPTH {
        return Err(BodyFault::Malformed);
    }
    let boundary = content_type.params().get("boundary").unwrap_or_default();
    let parts = multipart_parts(content, boundary).map_err(|_| BodyFault::Malformed)?;
    let mut parts = parts
        .into_iter()
        .map(|part| look_into(&part.headers, part.content, depth + 1));
    if content_type.is("multipart", "alternative") {
        // The last one is the richest, and the last one understood is the one that counts.
        return parts
            .rev()
            .find(Result::is_ok)
            .unwrap_or(Err(BodyFault::Type));
    }
    parts.try_fold(None, |found: Option<&[u8]>, part| {
        part.map(|description| found.or(description))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in lines {
            headers.push(HeaderName::new(name).unwrap(), value).unwrap();
        }
        headers
    }

    /// A multipart around parts of `(fields, content)`.
    fn multipart(subtype: &str, boundary: &str, parts: &[(&str, &str)]) -> (Headers, String) {
        let mut body = String::new();
        for (fields, content) in parts {
            body += &format!("--{boundary}\r\n{fields}\r\n{content}\r\n");
        }
        body += &format!("--{boundary}--");
        let content_type = format!("multipart/{subtype};boundary={boundary}");
        (fields(&[("Content-Type", &content_type)]), body)
    }

    const SDP: &str = "Content-Type: application/sdp\r\n";
    const OTHER: &str = "Content-Type: application/isup\r\n";
    const OPTIONAL: &str =
        "Content-Type: application/isup\r\nContent-Disposition: signal;handling=OPTIONAL\r\n";

    #[test]
    fn the_first_description_of_a_mixture_counts() {
        let (headers, body) =
            multipart("mixed", "b", &[(OPTIONAL, "x"), (SDP, "one"), (SDP, "two")]);
        assert_eq!(
            session_description(&headers, body.as_bytes()),
            Ok(Some(&b"one"[..]))
        );
    }

    #[test]
    fn a_required_part_that_nobody_understands_refuses_the_whole() {
        let (headers, body) = multipart("mixed", "b", &[(SDP, "one"), (OTHER, "x")]);
        assert_eq!(
            session_description(&headers, body.as_bytes()),
            Err(BodyFault::Type)
        );
        let (headers, body) = multipart("mixed", "b", &[(SDP, "one"), ("", "text")]);
        assert_eq!(
            session_description(&headers, body.as_bytes()),
            Err(BodyFault::Type)
        );
    }

    #[test]
    fn the_last_alternative_that_is_understood_counts() {
        let (headers, body) = multipart(
            "alternative",
            "b",
            &[(SDP, "one"), (SDP, "two"), (OTHER, "x")],
        );
        assert_eq!(
            session_description(&headers, body.as_bytes()),
            Ok(Some(&b"two"[..]))
        );
    }

    #[test]
    fn a_description_is_found_within_nested_multiparts() {
        let (_, inner) = multipart("alternative", "inner", &[(OTHER, "x"), (SDP, "found")]);
        let fields = "Content-Type: multipart/alternative;boundary=inner\r\n";
        let (headers, body) = multipart("mixed", "outer", &[(fields, &inner)]);
        assert_eq!(
            session_description(&headers, body.as_bytes()),
            Ok(Some(&b"found"[..]))
        );
    }

    #[test]
    fn nesting_has_an_end() {
        let (mut headers, mut body) = multipart("mixed", "b0", &[(SDP, "deep")]);
        for level in 1..=MAX_DEPTH {
            let content_type = headers.text(&HeaderName::ContentType).unwrap();
            let fields = format!("Content-Type: {content_type}\r\n");
            (headers, body) = multipart("mixed", &format!("b{level}"), &[(&fields, &body)]);
        }
        assert_eq!(
            session_description(&headers, body.as_bytes()),
            Err(BodyFault::Malformed)
        );
    }

    #[test]
    fn an_encoded_description_is_not_read() {
        let gzip = fields(&[
            ("Content-Type", "application/sdp"),
            ("Content-Encoding", "gzip"),
        ]);
        assert_eq!(session_description(&gzip, b"x"), Err(BodyFault::Encoding));
        let identity = fields(&[("Content-Type", "application/sdp"), ("e", "Identity")]);
        assert_eq!(session_description(&identity, b"x"), Ok(Some(&b"x"[..])));
    }

    #[test]
    fn a_description_of_something_else_is_no_offer() {
        for (handling, expected) in [("required", Err(BodyFault::Type)), ("optional", Ok(None))] {
            let disposition = format!("early-session;handling={handling}");
            let headers = fields(&[
                ("Content-Type", "application/sdp"),
                ("Content-Disposition", &disposition),
            ]);
            assert_eq!(session_description(&headers, b"x"), expected);
        }
    }
}
