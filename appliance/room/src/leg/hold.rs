//! The holds of a leg that is connected: ours and the far end's, each by itself.
//!
//! ```text
//!   Open ── hold ──► Holding ── taken ──► Held ── resume ──► Resuming ── taken ──► Open
//!     ▲                 │                   ▲                    │
//!     └─ refused, or too late               └── refused, or too late
//! ```

use std::time::Instant;

use crate::leg_state::{HeldBy, HoldChange, LegState};

/// Our own hold. Media stops when the hold is asked for, and flows again only when the far end has
/// taken the resume: nobody is heard who thinks that he is not.
#[derive(Clone, Copy, Debug)]
pub(super) enum LocalHold {
    Open,
    Holding { until: Instant },
    Held,
    Resuming { until: Instant },
}

impl LocalHold {
    pub(super) const fn deadline(self) -> Option<Instant> {
        match self {
            Self::Holding { until } | Self::Resuming { until } => Some(until),
            Self::Open | Self::Held => None,
        }
    }

    /// What is under way, as clients see it.
    pub(super) const fn change(self) -> HoldChange {
        match self {
            Self::Holding { .. } => HoldChange::Holding,
            Self::Resuming { .. } => HoldChange::Resuming,
            Self::Open | Self::Held => HoldChange::None,
        }
    }
}

/// The hold of the far end, as it has told us.
#[derive(Clone, Copy, Debug)]
pub(super) enum RemoteHold {
    Open,
    Held,
}

/// What clients see of the holds: what the far end has taken, not what was asked for.
pub(super) fn connected_state(local: LocalHold, remote: RemoteHold) -> LegState {
    match (local, remote) {
        (LocalHold::Open | LocalHold::Holding { .. }, RemoteHold::Open) => LegState::Established,
        (LocalHold::Open | LocalHold::Holding { .. }, RemoteHold::Held) => {
            LegState::Held(HeldBy::Remote)
        }
        (LocalHold::Held | LocalHold::Resuming { .. }, RemoteHold::Open) => {
            LegState::Held(HeldBy::Local)
        }
        (LocalHold::Held | LocalHold::Resuming { .. }, RemoteHold::Held) => {
            LegState::Held(HeldBy::Both)
        }
    }
}
