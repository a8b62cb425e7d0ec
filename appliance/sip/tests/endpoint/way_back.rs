//! A process that was killed in a call that it had answered goes back into it.

use std::time::Duration;

use sip::endpoint::{CallEndCause, CallId, Event, WayBack};
use sip::grammar::Uri;
use sip::transport::Transport;

use crate::calls::{assert_nothing_is_left, call, ended, established};
use crate::carol::requests;
use crate::world::{ALICE, BOB, CAROL, REGISTRAR, World, account, media_of, room, settings};

const SECOND: Duration = Duration::from_secs(1);

fn uri(text: &str) -> Uri {
    text.parse().expect("a SIP URI")
}

/// Alice calls Bob, who answers: her call, his, and his way back into it.
fn meeting(transport: Transport) -> (World, CallId, CallId, WayBack) {
    let mut world = World::pair(1, transport);
    // Where Alice's address leads.
    world.names.insert("example.test".to_owned(), vec![ALICE]);
    let (alices, bobs) = call(&mut world);
    world.run(SECOND);
    let way_back = world.node(BOB).endpoint.way_back(bobs);
    (world, alices, bobs, way_back.expect("the call stands"))
}

/// Bob's process is killed, starts again, and goes back.
fn come_back(world: &mut World, transport: Transport, way_back: &WayBack) -> CallId {
    world.nodes.retain(|node| node.address != BOB);
    world.add(settings(account("bob", transport), BOB), BOB);
    take_up_again(world, way_back)
}

fn take_up_again(world: &mut World, way_back: &WayBack) -> CallId {
    let WayBack {
        dialog,
        target,
        known_as,
    } = way_back;
    world
        .act(BOB, |bob, now| {
            let known_as = known_as.as_ref();
            bob.take_up_again(now, &room(), target, media_of(BOB), dialog, known_as)
        })
        .expect("the call can be made")
}

#[test]
fn a_killed_process_comes_back_into_the_call_that_it_had_answered() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        let (mut world, alices, _, way_back) = meeting(transport);
        // She has called his address, which his account does not have.
        assert_eq!(way_back.known_as, Some(uri(&format!("sip:{BOB}"))));
        let start = world.now;
        let again = come_back(&mut world, transport, &way_back);
        established(&mut world, BOB, again);
        assert!(world.now - start < SECOND, "{transport}");
        world.run(SECOND);
        // Once more, by the way back into the new dialog.
        let newer = world.node(BOB).endpoint.way_back(again);
        let newer = newer.expect("the call stands");
        assert_ne!(newer.dialog, way_back.dialog);
        assert_eq!(newer.known_as, way_back.known_as);
        let again = come_back(&mut world, transport, &newer);
        established(&mut world, BOB, again);
        // Longer than anything of the old dialogs lives.
        world.run(SECOND * 200);
        let is_over = |event: &Event| matches!(event, Event::Ended { .. });
        assert!(!world.events(ALICE).iter().any(is_over), "{transport}");
        world
            .act(ALICE, |alice, now| alice.hang_up(now, alices))
            .expect("it stands");
        assert_eq!(ended(&mut world, BOB, again), CallEndCause::RemoteHangUp);
        assert_nothing_is_left(&mut world);
    }
}

#[test]
fn the_way_back_is_by_name_where_a_certificate_proves_one_and_else_by_contact() {
    for (transport, target) in [
        (Transport::Udp, format!("sip:alice@{ALICE}")),
        (Transport::Tcp, format!("sip:alice@{ALICE};transport=tcp")),
        (Transport::Tls, "sip:alice@example.test".to_owned()),
    ] {
        let (.., way_back) = meeting(transport);
        assert_eq!(way_back.target, uri(&target));
    }
}

#[test]
fn a_call_that_does_not_stand_has_no_way_back() {
    let (mut world, alices, bobs, way_back) = meeting(Transport::Udp);
    world
        .act(ALICE, |alice, now| alice.hang_up(now, alices))
        .expect("it stands");
    world.run(SECOND);
    assert_eq!(world.node(BOB).endpoint.way_back(bobs), None);
    let ringing = world.invite(ALICE, BOB);
    let offered = world.incoming(BOB);
    assert_eq!(world.node(ALICE).endpoint.way_back(ringing), None);
    assert_eq!(world.node(BOB).endpoint.way_back(offered), None);
    // Nor does she ring for the one that is over.
    let refused = take_up_again(&mut world, &way_back);
    assert!(matches!(
        ended(&mut world, BOB, refused),
        CallEndCause::Refused(_)
    ));
}

#[test]
fn an_account_that_registers_calls_back_by_its_own_address() {
    let mut world = World::new(1);
    world.add(settings(account("alice", Transport::Udp), ALICE), ALICE);
    let mut bob = settings(account("bob", Transport::Udp), BOB);
    bob.accounts[0].registrar = Some(uri(&format!("sip:{REGISTRAR}")));
    world.add(bob, BOB);
    let (_, bobs) = call(&mut world);
    let way_back = world.node(BOB).endpoint.way_back(bobs);
    let way_back = way_back.expect("the call stands");
    assert_eq!(way_back.known_as, None);
    // Carol hears by which address.
    let to_carol = WayBack {
        target: uri(&format!("sip:carol@{CAROL}")),
        ..way_back
    };
    take_up_again(&mut world, &to_carol);
    world.run(SECOND / 100);
    let invite = requests(&world, &sip::grammar::Method::Invite).pop();
    let from = invite.expect("an INVITE").headers.from();
    let from = from.expect("each request has it");
    assert_eq!(*from.uri(), uri("sip:bob@example.test"));
}
