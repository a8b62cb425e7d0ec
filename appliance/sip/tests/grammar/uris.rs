//! URIs: what is one, what is none, which are the same.

use sip::grammar::{Host, SipScheme, SipUri, Uri};

fn uri(text: &str) -> Uri {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn uris_print_as_they_were_spelled() {
    for text in [
        "sip:example.com",
        "sips:alice@example.com",
        "sip:alice:secretword@example.com;transport=tcp",
        "sip:+1-212-555-1212:1234@gateway.com;user=phone",
        "sip:alice@192.0.2.4",
        "sip:alice@[2001:db8::9:1]:5061;transport=tls;lr",
        "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
        "sip:alice;day=tuesday@atlanta.com",
        "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:alice@atlanta.com?body=",
        "sip:%E4%BC%9A%E8%AE%AE@example.com",
        "sip:host-1.example.com.",
        "sip:under_score.example.com",
        "sip:meeting.123456789@zoomcrc.com;transport=tls",
        "tel:+1-201-555-0123",
        "tel:7042;phone-context=example.com",
        "tel:863-1234;phone-context=+1-914-555;isub=1",
        "tel:*21*1234#;phone-context=example.com",
        "urn:service:sos",
        "http://www.example.com/a/b?c=d#e",
        "xmpp:romeo@example.net",
    ] {
        assert_eq!(uri(text).to_string(), text);
    }
}

#[test]
fn schemes_do_not_depend_on_case() {
    assert!(matches!(uri("SIP:a@b.example"), Uri::Sip(sip) if sip.scheme() == SipScheme::Sip));
    assert!(matches!(uri("SiPs:a@b.example"), Uri::Sip(sip) if sip.scheme() == SipScheme::Sips));
    assert!(matches!(uri("TEL:+1"), Uri::Tel(_)));
    assert_eq!(uri("HTTPS://example.com").scheme(), "https");
}

#[test]
fn malformed_uris_are_refused() {
    for text in [
        "",
        "sip",
        "sip:",
        ":example.com",
        "1sip:example.com",
        "sip:@example.com",
        "sip::password@example.com",
        "sip:alice@",
        "sip:alice@@example.com",
        "sip:alice@example.com@example.net",
        "sip:alice@example.com;param=a@b",
        "sip:alice@example.com?to=bob@example.net",
        "sip:ali ce@example.com",
        "sip:alice@example.com ",
        " sip:alice@example.com",
        "sip:alice@exam ple.com",
        "sip:alice@example..com",
        "sip:alice@.example.com",
        "sip:alice@1.2.3.400",
        "sip:alice@1.2.3",
        "sip:alice@[2001:db8::1",
        "sip:alice@[2001:db8:::1]",
        "sip:alice@[192.0.2.1]",
        "sip:alice@2001:db8::1",
        "sip:alice@example.com:",
        "sip:alice@example.com:65536",
        "sip:alice@example.com:-1",
        "sip:alice@example.com:5060x",
        "sip:alice@example.com;",
        "sip:alice@example.com;;lr",
        "sip:alice@example.com;lr=",
        "sip:alice@example.com;lr;LR",
        "sip:alice@example.com?",
        "sip:alice@example.com?subject",
        "sip:alice@example.com?=x",
        "sip:alice@example.com?a=b&",
        "sip:al%ice@example.com",
        "sip:al%4@example.com",
        "sip:alice%@example.com",
        "sip:alice@example.com;a=%zz",
        "sip:alice@example.com?a=%1",
        "sip:al<ice@example.com",
        "sip:al\"ice@example.com",
        "sip:alice\r\n@example.com",
        "sip:alice\0@example.com",
        "sip:\u{4f1a}@example.com",
        "sip:alice@\u{4f1a}.example",
        "tel:",
        "tel:+",
        "tel:+12*3",
        "tel:abc xyz",
        "tel:---",
        "mailto:",
        "http:a b",
        "http:a%b",
        "http:<script>",
    ] {
        assert!(text.parse::<Uri>().is_err(), "{text:?} was accepted");
    }
}

#[test]
fn the_first_at_sign_ends_the_user_part_wherever_it_stands() {
    // RFC 3261 §25.1: `?`, `;`, `/` and `,` are characters of the user part; `@` is one of nothing.
    let sip = uri("sip:host.example?to=x;lr@evil.example");
    let sip = sip.as_sip().unwrap();
    assert_eq!(sip.user(), Some("host.example?to=x;lr"));
    assert_eq!(sip.host().to_string(), "evil.example");
    assert_eq!(sip.headers().count(), 0);
}

#[test]
fn uris_that_mean_the_same_are_equivalent() {
    // RFC 3261 §19.1.4
    for (one, two) in [
        (
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtLanTa.CoM;Transport=tcp",
        ),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        (
            "sip:carol@chicago.com;newparam=5",
            "sip:carol@chicago.com;security=on",
        ),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("sip:a@[2001:DB8::1]", "sip:a@[2001:db8:0::1]"),
        ("tel:+1-201-555-0123", "tel:+1(201)5550123"),
        (
            "tel:7042;phone-context=example.com;ext=1",
            "tel:70-42;ext=1;phone-context=EXAMPLE.com",
        ),
        ("URN:service:sos", "urn:service:sos"),
    ] {
        assert!(uri(one).is_equivalent_to(&uri(two)), "{one} and {two}");
        assert!(uri(two).is_equivalent_to(&uri(one)), "{two} and {one}");
    }
}

#[test]
fn uris_that_mean_something_else_are_not_equivalent() {
    // RFC 3261 §19.1.4
    for (one, two) in [
        (
            "SIP:ALICE@AtLanTa.CoM;Transport=udp",
            "sip:alice@AtLanTa.CoM;Transport=UDP",
        ),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        (
            "sip:bob@biloxi.com",
            "sip:bob@biloxi.com:6000;transport=tcp",
        ),
        (
            "sip:carol@chicago.com",
            "sip:carol@chicago.com?Subject=next%20meeting",
        ),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        (
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;security=off",
        ),
        ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
        ("sip:bob@biloxi.com", "sip:biloxi.com"),
        ("sip:bob:one@biloxi.com", "sip:bob:two@biloxi.com"),
        ("sip:bob@biloxi.com;maddr=1.2.3.4", "sip:bob@biloxi.com"),
        ("sip:bob@biloxi.com;user=phone", "sip:bob@biloxi.com"),
        ("sip:bob@biloxi.com?a=1&a=1", "sip:bob@biloxi.com?a=1&b=1"),
        ("tel:+12015550123", "tel:+12015550124"),
        ("tel:7042;phone-context=example.com", "tel:7042"),
        ("tel:7042", "sip:7042@example.com"),
        ("urn:service:sos", "urn:service:SOS"),
    ] {
        assert!(!uri(one).is_equivalent_to(&uri(two)), "{one} and {two}");
        assert!(!uri(two).is_equivalent_to(&uri(one)), "{two} and {one}");
    }
}

#[test]
fn a_uri_of_our_own_escapes_what_people_type() {
    let host: Host = "example.com".parse().unwrap();
    let built = SipUri::new(SipScheme::Sip, host, Some(5061))
        .with_user("Room 1@HQ\r\nVia: x")
        .with_param("transport", Some("tls"))
        .with_param("x", Some("a;b@c"));
    let text = built.to_string();
    assert_eq!(
        text,
        "sip:Room%201%40HQ%0D%0AVia%3A%20x@example.com:5061;transport=tls;x=a%3Bb%40c"
    );
    let read = uri(&text);
    assert_eq!(read, Uri::Sip(built));
    assert_eq!(
        read.as_sip().unwrap().user_decoded().as_deref(),
        Some("Room 1@HQ\r\nVia: x")
    );
}

#[test]
fn a_user_that_is_not_utf8_once_decoded_has_no_decoded_form() {
    assert_eq!(
        uri("sip:%ff@example.com").as_sip().unwrap().user_decoded(),
        None
    );
}
