//! Reliable provisional responses that we receive (RFC 3262), and early dialogs of several forks.

use std::time::Duration;

use sip::digest::Credentials;
use sip::endpoint::{Account, CallEndCause, Event};
use sip::grammar::{
    CSeq, ContentType, HeaderName, Method, NameAddr, RAck, RSeq, Request, Response, StatusCode,
};
use sip::transport::Transport;

use crate::calls::{assert_nothing_is_left, ended, established};
use crate::carol::{
    alice_alone, alice_calls_carol, answering, latest_status, offer, push, reply, requests, send,
    to_alice,
};
use crate::world::{ALICE, World, account, settings};

const SECOND: Duration = Duration::from_secs(1);

fn reliable(mut response: Response, number: u32) -> Response {
    push(&mut response.headers, HeaderName::Require, "100rel");
    response.headers.push_typed(&RSeq(number));
    response
}

fn ringing(invite: &Request, tag: &str, number: u32) -> bytes::Bytes {
    reliable(reply(invite, StatusCode::RINGING, tag), number).to_bytes()
}

/// RAck and CSeq of the PRACKs that Carol has received.
fn pracks(world: &World) -> Vec<(u32, u32)> {
    requests(world, &Method::Prack)
        .iter()
        .map(|prack| {
            let ack: RAck = prack.headers.required().expect("RAck");
            assert_eq!((ack.sequence, ack.method), (1, Method::Invite));
            (ack.response, sequence(prack))
        })
        .collect()
}

fn sequence(request: &Request) -> u32 {
    let CSeq { number, .. } = request.headers.required().expect("a CSeq");
    number
}

fn accept_all(world: &mut World) {
    for prack in requests(world, &Method::Prack) {
        let tag = prack
            .headers
            .to()
            .expect("a To")
            .tag()
            .expect("a tag")
            .to_owned();
        send(world, ALICE, reply(&prack, StatusCode::OK, &tag).to_bytes());
    }
}

fn early_media(world: &mut World) -> usize {
    let events = world.events(ALICE).iter();
    events
        .filter(|event| matches!(event, Event::EarlyMedia { .. }))
        .count()
}

#[test]
fn each_reliable_response_is_acknowledged_once_and_in_order() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    let supported = invite.headers.text(&HeaderName::Supported);
    assert!(supported.is_some_and(|supported| supported.contains("100rel")));

    send(&mut world, ALICE, ringing(&invite, "carol", 7));
    assert_eq!(pracks(&world), [(7, 2)]);
    accept_all(&mut world);
    // Repeated, skipped, the right one, and an old one.
    for number in [7, 9, 8, 7] {
        send(&mut world, ALICE, ringing(&invite, "carol", number));
    }
    assert_eq!(pracks(&world), [(7, 2), (8, 3)]);
    accept_all(&mut world);
    let rings = world
        .events(ALICE)
        .iter()
        .filter(|event| matches!(event, Event::Ringing { call } if *call == alices));
    assert_eq!(rings.count(), 1);
    let accepted = answering(&invite, StatusCode::OK, "carol");
    send(&mut world, ALICE, accepted.to_bytes());
    established(&mut world, ALICE, alices);
    world
        .act(ALICE, |alice, now| alice.hang_up(now, alices))
        .expect("it stands");
    world.run(SECOND / 100);
    let bye = requests(&world, &Method::Bye).pop().expect("a BYE");
    assert_eq!(sequence(&bye), 4, "the dialog counts on");
}

#[test]
fn a_lost_prack_is_repeated_by_its_transaction() {
    let mut world = alice_alone();
    let (_, invite) = alice_calls_carol(&mut world);
    send(&mut world, ALICE, ringing(&invite, "carol", 1));
    world.run(SECOND * 2);
    let repeated = world
        .received
        .iter()
        .filter(|(_, bytes)| bytes.starts_with(b"PRACK"));
    assert_eq!(repeated.count(), 3, "0, 0.5, 1.5 s");
    assert_eq!(pracks(&world).len(), 1);
}

#[test]
fn a_reliable_response_without_number_tag_or_target_is_passed_over() {
    let mut world = alice_alone();
    let (_, invite) = alice_calls_carol(&mut world);
    let mut no_number = reply(&invite, StatusCode::RINGING, "carol");
    push(&mut no_number.headers, HeaderName::Require, "100rel");
    let mut no_target = reliable(reply(&invite, StatusCode::RINGING, "other"), 1);
    no_target.headers.remove(&HeaderName::Contact);
    let mut no_tag = Response::to(&invite, StatusCode::RINGING);
    push(
        &mut no_tag.headers,
        HeaderName::Contact,
        "<sip:carol@192.0.2.3>",
    );
    let no_tag = reliable(no_tag, 1);
    for response in [no_number, no_target, no_tag] {
        send(&mut world, ALICE, response.to_bytes());
    }
    assert!(pracks(&world).is_empty());
    assert!(world.events(ALICE).is_empty());
}

#[test]
fn prack_passes_the_recorded_proxies_to_the_target_of_its_fork() {
    let mut world = alice_alone();
    let (_, invite) = alice_calls_carol(&mut world);
    let mut response = reply(&invite, StatusCode::RINGING, "carol");
    // The nearest to us stands last.
    push(
        &mut response.headers,
        HeaderName::RecordRoute,
        "<sip:other.example.test;lr>, <sip:192.0.2.3;lr>",
    );
    send(&mut world, ALICE, reliable(response, 1).to_bytes());
    let prack = requests(&world, &Method::Prack).pop().expect("a PRACK");
    let routes: Vec<String> = prack
        .headers
        .values::<NameAddr>(&HeaderName::Route)
        .map(|route| route.expect("a route").uri().to_string())
        .collect();
    assert_eq!(routes, ["sip:192.0.2.3;lr", "sip:other.example.test;lr"]);
    assert_eq!(prack.uri().to_string(), "sip:carol@192.0.2.3:5060");
}

#[test]
fn forks_count_their_responses_apart_and_the_loser_is_hung_up_in_order() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    send(&mut world, ALICE, ringing(&invite, "one", 100));
    send(&mut world, ALICE, ringing(&invite, "two", 5));
    send(&mut world, ALICE, ringing(&invite, "two", 6));
    accept_all(&mut world);
    let acknowledged = pracks(&world);
    assert_eq!(acknowledged, [(100, 2), (5, 3), (6, 4)]);

    let first = answering(&invite, StatusCode::OK, "one");
    send(&mut world, ALICE, first.to_bytes());
    established(&mut world, ALICE, alices);
    let second = answering(&invite, StatusCode::OK, "two");
    send(&mut world, ALICE, second.to_bytes());
    let acks: Vec<_> = requests(&world, &Method::Ack);
    assert_eq!(acks.len(), 2);
    assert!(acks.iter().all(|ack| sequence(ack) == 1));
    let byes = requests(&world, &Method::Bye);
    assert_eq!(byes.len(), 1);
    assert_eq!(byes[0].headers.to().expect("a To").tag(), Some("two"));
    assert!(
        sequence(&byes[0]) > 4,
        "after the PRACKs of its early dialog"
    );
    assert_eq!(byes[0].uri().to_string(), "sip:two@192.0.2.3:5060");
}

#[test]
fn a_reliable_answer_counts_and_whatever_the_final_one_says_is_ignored() {
    for description in [None, Some("v=0\r\nnonsense")] {
        let mut world = alice_alone();
        let (alices, invite) = alice_calls_carol(&mut world);
        let progress = answering(&invite, StatusCode::SESSION_PROGRESS, "carol");
        send(&mut world, ALICE, reliable(progress, 1).to_bytes());
        accept_all(&mut world);
        assert_eq!(early_media(&mut world), 1);
        let mut accepted = reply(&invite, StatusCode::OK, "carol");
        if let Some(text) = description {
            accepted.set_body(&ContentType::sdp(), text.into());
        }
        send(&mut world, ALICE, accepted.to_bytes());
        let media = established(&mut world, ALICE, alices);
        assert!(media.streams.audio.is_some());
    }
}

#[test]
fn another_fork_answers_for_itself() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    let progress = answering(&invite, StatusCode::SESSION_PROGRESS, "one");
    send(&mut world, ALICE, reliable(progress, 1).to_bytes());
    accept_all(&mut world);
    let accepted = reply(&invite, StatusCode::OK, "two");
    send(&mut world, ALICE, accepted.to_bytes());
    assert_eq!(ended(&mut world, ALICE, alices), CallEndCause::Media);
    assert_eq!(requests(&world, &Method::Bye).len(), 1);
}

#[test]
fn a_prack_that_fails_ends_nothing_and_one_out_of_order_is_sent_again() {
    for (status, sent) in [
        (StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST, 1),
        (StatusCode::REQUEST_TIMEOUT, 1),
        (StatusCode::SERVER_INTERNAL_ERROR, 3),
    ] {
        let mut world = alice_alone();
        let (alices, invite) = alice_calls_carol(&mut world);
        send(&mut world, ALICE, ringing(&invite, "carol", 1));
        for index in 0..5 {
            if let Some(prack) = requests(&world, &Method::Prack).get(index) {
                send(&mut world, ALICE, reply(prack, status, "carol").to_bytes());
            }
        }
        assert_eq!(pracks(&world).len(), sent, "{status}");
        let numbers: Vec<_> = pracks(&world)
            .iter()
            .map(|(_, sequence)| *sequence)
            .collect();
        assert!(numbers.is_sorted_by(|one, two| one < two), "{numbers:?}");
        let accepted = answering(&invite, StatusCode::OK, "carol");
        send(&mut world, ALICE, accepted.to_bytes());
        established(&mut world, ALICE, alices);
    }
}

#[test]
fn a_challenged_prack_is_sent_again_and_the_next_counts_on() {
    let mut world = World::new(1);
    let account = Account {
        credentials: Some(Credentials {
            username: "alice".to_owned(),
            password: sip::secret::Secret::new("secret"),
        }),
        ..account("alice", Transport::Udp)
    };
    world.add(settings(account, ALICE), ALICE);
    let (_, invite) = alice_calls_carol(&mut world);
    send(&mut world, ALICE, ringing(&invite, "carol", 1));
    let first = requests(&world, &Method::Prack).pop().expect("a PRACK");
    let status = StatusCode::PROXY_AUTHENTICATION_REQUIRED;
    let mut challenge = reply(&first, status, "carol");
    push(
        &mut challenge.headers,
        HeaderName::ProxyAuthenticate,
        "Digest realm=\"example.test\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256",
    );
    send(&mut world, ALICE, challenge.to_bytes());
    send(&mut world, ALICE, ringing(&invite, "carol", 2));
    assert_eq!(pracks(&world), [(1, 2), (1, 3), (2, 4)]);
    let second = &requests(&world, &Method::Prack)[1];
    assert!(second.headers.contains(&HeaderName::ProxyAuthorization));
}

#[test]
fn a_prack_that_nobody_answers_does_not_end_a_standing_call() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    send(&mut world, ALICE, ringing(&invite, "carol", 1));
    let accepted = answering(&invite, StatusCode::OK, "carol");
    send(&mut world, ALICE, accepted.to_bytes());
    established(&mut world, ALICE, alices);
    let start = world.now;
    while world.now < start + SECOND * 40 {
        world.run(SECOND);
        for options in requests(&world, &Method::Options) {
            send(
                &mut world,
                ALICE,
                reply(&options, StatusCode::OK, "carol").to_bytes(),
            );
        }
    }
    let events = world.events(ALICE);
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::Ended { .. }))
    );
}

#[test]
fn a_fork_may_update_its_early_dialog_and_offer_once_it_has_answered() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    send(&mut world, ALICE, ringing(&invite, "carol", 1));
    let update = |number, offers: bool| {
        let mut update = to_alice(&invite, "carol", Method::Update, number);
        if offers {
            update.set_body(&ContentType::sdp(), offer());
        }
        update.to_bytes()
    };
    send(&mut world, ALICE, update(10, false));
    assert_eq!(latest_status(&world, &Method::Update), Some(200));
    send(&mut world, ALICE, update(11, true));
    assert_eq!(
        latest_status(&world, &Method::Update),
        Some(491),
        "our own offer is open"
    );

    let progress = answering(&invite, StatusCode::SESSION_PROGRESS, "carol");
    send(&mut world, ALICE, reliable(progress, 2).to_bytes());
    send(&mut world, ALICE, update(12, true));
    assert_eq!(latest_status(&world, &Method::Update), Some(200));
    assert_eq!(early_media(&mut world), 2);

    let accepted = reply(&invite, StatusCode::OK, "carol");
    send(&mut world, ALICE, accepted.to_bytes());
    established(&mut world, ALICE, alices);
    // The far end counts on as well: what is older than its early requests is out of order.
    send(&mut world, ALICE, update(5, false));
    assert_eq!(latest_status(&world, &Method::Update), Some(500));
    send(&mut world, ALICE, update(13, false));
    assert_eq!(latest_status(&world, &Method::Update), Some(200));
}

#[test]
fn a_call_that_is_hung_up_in_an_early_dialog_is_cancelled_and_leaves_nothing() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    send(&mut world, ALICE, ringing(&invite, "carol", 1));
    accept_all(&mut world);
    world
        .act(ALICE, |alice, now| alice.hang_up(now, alices))
        .expect("it rings");
    world.run(SECOND / 100);
    let cancel = requests(&world, &Method::Cancel).pop().expect("a CANCEL");
    send(
        &mut world,
        ALICE,
        reply(&cancel, StatusCode::OK, "carol").to_bytes(),
    );
    let terminated = reply(&invite, StatusCode::REQUEST_TERMINATED, "carol");
    send(&mut world, ALICE, terminated.to_bytes());
    assert_nothing_is_left(&mut world);
}
