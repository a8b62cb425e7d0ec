//! Session timers (RFC 4028): who refreshes when, what is too short, and what ends unrefreshed.

use std::time::Duration;

use netem::{LinkConditions, Loss, Probability};
use sip::endpoint::{CallEndCause, CallId, Event};
use sip::grammar::{
    CSeq, HeaderName, Message, Method, MinSe, Refresher, Request, SessionExpires, StatusCode,
};
use sip::transport::Transport;

use crate::calls::{assert_nothing_is_left, call, ended, established};
use crate::carol::{
    acknowledge, alice_alone, alice_calls_carol, answering, bobs_tag, carol_calls_bob,
    latest_status, push, reply, requests, responses, send, sent, to_bob,
};
use crate::world::{ALICE, BOB, World, media_of};

const SECOND: Duration = Duration::from_secs(1);

fn expires(request: &Request) -> Option<SessionExpires> {
    request.headers.typed().expect("well-formed")
}

fn count(world: &World, from: std::net::SocketAddr, method: &Method) -> usize {
    let requests = sent(world, from).into_iter().filter(
        |message| matches!(message, Message::Request(request) if request.method() == method),
    );
    requests.count()
}

fn has_ended(world: &mut World, at: std::net::SocketAddr) -> bool {
    let events = world.events(at);
    events
        .iter()
        .any(|event| matches!(event, Event::Ended { .. }))
}

/// Alice's call, accepted by Carol with further header lines.
fn accepted(world: &mut World, more: &[(HeaderName, &str)]) -> (CallId, Request) {
    let (alices, invite) = alice_calls_carol(world);
    let mut response = answering(&invite, StatusCode::OK, "carol");
    for (name, value) in more {
        push(&mut response.headers, name.clone(), value);
    }
    send(world, ALICE, response.to_bytes());
    established(world, ALICE, alices);
    (alices, invite)
}

/// Carol's call, answered by Bob: his 200.
fn answered_by_bob(
    world: &mut World,
    more: &[(HeaderName, &str)],
) -> (CallId, sip::grammar::Response) {
    let (bobs, _) = carol_calls_bob(world, more);
    world
        .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
        .expect("it is unanswered");
    world.run(SECOND / 100);
    let accepted = responses(world, &Method::Invite).pop();
    acknowledge(world, 1);
    (bobs, accepted.expect("the 200 arrived"))
}

#[test]
fn two_of_us_refresh_by_update_and_ask_nothing_by_options() {
    for transport in [Transport::Udp, Transport::Tls] {
        let mut world = World::pair(1, transport);
        let (alices, bobs) = call(&mut world);
        world.run(SECOND * 3600);
        if transport == Transport::Udp {
            let refreshes = count(&world, BOB, &Method::Update);
            assert!((120..=130).contains(&refreshes), "{refreshes} in an hour");
            assert_eq!(
                count(&world, ALICE, &Method::Update),
                0,
                "the called refreshes"
            );
            assert_eq!(count(&world, ALICE, &Method::Options), 0);
            assert_eq!(count(&world, BOB, &Method::Options), 0);
        }
        world
            .act(BOB, |bob, now| bob.hang_up(now, bobs))
            .expect("it still stands");
        assert_eq!(ended(&mut world, ALICE, alices), CallEndCause::RemoteHangUp);
        assert_nothing_is_left(&mut world);
    }
}

#[test]
fn a_refresh_survives_a_network_that_loses_a_fifth() {
    for seed in 0..10 {
        let bad = LinkConditions {
            delay: Duration::from_millis(100),
            loss: Loss::Random(Probability::percent(20.0).expect("a percentage")),
            ..LinkConditions::default()
        };
        let mut world = World::pair(seed, Transport::Udp);
        call(&mut world);
        world.network.set_default_conditions(bad);
        world.run(SECOND * 1800);
        assert!(!has_ended(&mut world, ALICE), "seed {seed}");
        assert!(!has_ended(&mut world, BOB), "seed {seed}");
    }
}

#[test]
fn a_peer_without_session_timers_is_asked_by_options_instead() {
    let mut world = alice_alone();
    accepted(&mut world, &[]);
    world.run(SECOND * 31);
    assert_eq!(requests(&world, &Method::Update).len(), 0);
    assert!(!requests(&world, &Method::Options).is_empty());
}

#[test]
fn a_long_interval_is_refreshed_at_its_half_and_watched_by_options() {
    let mut world = alice_alone();
    let (_, invite) = alice_calls_carol(&mut world);
    assert_eq!(expires(&invite), Some(SessionExpires::new(90, None)));
    let mut refused = reply(&invite, StatusCode::SESSION_INTERVAL_TOO_SMALL, "proxy");
    refused.headers.push_typed(&MinSe::new(600));
    send(&mut world, ALICE, refused.to_bytes());
    let again = requests(&world, &Method::Invite).pop().expect("again");
    assert_eq!(expires(&again), Some(SessionExpires::new(600, None)));
    assert_eq!(again.headers.typed(), Ok(Some(MinSe::new(600))));
    let sequence: CSeq = again.headers.required().expect("a CSeq");
    assert_eq!(sequence.number, 2);
    assert_eq!(
        again.headers.get(&HeaderName::CallId),
        invite.headers.get(&HeaderName::CallId)
    );

    let mut accepting = answering(&again, StatusCode::OK, "carol");
    push(
        &mut accepting.headers,
        HeaderName::SessionExpires,
        "600;refresher=uac",
    );
    push(&mut accepting.headers, HeaderName::Allow, "INVITE, UPDATE");
    send(&mut world, ALICE, accepting.to_bytes());
    let mut answered = 0;
    for _ in 0..299 {
        world.run(SECOND);
        for options in requests(&world, &Method::Options).split_off(answered) {
            answered += 1;
            send(
                &mut world,
                ALICE,
                reply(&options, StatusCode::OK, "carol").to_bytes(),
            );
        }
        assert_eq!(requests(&world, &Method::Update).len(), 0);
    }
    assert!(answered >= 8, "asked {answered} times");
    world.run(SECOND * 2);
    let update = requests(&world, &Method::Update).pop().expect("a refresh");
    assert_eq!(
        expires(&update),
        Some(SessionExpires::new(600, Some(Refresher::Uac)))
    );
    assert!(update.body().is_empty());
    assert!(update.headers.contains(&HeaderName::Contact));
}

#[test]
fn a_refusal_that_names_no_longer_interval_ends_the_call() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    let status = StatusCode::SESSION_INTERVAL_TOO_SMALL;
    send(&mut world, ALICE, reply(&invite, status, "x").to_bytes());
    assert_eq!(
        ended(&mut world, ALICE, alices),
        CallEndCause::Refused(status)
    );
    assert_nothing_is_left(&mut world);
}

#[test]
fn a_peer_that_always_wants_more_is_not_asked_forever() {
    let mut world = alice_alone();
    let (alices, _) = alice_calls_carol(&mut world);
    let status = StatusCode::SESSION_INTERVAL_TOO_SMALL;
    for round in 1..20 {
        let invite = requests(&world, &Method::Invite).pop().expect("an INVITE");
        let mut refused = reply(&invite, status, "x");
        refused.headers.push_typed(&MinSe::new(100 * round));
        send(&mut world, ALICE, refused.to_bytes());
    }
    assert_eq!(
        ended(&mut world, ALICE, alices),
        CallEndCause::Refused(status)
    );
    assert!(requests(&world, &Method::Invite).len() <= 8);
    assert_nothing_is_left(&mut world);
}

/// Header lines of an INVITE, and what its 200 grants.
type Case<'a> = (&'a [(HeaderName, &'a str)], Option<(u32, Refresher)>);

#[test]
fn the_called_grants_what_is_asked_and_says_who_refreshes() {
    use HeaderName::{Allow, MinSe as Min, SessionExpires as Expires, Supported};
    let timer = (Supported, "timer");
    let update = (Allow, "INVITE, ACK, BYE, UPDATE");
    let table: &[Case<'_>] = &[
        (&[], None),
        (&[timer.clone(), update.clone()], Some((90, Refresher::Uas))),
        (std::slice::from_ref(&timer), Some((1800, Refresher::Uas))),
        (
            &[timer.clone(), update.clone(), (Expires, "1800")],
            Some((90, Refresher::Uas)),
        ),
        (
            &[
                timer.clone(),
                update.clone(),
                (Expires, "1800"),
                (Min, "300"),
            ],
            Some((300, Refresher::Uas)),
        ),
        (
            &[timer.clone(), (Expires, "600;refresher=uas")],
            Some((600, Refresher::Uas)),
        ),
        (
            &[timer.clone(), (Expires, "600;refresher=uac")],
            Some((600, Refresher::Uac)),
        ),
        // A proxy asked: the caller cannot refresh, and 422 would not reach anybody who can help.
        (&[(Expires, "1800")], Some((1800, Refresher::Uas))),
        (&[(Expires, "20")], Some((90, Refresher::Uas))),
    ];
    for (more, granted) in table {
        let mut world = World::pair(1, Transport::Udp);
        let (_, accepted) = answered_by_bob(&mut world, more);
        let answer: Option<SessionExpires> = accepted.headers.typed().expect("well-formed");
        let answer = answer.map(|answer| (answer.seconds(), answer.refresher().expect("decided")));
        assert_eq!(answer, *granted, "{more:?}");
        let requires = accepted.headers.text(&HeaderName::Require);
        let by_caller = matches!(granted, Some((_, Refresher::Uac)));
        assert_eq!(requires.as_deref() == Some("timer"), by_caller, "{more:?}");
    }
}

#[test]
fn an_interval_below_the_least_is_refused_before_anything_rings() {
    let mut world = World::pair(1, Transport::Udp);
    let mut invite = to_bob(Method::Invite, 1, "x");
    invite.headers.remove(&HeaderName::To);
    push(&mut invite.headers, HeaderName::To, "<sip:bob@192.0.2.2>");
    push(&mut invite.headers, HeaderName::Supported, "timer");
    push(&mut invite.headers, HeaderName::SessionExpires, "89");
    send(&mut world, BOB, invite.to_bytes());
    let refused = responses(&world, &Method::Invite).pop().expect("an answer");
    assert_eq!(refused.status(), StatusCode::SESSION_INTERVAL_TOO_SMALL);
    assert_eq!(refused.headers.typed(), Ok(Some(MinSe::new(90))));
    assert!(world.events(BOB).is_empty());
}

#[test]
fn a_session_that_the_peer_does_not_refresh_ends_before_its_time() {
    let mut world = World::pair(1, Transport::Udp);
    let timer = [
        (HeaderName::Supported, "timer"),
        (HeaderName::Allow, "INVITE, UPDATE"),
        (HeaderName::SessionExpires, "90;refresher=uac"),
    ];
    let (bobs, _) = answered_by_bob(&mut world, &timer);
    let start = world.now;
    assert_eq!(ended(&mut world, BOB, bobs), CallEndCause::Timeout);
    let lasted = world.now - start;
    assert!(lasted > SECOND * 59 && lasted < SECOND * 61, "{lasted:?}");
    world.run(SECOND / 10);
    let byes = requests(&world, &Method::Bye);
    assert_eq!(byes.len(), 1);
    let reason = byes[0].headers.text(&HeaderName::Reason);
    assert_eq!(
        reason.as_deref(),
        Some("SIP;cause=408;text=\"Session timer expired\"")
    );
}

#[test]
fn a_refresh_of_the_peer_keeps_the_session_and_may_change_its_interval() {
    let mut world = World::pair(1, Transport::Udp);
    let timer = [
        (HeaderName::Supported, "timer"),
        (HeaderName::Allow, "INVITE, UPDATE"),
        (HeaderName::SessionExpires, "90;refresher=uac"),
    ];
    answered_by_bob(&mut world, &timer);
    let tag = bobs_tag(&world);
    for number in 2..6 {
        world.run(SECOND * 45);
        let mut update = to_bob(Method::Update, number, &tag);
        push(&mut update.headers, HeaderName::Supported, "timer");
        push(
            &mut update.headers,
            HeaderName::SessionExpires,
            "120;refresher=uac",
        );
        push(&mut update.headers, HeaderName::MinSe, "120");
        send(&mut world, BOB, update.to_bytes());
        let answer = responses(&world, &Method::Update).pop().expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(
            answer.headers.typed(),
            Ok(Some(SessionExpires::new(120, Some(Refresher::Uac))))
        );
        assert!(answer.headers.contains(&HeaderName::Contact));
    }
    assert!(!has_ended(&mut world, BOB));
    assert_eq!(requests(&world, &Method::Options).len(), 0);
}

#[test]
fn a_refresh_without_session_expires_ends_the_timer_and_the_peer_is_asked_again() {
    let mut world = World::pair(1, Transport::Udp);
    let timer = [
        (HeaderName::Supported, "timer"),
        (HeaderName::SessionExpires, "90;refresher=uac"),
    ];
    answered_by_bob(&mut world, &timer);
    let tag = bobs_tag(&world);
    let update = to_bob(Method::Update, 2, &tag);
    send(&mut world, BOB, update.to_bytes());
    let answer = responses(&world, &Method::Update).pop().expect("an answer");
    assert!(!answer.headers.contains(&HeaderName::SessionExpires));
    world.run(SECOND * 35);
    assert!(!requests(&world, &Method::Options).is_empty());
}

#[test]
fn a_refresh_that_asks_for_too_little_is_refused_and_the_session_goes_on() {
    let mut world = World::pair(1, Transport::Udp);
    answered_by_bob(&mut world, &[(HeaderName::Supported, "timer")]);
    let tag = bobs_tag(&world);
    for (number, method) in [(2, Method::Update), (3, Method::Invite)] {
        let mut refresh = to_bob(method.clone(), number, &tag);
        push(&mut refresh.headers, HeaderName::Supported, "timer");
        push(&mut refresh.headers, HeaderName::SessionExpires, "30");
        send(&mut world, BOB, refresh.to_bytes());
        assert_eq!(latest_status(&world, &method), Some(422), "{method}");
    }
    assert!(!has_ended(&mut world, BOB));
}

#[test]
fn a_peer_without_update_is_refreshed_by_a_calm_reinvite_that_changes_nothing() {
    let mut world = alice_alone();
    let timer = [
        (HeaderName::SessionExpires, "90;refresher=uac"),
        (HeaderName::Allow, "INVITE, ACK, BYE, CANCEL, OPTIONS"),
    ];
    let (_, invite) = accepted(&mut world, &timer);
    world.run(SECOND * 29);
    assert_eq!(requests(&world, &Method::Update).len(), 0);
    let refresh = requests(&world, &Method::Invite).pop().expect("a refresh");
    assert_ne!(
        refresh.headers.required::<CSeq>(),
        invite.headers.required::<CSeq>()
    );
    assert_eq!(
        expires(&refresh),
        Some(SessionExpires::new(1800, Some(Refresher::Uac)))
    );
    let version = |body: &[u8]| {
        let text = String::from_utf8_lossy(body).into_owned();
        let origin = text.lines().find(|line| line.starts_with("o="));
        origin.expect("an origin").to_owned()
    };
    // What was agreed narrows our lines once, by the answer.
    let mut accepting = answering(&refresh, StatusCode::OK, "carol");
    push(
        &mut accepting.headers,
        HeaderName::SessionExpires,
        "200;refresher=uac",
    );
    send(&mut world, ALICE, accepting.to_bytes());
    world.run(SECOND * 100);
    let second = requests(&world, &Method::Invite).pop().expect("a refresh");
    assert_eq!(version(second.body()), version(refresh.body()));
    let outcomes = world.events(ALICE).iter().filter(|event| {
        matches!(
            event,
            Event::HoldSucceeded { .. } | Event::ResumeSucceeded { .. } | Event::HoldFailed { .. }
        )
    });
    assert_eq!(outcomes.count(), 0, "nobody asked for a hold");
    assert_eq!(requests(&world, &Method::Ack).len(), 2);
}

#[test]
fn a_refused_update_is_replaced_by_a_reinvite() {
    let mut world = alice_alone();
    let timer = [
        (HeaderName::SessionExpires, "90;refresher=uac"),
        (HeaderName::Allow, "INVITE, UPDATE"),
    ];
    accepted(&mut world, &timer);
    world.run(SECOND * 29);
    let update = requests(&world, &Method::Update).pop().expect("a refresh");
    let refused = reply(&update, StatusCode::METHOD_NOT_ALLOWED, "carol");
    send(&mut world, ALICE, refused.to_bytes());
    world.run(SECOND * 6);
    assert_eq!(requests(&world, &Method::Invite).len(), 2);
    assert!(!has_ended(&mut world, ALICE));
}

#[test]
fn a_refresh_answered_481_or_not_at_all_ends_the_call() {
    for status in [
        Some(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST),
        Some(StatusCode::SERVER_INTERNAL_ERROR),
        None,
    ] {
        let mut world = alice_alone();
        let timer = [
            (HeaderName::SessionExpires, "90;refresher=uac"),
            (HeaderName::Allow, "INVITE, UPDATE"),
        ];
        let (alices, _) = accepted(&mut world, &timer);
        let start = world.now;
        let mut answered = 0;
        while world.now < start + SECOND * 70 && !has_ended(&mut world, ALICE) {
            world.run(SECOND);
            for update in requests(&world, &Method::Update).split_off(answered) {
                answered += 1;
                if let Some(status) = status {
                    let refused = reply(&update, status, "carol");
                    send(&mut world, ALICE, refused.to_bytes());
                }
            }
        }
        let expected = match status {
            Some(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST) => CallEndCause::Forgotten,
            Some(_) | None => CallEndCause::Timeout,
        };
        assert_eq!(ended(&mut world, ALICE, alices), expected, "{status:?}");
        let limit = if expected == CallEndCause::Forgotten {
            30
        } else {
            62
        };
        assert!(world.now - start <= SECOND * limit, "{status:?}");
        assert_nothing_is_left(&mut world);
    }
}

#[test]
fn a_hold_that_is_refused_for_its_interval_is_asked_for_again_with_a_longer_one() {
    let mut world = alice_alone();
    let (alices, _) = accepted(&mut world, &[]);
    world
        .act(ALICE, |alice, now| alice.hold(now, alices))
        .expect("it stands");
    world.run(SECOND / 10);
    let hold = requests(&world, &Method::Invite).pop().expect("a hold");
    let mut refused = reply(&hold, StatusCode::SESSION_INTERVAL_TOO_SMALL, "carol");
    refused.headers.push_typed(&MinSe::new(3600));
    send(&mut world, ALICE, refused.to_bytes());
    world.run(SECOND);
    let again = requests(&world, &Method::Invite).pop().expect("a hold");
    assert_eq!(expires(&again), Some(SessionExpires::new(3600, None)));
    assert_eq!(again.body(), hold.body());
    let accepting = answering(&again, StatusCode::OK, "carol");
    send(&mut world, ALICE, accepting.to_bytes());
    world.wait_for(ALICE, |event| {
        matches!(event, Event::HoldSucceeded { call } if *call == alices).then_some(())
    });
}
