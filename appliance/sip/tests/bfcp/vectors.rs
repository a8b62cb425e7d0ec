//! Messages written octet by octet from RFC 8855 sections 5.1 to 5.3, not by our encoder.

use std::time::{Duration, Instant};

use sip::bfcp::{
    ConferenceId, Content, DecodeError, ErrorCode, FloorId, FloorRequestId,
    FloorRequestInformation, FramingError, Message, Priority, QueuedStatus, Reassembler,
    RequestStatus, StatusInformation, StreamFramer, TransactionId, TransactionRole, Undecodable,
    UserId, UserInformation, timers,
};

fn message(role: TransactionRole, content: Content) -> Message {
    Message {
        conference: ConferenceId(0x0102_0304),
        transaction: TransactionId(0x0506),
        user: UserId(0x0708),
        role,
        content,
    }
}

fn from_initiator(content: Content) -> Message {
    message(TransactionRole::Initiator, content)
}

fn from_responder(content: Content) -> Message {
    message(TransactionRole::Responder, content)
}

/// Version 2, as over UDP: flags, primitive, words; conference, transaction and user as above.
fn datagram(flags: u8, primitive: u8, words: u8, payload: &[u8]) -> Vec<u8> {
    let ids = [1, 2, 3, 4, 5, 6, 7, 8];
    [&[flags, primitive, 0, words], &ids[..], payload].concat()
}

fn decode(bytes: &[u8]) -> Result<Message, Undecodable> {
    Reassembler::default()
        .push(Instant::now(), bytes)
        .map(Option::unwrap)
}

fn stands(status: RequestStatus, queue_position: u8) -> Option<QueuedStatus> {
    Some(QueuedStatus {
        status,
        queue_position,
    })
}

const INITIATOR: u8 = 0x40;
const RESPONDER: u8 = 0x50;

/// Request 9, granted, for floor 0x0a0b of user 3 "Anna"; by user 4; priority 4; "hi".
const INFORMATION: [u8; 56] = [
    0x1f, 56, 0, 9, // FLOOR-REQUEST-INFORMATION (15), M
    0x25, 8, 0, 9, 0x0b, 4, 3, 0, // OVERALL-REQUEST-STATUS (18): REQUEST-STATUS Granted
    0x23, 12, 0x0a, 0x0b, 0x0b, 4, 2, 1, 0x13, 3, b'x',
    0, // FLOOR-REQUEST-STATUS, Accepted 1, "x"
    0x1d, 12, 0, 3, 0x19, 6, b'A', b'n', b'n', b'a', 0, 0, // BENEFICIARY-INFORMATION
    0x21, 12, 0, 4, 0x1b, 7, b's', b'i', b'p', b':', b'b', 0, // REQUESTED-BY-INFORMATION
    0x09, 4, 0x80, 0, // PRIORITY 4
    0x11, 4, b'h', b'i', // PARTICIPANT-PROVIDED-INFO
];

fn information() -> FloorRequestInformation {
    FloorRequestInformation {
        request: FloorRequestId(9),
        overall: Some(StatusInformation {
            id: FloorRequestId(9),
            status: stands(RequestStatus::Granted, 0),
            info: None,
        }),
        floors: vec![StatusInformation {
            id: FloorId(0x0a0b),
            status: stands(RequestStatus::Accepted, 1),
            info: Some("x".into()),
        }],
        beneficiary: Some(UserInformation {
            user: UserId(3),
            display_name: Some("Anna".into()),
            uri: None,
        }),
        requested_by: Some(UserInformation {
            user: UserId(4),
            display_name: None,
            uri: Some("sip:b".into()),
        }),
        priority: Priority::new(4),
        participant_info: Some("hi".into()),
    }
}

/// Every primitive: its number, who sends it, its payload, and what it says.
fn table() -> Vec<(u8, u8, Vec<u8>, Content)> {
    let with_floor = [&[0x05, 4, 0x0a, 0x0b][..], &INFORMATION].concat();
    let with_user = [&[0x1d, 4, 0, 3][..], &INFORMATION].concat();
    vec![
        (
            INITIATOR,
            1,
            vec![
                0x05, 4, 0, 1, 0x05, 4, 0, 2, // FLOOR-ID twice
                0x03, 4, 0, 7, // BENEFICIARY-ID
                0x11, 5, b'a', b'b', b'c', 0, 0, 0, // PARTICIPANT-PROVIDED-INFO
                0x09, 4, 0x20, 0, // PRIORITY 1
            ],
            Content::FloorRequest {
                floors: vec![FloorId(1), FloorId(2)],
                beneficiary: Some(UserId(7)),
                info: Some("abc".into()),
                priority: Priority::new(1),
            },
        ),
        (
            INITIATOR,
            2,
            vec![0x07, 4, 0x12, 0x34],
            Content::FloorRelease(FloorRequestId(0x1234)),
        ),
        (
            INITIATOR,
            3,
            vec![0x07, 4, 0x12, 0x34],
            Content::FloorRequestQuery(FloorRequestId(0x1234)),
        ),
        (
            RESPONDER,
            4,
            INFORMATION.to_vec(),
            Content::FloorRequestStatus(information()),
        ),
        (INITIATOR, 5, vec![], Content::UserQuery(None)),
        (
            INITIATOR,
            5,
            vec![0x03, 4, 0, 7],
            Content::UserQuery(Some(UserId(7))),
        ),
        (
            RESPONDER,
            6,
            with_user,
            Content::UserStatus {
                beneficiary: Some(UserInformation::of(UserId(3))),
                requests: vec![information()],
            },
        ),
        (
            INITIATOR,
            7,
            vec![0x05, 4, 0x0a, 0x0b],
            Content::FloorQuery(vec![FloorId(0x0a0b)]),
        ),
        (
            INITIATOR,
            8,
            with_floor,
            Content::FloorStatus {
                floors: vec![FloorId(0x0a0b)],
                requests: vec![information()],
            },
        ),
        (
            INITIATOR,
            9,
            INFORMATION.to_vec(),
            Content::ChairAction(information()),
        ),
        (RESPONDER, 10, vec![], Content::ChairActionAck),
        (INITIATOR, 11, vec![], Content::Hello),
        (
            RESPONDER,
            12,
            vec![0x17, 5, 1, 2, 17, 0, 0, 0, 0x15, 4, 2 << 1, 18 << 1],
            Content::HelloAck {
                primitives: vec![1, 2, 17],
                attributes: vec![2, 18],
            },
        ),
        (
            RESPONDER,
            13,
            vec![0x0d, 3, 7, 0, 0x0f, 4, b'n', b'o'],
            Content::Error {
                code: ErrorCode::FloorRequestIdDoesNotExist,
                info: Some("no".into()),
            },
        ),
        (
            RESPONDER,
            13,
            vec![0x0d, 5, 4, 100 << 1, 127 << 1, 0, 0, 0],
            Content::Error {
                code: ErrorCode::UnknownMandatoryAttribute(vec![100, 127]),
                info: None,
            },
        ),
        (RESPONDER, 14, vec![], Content::FloorRequestStatusAck),
        (RESPONDER, 15, vec![], Content::FloorStatusAck),
        (INITIATOR, 16, vec![], Content::Goodbye),
        (RESPONDER, 17, vec![], Content::GoodbyeAck),
    ]
}

#[test]
fn every_primitive_is_written_and_read_as_the_tables_say() {
    for (flags, primitive, payload, content) in table() {
        let words = u8::try_from(payload.len() / 4).unwrap();
        let bytes = datagram(flags, primitive, words, &payload);
        let message = if flags == RESPONDER {
            from_responder(content)
        } else {
            from_initiator(content)
        };
        assert_eq!(decode(&bytes).as_ref(), Ok(&message));
        assert_eq!(message.to_datagrams(1_200), [bytes], "{message:?}");
    }
}

#[test]
fn over_a_stream_the_version_is_1_and_there_is_no_responder_bit() {
    for (_, primitive, payload, content) in table() {
        let words = u8::try_from(payload.len() / 4).unwrap();
        let bytes = datagram(0x20, primitive, words, &payload);
        let mut framer = StreamFramer::default();
        // One octet at a time: a read need not be a message.
        for octet in &bytes[..bytes.len() - 1] {
            framer.push(&[*octet]);
            assert_eq!(framer.next_message(), Ok(None));
        }
        framer.push(&bytes[bytes.len() - 1..]);
        let message = framer.next_message().unwrap().unwrap();
        assert_eq!(message.content, content);
        assert_eq!(message.to_stream(), bytes);
        assert_eq!(framer.next_message(), Ok(None));
    }
}

#[test]
fn over_a_stream_the_bits_of_responders_and_fragments_mean_nothing() {
    let mut framer = StreamFramer::default();
    for flags in [0x30, 0x28, 0x38, 0x27] {
        framer.push(&datagram(flags, 11, 0, &[]));
        let read = framer.next_message().unwrap().unwrap();
        assert_eq!(read, from_initiator(Content::Hello), "{flags:#x}");
    }
}

#[test]
fn a_priority_above_the_highest_is_the_highest() {
    for (written, read) in [(0_u8, 0), (4, 4), (5, 4), (6, 4), (7, 4)] {
        // FLOOR-ID 1, then PRIORITY in the upper three bits (section 5.2.4).
        let payload = [0x05, 4, 0, 1, 0x09, 4, written << 5, 0];
        let message = decode(&datagram(INITIATOR, 1, 2, &payload)).unwrap();
        let Content::FloorRequest { priority, .. } = message.content else {
            panic!("{message:?}");
        };
        assert_eq!(priority, Priority::new(read), "{written}");
    }
}

#[test]
fn what_a_server_sends_by_itself_over_a_stream_has_transaction_0() {
    let status = Content::FloorStatus {
        floors: vec![FloorId(1)],
        requests: vec![],
    };
    for (transaction, role) in [
        (TransactionId::UNACKNOWLEDGED, TransactionRole::Initiator),
        (TransactionId(9), TransactionRole::Responder),
    ] {
        let message = Message {
            transaction,
            ..message(role, status.clone())
        };
        let mut framer = StreamFramer::default();
        framer.push(&message.to_stream());
        assert_eq!(framer.next_message(), Ok(Some(message)));
    }
}

#[test]
fn unknown_attributes_are_skipped_unless_they_must_be_understood() {
    let floor = [0x05, 4, 0, 1];
    let unknown = [100 << 1, 3, 9, 0];
    let payload = [unknown, floor].concat();
    let content = decode(&datagram(INITIATOR, 7, 2, &payload))
        .unwrap()
        .content;
    assert_eq!(content, Content::FloorQuery(vec![FloorId(1)]));

    let mandatory = [
        [101 << 1 | 1, 2, 0, 0],
        [100 << 1 | 1, 3, 9, 0],
        [100 << 1 | 1, 3, 8, 0],
    ]
    .concat();
    let error = decode(&datagram(INITIATOR, 7, 3, &mandatory)).unwrap_err();
    assert_eq!(
        error.why.code(),
        ErrorCode::UnknownMandatoryAttribute(vec![100, 101])
    );
    assert_eq!(error.header.unwrap().transaction, TransactionId(0x0506));
}

#[test]
fn a_mandatory_attribute_within_another_counts_too() {
    let user = [0x1d, 8, 0, 3, 99 << 1 | 1, 2, 0, 0];
    let error = decode(&datagram(RESPONDER, 6, 2, &user)).unwrap_err();
    assert_eq!(error.why, DecodeError::UnknownMandatoryAttribute(vec![99]));
}

#[test]
fn what_is_malformed_has_its_error_code() {
    use ErrorCode as E;
    let table: &[(&str, Vec<u8>, ErrorCode)] = &[
        (
            "version 1 over UDP",
            datagram(0x20, 11, 0, &[]),
            E::UnsupportedVersion,
        ),
        (
            "version 7",
            datagram(0xe0, 11, 0, &[]),
            E::UnsupportedVersion,
        ),
        (
            "no such primitive",
            datagram(INITIATOR, 18, 0, &[]),
            E::UnknownPrimitive,
        ),
        (
            "primitive 0",
            datagram(INITIATOR, 0, 0, &[]),
            E::UnknownPrimitive,
        ),
        (
            "less than it says",
            datagram(INITIATOR, 11, 1, &[]),
            E::IncorrectMessageLength,
        ),
        (
            "more than it says",
            datagram(INITIATOR, 11, 0, &[0; 4]),
            E::IncorrectMessageLength,
        ),
        (
            "an attribute of no length",
            datagram(INITIATOR, 7, 1, &[5, 0, 0, 1]),
            E::UnableToParse,
        ),
        (
            "an attribute of one octet",
            datagram(INITIATOR, 7, 1, &[5, 1, 0, 1]),
            E::UnableToParse,
        ),
        (
            "an attribute that breaks off",
            datagram(INITIATOR, 7, 1, &[5, 8, 0, 1]),
            E::UnableToParse,
        ),
        (
            "a floor of one octet",
            datagram(INITIATOR, 7, 1, &[5, 3, 0, 0]),
            E::UnableToParse,
        ),
        (
            "a request for no floor",
            datagram(INITIATOR, 1, 0, &[]),
            E::UnableToParse,
        ),
        (
            "a release of nothing",
            datagram(INITIATOR, 2, 0, &[]),
            E::UnableToParse,
        ),
        (
            "a group without its number",
            datagram(RESPONDER, 6, 1, &[0x1d, 3, 0, 0]),
            E::UnableToParse,
        ),
        (
            "an error without a code",
            datagram(RESPONDER, 13, 0, &[]),
            E::UnableToParse,
        ),
        (
            "a status of one octet",
            datagram(
                RESPONDER,
                4,
                3,
                &[0x1f, 12, 0, 9, 0x25, 8, 0, 9, 0x0b, 3, 3, 0],
            ),
            E::UnableToParse,
        ),
    ];
    for (what, bytes, code) in table {
        let error = decode(bytes).unwrap_err();
        assert_eq!(error.why.code(), *code, "{what}");
        assert!(error.header.is_some(), "{what}");
    }
    for length in 0..12 {
        let error = decode(&datagram(INITIATOR, 11, 0, &[])[..length]).unwrap_err();
        assert_eq!(error.header, None);
        assert_eq!(error.why, DecodeError::Truncated(length));
    }
}

#[test]
fn a_stream_goes_on_after_a_message_that_cannot_be_read_but_not_after_a_lost_boundary() {
    let mut framer = StreamFramer::default();
    framer.push(&datagram(0x20, 99, 1, &[5, 4, 0, 1]));
    framer.push(&datagram(0x20, 11, 0, &[]));
    assert!(matches!(
        framer.next_message(),
        Err(FramingError::Message(_))
    ));
    assert_eq!(
        framer.next_message().unwrap().unwrap().content,
        Content::Hello
    );

    // Another version, an attribute that breaks off, one of the wrong size, and a message longer than any.
    let broken = datagram(0x20, 7, 1, &[5, 8, 0, 1]);
    let of_wrong_size = datagram(0x20, 2, 1, &[7, 3, 0, 0]);
    for bad in [datagram(0x40, 11, 0, &[]), broken, of_wrong_size, {
        let mut endless = datagram(0x20, 11, 0, &[]);
        endless[2] = 0xff;
        endless
    }] {
        let mut framer = StreamFramer::default();
        framer.push(&bad);
        assert!(matches!(framer.next_message(), Err(FramingError::Lost(_))));
        framer.push(&datagram(0x20, 11, 0, &[]));
        assert_eq!(framer.next_message(), Ok(None));
    }
}

/// A FloorQuery for two floors in two datagrams.
fn fragments() -> [Vec<u8>; 2] {
    let head = |offset: u8, floor: u8| {
        let ids = [1, 2, 3, 4, 5, 6, 7, 8];
        [
            &[0x48, 7, 0, 2][..],
            &ids,
            &[0, offset, 0, 1],
            &[0x05, 4, 0, floor],
        ]
        .concat()
    };
    [head(0, 1), head(1, 2)]
}

#[test]
fn a_message_in_fragments_is_written_and_read_as_the_header_says() {
    let query = from_initiator(Content::FloorQuery(vec![FloorId(1), FloorId(2)]));
    assert_eq!(query.to_datagrams(19), fragments());
    let [first, second] = fragments();
    for order in [[&first, &second], [&second, &first]] {
        let mut reassembler = Reassembler::default();
        let now = Instant::now();
        assert_eq!(reassembler.push(now, order[0]), Ok(None));
        assert_eq!(reassembler.push(now, order[0]), Ok(None), "twice is once");
        assert_eq!(reassembler.push(now, order[1]), Ok(Some(query.clone())));
    }
}

/// The same fragment, of another transaction.
fn of_transaction(fragment: &[u8], transaction: u8) -> Vec<u8> {
    let mut bytes = fragment.to_vec();
    bytes[9] = transaction;
    bytes
}

#[test]
fn fragments_of_two_messages_are_not_put_together_but_each_with_its_own() {
    let [first, second] = fragments();
    let query = from_initiator(Content::FloorQuery(vec![FloorId(1), FloorId(2)]));
    let other = Message {
        transaction: TransactionId(0x054d),
        ..query.clone()
    };
    let now = Instant::now();
    let mut reassembler = Reassembler::default();
    assert_eq!(reassembler.push(now, &first), Ok(None));
    let other_second = of_transaction(&second, 0x4d);
    assert_eq!(reassembler.push(now, &other_second), Ok(None));
    assert_eq!(reassembler.push(now, &second), Ok(Some(query)));
    let other_first = of_transaction(&first, 0x4d);
    assert_eq!(reassembler.push(now, &other_first), Ok(Some(other)));
}

#[test]
fn a_fragment_is_kept_for_t2_from_the_first_of_its_message_and_no_longer() {
    let [first, second] = fragments();
    let start = Instant::now();
    let almost = start + timers::T2 - Duration::from_millis(1);
    let mut reassembler = Reassembler::default();
    assert_eq!(reassembler.push(start, &first), Ok(None));
    assert!(matches!(reassembler.push(almost, &second), Ok(Some(_))));
    let mut reassembler = Reassembler::default();
    assert_eq!(reassembler.push(start, &first), Ok(None));
    // The same part again does not begin the time anew.
    assert_eq!(reassembler.push(almost, &first), Ok(None));
    assert_eq!(reassembler.push(start + timers::T2, &second), Ok(None));
}

#[test]
fn beginnings_of_many_messages_push_out_the_oldest_one_only() {
    let [first, second] = fragments();
    let mut reassembler = Reassembler::default();
    let now = Instant::now();
    for transaction in 0..5 {
        let begun = of_transaction(&first, transaction);
        assert_eq!(reassembler.push(now, &begun), Ok(None));
    }
    for transaction in 1..5 {
        let whole = reassembler.push(now, &of_transaction(&second, transaction));
        assert!(matches!(whole, Ok(Some(_))), "{transaction}: {whole:?}");
    }
    assert_eq!(reassembler.push(now, &of_transaction(&second, 0)), Ok(None));
}

#[test]
fn every_fragment_is_smaller_than_the_path_takes_and_counts_in_words_without_headers() {
    let floors: Vec<_> = (0..100).map(FloorId).collect();
    let query = from_initiator(Content::FloorQuery(floors));
    for limit in [20, 41, 64, 200] {
        let mut words = 0;
        for datagram in query.to_datagrams(limit) {
            assert!(datagram.len() <= limit);
            let number =
                |at: usize| usize::from(datagram[at]) * 256 + usize::from(datagram[at + 1]);
            assert_eq!(datagram[0], 0x48, "version 2, F");
            assert_eq!(number(2), 100, "the length of the whole message");
            assert_eq!(number(12), words, "what the fragments before it hold");
            assert_eq!(number(14) * 4, datagram.len() - 16, "what this one holds");
            words += number(14);
        }
        assert_eq!(words, 100);
    }
}

#[test]
fn a_fragment_that_does_not_fit_its_message_is_an_incorrect_length() {
    let [good, _] = fragments();
    let change = |index: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[index] = value;
        bytes
    };
    let table = [
        ("beyond the payload", change(13, 2)),
        ("longer than the datagram", change(15, 2)),
        ("of no length", change(15, 0)),
        ("of a message too large to keep", change(2, 0xff)),
    ];
    for (what, bytes) in table {
        let error = Reassembler::default()
            .push(Instant::now(), &bytes)
            .unwrap_err();
        assert_eq!(
            error.why.code(),
            ErrorCode::IncorrectMessageLength,
            "{what}"
        );
    }
    // The F bit without room for its fields.
    assert!(
        Reassembler::default()
            .push(Instant::now(), &good[..14])
            .is_err()
    );
}
