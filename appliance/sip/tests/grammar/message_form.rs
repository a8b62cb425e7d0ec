//! Framing of datagrams, order and spelling of fields, messages of our own making.

use bytes::Bytes;
use sip::error::MessageFault;
use sip::grammar::{
    CSeq, CallId, ContentLength, ContentType, HeaderName, MAX_FIELDS, MAX_HEAD_BYTES, MaxForwards,
    Message, Method, NameAddr, Request, Response, StatusCode, Via, ViaTransport,
};

use crate::{options_with, parse, request, response, wire};

#[test]
fn a_body_without_content_length_ends_with_the_datagram() {
    let message = request("INFO sip:a@example.com SIP/2.0\nCSeq: 1 INFO\n\nSignal=5\n");
    assert_eq!(&message.body()[..], b"Signal=5\r\n");
}

#[test]
fn a_shorter_content_length_cuts_the_body() {
    let message = request("INFO sip:a@example.com SIP/2.0\nl: 3\n\nabcdef");
    assert_eq!(&message.body()[..], b"abc");
}

#[test]
fn a_longer_content_length_is_refused_with_400() {
    let error = parse("INFO sip:a@example.com SIP/2.0\nl: 7\n\nabcdef").unwrap_err();
    assert_eq!(
        error.fault,
        MessageFault::TruncatedBody {
            declared: 7,
            present: 6
        }
    );
    assert_eq!(error.fault.status(), StatusCode::BAD_REQUEST);
}

#[test]
fn line_ends_before_the_start_line_are_skipped() {
    assert_eq!(
        *request("\n\n\nOPTIONS sip:a@example.com SIP/2.0\n\n").method(),
        Method::Options
    );
}

#[test]
fn datagrams_without_a_message_are_refused() {
    for (text, fault) in [
        ("", MessageFault::Empty),
        ("\n\n", MessageFault::Empty),
        (
            "OPTIONS sip:a@example.com SIP/2.0\n",
            MessageFault::UnfinishedHead,
        ),
        (
            "OPTIONS sip:a@example.com SIP/2.0\nVia: x\n",
            MessageFault::UnfinishedHead,
        ),
    ] {
        assert_eq!(parse(text).unwrap_err().fault, fault, "{text:?}");
    }
}

#[test]
fn bare_line_ends_in_the_head_are_refused() {
    for head in [
        "OPTIONS sip:a@b.example SIP/2.0\nVia: x\r\n\r\n",
        "OPTIONS sip:a@b.example SIP/2.0\r\nA: x\rB: y\r\n\r\n",
    ] {
        let fault = Message::parse_datagram(Bytes::from(head))
            .unwrap_err()
            .fault;
        assert!(matches!(fault, MessageFault::BareLineEnd { .. }), "{fault}");
    }
}

#[test]
fn heads_are_bounded() {
    let long = format!(
        "OPTIONS sip:a@b.example SIP/2.0\nSubject: {}\n\n",
        "x".repeat(MAX_HEAD_BYTES)
    );
    let fault = parse(&long).unwrap_err().fault;
    assert_eq!(
        (&fault, fault.status()),
        (&MessageFault::HeadTooLong, StatusCode::MESSAGE_TOO_LARGE)
    );
    let head = |fields: usize| {
        format!(
            "OPTIONS sip:a@b.example SIP/2.0\n{}\n",
            "a:b\n".repeat(fields)
        )
    };
    assert_eq!(request(&head(MAX_FIELDS)).headers.len(), MAX_FIELDS);
    assert_eq!(
        parse(&head(MAX_FIELDS + 1)).unwrap_err().fault,
        MessageFault::TooManyFields
    );
}

#[test]
fn order_spelling_and_folding_survive() {
    let text = "NOTIFY sip:a@b.example SIP/2.0\nv:SIP/2.0/UDP h.example\nX-Odd  :\t a\n  b\nFROM: <sip:x@y.example>\nv: SIP/2.0/UDP i.example \n\nbody";
    let message = request(text);
    assert_eq!(message.to_bytes(), wire(text));
    let names: Vec<_> = message
        .headers
        .iter()
        .map(|(name, _)| name.to_string())
        .collect();
    assert_eq!(names, ["Via", "X-Odd", "From", "Via"]);
    let odd = HeaderName::new("x-odd").unwrap();
    assert_eq!(message.headers.get(&odd), Some(&b"a\r\n  b"[..]));
    assert_eq!(message.headers.text(&odd).as_deref(), Some("a b"));
}

#[test]
fn methods_compare_with_case_and_without_prefixes() {
    for spelling in ["invite", "INVITEX", "INVIT", "Invite"] {
        let message = request(&format!("{spelling} sip:a@b.example SIP/2.0\n\n"));
        assert_ne!(*message.method(), Method::Invite);
        assert_eq!(message.method().as_str(), spelling);
    }
}

#[test]
fn changing_one_header_leaves_the_others_alone() {
    let mut message =
        request("NOTIFY sip:a@b.example SIP/2.0\nx-a:1\nMAX-forwards:  70\nx-b:2\n\n");
    message.headers.set_typed(&MaxForwards(69));
    assert_eq!(
        message.to_bytes(),
        wire("NOTIFY sip:a@b.example SIP/2.0\nx-a:1\nMax-Forwards: 69\nx-b:2\n\n")
    );
}

#[test]
fn a_response_copies_what_identifies_the_request() {
    let text = "OPTIONS sip:room@example.com SIP/2.0\n\
        v: SIP/2.0/UDP a.example;branch=z9hG4bK1 ,\n  SIP/2.0/TCP b.example\n\
        X: y\n\
        f: \"A \\\"B\\\"\"   <sip:a@example.com>;tag=1\n\
        Via: SIP/2.0/TLS c.example\n\
        t:sip:room@example.com\n\
        i: 1@192.0.2.1\n\
        CSeq: 1 OPTIONS\n\n";
    let mut answer = Response::to(&request(text), StatusCode::NOT_FOUND);
    answer.headers.add_to_tag("t-1").unwrap();
    assert_eq!(
        answer.to_bytes(),
        wire(
            "SIP/2.0 404 Not Found\n\
             v: SIP/2.0/UDP a.example;branch=z9hG4bK1 ,\n  SIP/2.0/TCP b.example\n\
             Via: SIP/2.0/TLS c.example\n\
             f: \"A \\\"B\\\"\"   <sip:a@example.com>;tag=1\n\
             To: sip:room@example.com;tag=t-1\n\
             i: 1@192.0.2.1\n\
             CSeq: 1 OPTIONS\n\
             Content-Length: 0\n\n"
        )
    );
}

#[test]
fn a_to_tag_is_added_once() {
    let mut answer = Response::to(&options_with(""), StatusCode::OK);
    answer.headers.add_to_tag("one").unwrap();
    answer.headers.add_to_tag("two").unwrap();
    assert_eq!(answer.headers.to().unwrap().tag(), Some("one"));
    assert!(answer.headers.add_to_tag("a b").is_err());
}

#[test]
fn a_request_of_our_own_is_read_back() {
    let mut invite = Request::new(Method::Invite, "sip:far@example.net".parse().unwrap());
    let via = Via::new(
        ViaTransport::Tls,
        "192.0.2.1".parse().unwrap(),
        Some(5061),
        "z9hG4bKabc",
    )
    .unwrap();
    invite.headers.push_typed(&via.with_rport());
    let from = NameAddr::new("sip:near@example.com".parse().unwrap());
    invite.headers.push_value(
        HeaderName::From,
        &from
            .with_display_name("\u{4f1a}\u{8bae}\u{5ba4} \"1\"")
            .unwrap()
            .with_tag("77")
            .unwrap(),
    );
    invite.headers.push_value(
        HeaderName::To,
        &NameAddr::new("sip:far@example.net".parse().unwrap()),
    );
    invite
        .headers
        .push_typed(&CallId::new("abc@192.0.2.1").unwrap());
    invite.headers.push_typed(&CSeq {
        number: 1,
        method: Method::Invite,
    });
    invite
        .headers
        .push(HeaderName::UserAgent, "roomd/0.1")
        .unwrap();
    invite.set_body(&ContentType::sdp(), Bytes::from_static(b"v=0\r\n"));

    let bytes = invite.to_bytes();
    let Ok(Message::Request(read)) = Message::parse_datagram(bytes.clone()) else {
        panic!("our own request is not understood: {bytes:?}");
    };
    read.check().unwrap();
    assert_eq!(
        read.headers.from().unwrap().display_name(),
        Some("\u{4f1a}\u{8bae}\u{5ba4} \"1\"")
    );
    assert_eq!(
        read.headers.required::<ContentLength>().unwrap(),
        ContentLength(5)
    );
    assert!(
        read.headers
            .required::<ContentType>()
            .unwrap()
            .is("application", "sdp")
    );
    assert_eq!(&read.body()[..], b"v=0\r\n");
    assert_eq!(read.to_bytes(), bytes);
}

#[test]
fn our_own_messages_always_carry_the_right_content_length() {
    let mut request = Request::new(Method::Options, "sip:a@b.example".parse().unwrap());
    request
        .headers
        .push(HeaderName::ContentLength, "17")
        .unwrap();
    assert_eq!(
        request.to_bytes(),
        wire("OPTIONS sip:a@b.example SIP/2.0\nContent-Length: 0\n\n")
    );
}

#[test]
fn provisional_and_final_statuses_are_told_apart() {
    let ringing = response("SIP/2.0 180 Ringing\n\n").status();
    assert!(ringing.is_provisional() && !ringing.is_final() && !ringing.is_success());
    assert!(StatusCode::OK.is_success() && StatusCode::OK.is_final());
    assert_eq!(StatusCode::new(99), None);
    assert_eq!(StatusCode::new(700), None);
    assert_eq!(
        StatusCode::new(499).map(StatusCode::phrase),
        Some("Bad Request")
    );
}
