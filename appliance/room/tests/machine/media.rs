//! The media plan, and what the room shows of pictures and faults.

use std::time::Duration;

use room::codec::{Direction, SrtpKey, SrtpKeys, SrtpSuite};
use room::fact::MediaFault;
use room::media_plan::{Layout, LegStreams, RungName, SlidesState, Tone, VideoRole, VideoSource};
use room::snapshot::VideoFlow;
use room::units::Bitrate;
use room::{Fact, FloorChange, Generation, LegState, PeerTrust, Request, RoomSnapshot};

use crate::rig::Position::{Dialing, Early, Established, Ringing};
use crate::rig::{Rig, audio, policy_with_legs, streams};

#[test]
fn an_idle_room_plans_its_devices_but_no_encode_and_no_leg() {
    let rig = Rig::new();
    assert_eq!(rig.plan.camera.source, VideoSource::Simulated);
    assert_eq!(rig.plan.generation, Generation(1));
    assert!(rig.plan.ladder.is_empty());
    assert!(rig.plan.legs.is_empty());
}

#[test]
fn nothing_leaves_the_room_before_the_call_is_answered() {
    let (mut rig, leg) = Early.reach();
    assert_eq!(rig.planned_audio(leg), Some(Direction::RecvOnly));
    assert!(rig.plan.ladder.is_empty());
    rig.establish(leg);
    assert_eq!(rig.planned_audio(leg), Some(Direction::SendRecv));
    assert!(rig.plan.ladder.high.is_some() && rig.plan.ladder.low.is_none());
}

#[test]
fn media_stops_with_the_press_and_not_with_the_far_ends_consent() {
    let (mut rig, leg) = Established.reach();
    rig.accepted(Request::Hold { leg });
    assert_eq!(rig.planned_audio(leg), Some(Direction::Inactive));
    assert!(rig.plan.ladder.is_empty());

    let (mut rig, leg) = Established.reach();
    rig.accepted(Request::HangUp { leg: Some(leg) });
    assert!(rig.plan.legs.is_empty());
}

#[test]
fn the_far_ends_hold_is_what_it_settled_and_no_more() {
    let (mut rig, leg) = Established.reach();
    let held = LegStreams {
        audio: Some(audio(Direction::RecvOnly)),
        ..LegStreams::default()
    };
    rig.told(Fact::RemoteHold { leg });
    rig.told(Fact::StreamsChanged { leg, streams: held });
    assert_eq!(rig.planned_audio(leg), Some(Direction::RecvOnly));
}

/// Streams whose video is protected by a key of these bytes, with this limit.
fn with_video(key: u8, direction: Direction, most: Option<Bitrate>) -> LegStreams {
    let key = SrtpKey::generate(SrtpSuite::AeadAes256Gcm, |bytes| bytes.fill(key));
    let mut streams = streams();
    let video = streams.video.as_mut().expect("there is a picture");
    video.direction = direction;
    video.max_bitrate = most;
    video.srtp = Some(SrtpKeys {
        local: key.clone(),
        remote: key,
    });
    streams
}

#[test]
fn a_limit_that_the_far_end_sets_lasts_until_it_or_the_stream_is_another() {
    let both = Direction::SendRecv;
    let (mut rig, leg) = Established.reach();
    let full = rig.plan.ladder.high.expect("it is encoded").bitrate;
    let bitrate = |rig: &mut Rig, fact: Fact| {
        rig.told(fact);
        rig.plan.ladder.iter().next().map(|(_, rung)| rung.bitrate)
    };
    let asked = |kbps| Fact::BitrateRequested {
        leg,
        role: VideoRole::Main,
        most: Bitrate::kbps(kbps),
    };
    let settled = |key, direction, kbps: Option<u64>| Fact::StreamsChanged {
        leg,
        streams: with_video(key, direction, kbps.map(Bitrate::kbps)),
    };
    let kbps = |kbps| Some(Bitrate::kbps(kbps));
    for (fact, expected) in [
        (settled(1, both, None), Some(full)),
        (asked(500), kbps(500)),
        // Nobody can ask for less than a picture needs.
        (asked(1), kbps(64)),
        (asked(400), kbps(400)),
        // A hold and its end change nothing of it,
        (settled(1, Direction::Inactive, None), None),
        (settled(1, both, None), kbps(400)),
        // nor does a new limit by signalling, below which it stays.
        (settled(1, both, Some(600)), kbps(400)),
        (asked(5_000), kbps(600)),
        (asked(300), kbps(300)),
        (settled(1, both, Some(200)), kbps(200)),
        (settled(1, both, None), kbps(300)),
        (asked(50_000), Some(full)),
        // Another receiver has asked for nothing yet.
        (asked(1_500), kbps(1_500)),
        (settled(2, both, None), Some(full)),
    ] {
        let case = format!("{fact:?}");
        if case.contains("50000000") {
            // More is trusted when it has held for a while.
            assert!(bitrate(&mut rig, fact) < expected, "{case}");
            while let Some(due) = rig.room.next_deadline() {
                rig.pass(due - rig.now);
            }
            rig.commands();
            let high = rig.plan.ladder.high.expect("it is encoded");
            assert_eq!(Some(high.bitrate), expected, "{case}");
        } else {
            assert_eq!(bitrate(&mut rig, fact), expected, "{case}");
        }
    }
}

#[test]
fn a_far_end_with_a_slow_network_takes_a_small_picture_and_leaves_the_other_alone() {
    let mut rig = Rig::with_policy(policy_with_legs(2));
    let legs = [1, 2].map(|_| {
        let leg = rig.incoming(PeerTrust::Trusted);
        rig.accepted(Request::Answer { leg });
        rig.establish(leg);
        leg
    });
    let rungs = |rig: &Rig| -> Vec<_> { rig.plan.legs.iter().map(|leg| leg.rung).collect() };
    let (high, low) = (Some(RungName::High), Some(RungName::Low));
    let full = rig.plan.ladder;
    assert_eq!(rungs(&rig), [high, high]);
    let target = |kbps| Fact::VideoTarget {
        leg: legs[1],
        role: VideoRole::Main,
        target: Bitrate::kbps(kbps),
    };
    rig.told(target(300));
    assert_eq!(rungs(&rig), [high, low]);
    assert_eq!(rig.plan.ladder.high, full.high);
    let small = rig.plan.ladder.low.expect("the small picture");
    assert_eq!(small.bitrate, Bitrate::kbps(300));
    // It has held before the leg rises, and the room wakes by itself.
    rig.told(target(5_000));
    assert_eq!(rungs(&rig), [high, low]);
    let due = rig.room.next_deadline().expect("a rise is waited for");
    rig.pass(due - rig.now);
    rig.commands();
    assert_eq!((rungs(&rig), rig.plan.ladder), (vec![high, high], full));
    // Who sends no picture takes none.
    rig.accepted(Request::Hold { leg: legs[1] });
    rig.commands();
    assert_eq!(rungs(&rig), [high, None]);
}

#[test]
fn slides_keep_to_the_network_of_their_slowest_leg() {
    let (mut rig, leg) = Established.reach();
    let mut streams = streams();
    streams.slides = streams.video.clone().map(Box::new);
    rig.told(Fact::StreamsChanged { leg, streams });
    rig.accepted(Request::SetSlides(SlidesState::On));
    let change = FloorChange::Ours;
    rig.told(Fact::Floor { leg, change });
    let full = rig.plan.ladder;
    rig.told(Fact::VideoTarget {
        leg,
        role: VideoRole::Slides,
        target: Bitrate::kbps(200),
    });
    let slides = rig.plan.slides.rung.expect("they are encoded");
    assert_eq!(slides.bitrate, Bitrate::kbps(200));
    assert_eq!(rig.plan.ladder, full);
}

#[test]
fn a_plan_is_ordered_only_when_it_differs() {
    let (mut rig, leg) = Established.reach();
    let before = rig.plan.generation;
    rig.room.fact(
        rig.now,
        Fact::StreamsChanged {
            leg,
            streams: streams(),
        },
    );
    rig.room.fact(rig.now, Fact::FirstFrame { leg });
    assert_eq!(rig.commands(), []);
    rig.request(Request::SetLayout(Layout::Grid));
    rig.commands();
    assert_eq!(rig.plan.generation, before.next());
    assert_eq!(rig.plan.layout, Layout::Grid);
    assert_eq!(rig.room.snapshot().media_wanted, rig.plan.generation);
}

#[test]
fn the_applied_plan_is_the_newest_that_media_told_of_and_none_of_the_future() {
    let mut rig = Rig::new();
    rig.accepted(Request::SetLayout(Layout::Grid));
    rig.accepted(Request::SetLayout(Layout::Single));
    rig.told(Fact::MediaApplied {
        generation: Generation(2),
    });
    rig.told(Fact::MediaApplied {
        generation: Generation(1),
    });
    assert_eq!(rig.room.snapshot().media_applied, Generation(2));
    rig.told(Fact::MediaApplied {
        generation: Generation(900),
    });
    assert_eq!(rig.room.snapshot().media_applied, Generation(3));
}

#[test]
fn the_far_ends_picture_is_shown_as_it_was_seen() {
    let (mut rig, leg) = Established.reach();
    let flow = |rig: &Rig| rig.leg(leg).video.expect("a video stream").flow;
    assert_eq!(flow(&rig), VideoFlow::Waiting);
    rig.pass(Duration::from_millis(80));
    rig.told(Fact::FirstFrame { leg });
    let first_frame = rig.leg(leg).first_frame;
    assert_eq!(first_frame, Some(rig.now));
    assert_eq!(flow(&rig), VideoFlow::Flowing);
    rig.pass(Duration::from_secs(5));
    rig.told(Fact::VideoStalled { leg });
    assert_eq!(flow(&rig), VideoFlow::Stalled);
    rig.told(Fact::VideoResumed { leg });
    rig.told(Fact::FirstFrame { leg });
    assert_eq!(flow(&rig), VideoFlow::Flowing);
    assert_eq!(
        rig.leg(leg).first_frame,
        first_frame,
        "there is one first frame"
    );
}

#[test]
fn no_picture_is_awaited_while_either_side_holds_and_none_is_claimed_before_it_was_seen_again() {
    let (mut rig, leg) = Established.reach();
    let flow = |rig: &Rig| rig.leg(leg).video.expect("a video stream").flow;
    rig.told(Fact::FirstFrame { leg });
    rig.request(Request::Hold { leg });
    assert_eq!(flow(&rig), VideoFlow::Off);
    rig.told(Fact::HoldSucceeded { leg });
    // One that was on its way.
    rig.told(Fact::FirstFrame { leg });
    rig.request(Request::Resume { leg });
    assert_eq!(flow(&rig), VideoFlow::Off);
    rig.told(Fact::ResumeSucceeded { leg });
    assert_eq!(flow(&rig), VideoFlow::Waiting);
    rig.told(Fact::VideoResumed { leg });
    assert_eq!(flow(&rig), VideoFlow::Flowing);

    let sendrecv = streams();
    let mut held = streams();
    if let Some(video) = &mut held.video {
        video.direction = Direction::SendOnly;
    }
    rig.told(Fact::StreamsChanged { leg, streams: held });
    assert_eq!(flow(&rig), VideoFlow::Off);
    rig.told(Fact::StreamsChanged {
        leg,
        streams: sendrecv,
    });
    assert_eq!(flow(&rig), VideoFlow::Waiting);
}

#[test]
fn media_failures_are_shown_newest_first_and_end_no_call() {
    let (mut rig, leg) = Established.reach();
    let fault = |number: usize| MediaFault {
        leg: Some(leg),
        element: format!("element{number}"),
        text: "failed".to_owned(),
    };
    for number in 0..20 {
        rig.told(Fact::MediaFault(fault(number)));
    }
    let generation = rig.room.snapshot().generation;
    rig.told(Fact::MediaFault(fault(19)));
    let snapshot = rig.room.snapshot();
    assert_eq!(
        snapshot.generation, generation,
        "the same news twice is no news"
    );
    assert_eq!(snapshot.media_faults.len(), RoomSnapshot::MAX_MEDIA_FAULTS);
    assert_eq!(snapshot.media_faults[0], fault(19));
    assert_eq!(rig.leg(leg).state, LegState::Established);
}

#[test]
fn a_call_that_comes_in_rings_and_in_a_meeting_only_beeps() {
    let mut rig = Rig::with_policy(policy_with_legs(2));
    let first = rig.incoming(PeerTrust::Trusted);
    rig.commands();
    assert_eq!(rig.plan.playout.tone, Some(Tone::Ringing));
    rig.accepted(Request::Answer { leg: first });
    assert_eq!(
        rig.plan.playout.tone, None,
        "silent as soon as it is answered"
    );
    rig.establish(first);
    let second = rig.incoming(PeerTrust::Trusted);
    rig.commands();
    assert_eq!(rig.plan.playout.tone, Some(Tone::CallWaiting));
    rig.accepted(Request::Decline { leg: second });
    assert_eq!(rig.plan.playout.tone, None);
}

#[test]
fn the_far_ends_ringing_is_heard_until_it_answers_or_plays_something_itself() {
    let (rig, _) = Dialing.reach();
    assert_eq!(rig.plan.playout.tone, None);
    let (mut rig, leg) = Ringing.reach();
    assert_eq!(rig.plan.playout.tone, Some(Tone::Ringback));
    rig.establish(leg);
    assert_eq!(rig.plan.playout.tone, None);
    let (rig, _) = Early.reach();
    assert_eq!(rig.plan.playout.tone, None);
    let (mut rig, leg) = Ringing.reach();
    rig.accepted(Request::HangUp { leg: Some(leg) });
    assert_eq!(rig.plan.playout.tone, None);
}
