//! What happens when nobody answers: every state that waits for somebody else has an end.

use std::time::Duration;

use room::policy::Timeouts;
use room::{Command, EndReason, Fact, LegId, LegState, RejectCause};

use crate::rig::Position::{
    self, Answering, Connecting, Dialing, Early, Ending, Established, Held, HeldByBoth, Holding,
    HoldingRemotelyHeld, Incoming, RemotelyHeld, Resuming, ResumingRemotelyHeld, Ringing,
};
use crate::rig::{Rig, Signs, policy};

const MOMENT: Duration = Duration::from_millis(1);

/// A waiting position, how long it waits, what is ordered then, and where the leg is afterwards.
type Row = (
    Position,
    fn(Timeouts) -> Duration,
    fn(LegId) -> Option<Command>,
    Position,
);

const TABLE: &[Row] = &[
    (Incoming, |timeouts| timeouts.ring, reject, Ending),
    (Answering, |timeouts| timeouts.answer, hang_up, Ending),
    (Connecting, |timeouts| timeouts.answer, hang_up, Ending),
    (Dialing, |timeouts| timeouts.dial, hang_up, Ending),
    (Ringing, |timeouts| timeouts.dial, hang_up, Ending),
    (Early, |timeouts| timeouts.dial, hang_up, Ending),
    (Holding, |timeouts| timeouts.hold, |_| None, Established),
    (Resuming, |timeouts| timeouts.hold, |_| None, Held),
    (
        HoldingRemotelyHeld,
        |timeouts| timeouts.hold,
        |_| None,
        RemotelyHeld,
    ),
    (
        ResumingRemotelyHeld,
        |timeouts| timeouts.hold,
        |_| None,
        HeldByBoth,
    ),
    (
        Ending,
        |timeouts| timeouts.hang_up,
        |_| None,
        Position::Ended,
    ),
];

fn reject(leg: LegId) -> Option<Command> {
    Some(Command::Reject {
        leg,
        cause: RejectCause::NotAvailable,
    })
}

fn hang_up(leg: LegId) -> Option<Command> {
    Some(Command::HangUp { leg })
}

#[test]
fn every_waiting_state_ends_at_its_time_out_and_not_before() {
    for (position, timeout, ordered, afterwards) in TABLE {
        let (mut rig, leg) = position.reach();
        let timeout = timeout(policy().timeouts);
        assert_eq!(
            rig.room.next_deadline(),
            Some(rig.now + timeout),
            "{position:?}"
        );

        rig.pass(timeout.checked_sub(MOMENT).expect("longer than a moment"));
        assert_eq!(Signs::of(&rig, leg), position.signs(), "{position:?} waits");

        rig.pass(MOMENT);
        assert_eq!(
            rig.signalling().first(),
            ordered(leg).as_ref(),
            "{position:?}"
        );
        assert_eq!(Signs::of(&rig, leg), afterwards.signs(), "{position:?}");
    }
}

#[test]
fn states_that_wait_for_nobody_have_no_deadline() {
    for position in [Established, Held, RemotelyHeld, HeldByBoth, Position::Ended] {
        let (mut rig, leg) = position.reach();
        assert_eq!(rig.room.next_deadline(), None, "{position:?}");
        rig.pass(Duration::from_secs(24 * 60 * 60));
        assert_eq!(Signs::of(&rig, leg), position.signs());
        assert_eq!(rig.commands(), []);
    }
}

#[test]
fn each_time_out_has_its_own_reason() {
    let cases = [
        (Incoming, EndReason::Missed),
        (Answering, EndReason::AnswerTimedOut),
        (Connecting, EndReason::AnswerTimedOut),
        (Dialing, EndReason::DialTimedOut),
        (Ringing, EndReason::NotAnswered),
        (Early, EndReason::NotAnswered),
    ];
    for (position, reason) in cases {
        let (mut rig, leg) = position.reach();
        rig.pass(Duration::from_secs(100));
        assert_eq!(rig.leg(leg).state, LegState::Ending(reason));
        rig.told(Fact::Ended {
            leg,
            reason: EndReason::Cancelled,
        });
        assert_eq!(rig.leg(leg).state, LegState::Ended(reason));
    }
}

#[test]
fn a_leg_whose_hang_up_nobody_confirms_is_dropped() {
    let (mut rig, leg) = Ending.reach();
    rig.pass(policy().timeouts.hang_up);
    assert_eq!(
        rig.leg(leg).state,
        LegState::Ended(EndReason::HangUpTimedOut)
    );
    assert!(rig.room.snapshot().legs.is_empty());
}

#[test]
fn ringing_and_early_media_do_not_prolong_the_dial_time_out() {
    let mut rig = Rig::new();
    let leg = rig.dial();
    let deadline = rig.room.next_deadline();
    rig.pass(Duration::from_secs(20));
    rig.told(Fact::Ringing { leg });
    assert_eq!(rig.room.next_deadline(), deadline);
    rig.pass(Duration::from_secs(20));
    rig.told(Fact::EarlyMedia {
        leg,
        streams: crate::rig::streams(),
    });
    assert_eq!(rig.room.next_deadline(), deadline);
}

#[test]
fn a_time_out_of_any_length_does_not_overflow_the_clock() {
    let forever = Duration::MAX;
    let mut policy = policy();
    policy.timeouts = Timeouts {
        ring: forever,
        knock: forever,
        dial: forever,
        answer: forever,
        hold: forever,
        floor: forever,
        transfer: forever,
        hang_up: forever,
        stop_media: forever,
        store: forever,
    };
    let mut rig = Rig::with_policy(policy);
    rig.dial();
    assert_eq!(
        rig.room.next_deadline(),
        Some(rig.now + Duration::from_secs(24 * 60 * 60))
    );
}
