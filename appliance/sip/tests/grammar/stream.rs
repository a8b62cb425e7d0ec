//! Messages out of a byte stream, however it is cut.

use bytes::Bytes;
use proptest::prelude::*;
use sip::error::MessageFault;
use sip::grammar::{
    FramingError, MAX_BODY_BYTES, MAX_HEAD_BYTES, Message, StreamFramer, StreamItem,
};

use crate::wire;

fn message(subject: &str, body: &str) -> Bytes {
    let head = format!(
        "MESSAGE sip:a@example.com SIP/2.0\nSubject: {subject}\nl: {}\n\n",
        body.len()
    );
    [&wire(&head)[..], body.as_bytes()].concat().into()
}

/// What comes out of `chunks`: the bytes of messages, `ping`, `pong`, or the error's text.
fn items(chunks: &[&[u8]]) -> Vec<Bytes> {
    let mut framer = StreamFramer::new();
    let mut items = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        loop {
            match framer.next_item() {
                Ok(Some(StreamItem::Message(message))) => items.push(message.to_bytes()),
                Ok(Some(StreamItem::Ping)) => items.push(Bytes::from_static(b"ping")),
                Ok(Some(StreamItem::Pong)) => items.push(Bytes::from_static(b"pong")),
                Ok(None) => break,
                Err(FramingError::Message(error)) => items.push(error.to_string().into()),
                Err(FramingError::Lost(error)) => {
                    items.push(format!("lost: {error}").into());
                    break;
                }
                Err(FramingError::Closed) => break,
            }
        }
    }
    items
}

#[test]
fn messages_come_out_one_by_one() {
    let (one, two) = (message("one", "first body"), message("two", ""));
    assert_eq!(items(&[&[&one[..], &two[..]].concat()]), [one, two]);
}

#[test]
fn a_message_may_come_byte_by_byte() {
    let bytes = message("slow", "body\r\n\r\nmore");
    let chunks: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(items(&chunks), [bytes]);
}

#[test]
fn a_double_line_end_is_a_ping_and_a_single_one_a_pong() {
    assert_eq!(items(&[b"\r\n\r\n"]), ["ping"]);
    assert_eq!(items(&[b"\r\n"]), ["pong"]);
    assert_eq!(items(&[b"\r\n\r\n\r\n\r\n"]), ["ping", "ping"]);
    assert_eq!(
        items(&[b"\r\n", b"\r\n"]),
        ["pong", "ping"],
        "only the second half makes it a ping"
    );
    let bytes = message("after", "");
    assert_eq!(
        items(&[b"\r\n\r\n", &bytes]),
        [Bytes::from_static(b"ping"), bytes.clone()]
    );
    assert_eq!(
        items(&[b"\r\n", &bytes, b"\r\n"]),
        [
            Bytes::from_static(b"pong"),
            bytes,
            Bytes::from_static(b"pong")
        ]
    );
}

#[test]
fn a_bad_message_with_a_known_end_does_not_end_the_stream() {
    let bad = wire("MESSAGE <sip:a@example.com> SIP/2.0\nl: 4\n\nbody");
    let good = message("good", "");
    let items = items(&[&[&bad[..], &good[..]].concat()]);
    assert_eq!(items.len(), 2);
    assert!(items[0].starts_with(b"start line"), "{:?}", items[0]);
    assert_eq!(items[1], good);
}

#[test]
fn the_stream_is_lost_when_an_end_cannot_be_told() {
    let missing = wire("MESSAGE sip:a@example.com SIP/2.0\nSubject: x\n\n");
    let negative = wire("MESSAGE sip:a@example.com SIP/2.0\nl: -1\n\n");
    let double = wire("MESSAGE sip:a@example.com SIP/2.0\nl: 1\nl: 2\n\n");
    let long = wire(&format!(
        "MESSAGE sip:a@example.com SIP/2.0\nl: {}\n\n",
        MAX_BODY_BYTES + 1
    ));
    let bare = Bytes::from_static(b"MESSAGE sip:a@example.com SIP/2.0\nl: 0\r\n\r\n");
    let good = message("never seen", "");
    for bad in [missing, negative, double, long, bare] {
        let items = items(&[&bad, &good]);
        assert_eq!(items.len(), 1, "{items:?}");
        assert!(items[0].starts_with(b"lost: "), "{:?}", items[0]);
    }
}

#[test]
fn a_head_without_end_is_not_collected_for_ever() {
    let mut framer = StreamFramer::new();
    framer.push(b"MESSAGE sip:a@example.com SIP/2.0\r\n");
    let line = [b"Subject: ".as_slice(), &[b'x'; 1000], b"\r\n"].concat();
    for _ in 0..MAX_HEAD_BYTES / line.len() {
        framer.push(&line);
        assert!(matches!(framer.next_item(), Ok(None)));
    }
    framer.push(&line);
    let Err(FramingError::Lost(error)) = framer.next_item() else {
        panic!("the head is too long by now");
    };
    assert_eq!(error.fault, MessageFault::HeadTooLong);
    assert!(matches!(framer.next_item(), Err(FramingError::Closed)));
}

#[test]
fn a_lost_request_can_still_be_answered() {
    let mut framer = StreamFramer::new();
    framer.push(&wire("MESSAGE sip:a@example.com SIP/2.0\nCall-ID: x\n\n"));
    let Err(FramingError::Lost(error)) = framer.next_item() else {
        panic!("Content-Length is missing");
    };
    assert_eq!(error.answerable.map(|headers| headers.len()), Some(1));
}

proptest! {
    /// Where the network cuts the stream changes nothing.
    #[test]
    fn segmentation_does_not_matter(bodies in proptest::collection::vec("[a-z\r\n]{0,40}", 1..6), cuts in proptest::collection::vec(1usize..60, 1..40)) {
        let messages: Vec<Bytes> = bodies.iter().map(|body| message("cut", body)).collect();
        let whole = messages.concat();
        let mut chunks = Vec::new();
        let mut rest = &whole[..];
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let (chunk, behind) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            chunks.push(chunk);
            rest = behind;
        }
        prop_assert_eq!(items(&chunks), messages);
    }

    /// Whatever comes: no panic, and the framer reads the same messages as the datagram parser.
    #[test]
    fn any_bytes_may_come(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..8)) {
        let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        for item in items(&chunks) {
            let _ = Message::parse_datagram(item);
        }
    }
}
