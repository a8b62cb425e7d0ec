//! sipp is called.

use api::snapshot::{EndReason, LegState};
use system::baresip::{Answer, Transport};
use system::room_setup::Room;
use system::sipp::{Scenario, Sipp};

use crate::{LIMIT, end_of, hang_up_and_finish, plain, room, start, wait_for, with_answer};

const ANSWER: &str = include_str!("scenarios/answer.xml");
const REFUSE: &str = include_str!("scenarios/refuse.xml");

fn calling_room() -> Room {
    room(Transport::Udp, Answer::Manual)
}

fn callee(scenario: &Scenario) -> Sipp {
    Sipp::wait_for_call(scenario, Transport::Udp).unwrap()
}

fn refusal(status: &str, header: &str) -> Scenario {
    Scenario::new(REFUSE)
        .with("status", status)
        .with("header", header)
}

/// The room calls somebody who refuses, and its user reads these sentences.
fn assert_told(status: &str, header: &str, english: &str, chinese: &str) -> Room {
    let room = calling_room();
    let sipp = callee(&refusal(status, header));
    room.call(&sipp.uri()).unwrap();
    sipp.assert_played(LIMIT).unwrap();
    end_of(&room);
    for (language, words) in [("en", english), ("zh", chinese)] {
        let asked = ["--language", language, "status"];
        let shown = room.roomd.roomctl(&asked).unwrap();
        assert!(shown.contains(words), "{shown}");
    }
    room
}

const NOTHING: &str = "Server: sipp";

#[test]
fn a_busy_callee_is_called_busy() {
    assert_told(
        "486 Busy Here",
        NOTHING,
        "the far end is busy (SIP 486)",
        "对方忙(SIP 486)",
    );
}

#[test]
fn a_callee_that_declines_is_said_to() {
    assert_told(
        "603 Decline",
        NOTHING,
        "the far end declined (SIP 603)",
        "对方拒接(SIP 603)",
    );
}

#[test]
fn a_server_that_asks_for_patience_is_out_of_service_for_that_long() {
    let room = assert_told(
        "503 Service Unavailable",
        "Retry-After: 120",
        "the server there is out of service (SIP 503)",
        "对方的服务器暂停服务(SIP 503)",
    );
    let shown = room.roomd.roomctl(&["--language", "en", "status"]).unwrap();
    assert!(shown.contains("to be called again after 120 s"), "{shown}");
}

#[test]
fn what_a_callee_says_of_its_refusal_is_shown_as_its_words() {
    let room = assert_told(
        "488 Not Acceptable Here",
        "Warning: 305 carol.example.com \"No such codec\"",
        "no codec or no encryption in common (SIP 488)",
        "没有共同的编解码器或加密方式(SIP 488)",
    );
    let shown = room.roomd.roomctl(&["--language", "en", "status"]).unwrap();
    let words = "in the far end's words: No such codec (Warning 305)";
    assert!(shown.contains(words), "{shown}");
}

#[test]
fn a_proxy_that_counts_too_many_hops_has_a_call_that_goes_in_circles() {
    assert_told(
        "483 Too Many Hops",
        NOTHING,
        "the call goes round in circles (SIP 483)",
        "呼叫在服务器之间循环(SIP 483)",
    );
}

#[test]
fn a_callee_that_has_moved_is_called_where_it_is() {
    let room = calling_room();
    let there = callee(&with_answer(ANSWER));
    let contact = format!("Contact: <{}>", there.uri());
    let here = callee(&refusal("302 Moved Temporarily", &contact));
    room.call(&here.uri()).unwrap();
    here.assert_played(LIMIT).unwrap();
    wait_for(&room, LegState::Established);
    hang_up_and_finish(&room, there);
}

#[test]
fn media_before_the_answer_show_as_early_and_the_call_can_be_given_up() {
    let room = calling_room();
    let sipp = callee(&with_answer(include_str!("scenarios/early_media.xml")));
    room.call(&sipp.uri()).unwrap();
    wait_for(&room, LegState::Early);
    hang_up_and_finish(&room, sipp);
    assert_eq!(end_of(&room), EndReason::LocalHangUp);
}

#[test]
fn a_forked_call_is_with_the_one_that_answers() {
    let room = calling_room();
    let sipp = callee(&with_answer(include_str!("scenarios/forked.xml")));
    room.call(&sipp.uri()).unwrap();
    wait_for(&room, LegState::Established);
    hang_up_and_finish(&room, sipp);
}

#[test]
fn an_answer_that_crosses_the_rooms_giving_up_is_confirmed_and_hung_up() {
    let room = calling_room();
    let sipp = callee(&with_answer(include_str!(
        "scenarios/answer_crosses_cancel.xml"
    )));
    room.call(&sipp.uri()).unwrap();
    wait_for(&room, LegState::Ringing);
    hang_up_and_finish(&room, sipp);
    assert_eq!(end_of(&room), EndReason::LocalHangUp);
}

#[test]
fn a_key_goes_by_info_to_a_callee_without_telephone_event() {
    let room = calling_room();
    let sipp = callee(&with_answer(include_str!("scenarios/key_by_info.xml")));
    room.call(&sipp.uri()).unwrap();
    wait_for(&room, LegState::Established);
    room.roomd.roomctl(&["dtmf", "7"]).unwrap();
    sipp.wait_for_message("Signal=7", LIMIT).unwrap();
    hang_up_and_finish(&room, sipp);
}

#[test]
fn a_callee_that_takes_longer_sessions_only_is_called_again_with_such_a_one() {
    let room = calling_room();
    let sipp = callee(&with_answer(include_str!("scenarios/longer_interval.xml")));
    room.call(&sipp.uri()).unwrap();
    wait_for(&room, LegState::Established);
    hang_up_and_finish(&room, sipp);
    assert_eq!(end_of(&room), EndReason::LocalHangUp);
}

/// Each of its challenges says that the password was good and only its nonce too old.
#[test]
fn a_callee_that_asks_for_the_password_for_ever_is_given_up() {
    let mut setup = plain(Transport::Udp, Answer::Manual);
    setup.password = Some("secret".to_owned());
    let room = start(&setup);
    let script = include_str!("scenarios/challenged_again.xml");
    let sipp = callee(&Scenario::new(script));
    room.call(&sipp.uri()).unwrap();
    assert_eq!(end_of(&room), EndReason::AuthenticationFailed);
    let messages = sipp.messages();
    let tries = messages.matches("\nINVITE sip:").count();
    assert!((2..=8).contains(&tries), "{tries}: {messages}");
}
