//! Slides: who shows them, and what is seen of them.

use std::time::Duration;

use room::codec::Direction;
use room::media_plan::{LegStreams, SlidesState, VideoSource};
use room::snapshot::{DeviceState, SlidesSending, VideoFlow};
use room::{
    Admission, Command, DeniedReason, Fact, FloorChange, LegId, PeerTrust, Request, RoomPolicy,
    SlidesPolicy,
};

use crate::rig::Position::{Dialing, Early, Established, Held, RemotelyHeld};
use crate::rig::{Rig, policy, policy_with_legs, streams};

const SHOW: Request = Request::SetSlides(SlidesState::On);
const STOP: Request = Request::SetSlides(SlidesState::Off);

fn floor(leg: LegId, change: FloorChange) -> Fact {
    Fact::Floor { leg, change }
}

/// The direction in which the plan lets a leg's slides flow.
fn planned(rig: &Rig, id: LegId) -> Option<Direction> {
    let leg = rig.plan.legs.iter().find(|leg| leg.id == id)?;
    leg.streams.slides.as_ref().map(|slides| slides.direction)
}

fn sending(rig: &Rig) -> SlidesSending {
    rig.room.snapshot().slides
}

/// A leg on which our slides are shown.
fn showing() -> (Rig, LegId) {
    let (mut rig, leg) = Established.reach();
    rig.accepted(SHOW);
    rig.told(floor(leg, FloorChange::Ours));
    assert_eq!(sending(&rig), SlidesSending::Sending);
    (rig, leg)
}

#[test]
fn slides_leave_the_room_once_the_far_end_lets_them_and_until_they_are_stopped() {
    let (mut rig, leg) = Established.reach();
    assert_eq!(planned(&rig, leg), Some(Direction::RecvOnly));
    assert_eq!(rig.request(SHOW), Admission::Accepted { leg: None });
    assert_eq!(rig.signalling(), [Command::RequestFloor { leg }]);
    assert_eq!(sending(&rig), SlidesSending::Waiting);
    assert_eq!(planned(&rig, leg), Some(Direction::RecvOnly));
    assert_eq!(rig.plan.slides.rung, None);
    assert_eq!(rig.request(SHOW), Admission::AlreadySo);

    rig.told(floor(leg, FloorChange::Ours));
    assert_eq!(sending(&rig), SlidesSending::Sending);
    assert_eq!(planned(&rig, leg), Some(Direction::SendRecv));
    let rung = rig.plan.slides.rung.expect("they are encoded");
    assert_eq!(rung.frame_rate, rig.plan.slides.frame_rate);
    let camera = rig.plan.ladder.high.expect("the camera is encoded");
    assert!(rung.bitrate < camera.bitrate);

    assert_eq!(rig.request(STOP), Admission::Accepted { leg: None });
    assert_eq!(rig.signalling(), [Command::ReleaseFloor { leg }]);
    assert_eq!(sending(&rig), SlidesSending::Off);
    assert_eq!(planned(&rig, leg), Some(Direction::RecvOnly));
    assert_eq!(rig.request(STOP), Admission::AlreadySo);
}

#[test]
fn slides_are_denied_where_there_are_none_or_nobody_takes_them() {
    for position in [Dialing, Early] {
        let (mut rig, _) = position.reach();
        let denied = Admission::Denied(DeniedReason::SlidesNotTaken);
        assert_eq!(rig.request(SHOW), denied, "{position:?}");
    }
    let (mut rig, leg) = Established.reach();
    let without = LegStreams {
        slides: None,
        ..streams()
    };
    rig.told(Fact::StreamsChanged {
        leg,
        streams: without,
    });
    let denied = Admission::Denied(DeniedReason::SlidesNotTaken);
    assert_eq!(rig.request(SHOW), denied);

    let mut none = policy();
    none.media.slides = SlidesPolicy {
        source: VideoSource::None,
        ..none.media.slides
    };
    let mut rig = Rig::with_policy(none);
    assert_eq!(
        rig.room.snapshot().slides_device,
        DeviceState::NotConfigured
    );
    assert_eq!(rig.request(SHOW), Admission::Denied(DeniedReason::NoSlides));
}

#[test]
fn whoever_presses_last_shows() {
    // The far end has the floor when somebody here presses.
    let (mut rig, leg) = Established.reach();
    rig.told(floor(leg, FloorChange::Theirs));
    rig.request(SHOW);
    let expected = [Command::RequestFloor { leg }, Command::RevokeFloor { leg }];
    assert_eq!(rig.signalling(), expected);
    rig.told(floor(leg, FloorChange::Ours));

    // Then somebody there does, and waits for this room.
    rig.room.fact(rig.now, floor(leg, FloorChange::PeerWaits));
    assert_eq!(rig.signalling(), [Command::ReleaseFloor { leg }]);
    assert_eq!(sending(&rig), SlidesSending::Off);
    assert_eq!(planned(&rig, leg), Some(Direction::RecvOnly));
}

#[test]
fn two_who_press_at_once_do_not_take_it_from_each_other() {
    let (mut rig, leg) = Established.reach();
    rig.accepted(SHOW);
    rig.room.fact(rig.now, floor(leg, FloorChange::PeerWaits));
    assert_eq!(rig.signalling(), []);
    rig.told(floor(leg, FloorChange::Ours));
    assert_eq!(sending(&rig), SlidesSending::Sending);
}

#[test]
fn what_is_not_granted_is_not_asked_for_again_before_somebody_presses() {
    for (name, (mut rig, leg)) in [
        ("denied", {
            let (mut rig, leg) = Established.reach();
            rig.accepted(SHOW);
            (rig, leg)
        }),
        ("revoked", showing()),
    ] {
        rig.told(floor(leg, FloorChange::NotGranted));
        assert_eq!(sending(&rig), SlidesSending::Off, "{name}");
        assert_eq!(planned(&rig, leg), Some(Direction::RecvOnly), "{name}");
        rig.pass(Duration::from_secs(60));
        assert_eq!(rig.signalling(), [], "{name}");
        rig.request(SHOW);
        assert_eq!(rig.signalling(), [Command::RequestFloor { leg }], "{name}");
    }
}

#[test]
fn nobody_waits_for_the_floor_for_ever() {
    let (mut rig, leg) = Established.reach();
    rig.accepted(SHOW);
    rig.told(floor(leg, FloorChange::Unreachable));
    assert_eq!(sending(&rig), SlidesSending::Waiting);
    rig.pass(policy().timeouts.floor);
    assert_eq!(rig.signalling(), [Command::ReleaseFloor { leg }]);
    assert_eq!(sending(&rig), SlidesSending::Off);
    // A grant that comes too late is given back.
    rig.room.fact(rig.now, floor(leg, FloorChange::Ours));
    assert_eq!(rig.signalling(), [Command::ReleaseFloor { leg }]);
}

#[test]
fn a_floor_that_is_decided_anew_is_waited_for_anew() {
    let (mut rig, leg) = showing();
    rig.told(floor(leg, FloorChange::Free));
    assert_eq!(sending(&rig), SlidesSending::Waiting);
    assert_eq!(planned(&rig, leg), Some(Direction::RecvOnly));
    rig.told(floor(leg, FloorChange::Ours));
    assert_eq!(sending(&rig), SlidesSending::Sending);
}

#[test]
fn a_far_end_that_joins_later_sees_the_slides_too() {
    let mut rig = Rig::with_policy(policy_with_legs(2));
    let first = rig.dial();
    rig.establish(first);
    rig.accepted(SHOW);
    rig.told(floor(first, FloorChange::Ours));
    let second = rig.incoming(PeerTrust::Trusted);
    rig.accepted(Request::Answer { leg: second });
    rig.room.fact(rig.now, crate::rig::established(second));
    assert_eq!(rig.signalling(), [Command::RequestFloor { leg: second }]);
    // It takes the floor there, and the first one still sees them.
    rig.told(floor(second, FloorChange::NotGranted));
    assert_eq!(sending(&rig), SlidesSending::Sending);
    assert_eq!(planned(&rig, first), Some(Direction::SendRecv));
    assert_eq!(planned(&rig, second), Some(Direction::RecvOnly));
    // Who presses again asks it alone.
    assert_eq!(rig.request(SHOW), Admission::Accepted { leg: None });
    assert_eq!(rig.signalling(), [Command::RequestFloor { leg: second }]);
    assert_eq!(rig.request(SHOW), Admission::AlreadySo);
    rig.told(floor(second, FloorChange::Ours));
    assert_eq!(planned(&rig, second), Some(Direction::SendRecv));
}

#[test]
fn what_was_seen_before_the_answer_holds_after_it() {
    let (mut rig, leg) = Early.reach();
    rig.told(Fact::SlidesResumed { leg });
    rig.told(floor(leg, FloorChange::Theirs));
    assert_eq!(rig.plan.playout.slides, None, "nothing is decided yet");
    rig.establish(leg);
    assert_eq!(rig.plan.playout.slides, Some(leg));
    rig.request(SHOW);
    let expected = [Command::RequestFloor { leg }, Command::RevokeFloor { leg }];
    assert_eq!(rig.signalling(), expected);
}

#[test]
fn nothing_flows_while_the_call_is_held_and_the_floor_stays() {
    let (mut rig, leg) = showing();
    rig.accepted(Request::Hold { leg });
    assert_eq!(planned(&rig, leg), Some(Direction::Inactive));
    assert_eq!(rig.plan.slides.rung, None);
    rig.told(Fact::HoldSucceeded { leg });
    rig.accepted(Request::Resume { leg });
    rig.told(Fact::ResumeSucceeded { leg });
    assert_eq!(planned(&rig, leg), Some(Direction::SendRecv));
    for position in [Held, RemotelyHeld] {
        let (mut rig, leg) = position.reach();
        rig.told(Fact::SlidesResumed { leg });
        let shown = rig.plan.playout.slides;
        assert_eq!(shown.is_none(), position == Held, "{position:?}");
    }
}

#[test]
fn without_the_stream_there_is_no_floor_any_more() {
    let (mut rig, leg) = showing();
    let without = LegStreams {
        slides: None,
        ..streams()
    };
    rig.told(Fact::StreamsChanged {
        leg,
        streams: without,
    });
    assert_eq!(sending(&rig), SlidesSending::Off);
    assert_eq!(planned(&rig, leg), None);
    assert_eq!(rig.room.snapshot().legs[0].slides, None);
}

#[test]
fn a_configuration_without_slides_ends_them() {
    let (mut rig, leg) = showing();
    let mut none = policy();
    none.media.slides.source = VideoSource::None;
    rig.room
        .fact(rig.now, Fact::PolicyChanged(Box::<RoomPolicy>::new(none)));
    assert_eq!(rig.signalling(), [Command::ReleaseFloor { leg }]);
    assert_eq!(sending(&rig), SlidesSending::Off);
}

#[test]
fn slides_of_the_far_end_fill_the_screen_while_they_flow_or_while_it_has_the_floor() {
    let (mut rig, leg) = Established.reach();
    let shown = |rig: &Rig| rig.plan.playout.slides;
    let flow = |rig: &Rig| {
        let slides = rig.room.snapshot().legs[0].slides;
        slides.expect("there is a stream").stream.flow
    };
    assert_eq!((shown(&rig), flow(&rig)), (None, VideoFlow::Waiting));
    for (fact, filled) in [
        (Fact::SlidesResumed { leg }, true),
        (Fact::SlidesStalled { leg }, false),
        (Fact::SlidesResumed { leg }, true),
        (floor(leg, FloorChange::Theirs), true),
        // A slide that does not change may come once in a while.
        (Fact::SlidesStalled { leg }, true),
        (floor(leg, FloorChange::Unreachable), false),
        (floor(leg, FloorChange::Theirs), true),
        (floor(leg, FloorChange::Free), false),
    ] {
        let case = format!("{fact:?}");
        rig.told(fact);
        assert_eq!(shown(&rig), filled.then_some(leg), "{case}");
        let is_shown = matches!(flow(&rig), VideoFlow::Flowing | VideoFlow::Stalled);
        assert_eq!(is_shown, filled, "{case}");
    }
}

#[test]
fn a_source_of_slides_that_is_gone_is_shown_as_gone() {
    let mut rig = Rig::new();
    rig.told(Fact::SlidesGone);
    assert_eq!(rig.room.snapshot().slides_device, DeviceState::Gone);
    rig.told(Fact::SlidesBack);
    assert_eq!(rig.room.snapshot().slides_device, DeviceState::Present);
}
