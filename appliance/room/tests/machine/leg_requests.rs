//! Every request about a leg in every state: the one answer, where it leads, and that only an
//! accepted request has effects.

use room::{
    Admission, AnswerMode, Command, DeniedReason, DtmfDigits, Fact, LegId, PeerTrust, Request,
};

use crate::rig::Position::{
    self, Answering, Connecting, Dialing, Early, Ended, Ending, Established, Held, HeldByBoth,
    Holding, HoldingRemotelyHeld, Incoming, RemotelyHeld, Resuming, ResumingRemotelyHeld, Ringing,
};
use crate::rig::{Rig, Signs, established};

/// One request: where it is accepted, and where it leads; where it is already so; where and why
/// it is denied. Every position must be in exactly one of the lists.
struct Row {
    request: fn(LegId) -> Request,
    orders: fn(LegId) -> Command,
    accepted: &'static [(Position, Position)],
    already: &'static [Position],
    denied: &'static [(DeniedReason, &'static [Position])],
}

const NOT_CONNECTED: &[Position] = &[
    Incoming, Answering, Connecting, Dialing, Ringing, Early, Ending,
];

const TABLE: &[Row] = &[
    Row {
        request: |leg| Request::Answer { leg },
        orders: |leg| Command::Accept {
            leg,
            mode: AnswerMode::Manual,
        },
        accepted: &[(Incoming, Answering)],
        already: &[Answering, Connecting],
        denied: &[
            // These legs were dialed here. One that was answered here is `AlreadySo`: see below.
            (
                DeniedReason::NotRinging,
                &[
                    Dialing,
                    Ringing,
                    Early,
                    Established,
                    Holding,
                    Held,
                    Resuming,
                    RemotelyHeld,
                    HoldingRemotelyHeld,
                    HeldByBoth,
                    ResumingRemotelyHeld,
                    Ending,
                ],
            ),
            (DeniedReason::UnknownLeg, &[Ended]),
        ],
    },
    Row {
        request: |leg| Request::Decline { leg },
        orders: |leg| Command::Reject {
            leg,
            cause: room::RejectCause::Decline,
        },
        accepted: &[(Incoming, Ending)],
        already: &[],
        denied: &[
            (
                DeniedReason::NotRinging,
                &[
                    Answering,
                    Connecting,
                    Dialing,
                    Ringing,
                    Early,
                    Established,
                    Holding,
                    Held,
                    Resuming,
                    RemotelyHeld,
                    HoldingRemotelyHeld,
                    HeldByBoth,
                    ResumingRemotelyHeld,
                    Ending,
                ],
            ),
            (DeniedReason::UnknownLeg, &[Ended]),
        ],
    },
    Row {
        request: |leg| Request::HangUp { leg: Some(leg) },
        orders: |leg| Command::HangUp { leg },
        accepted: &[
            (Answering, Ending),
            (Connecting, Ending),
            (Dialing, Ending),
            (Ringing, Ending),
            (Early, Ending),
            (Established, Ending),
            (Holding, Ending),
            (Held, Ending),
            (Resuming, Ending),
            (RemotelyHeld, Ending),
            (HoldingRemotelyHeld, Ending),
            (HeldByBoth, Ending),
            (ResumingRemotelyHeld, Ending),
        ],
        already: &[Ending, Ended],
        // A ringing call is declined instead: see below.
        denied: &[],
    },
    Row {
        request: |leg| Request::Hold { leg },
        orders: |leg| Command::Hold { leg },
        accepted: &[(Established, Holding), (RemotelyHeld, HoldingRemotelyHeld)],
        already: &[Holding, Held, HoldingRemotelyHeld, HeldByBoth],
        denied: &[
            (
                DeniedReason::HoldInProgress,
                &[Resuming, ResumingRemotelyHeld],
            ),
            (DeniedReason::NotEstablished, NOT_CONNECTED),
            (DeniedReason::UnknownLeg, &[Ended]),
        ],
    },
    Row {
        request: |leg| Request::Resume { leg },
        orders: |leg| Command::Resume { leg },
        accepted: &[(Held, Resuming), (HeldByBoth, ResumingRemotelyHeld)],
        already: &[Established, RemotelyHeld, Resuming, ResumingRemotelyHeld],
        denied: &[
            (
                DeniedReason::HoldInProgress,
                &[Holding, HoldingRemotelyHeld],
            ),
            (DeniedReason::NotEstablished, NOT_CONNECTED),
            (DeniedReason::UnknownLeg, &[Ended]),
        ],
    },
    Row {
        request: |leg| Request::SendDtmf {
            leg,
            digits: digits(),
        },
        orders: |leg| Command::SendDtmf {
            leg,
            digits: digits(),
        },
        accepted: &[(Established, Established), (RemotelyHeld, RemotelyHeld)],
        already: &[],
        denied: &[
            (
                DeniedReason::LegHeld,
                &[
                    Holding,
                    Held,
                    Resuming,
                    HoldingRemotelyHeld,
                    HeldByBoth,
                    ResumingRemotelyHeld,
                ],
            ),
            (DeniedReason::NotEstablished, NOT_CONNECTED),
            (DeniedReason::UnknownLeg, &[Ended]),
        ],
    },
];

fn digits() -> DtmfDigits {
    DtmfDigits::parse("42#").expect("digits")
}

/// What a row says about a position.
enum Expected {
    Accepted(Position),
    AlreadySo,
    Denied(DeniedReason),
}

impl Row {
    fn expected(&self, position: Position) -> Option<Expected> {
        let accepted = self.accepted.iter().filter(|(from, _)| *from == position);
        let already = self.already.iter().filter(|at| **at == position);
        let denied = self
            .denied
            .iter()
            .filter(|(_, positions)| positions.contains(&position));
        let mut all = accepted
            .map(|(_, to)| Expected::Accepted(*to))
            .chain(already.map(|_| Expected::AlreadySo))
            .chain(denied.map(|(reason, _)| Expected::Denied(*reason)));
        let expected = all.next();
        assert!(all.next().is_none(), "{position:?} is listed twice");
        expected
    }
}

#[test]
fn every_request_gets_in_every_state_the_answer_that_the_table_says() {
    for row in TABLE {
        for position in Position::ALL {
            let Some(expected) = row.expected(position) else {
                assert_eq!(
                    position, Incoming,
                    "only hanging up a ringing call is told elsewhere"
                );
                continue;
            };
            let (mut rig, leg) = position.reach();
            let before = rig.room.snapshot();
            let request = (row.request)(leg);
            let case = format!("{request:?} in {position:?}");

            let admission = rig.request(request);
            let signalling = rig.signalling();

            match expected {
                Expected::Accepted(to) => {
                    assert_eq!(admission, Admission::Accepted { leg: Some(leg) }, "{case}");
                    assert_eq!(signalling.first(), Some(&(row.orders)(leg)), "{case}");
                    assert_eq!(Signs::of(&rig, leg), to.signs(), "{case}");
                }
                Expected::AlreadySo => {
                    assert_eq!(admission, Admission::AlreadySo, "{case}");
                    assert_eq!((&rig.room.snapshot(), &signalling[..]), (&before, &[][..]));
                }
                Expected::Denied(reason) => {
                    assert_eq!(admission, Admission::Denied(reason), "{case}");
                    assert_eq!((&rig.room.snapshot(), &signalling[..]), (&before, &[][..]));
                }
            }
        }
    }
}

#[test]
fn hanging_up_a_ringing_call_declines_it() {
    let (mut rig, leg) = Incoming.reach();
    let admission = rig.request(Request::HangUp { leg: Some(leg) });
    assert_eq!(admission, Admission::Accepted { leg: Some(leg) });
    let decline = Command::Reject {
        leg,
        cause: room::RejectCause::Decline,
    };
    assert_eq!(rig.signalling(), [decline]);
    assert_eq!(rig.request(Request::Decline { leg }), Admission::AlreadySo);
}

#[test]
fn a_call_that_was_declined_stays_declined_after_it_is_over() {
    let (mut rig, leg) = Incoming.reach();
    rig.accepted(Request::Decline { leg });
    rig.told(Fact::Ended {
        leg,
        reason: room::EndReason::Cancelled,
    });
    assert_eq!(rig.request(Request::Decline { leg }), Admission::AlreadySo);
    let answer = rig.request(Request::Answer { leg });
    assert_eq!(answer, Admission::Denied(DeniedReason::UnknownLeg));
}

#[test]
fn answering_a_call_that_was_answered_is_already_so() {
    let mut rig = Rig::new();
    let leg = rig.incoming(PeerTrust::Admitted);
    rig.accepted(Request::Answer { leg });
    rig.told(established(leg));
    assert_eq!(rig.request(Request::Answer { leg }), Admission::AlreadySo);
}

#[test]
fn a_request_about_an_unknown_leg_is_denied() {
    for row in TABLE {
        let (mut rig, leg) = Established.reach();
        let admission = rig.request((row.request)(LegId(leg.0 + 77)));
        assert_eq!(admission, Admission::Denied(DeniedReason::UnknownLeg));
        assert_eq!(rig.commands(), []);
    }
}
