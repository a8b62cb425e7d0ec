//! What people in the room ask of a leg, and how it ends by their wish or by a rule.

use super::hold::LocalHold;
use super::{Leg, State};
use crate::command::{AnswerMode, Command, RejectCause};
use crate::dtmf::DtmfDigits;
use crate::leg_state::{CallDirection, EndReason};
use crate::request::{Admission, DeniedReason};
use crate::snapshot::VideoFlow;
use crate::turn::Turn;

impl Leg {
    /// Tells the caller that the room rings.
    pub(crate) fn ring(&self, turn: &mut Turn<'_>) {
        turn.commands.push_back(Command::Ring { leg: self.id });
    }

    /// Somebody in the room answers.
    pub(crate) fn answer(&mut self, turn: &mut Turn<'_>) -> Admission {
        self.answer_by(AnswerMode::Manual, turn)
    }

    pub(crate) fn answer_by(&mut self, mode: AnswerMode, turn: &mut Turn<'_>) -> Admission {
        match (&self.state, self.direction) {
            (State::Incoming { .. }, _) => {
                self.state = State::Answering {
                    until: turn.deadline(|timeouts| timeouts.answer),
                    media: None,
                };
                turn.commands
                    .push_back(Command::Accept { leg: self.id, mode });
                self.accepted()
            }
            (State::Answering { .. } | State::Connected { .. }, CallDirection::Incoming) => {
                Admission::AlreadySo
            }
            (
                State::Answering { .. }
                | State::Connected { .. }
                | State::Dialing { .. }
                | State::Ringing { .. }
                | State::Early { .. }
                | State::Ending { .. }
                | State::Ended(_),
                _,
            ) => Admission::Denied(DeniedReason::NotRinging),
        }
    }

    pub(crate) fn decline(&mut self, turn: &mut Turn<'_>) -> Admission {
        match &self.state {
            State::Incoming { .. } => {
                self.refuse(RejectCause::Decline, EndReason::Declined, turn);
                self.accepted()
            }
            State::Ending {
                reason: EndReason::Declined,
                ..
            } => Admission::AlreadySo,
            State::Answering { .. }
            | State::Dialing { .. }
            | State::Ringing { .. }
            | State::Early { .. }
            | State::Connected { .. }
            | State::Ending { .. }
            | State::Ended(_) => Admission::Denied(DeniedReason::NotRinging),
        }
    }

    /// Ends the leg because somebody in the room asked for it. A ringing call counts as declined.
    pub(crate) fn hang_up(&mut self, turn: &mut Turn<'_>) -> Admission {
        match &self.state {
            State::Incoming { .. } => self.decline(turn),
            State::Answering { .. }
            | State::Dialing { .. }
            | State::Ringing { .. }
            | State::Early { .. }
            | State::Connected { .. } => {
                self.end(EndReason::LocalHangUp, turn);
                self.accepted()
            }
            State::Ending { .. } | State::Ended(_) => Admission::AlreadySo,
        }
    }

    pub(crate) fn hold(&mut self, turn: &mut Turn<'_>) -> Admission {
        let Some(local) = self.local_hold() else {
            return Admission::Denied(DeniedReason::NotEstablished);
        };
        match local {
            LocalHold::Open => {
                *local = LocalHold::Holding {
                    until: turn.deadline(|timeouts| timeouts.hold),
                };
                turn.commands.push_back(Command::Hold { leg: self.id });
                self.refused = None;
                // Afterwards, whether pictures flow again is to be seen first.
                if let Some(media) = self.media() {
                    media.flow = VideoFlow::Waiting;
                    media.slides.seen(VideoFlow::Waiting);
                }
                self.accepted()
            }
            LocalHold::Holding { .. } | LocalHold::Held => Admission::AlreadySo,
            LocalHold::Resuming { .. } => Admission::Denied(DeniedReason::HoldInProgress),
        }
    }

    pub(crate) fn resume(&mut self, turn: &mut Turn<'_>) -> Admission {
        let Some(local) = self.local_hold() else {
            return Admission::Denied(DeniedReason::NotEstablished);
        };
        match local {
            LocalHold::Held => {
                *local = LocalHold::Resuming {
                    until: turn.deadline(|timeouts| timeouts.hold),
                };
                turn.commands.push_back(Command::Resume { leg: self.id });
                self.refused = None;
                self.accepted()
            }
            LocalHold::Open | LocalHold::Resuming { .. } => Admission::AlreadySo,
            LocalHold::Holding { .. } => Admission::Denied(DeniedReason::HoldInProgress),
        }
    }

    pub(crate) fn send_dtmf(&mut self, digits: DtmfDigits, turn: &mut Turn<'_>) -> Admission {
        match self.local_hold() {
            None => Admission::Denied(DeniedReason::NotEstablished),
            Some(LocalHold::Open) => {
                turn.commands.push_back(Command::SendDtmf {
                    leg: self.id,
                    digits,
                });
                self.refused = None;
                self.accepted()
            }
            Some(LocalHold::Holding { .. } | LocalHold::Held | LocalHold::Resuming { .. }) => {
                Admission::Denied(DeniedReason::LegHeld)
            }
        }
    }

    /// Refuses a call that rings, because no leg is free for it.
    pub(crate) fn refuse_busy(&mut self, turn: &mut Turn<'_>) {
        self.refuse(RejectCause::Busy, EndReason::RefusedBusy, turn);
    }

    /// Refuses a call that nobody is to be asked about.
    pub(crate) fn refuse_to_ask(&mut self, turn: &mut Turn<'_>) {
        self.refuse(RejectCause::NotAnsweredUnasked, EndReason::Missed, turn);
    }

    fn refuse(&mut self, cause: RejectCause, reason: EndReason, turn: &mut Turn<'_>) {
        turn.commands.push_back(Command::Reject {
            leg: self.id,
            cause,
        });
        self.state = State::Ending {
            reason,
            until: turn.deadline(|timeouts| timeouts.hang_up),
        };
    }

    /// Ends the leg for whatever reason, in whatever state it is.
    pub(crate) fn end(&mut self, reason: EndReason, turn: &mut Turn<'_>) {
        match &self.state {
            State::Incoming { .. } => {
                self.refuse(RejectCause::NotAvailable, reason, turn);
            }
            State::Answering { .. }
            | State::Dialing { .. }
            | State::Ringing { .. }
            | State::Early { .. }
            | State::Connected { .. } => {
                turn.commands.push_back(Command::HangUp { leg: self.id });
                self.state = State::Ending {
                    reason,
                    until: turn.deadline(|timeouts| timeouts.hang_up),
                };
            }
            State::Ending { .. } | State::Ended(_) => {}
        }
    }

    fn accepted(&self) -> Admission {
        Admission::Accepted { leg: Some(self.id) }
    }
}
