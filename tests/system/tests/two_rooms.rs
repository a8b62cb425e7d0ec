//! Two real rooms in a call with each other: the best of all that both can do.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::time::Duration;

use api::snapshot::{CallDirection, EndReason, LegState, MediaTransport, MicrophoneState};
use system::authority::Authority;
use system::journal::Mark;
use system::room_setup::{Certificates, Room, RoomSetup, end_reason};

/// For a state that comes at once on an idle machine.
const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn two_rooms_settle_the_strongest_suite_one_port_and_all_feedback() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let caller = RoomSetup::new("caller").start(&authority).unwrap();
    let callee = RoomSetup::new("callee").start(&authority).unwrap();
    caller.call(callee.uri()).unwrap();
    for room in [&caller, &callee] {
        room.wait_for_media(Mark::default(), LIMIT).unwrap();
        // RTCP comes through, protected and on the port of RTP: the peer reports of both streams.
        let leg = room
            .wait_for_leg(Mark::default(), "reports of the peer", LIMIT, |leg| {
                let audio = leg.audio.as_ref()?.stats.as_ref()?;
                let video = leg.video.as_ref()?.stats.as_ref()?;
                audio.peer_loss?;
                video.stream.peer_loss?;
                leg.round_trip_ms.map(|_| leg.clone())
            })
            .unwrap();
        let best = MediaTransport {
            srtp_suite: Some("AEAD_AES_256_GCM".to_owned()),
            rtcp_mux: true,
            rtcp_reduced_size: true,
            rtcp_feedback: Vec::new(),
        };
        assert_eq!(leg.audio.unwrap().transport, best);
        let feedback = [
            "nack",
            "nack pli",
            "ccm fir",
            "ccm tmmbr",
            "ack ccfb",
            "goog-remb",
        ];
        let best = MediaTransport {
            rtcp_feedback: feedback.map(str::to_owned).to_vec(),
            ..best
        };
        assert_eq!(leg.video.unwrap().transport, best);
        let shown = room.roomd.roomctl(&["stats"]).unwrap();
        let line = format!(
            "AEAD_AES_256_GCM  rtcp-mux  rtcp-rsize  {}",
            feedback.join(", ")
        );
        assert!(shown.contains(&line), "{shown}");
    }
    caller.hang_up_with(&[&callee], LIMIT).unwrap();
}

/// Two rooms in a call, the caller first.
fn meeting(authority: &Authority) -> [Room; 2] {
    let rooms = ["caller", "callee"].map(|name| RoomSetup::new(name).start(authority).unwrap());
    let [caller, callee] = &rooms;
    caller.call(callee.uri()).unwrap();
    for room in &rooms {
        room.wait_for_media(Mark::default(), LIMIT).unwrap();
    }
    rooms
}

#[test]
fn a_room_that_is_killed_comes_back_into_the_call_that_it_placed() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let [caller, callee] = meeting(&authority);
    comes_back_still_muted_and_the_far_end_keeps_its_leg(caller, &callee);
}

#[test]
fn a_room_that_is_killed_comes_back_into_the_call_that_it_answered() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let [caller, callee] = meeting(&authority);
    comes_back_still_muted_and_the_far_end_keeps_its_leg(callee, &caller);
}

fn comes_back_still_muted_and_the_far_end_keeps_its_leg(mut killed: Room, far_end: &Room) {
    killed.roomd.roomctl(&["mute", "on"]).unwrap();
    let kept = far_end.only_leg().unwrap().id;
    killed.roomd.kill_and_restart().unwrap();
    killed.wait_for_media(Mark::default(), LIMIT).unwrap();
    let microphone = killed.roomd.snapshot().unwrap().microphone;
    assert_eq!(microphone.state, MicrophoneState::Muted);
    // The far end sees the same leg go on with the pictures of the new process.
    let mut received = None;
    let leg = far_end
        .wait_for_leg(
            far_end.roomd.snapshot_mark(),
            "pictures that go on",
            LIMIT,
            |leg| {
                let packets = leg.video.as_ref()?.stats.as_ref()?.stream.packets_received;
                let before = *received.get_or_insert(packets);
                (packets != before).then(|| leg.clone())
            },
        )
        .unwrap();
    assert_eq!((leg.id, leg.state), (kept, LegState::Established));
    let snapshot = far_end.roomd.snapshot().unwrap();
    assert_eq!(snapshot.last_ended, [], "its call was never over");
    killed.hang_up_with(&[far_end], LIMIT).unwrap();
}

#[test]
fn a_room_that_answered_and_whose_caller_has_left_meanwhile_rings_nobody_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let [caller, mut callee] = meeting(&authority);
    callee.roomd.kill().unwrap();
    // From here on: a BYE that nobody can get is over at once.
    let mark = caller.roomd.snapshot_mark();
    caller.roomd.roomctl(&["hangup"]).unwrap();
    caller.wait_until_idle(mark, LIMIT).unwrap();
    callee.roomd.start_again().unwrap();
    let reason = callee
        .wait_for_leg(Mark::default(), "an ended leg", LIMIT, end_reason)
        .unwrap();
    assert_eq!(reason, EndReason::NotResumed);
    let snapshot = caller.roomd.snapshot().unwrap();
    assert_eq!(snapshot.legs, []);
    assert_eq!(snapshot.last_ended.len(), 1, "it did not ring");
    // Nor does it at the next start.
    callee.roomd.kill_and_restart().unwrap();
    assert_eq!(callee.roomd.snapshot().unwrap().last_ended, []);
}

#[test]
fn rooms_that_prove_themselves_to_each_other_let_each_other_in_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path()).unwrap();
    let [caller, callee] = ["lobby.example", "board.example"].map(|name| {
        let mut setup = RoomSetup::new(name);
        setup.certificates = Certificates::OfBoth;
        // Nobody is let in by its address.
        setup.place.peers = "lobby.example";
        setup.start(&authority).unwrap()
    });
    caller.call(callee.uri()).unwrap();
    for room in [&caller, &callee] {
        room.wait_for_media(Mark::default(), LIMIT).unwrap();
    }
    caller.hang_up_with(&[&callee], LIMIT).unwrap();

    // The other way, the name that is proven is none of those that may call.
    let mark = callee.roomd.snapshot_mark();
    callee.call(caller.uri()).unwrap();
    let reason = callee
        .wait_for_leg(mark, "an ended leg", LIMIT, |leg| {
            end_reason(leg).filter(|_| leg.direction == CallDirection::Outgoing)
        })
        .unwrap();
    assert_eq!(reason, EndReason::Forbidden);
}
