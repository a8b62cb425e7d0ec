//! RFC 3261, rule by rule: a request that keeps it or breaks it, and the answer that the text asks for.

use bytes::Bytes;

use super::draft::Draft;
use super::{ALLOW, BAD_REQUEST, Case, Treatment, description, wire};

pub(crate) fn cases() -> Vec<Case> {
    [form(), identity(), methods(), silence()].concat()
}

/// Sections 7.3 and 20: folding, compact forms, several values in one field or in many.
fn form() -> Vec<Case> {
    let compact = wire(&format!(
        "INVITE sip:bob@192.0.2.2 SIP/2.0\n\
         v: SIP/2.0/UDP 192.0.2.3;branch=z9hG4bKcompact\n\
         f: <sip:carol@192.0.2.3>;tag=carol\n\
         t: <sip:bob@192.0.2.2>\n\
         i: compact\n\
         CSeq: 1 INVITE\n\
         m: <sip:carol@192.0.2.3>\n\
         s: compact forms\n\
         k: path\n\
         e: identity\n\
         c: application/sdp\n\
         l: {}\n\
         \n\
         {}",
        wire(&description("192.0.2.3")).len(),
        description("192.0.2.3")
    ));
    let folded = Draft::invite()
        .replacing(
            "From",
            "\"Carol\"\n\t<sip:carol@192.0.2.3>\n ;tag\n =\n carol",
        )
        .replacing("CSeq", "1\n INVITE");
    let many_vias = Draft::new("OPTIONS")
        .with("Via", "SIP/2.0/TCP 192.0.2.8:5070;branch=z9hG4bK2, SIP/2.0/TLS p3.example.com;branch=z9hG4bK3")
        .with("v", "SIP/2.0/WSS p4.example.com;branch=z9hG4bK4");
    let recorded = Draft::invite()
        .with(
            "Record-Route",
            "<sip:p1.example.com;lr>, <sip:[2001:db8::2]:5070;lr>",
        )
        .with("Record-Route", "<sip:p3.example.com;lr>")
        .with("Route", "<sip:192.0.2.2;lr>,<sip:192.0.2.2:5060;lr>");
    vec![
        Case::new("7.3.3 compact forms", compact, Treatment::Rings),
        Case::new("7.3.1 folded fields", folded.whole(), Treatment::Rings),
        Case::new(
            "7.3.1 Via in one field and in many",
            many_vias.whole(),
            Treatment::Answered(200, ALLOW),
        ),
        Case::new(
            "7.3.1 Record-Route and Route in one field and in many",
            recorded.whole(),
            Treatment::Rings,
        ),
        Case::new(
            "7.3.1 a bad Record-Route",
            Draft::invite()
                .with("Record-Route", "<sip:p1.example.com;lr>, p2")
                .whole(),
            BAD_REQUEST,
        ),
        Case::new(
            "7.3.1 a line that is no field",
            Draft::new("OPTIONS")
                .replacing("Contact", "<sip:a@192.0.2.3>\nFoobar roobar")
                .whole(),
            BAD_REQUEST,
        )
        .but_in_stream(Treatment::AnsweredAndClosed(400)),
        Case::new(
            "7.3.1 a bare line end within a field",
            Bytes::from(
                String::from_utf8(Draft::new("OPTIONS").whole().to_vec())
                    .expect("text")
                    .replace("Contact: ", "Subject: one\ntwo\r\nContact: "),
            ),
            BAD_REQUEST,
        )
        .but_in_stream(Treatment::AnsweredAndClosed(400)),
        Case::new(
            "7.3.1 unknown fields",
            Draft::invite().with("X-Unknown", ";;,,\"").whole(),
            Treatment::Rings,
        ),
        Case::new(
            "20.17 a malformed Date",
            Draft::invite().with("Date", "yesterday").whole(),
            BAD_REQUEST,
        ),
        Case::new(
            "20.19 a malformed Expires",
            Draft::invite().with("Expires", "soon").whole(),
            BAD_REQUEST,
        ),
        Case::new(
            "20.19 Expires",
            Draft::invite().with("Expires", "60").whole(),
            Treatment::Rings,
        ),
        Case::new(
            "20.38 a strange Timestamp",
            Draft::invite().with("Timestamp", "x").whole(),
            Treatment::Rings,
        ),
    ]
}

/// Section 8.1.1: the fields that every request has.
fn identity() -> Vec<Case> {
    let options = || Draft::new("OPTIONS");
    vec![
        Case::new(
            "8.1.1 complete",
            options().whole(),
            Treatment::Answered(200, ALLOW),
        ),
        Case::new(
            "8.1.1 without To",
            options().without("To").whole(),
            BAD_REQUEST,
        ),
        Case::new(
            "8.1.1 without From",
            options().without("From").whole(),
            BAD_REQUEST,
        ),
        Case::new(
            "8.1.1 without Call-ID",
            options().without("Call-ID").whole(),
            BAD_REQUEST,
        ),
        Case::new(
            "8.1.1 without CSeq",
            options().without("CSeq").whole(),
            BAD_REQUEST,
        ),
        Case::new(
            "8.1.1 without Via",
            options().without("Via").whole(),
            Treatment::Dropped,
        ),
        // As requests of RFC 2543 are.
        Case::new(
            "8.1.1 without Max-Forwards",
            options().without("Max-Forwards").whole(),
            Treatment::Answered(200, ALLOW),
        ),
        Case::new(
            "8.1.1.8 INVITE without Contact",
            Draft::invite().without("Contact").whole(),
            BAD_REQUEST,
        ),
        Case::new(
            "8.1.1.5 CSeq of 2^31",
            options().replacing("CSeq", "2147483648 OPTIONS").whole(),
            BAD_REQUEST,
        ),
        Case::new(
            "8.1.1.5 the method in other letters",
            options().replacing("CSeq", "1 options").whole(),
            BAD_REQUEST,
        ),
        Case::new(
            "16.3 INVITE without a hop left",
            Draft::invite().replacing("Max-Forwards", "0").whole(),
            Treatment::Rings,
        ),
        Case::new(
            "20.22 Max-Forwards of 256",
            options().replacing("Max-Forwards", "256").whole(),
            BAD_REQUEST,
        ),
        Case::new(
            "7.1 another version",
            options().line("OPTIONS sip:bob@192.0.2.2 SIP/3.0").whole(),
            Treatment::Answered(505, &[]),
        ),
        Case::new(
            "7.1 a tab behind the method",
            options()
                .line("OPTIONS\t sip:bob@192.0.2.2 SIP/2.0")
                .whole(),
            BAD_REQUEST,
        ),
        Case::new(
            "21.4.12 a Request-URI beyond all need",
            options()
                .line(&format!(
                    "OPTIONS sip:{}@192.0.2.2 SIP/2.0",
                    "b".repeat(9_000)
                ))
                .whole(),
            Treatment::Answered(414, &[]),
        ),
        Case::new(
            "8.2.2.1 a telephone number",
            Draft::invite()
                .line("INVITE tel:+13035551111 SIP/2.0")
                .whole(),
            Treatment::Answered(416, &[]),
        ),
        Case::new(
            "8.2.2.1 a Request-URI with headers",
            options()
                .line("OPTIONS sip:bob@192.0.2.2?Subject=x SIP/2.0")
                .whole(),
            BAD_REQUEST,
        ),
        Case::new(
            "21.5.7 a head beyond all need",
            options().with("Subject", &"x".repeat(70_000)).whole(),
            Treatment::Answered(513, &[]),
        )
        .but_in_stream(Treatment::AnsweredAndClosed(513)),
        Case::new(
            "21.5.7 more fields than are read",
            (0..512)
                .fold(options(), |draft, _| draft.with("X", "y"))
                .whole(),
            Treatment::Answered(513, &[]),
        )
        .but_in_stream(Treatment::AnsweredAndClosed(513)),
    ]
}

/// Section 8.2.1 and 8.2.2.3: methods and extensions.
fn methods() -> Vec<Case> {
    let not_allowed = Treatment::Answered(405, ALLOW);
    let unknown = Treatment::Answered(501, ALLOW);
    let unknown_call = Treatment::Answered(481, &[]);
    let in_dialog = |method| Draft::new(method).replacing("To", "<sip:bob@192.0.2.2>;tag=gone");
    let extension = |tags: &'static str| {
        Treatment::Answered(
            420,
            match tags {
                "one" => &[("Unsupported", "one")],
                _ => &[("Unsupported", "one, two, three")],
            },
        )
    };
    vec![
        Case::new(
            "8.2.1 REGISTER",
            Draft::new("REGISTER").whole(),
            not_allowed,
        ),
        Case::new(
            "8.2.1 SUBSCRIBE",
            Draft::new("SUBSCRIBE").whole(),
            not_allowed,
        ),
        Case::new("8.2.1 PUBLISH", Draft::new("PUBLISH").whole(), not_allowed),
        Case::new(
            "21.5.2 an unknown method",
            Draft::new("FROBNICATE").whole(),
            unknown,
        ),
        Case::new(
            "7.1 methods are case-sensitive",
            Draft::new("options").whole(),
            unknown,
        ),
        Case::new(
            "12.2.2 BYE of an unknown dialog",
            in_dialog("BYE").whole(),
            unknown_call,
        ),
        Case::new(
            "12.2.2 INVITE of an unknown dialog",
            in_dialog("INVITE").whole(),
            unknown_call,
        ),
        Case::new(
            "12.2.2 NOTIFY of an unknown dialog",
            in_dialog("NOTIFY").whole(),
            unknown_call,
        ),
        Case::new(
            "15.1.2 BYE without a dialog",
            Draft::new("BYE").whole(),
            unknown_call,
        ),
        Case::new(
            "9.2 CANCEL of nothing",
            Draft::new("CANCEL").whole(),
            unknown_call,
        ),
        Case::new(
            "8.2.2.3 Require",
            Draft::invite().with("Require", "one").whole(),
            extension("one"),
        ),
        Case::new(
            "8.2.2.3 Require in many fields",
            Draft::new("OPTIONS")
                .with("Require", "one,two")
                .with("Require", "three")
                .whole(),
            extension("all"),
        ),
        Case::new(
            "8.2.2.3 a malformed Require",
            Draft::new("OPTIONS").with("Require", "one two").whole(),
            BAD_REQUEST,
        ),
        // Not for user agents.
        Case::new(
            "8.2.2.3 Proxy-Require",
            Draft::invite().with("Proxy-Require", "one").whole(),
            Treatment::Rings,
        ),
        // CANCEL asks for nothing of its own.
        Case::new(
            "8.2.2.3 CANCEL with Require",
            Draft::new("CANCEL").with("Require", "one").whole(),
            unknown_call,
        ),
    ]
}

/// What is never answered.
fn silence() -> Vec<Case> {
    let response = |status: &str| {
        Draft::new("INVITE")
            .without("Max-Forwards")
            .line(&format!("SIP/2.0 {status}"))
            .whole()
    };
    vec![
        Case::new(
            "17.1.1.3 ACK of nothing",
            Draft::new("ACK").whole(),
            Treatment::Dropped,
        ),
        Case::new(
            "17.1.1.3 a malformed ACK",
            Draft::new("ACK").without("From").whole(),
            Treatment::Dropped,
        ),
        Case::new(
            "17.1.1.3 ACK with a bad line",
            Draft::new("ACK")
                .line("ACK <sip:bob@192.0.2.2> SIP/2.0")
                .whole(),
            Treatment::Dropped,
        ),
        Case::new(
            "18.1.2 a response to nothing",
            response("200 OK"),
            Treatment::Dropped,
        ),
        Case::new(
            "18.1.2 a refusal of nothing",
            response("486 Busy Here"),
            Treatment::Dropped,
        ),
        Case::new(
            "18.1.2 a malformed response",
            response("20 Short"),
            Treatment::Dropped,
        ),
        Case::new(
            "7.2 a response of another version",
            Draft::new("INVITE").line("SIP/3.0 200 OK").whole(),
            Treatment::Dropped,
        ),
        Case::new(
            "7.1 no SIP at all",
            Bytes::from_static(b"GET / HTTP/1.1\r\nHost: room\r\n\r\n"),
            Treatment::Dropped,
        )
        .but_in_stream(Treatment::Closed),
        Case::new(
            "18.3 noise",
            Bytes::from_static(b"\x80\x00\x01\x02\xff\xfe\r\n\r\n"),
            Treatment::Dropped,
        )
        .but_in_stream(Treatment::Closed),
        Case::new(
            "RFC 5626 4.4.1 line ends",
            Bytes::from_static(b"\r\n"),
            Treatment::Dropped,
        ),
    ]
}
