//! The situations of RFC 4475 (SIP torture tests), in messages of the same make: what is valid is understood, what is
//! not is refused with the status that the RFC asks for.

use bytes::Bytes;
use sip::error::MessageFault;
use sip::grammar::{
    CSeq, CallId, Contact, ContentType, HeaderName, Message, Method, NameAddr, StatusCode, Via,
    ViaTransport,
};

use crate::{parse, request, response, wire};

/// The fault of a message that cannot be worked on, found while reading or while checking it.
fn fault(message: Bytes) -> MessageFault {
    match Message::parse_datagram(message) {
        Err(error) => error.fault,
        Ok(Message::Request(request)) => {
            request.check().expect_err("a faulty request was accepted")
        }
        Ok(Message::Response(response)) => response
            .check()
            .expect_err("a faulty response was accepted"),
    }
}

fn refused(text: &str, status: StatusCode) {
    let fault = fault(wire(text));
    assert_eq!(fault.status(), status, "{fault} in {text}");
}

#[test]
fn a_short_tortuous_invite_is_understood() {
    // 3.1.1.1 wsinv: folding, compact forms, escapes in quotes, white space wherever it may stand.
    let invite = request(
        "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\n\
         TO :\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\n\
         from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\n  ;\n  tag = 98asjd8\n\
         MaX-fOrWaRdS: 0068\n\
         Call-ID: wsinv.ndaksdj@192.0.2.1\n\
         Content-Length   : 3\n\
         cseq: 0009\n  INVITE\n\
         Via  : SIP  /   2.0\n /UDP\n    192.0.2.2;branch=390skdjuw\n\
         s :\n\
         NewFangledHeader:   newfangled value\n continued newfangled value\n\
         UnknownHeaderWithUnusualValue: ;;,,;;,;\n\
         Content-Type: application/sdp\n\
         Route:\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\n\
         v:  SIP  / 2.0  / TCP     spindle.example.com   ;\n  branch  =   z9hG4bK9ikj8  ,\n SIP  /    2.0   / UDP  192.168.255.111   ; branch=\n z9hG4bK30239\n\
         m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\n      newvalue ;\n  secondparam ; q = 0.33\n\
         \nv=0",
    );
    invite.check().unwrap();
    assert_eq!(*invite.method(), Method::Invite);
    assert_eq!(invite.headers.to().unwrap().tag(), Some("1918181833n"));
    let from = invite.headers.from().unwrap();
    assert_eq!(from.display_name(), Some("J Rosenberg \\\""));
    assert_eq!(from.tag(), Some("98asjd8"));
    assert_eq!(
        invite.headers.required::<CSeq>().unwrap(),
        CSeq {
            number: 9,
            method: Method::Invite
        }
    );
    let branches: Vec<_> = invite
        .headers
        .typed_all::<Via>()
        .map(|via| via.unwrap().branch().map(str::to_owned))
        .collect();
    assert_eq!(
        branches,
        [
            Some("390skdjuw".to_owned()),
            Some("z9hG4bK9ikj8".to_owned()),
            Some("z9hG4bK30239".to_owned())
        ]
    );
    let Some(Contact::Address(contact)) = invite.headers.typed().unwrap() else {
        panic!("the Contact is an address");
    };
    assert_eq!(contact.display_name(), Some("Quoted string \"\""));
    assert_eq!(contact.params().get("newparam"), Some("newvalue"));
    assert_eq!(contact.params().get("q"), Some("0.33"));
    assert_eq!(invite.headers.get(&HeaderName::Subject), Some(&b""[..]));
    assert_eq!(&invite.body()[..], b"v=0");
}

#[test]
fn the_whole_range_of_valid_characters_is_understood() {
    // 3.1.1.2 intmeth
    let uri = "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com";
    let method = "!interesting-Method0123456789_*+`.%indeed'~";
    let message = format!(
        "{method} {uri} SIP/2.0\n\
         Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~\n\
         To: \"BEL:\\\u{7} NUL:\\\u{0} DEL:\\\u{7f}\" <{uri}>\n\
         From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"\u{440}\u{430}\u{431}\u{43e}\u{442}\u{430}\";tag=_token~1'+`*%!-.\n\
         Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}}{{\n\
         CSeq: 139122385 {method}\n\
         Max-Forwards: 255\n\
         extensionHeader-!.%*+_`'~:\u{feff}\u{5927}\u{505c}\u{96fb}\n\
         Content-Length: 0\n\n"
    );
    let request = request(&message);
    request.check().unwrap();
    assert_eq!(request.method().as_str(), method);
    assert_eq!(request.uri().to_string(), uri);
    let sip = request.uri().as_sip().unwrap();
    assert_eq!(
        sip.password(),
        Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)")
    );
    assert_eq!(sip.host().to_string(), "example.com");
    assert_eq!(
        request.headers.to().unwrap().display_name(),
        Some("BEL:\u{7} NUL:\u{0} DEL:\u{7f}")
    );
    let from = request.headers.from().unwrap();
    assert_eq!(from.display_name(), Some("token1~` token2'+_ token3*%!.-"));
    assert_eq!(from.tag(), Some("_token~1'+`*%!-."));
    let extension = HeaderName::new("EXTENSIONHEADER-!.%*+_`'~").unwrap();
    assert_eq!(
        request.headers.text(&extension).unwrap(),
        "\u{feff}\u{5927}\u{505c}\u{96fb}"
    );
    assert_eq!(request.to_bytes(), wire(&message));
}

#[test]
fn escapes_are_kept_as_they_are() {
    // 3.1.1.3 esc01: an escaped `:` and `@` make no new user, 3.1.1.4 escnull: an escaped NUL is text.
    let invite = request(
        "INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0\n\
         To: sip:%75se%72@example.com\n\
         From: <sip:I%20have%20spaces@example.net>;tag=938\n\
         Max-Forwards: 87\n\
         i: esc01.239409asdfakjkn23onasd0-3234\n\
         CSeq: 234234 INVITE\n\
         Via: SIP/2.0/UDP host5.example.net;branch=z9hG4bKkdjuw\n\
         C: application/sdp\n\
         Contact:\n <sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>\n\
         m: <sip:null-%00-null@example.com>\n\
         Content-Length: 0\n\n",
    );
    invite.check().unwrap();
    let target = invite.uri().as_sip().unwrap();
    assert_eq!(
        target.user_decoded().as_deref(),
        Some("sips:user@example.com")
    );
    assert_eq!(target.host().to_string(), "example.net");
    let contacts: Vec<_> = invite
        .headers
        .typed_all::<Contact>()
        .map(|contact| contact.unwrap().to_string())
        .collect();
    assert_eq!(
        contacts,
        [
            "<sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>",
            "<sip:null-%00-null@example.com>"
        ]
    );
}

#[test]
fn a_percent_sign_outside_of_a_uri_escapes_nothing() {
    // 3.1.1.5 esc02
    let request = request(
        "RE%47IST%45R sip:registrar.example.com SIP/2.0\n\
         To: \"%Z%45\" <sip:resource@example.com>\n\
         From: \"%Z%45\" <sip:resource@example.com>;tag=f232jadfj23\n\
         Call-ID: esc02.asdfnqwo34rq23i34jrjasdcnl23nrlknsdf\n\
         Via: SIP/2.0/TCP host.example.com;branch=z9hG4bK209%fzsnel234\n\
         CSeq: 29344 RE%47IST%45R\n\
         Max-Forwards: 70\n\
         Contact: <sip:alias1@host1.example.com>\n\
         C%6Fntact: <sip:alias2@host2.example.com>\n\
         Contact: <sip:alias3@host3.example.com>\n\
         l: 0\n\n",
    );
    request.check().unwrap();
    assert_ne!(*request.method(), Method::Register);
    assert_eq!(
        request.headers.from().unwrap().display_name(),
        Some("%Z%45")
    );
    assert_eq!(request.headers.typed_all::<Contact>().count(), 2);
}

#[test]
fn no_white_space_is_needed_before_the_bracket() {
    // 3.1.1.6 lwsdisp
    let options = request(
        "OPTIONS sip:user@example.com SIP/2.0\n\
         To: sip:user@example.com\n\
         From: caller<sip:caller@example.com>;tag=323\n\
         Max-Forwards: 70\n\
         Call-ID: lwsdisp.1234abcd@funky.example.com\n\
         CSeq: 60 OPTIONS\n\
         Via: SIP/2.0/UDP funky.example.com;branch=z9hG4bKkdjuw\n\
         l: 0\n\n",
    );
    options.check().unwrap();
    let from = options.headers.from().unwrap();
    assert_eq!(
        (from.display_name(), from.tag()),
        (Some("caller"), Some("323"))
    );
}

#[test]
fn long_values_are_understood() {
    // 3.1.1.7 longreq
    let long = |word: &str| word.repeat(120);
    let vias: String = (0..30)
        .map(|hop| {
            format!(
                "Via: SIP/2.0/TCP sip{hop}.example.com;branch=z9hG4bK{}\n",
                long("branch")
            )
        })
        .collect();
    let invite = request(&format!(
        "INVITE sip:user@example.com SIP/2.0\n\
         To: \"I have a user name of {}\" <sip:user@example.com:6000;{}=1>\n\
         From: sip:{}@example.net;tag=12{};{}\n\
         {vias}\
         Max-Forwards: 70\n\
         Call-ID: longreq.one{}ly\n\
         CSeq: 3882340 INVITE\n\
         Contact: <sip:{}@host5.example.net>\n\
         \n",
        long("extreme"),
        long("unknownparam"),
        long("amazing"),
        long("9"),
        long("unknownheaderparam"),
        long("really"),
        long("amazing"),
    ));
    invite.check().unwrap();
    assert_eq!(
        invite
            .headers
            .typed_all::<Via>()
            .filter(Result::is_ok)
            .count(),
        30
    );
}

#[test]
fn what_follows_the_body_in_a_datagram_is_ignored() {
    // 3.1.1.8 dblreq
    let register = request(
        "REGISTER sip:example.com SIP/2.0\n\
         To: sip:j.user@example.com\n\
         From: sip:j.user@example.com;tag=43251j3j324\n\
         Max-Forwards: 8\n\
         I: dblreq.0ha0isndaksdj99sdfafnl3lk233412\n\
         Contact: sip:j.user@host.example.com\n\
         CSeq: 8 REGISTER\n\
         Via: SIP/2.0/UDP 192.0.2.125;branch=z9hG4bKkdjuw23492\n\
         Content-Length: 0\n\
         \n\
         INVITE sip:joe@example.com SIP/2.0\n\
         t: sip:joe@example.com\n\n",
    );
    register.check().unwrap();
    assert_eq!(*register.method(), Method::Register);
    assert!(register.body().is_empty());
}

#[test]
fn a_semicolon_may_stand_in_the_user_part() {
    // 3.1.1.9 semiuri
    let options = request(
        "OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0\n\
         To: sip:j_user@example.com\n\
         From: sip:caller@example.org;tag=33242\n\
         Max-Forwards: 3\n\
         Call-ID: semiuri.0ha0isndaksdj\n\
         CSeq: 8 OPTIONS\n\
         Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKkdjuw\n\
         l: 0\n\n",
    );
    options.check().unwrap();
    let uri = options.uri().as_sip().unwrap();
    assert_eq!(
        uri.user_decoded().as_deref(),
        Some("user;par=u@example.net")
    );
    assert_eq!(uri.param("par"), None);
}

#[test]
fn transports_that_nobody_knows_are_kept() {
    // 3.1.1.10 transports
    let options = request(
        "OPTIONS sip:user@example.com SIP/2.0\n\
         To: sip:user@example.com\n\
         From: <sip:caller@example.com>;tag=323\n\
         Max-Forwards: 70\n\
         Call-ID: transports.kijh4akdnaqjkwendsasfdj\n\
         CSeq: 60 OPTIONS\n\
         Via: SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw\n\
         Via: SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf\n\
         Via: SIP/2.0/tls t3.example.com;branch=z9hG4bK2980unddj\n\
         Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en\n\
         Via: SIP/2.0/TCP t5.example.com;branch=z9hG4bK0a9idfnee\n\
         l: 0\n\n",
    );
    options.check().unwrap();
    let transports: Vec<_> = options
        .headers
        .typed_all::<Via>()
        .map(|via| via.unwrap().transport().to_string())
        .collect();
    assert_eq!(transports, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
    assert!(matches!(
        options.headers.required::<Via>().unwrap().transport(),
        ViaTransport::Udp
    ));
}

#[test]
fn a_binary_body_is_kept_byte_by_byte() {
    // 3.1.1.11 mpart01
    let head = wire(
        "MESSAGE sip:kumiko@example.org SIP/2.0\n\
         Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-d87543-4dade06d0bdb11ee-1--d87543-;rport\n\
         Max-Forwards: 70\n\
         Route: <sip:127.0.0.1:5080>\n\
         To: sip:kumiko@example.org\n\
         From: sip:fluffy@example.com;tag=2fb0dcc9\n\
         Call-ID: 3d9485ad0c49859b@Zmx1ZmZ5LW1hYy0xNi5sb2NhbA..\n\
         CSeq: 1 MESSAGE\n\
         Content-Type: multipart/mixed;boundary=7a9cbec02ceef655\n\n",
    );
    let body: Vec<u8> = (0..=255).rev().chain([13, 10, 13, 10]).collect();
    let datagram = Bytes::from([&head[..], &body[..]].concat());
    let message = Message::parse_datagram(datagram.clone()).unwrap();
    assert_eq!(message.body()[..], body[..]);
    assert_eq!(message.to_bytes(), datagram);
    let content_type: ContentType = message.headers().required().unwrap();
    assert!(content_type.is("Multipart", "MIXED"));
    assert_eq!(
        content_type.params().get("boundary"),
        Some("7a9cbec02ceef655")
    );
}

#[test]
fn reason_phrases_may_be_unusual_or_empty() {
    // 3.1.1.12 unreason, 3.1.1.13 noreason; without the last space it is a peer's mistake that harms nobody.
    let rest = "Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923\n\
         Call-ID: unreason.1234ksdfak3j2erwedfsASdf\n\
         CSeq: 35 INVITE\n\
         From: sip:user@example.com;tag=11141343\n\
         To: sip:user@example.edu;tag=2229\n\
         Content-Length: 0\n\n";
    for (line, reason) in [
        (
            "SIP/2.0 200 = 2**3 * 5**2 \u{43d}\u{43e} \u{441}\u{442}\u{43e}",
            "= 2**3 * 5**2 \u{43d}\u{43e} \u{441}\u{442}\u{43e}",
        ),
        ("SIP/2.0 200 ", ""),
        ("SIP/2.0 200", ""),
    ] {
        let response = response(&format!("{line}\n{rest}"));
        response.check().unwrap();
        assert_eq!(
            (response.status(), response.reason()),
            (StatusCode::OK, reason)
        );
        assert_eq!(response.to_bytes(), wire(&format!("{line}\n{rest}")));
    }
}

/// An INVITE from parts that can be replaced one by one: `(name, whole line)`.
fn invite_but(replacements: &[(&str, &str)]) -> String {
    let parts = [
        ("line", "INVITE sip:j.user@example.com SIP/2.0"),
        ("Via", "Via: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw"),
        ("To", "To: sip:j.user@example.com"),
        ("From", "From: sip:caller@example.net;tag=134161461246"),
        ("Max-Forwards", "Max-Forwards: 7"),
        ("Call-ID", "Call-ID: badinv01.0ha0isndaksdjasdf3234nas"),
        ("CSeq", "CSeq: 8 INVITE"),
        ("Contact", "Contact: <sip:caller@host5.example.net>"),
        ("Content-Type", "Content-Type: application/sdp"),
        ("Expires", "Expires: 60"),
        ("Content-Length", "Content-Length: 0"),
    ];
    for (name, _) in replacements {
        assert!(parts.iter().any(|(part, _)| part == name), "no part {name}");
    }
    let lines: String = parts
        .iter()
        .map(|(name, line)| {
            replacements
                .iter()
                .find(|(replaced, _)| replaced == name)
                .map_or(*line, |(_, new)| new)
        })
        .filter(|line| !line.is_empty())
        .map(|line| format!("{line}\n"))
        .collect();
    lines + "\n"
}

#[test]
fn the_invite_that_the_next_tests_break_is_valid() {
    request(&invite_but(&[])).check().unwrap();
}

#[test]
fn malformed_requests_are_refused_with_400() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        (
            "3.1.2.1 badinv01",
            &[
                ("Via", "Via: SIP/2.0/UDP 192.0.2.15;;,;,,"),
                ("Contact", "Contact: \"Joe\" <sip:joe@example.org>;;;;"),
            ],
        ),
        (
            "3.1.2.1 empty Contact parameters alone",
            &[("Contact", "Contact: \"Joe\" <sip:joe@example.org>;;;;")],
        ),
        (
            "3.1.2.2 clerr",
            &[("Content-Length", "Content-Length: 9999")],
        ),
        ("3.1.2.3 ncl", &[("Content-Length", "Content-Length: -999")]),
        (
            "3.1.2.4 scalar02 CSeq",
            &[("CSeq", "CSeq: 36893488147419103232 INVITE")],
        ),
        (
            "3.1.2.4 scalar02 Max-Forwards",
            &[("Max-Forwards", "Max-Forwards: 300")],
        ),
        (
            "3.1.2.4 scalar02 Expires",
            &[("Expires", "Expires: 10000000000000000000000000000000000000")],
        ),
        (
            "3.1.2.6 quotbal",
            &[("To", "To: \"Mr. J. User <sip:j.user@example.com>")],
        ),
        (
            "3.1.2.7 ltgtruri",
            &[("line", "INVITE <sip:user@example.com> SIP/2.0")],
        ),
        (
            "3.1.2.8 lwsruri",
            &[("line", "INVITE sip:user@example.com; lr SIP/2.0")],
        ),
        (
            "3.1.2.9 lwsstart",
            &[("line", "INVITE  sip:user@example.com  SIP/2.0")],
        ),
        (
            "3.1.2.10 trws",
            &[("line", "INVITE sip:remote@example.com SIP/2.0  ")],
        ),
        (
            "3.1.2.11 escruri",
            &[(
                "line",
                "INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0",
            )],
        ),
        (
            "3.1.2.12 baddate",
            &[("Expires", "Date: Fri, 01 Jan 2010 16:00:00 EST")],
        ),
        (
            "3.1.2.13 regbadct",
            &[(
                "Contact",
                "Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E",
            )],
        ),
        (
            "3.1.2.14 badaspec",
            &[("To", "To: \"Watson, Thomas\" < sip:t.watson@example.org >")],
        ),
        (
            "3.1.2.15 baddn",
            &[(
                "From",
                "From: Bell, Alexander <sip:a.g.bell@example.com>;tag=43",
            )],
        ),
        ("3.1.2.17 mismatch01", &[("CSeq", "CSeq: 8 OPTIONS")]),
        (
            "3.1.2.18 mismatch02",
            &[
                ("line", "NEWMETHOD sip:user@example.com SIP/2.0"),
                ("CSeq", "CSeq: 8 INVITE"),
            ],
        ),
        ("3.3.1 insuf without Call-ID", &[("Call-ID", "")]),
        ("3.3.1 insuf without From", &[("From", "")]),
        ("3.3.1 insuf without To", &[("To", "")]),
        ("3.3.1 insuf without CSeq", &[("CSeq", "")]),
        ("3.3.1 insuf without Via", &[("Via", "")]),
        (
            "3.3.8 multi01 CSeq",
            &[("CSeq", "CSeq: 59 INVITE\nCSeq: 60 INVITE")],
        ),
        (
            "3.3.8 multi01 Call-ID",
            &[("Call-ID", "Call-ID: multi01.one\nCall-ID: multi01.two")],
        ),
        (
            "3.3.8 multi01 Max-Forwards",
            &[("Max-Forwards", "Max-Forwards: 70\nMax-Forwards: 5")],
        ),
        (
            "3.3.8 multi01 From",
            &[(
                "From",
                "From: sip:a@example.net;tag=1\nFrom: sip:b@example.net;tag=2",
            )],
        ),
        (
            "3.3.8 multi01 To",
            &[("To", "To: sip:a@example.net\nTo: sip:b@example.net")],
        ),
        (
            "3.3.9 mcl01",
            &[("Content-Length", "Content-Length: 0\nContent-Length: 5")],
        ),
        ("a star outside of REGISTER", &[("Contact", "Contact: *")]),
        ("no colon", &[("Expires", "Expires")]),
        ("a name that is no token", &[("Expires", "Exp ires: 60")]),
        (
            "a field before the first",
            &[("Via", " Via: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw")],
        ),
    ];
    for (name, replacements) in cases {
        let text = invite_but(replacements);
        let fault = fault(wire(&text));
        assert_eq!(fault.status(), StatusCode::BAD_REQUEST, "{name}: {fault}");
    }
}

#[test]
fn another_version_is_refused_with_505() {
    // 3.1.2.16 badvers
    refused(
        &invite_but(&[("line", "INVITE sip:user@example.com SIP/7.0")]),
        StatusCode::VERSION_NOT_SUPPORTED,
    );
}

#[test]
fn malformed_responses_are_refused() {
    // 3.1.2.5 scalarlg, 3.1.2.19 bigcode
    let rest = |sequence: &str| {
        format!(
            "Via: SIP/2.0/TCP host129.example.com;branch=z9hG4bKzzxdiwo34sw;received=192.0.2.129\n\
             To: <sip:user@example.com>;tag=1\n\
             From: <sip:other@example.net>;tag=2easdjfejw\n\
             CSeq: {sequence}\n\
             Call-ID: scalarlg.noase0of0234hn2qofoaf0232aewf2394r\n\
             Content-Length: 0\n\n"
        )
    };
    response(&format!(
        "SIP/2.0 503 Service Unavailable\n{}",
        rest("1 OPTIONS")
    ))
    .check()
    .unwrap();
    fault(wire(&format!(
        "SIP/2.0 503 Service Unavailable\n{}",
        rest("9292394834772304023312 OPTIONS")
    )));
    fault(wire(&format!(
        "SIP/2.0 4294967301 better not break the receiver\n{}",
        rest("1 OPTIONS")
    )));
    fault(wire(&format!("SIP/2.0 99 too low\n{}", rest("1 OPTIONS"))));
    fault(wire(&format!(
        "SIP/2.0 700 too high\n{}",
        rest("1 OPTIONS")
    )));
}

#[test]
fn a_refused_request_can_be_answered_and_a_refused_response_cannot() {
    let error = parse(&invite_but(&[(
        "line",
        "INVITE <sip:user@example.com> SIP/2.0",
    )]))
    .unwrap_err();
    let headers = error.answerable.expect("the headers were readable");
    assert_eq!(
        headers.required::<CallId>().unwrap().as_str(),
        "badinv01.0ha0isndaksdjasdf3234nas"
    );
    let truncated = parse(&invite_but(&[("Content-Length", "Content-Length: 9999")])).unwrap_err();
    assert!(truncated.answerable.is_some());
    let ack = invite_but(&[
        ("line", "ACK sip:a@example.com SIP/2.0"),
        ("Content-Length", "Content-Length: 9"),
    ]);
    assert!(
        parse(&ack).unwrap_err().answerable.is_none(),
        "an ACK is never answered"
    );
    let response = invite_but(&[("line", "SIP/2.0 2000 Too much")]);
    assert!(parse(&response).unwrap_err().answerable.is_none());
}

#[test]
fn what_a_user_agent_does_not_know_is_still_read() {
    // 3.3.2 unkscm, 3.3.3 novelsc, 3.3.4 unksm2, 3.2.1 badbranch, 3.3.12 cparam01, 3.3.13 cparam02, 3.3.14 regescrt
    for uri in [
        "nobodyKnowsThisScheme:totallyopaquecontent",
        "soap.beep://192.0.2.103:3002",
        "urn:service:sos",
    ] {
        let invite = request(&invite_but(&[("line", &format!("INVITE {uri} SIP/2.0"))]));
        invite.check().unwrap();
        assert_eq!(invite.uri().to_string(), uri);
        assert!(invite.uri().as_sip().is_none());
    }
    let foreign = request(&invite_but(&[
        ("To", "To: isbn:2983792873"),
        ("From", "From: <http://www.example.com>;tag=3234233"),
        ("Contact", "Contact: <name:John_Smith>"),
    ]));
    foreign.check().unwrap();
    let short_branch = request(&invite_but(&[(
        "Via",
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK",
    )]));
    assert_eq!(
        short_branch.headers.required::<Via>().unwrap().branch(),
        Some("z9hG4bK")
    );
    let contacts = request(&invite_but(&[(
        "Contact",
        "Contact: sip:+19725552222@gw1.example.net;unknownparam\n\
         Contact: <sip:+19725552223@gw1.example.net;unknownparam>\n\
         Contact: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>",
    )]));
    contacts.check().unwrap();
    let addresses: Vec<NameAddr> = contacts
        .headers
        .values(&HeaderName::Contact)
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(addresses[0].params().contains("unknownparam"));
    assert_eq!(
        addresses[1].uri().as_sip().unwrap().param("unknownparam"),
        Some("")
    );
    assert_eq!(
        addresses[2]
            .uri()
            .as_sip()
            .unwrap()
            .headers()
            .collect::<Vec<_>>(),
        [("Route", "%3Csip:sip.example.com%3E")]
    );
}

#[test]
fn a_request_of_rfc_2543_is_understood() {
    // 3.4.1 inv2543
    let invite = request(
        "INVITE sip:UserB@example.com SIP/2.0\n\
         Via: SIP/2.0/UDP iftgw.example.com\n\
         From: <sip:+13035551111@ift.client.example.net;user=phone>\n\
         Record-Route: <sip:UserB@example.com;maddr=ss1.example.com>\n\
         To: sip:+16505552222@ss1.example.net;user=phone\n\
         Call-ID: inv2543.1717@ift.client.example.com\n\
         CSeq: 56 INVITE\n\
         Content-Type: application/sdp\n\n",
    );
    invite.check().unwrap();
    assert_eq!(invite.headers.required::<Via>().unwrap().branch(), None);
    assert_eq!(invite.headers.from().unwrap().tag(), None);
}

#[test]
fn ipv6_addresses_are_understood_with_brackets_only() {
    // RFC 5118
    let register = |target: &str, via: &str| {
        parse(&format!(
            "REGISTER {target} SIP/2.0\n\
             To: sip:user@example.com\n\
             From: sip:user@example.com;tag=81x2\n\
             Via: {via};branch=z9hG4bKas3-111\n\
             Call-ID: SSG9559905523997077@hlau_4100\n\
             Contact: \"Caller\" <sip:caller@[2001:db8::1]>\n\
             CSeq: 98176 REGISTER\n\n"
        ))
    };
    for (target, host, port) in [
        ("sip:[2001:db8::10]", "[2001:db8::10]", None),
        ("sip:[2001:db8::10]:5070", "[2001:db8::10]", Some(5070)),
        // 4.4: without the right brackets the port becomes a part of the address.
        ("sip:[2001:db8::10:5070]", "[2001:db8::10:5070]", None),
        (
            "sip:[::ffff:192.0.2.10]:19823",
            "[::ffff:192.0.2.10]",
            Some(19823),
        ),
    ] {
        let Ok(Message::Request(request)) = register(target, "SIP/2.0/UDP [2001:db8::9:1]") else {
            panic!("{target} is valid");
        };
        request.check().unwrap();
        let uri = request.uri().as_sip().unwrap();
        assert_eq!((uri.host().to_string().as_str(), uri.port()), (host, port));
    }
    for target in [
        "sip:2001:db8::10",
        "sip:[2001:db8:::1]",
        "sip:[2001:db8:::1:192.0.2.1]",
        "sip:user@[2001:db8::1%25eth0]",
    ] {
        let error = register(target, "SIP/2.0/UDP [2001:db8::9:1]").unwrap_err();
        assert_eq!(error.fault.status(), StatusCode::BAD_REQUEST, "{target}");
    }
    for received in ["2001:db8::9:255", "[2001:db8::9:255]"] {
        let via = format!("SIP/2.0/UDP [2001:db8::9:1];received={received}");
        let Ok(Message::Request(request)) = register("sip:[2001:db8::10]", &via) else {
            panic!("{via} is valid");
        };
        let seen = request
            .headers
            .required::<Via>()
            .unwrap()
            .received()
            .unwrap();
        assert_eq!(seen.address(), "2001:db8::9:255".parse().ok(), "{received}");
    }
}
