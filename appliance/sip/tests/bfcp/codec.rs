//! Whatever is written is read again; whatever is read does not panic.

use std::time::Instant;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sip::bfcp::{
    ConferenceId, Content, ErrorCode, FloorId, FloorRequestId, FloorRequestInformation, Message,
    Priority, QueuedStatus, Reassembler, RequestStatus, StatusInformation, StreamFramer,
    TransactionId, TransactionRole, UserId, UserInformation,
};

/// Short enough that a request's information stays within its 255 octets.
fn text() -> impl Strategy<Value = Option<String>> {
    option::of("[a-z\u{e9}\u{4f1a}]{0,6}")
}

fn status() -> impl Strategy<Value = Option<QueuedStatus>> {
    option::of(
        (any::<u8>(), any::<u8>()).prop_map(|(status, queue_position)| QueuedStatus {
            status: RequestStatus::from_number(status),
            queue_position,
        }),
    )
}

fn user() -> impl Strategy<Value = UserInformation> {
    (any::<u16>(), text(), text()).prop_map(|(user, display_name, uri)| UserInformation {
        user: UserId(user),
        display_name,
        uri,
    })
}

fn stands<Id>(id: impl Fn(u16) -> Id) -> impl Strategy<Value = StatusInformation<Id>>
where
    Id: std::fmt::Debug,
{
    (any::<u16>(), status(), text()).prop_map(move |(number, status, info)| StatusInformation {
        id: id(number),
        status,
        info,
    })
}

fn priority() -> impl Strategy<Value = Option<Priority>> {
    (0_u8..6).prop_map(Priority::new)
}

fn request() -> impl Strategy<Value = FloorRequestInformation> {
    (
        any::<u16>(),
        option::of(stands(FloorRequestId)),
        vec(stands(FloorId), 0..2),
        option::of(user()),
        option::of(user()),
        priority(),
        text(),
    )
        .prop_map(
            |(request, overall, floors, beneficiary, requested_by, priority, participant_info)| {
                FloorRequestInformation {
                    request: FloorRequestId(request),
                    overall,
                    floors,
                    beneficiary,
                    requested_by,
                    priority,
                    participant_info,
                }
            },
        )
}

fn floors(least: usize) -> impl Strategy<Value = Vec<FloorId>> {
    vec(any::<u16>().prop_map(FloorId), least..4)
}

fn error() -> impl Strategy<Value = ErrorCode> {
    prop_oneof![
        Just(ErrorCode::UseTls),
        Just(ErrorCode::Generic),
        vec(0_u8..128, 0..9).prop_map(ErrorCode::UnknownMandatoryAttribute),
        (15_u8..).prop_map(ErrorCode::Other),
    ]
}

fn content() -> impl Strategy<Value = Content> {
    let id = || any::<u16>().prop_map(FloorRequestId);
    let user_id = || option::of(any::<u16>().prop_map(UserId));
    prop_oneof![
        (floors(1), user_id(), option::of(".{0,60}"), priority()).prop_map(
            |(floors, beneficiary, info, priority)| Content::FloorRequest {
                floors,
                beneficiary,
                info,
                priority
            }
        ),
        id().prop_map(Content::FloorRelease),
        id().prop_map(Content::FloorRequestQuery),
        request().prop_map(Content::FloorRequestStatus),
        user_id().prop_map(Content::UserQuery),
        (option::of(user()), vec(request(), 0..20)).prop_map(|(beneficiary, requests)| {
            Content::UserStatus {
                beneficiary,
                requests,
            }
        }),
        floors(0).prop_map(Content::FloorQuery),
        (floors(0), vec(request(), 0..20))
            .prop_map(|(floors, requests)| Content::FloorStatus { floors, requests }),
        request().prop_map(Content::ChairAction),
        Just(Content::ChairActionAck),
        Just(Content::Hello),
        (vec(any::<u8>(), 0..20), vec(0_u8..128, 0..20)).prop_map(|(primitives, attributes)| {
            Content::HelloAck {
                primitives,
                attributes,
            }
        }),
        (error(), option::of(".{0,60}")).prop_map(|(code, info)| Content::Error { code, info }),
        Just(Content::FloorRequestStatusAck),
        Just(Content::FloorStatusAck),
        Just(Content::Goodbye),
        Just(Content::GoodbyeAck),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let role = prop::sample::select(vec![TransactionRole::Initiator, TransactionRole::Responder]);
    (any::<u32>(), any::<u16>(), any::<u16>(), role, content()).prop_map(
        |(conference, transaction, user, role, content)| Message {
            conference: ConferenceId(conference),
            transaction: TransactionId(transaction),
            user: UserId(user),
            role,
            content,
        },
    )
}

proptest! {
    #[test]
    fn a_message_comes_back_from_datagrams_of_any_size_in_any_order(
        message in message(),
        max_bytes in 0_usize..1_500,
        seed in any::<usize>(),
    ) {
        let mut datagrams = message.to_datagrams(max_bytes);
        prop_assert!(datagrams.iter().all(|bytes| bytes.len() <= max_bytes.max(20)));
        let middle = seed % datagrams.len();
        datagrams.rotate_left(middle);
        let mut reassembler = Reassembler::default();
        let now = Instant::now();
        let (last, earlier) = datagrams.split_last().unwrap();
        for datagram in earlier {
            prop_assert_eq!(reassembler.push(now, datagram), Ok(None));
        }
        prop_assert_eq!(reassembler.push(now, last), Ok(Some(message)));
    }

    #[test]
    fn messages_come_back_from_a_stream_however_it_is_cut(
        messages in vec(message(), 1..4),
        piece in 1_usize..200,
    ) {
        let stream: Vec<u8> = messages.iter().flat_map(Message::to_stream).collect();
        let mut framer = StreamFramer::default();
        let mut read = Vec::new();
        for bytes in stream.chunks(piece) {
            framer.push(bytes);
            while let Some(message) = framer.next_message().unwrap() {
                read.push((message.transaction, message.content));
            }
        }
        let written: Vec<_> = messages
            .into_iter()
            .map(|message| (message.transaction, message.content))
            .collect();
        prop_assert_eq!(read, written);
    }

    #[test]
    fn texts_of_any_length_are_cut_between_characters_and_never_break_a_message(
        info in "\\PC{0,300}",
        name in "\\PC{0,300}",
    ) {
        let information = FloorRequestInformation {
            request: FloorRequestId(1),
            overall: None,
            floors: vec![],
            beneficiary: Some(UserInformation {
                user: UserId(2),
                display_name: Some(name.clone()),
                uri: None,
            }),
            requested_by: None,
            priority: None,
            participant_info: Some(info.clone()),
        };
        for content in [
            Content::FloorRequestStatus(information),
            Content::Error { code: ErrorCode::Generic, info: Some(info.clone()) },
        ] {
            let message = Message {
                conference: ConferenceId(1),
                transaction: TransactionId(1),
                user: UserId(1),
                role: TransactionRole::Responder,
                content,
            };
            let bytes = message.to_datagrams(10_000);
            let read = Reassembler::default().push(Instant::now(), &bytes[0]).unwrap().unwrap();
            match read.content {
                Content::FloorRequestStatus(read) => {
                    prop_assert_eq!(read.request, FloorRequestId(1));
                    let shown = read.beneficiary.and_then(|user| user.display_name);
                    prop_assert!(shown.is_none_or(|shown| name.starts_with(&shown)));
                }
                Content::Error { info: Some(read), .. } => {
                    prop_assert!(info.starts_with(&read));
                    prop_assert!(read.len() > 249 || read == info);
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    #[test]
    fn random_bytes_and_damaged_messages_never_panic(
        message in message(),
        at in any::<prop::sample::Index>(),
        octet in any::<u8>(),
        noise in vec(any::<u8>(), 0..80),
    ) {
        let mut reassembler = Reassembler::default();
        let mut framer = StreamFramer::default();
        let mut damaged = message.to_stream().to_vec();
        let at = at.index(damaged.len());
        damaged[at] = octet;
        for bytes in [&damaged, &noise] {
            let _ = reassembler.push(Instant::now(), bytes);
            framer.push(bytes);
            for _ in 0..10 {
                let _ = framer.next_message();
            }
        }
    }
}
