//! sipp falls silent: the room gives it up when its time is over, and says why.
//!
//! These times are those of the standard, half a minute and more. So all of these peers are silent at
//! the same time, each in a call with a room of its own.

use std::time::Duration;

use api::snapshot::{EndReason, LegState};
use system::baresip::{Answer, Transport};
use system::journal::Mark;
use system::room_setup::{Room, end_reason};
use system::sipp::Sipp;

use crate::{room, wait_for, with_offer};

/// More than the longest of them takes.
const LIMIT: Duration = Duration::from_secs(100);

/// A room, and a caller who will not say all that it should.
struct Silence {
    room: Room,
    sipp: Sipp,
}

impl Silence {
    fn begin(answer: Answer, script: &str) -> Self {
        let room = room(Transport::Udp, answer);
        let sipp = Sipp::call(&with_offer(script), Transport::Udp, room.sip_port()).unwrap();
        Self { room, sipp }
    }

    /// The room's reason for the end of the call, and the messages.
    fn end(self) -> (EndReason, String) {
        let Self { room, sipp } = self;
        let reason = room
            .wait_for_leg(Mark::default(), "an ended leg", LIMIT, end_reason)
            .unwrap();
        (reason, sipp.assert_played(LIMIT).unwrap())
    }
}

/// How often the room has said that to the INVITE.
fn said(messages: &str, status: &str) -> usize {
    let received = messages.split("message received").skip(1);
    received
        .filter(|message| message.contains(status) && message.contains("1 INVITE"))
        .count()
}

#[test]
fn who_acknowledges_nothing_gets_504_who_confirms_nothing_or_refreshes_nothing_gets_bye() {
    let never_refreshed =
        Silence::begin(Answer::Auto, include_str!("scenarios/never_refreshed.xml"));
    let never_ack = Silence::begin(Answer::Auto, include_str!("scenarios/never_ack.xml"));
    let never_prack = Silence::begin(Answer::Manual, include_str!("scenarios/never_prack.xml"));
    wait_for(&never_refreshed.room, LegState::Established);
    wait_for(&never_ack.room, LegState::Established);
    wait_for(&never_prack.room, LegState::Incoming);

    let (reason, messages) = never_prack.end();
    assert_eq!(reason, EndReason::PeerLost);
    // After 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s (RFC 3262 section 3), or later on a busy machine.
    let times = said(&messages, "SIP/2.0 180 ");
    assert!((5..=7).contains(&times), "{times}: {messages}");

    let (reason, messages) = never_ack.end();
    assert_eq!(reason, EndReason::PeerLost);
    // After 0, 0.5, 1.5, 3.5 and then every 4 s (RFC 3261 section 13.3.1.4).
    let times = said(&messages, "SIP/2.0 200 ");
    assert!((8..=11).contains(&times), "{times}: {messages}");

    let (reason, _) = never_refreshed.end();
    assert_eq!(reason, EndReason::PeerLost);
}
