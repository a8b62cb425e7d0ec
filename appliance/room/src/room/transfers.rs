//! Far ends that ask to be replaced by somebody else.

use std::time::Instant;

use super::{MAX_LEGS, Room};
use crate::command::{Command, IfNotReplaced, TransferProgress};
use crate::guest::LegKind;
use crate::ids::LegId;
use crate::leg::Leg;
use crate::leg_state::{EndReason, LegState};
use crate::policy::CallTarget;
use crate::resumption::{DialogName, WantedCall};
use crate::transfer::{Step, Transfer};

impl Room {
    pub(super) fn transfer_asked(
        &mut self,
        now: Instant,
        from: LegId,
        target: String,
        replaced: Option<DialogName>,
    ) {
        match self.transfer_target(from, target) {
            Some(call) => {
                self.commands
                    .push_back(Command::AcceptTransfer { leg: from });
                let to = self.reserve_leg();
                let account = call.account.clone();
                let wanted = WantedCall {
                    dialog: replaced,
                    ..WantedCall::new(call)
                };
                // Whoever has asked has both calls still, and may ask for another way.
                let otherwise = IfNotReplaced::GiveUp;
                let leg = Leg::dial(to, wanted, account, otherwise, &mut self.turn(now));
                self.legs.push(leg);
                self.transfers.push(Transfer::new(from, to));
            }
            None => self
                .commands
                .push_back(Command::RefuseTransfer { leg: from }),
        }
    }

    /// Whom to call for a far end, by the account that it is in a call with. `None` where nobody can
    /// be: the far end is not in a call, has a transfer under way, or there is no leg for it. One leg
    /// more than usual is allowed, since that of the far end goes.
    fn transfer_target(&self, from: LegId, target: String) -> Option<CallTarget> {
        let leg = self.legs.iter().find(|leg| leg.id() == from)?;
        let stands = matches!(leg.state(), LegState::Established | LegState::Held { .. });
        let is_first = self.transfers.iter().all(|known| known.from != from);
        let has_room = self.taken_legs(LegKind::Sip) <= self.policy.second_call.max_legs()
            && self.legs.len() < MAX_LEGS;
        let call = CallTarget {
            target,
            account: leg.account().map(str::to_owned),
        };
        let is_wanted = self.shutdown.is_running()
            && self.check_target(&call).is_ok()
            && !self.legs.iter().any(|leg| leg.is_call_to(&call));
        (stands && is_first && has_room && is_wanted).then_some(call)
    }

    pub(super) fn advance_transfers(&mut self, now: Instant) {
        let mut transfers = std::mem::take(&mut self.transfers);
        transfers.retain_mut(|transfer| {
            let state_of = |id| {
                let mut legs = self.legs.iter();
                legs.find(|leg| leg.id() == id).map(Leg::state)
            };
            match transfer.step(now, state_of(transfer.from), state_of(transfer.to)) {
                Step::Nothing => true,
                Step::Tell(progress) => {
                    let leave = self.turn(now).deadline(|timeouts| timeouts.transfer);
                    transfer.was_told(progress, leave);
                    self.commands.push_back(Command::TellTransfer {
                        leg: transfer.from,
                        progress,
                    });
                    !matches!(progress, TransferProgress::Failed(_))
                }
                Step::Leave => {
                    let index = self.legs.iter().position(|leg| leg.id() == transfer.from);
                    if let Some(index) = index {
                        self.at_leg(now, index, |leg, turn| {
                            leg.end(EndReason::Transferred, turn);
                        });
                    }
                    false
                }
                Step::Over => false,
            }
        });
        self.transfers = transfers;
    }
}
