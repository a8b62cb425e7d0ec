//! What `roomctl sip-ladder` shows of calls with baresip, while they stand and after their end.

use api::SipLadder;
use api::sip_ladder::SipDirection;
use api::snapshot::{CallDirection, EndReason, LegState};
use system::baresip::{Answer, Video};
use system::journal::Mark;

use crate::site::{LIMIT, Site, site};

/// Both answer by hand, and nobody shows a picture.
fn patient_site() -> Site {
    site(|setup, config| {
        setup.answer = Answer::Manual;
        config.answer = Answer::Manual;
        config.video = Video::Off;
    })
}

fn ladder(site: &Site) -> SipLadder {
    let printed = site.room.roomd.roomctl(&["sip-ladder", "--json"]).unwrap();
    let ladder: SipLadder = serde_json::from_str(&printed).unwrap();
    for message in &ladder.messages {
        let keys = message.text.split("inline:").skip(1);
        for key in keys {
            assert!(key.starts_with("***\n"), "{}", message.text);
        }
    }
    ladder
}

/// `->` for what was sent, `<-` for what was received; without 100, which depends on the peer's mood.
fn steps(ladder: &SipLadder) -> Vec<String> {
    let messages = ladder.messages.iter();
    messages
        .filter(|message| message.status != Some(100))
        .map(|message| {
            let arrow = match message.direction {
                SipDirection::Sent => "->",
                SipDirection::Received => "<-",
            };
            match message.status {
                Some(status) => format!("{arrow} {status} {}", message.method),
                None => format!("{arrow} {}", message.method),
            }
        })
        .collect()
}

#[test]
fn a_call_that_the_peer_refuses_shows_its_refusal_after_its_end() {
    let mut site = patient_site();
    site.the_room_rings_at_the_peer();
    assert_eq!(steps(&ladder(&site)), ["-> INVITE", "<- 180 INVITE"]);
    // baresip says 486 when its user hangs up before answering.
    site.peer.hang_up().unwrap();
    site.wait_for_end(CallDirection::Outgoing, EndReason::PeerBusy);
    let expected = ["-> INVITE", "<- 180 INVITE", "<- 486 INVITE", "-> ACK"];
    assert_eq!(steps(&ladder(&site)), expected);
    let drawn = site.room.roomd.roomctl(&["sip-ladder"]).unwrap();
    assert!(drawn.contains("ended: the far end is busy"), "{drawn}");
    assert!(drawn.contains("│<─ 486 "), "{drawn}");
}

#[test]
fn a_whole_call_shows_all_its_messages_and_its_picture_is_written() {
    let mut site = patient_site();
    site.the_room_rings_at_the_peer();
    site.peer.accept().unwrap();
    site.room
        .wait_for_state(Mark::default(), LegState::Established, LIMIT)
        .unwrap();
    site.room.roomd.roomctl(&["hangup"]).unwrap();
    site.wait_for_end(CallDirection::Outgoing, EndReason::LocalHangUp);
    let expected = [
        "-> INVITE",
        "<- 180 INVITE",
        "<- 200 INVITE",
        "-> ACK",
        "-> BYE",
        "<- 200 BYE",
    ];
    assert_eq!(steps(&ladder(&site)), expected);
    let file = site.room.roomd.folder().join("ladder.svg");
    let arguments = ["sip-ladder".as_ref(), "--svg".as_ref(), file.as_os_str()];
    site.room.roomd.roomctl(&arguments).unwrap();
    let svg = std::fs::read_to_string(&file).unwrap();
    assert!(svg.contains(">200 OK (BYE)</text>"), "{svg}");
    assert!(
        !svg.contains("inline:") || svg.contains("inline:***"),
        "{svg}"
    );
}
