//! Typed values of single headers and lists.

use sip::error::Reason;
use sip::grammar::{
    AuthCredentials, CSeq, CallId, Challenge, Contact, ContentType, Date, Expires, HeaderName,
    Host, MaxForwards, NameAddr, ParamValue, Rport, Token, Via,
};

use crate::{options_with, request};

#[test]
fn a_missing_header_is_told_from_a_bad_one() {
    let headers = options_with("Expires: soon\n").headers;
    assert_eq!(headers.typed::<Contact>(), Ok(None));
    let missing = headers.required::<Contact>().unwrap_err();
    assert_eq!(
        (missing.header, missing.reason),
        (HeaderName::Contact, Reason::Missing)
    );
    let bad = headers.typed::<Expires>().unwrap_err();
    assert_eq!(
        (bad.header, bad.offset, bad.reason),
        (HeaderName::Expires, 0, Reason::Expected("a number"))
    );
}

#[test]
fn one_bad_value_does_not_hide_the_others() {
    let headers = options_with(
        "Contact: <sip:a@example.com>, <sip:b@@example.com>, \"x, y\" <sip:c@example.com;x=1,2>;q=1\nContact: sip:d@example.com\n",
    )
    .headers;
    let contacts: Vec<_> = headers.typed_all::<Contact>().collect();
    let users: Vec<_> = contacts
        .iter()
        .map(|contact| match contact {
            Ok(Contact::Address(address)) => address.uri().as_sip().and_then(|uri| uri.user()),
            Ok(Contact::All) => Some("*"),
            Err(_) => None,
        })
        .collect();
    assert_eq!(users, [Some("a"), None, None, Some("d")]);
    let error = contacts[1].as_ref().unwrap_err();
    // "<sip:a@example.com>," are 20 bytes; the second `@` is the ninth behind them.
    assert_eq!(
        (error.offset, error.reason),
        (28, Reason::Expected("a host"))
    );
}

#[test]
fn commas_in_quotes_and_brackets_separate_nothing() {
    let headers =
        options_with("Record-Route: \"a, \\\" b\" <sip:x,y@example.com;lr>,<sip:z@example.com>\n")
            .headers;
    let routes: Vec<NameAddr> = headers
        .values(&HeaderName::RecordRoute)
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(routes.len(), 2);
    assert_eq!(routes[0].display_name(), Some("a, \" b"));
    assert_eq!(routes[0].uri().as_sip().unwrap().user(), Some("x,y"));
}

#[test]
fn addresses_are_read_in_all_their_forms() {
    for (text, name, uri, tag) in [
        ("sip:a@b.example", None, "sip:a@b.example", None),
        ("sip:a@b.example;tag=1", None, "sip:a@b.example", Some("1")),
        (
            "<sip:a@b.example;tag=2>",
            None,
            "sip:a@b.example;tag=2",
            None,
        ),
        (
            "<sip:a@b.example;x>;TAG=3",
            None,
            "sip:a@b.example;x",
            Some("3"),
        ),
        (
            "A b-c <sip:a@b.example>",
            Some("A b-c"),
            "sip:a@b.example",
            None,
        ),
        (
            "\"A <b>; c\"<sip:a@b.example>;tag=4",
            Some("A <b>; c"),
            "sip:a@b.example",
            Some("4"),
        ),
        ("\"\" <tel:+123>", Some(""), "tel:+123", None),
        ("<urn:service:sos>", None, "urn:service:sos", None),
        (
            "\u{9}sip:a@b.example \u{9};\u{9}tag = 5 ",
            None,
            "sip:a@b.example",
            Some("5"),
        ),
        (
            "sip <sip:a@b.example>",
            Some("sip"),
            "sip:a@b.example",
            None,
        ),
    ] {
        let mut message = options_with("");
        message.headers.set(HeaderName::To, text).unwrap();
        let to = message
            .headers
            .to()
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(
            (to.display_name(), to.uri().to_string().as_str(), to.tag()),
            (name, uri, tag),
            "{text}"
        );
    }
}

#[test]
fn malformed_addresses_are_refused() {
    for text in [
        "",
        "<>",
        "<sip:a@b.example",
        "sip:a@b.example>",
        "<sip:a@b.example> x",
        "<sip:a@b.example>;tag=",
        "<sip:a@b.example>;=1",
        "<sip:a@b.example>;tag=1;tag=2",
        "<sip:a@b.example>;tag=\"unclosed",
        "\"unclosed <sip:a@b.example>",
        "\"name\" sip:a@b.example",
        "a, b <sip:a@b.example>",
        "sip:a@b.example?x=y",
        "sip:a@b.example, sip:c@d.example",
        "<sip:a@b.example>, <sip:c@d.example>",
        "\u{4f1a} <sip:a@b.example>",
        "<<sip:a@b.example>>",
        "*",
    ] {
        let mut message = options_with("");
        message.headers.set(HeaderName::To, text).unwrap();
        assert!(message.headers.to().is_err(), "{text:?} was accepted");
    }
}

#[test]
fn a_quoted_parameter_keeps_its_quotes() {
    // RFC 5626: `+sip.instance` is a quoted string with angle brackets in it.
    let text = "<sip:a@b.example>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>\";reg-id=1";
    let headers = options_with(&format!("Contact: {text}\n")).headers;
    let Ok(Some(Contact::Address(contact))) = headers.typed() else {
        panic!("the contact is an address");
    };
    assert_eq!(
        contact.params().get("+SIP.instance"),
        Some("<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>")
    );
    assert_eq!(contact.to_string(), text);
}

#[test]
fn a_star_is_a_contact() {
    let headers = options_with("m: *\n").headers;
    assert_eq!(headers.typed(), Ok(Some(Contact::All)));
    assert!(
        options_with("m: *;q=1\n")
            .headers
            .typed::<Contact>()
            .is_err()
    );
}

#[test]
fn contacts_tell_how_long_they_last() {
    let headers =
        options_with("Contact: <sip:a@b.example>;expires=3600, <sip:b@b.example>;expires=x\n")
            .headers;
    let expiries: Vec<_> = headers
        .values::<NameAddr>(&HeaderName::Contact)
        .map(|contact| contact.unwrap().expires())
        .collect();
    assert_eq!(expiries, [Some(3600), None]);
}

#[test]
fn the_top_via_learns_where_the_request_came_from() {
    let source = "198.51.100.7:40000".parse().unwrap();
    for (before, after) in [
        (
            "SIP/2.0/UDP 192.0.2.1;branch=b",
            "SIP/2.0/UDP 192.0.2.1;branch=b;received=198.51.100.7",
        ),
        (
            "SIP/2.0/UDP 198.51.100.7:9;branch=b",
            "SIP/2.0/UDP 198.51.100.7:9;branch=b",
        ),
        (
            "SIP/2.0/UDP host.example;branch=b",
            "SIP/2.0/UDP host.example;branch=b;received=198.51.100.7",
        ),
        (
            "SIP/2.0/UDP 198.51.100.7;rport;branch=b",
            "SIP/2.0/UDP 198.51.100.7;rport=40000;branch=b;received=198.51.100.7",
        ),
        // What the sender claims about itself is overwritten.
        (
            "SIP/2.0/UDP 192.0.2.1;received=192.0.2.9;rport=1",
            "SIP/2.0/UDP 192.0.2.1;received=198.51.100.7;rport=40000",
        ),
    ] {
        let mut message = request(&format!(
            "OPTIONS sip:a@b.example SIP/2.0\nVia: {before} , SIP/2.0/TCP  next.example\nVia: third\n\n"
        ));
        let mut via: Via = message.headers.required().unwrap();
        via.note_source(source);
        message.headers.replace_first(&via);
        let raw: Vec<_> = message
            .headers
            .all(&HeaderName::Via)
            .map(String::from_utf8_lossy)
            .collect();
        assert_eq!(
            raw,
            [
                format!("{after}, SIP/2.0/TCP  next.example"),
                "third".to_owned()
            ]
        );
    }
}

#[test]
fn via_tells_what_it_was_told() {
    let read = via("SIP/2.0/UDP [2001:db8::1]:5070;rport;received=2001:db8::2;branch=z9hG4bK.x");
    assert_eq!(read.host().to_string(), "[2001:db8::1]");
    assert_eq!((read.port(), read.rport()), (Some(5070), Rport::Requested));
    assert_eq!(
        read.received(),
        "2001:db8::2".parse().ok().map(Host::Address)
    );
    assert_eq!(via("SIP/2.0/UDP a.example;rport=5").rport(), Rport::Port(5));
    assert_eq!(via("SIP/2.0/UDP a.example").rport(), Rport::Absent);
    assert_eq!(
        via("SIP/2.0/UDP a.example;received=[2001:db8::2]").received(),
        "2001:db8::2".parse().ok().map(Host::Address)
    );
}

fn via(text: &str) -> Via {
    let mut headers = options_with("").headers;
    headers.set(HeaderName::Via, text).unwrap();
    headers.required().unwrap()
}

#[test]
fn malformed_vias_are_refused() {
    for text in [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/2.0 192.0.2.1",
        "SIP/3.0/UDP 192.0.2.1",
        "HTTP/2.0/UDP 192.0.2.1",
        "SIP/2.0/UDP 192.0.2.1:99999",
        "SIP/2.0/UDP 192.0.2.1:",
        "SIP/2.0/UDP 192.0.2.1 x",
        "SIP/2.0/UDP [192.0.2.1]",
        "SIP/2.0/UDP 192.0.2.1;;branch=x",
    ] {
        let mut headers = options_with("").headers;
        headers.set(HeaderName::Via, text).unwrap();
        assert!(headers.required::<Via>().is_err(), "{text:?} was accepted");
    }
}

#[test]
fn sequence_numbers_end_below_two_to_the_31st() {
    let parse = |text: &str| {
        let mut headers = options_with("").headers;
        headers.set(HeaderName::CSeq, text).unwrap();
        headers.required::<CSeq>().map(|sequence| sequence.number)
    };
    assert_eq!(parse("2147483647 INVITE"), Ok(2_147_483_647));
    assert_eq!(
        parse("2147483648 INVITE").unwrap_err().reason,
        Reason::OutOfRange
    );
    for text in [
        "",
        "1",
        "INVITE",
        "1INVITE",
        "-1 INVITE",
        "1 INVITE x",
        "1 IN,VITE",
        "0x1 INVITE",
    ] {
        assert!(parse(text).is_err(), "{text:?} was accepted");
    }
}

#[test]
fn call_ids_compare_byte_by_byte() {
    assert_eq!(CallId::new("a@b").unwrap(), CallId::new(" a@b ").unwrap());
    assert_ne!(CallId::new("A@b").unwrap(), CallId::new("a@b").unwrap());
    for text in ["", "@", "a@", "a@b@c", "a b", "a;b", "a,b", "a\u{e9}"] {
        assert!(CallId::new(text).is_err(), "{text:?} was accepted");
    }
}

#[test]
fn a_challenge_keeps_empty_and_quoted_values() {
    let headers = options_with(
        "WWW-Authenticate: Digest realm=\"a, b\", nonce=\"x\\\"y\",opaque=\"\" , algorithm=SHA-256, qop=\"auth,auth-int\", stale=TRUE\n\
         WWW-Authenticate: Digest realm=\"z\", nonce=\"n\"\n\
         WWW-Authenticate: Bearer error=x\n",
    )
    .headers;
    let challenges: Vec<Challenge> = headers
        .values(&HeaderName::WwwAuthenticate)
        .collect::<Result<_, _>>()
        .unwrap();
    let params = challenges[0].params();
    assert_eq!(params.get("realm"), Some("a, b"));
    assert_eq!(params.get("nonce"), Some("x\"y"));
    assert_eq!(params.get("opaque"), Some(""));
    assert_eq!(params.get("Algorithm"), Some("SHA-256"));
    assert_eq!(params.get("qop"), Some("auth,auth-int"));
    let digest: Vec<_> = challenges.iter().map(Challenge::is_digest).collect();
    assert_eq!(digest, [true, true, false]);
    assert_eq!(challenges[1].to_string(), "Digest realm=\"z\", nonce=\"n\"");
}

#[test]
fn credentials_are_not_shown_by_debug() {
    let mut credentials = AuthCredentials::new("Digest").unwrap();
    credentials
        .params_mut()
        .set_quoted("username", "room1")
        .unwrap();
    credentials
        .params_mut()
        .set_quoted("response", "0a4f113b")
        .unwrap();
    credentials
        .params_mut()
        .set_token("nc", "00000001")
        .unwrap();
    assert_eq!(
        credentials.to_string(),
        "Digest username=\"room1\", response=\"0a4f113b\", nc=00000001"
    );
    let mut message = options_with("");
    message
        .headers
        .set_value(HeaderName::Authorization, &credentials);
    let shown = format!("{credentials:?} {message:?}");
    assert!(
        !shown.contains("room1") && !shown.contains("0a4f113b"),
        "{shown}"
    );
    let read: AuthCredentials = message
        .headers
        .value(&HeaderName::Authorization)
        .unwrap()
        .unwrap();
    assert_eq!(read, credentials);
}

#[test]
fn option_tags_are_read_and_an_empty_list_has_none() {
    let headers =
        options_with("Supported: 100rel, timer\nk: replaces\nAllow:\nRequire: a,,b\n").headers;
    let supported: Vec<Token> = headers
        .values(&HeaderName::Supported)
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(
        supported.iter().map(Token::as_str).collect::<Vec<_>>(),
        ["100rel", "timer", "replaces"]
    );
    assert_eq!(headers.values::<Token>(&HeaderName::Allow).count(), 0);
    assert_eq!(
        headers
            .values::<Token>(&HeaderName::Require)
            .filter(Result::is_ok)
            .count(),
        2
    );
}

#[test]
fn parameters_stand_once_and_are_bounded() {
    let many: String = (0..65).map(|index| format!(";p{index}")).collect();
    let headers = options_with(&format!(
        "Content-Type: a/b;x=1;X=2\nContact: <sip:a@b.example>{many}\n"
    ))
    .headers;
    assert_eq!(
        headers.typed::<ContentType>().unwrap_err().reason,
        Reason::RepeatedParameter
    );
    assert_eq!(
        headers.typed::<Contact>().unwrap_err().reason,
        Reason::TooManyParameters
    );
}

#[test]
fn parameters_say_in_which_form_they_came() {
    let content_type: ContentType = options_with("c: text/plain; charset=utf-8;x=\"y\";z\n")
        .headers
        .required()
        .unwrap();
    let params: Vec<_> = content_type
        .params()
        .iter()
        .map(|(name, value)| (name, value.cloned()))
        .collect();
    assert_eq!(
        params,
        [
            ("charset", Some(ParamValue::Token("utf-8".to_owned()))),
            ("x", Some(ParamValue::Quoted("y".to_owned()))),
            ("z", None)
        ]
    );
}

#[test]
fn compact_forms_are_the_same_headers() {
    let headers = options_with("l: 0\nc: a/b\nS: hi\nx: 90\no: presence\nu: a\ne: gzip\nr: <sip:a@b.example>\nb: x\nz: unknown\n").headers;
    for name in [
        HeaderName::ContentLength,
        HeaderName::ContentType,
        HeaderName::Subject,
        HeaderName::SessionExpires,
        HeaderName::Event,
        HeaderName::AllowEvents,
        HeaderName::ContentEncoding,
        HeaderName::ReferTo,
        HeaderName::ReferredBy,
        HeaderName::new("Z").unwrap(),
    ] {
        assert!(headers.contains(&name), "{name}");
    }
}

#[test]
fn hop_counts_fit_a_byte() {
    assert_eq!(options_with("").headers.typed(), Ok(Some(MaxForwards(70))));
    let mut headers = options_with("").headers;
    headers.set(HeaderName::MaxForwards, "256").unwrap();
    assert_eq!(
        headers.typed::<MaxForwards>().unwrap_err().reason,
        Reason::OutOfRange
    );
}

#[test]
fn dates_are_in_gmt() {
    let parse = |text: &str| {
        options_with(&format!("Date: {text}\n"))
            .headers
            .required::<Date>()
    };
    let text = "Sat, 13 Nov 2010 23:29:00 GMT";
    let date = parse(text).unwrap();
    assert_eq!(
        (
            date.year,
            date.month,
            date.day,
            date.hour,
            date.minute,
            date.second
        ),
        (2010, 11, 13, 23, 29, 0)
    );
    assert_eq!(date.to_string(), text);
    for text in [
        "",
        "Sat, 13 Nov 2010 23:29:00",
        "Sat, 13 Nov 2010 23:29:00 EST",
        "Sat, 13 Nov 2010 23:29:00 GMT x",
        "Sam, 13 Nov 2010 23:29:00 GMT",
        "Sat, 32 Nov 2010 23:29:00 GMT",
        "Sat, 13 Nox 2010 23:29:00 GMT",
        "Sat, 13 Nov 2010 24:29:00 GMT",
    ] {
        assert!(parse(text).is_err(), "{text:?} was accepted");
    }
}

#[test]
fn a_value_that_is_not_utf8_says_where() {
    let raw = b"OPTIONS sip:a@b.example SIP/2.0\r\nTo: \"\xff\" <sip:a@b.example>\r\nSubject: \xe4\r\n\r\n".to_vec();
    let sip::grammar::Message::Request(message) =
        sip::grammar::Message::parse_datagram(raw.into()).unwrap()
    else {
        panic!("it is a request");
    };
    let error = message.headers.to().unwrap_err();
    assert_eq!((error.offset, error.reason), (1, Reason::NotUtf8));
    assert_eq!(
        message.headers.text(&HeaderName::Subject).as_deref(),
        Some("\u{fffd}")
    );
}
