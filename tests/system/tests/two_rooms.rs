//! Two real rooms in a call with each other: the best of all that both can do.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::time::Duration;

use api::snapshot::MediaTransport;
use system::authority::Authority;
use system::journal::Mark;
use system::room_setup::RoomSetup;

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
        let feedback = ["nack pli", "ccm fir", "ccm tmmbr"].map(str::to_owned);
        let best = MediaTransport {
            rtcp_feedback: feedback.to_vec(),
            ..best
        };
        assert_eq!(leg.video.unwrap().transport, best);
        let shown = room.roomd.roomctl(&["stats"]).unwrap();
        let line = "AEAD_AES_256_GCM  rtcp-mux  rtcp-rsize  nack pli, ccm fir, ccm tmmbr";
        assert!(shown.contains(line), "{shown}");
    }
    caller.roomd.roomctl(&["hangup"]).unwrap();
    for room in [&caller, &callee] {
        room.wait_until_idle(Mark::default(), LIMIT).unwrap();
    }
}
