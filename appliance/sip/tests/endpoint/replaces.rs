//! Dialogs that take the place of others (RFC 3891).

use std::net::SocketAddr;
use std::time::Duration;

use sip::endpoint::{CallEndCause, CallId, ConfiguredPeer, Event, IfNotReplaced, ReplacesPolicy};
use sip::grammar::{
    CallId as CallIdHeader, ContentType, HeaderName, Message, Method, Replaces, Request, StatusCode,
};
use sip::transport::Transport;

use crate::calls::{assert_nothing_is_left, call, ended, established};
use crate::carol::{
    acknowledge, alice_alone, alice_calls_carol, answering, bobs_tag, carol_calls_bob,
    latest_status, offer, push, reply, requests, responses, send, sent, to_bob,
};
use crate::registrar::{Algorithm, Registrar};
use crate::registration::registering_account;
use crate::world::{ALICE, BOB, CAROL, REGISTRAR, World, account, media_of, room, settings};

const SECOND: Duration = Duration::from_secs(1);
const TRANSPORTS: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

fn media_changes(world: &mut World, at: SocketAddr) -> usize {
    let events = world.events(at).iter();
    events
        .filter(|event| matches!(event, Event::MediaChanged { .. }))
        .count()
}

fn has_ended(world: &mut World, at: SocketAddr) -> bool {
    let events = world.events(at).iter();
    events
        .filter(|event| matches!(event, Event::Ended { .. }))
        .count()
        > 0
}

/// Alice's process is killed and starts again.
fn restart(world: &mut World, transport: Transport) {
    world.nodes.retain(|node| node.address != ALICE);
    world.add(settings(account("alice", transport), ALICE), ALICE);
}

fn come_back(world: &mut World, replaced: &Replaces) -> CallId {
    let target = format!("sip:{BOB}").parse().expect("a SIP URI");
    world
        .act(ALICE, |alice, now| {
            alice.invite_replacing(
                now,
                &room(),
                &target,
                media_of(ALICE),
                replaced,
                IfNotReplaced::CallAnew,
            )
        })
        .expect("the call can be made")
}

#[test]
fn a_killed_process_comes_back_into_its_call_without_anybody_answering() {
    for transport in [Transport::Udp, Transport::Tls] {
        let mut world = World::pair(1, transport);
        let (alices, bobs) = call(&mut world);
        let replaced = world.node(ALICE).endpoint.replaces(alices);
        let replaced = replaced.expect("the call stands");
        world.run(SECOND);
        restart(&mut world, transport);
        let start = world.now;

        let again = come_back(&mut world, &replaced);
        let alices_media = established(&mut world, ALICE, again);
        assert!(world.now - start < SECOND, "{transport}");
        world.run(SECOND);
        assert!(!has_ended(&mut world, BOB), "the call goes on for Bob");
        assert_eq!(media_changes(&mut world, BOB), 1);
        let bobs_media = world.wait_for(BOB, |event| match event {
            Event::MediaChanged { call, media } if *call == bobs => Some(media.clone()),
            _ => None,
        });
        let keys = |media: &sip::offer_answer::CallMedia| {
            let audio = media.streams.audio.as_ref().expect("audio");
            audio.srtp.clone().expect("keys")
        };
        assert_eq!(keys(&alices_media).local, keys(&bobs_media).remote);
        // Longer than anything of the old dialog lives.
        world.run(SECOND * 200);
        assert!(!has_ended(&mut world, BOB), "{transport}");
        world
            .act(BOB, |bob, now| bob.hang_up(now, bobs))
            .expect("it stands");
        assert_eq!(ended(&mut world, ALICE, again), CallEndCause::RemoteHangUp);
        assert_nothing_is_left(&mut world);
    }
}

#[test]
fn a_hold_of_ours_holds_in_the_new_dialog_too() {
    let mut world = World::pair(1, Transport::Udp);
    let (alices, bobs) = call(&mut world);
    world
        .act(BOB, |bob, now| bob.hold(now, bobs))
        .expect("it stands");
    world.run(SECOND);
    let replaced = world
        .node(ALICE)
        .endpoint
        .replaces(alices)
        .expect("it stands");
    restart(&mut world, Transport::Udp);
    let again = come_back(&mut world, &replaced);
    established(&mut world, ALICE, again);
    world.run(SECOND * 5);
    let held = world
        .events(ALICE)
        .iter()
        .rev()
        .find_map(|event| match event {
            Event::MediaChanged { media, .. } => Some(media.peer_hold),
            _ => None,
        });
    assert_eq!(held, Some(sip::offer_answer::PeerHold::On));
}

#[test]
fn a_far_end_that_has_forgotten_the_call_is_called_anew() {
    for transport in TRANSPORTS {
        let mut world = World::pair(1, transport);
        let forgotten = Replaces::new(CallIdHeader::new("x").expect("a word"), "a", "b");
        let call = come_back(&mut world, &forgotten.expect("tokens"));
        let bobs = world.incoming(BOB);
        world
            .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
            .expect("it is unanswered");
        established(&mut world, ALICE, call);
    }
}

#[test]
fn a_far_end_without_replaces_is_called_anew_once() {
    let mut world = alice_alone();
    let replaced = Replaces::new(CallIdHeader::new("x").expect("a word"), "a", "b");
    let target = format!("sip:{CAROL}").parse().expect("a SIP URI");
    let alices = world
        .act(ALICE, |alice, now| {
            let replaced = replaced.expect("tokens");
            alice.invite_replacing(
                now,
                &room(),
                &target,
                media_of(ALICE),
                &replaced,
                IfNotReplaced::CallAnew,
            )
        })
        .expect("the call can be made");
    world.run(SECOND / 100);
    let first = requests(&world, &Method::Invite).pop().expect("an INVITE");
    assert_eq!(
        first.headers.text(&HeaderName::Replaces).as_deref(),
        Some("x;to-tag=a;from-tag=b")
    );
    assert!(
        first
            .headers
            .text(&HeaderName::Require)
            .is_some_and(|tags| tags == "replaces")
    );
    let refused = reply(&first, StatusCode::BAD_EXTENSION, "carol");
    send(&mut world, ALICE, refused.to_bytes());
    let second = requests(&world, &Method::Invite).pop().expect("an INVITE");
    assert!(!second.headers.contains(&HeaderName::Replaces));
    assert!(!second.headers.contains(&HeaderName::Require));
    let refused = reply(&second, StatusCode::FORBIDDEN, "carol");
    send(&mut world, ALICE, refused.to_bytes());
    let cause = CallEndCause::Refused(StatusCode::FORBIDDEN);
    assert_eq!(ended(&mut world, ALICE, alices), cause);
}

#[test]
fn a_call_that_is_to_replace_or_to_fail_ends_with_what_the_far_end_has_said() {
    for status in [
        StatusCode::BAD_EXTENSION,
        StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST,
        StatusCode::FORBIDDEN,
        StatusCode::DECLINE,
    ] {
        let mut world = alice_alone();
        let replaced = Replaces::new(CallIdHeader::new("x").expect("a word"), "a", "b");
        let target = format!("sip:{CAROL}").parse().expect("a SIP URI");
        let alices = world
            .act(ALICE, |alice, now| {
                let replaced = replaced.expect("tokens");
                let otherwise = IfNotReplaced::GiveUp;
                alice.invite_replacing(now, &room(), &target, media_of(ALICE), &replaced, otherwise)
            })
            .expect("the call can be made");
        world.run(SECOND / 100);
        let invite = requests(&world, &Method::Invite).pop().expect("an INVITE");
        send(
            &mut world,
            ALICE,
            reply(&invite, status, "carol").to_bytes(),
        );
        let cause = CallEndCause::Refused(status);
        assert_eq!(ended(&mut world, ALICE, alices), cause);
        assert_eq!(requests(&world, &Method::Invite).len(), 1, "{status}");
    }
}

/// Bob in a call with Carol, with a policy: his call and his tag.
fn bob_and_carol(policy: ReplacesPolicy) -> (World, CallId, String) {
    let mut world = World::new(1);
    let mut bob = settings(account("bob", Transport::Udp), BOB);
    bob.incoming.replaces = policy;
    world.add(bob, BOB);
    let (bobs, tag) = carol_is_answered(&mut world);
    (world, bobs, tag)
}

/// Carol calls Bob, who answers: his call and his tag.
fn carol_is_answered(world: &mut World) -> (CallId, String) {
    let (bobs, _) = carol_calls_bob(world, &[]);
    world
        .act(BOB, |bob, now| bob.answer(now, bobs, media_of(BOB)))
        .expect("it is unanswered");
    world.run(SECOND / 100);
    acknowledge(world, 1);
    (bobs, bobs_tag(world))
}

/// An INVITE to Bob that wants to replace something.
fn replacing_invite(replaced: &[&str], from: &str, offers: bool) -> Request {
    let mut invite = to_bob(Method::Invite, 1, "x");
    for name in [
        HeaderName::To,
        HeaderName::CallId,
        HeaderName::From,
        HeaderName::Via,
    ] {
        invite.headers.remove(&name);
    }
    let headers = &mut invite.headers;
    push(
        headers,
        HeaderName::Via,
        &format!("SIP/2.0/UDP {CAROL};branch=z9hG4bKr"),
    );
    push(headers, HeaderName::To, &format!("<sip:bob@{BOB}>"));
    push(headers, HeaderName::From, &format!("<{from}>;tag=new"));
    push(headers, HeaderName::CallId, "new-call");
    for replaced in replaced {
        push(headers, HeaderName::Replaces, replaced);
    }
    if offers {
        invite.set_body(&ContentType::sdp(), offer());
    }
    invite
}

/// Carol sends such an INVITE; its status.
fn replace(world: &mut World, replaced: &[&str], from: &str, offers: bool) -> Option<u16> {
    let invite = replacing_invite(replaced, from, offers);
    send(world, BOB, invite.to_bytes());
    let ours = responses(world, &Method::Invite)
        .into_iter()
        .rfind(|response| {
            response.headers.text(&HeaderName::CallId).as_deref() == Some("new-call")
        })?;
    Some(ours.status().code())
}

#[test]
fn only_the_right_dialog_is_replaced_and_only_by_whom_the_policy_lets() {
    let carol = format!("sip:carol@{CAROL}");
    let dave = "sip:dave@example.test".to_owned();
    type Named = fn(&str) -> Vec<String>;
    let right: Named = |tag| vec![format!("carols-call;to-tag={tag};from-tag=carol")];
    let cases: [(ReplacesPolicy, &str, Named, bool, u16); 10] = [
        (ReplacesPolicy::SameParty, &carol, right, true, 200),
        (ReplacesPolicy::SameParty, &dave, right, true, 403),
        (ReplacesPolicy::Trusted, &dave, right, true, 200),
        (ReplacesPolicy::Never, &carol, right, true, 403),
        (ReplacesPolicy::SameParty, &carol, right, false, 488),
        (
            ReplacesPolicy::SameParty,
            &carol,
            |tag| vec![format!("carols-call;to-tag={tag};from-tag=other")],
            true,
            481,
        ),
        (
            ReplacesPolicy::SameParty,
            &carol,
            |_| vec!["carols-call;to-tag=carol;from-tag=carol".to_owned()],
            true,
            481,
        ),
        (
            ReplacesPolicy::SameParty,
            &carol,
            |tag| {
                vec![format!(
                    "carols-call;to-tag={tag};from-tag=carol;early-only"
                )]
            },
            true,
            486,
        ),
        (
            ReplacesPolicy::SameParty,
            &carol,
            |tag| vec![format!("carols-call;to-tag={tag};from-tag=carol"); 2],
            true,
            400,
        ),
        (
            ReplacesPolicy::SameParty,
            &carol,
            |tag| vec![format!("carols-call;to-tag={tag}")],
            true,
            400,
        ),
    ];
    for (index, (policy, from, replaced, offers, status)) in cases.into_iter().enumerate() {
        let (mut world, bobs, tag) = bob_and_carol(policy);
        let replaced = replaced(&tag);
        let replaced: Vec<&str> = replaced.iter().map(String::as_str).collect();
        let got = replace(&mut world, &replaced, from, offers);
        assert_eq!(got, Some(status), "case {index}");
        let incoming = world
            .events(BOB)
            .iter()
            .filter(|event| matches!(event, Event::Incoming { .. }));
        assert_eq!(incoming.count(), 1, "nothing rings");
        assert!(!has_ended(&mut world, BOB));
        let byes = requests(&world, &Method::Bye);
        assert_eq!(byes.len(), usize::from(status == 200), "case {index}");
        if status == 200 {
            assert_eq!(byes[0].headers.from().expect("a From").tag(), Some(&*tag));
            assert_eq!(media_changes(&mut world, BOB), 1);
        }
        assert!(world.node(BOB).endpoint.replaces(bobs).is_some());
    }
}

#[test]
fn what_a_registrar_passes_on_replaces_a_third_partys_call_only_where_the_registrar_is_trusted() {
    use ReplacesPolicy::{Never, SameParty, Trusted};
    let carol = format!("sip:carol@{CAROL}");
    let dave = "sip:dave@example.test";
    for (policy, is_peer, from, status) in [
        (Never, true, &*carol, 403),
        (SameParty, false, &*carol, 200),
        (SameParty, true, dave, 403),
        (Trusted, false, &*carol, 200),
        (Trusted, false, dave, 403),
        (Trusted, true, dave, 200),
    ] {
        let mut world = World::new(1);
        let mut bob = settings(registering_account("correct"), BOB);
        bob.incoming.replaces = policy;
        if is_peer {
            let peer = ConfiguredPeer::address(REGISTRAR.ip());
            bob.incoming.peers.push(peer);
        }
        world.add(bob, BOB);
        world.registrar = Some(Registrar::new(Algorithm::Md5, "correct"));
        world
            .act(BOB, |bob, now| bob.register(now, &room()))
            .expect("he has a registrar");
        world.run(SECOND);
        let (_, tag) = carol_is_answered(&mut world);

        let replaced = format!("carols-call;to-tag={tag};from-tag=carol");
        let invite = replacing_invite(&[&replaced], from, true);
        let now = world.now;
        world.network.send(now, REGISTRAR, BOB, invite.to_bytes());
        world.run(SECOND / 100);
        let is_answer = |message: &Message| match message {
            Message::Response(response) => {
                let call = response.headers.text(&HeaderName::CallId);
                (call.as_deref() == Some("new-call")).then(|| response.status().code())
            }
            Message::Request(_) => None,
        };
        let answers: Vec<u16> = sent(&world, BOB).iter().filter_map(is_answer).collect();
        assert_eq!(answers, [status], "{policy:?} {is_peer} {from}");
    }
}

#[test]
fn a_call_that_rings_or_is_over_is_not_replaced() {
    let carol = format!("sip:carol@{CAROL}");
    let mut world = World::pair(1, Transport::Udp);
    let (bobs, _) = carol_calls_bob(&mut world, &[]);
    world
        .act(BOB, |bob, now| bob.ring(now, bobs))
        .expect("it is unanswered");
    world.run(SECOND / 100);
    let replaced = format!("carols-call;to-tag={};from-tag=carol", bobs_tag(&world));
    assert_eq!(replace(&mut world, &[&replaced], &carol, true), Some(481));

    let (mut world, bobs, tag) = bob_and_carol(ReplacesPolicy::SameParty);
    world
        .act(BOB, |bob, now| bob.hang_up(now, bobs))
        .expect("it stands");
    let replaced = format!("carols-call;to-tag={tag};from-tag=carol");
    assert_eq!(replace(&mut world, &[&replaced], &carol, true), Some(603));
}

#[test]
fn what_is_under_way_in_the_old_dialog_does_not_end_the_new_one() {
    let carol = format!("sip:carol@{CAROL}");
    let (mut world, bobs, tag) = bob_and_carol(ReplacesPolicy::SameParty);
    // A hold whose INVITE nobody answers any more.
    world
        .act(BOB, |bob, now| bob.hold(now, bobs))
        .expect("it stands");
    world.run(SECOND / 100);
    let hold = requests(&world, &Method::Invite).pop().expect("a hold");
    let replaced = format!("carols-call;to-tag={tag};from-tag=carol");
    assert_eq!(replace(&mut world, &[&replaced], &carol, true), Some(200));
    let mut ack = to_bob(Method::Ack, 1, &bobs_tag(&world));
    for (name, value) in [
        (HeaderName::CallId, "new-call".to_owned()),
        (HeaderName::From, format!("<{carol}>;tag=new")),
    ] {
        ack.headers.remove(&name);
        push(&mut ack.headers, name, &value);
    }
    send(&mut world, BOB, ack.to_bytes());
    let status = StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
    send(&mut world, BOB, reply(&hold, status, "carol").to_bytes());
    world.run(SECOND);
    assert!(!has_ended(&mut world, BOB));
    // The hold is still wanted, and asked for in the new dialog.
    let again = requests(&world, &Method::Invite).pop().expect("a hold");
    assert_eq!(
        again.headers.text(&HeaderName::CallId).as_deref(),
        Some("new-call")
    );
    let accepted = answering(&again, StatusCode::OK, "new");
    send(&mut world, BOB, accepted.to_bytes());
    world.wait_for(BOB, |event| {
        matches!(event, Event::HoldSucceeded { call } if *call == bobs).then_some(())
    });
}

#[test]
fn a_protected_call_is_replaced_by_no_unprotected_one() {
    let mut world = World::pair(1, Transport::Tls);
    let (alices, _) = call(&mut world);
    let replaced = world
        .node(ALICE)
        .endpoint
        .replaces(alices)
        .expect("it stands");
    restart(&mut world, Transport::Udp);
    come_back(&mut world, &replaced);
    world.run(SECOND);
    assert_eq!(media_changes(&mut world, BOB), 0);
    // It comes as a call of its own, for Bob's user to decide.
    let incoming = world
        .events(BOB)
        .iter()
        .filter(|event| matches!(event, Event::Incoming { .. }));
    assert_eq!(incoming.count(), 2);
}

#[test]
fn a_refused_call_without_replaces_is_not_called_twice() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    let refused = reply(&invite, StatusCode::FORBIDDEN, "carol");
    send(&mut world, ALICE, refused.to_bytes());
    assert_eq!(
        ended(&mut world, ALICE, alices),
        CallEndCause::Refused(StatusCode::FORBIDDEN)
    );
    assert_eq!(requests(&world, &Method::Invite).len(), 1);
    assert_eq!(latest_status(&world, &Method::Invite), None);
}
