//! Reliable provisional responses of ours (RFC 3262): when, how often, and what their PRACK brings.

use std::time::Duration;

use netem::{LinkConditions, Loss, Probability};
use sip::endpoint::{ActionError, CallEndCause, CallId, Event};
use sip::grammar::{ContentType, HeaderName, Method, RAck, RSeq, Request, Response, StatusCode};
use sip::offer_answer::Session;
use sip::transport::Transport;

use crate::calls::{assert_nothing_is_left, ended, established};
use crate::carol::{
    acknowledge, answer, bobs_tag, carol_calls_bob, latest_status, offer, push, responses, rng,
    send, to_bob,
};
use crate::world::{ALICE, BOB, CAROL, World, account, media_of};

const SECOND: Duration = Duration::from_secs(1);
const REQUIRED: &[(HeaderName, &str)] = &[(HeaderName::Require, "100rel")];
const SUPPORTED: &[(HeaderName, &str)] = &[(HeaderName::Supported, "100rel")];

fn bob() -> World {
    World::pair(1, Transport::Udp)
}

fn ring(world: &mut World, call: CallId) {
    world
        .act(BOB, |bob, now| bob.ring(now, call))
        .expect("it is unanswered");
    world.run(SECOND / 100);
}

fn open_early_media(world: &mut World, call: CallId) -> Result<(), ActionError> {
    let opened = world.act(BOB, |bob, now| {
        bob.open_early_media(now, call, media_of(BOB))
    });
    world.run(SECOND / 100);
    opened
}

fn answer_call(world: &mut World, call: CallId) {
    world
        .act(BOB, |bob, now| bob.answer(now, call, media_of(BOB)))
        .expect("it is unanswered");
    world.run(SECOND / 100);
}

/// What Carol got for her INVITE, repetitions included.
fn with_status(world: &World, status: StatusCode) -> Vec<Response> {
    let mut responses = responses(world, &Method::Invite);
    responses.retain(|response| response.status() == status);
    responses
}

fn number_of(response: &Response) -> u32 {
    let RSeq(number) = response.headers.required().expect("a number");
    number
}

fn prack(world: &World, number: u32, sequence: u32) -> Request {
    let mut prack = to_bob(Method::Prack, sequence, &bobs_tag(world));
    prack.headers.push_typed(&RAck {
        response: number,
        sequence: 1,
        method: Method::Invite,
    });
    prack
}

fn early_media(world: &mut World) -> usize {
    let events = world.events(BOB).iter();
    events
        .filter(|event| matches!(event, Event::EarlyMedia { .. }))
        .count()
}

#[test]
fn ringing_that_must_be_reliable_is_repeated_with_doubling_waits_until_its_prack() {
    let mut world = bob();
    let (bobs, _) = carol_calls_bob(&mut world, REQUIRED);
    ring(&mut world, bobs);
    world.run(SECOND * 4);
    let ringing = with_status(&world, StatusCode::RINGING);
    assert_eq!(ringing.len(), 4, "0, 0.5, 1.5, 3.5 s");
    let number = number_of(&ringing[0]);
    assert!((1..=0x7fff_ffff).contains(&number));
    for one in &ringing {
        assert_eq!(number_of(one), number);
        assert_eq!(
            one.headers.text(&HeaderName::Require).as_deref(),
            Some("100rel")
        );
        assert!(one.headers.contains(&HeaderName::Contact));
    }
    let prack = prack(&world, number, 2);
    send(&mut world, BOB, prack.to_bytes());
    assert_eq!(latest_status(&world, &Method::Prack), Some(200));
    world.run(SECOND * 30);
    assert_eq!(with_status(&world, StatusCode::RINGING).len(), 4);
    // A lost 200 is asked for by the same PRACK.
    send(&mut world, BOB, prack.to_bytes());
    assert_eq!(latest_status(&world, &Method::Prack), Some(200));
    answer_call(&mut world, bobs);
    established(&mut world, BOB, bobs);
}

#[test]
fn ringing_that_is_never_acknowledged_ends_in_504() {
    let mut world = bob();
    let (bobs, _) = carol_calls_bob(&mut world, REQUIRED);
    ring(&mut world, bobs);
    let start = world.now;
    assert_eq!(ended(&mut world, BOB, bobs), CallEndCause::Timeout);
    assert!(world.now - start >= SECOND * 31 && world.now - start <= SECOND * 32);
    world.run(SECOND / 100);
    assert_eq!(with_status(&world, StatusCode::RINGING).len(), 7);
    assert_eq!(latest_status(&world, &Method::Invite), Some(504));
    assert_nothing_is_left(&mut world);
}

#[test]
fn a_prack_of_something_else_is_refused_and_the_ringing_goes_on() {
    let mut world = bob();
    let (bobs, _) = carol_calls_bob(&mut world, REQUIRED);
    ring(&mut world, bobs);
    let number = number_of(&with_status(&world, StatusCode::RINGING)[0]);
    let wrong = [
        (format!("{} 1 INVITE", number ^ 1), 481),
        (format!("{number} 2 INVITE"), 481),
        (format!("{number} 1 OPTIONS"), 481),
        ("nonsense".to_owned(), 400),
        (String::new(), 400),
    ];
    for (index, (ack, status)) in wrong.iter().enumerate() {
        let mut prack = to_bob(Method::Prack, 2 + index as u32, &bobs_tag(&world));
        if !ack.is_empty() {
            push(&mut prack.headers, HeaderName::RAck, ack);
        }
        send(&mut world, BOB, prack.to_bytes());
        assert_eq!(
            latest_status(&world, &Method::Prack),
            Some(*status),
            "{ack}"
        );
    }
    world.run(SECOND);
    assert!(with_status(&world, StatusCode::RINGING).len() >= 2);
}

#[test]
fn a_caller_that_only_knows_reliability_hears_ringing_as_before() {
    for more in [SUPPORTED, &[]] {
        let mut world = bob();
        let (bobs, _) = carol_calls_bob(&mut world, more);
        ring(&mut world, bobs);
        world.run(SECOND * 2);
        let ringing = with_status(&world, StatusCode::RINGING);
        assert_eq!(ringing.len(), 1);
        assert!(!ringing[0].headers.contains(&HeaderName::RSeq));
    }
}

#[test]
fn early_media_is_agreed_reliably_and_the_answer_waits_for_its_prack() {
    let mut world = bob();
    let (bobs, _) = carol_calls_bob(&mut world, SUPPORTED);
    assert_eq!(open_early_media(&mut world, bobs), Ok(()));
    assert_eq!(early_media(&mut world), 1);
    let progress = with_status(&world, StatusCode::SESSION_PROGRESS);
    assert!(!progress[0].body().is_empty());
    answer_call(&mut world, bobs);
    world.run(SECOND);
    assert_eq!(
        with_status(&world, StatusCode::OK).len(),
        0,
        "not before PRACK"
    );

    let prack = prack(&world, number_of(&progress[0]), 2);
    send(&mut world, BOB, prack.to_bytes());
    let accepted = with_status(&world, StatusCode::OK);
    assert_eq!(accepted.len(), 1);
    assert!(accepted[0].body().is_empty(), "it was answered already");
    acknowledge(&mut world, 1);
    let media = established(&mut world, BOB, bobs);
    let told = world.wait_for(BOB, |event| match event {
        Event::EarlyMedia { media, .. } => Some(media.clone()),
        _ => None,
    });
    assert_eq!(media, told);
}

#[test]
fn early_media_for_a_caller_without_reliability_is_said_again_by_the_answer() {
    let mut world = bob();
    let (bobs, _) = carol_calls_bob(&mut world, &[]);
    assert_eq!(open_early_media(&mut world, bobs), Ok(()));
    assert_eq!(open_early_media(&mut world, bobs), Ok(()), "already so");
    answer_call(&mut world, bobs);
    let progress = with_status(&world, StatusCode::SESSION_PROGRESS);
    let accepted = with_status(&world, StatusCode::OK);
    assert_eq!(progress.len(), 1);
    assert!(!progress[0].headers.contains(&HeaderName::RSeq));
    assert_eq!(progress[0].body(), accepted[0].body());
}

#[test]
fn a_second_reliable_response_waits_for_the_prack_of_the_first() {
    let mut world = bob();
    let (bobs, _) = carol_calls_bob(&mut world, REQUIRED);
    ring(&mut world, bobs);
    assert_eq!(open_early_media(&mut world, bobs), Ok(()));
    assert_eq!(with_status(&world, StatusCode::SESSION_PROGRESS).len(), 0);
    answer_call(&mut world, bobs);
    assert_eq!(with_status(&world, StatusCode::OK).len(), 0);

    let ringing = number_of(&with_status(&world, StatusCode::RINGING)[0]);
    let mut offering = prack(&world, ringing, 2);
    offering.set_body(&ContentType::sdp(), offer());
    send(&mut world, BOB, offering.to_bytes());
    // The first offer has no answer on the wire yet. The number is acknowledged all the same.
    assert_eq!(latest_status(&world, &Method::Prack), Some(500));
    let progress = with_status(&world, StatusCode::SESSION_PROGRESS);
    assert_eq!(number_of(&progress[0]), ringing + 1);
    let prack = prack(&world, ringing + 1, 3);
    send(&mut world, BOB, prack.to_bytes());
    assert_eq!(with_status(&world, StatusCode::OK).len(), 1);
}

#[test]
fn an_answer_overtakes_ringing_and_its_prack_is_still_accepted_once() {
    let mut world = bob();
    let (bobs, _) = carol_calls_bob(&mut world, REQUIRED);
    ring(&mut world, bobs);
    answer_call(&mut world, bobs);
    assert_eq!(with_status(&world, StatusCode::OK).len(), 1);
    let number = number_of(&with_status(&world, StatusCode::RINGING)[0]);
    for (sequence, status) in [(2, 200), (3, 481)] {
        let prack = prack(&world, number, sequence);
        send(&mut world, BOB, prack.to_bytes());
        assert_eq!(latest_status(&world, &Method::Prack), Some(status));
    }
    acknowledge(&mut world, 1);
    world.run(SECOND * 5);
    assert_eq!(with_status(&world, StatusCode::RINGING).len(), 1);
}

#[test]
fn later_offers_come_by_prack_and_by_update_once_early_media_is_acknowledged() {
    let mut world = bob();
    let (bobs, _) = carol_calls_bob(&mut world, SUPPORTED);
    assert_eq!(open_early_media(&mut world, bobs), Ok(()));
    let number = number_of(&with_status(&world, StatusCode::SESSION_PROGRESS)[0]);
    let update = |world: &World, sequence| {
        let mut update = to_bob(Method::Update, sequence, &bobs_tag(world));
        update.set_body(&ContentType::sdp(), offer());
        update.to_bytes()
    };
    let early = update(&world, 2);
    send(&mut world, BOB, early);
    assert_eq!(latest_status(&world, &Method::Update), Some(500));

    let mut prack = prack(&world, number, 3);
    prack.set_body(&ContentType::sdp(), offer());
    send(&mut world, BOB, prack.to_bytes());
    let answered = responses(&world, &Method::Prack).pop().expect("an answer");
    assert_eq!(answered.status(), StatusCode::OK);
    assert!(!answered.body().is_empty());
    assert_eq!(early_media(&mut world), 2);

    let late = update(&world, 4);
    send(&mut world, BOB, late);
    let answered = responses(&world, &Method::Update).pop().expect("an answer");
    assert_eq!(answered.status(), StatusCode::OK);
    assert!(!answered.body().is_empty());
    assert_eq!(early_media(&mut world), 3);
    answer_call(&mut world, bobs);
    assert!(with_status(&world, StatusCode::OK)[0].body().is_empty());
}

/// Carol's INVITE without an offer.
fn late_offer(world: &mut World, more: &[(HeaderName, &str)]) -> CallId {
    let mut invite = to_bob(Method::Invite, 1, "x");
    invite.headers.remove(&HeaderName::To);
    push(
        &mut invite.headers,
        HeaderName::To,
        &format!("<sip:bob@{BOB}>"),
    );
    for (name, value) in more {
        push(&mut invite.headers, name.clone(), value);
    }
    send(world, BOB, invite.to_bytes());
    world.incoming(BOB)
}

fn ring_with_offer(world: &mut World, call: CallId) -> Result<(), ActionError> {
    let rung = world.act(BOB, |bob, now| {
        bob.ring_with_offer(now, call, media_of(BOB))
    });
    world.run(SECOND / 100);
    rung
}

/// Sends an offer before the call is answered.
type OfferEarly = fn(&mut World, CallId) -> Result<(), ActionError>;

/// Carol hears that it rings from our offer, and answers that in her PRACK, well or not.
#[test]
fn a_late_offer_goes_by_the_first_reliable_response_and_its_answer_by_prack() {
    let ways: [(OfferEarly, _); 2] = [
        (ring_with_offer, StatusCode::RINGING),
        (open_early_media, StatusCode::SESSION_PROGRESS),
    ];
    for (offer_early, status) in ways {
        for good in [true, false] {
            let mut world = bob();
            let bobs = late_offer(&mut world, REQUIRED);
            ring(&mut world, bobs);
            world.run(SECOND);
            let codes: Vec<_> = responses(&world, &Method::Invite)
                .iter()
                .map(|response| response.status().code())
                .collect();
            assert_eq!(codes, [100], "a reliable 180 would have to carry an offer");

            assert!(world.act(BOB, |bob, _| bob.rings_with_offer(bobs)));
            assert_eq!(offer_early(&mut world, bobs), Ok(()));
            assert!(!world.act(BOB, |bob, _| bob.rings_with_offer(bobs)));
            assert_eq!(early_media(&mut world), 0, "not agreed yet");
            answer_call(&mut world, bobs);
            assert!(
                world.act(BOB, |bob, _| bob.is_unanswered(bobs)),
                "its answer waits"
            );
            let progress = with_status(&world, status);
            let mut prack = prack(&world, number_of(&progress[0]), 2);
            if good {
                prack.set_body(&ContentType::sdp(), answer(progress[0].body()));
            }
            send(&mut world, BOB, prack.to_bytes());
            assert_eq!(latest_status(&world, &Method::Prack), Some(200));
            assert!(!world.act(BOB, |bob, _| bob.is_unanswered(bobs)));
            if good {
                let accepted = with_status(&world, StatusCode::OK);
                assert!(accepted[0].body().is_empty());
                acknowledge(&mut world, 1);
                let media = established(&mut world, BOB, bobs);
                assert_eq!(media.remote.audio.expect("audio").rtp.ip(), CAROL.ip());
            } else {
                assert_eq!(ended(&mut world, BOB, bobs), CallEndCause::Media);
                assert_nothing_is_left(&mut world);
            }
        }
    }
}

#[test]
fn only_who_takes_reliable_responses_alone_and_offers_nothing_is_rung_with_an_offer() {
    for more in [SUPPORTED, &[]] {
        let mut world = bob();
        let bobs = late_offer(&mut world, more);
        assert_eq!(
            ring_with_offer(&mut world, bobs),
            Err(ActionError::WrongState)
        );
        ring(&mut world, bobs);
        let ringing = with_status(&world, StatusCode::RINGING);
        assert!(ringing[0].body().is_empty());
    }
    let mut world = bob();
    let (bobs, _) = carol_calls_bob(&mut world, REQUIRED);
    assert_eq!(
        ring_with_offer(&mut world, bobs),
        Err(ActionError::WrongState)
    );
}

#[test]
fn early_media_needs_an_offer_or_a_caller_that_can_answer_ours() {
    let mut world = bob();
    let bobs = late_offer(&mut world, &[]);
    assert_eq!(
        open_early_media(&mut world, bobs),
        Err(ActionError::WrongState)
    );
    answer_call(&mut world, bobs);
    let accepted = with_status(&world, StatusCode::OK);
    assert!(
        Session::answer(
            &account("carol", Transport::Udp).capabilities,
            &media_of(CAROL),
            &mut rng(),
            accepted[0].body()
        )
        .is_ok(),
        "the 200 carries our offer"
    );
}

#[test]
fn a_call_that_is_cancelled_or_rejected_leaves_no_repetitions() {
    for cancels in [true, false] {
        let mut world = bob();
        let (bobs, invite) = carol_calls_bob(&mut world, REQUIRED);
        ring(&mut world, bobs);
        if cancels {
            let mut cancel = to_bob(Method::Cancel, 1, "x");
            for name in [HeaderName::Via, HeaderName::To] {
                cancel.headers.remove(&name);
                cancel.headers.copy_from(&invite.headers, &name);
            }
            send(&mut world, BOB, cancel.to_bytes());
            assert_eq!(ended(&mut world, BOB, bobs), CallEndCause::RemoteCancelled);
        } else {
            world
                .act(BOB, |bob, now| bob.reject(now, bobs, StatusCode::BUSY_HERE))
                .expect("it is unanswered");
        }
        world.run(SECOND * 20);
        assert_eq!(with_status(&world, StatusCode::RINGING).len(), 1);
        assert_nothing_is_left(&mut world);
    }
}

#[test]
fn two_of_us_agree_early_over_every_transport_and_over_a_bad_network() {
    for (seed, transport) in [
        (1, Transport::Tcp),
        (2, Transport::Tls),
        (3, Transport::Udp),
        (4, Transport::Udp),
        (5, Transport::Udp),
        (6, Transport::Udp),
    ] {
        let mut world = World::pair(seed, transport);
        if transport == Transport::Udp {
            world.network.set_default_conditions(LinkConditions {
                delay: Duration::from_millis(40),
                jitter: Duration::from_millis(30),
                loss: Loss::Random(Probability::percent(25.0).expect("a percentage")),
                duplication: Probability::percent(10.0).expect("a percentage"),
                reordering: Probability::percent(10.0).expect("a percentage"),
                held_back: Duration::from_millis(700),
                ..LinkConditions::default()
            });
        }
        let alices = world.invite(ALICE, BOB);
        let bobs = world.incoming(BOB);
        assert_eq!(open_early_media(&mut world, bobs), Ok(()));
        let early = world.wait_for(ALICE, |event| match event {
            Event::EarlyMedia { media, .. } => Some(media.clone()),
            _ => None,
        });
        answer_call(&mut world, bobs);
        assert_eq!(established(&mut world, ALICE, alices), early, "seed {seed}");
        established(&mut world, BOB, bobs);
        world.run(SECOND * 40);
        world
            .act(ALICE, |alice, now| alice.hang_up(now, alices))
            .expect("it stands");
        assert_eq!(
            ended(&mut world, BOB, bobs),
            CallEndCause::RemoteHangUp,
            "seed {seed}"
        );
        assert_nothing_is_left(&mut world);
    }
}
