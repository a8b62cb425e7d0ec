//! RFC 3261 on bodies: their types, where they end, and what a caller accepts for an answer; RFC 5621 on multiparts.

use bytes::Bytes;

use super::draft::Draft;
use super::{ALLOW, BAD_REQUEST, Case, Treatment, description};

const ACCEPT: &[(&str, &str)] = &[("Accept", "application/sdp")];

pub(crate) fn cases() -> Vec<Case> {
    [bodies(), framing()].concat()
}

/// Section 8.2.3 and 20.1: bodies.
fn bodies() -> Vec<Case> {
    let unsupported = Treatment::Answered(415, ACCEPT);
    let encoding = Treatment::Answered(415, &[("Accept-Encoding", "identity")]);
    let sdp = description("192.0.2.3");
    let mixed = |parts: &[(&str, &str)]| multipart("mixed", parts);
    let other = ("Content-Type: application/x-other\n", "what?\n");
    let optional = (
        "Content-Type: application/x-other\nContent-Disposition: signal;handling=optional\n",
        "what?\n",
    );
    let described = ("Content-Type: application/sdp\n", sdp.as_str());
    vec![
        Case::new(
            "13.2.1 INVITE without an offer",
            Draft::new("INVITE").whole(),
            Treatment::Rings,
        ),
        Case::new(
            "8.2.3 an unknown type",
            Draft::new("INVITE")
                .with_body("text/plain", "hello\n")
                .whole(),
            unsupported,
        ),
        Case::new(
            "20.11 an unknown type that is optional",
            Draft::new("INVITE")
                .with_body("text/plain", "hello\n")
                .with("Content-Disposition", "render;handling=optional")
                .whole(),
            Treatment::Rings,
        ),
        Case::new(
            "20.15 a body without a type",
            {
                let mut draft = Draft::new("INVITE");
                draft.body.clone_from(&sdp);
                draft.whole()
            },
            BAD_REQUEST,
        ),
        Case::new(
            "20.15 a malformed type",
            Draft::new("INVITE").with_body("application", &sdp).whole(),
            BAD_REQUEST,
        ),
        Case::new(
            "8.2.3 an unknown encoding",
            Draft::invite().with("Content-Encoding", "gzip").whole(),
            encoding,
        ),
        Case::new(
            "20.12 the identity",
            Draft::invite().with("Content-Encoding", "identity").whole(),
            Treatment::Rings,
        ),
        Case::new(
            "20.13 a language",
            Draft::invite().with("Content-Language", "tlh").whole(),
            Treatment::Rings,
        ),
        Case::new(
            "20.1 Accept of another type",
            Draft::invite().with("Accept", "text/html").whole(),
            Treatment::Answered(406, &[]),
        ),
        Case::new(
            "20.1 Accept of nothing",
            Draft::invite().with("Accept", "").whole(),
            Treatment::Answered(406, &[]),
        ),
        Case::new(
            "20.1 Accept of everything",
            Draft::invite()
                .with("Accept", "text/html, */*;q=0.1")
                .whole(),
            Treatment::Rings,
        ),
        Case::new(
            "20.1 Accept of a media range",
            Draft::invite()
                .with("Accept", "text/html")
                .with("Accept", "application/*")
                .whole(),
            Treatment::Rings,
        ),
        Case::new(
            "20.1 Accept that excludes by q",
            Draft::invite()
                .with("Accept", "application/sdp;q=0")
                .whole(),
            Treatment::Answered(406, &[]),
        ),
        Case::new(
            "21.4.26 nothing in common",
            Draft::new("INVITE")
                .with_body(
                    "application/sdp",
                    &sdp.replace("RTP/AVP 0 12", "RTP/AVP 12"),
                )
                .whole(),
            Treatment::Answered(488, &[]),
        ),
        Case::new(
            "21.4.29 an encrypted body",
            Draft::new("INVITE")
                .with_body(
                    "application/pkcs7-mime;smime-type=enveloped-data;name=smime.p7m",
                    "secret\n",
                )
                .whole(),
            Treatment::Answered(493, &[]),
        ),
        Case::new(
            "RFC 5621 a description in multipart/mixed",
            mixed(&[described, optional]),
            Treatment::Rings,
        ),
        Case::new(
            "RFC 5621 a description behind others",
            mixed(&[optional, optional, described]),
            Treatment::Rings,
        ),
        Case::new(
            "RFC 5621 a required part that is unknown",
            mixed(&[described, other]),
            unsupported,
        ),
        Case::new(
            "RFC 5621 the best understood alternative",
            multipart("alternative", &[described, other]),
            Treatment::Rings,
        ),
        Case::new(
            "RFC 5621 no understood alternative",
            multipart("alternative", &[other, other]),
            unsupported,
        ),
        Case::new(
            "RFC 5621 an unknown multipart is mixed",
            multipart("x-new", &[described, optional]),
            Treatment::Rings,
        ),
        Case::new(
            "RFC 5621 a multipart without a boundary",
            Draft::new("INVITE")
                .with_body("multipart/mixed", &sdp)
                .whole(),
            BAD_REQUEST,
        ),
        Case::new(
            "RFC 5621 a multipart without parts",
            Draft::new("INVITE")
                .with_body("multipart/mixed;boundary=b", &sdp)
                .whole(),
            BAD_REQUEST,
        ),
        Case::new(
            "RFC 3959 a description of an early session only",
            Draft::invite()
                .with("Content-Disposition", "early-session;handling=optional")
                .whole(),
            Treatment::Rings,
        ),
    ]
}

/// An INVITE with parts, each from its own header fields and its content.
fn multipart(subtype: &str, parts: &[(&str, &str)]) -> Bytes {
    let mut body = "This is the preamble.\n".to_owned();
    for (fields, content) in parts {
        body += &format!("--simple boundary\n{fields}\n{content}\n");
    }
    body += "--simple boundary--\nThis is the epilogue.\n";
    Draft::new("INVITE")
        .with_body(
            &format!("multipart/{subtype};boundary=\"simple boundary\""),
            &body,
        )
        .whole()
}

/// Section 18.3: where a message ends.
fn framing() -> Vec<Case> {
    let closed = Treatment::AnsweredAndClosed(400);
    let ok = Treatment::Answered(200, ALLOW);
    let twice = [
        Draft::new("OPTIONS").whole(),
        Draft::invite()
            .replacing("Via", "SIP/2.0/UDP 192.0.2.3;branch=z9hG4bK2")
            .replacing("Call-ID", "second")
            .whole(),
    ]
    .concat();
    let keep_alive = [&b"\r\n\r\n"[..], &Draft::new("OPTIONS").whole()].concat();
    vec![
        Case::new("18.3 a body without a length", Draft::invite().without_length(), Treatment::Rings).but_in_stream(closed),
        Case::new("18.3 a length beyond the datagram", Draft::invite().with_length("1000"), BAD_REQUEST).but_in_stream(Treatment::ClosedInTime),
        Case::new("18.3 a shorter length", [&Draft::invite().whole()[..], b"garbage"].concat().into(), Treatment::Rings),
        Case::new("18.3 no number for a length", Draft::new("OPTIONS").with_length("many"), BAD_REQUEST).but_in_stream(closed),
        Case::new("18.3 a length of 2^64", Draft::new("OPTIONS").with_length("18446744073709551616"), BAD_REQUEST).but_in_stream(closed),
        Case::new("18.3 two requests", twice.into(), ok).but_in_stream(Treatment::AnsweredThenRings(200)),
        Case::new("7.5 line ends before the request", keep_alive.into(), ok),
        Case::new("21.4.11 a body beyond all need", Draft::new("OPTIONS").with_length("9999999"), BAD_REQUEST).but_in_stream(Treatment::AnsweredAndClosed(413)),
        Case::new("18.3 a head without an end", Bytes::from_static(b"OPTIONS sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.3;branch=z9hG4bKx\r\n"), BAD_REQUEST).but_in_stream(Treatment::ClosedInTime),
    ]
}
