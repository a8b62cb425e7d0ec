//! Redirected calls: followed a few times, never in a loop.

use std::time::Duration;

use sip::endpoint::{Account, CallEndCause, CallId};
use sip::grammar::{CSeq, HeaderName, Method, Request, Response, StatusCode};
use sip::transport::Transport;

use crate::calls::{assert_nothing_is_left, ended, established};
use crate::carol::{alice_alone, alice_calls_carol, answering, requests, send};
use crate::world::{ALICE, CAROL, World, account, settings};

const SECOND: Duration = Duration::from_secs(1);

fn refusal(to: &Request, status: StatusCode, contacts: &[&str]) -> bytes::Bytes {
    let mut response = Response::to(to, status);
    response.headers.add_to_tag("proxy").expect("a token");
    for contact in contacts {
        let contact = contact.replace("HOST", &CAROL.to_string());
        response
            .headers
            .push(HeaderName::Contact, &contact)
            .expect("plain text");
    }
    response.to_bytes()
}

/// Carol refuses the latest INVITE.
fn refuse(world: &mut World, status: StatusCode, contacts: &[&str]) {
    let latest = requests(world, &Method::Invite).pop().expect("an INVITE");
    send(world, ALICE, refusal(&latest, status, contacts));
}

/// The users whom Alice has called, one after the other.
fn called(world: &World) -> Vec<String> {
    requests(world, &Method::Invite)
        .iter()
        .map(|invite| {
            let uri = invite.uri().as_sip().expect("a SIP URI");
            uri.user_decoded().unwrap_or_default()
        })
        .collect()
}

fn start() -> (World, CallId, Request) {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    (world, alices, invite)
}

#[test]
fn a_call_that_has_moved_is_placed_again_there_as_the_same_call() {
    let (mut world, alices, first) = start();
    refuse(
        &mut world,
        StatusCode::MOVED_TEMPORARILY,
        &["<sip:room2@HOST?Subject=x>"],
    );
    assert_eq!(called(&world), ["", "room2"]);
    let second = requests(&world, &Method::Invite).pop().expect("an INVITE");
    for name in [HeaderName::CallId, HeaderName::From, HeaderName::To] {
        assert_eq!(second.headers.get(&name), first.headers.get(&name));
    }
    assert!(!second.headers.contains(&HeaderName::Subject));
    let CSeq { number, .. } = second.headers.required().expect("a CSeq");
    assert_eq!(number, 2);
    assert_eq!(second.body(), first.body());
    assert_eq!(
        requests(&world, &Method::Ack).len(),
        1,
        "of the redirection"
    );

    let accepted = answering(&second, StatusCode::OK, "room2");
    send(&mut world, ALICE, accepted.to_bytes());
    established(&mut world, ALICE, alices);
}

#[test]
fn two_that_point_at_each_other_are_asked_once_each() {
    let (mut world, alices, _) = start();
    refuse(&mut world, StatusCode::MOVED_PERMANENTLY, &["<sip:b@HOST>"]);
    refuse(&mut world, StatusCode::MOVED_PERMANENTLY, &["<sip:HOST>"]);
    let status = StatusCode::MOVED_PERMANENTLY;
    assert_eq!(
        ended(&mut world, ALICE, alices),
        CallEndCause::Refused(status)
    );
    assert_eq!(called(&world), ["", "b"]);
    assert_nothing_is_left(&mut world);
}

#[test]
fn a_chain_without_an_end_is_followed_four_times() {
    let (mut world, alices, _) = start();
    for number in 0..10 {
        let contact = format!("<sip:u{number}@HOST>");
        refuse(&mut world, StatusCode::MOVED_TEMPORARILY, &[&contact]);
    }
    assert_eq!(called(&world), ["", "u0", "u1", "u2", "u3"]);
    let status = StatusCode::MOVED_TEMPORARILY;
    assert_eq!(
        ended(&mut world, ALICE, alices),
        CallEndCause::Refused(status)
    );
}

#[test]
fn the_next_choice_is_tried_when_one_refuses_or_is_silent_and_none_after_6xx() {
    let choices = [
        "<sip:low@HOST>;q=0.1",
        "<sip:high@HOST>;q=0.9, <sip:mid@HOST>;q=0.5",
    ];
    let (mut world, alices, _) = start();
    refuse(&mut world, StatusCode::MULTIPLE_CHOICES, &choices);
    refuse(&mut world, StatusCode::BUSY_HERE, &[]);
    world.run(SECOND * 33);
    assert_eq!(called(&world), ["", "high", "mid", "low"]);
    refuse(&mut world, StatusCode::NOT_FOUND, &[]);
    assert_eq!(
        ended(&mut world, ALICE, alices),
        CallEndCause::Refused(StatusCode::NOT_FOUND)
    );
    assert_nothing_is_left(&mut world);

    let (mut world, alices, _) = start();
    refuse(&mut world, StatusCode::MULTIPLE_CHOICES, &choices);
    refuse(&mut world, StatusCode::DECLINE, &[]);
    assert_eq!(
        ended(&mut world, ALICE, alices),
        CallEndCause::Refused(StatusCode::DECLINE)
    );
    assert_eq!(called(&world), ["", "high"]);
}

#[test]
fn other_redirections_unusable_ones_and_accounts_that_follow_none_end_the_call() {
    let moved = StatusCode::MOVED_TEMPORARILY;
    let alternative = StatusCode::new(380).expect("a status");
    let cases: [(u8, StatusCode, &[&str]); 5] = [
        (4, StatusCode::USE_PROXY, &["<sip:b@HOST>"]),
        (4, alternative, &["<sip:b@HOST>"]),
        (4, moved, &["<tel:+123>, <mailto:b@HOST>", "*"]),
        (4, moved, &[]),
        (0, moved, &["<sip:b@HOST>"]),
    ];
    for (redirects, status, contacts) in cases {
        let mut world = World::new(1);
        let account = Account {
            redirects,
            ..account("alice", Transport::Udp)
        };
        world.add(settings(account, ALICE), ALICE);
        let (alices, _) = alice_calls_carol(&mut world);
        refuse(&mut world, status, contacts);
        assert_eq!(
            ended(&mut world, ALICE, alices),
            CallEndCause::Refused(status),
            "{contacts:?}"
        );
        assert_eq!(called(&world).len(), 1);
        assert_nothing_is_left(&mut world);
    }
}

#[test]
fn a_redirected_call_that_is_given_up_is_cancelled_where_it_rings() {
    let (mut world, alices, _) = start();
    let contact = ["<sip:b@HOST>, <sip:c@HOST>"];
    refuse(&mut world, StatusCode::MOVED_TEMPORARILY, &contact);
    let second = requests(&world, &Method::Invite).pop().expect("an INVITE");
    let ringing = Response::to(&second, StatusCode::RINGING);
    send(&mut world, ALICE, ringing.to_bytes());
    world
        .act(ALICE, |alice, now| alice.hang_up(now, alices))
        .expect("it rings");
    world.run(SECOND / 100);
    let cancel = requests(&world, &Method::Cancel).pop().expect("a CANCEL");
    assert_eq!(cancel.uri(), second.uri());
    send(
        &mut world,
        ALICE,
        Response::to(&cancel, StatusCode::OK).to_bytes(),
    );
    refuse(&mut world, StatusCode::REQUEST_TERMINATED, &[]);
    assert_eq!(called(&world), ["", "b"]);
    assert_nothing_is_left(&mut world);
}

#[test]
fn a_call_over_tls_is_followed_over_tls_only() {
    let mut world = World::new(1);
    world.add(settings(account("alice", Transport::Tls), ALICE), ALICE);
    world.add(settings(account("carol", Transport::Tls), CAROL), CAROL);
    world.rewrite = |bytes| {
        let text = String::from_utf8(bytes.to_vec()).expect("we write text");
        text.replace(
            "SIP/2.0 486 Busy Here\r\n",
            "SIP/2.0 302 Moved\r\nContact: <sip:192.0.2.77;transport=udp>\r\n",
        )
        .into()
    };
    let alices = world.invite(ALICE, CAROL);
    let carols = world.incoming(CAROL);
    world
        .act(CAROL, |carol, now| {
            carol.reject(now, carols, StatusCode::BUSY_HERE)
        })
        .expect("it is unanswered");
    assert_eq!(ended(&mut world, ALICE, alices), CallEndCause::Transport);
    assert!(world.sent.is_empty(), "no datagram was sent");
}
