//! Nothing that is written into a message can become a header field of its own.

use bytes::Bytes;
use proptest::prelude::*;
use sip::error::ValueRefused;
use sip::grammar::{
    AuthCredentials, CallId, Challenge, ContentType, HeaderName, Host, Message, Method, NameAddr,
    Request, SipScheme, SipUri, Uri, Via, ViaTransport,
};

const INJECTIONS: [&str; 5] = [
    "a\r\nVia: evil",
    "a\nVia: evil",
    "a\rb",
    "a\0b",
    "\r\n\r\nINVITE",
];

fn empty() -> Request {
    Request::new(Method::Options, "sip:a@example.com".parse().unwrap())
}

#[test]
fn setters_refuse_line_ends_and_nul() {
    for text in INJECTIONS {
        let mut request = empty();
        let refused =
            |result: Result<(), ValueRefused>| assert!(result.is_err(), "{text:?} was accepted");
        refused(request.headers.push(HeaderName::Subject, text));
        refused(request.headers.set(HeaderName::Subject, text));
        refused(request.headers.add_to_tag(text));
        refused(HeaderName::new(text).map(drop));
        refused(CallId::new(text).map(drop));
        refused(Challenge::new(text).map(drop));
        refused(AuthCredentials::new(text).map(drop));
        refused(Via::new(ViaTransport::Udp, "a.example".parse().unwrap(), None, text).map(drop));
        let mut address = NameAddr::new("sip:a@example.com".parse().unwrap());
        refused(address.clone().with_display_name(text).map(drop));
        refused(address.clone().with_tag(text).map(drop));
        refused(address.params_mut().set_token("x", text));
        refused(address.params_mut().set_token(text, "x"));
        refused(address.params_mut().set_quoted("x", text));
        refused(address.params_mut().set_flag(text));
        assert!(text.parse::<Uri>().is_err());
        assert!(text.parse::<Host>().is_err());
        assert!(text.parse::<Method>().is_err());
        assert!(text.parse::<ContentType>().is_err());
    }
}

#[test]
fn the_refusal_says_where() {
    let refused = empty()
        .headers
        .push(HeaderName::Subject, "ab\nc")
        .unwrap_err();
    assert_eq!(refused, ValueRefused::ControlCharacter { offset: 2 });
}

#[test]
fn a_decoded_escape_does_not_come_back_as_a_line_end() {
    let text = "sip:a%0D%0AVia%3A%20evil@example.com;tag=%0D%0A?x=%0d%0a";
    let mut request = empty();
    request
        .headers
        .push_value(HeaderName::To, &NameAddr::new(text.parse().unwrap()));
    let fields = fields_after_reading(&request);
    assert_eq!(fields, 2);
}

#[test]
fn a_peers_escaped_nul_is_not_passed_on() {
    let mut request = empty();
    request
        .headers
        .push(HeaderName::To, "\"a\" <sip:a@example.com>")
        .unwrap();
    let datagram = Bytes::from_static(
        b"OPTIONS sip:a@example.com SIP/2.0\r\nTo: \"a\\\0b\" <sip:a@example.com>\r\n\r\n",
    );
    let message = Message::parse_datagram(datagram).unwrap();
    let address = message.headers().to().unwrap();
    assert_eq!(address.display_name(), Some("a\0b"));
    assert_eq!(address.to_string(), "\"a?b\" <sip:a@example.com>");
}

fn fields_after_reading(request: &Request) -> usize {
    match Message::parse_datagram(request.to_bytes()) {
        Ok(message) => message.headers().len(),
        Err(error) => panic!("our own message is not understood: {error}"),
    }
}

/// Text with a liking for what ends values, fields and heads.
fn text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => any::<char>(),
        4 => proptest::sample::select(vec!['\r', '\n', '\0', '"', '\\', '<', '>', ';', ',', '%', '@', ':', ' ', '\t', '=', '0', 'D']),
        4 => proptest::char::range('a', 'z'),
    ];
    proptest::collection::vec(character, 0..24).prop_map(String::from_iter)
}

proptest! {
    /// Whatever is offered to the setters: each accepted value is one header field, no more and no less.
    #[test]
    fn no_setter_lets_a_value_become_two_fields(texts in proptest::collection::vec(text(), 12)) {
        let mut request = empty();
        let mut expected = 1; // Content-Length
        let headers = &mut request.headers;
        for value in texts.iter().take(2) {
            expected += usize::from(headers.push(HeaderName::Subject, value).is_ok());
        }
        if let Ok(name) = HeaderName::new(&texts[2]) {
            let is_length = name == HeaderName::ContentLength;
            expected += usize::from(headers.push(name, &texts[3]).is_ok() && !is_length);
        }
        let uri = SipUri::new(SipScheme::Sips, "example.com".parse().unwrap(), None)
            .with_user(&texts[4])
            .with_param(&texts[5], Some(&texts[6]));
        let mut address = NameAddr::new(uri.into());
        if let Ok(named) = address.clone().with_display_name(&texts[7]) {
            address = named;
        }
        let _ = address.params_mut().set_token("a", &texts[8]);
        let _ = address.params_mut().set_quoted("b", &texts[9]);
        let _ = address.params_mut().set_quoted(&texts[10], &texts[11]);
        let _ = address.params_mut().set_flag(&texts[1]);
        headers.push_value(HeaderName::ReplyTo, &address);
        let mut challenge = Challenge::new("Digest").unwrap();
        let _ = challenge.params_mut().set_quoted("realm", &texts[0]);
        headers.push_value(HeaderName::WwwAuthenticate, &challenge);
        expected += 2;
        prop_assert_eq!(fields_after_reading(&request), expected);
    }

    /// An address of our own making is read back as it was meant.
    #[test]
    fn addresses_are_read_back_as_they_were_written(user in text(), name in text(), quoted in text()) {
        prop_assume!(!user.is_empty());
        let uri = SipUri::new(SipScheme::Sip, "example.com".parse().unwrap(), None).with_user(&user);
        let mut address = NameAddr::new(uri.into());
        if let Ok(named) = address.clone().with_display_name(&name) {
            address = named;
        }
        let _ = address.params_mut().set_quoted("q", &quoted);
        let mut request = empty();
        request.headers.push_value(HeaderName::To, &address);
        let Ok(Message::Request(read)) = Message::parse_datagram(request.to_bytes()) else {
            return Err(TestCaseError::fail("our own message is not understood"));
        };
        let read = read.headers.to().unwrap();
        prop_assert_eq!(read.uri().as_sip().unwrap().user_decoded(), Some(user));
        prop_assert_eq!(read, address);
    }
}
