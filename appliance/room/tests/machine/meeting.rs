//! The room around its legs: calls, second calls, controls, devices, media plan, memory.

use std::time::{Duration, SystemTime};

use room::codec::Direction;
use room::fact::MediaFault;
use room::media_plan::{CameraState, Layout, LegStreams, MicrophoneState, VideoSource};
use room::snapshot::{DeviceState, VideoFlow};
use room::units::{AudioLevel, Volume};
use room::{
    Admission, AutoAnswer, CallTarget, Command, DeniedReason, EndReason, Fact, Generation, Glare,
    HoldChange, LegId, LegState, PeerTrust, Prevails, RegistrationState, RejectCause, Remembered,
    Request, Resumptions, RoomPolicy, RoomSnapshot, RoomState, WantedCall,
};

use crate::rig::Position::{Dialing, Early, Ending, Established, Incoming};
use crate::rig::{Rig, TARGET, audio, policy, policy_with_legs, streams};

fn call(target: &str) -> Request {
    Request::Call {
        target: target.to_owned(),
        account: None,
    }
}

fn volume(percent: u8) -> Volume {
    Volume::percent(percent).expect("at most 100")
}

// Calls.

#[test]
fn a_call_is_dialed_by_the_account_that_was_asked_for() {
    let mut rig = Rig::new();
    let account = Some("work".to_owned());
    let admission = rig.request(Request::Call {
        target: TARGET.to_owned(),
        account: account.clone(),
    });
    let Admission::Accepted { leg: Some(leg) } = admission else {
        panic!("{admission:?}")
    };
    let dial = Command::Dial {
        leg,
        target: TARGET.to_owned(),
        account,
    };
    assert_eq!(rig.signalling(), [dial]);
}

#[test]
fn a_call_that_names_no_account_goes_by_the_first_one_and_shows_it() {
    let mut two_accounts = policy();
    two_accounts.accounts.push("home".to_owned());
    let mut rig = Rig::with_policy(two_accounts);
    rig.request(call(TARGET));
    let commands = rig.commands();
    assert_eq!(
        wanted(&commands),
        Some(vec![target(TARGET)]),
        "remembered as it was asked for"
    );
    let [snapshot] = &rig.room.snapshot().legs[..] else {
        panic!("one leg")
    };
    assert_eq!(snapshot.account.as_deref(), Some("work"));
    let again = Request::Call {
        target: TARGET.to_owned(),
        account: Some("work".to_owned()),
    };
    assert_eq!(rig.request(again), Admission::AlreadySo);

    let mut rig = Rig::with_policy(RoomPolicy {
        accounts: Vec::new(),
        ..policy()
    });
    let leg = rig.dial();
    assert_eq!(rig.leg(leg).account, None);
}

#[test]
fn the_join_button_calls_what_policy_names_and_a_second_press_does_nothing() {
    let mut rig = Rig::new();
    let leg = rig.accepted(Request::Join).expect("a leg");
    assert_eq!(rig.leg(leg).peer.uri, TARGET);
    assert_eq!(rig.request(Request::Join), Admission::AlreadySo);
    assert_eq!(rig.request(call(TARGET)), Admission::AlreadySo);
    rig.establish(leg);
    assert_eq!(rig.request(Request::Join), Admission::AlreadySo);
    assert_eq!(rig.commands(), []);

    let mut rig = Rig::with_policy(RoomPolicy {
        join: None,
        ..policy()
    });
    assert_eq!(
        rig.request(Request::Join),
        Admission::Denied(DeniedReason::NothingToJoin)
    );
}

#[test]
fn what_cannot_be_called_is_denied() {
    let mut rig = Rig::new();
    let too_long = format!("sip:{}", "a".repeat(1_021));
    for target in ["", "sip:a@b\r\nVia: x", "sip:\u{7f}", too_long.as_str()] {
        let admission = rig.request(call(target));
        assert_eq!(
            admission,
            Admission::Denied(DeniedReason::InvalidTarget),
            "{target:?}"
        );
    }
    let account = Some("nobody".to_owned());
    let admission = rig.request(Request::Call {
        target: TARGET.to_owned(),
        account,
    });
    assert_eq!(admission, Admission::Denied(DeniedReason::UnknownAccount));
    assert_eq!(rig.commands(), []);
}

#[test]
fn an_incoming_call_rings_here_and_at_the_caller_until_it_is_answered() {
    let mut rig = Rig::new();
    let leg = rig.incoming(PeerTrust::Trusted);
    assert_eq!(
        rig.commands(),
        [Command::Ring { leg }, Command::StartRinging]
    );
    assert_eq!(rig.room.snapshot().state, RoomState::Idle);

    rig.request(Request::Answer { leg });
    assert_eq!(
        rig.commands(),
        [Command::Accept { leg }, Command::StopRinging]
    );
    assert_eq!(rig.room.snapshot().state, RoomState::InMeeting);
    rig.establish(leg);
    assert_eq!(rig.leg(leg).state, LegState::Established);
    assert_eq!(rig.leg(leg).account.as_deref(), Some("work"));
}

#[test]
fn the_room_rings_until_the_last_ringing_call_is_gone() {
    let mut rig = Rig::with_policy(policy_with_legs(4));
    let first = rig.incoming(PeerTrust::Admitted);
    let second = rig.incoming(PeerTrust::Admitted);
    rig.commands();
    rig.room.fact(
        rig.now,
        Fact::Ended {
            leg: first,
            reason: EndReason::Cancelled,
        },
    );
    assert_eq!(rig.signalling(), []);
    rig.room.fact(
        rig.now,
        Fact::Ended {
            leg: second,
            reason: EndReason::Cancelled,
        },
    );
    assert_eq!(rig.signalling(), [Command::StopRinging]);
}

#[test]
fn policy_decides_which_calls_are_answered_unasked() {
    let cases = [
        (AutoAnswer::Never, PeerTrust::Trusted, LegState::Incoming),
        (AutoAnswer::Never, PeerTrust::Admitted, LegState::Incoming),
        (
            AutoAnswer::TrustedPeers,
            PeerTrust::Trusted,
            LegState::Answering,
        ),
        (
            AutoAnswer::TrustedPeers,
            PeerTrust::Admitted,
            LegState::Incoming,
        ),
        (
            AutoAnswer::Everyone,
            PeerTrust::Trusted,
            LegState::Answering,
        ),
        (
            AutoAnswer::Everyone,
            PeerTrust::Admitted,
            LegState::Answering,
        ),
    ];
    for (auto_answer, trust, state) in cases {
        let mut rig = Rig::with_policy(RoomPolicy {
            auto_answer,
            ..policy()
        });
        let leg = rig.incoming(trust);
        assert_eq!(rig.leg(leg).state, state, "{auto_answer:?} {trust:?}");
        let expected = if state == LegState::Answering {
            vec![Command::Accept { leg }]
        } else {
            vec![Command::Ring { leg }, Command::StartRinging]
        };
        assert_eq!(rig.commands(), expected);
    }
}

#[test]
fn a_second_caller_hears_busy_and_is_shown_as_such() {
    let (mut rig, leg) = Established.reach();
    let second = rig.incoming(PeerTrust::Trusted);
    let busy = Command::Reject {
        leg: second,
        cause: RejectCause::Busy,
    };
    assert_eq!(rig.commands(), [busy]);
    assert_eq!(
        rig.leg(second).state,
        LegState::Ended(EndReason::RefusedBusy)
    );
    assert_eq!(rig.leg(leg).state, LegState::Established);
    rig.told(Fact::Ended {
        leg: second,
        reason: EndReason::Cancelled,
    });
    assert_eq!(
        rig.leg(second).state,
        LegState::Ended(EndReason::RefusedBusy)
    );
}

#[test]
fn a_second_caller_joins_where_policy_adds_legs_up_to_their_number() {
    let mut rig = Rig::with_policy(policy_with_legs(2));
    let first = rig.dial();
    rig.establish(first);
    let second = rig.incoming(PeerTrust::Admitted);
    rig.accepted(Request::Answer { leg: second });
    rig.establish(second);
    assert_eq!(rig.plan.legs.len(), 2);

    let third = rig.incoming(PeerTrust::Admitted);
    assert_eq!(
        rig.leg(third).state,
        LegState::Ended(EndReason::RefusedBusy)
    );
    let admission = rig.request(call("sip:other@example.com"));
    assert_eq!(admission, Admission::Denied(DeniedReason::NoFreeLeg));
}

#[test]
fn a_call_of_our_own_outranks_a_caller_who_still_rings() {
    let (mut rig, ringing) = Incoming.reach();
    let leg = match rig.request(Request::Join) {
        Admission::Accepted { leg: Some(leg) } => leg,
        other @ (Admission::Accepted { leg: None }
        | Admission::AlreadySo
        | Admission::Denied(_)) => panic!("{other:?}"),
    };
    let busy = Command::Reject {
        leg: ringing,
        cause: RejectCause::Busy,
    };
    let dial = Command::Dial {
        leg,
        target: TARGET.to_owned(),
        account: Some("work".to_owned()),
    };
    assert_eq!(rig.signalling(), [busy, dial, Command::StopRinging]);
    assert_eq!(
        rig.leg(ringing).state,
        LegState::Ending(EndReason::RefusedBusy)
    );
}

/// The far end that is being dialed calls at the same moment.
fn crossed(policy: RoomPolicy, trust: PeerTrust, prevails: Prevails) -> (Rig, LegId, LegId) {
    let mut rig = Rig::with_policy(policy);
    let placed = rig.dial();
    let leg = rig.crossing_call(trust, Glare { placed, prevails });
    (rig, placed, leg)
}

fn answering(base: RoomPolicy) -> RoomPolicy {
    RoomPolicy {
        auto_answer: AutoAnswer::TrustedPeers,
        ..base
    }
}

#[test]
fn of_two_calls_that_cross_one_goes_on() {
    for base in [policy(), policy_with_legs(3)] {
        let base = answering(base);
        let (mut rig, placed, leg) = crossed(base.clone(), PeerTrust::Trusted, Prevails::Placed);
        let cause = RejectCause::Busy;
        assert_eq!(rig.signalling(), [Command::Reject { leg, cause }]);
        assert_eq!(rig.leg(placed).state, LegState::Dialing);

        let (mut rig, placed, leg) = crossed(base, PeerTrust::Trusted, Prevails::Incoming);
        let commands = rig.commands();
        assert_eq!(wanted(&commands), None, "the meeting is wanted as before");
        assert_eq!(
            commands,
            [Command::HangUp { leg: placed }, Command::Accept { leg }]
        );
        assert_eq!(rig.leg(placed).state, LegState::Ending(EndReason::GaveWay));
        assert_eq!(rig.leg(leg).state, LegState::Answering);
        assert_eq!(rig.request(Request::Join), Admission::AlreadySo);
        rig.establish(leg);
        rig.request(Request::HangUp { leg: Some(leg) });
        assert_eq!(wanted(&rig.commands()), Some(Vec::new()));
    }
}

#[test]
fn a_call_that_crosses_and_would_not_be_answered_unasked_changes_nothing() {
    for prevails in [Prevails::Placed, Prevails::Incoming] {
        for (policy, trust) in [
            (policy(), PeerTrust::Trusted),
            (answering(policy()), PeerTrust::Admitted),
        ] {
            let (mut rig, placed, leg) = crossed(policy, trust, prevails);
            let cause = RejectCause::Busy;
            assert_eq!(rig.signalling(), [Command::Reject { leg, cause }]);
            assert_eq!(rig.leg(placed).state, LegState::Dialing);
        }
    }
}

#[test]
fn a_call_that_was_answered_meanwhile_does_not_give_way() {
    let mut rig = Rig::with_policy(answering(policy()));
    let placed = rig.dial();
    rig.establish(placed);
    rig.commands();
    let prevails = Prevails::Incoming;
    let leg = rig.crossing_call(PeerTrust::Trusted, Glare { placed, prevails });
    let cause = RejectCause::Busy;
    assert_eq!(rig.signalling(), [Command::Reject { leg, cause }]);
    assert_eq!(rig.leg(placed).state, LegState::Established);
}

#[test]
fn a_caller_who_rings_does_not_make_room_that_policy_no_longer_allows() {
    let mut rig = Rig::with_policy(policy_with_legs(2));
    let first = rig.dial();
    rig.establish(first);
    let ringing = rig.incoming(PeerTrust::Admitted);
    rig.told(Fact::PolicyChanged(Box::new(policy())));
    let admission = rig.request(call("sip:other@example.com"));
    assert_eq!(admission, Admission::Denied(DeniedReason::NoFreeLeg));
    assert_eq!(rig.leg(ringing).state, LegState::Incoming);
}

#[test]
fn the_next_call_need_not_wait_for_the_last_one_to_be_confirmed_ended() {
    let (mut rig, old) = Ending.reach();
    assert_eq!(rig.room.snapshot().state, RoomState::Leaving);
    let leg = rig.dial();
    assert_ne!(leg, old);
    assert_eq!(rig.room.snapshot().state, RoomState::InMeeting);
}

#[test]
fn legs_that_only_wait_for_their_last_word_are_bounded_too() {
    let mut rig = Rig::new();
    for _ in 0..64 {
        let leg = rig.dial();
        rig.accepted(Request::HangUp { leg: Some(leg) });
    }
    assert_eq!(
        rig.request(call(TARGET)),
        Admission::Denied(DeniedReason::NoFreeLeg)
    );
    let leg = rig.incoming(PeerTrust::Trusted);
    assert_eq!(rig.leg(leg).state, LegState::Ended(EndReason::RefusedBusy));
    assert_eq!(rig.room.snapshot().legs.len(), 64);
    assert_eq!(rig.room.snapshot().last_ended.len(), 1);
}

#[test]
fn hanging_up_without_naming_a_leg_ends_all_of_them() {
    let mut rig = Rig::with_policy(policy_with_legs(3));
    let dialed = rig.dial();
    rig.establish(dialed);
    let ringing = rig.incoming(PeerTrust::Admitted);
    rig.commands();

    let admission = rig.request(Request::HangUp { leg: None });
    assert_eq!(admission, Admission::Accepted { leg: None });
    let decline = Command::Reject {
        leg: ringing,
        cause: RejectCause::Decline,
    };
    let expected = [
        Command::HangUp { leg: dialed },
        decline,
        Command::StopRinging,
    ];
    assert_eq!(rig.signalling(), expected);
    assert_eq!(rig.room.snapshot().state, RoomState::Leaving);
    assert_eq!(
        rig.request(Request::HangUp { leg: None }),
        Admission::AlreadySo
    );

    rig.pass(Duration::from_secs(10));
    assert_eq!(rig.room.snapshot().state, RoomState::Idle);
    assert_eq!(
        rig.request(Request::HangUp { leg: None }),
        Admission::AlreadySo
    );
}

#[test]
fn the_last_ended_legs_are_kept_newest_first_with_their_times() {
    let mut rig = Rig::new();
    let mut ids = Vec::new();
    for _ in 0..RoomSnapshot::MAX_LAST_ENDED + 2 {
        let leg = rig.dial();
        let started = rig.now;
        rig.pass(Duration::from_secs(1));
        rig.establish(leg);
        rig.pass(Duration::from_secs(60));
        rig.told(Fact::Ended {
            leg,
            reason: EndReason::RemoteHangUp,
        });
        let ended = rig.leg(leg);
        assert_eq!(ended.started, started);
        assert_eq!(ended.established, Some(started + Duration::from_secs(1)));
        assert_eq!(ended.ended, Some(rig.now));
        ids.insert(0, leg);
    }
    let kept: Vec<_> = rig
        .room
        .snapshot()
        .last_ended
        .iter()
        .map(|leg| leg.id)
        .collect();
    assert_eq!(kept, ids[..RoomSnapshot::MAX_LAST_ENDED]);
}

// Media.

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
    assert_eq!(rig.plan.ladder.len(), 1);
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
        video: None,
    };
    rig.told(Fact::RemoteHold { leg });
    rig.told(Fact::StreamsChanged { leg, streams: held });
    assert_eq!(rig.planned_audio(leg), Some(Direction::RecvOnly));
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

// Controls and devices.

#[test]
fn a_control_is_accepted_once_and_then_already_so() {
    let requests = [
        Request::SetMicrophone(MicrophoneState::Muted),
        Request::SetCamera(CameraState::Off),
        Request::SetVolume(volume(13)),
        Request::SetLayout(Layout::PictureInPicture),
    ];
    for position in [Dialing, Established] {
        for request in requests.clone() {
            let (mut rig, _) = position.reach();
            assert_eq!(
                rig.request(request.clone()),
                Admission::Accepted { leg: None }
            );
            let commands = rig.commands();
            assert!(
                matches!(commands[0], Command::ApplyMedia(_)),
                "{commands:?}"
            );
            assert_eq!(rig.request(request), Admission::AlreadySo);
            assert_eq!(rig.commands(), []);
        }
    }
}

#[test]
fn controls_reach_plan_snapshot_and_memory() {
    let mut rig = Rig::new();
    rig.request(Request::SetMicrophone(MicrophoneState::Muted));
    rig.request(Request::SetCamera(CameraState::Off));
    rig.request(Request::SetVolume(volume(13)));
    let commands = rig.commands();
    assert_eq!(rig.plan.microphone.state, MicrophoneState::Muted);
    assert_eq!(rig.plan.camera.state, CameraState::Off);
    assert_eq!(rig.plan.playout.volume, volume(13));
    let snapshot = rig.room.snapshot();
    assert_eq!(snapshot.microphone, MicrophoneState::Muted);
    assert_eq!(snapshot.camera, CameraState::Off);
    assert_eq!(snapshot.volume, volume(13));
    let remembered = Remembered {
        microphone: MicrophoneState::Muted,
        camera: CameraState::Off,
        volume: volume(13),
        wanted: Vec::new(),
    };
    assert_eq!(
        commands.last(),
        Some(&Command::Remember {
            generation: rig.room.remembered_generation(),
            remembered: remembered.clone(),
        })
    );

    let rig = Rig::remembering(policy(), remembered);
    assert_eq!(rig.plan.microphone.state, MicrophoneState::Muted);
    assert_eq!(rig.plan.camera.state, CameraState::Off);
    assert_eq!(rig.room.snapshot().volume, volume(13));
}

#[test]
fn a_missing_device_is_shown_and_changes_nothing_that_was_asked_for() {
    let (mut rig, leg) = Established.reach();
    let plan = rig.plan.clone();
    rig.told(Fact::CameraGone);
    rig.told(Fact::MicrophoneGone);
    let snapshot = rig.room.snapshot();
    assert_eq!(snapshot.camera_device, DeviceState::Gone);
    assert_eq!(snapshot.microphone_device, DeviceState::Gone);
    assert_eq!(
        (snapshot.camera, snapshot.microphone),
        (CameraState::On, MicrophoneState::Open)
    );
    assert_eq!(rig.plan, plan);
    assert_eq!(rig.leg(leg).state, LegState::Established);
    rig.told(Fact::CameraBack);
    rig.told(Fact::MicrophoneBack);
    assert_eq!(rig.room.snapshot().camera_device, DeviceState::Present);
    assert_eq!(rig.room.snapshot().microphone_device, DeviceState::Present);
}

#[test]
fn a_device_that_no_configuration_names_cannot_be_missed() {
    let mut policy = policy();
    policy.media.camera = VideoSource::None;
    let mut rig = Rig::with_policy(policy.clone());
    assert_eq!(
        rig.room.snapshot().camera_device,
        DeviceState::NotConfigured
    );
    rig.told(Fact::CameraGone);
    assert_eq!(
        rig.room.snapshot().camera_device,
        DeviceState::NotConfigured
    );

    policy.media.camera = VideoSource::Simulated;
    rig.told(Fact::PolicyChanged(Box::new(policy.clone())));
    assert_eq!(rig.room.snapshot().camera_device, DeviceState::Present);
    rig.told(Fact::CameraGone);
    rig.told(Fact::PolicyChanged(Box::new(policy)));
    assert_eq!(rig.room.snapshot().camera_device, DeviceState::Gone);
}

#[test]
fn a_new_configuration_changes_the_plan_and_leaves_the_legs() {
    let (mut rig, leg) = Established.reach();
    let mut policy = policy();
    policy.media.bitrate = room::units::Bitrate::kbps(700);
    rig.told(Fact::PolicyChanged(Box::new(policy)));
    assert_eq!(rig.plan.ladder[0].bitrate, room::units::Bitrate::kbps(700));
    assert_eq!(rig.leg(leg).state, LegState::Established);
}

#[test]
fn registrations_are_shown_for_the_accounts_that_there_are() {
    let mut rig = Rig::new();
    let state = RegistrationState::Registered;
    for account in ["work", "unheard-of"] {
        rig.told(Fact::Registration {
            account: account.to_owned(),
            state,
        });
    }
    let shown: Vec<_> = rig
        .room
        .snapshot()
        .registrations
        .clone()
        .into_iter()
        .collect();
    assert_eq!(shown, [("work".to_owned(), state)]);
    rig.told(Fact::PolicyChanged(Box::new(RoomPolicy {
        accounts: Vec::new(),
        ..policy()
    })));
    assert!(rig.room.snapshot().registrations.is_empty());
}

#[test]
fn levels_are_shown() {
    let mut rig = Rig::new();
    let (microphone, loudspeaker) = (AudioLevel::dbfs(-20.0), AudioLevel::dbfs(-30.0));
    rig.told(Fact::Levels {
        microphone,
        loudspeaker,
    });
    assert_eq!(rig.room.snapshot().microphone_level, microphone);
    assert_eq!(rig.room.snapshot().loudspeaker_level, loudspeaker);
}

#[test]
fn no_snapshot_tells_a_key() {
    use room::codec::{SrtpKey, SrtpKeys, SrtpSuite};
    let key = |byte| SrtpKey {
        suite: SrtpSuite::AesCm128HmacSha1_80,
        key_and_salt: [byte; 30],
    };
    let mut settled = streams();
    if let Some(audio) = &mut settled.audio {
        audio.srtp = Some(SrtpKeys {
            local: key(0xa7),
            remote: key(0xb7),
        });
    }
    let (mut rig, leg) = Established.reach();
    rig.room.fact(
        rig.now,
        Fact::StreamsChanged {
            leg,
            streams: settled,
        },
    );
    for text in [
        format!("{:?}", rig.room.snapshot()),
        format!("{:?}", rig.commands()),
    ] {
        assert!(!text.contains("167") && !text.contains("a7, "), "{text}");
    }
}

// Memory.

fn wanted(commands: &[Command]) -> Option<Vec<CallTarget>> {
    commands.iter().rev().find_map(|command| match command {
        Command::Remember { remembered, .. } => {
            let calls = remembered.wanted.iter();
            Some(calls.map(|wanted| wanted.call.clone()).collect())
        }
        Command::Dial { .. }
        | Command::Ring { .. }
        | Command::Accept { .. }
        | Command::Reject { .. }
        | Command::HangUp { .. }
        | Command::Hold { .. }
        | Command::Resume { .. }
        | Command::SendDtmf { .. }
        | Command::ApplyMedia(_)
        | Command::StartRinging
        | Command::StopRinging
        | Command::ShutDownComplete => None,
    })
}

fn target(uri: &str) -> CallTarget {
    CallTarget {
        target: uri.to_owned(),
        account: None,
    }
}

#[test]
fn a_placed_call_is_remembered_until_it_is_ended_by_either_side() {
    let mut rig = Rig::new();
    rig.request(call(TARGET));
    assert_eq!(wanted(&rig.commands()), Some(vec![target(TARGET)]));
    rig.request(Request::HangUp { leg: None });
    assert_eq!(wanted(&rig.commands()), Some(Vec::new()));

    let (mut rig, leg) = Established.reach();
    rig.room.fact(
        rig.now,
        Fact::Ended {
            leg,
            reason: EndReason::RemoteHangUp,
        },
    );
    assert_eq!(wanted(&rig.commands()), Some(Vec::new()));
}

#[test]
fn a_remembered_call_stays_wanted_until_it_is_placed_again_or_given_up() {
    let remembered = Remembered {
        wanted: vec![WantedCall::new(target(TARGET))],
        ..Remembered::default()
    };

    let mut rig = Rig::remembering(policy(), remembered.clone());
    rig.room.fact(rig.now, Fact::CameraGone);
    assert_eq!(wanted(&rig.commands()), None, "still remembered as it was");
    rig.request(call(TARGET));
    assert_eq!(wanted(&rig.commands()), None, "wanted before and after");

    let mut rig = Rig::remembering(policy(), remembered.clone());
    let admission = rig.request(Request::HangUp { leg: None });
    assert_eq!(admission, Admission::Accepted { leg: None });
    assert_eq!(wanted(&rig.commands()), Some(Vec::new()));

    let mut rig = Rig::remembering(policy(), remembered);
    rig.request(call("sip:other@example.com"));
    assert_eq!(
        wanted(&rig.commands()),
        Some(vec![target("sip:other@example.com")])
    );
}

#[test]
fn a_call_that_was_placed_again_and_lasts_is_remembered_without_its_restarts() {
    let restart = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let interrupted = WantedCall {
        call: target(TARGET),
        resumptions: Resumptions::new([restart]),
    };
    let remembered = Remembered {
        wanted: vec![interrupted],
        ..Remembered::default()
    };
    let mut rig = Rig::remembering(policy(), remembered);
    let leg = rig.dial();
    assert_eq!(wanted(&rig.commands()), None, "remembered as it was");
    rig.establish(leg);
    rig.commands();
    rig.pass(Duration::from_secs(30));
    rig.accepted(Request::Hold { leg });
    rig.pass(Duration::from_secs(29));
    assert_eq!(wanted(&rig.commands()), None);
    rig.pass(Duration::from_secs(1));
    let commands = rig.commands();
    let [Command::Remember { remembered, .. }] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(remembered.wanted, [WantedCall::new(target(TARGET))]);
    assert_eq!(
        rig.leg(leg).hold_change,
        HoldChange::Holding,
        "the hold has time left"
    );
}

#[test]
fn a_call_that_is_not_placed_again_is_shown_with_the_reason_and_forgotten() {
    let remembered = Remembered {
        wanted: vec![WantedCall::new(target(TARGET))],
        ..Remembered::default()
    };
    for remembered in [remembered, Remembered::default()] {
        let mut rig = Rig::remembering(policy(), remembered);
        rig.room.fact(
            rig.now,
            Fact::NotResumed {
                call: target(TARGET),
                reason: EndReason::TooManyRestarts,
            },
        );
        assert_eq!(rig.signalling(), []);
        let snapshot = rig.room.snapshot();
        assert_eq!(snapshot.state, RoomState::Idle);
        assert_eq!(snapshot.legs, []);
        assert_eq!(snapshot.last_ended[0].peer.uri, TARGET);
        assert_eq!(
            snapshot.last_ended[0].state,
            LegState::Ended(EndReason::TooManyRestarts)
        );
        // Whoever wants it all the same may call.
        rig.dial();
    }
}

#[test]
fn an_answered_call_is_the_callers_to_place_again() {
    let (mut rig, leg) = Incoming.reach();
    rig.request(Request::Answer { leg });
    assert_eq!(wanted(&rig.commands()), None);
}

#[test]
fn a_failed_write_is_shown_until_a_later_one_succeeds() {
    let mut rig = Rig::new();
    rig.accepted(Request::SetVolume(volume(1)));
    let first = rig.room.remembered_generation();
    assert_ne!(rig.room.stored_generation(), first);
    let full = "no space left on device".to_owned();
    rig.told(Fact::StoreFailed {
        generation: first,
        text: full.clone(),
    });
    assert_eq!(
        rig.room.stored_generation(),
        first,
        "nothing more will come"
    );
    assert_eq!(rig.room.snapshot().store_fault, Some(full));

    rig.accepted(Request::SetVolume(volume(2)));
    let second = rig.room.remembered_generation();
    rig.told(Fact::Stored { generation: first });
    assert!(
        rig.room.snapshot().store_fault.is_some(),
        "a late word about an older value"
    );
    rig.told(Fact::Stored { generation: second });
    assert_eq!(rig.room.snapshot().store_fault, None);
}

#[test]
fn a_value_that_comes_back_is_stored_again_before_it_counts_as_stored() {
    let mut rig = Rig::new();
    rig.accepted(Request::SetMicrophone(MicrophoneState::Muted));
    let muted = rig.room.remembered_generation();
    rig.accepted(Request::SetMicrophone(MicrophoneState::Open));
    rig.accepted(Request::SetMicrophone(MicrophoneState::Muted));
    let muted_again = rig.room.remembered_generation();
    // The store may be writing "open" at this moment.
    rig.told(Fact::Stored { generation: muted });
    assert!(rig.room.stored_generation() < muted_again);
    rig.told(Fact::Stored {
        generation: muted_again,
    });
    assert_eq!(rig.room.stored_generation(), muted_again);
}

// Ids.

#[test]
fn an_id_in_use_is_never_given_out_again() {
    let mut rig = Rig::new();
    let first = rig.dial();
    let mut reserved: Vec<_> = (0..100).map(|_| rig.room.reserve_leg()).collect();
    reserved.push(first);
    reserved.sort();
    reserved.dedup();
    assert_eq!(reserved.len(), 101);
}
