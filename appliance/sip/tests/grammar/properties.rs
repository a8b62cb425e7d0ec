//! What holds for every message, valid or not.

use bytes::Bytes;
use proptest::prelude::*;
use sip::grammar::{
    AuthCredentials, Challenge, Contact, ContentType, HeaderName, Message, NameAddr, Token, Uri,
    Via,
};

/// Asks for everything that a message can be asked for.
fn read_all(message: &Message) {
    let headers = message.headers();
    let _ = headers.from();
    let _ = headers.to();
    for (name, _) in headers.iter() {
        let _ = headers.value::<Token>(name);
        headers.values::<NameAddr>(name).for_each(drop);
        headers.values::<Challenge>(name).for_each(drop);
        headers.values::<AuthCredentials>(name).for_each(drop);
        let _ = headers.text(name);
    }
    headers.typed_all::<Via>().for_each(drop);
    headers.typed_all::<Contact>().for_each(drop);
    let _ = headers.typed::<ContentType>();
    match message {
        Message::Request(request) => drop(request.check()),
        Message::Response(response) => drop(response.check()),
    }
}

/// Pieces of messages in random order: much nearer to a message than random bytes.
fn almost_a_message() -> impl Strategy<Value = Vec<u8>> {
    let piece = proptest::sample::select(vec![
        "INVITE ",
        "sip:a@b.example",
        " SIP/2.0",
        "SIP/2.0 ",
        "200 OK",
        "\r\n",
        "\r\n\r\n",
        "\r\n ",
        "Via",
        ": ",
        "SIP/2.0/UDP ",
        "192.0.2.1",
        ";branch=",
        "z9hG4bK",
        "From",
        "To:",
        "<sip:",
        ">",
        "\"",
        "\\",
        ";tag=",
        ",",
        "Call-ID: ",
        "CSeq: 1 ",
        "l: ",
        "0",
        "99",
        "Contact: *",
        "%41",
        "%",
        "@",
        "[",
        "2001:db8::1",
        "]",
        "\0",
        "\u{4f1a}",
        ";",
        "=",
        "?",
        "&",
        " ",
        "\t",
        "\n",
    ]);
    let piece = prop_oneof![
        20 => piece.prop_map(|text| text.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// Header lines that are well-formed as fields, whatever their values.
fn well_formed() -> impl Strategy<Value = String> {
    let field = (
        "[A-Za-z-]{1,12}",
        "[ \t]{0,2}",
        "[ -~]{0,30}(\r\n[ \t][ -~]{0,20})?",
    );
    proptest::collection::vec(field, 0..12).prop_map(|fields| {
        let lines: String = fields
            .into_iter()
            .filter(|(name, ..)| {
                !name.eq_ignore_ascii_case("l") && !name.eq_ignore_ascii_case("Content-Length")
            })
            .map(|(name, blanks, value)| format!("{name}{blanks}:{value}\r\n"))
            .collect();
        format!("OPTIONS sip:a@example.com SIP/2.0\r\n{lines}\r\nbody")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in almost_a_message()) {
        if let Ok(message) = Message::parse_datagram(Bytes::from(bytes)) {
            read_all(&message);
        }
    }

    /// What was accepted is printed as it came, up to where its body ends.
    #[test]
    fn untouched_messages_print_byte_for_byte(bytes in almost_a_message()) {
        let datagram = Bytes::from(bytes);
        if let Ok(message) = Message::parse_datagram(datagram.clone()) {
            let printed = message.to_bytes();
            let begin = datagram.len() - trimmed_start(&datagram).len();
            prop_assert_eq!(&datagram[begin..begin + printed.len()], &printed[..]);
        }
    }

    #[test]
    fn well_formed_fields_are_all_kept(text in well_formed()) {
        let message = Message::parse_datagram(Bytes::from(text.clone())).unwrap();
        read_all(&message);
        prop_assert_eq!(message.to_bytes(), Bytes::from(text));
    }

    /// Reading what a URI prints gives the same URI, however strange the text that it came from.
    #[test]
    fn uris_are_read_back_as_they_print(text in "(sip|sips|tel|urn|x-y):[a-z0-9@;=?&:%.\\[\\]+,/-]{0,40}") {
        if let Ok(uri) = text.parse::<Uri>() {
            let printed = uri.to_string();
            prop_assert_eq!(&printed.parse::<Uri>().unwrap(), &uri);
            prop_assert!(uri.is_equivalent_to(&uri));
        }
    }

    /// Reading what an address prints gives the same address.
    #[test]
    fn addresses_are_read_back_as_they_print(text in "(\"[^\r\n\0]{0,10}\" ?)?<sip:[a-z]{1,5}@[a-z]{1,5}>(;[a-z]{1,3}(=([a-z]{1,3}|\"[^\r\n\0]{0,6}\"))?){0,3}") {
        let datagram = format!("OPTIONS sip:a@example.com SIP/2.0\r\nTo: {text}\r\n\r\n");
        let message = Message::parse_datagram(Bytes::from(datagram)).unwrap();
        if let Ok(address) = message.headers().to() {
            let mut again = message.clone();
            again.headers_mut().set_value(HeaderName::To, &address);
            prop_assert_eq!(again.headers().to().unwrap(), address);
        }
    }
}

fn trimmed_start(mut bytes: &[u8]) -> &[u8] {
    while let Some(rest) = bytes.strip_prefix(b"\r\n") {
        bytes = rest;
    }
    bytes
}

#[test]
fn long_lists_are_read_to_their_end() {
    let list = vec!["<sip:a@example.com;lr>"; 2500].join(",");
    let datagram = format!("OPTIONS sip:a@example.com SIP/2.0\r\nRecord-Route: {list}\r\n\r\n");
    let message = Message::parse_datagram(Bytes::from(datagram)).unwrap();
    assert_eq!(
        message
            .headers()
            .values::<NameAddr>(&HeaderName::RecordRoute)
            .filter(Result::is_ok)
            .count(),
        2500
    );
}
