//! Messages that cross: BYE and BYE, BYE and re-INVITE, CANCEL and 200, forks, two re-INVITEs; and re-INVITEs whose
//! answers come late, by another way, or never.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use sip::endpoint::{CallEndCause, CallId, Event};
use sip::grammar::{
    CSeq, ContentType, HeaderName, Method, NameAddr, Request, Response, StatusCode, Via,
};
use sip::offer_answer::Session;
use sip::transport::Transport;

use crate::calls::{assert_nothing_is_left, bad_network, call, ended, established};
use crate::dialog_rules::{SDP, Script, offer, responses};
use crate::robustness::{accept, alice_alone, alice_calls_carol, test_rng};
use crate::scripted::request;
use crate::world::{ALICE, BOB, CAROL, World, account, media_of};

const MOMENT: Duration = Duration::from_millis(10);

/// The requests of one method that Carol has received, without repetitions.
fn requests(world: &World, method: &Method) -> Vec<Request> {
    let mut branches = BTreeSet::new();
    let mut requests: Vec<Request> = world
        .received
        .iter()
        .filter(|(to, _)| *to == CAROL)
        .filter_map(|(_, bytes)| request(bytes))
        .filter(|request| request.method() == method)
        .collect();
    requests.retain(|request| branches.insert(branch(request)));
    requests
}

fn branch(request: &Request) -> String {
    let via: Via = request.headers.required().expect("a Via");
    via.branch().expect("a branch").to_owned()
}

fn sequence(request: &Request) -> u32 {
    request.headers.required::<CSeq>().expect("a CSeq").number
}

fn routes(request: &Request) -> Vec<String> {
    request
        .headers
        .values::<NameAddr>(&HeaderName::Route)
        .map(|route| route.expect("a Route").uri().to_string())
        .collect()
}

fn send(world: &mut World, to: std::net::SocketAddr, bytes: Bytes) {
    let now = world.now;
    world.network.send(now, CAROL, to, bytes);
    world.run(MOMENT);
}

/// Carol's response within the call.
fn reply(request: &Request, status: StatusCode) -> Response {
    let mut response = Response::to(request, status);
    response
        .headers
        .push(HeaderName::Contact, &format!("<sip:moved@{CAROL}>"))
        .expect("plain text");
    response
}

/// Carol agrees to a re-INVITE of Alice's.
fn agree(reinvite: &Request) -> Bytes {
    let capabilities = account("carol", Transport::Udp).capabilities;
    let (_, body, _) = Session::answer(
        &capabilities,
        &media_of(CAROL),
        &mut test_rng(),
        reinvite.body(),
    )
    .expect("our own offers can be answered");
    let mut response = reply(reinvite, StatusCode::OK);
    response.set_body(&ContentType::sdp(), body);
    response.to_bytes()
}

/// Alice is in a call with Carol; `fields` stand in Carol's 200.
fn alice_in_a_call(fields: &str) -> (World, CallId) {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    let accepted = String::from_utf8(accept(&invite, "carol").to_vec()).expect("text");
    let accepted = accepted.replacen("Contact: ", &format!("{fields}Contact: "), 1);
    send(&mut world, ALICE, Bytes::from(accepted));
    established(&mut world, ALICE, alices);
    (world, alices)
}

/// Alice holds; the re-INVITE as it arrives at Carol's.
fn hold(world: &mut World, alices: CallId) -> Request {
    world
        .act(ALICE, |alice, now| alice.hold(now, alices))
        .expect("the call stands");
    world.run(MOMENT);
    let reinvite = requests(world, &Method::Invite).pop().expect("it arrived");
    assert!(reinvite.headers.to().expect("a To").tag().is_some());
    reinvite
}

fn hang_up(world: &mut World, at: std::net::SocketAddr, call: CallId) {
    world
        .act(at, |end, now| end.hang_up(now, call))
        .expect("the call stands");
    world.run(MOMENT);
}

fn ends_told(world: &mut World, at: std::net::SocketAddr) -> usize {
    let ended = |event: &&Event| matches!(event, Event::Ended { .. });
    world.events(at).iter().filter(ended).count()
}

#[test]
fn the_ack_of_a_reinvite_takes_the_way_of_its_dialog_whatever_the_answer_records() {
    for recorded in ["", "Record-Route: <sip:other@192.0.2.9;lr>\r\n"] {
        let (mut world, alices) = alice_in_a_call(&format!(
            "Record-Route: <sip:near@{CAROL};lr>, <sip:far@{CAROL};lr>\r\n"
        ));
        let reinvite = hold(&mut world, alices);
        let agreed = String::from_utf8(agree(&reinvite).to_vec()).expect("text");
        let agreed = agreed.replacen("Contact: ", &format!("{recorded}Contact: "), 1);
        send(&mut world, ALICE, Bytes::from(agreed));
        let acks = requests(&world, &Method::Ack);
        let ack = acks.last().expect("ACK arrived");
        assert_eq!(sequence(ack), sequence(&reinvite));
        assert_eq!(routes(ack), routes(&reinvite), "{recorded}");
        assert_eq!(routes(ack).len(), 2);
        assert_eq!(ack.uri().to_string(), format!("sip:moved@{CAROL}"));
    }
}

#[test]
fn a_reinvite_answered_without_a_contact_keeps_its_target_and_the_call() {
    let (mut world, alices) = alice_in_a_call("");
    let reinvite = hold(&mut world, alices);
    let agreed = String::from_utf8(agree(&reinvite).to_vec()).expect("text");
    let agreed = agreed.replacen("Contact: ", "Subject: ", 1);
    send(&mut world, ALICE, Bytes::from(agreed));
    let acks = requests(&world, &Method::Ack);
    let ack = acks.last().expect("ACK arrived");
    assert_eq!(sequence(ack), sequence(&reinvite));
    assert_eq!(ack.uri().to_string(), format!("sip:carol@{CAROL}"));
    assert_eq!(ends_told(&mut world, ALICE), 0);
}

#[test]
fn a_hold_that_is_accepted_after_hanging_up_is_acknowledged_and_one_bye_is_enough() {
    let (mut world, alices) = alice_in_a_call("");
    let reinvite = hold(&mut world, alices);
    hang_up(&mut world, ALICE, alices);
    for _ in 0..2 {
        send(&mut world, ALICE, agree(&reinvite));
    }
    let acks: Vec<u32> = requests(&world, &Method::Ack)
        .iter()
        .map(sequence)
        .collect();
    assert_eq!(acks.last(), Some(&sequence(&reinvite)));
    assert_eq!(requests(&world, &Method::Bye).len(), 1);
    let bye = requests(&world, &Method::Bye).remove(0);
    send(&mut world, ALICE, reply(&bye, StatusCode::OK).to_bytes());
    assert_eq!(world.node(ALICE).endpoint.counts().calls, 0);
    assert_eq!(ends_told(&mut world, ALICE), 1);
}

#[test]
fn a_hold_that_is_accepted_after_the_peer_hung_up_is_acknowledged_and_nothing_more() {
    let (mut world, alices) = alice_in_a_call(&format!("Record-Route: <sip:near@{CAROL};lr>\r\n"));
    let reinvite = hold(&mut world, alices);
    let (from, to) = (
        reinvite.headers.to().expect("a To"),
        reinvite.headers.from().expect("a From"),
    );
    let mut bye = Request::new(Method::Bye, format!("sip:alice@{ALICE}").parse().unwrap());
    let via = format!("SIP/2.0/UDP {CAROL};branch=z9hG4bKbye");
    bye.headers.push(HeaderName::Via, &via).unwrap();
    bye.headers.push_value(HeaderName::From, &from);
    bye.headers.push_value(HeaderName::To, &to);
    bye.headers
        .copy_from(&reinvite.headers, &HeaderName::CallId);
    bye.headers.push_typed(&CSeq {
        number: 1,
        method: Method::Bye,
    });
    send(&mut world, ALICE, bye.to_bytes());
    assert_eq!(ended(&mut world, ALICE, alices), CallEndCause::RemoteHangUp);
    send(&mut world, ALICE, agree(&reinvite));
    let acks = requests(&world, &Method::Ack);
    let ack = acks.last().expect("ACK arrived");
    assert_eq!(sequence(ack), sequence(&reinvite));
    assert_eq!(routes(ack), routes(&reinvite));
    assert_eq!(requests(&world, &Method::Bye).len(), 0);
    assert_nothing_is_left(&mut world);
}

#[test]
fn a_peer_that_dies_after_100_to_a_hold_is_noticed() {
    let (mut world, alices) = alice_in_a_call("");
    let reinvite = hold(&mut world, alices);
    let trying = Response::to(&reinvite, StatusCode::TRYING);
    send(&mut world, ALICE, trying.to_bytes());
    let start = world.now;
    assert_eq!(ended(&mut world, ALICE, alices), CallEndCause::Timeout);
    assert!(world.now - start < Duration::from_secs(70));
    assert_nothing_is_left(&mut world);
}

#[test]
fn a_refused_reinvite_leaves_the_target_where_it_was() {
    let mut script = Script::established();
    let moved = format!("Contact: <sip:moved@{CAROL}>\n");
    let unusable = "v=0\no=- 1 1 IN IP4 192.0.2.3\ns=-\nc=IN IP4 192.0.2.3\nt=0 0\n\
                    m=message 4000 TCP/MSRP *\n";
    let text = |sequence: u32, body: &str, script: &Script| {
        let branch = format!("moved{sequence}");
        let text = script.request("INVITE", sequence, &branch, SDP, body);
        text.replacen(&format!("Contact: <sip:carol@{CAROL}>\n"), &moved, 1)
    };
    let refused = text(11, unusable, &script);
    script.world.inject(CAROL, BOB, &refused);
    script.world.run(MOMENT);
    let status = responses(&script.world).last().expect("an answer").status();
    assert!(status.is_final() && !status.is_success(), "{status:?}");
    hang_up(&mut script.world, BOB, script.call);
    let bye = requests(&script.world, &Method::Bye).remove(0);
    assert_eq!(bye.uri().to_string(), format!("sip:carol@{CAROL}"));

    let mut script = Script::established();
    let accepted = text(11, &offer(), &script);
    script.world.inject(CAROL, BOB, &accepted);
    script.world.run(MOMENT);
    let ack = script.request("ACK", 11, "ack11", "", "");
    script.world.inject(CAROL, BOB, &ack);
    script.world.run(MOMENT);
    hang_up(&mut script.world, BOB, script.call);
    let bye = requests(&script.world, &Method::Bye).remove(0);
    assert_eq!(bye.uri().to_string(), format!("sip:moved@{CAROL}"));
}

#[test]
fn both_that_hang_up_at_once_are_told_once_and_leave_nothing() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        for seed in 0..10 {
            let mut world = World::pair(seed, transport);
            if transport == Transport::Udp {
                world = world.with_conditions(bad_network());
            }
            let (alices, bobs) = call(&mut world);
            established(&mut world, BOB, bobs);
            world
                .act(ALICE, |alice, now| alice.hang_up(now, alices))
                .expect("the call stands");
            world
                .act(BOB, |bob, now| bob.hang_up(now, bobs))
                .expect("the call stands");
            assert_eq!(ended(&mut world, ALICE, alices), CallEndCause::Local);
            assert_eq!(ended(&mut world, BOB, bobs), CallEndCause::Local);
            assert_nothing_is_left(&mut world);
            assert_eq!(ends_told(&mut world, ALICE), 1, "{transport:?} {seed}");
            assert_eq!(ends_told(&mut world, BOB), 1, "{transport:?} {seed}");
        }
    }
}

#[test]
fn a_hold_that_crosses_bye_ends_with_the_call_on_any_network() {
    for seed in 0..40 {
        let mut world = World::pair(seed, Transport::Udp).with_conditions(bad_network());
        let (alices, bobs) = call(&mut world);
        established(&mut world, BOB, bobs);
        world.run(Duration::from_secs(1));
        world
            .act(ALICE, |alice, now| alice.hold(now, alices))
            .expect("the call stands");
        let (at, call) = if seed % 2 == 0 {
            (ALICE, alices)
        } else {
            (BOB, bobs)
        };
        hang_up(&mut world, at, call);
        assert_nothing_is_left(&mut world);
        assert_eq!(ends_told(&mut world, ALICE), 1, "seed {seed}");
        assert_eq!(ends_told(&mut world, BOB), 1, "seed {seed}");
    }
}

#[test]
fn cancel_after_the_answer_is_confirmed_and_changes_nothing() {
    let mut script = Script::ringing();
    let call = script.call;
    script
        .world
        .act(BOB, |bob, now| bob.answer(now, call, media_of(BOB)))
        .expect("it is unanswered");
    let cancel = format!(
        "CANCEL sip:bob@192.0.2.2 SIP/2.0\n\
         Via: SIP/2.0/UDP {CAROL};branch=z9hG4bKfirst\n\
         Max-Forwards: 70\n\
         From: <sip:carol@{CAROL}>;tag=carol\n\
         To: <sip:bob@192.0.2.2>\n\
         Call-ID: script\n\
         CSeq: 10 CANCEL\n\
         Content-Length: 0\n\n"
    );
    for _ in 0..2 {
        script.world.inject(CAROL, BOB, &cancel);
        script.world.run(MOMENT);
    }
    let answers: Vec<StatusCode> = responses(&script.world)
        .iter()
        .filter(|response| response.headers.required::<CSeq>().unwrap().method == Method::Cancel)
        .map(Response::status)
        .collect();
    assert_eq!(answers, [StatusCode::OK, StatusCode::OK]);
    let ack = script.request("ACK", 10, "ack", "", "");
    script.world.inject(CAROL, BOB, &ack);
    script.world.run(Duration::from_secs(1));
    assert!(!script.is_over());
    let still = script.ask("INFO", 11, "", "");
    assert_eq!(still.status(), StatusCode::OK);
}

#[test]
fn a_bye_that_overtakes_its_ack_ends_the_call_and_the_repetitions_of_200() {
    let mut script = Script::ringing();
    let call = script.call;
    script
        .world
        .act(BOB, |bob, now| bob.answer(now, call, media_of(BOB)))
        .expect("it is unanswered");
    let bye = script.ask("BYE", 11, "", "");
    assert_eq!(bye.status(), StatusCode::OK);
    assert_eq!(
        ended(&mut script.world, BOB, call),
        CallEndCause::RemoteHangUp
    );
    let said = script.world.received.len();
    let ack = script.request("ACK", 10, "ack", "", "");
    script.world.inject(CAROL, BOB, &ack);
    script.world.run(Duration::from_secs(40));
    assert_eq!(script.world.received.len(), said);
    assert_nothing_is_left(&mut script.world);
}

#[test]
fn each_losing_fork_is_acknowledged_as_often_as_it_answers_and_hung_up_once() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    send(&mut world, ALICE, accept(&invite, "first"));
    established(&mut world, ALICE, alices);
    for _ in 0..3 {
        send(&mut world, ALICE, accept(&invite, "second"));
    }
    hang_up(&mut world, ALICE, alices);
    for _ in 0..2 {
        send(&mut world, ALICE, accept(&invite, "third"));
    }
    let of = |method: &Method, fork: &str| {
        let all = world
            .received
            .iter()
            .filter_map(|(_, bytes)| request(bytes));
        all.filter(|request| request.method() == method)
            .filter(|request| request.headers.to().unwrap().tag() == Some(fork))
            .count()
    };
    for (fork, acks) in [("first", 1), ("second", 3), ("third", 2)] {
        assert_eq!(of(&Method::Ack, fork), acks, "{fork}");
    }
    let byes: Vec<Request> = requests(&world, &Method::Bye);
    assert_eq!(byes.len(), 3);
    for bye in byes {
        send(&mut world, ALICE, reply(&bye, StatusCode::OK).to_bytes());
    }
    assert_eq!(world.node(ALICE).endpoint.counts().calls, 0);
    assert_eq!(ends_told(&mut world, ALICE), 1);
}

#[test]
fn the_caller_waits_longer_after_491_than_the_called() {
    let (mut world, alices) = alice_in_a_call("");
    let mut reinvite = hold(&mut world, alices);
    for round in 2..6 {
        let refused = reply(&reinvite, StatusCode::REQUEST_PENDING);
        send(&mut world, ALICE, refused.to_bytes());
        world.run(Duration::from_millis(2_080));
        assert_eq!(requests(&world, &Method::Invite).len(), round, "too soon");
        world.run(Duration::from_millis(1_940));
        let again = requests(&world, &Method::Invite);
        assert_eq!(again.len(), round + 1, "too late");
        reinvite = again.last().expect("it is there").clone();
    }
    send(&mut world, ALICE, agree(&reinvite));
    let held = |event: &Event| matches!(event, Event::HoldSucceeded { .. });
    assert!(world.events(ALICE).iter().any(held));

    let mut script = Script::established();
    let call = script.call;
    script
        .world
        .act(BOB, |bob, now| bob.hold(now, call))
        .expect("the call stands");
    script.world.run(MOMENT);
    let reinvite = requests(&script.world, &Method::Invite).remove(0);
    let refused = reply(&reinvite, StatusCode::REQUEST_PENDING);
    send(&mut script.world, BOB, refused.to_bytes());
    script.world.run(Duration::from_millis(2_010));
    assert_eq!(requests(&script.world, &Method::Invite).len(), 2);
}

#[test]
fn a_call_that_is_hung_up_while_it_waits_after_491_sends_no_more_reinvites() {
    let (mut world, alices) = alice_in_a_call("");
    let reinvite = hold(&mut world, alices);
    let refused = reply(&reinvite, StatusCode::REQUEST_PENDING);
    send(&mut world, ALICE, refused.to_bytes());
    hang_up(&mut world, ALICE, alices);
    assert_nothing_is_left(&mut world);
    assert_eq!(requests(&world, &Method::Invite).len(), 2);
    assert_eq!(requests(&world, &Method::Bye).len(), 1);
}

#[test]
fn an_offer_to_a_reinvite_without_one_is_answered_by_ack_or_the_old_media_stand() {
    for answers in [true, false] {
        let mut script = Script::established();
        let offered = script.ask("INVITE", 11, "", "");
        assert_eq!(offered.status(), StatusCode::OK);
        assert!(!offered.body().is_empty(), "our offer");
        let (fields, body) = if answers {
            (SDP, offer())
        } else {
            ("", String::new())
        };
        let ack = script.request("ACK", 11, "ack11", fields, &body);
        script.world.inject(CAROL, BOB, &ack);
        script.world.run(MOMENT);
        let changed = |event: &Event| matches!(event, Event::MediaChanged { .. });
        assert_eq!(script.world.events(BOB).iter().any(changed), answers);
        assert!(!script.is_over());

        // Nothing is in the way of what comes next.
        let call = script.call;
        script
            .world
            .act(BOB, |bob, now| bob.hold(now, call))
            .expect("the call stands");
        script.world.run(MOMENT);
        let hold = requests(&script.world, &Method::Invite)
            .pop()
            .expect("it arrived");
        let body = std::str::from_utf8(hold.body()).expect("text");
        assert!(body.contains("a=sendonly"), "{body}");
    }
}

#[test]
fn cancel_is_said_once_and_a_peer_that_never_says_487_is_not_waited_for() {
    for to_cancel in [
        Some(StatusCode::OK),
        Some(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST),
        None,
    ] {
        let mut world = alice_alone();
        let (alices, invite) = alice_calls_carol(&mut world);
        let ringing = Response::to(&invite, StatusCode::RINGING);
        send(&mut world, ALICE, ringing.to_bytes());
        hang_up(&mut world, ALICE, alices);
        let cancels = requests(&world, &Method::Cancel);
        assert_eq!(cancels.len(), 1);
        assert_eq!(branch(&cancels[0]), branch(&invite));
        if let Some(status) = to_cancel {
            let answer = Response::to(&cancels[0], status);
            send(&mut world, ALICE, answer.to_bytes());
        }
        // More that is provisional draws no second CANCEL.
        send(&mut world, ALICE, ringing.to_bytes());
        world.run(Duration::from_secs(31));
        assert_eq!(world.node(ALICE).endpoint.counts().calls, 1);
        world.run(Duration::from_secs(2));
        assert_eq!(world.node(ALICE).endpoint.counts().calls, 0);
        assert_nothing_is_left(&mut world);
        assert_eq!(requests(&world, &Method::Cancel).len(), 1);
        assert_eq!(ends_told(&mut world, ALICE), 1);
    }
}

#[test]
fn a_487_that_is_repeated_is_acknowledged_each_time() {
    let mut world = alice_alone();
    let (alices, invite) = alice_calls_carol(&mut world);
    let ringing = Response::to(&invite, StatusCode::RINGING);
    send(&mut world, ALICE, ringing.to_bytes());
    hang_up(&mut world, ALICE, alices);
    let mut terminated = Response::to(&invite, StatusCode::REQUEST_TERMINATED);
    terminated.headers.add_to_tag("carol").expect("a token");
    for repetition in 1..4 {
        send(&mut world, ALICE, terminated.to_bytes());
        let acks = world
            .received
            .iter()
            .filter_map(|(_, bytes)| request(bytes));
        let acks = acks.filter(|request| *request.method() == Method::Ack);
        assert_eq!(acks.count(), repetition);
    }
    assert_eq!(branch(&requests(&world, &Method::Ack)[0]), branch(&invite));
    assert_nothing_is_left(&mut world);
}
