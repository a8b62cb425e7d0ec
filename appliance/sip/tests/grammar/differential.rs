//! The same messages read by another parser, `ezk-sip-types`: on well-formed ones both must say the same.
//!
//! Where they are known to differ, [`where_the_two_differ_ours_follows_the_rfc`] lists what each says and why.

use bytes::Bytes;
use ezk_sip_types::Headers as TheirHeaders;
use ezk_sip_types::Name;
use ezk_sip_types::header::typed::{CSeq as TheirCSeq, FromTo, Via as TheirVia};
use ezk_sip_types::msg::{Line, MessageLine, PullParser};
use ezk_sip_types::print::AppendCtx;
use ezk_sip_types::uri::{SipUri as TheirUri, SipUriUserPart};
use proptest::prelude::*;
use proptest::sample::select;
use sip::grammar::{CSeq, Contact, HeaderName, Message, NameAddr, Request, Uri, Via};

/// What both parsers are asked for.
#[derive(Debug, PartialEq)]
struct Reading {
    method: String,
    uri: UriReading,
    sequence: (u32, String),
    from: AddressReading,
    to: AddressReading,
    /// Transport, sent-by and branch.
    vias: Vec<(String, String, Option<String>)>,
    body: Vec<u8>,
}

#[derive(Debug, PartialEq)]
struct UriReading {
    secure: bool,
    user: Option<String>,
    host_and_port: String,
    transport: Option<String>,
}

#[derive(Debug, PartialEq)]
struct AddressReading {
    name: Option<String>,
    uri: UriReading,
    tag: Option<String>,
}

fn ours(request: &Request) -> Reading {
    let headers = &request.headers;
    let sequence: CSeq = headers.required().unwrap();
    Reading {
        method: request.method().to_string(),
        uri: our_uri(request.uri()),
        sequence: (sequence.number, sequence.method.to_string()),
        from: our_address(&headers.from().unwrap()),
        to: our_address(&headers.to().unwrap()),
        vias: headers
            .typed_all::<Via>()
            .map(|via| our_via(&via.unwrap()))
            .collect(),
        body: request.body().to_vec(),
    }
}

fn our_via(via: &Via) -> (String, String, Option<String>) {
    let port = via
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    (
        via.transport().to_string(),
        format!("{}{port}", via.host()),
        via.branch().map(str::to_owned),
    )
}

fn our_address(address: &NameAddr) -> AddressReading {
    AddressReading {
        name: address.display_name().map(str::to_owned),
        uri: our_uri(address.uri()),
        tag: address.tag().map(str::to_owned),
    }
}

fn our_uri(uri: &Uri) -> UriReading {
    let uri = uri.as_sip().unwrap();
    let port = uri
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    UriReading {
        secure: uri.scheme().as_str() == "sips",
        user: uri.user_decoded(),
        host_and_port: format!("{}{port}", uri.host()),
        transport: uri.param("transport").map(str::to_owned),
    }
}

/// Reads a message the way that the other crate's documentation shows.
fn theirs(datagram: &Bytes) -> Reading {
    let mut lines = PullParser::new(datagram, 0);
    let text = |line: &[u8]| String::from_utf8(line.to_vec()).unwrap();
    let first = text(lines.next().unwrap().unwrap());
    let MessageLine::Request(first) = first.parse().unwrap() else {
        panic!("they take it for a response");
    };
    let mut headers = TheirHeaders::new();
    for line in lines.by_ref() {
        let line = Bytes::copy_from_slice(line.unwrap());
        let (_, Line { name, value }) =
            Line::parse(&line, std::str::from_utf8(&line).unwrap()).unwrap();
        headers.insert(name, value);
    }
    let sequence: TheirCSeq = headers.get_named().unwrap();
    Reading {
        method: first.method.to_string(),
        uri: their_uri(&first.uri),
        sequence: (sequence.cseq, sequence.method.to_string()),
        from: their_address(&headers.get(Name::FROM).unwrap()),
        to: their_address(&headers.get(Name::TO).unwrap()),
        vias: headers
            .get_named::<Vec<TheirVia>>()
            .unwrap()
            .iter()
            .map(their_via)
            .collect(),
        body: datagram[lines.head_end()..].to_vec(),
    }
}

fn their_via(via: &TheirVia) -> (String, String, Option<String>) {
    (
        via.transport.to_string(),
        via.sent_by.default_print_ctx().to_string(),
        via.params.get_val("branch").map(ToString::to_string),
    )
}

fn their_address(address: &FromTo) -> AddressReading {
    AddressReading {
        name: address.uri.name.as_ref().map(ToString::to_string),
        uri: their_uri(&address.uri.uri),
        tag: address.tag.as_ref().map(ToString::to_string),
    }
}

fn their_uri(uri: &TheirUri) -> UriReading {
    UriReading {
        secure: uri.sips,
        user: match &uri.user_part {
            SipUriUserPart::Empty => None,
            SipUriUserPart::User(user) => Some(user.to_string()),
            SipUriUserPart::UserPw(both) => Some(both.user.to_string()),
        },
        host_and_port: uri.host_port.default_print_ctx().to_string(),
        transport: uri.uri_params.get_val("transport").map(ToString::to_string),
    }
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}(-[a-z0-9]{1,4})?\\.(example|test)",
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|address| format!("[{address}]")),
    ]
}

fn port() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        (1u16..).prop_map(|port| format!(":{port}"))
    ]
}

fn uri() -> impl Strategy<Value = String> {
    let user = prop_oneof![
        Just(String::new()),
        "[a-zA-Z0-9_.!~*'()&=+$,;?/-]{1,12}@",
        "[a-z]{1,4}(%40|%20|%C3%A9|%2F)[a-z]{0,4}@",
        "[a-z]{1,6}:[a-z0-9]{1,6}@",
    ];
    let params = select(vec![
        "",
        ";transport=tcp",
        ";lr",
        ";user=phone;transport=tls",
        ";x=y;maddr=192.0.2.1",
    ]);
    (select(vec!["sip", "sips"]), user, host(), port(), params).prop_map(
        |(scheme, user, host, port, params)| format!("{scheme}:{user}{host}{port}{params}"),
    )
}

fn address() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just(String::new()),
        "[a-zA-Z]{1,8}( [a-zA-Z]{1,8})? ",
        "\"[a-zA-Z0-9<>@]([a-z ,;<>@]{0,10}[a-z0-9])?\" ?"
    ];
    let tag = prop_oneof![
        Just(String::new()),
        "( ?; ?tag ?= ?|;tag=)[a-zA-Z0-9.!*_+~-]{1,16}"
    ];
    (name, uri(), tag).prop_map(|(name, uri, tag)| format!("{name}<{uri}>{tag}"))
}

fn via() -> impl Strategy<Value = String> {
    let protocol = select(vec![
        "SIP/2.0/UDP",
        "SIP/2.0/TCP",
        "SIP/2.0/TLS",
        "SIP / 2.0 / UDP",
    ]);
    let branch = prop_oneof![
        Just(String::new()),
        "( ; |;)branch=z9hG4bK[a-zA-Z0-9._-]{0,20}"
    ];
    let other = select(vec![
        "",
        ";rport",
        ";received=192.0.2.7",
        ";rport=5060;received=192.0.2.8",
    ]);
    (protocol, host(), port(), branch, other).prop_map(|(protocol, host, port, branch, other)| {
        format!("{protocol} {host}{port}{branch}{other}")
    })
}

fn datagram() -> impl Strategy<Value = Bytes> {
    let method = select(vec![
        "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "INFO", "NOTIFY", "FOO", "x-y",
    ]);
    let vias = proptest::collection::vec(
        (
            via(),
            select(vec!["Via: ", "v:", "VIA :"]),
            select(vec![",", " , "]),
        ),
        1..5,
    );
    let names = select(vec![("From", "To"), ("f", "t"), ("FROM", "to")]);
    (method, uri(), vias, address(), address(), names, 0..=i32::MAX, "[a-z \r\n]{0,20}").prop_map(
        |(method, uri, vias, from, to, (from_name, to_name), sequence, body)| {
            // Every other Via stands in the field of the one before it.
            let vias: String = vias
                .iter()
                .enumerate()
                .map(|(index, (via, name, comma))| match index % 2 {
                    0 => format!("\r\n{name}{via}"),
                    _ => format!("{comma}{via}"),
                })
                .collect();
            Bytes::from(format!(
                "{method} {uri} SIP/2.0{vias}\r\n{from_name}: {from}\r\n{to_name}:{to}\r\nCall-ID: x\r\n\
                 CSeq: {sequence} {method}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn both_parsers_read_the_same(datagram in datagram()) {
        let Ok(Message::Request(request)) = Message::parse_datagram(datagram.clone()) else {
            return Err(TestCaseError::fail("we refuse a well-formed message"));
        };
        request.check().map_err(|fault| TestCaseError::fail(fault.to_string()))?;
        prop_assert_eq!(ours(&request), theirs(&datagram));
    }
}

/// How many addresses we and they find in a Contact.
fn contacts(value: &str) -> (usize, usize) {
    let datagram = format!("OPTIONS sip:a@example.com SIP/2.0\r\nContact: {value}\r\n\r\n");
    let message = Message::parse_datagram(Bytes::from(datagram)).unwrap();
    let ours = message
        .headers()
        .typed_all::<Contact>()
        .filter(Result::is_ok)
        .count();
    let mut headers = TheirHeaders::new();
    headers.insert(Name::CONTACT, value);
    let theirs = headers.get_named::<Vec<ezk_sip_types::header::typed::Contact>>();
    (ours, theirs.map_or(0, |list| list.len()))
}

#[test]
fn where_the_two_differ_ours_follows_the_rfc() {
    // §7.1: methods are case-sensitive tokens. They match known ones by prefix, without regard to case.
    let their_method = |text: &str| {
        text.parse::<ezk_sip_types::Method>()
            .map(|method| method.to_string())
    };
    let our_method = |text: &str| {
        text.parse::<sip::grammar::Method>()
            .map(|method| method.to_string())
    };
    assert_eq!(our_method("INVITEX").as_deref(), Ok("INVITEX"));
    assert_eq!(their_method("INVITEX").as_deref(), Ok("INVITE"));
    assert_eq!(our_method("invite").as_deref(), Ok("invite"));
    assert_eq!(their_method("invite").as_deref(), Ok("INVITE"));

    // §20.10: Contact may be `*`, and may hold any URI. They know SIP URIs alone.
    assert_eq!(contacts("*"), (1, 0));
    assert_eq!(contacts("<tel:+12015550123>"), (1, 0));

    // §7.3.1: a list in one field equals many fields; a bad value in it says nothing about the others.
    assert_eq!(
        contacts("<sip:a@example.com>, <sip:b@@example.com>, <sip:c@example.com>"),
        (2, 1)
    );

    // §25.1: a quoted string may hold escaped quotes. They refuse it.
    let text = "\"a \\\"b\\\"\" <sip:a@example.com>";
    let datagram = format!("OPTIONS sip:a@example.com SIP/2.0\r\nTo: {text}\r\n\r\n");
    let message = Message::parse_datagram(Bytes::from(datagram)).unwrap();
    assert_eq!(
        message.headers().to().unwrap().display_name(),
        Some("a \"b\"")
    );
    let mut headers = TheirHeaders::new();
    headers.insert(Name::TO, text);
    let theirs = headers
        .get::<FromTo>(Name::TO)
        .ok()
        .and_then(|to| to.uri.name);
    assert_eq!(theirs, None);

    // §7.3.1 and §25.1: an escaped line end is text. They print a decoded one, which is a header field of its own.
    let mut message = message;
    let text = "<sip:a@example.com>;tag=x%0D%0AEvil";
    message.headers_mut().set(HeaderName::To, text).unwrap();
    assert_eq!(message.headers().to().unwrap().to_string(), text);
    headers.remove(&Name::TO);
    headers.insert(Name::TO, text);
    let theirs: FromTo = headers.get(Name::TO).unwrap();
    assert!(theirs.default_print_ctx().to_string().contains("\r\nEvil"));
}
