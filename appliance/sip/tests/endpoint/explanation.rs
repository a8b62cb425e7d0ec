//! What the far end says about the end of a call: told before the end, and only then.

use std::time::Duration;

use sip::endpoint::{CallEndCause, Event, IncomingRefusal};
use sip::grammar::{ContentType, HeaderName, Method, Request, Response, StatusCode};
use sip::transport::Transport;

use crate::calls::ended;
use crate::carol::{
    acknowledge, alice_alone, alice_calls_carol, bobs_tag, carol_calls_bob, offer, push, reply,
    requests, responses, send, to_bob,
};
use crate::world::{ALICE, BOB, World, media_of};

/// What was said, as the header fields had it.
fn said(world: &mut World, at: std::net::SocketAddr) -> Vec<String> {
    let mut said = Vec::new();
    let mut is_over = false;
    for event in world.events(at) {
        match event {
            Event::EndExplained {
                reasons, warnings, ..
            } => {
                assert!(!is_over, "told before the end");
                said.extend(reasons.iter().map(ToString::to_string));
                said.extend(warnings.iter().map(ToString::to_string));
            }
            Event::Ended { .. } => is_over = true,
            _ => {}
        }
    }
    said
}

#[test]
fn a_call_that_was_answered_elsewhere_is_not_one_whose_caller_gave_up() {
    for (reason, cause) in [
        (
            Some("Q.850;cause=26, SIP;cause=200;text=\"Call completed elsewhere\""),
            CallEndCause::AnsweredElsewhere,
        ),
        (Some("SIP;cause=487"), CallEndCause::RemoteCancelled),
        (Some("not a reason"), CallEndCause::RemoteCancelled),
        (None, CallEndCause::RemoteCancelled),
    ] {
        let mut world = World::pair(1, Transport::Udp);
        let (bobs, invite) = carol_calls_bob(&mut world, &[]);
        let mut cancel = to_bob(Method::Cancel, 1, "x");
        for name in [HeaderName::Via, HeaderName::To] {
            cancel.headers.remove(&name);
            cancel.headers.copy_from(&invite.headers, &name);
        }
        if let Some(reason) = reason {
            push(&mut cancel.headers, HeaderName::Reason, reason);
        }
        send(&mut world, BOB, cancel.to_bytes());
        assert_eq!(ended(&mut world, BOB, bobs), cause, "{reason:?}");
        let told = match (reason, cause) {
            (Some(reason), CallEndCause::AnsweredElsewhere) => {
                reason.split(", ").map(str::to_owned).collect()
            }
            (Some("SIP;cause=487"), _) => vec!["SIP;cause=487".to_owned()],
            _ => Vec::new(),
        };
        assert_eq!(said(&mut world, BOB), told);
    }
}

#[test]
fn a_bye_says_why() {
    let mut world = World::pair(1, Transport::Udp);
    let (bobs, _) = carol_calls_bob(&mut world, &[]);
    world
        .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
        .expect("it is unanswered");
    world.run(Duration::from_millis(10));
    acknowledge(&mut world, 1);
    let mut bye = to_bob(Method::Bye, 2, &bobs_tag(&world));
    push(&mut bye.headers, HeaderName::Reason, "Q.850;cause=16");
    send(&mut world, BOB, bye.to_bytes());
    assert_eq!(ended(&mut world, BOB, bobs), CallEndCause::RemoteHangUp);
    assert_eq!(said(&mut world, BOB), ["Q.850;cause=16"]);
}

#[test]
fn a_refusal_warns_and_one_that_nobody_waits_for_says_nothing() {
    let warning = "305 192.0.2.3:5060 \"Incompatible media format\"";
    for gives_up in [false, true] {
        let mut world = alice_alone();
        let (alices, invite) = alice_calls_carol(&mut world);
        if gives_up {
            world
                .act(ALICE, |alice, now| alice.hang_up(now, alices))
                .expect("it is under way");
        }
        let mut refused = reply(&invite, StatusCode::NOT_ACCEPTABLE_HERE, "carol");
        push(&mut refused.headers, HeaderName::Warning, warning);
        send(&mut world, ALICE, refused.to_bytes());
        let expected: &[&str] = if gives_up { &[] } else { &[warning] };
        assert_eq!(said(&mut world, ALICE), expected);
        ended(&mut world, ALICE, alices);
        assert_eq!(requests(&world, &Method::Ack).len(), 1);
    }
}

#[test]
fn a_flood_of_reasons_is_cut() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    let mut refused = reply(&invite, StatusCode::BUSY_HERE, "carol");
    let many = vec!["SIP;cause=486"; 100].join(", ");
    push(&mut refused.headers, HeaderName::Reason, &many);
    send(&mut world, ALICE, refused.to_bytes());
    ended(&mut world, ALICE, alices);
    assert_eq!(said(&mut world, ALICE).len(), 8);
}

/// Bob is called by an INVITE that he refuses before anything rings.
fn refused_by_bob(world: &mut World, change: impl FnOnce(&mut Request)) -> Response {
    let mut invite = to_bob(Method::Invite, 1, "x");
    invite.headers.remove(&HeaderName::To);
    push(
        &mut invite.headers,
        HeaderName::To,
        &format!("<sip:bob@{BOB}>"),
    );
    invite.set_body(&ContentType::sdp(), offer());
    change(&mut invite);
    send(world, BOB, invite.to_bytes());
    let refused = responses(world, &Method::Invite).pop();
    refused.expect("an answer")
}

#[test]
fn a_caller_without_encryption_hears_what_is_wrong_and_the_called_hears_of_the_caller() {
    const PLAIN: &[u8] =
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.3\r\ns=-\r\nc=IN IP4 192.0.2.3\r\nt=0 0\r\n\
        m=audio 4000 RTP/AVP 0\r\n";
    const FOREIGN: &[u8] =
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.3\r\ns=-\r\nc=IN IP4 192.0.2.3\r\nt=0 0\r\n\
        m=audio 4000 UDP/TLS/RTP/SAVPF 111\r\n";
    for (offer, why, warning) in [
        (
            PLAIN,
            IncomingRefusal::Encryption,
            "399 - \"SRTP with keys by SDES or DTLS is required\"",
        ),
        (
            FOREIGN,
            IncomingRefusal::Media,
            "302 - \"Incompatible transport protocol\"",
        ),
    ] {
        let mut world = World::pair(1, Transport::Udp);
        let refused = refused_by_bob(&mut world, |invite| {
            invite.set_body(&ContentType::sdp(), offer.into());
        });
        assert_eq!(refused.status(), StatusCode::NOT_ACCEPTABLE_HERE);
        let told = refused
            .headers
            .text(&HeaderName::Warning)
            .expect("a warning");
        let (code, rest) = told.split_once(' ').expect("a code and an agent");
        let (_, text) = rest.split_once(' ').expect("an agent and a text");
        assert_eq!(format!("{code} - {text}"), warning);
        assert_told_of_refusal(&mut world, why);
    }
}

#[test]
fn the_called_hears_of_a_caller_whose_wishes_it_cannot_meet() {
    let mut world = World::pair(1, Transport::Udp);
    let refused = refused_by_bob(&mut world, |invite| {
        push(&mut invite.headers, HeaderName::Require, "telepathy");
    });
    assert_eq!(refused.status(), StatusCode::BAD_EXTENSION);
    let why = IncomingRefusal::Unsupported(StatusCode::BAD_EXTENSION);
    assert_told_of_refusal(&mut world, why);
}

fn assert_told_of_refusal(world: &mut World, expected: IncomingRefusal) {
    let told: Vec<IncomingRefusal> = world
        .events(BOB)
        .iter()
        .filter_map(|event| match event {
            Event::IncomingRefused { why, .. } => Some(*why),
            _ => None,
        })
        .collect();
    assert_eq!(told, [expected]);
}

#[test]
fn a_refusal_is_told_with_its_status_and_when_to_call_again() {
    let mut world = alice_alone();
    let (_, invite) = alice_calls_carol(&mut world);
    let mut refused = reply(&invite, StatusCode::SERVICE_UNAVAILABLE, "carol");
    push(&mut refused.headers, HeaderName::RetryAfter, "120 (lunch)");
    send(&mut world, ALICE, refused.to_bytes());
    let told = world.wait_for(ALICE, |event| match event {
        Event::EndExplained {
            status,
            retry_after,
            ..
        } => Some((*status, *retry_after)),
        _ => None,
    });
    let wait = Duration::from_secs(120);
    assert_eq!(told, (Some(StatusCode::SERVICE_UNAVAILABLE), Some(wait)));
}

#[test]
fn an_account_without_a_password_is_not_told_that_it_was_refused() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    let mut challenge = reply(&invite, StatusCode::UNAUTHORIZED, "carol");
    push(
        &mut challenge.headers,
        HeaderName::WwwAuthenticate,
        "Digest realm=\"x\", nonce=\"1\"",
    );
    send(&mut world, ALICE, challenge.to_bytes());
    let cause = ended(&mut world, ALICE, alices);
    assert_eq!(cause, CallEndCause::NoCredentials);
}

#[test]
fn a_bye_for_want_of_an_ack_says_so() {
    let mut world = World::pair(1, Transport::Udp);
    let (bobs, _) = carol_calls_bob(&mut world, &[]);
    world
        .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
        .expect("it is unanswered");
    assert_eq!(ended(&mut world, BOB, bobs), CallEndCause::Timeout);
    world.run(Duration::from_millis(10));
    let byes = requests(&world, &Method::Bye);
    let reason = byes[0].headers.text(&HeaderName::Reason);
    assert_eq!(reason.as_deref(), Some("SIP;cause=408;text=\"No ACK\""));
}
