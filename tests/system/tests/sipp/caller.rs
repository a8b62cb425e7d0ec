//! sipp calls.

use std::net::{Ipv4Addr, UdpSocket};

use api::snapshot::{EndReason, HeldBy, LegState};
use system::baresip::{Answer, Transport};
use system::journal::Mark;
use system::room_setup::Transfers;
use system::sipp::{Scenario, Sipp};

use crate::{
    LIMIT, OFFER, end_of, hang_up_and_finish, plain, room, start, wait_for, with_answer, with_offer,
};

const CALL: &str = include_str!("scenarios/call.xml");

fn call(scenario: &Scenario, room: &system::room_setup::Room) -> Sipp {
    Sipp::call(scenario, Transport::Udp, room.sip_port()).unwrap()
}

#[test]
fn an_answer_is_repeated_until_it_is_confirmed() {
    let room = room(Transport::Udp, Answer::Auto);
    let sipp = call(&with_offer(include_str!("scenarios/late_ack.xml")), &room);
    wait_for(&room, LegState::Established);
    let messages = hang_up_and_finish(&room, sipp);
    // After 0.5 and 1.5 s (RFC 3261 section 13.3.1.4).
    let answers = messages
        .split("message received")
        .filter(|message| message.contains("SIP/2.0 200 ") && message.contains("1 INVITE"))
        .count();
    assert!(answers >= 3, "{messages}");
}

#[test]
fn a_caller_that_gives_up_while_it_rings_gets_487() {
    let room = room(Transport::Udp, Answer::Manual);
    let sipp = call(&with_offer(include_str!("scenarios/cancel.xml")), &room);
    assert_eq!(end_of(&room), EndReason::Cancelled);
    sipp.assert_played(LIMIT).unwrap();
}

#[test]
fn a_caller_that_gives_up_when_it_is_answered_already_is_in_the_call() {
    let room = room(Transport::Udp, Answer::Auto);
    let sipp = call(
        &with_offer(include_str!("scenarios/late_cancel.xml")),
        &room,
    );
    wait_for(&room, LegState::Established);
    hang_up_and_finish(&room, sipp);
    assert_eq!(end_of(&room), EndReason::LocalHangUp);
}

#[test]
fn a_caller_may_hang_up_without_having_confirmed_the_answer() {
    let room = room(Transport::Udp, Answer::Auto);
    let scenario = with_offer(include_str!("scenarios/hang_up_before_ack.xml"));
    call(&scenario, &room).assert_played(LIMIT).unwrap();
    assert_eq!(end_of(&room), EndReason::RemoteHangUp);
}

#[test]
fn a_call_that_arrives_by_two_ways_rings_once_and_gets_482_for_the_second() {
    let room = room(Transport::Udp, Answer::Manual);
    let sipp = call(&with_offer(include_str!("scenarios/merged.xml")), &room);
    sipp.wait_for_message("SIP/2.0 482 ", LIMIT).unwrap();
    assert_eq!(room.only_leg().unwrap().state, LegState::Incoming);
    room.roomd.roomctl(&["answer"]).unwrap();
    wait_for(&room, LegState::Established);
    hang_up_and_finish(&room, sipp);
}

#[test]
fn a_change_that_meets_one_of_the_peer_is_asked_for_again() {
    let room = room(Transport::Udp, Answer::Auto);
    let held = format!("{OFFER}a=recvonly");
    let scenario = with_offer(include_str!("scenarios/glare.xml")).with("held", &held);
    let sipp = call(&scenario, &room);
    wait_for(&room, LegState::Established);
    room.roomd.roomctl(&["hold"]).unwrap();
    wait_for(&room, LegState::Held { by: HeldBy::Local });
    hang_up_and_finish(&room, sipp);
}

#[test]
fn two_who_hang_up_at_once_both_have_hung_up() {
    let room = room(Transport::Udp, Answer::Auto);
    let scenario = with_offer(include_str!("scenarios/crossed_bye.xml"));
    let sipp = call(&scenario, &room);
    wait_for(&room, LegState::Established);
    hang_up_and_finish(&room, sipp);
    assert_eq!(end_of(&room), EndReason::LocalHangUp);
    assert!(room.roomd.snapshot().unwrap().legs.is_empty());
}

#[test]
fn an_offer_of_the_room_that_is_answered_with_something_else_ends_the_call() {
    let room = room(Transport::Udp, Answer::Auto);
    let scenario = Scenario::new(include_str!("scenarios/bad_late_answer.xml")).with(
        "answer",
        "v=0\no=sipp 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n\
         m=audio 4000 RTP/AVP 3\na=rtpmap:3 GSM/8000",
    );
    call(&scenario, &room).assert_played(LIMIT).unwrap();
    assert_eq!(end_of(&room), EndReason::IncompatibleMedia);
}

#[test]
fn a_caller_that_takes_reliable_responses_alone_and_offers_nothing_is_rung_with_an_offer() {
    let room = room(Transport::Udp, Answer::Manual);
    let scenario = with_answer(include_str!("scenarios/rung_with_offer.xml"));
    let sipp = call(&scenario, &room);
    sipp.wait_for_message("2 PRACK", LIMIT).unwrap();
    let leg = room.only_leg().unwrap();
    assert_eq!(leg.state, LegState::Incoming);
    assert!(leg.audio.is_none(), "nothing flows before the answer");
    room.roomd.roomctl(&["answer"]).unwrap();
    wait_for(&room, LegState::Established);
    let leg = room.only_leg().unwrap();
    assert!(leg.audio.is_some());
    hang_up_and_finish(&room, sipp);
    assert_eq!(end_of(&room), EndReason::LocalHangUp);
}

/// A call by way of a proxy whose address in Record-Route has that parameter, and what the room's BYE
/// has as its Request-URI and its Route.
fn assert_routed(parameter: &str, request: &str, route: &str) {
    let room = room(Transport::Udp, Answer::Auto);
    let proxy = format!("<sip:proxy@[local_ip]:[local_port]{parameter}>");
    let scenario = with_offer(include_str!("scenarios/recorded_route.xml"))
        .with("proxy", &proxy)
        .with("request", request)
        .with("route", route);
    let sipp = call(&scenario, &room);
    wait_for(&room, LegState::Established);
    hang_up_and_finish(&room, sipp);
    assert_eq!(end_of(&room), EndReason::LocalHangUp);
}

#[test]
fn a_proxy_that_routes_loosely_is_named_beside_the_far_end() {
    assert_routed(
        ";lr",
        "sip:sipp@127.0.0.1:[0-9]+ ",
        "sip:proxy@127.0.0.1:[0-9]+;lr",
    );
}

/// RFC 3261 section 12.2.1.1.
#[test]
fn a_proxy_that_routes_strictly_takes_the_place_of_the_far_end_which_comes_last() {
    assert_routed(
        "",
        "sip:proxy@127.0.0.1:[0-9]+ ",
        "sip:sipp@127.0.0.1:[0-9]+",
    );
}

#[test]
fn a_far_end_that_hands_the_room_on_to_nobody_gets_400_and_the_call_goes_on() {
    let mut setup = plain(Transport::Udp, Answer::Auto);
    setup.transfers = Transfers::Allowed;
    let room = start(&setup);
    let sipp = call(
        &with_offer(include_str!("scenarios/malformed_refer.xml")),
        &room,
    );
    sipp.wait_for_message("4 REFER\r\nServer: ", LIMIT).unwrap();
    assert_eq!(room.only_leg().unwrap().state, LegState::Established);
    hang_up_and_finish(&room, sipp);
    assert_eq!(end_of(&room), EndReason::LocalHangUp);
}

/// Datagrams that are no SIP, or none that anybody should send.
fn garbage(room: u16) -> Vec<Vec<u8>> {
    let endless = format!("INVITE sip:room@127.0.0.1:{room} SIP/2.0\r\nVia: ");
    let negative = format!(
        "BYE sip:room@127.0.0.1:{room} SIP/2.0\r\nCSeq: 99999999999999999999 BYE\r\n\
         Content-Length: -1\r\n\r\n"
    );
    vec![
        Vec::new(),
        vec![0],
        vec![0xff; 65_000],
        b"SIP/2.0 200 OK\r\n\r\n".to_vec(),
        [endless.as_bytes(), &[b'a'; 64_000]].concat(),
        negative.into_bytes(),
        b"\r\n\r\n".repeat(8_000),
        (0..=255).cycle().take(1_400).collect(),
    ]
}

#[test]
fn garbage_and_oversized_datagrams_leave_a_call_untouched() {
    let room = room(Transport::Udp, Answer::Auto);
    let sipp = call(&with_offer(CALL), &room);
    wait_for(&room, LegState::Established);
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for datagram in garbage(room.sip_port()) {
        let to = (Ipv4Addr::LOCALHOST, room.sip_port());
        stranger.send_to(&datagram, to).unwrap();
    }
    // The room takes datagrams in order: once this is answered, so is all before.
    let question = format!(
        "OPTIONS sip:room@127.0.0.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP {local};branch=z9hG4bK-last\r\nFrom: <sip:a@127.0.0.1>;tag=a\r\n\
         To: <sip:room@127.0.0.1>\r\nCall-ID: last\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 0\r\n\
         Content-Length: 0\r\n\r\n",
        local = stranger.local_addr().unwrap()
    );
    stranger
        .send_to(question.as_bytes(), (Ipv4Addr::LOCALHOST, room.sip_port()))
        .unwrap();
    stranger.set_read_timeout(Some(LIMIT)).unwrap();
    loop {
        let mut answer = vec![0; 65_536];
        let length = stranger.recv(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]);
        if answer.contains("Call-ID: last") {
            // As a call would be: the room is in one.
            assert!(answer.starts_with("SIP/2.0 486 "), "{answer}");
            break;
        }
    }
    assert_eq!(room.only_leg().unwrap().state, LegState::Established);
    hang_up_and_finish(&room, sipp);
    assert_eq!(end_of(&room), EndReason::LocalHangUp);
}

#[test]
fn a_call_over_tcp_is_answered() {
    let room = room(Transport::Tcp, Answer::Auto);
    let sipp = Sipp::call(&with_offer(CALL), Transport::Tcp, room.sip_port()).unwrap();
    room.wait_for_state(Mark::default(), LegState::Established, LIMIT)
        .unwrap();
    hang_up_and_finish(&room, sipp);
}
