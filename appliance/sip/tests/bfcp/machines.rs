//! The two machines, one behaviour after the other.

use std::time::{Duration, Instant};

use netem::{LinkConditions, Loss, Probability};
use sip::bfcp::{
    ConferenceId, Content, ErrorCode, FloorEnd, FloorHolder, FloorId, FloorRequestId, Message,
    ParticipantEvent as E, ParticipantOutput, Reassembler, RequestStatus, Server, ServerEvent,
    ServerOutput, TransactionId, TransactionRole, UserId, WhenBusy, timers,
};
use sip::transaction::Reliability;

use crate::ends::{
    ANNA, BERT, CONFERENCE, Ends, FLOOR, OWNER, SERVER, address, participant, server,
};

const SECOND: Duration = Duration::from_secs(1);

fn dead() -> LinkConditions {
    LinkConditions {
        loss: Loss::Random(Probability::percent(100.0).unwrap()),
        ..LinkConditions::default()
    }
}

fn both() -> [Reliability; 2] {
    [Reliability::Unreliable, Reliability::Reliable]
}

fn over(reliability: Reliability, when_busy: WhenBusy) -> Ends {
    let conditions = LinkConditions::default();
    let mut ends = Ends::new(1, reliability, when_busy, conditions, &[ANNA, BERT]);
    ends.run(SECOND);
    assert_eq!(ends.news(ANNA), [E::Ready]);
    assert_eq!(ends.news(BERT), [E::Ready]);
    ends
}

#[test]
fn a_free_floor_is_granted_and_everybody_learns_who_has_it() {
    for reliability in both() {
        let mut ends = over(reliability, WhenBusy::Queue);
        ends.ask(ANNA);
        ends.run(SECOND);
        assert_eq!(
            ends.news(ANNA),
            [E::Granted, E::HolderChanged(FloorHolder::Us)]
        );
        assert_eq!(
            ends.news(BERT),
            [E::HolderChanged(FloorHolder::Other(Some(ANNA)))]
        );
        assert_eq!(ends.server.holder(), Some(ANNA));
        ends.give_back(ANNA);
        ends.run(SECOND);
        assert_eq!(
            ends.news(ANNA),
            [
                E::Ended(FloorEnd::Status(RequestStatus::Released)),
                E::HolderChanged(FloorHolder::Nobody)
            ]
        );
        assert_eq!(ends.news(BERT), [E::HolderChanged(FloorHolder::Nobody)]);
        assert_eq!(
            ends.server_events,
            [
                ServerEvent::HolderChanged(Some(ANNA)),
                ServerEvent::HolderChanged(None)
            ]
        );
    }
}

#[test]
fn a_request_for_a_taken_floor_waits_and_is_granted_in_turn() {
    for reliability in both() {
        let mut ends = over(reliability, WhenBusy::Queue);
        ends.ask(ANNA);
        ends.run(SECOND);
        ends.ask(BERT);
        ends.run(SECOND);
        assert_eq!(ends.news(BERT).last(), Some(&E::Queued(1)));
        assert!(ends.server_events.contains(&ServerEvent::Waits(BERT)));
        assert_eq!(ends.holders(), [ANNA]);
        ends.give_back(ANNA);
        ends.run(SECOND);
        assert_eq!(
            ends.news(BERT),
            [E::Granted, E::HolderChanged(FloorHolder::Us)]
        );
        assert_eq!(ends.holders(), [BERT]);
    }
}

#[test]
fn a_request_for_a_taken_floor_is_denied_where_the_owner_wants_that() {
    let mut ends = over(Reliability::Unreliable, WhenBusy::Deny);
    ends.ask(ANNA);
    ends.run(SECOND);
    ends.ask(BERT);
    ends.run(SECOND);
    assert_eq!(
        ends.news(BERT).last(),
        Some(&E::Ended(FloorEnd::Status(RequestStatus::Denied)))
    );
    ends.give_back(ANNA);
    ends.run(SECOND);
    assert_eq!(ends.server.holder(), None, "a denied request is not kept");
}

#[test]
fn who_waits_may_stop_waiting() {
    let mut ends = over(Reliability::Unreliable, WhenBusy::Queue);
    ends.ask(ANNA);
    ends.run(SECOND);
    ends.ask(BERT);
    ends.run(SECOND);
    ends.news(BERT);
    ends.give_back(BERT);
    ends.run(SECOND);
    assert_eq!(
        ends.news(BERT),
        [E::Ended(FloorEnd::Status(RequestStatus::Cancelled))]
    );
    ends.give_back(ANNA);
    ends.run(SECOND);
    assert_eq!(ends.server.holder(), None);
}

#[test]
fn the_owner_of_the_room_may_take_the_floor_away_and_turn_a_request_down() {
    for reliability in both() {
        let mut ends = over(reliability, WhenBusy::Queue);
        ends.ask(ANNA);
        ends.run(SECOND);
        ends.ask(BERT);
        ends.run(SECOND);
        ends.news(ANNA);
        ends.news(BERT);
        ends.chair(|server, now| server.revoke(now, BERT));
        ends.run(SECOND);
        assert_eq!(
            ends.news(BERT),
            [E::Ended(FloorEnd::Status(RequestStatus::Denied))]
        );
        ends.chair(|server, now| server.revoke(now, ANNA));
        ends.run(SECOND);
        assert_eq!(
            ends.news(ANNA),
            [
                E::Ended(FloorEnd::Status(RequestStatus::Revoked)),
                E::HolderChanged(FloorHolder::Nobody)
            ]
        );
        ends.run(60 * SECOND);
        assert_eq!(ends.server.holder(), None, "nobody asks again by itself");
    }
}

#[test]
fn the_owner_of_the_room_asks_like_everybody_else() {
    let mut ends = over(Reliability::Unreliable, WhenBusy::Queue);
    ends.ask(ANNA);
    ends.run(SECOND);
    let queued = ends.chair(Server::request_as_owner).unwrap();
    assert_eq!(queued.status, RequestStatus::Accepted);
    let again = ends.chair(Server::request_as_owner).unwrap();
    assert_eq!(again, queued, "asking twice is asking once");
    ends.give_back(ANNA);
    ends.run(SECOND);
    assert_eq!(ends.server.holder(), Some(OWNER));
    assert_eq!(
        ends.news(ANNA).last(),
        Some(&E::HolderChanged(FloorHolder::Other(Some(OWNER))))
    );
    ends.chair(Server::release_as_owner);
    ends.run(SECOND);
    assert_eq!(ends.server.holder(), None);
}

#[test]
fn asking_and_giving_back_again_and_again_is_asking_and_giving_back_once() {
    let mut ends = Ends::calm(&[ANNA]);
    for _ in 0..5 {
        ends.ask(ANNA);
    }
    ends.run(SECOND);
    let sent = ends.sent;
    ends.ask(ANNA);
    ends.run(SECOND);
    assert_eq!(ends.sent, sent, "what is so already needs no message");
    ends.give_back(ANNA);
    ends.give_back(ANNA);
    // Before the answer to the first: it is wanted again after all.
    ends.ask(ANNA);
    ends.run(SECOND);
    assert_eq!(ends.holders(), [ANNA]);
}

#[test]
fn who_leaves_has_nothing_any_more() {
    for reliability in both() {
        let mut ends = over(reliability, WhenBusy::Queue);
        ends.ask(ANNA);
        ends.run(SECOND);
        ends.ask(BERT);
        ends.leave(ANNA);
        ends.run(SECOND);
        assert_eq!(ends.server.holder(), Some(BERT));
        // Over a connection its end says so.
        let said_goodbye = ends.server_events.contains(&ServerEvent::Left(ANNA));
        assert_eq!(said_goodbye, reliability == Reliability::Unreliable);
        assert_eq!(ends.holders(), [BERT]);
        let sent = ends.sent;
        ends.give_back(BERT);
        ends.run(SECOND);
        assert!(ends.sent > sent);
        assert!(
            ends.news(ANNA)
                .iter()
                .all(|event| *event != E::HolderChanged(FloorHolder::Other(Some(BERT)))),
            "who has left is told no more"
        );
        // It may come back.
        ends.connect(ANNA);
        ends.ask(ANNA);
        ends.run(SECOND);
        assert_eq!(ends.holders(), [ANNA]);
    }
}

#[test]
fn a_request_is_sent_again_after_half_a_second_one_and_two_and_then_the_server_counts_as_gone() {
    let start = Instant::now();
    let mut anna = participant(ANNA, Reliability::Unreliable);
    anna.open(start);
    let sends = |anna: &mut sip::bfcp::Participant| {
        let outputs: Vec<_> = std::iter::from_fn(|| anna.poll_output()).collect();
        outputs
            .into_iter()
            .filter_map(|output| match output {
                ParticipantOutput::Send(bytes) => Some(bytes),
                ParticipantOutput::Event(_) => None,
            })
            .collect::<Vec<_>>()
    };
    let first = sends(&mut anna);
    assert_eq!(first.len(), 1);
    let mut at = Vec::new();
    for _ in 0..4 {
        let deadline = anna.next_deadline().unwrap();
        anna.handle_timeout(deadline);
        let again = sends(&mut anna);
        at.push(deadline - start);
        match at.len() {
            1..=3 => assert_eq!(again, first, "the same octets, transaction included"),
            _ => assert!(again.is_empty()),
        }
    }
    let ms = Duration::from_millis;
    assert_eq!(at, [ms(500), ms(1_500), ms(3_500), ms(7_500)]);
    // And it tries anew.
    let deadline = anna.next_deadline().unwrap();
    anna.handle_timeout(deadline);
    assert_eq!(sends(&mut anna).len(), 1);
}

#[test]
fn over_a_stream_nothing_is_sent_again_but_a_server_that_is_stuck_is_noticed() {
    let start = Instant::now();
    let mut anna = participant(ANNA, Reliability::Reliable);
    anna.open(start);
    assert!(matches!(
        anna.poll_output(),
        Some(ParticipantOutput::Send(_))
    ));
    assert_eq!(anna.next_deadline(), Some(start + timers::T2));
    anna.handle_timeout(start + timers::T2);
    assert_eq!(
        anna.poll_output(),
        Some(ParticipantOutput::Event(E::Failed))
    );
    assert_eq!(anna.next_deadline(), None, "the caller makes a new way");
}

#[test]
fn a_server_that_was_away_is_found_again_and_what_is_wanted_is_asked_for() {
    let mut ends = Ends::calm(&[ANNA]);
    let anna = std::net::SocketAddr::from(([127, 0, 0, 1], ANNA.0));
    let server = std::net::SocketAddr::from(([127, 0, 0, 1], 5_000));
    ends.network.set_conditions(anna, server, dead());
    ends.ask(ANNA);
    ends.run(20 * SECOND);
    assert!(ends.news(ANNA).contains(&E::Failed));
    ends.network
        .set_conditions(anna, server, LinkConditions::default());
    ends.run(30 * SECOND);
    assert_eq!(ends.holders(), [ANNA]);
}

#[test]
fn who_does_not_acknowledge_loses_the_floor_and_learns_it_when_it_is_back() {
    let mut ends = Ends::calm(&[ANNA, BERT]);
    ends.ask(ANNA);
    ends.run(SECOND);
    let anna = std::net::SocketAddr::from(([127, 0, 0, 1], ANNA.0));
    let server = std::net::SocketAddr::from(([127, 0, 0, 1], 5_000));
    ends.network.set_conditions(server, anna, dead());
    ends.network.set_conditions(anna, server, dead());
    ends.ask(BERT);
    ends.run(10 * SECOND);
    assert_eq!(ends.server.holder(), Some(BERT));
    assert!(ends.server_events.contains(&ServerEvent::Silent(ANNA)));
    assert_eq!(ends.holders(), [ANNA, BERT], "nobody could tell Anna");
    ends.network
        .set_conditions(server, anna, LinkConditions::default());
    ends.network
        .set_conditions(anna, server, LinkConditions::default());
    ends.run(60 * SECOND);
    assert_eq!(ends.holders(), [BERT]);
    let holder = ends.participants[&ANNA].machine.holder();
    assert_eq!(holder, FloorHolder::Other(Some(BERT)));
}

#[test]
fn a_broken_connection_gives_the_floor_back_and_a_new_one_says_so() {
    let mut ends = over(Reliability::Reliable, WhenBusy::Queue);
    ends.ask(ANNA);
    ends.run(SECOND);
    ends.break_stream(ANNA);
    ends.run(SECOND);
    assert_eq!(ends.server.holder(), None);
    ends.connect(ANNA);
    ends.run(SECOND);
    assert!(ends.news(ANNA).contains(&E::Ended(FloorEnd::Forgotten)));
    assert!(ends.holders().is_empty());
}

#[test]
fn a_connection_that_is_lost_leaves_the_requests_as_they_are_for_a_while() {
    let mut ends = over(Reliability::Reliable, WhenBusy::Queue);
    ends.ask(ANNA);
    ends.run(SECOND);
    ends.ask(BERT);
    ends.run(SECOND);
    ends.lose_stream(ANNA);
    ends.run(60 * SECOND);
    assert_eq!(ends.server.holder(), Some(ANNA), "Anna may come back");
    ends.connect(ANNA);
    ends.run(120 * SECOND);
    assert_eq!(ends.holders(), [ANNA], "and has come back");
    assert!(!ends.news(ANNA).contains(&E::Ended(FloorEnd::Forgotten)));

    ends.lose_stream(ANNA);
    ends.run(80 * SECOND);
    assert_eq!(ends.server.holder(), Some(BERT), "Anna is gone for good");
    ends.connect(ANNA);
    ends.run(SECOND);
    assert_eq!(ends.holders(), [BERT]);
    assert!(ends.news(ANNA).contains(&E::Ended(FloorEnd::Forgotten)));
}

#[test]
fn what_becomes_of_a_request_while_its_connection_is_lost_is_told_over_the_new_one() {
    let mut ends = over(Reliability::Reliable, WhenBusy::Queue);
    ends.ask(BERT);
    ends.run(SECOND);
    ends.ask(ANNA);
    ends.run(SECOND);
    ends.lose_stream(ANNA);
    ends.give_back(BERT);
    ends.run(SECOND);
    assert_eq!(ends.server.holder(), Some(ANNA));
    assert!(ends.holders().is_empty());
    ends.connect(ANNA);
    ends.run(SECOND);
    assert_eq!(ends.holders(), [ANNA]);
}

#[test]
fn signs_of_life_keep_the_way_open_while_nothing_happens() {
    for asks in [false, true] {
        let mut ends = Ends::calm(&[ANNA]);
        if asks {
            ends.ask(ANNA);
            ends.run(SECOND);
        }
        let sent = ends.sent;
        ends.run(60 * SECOND);
        assert_eq!(
            ends.sent - sent,
            4,
            "two questions in a minute, two answers"
        );
    }
}

/// Puts a message to a server that knows Anna, and reads the answers.
fn put(server: &mut Server, now: Instant, bytes: &[u8]) -> Vec<Message> {
    server.received(now, ANNA, bytes);
    let outputs: Vec<_> = std::iter::from_fn(|| server.poll_output()).collect();
    let mut messages = Vec::new();
    for output in outputs {
        if let ServerOutput::Send(user, bytes) = output {
            assert_eq!(user, ANNA);
            let message = Reassembler::default().push(now, &bytes).unwrap();
            messages.extend(message);
        }
    }
    messages
}

/// What the server answers Anna.
fn put_last(server: &mut Server, now: Instant, content: Content) -> Content {
    while server.poll_output().is_some() {}
    let request = from_anna(1, content).to_datagrams(1_200);
    let mut answers = put(server, now, &request[0]).into_iter();
    let answer = answers.find(|message| message.role == TransactionRole::Responder);
    answer.unwrap().content
}

fn from_anna(transaction: u16, content: Content) -> Message {
    Message {
        conference: CONFERENCE,
        transaction: TransactionId(transaction),
        user: ANNA,
        role: TransactionRole::Initiator,
        content,
    }
}

fn floor_request(floor: FloorId, beneficiary: Option<UserId>) -> Content {
    Content::FloorRequest {
        floors: vec![floor],
        beneficiary,
        info: None,
        priority: None,
    }
}

fn admitting() -> Server {
    let mut server = server(WhenBusy::Queue);
    server.admit(ANNA, Reliability::Unreliable);
    server
}

#[test]
fn requests_that_make_no_sense_are_refused_with_the_error_of_the_standard() {
    let stranger = Message {
        user: UserId(99),
        ..from_anna(1, Content::Hello)
    };
    let elsewhere = Message {
        conference: ConferenceId(1),
        ..from_anna(2, Content::Hello)
    };
    let information = sip::bfcp::FloorRequestInformation {
        request: FloorRequestId(1),
        overall: None,
        floors: vec![],
        beneficiary: None,
        requested_by: None,
        priority: None,
        participant_info: None,
    };
    let table = [
        (stranger, ErrorCode::UserDoesNotExist),
        (elsewhere, ErrorCode::ConferenceDoesNotExist),
        (
            from_anna(3, floor_request(FloorId(9), None)),
            ErrorCode::InvalidFloorId,
        ),
        (
            from_anna(4, Content::FloorQuery(vec![FloorId(9)])),
            ErrorCode::InvalidFloorId,
        ),
        (
            from_anna(5, floor_request(FLOOR, Some(OWNER))),
            ErrorCode::UnauthorizedOperation,
        ),
        (
            from_anna(6, Content::ChairAction(information)),
            ErrorCode::UnauthorizedOperation,
        ),
        (
            from_anna(7, Content::FloorRelease(FloorRequestId(77))),
            ErrorCode::FloorRequestIdDoesNotExist,
        ),
        (
            from_anna(8, Content::FloorRequestQuery(FloorRequestId(77))),
            ErrorCode::FloorRequestIdDoesNotExist,
        ),
        (
            from_anna(9, Content::UserQuery(Some(UserId(98)))),
            ErrorCode::UserDoesNotExist,
        ),
    ];
    let now = Instant::now();
    let mut server = admitting();
    for (request, code) in table {
        let answers = put(&mut server, now, &request.to_datagrams(1_200)[0]);
        let expected = Message {
            role: TransactionRole::Responder,
            content: Content::Error { code, info: None },
            ..request
        };
        assert_eq!(answers, [expected]);
    }
    assert_eq!(server.holder(), None);
}

#[test]
fn a_floor_of_somebody_else_cannot_be_released() {
    let now = Instant::now();
    let mut server = admitting();
    server.request_as_owner(now);
    let release = from_anna(1, Content::FloorRelease(FloorRequestId(1)));
    let answers = put(&mut server, now, &release.to_datagrams(1_200)[0]);
    let code = ErrorCode::UnauthorizedOperation;
    assert_eq!(answers[0].content, Content::Error { code, info: None });
    assert_eq!(server.holder(), Some(OWNER));
}

#[test]
fn a_second_request_of_one_user_is_one_too_many() {
    let now = Instant::now();
    let mut server = admitting();
    let first = from_anna(1, floor_request(FLOOR, None));
    let second = from_anna(2, floor_request(FLOOR, None));
    put(&mut server, now, &first.to_datagrams(1_200)[0]);
    let answers = put(&mut server, now, &second.to_datagrams(1_200)[0]);
    let code = ErrorCode::TooManyFloorRequests;
    assert_eq!(answers[0].content, Content::Error { code, info: None });
}

#[test]
fn what_cannot_be_read_is_answered_by_an_error_unless_it_is_an_answer_itself() {
    let now = Instant::now();
    let mut server = admitting();
    // A FloorQuery with attribute 100, which must be understood.
    let mut unknown = vec![0x40, 7, 0, 1, 0, 0, 0, 1, 0, 5, 0, 10, 201, 4, 0, 0];
    let answers = put(&mut server, now, &unknown);
    let code = ErrorCode::UnknownMandatoryAttribute(vec![100]);
    assert_eq!(answers[0].content, Content::Error { code, info: None });
    assert_eq!(answers[0].transaction, TransactionId(5));
    assert_eq!(answers[0].role, TransactionRole::Responder);
    unknown[0] = 0x50;
    assert!(put(&mut server, now, &unknown).is_empty());
    assert!(put(&mut server, now, &[0x40, 7]).is_empty());
    let version_1 = [0x20, 11, 0, 0, 0, 0, 0, 1, 0, 5, 0, 10];
    let answers = put(&mut server, now, &version_1);
    let code = ErrorCode::UnsupportedVersion;
    assert_eq!(answers[0].content, Content::Error { code, info: None });
}

#[test]
fn a_request_that_comes_again_gets_the_same_response_for_t2_and_is_done_once() {
    let start = Instant::now();
    let mut server = admitting();
    let request = from_anna(1, floor_request(FLOOR, None));
    let bytes = &request.to_datagrams(1_200)[0];
    let first = put(&mut server, start, bytes);
    server.revoke(start, ANNA);
    while server.poll_output().is_some() {}
    let almost = start + timers::T2 - Duration::from_millis(1);
    assert_eq!(put(&mut server, almost, bytes), first);
    assert_eq!(server.holder(), None, "it was not done again");
}

#[test]
fn a_more_urgent_request_waits_less_but_takes_the_floor_from_nobody() {
    let now = Instant::now();
    let mut server = server(WhenBusy::Queue);
    let users = [ANNA, BERT, UserId(12), UserId(13)];
    for (user, priority) in users.into_iter().zip([0, 2, 2, 4]) {
        server.admit(user, Reliability::Unreliable);
        let request = Message {
            user,
            ..from_anna(
                1,
                Content::FloorRequest {
                    floors: vec![FLOOR],
                    beneficiary: None,
                    info: None,
                    priority: sip::bfcp::Priority::new(priority),
                },
            )
        };
        server.received(now, user, &request.to_datagrams(1_200)[0]);
    }
    let mut order = Vec::new();
    while let Some(user) = server.holder() {
        order.push(user);
        server.revoke(now, user);
    }
    assert_eq!(order, [ANNA, UserId(13), BERT, UserId(12)]);
}

#[test]
fn who_was_not_admitted_is_not_answered() {
    let mut server = server(WhenBusy::Queue);
    let hello = from_anna(1, Content::Hello);
    assert!(put(&mut server, Instant::now(), &hello.to_datagrams(1_200)[0]).is_empty());
}

#[test]
fn a_participant_takes_old_news_for_old() {
    let now = Instant::now();
    let mut ends = Ends::calm(&[ANNA]);
    ends.ask(ANNA);
    ends.run(SECOND);
    ends.news(ANNA);
    let granted = |transaction: u16, status: RequestStatus| Message {
        content: Content::FloorRequestStatus(sip::bfcp::FloorRequestInformation {
            request: FloorRequestId(1),
            overall: Some(sip::bfcp::StatusInformation {
                id: FloorRequestId(1),
                status: Some(sip::bfcp::QueuedStatus {
                    status,
                    queue_position: 0,
                }),
                info: None,
            }),
            floors: vec![],
            beneficiary: None,
            requested_by: None,
            priority: None,
            participant_info: None,
        }),
        ..from_anna(transaction, Content::Hello)
    };
    let put = |ends: &mut Ends, message: &Message| {
        let bytes = message.to_datagrams(1_200);
        ends.act(ANNA, |anna| anna.received(now, &bytes[0]));
    };
    // Held up on the way: the floor was granted since.
    put(&mut ends, &granted(900, RequestStatus::Accepted));
    assert_eq!(ends.holders(), [ANNA]);
    put(&mut ends, &granted(901, RequestStatus::Revoked));
    put(&mut ends, &granted(902, RequestStatus::Granted));
    assert!(ends.holders().is_empty());
    assert_eq!(
        ends.news(ANNA),
        [E::Ended(FloorEnd::Status(RequestStatus::Revoked))]
    );
}

#[test]
fn a_request_whose_answer_is_lost_for_longer_than_it_is_kept_is_found_at_the_server() {
    let slow = LinkConditions {
        delay: Duration::from_millis(800),
        ..LinkConditions::default()
    };
    let users = [ANNA];
    let mut ends = Ends::new(1, Reliability::Unreliable, WhenBusy::Queue, slow, &users);
    ends.run(20 * SECOND);
    ends.news(ANNA);
    // The request arrives and is granted; the answer is lost, and so are its copies of 1.25 s and 3.75 s.
    ends.network.set_conditions(SERVER, address(ANNA), dead());
    ends.ask(ANNA);
    ends.run(SECOND);
    assert_eq!(ends.server.holder(), Some(ANNA));
    ends.network.set_conditions(address(ANNA), SERVER, dead());
    ends.run(4 * SECOND);
    // The last one, after 8.75 s, is held back for longer than the server keeps its answer.
    let slower = LinkConditions {
        delay: 3 * SECOND,
        ..slow
    };
    ends.network.set_conditions(address(ANNA), SERVER, slower);
    ends.run(6 * SECOND);
    assert_eq!(ends.server.holder(), Some(ANNA));
    ends.network.set_conditions(SERVER, address(ANNA), slow);
    ends.network.set_conditions(address(ANNA), SERVER, slow);
    // It is refused; a query finds what was granted.
    ends.run(4 * SECOND);
    let news = ends.news(ANNA);
    assert_eq!(news.first(), Some(&E::Granted), "{news:?}");
    assert_eq!(
        (ends.holders(), ends.server.holder()),
        (vec![ANNA], Some(ANNA))
    );
}

#[test]
fn a_request_that_still_comes_again_is_no_new_one_however_long_its_copies_take() {
    let start = Instant::now();
    let mut server = server(WhenBusy::Queue);
    server.admit(ANNA, Reliability::Unreliable);
    let ask = &from_anna(1, floor_request(FLOOR, None)).to_datagrams(1_200)[0];
    let give_back = Content::FloorRelease(FloorRequestId(1));
    let give_back = &from_anna(2, give_back).to_datagrams(1_200)[0];
    // The first answer is lost; the second, to the last retransmission, arrives.
    let first = put(&mut server, start, ask);
    let again = put(&mut server, start + Duration::from_millis(8_750), ask);
    assert_eq!(first, again);
    put(&mut server, start + 9 * SECOND, give_back);
    assert_eq!(server.holder(), None);
    // The last retransmission arrives twice.
    let twice = put(&mut server, start + Duration::from_millis(10_500), ask);
    assert_eq!((twice, server.holder()), (first, None));
}

#[test]
fn news_that_still_come_again_are_not_news_however_long_their_copies_take() {
    let start = Instant::now();
    let mut ends = Ends::calm(&[ANNA]);
    ends.run(SECOND);
    ends.news(ANNA);
    let holder = |transaction: u16, user: Option<UserId>| {
        let mut other = server(WhenBusy::Queue);
        if let Some(user) = user {
            other.admit(user, Reliability::Unreliable);
            let asks = Message {
                user,
                ..from_anna(1, floor_request(FLOOR, None))
            };
            other.received(start, user, &asks.to_datagrams(1_200)[0]);
        }
        other.admit(ANNA, Reliability::Unreliable);
        let status = put_last(&mut other, start, Content::FloorQuery(vec![FLOOR]));
        from_anna(transaction, status).to_datagrams(1_200)
    };
    let (berts, nobodys) = (holder(900, Some(BERT)), holder(901, None));
    let mut tell = |after: u64, message: &[bytes::Bytes]| {
        let now = ends.now + Duration::from_millis(after);
        ends.act(ANNA, |anna| anna.received(now, &message[0]));
        ends.participants[&ANNA].machine.holder()
    };
    assert_eq!(tell(0, &berts), FloorHolder::Other(Some(BERT)));
    assert_eq!(tell(8_750, &berts), FloorHolder::Other(Some(BERT)));
    assert_eq!(tell(9_000, &nobodys), FloorHolder::Nobody);
    assert_eq!(tell(10_500, &berts), FloorHolder::Nobody, "an old copy");
}
