//! Requests for a whole picture by SIP INFO (RFC 5168), as systems send and take them that do not
//! know RTCP feedback.
//!
//! Only the one command of that RFC is understood; every other body of its type is none. The body is
//! read as the small part of XML that such messages are made of: elements, text and comments. A
//! document type, and with it every entity of one's own, is refused.

use bytes::Bytes;
use sip::grammar::ContentType;

/// The content type of such a body.
const MEDIA_CONTROL: &str = "application/media_control+xml";
/// The largest body that is read, in bytes; the RFC's own is of 200.
const MAX_BODY: usize = 4_096;
/// Where the command stands.
const PICTURE_FAST_UPDATE: [&str; 4] = [
    "media_control",
    "vc_primitive",
    "to_encoder",
    "picture_fast_update",
];
/// The deepest nesting that is followed.
const MAX_DEPTH: usize = 8;

/// The body of an INFO request for a whole picture.
const PICTURE_REQUEST: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n\
    <media_control><vc_primitive><to_encoder><picture_fast_update/></to_encoder></vc_primitive>\
    </media_control>\r\n";

/// Content type and body of an INFO request for a whole picture of the peer, for one that takes no
/// RTCP feedback.
#[must_use]
pub fn picture_request() -> (ContentType, Bytes) {
    let content_type = MEDIA_CONTROL.parse().expect("the type is well-formed");
    (content_type, Bytes::from_static(PICTURE_REQUEST.as_bytes()))
}

/// Whether the body of an INFO request asks our encoder for a whole picture.
#[must_use]
pub fn is_picture_request(content_type: &str, body: &[u8]) -> bool {
    content_type.eq_ignore_ascii_case(MEDIA_CONTROL)
        && body.len() <= MAX_BODY
        && std::str::from_utf8(body).is_ok_and(|text| asks_for_picture(text).unwrap_or(false))
}

/// Walks the elements of a document; `None` when it is not well-formed.
fn asks_for_picture(text: &str) -> Option<bool> {
    let mut open: Vec<&str> = Vec::new();
    let mut roots = 0;
    let mut asked = false;
    let mut rest = text.trim_start_matches('\u{feff}');
    while let Some(start) = rest.find('<') {
        let (before, markup) = rest.split_at(start);
        if open.is_empty() && !before.trim().is_empty() {
            return None;
        }
        let (tag, after) = next_tag(markup)?;
        rest = after;
        match tag {
            Tag::Ignored => {}
            Tag::End(name) => {
                if open.pop()? != name {
                    return None;
                }
            }
            Tag::Start(name) | Tag::Empty(name) => {
                if open.len() == MAX_DEPTH {
                    return None;
                }
                roots += usize::from(open.is_empty());
                open.push(name);
                asked |= open == PICTURE_FAST_UPDATE;
                if let Tag::Empty(_) = tag {
                    open.pop();
                }
            }
        }
    }
    (open.is_empty() && roots == 1 && rest.trim().is_empty()).then_some(asked)
}

/// One piece of markup.
#[derive(Clone, Copy)]
enum Tag<'a> {
    Start(&'a str),
    Empty(&'a str),
    End(&'a str),
    /// A comment, or the declaration.
    Ignored,
}

/// The markup that a text begins with, and what follows it.
fn next_tag(text: &str) -> Option<(Tag<'_>, &str)> {
    if let Some(comment) = text.strip_prefix("<!--") {
        return Some((Tag::Ignored, comment.split_once("-->")?.1));
    }
    if let Some(declaration) = text.strip_prefix("<?") {
        return Some((Tag::Ignored, declaration.split_once("?>")?.1));
    }
    let (inner, after) = text.strip_prefix('<')?.split_once('>')?;
    let tag = if let Some(name) = inner.strip_prefix('/') {
        Tag::End(element_name(name)?)
    } else if let Some(element) = inner.strip_suffix('/') {
        Tag::Empty(element_name(element)?)
    } else {
        Tag::Start(element_name(inner)?)
    };
    Some((tag, after))
}

/// The name before the attributes. That of a document type or of CDATA begins with `!`, which no
/// name has.
fn element_name(inner: &str) -> Option<&str> {
    let name = inner.split_ascii_whitespace().next()?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    (inner.starts_with(name) && name.bytes().all(is_name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asks(body: &str) -> bool {
        is_picture_request(MEDIA_CONTROL, body.as_bytes())
    }

    #[test]
    fn the_command_is_understood_however_it_is_laid_out() {
        for body in [
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<media_control>\r\n <vc_primitive>\r\n  \
             <to_encoder>\r\n   <picture_fast_update>\r\n   </picture_fast_update>\r\n  \
             </to_encoder>\r\n </vc_primitive>\r\n</media_control>\r\n",
            "<media_control><vc_primitive><to_encoder><picture_fast_update/></to_encoder>\
             </vc_primitive></media_control>",
            "<media_control a=\"b\"><vc_primitive><stream_id>1</stream_id><!-- now --><to_encoder>\
             <picture_fast_update /></to_encoder ></vc_primitive></media_control>",
        ] {
            assert!(asks(body), "{body}");
        }
    }

    #[test]
    fn what_we_send_is_understood_by_ourselves() {
        let (content_type, body) = picture_request();
        assert!(is_picture_request(&content_type.to_string(), &body));
    }

    #[test]
    fn other_bodies_of_the_type_ask_for_nothing() {
        let deep = "<media_control>".repeat(50);
        let long = format!("{}<media_control/>", " ".repeat(MAX_BODY));
        for body in [
            "",
            "picture_fast_update",
            "<picture_fast_update/>",
            "<media_control><general_error>no</general_error></media_control>",
            "<media_control><vc_primitive><to_encoder><picture_fast_update/>",
            "<media_control><vc_primitive><to_encoder><picture_fast_update/></vc_primitive>\
             </to_encoder></media_control>",
            "<!DOCTYPE a [<!ENTITY b \"c\">]><media_control><vc_primitive><to_encoder>\
             <picture_fast_update/></to_encoder></vc_primitive></media_control>",
            "<media_control><vc_primitive><to_encoder><picture_fast_update/></to_encoder>\
             </vc_primitive></media_control>and more",
            &deep,
            &long,
        ] {
            assert!(!asks(body), "{body}");
        }
    }

    #[test]
    fn only_its_own_type_is_read() {
        let body = b"<media_control><vc_primitive><to_encoder><picture_fast_update/></to_encoder>\
            </vc_primitive></media_control>";
        assert!(is_picture_request("Application/Media_Control+XML", body));
        assert!(!is_picture_request("application/xml", body));
    }

    proptest! {
        #[test]
        fn any_body_is_taken_without_harm(body in "[<>/!?a-z \\-]{0,64}|.{0,64}") {
            let _ = asks(&body);
        }
    }
}
