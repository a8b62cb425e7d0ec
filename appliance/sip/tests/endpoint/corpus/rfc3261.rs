//! RFC 3261, rule by rule: a request that keeps it or breaks it, and the answer that the text asks for.

use bytes::Bytes;

use super::{ALLOW, BAD_REQUEST, Case, Treatment, description, wire};

const ACCEPT: &[(&str, &str)] = &[("Accept", "application/sdp")];

pub(crate) fn cases() -> Vec<Case> {
    [
        form(),
        identity(),
        methods(),
        bodies(),
        framing(),
        silence(),
    ]
    .concat()
}

/// A request from parts: its first line, fields that replace or follow the usual ones, its body.
struct Draft {
    line: String,
    fields: Vec<(&'static str, String)>,
    body: String,
}

impl Draft {
    fn new(method: &'static str) -> Self {
        let field = |name, value: &str| (name, value.to_owned());
        Self {
            line: format!("{method} sip:bob@192.0.2.2 SIP/2.0"),
            fields: vec![
                field("Via", "SIP/2.0/UDP 192.0.2.3;branch=z9hG4bKcorpus"),
                field("Max-Forwards", "70"),
                field("From", "<sip:carol@192.0.2.3>;tag=carol"),
                field("To", "<sip:bob@192.0.2.2>"),
                field("Call-ID", "corpus@192.0.2.3"),
                field("CSeq", &format!("1 {method}")),
                field("Contact", "<sip:carol@192.0.2.3>"),
            ],
            body: String::new(),
        }
    }

    fn invite() -> Self {
        Self::new("INVITE").with_body("application/sdp", &description("192.0.2.3"))
    }

    fn line(mut self, line: &str) -> Self {
        line.clone_into(&mut self.line);
        self
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.fields.push((name, value.to_owned()));
        self
    }

    fn replacing(mut self, name: &'static str, value: &str) -> Self {
        let place = self.fields.iter_mut().find(|(present, _)| *present == name);
        value.clone_into(&mut place.expect("the field is there").1);
        self
    }

    fn without(mut self, name: &'static str) -> Self {
        self.fields.retain(|(present, _)| *present != name);
        self
    }

    fn with_body(mut self, content_type: &str, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self.with("Content-Type", content_type)
    }

    fn without_length(&self) -> Bytes {
        self.print("")
    }

    fn with_length(&self, length: &str) -> Bytes {
        self.print(&format!("Content-Length: {length}\n"))
    }

    fn whole(&self) -> Bytes {
        self.with_length(&wire(&self.body).len().to_string())
    }

    fn print(&self, length: &str) -> Bytes {
        let fields: String = self
            .fields
            .iter()
            .map(|(name, value)| format!("{name}: {value}\n"))
            .collect();
        wire(&format!("{}\n{fields}{length}\n{}", self.line, self.body))
    }
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
