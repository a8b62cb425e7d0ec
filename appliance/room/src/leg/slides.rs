//! The slides of a leg: ours, by the floor that they need, and those of the far end.
//!
//! ```text
//!            shown                         ours
//!   Off ───────────────► Waiting ──────────────────────► Sending
//!    ▲                    │   ▲      decided anew           │ │ not granted, theirs,
//!    │                    │   └────────────────────────────┘ │ or the far end waits
//!    │                    │ not granted, or too late         │
//!    │  withdrawn, or     ▼                                  │
//!    └── shown again ─ Refused ◄─────────────────────────────┘
//! ```
//!
//! Withdrawn leads to Off from everywhere.
//!
//! The floor is the right to show slides (RFC 8855); there is one on each leg. Whoever presses last
//! shows: a far end that waits for the floor gets it, and one that has it loses it where this room
//! decides. Two who press at once do not take it from each other, because nobody has it yet.

use std::time::Instant;

use crate::command::Command;
use crate::fact::FloorChange;
use crate::ids::LegId;
use crate::snapshot::{SlidesSending, VideoFlow};
use crate::turn::Turn;

#[derive(Debug)]
pub(super) struct Slides {
    ours: Ours,
    floor: Holder,
    /// Whether slides of the far end are seen.
    flow: VideoFlow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ours {
    Off,
    Waiting {
        until: Instant,
    },
    Sending,
    /// Not again before somebody in the room asks anew.
    Refused,
}

/// Who has the floor, as far as this room was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    NobodyElse,
    FarEnd,
}

impl Default for Slides {
    fn default() -> Self {
        Self {
            ours: Ours::Off,
            floor: Holder::NobodyElse,
            flow: VideoFlow::Waiting,
        }
    }
}

impl Slides {
    /// The room shows slides, and the far end takes them.
    pub(super) fn show(&mut self, leg: LegId, turn: &mut Turn<'_>) {
        match self.ours {
            Ours::Off => {
                self.ours = Ours::Waiting {
                    until: turn.deadline(|timeouts| timeouts.floor),
                };
                turn.commands.push_back(Command::RequestFloor { leg });
                if self.floor == Holder::FarEnd {
                    turn.commands.push_back(Command::RevokeFloor { leg });
                }
            }
            Ours::Waiting { .. } | Ours::Sending | Ours::Refused => {}
        }
    }

    /// Somebody in the room asks again. Whether the far end had turned ours down.
    pub(super) fn ask_again(&mut self) -> bool {
        let refused = self.ours == Ours::Refused;
        if refused {
            self.ours = Ours::Off;
        }
        refused
    }

    /// The room shows none any more.
    pub(super) fn withdraw(&mut self, leg: LegId, turn: &mut Turn<'_>) {
        self.stop(leg, turn);
        self.ours = Ours::Off;
    }

    /// Ours are not shown on this leg for now.
    fn stop(&mut self, leg: LegId, turn: &mut Turn<'_>) {
        match self.ours {
            Ours::Waiting { .. } | Ours::Sending => {
                turn.commands.push_back(Command::ReleaseFloor { leg });
                self.ours = Ours::Refused;
            }
            Ours::Off | Ours::Refused => {}
        }
    }

    pub(super) fn floor_changed(&mut self, change: FloorChange, leg: LegId, turn: &mut Turn<'_>) {
        match (change, self.ours) {
            (FloorChange::Ours, Ours::Waiting { .. }) => self.ours = Ours::Sending,
            // Granted at the moment of a change of mind.
            (FloorChange::Ours, Ours::Off | Ours::Refused) => {
                turn.commands.push_back(Command::ReleaseFloor { leg });
            }
            (FloorChange::NotGranted, Ours::Waiting { .. } | Ours::Sending)
            | (FloorChange::PeerWaits | FloorChange::Theirs, Ours::Sending) => {
                self.stop(leg, turn);
            }
            // Decided anew, in a conference that has just begun.
            (FloorChange::Free, Ours::Sending) => {
                self.ours = Ours::Waiting {
                    until: turn.deadline(|timeouts| timeouts.floor),
                };
            }
            (FloorChange::Ours, Ours::Sending)
            | (FloorChange::NotGranted, Ours::Off | Ours::Refused)
            | (
                FloorChange::PeerWaits | FloorChange::Theirs | FloorChange::Free,
                Ours::Off | Ours::Waiting { .. } | Ours::Refused,
            )
            | (FloorChange::Unreachable, _) => {}
        }
        self.floor = match change {
            FloorChange::Theirs => Holder::FarEnd,
            // Who decides is silent: nobody is known to have it.
            FloorChange::Free | FloorChange::Ours | FloorChange::Unreachable => Holder::NobodyElse,
            FloorChange::PeerWaits | FloorChange::NotGranted => self.floor,
        };
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.ours {
            Ours::Waiting { until } => Some(until),
            Ours::Off | Ours::Sending | Ours::Refused => None,
        }
    }

    /// Nobody waits for the floor for ever.
    pub(super) fn handle_timeout(&mut self, leg: LegId, turn: &mut Turn<'_>) {
        if self.deadline().is_some_and(|until| until <= turn.now) {
            self.stop(leg, turn);
        }
    }

    /// What was seen of the far end's slides.
    pub(super) fn seen(&mut self, flow: VideoFlow) {
        self.flow = flow;
    }

    /// Whether slides of the far end are to be seen. Who has the floor may leave long between two
    /// pictures of a slide that does not change.
    pub(super) fn are_shown(&self) -> bool {
        match self.flow {
            VideoFlow::Flowing => true,
            VideoFlow::Stalled => self.floor == Holder::FarEnd,
            VideoFlow::Off | VideoFlow::Waiting => false,
        }
    }

    /// What is to be told of them: a far end that has given the floor back has not stalled.
    pub(super) fn flow(&self) -> VideoFlow {
        match self.flow {
            VideoFlow::Stalled if self.floor == Holder::NobodyElse => VideoFlow::Waiting,
            flow => flow,
        }
    }

    pub(super) fn sending(&self) -> SlidesSending {
        match self.ours {
            Ours::Off | Ours::Refused => SlidesSending::Off,
            Ours::Waiting { .. } => SlidesSending::Waiting,
            Ours::Sending => SlidesSending::Sending,
        }
    }
}
