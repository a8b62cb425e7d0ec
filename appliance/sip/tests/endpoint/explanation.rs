//! What the far end says about the end of a call: told before the end, and only then.

use std::time::Duration;

use sip::endpoint::{CallEndCause, Event};
use sip::grammar::{HeaderName, Method, StatusCode};
use sip::transport::Transport;

use crate::calls::ended;
use crate::carol::{
    acknowledge, alice_alone, alice_calls_carol, bobs_tag, carol_calls_bob, push, reply, requests,
    send, to_bob,
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
