//! Calls from INVITE to BYE over each transport and over bad networks.

use std::time::Duration;

use netem::{LinkConditions, Loss, Probability};
use sip::endpoint::{CallEndCause, CallId, Event};
use sip::grammar::{ContentType, StatusCode};
use sip::offer_answer::{AgreedSecurity, CallMedia};
use sip::transport::{StreamError, Transport};

use crate::world::{ALICE, BOB, World, address, media_of};

/// Media of a call as one side has it.
pub(crate) fn established(world: &mut World, at: std::net::SocketAddr, call: CallId) -> CallMedia {
    world.wait_for(at, |event| match event {
        Event::Established {
            call: this, media, ..
        } if *this == call => Some(media.clone()),
        _ => None,
    })
}

/// Waits for the end of a call and says why it ended.
pub(crate) fn ended(world: &mut World, at: std::net::SocketAddr, call: CallId) -> CallEndCause {
    world.wait_for(at, |event| match event {
        Event::Ended { call: this, cause } if *this == call => Some(*cause),
        _ => None,
    })
}

/// A standing call: Alice's and Bob's name for it.
pub(crate) fn call(world: &mut World) -> (CallId, CallId) {
    let alices = world.invite(ALICE, BOB);
    let bobs = world.incoming(BOB);
    world
        .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
        .expect("it is unanswered");
    established(world, ALICE, alices);
    (alices, bobs)
}

/// Runs until everything that may still be on its way has come to its end.
pub(crate) fn assert_nothing_is_left(world: &mut World) {
    world.run(Duration::from_secs(70));
    for node in &world.nodes {
        let counts = node.endpoint.counts();
        assert_eq!(
            (
                counts.calls,
                counts.client_transactions,
                counts.server_transactions,
                counts.look_ups
            ),
            (0, 0, 0, 0),
            "{}",
            node.address
        );
    }
}

pub(crate) fn bad_network() -> LinkConditions {
    LinkConditions {
        delay: Duration::from_millis(40),
        jitter: Duration::from_millis(30),
        loss: Loss::Random(Probability::percent(20.0).expect("a percentage")),
        duplication: Probability::percent(10.0).expect("a percentage"),
        reordering: Probability::percent(10.0).expect("a percentage"),
        held_back: Duration::from_millis(700),
        ..LinkConditions::default()
    }
}

#[test]
fn a_call_is_established_with_the_same_media_on_both_sides_over_every_transport() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        let mut world = World::pair(1, transport);
        let alices = world.invite(ALICE, BOB);
        let bobs = world.incoming(BOB);
        world.act(BOB, |bob, now| bob.ring(now, bobs)).unwrap();
        world.wait_for(ALICE, |event| match event {
            Event::Ringing { call } if *call == alices => Some(()),
            _ => None,
        });
        world
            .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
            .unwrap();
        let alices_media = established(&mut world, ALICE, alices);
        let bobs_media = established(&mut world, BOB, bobs);
        assert_eq!(
            alices_media.security,
            AgreedSecurity::Secured,
            "{transport}"
        );
        let (ours, theirs) = (
            alices_media.streams.audio.unwrap(),
            bobs_media.streams.audio.unwrap(),
        );
        assert_eq!(ours.codec, theirs.codec);
        assert_eq!(ours.send_payload_type, theirs.receive_payload_type);
        let (ours, theirs) = (ours.srtp.unwrap(), theirs.srtp.unwrap());
        assert_eq!((ours.local, ours.remote), (theirs.remote, theirs.local));
        let remote = alices_media.remote.video.unwrap().rtp;
        assert_eq!(remote, address(2, 20_002));
        world
            .act(ALICE, |alice, now| alice.hang_up(now, alices))
            .unwrap();
        assert_eq!(ended(&mut world, ALICE, alices), CallEndCause::Local);
        assert_eq!(ended(&mut world, BOB, bobs), CallEndCause::RemoteHangUp);
        assert_nothing_is_left(&mut world);
    }
}

#[test]
fn a_call_is_established_and_ended_over_a_network_that_loses_doubles_and_reorders() {
    for seed in 0..60 {
        let mut world = World::pair(seed, Transport::Udp).with_conditions(bad_network());
        let (alices, bobs) = call(&mut world);
        world.act(BOB, |bob, now| bob.hang_up(now, bobs)).unwrap();
        assert_eq!(
            ended(&mut world, BOB, bobs),
            CallEndCause::Local,
            "seed {seed}"
        );
        assert_eq!(
            ended(&mut world, ALICE, alices),
            CallEndCause::RemoteHangUp,
            "seed {seed}"
        );
        assert_nothing_is_left(&mut world);
    }
}

#[test]
fn the_called_that_hangs_up_before_the_ack_waits_for_it_and_then_sends_bye() {
    let mut world = World::pair(2, Transport::Udp);
    let alices = world.invite(ALICE, BOB);
    let bobs = world.incoming(BOB);
    world.act(BOB, |bob, now| {
        bob.answer(now, bobs, media_of(BOB)).unwrap();
        bob.hang_up(now, bobs).unwrap();
    });
    assert_eq!(ended(&mut world, ALICE, alices), CallEndCause::RemoteHangUp);
    assert!(
        world
            .events(ALICE)
            .iter()
            .any(|event| matches!(event, Event::Established { .. }))
    );
    assert_nothing_is_left(&mut world);
}

#[test]
fn a_rejected_call_tells_the_caller_why() {
    let mut world = World::pair(3, Transport::Udp);
    let alices = world.invite(ALICE, BOB);
    let bobs = world.incoming(BOB);
    world
        .act(BOB, |bob, now| bob.reject(now, bobs, StatusCode::BUSY_HERE))
        .unwrap();
    assert_eq!(ended(&mut world, BOB, bobs), CallEndCause::Local);
    let cause = ended(&mut world, ALICE, alices);
    assert_eq!(cause, CallEndCause::Refused(StatusCode::BUSY_HERE));
    assert_nothing_is_left(&mut world);
}

#[test]
fn a_cancelled_call_stops_ringing_and_leaves_nothing() {
    for seed in 0..30 {
        let mut world = World::pair(seed, Transport::Udp).with_conditions(bad_network());
        let alices = world.invite(ALICE, BOB);
        let bobs = world.incoming(BOB);
        world.act(BOB, |bob, now| bob.ring(now, bobs)).unwrap();
        world
            .act(ALICE, |alice, now| alice.hang_up(now, alices))
            .unwrap();
        assert_eq!(ended(&mut world, ALICE, alices), CallEndCause::Local);
        assert_eq!(
            ended(&mut world, BOB, bobs),
            CallEndCause::RemoteCancelled,
            "seed {seed}"
        );
        assert_nothing_is_left(&mut world);
    }
}

#[test]
fn a_call_cancelled_before_any_answer_is_cancelled_once_it_may_be() {
    let mut world = World::pair(4, Transport::Udp);
    let alices = world.invite(ALICE, BOB);
    world
        .act(ALICE, |alice, now| alice.hang_up(now, alices))
        .unwrap();
    assert_eq!(ended(&mut world, ALICE, alices), CallEndCause::Local);
    let bobs = world.incoming(BOB);
    assert_eq!(ended(&mut world, BOB, bobs), CallEndCause::RemoteCancelled);
    assert_nothing_is_left(&mut world);
}

#[test]
fn an_answer_that_crosses_cancel_is_acknowledged_and_hung_up() {
    let mut world = World::pair(5, Transport::Udp);
    let alices = world.invite(ALICE, BOB);
    let bobs = world.incoming(BOB);
    world.act(BOB, |bob, now| bob.ring(now, bobs)).unwrap();
    world.run(Duration::from_millis(10));
    world
        .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
        .unwrap();
    world
        .act(ALICE, |alice, now| alice.hang_up(now, alices))
        .unwrap();
    assert_eq!(ended(&mut world, BOB, bobs), CallEndCause::RemoteHangUp);
    assert!(
        !world
            .events(ALICE)
            .iter()
            .any(|event| matches!(event, Event::Established { .. }))
    );
    assert_nothing_is_left(&mut world);
}

#[test]
fn a_call_to_nobody_times_out_and_one_to_a_refusing_host_fails_at_once() {
    let mut world = World::pair(6, Transport::Udp);
    let start = world.now;
    let silent = world.invite(ALICE, address(77, 5060));
    assert_eq!(ended(&mut world, ALICE, silent), CallEndCause::Timeout);
    assert_eq!(world.now - start, Duration::from_secs(32));
    assert_nothing_is_left(&mut world);

    let mut world = World::pair(6, Transport::Tcp);
    let refused = world.invite(ALICE, address(77, 5060));
    assert_eq!(ended(&mut world, ALICE, refused), CallEndCause::Transport);
    assert_nothing_is_left(&mut world);
}

#[test]
fn a_call_whose_certificate_is_refused_is_told_apart_from_one_to_nobody() {
    let mut world = World::pair(6, Transport::Tls);
    world.refusal = StreamError::Certificate;
    let call = world.invite(ALICE, address(77, 5060));
    assert_eq!(ended(&mut world, ALICE, call), CallEndCause::Certificate);
    assert_nothing_is_left(&mut world);
}

#[test]
fn the_second_address_of_a_name_is_tried_when_the_first_takes_no_connection() {
    let mut world = World::pair(7, Transport::Tls);
    world
        .names
        .insert("bob.example.test".to_owned(), vec![address(77, 5060), BOB]);
    let target = "sip:bob@bob.example.test:5060".parse().unwrap();
    let alices = world
        .act(ALICE, |alice, now| {
            alice.invite(now, &crate::world::room(), &target, media_of(ALICE))
        })
        .unwrap();
    let bobs = world.incoming(BOB);
    world
        .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
        .unwrap();
    established(&mut world, ALICE, alices);
}

#[test]
fn an_unknown_name_ends_the_call() {
    let mut world = World::pair(8, Transport::Udp);
    let target = "sip:bob@nowhere.example.test".parse().unwrap();
    let alices = world
        .act(ALICE, |alice, now| {
            alice.invite(now, &crate::world::room(), &target, media_of(ALICE))
        })
        .unwrap();
    assert_eq!(ended(&mut world, ALICE, alices), CallEndCause::Transport);
}

#[test]
fn a_call_that_nobody_answers_ends_on_both_sides() {
    let mut world = World::pair(9, Transport::Udp);
    let alices = world.invite(ALICE, BOB);
    let bobs = world.incoming(BOB);
    world.act(BOB, |bob, now| bob.ring(now, bobs)).unwrap();
    assert_eq!(ended(&mut world, ALICE, alices), CallEndCause::NotAnswered);
    assert_eq!(ended(&mut world, BOB, bobs), CallEndCause::RemoteCancelled);
    assert_nothing_is_left(&mut world);
}

#[test]
fn info_carries_digits_and_picture_requests_and_refuses_other_bodies() {
    let mut world = World::pair(10, Transport::Udp);
    let (alices, bobs) = call(&mut world);
    for (content_type, body) in [
        ("application/dtmf-relay", "Signal=5"),
        ("application/media_control+xml", "<x/>"),
    ] {
        let content_type_value: ContentType = content_type.parse().unwrap();
        world
            .act(ALICE, |alice, now| {
                alice.send_info(now, alices, &content_type_value, body.into())
            })
            .unwrap();
        let told = world.wait_for(BOB, |event| match event {
            Event::Info {
                call,
                content_type: told,
                body: text,
            } if *call == bobs && told == content_type => Some(text.clone()),
            _ => None,
        });
        assert_eq!(told.as_bytes(), body.as_bytes());
    }
    let strange: ContentType = "text/plain".parse().unwrap();
    world
        .act(ALICE, |alice, now| {
            alice.send_info(now, alices, &strange, "x".into())
        })
        .unwrap();
    world.run(Duration::from_secs(5));
    let infos = world
        .events(BOB)
        .iter()
        .filter(|event| matches!(event, Event::Info { .. }))
        .count();
    assert_eq!(infos, 2);
    assert!(world.events(ALICE).contains(&Event::InfoRefused {
        call: alices,
        content_type: "text/plain".to_owned(),
    }));
    assert!(
        !world
            .events(ALICE)
            .iter()
            .any(|event| matches!(event, Event::Ended { .. }))
    );
}

#[test]
fn a_standing_call_survives_its_connection_and_hangs_up_over_a_new_one() {
    for transport in [Transport::Tcp, Transport::Tls] {
        let mut world = World::pair(11, transport);
        let (alices, bobs) = call(&mut world);
        world.run(Duration::from_secs(1));
        world.break_streams(ALICE);
        world.run(Duration::from_secs(5));
        assert!(
            !world
                .events(BOB)
                .iter()
                .any(|event| matches!(event, Event::Ended { .. }))
        );
        world
            .act(ALICE, |alice, now| alice.hang_up(now, alices))
            .unwrap();
        assert_eq!(
            ended(&mut world, BOB, bobs),
            CallEndCause::RemoteHangUp,
            "{transport}"
        );
        assert_nothing_is_left(&mut world);
    }
}

#[test]
fn a_request_too_large_for_udp_goes_by_tcp_and_comes_back_when_there_is_none() {
    let mut world = World::pair(12, Transport::Udp);
    let mut account = crate::world::account("alice", Transport::Udp);
    account.large_requests_by_tcp = true;
    account.display_name = Some("n".repeat(1_300));
    world.nodes.remove(0);
    world.add(crate::world::settings(account, ALICE), ALICE);
    let alices = world.invite(ALICE, BOB);
    let bobs = world.incoming(BOB);
    assert!(
        world.sent.iter().all(|(from, ..)| *from != ALICE),
        "the INVITE went by TCP"
    );
    world
        .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
        .unwrap();
    established(&mut world, ALICE, alices);

    let nobody = world.invite(ALICE, address(77, 5060));
    assert_eq!(ended(&mut world, ALICE, nobody), CallEndCause::Timeout);
    assert!(
        world.sent.iter().any(|(_, to, _)| *to == address(77, 5060)),
        "UDP was tried"
    );
}

#[test]
fn a_call_that_was_given_up_is_not_placed_at_the_next_address() {
    let mut world = World::pair(1, Transport::Udp);
    let addresses = vec![address(7, 5060), BOB];
    world.names.insert("two.example".to_owned(), addresses);
    let target = "sip:bob@two.example".parse().unwrap();
    let alices = world
        .act(ALICE, |alice, now| {
            alice.invite(now, &crate::world::room(), &target, media_of(ALICE))
        })
        .unwrap();
    world.run(Duration::from_secs(1));
    world
        .act(ALICE, |alice, now| alice.hang_up(now, alices))
        .unwrap();
    world.run(Duration::from_secs(120));
    let rang = |event: &Event| matches!(event, Event::Incoming { .. });
    assert!(!world.events(BOB).iter().any(rang), "it rings at last");
    ended(&mut world, ALICE, alices);
    assert_nothing_is_left(&mut world);
}
